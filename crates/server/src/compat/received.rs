//! What the handlers of the doors for other products read of a request before its body.

use std::collections::BTreeMap;

use axum::extract::{FromRequestParts, Path, Query};
use axum::http::request::Parts;
use counterfoil_authority::caller::Caller;
use counterfoil_authority::names::RealmName;

use crate::http::authz::realm_of;
use crate::http::caller::Arrived;
use crate::http::problem::Problem;
use crate::http::state::AppState;

/// A request's head.
pub(super) struct Received {
    /// What answers it.
    pub(super) state: AppState,
    /// Its connection and id.
    pub(super) arrived: Arrived,
    /// The realm that the host name is bound to, `main` unless it is.
    pub(super) realm: RealmName,
    /// Its query; of a parameter that stands there twice the last one. Empty if it cannot be read.
    pub(super) query: BTreeMap<String, String>,
    /// The variable segment of the path; empty where there is none.
    pub(super) id: String,
    /// The head as it came.
    pub(super) parts: Parts,
}

impl FromRequestParts<AppState> for Received {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Problem> {
        let arrived = Arrived::from_request_parts(parts, state).await?;
        let query = Query::try_from_uri(&parts.uri).map_or_else(|_| BTreeMap::new(), |q| q.0);
        let path = Path::<String>::from_request_parts(parts, state).await;
        Ok(Self {
            state: state.clone(),
            arrived,
            realm: realm_of(state, parts).clone(),
            query,
            id: path.map(|path| path.0).unwrap_or_default(),
            parts: parts.clone(),
        })
    }
}

impl Received {
    /// Writes down whose request it was.
    pub(super) fn recognise(&self, caller: &Caller) {
        self.arrived.0.recognise(&caller.realm, &caller.origin);
    }

    /// Waits, if failures often come from there.
    pub(super) async fn hold_back(&self) {
        self.state.authority.hold_back(self.arrived.0.source, None, None).await;
    }
}

//! What a token was given and never used, and the button that takes it away.

use axum::response::Response;
use counterfoil_authority::authority::{FitWish, Fitting};
use counterfoil_authority::fit::{FIT_DAYS_DEFAULT, Part};
use counterfoil_authority::refusal::Refusal;
use counterfoil_authority::secret::TokenId;

use super::posted::Posted;
use super::tokens::id_of;
use super::visit::{Person, see_other};
use crate::http::query::Named;

/// What a token could do without.
pub(super) struct Unused {
    pub(super) days: String,
    /// Whether who looks may take it away.
    pub(super) may_shrink: bool,
    pub(super) digest: String,
    pub(super) lost: Vec<Lost>,
}

/// A grant that would go.
pub(super) struct Lost {
    /// The name of what sort it is.
    pub(super) sort: &'static str,
    pub(super) grant: String,
    /// What would stand in its place.
    pub(super) instead: Option<String>,
}

fn lost<T>(sort: &'static str, part: &Part<T>, write: impl Fn(&T) -> String) -> Vec<Lost> {
    if part.proposed.is_err() {
        return Vec::new();
    }
    let unused = part.unused.iter().map(|grant| Lost { sort, grant: write(grant), instead: None });
    let wide = part.wide.iter().map(|(grant, instead)| {
        let instead = instead.iter().map(&write).collect::<Vec<_>>().join(", ");
        Lost { sort, grant: write(grant), instead: Some(instead).filter(|list| !list.is_empty()) }
    });
    unused.chain(wide).collect()
}

impl Unused {
    fn of(fitting: &Fitting, may_shrink: bool) -> Option<Self> {
        let Fitting { token, fit, digest, .. } = fitting;
        if !fit.has_proposal() || token.revocation.is_some() {
            return None;
        }
        let mut all = lost("token-scopes", &fit.scopes, ToString::to_string);
        all.extend(lost("token-networks", &fit.networks, ToString::to_string));
        all.extend(lost("whence-door", &fit.doors, |door| door.name().to_owned()));
        let (days, digest) = (fit.days.to_string(), digest.clone());
        Some(Self { days, may_shrink, digest, lost: all })
    }
}

/// What a token could do without, if anything. While notes of uses cannot be stored nothing is
/// said of it: the page is where a token is revoked, and must not wait for that.
pub(super) async fn unused(person: &Person, id: TokenId) -> Result<Option<Unused>, Refusal> {
    let (authority, caller) = (&person.visit.state.authority, &person.signed_in.caller);
    let fitting = authority.fit_beside(caller, &caller.realm, id, FIT_DAYS_DEFAULT).await?;
    let Some(fitting) = fitting.filter(|fitting| fitting.fit.has_proposal()) else {
        return Ok(None);
    };
    let may_shrink = authority.may_shrink(caller, &caller.realm, id).await?;
    Ok(Unused::of(&fitting, may_shrink))
}

/// Takes away what was shown.
pub(super) async fn shrink(Named(id): Named, form: Posted) -> Response {
    let Posted { person, fields } = form;
    let (authority, caller) = (&person.visit.state.authority, &person.signed_in.caller);
    let wish = FitWish {
        days: FIT_DAYS_DEFAULT,
        digest: fields.get("digest").to_owned(),
        if_match: None,
        scopes: true,
        networks: true,
        doors: true,
    };
    let done = async {
        let id = id_of(&id)?;
        authority.shrink(caller, &caller.realm, id, &wish).await
    };
    match done.await {
        Ok(token) => see_other(&format!("/tokens/{}", token.id)),
        Err(refusal) => person.failed(refusal),
    }
}

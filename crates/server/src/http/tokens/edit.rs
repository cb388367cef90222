//! Editing: a merge, where an absent field stays and `null` clears.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use counterfoil_authority::authority::{Expiry, TokenEdit};
use counterfoil_authority::clock::DayEdge;
use counterfoil_authority::names::RealmName;
use counterfoil_authority::secret::TokenId;
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::TokenBody;
use super::fields::{Document, GenericData, ServiceChoices, check_count, chosen, text};
use crate::http::body::Payload;
use crate::http::caller::Authenticated;
use crate::http::precondition::IfMatch;
use crate::http::problem::Problem;
use crate::http::query::{At, instant};
use crate::http::responses::Acts;
use crate::http::state::AppState;
use crate::http::wire::{
    Change, DoorList, Labels, LineWord, NetworkList, ParagraphsWord, ScopeList, WhenWord, not_null,
    present, versioned,
};

/// What to change of a token; `null` clears, lists and objects are replaced.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TokenPatch {
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<LineWord>)]
    name: Change<LineWord>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<ParagraphsWord>)]
    description: Change<ParagraphsWord>,
    #[serde(default, deserialize_with = "not_null")]
    #[schema(value_type = Labels, required = false)]
    labels: Option<Labels>,
    /// RFC 3339 with offset, or a date whose end it is. `null`: never.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<WhenWord>)]
    expires_at: Change<WhenWord>,
    #[serde(default, deserialize_with = "not_null")]
    #[schema(value_type = ServiceChoices, required = false)]
    services: Option<ServiceChoices>,
    #[serde(default, deserialize_with = "not_null")]
    #[schema(value_type = ScopeList, required = false)]
    scopes: Option<ScopeList>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<Object>)]
    permissions: Change<Value>,
    #[serde(default, deserialize_with = "not_null")]
    #[schema(value_type = NetworkList, required = false)]
    networks: Option<NetworkList>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<DoorList>)]
    doors: Change<DoorList>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<LineWord>)]
    unit: Change<LineWord>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<LineWord>)]
    serial: Change<LineWord>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<LineWord>)]
    tracking_id: Change<LineWord>,
    #[serde(default, deserialize_with = "not_null")]
    #[schema(value_type = Labels, required = false)]
    generic_data: Option<GenericData>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<LineWord>)]
    identifier: Change<LineWord>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<LineWord>)]
    ref_id_1: Change<LineWord>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<LineWord>)]
    ref_id_2: Change<LineWord>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<u64>)]
    max_usages: Change<u64>,
    /// Auth tokens that may be drawn from a registration token; never fewer than are taken.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<u64>)]
    count: Change<u64>,
    /// Conditions on who may draw.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<Object>)]
    constraints: Change<Document>,
    /// How drawing is approved.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<LineWord>)]
    approval: Change<LineWord>,
    /// What every token receives that is drawn from now on.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<Object>)]
    stamp: Change<Document>,
}

impl TokenPatch {
    async fn read(self, state: &AppState, realm: &RealmName) -> Result<TokenEdit, Problem> {
        let line = |value: Change<LineWord>| value.map(text);
        let document = |value: Change<Document>| value.map(|document| document.map(|d| d.0));
        check_count("max_usages", self.max_usages.flatten())?;
        check_count("count", self.count.flatten())?;
        let expires = match &self.expires_at {
            None => None,
            Some(None) => Some(Expiry::Never),
            Some(Some(when)) => {
                let end = instant(state, realm, "expires_at", &when.0, DayEdge::End).await?;
                Some(Expiry::At(end))
            }
        };
        Ok(TokenEdit {
            name: line(self.name),
            description: self.description.map(|text| text.map(|text| text.0.0)),
            labels: self.labels.map(|labels| labels.0),
            expires,
            services: self.services.map(chosen).transpose()?,
            scopes: self.scopes.map(|scopes| scopes.0),
            permissions: self.permissions,
            networks: self.networks.map(|networks| networks.0),
            doors: self.doors.map(|doors| doors.map(|doors| doors.0)),
            unit: line(self.unit),
            serial: line(self.serial),
            tracking_id: line(self.tracking_id),
            generic_data: self.generic_data.map(|data| data.0),
            identifier: line(self.identifier),
            ref_id_1: line(self.ref_id_1),
            ref_id_2: line(self.ref_id_2),
            max_usages: self.max_usages,
            count: self.count,
            constraints: document(self.constraints),
            stamp: document(self.stamp),
            approval: line(self.approval),
            ..TokenEdit::default()
        })
    }
}

/// Changes a token.
#[utoipa::path(
    patch, path = "/api/v1/realms/{realm}/tokens/{id}", tag = "tokens",
    params(
        ("realm" = String, Path, description = "The realm"),
        ("id" = String, Path, description = "The token"),
        ("If-Match" = Option<String>, Header, description = "The `ETag` it must still have"),
    ),
    request_body = TokenPatch,
    responses((status = 200, description = "The token as it is now", body = TokenBody), Acts)
)]
pub async fn token_edit(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    At((realm, id)): At<(RealmName, TokenId)>,
    IfMatch(version): IfMatch,
    Payload { value, .. }: Payload<TokenPatch>,
) -> Result<Response, Problem> {
    let edit = value.read(&state, &realm).await?;
    let token = state.authority.edit_token(&caller, &realm, id, edit, version).await?;
    Ok(versioned(StatusCode::OK, token.version, TokenBody::of(&token, state.authority.now())))
}

//! `/authTokens`: redeeming a registration token, renewing access, and the administrator's view.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use counterfoil_authority::access::MintedAccess;
use counterfoil_authority::authority::{
    Act, Drawn, EnrolAnswer, EnrolRequest, RefreshRequest, RenderEnrolment,
};
use counterfoil_authority::clock::Timestamp;
use counterfoil_authority::enrolment::{Counts, DeviceFacts, POLL_SECONDS};
use counterfoil_authority::kind::Kind;
use counterfoil_authority::refusal::Refusal;
use counterfoil_authority::secret::{ClearSecret, Shape, TokenId};
use counterfoil_authority::store::TokenFilter;
use counterfoil_authority::token::Token;
use counterfoil_authority::verdict::Door;

use super::fault::Fault;
use super::registration::customer_of;
use super::search::{matching, page};
use super::wire::{Fields, Format, Node};
use super::{Asked, dates};
use crate::http::body::AnyBytes;

/// The root of one object.
const ROOT: &str = "authToken";
/// Who an auth token speaks for when its device says nothing of itself.
const NAMELESS: &str = "device";

/// What a device says of itself.
fn facts(fields: &Fields) -> DeviceFacts {
    let text = |name: &str| fields.text(name).map(str::to_owned);
    let named = ["systemUserName", "fqdn", "identifier", "macAddress"];
    DeviceFacts {
        subject: fields.first(&named).unwrap_or(NAMELESS).to_owned(),
        hostname: text("fqdn"),
        system_user: text("systemUserName"),
        mac_address: text("macAddress"),
        identifier: text("identifier"),
        ref_id_1: text("refId1"),
        ref_id_2: text("refId2"),
    }
}

/// The registration token behind an auth token: what may be known of it, never its secret.
fn origin(token: &Token, registration: Option<(&Token, Counts)>) -> Node {
    let mut fields = vec![("id", token.sentinel.registration_token.map(id_text).as_ref().into())];
    if let Some((registration, counts)) = registration {
        fields.push(("identifier", registration.sentinel.identifier.as_ref().into()));
        fields.push(("count", counts.limit.unwrap_or_default().into()));
        fields.push(("usedCount", counts.used.into()));
    }
    Node::Object(fields)
}

fn id_text(id: TokenId) -> String {
    id.as_str().to_owned()
}

/// What a device was given, in the order in which clients look for it.
fn secrets(
    access: &MintedAccess,
    refresh: &str,
    refresh_ends: Option<i64>,
) -> Vec<(&'static str, Node)> {
    let clear = access.secret.reveal();
    vec![
        ("token", clear.into()),
        ("access_token", clear.into()),
        ("refresh_token", refresh.into()),
        ("token_type", access.token_type.into()),
        ("expires_in", Node::Number(access.expires_in)),
        ("refresh_expires_in", Node::Number(refresh_ends.unwrap_or_default())),
    ]
}

fn node(
    token: &Token,
    secrets: Vec<(&'static str, Node)>,
    registration: Option<(&Token, Counts)>,
    customer: Node,
) -> Node {
    let facts = token.device.as_deref().map(|device| device.facts.clone()).unwrap_or_default();
    let changed = token.device.as_deref().and_then(|device| device.refreshed_at);
    let mut fields = vec![
        ("id", token.id.as_str().into()),
        ("creationDate", Node::Text(dates::minute(token.created_at))),
        ("lastModifiedDate", changed.map(dates::minute).as_ref().into()),
    ];
    fields.extend(secrets);
    fields.extend([
        ("identifier", facts.identifier.as_ref().into()),
        ("fqdn", facts.hostname.as_ref().into()),
        ("macAddress", facts.mac_address.as_ref().into()),
        ("systemUserName", facts.system_user.as_ref().into()),
        ("refId1", facts.ref_id_1.as_ref().into()),
        ("refId2", facts.ref_id_2.as_ref().into()),
        ("registrationToken", origin(token, registration)),
        ("customer", customer),
    ]);
    Node::Object(fields)
}

fn waiting(token: &Token, device_code: &ClearSecret, public_url: &str) -> Node {
    let device = token.device.as_deref();
    let ends = device.and_then(|device| device.request_ends_at).unwrap_or(token.created_at);
    Node::Object(vec![
        ("id", token.id.as_str().into()),
        ("status", "pending".into()),
        ("device_code", device_code.reveal().into()),
        ("user_code", device.and_then(|device| device.user_code.as_ref()).into()),
        ("verification_uri", Node::Text(format!("{public_url}/device"))),
        ("interval", Node::Number(POLL_SECONDS)),
        ("expires_in", Node::Number(ends.seconds() - token.created_at.seconds())),
    ])
}

fn seconds_left(end: Option<Timestamp>, now: Timestamp) -> Option<i64> {
    end.map(|end| (end.seconds() - now.seconds()).max(0))
}

/// How this door answers a draw.
struct Redeemed<'a>(&'a Asked);

#[async_trait]
impl EnrolAnswer for Redeemed<'_> {
    async fn prepare(&self, drawn: &Drawn) -> Result<RenderEnrolment, Refusal> {
        let authority = &self.0.state.authority;
        let now = drawn.token.created_at;
        let access = authority.grant_access(&drawn.grant, now).await?;
        let unit = match &drawn.registration.unit {
            Some(id) => authority.store().unit_find(&self.0.realm, id).await?,
            None => None,
        };
        let customer = Node::Object(vec![
            ("id", unit.as_ref().map(|unit| &unit.id).into()),
            ("name", unit.as_ref().map(|unit| &unit.name).into()),
        ]);
        let (registration, secret) = (drawn.registration.clone(), drawn.secret.clone());
        let ends = seconds_left(drawn.grant.expires_at, now);
        let (format, public_url) = (self.0.format, self.0.state.settings.public_url.clone());
        Ok(Arc::new(move |token: &Token, counts| {
            let node = if token.pending {
                waiting(token, &secret, &public_url)
            } else {
                let secrets = secrets(&access, secret.reveal(), ends);
                node(token, secrets, Some((&registration, counts)), customer.clone())
            };
            Format::write(format, ROOT, &node)
        }))
    }
}

async fn redeemed(asked: &Asked, body: &[u8]) -> Result<Response, Fault> {
    let presented = asked.redeemer()?;
    let fields = Asked::fields(ROOT, body)?;
    let replay = asked.idempotency().await?.over(body);
    let request = EnrolRequest {
        realm: &asked.realm,
        presented: presented.reveal(),
        facts: facts(&fields),
        labels: BTreeMap::new(),
        confirmation: None,
        scopes: None,
        client: None,
        replay,
        context: asked.arrived.0.context(Door::Sentinel),
    };
    let answered = asked.state.authority.enrol(request, &Redeemed(asked)).await?;
    let status = if answered.is_waiting() { StatusCode::ACCEPTED } else { StatusCode::CREATED };
    Ok(asked.bytes(status, answered.into_body()))
}

/// Redeems a registration token.
pub(super) async fn create(asked: Asked, AnyBytes(body): AnyBytes) -> Response {
    let answered = redeemed(&asked, &body).await;
    if answered.as_ref().is_err_and(|fault| fault.status == StatusCode::UNAUTHORIZED) {
        asked.hold_back().await;
    }
    asked.said(answered)
}

/// The auth token that the path names, if it was drawn from the presented registration token.
async fn own(asked: &Asked, presented: &ClearSecret) -> Result<Token, Fault> {
    let registration = asked.proved(presented.reveal()).await?.ok_or_else(Fault::no_token)?;
    let store = asked.state.authority.store();
    let found = store.token_find(&asked.realm, asked.token_id()?).await.map_err(Refusal::from)?;
    let token = found.filter(|token| {
        token.kind == Kind::AuthToken
            && token.revocation.is_none()
            && token.sentinel.registration_token == Some(registration)
    });
    token.ok_or_else(Fault::not_found)
}

async fn renewed(asked: &Asked, body: &[u8]) -> Result<Response, Fault> {
    let presented = asked.redeemer()?;
    let fields = Asked::fields(ROOT, body)?;
    let token = own(asked, &presented).await?;
    let customer = customer_of(asked, token.unit.as_ref()).await?;
    // The registration token is shared: alone it proves nothing about one device's grant.
    let Some(refresh) = fields.first(&["refresh_token", "refreshToken"]) else {
        let node = node(&token, Vec::new(), None, customer);
        return Ok(asked.answer(StatusCode::OK, ROOT, &node));
    };
    let authority = &asked.state.authority;
    let shape = authority.shape(refresh);
    if !matches!(shape, Shape::Prefixed { kind: Kind::AuthToken, id } if id == token.id) {
        return Err(Fault::field("refresh_token", "is not that of this auth token"));
    }
    let request = RefreshRequest {
        realm: &asked.realm,
        presented: refresh,
        confirmation: None,
        scopes: None,
        context: asked.arrived.0.context(Door::Oauth),
    };
    let refreshment = authority.refresh(request).await?;
    let now = authority.now();
    let access = authority.grant_access(&refreshment.grant, now).await?;
    let ends = seconds_left(refreshment.grant.expires_at, now);
    let secrets = secrets(&access, refreshment.secret.reveal(), ends);
    let node = node(&refreshment.token, secrets, None, customer);
    Ok(asked.answer(StatusCode::OK, ROOT, &node))
}

/// Shows an auth token to who holds its registration token; a new access token only to who also
/// holds its refresh token.
pub(super) async fn renew(asked: Asked, AnyBytes(body): AnyBytes) -> Response {
    asked.said(renewed(&asked, &body).await)
}

async fn listed(asked: &Asked) -> Result<Response, Fault> {
    let caller = asked.caller().await?;
    let text = |name: &str| asked.query.get(name).filter(|text| !text.is_empty()).cloned();
    let registration = match text("registrationTokenId") {
        Some(id) => Some(TokenId::parse(&id).ok_or_else(Fault::not_found)?),
        None => None,
    };
    let filter = TokenFilter {
        kind: Some(Kind::AuthToken),
        registration,
        identifier: text("identifier"),
        ref_id_1: text("refId1"),
        ref_id_2: text("refId2"),
        hostname: text("fqdn"),
        system_user: text("systemUserName"),
        mac_address: text("macAddress"),
        unit: text("customerId"),
        ..TokenFilter::default()
    };
    let mut nodes = Vec::new();
    for token in matching(asked, &caller, filter).await? {
        let customer = customer_of(asked, token.unit.as_ref()).await?;
        nodes.push(node(&token, Vec::new(), None, customer));
    }
    Ok(asked.answer(StatusCode::OK, "authTokens", &page(asked, ROOT, nodes)?))
}

/// Lists and searches.
pub(super) async fn list(asked: Asked) -> Response {
    asked.said(listed(&asked).await)
}

async fn of_door(asked: &Asked) -> Result<(counterfoil_authority::caller::Caller, Token), Fault> {
    let caller = asked.caller().await?;
    let token = asked.state.authority.token(&caller, &asked.realm, asked.token_id()?).await?;
    if token.kind == Kind::AuthToken && token.revocation.is_none() {
        Ok((caller, token))
    } else {
        Err(Fault::not_found())
    }
}

/// Shows one.
pub(super) async fn show(asked: Asked) -> Response {
    let answered = async {
        let (_, token) = of_door(&asked).await?;
        let customer = customer_of(&asked, token.unit.as_ref()).await?;
        Ok(asked.answer(StatusCode::OK, ROOT, &node(&token, Vec::new(), None, customer)))
    };
    asked.said(answered.await)
}

/// Deletes one: its device has access no longer than its last access token.
pub(super) async fn delete(asked: Asked) -> Response {
    let answered = async {
        let (caller, token) = of_door(&asked).await?;
        let act = Act::Revoke { reason: Some("deleted at the Sentinel door".to_owned()) };
        asked.state.authority.change(&caller, &asked.realm, token.id, act, None).await?;
        Ok(StatusCode::NO_CONTENT.into_response())
    };
    asked.said(answered.await)
}

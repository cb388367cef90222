//! `/registrationTokens`: create, look, search, edit, delete, for administrators.

use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use counterfoil_authority::authority::{Act, Answered, Delivery, Expiry, IssueRequest, TokenEdit};
use counterfoil_authority::caller::Caller;
use counterfoil_authority::clock::Timestamp;
use counterfoil_authority::kind::Kind;
use counterfoil_authority::scope::ApiScope;
use counterfoil_authority::secret::{ClearSecret, TokenId};
use counterfoil_authority::service::Services;
use counterfoil_authority::store::{PageRequest, TokenFilter};
use counterfoil_authority::subject::Unit;
use counterfoil_authority::token::{AirlockAttributes, SentinelAttributes, State, Token};

use super::fault::Fault;
use super::search::{matching, page};
use super::wire::{Fields, Node};
use super::{Asked, dates};
use crate::http::body::AnyBytes;

/// The root of one object.
const ROOT: &str = "registrationToken";
/// The largest count.
const COUNT_MAX: u64 = 1_000_000;
/// Characters of an identifier and of a reference id at most.
const IDENTIFIER_LEN_MAX: usize = 100;
const REF_ID_LEN_MAX: usize = 255;

/// The zone in which the realm's days are counted.
pub(super) async fn zone(asked: &Asked) -> Result<String, Fault> {
    Ok(asked.state.authority.realm_facts(&asked.realm).await?.realm.zone.clone())
}

/// A customer as it is shown; empty where there is none.
pub(super) async fn customer_of(asked: &Asked, unit: Option<&String>) -> Result<Node, Fault> {
    let store = asked.state.authority.store();
    let found: Option<Unit> = match unit {
        Some(id) => store.unit_find(&asked.realm, id).await.map_err(down)?,
        None => None,
    };
    Ok(Node::Object(vec![
        ("id", found.as_ref().map(|unit| &unit.id).into()),
        ("name", found.as_ref().map(|unit| &unit.name).into()),
        ("identifier", found.as_ref().and_then(|unit| unit.identifier.as_ref()).into()),
        ("externalId", found.as_ref().and_then(|unit| unit.external_id.as_ref()).into()),
    ]))
}

fn down(error: counterfoil_authority::store::Unavailable) -> Fault {
    counterfoil_authority::refusal::Refusal::from(error).into()
}

/// The unit that a request names by any one of its names.
async fn unit_of(asked: &Asked, fields: &Fields) -> Result<Option<String>, Fault> {
    let name = |field: &str| fields.text(&format!("customer.{field}")).map(str::to_owned);
    let wanted = [name("id"), name("name"), name("identifier"), name("externalId")];
    if wanted.iter().all(Option::is_none) {
        return Ok(None);
    }
    let matches = |unit: &Unit| {
        let has =
            [Some(&unit.id), Some(&unit.name), unit.identifier.as_ref(), unit.external_id.as_ref()];
        wanted.iter().zip(has).all(|(wanted, has)| wanted.is_none() || wanted.as_ref() == has)
    };
    let mut request = PageRequest::first(1_000);
    loop {
        let store = asked.state.authority.store();
        let read = store.unit_list(&asked.realm, request).await.map_err(down)?;
        if let Some(unit) = read.items.iter().find(|unit| matches(unit)) {
            return Ok(Some(unit.id.clone()));
        }
        let Some(next) = read.next else {
            return Err(Fault::field("customer", "there is no such customer"));
        };
        request = PageRequest { limit: 1_000, after: Some(next) };
    }
}

/// The customer of a caller who administers just one.
fn implied(caller: &Caller, asked: &Asked) -> Option<String> {
    let reach = caller.reach(&asked.realm, ApiScope::RegistrationTokensWrite).ok()?;
    match reach.units.as_slice() {
        [unit] if !reach.whole => Some(unit.clone()),
        _ => None,
    }
}

fn count(fields: &Fields) -> Result<Option<u64>, Fault> {
    let Some(text) = fields.text("count") else { return Ok(None) };
    let count = text.parse::<u64>().ok().filter(|count| (1..=COUNT_MAX).contains(count));
    let why = || Fault::field("count", format!("must be a whole number from 1 to {COUNT_MAX}"));
    count.map(Some).ok_or_else(why)
}

fn flag(fields: &Fields) -> Result<Option<bool>, Fault> {
    match fields.text("isEnabled").map(str::to_ascii_lowercase).as_deref() {
        None => Ok(None),
        Some("true") => Ok(Some(true)),
        Some("false") => Ok(Some(false)),
        Some(_) => Err(Fault::field("isEnabled", "must be true or false")),
    }
}

/// The end that a request names, within the bounds of the door.
async fn end(asked: &Asked, fields: &Fields, now: Timestamp) -> Result<Option<Timestamp>, Fault> {
    let Some(text) = fields.first(&["expirationDate", "expiryDate"]) else { return Ok(None) };
    let zone = zone(asked).await?;
    let days = asked.state.settings.sentinel_validity_days_max;
    let end = dates::end(text, &zone)?;
    if end <= dates::end_of_day(now, 0, &zone)? {
        return Err(Fault::field("expirationDate", "must be tomorrow or later"));
    }
    if end > dates::end_of_day(now, days, &zone)? {
        return Err(Fault::field("expirationDate", format!("must be at most {days} days ahead")));
    }
    Ok(Some(end))
}

fn identifier(fields: &Fields) -> Result<Option<String>, Fault> {
    let Some(text) = fields.text("identifier") else { return Ok(None) };
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if text.len() > IDENTIFIER_LEN_MAX || !text.chars().all(plain) {
        let why = format!("takes up to {IDENTIFIER_LEN_MAX} letters, digits, `.`, `_` and `-`");
        return Err(Fault::field("identifier", why));
    }
    Ok(Some(text.to_owned()))
}

fn reference(fields: &Fields, name: &str) -> Result<Option<String>, Fault> {
    let Some(text) = fields.text(name) else { return Ok(None) };
    if text.chars().count() > REF_ID_LEN_MAX || text.chars().any(char::is_control) {
        return Err(Fault::field(name, format!("takes up to {REF_ID_LEN_MAX} characters")));
    }
    Ok(Some(text.to_owned()))
}

/// A token as it is shown; `secret` only in the answer that made it.
pub(super) async fn shown(
    asked: &Asked,
    token: &Token,
    secret: Option<&ClearSecret>,
) -> Result<Node, Fault> {
    let zone = zone(asked).await?;
    let now = asked.state.authority.now();
    let state = token.state(now);
    let ends = token.validity.expires_at().map(|end| dates::last_day(end, &zone));
    let sentinel = &token.sentinel;
    let masked = format!("{}r_{}_****", asked.state.authority.settings().prefix.as_str(), token.id);
    let mut fields = vec![
        ("id", token.id.as_str().into()),
        ("creationDate", Node::Text(dates::minute(token.created_at))),
        ("lastModifiedDate", token.changed_at.map(dates::minute).as_ref().into()),
        ("token", secret.map_or(masked, |secret| secret.reveal().to_owned()).as_str().into()),
        ("identifier", sentinel.identifier.as_ref().into()),
        ("count", sentinel.count.unwrap_or_default().into()),
        ("usedCount", token.used.into()),
        ("remainingCount", token.remaining().unwrap_or_default().into()),
        ("reservedCount", sentinel.reserved.into()),
        ("returnedCount", sentinel.returned.into()),
        ("status", status(state).into()),
        ("isEnabled", Node::Flag(token.enabled)),
        ("expirationDate", ends.as_ref().into()),
        ("expiryDate", ends.as_ref().into()),
        ("refId1", sentinel.ref_id_1.as_ref().into()),
        ("refId2", sentinel.ref_id_2.as_ref().into()),
    ];
    if state == State::Exhausted {
        fields.push(("exhausted", Node::Flag(true)));
    }
    fields.push(("customer", customer_of(asked, token.unit.as_ref()).await?));
    Ok(Node::Object(fields))
}

/// The three words that the product knows.
const fn status(state: State) -> &'static str {
    match state {
        State::Disabled | State::Locked | State::Revoked => "Disabled",
        State::Expired => "Expired",
        State::Pending | State::NotYetValid | State::Exhausted | State::Active => "Enabled",
    }
}

/// What is to be issued.
async fn draft(asked: &Asked, caller: &Caller, fields: &Fields) -> Result<IssueRequest, Fault> {
    let now = asked.state.authority.now();
    let ends = if let Some(end) = end(asked, fields, now).await? {
        end
    } else {
        let days = asked.state.settings.sentinel_validity_days_max;
        dates::end_of_day(now, days, &zone(asked).await?)?
    };
    let named = identifier(fields)?;
    let unit = unit_of(asked, fields).await?.or_else(|| implied(caller, asked));
    if let Some(identifier) = &named {
        let filter = TokenFilter {
            kind: Some(Kind::RegistrationToken),
            identifier: Some(identifier.clone()),
            unit: unit.clone(),
            ..TokenFilter::default()
        };
        if matching(asked, caller, filter).await?.iter().any(|token| token.unit == unit) {
            return Err(Fault::field("identifier", "is used for another token of this customer"));
        }
    }
    let generated = TokenId::generate(asked.state.authority.entropy());
    let generated = generated.map_err(counterfoil_authority::refusal::Refusal::from)?;
    let count = count(fields)?.ok_or_else(|| Fault::field("count", "is missing"))?;
    Ok(IssueRequest {
        disguise: None,
        kind: Kind::RegistrationToken,
        user: None,
        name: None,
        description: None,
        services: Some(Services::Named(Vec::new())),
        scopes: Vec::new(),
        permissions: None,
        expires: Expiry::At(ends),
        not_before: None,
        max_usages: None,
        networks: Vec::new(),
        doors: None,
        labels: std::collections::BTreeMap::new(),
        airlock: AirlockAttributes::default(),
        sentinel: SentinelAttributes {
            count: Some(count),
            identifier: Some(named.unwrap_or_else(|| generated.as_str().to_owned())),
            ref_id_1: reference(fields, "refId1")?,
            ref_id_2: reference(fields, "refId2")?,
            ..SentinelAttributes::default()
        },
        unit,
        secret: None,
        delivery: Delivery::Response,
        otp: None,
        repository: None,
    })
}

async fn created(asked: &Asked, body: &[u8]) -> Result<Response, Fault> {
    let caller = asked.caller().await?;
    let fields = Asked::fields(ROOT, body)?;
    let enabled = flag(&fields)?.unwrap_or(true);
    let draft = draft(asked, &caller, &fields).await?;
    let authority = &asked.state.authority;
    let answered = authority.issue(&caller, &asked.realm, draft, None).await?;
    let Answered::Fresh { mut token, secret } = answered else {
        return Err(Fault::invalid("the request was repeated"));
    };
    if !enabled {
        token = authority.change(&caller, &asked.realm, token.id, Act::Disable, None).await?;
    }
    let node = shown(asked, &token, Some(&secret)).await?;
    Ok(asked.answer(StatusCode::CREATED, ROOT, &node))
}

/// Creates a registration token.
pub(super) async fn create(asked: Asked, AnyBytes(body): AnyBytes) -> Response {
    asked.said(created(&asked, &body).await)
}

/// The tokens that the query names; by `token`, the one whose clear text it is.
async fn found(asked: &Asked, caller: &Caller, by: &Fields) -> Result<Vec<Token>, Fault> {
    let text = |name: &str| by.text(name).map(str::to_owned);
    let mut filter = TokenFilter {
        kind: Some(Kind::RegistrationToken),
        identifier: text("identifier"),
        ref_id_1: text("refId1"),
        ref_id_2: text("refId2"),
        unit: text("customerId"),
        ..TokenFilter::default()
    };
    if let Some(name) = text("customer") {
        let json = serde_json::json!({ "customer": { "name": name } }).to_string();
        filter.unit = unit_of(asked, &Asked::fields(ROOT, json.as_bytes())?).await?;
    }
    let mut tokens = match by.text("token") {
        Some(presented) => match asked.proved(presented).await? {
            Some(id) => vec![of_door(asked, caller, id).await?],
            None => Vec::new(),
        },
        None => matching(asked, caller, filter).await?,
    };
    let now = asked.state.authority.now();
    if let Some(wanted) = by.text("status") {
        tokens.retain(|token| status(token.state(now)).eq_ignore_ascii_case(wanted));
    }
    if let Some(wanted) = flag(by)? {
        tokens.retain(|token| token.enabled == wanted);
    }
    Ok(tokens)
}

/// A registration token within reach that was not deleted.
async fn of_door(asked: &Asked, caller: &Caller, id: TokenId) -> Result<Token, Fault> {
    let token = asked.state.authority.token(caller, &asked.realm, id).await?;
    if token.kind == Kind::RegistrationToken && token.revocation.is_none() {
        Ok(token)
    } else {
        Err(Fault::not_found())
    }
}

/// The one that the path names: an id, or `identifier=...` as with other resources.
async fn named(asked: &Asked, caller: &Caller) -> Result<Token, Fault> {
    let Some((key, value)) = asked.id.split_once('=') else {
        return of_door(asked, caller, asked.token_id()?).await;
    };
    let json = serde_json::json!({ key: value }).to_string();
    let mut tokens = found(asked, caller, &Asked::fields(ROOT, json.as_bytes())?).await?;
    match (tokens.pop(), tokens.is_empty()) {
        (Some(token), true) => Ok(token),
        (None, _) => Err(Fault::not_found()),
        (Some(_), false) => Err(Fault::field(key, "names several")),
    }
}

fn by_query(asked: &Asked) -> Result<Fields, Fault> {
    let json = serde_json::to_vec(&asked.query).unwrap_or_default();
    Asked::fields(ROOT, &json)
}

async fn listed(asked: &Asked, by: &Fields) -> Result<Response, Fault> {
    let caller = asked.caller().await?;
    let mut nodes = Vec::new();
    for token in found(asked, &caller, by).await? {
        nodes.push(shown(asked, &token, None).await?);
    }
    let list = page(asked, ROOT, nodes)?;
    Ok(asked.answer(StatusCode::OK, "registrationTokens", &list))
}

/// Lists and searches.
pub(super) async fn list(asked: Asked) -> Response {
    let answered = async { listed(&asked, &by_query(&asked)?).await }.await;
    asked.said(answered)
}

/// Searches by a body, so that a secret need not stand in an address.
pub(super) async fn search(asked: Asked, AnyBytes(body): AnyBytes) -> Response {
    let answered = async { listed(&asked, &Asked::fields(ROOT, &body)?).await }.await;
    asked.said(answered)
}

/// Shows one.
pub(super) async fn show(asked: Asked) -> Response {
    let answered = async {
        let caller = asked.caller().await?;
        let token = named(&asked, &caller).await?;
        Ok(asked.answer(StatusCode::OK, ROOT, &shown(&asked, &token, None).await?))
    };
    asked.said(answered.await)
}

async fn edited(asked: &Asked, body: &[u8]) -> Result<Response, Fault> {
    let caller = asked.caller().await?;
    let fields = Asked::fields(ROOT, body)?;
    let token = named(asked, &caller).await?;
    let (authority, enabled) = (&asked.state.authority, flag(&fields)?);
    let now = authority.now();
    match token.state(now) {
        State::Disabled if enabled != Some(true) => {
            return Err(Fault::disabled(StatusCode::BAD_REQUEST));
        }
        _ if token.validity.expires_at().is_some_and(|end| end <= now) => {
            return Err(Fault::expired(StatusCode::BAD_REQUEST));
        }
        _ => {}
    }
    let edit = TokenEdit {
        count: count(&fields)?.map(Some),
        expires: end(asked, &fields, now).await?.map(Expiry::At),
        identifier: identifier(&fields)?.map(Some),
        ref_id_1: reference(&fields, "refId1")?.map(Some),
        ref_id_2: reference(&fields, "refId2")?.map(Some),
        unit: unit_of(asked, &fields).await?.map(Some),
        ..TokenEdit::default()
    };
    let mut token = authority.edit_token(&caller, &asked.realm, token.id, edit, None).await?;
    let act = match enabled {
        Some(true) if !token.enabled => Some(Act::Enable),
        Some(false) if token.enabled => Some(Act::Disable),
        _ => None,
    };
    if let Some(act) = act {
        token = authority.change(&caller, &asked.realm, token.id, act, None).await?;
    }
    Ok(asked.answer(StatusCode::OK, ROOT, &shown(asked, &token, None).await?))
}

/// Edits one.
pub(super) async fn edit(asked: Asked, AnyBytes(body): AnyBytes) -> Response {
    asked.said(edited(&asked, &body).await)
}

async fn deleted(asked: &Asked, caller: &Caller, token: &Token) -> Result<Response, Fault> {
    let authority = &asked.state.authority;
    let is = |name: &str| asked.query.get(name).is_some_and(|text| text == "true");
    if is("dryRun") {
        let radius = authority.blast_radius(caller, &asked.realm, token.id).await?;
        let node = Node::Object(vec![
            ("authTokens", radius.active.into()),
            ("activeLast24h", radius.active_last_day.into()),
        ]);
        return Ok(asked.answer(StatusCode::OK, "blastRadius", &node));
    }
    let reason = Some("deleted at the Sentinel door".to_owned());
    if is("cascade") {
        let realm = &asked.realm;
        authority.revoke_with_children(caller, realm, token.id, reason, None).await?;
    } else {
        let act = Act::Revoke { reason };
        authority.change(caller, &asked.realm, token.id, act, None).await?;
    }
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Deletes one; what was drawn from it lives on unless `cascade=true`.
pub(super) async fn delete_one(asked: Asked) -> Response {
    let answered = async {
        let caller = asked.caller().await?;
        let token = named(&asked, &caller).await?;
        deleted(&asked, &caller, &token).await
    };
    asked.said(answered.await)
}

/// Deletes the one that the query names.
pub(super) async fn delete_found(asked: Asked) -> Response {
    let answered = async {
        let caller = asked.caller().await?;
        let keys = ["identifier", "refId1", "refId2", "token"];
        if !keys.iter().any(|key| asked.query.get(*key).is_some_and(|text| !text.is_empty())) {
            return Err(Fault::invalid(
                "name the token by id, identifier, refId1, refId2 or token",
            ));
        }
        let tokens = found(&asked, &caller, &by_query(&asked)?).await?;
        match tokens.as_slice() {
            [] => Err(Fault::not_found()),
            [token] => deleted(&asked, &caller, token).await,
            _ => Err(Fault::invalid("the query names several; delete them by id")),
        }
    };
    asked.said(answered.await)
}

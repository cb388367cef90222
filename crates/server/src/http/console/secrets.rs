//! New secrets: of a new token, and of one that is rotated. Shown once.
//!
//! The page with the secret is the answer to the form that asked for it. Its form holds a nonce,
//! which is the key under which the answer is kept for repetition, sealed to the session: a reload
//! sends the form again and gets the same answer, and never another token. So nothing in clear is
//! kept, and no GET has anything to show or to use up.

use std::collections::BTreeMap;
use std::sync::Arc;

use askama::Template;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::Response;
use counterfoil_authority::authority::{Answered, Delivery, Expiry, IssueRequest, Offer, Replay};
use counterfoil_authority::clock::{Entropy, NoEntropy};
use counterfoil_authority::kind::Kind;
use counterfoil_authority::names::ServiceLabel;
use counterfoil_authority::policy::EffectivePolicy;
use counterfoil_authority::refusal::{Refusal, Thing};
use counterfoil_authority::scope::Scope;
use counterfoil_authority::service::{Service, Services};
use counterfoil_authority::token::{AirlockAttributes, SentinelAttributes};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::home::{Row, is_web};
use super::page::{self, Frame};
use super::posted::{Fields, Posted};
use super::times::span;
use super::tokens::id_of;
use super::visit::Person;

const DAY: i64 = 86_400;
/// Lifetimes on offer where the service names none.
const PRESETS: [i64; 4] = [7 * DAY, 30 * DAY, 90 * DAY, 365 * DAY];
/// Scopes that a form offers where the service names none: those that are typed.
const SCOPES_TYPED_MAX: usize = 20;

/// A lifetime to choose.
pub(super) struct Choice {
    pub(super) value: String,
    pub(super) words: String,
    pub(super) chosen: bool,
}

pub(super) fn lifetimes(person: &Person, policy: &EffectivePolicy) -> Vec<Choice> {
    let language = person.visit.language;
    let own = &policy.lifetime_presets_seconds;
    let presets: Vec<i64> = if own.is_empty() { PRESETS.to_vec() } else { own.clone() };
    let most = policy.max_lifetime_seconds.unwrap_or(i64::MAX);
    let seconds = presets.into_iter().filter(|seconds| *seconds <= most);
    let mut choices =
        vec![Choice { value: String::new(), words: language.say("expiry-default"), chosen: true }];
    choices.extend(seconds.map(|seconds| Choice {
        value: seconds.to_string(),
        words: span(language, seconds),
        chosen: false,
    }));
    if !policy.must_expire && policy.max_lifetime_seconds.is_none() {
        let words = language.say("expiry-never");
        choices.push(Choice { value: "never".to_owned(), words, chosen: false });
    }
    choices
}

/// What makes the repetition of a form the same one.
pub(super) fn nonce(entropy: &dyn Entropy) -> Result<String, NoEntropy> {
    let mut bytes = [0; 16];
    entropy.fill(&mut bytes)?;
    Ok(data_encoding::HEXLOWER.encode(&bytes))
}

#[derive(Template)]
#[template(path = "console/new-token.html")]
struct Form<'a> {
    frame: &'a Frame,
    label: String,
    name: String,
    description: Option<String>,
    once: String,
    lifetimes: Vec<Choice>,
    /// Scopes on offer; `None`: any, typed.
    scopes: Option<Vec<String>>,
    approval: bool,
}

pub(super) async fn offered(person: &Person, label: &str) -> Result<(Service, Offer), Refusal> {
    let label = ServiceLabel::parse(label).map_err(|_| Refusal::NotFound(Thing::Service))?;
    let (authority, caller) = (&person.visit.state.authority, &person.signed_in.caller);
    let service = authority.service(caller, &caller.realm, &label).await?;
    let offer = authority.offer(caller, &caller.realm, &label).await?;
    Ok((service, offer))
}

/// The form for a new token.
pub(super) async fn form(person: Person, Path(label): Path<String>) -> Response {
    let gathered = async {
        let (service, offer) = offered(&person, &label).await?;
        Ok::<_, Refusal>((service, offer, nonce(person.visit.state.authority.entropy())?))
    };
    match gathered.await {
        Ok((service, Offer { policy, .. }, once)) => {
            let frame = person.frame();
            let page = Form {
                frame: &frame,
                label: service.label.to_string(),
                name: service.name,
                description: service.description,
                once,
                lifetimes: lifetimes(&person, &policy),
                scopes: policy.scopes,
                approval: policy.approval,
            };
            page::show(StatusCode::OK, &page)
        }
        Err(refusal) => person.failed(refusal),
    }
}

pub(super) fn wish(label: &str, fields: &Fields) -> Result<IssueRequest, Refusal> {
    let label = ServiceLabel::parse(label).map_err(|_| Refusal::NotFound(Thing::Service))?;
    let kind = match fields.get("kind") {
        "service_token" => Kind::ServiceToken,
        "personal_access_token" => Kind::PersonalAccessToken,
        _ => return Err(Refusal::invalid("kind", "is none of those on offer")),
    };
    let expires = match fields.get("expires") {
        "" => Expiry::Default,
        "never" => Expiry::Never,
        seconds => match seconds.parse() {
            Ok(seconds @ 1..=3_162_240_000) => Expiry::After(seconds),
            _ => return Err(Refusal::invalid("expires", "is none of those on offer")),
        },
    };
    let typed = fields.all("scope").flat_map(str::split_ascii_whitespace);
    let scopes: Vec<Scope> = typed
        .map(|text| Scope::parse(text).map_err(|bad| Refusal::invalid("scope", bad)))
        .collect::<Result<_, _>>()?;
    if scopes.len() > SCOPES_TYPED_MAX {
        return Err(Refusal::invalid("scope", "are too many at once"));
    }
    let name = fields.text("name").filter(|name| name.chars().count() <= 255);
    let name = name.ok_or_else(|| Refusal::invalid("name", "must have 1 to 255 characters"))?;
    if name.chars().any(char::is_control) {
        return Err(Refusal::invalid("name", "is one line"));
    }
    Ok(IssueRequest {
        kind,
        user: None,
        name: Some(name),
        description: None,
        services: Some(Services::Named(vec![label])),
        scopes,
        permissions: None,
        expires,
        not_before: None,
        max_usages: None,
        networks: Vec::new(),
        doors: None,
        labels: BTreeMap::new(),
        airlock: AirlockAttributes::default(),
        sentinel: SentinelAttributes::default(),
        unit: None,
        secret: None,
        delivery: Delivery::Response,
        otp: None,
        repository: None,
    })
}

/// What is kept of an answer for its repetition.
#[derive(Serialize, Deserialize)]
pub(super) struct Kept {
    pub(super) token: String,
    pub(super) secret: String,
}

pub(super) fn replay(fields: &Fields) -> Result<Replay, Refusal> {
    let once = fields.get("once");
    if once.len() != 32 || !once.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(Refusal::invalid("once", "is missing: open the form again"));
    }
    Ok(Replay {
        key: format!("console {once}"),
        fingerprint: fields.digest(),
        render: Arc::new(|token, secret| {
            let kept = Kept { token: token.id.to_string(), secret: secret.reveal().to_owned() };
            // Two strings cannot fail to be written.
            let bytes = serde_json::to_vec(&kept).unwrap_or_default();
            drop(Zeroizing::new(kept.secret));
            bytes
        }),
    })
}

#[derive(Template)]
#[template(path = "console/secret.html")]
struct Shown<'a> {
    frame: &'a Frame,
    row: Row,
    username: &'a str,
    secret: &'a str,
    services: String,
    /// Where the service is, if it has a page.
    url: Option<String>,
    is_bearer: bool,
    waits: bool,
}

/// The page with the secret, the first time and whenever the same form comes again.
pub(super) async fn shown(
    person: &Person,
    answered: Answered,
    url: Option<String>,
) -> Result<Response, Refusal> {
    let (authority, caller) = (&person.visit.state.authority, &person.signed_in.caller);
    let (token, secret) = match answered {
        Answered::Fresh { token, secret } => (token, Zeroizing::new(secret.reveal().to_owned())),
        Answered::Replayed(bytes) => {
            let bytes = Zeroizing::new(bytes);
            let kept: Kept = serde_json::from_slice(&bytes)
                .map_err(|_| Refusal::invalid("once", "was used for something else"))?;
            let secret = Zeroizing::new(kept.secret);
            (authority.token(caller, &caller.realm, id_of(&kept.token)?).await?, secret)
        }
    };
    let frame = person.frame();
    let page = Shown {
        frame: &frame,
        row: Row::of(person.visit.language, &token, authority.now()),
        username: person.username(),
        secret: &secret,
        services: match &token.services {
            Services::All => frame.say("token-every-service"),
            Services::Named(labels) => {
                labels.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
            }
        },
        url,
        is_bearer: token.kind == Kind::PersonalAccessToken,
        waits: token.pending,
    };
    Ok(page::show(StatusCode::OK, &page))
}

/// Makes a token and shows its secret.
pub(super) async fn issue(Path(label): Path<String>, form: Posted) -> Response {
    let Posted { person, fields } = form;
    let (authority, caller) = (&person.visit.state.authority, &person.signed_in.caller);
    let issued = async {
        let (request, replay) = (wish(&label, &fields)?, replay(&fields)?);
        // Before the act: what is made is shown, whatever else can be read then.
        let url = offered(&person, &label).await?.0.url.filter(|url| is_web(url));
        let answered = authority.issue(caller, &caller.realm, request, Some(replay)).await?;
        shown(&person, answered, url).await
    };
    issued.await.unwrap_or_else(|refusal| person.failed(refusal))
}

#[derive(Template)]
#[template(path = "console/rotate.html")]
struct Rotation<'a> {
    frame: &'a Frame,
    row: Row,
    once: String,
}

/// What a rotation does, and the button for it.
pub(super) async fn rotation(person: Person, Path(id): Path<String>) -> Response {
    let (authority, caller) = (&person.visit.state.authority, &person.signed_in.caller);
    let gathered = async {
        let token = authority.token(caller, &caller.realm, id_of(&id)?).await?;
        Ok::<_, Refusal>((token, nonce(authority.entropy())?))
    };
    match gathered.await {
        Ok((token, once)) => {
            let frame = person.frame();
            let row = Row::of(person.visit.language, &token, authority.now());
            page::show(StatusCode::OK, &Rotation { frame: &frame, row, once })
        }
        Err(refusal) => person.failed(refusal),
    }
}

/// Gives a token a new secret and shows it.
pub(super) async fn rotate(Path(id): Path<String>, form: Posted) -> Response {
    let Posted { person, fields } = form;
    let (authority, caller) = (&person.visit.state.authority, &person.signed_in.caller);
    let rotated = async {
        let (id, replay) = (id_of(&id)?, replay(&fields)?);
        let overlap = match fields.get("overlap") {
            "" => None,
            "none" => Some(0),
            _ => return Err(Refusal::invalid("overlap", "is none of those on offer")),
        };
        let realm = &caller.realm;
        let answered = authority.rotate(caller, realm, id, overlap, None, Some(replay)).await?;
        shown(&person, answered, None).await
    };
    rotated.await.unwrap_or_else(|refusal| person.failed(refusal))
}

//! New secrets: of a new token, and of one that is rotated. Shown once.
//!
//! The page with the secret is the answer to the form that asked for it. Its form holds a nonce,
//! which is the key under which the answer is kept for repetition, sealed to the session: a reload
//! sends the form again and gets the same answer, and never another token. So nothing in clear is
//! kept, and no GET has anything to show or to use up.

use std::sync::Arc;

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;
use counterfoil_authority::authority::{Answered, Delivery, Expiry, IssueRequest, Offer, Replay};
use counterfoil_authority::clock::{Entropy, NoEntropy};
use counterfoil_authority::kind::Kind;
use counterfoil_authority::names::ServiceLabel;
use counterfoil_authority::policy::{
    DEFAULT_LIFETIME_SECONDS, DEFAULT_ROTATION_OVERLAP_SECONDS, EffectivePolicy,
};
use counterfoil_authority::refusal::{Refusal, Thing};
use counterfoil_authority::scope::Scope;
use counterfoil_authority::secret::TokenId;
use counterfoil_authority::service::{Service, Services};
use counterfoil_authority::token::Token;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::home::Row;
use super::page::{self, Frame};
use super::posted::{Fields, PostedLately, word};
use super::qr::Picture;
use super::recipes::{Ingredients, Recipe};
use super::services::offered;
use super::times::span;
use super::tokens::id_of;
use super::uses::{self, Whence};
use super::visit::Person;
use super::words::Language;
use crate::http::query::Named;

const DAY: i64 = 86_400;
/// Lifetimes on offer where the service names none.
const PRESETS: [i64; 4] = [7 * DAY, 30 * DAY, 90 * DAY, 365 * DAY];
/// Scopes that a form offers where the service names none: those that are typed.
const SCOPES_TYPED_MAX: usize = 20;
/// Networks that a form takes.
const NETWORKS_MAX: usize = 20;

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
    let usual = policy.default_lifetime_seconds.unwrap_or(DEFAULT_LIFETIME_SECONDS).min(most);
    let words = language.about("expiry-default", span(language, usual));
    let mut choices = vec![Choice { value: String::new(), words, chosen: true }];
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
    scopes: Option<Vec<Right>>,
    approval: bool,
}

/// A scope on offer.
struct Right {
    scope: String,
    /// What it is likely to mean.
    words: Option<String>,
}

/// Words of scopes that say what is done; what with stands before or behind them.
const DEEDS: [(&str, &str); 9] = [
    ("read", "scope-read"),
    ("list", "scope-read"),
    ("write", "scope-write"),
    ("push", "scope-write"),
    ("create", "scope-create"),
    ("delete", "scope-delete"),
    ("admin", "scope-admin"),
    ("manage", "scope-admin"),
    ("*", "scope-everything"),
];

/// A scope in words, as far as its name has a usual form: `orders:read`, `read:orders`, `read`.
fn in_words(language: Language, scope: &str) -> Option<String> {
    let parts: Vec<&str> = scope.split([':', '.', '/']).collect();
    let deed = |part: &str| DEEDS.iter().find(|(word, _)| *word == part).map(|(_, id)| *id);
    match parts.as_slice() {
        [one] => Some(language.say(&format!("{}-all", deed(one)?))),
        [what, last] => match deed(last) {
            Some(id) => Some(language.about(id, what)),
            None => Some(language.about(deed(what)?, last)),
        },
        _ => None,
    }
}

/// The form for a new token.
pub(super) async fn form(person: Person, Named(label): Named) -> Response {
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
                scopes: policy.scopes.map(|scopes| {
                    let words = |scope: &str| in_words(person.visit.language, scope);
                    let right = |scope: String| Right { words: words(&scope), scope };
                    scopes.into_iter().map(right).collect()
                }),
                approval: policy.approval,
            };
            page::show(StatusCode::OK, &page)
        }
        Err(refusal) => person.failed(refusal),
    }
}

/// Networks as people write them: blocks and addresses, with blanks or commas between them.
fn networks(fields: &Fields) -> Result<Vec<IpNet>, Refusal> {
    let typed = fields.get("networks").split([' ', ',', '\t', '\r', '\n']);
    let named = typed.filter_map(|text| word("networks", text).transpose());
    let networks = named.collect::<Result<Vec<IpNet>, Refusal>>()?;
    if networks.len() > NETWORKS_MAX {
        return Err(Refusal::invalid("networks", "are too many at once"));
    }
    Ok(networks)
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
    Ok(IssueRequest {
        name: Some(fields.title("name")?),
        services: Some(Services::Named(vec![label])),
        scopes,
        expires,
        networks: networks(fields)?,
        delivery: Delivery::Response,
        ..IssueRequest::of(kind, None)
    })
}

/// What is kept of an answer for its repetition.
#[derive(Serialize, Deserialize)]
pub(super) struct Kept {
    pub(super) token: String,
    pub(super) secret: String,
}

impl Kept {
    /// Which token it was, and its secret.
    pub(super) fn read(bytes: &[u8]) -> Result<(TokenId, Zeroizing<String>), Refusal> {
        let kept: Self = serde_json::from_slice(bytes)
            .map_err(|_| Refusal::invalid("once", "was used for something else"))?;
        let secret = Zeroizing::new(kept.secret);
        Ok((id_of(&kept.token)?, secret))
    }
}

/// Makes the repetition of a form the same one.
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
    /// How it is used at its service, with the secret in place; the first one is the likeliest.
    recipes: Vec<Recipe>,
    picture: Option<Picture>,
    waits: bool,
}

/// The page with the secret, the first time and whenever the same form comes again.
pub(super) async fn shown(
    person: &Person,
    answered: Answered,
    at: Option<(Service, Offer)>,
) -> Result<Response, Refusal> {
    let (authority, caller) = (&person.visit.state.authority, &person.signed_in.caller);
    let (token, secret) = match answered {
        Answered::Fresh { token, secret } => (token, Zeroizing::new(secret.reveal().to_owned())),
        Answered::Replayed(bytes) => {
            let (id, secret) = Kept::read(&Zeroizing::new(bytes))?;
            (authority.token(caller, &caller.realm, id).await?, secret)
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
        recipes: at.map_or_else(Vec::new, |at| recipes(person, &at, &token, &secret)),
        picture: Picture::of(&secret),
        waits: token.pending,
    };
    Ok(page::show(StatusCode::OK, &page))
}

/// How a token is used at a service, with its secret in place.
fn recipes(person: &Person, at: &(Service, Offer), token: &Token, secret: &str) -> Vec<Recipe> {
    let (service, offer) = at;
    let ingredients = Ingredients {
        language: person.visit.language,
        settings: &person.visit.state.settings,
        service,
        policy: &offer.policy,
        username: token.owner.name(),
        secret: Some(secret),
        is_bearer: token.kind == Kind::PersonalAccessToken,
    };
    ingredients.of_person()
}

/// The one service of a token that is for one.
async fn service_of(person: &Person, token: &Token) -> Result<Option<(Service, Offer)>, Refusal> {
    let Services::Named(labels) = &token.services else { return Ok(None) };
    let [label] = labels.as_slice() else { return Ok(None) };
    match offered(person, label.as_str()).await {
        Ok(at) => Ok(Some(at)),
        // It may be hidden from whose the token is.
        Err(Refusal::NotFound(_)) => Ok(None),
        Err(refusal) => Err(refusal),
    }
}

/// Makes a token and shows its secret.
pub(super) async fn issue(Named(label): Named, form: PostedLately) -> Response {
    let PostedLately { person, fields } = form;
    let (authority, caller) = (&person.visit.state.authority, &person.signed_in.caller);
    let issued = async {
        let (request, replay) = (wish(&label, &fields)?, replay(&fields)?);
        // Before the act: what is made is shown, whatever else can be read then.
        let at = offered(&person, &label).await?;
        let answered = authority.issue(caller, &caller.realm, request, Some(replay)).await?;
        shown(&person, answered, Some(at)).await
    };
    issued.await.unwrap_or_else(|refusal| person.failed(refusal))
}

#[derive(Template)]
#[template(path = "console/rotate.html")]
struct Rotation<'a> {
    frame: &'a Frame,
    row: Row,
    once: String,
    /// How long the former secret goes on working.
    overlap: Option<String>,
    /// Who has to be told of the new one.
    whence: Vec<Whence>,
}

/// What a rotation does, and the button for it.
pub(super) async fn rotation(person: Person, Named(id): Named) -> Response {
    let (authority, caller) = (&person.visit.state.authority, &person.signed_in.caller);
    let gathered = async {
        let token = authority.token(caller, &caller.realm, id_of(&id)?).await?;
        let at = service_of(&person, &token).await?;
        let days = authority.token_days(caller, &caller.realm, token.id).await?;
        Ok::<_, Refusal>((token, at, days, nonce(authority.entropy())?))
    };
    match gathered.await {
        Ok((token, at, days, once)) => {
            let (frame, language) = (person.frame(), person.visit.language);
            let row = Row::of(language, &token, authority.now());
            let stated = at.map(|(_, offer)| offer.policy.rotation_overlap_seconds);
            let overlap = stated.unwrap_or(DEFAULT_ROTATION_OVERLAP_SECONDS);
            let overlap = (overlap > 0).then(|| span(language, overlap));
            let whence = uses::whence(language, &days, authority.now());
            let page = Rotation { frame: &frame, row, once, overlap, whence };
            page::show(StatusCode::OK, &page)
        }
        Err(refusal) => person.failed(refusal),
    }
}

/// Gives a token a new secret and shows it.
pub(super) async fn rotate(Named(id): Named, form: PostedLately) -> Response {
    let PostedLately { person, fields } = form;
    let (authority, caller) = (&person.visit.state.authority, &person.signed_in.caller);
    let rotated = async {
        let (id, replay) = (id_of(&id)?, replay(&fields)?);
        let overlap = match fields.get("overlap") {
            "" => None,
            "none" => Some(0),
            _ => return Err(Refusal::invalid("overlap", "is none of those on offer")),
        };
        let realm = &caller.realm;
        // Before the act, as above.
        let token = authority.token(caller, realm, id).await?;
        let at = service_of(&person, &token).await?;
        let answered = authority.rotate(caller, realm, id, overlap, None, Some(replay)).await?;
        shown(&person, answered, at).await
    };
    rotated.await.unwrap_or_else(|refusal| person.failed(refusal))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_of_the_usual_forms_have_words() {
        let words = |scope| in_words(Language::English, scope);
        assert_eq!(words("orders:read").as_deref(), Some("Read: orders"));
        assert_eq!(words("read:orders").as_deref(), Some("Read: orders"));
        assert_eq!(words("write").as_deref(), Some("Change"));
        assert_eq!(words("orders:*").as_deref(), Some("Everything: orders"));
        for other in ["orders", "a:b", "a:b:read", "reader"] {
            assert_eq!(words(other), None, "{other}");
        }
        for language in [Language::English, Language::German] {
            for (_, id) in DEEDS {
                for id in [id.to_owned(), format!("{id}-all")] {
                    assert_ne!(language.about(&id, "x"), id);
                }
            }
        }
    }
}

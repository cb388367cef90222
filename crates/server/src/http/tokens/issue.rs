//! Issuing and editing: what may be said of a token, read into what the authority decides on.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use counterfoil_authority::authority::{Expiry, IssueRequest, TokenEdit};
use counterfoil_authority::clock::DayEdge;
use counterfoil_authority::kind::Kind;
use counterfoil_authority::names::{RealmName, ServiceLabel};
use counterfoil_authority::secret::TokenId;
use counterfoil_authority::service::Services;
use counterfoil_authority::token::{AirlockAttributes, SentinelAttributes};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::{TokenBody, answer, replay};
use crate::http::body::Payload;
use crate::http::caller::Authenticated;
use crate::http::precondition::{IdempotencyKey, IfMatch};
use crate::http::problem::{Problem, Sort};
use crate::http::query::{At, instant};
use crate::http::responses::Acts;
use crate::http::state::AppState;
use crate::http::wire::{
    DoorList, KindWord, Labels, Line, LineWord, List, NetworkList, ParagraphsWord, Parsed, ScopeList,
    SecretWord, ServiceWord, UserWord, WhenWord, Word, not_null, present, versioned,
};

/// Bytes of constraints or of a stamp at most, as JSON text.
const DOCUMENT_BYTES_MAX: usize = 8192;
/// The highest number of a free element.
const GENERIC_DATA_MAX: u8 = 12;

/// A token with its secret, shown this once.
#[derive(Serialize, ToSchema)]
pub struct TokenIssued {
    /// The token.
    pub token: TokenBody,
    /// Its secret in clear.
    pub secret: String,
}

/// One of a token's services: a label, or `*`.
#[derive(Debug, Clone)]
pub struct ServiceChoice(Option<ServiceLabel>);

impl Word for ServiceChoice {
    const NAME: &'static str = "ServiceChoice";

    fn read(text: &str) -> Result<Self, String> {
        if text == "*" {
            return Ok(Self(None));
        }
        ServiceLabel::parse(text).map(|label| Self(Some(label))).map_err(|bad| bad.to_string())
    }

    fn narrow(
        object: utoipa::openapi::schema::ObjectBuilder,
    ) -> utoipa::openapi::schema::ObjectBuilder {
        object.pattern(Some(r"^(\*|[a-z0-9][a-z0-9._-]*)$")).max_length(Some(63))
    }
}

/// Services of a token.
pub type ServiceChoices = List<ServiceChoice>;

/// Free elements, `1` to `12`.
#[derive(Debug, Default)]
pub struct GenericData(BTreeMap<u8, String>);

impl<'de> Deserialize<'de> for GenericData {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Labels(named) = Labels::deserialize(deserializer)?;
        let numbered = named.into_iter().map(|(name, value)| {
            let number = name.parse().ok().filter(|n| (1..=GENERIC_DATA_MAX).contains(n));
            let why = "its names are the numbers 1 to 12";
            number.map(|n| (n, value)).ok_or_else(|| serde::de::Error::custom(why))
        });
        numbered.collect::<Result<_, _>>().map(Self)
    }
}

/// A JSON object of limited size that is kept as text.
#[derive(Debug)]
pub struct Document(String);

impl<'de> Deserialize<'de> for Document {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let map = serde_json::Map::<String, Value>::deserialize(deserializer)?;
        let text = Value::Object(map).to_string();
        if text.len() > DOCUMENT_BYTES_MAX {
            let why = format!("must have at most {DOCUMENT_BYTES_MAX} bytes");
            return Err(serde::de::Error::custom(why));
        }
        Ok(Self(text))
    }
}

/// A token to issue.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TokenCreate {
    kind: KindWord,
    /// Whose it is to be; the caller unless given.
    user: Option<UserWord>,
    name: Option<LineWord>,
    description: Option<ParagraphsWord>,
    /// The one service of a service token.
    service: Option<ServiceWord>,
    /// What a personal access token is to be good for; `["*"]` where policy allows it.
    services: Option<ServiceChoices>,
    scopes: Option<ScopeList>,
    #[schema(value_type = Option<Object>)]
    permissions: Option<Value>,
    /// RFC 3339 with offset, or a date whose end it is. `null`: never. Absent: as policy says.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<WhenWord>)]
    expires_at: Option<Option<WhenWord>>,
    /// Instead of `expires_at`: seconds from `not_before`.
    #[schema(minimum = 1)]
    lifetime_seconds: Option<i64>,
    /// RFC 3339 with offset, or a date whose start it is; now unless given.
    not_before: Option<WhenWord>,
    /// Uses allowed in all.
    max_usages: Option<u64>,
    /// Auth tokens that may be drawn from a registration token.
    count: Option<u64>,
    networks: Option<NetworkList>,
    doors: Option<DoorList>,
    labels: Option<Labels>,
    serial: Option<LineWord>,
    tracking_id: Option<LineWord>,
    #[schema(value_type = Option<Labels>)]
    generic_data: Option<GenericData>,
    identifier: Option<LineWord>,
    ref_id_1: Option<LineWord>,
    ref_id_2: Option<LineWord>,
    unit: Option<LineWord>,
    /// Conditions on who may draw.
    #[schema(value_type = Option<Object>)]
    constraints: Option<Document>,
    /// How drawing is approved.
    approval: Option<LineWord>,
    /// What every drawn token receives.
    #[schema(value_type = Option<Object>)]
    stamp: Option<Document>,
    /// `response`; `link` is not available in this release.
    delivery: Option<DeliveryWord>,
    /// A self-chosen secret, where the service's policy allows one.
    secret: Option<SecretWord>,
}

/// How the secret reaches its owner.
pub type DeliveryWord = Parsed<Delivery>;

/// How the secret reaches its owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// In the answer.
    Response,
    /// By a one-time link.
    Link,
}

impl Word for Delivery {
    const NAME: &'static str = "Delivery";

    fn read(text: &str) -> Result<Self, String> {
        match text {
            "response" => Ok(Self::Response),
            "link" => Ok(Self::Link),
            _ => Err("expected response or link".to_owned()),
        }
    }

    fn narrow(
        object: utoipa::openapi::schema::ObjectBuilder,
    ) -> utoipa::openapi::schema::ObjectBuilder {
        object.enum_values(Some(["response", "link"]))
    }
}

fn text(line: Option<Parsed<Line>>) -> Option<String> {
    line.map(|line| line.0.0)
}

fn chosen(choices: ServiceChoices) -> Result<Services, Problem> {
    let count = choices.0.len();
    let mut labels: Vec<ServiceLabel> =
        choices.0.into_iter().filter_map(|choice| choice.0).collect();
    match (count - labels.len(), labels.is_empty()) {
        (0, _) => {
            let mut seen = std::collections::BTreeSet::new();
            labels.retain(|label| seen.insert(label.clone()));
            Ok(Services::Named(labels))
        }
        (_, true) => Ok(Services::All),
        _ => Err(Problem::invalid("services", "* stands alone")),
    }
}

impl TokenCreate {
    fn services(&mut self) -> Result<Option<Services>, Problem> {
        match (self.service.take(), self.services.take()) {
            (Some(_), Some(_)) => Err(Problem::invalid("services", "name service or services")),
            (Some(label), None) => Ok(Some(Services::Named(vec![label.0]))),
            (None, Some(choices)) => chosen(choices).map(Some),
            (None, None) => Ok(None),
        }
    }

    async fn expiry(&self, state: &AppState, realm: &RealmName) -> Result<Expiry, Problem> {
        match (&self.expires_at, self.lifetime_seconds) {
            (Some(_), Some(_)) => {
                Err(Problem::invalid("lifetime_seconds", "give it or expires_at, not both"))
            }
            (None, Some(seconds)) if seconds < 1 => {
                Err(Problem::invalid("lifetime_seconds", "must be at least 1"))
            }
            (None, Some(seconds)) => Ok(Expiry::After(seconds)),
            (None, None) => Ok(Expiry::Default),
            (Some(None), None) => Ok(Expiry::Never),
            (Some(Some(when)), None) => {
                let end = instant(state, realm, "expires_at", &when.0, DayEdge::End).await?;
                Ok(Expiry::At(end))
            }
        }
    }

    async fn read(mut self, state: &AppState, realm: &RealmName) -> Result<IssueRequest, Problem> {
        if self.delivery.as_ref().is_some_and(|delivery| delivery.0 == Delivery::Link) {
            let why = "delivery: links come with a later release; use response";
            return Err(Problem::new(Sort::NotAvailable, why).about("delivery"));
        }
        let counts = self.kind.0 == Kind::RegistrationToken;
        for (name, given) in [("count", self.count.is_some()), ("stamp", self.stamp.is_some())] {
            if given && !counts {
                return Err(Problem::invalid(name, "belongs to registration tokens"));
            }
        }
        if self.count == Some(0) {
            return Err(Problem::invalid("count", "must be at least 1; null is unlimited"));
        }
        let not_before = match &self.not_before {
            Some(when) => {
                Some(instant(state, realm, "not_before", &when.0, DayEdge::Start).await?)
            }
            None => None,
        };
        let expires = self.expiry(state, realm).await?;
        let services = self.services()?;
        Ok(IssueRequest {
            kind: self.kind.0,
            user: self.user.map(|user| user.0),
            name: text(self.name),
            description: self.description.map(|text| text.0.0),
            services,
            scopes: self.scopes.unwrap_or_default().0,
            permissions: self.permissions,
            expires,
            not_before,
            max_usages: self.max_usages,
            networks: self.networks.unwrap_or_default().0,
            doors: self.doors.map(|doors| doors.0),
            labels: self.labels.unwrap_or_default().0,
            airlock: AirlockAttributes {
                serial: text(self.serial),
                tracking_id: text(self.tracking_id),
                generic_data: self.generic_data.unwrap_or_default().0,
                ..AirlockAttributes::default()
            },
            sentinel: SentinelAttributes {
                count: self.count,
                identifier: text(self.identifier),
                ref_id_1: text(self.ref_id_1),
                ref_id_2: text(self.ref_id_2),
                constraints: self.constraints.map(|document| document.0),
                stamp: self.stamp.map(|document| document.0),
                approval: text(self.approval),
                ..SentinelAttributes::default()
            },
            unit: text(self.unit),
            secret: self.secret.map(|secret| secret.0),
        })
    }
}

/// Issues a token. Its secret is shown in this answer and never again.
#[utoipa::path(
    post, path = "/api/v1/realms/{realm}/tokens", tag = "tokens",
    params(
        ("realm" = String, Path, description = "The realm"),
        ("Idempotency-Key" = Option<String>, Header,
         description = "The same key and body give the same answer again"),
    ),
    request_body = TokenCreate,
    responses((status = 201, description = "Issued", body = TokenIssued), Acts)
)]
pub async fn token_issue(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    At(realm): At<RealmName>,
    idempotency: IdempotencyKey,
    Payload { value, bytes }: Payload<TokenCreate>,
) -> Result<Response, Problem> {
    let now = state.authority.now();
    let replay = replay(idempotency, &bytes, now);
    let request = value.read(&state, &realm).await?;
    let answered = state.authority.issue(&caller, &realm, request, replay).await?;
    Ok(answer(StatusCode::CREATED, answered, now))
}

/// What to change of a token; `null` clears, lists and objects are replaced.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TokenPatch {
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<LineWord>)]
    name: Option<Option<LineWord>>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<ParagraphsWord>)]
    description: Option<Option<ParagraphsWord>>,
    #[serde(default, deserialize_with = "not_null")]
    #[schema(value_type = Labels, required = false)]
    labels: Option<Labels>,
    /// RFC 3339 with offset, or a date whose end it is. `null`: never.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<WhenWord>)]
    expires_at: Option<Option<WhenWord>>,
    #[serde(default, deserialize_with = "not_null")]
    #[schema(value_type = ServiceChoices, required = false)]
    services: Option<ServiceChoices>,
    #[serde(default, deserialize_with = "not_null")]
    #[schema(value_type = ScopeList, required = false)]
    scopes: Option<ScopeList>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<Object>)]
    permissions: Option<Option<Value>>,
    #[serde(default, deserialize_with = "not_null")]
    #[schema(value_type = NetworkList, required = false)]
    networks: Option<NetworkList>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<DoorList>)]
    doors: Option<Option<DoorList>>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<LineWord>)]
    unit: Option<Option<LineWord>>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<LineWord>)]
    serial: Option<Option<LineWord>>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<LineWord>)]
    tracking_id: Option<Option<LineWord>>,
    #[serde(default, deserialize_with = "not_null")]
    #[schema(value_type = Labels, required = false)]
    generic_data: Option<GenericData>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<LineWord>)]
    identifier: Option<Option<LineWord>>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<LineWord>)]
    ref_id_1: Option<Option<LineWord>>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<LineWord>)]
    ref_id_2: Option<Option<LineWord>>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<u64>)]
    max_usages: Option<Option<u64>>,
}

impl TokenPatch {
    async fn read(self, state: &AppState, realm: &RealmName) -> Result<TokenEdit, Problem> {
        let line = |value: Option<Option<LineWord>>| value.map(text);
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

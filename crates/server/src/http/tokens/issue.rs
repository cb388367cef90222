//! Issuing: what may be said of a new token, read into what the authority decides on.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use counterfoil_authority::authority::{
    Answered, Delivery, Expiry, IssueRequest, Replay, RepositoryWish,
};
use counterfoil_authority::clock::DayEdge;
use counterfoil_authority::kind::Kind;
use counterfoil_authority::names::RealmName;
use counterfoil_authority::otp::Method;
use counterfoil_authority::policy::LIFETIME_SECONDS_MAX;
use counterfoil_authority::secret::ClearSecret;
use counterfoil_authority::service::Services;
use counterfoil_authority::token::{AirlockAttributes, SentinelAttributes, Token};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::TokenBody;
use super::fields::{
    DeliveryWord, Document, GenericData, ServiceChoices, check_count, chosen, text,
};
use super::otp::{OtpWish, TokenEnrolled};
use crate::http::body::Payload;
use crate::http::caller::Authenticated;
use crate::http::links::link_url;
use crate::http::precondition::IdempotencyKey;
use crate::http::problem::Problem;
use crate::http::query::{At, instant};
use crate::http::responses::Acts;
use crate::http::state::AppState;
use crate::http::wire::{
    Change, DoorList, KindWord, Labels, LineWord, NetworkList, ParagraphsWord, RepositoryWord,
    ScopeList, SecretWord, ServiceWord, UserWord, WhenWord, json_bytes, present, time,
};

/// A token with its secret, shown this once.
#[derive(Serialize, ToSchema)]
pub struct TokenIssued {
    /// The token.
    pub token: TokenBody,
    /// Its secret in clear.
    pub secret: String,
}

/// A token whose secret a one-time link delivers.
#[derive(Serialize, ToSchema)]
pub struct TokenLinked {
    /// The token. It has no secret before the link is opened.
    pub token: TokenBody,
    /// The link, for the person whose token it is: the secret stands behind the `#`, so that no
    /// server and no scanner sees it before the person acts.
    pub link: String,
    /// Until when it can be opened.
    pub link_expires_at: String,
}

/// What issuing answers: the secret, a link to it, or what an authenticator is told.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub enum TokenHanded {
    /// With the secret.
    Issued(TokenIssued),
    /// With a link.
    Linked(TokenLinked),
    /// With what an authenticator is told.
    Enrolled(TokenEnrolled),
}

impl TokenHanded {
    fn of(state: &AppState, method: Option<Method>, token: &Token, secret: &ClearSecret) -> Self {
        if let Some(method) = method {
            return Self::Enrolled(TokenEnrolled::of(token, method, secret));
        }
        let body = TokenBody::of(token, token.created_at);
        if !state.authority.is_link(secret) {
            return Self::Issued(TokenIssued { token: body, secret: secret.reveal().to_owned() });
        }
        let lifetime = state.authority.settings().link_lifetime_seconds;
        Self::Linked(TokenLinked {
            token: body,
            link: link_url(&state.settings.public_url, secret),
            link_expires_at: time(token.created_at.plus_seconds(lifetime)),
        })
    }

    fn bytes(&self) -> Vec<u8> {
        // Strings, numbers and JSON values cannot fail to be written.
        serde_json::to_vec(self).unwrap_or_default()
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
    expires_at: Change<WhenWord>,
    /// Instead of `expires_at`: seconds from `not_before`.
    #[schema(minimum = 1, maximum = 3_162_240_000_i64)]
    lifetime_seconds: Option<i64>,
    /// RFC 3339 with offset, or a date whose start it is; now unless given.
    not_before: Option<WhenWord>,
    /// Uses allowed in all.
    #[schema(minimum = 1, maximum = 9_007_199_254_740_991_u64)]
    max_usages: Option<u64>,
    /// Auth tokens that may be drawn from a registration token.
    #[schema(minimum = 1, maximum = 9_007_199_254_740_991_u64)]
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
    /// The repository that a token of the kind `generic` is to be in; a credential becomes the
    /// current one.
    repository: Option<RepositoryWord>,
    /// Conditions on who may draw.
    #[schema(value_type = Option<Object>)]
    constraints: Option<Document>,
    /// How drawing is approved.
    approval: Option<LineWord>,
    /// What every drawn token receives.
    #[schema(value_type = Option<Object>)]
    stamp: Option<Document>,
    /// `response`: the secret is in the answer. `link`: the answer holds a one-time link, and
    /// the secret is made when it is opened. Unless given, a person who issues for somebody else
    /// gets a link, and everybody else a secret.
    delivery: Option<DeliveryWord>,
    /// A self-chosen secret, where the service's policy allows one.
    secret: Option<SecretWord>,
    /// Makes a token of the kind `generic` an authentication token: it has codes that are good
    /// once in place of a secret.
    otp: Option<OtpWish>,
    /// What a token of the kind `decoy` looks like: `personal_access_token` unless given,
    /// `service_token`, `registration_token` or `client_key`.
    disguise: Option<KindWord>,
}

/// When a token is to end: at an instant, never, so long after its beginning, or by default.
pub(in crate::http) async fn expiry(
    state: &AppState,
    realm: &RealmName,
    expires_at: Option<&Option<WhenWord>>,
    lifetime_seconds: Option<i64>,
) -> Result<Expiry, Problem> {
    match (expires_at, lifetime_seconds) {
        (Some(_), Some(_)) => {
            Err(Problem::invalid("lifetime_seconds", "give it or expires_at, not both"))
        }
        (None, Some(seconds)) if !(1..=LIFETIME_SECONDS_MAX).contains(&seconds) => {
            Err(Problem::invalid("lifetime_seconds", "must be from 1 second to 100 years"))
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

impl TokenCreate {
    fn services(&mut self) -> Result<Option<Services>, Problem> {
        match (self.service.take(), self.services.take()) {
            (Some(_), Some(_)) => Err(Problem::invalid("services", "name service or services")),
            (Some(label), None) => Ok(Some(Services::Named(vec![label.0]))),
            (None, Some(choices)) => chosen(choices).map(Some),
            (None, None) => Ok(None),
        }
    }

    async fn read(mut self, state: &AppState, realm: &RealmName) -> Result<IssueRequest, Problem> {
        let counts = self.kind.0 == Kind::RegistrationToken;
        for (name, given) in [("count", self.count.is_some()), ("stamp", self.stamp.is_some())] {
            if given && !counts {
                return Err(Problem::invalid(name, "belongs to registration tokens"));
            }
        }
        check_count("count", self.count)?;
        check_count("max_usages", self.max_usages)?;
        let not_before = match &self.not_before {
            Some(when) => Some(instant(state, realm, "not_before", &when.0, DayEdge::Start).await?),
            None => None,
        };
        let expires = expiry(state, realm, self.expires_at.as_ref(), self.lifetime_seconds).await?;
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
            delivery: self.delivery.map_or(Delivery::Default, |delivery| delivery.0),
            otp: self.otp.map(OtpWish::read).transpose()?,
            repository: self.repository.map(|name| RepositoryWish::of(name.0)),
            disguise: self.disguise.map(|kind| kind.0),
        })
    }
}

/// Issues a token. Its secret, or the link that delivers it, is shown in this answer and never
/// again.
#[utoipa::path(
    post, path = "/api/v1/realms/{realm}/tokens", tag = "tokens",
    params(
        ("realm" = String, Path, description = "The realm"),
        ("Idempotency-Key" = Option<String>, Header,
         description = "The same key and body give the same answer again"),
    ),
    request_body = TokenCreate,
    responses(
        (status = 201, description = "Issued, with the secret, a link to it, or what an \
         authenticator is told", body = TokenHanded),
        Acts
    )
)]
pub async fn token_issue(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    At(realm): At<RealmName>,
    idempotency: IdempotencyKey,
    Payload { value, bytes }: Payload<TokenCreate>,
) -> Result<Response, Problem> {
    let (key, rendering) = (idempotency.over(&bytes), state.clone());
    let method = value.otp.as_ref().map(OtpWish::method);
    let replay = key.map(|(key, fingerprint)| Replay {
        key,
        fingerprint,
        render: Arc::new(move |token, secret| {
            TokenHanded::of(&rendering, method, token, secret).bytes()
        }),
    });
    let request = value.read(&state, &realm).await?;
    let answered = state.authority.issue(&caller, &realm, request, replay).await?;
    let bytes = match answered {
        Answered::Fresh { token, secret } => {
            TokenHanded::of(&state, method, &token, &secret).bytes()
        }
        Answered::Replayed(bytes) => bytes,
    };
    Ok(json_bytes(StatusCode::CREATED, bytes))
}

//! Activation letters: ordered for a token that waits, printed once, redeemed by who holds them.

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use counterfoil_authority::names::RealmName;
use counterfoil_authority::scope::ApiScope;
use counterfoil_authority::store::{Letter, LetterFilter, LetterState};
use counterfoil_authority::verdict::Door;
use serde::{Deserialize, Serialize};
use utoipa::openapi::schema::ObjectBuilder;
use utoipa::{IntoParams, ToSchema};

use super::body::{JsonBytes, Payload, parse};
use super::caller::{Arrived, Authenticated};
use super::jobs::TokenWord;
use super::problem::{Problem, Sort};
use super::query::{At, LetterId, PageLimit, StrictQuery, page};
use super::responses::{Acts, Looks};
use super::state::AppState;
use super::wire::RepositoryWord;
use super::wire::{PageBody, Parsed, SecretWord, UserWord, Word, created, time};

type LetterStateWord = Parsed<LetterState>;

impl Word for LetterState {
    const NAME: &'static str = "LetterState";

    fn read(text: &str) -> Result<Self, String> {
        let found = Self::from_name(text);
        found.ok_or_else(|| "expected ordered, printed, redeemed or cancelled".to_owned())
    }

    fn narrow(object: ObjectBuilder) -> ObjectBuilder {
        object.enum_values(Some(Self::ALL.map(Self::name)))
    }
}

/// An activation letter. Never its secret.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ActivationLetter)]
pub struct LetterBody {
    /// Its id.
    id: String,
    /// `ordered`, `printed`, `redeemed` or `cancelled`.
    state: &'static str,
    /// To whom it goes.
    user: String,
    /// The token that it activates.
    token: String,
    /// The repository of that token.
    repository: String,
    /// When it was ordered.
    ordered_at: String,
    /// By whom.
    ordered_by: String,
    /// Until when it can be redeemed.
    expires_at: String,
    /// When it was printed.
    printed_at: Option<String>,
    /// By whom.
    printed_by: Option<String>,
    /// When it was redeemed or cancelled.
    ended_at: Option<String>,
}

impl From<Letter> for LetterBody {
    fn from(letter: Letter) -> Self {
        Self {
            id: letter.id,
            state: letter.state.name(),
            user: letter.owner.to_string(),
            token: letter.token.to_string(),
            repository: letter.repository.to_string(),
            ordered_at: time(letter.ordered_at),
            ordered_by: letter.ordered_by,
            expires_at: time(letter.expires_at),
            printed_at: letter.printed_at.map(time),
            printed_by: letter.printed_by,
            ended_at: letter.ended_at.map(time),
        }
    }
}

/// A letter to order.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LetterOrder {
    /// The token that it is to activate.
    token: TokenWord,
    /// For how long it can be redeemed; 30 days unless given.
    #[schema(minimum = 1, maximum = 31_622_400)]
    lifetime_seconds: Option<i64>,
}

/// A letter with its secret, this once.
#[derive(Debug, Serialize, ToSchema)]
pub struct LetterPrinted {
    /// The letter.
    letter: LetterBody,
    /// What its holder types in.
    secret: String,
}

/// What stands in a letter.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LetterRedeemed {
    /// Its secret.
    secret: SecretWord,
}

/// A token that a letter has activated, as far as its holder may know.
#[derive(Debug, Serialize, ToSchema)]
pub struct LetterActivated {
    /// Its id.
    token: String,
    /// What it is called.
    name: Option<String>,
    /// Its serial.
    serial: Option<String>,
    /// Since when it is active.
    activated_at: Option<String>,
}

/// Which letters to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct LetterQuery {
    /// Records on the page, 1 to 1000; 50 unless given.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1000)]
    limit: Option<Parsed<PageLimit>>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    /// To this person.
    #[param(value_type = Option<String>)]
    user: Option<UserWord>,
    /// In this state.
    #[param(value_type = Option<String>)]
    state: Option<LetterStateWord>,
    /// For tokens of this repository.
    #[param(value_type = Option<String>)]
    repository: Option<RepositoryWord>,
}

/// Lists activation letters in the order in which they were ordered.
#[utoipa::path(
    get, path = "/api/v1/realms/{realm}/activation-letters", tag = "activation letters",
    params(("realm" = String, Path, description = "The realm"), LetterQuery),
    responses((status = 200, description = "A page", body = PageBody<LetterBody>), Looks)
)]
pub async fn letter_list(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    At(realm): At<RealmName>,
    StrictQuery(query): StrictQuery<LetterQuery>,
) -> Result<Json<PageBody<LetterBody>>, Problem> {
    let page = page(query.limit.as_ref(), query.cursor)?;
    let filter = LetterFilter {
        owner: query.user.map(|user| user.0),
        state: query.state.map(|state| state.0),
        repository: query.repository.map(|name| name.0),
    };
    let page = state.authority.letters(&caller, &realm, filter, page).await?;
    Ok(Json(PageBody::of(page, LetterBody::from)))
}

/// Orders an activation letter for a token of a person that waits for one.
#[utoipa::path(
    post, path = "/api/v1/realms/{realm}/activation-letters", tag = "activation letters",
    params(("realm" = String, Path, description = "The realm")),
    request_body = LetterOrder,
    responses((status = 201, description = "Ordered", body = LetterBody), Acts)
)]
pub async fn letter_order(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    At(realm): At<RealmName>,
    JsonBytes(bytes): JsonBytes,
) -> Result<Response, Problem> {
    // Who may not order at all learns nothing about what the order lacks.
    caller.reach(&realm, ApiScope::TokensWrite)?;
    let value: LetterOrder = parse(&bytes)?;
    let (authority, token) = (&state.authority, value.token.0);
    let letter = authority.letter_order(&caller, &realm, token, value.lifetime_seconds).await?;
    let location = format!("/api/v1/realms/{realm}/activation-letters/{}", letter.id);
    Ok(created(&location, None, LetterBody::from(letter)))
}

/// Shows an activation letter.
#[utoipa::path(
    get, path = "/api/v1/realms/{realm}/activation-letters/{id}", tag = "activation letters",
    params(
        ("realm" = String, Path, description = "The realm"),
        ("id" = String, Path, description = "The letter"),
    ),
    responses((status = 200, description = "The letter", body = LetterBody), Looks)
)]
pub async fn letter_show(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    At((realm, id)): At<(RealmName, LetterId)>,
) -> Result<Json<LetterBody>, Problem> {
    Ok(Json(state.authority.letter_show(&caller, &realm, &id.0).await?.into()))
}

/// Takes an activation letter back. Idempotent.
#[utoipa::path(
    delete, path = "/api/v1/realms/{realm}/activation-letters/{id}", tag = "activation letters",
    params(
        ("realm" = String, Path, description = "The realm"),
        ("id" = String, Path, description = "The letter"),
    ),
    responses(
        (status = 204, description = "Cancelled"),
        (status = 410, response = super::responses::LetterEnded),
        Looks,
    )
)]
pub async fn letter_cancel(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    At((realm, id)): At<(RealmName, LetterId)>,
) -> Result<StatusCode, Problem> {
    state.authority.letter_cancel(&caller, &realm, &id.0).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Prints an activation letter: draws its secret and shows it, this once.
#[utoipa::path(
    post, path = "/api/v1/realms/{realm}/activation-letters/{id}/print",
    tag = "activation letters",
    params(
        ("realm" = String, Path, description = "The realm"),
        ("id" = String, Path, description = "The letter"),
    ),
    responses(
        (status = 200, description = "The letter and its secret", body = LetterPrinted),
        (status = 410, response = super::responses::LetterEnded),
        Looks,
    )
)]
pub async fn letter_print(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    At((realm, id)): At<(RealmName, LetterId)>,
) -> Result<Response, Problem> {
    let (letter, secret) = state.authority.letter_print(&caller, &realm, &id.0).await?;
    let printed = LetterPrinted { letter: letter.into(), secret: secret.reveal().to_owned() };
    let mut response = Json(printed).into_response();
    let no_store = header::HeaderValue::from_static("no-store");
    response.headers_mut().insert(header::CACHE_CONTROL, no_store);
    Ok(response)
}

/// Redeems an activation letter: its token is active from now on. Needs no other credential than
/// the letter's secret.
#[utoipa::path(
    post, path = "/api/v1/realms/{realm}/activation-letters/redeem", tag = "activation letters",
    security(()),
    params(("realm" = String, Path, description = "The realm")),
    request_body = LetterRedeemed,
    responses(
        (status = 200, description = "The token is active", body = LetterActivated),
        (status = 400, response = super::responses::Malformed),
        (status = 404, response = super::responses::NotFound),
        (status = 408, response = super::responses::RequestTimeout),
        (status = 410, response = super::responses::LetterEnded),
        (status = 413, response = super::responses::BodyTooLarge),
        (status = 415, response = super::responses::UnsupportedMediaType),
        (status = 422, response = super::responses::Invalid),
        (status = 503, response = super::responses::Unavailable),
    )
)]
pub async fn letter_redeem(
    State(state): State<AppState>,
    Arrived(arrival): Arrived,
    At(realm): At<RealmName>,
    Payload { value, .. }: Payload<LetterRedeemed>,
) -> Result<Json<LetterActivated>, Problem> {
    let context = arrival.context(Door::Api);
    let token = match state.authority.letter_redeem(&realm, &value.secret.0, context).await {
        Ok(token) => token,
        Err(refusal) => {
            let problem = Problem::from(refusal);
            if problem.sort() == Sort::NotFound {
                state.authority.hold_back(arrival.source, None, None).await;
            }
            return Err(problem);
        }
    };
    Ok(Json(LetterActivated {
        token: token.id.to_string(),
        name: token.name,
        serial: token.airlock.serial,
        activated_at: token.activated_at.map(time),
    }))
}

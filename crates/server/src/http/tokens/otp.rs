//! Authentication tokens: what is said when one is enrolled, and what its owner does with it later.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use counterfoil_authority::authority::{Challenge, Challenged, OtpDraft};
use counterfoil_authority::names::RealmName;
use counterfoil_authority::otp::yubikey::{self, DeviceSecret};
use counterfoil_authority::otp::{Algorithm, Method, Shape, SharedSeed};
use counterfoil_authority::refusal::{Refusal, Thing};
use counterfoil_authority::secret::{ClearSecret, TokenId};
use counterfoil_authority::store::Otp;
use counterfoil_authority::token::Token;
use qrcode::QrCode;
use qrcode::render::svg;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa::openapi::schema::ObjectBuilder;
use zeroize::Zeroizing;

use super::TokenBody;
use crate::http::body::{OptionalPayload, Payload};
use crate::http::caller::Authenticated;
use crate::http::problem::{Problem, Sort};
use crate::http::query::At;
use crate::http::responses::{Acts, Looks};
use crate::http::state::AppState;
use crate::http::wire::{Parsed, SecretWord, Word, json_bytes, time};

/// Points of the smallest picture of a QR code: what a telephone reads from a screen.
const QR_POINTS: u32 = 240;

/// How an authentication token proves itself.
pub(in crate::http) type MethodWord = Parsed<Method>;

impl Word for Method {
    const NAME: &'static str = "OtpMethod";

    fn read(text: &str) -> Result<Self, String> {
        Self::from_name(text)
            .ok_or_else(|| "expected totp, hotp, backup, yubikey or email".to_owned())
    }

    fn narrow(object: ObjectBuilder) -> ObjectBuilder {
        object.enum_values(Some(["totp", "hotp", "backup", "yubikey", "email"]))
    }
}

/// The hash inside a code.
pub(in crate::http) type AlgorithmWord = Parsed<Algorithm>;

impl Word for Algorithm {
    const NAME: &'static str = "OtpAlgorithm";

    fn read(text: &str) -> Result<Self, String> {
        Self::from_name(text).ok_or_else(|| "expected SHA1, SHA256 or SHA512".to_owned())
    }

    fn narrow(object: ObjectBuilder) -> ObjectBuilder {
        object.enum_values(Some(["SHA1", "SHA256", "SHA512"]))
    }
}

/// What makes a token of the kind `generic` an authentication token.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OtpWish {
    method: MethodWord,
    /// Digits of a code; 6 unless given.
    #[schema(minimum = 6, maximum = 8)]
    digits: Option<u32>,
    /// Seconds of a step of totp; 30 unless given.
    #[schema(minimum = 15, maximum = 300)]
    step_seconds: Option<u32>,
    algorithm: Option<AlgorithmWord>,
    /// A seed that another party made, in Base32; one is drawn unless given.
    seed: Option<SecretWord>,
    /// The counter of hotp that comes next; 0 unless given.
    #[schema(maximum = 9_007_199_254_740_991_u64)]
    counter: Option<u64>,
    /// The AES key that was written into a yubikey, 32 hexadecimal digits.
    aes_key: Option<SecretWord>,
    /// Its private id, 12 hexadecimal digits.
    private_id: Option<SecretWord>,
    /// Its public id in modhex, what its passwords begin with.
    public_id: Option<SecretWord>,
    /// How many backup codes; 10 unless given.
    #[schema(minimum = 1, maximum = 50)]
    codes: Option<u32>,
    /// Whether it is good for nothing before its owner has shown a code of it at `otp/confirm`.
    confirm: Option<bool>,
}

fn hex<const BYTES: usize>(
    field: &str,
    text: &SecretWord,
) -> Result<Zeroizing<[u8; BYTES]>, Problem> {
    let read = data_encoding::HEXLOWER_PERMISSIVE.decode(text.0.reveal().as_bytes());
    let read = Zeroizing::new(read.unwrap_or_default());
    let right = <[u8; BYTES]>::try_from(read.as_slice());
    let why = format!("is {} hexadecimal digits", 2 * BYTES);
    right.map(Zeroizing::new).map_err(|_| Problem::invalid(format!("otp.{field}"), why))
}

/// Base32 as people copy it: in any case, in groups, and with or without its padding.
fn base32(text: &str) -> Option<Vec<u8>> {
    let mut bare = Zeroizing::new(String::with_capacity(text.len()));
    let marks = text.chars().filter(|mark| !matches!(mark, ' ' | '-' | '='));
    bare.extend(marks.map(|mark| mark.to_ascii_uppercase()));
    data_encoding::BASE32_NOPAD.decode(bare.as_bytes()).ok()
}

impl OtpWish {
    /// The method, which says what the answer shows.
    pub(super) const fn method(&self) -> Method {
        self.method.0
    }

    pub(super) fn read(self) -> Result<OtpDraft, Problem> {
        let usual = Shape::default();
        let seed = match &self.seed {
            None => None,
            Some(text) => {
                let bytes = base32(text.0.reveal());
                let bytes = bytes.ok_or_else(|| Problem::invalid("otp.seed", "is not Base32"))?;
                let seed = SharedSeed::new(bytes);
                Some(seed.map_err(|bad| Problem::invalid("otp.seed", bad))?)
            }
        };
        Ok(OtpDraft {
            method: self.method.0,
            shape: Shape {
                algorithm: self.algorithm.as_ref().map_or(usual.algorithm, |word| word.0),
                digits: self.digits.unwrap_or(usual.digits),
                step_seconds: self.step_seconds.unwrap_or(usual.step_seconds),
            },
            seed,
            counter: self.counter.unwrap_or(0),
            device: self.device()?,
            codes: self.codes,
            confirm: self.confirm.unwrap_or(false),
        })
    }

    fn device(&self) -> Result<Option<(DeviceSecret, String)>, Problem> {
        let (Some(key), Some(private), Some(public)) =
            (&self.aes_key, &self.private_id, &self.public_id)
        else {
            let none = self.aes_key.is_none() && self.private_id.is_none();
            return if none && self.public_id.is_none() {
                Ok(None)
            } else {
                let why = "aes_key, private_id and public_id go together";
                Err(Problem::invalid("otp.aes_key", why))
            };
        };
        let key = hex::<16>("aes_key", key)?;
        let private = hex::<6>("private_id", private)?;
        let public = public.0.reveal().to_ascii_lowercase();
        if public.is_empty() || public.len() > 32 || yubikey::from_modhex(&public).is_none() {
            return Err(Problem::invalid("otp.public_id", "is modhex, at most 32 letters"));
        }
        Ok(Some((DeviceSecret::new(&key, &private), public)))
    }
}

/// An authentication token with what its owner is shown of it, this once.
#[derive(Serialize, ToSchema)]
pub struct TokenEnrolled {
    /// The token.
    pub token: TokenBody,
    /// What an authenticator reads: the seed is in it. For totp and hotp.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    otpauth_uri: Option<String>,
    /// The same as a picture, SVG.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    qr_svg: Option<String>,
    /// Backup codes, each good once.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    codes: Option<Vec<String>>,
}

impl TokenEnrolled {
    pub(super) fn of(token: &Token, method: Method, shown: &ClearSecret) -> Self {
        let body = TokenBody::of(token, token.created_at);
        let text = shown.reveal();
        let uri = matches!(method, Method::Totp | Method::Hotp).then(|| text.to_owned());
        Self {
            token: body,
            qr_svg: uri.as_deref().and_then(picture),
            otpauth_uri: uri,
            codes: (method == Method::Backup).then(|| sheet(shown)),
        }
    }
}

fn sheet(shown: &ClearSecret) -> Vec<String> {
    shown.reveal().lines().map(ToOwned::to_owned).collect()
}

/// `None` for what does not fit into a QR code: a URI of 4 kB, which no seed makes.
fn picture(uri: &str) -> Option<String> {
    let code = QrCode::new(uri).ok()?;
    Some(code.render::<svg::Color<'_>>().min_dimensions(QR_POINTS, QR_POINTS).build())
}

/// What is known of an authentication token. Nothing in it helps anybody to a code.
#[derive(Serialize, ToSchema)]
pub struct OtpBody {
    method: &'static str,
    /// Digits of a code.
    digits: u32,
    /// Seconds of a step of totp.
    step_seconds: u32,
    algorithm: &'static str,
    /// Whether its owner has shown a code of it, or need not.
    confirmed: bool,
    /// Steps of totp that its clock is ahead of ours.
    drift: i64,
    /// What the passwords of a yubikey begin with.
    public_id: Option<String>,
    /// Codes that nobody has used yet: backup codes, or one that was sent.
    codes_remaining: usize,
    /// When its codes were made.
    codes_at: Option<String>,
}

impl OtpBody {
    fn of(otp: &Otp) -> Self {
        Self {
            method: otp.method.name(),
            digits: otp.shape.digits,
            step_seconds: otp.shape.step_seconds,
            algorithm: otp.shape.algorithm.name(),
            confirmed: otp.confirmed,
            drift: otp.drift,
            public_id: otp.public_id.clone(),
            codes_remaining: otp.codes.len(),
            codes_at: otp.codes_at.map(time),
        }
    }
}

/// A code.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OtpConfirm {
    /// A code of the token, which is used up by this.
    code: SecretWord,
}

/// Two codes that follow each other.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OtpResync {
    /// The earlier one.
    first: SecretWord,
    /// The one behind it.
    second: SecretWord,
}

/// A new sheet of backup codes.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OtpRenew {
    /// How many; 10 unless given.
    #[schema(minimum = 1, maximum = 50)]
    codes: Option<u32>,
}

/// Backup codes, shown this once.
#[derive(Serialize, ToSchema)]
pub struct OtpSheet {
    /// The codes; those before are good for nothing any more.
    codes: Vec<String>,
}

/// Nothing to say.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OtpSend {}

/// A code that is on its way.
#[derive(Serialize, ToSchema)]
pub struct OtpSent {
    /// False if one was sent a moment ago, which is good still.
    sent: bool,
    /// What answers it at `/validate/check` as `transaction_id`.
    transaction_id: String,
    /// Until when it can be used.
    expires_at: String,
}

/// Shows what is known of an authentication token.
#[utoipa::path(
    get, path = "/api/v1/realms/{realm}/tokens/{id}/otp", tag = "tokens",
    params(
        ("realm" = String, Path, description = "The realm"),
        ("id" = String, Path, description = "The token"),
    ),
    responses((status = 200, description = "What is known of it", body = OtpBody), Looks)
)]
pub async fn token_otp(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    At((realm, id)): At<(RealmName, TokenId)>,
) -> Result<Json<OtpBody>, Problem> {
    let otp = state.authority.otp(&caller, &realm, id).await?;
    Ok(Json(OtpBody::of(&otp)))
}

/// Takes a code as proof that the owner has the token.
#[utoipa::path(
    post, path = "/api/v1/realms/{realm}/tokens/{id}/otp/confirm", tag = "tokens",
    params(
        ("realm" = String, Path, description = "The realm"),
        ("id" = String, Path, description = "The token"),
    ),
    request_body = OtpConfirm,
    responses((status = 200, description = "The token is confirmed", body = OtpBody), Acts)
)]
pub async fn token_otp_confirm(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    At((realm, id)): At<(RealmName, TokenId)>,
    Payload { value, .. }: Payload<OtpConfirm>,
) -> Result<Json<OtpBody>, Problem> {
    let otp = state.authority.otp_confirm(&caller, &realm, id, &value.code.0).await?;
    Ok(Json(OtpBody::of(&otp)))
}

/// Brings the clock or the counter of a token up to date, by two codes that follow each other.
#[utoipa::path(
    post, path = "/api/v1/realms/{realm}/tokens/{id}/otp/resync", tag = "tokens",
    params(
        ("realm" = String, Path, description = "The realm"),
        ("id" = String, Path, description = "The token"),
    ),
    request_body = OtpResync,
    responses((status = 200, description = "It is up to date", body = OtpBody), Acts)
)]
pub async fn token_otp_resync(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    At((realm, id)): At<(RealmName, TokenId)>,
    Payload { value, .. }: Payload<OtpResync>,
) -> Result<Json<OtpBody>, Problem> {
    let codes = [&value.first.0, &value.second.0];
    let otp = state.authority.otp_resync(&caller, &realm, id, codes).await?;
    Ok(Json(OtpBody::of(&otp)))
}

/// Replaces the backup codes of a token.
#[utoipa::path(
    post, path = "/api/v1/realms/{realm}/tokens/{id}/otp/codes", tag = "tokens",
    params(
        ("realm" = String, Path, description = "The realm"),
        ("id" = String, Path, description = "The token"),
    ),
    request_body = Option<OtpRenew>,
    responses((status = 200, description = "The new sheet", body = OtpSheet), Acts)
)]
pub async fn token_otp_codes(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    At((realm, id)): At<(RealmName, TokenId)>,
    OptionalPayload { value, .. }: OptionalPayload<OtpRenew>,
) -> Result<Response, Problem> {
    let shown = state.authority.otp_renew_codes(&caller, &realm, id, value.codes).await?;
    let body = serde_json::to_vec(&OtpSheet { codes: sheet(&shown) });
    // Strings cannot fail to be written.
    Ok(json_bytes(StatusCode::OK, body.unwrap_or_default()))
}

/// Sends a code by mail to the owner of a token.
#[utoipa::path(
    post, path = "/api/v1/realms/{realm}/tokens/{id}/otp/send", tag = "tokens",
    params(
        ("realm" = String, Path, description = "The realm"),
        ("id" = String, Path, description = "The token"),
    ),
    request_body = Option<OtpSend>,
    responses(
        (status = 200, description = "It is on its way", body = OtpSent),
        (status = 429, description = "Asked too soon: `Retry-After` says when to ask again"),
        Acts,
    )
)]
pub async fn token_otp_send(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    At((realm, id)): At<(RealmName, TokenId)>,
    OptionalPayload { .. }: OptionalPayload<OtpSend>,
) -> Result<Json<OtpSent>, Problem> {
    let (sent, challenge) = match state.authority.otp_send(&caller, &realm, id).await? {
        Challenged::Sent(challenge) => (true, challenge),
        Challenged::TooSoon(challenge) => (false, challenge),
        Challenged::Wait { seconds } => {
            let detail = format!("the last code is good no more; ask again in {seconds} seconds");
            let problem = Problem::new(Sort::RateLimited, detail);
            return Err(problem.with_header(header::RETRY_AFTER, HeaderValue::from(seconds)));
        }
        Challenged::None => return Err(Refusal::NotFound(Thing::Token).into()),
    };
    let Challenge { id, expires_at, .. } = challenge;
    Ok(Json(OtpSent { sent, transaction_id: id, expires_at: time(expires_at) }))
}

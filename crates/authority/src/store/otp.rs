//! Authentication tokens: tokens that prove themselves by codes which are good once.

use async_trait::async_trait;

use super::{ActiveLimit, Idempotency, Issued, Unavailable};
use crate::clock::Timestamp;
use crate::event::Event;
use crate::keys::KeyId;
use crate::names::{RealmName, Username};
use crate::otp::{Method, Shape};
use crate::secret::TokenId;
use crate::secret_hash::Mac256;
use crate::token::{State, Token};

/// Authentication tokens of one person that a presented code is compared with, the newest first.
pub const OTPS_PER_PERSON_MAX: u32 = 64;
/// What an authentication token that accepted nothing yet has in place of a counter.
pub const NOTHING_ACCEPTED: i64 = -1;

/// How long a code that ends by itself is kept behind its end, in seconds: nobody asks for it any
/// more, and its letter is not written.
pub const CODE_RETENTION_SECONDS: i64 = 3_600;

/// What makes a token an authentication token. Its name, owner, state and uses are the token's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Otp {
    /// The token.
    pub token: TokenId,
    /// How it proves itself.
    pub method: Method,
    /// What its codes look like.
    pub shape: Shape,
    /// Its seed, sealed to [`Otp::row`]; `None` where codes do not follow from one.
    pub seed: Option<Vec<u8>>,
    /// The key that the seed is sealed under.
    pub seal: Option<KeyId>,
    /// The public id of a `YubiKey`, in small letters.
    pub public_id: Option<String>,
    /// The last place that was accepted: a counter, a step, or plugs and touches.
    pub accepted: i64,
    /// How many steps its clock is ahead of ours.
    pub drift: i64,
    /// Whether its owner has proved to have it. Until then it is good for nothing.
    pub confirmed: bool,
    /// When codes were last made for it.
    pub codes_at: Option<Timestamp>,
    /// Its codes that nobody has used yet; they may have ended.
    pub codes: Vec<OtpCode>,
}

impl Otp {
    /// What a seed is sealed to: a row that was moved or relabelled does not open.
    pub fn row(token: TokenId, method: Method) -> String {
        format!("otp {token} {}", method.name())
    }
}

/// A code that is kept as a hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OtpCode {
    /// Its name among the codes of its token, and in what a client is told of a challenge.
    pub id: String,
    /// The pepper of its hash.
    pub pepper: KeyId,
    /// Its hash.
    pub mac: Mac256,
    /// Until when it can be used, exclusive.
    pub expires_at: Option<Timestamp>,
    /// Wrong codes that were presented in its place.
    pub attempts: u32,
    /// Its clear text, sealed, while a letter has to hold it.
    pub sealed: Option<Vec<u8>>,
}

/// An authentication token to issue.
#[derive(Debug, Clone)]
pub struct OtpIssue {
    /// Its record, `secrets` left empty.
    pub token: Token,
    /// How it proves itself.
    pub otp: Otp,
    /// Limits that hold in the same transaction.
    pub limits: Vec<ActiveLimit>,
    /// The payload that a repository keeps of it, sealed.
    pub data: Option<Vec<u8>>,
    /// The answer to keep.
    pub idempotency: Option<Idempotency>,
    /// What is recorded.
    pub event: Event,
}

/// What came of storing a batch of authentication tokens.
#[derive(Debug, Clone, PartialEq)]
pub enum OtpImported {
    /// All of them are stored.
    Done,
    /// None is: this one, counted from 0, was in the way.
    Refused {
        /// Which one.
        index: usize,
        /// Why.
        why: Issued,
    },
}

/// What a code was recognised as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OtpProof {
    /// The code of a place.
    Place {
        /// The counter, step, or plugs and touches.
        at: i64,
        /// How many steps the clock is ahead that showed it.
        drift: i64,
    },
    /// The kept code of this id.
    Code(String),
}

/// What a code is presented for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OtpUse {
    /// To be let in. The token must be active and confirmed.
    Verify {
        /// Whether the use counts against the token's limit.
        counted: bool,
    },
    /// To confirm it, or to bring its clock or counter up to date. It must not be revoked.
    Adjust,
}

/// A code that was recognised, to be used up.
#[derive(Debug, Clone)]
pub struct OtpAccept {
    /// The token.
    pub token: TokenId,
    /// What was recognised.
    pub proof: OtpProof,
    /// What for.
    pub purpose: OtpUse,
    /// When.
    pub at: Timestamp,
    /// The client's address.
    pub ip: Option<std::net::IpAddr>,
    /// What is recorded if it is accepted.
    pub event: Option<Event>,
}

/// What came of a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OtpAccepted {
    /// It is used up, durably; with a counted use so many are taken now.
    Done {
        /// Uses taken, this one included; 0 where none is counted.
        used: u64,
    },
    /// It, or one behind it, was used before.
    Spent,
    /// The token is not active at this instant, for this reason.
    Refused(State),
}

/// Codes that take the place of all earlier ones of a token.
#[derive(Debug, Clone)]
pub struct OtpCodes {
    /// The tenant.
    pub realm: RealmName,
    /// The token, which must not be revoked.
    pub token: TokenId,
    /// The codes.
    pub codes: Vec<OtpCode>,
    /// Refused if codes were made after this instant.
    pub unless_since: Option<Timestamp>,
    /// When.
    pub at: Timestamp,
    /// What is recorded.
    pub event: Event,
}

/// What came of replacing codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OtpReplaced {
    /// They are the token's codes now.
    Done,
    /// Codes were made for it a moment ago.
    TooSoon,
    /// There is no such authentication token, or it is revoked.
    NotFound,
}

/// A place among the tokens that have a sealed seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SealedAt {
    /// The key that the seed is sealed under.
    pub seal: KeyId,
    /// The token.
    pub token: TokenId,
}

/// Authentication tokens of every realm.
#[async_trait]
pub trait OtpStore {
    /// Stores a new token with what makes it an authentication token and its codes, or refuses as
    /// every issue does. It has no secret.
    async fn otp_issue(&self, issue: OtpIssue) -> Result<Issued, Unavailable>;
    /// The same for a batch, which is stored whole or not at all. Its answers are not kept.
    async fn otp_import(&self, issues: Vec<OtpIssue>) -> Result<OtpImported, Unavailable>;
    /// What makes a token an authentication token; `None` if it is none.
    async fn otp_find(&self, realm: &RealmName, token: TokenId)
    -> Result<Option<Otp>, Unavailable>;
    /// The authentication tokens of a person that are not revoked, the newest first, at most
    /// [`OTPS_PER_PERSON_MAX`]. What a person keeps in stock is not among them.
    async fn otp_of_person(
        &self,
        realm: &RealmName,
        user: &Username,
    ) -> Result<Vec<Otp>, Unavailable>;
    /// Uses a code up: of any number of presenters of one code one is [`OtpAccepted::Done`], by
    /// one conditional statement. A place is accepted above the last accepted one only; a code
    /// once, before its end, and while fewer than
    /// [`EMAIL_ATTEMPTS_MAX`](crate::otp::codes::EMAIL_ATTEMPTS_MAX) wrong ones were presented
    /// for it.
    async fn otp_accept(&self, accept: OtpAccept) -> Result<OtpAccepted, Unavailable>;
    /// Replaces the codes of a token.
    async fn otp_replace_codes(&self, codes: OtpCodes) -> Result<OtpReplaced, Unavailable>;
    /// Counts a wrong code that was presented for the open codes of this token, by its name.
    async fn otp_missed(&self, token: TokenId) -> Result<(), Unavailable>;
    /// Tokens whose seeds are sealed under a key of a lower number than this one, in the order of
    /// their keys and ids, behind `after`.
    async fn otp_sealed_before(
        &self,
        seal: KeyId,
        after: Option<SealedAt>,
        limit: u32,
    ) -> Result<Vec<Otp>, Unavailable>;
    /// Replaces a sealed seed, if it is still the one that was read. False if it is not.
    async fn otp_reseal(
        &self,
        token: TokenId,
        old: Vec<u8>,
        new: Vec<u8>,
        seal: KeyId,
    ) -> Result<bool, Unavailable>;
}

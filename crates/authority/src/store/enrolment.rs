//! Enrolment: draws from registration tokens, and the grants that come of them.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use super::Unavailable;
use crate::clock::Timestamp;
use crate::enrolment::{Confirmation, Constraint, Counts, Mode, OnDuplicate};
use crate::event::Event;
use crate::names::RealmName;
use crate::scope::Scope;
use crate::secret::TokenId;
use crate::secret_hash::SecretHash;
use crate::token::{State, StoredSecret, Token};

/// How one draw is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Draw {
    /// As used.
    Count,
    /// As reserved, until somebody decides.
    Reserve,
    /// As used while fewer than so many are taken, and as reserved from then on.
    CountBelow(u64),
}

/// Conditions that other draws have a say in, so that they hold in the same transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DrawRules {
    /// Draws in the hour before at most.
    pub per_hour: Option<(u64, Mode)>,
    /// Living auth tokens of the same device at most.
    pub per_device: Option<(u64, Mode)>,
    /// What happens if the device has one.
    pub on_duplicate: OnDuplicate,
}

impl DrawRules {
    /// Whether there is anything to look at.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Renders and seals an answer, given the auth token as stored and the counts after the draw.
pub type SealEnrolment = Arc<dyn Fn(&Token, Counts) -> Vec<u8> + Send + Sync>;

/// An answer to a draw that must come out the same when the request is repeated.
#[derive(Clone)]
pub struct EnrolReplay {
    /// The `Idempotency-Key`; it counts for its registration token.
    pub key: String,
    /// SHA-256 over route and body.
    pub fingerprint: [u8; 32],
    /// When the answer may be forgotten.
    pub expires_at: Timestamp,
    /// Renders and seals the answer to keep. Called inside the transaction; must not block.
    pub answer: SealEnrolment,
}

impl fmt::Debug for EnrolReplay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EnrolReplay").finish_non_exhaustive()
    }
}

/// One draw from a registration token.
#[derive(Debug, Clone)]
pub struct Enrol {
    /// The registration token.
    pub registration: TokenId,
    /// The version of it that the draw was judged by.
    pub version: i64,
    /// The auth token to store, `secrets` left empty, with its device. Its `created_at` is the
    /// instant of the draw. If the draw is counted at once, the store makes it active and
    /// takes the request (`user_code`, `request_ends_at`) out of it.
    pub child: Token,
    /// Its first secret.
    pub secret: StoredSecret,
    /// How the draw is counted.
    pub draw: Draw,
    /// Conditions to hold.
    pub rules: DrawRules,
    /// The answer to keep.
    pub replay: Option<EnrolReplay>,
    /// What is recorded when the draw is counted: about the registration token, with the facts
    /// of the device. For one that is reserved, the same as `token.enrolment-requested`.
    pub event: Event,
}

/// What came of a draw.
#[derive(Debug, Clone, PartialEq)]
pub enum Enrolled {
    /// It is counted, or reserved if the auth token is pending; these are the counts now.
    Done {
        /// The auth token as stored.
        token: Box<Token>,
        /// The counts after this draw.
        counts: Counts,
        /// The auth token that ended in its favour.
        replaced: Option<TokenId>,
    },
    /// The same request was answered before: here is that answer, still sealed.
    Replayed(Vec<u8>),
    /// The idempotency key was used for another request.
    KeyReused,
    /// The registration token is not active at this instant; nothing was counted.
    Refused(State),
    /// A condition is broken; nothing was counted.
    Broken(Constraint),
    /// The device has an auth token already, and is to get a new secret for that one.
    Held(TokenId),
    /// The registration token has another version now: look again.
    Changed,
    /// The id or the hash is taken; draw again.
    Collision,
}

/// A refresh secret that was presented, and the one that is to take its place.
#[derive(Debug, Clone)]
pub struct Refresh {
    /// The tenant.
    pub realm: RealmName,
    /// The auth token.
    pub id: TokenId,
    /// The presented secret as it would be stored, under each pepper.
    pub presented: Vec<SecretHash>,
    /// Whether it carries the mark of a secret that was made for this auth token: if it is none
    /// of those that are kept, it was exchanged longer ago than they reach back.
    pub made_here: bool,
    /// The key that was proved with it.
    pub confirmation: Option<Confirmation>,
    /// The scopes that the access token is to have; `None`: all.
    pub scopes: Option<Vec<Scope>>,
    /// Whether none of its services takes tokens now.
    pub no_service: bool,
    /// The successor.
    pub secret: StoredSecret,
    /// The successor in clear, sealed under what only the presented secret yields.
    pub sealed: Vec<u8>,
    /// How long the presented one leads to its successor.
    pub grace_seconds: i64,
    /// When.
    pub at: Timestamp,
    /// What is recorded if a family ends because of this: `token.refresh-reused`, to be marked
    /// as what it turns out to be.
    pub event: Event,
}

impl Refresh {
    /// Why a right secret is not exchanged, if there would be no access token for it. Judged
    /// before anything is rotated: whoever asks for too much keeps what they have.
    pub fn fault(&self, token: &Token) -> Option<Refreshed> {
        let wide = |scopes: &Vec<Scope>| scopes.iter().any(|scope| !token.scopes.contains(scope));
        if self.scopes.as_ref().is_some_and(wide) {
            Some(Refreshed::Scope)
        } else {
            self.no_service.then_some(Refreshed::NoService)
        }
    }
}

/// What came of a refresh.
#[derive(Debug, Clone, PartialEq)]
pub enum Refreshed {
    /// The successor counts from now on.
    Rotated(Box<Token>),
    /// The presented secret was exchanged moments ago: here is its successor, still sealed.
    Again {
        /// The auth token.
        token: Box<Token>,
        /// The successor of the first time.
        sealed: Vec<u8>,
    },
    /// No secret of this auth token.
    Unknown,
    /// Its key was not proved; nothing happened.
    WrongKey,
    /// It has not every scope that was asked for; nothing happened.
    Scope,
    /// No service of it takes tokens; nothing happened.
    NoService,
    /// The auth token waits for approval.
    Waiting {
        /// Whether it asks too often.
        too_soon: bool,
        /// Seconds to leave between two questions from now on.
        interval_seconds: i64,
    },
    /// The auth token is not active at this instant.
    Refused {
        /// Its state.
        state: State,
        /// The words with which it was revoked.
        reason: Option<String>,
    },
    /// Its owner is not active.
    OwnerInactive,
    /// It went too long without a refresh, and has ended now.
    Idle,
    /// The presented secret was exchanged long ago: somebody has a copy. The family has ended.
    Reused,
    /// Retried too often inside the grace; nothing happened.
    TooOften,
    /// The hash is taken; draw again.
    Collision,
}

/// Draws given back by an administrator.
#[derive(Debug, Clone)]
pub struct CountReturn {
    /// The tenant.
    pub realm: RealmName,
    /// The registration token.
    pub id: TokenId,
    /// How many.
    pub draws: u64,
    /// What is recorded.
    pub event: Event,
}

/// What came of giving draws back.
#[derive(Debug, Clone, PartialEq)]
pub enum Returned {
    /// They are given back; here is how the registration token stands now.
    Done(Box<Token>),
    /// There is no such registration token.
    NotFound,
    /// Fewer were drawn than were to be given back; so many can be.
    TooMany(u64),
}

/// What hangs on a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BlastRadius {
    /// Auth tokens that were ever drawn from it, those that wait included.
    pub auth_tokens: u64,
    /// Auth tokens that are neither revoked nor past their end.
    pub active: u64,
    /// Of these, drawn or refreshed within the last day.
    pub active_last_day: u64,
    /// Auth tokens that wait for approval.
    pub waiting: u64,
    /// Tokens derived from it that are not revoked.
    pub derived: u64,
}

/// Registration tokens, auth tokens and their families.
#[async_trait]
pub trait EnrolmentStore {
    /// Draws from a registration token: count, auth token, secret, event and kept answer, all or
    /// nothing. Requests whose time is over are let go first if nothing else is left.
    async fn enrol(&self, enrol: Enrol) -> Result<Enrolled, Unavailable>;
    /// The newest living auth token of a device, drawn from a registration token.
    async fn enrolled_device(
        &self,
        realm: &RealmName,
        registration: TokenId,
        device_key: &str,
        now: Timestamp,
    ) -> Result<Option<Token>, Unavailable>;
    /// Exchanges a refresh secret for its successor.
    async fn refresh(&self, refresh: Refresh) -> Result<Refreshed, Unavailable>;
    /// The auth token that waits under a user code.
    async fn enrolment_waiting(
        &self,
        realm: &RealmName,
        user_code: &str,
    ) -> Result<Option<Token>, Unavailable>;
    /// Gives draws back.
    async fn count_return(&self, back: CountReturn) -> Result<Returned, Unavailable>;
    /// What hangs on a token at `now`.
    async fn blast_radius(&self, id: TokenId, now: Timestamp) -> Result<BlastRadius, Unavailable>;
    /// Does what has fallen due at `now`, at most `limit` of each sort: lets requests go that
    /// nobody decided, ends auth tokens that were idle too long, tells of registration tokens
    /// that end soon, and forgets successors past their grace. `cause` is an event of the
    /// system whose id no other call has. Says how many there were.
    async fn enrolment_due(
        &self,
        now: Timestamp,
        limit: u32,
        cause: Event,
    ) -> Result<u64, Unavailable>;
}

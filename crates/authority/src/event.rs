//! What happened: one record that serves audit, history and, later, notification.

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use crate::caller::RequestContext;
use crate::clock::{Entropy, NoEntropy, Timestamp};
use crate::names::RealmName;
use crate::secret::TokenId;
use crate::verdict::Door;

/// The reason of an event by which something of another system was taken over.
pub const IMPORTED: &str = "imported";

/// A watched token was used from a network that it was never used from before.
pub const NEW_NETWORK: &str = "token.new-network";
/// A watched token was used from too many networks within a day.
pub const MANY_NETWORKS: &str = "token.many-networks";

/// A token was found where others can read it.
pub const LEAKED: &str = "token.leaked";

/// Alarms: somebody may have what is not theirs. They are told of although some of them are
/// refusals, and a person is written to about each at most once a day for a token.
pub const ALARMS: [&str; 8] = [
    LEAKED,
    "token.decoy-used",
    NEW_NETWORK,
    MANY_NETWORKS,
    "token.retired-secret-used",
    "token.refresh-reused",
    "token.count-exceeded",
    "link.reopened",
];

/// How an act ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was done.
    Done,
    /// It was refused.
    Refused,
}

impl Outcome {
    /// The name on the wire and in the store.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Refused => "refused",
        }
    }

    /// The outcome of a name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Done, Self::Refused].into_iter().find(|o| o.name() == name)
    }
}

/// Characters of a request's id.
const REQUEST_ID_LEN: usize = 30;

const fn digit(value: u8) -> u8 {
    if value < 10 { b'0' + value } else { b'a' + value - 10 }
}

/// What a request is called in logs, events and answers: 30 hexadecimal digits, by time.
///
/// Kept as the numbers it consists of, because nobody ever reads the most of them.
#[derive(Clone)]
pub struct RequestId(Digits);

#[derive(Clone)]
enum Digits {
    Numbers { micros: i64, process: u32, number: u32 },
    Text(Arc<str>),
}

impl RequestId {
    /// The id of the request with this number in its process, at this time. Two processes are told
    /// apart by a number of theirs.
    pub const fn of(at: Timestamp, process: u32, number: u32) -> Self {
        Self(Digits::Numbers { micros: at.micros(), process, number })
    }
}

/// The id of a request that somebody wrote down.
impl From<&str> for RequestId {
    fn from(text: &str) -> Self {
        Self(Digits::Text(text.into()))
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Digits::Numbers { micros, process, number } => {
                // The highest byte of microseconds is zero for two thousand years.
                let [_, micros @ ..] = micros.max(&0).to_be_bytes();
                let rest = process.to_be_bytes().into_iter().chain(number.to_be_bytes());
                let mut digits = [0; REQUEST_ID_LEN];
                for (two, byte) in digits.chunks_exact_mut(2).zip(micros.into_iter().chain(rest)) {
                    two.copy_from_slice(&[digit(byte >> 4), digit(byte & 15)]);
                }
                // Digits are text.
                f.write_str(std::str::from_utf8(&digits).unwrap_or_default())
            }
            Digits::Text(text) => f.write_str(text),
        }
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RequestId({self})")
    }
}

impl PartialEq for RequestId {
    fn eq(&self, other: &Self) -> bool {
        self.to_string() == other.to_string()
    }
}

impl Eq for RequestId {}

/// Who did it, from where, through which door: the part of an event that a door knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// `user:alice`, `client:gate`, `system`, or `anonymous`.
    pub actor: Arc<str>,
    /// The token that the actor presented.
    pub actor_token: Option<TokenId>,
    /// The door.
    pub door: Door,
    /// The address the request came from.
    pub source: Option<IpAddr>,
    /// The request's id, the same as in the log and in the answer.
    pub request_id: Option<RequestId>,
}

thread_local! {
    /// Every request begins as nobody's. One per thread, because a count that all of them share
    /// would be the busiest place of the server.
    static ANONYMOUS: Arc<str> = "anonymous".into();
}

impl Origin {
    /// Of a request, before it is known whose.
    pub fn anonymous(context: RequestContext) -> Self {
        let RequestContext { door, source, request_id } = context;
        Self { actor: ANONYMOUS.with(Arc::clone), actor_token: None, door, source, request_id }
    }

    /// Acts of the installation itself.
    pub fn system(door: Door) -> Self {
        Self { actor: "system".into(), actor_token: None, door, source: None, request_id: None }
    }
}

/// A state change or refusal. Never holds a secret.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Opaque, unique, and ordered by time: see [`time_ordered_id`].
    pub id: String,
    /// When.
    pub at: Timestamp,
    /// The realm it belongs to.
    pub realm: RealmName,
    /// What, as `noun.past-participle`: `token.issued`, `verify.refused`. This version raises
    /// [`EVENT_KINDS`]; a store may hold others that a later version wrote.
    pub kind: Cow<'static, str>,
    /// How it ended.
    pub outcome: Outcome,
    /// Who, from where.
    pub origin: Origin,
    /// The token it is about.
    pub token: Option<TokenId>,
    /// The owner of that token, as an actor name, or the subject of the change.
    pub subject: Option<String>,
    /// The service it is about.
    pub service: Option<String>,
    /// A reason code, or the words that a person gave.
    pub reason: Option<String>,
    /// How many equal refusals this one stands for; 1 unless aggregated.
    pub count: u64,
    /// Further facts, by name.
    pub detail: Option<serde_json::Value>,
}

impl Event {
    /// An event of `realm` at `at`, to be filled in by the `with_` methods.
    pub fn new(
        kind: &'static str,
        realm: &RealmName,
        origin: &Origin,
        at: Timestamp,
        entropy: &dyn Entropy,
    ) -> Result<Self, NoEntropy> {
        Ok(Self {
            id: time_ordered_id(at, entropy)?,
            at,
            realm: realm.clone(),
            kind: Cow::Borrowed(kind),
            outcome: Outcome::Done,
            origin: origin.clone(),
            token: None,
            subject: None,
            service: None,
            reason: None,
            count: 1,
            detail: None,
        })
    }

    /// Names the token.
    #[must_use]
    pub fn with_token(mut self, token: TokenId) -> Self {
        self.token = Some(token);
        self
    }

    /// Names the subject.
    #[must_use]
    pub fn with_subject(mut self, subject: impl Into<String>) -> Self {
        self.subject = Some(subject.into());
        self
    }

    /// Names the service.
    #[must_use]
    pub fn with_service(mut self, service: impl Into<String>) -> Self {
        self.service = Some(service.into());
        self
    }

    /// Gives the reason.
    #[must_use]
    pub fn with_reason(mut self, reason: impl Into<String>) -> Self {
        self.reason = Some(reason.into());
        self
    }

    /// Adds facts.
    #[must_use]
    pub fn with_detail(mut self, detail: serde_json::Value) -> Self {
        self.detail = Some(detail);
        self
    }

    /// Marks it as a refusal.
    #[must_use]
    pub fn refused(mut self) -> Self {
        self.outcome = Outcome::Refused;
        self
    }
}

/// An id that sorts by time: 14 hexadecimal digits of microseconds, 10 random ones.
pub fn time_ordered_id(at: Timestamp, entropy: &dyn Entropy) -> Result<String, NoEntropy> {
    let mut random = [0; 5];
    entropy.fill(&mut random)?;
    let random = data_encoding::HEXLOWER.encode(&random);
    Ok(format!("{:014x}{random}", at.micros().max(0)))
}

/// Every kind of event that this version raises, for the reference documentation.
pub const EVENT_KINDS: [&str; 111] = [
    "installation.initialised",
    "admin.recovered",
    "key.added",
    "realm.created",
    "realm.updated",
    "user.created",
    "user.updated",
    "user.deleted",
    "user.locked",
    "user.unlocked",
    "group.created",
    "group.updated",
    "group.deleted",
    "group.member-added",
    "group.member-removed",
    "unit.created",
    "unit.updated",
    "unit.deleted",
    "grant.created",
    "grant.deleted",
    "service.created",
    "service.updated",
    "service.deleted",
    "service.locked",
    "service.unlocked",
    "client.created",
    "client.updated",
    "client.deleted",
    "token.issued",
    "token.derived",
    "token.updated",
    "token.handed-over",
    "token.replaced",
    "token.rotated",
    "token.enabled",
    "token.disabled",
    "token.locked",
    "token.unlocked",
    "token.revoked",
    "token.retired-secret-used",
    "token.leaked",
    "token.decoy-used",
    "leak.refused",
    "authenticator.confirmed",
    "authenticator.resynchronised",
    "authenticator.codes-replaced",
    "code.sent",
    "token.assigned",
    "token.unassigned",
    "token.promoted",
    "token.superseded",
    "token.deleted",
    "target.created",
    "target.updated",
    "target.deleted",
    "target.reconciled",
    "delivery.dead",
    "shadow.cleared",
    "am-document.created",
    "am-document.updated",
    "am-document.deleted",
    "letter.ordered",
    "letter.printed",
    "letter.cancelled",
    "letter.redeemed",
    "letter.refused",
    "job.started",
    "job.cancelled",
    "job.ended",
    "link.opened",
    "link.reopened",
    "link.refused",
    "token.enrolled",
    "token.enrolment-requested",
    "token.approved",
    "token.denied",
    "token.request-timed-out",
    "token.enrolment-returned",
    "token.count-nearly-used",
    "token.count-used-up",
    "token.count-exceeded",
    "token.count-returned",
    "token.ends-soon",
    "token.ended",
    NEW_NETWORK,
    MANY_NETWORKS,
    "token.idle-ended",
    "token.refresh-reused",
    "enrol.constraint-warned",
    "enrol.refused",
    "refresh.refused",
    "access-token.revoked",
    "verify.refused",
    "api.refused",
    "store.restored",
    "store.replayed",
    "events.removed",
    "account.password-changed",
    "session.opened",
    "session.refused",
    "session.ended",
    "session.proved",
    "identity.linked",
    "passkey.added",
    "passkey.renamed",
    "passkey.removed",
    "passkey.required",
    "passkey.clone-suspected",
    "sign-in-link.created",
    "sign-in-link.used",
    "sign-in-link.refused",
];

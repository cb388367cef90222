//! Issuing: limits, rows and the kept answer, all or nothing.

use std::collections::BTreeSet;

use counterfoil_authority::clock::Timestamp;
use counterfoil_authority::event::Event;
use counterfoil_authority::names::ServiceLabel;
use counterfoil_authority::policy::AtLimit;
use counterfoil_authority::secret::TokenId;
use counterfoil_authority::secret_hash::SecretHash;
use counterfoil_authority::service::Services;
use counterfoil_authority::store::{
    ActiveLimit, Counted, Idempotency, Issued, Link, LinkIssue, Otp, OtpIssue, TokenIssue,
};
use counterfoil_authority::subject::Owner;
use counterfoil_authority::token::{StoredSecret, Token};

use super::{enrolment, repository, revoke, rows, secrets, usage};
use crate::engine::{Asked, Failure, Row, Transaction, values};
use crate::idempotency::{self, Earlier};
use crate::{events, links, otp, people, provisioning};

/// Tokens of an owner that count towards a limit, oldest first.
macro_rules! held {
    ($of:literal) => {
        concat!(
            "
select t.sort_key, t.id
from   token t
where  t.realm = $1
and    t.owner_kind = $2
and    t.owner = $3
and    t.kind = $4
and    t.revoked_at is null
and    (t.expires_at is null or t.expires_at > $5)
and    ($6 = 0 or exists (
    select 1
    from   token_secret s
    where  s.token = t.id and s.cost is not null
))",
            $of
        )
    };
}

const HELD_IN_REALM: &str = held!("");

/// Of those for one service.
const HELD: &str = held!(
    "
and    exists (
    select 1
    from   token_service s
    where  s.realm = t.realm and s.service = $7 and s.sort_key = t.sort_key
)"
);

/// The same in a repository, whatever services they name.
const HELD_IN_REPOSITORY: &str = "
select t.sort_key, t.id
from   repository_token r
join   token t on t.id = r.token
where  r.realm = $1
and    r.repository = $2
and    r.owner = $3
and    r.place <> 'stock'
and    t.revoked_at is null
and    ($5 = 1 or t.expires_at is null or t.expires_at > $4)";

/// Every statement of this file.
pub(super) const STATEMENTS: &[&str] = &[HELD, HELD_IN_REALM, HELD_IN_REPOSITORY];

/// Whether no other operation can decide on, or wait for, what this one reads and writes: nothing
/// is counted, its keys are drawn at random, and no caller can have chosen the same one twice.
pub(super) fn meets_nobody(issue: &TokenIssue) -> bool {
    let keys = issue.limits.is_empty() && issue.idempotency.is_none();
    keys && issue.token.repository.is_none()
}

/// Issues a token, or answers as before.
pub(super) async fn issue(tx: &mut Transaction<'_>, issue: &TokenIssue) -> Result<Issued, Failure> {
    once(tx, &Arrival::of(issue)).await
}

/// What arrives: a token, with the proof by which it can be used or will be.
pub(crate) struct Arrival<'a> {
    token: &'a Token,
    proof: Proof<'a>,
    limits: &'a [ActiveLimit],
    data: Option<&'a [u8]>,
    idempotency: Option<&'a Idempotency>,
    event: &'a Event,
}

/// How a token is proved.
#[derive(Clone, Copy)]
enum Proof<'a> {
    /// By this secret.
    Secret(&'a StoredSecret),
    /// Not before this link is opened.
    Link(&'a Link),
    /// By codes that are good once.
    Codes(&'a Otp),
}

impl<'a> Arrival<'a> {
    fn of(issue: &'a TokenIssue) -> Self {
        let TokenIssue { token, secret, limits, data, idempotency, event } = issue;
        let (proof, idempotency) = (Proof::Secret(secret), idempotency.as_ref());
        Self { token, proof, limits, data: data.as_deref(), idempotency, event }
    }

    /// A token whose secret a link will deliver.
    pub(crate) fn by_link(issue: &'a LinkIssue) -> Self {
        let LinkIssue { token, link, limits, idempotency, event } = issue;
        let (proof, idempotency) = (Proof::Link(link), idempotency.as_ref());
        Self { token, proof, limits, data: None, idempotency, event }
    }

    /// A token that proves itself by codes.
    pub(crate) fn by_codes(issue: &'a OtpIssue) -> Self {
        let OtpIssue { token, otp, limits, data, idempotency, event } = issue;
        let (proof, idempotency) = (Proof::Codes(otp), idempotency.as_ref());
        Self { token, proof, limits, data: data.as_deref(), idempotency, event }
    }
}

/// Lets a token arrive, or answers as before.
pub(crate) async fn once(tx: &mut Transaction<'_>, issue: &Arrival<'_>) -> Result<Issued, Failure> {
    if let Some(answered) = answered(tx, issue).await? {
        return Ok(answered);
    }
    let issued = arrive(tx, issue).await?;
    // The same request may have come at the same time, and be what this one has met.
    match issued {
        Issued::Done { .. } => Ok(issued),
        refused => Ok(answered(tx, issue).await?.unwrap_or(refused)),
    }
}

/// What the same request, or another one with its key, was answered.
async fn answered(
    tx: &mut Transaction<'_>,
    issue: &Arrival<'_>,
) -> Result<Option<Issued>, Failure> {
    let now = issue.token.created_at;
    Ok(match idempotency::earlier(tx, issue.idempotency, now).await? {
        Earlier::Answered(answer) => Some(Issued::Replayed(answer)),
        Earlier::Other => Some(Issued::KeyReused),
        Earlier::None => None,
    })
}

/// Issues a token whose request is known to be new.
pub(crate) async fn admit(tx: &mut Transaction<'_>, issue: &TokenIssue) -> Result<Issued, Failure> {
    arrive(tx, &Arrival::of(issue)).await
}

async fn arrive(tx: &mut Transaction<'_>, issue: &Arrival<'_>) -> Result<Issued, Failure> {
    let now = issue.token.created_at;
    if !issue.limits.is_empty() {
        // What is counted below must still be so when the new one is added.
        turn_at_owner(tx, issue.token).await?;
    }
    let mut limits: Vec<&ActiveLimit> =
        issue.limits.iter().filter(|l| concerns(l, issue)).collect();
    // What services replace makes room in the realm, so that one is asked last.
    limits.sort_by_key(|limit| limit.of == Counted::Realm);
    let mut asked = vec![people::ask_owner(&issue.token.realm, &issue.token.owner)];
    asked.extend(labels(issue.token).map(|l| people::ask_service(&issue.token.realm, l)));
    asked.extend(limits.iter().map(|limit| ask_held(issue.token, limit, now)));
    let mut answers = tx.query_all(&asked).await?.into_iter();
    let mut answer = || answers.next().unwrap_or_default();
    if answer().is_empty() {
        return Ok(Issued::OwnerGone);
    }
    for label in labels(issue.token) {
        if answer().is_empty() {
            return Ok(Issued::ServiceGone(label.clone()));
        }
    }
    let mut victims = BTreeSet::new();
    for limit in limits {
        let mut held = held_of(answer())?;
        if limit.of == Counted::Realm {
            held.retain(|one| !victims.contains(one));
        }
        // The new one needs a place too.
        let excess = (held.len() + 1).saturating_sub(limit.max as usize);
        if excess > 0 && (limit.at_limit == AtLimit::Refuse || excess > held.len()) {
            return Ok(Issued::AtLimit(limit.max));
        }
        victims.extend(held.into_iter().take(excess));
    }
    let token = match store(tx, issue).await? {
        Stored::Done(token) => token,
        taken => {
            tx.undo();
            return Ok(taken.refusal());
        }
    };
    let replaced: Vec<TokenId> = victims.into_iter().map(|(_, id)| id).collect();
    revoke::replace(tx, &replaced, now, issue.event).await?;
    idempotency::keep(tx, issue.idempotency, &token, now).await?;
    events::append(tx, issue.event).await?;
    Ok(Issued::Done { token, replaced })
}

/// Stores tokens for measurements: the same rows, no limits, no event log.
pub(crate) async fn seed(tx: &mut Transaction<'_>, issues: &[TokenIssue]) -> Result<(), Failure> {
    for issue in issues {
        if !owner_exists(tx, &issue.token).await? {
            return Err(Failure::Overtaken("the owner does not exist"));
        }
        if service_gone(tx, &issue.token).await?.is_some() {
            return Err(Failure::Overtaken("a service does not exist"));
        }
        if !matches!(store(tx, &Arrival::of(issue)).await?, Stored::Done(_)) {
            return Err(Failure::Overtaken("the id, the hash or the serial is taken"));
        }
        events::append(tx, &issue.event).await?;
    }
    Ok(())
}

/// What came of storing the rows of a new token.
#[expect(clippy::large_enum_variant, reason = "one at a time, and the large one is the usual one")]
enum Stored {
    Done(Token),
    /// The id or the hash is taken.
    Collision,
    /// What is to be unique in its repository is not.
    InRepository(repository::Taken),
}

impl Stored {
    fn refusal(self) -> Issued {
        match self {
            Self::InRepository(repository::Taken::Serial) => Issued::SerialTaken,
            Self::InRepository(repository::Taken::Place) => Issued::PlaceTaken,
            Self::Collision | Self::Done(_) => Issued::Collision,
        }
    }
}

/// The rows of a new token.
async fn store(tx: &mut Transaction<'_>, issue: &Arrival<'_>) -> Result<Stored, Failure> {
    let token = issue.token;
    let (proof, facts) = match issue.proof {
        Proof::Secret(secret) => {
            (secrets::ask_insert(&token.id, secret), vec![secret.facts.clone()])
        }
        Proof::Link(link) => (links::ask_insert(link), Vec::new()),
        Proof::Codes(otp) => (otp::ask_insert(otp), Vec::new()),
    };
    if tx.execute_both(rows::ask_insert(token), proof).await?.contains(&0) {
        return Ok(Stored::Collision);
    }
    if let Err(taken) = repository::arrive(tx, token, issue.data).await? {
        return Ok(Stored::InRepository(taken));
    }
    match issue.proof {
        Proof::Secret(secret) => provisioning::insert_hashes(tx, token.id, secret).await?,
        Proof::Link(_) => {}
        Proof::Codes(otp) => otp::add_codes(tx, token.id, &otp.codes).await?,
    }
    rows::add_services_and_labels(tx, token).await?;
    enrolment::tell_end(tx, token, token.created_at).await?;
    usage::store(tx, token.id, &token.usage).await?;
    Ok(Stored::Done(Token { secrets: facts, revocation: None, ..token.clone() }))
}

/// Others who count the tokens of the same owner wait until this one is done.
pub(super) async fn turn_at_owner(tx: &mut Transaction<'_>, token: &Token) -> Result<(), Failure> {
    match &token.owner {
        Owner::User(name) => people::turn_at_user(tx, &token.realm, name).await,
        Owner::Client(name) => people::turn_at_client(tx, &token.realm, name).await,
    }
}

async fn owner_exists(tx: &mut Transaction<'_>, token: &Token) -> Result<bool, Failure> {
    match &token.owner {
        Owner::User(name) => people::user_exists(tx, &token.realm, name).await,
        Owner::Client(name) => people::client_exists(tx, &token.realm, name).await,
    }
}

/// A service that was removed since the caller looked must not come back with this token.
pub(super) async fn service_gone(
    tx: &mut Transaction<'_>,
    token: &Token,
) -> Result<Option<ServiceLabel>, Failure> {
    for label in labels(token) {
        if !people::service_exists(tx, &token.realm, label).await? {
            return Ok(Some(label.clone()));
        }
    }
    Ok(None)
}

/// The services that a token names.
fn labels(token: &Token) -> impl Iterator<Item = &ServiceLabel> {
    let named = match &token.services {
        Services::Named(labels) => Some(labels),
        Services::All => None,
    };
    named.into_iter().flatten()
}

/// A limit on slow hashes has nothing to say about a keyed one.
fn concerns(limit: &ActiveLimit, issue: &Arrival<'_>) -> bool {
    let slow = match issue.proof {
        Proof::Secret(secret) => matches!(secret.hash, SecretHash::Slow { .. }),
        // What a link delivers is generated, and what a seed leads to is nobody's choice.
        Proof::Link(_) | Proof::Codes(_) => false,
    };
    slow || !limit.slow_only
}

/// Which tokens of this one's owner and kind count towards a limit at `now`, oldest first.
pub(super) async fn held(
    tx: &mut Transaction<'_>,
    token: &Token,
    limit: &ActiveLimit,
    now: Timestamp,
) -> Result<Vec<(String, TokenId)>, Failure> {
    let asked = ask_held(token, limit, now);
    held_of(tx.query(asked.sql, &asked.values).await?)
}

fn ask_held<'a>(token: &'a Token, limit: &'a ActiveLimit, now: Timestamp) -> Asked<'a> {
    let kind = crate::codec::owner_kind(&token.owner);
    let (owner, sort) = (token.owner.name(), token.kind.name());
    let in_realm = values![&token.realm, kind, owner, sort, now, limit.slow_only];
    let service = match &limit.of {
        Counted::Service(label) => label.as_str(),
        Counted::EveryService => "*",
        Counted::Realm => return Asked::new(HELD_IN_REALM, in_realm),
        Counted::Repository(of) => {
            let values = values![&token.realm, of.name.as_str(), owner, now, of.count_expired];
            return Asked::new(HELD_IN_REPOSITORY, values);
        }
    };
    let [realm, kind, owner, sort, now, slow_only] = in_realm;
    Asked::new(HELD, [realm, kind, owner, sort, now, slow_only, service.into()])
}

fn held_of(rows: Vec<Row>) -> Result<Vec<(String, TokenId)>, Failure> {
    let mut held = BTreeSet::new();
    for mut row in rows {
        held.insert((row.text("sort_key")?, row.token("id")?));
    }
    Ok(held.into_iter().collect())
}

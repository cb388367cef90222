//! Ending tokens for good: one, those of an owner, and everything derived from them.

use counterfoil_authority::clock::Timestamp;
use counterfoil_authority::event::Event;
use counterfoil_authority::names::RealmName;
use counterfoil_authority::secret::TokenId;
use counterfoil_authority::store::Change;
use counterfoil_authority::subject::Owner;

use crate::engine::{Failure, Transaction, values};
use crate::{codec, events, provisioning};

const REVOKE: &str = "
update token
set    revoked_at = $2, revoked_by = $3, revoked_reason = $4, version = version + 1
where  id = $1
and    revoked_at is null";

const REVOKE_OF_OWNER: &str = "
update token
set    revoked_at = $4, revoked_by = $5, revoked_reason = 'owner deleted', version = version + 1
where  realm = $1
and    owner_kind = $2
and    owner = $3
and    revoked_at is null
returning id";

/// Derived tokens only: an auth token outlives the registration token it was drawn from.
const REVOKE_DERIVED: &str = "
with recursive family (id) as (
    select id
    from   token
    where  parent = $1 and kind = 'derived_token'
    union
    select t.id
    from   token t
    join   family f on t.parent = f.id
    where  t.kind = 'derived_token'
)
update token
set    revoked_at = $2, revoked_by = $3, revoked_reason = 'parent revoked', version = version + 1
where  id in (select id from family)
and    revoked_at is null
returning id";

/// Auth tokens outlive their registration token unless somebody says otherwise.
const REVOKE_DRAWN: &str = "
update token
set    revoked_at = $2, revoked_by = $3, revoked_reason = $4, version = version + 1
where  id in (select token from auth_token where registration = $1)
and    revoked_at is null
returning id";

/// Requests that end with their registration token hold no draw any more.
const DECIDE_DRAWN: &str = "
update auth_token
set    request_ends_at = null
where  registration = $1
and    request_ends_at is not null";

const RELEASE_ALL: &str = "
update token
set    reserved = 0
where  id = $1";

/// Every statement of this file.
pub(super) const STATEMENTS: &[&str] =
    &[REVOKE, REVOKE_OF_OWNER, REVOKE_DERIVED, REVOKE_DRAWN, DECIDE_DRAWN, RELEASE_ALL];

/// Who ends a token, when and why.
pub(super) struct Sentence<'a> {
    /// When.
    pub(super) at: Timestamp,
    /// By whom, as an actor name.
    pub(super) by: &'a str,
    /// Why.
    pub(super) reason: Option<&'a str>,
}

/// Ends one token and everything derived from it. The event of the one is the caller's.
pub(super) async fn revoke(
    tx: &mut Transaction<'_>,
    id: TokenId,
    sentence: &Sentence<'_>,
    event: &Event,
) -> Result<(), Failure> {
    let Sentence { at, by, reason } = *sentence;
    tx.push(REVOKE, &values![&id, at, by, reason]).await?;
    provisioning::forget_hashes(tx, id).await?;
    let derived = end_derived(tx, &[id], at, by).await?;
    record(tx, &derived, "token.revoked", "parent revoked", event).await?;
    let ended = [id].into_iter().chain(derived);
    tx.all_changed(ended.map(Change::Token).collect(), event.at).await
}

/// Ends every auth token that was drawn from a registration token, each with its own event.
pub(super) async fn revoke_drawn(
    tx: &mut Transaction<'_>,
    id: TokenId,
    sentence: &Sentence<'_>,
    event: &Event,
) -> Result<(), Failure> {
    let Sentence { at, by, reason } = *sentence;
    let mut drawn = Vec::new();
    for mut row in tx.query(REVOKE_DRAWN, &values![&id, at, by, reason]).await? {
        drawn.push(row.token("id")?);
    }
    tx.push(DECIDE_DRAWN, &values![&id]).await?;
    tx.push(RELEASE_ALL, &values![&id]).await?;
    let derived = end_derived(tx, &drawn, at, by).await?;
    record(tx, &drawn, "token.revoked", "registration token revoked", event).await?;
    record(tx, &derived, "token.revoked", "parent revoked", event).await?;
    let ended = drawn.into_iter().chain(derived);
    tx.all_changed(ended.map(Change::Token).collect(), event.at).await
}

/// Ends tokens in favour of a new one, each with its own event.
pub(super) async fn replace(
    tx: &mut Transaction<'_>,
    ids: &[TokenId],
    at: Timestamp,
    event: &Event,
) -> Result<(), Failure> {
    if ids.is_empty() {
        return Ok(());
    }
    let by = &event.origin.actor;
    for id in ids {
        if tx.execute(REVOKE, &values![id, at, &**by, "replaced"]).await? == 0 {
            return Err(Failure::interleaved());
        }
        provisioning::forget_hashes(tx, *id).await?;
    }
    let derived = end_derived(tx, ids, at, by).await?;
    record(tx, ids, "token.replaced", "replaced", event).await?;
    record(tx, &derived, "token.revoked", "parent revoked", event).await?;
    let ended = ids.iter().copied().chain(derived);
    tx.all_changed(ended.map(Change::Token).collect(), event.at).await
}

/// Ends every token of an owner who is removed.
pub(crate) async fn revoke_all_of(
    tx: &mut Transaction<'_>,
    realm: &RealmName,
    owner: &Owner,
    at: Timestamp,
    event: &Event,
) -> Result<(), Failure> {
    let by = &event.origin.actor;
    let values = values![realm, codec::owner_kind(owner), owner.name(), at, &**by];
    let mut ids = Vec::new();
    for mut row in tx.query(REVOKE_OF_OWNER, &values).await? {
        ids.push(row.token("id")?);
    }
    // A token may have been derived for somebody else.
    let derived = end_derived(tx, &ids, at, by).await?;
    record(tx, &ids, "token.revoked", "owner deleted", event).await?;
    record(tx, &derived, "token.revoked", "parent revoked", event).await?;
    let ended = ids.into_iter().chain(derived);
    tx.all_changed(ended.map(Change::Token).collect(), event.at).await
}

async fn end_derived(
    tx: &mut Transaction<'_>,
    parents: &[TokenId],
    at: Timestamp,
    by: &str,
) -> Result<Vec<TokenId>, Failure> {
    let mut ended = Vec::new();
    for parent in parents {
        for mut row in tx.query(REVOKE_DERIVED, &values![parent, at, by]).await? {
            ended.push(row.token("id")?);
        }
    }
    Ok(ended)
}

async fn record(
    tx: &mut Transaction<'_>,
    ids: &[TokenId],
    kind: &'static str,
    reason: &str,
    cause: &Event,
) -> Result<(), Failure> {
    let told: Vec<Event> =
        ids.iter().map(|id| events::consequence(cause, kind, *id, reason)).collect();
    events::append_all(tx, &told).await
}

//! One-time links in SQL.

use async_trait::async_trait;
use counterfoil_authority::clock::Timestamp;
use counterfoil_authority::secret::TokenId;
use counterfoil_authority::secret_hash::{Mac256, SecretHash};
use counterfoil_authority::store::{
    Change, Issued, LINK_RETENTION_SECONDS, Link, LinkEnd, LinkIssue, LinkOpen, LinkOpened,
    LinkStore, Unavailable,
};

use crate::engine::{Asked, Failure, Inconsistent, Row, Transaction, values};
use crate::tokens::Arrival;
use crate::{SqlStore, codec, events, tokens};

const INSERT: &str = "
insert into link (id, realm, token, created_at, expires_at, pepper, hash, opened_at, sealed)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
on conflict do nothing";

const FIND: &str = "
select id, realm, token, created_at, expires_at, pepper, hash, opened_at, sealed
from   link
where  id = $1";

/// Of any number of openings one matches the row; a token that has ended, or has a secret
/// already, matches none.
const OPEN: &str = "
update link
set    opened_at = $2,
       sealed = null
where  id = $1
and    token = $3
and    opened_at is null
and    expires_at > $2
and    exists (
    select 1
    from   token t
    where  t.id = $3
    and    t.revoked_at is null
    and    (t.expires_at is null or t.expires_at > $2)
)
and    not exists (
    select 1
    from   token_secret s
    where  s.token = $3
)";

const RAISE_VERSION: &str = "
update token
set    version = version + 1
where  id = $1";

const PURGE: &str = "
delete from link
where  id in (
    select id
    from   link
    where  expires_at <= $1
    order  by expires_at
    limit  $2
)";

/// Every statement of this file.
pub(crate) const STATEMENTS: &[&str] = &[INSERT, FIND, OPEN, RAISE_VERSION, PURGE];

/// Stores a link; touches no row if its id is taken.
pub(crate) fn ask_insert(link: &Link) -> Asked<'_> {
    let values = values![
        &link.id,
        &link.realm,
        &link.token,
        link.created_at,
        link.expires_at,
        link.hash.pepper(),
        codec::hash_bytes(&link.hash),
        link.opened_at,
        link.sealed.as_deref()
    ];
    Asked::new(INSERT, values)
}

async fn find(tx: &mut Transaction<'_>, id: TokenId) -> Result<Option<Link>, Failure> {
    let row = tx.row(FIND, &values![&id]).await?;
    Ok(row.map(link_of).transpose()?)
}

fn link_of(mut row: Row) -> Result<Link, Inconsistent> {
    let id = row.token("id")?;
    let realm = codec::realm(&mut row, "realm")?;
    let token = row.token("token")?;
    let (created_at, expires_at) = (row.time("created_at")?, row.time("expires_at")?);
    let pepper = row.small("pepper")?;
    let mac = Mac256::from_bytes(row.bytes32("hash")?);
    let opened_at = row.time_or_null("opened_at")?;
    let sealed = row.bytes_or_null("sealed")?;
    let hash = SecretHash::Keyed { pepper, mac };
    Ok(Link { id, realm, token, created_at, expires_at, hash, opened_at, sealed })
}

async fn open(tx: &mut Transaction<'_>, open: &LinkOpen) -> Result<LinkOpened, Failure> {
    // Whoever changes the token takes turns, so that it cannot end between guard and secret.
    tokens::find_to_change(tx, &open.realm, open.token).await?;
    if tx.execute(OPEN, &values![&open.id, open.at, &open.token]).await? == 0 {
        return Ok(LinkOpened::Refused(end_of(find(tx, open.id).await?.as_ref(), open.at)));
    }
    if tokens::insert(tx, open.token, &open.secret).await? == 0 {
        tx.undo();
        return Ok(LinkOpened::Collision);
    }
    tx.push(RAISE_VERSION, &values![&open.token]).await?;
    let Some(token) = tokens::find_to_change(tx, &open.realm, open.token).await? else {
        return Err(Failure::interleaved());
    };
    events::append(tx, &open.event).await?;
    tx.changed(Change::Token(open.token), open.at).await?;
    Ok(LinkOpened::Done(token))
}

/// Why a link that did not match does not open.
pub(crate) fn end_of(link: Option<&Link>, at: Timestamp) -> LinkEnd {
    match link {
        Some(link) if link.opened_at.is_some() => LinkEnd::Opened,
        Some(link) if link.expires_at <= at => LinkEnd::Expired,
        Some(_) | None => LinkEnd::TokenEnded,
    }
}

/// Removes a batch of links whose opening would raise no alarm any more.
pub(crate) async fn purge(
    tx: &mut Transaction<'_>,
    now: Timestamp,
    limit: u32,
) -> Result<u64, Failure> {
    tx.execute(PURGE, &values![now.plus_seconds(-LINK_RETENTION_SECONDS), limit]).await
}

#[async_trait]
impl LinkStore for SqlStore {
    async fn link_issue(&self, issue: LinkIssue) -> Result<Issued, Unavailable> {
        self.write(issue, |tx, issue| {
            Box::pin(async move { tokens::once(tx, &Arrival::by_link(issue)).await })
        })
        .await
    }

    async fn link_find(&self, id: TokenId) -> Result<Option<Link>, Unavailable> {
        self.point(id, |tx, id| Box::pin(find(tx, *id))).await
    }

    async fn link_open(&self, opening: LinkOpen) -> Result<LinkOpened, Unavailable> {
        self.write(opening, |tx, opening| Box::pin(open(tx, opening))).await
    }
}

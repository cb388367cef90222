//! Activation letters in SQL.
//!
//! Invariant: printing and redeeming are one conditional statement each, so that of many who do it
//! at the same time one has done it.

use async_trait::async_trait;
use counterfoil_authority::clock::Timestamp;
use counterfoil_authority::event::Event;
use counterfoil_authority::names::{RealmName, RepositoryName, Username};
use counterfoil_authority::secret::TokenId;
use counterfoil_authority::secret_hash::{Mac256, SecretHash};
use counterfoil_authority::store::{
    Change, LINK_RETENTION_SECONDS, Letter, LetterFilter, LetterOrdered, LetterPrint, LetterRedeem,
    LetterState, LetterStore, Page, PageRequest, Unavailable,
};
use counterfoil_authority::token::Token;

use crate::engine::{Failure, Inconsistent, Row, Transaction, values};
use crate::people::page;
use crate::{SqlStore, codec, events, tokens};

macro_rules! columns {
    () => {
        "
select id, realm, repository, token, owner, state, ordered_at, ordered_by, expires_at,
       printed_at, printed_by, ended_at, pepper, hash
from   activation_letter
"
    };
}

const FIND: &str = concat!(columns!(), "where realm = $1 and id = $2");
const BY_HASH: &str = concat!(columns!(), "where hash = $1");

/// Whatever else a list names leaves out what its index has found; an empty text leaves out
/// nothing.
macro_rules! rest {
    () => {
        "
and    (state = $4 or $4 = '')
and    (repository = $5 or $5 = '')
order  by id
limit  $3"
    };
}

const LIST: &str = concat!(columns!(), "where realm = $1 and id > $2", rest!());

const LIST_OF_OWNER: &str =
    concat!(columns!(), "where realm = $1 and id > $2 and owner = $6", rest!());

const LIST_IN_STATE: &str = concat!(
    columns!(),
    "where realm = $1 and id > $2 and state = $4
and    (repository = $5 or $5 = '')
order  by id
limit  $3"
);

const INSERT: &str = "
insert into activation_letter (
    id, realm, repository, token, owner, state, ordered_at, ordered_by, expires_at
)
values ($1, $2, $3, $4, $5, 'ordered', $6, $7, $8)
on conflict do nothing";

const PRINT: &str = "
update activation_letter
set    state = 'printed', printed_at = $3, printed_by = $4, pepper = $5, hash = $6
where  realm = $1
and    id = $2
and    state = 'ordered'
and    expires_at > $3";

const CANCEL: &str = "
update activation_letter
set    state = 'cancelled', ended_at = $3
where  realm = $1
and    id = $2
and    state in ('ordered', 'printed')";

/// The letter of a token that goes elsewhere.
const LET_GO: &str = "
update activation_letter
set    state = 'cancelled', ended_at = $2
where  token = $1
and    state in ('ordered', 'printed')";

/// One whose time is over stands in nobody's way.
const LAPSE: &str = "
update activation_letter
set    state = 'cancelled', ended_at = expires_at
where  token = $1
and    state in ('ordered', 'printed')
and    expires_at <= $2";

const PURGE: &str = "
update activation_letter
set    state = 'cancelled', ended_at = expires_at, pepper = null, hash = null
where  id in (
    select id
    from   activation_letter
    where  state in ('ordered', 'printed')
    and    expires_at <= $1
    order  by expires_at
    limit  $2
)";

/// Of any number of redemptions one matches the row; a token that waits no more, or went to
/// somebody else, matches none.
const REDEEM: &str = "
update activation_letter
set    state = 'redeemed', ended_at = $3
where  id = $1
and    token = $2
and    state = 'printed'
and    expires_at > $3
and    exists (
    select 1
    from   token t
    where  t.id = $2
    and    t.pending = 1
    and    t.place = 'held'
    and    t.owner_kind = 'u'
    and    t.owner = activation_letter.owner
    and    t.revoked_at is null
    and    (t.expires_at is null or t.expires_at > $3)
)";

const ACTIVATE: &str = "
update token
set    pending = 0, activated_at = coalesce(activated_at, $2), changed_at = $2,
       version = version + 1
where  id = $1
and    pending = 1";

/// Every statement of this file.
pub(crate) const STATEMENTS: &[&str] = &[
    FIND,
    BY_HASH,
    LIST,
    LIST_OF_OWNER,
    LIST_IN_STATE,
    INSERT,
    PRINT,
    CANCEL,
    LET_GO,
    LAPSE,
    PURGE,
    REDEEM,
    ACTIVATE,
];

fn letter_of(mut row: Row) -> Result<Letter, Inconsistent> {
    let id = row.text("id")?;
    let realm = codec::realm(&mut row, "realm")?;
    let repository = row.parsed("repository", |name| RepositoryName::parse(name).ok())?;
    let token = row.token("token")?;
    let owner = row.parsed("owner", |name| Username::parse(name).ok())?;
    let state = row.parsed("state", LetterState::from_name)?;
    let (ordered_at, ordered_by) = (row.time("ordered_at")?, row.text("ordered_by")?);
    let expires_at = row.time("expires_at")?;
    let (printed_at, printed_by) =
        (row.time_or_null("printed_at")?, row.text_or_null("printed_by")?);
    let ended_at = row.time_or_null("ended_at")?;
    let pepper = row.int_or_null("pepper")?;
    let bytes = row.bytes_or_null("hash")?;
    let hash = pepper.zip(bytes).map(|(pepper, bytes)| {
        let pepper = u32::try_from(pepper).map_err(|_| Inconsistent { column: "pepper" })?;
        let bytes = bytes.try_into().map_err(|_| Inconsistent { column: "hash" })?;
        Ok(SecretHash::Keyed { pepper, mac: Mac256::from_bytes(bytes) })
    });
    Ok(Letter {
        id,
        realm,
        repository,
        token,
        owner,
        state,
        ordered_at,
        ordered_by,
        expires_at,
        printed_at,
        printed_by,
        ended_at,
        hash: hash.transpose()?,
    })
}

async fn find(
    tx: &mut Transaction<'_>,
    realm: &RealmName,
    id: &str,
) -> Result<Option<Letter>, Failure> {
    let row = tx.row(FIND, &values![realm, id]).await?;
    Ok(row.map(letter_of).transpose()?)
}

async fn list(
    tx: &mut Transaction<'_>,
    realm: &RealmName,
    filter: &LetterFilter,
    request: &PageRequest,
) -> Result<Page<Letter>, Failure> {
    let state = filter.state.map_or("", LetterState::name);
    let repository = filter.repository.as_ref().map_or("", RepositoryName::as_str);
    let (after, limit) = (page::start(request), page::rows_to_ask(request));
    let rows = if let Some(owner) = &filter.owner {
        let values = values![realm, after, limit, state, repository, owner];
        tx.query(LIST_OF_OWNER, &values).await?
    } else {
        let sql = if filter.state.is_some() { LIST_IN_STATE } else { LIST };
        tx.query(sql, &values![realm, after, limit, state, repository]).await?
    };
    page::of(rows, request, letter_of, |letter| letter.id.clone())
}

async fn order(
    tx: &mut Transaction<'_>,
    letter: &Letter,
    event: &Event,
) -> Result<LetterOrdered, Failure> {
    let found = tokens::find_to_change(tx, &letter.realm, letter.token).await?;
    if !found.is_some_and(|token| waits_for(&token, letter)) {
        return Ok(LetterOrdered::NotPending);
    }
    tx.push(LAPSE, &values![&letter.token, letter.ordered_at]).await?;
    let values = values![
        &letter.id,
        &letter.realm,
        letter.repository.as_str(),
        &letter.token,
        &letter.owner,
        letter.ordered_at,
        &letter.ordered_by,
        letter.expires_at
    ];
    if tx.execute(INSERT, &values).await? == 0 {
        return Ok(LetterOrdered::Already);
    }
    events::append(tx, event).await?;
    Ok(LetterOrdered::Done)
}

/// Whether a token is the one that a letter is to activate.
pub(crate) fn waits_for(token: &Token, letter: &Letter) -> bool {
    let here = token.repository.as_ref().is_some_and(|at| {
        at.name == letter.repository && at.place == counterfoil_authority::repository::Place::Held
    });
    here && token.pending && token.revocation.is_none() && token.owner.user() == Some(&letter.owner)
}

async fn print(tx: &mut Transaction<'_>, print: &LetterPrint) -> Result<Option<Letter>, Failure> {
    let LetterPrint { realm, id, hash, at, by, event } = print;
    let bytes = codec::hash_bytes(hash);
    let values = values![realm, id, *at, by, hash.pepper(), bytes];
    if tx.execute(PRINT, &values).await? == 0 {
        return Ok(None);
    }
    events::append(tx, event).await?;
    find(tx, realm, id).await
}

async fn cancel(
    tx: &mut Transaction<'_>,
    realm: &RealmName,
    id: &str,
    at: Timestamp,
    event: &Event,
) -> Result<Option<Letter>, Failure> {
    if tx.execute(CANCEL, &values![realm, id, at]).await? == 0 {
        return Ok(None);
    }
    events::append(tx, event).await?;
    find(tx, realm, id).await
}

async fn redeem(tx: &mut Transaction<'_>, redeem: &LetterRedeem) -> Result<Option<Token>, Failure> {
    let LetterRedeem { realm, id, token, at, event } = redeem;
    // The token's row before the letter's: the order in which everybody takes them.
    tokens::find_to_change(tx, realm, *token).await?;
    if tx.execute(REDEEM, &values![id, token, *at]).await? == 0 {
        return Ok(None);
    }
    if tx.execute(ACTIVATE, &values![token, *at]).await? == 0 {
        return Err(Failure::interleaved());
    }
    events::append(tx, event).await?;
    tx.changed(Change::Token(*token), *at).await?;
    tokens::find_to_change(tx, realm, *token).await
}

/// Cancels a batch of letters whose time was over long ago, so that no pepper is kept for them.
pub(crate) async fn purge(
    tx: &mut Transaction<'_>,
    now: Timestamp,
    limit: u32,
) -> Result<u64, Failure> {
    tx.execute(PURGE, &values![now.plus_seconds(-LINK_RETENTION_SECONDS), limit]).await
}

/// Cancels the open letter of a token that changes hands or ends.
pub(crate) async fn let_go(
    tx: &mut Transaction<'_>,
    token: TokenId,
    at: Timestamp,
) -> Result<(), Failure> {
    tx.push(LET_GO, &values![&token, at]).await
}

#[async_trait]
impl LetterStore for SqlStore {
    async fn letter_order(
        &self,
        letter: Letter,
        event: Event,
    ) -> Result<LetterOrdered, Unavailable> {
        self.write((letter, event), |tx, (letter, event)| Box::pin(order(tx, letter, event))).await
    }

    async fn letter_find(
        &self,
        realm: &RealmName,
        id: &str,
    ) -> Result<Option<Letter>, Unavailable> {
        self.point((realm.clone(), id.to_owned()), |tx, (realm, id)| Box::pin(find(tx, realm, id)))
            .await
    }

    async fn letter_by_hash(&self, mac: Mac256) -> Result<Option<Letter>, Unavailable> {
        self.point(mac, |tx, mac| {
            Box::pin(async move {
                let row = tx.row(BY_HASH, &values![mac.as_bytes()]).await?;
                Ok(row.map(letter_of).transpose()?)
            })
        })
        .await
    }

    async fn letter_list(
        &self,
        realm: &RealmName,
        filter: LetterFilter,
        page: PageRequest,
    ) -> Result<Page<Letter>, Unavailable> {
        self.scan((realm.clone(), filter, page), |tx, (realm, filter, page)| {
            Box::pin(list(tx, realm, filter, page))
        })
        .await
    }

    async fn letter_print(&self, printing: LetterPrint) -> Result<Option<Letter>, Unavailable> {
        self.write(printing, |tx, printing| Box::pin(print(tx, printing))).await
    }

    async fn letter_cancel(
        &self,
        realm: &RealmName,
        id: &str,
        at: Timestamp,
        event: Event,
    ) -> Result<Option<Letter>, Unavailable> {
        self.write((realm.clone(), id.to_owned(), at, event), |tx, (realm, id, at, event)| {
            Box::pin(cancel(tx, realm, id, *at, event))
        })
        .await
    }

    async fn letter_redeem(&self, redeeming: LetterRedeem) -> Result<Option<Token>, Unavailable> {
        self.write(redeeming, |tx, redeeming| Box::pin(redeem(tx, redeeming))).await
    }
}

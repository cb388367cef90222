//! What tokens were used for: one row for each token, aspect and name, with its latest day.

use std::collections::BTreeMap;

use async_trait::async_trait;
use counterfoil_authority::clock::Timestamp;
use counterfoil_authority::secret::TokenId;
use counterfoil_authority::store::{
    AsUsed, Aspect, KnownUse, KnownUses, SCOPES_KEPT_MAX, USE_NOTE_ANCESTORS_MAX,
    USE_NOTES_KEPT_DAYS, Unavailable, UseNote, UseNoteStore, day_of, given, rows_of,
};
use counterfoil_authority::token::Token;

use crate::engine::{Failure, Inconsistent, Row, Transaction, values};
use crate::{SqlStore, codec};

/// The only row of `token_use_since`.
const ROW: i64 = 1;

const ABOVE: &str = "
select networks, parent
from   token
where  id = $1";

const ADD: &str = "
insert into token_use (token, aspect, what, day)
values ($1, $2, $3, $4)
on conflict (token, aspect, what) do update
set    day = excluded.day
where  token_use.day < excluded.day";

const IS_KNOWN: &str = "
select 1
from   token_use
where  token = $1
and    aspect = $2
and    what = $3";

const COUNT: &str = "
select count(*)
from   token_use
where  token = $1
and    aspect = $2";

const FIND: &str = "
select token, aspect, what, day
from   token_use
where  token = $1
and    day >= $2";

const BEGIN: &str = "
insert into token_use_since (id, since)
values ($1, $2)
on conflict (id) do nothing";

const BEGIN_ANEW: &str = "
insert into token_use_since (id, since)
values ($1, $2)
on conflict (id) do update
set    since = excluded.since
where  token_use_since.since < excluded.since";

const SINCE: &str = "
select since
from   token_use_since
where  id = $1";

const PURGE: &str = "
delete from token_use
where  (token, aspect, what) in (
    select token, aspect, what
    from   token_use
    where  day < $1
    limit  $2
)";

/// Every statement of this file.
pub(crate) const STATEMENTS: &[&str] =
    &[ABOVE, ADD, IS_KNOWN, COUNT, FIND, BEGIN, BEGIN_ANEW, SINCE, PURGE];

fn known(mut row: Row) -> Result<KnownUse, Inconsistent> {
    Ok(KnownUse {
        token: row.token("token")?,
        aspect: row.parsed("aspect", Aspect::from_name)?,
        what: row.text("what")?,
        day: row.int("day")?,
    })
}

/// What is to be written, in the order of the key, so that two nodes never wait for each other.
type Rows = BTreeMap<(TokenId, &'static str, String), i64>;

fn put(rows: &mut Rows, token: TokenId, aspect: Aspect, what: String, day: i64) {
    let known = rows.entry((token, aspect.name(), what)).or_insert(day);
    *known = day.max(*known);
}

/// What a use says of a token and of everything above it.
async fn gather(tx: &mut Transaction<'_>, note: &UseNote, rows: &mut Rows) -> Result<(), Failure> {
    let mut next = Some(note.token);
    for _ in 0..=USE_NOTE_ANCESTORS_MAX {
        let Some(token) = next else { break };
        // What is gone needs no bookkeeping.
        let Some(mut row) = tx.row(ABOVE, &values![&token]).await? else { break };
        let networks = codec::networks(&mut row)?;
        for (aspect, what) in rows_of(note, &networks) {
            put(rows, token, aspect, what, note.day);
        }
        for scope in &note.asked {
            put(rows, token, Aspect::Scope, scope.to_string(), note.day);
        }
        next = row.token_or_null("parent")?;
    }
    Ok(())
}

/// So many scopes of a token are kept.
async fn kept_scopes(tx: &mut Transaction<'_>, token: TokenId) -> Result<u64, Failure> {
    let row = tx.row(COUNT, &values![&token, Aspect::Scope.name()]).await?;
    Ok(row.map(|mut row| row.count("count")).transpose()?.unwrap_or(0))
}

/// The same rows with a mark in place of the scopes that are more than are kept. Nothing is
/// written before all of them are known, so that the marks stand in the order of the key, too.
async fn without_too_many(tx: &mut Transaction<'_>, rows: Rows) -> Result<Rows, Failure> {
    let mut kept: BTreeMap<TokenId, u64> = BTreeMap::new();
    let mut limited = Rows::new();
    for ((token, aspect, what), day) in rows {
        let is_scope = aspect == Aspect::Scope.name();
        if is_scope && !tx.exists(IS_KNOWN, &values![&token, aspect, &*what]).await? {
            let before = match kept.get(&token) {
                Some(number) => *number,
                None => kept_scopes(tx, token).await?,
            };
            if before >= SCOPES_KEPT_MAX {
                put(&mut limited, token, Aspect::ManyScopes, String::new(), day);
                continue;
            }
            kept.insert(token, before + 1);
        }
        limited.insert((token, aspect, what), day);
    }
    Ok(limited)
}

async fn note(tx: &mut Transaction<'_>, notes: &[UseNote]) -> Result<(), Failure> {
    let mut rows = Rows::new();
    for one in notes {
        gather(tx, one, &mut rows).await?;
    }
    for ((token, aspect, what), day) in without_too_many(tx, rows).await? {
        tx.execute(ADD, &values![&token, aspect, &*what, day]).await?;
    }
    Ok(())
}

async fn find(
    tx: &mut Transaction<'_>,
    tokens: &[TokenId],
    from: i64,
) -> Result<Vec<KnownUse>, Failure> {
    let mut found = Vec::new();
    for token in tokens {
        let rows = tx.query(FIND, &values![token, from]).await?;
        let mut own = rows.into_iter().map(known).collect::<Result<Vec<_>, _>>()?;
        // Here, because each database has an alphabet of its own.
        own.sort_unstable();
        found.extend(own);
    }
    Ok(found)
}

async fn since(tx: &mut Transaction<'_>, now: Timestamp, anew: bool) -> Result<Timestamp, Failure> {
    let sql = if anew { BEGIN_ANEW } else { BEGIN };
    tx.execute(sql, &values![ROW, now]).await?;
    match tx.row(SINCE, &values![ROW]).await? {
        Some(mut row) => Ok(row.time("since")?),
        None => Err(Failure::interleaved()),
    }
}

/// Whether a token was used for nothing else than an edit was judged by.
pub(crate) async fn is_as_used(
    tx: &mut Transaction<'_>,
    token: TokenId,
    judged: &AsUsed,
) -> Result<bool, Failure> {
    Ok(judged.is_met_by(&find(tx, &[token], judged.from).await?))
}

/// Notes what an edit gives a token.
pub(crate) async fn give(
    tx: &mut Transaction<'_>,
    before: &Token,
    after: &Token,
    at: Timestamp,
) -> Result<(), Failure> {
    for (aspect, what) in given(before, after) {
        tx.execute(ADD, &values![&before.id, aspect.name(), &*what, day_of(at)]).await?;
    }
    Ok(())
}

/// Removes a batch of what was so for the last time long ago.
pub(crate) async fn purge(
    tx: &mut Transaction<'_>,
    now: Timestamp,
    limit: u32,
) -> Result<u64, Failure> {
    tx.execute(PURGE, &values![day_of(now) - USE_NOTES_KEPT_DAYS, limit]).await
}

#[async_trait]
impl UseNoteStore for SqlStore {
    async fn use_notes_add(&self, notes: Vec<UseNote>) -> Result<(), Unavailable> {
        self.write(notes, |tx, notes| Box::pin(note(tx, notes))).await
    }

    async fn use_notes_find(
        &self,
        tokens: Vec<TokenId>,
        from: i64,
    ) -> Result<KnownUses, Unavailable> {
        self.point((tokens, from), |tx, (tokens, from)| {
            Box::pin(async move {
                let rows = find(tx, tokens, *from).await?;
                let since = tx.row(SINCE, &values![ROW]).await?;
                let since = since.map(|mut row| row.time("since")).transpose()?;
                Ok(KnownUses { since, rows })
            })
        })
        .await
    }

    async fn use_notes_since(&self, now: Timestamp, anew: bool) -> Result<Timestamp, Unavailable> {
        self.write((now, anew), |tx, (now, anew)| Box::pin(since(tx, *now, *anew))).await
    }
}

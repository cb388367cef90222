//! Where an old system answers otherwise than we do: one upsert for each difference.

use async_trait::async_trait;
use counterfoil_authority::clock::Timestamp;
use counterfoil_authority::event::Event;
use counterfoil_authority::names::{RealmName, ServiceLabel, ShadowName, Username};
use counterfoil_authority::secret::TokenId;
use counterfoil_authority::shadow::Differs;
use counterfoil_authority::store::{
    Change, Page, PageRequest, SHADOW_KEPT_DAYS, SHADOW_KEPT_MAX, ShadowDifference, ShadowFilter,
    ShadowStore, Unavailable,
};
use counterfoil_authority::verdict::{REASONS, Reason};

use crate::engine::{Failure, Inconsistent, Row, Transaction, Value, values};
use crate::people::page;
use crate::{SqlStore, codec, events};

/// The reason is that of the latest time, whatever the order in which nodes tell of them.
const ADD: &str = "
insert into shadow_difference (
    realm, id, shadow, service, differs, token, username, reason, met, first_at, last_at
)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
on conflict (realm, shadow, service, differs, token, username) do update
set    met = shadow_difference.met + excluded.met,
       reason = case
           when shadow_difference.last_at > excluded.last_at then shadow_difference.reason
           else excluded.reason
       end,
       first_at = case
           when shadow_difference.first_at < excluded.first_at then shadow_difference.first_at
           else excluded.first_at
       end,
       last_at = case
           when shadow_difference.last_at > excluded.last_at then shadow_difference.last_at
           else excluded.last_at
       end";

/// The first of those that there is no room for.
const OVER: &str = "
select last_at, id
from   shadow_difference
where  realm = $1
order  by last_at desc, id desc
limit  1
offset $2";

/// By its place instead of by a list of what is over: a server that knows nothing of the table yet
/// would make that list anew for each row.
const TRIM: &str = "
delete from shadow_difference
where  realm = $1
and    (last_at, id) <= ($2, $3)";

macro_rules! list {
    ($rest:literal) => {
        concat!(
            "
select realm, id, shadow, service, differs, token, username, reason, met, first_at, last_at
from   shadow_difference
where  realm = $1
and    id > $2
and    (shadow = $4 or $4 = '')
",
            $rest,
            "order  by id
limit  $3"
        )
    };
}

const LIST: &str = list!("");
const LIST_OF_WAY: &str = list!("and    differs = $5\n");

const CLEAR: &str = "
delete from shadow_difference
where  realm = $1
and    (shadow = $2 or $2 = '')";

const PURGE: &str = "
delete from shadow_difference
where  (realm, id) in (
    select realm, id
    from   shadow_difference
    where  last_at < $1
    order  by last_at
    limit  $2
)";

/// Every statement of this file.
pub(crate) const STATEMENTS: &[&str] = &[ADD, OVER, TRIM, LIST, LIST_OF_WAY, CLEAR, PURGE];

fn row_of(one: &ShadowDifference) -> Vec<Value<'_>> {
    values![
        &one.realm,
        &one.id,
        one.shadow.as_str(),
        one.service.as_ref().map_or("", ServiceLabel::as_str),
        one.differs.name(),
        one.token.as_ref().map_or("", TokenId::as_str),
        one.username.as_ref().map_or("", Username::as_str),
        one.reason.map_or("", Reason::code),
        one.count,
        one.first_at,
        one.last_at
    ]
    .into()
}

/// A text that is empty where nothing is known.
fn known<T>(
    row: &mut Row,
    column: &'static str,
    parse: impl FnOnce(&str) -> Option<T>,
) -> Result<Option<T>, Inconsistent> {
    row.parsed(column, |text| if text.is_empty() { Some(None) } else { parse(text).map(Some) })
}

fn difference_of(mut row: Row) -> Result<ShadowDifference, Inconsistent> {
    let reason = |code: &str| REASONS.into_iter().find(|reason| reason.code() == code);
    Ok(ShadowDifference {
        realm: codec::realm(&mut row, "realm")?,
        id: row.text("id")?,
        shadow: row.parsed("shadow", |name| ShadowName::parse(name).ok())?,
        service: known(&mut row, "service", |label| ServiceLabel::parse(label).ok())?,
        differs: row.parsed("differs", Differs::from_name)?,
        token: known(&mut row, "token", TokenId::parse)?,
        username: known(&mut row, "username", |name| Username::parse(name).ok())?,
        reason: known(&mut row, "reason", reason)?,
        count: row.count("met")?,
        first_at: row.time("first_at")?,
        last_at: row.time("last_at")?,
    })
}

async fn note(tx: &mut Transaction<'_>, differences: &[ShadowDifference]) -> Result<(), Failure> {
    let sets: Vec<Vec<Value<'_>>> = differences.iter().map(row_of).collect();
    tx.execute_each(ADD, &sets).await?;
    let mut realms: Vec<&RealmName> = differences.iter().map(|one| &one.realm).collect();
    realms.dedup();
    for realm in realms {
        if let Some(mut over) = tx.row(OVER, &values![realm, SHADOW_KEPT_MAX]).await? {
            let (last_at, id) = (over.time("last_at")?, over.text("id")?);
            tx.execute(TRIM, &values![realm, last_at, &id]).await?;
        }
    }
    Ok(())
}

async fn list(
    tx: &mut Transaction<'_>,
    realm: &RealmName,
    filter: &ShadowFilter,
    request: &PageRequest,
) -> Result<Page<ShadowDifference>, Failure> {
    let shadow = filter.shadow.as_ref().map_or("", ShadowName::as_str);
    let (after, limit) = (page::start(request), page::rows_to_ask(request));
    let rows = if let Some(differs) = filter.differs {
        let values = values![realm, after, limit, shadow, differs.name()];
        tx.query(LIST_OF_WAY, &values).await?
    } else {
        tx.query(LIST, &values![realm, after, limit, shadow]).await?
    };
    page::of(rows, request, difference_of, |one| one.id.clone())
}

async fn clear(
    tx: &mut Transaction<'_>,
    realm: &RealmName,
    shadow: Option<&ShadowName>,
    event: &Event,
) -> Result<u64, Failure> {
    let named = shadow.map_or("", ShadowName::as_str);
    let gone = tx.execute(CLEAR, &values![realm, named]).await?;
    events::append(tx, event).await?;
    tx.changed(Change::Shadow(realm.clone(), shadow.cloned()), event.at).await?;
    Ok(gone)
}

/// Removes a batch of differences that were not met for long.
pub(crate) async fn purge(
    tx: &mut Transaction<'_>,
    now: Timestamp,
    limit: u32,
) -> Result<u64, Failure> {
    tx.execute(PURGE, &values![now.plus_seconds(-SHADOW_KEPT_DAYS * 86_400), limit]).await
}

#[async_trait]
impl ShadowStore for SqlStore {
    async fn shadow_note(&self, mut differences: Vec<ShadowDifference>) -> Result<(), Unavailable> {
        // In the order of the key, so that two nodes never wait for each other.
        differences.sort_by_cached_key(|one| {
            let ShadowDifference { realm, shadow, service, differs, token, username, .. } =
                one.clone();
            (realm, shadow, service, differs, token, username)
        });
        self.write(differences, |tx, differences| Box::pin(note(tx, differences))).await
    }

    async fn shadow_list(
        &self,
        realm: &RealmName,
        filter: ShadowFilter,
        page: PageRequest,
    ) -> Result<Page<ShadowDifference>, Unavailable> {
        let about = (realm.clone(), filter, page);
        self.scan(about, |tx, (realm, filter, page)| Box::pin(list(tx, realm, filter, page))).await
    }

    async fn shadow_clear(
        &self,
        realm: &RealmName,
        shadow: Option<ShadowName>,
        event: Event,
    ) -> Result<u64, Unavailable> {
        self.write((realm.clone(), shadow, event), |tx, (realm, shadow, event)| {
            Box::pin(clear(tx, realm, shadow.as_ref(), event))
        })
        .await
    }
}

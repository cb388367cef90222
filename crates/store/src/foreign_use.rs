//! What is counted of tokens that somebody else keeps: one upsert each, and one that refuses.

use std::net::IpAddr;

use async_trait::async_trait;
use counterfoil_authority::clock::Timestamp;
use counterfoil_authority::custom::ForeignId;
use counterfoil_authority::names::RealmName;
use counterfoil_authority::secret::TokenId;
use counterfoil_authority::store::{
    Change, ForeignChanged, ForeignKey, ForeignUsage, ForeignUseDelta, ForeignUseStore, Unavailable,
};

use crate::SqlStore;
use crate::engine::{Failure, Transaction, Value, values};
use crate::tokens::add_uses;

const ADD: &str = concat!(
    "
insert into foreign_use
       (token, realm, repository, foreign_id, owner, first_at, last_at, last_ip, total, denied,
        used)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 0)
on conflict (token) do update
set    owner = excluded.owner,
       ",
    add_uses!("foreign_use")
);

/// Refuses by touching no row: the check and the count are one statement.
const CONSUME: &str = "
insert into foreign_use
       (token, realm, repository, foreign_id, owner, first_at, last_at, last_ip, total, denied,
        used)
values ($1, $2, $3, $4, $5, $6, $7, $8, 1, 0, 1)
on conflict (token) do update
set    owner = excluded.owner,
       first_at = coalesce(foreign_use.first_at, excluded.first_at),
       last_ip = case
           when foreign_use.last_at > excluded.last_at then foreign_use.last_ip
           else excluded.last_ip
       end,
       last_at = case
           when foreign_use.last_at > excluded.last_at then foreign_use.last_at
           else excluded.last_at
       end,
       total = foreign_use.total + 1,
       used = foreign_use.used + 1
where  foreign_use.used < $9
returning used";

const FIND: &str = "
select token, realm, repository, foreign_id, owner, first_at, last_at, last_ip, total, denied,
       used
from   foreign_use
where  token = $1
and    realm = $2";

const FORGET: &str = "
delete from foreign_use
where  token = $1
and    realm = $2";

/// Every statement of this file.
pub(crate) const STATEMENTS: &[&str] = &[ADD, CONSUME, FIND, FORGET];

fn row_of(delta: &ForeignUseDelta) -> Vec<Value<'_>> {
    let key = &delta.key;
    values![
        &key.token,
        &key.realm,
        &key.repository,
        key.id.as_str(),
        key.user.as_deref(),
        delta.first_at,
        delta.last_at,
        delta.last_ip,
        delta.accepted,
        delta.denied
    ]
    .into()
}

async fn consume(
    tx: &mut Transaction<'_>,
    key: &ForeignKey,
    limit: u64,
    at: Timestamp,
    ip: Option<IpAddr>,
) -> Result<Option<u64>, Failure> {
    if limit == 0 {
        return Ok(None);
    }
    let values = values![
        &key.token,
        &key.realm,
        &key.repository,
        key.id.as_str(),
        key.user.as_deref(),
        at,
        at,
        ip,
        limit
    ];
    let Some(mut row) = tx.row(CONSUME, &values).await? else { return Ok(None) };
    Ok(Some(row.count("used")?))
}

async fn find(
    tx: &mut Transaction<'_>,
    realm: &RealmName,
    tokens: &[TokenId],
) -> Result<Vec<ForeignUsage>, Failure> {
    let mut found = Vec::new();
    for token in tokens {
        let Some(mut row) = tx.row(FIND, &values![token, realm]).await? else { continue };
        let key = ForeignKey {
            token: row.token("token")?,
            realm: row.parsed("realm", |text| RealmName::parse(text).ok())?,
            repository: row.text("repository")?,
            id: row.parsed("foreign_id", |text| ForeignId::parse(text).ok())?,
            user: row.text_or_null("owner")?,
        };
        found.push(ForeignUsage {
            key,
            first_at: row.time_or_null("first_at")?,
            last_at: row.time_or_null("last_at")?,
            last_ip: row.parsed_or_null("last_ip", |text| text.parse().ok())?,
            total: row.count("total")?,
            denied_total: row.count("denied")?,
            used: row.count("used")?,
        });
    }
    Ok(found)
}

async fn note(tx: &mut Transaction<'_>, changed: &ForeignChanged) -> Result<(), Failure> {
    if changed.removed {
        tx.execute(FORGET, &values![&changed.token, &changed.realm]).await?;
    }
    tx.changed(Change::Token(changed.token), changed.event.at).await?;
    crate::events::append(tx, &changed.event).await
}

#[async_trait]
impl ForeignUseStore for SqlStore {
    async fn foreign_use_add(&self, mut uses: Vec<ForeignUseDelta>) -> Result<(), Unavailable> {
        // In the order of the key, so that two nodes never wait for each other.
        uses.sort_unstable_by_key(|delta| delta.key.token);
        self.write(uses, |tx, uses| {
            Box::pin(async move {
                let sets: Vec<Vec<Value<'_>>> = uses.iter().map(row_of).collect();
                tx.execute_each(ADD, &sets).await
            })
        })
        .await
    }

    async fn foreign_use_consume(
        &self,
        key: ForeignKey,
        limit: u64,
        at: Timestamp,
        ip: Option<IpAddr>,
    ) -> Result<Option<u64>, Unavailable> {
        self.write((key, limit, at, ip), |tx, (key, limit, at, ip)| {
            Box::pin(consume(tx, key, *limit, *at, *ip))
        })
        .await
    }

    async fn foreign_use_find(
        &self,
        realm: &RealmName,
        tokens: Vec<TokenId>,
    ) -> Result<Vec<ForeignUsage>, Unavailable> {
        self.point((realm.clone(), tokens), |tx, (realm, tokens)| Box::pin(find(tx, realm, tokens)))
            .await
    }

    async fn foreign_changed(&self, changed: ForeignChanged) -> Result<(), Unavailable> {
        self.write(changed, |tx, changed| Box::pin(note(tx, changed))).await
    }
}

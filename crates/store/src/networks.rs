//! From which networks tokens were used: one row for each token and network, and one without a
//! network for the latest alarm about too many of them.

use async_trait::async_trait;
use counterfoil_authority::clock::Timestamp;
use counterfoil_authority::event::Event;
use counterfoil_authority::secret::TokenId;
use counterfoil_authority::store::{
    NETWORKS_KEPT_DAYS, NETWORKS_KEPT_MAX, NETWORKS_WINDOW_SECONDS, NetworkStore, Sighting,
    Unavailable,
};
use ipnet::IpNet;

use crate::SqlStore;
use crate::engine::{Failure, Transaction, values};
use crate::events;

/// Sightings of one token take their turn, or two nodes would each see one network too few.
const TURN: &str = "
update token
set    told = told
where  id = $1";

const KNOWN: &str = "
select 1
from   token_network
where  token = $1
and    network <> ''
limit  1";

const ADD: &str = "
insert into token_network (token, network, first_at, last_at)
values ($1, $2, $3, $3)
on conflict (token, network) do nothing";

const AGAIN: &str = "
update token_network
set    last_at = $3
where  token = $1
and    network = $2
and    last_at < $3";

const COUNT: &str = "
select count(*)
from   token_network
where  token = $1
and    network <> ''
and    last_at > $2";

/// Matches where the latest alarm, if any, is older than the window.
const ALARM: &str = "
insert into token_network (token, network, first_at, last_at)
values ($1, '', $2, $2)
on conflict (token, network) do update
set    last_at = excluded.last_at
where  token_network.last_at <= $3";

const TRIM: &str = "
delete from token_network
where  token = $1
and    network in (
    select network
    from   token_network
    where  token = $1
    and    network <> ''
    order  by last_at desc, network
    limit  1000
    offset $2
)";

const FIND: &str = "
select network, first_at, last_at
from   token_network
where  token = $1
and    network <> ''
order  by last_at desc, network";

const PURGE: &str = "
delete from token_network
where  (token, network) in (
    select token, network
    from   token_network
    where  last_at < $1
    order  by last_at
    limit  $2
)";

/// Every statement of this file.
pub(crate) const STATEMENTS: &[&str] = &[TURN, KNOWN, ADD, AGAIN, COUNT, ALARM, TRIM, FIND, PURGE];

async fn note(
    tx: &mut Transaction<'_>,
    sighting: &Sighting,
    told: &mut Vec<Event>,
) -> Result<(), Failure> {
    let Sighting { token, network, at, first, many } = sighting;
    // What is gone needs no bookkeeping.
    if tx.execute(TURN, &values![token]).await? == 0 {
        return Ok(());
    }
    let name = network.to_string();
    let used_before = tx.exists(KNOWN, &values![token]).await?;
    if tx.execute(ADD, &values![token, &*name, *at]).await? == 0 {
        tx.execute(AGAIN, &values![token, &*name, *at]).await?;
    } else {
        tx.execute(TRIM, &values![token, NETWORKS_KEPT_MAX]).await?;
        if let Some(event) = first.as_ref().filter(|_| used_before) {
            events::append(tx, event).await?;
            told.push(event.clone());
        }
    }
    if let Some((most, event)) = many {
        let since = at.plus_seconds(-NETWORKS_WINDOW_SECONDS);
        let row = tx.row(COUNT, &values![token, since]).await?;
        let seen = row.map(|mut row| row.count("count")).transpose()?.unwrap_or(0);
        if seen > u64::from(*most) && tx.execute(ALARM, &values![token, *at, since]).await? > 0 {
            let event = event
                .clone()
                .with_detail(serde_json::json!({ "networks": seen, "max": most, "network": name }));
            events::append(tx, &event).await?;
            told.push(event);
        }
    }
    Ok(())
}

/// Removes a batch of networks that nothing came from for long.
pub(crate) async fn purge(
    tx: &mut Transaction<'_>,
    now: Timestamp,
    limit: u32,
) -> Result<u64, Failure> {
    tx.execute(PURGE, &values![now.plus_seconds(-NETWORKS_KEPT_DAYS * 86_400), limit]).await
}

#[async_trait]
impl NetworkStore for SqlStore {
    async fn networks_note(&self, mut sightings: Vec<Sighting>) -> Result<Vec<Event>, Unavailable> {
        // In the order of the key, so that two nodes never wait for each other.
        sightings.sort_unstable_by_key(|one| (one.token, one.network));
        self.write(sightings, |tx, sightings| {
            Box::pin(async move {
                let mut told = Vec::new();
                for sighting in sightings {
                    note(tx, sighting, &mut told).await?;
                }
                Ok(told)
            })
        })
        .await
    }

    async fn networks_of(
        &self,
        token: TokenId,
    ) -> Result<Vec<(IpNet, Timestamp, Timestamp)>, Unavailable> {
        self.point(token, |tx, token| {
            Box::pin(async move {
                let mut found = Vec::new();
                for mut row in tx.query(FIND, &values![token]).await? {
                    let network = row.parsed("network", |text| text.parse().ok())?;
                    found.push((network, row.time("first_at")?, row.time("last_at")?));
                }
                Ok(found)
            })
        })
        .await
    }
}

//! Counting tokens and refusals a part at a time.

use async_trait::async_trait;
use counterfoil_authority::kind::Kind;
use counterfoil_authority::names::RealmName;
use counterfoil_authority::store::{
    CensusCount, CensusPart, CensusStore, RefusalTally, SCARCE_PER_PART_MAX, Scarce, Tally,
    Unavailable,
};
use counterfoil_authority::token::State;

use crate::SqlStore;
use crate::engine::{Failure, Inconsistent, Row, Transaction, values};
use crate::tokens::state;

/// What was enrolled belongs to the unit that it was put into, whoever issued it.
const TOKENS: &str = concat!(
    "
select t.kind, t.state, t.unit, p.unit as owner_unit,
       count(*) as number,
       cast(sum(case when t.state = 'active' and t.expires_at < $5 then 1 else 0 end) as {int})
           as ending,
       cast(sum(case when t.state = 'active' and t.created_at < $6
                      and coalesce(u.last_at, 0) < $6 then 1 else 0 end) as {int}) as unused,
       max(t.sort_key) as last
from   (
    select t.id, t.kind, t.unit, t.owner_kind, t.owner, t.expires_at, t.created_at, t.sort_key,",
    state!(),
    " as state
    from   token t
    where  t.realm = $1
    and    t.sort_key > $3
    order  by t.sort_key
    limit  $4
) t
left   join token_usage u on u.token = t.id
left   join person p
on     p.realm = $1
and    p.username = t.owner
and    t.owner_kind = 'u'
and    t.kind not in ('registration_token', 'auth_token')
group  by t.kind, t.state, t.unit, p.unit"
);

const SCARCE: &str = "
select t.id, t.name, t.unit, t.used + t.reserved - t.returned as taken, t.draw_limit as most
from   token t
where  t.realm = $1
and    t.sort_key > $3
and    t.sort_key <= $4
and    t.kind || '' = 'registration_token'
and    t.revoked_at is null
and    (t.expires_at > $2 or t.expires_at is null)
and    5 * (t.used + t.reserved - t.returned) >= 4 * t.draw_limit
order  by t.sort_key desc
limit  $5";

/// Events that are no refusal are one group: only how many were looked at counts.
const REFUSALS: &str = "
select t.kind, t.reason, t.hour, cast(sum(t.times) as {int}) as number, count(*) as looked_at,
       max(t.id) as last
from   (
    select e.id, e.times,
           case when e.outcome = 'refused' then e.kind else '' end as kind,
           case when e.outcome = 'refused' then e.reason end as reason,
           case when e.outcome = 'refused' then e.at / 3600000000 else 0 end as hour
    from   event e
    where  e.realm = $1
    and    e.id > $2
    order  by e.id
    limit  $3
) t
group  by t.kind, t.reason, t.hour";

/// Every statement of this file.
pub(crate) const STATEMENTS: &[&str] = &[TOKENS, SCARCE, REFUSALS];

fn tally(row: &mut Row) -> Result<(Tally, String), Inconsistent> {
    let tally = Tally {
        kind: row.parsed("kind", Kind::from_name)?,
        state: row.parsed("state", State::from_name)?,
        unit: row.text_or_null("unit")?,
        owner_unit: row.text_or_null("owner_unit")?,
        count: row.count("number")?,
        ending: row.count("ending")?,
        unused: row.count("unused")?,
    };
    Ok((tally, row.text("last")?))
}

fn scarce(mut row: Row) -> Result<Scarce, Inconsistent> {
    Ok(Scarce {
        id: row.token("id")?,
        name: row.text_or_null("name")?,
        unit: row.text_or_null("unit")?,
        taken: row.count("taken")?,
        most: row.count("most")?,
    })
}

async fn tokens(tx: &mut Transaction<'_>, part: &CensusPart) -> Result<CensusCount, Failure> {
    let CensusPart { realm, after, limit, now, soon, unused_since } = part;
    let after = after.as_str();
    let rows = tx.query(TOKENS, &values![realm, *now, after, *limit, *soon, *unused_since]).await?;
    let (mut tallies, mut last) = (Vec::with_capacity(rows.len()), String::new());
    for mut row in rows {
        let (one, place) = tally(&mut row)?;
        tallies.push(one);
        last = last.max(place);
    }
    if last.is_empty() {
        return Ok(CensusCount::default());
    }
    let rows = tx.query(SCARCE, &values![realm, *now, after, &last, SCARCE_PER_PART_MAX]).await?;
    let few: Result<Vec<Scarce>, _> = rows.into_iter().map(scarce).collect();
    let looked_at: u64 = tallies.iter().map(|tally| tally.count).sum();
    let next = (looked_at >= u64::from(*limit)).then_some(last);
    Ok(CensusCount { tallies, scarce: few?, next })
}

async fn refusals(
    tx: &mut Transaction<'_>,
    realm: &RealmName,
    after: &str,
    limit: u32,
) -> Result<(Vec<RefusalTally>, Option<String>), Failure> {
    let rows = tx.query(REFUSALS, &values![realm, after, limit]).await?;
    let (mut tallies, mut last, mut looked_at) = (Vec::new(), String::new(), 0);
    for mut row in rows {
        let one = RefusalTally {
            kind: row.text("kind")?,
            reason: row.text_or_null("reason")?,
            hour: row.int("hour")?,
            count: row.count("number")?,
        };
        looked_at += row.count("looked_at")?;
        last = last.max(row.text("last")?);
        if !one.kind.is_empty() {
            tallies.push(one);
        }
    }
    Ok((tallies, (looked_at >= u64::from(limit)).then_some(last)))
}

#[async_trait]
impl CensusStore for SqlStore {
    async fn census_tokens(&self, part: CensusPart) -> Result<CensusCount, Unavailable> {
        self.scan(part, |tx, part| Box::pin(tokens(tx, part))).await
    }

    async fn census_refusals(
        &self,
        realm: &RealmName,
        after: String,
        limit: u32,
    ) -> Result<(Vec<RefusalTally>, Option<String>), Unavailable> {
        self.scan((realm.clone(), after, limit), |tx, (realm, after, limit)| {
            Box::pin(refusals(tx, realm, after, *limit))
        })
        .await
    }
}

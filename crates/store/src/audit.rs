//! Audit logs in SQL: what waits, the tiles of each tree, and its head.
//!
//! Length: the statements of the logs and what reads them stand together.

use async_trait::async_trait;
use counterfoil_authority::audit::tree::{Frontier, Hash, Node, Span, TILE_WIDTH};
use counterfoil_authority::authority::DamagedLog;
use counterfoil_authority::clock::Timestamp;
use counterfoil_authority::event::Event;
use counterfoil_authority::names::RealmName;
use counterfoil_authority::store::{
    AuditHead, AuditSeal, AuditStore, AuditTile, Lease, Unavailable, Unsealed,
};

use crate::engine::{Asked, Failure, Inconsistent, Row, Transaction, Value, values};
use crate::{SqlStore, codec, events, leases};

/// Waiting events read at once: their rows stay small enough to be kept by the allocator.
const ROWS_AT_ONCE: u32 = 256;
/// Tiles looked through at once for an event.
const TILES_PER_LOOK: u32 = 16;

const WAIT: &str = "
insert into audit_unsealed (realm, event)
values ($1, $2)";

/// The realms that are left out stand each between two commas.
const UNSEALED: &str = "
select w.seq, e.realm, e.id, e.at, e.kind, e.outcome, e.actor, e.actor_token, e.door, e.source,
       e.request_id, e.token, e.subject, e.service, e.reason, e.times, e.detail
from   audit_unsealed w
join   event e on e.realm = w.realm and e.id = w.event
where  w.seq > $1
and    replace($3, ',' || w.realm || ',', '') = $3
order  by w.seq
limit  $2";

/// Also one whose event is gone: it must not look as if nothing waited.
const WAITING: &str = "
select e.at
from   audit_unsealed w
left   join event e on e.realm = w.realm and e.id = w.event
order  by w.seq
limit  1";

/// What came without a gap, as nearly all of it does.
const DROP_RUN: &str = "
delete from audit_unsealed
where  seq between $1 and $2";

/// The numbers are a list; the first of them bounds the search.
const DROP: &str = "
delete from audit_unsealed
where  seq >= $1
and    seq {in_list_2}";

const BEGIN: &str = "
insert into audit_log (realm, size, roots, note, sealed_at, witnessed)
values ($1, $2, $3, $4, $5, 0)
on conflict do nothing";

/// Changes no row when the log went on since it was read.
const GROW: &str = "
update audit_log
set    size = $2,
       roots = $3,
       note = $4,
       sealed_at = $5
where  realm = $1
and    size = $6";

const TILE_PUT: &str = "
insert into audit_tile (realm, tile, first_id, last_id, events, hashes)
values ($1, $2, $3, $4, $5, $6)
on conflict (realm, tile) do update
set    first_id = excluded.first_id,
       last_id = excluded.last_id,
       events = excluded.events,
       hashes = excluded.hashes";

const NODE_PUT: &str = "
insert into audit_node (realm, level, place, hash)
values ($1, $2, $3, $4)";

const HEAD: &str = "
select realm, size, roots, note, sealed_at, witnessed, witnessed_at
from   audit_log
where  realm = $1";

const HEADS: &str = "
select realm, size, roots, note, sealed_at, witnessed, witnessed_at
from   audit_log
order  by realm";

const TILE: &str = "
select tile, events, hashes
from   audit_tile
where  realm = $1
and    tile = $2";

/// Events come nearly in the order of their ids, so few tiles are looked at. One that came late
/// widens its own.
const TILES_AROUND: &str = "
select last_id, tile, events, hashes
from   audit_tile
where  realm = $1
and    last_id >= $2
and    first_id <= $2
and    (last_id > $3 or (last_id = $3 and tile > $4))
order  by last_id, tile
limit  $5";

const NODES: &str = "
select hash
from   audit_node
where  realm = $1
and    level = $2
and    place >= $3
and    place < $4
order  by place";

const WITNESSED: &str = "
update audit_log
set    witnessed = $2,
       witnessed_at = $3
where  realm = $1
and    witnessed <= $2
and    size >= $2";

/// Ids begin with their time. What waits to be sealed stays, and so does what is younger, and what
/// tells of removals: without it nobody could tell them from forgery.
const FORGET: &str = "
delete from event
where  (realm, id) in (
    select realm, id
    from   event
    where  realm = $1
    and    id < $2
    and    kind <> 'events.removed'
    and    id < coalesce((select min(event) from audit_unsealed where realm = $1), $2)
    order  by id
    limit  $3
)";

/// Every statement of this file.
pub(crate) const STATEMENTS: &[&str] = &[
    WAIT,
    UNSEALED,
    WAITING,
    DROP_RUN,
    DROP,
    BEGIN,
    GROW,
    TILE_PUT,
    NODE_PUT,
    HEAD,
    HEADS,
    TILE,
    TILES_AROUND,
    NODES,
    WITNESSED,
    FORGET,
];

/// Lets an event wait for its log, in the transaction that stores it.
pub(crate) async fn wait(tx: &mut Transaction<'_>, event: &Event) -> Result<(), Failure> {
    tx.push(WAIT, &values![&event.realm, &event.id]).await
}

/// The same for many.
pub(crate) async fn wait_all(tx: &mut Transaction<'_>, events: &[Event]) -> Result<(), Failure> {
    let sets: Vec<Vec<Value<'_>>> = events.iter().map(waiting_row).collect();
    tx.execute_each(WAIT, &sets).await
}

fn waiting_row(event: &Event) -> Vec<Value<'_>> {
    values![&event.realm, &event.id].to_vec()
}

async fn unsealed(
    tx: &mut Transaction<'_>,
    except: &[RealmName],
    limit: u32,
) -> Result<Vec<Unsealed>, Failure> {
    let except: String = except.iter().flat_map(|realm| [",", realm.as_str(), ","]).collect();
    let mut found: Vec<Unsealed> = Vec::with_capacity(limit.min(1024) as usize);
    loop {
        let after = found.last().map_or(i64::MIN, |last| last.seq);
        let most = ROWS_AT_ONCE.min(limit.saturating_sub(found.len().try_into().unwrap_or(limit)));
        let rows = tx.query(UNSEALED, &values![after, most, &*except]).await?;
        let last = rows.len() < ROWS_AT_ONCE as usize;
        for mut row in rows {
            let seq = row.int("seq")?;
            found.push(Unsealed::of(seq, events::event_of(row)?));
        }
        if last || found.len() >= limit as usize {
            return Ok(found);
        }
    }
}

async fn waiting_since(tx: &mut Transaction<'_>) -> Result<Option<Timestamp>, Failure> {
    let Some(mut row) = tx.row(WAITING, &[]).await? else { return Ok(None) };
    Ok(Some(row.time_or_null("at")?.unwrap_or(Timestamp::EPOCH)))
}

async fn seal(
    tx: &mut Transaction<'_>,
    under: &Lease,
    seals: &[AuditSeal],
    sealed: &[i64],
) -> Result<bool, Failure> {
    if !leases::holds(tx, under).await? {
        return Ok(false);
    }
    // Somebody may have sealed them between the look at what waits and the look at the log.
    if !take(tx, sealed).await? {
        tx.undo();
        return Ok(false);
    }
    for one in seals {
        let roots = one.tree.roots().concat();
        let (size, roots) = (one.tree.size(), roots.as_slice());
        let begin = values![&one.realm, size, roots, &one.note, one.at];
        let grow = values![&one.realm, size, roots, &one.note, one.at, one.before];
        let grown = match one.before {
            0 => tx.execute(BEGIN, &begin).await?,
            _ => tx.execute(GROW, &grow).await?,
        };
        if grown == 0 {
            tx.undo();
            return Ok(false);
        }
        let tiles: Vec<Vec<Value<'_>>> =
            one.tiles.iter().map(|tile| tile_row(&one.realm, tile)).collect();
        tx.execute_each(TILE_PUT, &tiles).await?;
        let nodes: Vec<Vec<Value<'_>>> =
            one.nodes.iter().map(|node| node_row(&one.realm, node)).collect();
        tx.execute_each(NODE_PUT, &nodes).await?;
    }
    Ok(true)
}

/// Takes events from those that wait; whether every one of them still did.
async fn take(tx: &mut Transaction<'_>, sealed: &[i64]) -> Result<bool, Failure> {
    let (Some(first), Some(last)) = (sealed.iter().min(), sealed.iter().max()) else {
        return Ok(true);
    };
    // Nothing else can be in a run without a gap, if no number is there twice.
    let is_run = sealed.windows(2).all(|pair| pair[0] + 1 == pair[1]);
    let taken = if is_run {
        tx.execute(DROP_RUN, &values![*first, *last]).await?
    } else {
        let numbers = sealed.iter().map(i64::to_string).collect::<Vec<_>>().join(",");
        tx.execute(DROP, &values![*first, numbers]).await?
    };
    Ok(taken == sealed.len() as u64)
}

fn node_row<'a>(realm: &'a RealmName, node: &'a Node) -> Vec<Value<'a>> {
    values![realm, node.level, node.index, &node.hash].to_vec()
}

fn tile_row<'a>(realm: &'a RealmName, tile: &'a AuditTile) -> Vec<Value<'a>> {
    let least = tile.events.iter().min().map_or("", String::as_str);
    let greatest = tile.events.iter().max().map_or("", String::as_str);
    let hashes = Value::Bytes(tile.hashes.concat().into());
    let [realm, index, least, greatest, events] =
        values![realm, tile.index, least, greatest, tile.events.join("\n")];
    vec![realm, index, least, greatest, events, hashes]
}

fn tile_of(mut row: Row) -> Result<AuditTile, Inconsistent> {
    let index = row.count("tile")?;
    let events = row.text("events")?.lines().map(str::to_owned).collect::<Vec<_>>();
    let hashes = hashes_of(&row.bytes("hashes")?).ok_or(Inconsistent { column: "hashes" })?;
    if hashes.len() != events.len() {
        return Err(Inconsistent { column: "events" });
    }
    Ok(AuditTile { index, events, hashes })
}

fn hashes_of(bytes: &[u8]) -> Option<Vec<Hash>> {
    let (whole, rest) = bytes.as_chunks::<32>();
    rest.is_empty().then(|| whole.to_vec())
}

fn head_of(mut row: Row) -> Result<AuditHead, Failure> {
    let realm = codec::realm(&mut row, "realm")?;
    let size = row.count("size")?;
    let roots = hashes_of(&row.bytes("roots")?).and_then(|roots| Frontier::of(size, roots));
    let Some(tree) = roots else {
        // The store is sound: somebody changed the row.
        let what = "the log does not fit its checkpoint: its size and its roots differ".to_owned();
        return Err(Failure::Statement(Box::new(DamagedLog { realm, what })));
    };
    Ok(AuditHead {
        realm,
        tree,
        note: row.text("note")?,
        sealed_at: row.time("sealed_at")?,
        witnessed: row.count("witnessed")?,
        witnessed_at: row.time_or_null("witnessed_at")?,
    })
}

async fn head(tx: &mut Transaction<'_>, realm: &RealmName) -> Result<Option<AuditHead>, Failure> {
    tx.row(HEAD, &values![realm]).await?.map(head_of).transpose()
}

async fn heads(tx: &mut Transaction<'_>) -> Result<Vec<AuditHead>, Failure> {
    let rows = tx.query(HEADS, &[]).await?;
    rows.into_iter().map(head_of).collect()
}

async fn tile(
    tx: &mut Transaction<'_>,
    realm: &RealmName,
    index: u64,
) -> Result<Option<AuditTile>, Failure> {
    Ok(tx.row(TILE, &values![realm, index]).await?.map(tile_of).transpose()?)
}

async fn hashes(
    tx: &mut Transaction<'_>,
    realm: &RealmName,
    spans: &[Span],
) -> Result<Vec<Vec<Hash>>, Failure> {
    let ask = |span: &Span| match span.level {
        0 => Asked::new(TILE, values![realm, span.first / TILE_WIDTH]),
        level => Asked::new(NODES, values![realm, level, span.first, span.first + span.count]),
    };
    let asked: Vec<Asked<'_>> = spans.iter().map(ask).collect();
    let answers = tx.query_all(&asked).await?;
    let read = |(span, rows): (&Span, Vec<Row>)| -> Result<Vec<Hash>, Inconsistent> {
        if span.level == 0 {
            let tile = rows.into_iter().next().map(tile_of).transpose()?.unwrap_or_default();
            let leaves = tile.hashes.into_iter();
            let found = leaves.skip(place_in_tile(span.first)).take(place_in_tile(span.count));
            return Ok(found.collect());
        }
        rows.into_iter().map(|mut row| row.bytes32("hash")).collect()
    };
    Ok(spans.iter().zip(answers).map(read).collect::<Result<_, Inconsistent>>()?)
}

/// Fits: it is less than 256.
fn place_in_tile(leaf: u64) -> usize {
    usize::try_from(leaf % TILE_WIDTH).unwrap_or_default()
}

async fn place(
    tx: &mut Transaction<'_>,
    realm: &RealmName,
    event: &str,
) -> Result<Option<u64>, Failure> {
    let (mut last, mut behind) = (String::new(), -1_i64);
    loop {
        let values = values![realm, event, &last, behind, TILES_PER_LOOK];
        let rows = tx.query(TILES_AROUND, &values).await?;
        let more = rows.len() == TILES_PER_LOOK as usize;
        let mut next = None;
        for mut row in rows {
            let last = row.text("last_id")?;
            let tile = tile_of(row)?;
            if let Some(found) = tile.events.iter().position(|id| id == event) {
                return Ok(Some(tile.index * TILE_WIDTH + found as u64));
            }
            next = Some((last, i64::try_from(tile.index).unwrap_or(i64::MAX)));
        }
        match next {
            Some(place) if more => (last, behind) = place,
            _ => return Ok(None),
        }
    }
}

async fn by_ids(
    tx: &mut Transaction<'_>,
    realm: &RealmName,
    ids: &[String],
) -> Result<Vec<Option<Event>>, Failure> {
    let asked: Vec<Asked<'_>> =
        ids.iter().map(|id| Asked::new(events::FIND, values![realm, id])).collect();
    let answers = tx.query_all(&asked).await?;
    let event = |rows: Vec<Row>| rows.into_iter().next().map(events::event_of).transpose();
    Ok(answers.into_iter().map(event).collect::<Result<_, _>>()?)
}

async fn forget(
    tx: &mut Transaction<'_>,
    under: &Lease,
    before: Timestamp,
    limit: u32,
    event: &Event,
) -> Result<u64, Failure> {
    if !leases::holds(tx, under).await? {
        return Ok(0);
    }
    let before = format!("{:014x}", before.micros().max(0));
    let removed = tx.execute(FORGET, &values![&event.realm, before, limit]).await?;
    if removed > 0 {
        events::append(tx, &Event { count: removed, ..event.clone() }).await?;
    }
    Ok(removed)
}

#[async_trait]
impl AuditStore for SqlStore {
    async fn audit_unsealed(
        &self,
        except: Vec<RealmName>,
        limit: u32,
    ) -> Result<Vec<Unsealed>, Unavailable> {
        self.scan((except, limit), |tx, (except, limit)| Box::pin(unsealed(tx, except, *limit)))
            .await
    }

    async fn audit_waiting_since(&self) -> Result<Option<Timestamp>, Unavailable> {
        self.point((), |tx, ()| Box::pin(waiting_since(tx))).await
    }

    async fn audit_seal(
        &self,
        under: &Lease,
        seals: Vec<AuditSeal>,
        sealed: Vec<i64>,
    ) -> Result<bool, Unavailable> {
        self.write((under.clone(), seals, sealed), |tx, (under, seals, sealed)| {
            Box::pin(seal(tx, under, seals, sealed))
        })
        .await
    }

    async fn audit_head(&self, realm: &RealmName) -> Result<Option<AuditHead>, Unavailable> {
        self.point(realm.clone(), |tx, realm| Box::pin(head(tx, realm))).await
    }

    async fn audit_heads(&self) -> Result<Vec<AuditHead>, Unavailable> {
        self.point((), |tx, ()| Box::pin(heads(tx))).await
    }

    async fn audit_tile(
        &self,
        realm: &RealmName,
        index: u64,
    ) -> Result<Option<AuditTile>, Unavailable> {
        self.point((realm.clone(), index), |tx, (realm, index)| Box::pin(tile(tx, realm, *index)))
            .await
    }

    async fn audit_hashes(
        &self,
        realm: &RealmName,
        spans: Vec<Span>,
    ) -> Result<Vec<Vec<Hash>>, Unavailable> {
        self.scan((realm.clone(), spans), |tx, (realm, spans)| Box::pin(hashes(tx, realm, spans)))
            .await
    }

    async fn audit_place(
        &self,
        realm: &RealmName,
        event: &str,
    ) -> Result<Option<u64>, Unavailable> {
        self.scan((realm.clone(), event.to_owned()), |tx, (realm, event)| {
            Box::pin(place(tx, realm, event))
        })
        .await
    }

    async fn audit_events(
        &self,
        realm: &RealmName,
        ids: Vec<String>,
    ) -> Result<Vec<Option<Event>>, Unavailable> {
        self.scan((realm.clone(), ids), |tx, (realm, ids)| Box::pin(by_ids(tx, realm, ids))).await
    }

    async fn audit_witnessed(
        &self,
        realm: &RealmName,
        size: u64,
        at: Timestamp,
    ) -> Result<(), Unavailable> {
        self.write((realm.clone(), size, at), |tx, (realm, size, at)| {
            Box::pin(async move { tx.push(WITNESSED, &values![realm, *size, *at]).await })
        })
        .await
    }

    async fn audit_forget(
        &self,
        under: &Lease,
        before: Timestamp,
        limit: u32,
        event: Event,
    ) -> Result<u64, Unavailable> {
        let asked = (under.clone(), before, limit, event);
        self.write(asked, |tx, (under, before, limit, event)| {
            Box::pin(forget(tx, under, *before, *limit, event))
        })
        .await
    }
}

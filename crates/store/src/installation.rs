//! The installation in SQL: identity, keys, change log, purge.

use std::sync::Arc;

use async_trait::async_trait;
use counterfoil_authority::clock::Timestamp;
use counterfoil_authority::event::Event;
use counterfoil_authority::keys::KeyPurpose;
use counterfoil_authority::store::{
    Change, ChangeListener, ChangesRead, ClientCreated, Initialised, Inserted, Installation,
    InstallationStore, KeyRecord, KeyUse, Lease, LogPlace, NewInstallation, Pulse, Purged,
    Unavailable,
};

use crate::engine::{Failure, Inconsistent, Row, Transaction, values};
use crate::{
    SqlStore, access, changes, clients, console, events, idempotency, jobs, leases, letters, links,
    networks, otp, services, shadow, tokens, use_days, use_notes,
};

/// Rows of one sort that one purge removes; keeps its transaction short.
const PURGE_ROWS_MAX: u32 = 1_000;

const BEAT: &str = "
insert into heartbeat (id, beats)
values (1, 1)
on conflict (id) do update
set    beats = heartbeat.beats + 1
returning {clock} as clock";

const FIND: &str = "select installation, created_at from installation where id = 1";

const INSERT: &str = "
insert into installation (id, installation, created_at)
values (1, $1, $2)
on conflict do nothing";

const KEYS: &str = "
select purpose, id, fingerprint, created_at
from   key_record
order  by purpose, id";

const ADD_KEY: &str = "
insert into key_record (purpose, id, fingerprint, created_at)
values ($1, $2, $3, $4)
on conflict do nothing";

const SAME_KEY: &str = "
select 1
from   key_record
where  purpose = $1
and    id = $2
and    fingerprint = $3";

/// Secrets of tokens that are not revoked, links that were not opened, codes that were not used,
/// and letters that were not redeemed.
const PEPPER_USE: &str = "
select s.pepper, count(*)
from   (
    select h.pepper
    from   token_secret h
    join   token t on t.id = h.token
    where  t.revoked_at is null
    union  all
    select l.pepper
    from   link l
    join   token t on t.id = l.token
    where  l.opened_at is null and t.revoked_at is null
    union  all
    select c.pepper
    from   otp_code c
    join   token t on t.id = c.token
    where  c.used_at is null and t.revoked_at is null
    union  all
    select a.pepper
    from   account a
    union  all
    select a.pepper
    from   activation_letter a
    where  a.state = 'printed'
) s
group  by s.pepper
order  by s.pepper";

/// Seeds of authentication tokens. The rest of what is sealed needs its key for a while only.
const SEAL_USE: &str = "
select seal, count(*)
from   otp
where  seal is not null
group  by seal
order  by seal";

/// Every statement of this file.
pub(crate) const STATEMENTS: &[&str] =
    &[BEAT, FIND, INSERT, KEYS, ADD_KEY, SAME_KEY, PEPPER_USE, SEAL_USE];

async fn beat(tx: &mut Transaction<'_>) -> Result<Pulse, Failure> {
    let said = tx.row(BEAT, &[]).await?;
    let clock = said.map(|mut row| row.int_or_null("clock")).transpose()?.flatten();
    Ok(Pulse { clock: clock.map(Timestamp::from_micros) })
}

async fn find(tx: &mut Transaction<'_>) -> Result<Option<Installation>, Failure> {
    let Some(mut row) = tx.row(FIND, &[]).await? else { return Ok(None) };
    Ok(Some(Installation { id: row.text("installation")?, created_at: row.time("created_at")? }))
}

async fn initialise(
    tx: &mut Transaction<'_>,
    new: &NewInstallation,
) -> Result<Initialised, Failure> {
    let Installation { id, created_at } = &new.installation;
    if tx.execute(INSERT, &values![id, *created_at]).await? == 0 {
        return Ok(Initialised::Already);
    }
    for key in &new.keys {
        store_key(tx, key).await?;
    }
    let realm = services::realm_insert(tx, &new.realm, &new.service, &new.event).await?;
    let mut arrived = new.admin.key.event.clone();
    arrived.id = format!("{}.client", new.event.id);
    arrived.kind = "client.created".into();
    arrived.token = None;
    let admin = clients::insert(tx, &new.admin, &arrived).await?;
    match (realm, admin) {
        (Inserted::Done, ClientCreated::Done(_)) => {}
        _ => return Err(Failure::Overtaken("the first realm and client could not be stored")),
    }
    tx.changed(Change::Everything, new.event.at).await?;
    Ok(Initialised::Done)
}

async fn keys(tx: &mut Transaction<'_>) -> Result<Vec<KeyRecord>, Failure> {
    let rows = tx.query(KEYS, &[]).await?;
    let keys: Result<Vec<_>, _> = rows.into_iter().map(key_of).collect();
    Ok(keys?)
}

async fn add_key(tx: &mut Transaction<'_>, key: &KeyRecord, event: &Event) -> Result<(), Failure> {
    if store_key(tx, key).await? > 0 {
        events::append(tx, event).await?;
        return tx.changed(Change::Everything, event.at).await;
    }
    let same = values![key.purpose.name(), key.id, &key.fingerprint];
    if tx.exists(SAME_KEY, &same).await? {
        Ok(())
    } else {
        // Two nodes drew a key with the same number; only one of them may stand.
        Err(Failure::Overtaken("the number belongs to another key"))
    }
}

async fn store_key(tx: &mut Transaction<'_>, key: &KeyRecord) -> Result<u64, Failure> {
    let values = values![key.purpose.name(), key.id, &key.fingerprint, key.created_at];
    tx.execute(ADD_KEY, &values).await
}

/// Answers that are kept for repetition have keys of their own.
async fn key_use(tx: &mut Transaction<'_>) -> Result<Vec<KeyUse>, Failure> {
    let known = keys(tx).await?;
    let mut uses: Vec<KeyUse> =
        known.iter().map(|key| KeyUse { purpose: key.purpose, id: key.id, rows: 0 }).collect();
    for (purpose, sql) in [(KeyPurpose::Pepper, PEPPER_USE), (KeyPurpose::Seal, SEAL_USE)] {
        for mut row in tx.query(sql, &[]).await? {
            let (id, rows) = (row.small("key")?, row.count("count")?);
            let of_this = |known: &&mut KeyUse| known.purpose == purpose && known.id == id;
            match uses.iter_mut().find(of_this) {
                Some(known) => known.rows = rows,
                None => uses.push(KeyUse { purpose, id, rows }),
            }
        }
    }
    uses.sort_by_key(|used| (used.purpose, used.id));
    Ok(uses)
}

async fn purge(
    tx: &mut Transaction<'_>,
    now: Timestamp,
    under: Option<&Lease>,
) -> Result<Purged, Failure> {
    if let Some(lease) = under
        && !leases::holds(tx, lease).await?
    {
        return Ok(Purged { rows: 0 });
    }
    let answers = idempotency::purge(tx, now, PURGE_ROWS_MAX).await?;
    let log = changes::purge(tx, now, PURGE_ROWS_MAX).await?;
    let secrets = tokens::purge_retired(tx, now, PURGE_ROWS_MAX).await?;
    let links = links::purge(tx, now, PURGE_ROWS_MAX).await?;
    let access = access::purge(tx, now, PURGE_ROWS_MAX).await?;
    let codes = otp::purge(tx, now, PURGE_ROWS_MAX).await?;
    let console = console::purge(tx, now, PURGE_ROWS_MAX).await?;
    let letters = letters::purge(tx, now, PURGE_ROWS_MAX).await?;
    let jobs = jobs::purge(tx, now).await?;
    let days = use_days::purge(tx, now, PURGE_ROWS_MAX).await?;
    let seen = networks::purge(tx, now, PURGE_ROWS_MAX).await?;
    let rows = answers + log + secrets + access + links + codes + console + letters + jobs;
    let differing = shadow::purge(tx, now, PURGE_ROWS_MAX).await?;
    let uses = use_notes::purge(tx, now, PURGE_ROWS_MAX).await?;
    let rows = rows + days + seen + differing + uses;
    Ok(Purged { rows })
}

fn key_of(mut row: Row) -> Result<KeyRecord, Inconsistent> {
    Ok(KeyRecord {
        purpose: row.parsed("purpose", KeyPurpose::from_name)?,
        id: row.small("id")?,
        fingerprint: row.text("fingerprint")?,
        created_at: row.time("created_at")?,
    })
}

#[async_trait]
impl InstallationStore for SqlStore {
    async fn ping(&self) -> Result<Pulse, Unavailable> {
        self.write((), |tx, ()| Box::pin(beat(tx))).await
    }

    async fn installation(&self) -> Result<Option<Installation>, Unavailable> {
        self.point((), |tx, ()| Box::pin(find(tx))).await
    }

    async fn initialise(&self, new: NewInstallation) -> Result<Initialised, Unavailable> {
        self.write(new, |tx, new| Box::pin(initialise(tx, new))).await
    }

    async fn key_list(&self) -> Result<Vec<KeyRecord>, Unavailable> {
        self.point((), |tx, ()| Box::pin(keys(tx))).await
    }

    async fn key_add(&self, key: KeyRecord, event: Event) -> Result<(), Unavailable> {
        self.write((key, event), |tx, (key, event)| Box::pin(add_key(tx, key, event))).await
    }

    async fn key_use(&self) -> Result<Vec<KeyUse>, Unavailable> {
        self.scan((), |tx, ()| Box::pin(key_use(tx))).await
    }

    fn listen(&self, listener: Arc<dyn ChangeListener>) {
        self.listeners.add(listener);
    }

    async fn changes_end(&self) -> Result<LogPlace, Unavailable> {
        self.feed((), |tx, ()| Box::pin(changes::end(tx))).await
    }

    async fn changes_since(
        &self,
        place: &LogPlace,
        limit: u32,
    ) -> Result<ChangesRead, Unavailable> {
        self.feed((place.clone(), limit), |tx, (place, limit)| {
            Box::pin(changes::since(tx, place, *limit))
        })
        .await
    }

    async fn purge(&self, now: Timestamp, under: Option<&Lease>) -> Result<Purged, Unavailable> {
        self.write((now, under.cloned()), |tx, (now, under)| {
            Box::pin(purge(tx, *now, under.as_ref()))
        })
        .await
    }
}

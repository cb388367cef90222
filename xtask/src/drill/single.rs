//! The drill of a single PostgreSQL: it crashes and comes back, and so does the node that had the
//! lease on the background work.

use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::load::{Load, audit};
use super::outage::{Outage, Whom, judge};
use crate::clock::{self, Deadline};
use crate::cluster::NODES;
use crate::cluster::nodes::{self, Node};
use crate::cluster::place::Place;
use crate::cluster::single::Single;
use crate::cluster::sql;
use crate::http::Api;
use crate::interrupt::{until, wait};

/// Load before anything breaks, and between one thing and the next.
const BETWEEN: Duration = Duration::from_secs(5);
/// Load after the last thing that breaks.
const AFTER: Duration = Duration::from_secs(10);
/// How long a node keeps the lease without asking again, in microseconds as it is stored.
const LEASE_MICROSECONDS: i64 = 150_000_000;
/// The rest of the lease, the round of the next node, and some for a slow machine.
const TAKEN_OVER_WITHIN: Duration = Duration::from_mins(4);
/// How long the first node may take to ask for the lease.
const TAKEN_WITHIN: Duration = Duration::from_secs(30);

/// Who may do the background work.
#[derive(Debug, PartialEq, Eq)]
struct Lease {
    holder: String,
    fence: i64,
    /// Microseconds since 1970.
    expires_at: i64,
}

/// Runs the drill and returns what did not hold.
///
/// # Errors
///
/// Fails when the cluster does not start.
pub(crate) fn restart(deadline: Deadline) -> Result<Vec<String>> {
    let mut place = Place::make()?;
    let binary = place.server(deadline)?;
    let database = Single::start(&mut place)?;
    let (mut nodes, key) = nodes::install(&mut place, &binary, &database.url, NODES)?;
    // The first one finds no lease and takes it.
    nodes[0].start()?;
    until("the lease", TAKEN_WITHIN, || Ok(lease(&place, &database).ok()))?;
    nodes[1..].iter_mut().try_for_each(Node::start)?;
    let apis: Vec<Api> = nodes.iter().map(|node| node.api(&key)).collect();
    println!("load through {NODES} nodes");
    let load = Load::start(&apis)?;
    wait(BETWEEN)?;

    let broke = clock::now();
    nodes[0].kill();
    let held = lease(&place, &database)?;
    println!("killed node1, which holds the lease with fence {}", held.fence);
    wait(BETWEEN)?;
    nodes[0].start()?;
    let (what, whom) = ("kill -9 of node1", Whom::Killed(0));
    let killed = Outage { what, broke, usable: clock::now(), whom };
    wait(BETWEEN)?;

    let broke = clock::now();
    database.restart_immediately(&place)?;
    let usable = clock::now();
    let (what, whom) = ("pg_ctl restart -m immediate", Whom::Database);
    let restarted = Outage { what, broke, usable, whom };
    wait(AFTER)?;
    let ledger = load.stop();

    let requests = ledger.requests();
    let outages = [killed, restarted];
    let mut faults = ledger.faults();
    for outage in &outages {
        outage.print(&requests, NODES);
    }
    faults.extend(judge(&requests, &outages, NODES));
    let (good, revoked, lost) = audit(&apis, &ledger);
    println!(
        "{} requests; afterwards {good} good and {revoked} revoked tokens looked at on each node",
        requests.len()
    );
    faults.extend(lost);
    faults.extend(taken_over(&place, &database, &held)?);
    faults.extend(nodes::ended(&mut nodes));
    nodes.iter_mut().for_each(Node::stop);
    database.stop(&place)?;
    Ok(faults)
}

/// Waits until somebody else has the lease of a dead node, and looks since when.
fn taken_over(place: &Place, database: &Single, held: &Lease) -> Result<Option<String>> {
    println!("waiting for the end of the lease");
    let next = until("another node takes the lease", TAKEN_OVER_WITHIN, || {
        Ok(Some(lease(place, database)?).filter(|next| next != held))
    })?;
    let late = next.expires_at - LEASE_MICROSECONDS - held.expires_at;
    println!(
        "another node took the lease {:.1} s after its end, with fence {}",
        Duration::from_micros(u64::try_from(late).unwrap_or(0)).as_secs_f64(),
        next.fence
    );
    let in_order = next.holder != held.holder && next.fence == held.fence + 1 && late >= 0;
    Ok((!in_order).then(|| format!("the lease went from {held:?} to {next:?}")))
}

fn lease(place: &Place, database: &Single) -> Result<Lease> {
    let ask = "select holder, fence, expires_at from lease where name = 'purge'";
    let row = sql::run(place, database.address, sql::NODES, ask)?;
    let mut fields = row.split('|');
    let mut next = || fields.next().filter(|text| !text.is_empty()).context("no lease");
    let lease =
        Lease { holder: next()?.to_owned(), fence: next()?.parse()?, expires_at: next()?.parse()? };
    if fields.next().is_some() {
        bail!("more than a lease: {row}");
    }
    Ok(lease)
}

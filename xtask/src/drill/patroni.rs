//! The drill of a cluster: the machine of the primary dies under load, and comes back.

use std::time::Duration;

use anyhow::{Context, Result};

use super::load::{Load, audit};
use super::outage::{Outage, Whom, judge};
use crate::clock::{self, Deadline};
use crate::cluster::NODES;
use crate::cluster::nodes::{self, Node};
use crate::cluster::patroni::HighlyAvailable;
use crate::cluster::place::Place;
use crate::http::Api;
use crate::interrupt::{until, wait};

/// Load before anything breaks.
const BEFORE: Duration = Duration::from_secs(5);
/// Load after the standby has taken over.
const AFTER: Duration = Duration::from_secs(12);
/// How long the standby may take: the leader's office, two rounds of Patroni, its recovery.
const FAILOVER_WITHIN: Duration = Duration::from_mins(1);
/// How long the dead machine may take to follow the new primary.
const RETURN_WITHIN: Duration = Duration::from_secs(90);

/// Runs the drill and returns what did not hold.
///
/// # Errors
///
/// Fails when the cluster does not start, or no standby takes over.
pub(crate) fn failover(deadline: Deadline) -> Result<Vec<String>> {
    let mut place = Place::make()?;
    let binary = place.server(deadline)?;
    let mut database = HighlyAvailable::start(&mut place)?;
    let (mut nodes, key) = nodes::install(&mut place, &binary, &database.url, NODES)?;
    nodes.iter_mut().try_for_each(Node::start)?;
    let apis: Vec<Api> = nodes.iter().map(|node| node.api(&key)).collect();
    println!("load through {NODES} nodes");
    let load = Load::start(&apis)?;
    wait(BEFORE)?;

    let dead = database.leader().context("there is no primary")?;
    let broke = clock::now();
    database.machines[dead].kill();
    println!("killed everything on {}", database.machines[dead].name);
    until("a standby takes over", FAILOVER_WITHIN, || {
        Ok(database.leader().filter(|leader| *leader != dead))
    })?;
    let outage = Outage { what: "failover", broke, usable: clock::now(), whom: Whom::Database };
    wait(AFTER)?;
    database.machines[dead].start(&place)?;
    let back = clock::now();
    until("the dead machine follows", RETURN_WITHIN, || {
        Ok(database.machines[dead].is("/sync").then_some(()))
    })?;
    let seconds = back.elapsed().as_secs_f64();
    println!("{} confirms commits {seconds:.1} s after its start", database.machines[dead].name);
    wait(BEFORE)?;
    let ledger = load.stop();

    let requests = ledger.requests();
    outage.print(&requests, NODES);
    let mut faults = ledger.faults();
    faults.extend(judge(&requests, &[outage], NODES));
    let (good, revoked, lost) = audit(&apis, &ledger);
    println!(
        "{} requests; afterwards {good} good and {revoked} revoked tokens looked at on each node",
        requests.len()
    );
    faults.extend(lost);
    // They ran all the time: nobody started one again.
    faults.extend(nodes::ended(&mut nodes));
    nodes.iter_mut().for_each(Node::stop);
    database.stop();
    Ok(faults)
}

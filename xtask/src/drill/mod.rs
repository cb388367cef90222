//! Failure drills: a cluster is broken under load, and what was answered is compared with what
//! is there afterwards.

mod counting;
mod ledger;
mod load;
mod outage;
mod partition;
mod patroni;
mod promises;
mod single;
mod upgrade;

use std::process::ExitCode;

use anyhow::Result;

use crate::clock::{self, Deadline};
use crate::host::{self, IPROUTE, NAMESPACES, NFTABLES, Peer};
use crate::report::{Outcome, Tally};
use crate::workspace::root;
use crate::{cluster, interrupt};
use promises::PROMISES;

const HELP: &str = "\
cargo xtask drill [--record] [NAME...]     all of them without a name

of a cluster:
  failover   the machine of the primary is killed: Patroni, PostgreSQL, everything
  restart    `pg_ctl restart -m immediate` of a single PostgreSQL, and a node killed with
             kill -9 while it holds a lease (waits until the lease has ended: four minutes)
  upgrade    this version migrates under nodes of the one before, and joins them (builds that
             one first; COUNTERFOIL_UPGRADE_FROM names another commit)
  partition-netns
             of two nodes in network namespaces one is cut off from the database: its cable is
             pulled, all its packets are lost, all answers to it are lost (takes root)
of one server:
  kill, disk-full, disk-gone, disk-read-only, fsync, slow-disk, damage, clock, idle, slow-clients,
  target-down, slow-store, partition
             what docs/operate/drills.md says of each

  --record   writes what ran, with its time, into docs/operate/drills.md

exit: 0 held, 1 did not hold, 2 wrong usage";

/// Runs a drill and returns what did not hold.
type Play = fn(Deadline) -> Result<Vec<String>>;

/// A drill of a cluster.
struct Drill {
    name: &'static str,
    breaks: &'static str,
    holds: &'static str,
    play: Play,
    /// What the machine must have beside what a cluster needs.
    needs: &'static [&'static Peer],
}

const DRILLS: [Drill; 4] = [
    Drill {
        name: "failover",
        breaks: "the machine of PostgreSQL's primary dies under load of three nodes",
        holds: "what was answered is so; another primary within a minute; never a no",
        play: patroni::failover,
        needs: &[],
    },
    Drill {
        name: "restart",
        breaks: "PostgreSQL restarts at once, and the node that holds the lease is killed",
        holds: "what was answered is so; another node takes the lease at its end",
        play: single::restart,
        needs: &[],
    },
    Drill {
        name: "upgrade",
        breaks: "this version migrates under nodes of the one before",
        holds: "nodes of both versions answer, and what was answered is so",
        play: upgrade::upgrade,
        needs: &[],
    },
    Drill {
        name: "partition-netns",
        breaks: "a node's packets are lost three ways in network namespaces, under load of two",
        holds: "it says 503 after a second, never a no; the other goes on; counts are exact",
        play: partition::partition,
        needs: &[&IPROUTE, &NFTABLES, &NAMESPACES],
    },
];

/// The page that says how they went.
const PAGE: &str = "docs/operate/drills.md";

/// `cargo xtask drill [NAME...]`.
pub(crate) fn drill(arguments: &[String]) -> Result<ExitCode> {
    let record = arguments.iter().any(|one| one == "--record");
    let arguments: Vec<&String> = arguments.iter().filter(|one| *one != "--record").collect();
    let of_cluster = |name: &str| DRILLS.iter().any(|drill| drill.name == name);
    let of_server = |name: &str| PROMISES.iter().any(|promise| promise.name == name);
    if let Some(name) = arguments.iter().find(|name| !of_cluster(name) && !of_server(name)) {
        let asked = ["help", "--help", "-h"].contains(&name.as_str());
        println!("{}{HELP}", if asked { String::new() } else { format!("no drill `{name}`\n\n") });
        return Ok(ExitCode::from(if asked { 0 } else { crate::EXIT_USAGE }));
    }
    let wanted = |name: &str| arguments.is_empty() || arguments.iter().any(|one| *one == name);
    let mut rows = Vec::new();
    let mut outcome = Outcome::Passed(Tally::default());
    if DRILLS.iter().any(|drill| wanted(drill.name)) {
        outcome = run(wanted, Deadline::NEVER, &mut rows)?;
    }
    if PROMISES.iter().any(|promise| wanted(promise.name)) {
        let faults = promised(wanted, &mut rows)?;
        if !faults.is_empty() && matches!(outcome, Outcome::Passed(_)) {
            outcome = Outcome::Failed(Tally::FAILED, faults.join("\n"));
        }
    }
    println!("\n{}", rows.join("\n"));
    if record {
        let page = root().join(PAGE);
        let text = promises::recorded(&std::fs::read_to_string(&page)?, &rows)?;
        std::fs::write(&page, text)?;
    }
    Ok(match outcome {
        Outcome::Passed(_) => ExitCode::SUCCESS,
        Outcome::Failed(_, why) | Outcome::LeftOut(why) | Outcome::NotAsked(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    })
}

/// Every drill, as one step of a long run.
///
/// # Errors
///
/// Fails when signals cannot be listened for.
pub(crate) fn proof(deadline: Deadline) -> Result<Outcome> {
    run(|_| true, deadline, &mut Vec::new())
}

/// The drills of a run that lets a change in or not: they need no second version to be built.
///
/// # Errors
///
/// As [`proof`].
pub(crate) fn once(deadline: Deadline) -> Result<Outcome> {
    run(|name| name != "upgrade", deadline, &mut Vec::new())
}

/// The drills of one server: what did not hold.
fn promised(wanted: impl Fn(&str) -> bool, rows: &mut Vec<String>) -> Result<Vec<String>> {
    promises::provide()?;
    let mut all = Vec::new();
    for promise in PROMISES.iter().filter(|promise| wanted(promise.name)) {
        println!("\n-- drill {}", promise.name);
        let (seconds, faults) = promises::run(promise, Deadline::NEVER)?;
        if faults.is_empty() {
            println!("drill {}: held, {seconds:.1} s", promise.name);
            rows.push(promises::row(promise.name, promise.breaks, promise.holds, seconds));
        }
        for fault in faults {
            println!("drill {}: FAULT: {fault}", promise.name);
            all.push(format!("{}: {fault}", promise.name));
        }
    }
    Ok(all)
}

fn run(
    wanted: impl Fn(&str) -> bool,
    deadline: Deadline,
    rows: &mut Vec<String>,
) -> Result<Outcome> {
    if let Err(missing) = cluster::provide() {
        return Ok(Outcome::LeftOut(format!("{missing:#}")));
    }
    interrupt::listen()?;
    let mut tally = Tally::default();
    let mut first_fault = String::new();
    let mut left_out = String::new();
    for Drill { name, breaks, holds, play, needs } in
        DRILLS.iter().filter(|drill| wanted(drill.name))
    {
        println!("\n-- drill {name}");
        let missing = host::provide(needs);
        if !missing.is_empty() {
            let names: Vec<&str> = missing.iter().map(|peer| peer.name).collect();
            left_out = format!("{name} is left out: missing {}", names.join(", "));
            println!("drill {left_out}");
            continue;
        }
        let start = clock::now();
        let faults = play(deadline).unwrap_or_else(|error| vec![format!("{error:#}")]);
        let seconds = start.elapsed().as_secs_f64();
        println!("drill {name}: {seconds:.1} s");
        for fault in faults.iter().take(FAULTS_SHOWN) {
            println!("drill {name}: FAULT: {fault}");
        }
        if faults.is_empty() {
            println!("drill {name}: everything that was answered holds");
            rows.push(promises::row(name, breaks, holds, seconds));
            tally.passed += 1;
        } else {
            tally.failed += 1;
            if first_fault.is_empty() {
                first_fault = format!("{name}: {} faults; {}", faults.len(), faults[0]);
            }
        }
    }
    Ok(if tally.failed > 0 {
        Outcome::Failed(tally, first_fault)
    } else if left_out.is_empty() {
        Outcome::Passed(tally)
    } else {
        Outcome::LeftOut(left_out)
    })
}

/// Of thousands that are alike the first few say what is wrong.
const FAULTS_SHOWN: usize = 10;

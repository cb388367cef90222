//! Failure drills: a cluster is broken under load, and what was answered is compared with what
//! is there afterwards.

mod ledger;
mod load;
mod outage;
mod patroni;
mod single;
mod upgrade;

use std::process::ExitCode;

use anyhow::Result;

use crate::clock::{self, Deadline};
use crate::report::{Outcome, Tally};
use crate::{cluster, interrupt};

const HELP: &str = "\
cargo xtask drill [NAME...]     all of them without a name

  failover   the machine of the primary is killed: Patroni, PostgreSQL, everything
  restart    `pg_ctl restart -m immediate` of a single PostgreSQL, and a node killed with
             kill -9 while it holds a lease (waits until the lease has ended: four minutes)
  upgrade    this version migrates under nodes of the one before, and joins them (builds that
             one first; COUNTERFOIL_UPGRADE_FROM names another commit)

exit: 0 held, 1 did not hold, 2 wrong usage";

/// A drill: its name and what it proves.
type Drill = (&'static str, fn(Deadline) -> Result<Vec<String>>);

const DRILLS: [Drill; 3] =
    [("failover", patroni::failover), ("restart", single::restart), ("upgrade", upgrade::upgrade)];

/// `cargo xtask drill [NAME...]`.
pub(crate) fn drill(arguments: &[String]) -> Result<ExitCode> {
    let unknown = |name: &&String| !DRILLS.iter().any(|(known, _)| known == name);
    if let Some(name) = arguments.iter().find(unknown) {
        let asked = ["help", "--help", "-h"].contains(&name.as_str());
        println!("{}{HELP}", if asked { String::new() } else { format!("no drill `{name}`\n\n") });
        return Ok(ExitCode::from(if asked { 0 } else { crate::EXIT_USAGE }));
    }
    let wanted = |name: &str| arguments.is_empty() || arguments.iter().any(|one| one == name);
    Ok(match run(wanted, Deadline::NEVER)? {
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
    run(|_| true, deadline)
}

/// The drills of a run that lets a change in or not: they need no second version to be built.
///
/// # Errors
///
/// As [`proof`].
pub(crate) fn once(deadline: Deadline) -> Result<Outcome> {
    run(|name| name != "upgrade", deadline)
}

fn run(wanted: impl Fn(&str) -> bool, deadline: Deadline) -> Result<Outcome> {
    if let Err(missing) = cluster::provide() {
        return Ok(Outcome::LeftOut(format!("{missing:#}")));
    }
    interrupt::listen()?;
    let mut tally = Tally::default();
    let mut first_fault = String::new();
    for (name, run) in DRILLS.iter().filter(|(name, _)| wanted(name)) {
        println!("\n-- drill {name}");
        let start = clock::now();
        let faults = run(deadline).unwrap_or_else(|error| vec![format!("{error:#}")]);
        println!("drill {name}: {:.1} s", start.elapsed().as_secs_f64());
        for fault in faults.iter().take(FAULTS_SHOWN) {
            println!("drill {name}: FAULT: {fault}");
        }
        if faults.is_empty() {
            println!("drill {name}: everything that was answered holds");
            tally.passed += 1;
        } else {
            tally.failed += 1;
            if first_fault.is_empty() {
                first_fault = format!("{name}: {} faults; {}", faults.len(), faults[0]);
            }
        }
    }
    Ok(if tally.failed == 0 { Outcome::Passed(tally) } else { Outcome::Failed(tally, first_fault) })
}

/// Of thousands that are alike the first few say what is wrong.
const FAULTS_SHOWN: usize = 10;

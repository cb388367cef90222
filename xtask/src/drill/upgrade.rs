//! The drill of an upgrade: nodes of an earlier version work on while this one changes the schema
//! under them, and while a node of this version joins them.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::load::{Load, audit};
use super::outage::{Outage, Whom, judge};
use crate::clock::{self, Deadline};
use crate::cluster::NODES;
use crate::cluster::nodes::{self, Node};
use crate::cluster::place::Place;
use crate::cluster::single::Single;
use crate::command::{self, Show};
use crate::http::Api;
use crate::interrupt::wait;
use crate::workspace::{cargo, root, stdout_of, target_dir};

/// The commit that is upgraded from, where it is not the one before the newest migration.
const FROM: &str = "COUNTERFOIL_UPGRADE_FROM";
/// Load before anything changes, and between one thing and the next.
const BETWEEN: Duration = Duration::from_secs(5);
/// Load after the node of this version has joined.
const AFTER: Duration = Duration::from_secs(10);

/// Runs the drill and returns what did not hold.
///
/// # Errors
///
/// Fails when the earlier version does not build, or the database does not start.
pub(crate) fn upgrade(deadline: Deadline) -> Result<Vec<String>> {
    let mut place = Place::make()?;
    let ours = place.server(deadline)?;
    let earlier = earlier_server(&place, deadline)?;
    let database = Single::start(&mut place)?;
    let (mut nodes, key) = nodes::install(&mut place, &earlier, &database.url, NODES)?;
    let joining = NODES - 1;
    nodes[..joining].iter_mut().try_for_each(Node::start)?;
    let apis: Vec<Api> = nodes.iter().map(|node| node.api(&key)).collect();
    println!("load through {joining} nodes of the earlier version");
    let broke = clock::now();
    let load = Load::start(&apis)?;
    wait(BETWEEN)?;

    nodes[joining].run(&ours);
    nodes[joining].migrate()?;
    println!("this version has brought the schema up to date");
    wait(BETWEEN)?;
    nodes[joining].start()?;
    let (what, whom) = ("node3 joins", Whom::Killed(joining));
    let joined = Outage { what, broke, usable: clock::now(), whom };
    wait(AFTER)?;
    let ledger = load.stop();

    let requests = ledger.requests();
    joined.print(&requests, NODES);
    let mut faults = ledger.faults();
    faults.extend(judge(&requests, &[joined], NODES));
    let (good, revoked, lost) = audit(&apis, &ledger);
    println!(
        "{} requests; afterwards {good} good and {revoked} revoked tokens looked at on each node",
        requests.len()
    );
    faults.extend(lost);
    faults.extend(nodes::ended(&mut nodes));
    nodes.iter_mut().for_each(Node::stop);
    database.stop(&place)?;
    Ok(faults)
}

/// Builds the server of the earlier version from its own commit; the first time takes minutes.
fn earlier_server(place: &Place, deadline: Deadline) -> Result<PathBuf> {
    let commit = earlier_commit()?;
    let home = target_dir().join("upgrade");
    std::fs::create_dir_all(&home)?;
    let home = home.canonicalize()?;
    let tree = home.join(&commit);
    if !tree.exists() {
        // A copy of the files, and nothing that git would have to forget again afterwards.
        std::fs::create_dir(&tree)?;
        let unpack = format!("git archive {commit} | tar -x -C '{}'", tree.display());
        stdout_of(Command::new("sh").args(["-c", &unpack]).current_dir(root()))?;
    }
    println!("building the server of {commit}");
    let mut build = cargo();
    build.current_dir(&tree).env("CARGO_TARGET_DIR", home.join("target"));
    build.args(["build", "--locked", "--package", "counterfoil-server", "--bin", "counterfoil"]);
    let ran = command::run(&mut build, deadline, Show::OnFailure)?;
    ensure!(ran.ok(), "the server of {commit} does not build: {}", ran.fault());
    let copy = place.directory.join("counterfoil-before");
    std::fs::copy(home.join("target/debug/counterfoil"), &copy)?;
    Ok(copy)
}

/// The commit that is upgraded from.
fn earlier_commit() -> Result<String> {
    let git =
        |arguments: &[&str]| stdout_of(Command::new("git").current_dir(root()).args(arguments));
    let named = match std::env::var(FROM) {
        Ok(named) => named,
        Err(_) => format!("{}^", added_by(&newest_migration()?, &git)?),
    };
    git(&["rev-parse", "--verify", "--short=12", &format!("{named}^{{commit}}")])
}

fn newest_migration() -> Result<String> {
    const DIRECTORY: &str = "crates/store/migrations";
    let mut names = Vec::new();
    for entry in std::fs::read_dir(root().join(DIRECTORY))? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.retain(|name| Path::new(name).extension().is_some_and(|kind| kind == "sql"));
    let newest = names.into_iter().max().context("there are no migrations")?;
    Ok(format!("{DIRECTORY}/{newest}"))
}

fn added_by(path: &str, git: &dyn Fn(&[&str]) -> Result<String>) -> Result<String> {
    let commits = git(&["log", "--diff-filter=A", "--format=%H", "--", path])?;
    let first = commits.lines().last();
    Ok(first.with_context(|| format!("no commit has added {path}"))?.to_owned())
}

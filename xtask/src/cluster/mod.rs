//! Three nodes over PostgreSQL on this machine, to try out and to break.
//!
//! Everything listens on loopback, keeps its state in one temporary directory and ends with this
//! program. Where it is root, only the nodes stay root: the database's programs become the user
//! that Debian's packages made.

mod daemon;
pub(crate) mod network;
pub(crate) mod nodes;
pub(crate) mod patroni;
pub(crate) mod place;
pub(crate) mod single;
pub(crate) mod sql;

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, bail, ensure};

use self::nodes::Node;
use self::patroni::HighlyAvailable;
use self::place::Place;
use crate::clock::Deadline;
use crate::host::{self, ETCD, HAPROXY, PATRONI, POSTGRESQL};
use crate::interrupt;

/// Nodes of Counterfoil.
pub(crate) const NODES: usize = 3;
/// How often a running cluster is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Installs what is missing.
///
/// # Errors
///
/// Fails with the names of what cannot be installed here.
pub(crate) fn provide() -> Result<()> {
    let missing = host::provide(&[&POSTGRESQL, &PATRONI, &ETCD, &HAPROXY]);
    let packages: Vec<&str> = missing.iter().map(|peer| peer.package).collect();
    ensure!(missing.is_empty(), "missing packages: {}", packages.join(" "));
    Ok(())
}

/// `cargo xtask cluster`: runs until Ctrl-C.
///
/// # Errors
///
/// Fails when something does not start, or ends by itself.
pub(crate) fn cluster(arguments: &[String]) -> Result<ExitCode> {
    if let Some(unknown) = arguments.first() {
        bail!("unknown argument `{unknown}`: the command takes none");
    }
    provide()?;
    interrupt::listen()?;
    let mut place = Place::make()?;
    let binary = place.server(Deadline::NEVER)?;
    println!("starting etcd, Patroni and HAProxy in {}", place.directory.display());
    let mut database = HighlyAvailable::start(&mut place)?;
    println!("starting {NODES} nodes");
    let (mut nodes, key) = nodes::install(&mut place, &binary, &database.url, NODES)?;
    nodes.iter_mut().try_for_each(Node::start)?;
    describe(&place, &database, &nodes);
    println!("{}", to_try(&place, &nodes, &binary, &key));
    let ended = watch(&mut nodes);
    println!("stopping");
    for node in &mut nodes {
        node.stop();
    }
    database.stop();
    ended?;
    Ok(ExitCode::SUCCESS)
}

/// Returns when the user wants to end it, fails when a node has ended by itself.
///
/// Machines of the database may die: that is what people try.
fn watch(nodes: &mut [Node]) -> Result<()> {
    while !interrupt::asked() {
        nodes.iter_mut().try_for_each(Node::check)?;
        // Cut short by the signal, which the next look finds.
        interrupt::wait(LOOK_EVERY).ok();
    }
    Ok(())
}

fn describe(place: &Place, database: &HighlyAvailable, nodes: &[Node]) {
    println!();
    for node in nodes {
        println!("  {}    http://{}", node.name, node.address);
    }
    for machine in &database.machines {
        let role = if machine.is("/primary") { "leader" } else { "standby" };
        let (name, postgres, rest) = (&machine.name, machine.postgres, machine.rest);
        println!("  {name}      {postgres}, Patroni http://{rest}/cluster ({role})");
    }
    println!("  HAProxy  {} (the primary, wherever it is)", database.address);
    println!("  etcd     http://{}", database.etcd_at);
    println!("  logs     {}/*.log", place.directory.display());
}

fn to_try(place: &Place, nodes: &[Node], binary: &Path, key: &str) -> String {
    let address = |node: Option<&Node>| node.map(|node| node.address.to_string());
    let first = address(nodes.first()).unwrap_or_default();
    let last = address(nodes.last()).unwrap_or_default();
    let (binary, directory) = (binary.display(), place.directory.display());
    format!(
        "
Try it, in another terminal:

  export COUNTERFOIL_TOKEN={key} COUNTERFOIL_URL=http://{first}
  alias counterfoil={binary}
  counterfoil user create alice
  counterfoil service create git
  counterfoil token issue --user alice --service git --quiet > token
  COUNTERFOIL_URL=http://{last} counterfoil token verify --service git token
  patronictl -c {directory}/db1/patroni.yml list
  patronictl -c {directory}/db1/patroni.yml switchover

Ctrl-C stops everything and removes the directory."
    )
}

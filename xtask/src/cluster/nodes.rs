//! Nodes of Counterfoil over one database: each a data directory of its own with the same keys.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::daemon::Daemon;
use super::network::Spot;
use super::place::Place;
use crate::http::{Api, request};
use crate::interrupt::until;

/// The variable that tells a node where its database is; an argument would show the password to
/// everybody on this machine.
pub(crate) const DATABASE: &str = "COUNTERFOIL_DATA__DATABASE";
/// How long a node may take until it is ready.
const READY_WITHIN: Duration = Duration::from_mins(1);

/// One node.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) name: String,
    pub(crate) address: SocketAddr,
    spot: Spot,
    binary: PathBuf,
    data: PathBuf,
    url: String,
    log: PathBuf,
    daemon: Option<Daemon>,
}

/// Makes an installation in an empty database, and `count` nodes that do not run yet.
///
/// Returns them with the key of the administrator.
///
/// # Errors
///
/// Fails when `counterfoil init` does.
pub(crate) fn install(
    place: &mut Place,
    binary: &Path,
    url: &str,
    count: usize,
) -> Result<(Vec<Node>, String)> {
    let spots: Result<Vec<Spot>> = (0..count).map(|_| Ok(Spot::here(place.address()?))).collect();
    install_at(place, binary, url, spots?)
}

/// The same with a node on each of these machines.
///
/// # Errors
///
/// As [`install`].
pub(crate) fn install_at(
    place: &Place,
    binary: &Path,
    url: &str,
    spots: Vec<Spot>,
) -> Result<(Vec<Node>, String)> {
    let mut nodes = Vec::new();
    for (number, spot) in (1..).zip(spots) {
        let name = format!("node{number}");
        nodes.push(Node {
            address: spot.address,
            spot,
            binary: binary.to_owned(),
            data: place.directory_of(&name, false)?,
            url: url.to_owned(),
            log: place.directory.join(format!("{name}.log")),
            name,
            daemon: None,
        });
    }
    let (first, others) = nodes.split_first().context("a cluster has at least one node")?;
    let key = first.initialise()?;
    for node in others {
        copy_keys(&first.data, &node.data)?;
    }
    Ok((nodes, key))
}

/// What the nodes say that have ended by themselves.
pub(crate) fn ended(nodes: &mut [Node]) -> Vec<String> {
    let said = nodes.iter_mut().filter_map(|node| node.check().err());
    said.map(|error| format!("{error:#}")).collect()
}

impl Node {
    /// Its program on its machine, which knows where the database is.
    fn command(&self) -> Command {
        let mut command = self.spot.command(&self.binary, None);
        command.env(DATABASE, &self.url);
        command
    }

    fn initialise(&self) -> Result<String> {
        let output = self
            .command()
            .args(["init", "--data"])
            .arg(&self.data)
            .output()
            .with_context(|| format!("cannot run {}", self.binary.display()))?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "`counterfoil init` failed: {said}");
        Ok(String::from_utf8(output.stdout)?.trim().to_owned())
    }

    /// Starts it and waits until it is ready.
    ///
    /// # Errors
    ///
    /// Fails when it ends or is not ready in time.
    pub(crate) fn start(&mut self) -> Result<()> {
        let mut command = self.command();
        command
            .args(["serve", "--ldap-listen", "127.0.0.1:0"])
            .args(["--listen", &self.address.to_string(), "--data"])
            .arg(&self.data)
            .current_dir(&self.data);
        let mut daemon = Daemon::start(&self.name, command, self.log.clone())?;
        until(&format!("{} is ready", self.name), READY_WITHIN, || {
            daemon.check()?;
            Ok(is_ready(self.address).then_some(()))
        })?;
        self.daemon = Some(daemon);
        Ok(())
    }

    /// From its next start on it runs another program.
    pub(crate) fn run(&mut self, binary: &Path) {
        binary.clone_into(&mut self.binary);
    }

    /// Brings the schema up to date with `counterfoil migrate`.
    ///
    /// # Errors
    ///
    /// Fails with what it said.
    pub(crate) fn migrate(&self) -> Result<()> {
        let output = self.command().args(["migrate", "--data"]).arg(&self.data).output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "`counterfoil migrate` failed: {said}");
        Ok(())
    }

    /// `kill -9`.
    pub(crate) fn kill(&mut self) {
        self.daemon = None;
    }

    /// Asks it to end and waits until it has.
    pub(crate) fn stop(&mut self) {
        if let Some(mut daemon) = self.daemon.take() {
            daemon.stop();
        }
    }

    /// Fails when it has ended by itself.
    ///
    /// # Errors
    ///
    /// See above.
    pub(crate) fn check(&mut self) -> Result<()> {
        self.daemon.as_mut().context("the node does not run")?.check()
    }

    /// Its API with a key.
    pub(crate) fn api(&self, key: &str) -> Api {
        Api { address: self.address, key: key.to_owned() }
    }
}

/// Whether a node says that it is ready.
pub(crate) fn is_ready(node: SocketAddr) -> bool {
    request(node, "GET", "/healthz/ready", "none", "").is_ok_and(|answer| answer.status == 200)
}

/// Every node of an installation needs the same keys.
///
/// # Errors
///
/// Fails when they cannot be copied.
pub(crate) fn copy_keys(from: &Path, to: &Path) -> Result<()> {
    let copied = Command::new("cp").arg("-a").arg(from.join("keys")).arg(to).status()?;
    ensure!(copied.success(), "the keys cannot be copied");
    fs::metadata(to.join("keys"))?;
    Ok(())
}

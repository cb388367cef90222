//! PostgreSQL on two machines under Patroni, with etcd as the judge and HAProxy in front.
//!
//! "Machine" means a directory whose processes die together. The settings are those that
//! docs/operate/patroni.md recommends, but for etcd: one member of it is enough where no network
//! can be cut.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};

use super::daemon::{Daemon, kill_all_in};
use super::place::Place;
use super::sql::{self, SUPERUSER, create_database};
use crate::http::request;
use crate::interrupt::until;

/// How long a new member may take: to make a database cluster, or to copy one.
const MEMBER_WITHIN: Duration = Duration::from_secs(90);
/// Seconds for which a leader that is heard of no more keeps its office. Patroni allows no less.
pub(crate) const LEADER_SECONDS: u64 = 20;
/// Until it has asked Patroni twice, HAProxy leads to one machine after the other; so many
/// connections to the primary in a row are no accident.
const SETTLED: usize = 4;
/// Machines with PostgreSQL.
const MACHINES: usize = 2;

/// One machine with Patroni and PostgreSQL on it.
#[derive(Debug)]
pub(crate) struct Machine {
    pub(crate) name: String,
    /// PostgreSQL.
    pub(crate) postgres: SocketAddr,
    /// Patroni's own door, which HAProxy asks.
    pub(crate) rest: SocketAddr,
    directory: PathBuf,
    daemon: Option<Daemon>,
}

/// The database of a cluster.
#[derive(Debug)]
pub(crate) struct HighlyAvailable {
    /// The primary, wherever it is: HAProxy.
    pub(crate) address: SocketAddr,
    /// What the nodes are given.
    pub(crate) url: String,
    pub(crate) machines: Vec<Machine>,
    pub(crate) proxy: Daemon,
    pub(crate) etcd: Daemon,
    pub(crate) etcd_at: SocketAddr,
}

impl HighlyAvailable {
    /// Starts everything, and waits until the second machine confirms every commit of the first.
    ///
    /// # Errors
    ///
    /// Fails when a program ends or is not ready in time.
    pub(crate) fn start(place: &mut Place) -> Result<Self> {
        let (etcd, etcd_at) = start_etcd(place)?;
        let mut machines = Vec::new();
        for number in 1..=MACHINES {
            let mut machine = Machine::describe(place, &format!("db{number}"), etcd_at)?;
            machine.start(place)?;
            // The first one makes the database cluster; the others copy it.
            let role = if number == 1 { "/primary" } else { "/sync" };
            until(&format!("{} as {role}", machine.name), MEMBER_WITHIN, || {
                machine.check()?;
                Ok(machine.is(role).then_some(()))
            })?;
            println!("  {} is {role}", machine.name);
            machines.push(machine);
        }
        let (proxy, address) = start_proxy(place, &machines)?;
        let first = machines.first().context("no machine")?;
        create_database(place, first.postgres)?;
        let mut in_a_row = 0;
        until("the primary through HAProxy", MEMBER_WITHIN, || {
            let writable = "select not pg_is_in_recovery()";
            let said = sql::run(place, address, SUPERUSER, writable);
            in_a_row = if said.is_ok_and(|said| said == "t") { in_a_row + 1 } else { 0 };
            Ok((in_a_row == SETTLED).then_some(()))
        })?;
        let url = sql::url_of_nodes(place, address);
        Ok(Self { address, url, machines, proxy, etcd, etcd_at })
    }

    /// The place in [`Self::machines`] of the one that takes writes.
    pub(crate) fn leader(&self) -> Option<usize> {
        self.machines.iter().position(|machine| machine.is("/primary"))
    }

    /// Ends everything in order: the leader last, so that nobody takes over.
    pub(crate) fn stop(&mut self) {
        self.proxy.stop();
        let leader = self.leader();
        let (leading, following): (Vec<_>, Vec<_>) =
            self.machines.iter_mut().enumerate().partition(|(place, _)| Some(*place) == leader);
        for (_, machine) in following.into_iter().chain(leading) {
            machine.stop();
        }
        self.etcd.stop();
    }
}

impl Machine {
    /// Writes the configuration of a machine that does not run yet.
    fn describe(place: &mut Place, name: &str, etcd: SocketAddr) -> Result<Self> {
        let directory = place.directory_of(name, true)?;
        let machine = Self {
            name: name.to_owned(),
            postgres: place.address()?,
            rest: place.address()?,
            directory,
            daemon: None,
        };
        place.write(&machine.directory.join("patroni.yml"), &machine.settings(place, etcd))?;
        Ok(machine)
    }

    /// Starts Patroni, which starts PostgreSQL; also after the machine was killed.
    ///
    /// # Errors
    ///
    /// Fails when it cannot be started.
    pub(crate) fn start(&mut self, place: &Place) -> Result<()> {
        let mut patroni = place.command("/usr/bin/patroni", &self.directory);
        patroni.arg("patroni.yml");
        self.daemon = Some(Daemon::start(
            &self.name,
            patroni,
            place.directory.join(self.name.clone() + ".log"),
        )?);
        Ok(())
    }

    /// Kills Patroni, PostgreSQL and all that they started, at once.
    pub(crate) fn kill(&mut self) {
        kill_all_in(&self.directory);
        self.daemon = None;
    }

    fn stop(&mut self) {
        if let Some(mut daemon) = self.daemon.take() {
            daemon.stop();
        }
        kill_all_in(&self.directory);
    }

    /// Fails when Patroni runs no more.
    fn check(&mut self) -> Result<()> {
        self.daemon.as_mut().context("it was not started")?.check()
    }

    /// Whether Patroni says that PostgreSQL here has this role: `/primary`, `/sync`, `/replica`.
    pub(crate) fn is(&self, role: &str) -> bool {
        request(self.rest, "GET", role, "none", "").is_ok_and(|answer| answer.status == 200)
    }

    fn settings(&self, place: &Place, etcd: SocketAddr) -> String {
        let Self { name, postgres, rest, directory, .. } = self;
        let (programs, at) = (place.programs.display(), directory.display());
        let password = &place.password;
        format!(
            "\
scope: counterfoil
name: {name}
restapi: {{listen: '{rest}', connect_address: '{rest}'}}
etcd3: {{host: '{etcd}'}}
bootstrap:
  dcs:
    ttl: {LEADER_SECONDS}
    loop_wait: 3
    retry_timeout: 5
    # No answer to a write before the standby has it, and only such a standby takes over.
    synchronous_mode: true
    postgresql:
      use_pg_rewind: true
      parameters: {{max_connections: 200, wal_log_hints: 'on'}}
  initdb: [encoding: UTF8, data-checksums]
postgresql:
  listen: '{postgres}'
  connect_address: '{postgres}'
  data_dir: {at}/data
  bin_dir: {programs}
  pgpass: {at}/pgpass
  pg_hba:
    - local all all scram-sha-256
    - host all all 127.0.0.1/32 scram-sha-256
    - host replication replicator 127.0.0.1/32 scram-sha-256
  authentication:
    superuser: {{username: {SUPERUSER}, password: '{password}'}}
    replication: {{username: replicator, password: '{password}'}}
  parameters: {{unix_socket_directories: {at}}}
# There is no device for it here; on real machines it is required (docs/operate/patroni.md).
watchdog: {{mode: 'off'}}
"
        )
    }
}

fn start_etcd(place: &mut Place) -> Result<(Daemon, SocketAddr)> {
    let directory = place.directory_of("etcd", true)?;
    let (clients, peers) = (place.address()?, place.address()?);
    let mut etcd = place.command("/usr/bin/etcd", &directory);
    etcd.args(["--name", "etcd1", "--data-dir", "data", "--log-level", "warn"])
        .arg(format!("--listen-client-urls=http://{clients}"))
        .arg(format!("--advertise-client-urls=http://{clients}"))
        .arg(format!("--listen-peer-urls=http://{peers}"))
        .arg(format!("--initial-advertise-peer-urls=http://{peers}"))
        .arg(format!("--initial-cluster=etcd1=http://{peers}"));
    let mut daemon = Daemon::start("etcd", etcd, place.directory.join("etcd.log"))?;
    until("etcd", MEMBER_WITHIN, || {
        daemon.check()?;
        let healthy = request(clients, "GET", "/health", "none", "");
        Ok(healthy.is_ok_and(|answer| answer.status == 200).then_some(()))
    })?;
    Ok((daemon, clients))
}

fn start_proxy(place: &mut Place, machines: &[Machine]) -> Result<(Daemon, SocketAddr)> {
    let directory = place.directory_of("haproxy", true)?;
    let address = place.address()?;
    let mut settings = format!(
        "\
global
  maxconn 1000
defaults
  mode tcp
  timeout connect 2s
  timeout client 1h
  timeout server 1h
  timeout check 2s
listen primary
  bind {address}
  option httpchk GET /primary
  http-check expect status 200
  # Whoever is connected to a machine that lost its office must find the other one.
  default-server inter 1s fall 2 rise 1 on-marked-down shutdown-sessions
"
    );
    for Machine { name, postgres, rest, .. } in machines {
        // Writing into a string cannot fail.
        writeln!(settings, "  server {name} {postgres} check port {}", rest.port()).ok();
    }
    place.write(&directory.join("haproxy.cfg"), &settings)?;
    let mut haproxy = place.command("/usr/sbin/haproxy", &directory);
    haproxy.args(["-db", "-f", "haproxy.cfg"]);
    let daemon = Daemon::start("HAProxy", haproxy, place.directory.join("haproxy.log"))?;
    Ok((daemon, address))
}

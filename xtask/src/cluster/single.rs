//! One PostgreSQL without standbys, as most installations begin.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Result;

use super::network::Spot;
use super::place::Place;
use super::sql::{SUPERUSER, create_database, url_of_nodes};
use crate::clock::Deadline;
use crate::command::{self, Show};

/// A running server.
#[derive(Debug)]
pub(crate) struct Single {
    pub(crate) address: SocketAddr,
    /// What the nodes are given.
    pub(crate) url: String,
    spot: Spot,
    directory: PathBuf,
}

impl Single {
    /// Makes a database cluster and starts it.
    ///
    /// # Errors
    ///
    /// Fails with what PostgreSQL's programs said.
    pub(crate) fn start(place: &mut Place) -> Result<Self> {
        let address = place.address()?;
        Self::start_at(place, Spot::here(address), address)
    }

    /// The same on a machine of its own, where the nodes find it under another address.
    ///
    /// # Errors
    ///
    /// As [`Single::start`].
    pub(crate) fn start_at(place: &Place, spot: Spot, among_nodes: SocketAddr) -> Result<Self> {
        let directory = place.directory_of("postgresql", true)?;
        let address = spot.address;
        let secret = directory.join("password");
        place.write(&secret, &place.password)?;
        let mut initdb = place.command(place.programs.join("initdb"), &directory);
        initdb
            .args(["-D", "data", "-U", SUPERUSER, "-A", "scram-sha-256", "-E", "UTF8", "-N"])
            .arg("--pwfile")
            .arg(&secret);
        succeed(&mut initdb)?;
        let mut listen = address.ip().to_string();
        if spot.is_apart() {
            listen = format!("{listen},{}", among_nodes.ip());
            // What initdb wrote lets in nobody but this machine itself.
            let rules = "host all all samenet scram-sha-256\n";
            place.write(&directory.join("data/pg_hba.conf"), rules)?;
        }
        let settings = format!(
            "listen_addresses = '{listen}'\nport = {}\nunix_socket_directories = '{}'\n\
             max_connections = 200\n",
            address.port(),
            directory.display()
        );
        place.write(&directory.join("data/postgresql.auto.conf"), &settings)?;
        let single = Self { address, url: url_of_nodes(place, among_nodes), spot, directory };
        single.control(place, &["start"])?;
        create_database(place, address)?;
        Ok(single)
    }

    /// `pg_ctl restart -m immediate`: as if the power had failed for a moment.
    ///
    /// # Errors
    ///
    /// Fails with what `pg_ctl` said.
    pub(crate) fn restart_immediately(&self, place: &Place) -> Result<()> {
        self.control(place, &["restart", "-m", "immediate"])
    }

    /// Ends it in order.
    ///
    /// # Errors
    ///
    /// Fails with what `pg_ctl` said.
    pub(crate) fn stop(&self, place: &Place) -> Result<()> {
        self.control(place, &["stop", "-m", "fast"])
    }

    fn control(&self, place: &Place, arguments: &[&str]) -> Result<()> {
        let program = place.programs.join("pg_ctl");
        let mut control = place.command_at(&self.spot, &program, &self.directory);
        // Into a file: the server inherits the output, and a pipe would stay open with it.
        control.args(["-D", "data", "-l", "log", "-w", "-s"]).args(arguments);
        succeed(&mut control)
    }
}

fn succeed(program: &mut std::process::Command) -> Result<()> {
    let ran = command::run(program, Deadline::NEVER, Show::OnFailure)?;
    anyhow::ensure!(ran.ok(), "{program:?}: {}", ran.fault());
    Ok(())
}

//! One PostgreSQL without standbys, as most installations begin.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Result;

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
    directory: PathBuf,
}

impl Single {
    /// Makes a database cluster and starts it.
    ///
    /// # Errors
    ///
    /// Fails with what PostgreSQL's programs said.
    pub(crate) fn start(place: &mut Place) -> Result<Self> {
        let directory = place.directory_of("postgresql", true)?;
        let address = place.address()?;
        let secret = directory.join("password");
        place.write(&secret, &place.password)?;
        let mut initdb = place.command(place.programs.join("initdb"), &directory);
        initdb
            .args(["-D", "data", "-U", SUPERUSER, "-A", "scram-sha-256", "-E", "UTF8", "-N"])
            .arg("--pwfile")
            .arg(&secret);
        succeed(&mut initdb)?;
        let settings = format!(
            "listen_addresses = '{}'\nport = {}\nunix_socket_directories = '{}'\n\
             max_connections = 200\n",
            address.ip(),
            address.port(),
            directory.display()
        );
        place.write(&directory.join("data/postgresql.auto.conf"), &settings)?;
        let single = Self { address, url: url_of_nodes(place, address), directory };
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
        let mut control = place.command(place.programs.join("pg_ctl"), &self.directory);
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

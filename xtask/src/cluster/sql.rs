//! Statements for the database of a cluster, past the nodes: by `psql`, as an operator would.

use std::net::SocketAddr;

use anyhow::{Result, ensure};

use super::place::Place;

/// The database's superuser.
pub(crate) const SUPERUSER: &str = "postgres";
/// The role of the nodes, and the name of their database.
pub(crate) const NODES: &str = "counterfoil";

/// Runs statements as the superuser and returns the rows, columns separated by `|`.
///
/// # Errors
///
/// Fails with what the database said.
pub(crate) fn run(place: &Place, at: SocketAddr, database: &str, sql: &str) -> Result<String> {
    let mut psql = place.command(place.programs.join("psql"), &place.directory);
    psql.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h"])
        .arg(at.ip().to_string())
        .args(["-p", &at.port().to_string(), "-U", SUPERUSER, "-d", database, "-c", sql])
        .env("PGPASSWORD", &place.password)
        .env("PGCONNECT_TIMEOUT", "5");
    let output = psql.output()?;
    ensure!(output.status.success(), "psql: {}", String::from_utf8_lossy(&output.stderr).trim());
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

/// Makes the role and the database of the nodes on the primary.
///
/// # Errors
///
/// Fails with what the database said.
pub(crate) fn create_database(place: &Place, primary: SocketAddr) -> Result<()> {
    let role = format!("create role {NODES} login password '{}'", place.password);
    run(place, primary, SUPERUSER, &role)?;
    run(place, primary, SUPERUSER, &format!("create database {NODES} owner {NODES}"))?;
    Ok(())
}

/// Where nodes find their database.
pub(crate) fn url_of_nodes(place: &Place, at: SocketAddr) -> String {
    format!("postgres://{NODES}:{}@{at}/{NODES}", place.password)
}

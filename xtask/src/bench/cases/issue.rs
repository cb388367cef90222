//! Durable issue over HTTP, beside a bare loop that writes the same rows.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::bench::load::{self, Measured, Pressure, Requests, median};
use crate::bench::record::{Bar, Record};
use crate::bench::world::{
    self, REALM, SERVICE, World, copy_database, furnish, result_of, serve, user_name,
};
use crate::http::Api;
use crate::server::{DataDir, Server};

/// People that the new tokens go to, in turn.
pub(super) const USERS: u64 = 1_000;

/// Clients at the same time, with the bar where there is one.
const CLIENTS: [(u32, Option<Bar>); 3] = [(1, None), (8, None), (64, Some(Bar::AtLeast(0.4)))];

const CACHE_BYTES: u64 = 64 << 20;

/// A database before and after the issue of one token.
struct OneIssue {
    before: PathBuf,
    after: PathBuf,
    token_id: String,
}

/// The rate of durable issues at 1, 8 and 64 clients.
pub(crate) fn issue(world: &World, into: &mut Record) -> Result<()> {
    let directory = DataDir::create(&world.binary, world.scratch("issue")?.join("store"))?;
    let one = one_issue(world, &directory)?;
    let (server, api) = serve(world, &directory, CACHE_BYTES, &[])?;
    let requests = issue_requests(&directory, &api, USERS)?;
    for (clients, bar) in CLIENTS {
        let mut ours = Vec::new();
        let mut bare = Vec::new();
        for round in 0..world.options.rounds {
            bare.push(bare_loop(world, &directory, &one, clients)?);
            ours.push(our_loop(world, &server, &requests, clients, round)?);
        }
        let ours = load::medians(&ours);
        let bare_rate = middle(&bare, "/per_second")?;
        into.figure(
            &format!("durable issue, {clients} clients, of the bare group commit"),
            ours.rate / bare_rate,
            "of its rate",
            bar,
        );
        into.note(&format!(
            "durable issue, {clients} clients: ours {:.0}/s, p50 {:.0} us, p99 {:.0} us, \
             CPU {:.0} us; bare {bare_rate:.0}/s, p50 {:.0} us, p99 {:.0} us, {} rows each",
            ours.rate,
            ours.p50_us,
            ours.p99_us,
            ours.cpu_us,
            middle(&bare, "/p50_us")?,
            middle(&bare, "/p99_us")?,
            middle(&bare, "/rows")?,
        ));
    }
    Ok(())
}

/// Lets the server issue one token and keeps the database on both sides of it.
fn one_issue(world: &World, directory: &DataDir) -> Result<OneIssue> {
    // Sealing is work of its own, which `audit` measures: here an issue is what it stores.
    let unsealed = [("COUNTERFOIL_AUDIT__SEAL", "false")];
    let (server, api) = serve(world, directory, CACHE_BYTES, &unsealed)?;
    furnish(&api, USERS)?;
    server.stop()?;
    let before = copy_database(directory, "before")?;
    let (server, api) = serve(world, directory, CACHE_BYTES, &unsealed)?;
    let (token_id, _) = world::issue(&api, &user_name(0), "bench")?;
    server.stop()?;
    let after = copy_database(directory, "after")?;
    Ok(OneIssue { before, after, token_id })
}

/// Issues for one person after the other.
pub(super) fn issue_requests(directory: &DataDir, api: &Api, users: u64) -> Result<Requests> {
    let lines = directory.path.join("users.txt");
    let users: Vec<String> = (0..users).map(user_name).collect();
    std::fs::write(&lines, users.join("\n") + "\n")?;
    let head = format!("POST {REALM}/tokens HTTP/1.1\r\nAuthorization: Bearer {}", api.key);
    let body = format!(
        "{{\"kind\":\"personal_access_token\",\"user\":\"@LINE@\",\"name\":\"bench\",\
         \"services\":[\"{SERVICE}\"]}}"
    );
    let path = directory.path.join("issue.http");
    let template = load::template(&path, &head, &body, user_name(0).len())?;
    Ok(Requests { template, lines })
}

fn bare_loop(world: &World, directory: &DataDir, one: &OneIssue, clients: u32) -> Result<Value> {
    let mut bare = world.tool("rawcommit");
    bare.arg("--before").arg(&one.before).arg("--after").arg(&one.after);
    bare.args(["--token-id", &one.token_id, "--clients", &clients.to_string()]);
    bare.args(["--seconds", &world.options.seconds.to_string()]);
    bare.arg("--work").arg(&directory.path);
    result_of(&mut bare)
}

fn our_loop(
    world: &World,
    server: &Server,
    requests: &Requests,
    clients: u32,
    round: u32,
) -> Result<Measured> {
    let pressure = Pressure {
        connections: clients,
        seconds: world.options.seconds,
        offset: u64::from(round) * 77,
    };
    let measured = load::load(server.address, server.id(), requests, pressure)?;
    ensure!(measured.refused == 0.0, "{} issues were refused", measured.refused);
    Ok(measured)
}

/// The median of one figure of several results.
fn middle(results: &[Value], pointer: &str) -> Result<f64> {
    let figures: Option<Vec<f64>> =
        results.iter().map(|result| result.pointer(pointer)?.as_f64()).collect();
    Ok(median(figures.with_context(|| format!("no {pointer} in the results"))?))
}

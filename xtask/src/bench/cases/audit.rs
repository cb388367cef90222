//! What sealing the audit log costs, and how long a long export takes to verify.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::issue::{USERS, issue_requests};
use crate::bench::load::{self, Pressure};
use crate::bench::record::{Bar, Record};
use crate::bench::world::{REALM, World, furnish, result_of, serve};
use crate::clock;
use crate::http::Api;
use crate::server::{DataDir, pause};

const CACHE_BYTES: u64 = 64 << 20;
/// Clients of the load.
const CLIENTS: u32 = 64;
/// Entries of the export.
const ENTRIES: u64 = 1_000_000;
/// How long sealing what a run leaves behind may take, before something is wrong.
const PATIENCE: Duration = Duration::from_mins(2);

/// Durable issue while every event is sealed, beside the same while none is; and the export.
pub(crate) fn audit(world: &World, into: &mut Record) -> Result<()> {
    sealing(world, into)?;
    verifying(world, into)
}

fn sealing(world: &World, into: &mut Record) -> Result<()> {
    let place = |name| -> Result<DataDir> {
        DataDir::create(&world.binary, world.scratch(name)?.join("store"))
    };
    let (with, without) = (place("audit-on")?, place("audit-off")?);
    let off = [("COUNTERFOIL_AUDIT__SEAL", "false")];
    let (sealing, api) = serve(world, &with, CACHE_BYTES, &[])?;
    let (waiting, rival) = serve(world, &without, CACHE_BYTES, &off)?;
    furnish(&api, USERS)?;
    furnish(&rival, USERS)?;
    let requests = issue_requests(&with, &api, USERS)?;
    let rival_requests = issue_requests(&without, &rival, USERS)?;
    let (mut ours, mut theirs, mut left) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..world.options.rounds {
        let offset = u64::from(round) * 77;
        let pressure = || Pressure { connections: CLIENTS, seconds: world.options.seconds, offset };
        let one = load::load(waiting.address, waiting.id(), &rival_requests, pressure())?;
        let other = load::load(sealing.address, sealing.id(), &requests, pressure())?;
        ensure!(one.refused + other.refused == 0.0, "issues were refused");
        // What is left over is work that the load did not pay for.
        let took = Duration::from_secs(world.options.seconds).as_secs_f64();
        left.push(drained(&api)?.as_secs_f64() / took);
        ours.push(other);
        theirs.push(one);
    }
    let (ours, theirs) = (load::medians(&ours), load::medians(&theirs));
    into.figure(
        "durable issue, 64 clients, with sealing, of the rate without",
        ours.rate / theirs.rate,
        "of its rate",
        Some(Bar::AtLeast(0.95)),
    );
    let most = left.iter().copied().fold(0.0, f64::max);
    into.note(&format!(
        "sealing: {:.0}/s with and {:.0}/s without; p99 {:.0} and {:.0} us, CPU {:.0} and {:.0} \
         us; what a run left unsealed took at most {:.0} % of its time afterwards",
        ours.rate,
        theirs.rate,
        ours.p99_us,
        theirs.p99_us,
        ours.cpu_us,
        theirs.cpu_us,
        most * 100.0,
    ));
    Ok(())
}

/// Waits until the newest event is sealed.
fn drained(api: &Api) -> Result<Duration> {
    let newest = api.json("GET", &format!("{REALM}/events?limit=1"), &Value::Null)?;
    let id = newest.pointer("/items/0/id").and_then(Value::as_str).context("no event")?;
    let path = format!("{REALM}/audit/proofs/inclusion?event={id}");
    let began = clock::now();
    while api.json("GET", &path, &Value::Null)?["state"] != "sealed" {
        ensure!(began.elapsed() < PATIENCE, "events are not sealed");
        pause(Duration::from_millis(20));
    }
    Ok(began.elapsed())
}

fn verifying(world: &World, into: &mut Record) -> Result<()> {
    let file = world.scratch("audit")?.join("export.audit");
    let mut tool = world.tool("auditlog");
    tool.args(["--entries", &ENTRIES.to_string(), "--file"]).arg(&file);
    let made = result_of(&mut tool)?;
    let key = made["key"].as_str().context("no key")?;
    let mut seconds = Vec::new();
    for _ in 0..world.options.rounds {
        let mut verify = Command::new(&world.binary);
        verify.args(["audit", "verify", "--key", key]).arg(&file);
        let began = clock::now();
        let ran = verify.output()?;
        seconds.push(began.elapsed().as_secs_f64());
        ensure!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    }
    let bytes = std::fs::metadata(&file)?.len() >> 20;
    std::fs::remove_file(&file)?;
    into.figure(
        "verifying an export of a million entries",
        load::median(seconds),
        "seconds",
        Some(Bar::AtMost(10.0)),
    );
    into.note(&format!("the export of a million entries has {bytes} MiB"));
    Ok(())
}

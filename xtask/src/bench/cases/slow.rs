//! Slow hashes must not slow down those who need none.

use anyhow::{Context, Result, ensure};
use serde_json::json;

use super::{CONNECTIONS, Pair, pressure, roomy, verify_requests, warm};
use crate::bench::load::{self, Pressure, Requests};
use crate::bench::record::{Bar, Record};
use crate::bench::world::{REALM, World};

/// Clients that present self-chosen secrets at the same time: as many as one
/// verifier may have in the default queue, so that its part is always full and
/// nobody is sent away.
const SLOW_CLIENTS: u32 = 48;

/// Tokens that the fast load asks about; few, so that it is warm at once.
const FAST_TOKENS: u64 = 50_000;

/// The service whose tokens have self-chosen secrets.
const SLOW_SERVICE: &str = "slow";

/// The rate and the p99 of warm verifies, alone and beside a full queue.
pub(crate) fn argon2(world: &World, into: &mut Record) -> Result<()> {
    let tokens = FAST_TOKENS.min(world.options.tokens);
    let store = world.store(tokens)?;
    let pair = Pair::start(world, &store, roomy(tokens))?;
    let fast = verify_requests(&pair.verifier, &store)?;
    warm(&pair.server, &fast, tokens)?;
    let slow = slow_requests(world, &pair)?;

    let mut alone = Vec::new();
    let mut beside = Vec::new();
    let mut slow_rates = Vec::new();
    for round in 0..world.options.rounds {
        let pressure = Pressure { offset: load::offset_of(round), ..pressure(world) };
        let (address, id) = (pair.server.address, pair.server.id());
        alone.push(load::load(address, id, &fast, pressure)?);
        // The slow load begins a second earlier and ends a second later.
        let longer = Pressure {
            connections: SLOW_CLIENTS,
            seconds: pressure.seconds + 2,
            offset: u64::from(round) * 997,
        };
        let background = load::generator(address, &slow, longer)
            .stdout(std::process::Stdio::piped())
            .spawn()
            .context("cannot start the slow load")?;
        crate::server::pause(std::time::Duration::from_secs(1));
        beside.push(load::load(address, id, &fast, pressure)?);
        let output = background.wait_with_output()?;
        slow_rates.push(load::parse(&String::from_utf8_lossy(&output.stdout))?);
    }
    let (alone, beside) = (load::medians(&alone), load::medians(&beside));
    let slow = load::medians(&slow_rates);
    ensure!(beside.refused == 0.0, "{} fast verifies were refused", beside.refused);
    into.figure(
        "fast verifies beside a full Argon2 queue",
        beside.rate / alone.rate,
        "of their rate alone",
        Some(Bar::AtLeast(0.6)),
    );
    into.figure(
        "p99 of fast verifies beside a full Argon2 queue",
        beside.p99_us / alone.p99_us,
        "times that alone",
        Some(Bar::AtMost(3.0)),
    );
    into.note(&format!(
        "alone {:.0}/s, p99 {:.0} us; beside {SLOW_CLIENTS} clients with self-chosen secrets \
         {:.0}/s, p99 {:.0} us, while those got {:.0} answers/s, of which {:.0} were 503 or worse \
         a run; all of it on the cores that also run {CONNECTIONS} clients",
        alone.rate, alone.p99_us, beside.rate, beside.p99_us, slow.rate, slow.refused,
    ));
    Ok(())
}

/// Verifies of a wrong self-chosen secret, each another: nothing to remember,
/// so that every one of them is computed.
fn slow_requests(world: &World, pair: &Pair) -> Result<Requests> {
    let service = json!({ "label": SLOW_SERVICE, "name": "Self-chosen",
        "token_policy": { "source": "self_select", "self_select": { "min": 8, "max": 64 } } });
    // A store that an earlier run used has both already.
    pair.api.send("POST", &format!("{REALM}/services"), &service.to_string())?;
    let token = json!({ "kind": "service_token", "user": "u00000", "name": "chosen",
        "service": SLOW_SERVICE, "secret": "correct horse battery" });
    let issued = pair.api.send("POST", &format!("{REALM}/tokens"), &token.to_string())?;
    ensure!(issued.status == 201 || issued.status == 409, "cannot issue: {issued:?}");

    let client = json!({ "name": format!("slow-{}", std::process::id()),
        "roles": ["verifier"], "services": [SLOW_SERVICE] });
    let made = pair.api.json("POST", &format!("{REALM}/clients"), &client)?;
    let key = crate::bench::world::text_at(&made, "/secret")?;

    let home = world.scratch("requests")?;
    let lines = home.join("wrong.txt");
    let wrong: Vec<String> = (0..100_000).map(|number| format!("wrong-{number:06}")).collect();
    std::fs::write(&lines, wrong.join("\n") + "\n")?;
    let head = format!("POST {REALM}/verify HTTP/1.1\r\nAuthorization: Bearer {key}");
    let body =
        format!("{{\"token\":\"@LINE@\",\"username\":\"u00000\",\"service\":\"{SLOW_SERVICE}\"}}");
    let template = load::template(&home.join("slow.http"), &head, &body, "wrong-000000".len())?;
    Ok(Requests { template, lines })
}

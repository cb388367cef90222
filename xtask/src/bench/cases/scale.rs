//! From ten thousand tokens to ten million: does anything grow with them?

use anyhow::{Result, ensure};

use super::{Pair, pressure, roomy, some_lines, verify_requests, warm};
use crate::bench::load::{self, Memory, Requests};
use crate::bench::record::{Bar, Record};
use crate::bench::world::{World, serve};

/// The smallest store; the others are compared with it.
const SMALLEST: u64 = 10_000;

/// The cache of the larger stores: the default budget.
const BUDGET: u64 = 256 << 20;

/// Cost of a warm verify, start-up and memory at every size up to the largest.
pub(crate) fn scale(world: &World, into: &mut Record) -> Result<()> {
    let small = world.store(SMALLEST)?;
    startup(world, into, SMALLEST)?;
    let base = Pair::start(world, &small, roomy(SMALLEST))?;
    let base_requests = verify_requests(&base.verifier, &small)?;
    warm(&base.server, &base_requests, SMALLEST)?;

    let mut tokens = SMALLEST * 10;
    while tokens <= world.options.tokens_max {
        startup(world, into, tokens)?;
        let store = world.store(tokens)?;
        let some = some_lines(&store)?;
        let pair = Pair::start(world, &some, BUDGET)?;
        let requests = verify_requests(&pair.verifier, &some)?;
        warm(&pair.server, &requests, SMALLEST)?;
        let mut growth = Vec::new();
        for _ in 0..world.options.rounds {
            let of_small = cpu_us(world, &base, &base_requests)?;
            growth.push(cpu_us(world, &pair, &requests)? / of_small);
        }
        into.figure(
            &format!("CPU per verify with {tokens} tokens, of that with {SMALLEST}"),
            load::median(growth),
            "times",
            Some(Bar::AtMost(1.15)),
        );
        // All lines now: what has no room in the cache is read from the store.
        let all = Requests { lines: store.lines.clone(), ..requests };
        warm(&pair.server, &all, tokens.min(1_000_000))?;
        let memory = Memory::of(pair.server.id())?;
        into.note(&format!(
            "{tokens} tokens, up to a million of them asked about: {memory} \
             with a cache of {} MiB",
            BUDGET >> 20
        ));
        tokens *= 10;
    }
    Ok(())
}

/// CPU time per verify, microseconds.
fn cpu_us(world: &World, pair: &Pair, requests: &Requests) -> Result<f64> {
    let measured = load::load(pair.server.address, pair.server.id(), requests, pressure(world))?;
    ensure!(measured.refused == 0.0, "{} requests were refused", measured.refused);
    Ok(measured.cpu_us)
}

/// How long a server over a store of this size takes to become ready, and how
/// much memory it has then.
fn startup(world: &World, into: &mut Record, tokens: u64) -> Result<()> {
    let store = world.store(tokens)?;
    let (server, _) = serve(world, &store.directory, BUDGET, &[])?;
    into.figure(
        &format!("ready with {tokens} tokens in the store"),
        server.ready_after.as_secs_f64(),
        "s after its start",
        Some(Bar::AtMost(1.0)),
    );
    let memory = Memory::of(server.id())?;
    into.note(&format!("{tokens} tokens, none asked about yet: {memory}"));
    Ok(())
}

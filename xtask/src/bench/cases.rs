//! The cases. Each measures one sentence of the bars and records it.

mod am;
mod audit;
mod console;
mod elsewhere;
mod inproc;
mod issue;
mod ldap;
mod oauth;
mod postgres;
mod privacyidea;
mod provision;
mod scale;
mod slapd;
mod slow;

use anyhow::{Result, ensure};

use super::load::{self, Alternation, Memory, Pressure, Requests, alternate};
use super::record::{Bar, Record};
use super::world::{REALM, SERVICE, Store, World, prove, serve};
use crate::http::Api;
use crate::server::{DataDir, Server};

pub(super) use am::am;
pub(super) use audit::audit;
pub(super) use console::console;
pub(super) use elsewhere::elsewhere;
pub(super) use inproc::inproc;
pub(super) use issue::issue;
pub(super) use ldap::ldap;
pub(super) use oauth::oauth;
pub(super) use postgres::postgres;
pub(super) use privacyidea::privacyidea;
pub(super) use provision::provision;
pub(super) use scale::scale;
pub(super) use slow::argon2;

/// The pins of privacyIDEA and what serves it.
const PRIVACYIDEA: &str = "privacyidea";

/// Connections of every case that does not say otherwise.
const CONNECTIONS: u32 = 64;

/// What the cache reckons for one token; the budget of a case follows from it.
/// `crates/authority/src/cache` has the same figure.
const RECKONED_BYTES_PER_TOKEN: u64 = 192;

/// Tokens of a load that asks about few of them.
const FEW: usize = 10_000;

/// Characters of a token string.
const TOKEN_LENGTH: usize = 56;

/// The requests of a verifier that asks about one token of `store` each.
fn verify_requests(verifier: &str, store: &Store) -> Result<Requests> {
    let head = format!("POST {REALM}/verify HTTP/1.1\r\nAuthorization: Bearer {verifier}");
    let path = store.directory.path.join("verify.http");
    let template = load::template(&path, &head, "{\"token\":\"@LINE@\"}", TOKEN_LENGTH)?;
    Ok(Requests { template, lines: store.lines.clone() })
}

/// The same store with the first lines only.
fn some_lines(store: &Store) -> Result<Store> {
    let text = std::fs::read_to_string(&store.lines)?;
    let some: Vec<&str> = text.lines().take(FEW).collect();
    let lines = store.directory.path.join("some.txt");
    std::fs::write(&lines, some.join("\n") + "\n")?;
    let directory = DataDir::open(store.directory.path.clone())?;
    Ok(Store { directory, lines, basic: store.basic.clone() })
}

/// The usual pressure with the length that was asked for.
fn pressure(world: &World) -> Pressure {
    Pressure { connections: CONNECTIONS, seconds: world.options.seconds, offset: 0 }
}

/// A cache in which every token of the store has room.
fn roomy(tokens: u64) -> u64 {
    // A fifth more, because shards fill unevenly; never less than the smallest
    // budget that the configuration takes.
    (tokens * RECKONED_BYTES_PER_TOKEN / 5 * 6).max(8 << 20)
}

/// Asks about every line once, so that all of them are in the cache.
fn warm(server: &Server, requests: &Requests, lines: u64) -> Result<()> {
    let mut asked = 0;
    let mut rounds = 0;
    while asked < lines {
        ensure!(rounds < 100, "the cache does not get warm");
        let pressure = Pressure { connections: CONNECTIONS, seconds: 2, offset: asked };
        let measured = load::load(server.address, server.id(), requests, pressure)?;
        ensure!(measured.refused == 0.0, "{} requests were refused", measured.refused);
        // Requests are counted in whole numbers far below 2^52.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
        let answered = measured.requests as u64;
        asked += answered;
        rounds += 1;
    }
    load::settled(server.id())
}

/// Our server over a store, its verifier's key, and the bare rival.
struct Pair {
    server: Server,
    api: Api,
    verifier: String,
    hello: Server,
}

impl Pair {
    fn start(world: &World, store: &Store, cache_bytes: u64) -> Result<Self> {
        Self::start_with(world, store, cache_bytes, &[])
    }

    fn start_with(
        world: &World,
        store: &Store,
        cache_bytes: u64,
        more: &[(&str, &str)],
    ) -> Result<Self> {
        let (server, api) = serve(world, &store.directory, cache_bytes, more)?;
        let verifier = world.verifier(&api)?;
        prove(&api, &verifier, store)?;
        Ok(Self { server, api, verifier, hello: world.hello()? })
    }

    fn alternate(&self, world: &World, requests: &Requests) -> Result<Alternation> {
        let rival = (self.hello.address, self.hello.id());
        let ours = (self.server.address, self.server.id());
        alternate(rival, ours, requests, world.options.rounds, pressure(world))
    }
}

/// Records a comparison with a bar on the rate, or instead on CPU time.
fn record(record: &mut Record, case: &str, figures: &Alternation, rate: f64, cpu: Option<f64>) {
    let by_rate = figures.ours.rate / figures.rival.rate >= rate;
    let by_cpu = cpu.is_some_and(|most| figures.ours.cpu_us / figures.rival.cpu_us <= most);
    let bar = match cpu {
        Some(most) => format!("ratio >= {rate:.2} or CPU ratio <= {most:.1}"),
        None => format!("ratio >= {rate:.2}"),
    };
    record.compare(case, figures, &bar, by_rate || by_cpu);
}

/// Warm verify: every token of the store in the cache, in random order, the
/// caller authenticated, usage counted.
pub(super) fn verify(world: &World, into: &mut Record) -> Result<()> {
    let tokens = world.options.tokens;
    let store = world.store(tokens)?;
    let pair = Pair::start(world, &store, roomy(tokens))?;
    let requests = verify_requests(&pair.verifier, &store)?;
    let empty = Memory::of(pair.server.id())?;
    warm(&pair.server, &requests, tokens.min(1_000_000))?;
    let full = Memory::of(pair.server.id())?;
    let figures = pair.alternate(world, &requests)?;
    record(into, "warm verify", &figures, 0.70, Some(1.5));
    // When few tokens are asked about, few rows of usage are written: the
    // difference is what counting and cold memory cost.
    let few = verify_requests(&pair.verifier, &some_lines(&store)?)?;
    let figures = pair.alternate(world, &few)?;
    into.compare(&format!("warm verify of {FEW} of the tokens"), &figures, "", true);

    // Counts far below 2^52 are exact in a float.
    #[expect(clippy::cast_precision_loss, reason = "a count of tokens")]
    let cached = tokens.min(1_000_000) as f64;
    let bar = Some(Bar::AtMost(250.0));
    let per_token = (full.resident - empty.resident) / cached;
    into.figure("memory per cached token", per_token, "bytes of RSS", bar);
    let own = (full.own - empty.own) / cached;
    into.figure("the same without mapped pages of the database", own, "bytes", None);
    let highest = (full.highest - empty.resident) / cached;
    let what = "the same at its highest, while days and notes of all the first uses wait";
    into.figure(what, highest, "bytes of RSS", None);
    let after = Memory::of(pair.server.id())?;
    into.note(&format!("server with {tokens} cached tokens after the load: {after}"));
    Ok(())
}

/// The same with room for a tenth of the tokens: nine of ten are read from SQLite.
pub(super) fn cache(world: &World, into: &mut Record) -> Result<()> {
    let tokens = world.options.tokens;
    let store = world.store(tokens)?;
    let budget = (tokens / 10 * RECKONED_BYTES_PER_TOKEN).max(1 << 20);
    let pair = Pair::start(world, &store, budget)?;
    let requests = verify_requests(&pair.verifier, &store)?;
    // Fills the tenth, so that what is measured is the steady state.
    warm(&pair.server, &requests, tokens.min(1_000_000) / 5)?;
    let figures = pair.alternate(world, &requests)?;
    record(into, "verify, cache for 10 % of the tokens", &figures, 0.50, None);
    drop(pair);
    // What an operator may choose who would rather lose the process than the time.
    let mapped = [("COUNTERFOIL_DATA__MMAP_BYTES", "4294967296")];
    let pair = Pair::start_with(world, &store, budget, &mapped)?;
    let requests = verify_requests(&pair.verifier, &store)?;
    warm(&pair.server, &requests, tokens.min(1_000_000) / 5)?;
    let figures = pair.alternate(world, &requests)?;
    into.compare("the same, data.mmap_bytes of 4 GiB", &figures, "", true);
    Ok(())
}

/// Forward-auth as a proxy asks it: Basic `user:token`, warm.
pub(super) fn forward_auth(world: &World, into: &mut Record) -> Result<()> {
    let tokens = world.options.tokens;
    let store = world.store(tokens)?;
    let pair = Pair::start(world, &store, roomy(tokens))?;
    let head = format!(
        "GET /authz/{SERVICE}/project.git/info/refs HTTP/1.1\r\nAuthorization: Basic @LINE@"
    );
    let path = world.scratch("requests")?.join("authz.http");
    let template = load::template(&path, &head, "", 0)?;
    let requests = Requests { template, lines: store.basic.clone() };
    let one = std::fs::read_to_string(&store.basic)?;
    let one = one.lines().next().unwrap_or_default();
    let path = format!("/authz/{SERVICE}/project.git/info/refs");
    let answer = crate::http::request(pair.api.address, "GET", &path, &format!("Basic {one}"), "")?;
    ensure!(answer.status == 200, "forward-auth refuses: {answer:?}");
    warm(&pair.server, &requests, tokens.min(1_000_000))?;
    let figures = pair.alternate(world, &requests)?;
    record(into, "forward-auth (Basic)", &figures, 0.65, None);
    Ok(())
}

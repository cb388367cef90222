//! A repository of somebody else that hangs: how many of our own tokens are verified beside those
//! who wait for it, and how many without them, on one server in alternation.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::json;

use super::{Pair, pressure, some_lines, verify_requests, warm};
use crate::bench::load::{self, medians, offset_of};
use crate::bench::record::{Bar, Record};
use crate::bench::world::{REALM, World};
use crate::http::Api;
use crate::server::pause;

const CACHE_BYTES: u64 = 64 << 20;
/// Tokens that are verified, all of them in memory.
const TOKENS: u64 = 10_000;
/// Callers who present tokens of the repository one after the other.
const CALLERS: usize = 32;
/// What each does between an answer and the next question.
const PAUSE: Duration = Duration::from_millis(250);
/// What is left of the rate, at least.
const LEFT: f64 = 0.9;

/// Rates of our own tokens without and with callers of a repository that hangs.
pub(crate) fn elsewhere(world: &World, into: &mut Record) -> Result<()> {
    let hung = hung()?;
    let config = world.scratch("elsewhere")?.join("counterfoil.toml");
    let text = format!(
        "[repository.hung]\nkind = \"custom\"\ndriver = \"http\"\nurl = \"http://{hung}\"\n\
         prefix = \"hung_\"\nselector = \"prefix\"\nselector_length = 13\n"
    );
    std::fs::write(&config, text)?;
    let config = config.display().to_string();
    let store = some_lines(&world.store(TOKENS)?)?;
    let pair = Pair::start_with(world, &store, CACHE_BYTES, &[("COUNTERFOIL_CONFIG", &config)])?;
    let requests = verify_requests(&pair.verifier, &store)?;
    warm(&pair.server, &requests, TOKENS)?;
    let caller = Api { key: pair.verifier.clone(), ..pair.api.clone() };
    let unavailable = presented(&caller)?;
    ensure!(unavailable == 503, "a token of the hung repository is answered with {unavailable}");

    let (mut alone, mut beside) = (Vec::new(), Vec::new());
    for round in 0..world.options.rounds {
        let pressure = load::Pressure { offset: offset_of(round), ..pressure(world) };
        let run = || load::load(pair.server.address, pair.server.id(), &requests, pressure);
        let without = run()?;
        let waiting = Waiting::start(&caller);
        let with = run()?;
        let asked = waiting.end()?;
        for measured in [&without, &with] {
            ensure!(measured.refused == 0.0, "{} requests were refused", measured.refused);
        }
        println!(
            "  round {round}: alone {:.0}/s, beside {asked} answers of 503 {:.0}/s",
            without.rate, with.rate
        );
        alone.push(without);
        beside.push(with);
    }
    let (alone, beside) = (medians(&alone), medians(&beside));
    into.figure("own tokens, nobody waits for a repository", alone.rate, "/s", None);
    into.figure("own tokens while a repository hangs", beside.rate, "/s", None);
    let what = "rate of own tokens while a repository hangs, of that without";
    into.figure(what, beside.rate / alone.rate, "times", Some(Bar::AtLeast(LEFT)));
    into.figure("99th percentile, likewise", beside.p99_us / alone.p99_us, "times", None);
    Ok(())
}

/// Something that takes connections and never says anything, until this process ends.
fn hung() -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    thread::spawn(move || {
        // Kept, because a connection that is closed is an answer.
        let _kept: Vec<_> = listener.incoming().collect();
    });
    Ok(address)
}

/// The status of the answer to a token of the repository.
fn presented(caller: &Api) -> Result<u16> {
    let body = json!({ "token": "hung_ab12cd34_0123456789abcdefghijklmnopqrstuv" });
    Ok(caller.send("POST", &format!("{REALM}/verify"), &body.to_string())?.status)
}

/// Callers who ask for tokens of the repository until they are told to stop.
struct Waiting {
    over: Arc<AtomicBool>,
    answered: Arc<AtomicU64>,
    callers: Vec<thread::JoinHandle<Result<()>>>,
}

impl Waiting {
    fn start(caller: &Api) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let answered = Arc::new(AtomicU64::new(0));
        let callers = (0..CALLERS)
            .map(|_| {
                let (caller, over, answered) =
                    (caller.clone(), Arc::clone(&over), Arc::clone(&answered));
                thread::spawn(move || {
                    while !over.load(Ordering::Acquire) {
                        let status = presented(&caller)?;
                        ensure!(status == 503, "answered with {status}");
                        answered.fetch_add(1, Ordering::AcqRel);
                        pause(PAUSE);
                    }
                    Ok(())
                })
            })
            .collect();
        Self { over, answered, callers }
    }

    /// How many were answered, each with 503.
    fn end(self) -> Result<u64> {
        self.over.store(true, Ordering::Release);
        for caller in self.callers {
            caller.join().ok().context("a caller panicked")??;
        }
        Ok(self.answered.load(Ordering::Acquire))
    }
}

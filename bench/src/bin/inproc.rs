//! One verify after the other, without HTTP: what the rules and the cache cost.
//!
//! `inproc --data DIR --lines FILE --distinct D --verifies N`: asks about the
//! first D tokens of the file once, so that they are cached, and then N times
//! in their order. Under callgrind the difference between two values of N is
//! what a verify costs.

use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use anyhow::{Context, Result, bail, ensure};
use counterfoil_authority::authority::{Authority, Binding, Settings, Verdict, VerifyRequest};
use counterfoil_authority::clock::{Clock, Timestamp};
use counterfoil_authority::event::Origin;
use counterfoil_authority::keys::KeyRing;
use counterfoil_authority::names::{RealmName, ServiceLabel};
use counterfoil_authority::testing::SeededEntropy;
use counterfoil_authority::verdict::Door;
use counterfoil_bench::{Options, keys, now};
use counterfoil_store::{DatabaseUrl, OpenOptions};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Room for every token of the case.
const CACHE_BYTES: u64 = 64 << 20;

/// The service that the tokens are for.
const SERVICE: &str = "bench";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let options = Options::from_arguments();
    let data = options.path("data")?;
    let distinct: usize = options.required("distinct")?;
    let verifies: usize = options.required("verifies")?;
    let lines = std::fs::read_to_string(options.path("lines")?)?;
    let tokens: Vec<&str> = lines.lines().take(distinct).collect();
    ensure!(!tokens.is_empty(), "no tokens");

    let authority = open(&data).await?;
    let realm = RealmName::parse("main").context("the realm's name")?;
    let service = ServiceLabel::parse(SERVICE).context("the service's label")?;
    let binding = Binding::Service(&service);
    let origin = Origin::system(Door::Api);
    let question = |presented| VerifyRequest {
        realm: &realm,
        presented,
        username: None,
        binding,
        scopes: &[],
        resource: None,
        action: None,
        client_ip: None,
        consume: true,
        throttled: false,
        origin: &origin,
    };
    for token in &tokens {
        accepted(&authority, question(token)).await?;
    }
    let start = now();
    for token in tokens.iter().cycle().take(verifies) {
        accepted(&authority, question(token)).await?;
    }
    let nanoseconds = start.elapsed().as_nanos() / u128::try_from(verifies.max(1))?;
    let each = u64::try_from(nanoseconds)?;
    println!("{}", serde_json::json!({ "verifies": verifies, "ns_per_verify": each }));
    Ok(())
}

async fn accepted(authority: &Authority, question: VerifyRequest<'_>) -> Result<()> {
    match authority.verify(question).await? {
        Verdict::Active(_) => Ok(()),
        Verdict::Inactive { reason, .. } => bail!("a token of the store is refused: {reason:?}"),
    }
}

/// An authority over the data directory of a stopped server.
async fn open(data: &Path) -> Result<Authority> {
    let url = DatabaseUrl::sqlite(&data.join("counterfoil.db"));
    let options = OpenOptions { create: false, ..OpenOptions::default() };
    let store = counterfoil_store::open(&url, options).await?;
    let ring = KeyRing::new(vec![keys::pepper(data)?], vec![keys::seal(data)?])?;
    let settings = Settings { cache_budget_bytes: CACHE_BYTES, ..Settings::default() };
    let entropy = Arc::new(SeededEntropy::new(1));
    Ok(Authority::new(store, Arc::new(WallClock), entropy, ring, settings)?)
}

/// The machine's clock, as the server reads it: its cost belongs to a verify.
struct WallClock;

impl Clock for WallClock {
    #[expect(clippy::disallowed_methods, reason = "the benchmark's own edge to the machine")]
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
    }
}

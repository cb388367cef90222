//! One verify without HTTP: how long, and how many instructions.

use anyhow::{Context, Result, ensure};

use crate::bench::record::Record;
use crate::bench::world::{Store, World, result_of};
use crate::host::VALGRIND;
use crate::workspace::stdout_of;

/// Tokens in the store of this case.
const TOKENS: u64 = 50_000;

/// Tokens that are asked about: enough that their records do not all sit in the
/// processor's cache.
const DISTINCT: u64 = 50_000;

/// The same under callgrind, which is fifty times slower and knows no cache.
const DISTINCT_COUNTED: u64 = 1_000;

/// Verifies under callgrind in two runs; their difference is what a verify
/// costs, whatever starting up costs.
const FEW: u64 = 2_000;
const MANY: u64 = 12_000;

/// Time per verify in one thread, and instructions per verify.
pub(crate) fn inproc(world: &World, into: &mut Record) -> Result<()> {
    let store = world.store(TOKENS.min(world.options.tokens))?;
    let verifies = world.options.seconds * 500_000;
    let result = result_of(&mut call(world, &store, DISTINCT, verifies))?;
    let nanoseconds = result.pointer("/ns_per_verify").and_then(serde_json::Value::as_f64);
    let nanoseconds = nanoseconds.context("inproc printed no time")?;
    into.figure("one warm verify in process", nanoseconds, "ns in one thread", None);
    if !VALGRIND.present() {
        into.note("valgrind is not installed: no instruction count");
        return Ok(());
    }
    let (few, many) = (instructions(world, &store, FEW)?, instructions(world, &store, MANY)?);
    // Both counts are far below 2^52.
    #[expect(clippy::cast_precision_loss, reason = "a count of instructions")]
    let each = (many - few) as f64 / (MANY - FEW) as f64;
    into.figure(
        "one warm verify in process",
        each,
        "instructions (callgrind, which knows no SHA-NI: SHA-256 in its portable form)",
        None,
    );
    Ok(())
}

fn call(world: &World, store: &Store, distinct: u64, verifies: u64) -> std::process::Command {
    let mut inproc = world.tool("inproc");
    inproc
        .arg("--data")
        .arg(store.directory.data())
        .arg("--lines")
        .arg(&store.lines)
        .args(["--distinct", &distinct.to_string()])
        .args(["--verifies", &verifies.to_string()]);
    inproc
}

/// Instructions of a whole run, from callgrind's own summary.
fn instructions(world: &World, store: &Store, verifies: u64) -> Result<u64> {
    let call = call(world, store, DISTINCT_COUNTED, verifies);
    let out = world.scratch("callgrind")?.join(format!("{verifies}.out"));
    let mut valgrind = std::process::Command::new("valgrind");
    valgrind
        .args(["--tool=callgrind", "--quiet"])
        .arg(format!("--callgrind-out-file={}", out.display()))
        .arg(call.get_program())
        .args(call.get_args());
    stdout_of(&mut valgrind)?;
    let text = std::fs::read_to_string(&out)?;
    let total = text
        .lines()
        .find_map(|line| line.strip_prefix("summary:").or_else(|| line.strip_prefix("totals:")))
        .and_then(|count| count.trim().parse().ok());
    let total = total.context("callgrind wrote no total")?;
    ensure!(total > 0, "callgrind counted nothing");
    Ok(total)
}

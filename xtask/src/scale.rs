//! The long proof that nothing grows with the number of tokens in the store.
//!
//! Ten million tokens take minutes and gigabytes to make, and a debug build
//! would say nothing about start-up, so the benchmark's case `scale` does it and
//! what it printed is judged here. Costs per request are for bench/RESULTS.md:
//! a test must not fail because the machine was busy.

use anyhow::{Context, Result};

use crate::clock::Deadline;
use crate::command::{self, Show};
use crate::report::{Outcome, Tally};
use crate::workspace::root;

/// What the proof is called where it was left out.
pub(crate) const NAME: &str = "start-up and memory with 10,000,000 tokens in the store";

/// The smallest store of the case, with which the largest is compared.
const FEW: u64 = 10_000;
/// The largest.
const MANY: u64 = 10_000_000;
/// Start-up, seconds.
const READY_SECONDS_MAX: f64 = 1.0;
/// How much more memory a server may have because of tokens that nobody asked
/// about: none, but the system's accounting is in pages and the allocator's in
/// larger pieces still.
const NOISE_MIB: f64 = 16.0;
/// Beside a full cache: connections, usage that waits to be stored, statistics,
/// and the pages that the readers keep.
const BESIDE_CACHE_MIB: f64 = 128.0;

/// Runs the case with the shortest loads and judges what does not depend on them.
///
/// # Errors
///
/// Fails when the benchmark cannot be started or prints something else.
pub(crate) fn proof(deadline: Deadline) -> Result<Outcome> {
    let mut bench = std::process::Command::new(std::env::current_exe()?);
    bench.current_dir(root());
    bench.args(["bench", "scale", "--no-record", "--rounds", "1", "--seconds", "1"]);
    let ran = command::run(&mut bench, deadline, Show::Live)?;
    if !ran.ok() {
        return Ok(Outcome::Failed(Tally::FAILED, ran.fault()));
    }
    let faults = Printed::read(&ran.output)?.faults();
    Ok(Outcome::of(faults.is_empty(), faults.join("; ")))
}

/// The figures that count.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Printed {
    ready_seconds: f64,
    /// A server's own memory over few and over many tokens, before any was asked about, MiB.
    idle_mib: (f64, f64),
    /// With many, after so many were asked about that the cache is full.
    full_mib: f64,
    cache_mib: f64,
}

impl Printed {
    fn read(output: &str) -> Result<Self> {
        let own = |what: &str| number_before(output, what, " MiB of it not mapped");
        let full = format!("{MANY} tokens, up to a million of them asked about");
        Ok(Self {
            ready_seconds: number_before(
                output,
                &format!("ready with {MANY} tokens in the store: "),
                "** s after its start",
            )?,
            idle_mib: (
                own(&format!("- {FEW} tokens, none asked about yet"))?,
                own(&format!("- {MANY} tokens, none asked about yet"))?,
            ),
            full_mib: own(&full)?,
            cache_mib: after_last(output, &full, "with a cache of ")?,
        })
    }

    fn faults(self) -> Vec<String> {
        let Self { ready_seconds, idle_mib: (few, many), full_mib, cache_mib } = self;
        let mut faults = Vec::new();
        if ready_seconds >= READY_SECONDS_MAX {
            faults.push(format!("ready after {ready_seconds} s"));
        }
        if many > few + NOISE_MIB {
            faults.push(format!("{many} MiB before any token was asked about, {few} with few"));
        }
        if full_mib > many + cache_mib + BESIDE_CACHE_MIB {
            faults.push(format!("{full_mib} MiB with a cache of {cache_mib}, {many} without"));
        }
        faults
    }
}

/// The line that says `what`.
fn line_of<'a>(output: &'a str, what: &str) -> Result<&'a str> {
    let line = output.lines().find(|line| line.contains(what));
    line.with_context(|| format!("the benchmark did not print `{what}`"))
}

/// The number that stands before `unit` in the line that says `what`.
fn number_before(output: &str, what: &str, unit: &str) -> Result<f64> {
    let line = line_of(output, what)?;
    let before = line.split_once(unit).map(|(before, _)| before);
    let number = before.and_then(|text| text.rsplit([' ', '*']).next());
    number.and_then(|text| text.parse().ok()).with_context(|| format!("no number: {line}"))
}

/// The number that stands after `words` in the line that says `what`.
fn after_last(output: &str, what: &str, words: &str) -> Result<f64> {
    let line = line_of(output, what)?;
    let number = line.split_once(words).and_then(|(_, text)| text.split(' ').next());
    number.and_then(|text| text.parse().ok()).with_context(|| format!("no number: {line}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: &str = "\
  - ready with 10000 tokens in the store: **0.04** s after its start (bar <= 1: met)
  - 10000 tokens, none asked about yet: 20 MiB of RSS, 9 MiB of it not mapped from a file
  - ready with 10000000 tokens in the store: **0.05** s after its start (bar <= 1: met)
  - 10000000 tokens, none asked about yet: 22 MiB of RSS, 10 MiB of it not mapped from a file
  - 10000000 tokens, up to a million of them asked about: 320 MiB of RSS, \
    290 MiB of it not mapped from a file with a cache of 256 MiB
";

    #[test]
    fn the_figures_of_the_benchmark_are_read() {
        let printed = Printed::read(OUTPUT).unwrap();
        let wanted = Printed {
            ready_seconds: 0.05,
            idle_mib: (9.0, 10.0),
            full_mib: 290.0,
            cache_mib: 256.0,
        };
        assert_eq!(printed, wanted);
        assert_eq!(printed.faults(), Vec::<String>::new());
        assert!(Printed::read("nothing of the kind").is_err());
    }

    #[test]
    fn a_slow_start_and_memory_that_grows_are_faults() {
        let good = Printed::read(OUTPUT).unwrap();
        let bad = [
            Printed { ready_seconds: 1.0, ..good },
            Printed { idle_mib: (9.0, 300.0), ..good },
            Printed { full_mib: 700.0, ..good },
        ];
        assert_eq!(bad.map(|printed| printed.faults().len()), [1, 1, 1]);
    }
}

//! `cargo xtask bench`: our release server against a bare one, in alternation.
//!
//! Absolute rates mean nothing from one machine to the next, nor from one hour
//! to the next; every bar is therefore a ratio taken within one run.

mod cases;
mod load;
mod record;
mod world;

use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};

use crate::host::{self, LDAP_UTILS, NPM, POSTGRESQL, SLAPD, VALGRIND, WRK};
use record::Record;
use world::World;

const HELP: &str = "\
cargo xtask bench [--long] [options] [CASE...]

cases (all but scale when none is named):
  verify         warm verify of distinct tokens in random order, against hello
  cache          the same with a cache for a tenth of the tokens
  forward-auth   GET /authz/{service} with Basic user:token, against hello
  issue          durable issue at 1, 8 and 64 clients, beside a raw group commit
  audit          durable issue with sealing of the audit log beside without, and
                 verifying an export of a million entries
  argon2         fast verifies while the queue for slow hashes is full
  postgres       verify and durable issue on PostgreSQL, beside SQLite and pgbench
  ldap           simple binds beside slapd with {SSHA} and 10,000 entries
  provision      10,000 tokens into slapd, beside ldapmodify doing the same
  oauth          introspection beside hello and oidc-provider; refresh and
                 enrolment beside durable issue
  am             evaluate of one pat:// resource at the AM door, with few policies
                 and with 1,000, against hello
  privacyidea    application passwords at /validate/check beside privacyIDEA under
                 gunicorn, both on PostgreSQL
  elsewhere      verify of own tokens while a custom repository hangs, beside
                 the same without
  console        pages of the console and lists of the API with --tokens tokens and
                 100,000 people: median and 99th percentile, beside hello
  inproc         one verify without HTTP: time, and instructions (callgrind)
  scale          10 k to 10 M tokens: cost of a verify, start-up, memory (only
                 when named, or with --long)

options:
  --seconds N    length of one run (3)
  --rounds N     alternations, of which the median counts (5)
  --tokens N     tokens in the store (1000000)
  --tokens-max N the largest store of `scale` (10000000)
  --no-record    print, but do not write bench/RESULTS.md
  --dev          build without optimisation: to try a case; never recorded
  --no-build     take the binaries of the last build; never recorded
  --fresh        make the stores again instead of using those of the last run";

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Options {
    cases: Vec<String>,
    seconds: u64,
    rounds: u32,
    tokens: u64,
    tokens_max: u64,
    record: bool,
    fresh: bool,
    dev: bool,
    no_build: bool,
}

/// Measures something and records it.
type Case = fn(&World, &mut Record) -> Result<()>;

/// Every case in the order it runs.
const CASES: [(&str, Case); 16] = [
    ("inproc", cases::inproc),
    ("verify", cases::verify),
    ("cache", cases::cache),
    ("forward-auth", cases::forward_auth),
    ("issue", cases::issue),
    ("audit", cases::audit),
    ("argon2", cases::argon2),
    ("postgres", cases::postgres),
    ("oauth", cases::oauth),
    ("ldap", cases::ldap),
    ("provision", cases::provision),
    ("am", cases::am),
    ("privacyidea", cases::privacyidea),
    ("elsewhere", cases::elsewhere),
    ("console", cases::console),
    ("scale", cases::scale),
];

impl Options {
    /// `None` when only help was asked for.
    fn parse(arguments: &[String]) -> Result<Option<Self>> {
        let mut options = Self {
            cases: Vec::new(),
            seconds: 3,
            rounds: 5,
            tokens: 1_000_000,
            tokens_max: 10_000_000,
            record: true,
            fresh: false,
            dev: false,
            no_build: false,
        };
        let mut long = false;
        let mut words = arguments.iter();
        while let Some(word) = words.next() {
            let mut number = || -> Result<u64> {
                let value = words.next().with_context(|| format!("{word} needs a number"))?;
                value.parse().with_context(|| format!("{word} {value}: not a number"))
            };
            match word.as_str() {
                "--help" | "-h" => return Ok(None),
                "--long" => long = true,
                "--no-record" => options.record = false,
                "--fresh" => options.fresh = true,
                "--dev" => (options.dev, options.record) = (true, false),
                "--no-build" => (options.no_build, options.record) = (true, false),
                "--seconds" => options.seconds = number()?.max(1),
                "--rounds" => options.rounds = u32::try_from(number()?.max(1))?,
                "--tokens" => options.tokens = number()?.max(1_000),
                "--tokens-max" => options.tokens_max = number()?.max(10_000),
                name if CASES.iter().any(|(case, _)| *case == name) => {
                    options.cases.push(name.to_owned());
                }
                unknown => bail!("unknown option or case `{unknown}`\n\n{HELP}"),
            }
        }
        if options.cases.is_empty() {
            let all = CASES.iter().map(|(case, _)| (*case).to_owned());
            options.cases = all.filter(|case| long || case != "scale").collect();
        } else if long {
            options.cases.push("scale".to_owned());
        }
        Ok(Some(options))
    }
}

/// `cargo xtask bench [--long] [options] [CASE...]`.
pub(crate) fn bench(arguments: &[String]) -> Result<ExitCode> {
    let Some(options) = Options::parse(arguments)? else {
        println!("{HELP}");
        return Ok(ExitCode::SUCCESS);
    };
    let missing = host::provide(&[&WRK, &VALGRIND, &POSTGRESQL, &NPM, &SLAPD, &LDAP_UTILS]);
    ensure!(!missing.contains(&&WRK), "nothing can be measured without wrk");

    let mut record = Record::new(&options);
    let world = World::build(options)?;
    for (name, case) in CASES {
        if !world.options.cases.iter().any(|wished| wished == name) {
            continue;
        }
        println!("\n== {name}");
        // One case that cannot run must not lose the figures of the others.
        if let Err(error) = case(&world, &mut record) {
            println!("{name}: FAILED: {error:#}");
            record.failed(name, &error);
        }
    }
    println!("\n{}", record.section());
    if world.options.record {
        record.write()?;
    }
    Ok(if record.complete() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Option<Options>> {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        Options::parse(&words)
    }

    #[test]
    fn all_cases_but_the_long_one_run_by_default() {
        let options = parse("").unwrap().unwrap();
        assert_eq!(options.cases.len(), CASES.len() - 1);
        assert_eq!((options.seconds, options.rounds, options.tokens), (3, 5, 1_000_000));
        assert_eq!(parse("--long").unwrap().unwrap().cases.len(), CASES.len());
    }

    #[test]
    fn options_are_read_and_unknown_ones_refused() {
        let options = parse("verify --seconds 1 --rounds 1 --no-record").unwrap().unwrap();
        assert_eq!(options.cases, ["verify"]);
        assert!(!options.record);
        assert!(parse("--seconds").is_err());
        assert!(parse("--seconds x").is_err());
        assert!(parse("nonsense").is_err());
        assert!(parse("--help").unwrap().is_none());
    }
}

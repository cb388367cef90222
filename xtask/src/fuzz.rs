//! `cargo xtask fuzz`: what comes from the network or in a file, mutated for as long as it is asked.
//!
//! Inputs are mutations of the files in `fuzz/corpus`, without coverage guidance; ordinary tests
//! replay the files themselves. Beside this, property tests run with every test, and the API fuzz
//! run sends generated requests to every route.

use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use crate::clock::Deadline;
use crate::command::{self, Show};
use crate::workspace::cargo;

/// How long, unless asked otherwise.
const SECONDS: u64 = 600;

/// The tests that mutate.
const TARGETS: [&str; 6] = [
    "mutations_of_messages_are_decided_about_for_a_long_time",
    "mutations_of_streams_and_reports_are_looked_through_for_a_long_time",
    "mutations_of_requests_are_decided_about_for_a_long_time",
    "mutations_of_exports_are_decided_about_for_a_long_time",
    "mutations_of_files_are_read_or_refused_for_a_long_time",
    "mutations_of_requests_at_every_door_are_answered_for_a_long_time",
];

/// `cargo xtask fuzz [--seconds N]`.
pub(crate) fn fuzz(arguments: &[String]) -> Result<ExitCode> {
    let seconds = match arguments {
        [] => SECONDS,
        [option, number] if option == "--seconds" => {
            number.parse().with_context(|| format!("--seconds {number}: not a number"))?
        }
        _ => bail!("cargo xtask fuzz [--seconds N]"),
    };
    for target in TARGETS {
        let mut run = cargo();
        run.args(["test", "--package", "counterfoil-server", "--lib", "--locked", "--"]);
        run.args(["--ignored", "--nocapture", target]);
        run.env("COUNTERFOIL_FUZZ_SECONDS", seconds.to_string());
        let ran = command::run(&mut run, Deadline::NEVER, Show::Live)?;
        if !ran.ok() {
            println!("{target}: {}", ran.fault());
            return Ok(ExitCode::FAILURE);
        }
    }
    Ok(ExitCode::SUCCESS)
}

//! Automation of the workspace: one entry, `cargo xtask <command>`.
//!
//! Continuous integration calls nothing else, so what it does can be done on
//! any machine. The crate is built before the first test can start: it depends
//! on almost nothing.

mod api_fuzz;
mod bench;
mod clock;
mod cluster;
mod command;
mod drill;
mod fuzz;
mod host;
mod http;
mod interrupt;
mod node;
mod openapi;
mod package;
mod python;
mod report;
mod scale;
mod screenshots;
mod server;
mod suite;
mod tidy;
mod workspace;

use std::process::ExitCode;

const USAGE: &str = "\
cargo xtask <command>

  test [--long] [--step NAME] [FILTER]
                           every test; with FILTER only the tests whose name contains it,
                           with --step only the steps whose name contains NAME,
                           with --long also the proofs that take many minutes
  bench [--long] [options] [CASE...]
                           the benchmark; `cargo xtask bench --help` lists cases and options
  tidy [--bless]           the rules of the house that no compiler checks;
                           --bless records the checksum of a new migration
  openapi [--check]        write docs/reference/openapi.json, or compare with it
  fuzz [--seconds N]       mutate messages of the parsers that see the network (600)
  screenshots              take the pictures of docs/images anew, from the demo in Chromium
  cluster                  three nodes over a Patroni cluster on this machine, until Ctrl-C
  drill [--record] [NAME]  break a cluster or a server under load and count what is lost;
                           `cargo xtask drill --help` lists the drills
  package [--debug]        the Debian package, tried in a clean system

exit: 0 done, 1 something failed, 2 wrong usage or not available";

/// Wrong usage, or a command that does not exist yet.
const EXIT_USAGE: u8 = 2;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some((name, rest)) = arguments.split_first() else {
        eprintln!("{USAGE}");
        return ExitCode::from(EXIT_USAGE);
    };
    let outcome = match name.as_str() {
        "test" => suite::test(rest),
        "bench" => bench::bench(rest),
        "tidy" => tidy::tidy(rest),
        "openapi" => openapi::openapi(rest),
        "fuzz" => fuzz::fuzz(rest),
        "screenshots" => screenshots::screenshots(rest),
        "cluster" => cluster::cluster(rest),
        "drill" => drill::drill(rest),
        "package" => package::package(rest),
        "help" | "--help" | "-h" => {
            println!("{USAGE}");
            Ok(ExitCode::SUCCESS)
        }
        unknown => {
            eprintln!("unknown command `{unknown}`\n\n{USAGE}");
            Ok(ExitCode::from(EXIT_USAGE))
        }
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

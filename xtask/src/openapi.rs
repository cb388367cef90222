//! Writes docs/reference/openapi.json from the handlers, or compares with it.

use std::process::{Command, ExitCode};

use anyhow::{Context, Result};

use crate::clock::Deadline;
use crate::report::Outcome;
use crate::suite;
use crate::workspace::{root, stdout_of};

const DOCUMENT: &str = "docs/reference/openapi.json";

/// `cargo xtask openapi [--check]`.
pub(crate) fn openapi(arguments: &[String]) -> Result<ExitCode> {
    if arguments.iter().any(|argument| argument == "--check") {
        return Ok(match check(Deadline::NEVER)? {
            Outcome::Passed(_) => ExitCode::SUCCESS,
            Outcome::Failed(_, why) | Outcome::LeftOut(why) | Outcome::NotAsked(why) => {
                eprintln!("{why}");
                ExitCode::FAILURE
            }
        });
    }
    let path = root().join(DOCUMENT);
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent)?;
    }
    std::fs::write(&path, generated(Deadline::NEVER)?)?;
    println!("wrote {DOCUMENT}");
    Ok(ExitCode::SUCCESS)
}

/// Compares the committed document with the generated one.
pub(crate) fn check(deadline: Deadline) -> Result<Outcome> {
    let generated = generated(deadline)?;
    let committed = std::fs::read_to_string(root().join(DOCUMENT))
        .with_context(|| format!("cannot read {DOCUMENT}; run `cargo xtask openapi`"))?;
    Ok(Outcome::of(
        generated == committed,
        format!(
            "{DOCUMENT} differs from the handlers; run `cargo xtask openapi` and look at the diff"
        ),
    ))
}

/// The document as the handlers describe it, pretty-printed so that a diff reads.
fn generated(deadline: Deadline) -> Result<String> {
    let printed = stdout_of(Command::new(suite::debug_binary(deadline)?).arg("openapi"))?;
    let document: serde_json::Value =
        serde_json::from_str(&printed).context("`counterfoil openapi` printed no JSON")?;
    Ok(format!("{document:#}\n"))
}

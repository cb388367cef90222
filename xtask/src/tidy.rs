//! The rules of the house that neither the compiler nor clippy checks.
//!
//! They also run as a test of this crate, so that `cargo test` alone finds a
//! breach.

mod documents;
mod graph;
mod migrations;
mod proofs;
mod source;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Result, bail};

use crate::report::Outcome;
use crate::workspace::{self, root};

/// One breach of a rule, at a place.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    path: PathBuf,
    /// 1-based; 0 where the whole file is meant.
    line: usize,
    message: String,
}

impl Finding {
    fn new(path: &Path, line: usize, message: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, message: message.into() }
    }
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}: {}", self.path.display(), self.line, self.message)
    }
}

/// `cargo xtask tidy [--bless]`.
pub(crate) fn tidy(arguments: &[String]) -> Result<ExitCode> {
    match arguments {
        [] => {}
        [bless] if bless == "--bless" => migrations::bless()?,
        other => bail!("unknown arguments {other:?}"),
    }
    Ok(match outcome() {
        Outcome::Passed(_) => ExitCode::SUCCESS,
        Outcome::Failed(_, why) | Outcome::LeftOut(why) | Outcome::NotAsked(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    })
}

/// All rules as one step of a run; the findings are printed.
pub(crate) fn outcome() -> Outcome {
    match findings() {
        Ok(findings) => {
            for finding in &findings {
                println!("{finding}");
            }
            Outcome::of(findings.is_empty(), format!("{} breaches of the house", findings.len()))
        }
        Err(error) => Outcome::of(false, format!("{error:#}")),
    }
}

/// Every breach in the tree as it lies on disk.
///
/// # Errors
///
/// Fails when a rule cannot be checked.
fn findings() -> Result<Vec<Finding>> {
    let files = workspace::files()?;
    let mut findings = Vec::new();
    for path in &files {
        // What is not text has no lines to judge.
        if let Ok(text) = std::fs::read_to_string(root().join(path)) {
            findings.extend(source::machine_paths(path, &text));
            findings.extend(source::open_ends(path, &text));
            if path.extension().is_some_and(|extension| extension == "rs") {
                findings.extend(source::rust(path, &text));
            }
        }
    }
    findings.extend(migrations::changed()?);
    findings.extend(documents::decisions(&files));
    findings.extend(documents::problems(&files)?);
    findings.extend(documents::indexes(&files)?);
    findings.extend(proofs::tests(&files)?);
    findings.extend(proofs::log_fields(&files)?);
    findings.extend(graph::forbidden()?);
    Ok(findings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_repository_keeps_the_rules_of_the_house() {
        let findings: Vec<String> = findings().unwrap().iter().map(ToString::to_string).collect();
        assert!(findings.is_empty(), "\n{}", findings.join("\n"));
    }
}

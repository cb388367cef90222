//! Where things are: the repository, its build directory, its programs.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// The repository's root directory.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_owned()
}

/// Where cargo builds.
///
/// `COUNTERFOIL_TARGET_DIR` or `CARGO_TARGET_DIR` may name a warm directory
/// outside the clone, so that a second clone does not build everything again.
pub(crate) fn target_dir() -> PathBuf {
    for name in ["COUNTERFOIL_TARGET_DIR", "CARGO_TARGET_DIR"] {
        if let Some(dir) = std::env::var_os(name).filter(|dir| !dir.is_empty()) {
            return root().join(dir);
        }
    }
    root().join("target")
}

/// Whether this run gates a change: then nothing may be left out.
pub(crate) fn in_ci() -> bool {
    std::env::var("CI").is_ok_and(|value| value == "true" || value == "1")
}

/// A cargo call with the same environment as every other one of this run.
///
/// One set of flags for all calls: a call with others would build the 300
/// dependencies a second time.
pub(crate) fn cargo() -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(root()).env("CARGO_TARGET_DIR", target_dir());
    if in_ci() {
        // A cold build gains nothing from incremental files and pays for writing them.
        cargo.env("CARGO_INCREMENTAL", "0");
    }
    cargo
}

/// What a command printed to stdout, without the last line break.
pub(crate) fn stdout_of(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("cannot run {command:?}"))?;
    ensure!(
        output.status.success(),
        "{command:?} failed: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(String::from_utf8(output.stdout)?.trim_end().to_owned())
}

/// Every file that is, or could be, committed, relative to the root.
///
/// # Errors
///
/// Fails where git does not know the directory.
pub(crate) fn files() -> Result<Vec<PathBuf>> {
    let listed = stdout_of(Command::new("git").current_dir(root()).args([
        "ls-files",
        "--cached",
        "--others",
        "--exclude-standard",
    ]))?;
    let mut files: Vec<PathBuf> =
        listed.lines().map(PathBuf::from).filter(|file| root().join(file).is_file()).collect();
    files.sort();
    files.dedup();
    Ok(files)
}

/// The commit the tree stands on, with `+` when it was changed since.
pub(crate) fn commit() -> String {
    let git =
        |arguments: &[&str]| stdout_of(Command::new("git").current_dir(root()).args(arguments));
    let Ok(hash) = git(&["rev-parse", "--short=10", "HEAD"]) else {
        return "no commit yet".to_owned();
    };
    let changed = git(&["status", "--porcelain"]).is_ok_and(|status| !status.is_empty());
    if changed { format!("{hash}+") } else { hash }
}

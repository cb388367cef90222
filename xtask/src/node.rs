//! Pinned npm packages under the build directory.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::clock::Deadline;
use crate::command::{self, Show};
use crate::workspace::{root, target_dir};

/// The `node_modules` directory with what the lock file of `xtask/node/<name>` pins.
///
/// Made once; made again only when the pins change. Nothing that a package brings along is run.
///
/// # Errors
///
/// Fails when npm or its registry cannot be used.
pub(crate) fn modules(name: &str, deadline: Deadline) -> Result<PathBuf> {
    let pins = root().join("xtask/node").join(name);
    let lock = pins.join("package-lock.json");
    let wanted = std::fs::read_to_string(&lock)
        .with_context(|| format!("cannot read {}", lock.display()))?;
    let home = target_dir().join("xtask-node").join(name);
    let modules = home.join("node_modules");
    let marker = home.join("installed.txt");
    if std::fs::read_to_string(&marker).is_ok_and(|installed| installed == wanted) {
        return Ok(modules);
    }
    std::fs::create_dir_all(&home)?;
    for file in ["package.json", "package-lock.json"] {
        std::fs::copy(pins.join(file), home.join(file))?;
    }
    let mut install = Command::new("npm");
    install.args(["ci", "--no-audit", "--no-fund", "--ignore-scripts"]).current_dir(&home);
    let ran = command::run(&mut install, deadline, Show::OnFailure)?;
    ensure!(ran.ok(), "cannot install {}: {}", lock.display(), ran.fault());
    std::fs::write(&marker, wanted)?;
    Ok(modules)
}

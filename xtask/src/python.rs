//! Pinned Python packages in an environment under the build directory.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::clock::Deadline;
use crate::command::{self, Show};
use crate::workspace::{root, target_dir};

/// The `bin` directory of an environment that holds what
/// `xtask/python/<name>.txt` pins.
///
/// Made once; made again only when the pins change.
///
/// # Errors
///
/// Fails when Python or the package index cannot be used.
pub(crate) fn environment(name: &str, deadline: Deadline) -> Result<PathBuf> {
    let pins = root().join("xtask/python").join(name).with_extension("txt");
    let wanted = std::fs::read_to_string(&pins)
        .with_context(|| format!("cannot read {}", pins.display()))?;
    let home = target_dir().join("xtask-python").join(name);
    let bin = home.join("bin");
    let marker = home.join("installed.txt");
    if std::fs::read_to_string(&marker).is_ok_and(|installed| installed == wanted) {
        return Ok(bin);
    }
    let mut create = Command::new("python3");
    create.args(["-m", "venv", "--clear"]).arg(&home);
    let mut install = Command::new(bin.join("python"));
    install
        .args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--no-input",
            "-r",
        ])
        .arg(&pins);
    for step in [&mut create, &mut install] {
        let ran = command::run(step, deadline, Show::OnFailure)?;
        ensure!(ran.ok(), "cannot install {}: {}", pins.display(), ran.fault());
    }
    std::fs::write(&marker, wanted)?;
    Ok(bin)
}

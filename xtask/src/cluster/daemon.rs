//! A program of the cluster that runs until it is stopped, or killed with all that it started.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::clock::Deadline;
use crate::server::pause;

/// How long a program may take to end when it is asked to.
const END_WITHIN: Duration = Duration::from_secs(20);
/// How often it is looked whether it has.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Passes over the processes of a directory; one that was being forked is found by the second.
const PASSES: usize = 20;

/// A running program. Killed when this value goes.
#[derive(Debug)]
pub(crate) struct Daemon {
    child: Child,
    name: String,
    log: PathBuf,
}

impl Daemon {
    /// Starts `command`; what it prints is added to `log`.
    ///
    /// # Errors
    ///
    /// Fails when it cannot be started.
    pub(crate) fn start(name: &str, mut command: Command, log: PathBuf) -> Result<Self> {
        let output = File::options().create(true).append(true).open(&log)?;
        let child = command
            // Ctrl-C reaches whoever started it, and that one decides on the order.
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()
            .with_context(|| format!("cannot start {name}"))?;
        Ok(Self { child, name: name.to_owned(), log })
    }

    /// Fails with the end of its log if it runs no more.
    ///
    /// # Errors
    ///
    /// See above.
    pub(crate) fn check(&mut self) -> Result<()> {
        let Some(status) = self.child.try_wait()? else { return Ok(()) };
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let last: Vec<&str> = log.lines().rev().take(5).collect();
        let last: Vec<&str> = last.into_iter().rev().collect();
        bail!("{} ended ({status}):\n{}", self.name, last.join("\n"))
    }

    /// Asks it to end and waits until it has; kills it when it takes too long.
    pub(crate) fn stop(&mut self) {
        let id = self.child.id().to_string();
        if self.running() {
            Command::new("kill").arg(id).status().ok();
        }
        let deadline = Deadline::after(END_WITHIN);
        while self.running() && !deadline.passed() {
            pause(LOOK_EVERY);
        }
    }

    /// Kills it at once.
    pub(crate) fn kill(&mut self) {
        // Both fail only when it has ended already.
        self.child.kill().ok();
        self.child.wait().ok();
    }

    fn running(&mut self) -> bool {
        self.child.try_wait().is_ok_and(|status| status.is_none())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Kills every process that works in `directory` or below it, as a power cut would.
///
/// PostgreSQL's processes leave the group and the session of whoever started them, but they stay
/// in the data directory.
pub(crate) fn kill_all_in(directory: &Path) {
    for _ in 0..PASSES {
        let found = processes_in(directory);
        if found.is_empty() {
            return;
        }
        // All of them by one command: a server must not see its processes die one by one.
        Command::new("kill").arg("-9").args(&found).stderr(Stdio::null()).status().ok();
        pause(LOOK_EVERY);
    }
}

/// The processes whose working directory is `directory` or below it.
fn processes_in(directory: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let works_here = |id: &String| {
        id.bytes().all(|byte| byte.is_ascii_digit())
            && fs::read_link(format!("/proc/{id}/cwd")).is_ok_and(|at| at.starts_with(directory))
    };
    let own = std::process::id().to_string();
    names.filter(works_here).filter(|id| *id != own).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_in_a_directory_is_killed_and_nothing_else() {
        let here = std::env::temp_dir().join(format!("cf-daemon-{}", std::process::id()));
        let (inside, outside) = (here.join("a/b"), here.join("other"));
        fs::create_dir_all(&inside).unwrap();
        fs::create_dir_all(&outside).unwrap();
        let start = |dir: &Path| {
            let mut command = Command::new("sleep");
            command.arg("600").current_dir(dir);
            Daemon::start("sleep", command, here.join("log")).unwrap()
        };
        let (mut killed, mut left) = (start(&inside), start(&outside));
        kill_all_in(&here.join("a"));
        assert!(killed.child.wait().is_ok_and(|status| !status.success()));
        assert!(killed.check().unwrap_err().to_string().starts_with("sleep ended"));
        left.check().unwrap();
        left.stop();
        assert!(left.check().is_err());
        fs::remove_dir_all(&here).unwrap();
    }
}

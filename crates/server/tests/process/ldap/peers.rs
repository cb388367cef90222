//! The programs of a site as they are installed, and the guides that say how to set them up.

use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

/// Programs that Debian keeps where an ordinary user's search path does not look.
const SYSTEM_DIRS: [&str; 2] = ["/usr/sbin", "/usr/local/sbin"];

/// Where a program is, if it is installed.
pub(crate) fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let dirs = std::env::split_paths(&path).chain(SYSTEM_DIRS.map(PathBuf::from));
    dirs.map(|dir| dir.join(name)).find(|file| file.is_file())
}

/// Whether this machine has all of these files or programs, with a note of what it lacks; in CI
/// that is a failure.
pub(crate) fn are_installed(wanted: &[&str]) -> bool {
    let there = |name: &&str| match name.strip_prefix('/') {
        Some(_) => PathBuf::from(name).exists(),
        None => program(name).is_some(),
    };
    let missing: Vec<&str> = wanted.iter().copied().filter(|name| !there(name)).collect();
    if missing.is_empty() {
        return true;
    }
    assert!(std::env::var_os("CI").is_none(), "not installed: {}", missing.join(", "));
    println!("left out, because this machine lacks {}", missing.join(", "));
    false
}

/// A program with nothing of the surroundings in its environment.
pub(crate) fn command(name: &str) -> Command {
    let mut command = Command::new(program(name).unwrap());
    let mut path = std::env::var_os("PATH").unwrap_or_default();
    path.push(":/usr/sbin");
    command.env_clear().env("PATH", path).env("LC_ALL", "C").stdin(Stdio::null());
    command
}

/// What a program said, on both of its outputs.
pub(crate) fn said(output: &Output) -> String {
    let of = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    format!("{}{}", of(&output.stdout), of(&output.stderr))
}

/// A program that ends when this value goes.
pub(crate) struct Peer(pub(crate) Child);

impl Drop for Peer {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A guide whose fenced blocks a test runs.
pub(crate) struct Guide(pub(crate) &'static str);

impl Guide {
    /// The block whose first line names this file.
    #[track_caller]
    pub(crate) fn file(&self, name: &str) -> String {
        let heading = format!("`{name}`");
        let (_, behind) = self.0.split_once(&heading).expect("the guide names the file");
        let (_, block) = behind.split_once("\n```").expect("a block follows");
        let (_, block) = block.split_once('\n').unwrap();
        format!("{}\n", block.split("\n```").next().unwrap())
    }
}

/// Puts a place of this machine where the guide has one of a site's. The guide must name it:
/// otherwise the test would silently run something else than the guide says.
#[track_caller]
pub(crate) fn put(text: &str, of_the_guide: &str, here: &str) -> String {
    assert!(text.contains(of_the_guide), "the guide no longer says `{of_the_guide}`");
    text.replace(of_the_guide, here)
}

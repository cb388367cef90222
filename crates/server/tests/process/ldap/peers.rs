//! The programs of a site as they are installed, and the guides that say how to set them up.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use crate::world::World;

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

impl Guide {
    /// Runs every command of the guide, in a shell that knows `counterfoil`; `alice` is there
    /// already. The token and the client's key that were printed.
    #[track_caller]
    pub(crate) fn run_commands(&self, world: &World) -> (String, String) {
        let blocks =
            self.0.split("\n```sh\n").skip(1).filter_map(|rest| rest.split("\n```").next());
        let commands =
            put(&blocks.collect::<Vec<_>>().join("\n"), "counterfoil user create alice", "");
        let binary = Path::new(env!("CARGO_BIN_EXE_counterfoil"));
        let mut search = binary.parent().unwrap().as_os_str().to_owned();
        search.push(":");
        search.push(std::env::var_os("PATH").unwrap_or_default());
        let output = Command::new("sh")
            .args(["-e", "-c", &commands])
            .env_clear()
            .env("PATH", search)
            .env("COUNTERFOIL_URL", format!("http://{}", world.server.address))
            .env("COUNTERFOIL_TOKEN", &world.admin.key)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert!(output.status.success(), "{commands}: {}", said(&output));
        let printed = String::from_utf8(output.stdout).unwrap();
        let is_typed = |line: &&str| line.len() == 29 && line.matches('-').count() == 5;
        let token = printed.lines().find(is_typed).expect("a token was printed");
        let key = printed.split_whitespace().find(|word| word.starts_with("cflk_"));
        (token.to_owned(), key.expect("a key was printed").to_owned())
    }
}

/// Puts a place of this machine where the guide has one of a site's. The guide must name it:
/// otherwise the test would silently run something else than the guide says.
#[track_caller]
pub(crate) fn put(text: &str, of_the_guide: &str, here: &str) -> String {
    assert!(text.contains(of_the_guide), "the guide no longer says `{of_the_guide}`");
    text.replace(of_the_guide, here)
}

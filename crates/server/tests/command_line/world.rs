//! A directory, the program run in it, and a server on it.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use tempfile::TempDir;

/// A directory of its own for each test.
pub(crate) struct World {
    root: TempDir,
}

impl World {
    pub(crate) fn new() -> Self {
        Self { root: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_counterfoil"));
        command.args(arguments).current_dir(self.root.path()).stdin(Stdio::null());
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("COUNTERFOIL_") {
                command.env_remove(name);
            }
        }
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        self.command(arguments).output().unwrap().into()
    }

    pub(crate) fn run_with_input(&self, arguments: &[&str], input: &str) -> Ran {
        self.run_with(arguments, input, &[])
    }

    pub(crate) fn run_with(&self, arguments: &[&str], input: &str, set: &[(&str, &str)]) -> Ran {
        let mut command = self.command(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.envs(set.iter().copied());
        let mut child = command.spawn().unwrap();
        // Not every command reads what is given.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        child.wait_with_output().unwrap().into()
    }

    /// An initialised `data` directory; the administrator's key.
    pub(crate) fn initialised(&self) -> String {
        let ran = self.run(&["init", "--data", "data"]);
        assert_eq!(ran.status, 0, "{}", ran.stderr);
        ran.stdout.trim().to_owned()
    }
}

#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) status: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            status: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// A running server; killed with the test.
pub(crate) struct Server(Child);

impl Server {
    /// Starts one, and reads what it prints until it says where its data is, its last line.
    pub(crate) fn start(world: &World, arguments: &[&str]) -> (Self, String) {
        let mut command = world.command(&[
            "serve",
            "--data",
            "data",
            "--listen",
            "127.0.0.1:0",
            "--ldap-listen",
            "127.0.0.1:0",
        ]);
        command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut server = Self(command.spawn().unwrap());
        let mut printed = String::new();
        let mut lines = BufReader::new(server.0.stdout.take().unwrap()).lines();
        while !printed.contains("\n  data ") {
            let line = lines.next().expect("the server ended").unwrap();
            printed.push_str(&line);
            printed.push('\n');
        }
        (server, printed)
    }

    pub(crate) fn terminate(self) -> i32 {
        self.signal("-TERM")
    }

    /// Sends a signal and waits for the end.
    pub(crate) fn signal(mut self, name: &str) -> i32 {
        let id = self.0.id().to_string();
        assert!(Command::new("kill").args([name, &id]).status().unwrap().success());
        self.0.wait().unwrap().code().unwrap_or(-1)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(crate) fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

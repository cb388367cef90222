//! The real binary as a child process, on a directory and a free port of its own.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::Duration;

use counterfoil_server::clock::Stopwatch;
use tempfile::TempDir;

use crate::wire::{Api, Request};

/// How long a server may take to be ready, to end, or an event to come, before a test gives up.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
/// How often is looked whether something happened.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// How much of a server's log a failed test shows.
const LOG_SHOWN_BYTES: usize = 2000;

/// Whether this run may take long: more rounds, the same promises.
pub(crate) fn long() -> bool {
    std::env::var_os("COUNTERFOIL_LONG").is_some_and(|value| value == "1")
}

/// Waits until `look` sees something, for a bounded time.
#[track_caller]
pub(crate) fn await_some<T>(what: &str, limit: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    let watch = Stopwatch::start();
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(watch.elapsed() < limit, "{what}: not within {limit:?}");
        // Nobody unparks: this bounds how often is looked.
        std::thread::park_timeout(LOOK_EVERY);
    }
}

/// Waits until `look` is true, for a bounded time.
#[track_caller]
pub(crate) fn await_true(what: &str, limit: Duration, mut look: impl FnMut() -> bool) {
    await_some(what, limit, || look().then_some(()));
}

/// A place for one installation: a directory with its data, its configuration and its logs.
pub(crate) struct Site {
    home: TempDir,
}

impl Site {
    pub(crate) fn new() -> Self {
        Self { home: tempfile::tempdir().unwrap() }
    }

    /// A file or directory of the place.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// The data directory.
    pub(crate) fn data(&self) -> PathBuf {
        self.path("data")
    }

    /// The binary, with nothing of the surroundings in its environment.
    pub(crate) fn binary(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_counterfoil"));
        command.env_clear().current_dir(self.home.path()).stdin(Stdio::null());
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command
    }

    /// A command on the data directory, run to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.binary().args(arguments).arg("--data").arg(self.data()).output().unwrap()
    }

    /// Serves the data directory on a free port; `settings` is the configuration file.
    pub(crate) fn serve(&self, settings: &str) -> Server {
        let mut server = self.spawn(settings);
        server.until_ready();
        server
    }

    /// Serves it on a port that is known before.
    pub(crate) fn serve_at(&self, settings: &str, port: u16) -> Server {
        let mut server = self.spawn_at(settings, port);
        server.until_ready();
        server
    }

    /// Starts `serve` without waiting for anything.
    pub(crate) fn spawn(&self, settings: &str) -> Server {
        self.spawn_at(settings, 0)
    }

    fn spawn_at(&self, settings: &str, port: u16) -> Server {
        self.spawn_with(settings, port, |command, _| command)
    }

    /// Starts `serve` by a command that `change` makes of the usual one and of the place where its
    /// standard output goes.
    pub(crate) fn spawn_as(
        &self,
        settings: &str,
        change: impl FnOnce(Command, &Path) -> Command,
    ) -> Server {
        self.spawn_with(settings, 0, change)
    }

    fn spawn_with(
        &self,
        settings: &str,
        port: u16,
        change: impl FnOnce(Command, &Path) -> Command,
    ) -> Server {
        let config = self.path("counterfoil.toml");
        fs::write(&config, format!("{settings}\n")).unwrap();
        let log = |name: &str| {
            let number = fs::read_dir(self.home.path()).unwrap().count();
            self.path(&format!("{number:04}-{name}.log"))
        };
        let (stdout, stderr) = (log("stdout"), log("stderr"));
        let started = Stopwatch::start();
        let mut command = self.binary();
        command
            .arg("serve")
            .arg("--config")
            .arg(&config)
            .arg("--data")
            .arg(self.data())
            .arg("--listen")
            .arg(format!("127.0.0.1:{port}"))
            // A flag wins over the configuration, which a few tests want to be asked.
            .args((!settings.contains("0.0.0.0:0")).then_some("--ldap-listen=127.0.0.1:0"))
            .stdout(File::create(&stdout).unwrap())
            .stderr(File::create(&stderr).unwrap());
        let mut command = change(command, &stdout);
        command.stderr(File::create(&stderr).unwrap());
        let child = command.spawn().unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let ready_after = Duration::ZERO;
        Server { child, address, stdout, stderr, started, ready_after }
    }

    /// The first administrator's key, where `serve` has put it.
    pub(crate) fn admin_key(&self) -> String {
        fs::read_to_string(self.data().join("admin-key")).unwrap().trim().to_owned()
    }

    /// The first administrator at a server.
    pub(crate) fn admin(&self, server: &Server) -> Api {
        Api::new(server.address, &self.admin_key())
    }

    /// Every file below the directory, with its bytes.
    pub(crate) fn files(&self) -> Vec<(PathBuf, Vec<u8>)> {
        files_below(self.home.path())
    }
}

/// Every file below a directory, with its bytes.
pub(crate) fn files_below(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    collect(dir, &mut found);
    found
}

fn collect(dir: &Path, found: &mut Vec<(PathBuf, Vec<u8>)>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, found);
        } else if path.is_file() {
            // A socket of a database is no file.
            let bytes = fs::read(&path).unwrap();
            found.push((path, bytes));
        }
    }
}

/// A server process; it is ended when this value goes.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
    pub(crate) stdout: PathBuf,
    pub(crate) stderr: PathBuf,
    started: Stopwatch,
    /// From its start to its first answer that it is ready.
    pub(crate) ready_after: Duration,
}

impl Server {
    /// Waits until it says where it listens, and that it is ready.
    pub(crate) fn until_ready(&mut self) {
        let limit = PATIENCE;
        self.address = await_some("the server says where it listens", limit, || {
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("the server ended at once, {status}: {}", self.log());
            }
            let printed = printed_address(&fs::read_to_string(&self.stdout).unwrap());
            printed.or_else(|| logged_address(&self.log()))
        });
        let nobody = Api::new(self.address, "");
        await_true("the server is ready", limit, || {
            let ready = nobody.try_raw(&Request::new("GET", "/healthz/ready"));
            ready.is_ok_and(|answer| answer.status == 200)
        });
        self.ready_after = self.started.elapsed();
    }

    /// What it wrote to standard error so far.
    pub(crate) fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.stderr).unwrap()).into_owned()
    }

    /// The process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Ends it as a power failure would end the process.
    pub(crate) fn kill9(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Sends it a signal by its name, `HUP` say.
    pub(crate) fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &id]).status().unwrap().success());
    }

    /// Asks it to end, as a service manager would, and waits until it has.
    pub(crate) fn stop(&mut self) -> ExitStatus {
        self.terminate();
        self.until_ended()
    }

    /// Sends SIGTERM and does not wait.
    pub(crate) fn terminate(&self) {
        let asked = Command::new("kill").arg(self.child.id().to_string()).status().unwrap();
        assert!(asked.success());
    }

    /// Waits until it has ended by itself.
    pub(crate) fn until_ended(&mut self) -> ExitStatus {
        await_some("the server ends", PATIENCE, || self.child.try_wait().unwrap())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            // A second panic here would hide the first.
            let log = fs::read(&self.stderr).unwrap_or_default();
            let last = &log[log.len().saturating_sub(LOG_SHOWN_BYTES)..];
            eprintln!("the end of the server's log:\n{}", String::from_utf8_lossy(last));
        }
    }
}

/// The link that `serve` keeps while nobody can sign in; a moment after it says where it listens.
pub(crate) fn printed_link(server: &Server) -> String {
    await_some("the link is kept", PATIENCE, || {
        let printed = fs::read_to_string(&server.stdout).unwrap();
        assert!(!printed.contains("cflb_"), "a link that is good is in the output: {printed}");
        let whole = &printed[..=printed.rfind('\n')?];
        let line = whole.lines().find_map(|line| line.strip_prefix("it is in "))?;
        let (file, _) = line.split_once(',')?;
        Some(fs::read_to_string(file).unwrap().trim().to_owned())
    })
}

/// The address in the banner's line about the API.
fn printed_address(stdout: &str) -> Option<SocketAddr> {
    // Only a whole line counts: the last one may still be in the making.
    let whole = &stdout[..=stdout.rfind('\n')?];
    let (_, rest) = whole.split_once("http://")?;
    rest.split(['/', '\n']).next()?.parse().ok()
}

/// The address in the log, of a server whose banner has another name for it.
fn logged_address(log: &str) -> Option<SocketAddr> {
    let (_, rest) = log.split_once("\"listen\":\"")?;
    rest.split('"').next()?.parse().ok()
}

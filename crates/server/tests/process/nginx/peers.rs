//! nginx, fcgiwrap and git as they are installed, started for one test and ended with it.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use crate::harness::{PATIENCE, await_true};

/// Programs that Debian keeps where an ordinary user's search path does not look.
const SYSTEM_DIRS: [&str; 2] = ["/usr/sbin", "/usr/local/sbin"];

/// Where a program is, if it is installed.
pub(crate) fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let dirs = std::env::split_paths(&path).chain(SYSTEM_DIRS.map(PathBuf::from));
    dirs.map(|dir| dir.join(name)).find(|file| file.is_file())
}

/// git's own server program, wherever this git keeps it.
pub(super) fn git_http_backend() -> PathBuf {
    let output = Command::new("git").arg("--exec-path").output().unwrap();
    Path::new(String::from_utf8(output.stdout).unwrap().trim()).join("git-http-backend")
}

/// Whether this machine has all of them, with a note of what it lacks; in CI that is a failure.
pub(super) fn peers_are_installed() -> bool {
    let missing: Vec<&str> =
        ["nginx", "fcgiwrap", "git"].into_iter().filter(|name| program(name).is_none()).collect();
    if missing.is_empty() {
        return true;
    }
    assert!(std::env::var_os("CI").is_none(), "not installed: {}", missing.join(", "));
    println!("left out, because this machine lacks the packages {}", missing.join(", "));
    false
}

/// A program that ends when this value goes.
pub(crate) struct Peer(Child);

impl Peer {
    /// Starts a program that listens somewhere, and waits until it does.
    pub(crate) fn listening(
        name: &str,
        command: &mut Command,
        log: &Path,
        address: SocketAddr,
    ) -> Self {
        let output = fs::File::create(log).unwrap();
        let mut peer = Self(command.stdin(Stdio::null()).stderr(output).spawn().unwrap());
        await_true(&format!("{name} listens"), PATIENCE, || {
            if let Some(status) = peer.0.try_wait().unwrap() {
                let said = fs::read_to_string(log).unwrap();
                panic!("{name} ended at once, {status}: {said}");
            }
            TcpStream::connect(address).is_ok()
        });
        peer
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs CGI programs for nginx, from a socket of its own.
pub(super) fn fcgiwrap(home: &Path) -> (Peer, PathBuf) {
    let socket = home.join("fcgiwrap.socket");
    let child = Command::new(program("fcgiwrap").unwrap())
        .arg("-s")
        .arg(format!("unix:{}", socket.display()))
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", home)
        .stdin(Stdio::null())
        .stderr(fs::File::create(home.join("fcgiwrap.log")).unwrap())
        .spawn()
        .unwrap();
    let peer = Peer(child);
    await_true("fcgiwrap listens", PATIENCE, || socket.exists());
    (peer, socket)
}

/// A loopback address that nobody listens on at this moment.
pub(crate) fn free_address() -> SocketAddr {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap()
}

/// nginx with one site, as `conf.d/*.conf` would include it.
pub(crate) fn nginx(home: &Path, site: &str, address: SocketAddr) -> Peer {
    let at = |name: &str| home.join(name).display().to_string();
    fs::write(at("git.conf"), site).unwrap();
    // One process that does not change its user: it ends when it is told to, and reaches its
    // files below a private directory.
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .iter()
        .map(|kind| format!("{kind}_temp_path {};", at(&format!("tmp-{kind}"))))
        .collect::<Vec<String>>()
        .join("\n");
    let whole = format!(
        "daemon off;\nmaster_process off;\npid {};\nerror_log {} info;\n\
         events {{ worker_connections 256; }}\n\
         http {{\naccess_log off;\n{temporary}\ninclude {};\n}}\n",
        at("nginx.pid"),
        at("nginx.log"),
        at("git.conf"),
    );
    fs::write(at("nginx.conf"), whole).unwrap();
    let mut command = Command::new(program("nginx").unwrap());
    command.args(["-e", "stderr", "-p"]).arg(home).arg("-c").arg(at("nginx.conf"));
    Peer::listening("nginx", &mut command, &home.join("nginx-stderr.log"), address)
}

/// git on one person's machine, with a credential helper that holds a name and a token.
pub(super) struct Git<'a> {
    user: &'a str,
    password: &'a str,
    home: &'a Path,
}

/// Answers git's question by what stands in the environment.
const HELPER: &str = "!f() { test \"$1\" = get && \
                      printf 'username=%s\\npassword=%s\\n' \"$ASKED_USER\" \"$ASKED_PASSWORD\"; }; f";

impl<'a> Git<'a> {
    pub(super) fn of(user: &'a str, password: &'a str, home: &'a Path) -> Self {
        Self { user, password, home }
    }

    fn run(&self, arguments: &[&str]) -> Output {
        Command::new("git")
            .args(["-c", "credential.helper=", "-c", &format!("credential.helper={HELPER}")])
            .args(arguments)
            .current_dir(self.home)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.home)
            .env("LC_ALL", "C")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_AUTHOR_NAME", "Alice")
            .env("GIT_AUTHOR_EMAIL", "alice@example.org")
            .env("GIT_COMMITTER_NAME", "Alice")
            .env("GIT_COMMITTER_EMAIL", "alice@example.org")
            .env("ASKED_USER", self.user)
            .env("ASKED_PASSWORD", self.password)
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    #[track_caller]
    pub(super) fn succeeds(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "git {arguments:?}: {said}");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// What git says while it fails.
    #[track_caller]
    pub(super) fn fails(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(!output.status.success(), "git {arguments:?} succeeded");
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    /// Gives the empty repository behind `url` a first commit.
    #[track_caller]
    pub(super) fn seed(&self, url: &str) {
        self.succeeds(&["init", "--quiet", "--initial-branch=main", "seed"]);
        self.commit("seed", "the first");
        self.succeeds(&["-C", "seed", "push", "--quiet", url, "main"]);
    }

    /// Commits everything in a work tree.
    #[track_caller]
    pub(super) fn commit(&self, tree: &str, message: &str) {
        self.succeeds(&["-C", tree, "add", "--all"]);
        self.succeeds(&["-C", tree, "commit", "--quiet", "--allow-empty", "-m", message]);
    }

    #[track_caller]
    pub(super) fn head(&self, tree: &str) -> String {
        self.succeeds(&["-C", tree, "rev-parse", "HEAD"])
    }
}

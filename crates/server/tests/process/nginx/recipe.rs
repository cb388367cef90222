//! The guide as a test runs it: its fenced blocks, with the places of this machine put in.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::harness::{Server, Site};
use crate::wire::Api;

use super::peers::{Peer, fcgiwrap, free_address, git_http_backend, nginx};

const GUIDE: &str = include_str!("../../../../../docs/guide/git-behind-nginx.md");

/// The blocks of the guide in one language, in their order.
fn blocks(language: &str) -> Vec<String> {
    let fence = format!("\n```{language}\n");
    let inside = |rest: &str| rest.split("\n```").next().map(|block| format!("{block}\n"));
    GUIDE.split(fence.as_str()).skip(1).filter_map(inside).collect()
}

/// Puts a place of this machine where the guide has one of a site's. The guide must name it:
/// otherwise the test would silently run something else than the guide says.
fn put(text: &str, of_the_guide: &str, here: &str) -> String {
    assert!(text.contains(of_the_guide), "the guide no longer says `{of_the_guide}`");
    text.replace(of_the_guide, here)
}

/// What nginx lets through to.
pub(super) enum Backend {
    /// git, as the guide has it.
    Git,
    /// A script in its place.
    Script(&'static str),
}

/// Everything of the guide, running: Counterfoil, nginx, fcgiwrap, a repository, and a token.
pub(super) struct GitSite {
    pub(super) server: Server,
    pub(super) admin: Api,
    /// alice's token.
    pub(super) token: String,
    /// Where nginx listens.
    pub(super) address: SocketAddr,
    _nginx: Peer,
    _fcgiwrap: Peer,
    home: PathBuf,
    // Last, so that nothing runs any more when the directory goes.
    site: Site,
}

impl GitSite {
    /// Follows the guide, with further settings of the server.
    pub(super) fn of_the_guide(settings: &str, backend: &Backend) -> Self {
        let site = Site::new();
        let toml = blocks("toml").join("\n");
        let server = site.serve(&format!("{settings}\n{toml}"));
        let admin = site.admin(&server);
        let home = site.path("home");
        fs::create_dir_all(home.join("git")).unwrap();
        let [commands, repository, _rule] = &blocks("sh")[..] else {
            panic!("the guide has three blocks of commands");
        };
        let token = shell(&site, &server, commands).lines().last().unwrap().to_owned();
        let root = home.join("git").display().to_string();
        shell(&site, &server, &put(repository, "/srv/git", &root));
        let (fcgiwrap, socket) = fcgiwrap(&home);
        let address = free_address();
        let conf = configuration(&server, address, &root, &socket, &program_of(backend, &home));
        let nginx = nginx(&home, &conf, address);
        Self { server, admin, token, address, _nginx: nginx, _fcgiwrap: fcgiwrap, home, site }
    }

    /// Does what the guide says about repositories that only some may push to.
    pub(super) fn apply_the_rule(&self) {
        shell(&self.site, &self.server, &blocks("sh")[2]);
    }

    /// Where a person's git works.
    pub(super) fn home(&self) -> &Path {
        &self.home
    }

    /// The repository, as people name it.
    pub(super) fn url(&self) -> String {
        format!("http://{}/website.git", self.address)
    }

    /// A hook that writes down who pushes, and the file into which it does.
    pub(super) fn hook_that_notes_the_pusher(&self) -> PathBuf {
        let noted = self.home.join("pusher");
        let hook = self.home.join("git/website.git/hooks/post-receive");
        executable(&hook, &format!("#!/bin/sh\necho \"$REMOTE_USER\" >{}\n", noted.display()));
        noted
    }
}

/// The configuration of nginx as printed, with the places of this machine, and without TLS: what
/// is tested lies behind it.
fn configuration(
    server: &Server,
    address: SocketAddr,
    root: &str,
    socket: &Path,
    program: &Path,
) -> String {
    let [printed] = &blocks("nginx")[..] else { panic!("the guide has one block of nginx") };
    let conf = put(printed, "server 127.0.0.1:8780;", &format!("server {};", server.address));
    let conf = put(&conf, "listen 443 ssl;", &format!("listen {address};"));
    let conf = put(&conf, "ssl_certificate /etc/ssl/git.example.org.pem;", "");
    let conf = put(&conf, "ssl_certificate_key /etc/ssl/git.example.org.key;", "");
    let conf = put(&conf, "unix:/run/fcgiwrap.socket", &format!("unix:{}", socket.display()));
    let backend = "/usr/lib/git-core/git-http-backend";
    put(&put(&conf, backend, &program.display().to_string()), "/srv/git", root)
}

fn program_of(backend: &Backend, home: &Path) -> PathBuf {
    match backend {
        Backend::Git => git_http_backend(),
        Backend::Script(text) => {
            let path = home.join("backend");
            executable(&path, text);
            path
        }
    }
}

fn executable(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// Runs commands of the guide in a shell that knows `counterfoil`. What they print.
fn shell(site: &Site, server: &Server, commands: &str) -> String {
    let binary = Path::new(env!("CARGO_BIN_EXE_counterfoil"));
    let mut search = vec![binary.parent().unwrap().to_owned()];
    search.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
    let output = Command::new("sh")
        .args(["-e", "-c", commands])
        .env_clear()
        .env("PATH", std::env::join_paths(search).unwrap())
        .env("HOME", site.path("home"))
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("COUNTERFOIL_URL", format!("http://{}", server.address))
        .env("COUNTERFOIL_TOKEN", site.admin_key())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{commands}: {said}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

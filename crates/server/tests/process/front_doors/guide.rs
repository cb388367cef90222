//! The guide as a test runs it: its fenced blocks, with the places of this machine put in.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::harness::{Server, Site};
use crate::nginx::peers::{Peer, free_address, nginx, program};
use crate::wire::Api;

use super::backend::backend;

const GUIDE: &str = include_str!("../../../../../docs/guide/protect-an-api-with-pats.md");

/// What stands before the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Front {
    Nginx,
    Caddy,
}

/// Whether this machine has it, with a note if not; in CI that is a failure.
pub(super) fn front_is_installed(front: Front) -> bool {
    let name = match front {
        Front::Nginx => "nginx",
        Front::Caddy => "caddy",
    };
    if program(name).is_some() {
        return true;
    }
    assert!(std::env::var_os("CI").is_none(), "not installed: {name}");
    println!("left out, because this machine lacks the package {name}");
    false
}

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

/// Something of the guide that listens.
pub(super) struct Listening {
    pub(super) address: SocketAddr,
    _peer: Peer,
}

/// What the guide begins with: Counterfoil, the service, dana, and two tokens of hers.
pub(super) struct Orders {
    pub(super) server: Server,
    pub(super) admin: Api,
    /// A token that may read, with permissions.
    pub(super) reader: String,
    /// A token that may write besides.
    pub(super) writer: String,
    // Last, so that nothing runs any more when the directory goes.
    site: Site,
}

impl Orders {
    /// Follows the guide, with further settings of the server.
    pub(super) fn of_the_guide(settings: &str) -> Self {
        let site = Site::new();
        let toml = blocks("toml").join("\n");
        let server = site.serve(&format!("{settings}\n{toml}"));
        let admin = site.admin(&server);
        fs::create_dir_all(site.path("home")).unwrap();
        let [service, tokens, _client] = &blocks("sh")[..] else {
            panic!("the guide has three blocks of commands");
        };
        shell(&site, &server, service);
        let said = shell(&site, &server, tokens);
        let shown: Vec<&str> = said.lines().filter(|line| line.starts_with("cflp_")).collect();
        let [writer, reader] = shown[..] else { panic!("two tokens: {said}") };
        let (writer, reader) = (writer.to_owned(), reader.to_owned());
        Self { server, admin, reader, writer, site }
    }

    /// A front as printed, without TLS: what is tested lies behind it.
    pub(super) fn behind(&self, front: Front) -> Listening {
        let address = free_address();
        let api = backend().to_string();
        let counterfoil = self.server.address.to_string();
        let home = self.site.path(&format!("{front:?}"));
        fs::create_dir_all(&home).unwrap();
        let peer = match front {
            Front::Nginx => {
                let [printed] = &blocks("nginx")[..] else { panic!("one block of nginx") };
                let conf =
                    put(printed, "server 127.0.0.1:8780;", &format!("server {counterfoil};"));
                let conf = put(&conf, "127.0.0.1:9000", &api);
                let conf = put(&conf, "listen 443 ssl;", &format!("listen {address};"));
                let conf = put(&conf, "ssl_certificate /etc/ssl/api.example.org.pem;", "");
                let conf = put(&conf, "ssl_certificate_key /etc/ssl/api.example.org.key;", "");
                nginx(&home, &conf, address)
            }
            Front::Caddy => {
                let [printed] = &blocks("caddy")[..] else { panic!("one block of Caddy") };
                let conf = put(printed, "127.0.0.1:8780", &counterfoil);
                let conf = put(&conf, "127.0.0.1:9000", &api);
                let conf = put(&conf, "api.example.org {", &format!("http://{address} {{"));
                caddy(&home, &format!("{{\n\tadmin off\n}}\n{conf}"), address)
            }
        };
        Listening { address, _peer: peer }
    }

    /// The service that asks by itself.
    pub(super) fn plain_service(&self) -> Listening {
        let address = free_address();
        let said = shell(&self.site, &self.server, &blocks("sh")[2]);
        let key = said.split_whitespace().find(|word| word.starts_with("cflk_")).unwrap();
        let [printed] = &blocks("python")[..] else { panic!("one block of Python") };
        let code = put(printed, "127.0.0.1:8780", &self.server.address.to_string());
        let here = format!("(\"127.0.0.1\", {})", address.port());
        let code = put(&code, "(\"127.0.0.1\", 9000)", &here);
        let script = self.site.path("orders.py");
        fs::write(&script, code).unwrap();
        let mut command = Command::new("python3");
        command.arg(&script).env("ORDERS_KEY", key);
        let log = self.site.path("orders.log");
        Listening { address, _peer: Peer::listening("the service", &mut command, &log, address) }
    }
}

fn caddy(home: &Path, conf: &str, address: SocketAddr) -> Peer {
    let file = home.join("Caddyfile");
    fs::write(&file, conf).unwrap();
    let mut command = Command::new(program("caddy").unwrap());
    command.args(["run", "--adapter", "caddyfile", "--config"]).arg(&file);
    command.env_clear().env("HOME", home).env("PATH", std::env::var_os("PATH").unwrap());
    Peer::listening("caddy", &mut command, &home.join("caddy.log"), address)
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
        .env("COUNTERFOIL_URL", format!("http://{}", server.address))
        .env("COUNTERFOIL_TOKEN", site.admin_key())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{commands}: {said}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

//! What stands at the other side: the reference adapter as it is shipped, adapters that misbehave,
//! and a wire that can be listened to.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

use crate::harness::Site;
use crate::nginx::peers::{Peer, free_address};

/// The key that both sides know.
pub(crate) const KEY: &str = "a key that both sides know";

/// The adapter in the repository.
pub(crate) fn script() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/repository/adapter.py"))
}

/// The reference adapter on a file of its own.
pub(crate) struct Adapter {
    pub(crate) address: SocketAddr,
    db: PathBuf,
    _peer: Peer,
}

impl Adapter {
    pub(crate) fn start(site: &Site) -> Self {
        let (db, key) = (site.path("tokens.db"), site.path("acme.secret"));
        std::fs::write(&key, format!("{KEY}\n")).unwrap();
        let address = free_address();
        let mut command = Command::new("python3");
        command.arg(script()).arg("--db").arg(&db).arg("--key-file").arg(&key);
        command.args(["--listen", &address.to_string()]);
        let log = site.path("adapter.log");
        let peer = Peer::listening("the adapter", &mut command, &log, address);
        Self { address, db, _peer: peer }
    }

    /// A new token of a person.
    pub(crate) fn add(&self, user: &str) -> String {
        let mut command = Command::new("python3");
        command.arg(script()).arg("--db").arg(&self.db).args(["--add", user]);
        let done = command.stdin(Stdio::null()).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).unwrap().trim().to_owned()
    }

    /// Changes the table behind everybody's back.
    pub(crate) fn sql(&self, text: &str) {
        rusqlite::Connection::open(&self.db).unwrap().execute_batch(text).unwrap();
    }

    pub(crate) fn count(&self, text: &str) -> i64 {
        let open = rusqlite::Connection::open(&self.db).unwrap();
        open.query_row(text, [], |row| row.get(0)).unwrap()
    }
}

/// The section of the HTTP repository `acme` at an address.
pub(crate) fn section(site: &Site, address: SocketAddr, more: &str) -> String {
    section_of(site, "acme", address, more)
}

/// The section of an HTTP repository at an address, whose tokens begin with its name.
pub(crate) fn section_of(site: &Site, name: &str, address: SocketAddr, more: &str) -> String {
    let secret = site.path("acme.secret");
    std::fs::write(&secret, format!("{KEY}\n")).unwrap();
    let length = name.len() + 9;
    format!(
        "[repository.{name}]\nkind = \"custom\"\ndriver = \"http\"\nurl = \"http://{address}\"\n\
         secret = \"file:{}\"\nprefix = \"{name}_\"\nselector = \"prefix\"\n\
         selector_length = {length}\n{more}\n",
        secret.display()
    )
}

/// How an adapter misbehaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Misdeed {
    Hangs,
    Fails,
    TellsTenMebibytes,
    TellsGarbage,
    SpeaksVersionTwo,
    HangsUp,
}

/// All of them.
pub(crate) const MISDEEDS: [Misdeed; 6] = [
    Misdeed::Hangs,
    Misdeed::Fails,
    Misdeed::TellsTenMebibytes,
    Misdeed::TellsGarbage,
    Misdeed::SpeaksVersionTwo,
    Misdeed::HangsUp,
];

/// Something that listens and misbehaves, until the process ends.
pub(crate) fn misbehaving(misdeed: Misdeed) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        let mut kept = Vec::new();
        for stream in listener.incoming().map_while(Result::ok) {
            if misdeed == Misdeed::Hangs {
                kept.push(stream);
            } else {
                thread::spawn(move || misbehave(stream, misdeed));
            }
        }
    });
    address
}

/// An answer of the protocol, in whatever version it says, at the end of its connection.
fn answer_of(status: &str, version: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status}\r\ncounterfoil-repo: {version}\r\ncontent-type: application/json\
         \r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
    );
    [head.as_bytes(), body].concat()
}

fn misbehave(mut stream: TcpStream, misdeed: Misdeed) {
    let mut head = [0; 4096];
    let _ = stream.read(&mut head);
    let bytes = match misdeed {
        Misdeed::Hangs | Misdeed::HangsUp => return,
        Misdeed::Fails => answer_of("500 Internal Server Error", "1", b"{}"),
        Misdeed::TellsTenMebibytes => answer_of("200 OK", "1", &vec![b' '; 10 << 20]),
        Misdeed::TellsGarbage => answer_of("200 OK", "1", b"\x00\xff{\"records\": [7"),
        Misdeed::SpeaksVersionTwo => answer_of("200 OK", "2", b"{\"records\": []}"),
    };
    let _ = stream.write_all(&bytes);
}

/// A wire to an address that keeps everything that goes through it.
pub(crate) struct Tap {
    pub(crate) address: SocketAddr,
    seen: Arc<Mutex<Vec<u8>>>,
}

impl Tap {
    pub(crate) fn to(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let seen: Arc<Mutex<Vec<u8>>> = Arc::default();
        let kept = Arc::clone(&seen);
        thread::spawn(move || {
            for here in listener.incoming().map_while(Result::ok) {
                let there = TcpStream::connect(target).unwrap();
                let (from, to) = (here.try_clone().unwrap(), there.try_clone().unwrap());
                let noted = Arc::clone(&kept);
                thread::spawn(move || pass_on(from, to, &noted));
                let noted = Arc::clone(&kept);
                thread::spawn(move || pass_on(there, here, &noted));
            }
        });
        Self { address, seen }
    }

    pub(crate) fn seen(&self) -> Vec<u8> {
        self.seen.lock().unwrap().clone()
    }
}

fn pass_on(mut from: TcpStream, mut to: TcpStream, seen: &Mutex<Vec<u8>>) {
    let mut buffer = [0; 4096];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        seen.lock().unwrap().extend_from_slice(&buffer[..length]);
        if to.write_all(&buffer[..length]).is_err() {
            return;
        }
    }
}

/// A repository that compares secrets itself, and so is told them.
pub(crate) struct Vendor {
    pub(crate) address: SocketAddr,
    kept: Arc<Mutex<Kept>>,
}

/// What it keeps.
#[derive(Default)]
struct Kept {
    /// Secrets, and whose they are.
    tokens: Vec<(String, &'static str)>,
    /// Those that were presented, by their places.
    seen: BTreeSet<usize>,
}

impl Vendor {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let kept: Arc<Mutex<Kept>> = Arc::default();
        let known = Arc::clone(&kept);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let known = Arc::clone(&known);
                thread::spawn(move || compare(stream, &known));
            }
        });
        Self { address, kept }
    }

    /// A token of a person.
    pub(crate) fn add(&self, secret: &str, user: &'static str) {
        self.kept.lock().unwrap().tokens.push((secret.to_owned(), user));
    }

    /// How many of its tokens were presented to it.
    pub(crate) fn seen(&self) -> usize {
        self.kept.lock().unwrap().seen.len()
    }
}

/// Answers one request and closes the connection.
fn compare(mut stream: TcpStream, kept: &Mutex<Kept>) {
    let mut request = Vec::new();
    let mut part = [0; 4096];
    // The body is one object, so its last brace ends the request.
    while !request.ends_with(b"}") {
        let Ok(length @ 1..) = stream.read(&mut part) else { break };
        request.extend_from_slice(&part[..length]);
    }
    let request = String::from_utf8_lossy(&request).into_owned();
    let mut kept = kept.lock().unwrap();
    let is_there = |(secret, _): &(String, _)| request.contains(&format!("\"{secret}\""));
    let record = kept.tokens.iter().position(is_there).map(|at| {
        kept.seen.insert(at);
        serde_json::json!({ "id": at.to_string(), "user": kept.tokens[at].1 })
    });
    let body = serde_json::json!({ "record": record }).to_string();
    let _ = stream.write_all(&answer_of("200 OK", "1", body.as_bytes()));
}

//! What stands at the other side: the reference adapter as it is shipped, adapters that misbehave,
//! and a wire that can be listened to.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

use crate::harness::Site;
use crate::nginx::peers::{Peer, free_address};

/// The key that both sides know.
pub(super) const KEY: &str = "a key that both sides know";

/// The adapter in the repository.
pub(super) fn script() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/repository/adapter.py"))
}

/// The reference adapter on a file of its own.
pub(super) struct Adapter {
    pub(super) address: SocketAddr,
    db: PathBuf,
    _peer: Peer,
}

impl Adapter {
    pub(super) fn start(site: &Site) -> Self {
        let (db, key) = (site.path("tokens.db"), site.path("acme.secret"));
        std::fs::write(&key, format!("{KEY}\n")).unwrap();
        let address = free_address();
        let mut command = Command::new("python3");
        command.arg(script()).arg("--db").arg(&db).arg("--key-file").arg(&key);
        command.args(["--listen", &address.to_string()]);
        let log = site.path("adapter.log");
        let _peer = Peer::listening("the adapter", &mut command, &log, address);
        Self { address, db, _peer }
    }

    /// A new token of a person.
    pub(super) fn add(&self, user: &str) -> String {
        let mut command = Command::new("python3");
        command.arg(script()).arg("--db").arg(&self.db).args(["--add", user]);
        let done = command.stdin(Stdio::null()).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).unwrap().trim().to_owned()
    }

    /// Changes the table behind everybody's back.
    pub(super) fn sql(&self, text: &str) {
        rusqlite::Connection::open(&self.db).unwrap().execute_batch(text).unwrap();
    }

    pub(super) fn count(&self, text: &str) -> i64 {
        let open = rusqlite::Connection::open(&self.db).unwrap();
        open.query_row(text, [], |row| row.get(0)).unwrap()
    }
}

/// The section of an HTTP repository at an address.
pub(super) fn section(site: &Site, address: SocketAddr, more: &str) -> String {
    let secret = site.path("acme.secret");
    std::fs::write(&secret, format!("{KEY}\n")).unwrap();
    format!(
        "[repository.acme]\nkind = \"custom\"\ndriver = \"http\"\nurl = \"http://{address}\"\n\
         secret = \"file:{}\"\nprefix = \"acme_\"\nselector = \"prefix\"\nselector_length = 13\n\
         {more}\n",
        secret.display()
    )
}

/// How an adapter misbehaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Misdeed {
    Hangs,
    Fails,
    TellsTenMebibytes,
    TellsGarbage,
    SpeaksVersionTwo,
    HangsUp,
}

/// Something that listens and misbehaves, until the process ends.
pub(super) fn misbehaving(misdeed: Misdeed) -> SocketAddr {
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

fn misbehave(mut stream: TcpStream, misdeed: Misdeed) {
    let mut head = [0; 4096];
    let _ = stream.read(&mut head);
    let answer = |status: &str, version: &str, body: &[u8]| {
        let length = body.len();
        let head = format!(
            "HTTP/1.1 {status}\r\ncounterfoil-repo: {version}\r\ncontent-type: application/json\
             \r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
        );
        [head.as_bytes(), body].concat()
    };
    let bytes = match misdeed {
        Misdeed::Hangs | Misdeed::HangsUp => return,
        Misdeed::Fails => answer("500 Internal Server Error", "1", b"{}"),
        Misdeed::TellsTenMebibytes => answer("200 OK", "1", &vec![b' '; 10 << 20]),
        Misdeed::TellsGarbage => answer("200 OK", "1", b"\x00\xff{\"records\": [7"),
        Misdeed::SpeaksVersionTwo => answer("200 OK", "2", b"{\"records\": []}"),
    };
    let _ = stream.write_all(&bytes);
}

/// A wire to an address that keeps everything that goes through it.
pub(super) struct Tap {
    pub(super) address: SocketAddr,
    seen: Arc<Mutex<Vec<u8>>>,
}

impl Tap {
    pub(super) fn to(target: SocketAddr) -> Self {
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

    pub(super) fn seen(&self) -> Vec<u8> {
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

//! An API of a site as an old system: it knows user names with passwords, and bearer tokens.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use crate::oauth::basic;

/// What it knows and what it was asked.
#[derive(Default)]
struct Known {
    /// Values of `Authorization` that it lets in.
    good: BTreeSet<String>,
    asked: Vec<String>,
    /// The status of every answer, if it is to be another one.
    status: Option<u16>,
}

/// The API.
pub(super) struct OldApi {
    pub(super) address: SocketAddr,
    known: Arc<Mutex<Known>>,
}

impl OldApi {
    pub(super) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let known: Arc<Mutex<Known>> = Arc::default();
        let shared = Arc::clone(&known);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let shared = Arc::clone(&shared);
                thread::spawn(move || answer(stream, &shared));
            }
        });
        Self { address, known }
    }

    /// Lets a person in with a password.
    pub(super) fn add(&self, user: &str, password: &str) {
        self.known.lock().unwrap().good.insert(basic(user, password));
    }

    /// Lets a bearer token in.
    pub(super) fn add_token(&self, token: &str) {
        self.known.lock().unwrap().good.insert(format!("Bearer {token}"));
    }

    /// Answers everything with this status from now on.
    pub(super) fn answer_all(&self, status: u16) {
        self.known.lock().unwrap().status = Some(status);
    }

    /// The `Authorization` of every request so far.
    pub(super) fn asked(&self) -> Vec<String> {
        self.known.lock().unwrap().asked.clone()
    }
}

/// Answers one request and closes the connection.
fn answer(mut stream: TcpStream, known: &Mutex<Known>) {
    let mut request = Vec::new();
    let mut part = [0; 4096];
    while !request.windows(4).any(|bytes| bytes == b"\r\n\r\n") {
        let Ok(length @ 1..) = stream.read(&mut part) else { return };
        request.extend_from_slice(&part[..length]);
    }
    let request = String::from_utf8(request).unwrap();
    let shown = request.lines().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("authorization").then(|| value.to_owned())
    });
    let shown = shown.unwrap_or_default();
    let mut known = known.lock().unwrap();
    let usual = if known.good.contains(&shown) { 204 } else { 401 };
    let status = known.status.unwrap_or(usual);
    known.asked.push(shown);
    drop(known);
    let place = if status == 302 { "location: /elsewhere\r\n" } else { "" };
    let _ = write!(
        stream,
        "HTTP/1.1 {status} X\r\n{place}content-length: 0\r\nconnection: close\r\n\r\n"
    );
}

//! A mail server of its own for each test: aiosmtpd, which puts what it takes into files.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tempfile::TempDir;

use crate::harness::{PATIENCE, await_some, await_true};

/// The program.
const SINK: &str = include_str!("sink.py");
/// The password of the mail server that asks for one.
pub(super) const PASSWORD: &str = "opens-the-mail-server";

/// A letter as it arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mail {
    /// Everything, as it came.
    pub(super) raw: String,
    /// Headers, unfolded and in clear text, in their order.
    pub(super) headers: Vec<(String, String)>,
    /// The plain text.
    pub(super) text: String,
}

impl Mail {
    fn of(raw: &[u8]) -> Self {
        let raw = String::from_utf8_lossy(raw).replace("\r\n", "\n");
        let (head, body) = raw.split_once("\n\n").unwrap_or((&raw, ""));
        let unfolded = head.replace("\n ", " ").replace("\n\t", " ");
        let headers: Vec<(String, String)> = unfolded
            .lines()
            .map(|line| line.split_once(": ").unwrap_or((line, "")))
            .map(|(name, value)| (name.to_owned(), words(value)))
            .collect();
        let mut mail = Self { raw: raw.clone(), headers, text: String::new() };
        mail.text = decoded(&mail.all("Content-Transfer-Encoding").concat(), body);
        mail
    }

    /// Every value of a header.
    pub(super) fn all(&self, name: &str) -> Vec<String> {
        let named = self.headers.iter().filter(|(own, _)| own.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.clone()).collect()
    }

    /// The one value of a header.
    #[track_caller]
    pub(super) fn header(&self, name: &str) -> String {
        let mut all = self.all(name);
        assert_eq!(all.len(), 1, "{name} of {}", self.raw);
        all.remove(0)
    }
}

/// Encoded words of RFC 2047, in base64 and UTF-8 as our server writes them.
fn words(value: &str) -> String {
    let joined = value.replace("?= =?", "?==?");
    let mut text = String::new();
    let mut rest = joined.as_str();
    while let Some((before, behind)) = rest.split_once("=?utf-8?b?") {
        let Some((word, after)) = behind.split_once("?=") else { break };
        text.push_str(before);
        text.push_str(&String::from_utf8_lossy(&STANDARD.decode(word).unwrap()));
        rest = after;
    }
    text + rest
}

fn decoded(encoding: &str, body: &str) -> String {
    match encoding {
        "base64" => {
            let packed: String = body.split_whitespace().collect();
            String::from_utf8_lossy(&STANDARD.decode(packed).unwrap()).replace("\r\n", "\n")
        }
        "quoted-printable" => {
            let joined = body.replace("=\n", "");
            let mut bytes = Vec::new();
            let mut rest = joined.as_bytes();
            while let Some((first, behind)) = rest.split_first() {
                if *first == b'=' && behind.len() >= 2 {
                    let digits = std::str::from_utf8(&behind[..2]).unwrap();
                    bytes.push(u8::from_str_radix(digits, 16).unwrap());
                    rest = &behind[2..];
                } else {
                    bytes.push(*first);
                    rest = behind;
                }
            }
            String::from_utf8_lossy(&bytes).replace("\r\n", "\n")
        }
        _ => body.to_owned(),
    }
}

/// A mail server.
pub(super) struct Sink {
    child: Option<Child>,
    port: u16,
    tls: bool,
    home: TempDir,
}

impl Sink {
    pub(super) fn new() -> Self {
        let mut sink = Self::down();
        sink.start();
        sink
    }

    /// One that is not there yet.
    pub(super) fn down() -> Self {
        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join("sink.py"), SINK).unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        Self { child: None, port, tls: false, home }
    }

    /// One that wants STARTTLS and a login.
    pub(super) fn careful() -> Self {
        let mut sink = Self::down();
        sink.tls = true;
        sink.start();
        sink
    }

    pub(super) fn start(&mut self) {
        let mut command = Command::new("/usr/bin/python3");
        command.arg(self.path("sink.py")).arg(self.port.to_string()).arg(self.home.path());
        if self.tls {
            command.args([certificate("cert.pem"), certificate("key.pem")]).arg(PASSWORD);
        }
        let log = fs::File::create(self.path("log")).unwrap();
        self.child = Some(command.stdout(Stdio::null()).stderr(log).spawn().unwrap());
        await_true("the mail server listens", PATIENCE, || {
            let ended = self.child.as_mut().and_then(|child| child.try_wait().unwrap());
            let log = fs::read_to_string(self.path("log")).unwrap_or_default();
            assert!(ended.is_none(), "the mail server ended: {log}");
            TcpStream::connect(("127.0.0.1", self.port)).is_ok()
        });
    }

    pub(super) fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// The server's configuration for it.
    pub(super) fn settings(&self) -> String {
        let common = format!(
            "abuse.throttle = false\nserver.public_url = \"https://tokens.example.org\"\n\
             [mail]\nport = {}\nfrom = \"Tokens <tokens@example.org>\"\n\
             reply_to = \"help@example.org\"\n",
            self.port
        );
        if self.tls {
            let ca = certificate("cert.pem");
            format!(
                "{common}host = \"localhost\"\nuser = \"counterfoil\"\npassword = \"{PASSWORD}\"\n\
                 ca = \"{}\"\n",
                ca.display()
            )
        } else {
            format!("{common}host = \"127.0.0.1\"\ntls = \"none\"\n")
        }
    }

    /// How it feels from now on; nothing: well.
    pub(super) fn mood(&self, mood: &str) {
        if mood.is_empty() {
            fs::remove_file(self.path("mood")).unwrap();
        } else {
            fs::write(self.path("mood"), mood).unwrap();
        }
    }

    /// Recipients that were named since it was started.
    pub(super) fn tried(&self) -> usize {
        fs::read_to_string(self.path("tried")).map_or(0, |text| text.parse().unwrap_or(0))
    }

    /// What it took, in order.
    pub(super) fn taken(&self) -> Vec<Mail> {
        let found = fs::read_dir(self.home.path()).unwrap().map(|entry| entry.unwrap().path());
        let mut files: Vec<PathBuf> = found.filter(|path| is_mail(path)).collect();
        files.sort();
        files.iter().map(|file| Mail::of(&fs::read(file).unwrap())).collect()
    }

    /// Waits until it took so many.
    #[track_caller]
    pub(super) fn await_taken(&self, count: usize) -> Vec<Mail> {
        await_some(&format!("{count} letters"), PATIENCE * 2, || {
            let taken = self.taken();
            (taken.len() >= count).then_some(taken)
        })
    }
}

fn is_mail(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "eml")
}

/// The certificate for `localhost` that the tests of the listener use.
fn certificate(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/tls").join(name)
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.stop();
    }
}

//! HTTP/1.1 over one connection, written by hand: a test sends exactly the bytes it means to, and
//! knows which of its requests share a connection.

use std::cell::RefCell;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

/// Longer than any answer may take, shorter than a test may hang.
const PATIENCE: Duration = Duration::from_secs(30);

/// A status, headers in the order they came, and a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// The first header of a name in lower case; empty if there is none.
    pub(crate) fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map_or("", |(_, value)| value)
    }

    /// Every value of a header.
    pub(crate) fn headers(&self, name: &str) -> Vec<&str> {
        let found = self.headers.iter().filter(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str()).collect()
    }

    /// The body as text, for messages.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON; `null` if it is none.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// The body as JSON, provided the status is as expected.
    #[track_caller]
    pub(crate) fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text());
        self.json()
    }

    /// Everything that does not differ from request to request.
    pub(crate) fn lasting(&self) -> Self {
        let lasting = |(name, _): &&(String, String)| name != "date" && name != "x-request-id";
        let headers = self.headers.iter().filter(lasting).cloned().collect();
        Self { status: self.status, headers, body: self.body.clone() }
    }
}

/// A request as it goes on the wire. `Host` and `Content-Length` are added.
#[derive(Debug, Clone, Default)]
pub(crate) struct Request {
    method: String,
    target: String,
    headers: Vec<(String, Vec<u8>)>,
    body: Option<Vec<u8>>,
}

impl Request {
    pub(crate) fn new(method: &str, target: impl Into<String>) -> Self {
        Self { method: method.to_owned(), target: target.into(), ..Self::default() }
    }

    /// The same request for another target.
    #[must_use]
    pub(crate) fn to(mut self, target: &str) -> Self {
        target.clone_into(&mut self.target);
        self
    }

    /// The same request with another method.
    #[must_use]
    pub(crate) fn method(mut self, method: &str) -> Self {
        method.clone_into(&mut self.method);
        self
    }

    #[must_use]
    pub(crate) fn header(mut self, name: &str, value: impl Into<Vec<u8>>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    #[must_use]
    pub(crate) fn bearer(self, token: &str) -> Self {
        self.header("Authorization", format!("Bearer {token}"))
    }

    #[must_use]
    pub(crate) fn json(self, body: &Value) -> Self {
        self.raw_json(body.to_string())
    }

    /// A body that is declared as JSON, whatever it is.
    #[must_use]
    pub(crate) fn raw_json(self, body: impl Into<Vec<u8>>) -> Self {
        self.header("Content-Type", "application/json").body(body)
    }

    #[must_use]
    pub(crate) fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = Some(body.into());
        self
    }

    /// The bytes of the request.
    pub(crate) fn bytes(&self, host: SocketAddr) -> Vec<u8> {
        let mut bytes = format!("{} {} HTTP/1.1\r\n", self.method, self.target).into_bytes();
        if !self.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
            bytes.extend_from_slice(format!("Host: {host}\r\n").as_bytes());
        }
        for (name, value) in &self.headers {
            bytes.extend_from_slice(format!("{name}: ").as_bytes());
            bytes.extend_from_slice(value);
            bytes.extend_from_slice(b"\r\n");
        }
        if let Some(body) = &self.body {
            bytes.extend_from_slice(format!("Content-Length: {}\r\n\r\n", body.len()).as_bytes());
            bytes.extend_from_slice(body);
        } else {
            bytes.extend_from_slice(b"\r\n");
        }
        bytes
    }
}

/// A connection that stays open between requests.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: BufReader<TcpStream>,
}

impl Connection {
    pub(crate) fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self { stream: BufReader::new(stream) })
    }

    /// Sends bytes and reads one answer.
    pub(crate) fn exchange(&mut self, bytes: &[u8]) -> io::Result<Answer> {
        let sent = self.stream.get_mut().write_all(bytes);
        // A server may refuse before it has read everything: its answer counts more.
        let answer = self.read(bytes.starts_with(b"HEAD "));
        match (sent, answer) {
            (_, Ok(answer)) => Ok(answer),
            (Err(error), _) | (Ok(()), Err(error)) => Err(error),
        }
    }

    /// Sends requests one behind the other without waiting, and reads their answers.
    pub(crate) fn exchange_all(&mut self, requests: &[Vec<u8>]) -> io::Result<Vec<Answer>> {
        self.stream.get_mut().write_all(&requests.concat())?;
        requests.iter().map(|request| self.read(request.starts_with(b"HEAD "))).collect()
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = Vec::new();
        self.stream.read_until(b'\n', &mut line)?;
        if line.pop() != Some(b'\n') {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(String::from_utf8_lossy(&line).trim_end_matches('\r').to_owned())
    }

    fn read(&mut self, headless: bool) -> io::Result<Answer> {
        loop {
            let mut answer = self.read_head()?;
            // 1xx announces the answer proper (RFC 9110 section 15.2).
            if answer.status < 200 {
                continue;
            }
            if !headless {
                answer.body = self.read_body(&answer)?;
            }
            return Ok(answer);
        }
    }

    fn read_head(&mut self) -> io::Result<Answer> {
        let first = self.line()?;
        let status = first.split(' ').nth(1).and_then(|word| word.parse().ok());
        let status = status.ok_or_else(|| io::Error::other(format!("no status: {first:?}")))?;
        let mut headers = Vec::new();
        loop {
            let line = self.line()?;
            let Some((name, value)) = line.split_once(':') else { break };
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        Ok(Answer { status, headers, body: Vec::new() })
    }

    fn read_body(&mut self, head: &Answer) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        if head.header("transfer-encoding") == "chunked" {
            loop {
                let size = self.line()?;
                let size = usize::from_str_radix(size.trim(), 16).map_err(io::Error::other)?;
                let start = body.len();
                body.resize(start + size, 0);
                self.stream.read_exact(&mut body[start..])?;
                self.line()?;
                if size == 0 {
                    return Ok(body);
                }
            }
        }
        let length = head.header("content-length");
        if head.status == 204 || head.status == 304 {
            return Ok(body);
        }
        if length.is_empty() {
            self.stream.read_to_end(&mut body)?;
        } else {
            body.resize(length.parse().map_err(io::Error::other)?, 0);
            self.stream.read_exact(&mut body)?;
        }
        Ok(body)
    }
}

/// Who asks a server: an address, a key, and one connection that is opened when it is needed.
#[derive(Debug)]
pub(crate) struct Api {
    pub(crate) address: SocketAddr,
    pub(crate) key: String,
    connection: RefCell<Option<Connection>>,
}

/// A clone is somebody else: the same key over another connection.
impl Clone for Api {
    fn clone(&self) -> Self {
        Self::new(self.address, &self.key)
    }
}

/// Where the realm `main` is.
pub(crate) const MAIN: &str = "/api/v1/realms/main";

impl Api {
    pub(crate) fn new(address: SocketAddr, key: &str) -> Self {
        Self { address, key: key.to_owned(), connection: RefCell::new(None) }
    }

    /// The same server, asked with another key.
    pub(crate) fn with_key(&self, key: &str) -> Self {
        Self::new(self.address, key)
    }

    /// Sends a request as it is, without any key.
    pub(crate) fn try_raw(&self, request: &Request) -> io::Result<Answer> {
        let mut held = self.connection.borrow_mut();
        let mut connection = match held.take() {
            Some(connection) => connection,
            None => Connection::open(self.address)?,
        };
        let answer = connection.exchange(&request.bytes(self.address))?;
        if answer.header("connection") != "close" {
            *held = Some(connection);
        }
        Ok(answer)
    }

    /// Sends a request as it is, without any key.
    #[track_caller]
    pub(crate) fn raw(&self, request: &Request) -> Answer {
        self.try_raw(request).unwrap()
    }

    /// Sends a request with the key.
    pub(crate) fn try_send(&self, request: Request) -> io::Result<Answer> {
        self.try_raw(&request.bearer(&self.key))
    }

    /// Sends a request with the key.
    #[track_caller]
    pub(crate) fn send(&self, request: Request) -> Answer {
        self.try_send(request).unwrap()
    }

    #[track_caller]
    pub(crate) fn get(&self, path: &str) -> Answer {
        self.send(Request::new("GET", below_main(path)))
    }

    #[track_caller]
    pub(crate) fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(Request::new("POST", below_main(path)).json(body))
    }

    #[track_caller]
    pub(crate) fn patch(&self, path: &str, body: &Value) -> Answer {
        self.send(Request::new("PATCH", below_main(path)).json(body))
    }

    #[track_caller]
    pub(crate) fn delete(&self, path: &str) -> Answer {
        self.send(Request::new("DELETE", below_main(path)))
    }
}

/// `/api/...` as it is, anything else below the realm `main`.
pub(crate) fn below_main(path: &str) -> String {
    if path.starts_with("/api/") { path.to_owned() } else { format!("{MAIN}{path}") }
}

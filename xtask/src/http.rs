//! One plain HTTP/1.1 request over loopback: what set-up and checks need.
//!
//! The automation must stay small, and loads are made by real generators.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail};

/// How long a server on this machine may take to answer one request.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A status code and a body.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
}

impl Answer {
    /// The body as JSON, provided the request succeeded.
    ///
    /// # Errors
    ///
    /// Fails on any status but 2xx, with the body in the message.
    pub(crate) fn json(&self) -> Result<serde_json::Value> {
        if !(200..300).contains(&self.status) {
            bail!("status {}: {}", self.status, self.body);
        }
        serde_json::from_str(&self.body).with_context(|| format!("not JSON: {}", self.body))
    }
}

/// A server and the key its requests carry.
#[derive(Debug, Clone)]
pub(crate) struct Api {
    pub(crate) address: SocketAddr,
    /// Sent as a bearer credential.
    pub(crate) key: String,
}

impl Api {
    /// Sends one request; an empty `body` sends none.
    ///
    /// # Errors
    ///
    /// Fails when there is no answer; a refusal is an answer.
    pub(crate) fn send(&self, method: &str, path: &str, body: &str) -> Result<Answer> {
        let authorization = format!("Bearer {}", self.key);
        request(self.address, method, path, &authorization, body)
    }

    /// Sends one request and expects a 2xx answer in JSON.
    ///
    /// # Errors
    ///
    /// Fails on any other answer.
    pub(crate) fn json(
        &self,
        method: &str,
        path: &str,
        body: &serde_json::Value,
    ) -> Result<serde_json::Value> {
        let text = if body.is_null() { String::new() } else { body.to_string() };
        self.send(method, path, &text)?.json().with_context(|| format!("{method} {path}"))
    }
}

/// Sends one request on a connection of its own.
///
/// # Errors
///
/// Fails when the server cannot be reached or does not speak HTTP.
pub(crate) fn request(
    address: SocketAddr,
    method: &str,
    path: &str,
    authorization: &str,
    body: &str,
) -> Result<Answer> {
    let kind = "application/json";
    send(address, &format!("{method} {path}"), authorization, kind, body)
}

/// The same with a header of another name in place of `Authorization`.
///
/// # Errors
///
/// Fails when the server cannot be reached or does not speak HTTP.
pub(crate) fn request_under(
    address: SocketAddr,
    line: &str,
    header: &str,
    body: &str,
) -> Result<Answer> {
    exchange(address, line, &format!("{header}\r\n"), "application/json", body)
}

/// Posts a form on a connection of its own.
///
/// # Errors
///
/// Fails when the server cannot be reached or does not speak HTTP.
pub(crate) fn form(
    address: SocketAddr,
    path: &str,
    authorization: &str,
    body: &str,
) -> Result<Answer> {
    let kind = "application/x-www-form-urlencoded";
    send(address, &format!("POST {path}"), authorization, kind, body)
}

/// Posts a form as a browser does that shows a page of the same server, and returns the status and
/// the head of the answer.
///
/// # Errors
///
/// Fails when the server cannot be reached or does not speak HTTP.
pub(crate) fn posted_form(address: SocketAddr, path: &str, body: &str) -> Result<(u16, String)> {
    let kind = "application/x-www-form-urlencoded";
    let line = format!("POST {path}");
    let raw = exchanged(address, &line, "Sec-Fetch-Site: same-origin\r\n", kind, body)?;
    let text = String::from_utf8_lossy(&raw);
    let (head, _) = text.split_once("\r\n\r\n").context("no HTTP answer")?;
    Ok((parse(&raw)?.status, head.to_owned()))
}

fn send(
    address: SocketAddr,
    line: &str,
    authorization: &str,
    kind: &str,
    body: &str,
) -> Result<Answer> {
    // Nothing is not the same as a credential that nobody understands.
    let authorization = match authorization {
        "" => String::new(),
        credential => format!("Authorization: {credential}\r\n"),
    };
    exchange(address, line, &authorization, kind, body)
}

fn exchange(
    address: SocketAddr,
    line: &str,
    headers: &str,
    kind: &str,
    body: &str,
) -> Result<Answer> {
    parse(&exchanged(address, line, headers, kind, body)?)
}

/// The bytes of the answer.
fn exchanged(
    address: SocketAddr,
    line: &str,
    headers: &str,
    kind: &str,
    body: &str,
) -> Result<Vec<u8>> {
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    let head = format!(
        "{line} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\
         {headers}Content-Type: {kind}\r\n\
         Content-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(body.as_bytes())?;
    let mut raw = Vec::new();
    stream.read_to_end(&mut raw)?;
    Ok(raw)
}

fn parse(raw: &[u8]) -> Result<Answer> {
    let text = String::from_utf8_lossy(raw);
    let (head, body) = text.split_once("\r\n\r\n").context("no HTTP answer")?;
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok())
        .context("no status in the answer")?;
    let chunked = head.to_ascii_lowercase().contains("transfer-encoding: chunked");
    let body = if chunked { unchunk(body)? } else { body.to_owned() };
    Ok(Answer { status, body })
}

/// Joins the chunks of RFC 9112 section 7.1.
fn unchunk(mut rest: &str) -> Result<String> {
    let mut body = String::new();
    loop {
        let (size, after) = rest.split_once("\r\n").context("a chunk has no size")?;
        let size = usize::from_str_radix(size.trim(), 16).context("a chunk's size is no number")?;
        if size == 0 {
            return Ok(body);
        }
        body.push_str(after.get(..size).context("a chunk is cut off")?);
        rest = after.get(size + 2..).context("a chunk has no end")?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_with_its_body() {
        let answer = parse(b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\n{}").unwrap();
        assert_eq!(answer, Answer { status: 201, body: "{}".to_owned() });
    }

    #[test]
    fn chunks_are_joined() {
        let raw =
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n";
        assert_eq!(parse(raw).unwrap().body, "abcd");
    }

    #[test]
    fn a_refusal_is_no_json() {
        let answer = Answer { status: 403, body: "{}".to_owned() };
        assert!(answer.json().unwrap_err().to_string().contains("403"));
    }
}

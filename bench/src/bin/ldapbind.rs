//! Simple binds, one after the other on each of many connections: what a mail server does to a
//! directory. Nothing is sent before the answer to what went before.
//!
//! Prints the line that `bench/wrk/lines.lua` prints: requests, seconds, p50 and p99 in
//! microseconds, refused, broken.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use counterfoil_bench::{Options, now};
use data_encoding::BASE64;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Stands for the user name in the DN.
const USER: &str = "USER";

/// What to send where. Everything is made before the clock starts: what the client costs, the
/// server does not get.
struct Load {
    address: SocketAddr,
    /// Whole messages, one behind the other.
    messages: Vec<u8>,
    /// Where each of them ends.
    ends: Vec<usize>,
    until: Instant,
}

impl Load {
    /// Message `number`, beginning again behind the last one.
    fn message(&self, number: usize) -> &[u8] {
        let number = number % self.ends.len();
        let begin = number.checked_sub(1).and_then(|before| self.ends.get(before));
        let end = self.ends.get(number).copied().unwrap_or_default();
        self.messages.get(begin.copied().unwrap_or_default()..end).unwrap_or_default()
    }
}

/// What one connection saw.
#[derive(Default)]
struct Seen {
    microseconds: Vec<u32>,
    refused: u64,
    broken: u64,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let options = Options::from_arguments();
    let lines: PathBuf = options.path("lines")?;
    let connections: usize = options.required("connections")?;
    let seconds: u64 = options.required("seconds")?;
    let offset: usize = options.required("offset")?;
    let lines = std::fs::read_to_string(&lines).with_context(|| format!("{}", lines.display()))?;
    let dn: String = options.required("dn")?;
    let (mut messages, mut ends) = (Vec::new(), Vec::new());
    // `user:password` in base64, one a line.
    for line in lines.lines() {
        let pair = String::from_utf8(BASE64.decode(line.as_bytes())?)?;
        let (user, password) = pair.split_once(':').context("not user:password")?;
        write_bind(&mut messages, &dn.replace(USER, user), password)?;
        ends.push(messages.len());
    }
    ensure!(!ends.is_empty(), "there are no lines");
    let started = now();
    let load = Arc::new(Load {
        address: options.required("address")?,
        messages,
        ends,
        until: started + Duration::from_secs(seconds),
    });
    let mut running = JoinSet::new();
    for number in 0..connections {
        // Connections begin far from each other, so that no two ask about the same.
        let first = offset + number * load.ends.len() / connections;
        running.spawn(connection(Arc::clone(&load), first));
    }
    let mut all = Seen::default();
    while let Some(seen) = running.join_next().await {
        let seen = seen?;
        all.microseconds.extend(seen.microseconds);
        all.refused += seen.refused;
        all.broken += seen.broken;
    }
    let elapsed = started.elapsed().as_secs_f64();
    all.microseconds.sort_unstable();
    let quantile = |part: usize| {
        let at = all.microseconds.len() * part / 100;
        all.microseconds.get(at).copied().unwrap_or_default()
    };
    let binds = all.microseconds.len();
    let (p50, p99) = (quantile(50), quantile(99));
    println!("RESULT {binds} {elapsed:.3} {p50} {p99} {} {}", all.refused, all.broken);
    Ok(())
}

/// Binds until the time is over.
async fn connection(load: Arc<Load>, first: usize) -> Seen {
    let mut seen = Seen::default();
    if bind_all(&load, first, &mut seen).await.is_err() {
        seen.broken += 1;
    }
    seen
}

async fn bind_all(load: &Load, first: usize, seen: &mut Seen) -> Result<()> {
    let mut stream = TcpStream::connect(load.address).await?;
    stream.set_nodelay(true)?;
    let mut answer = [0; 256];
    let mut asked = now();
    for number in first.. {
        if asked >= load.until {
            break;
        }
        stream.write_all(load.message(number)).await?;
        let code = read_code(&mut stream, &mut answer).await?;
        let answered = now();
        let micros = answered.saturating_duration_since(asked).as_micros();
        seen.microseconds.push(u32::try_from(micros).unwrap_or(u32::MAX));
        seen.refused += u64::from(code != 0);
        asked = answered;
    }
    Ok(())
}

/// A bind of LDAP version 3 with the number 1 (RFC 4511 section 4.2).
/// Appended to what is there.
fn write_bind(message: &mut Vec<u8>, dn: &str, password: &str) -> Result<()> {
    let (dn_length, password_length) = (u8::try_from(dn.len())?, u8::try_from(password.len())?);
    ensure!(dn_length < 128 && password_length < 128, "a name or password is too long");
    let bind = 3 + 2 + dn.len() + 2 + password.len();
    message.extend_from_slice(&[0x30, 0x82]);
    message.extend_from_slice(&u16::try_from(bind + 7)?.to_be_bytes());
    message.extend_from_slice(&[2, 1, 1, 0x60, 0x82]);
    message.extend_from_slice(&u16::try_from(bind)?.to_be_bytes());
    message.extend_from_slice(&[2, 1, 3, 4, dn_length]);
    message.extend_from_slice(dn.as_bytes());
    message.extend_from_slice(&[0x80, password_length]);
    message.extend_from_slice(password.as_bytes());
    Ok(())
}

/// Reads one answer; its result code.
async fn read_code(stream: &mut TcpStream, answer: &mut [u8; 256]) -> Result<u8> {
    let mut read = 0;
    loop {
        let more = stream.read(answer.get_mut(read..).unwrap_or_default()).await?;
        ensure!(more > 0, "the server closed");
        read += more;
        if let Some(&length) = answer.get(1).filter(|_| read > 1) {
            ensure!(length < 128, "an answer of an unusual length");
            if read >= usize::from(length) + 2 {
                break;
            }
        }
    }
    // Sequence, number, bind response, and then the result code.
    let [0x30, _, 2, 1, 1, 0x61, _, 10, 1, code, ..] = answer else {
        anyhow::bail!("not the answer to a bind");
    };
    Ok(*code)
}

//! An API behind a front: it answers with the request as it arrived.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

/// Longer than any front takes to send its request.
const PATIENCE: Duration = Duration::from_secs(10);

/// Listens until the test ends.
pub(super) fn backend() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                // A front that gives up is no failure of the test.
                drop(answer(&stream));
            });
        }
    });
    address
}

fn answer(stream: &TcpStream) -> std::io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut reader = BufReader::new(stream);
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or(0);
        }
        let is_end = line.trim().is_empty();
        head.push_str(&line);
        if is_end {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let seen = [head.as_bytes(), &body].concat();
    let mut stream = stream;
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\n\
         Content-Length: {}\r\n\r\n",
        seen.len()
    )?;
    stream.write_all(&seen)
}

/// The values of a header in a request that a backend saw, empty ones left out.
pub(super) fn line_of<'a>(seen: &'a str, name: &str) -> Vec<&'a str> {
    let lines = seen.lines().filter_map(|line| line.split_once(':'));
    let of_name = lines.filter(|(found, _)| found.eq_ignore_ascii_case(name));
    of_name.map(|(_, value)| value.trim()).filter(|value| !value.is_empty()).collect()
}

//! Connections as clients make them: plain, encrypted, too many, too slow, and at the end.

use std::path::PathBuf;

use axum::routing::get;
use axum::{Extension, Router};
use rustls::RootCertStore;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Notify;

use super::*;
use crate::config::{ClientCertificates, Tls};

const LIMITS: Limits = Limits {
    connections_max: 2,
    connections_per_source_max: 2,
    trusted_proxies: Vec::new(),
    header_bytes_max: 8192,
    header_timeout: Duration::from_millis(300),
};
const REQUEST: &str = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
const LAST_REQUEST: &str = "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

struct Running {
    address: SocketAddr,
    stopper: watch::Sender<bool>,
    ended: tokio::task::JoinHandle<bool>,
}

async fn running(router: Router, certificates: Option<Arc<Certificates>>) -> Running {
    running_within(LIMITS, router, certificates).await
}

async fn running_within(
    limits: Limits,
    router: Router,
    certificates: Option<Arc<Certificates>>,
) -> Running {
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    let door = Door::bind(listen, certificates, limits).await.unwrap();
    let address = door.address().unwrap();
    let (stopper, stop) = watch::channel(false);
    let ended = tokio::spawn(door.serve(router, stop, Duration::from_secs(5)));
    Running { address, stopper, ended }
}

fn greeter() -> Router {
    let greet = |Extension(peer): Extension<Connection>| async move {
        let own = peer.certificate.map(|own| format!(" {}", own.text())).unwrap_or_default();
        format!("{} {}{own}", peer.peer.ip(), if peer.tls { "tls" } else { "plain" })
    };
    Router::new().route("/", get(greet))
}

async fn answer(mut stream: impl AsyncRead + AsyncWrite + Unpin, request: &str) -> String {
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut text = Vec::new();
    // A closed connection is an answer too.
    let _ = stream.read_to_end(&mut text).await;
    String::from_utf8_lossy(&text).into_owned()
}

#[tokio::test]
async fn a_handler_knows_its_peer() {
    let running = running(greeter(), None).await;
    let stream = TcpStream::connect(running.address).await.unwrap();
    let answer = answer(stream, LAST_REQUEST).await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("127.0.0.1 plain"), "{answer}");
}

fn file(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/src/tls")).join(name)
}

/// Asks once over TLS, as a client with this certificate or with none.
async fn over_tls(tls: Tls, own: Option<&str>) -> std::io::Result<String> {
    let tls = Tls { cert: Some(file("cert.pem")), key: Some(file("key.pem")), ..tls };
    let certificates = Certificates::load(&tls).unwrap().map(Arc::new);
    let running = running(greeter(), certificates).await;
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(file("cert.pem")).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let client = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let client = match own {
        None => client.with_no_client_auth(),
        Some(name) => {
            let own = CertificateDer::from_pem_file(file(name)).unwrap();
            let key = PrivateKeyDer::from_pem_file(file("key.pem")).unwrap();
            client.with_client_auth_cert(vec![own], key).unwrap()
        }
    };
    let stream = TcpStream::connect(running.address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(client));
    let mut stream = connector.connect(name, stream).await?;
    stream.write_all(LAST_REQUEST.as_bytes()).await?;
    let mut text = Vec::new();
    stream.read_to_end(&mut text).await?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

#[tokio::test]
async fn tls_is_served_by_the_certificate_files() {
    let answer = over_tls(Tls::default(), None).await.unwrap();
    assert!(answer.ends_with("127.0.0.1 tls"), "{answer}");
}

#[tokio::test]
async fn a_client_that_is_asked_proves_its_certificate_and_needs_none() {
    let der = CertificateDer::from_pem_file(file("cert.pem")).unwrap();
    let known = Thumbprint::of(&der).text();
    let any = Tls { client_certificates: ClientCertificates::Any, ..Tls::default() };
    let answer = over_tls(any.clone(), Some("cert.pem")).await.unwrap();
    assert!(answer.ends_with(&format!("127.0.0.1 tls {known}")), "{answer}");
    let answer = over_tls(any, None).await.unwrap();
    assert!(answer.ends_with("127.0.0.1 tls"), "{answer}");
    let answer = over_tls(Tls::default(), Some("cert.pem")).await.unwrap();
    assert!(answer.ends_with("127.0.0.1 tls"), "nobody asked: {answer}");
    // Signed by nobody who is known here: the handshake fails, and not the request behind it.
    let trusted = Tls {
        client_certificates: ClientCertificates::Trusted,
        client_ca: Some(file("other.pem")),
        ..Tls::default()
    };
    assert!(over_tls(trusted.clone(), Some("cert.pem")).await.is_err());
    let answer = over_tls(trusted.clone(), None).await.unwrap();
    assert!(answer.ends_with("127.0.0.1 tls"), "{answer}");
    let nowhere = Tls {
        cert: Some(file("cert.pem")),
        key: Some(file("key.pem")),
        client_ca: None,
        ..trusted
    };
    let said = Certificates::load(&nowhere).err().map(|error| error.to_string());
    assert!(said.is_some_and(|said| said.contains("server.tls.client_ca")));
}

#[tokio::test]
async fn a_head_that_is_too_large_or_too_slow_ends_the_connection() {
    let running = running(greeter(), None).await;
    let stream = TcpStream::connect(running.address).await.unwrap();
    let large =
        format!("GET / HTTP/1.1\r\nHost: localhost\r\nX-Large: {}\r\n\r\n", "x".repeat(9000));
    let refused = answer(stream, &large).await;
    assert!(refused.starts_with("HTTP/1.1 431"), "{refused}");
    let stream = TcpStream::connect(running.address).await.unwrap();
    assert_eq!(answer(stream, "GET / HTTP/1.1\r\nHost: ").await, "");
}

#[tokio::test]
async fn a_connection_beyond_the_limit_waits_for_a_place() {
    let running = running(greeter(), None).await;
    let mut held = Vec::new();
    for _ in 0..LIMITS.connections_max {
        let mut stream = TcpStream::connect(running.address).await.unwrap();
        stream.write_all(REQUEST.as_bytes()).await.unwrap();
        let mut first = [0; 12];
        stream.read_exact(&mut first).await.unwrap();
        assert_eq!(&first, b"HTTP/1.1 200");
        held.push(stream);
    }
    let third = TcpStream::connect(running.address).await.unwrap();
    let waiting = tokio::spawn(answer(third, LAST_REQUEST));
    drop(held);
    assert!(waiting.await.unwrap().starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn a_source_with_its_share_of_connections_is_closed_at_once_and_holds_no_place() {
    let limits = Limits { connections_max: 3, connections_per_source_max: 1, ..LIMITS };
    let running = running_within(limits.clone(), greeter(), None).await;
    let mut held = TcpStream::connect(running.address).await.unwrap();
    held.write_all(REQUEST.as_bytes()).await.unwrap();
    let mut first = [0; 12];
    held.read_exact(&mut first).await.unwrap();
    for _ in 0..2 * limits.connections_max {
        let mut excess = TcpStream::connect(running.address).await.unwrap();
        let mut nothing = Vec::new();
        // Closed in order or by a reset: nothing was said either way.
        let _ = excess.read_to_end(&mut nothing).await;
        assert_eq!(nothing, b"");
    }
    let proxies = vec!["127.0.0.0/8".parse().unwrap()];
    let running =
        running_within(Limits { trusted_proxies: proxies, ..limits }, greeter(), None).await;
    let _held = TcpStream::connect(running.address).await.unwrap();
    let second = TcpStream::connect(running.address).await.unwrap();
    assert!(answer(second, LAST_REQUEST).await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn a_connection_that_asks_nothing_gives_its_place_back() {
    let running = running(greeter(), None).await;
    // The second one begins as HTTP/2 does, and never says the rest.
    for said in ["", "PRI * HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"] {
        let stream = TcpStream::connect(running.address).await.unwrap();
        let _ = answer(stream, said).await;
    }
    let stream = TcpStream::connect(running.address).await.unwrap();
    assert!(answer(stream, LAST_REQUEST).await.starts_with("HTTP/1.1 200"));
}

/// Whether a client that sent `said` and then only takes note is closed, within a few times the
/// limit.
async fn is_closed(stream: &mut TcpStream, mut note: impl FnMut(&[u8]) -> Vec<u8>) -> bool {
    let closed = async {
        let mut some = [0; 4096];
        loop {
            match stream.read(&mut some).await {
                Ok(0) | Err(_) => return,
                // A server that is gone is found out by the next read.
                Ok(n) => drop(stream.write_all(&note(&some[..n])).await),
            }
        }
    };
    tokio::time::timeout(8 * LIMITS.header_timeout, closed).await.is_ok()
}

#[tokio::test]
async fn a_client_that_was_served_and_asks_no_more_is_closed() {
    let running = running(greeter(), None).await;
    let mut stream = TcpStream::connect(running.address).await.unwrap();
    stream.write_all(REQUEST.as_bytes()).await.unwrap();
    assert!(is_closed(&mut stream, |_| Vec::new()).await);
}

#[tokio::test]
async fn a_head_that_comes_byte_by_byte_does_not_hold_its_connection() {
    let running = running(greeter(), None).await;
    for served in ["", REQUEST] {
        let stream = TcpStream::connect(running.address).await.unwrap();
        let (mut reading, mut writing) = stream.into_split();
        writing.write_all(served.as_bytes()).await.unwrap();
        let trickle = tokio::spawn(async move {
            writing.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Long: ").await?;
            loop {
                tokio::time::sleep(LIMITS.header_timeout / 10).await;
                writing.write_all(b"x").await?;
            }
            #[expect(unreachable_code, reason = "says what the loop ends with")]
            Ok::<_, io::Error>(())
        });
        let mut answered = Vec::new();
        let closed = reading.read_to_end(&mut answered);
        assert!(tokio::time::timeout(8 * LIMITS.header_timeout, closed).await.is_ok());
        assert_eq!(answered.is_empty(), served.is_empty());
        trickle.abort();
    }
}

/// Frames of HTTP/2 (RFC 9113 section 4.1) that keep a connection alive and ask nothing.
fn acknowledged(frames: &[u8]) -> Vec<u8> {
    const SETTINGS: u8 = 4;
    const PING: u8 = 6;
    let mut rest = frames;
    let mut answer = Vec::new();
    while let [a, b, c, kind, flags, _, _, _, _, tail @ ..] = rest {
        let length = usize::from(*a) << 16 | usize::from(*b) << 8 | usize::from(*c);
        let Some((payload, next)) = tail.split_at_checked(length) else { break };
        let echoed: &[u8] = if *kind == PING { payload } else { &[] };
        if matches!(*kind, SETTINGS | PING) && flags & 1 == 0 {
            let length = u8::try_from(echoed.len()).unwrap();
            answer.extend([0, 0, length, *kind, 1, 0, 0, 0, 0]);
            answer.extend(echoed);
        }
        rest = next;
    }
    answer
}

#[tokio::test]
async fn an_http2_client_that_answers_pings_and_asks_nothing_is_closed() {
    let running = running(greeter(), None).await;
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    // A request for `/`: GET, http and / stand in the static table (RFC 7541 appendix A).
    let asked = b"\0\0\x03\x01\x05\0\0\0\x01\x82\x86\x84";
    for said in [&preface[..], &[&preface[..], asked].concat()] {
        let mut stream = TcpStream::connect(running.address).await.unwrap();
        stream.write_all(said).await.unwrap();
        assert!(is_closed(&mut stream, acknowledged).await);
    }
}

#[tokio::test]
async fn a_client_that_asks_in_advance_and_reads_nothing_gives_its_place_back() {
    let large = Router::new().route("/", get(|| async { vec![b'x'; 4 << 20] }));
    let limits = Limits { connections_max: 1, connections_per_source_max: 1, ..LIMITS };
    let running = running_within(limits, large, None).await;
    let mut stream = TcpStream::connect(running.address).await.unwrap();
    stream.write_all(REQUEST.repeat(20).as_bytes()).await.unwrap();
    let served = async {
        loop {
            let next = TcpStream::connect(running.address).await.unwrap();
            if answer(next, LAST_REQUEST).await.starts_with("HTTP/1.1 200") {
                return;
            }
        }
    };
    assert!(tokio::time::timeout(8 * LIMITS.header_timeout, served).await.is_ok());
    drop(stream);
}

#[tokio::test]
async fn a_request_that_takes_longer_than_a_client_may_be_silent_is_answered() {
    let slow = || async {
        tokio::time::sleep(4 * LIMITS.header_timeout).await;
        "done"
    };
    let running = running(Router::new().route("/", get(slow)), None).await;
    let stream = TcpStream::connect(running.address).await.unwrap();
    assert!(answer(stream, LAST_REQUEST).await.ends_with("done"));
}

#[tokio::test]
async fn stopping_lets_a_running_request_end_and_takes_no_new_one() {
    let (begun, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (told, awaited) = (Arc::clone(&begun), Arc::clone(&go));
    let slow = move || {
        let (told, awaited) = (Arc::clone(&told), Arc::clone(&awaited));
        async move {
            told.notify_one();
            awaited.notified().await;
            "done"
        }
    };
    let running = running(Router::new().route("/", get(slow)), None).await;
    let stream = TcpStream::connect(running.address).await.unwrap();
    let asked = tokio::spawn(answer(stream, REQUEST));
    begun.notified().await;
    running.stopper.send(true).unwrap();
    // The listener is gone once a connection is refused; the request still runs.
    while TcpStream::connect(running.address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    assert!(!asked.is_finished());
    go.notify_one();
    assert!(asked.await.unwrap().ends_with("done"));
    assert!(running.ended.await.unwrap());
}

//! Connections as clients make them: plain, encrypted, too many, too slow, and at the end.

use std::path::PathBuf;

use axum::routing::get;
use axum::{Extension, Router};
use rustls::RootCertStore;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Notify;

use super::*;
use crate::config::Tls;

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
        format!("{} {}", peer.peer.ip(), if peer.tls { "tls" } else { "plain" })
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

#[tokio::test]
async fn tls_is_served_by_the_certificate_files() {
    let file = |name| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/src/tls")).join(name);
    let tls = Tls { cert: Some(file("cert.pem")), key: Some(file("key.pem")) };
    let certificates = Certificates::load(&tls).unwrap().map(Arc::new);
    let running = running(greeter(), certificates).await;

    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(file("cert.pem")).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let client = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(running.address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(client));
    let stream = connector.connect(name, stream).await.unwrap();
    let answer = answer(stream, LAST_REQUEST).await;
    assert!(answer.ends_with("127.0.0.1 tls"), "{answer}");
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

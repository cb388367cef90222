//! Encrypted connections: each mode believes whom it says it does, and nobody else.

use std::net::TcpListener;
use std::path::PathBuf;

use counterfoil_store::{DatabaseUrl, OpenOptions, open};

use super::cluster::Cluster;

/// A file of the server's own tests: a certificate for `localhost` and 127.0.0.1, and its key.
fn fixture(name: &str) -> PathBuf {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../server/src/tls");
    PathBuf::from(path).join(name)
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_mode_believes_whom_it_says() {
    let port = free_port();
    let cluster = Cluster::encrypted(&fixture("cert.pem"), &fixture("key.pem"), port);
    let own = fixture("cert.pem").display().to_string();
    // Somebody else's authority: the root certificate of a cluster that is not this one.
    let other = fixture("other.pem").display().to_string();
    let connects = async |host: &str, parameters: &str| {
        let url = format!("postgres://cf@{host}:{port}/postgres?{parameters}");
        let opened = open(&DatabaseUrl::parse(&url).unwrap(), OpenOptions::default()).await;
        opened.map(drop).is_ok()
    };
    assert!(connects("127.0.0.1", "sslmode=require").await);
    assert!(connects("127.0.0.1", "").await, "encrypts if it can");
    assert!(!connects("127.0.0.1", "sslmode=disable").await, "this server wants encryption");
    assert!(connects("127.0.0.1", &format!("sslmode=verify-full&sslrootcert={own}")).await);
    assert!(connects("localhost", &format!("sslmode=verify-full&sslrootcert={own}")).await);
    let elsewhere = "127.0.0.2";
    assert!(!connects(elsewhere, &format!("sslmode=verify-full&sslrootcert={own}")).await);
    assert!(connects(elsewhere, &format!("sslmode=verify-ca&sslrootcert={own}")).await);
    for mode in ["require", "verify-ca", "verify-full"] {
        let parameters = format!("sslmode={mode}&sslrootcert={other}");
        assert!(!connects("127.0.0.1", &parameters).await, "{mode} believed a stranger");
    }
    drop(cluster);
}

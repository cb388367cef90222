//! Every store keeps every promise.

use std::sync::Arc;

use counterfoil_store::{DatabaseUrl, MemoryStore, OpenOptions, conformance, open};

#[tokio::test(flavor = "multi_thread")]
async fn memory_keeps_every_promise() {
    let promises = conformance::all(Arc::new(MemoryStore::new())).await;
    println!("memory keeps {promises} promises");
}

#[tokio::test(flavor = "multi_thread")]
async fn sqlite_keeps_every_promise() {
    let dir = tempfile::tempdir().unwrap();
    let url = DatabaseUrl::sqlite(&dir.path().join("store.db"));
    let store = open(&url, OpenOptions::default()).await.unwrap();
    let promises = conformance::all(Arc::clone(&store) as _).await;
    println!("SQLite keeps {promises} promises");
    let damage = store.integrity_check().await.unwrap();
    assert!(damage.is_empty(), "{damage:?}");
}

#[tokio::test]
async fn sqlite_prepares_every_statement() {
    let dir = tempfile::tempdir().unwrap();
    let url = DatabaseUrl::sqlite(&dir.path().join("store.db"));
    let store = open(&url, OpenOptions::default()).await.unwrap();
    let prepared = store.prepare_every_statement().await;
    println!("SQLite prepares {} statements", prepared.unwrap());
}

//! PostgreSQL keeps every promise that the others keep.

use std::sync::Arc;

use counterfoil_store::{MemoryStore, OpenOptions, conformance, open};

use super::cluster::Cluster;
use super::plans;

#[tokio::test(flavor = "multi_thread")]
async fn postgresql_keeps_as_many_promises_as_the_others() {
    let cluster = Cluster::that_explains();
    let store = open(&cluster.database("promises").await, OpenOptions::default()).await.unwrap();
    let promises = conformance::all(Arc::clone(&store) as _).await;
    println!("PostgreSQL keeps {promises} promises");
    assert_eq!(promises, conformance::all(Arc::new(MemoryStore::new())).await);
    let damage = store.integrity_check().await.unwrap();
    assert!(damage.is_empty(), "{damage:?}");
    store.close().await;
    plans::assert_that_every_table_is_read_by_an_index(&cluster.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn postgresql_prepares_every_statement() {
    let cluster = Cluster::start();
    let store = open(&cluster.database("statements").await, OpenOptions::default()).await.unwrap();
    let prepared = store.prepare_every_statement().await;
    println!("PostgreSQL prepares {} statements", prepared.unwrap());
}

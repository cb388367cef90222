//! x
use counterfoil_authority::store::*;
use counterfoil_store::*;
#[tokio::test]
async fn smoke() {
    let dir = tempfile::tempdir().unwrap();
    let url = DatabaseUrl::sqlite(&dir.path().join("a/db"));
    let store = open(&url, OpenOptions::default()).await.unwrap();
    println!("{}", store.prepare_every_statement().await.map_err(|e| format!("{e:?}")).unwrap());
    store.ping().await.unwrap();
    assert!(store.installation().await.unwrap().is_none());
    println!("{:?}", store.integrity_check().await.unwrap());
    println!("{:?}", store.figures());
    store.close().await;
    assert!(store.ping().await.is_err());
}

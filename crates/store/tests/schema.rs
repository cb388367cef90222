//! Who may change the schema of a database, and who only looks.

use std::fs;

use counterfoil_store::{DatabaseUrl, Older, OpenError, OpenOptions, open};

#[tokio::test]
async fn who_only_looks_changes_no_schema() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.db");
    let url = DatabaseUrl::sqlite(&path);
    let look = OpenOptions { create: false, older: Older::Refuse, ..OpenOptions::default() };
    let versions = || -> rusqlite::Result<i64> {
        let raw = rusqlite::Connection::open(&path)?;
        raw.query_row("select count(*) from schema_version", [], |row| row.get(0))
    };

    fs::write(&path, "").unwrap();
    assert!(matches!(open(&url, look.clone()).await, Err(OpenError::Empty)));
    assert!(versions().is_err(), "a table was made");

    // As a version before the first one would have left it.
    let raw = rusqlite::Connection::open(&path).unwrap();
    raw.execute("create table schema_version (version integer not null primary key)", []).unwrap();
    drop(raw);
    let refused = open(&url, look.clone()).await;
    let Err(OpenError::Older { found, known }) = refused else { panic!("opened") };
    assert_eq!((found, versions().unwrap()), (0, 0));

    let existing = OpenOptions { create: false, ..OpenOptions::default() };
    let store = open(&url, existing).await.unwrap();
    assert_eq!(store.schema_version(), known);
    store.close().await;
    open(&url, look.clone()).await.unwrap().close().await;

    let raw = rusqlite::Connection::open(&path).unwrap();
    raw.execute("insert into schema_version (version) values (999)", []).unwrap();
    drop(raw);
    assert!(matches!(open(&url, look).await, Err(OpenError::Newer { .. })));
}

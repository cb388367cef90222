//! Backups of a small installation: they come back whole, under their passphrase, or not at all.

use std::sync::Arc;

use counterfoil_authority::names::ClientName;
use counterfoil_authority::store::EventFilter;
use tempfile::TempDir;

use super::*;
use crate::installation::{self, IfEmpty};

fn config(dir: &Path) -> Config {
    let mut config = Config::default();
    config.data.dir = dir.to_owned();
    config
}

fn passphrase(text: &str) -> ClearSecret {
    ClearSecret::new(text.to_owned())
}

/// An installation, and the secret of its administrator.
async fn installed(root: &TempDir) -> (Config, ClearSecret) {
    let config = config(&root.path().join("data"));
    let admin = ClientName::parse("admin").unwrap();
    let opened = installation::open(&config, IfEmpty::Initialise(admin)).await.unwrap();
    opened.close().await.unwrap();
    (config, opened.first_key.unwrap().secret)
}

#[tokio::test]
async fn a_backup_restores_database_and_keys_and_says_so() {
    let root = tempfile::tempdir().unwrap();
    let (source, secret) = installed(&root).await;
    let file = root.path().join("backup.cfl");
    let key = passphrase("correct horse battery");
    let written = write(&source, &file, &key, Arc::new(|_| {})).await.unwrap();
    let left: Vec<_> = std::fs::read_dir(&source.data.dir).unwrap().collect();
    assert!(left.iter().all(|entry| {
        !entry.as_ref().unwrap().file_name().to_string_lossy().starts_with(".backup")
    }));
    let bytes = std::fs::read(&file).unwrap();
    let clear = secret.reveal().as_bytes();
    assert!(!bytes.windows(clear.len()).any(|window| window == clear));

    let target = config(&root.path().join("restored"));
    let began = OsClock.now();
    let manifest = restore(&target, &file, &key, &|_| {}).await.unwrap();
    assert_eq!(manifest, written);
    let opened = installation::open(&target, IfEmpty::Refuse).await.unwrap();
    assert_eq!(opened.id, written.installation);
    let realm = RealmName::parse(MAIN_REALM).unwrap();
    let filter = EventFilter { kind: Some("store.restored".into()), ..EventFilter::default() };
    let events = opened.store.event_list(&realm, filter, PageRequest::first(10)).await.unwrap();
    assert_eq!(events.items.len(), 1);
    // What tokens are used for is watched anew, because what came after the backup is not known.
    let watched = opened.store.use_notes_find(Vec::new(), 0).await.unwrap().since;
    assert!(watched.is_some_and(|since| since >= began), "{watched:?}");
    opened.close().await.unwrap();
}

#[tokio::test]
async fn nothing_is_overwritten() {
    let root = tempfile::tempdir().unwrap();
    let (source, _) = installed(&root).await;
    let file = root.path().join("backup.cfl");
    let key = passphrase("correct horse battery");
    write(&source, &file, &key, Arc::new(|_| {})).await.unwrap();
    let again = write(&source, &file, &key, Arc::new(|_| {})).await.unwrap_err();
    assert!(again.to_string().contains("exists and is not overwritten"), "{again}");
    let onto = restore(&source, &file, &key, &|_| {}).await.unwrap_err();
    assert!(matches!(onto, BackupError::NotEmpty(_)), "{onto}");
}

#[tokio::test]
async fn a_wrong_passphrase_or_a_cut_off_file_leaves_nothing_behind() {
    let root = tempfile::tempdir().unwrap();
    let (source, _) = installed(&root).await;
    let file = root.path().join("backup.cfl");
    let key = passphrase("correct horse battery");
    write(&source, &file, &key, Arc::new(|_| {})).await.unwrap();
    let target = config(&root.path().join("restored"));
    let wrong = restore(&target, &file, &passphrase("wrong"), &|_| {}).await.unwrap_err();
    assert!(wrong.to_string().contains("the passphrase is wrong"), "{wrong}");

    let whole = std::fs::read(&file).unwrap();
    std::fs::write(&file, &whole[..whole.len() - 100]).unwrap();
    assert!(restore(&target, &file, &key, &|_| {}).await.is_err());
    let left = std::fs::read_dir(&target.data.dir).map_or(0, Iterator::count);
    assert_eq!(left, 0);
}

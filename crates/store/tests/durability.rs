//! What was answered stays, whatever happens to the process, the file or the lock.

#![expect(clippy::unwrap_used, reason = "what a test sets up is there or the test ends")]

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use counterfoil_authority::names::Username;
use counterfoil_authority::store::{
    Change, EventStore, Inserted, InstallationStore, PageRequest, PeopleStore, Store, TokenStore,
    UserFilter,
};
use counterfoil_authority::subject::User;
use counterfoil_store::conformance::World;
use counterfoil_store::{BackupProgress, DatabaseUrl, OpenError, OpenOptions, SqlStore, open};

/// Names the file in which [`storm_of_a_process_that_will_be_killed`] writes.
const STORM: &str = "COUNTERFOIL_STORM";

async fn open_at(path: &Path) -> Arc<SqlStore> {
    open(&DatabaseUrl::sqlite(path), OpenOptions::default()).await.unwrap()
}

async fn world_at(path: &Path) -> (Arc<SqlStore>, World) {
    let store = open_at(path).await;
    let shared: Arc<dyn Store> = Arc::clone(&store) as _;
    let world = World::new(&shared, 1).await;
    (store, world)
}

async fn insert(store: &dyn Store, world: &World, name: &str) -> bool {
    let user = User { display_name: Some("x".repeat(200)), ..world.user_named(name) };
    let inserted = store.user_insert(user, world.event("user.created")).await;
    inserted.is_ok_and(|inserted| inserted == Inserted::Done)
}

async fn has(store: &SqlStore, world: &World, name: &str) -> bool {
    let name = Username::parse(name).unwrap();
    store.user_find(&world.realm, &name).await.unwrap().is_some()
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    PathBuf::from(format!("{}{suffix}", path.display()))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_answered_is_there_after_reopening() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.db");
    let (store, world) = world_at(&path).await;
    assert!(insert(&*store, &world, "alice").await);
    // Not closed: as if the process had ended.
    let again = open_at(&path).await;
    assert!(has(&again, &world, "alice").await);
    store.close().await;
    again.close().await;
    assert!(store.ping().await.is_err());
    assert_eq!(fs::metadata(beside(&path, "-wal")).map_or(0, |log| log.len()), 0);
    let closed = open_at(&path).await;
    assert!(has(&closed, &world, "alice").await);
}

/// Does nothing in a run of the tests; is the other process of the test below.
#[tokio::test(flavor = "multi_thread")]
async fn storm_of_a_process_that_will_be_killed() {
    let Some(path) = std::env::var_os(STORM) else { return };
    let (store, world) = world_at(Path::new(&path)).await;
    for round in 0.. {
        let tasks = (0..16).map(|task| {
            let (store, world, name) =
                (Arc::clone(&store), world.clone(), format!("{round}-{task}"));
            tokio::spawn(async move {
                assert!(insert(&*store, &world, &name).await);
                println!("answered {name}");
            })
        });
        for task in tasks.collect::<Vec<_>>() {
            task.await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_process_loses_nothing_that_it_answered() {
    let dir = tempfile::tempdir().unwrap();
    for round in 1..=3_usize {
        let path = dir.path().join(format!("{round}.db"));
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "storm_of_a_process_that_will_be_killed", "--nocapture"])
            .env(STORM, &path)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut answered = Vec::new();
        while answered.len() < round * 100 {
            let line = lines.next().unwrap().unwrap();
            answered.extend(line.split_once("answered ").map(|(_, name)| name.to_owned()));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        // A line may have been cut by the kill; a name without its end would be another name.
        let rest: Vec<String> = lines.map_while(Result::ok).collect();
        let whole = rest.iter().rev().skip(1);
        answered.extend(whole.filter_map(|line| line.strip_prefix("answered ").map(Into::into)));

        let store = open_at(&path).await;
        let shared: Arc<dyn Store> = Arc::clone(&store) as _;
        let world = World::existing(&shared, 1);
        for name in &answered {
            assert!(has(&store, &world, name).await, "{name} of {}", answered.len());
        }
        assert!(store.integrity_check().await.unwrap().is_empty());
        store.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_stores_on_one_file_see_each_other() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.db");
    let (one, world) = world_at(&path).await;
    let two = open_at(&path).await;
    let place = two.changes_end().await.unwrap();
    let mut tasks = Vec::new();
    for number in 0..40 {
        let store = Arc::clone(if number % 2 == 0 { &one } else { &two });
        let world = world.clone();
        tasks.push(tokio::spawn(async move {
            assert!(insert(&*store, &world, &format!("user-{number}")).await);
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    let changes = two.changes_since(&place, 100).await.unwrap().changes;
    assert_eq!(changes, one.changes_since(&place, 100).await.unwrap().changes);
    let users = changes.iter().filter(|change| matches!(change, Change::User(..)));
    assert_eq!((users.count(), changes.len()), (40, 40));
    for number in 0..40 {
        assert!(has(&one, &world, &format!("user-{number}")).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_of_another_process_delays_a_group_and_loses_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.db");
    let (store, world) = world_at(&path).await;
    let before = store.figures();
    let other = rusqlite::Connection::open(&path).unwrap();
    other.execute_batch("begin immediate").unwrap();
    let mut tasks = Vec::new();
    for number in 0..50 {
        let (store, world) = (Arc::clone(&store), world.clone());
        tasks.push(tokio::spawn(async move {
            insert(&*store, &world, &format!("user-{number}")).await
        }));
    }
    // Reading does not wait for it.
    assert!(!has(&store, &world, "user-0").await);
    while store.figures().waiting < 50 {
        tokio::task::yield_now().await;
    }
    other.execute_batch("rollback").unwrap();
    for task in tasks {
        assert!(task.await.unwrap());
    }
    let after = store.figures();
    assert_eq!(after.operations - before.operations, 50);
    // One group waited for the lock, and whoever came meanwhile was the second one.
    assert!(after.commits - before.commits <= 2, "{after:?}");
    assert!(after.batch_max >= 25, "{after:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operation_that_fails_takes_nobody_along() {
    let dir = tempfile::tempdir().unwrap();
    let (store, world) = world_at(&dir.path().join("store.db")).await;
    let other = rusqlite::Connection::open(dir.path().join("store.db")).unwrap();
    let alice = world.user_named("alice");
    assert!(insert(&*store, &world, "alice").await);
    let known = world.event("user.updated");
    store.event_append(vec![known.clone()]).await.unwrap();
    other.execute_batch("begin immediate").unwrap();
    let mut tasks = Vec::new();
    for number in 0..40 {
        let mut issue = world.issue_to(&alice);
        if number % 2 == 0 {
            // An id that is taken: its rows are written before the event fails.
            issue.event = known.clone();
        }
        let store = Arc::clone(&store);
        tasks.push(tokio::spawn(async move { store.token_issue(issue).await.is_ok() }));
    }
    while store.figures().waiting < 40 {
        tokio::task::yield_now().await;
    }
    other.execute_batch("rollback").unwrap();
    for (number, task) in tasks.into_iter().enumerate() {
        assert_eq!(task.await.unwrap(), number % 2 == 1);
    }
    assert_eq!(store.figures().failed_commits, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_vanishes_is_unavailable_until_it_is_back() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.db");
    let (store, world) = world_at(&path).await;
    assert!(insert(&*store, &world, "alice").await);
    let away = dir.path().join("away.db");
    for suffix in ["", "-wal", "-shm"] {
        fs::rename(beside(&path, suffix), beside(&away, suffix)).unwrap();
    }
    for _ in 0..3 {
        assert!(store.ping().await.is_err());
        assert!(!insert(&*store, &world, "bob").await);
        let page = PageRequest::first(1);
        let list = store.user_list(&world.realm, UserFilter::default(), page).await;
        assert!(list.is_err());
        assert!(store.user_find(&world.realm, &Username::parse("alice").unwrap()).await.is_err());
    }
    assert!(!path.exists(), "a lost database must not come back empty");
    for suffix in ["", "-wal", "-shm"] {
        fs::rename(beside(&away, suffix), beside(&path, suffix)).unwrap();
    }
    store.ping().await.unwrap();
    assert!(has(&store, &world, "alice").await);
    assert!(!has(&store, &world, "bob").await);
    assert!(insert(&*store, &world, "bob").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_file_is_an_error_and_never_an_answer() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.db");
    let (store, _world) = world_at(&path).await;
    store.close().await;
    fs::write(&path, vec![7; 40_000]).unwrap();
    let opened = open(&DatabaseUrl::sqlite(&path), OpenOptions::default()).await;
    assert!(matches!(opened, Err(OpenError::Unavailable(_))));
}

#[tokio::test]
async fn the_file_is_private_and_is_made_only_on_request() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("made/here/store.db");
    let url = DatabaseUrl::sqlite(&path);
    let existing = OpenOptions { create: false, ..OpenOptions::default() };
    let missing = open(&url, existing.clone()).await;
    assert!(matches!(missing, Err(OpenError::File { .. })));
    assert!(!path.exists());
    open_at(&path).await.ping().await.unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&path), 0o600);
    assert_eq!(mode(&beside(&path, "-wal")), 0o600);
    assert_eq!(mode(path.parent().unwrap()), 0o700);
    open(&url, existing).await.unwrap().ping().await.unwrap();
}

#[tokio::test]
async fn a_database_of_a_newer_version_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.db");
    let store = open_at(&path).await;
    let ours = store.schema_version();
    store.close().await;
    let raw = rusqlite::Connection::open(&path).unwrap();
    raw.execute("insert into schema_version (version) values (999)", []).unwrap();
    drop(raw);
    let refused = open(&DatabaseUrl::sqlite(&path), OpenOptions::default()).await;
    let Err(OpenError::Newer { found, known }) = refused else { panic!("opened") };
    assert_eq!((found, known), (999, ours));
}

#[tokio::test]
async fn a_server_that_is_not_there_cannot_be_used() {
    let url = DatabaseUrl::parse("postgres://cf@127.0.0.1:1,127.0.0.1:2/cf").unwrap();
    let Err(refused) = open(&url, OpenOptions::default()).await else { panic!("opened") };
    assert_eq!(refused.to_string(), "the database cannot be used");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_is_a_store_of_one_instant() {
    let dir = tempfile::tempdir().unwrap();
    let (store, world) = world_at(&dir.path().join("store.db")).await;
    for number in 0..200 {
        assert!(insert(&*store, &world, &format!("before-{number}")).await);
    }
    let copy = dir.path().join("backup.db");
    let steps = Arc::new(parking_lot::Mutex::new(Vec::<BackupProgress>::new()));
    let seen = Arc::clone(&steps);
    let backup = store.backup_to(&copy, move |step| seen.lock().push(step));
    let writing = async {
        for number in 0..50 {
            assert!(insert(&*store, &world, &format!("during-{number}")).await);
        }
    };
    let (backup, ()) = tokio::join!(backup, writing);
    backup.unwrap();
    let last = *steps.lock().last().unwrap();
    assert_eq!(last.pages_done, last.pages_total);
    assert_eq!(fs::metadata(&copy).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(store.backup_to(&copy, |_| ()).await.is_err(), "an older backup is not overwritten");

    let copy = open_at(&copy).await;
    assert!(copy.integrity_check().await.unwrap().is_empty());
    let page = PageRequest::first(1_000);
    let users = copy.user_list(&world.realm, UserFilter::default(), page).await.unwrap().items;
    let before = users.iter().filter(|user| user.username.as_str().starts_with("before-"));
    assert_eq!(before.count(), 200);
    // Whoever came during the backup came in order, and so did the changes.
    let during = users.len() as u64 - 200;
    for number in 0..during {
        assert!(has(&copy, &world, &format!("during-{number}")).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_is_written_back_while_others_write() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.db");
    let (store, world) = world_at(&path).await;
    assert!(insert(&*store, &world, "alice").await);
    let alice = world.user_named("alice");
    let mut longest = 0;
    while store.figures().checkpoints < 3 {
        store.token_seed((0..100).map(|_| world.issue_to(&alice)).collect()).await.unwrap();
        longest = longest.max(store.figures().wal_bytes);
    }
    assert!(longest < 128 * 1024 * 1024, "{longest}");
    assert!(fs::metadata(beside(&path, "-wal")).unwrap().len() < 128 * 1024 * 1024);
    store.close().await;
    assert_eq!(fs::metadata(beside(&path, "-wal")).unwrap().len(), 0);
}

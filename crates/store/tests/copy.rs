//! A copy between databases: where it may be cut off, what it refuses, what it notices.
#![expect(clippy::unwrap_used, reason = "what a test sets up is there or the test ends")]

mod installation;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use counterfoil_authority::authority::FirstKey;
use counterfoil_authority::store::{InstallationStore, LeaseStore, Store};
use counterfoil_store::conformance::World;
use counterfoil_store::copy::{self, CopyError, CopyOptions, Side};
use counterfoil_store::{DatabaseUrl, OpenError, OpenOptions, SqlStore, open};
use tempfile::TempDir;

use self::installation::{End, cut_off, dump, installation, is_good, now, options, quiet};

/// A directory with an installation in `from.db`, and nothing yet in `to.db`.
struct Both {
    dir: TempDir,
    key: FirstKey,
    from: DatabaseUrl,
    to: DatabaseUrl,
}

impl Both {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let url = |name: &str| DatabaseUrl::sqlite(&dir.path().join(name));
        let (from, to) = (url("from.db"), url("to.db"));
        let key = installation(&from, "alice").await;
        Self { dir, key, from, to }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Begins a copy and cuts it off after a few batches.
    async fn begin(&self) {
        let end = cut_off(&self.from, &self.to, few_rows(), 30).await;
        assert!(matches!(end, End::CutOff));
    }

    async fn refusal(&self, options: CopyOptions) -> CopyError {
        copy::copy(&self.from, &self.to, options, quiet).await.unwrap_err()
    }

    /// Does something to the source, as a server would.
    async fn serve<F: Future<Output = ()>>(&self, serve: impl FnOnce(Arc<SqlStore>) -> F) {
        let store = open(&self.from, OpenOptions::default()).await.unwrap();
        serve(Arc::clone(&store)).await;
        store.close().await;
    }
}

/// So few rows at a time that there are many points to be cut off at.
fn few_rows() -> CopyOptions {
    CopyOptions { batch_rows: 2, ..options() }
}

fn execute(path: &Path, sql: &str) {
    rusqlite::Connection::open(path).unwrap().execute_batch(sql).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_is_cut_off_anywhere_goes_on_where_it_ended() {
    let both = Both::new().await;
    let mut runs = 0;
    let done = loop {
        runs += 1;
        // Sooner or later, and in the end while the tables are compared.
        let steps = runs * 7 % 17 + runs;
        match cut_off(&both.from, &both.to, few_rows(), steps).await {
            End::CutOff => {}
            End::Whole(done) => break Some(done),
            End::WholeBefore => break None,
        }
        assert!(runs < 500, "it never ends");
    };
    println!("cut off {} times", runs - 1);
    assert!(runs > 5 && done.as_ref().is_none_or(|done| done.rows_resumed > 0), "{runs}: {done:?}");
    assert_eq!(dump(&both.path("from.db")), dump(&both.path("to.db")));
    assert!(is_good(&both.to, &both.key).await);
    let store = open(&both.to, OpenOptions::default()).await.unwrap();
    assert_eq!(store.integrity_check().await.unwrap(), Vec::<String>::new());
    store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unfinished_copy_is_neither_served_nor_copied_from() {
    let both = Both::new().await;
    both.begin().await;
    for create in [true, false] {
        let options = OpenOptions { create, ..OpenOptions::default() };
        let refused = open(&both.to, options).await.err().unwrap();
        assert!(matches!(refused, OpenError::UnfinishedCopy), "{refused}");
    }
    let other = DatabaseUrl::sqlite(&both.path("other.db"));
    let refused = copy::copy(&both.to, &other, options(), quiet).await.unwrap_err();
    let unfinished = OpenError::UnfinishedCopy.to_string();
    let CopyError::Open { side: Side::Source, source } = refused else { panic!("{refused}") };
    assert_eq!(source.to_string(), unfinished);
    assert!(!both.path("other.db").exists());

    copy::copy(&both.from, &both.to, options(), quiet).await.unwrap();
    open(&both.to, OpenOptions::default()).await.unwrap().close().await;
}

/// Versions before this one know no mark, but they know a schema that is too new for them.
#[tokio::test(flavor = "multi_thread")]
async fn the_mark_is_a_schema_of_the_future_to_any_version() {
    let both = Both::new().await;
    both.begin().await;
    let raw = rusqlite::Connection::open(both.path("to.db")).unwrap();
    let version = |raw: &rusqlite::Connection| -> i64 {
        raw.query_row("select max(version) from schema_version", [], |row| row.get(0)).unwrap()
    };
    assert_eq!(version(&raw), i64::MAX);
    copy::copy(&both.from, &both.to, options(), quiet).await.unwrap();
    assert!(version(&raw) < 1_000);
    let left = "select count(*) from sqlite_master where name = 'unfinished_copy'";
    assert_eq!(raw.query_row(left, [], |row| row.get::<_, i64>(0)).unwrap(), 0);
}

/// The store goes on with what it was told when nobody waits for it any more: the last batch of a
/// copy that was cut off may arrive in the midst of the next one, which reads larger batches.
#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_was_on_its_way_when_a_copy_was_cut_off_costs_the_next_one_nothing() {
    let both = Both::new().await;
    for round in 0..40 {
        let to = DatabaseUrl::sqlite(&both.path(&format!("to-{round}.db")));
        match cut_off(&both.from, &to, few_rows(), round).await {
            End::CutOff => {
                copy::copy(&both.from, &to, options(), quiet).await.unwrap();
            }
            End::Whole(_) | End::WholeBefore => {}
        }
        let copied = dump(&both.path(&format!("to-{round}.db")));
        assert_eq!(dump(&both.path("from.db")), copied, "cut off after {round}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_with_anything_in_it_is_left_as_it_is() {
    let both = Both::new().await;
    installation(&both.to, "bob").await;
    let before = dump(&both.path("to.db"));
    let refused = both.refusal(options()).await;
    assert!(matches!(refused, CopyError::NotEmpty { table: "installation" }), "{refused}");
    assert_eq!(dump(&both.path("to.db")), before);
    // The same database twice is a target that is not empty.
    let refused = copy::copy(&both.from, &both.from, options(), quiet).await.unwrap_err();
    assert!(matches!(refused, CopyError::NotEmpty { .. }), "{refused}");

    let older = DatabaseUrl::sqlite(&both.path("older.db"));
    execute(
        &both.path("older.db"),
        "create table schema_version (version integer not null primary key)",
    );
    let refused = copy::copy(&both.from, &older, options(), quiet).await.unwrap_err();
    let CopyError::Open { side: Side::Target, source } = refused else { panic!("{refused}") };
    assert!(matches!(source, OpenError::Older { .. }), "{source}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_without_an_installation_is_refused_and_no_target_is_made() {
    let both = Both::new().await;
    let nothing = DatabaseUrl::sqlite(&both.path("nothing.db"));
    let refused = copy::copy(&nothing, &both.to, options(), quiet).await.unwrap_err();
    assert!(matches!(refused, CopyError::Open { side: Side::Source, .. }), "{refused}");
    open(&nothing, OpenOptions::default()).await.unwrap().close().await;
    let refused = copy::copy(&nothing, &both.to, options(), quiet).await.unwrap_err();
    assert!(matches!(refused, CopyError::Open { side: Side::Source, .. }), "{refused}");
    assert!(!both.path("to.db").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_is_finished_only_from_the_installation_that_it_was_begun_with() {
    let both = Both::new().await;
    both.begin().await;
    let other = DatabaseUrl::sqlite(&both.path("other.db"));
    installation(&other, "bob").await;
    let refused = copy::copy(&other, &both.to, options(), quiet).await.unwrap_err();
    assert!(matches!(refused, CopyError::OtherInstallation { .. }), "{refused}");
    copy::copy(&both.from, &both.to, options(), quiet).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_that_lives_is_a_server_unless_servers_are_locked_out() {
    let both = Both::new().await;
    both.serve(|store| async move {
        store.lease_take("purge", "node", now(), now().plus_seconds(150)).await.unwrap().unwrap();
    })
    .await;
    let open = CopyOptions { source_is_locked: false, ..options() };
    let refused = both.refusal(open).await;
    assert!(matches!(refused, CopyError::SourceServed { seconds: 150 }), "{refused}");
    assert!(!both.path("to.db").exists());
    let later = CopyOptions { now: now().plus_seconds(151), ..open };
    copy::copy(&both.from, &both.to, later, quiet).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_was_served_since_the_beginning_is_refused() {
    let both = Both::new().await;
    both.begin().await;
    both.serve(|store| async move { store.ping().await.map(drop).unwrap() }).await;
    let refused = both.refusal(options()).await;
    assert!(matches!(refused, CopyError::SourceChanged), "{refused}");
    // Emptied, as the refusal says.
    for name in ["to.db", "to.db-wal", "to.db-shm"] {
        let _ = fs::remove_file(both.path(name));
    }
    copy::copy(&both.from, &both.to, options(), quiet).await.unwrap();
    assert_eq!(dump(&both.path("from.db")), dump(&both.path("to.db")));
}

/// What no mark of a server tells, the comparison does.
#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_is_not_the_same_on_both_sides_is_found() {
    let both = Both::new().await;
    both.begin().await;
    execute(&both.path("to.db"), "update realm set zone = 'Europe/Paris'");
    let refused = both.refusal(options()).await;
    let CopyError::Differs { table, source_rows, target_rows, .. } = &refused else {
        panic!("{refused}")
    };
    assert_eq!((*table, source_rows), ("realm", target_rows));
    let opened = open(&both.to, OpenOptions::default()).await;
    assert!(matches!(opened, Err(OpenError::UnfinishedCopy)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_is_written_to_meanwhile_is_noticed() {
    let both = Both::new().await;
    let path = both.path("from.db");
    let steps = std::sync::atomic::AtomicU32::new(0);
    let meddle = |_| {
        if steps.fetch_add(1, std::sync::atomic::Ordering::Relaxed) == 40 {
            execute(&path, "update heartbeat set beats = beats + 1");
        }
    };
    let refused = copy::copy(&both.from, &both.to, few_rows(), meddle).await.unwrap_err();
    assert!(matches!(refused, CopyError::SourceChanged), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_numbers_of_the_change_log_go_on() {
    let both = Both::new().await;
    copy::copy(&both.from, &both.to, options(), quiet).await.unwrap();
    let store = open(&both.to, OpenOptions::default()).await.unwrap();
    let place = store.changes_end().await.unwrap();
    let shared: Arc<dyn Store> = Arc::clone(&store) as _;
    World::new(&shared, 2).await;
    assert!(!store.changes_since(&place, 10).await.unwrap().changes.is_empty());
    store.close().await;
}

#[test]
fn every_table_of_the_store_is_in_the_page_about_retention() {
    let page = include_str!("../../../docs/operate/data-retention.md");
    let (_, table) = page.split_once("## Table by table").unwrap();
    let (table, _) = table.split_once("\n## ").unwrap();
    let rows = table.lines().filter_map(|line| line.strip_prefix("| `"));
    let told: Vec<&str> = rows.map(|row| row.split('`').next().unwrap()).collect();
    let unique: BTreeSet<&str> = told.iter().copied().collect();
    assert_eq!(told.len(), unique.len(), "a table is there twice");
    let mut tables: BTreeSet<&str> =
        copy::copied_columns().iter().map(|(name, ..)| *name).collect();
    tables.insert("schema_version");
    assert_eq!(unique, tables);
    for row in table.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        assert!(cells.len() == 4 && cells.iter().all(|cell| !cell.is_empty()), "{row}");
    }
}

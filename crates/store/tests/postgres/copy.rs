//! An installation moves to PostgreSQL and back, and is the same afterwards.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use counterfoil_authority::kind::Kind;
use counterfoil_authority::names::ClientName;
use counterfoil_authority::secret::{ClearSecret, Prefix, TokenId, generate_prefixed};
use counterfoil_authority::secret_hash::{SecretHash, keyed_hash};
use counterfoil_authority::store::{InstallationStore, LeaseStore, Store, TokenStore, UsageDelta};
use counterfoil_authority::testing::SeededEntropy;
use counterfoil_store::conformance::{self, World};
use counterfoil_store::copy::{self, Copied, CopyError, CopyOptions, CopyPhase, CopyProgress};
use counterfoil_store::{DatabaseUrl, OpenError, OpenOptions, SqlStore, open};

use tokio::runtime::Handle;
use tokio::sync::Notify;

use super::cluster::Cluster;
use super::installation::{
    End, authority, cut_off, dump, good, installation, is_good, keys, now, options, quiet,
};

/// Tokens that move: more in the long run.
fn tokens() -> usize {
    if std::env::var_os("COUNTERFOIL_LONG").is_some() { 1_000_000 } else { 10_000 }
}

fn at(path: &Path, name: &str) -> DatabaseUrl {
    DatabaseUrl::sqlite(&path.join(name))
}

/// Issues `count` tokens, which have been used; the secrets of some, spread evenly over all.
async fn issue(store: &Arc<SqlStore>, world: &World, count: usize) -> Vec<ClearSecret> {
    let owner = world.user("many").await;
    let keys = keys();
    let entropy = SeededEntropy::new(count as u64);
    let mut secrets = Vec::new();
    let mut left = count;
    while left > 0 {
        let mut issues: Vec<_> = (0..left.min(1_000)).map(|_| world.issue_to(&owner)).collect();
        let first = &mut issues[0];
        let (kind, id) = (first.token.kind, first.token.id);
        let clear = generate_prefixed(&Prefix::default(), kind, id, &entropy).unwrap();
        first.secret.hash = SecretHash::Keyed {
            pepper: keys.pepper().id(),
            mac: keyed_hash(keys.pepper(), clear.reveal()),
        };
        secrets.push(clear);
        left -= issues.len();
        let used = issues.iter().map(|issue| UsageDelta {
            token: issue.token.id,
            accepted: 3,
            denied: 1,
            first_at: Some(now()),
            last_at: Some(now()),
            last_ip: None,
            is_listed: false,
        });
        let used = used.collect();
        store.token_seed(issues).await.unwrap();
        store.usage_flush(used, Vec::new(), Vec::new()).await.unwrap();
    }
    secrets
}

/// Secrets in due form that nobody was ever issued.
fn strangers() -> Vec<ClearSecret> {
    let entropy = SeededEntropy::new(99);
    let id = TokenId::generate(&entropy).unwrap();
    let kind = Kind::PersonalAccessToken;
    vec![generate_prefixed(&Prefix::default(), kind, id, &entropy).unwrap()]
}

/// Copies the first half, is cut off, and goes on with the rest.
async fn copy_in_two(from: &DatabaseUrl, to: &DatabaseUrl) -> Copied {
    let half = Notify::new();
    let told = |progress: CopyProgress| {
        if progress.phase == CopyPhase::Copying && progress.rows_done * 2 >= progress.rows_total {
            half.notify_one();
        }
    };
    tokio::select! {
        biased;
        () = half.notified() => {}
        done = copy::copy(from, to, options(), told) => panic!("it was not cut off: {done:?}"),
    }
    let done = copy::copy(from, to, options(), quiet).await.unwrap();
    let rows: u64 = done.tables.iter().map(|table| table.rows).sum();
    // A batch that was on its way when the first run ended may be there or not.
    let half = rows / 2..rows * 3 / 4;
    assert!(half.contains(&done.rows_resumed), "{} of {rows} resumed", done.rows_resumed);
    done
}

#[tokio::test(flavor = "multi_thread")]
async fn an_installation_moves_to_postgresql_and_back_cut_off_half_way_and_nothing_differs() {
    let dir = tempfile::tempdir().unwrap();
    let (from, back) = (at(dir.path(), "from.db"), at(dir.path(), "back.db"));
    let store = open(&from, OpenOptions::default()).await.unwrap();
    // Whatever a promise is about leaves rows behind, of every sort there is.
    conformance::all(Arc::clone(&store) as _).await;
    let shared: Arc<dyn Store> = Arc::clone(&store) as _;
    let secrets = issue(&store, &World::new(&shared, 1_000).await, tokens()).await;
    let admin = ClientName::parse("mover").unwrap();
    let key = authority(&store, 3).recover_admin(&admin).await.unwrap();
    store.lease_take("purge", "node", now(), now()).await.unwrap();
    drop(shared);
    store.close().await;
    // Those of the promises have run out by the end.
    let kept = "insert into idempotency values ('user:root', 'key', x'00ff', x'0a', 1)";
    let raw = rusqlite::Connection::open(dir.path().join("from.db")).unwrap();
    raw.execute(kept, []).unwrap();
    // The promises about purges left none.
    for row in [
        "link values ('0123456789AB', 'realm-1', 'BA9876543210', 1, 2, 1, x'00ff', null, x'0b')",
        "refresh_successor values ('0123456789AB', 'secret-1', x'00ff', 0, 9)",
        "directory_hash values ('0123456789AB', 'secret-1', '{SSHA}', x'00ff')",
        "outbox (realm, event) values ('realm-1', 'event-1')",
        "access_token values ('0123456789AB', 'realm-1', 1, x'00ff', '{}', 1, 7)",
        "access_revocation values ('0123456789AB', 'realm-1', 1, 2)",
        "proof values ('once', 1)",
        "console_session values ('session-1', 'realm-1', 'user-1', 1, x'00ff', 1, 1, 9, null, 'x', \
         'oidc', 3)",
        "token_network values ('0123456789AB', '192.0.2.0/24', 1, 2)",
        "shadow_difference values ('realm-1', 'one', 'old', '', 'only_here', '0123456789AB', '', '', \
         3, 1, 2)",
        "token_use values ('0123456789AB', 'door', 'api', 20000)",
        "passkey values ('passkey-1', 'realm-1', 'user-1', 'cred-1', 'handle-1', 'x', x'00ff', 3, 1, \
         null)",
        "external_identity values ('realm-1', 'issuer-1', 'subject-1', 'user-1', 1, 2)",
        "sign_in_flow values ('flow-1', 'realm-1', x'00ff', 9)",
        "sign_in_link values ('link-1', 'realm-1', null, 1, 'system', 9, 1, x'00ff', null)",
    ] {
        raw.execute(&format!("insert into {row}"), []).unwrap();
    }
    let before = dump(&dir.path().join("from.db"));
    let empty: Vec<_> = before.iter().filter(|(_, rows)| rows.is_empty()).collect();
    assert!(empty.is_empty(), "nothing to copy in {empty:?}");

    let cluster = Cluster::start();
    let middle = cluster.database("middle").await;
    let there = copy_in_two(&from, &middle).await;
    assert!(is_good(&middle, &key).await, "the key is good on PostgreSQL");
    assert_eq!(good(&middle, &secrets).await, secrets.len(), "secrets on PostgreSQL");
    let again = copy_in_two(&middle, &back).await;
    assert!(is_good(&back, &key).await, "the key is good on SQLite");
    assert_eq!(good(&back, &secrets).await, secrets.len(), "secrets on SQLite");
    assert_eq!(good(&back, &strangers()).await, 0);

    assert_eq!(dump(&dir.path().join("back.db")), before);
    let of_both = (&there.tables, &again.tables);
    assert_eq!(of_both.0, of_both.1, "counts and checksums do not depend on the engine");
    let rows: u64 = there.tables.iter().map(|table| table.rows).sum();
    println!(
        "{} tables, {rows} rows, of them {} and {} before each copy was cut off; {} secrets",
        there.tables.len(),
        there.rows_resumed,
        again.rows_resumed,
        secrets.len()
    );
    assert_eq!(dump(&dir.path().join("from.db")), before, "the source was only read");

    // Everything that a server does works on the copy, numbers included.
    let store = open(&middle, OpenOptions::default()).await.unwrap();
    let place = store.changes_end().await.unwrap();
    let shared: Arc<dyn Store> = Arc::clone(&store) as _;
    let world = World::new(&shared, 1_001).await;
    assert!(!store.changes_since(&place, 10).await.unwrap().changes.is_empty());
    issue(&store, &world, 1_000).await;
    while store.usage_settle().await.unwrap() {}
    assert_eq!(store.integrity_check().await.unwrap(), Vec::<String>::new());
    store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_to_postgresql_and_back_may_be_cut_off_anywhere() {
    let dir = tempfile::tempdir().unwrap();
    let (from, back) = (at(dir.path(), "from.db"), at(dir.path(), "back.db"));
    installation(&from, "alice").await;
    let cluster = Cluster::start();
    let middle = cluster.database("middle").await;
    let few = CopyOptions { batch_rows: 2, ..options() };
    for (from, to) in [(&from, &middle), (&middle, &back)] {
        let (mut runs, mut whole) = (0, 0);
        loop {
            match cut_off(from, to, few, runs * 13).await {
                End::CutOff => runs += 1,
                End::Whole(done) => break assert!(done.rows_resumed > 0, "{done:?}"),
                End::WholeBefore => break,
            }
            let opened = open(to, OpenOptions { create: false, ..OpenOptions::default() }).await;
            let Some(refused) = opened.err() else {
                // Cut off between its last commit and its last word; the next run says so.
                whole += 1;
                assert_eq!(whole, 1);
                continue;
            };
            let is_right = match &refused {
                OpenError::UnfinishedCopy => true,
                // Cut off before it began.
                OpenError::Empty | OpenError::File { .. } => runs == 1,
                _ => false,
            };
            assert!(is_right, "run {runs}: {refused}");
            assert!(runs < 500, "it never ends");
        }
        println!("cut off {runs} times");
        assert!(runs > 3);
    }
    assert_eq!(dump(&dir.path().join("from.db")), dump(&dir.path().join("back.db")));
}

/// Stops the server in the middle, as a crash would, on whichever side it is.
#[tokio::test(flavor = "multi_thread")]
async fn a_copy_goes_on_after_the_database_server_has_crashed() {
    let dir = tempfile::tempdir().unwrap();
    let (from, back) = (at(dir.path(), "from.db"), at(dir.path(), "back.db"));
    let key = installation(&from, "alice").await;
    let cluster = Cluster::start();
    let middle = cluster.database("middle").await;
    let few = CopyOptions { batch_rows: 3, ..options() };
    for (from, to) in [(&from, &middle), (&middle, &back)] {
        let steps = AtomicU32::new(0);
        let crash = |progress: CopyProgress| {
            let copying = progress.phase == CopyPhase::Copying;
            if copying && steps.fetch_add(1, Ordering::Relaxed) == 30 {
                cluster.end("immediate");
            }
        };
        let failed = copy::copy(from, to, few, crash).await.unwrap_err();
        assert!(matches!(failed, CopyError::Unavailable { .. }), "{failed}");
        cluster.begin();
        let done = copy::copy(from, to, few, quiet).await.unwrap();
        assert!(done.rows_resumed >= 30, "{done:?}");
        assert!(is_good(to, &key).await);
    }
    // Whoever authenticates leaves no trace, so this is the installation as it was.
    assert_eq!(dump(&dir.path().join("from.db")), dump(&dir.path().join("back.db")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_works_on_postgresql_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let to = at(dir.path(), "to.db");
    let cluster = Cluster::start();
    let from = cluster.database("served").await;
    installation(&from, "alice").await;
    let node = open(&from, OpenOptions::default()).await.unwrap();
    let lease = node.lease_take("purge", "node", now(), now().plus_seconds(150)).await.unwrap();
    let watched = CopyOptions { source_is_locked: false, ..options() };
    let refused = copy::copy(&from, &to, watched, quiet).await.unwrap_err();
    assert!(matches!(refused, CopyError::SourceServed { seconds: 150 }), "{refused}");
    node.lease_end(&lease.unwrap(), now()).await.unwrap();

    // One that holds no lease is noticed by what it writes.
    let steps = AtomicU32::new(0);
    let work = |_| {
        if steps.fetch_add(1, Ordering::Relaxed) == 5 {
            let ping = || Handle::current().block_on(node.ping());
            tokio::task::block_in_place(ping).unwrap();
        }
    };
    let refused = copy::copy(&from, &to, watched, work).await.unwrap_err();
    assert!(matches!(refused, CopyError::SourceChanged), "{refused}");
    node.close().await;
}

/// A password stands in the URL, so no error and no name of a database shows one.
#[tokio::test(flavor = "multi_thread")]
async fn no_error_of_a_copy_shows_a_password() {
    let dir = tempfile::tempdir().unwrap();
    let cluster = Cluster::start();
    let url = |name: &str| {
        let text = format!("postgres://cf:hunter2@{}/{name}", cluster.host());
        DatabaseUrl::parse(&text).unwrap()
    };
    let to = at(dir.path(), "to.db");
    let refused = copy::copy(&url("nowhere"), &to, options(), quiet).await.unwrap_err();
    assert!(!format!("{refused} {refused:?}").contains("hunter2"), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_knows_every_table_and_column_of_both_engines() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.db");
    open(&DatabaseUrl::sqlite(&path), OpenOptions::default()).await.unwrap().close().await;
    let cluster = Cluster::start();
    let url = cluster.database("schema").await;
    open(&url, OpenOptions::default()).await.unwrap().close().await;
    let engines =
        [super::schema::of_sqlite(&path), super::schema::of_postgres(&cluster, "schema").await];
    for schema in engines {
        let copied = copy::copied_columns();
        let names: BTreeSet<_> = copied.iter().map(|(name, ..)| *name).collect();
        let mut found: BTreeSet<_> = schema.keys().map(String::as_str).collect();
        assert!(found.remove("schema_version"));
        assert_eq!(names, found, "add the table to crates/store/src/copy/tables.rs");
        for (name, columns, key) in copied {
            let table = &schema[name];
            let mut expected: BTreeSet<_> = table.columns.keys().map(String::as_str).collect();
            if name == "change_log" {
                // A transaction of the database itself.
                assert!(expected.remove("owner"));
            }
            let listed: BTreeSet<_> = columns.iter().copied().collect();
            assert_eq!(
                listed, expected,
                "add the column of {name} to crates/store/src/copy/tables.rs"
            );
            let key: Vec<String> = columns[..key].iter().map(ToString::to_string).collect();
            assert!(table.unique.contains(&(key, false)), "{name}: {:?}", table.unique);
        }
    }
}

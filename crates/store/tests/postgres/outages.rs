//! What happens when the database goes away: in the middle of a commit, for a while, or for good.

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use counterfoil_authority::store::Change;
use counterfoil_authority::store::{
    ChangeListener, Inserted, InstallationStore, PeopleStore, Store, TokenStore,
};
use counterfoil_store::conformance::World;
use counterfoil_store::{DatabaseUrl, OpenOptions, SqlStore, open};
use parking_lot::Mutex;
use tokio::time::timeout;

use super::cluster::Cluster;
use super::proxy::{Proxy, When};

/// No call may take longer, whatever the database does.
const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Default)]
struct Heard(Mutex<Vec<Change>>);

impl ChangeListener for Heard {
    fn changed(&self, changes: &[Change]) {
        self.0.lock().extend_from_slice(changes);
    }
}

async fn opened(url: &DatabaseUrl) -> (Arc<SqlStore>, World) {
    let store = open(url, OpenOptions::default()).await.unwrap();
    let shared: Arc<dyn Store> = Arc::clone(&store) as _;
    (store, World::new(&shared, 1).await)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_whose_answer_is_lost_is_looked_up() {
    let cluster = Cluster::start();
    cluster.database("lost").await;
    let proxy = Proxy::start(&cluster).await;
    let (store, world) = opened(&proxy.url("lost")).await;
    let heard = Arc::new(Heard::default());
    store.listen(Arc::clone(&heard) as _);
    for (name, when) in [("alice", When::AfterCommit), ("bob", When::BeforeCommit)] {
        proxy.cut(when);
        // Fails unless the person is there exactly once.
        let user = world.user(name).await;
        assert_eq!(
            store.user_find(&world.realm, &user.username).await.unwrap(),
            Some(user.clone())
        );
        let told = Change::User(world.realm.clone(), user.username);
        assert_eq!(std::mem::take(&mut *heard.0.lock()), [told], "{name}");
    }
    assert_eq!(proxy.cuts(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_nobody_can_look_up_is_told_as_unknown() {
    let cluster = Cluster::start();
    cluster.database("unknown").await;
    let proxy = Proxy::start(&cluster).await;
    let (store, world) = opened(&proxy.url("unknown")).await;
    let heard = Arc::new(Heard::default());
    store.listen(Arc::clone(&heard) as _);
    proxy.cut(When::AfterCommitForGood);
    let user = world.user_named("alice");
    let said = timeout(PATIENCE, store.user_insert(user.clone(), world.event("user.created")));
    let unavailable = said.await.unwrap().unwrap_err();
    assert!(unavailable.0.to_string().contains("outcome is unknown"), "{unavailable:?}");
    // It may have taken place, so whatever it would have changed is forgotten.
    let told = Change::User(world.realm.clone(), user.username.clone());
    assert_eq!(*heard.0.lock(), [told]);
    proxy.mend();
    let again = store.user_insert(user.clone(), world.event("user.created")).await.unwrap();
    assert_eq!(again, Inserted::Exists);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_restarts_is_found_again() {
    let cluster = Cluster::start();
    let (store, world) = opened(&cluster.database("restart").await).await;
    let alice = world.user("alice").await;
    let token = world.token_of(&alice).await;
    for mode in ["immediate", "fast"] {
        cluster.end(mode);
        assert!(store.token_record(token.id).await.is_err());
        assert!(store.ping().await.is_err());
        cluster.begin();
        store.ping().await.unwrap();
        store.token_record(token.id).await.unwrap().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_frozen_is_unavailable_in_time() {
    let cluster = Cluster::start();
    let (store, world) = opened(&cluster.database("frozen").await).await;
    let alice = world.user("alice").await;
    let token = world.token_of(&alice).await;
    let signal = |name: &str, processes: &[String]| {
        assert!(Command::new("kill").arg(name).args(processes).status().unwrap().success());
    };
    let processes = cluster.processes();
    signal("-STOP", &processes);
    let (read, written) = tokio::join!(
        timeout(PATIENCE, store.token_record(token.id)),
        timeout(PATIENCE, store.ping())
    );
    signal("-CONT", &processes);
    assert!(read.unwrap().is_err());
    assert!(written.unwrap().is_err());
    store.token_record(token.id).await.unwrap().unwrap();
    store.ping().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_that_somebody_holds_is_unavailable_in_time() {
    let cluster = Cluster::start();
    let (store, world) = opened(&cluster.database("blocked").await).await;
    let holder = cluster.client("blocked").await;
    holder.batch_execute("begin; lock table person in access exclusive mode").await.unwrap();
    let user = world.user_named("alice");
    let said = timeout(PATIENCE, store.user_insert(user, world.event("user.created")));
    said.await.unwrap().unwrap_err();
    holder.batch_execute("rollback").await.unwrap();
    world.user("alice").await;
}

/// Tells a server to take writes, or to take none, and waits until it has heard it.
async fn set_writable(cluster: &Cluster, writable: bool) {
    let word = if writable { "off" } else { "on" };
    let client = cluster.client("postgres").await;
    let set = format!("alter system set default_transaction_read_only = {word}");
    client.batch_execute("set default_transaction_read_only = off").await.unwrap();
    client.batch_execute(&set).await.unwrap();
    client.batch_execute("select pg_reload_conf()").await.unwrap();
    loop {
        let fresh = cluster.client("postgres").await;
        let row = fresh.query_one("show default_transaction_read_only", &[]).await.unwrap();
        if row.get::<_, &str>(0) == word {
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_several_hosts_the_one_that_takes_writes_is_found() {
    let (one, two) = (Cluster::start(), Cluster::start());
    for cluster in [&one, &two] {
        let url = cluster.database("cf").await;
        open(&url, OpenOptions::default()).await.unwrap().close().await;
    }
    set_writable(&one, false).await;
    let hosts = format!("postgres://cf@{},{}/cf", one.host(), two.host());
    let url = DatabaseUrl::parse(&hosts).unwrap();
    let (store, world) = opened(&url).await;
    // The first is promoted, the second demoted, as a switchover does.
    set_writable(&one, true).await;
    set_writable(&two, false).await;
    store.ping().await.unwrap();
    let shared: Arc<dyn Store> = Arc::clone(&store) as _;
    let world_of_one = World::new(&shared, 1).await;
    assert_eq!(world.realm, world_of_one.realm);
    // None of them: the store is unavailable, and available again when one is back.
    set_writable(&one, false).await;
    assert!(timeout(PATIENCE, store.ping()).await.unwrap().is_err());
    set_writable(&two, true).await;
    store.ping().await.unwrap();
}

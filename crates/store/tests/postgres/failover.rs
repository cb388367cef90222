//! A primary dies and its standby takes over; and commits that wait for a standby.

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use counterfoil_authority::store::{Change, InstallationStore, PeopleStore, Store};
use counterfoil_store::conformance::World;
use counterfoil_store::{DatabaseUrl, OpenOptions, open};
use tokio::time::timeout;

use super::cluster::Cluster;

/// No call may take longer, whatever the database does.
const PATIENCE: Duration = Duration::from_secs(20);

async fn set(cluster: &Cluster, setting: &str) {
    let client = cluster.client("postgres").await;
    client.batch_execute(&format!("alter system set {setting}")).await.unwrap();
    client.batch_execute("select pg_reload_conf()").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_failover_what_was_answered_is_there_and_caches_start_anew() {
    let primary = Cluster::start();
    primary.database("cf").await;
    let standby = primary.standby();
    set(&primary, "synchronous_standby_names = '*'").await;
    // The standby first, which takes no writes.
    let hosts = format!("postgres://cf@{},{}/cf", standby.host(), primary.host());
    let store = open(&DatabaseUrl::parse(&hosts).unwrap(), OpenOptions::default()).await.unwrap();
    let shared: Arc<dyn Store> = Arc::clone(&store) as _;
    let world = World::new(&shared, 1).await;
    let alice = world.user("alice").await;
    let place = store.changes_end().await.unwrap();

    primary.end("immediate");
    assert!(timeout(PATIENCE, store.ping()).await.unwrap().is_err());
    assert!(
        timeout(PATIENCE, store.user_find(&world.realm, &alice.username)).await.unwrap().is_err()
    );
    standby.promote();
    let found = store.user_find(&world.realm, &alice.username).await.unwrap();
    assert_eq!(found, Some(alice));
    world.user("bob").await;
    let read = store.changes_since(&place, 10).await.unwrap();
    // Numbers of another primary tell nothing about what was seen of the former one.
    assert_eq!(read.changes[0], Change::Everything);
    assert_eq!(store.changes_since(&read.place, 10).await.unwrap().changes, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_primary_that_was_replaced_is_not_taken_for_one_again() {
    let primary = Cluster::start();
    primary.database("cf").await;
    let standby = primary.standby();
    // The standby must have the schema before it is alone.
    set(&primary, "synchronous_standby_names = '*'").await;
    let hosts = format!("postgres://cf@{},{}/cf", primary.host(), standby.host());
    let store = open(&DatabaseUrl::parse(&hosts).unwrap(), OpenOptions::default()).await.unwrap();
    set(&primary, "synchronous_standby_names = ''").await;
    primary.end("immediate");
    standby.promote();
    timeout(PATIENCE, store.ping()).await.unwrap().unwrap();
    // It comes back and does not know that there is another one.
    primary.begin();
    standby.end("immediate");
    for _ in 0..3 {
        assert!(timeout(PATIENCE, store.ping()).await.unwrap().is_err());
        assert!(timeout(PATIENCE, store.changes_end()).await.unwrap().is_err());
    }
    standby.begin();
    timeout(PATIENCE, store.ping()).await.unwrap().unwrap();
}

/// A server that crashed may give out numbers of transactions again.
#[tokio::test(flavor = "multi_thread")]
async fn after_a_crash_of_the_server_caches_start_anew() {
    let cluster = Cluster::start();
    let url = cluster.database("cf").await;
    let store = open(&url, OpenOptions::default()).await.unwrap();
    let place = store.changes_end().await.unwrap();
    assert_eq!(store.changes_since(&place, 10).await.unwrap().changes, []);
    cluster.end("immediate");
    cluster.begin();
    let read = timeout(PATIENCE, store.changes_since(&place, 10)).await.unwrap().unwrap();
    assert_eq!(read.changes, [Change::Everything]);
    assert_eq!(store.changes_since(&read.place, 10).await.unwrap().changes, []);
}

/// One of its processes is killed, and the server recovers without having been started anew.
#[tokio::test(flavor = "multi_thread")]
async fn after_a_crash_within_a_running_server_caches_start_anew() {
    let cluster = Cluster::start();
    let url = cluster.database("cf").await;
    let store = open(&url, OpenOptions::default()).await.unwrap();
    let place = store.changes_end().await.unwrap();
    assert_eq!(store.changes_since(&place, 10).await.unwrap().changes, []);
    let victim = cluster.client("cf").await;
    let pid: i32 = victim.query_one("select pg_backend_pid()", &[]).await.unwrap().get(0);
    let before = cluster.processes()[0].clone();
    assert!(Command::new("kill").args(["-9", &pid.to_string()]).status().unwrap().success());
    // It is heard of a moment later, and then the server takes nobody until it has recovered.
    let recovered = timeout(PATIENCE, async {
        loop {
            let read = store.changes_since(&place, 10).await;
            if let Some(read) = read.ok().filter(|read| !read.changes.is_empty()) {
                return read;
            }
        }
    });
    let read = recovered.await.unwrap();
    assert_eq!(read.changes, [Change::Everything]);
    assert_eq!(store.changes_since(&read.place, 10).await.unwrap().changes, []);
    assert_eq!(cluster.processes()[0], before, "the server as such lives on");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ping_tells_the_time_of_the_server() {
    let cluster = Cluster::start();
    let store = open(&cluster.database("cf").await, OpenOptions::default()).await.unwrap();
    let client = cluster.client("cf").await;
    let clock = async || -> i64 {
        let ask = "select (extract(epoch from clock_timestamp()) * 1000000)::bigint";
        client.query_one(ask, &[]).await.unwrap().get(0)
    };
    let before = clock().await;
    let told = store.ping().await.unwrap().clock.unwrap().micros();
    assert!(before <= told && told <= clock().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_no_standby_confirms_is_never_told_as_done() {
    let cluster = Cluster::start();
    let url = cluster.database("cf").await;
    let store = open(&url, OpenOptions::default()).await.unwrap();
    store.ping().await.unwrap();
    set(&cluster, "synchronous_standby_names = 'nobody'").await;
    let client = cluster.client("postgres").await;
    let waits = "select pid from pg_stat_activity where wait_event = 'SyncRep'";

    // The setting is heard of a moment later.
    let mut pending = tokio::spawn({
        let store = Arc::clone(&store);
        async move { store.ping().await }
    });
    let pid: i32 = loop {
        if let Some(row) = client.query_opt(waits, &[]).await.unwrap() {
            break row.get(0);
        }
        if pending.is_finished() {
            let store = Arc::clone(&store);
            pending = tokio::spawn(async move { store.ping().await });
        }
    };
    // An operator lets it go: it stands here, and the server warns that it may not elsewhere.
    client.execute("select pg_cancel_backend($1)", &[&pid]).await.unwrap();
    let said = timeout(PATIENCE, pending).await.unwrap().unwrap().unwrap_err();
    assert!(said.0.to_string().contains("no standby has confirmed"), "{said:?}");

    // Nobody lets it go: it is still running when the patience ends.
    let said = timeout(PATIENCE, store.ping()).await.unwrap().unwrap_err();
    assert!(said.0.to_string().contains("outcome is unknown"), "{said:?}");
    set(&cluster, "synchronous_standby_names = ''").await;
    timeout(PATIENCE, store.ping()).await.unwrap().unwrap();
}

//! Transactions that the database takes back because they met others: repeated as a whole, with
//! the effect of one.

use std::sync::Arc;
use std::time::Duration;

use counterfoil_authority::store::{Rotated, Store, TokenStore};
use counterfoil_store::conformance::World;
use counterfoil_store::{OpenOptions, SqlStore, open};
use tokio::time::sleep;

use super::cluster::Cluster;

const DATABASE: &str = "repeated";

/// A store with nobody in it yet.
async fn opened(cluster: &Cluster) -> (Arc<SqlStore>, World) {
    let url = cluster.database(DATABASE).await;
    let store = open(&url, OpenOptions::default()).await.unwrap();
    let shared: Arc<dyn Store> = Arc::clone(&store) as _;
    (store, World::new(&shared, 1).await)
}

/// The next `times` new secrets are refused with a serialization failure. A sequence counts them,
/// because it is not taken back with its transaction.
fn refusing(times: i64) -> String {
    format!(
        "create sequence met;
         create function meet() returns trigger language plpgsql as $$
         begin
             if nextval('met') <= {times} then
                 raise exception 'met another' using errcode = '40001';
             end if;
             return new;
         end $$;
         create trigger meet before insert on token_secret
         for each row execute function meet();"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_serialization_failure_is_repeated_and_takes_effect_once() {
    let cluster = Cluster::start();
    let (store, world) = opened(&cluster).await;
    let user = world.user("alice").await;
    let token = world.token_of(&user).await;
    let other = cluster.client(DATABASE).await;
    other.batch_execute(&refusing(3)).await.unwrap();

    let Rotated::Done(rotated) = store.token_rotate(world.rotate(&token)).await.unwrap() else {
        panic!("not rotated")
    };
    assert_eq!(rotated.secrets.len(), 2, "one more than there was");
    let runs = other.query_one("select last_value from met", &[]).await.unwrap();
    assert_eq!(runs.get::<_, i64>(0), 4, "three in vain, and the one that stays");
    let stored = store.token_find(&world.realm, token.id).await.unwrap().unwrap();
    assert_eq!(stored.secrets.len(), 2);
    store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_meets_others_for_ever_is_unavailable_and_changes_nothing() {
    let cluster = Cluster::start();
    let (store, world) = opened(&cluster).await;
    let user = world.user("alice").await;
    let token = world.token_of(&user).await;
    let other = cluster.client(DATABASE).await;
    other.batch_execute(&refusing(i64::MAX)).await.unwrap();

    let refused = store.token_rotate(world.rotate(&token)).await.unwrap_err();
    let runs = other.query_one("select last_value from met", &[]).await.unwrap();
    assert!((2..100).contains(&runs.get::<_, i64>(0)), "{refused:?} after {runs:?}");
    let stored = store.token_find(&world.realm, token.id).await.unwrap().unwrap();
    assert_eq!((stored.secrets.len(), stored.version), (1, token.version));
    store.close().await;
}

/// Ours has the token and wants its secrets, another has the secrets and wants the token.
#[tokio::test(flavor = "multi_thread")]
async fn the_victim_of_a_deadlock_is_repeated_and_takes_effect_once() {
    let cluster = Cluster::start();
    // Who waits this long looks whether it is in a circle, and is the one that ends: ours, since
    // the other one has all the time there is.
    let admin = cluster.client("postgres").await;
    let (store, world) = {
        let opened = opened(&cluster).await;
        let slow = format!("alter database {DATABASE} set deadlock_timeout = '2s'");
        admin.batch_execute(&slow).await.unwrap();
        opened
    };
    let user = world.user("alice").await;
    let token = world.token_of(&user).await;
    store.close().await;
    let store = open(&cluster.url(DATABASE), OpenOptions::default()).await.unwrap();

    let mut other = cluster.client(DATABASE).await;
    other.batch_execute("set deadlock_timeout = '1h'").await.unwrap();
    let holds = other.transaction().await.unwrap();
    let id = token.id.as_str().to_owned();
    let secrets = "select 1 from token_secret where token = $1 for update";
    holds.query(secrets, &[&id]).await.unwrap();
    let (ours, rotate) = (Arc::clone(&store), world.rotate(&token));
    let rotated = tokio::spawn(async move { ours.token_rotate(rotate).await });
    let waits = "select count(*) from pg_stat_activity
                 where datname = $1 and wait_event_type = 'Lock'";
    while admin.query_one(waits, &[&DATABASE]).await.unwrap().get::<_, i64>(0) == 0 {
        sleep(Duration::from_millis(5)).await;
    }
    holds.query("select 1 from token where id = $1 for update", &[&id]).await.unwrap();
    holds.commit().await.unwrap();

    let Rotated::Done(rotated) = rotated.await.unwrap().unwrap() else { panic!("not rotated") };
    assert_eq!(rotated.secrets.len(), 2);
    assert!(cluster.log().contains("deadlock detected"), "{}", cluster.log());
    let stored = store.token_find(&world.realm, token.id).await.unwrap().unwrap();
    assert_eq!(stored.secrets.len(), 2);
    store.close().await;
}

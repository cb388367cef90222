//! The change log loses nothing, in whatever order transactions end.

use std::collections::BTreeSet;
use std::sync::Arc;

use counterfoil_authority::store::{Change, InstallationStore, LogPlace};
use counterfoil_store::{OpenOptions, SqlStore, open};
use tokio_postgres::Client;

use super::cluster::Cluster;

/// Random orders that are tried.
const SCHEDULES: u64 = 1_000;
/// Writers at the same time.
const WRITERS: usize = 3;

async fn opened(cluster: &Cluster, name: &str) -> Arc<SqlStore> {
    open(&cluster.database(name).await, OpenOptions::default()).await.unwrap()
}

/// A change of a person whose name is the number.
async fn write(client: &Client, number: u64) {
    let sql = format!(
        "insert into change_log (at, kind, realm, name) values (0, 'user', 'main', 'u{number}')"
    );
    client.batch_execute(&sql).await.unwrap();
}

fn number_of(change: &Change) -> u64 {
    match change {
        Change::User(_, name) => name.as_str()[1..].parse().unwrap(),
        other => panic!("{other:?}"),
    }
}

/// What became known, in pieces of at most `limit`.
async fn read(store: &SqlStore, place: &mut LogPlace, limit: u32) -> Vec<u64> {
    let mut numbers = Vec::new();
    loop {
        let read = store.changes_since(place, limit).await.unwrap();
        numbers.extend(read.changes.iter().map(number_of));
        *place = read.place;
        if !read.more {
            return numbers;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_low_number_that_appears_late_is_told() {
    let cluster = Cluster::start();
    let store = opened(&cluster, "late").await;
    let (low, high) = (cluster.client("late").await, cluster.client("late").await);
    let unrelated = cluster.client("postgres").await;
    unrelated.batch_execute("begin; select pg_current_xact_id()").await.unwrap();
    // In a log that is empty nobody can tell the first number from one that was purged.
    write(&high, 0).await;
    let mut place = store.changes_end().await.unwrap();
    low.batch_execute("begin").await.unwrap();
    write(&low, 1).await;
    write(&high, 2).await;
    // Neither the open number nor an older transaction elsewhere holds up what is known.
    assert_eq!(read(&store, &mut place, 10).await, [2]);
    write(&high, 3).await;
    assert_eq!(read(&store, &mut place, 10).await, [3]);
    low.batch_execute("commit").await.unwrap();
    assert_eq!(read(&store, &mut place, 10).await, [1]);
    high.batch_execute("begin").await.unwrap();
    write(&high, 4).await;
    high.batch_execute("rollback").await.unwrap();
    write(&high, 5).await;
    assert_eq!(read(&store, &mut place, 10).await, [5]);
    assert!(read(&store, &mut place, 10).await.is_empty());
}

/// A generator that gives the same schedules every time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

/// What a writer has written and not yet committed.
type Pending = Option<Vec<u64>>;

async fn step(dice: &mut Dice, client: &Client, pending: &mut Pending, next: &mut u64) -> Vec<u64> {
    match pending.take() {
        None => {
            // Some have a number before they write, as transactions of the store do.
            let begin =
                ["begin", "begin; select pg_current_xact_id()"][usize::from(dice.below(2) == 0)];
            client.batch_execute(begin).await.unwrap();
            *pending = Some(Vec::new());
            Vec::new()
        }
        Some(mut written) if written.len() < 3 && dice.below(2) == 0 => {
            *next += 1;
            write(client, *next).await;
            written.push(*next);
            *pending = Some(written);
            Vec::new()
        }
        Some(written) if dice.below(4) > 0 => {
            client.batch_execute("commit").await.unwrap();
            written
        }
        Some(_) => {
            client.batch_execute("rollback").await.unwrap();
            Vec::new()
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_change_is_lost_in_a_thousand_random_schedules() {
    let cluster = Cluster::start();
    let store = opened(&cluster, "schedules").await;
    let mut clients = Vec::new();
    for _ in 0..WRITERS {
        let client = cluster.client("schedules").await;
        client.batch_execute("set synchronous_commit = off").await.unwrap();
        clients.push(client);
    }
    let mut next = 0;
    let mut place = store.changes_end().await.unwrap();
    for schedule in 1..=SCHEDULES {
        let mut dice = Dice(schedule.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let mut pending: Vec<Pending> = vec![None; WRITERS];
        let (mut committed, mut told) = (Vec::new(), Vec::new());
        for _ in 0..16 {
            let who = usize::try_from(dice.below(WRITERS as u64 + 1)).unwrap();
            match clients.get(who) {
                Some(client) => {
                    committed.extend(step(&mut dice, client, &mut pending[who], &mut next).await);
                }
                None => told.extend(read(&store, &mut place, 3).await),
            }
        }
        for (client, pending) in clients.iter().zip(pending) {
            if let Some(written) = pending {
                client.batch_execute("commit").await.unwrap();
                committed.extend(written);
            }
        }
        told.extend(read(&store, &mut place, 3).await);
        let (once, all): (BTreeSet<_>, BTreeSet<_>) =
            (told.iter().collect(), committed.iter().collect());
        assert_eq!(once, all, "schedule {schedule}");
        assert_eq!(told.len(), committed.len(), "schedule {schedule} told something twice");
    }
}

//! Several nodes on one database: limits are exact, and each question has its price.

use std::sync::Arc;

use counterfoil_authority::policy::AtLimit;
use counterfoil_authority::store::{ActiveLimit, Consumed, Counted, Issued, Store, TokenStore};
use counterfoil_authority::token::State;
use counterfoil_store::conformance::World;
use counterfoil_store::{DatabaseUrl, OpenOptions, SqlStore, open};

use super::cluster::Cluster;

/// Nodes of one installation.
const NODES: u64 = 3;
/// Clients that ask at the same moment.
const CLIENTS: usize = 200;

/// How often a race is run: more often in the long run.
fn repetitions() -> usize {
    if std::env::var_os("COUNTERFOIL_LONG").is_some() { 50 } else { 10 }
}

async fn nodes(url: &DatabaseUrl) -> Vec<Arc<SqlStore>> {
    let mut nodes = Vec::new();
    for jitter in 0..NODES {
        let options = OpenOptions { jitter, ..OpenOptions::default() };
        nodes.push(open(url, options).await.unwrap());
    }
    nodes
}

/// Lets every client ask one of the nodes, and collects what they were told.
async fn race<T, F>(nodes: &[Arc<SqlStore>], ask: impl Fn(Arc<SqlStore>) -> F) -> Vec<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let asked = nodes.iter().cycle().take(CLIENTS);
    let tasks: Vec<_> = asked.map(|node| tokio::spawn(ask(Arc::clone(node)))).collect();
    let mut told = Vec::new();
    for task in tasks {
        told.push(task.await.unwrap());
    }
    told
}

#[tokio::test(flavor = "multi_thread")]
async fn five_uses_are_five_whoever_counts_them() {
    let cluster = Cluster::start();
    let nodes = nodes(&cluster.database("uses").await).await;
    let shared: Arc<dyn Store> = Arc::clone(&nodes[0]) as _;
    let world = World::new(&shared, 1).await;
    let alice = world.user("alice").await;
    for _ in 0..repetitions() {
        let mut issue = world.issue_to(&alice);
        issue.token.max_usages = Some(5);
        let (id, now) = (issue.token.id, issue.token.created_at);
        assert!(matches!(nodes[1].token_issue(issue).await.unwrap(), Issued::Done { .. }));
        let told =
            race(&nodes, |node| async move { node.token_consume(id, now, None).await.unwrap() });
        let told = told.await;
        let mut used: Vec<u64> = told
            .iter()
            .filter_map(|said| match said {
                Consumed::Done { used } => Some(*used),
                Consumed::Refused(_) => None,
            })
            .collect();
        used.sort_unstable();
        assert_eq!(used, [1, 2, 3, 4, 5]);
        let exhausted = |said: &&Consumed| **said == Consumed::Refused(State::Exhausted);
        assert_eq!(told.iter().filter(exhausted).count(), CLIENTS - 5);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_of_one_lets_one_through_whichever_node_is_asked() {
    let cluster = Cluster::start();
    let nodes = nodes(&cluster.database("limits").await).await;
    let shared: Arc<dyn Store> = Arc::clone(&nodes[0]) as _;
    let world = World::new(&shared, 1).await;
    for repetition in 0..repetitions() {
        let user = world.user(&format!("user-{repetition}")).await;
        let told = race(&nodes, |node| {
            let mut issue = world.issue_to(&user);
            issue.limits = vec![ActiveLimit {
                of: Counted::EveryService,
                max: 1,
                at_limit: AtLimit::Refuse,
                slow_only: false,
            }];
            issue.token.services = counterfoil_authority::service::Services::All;
            async move { node.token_issue(issue).await.unwrap() }
        })
        .await;
        let done = told.iter().filter(|said| matches!(said, Issued::Done { .. }));
        assert_eq!(done.count(), 1);
        let refused = told.iter().filter(|said| **said == Issued::AtLimit(1));
        assert_eq!(refused.count(), CLIENTS - 1);
    }
    let repeated: u64 = nodes.iter().map(|node| node.figures().failed_commits).sum();
    // Nobody starts again: those who wait for their turn see what the one before them did.
    assert_eq!(repeated, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_point_read_is_one_round_trip_and_an_issue_three() {
    let cluster = Cluster::start();
    let store = open(&cluster.database("trips").await, OpenOptions::default()).await.unwrap();
    let shared: Arc<dyn Store> = Arc::clone(&store) as _;
    let world = World::new(&shared, 1).await;
    let alice = world.user("alice").await;
    let token = world.token_of(&alice).await;
    // Once for each connection that is shared, so that the statement is prepared there.
    for _ in 0..8 {
        store.token_record(token.id).await.unwrap().unwrap();
    }
    let before = store.figures().round_trips;
    for _ in 0..100 {
        store.token_record(token.id).await.unwrap().unwrap();
    }
    assert_eq!(store.figures().round_trips - before, 100);
    let before = store.figures().round_trips;
    for _ in 0..100 {
        // What it is for and whose it is; the token and its secret; the commit.
        world.token_of(&alice).await;
    }
    assert_eq!(store.figures().round_trips - before, 300);
}

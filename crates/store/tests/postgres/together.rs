//! Issues that come at the same time share a commit, and neither its failure nor its doubt.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use counterfoil_authority::secret::TokenId;
use counterfoil_authority::store::{Issued, Store, TokenIssue, TokenStore, Unavailable};
use counterfoil_authority::subject::User;
use counterfoil_store::conformance::World;
use counterfoil_store::{DatabaseUrl, OpenOptions, SqlStore, open};
use tokio::task::{JoinHandle, yield_now};
use tokio::time::timeout;
use tokio_postgres::Client;

use super::cluster::Cluster;
use super::proxy::{Proxy, When};

/// No call may take longer, whatever the database does.
const PATIENCE: Duration = Duration::from_secs(20);
/// As many as go in one group.
const GROUP: usize = 30;

type Told = Result<Issued, Unavailable>;

/// A store, a person in it, and a way past it.
struct Scene {
    store: Arc<SqlStore>,
    world: World,
    alice: User,
    holder: Client,
    watcher: Client,
}

impl Scene {
    async fn new(cluster: &Cluster, name: &str, url: &DatabaseUrl) -> Self {
        let store = open(url, OpenOptions::default()).await.unwrap();
        let shared: Arc<dyn Store> = Arc::clone(&store) as _;
        let world = World::new(&shared, 1).await;
        let alice = world.user("alice").await;
        let (holder, watcher) = (cluster.client(name).await, cluster.client(name).await);
        Self { store, world, alice, holder, watcher }
    }

    fn issues(&self, count: usize) -> Vec<TokenIssue> {
        (0..count).map(|_| self.world.issue_to(&self.alice)).collect()
    }

    /// Waits until as many callers wait for the store.
    async fn wait_for(&self, enough: impl Fn(u64) -> bool) {
        let come = async {
            while !enough(self.store.figures().waiting) {
                yield_now().await;
            }
        };
        timeout(PATIENCE, come).await.unwrap();
    }

    fn ask(&self, issue: TokenIssue) -> JoinHandle<Told> {
        let store = Arc::clone(&self.store);
        tokio::spawn(async move { store.token_issue(issue).await })
    }

    /// Lets these issues come while nobody gets on: one waits in each place, and takes back what
    /// it wrote instead of committing it.
    async fn asked_at_once(&self, issues: Vec<TokenIssue>) -> Vec<JoinHandle<Told>> {
        self.asked_before(issues, || ()).await
    }

    /// The same, and takes a step before those get on.
    async fn asked_before(
        &self,
        issues: Vec<TokenIssue>,
        step: impl FnOnce(),
    ) -> Vec<JoinHandle<Told>> {
        let known = self.world.token_of(&self.alice).await;
        self.holder
            .batch_execute("begin; lock table token in access exclusive mode")
            .await
            .unwrap();
        let mut ahead = Vec::new();
        for waiting in 1..=2 {
            let mut issue = self.world.issue_to(&self.alice);
            issue.token.id = known.id;
            ahead.push(self.ask(issue));
            let blocked = async { while self.blocked().await < waiting {} };
            timeout(PATIENCE, blocked).await.unwrap();
        }
        let all = issues.len() as u64 + 2;
        let asked = issues.into_iter().map(|issue| self.ask(issue)).collect();
        self.wait_for(|waiting| waiting >= all).await;
        step();
        self.holder.batch_execute("rollback").await.unwrap();
        for task in ahead {
            assert_eq!(task.await.unwrap().unwrap(), Issued::Collision);
        }
        asked
    }

    /// How many wait for a lock.
    async fn blocked(&self) -> i64 {
        let ask = "select count(*) from pg_stat_activity where wait_event_type = 'Lock'";
        self.watcher.query_one(ask, &[]).await.unwrap().get(0)
    }

    /// All rows of a token are there.
    async fn has(&self, id: TokenId) -> bool {
        let rows = "select (select count(*) from token where id = $1)
                         + (select count(*) from token_secret where token = $1)
                         + (select count(*) from event where token = $1)
                         + (select count(*) from token_service s
                            join token t on t.realm = s.realm and t.sort_key = s.sort_key
                            where t.id = $1)";
        let id = id.to_string();
        let count: i64 = self.watcher.query_one(rows, &[&id]).await.unwrap().get(0);
        assert!(count == 0 || count == 4, "{count} rows of {id}");
        count == 4
    }
}

async fn told(asked: Vec<JoinHandle<Told>>) -> Vec<Told> {
    let mut told = Vec::new();
    for task in asked {
        told.push(timeout(PATIENCE, task).await.unwrap().unwrap());
    }
    told
}

fn ids(issues: &[TokenIssue]) -> Vec<TokenId> {
    issues.iter().map(|issue| issue.token.id).collect()
}

fn is_done(told: &Told) -> bool {
    matches!(told, Ok(Issued::Done { .. }))
}

#[tokio::test(flavor = "multi_thread")]
async fn issues_that_come_at_the_same_time_share_a_commit() {
    let cluster = Cluster::start();
    let scene = Scene::new(&cluster, "cf", &cluster.database("cf").await).await;
    let issues = scene.issues(64);
    let ids = ids(&issues);
    let before = scene.store.figures();
    assert!(told(scene.asked_at_once(issues).await).await.iter().all(is_done));
    let after = scene.store.figures();
    // Those ahead, one before them, and two groups; a third when one place took a few only.
    assert!(after.commits - before.commits <= 6, "{before:?} {after:?}");
    assert_eq!(after.operations - before.operations, 67);
    assert_eq!(after.batch_max, 32);
    assert_eq!((after.failed_commits, after.waiting), (0, 0));
    for id in ids {
        assert!(scene.has(id).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_issue_that_is_refused_takes_nobody_of_its_group_along() {
    let cluster = Cluster::start();
    let scene = Scene::new(&cluster, "cf", &cluster.database("cf").await).await;
    let known = scene.world.token_of(&scene.alice).await;
    let heard = scene.world.issue_to(&scene.alice);
    assert!(is_done(&scene.store.token_issue(heard.clone()).await));
    // What is wrong with the first of them, and how often a group is taken back for it.
    for (wrong, taken_back) in [("service", 0), ("id", 1), ("event", 1)] {
        let mut issues = scene.issues(GROUP);
        match wrong {
            "service" => {
                let owner = issues[0].token.owner.clone();
                issues[0] = scene.world.issue_for(owner, &["unknown"]);
            }
            "id" => issues[0].token.id = known.id,
            _ => issues[0].event = heard.event.clone(),
        }
        let ids = ids(&issues);
        let before = scene.store.figures();
        let mut told = told(scene.asked_at_once(issues).await).await;
        match wrong {
            "service" => assert!(matches!(told[0], Ok(Issued::ServiceGone(_))), "{:?}", told[0]),
            "id" => assert_eq!(told[0].as_ref().unwrap(), &Issued::Collision),
            _ => assert!(told[0].is_err()),
        }
        assert!(told.split_off(1).iter().all(is_done), "{wrong}");
        for id in &ids[1..] {
            assert!(scene.has(*id).await, "{wrong}");
        }
        let after = scene.store.figures();
        assert!(after.failed_commits - before.failed_commits >= taken_back, "{wrong}");
        assert_eq!(after.failed_commits > before.failed_commits, taken_back > 0, "{wrong}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_commit_of_a_group_is_looked_up_for_everybody_in_it() {
    let cluster = Cluster::start();
    cluster.database("lost").await;
    let proxy = Proxy::start(&cluster).await;
    let scene = Scene::new(&cluster, "lost", &proxy.url("lost")).await;
    let ways = [When::AfterCommit, When::BeforeCommit, When::AfterCommitForGood];
    for (count, when) in (1..).zip(ways) {
        let issues = scene.issues(GROUP);
        let ids = ids(&issues);
        let before = scene.store.figures();
        // Nobody else commits until the group does.
        let asked = scene.asked_before(issues, || proxy.cut(when)).await;
        let told = told(asked).await;
        assert_eq!(proxy.cuts(), count);
        let after = scene.store.figures();
        match when {
            When::AfterCommitForGood => {
                for told in told {
                    let unavailable = told.unwrap_err();
                    assert!(unavailable.0.to_string().contains("outcome is unknown"));
                }
            }
            When::AfterCommit => {
                assert!(told.iter().all(is_done));
                assert_eq!(after.failed_commits, before.failed_commits);
                assert_eq!(after.batch_max, GROUP as u64);
            }
            When::BeforeCommit => {
                assert!(told.iter().all(is_done));
                assert!(after.failed_commits > before.failed_commits);
            }
        }
        for id in ids {
            assert!(scene.has(id).await, "{when:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_whose_callers_went_away_is_committed_and_leaves_its_place() {
    let cluster = Cluster::start();
    let scene = Scene::new(&cluster, "cf", &cluster.database("cf").await).await;
    let issues = scene.issues(GROUP);
    let ids = ids(&issues);
    for task in scene.asked_at_once(issues).await {
        task.abort();
    }
    scene.wait_for(|waiting| waiting == 0).await;
    for id in ids {
        assert!(scene.has(id).await);
    }
    assert!(is_done(&scene.store.token_issue(scene.world.issue_to(&scene.alice)).await));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_issue_that_was_answered_is_lost_when_the_server_dies() {
    let cluster = Cluster::start();
    let url = cluster.database("cf").await;
    let scene = Scene::new(&cluster, "cf", &url).await;
    let done = Arc::new(AtomicU64::new(0));
    let clients: Vec<_> = (0..64)
        .map(|_| {
            let (store, world) = (Arc::clone(&scene.store), scene.world.clone());
            let (alice, done) = (scene.alice.clone(), Arc::clone(&done));
            tokio::spawn(async move {
                let mut answered = Vec::new();
                loop {
                    let issue = world.issue_to(&alice);
                    let id = issue.token.id;
                    match store.token_issue(issue).await {
                        Ok(Issued::Done { .. }) => answered.push(id),
                        Ok(other) => panic!("{other:?}"),
                        Err(_) => return answered,
                    }
                    done.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    let answered_some = async {
        while done.load(Ordering::Relaxed) < 500 {
            yield_now().await;
        }
    };
    timeout(PATIENCE, answered_some).await.unwrap();
    cluster.end("immediate");
    let mut answered = BTreeSet::new();
    for client in clients {
        answered.extend(timeout(PATIENCE * 2, client).await.unwrap().unwrap());
    }
    assert!(answered.len() >= 500);
    assert!(scene.store.figures().batch_max > 1);
    cluster.begin();
    let scene = Scene { watcher: cluster.client("cf").await, ..scene };
    for id in answered {
        assert!(scene.has(id).await, "{id}");
    }
    assert!(is_done(&scene.store.token_issue(scene.world.issue_to(&scene.alice)).await));
}

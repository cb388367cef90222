//! Three nodes on one PostgreSQL: what one of them is told holds on the others.

mod alone;
mod feed_proxy;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::Barrier;

use serde_json::json;

use self::feed_proxy::FeedProxy;
use crate::cluster::Cluster;
use crate::harness::{PATIENCE, Server, Site, await_some, await_true};
use crate::wire::{Answer, Api, Request};
use crate::world::{Issued, UNTHROTTLED, active, pat, pat_body, service, user, verifier, verify};

/// The database of the installation.
const DATABASE: &str = "cf";
/// Clients of a race, over all nodes.
const CLIENTS: usize = 200;

/// A node: its process, its callers, its place.
pub(crate) struct Node {
    pub(crate) server: Server,
    pub(crate) admin: Api,
    verifier: Api,
    site: Site,
}

/// An installation of three nodes.
pub(crate) struct Nodes {
    pub(crate) nodes: Vec<Node>,
    // Last, so that nobody asks it any more when it ends.
    cluster: Cluster,
}

/// The configuration of a node that is not slowed down by refusals. All have one name outside:
/// it is the issuer of their access tokens.
fn settings(url: &str) -> String {
    let name = "server.public_url = \"http://tokens.example.org\"";
    format!("{UNTHROTTLED}\n{name}\ndata.database = \"{url}\"")
}

/// The way to the database without a detour.
fn straight(cluster: &Cluster) -> String {
    settings(&format!("postgres://cf@{}/{DATABASE}", cluster.host()))
}

/// Gives a new place the keys of another one.
pub(crate) fn share_keys(from: &Site, to: &Site) {
    let keys = to.data().join("keys");
    fs::create_dir_all(&keys).unwrap();
    for dir in [&to.data(), &keys] {
        fs::set_permissions(dir, fs::Permissions::from_mode(0o700)).unwrap();
    }
    for entry in fs::read_dir(from.data().join("keys")).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), keys.join(entry.file_name())).unwrap();
    }
}

impl Nodes {
    /// Three nodes side by side.
    pub(crate) fn new() -> Self {
        let cluster = Cluster::start();
        let straight = straight(&cluster);
        Self::on(cluster, [&straight, &straight, &straight])
    }

    /// The second node reaches the database through a proxy.
    fn with_proxy() -> (Self, FeedProxy) {
        let cluster = Cluster::start();
        let proxy = FeedProxy::start(cluster.socket());
        let (straight, through) = (straight(&cluster), settings(&proxy.url(DATABASE)));
        (Self::on(cluster, [&straight, &through, &straight]), proxy)
    }

    fn on(cluster: Cluster, settings: [&str; 3]) -> Self {
        cluster.make_database(DATABASE);
        let site = Site::new();
        let server = site.serve(settings[0]);
        let admin = site.admin(&server);
        user(&admin, "alice");
        service(&admin, "git", &json!({}));
        let verifier = verifier(&admin, "git-verifier", &["git"]);
        let first = Node { server, admin, verifier, site };
        let mut nodes = vec![first];
        for settings in &settings[1..] {
            let site = Site::new();
            share_keys(&nodes[0].site, &site);
            let server = site.serve(settings);
            let at = |key: &str| Api::new(server.address, key);
            let (admin, verifier) = (at(&nodes[0].admin.key), at(&nodes[0].verifier.key));
            nodes.push(Node { server, admin, verifier, site });
        }
        Self { nodes, cluster }
    }

    fn admin(&self) -> &Api {
        &self.nodes[0].admin
    }

    fn pat(&self) -> Issued {
        pat(self.admin(), &json!({}))
    }

    /// Tells the first node.
    fn revoke(&self, token: &Issued) {
        let body = json!({ "reason": "lost" });
        self.admin().post(&token.path("/revoke"), &body).expect(200);
    }

    /// Asks once on each of many connections, spread over the nodes, at the same time.
    fn race(&self, ask: impl Fn(&Callers) -> Answer + Sync) -> Vec<Answer> {
        let line = Barrier::new(CLIENTS);
        std::thread::scope(|scope| {
            let clients: Vec<_> = (0..CLIENTS)
                .map(|number| {
                    let node = &self.nodes[number % self.nodes.len()];
                    let (admin, verifier) = (node.admin.clone(), node.verifier.clone());
                    let (line, ask) = (&line, &ask);
                    scope.spawn(move || {
                        let callers = Callers { admin, verifier };
                        // Connected before the start, so that the requests meet.
                        verify(&callers.verifier, "nothing").expect(200);
                        callers.admin.get("/services/git").expect(200);
                        line.wait();
                        ask(&callers)
                    })
                })
                .collect();
            clients.into_iter().map(|client| client.join().unwrap()).collect()
        })
    }
}

/// The callers of one client of a race: a connection is of one thread.
struct Callers {
    admin: Api,
    verifier: Api,
}

impl Node {
    /// A figure of the node's metrics.
    fn metric(&self, name: &str) -> u64 {
        let text = self.admin.send(Request::new("GET", "/metrics")).text();
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.unwrap_or_else(|| panic!("{name} is not in {text}")).parse().unwrap()
    }
}

#[test]
fn a_lock_that_one_node_is_told_of_holds_on_the_others_for_tokens_old_and_new() {
    let nodes = Nodes::new();
    let admin = nodes.admin();
    let lock = |path: &str, body: &serde_json::Value| admin.post(path, body).expect(200);
    for (path, body) in [
        ("/users/alice", json!({})),
        ("/users/alice", json!({ "service": "git" })),
        ("/services/git", json!({})),
    ] {
        let before = nodes.pat();
        for node in &nodes.nodes {
            assert!(active(&verify(&node.verifier, &before.secret)));
        }
        lock(&format!("{path}/lock"), &body);
        let after = nodes.pat();
        for token in [&before, &after] {
            for node in &nodes.nodes {
                await_true("the lock holds", PATIENCE, || {
                    verify(&node.verifier, &token.secret).expect(200)["code"] == "locked"
                });
            }
        }
        lock(&format!("{path}/unlock"), &body);
        for node in &nodes.nodes {
            await_true("the lock is gone", PATIENCE, || {
                active(&verify(&node.verifier, &after.secret))
            });
        }
    }
}

fn five_uses_are_five(rounds: usize) {
    let nodes = Nodes::new();
    for _ in 0..rounds {
        let token = pat(nodes.admin(), &json!({ "max_usages": 5 }));
        let told = nodes.race(|callers| verify(&callers.verifier, &token.secret));
        let (good, rest): (Vec<_>, Vec<_>) = told.iter().partition(|answer| active(answer));
        assert_eq!(good.len(), 5);
        for answer in rest {
            assert_eq!(answer.expect(200)["code"], "exhausted");
        }
        assert_eq!(nodes.nodes[1].admin.get(&token.path("")).expect(200)["used"], 5);
    }
    println!("five uses of {CLIENTS} requests on 3 nodes, {rounds} times");
}

#[test]
fn a_limit_of_five_lets_five_of_200_through_on_three_nodes() {
    five_uses_are_five(10);
}

#[test]
#[ignore = "long: 50 races of 200 clients"]
fn a_limit_of_five_lets_five_of_200_through_in_each_of_50_races() {
    five_uses_are_five(50);
}

/// How many tokens a person has.
fn stored(admin: &Api, name: &str) -> usize {
    admin.get(&format!("/tokens?user={name}")).expect(200)["items"].as_array().unwrap().len()
}

fn one_is_issued(rounds: usize) {
    let nodes = Nodes::new();
    let policy = json!({ "token_policy": { "max_active_per_user": 1 } });
    service(nodes.admin(), "single", &policy);
    let mut unavailable = 0;
    for round in 0..rounds {
        let name = format!("user-{round}");
        user(nodes.admin(), &name);
        let body = pat_body(&json!({ "user": name, "services": ["single"] }));
        let told = nodes.race(|callers| callers.admin.post("/tokens", &body));
        let issued = told.iter().filter(|answer| answer.status == 201).count();
        assert_eq!(issued, 1);
        assert_eq!(stored(&nodes.nodes[2].admin, &name), 1);
        for answer in told.iter().filter(|answer| answer.status != 201) {
            // Who waits for their turn for too long is told "not now", which is no token either.
            assert!([409, 503].contains(&answer.status), "{}", answer.text());
        }
        unavailable += told.iter().filter(|answer| answer.status == 503).count();
    }
    println!(
        "one token of {CLIENTS} requests on 3 nodes, {rounds} times; {unavailable} requests had \
         to give up waiting"
    );
}

#[test]
fn a_limit_of_one_token_holds_for_200_clients_of_three_nodes() {
    one_is_issued(10);
}

#[test]
#[ignore = "long: 50 races of 200 clients"]
fn a_limit_of_one_token_holds_in_each_of_50_races() {
    one_is_issued(50);
}

#[test]
fn uses_on_three_nodes_add_up() {
    const EACH: usize = 500;
    let mut nodes = Nodes::new();
    let token = nodes.pat();
    std::thread::scope(|scope| {
        for node in &nodes.nodes {
            let (verifier, secret) = (node.verifier.clone(), &token.secret);
            scope.spawn(move || {
                for _ in 0..EACH {
                    assert!(active(&verify(&verifier, secret)));
                }
            });
        }
    });
    let total = |node: &Node| node.admin.get(&token.path("")).expect(200)["usage_total"].clone();
    let all = json!(3 * EACH);
    for node in &nodes.nodes {
        await_true("the usage is flushed", PATIENCE, || total(node) == all);
    }
    // What the others had not stored yet goes with their orderly end, once.
    for _ in 0..7 {
        assert!(active(&verify(&nodes.nodes[2].verifier, &token.secret)));
    }
    assert!(nodes.nodes[2].server.stop().success());
    let all = json!(3 * EACH + 7);
    await_true("the last usage is added", PATIENCE, || total(&nodes.nodes[0]) == all);
}

#[test]
fn a_node_with_other_keys_than_the_installations_refuses_to_start() {
    let nodes = Nodes::new();
    let settings = straight(&nodes.cluster);
    let keyless = Site::new();
    let mut server = keyless.spawn(&settings);
    assert_eq!(server.until_ended().code(), Some(1));
    assert!(server.log().contains("pepper-1.key"), "{}", server.log());

    // Keys of another installation, which lies in another database of the server.
    nodes.cluster.make_database("other");
    let other = Site::new();
    let url = format!("postgres://cf@{}/other", nodes.cluster.host());
    other.serve(&self::settings(&url)).stop();
    let mut server = other.spawn(&settings);
    assert_eq!(server.until_ended().code(), Some(1));
    assert!(server.log().contains("belongs to another installation"), "{}", server.log());
}

#[test]
fn a_pepper_that_one_node_lacks_makes_it_unready_and_refuses_nobody() {
    let nodes = Nodes::new();
    let token = nodes.pat();
    let [first, second, _] = nodes.nodes.as_slice() else { panic!("three nodes") };
    let ready = || second.admin.send(Request::new("GET", "/healthz/ready"));
    assert_eq!(ready().status, 200);
    let rotated = first.site.run(&["keys", "rotate", "pepper"]);
    assert!(rotated.status.success(), "{}", String::from_utf8_lossy(&rotated.stderr));
    let told = await_some("the node misses the key", PATIENCE, || {
        Some(ready()).filter(|answer| answer.status == 503)
    });
    assert!(told.text().contains("pepper-2.key"), "{}", told.text());
    await_true("the token moves to the new pepper", PATIENCE, || {
        assert!(active(&verify(&first.verifier, &token.secret)));
        let answer = verify(&second.verifier, &token.secret);
        assert!(answer.status == 503 || active(&answer), "no denial: {}", answer.text());
        answer.status == 503
    });
    let file = "keys/pepper-2.key";
    fs::copy(first.site.data().join(file), second.site.data().join(file)).unwrap();
    await_true("the node takes the key up", PATIENCE, || {
        let answer = verify(&second.verifier, &token.secret);
        assert!(answer.status == 503 || active(&answer), "no denial: {}", answer.text());
        answer.status == 200 && ready().status == 200
    });
}

//! A server with a frozen clock, seeded randomness and a store in memory, and people to use it; and
//! the same over each of the other stores.

use std::any::Any;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use counterfoil_authority::authority::{Authority, Settings};
use counterfoil_authority::clock::{Clock, Entropy, Timestamp};
use counterfoil_authority::keys::KeyRing;
use counterfoil_authority::names::ClientName;
use counterfoil_authority::secret_hash::SlowCost;
use counterfoil_authority::store::Store;
use counterfoil_authority::testing::{FrozenClock, SeededEntropy};
use counterfoil_server::config::repository::repositories;
use counterfoil_server::config::{Sources, load};
use counterfoil_server::http::{AppState, Front, HttpSettings};
use counterfoil_server::listener::{Door, Limits};
use counterfoil_store::{DatabaseUrl, MemoryStore, OpenOptions};
use reqwest::header::HeaderMap;
use reqwest::{Client, Method};
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::cluster::Cluster;

/// Where the clock stands at first: 2026-11-21T12:00:00Z.
pub(crate) const NOW_SECONDS: i64 = 1_795_262_400;
/// The path of the main realm.
pub(crate) const R: &str = "/api/v1/realms/main";

/// Each restarted server draws from its own seed, or it would make the same ids again.
static SEED: AtomicU64 = AtomicU64::new(1000);

/// One running server.
pub(crate) struct World {
    /// Decides; the same one that the server asks.
    pub(crate) authority: Arc<Authority>,
    /// What the server counts.
    pub(crate) state: AppState,
    /// The clock of the server.
    pub(crate) clock: Arc<FrozenClock>,
    /// Where it is.
    pub(crate) address: SocketAddr,
    /// The key of the operator.
    pub(crate) operator_key: String,
    http: Client,
    stop: watch::Sender<bool>,
    // Last: the directory of the store, or its server.
    kept: Option<Box<dyn Any + Send + Sync>>,
}

/// What keeps the facts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Engine {
    Memory,
    Sqlite,
    Postgres,
}

impl Engine {
    pub(crate) const ALL: [Self; 3] = [Self::Memory, Self::Sqlite, Self::Postgres];

    /// An empty store, and what has to live as long as it.
    async fn store(self) -> (Arc<dyn Store>, Option<Box<dyn Any + Send + Sync>>) {
        let opened =
            async |url: DatabaseUrl| counterfoil_store::open(&url, OpenOptions::default()).await;
        match self {
            Self::Memory => (Arc::new(MemoryStore::new()), None),
            Self::Sqlite => {
                let dir = tempfile::tempdir().unwrap();
                let url = DatabaseUrl::sqlite(&dir.path().join("store.db"));
                (opened(url).await.unwrap(), Some(Box::new(dir)))
            }
            Self::Postgres => {
                let cluster = Cluster::start();
                cluster.make_database("cf");
                (opened(cluster.url("cf")).await.unwrap(), Some(Box::new(cluster)))
            }
        }
    }
}

/// What a request came to.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The status.
    pub(crate) status: u16,
    /// The headers.
    pub(crate) headers: HeaderMap,
    /// The body as it came.
    pub(crate) text: String,
    /// The body as JSON, `null` if it is none.
    pub(crate) body: Value,
}

impl Answer {
    /// A header's first value, empty if there is none.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// Asserts the status and hands the body on.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text);
        self.body
    }

    /// Asserts that it is a problem of this status and slug.
    #[track_caller]
    pub(crate) fn refused(self, status: u16, slug: &str) -> Value {
        let body = self.problem(status);
        assert_eq!(body["type"], format!("/problems/{slug}"), "{body}");
        body
    }

    /// Asserts that it is a problem document of this status.
    #[track_caller]
    pub(crate) fn problem(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text);
        assert_eq!(self.header("content-type"), "application/problem+json");
        assert_eq!(self.body["request_id"], self.header("x-request-id"));
        self.body
    }
}

impl World {
    /// A server over a store in memory.
    pub(crate) async fn new() -> Self {
        Self::with(HttpSettings::default()).await
    }

    /// The same with settings of its own.
    pub(crate) async fn with(settings: HttpSettings) -> Self {
        Self::over(Arc::new(MemoryStore::new()), settings).await
    }

    /// A server over a store of its own.
    pub(crate) async fn on(engine: Engine) -> Self {
        println!("on {engine:?}:");
        let (store, kept) = engine.store().await;
        let mut world = Self::over(store, HttpSettings::default()).await;
        world.kept = kept;
        world
    }

    /// The same with settings of its own.
    pub(crate) async fn on_set(engine: Engine, settings: HttpSettings) -> Self {
        println!("on {engine:?}:");
        let (store, kept) = engine.store().await;
        let mut world = Self::over(store, settings).await;
        world.kept = kept;
        world
    }

    /// The same with repositories, as an operator would write them.
    pub(crate) async fn on_with(engine: Engine, repositories: &str) -> Self {
        println!("on {engine:?}:");
        let (store, kept) = engine.store().await;
        let mut world = Self::over_with(store, repositories).await;
        world.kept = kept;
        world
    }

    /// A server with repositories over any store that is empty.
    pub(crate) async fn over_with(store: Arc<dyn Store>, repositories: &str) -> Self {
        Self::obeying(with_repositories(repositories), store, HttpSettings::default()).await
    }

    /// Another server over the same store, whose operator wrote other repositories.
    pub(crate) async fn restarted_with(&self, repositories: &str) -> Self {
        let entropy: Arc<dyn Entropy> =
            Arc::new(SeededEntropy::new(SEED.fetch_add(1, Ordering::Relaxed)));
        let keys = KeyRing::clone(&self.authority.keys());
        let store = Arc::clone(self.authority.store());
        let rules = with_repositories(repositories);
        let authority = authority(store, Arc::clone(&self.clock), entropy, keys, rules);
        let settings = self.state.settings.clone();
        let clock = Arc::clone(&self.clock);
        Self::serve(authority, settings, clock, self.operator_key.clone(), self.http.clone()).await
    }

    /// A server that delays refusals, as it does unless told otherwise.
    pub(crate) async fn throttling() -> Self {
        let store = Arc::new(MemoryStore::new());
        Self::obeying(Settings::default(), store, HttpSettings::default()).await
    }

    /// A server whose rules and doors are set otherwise.
    pub(crate) async fn ruled(
        store: Arc<dyn Store>,
        change: impl FnOnce(&mut Settings),
        settings: HttpSettings,
    ) -> Self {
        let mut rules = unthrottled();
        change(&mut rules);
        Self::obeying(rules, store, settings).await
    }

    /// A server over any store that is empty.
    pub(crate) async fn over(store: Arc<dyn Store>, settings: HttpSettings) -> Self {
        Self::obeying(unthrottled(), store, settings).await
    }

    async fn obeying(rules: Settings, store: Arc<dyn Store>, settings: HttpSettings) -> Self {
        let clock = Arc::new(FrozenClock::at(Timestamp::from_seconds(NOW_SECONDS)));
        let entropy: Arc<dyn Entropy> = Arc::new(SeededEntropy::new(7));
        let keys = KeyRing::generate(entropy.as_ref()).unwrap();
        let authority = authority(store, Arc::clone(&clock), entropy, keys, rules);
        let admin = ClientName::parse("admin").unwrap();
        let first = authority.initialise(&admin).await.unwrap().unwrap();
        let http = Client::builder().no_proxy().build().unwrap();
        Self::serve(authority, settings, clock, first.secret.reveal().to_owned(), http).await
    }

    /// Another server over the same store with the same keys: it remembers nothing.
    pub(crate) async fn restarted(&self) -> Self {
        let entropy: Arc<dyn Entropy> =
            Arc::new(SeededEntropy::new(SEED.fetch_add(1, Ordering::Relaxed)));
        let keys = KeyRing::clone(&self.authority.keys());
        let store = Arc::clone(self.authority.store());
        let rules = self.authority.settings().clone();
        let authority = authority(store, Arc::clone(&self.clock), entropy, keys, rules);
        let settings = self.state.settings.clone();
        let clock = Arc::clone(&self.clock);
        Self::serve(authority, settings, clock, self.operator_key.clone(), self.http.clone()).await
    }

    async fn serve(
        authority: Arc<Authority>,
        settings: HttpSettings,
        clock: Arc<FrozenClock>,
        operator_key: String,
        http: Client,
    ) -> Self {
        let state = AppState::new(Arc::clone(&authority), settings).unwrap();
        let (stop, stopped) = watch::channel(false);
        let limits = Limits {
            connections_max: 1024,
            connections_per_source_max: 1024,
            trusted_proxies: Vec::new(),
            header_bytes_max: 32 * 1024,
            header_timeout: Duration::from_secs(30),
        };
        let door = Door::bind((Ipv4Addr::LOCALHOST, 0).into(), None, limits).await.unwrap();
        let address = door.address().unwrap();
        tokio::spawn(door.serve(Front::new(state.clone()), stopped, Duration::ZERO));
        Self { authority, state, clock, address, operator_key, http, stop, kept: None }
    }

    /// Sends anything.
    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<Vec<u8>>,
    ) -> Answer {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let mut request = self.http.request(method, format!("http://{}{path}", self.address));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request.body(body);
        }
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await.unwrap();
        let body = serde_json::from_str(&text).unwrap_or(Value::Null);
        Answer { status, headers, text, body }
    }

    /// Sends JSON as the holder of a key.
    pub(crate) async fn call(&self, key: &str, method: &str, path: &str, body: Value) -> Answer {
        self.call_with(key, method, path, &[], body).await
    }

    /// The same with further headers.
    pub(crate) async fn call_with(
        &self,
        key: &str,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Value,
    ) -> Answer {
        let bearer = format!("Bearer {key}");
        let mut all = vec![("authorization", bearer.as_str())];
        all.extend_from_slice(headers);
        if body.is_null() {
            return self.send(method, path, &all, None).await;
        }
        all.push(("content-type", "application/json"));
        self.send(method, path, &all, Some(body.to_string().into_bytes())).await
    }

    /// Looks as the operator.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.call(&self.operator_key, "GET", path, Value::Null).await
    }

    /// Acts as the operator.
    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.call(&self.operator_key, "POST", path, body).await
    }

    /// Changes as the operator.
    pub(crate) async fn patch(&self, path: &str, body: Value) -> Answer {
        self.call(&self.operator_key, "PATCH", path, body).await
    }

    /// Removes as the operator.
    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.call(&self.operator_key, "DELETE", path, Value::Null).await
    }

    /// Creates a person.
    pub(crate) async fn user(&self, name: &str) {
        self.post(&format!("{R}/users"), json!({ "username": name })).await.expect(201);
    }

    /// Creates a service.
    pub(crate) async fn service(&self, label: &str) {
        self.post(&format!("{R}/services"), json!({ "label": label })).await.expect(201);
    }

    /// Creates a client and gives its key.
    pub(crate) async fn client(&self, name: &str, more: Value) -> String {
        let mut body = json!({ "name": name });
        for (field, value) in more.as_object().unwrap() {
            body[field] = value.clone();
        }
        let created = self.post(&format!("{R}/clients"), body).await.expect(201);
        created["secret"].as_str().unwrap().to_owned()
    }

    /// Creates a verifier of one service.
    pub(crate) async fn verifier(&self, name: &str, service: &str) -> String {
        self.client(name, json!({ "roles": ["verifier"], "services": [service] })).await
    }

    /// Issues a personal access token; gives its id and secret.
    pub(crate) async fn pat(&self, user: &str, more: Value) -> (String, String) {
        let mut body = json!({ "kind": "personal_access_token", "user": user });
        for (field, value) in more.as_object().unwrap() {
            body[field] = value.clone();
        }
        let issued = self.post(&format!("{R}/tokens"), body).await.expect(201);
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        (text(&issued["token"]["id"]), text(&issued["secret"]))
    }

    /// `alice`, the service `git`, a verifier `gate` for it, and a token of hers for it.
    pub(crate) async fn with_alice(&self) -> Alice {
        self.user("alice").await;
        self.service("git").await;
        let gate = self.verifier("gate", "git").await;
        let (token, secret) = self.pat("alice", json!({ "services": ["git"] })).await;
        Alice { gate, token, secret }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = self.stop.send(true);
    }
}

/// What [`World::with_alice`] made.
pub(crate) struct Alice {
    /// The verifier's key.
    pub(crate) gate: String,
    /// The id of her token.
    pub(crate) token: String,
    /// Its secret.
    pub(crate) secret: String,
}

fn unthrottled() -> Settings {
    Settings { throttle: false, ..Settings::default() }
}

fn with_repositories(text: &str) -> Settings {
    let file = Some(("counterfoil.toml".into(), text.to_owned()));
    let config = load(&Sources { file, ..Sources::default() }).unwrap();
    let slow_cost = SlowCost { memory_kib: 64, passes: 1, lanes: 1 };
    let repositories = repositories(&config.repository);
    Settings { repositories, slow_cost, ..unthrottled() }
}

fn authority(
    store: Arc<dyn Store>,
    clock: Arc<FrozenClock>,
    entropy: Arc<dyn Entropy>,
    keys: KeyRing,
    rules: Settings,
) -> Arc<Authority> {
    Arc::new(Authority::new(store, clock as Arc<dyn Clock>, entropy, keys, rules).unwrap())
}

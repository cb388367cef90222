//! An installation in memory with something of everything, to be asked in this process.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::http::Request;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use counterfoil_authority::authority::{Authority, Settings};
use counterfoil_authority::clock::{Clock, Entropy, Timestamp};
use counterfoil_authority::keys::KeyRing;
use counterfoil_authority::names::{ClientName, RealmName};
use counterfoil_authority::secret_hash::SlowCost;
use counterfoil_authority::store::{PageRequest, Store, TokenFilter};
use counterfoil_authority::testing::{FrozenClock, SeededEntropy};
use counterfoil_store::MemoryStore;
use http_body_util::{BodyExt as _, Full};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::config::repository::repositories;
use crate::config::{Sources, load};
use crate::http::{AppState, Connection, Front, HttpSettings};
use crate::leaks::GithubSettings;

/// 2026-11-21T12:00:00Z.
const NOW_SECONDS: i64 = 1_795_262_400;
const R: &str = "/api/v1/realms/main";
const REPOSITORIES: &str = r#"
[repository.key]
kind = "token"
max_tokens_per_user = 3
services = ["git"]
[repository.key.attributes]
serialId = { filterable = true }
validTo = { filterable = true }
maxUsages = {}
"#;

/// What was answered.
pub(super) struct Answered {
    pub(super) status: u16,
    /// The media type.
    pub(super) kind: String,
    heads: Vec<u8>,
    pub(super) body: Bytes,
    cookies: Vec<String>,
}

impl Answered {
    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Whether it repeats a text, in its head or its body.
    pub(super) fn holds(&self, text: &str) -> bool {
        super::holds(&self.body, text.as_bytes()) || super::holds(&self.heads, text.as_bytes())
    }
}

/// The installation and what somebody could know of it.
pub(super) struct Installed {
    runtime: Runtime,
    front: Front,
    store: Arc<dyn Store>,
    /// What stands for what in the corpus.
    names: Vec<(&'static str, String)>,
}

/// Names of what is no secret.
const PUBLIC: [&str; 1] = ["patid"];
/// Names of what pages of the console show, or cookies set again.
const SHOWN: [&str; 2] = ["mark", "cookie"];

impl Installed {
    pub(super) fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
        let (front, operator, link) = runtime.block_on(serve(Arc::clone(&store)));
        let mut installed = Self { runtime, front, store, names: vec![("operator", operator)] };
        installed.furnish(&link);
        installed
    }

    /// The text with everything in place.
    pub(super) fn filled(&self, text: &[u8]) -> Vec<u8> {
        let mut text = String::from_utf8_lossy(text).into_owned();
        for (name, value) in &self.names {
            text = text.replace(&format!("{{{{{name}}}}}"), value);
        }
        assert!(!text.contains("{{"), "a name that nothing has: {text}");
        text.into_bytes()
    }

    /// What no answer may repeat.
    pub(super) fn secrets(&self) -> impl Iterator<Item = &str> {
        let hidden = |name: &str| !PUBLIC.contains(&name) && !SHOWN.contains(&name);
        self.names.iter().filter(move |(name, _)| hidden(name)).map(|(_, value)| value.as_str())
    }

    /// What lets somebody in.
    pub(super) fn credentials(&self) -> impl Iterator<Item = &str> {
        let names = self.names.iter().filter(|(name, _)| !PUBLIC.contains(name));
        names.map(|(_, value)| value.as_str())
    }

    /// Every token as it stands.
    pub(super) fn tokens(&self) -> Vec<String> {
        let (realm, page) = (RealmName::parse("main").unwrap(), PageRequest::first(1000));
        let now = Timestamp::from_seconds(NOW_SECONDS);
        let listed = self.store.token_list(&realm, TokenFilter::default(), now, page);
        let page = self.runtime.block_on(listed).unwrap();
        page.items.iter().map(|it| format!("{} {} {}", it.id, it.version, it.used)).collect()
    }

    /// Asks, as somebody on this machine.
    pub(super) fn ask(&self, request: Request<Full<Bytes>>) -> Answered {
        let peer = SocketAddr::from((Ipv4Addr::LOCALHOST, 40_000));
        let connection = Connection { peer, tls: false, certificate: None };
        self.runtime.block_on(async {
            let response = self.front.answer(request, connection).await;
            let (parts, body) = response.into_parts();
            let text = |value: &axum::http::HeaderValue| {
                String::from_utf8_lossy(value.as_bytes()).into_owned()
            };
            let heads = parts.headers.iter().flat_map(|(_, value)| value.as_bytes().to_vec());
            Answered {
                status: parts.status.as_u16(),
                kind: parts.headers.get("content-type").map(text).unwrap_or_default(),
                heads: heads.collect(),
                cookies: parts.headers.get_all("set-cookie").iter().map(text).collect(),
                body: body.collect().await.unwrap().to_bytes(),
            }
        })
    }

    fn name(&self, name: &str) -> &str {
        self.names.iter().find(|(known, _)| *known == name).map(|(_, value)| &**value).unwrap()
    }

    fn send(&self, path: &str, heads: &[(&str, &str)], body: String) -> Answered {
        let mut request = Request::post(path).header("host", "127.0.0.1:8780");
        for (name, value) in heads {
            request = request.header(*name, *value);
        }
        self.ask(request.body(Full::new(Bytes::from(body))).unwrap())
    }

    /// Acts as the operator.
    fn act(&self, path: &str, body: &Value) -> Value {
        let bearer = format!("Bearer {}", self.name("operator"));
        let heads = [("authorization", &*bearer), ("content-type", "application/json")];
        let answer = self.send(&format!("{R}{path}"), &heads, body.to_string());
        assert!(answer.status < 300, "{path}: {}", answer.text());
        serde_json::from_slice(&answer.body).unwrap()
    }

    fn secret(&mut self, name: &'static str, path: &str, body: &Value) -> Value {
        let made = self.act(path, body);
        self.names.push((name, made["secret"].as_str().unwrap().to_owned()));
        made
    }

    fn furnish(&mut self, link: &str) {
        for name in ["alice", "bob"] {
            self.act("/users", &json!({ "username": name }));
        }
        self.act("/services", &json!({ "label": "git", "name": "git" }));
        let verifier = json!({ "name": "gate", "roles": ["verifier"], "services": ["git"] });
        self.secret("verifier", "/clients", &verifier);
        let machine = json!({ "name": "machine", "roles": ["verifier"], "services": ["git"] });
        self.secret("machine", "/clients", &machine);
        let pat = |services: &[&str], more: &Value| {
            let mut body = json!({ "kind": "personal_access_token", "user": "alice",
                "services": services });
            for (name, value) in more.as_object().unwrap() {
                body[name] = value.clone();
            }
            body
        };
        let made = self.secret("pat", "/tokens", &pat(&["git"], &json!({ "name": "git" })));
        self.names.push(("patid", made["token"]["id"].as_str().unwrap().to_owned()));
        let scopes = json!({ "name": "api", "scopes": ["tokens:read", "tokens:write"] });
        self.secret("api", "/tokens", &pat(&["counterfoil"], &scopes));
        let registration = json!({ "kind": "registration_token", "name": "devices",
            "services": ["git"], "count": 1000 });
        self.secret("registration", "/tokens", &registration);
        let by_link = pat(&["git"], &json!({ "name": "link", "delivery": "link" }));
        let made = self.act("/tokens", &by_link);
        let secret = made["link"].as_str().unwrap().rsplit('#').next().unwrap().to_owned();
        self.names.push(("link", secret));
        self.draw();
        self.sign_in(link);
        let heads = [("x-openam-username", "admin"), ("x-openam-password", self.name("operator"))];
        let answer = self.send("/openam/json/authenticate", &heads, "{}".to_owned());
        let session: Value = serde_json::from_slice(&answer.body).unwrap();
        self.names.push(("am", session["tokenId"].as_str().unwrap().to_owned()));
        for (name, user, of) in [
            ("basic", "alice", "pat"),
            ("verifierbasic", "gate", "verifier"),
            ("machinebasic", "machine", "machine"),
            ("operatorbasic", "admin", "operator"),
        ] {
            let pair = STANDARD.encode(format!("{user}:{}", self.name(of)));
            self.names.push((name, pair));
        }
    }

    /// An auth token, and its refresh secret.
    fn draw(&mut self) {
        let bearer = format!("Basic {}", self.name("registration"));
        let heads = [("authorization", &*bearer), ("content-type", "application/json")];
        let body = json!({ "subject": "first", "hostname": "h" }).to_string();
        let answer = self.send("/token/api/v5/authTokens", &heads, body);
        assert!(answer.status < 300, "{}", answer.text());
        let drawn: Value = serde_json::from_slice(&answer.body).unwrap();
        let found = refresh_in(&drawn).unwrap_or_else(|| panic!("no refresh token in {drawn}"));
        self.names.push(("refresh", found));
    }

    /// The session of the first administrator.
    fn sign_in(&mut self, link: &str) {
        let form = ("content-type", "application/x-www-form-urlencoded");
        let heads = [form, ("sec-fetch-site", "same-origin")];
        let body = format!(
            "link={link}&username=root&password=three+blue+teapots&again=three+blue+teapots"
        );
        let answer = self.send("/setup/finish", &heads, body);
        assert_eq!(answer.status, 303, "{}", answer.text());
        let cookie = answer.cookies[0].split(';').next().unwrap().to_owned();
        let account = Request::get("/account").header("host", "127.0.0.1:8780");
        let account = account.header("cookie", &cookie).body(Full::default()).unwrap();
        let page = self.ask(account).text();
        let rest = page.split("name=\"mark\"").nth(1).unwrap();
        let mark = rest.split("value=\"").nth(1).unwrap().split('"').next().unwrap();
        self.names.push(("mark", mark.to_owned()));
        self.names.push(("cookie", cookie));
    }
}

/// The refresh token anywhere in an answer.
fn refresh_in(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if text.starts_with("cflf_") => Some(text.clone()),
        Value::Array(all) => all.iter().find_map(refresh_in),
        Value::Object(all) => all.values().find_map(refresh_in),
        _ => None,
    }
}

async fn serve(store: Arc<dyn Store>) -> (Front, String, String) {
    let file = Some(("counterfoil.toml".into(), REPOSITORIES.to_owned()));
    let config = load(&Sources { file, ..Sources::default() }).unwrap();
    let settings = Settings {
        throttle: false,
        slow_cost: SlowCost { memory_kib: 64, passes: 1, lanes: 1 },
        repositories: repositories(&config.repository),
        ..Settings::default()
    };
    let clock: Arc<dyn Clock> = Arc::new(FrozenClock::at(Timestamp::from_seconds(NOW_SECONDS)));
    let entropy: Arc<dyn Entropy> = Arc::new(SeededEntropy::new(7));
    let keys = KeyRing::generate(entropy.as_ref()).unwrap();
    let authority = Arc::new(Authority::new(store, clock, entropy, keys, settings).unwrap());
    let first = authority.initialise(&ClientName::parse("admin").unwrap()).await.unwrap();
    let (link, _) = authority.console_first_link().await.unwrap().unwrap();
    let github =
        Some(GithubSettings { keys_url: "http://127.0.0.1:1/".to_owned(), keys_file: None });
    let settings = HttpSettings { github, validate_clients: Vec::new(), ..HttpSettings::default() };
    let state = AppState::new(authority, settings).unwrap();
    (Front::new(state), first.unwrap().secret.reveal().to_owned(), link.reveal().to_owned())
}

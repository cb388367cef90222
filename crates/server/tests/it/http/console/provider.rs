//! An OpenID provider that does what a test tells it to, right or wrong.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::Ed25519KeyPair;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post};
use axum::{Json, Router};
use counterfoil_authority::clock::Clock as _;
use counterfoil_authority::names::RealmName;
use counterfoil_authority::secret::ClearSecret;
use counterfoil_authority::single_sign_on::{Accounts, RoleRule};
use counterfoil_server::http::HttpSettings;
use counterfoil_server::sign_on::OidcSettings;
use counterfoil_store::MemoryStore;
use data_encoding::BASE64URL_NOPAD;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::browser::{Browser, Page};
use crate::world::World;

/// What proves to the provider that it is us.
pub(super) const SECRET: &str = "a secret: of & the client";

/// What it does next.
pub(super) struct Script {
    /// The seed of the key it signs with, and that key's name.
    pub(super) key: (u8, String),
    /// The keys that it publishes.
    pub(super) published: Vec<(u8, String)>,
    /// Whether it answers at all, and where it does not.
    pub(super) away: Option<&'static str>,
    /// What else its tokens say; `null` takes a claim away.
    pub(super) claims: Value,
    /// What its userinfo endpoint says.
    pub(super) userinfo: Value,
    /// Whether it promises to name itself in answers.
    pub(super) names_itself: bool,
    /// Codes that were not used yet: code, nonce, challenge.
    codes: Vec<(String, String, String)>,
    /// How often its keys were asked for.
    pub(super) keys_asked: usize,
    /// How often it was asked what it says of itself.
    pub(super) configuration_asked: usize,
    /// Where its description waits before it is given; `None`: nowhere.
    pub(super) gate: Option<Arc<Semaphore>>,
    now: i64,
}

/// A provider on a free port of this machine.
pub(super) struct Provider {
    pub(super) address: SocketAddr,
    script: Arc<Mutex<Script>>,
}

fn signing(seed: u8) -> EncodingKey {
    let pair = Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap();
    EncodingKey::from_ed_der(pair.to_pkcs8v1().unwrap().as_ref())
}

fn public((seed, kid): &(u8, String)) -> Value {
    let mut key = Jwk::from_encoding_key(&signing(*seed), Algorithm::EdDSA).unwrap();
    key.common.key_id = Some(kid.clone());
    serde_json::to_value(key).unwrap()
}

type Told = (StatusCode, Json<Value>);
type Shared = (SocketAddr, Arc<Mutex<Script>>);

fn told(script: &Mutex<Script>, place: &str, answer: impl FnOnce(&mut Script) -> Told) -> Told {
    let mut script = script.lock().unwrap();
    if script.away == Some(place) {
        return (StatusCode::BAD_GATEWAY, Json(json!({ "error": "server_error" })));
    }
    answer(&mut script)
}

async fn configuration(State((address, script)): State<Shared>) -> Told {
    let gate = {
        let mut script = script.lock().unwrap();
        script.configuration_asked += 1;
        script.gate.clone()
    };
    if let Some(gate) = gate {
        gate.acquire().await.unwrap().forget();
    }
    told(&script, "configuration", |script| {
        let at = |path: &str| format!("http://{address}{path}");
        let document = json!({
            "issuer": at("/op"),
            "authorization_endpoint": at("/op/auth?tenant=a%20b"),
            "token_endpoint": at("/op/token"),
            "jwks_uri": at("/op/keys"),
            "userinfo_endpoint": at("/op/me"),
            "authorization_response_iss_parameter_supported": script.names_itself,
        });
        (StatusCode::OK, Json(document))
    })
}

async fn keys(State((_, script)): State<Shared>) -> Told {
    told(&script, "keys", |script| {
        script.keys_asked += 1;
        let keys: Vec<Value> = script.published.iter().map(public).collect();
        (StatusCode::OK, Json(json!({ "keys": keys })))
    })
}

async fn me(State((_, script)): State<Shared>, headers: HeaderMap) -> Told {
    told(&script, "me", |script| {
        let right = headers.get("authorization").is_some_and(|value| value == "Bearer at-1");
        let status = if right { StatusCode::OK } else { StatusCode::UNAUTHORIZED };
        (status, Json(script.userinfo.clone()))
    })
}

async fn token(State((address, script)): State<Shared>, headers: HeaderMap, body: String) -> Told {
    told(&script, "token", |script| {
        let fields: Vec<(String, String)> =
            form_urlencoded::parse(body.as_bytes()).into_owned().collect();
        let field = |name: &str| {
            let found = fields.iter().find(|(own, _)| own == name);
            found.map(|(_, value)| value.clone()).unwrap_or_default()
        };
        // RFC 6749 section 2.3.1: both are encoded as in forms before they are joined.
        let secret: String = form_urlencoded::byte_serialize(SECRET.as_bytes()).collect();
        let basic = data_encoding::BASE64.encode(format!("console:{secret}").as_bytes());
        let sent = headers.get("authorization").and_then(|value| value.to_str().ok());
        if sent != Some(&format!("Basic {basic}")) {
            return (StatusCode::UNAUTHORIZED, Json(json!({ "error": "invalid_client" })));
        }
        let challenge = digest(&SHA256, field("code_verifier").as_bytes());
        let challenge = BASE64URL_NOPAD.encode(challenge.as_ref());
        let code = field("code");
        let at = script.codes.iter().position(|(own, _, of)| *own == code && *of == challenge);
        let Some(at) = at else {
            return (StatusCode::BAD_REQUEST, Json(json!({ "error": "invalid_grant" })));
        };
        let (_, nonce, _) = script.codes.remove(at);
        let token = script.id_token(&format!("http://{address}/op"), &nonce);
        let told = json!({ "id_token": token, "access_token": "at-1", "token_type": "Bearer" });
        (StatusCode::OK, Json(told))
    })
}

impl Script {
    fn id_token(&self, issuer: &str, nonce: &str) -> String {
        let mut claims = json!({
            "iss": issuer, "sub": "sub-alice", "aud": "console", "nonce": nonce,
            "iat": self.now, "exp": self.now + 300, "auth_time": self.now,
            "preferred_username": "alice", "name": "Alice Liddell",
            "email": "alice@example.org", "groups": [],
        });
        for (name, value) in self.claims.as_object().unwrap() {
            claims[name] = value.clone();
        }
        claims.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        let mut header = Header::new(Algorithm::EdDSA);
        header.kid = Some(self.key.1.clone());
        encode(&header, &claims, &signing(self.key.0)).unwrap()
    }
}

/// What somebody was sent to the provider with.
#[derive(Debug, Clone)]
pub(super) struct Sent {
    pairs: Vec<(String, String)>,
}

impl Sent {
    /// Reads it from the page that sends them.
    #[track_caller]
    pub(super) fn by(page: &Page) -> Self {
        let rest = page.text.split("id=\"provider\" href=\"").nth(1);
        let rest = rest.unwrap_or_else(|| panic!("nobody is sent by {}", page.text));
        let url = rest.split('"').next().unwrap().replace("&#38;", "&").replace("&amp;", "&");
        let refresh = page.text.contains("<meta http-equiv=\"refresh\" content=\"0;url=http");
        assert!(refresh, "{}", page.text);
        let query = url.split_once('?').unwrap().1.as_bytes();
        Self { pairs: form_urlencoded::parse(query).into_owned().collect() }
    }

    #[track_caller]
    pub(super) fn get(&self, name: &str) -> &str {
        let found = self.pairs.iter().find(|(own, _)| own == name);
        found.map_or("", |(_, value)| value.as_str())
    }
}

impl Provider {
    /// A provider, and a world whose console knows it.
    pub(super) async fn with_world(
        roles: &[(&str, &str)],
        accounts: Accounts,
        step_up_seconds: i64,
    ) -> (Self, World) {
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let key = (1, "k1".to_owned());
        let script = Arc::new(Mutex::new(Script {
            published: vec![key.clone()],
            key,
            away: None,
            claims: json!({}),
            userinfo: json!({}),
            names_itself: true,
            codes: Vec::new(),
            keys_asked: 0,
            configuration_asked: 0,
            gate: None,
            now: 0,
        }));
        let routes = Router::new()
            .route("/op/.well-known/openid-configuration", get(configuration))
            .route("/op/keys", get(keys))
            .route("/op/me", get(me))
            .route("/op/token", post(token))
            .with_state((address, Arc::clone(&script)));
        tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
        let roles = roles.iter().map(|(group, role)| RoleRule::parse(group, role).unwrap());
        let oidc = OidcSettings {
            issuer: format!("http://{address}/op"),
            client_id: "console".to_owned(),
            client_secret: Some(ClearSecret::new(SECRET.to_owned())),
            scopes: "openid profile".to_owned(),
            username_claim: "preferred_username".to_owned(),
            groups_claim: "groups".to_owned(),
            roles: roles.collect(),
            accounts,
            label: "Example <SSO>".to_owned(),
            realm: RealmName::parse("main").unwrap(),
            ca: None,
        };
        let settings = HttpSettings { console_oidc: Some(oidc), ..HttpSettings::default() };
        let lately = |rules: &mut counterfoil_authority::authority::Settings| {
            rules.console.step_up_seconds = step_up_seconds;
        };
        let world = World::ruled(Arc::new(MemoryStore::new()), lately, settings).await;
        (Self { address, script }, world)
    }

    /// Tells it what to do next.
    pub(super) fn tell(&self, change: impl FnOnce(&mut Script)) {
        change(&mut self.script.lock().unwrap());
    }

    /// How often its keys were asked for.
    pub(super) fn keys_asked(&self) -> usize {
        self.script.lock().unwrap().keys_asked
    }

    /// How often it was asked what it says of itself.
    pub(super) fn configuration_asked(&self) -> usize {
        self.script.lock().unwrap().configuration_asked
    }

    /// How it calls itself.
    pub(super) fn issuer(&self) -> String {
        format!("http://{}/op", self.address)
    }

    /// Signs somebody in there, who then has this code.
    pub(super) fn admit(&self, world: &World, sent: &Sent, code: &str) {
        self.tell(|script| {
            script.now = world.clock.now().seconds();
            let (nonce, challenge) = (sent.get("nonce"), sent.get("code_challenge"));
            script.codes.push((code.to_owned(), nonce.to_owned(), challenge.to_owned()));
        });
    }

    /// Where somebody comes back to with a code.
    pub(super) fn way_back(&self, sent: &Sent, code: &str) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("code", code).append_pair("state", sent.get("state"));
        query.append_pair("iss", &self.issuer());
        format!("/sign-in/oidc/callback?{}", query.finish())
    }

    /// A browser leaves for the provider.
    pub(super) async fn leave(&self, browser: &Browser) -> Sent {
        Sent::by(&browser.post("/sign-in/oidc", &[("next", "/account")]).await.expect(200))
    }

    /// A browser goes there and comes back.
    pub(super) async fn visit(&self, world: &World, browser: &Browser) -> Page {
        let sent = self.leave(browser).await;
        let code = format!("code-{}", sent.get("state"));
        self.admit(world, &sent, &code);
        browser.get(&self.way_back(&sent, &code)).await
    }
}

//! What a client may say of itself, and how it manages itself (RFC 7591 and 7592).

use serde_json::{Value, json};

use super::proofs::Sender;
use super::{DOOR, ask, error, introspect, posted, registration, text};
use crate::wire::{Answer, Request};
use crate::world::{UNTHROTTLED, World};

const REGISTER: &str = "/realms/main/clients-registrations/openid-connect";

/// A registered client: its id, its path and its secret.
struct Registered {
    id: String,
    path: String,
    secret: String,
}

impl Registered {
    fn of(answer: &Value) -> Self {
        let id = text(answer, "client_id");
        let path = format!("{REGISTER}/{id}");
        Self { id, path, secret: text(answer, "registration_access_token") }
    }

    fn get(&self) -> Request {
        Request::new("GET", &self.path).bearer(&self.secret)
    }

    fn put(&self, description: &Value) -> Request {
        let mut body = description.clone();
        body["client_id"] = json!(self.id);
        Request::new("PUT", &self.path).bearer(&self.secret).json(&body)
    }
}

fn register(world: &World, token: &str, description: &Value) -> Answer {
    world.admin.raw(&Request::new("POST", REGISTER).bearer(token).json(description))
}

#[test]
fn a_description_holds_no_secret_no_private_key_and_nothing_twice() {
    let world = World::new(UNTHROTTLED);
    let token = registration(&world, &json!({}));
    let pat = world.pat();
    let told = |description: &Value, word: &str| {
        let refused = register(&world, &token.secret, description);
        assert_eq!(error(&refused), (400, "invalid_client_metadata".into()), "{description}");
        let why = text(&refused.json(), "error_description");
        assert!(why.contains(word), "{why}");
        assert!(!refused.text().contains(&pat.secret[17..]), "{why}");
    };
    let key = |more: &str| {
        let key = format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"AA"{more}}}"#);
        json!({ "jwks": { "keys": [serde_json::from_str::<Value>(&key).unwrap()] } })
    };
    told(&json!({ "client_name": format!("till {}", pat.secret) }), "client_name");
    told(&json!({ "contacts": ["a@example.org", pat.secret] }), "contacts");
    told(&json!({ "software_statement": pat.secret }), "software_statement");
    told(&json!({ "client_secret": "mine" }), "client_secret");
    told(&key(r#","d":"AA""#), "jwks.keys[0].d");
    told(&key(r#","k":"AA""#), "jwks.keys[0].k");
    told(&json!({ "jwks": [] }), "jwks");
    told(&json!({ "client_name": 7 }), "client_name");
    told(&json!({ "grant_types": "refresh_token" }), "grant_types");
    told(&json!({ "token_endpoint_auth_method": "private_key_jwt" }), "metadata");
    let sent = |body: &str| {
        let request = Request::new("POST", REGISTER).bearer(&token.secret);
        world.admin.raw(&request.raw_json(body))
    };
    let twice = sent(r#"{"client_name":"a","jwks":{"keys":[],"keys":[]}}"#);
    assert_eq!(error(&twice), (400, "invalid_client_metadata".into()));
    assert!(text(&twice.json(), "error_description").contains("jwks.keys"), "{}", twice.text());
    let plain = Request::new("POST", REGISTER).bearer(&token.secret).body("{}");
    assert_eq!(error(&world.admin.raw(&plain)), (415, "invalid_request".into()));
    assert_eq!(world.admin.get(&token.path("")).expect(200)["used"], 0);
    register(&world, &token.secret, &key("")).expect(201);
}

#[test]
fn a_client_replaces_its_description_and_keeps_its_secret() {
    let world = World::new(UNTHROTTLED);
    let scopes = json!({ "scopes": ["read", "write"] });
    let token = registration(&world, &scopes);
    let first = json!({ "client_name": "till", "client_uri": "https://till.example" });
    let made = Registered::of(&register(&world, &token.secret, &first).expect(201));
    let replaced = world.admin.raw(&made.put(&json!({
        "client_name": "new till", "scope": "read", "client_secret": made.secret,
    })));
    let shown = replaced.expect(200);
    assert_eq!((&shown["client_name"], &shown["scope"]), (&json!("new till"), &json!("read")));
    assert_eq!(shown["client_uri"], Value::Null, "what is left out is forgotten");
    assert_eq!(shown["client_secret"], made.secret.as_str());
    let got = world.admin.raw(&made.get());
    assert_eq!(got.header("cache-control"), "no-store");
    assert_eq!(got.expect(200), shown);
    let pairs = [
        ("grant_type", "client_credentials"),
        ("client_id", made.id.as_str()),
        ("client_secret", made.secret.as_str()),
    ];
    let access = ask(&world.admin, &pairs).expect(200);
    assert_eq!(access["scope"], "read");

    let refused = |description: Value, word: &str| {
        let answer = world.admin.raw(&made.put(&description));
        assert_eq!(error(&answer), (400, word.to_owned()), "{description}");
    };
    refused(json!({ "scope": "read write" }), "invalid_scope");
    refused(json!({ "client_secret": "another" }), "invalid_client_metadata");
    refused(json!({ "token_endpoint_auth_method": "none" }), "invalid_client_metadata");
    refused(json!({ "client_name": world.pat().secret }), "invalid_client_metadata");
    let foreign = Request::new("PUT", &made.path).bearer(&made.secret);
    let foreign = world.admin.raw(&foreign.json(&json!({ "client_id": "000000000000" })));
    assert_eq!(error(&foreign), (400, "invalid_client_metadata".into()));
    let stranger = Request::new("PUT", &made.path).bearer(&token.secret);
    let stranger = world.admin.raw(&stranger.json(&json!({ "client_id": made.id })));
    assert_eq!(error(&stranger), (401, "invalid_token".into()));
    assert_eq!(world.admin.raw(&made.get()).expect(200), shown, "nothing of it happened");
    let events = world.admin.get(&format!("/tokens/{}/events", made.id)).expect(200);
    let kinds = events["items"].as_array().unwrap().iter().map(|event| event["kind"].clone());
    assert!(kinds.into_iter().any(|kind| kind == "token.updated"), "{events}");
}

#[test]
fn a_bound_client_manages_itself_with_a_proof_of_its_key_only() {
    let world = World::new(UNTHROTTLED);
    let token = registration(&world, &json!({}));
    let (holder, thief) = (Sender::new(1), Sender::new(2));
    let request = Request::new("POST", REGISTER).bearer(&token.secret).json(&json!({}));
    let proof = holder.proof_for(&world, REGISTER, "1", None);
    let made = Registered::of(&world.admin.raw(&request.header("DPoP", proof)).expect(201));
    let show = |proof: Option<String>| {
        let request = Request::new("GET", &made.path);
        world.admin.raw(&match proof {
            Some(proof) => {
                let request = request.header("Authorization", format!("DPoP {}", made.secret));
                request.header("DPoP", proof)
            }
            None => request.bearer(&made.secret),
        })
    };
    let of = |sender: &Sender, jti: &str| {
        sender.proof_by(&world, "GET", &made.path, jti, Some(&made.secret))
    };
    let bearer = show(None);
    assert_eq!(error(&bearer), (401, "invalid_token".into()));
    let challenges: Vec<_> = bearer.headers("www-authenticate");
    assert!(challenges.iter().any(|line| line.starts_with("DPoP ")), "{challenges:?}");
    assert_eq!(error(&show(Some(of(&thief, "2")))), (401, "invalid_token".into()));
    let good = of(&holder, "3");
    show(Some(good.clone())).expect(200);
    assert_eq!(error(&show(Some(good))).1, "invalid_dpop_proof", "used before");
}

#[test]
fn a_former_secret_is_no_credential_and_a_public_client_has_none() {
    let world = World::new(UNTHROTTLED);
    let token = registration(&world, &json!({}));
    let credentials = |client: &Registered, secret: &str| {
        let pairs = [
            ("grant_type", "client_credentials"),
            ("client_id", client.id.as_str()),
            ("client_secret", secret),
        ];
        ask(&world.admin, &pairs)
    };
    let public = json!({ "token_endpoint_auth_method": "none" });
    let public = Registered::of(&register(&world, &token.secret, &public).expect(201));
    let said = credentials(&public, &public.secret);
    assert_eq!(error(&said), (400, "unauthorized_client".into()));
    let made = Registered::of(&register(&world, &token.secret, &json!({})).expect(201));
    let refresh = [("grant_type", "refresh_token"), ("refresh_token", made.secret.as_str())];
    let next = text(&ask(&world.admin, &refresh).expect(200), "refresh_token");
    assert_eq!(error(&credentials(&made, &made.secret)), (401, "invalid_client".into()));
    credentials(&made, &next).expect(200);
    assert_eq!(world.admin.raw(&made.get()).status, 401);
}

#[test]
fn a_grouped_token_is_ended_where_oauth_ends_tokens() {
    let world = World::new(UNTHROTTLED);
    let phone = json!({ "kind": "service_token", "user": "alice", "service": "git",
        "name": "phone" });
    let phone = world.admin.post("/tokens", &phone).expect(201);
    let secret = text(&phone, "secret");
    assert!(secret.contains('-'), "{secret}");
    assert_eq!(introspect(&world.verifier, &secret).json()["active"], true);
    let revoked = world.admin.raw(&posted(&format!("{DOOR}/revoke"), &[("token", &secret)]));
    assert_eq!(revoked.status, 200);
    assert_eq!(introspect(&world.verifier, &secret).json(), json!({ "active": false }));
}

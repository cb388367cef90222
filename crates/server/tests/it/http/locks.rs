//! Locks of people and services: they hold for every token, whenever it was issued.

use serde_json::{Value, json};

use crate::world::{R, World};

struct Locksmith {
    world: World,
    gates: [String; 2],
}

impl Locksmith {
    /// Alice, the services `git` and `wiki`, and a verifier of each.
    async fn new() -> Self {
        let world = World::new().await;
        world.user("alice").await;
        for label in ["git", "wiki"] {
            world.service(label).await;
        }
        let gates = [world.verifier("g", "git").await, world.verifier("w", "wiki").await];
        Self { world, gates }
    }

    async fn act(&self, path: &str, body: Value) -> Value {
        self.world.post(&format!("{R}/{path}"), body).await.expect(200)
    }

    /// A new token of alice, for both services.
    async fn issue(&self) -> String {
        self.world.pat("alice", json!({ "services": ["git", "wiki"] })).await.1
    }

    /// What the verifiers of `git` and `wiki` are told: a code, or that it is good.
    async fn told(&self, secret: &str) -> [String; 2] {
        let mut told = Vec::new();
        for gate in &self.gates {
            let body = json!({ "token": secret });
            let said = self.world.call(gate, "POST", &format!("{R}/verify"), body).await;
            let said = said.expect(200);
            told.push(match said["active"].as_bool() {
                Some(true) => "good".to_owned(),
                _ => said["code"].as_str().unwrap().to_owned(),
            });
        }
        told.try_into().unwrap()
    }
}

#[tokio::test]
async fn a_lock_holds_for_tokens_that_are_issued_later_and_its_end_lets_them_all_in() {
    let smith = Locksmith::new().await;
    let cases = [
        ("users/alice", json!({}), ["locked", "locked"]),
        ("users/alice", json!({ "service": "git" }), ["locked", "good"]),
        ("services/git", json!({}), ["locked", "good"]),
    ];
    for (path, body, expected) in cases {
        let before = smith.issue().await;
        assert_eq!(smith.told(&before).await, ["good", "good"]);
        smith.act(&format!("{path}/lock"), body.clone()).await;
        let after = smith.issue().await;
        assert_eq!(smith.told(&before).await, expected, "{path} {body}");
        assert_eq!(smith.told(&after).await, expected, "{path} {body}");
        smith.act(&format!("{path}/unlock"), body).await;
        for secret in [&before, &after] {
            assert_eq!(smith.told(secret).await, ["good", "good"]);
        }
    }
}

#[tokio::test]
async fn a_wider_lock_leaves_that_of_a_token_as_it_was() {
    let smith = Locksmith::new().await;
    let world = &smith.world;
    let (id, secret) = world.pat("alice", json!({ "services": ["git", "wiki"] })).await;
    smith.act(&format!("tokens/{id}/lock"), json!({})).await;
    smith.act("users/alice/lock", json!({})).await;
    smith.act("users/alice/unlock", json!({})).await;
    assert_eq!(smith.told(&secret).await, ["locked", "locked"]);
    smith.act("services/wiki/lock", json!({})).await;
    smith.act(&format!("tokens/{id}/unlock"), json!({})).await;
    assert_eq!(smith.told(&secret).await, ["good", "locked"]);
}

#[tokio::test]
async fn a_lock_is_shown_told_once_and_can_be_repeated() {
    let smith = Locksmith::new().await;
    let body = json!({ "service": "git", "reason": "phished" });
    let first = smith.act("users/alice/lock", body.clone()).await;
    assert_eq!((&first["locked"], &first["locked_services"]), (&json!(false), &json!(["git"])));
    assert_eq!(smith.act("users/alice/lock", body).await, first);
    // An edit of the person leaves it alone.
    let edit = json!({ "display_name": "Alice" });
    let edited = smith.world.patch(&format!("{R}/users/alice"), edit).await.expect(200);
    assert_eq!(edited["locked_services"], json!(["git"]));
    let path = format!("{R}/events?kind=user.locked");
    let events = smith.world.get(&path).await.expect(200);
    let events = events["items"].as_array().unwrap();
    assert_eq!(events.len(), 1);
    let told = (&events[0]["subject"], &events[0]["service"], &events[0]["reason"]);
    assert_eq!(told, (&json!("user:alice"), &json!("git"), &json!("phished")));
    assert_eq!(smith.act("services/git/lock", json!({})).await["locked"], true);
    assert_eq!(smith.act("services/git/unlock", json!({})).await["locked"], false);
}

#[tokio::test]
async fn a_lock_that_makes_no_sense_is_refused() {
    let smith = Locksmith::new().await;
    let world = &smith.world;
    let post = |path: &str, body: Value| {
        let path = format!("{R}/{path}");
        async move { world.post(&path, body).await }
    };
    post("users/alice/lock", json!({ "service": "none" })).await.refused(422, "invalid");
    post("users/bob/lock", json!({})).await.refused(404, "not-found");
    post("services/none/lock", json!({})).await.refused(404, "not-found");
    post("services/counterfoil/lock", json!({})).await.refused(409, "built-in");
    let secret = smith.issue().await;
    post("users/alice/lock", json!({ "reason": secret })).await.refused(422, "invalid");
    // A lock at a service that is gone can still be taken away.
    post("users/alice/lock", json!({ "service": "wiki" })).await.expect(200);
    let more = json!({ "act": "revoke", "service": "wiki" });
    post("tokens/bulk", more).await.expect(200);
    world.call(&world.operator_key, "DELETE", &format!("{R}/clients/w"), Value::Null).await;
    world.delete(&format!("{R}/services/wiki")).await.expect(204);
    let left = post("users/alice/unlock", json!({ "service": "wiki" })).await.expect(200);
    assert_eq!(left["locked_services"], json!([]));
}

#[tokio::test]
async fn administrators_lock_those_within_their_reach_and_nobody_unlocks_themselves() {
    let smith = Locksmith::new().await;
    let world = &smith.world;
    let unit = world.post(&format!("{R}/units"), json!({ "name": "lab" })).await.expect(201);
    world.patch(&format!("{R}/users/alice"), json!({ "unit": unit["id"] })).await.expect(200);
    world.user("bob").await;
    let admin = json!({ "roles": ["unit-admin"], "unit": unit["id"] });
    let unit_admin = world.client("unit-admin", admin).await;
    let manager = json!({ "roles": ["service-manager"], "services": ["git"] });
    let manager = world.client("manager", manager).await;
    let more = json!({ "services": ["counterfoil"], "scopes": ["tokens:write"] });
    let own = world.pat("alice", more).await.1;
    let ask = |key: &str, path: &str, body: Value| {
        let (key, path) = (key.to_owned(), format!("{R}/{path}"));
        async move { world.call(&key, "POST", &path, body).await }
    };
    ask(&unit_admin, "users/alice/lock", json!({})).await.expect(200);
    ask(&unit_admin, "users/bob/lock", json!({})).await.refused(404, "not-found");
    // Locked out of the API like out of everything else.
    ask(&own, "users/alice/unlock", json!({})).await.refused(401, "unauthenticated");
    ask(&unit_admin, "users/alice/unlock", json!({})).await.expect(200);
    ask(&own, "users/alice/unlock", json!({})).await.refused(403, "beyond-grant");
    let known = json!({ "display_name": "Alice", "emails": ["alice@example.org"],
        "attributes": { "phone": "1" } });
    world.patch(&format!("{R}/users/alice"), known).await.expect(200);
    let shown = ask(&unit_admin, "users/alice/lock", json!({ "service": "wiki" })).await;
    assert_eq!(shown.expect(200)["emails"], json!(["alice@example.org"]));
    // Who looks after a service learns nothing of a person but whether they are locked there.
    for _ in 0..2 {
        let told = ask(&manager, "users/alice/lock", json!({ "service": "git" })).await.expect(200);
        assert_eq!(
            (&told["username"], &told["locked_services"]),
            (&json!("alice"), &json!(["git"]))
        );
        assert!(!told.to_string().contains("lice@") && told["attributes"] == json!({}), "{told}");
        assert!(told["display_name"].is_null() && told["unit"].is_null(), "{told}");
    }
    ask(&manager, "users/alice/lock", json!({ "service": "wiki" })).await.refused(404, "not-found");
    ask(&manager, "users/alice/lock", json!({})).await.refused(404, "not-found");
    ask(&manager, "services/git/lock", json!({})).await.expect(200);
    ask(&manager, "services/wiki/lock", json!({})).await.refused(404, "not-found");
}

//! Administrators of a unit: what they do for its people, and nothing for anybody else.

use serde_json::{Value, json};

use crate::world::{R, World};

#[tokio::test]
async fn a15_who_administers_a_unit_manages_its_peoples_tokens_and_nobody_elses() {
    let world = World::new().await;
    let unit = world.post(&format!("{R}/units"), json!({ "name": "lab" })).await.expect(201);
    world.service("git").await;
    for name in ["chief", "alice", "bob"] {
        world.user(name).await;
    }
    for name in ["chief", "alice"] {
        let path = format!("{R}/users/{name}");
        world.patch(&path, json!({ "unit": unit["id"] })).await.expect(200);
    }
    let grant = json!({ "subject": { "user": "chief" }, "role": "unit-admin", "unit": unit["id"] });
    world.post(&format!("{R}/grants"), grant).await.expect(201);
    let more = json!({ "services": ["counterfoil"],
        "scopes": ["tokens:write", "users:write", "services:read"] });
    let chief = world.pat("chief", more.clone()).await.1;
    let alice = world.pat("alice", more).await.1;
    let ask = |key: &str, method: &'static str, path: String, body: Value| {
        let (world, key) = (&world, key.to_owned());
        async move { world.call(&key, method, &format!("{R}/{path}"), body).await }
    };
    let wish = |user: &str| json!({ "kind": "service_token", "service": "git", "user": user });
    // A person who issues for another gets a link, never the secret.
    let issued = ask(&chief, "POST", "tokens".into(), wish("alice")).await.expect(201);
    assert!(issued["link"].is_string() && issued.get("secret").is_none(), "{issued}");
    ask(&chief, "POST", "tokens".into(), wish("bob")).await.refused(403, "beyond-grant");
    ask(&alice, "POST", "tokens".into(), wish("chief")).await.refused(403, "beyond-grant");
    let bobs = world.post(&format!("{R}/tokens"), wish("bob")).await.expect(201);
    let listed = ask(&chief, "GET", "tokens?user=alice".into(), Value::Null).await.expect(200);
    assert!(listed["items"].as_array().unwrap().len() >= 2, "{listed}");
    let none = ask(&chief, "GET", "tokens?user=bob".into(), Value::Null).await.expect(200);
    assert_eq!(none["items"], json!([]));
    let id = |answer: &Value| answer["token"]["id"].as_str().unwrap().to_owned();
    for act in ["lock", "unlock", "disable", "enable", "revoke"] {
        let path = format!("tokens/{}/{act}", id(&issued));
        ask(&chief, "POST", path, json!({})).await.expect(200);
        let path = format!("tokens/{}/{act}", id(&bobs));
        ask(&chief, "POST", path, json!({})).await.refused(404, "not-found");
    }
    // They end what is theirs, and never hold it.
    let mine = ask(
        &alice,
        "POST",
        "tokens".into(),
        json!({ "kind": "service_token",
        "service": "git" }),
    );
    let path = format!("tokens/{}/rotate", id(&mine.await.expect(201)));
    ask(&chief, "POST", path.clone(), json!({})).await.refused(403, "beyond-grant");
    ask(&alice, "POST", path, json!({})).await.expect(200);
    // Bulk acts reach as far as single ones.
    let bulk = json!({ "act": "revoke", "user": "bob" });
    let done = ask(&chief, "POST", "tokens/bulk".into(), bulk).await.expect(200);
    assert_eq!((&done["changed"], &done["refused"]), (&json!(0), &json!(0)));
}

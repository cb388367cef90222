//! Acts on many tokens at once.

use serde_json::{Value, json};

use crate::world::{R, World};

/// Alice and bob with tokens for git and mail; alice's for git have two.
async fn world() -> World {
    let world = World::new().await;
    for user in ["alice", "bob"] {
        world.user(user).await;
    }
    for service in ["git", "mail"] {
        world.service(service).await;
    }
    for (user, service) in [("alice", "git"), ("alice", "git"), ("alice", "mail"), ("bob", "git")] {
        world.pat(user, json!({ "services": [service], "labels": { "of": user } })).await;
    }
    world
}

async fn bulk(world: &World, body: Value) -> Value {
    world.post(&format!("{R}/tokens/bulk"), body).await.expect(200)
}

/// How many tokens are in a state.
async fn count(world: &World, state: &str) -> usize {
    let listed = world.get(&format!("{R}/tokens?kind=personal_access_token&state={state}")).await;
    listed.expect(200)["items"].as_array().unwrap().len()
}

#[tokio::test]
async fn a_preview_changes_nothing_and_names_what_the_act_then_changes() {
    let world = world().await;
    let wanted = json!({ "act": "revoke", "user": "alice", "service": "git", "reason": "left" });
    let mut asked = wanted.clone();
    asked["dry_run"] = json!(true);
    let preview = bulk(&world, asked).await;
    assert_eq!((&preview["dry_run"], &preview["changed"]), (&json!(true), &json!(2)));
    assert_eq!(count(&world, "active").await, 4);

    let done = bulk(&world, wanted.clone()).await;
    let ids = |said: &Value| -> Vec<Value> {
        said["tokens"].as_array().unwrap().iter().map(|token| token["id"].clone()).collect()
    };
    assert_eq!(ids(&done), ids(&preview));
    assert_eq!(done["tokens"][0]["revoked_reason"], "left");
    assert_eq!((count(&world, "active").await, count(&world, "revoked").await), (2, 2));
    // Again it has nothing to do.
    let again = bulk(&world, wanted).await;
    assert_eq!(
        (&again["changed"], &again["refused"], &again["more"]),
        (&json!(0), &json!(0), &json!(false))
    );
    let events = world.get(&format!("{R}/events?kind=token.revoked")).await.expect(200);
    assert_eq!(events["items"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_lock_of_a_person_a_service_or_both_is_taken_back_by_an_unlock_of_the_same() {
    let world = world().await;
    for (whose, number) in [
        (json!({ "user": "alice" }), 3),
        (json!({ "service": "git" }), 3),
        (json!({ "user": "alice", "service": "git" }), 2),
        (json!({ "labels": { "of": "bob" } }), 1),
    ] {
        let act = |act: &str| {
            let mut body = whose.clone();
            body["act"] = json!(act);
            body["kind"] = json!("personal_access_token");
            body
        };
        assert_eq!(bulk(&world, act("lock")).await["changed"], json!(number), "{whose}");
        assert_eq!(count(&world, "locked").await, number, "{whose}");
        assert_eq!(bulk(&world, act("unlock")).await["changed"], json!(number), "{whose}");
        assert_eq!(count(&world, "locked").await, 0, "{whose}");
        assert_eq!(bulk(&world, act("disable")).await["changed"], json!(number), "{whose}");
        assert_eq!(bulk(&world, act("enable")).await["changed"], json!(number), "{whose}");
    }
}

#[tokio::test]
async fn everything_of_a_realm_is_never_meant() {
    let world = world().await;
    let path = format!("{R}/tokens/bulk");
    for body in [
        json!({ "act": "revoke" }),
        json!({ "act": "revoke", "kind": "personal_access_token" }),
        json!({ "act": "revoke", "labels": {} }),
        json!({ "act": "revoke", "user": "alice", "client": "admin" }),
        json!({ "act": "lock", "user": "alice", "reason": "only a revocation has one" }),
    ] {
        world.post(&path, body).await.refused(422, "invalid");
    }
    for body in [json!({ "act": "burn", "user": "alice" }), json!({ "user": "alice" })] {
        let answer = world.post(&path, body).await;
        assert!([400, 422].contains(&answer.status), "{}", answer.status);
    }
    assert_eq!(count(&world, "active").await, 4);
}

#[tokio::test]
async fn a_person_reaches_only_their_own_and_never_unlocks() {
    let world = world().await;
    let scopes = json!({ "services": ["counterfoil"], "scopes": ["tokens:read", "tokens:write"] });
    let (own, key) = world.pat("alice", scopes).await;
    let path = format!("{R}/tokens/bulk");
    let git = json!({ "act": "lock", "service": "git" });
    let said = world.call(&key, "POST", &path, git.clone()).await.expect(200);
    assert_eq!(said["changed"], json!(2), "bob's token is not alice's: {said}");
    let unlock = json!({ "act": "unlock", "service": "git" });
    let said = world.call(&key, "POST", &path, unlock).await.expect(200);
    assert_eq!((&said["changed"], &said["refused"]), (&json!(0), &json!(2)));
    let others = json!({ "act": "revoke", "user": "bob" });
    let said = world.call(&key, "POST", &path, others).await;
    assert_eq!(said.status, 422);
    assert_eq!(count(&world, "revoked").await, 0);
    // All of her own, the one that she calls with among them.
    let all = json!({ "act": "revoke", "user": "alice" });
    let said = world.call(&key, "POST", &path, all).await.expect(200);
    assert_eq!(said["changed"], json!(4), "{said}");
    let ids: Vec<&str> = said["tokens"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|token| token["id"].as_str())
        .collect();
    assert!(ids.contains(&own.as_str()), "{own} in {ids:?}");
}

#[tokio::test]
async fn a_call_changes_a_thousand_and_says_that_there_are_more() {
    let world = World::new().await;
    world.user("alice").await;
    world.service("git").await;
    for _ in 0..1003 {
        world.pat("alice", json!({ "services": ["git"] })).await;
    }
    let lock = json!({ "act": "lock", "user": "alice" });
    let first = bulk(&world, lock.clone()).await;
    assert_eq!((&first["changed"], &first["more"]), (&json!(1000), &json!(true)));
    let rest = bulk(&world, lock).await;
    assert_eq!((&rest["changed"], &rest["more"]), (&json!(3), &json!(false)));
}

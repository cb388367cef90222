//! Activation letters: ordered, printed once, redeemed once.

use serde_json::{Value, json};

use crate::world::{Answer, Engine, R, World};

const CARDS: &str = "[repository.card]\nkind = \"token\"\nmax_tokens_per_user = 9\n\
                     activation_letter = true\n[repository.card.attributes]\nserialId = {}\n";

async fn world(engine: Engine) -> World {
    let world = World::on_with(engine, CARDS).await;
    for user in ["alice", "bob"] {
        world.user(user).await;
    }
    world
}

/// A token of alice's; its id and its secret.
async fn card(world: &World, serial: &str) -> (String, String) {
    let body = json!({ "data": { "attributes": { "serialId": serial } } });
    let made = world.post("/auth-admin/rest/users/alice/tokens/generic/card", body).await;
    let made = made.expect(201);
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    (text(&made["data"]["id"]), text(&made["meta"]["secret"]))
}

async fn order(world: &World, token: &str) -> Answer {
    world.post(&format!("{R}/activation-letters"), json!({ "token": token })).await
}

async fn act(world: &World, id: &str, act: &str) -> Answer {
    world.post(&format!("{R}/activation-letters/{id}/{act}"), Value::Null).await
}

/// Redeems as anybody: with no credential at all.
async fn redeem(world: &World, secret: &str) -> Answer {
    let headers = [("Content-Type", "application/json")];
    let body = json!({ "secret": secret }).to_string();
    world
        .send("POST", &format!("{R}/activation-letters/redeem"), &headers, Some(body.into_bytes()))
        .await
}

async fn active(world: &World, secret: &str) -> bool {
    let said = world.post(&format!("{R}/verify"), json!({ "token": secret })).await.expect(200);
    said["active"] == json!(true)
}

#[tokio::test]
async fn a_token_is_good_from_the_moment_its_letter_is_redeemed() {
    for engine in Engine::ALL {
        let world = world(engine).await;
        let (token, secret) = card(&world, "A").await;
        assert!(!active(&world, &secret).await);
        let letter = order(&world, &token).await.expect(201);
        assert_eq!((&letter["state"], &letter["user"]), (&json!("ordered"), &json!("alice")));
        let id = letter["id"].as_str().unwrap();
        order(&world, &token).await.refused(409, "exists");

        let printed = act(&world, id, "print").await;
        assert_eq!(printed.header("cache-control"), "no-store");
        let code = printed.expect(200)["secret"].as_str().unwrap().to_owned();
        act(&world, id, "print").await.refused(410, "letter-ended");
        let shown = world.get(&format!("{R}/activation-letters/{id}")).await;
        assert!(!shown.text.contains(&code));
        assert_eq!(shown.expect(200)["state"], "printed");
        assert!(!active(&world, &secret).await);
        assert!(!active(&world, &code).await, "a letter is no token");

        let activated = redeem(&world, &code.to_uppercase()).await.expect(200);
        assert_eq!((&activated["token"], &activated["serial"]), (&json!(token), &json!("A")));
        assert!(active(&world, &secret).await);
        redeem(&world, &code).await.refused(410, "letter-ended");
        for kind in ["ordered", "printed", "redeemed", "refused"] {
            let events = world.get(&format!("{R}/events?kind=letter.{kind}")).await;
            assert!(!events.text.contains(&code));
            let events = events.expect(200);
            let number = if kind == "refused" { 0..=1 } else { 1..=1 };
            assert!(number.contains(&events["items"].as_array().unwrap().len()), "{kind}");
        }
    }
}

#[tokio::test]
async fn whatever_is_no_letter_is_refused_in_the_same_bytes() {
    let world = world(Engine::Memory).await;
    let (token, secret) = card(&world, "A").await;
    let letter = order(&world, &token).await.expect(201);
    let id = letter["id"].as_str().unwrap();
    let mut bodies = Vec::new();
    for guess in ["aaaa-aaaa-aaaa-aaaa-aaaa-aaaa", &secret, id, "1", "cflb_x"] {
        let mut refused = redeem(&world, guess).await.refused(404, "not-found");
        refused["request_id"] = Value::Null;
        bodies.push(refused);
    }
    assert!(bodies.windows(2).all(|two| two[0] == two[1]), "{bodies:?}");
}

#[tokio::test]
async fn a_letter_ends_when_it_is_cancelled_too_late_or_its_token_goes_elsewhere() {
    let world = world(Engine::Memory).await;
    let print = async |token: &str| {
        let letter = order(&world, token).await.expect(201);
        let id = letter["id"].as_str().unwrap().to_owned();
        let printed = act(&world, &id, "print").await.expect(200);
        (id, printed["secret"].as_str().unwrap().to_owned())
    };
    let (token, _) = card(&world, "A").await;
    let (id, code) = print(&token).await;
    let path = format!("{R}/activation-letters/{id}");
    for _ in 0..2 {
        assert_eq!(world.delete(&path).await.status, 204, "cancelling is idempotent");
    }
    redeem(&world, &code).await.refused(410, "letter-ended");
    // A new one can be ordered, and expires.
    let (_, code) = print(&token).await;
    world.clock.advance_seconds(31 * 86_400);
    redeem(&world, &code).await.refused(410, "letter-ended");
    let (_, code) = print(&token).await;
    world.post(&format!("/auth-admin/rest/tokens/{token}/unassign"), Value::Null).await.expect(200);
    let to_bob = json!({ "data": { "type": "users", "id": "bob" } });
    world.post(&format!("/auth-admin/rest/tokens/{token}/assign"), to_bob).await.expect(200);
    redeem(&world, &code).await.refused(410, "letter-ended");
    let found = world.get(&format!("{R}/tokens/{token}")).await.expect(200);
    assert_eq!((&found["state"], &found["user"]), (&json!("pending"), &json!("bob")));
    let listed = world.get(&format!("{R}/activation-letters?user=alice&state=cancelled")).await;
    assert_eq!(listed.expect(200)["items"].as_array().unwrap().len(), 3);
    world.get(&format!("{R}/activation-letters?state=lost")).await.refused(422, "invalid");
}

#[tokio::test]
async fn a_letter_is_for_a_token_that_waits_and_ordered_by_an_administrator() {
    let world = world(Engine::Memory).await;
    let own = json!({ "services": ["counterfoil"], "scopes": ["tokens:read", "tokens:write"] });
    let (id, own) = world.pat("alice", own).await;
    assert!(order(&world, &id).await.status >= 400);
    order(&world, "000000000000").await.refused(404, "not-found");
    let body = json!({ "token": id, "lifetime_seconds": 0 });
    world.post(&format!("{R}/activation-letters"), body).await.refused(422, "invalid");
    // Its owner does not decide that it is good.
    let (token, _) = card(&world, "A").await;
    let body = json!({ "token": token });
    let path = format!("{R}/activation-letters");
    assert_eq!(world.call(&own, "POST", &path, body).await.status, 403);
    let letter = order(&world, &token).await.expect(201);
    let one = format!("{path}/{}", letter["id"].as_str().unwrap());
    world.call(&own, "GET", &one, Value::Null).await.expect(200);
    assert_eq!(world.call(&own, "POST", &format!("{one}/print"), Value::Null).await.status, 403);
    let bob = json!({ "services": ["counterfoil"], "scopes": ["tokens:read"] });
    let (_, bob) = world.pat("bob", bob).await;
    assert_eq!(world.call(&bob, "GET", &one, Value::Null).await.status, 404);
}

#[tokio::test]
async fn the_airlock_door_orders_prints_and_cancels_letters() {
    let world = world(Engine::Memory).await;
    let (token, _) = card(&world, "A").await;
    let letters = "/auth-admin/rest/users/alice/tokens/generic/card/activation-letters";
    let ordered = world.post(letters, Value::Null).await.expect(201);
    assert_eq!(ordered["data"]["attributes"]["tokenId"], json!(token));
    let again = json!({ "data": { "attributes": { "tokenId": token } } });
    let said = world.post(letters, again).await.expect(409);
    assert_eq!(said["errors"][0]["code"], "LETTER_ALREADY_ORDERED");
    let one = format!("{letters}/{}", ordered["data"]["id"].as_str().unwrap());
    let printed = world.post(&format!("{one}/print"), Value::Null).await.expect(200);
    assert!(printed["meta"]["secret"].is_string());
    let said = world.post(&format!("{one}/print"), Value::Null).await.expect(409);
    assert_eq!(said["errors"][0]["code"], "LETTER_ENDED");
    let listed = world.get(letters).await.expect(200);
    assert_eq!(listed["data"][0]["attributes"]["state"], "printed");
    let foreign = letters.replace("alice", "bob");
    let foreign = format!("{foreign}/{}", ordered["data"]["id"].as_str().unwrap());
    assert_eq!(world.delete(&foreign).await.status, 404);
    assert_eq!(world.delete(&one).await.status, 204);
    assert_eq!(world.get(&format!("{letters}?colour=red")).await.status, 400);
}

//! Files of authentication tokens.

use serde_json::{Value, json};

use crate::world::{Answer, Engine, R, World};

/// Hexadecimal of the seed of RFC 4226.
const SEED: &str = "3132333435363738393031323334353637383930";
const STOCK: &str = "[repository.hardware]\nkind = \"token\"\nmax_tokens_per_user = 2\n\
                     [repository.hardware.attributes]\nserialId = {}\n";

async fn world(engine: Engine) -> World {
    let world = World::on_with(engine, STOCK).await;
    world.user("alice").await;
    world
}

fn file(lines: &[&str]) -> Value {
    json!({ "format": "csv", "text": lines.join("\n"), "repository": "hardware" })
}

async fn import(world: &World, body: Value) -> Answer {
    world.post(&format!("{R}/tokens/import"), body).await
}

fn with(mut body: Value, more: &Value) -> Value {
    for (name, value) in more.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

async fn tokens(world: &World) -> Vec<Value> {
    let listed = world.get(&format!("{R}/tokens?kind=generic")).await.expect(200);
    listed["items"].as_array().unwrap().clone()
}

async fn accepts(world: &World, code: &str) -> bool {
    let asked = json!({ "token": code, "username": "alice" });
    let said = world.post(&format!("{R}/verify"), asked).await.expect(200);
    said["active"] == json!(true)
}

#[tokio::test]
async fn a_file_waits_in_stock_until_its_tokens_are_assigned_and_then_their_codes_count() {
    for engine in Engine::ALL {
        let world = world(engine).await;
        let lines = [format!("H1,{SEED},hotp,6,0"), format!("H2,{SEED},totp,8,60")];
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let preview = with(file(&lines), &json!({ "dry_run": true }));
        let said = import(&world, preview).await.expect(200);
        assert_eq!((&said["imported"], &said["lines"][0]["id"]), (&json!(2), &Value::Null));
        assert!(tokens(&world).await.is_empty());

        let said = import(&world, file(&lines)).await.expect(200);
        assert_eq!((&said["imported"], &said["refused"]), (&json!(2), &json!(0)));
        assert!(tokens(&world).await.iter().all(|token| token["state"] == "pending"));
        assert!(!accepts(&world, "755224").await);
        let id = said["lines"][0]["id"].as_str().unwrap();
        let to = json!({ "data": { "type": "users", "id": "alice" } });
        world.post(&format!("/auth-admin/rest/tokens/{id}/assign"), to).await.expect(200);
        assert!(accepts(&world, "755224").await);
        assert!(!accepts(&world, "755224").await, "a code is good once");

        // Once more: serials are taken, and nothing of the file arrives.
        let fresh = format!("H3,{SEED},hotp");
        let again = file(&[&fresh, lines[1]]);
        let refused = import(&world, again.clone()).await.refused(422, "invalid");
        let detail = refused["detail"].as_str().unwrap();
        assert!(detail.contains("1 of 2") && detail.contains("line 2"), "{detail}");
        assert_eq!(tokens(&world).await.len(), 2);
        let said = import(&world, with(again, &json!({ "partial": true }))).await.expect(200);
        assert_eq!((&said["imported"], &said["refused"]), (&json!(1), &json!(1)));
        assert_eq!(said["lines"][1]["reason"], "another token of the repository has this serial");
        let events = world.get(&format!("{R}/events?kind=token.issued&reason=imported")).await;
        let text = events.text;
        assert!(!text.contains(SEED), "{text}");
    }
}

#[tokio::test]
async fn what_waits_in_stock_does_not_end_because_nobody_approves_it() {
    for engine in Engine::ALL {
        let world = world(engine).await;
        import(&world, file(&[&format!("H1,{SEED},hotp")])).await.expect(200);
        world.clock.advance_seconds(400 * 86_400);
        while world.authority.enrolment_due().await.unwrap() {}
        assert_eq!(tokens(&world).await[0]["state"], "pending");
    }
}

#[tokio::test]
async fn a_line_for_a_person_obeys_their_limit_and_needs_no_repository_without_a_serial() {
    let world = world(Engine::Memory).await;
    let base32 = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
    let plain = format!("alice,Bank,phone,{base32}\nbob,Bank,phone,{base32}");
    let body = json!({ "format": "csv", "text": plain, "partial": true });
    let said = import(&world, body).await.expect(200);
    assert_eq!((&said["imported"], &said["refused"]), (&json!(1), &json!(1)));
    assert_eq!(said["lines"][1]["reason"], "user: there is no such person");
    assert_eq!(tokens(&world).await[0]["name"], "Bank: phone");

    let headed = format!(
        "serial,secret,type,user\nA,{SEED},totp,alice\nB,{SEED},totp,alice\n\
                          C,{SEED},totp,alice\nA,{SEED},totp,alice"
    );
    let body = with(file(&[&headed]), &json!({ "dry_run": true }));
    let said = import(&world, body).await.expect(200);
    let reasons: Vec<_> = (0..4).map(|n| said["lines"][n]["reason"].as_str()).collect();
    assert_eq!(
        reasons,
        [
            None,
            None,
            Some("the limit of 2 active tokens per person is reached"),
            Some("serial: stands in this file twice")
        ]
    );
    let nowhere = json!({ "format": "csv", "text": format!("A,{SEED},totp") });
    let refused = import(&world, nowhere).await.refused(422, "invalid");
    assert!(refused["detail"].as_str().unwrap().contains("stock of a repository"), "{refused}");
}

#[tokio::test]
async fn what_is_asked_wrongly_is_refused_and_repeats_no_seed() {
    let world = world(Engine::Memory).await;
    let good = file(&[&format!("H1,{SEED},hotp")]);
    for (more, slug, status) in [
        (json!({ "format": "xlsx" }), "invalid", 422),
        (json!({ "encoding": "rot13" }), "invalid", 422),
        (json!({ "colour": 1 }), "invalid", 422),
        (json!({ "format": "pskc" }), "invalid", 422),
        (json!({ "key": "00" }), "invalid", 422),
        (json!({ "key": "00", "password": "x" }), "invalid", 422),
        (json!({ "encoding": "base32" }), "invalid", 422),
        (json!({ "repository": "nothing" }), "not-found", 404),
        (json!({ "text": "" }), "invalid", 422),
    ] {
        let answer = import(&world, with(good.clone(), &more)).await;
        assert!(!answer.text.contains(SEED), "{}", answer.text);
        answer.refused(status, slug);
    }
    // More tokens, and more bytes, than one request brings.
    let many: Vec<String> = (0..2001).map(|n| format!("H{n},{SEED},hotp")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    import(&world, file(&many)).await.refused(422, "invalid");
    let large = "x".repeat(5 * 1024 * 1024);
    import(&world, file(&[&large])).await.refused(413, "body-too-large");
    assert!(tokens(&world).await.is_empty());
}

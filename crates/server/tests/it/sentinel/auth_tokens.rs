//! A2, A4: redeeming, in JSON and XML, and the renewal that only the device itself gets.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use counterfoil_authority::store::Store;
use counterfoil_server::http::HttpSettings;
use counterfoil_store::{FailingStore, MemoryStore};
use serde_json::{Value, json};

use super::world::{admin, create, redeem, refused, send};
use crate::world::{Engine, World};

#[tokio::test]
async fn a2_a_raw_token_after_basic_redeems() {
    for engine in Engine::ALL {
        let world = World::on(engine).await;
        let made = create(&world, &json!({ "identifier": "berlin", "refId1": "r" })).await;
        let token = made["token"].as_str().unwrap();
        let drawn = redeem(&world, token, "jdoe").await.expect(201)["authToken"].clone();
        assert_eq!(drawn["token"], drawn["access_token"]);
        assert!(drawn["refresh_token"].as_str().unwrap().starts_with("cflf_"), "{drawn}");
        assert_eq!(drawn["expires_in"], 300);
        assert_eq!(drawn["systemUserName"], "jdoe");
        assert_eq!(
            drawn["registrationToken"],
            json!({ "id": made["id"], "identifier": "berlin",
        "count": 4, "usedCount": 1 })
        );
        let pairs = [format!("x:{token}"), format!("{token}:")];
        for pair in pairs {
            redeem(&world, &STANDARD.encode(pair), "jdoe").await.expect(201);
        }
        let credential = format!("Bearer {token}");
        send(&world, &credential, "POST", "/authTokens", Some("{}")).await.expect(201);
        refused(&redeem(&world, token, "jdoe").await, 403, 90_412);
        for wrong in ["nonsense", "cflr_x", &STANDARD.encode("x:y")] {
            let answer = redeem(&world, wrong, "jdoe").await;
            refused(&answer, 401, 90_401);
            assert_eq!(answer.header("www-authenticate"), "Basic realm=\"registration-token\"");
        }
        let shown = admin(
            &world,
            "GET",
            &format!("/registrationTokens/{}", made["id"].as_str().unwrap()),
            None,
        )
        .await;
        let shown = shown.expect(200)["registrationToken"].clone();
        assert_eq!((&shown["usedCount"], &shown["exhausted"]), (&json!(4), &json!(true)));
        assert_eq!(shown["status"], "Enabled");
    }
}

#[tokio::test]
async fn a2_the_same_in_xml() {
    for engine in Engine::ALL {
        let world = World::on(engine).await;
        let bearer = format!("Bearer {}", world.operator_key);
        let body = "<registrationToken><id></id><customer><id/></customer><identifier/>\
        <count>2</count><usedCount></usedCount><isEnabled>true</isEnabled></registrationToken>";
        let ask = |credential: String, path: &'static str, body: &'static str| {
            let world = &world;
            async move {
                let headers = [
                    ("accept", "application/xml"),
                    ("content-type", "application/xml"),
                    ("authorization", credential.as_str()),
                ];
                world.send("POST", path, &headers, Some(body.as_bytes().to_vec())).await
            }
        };
        let made = ask(bearer, "/token/api/v5/registrationTokens", body).await;
        assert_eq!(made.status, 201, "{}", made.text);
        assert!(made.header("content-type").starts_with("application/xml"));
        assert!(made.text.contains("?><registrationToken><id>"), "{}", made.text);
        let token = made.text.split("<token>").nth(1).unwrap().split("</token>").next().unwrap();
        let body = "<authToken><fqdn>ws</fqdn><systemUserName>j</systemUserName></authToken>";
        let drawn = ask(format!("Basic {token}"), "/token/api/v5/authTokens", body).await;
        assert_eq!(drawn.status, 201, "{}", drawn.text);
        assert!(drawn.text.contains("<authToken><id>") && drawn.text.contains("<token>"));
        let bad = ask(format!("Basic {token}"), "/token/api/v5/authTokens", "<authToken>").await;
        assert_eq!(bad.status, 400);
        assert!(bad.text.contains("<errorResponse><errorCode>90400</errorCode>"), "{}", bad.text);
    }
}

#[tokio::test]
async fn a4_a_registration_token_alone_renews_nobodys_access() {
    for engine in Engine::ALL {
        let world = World::on(engine).await;
        let made = create(&world, &json!({})).await;
        let token = made["token"].as_str().unwrap();
        let one = redeem(&world, token, "one").await.expect(201)["authToken"].clone();
        let two = redeem(&world, token, "two").await.expect(201)["authToken"].clone();
        let path = format!("/authTokens/{}", one["id"].as_str().unwrap());
        let credential = format!("Basic {token}");
        let renew = |body: Value| {
            let (world, credential, path, body) = (&world, &credential, &path, body.to_string());
            async move { send(world, credential, "PATCH", path, Some(&body)).await }
        };
        let shown = renew(json!({ "authToken": { "fqdn": "" } })).await;
        let said = shown.body["authToken"].clone();
        assert_eq!((shown.status, &said["id"]), (200, &one["id"]));
        for key in ["token", "access_token", "refresh_token"] {
            assert_eq!(said.get(key), None, "{said}");
        }
        refused(&renew(json!({ "refresh_token": two["refresh_token"] })).await, 400, 90_400);
        let renewed = renew(json!({ "refresh_token": one["refresh_token"] })).await.expect(200);
        let renewed = renewed["authToken"].clone();
        assert_ne!(renewed["refresh_token"], one["refresh_token"]);
        assert!(renewed["access_token"].is_string(), "{renewed}");
        let other = create(&world, &json!({})).await;
        let foreign = format!("Basic {}", other["token"].as_str().unwrap());
        refused(&send(&world, &foreign, "PATCH", &path, Some("{}")).await, 404, 125);
        refused(&send(&world, "Basic nonsense", "PATCH", &path, Some("{}")).await, 401, 90_401);
    }
}

#[tokio::test]
async fn auth_tokens_are_listed_and_deleted_by_administrators() {
    let world = World::new().await;
    let made = create(&world, &json!({})).await;
    let token = made["token"].as_str().unwrap();
    let drawn = redeem(&world, token, "jdoe").await.expect(201)["authToken"].clone();
    redeem(&world, token, "other").await.expect(201);
    let id = drawn["id"].as_str().unwrap();
    let registration = made["id"].as_str().unwrap();
    for (query, count) in [
        ("systemUserName=jdoe".to_owned(), 1),
        (format!("registrationTokenId={registration}"), 2),
        ("fqdn=elsewhere".to_owned(), 0),
    ] {
        let listed = admin(&world, "GET", &format!("/authTokens?{query}"), None).await.expect(200);
        assert_eq!(listed["authTokens"]["count"], count, "{query}");
        assert!(!listed.to_string().contains("refresh_token"), "{listed}");
    }
    let path = format!("/registrationTokens/{registration}?dryRun=true");
    let preview = admin(&world, "DELETE", &path, None).await.expect(200);
    assert_eq!(preview["blastRadius"]["authTokens"], 2);
    assert_eq!(admin(&world, "DELETE", &format!("/authTokens/{id}"), None).await.status, 204);
    refused(&admin(&world, "GET", &format!("/authTokens/{id}"), None).await, 404, 125);
    let cascade = format!("/registrationTokens/{registration}?cascade=true");
    assert_eq!(admin(&world, "DELETE", &cascade, None).await.status, 204);
    let listed = admin(&world, "GET", "/authTokens", None).await.expect(200);
    assert_eq!(listed["authTokens"]["count"], 0);
}

#[tokio::test]
async fn a_store_that_is_down_is_never_a_denial() {
    let store = Arc::new(FailingStore::new(Arc::new(MemoryStore::new())));
    let world = World::over(Arc::clone(&store) as Arc<dyn Store>, HttpSettings::default()).await;
    let made = create(&world, &json!({})).await;
    let token = made["token"].as_str().unwrap().to_owned();
    for call in 1..=24 {
        let cold = world.restarted().await;
        store.fail_nth(call);
        let answer = redeem(&cold, &token, "jdoe").await;
        let calls = store.calls();
        store.heal();
        if calls.len() < call {
            assert_eq!(answer.status, 201, "{}", answer.text);
            return;
        }
        refused(&answer, 503, 90_503);
    }
    panic!("too many calls");
}

//! A1, A3, A6, A7, A8, A9: where to log in, and what administrators do with registration tokens.

use counterfoil_server::http::HttpSettings;
use serde_json::{Value, json};

use super::world::{V5, admin, create, redeem, refused, registration, send};
use crate::world::{Engine, World};

#[tokio::test]
async fn a1_where_to_log_in_is_told_to_everybody() {
    for engine in Engine::ALL {
        let world = World::on(engine).await;
        let told = send(&world, "", "GET", "/idpConfigurations", None).await;
        assert_eq!(told.header("cache-control"), "public, max-age=300");
        let told = told.expect(200)["idpConfigurations"].clone();
        assert_eq!(told["count"], 1);
        let one = &told["idpConfiguration"][0];
        let endpoint = one["tokenEndpoint"].as_str().unwrap();
        assert!(endpoint.ends_with("/auth/"), "{one}");
        assert_eq!(one["realm"], "main");
        assert_eq!(one["clientId"], "ems-scl-public-client");
        assert_eq!(one["issuer"], "http://127.0.0.1:8780/realms/main");
    }
}

#[tokio::test]
async fn a3_a_deleted_token_is_not_found_by_number_125() {
    for engine in Engine::ALL {
        let world = World::on(engine).await;
        let first = create(&world, &json!({ "identifier": "berlin" })).await;
        let path = format!("/registrationTokens/{}", first["id"].as_str().unwrap());
        assert_eq!(admin(&world, "DELETE", &path, None).await.status, 204);
        refused(&admin(&world, "GET", &path, None).await, 404, 125);
        create(&world, &json!({ "identifier": "paris" })).await;
        let by_name = "/registrationTokens?identifier=paris";
        assert_eq!(admin(&world, "DELETE", by_name, None).await.status, 204);
        refused(&admin(&world, "DELETE", by_name, None).await, 404, 125);
        refused(&admin(&world, "GET", "/registrationTokens/nonsense", None).await, 404, 125);
        refused(&admin(&world, "DELETE", "/registrationTokens", None).await, 400, 90_400);
    }
}

#[tokio::test]
async fn a6_an_end_lies_from_tomorrow_to_thirty_days_ahead() {
    for engine in Engine::ALL {
        let world = World::on(engine).await;
        // The clock stands at noon of 2026-11-21.
        for (end, status) in [
            ("2026-11-21", 400),
            ("2026-11-20", 400),
            ("2026-11-22", 201),
            ("11/22/2026", 201),
            ("2026-12-21", 201),
            ("2026-12-22", 400),
            ("soon", 400),
        ] {
            let body = registration(&json!({ "expirationDate": end }));
            let made = admin(&world, "POST", "/registrationTokens", Some(body)).await;
            assert_eq!(made.status, status, "{end}: {}", made.text);
        }
        let made = create(&world, &json!({})).await;
        assert_eq!(
            (&made["expirationDate"], &made["expiryDate"]),
            (&json!("2026-12-21"), &json!("2026-12-21"))
        );
    }
}

#[tokio::test]
async fn a6_a_date_counts_to_the_end_of_its_day() {
    for engine in Engine::ALL {
        let world = World::on(engine).await;
        let made = create(&world, &json!({ "expirationDate": "2026-11-22" })).await;
        let token = made["token"].as_str().unwrap();
        // 2026-11-22T23:59:00Z, then 2026-11-23T00:00:01Z.
        world.clock.advance_seconds(12 * 3_600 + 86_400 - 60);
        assert_eq!(redeem(&world, token, "a").await.status, 201);
        world.clock.advance_seconds(61);
        refused(&redeem(&world, token, "b").await, 403, 90_411);
    }
}

#[tokio::test]
async fn a7_what_is_off_or_over_is_not_edited() {
    for engine in Engine::ALL {
        let world = World::on(engine).await;
        let made = create(&world, &json!({ "isEnabled": "false" })).await;
        assert_eq!(made["status"], "Disabled");
        let path = format!("/registrationTokens/{}", made["id"].as_str().unwrap());
        let edit = |body: Value| admin(&world, "PATCH", &path, Some(body));
        refused(&edit(json!({ "count": 9 })).await, 400, 90_410);
        refused(&redeem(&world, made["token"].as_str().unwrap(), "a").await, 403, 90_410);
        let on = edit(json!({ "registrationToken": { "isEnabled": true, "count": 9 } })).await;
        let on = on.expect(200)["registrationToken"].clone();
        assert_eq!((&on["status"], &on["count"]), (&json!("Enabled"), &json!(9)));
        redeem(&world, made["token"].as_str().unwrap(), "a").await.expect(201);
        redeem(&world, made["token"].as_str().unwrap(), "b").await.expect(201);
        refused(&edit(json!({ "count": 1 })).await, 400, 90_400);
        world.clock.advance_seconds(31 * 86_400);
        refused(&edit(json!({ "count": 20 })).await, 400, 90_411);
    }
}

#[tokio::test]
async fn a7_when_it_was_edited_is_empty_until_it_was() {
    for engine in Engine::ALL {
        let world = World::on(engine).await;
        let made = create(&world, &json!({})).await;
        assert_eq!(made["lastModifiedDate"], "");
        redeem(&world, made["token"].as_str().unwrap(), "a").await.expect(201);
        let path = format!("/registrationTokens/{}", made["id"].as_str().unwrap());
        let shown = || async { admin(&world, "GET", &path, None).await.expect(200) };
        assert_eq!(shown().await["registrationToken"]["lastModifiedDate"], "");
        for (minutes, edit) in [(5, json!({ "count": 9 })), (3, json!({ "isEnabled": false }))] {
            world.clock.advance_seconds(minutes * 60);
            let edited = admin(&world, "PATCH", &path, Some(edit)).await.expect(200);
            assert_eq!(edited, shown().await);
        }
        let shown = shown().await["registrationToken"].clone();
        assert_eq!(shown["creationDate"], "2026-11-21 12:00");
        assert_eq!(shown["lastModifiedDate"], "2026-11-21 12:08");
    }
}

#[tokio::test]
async fn a8_lists_are_paged_sorted_and_searched() {
    for engine in Engine::ALL {
        let world = World::on(engine).await;
        for (name, count) in [("b", 2), ("a", 3), ("c", 1)] {
            let more = json!({ "identifier": name, "count": count, "refId1": "x", "refId2": name });
            create(&world, &more).await;
        }
        let names = |answer: Value| -> Vec<String> {
            let items =
                answer["registrationTokens"]["registrationToken"].as_array().unwrap().clone();
            items.iter().map(|one| one["identifier"].as_str().unwrap().to_owned()).collect()
        };
        let list = |query: &str| {
            let path = format!("/registrationTokens?{query}");
            let world = &world;
            async move { admin(world, "GET", &path, None).await.expect(200) }
        };
        assert_eq!(names(list("sortByAsc=identifier").await), ["a", "b", "c"]);
        assert_eq!(names(list("sortByDesc=count").await), ["a", "b", "c"]);
        let second = list("sortByAsc=identifier&pageStartIndex=1&pageSize=1").await;
        assert_eq!(second["registrationTokens"]["count"], 3);
        assert_eq!(names(second), ["b"]);
        assert_eq!(names(list("refId2=c").await), ["c"]);
        assert_eq!(names(list("refId1=x&identifier=a").await), ["a"]);
        assert_eq!(names(list("refId1=y").await), Vec::<String>::new());
        let made = create(&world, &json!({ "identifier": "d" })).await;
        let secret = made["token"].as_str().unwrap();
        assert_eq!(names(list(&format!("token={secret}")).await), ["d"]);
        let body = json!({ "token": secret });
        let found = admin(&world, "POST", "/registrationTokens/search", Some(body)).await;
        assert_eq!(names(found.expect(200)), ["d"]);
        let by_key = admin(&world, "GET", "/registrationTokens/identifier=d", None).await;
        assert_eq!(by_key.expect(200)["registrationToken"]["id"], made["id"]);
        let twice = registration(&json!({ "identifier": "d" }));
        refused(&admin(&world, "POST", "/registrationTokens", Some(twice)).await, 400, 90_400);
    }
}

#[tokio::test]
async fn a9_a_secret_is_shown_in_the_answer_that_made_it_alone() {
    for engine in Engine::ALL {
        let world = World::on(engine).await;
        let made = create(&world, &json!({})).await;
        let secret = made["token"].as_str().unwrap();
        assert!(secret.starts_with("cflr_"), "{made}");
        let id = made["id"].as_str().unwrap();
        for path in ["", &format!("/{id}")] {
            let path = format!("/registrationTokens{path}");
            let shown = admin(&world, "GET", &path, None).await;
            assert_eq!(shown.status, 200);
            assert!(!shown.text.contains(secret), "{}", shown.text);
            assert!(shown.text.contains(&format!("cflr_{id}_****")), "{}", shown.text);
        }
    }
}

#[tokio::test]
async fn a_customer_is_named_by_any_of_its_names() {
    let world = World::new().await;
    let unit = json!({ "name": "Acme", "identifier": "ACME", "external_id": "X-1" });
    let unit = world.post("/api/v1/realms/main/units", unit).await.expect(201);
    for customer in [
        json!({ "id": unit["id"] }),
        json!({ "name": "Acme" }),
        json!({ "identifier": "ACME", "name": "" }),
        json!({ "externalId": "X-1" }),
    ] {
        let made = create(&world, &json!({ "customer": customer })).await;
        assert_eq!(
            made["customer"],
            json!({ "id": unit["id"], "name": "Acme",
            "identifier": "ACME", "externalId": "X-1" })
        );
    }
    let nobody = registration(&json!({ "customer": { "name": "Nobody" } }));
    refused(&admin(&world, "POST", "/registrationTokens", Some(nobody)).await, 400, 90_400);
}

#[tokio::test]
async fn without_a_good_credential_every_route_answers_401() {
    let world = World::new().await;
    let made = create(&world, &json!({})).await;
    let raw = format!("Bearer {}", made["token"].as_str().unwrap());
    let id = made["id"].as_str().unwrap();
    for (method, path) in [
        ("GET", "/registrationTokens".to_owned()),
        ("POST", "/registrationTokens".to_owned()),
        ("POST", "/registrationTokens/search".to_owned()),
        ("GET", format!("/registrationTokens/{id}")),
        ("PATCH", format!("/registrationTokens/{id}")),
        ("DELETE", format!("/registrationTokens/{id}")),
        ("DELETE", "/registrationTokens?identifier=x".to_owned()),
        ("GET", "/authTokens".to_owned()),
        ("GET", format!("/authTokens/{id}")),
        ("DELETE", format!("/authTokens/{id}")),
    ] {
        for credential in ["", "Bearer nonsense", "Basic nonsense", "Digest x", raw.as_str()] {
            let answer = send(&world, credential, method, &path, Some("{}")).await;
            refused(&answer, 401, 90_402);
            assert!(answer.header("www-authenticate").starts_with("Bearer "), "{method} {path}");
        }
    }
    let idle = world.client("idle", json!({ "roles": [] })).await;
    let answer = send(
        &world,
        &format!("Bearer {idle}"),
        "POST",
        "/registrationTokens",
        Some(&registration(&json!({})).to_string()),
    )
    .await;
    refused(&answer, 403, 90_403);
}

#[tokio::test]
async fn a_door_that_is_off_is_not_there() {
    let settings = HttpSettings { sentinel: false, ..HttpSettings::default() };
    let world = World::with(settings).await;
    for path in ["idpConfigurations", "registrationTokens", "authTokens"] {
        let answer = world.get(&format!("{V5}/{path}")).await;
        answer.refused(404, "no-such-route");
    }
}

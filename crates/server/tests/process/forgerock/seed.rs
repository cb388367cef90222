//! Checks 1, 2, 5, 10, 11 and 28: the seed's flow, and that nobody learns why not.

use serde_json::{Value, json};

use super::*;
use crate::harness::files_below;
use crate::world::user;

#[test]
fn check_01_the_flow_of_the_seed_from_the_login_to_the_permissions() {
    for world in World::on_each_store(SETTINGS) {
        let body = json!({ "name": "policyeval", "roles": ["verifier"], "services": ["git"] });
        let key = client(&world.admin, &body).key;
        let made = login(&world.admin, AUTHENTICATE, "policyeval", &key);
        let said = made.expect(200);
        assert_eq!(said["successUrl"], "/openam/console");
        assert_eq!(said["realm"], "/");
        let token = said["tokenId"].as_str().unwrap();
        let cookie = made.header("set-cookie");
        assert!(cookie.starts_with(&format!("iPlanetDirectoryPro={token}; ")), "{cookie}");
        assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"), "{cookie}");

        let permissions = json!({ "profile": ["givenName", "fullName", "mail"] });
        let issued = pat(&world.admin, &json!({ "permissions": permissions, "expires_at": null }));
        // The bytes in the order in which a client of the seed sends them.
        let resource = format!("pat://alice:{}", issued.secret);
        let request = Request::new("POST", EVALUATE)
            .header("Content-Type", "application/json")
            .header("iPlanetDirectoryPro", token)
            .body(format!(r#"{{"resources":["{resource}"],"application":"PATValidator"}}"#));
        let answer = world.admin.raw(&request);
        let said = answer.expect(200);
        assert_eq!(answer.header("cache-control"), "no-store");
        let assigned = &said[0]["attributes"]["Assigned Permissions"];
        let text = assigned[0].as_str().unwrap();
        assert_eq!(serde_json::from_str::<Value>(text).unwrap(), permissions);
        assert_eq!(
            said,
            json!([{
                "resource": resource,
                "actions": { "access": true },
                "attributes": { "Assigned Permissions": [text] },
                "advices": {},
                "ttl": FOR_EVER,
            }])
        );
        assert!(answer.text().contains("\"ttl\":9223372036854775807"));
        crate::harness::await_true("the use is counted", crate::harness::PATIENCE, || {
            world.usage_total(&issued) == 1
        });
    }
}

/// Everything that is wrong looks the same, but for the resource that it repeats.
#[test]
fn check_02_all_bad_tokens_get_the_same_answer() {
    for world in World::on_each_store(SETTINGS) {
        let (token, good) = evaluator(&world);
        user(&world.admin, "bob");
        user(&world.admin, "carol");
        let of = |more: Value| pat(&world.admin, &more).secret;
        let revoked = pat(&world.admin, &json!({}));
        let disabled = pat(&world.admin, &json!({}));
        let suspended = of(json!({ "user": "carol" }));
        let elsewhere = {
            crate::world::service(&world.admin, "wiki", &json!({}));
            of(json!({ "services": ["wiki"] }))
        };
        let early = of(json!({ "not_before": "2090-01-01T00:00:00Z",
            "expires_at": "2091-01-01T00:00:00Z" }));
        let late = pat(&world.admin, &json!({ "lifetime_seconds": 1 }));
        world.admin.post(&revoked.path("/revoke"), &json!({})).expect(200);
        world.admin.post(&disabled.path("/disable"), &json!({})).expect(200);
        let suspend = json!({ "status": "suspended" });
        world.admin.patch("/users/carol", &suspend).expect(200);
        crate::harness::await_true("a token expires", crate::harness::PATIENCE, || {
            !allows(&decision(&world, &token, "alice", &late.secret))
        });
        assert!(allows(&decision(&world, &token, "alice", &good.secret)));
        assert!(allows(&decision(&world, &token, "ALICE", &good.secret)));

        let mut wrong = good.secret.clone();
        wrong.replace_range(20..21, if &wrong[20..21] == "a" { "b" } else { "a" });
        let mut answers = Vec::new();
        for (user, secret) in [
            ("alice", wrong.as_str()),
            ("alice", "cflp_000000000000_000000000000000000000000000000000000AB"),
            ("alice", "f83ee64ef9d15a68e5c7a910395ea1611e2fa138b1b9dd7e090941dfed773b2c"),
            ("bob", good.secret.as_str()),
            ("nobody", good.secret.as_str()),
            ("alice", revoked.secret.as_str()),
            ("alice", disabled.secret.as_str()),
            ("carol", suspended.as_str()),
            ("alice", elsewhere.as_str()),
            ("alice", early.as_str()),
            ("alice", late.secret.as_str()),
            // A key is no personal access token, whoever's name is said with it.
            ("admin", world.admin.key.as_str()),
            ("git-verifier", world.verifier.key.as_str()),
        ] {
            let resource = format!("pat://{user}:{secret}");
            let answer = evaluated(&world, &token, "PATValidator", &json!([resource]));
            answer.expect(200);
            let text = answer.text().replace(&resource, "RESOURCE");
            let mut lasting = answer.lasting();
            lasting.headers.retain(|(name, _)| name != "content-length");
            answers.push((text, lasting.headers));
        }
        let first = answers[0].clone();
        assert_eq!(
            serde_json::from_str::<Value>(&first.0).unwrap(),
            json!([{ "resource": "RESOURCE", "actions": {}, "attributes": {}, "advices": {},
                "ttl": FOR_EVER }])
        );
        for answer in answers {
            assert_eq!(answer, first);
        }
        // The evaluator's own kind of right to ask does not widen what it may know.
        let other = json!({ "name": "wikieval", "roles": ["verifier"], "services": ["wiki"] });
        let key = client(&world.admin, &other).key;
        let wiki = session(&world.admin, "wikieval", &key);
        assert!(!allows(&decision(&world, &wiki, "alice", &good.secret)));
        assert!(allows(&decision(&world, &wiki, "alice", &elsewhere)));
    }
}

#[test]
fn check_05_each_resource_once_and_each_decision_whole() {
    for world in World::on_each_store(SETTINGS) {
        let (token, good) = evaluator(&world);
        let ends = pat(&world.admin, &json!({ "expires_at": "2090-01-01T00:00:00Z" }));
        let first = format!("pat://alice:{}", good.secret);
        let second = format!("pat://alice:{}", ends.secret);
        let asked = json!([first, second, first, "http://h/x"]);
        let said = evaluated(&world, &token, "PATValidator", &asked).expect(200);
        let all = said.as_array().unwrap();
        assert_eq!(all.len(), 3);
        for one in all {
            let names: Vec<&String> = one.as_object().unwrap().keys().collect();
            assert_eq!(names, ["actions", "advices", "attributes", "resource", "ttl"]);
        }
        assert_eq!(all[0]["ttl"], FOR_EVER);
        assert_eq!(all[1]["ttl"], 3_786_912_000_000_i64);
        assert_eq!(all[2]["actions"], json!({}));
    }
}

#[test]
fn check_10_odd_resources_get_no_grant_and_no_error() {
    for world in World::on_each_store(SETTINGS) {
        let (token, good) = evaluator(&world);
        let long = format!("pat://alice:{}", "a".repeat(1_000_000));
        let secret = &good.secret;
        for resource in [
            "pat://*:x".to_owned(),
            format!("pat://*:{secret}"),
            "pat://alice:*".to_owned(),
            "pat://-*-:x".to_owned(),
            "pat://alice:*-*-".to_owned(),
            "pat://alice:a/../b".to_owned(),
            format!("pat://alice:x/../../alice:{secret}"),
            "pat://alice:".to_owned(),
            "pat://:x".to_owned(),
            "pat://".to_owned(),
            "pat:".to_owned(),
            long,
            format!("pat://alice:{secret}\u{0}"),
            format!("pat://alice:{secret}\u{2028}"),
            format!("pat://alice:{}", secret.to_uppercase()),
            format!("pat://alice:{}", secret.to_lowercase()),
            format!("pat://alice:{secret}/"),
            format!("pat://alice:{secret}?x=1"),
            format!("pat://alice:{secret}:more"),
            format!("pat://alice@example.com:{secret}"),
            format!("patx://alice:{secret}"),
            format!(" pat://alice:{secret}"),
        ] {
            let said = evaluated(&world, &token, "PATValidator", &json!([resource])).expect(200);
            let shown: String = resource.chars().take(60).collect();
            assert_eq!(said[0]["actions"], json!({}), "{shown}");
            assert_eq!(said[0]["attributes"], json!({}), "{shown}");
        }
        assert!(allows(&decision(&world, &token, "alice", secret)));
        let scheme = format!("PAT://alice:{secret}");
        let said = evaluated(&world, &token, "PATValidator", &json!([scheme])).expect(200);
        assert!(allows(&said[0]));
    }
}

#[test]
fn check_11_a_tree_tells_nothing_of_tokens() {
    for world in World::on_each_store(SETTINGS) {
        let (token, good) = evaluator(&world);
        let path = "/openam/json/policies?_action=evaluateTree";
        let tree = |resource: &str| {
            let body = json!({ "resource": resource, "application": "PATValidator" });
            world.admin.raw(&under(&token, "POST", path, &body)).expect(200)
        };
        for root in ["pat://alice:", "pat://", "pat://alice", "pat://*:*"] {
            let said = tree(root);
            assert_eq!(said.as_array().unwrap().len(), 1, "{said}");
            assert_eq!(said[0]["actions"], json!({}), "{said}");
        }
        let own = tree(&format!("pat://alice:{}", good.secret));
        assert!(allows(&own[0]) && own.as_array().unwrap().len() == 1);
        let body = json!({ "application": "PATValidator" });
        let refused = world.admin.raw(&under(&token, "POST", path, &body)).expect(400);
        assert_eq!(refused["message"], "Invalid value resource");
    }
}

#[test]
fn check_28_a_revocation_counts_for_the_next_decision_and_neither_sessions_nor_tokens_are_left() {
    for mut world in World::on_each_store(SETTINGS) {
        let (token, good) = evaluator(&world);
        for _ in 0..3 {
            assert!(allows(&decision(&world, &token, "alice", &good.secret)));
        }
        world.admin.post(&good.path("/revoke"), &json!({})).expect(200);
        assert!(!allows(&decision(&world, &token, "alice", &good.secret)));
        // Secrets in places where nobody expects them.
        let odd = format!("http://alice:{}@h/", good.secret);
        let refused = evaluated(&world, &token, "PATValidator", &json!([odd]));
        assert!(!refused.text().contains(&good.secret) && refused.status == 400);
        let unknown = format!("/openam/json/{}/policies", good.secret);
        assert!(world.admin.raw(&under(&token, "GET", &unknown, &Value::Null)).status >= 400);
        let named = format!("/openam/json/sessions/{token}?_action=validate");
        let valid = world.admin.raw(&Request::new("POST", named)).expect(200);
        assert_eq!(valid["valid"], true);
        let events = world.admin.get("/events?limit=1000").expect(200).to_string();
        assert!(!events.contains(&good.secret) && !events.contains(&token));

        assert!(world.server.stop().success());
        let mut files = world.site.files();
        if let Some(cluster) = &world.cluster {
            cluster.end("fast");
            files.extend(files_below(cluster.directory()));
        }
        for secret in [&token, &good.secret] {
            let tail = secret.rsplit('_').next().unwrap().as_bytes();
            for (path, bytes) in &files {
                let there = bytes.windows(tail.len()).any(|window| window == tail);
                assert!(!there, "{} holds {secret}", path.display());
            }
        }
    }
}

/// As every other door counts: each presented token once, by what came of it.
#[test]
fn decisions_about_tokens_are_counted() {
    let world = World::new(SETTINGS);
    let (token, good) = evaluator(&world);
    let revoked = pat(&world.admin, &json!({}));
    world.admin.post(&revoked.path("/revoke"), &json!({})).expect(200);
    let resource = |secret: &str| format!("pat://alice:{secret}");
    let asked =
        json!([resource(&good.secret), resource(&revoked.secret), "pat://alice:*", "http://h/x"]);
    evaluated(&world, &token, "PATValidator", &asked).expect(200);
    // No policy of this set speaks of tokens.
    let elsewhere = json!([resource(&good.secret)]);
    evaluated(&world, &token, "iPlanetAMWebAgentService", &elsewhere).expect(200);
    let metrics = world.admin.raw(
        &Request::new("GET", "/metrics")
            .header("Authorization", format!("Bearer {}", world.admin.key)),
    );
    assert_eq!(metrics.status, 200);
    let text = metrics.text();
    for (outcome, count) in
        [("active", 1), ("revoked", 1), ("unknown", 1), ("permission_denied", 1), ("expired", 0)]
    {
        let line = format!("counterfoil_verify_total{{door=\"am\",outcome=\"{outcome}\"}} {count}");
        assert!(text.contains(&line), "{line}");
    }
}

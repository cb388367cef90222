//! Check 9 at the door: tokens in clear that an administrator puts on a profile.

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::*;
use crate::harness::files_below;
use crate::world::user;

const SETTINGS: &str = "log.level = \"trace\"\nabuse.throttle = false\n\
                        am.import_service = \"git\"";
const ATTRIBUTE: &str = "iplanet-am-user-alias-list";
/// The two keys that were published.
const PUBLISHED: [&str; 2] = [
    "f83ee64ef9d15a68e5c7a910395ea1611e2fa138b1b9dd7e090941dfed773b2c",
    "a011286605ff6a5de51f4d46eb511a9e8715498fca87965576c73b8fd27246fe",
];
/// Drawn at random for this test.
const FIRST: &str = "1b7d0e5c92a84f63d1c0b9a8e7f6054321fedcba9876543210aabbccddeeff07";
const SECOND: &str = "c4d3b2a190f8e7d6c5b4a3928170615243f5e6d7c8b9aa0b1c2d3e4f50617283";
const THIRD: &str = "70819203a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f";

fn put(world: &World, session: &str, name: &str, body: &Value) -> Answer {
    let path = format!("/openam/json/users/{name}");
    world.admin.raw(&under(session, "PUT", &path, body))
}

fn values(values: &[String]) -> Value {
    json!({ ATTRIBUTE: values })
}

/// The ids of the tokens that a profile shows.
fn ids(profile: &Value) -> Vec<String> {
    let shown = profile[ATTRIBUTE].as_array().into_iter().flatten();
    let one = |text: &Value| {
        let value: Value = serde_json::from_str(text.as_str().unwrap()).unwrap();
        value.as_object().unwrap().keys().next().unwrap().clone()
    };
    let mut ids: Vec<String> = shown.map(one).collect();
    ids.sort();
    ids
}

#[test]
fn check_09_tokens_on_a_profile_are_taken_over_and_shown_to_nobody() {
    for mut world in World::on_each_store(SETTINGS) {
        let (token, _) = evaluator(&world);
        user(&world.admin, "bob");
        let above = administrator(&world);
        let weak = "{\"wiki\" : [ \"read\" ] }";
        let computed = data_encoding::HEXLOWER.encode(&Sha256::digest(format!("{weak}\n")));
        // The three spellings, typographic quotes included.
        let sent = [
            format!("{FIRST}:{{“profile” : [ “givenName”, “mail” ] }}"),
            format!("{SECOND}:{{\"profile\" : [ \"mail\"]}}"),
            format!("{{\"{THIRD}\": {{\"resource1\" : [ \"read\" ] }} }}"),
            format!("{computed}:{weak}"),
        ];
        let said = put(&world, &above, "bob", &values(&sent));
        assert_eq!(said.header("cache-control"), "no-store");
        let profile = said.expect(200);
        assert_eq!((&profile["username"], ids(&profile).len()), (&json!("bob"), 4));
        for secret in [FIRST, SECOND, THIRD, computed.as_str()] {
            assert!(!profile.to_string().contains(secret));
            assert!(allows(&decision(&world, &token, "bob", secret)), "{secret}");
            assert!(!allows(&decision(&world, &token, "alice", secret)), "{secret}");
        }
        let granted = decision(&world, &token, "bob", FIRST);
        let assigned = &granted["attributes"]["Assigned Permissions"][0];
        assert_eq!(assigned, r#"{"profile":["givenName","mail"]}"#);

        // What was computed works, and its owner is told to rotate it.
        let tokens = world.admin.get("/tokens?user=bob&label.weak-derivation=true").expect(200);
        let found = tokens["items"].as_array().unwrap();
        assert_eq!(found.len(), 1, "{tokens}");
        assert!(found[0]["description"].as_str().unwrap().contains("Rotate"));
        assert_eq!(found[0]["services"], json!(["git"]));

        // Sent again, also as it was read, nothing is new; with one more, that one is.
        assert_eq!(ids(&put(&world, &above, "bob", &values(&sent)).expect(200)), ids(&profile));
        let look = under(&above, "GET", "/openam/json/users/bob", &Value::Null);
        let mut read = world.admin.raw(&look).expect(200);
        let fourth = "e".repeat(60) + "0123";
        read[ATTRIBUTE].as_array_mut().unwrap().push(json!(format!("{fourth}:{{}}")));
        assert_eq!(ids(&put(&world, &above, "bob", &read).expect(200)).len(), 5);
        assert!(allows(&decision(&world, &token, "bob", &fourth)));

        // A value that is gone from the list is not revoked by that.
        assert_eq!(ids(&put(&world, &above, "bob", &values(&[])).expect(200)).len(), 5);
        let all = [FIRST, SECOND, THIRD, computed.as_str(), fourth.as_str()];
        nothing_is_left(&mut world, &all);
    }
}

/// Neither in the database nor in the log, whatever its level.
fn nothing_is_left(world: &mut World, secrets: &[&str]) {
    let events = world.admin.get("/events?limit=1000").expect(200).to_string();
    assert!(world.server.stop().success());
    let mut files = world.site.files();
    if let Some(cluster) = &world.cluster {
        cluster.end("fast");
        files.extend(files_below(cluster.directory()));
    }
    for secret in secrets {
        assert!(!events.contains(secret));
        for (path, bytes) in &files {
            let there = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!there, "{} holds {secret}", path.display());
        }
    }
}

#[test]
fn check_09_what_is_not_taken_over_changes_nothing_and_is_not_repeated() {
    for world in World::on_each_store(SETTINGS) {
        let (token, _) = evaluator(&world);
        user(&world.admin, "bob");
        let above = administrator(&world);
        let good = format!("{FIRST}:{{\"a\":[\"b\"]}}");
        put(&world, &above, "alice", &values(&[format!("{SECOND}:{{}}")])).expect(200);
        let revoked = put(&world, &above, "bob", &values(&[format!("{THIRD}:{{}}")])).expect(200);
        let id = ids(&revoked).remove(0);
        world.admin.post(&format!("/tokens/{id}/revoke"), &json!({})).expect(200);
        for (odd, why) in [
            (format!("{}:{{\"a\":[\"b\"]}}", PUBLISHED[0]), "printed in a manual"),
            (format!("{}:{{\"a\":[\"b\"]}}", PUBLISHED[1]), "printed in a manual"),
            (format!("{SECOND}:{{\"a\":[\"b\"]}}"), "somebody else"),
            (format!("{THIRD}:{{\"a\":[\"b\"]}}"), "revoked"),
            (format!("{}:{{}}", FIRST.to_uppercase()), "no token"),
            ("an alias".to_owned(), "no token"),
            (format!("{{\"{id}\":{{}}}}"), "no tokens"),
        ] {
            // The good one before it is not taken over, either.
            let said = put(&world, &above, "bob", &values(&[good.clone(), odd.clone()]));
            let message = said.expect(400)["message"].as_str().unwrap().to_owned();
            assert!(message.contains(why), "{odd}: {message}");
            assert!(!message.contains(odd.get(..12).unwrap_or(&odd)), "{message}");
            assert!(!allows(&decision(&world, &token, "bob", FIRST)));
        }
        for (body, message) in [
            (json!({ ATTRIBUTE: 7 }), format!("Invalid value {ATTRIBUTE}")),
            (json!({ ATTRIBUTE: [{}] }), format!("Invalid value {ATTRIBUTE}")),
            (json!({ "mail": ["a@b"] }), format!("Only {ATTRIBUTE} can be written.")),
            (json!({ "userPassword": "x" }), format!("Only {ATTRIBUTE} can be written.")),
        ] {
            assert_eq!(put(&world, &above, "bob", &body).expect(400)["message"], json!(message));
        }
        let one = std::slice::from_ref(&good);
        assert_eq!(put(&world, &above, "nobody", &values(one)).status, 404);
        // Only who administrates the tokens of the realm, and a person not even for themselves.
        let own = pat(
            &world.admin,
            &json!({ "services": ["counterfoil"],
                "scopes": ["users:read", "tokens:read", "tokens:write"] }),
        );
        let own = session(&world.admin, "alice", &own.secret);
        let denied = "Permission to perform the update operation denied";
        let said = put(&world, &own, "alice", &values(one));
        assert_eq!(said.expect(403)["message"], denied);
        assert_eq!(put(&world, &token, "alice", &values(one)).status, 403);
        let none = Request::new("PUT", "/openam/json/users/bob").json(&values(one));
        assert_eq!(world.admin.raw(&none).status, 401);
        assert!(!allows(&decision(&world, &token, "alice", FIRST)));

        // The policy of the service is obeyed.
        let approval = json!({ "token_policy": { "approval": true, "max_active_per_user": 3 } });
        world.admin.patch("/services/git", &approval).expect(200);
        let held = put(&world, &above, "bob", &values(one)).expect(200);
        assert!(!allows(&decision(&world, &token, "bob", FIRST)), "it waits for an approval");
        let id = ids(&held).remove(0);
        world.admin.post(&format!("/tokens/{id}/approve"), &json!({})).expect(200);
        assert!(allows(&decision(&world, &token, "bob", FIRST)));
        let many: Vec<String> = (2..6).map(|n| format!("{n}{}:{{}}", &FIRST[1..])).collect();
        assert_eq!(put(&world, &above, "bob", &values(&many)).status, 400);
        let closed = json!({ "token_policy": { "issue_by": ["self"] } });
        world.admin.patch("/services/git", &closed).expect(200);
        let ninth = format!("{}:{{}}", "9".repeat(64));
        assert_eq!(put(&world, &above, "bob", &values(&[ninth])).status, 400);
    }
}

#[test]
fn a_profile_takes_nothing_unless_the_operator_says_for_which_service() {
    let world = World::new(super::SETTINGS);
    let above = administrator(&world);
    let refused = put(&world, &above, "alice", &values(&[format!("{FIRST}:{{}}")]));
    assert_eq!(refused.expect(405)["message"], "Method Not Allowed");
}

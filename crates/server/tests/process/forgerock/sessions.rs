//! Check 7: the ways in, how a session is asked about, and how it ends.

use serde_json::{Value, json};

use super::*;

#[test]
fn check_07_names_in_rfc_2047_callbacks_and_the_end_of_a_session() {
    for world in World::on_each_store(SETTINGS) {
        use base64::Engine as _;
        let (token, good) = evaluator(&world);
        // A person with a name that is no ASCII, and a token for the API.
        world.admin.post("/users", &json!({ "username": "jürgen" })).expect(201);
        let own = pat(
            &world.admin,
            &json!({ "user": "jürgen", "services": ["counterfoil"], "scopes": ["tokens:read"] }),
        );
        let word = base64::engine::general_purpose::STANDARD.encode("jürgen");
        let word = format!("=?UTF-8?B?{word}?=");
        let made = login(&world.admin, AUTHENTICATE, &word, &own.secret).expect(200);
        let person = made["tokenId"].as_str().unwrap();
        let id = "/openam/json/users?_action=idFromSession";
        let told = world.admin.raw(&under(person, "POST", id, &json!({}))).expect(200);
        assert_eq!((&told["id"], &told["realm"]), (&json!("jürgen"), &json!("/")));
        // A token that was not issued for the API lets nobody in.
        assert_eq!(login(&world.admin, AUTHENTICATE, "alice", &good.secret).status, 401);

        // Two callbacks.
        let first = world.admin.raw(&Request::new("POST", AUTHENTICATE).json(&json!({})));
        let mut asked = first.expect(200);
        assert_eq!(asked["callbacks"][0]["type"], "NameCallback");
        assert_eq!(asked["callbacks"][1]["input"][0]["name"], "IDToken2");
        let key = world.verifier.key.clone();
        asked["callbacks"][0]["input"][0]["value"] = json!("git-verifier");
        asked["callbacks"][1]["input"][0]["value"] = json!(key);
        let second = world.admin.raw(&Request::new("POST", AUTHENTICATE).json(&asked)).expect(200);
        assert!(second["tokenId"].is_string() && second["realm"] == "/");
        asked["callbacks"][1]["input"][0]["value"] = json!("wrong");
        let wrong = world.admin.raw(&Request::new("POST", AUTHENTICATE).json(&asked));
        assert_eq!(wrong.expect(401)["message"], "Authentication Failed");
        let path = format!("{AUTHENTICATE}?noSession=true");
        let bare = login(&world.admin, &path, "git-verifier", &key).expect(200);
        assert_eq!(bare["message"], "Authentication Successful");
        assert!(bare.get("tokenId").is_none());

        about_a_session(&world, &token);
        let logout = "/openam/json/sessions?_action=logout";
        let ended = world.admin.raw(&under(&token, "POST", logout, &json!({}))).expect(200);
        assert_eq!(ended["result"], "Successfully logged out");
        let again = world.admin.raw(&under(&token, "POST", logout, &json!({}))).expect(200);
        assert_eq!(again["result"], "Token has expired");
        let none = world.admin.raw(&Request::new("POST", logout).json(&json!({})));
        assert_eq!(none.expect(401)["message"], "Access denied");
        let resources = json!([format!("pat://alice:{}", good.secret)]);
        let after = evaluated(&world, &token, "PATValidator", &resources);
        assert_eq!(after.expect(401)["message"], "Access Denied");
        let path = format!("/openam/json/sessions/{token}?_action=validate");
        let valid = world.admin.raw(&Request::new("POST", path)).expect(200);
        assert_eq!(valid, json!({ "valid": false }));
    }
}

fn about_a_session(world: &World, token: &str) {
    let ask = |action: &str| {
        let path = format!("/openam/json/sessions?_action={action}&tokenId={token}");
        world.admin.raw(&Request::new("POST", path)).expect(200)
    };
    let valid = json!({ "valid": true, "uid": "policyeval", "realm": "/" });
    assert_eq!(ask("validate"), valid);
    let body = json!({ "tokenId": token });
    let named = Request::new("POST", "/am/json/sessions?_action=validate").json(&body);
    assert_eq!(world.admin.raw(&named).expect(200), valid);
    assert_eq!(ask("isActive"), json!({ "active": true }));
    let left = ask("getTimeLeft")["maxtime"].as_i64().unwrap();
    assert!((7_000..=7_200).contains(&left), "{left}");
    assert_eq!(ask("getMaxSessionTime"), json!({ "maxsessiontime": 120 }));
    assert_eq!(ask("getIdle"), json!({ "idletime": 0 }));
    let refreshed = ask("refresh");
    assert_eq!((&refreshed["uid"], &refreshed["realm"]), (&json!("policyeval"), &json!("/")));
    assert_eq!(ask("getSessionInfo")["username"], "policyeval");
    let path = "/openam/json/sessions?_action=magic";
    assert_eq!(world.admin.raw(&under(token, "POST", path, &Value::Null)).status, 501);
}

/// The session dies with what it was made from, on this node at once.
#[test]
fn a_session_ends_with_its_key_and_has_the_scopes_of_its_token() {
    for world in World::on_each_store(SETTINGS) {
        let grant = json!({ "subject": { "user": "alice" }, "role": "realm-admin" });
        world.admin.post("/grants", &grant).expect(201);
        let scoped = |scopes: Value| {
            pat(&world.admin, &json!({ "services": ["counterfoil"], "scopes": scopes }))
        };
        let reader = scoped(json!(["users:read"]));
        let writer = scoped(json!(["policies:write"]));
        let reader = session(&world.admin, "alice", &reader.secret);
        let path = "/openam/json/policies?_queryFilter=true";
        let refused = world.admin.raw(&under(&reader, "GET", path, &Value::Null));
        assert_eq!(refused.expect(403)["message"], "The user has insufficient privileges");
        let opened = session(&world.admin, "alice", &writer.secret);
        world.admin.raw(&under(&opened, "GET", path, &Value::Null)).expect(200);
        world.admin.post(&writer.path("/revoke"), &json!({})).expect(200);
        world.admin.raw(&under(&opened, "GET", path, &Value::Null)).expect(401);
        // A cookie is a session too, but not from another site.
        let cookie = Request::new("POST", EVALUATE)
            .header("Cookie", format!("a=b; iPlanetDirectoryPro={reader}; c=d"))
            .json(&json!({ "resources": ["x"] }));
        let forged = cookie.clone().header("Sec-Fetch-Site", "cross-site");
        assert_eq!(world.admin.raw(&forged).expect(403)["message"], "Request from another site");
        assert_eq!(world.admin.raw(&cookie).status, 403);
        let key = client(&world.admin, &json!({ "name": "brief", "roles": ["verifier"] })).key;
        let brief = session(&world.admin, "brief", &key);
        let asked = json!({ "resources": ["x"] });
        world.admin.raw(&under(&brief, "POST", EVALUATE, &asked)).expect(200);
        world.admin.delete("/clients/brief").expect(204);
        world.admin.raw(&under(&brief, "POST", EVALUATE, &asked)).expect(401);
    }
}

/// A session lasts for hours, and is worth what its token is worth now.
#[test]
fn a_session_loses_what_its_token_loses() {
    for world in World::on_each_store(SETTINGS) {
        let grant = json!({ "subject": { "user": "alice" }, "role": "realm-admin" });
        world.admin.post("/grants", &grant).expect(201);
        let scopes = json!(["policies:write", "users:read"]);
        let token = pat(&world.admin, &json!({ "services": ["counterfoil"], "scopes": scopes }));
        let opened = session(&world.admin, "alice", &token.secret);
        let look = |path: &str| {
            let path = format!("/openam/json/{path}");
            world.admin.raw(&under(&opened, "GET", &path, &Value::Null)).status
        };
        let (policies, person) = ("policies?_queryFilter=true", "users/alice");
        assert_eq!((look(policies), look(person)), (200, 200));
        world.admin.patch(&token.path(""), &json!({ "scopes": ["users:read"] })).expect(200);
        assert_eq!((look(policies), look(person)), (403, 200));
        // A policy that was tightened blocks at use, and gives back when it is loosened.
        let policy = |seconds: Value| {
            let body = json!({ "token_policy": { "max_lifetime_seconds": seconds } });
            world.admin.patch("/services/counterfoil", &body).expect(200);
        };
        policy(json!(86_400));
        assert_eq!(look(person), 401);
        policy(Value::Null);
        assert_eq!(look(person), 200);
        world.admin.patch(&token.path(""), &json!({ "networks": ["192.0.2.0/24"] })).expect(200);
        assert_eq!(look(person), 401);
    }
}

#[test]
fn people_are_looked_up_without_a_usable_token() {
    for world in World::on_each_store(SETTINGS) {
        let (_, good) = evaluator(&world);
        let above = administrator(&world);
        let look = |path: &str| world.admin.raw(&under(&above, "GET", path, &Value::Null));
        let attribute = "iplanet-am-user-alias-list";
        let path = format!("/openam/json/users/alice?_fields=username,uid,{attribute}");
        let found = look(&path).expect(200);
        let tokens = found[attribute].as_array().unwrap();
        let one: Value = serde_json::from_str(tokens[0].as_str().unwrap()).unwrap();
        let permissions = json!({ "profile": ["givenName", "fullName", "mail"] });
        assert_eq!(one, json!({ good.id.as_str(): permissions }));
        assert!(!found.to_string().contains(&good.secret));
        let names: Vec<&String> = found.as_object().unwrap().keys().collect();
        assert_eq!(names, [attribute, "uid", "username"]);
        assert_eq!((&found["username"], &found["uid"]), (&json!("alice"), &json!(["alice"])));
        // What somebody wrote into the attribute itself may be a token in clear.
        let written = json!({ "attributes": { attribute: ["4f4f:{}"], "city": ["Bern"] } });
        world.admin.patch("/users/alice", &written).expect(200);
        let whole = look("/openam/json/users/alice").expect(200);
        assert_eq!(
            (whole[attribute].as_array().unwrap().len(), &whole["city"]),
            (1, &json!(["Bern"]))
        );
        world.admin.post(&good.path("/revoke"), &json!({})).expect(200);
        let whole = look("/openam/json/users/alice").expect(200);
        assert!(whole.get(attribute).is_none(), "{whole}");
        let missing = look("/openam/json/users/nobody").expect(404);
        assert_eq!(missing["message"], "Resource cannot be found.");
        for query in ["_queryId=*", "_queryId=al*", "_queryFilter=uid%20eq%20%22alice%22"] {
            let all = look(&format!("/openam/json/users?{query}")).expect(200);
            assert_eq!(all["resultCount"], 1, "{all}");
            assert_eq!(all["result"][0]["username"], "alice");
        }
        let key = world.verifier.key.clone();
        let gate = session(&world.admin, "git-verifier", &key);
        let path = "/openam/json/users/alice";
        let refused = world.admin.raw(&under(&gate, "GET", path, &Value::Null)).expect(403);
        assert_eq!(refused["message"], "Permission to perform the read operation denied");
    }
}

//! Checks 3, 4 and 6: who may ask, what makes no sense, and the ways to the door.

use serde_json::{Value, json};

use super::*;

fn said(answer: &Answer, status: u16, reason: &str, message: &str) {
    let expected = json!({ "code": status, "reason": reason, "message": message });
    assert_eq!(answer.expect(status), expected);
}

#[test]
fn check_03_who_may_not_ask_is_told_so_in_the_envelope_of_am() {
    for world in World::on_each_store(SETTINGS) {
        world.admin.post("/api/v1/realms", &json!({ "name": "labs" })).expect(201);
        let (token, _) = evaluator(&world);
        let body = json!({ "resources": ["pat://alice:x"], "application": "PATValidator" });
        let none = world.admin.raw(&Request::new("POST", EVALUATE).json(&body));
        said(&none, 401, "Unauthorized", "Access Denied");
        for bad in
            ["x", &world.admin.key, "cfla_000000000000_00000000000000000000000000000000000000"]
        {
            let bad = world.admin.raw(&under(bad, "POST", EVALUATE, &body));
            said(&bad, 401, "Unauthorized", "Access Denied");
        }
        // Without the right to evaluate.
        let auditor = json!({ "name": "auditor", "roles": ["auditor"] });
        let key = client(&world.admin, &auditor).key;
        let auditor = session(&world.admin, "auditor", &key);
        let refused = world.admin.raw(&under(&auditor, "POST", EVALUATE, &body));
        said(&refused, 403, "Forbidden", "The user has insufficient privileges");
        // A realm beside one's own answers like one that does not exist.
        for realm in ["labs", "none"] {
            let path = format!("/openam/json/{realm}/policies?_action=evaluate");
            let refused = world.admin.raw(&under(&token, "POST", &path, &body));
            said(&refused, 403, "Forbidden", "The user has insufficient privileges");
        }
        // Who administers the installation stands above all realms.
        let above = administrator(&world);
        let path = "/openam/json/labs/policies?_action=evaluate";
        let decided = world.admin.raw(&under(&above, "POST", path, &body)).expect(200);
        assert_eq!(decided[0]["actions"], json!({}));
        // A session opens this door and no other.
        let native = world.admin.with_key(&above).get("/users");
        assert_eq!(native.status, 401);
        let wrong = login(&world.admin, AUTHENTICATE, "policyeval", "wrong");
        said(&wrong, 401, "Unauthorized", "Authentication Failed");
        let other = login(&world.admin, AUTHENTICATE, "someone", &world.admin.key);
        assert_eq!(other.lasting().body, wrong.lasting().body);
        // Nobody learns which realms there are by trying to come in.
        for realm in ["labs", "none", "No Realm"] {
            let path = format!("/openam/json/{}/authenticate", realm.replace(' ', "%20"));
            let nowhere = login(&world.admin, &path, "policyeval", "wrong");
            assert_eq!(nowhere.status, 401, "{realm}");
            assert_eq!(nowhere.lasting().body, wrong.lasting().body, "{realm}");
        }
    }
}

#[test]
fn check_04_what_makes_no_sense_is_refused_in_the_words_of_am() {
    for world in World::on_each_store(SETTINGS) {
        let (token, _) = evaluator(&world);
        let ask = |body: &str| {
            let request = Request::new("POST", EVALUATE)
                .header("iPlanetDirectoryPro", token.as_str())
                .raw_json(body);
            world.admin.raw(&request)
        };
        for body in [
            r#"{"application":"PATValidator"}"#,
            r#"{"resources":[],"application":"PATValidator"}"#,
            r#"{"resources":"pat://a:b","application":"PATValidator"}"#,
            r#"{"resources":[1],"application":"PATValidator"}"#,
        ] {
            said(&ask(body), 400, "Bad Request", "Invalid value resources");
        }
        for subject in [
            "{}",
            r#"{"ssoToken":"x"}"#,
            r#"{"jwt":"x"}"#,
            r#"{"claims":{"a":"b"}}"#,
            r#"{"claims":{"sub":1}}"#,
            r#""x""#,
        ] {
            let body = format!(r#"{{"resources":["x"],"subject":{subject}}}"#);
            said(&ask(&body), 400, "Bad Request", "Invalid value subject");
        }
        let scalar = r#"{"resources":["x"],"environment":{"IP":"127.0.0.1"}}"#;
        said(&ask(scalar), 400, "Bad Request", "Invalid value environment");
        let mixed = r#"{"resources":["http://h/*/-*-"]}"#;
        said(&ask(mixed), 400, "Bad Request", "Same rule cannot have both types of wildcards.");
        let port = r#"{"resources":["http://h:8x/"]}"#;
        said(&ask(port), 400, "Bad Request", "Invalid port 8x");
        let unknown = r#"{"resources":["x"],"application":"none"}"#;
        let message = "Unable to retrieve application under realm /.";
        said(&ask(unknown), 404, "Not Found", message);
        assert_eq!(ask("{").status, 400);
        assert_eq!(ask("[]").status, 400);
        let deep = format!(r#"{{"resources":["x"],"x":{}1{}}}"#, "[".repeat(99), "]".repeat(99));
        assert_eq!(ask(&deep).status, 400);
        let action = "/openam/json/policies?_action=magic";
        let refused = world.admin.raw(&under(&token, "POST", action, &json!({})));
        let message = "No privilege mapping for requested action magic";
        said(&refused, 403, "Forbidden", message);
        // Unknown fields are ignored, and the set that nobody names is AM's own.
        let lenient = r#"{"resources":["x"],"colour":1,"environment":{"IP":["127.0.0.1"]}}"#;
        assert_eq!(ask(lenient).expect(200)[0]["actions"], json!({}));
        let claims = r#"{"resources":["x"],"subject":{"claims":{"sub":"alice"}}}"#;
        assert_eq!(ask(claims).status, 200);
    }
}

#[test]
fn check_06_every_spelling_of_a_path_leads_to_the_same_decision_and_names_its_version() {
    for world in World::on_each_store(SETTINGS) {
        world.admin.post("/api/v1/realms", &json!({ "name": "x" })).expect(201);
        let (token, good) = evaluator(&world);
        let resource = format!("pat://alice:{}", good.secret);
        let body = json!({ "resources": [resource], "application": "PATValidator" });
        for path in [
            "/json/policies?_action=evaluate",
            "/am/json/policies?_action=evaluate",
            "/openam/json/policies?_action=evaluate",
            "/openam/json/policies/?_action=evaluate",
            "/openam/json/realms/root/policies?_action=evaluate",
            "/openam/json/main/policies?_action=evaluate",
            "/openam/json/realms/root/realms/main/policies?_action=evaluate",
            "/openam/json/policies?realm=/main&_action=evaluate",
            "/openam/json/policies?_action=evaluate&realm=/",
            "/openam/json/policies?_prettyPrint=true&_action=evaluate",
        ] {
            let answer = world.admin.raw(&under(&token, "POST", path, &body));
            assert!(allows(&answer.expect(200)[0]), "{path}");
            assert_eq!(answer.header("content-api-version"), "protocol=1.0,resource=2.1", "{path}");
        }
        // Another realm has its own people.
        let above = administrator(&world);
        for path in [
            "/openam/json/x/policies?_action=evaluate",
            "/openam/json/realms/root/realms/x/policies?_action=evaluate",
            "/openam/json/policies?_action=evaluate&realm=x",
        ] {
            let answer = world.admin.raw(&under(&above, "POST", path, &body));
            assert!(!allows(&answer.expect(200)[0]), "{path}");
        }
        let asked = |path: &str, version: Option<&str>| {
            let mut request = Request::new("POST", path)
                .header("iPlanetDirectoryPro", token.as_str())
                .json(&body);
            if let Some(version) = version {
                request = request.header("Accept-API-Version", version);
            }
            world.admin.raw(&request)
        };
        for (version, expected) in [
            (None, "protocol=1.0,resource=2.1"),
            (Some("resource=2.0, protocol=1.0"), "protocol=1.0,resource=2.0"),
            (Some("protocol=1.0,resource=2.1"), "protocol=1.0,resource=2.1"),
            (Some("resource=1.0"), "protocol=1.0,resource=1.0"),
        ] {
            let answer = asked(EVALUATE, version);
            assert!(allows(&answer.expect(200)[0]));
            assert_eq!(answer.header("content-api-version"), expected);
        }
        let message = "Accept-API-Version: Requested version \"999.0\" does not match any routes.";
        said(&asked(EVALUATE, Some("resource=999.0")), 404, "Not Found", message);
        said(&asked(AUTHENTICATE, Some("resource=999.0")), 406, "Not Acceptable", message);
    }
}

#[test]
fn a_door_that_is_off_is_not_there() {
    let world = World::new("doors.am = false");
    for path in ["/json/serverinfo/*", "/openam/json/authenticate", EVALUATE] {
        let answer = world.admin.raw(&Request::new("POST", path).json(&Value::Null));
        assert_eq!(answer.status, 404, "{path}");
    }
}

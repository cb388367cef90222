//! Resource types, policy sets and policies as administrators write them, and what they decide.

use serde_json::{Value, json};

use super::*;
use crate::world::merged;

const POLICIES: &str = "/openam/json/policies";
const SETS: &str = "/openam/json/applications";
const TYPES: &str = "/openam/json/resourcetypes";

struct Desk<'a> {
    world: &'a World,
    session: String,
}

impl<'a> Desk<'a> {
    fn of(world: &'a World) -> Self {
        Self { world, session: administrator(world) }
    }

    fn send(&self, method: &str, path: &str, body: &Value) -> Answer {
        let request = Request::new(method, path).header("iPlanetDirectoryPro", &*self.session);
        self.world.admin.raw(&if body.is_null() { request } else { request.json(body) })
    }

    fn create(&self, path: &str, body: &Value) -> Answer {
        self.send("POST", &format!("{path}?_action=create"), body)
    }

    fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &Value::Null)
    }

    /// The id of the resource type of URLs or of tokens.
    fn sort(&self, name: &str) -> String {
        let filter = format!("{TYPES}?_queryFilter=name%20eq%20%22{name}%22");
        let found = self.get(&filter).expect(200);
        found["result"][0]["uuid"].as_str().unwrap().to_owned()
    }

    /// A policy of the default set about URLs, with further or other fields.
    fn url_policy(&self, name: &str, more: &Value) -> Value {
        let body = json!({
            "name": name, "active": true, "applicationName": "iPlanetAMWebAgentService",
            "resourceTypeUuid": self.sort("URL"), "resources": ["http://www.example.com/*"],
            "actionValues": { "GET": true }, "subject": { "type": "AuthenticatedUsers" },
        });
        merged(body, more)
    }

    fn actions(&self, session: &str, resource: &str, more: &Value) -> Value {
        let body = merged(json!({ "resources": [resource] }), more);
        let said = self.world.admin.raw(&under(session, "POST", EVALUATE, &body)).expect(200);
        said[0]["actions"].clone()
    }
}

#[test]
fn documents_are_made_shown_changed_and_removed_as_with_am() {
    for world in World::on_each_store(SETTINGS) {
        let desk = Desk::of(&world);
        let built_in = desk.get(&format!("{SETS}?_queryFilter=true")).expect(200);
        assert_eq!(built_in["resultCount"], 2);
        let all = desk.get(&format!("{POLICIES}?_queryFilter=true")).expect(200);
        assert_eq!(all["result"][0]["name"], "AllPATs");
        assert_eq!(
            all["result"][0]["subject"],
            json!({ "type": "NOT", "subject": { "type": "NONE" } })
        );

        let sort = json!({ "name": "Files", "patterns": ["file://*"],
            "actions": { "READ": true, "WRITE": false } });
        let made = desk.create(TYPES, &sort);
        let made = made.expect(201);
        let uuid = made["uuid"].as_str().unwrap();
        assert!(made["creationDate"].is_i64() && uuid.len() == 36, "{made}");
        assert_eq!(desk.create(TYPES, &sort).status, 409);
        let set = json!({ "name": "Shares", "resourceTypeUuids": [uuid],
            "applicationType": "iPlanetAMWebAgentService", "entitlementCombiner": "DenyOverride" });
        desk.create(SETS, &set).expect(201);
        assert_eq!(desk.create(SETS, &set).status, 409);
        let policy = json!({
            "name": "readers", "active": true, "applicationName": "Shares",
            "resourceTypeUuid": uuid, "resources": ["file://share/*"],
            "actionValues": { "READ": 1, "WRITE": 0 },
            "subject": { "type": "AuthenticatedUsers" },
        });
        let made = desk.create(POLICIES, &policy);
        assert_eq!(made.header("location"), "/openam/json/policies/readers");
        let made = made.expect(201);
        assert_eq!(made["actionValues"], json!({ "READ": true, "WRITE": false }));
        assert!(made["creationDate"].as_str().unwrap().ends_with('Z'), "{made}");
        assert_eq!(desk.create(POLICIES, &policy).status, 409);
        assert_eq!(desk.get(&format!("{POLICIES}/readers")).expect(200), made);
        // Sent back as it was read.
        desk.send("PUT", &format!("{POLICIES}/readers"), &made).expect(200);
        let renamed = desk.send("PUT", &format!("{POLICIES}/writers"), &made);
        assert_eq!(renamed.status, 400);
        for (path, status) in [
            (format!("{TYPES}/{uuid}"), 409),
            (format!("{SETS}/Shares"), 409),
            (format!("{POLICIES}/AllPATs"), 400),
            (format!("{POLICIES}/none"), 404),
        ] {
            assert_eq!(desk.send("DELETE", &path, &Value::Null).status, status, "{path}");
        }
        let filter = "applicationName%20eq%20%22Shares%22&_fields=name";
        let found = desk.get(&format!("{POLICIES}?_queryFilter={filter}")).expect(200);
        assert_eq!(found["result"], json!([{ "name": "readers" }]));
        for path in
            [format!("{POLICIES}/readers"), format!("{SETS}/Shares"), format!("{TYPES}/{uuid}")]
        {
            assert_eq!(desk.send("DELETE", &path, &Value::Null).expect(200), json!({}), "{path}");
        }
        let events = world.admin.get("/events?kind=am-document.deleted").expect(200);
        assert_eq!(events["items"].as_array().unwrap().len(), 3);
    }
}

#[test]
fn a_document_is_replaced_in_the_version_that_was_read() {
    for world in World::on_each_store(SETTINGS) {
        let desk = Desk::of(&world);
        let policy = desk.url_policy("P1", &json!({}));
        let made = desk.create(POLICIES, &policy);
        made.expect(201);
        let path = format!("{POLICIES}/P1");
        let put = |version: &str| {
            let request = Request::new("PUT", &*path).header("iPlanetDirectoryPro", &*desk.session);
            world.admin.raw(&request.header("If-Match", version).json(&policy))
        };
        let first = desk.get(&path).header("etag").to_owned();
        assert_eq!(made.header("etag"), first);
        let second = put(&first);
        second.expect(200);
        assert_ne!(second.header("etag"), first);
        for stale in [&*first, "\"zzz\"", "zzz", ""] {
            assert_eq!(put(stale).status, 412, "{stale}");
        }
        put("*").expect(200);
        let delete = |version: &str| {
            let request = Request::new("DELETE", &*path);
            let request = request.header("iPlanetDirectoryPro", &*desk.session);
            world.admin.raw(&request.header("If-Match", version)).status
        };
        for stale in [&*first, "\"zzz\"", "zzz", ""] {
            assert_eq!(delete(stale), 412, "{stale}");
        }
        assert_eq!(delete(desk.get(&path).header("etag")), 200);
        assert_eq!(delete("*"), 404);
        let nowhere = Request::new("PUT", format!("{POLICIES}/P2"));
        let nowhere = nowhere.header("iPlanetDirectoryPro", &*desk.session).header("If-Match", "*");
        assert_eq!(world.admin.raw(&nowhere.json(&desk.url_policy("P2", &json!({})))).status, 404);
        for service in ["nope", "counterfoil"] {
            let set = json!({ "name": "Tied", "resourceTypeUuids": [desk.sort("URL")],
                "applicationType": "iPlanetAMWebAgentService",
                "entitlementCombiner": "DenyOverride", "service": service });
            let said = desk.create(SETS, &set);
            assert_eq!(said.status, 400, "{}", said.text());
            assert!(said.text().contains("there is no service"), "{}", said.text());
        }
    }
}

#[test]
fn what_cannot_be_decided_here_is_refused_when_it_is_written() {
    for world in World::on_each_store(SETTINGS) {
        let desk = Desk::of(&world);
        let refused = |more: Value| {
            let answer = desk.create(POLICIES, &desk.url_policy("p", &more));
            answer.expect(400)["message"].as_str().unwrap().to_owned()
        };
        let script = json!({ "condition": { "type": "Script", "scriptId": "x" } });
        assert!(refused(script).contains("there is no script engine"));
        let ldap = json!({ "condition": { "type": "LDAPFilter", "ldapFilter": "(a=b)" } });
        assert!(refused(ldap).contains("needs a directory"));
        assert!(refused(json!({ "resources": ["pat://*:*"] })).contains("fits no pattern"));
        assert!(refused(json!({ "actionValues": { "FLY": true } })).contains("FLY is no action"));
        assert!(refused(json!({ "name": "a/b" })).contains("name"));
        let mixed = refused(json!({ "resources": ["http://h/*/-*-"] }));
        assert!(mixed.contains("Same rule cannot have both types of wildcards."), "{mixed}");
        assert!(refused(json!({ "applicationName": "none" })).contains("policy set"));
    }
}

#[test]
fn policies_decide_about_urls_by_subject_and_condition() {
    for world in World::on_each_store(SETTINGS) {
        let desk = Desk::of(&world);
        let (token, _) = evaluator(&world);
        let add = |name: &str, more: &Value| {
            desk.create(POLICIES, &desk.url_policy(name, more)).expect(201);
        };
        let page = "http://www.example.com/index.html";
        let none = json!({});
        assert_eq!(desk.actions(&token, page, &none), json!({}));
        add("all", &json!({}));
        assert_eq!(desk.actions(&token, page, &none), json!({ "GET": true }));
        assert_eq!(desk.actions(&token, "http://other/", &none), json!({}));
        let inside = json!({ "type": "IPv4", "startIp": "192.0.2.0", "endIp": "192.0.2.255" });
        add("posts", &json!({ "actionValues": { "POST": true }, "condition": inside }));
        let from = |address: &str| json!({ "environment": { "IP": [address] } });
        let both = json!({ "GET": true, "POST": true });
        assert_eq!(desk.actions(&token, page, &from("192.0.2.7")), both);
        assert_eq!(desk.actions(&token, page, &from("198.51.100.7")), json!({ "GET": true }));
        assert_eq!(desk.actions(&token, page, &none), json!({ "GET": true }));
        let claim = json!({ "type": "JwtClaim", "claimName": "role", "claimValue": "admin" });
        add("admins", &json!({ "actionValues": { "DELETE": true }, "subject": claim }));
        let subject = json!({ "subject": { "claims": { "sub": "alice", "role": "admin" } } });
        assert_eq!(desk.actions(&token, page, &subject), json!({ "DELETE": true }));
        // A denial wins over every grant.
        add("closed", &json!({ "actionValues": { "GET": false } }));
        assert_eq!(desk.actions(&token, page, &none), json!({ "GET": false }));
        let path = "/openam/json/policies?_action=evaluateTree";
        let body = json!({ "resource": "http://www.example.com/" });
        let tree = world.admin.raw(&under(&token, "POST", path, &body)).expect(200);
        let names: Vec<&str> =
            tree.as_array().unwrap().iter().map(|one| one["resource"].as_str().unwrap()).collect();
        assert_eq!(names, ["http://www.example.com/", "http://www.example.com:80/*"]);
    }
}

/// The token's owner, its scopes and the address count; a wide policy does not widen anything.
#[test]
fn policies_of_tokens_narrow_and_never_replace_the_token() {
    for world in World::on_each_store(SETTINGS) {
        let desk = Desk::of(&world);
        let (token, good) = evaluator(&world);
        let all = format!("{POLICIES}/AllPATs");
        let mut built_in = desk.get(&all).expect(200);
        built_in["active"] = json!(false);
        desk.send("PUT", &all, &built_in).expect(200);
        assert!(!allows(&decision(&world, &token, "alice", &good.secret)));
        let sort = desk.sort("PAT");
        let policy = |name: &str, more: &Value| {
            let body = json!({ "name": name, "active": true, "applicationName": "PATValidator",
                "resourceTypeUuid": sort, "resources": ["pat://*:*"],
                "actionValues": { "access": true },
                "subject": { "type": "NOT", "subject": { "type": "NONE" } } });
            desk.create(POLICIES, &merged(body, more)).expect(201);
        };
        policy(
            "scoped",
            &json!({
                "condition": { "type": "OAuth2Scope", "requiredScopes": ["repo:read"] },
                "resourceAttributes": [
                    { "type": "Static", "propertyName": "tier", "propertyValues": ["gold"] },
                    { "type": "User", "propertyName": "uid" },
                ],
            }),
        );
        assert!(!allows(&decision(&world, &token, "alice", &good.secret)));
        let scoped = pat(&world.admin, &json!({ "scopes": ["repo:read"] }));
        let decided = decision(&world, &token, "alice", &scoped.secret);
        assert!(allows(&decided));
        assert_eq!(decided["attributes"]["tier"], json!(["gold"]));
        assert_eq!(decided["attributes"]["uid"], json!(["alice"]));
        assert!(!allows(&decision(&world, &token, "alice", "wrong")));
        policy(
            "alice alone",
            &json!({
                "resources": ["pat://alice:*"],
                "condition": { "type": "AMIdentityMembership", "amIdentityName": ["alice"] },
            }),
        );
        assert!(allows(&decision(&world, &token, "alice", &good.secret)));
        policy(
            "not at night",
            &json!({ "actionValues": { "access": false },
            "condition": { "type": "IPv4", "startIp": "10.0.0.0", "endIp": "10.9.9.9" } }),
        );
        let resource = format!("pat://alice:{}", good.secret);
        let more = json!({ "application": "PATValidator", "environment": { "IP": ["10.1.1.1"] } });
        assert_eq!(desk.actions(&token, &resource, &more), json!({}));
        // A set of URLs that takes everything says nothing of tokens.
        desk.create(POLICIES, &desk.url_policy("wide", &json!({ "resources": ["*://*:*/*"] })))
            .expect(201);
        assert_eq!(desk.actions(&token, &resource, &json!({})), json!({}));
    }
}

/// The token check knows one name behind all its spellings, and so do the policies.
#[test]
fn no_spelling_of_a_user_name_passes_a_policy_about_it() {
    let spellings = ["alice", "ALICE", "al%69ce", "%61lice", "\u{ff41}lice", "%EF%BD%81lice"];
    for world in World::on_each_store(SETTINGS) {
        let desk = Desk::of(&world);
        let (token, good) = evaluator(&world);
        for name in spellings {
            assert!(allows(&decision(&world, &token, name, &good.secret)), "{name}");
        }
        let body = json!({ "name": "not alice", "active": true, "applicationName": "PATValidator",
            "resourceTypeUuid": desk.sort("PAT"), "resources": ["pat://alice:*"],
            "actionValues": { "access": false },
            "subject": { "type": "NOT", "subject": { "type": "NONE" } } });
        desk.create(POLICIES, &body).expect(201);
        for name in spellings {
            assert!(!allows(&decision(&world, &token, name, &good.secret)), "{name}");
        }
    }
}

#[test]
fn a_decision_is_explained_step_by_step() {
    for world in World::on_each_store(SETTINGS) {
        let (_, good) = evaluator(&world);
        let run = |arguments: &[&str]| {
            let output = world
                .site
                .binary()
                .env("COUNTERFOIL_URL", format!("http://{}", world.server.address))
                .env("COUNTERFOIL_TOKEN", &world.admin.key)
                .args(["policy", "test"])
                .args(arguments)
                .output()
                .unwrap();
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            (output.status.code(), text(&output.stdout), text(&output.stderr))
        };
        let (code, said, fault) = run(&["alice", "pat://alice", "access", "--token-id", &good.id]);
        assert_eq!(code, Some(0), "{fault}");
        for part in ["policy-set", "PATValidator", "token", "is active", "AllPATs", "decision"] {
            assert!(said.contains(part), "{part} is not in\n{said}");
        }
        world.admin.post(&good.path("/revoke"), &json!({})).expect(200);
        let (code, said, _) =
            run(&["alice", "pat://alice", "access", "--token-id", &good.id, "--json"]);
        assert_eq!(code, Some(1));
        let said: Value = serde_json::from_str(&said).unwrap();
        assert_eq!(said["allowed"], false);
        let reasons = said["steps"].to_string();
        assert!(reasons.contains("is not good: revoked"), "{reasons}");
        let (code, _, fault) = run(&["alice", "pat://alice:x", "access"]);
        assert_eq!(code, Some(1), "{fault}");
        assert!(fault.contains("name the user alone"), "{fault}");
        let (code, ..) = run(&["nobody", "http://h/", "GET", "--policy-set", "none"]);
        assert_eq!(code, Some(1));
    }
}

#[test]
fn policies_are_copied_and_moved_all_or_none() {
    for world in World::on_each_store(SETTINGS) {
        let desk = Desk::of(&world);
        let names = |set: &str| {
            let filter = format!("_queryFilter=applicationName%20eq%20%22{set}%22");
            let found = desk.get(&format!("{POLICIES}?{filter}")).expect(200);
            let all = found["result"].as_array().unwrap().clone();
            all.iter().map(|one| one["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        let act = |place: &str, action: &str, body: &Value| {
            desk.send("POST", &format!("{POLICIES}{place}?_action={action}"), body)
        };
        let web = "iPlanetAMWebAgentService";
        for name in ["a", "b"] {
            desk.create(POLICIES, &desk.url_policy(name, &json!({}))).expect(201);
        }
        let set = json!({ "name": "Other", "resourceTypeUuids": [desk.sort("URL")] });
        desk.create(SETS, &set).expect(201);
        let first = desk.get(&format!("{POLICIES}/a")).expect(200);

        let copied = act("/a", "copy", &json!({ "to": { "name": "c", "application": "Other" } }));
        let copied = copied.expect(200);
        assert_eq!((&copied["name"], &copied["applicationName"]), (&json!("c"), &json!("Other")));
        assert_eq!(copied["resources"], first["resources"]);
        assert_eq!((names(web), names("Other")), (vec!["a".into(), "b".into()], vec!["c".into()]));
        let moved = act("/a", "move", &json!({ "to": { "application": "Other", "realm": "/" } }));
        let moved = moved.expect(200);
        assert_eq!((&moved["name"], &moved["creationDate"]), (&json!("a"), &first["creationDate"]));
        assert_eq!((names(web), names("Other")), (vec!["b".into()], vec!["a".into(), "c".into()]));

        // All of a policy set.
        let all = json!({ "from": { "application": "Other" },
            "to": { "application": web, "namePostfix": "-copy" } });
        let made = act("", "copy", &all).expect(200);
        assert_eq!(made.as_array().unwrap().len(), 2, "{made}");
        assert_eq!(names(web), ["a-copy", "b", "c-copy"]);
        // One of the names is taken: nothing is moved.
        act("/b", "copy", &json!({ "to": { "name": "c-moved" } })).expect(200);
        let clash = json!({ "from": { "application": "Other" },
            "to": { "application": web, "namePostfix": "-moved" } });
        assert_eq!(act("", "move", &clash).status, 409);
        assert_eq!(names("Other"), ["a", "c"]);
        desk.send("DELETE", &format!("{POLICIES}/c-moved"), &Value::Null).expect(200);
        act("", "move", &clash).expect(200);
        assert_eq!(names("Other"), Vec::<String>::new());
        assert_eq!(names(web), ["a-copy", "a-moved", "b", "c-copy", "c-moved"]);

        copies_that_make_no_sense(&desk);
        act("/AllPATs", "copy", &json!({ "to": { "name": "Mine" } })).expect(200);
        let key = world.verifier.key.clone();
        let gate = session(&world.admin, "git-verifier", &key);
        let path = format!("{POLICIES}/b?_action=copy");
        let body = json!({ "to": { "name": "x" } });
        assert_eq!(world.admin.raw(&under(&gate, "POST", &path, &body)).status, 403);
    }
}

fn copies_that_make_no_sense(desk: &Desk<'_>) {
    let web = "iPlanetAMWebAgentService";
    for (place, action, body, status) in [
        ("/b", "copy", json!({ "to": {} }), 400),
        ("/b", "copy", json!({ "to": { "name": "a-moved" } }), 409),
        ("/b", "copy", json!({ "to": { "name": "x/y" } }), 400),
        ("/b", "copy", json!({ "to": { "name": "x", "application": "none" } }), 400),
        ("/b", "copy", json!({ "to": { "name": "x", "realm": "/labs" } }), 400),
        ("/b", "copy", json!({ "to": { "name": "x", "resourceType": "none" } }), 400),
        // It would speak of tokens, and does not fit there.
        ("/b", "move", json!({ "to": { "application": "PATValidator" } }), 400),
        ("/none", "move", json!({ "to": { "name": "x" } }), 404),
        ("/AllPATs", "move", json!({ "to": { "name": "x" } }), 400),
        ("", "copy", json!({ "from": { "application": web }, "to": {} }), 400),
        (
            "",
            "copy",
            json!({ "from": { "application": "none" },
            "to": { "namePostfix": "x" } }),
            404,
        ),
        ("", "move", json!({ "to": { "namePostfix": "x" } }), 400),
    ] {
        let path = format!("{POLICIES}{place}?_action={action}");
        let said = desk.send("POST", &path, &body);
        assert_eq!(said.status, status, "{place} {action} {body}: {}", said.text());
    }
}

/// A set that no longer lists a resource type grants nothing by policies of that type.
#[test]
fn a_set_without_the_type_of_tokens_lets_no_token_in() {
    for world in World::on_each_store(SETTINGS) {
        let (token, good) = evaluator(&world);
        let desk = Desk::of(&world);
        assert!(allows(&decision(&world, &token, "alice", &good.secret)));
        let path = format!("{SETS}/PATValidator");
        let mut set = desk.get(&path).expect(200);
        let types = set["resourceTypeUuids"].take();
        set["resourceTypeUuids"] = json!([desk.sort("URL")]);
        desk.send("PUT", &path, &set).expect(200);
        assert!(!allows(&decision(&world, &token, "alice", &good.secret)));
        set["resourceTypeUuids"] = types;
        desk.send("PUT", &path, &set).expect(200);
        assert!(allows(&decision(&world, &token, "alice", &good.secret)));
    }
}

//! Every route of the served OpenAPI document, asked by everybody who may not.

pub(crate) mod operation;

use serde_json::{Value, json};

use crate::wire::{Answer, Api, Request};
use crate::world::{Issued, UNTHROTTLED, World, client, pat};
use operation::{Operation, operations};

/// What is served to everybody. A route that joins these joins this list.
const OPEN: [&str; 15] = [
    "GET /healthz/live",
    "GET /healthz/ready",
    "GET /openapi.json",
    "GET /api/docs",
    "GET /problems/{slug}",
    "POST /api/v1/credentials/revoke",
    "POST /api/v1/links/open",
    "POST /api/v1/realms/{realm}/activation-letters/redeem",
    "GET /api/v1/realms/{realm}/portal",
    // What is presented there authenticates nobody; the tests of the OAuth door look at each.
    "POST /realms/{realm}/protocol/openid-connect/token",
    "POST /realms/{realm}/protocol/openid-connect/revoke",
    "POST /realms/{realm}/protocol/openid-connect/auth/device",
    "GET /realms/{realm}/protocol/openid-connect/certs",
    "GET /realms/{realm}/.well-known/openid-configuration",
    "GET /.well-known/oauth-authorization-server/realms/{realm}",
];

/// Routes by possession: whoever presents a token may use them for this token.
const BY_POSSESSION: &str = "/api/v1/self";
/// Clients register with a registration token and manage themselves with their own secret.
const REGISTRATION: &str = "/realms/{realm}/clients-registrations/";
/// Routes by possession of a registration token or of a `device_code`.
const BY_DRAWING: &str = "/api/v1/realms/{realm}/enrol";
/// Forward-auth has a door of its own, with tests of its own.
const FORWARD_AUTH: &str = "/authz/";

fn document(world: &World) -> Value {
    let answer = world.admin.raw(&Request::new("GET", "/openapi.json"));
    answer.expect(200)
}

/// The operations that need a credential, without those of doors for other products: these answer
/// as the products do, and their own tests look at each.
pub(crate) fn guarded(world: &World) -> Vec<Operation> {
    let all = operations(&document(world));
    assert!(all.len() >= 40, "only {} operations are documented", all.len());
    let is_open = |operation: &Operation| OPEN.contains(&operation.name().as_str());
    all.into_iter().filter(|operation| !is_open(operation) && !operation.is_foreign).collect()
}

/// What was not refused as it should have been, so that one run shows all of it.
#[derive(Default)]
struct Faults(Vec<String>);

impl Faults {
    /// Looks for one of these statuses, and whether the document promises it.
    fn look(&mut self, operation: &Operation, who: &str, answer: &Answer, statuses: &[u16]) {
        let status = answer.status;
        let fault = if !statuses.contains(&status) {
            answer.text()
        } else if !operation.documents(status) {
            "is not documented".to_owned()
        } else if status == 401 && answer.header("www-authenticate").is_empty() {
            "has no challenge".to_owned()
        } else {
            return;
        };
        self.0.push(format!("{} by {who}: {status} {fault}", operation.name()));
    }

    #[track_caller]
    fn none(&self) {
        assert!(self.0.is_empty(), "{}", self.0.join("\n"));
    }
}

#[test]
fn without_a_good_credential_every_route_answers_401() {
    let world = World::new(UNTHROTTLED);
    let revoked = world.pat();
    world.admin.post(&revoked.path("/revoke"), &json!({})).expect(200);
    let forged = format!("cflk_{}_{}", "0".repeat(12), "0".repeat(38));
    let mut faults = Faults::default();
    for operation in guarded(&world) {
        let request = operation.request("main");
        let nobody = world.admin.raw(&request);
        faults.look(&operation, "nobody", &nobody, &[401]);
        let wrong = [
            ("nonsense", "Bearer nonsense".to_owned()),
            ("a forged key", format!("Bearer {forged}")),
            ("a revoked token", format!("Bearer {}", revoked.secret)),
            ("another scheme", "Digest username=\"admin\"".to_owned()),
            ("an empty credential", "Bearer ".to_owned()),
        ];
        for (who, header) in wrong {
            let answer = world.admin.raw(&request.clone().header("Authorization", header));
            faults.look(&operation, who, &answer, &[401]);
        }
        let twice = request.bearer(&world.admin.key).bearer(&world.admin.key);
        faults.look(&operation, "two credentials", &world.admin.raw(&twice), &[401]);
    }
    faults.none();
}

/// A token of a person that is good for git and has every scope that a name can have.
fn ambitious_pat(world: &World) -> Api {
    let scopes = json!([
        "tokens:read",
        "tokens:write",
        "users:write",
        "services:write",
        "clients:write",
        "policies:write",
        "audit:read",
        "verify"
    ]);
    world.admin.with_key(&pat(&world.admin, &json!({ "scopes": scopes })).secret)
}

fn realm_admin(world: &World, realm: &str) -> Api {
    if realm != "main" {
        world.admin.post("/api/v1/realms", &json!({ "name": realm })).expect(201);
    }
    let body = json!({ "name": "its-admin", "roles": ["realm-admin"] });
    let made = world.admin.post(&format!("/api/v1/realms/{realm}/clients"), &body).expect(201);
    world.admin.with_key(made["secret"].as_str().unwrap())
}

#[test]
fn with_too_little_every_route_answers_403_or_404() {
    let world = World::new(UNTHROTTLED);
    let callers = [
        ("a token for git", ambitious_pat(&world)),
        ("the administrator of another realm", realm_admin(&world, "other")),
        ("a client without roles", client(&world.admin, &json!({ "name": "idle", "roles": [] }))),
    ];
    let mut faults = Faults::default();
    for operation in guarded(&world) {
        let skipped = [BY_POSSESSION, BY_DRAWING, REGISTRATION, FORWARD_AUTH];
        if skipped.iter().any(|prefix| operation.path.starts_with(prefix)) {
            continue;
        }
        for (who, caller) in &callers {
            // Its own realms are for the administrator of a realm to see.
            if operation.path == "/api/v1/realms" && *who != "a token for git" {
                continue;
            }
            let answer = caller.send(operation.request("main"));
            faults.look(&operation, who, &answer, &[403, 404]);
        }
    }
    faults.none();
}

#[test]
fn a_token_for_git_can_look_at_itself_rotate_itself_and_end_itself() {
    let world = World::new(UNTHROTTLED);
    let token = world.pat();
    let myself = world.admin.with_key(&token.secret);
    assert_eq!(myself.get("/api/v1/self").expect(200)["id"], token.id.as_str());
    myself.get("/tokens").expect(403);
    let rotated = Issued::of(&myself.post("/api/v1/self/rotate", &json!({})).expect(200));
    assert_eq!(rotated.id, token.id);
    let renewed = world.admin.with_key(&rotated.secret);
    renewed.get("/api/v1/self").expect(200);
    assert_eq!(renewed.delete("/api/v1/self").status / 100, 2);
    renewed.get("/api/v1/self").expect(401);
    myself.get("/api/v1/self").expect(401);
}

/// An answer without what names this very request.
fn anonymous(answer: &Answer, asked_for: &str) -> (u16, String) {
    let mut body = answer.json();
    for own in ["request_id", "instance"] {
        body.as_object_mut().map(|object| object.remove(own));
    }
    (answer.status, body.to_string().replace(asked_for, "<asked for>"))
}

/// One thing of every sort in a realm: the path of each below the realm, by its id.
fn furnish(world: &World, realm: &str) -> Vec<(&'static str, String)> {
    let base = format!("/api/v1/realms/{realm}");
    let make =
        |path: &str, body: Value| world.admin.post(&format!("{base}{path}"), &body).expect(201);
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    make("/users", json!({ "username": "wanda" }));
    make("/groups", json!({ "name": "wizards" }));
    make("/services", json!({ "label": "wand-shop", "name": "x" }));
    make("/clients", json!({ "name": "wand-robot", "roles": [] }));
    let unit = make("/units", json!({ "name": "x" }));
    let grant = make("/grants", json!({ "subject": { "user": "wanda" }, "role": "auditor" }));
    let token = make(
        "/tokens",
        json!({ "kind": "personal_access_token", "user": "wanda",
        "name": "x", "services": ["wand-shop"] }),
    );
    vec![
        ("users", "wanda".to_owned()),
        ("groups", "wizards".to_owned()),
        ("services", "wand-shop".to_owned()),
        ("clients", "wand-robot".to_owned()),
        ("units", text(&unit["id"])),
        ("grants", text(&grant["id"])),
        ("tokens", text(&token["token"]["id"])),
    ]
}

#[test]
fn what_belongs_to_another_realm_answers_like_what_does_not_exist() {
    let world = World::new(UNTHROTTLED);
    let outsider = realm_admin(&world, "other");
    let insider = realm_admin(&world, "main");
    let foreign = furnish(&world, "other");
    let operations = guarded(&world);
    let mut compared = 0;
    for (collection, id) in &foreign {
        // Of the same shape, so that only its existence can differ.
        let unknown: String = id.chars().rev().collect();
        let beginning = format!("/api/v1/realms/{{realm}}/{collection}/{{");
        for operation in operations.iter().filter(|one| one.path.starts_with(&beginning)) {
            for caller in [&world.admin, &insider] {
                let there = caller.send(operation.request_for("main", id));
                let nowhere = caller.send(operation.request_for("main", &unknown));
                let name = operation.name();
                assert_eq!(anonymous(&there, id), anonymous(&nowhere, &unknown), "{name}");
                assert_eq!(there.status, 404, "{name}: {}", there.text());
                compared += 1;
            }
            // From the outside, the realm itself is as unknown as any other.
            let known = insider.send(operation.request_for("other", id));
            let unknown_realm = insider.send(operation.request_for("nowhere", id));
            let name = operation.name();
            assert_eq!(anonymous(&known, "other"), anonymous(&unknown_realm, "nowhere"), "{name}");
        }
    }
    assert!(compared >= 40, "only {compared} comparisons");
    // And nothing was changed by all this.
    for (collection, id) in &foreign {
        if !["groups", "grants"].contains(collection) {
            outsider.get(&format!("/api/v1/realms/other/{collection}/{id}")).expect(200);
        }
    }
}

#[test]
fn a_verifier_asks_for_its_own_services_only() {
    let world = World::new(UNTHROTTLED);
    let token = world.pat();
    crate::world::service(&world.admin, "wiki", &json!({}));
    let two = crate::world::verifier(&world.admin, "two", &["git", "wiki"]);
    let ask = |caller: &Api, service: Value| {
        let mut body = json!({ "token": token.secret });
        if !service.is_null() {
            body["service"] = service;
        }
        caller.post("/verify", &body)
    };
    assert_eq!(ask(&world.verifier, Value::Null).expect(200)["active"], true);
    assert_eq!(ask(&world.verifier, json!("git")).expect(200)["active"], true);
    ask(&world.verifier, json!("wiki")).expect(403);
    ask(&world.verifier, json!("no-such-service")).expect(403);
    assert_eq!(ask(&two, json!("wiki")).expect(200)["code"], "wrong_service");
    let unnamed = ask(&two, Value::Null);
    assert!([403, 422].contains(&unnamed.status), "{}", unnamed.text());
}

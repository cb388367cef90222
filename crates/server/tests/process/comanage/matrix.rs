//! Who may do what with the tokens of a person, and that reading changes nothing (A15).

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::process::Command;

use rusqlite::Connection;
use rusqlite::types::ValueRef;
use serde_json::{Map, Value, json};

use super::{OWN, ask_token, is_good, person, single};
use crate::harness::{PATIENCE, await_true};
use crate::oauth::basic;
use crate::wire::{Api, Request, below_main};
use crate::world::{Issued, UNTHROTTLED, World, client, service, user};

/// Tables in which being used is noted, and that the server itself goes on.
const BOOKKEEPING: [&str; 11] = [
    "heartbeat",
    "lease",
    "token_usage",
    "usage_journal",
    "use_day",
    "token_use",
    "token_use_since",
    "audit_unsealed",
    "audit_log",
    "audit_tile",
    "audit_node",
];
/// Routes that the document has at least; fewer would mean that they were not found.
const ROUTES_MIN: usize = 60;

/// What somebody may do with the tokens of Pat Lee's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct May {
    see: bool,
    issue: bool,
    replace: bool,
    revoke: bool,
}

const EVERYTHING: May = May { see: true, issue: true, replace: true, revoke: true };
/// Whoever would see the new secret of somebody else gives them a new token by link instead.
const BUT_THE_SECRET: May = May { replace: false, ..EVERYTHING };
const NOTHING: May = May { see: false, issue: false, replace: false, revoke: false };

/// A unit with an administrator of its own.
fn unit(world: &World, name: &str, administrator: &str) -> (String, Api) {
    let made = world.admin.post("/units", &json!({ "name": name })).expect(201);
    let id = made["id"].as_str().unwrap().to_owned();
    user(&world.admin, administrator);
    let grant = json!({ "subject": { "user": administrator }, "role": "unit-admin", "unit": id });
    world.admin.post("/grants", &grant).expect(201);
    (id, person(world, administrator, &OWN))
}

/// Everybody who could come to Pat Lee's tokens, with what they may.
fn callers(world: &World) -> Vec<(&'static str, Api, May)> {
    let admin = &world.admin;
    for name in ["plee", "mkim", "boss"] {
        user(admin, name);
    }
    let (physics, physicist) = unit(world, "Physics", "uma");
    let (_, chemist) = unit(world, "Chemistry", "carl");
    admin.patch("/users/plee", &json!({ "unit": physics })).expect(200);
    let grant = json!({ "subject": { "user": "boss" }, "role": "realm-admin" });
    admin.post("/grants", &grant).expect(201);
    service(admin, "wiki", &json!({ "token_policy": single(&json!({})) }));
    let machine = |name: &str, more: Value| {
        client(admin, &crate::world::merged(json!({ "name": name, "roles": [] }), &more))
    };
    admin.post("/api/v1/realms", &json!({ "name": "other" })).expect(201);
    let foreign = json!({ "name": "foreign", "roles": ["realm-admin"] });
    let foreign = admin.post("/api/v1/realms/other/clients", &foreign).expect(201);
    let narrow = json!({ "roles": ["realm-admin"], "scopes": ["services:read", "users:read"] });
    let reads = May { see: true, ..NOTHING };
    vec![
        ("Pat Lee", person(world, "plee", &OWN), EVERYTHING),
        ("Pat Lee, to read", person(world, "plee", &["tokens:read"]), reads),
        ("another person", person(world, "mkim", &OWN), NOTHING),
        ("the administrator of Pat Lee's unit", physicist, BUT_THE_SECRET),
        ("the administrator of another unit", chemist, NOTHING),
        ("a person who administers the realm", person(world, "boss", &OWN), BUT_THE_SECRET),
        ("the same without the scopes", person(world, "boss", &["services:read"]), NOTHING),
        (
            "a client with the role",
            machine("robot", json!({ "roles": ["realm-admin"] })),
            EVERYTHING,
        ),
        ("a client without the scopes", machine("narrow", narrow), NOTHING),
        ("a client without roles", machine("idle", json!({})), NOTHING),
        ("an auditor", machine("auditor", json!({ "roles": ["auditor"] })), reads),
        (
            "a verifier",
            machine("gate", json!({ "roles": ["verifier"], "services": ["wiki"] })),
            NOTHING,
        ),
        ("another realm's", admin.with_key(foreign["secret"].as_str().unwrap()), NOTHING),
        ("nobody", admin.with_key("nonsense"), NOTHING),
    ]
}

/// Whether an act was done; a refusal must look like one.
#[track_caller]
fn done(who: &str, act: &str, status: u16) -> bool {
    assert!([200, 201, 401, 403, 404].contains(&status), "{act} by {who}: {status}");
    status < 300
}

/// What somebody can do with a token of Pat Lee's and without one.
fn tries(world: &World, who: &str, caller: &Api, token: &Issued) -> May {
    let listed = caller.get("/tokens?user=plee&kind=service_token");
    let items = listed.json()["items"].as_array().cloned().unwrap_or_default();
    let see = items.iter().any(|item| item["id"] == token.id.as_str());
    let shown = done(who, "a look", caller.get(&token.path("")).status);
    assert_eq!(see, shown, "{who} finds it in the list or by its id, not both");
    let tries = |act: &str| {
        let before = world.admin.get(&token.path("")).expect(200)["secrets"].clone();
        let answer = caller.post(&token.path(&format!("/{act}")), &json!({}));
        let is_done = done(who, act, answer.status);
        if !is_done {
            assert_eq!(world.admin.get(&token.path("")).expect(200)["secrets"], before, "{who}");
            assert!(is_good(world, ("plee", "wiki", &token.secret)), "{act} by {who}");
        }
        is_done
    };
    let (replace, revoke) = (tries("rotate"), tries("revoke"));
    let issue = done(who, "an issue", ask_token(caller, "plee", "wiki").status);
    May { see, issue, replace, revoke }
}

#[test]
fn a15_tokens_are_for_their_owner_and_the_owners_administrators_to_manage() {
    for world in World::on_each_store(UNTHROTTLED) {
        let mut faults = Vec::new();
        for (who, caller, may) in callers(&world) {
            let body = json!({ "kind": "service_token", "user": "plee", "service": "wiki" });
            let token = Issued::of(&world.admin.post("/tokens", &body).expect(201));
            let found = tries(&world, who, &caller, &token);
            if found != may {
                faults.push(format!("{who}: {found:?} and not {may:?}"));
            }
        }
        assert!(faults.is_empty(), "{}", faults.join("\n"));
    }
}

/// Every row of the database but bookkeeping, in an order of its own.
fn rows(world: &World) -> BTreeSet<String> {
    if let Some(cluster) = &world.cluster {
        let output = Command::new("pg_dump")
            .arg("-h")
            .arg(cluster.directory())
            .args(["-U", "cf", "--data-only", "--inserts", "cf"])
            .args(BOOKKEEPING.map(|table| format!("--exclude-table-data={table}")))
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let said = String::from_utf8(output.stdout).unwrap();
        return said.lines().filter(|line| line.starts_with("INSERT")).map(Into::into).collect();
    }
    let database = Connection::open(world.site.data().join("counterfoil.db")).unwrap();
    let tables = "select name from sqlite_master where type = 'table' and name not like 'sqlite_%'";
    let mut statement = database.prepare(tables).unwrap();
    let names = statement.query_map((), |row| row.get::<_, String>(0)).unwrap();
    let mut all = BTreeSet::new();
    for name in names.map(Result::unwrap).filter(|name| !BOOKKEEPING.contains(&&**name)) {
        let mut statement = database.prepare(&format!("select * from \"{name}\"")).unwrap();
        let columns = statement.column_count();
        let mut rows = statement.query(()).unwrap();
        while let Some(row) = rows.next().unwrap() {
            let mut line = name.clone();
            for column in 0..columns {
                let value = row.get_ref(column).unwrap();
                match value {
                    ValueRef::Blob(bytes) => write!(line, " {bytes:?}").unwrap(),
                    ValueRef::Text(text) => {
                        write!(line, " {}", String::from_utf8_lossy(text)).unwrap();
                    }
                    other => write!(line, " {other:?}").unwrap(),
                }
            }
            all.insert(line);
        }
    }
    all
}

/// One thing of every sort: what stands in a path for each parameter, by the segment before it.
fn furnish(world: &World) -> Vec<(&'static str, String)> {
    let admin = &world.admin;
    let id = |value: &Value| value["id"].as_str().unwrap().to_owned();
    user(admin, "plee");
    service(admin, "wiki", &json!({ "token_policy": single(&json!({})) }));
    admin.post("/groups", &json!({ "name": "staff" })).expect(201);
    let unit = admin.post("/units", &json!({ "name": "Physics" })).expect(201);
    let grant = json!({ "subject": { "user": "plee" }, "role": "auditor" });
    let grant = admin.post("/grants", &grant).expect(201);
    let target = json!({ "name": "ldap1", "kind": "ldap", "url": "ldap://127.0.0.1:1",
        "bind_dn": "cn=a", "bind_password": "x", "base_dn": "dc=a", "schemes": ["SSHA"],
        "mode": "disabled" });
    admin.post("/targets", &target).expect(201);
    let token = ask_token(&person(world, "plee", &OWN), "plee", "wiki").expect(201);
    vec![
        ("realms", "main".into()),
        ("users", "plee".into()),
        ("services", "wiki".into()),
        ("groups", "staff".into()),
        ("members", "plee".into()),
        ("clients", "git-verifier".into()),
        ("targets", "ldap1".into()),
        ("units", id(&unit)),
        ("grants", id(&grant)),
        ("tokens", id(&token["token"])),
    ]
}

/// A path of the document with what exists in the place of its parameters.
pub(crate) fn filled(path: &str, things: &[(&'static str, String)]) -> String {
    let mut before = "";
    let mut target = String::new();
    for segment in path.split('/').skip(1) {
        let known = things.iter().find(|(name, _)| *name == before).map(|(_, id)| id.as_str());
        let text = if segment.starts_with('{') { known.unwrap_or("main") } else { segment };
        target.push('/');
        target.push_str(text);
        before = segment;
    }
    target
}

/// Asks for every path by `GET`, as an administrator; how many were answered with 200.
fn crawl(world: &World, paths: &Map<String, Value>, things: &[(&'static str, String)]) -> usize {
    let mut answered = 0;
    // Of the plugin whose links made tokens, and of frameworks that take a method from a query.
    let queries = ["", "?_method=DELETE&method=POST", "?tokensetting=1&copersonid=58&reason=x"];
    // A key of the API is refused at forward-auth, which is recorded.
    for (path, operations) in paths.iter().filter(|(path, _)| !path.starts_with("/authz/")) {
        for query in queries {
            let target = format!("{}{query}", filled(path, things));
            let answer = world.admin.send(Request::new("GET", target));
            assert!(answer.status < 500, "{path}: {}", answer.text());
            let is_known = operations["get"].is_object();
            assert!(is_known || answer.status == 405 || answer.status == 404, "{path}");
            answered += usize::from(answer.status == 200);
        }
    }
    let basic = basic("admin", &world.admin.key);
    for path in [
        "/registry/co_services.json?coid=2",
        "/registry/co_people.json?coid=2",
        "/registry/co_service_token/co_service_tokens/generate/tokensetting:1/copersonid:58",
        "/token/api/v5/idpConfigurations",
    ] {
        world.admin.raw(&Request::new("GET", path).header("Authorization", basic.as_str()));
    }
    answered
}

#[test]
fn a15_no_get_changes_anything_whatever_its_path_and_its_query() {
    for world in World::on_each_store(UNTHROTTLED) {
        let things = furnish(&world);
        let document = world.admin.raw(&Request::new("GET", "/openapi.json")).expect(200);
        let paths = document["paths"].as_object().unwrap();
        assert!(paths.len() >= ROUTES_MIN, "only {} routes", paths.len());
        // Notes of what has just been done go by themselves, within a moment.
        let is_note = |row: &String| row.starts_with("outbox ") || row.contains("public.outbox ");
        await_true("all notes are read", PATIENCE, || !rows(&world).iter().any(is_note));
        let before = rows(&world);
        let has = |text: &str| before.iter().any(|row| row.contains(text));
        assert!(has("plee") && has("Physics"), "the rows were not read");
        let answered = crawl(&world, paths, &things);
        assert!(answered >= ROUTES_MIN, "only {answered} were answered");
        // Refusals are recorded within a second; one that is made behind everything else, and has
        // been recorded, leaves nothing of the others still on its way.
        let elsewhere = Request::new("GET", "/authz/wiki").bearer(&world.admin.key);
        assert_eq!(world.admin.raw(&elsewhere).status, 401);
        await_true("the last refusal is recorded", PATIENCE, || rows(&world).len() > before.len());
        let after = rows(&world);
        assert!(before.is_subset(&after), "{:#?}", before.difference(&after).collect::<Vec<_>>());
        let new: Vec<_> = after.difference(&before).collect();
        assert!(new.len() == 1 && new[0].contains("refused"), "{new:#?}");
        // The rows would tell: one act that does change something.
        let path = below_main(&format!("/tokens/{}/revoke", things.last().unwrap().1));
        world.admin.send(Request::new("POST", path).json(&json!({}))).expect(200);
        assert_ne!(rows(&world), after);
    }
}

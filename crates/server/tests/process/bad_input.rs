//! Bad input of every sort is a 4xx problem that names the field, and the server goes on.

use serde_json::{Value, json};

use crate::wire::{Answer, Api, Connection, Request, below_main};
use crate::world::{UNTHROTTLED, World, merged, pat_body};

/// Whether the answer is a problem document of this status that speaks of `field`.
#[track_caller]
fn is_problem(answer: &Answer, statuses: &[u16], field: &str) {
    let said = answer.text();
    assert!(statuses.contains(&answer.status), "{}: {said}", answer.status);
    assert_eq!(answer.header("content-type"), "application/problem+json", "{said}");
    let problem = answer.json();
    assert_eq!(problem["status"], json!(answer.status), "{said}");
    assert!(problem["type"].as_str().is_some_and(|slug| slug.starts_with("/problems/")), "{said}");
    if !field.is_empty() {
        let named = problem["field"].as_str().unwrap_or_default();
        assert!(named == field || named.starts_with(&format!("{field}[")), "{field}: {said}");
    }
}

#[track_caller]
fn alive(world: &World) {
    let answer = world.admin.raw(&Request::new("GET", "/healthz/ready"));
    assert_eq!(answer.status, 200);
    assert!(!world.server.log().contains("panicked"), "{}", world.server.log());
}

/// Sends bytes as the body of an issue.
fn issue_bytes(admin: &Api, body: impl Into<Vec<u8>>) -> Answer {
    admin.send(Request::new("POST", below_main("/tokens")).raw_json(body))
}

#[test]
fn what_is_no_json_is_refused_as_such() {
    let world = World::new(UNTHROTTLED);
    let malformed: Vec<Vec<u8>> = vec![
        b"".to_vec(),
        b"{".to_vec(),
        b"{\"kind\":}".to_vec(),
        b"nonsense".to_vec(),
        b"{\"kind\":\"personal_access_token\"} {}".to_vec(),
        b"{\"name\":\"\xff\xfe\"}".to_vec(),
        b"{\"name\":\"\x00\"}".to_vec(),
        b"{\"name\":\"\\ud800\"}".to_vec(),
        b"\xef\xbb\xbf{}".to_vec(),
        b"{\"max_usages\":1e999}".to_vec(),
        b"{\"max_usages\":NaN}".to_vec(),
        [b"[".repeat(100_000), b"]".repeat(100_000)].concat(),
        format!("{{\"permissions\":{}1{}}}", "{\"a\":".repeat(20_000), "}".repeat(20_000)).into(),
    ];
    for body in malformed {
        let shown = String::from_utf8_lossy(&body[..body.len().min(40)]).into_owned();
        let answer = issue_bytes(&world.admin, body);
        is_problem(&answer, &[400], "");
        assert_eq!(answer.json()["type"], "/problems/malformed", "{shown}");
    }
    for shape in ["[]", "null", "1", "\"text\""] {
        is_problem(&issue_bytes(&world.admin, shape), &[400, 422], "");
    }
    let form = Request::new("POST", below_main("/tokens"))
        .header("Content-Type", "application/x-www-form-urlencoded")
        .body("kind=personal_access_token");
    is_problem(&world.admin.send(form), &[415], "");
    alive(&world);
}

/// Fields of an issue with values that make no sense.
fn wrong_fields() -> Vec<(&'static str, Value)> {
    vec![
        ("colour", json!("red")),
        ("kind", json!("password")),
        ("kind", json!(7)),
        ("kind", Value::Null),
        ("user", json!(["alice"])),
        ("name", json!("x".repeat(10_000))),
        ("name", json!("a\u{0}b")),
        ("name", json!("a\nb")),
        ("name", json!("\u{202e}nimda")),
        ("name", json!("lap\u{200b}top")),
        ("description", json!("\u{2066}x\u{2069}")),
        ("labels", json!({ "te\u{200d}am": "x" })),
        ("labels", json!({ "team": "\u{feff}x" })),
        ("services", json!("git")),
        ("services", json!(vec!["git"; 1000])),
        ("scopes", json!(["two words"])),
        ("scopes", json!([""])),
        ("scopes", json!(["ä"])),
        ("permissions", json!("all")),
        ("permissions", json!({ "repo": "pull" })),
        ("lifetime_seconds", json!(-1)),
        ("lifetime_seconds", json!(0)),
        ("lifetime_seconds", json!(i64::MAX)),
        ("lifetime_seconds", json!(1e300)),
        ("lifetime_seconds", json!(1.5)),
        ("lifetime_seconds", json!("10")),
        ("max_usages", json!(-5)),
        ("max_usages", json!(0)),
        ("max_usages", json!(u64::MAX)),
        ("max_usages", json!(2.5)),
        ("expires_at", json!("2099-01-01T00:00:00")),
        ("expires_at", json!("tomorrow")),
        ("expires_at", json!("2099-13-45")),
        ("expires_at", json!("2001-01-01T00:00:00Z")),
        ("expires_at", json!("+999999999-01-01T00:00:00Z")),
        ("expires_at", json!(4_102_444_800_u64)),
        ("not_before", json!("2099-01-01 00:00")),
        ("networks", json!(["10.0.0.0/99"])),
        ("networks", json!(["localhost"])),
        ("doors", json!(["window"])),
        ("labels", json!({ "": "x" })),
        ("labels", json!({ "a": 1 })),
        ("labels", json!(["a"])),
    ]
}

#[test]
fn a_field_that_makes_no_sense_is_named() {
    let world = World::new(UNTHROTTLED);
    let mut unnamed = Vec::new();
    for (field, value) in wrong_fields() {
        let body = merged(pat_body(&json!({})), &json!({ field: value }));
        let answer = world.admin.post("/tokens", &body);
        let problem = answer.json();
        let named = problem["field"].as_str().unwrap_or_default();
        let is_it = named
            .strip_prefix(field)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('[') || rest.starts_with('.'));
        if answer.status != 422 || !is_it {
            unnamed.push(format!("{field} = {value}: {} {}", answer.status, answer.text()));
        }
    }
    assert!(unnamed.is_empty(), "not refused by name:\n{}", unnamed.join("\n"));
    // What is well-formed but not there is named by the sentence.
    let absent = [
        ("user", json!("nobody-of-that-name"), "user"),
        ("services", json!(["no-such-service"]), "service"),
        ("unit", json!("no-such-unit"), "unit"),
    ];
    for (field, value, what) in absent {
        let body = merged(pat_body(&json!({})), &json!({ field: value }));
        let answer = world.admin.post("/tokens", &body);
        is_problem(&answer, &[404, 422], "");
        assert!(answer.json()["detail"].as_str().unwrap().contains(what), "{}", answer.text());
    }
    let token = world.pat();
    let moved = world.admin.patch(&token.path(""), &json!({ "unit": "no-such-unit" }));
    is_problem(&moved, &[422], "unit");
    let missing = world.admin.post("/tokens", &json!({ "user": "alice" }));
    is_problem(&missing, &[422], "kind");
    let inverted = json!({ "not_before": "2098-01-01T00:00:00Z",
        "expires_at": "2097-01-01T00:00:00Z" });
    let answer = world.admin.post("/tokens", &pat_body(&inverted));
    is_problem(&answer, &[422], "");
    assert!(["expires_at", "not_before"].contains(&answer.json()["field"].as_str().unwrap()));
    let both = json!({ "expires_at": "2098-01-01T00:00:00Z", "lifetime_seconds": 5 });
    is_problem(&world.admin.post("/tokens", &pat_body(&both)), &[422], "");
    let twice = "{\"kind\":\"personal_access_token\",\"kind\":\"service_token\"}";
    is_problem(&issue_bytes(&world.admin, twice), &[422], "kind");
    // Also inside free objects, where no field would notice.
    for permissions in
        [r#"{"repo":["pull"],"repo":["push"]}"#, r#"{"repo":["pull"],"\u0072epo":["push"]}"#]
    {
        let body = pat_body(&json!({ "permissions": "HERE" })).to_string();
        let answer = issue_bytes(&world.admin, body.replace("\"HERE\"", permissions));
        is_problem(&answer, &[422], "permissions.repo");
        let body = format!(r#"{{"permissions":{permissions}}}"#);
        let edit = Request::new("PATCH", below_main(&token.path(""))).raw_json(body);
        is_problem(&world.admin.send(edit), &[422], "permissions.repo");
    }
    alive(&world);
}

#[test]
fn what_is_too_large_is_refused_and_not_kept() {
    let world = World::new(UNTHROTTLED);
    let admin = &world.admin;
    let large = format!("{{\"name\":\"{}\"}}", "x".repeat(10_000_000));
    is_problem(&issue_bytes(admin, large), &[413], "");
    let long = "x".repeat(1_000_000);
    is_problem(&world.verifier.post("/verify", &json!({ "token": long })), &[413, 422], "");
    // Below the limit of the body, above that of a token.
    let answer = world.verifier.post("/verify", &json!({ "token": "x".repeat(100_000) }));
    assert!(answer.status == 422 || answer.json()["code"] == "unknown", "{}", answer.text());
    let batch = json!({ "requests": [{ "token": long }] });
    let answer = world.verifier.post("/verify/batch", &batch);
    assert!((200..500).contains(&answer.status), "{}", answer.text());
    let many = json!({ "credentials": vec!["cflp_x"; 1001] });
    let leaked = Request::new("POST", "/api/v1/credentials/revoke").json(&many);
    is_problem(&admin.raw(&leaked), &[422], "credentials");

    // In a header there is no room for it: refused, or cut off before it is all read.
    let request = Request::new("GET", "/api/v1/self").bearer(&long);
    if let Ok(answer) = admin.with_key("").try_raw(&request) {
        assert!([400, 401, 431].contains(&answer.status), "{}", answer.text());
    }
    let request = Request::new("GET", "/authz/git").bearer(&"x".repeat(10_000));
    assert_eq!(admin.raw(&request).status, 401);
    let target = format!("{}?name={}", below_main("/tokens"), "x".repeat(20_000));
    let answer = admin.send(Request::new("GET", target));
    assert!((400..500).contains(&answer.status), "{}", answer.text());
    alive(&world);
}

/// Paths below the realm that lead nowhere, and parameters that nobody knows.
const STRANGE_PATHS: [&str; 18] = [
    "/tokens/%00",
    "/tokens/%ff",
    "/tokens/..%2f..%2fadmin",
    "/tokens/a%2Fb",
    "/users/%C3%28",
    "/tokens?limit=0",
    "/tokens?limit=-1",
    "/tokens?limit=1001",
    "/tokens?limit=99999999999",
    "/tokens?limit=ten",
    "/tokens?cursor=nonsense",
    "/tokens?colour=red",
    "/tokens?state=happy",
    "/tokens?kind=password",
    "/tokens?name=%00",
    "/tokens?expires_before=2099-01-01T00:00:00",
    "/events?outcome=maybe",
    "/nonsense",
];

#[test]
fn strange_bytes_in_heads_and_paths_are_refused() {
    let world = World::new(UNTHROTTLED);
    let strange: [&[u8]; 6] = [
        b"GET /api/v1/self HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer a\x00b\r\n\r\n",
        b"GET /api/v1/self HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer \xff\xfe\r\n\r\n",
        b"GET /authz/git HTTP/1.1\r\nHost: x\r\nAuthorization: Basic ////\r\n\r\n",
        b"GET /authz/git HTTP/1.1\r\nHost: x\r\nAuthorization: Basic \xc3\xa4\r\n\r\n",
        b"GET /authz/\x01 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"NONSENSE\r\n\r\n",
    ];
    for bytes in strange {
        let mut connection = Connection::open(world.server.address).unwrap();
        // Whoever does not speak HTTP may be cut off without an answer.
        if let Ok(answer) = connection.exchange(bytes) {
            let shown = String::from_utf8_lossy(bytes).into_owned();
            assert!((400..500).contains(&answer.status), "{shown}: {}", answer.text());
        }
    }
    let mut wrong = Vec::new();
    for path in STRANGE_PATHS {
        let answer = world.admin.get(path);
        let problem = answer.json();
        let parameter = path.split_once('?').and_then(|(_, query)| query.split('=').next());
        let right = match parameter {
            Some(name) => answer.status == 422 && problem["field"] == name,
            None => [400, 404, 422].contains(&answer.status) && problem["type"].is_string(),
        };
        if !right {
            wrong.push(format!("{path}: {} {}", answer.status, answer.text()));
        }
    }
    assert!(wrong.is_empty(), "not refused by name:\n{}", wrong.join("\n"));
    let wrong_method =
        world.admin.send(Request::new("PUT", below_main("/tokens")).json(&json!({})));
    is_problem(&wrong_method, &[405], "");
    alive(&world);
}

#[test]
fn strange_preconditions_and_idempotency_keys_are_refused() {
    let world = World::new(UNTHROTTLED);
    let token = world.pat();
    let edit = |if_match: &[u8]| {
        let request = Request::new("PATCH", below_main(&token.path("")));
        world.admin.send(request.header("If-Match", if_match).json(&json!({ "name": "x" })))
    };
    for tag in ["nonsense", "\"999\"", "\"-1\"", "W/\"1\"", "\"99999999999999999999\""] {
        is_problem(&edit(tag.as_bytes()), &[400, 412, 422], "");
    }
    is_problem(&edit(b"\"\xff\""), &[400, 412, 422], "");
    for key in [String::new(), "x".repeat(10_000), "a\tb".to_owned()] {
        let request = Request::new("POST", below_main("/tokens")).json(&pat_body(&json!({})));
        let answer = world.admin.send(request.header("Idempotency-Key", key.as_bytes()));
        is_problem(&answer, &[400, 422], "");
    }
    alive(&world);
}

/// Bodies that no endpoint of the OAuth door can mean anything by.
fn strange_forms() -> Vec<Vec<u8>> {
    let many = (0..65).map(|number| format!("p{number}=x")).collect::<Vec<_>>().join("&");
    vec![
        Vec::new(),
        b"&&&=&=x".to_vec(),
        b"%".to_vec(),
        b"grant_type=%zz&token=%ff%fe".to_vec(),
        b"grant_type=refresh_token&grant_type=refresh_token".to_vec(),
        b"grant_type=refresh_token&refresh_token=\x00\xff".to_vec(),
        b"grant_type=client_credentials&client_id=%00&client_secret=%00".to_vec(),
        b"{\"grant_type\":\"client_credentials\"}".to_vec(),
        many.into_bytes(),
        [b"token=".to_vec(), b"x".repeat(300 * 1024)].concat(),
    ]
}

#[test]
fn strange_requests_to_the_oauth_door_are_refused_in_its_own_words() {
    let world = World::new(UNTHROTTLED);
    let door = crate::oauth::DOOR;
    let basic = crate::oauth::basic("admin", "x");
    for path in ["/token", "/token/introspect", "/revoke", "/auth/device"] {
        for body in strange_forms() {
            for credential in [format!("Bearer {}", world.admin.key), basic.clone()] {
                let shown = String::from_utf8_lossy(&body[..body.len().min(60)]).into_owned();
                let request = Request::new("POST", format!("{door}{path}"))
                    .header("Content-Type", "application/x-www-form-urlencoded")
                    .header("Authorization", credential)
                    .body(body.clone());
                let answer = world.admin.raw(&request);
                let said = answer.text();
                // Nonsense is a token too there: one that is not good, or that has ended.
                let judged = path.ends_with("introspect") && said == r#"{"active":false}"#;
                if judged || (path == "/revoke" && (answer.status, said.as_str()) == (200, "")) {
                    assert!(shown.contains("token="), "{path} {shown}: {said}");
                    continue;
                }
                assert!((400..500).contains(&answer.status), "{path} {shown}: {said}");
                let code = &answer.json()["error"];
                assert!(code.is_string() || answer.status == 413, "{path} {shown}: {said}");
            }
        }
    }
    let register = "/realms/main/clients-registrations/openid-connect";
    let deep = [b"[".repeat(100_000), b"]".repeat(100_000)].concat();
    for body in [b"".to_vec(), b"{".to_vec(), b"[]".to_vec(), b"{\"jwks\":7}".to_vec(), deep] {
        let request = Request::new("POST", register).bearer("cflr_nonsense").raw_json(body);
        let answer = world.admin.raw(&request);
        assert_eq!((answer.status, answer.json()["error"].is_string()), (400, true));
    }
    for path in [
        "/realms/%00/protocol/openid-connect/certs",
        "/realms/NO%20NE/.well-known/openid-configuration",
        "/oauth2/token",
        "/realms/main/clients-registrations/openid-connect/%ff",
    ] {
        let answer = world.admin.raw(&Request::new("GET", path));
        assert!((400..500).contains(&answer.status), "{path}: {}", answer.text());
    }
    for proof in ["x", "a.b.c", "eyJhbGciOiJub25lIn0.e30."] {
        let request = Request::new("POST", format!("{door}/token")).header("DPoP", proof);
        let request = request.header("Content-Type", "application/x-www-form-urlencoded");
        let answer = world.admin.raw(&request.body("grant_type=refresh_token&refresh_token=x"));
        assert_eq!(answer.json()["error"], "invalid_dpop_proof", "{}", answer.text());
    }
    alive(&world);
}

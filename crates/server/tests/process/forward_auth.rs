//! Forward-auth without a proxy in between: what a client sends changes nothing about what is
//! required, unless the service says whom to believe.

use serde_json::json;

use crate::wire::{Answer, Request};
use crate::world::{Issued, UNTHROTTLED, World, authz, pat, service};

/// The peer of a test is this machine.
const TRUSTING: &str = "abuse.throttle = false\nserver.trusted_proxies = [\"127.0.0.1/32\"]";

/// Every identity header of the contract.
const IDENTITY: [&str; 8] = [
    "remote-user",
    "remote-name",
    "remote-email",
    "remote-groups",
    "x-auth-token-id",
    "x-auth-scopes",
    "x-auth-expires",
    "x-auth-kind",
];

/// Services that differ in where the original request is read from; each asks for `read`, and for
/// `write` below `/private/`.
fn services(world: &World) -> Issued {
    for origin in ["subpath", "x-original", "x-forwarded"] {
        let rules = json!([{ "methods": [], "path": "/private/*", "scopes": ["write"] }]);
        let config = json!({ "origin": origin, "required_scopes": ["read"], "rules": rules });
        service(&world.admin, origin, &json!({ "forward_auth": config }));
    }
    let services = json!(["subpath", "x-original", "x-forwarded"]);
    pat(&world.admin, &json!({ "services": services, "scopes": ["read"] }))
}

fn ask(world: &World, target: &str, token: &Issued, headers: &[(&str, &str)]) -> Answer {
    let request = authz(target, "alice", &token.secret);
    let request =
        headers.iter().fold(request, |request, (name, value)| request.header(name, *value));
    world.admin.raw(&request)
}

/// Everything that a client could hope to be believed.
fn hopes() -> Vec<(&'static str, &'static str)> {
    let mut hopes = vec![
        ("X-CF-Scope", "read"),
        ("X-CF-Realm", "other"),
        ("X-CF-Service", "subpath"),
        ("X-CF-Style", "traefik"),
        ("X-Forwarded-For", "192.0.2.1"),
        ("X-Forwarded-Proto", "https"),
        ("X-Forwarded-Host", "other.example.org"),
        ("X-Forwarded-Method", "GET"),
        ("X-Forwarded-Uri", "/public/page"),
        ("X-Forwarded-Prefix", "/public"),
        ("X-Original-Method", "GET"),
        ("X-Original-URI", "/public/page"),
        ("X-Original-URL", "/public/page"),
        ("X-Rewrite-URL", "/public/page"),
        ("X-HTTP-Method-Override", "GET"),
        ("X-Real-IP", "192.0.2.1"),
        ("Forwarded", "for=192.0.2.1;host=other.example.org"),
    ];
    hopes.extend(IDENTITY.map(|name| (name, "root")));
    hopes
}

#[test]
fn what_a_client_sends_changes_neither_what_is_required_nor_who_it_is() {
    let world = World::new(UNTHROTTLED);
    let token = services(&world);
    let plain = ask(&world, "subpath/public/page", &token, &[]);
    assert_eq!(plain.status, 200, "{}", plain.text());
    for name in IDENTITY {
        let found = plain.headers.iter().filter(|(known, _)| known == name).count();
        assert_eq!(found, 1, "{name} in {:?}", plain.headers);
    }
    assert_eq!(
        ["remote-user", "x-auth-token-id", "x-auth-scopes", "x-auth-kind"].map(|n| plain.header(n)),
        ["alice", &token.id, "read", "personal_access_token"],
    );
    assert!(plain.body.is_empty());

    let queries =
        ["", "?scope=&realm=other", "?scope=read&style=nginx&service=other", "?scope=write"];
    for query in queries {
        let open = ask(&world, &format!("subpath/public/page{query}"), &token, &hopes());
        assert_eq!(open.lasting(), plain.lasting(), "{query}");
        let closed = ask(&world, &format!("subpath/private/page{query}"), &token, &hopes());
        assert_eq!(closed.status, 403, "{query}");
        let challenge = closed.header("www-authenticate");
        assert!(challenge.contains("insufficient_scope") && challenge.contains("write"));
    }
}

#[test]
fn no_spelling_of_a_path_escapes_its_rule() {
    let world = World::new(TRUSTING);
    let token = services(&world);
    let private = [
        "/private/page",
        "/public/../private/page",
        "/public/%2e%2e/private/page",
        "/public/%2E%2E/private/page",
        "/public/.%2e/private/page",
        "/public/%252e%252e/private/page",
        "/public%2f..%2fprivate/page",
        "/./private/page",
        "//private//page",
        "/%70rivate/page",
        "/private;x=1/page",
        "/private/%2e/page",
        "/public/x/../../private/page",
    ];
    for path in private {
        for method in ["GET", "POST", "DELETE", "PROPFIND"] {
            let target = format!("/authz/subpath{path}");
            let request = authz("", "alice", &token.secret).to(&target).method(method);
            let answer = world.admin.raw(&request);
            assert_eq!(answer.status, 403, "{method} {path}: {}", answer.text());
        }
        for (name, uri) in [("x-original", "X-Original-URI"), ("x-forwarded", "X-Forwarded-Uri")] {
            let method = uri.replace("URI", "Method").replace("Uri", "Method");
            let answer = ask(&world, name, &token, &[(&method, "GET"), (uri, path)]);
            assert_eq!(answer.status, 403, "{uri}: {path}");
        }
    }
}

#[test]
fn the_original_request_is_believed_from_a_trusted_proxy_for_a_service_that_names_the_pair() {
    let mut world = World::new(TRUSTING);
    let token = services(&world);
    let pair = |kind: &str, uri: &'static str| -> Vec<(String, &'static str)> {
        let last = if kind == "Original" { "URI" } else { "Uri" };
        vec![(format!("X-{kind}-Method"), "GET"), (format!("X-{kind}-{last}"), uri)]
    };
    let status = |world: &World, service: &str, headers: &[(String, &'static str)]| {
        let headers: Vec<(&str, &str)> = headers.iter().map(|(n, v)| (n.as_str(), *v)).collect();
        ask(world, service, &token, &headers).status
    };
    let (open, closed) = ("/public/page", "/private/page");
    for (service, kind) in [("x-original", "Original"), ("x-forwarded", "Forwarded")] {
        assert_eq!(status(&world, service, &pair(kind, open)), 200, "{service}");
        assert_eq!(status(&world, service, &pair(kind, closed)), 403, "{service}");
        // One alone, none, the other pair, or two of one: nobody can say what was asked for.
        assert_eq!(status(&world, service, &pair(kind, open)[..1]), 403, "{service}");
        assert_eq!(status(&world, service, &pair(kind, open)[1..]), 403, "{service}");
        assert_eq!(status(&world, service, &[]), 403, "{service}");
        let other = if kind == "Original" { "Forwarded" } else { "Original" };
        assert_eq!(status(&world, service, &pair(other, open)), 403, "{service}");
        let twice = [pair(kind, open), pair(kind, open)].concat();
        assert_eq!(status(&world, service, &twice), 403, "{service}");
        // The other pair beside the right one changes nothing.
        let both = [pair(kind, closed), pair(other, open)].concat();
        assert_eq!(status(&world, service, &both), 403, "{service}");
    }
    // A service that reads the request itself does not look at either.
    assert_eq!(status(&world, "subpath/private/page", &pair("Original", open)), 403);
    assert_eq!(status(&world, "subpath/public/page", &pair("Original", closed)), 200);

    // The same requests from a peer that is nobody in particular.
    assert!(world.server.stop().success());
    world.serve_again(UNTHROTTLED);
    for (service, kind) in [("x-original", "Original"), ("x-forwarded", "Forwarded")] {
        assert_eq!(status(&world, service, &pair(kind, open)), 403, "{service}");
    }
    assert_eq!(status(&world, "subpath/public/page", &[]), 200);
}

#[test]
fn the_client_address_is_believed_from_a_trusted_proxy_alone() {
    let mut world = World::new(TRUSTING);
    let inside = pat(&world.admin, &json!({ "networks": ["192.0.2.0/24"] }));
    let status = |world: &World, source: &str| {
        ask(world, "git", &inside, &[("X-Forwarded-For", source)]).status
    };
    assert_eq!(status(&world, "192.0.2.7"), 200);
    assert_eq!(status(&world, "198.51.100.7"), 401);
    // To the left of what the proxy saw stands what the client invented.
    assert_eq!(status(&world, "192.0.2.7, 198.51.100.7"), 401);
    assert!(world.server.stop().success());
    world.serve_again(UNTHROTTLED);
    assert_eq!(status(&world, "192.0.2.7"), 401);
}

#[test]
fn a_credential_in_the_query_or_in_an_unknown_header_is_none() {
    let world = World::new(UNTHROTTLED);
    let token = world.pat();
    let none = world.admin.raw(&Request::new("GET", "/authz/git"));
    assert_eq!(none.status, 401);
    let elsewhere = [
        Request::new("GET", format!("/authz/git?token={0}&access_token={0}", token.secret)),
        Request::new("GET", "/authz/git").header("X-API-Key", token.secret.as_bytes()),
        Request::new("GET", "/authz/git").header("PRIVATE-TOKEN", token.secret.as_bytes()),
        Request::new("GET", "/authz/git").header("Cookie", format!("token={}", token.secret)),
        Request::new("POST", "/authz/git").body(format!("token={}", token.secret)),
    ];
    for request in &elsewhere {
        assert_eq!(world.admin.raw(request).lasting(), none.lasting(), "{request:?}");
    }
    let bearer = Request::new("GET", "/authz/git").bearer(&token.secret);
    assert_eq!(world.admin.raw(&bearer).status, 200);
}

//! Traefik and Envoy as they ask, and what every front can stand: recorded requests.

use serde_json::{Value, json};

use super::IDENTITY;
use crate::wire::{Answer, Request};
use crate::world::{Issued, UNTHROTTLED, World, authz, pat, service};

/// The peer of a test is this machine.
const TRUSTING: &str = "abuse.throttle = false\nserver.trusted_proxies = [\"127.0.0.1/32\"]";

/// A service that reads from somewhere, wants `read`, and `write` below `/private/`.
fn guarded(world: &World, origin: &str) -> [Issued; 2] {
    let rules = json!([{ "methods": [], "path": "/private/*", "scopes": ["write"] }]);
    let config = json!({ "origin": origin, "required_scopes": ["read"], "rules": rules });
    service(&world.admin, "api", &json!({ "forward_auth": config }));
    let token =
        |scopes: Value| pat(&world.admin, &json!({ "services": ["api"], "scopes": scopes }));
    [token(json!(["read"])), token(json!(["read", "write"]))]
}

/// What Traefik v3 sends for a request with `trustForwardHeader: false`, in its order.
fn traefik(method: &str, uri: &str, secret: &str) -> Request {
    authz("api", "alice", secret)
        .header("User-Agent", "curl/8.5.0")
        .header("Accept", "*/*")
        .header("X-Forwarded-For", "192.0.2.7")
        .header("X-Forwarded-Host", "api.example.org")
        .header("X-Forwarded-Method", method)
        .header("X-Forwarded-Port", "443")
        .header("X-Forwarded-Proto", "https")
        .header("X-Forwarded-Server", "traefik-0")
        .header("X-Forwarded-Uri", uri)
        .header("X-Real-Ip", "192.0.2.7")
        .header("Accept-Encoding", "gzip")
}

#[test]
fn check_23_traefik_is_answered_for_the_original_request() {
    let world = World::new(TRUSTING);
    let [reader, writer] = guarded(&world, "x-forwarded");
    let ask = |request: Request| world.admin.raw(&request);
    let open = ask(traefik("GET", "/orders?page=2", &reader.secret));
    assert_eq!((open.status, open.body.len()), (200, 0));
    all_present_once(&open);
    assert_eq!(ask(traefik("POST", "/private/x", &reader.secret)).status, 403);
    assert_eq!(ask(traefik("POST", "/private/x", &writer.secret)).status, 200);
    assert_eq!(ask(traefik("GET", "/private/../private/x", &reader.secret)).status, 403);
    let denied = ask(traefik("GET", "/orders", "hunter2"));
    assert_eq!(denied.status, 401);
    assert!(denied.headers("www-authenticate").len() == 2, "{:?}", denied.headers);
    // Unset, `trustForwardHeader` hands on what the client says of the rest.
    let legacy = traefik("POST", "/private/x", &reader.secret)
        .header("X-Forwarded-Prefix", "/orders")
        .header("X-Forwarded-Path", "/orders");
    assert_eq!(ask(legacy).status, 403);
    // `preserveRequestMethod` changes the method of the question, not what is asked.
    let preserved = traefik("DELETE", "/private/x", &reader.secret).method("DELETE");
    assert_eq!(ask(preserved).status, 403);
}

/// What Envoy's HTTP `ext_authz` sends: method and path of the request, behind the prefix.
fn envoy(method: &str, path: &str, secret: &str) -> Request {
    authz("", "alice", secret)
        .to(&format!("/authz/api{path}"))
        .method(method)
        .header("Host", "api.example.org")
        .header("Content-Length", "0")
        .header("X-Envoy-Internal", "true")
        .header("X-Forwarded-For", "192.0.2.7")
        .header("X-Envoy-Expected-Rq-Timeout-Ms", "200")
}

#[test]
fn check_23_envoy_is_answered_with_exactly_200_for_any_method_and_sub_path() {
    let world = World::new(TRUSTING);
    let [reader, writer] = guarded(&world, "subpath");
    let methods =
        ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND", "REPORT", "X-OWN"];
    let paths = [
        "",
        "/",
        "/orders",
        "/orders/17/items?expand=all&x=%2F",
        "/a/b/c/d/e/f/g.json",
        "/%C3%BCber",
        "/x:y@z;v=1/~user/*",
    ];
    for method in methods {
        for path in paths {
            let answer = world.admin.raw(&envoy(method, path, &reader.secret));
            assert_eq!(answer.status, 200, "{method} {path}: {:?}", answer.headers);
            all_present_once(&answer);
            assert_eq!(answer.header("x-envoy-auth-headers-to-remove"), "authorization");
        }
        assert_eq!(world.admin.raw(&envoy(method, "/private/x", &reader.secret)).status, 403);
        assert_eq!(world.admin.raw(&envoy(method, "/private/x", &writer.secret)).status, 200);
        assert_eq!(world.admin.raw(&envoy(method, "/orders", "hunter2")).status, 401);
    }
}

#[track_caller]
fn all_present_once(answer: &Answer) {
    for name in IDENTITY {
        assert_eq!(answer.headers(name).len(), 1, "{name} in {:?}", answer.headers);
    }
    assert_eq!(answer.header("remote-user"), "alice");
    assert_eq!(answer.header("cache-control"), "no-store");
}

#[test]
fn check_23_no_front_ever_sees_another_status_than_200_401_and_403() {
    let world = World::new(UNTHROTTLED);
    let [reader, _] = guarded(&world, "subpath");
    let long = "x".repeat(6000);
    let mut said = std::collections::BTreeSet::new();
    for service in ["api", "git", "none", "no%20name", "counterfoil"] {
        for secret in [&*reader.secret, "hunter2", "", &long, "cflp_000000000000_x", "a:b:c"] {
            for path in ["", "/", "/private/x", "/%zz", "/../..", "//x", "/a%00b"] {
                let target = format!("/authz/{service}{path}");
                let request = authz("", "alice", secret).to(&target);
                let answer = world.admin.raw(&request);
                let allowed = service == "api" && secret == reader.secret;
                assert!(answer.status != 200 || allowed, "{target}");
                said.insert(answer.status);
            }
        }
    }
    assert_eq!(said.into_iter().collect::<Vec<_>>(), [200, 401, 403]);
}

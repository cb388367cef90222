//! Checks 23 and 24: what stands before an API, as it is installed or as it is known to ask.
//!
//! nginx, Caddy and the plain service run the guide `docs/guide/protect-an-api-with-pats.md`,
//! word for word but for the places of this machine. Traefik and Envoy are recorded requests.

mod backend;
mod guide;
mod recorded;

use serde_json::json;

use crate::wire::{Api, Request};
use crate::world::authz;
use backend::line_of;
use guide::{Front, Orders, front_is_installed};

/// Every header that tells the backend who calls.
const IDENTITY: [&str; 9] = [
    "remote-user",
    "remote-name",
    "remote-email",
    "remote-groups",
    "x-auth-token-id",
    "x-auth-scopes",
    "x-auth-expires",
    "x-auth-kind",
    "x-auth-permissions",
];

/// Asks a front for `GET /orders` as dana with a secret.
fn get(secret: &str) -> Request {
    authz("", "dana", secret).to("/orders?page=2")
}

/// A front lets through what is good, and tells the two refusals apart.
fn lets_through_what_is_good(front: Front) {
    if !front_is_installed(front) {
        return;
    }
    let site = Orders::of_the_guide("abuse.throttle = false");
    let door = site.behind(front);
    let client = Api::new(door.address, "");
    let seen = client.raw(&get(&site.reader)).text();
    assert!(seen.starts_with("GET /orders?page=2 HTTP/1."), "{seen}");
    assert_eq!(line_of(&seen, "remote-user"), ["dana"]);
    assert_eq!(line_of(&seen, "x-auth-scopes"), ["orders:read"]);
    assert_eq!(line_of(&seen, "x-auth-permissions"), [r#"{"profile":["givenName","mail"]}"#]);
    assert!(line_of(&seen, "authorization").is_empty(), "the API has the token: {seen}");
    assert!(!seen.contains(&site.reader), "{seen}");

    for method in ["POST", "PUT", "PATCH", "DELETE"] {
        let body = "a body";
        let narrow = client.raw(&get(&site.reader).method(method).body(body));
        assert_eq!(narrow.status, 403, "{method}: {}", narrow.text());
        let wide = client.raw(&get(&site.writer).method(method).body(body));
        assert_eq!(wide.status, 200, "{method}: {}", wide.text());
        assert!(wide.text().starts_with(method) && wide.text().ends_with(body), "{}", wide.text());
    }
    let nobody = client.raw(&Request::new("GET", "/orders"));
    assert_eq!(nobody.status, 401);
    assert!(nobody.header("www-authenticate").starts_with("Basic "), "{:?}", nobody.headers);
    let bearer = client.raw(&Request::new("GET", "/orders").bearer(&site.reader));
    assert_eq!(bearer.status, 200);

    let token = &site.reader;
    let id = token.get(5..17).unwrap().to_owned();
    site.admin.post(&format!("/tokens/{id}/revoke"), &json!({})).expect(200);
    for secret in [token.as_str(), "hunter2", ""] {
        assert_eq!(client.raw(&get(secret)).status, 401, "{secret}");
    }
    // A token of another name is nobody's.
    let other = authz("", "alice", &site.writer).to("/orders");
    assert_eq!(client.raw(&other).status, 401);
}

#[test]
fn check_23_nginx_lets_through_what_is_good_and_tells_refusals_apart() {
    lets_through_what_is_good(Front::Nginx);
}

#[test]
fn check_23_caddy_lets_through_what_is_good_and_tells_refusals_apart() {
    lets_through_what_is_good(Front::Caddy);
}

/// However often somebody guesses, a front sees 401 and 403 and nothing that it would turn into
/// an error of its own.
fn guesses_are_refusals(front: Front) {
    if !front_is_installed(front) {
        return;
    }
    let site = Orders::of_the_guide("");
    let door = site.behind(front);
    let client = Api::new(door.address, "");
    for guess in 0..12 {
        let said = client.raw(&get(&format!("guess-{guess}")));
        assert_eq!(said.status, 401, "{}", said.text());
    }
    assert_eq!(client.raw(&get(&site.reader)).status, 200, "a right token is never held back");
}

#[test]
fn check_23_behind_nginx_a_lockout_is_a_refusal_and_no_error() {
    guesses_are_refusals(Front::Nginx);
}

#[test]
fn check_23_behind_caddy_a_lockout_is_a_refusal_and_no_error() {
    guesses_are_refusals(Front::Caddy);
}

/// What a client says about itself never reaches the backend.
fn feigned_identity_stays_outside(front: Front) {
    if !front_is_installed(front) {
        return;
    }
    let site = Orders::of_the_guide("abuse.throttle = false");
    let door = site.behind(front);
    let client = Api::new(door.address, "");
    let mut request = get(&site.writer);
    for name in IDENTITY {
        request = request.header(name, "mallory");
        request = request.header(&name.to_uppercase(), "mallory");
    }
    for name in ["Remote_User", "X_Auth_Scopes", "X_Auth_Permissions"] {
        request = request.header(name, "mallory");
    }
    for (name, value) in [("X-Forwarded-Method", "GET"), ("X-Forwarded-Uri", "/x")] {
        request = request.header(name, value);
    }
    let seen = client.raw(&request).text();
    assert!(!seen.contains("mallory"), "{seen}");
    for name in IDENTITY {
        assert!(line_of(&seen, name).len() <= 1, "{name}: {seen}");
    }
    assert_eq!(line_of(&seen, "remote-user"), ["dana"]);
    assert_eq!(line_of(&seen, "x-auth-scopes"), ["orders:read orders:write"]);
    // What is asked for is what the front sees, not what the client says that it is.
    let mut post = get(&site.reader).method("POST");
    for (name, value) in [("X-Forwarded-Method", "GET"), ("X-Forwarded-Uri", "/orders")] {
        post = post.header(name, value);
    }
    assert_eq!(client.raw(&post.body("x")).status, 403);
    let nobody = Request::new("GET", "/orders").header("Remote-User", "dana");
    assert_eq!(client.raw(&nobody).status, 401);
}

#[test]
fn check_24_behind_nginx_no_identity_of_the_clients_own_reaches_the_backend() {
    feigned_identity_stays_outside(Front::Nginx);
}

#[test]
fn check_24_behind_caddy_no_identity_of_the_clients_own_reaches_the_backend() {
    feigned_identity_stays_outside(Front::Caddy);
}

/// A Counterfoil that does not answer is no refusal.
fn an_outage_is_no_refusal(front: Front) {
    if !front_is_installed(front) {
        return;
    }
    let mut site = Orders::of_the_guide("");
    let door = site.behind(front);
    let client = Api::new(door.address, "");
    assert_eq!(client.raw(&get(&site.reader)).status, 200);
    site.server.kill9();
    let status = client.raw(&get(&site.reader)).status;
    assert!([500, 502, 503].contains(&status), "{status}");
}

#[test]
fn check_23_behind_nginx_an_outage_is_no_refusal() {
    an_outage_is_no_refusal(Front::Nginx);
}

#[test]
fn check_23_behind_caddy_an_outage_is_no_refusal() {
    an_outage_is_no_refusal(Front::Caddy);
}

#[test]
fn a_plain_service_asks_by_itself_as_the_guide_prints_it() {
    let mut site = Orders::of_the_guide("abuse.throttle = false");
    let door = site.plain_service();
    // Python ends the connection with each answer.
    let ask = |request: &Request| Api::new(door.address, "").raw(request);
    let read = ask(&get(&site.reader));
    let body = read.expect(200);
    assert_eq!(body["user"], "dana");
    assert_eq!(body["permissions"], json!({ "profile": ["givenName", "mail"] }));
    assert_eq!(ask(&get(&site.reader).method("POST").body("x")).status, 403);
    assert_eq!(ask(&get(&site.writer).method("POST").body("x")).status, 200);
    for request in [get("hunter2"), get(""), Request::new("GET", "/orders")] {
        let refused = ask(&request);
        assert_eq!(refused.status, 401, "{}", refused.text());
        assert!(refused.header("www-authenticate").starts_with("Basic "));
    }
    site.server.kill9();
    assert_eq!(ask(&get(&site.reader)).status, 503);
}

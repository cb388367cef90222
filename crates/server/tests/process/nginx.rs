//! The main job on real input: an unmodified git through an unmodified nginx, with tokens.
//!
//! What is run is the guide `docs/guide/git-behind-nginx.md`, word for word but
//! for the places of this machine.

pub(crate) mod peers;
mod recipe;

use std::fs;

use serde_json::json;

use crate::harness::{PATIENCE, await_true};
use crate::wire::{Api, Request};
use crate::world::{Issued, authz, merged, service, user};
use peers::{Git, peers_are_installed};
use recipe::{Backend, GitSite};

/// What git says when a credential is refused.
const REFUSED: &str = "fatal: Authentication failed for";

/// Prints what the backend is told. The path is last, so that a line cannot be feigned by it.
const PRINT_ENVIRONMENT: &str = "#!/bin/sh\nprintf 'Content-Type: text/plain\\r\\n\\r\\n'\nenv\n";

#[test]
fn a_person_clones_and_pushes_with_a_token_and_the_backend_knows_her_name() {
    if !peers_are_installed() {
        return;
    }
    let site = GitSite::of_the_guide("", &Backend::Git);
    let git = Git::of("alice", &site.token, site.home());
    git.seed(&site.url());
    let hook = site.hook_that_notes_the_pusher();

    git.succeeds(&["clone", "--quiet", &site.url(), "work"]);
    // More than nginx takes by default, and more than git sends in one piece.
    fs::write(site.home().join("work/large"), incompressible(3 << 20)).unwrap();
    git.commit("work", "a large file");
    git.succeeds(&["-C", "work", "push", "--quiet", "origin", "main"]);
    assert_eq!(fs::read_to_string(&hook).unwrap().trim(), "alice");

    git.succeeds(&["clone", "--quiet", &site.url(), "again"]);
    assert_eq!(git.head("again"), git.head("work"));
    let large = fs::read(site.home().join("again/large")).unwrap();
    assert_eq!(large, incompressible(3 << 20));

    // The token alone is enough, as other servers have it.
    let by_token = Git::of(&site.token, "", site.home());
    by_token.succeeds(&["ls-remote", "--quiet", &site.url()]);
}

/// Bytes that do not shrink, the same ones each time.
fn incompressible(length: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let next = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[0]
    };
    (0..length).map(next).collect()
}

/// Asks git to push and to fetch, and checks that both fail as they do for a wrong password.
#[track_caller]
fn is_refused(site: &GitSite, user: &str, secret: &str, why: &str) {
    let git = Git::of(user, secret, site.home());
    for arguments in [&["ls-remote", &site.url()][..], &["-C", "work", "push", "origin", "main"]] {
        let said = git.fails(arguments);
        assert!(said.contains(REFUSED), "{why}: {said}");
    }
}

fn issue(admin: &Api, more: &serde_json::Value) -> Issued {
    let body = json!({ "kind": "personal_access_token", "user": "alice", "name": "other",
        "services": ["git"] });
    Issued::of(&admin.post("/tokens", &merged(body, more)).expect(201))
}

#[test]
fn git_says_authentication_failed_whatever_is_wrong_with_the_token() {
    if !peers_are_installed() {
        return;
    }
    let site = GitSite::of_the_guide("abuse.throttle = false", &Backend::Git);
    let admin = &site.admin;
    let git = Git::of("alice", &site.token, site.home());
    git.seed(&site.url());
    git.succeeds(&["clone", "--quiet", &site.url(), "work"]);
    git.commit("work", "to be pushed");

    user(admin, "bob");
    service(admin, "wiki", &json!({}));
    is_refused(&site, "bob", &site.token, "another person's name");
    is_refused(&site, "alice", "hunter2", "no token");
    let foreign = issue(admin, &json!({ "services": ["wiki"] }));
    is_refused(&site, "alice", &foreign.secret, "another service's");

    let revoked = issue(admin, &json!({}));
    let other = Git::of("alice", &revoked.secret, site.home());
    other.succeeds(&["ls-remote", "--quiet", &site.url()]);
    admin.post(&revoked.path("/revoke"), &json!({})).expect(200);
    is_refused(&site, "alice", &revoked.secret, "revoked");

    let short = issue(admin, &json!({ "lifetime_seconds": 2 }));
    await_true("the token expires", PATIENCE, || {
        admin.get(&short.path("")).expect(200)["state"] == "expired"
    });
    is_refused(&site, "alice", &short.secret, "expired");

    admin.patch("/users/alice", &json!({ "status": "suspended" })).expect(200);
    is_refused(&site, "alice", &site.token, "suspended owner");
    admin.patch("/users/alice", &json!({ "status": "active" })).expect(200);
    git.succeeds(&["-C", "work", "push", "--quiet", "origin", "main"]);
}

/// What clients send who want to be somebody else.
fn feigned() -> Vec<(&'static str, &'static str)> {
    vec![
        ("Remote-User", "mallory"),
        ("Remote_User", "mallory"),
        ("X-Remote-User", "mallory"),
        ("X-Auth-Scopes", "push"),
        ("X-Auth-Token-Id", "000000000000"),
        ("X-CF-Scope", ""),
        ("X-CF-Realm", "other"),
        ("X-CF-Style", "traefik"),
        ("X-Forwarded-User", "mallory"),
        ("X-Forwarded-For", "192.0.2.99"),
        ("X-Forwarded-Host", "other.example.org"),
        ("X-Forwarded-Method", "GET"),
        ("X-Forwarded-Uri", "/public.git/info/refs"),
        ("X-Original-Method", "GET"),
        ("X-Original-URI", "/public.git/info/refs"),
        ("Proxy", "http://192.0.2.99/"),
    ]
}

#[test]
fn the_backend_sees_the_owner_of_the_token_whatever_the_client_sends() {
    if !peers_are_installed() {
        return;
    }
    let site = GitSite::of_the_guide("", &Backend::Script(PRINT_ENVIRONMENT));
    let client = Api::new(site.address, "");
    let token = site.token.as_str();
    let paths = [
        "/website.git/info/refs?scope=&realm=other&style=traefik&service=git-upload-pack",
        "/other.git/%2e%2e/website.git/info/refs",
        "//website.git/./info/refs",
    ];
    for path in paths {
        for (user, password) in [("alice", token), (token, "")] {
            let credential = authz("", user, password);
            let request = feigned()
                .into_iter()
                .fold(credential.to(path), |request, (name, value)| request.header(name, value));
            let answer = client.raw(&request);
            assert_eq!(answer.status, 200, "{path}: {}", answer.text());
            let said = answer.text();
            let line = |name: &str| said.lines().find_map(|line| line.strip_prefix(name));
            assert_eq!(line("REMOTE_USER="), Some("alice"), "{said}");
            assert_eq!(line("PATH_INFO="), Some("/website.git/info/refs"), "{said}");
            assert_eq!(line("REMOTE_ADDR="), Some("127.0.0.1"), "{said}");
            for word in [token, "mallory", "192.0.2.99", "HTTP_AUTHORIZATION", "HTTP_PROXY"] {
                assert!(!said.contains(word), "{word} reached the backend: {said}");
            }
        }
    }
    // The way to Counterfoil is no place to visit, and without a token there is nothing to see.
    let inner = client.raw(&authz("", "alice", token).to("/.counterfoil"));
    assert_eq!(inner.status, 404);
    let stranger = client.raw(&Request::new("GET", paths[0]).header("Remote-User", "alice"));
    assert_eq!(stranger.status, 401);
    assert!(stranger.header("www-authenticate").starts_with("Basic "));
}

#[test]
fn a_rule_of_the_guide_keeps_pushes_for_tokens_with_the_scope() {
    if !peers_are_installed() {
        return;
    }
    let site = GitSite::of_the_guide("", &Backend::Git);
    let git = Git::of("alice", &site.token, site.home());
    git.seed(&site.url());
    git.succeeds(&["clone", "--quiet", &site.url(), "work"]);
    git.commit("work", "to be pushed");
    site.apply_the_rule();

    let said = git.fails(&["-C", "work", "push", "origin", "main"]);
    assert!(said.contains("The requested URL returned error: 403"), "{said}");
    git.succeeds(&["-C", "work", "fetch", "--quiet"]);
    let pusher = issue(&site.admin, &json!({ "scopes": ["push"] }));
    let pusher = Git::of("alice", &pusher.secret, site.home());
    pusher.succeeds(&["-C", "work", "push", "--quiet", "origin", "main"]);

    // Spelling the path differently does not help, and neither do headers of the client's own.
    let client = Api::new(site.address, "");
    let paths = [
        "/website.git/git-receive-pack",
        "/x/%2e%2e/website.git/git-receive-pack",
        "/x/../website.git/git-receive-pack",
        "/website.git/git%2dreceive-pack",
        "//website.git//git-receive-pack",
        "/website.git/./git-receive-pack",
        "/website%2Egit/git-receive-pack",
        "/website.git/git-receive-pack?x=/other",
    ];
    for path in paths {
        let mut request = authz("", "alice", &site.token).to(path).method("POST");
        for (name, value) in feigned() {
            request = request.header(name, value);
        }
        let answer = client.raw(&request.body("0000"));
        assert_eq!(answer.status, 403, "{path}: {}", answer.text());
    }
}

#[test]
fn a_server_that_does_not_answer_is_no_refusal() {
    if !peers_are_installed() {
        return;
    }
    let mut site = GitSite::of_the_guide("", &Backend::Git);
    let (token, home) = (site.token.clone(), site.home().to_owned());
    let git = Git::of("alice", &token, &home);
    git.succeeds(&["ls-remote", "--quiet", &site.url()]);
    site.server.kill9();
    let said = git.fails(&["ls-remote", &site.url()]);
    assert!(said.contains("error: 500") && !said.contains(REFUSED), "{said}");
}

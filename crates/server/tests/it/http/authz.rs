//! `/authz/{service}`.

use counterfoil_server::http::HttpSettings;
use serde_json::{Value, json};

use crate::world::{Answer, R, World};

const BASE64: base64::engine::GeneralPurpose = base64::engine::general_purpose::STANDARD;

fn basic(user: &str, password: &str) -> String {
    use base64::Engine as _;
    format!("Basic {}", BASE64.encode(format!("{user}:{password}")))
}

async fn ask(world: &World, path: &str, headers: &[(&str, &str)]) -> Answer {
    world.send("GET", path, headers, None).await
}

fn challenges(answer: &Answer) -> Vec<String> {
    let values = answer.headers.get_all("www-authenticate").iter();
    values.map(|value| value.to_str().unwrap().to_owned()).collect()
}

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

#[tokio::test]
async fn a_good_credential_passes_in_every_form_with_all_identity_headers() {
    let world = World::new().await;
    let alice = world.with_alice().await;
    let name = json!({ "display_name": "Zoë 1", "emails": ["a@example.org"] });
    world.patch(&format!("{R}/users/alice"), name).await.expect(200);
    let bearer = format!("Bearer {}", alice.secret);
    for authorization in [
        bearer.clone(),
        basic("alice", &alice.secret),
        basic("ALICE", &alice.secret),
        basic(&alice.secret, ""),
    ] {
        for (method, path) in
            [("GET", "/authz/git"), ("POST", "/authz/git/"), ("PROPFIND", "/authz/git/a/b?c=d")]
        {
            let headers = [("authorization", authorization.as_str())];
            let answer = world.send(method, path, &headers, None).await;
            assert_eq!((answer.status, answer.text.as_str()), (200, ""), "{method} {path}");
            for name in IDENTITY {
                assert!(answer.headers.contains_key(name), "{name}");
            }
            assert_eq!(answer.header("remote-user"), "alice");
            assert_eq!(answer.header("remote-name"), "Zo%C3%AB 1");
            assert_eq!(answer.header("remote-email"), "a@example.org");
            assert_eq!(answer.header("x-auth-token-id"), alice.token);
            assert_eq!(answer.header("x-auth-kind"), "personal_access_token");
            assert_eq!(answer.header("x-auth-expires"), "2027-02-19T12:00:00Z");
            assert_eq!(answer.header("cache-control"), "no-store");
        }
    }
}

#[tokio::test]
async fn whatever_is_wrong_answers_the_same_bytes() {
    let world = World::new().await;
    let alice = world.with_alice().await;
    world.service("mail").await;
    let (revoked, revoked_secret) = world.pat("alice", json!({ "services": ["git"] })).await;
    world.post(&format!("{R}/tokens/{revoked}/revoke"), json!({})).await.expect(200);
    let (disabled, disabled_secret) = world.pat("alice", json!({ "services": ["git"] })).await;
    world.post(&format!("{R}/tokens/{disabled}/disable"), json!(null)).await.expect(200);
    let short = json!({ "services": ["git"], "lifetime_seconds": 1 });
    let (_, expired_secret) = world.pat("alice", short).await;
    let (_, elsewhere) = world.pat("alice", json!({ "services": ["mail"] })).await;
    world.clock.advance_seconds(10);
    let mut wrong = alice.secret.clone();
    wrong.replace_range(20..21, "0");
    let mut seen: Vec<String> = Vec::new();
    for authorization in [
        format!("Bearer {wrong}"),
        "Bearer nothing".to_owned(),
        basic("alice", &revoked_secret),
        basic("alice", &disabled_secret),
        basic("alice", &expired_secret),
        basic("bob", &alice.secret),
        basic("alice", &elsewhere),
        "Basic !!!".to_owned(),
    ] {
        let answer = ask(&world, "/authz/git", &[("authorization", &authorization)]).await;
        let own = |name: &str| matches!(name, "x-request-id" | "date");
        let headers = answer.headers.iter().filter(|(name, _)| !own(name.as_str()));
        let mut headers: Vec<String> =
            headers.map(|(name, value)| format!("{name}: {value:?}")).collect();
        headers.sort();
        seen.push(format!("{}\n{}\n{}", answer.status, headers.join("\n"), answer.text));
    }
    assert!(seen.iter().all(|one| *one == seen[0]), "{seen:#?}");
    let expected = vec![
        r#"Basic realm="git", charset="UTF-8""#.to_owned(),
        r#"Bearer realm="git", error="invalid_token""#.to_owned(),
    ];
    let one = ask(&world, "/authz/git", &[("authorization", "Bearer x")]).await;
    assert_eq!((one.status, challenges(&one)), (401, expected));
}

#[tokio::test]
async fn without_a_credential_there_is_no_error_and_never_one_from_the_query() {
    let world = World::new().await;
    let alice = world.with_alice().await;
    let secret = &alice.secret;
    for path in
        ["/authz/git".to_owned(), format!("/authz/git?access_token={secret}&token={secret}")]
    {
        let answer = ask(&world, &path, &[("private-token", secret), ("x-cf-scope", "x")]).await;
        assert_eq!(answer.status, 401);
        assert_eq!(challenges(&answer)[1], r#"Bearer realm="git""#);
    }
    let bearer = format!("Bearer {secret}");
    let unknown = ask(&world, "/authz/none", &[("authorization", &bearer)]).await;
    assert_eq!((unknown.status, challenges(&unknown).len()), (401, 2));
    let odd = ask(&world, "/authz/NO%20NE", &[("authorization", &bearer)]).await;
    assert_eq!(odd.status, 401);
}

#[tokio::test]
async fn configured_headers_carry_tokens() {
    let settings = HttpSettings {
        api_key_headers: vec!["private-token".parse().unwrap()],
        ..HttpSettings::default()
    };
    let world = World::with(settings).await;
    let alice = world.with_alice().await;
    let answer = ask(&world, "/authz/git", &[("PRIVATE-TOKEN", &alice.secret)]).await;
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn only_a_missing_scope_is_403() {
    let world = World::new().await;
    let alice = world.with_alice().await;
    let scopes = json!({ "services": ["git"], "scopes": ["read"] });
    let (_, reader) = world.pat("alice", scopes).await;
    let config = json!({ "required_scopes": ["read"],
        "rules": [{ "methods": ["POST"], "path": "/push/*", "scopes": ["write"] }] });
    world.patch(&format!("{R}/services/git"), json!({ "forward_auth": config })).await.expect(200);
    let send = |method: &'static str, path: &'static str, secret: String| {
        let world = &world;
        async move {
            let bearer = format!("Bearer {secret}");
            world.send(method, path, &[("authorization", &bearer)], None).await
        }
    };
    assert_eq!(send("GET", "/authz/git/x", reader.clone()).await.status, 200);
    assert_eq!(send("GET", "/authz/git/push/x", reader.clone()).await.status, 200);
    let escaped = "/authz/git/My%20Documents/100%25%20%C3%BCber%23.txt";
    assert_eq!(send("PROPFIND", escaped, reader.clone()).await.status, 200);
    assert_eq!(send("POST", "/authz/git/pus%68/a%20b", reader.clone()).await.status, 403);
    assert_eq!(send("GET", "/authz/git/a%2fb", reader.clone()).await.status, 403);
    let lacking = send("POST", "/authz/git/push/x?scope=read", reader.clone()).await;
    let challenge = r#"Bearer realm="git", error="insufficient_scope", scope="read write""#;
    assert_eq!((lacking.status, challenges(&lacking)), (403, vec![challenge.to_owned()]));
    assert_eq!(send("GET", "/authz/git", alice.secret.clone()).await.status, 403);
    // What cannot be told safely is refused, but only to who presents a good token.
    assert_eq!(send("POST", "/authz/git/x%2f..%2fpush/x", reader.clone()).await.status, 403);
    assert_eq!(send("POST", "/authz/git/x%2f..%2fpush/x", "no".to_owned()).await.status, 401);
}

#[tokio::test]
async fn header_forms_of_the_origin_need_a_trusted_proxy() {
    let trusting = HttpSettings {
        trusted_proxies: vec!["127.0.0.0/8".parse().unwrap()],
        ..HttpSettings::default()
    };
    for (settings, expected) in [(trusting, [200, 403, 403]), (HttpSettings::default(), [403; 3])] {
        let world = World::with(settings).await;
        let alice = world.with_alice().await;
        let config: Value = json!({ "origin": "x-original",
            "rules": [{ "methods": ["DELETE"], "path": "/*", "scopes": ["admin"] }] });
        let edit = json!({ "forward_auth": config });
        world.patch(&format!("{R}/services/git"), edit).await.expect(200);
        let bearer = format!("Bearer {}", alice.secret);
        let mut seen = Vec::new();
        for more in [
            vec![("x-original-method", "GET"), ("x-original-uri", "/x")],
            vec![("x-original-method", "DELETE"), ("x-original-uri", "/x")],
            vec![("x-original-method", "GET"), ("x-forwarded-uri", "/x")],
        ] {
            let mut headers = vec![("authorization", bearer.as_str())];
            headers.extend(more);
            seen.push(ask(&world, "/authz/git", &headers).await.status);
        }
        assert_eq!(seen, expected);
    }
}

#[tokio::test]
async fn networks_are_held_against_the_address_that_trusted_proxies_report() {
    let trusting = HttpSettings {
        trusted_proxies: vec!["127.0.0.0/8".parse().unwrap()],
        ..HttpSettings::default()
    };
    for (settings, expected) in [(trusting, 200), (HttpSettings::default(), 401)] {
        let world = World::with(settings).await;
        world.with_alice().await;
        let more = json!({ "services": ["git"], "networks": ["192.0.2.0/24"] });
        let (_, secret) = world.pat("alice", more).await;
        let bearer = format!("Bearer {secret}");
        let headers = [("authorization", bearer.as_str()), ("x-forwarded-for", "192.0.2.9")];
        assert_eq!(ask(&world, "/authz/git", &headers).await.status, expected);
        let spoofed =
            [("authorization", bearer.as_str()), ("x-forwarded-for", "192.0.2.9, 198.51.100.1")];
        assert_eq!(ask(&world, "/authz/git", &spoofed).await.status, 401);
    }
}

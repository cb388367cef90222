//! Check 25, and permissions in the answers of the doors that can carry them.

use serde_json::{Value, json};

use super::world::ENGINES;
use crate::world::{Answer, R, World};

/// Both spellings of the introspection endpoint of the main realm.
const PATHS: [&str; 2] =
    ["/oauth2/introspect", "/realms/main/protocol/openid-connect/token/introspect"];

async fn introspect(world: &World, path: &str, key: Option<&str>, token: &str) -> Answer {
    let bearer = format!("Bearer {}", key.unwrap_or_default());
    let mut headers = vec![("content-type", "application/x-www-form-urlencoded")];
    if key.is_some() {
        headers.push(("authorization", &bearer));
    }
    let form = format!("token={token}").into_bytes();
    world.send("POST", path, &headers, Some(form)).await
}

#[tokio::test]
async fn check_25_a_foreign_service_reads_inactive_a_stranger_401_and_get_is_refused() {
    for engine in ENGINES {
        let world = World::on(engine).await;
        let alice = world.with_alice().await;
        world.service("wiki").await;
        let foreign = world.verifier("wiki-gate", "wiki").await;
        for path in PATHS {
            let own = introspect(&world, path, Some(&alice.gate), &alice.secret).await.expect(200);
            assert_eq!((&own["active"], &own["username"]), (&json!(true), &json!("alice")));
            let other = introspect(&world, path, Some(&foreign), &alice.secret).await;
            let unknown = introspect(&world, path, Some(&alice.gate), "cflp_nonsense").await;
            for said in [other, unknown] {
                assert_eq!((said.status, said.text.as_str()), (200, r#"{"active":false}"#));
            }
            let stranger = introspect(&world, path, None, &alice.secret).await;
            assert_eq!((stranger.status, &stranger.body["error"]), (401, &json!("invalid_client")));
            let wrong = introspect(&world, path, Some("cflk_nonsense"), &alice.secret).await;
            assert_eq!(wrong.status, 401);
            let bearer = format!("Bearer {}", alice.gate);
            let headers = [("authorization", bearer.as_str())];
            let query = format!("{path}?token={}", alice.secret);
            assert_eq!(world.send("GET", &query, &headers, None).await.status, 405);
            // Neither is a token taken out of the query of a POST.
            let form = [
                ("authorization", bearer.as_str()),
                ("content-type", "application/x-www-form-urlencoded"),
            ];
            let said = world.send("POST", &query, &form, Some(b"".to_vec())).await;
            assert_eq!(said.status, 400, "{}", said.text);
        }
    }
}

#[tokio::test]
async fn assigned_permissions_are_in_the_answer_of_every_door_that_can_carry_them() {
    for engine in ENGINES {
        let world = World::on(engine).await;
        let alice = world.with_alice().await;
        let permissions = json!({ "profile": ["givenName", "mail"], "größe": ["read"] });
        let body = json!({ "services": ["git"], "permissions": permissions });
        let (_, secret) = world.pat("alice", body).await;
        let verified = world.asked(&alice, json!({ "token": secret })).await;
        assert_eq!(verified["permissions"], permissions);
        let said = introspect(&world, PATHS[0], Some(&alice.gate), &secret).await.expect(200);
        assert_eq!(said["permissions"], permissions);
        let bearer = format!("Bearer {secret}");
        let let_through =
            world.send("GET", "/authz/git", &[("authorization", bearer.as_str())], None).await;
        let header = let_through.header("x-auth-permissions").to_owned();
        assert_eq!(serde_json::from_str::<Value>(&header).unwrap(), permissions);
        // Of a token without any there is nothing to say, and the header is there all the same.
        let bearer = format!("Bearer {}", alice.secret);
        let plain =
            world.send("GET", "/authz/git", &[("authorization", bearer.as_str())], None).await;
        assert_eq!(plain.headers.get("x-auth-permissions").unwrap(), "");
        let said = introspect(&world, PATHS[0], Some(&alice.gate), &alice.secret).await.expect(200);
        assert_eq!(said.get("permissions"), None);
        // A question about a resource is answered by them.
        let ask =
            |action: &str| json!({ "token": secret, "resource": "profile", "action": action });
        assert_eq!(world.asked(&alice, ask("mail")).await["active"], true);
        assert_eq!(world.asked(&alice, ask("phone")).await["code"], "permission_denied");
    }
}

#[tokio::test]
async fn every_door_reports_what_its_parent_has_left_to_a_token() {
    for engine in ENGINES {
        let world = World::on(engine).await;
        let alice = world.with_alice().await;
        let wide = json!({ "services": ["git"], "scopes": ["repo/*:read", "push"],
            "lifetime_seconds": 5000 });
        let (parent, secret) = world.pat("alice", wide).await;
        let (child, derived) = world.derived(&secret, json!({})).await;
        let form = format!(
            "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange&subject_token=\
             {derived}&subject_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Aaccess_token"
        );
        let headers = [("content-type", "application/x-www-form-urlencoded")];
        let exchange = |more: &str| {
            let form = format!("{form}{more}").into_bytes();
            world.send("POST", "/oauth2/token", &headers, Some(form))
        };
        let access = exchange("").await.expect(200)["access_token"].as_str().unwrap().to_owned();
        let narrower = json!({ "scopes": ["repo/web:*"], "permissions": { "x": ["y"] },
            "expires_at": "2026-11-21T12:03:00Z" });
        world.patch(&format!("{R}/tokens/{parent}"), narrower).await.expect(200);
        for token in [&derived, &access] {
            let said = world.asked(&alice, json!({ "token": token })).await;
            assert_eq!(said["scopes"], json!(["repo/web:read"]), "{said}");
            assert_eq!(said["permissions"], json!({ "x": ["y"] }));
            assert_eq!(said["expires_at"], "2026-11-21T12:03:00Z");
            for path in PATHS {
                let said = introspect(&world, path, Some(&alice.gate), token).await.expect(200);
                assert_eq!(said["scope"], "repo/web:read", "{said}");
                assert_eq!(said["permissions"], json!({ "x": ["y"] }));
            }
            let bearer = format!("Bearer {token}");
            let headers = [("authorization", bearer.as_str())];
            let said = world.send("GET", "/authz/git", &headers, None).await;
            assert_eq!(said.header("x-auth-scopes"), "repo/web:read");
            assert_eq!(said.header("x-auth-permissions"), r#"{"x":["y"]}"#);
            assert_eq!(said.header("x-auth-expires"), "2026-11-21T12:03:00Z");
        }
        let own = world.call(&derived, "GET", "/api/v1/self", Value::Null).await.expect(200);
        assert_eq!(own["scopes"], json!(["repo/web:read"]));
        assert_eq!(exchange("&scope=push").await.body["error"], "invalid_scope");
        let wider = json!({ "scopes": ["push"] });
        world.patch(&format!("{R}/tokens/{child}"), wider).await.refused(422, "invalid");
    }
}

//! `R/services`.

use serde_json::json;

use crate::world::{R, World};

#[tokio::test]
async fn a_service_is_created_changed_and_removed() {
    let world = World::new().await;
    let services = format!("{R}/services");
    let body = json!({
        "label": "git", "name": "Git", "url": "https://git.example.org/",
        "forward_auth": { "required_scopes": ["repo:read"], "origin": "x-original" },
        "token_policy": { "max_lifetime_seconds": 86400 },
    });
    insta::assert_json_snapshot!(world.post(&services, body).await.expect(201), @r#"
    {
      "contact": null,
      "created_at": "2026-11-21T12:00:00Z",
      "description": null,
      "entitlement_uri": null,
      "forward_auth": {
        "origin": "x-original",
        "required_scopes": [
          "repo:read"
        ],
        "rules": []
      },
      "group": null,
      "label": "git",
      "locked": false,
      "logo_url": null,
      "name": "Git",
      "status": "active",
      "token_policy": {
        "max_lifetime_seconds": 86400
      },
      "unit": null,
      "updated_at": "2026-11-21T12:00:00Z",
      "url": "https://git.example.org/",
      "visibility": "realm"
    }
    "#);
    let path = format!("{services}/git");
    let rules =
        json!({ "rules": [{ "methods": ["POST"], "path": "/push/*", "scopes": ["push"] }] });
    let edited =
        world.patch(&path, json!({ "forward_auth": rules, "url": null })).await.expect(200);
    assert_eq!(edited["forward_auth"]["origin"], "x-original");
    assert_eq!(edited["forward_auth"]["rules"][0]["path"], "/push/*");
    assert_eq!(edited["url"], json!(null));
    world.delete(&path).await.expect(204);
    world.get(&path).await.refused(404, "not-found");
}

#[tokio::test]
async fn a_service_that_makes_no_sense_is_refused_with_its_field() {
    let world = World::new().await;
    world.patch(R, json!({ "token_policy": { "max_lifetime_seconds": 60 } })).await.expect(200);
    let field = |more: serde_json::Value| {
        let world = &world;
        async move {
            let mut body = json!({ "label": "git" });
            for (name, value) in more.as_object().unwrap() {
                body[name] = value.clone();
            }
            let problem = world.post(&format!("{R}/services"), body).await.refused(422, "invalid");
            problem["field"].as_str().unwrap().to_owned()
        }
    };
    assert_eq!(field(json!({ "label": "Git" })).await, "label");
    assert_eq!(field(json!({ "url": "javascript:alert(1)" })).await, "url");
    assert_eq!(field(json!({ "name": "a\u{0}b" })).await, "name");
    assert_eq!(field(json!({ "group": "none" })).await, "group");
    let loose = json!({ "token_policy": { "max_lifetime_seconds": 61 } });
    assert_eq!(field(loose).await, "token_policy.max_lifetime_seconds");
    let rule = json!({ "forward_auth": { "rules": [{ "path": "x", "scopes": [] }] } });
    assert_eq!(field(rule).await, "forward_auth.rules[0].path");
    for path in ["/my%20documents/*", "/a\\b", "/a\u{0}", "/a//b"] {
        let rule = json!({ "forward_auth": { "rules": [{ "path": path, "scopes": [] }] } });
        assert_eq!(field(rule).await, "forward_auth.rules[0].path", "{path}");
    }
    let origin = json!({ "forward_auth": { "origin": "query" } });
    assert_eq!(field(origin).await, "forward_auth.origin");
}

#[tokio::test]
async fn the_built_in_service_stays_usable() {
    let world = World::new().await;
    let path = format!("{R}/services/counterfoil");
    world.delete(&path).await.refused(409, "built-in");
    world.patch(&path, json!({ "status": "suspended" })).await.refused(409, "built-in");
    let off = json!({ "token_policy": { "enabled": false } });
    world.patch(&path, off).await.refused(409, "built-in");
    let limit = json!({ "token_policy": { "max_lifetime_seconds": 3600 } });
    world.patch(&path, limit).await.expect(200);
}

#[tokio::test]
async fn the_token_settings_of_a_service_are_one_resource_that_shows_what_holds() {
    let world = World::new().await;
    let limits = json!({ "max_lifetime_seconds": 604_800, "networks": ["10.0.0.0/8"] });
    world.patch(R, json!({ "token_policy": limits })).await.expect(200);
    world.service("git").await;
    let path = format!("{R}/services/git/token-settings");
    let put = |body: serde_json::Value| {
        let (world, path) = (&world, &path);
        async move { world.call(&world.operator_key, "PUT", path, body).await }
    };
    let whole = json!({ "form": "plain15", "max_active_per_user": 1, "at_limit": "replace_oldest",
        "networks": ["10.1.0.0/16", "192.0.2.0/24"] });
    let set = put(whole.clone()).await.expect(200);
    assert_eq!(set["policy"], whole);
    insta::assert_json_snapshot!(set["effective"], @r#"
    {
      "alarms": {
        "new_network": false
      },
      "approval": false,
      "at_limit": "replace_oldest",
      "default_lifetime_seconds": 604800,
      "enabled": true,
      "form": "plain15",
      "lifetime_presets_seconds": [
        604800
      ],
      "max_active_per_user": 1,
      "max_lifetime_seconds": 604800,
      "must_expire": false,
      "networks": [
        "10.1.0.0/16"
      ],
      "on_leak": "revoke",
      "rotation_overlap_seconds": 86400,
      "show_to_issuer": false,
      "source": "generated"
    }
    "#);
    // What is left out is inherited again.
    let set = put(json!({ "form": "grouped" })).await.expect(200);
    assert_eq!(set["policy"], json!({ "form": "grouped" }));
    assert_eq!(set["effective"]["networks"], json!(["10.0.0.0/8"]));
    assert_eq!(world.get(&path).await.expect(200), set);
    let shown = world.get(&format!("{R}/services/git")).await.expect(200);
    assert_eq!(shown["effective_token_policy"], set["effective"]);
    put(json!({ "max_lifetime_seconds": 604_801 })).await.refused(422, "invalid");
    put(json!({ "form": "rhyme" })).await.refused(422, "invalid");
    put(json!({ "colour": "red" })).await.refused(422, "invalid");
}

#[tokio::test]
async fn a_service_with_live_tokens_stays() {
    let world = World::new().await;
    let alice = world.with_alice().await;
    world.delete(&format!("{R}/services/git")).await.refused(409, "in-use");
    world.post(&format!("{R}/tokens/{}/revoke", alice.token), json!({})).await.expect(200);
}

#[tokio::test]
async fn people_see_the_services_that_are_meant_for_them() {
    let world = World::new().await;
    world.user("alice").await;
    world.post(&format!("{R}/groups"), json!({ "name": "staff" })).await.expect(201);
    for (label, visibility) in [("a", "administrators"), ("g", "group"), ("r", "realm")] {
        let body = json!({ "label": label, "visibility": visibility, "group": "staff" });
        world.post(&format!("{R}/services"), body).await.expect(201);
    }
    let more = json!({ "services": ["counterfoil"], "scopes": ["services:read"] });
    let (_, secret) = world.pat("alice", more).await;
    let seen = || async {
        let answer = world.call(&secret, "GET", &format!("{R}/services"), json!(null)).await;
        let body = answer.expect(200);
        let items = body["items"].as_array().unwrap().clone();
        items.iter().map(|item| item["label"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(seen().await, ["r"]);
    let member = format!("{R}/groups/staff/members/alice");
    world.call(&world.operator_key, "PUT", &member, json!(null)).await.expect(204);
    assert_eq!(seen().await, ["g", "r"]);
}

//! `R/tokens`.

use serde_json::{Value, json};

use crate::world::{R, World};

#[tokio::test]
async fn a_token_is_issued_with_every_field_of_the_contract() {
    let world = World::new().await;
    world.user("alice").await;
    world.service("git").await;
    let body = json!({
        "kind": "personal_access_token", "user": "alice", "name": "laptop", "services": ["git"],
        "scopes": ["repo:read"], "permissions": { "repo/*": ["read"] }, "max_usages": 5,
        "networks": ["10.1.2.3/8"], "doors": ["api", "forward-auth"], "labels": { "host": "l1" },
        "generic_data": { "2": "two" }, "serial": "S-1", "expires_at": "2026-12-31",
    });
    let issued = world.post(&format!("{R}/tokens"), body).await;
    assert_eq!(issued.header("cache-control"), "no-store");
    let mut issued = issued.expect(201);
    issued["token"]["id"] = json!("[id]");
    assert!(issued["secret"].as_str().unwrap().starts_with("cflp_"));
    insta::assert_json_snapshot!(issued["token"], @r#"
    {
      "activated_at": "2026-11-21T12:00:00Z",
      "approval": null,
      "client": null,
      "constraints": null,
      "count": null,
      "created_at": "2026-11-21T12:00:00Z",
      "created_by": "client:admin",
      "data_encoding": null,
      "data_present": false,
      "delivery_date": null,
      "denied_total": 0,
      "description": null,
      "device": null,
      "doors": [
        "api",
        "forward-auth"
      ],
      "enabled": true,
      "expires_at": "2027-01-01T00:00:00Z",
      "first_used_at": null,
      "generic_data": {
        "2": "two"
      },
      "id": "[id]",
      "identifier": null,
      "kind": "personal_access_token",
      "labels": {
        "host": "l1"
      },
      "last_used_at": null,
      "last_used_ip": null,
      "locked": false,
      "max_usages": 5,
      "name": "laptop",
      "networks": [
        "10.0.0.0/8"
      ],
      "not_before": "2026-11-21T12:00:00Z",
      "otp_method": null,
      "parent": null,
      "permissions": {
        "repo/*": [
          "read"
        ]
      },
      "ref_id_1": null,
      "ref_id_2": null,
      "registration_token": null,
      "remaining": 5,
      "repository": null,
      "reserved": 0,
      "returned": 0,
      "revoked_at": null,
      "revoked_by": null,
      "revoked_reason": null,
      "scopes": [
        "repo:read"
      ],
      "secrets": [
        {
          "created_at": "2026-11-21T12:00:00Z",
          "expires_at": null,
          "not_before": null,
          "slot": "current"
        }
      ],
      "serial": "S-1",
      "service": null,
      "services": [
        "git"
      ],
      "stamp": null,
      "state": "active",
      "tracking_id": null,
      "unit": null,
      "usage_total": 0,
      "used": 0,
      "user": "alice"
    }
    "#);
}

#[tokio::test]
async fn an_end_is_given_as_instant_date_lifetime_never_or_by_policy() {
    let world = World::new().await;
    world.user("alice").await;
    world.service("git").await;
    world.patch(R, json!({ "zone": "Europe/Berlin" })).await.expect(200);
    let issue = |more: Value| {
        let world = &world;
        async move {
            let mut body =
                json!({ "kind": "personal_access_token", "user": "alice", "services": ["git"] });
            for (name, value) in more.as_object().unwrap() {
                body[name] = value.clone();
            }
            world.post(&format!("{R}/tokens"), body).await
        }
    };
    let end = |answer: crate::world::Answer| answer.expect(201)["token"]["expires_at"].clone();
    assert_eq!(end(issue(json!({})).await), "2027-02-19T12:00:00Z");
    assert_eq!(end(issue(json!({ "expires_at": null })).await), Value::Null);
    assert_eq!(end(issue(json!({ "lifetime_seconds": 60 })).await), "2026-11-21T12:01:00Z");
    assert_eq!(end(issue(json!({ "expires_at": "2026-12-31" })).await), "2026-12-31T23:00:00Z");
    let offset = json!({ "expires_at": "2026-12-31T12:00:00+02:00" });
    assert_eq!(end(issue(offset).await), "2026-12-31T10:00:00Z");
    for (more, field) in [
        (json!({ "expires_at": "2026-12-31T12:00:00" }), "expires_at"),
        (json!({ "expires_at": "2020-01-01" }), "expires_at"),
        (json!({ "expires_at": "soon" }), "expires_at"),
        (json!({ "expires_at": null, "lifetime_seconds": 60 }), "lifetime_seconds"),
        (json!({ "lifetime_seconds": 0 }), "lifetime_seconds"),
        (json!({ "lifetime_seconds": -1 }), "lifetime_seconds"),
        (json!({ "not_before": "2027-01-01", "expires_at": "2026-12-31" }), "expires_at"),
        (json!({ "service": "git" }), "services"),
        (json!({ "generic_data": { "13": "x" } }), "generic_data"),
        (json!({ "networks": ["10.0.0.0/40"] }), "networks[0]"),
        (json!({ "doors": ["window"] }), "doors[0]"),
        (json!({ "kind": "client_key" }), "kind"),
    ] {
        assert_eq!(issue(more.clone()).await.refused(422, "invalid")["field"], field, "{more}");
    }
}

#[tokio::test]
async fn tokens_are_listed_by_everything_the_contract_names() {
    let world = World::new().await;
    let alice = world.with_alice().await;
    world.service("mail").await;
    let more = json!({ "services": ["mail"], "name": "phone", "labels": { "host": "p1" },
                       "lifetime_seconds": 60 });
    let (phone, _) = world.pat("alice", more).await;
    world.post(&format!("{R}/tokens/{}/disable", alice.token), json!(null)).await.expect(200);
    let ids = |query: &'static str| {
        let world = &world;
        async move {
            let body = world.get(&format!("{R}/tokens?user=alice&{query}")).await.expect(200);
            let items = body["items"].as_array().unwrap().clone();
            items.iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        }
    };
    assert_eq!(ids("limit=1000").await.len(), 2);
    for query in [
        "service=mail",
        "name=phone",
        "label.host=p1",
        "state=active",
        "expires_before=2026-11-22",
        "kind=personal_access_token&service=mail",
    ] {
        assert_eq!(ids(query).await, [phone.as_str()], "{query}");
    }
    assert_eq!(ids("state=disabled").await, [alice.token]);
    assert_eq!(ids("unused_since=2026-11-22").await.len(), 2);
    assert!(ids("kind=service_token").await.is_empty());
    for query in ["limit=0", "limit=1001", "colour=red", "state=odd", "user=bob&user=eve"] {
        world.get(&format!("{R}/tokens?{query}")).await.refused(422, "invalid");
    }
}

#[tokio::test]
async fn pages_follow_one_another_to_the_end() {
    let world = World::new().await;
    let alice = world.with_alice().await;
    for _ in 0..4 {
        world.pat("alice", json!({ "services": ["git"] })).await;
    }
    let mut seen = Vec::new();
    let mut path = format!("{R}/tokens?user=alice&limit=2");
    loop {
        let page = world.get(&path).await.expect(200);
        let items = page["items"].as_array().unwrap();
        seen.extend(items.iter().map(|item| item["id"].as_str().unwrap().to_owned()));
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        path = format!("{R}/tokens?user=alice&limit=2&cursor={cursor}");
    }
    assert_eq!(seen.len(), 5);
    assert!(seen.contains(&alice.token));
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), 5);
}

#[tokio::test]
async fn a_token_is_edited_switched_and_revoked() {
    let world = World::new().await;
    let alice = world.with_alice().await;
    let path = format!("{R}/tokens/{}", alice.token);
    let edit = json!({ "name": "desk", "labels": { "a": "b" }, "expires_at": null });
    let edited = world.patch(&path, edit).await.expect(200);
    assert_eq!((&edited["name"], &edited["expires_at"]), (&json!("desk"), &Value::Null));
    for (act, state) in
        [("disable", "disabled"), ("enable", "active"), ("lock", "locked"), ("unlock", "active")]
    {
        let changed = world.post(&format!("{path}/{act}"), json!(null)).await.expect(200);
        assert_eq!(changed["state"], state);
    }
    let preview =
        world.post(&format!("{path}/revoke"), json!({ "dry_run": true })).await.expect(200);
    assert_eq!(preview["revoked"][0]["id"], json!(alice.token));
    assert_eq!(world.get(&path).await.expect(200)["state"], "active");
    let revoked =
        world.post(&format!("{path}/revoke"), json!({ "reason": "lost" })).await.expect(200);
    assert_eq!(revoked["state"], "revoked");
    assert_eq!(revoked["revoked_by"], "client:admin");
    assert_eq!(revoked["revoked_reason"], "lost");
    world.post(&format!("{path}/revoke"), json!({})).await.expect(200);
    world.post(&format!("{path}/enable"), json!(null)).await.refused(409, "ended");
    world.post(&format!("{path}/rotate"), json!(null)).await.refused(409, "ended");
}

#[tokio::test]
async fn a_rotation_leaves_the_former_secret_its_overlap() {
    let world = World::new().await;
    let alice = world.with_alice().await;
    let path = format!("{R}/tokens/{}/rotate", alice.token);
    let rotated = world.post(&path, json!({ "overlap_seconds": 60 })).await.expect(200);
    let fresh = rotated["secret"].as_str().unwrap().to_owned();
    assert_ne!(fresh, alice.secret);
    assert_eq!(rotated["token"]["secrets"][1]["slot"], "previous");
    let good = |secret: String| {
        let (world, gate) = (&world, &alice.gate);
        async move {
            let (path, body) = (format!("{R}/verify"), json!({ "token": secret }));
            world.call(gate, "POST", &path, body).await.expect(200)["active"].as_bool().unwrap()
        }
    };
    assert!(good(alice.secret.clone()).await);
    world.clock.advance_seconds(60);
    assert!(!good(alice.secret.clone()).await);
    assert!(good(fresh).await);
}

#[tokio::test]
async fn an_idempotency_key_issues_once() {
    let world = World::new().await;
    world.user("alice").await;
    world.service("git").await;
    let issue = |name: &'static str, key: &'static str| {
        let world = &world;
        async move {
            let body = json!({ "kind": "service_token", "user": "alice", "service": "git",
                               "name": name });
            let headers = [("idempotency-key", key)];
            let path = format!("{R}/tokens");
            world.call_with(&world.operator_key, "POST", &path, &headers, body).await
        }
    };
    let first = issue("mail", "k1").await;
    let again = issue("mail", "k1").await;
    assert_eq!((first.status, &first.text), (201, &again.text));
    assert_eq!(first.body["token"]["service"], "git");
    assert_eq!(first.body["secret"].as_str().unwrap().len(), 29);
    issue("other", "k1").await.refused(422, "idempotency-key-reused");
    issue("other", "k\u{e4}").await.refused(422, "invalid");
    assert_eq!(
        world.get(&format!("{R}/tokens?user=alice")).await.body["items"].as_array().unwrap().len(),
        1
    );
}

#[tokio::test]
async fn the_events_and_the_usage_of_a_token_are_its_own() {
    let world = World::new().await;
    let alice = world.with_alice().await;
    world.pat("alice", json!({ "services": ["git"] })).await;
    let body = json!({ "token": alice.secret });
    world.call(&alice.gate, "POST", &format!("{R}/verify"), body).await.expect(200);
    world.authority.flush_usage().await.unwrap();
    let path = format!("{R}/tokens/{}", alice.token);
    let events = world.get(&format!("{path}/events")).await.expect(200);
    assert_eq!(events["items"].as_array().unwrap().len(), 1);
    assert_eq!(events["items"][0]["kind"], "token.issued");
    insta::assert_json_snapshot!(world.get(&format!("{path}/usage")).await.expect(200), @r#"
    {
      "days": [
        {
          "day": "2026-11-21",
          "door": "api",
          "last_used_at": "2026-11-21T12:00:00Z",
          "last_used_ip": null,
          "uses": 1
        }
      ],
      "denied_total": 0,
      "first_used_at": "2026-11-21T12:00:00Z",
      "last_used_at": "2026-11-21T12:00:00Z",
      "last_used_ip": null,
      "max_usages": null,
      "remaining": null,
      "usage_total": 1,
      "used": 0
    }
    "#);
}

#[tokio::test]
async fn who_wants_the_next_code_by_mail_too_soon_is_told_when_it_can_be_had() {
    let world = World::new().await;
    world.user("alice").await;
    let target = json!({ "name": "letters", "kind": "mail" });
    world.post(&format!("{R}/targets"), target).await.expect(201);
    let body = json!({ "kind": "generic", "user": "alice", "otp": { "method": "email" } });
    let issued = world.post(&format!("{R}/tokens"), body).await.expect(201);
    let path = format!("{R}/tokens/{}/otp/send", issued["token"]["id"].as_str().unwrap());
    let sent = world.post(&path, json!({})).await.expect(200);
    let transaction = &sent["transaction_id"];
    // Wrong codes end it; another is sent when the half minute is over.
    for _ in 0..5 {
        let wrong = json!({ "user": "alice", "pass": "00000000", "transaction_id": transaction });
        let said = world.post("/validate/check", wrong).await.expect(200);
        assert_eq!(said["result"]["value"], false);
    }
    world.clock.advance_seconds(10);
    let soon = world.post(&path, json!({})).await;
    assert_eq!(soon.header("retry-after"), "20");
    soon.refused(429, "rate-limited");
    world.clock.advance_seconds(20);
    assert_eq!(world.post(&path, json!({})).await.expect(200)["sent"], true);
}

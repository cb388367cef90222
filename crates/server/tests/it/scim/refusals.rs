//! Who may not, and what is not there.

use counterfoil_authority::names::RealmName;
use counterfoil_server::http::HttpSettings;
use serde_json::{Value, json};

use super::{Idp, refused};
use crate::world::{R, World};

const ROUTES: [(&str, &str); 14] = [
    ("GET", "/ServiceProviderConfig"),
    ("GET", "/ResourceTypes"),
    ("GET", "/Schemas"),
    ("POST", "/.search"),
    ("GET", "/Users"),
    ("POST", "/Users"),
    ("GET", "/Users/7"),
    ("PUT", "/Users/7"),
    ("PATCH", "/Users/7"),
    ("DELETE", "/Users/7"),
    ("GET", "/Groups"),
    ("POST", "/Groups"),
    ("PATCH", "/Groups/7"),
    ("DELETE", "/Groups/7"),
];

#[tokio::test]
async fn without_a_good_credential_every_route_answers_401_with_a_challenge() {
    let world = World::new().await;
    let alice = world.with_alice().await;
    let forged = format!("Bearer cflk_{}_{}", "0".repeat(12), "0".repeat(38));
    let revoked = world.client("gone", json!({ "roles": ["realm-admin"] })).await;
    world.delete(&format!("{R}/clients/gone")).await.expect(204);
    let revoked = format!("Bearer {revoked}");
    for (method, path) in ROUTES {
        let path = format!("/scim/v2{path}");
        let nobody = world.send(method, &path, &[], None).await;
        refused(&nobody, 401, None);
        assert_eq!(nobody.header("www-authenticate"), "Bearer realm=\"counterfoil\"");
        for credential in [&*forged, &revoked, "Bearer x", "Bearer "] {
            let answer = world.send(method, &path, &[("authorization", credential)], None).await;
            refused(&answer, 401, None);
            assert!(answer.header("www-authenticate").starts_with("Bearer "));
        }
    }
    // A person's token for a service, and a client that only verifies, may not.
    for key in [&alice.secret, &alice.gate] {
        let idp = Idp { world: &world, key: key.clone() };
        refused(&idp.get("/Groups").await, 403, None);
        refused(&idp.post("/Users", json!({ "userName": "bob" })).await, 403, None);
    }
    let reader = world.client("reader", json!({ "roles": ["auditor"] })).await;
    let reader = Idp { world: &world, key: reader };
    let all = reader.get("/Users").await.expect(200);
    let path = format!("/Users/{}", all["Resources"][0]["id"].as_str().unwrap());
    let off = json!([{ "op": "replace", "path": "active", "value": false }]);
    refused(&reader.patch(&path, off).await, 403, None);
    refused(&reader.delete(&path).await, 403, None);
    refused(&reader.post("/Groups", json!({ "displayName": "x" })).await, 403, None);
}

#[tokio::test]
async fn whoever_may_do_more_than_the_provider_is_not_changed_by_it() {
    let world = World::new().await;
    world.user("boss").await;
    let grant = json!({ "subject": { "user": "boss" }, "role": "realm-admin" });
    world.post(&format!("{R}/grants"), grant).await.expect(201);
    world.post(&format!("{R}/groups"), json!({ "name": "admins" })).await.expect(201);
    let grant = json!({ "subject": { "group": "admins" }, "role": "realm-admin" });
    world.post(&format!("{R}/grants"), grant).await.expect(201);
    let idp = Idp::of(&world).await;
    let boss = idp.get("/Users?filter=userName%20eq%20%22boss%22").await.expect(200);
    let boss = format!("/Users/{}", boss["Resources"][0]["id"].as_str().unwrap());
    let off = json!([{ "op": "replace", "path": "active", "value": false }]);
    refused(&idp.patch(&boss, off.clone()).await, 403, None);
    refused(&idp.delete(&boss).await, 403, None);
    let ann = idp.person("ann").await;
    let admins = idp.get("/Groups?filter=displayName%20eq%20%22admins%22").await.expect(200);
    let admins = format!("/Groups/{}", admins["Resources"][0]["id"].as_str().unwrap());
    let id = ann.rsplit('/').next().unwrap();
    let enter = json!([{ "op": "add", "path": "members", "value": [{ "value": id }] }]);
    refused(&idp.patch(&admins, enter.clone()).await, 403, None);
    refused(&idp.delete(&admins).await, 403, None);
    // One who may do as much may.
    let key = world.client("strong", json!({ "roles": ["realm-admin"] })).await;
    let strong = Idp { world: &world, key };
    assert_eq!(strong.patch(&admins, enter).await.status, 204);
    assert_eq!(strong.patch(&boss, off).await.status, 200);
}

#[tokio::test]
async fn what_is_of_another_realm_is_not_there() {
    let other = RealmName::parse("other").unwrap();
    let hosts = [("other.example".to_owned(), other)].into();
    let world = World::with(HttpSettings { realm_by_host: hosts, ..HttpSettings::default() }).await;
    world.post("/api/v1/realms", json!({ "name": "other" })).await.expect(201);
    let idp = Idp::of(&world).await;
    let ann = idp.person("ann").await;
    let made = idp.post("/Groups", json!({ "displayName": "devs" })).await.expect(201);
    let group = format!("/Groups/{}", made["id"].as_str().unwrap());
    let there = [("host", "other.example")];
    let unknown = idp.send("GET", "/Users/7-YQ", &[], Value::Null).await;
    for path in [&ann, &group] {
        for (method, body) in [
            ("GET", Value::Null),
            ("DELETE", Value::Null),
            ("PUT", json!({ "userName": "ann", "displayName": "devs" })),
        ] {
            let answer = idp.send(method, path, &there, body).await;
            refused(&answer, 404, None);
            assert_eq!(answer.text, unknown.text);
        }
    }
    // Whoever administers both sees that each has its own.
    let operator = Idp { world: &world, key: world.operator_key.clone() };
    refused(&operator.send("GET", &ann, &there, Value::Null).await, 404, None);
    let twin = operator.send("POST", "/Users", &there, json!({ "userName": "ann" })).await;
    assert!(twin.header("location").starts_with("http://other.example/scim/v2/Users/"));
    assert_eq!(twin.status, 201);
    assert_eq!(idp.get(&ann).await.status, 200);
}

#[tokio::test]
async fn what_is_not_served_says_so_in_the_words_of_the_protocol() {
    let world = World::new().await;
    let idp = Idp::of(&world).await;
    for path in ["/Nothing", "/Users/7/more", "/Schemas/x", "/ResourceTypes/x", "/Users/7"] {
        refused(&idp.get(path).await, 404, None);
    }
    refused(&idp.post("/Bulk", json!({})).await, 501, None);
    refused(&idp.get("/Me").await, 501, None);
    for (method, path) in [("POST", "/Schemas"), ("DELETE", "/Users"), ("POST", "/Users/7")] {
        refused(&idp.send(method, path, &[], Value::Null).await, 405, None);
    }
    let bearer = format!("Bearer {}", idp.key);
    let headers = [("authorization", &*bearer), ("content-type", "text/plain")];
    let plain = world.send("POST", "/scim/v2/Users", &headers, Some(b"{}".to_vec())).await;
    refused(&plain, 415, None);
    let headers = [("authorization", &*bearer), ("content-type", "application/scim+json")];
    for body in ["{", "[]", "{\"userName\":\"a\",\"userName\":\"b\"}"] {
        let body = Some(body.as_bytes().to_vec());
        let answer = world.send("POST", "/scim/v2/Users", &headers, body).await;
        refused(&answer, 400, Some("invalidSyntax"));
    }
    let config = idp.get("/ServiceProviderConfig").await.expect(200);
    for (feature, supported) in
        [("patch", true), ("filter", true), ("etag", true), ("bulk", false), ("sort", false)]
    {
        assert_eq!(config[feature]["supported"], json!(supported), "{feature}");
    }
    for schema in idp.get("/Schemas").await.expect(200)["Resources"].as_array().unwrap() {
        let path = format!("/Schemas/{}", schema["id"].as_str().unwrap());
        assert_eq!(idp.get(&path).await.expect(200), *schema);
    }
    for sort in idp.get("/ResourceTypes").await.expect(200)["Resources"].as_array().unwrap() {
        let path = format!("/ResourceTypes/{}", sort["id"].as_str().unwrap());
        assert_eq!(idp.get(&path).await.expect(200), *sort);
    }
}

//! People come, change, leave and come back.

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::{Idp, operations_of, refused};
use crate::world::{Engine, R, World};

const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

fn alice() -> Value {
    json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User", ENTERPRISE],
        "userName": "Alice@Example.org", "externalId": "00u1", "active": true,
        "name": { "givenName": "Alice", "familyName": "Liddell" },
        "emails": [
            { "value": "home@example.org", "type": "home" },
            { "value": "alice@example.org", "type": "work", "primary": true },
        ],
        "password": "never kept", "x509Certificates": [{ "value": "MII" }],
        ENTERPRISE: { "department": "Tea", "manager": "00u2" },
    })
}

#[tokio::test]
async fn a_person_reads_back_as_they_were_written() {
    for engine in Engine::ALL {
        let world = World::on(engine).await;
        let idp = Idp::of(&world).await;
        let made = idp.post("/Users", alice()).await;
        assert_eq!(made.header("content-type"), "application/scim+json");
        assert_eq!(made.header("etag"), "W/\"1\"");
        let place = made.header("location").to_owned();
        let made = made.expect(201);
        let id = made["id"].as_str().unwrap();
        let path = format!("/Users/{id}");
        assert!(place.ends_with(&format!("/scim/v2{path}")), "{place}");
        let mut wanted = alice();
        let object = wanted.as_object_mut().unwrap();
        object.remove("password");
        object.remove("x509Certificates");
        object.insert("id".into(), id.into());
        object.insert(
            "meta".into(),
            json!({ "resourceType": "User", "location": place,
            "created": "2026-11-21T12:00:00Z", "lastModified": "2026-11-21T12:00:00Z",
            "version": "W/\"1\"" }),
        );
        wanted[ENTERPRISE]["manager"] = json!({ "value": "00u2" });
        assert_eq!(made, wanted);
        assert_eq!(idp.get(&path).await.expect(200), wanted);
        // The rest of the server sees a person as any other.
        let native = world.get(&format!("{R}/users/alice@example.org")).await.expect(200);
        assert_eq!(native["display_name"], "Alice Liddell");
        assert_eq!(native["emails"], json!(["alice@example.org", "home@example.org"]));
        // What is changed here shows there.
        let edit = json!({ "display_name": "A. L.", "emails": ["home@example.org"] });
        world.patch(&format!("{R}/users/alice@example.org"), edit).await.expect(200);
        let read = idp.get(&path).await.expect(200);
        assert_eq!(read["displayName"], "A. L.");
        let home = json!([{ "value": "home@example.org", "type": "home", "primary": true }]);
        assert_eq!(read["emails"], home);
        assert_eq!(read["name"]["givenName"], "Alice");
        // Replacing says all of it again; whether they count stays, unless it is said.
        world.patch(&format!("{R}/users/alice@example.org"), json!({ "status": "expired" })).await;
        let put = json!({ "userName": "alice@example.org", "title": "Dr" });
        let read = idp.put(&path, put).await.expect(200);
        assert_eq!((&read["title"], &read["active"]), (&json!("Dr"), &json!(false)));
        assert!(read["emails"].is_null() && read["externalId"].is_null(), "{read}");
    }
}

#[tokio::test]
async fn who_is_deactivated_has_nothing_that_counts_until_they_are_back() {
    for engine in Engine::ALL {
        let world = World::on(engine).await;
        let alice = world.with_alice().await;
        let idp = Idp::of(&world).await;
        let found = idp.get("/Users?filter=userName%20eq%20%22ALICE%22").await.expect(200);
        let path = format!("/Users/{}", found["Resources"][0]["id"].as_str().unwrap());
        let counts = async || {
            let body = json!({ "token": alice.secret });
            let verdict = world.call(&alice.gate, "POST", &format!("{R}/verify"), body).await;
            verdict.expect(200)["active"] == json!(true)
        };
        assert!(counts().await);
        // Entra.
        let off = json!([{ "op": "Replace", "path": "active", "value": "False" }]);
        let answer = idp.patch(&path, off).await.expect(200);
        assert_eq!(answer["active"], json!(false));
        assert!(!counts().await);
        assert_eq!(idp.found("active eq false").await, ["alice"]);
        // Okta.
        let on = json!([{ "op": "replace", "value": { "active": true } }]);
        idp.patch(&path, on).await.expect(200);
        assert!(counts().await);
        // And away for good.
        assert_eq!(idp.delete(&path).await.status, 204);
        assert!(!counts().await);
        refused(&idp.get(&path).await, 404, None);
        refused(&idp.delete(&path).await, 404, None);
        world.clock.advance_seconds(1);
        let back = idp.person("alice").await;
        assert_ne!(back, path, "an id is given out once");
        refused(&idp.get(&path).await, 404, None);
        assert!(!counts().await, "a namesake inherits nothing");
    }
}

#[tokio::test]
async fn a_change_of_another_version_than_is_meant_is_refused() {
    for engine in Engine::ALL {
        let world = World::on(engine).await;
        let idp = Idp::of(&world).await;
        let path = idp.person("alice").await;
        let titled = |title: &str| {
            operations_of(&json!([{ "op": "replace", "path": "title", "value": title }]))
        };
        let change = async |tag: &str, title: &str| {
            idp.send("PATCH", &path, &[("if-match", tag)], titled(title)).await
        };
        assert_eq!(change("W/\"1\"", "a").await.header("etag"), "W/\"2\"");
        refused(&change("W/\"1\"", "b").await, 412, None);
        refused(&change("rubbish", "b").await, 412, None);
        assert_eq!(change("\"2\"", "b").await.status, 200);
        assert_eq!(change("*", "c").await.status, 200);
        let put = json!({ "userName": "alice" });
        refused(&idp.send("PUT", &path, &[("if-match", "W/\"1\"")], put).await, 412, None);
        let gone = idp.send("DELETE", &path, &[("if-match", "W/\"1\"")], Value::Null).await;
        refused(&gone, 412, None);
        let known = idp.send("GET", &path, &[("if-none-match", "W/\"4\"")], Value::Null).await;
        assert_eq!((known.status, known.text.as_str()), (304, ""));
        // What changes nothing is no change.
        assert_eq!(
            idp.patch(&path, titled("c")["Operations"].clone()).await.header("etag"),
            "W/\"4\""
        );
    }
}

#[tokio::test]
async fn of_forty_who_write_at_once_one_is_first() {
    for engine in Engine::ALL {
        let world = Arc::new(World::on(engine).await);
        let key = Idp::of(&world).await.key;
        let rush = async |method: &'static str, path: String, tag: &'static str| {
            let mut tasks = JoinSet::new();
            for number in 0..40_u32 {
                let (world, key, path) = (Arc::clone(&world), key.clone(), path.clone());
                tasks.spawn(async move {
                    let idp = Idp { world: &world, key };
                    let name = if number.is_multiple_of(2) { "Bob" } else { "bOB" };
                    let body = match method {
                        "POST" => json!({ "userName": name }),
                        _ => operations_of(&json!([
                            { "op": "replace", "path": "title", "value": number.to_string() }
                        ])),
                    };
                    let answer = idp.send(method, &path, &[("if-match", tag)], body).await;
                    (answer.status, answer.body["scimType"].as_str().map(str::to_owned))
                });
            }
            tasks.join_all().await
        };
        let made = rush("POST", "/Users".into(), "*").await;
        assert_eq!(made.iter().filter(|(status, _)| *status == 201).count(), 1);
        let taken = (409, Some("uniqueness".to_owned()));
        assert_eq!(made.iter().filter(|one| **one == taken).count(), 39, "{made:?}");
        let idp = Idp { world: &world, key: key.clone() };
        let bob = idp.get("/Users?filter=userName%20eq%20%22bob%22").await.expect(200);
        let path = format!("/Users/{}", bob["Resources"][0]["id"].as_str().unwrap());
        let changed = rush("PATCH", path, "W/\"1\"").await;
        assert_eq!(changed.iter().filter(|(status, _)| *status == 200).count(), 1);
        assert_eq!(changed.iter().filter(|(status, _)| *status == 412).count(), 39, "{changed:?}");
    }
}

#[tokio::test]
async fn people_are_found_by_what_is_said_of_them_page_by_page() {
    for engine in Engine::ALL {
        let world = World::on(engine).await;
        let idp = Idp::of(&world).await;
        idp.post("/Users", alice()).await.expect(201);
        for number in 0..12 {
            idp.person(&format!("p{number:02}")).await;
        }
        let one = ["Alice@Example.org".to_owned()];
        for filter in [
            "externalId eq \"00u1\"",
            "userName eq \"alice@EXAMPLE.org\"",
            "emails[type eq \"work\" and value co \"alice\"]",
            "emails.value ew \"@example.org\" and active eq true",
            &format!("{ENTERPRISE}:department eq \"tea\""),
            "name.familyName sw \"Lid\" or userName eq \"nobody\"",
            "not (userName sw \"p\")",
        ] {
            assert_eq!(idp.found(filter).await, one, "{filter}");
        }
        for filter in ["externalId eq \"00U1\"", "userName eq \"a/b\"", "id eq \"7\"", "x pr"] {
            assert_eq!(idp.found(filter).await, [""; 0], "{filter}");
        }
        let page = idp.get("/Users?startIndex=3&count=5&attributes=userName").await.expect(200);
        assert_eq!((&page["totalResults"], &page["itemsPerPage"]), (&json!(13), &json!(5)));
        let names: Vec<_> =
            page["Resources"].as_array().unwrap().iter().map(|one| &one["userName"]).collect();
        assert_eq!(names, ["p01", "p02", "p03", "p04", "p05"]);
        assert!(page["Resources"][0]["meta"].is_null());
        let none = idp.get("/Users?startIndex=-4&count=-1").await.expect(200);
        assert_eq!((&none["totalResults"], &none["Resources"]), (&json!(13), &json!([])));
        let search = json!({ "filter": "userName sw \"p1\"", "startIndex": 1, "count": 1,
            "excludedAttributes": ["meta"] });
        let found = idp.post("/Users/.search", search.clone()).await.expect(200);
        assert_eq!((&found["totalResults"], &found["itemsPerPage"]), (&json!(2), &json!(1)));
        assert_eq!(idp.post("/.search", search).await.expect(200)["totalResults"], json!(2));
    }
}

#[tokio::test]
async fn what_cannot_be_said_of_a_person_is_refused() {
    let world = World::new().await;
    let idp = Idp::of(&world).await;
    let path = idp.person("alice").await;
    for (body, sort) in [
        (json!({}), "invalidValue"),
        (json!({ "userName": "a/b" }), "invalidValue"),
        (json!({ "userName": 7 }), "invalidValue"),
        (json!({ "userName": "b", "emails": [{ "value": "no address" }] }), "invalidValue"),
        (json!({ "userName": "b", "displayName": "x".repeat(300) }), "invalidValue"),
        (json!({ "userName": "b", "active": "perhaps" }), "invalidValue"),
        (json!([]), "invalidSyntax"),
    ] {
        refused(&idp.post("/Users", body).await, 400, Some(sort));
    }
    let renamed = idp.put(&path, json!({ "userName": "bob" })).await;
    refused(&renamed, 400, Some("mutability"));
    let rename = json!([{ "op": "replace", "path": "userName", "value": "bob" }]);
    refused(&idp.patch(&path, rename).await, 400, Some("mutability"));
    let same = json!([{ "op": "replace", "path": "userName", "value": "ALICE" }]);
    assert_eq!(idp.patch(&path, same).await.expect(200)["userName"], "ALICE");
    // All or nothing.
    let half = json!([
        { "op": "replace", "path": "title", "value": "Dr" },
        { "op": "replace", "path": "emails[type eq \"x\"].value", "value": "a@b" },
    ]);
    refused(&idp.patch(&path, half).await, 400, Some("noTarget"));
    assert!(idp.get(&path).await.expect(200)["title"].is_null());
    let filtered = idp.get("/Users?filter=userName%20is%20%22x%22").await;
    refused(&filtered, 400, Some("invalidFilter"));
    refused(&idp.get("/Users?count=x").await, 400, Some("invalidValue"));
    let both = idp.get("/Users?attributes=a&excludedAttributes=b").await;
    refused(&both, 400, Some("invalidSyntax"));
}

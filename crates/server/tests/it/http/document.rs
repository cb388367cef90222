//! The API's own description is what the handlers say, and it can be read without script.

use std::path::Path;

use counterfoil_server::compat::described::DOORS;
use counterfoil_server::http::HttpSettings;
use counterfoil_server::http::problem::{PROBLEMS, catalogue};
use serde_json::Value;

use crate::world::World;

/// Asserts that a page below `docs/reference` is as generated; writes it with
/// `INSTA_UPDATE=always`, as snapshots are.
#[track_caller]
fn assert_committed(name: &str, generated: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference").join(name);
    if std::env::var("INSTA_UPDATE").is_ok_and(|mode| mode == "always") {
        std::fs::write(&path, generated).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == generated, "docs/reference/{name} is not as generated");
}

#[test]
fn the_committed_document_is_the_one_that_is_served() {
    let document = serde_json::to_value(counterfoil_server::http::openapi()).unwrap();
    assert_committed("openapi.json", &format!("{document:#}\n"));
}

#[test]
fn the_committed_catalogue_of_problems_is_the_one_in_use() {
    assert_committed("problems.md", &catalogue());
}

#[test]
fn every_reference_in_the_document_leads_somewhere() {
    let document = serde_json::to_value(counterfoil_server::http::openapi()).unwrap();
    let mut open = vec![&document];
    while let Some(value) = open.pop() {
        match value {
            Value::Object(fields) => {
                if let Some(Value::String(reference)) = fields.get("$ref") {
                    let pointer = reference.strip_prefix('#').unwrap();
                    assert!(document.pointer(pointer).is_some(), "{reference}");
                }
                open.extend(fields.values());
            }
            Value::Array(items) => open.extend(items),
            _ => {}
        }
    }
}

#[tokio::test]
async fn the_reference_page_needs_no_script_and_loads_nothing_from_elsewhere() {
    let world = World::new().await;
    let page = world.send("GET", "/api/docs", &[], None).await;
    assert_eq!(page.status, 200);
    assert!(page.header("content-security-policy").starts_with("default-src 'none'"));
    assert!(page.text.contains("/api/v1/realms/{realm}/tokens"));
    assert!(!page.text.contains("<script") && !page.text.contains("http://"));
    let style = world.send("GET", "/api/docs/style.css", &[], None).await;
    assert_eq!(style.header("content-type"), "text/css; charset=utf-8");
    let document = world.send("GET", "/openapi.json", &[], None).await.expect(200);
    assert_eq!(document["openapi"], "3.1.0");
}

/// A path with something in the place of each variable.
fn concrete(path: &str) -> String {
    let part = |part: &str| if part.starts_with('{') { "7".to_owned() } else { part.to_owned() };
    path.split('/').map(part).collect::<Vec<_>>().join("/")
}

#[tokio::test]
async fn what_is_said_of_doors_for_other_products_is_what_they_answer_to() {
    let world = World::new().await;
    let document = world.send("GET", "/openapi.json", &[], None).await.expect(200);
    let paths = document["paths"].as_object().unwrap();
    for door in DOORS {
        let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(door.page);
        assert!(page.is_file(), "{} is not there", door.page);
        for (_, path, _) in door.routes {
            let methods = ["get", "post", "put", "patch", "delete"];
            let told: Vec<&str> =
                methods.into_iter().filter(|method| paths[*path][*method].is_object()).collect();
            assert!(!told.is_empty(), "{path}");
            for method in methods {
                let asked = concrete(path);
                let answer = world.send(&method.to_uppercase(), &asked, &[], None).await;
                let there = !answer.text.contains("no-such-route") && answer.status != 405;
                // Of AM a caller learns what it does not do once there is a session.
                let hidden = door.tag.contains("AM") && answer.status == 401;
                assert!(told.contains(&method) == there || hidden, "{method} {path}: {answer:?}");
            }
        }
    }
}

#[tokio::test]
async fn doors_for_other_products_that_are_off_are_not_described() {
    let settings = HttpSettings {
        airlock: false,
        sentinel: false,
        comanage: false,
        am: false,
        validate: false,
        scim: false,
        ..HttpSettings::default()
    };
    let world = World::with(settings).await;
    let document = world.send("GET", "/openapi.json", &[], None).await.expect(200);
    for (_, path, _) in DOORS.iter().flat_map(|door| door.routes) {
        assert!(document["paths"][path].is_null(), "{path}");
        let asked = concrete(path);
        world.send("GET", &asked, &[], None).await.refused(404, "no-such-route");
    }
}

#[tokio::test]
async fn every_problem_type_leads_to_a_text() {
    let world = World::new().await;
    for entry in PROBLEMS {
        let page = world.send("GET", &format!("/problems/{}", entry.slug), &[], None).await;
        assert_eq!(page.status, 200);
        assert!(page.text.contains(entry.title));
    }
    world.send("GET", "/problems/none", &[], None).await.refused(404, "not-found");
}

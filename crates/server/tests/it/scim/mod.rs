//! The SCIM door as an identity provider meets it.

mod groups;
mod hostile;
mod people;
mod refusals;
mod store_down;

use serde_json::{Value, json};

use crate::world::{Answer, World};

/// An identity provider: a client that may change people and groups, and nothing else.
struct Idp<'w> {
    world: &'w World,
    key: String,
}

impl<'w> Idp<'w> {
    async fn of(world: &'w World) -> Self {
        let scopes = json!(["users:read", "users:write"]);
        let roles = json!({ "roles": ["realm-admin"], "scopes": scopes });
        Self { world, key: world.client("idp", roles).await }
    }

    async fn send(&self, method: &str, path: &str, more: &[(&str, &str)], body: Value) -> Answer {
        let bearer = format!("Bearer {}", self.key);
        let mut headers = vec![("authorization", &*bearer)];
        headers.extend_from_slice(more);
        let body = (!body.is_null()).then(|| body.to_string().into_bytes());
        if body.is_some() {
            headers.push(("content-type", "application/scim+json"));
        }
        self.world.send(method, &format!("/scim/v2{path}"), &headers, body).await
    }

    async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], Value::Null).await
    }

    async fn post(&self, path: &str, body: Value) -> Answer {
        self.send("POST", path, &[], body).await
    }

    async fn put(&self, path: &str, body: Value) -> Answer {
        self.send("PUT", path, &[], body).await
    }

    async fn patch(&self, path: &str, operations: Value) -> Answer {
        self.send("PATCH", path, &[], operations_of(&operations)).await
    }

    async fn delete(&self, path: &str) -> Answer {
        self.send("DELETE", path, &[], Value::Null).await
    }

    /// Makes a person; where they are, below the door.
    async fn person(&self, name: &str) -> String {
        let made = self.post("/Users", json!({ "userName": name })).await.expect(201);
        format!("/Users/{}", made["id"].as_str().unwrap())
    }

    /// What a filter finds, by their names.
    async fn found(&self, filter: &str) -> Vec<String> {
        let filter: String = form_urlencoded::byte_serialize(filter.as_bytes()).collect();
        let list = self.get(&format!("/Users?filter={filter}")).await.expect(200);
        let each = list["Resources"].as_array().unwrap().iter();
        let names: Vec<String> =
            each.map(|one| one["userName"].as_str().unwrap().to_owned()).collect();
        assert_eq!(list["totalResults"], json!(names.len()));
        names
    }
}

fn operations_of(operations: &Value) -> Value {
    json!({ "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": operations })
}

/// Asserts that it is an error of the protocol.
#[track_caller]
fn refused(answer: &Answer, status: u16, sort: Option<&str>) {
    assert_eq!(answer.status, status, "{}", answer.text);
    assert_eq!(answer.header("content-type"), "application/scim+json");
    let body = &answer.body;
    assert_eq!(body["schemas"], json!(["urn:ietf:params:scim:api:messages:2.0:Error"]));
    assert_eq!(body["status"], status.to_string(), "a string (RFC 7644 section 3.12)");
    assert_eq!(body["scimType"].as_str(), sort, "{body}");
    assert!(body["detail"].is_string());
}

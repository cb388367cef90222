//! Requests as clients of the product send them.

use serde_json::{Value, json};

use crate::world::{Answer, World};

/// Where the door is.
pub(crate) const DOOR: &str = "/auth-admin/rest";

/// Asks as the operator, below the door.
pub(crate) async fn ask(world: &World, method: &str, path: &str, body: Value) -> Answer {
    ask_with(world, method, path, &[], body).await
}

/// The same with further headers.
pub(crate) async fn ask_with(
    world: &World,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: Value,
) -> Answer {
    let path = format!("{DOOR}{path}");
    world.call_with(&world.operator_key, method, &path, headers, body).await
}

/// The tokens of a person in a repository.
pub(crate) fn tokens(user: &str, kind: &str) -> String {
    format!("/users/{user}/tokens/generic/{kind}")
}

/// A document with these attributes.
pub(crate) fn attributes(attributes: Value) -> Value {
    let mut document = json!({ "data": {} });
    document["data"]["attributes"] = attributes;
    document
}

/// Creates a token for somebody; the whole answer.
pub(crate) async fn create(world: &World, user: &str, kind: &str, said: Value) -> Value {
    ask(world, "POST", &tokens(user, kind), attributes(said)).await.expect(201)
}

/// Asserts a refusal of the door, its envelope included.
#[track_caller]
pub(crate) fn refused(answer: &Answer, status: u16, code: &str) {
    let error = &answer.body["errors"][0];
    assert_eq!((answer.status, &error["code"]), (status, &json!(code)), "{}", answer.text);
    assert_eq!(error["status"], json!(status), "the status is a number");
    assert_eq!(error["id"], answer.header("x-request-id"));
    assert_eq!(answer.body["meta"]["type"], "jsonapi.metadata.document");
    assert!(answer.body["meta"]["timestamp"].is_string(), "{}", answer.text);
    assert_eq!(answer.header("content-type"), "application/vnd.api+json");
}

/// Whether a secret is good, for whoever asks as the operator.
pub(crate) async fn verify(world: &World, more: Value) -> Value {
    world.post("/api/v1/realms/main/verify", more).await.expect(200)
}

/// How many events of a kind there are.
pub(crate) async fn events(world: &World, kind: &str) -> usize {
    let path = format!("/api/v1/realms/main/events?kind={kind}&limit=1000");
    world.get(&path).await.expect(200)["items"].as_array().unwrap().len()
}

//! Requests as clients of the product send them.

use serde_json::{Value, json};

use crate::world::{Answer, World};

/// The base of the door.
pub(crate) const V5: &str = "/token/api/v5";

/// Sends a string body without Content-Type, as python-requests does.
pub(crate) async fn send(
    world: &World,
    credential: &str,
    method: &str,
    path: &str,
    body: Option<&str>,
) -> Answer {
    let mut headers = vec![("accept", "*/*")];
    if !credential.is_empty() {
        headers.push(("authorization", credential));
    }
    let body = body.map(|body| body.as_bytes().to_vec());
    world.send(method, &format!("{V5}{path}"), &headers, body).await
}

/// The same as the administrator.
pub(crate) async fn admin(world: &World, method: &str, path: &str, body: Option<Value>) -> Answer {
    let bearer = format!("Bearer {}", world.operator_key);
    send(world, &bearer, method, path, body.map(|body| body.to_string()).as_deref()).await
}

/// A request for a registration token, with what else it says.
pub(crate) fn registration(more: &Value) -> Value {
    let mut inner = json!({ "id": "", "token": "", "usedCount": "", "customer": { "id": "" },
        "identifier": "", "count": 4, "refId1": "", "refId2": "", "isEnabled": true,
        "expiryDate": "" });
    for (name, value) in more.as_object().unwrap() {
        inner[name] = value.clone();
    }
    json!({ "registrationToken": inner })
}

/// Creates one; the object with its secret.
pub(crate) async fn create(world: &World, more: &Value) -> Value {
    let made = admin(world, "POST", "/registrationTokens", Some(registration(more))).await;
    made.expect(201)["registrationToken"].clone()
}

/// Redeems with a raw token after `Basic`.
pub(crate) async fn redeem(world: &World, token: &str, user: &str) -> Answer {
    let body = json!({ "authToken": { "identifier": "", "fqdn": "ws-17.acme.example",
        "macAddress": "", "refId1": "", "refId2": "", "systemUserName": user,
        "creationDate": "", "lastModifiedDate": "" } });
    let credential = format!("Basic {token}");
    send(world, &credential, "POST", "/authTokens", Some(&body.to_string())).await
}

/// Asserts a refusal of the door.
#[track_caller]
pub(crate) fn refused(answer: &Answer, status: u16, code: i64) {
    let said = &answer.body["errorResponse"];
    assert_eq!((answer.status, &said["errorCode"]), (status, &json!(code)), "{}", answer.text);
    assert!(said["description"].is_string() && said["developerMessage"].is_string(), "{said}");
}

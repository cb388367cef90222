//! What these tests begin with, on each store that is released.

use serde_json::{Value, json};

use crate::world::{Alice, Answer, Engine, R, World};

/// The stores that people run.
pub(super) const ENGINES: [Engine; 2] = [Engine::Sqlite, Engine::Postgres];

impl World {
    /// Asks as the verifier of `git`; the whole answer.
    pub(super) async fn asked(&self, alice: &Alice, question: Value) -> Value {
        self.call(&alice.gate, "POST", &format!("{R}/verify"), question).await.expect(200)
    }

    /// The code of a refusal, or `active`.
    pub(super) async fn code(&self, alice: &Alice, secret: &str) -> String {
        let said = self.asked(alice, json!({ "token": secret })).await;
        if said["active"] == true {
            return "active".to_owned();
        }
        said["code"].as_str().unwrap().to_owned()
    }

    /// Derives with a secret.
    pub(super) async fn derive(&self, secret: &str, wishes: Value) -> Answer {
        self.call(secret, "POST", "/api/v1/self/derive", wishes).await
    }

    /// The same where it must not be refused: id and secret.
    pub(super) async fn derived(&self, secret: &str, wishes: Value) -> (String, String) {
        of(&self.derive(secret, wishes).await.expect(201))
    }

    /// Sets the token policy of `git`.
    pub(super) async fn policy(&self, policy: Value) {
        let body = json!({ "token_policy": policy });
        self.patch(&format!("{R}/services/git"), body).await.expect(200);
    }

    /// Acts on a token as the operator.
    pub(super) async fn act(&self, id: &str, act: &str) -> Answer {
        self.post(&format!("{R}/tokens/{id}/{act}"), json!({})).await
    }

    /// A token for the API of a person with a role over `git`, if any.
    pub(super) async fn person(&self, name: &str, role: Option<&str>) -> String {
        self.user(name).await;
        if let Some(role) = role {
            let grant = json!({ "subject": { "user": name }, "role": role, "service": "git" });
            self.post(&format!("{R}/grants"), grant).await.expect(201);
        }
        let body =
            json!({ "services": ["counterfoil"], "scopes": ["tokens:read", "tokens:write"] });
        self.pat(name, body).await.1
    }
}

/// Id and secret of an answer.
pub(super) fn of(answer: &Value) -> (String, String) {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    (text(&answer["token"]["id"]), text(&answer["secret"]))
}

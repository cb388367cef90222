//! Every verify answer says when the token ends, in words and as `Sunset` (RFC 8594).

use serde_json::{Value, json};

use crate::world::{Answer, R, World};

/// 2026-11-21T12:00:00Z, where the clock stands, and ten days.
const SUNSET: &str = "Tue, 01 Dec 2026 12:00:00 GMT";
const EXPIRES: &str = "2026-12-01T12:00:00Z";

/// The doors' answers about a token that ends then, one that does not end, and none at all.
struct Asked {
    world: World,
    gate: String,
    secrets: [String; 3],
}

impl Asked {
    async fn new() -> Self {
        let world = World::new().await;
        world.user("alice").await;
        world.service("git").await;
        let gate = world.verifier("gate", "git").await;
        let ten = json!({ "services": ["git"], "lifetime_seconds": 864_000 });
        let ends = world.pat("alice", ten).await.1;
        let never = json!({ "services": ["git"], "expires_at": null });
        let stays = world.pat("alice", never).await.1;
        Self { world, gate, secrets: [ends, stays, "nothing of ours".to_owned()] }
    }

    async fn form(&self, path: &str, body: String) -> Answer {
        let bearer = format!("Bearer {}", self.gate);
        let kind = "application/x-www-form-urlencoded";
        let headers = [("authorization", bearer.as_str()), ("content-type", kind)];
        self.world.send("POST", path, &headers, Some(body.into_bytes())).await
    }

    async fn verified(&self, secret: &str) -> Answer {
        let question = json!({ "token": secret });
        self.world.call(&self.gate, "POST", &format!("{R}/verify"), question).await
    }

    async fn passed(&self, secret: &str) -> Answer {
        let bearer = format!("Bearer {secret}");
        self.world.send("GET", "/authz/git", &[("authorization", &bearer)], None).await
    }

    async fn introspected(&self, secret: &str) -> Answer {
        self.form("/oauth2/introspect", format!("token={secret}")).await
    }

    async fn checked(&self, secret: &str) -> Answer {
        self.form("/validate/check", format!("user=alice&pass={secret}")).await
    }
}

#[tokio::test]
async fn every_door_that_verifies_says_when_the_token_ends() {
    let asked = Asked::new().await;
    for (secret, sunset) in asked.secrets.iter().zip([SUNSET, "", ""]) {
        let answers = [
            ("verify", asked.verified(secret).await),
            ("forward-auth", asked.passed(secret).await),
            ("introspection", asked.introspected(secret).await),
            ("validate", asked.checked(secret).await),
        ];
        for (door, answer) in answers {
            assert_eq!(answer.header("sunset"), sunset, "{door}: {}", answer.text);
        }
    }
}

#[tokio::test]
async fn a_batch_says_it_of_each_and_in_no_header() {
    let asked = Asked::new().await;
    let requests: Vec<Value> =
        asked.secrets.iter().map(|secret| json!({ "token": secret })).collect();
    let path = format!("{R}/verify/batch");
    let body = json!({ "requests": requests });
    let answer = asked.world.call(&asked.gate, "POST", &path, body).await;
    assert_eq!(answer.header("sunset"), "");
    let said = answer.expect(200);
    let ends: Vec<&Value> = (0..3).map(|at| &said["results"][at]["expires_at"]).collect();
    assert_eq!(ends, [&json!(EXPIRES), &Value::Null, &Value::Null]);
    assert_eq!(said["results"][2].get("expires_at"), None);
}

#[tokio::test]
async fn the_body_and_the_header_say_the_same() {
    let asked = Asked::new().await;
    let secret = &asked.secrets[0];
    assert_eq!(asked.verified(secret).await.expect(200)["expires_at"], EXPIRES);
    assert_eq!(asked.passed(secret).await.header("x-auth-expires"), EXPIRES);
    assert_eq!(asked.introspected(secret).await.expect(200)["exp"], 1_796_126_400);
}

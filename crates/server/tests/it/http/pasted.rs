//! Tokens that somebody pasted into a text of what is administered: such texts stand in lists, in
//! logs and on pages, for good.

use serde_json::json;

use crate::world::{Answer, Engine, R, World};

/// Holds the answer to a refusal of this field that repeats nothing.
fn refuses(answer: Answer, secret: &str, field: &str) {
    assert!(!answer.text.to_lowercase().contains(&secret.to_lowercase()), "{}", answer.text);
    let problem = answer.refused(422, "invalid");
    assert_eq!(problem["field"], field);
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("holds a token"), "{detail}");
}

#[tokio::test]
async fn no_text_of_a_service_or_a_realm_holds_a_token() {
    let world = World::new().await;
    let secret = world.operator_key.clone();
    let within = format!("see {secret}.");
    let services = format!("{R}/services");
    let git = format!("{services}/git");
    world.service("git").await;
    refuses(
        world.post(&services, json!({ "label": secret.to_lowercase(), "name": "x" })).await,
        &secret,
        "label",
    );
    let url = format!("https://git.example.org/?key={secret}");
    let scopes = json!({ "scopes": ["read", secret] });
    for (field, value) in [
        ("name", json!(within)),
        ("description", json!(within)),
        ("contact", json!(within)),
        ("url", json!(url)),
        ("logo_url", json!(url)),
        ("entitlement_uri", json!(format!("urn:{secret}"))),
        ("token_policy", scopes.clone()),
        ("token_policy", json!({ "issue_by": [format!("group:{secret}")] })),
        ("forward_auth", json!({ "required_scopes": [secret] })),
        ("forward_auth", json!({ "rules": [{ "path": format!("/{secret}"), "scopes": ["x"] }] })),
    ] {
        let mut body = json!({ "label": "mail", "name": "Mail" });
        body[field] = value.clone();
        refuses(world.post(&services, body).await, &secret, field);
        let change = json!({ field: value });
        refuses(world.patch(&git, change.clone()).await, &secret, field);
        let tried = world.patch(&format!("{git}?dry_run=true"), change).await;
        refuses(tried, &secret, field);
    }
    let settings = format!("{git}/token-settings");
    for path in [settings.clone(), format!("{settings}?dry_run=true")] {
        let answer = world.call(&secret, "PUT", &path, scopes.clone()).await;
        refuses(answer, &secret, "token_policy");
    }
    for (field, value) in [("display_name", json!(within)), ("token_policy", scopes)] {
        let mut body = json!({ "name": "lab" });
        body[field] = value.clone();
        refuses(world.post("/api/v1/realms", body).await, &secret, field);
        let change = json!({ field: value });
        refuses(world.patch(R, change.clone()).await, &secret, field);
        refuses(world.patch(&format!("{R}?dry_run=true"), change).await, &secret, field);
    }
}

#[tokio::test]
async fn no_text_of_a_unit_a_client_or_a_target_holds_a_token() {
    let world = World::new().await;
    let secret = world.operator_key.clone();
    let within = format!("see {secret}.");
    let units = format!("{R}/units");
    let unit = world.post(&units, json!({ "name": "Lab" })).await.expect(201);
    let unit = format!("{units}/{}", unit["id"].as_str().unwrap());
    for field in ["name", "identifier", "external_id"] {
        let mut body = json!({ "name": "Other" });
        body[field] = within.clone().into();
        refuses(world.post(&units, body).await, &secret, field);
        refuses(world.patch(&unit, json!({ field: within })).await, &secret, field);
    }

    let clients = format!("{R}/clients");
    let client = json!({ "name": "proxy", "roles": ["verifier"] });
    world.post(&clients, client.clone()).await.expect(201);
    for (field, value) in
        [("description", json!(within)), ("limits", json!({ "units": [secret.clone()] }))]
    {
        let mut body = client.clone();
        body["name"] = "other".into();
        body[field] = value.clone();
        refuses(world.post(&clients, body).await, &secret, field);
        let answer = world.patch(&format!("{clients}/proxy"), json!({ field: value })).await;
        refuses(answer, &secret, field);
    }
    let body = json!({ "name": secret.to_lowercase(), "roles": ["verifier"] });
    refuses(world.post(&clients, body).await, &secret, "name");

    // The key that signs is sealed, and may be what it likes.
    let targets = format!("{R}/targets");
    let hook = |url: &str| {
        let key = secret.clone();
        json!({ "name": "hook", "kind": "webhook", "url": url, "signing_key": key })
    };
    let telling = format!("https://hooks.example.org/{secret}");
    refuses(world.post(&targets, hook(&telling)).await, &secret, "config");
    refuses(world.post(&format!("{targets}/test"), hook(&telling)).await, &secret, "config");
    world.post(&targets, hook("https://hooks.example.org/")).await.expect(201);
    let change = json!({ "url": telling, "signing_key": secret.clone() });
    refuses(world.patch(&format!("{targets}/hook"), change).await, &secret, "config");
}

#[tokio::test]
async fn no_text_of_a_token_a_grant_or_an_am_document_holds_a_token() {
    let world = World::new().await;
    let secret = world.operator_key.clone();
    let within = format!("see {secret}.");
    world.with_alice().await;
    let tokens = format!("{R}/tokens");
    let (id, _) = world.pat("alice", json!({ "services": ["git"] })).await;
    let scoped = json!({ "token_policy": { "scopes": ["read"] } });
    // Where a policy says which scopes there are, and where it does not.
    for policy in [json!({}), scoped] {
        world.patch(&format!("{R}/services/git"), policy).await.expect(200);
        for (field, value) in [
            ("name", json!(secret)),
            ("scopes", json!([secret])),
            ("permissions", json!({ secret.clone(): ["read"] })),
            ("labels", json!({ secret.to_lowercase(): "x", "y": secret })),
            ("generic_data", json!({ "2": secret })),
        ] {
            let mut body = json!({ "kind": "personal_access_token", "user": "alice",
                "services": ["git"] });
            body[field] = value.clone();
            refuses(world.post(&tokens, body).await, &secret, field);
            let change = json!({ field: value });
            let answer = world.patch(&format!("{tokens}/{id}"), change).await;
            refuses(answer, &secret, field);
        }
    }
    let grant = json!({ "subject": { "user": "alice" }, "role": "verifier",
        "limits": { "units": [secret.clone()] } });
    refuses(world.post(&format!("{R}/grants"), grant).await, &secret, "limits");

    let key = world.client("boss", json!({ "roles": ["realm-admin"] })).await;
    let login = [("x-openam-username", "boss"), ("x-openam-password", key.as_str())];
    let session = world.send("POST", "/json/authenticate", &login, None).await.expect(200);
    let session = session["tokenId"].as_str().unwrap();
    let headers = [("content-type", "application/json"), ("iplanetdirectorypro", session)];
    let sort = json!({ "uuid": "t1", "name": within, "patterns": ["x://*"],
        "actions": { "A": true } });
    let body = Some(sort.to_string().into_bytes());
    let path = "/json/resourcetypes?_action=create";
    let made = world.send("POST", path, &headers, body).await;
    assert_eq!(made.status, 400, "{}", made.text);
    assert!(made.text.contains("holds a token") && !made.text.contains(&secret), "{}", made.text);
}

#[tokio::test]
async fn a_seed_whose_serial_is_a_token_is_refused_without_it() {
    let card =
        "[repository.card]\nkind = \"token\"\nmax_tokens_per_user = 9\nservices = [\"git\"]\n";
    let world = World::on_with(Engine::Memory, card).await;
    world.service("git").await;
    let secret = world.operator_key.clone();
    world.user("alice").await;
    let seed = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP";
    let other = "KRSXG5CTMVRXEZLUKRSXG5CTMVRXEZLU";
    let text = format!("serial,secret,user\n{secret},{seed},alice\nS-1,{other},alice");
    let file = json!({ "format": "csv", "text": text, "encoding": "base32", "repository": "card",
        "partial": true });
    let taken = world.post(&format!("{R}/tokens/import"), file).await;
    assert!(!taken.text.contains(&secret), "{}", taken.text);
    let taken = taken.expect(200);
    assert_eq!(taken["lines"][0]["fate"], "refused", "{taken}");
    let reason = taken["lines"][0]["reason"].as_str().unwrap();
    assert!(reason.contains("holds a token"), "{reason}");
}

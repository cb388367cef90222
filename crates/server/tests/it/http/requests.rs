//! What every route refuses alike: no route, no method, no JSON, too much of it.

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::world::{R, World};

#[tokio::test]
async fn a_wrong_request_is_a_problem_document() {
    let world = World::new().await;
    let key = format!("Bearer {}", world.operator_key);
    let users = format!("{R}/users");
    let json_type = ("content-type", "application/json");
    let send = |method: &'static str, path: String, content: &'static str, body: Vec<u8>| {
        let (world, key) = (&world, &key);
        async move {
            let headers = [("authorization", key.as_str()), ("content-type", content)];
            world.send(method, &path, &headers, Some(body)).await
        }
    };
    let post = |body: Vec<u8>| send("POST", users.clone(), json_type.1, body);
    world.get("/api/v1/nothing").await.refused(404, "no-such-route");
    let refused = send("PUT", users.clone(), json_type.1, b"{}".to_vec()).await;
    assert_eq!(refused.header("allow"), "GET,HEAD,POST");
    refused.refused(405, "method-not-allowed");
    post(b"{\"username\":".to_vec()).await.refused(400, "malformed");
    post(b"{\"username\":\"\xff\"}".to_vec()).await.refused(400, "malformed");
    post(b"".to_vec()).await.refused(400, "malformed");
    let deep = format!("{{\"attributes\":{}1{}}}", "[".repeat(5000), "]".repeat(5000));
    post(deep.into_bytes()).await.refused(400, "malformed");
    post(vec![b'x'; 10 * 1024 * 1024]).await.refused(413, "body-too-large");
    send("POST", users.clone(), "text/plain", b"{}".to_vec())
        .await
        .refused(415, "unsupported-media-type");
    let unknown = post(b"{\"username\":\"a\",\"colour\":1}".to_vec()).await.refused(422, "invalid");
    assert_eq!(unknown["field"], "colour");
    for body in ["[]", "1", "null", "\"x\""] {
        post(body.as_bytes().to_vec()).await.refused(422, "invalid");
    }
    let twice = post(b"{\"username\":\"a\",\"username\":\"b\"}".to_vec()).await;
    assert_eq!(twice.refused(422, "invalid")["field"], "username");
    let twice = post(br#"{"username":"a","attributes":{"x":[{"n":1,"n":2}]}}"#.to_vec()).await;
    assert_eq!(twice.refused(422, "invalid")["field"], "attributes.x[0].n");
}

#[tokio::test]
async fn a_caller_presents_a_bearer_and_nothing_else() {
    let world = World::new().await;
    let path = format!("{R}/users");
    let none = world.send("GET", &path, &[], None).await;
    assert_eq!(none.header("www-authenticate"), "Bearer realm=\"counterfoil\"");
    none.refused(401, "unauthenticated");
    let wrong = world.call("cflk_nonsense", "GET", &path, json!(null)).await;
    let challenge = "Bearer realm=\"counterfoil\", error=\"invalid_token\"";
    assert_eq!(wrong.header("www-authenticate"), challenge);
    wrong.refused(401, "unauthenticated");
    let key = &world.operator_key;
    let query = format!("{path}?access_token={key}");
    world.send("GET", &query, &[], None).await.refused(401, "unauthenticated");
    let lower = format!("bearer {key}");
    world.send("GET", &path, &[("authorization", &lower)], None).await.expect(200);
}

#[tokio::test]
async fn every_answer_names_its_request_and_its_type() {
    let world = World::new().await;
    let sent = [("x-request-id", "mine")];
    for path in ["/healthz/live", "/api/v1/realms", "/nothing"] {
        let answer = world.send("GET", path, &sent, None).await;
        assert_eq!(answer.header("x-request-id").len(), 30, "{path}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert_eq!(answer.header("referrer-policy"), "no-referrer");
        assert_eq!(answer.header("cache-control"), "no-store");
        assert_eq!(answer.header("strict-transport-security"), "");
    }
}

#[tokio::test]
async fn a_token_for_a_service_can_do_nothing_in_the_api_but_look_at_itself() {
    let world = World::new().await;
    let alice = world.with_alice().await;
    for path in ["users", "services", "tokens", "clients", "grants", "events", "units", "groups"] {
        let answer = world.call(&alice.secret, "GET", &format!("{R}/{path}"), json!(null)).await;
        answer.refused(403, "insufficient-scope");
    }
    world.call(&alice.secret, "GET", "/api/v1/self", json!(null)).await.expect(200);
}

#[tokio::test]
async fn doors_that_are_off_do_not_exist() {
    let settings = counterfoil_server::http::HttpSettings {
        forward_auth: false,
        docs: false,
        ..Default::default()
    };
    let world = World::with(settings).await;
    for path in ["/authz/git", "/openapi.json", "/api/docs"] {
        world.send("GET", path, &[], None).await.refused(404, "no-such-route");
    }
}

#[tokio::test]
async fn a_request_says_exactly_once_for_which_host_it_is() {
    let world = World::new().await;
    let ask = |lines: &'static str| {
        let address = world.address;
        async move {
            let mut stream = TcpStream::connect(address).await.unwrap();
            let request = format!("GET /healthz/live HTTP/{lines}\r\nConnection: close\r\n\r\n");
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            answer
        }
    };
    for good in [
        "1.1\r\nHost: a.example.org",
        "1.1\r\nHost: a_b:8780",
        "1.1\r\nHost: [::1]:8780",
        "1.1\r\nHost:",
        "1.0",
    ] {
        let answer = ask(good).await;
        assert!(answer.contains(" 200 OK\r\n"), "{good}: {answer}");
    }
    for bad in [
        "1.1",
        "1.1\r\nHost: a.example.org\r\nHost: a.example.org",
        "1.1\r\nHost: a.example.org\r\nHost: b.example.org",
        "1.0\r\nHost: a.example.org\r\nHost: b.example.org",
        "1.1\r\nHost: a.example.org, b.example.org",
        "1.1\r\nHost: a.example.org/b",
        "1.1\r\nHost: me@a.example.org",
    ] {
        let answer = ask(bad).await;
        assert!(
            answer.starts_with("HTTP/1.") && answer.contains(" 400 Bad Request"),
            "{bad}: {answer}"
        );
        assert!(answer.contains("/problems/malformed"), "{bad}: {answer}");
        assert!(answer.contains("x-request-id: "), "{bad}: {answer}");
    }
}

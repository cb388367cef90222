//! Health and metrics.

use serde_json::json;

use crate::world::{R, World};

#[tokio::test]
async fn a_server_lives_and_is_ready() {
    let world = World::new().await;
    for path in ["/healthz/live", "/healthz/ready"] {
        let answer = world.send("GET", path, &[], None).await.expect(200);
        assert_eq!(answer, json!({ "status": "ok" }));
    }
}

#[tokio::test]
async fn metrics_are_for_those_who_may_read_the_audit() {
    let world = World::new().await;
    let alice = world.with_alice().await;
    let body = json!({ "token": alice.secret });
    world.call(&alice.gate, "POST", &format!("{R}/verify"), body).await.expect(200);
    world.send("GET", "/metrics", &[], None).await.refused(401, "unauthenticated");
    let gate = world.call(&alice.gate, "GET", "/metrics", json!(null)).await;
    gate.refused(403, "insufficient-scope");
    let auditor = world.client("prometheus", json!({ "roles": ["auditor"] })).await;
    let text = world.call(&auditor, "GET", "/metrics", json!(null)).await.text;
    for line in [
        "counterfoil_verify_total{door=\"api\",outcome=\"active\"} 1",
        "counterfoil_http_requests_total{route=\"/api/v1/realms/{realm}/verify\",status=\"2xx\"} 1",
        "counterfoil_usage_pending_tokens",
        "counterfoil_cache_hits_total",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
    assert!(!text.contains(&alice.secret));
}

#[tokio::test]
async fn the_names_of_metrics_are_a_contract() {
    let world = World::new().await;
    world.get("/healthz/live").await.expect(200);
    let text = world.get("/metrics").await.text;
    let names: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")).collect();
    insta::assert_snapshot!(names.join("\n"), @r"
    counterfoil_http_request_duration_seconds histogram
    counterfoil_http_requests counter
    counterfoil_verify counter
    counterfoil_cache_tokens gauge
    counterfoil_cache_capacity_tokens gauge
    counterfoil_usage_pending_tokens gauge
    counterfoil_slow_hashes_waiting gauge
    counterfoil_cache_hits counter
    counterfoil_cache_misses counter
    counterfoil_cache_fills_dropped counter
    counterfoil_usage_lost counter
    ");
}

#[tokio::test]
async fn a_configured_bearer_opens_the_metrics() {
    let settings = counterfoil_server::http::HttpSettings {
        metrics_bearer: Some(counterfoil_authority::secret::ClearSecret::new("scrape".into())),
        ..Default::default()
    };
    let world = World::with(settings).await;
    assert_eq!(world.call("scrape", "GET", "/metrics", json!(null)).await.status, 200);
    assert_eq!(world.call("scrapes", "GET", "/metrics", json!(null)).await.status, 401);
}

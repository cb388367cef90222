//! Which requests are traced, and what is said about them.

use counterfoil_authority::testing::SeededEntropy;
use serde_json::json;

use super::*;

fn settings(sample_percent: u64) -> TraceSettings {
    let endpoint = "http://127.0.0.1:4318".to_owned();
    TraceSettings { endpoint, authorization: None, sample_percent }
}

fn traces(sample_percent: u64) -> (Traces, mpsc::Receiver<Span>, Arc<Counts>) {
    let counts = Arc::new(Counts::default());
    let mut traces = Traces::new(&settings(sample_percent), Arc::clone(&counts)).unwrap();
    let (queue, waiting) = mpsc::channel(2);
    traces.queue = queue;
    (traces, waiting, counts)
}

fn answered() -> Answered<'static> {
    Answered {
        request_id: Some(RequestId::from("0001")),
        door: "api",
        method: "POST",
        route: "/api/v1/realms/{realm}/verify",
        status: Some(200),
        outcome: "active",
        failed: false,
        ended: Timestamp::from_seconds(10),
        took: Duration::from_micros(250),
    }
}

fn parent(flags: &str) -> Parent {
    let line = format!("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-{flags}");
    Parent::of_header(&line).unwrap()
}

#[test]
fn a_span_is_what_otlp_calls_one() {
    let (traces, mut waiting, _) = traces(100);
    traces.note(&SeededEntropy::new(1), Some(parent("01")), answered());
    let span = waiting.try_recv().unwrap();
    let id = span.id.to_string();
    let text = |key: &str, value: &str| json!({ "key": key, "value": { "stringValue": value } });
    let written = wire::request(&[span]);
    assert_eq!(
        written["resourceSpans"][0]["scopeSpans"][0]["spans"][0],
        json!({
            "traceId": "0af7651916cd43dd8448eb211c80319c",
            "parentSpanId": "b7ad6b7169203331",
            "spanId": id,
            "name": "POST /api/v1/realms/{realm}/verify",
            "kind": 2,
            "startTimeUnixNano": "9999750000",
            "endTimeUnixNano": "10000000000",
            "attributes": [
                text("counterfoil.door", "api"),
                text("counterfoil.outcome", "active"),
                text("counterfoil.request_id", "0001"),
                text("http.request.method", "POST"),
                text("http.route", "/api/v1/realms/{realm}/verify"),
                { "key": "http.response.status_code", "value": { "intValue": "200" } },
            ],
        })
    );
}

#[test]
fn what_its_sender_does_not_trace_is_not_traced_here() {
    let (traces, mut waiting, counts) = traces(100);
    traces.note(&SeededEntropy::new(1), Some(parent("00")), answered());
    assert!(waiting.try_recv().is_err());
    assert_eq!(counts.dropped(), 0);
}

#[test]
fn a_full_queue_drops_and_counts() {
    let (traces, waiting, counts) = traces(100);
    for _ in 0..5 {
        traces.note(&SeededEntropy::new(1), None, answered());
    }
    assert_eq!(counts.dropped(), 3);
    drop(waiting);
    traces.note(&SeededEntropy::new(1), None, answered());
    assert_eq!(counts.dropped(), 4);
}

#[test]
fn the_share_of_traces_is_the_share_of_their_random_bits() {
    let id = |random: u64| TraceId::of(&(1_u128 << 64 | u128::from(random)).to_be_bytes()).unwrap();
    let last = (1_u64 << RANDOM_BITS) - 1;
    assert!(!is_sampled(id(0), 0) && is_sampled(id(0), 1));
    assert!(is_sampled(id(last), 100) && !is_sampled(id(last), 99));
    let half = 1_u64 << (RANDOM_BITS - 1);
    assert!(is_sampled(id(half - 1), 50) && !is_sampled(id(half), 50));
}

#[tokio::test]
async fn what_verify_says_is_heard_within_its_own_request_only() {
    assert_eq!(said(), None);
    let heard = listening(async {
        verified(Some(Reason::Revoked));
        verified(None);
        said()
    });
    assert_eq!(heard.await, Some("active"));
    verified(None);
    assert_eq!(said(), None);
}

#[test]
fn a_method_that_somebody_made_up_is_not_repeated() {
    assert_eq!(method_name(&Method::PATCH), "PATCH");
    assert_eq!(method_name(&Method::from_bytes(b"CFL_SECRET").unwrap()), "_OTHER");
}

#[test]
fn every_route_has_its_door() {
    for (route, door) in [
        ("/api/v1/realms/{realm}/verify", "api"),
        ("/authz/{service}", "forward-auth"),
        ("/auth/realms/{realm}/protocol/openid-connect/token", "oauth"),
        ("/auth-admin/rest/tokens", "airlock"),
        ("/json/policies?_action=evaluate", "am"),
        ("/healthz/live", "operation"),
        ("/tokens/{id}", "console"),
        ("/token/api/v5/tokens", "sentinel"),
        ("unmatched", "none"),
    ] {
        assert_eq!(door_of(route), door, "{route}");
    }
}

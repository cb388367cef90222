//! Spans as OTLP writes them in JSON (OTLP 1.x, `opentelemetry/proto/trace/v1`, ids in hexadecimal,
//! 64-bit numbers as text).

use serde_json::{Value, json};

use super::Span;

/// `SPAN_KIND_SERVER`.
const KIND_SERVER: u8 = 2;
/// `STATUS_CODE_ERROR`.
const STATUS_ERROR: u8 = 2;
/// What made the spans.
const SCOPE: &str = "counterfoil";

/// The body of an `ExportTraceServiceRequest`.
pub(super) fn request(spans: &[Span]) -> Value {
    json!({ "resourceSpans": [{
        "resource": { "attributes": [
            text("service.name", SCOPE),
            text("service.version", env!("CARGO_PKG_VERSION")),
        ] },
        "scopeSpans": [{
            "scope": { "name": SCOPE, "version": env!("CARGO_PKG_VERSION") },
            "spans": spans.iter().map(span).collect::<Vec<_>>(),
        }],
    }] })
}

fn span(span: &Span) -> Value {
    let ended = i128::from(span.ended.micros()) * 1_000;
    let took = i128::try_from(span.took.as_nanos()).unwrap_or(i128::MAX);
    let mut attributes =
        vec![text("counterfoil.door", span.door), text("counterfoil.outcome", span.outcome)];
    attributes
        .extend(span.request_id.as_ref().map(|id| text("counterfoil.request_id", &id.to_string())));
    if let Some(status) = span.status {
        attributes.push(text("http.request.method", span.method));
        attributes.push(text("http.route", &span.route));
        let status = json!({ "intValue": status.to_string() });
        attributes.push(json!({ "key": "http.response.status_code", "value": status }));
    }
    let name = match span.route.as_str() {
        "" => span.method.to_owned(),
        route => format!("{} {route}", span.method),
    };
    let mut written = json!({
        "traceId": span.trace.to_string(),
        "spanId": span.id.to_string(),
        "name": name,
        "kind": KIND_SERVER,
        "startTimeUnixNano": ended.saturating_sub(took).max(0).to_string(),
        "endTimeUnixNano": ended.max(0).to_string(),
        "attributes": attributes,
    });
    if let Some(parent) = span.parent {
        written["parentSpanId"] = parent.to_string().into();
    }
    if span.failed {
        written["status"] = json!({ "code": STATUS_ERROR });
    }
    written
}

fn text(key: &str, value: &str) -> Value {
    json!({ "key": key, "value": { "stringValue": value } })
}

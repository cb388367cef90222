//! Traces: one span for each request, sent to a collector by OTLP over HTTP, where one is named.
//!
//! A request never waits for a collector: a span that finds the queue full is dropped and counted.
//! A span says which route was taken, by which door, how it ended and how long it took. Its values
//! are names that this program knows, numbers, and the ids of the request and its trace; nothing
//! that a client wrote gets into it, so neither a secret nor a person's name can.

mod context;
mod exporter;
mod wire;

use std::cell::RefCell;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::http::{HeaderMap, Method};
use counterfoil_authority::clock::{Entropy, Timestamp};
use counterfoil_authority::event::RequestId;
use counterfoil_authority::secret::ClearSecret;
use counterfoil_authority::verdict::Reason;
use parking_lot::Mutex;
use tokio::sync::mpsc;

pub use context::{Parent, SpanId, TraceId};
pub use exporter::Exporter;

/// Spans that may wait for the exporter; some 300 bytes each.
const QUEUE_MAX: usize = 4096;
/// What a share is counted in.
const PERCENT: u64 = 100;
/// The random bits of a trace id (W3C Trace Context Level 2, random-trace-id).
const RANDOM_BITS: u32 = 56;

/// What an operator may set about traces.
#[derive(Debug, Clone)]
pub struct TraceSettings {
    /// The collector, without a slash at the end; `/v1/traces` comes behind it.
    pub endpoint: String,
    /// The whole value of the header `Authorization` for it.
    pub authorization: Option<ClearSecret>,
    /// How many requests in a hundred are traced, 0 to 100.
    pub sample_percent: u64,
}

/// A request that was answered.
#[derive(Debug, Clone)]
pub struct Span {
    trace: TraceId,
    id: SpanId,
    parent: Option<SpanId>,
    request_id: Option<RequestId>,
    door: &'static str,
    method: &'static str,
    /// The template of the route, or the operation.
    route: String,
    status: Option<u16>,
    outcome: &'static str,
    failed: bool,
    ended: Timestamp,
    took: Duration,
}

/// What is said about a request when it has been answered.
#[derive(Debug)]
pub struct Answered<'a> {
    /// Names the request.
    pub request_id: Option<RequestId>,
    /// Where it came in.
    pub door: &'static str,
    /// The HTTP method, or the protocol's name of the operation.
    pub method: &'static str,
    /// The template of the route; empty where there is none.
    pub route: &'a str,
    /// The HTTP status.
    pub status: Option<u16>,
    /// How it ended: a verdict, the class of a problem, or a result code.
    pub outcome: &'static str,
    /// Whether the server could not do what it should have.
    pub failed: bool,
    /// When.
    pub ended: Timestamp,
    /// After how long.
    pub took: Duration,
}

/// How many spans went where.
#[derive(Debug, Default)]
pub struct Counts {
    sent: AtomicU64,
    dropped: AtomicU64,
}

impl Counts {
    /// Spans that a collector took.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Spans that found the queue full, or that no collector took.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

/// Where spans go.
pub struct Traces {
    queue: mpsc::Sender<Span>,
    /// For the one who starts it.
    exporter: Mutex<Option<Exporter>>,
    counts: Arc<Counts>,
    sample_percent: u64,
}

impl Traces {
    /// A queue to the collector that was named, counted in `counts`.
    ///
    /// # Errors
    ///
    /// When the settings make no client.
    pub fn new(settings: &TraceSettings, counts: Arc<Counts>) -> Result<Self, String> {
        let (queue, waiting) = mpsc::channel(QUEUE_MAX);
        let sample_percent = settings.sample_percent;
        let exporter = Exporter::new(settings, waiting, Arc::clone(&counts))?;
        Ok(Self { queue, exporter: Mutex::new(Some(exporter)), counts, sample_percent })
    }

    /// What empties the queue; once.
    pub fn exporter(&self) -> Option<Exporter> {
        self.exporter.lock().take()
    }

    /// Notes a request that came with these headers, if it is one of those that are traced.
    ///
    /// Never waits.
    pub fn note(&self, entropy: &dyn Entropy, parent: Option<Parent>, answered: Answered<'_>) {
        // Who began the trace does not want it: a part of it is of no use to anybody.
        if parent.as_ref().is_some_and(|parent| !parent.sampled) {
            return;
        }
        let mut random = [0; 24];
        // Without chance there are no ids; a trace is not worth more than that.
        if entropy.fill(&mut random).is_err() {
            return;
        }
        let (trace, id) = random.split_at(16);
        let (Some(own), Some(id)) = (TraceId::of(trace), SpanId::of(id)) else { return };
        let trace = parent.as_ref().map_or(own, |parent| parent.trace);
        if !is_sampled(trace, self.sample_percent) {
            return;
        }
        let span = Span {
            trace,
            id,
            parent: parent.map(|parent| parent.span),
            request_id: answered.request_id,
            door: answered.door,
            method: answered.method,
            route: answered.route.to_owned(),
            status: answered.status,
            outcome: answered.outcome,
            failed: answered.failed,
            ended: answered.ended,
            took: answered.took,
        };
        if self.queue.try_send(span).is_err() {
            self.counts.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// What the headers of a request say about the trace that it belongs to.
pub fn parent_of(headers: &HeaderMap) -> Option<Parent> {
    let mut lines = headers.get_all("traceparent").iter();
    let (line, more) = (lines.next()?, lines.next());
    // Two of them are none (W3C Trace Context section 3.3).
    line.to_str().ok().filter(|_| more.is_none()).and_then(Parent::of_header)
}

/// Whether a trace is one of the share: every server that is told the same share takes the same
/// ones, so that none is torn apart.
fn is_sampled(trace: TraceId, percent: u64) -> bool {
    // As a product, because a threshold would be rounded.
    u128::from(trace.random()) * u128::from(PERCENT) < u128::from(percent) << RANDOM_BITS
}

/// What was heard while a request was answered.
#[derive(Debug, Clone, Default)]
struct Heard {
    outcome: Option<&'static str>,
    request_id: Option<RequestId>,
}

tokio::task_local! {
    /// Of the request that is being answered, where somebody listens.
    static HEARD: RefCell<Heard>;
}

/// Answers requests and remembers what verify says meanwhile, for [`said`].
pub async fn listening<T>(answer: impl Future<Output = T>) -> T {
    HEARD.scope(RefCell::default(), answer).await
}

/// A further request begins, on a connection that is listened to as a whole.
pub fn begin() {
    let _ = HEARD.try_with(RefCell::take);
}

/// Notes the id of a request that a door has given it late.
pub fn named(request_id: &RequestId) {
    let _ = HEARD.try_with(|heard| heard.borrow_mut().request_id = Some(request_id.clone()));
}

/// The id that was noted.
pub fn name() -> Option<RequestId> {
    HEARD.try_with(|heard| heard.borrow().request_id.clone()).ok().flatten()
}

/// Notes what verify said; `None` is active. Costs next to nothing where nobody listens.
pub fn verified(reason: Option<Reason>) {
    let outcome = reason.map_or("active", Reason::code);
    // Nobody listens where nothing is traced.
    let _ = HEARD.try_with(|heard| heard.borrow_mut().outcome = Some(outcome));
}

/// What verify said last about the request that is being answered.
pub fn said() -> Option<&'static str> {
    HEARD.try_with(|heard| heard.borrow().outcome).ok().flatten()
}

/// A method by a name of this program: any text can be sent as one.
pub fn method_name(method: &Method) -> &'static str {
    const KNOWN: [Method; 9] = [
        Method::GET,
        Method::POST,
        Method::PUT,
        Method::DELETE,
        Method::HEAD,
        Method::OPTIONS,
        Method::PATCH,
        Method::CONNECT,
        Method::TRACE,
    ];
    const NAMES: [&str; 9] =
        ["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "CONNECT", "TRACE"];
    let place = KNOWN.iter().position(|known| known == method);
    // As the semantic conventions of OpenTelemetry call every other one.
    place.and_then(|place| NAMES.get(place)).copied().unwrap_or("_OTHER")
}

/// The door that a route belongs to.
pub fn door_of(template: &str) -> &'static str {
    const DOORS: [(&str, &str); 17] = [
        ("/api/", "api"),
        ("/openapi.json", "api"),
        ("/problems", "api"),
        ("/authz", "forward-auth"),
        ("/oauth2", "oauth"),
        ("/realms/", "oauth"),
        ("/auth/realms/", "oauth"),
        ("/.well-known", "oauth"),
        ("/validate", "validate"),
        ("/json", "am"),
        ("/am/json", "am"),
        ("/openam/json", "am"),
        ("/token/api", "sentinel"),
        ("/registry", "comanage"),
        ("/auth-admin", "airlock"),
        ("/metrics", "operation"),
        ("/healthz", "operation"),
    ];
    let found = DOORS.iter().find(|(begin, _)| template.starts_with(begin));
    match found {
        Some((_, door)) => door,
        None if template == "unmatched" => "none",
        None => "console",
    }
}

#[cfg(test)]
mod tests;

//! Prometheus metrics: what was served, how long it took, what verify said, how full things are.
//!
//! On the HTTP listener `/metrics` wants a bearer: the configured one, or a key that may read
//! the audit of the main realm. Being on the same machine is no credential, because a reverse
//! proxy is on the same machine too. An own listener serves [`exposition`] without one.

mod audit;
mod elsewhere;
mod rates;
mod shadow;

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::extract::{FromRequestParts as _, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use counterfoil_authority::authority::{Authority, Verdict};
use counterfoil_authority::clock::Timestamp;
use counterfoil_authority::provision::{DELIVERY_STATES, DeliveryState};
use counterfoil_authority::refusal::Refusal;
use counterfoil_authority::scope::ApiScope;
use counterfoil_authority::store::{AuditHead, Backlog};
use counterfoil_authority::verdict::{DOORS, Door, REASONS, Reason};
use parking_lot::RwLock;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use sha2::{Digest, Sha256};

pub use rates::{Rate, Sample};

use super::caller::{Authenticated, Bearer, bearer};
use super::front::{WAYS, Way};
use super::problem::Problem;
use super::state::{AppState, Shared};
use crate::traces::{self, Counts};

/// Upper bounds of the duration histogram, in seconds: from a cache hit to a slow hash.
const BUCKETS: [f64; 12] =
    [0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.1, 0.25, 1.0, 5.0];
/// Upper bounds of the histogram of the change log, in seconds: 250 ms and one second are promised.
const LAG_BUCKETS: [f64; 10] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 60.0];
/// Outcomes of verify: active, and each reason.
const OUTCOMES: usize = REASONS.len() + 1;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteLabels {
    route: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StatusLabels {
    route: String,
    status: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DeliveryLabels {
    state: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct VerifyLabels {
    door: &'static str,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LdapLabels {
    operation: &'static str,
    result: &'static str,
}

/// The series of one route, found by its template without building labels.
#[derive(Clone)]
struct RouteSeries {
    duration: Histogram,
    classes: [Counter; 5],
}

/// Every metric of the HTTP doors.
pub struct Metrics {
    registry: Registry,
    routes: RwLock<HashMap<String, RouteSeries>>,
    /// The series of the short ways, by [`Way`].
    short: [OnceLock<RouteSeries>; WAYS],
    durations: Family<RouteLabels, Histogram>,
    answers: Family<StatusLabels, Counter>,
    /// One counter per door and outcome, in the order of [`DOORS`] and [`REASONS`], active last:
    /// verify is asked far too often to look a label up.
    verify: Vec<Counter>,
    change_lag: Histogram,
    ldap: Family<LdapLabels, Counter>,
    /// The one of them that is noted most often, at hand.
    ldap_bound: Counter,
    ldap_connections: Gauge,
    deliveries: Family<DeliveryLabels, Gauge>,
    delivery_age: Family<DeliveryLabels, Gauge>,
    audit: audit::Logs,
    samples: rates::Samples,
    spans: Arc<Counts>,
}

/// An LDAP connection, counted while it is open.
pub struct LdapConnection(Gauge);

impl Drop for LdapConnection {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl RouteSeries {
    fn note(&self, status: StatusCode, elapsed: Duration) -> Duration {
        self.duration.observe(elapsed.as_secs_f64());
        let class = usize::from(status.as_u16() / 100).saturating_sub(1);
        if let Some(counter) = self.classes.get(class) {
            counter.inc();
        }
        elapsed
    }
}

fn histogram() -> Histogram {
    Histogram::new(BUCKETS)
}

/// How many deliveries are not done, and since when.
fn backlog_gauges(
    registry: &mut Registry,
) -> (Family<DeliveryLabels, Gauge>, Family<DeliveryLabels, Gauge>) {
    let deliveries = Family::<DeliveryLabels, Gauge>::default();
    registry.register("deliveries", "Deliveries that are not done, by state", deliveries.clone());
    let ages = Family::<DeliveryLabels, Gauge>::default();
    registry.register(
        "delivery_oldest_age_seconds",
        "Since when the oldest of them is wanted",
        ages.clone(),
    );
    (deliveries, ages)
}

/// One counter per door and outcome, in the order of [`DOORS`] and [`REASONS`], active last.
fn verify_counters(registry: &mut Registry) -> Vec<Counter> {
    let verified = Family::<VerifyLabels, Counter>::default();
    registry.register("verify", "Verifications by door and outcome", verified.clone());
    let mut verify = Vec::with_capacity(DOORS.len() * OUTCOMES);
    for door in DOORS {
        let codes = REASONS.iter().map(|reason| reason.code()).chain(["active"]);
        for outcome in codes {
            let labels = VerifyLabels { door: door.name(), outcome };
            // Every one of them: what a door counts that is not registered is seen by nobody.
            verify.push(verified.get_or_create_owned(&labels));
        }
    }
    verify
}

/// The counts of spans, which whoever sends them keeps.
fn span_counts(registry: &mut Registry) -> Arc<Counts> {
    let spans = Arc::new(Counts::default());
    registry.register_collector(Box::new(Spans(Arc::clone(&spans))));
    spans
}

impl Metrics {
    /// The metrics of a server with this authority.
    pub fn new(authority: Arc<Authority>) -> Self {
        let mut registry = Registry::with_prefix("counterfoil");
        let durations = Family::new_with_constructor(histogram as fn() -> Histogram);
        registry.register(
            "http_request_duration_seconds",
            "Time from the head of a request to the head of its answer",
            durations.clone(),
        );
        let answers = Family::<StatusLabels, Counter>::default();
        registry.register(
            "http_requests",
            "Requests by route and class of status",
            answers.clone(),
        );
        let verify = verify_counters(&mut registry);
        let change_lag = Histogram::new(LAG_BUCKETS);
        registry.register(
            "change_lag_seconds",
            "Time from a change anywhere to when this node has applied it",
            change_lag.clone(),
        );
        let ldap = Family::<LdapLabels, Counter>::default();
        registry.register(
            "ldap_operations",
            "LDAP operations by their kind and result",
            ldap.clone(),
        );
        let bound = LdapLabels { operation: "bind", result: "success" };
        let ldap_bound = ldap.get_or_create_owned(&bound);
        let ldap_connections = Gauge::default();
        registry.register(
            "ldap_connections",
            "LDAP connections that are open",
            ldap_connections.clone(),
        );
        let (deliveries, delivery_age) = backlog_gauges(&mut registry);
        let audit = audit::Logs::registered(&mut registry);
        let elsewhere = elsewhere::Elsewhere(Arc::clone(&authority));
        registry.register_collector(Box::new(elsewhere));
        registry.register_collector(Box::new(shadow::Shadows(Arc::clone(&authority))));
        registry.register_collector(Box::new(Gauges(authority)));
        let spans = span_counts(&mut registry);
        let short = std::array::from_fn(|_| OnceLock::new());
        let routes = RwLock::default();
        let metrics = Self {
            registry,
            routes,
            short,
            durations,
            answers,
            verify,
            change_lag,
            ldap,
            ldap_bound,
            ldap_connections,
            deliveries,
            delivery_age,
            audit,
            samples: rates::Samples::default(),
            spans,
        };
        // Shown before anything was counted.
        metrics.backlog(&[], Timestamp::from_micros(0));
        metrics
    }

    /// Notes an answer, and returns how long it took.
    pub fn served(&self, route: &str, status: StatusCode, elapsed: Duration) -> Duration {
        let known = self.routes.read().get(route).map(|series| series.note(status, elapsed));
        known.unwrap_or_else(|| self.series_of(route).note(status, elapsed))
    }

    /// The same for the routes that are asked most often, whose series are at hand.
    pub fn served_short(&self, way: Way, status: StatusCode, elapsed: Duration) -> Duration {
        match self.short.get(way as usize) {
            Some(series) => {
                series.get_or_init(|| self.series_of(way.template())).note(status, elapsed)
            }
            None => self.served(way.template(), status, elapsed),
        }
    }

    /// Bounded by the number of routes, because templates are counted and not paths.
    fn series_of(&self, route: &str) -> RouteSeries {
        let duration = self.durations.get_or_create_owned(&RouteLabels { route: route.to_owned() });
        let classes = ["1xx", "2xx", "3xx", "4xx", "5xx"].map(|status| {
            self.answers.get_or_create_owned(&StatusLabels { route: route.to_owned(), status })
        });
        let series = RouteSeries { duration, classes };
        self.routes.write().insert(route.to_owned(), series.clone());
        series
    }

    /// Notes that a change was applied so long after it was made.
    pub fn change_applied(&self, after: Duration) {
        self.change_lag.observe(after.as_secs_f64());
    }

    /// Notes how an LDAP operation ended; both are names of the protocol, so there are few.
    pub fn ldap(&self, operation: &'static str, result: &'static str) {
        if (operation, result) == ("bind", "success") {
            self.ldap_bound.inc();
            return;
        }
        self.ldap.get_or_create(&LdapLabels { operation, result }).inc();
    }

    /// Notes an LDAP connection, for as long as the value lives.
    pub fn ldap_connection(&self) -> LdapConnection {
        self.ldap_connections.inc();
        LdapConnection(self.ldap_connections.clone())
    }

    /// Notes what is not delivered yet.
    pub fn backlog(&self, backlog: &[Backlog], now: Timestamp) {
        for state in DELIVERY_STATES.into_iter().filter(|state| *state != DeliveryState::Done) {
            let of_state = || backlog.iter().filter(|one| one.state == state);
            let count = of_state().map(|one| one.count).sum::<u64>();
            let oldest = of_state().map(|one| one.oldest).min().unwrap_or(now);
            let labels = DeliveryLabels { state: state.name() };
            let age = (now.micros() - oldest.micros()).max(0) / 1_000_000;
            self.delivery_age.get_or_create(&labels).set(age);
            let count = i64::try_from(count).unwrap_or(i64::MAX);
            self.deliveries.get_or_create(&labels).set(count);
        }
    }

    /// Where spans are counted.
    pub fn spans(&self) -> Arc<Counts> {
        Arc::clone(&self.spans)
    }

    /// Notes whether a witness of the audit logs is configured.
    pub fn has_witness(&self, there: bool) {
        self.audit.has_witness(there);
    }

    /// Notes how the audit logs stand, if they could be read, and since when an event waits for
    /// one.
    pub fn audited(&self, heads: Option<&[AuditHead]>, waiting: Option<Timestamp>, now: Timestamp) {
        self.audit.note(heads, waiting, now);
    }

    /// Notes a verdict.
    pub fn verified(&self, door: Door, verdict: &Verdict) {
        self.counted(
            door,
            match verdict {
                Verdict::Active(_) => None,
                Verdict::Inactive { reason, .. } => Some(*reason),
            },
        );
    }

    /// Notes how verify ended; `None` is active.
    pub fn counted(&self, door: Door, reason: Option<Reason>) {
        traces::verified(reason);
        let outcome = reason.map_or(REASONS.len(), |reason| reason as usize);
        if let Some(counter) = self.verify.get(door as usize * OUTCOMES + outcome) {
            counter.inc();
        }
    }

    /// How often verify ended like this at a door; `None` is active.
    pub fn verify_count(&self, door: Door, reason: Option<Reason>) -> u64 {
        let outcome = reason.map_or(REASONS.len(), |reason| reason as usize);
        self.verify.get(door as usize * OUTCOMES + outcome).map_or(0, Counter::get)
    }

    /// All of them in the text form of `OpenMetrics`.
    pub fn text(&self) -> String {
        let mut text = String::new();
        if encode(&mut text, &self.registry).is_err() {
            tracing::error!("the metrics could not be written");
        }
        text
    }
}

/// How a span ended.
#[derive(Debug, Clone, EncodeLabelSet)]
struct SpanLabels {
    outcome: &'static str,
}

/// Spans of requests by where they went.
struct Spans(Arc<Counts>);

impl std::fmt::Debug for Spans {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Spans")
    }
}

impl Collector for Spans {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let help = "Spans of requests by where they went";
        let kind = ConstCounter::new(0_u64).metric_type();
        let mut spans = encoder.encode_descriptor("spans", help, None, kind)?;
        for (outcome, count) in [("sent", self.0.sent()), ("dropped", self.0.dropped())] {
            ConstCounter::new(count).encode(spans.encode_family(&SpanLabels { outcome })?)?;
        }
        Ok(())
    }
}

/// Figures that the authority keeps itself, read when somebody asks.
struct Gauges(Arc<Authority>);

impl std::fmt::Debug for Gauges {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Gauges")
    }
}

impl Collector for Gauges {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let figures = self.0.figures();
        let gauges = [
            ("cache_tokens", "Tokens held in memory", figures.cache.tokens),
            ("cache_capacity_tokens", "Tokens that fit the cache's budget", figures.cache.capacity),
            ("usage_pending_tokens", "Tokens whose usage is not stored yet", figures.usage_pending),
            ("slow_hashes_waiting", "Argon2id computations that wait or run", figures.slow_waiting),
        ];
        for (name, help, value) in gauges {
            let gauge = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
            gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)?;
        }
        let counters = [
            ("cache_hits", "Look-ups answered from memory", figures.cache.hits),
            ("cache_misses", "Look-ups that read the store", figures.cache.misses),
            (
                "cache_fills_dropped",
                "Fills that came too late to be kept",
                figures.cache.dropped_fills,
            ),
            (
                "stale_verifies",
                "Verifications that asked the store because the change log was not confirmed",
                figures.cache.distrusted,
            ),
            ("usage_lost", "Uses that could not be noted", figures.usage_lost),
            ("diary_lost", "Days of tokens that could not be noted", figures.use_days_lost),
        ];
        for (name, help, value) in counters {
            let counter = ConstCounter::new(value);
            counter.encode(encoder.encode_descriptor(
                name,
                help,
                None,
                counter.metric_type(),
            )?)?;
        }
        Ok(())
    }
}

/// The metrics, for whoever may see them.
#[utoipa::path(
    get, path = "/metrics", tag = "operation", operation_id = "metrics",
    responses(
        (status = 200, description = "OpenMetrics text", content_type = "application/openmetrics-text", body = String),
        (status = 401, response = super::responses::Unauthenticated),
        (status = 403, response = super::responses::Forbidden),
        (status = 503, response = super::responses::Unavailable),
    )
)]
pub async fn metrics(State(state): State<AppState>, request: Request) -> Result<Response, Problem> {
    if !is_configured_bearer(&state, request.headers()) {
        let (mut parts, _) = request.into_parts();
        let Authenticated(caller) = Authenticated::from_request_parts(&mut parts, &state).await?;
        let allowed = caller.require_whole(&state.main_realm, ApiScope::AuditRead);
        // There is nothing here that could be unknown to somebody of another realm.
        allowed.map_err(|_| Refusal::Forbidden(ApiScope::AuditRead))?;
    }
    Ok(exposition(State(state)).await)
}

/// The metrics without a question, for an own listener.
pub async fn exposition(State(state): State<AppState>) -> Response {
    let form = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, form)], state.metrics.text()).into_response()
}

fn is_configured_bearer(state: &Shared, headers: &HeaderMap) -> bool {
    let Some(configured) = &state.settings.metrics_bearer else { return false };
    let Bearer::Token(presented) = bearer(headers) else { return false };
    // Digests are compared, so that the time taken says nothing about the configured text.
    Sha256::digest(presented) == Sha256::digest(configured.reveal())
}

//! Metrics of the audit logs: how long they are, what waits, and what the witness has.

use counterfoil_authority::clock::{MICROS_PER_SECOND, Timestamp};
use counterfoil_authority::store::AuditHead;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// The gauges, over all realms.
pub(super) struct Logs {
    sealed: Gauge,
    lag: Gauge,
    unwitnessed: Gauge,
    witnessed: Gauge,
}

impl Logs {
    /// Gauges that `registry` shows.
    pub(super) fn registered(registry: &mut Registry) -> Self {
        let mut gauge = |name: &str, help: &str| {
            let gauge: Gauge = Gauge::default();
            registry.register(name, help, gauge.clone());
            gauge
        };
        Self {
            sealed: gauge("audit_sealed_events", "Events in the audit logs of all realms"),
            lag: gauge("audit_lag_seconds", "Age of the oldest event that is in no audit log yet"),
            unwitnessed: gauge(
                "audit_unwitnessed_events",
                "Events in the audit logs that no checkpoint at the witness covers",
            ),
            witnessed: gauge(
                "audit_witness_success_timestamp_seconds",
                "When the witness last took a checkpoint; 0 if it never did",
            ),
        }
    }

    /// Notes how the logs stand.
    pub(super) fn note(&self, heads: &[AuditHead], waiting: Option<Timestamp>, now: Timestamp) {
        let count = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        let sealed: u64 = heads.iter().map(|head| head.tree.size()).sum();
        let witnessed: u64 = heads.iter().map(|head| head.witnessed).sum();
        self.sealed.set(count(sealed));
        self.unwitnessed.set(count(sealed.saturating_sub(witnessed)));
        let age = waiting.map_or(0, |since| now.micros().saturating_sub(since.micros()).max(0));
        self.lag.set(age / MICROS_PER_SECOND);
        let last = heads.iter().filter_map(|head| head.witnessed_at).max();
        self.witnessed.set(last.map_or(0, Timestamp::seconds));
    }
}

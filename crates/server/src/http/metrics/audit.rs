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
    witness: Gauge,
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
            witness: gauge(
                "audit_witness_configured",
                "1 if this node hands checkpoints to a witness, 0 if it has none",
            ),
        }
    }

    /// Notes whether there is a witness.
    pub(super) fn has_witness(&self, there: bool) {
        self.witness.set(i64::from(there));
    }

    /// Notes how the logs stand; without `heads`, which could not be read, only what waits.
    pub(super) fn note(
        &self,
        heads: Option<&[AuditHead]>,
        waiting: Option<Timestamp>,
        now: Timestamp,
    ) {
        let age = waiting.map_or(0, |since| now.micros().saturating_sub(since.micros()).max(0));
        self.lag.set(age / MICROS_PER_SECOND);
        let Some(heads) = heads else { return };
        let count = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        let sealed: u64 = heads.iter().map(|head| head.tree.size()).sum();
        let unwitnessed: u64 = heads.iter().map(unwitnessed).sum();
        self.sealed.set(count(sealed));
        self.unwitnessed.set(count(unwitnessed));
        let last = heads.iter().filter_map(|head| head.witnessed_at).max();
        self.witnessed.set(last.map_or(0, Timestamp::seconds));
    }
}

/// Events of a log that the witness does not have. None of one realm makes up for those of another,
/// and who is said to have more than there is, is said so by somebody who changed the database.
fn unwitnessed(head: &AuditHead) -> u64 {
    let size = head.tree.size();
    size.checked_sub(head.witnessed).unwrap_or(size)
}

#[cfg(test)]
mod tests {
    use counterfoil_authority::audit::tree::Frontier;
    use counterfoil_authority::names::RealmName;

    use super::*;

    #[test]
    fn a_log_lacks_what_its_own_witness_does_not_have() {
        let head = |size: u64, witnessed: u64| {
            let mut tree = Frontier::default();
            (0..size).for_each(|_| tree.push([0; 32], drop));
            let realm = RealmName::parse("main").unwrap();
            let (note, sealed_at) = (String::new(), Timestamp::EPOCH);
            AuditHead { realm, tree, note, sealed_at, witnessed, witnessed_at: None }
        };
        let logs = Logs::registered(&mut Registry::default());
        logs.note(Some(&[head(5, 1_000_000), head(7, 3)]), None, Timestamp::EPOCH);
        assert_eq!((logs.sealed.get(), logs.unwitnessed.get()), (12, 9));
        logs.note(Some(&[head(5, 5), head(7, 7)]), None, Timestamp::EPOCH);
        assert_eq!(logs.unwitnessed.get(), 0);
        logs.note(None, Some(Timestamp::EPOCH), Timestamp::from_seconds(90));
        assert_eq!((logs.sealed.get(), logs.lag.get()), (12, 90));
    }
}

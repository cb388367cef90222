//! Metrics of the repositories that somebody else keeps, read when somebody asks.

use std::fmt::{Debug, Error, Formatter};
use std::sync::Arc;

use counterfoil_authority::authority::Authority;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

/// Which repository; its name is the operator's, so there are few.
#[derive(Debug, Clone, EncodeLabelSet)]
struct Named {
    repository: String,
}

/// How calls to it ended.
#[derive(Debug, Clone, EncodeLabelSet)]
struct Ended {
    repository: String,
    outcome: &'static str,
}

/// The repositories of an authority.
pub(super) struct Elsewhere(pub(super) Arc<Authority>);

impl Debug for Elsewhere {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result<(), Error> {
        f.write_str("Elsewhere")
    }
}

impl Collector for Elsewhere {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), Error> {
        let all = self.0.repository_health();
        if all.is_empty() {
            return Ok(());
        }
        let counter = ConstCounter::new(0_u64);
        let help = "Calls to custom repositories by how they ended";
        let mut calls =
            encoder.encode_descriptor("repository_calls", help, None, counter.metric_type())?;
        for one in &all {
            let ended = [
                ("answered", one.figures.answered),
                ("failed", one.figures.failed),
                ("turned_away", one.figures.turned_away),
            ];
            for (outcome, count) in ended {
                let labels = Ended { repository: one.name.to_string(), outcome };
                ConstCounter::new(count).encode(calls.encode_family(&labels)?)?;
            }
        }
        let gauge = ConstGauge::new(0_i64);
        let help = "Calls to custom repositories that are under way";
        let mut flying =
            encoder.encode_descriptor("repository_in_flight", help, None, gauge.metric_type())?;
        for one in &all {
            let count = i64::try_from(one.figures.in_flight).unwrap_or(i64::MAX);
            let labels = Named { repository: one.name.to_string() };
            ConstGauge::new(count).encode(flying.encode_family(&labels)?)?;
        }
        let help = "Whether a custom repository is left alone because it failed";
        let mut open =
            encoder.encode_descriptor("repository_open", help, None, gauge.metric_type())?;
        for one in &all {
            let labels = Named { repository: one.name.to_string() };
            let value = i64::from(one.figures.open);
            ConstGauge::new(value).encode(open.encode_family(&labels)?)?;
        }
        Ok(())
    }
}

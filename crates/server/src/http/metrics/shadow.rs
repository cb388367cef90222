//! Metrics of the old systems that are asked beside us, read when somebody asks.

use std::fmt::{Debug, Error, Formatter};
use std::sync::Arc;

use counterfoil_authority::authority::Authority;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;

/// Which one and what came of it; its name is the operator's, so there are few.
#[derive(Debug, Clone, EncodeLabelSet)]
struct Came {
    shadow: String,
    result: &'static str,
}

/// The shadows of an authority.
pub(super) struct Shadows(pub(super) Arc<Authority>);

impl Debug for Shadows {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result<(), Error> {
        f.write_str("Shadows")
    }
}

impl Collector for Shadows {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), Error> {
        let all = self.0.shadows();
        if all.is_empty() {
            return Ok(());
        }
        let kind = ConstCounter::new(0_u64).metric_type();
        let help = "Presentations by what an old system says of them beside us";
        let mut came = encoder.encode_descriptor("shadow", help, None, kind)?;
        for shadow in all {
            for (compared, count) in shadow.counts() {
                let shadow = shadow.settings().name.to_string();
                let labels = Came { shadow, result: compared.name() };
                ConstCounter::new(count).encode(came.encode_family(&labels)?)?;
            }
        }
        let help = "Differences with old systems that could not be kept";
        let lost = encoder.encode_descriptor("shadow_lost", help, None, kind)?;
        ConstCounter::new(self.0.shadow_lost()).encode(lost)
    }
}

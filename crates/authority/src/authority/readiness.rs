//! Whether this node may be sent requests.
//!
//! Decisions use the node's clock. One that is far from the database's, and so
//! from the other nodes', would let tokens in that have ended, or not yet begun.

use super::Authority;
use crate::clock::{MICROS_PER_SECOND, Timestamp};
use crate::store::Unavailable;

/// How far the clocks of node and database may be apart, in microseconds.
const CLOCKS_APART_MAX: i64 = 2 * MICROS_PER_SECOND;

/// Why a node is not ready.
#[derive(Debug, thiserror::Error)]
pub enum NotReady {
    /// The store does not answer, or takes no writes.
    #[error("the store does not answer")]
    Unavailable(#[from] Unavailable),
    /// The installation has keys that this node lacks: what is hashed, sealed or signed under
    /// them it can neither accept nor refuse.
    #[error("keys: this node lacks {0}; copy the file from the key directory of another node")]
    Keys(String),
    /// The clocks disagree by more than two seconds.
    #[error("the clock of this node is {} s {} the database's", seconds(*micros), side(*micros))]
    Clock {
        /// How far this node is ahead, in microseconds; negative if it is behind.
        micros: i64,
    },
}

fn seconds(micros: i64) -> String {
    let tenths = micros.unsigned_abs() / 100_000;
    format!("{}.{}", tenths / 10, tenths % 10)
}

const fn side(micros: i64) -> &'static str {
    if micros < 0 { "behind" } else { "ahead of" }
}

impl Authority {
    /// Asks the store for a sign of life, and compares the clocks and the keys.
    pub async fn readiness(&self) -> Result<(), NotReady> {
        let asked = self.now();
        let pulse = self.store.ping().await?;
        let told = self.now();
        let apart = pulse.clock.map_or(0, |clock| ahead(asked, told, clock));
        if apart.abs() > CLOCKS_APART_MAX {
            return Err(NotReady::Clock { micros: apart });
        }
        let (known, keys) = (self.store.key_list().await?, self.keys());
        let lost = known.iter().filter(|record| !keys.holds(record.purpose, record.id));
        let lost: Vec<String> =
            lost.map(|record| format!("{}-{}.key", record.purpose, record.id)).collect();
        if !lost.is_empty() {
            return Err(NotReady::Keys(lost.join(", ")));
        }
        Ok(())
    }
}

/// How far this node is ahead of a clock that was read between two moments, at the least.
fn ahead(asked: Timestamp, told: Timestamp, clock: Timestamp) -> i64 {
    let (asked, told, clock) = (asked.micros(), told.micros(), clock.micros());
    if clock < asked { asked - clock } else { (told - clock).min(0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_answer_is_no_difference_of_clocks() {
        let at = Timestamp::from_seconds;
        // Asked at 100, answered at 107.
        for (clock, apart) in [(100, 0), (104, 0), (107, 0), (99, 1), (110, -3)] {
            assert_eq!(ahead(at(100), at(107), at(clock)), apart * MICROS_PER_SECOND, "{clock}");
        }
        let said = |micros| NotReady::Clock { micros }.to_string();
        assert_eq!(said(3_250_000), "the clock of this node is 3.2 s ahead of the database's");
        assert_eq!(said(-2_000_001), "the clock of this node is 2.0 s behind the database's");
    }
}

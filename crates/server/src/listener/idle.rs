//! Which connections are idle: nothing is asked and nothing is being answered.
//!
//! The libraries end connections that are dead, but not one whose client answers pings and asks
//! nothing, nor one whose client asks and never reads. Each of them holds a place.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// What happens on one connection.
#[derive(Default)]
pub(super) struct Activity {
    begun: AtomicU64,
    ended: AtomicU64,
}

/// A request that is being answered; over when it is dropped.
pub(super) struct Running(Arc<Activity>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.ended.fetch_add(1, Ordering::Relaxed);
    }
}

impl Activity {
    /// Notes that a request begins.
    pub(super) fn begin(self: &Arc<Self>) -> Running {
        self.begun.fetch_add(1, Ordering::Relaxed);
        Running(Arc::clone(self))
    }

    /// Ends when no request ran for `patience`: not earlier, and not much later than twice that.
    pub(super) async fn idle(&self, patience: Duration) {
        loop {
            let before = self.counts();
            tokio::time::sleep(patience).await;
            let after = self.counts();
            if before == after && after.0 == after.1 {
                return;
            }
        }
    }

    fn counts(&self) -> (u64, u64) {
        (self.begun.load(Ordering::Relaxed), self.ended.load(Ordering::Relaxed))
    }
}

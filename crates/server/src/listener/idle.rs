//! Which connections are idle: nothing is asked and nothing is being answered.
//!
//! The libraries end connections that are dead, but not one whose client answers pings and asks
//! nothing, nor one whose client asks and never reads. Each of them holds a place. A head that
//! does not become whole is no request, and its connection idles too: a few looks at two counts
//! cost nothing, where a timer for each head is a timer for each request.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Looks within the time that a connection may be idle.
const LOOKS: u32 = 4;

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

    /// Ends when no request ran for `patience`: not earlier, and a quarter later at most.
    pub(super) async fn idle(&self, patience: Duration) {
        let (mut quiet, mut before) = (0, self.counts());
        while quiet < LOOKS {
            tokio::time::sleep(patience / LOOKS).await;
            let after = self.counts();
            quiet = if before == after && after.0 == after.1 { quiet + 1 } else { 0 };
            before = after;
        }
    }

    /// Whether any request came, so that there may be an answer that nobody has read yet.
    pub(super) fn any(&self) -> bool {
        self.counts().0 > 0
    }

    fn counts(&self) -> (u64, u64) {
        (self.begun.load(Ordering::Relaxed), self.ended.load(Ordering::Relaxed))
    }
}

//! A bounded queue in front of Argon2id, on threads of its own.
//!
//! Nineteen milliseconds of a core per hash is a lever for anybody who may send
//! a password: so no more than a few run at a time, no more than a few dozen
//! wait, and neither ever holds up the fast path.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex};

use tokio::sync::oneshot;
use zeroize::Zeroizing;

use crate::keys::Pepper;
use crate::refusal::Refusal;
use crate::secret_hash::{Mac256, SlowCost, SlowHashFailed, slow_digest};

struct Job {
    pepper: Pepper,
    salt: [u8; 16],
    clear: Zeroizing<String>,
    cost: SlowCost,
    answer: oneshot::Sender<Result<Mac256, SlowHashFailed>>,
}

/// Computes slow hashes, a few at a time.
pub(crate) struct SlowHasher {
    queue: SyncSender<Job>,
    waiting: Arc<AtomicU64>,
}

impl SlowHasher {
    /// Starts `workers` threads behind a queue of `queue_max` jobs.
    pub(crate) fn start(workers: usize, queue_max: usize) -> std::io::Result<Self> {
        let (queue, jobs) = sync_channel::<Job>(queue_max.max(1));
        let jobs = Arc::new(Mutex::new(jobs));
        let waiting = Arc::new(AtomicU64::new(0));
        for number in 0..workers.max(1) {
            let (jobs, waiting) = (Arc::clone(&jobs), Arc::clone(&waiting));
            std::thread::Builder::new()
                .name(format!("argon2-{number}"))
                .spawn(move || work(&jobs, &waiting))?;
        }
        Ok(Self { queue, waiting })
    }

    /// Jobs that wait or run.
    pub(crate) fn waiting(&self) -> u64 {
        self.waiting.load(Ordering::Relaxed)
    }

    /// The digest of `clear`, or [`Refusal::Overloaded`] when the queue is full.
    pub(crate) async fn digest(
        &self,
        pepper: &Pepper,
        salt: [u8; 16],
        clear: &str,
        cost: SlowCost,
    ) -> Result<Mac256, Refusal> {
        let (answer, result) = oneshot::channel();
        let clear = Zeroizing::new(clear.to_owned());
        let job = Job { pepper: pepper.clone(), salt, clear, cost, answer };
        self.waiting.fetch_add(1, Ordering::Relaxed);
        match self.queue.try_send(job) {
            Ok(()) => {}
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                self.waiting.fetch_sub(1, Ordering::Relaxed);
                return Err(Refusal::Overloaded);
            }
        }
        // A worker that died took the job with it: not an answer, so not a denial.
        result.await.ok().and_then(Result::ok).ok_or(Refusal::Overloaded)
    }
}

fn work(jobs: &Mutex<Receiver<Job>>, waiting: &AtomicU64) {
    loop {
        let job = match jobs.lock() {
            Ok(receiver) => receiver.recv(),
            Err(_) => return,
        };
        let Ok(job) = job else { return };
        // Nobody waits for the answer of a request that went away.
        if !job.answer.is_closed() {
            let digest = slow_digest(&job.pepper, job.salt, &job.clear, job.cost);
            let _ = job.answer.send(digest);
        }
        waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

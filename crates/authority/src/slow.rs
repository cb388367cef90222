//! A bounded queue in front of Argon2id, on threads of its own.
//!
//! Nineteen milliseconds of a core per hash is a lever for anybody who may send
//! a password: so no more than a few run at a time, no more than a few dozen
//! wait, and neither ever holds up the fast path. Nobody has more than a share
//! of the queue, so that one who fills it up sends nobody away but themselves.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex as Turns};

use parking_lot::Mutex;
use tokio::sync::oneshot;
use zeroize::Zeroizing;

use crate::abuse::Key;
use crate::foreign::Recipe;
use crate::keys::Pepper;
use crate::refusal::Refusal;
use crate::secret_hash::{Mac256, SlowCost, SlowHashFailed, slow_digest, slow_digest_of_hash};

/// Of the queue, one source holds this part at most: a few guess at the same time without others
/// noticing.
const PARTS_PER_SOURCE: usize = 4;
/// Of every four places, a caller that names no source leaves one to others. It speaks for
/// everybody behind it, and with a bound as narrow as a source's they would be sent away.
const PLACES_OF_FOUR_PER_CALLER: usize = 3;

/// Of the queue, what nobody waits for holds this part at most.
const PARTS_PER_UPGRADE: usize = 8;

/// Whose computation it is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Holder {
    /// Whoever sits in a network.
    Source(Key),
    /// Whoever failed often there aiming at one person: one computation at a time, or guesses
    /// that are made at once would wait at once.
    Guesser(Key),
    /// A caller that names no source, by its actor.
    Caller(Arc<str>),
    /// What is hashed anew beside an answer. Nobody waits for it, so it makes room for those who
    /// do.
    Upgrade,
}

type Seats = Mutex<HashMap<Holder, usize>>;

/// A place in the queue and at the computation. Free again when the last who holds it is gone:
/// the asker, and each computation on its way, also when its asker went away.
pub(crate) struct Place {
    seats: Arc<Seats>,
    holders: Vec<Holder>,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut seats = self.seats.lock();
        for holder in &self.holders {
            if let Some(taken) = seats.get_mut(holder) {
                *taken -= 1;
                if *taken == 0 {
                    seats.remove(holder);
                }
            }
        }
    }
}

/// What is hashed slowly.
pub(crate) enum Preimage {
    /// A secret as it was presented or made.
    Clear(Zeroizing<String>),
    /// What another system would have stored of it.
    Foreign(Zeroizing<String>, Recipe),
    /// What another system did store.
    Stored(Zeroizing<Vec<u8>>),
}

impl Preimage {
    fn digest(
        &self,
        pepper: &Pepper,
        salt: [u8; 16],
        cost: SlowCost,
    ) -> Result<Mac256, SlowHashFailed> {
        match self {
            Self::Clear(clear) => slow_digest(pepper, salt, clear, cost),
            Self::Foreign(clear, recipe) => {
                let hash = recipe.hash(clear).ok_or(SlowHashFailed)?;
                slow_digest_of_hash(pepper, salt, &hash, cost)
            }
            Self::Stored(hash) => slow_digest_of_hash(pepper, salt, hash, cost),
        }
    }
}

/// Gives its place back before it answers: whoever has the answer may ask again at once.
type Job = Box<dyn FnOnce() + Send>;

/// Computes slow hashes, a few at a time.
pub(crate) struct SlowHasher {
    queue: SyncSender<Job>,
    waiting: Arc<AtomicU64>,
    queue_max: usize,
    seats: Arc<Seats>,
}

impl SlowHasher {
    /// Starts `workers` threads behind a queue of `queue_max` jobs.
    pub(crate) fn start(workers: usize, queue_max: usize) -> std::io::Result<Self> {
        let (hasher, jobs) = Self::behind(queue_max);
        let jobs = Arc::new(Turns::new(jobs));
        for number in 0..workers.max(1) {
            let (jobs, waiting) = (Arc::clone(&jobs), Arc::clone(&hasher.waiting));
            std::thread::Builder::new()
                .name(format!("argon2-{number}"))
                .spawn(move || work(&jobs, &waiting))?;
        }
        Ok(hasher)
    }

    fn behind(queue_max: usize) -> (Self, Receiver<Job>) {
        let queue_max = queue_max.max(1);
        let (queue, jobs) = sync_channel(queue_max);
        let (waiting, seats) = (Arc::default(), Arc::default());
        (Self { queue, waiting, queue_max, seats }, jobs)
    }

    /// A place among those that each of `holders` may have, or [`Refusal::Overloaded`].
    pub(crate) fn admit(&self, holders: Vec<Holder>) -> Result<Arc<Place>, Refusal> {
        let mut seats = self.seats.lock();
        let is_full =
            |holder: &Holder| seats.get(holder).copied().unwrap_or(0) >= self.share_of(holder);
        if holders.iter().any(is_full) {
            return Err(Refusal::Overloaded);
        }
        for holder in &holders {
            *seats.entry(holder.clone()).or_default() += 1;
        }
        Ok(Arc::new(Place { seats: Arc::clone(&self.seats), holders }))
    }

    fn share_of(&self, holder: &Holder) -> usize {
        match holder {
            Holder::Source(_) => (self.queue_max / PARTS_PER_SOURCE).max(1),
            Holder::Guesser(_) => 1,
            Holder::Upgrade => (self.queue_max / PARTS_PER_UPGRADE).max(1),
            Holder::Caller(_) => (self.queue_max / 4 * PLACES_OF_FOUR_PER_CALLER).max(1),
        }
    }

    /// Jobs that wait or run.
    pub(crate) fn waiting(&self) -> u64 {
        self.waiting.load(Ordering::Relaxed)
    }

    /// The digest of `preimage`, or [`Refusal::Overloaded`] when the queue is full.
    pub(crate) async fn digest_of(
        &self,
        place: &Arc<Place>,
        pepper: &Pepper,
        salt: [u8; 16],
        preimage: Preimage,
        cost: SlowCost,
    ) -> Result<Mac256, Refusal> {
        let pepper = pepper.clone();
        let digest = move || preimage.digest(&pepper, salt, cost);
        self.compute(place, digest).await?.map_err(|_: SlowHashFailed| Refusal::Overloaded)
    }

    /// What a computation comes to that takes tens of milliseconds, or [`Refusal::Overloaded`]
    /// when the queue is full.
    pub(crate) async fn compute<T: Send + 'static>(
        &self,
        place: &Arc<Place>,
        computation: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Refusal> {
        let (answer, result) = oneshot::channel();
        let place = Arc::clone(place);
        let job: Job = Box::new(move || {
            // Nobody waits for the answer of a request that went away.
            let outcome = (!answer.is_closed()).then(computation);
            drop(place);
            if let Some(outcome) = outcome {
                let _ = answer.send(outcome);
            }
        });
        self.waiting.fetch_add(1, Ordering::Relaxed);
        match self.queue.try_send(job) {
            Ok(()) => {}
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                self.waiting.fetch_sub(1, Ordering::Relaxed);
                return Err(Refusal::Overloaded);
            }
        }
        // A worker that died took the job with it: not an answer, so not a denial.
        result.await.map_err(|_| Refusal::Overloaded)
    }
}

impl SlowHasher {
    /// Computes something that nobody waits for, if there is room for it now: whoever asks does
    /// without otherwise, and asks again another time.
    pub(crate) fn aside(&self, computation: impl FnOnce() + Send + 'static) {
        let Ok(place) = self.admit(vec![Holder::Upgrade]) else { return };
        let job: Job = Box::new(move || {
            computation();
            drop(place);
        });
        self.waiting.fetch_add(1, Ordering::Relaxed);
        if self.queue.try_send(job).is_err() {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

fn work(jobs: &Turns<Receiver<Job>>, waiting: &AtomicU64) {
    loop {
        let job = match jobs.lock() {
            Ok(receiver) => receiver.recv(),
            Err(_) => return,
        };
        let Ok(job) = job else { return };
        job();
        waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;
    use crate::keys::KeyRing;
    use crate::testing::SeededEntropy;

    fn source(address: &str) -> Holder {
        Holder::Source(Key::of_source(address.parse().unwrap()))
    }

    #[test]
    fn one_source_holds_a_share_of_the_queue_and_others_find_a_place() {
        let (hasher, _jobs) = SlowHasher::behind(8);
        let one = || hasher.admit(vec![source("192.0.2.1")]);
        let mut held = vec![one().unwrap(), one().unwrap()];
        assert!(matches!(one(), Err(Refusal::Overloaded)));
        for other in ["192.0.2.2", "2001:db8::1"] {
            held.push(hasher.admit(vec![source(other)]).unwrap());
        }
        drop(held);
        one().unwrap();
        let caller = || hasher.admit(vec![Holder::Caller("client:gate".into())]);
        let held: Vec<_> = (0..6).map(|_| caller().unwrap()).collect();
        assert!(caller().is_err());
        hasher.admit(vec![Holder::Caller("client:door".into())]).unwrap();
        drop(held);
        assert!(hasher.seats.lock().is_empty());
    }

    #[test]
    fn whoever_guesses_at_a_person_has_one_turn_at_a_time() {
        let (hasher, _jobs) = SlowHasher::behind(64);
        let address: IpAddr = "192.0.2.1".parse().unwrap();
        let at = |user| {
            let aim = Holder::Guesser(Key::of_aim(address, user, Some("hpc")));
            hasher.admit(vec![source("192.0.2.1"), aim])
        };
        let _alice = at("alice").unwrap();
        assert!(at("Alice").is_err());
        at("bob").unwrap();
    }

    #[tokio::test]
    async fn a_place_is_taken_until_the_computation_is_done_even_if_nobody_waits_for_it() {
        let (hasher, jobs) = SlowHasher::behind(4);
        let keys = KeyRing::generate(&SeededEntropy::new(1)).unwrap();
        let one = || hasher.admit(vec![source("192.0.2.1")]);
        let place = one().unwrap();
        let cost = SlowCost { memory_kib: 64, passes: 1, lanes: 1 };
        let preimage = Preimage::Clear(Zeroizing::new("guess".to_owned()));
        let asked = hasher.digest_of(&place, keys.pepper(), [0; 16], preimage, cost);
        let gone = tokio::time::timeout(std::time::Duration::ZERO, asked).await;
        assert!(gone.is_err());
        drop(place);
        assert!(one().is_err());
        drop(jobs.recv().unwrap());
        one().unwrap();
    }
}

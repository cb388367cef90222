//! What every call to a repository goes through: a place, a limit of time, and the breaker.
//!
//! Each repository has its own places and its own breaker and there is nothing that two of them
//! share, so one that hangs takes nothing away from another.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use tokio::sync::Semaphore;

use super::breaker::Breaker;
use super::{
    Capabilities, Capability, Descriptor, Remembered, RepositoryError, Settings, TokenRepository,
    Uses, VerifyMode,
};
use crate::clock::{Clock, Timestamp};

/// How long what a repository said of itself is believed, in seconds.
const DESCRIBED_SECONDS: i64 = 60;

/// A repository, and everything that is held against it.
pub struct Guarded {
    settings: Settings,
    driver: Arc<dyn TokenRepository>,
    places: Semaphore,
    breaker: Mutex<Breaker>,
    described: Mutex<Option<(Descriptor, Timestamp)>>,
    last: Mutex<Last>,
    answered: AtomicU64,
    failed: AtomicU64,
    turned_away: AtomicU64,
    pub(crate) remembered: Remembered,
    pub(crate) uses: Uses,
    /// A slow hash that was seen there: who has no token costs as much as who has one.
    pub(crate) stand_in: Mutex<Option<Arc<zeroize::Zeroizing<String>>>>,
}

#[derive(Default)]
struct Last {
    answered_at: Option<Timestamp>,
    failed_at: Option<Timestamp>,
    failure: Option<String>,
}

/// Counts for metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Figures {
    /// Calls that were answered.
    pub answered: u64,
    /// Calls that were not.
    pub failed: u64,
    /// Calls that were not made: no place, or the breaker was open.
    pub turned_away: u64,
    /// Calls under way.
    pub in_flight: u64,
    /// Whether the breaker is open.
    pub open: bool,
}

/// How a repository stands, for `doctor` and administrators. Holds no secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// Its name.
    pub name: Arc<str>,
    /// Its driver.
    pub driver: &'static str,
    /// Whether it is sent secrets in clear.
    pub receives_secrets: bool,
    /// Its counts.
    pub figures: Figures,
    /// When it last answered.
    pub answered_at: Option<Timestamp>,
    /// When it last did not.
    pub failed_at: Option<Timestamp>,
    /// Why not.
    pub failure: Option<String>,
}

impl Guarded {
    /// A repository behind its guard.
    pub fn new(settings: Settings, driver: Arc<dyn TokenRepository>) -> Self {
        Self {
            places: Semaphore::new(settings.in_flight_max.max(1)),
            settings,
            driver,
            breaker: Mutex::default(),
            described: Mutex::default(),
            last: Mutex::default(),
            answered: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            turned_away: AtomicU64::new(0),
            remembered: Remembered::default(),
            uses: Uses::default(),
            stand_in: Mutex::default(),
        }
    }

    /// How it is used.
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// What stands behind the guard.
    pub fn driver(&self) -> &dyn TokenRepository {
        self.driver.as_ref()
    }

    /// Makes a call: with a place, within its time, and not while the breaker is open.
    ///
    /// # Errors
    ///
    /// What the repository refuses, or [`RepositoryError::Unavailable`].
    pub async fn ask<T>(
        &self,
        clock: &dyn Clock,
        call: impl Future<Output = Result<T, RepositoryError>> + Send,
    ) -> Result<T, RepositoryError> {
        let Ok(_place) = self.places.try_acquire() else {
            self.turned_away.fetch_add(1, Ordering::Relaxed);
            return Err(RepositoryError::unavailable("too many calls are under way"));
        };
        if !self.breaker.lock().admits(clock.now()) {
            self.turned_away.fetch_add(1, Ordering::Relaxed);
            return Err(RepositoryError::unavailable("it failed lately and is left alone"));
        }
        let answer = match tokio::time::timeout(self.settings.timeout, call).await {
            Ok(answer) => answer,
            Err(_) => Err(RepositoryError::unavailable("it did not answer in time")),
        };
        self.note(&answer, clock.now());
        answer
    }

    fn note<T>(&self, answer: &Result<T, RepositoryError>, now: Timestamp) {
        let mut last = self.last.lock();
        let Err(RepositoryError::Unavailable(why)) = answer else {
            self.answered.fetch_add(1, Ordering::Relaxed);
            self.breaker.lock().succeeded();
            if last.failed_at > last.answered_at {
                tracing::info!(repository = &*self.settings.name, "a repository answers again");
            }
            last.answered_at = Some(now);
            return;
        };
        self.failed.fetch_add(1, Ordering::Relaxed);
        self.breaker.lock().failed(now);
        if last.failed_at <= last.answered_at {
            tracing::warn!(repository = &*self.settings.name, why, "a repository does not answer");
        }
        last.failed_at = Some(now);
        last.failure = Some(why.clone());
    }

    /// What it said in the last minute that it can do.
    pub fn described(&self, now: Timestamp) -> Option<Capabilities> {
        let described = self.described.lock();
        let (descriptor, at) = described.as_ref()?;
        (now < at.plus_seconds(DESCRIBED_SECONDS)).then_some(descriptor.capabilities)
    }

    /// What it says of itself, asked again after a minute.
    ///
    /// # Errors
    ///
    /// When it cannot be asked.
    pub async fn descriptor(&self, clock: &dyn Clock) -> Result<Descriptor, RepositoryError> {
        let now = clock.now();
        let known = self.described.lock().clone();
        if let Some((descriptor, at)) = known
            && now < at.plus_seconds(DESCRIBED_SECONDS)
        {
            return Ok(descriptor);
        }
        let descriptor = self.ask(clock, self.driver.describe()).await?;
        *self.described.lock() = Some((descriptor.clone(), now));
        Ok(descriptor)
    }

    /// Refuses what the repository does not do before it is asked.
    ///
    /// # Errors
    ///
    /// [`RepositoryError::Unsupported`], or that it cannot be asked.
    pub async fn require(
        &self,
        clock: &dyn Clock,
        capability: Capability,
    ) -> Result<(), RepositoryError> {
        let offered = self.descriptor(clock).await?.capabilities.contains(capability);
        if offered { Ok(()) } else { Err(RepositoryError::Unsupported(capability)) }
    }

    /// Its counts.
    pub fn figures(&self) -> Figures {
        let free = self.places.available_permits();
        let taken = self.settings.in_flight_max.max(1).saturating_sub(free);
        Figures {
            answered: self.answered.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
            turned_away: self.turned_away.load(Ordering::Relaxed),
            in_flight: u64::try_from(taken).unwrap_or(u64::MAX),
            open: self.breaker.lock().is_open(),
        }
    }

    /// How it stands.
    pub fn health(&self) -> Health {
        let last = self.last.lock();
        Health {
            name: Arc::clone(&self.settings.name),
            driver: self.driver.driver(),
            receives_secrets: self.settings.verify == VerifyMode::Delegated,
            figures: self.figures(),
            answered_at: last.answered_at,
            failed_at: last.failed_at,
            failure: last.failure.clone(),
        }
    }
}

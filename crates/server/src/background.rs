//! What runs beside the requests: each an idempotent step, looped here until the server stops.
//!
//! A step that fails is tried again by the next round, and said once when it
//! begins to fail and once when it works again.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;
use tracing::{info, warn};

use counterfoil_authority::authority::{Authority, DamagedLog};
use counterfoil_authority::keys::{KEY_PURPOSES, KeyId, KeyPurpose, KeyRing};

use crate::clock::{OsClock, OsEntropy};
use crate::config::{Audit, Config};
use crate::http::AppState;
use crate::installation::{Installation, admin_key_left};
use crate::keydir::{self, KeyDirectory, KeyError};
use crate::listener::stopped;
use crate::restored;
use crate::systemd::{self, Said};
use crate::tls::Certificates;
use crate::traces::Traces;
use crate::witness::Witnesses;

/// Usage is bookkeeping; a crash loses at most what was gathered since the last flush, and the
/// promise is one second. While masses of tokens are used every second flush is left out.
const USAGE_EVERY: Duration = Duration::from_millis(450);
/// What tokens are used for is known within about a second.
const USE_NOTES_EVERY: Duration = Duration::from_secs(1);
/// Of usage that came in masses, one part in 248 each time: all of it within a minute.
const SETTLE_EVERY: Duration = Duration::from_millis(250);
/// What others revoke is refused here within 250 ms, nearly always: the wait for the next look is a
/// fifth of that, and the rest is for a machine that is busy. One statement each time.
const CHANGES_EVERY: Duration = Duration::from_millis(50);
/// How soon a rotated key is in use.
const KEYS_EVERY: Duration = Duration::from_secs(1);
/// Certificates are renewed weeks before they end.
const CERTIFICATES_EVERY: Duration = Duration::from_secs(10);
/// A request that nobody decided, or an auth token that was idle too long, ends within a few
/// seconds; at use it has ended at once.
const ENROLMENT_EVERY: Duration = Duration::from_secs(2);
/// A directory follows within a second, however the load is; looking costs two indexed reads.
const DELIVERIES_EVERY: Duration = Duration::from_millis(100);
/// Scrapes are rarer.
const BACKLOG_EVERY: Duration = Duration::from_secs(5);
/// Retention is counted in days.
const PURGE_EVERY: Duration = Duration::from_mins(1);
/// A rotated sealing key is done with soon; looking costs one indexed read.
const SEEDS_EVERY: Duration = Duration::from_secs(5);
/// Whoever asks for a job looks at its progress at once; looking costs one indexed read.
const JOBS_EVERY: Duration = Duration::from_millis(250);
/// A realm with a million tokens is counted within half a minute, and nobody waits for a reader.
const CENSUS_EVERY: Duration = Duration::from_millis(250);
/// What the chart of the console has one column for.
const RATES_EVERY: Duration = Duration::from_mins(1);
/// Events are in their log within a second; looking costs one indexed read.
const SEAL_EVERY: Duration = Duration::from_secs(1);
/// How soon a checkpoint that a witness did not take is handed to it again.
const WITNESS_EVERY: Duration = Duration::from_secs(5);
/// Often enough to be noticed, rarely enough to be read.
const NAG_EVERY: Duration = Duration::from_hours(1);

/// The steps of one server.
pub struct Steps {
    running: JoinSet<()>,
}

impl Steps {
    /// Starts all steps; they end when `stop` turns true.
    pub fn start(
        installation: &Installation,
        state: &AppState,
        config: &Config,
        certificates: Vec<Arc<Certificates>>,
        stop: &watch::Receiver<bool>,
    ) -> Self {
        let mut running = JoinSet::new();
        let shared = || Arc::clone(&installation.authority);
        let authority = shared();
        let mut gathers = false;
        running.spawn(each("usage", USAGE_EVERY, stop.clone(), move || {
            let authority = Arc::clone(&authority);
            gathers = !gathers && authority.is_used_in_masses();
            async move { if gathers { Ok(()) } else { authority.flush_usage().await.map(drop) } }
        }));
        let authority = shared();
        let settling = stop.clone();
        running.spawn(each("usage journal", SETTLE_EVERY, stop.clone(), move || {
            let authority = Arc::clone(&authority);
            let stop = settling.clone();
            async move { settle(&authority, &stop).await }
        }));
        let followed = state.clone();
        let changes = each("changes", CHANGES_EVERY, stop.clone(), move || {
            let state = followed.clone();
            async move { follow(&state).await }
        });
        running.spawn_blocking(move || on_own_thread(changes));
        let authority = shared();
        running.spawn(each("purge", PURGE_EVERY, stop.clone(), move || {
            let authority = Arc::clone(&authority);
            async move { purge(&authority).await }
        }));
        start_rarer(&mut running, &installation.authority, stop);
        let authority = shared();
        running.spawn(each("enrolment", ENROLMENT_EVERY, stop.clone(), move || {
            let authority = Arc::clone(&authority);
            async move {
                while authority.enrolment_due().await? || authority.promote_due().await? {
                    tokio::task::yield_now().await;
                }
                Ok::<_, counterfoil_authority::refusal::Refusal>(())
            }
        }));
        let delivering = state.clone();
        let delivered = stop.clone();
        running.spawn(each("deliveries", DELIVERIES_EVERY, stop.clone(), move || {
            let (state, stop) = (delivering.clone(), delivered.clone());
            async move { deliver(&state, &stop).await }
        }));
        start_counting(&mut running, state, stop);
        start_sealing(&mut running, &installation.authority, &config.audit, stop);
        state.metrics.has_witness(Witnesses::of(&config.audit).is_some());
        let data = config.data.dir.clone();
        let (authority, keys) = (shared(), installation.keys.clone());
        running.spawn(each("keys", KEYS_EVERY, stop.clone(), move || {
            let (authority, keys) = (Arc::clone(&authority), keys.clone());
            async move { take_up_keys(&authority, &keys).await }
        }));
        running.spawn(each("admin key", NAG_EVERY, stop.clone(), move || {
            nag(&data);
            std::future::ready(Ok::<_, std::convert::Infallible>(()))
        }));
        for asker in installation.askers.lock().drain(..) {
            running.spawn(asker.run(shared(), stop.clone()));
        }
        start_surroundings(&mut running, state, certificates, stop);
        Self { running }
    }

    /// Waits until every step has ended.
    pub async fn ended(mut self) {
        while self.running.join_next().await.is_some() {}
    }
}

/// Steps for what surrounds the server: a service manager, a collector, files of certificates.
fn start_surroundings(
    running: &mut JoinSet<()>,
    state: &AppState,
    certificates: Vec<Arc<Certificates>>,
    stop: &watch::Receiver<bool>,
) {
    if let Some(every) = systemd::alive_every() {
        running.spawn(each("alive", every, stop.clone(), || {
            systemd::tell(Said::Alive);
            std::future::ready(Ok::<_, std::convert::Infallible>(()))
        }));
    }
    if let Some(exporter) = state.traces.as_ref().and_then(Traces::exporter) {
        running.spawn(exporter.run(stop.clone()));
    }
    for certificates in certificates {
        running.spawn(each("certificates", CERTIFICATES_EVERY, stop.clone(), move || {
            std::future::ready(certificates.refresh().map(|changed| {
                if changed {
                    info!("the TLS certificate was read again");
                }
            }))
        }));
    }
}

/// Steps that most installations have nothing to do for.
fn start_rarer(
    running: &mut JoinSet<()>,
    authority: &Arc<Authority>,
    stop: &watch::Receiver<bool>,
) {
    let told = Arc::clone(authority);
    // A step of its own: a repository that hangs holds up no flush.
    running.spawn(each("uses elsewhere", USAGE_EVERY, stop.clone(), move || {
        let authority = Arc::clone(&told);
        async move {
            authority.tell_uses_elsewhere().await;
            Ok::<_, std::convert::Infallible>(())
        }
    }));
    let noted = Arc::clone(authority);
    // A step of its own, too: counts of uses, alarms and locks do not wait for these.
    running.spawn(each("use notes", USE_NOTES_EVERY, stop.clone(), move || {
        let authority = Arc::clone(&noted);
        async move { authority.flush_notes().await }
    }));
    let (asked, stopping) = (Arc::clone(authority), stop.clone());
    running.spawn(each("jobs", JOBS_EVERY, stop.clone(), move || {
        let (authority, stop) = (Arc::clone(&asked), stopping.clone());
        async move {
            while authority.work_jobs().await? && !*stop.borrow() {
                tokio::task::yield_now().await;
            }
            Ok::<_, counterfoil_authority::refusal::Refusal>(())
        }
    }));
    let sealed = Arc::clone(authority);
    running.spawn(each("seeds", SEEDS_EVERY, stop.clone(), move || {
        let authority = Arc::clone(&sealed);
        async move {
            let mut next = authority.reseal_seeds(None).await?;
            while let Some(place) = next {
                tokio::task::yield_now().await;
                next = authority.reseal_seeds(Some(place)).await?;
            }
            Ok::<_, counterfoil_authority::refusal::Refusal>(())
        }
    }));
}

/// Why nothing is sealed. A store that answers with a log that somebody changed is not down, and
/// waiting does not help.
#[derive(Debug, thiserror::Error)]
enum SealFailure {
    #[error(transparent)]
    Damaged(DamagedLog),
    #[error(transparent)]
    Unavailable(counterfoil_authority::store::Unavailable),
}

impl From<counterfoil_authority::store::Unavailable> for SealFailure {
    fn from(error: counterfoil_authority::store::Unavailable) -> Self {
        match DamagedLog::behind(&error) {
            Some(log) => Self::Damaged(log.clone()),
            None => Self::Unavailable(error),
        }
    }
}

/// Steps on the audit logs.
fn start_sealing(
    running: &mut JoinSet<()>,
    authority: &Arc<Authority>,
    config: &Audit,
    stop: &watch::Receiver<bool>,
) {
    if config.seal {
        let (sealing, stopping) = (Arc::clone(authority), stop.clone());
        running.spawn(each("audit log", SEAL_EVERY, stop.clone(), move || {
            let (authority, stop) = (Arc::clone(&sealing), stopping.clone());
            async move {
                while authority.seal_events().await? && !*stop.borrow() {
                    // Between two batches others get their turn at the writer.
                    tokio::task::yield_now().await;
                }
                Ok::<_, SealFailure>(())
            }
        }));
    }
    if let Some(witnesses) = Witnesses::of(config).map(Arc::new) {
        let telling = Arc::clone(authority);
        running.spawn(each("audit witness", WITNESS_EVERY, stop.clone(), move || {
            let (authority, witnesses) = (Arc::clone(&telling), Arc::clone(&witnesses));
            async move { authority.tell_witness(&*witnesses, witnesses.every_seconds).await }
        }));
    }
}

/// Steps that count, for metrics and for the pages of administrators.
fn start_counting(running: &mut JoinSet<()>, state: &AppState, stop: &watch::Receiver<bool>) {
    let counted = state.clone();
    running.spawn(each("delivery backlog", BACKLOG_EVERY, stop.clone(), move || {
        let state = counted.clone();
        async move {
            let backlog = state.authority.store().delivery_backlog().await?;
            state.metrics.backlog(&backlog, state.authority.now());
            // What waits is counted also where a damaged log cannot be read.
            let waiting = state.authority.store().audit_waiting_since().await?;
            let heads = state.authority.store().audit_heads().await;
            state.metrics.audited(heads.as_deref().ok(), waiting, state.authority.now());
            heads?;
            Ok::<_, SealFailure>(())
        }
    }));
    let authority = Arc::clone(&state.authority);
    running.spawn(each("census", CENSUS_EVERY, stop.clone(), move || {
        let authority = Arc::clone(&authority);
        async move { authority.take_census().await.map(drop) }
    }));
    let sampled = state.clone();
    running.spawn(each("rates", RATES_EVERY, stop.clone(), move || {
        sampled.metrics.sample(sampled.authority.now());
        std::future::ready(Ok::<_, std::convert::Infallible>(()))
    }));
}

/// Runs a step on this thread, its connections included. The threads that serve requests have
/// used up their share of a busy machine; one that mostly sleeps gets its turn at once.
fn on_own_thread(step: impl Future<Output = ()>) {
    match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(step),
        // Later than it could be, but not never.
        Err(_) => tokio::runtime::Handle::current().block_on(step),
    }
}

/// Runs a step every `period` until `stop` turns true.
async fn each<F, E>(
    name: &'static str,
    period: Duration,
    mut stop: watch::Receiver<bool>,
    mut next: impl FnMut() -> F + Send,
) where
    F: Future<Output = Result<(), E>> + Send,
    E: std::error::Error + Send + 'static,
{
    let mut ticks = tokio::time::interval(period);
    // After a pause of the machine one run is enough; missed ones are not made up for.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut failing = false;
    loop {
        tokio::select! {
            () = stopped(&mut stop) => return,
            _ = ticks.tick() => {}
        }
        match next().await {
            Ok(()) if failing => {
                info!(step = name, "a background step works again");
                failing = false;
            }
            Err(error) if !failing => {
                let error: &dyn std::error::Error = &error;
                warn!(step = name, error, "a background step fails; it is tried again");
                failing = true;
            }
            _ => {}
        }
    }
}

async fn follow(state: &AppState) -> Result<(), counterfoil_authority::store::Unavailable> {
    for lag in state.authority.follow_changes().await? {
        state.metrics.change_applied(lag);
    }
    Ok(())
}

/// Stops with the server: the journal can wait for the next one, usage in memory cannot.
async fn settle(
    authority: &Authority,
    stop: &watch::Receiver<bool>,
) -> Result<(), counterfoil_authority::store::Unavailable> {
    while authority.settle_usage().await? && !*stop.borrow() {
        // Between two parts others get their turn at the writer.
        tokio::task::yield_now().await;
    }
    Ok(())
}

/// Brings targets up to date until nothing is due at the moment.
async fn deliver(
    state: &AppState,
    stop: &watch::Receiver<bool>,
) -> Result<(), counterfoil_authority::store::Unavailable> {
    while state.authority.deliver(&state.courier).await? && !*stop.borrow() {
        tokio::task::yield_now().await;
    }
    Ok(())
}

async fn purge(authority: &Authority) -> Result<(), counterfoil_authority::refusal::Refusal> {
    while authority.purge().await? || authority.forget_events().await? {
        // Between two batches others get their turn at the writer.
        tokio::task::yield_now().await;
    }
    Ok(())
}

/// Takes up keys that were added to the directory. While one is missing there that the store knows
/// the ring says so, and the keys at hand stay in use.
async fn take_up_keys(authority: &Authority, keys: &KeyDirectory) -> Result<(), KeyError> {
    let store = authority.store();
    let held = authority.keys();
    let ring = match keydir::reload(keys, &**store, &OsClock, &OsEntropy).await {
        Ok(ring) => ring,
        Err(error @ (KeyError::Missing { .. } | KeyError::NoKeys { .. })) => {
            let lacking = keydir::lacking(&held, &**store).await?;
            if lacking != held.lacking() {
                authority.set_keys(KeyRing::clone(&held).with_lacking(lacking));
            }
            return Err(error);
        }
        Err(error) => return Err(error),
    };
    let current = ring.pepper().id();
    let changed = numbers(&ring) != numbers(&held);
    if changed || current != held.pepper().id() || !held.lacking().is_empty() {
        authority.set_keys(ring);
    }
    if changed {
        info!(pepper = current, "the key ring has changed");
    } else if current != held.pepper().id() {
        info!(pepper = current, "new secrets are hashed under another pepper");
    }
    Ok(())
}

fn numbers(ring: &KeyRing) -> Vec<(KeyPurpose, KeyId)> {
    let of = |purpose| ring.keys(purpose).iter().map(move |key| (purpose, key.id()));
    KEY_PURPOSES.into_iter().flat_map(of).collect()
}

fn nag(data: &std::path::Path) {
    if let Some(path) = admin_key_left(data) {
        warn!(
            file = %path.display(),
            "the first administrator's key is still on disk; keep it elsewhere and delete the file"
        );
    }
    if let Some(restored) = restored::left(data) {
        warn!(
            file = %data.join(restored::RESTORED_FILE).display(),
            "{}; run `counterfoil audit replay`",
            restored.in_words()
        );
    }
}

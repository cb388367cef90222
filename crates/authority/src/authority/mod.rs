//! What the authority does: one file per act, all on the one struct that knows the rules.

mod access;
mod alarms;
mod am;
mod audience;
mod audit;
mod authenticate;
mod background;
mod bulk;
mod census;
mod clients;
mod compliance;
mod console;
mod custom;
mod decoys;
mod derive;
mod directory;
mod edit;
mod enrol;
mod events;
mod fit;
mod handing;
mod import;
mod install;
mod issue;
mod jobs;
mod leaks;
mod letters;
mod lifecycle;
mod link;
mod locks;
mod otp;
mod pasted;
mod people;
mod portal;
mod possession;
mod provision;
mod rank;
mod readiness;
mod realms;
mod refresh;
mod registration;
mod repositories;
mod search;
mod services;
mod shadow;
mod token_settings;
mod tokens;
mod verify;

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;

pub use access::{AccessRefusal, ExchangeRequest, Presented};
pub use am::{
    AmAnswer, AmCopy, AmDirectory, AmExplained, AmFault, AmHeld, AmLogin, AmPresented, AmQuestion,
    AmSession, AmTest, AmTestToken, AmUse,
};
pub use audit::{
    AUDIT_ENTRIES_MAX, AuditCheckpoint, AuditEntries, DamagedLog, InclusionProof, Proved, Replayed,
    WitnessFailure,
};
pub use authenticate::{AuthRefusal, Sender};
pub use bulk::{BULK_MAX, Bulk};
pub use census::{Overview, REFUSAL_HOURS, SOON_SECONDS, UNUSED_SECONDS};
pub use clients::{ClientAnswered, ClientDraft, ClientEdit, ClientRender, ClientReplay};
pub use compliance::{BlockedToken, Hits};
pub use console::{
    ChosenPassword, ConsoleRefusal, FirstPasskey, Leaving, PasskeyProved, PasskeyRule,
    PasskeySignIn, PasswordProved, Proofs, SessionBegun, SignIn, SignInStep, SignedIn, UsableLink,
    VouchedSignIn,
};
pub use derive::DeriveRequest;
pub use directory::ShownService;
pub use edit::TokenEdit;
pub use enrol::{Drawn, EnrolAnswer, EnrolAnswered, EnrolRefusal, EnrolRequest, RenderEnrolment};
pub use fit::{FitWish, Fitting};
pub use import::{
    ClearPat, Fate, IMPORTED_FROM, Incoming, IncomingFacts, IncomingPat, IncomingSecret,
    IncomingToken, IncomingUnit, WEAK_DERIVATION,
};
pub use install::{FirstKey, Seed, key_records};
pub use issue::{
    Answered, Delivery, Expiry, IssueRequest, Payload, RenderAnswer, Replay, RepositoryWish,
};
pub use jobs::{JobAct, JobPlan, JobSelection, JobSet, JobWish};
pub use leaks::LeakReport;
pub use letters::{LETTER_LIFETIME_SECONDS, LETTER_LIFETIME_SECONDS_MAX};
pub use lifecycle::Act;
pub use locks::LockAct;
pub use otp::{
    Challenge, Challenged, IMPORT_ROWS_MAX, OtpDraft, OtpFate, OtpIncoming, OtpRow, OtpTaken,
    OtpTaking, Selected,
};
pub use people::{
    GrantDraft, GroupDraft, GroupEdit, MEMBERS_NAMED_MAX, MembersEdit, Membership, UnitDraft,
    UnitEdit, UserDraft, UserEdit,
};
pub use portal::PortalService;
pub use provision::{Difference, HashNeed, Needs, Reconciled, TargetDraft, TargetEdit};
pub use readiness::NotReady;
pub use realms::{RealmDraft, RealmEdit};
pub use refresh::{RefreshRefusal, RefreshRequest, Refreshment};
pub use registration::Breakage;
pub use repositories::{Repeatable, RepositoryDraft, RepositoryEntry, RepositoryStanding};
pub use services::{Offer, PolicyEdit, ServiceDraft, ServiceEdit};
pub use verify::{Active, Binding, Verdict, VerifyRequest};

use crate::abuse::{CodeThrottle, Throttle};
use crate::access::{AccessSettings, KEY_OVERLAP_SECONDS};
use crate::cache::{Cache, CacheStats, RealmCell, ServiceCell};
use crate::clock::{Clock, Entropy, NoEntropy, Timestamp};
use crate::console::ConsoleSettings;
use crate::custom::Elsewhere;
use crate::diary::Diary;
use crate::event::{Event, Origin};
use crate::keys::KeyRing;
use crate::names::{BadName, COUNTERFOIL, RealmName, ServiceLabel};
use crate::refusal::{Refusal, Thing};
use crate::repository::Repositories;
use crate::secret::{Prefix, Shape, shape_of};
use crate::secret_hash::SlowCost;
use crate::shadow::Shadows;
use crate::sightings::Sightings;
use crate::slow::SlowHasher;
use crate::store::{ChangeListener, Lease, LogPlace, Store};
use crate::usage::Ledger;
use crate::use_notes::UseNotes;

/// How long a one-time link can be opened, unless configured otherwise: over a working day.
const DEFAULT_LINK_LIFETIME_SECONDS: i64 = 86_400;

/// The field of a request in which a code is presented.
const CODE_FIELD: &str = "code";

/// What an operator may set about the rules.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The prefix of new token strings.
    pub prefix: Prefix,
    /// Former prefixes that stay accepted.
    pub retired_prefixes: Vec<Prefix>,
    /// Memory for cached tokens, in bytes.
    pub cache_budget_bytes: u64,
    /// Cost of slow hashes.
    pub slow_cost: SlowCost,
    /// Slow hashes computed at the same time.
    pub slow_workers: usize,
    /// Slow hashes that may wait.
    pub slow_queue_max: usize,
    /// Whether refusals are delayed after many failures.
    pub throttle: bool,
    /// How long a one-time link can be opened.
    pub link_lifetime_seconds: i64,
    /// Access tokens, where neither client nor stamp say anything.
    pub access: AccessSettings,
    /// How long a former signing key verifies after a rotation, in seconds.
    pub key_overlap_seconds: i64,
    /// The repositories of generic tokens. Immutable while the server runs.
    pub repositories: Repositories,
    /// How long sessions of the console last.
    pub console: ConsoleSettings,
    /// Days that events are kept; `None`: for good. Their hashes stay in the audit log.
    pub event_retention_days: Option<u32>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            prefix: Prefix::default(),
            retired_prefixes: Vec::new(),
            cache_budget_bytes: 256 * 1024 * 1024,
            slow_cost: SlowCost::default(),
            slow_workers: 1,
            slow_queue_max: 64,
            throttle: true,
            link_lifetime_seconds: DEFAULT_LINK_LIFETIME_SECONDS,
            access: AccessSettings::default(),
            key_overlap_seconds: KEY_OVERLAP_SECONDS,
            repositories: Repositories::default(),
            console: ConsoleSettings::default(),
            event_retention_days: None,
        }
    }
}

/// Figures for metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Figures {
    /// The cache.
    pub cache: CacheStats,
    /// Tokens whose usage is not flushed yet.
    pub usage_pending: u64,
    /// Uses that could not be noted.
    pub usage_lost: u64,
    /// Days of tokens that could not be noted.
    pub use_days_lost: u64,
    /// Slow hashes that wait or run.
    pub slow_waiting: u64,
}

/// Decides. Holds no state that is not in the store, but for caches and unflushed bookkeeping.
pub struct Authority {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    keys: ArcSwap<KeyRing>,
    /// The service that the API is.
    api_service: ServiceLabel,
    /// How the server is reached from outside: what issuers begin with.
    public_url: ArcSwap<String>,
    settings: Settings,
    prefixes: Vec<Prefix>,
    cache: Arc<Cache>,
    ledger: Ledger,
    diary: Diary,
    /// From where watched tokens were used.
    sightings: Sightings,
    /// What tokens are used for.
    use_notes: Arc<UseNotes>,
    /// Whether this process has said that it notes that.
    notes_uses: std::sync::atomic::AtomicBool,
    /// Alarms that may ask for a lock.
    locks_asked: parking_lot::Mutex<Vec<Event>>,
    slow: SlowHasher,
    /// Secrets that were hashed anew beside an answer, until the next flush stores them.
    upgraded: Arc<parking_lot::Mutex<Vec<crate::store::Rehash>>>,
    throttle: Throttle,
    codes: CodeThrottle,
    /// Keys the memory of slow secrets that verified; never leaves the process.
    process_key: zeroize::Zeroizing<[u8; 32]>,
    /// The name of this process among those of the installation.
    node: String,
    followed: parking_lot::Mutex<Option<LogPlace>>,
    /// The lease on purging, while this process has it.
    purging: parking_lot::Mutex<Option<Lease>>,
    /// What the worker of deliveries remembers.
    delivering: parking_lot::Mutex<provision::Delivering>,
    /// The lease on deliveries, while this process has it.
    delivering_lease: parking_lot::Mutex<Option<Lease>>,
    /// The lease on jobs, while this process has it.
    working_lease: parking_lot::Mutex<Option<Lease>>,
    /// What the worker on audit logs remembers.
    sealing: audit::Sealing,
    /// Tokens in the latest flush of usage.
    flushed_last: std::sync::atomic::AtomicUsize,
    /// Tokens that must not rest too long and did not.
    seen_lately: verify::SeenLately,
    /// When sessions of the AM door were used.
    session_uses: am::SessionUses,
    /// Repositories that somebody else keeps.
    custom: ArcSwap<Elsewhere>,
    /// Old systems that are asked beside us, if there are any.
    shadows: std::sync::OnceLock<Shadows>,
    /// How many tokens there are, as far as somebody wants to know.
    counts: census::Counts,
}

/// Why an authority cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The generator failed.
    #[error(transparent)]
    NoEntropy(#[from] NoEntropy),
    /// The hashing threads could not be started.
    #[error("the hashing threads could not be started")]
    Threads(#[from] std::io::Error),
    /// The name of the service that the API is, is none.
    #[error(transparent)]
    BadName(#[from] BadName),
}

/// A name that no other process has, and from which the key cannot be told.
fn node_name(process_key: &[u8; 32]) -> String {
    let mac = crate::secret_hash::hmac256(process_key, b"counterfoil node 1", &[]);
    mac.as_bytes().iter().take(8).fold(String::new(), |mut name, byte| {
        // Writing to a string cannot fail.
        let _ = write!(name, "{byte:02x}");
        name
    })
}

impl Authority {
    /// Sets up an authority over `store`, and listens to its changes.
    pub fn new(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        keys: KeyRing,
        settings: Settings,
    ) -> Result<Self, StartError> {
        let cache = Arc::new(Cache::new(settings.cache_budget_bytes));
        store.listen(Arc::clone(&cache) as Arc<dyn ChangeListener>);
        let mut process_key = zeroize::Zeroizing::new([0; 32]);
        entropy.fill(process_key.as_mut())?;
        let prefixes = std::iter::once(settings.prefix.clone())
            .chain(settings.retired_prefixes.iter().cloned())
            .collect();
        Ok(Self {
            upgraded: Arc::default(),
            slow: SlowHasher::start(settings.slow_workers, settings.slow_queue_max)?,
            store,
            clock,
            entropy,
            keys: ArcSwap::from_pointee(keys),
            api_service: ServiceLabel::parse(COUNTERFOIL)?,
            public_url: ArcSwap::from_pointee("http://127.0.0.1:8780".to_owned()),
            settings,
            prefixes,
            cache,
            ledger: Ledger::new(),
            diary: Diary::default(),
            sightings: Sightings::default(),
            use_notes: Arc::default(),
            notes_uses: std::sync::atomic::AtomicBool::new(false),
            locks_asked: parking_lot::Mutex::default(),
            throttle: Throttle::default(),
            codes: CodeThrottle::default(),
            node: node_name(&process_key),
            process_key,
            followed: parking_lot::Mutex::new(None),
            purging: parking_lot::Mutex::new(None),
            delivering: parking_lot::Mutex::default(),
            delivering_lease: parking_lot::Mutex::new(None),
            working_lease: parking_lot::Mutex::new(None),
            sealing: audit::Sealing::default(),
            flushed_last: std::sync::atomic::AtomicUsize::new(0),
            seen_lately: verify::SeenLately::default(),
            session_uses: am::SessionUses::default(),
            custom: ArcSwap::default(),
            shadows: std::sync::OnceLock::new(),
            counts: census::Counts::default(),
        })
    }

    /// The store, for reads that need no rule.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// The present instant. An act reads it once.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The clock of this node.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// The source of randomness.
    pub fn entropy(&self) -> &dyn Entropy {
        self.entropy.as_ref()
    }

    /// The key ring as it stands.
    pub fn keys(&self) -> Arc<KeyRing> {
        self.keys.load_full()
    }

    /// Replaces the key ring, when a key was added to the directory.
    pub fn set_keys(&self, keys: KeyRing) {
        self.keys.store(Arc::new(keys));
    }

    /// The settings.
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The repositories of generic tokens.
    pub const fn repositories(&self) -> &Repositories {
        &self.settings.repositories
    }

    /// Figures for metrics.
    pub fn figures(&self) -> Figures {
        Figures {
            cache: self.cache.stats(),
            usage_pending: self.ledger.pending(),
            usage_lost: self.ledger.lost(),
            use_days_lost: self.diary.lost(),
            slow_waiting: self.slow.waiting(),
        }
    }

    /// The shape of a presented string under this installation's prefixes.
    pub fn shape(&self, presented: &str) -> Shape {
        shape_of(presented, &self.prefixes)
    }

    /// Whether a free text holds a token: such a text is refused, because texts are shown.
    pub fn holds_token(&self, text: &str) -> bool {
        crate::secret::holds_token(text, &self.prefixes)
    }

    /// Whether a name holds what becomes of a token when it is made a name. Such a name is refused
    /// as well: names are shown more widely than any text.
    pub fn is_token_in_name(&self, name: &str) -> bool {
        crate::secret::holds_folded_token(name, &self.prefixes)
    }

    /// An event, to be filled in.
    pub fn event(
        &self,
        kind: &'static str,
        realm: &RealmName,
        origin: &Origin,
        at: Timestamp,
    ) -> Result<Event, NoEntropy> {
        Event::new(kind, realm, origin, at, self.entropy())
    }

    /// Records a refusal; equal ones beyond a hundred a minute become one event with a count.
    pub fn record_refusal(&self, event: Event) {
        self.ledger.refused(event);
    }

    /// Counts a credential that a door refuses by its form as a failed attempt of its source.
    pub fn reject(&self, source: Option<std::net::IpAddr>) {
        if let Some(source) = source {
            self.throttle.failed(source, None, None, self.now());
        }
    }

    /// How long a door holds back a refusal to this presenter: zero unless they failed often.
    pub fn refusal_delay(
        &self,
        source: Option<std::net::IpAddr>,
        user: Option<&str>,
        service: Option<&str>,
    ) -> Duration {
        match source {
            Some(source) if self.settings.throttle => {
                self.throttle.delay(source, user, service, self.now())
            }
            _ => Duration::ZERO,
        }
    }

    /// Waits as long as a door holds back a refusal to this presenter.
    pub async fn hold_back(
        &self,
        source: Option<std::net::IpAddr>,
        user: Option<&str>,
        service: Option<&str>,
    ) {
        let delay = self.refusal_delay(source, user, service);
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
    }

    /// A realm as verify needs it; [`Refusal::NotFound`] if there is none.
    pub async fn realm_facts(&self, name: &RealmName) -> Result<Arc<RealmCell>, Refusal> {
        let now = self.now();
        if let Some(cell) = self.cache.realm(now, name) {
            return Ok(cell);
        }
        let tag = self.cache.position(now);
        let realm = self.store.realm_find(name).await?.ok_or(Refusal::NotFound(Thing::Realm))?;
        let targets = self.store.target_list(name).await?;
        Ok(self.cache.fill_realm(realm, provision::needs_of(&targets), tag))
    }

    /// A service as verify needs it; `None` if there is none.
    pub async fn service_facts(
        &self,
        realm: &RealmName,
        label: &ServiceLabel,
    ) -> Result<Option<Arc<ServiceCell>>, Refusal> {
        let now = self.now();
        if let Some(cell) = self.cache.service(now, realm, label.as_str()) {
            return Ok(Some(cell));
        }
        let tag = self.cache.position(now);
        let realm_cell = match self.realm_facts(realm).await {
            Ok(cell) => cell,
            Err(Refusal::NotFound(_)) => return Ok(None),
            Err(refusal) => return Err(refusal),
        };
        let Some(service) = self.store.service_find(realm, label).await? else {
            self.cache.no_such_service(realm, label);
            return Ok(None);
        };
        Ok(Some(self.cache.fill_service(service, &realm_cell, tag)))
    }
}

//! A store without a disk, for tests of the rules and of the doors.
//!
//! Written apart from the SQL, so that the conformance suite compares two
//! independent readings of the contract. One lock; every method looks first
//! and writes last, so a refusal has nothing to take back.

mod access;
mod am;
mod audit;
mod census;
mod clients;
mod console;
mod foreign_use;
mod import;
mod installation;
mod jobs;
mod keepers;
mod leases;
mod letters;
mod links;
mod networks;
mod otp;
mod passkeys;
mod people;
mod places;
mod provisioning;
mod services;
mod shadow;
mod tokens;
mod use_days;
mod use_notes;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use counterfoil_authority::access::AccessRecord;
use counterfoil_authority::am::{AmKind, AmObject};
use counterfoil_authority::clock::Timestamp;
use counterfoil_authority::console::{Account, ConsoleSession, SignInLink};
use counterfoil_authority::event::Event;
use counterfoil_authority::keys::{KeyId, KeyPurpose};
use counterfoil_authority::names::{
    ClientName, GroupName, RealmName, ServiceLabel, TargetName, Username,
};
use counterfoil_authority::passkey::Passkey;
use counterfoil_authority::provision::{Delivery, DeliveryKey, Target};
use counterfoil_authority::secret::TokenId;
use counterfoil_authority::service::{Realm, Service};
use counterfoil_authority::single_sign_on::{Identity, SignInFlow};
use counterfoil_authority::store::{
    Change, ForeignUsage, Idempotency, Installation, KeyRecord, Letter, Link, Page, PageRequest,
    ShadowDifference, Unavailable, UseDay,
};
use counterfoil_authority::subject::{Client, Grant, Group, Unit, User};
use counterfoil_authority::token::{StoredSecret, Token};
use parking_lot::Mutex;

use crate::engine::Listeners;
use crate::people::page;

/// A store in memory that keeps every promise but durability.
#[derive(Default)]
pub struct MemoryStore {
    state: Mutex<State>,
    listeners: Listeners,
}

/// A token with its hashes.
#[derive(Clone)]
struct Held {
    token: Token,
    secrets: Vec<StoredSecret>,
}

/// An answer that was given.
#[derive(Clone)]
struct Answer {
    fingerprint: [u8; 32],
    sealed: Vec<u8>,
    expires_at: Timestamp,
}

/// Everything there is.
#[derive(Clone, Default)]
struct State {
    installation: Option<Installation>,
    keys: BTreeMap<(KeyPurpose, KeyId), KeyRecord>,
    realms: BTreeMap<RealmName, Realm>,
    services: BTreeMap<(RealmName, ServiceLabel), Service>,
    clients: BTreeMap<(RealmName, ClientName), Client>,
    users: BTreeMap<(RealmName, Username), User>,
    groups: BTreeMap<(RealmName, GroupName), Group>,
    members: BTreeSet<(RealmName, GroupName, Username)>,
    units: BTreeMap<(RealmName, String), Unit>,
    grants: BTreeMap<(RealmName, String), Grant>,
    tokens: HashMap<TokenId, Held>,
    links: HashMap<TokenId, Link>,
    letters: BTreeMap<String, Letter>,
    jobs: BTreeMap<String, jobs::Kept>,
    otps: BTreeMap<TokenId, otp::Kept>,
    listed: BTreeMap<TokenId, tokens::Listed>,
    data: HashMap<TokenId, Vec<u8>>,
    targets: BTreeMap<(RealmName, TargetName), Target>,
    outbox: Vec<(RealmName, String)>,
    deliveries: BTreeMap<DeliveryKey, Delivery>,
    events: BTreeMap<(RealmName, String), Event>,
    audit: audit::Logs,
    log: Vec<(i64, Timestamp, Change)>,
    /// The number of the latest change, also when the log has been purged.
    position: i64,
    answers: HashMap<(String, String), Answer>,
    leases: HashMap<String, leases::Held>,
    families: tokens::Families,
    am: BTreeMap<(RealmName, AmKind, String), AmObject>,
    foreign_uses: HashMap<TokenId, ForeignUsage>,
    use_days: BTreeMap<(TokenId, i64, &'static str), UseDay>,
    uses: use_notes::Uses,
    networks: HashMap<TokenId, networks::Networks>,
    differences: BTreeMap<shadow::Key, ShadowDifference>,
    access: HashMap<TokenId, AccessRecord>,
    accounts: BTreeMap<(RealmName, Username), Account>,
    sessions: HashMap<TokenId, ConsoleSession>,
    sign_in_links: HashMap<TokenId, SignInLink>,
    passkeys: HashMap<TokenId, Passkey>,
    /// By realm, issuer and subject.
    identities: BTreeMap<(RealmName, String, String), Identity>,
    flows: HashMap<TokenId, SignInFlow>,
    access_used: HashMap<TokenId, Timestamp>,
    access_ended: HashMap<TokenId, access::Ended>,
    proofs: HashMap<[u8; 32], Timestamp>,
    /// The time of the database's clock, if a test has one.
    clock: Option<Timestamp>,
    /// Changes of the method that runs.
    fresh: Vec<Change>,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// Gives the store a clock of its own that stands still, as a database server has one.
    pub fn set_clock(&self, clock: Timestamp) {
        self.state.lock().clock = Some(clock);
    }

    /// Looks.
    fn read<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.state.lock())
    }

    /// Changes, and tells the listeners before it returns.
    fn write<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.state.lock();
        let outcome = change(&mut state);
        let changes = std::mem::take(&mut state.fresh);
        drop(state);
        self.listeners.tell(&changes);
        outcome
    }
}

/// What an earlier request with the same key came to.
enum Earlier {
    None,
    Answered(Vec<u8>),
    Other,
}

impl State {
    fn record(&mut self, event: &Event) {
        self.events.insert((event.realm.clone(), event.id.clone()), event.clone());
        self.audit.wait(event);
        self.note(event);
    }

    fn changed(&mut self, change: Change, at: Timestamp) {
        self.position += 1;
        self.log.push((self.position, at, change.clone()));
        self.fresh.push(change);
    }

    fn earlier(&self, asked: Option<&Idempotency>, now: Timestamp) -> Earlier {
        let known = asked.and_then(|asked| {
            let kept = self.answers.get(&(asked.caller.clone(), asked.key.clone()))?;
            (kept.expires_at > now).then_some((asked, kept))
        });
        match known {
            None => Earlier::None,
            Some((asked, kept)) if asked.fingerprint == kept.fingerprint => {
                Earlier::Answered(kept.sealed.clone())
            }
            Some(_) => Earlier::Other,
        }
    }

    fn keep(&mut self, asked: Option<&Idempotency>, token: &Token) {
        if let Some(asked) = asked {
            let answer = Answer {
                fingerprint: asked.fingerprint,
                sealed: (asked.answer)(token),
                expires_at: asked.expires_at,
            };
            self.answers.insert((asked.caller.clone(), asked.key.clone()), answer);
        }
    }
}

/// The page of `records`, which come in ascending order of `key`.
fn page_up<'a, T: Clone + 'a>(
    records: impl Iterator<Item = &'a T>,
    request: &PageRequest,
    key: impl Fn(&T) -> String,
) -> Page<T> {
    let start = page::start(request);
    let behind = records.filter(|record| key(record).as_str() > start);
    let items = behind.take(request.limit as usize + 1).cloned().collect();
    page::cut(items, request, key)
}

/// The page of `records`, in descending order of `key`.
fn page_down<T>(records: Vec<T>, request: &PageRequest, key: impl Fn(&T) -> String) -> Page<T> {
    let top = page::top(request);
    let mut below: Vec<T> =
        records.into_iter().filter(|record| key(record).as_str() < top).collect();
    below.sort_by_key(|record| std::cmp::Reverse(key(record)));
    below.truncate(request.limit as usize + 1);
    page::cut(below, request, key)
}

/// The world changed since the caller looked; asking again will tell.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Overtaken(&'static str);

fn overtaken<T>(what: &'static str) -> Result<T, Unavailable> {
    Err(Unavailable::new(Overtaken(what)))
}

/// The listeners of a store are told through this.
fn listen_to(store: &MemoryStore, listener: Arc<dyn counterfoil_authority::store::ChangeListener>) {
    store.listeners.add(listener);
}

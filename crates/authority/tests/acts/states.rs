//! Random lives of tokens, against a model that is written from the rules and nothing else: which
//! state holds first, what is final, when a validity begins and ends, how uses are counted, how
//! long a former secret counts, and what a derived token owes to its parent.
//!
//! The model knows no store, no cache and no statement. After every act all tokens are held
//! against it, in memory and on SQLite.
//!
//! Length: the model, the acts and what compares them are of no use apart.

use std::sync::Arc;

use counterfoil_authority::authority::{
    Act as Switch, Binding, DeriveRequest, Expiry, LockAct, Verdict, VerifyRequest,
};
use counterfoil_authority::clock::Timestamp;
use counterfoil_authority::event::Origin;
use counterfoil_authority::kind::Kind;
use counterfoil_authority::names::Username;
use counterfoil_authority::secret::TokenId;
use counterfoil_authority::store::Store;
use counterfoil_authority::subject::UserStatus;
use counterfoil_authority::token::{SECRETS_PER_TOKEN_MAX, State};
use counterfoil_authority::verdict::{Door, Reason};
use counterfoil_store::{DatabaseUrl, MemoryStore, OpenOptions};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use crate::world::{World, context, fresh, label, reason, wish};

const OWNERS: [&str; 2] = ["alice", "bob"];
/// Derivations in a row that a sequence makes.
const DEPTH_MAX: usize = 2;
const SECOND: i64 = 1_000_000;

/// One act of a sequence. Tokens are chosen by number, modulo those that there are.
#[derive(Debug, Clone)]
enum Act {
    Issue {
        owner: usize,
        begins: Option<i64>,
        life: i64,
        limit: Option<u64>,
    },
    Derive {
        parent: usize,
        life: i64,
    },
    Enable(usize),
    Disable(usize),
    Lock(usize),
    Unlock(usize),
    Revoke(usize),
    Verify {
        token: usize,
        secret: usize,
    },
    Rotate {
        token: usize,
        overlap: i64,
    },
    Suspend(usize, bool),
    LockPerson(usize, bool),
    LockService(bool),
    Advance(i64),
    /// To the instant at which a token begins or ends, or to the microsecond before it.
    ToEdge {
        token: usize,
        end: bool,
        before: bool,
    },
    /// The node hears of changes, so that its memory is trusted again.
    Follow,
}

fn act() -> impl Strategy<Value = Act> {
    let token = || 0..64_usize;
    prop_oneof![
        3 => (0..2_usize, option::of(1..40_i64), 1..200_i64, option::of(1..4_u64))
            .prop_map(|(owner, begins, life, limit)| Act::Issue { owner, begins, life, limit }),
        2 => (token(), 1..200_i64).prop_map(|(parent, life)| Act::Derive { parent, life }),
        1 => token().prop_map(Act::Enable),
        1 => token().prop_map(Act::Disable),
        1 => token().prop_map(Act::Lock),
        1 => token().prop_map(Act::Unlock),
        1 => token().prop_map(Act::Revoke),
        8 => (token(), 0..4_usize).prop_map(|(token, secret)| Act::Verify { token, secret }),
        2 => (token(), 0..60_i64).prop_map(|(token, overlap)| Act::Rotate { token, overlap }),
        1 => (0..2_usize, any::<bool>()).prop_map(|(owner, on)| Act::Suspend(owner, on)),
        1 => (0..2_usize, any::<bool>()).prop_map(|(owner, on)| Act::LockPerson(owner, on)),
        1 => any::<bool>().prop_map(Act::LockService),
        2 => (0..60_i64).prop_map(Act::Advance),
        2 => (token(), any::<bool>(), any::<bool>())
            .prop_map(|(token, end, before)| Act::ToEdge { token, end, before }),
        1 => Just(Act::Follow),
    ]
}

/// A token as the rules have it.
#[derive(Debug, Clone)]
struct Modelled {
    owner: usize,
    parent: Option<usize>,
    from: Option<i64>,
    to: i64,
    limit: Option<u64>,
    used: u64,
    enabled: bool,
    locked: bool,
    revoked: bool,
    /// Until when each of its secrets counts, the current one last.
    secrets: Vec<Option<i64>>,
}

/// Everything that decides, and nothing else.
#[derive(Debug, Default)]
struct Model {
    now: i64,
    tokens: Vec<Modelled>,
    suspended: [bool; 2],
    locked: [bool; 2],
    service_locked: bool,
}

impl Model {
    /// The first that holds.
    fn state(&self, token: usize) -> State {
        let it = &self.tokens[token];
        let began = it.from.is_none_or(|from| from <= self.now);
        match () {
            () if it.revoked => State::Revoked,
            () if it.locked => State::Locked,
            () if !it.enabled => State::Disabled,
            () if !began => State::NotYetValid,
            () if it.to <= self.now => State::Expired,
            () if it.limit.is_some_and(|limit| it.used >= limit) => State::Exhausted,
            () => State::Active,
        }
    }

    /// Whether its owner and its service count.
    fn surrounded(&self, token: usize) -> bool {
        let owner = self.tokens[token].owner;
        !self.suspended[owner] && !self.locked[owner] && !self.service_locked
    }

    fn secret_counts(&self, token: usize, secret: usize) -> bool {
        self.tokens[token].secrets[secret].is_none_or(|until| self.now < until)
    }

    /// Whether it counts, with all that it came from.
    fn counts(&self, token: usize) -> bool {
        let parent = self.tokens[token].parent;
        self.state(token) == State::Active
            && self.surrounded(token)
            && parent.is_none_or(|parent| self.counts(parent))
    }

    fn depth(&self, token: usize) -> usize {
        self.tokens[token].parent.map_or(0, |parent| 1 + self.depth(parent))
    }

    /// It ends, and so does what was derived from it.
    fn revoke(&mut self, token: usize) {
        self.tokens[token].revoked = true;
        for child in 0..self.tokens.len() {
            if self.tokens[child].parent == Some(token) {
                self.revoke(child);
            }
        }
    }

    /// What is locked, suspended or over gets no new secret.
    fn rotates(&self, token: usize) -> bool {
        let it = &self.tokens[token];
        !it.revoked && !it.locked && it.to > self.now && self.surrounded(token)
    }
}

/// The real thing beside its model.
struct Both {
    world: World,
    model: Model,
    /// The ids of the tokens, and their secrets in the order of the model.
    real: Vec<(TokenId, Vec<String>)>,
    _dir: Option<tempfile::TempDir>,
}

impl Both {
    async fn in_memory() -> Self {
        Self::over(Arc::new(MemoryStore::new()), None).await
    }

    async fn on_sqlite() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let url = DatabaseUrl::Sqlite(dir.path().join("counterfoil.db"));
        let store = counterfoil_store::open(&url, OpenOptions::default()).await.unwrap();
        Self::over(store, Some(dir)).await
    }

    async fn over(store: Arc<dyn Store>, dir: Option<tempfile::TempDir>) -> Self {
        let world = World::over(store).await;
        let model = Model { now: world.authority.now().micros(), ..Model::default() };
        Self { world, model, real: Vec::new(), _dir: dir }
    }

    fn chosen(&self, number: usize) -> Option<usize> {
        number.checked_rem(self.real.len())
    }

    fn set_clock(&mut self, micros: i64) {
        // Time goes on, here.
        self.model.now = self.model.now.max(micros);
        self.world.clock.set(Timestamp::from_micros(self.model.now));
    }

    async fn perform(&mut self, act: &Act) {
        match *act {
            Act::Issue { owner, begins, life, limit } => {
                self.issue(owner, begins, life, limit).await;
            }
            Act::Derive { parent, life } => {
                if let Some(parent) = self.chosen(parent) {
                    self.derive(parent, life).await;
                }
            }
            Act::Enable(token) => self.switch(token, Switch::Enable, |it| it.enabled = true).await,
            Act::Disable(token) => {
                self.switch(token, Switch::Disable, |it| it.enabled = false).await;
            }
            Act::Lock(token) => self.switch(token, Switch::Lock, |it| it.locked = true).await,
            Act::Unlock(token) => self.switch(token, Switch::Unlock, |it| it.locked = false).await,
            Act::Revoke(token) => {
                let Some(token) = self.chosen(token) else { return };
                let revoke = Switch::Revoke { reason: None };
                let World { authority, admin, realm, .. } = &self.world;
                authority.change(admin, realm, self.real[token].0, revoke, None).await.unwrap();
                self.model.revoke(token);
            }
            Act::Verify { token, secret } => {
                let Some(token) = self.chosen(token) else { return };
                let secret = secret % self.real[token].1.len();
                self.present(token, secret, true).await;
            }
            Act::Rotate { token, overlap } => {
                if let Some(token) = self.chosen(token) {
                    self.rotate(token, overlap).await;
                }
            }
            Act::Suspend(owner, on) => {
                let status = if on { UserStatus::Suspended } else { UserStatus::Active };
                self.world.set_status(OWNERS[owner], status).await;
                self.model.suspended[owner] = on;
            }
            Act::LockPerson(owner, on) => {
                let name = Username::parse(OWNERS[owner]).unwrap();
                let World { authority, admin, realm, .. } = &self.world;
                let lock = LockAct { on, reason: None };
                authority.lock_user(admin, realm, &name, None, &lock).await.unwrap();
                self.model.locked[owner] = on;
            }
            Act::LockService(on) => {
                let World { authority, admin, realm, .. } = &self.world;
                let lock = LockAct { on, reason: None };
                authority.lock_service(admin, realm, &label("git"), &lock).await.unwrap();
                self.model.service_locked = on;
            }
            Act::Advance(seconds) => self.set_clock(self.model.now + seconds * SECOND),
            Act::ToEdge { token, end, before } => {
                let Some(token) = self.chosen(token) else { return };
                let it = &self.model.tokens[token];
                let edge = if end { Some(it.to) } else { it.from };
                if let Some(edge) = edge {
                    self.set_clock(edge - i64::from(before));
                }
            }
            Act::Follow => drop(self.world.authority.follow_changes().await.unwrap()),
        }
    }

    async fn issue(&mut self, owner: usize, begins: Option<i64>, life: i64, limit: Option<u64>) {
        let from = begins.map(|seconds| self.model.now + seconds * SECOND);
        let to = from.unwrap_or(self.model.now) + life * SECOND;
        let mut wish = wish(Kind::PersonalAccessToken, OWNERS[owner], &["git"]);
        wish.not_before = from.map(Timestamp::from_micros);
        wish.expires = Expiry::At(Timestamp::from_micros(to));
        wish.max_usages = limit;
        let World { authority, admin, realm, .. } = &self.world;
        let issued = authority.issue(admin, realm, wish, None).await;
        // Nobody gets a token who is locked or suspended, or for what is.
        let allowed = issued.is_ok();
        let free =
            !self.model.suspended[owner] && !self.model.locked[owner] && !self.model.service_locked;
        assert!(allowed || !free, "{:?}", issued.err());
        let Ok(issued) = issued else { return };
        let (token, secret) = fresh(issued);
        self.real.push((token.id, vec![secret]));
        self.model.tokens.push(Modelled {
            owner,
            parent: None,
            from,
            to,
            limit,
            used: 0,
            enabled: true,
            locked: false,
            revoked: false,
            secrets: vec![None],
        });
    }

    /// By the holder of the parent's current secret.
    async fn derive(&mut self, parent: usize, life: i64) {
        // What a use of a counted token is, deriving is not: a rule of its own.
        if self.model.depth(parent) >= DEPTH_MAX || self.model.tokens[parent].limit.is_some() {
            return;
        }
        let authority = &self.world.authority;
        let secret = self.real[parent].1.last().unwrap().clone();
        let caller = authority.authenticate(&secret, context()).await;
        let to = self.model.now + life * SECOND;
        let fits = self.model.tokens[parent].to >= to;
        let request = DeriveRequest {
            name: None,
            description: None,
            services: None,
            scopes: None,
            permissions: None,
            expires: Expiry::At(Timestamp::from_micros(to)),
            max_usages: None,
            networks: None,
            doors: None,
            labels: std::collections::BTreeMap::new(),
        };
        let derived = match caller {
            Ok(caller) => authority.self_derive(&caller, request, None).await.ok(),
            Err(_) => None,
        };
        let counts = self.model.counts(parent);
        assert_eq!(derived.is_some(), counts && fits, "deriving from {parent}: {:?}", self.model);
        let Some(derived) = derived else { return };
        let (token, secret) = fresh(derived);
        self.real.push((token.id, vec![secret]));
        let owner = self.model.tokens[parent].owner;
        self.model.tokens.push(Modelled {
            owner,
            parent: Some(parent),
            from: None,
            to,
            limit: None,
            used: 0,
            enabled: true,
            locked: false,
            revoked: false,
            secrets: vec![None],
        });
    }

    async fn switch(&mut self, token: usize, act: Switch, change: impl Fn(&mut Modelled)) {
        let Some(token) = self.chosen(token) else { return };
        let World { authority, admin, realm, .. } = &self.world;
        let id = self.real[token].0;
        let before = authority.token(admin, realm, id).await.unwrap();
        let done = authority.change(admin, realm, id, act.clone(), None).await;
        // What is revoked stays as it is.
        assert_eq!(done.is_ok(), !self.model.tokens[token].revoked, "{act:?}");
        let Ok(once) = done else { return };
        change(&mut self.model.tokens[token]);
        // And the same again changes nothing, nor does what is so already.
        let twice = authority.change(admin, realm, id, act, None).await.unwrap();
        assert_eq!(once.version, twice.version);
        let changed = (before.enabled, before.locked) != (once.enabled, once.locked);
        assert_eq!(once.version > before.version, changed);
    }

    async fn rotate(&mut self, token: usize, overlap: i64) {
        let World { authority, admin, realm, .. } = &self.world;
        let id = self.real[token].0;
        let rotated = authority.rotate(admin, realm, id, Some(overlap), None, None).await;
        let allowed = self.model.rotates(token);
        assert_eq!(rotated.is_ok(), allowed, "{token}: {:?} {:?}", rotated.err(), self.model);
        let Ok(rotated) = rotated else { return };
        let (after, secret) = fresh(rotated);
        let it = &mut self.model.tokens[token];
        assert_eq!(after.validity.expires_at().map(Timestamp::micros), Some(it.to));
        let until = self.model.now + overlap * SECOND;
        // The one before gets the overlap; those before that end when they were to end.
        if let Some(former) = it.secrets.last_mut() {
            *former = Some(until);
        }
        it.secrets.push(None);
        // The oldest make room.
        let room = it.secrets.len().saturating_sub(SECRETS_PER_TOKEN_MAX);
        for former in &mut it.secrets[..room] {
            *former = Some(i64::MIN);
        }
        self.real[token].1.push(secret);
    }

    /// Presents a secret, and counts it if it is accepted and limited.
    async fn present(&mut self, token: usize, secret: usize, consume: bool) {
        let verdict = self.ask(&self.real[token].1[secret], consume).await;
        let counts = self.model.counts(token) && self.model.secret_counts(token, secret);
        let said = reason(&verdict);
        assert_eq!(said.is_none(), counts, "{token}.{secret}: {said:?} {:?}", self.model);
        let state = self.model.state(token);
        // Limits come last of all: who is suspended is told that, whatever is left.
        let told = match state {
            State::Active => false,
            State::Exhausted => self.model.surrounded(token),
            _ => true,
        };
        if told && self.model.secret_counts(token, secret) {
            assert_eq!(said, state.refusal(), "{token}.{secret}");
        }
        if counts && consume && self.model.tokens[token].limit.is_some() {
            self.model.tokens[token].used += 1;
        }
    }

    async fn ask(&self, presented: &str, consume: bool) -> Verdict {
        let (origin, git) = (Origin::system(Door::Api), label("git"));
        let request = VerifyRequest {
            realm: &self.world.realm,
            presented,
            username: None,
            binding: Binding::Service(&git),
            scopes: &[],
            resource: None,
            action: None,
            client_ip: None,
            consume,
            throttled: false,
            origin: &origin,
        };
        self.world.authority.verify(request).await.unwrap()
    }

    /// All that there is, held against the model.
    async fn compare(&mut self) {
        for token in 0..self.real.len() {
            let (id, secrets) = &self.real[token];
            let last = secrets.len() - 1;
            let found = self.world.store.token_find(&self.world.realm, *id).await.unwrap();
            let stored = found.unwrap();
            let now = Timestamp::from_micros(self.model.now);
            let it = &self.model.tokens[token];
            assert_eq!(stored.state(now), self.model.state(token), "{token}: {stored:?}");
            let real = (stored.enabled, stored.locked, stored.revocation.is_some());
            assert_eq!(real, (it.enabled, it.locked, it.revoked), "{token}");
            if it.limit.is_some() {
                assert_eq!(stored.used, it.used, "{token}");
            }
            // Looking counts nothing.
            self.present(token, last, false).await;
        }
        let mistyped = self.ask("cflp_000000000000zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz000000", true);
        assert_eq!(reason(&mistyped.await), Some(Reason::Unknown));
    }
}

/// Lives a sequence through on a store.
fn live(acts: &[Act], sqlite: bool) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut both = if sqlite { Both::on_sqlite().await } else { Both::in_memory().await };
        for act in acts {
            both.perform(act).await;
            both.compare().await;
        }
    });
}

fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, max_shrink_iters: 2_000, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(cases(60))]

    #[test]
    fn a_token_lives_as_the_rules_say(acts in vec(act(), 1..60)) {
        live(&acts, false);
    }
}

proptest! {
    #![proptest_config(cases(12))]

    #[test]
    fn a_token_lives_as_the_rules_say_on_sqlite(acts in vec(act(), 1..40)) {
        live(&acts, true);
    }
}

proptest! {
    #![proptest_config(cases(2_000))]

    #[test]
    #[ignore = "long: two thousand lives in memory, of up to two hundred acts"]
    fn a_token_lives_as_the_rules_say_for_a_long_time(acts in vec(act(), 1..200)) {
        live(&acts, false);
    }
}

proptest! {
    #![proptest_config(cases(150))]

    #[test]
    #[ignore = "long: a hundred and fifty lives on SQLite, of up to a hundred acts"]
    fn a_token_lives_as_the_rules_say_on_sqlite_for_a_long_time(acts in vec(act(), 1..100)) {
        live(&acts, true);
    }
}

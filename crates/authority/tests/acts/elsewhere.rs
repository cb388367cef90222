//! Secrets that a repository of somebody else knows: who is asked, and what its silence means.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use counterfoil_authority::authority::{Binding, Verdict};
use counterfoil_authority::custom::{
    Addressing, Capabilities, Capability, DelegatedQuestion, Descriptor, Elsewhere, ForeignUse,
    Guarded, RepositoryError, Selector, Settings, TokenRepository, UsageKept, VerifyMode,
    VerifyRecord, sha256_text,
};
use counterfoil_authority::refusal::Refusal;
use counterfoil_authority::service::Services;
use counterfoil_authority::subject::UserStatus;
use counterfoil_authority::verdict::Reason;
use serde_json::{Value, json};

use crate::world::{World, label, reason};

const SECRET: &str = "acme_ab12cd34_0123456789abcdefghijklmnop";

/// A repository that tells what it was given, and counts how often it is asked.
struct Fake {
    record: Value,
    asked: AtomicUsize,
    silent: AtomicBool,
}

#[async_trait]
impl TokenRepository for Fake {
    fn driver(&self) -> &'static str {
        "fake"
    }

    async fn describe(&self) -> Result<Descriptor, RepositoryError> {
        let capabilities = Capabilities::of(&[Capability::Lookup]);
        Ok(Descriptor { software: "fake".into(), capabilities })
    }

    async fn lookup(&self, _: &Selector) -> Result<Vec<VerifyRecord>, RepositoryError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        if self.silent.load(Ordering::SeqCst) {
            return Err(RepositoryError::unavailable("silent"));
        }
        Ok(vec![VerifyRecord::read(&self.record).unwrap()])
    }
}

impl Fake {
    fn of(record: Value) -> Arc<Self> {
        let (asked, silent) = (AtomicUsize::new(0), AtomicBool::new(false));
        Arc::new(Self { record, asked, silent })
    }

    fn with_prefix(more: &Value) -> Arc<Self> {
        let mut record = json!({"id": "7", "user": "alice", "hash": *sha256_text(SECRET)});
        for (name, value) in more.as_object().into_iter().flatten() {
            record[name] = value.clone();
        }
        Self::of(record)
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

fn settings(world: &World, name: &str, services: Services) -> Settings {
    Settings::new(name, world.realm.clone(), services)
}

/// The world with one repository that is reached by its prefix.
async fn with(fake: &Arc<Fake>) -> World {
    let world = World::new().await;
    let mut settings = settings(&world, "acme", Services::All);
    settings.prefix = Some("acme_".into());
    settings.addressing = Addressing::Prefix(14);
    let guarded = Guarded::new(settings, Arc::clone(fake) as Arc<dyn TokenRepository>);
    world.authority.set_elsewhere(Elsewhere::new(vec![Arc::new(guarded)]));
    world
}

async fn fails(world: &World, secret: &str) -> Refusal {
    let git = label("git");
    let origin =
        counterfoil_authority::event::Origin::system(counterfoil_authority::verdict::Door::Api);
    let request = counterfoil_authority::authority::VerifyRequest {
        realm: &world.realm,
        presented: secret,
        username: None,
        binding: Binding::Service(&git),
        scopes: &[],
        resource: None,
        action: None,
        client_ip: None,
        consume: true,
        throttled: true,
        origin: &origin,
    };
    world.authority.verify(request).await.unwrap_err()
}

#[tokio::test]
async fn a_secret_with_a_prefix_is_looked_up_there_and_no_other_one_is() {
    let fake = Fake::with_prefix(&json!({}));
    let world = with(&fake).await;
    let Verdict::Active(active) = world.verify(SECRET, None, "git").await else { panic!() };
    assert_eq!((active.username(), active.kept_by()), (Some("alice"), Some("acme")));
    assert_eq!(fake.asked(), 1);
    for other in ["hunter2", "cflp_0123456789AB_x", "acme-ab12cd34_0123456789abcdefghijkl"] {
        assert_eq!(reason(&world.verify(other, None, "git").await), Some(Reason::Unknown));
    }
    assert_eq!(fake.asked(), 1);
    let wrong = format!("{SECRET}x");
    assert_eq!(reason(&world.verify(&wrong, None, "git").await), Some(Reason::Unknown));
    // Nobody logs in at the API with it, and nobody is asked about one who tries.
    assert_eq!(fake.asked(), 2);
    assert!(world.authority.authenticate(SECRET, crate::world::context()).await.is_err());
    let api = world.verify(SECRET, None, "counterfoil").await;
    assert!(reason(&api).is_some());
    assert_eq!(fake.asked(), 2);
}

#[tokio::test]
async fn a_yes_is_remembered_for_seconds_and_a_no_is_not() {
    let fake = Fake::with_prefix(&json!({}));
    let world = with(&fake).await;
    for _ in 0..3 {
        assert_eq!(reason(&world.verify(SECRET, None, "git").await), None);
    }
    assert_eq!(fake.asked(), 1);
    // What is remembered is judged anew: for this service, of this person, as they stand.
    let wrong = world.verify(SECRET, Some("bob"), "git").await;
    assert_eq!(reason(&wrong), Some(Reason::WrongUser));
    world.set_status("alice", UserStatus::Suspended).await;
    let suspended = world.verify(SECRET, None, "git").await;
    assert_eq!(reason(&suspended), Some(Reason::OwnerInactive));
    world.set_status("alice", UserStatus::Active).await;
    let before = fake.asked();
    world.clock.advance_seconds(6);
    assert_eq!(reason(&world.verify(SECRET, None, "git").await), None);
    assert!(fake.asked() > before);
}

#[tokio::test]
async fn silence_is_unavailable_and_a_remembered_yes_outlives_it_for_seconds_only() {
    let fake = Fake::with_prefix(&json!({}));
    let world = with(&fake).await;
    assert_eq!(reason(&world.verify(SECRET, None, "git").await), None);
    fake.silent.store(true, Ordering::SeqCst);
    assert_eq!(reason(&world.verify(SECRET, None, "git").await), None);
    world.clock.advance_seconds(6);
    for _ in 0..10 {
        assert!(matches!(fails(&world, SECRET).await, Refusal::Unavailable(_)));
    }
    // The breaker saw to it that it was left alone.
    assert_eq!(fake.asked(), 6);
    assert!(world.authority.repository_health()[0].figures.open);
    fake.silent.store(false, Ordering::SeqCst);
    world.clock.advance_seconds(2);
    assert_eq!(reason(&world.verify(SECRET, None, "git").await), None);
    assert!(!world.authority.repository_health()[0].figures.open);
}

#[tokio::test]
async fn a_hash_that_cannot_be_read_is_no_denial() {
    let fake = Fake::with_prefix(&json!({"hash": "{MD5}whatever"}));
    let world = with(&fake).await;
    assert!(matches!(fails(&world, SECRET).await, Refusal::Unavailable(_)));
}

#[tokio::test]
async fn a_token_is_judged_by_its_record() {
    for (more, expected) in [
        (json!({"enabled": false}), Reason::Disabled),
        (json!({"revoked": true}), Reason::Revoked),
        (json!({"locked": true}), Reason::Locked),
        (json!({"validTo": 1_780_000_000}), Reason::Expired),
        (json!({"validFrom": 1_799_000_000}), Reason::NotYetValid),
        (json!({"services": ["mail"]}), Reason::WrongService),
        (json!({"networks": ["10.0.0.0/8"]}), Reason::NetworkDenied),
        (json!({"user": "nobody"}), Reason::OwnerInactive),
        (json!({"maxUsages": 0}), Reason::Exhausted),
    ] {
        let fake = Fake::with_prefix(&more);
        let world = with(&fake).await;
        assert_eq!(reason(&world.verify(SECRET, None, "git").await), Some(expected), "{more}");
    }
}

#[tokio::test]
async fn a_limit_is_counted_here_and_uses_are_flushed() {
    let fake = Fake::with_prefix(&json!({"maxUsages": 2}));
    let world = with(&fake).await;
    for remaining in [1, 0] {
        let Verdict::Active(active) = world.verify(SECRET, None, "git").await else { panic!() };
        assert_eq!(active.remaining(), Some(remaining));
    }
    let third = world.verify(SECRET, None, "git").await;
    assert_eq!(reason(&third), Some(Reason::Exhausted));
    world.authority.flush_usage().await.unwrap();
    let Verdict::Inactive { token: Some(token), .. } = third else { panic!() };
    let known = world.store.foreign_use_find(&world.realm, vec![token]).await.unwrap();
    assert_eq!((known[0].used, known[0].total, known[0].denied_total), (2, 2, 1));
    assert_eq!((known[0].key.repository.as_str(), known[0].key.id.as_str()), ("acme", "7"));
}

/// A repository that decides by itself, and by the service that it is asked for.
struct OfGit(AtomicUsize);

#[async_trait]
impl TokenRepository for OfGit {
    fn driver(&self) -> &'static str {
        "fake"
    }

    async fn describe(&self) -> Result<Descriptor, RepositoryError> {
        let capabilities = Capabilities::of(&[Capability::DelegatedVerify]);
        Ok(Descriptor { software: "fake".into(), capabilities })
    }

    async fn verify_delegated(
        &self,
        question: &DelegatedQuestion,
    ) -> Result<Option<VerifyRecord>, RepositoryError> {
        self.0.fetch_add(1, Ordering::SeqCst);
        let good = question.service.as_deref() == Some("git");
        let record = json!({"id": "7", "user": "alice"});
        Ok(good.then(|| VerifyRecord::read(&record).unwrap()))
    }
}

#[tokio::test]
async fn a_yes_for_one_service_is_remembered_for_that_one() {
    let fake = Arc::new(OfGit(AtomicUsize::new(0)));
    let world = World::new().await;
    let mut settings = settings(&world, "acme", Services::All);
    settings.prefix = Some("acme_".into());
    settings.verify = VerifyMode::Delegated;
    let guarded = Guarded::new(settings, Arc::clone(&fake) as Arc<dyn TokenRepository>);
    world.authority.set_elsewhere(Elsewhere::new(vec![Arc::new(guarded)]));
    let asked = || fake.0.load(Ordering::SeqCst);
    for _ in 0..2 {
        assert_eq!(reason(&world.verify(SECRET, None, "git").await), None);
    }
    assert_eq!(asked(), 1);
    assert_eq!(reason(&world.verify(SECRET, None, "mail").await), Some(Reason::Unknown));
    assert_eq!(asked(), 2);
    // Nor is it a yes for whoever asks about several, or about none.
    let both = [label("git"), label("mail")];
    for binding in [Binding::AnyOf(&both), Binding::Unbound] {
        let verdict = world.ask(SECRET, None, binding, &[]).await;
        assert_eq!(reason(&verdict), Some(Reason::Unknown));
    }
    assert_eq!(asked(), 4);
}

/// Without a prefix the service leads there, once our own tokens were looked through.
#[tokio::test]
async fn a_repository_without_a_prefix_is_asked_by_person_where_its_service_is_meant() {
    let hash = "{SSHA}aTAOJG0ivhFFnnRoGfnx+9B/u1ExYTJi";
    let fake = Fake::of(json!({"id": "7", "user": "alice", "hash": hash}));
    let world = World::new().await;
    let services = Services::Named(vec![label("git")]);
    let guarded = Guarded::new(settings(&world, "directory", services), Arc::clone(&fake) as _);
    world.authority.set_elsewhere(Elsewhere::new(vec![Arc::new(guarded)]));
    let secret = "k7mq-2x9d-hw4t-p8zc";
    assert_eq!(reason(&world.verify(secret, Some("alice"), "git").await), None);
    assert_eq!(fake.asked(), 1);
    assert_eq!(reason(&world.verify(secret, None, "git").await), Some(Reason::Unknown));
    assert_eq!(reason(&world.verify(secret, Some("alice"), "mail").await), Some(Reason::Unknown));
    assert_eq!(fake.asked(), 1);
    let bob = world.verify(secret, Some("bob"), "git").await;
    assert_eq!(reason(&bob), Some(Reason::WrongUser));
}

/// A repository that knows every secret, a token for each, and is told of their uses: it takes so
/// many calls and then none, until it is let take more.
struct Told {
    takes: AtomicUsize,
    calls: Mutex<Vec<Vec<(String, u64)>>>,
}

#[async_trait]
impl TokenRepository for Told {
    fn driver(&self) -> &'static str {
        "fake"
    }

    async fn describe(&self) -> Result<Descriptor, RepositoryError> {
        let all = [Capability::DelegatedVerify, Capability::UsageWrite];
        Ok(Descriptor { software: "fake".into(), capabilities: Capabilities::of(&all) })
    }

    async fn verify_delegated(
        &self,
        question: &DelegatedQuestion,
    ) -> Result<Option<VerifyRecord>, RepositoryError> {
        let record = json!({"id": question.secret.as_str(), "user": "alice"});
        Ok(Some(VerifyRecord::read(&record).unwrap()))
    }

    async fn record_usage(&self, uses: &[ForeignUse]) -> Result<(), RepositoryError> {
        let left = self.takes.load(Ordering::SeqCst);
        if left == 0 {
            return Err(RepositoryError::unavailable("enough"));
        }
        self.takes.store(left - 1, Ordering::SeqCst);
        let told = uses.iter().map(|one| (one.id.to_string(), one.accepted)).collect();
        self.calls.lock().unwrap().push(told);
        Ok(())
    }
}

#[tokio::test]
async fn a_repository_is_told_of_uses_in_parts_and_of_each_use_once() {
    let (takes, calls) = (AtomicUsize::new(1), Mutex::new(Vec::new()));
    let fake = Arc::new(Told { takes, calls });
    let world = World::new().await;
    let mut settings = settings(&world, "acme", Services::All);
    settings.prefix = Some("acme_".into());
    settings.verify = VerifyMode::Delegated;
    settings.usage = UsageKept::There;
    let guarded = Guarded::new(settings, Arc::clone(&fake) as Arc<dyn TokenRepository>);
    world.authority.set_elsewhere(Elsewhere::new(vec![Arc::new(guarded)]));
    for number in 0..120 {
        let secret = format!("acme_{number:035}");
        assert_eq!(reason(&world.verify(&secret, None, "git").await), None);
    }
    // The second part is not taken: it, and what was to follow, is told the next time.
    world.authority.tell_uses_elsewhere().await;
    fake.takes.store(usize::MAX, Ordering::SeqCst);
    world.clock.advance_seconds(3_600);
    world.authority.tell_uses_elsewhere().await;
    world.authority.tell_uses_elsewhere().await;
    let calls = fake.calls.lock().unwrap();
    assert_eq!(calls.iter().map(Vec::len).collect::<Vec<_>>(), [50, 50, 20]);
    let tokens: BTreeSet<&String> = calls.iter().flatten().map(|(id, _)| id).collect();
    assert_eq!(tokens.len(), 120);
    assert!(calls.iter().flatten().all(|(_, uses)| *uses == 1));
}

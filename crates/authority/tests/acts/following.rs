//! Several nodes on one store: how long one of them believes what it remembers.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use counterfoil_authority::authority::VerifyRequest;
use counterfoil_authority::authority::{Act, Authority, Binding, NotReady, Settings, Verdict};
use counterfoil_authority::clock::{Clock, Entropy, Timestamp};
use counterfoil_authority::event::Origin;
use counterfoil_authority::keys::KeyRing;
use counterfoil_authority::kind::Kind;
use counterfoil_authority::names::{RealmName, ShadowName};
use counterfoil_authority::refusal::Refusal;
use counterfoil_authority::shadow::{Compared, OldSystem, Question, Said, Shadow, ShadowSettings};
use counterfoil_authority::store::{Change, EventFilter, PageRequest, ShadowFilter, Store};
use counterfoil_authority::subject::UserStatus;
use counterfoil_authority::testing::SeededEntropy;
use counterfoil_authority::token::Token;
use counterfoil_authority::verdict::{Door, Reason};
use counterfoil_store::{FailingStore, MemoryStore};

use crate::world::{World, label, reason, wish};

/// A second node of the world, and the store as it has it.
struct Node {
    authority: Authority,
    store: Arc<FailingStore>,
}

impl Node {
    fn of(world: &World) -> Self {
        let store = Arc::new(FailingStore::of_another_process(Arc::clone(&world.store)));
        // The seed of the world: both nodes have the installation's keys.
        let keys = KeyRing::generate(&SeededEntropy::new(1)).unwrap();
        let entropy: Arc<dyn Entropy> = Arc::new(SeededEntropy::new(2));
        let clock = Arc::clone(&world.clock) as Arc<dyn Clock>;
        let shared = Arc::clone(&store) as Arc<dyn Store>;
        let settings = Settings::default();
        let authority = Authority::new(shared, clock, entropy, keys, settings).unwrap();
        Self { authority, store }
    }

    async fn try_verify(&self, secret: &str) -> Result<Verdict, Refusal> {
        let request = VerifyRequest {
            realm: &RealmName::parse("main").unwrap(),
            presented: secret,
            username: None,
            binding: Binding::Service(&label("git")),
            scopes: &[],
            resource: None,
            action: None,
            client_ip: None,
            consume: true,
            throttled: true,
            origin: &Origin::system(Door::Api),
        };
        self.authority.verify(request).await
    }

    /// Why the token is refused, and how often the store was asked about that.
    async fn verify(&self, secret: &str) -> (Option<Reason>, usize) {
        self.store.heal();
        let verdict = self.try_verify(secret).await.unwrap();
        (reason(&verdict), self.store.calls().len())
    }

    fn distrusted(&self) -> u64 {
        self.authority.figures().cache.distrusted
    }
}

/// A token of alice for `git`.
async fn token(world: &World) -> (Token, String) {
    world.issue(wish(Kind::PersonalAccessToken, "alice", &["git"])).await
}

/// An act of the first node, of which the second one hears through the log.
async fn act(world: &World, token: &Token, act: Act) {
    let authority = &world.authority;
    authority.change(&world.admin, &world.realm, token.id, act, None).await.unwrap();
}

fn revoke() -> Act {
    Act::Revoke { reason: None }
}

#[tokio::test]
async fn without_news_for_a_second_a_node_asks_the_store_for_each_verify() {
    let world = World::new().await;
    let (token, secret) = token(&world).await;
    let node = Node::of(&world);
    node.authority.follow_changes().await.unwrap();
    assert!(node.verify(&secret).await.1 > 0, "nothing is known yet");
    assert_eq!(node.verify(&secret).await, (None, 0));
    act(&world, &token, revoke()).await;
    assert_eq!(node.verify(&secret).await, (None, 0), "the news is not here yet");
    assert_eq!(node.distrusted(), 0);

    world.clock.advance_seconds(1);
    let (refused, asked) = node.verify(&secret).await;
    assert_eq!(refused, Some(Reason::Revoked));
    assert!(asked > 0);
    assert_eq!(node.verify(&secret).await, (refused, asked), "nothing is kept of what was read");
    assert_eq!(node.distrusted(), 2);

    node.store.fail_from(1);
    let said = node.try_verify(&secret).await.unwrap_err();
    assert!(matches!(said, Refusal::Unavailable(_)), "no denial: {said:?}");
}

#[tokio::test]
async fn the_second_counts_from_when_the_confirming_read_was_sent() {
    let world = World::new().await;
    let (_, secret) = token(&world).await;
    let node = Node::of(&world);
    node.authority.follow_changes().await.unwrap();
    node.verify(&secret).await;
    let clock = Arc::clone(&world.clock);
    node.store.meanwhile(move |method| {
        if method == "changes_since" {
            clock.advance_seconds(1);
        }
    });
    node.authority.follow_changes().await.unwrap();
    assert!(node.verify(&secret).await.1 > 0, "the answer was under way for a second");
    node.store.meanwhile(|_| ());
    node.authority.follow_changes().await.unwrap();
    assert_eq!(node.verify(&secret).await, (None, 0));
}

#[tokio::test]
async fn what_was_missed_is_made_up_for_before_the_cache_is_trusted_again() {
    let world = World::new().await;
    let (lost, lost_secret) = token(&world).await;
    let (kept, kept_secret) = token(&world).await;
    let node = Node::of(&world);
    node.authority.follow_changes().await.unwrap();
    for secret in [&lost_secret, &kept_secret] {
        assert_eq!(node.verify(secret).await.0, None);
        assert_eq!(node.verify(secret).await, (None, 0));
    }
    // The log cannot be read, and meanwhile something happens.
    node.store.fail_from(1);
    node.authority.follow_changes().await.unwrap_err();
    world.clock.advance_seconds(1);
    assert_eq!(node.verify(&lost_secret).await.0, None);
    act(&world, &lost, Act::Disable).await;
    act(&world, &kept, Act::Disable).await;
    act(&world, &kept, Act::Enable).await;
    assert_eq!(node.verify(&kept_secret).await.0, None);

    node.store.heal();
    let lags = node.authority.follow_changes().await.unwrap();
    assert_eq!(lags, [Duration::ZERO; 3], "the clock stands still");
    assert_eq!(node.verify(&lost_secret).await.0, Some(Reason::Disabled));
    assert_eq!(node.verify(&lost_secret).await, (Some(Reason::Disabled), 0));
    assert_eq!(node.verify(&kept_secret).await.0, None);
    assert_eq!(node.verify(&kept_secret).await, (None, 0), "trusted again");
}

#[tokio::test]
async fn what_the_owner_and_the_service_are_is_not_believed_for_longer_either() {
    let world = World::new().await;
    let (_, secret) = token(&world).await;
    let node = Node::of(&world);
    node.authority.follow_changes().await.unwrap();
    node.verify(&secret).await;
    world.set_status("alice", UserStatus::Suspended).await;
    assert_eq!(node.verify(&secret).await, (None, 0));
    world.clock.advance_seconds(1);
    assert_eq!(node.verify(&secret).await.0, Some(Reason::OwnerInactive));
    world.clock.advance_seconds(-2);
    assert!(node.verify(&secret).await.1 > 0, "the clock went back");
}

#[tokio::test]
async fn before_the_log_was_ever_seen_nothing_is_trusted() {
    let world = World::new().await;
    let (_, secret) = token(&world).await;
    let node = Node::of(&world);
    node.store.fail_from(1);
    node.authority.follow_changes().await.unwrap_err();
    for _ in 0..2 {
        assert!(node.verify(&secret).await.1 > 0);
    }
    node.authority.follow_changes().await.unwrap();
    assert!(node.verify(&secret).await.1 > 0);
    assert_eq!(node.verify(&secret).await, (None, 0));
}

#[tokio::test]
async fn whoever_comes_back_to_another_log_forgets_everything() {
    let world = World::new().await;
    let (token, secret) = token(&world).await;
    let node = Node::of(&world);
    node.authority.follow_changes().await.unwrap();
    node.verify(&secret).await;
    act(&world, &token, revoke()).await;
    // The log is purged: nobody can tell what was in it.
    let later = world.authority.now().plus_seconds(400 * 86_400);
    while world.store.purge(later, None).await.unwrap().rows > 0 {}
    world.add_user("carol").await;
    node.authority.follow_changes().await.unwrap();
    assert_eq!(node.verify(&secret).await.0, Some(Reason::Revoked));
    let place = world.store.changes_end().await.unwrap();
    let read = world.store.changes_since(&place, 1).await.unwrap();
    assert!(!read.changes.contains(&Change::Everything));
}

#[tokio::test]
async fn a_node_that_stops_gives_back_its_lease() {
    let world = World::new().await;
    let node = Node::of(&world);
    world.authority.purge().await.unwrap();
    let now = world.authority.now();
    let take = || world.store.lease_take("purge", "another node", now, now.plus_seconds(1));
    assert_eq!(take().await.unwrap(), None);
    assert!(!node.authority.purge().await.unwrap());
    world.authority.close().await.unwrap();
    assert!(take().await.unwrap().is_some());
}

#[tokio::test]
async fn a_clock_more_than_two_seconds_off_the_databases_is_not_ready() {
    let world = World::new().await;
    world.authority.readiness().await.unwrap();
    let store = Arc::new(MemoryStore::new());
    let shared = Arc::clone(&store) as Arc<dyn Store>;
    let entropy: Arc<dyn Entropy> = Arc::new(SeededEntropy::new(1));
    let keys = KeyRing::generate(entropy.as_ref()).unwrap();
    let clock = Arc::clone(&world.clock) as Arc<dyn Clock>;
    let node = Authority::new(shared, clock, entropy, keys, Settings::default()).unwrap();
    let now = world.authority.now();
    for (seconds, ready) in [(0, true), (2, true), (-2, true), (3, false), (-3, false)] {
        store.set_clock(now.plus_seconds(seconds));
        match node.readiness().await {
            Ok(()) => assert!(ready, "{seconds}"),
            Err(NotReady::Clock { micros }) => {
                assert!(!ready, "{seconds}");
                assert_eq!(Timestamp::from_micros(micros), Timestamp::from_seconds(-seconds));
            }
            Err(other) => panic!("{other}"),
        }
    }
}

/// An old system that says no to everything.
struct No;

#[async_trait]
impl OldSystem for No {
    async fn ask(&self, _: &Question) -> Said {
        Said::Bad
    }
}

/// A report that another node was told to begin anew must not rest on what this one compared
/// before, however soon it is asked for.
#[tokio::test]
async fn a_report_is_begun_anew_on_every_node() {
    let world = World::new().await;
    let node = Node::of(&world);
    let name = ShadowName::parse("old").unwrap();
    let (shadow, mut questions) = Shadow::new(ShadowSettings::new(name, world.realm.clone()));
    node.authority.set_shadows(vec![Arc::clone(&shadow)]);
    node.authority.follow_changes().await.unwrap();
    let mut compare = async || {
        let (origin, presented) = (Origin::system(Door::Api), "what they have there");
        let request = VerifyRequest::of_holder(&world.realm, presented, Binding::Unbound, &origin);
        let verdict = Verdict::Inactive { reason: Reason::Unknown, token: None };
        node.authority.heard(&request, &verdict);
        let question = questions.try_recv().unwrap();
        node.authority.ask_shadow(&shadow, &No, question).await
    };
    let clear = async || {
        world.clock.advance_seconds(1);
        world.authority.clear_shadow(&world.admin, &world.realm, None).await.unwrap();
    };
    let report = async || {
        let (filter, page) = (ShadowFilter::default(), PageRequest::first(9));
        let found = node.authority.shadow_report(&world.admin, &world.realm, filter, page);
        assert!(found.await.unwrap().items.is_empty());
        shadow.figures().count(Compared::AgreeBad)
    };
    assert_eq!(compare().await, Compared::AgreeBad);
    assert_eq!(report().await, 1);
    clear().await;
    // The log was not followed since: the report looks for itself.
    assert_eq!(report().await, 0);
    assert_eq!(compare().await, Compared::AgreeBad);
    node.authority.follow_changes().await.unwrap();
    assert_eq!(report().await, 1, "the same clear counts once");
    clear().await;
    node.authority.follow_changes().await.unwrap();
    assert_eq!(shadow.figures().count(Compared::AgreeBad), 0);
    assert_eq!(shadow.figures().since(), world.clock.now());
}

/// While a node does not trust its memory it keeps nothing of what it reads; which services there
/// are it knows all the same, so that its events name them and its shadows hear of them.
#[tokio::test]
async fn who_trusts_no_memory_knows_which_services_there_are() {
    let world = World::new().await;
    let (_, secret) = token(&world).await;
    let node = Node::of(&world);
    let name = ShadowName::parse("old").unwrap();
    let mut settings = ShadowSettings::new(name, world.realm.clone());
    settings.own_tokens = true;
    let (shadow, mut questions) = Shadow::new(settings);
    node.authority.set_shadows(vec![shadow]);
    node.authority.follow_changes().await.unwrap();
    world.clock.advance_seconds(2);
    let distrusted = node.distrusted();
    let (git, gti) = (label("git"), label("gti"));
    let origin = Origin::system(Door::Api);
    for (label, heard) in [(&git, true), (&gti, false)] {
        let binding = Binding::Service(label);
        let request = VerifyRequest::of_holder(&world.realm, &secret, binding, &origin);
        let verdict = node.authority.verify(request).await.unwrap();
        node.authority.heard(&request, &verdict);
        assert_eq!(questions.try_recv().is_ok(), heard, "{label}");
    }
    assert!(node.distrusted() > distrusted);
    node.try_verify("cft_nothing").await.unwrap();
    node.authority.flush_usage().await.unwrap();
    let filter = EventFilter { kind: Some("verify.refused".into()), ..EventFilter::default() };
    let events = world.store.event_list(&world.realm, filter, PageRequest::first(9)).await;
    let told = events.unwrap().items.into_iter().map(|event| (event.service, event.detail));
    let mistyped = serde_json::json!({ "no_such_service": "gti" });
    let wanted = [(Some("git".to_owned()), None), (None, Some(mistyped))];
    assert_eq!(told.collect::<Vec<_>>(), wanted);
}

//! Promises about issuing.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use counterfoil_authority::kind::Kind;
use counterfoil_authority::names::{ClientName, RealmName, ServiceLabel, Username};
use counterfoil_authority::policy::AtLimit;
use counterfoil_authority::scope::Scope;
use counterfoil_authority::secret::TokenId;
use counterfoil_authority::service::Services;
use counterfoil_authority::store::{Issued, PageRequest, TokenFilter, TokenIssue};
use counterfoil_authority::subject::Owner;
use counterfoil_authority::token::{
    AirlockAttributes, SentinelAttributes, Slot, Token, Told, Usage,
};
use counterfoil_authority::validity::Validity;
use counterfoil_authority::verdict::Door;

use super::World;
use super::world::{limit, race};

/// Every field that a token can have, all of them set.
pub(super) async fn whole_issue(world: &World) -> TokenIssue {
    let alice = world.user("alice").await;
    let (git, wiki) = (world.service("git").await, world.service("wiki").await);
    let unit = world.unit("research").await;
    let mut issue = world.issue_to(&alice);
    let drawn_from = world.issue_to(&alice).token.id;
    let token = issue.token;
    issue.secret.facts.not_before = Some(World::at(1));
    issue.secret.facts.expires_at = Some(World::at(99));
    issue.token = Token {
        kind: Kind::RegistrationToken,
        name: Some("laptop \"1\"".into()),
        description: Some("für α".into()),
        services: Services::Named(vec![wiki.label, git.label]),
        scopes: vec![Scope::parse("repo:push").unwrap(), Scope::parse("a!b").unwrap()],
        permissions: Some(r#"{"git:*":["read"]}"#.into()),
        networks: vec!["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()],
        doors: Some(vec![Door::ForwardAuth, Door::Api]),
        enabled: false,
        locked: true,
        pending: true,
        validity: Validity::new(World::at(10), Some(World::at(20))).unwrap(),
        created_by: "client:gate".into(),
        activated_at: Some(World::at(2)),
        usage: Usage {
            first_at: Some(World::at(3)),
            last_at: Some(World::at(4)),
            last_ip: Some("2001:db8::1".parse().unwrap()),
            total: 5,
            denied_total: 6,
        },
        max_usages: Some(9),
        used: 4,
        labels: [("team".to_owned(), "blue".to_owned()), ("k".into(), "=\n\"".into())].into(),
        airlock: AirlockAttributes {
            serial: Some("SN-1".into()),
            tracking_id: Some("TR-1".into()),
            data_present: true,
            data_encoding: Some("STRING".into()),
            generic_data: [(1, "one".to_owned()), (12, "twelve".to_owned())].into(),
            delivery_date: Some(World::at(30)),
        },
        sentinel: SentinelAttributes {
            told: Told::default(),
            count: Some(50),
            reserved: 2,
            returned: 1,
            identifier: Some("ident".into()),
            ref_id_1: Some("r1".into()),
            ref_id_2: Some("r2".into()),
            constraints: Some(r#"{"host":"*.example"}"#.into()),
            stamp: Some("{}".into()),
            approval: Some("manual".into()),
            registration_token: Some(drawn_from),
        },
        unit: Some(unit),
        parent: Some(drawn_from),
        version: 3,
        ..token
    };
    issue
}

/// By issue, find and list, with every field, for a full and for an empty one.
pub(super) async fn a_token_comes_back_as_it_was_issued(world: World) {
    let whole = whole_issue(&world).await;
    let plain = world.issue_for(Owner::User(Username::parse("alice").unwrap()), &["git"]);
    let mut all = world.issue_for(Owner::User(Username::parse("alice").unwrap()), &[]);
    all.token.services = Services::All;
    all.token.doors = Some(Vec::new());
    for issue in [whole, plain, all] {
        let expected = Token { secrets: vec![issue.secret.facts.clone()], ..issue.token.clone() };
        assert_eq!(world.issued(issue).await, expected);
        assert_eq!(world.token(expected.id).await, expected);
        let (filter, page) = (TokenFilter::default(), PageRequest::first(1));
        let list = world.store.token_list(&world.realm, filter, World::at(0), page).await;
        assert_eq!(list.unwrap().items, [expected]);
    }
}

/// A foreign id answers exactly as one that nobody has.
pub(super) async fn a_token_of_another_realm_is_unknown(world: World) {
    let alice = world.user("alice").await;
    let token = world.token_of(&alice).await;
    let main = RealmName::parse("main").unwrap();
    assert_eq!(world.store.token_find(&main, token.id).await.unwrap(), None);
    let unknown = TokenId::parse("000000000000").unwrap();
    assert_eq!(world.store.token_find(&world.realm, unknown).await.unwrap(), None);
}

/// Neither a person nor a client, nor a person who bears a client's name.
pub(super) async fn nobody_receives_a_token_who_does_not_exist(world: World) {
    world.user("alice").await;
    world.client("gate").await;
    for owner in [
        Owner::User(Username::parse("gate").unwrap()),
        Owner::Client(ClientName::parse("alice").unwrap()),
    ] {
        let issue = world.issue_for(owner, &["counterfoil"]);
        let id = issue.token.id;
        assert_eq!(world.store.token_issue(issue).await.unwrap(), Issued::OwnerGone);
        assert_eq!(world.store.token_record(id).await.unwrap(), None);
    }
    assert_eq!(world.count_events("token.issued").await, 1, "that of the client's key");
}

/// The store cannot say so in other words than "ask again", but it stores nothing.
pub(super) async fn a_token_for_a_removed_service_is_not_stored(world: World) {
    let alice = world.user("alice").await;
    let issue = world.issue_for(Owner::User(alice.username), &["counterfoil", "gone"]);
    let id = issue.token.id;
    let gone = ServiceLabel::parse("gone").unwrap();
    assert_eq!(world.store.token_issue(issue).await.unwrap(), Issued::ServiceGone(gone));
    assert_eq!(world.store.token_record(id).await.unwrap(), None);
    assert_eq!(world.count_events("token.issued").await, 0);
}

/// The token that has the id stays as it is.
pub(super) async fn a_taken_id_is_refused_without_a_trace(world: World) {
    let alice = world.user("alice").await;
    let token = world.token_of(&alice).await;
    let mut issue = world.issue_to(&alice);
    issue.token.id = token.id;
    issue.token.name = Some("another".into());
    issue.idempotency = Some(World::idempotency("an-id", "key", 1));
    assert_eq!(world.store.token_issue(issue.clone()).await.unwrap(), Issued::Collision);
    assert_eq!(world.token(token.id).await, token);
    // The request is not answered yet; with another id it goes through.
    issue.token.id = world.issue_to(&alice).token.id;
    world.issued(issue).await;
    assert_eq!(world.count_events("token.issued").await, 2);
}

/// Of secrets that are found by their hash; others may share one, which never happens.
pub(super) async fn a_taken_hash_is_refused_without_a_trace(world: World) {
    let alice = world.user("alice").await;
    let mut first = world.issue_to(&alice);
    first.secret.found_by_hash = true;
    let mac = first.secret.hash.clone();
    world.issued(first).await;
    let victim = world.token_of(&alice).await;
    let mut second = world.issue_to(&alice);
    second.secret.found_by_hash = true;
    second.secret.hash = mac;
    second.limits = vec![limit(1, AtLimit::ReplaceOldest)];
    let id = second.token.id;
    assert_eq!(world.store.token_issue(second).await.unwrap(), Issued::Collision);
    assert_eq!(world.store.token_record(id).await.unwrap(), None);
    assert_eq!(world.token(victim.id).await.revocation, None);
    assert_eq!(world.count_events("token.issued").await, 2);
}

/// The same bytes, and no second token.
pub(super) async fn a_repeated_issue_is_answered_as_before(world: World) {
    let alice = world.user("alice").await;
    let calls = Arc::new(AtomicUsize::new(0));
    let issue = || {
        let calls = Arc::clone(&calls);
        let mut issue = world.issue_to(&alice);
        let mut asked = World::idempotency("a-repeat", "key", 1);
        asked.answer = Arc::new(move |token| {
            assert_eq!(token.secrets.len(), 1, "the answer sees the token as stored");
            format!("{} {}", token.id, calls.fetch_add(1, Ordering::SeqCst)).into_bytes()
        });
        issue.idempotency = Some(asked);
        issue
    };
    let token = world.issued(issue()).await;
    for _ in 0..2 {
        let again = world.store.token_issue(issue()).await.unwrap();
        let Issued::Replayed(answer) = again else { panic!("{again:?}") };
        assert!(answer.starts_with(token.id.as_bytes()));
    }
    assert_eq!(calls.load(Ordering::SeqCst), 1);
    assert_eq!(world.count_events("token.issued").await, 1);
}

/// Another fingerprint under the same key is another request.
pub(super) async fn a_key_of_another_request_is_refused(world: World) {
    let alice = world.user("alice").await;
    let issue = |request| TokenIssue {
        idempotency: Some(World::idempotency("a-reuse", "key", request)),
        ..world.issue_to(&alice)
    };
    let token = world.issued(issue(1)).await;
    assert_eq!(world.store.token_issue(issue(2)).await.unwrap(), Issued::KeyReused);
    let mut rotate = world.rotate(&token);
    rotate.idempotency = Some(World::idempotency("a-reuse", "key", 3));
    let rotated = world.store.token_rotate(rotate).await.unwrap();
    assert_eq!(rotated, counterfoil_authority::store::Rotated::KeyReused);
}

/// Another caller's key is another key; after its end a key is free again.
pub(super) async fn a_key_counts_for_its_caller_until_its_end(world: World) {
    let alice = world.user("alice").await;
    let issue = |caller: &str, at: i64| {
        let mut issue = world.issue_to(&alice);
        issue.token.created_at = World::at(at);
        issue.idempotency = Some(World::idempotency(caller, "key", 1));
        issue
    };
    world.issued(issue("one", 0)).await;
    world.issued(issue("two", 0)).await;
    let again = world.store.token_issue(issue("one", 3_599)).await.unwrap();
    assert!(matches!(again, Issued::Replayed(_)));
    let mut late = issue("one", 3_600);
    late.idempotency.as_mut().unwrap().expires_at = World::at(9_000);
    let token = world.issued(late).await;
    let again = world.store.token_issue(issue("one", 3_601)).await.unwrap();
    assert_eq!(again, Issued::Replayed(format!("answer for {}", token.id).into_bytes()));
}

/// The others receive the answer of the one, byte for byte.
pub(super) async fn of_forty_equal_issues_one_takes_effect(world: World) {
    let alice = world.user("alice").await;
    let said = race(40, |_| {
        let (world, alice) = (world.clone(), alice.clone());
        async move {
            let mut issue = world.issue_to(&alice);
            issue.idempotency = Some(World::idempotency("a-race", "key", 1));
            world.store.token_issue(issue).await.unwrap()
        }
    })
    .await;
    let mut done = Vec::new();
    for said in &said {
        if let Issued::Done { token, .. } = said {
            done.push(token.id);
        }
    }
    assert_eq!(done.len(), 1);
    let replayed = Issued::Replayed(format!("answer for {}", done[0]).into_bytes());
    assert_eq!(said.iter().filter(|said| **said == replayed).count(), 39);
    assert_eq!(world.count_events("token.issued").await, 1);
}

/// What was refused may be asked for again, under the same key, when the world has changed.
pub(super) async fn a_refused_issue_keeps_no_answer(world: World) {
    let alice = world.user("alice").await;
    let first = world.token_of(&alice).await;
    let mut issue = world.issue_to(&alice);
    issue.limits = vec![limit(1, AtLimit::Refuse)];
    issue.idempotency = Some(World::idempotency("a-refusal", "key", 1));
    assert_eq!(world.store.token_issue(issue.clone()).await.unwrap(), Issued::AtLimit(1));
    world.revoke(first.id).await;
    world.issued(issue).await;
}

/// With its secret in the slot it was given, and one event.
pub(super) async fn an_issue_is_recorded_once(world: World) {
    let alice = world.user("alice").await;
    let mut issue = world.issue_to(&alice);
    issue.secret.facts.slot = Slot::Next;
    let event = issue.event.clone();
    let token = world.issued(issue).await;
    assert_eq!(token.secrets[0].slot, Slot::Next);
    let told: Vec<_> =
        world.events().await.into_iter().filter(|e| e.token == Some(token.id)).collect();
    assert_eq!(told, [event]);
}

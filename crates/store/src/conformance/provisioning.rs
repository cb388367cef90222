//! Promises about targets, the outbox, deliveries, and what is derived for directories.

use counterfoil_authority::event::Event;
use counterfoil_authority::names::TargetName;
use counterfoil_authority::provision::scheme::Scheme;
use counterfoil_authority::provision::{
    Delivery, DeliveryKey, DeliveryState, Mark, Object, Target, TargetConfig, TargetKind,
    TargetMode,
};
use counterfoil_authority::secret::TokenId;
use counterfoil_authority::store::{
    DeliveryFilter, DirectoryHash, EventFilter, Inserted, Issued, Lease, PageRequest, Settled,
    Settlement, TokenUpdate, Updated,
};
use counterfoil_authority::token::Token;
use counterfoil_authority::validity::Validity;

use super::World;

fn target(world: &World, name: &str, kind: TargetKind) -> Target {
    Target {
        realm: world.realm.clone(),
        name: TargetName::parse(name).unwrap(),
        kind,
        mode: TargetMode::Automatic,
        order: 1,
        config: TargetConfig {
            url: "ldap://127.0.0.1:389".into(),
            schemes: vec![Scheme::Ssha],
            services: Some(vec!["mail".into()]),
            ..TargetConfig::default()
        },
        secret: Some(vec![1, 2, 3]),
        created_at: World::at(0),
        updated_at: World::at(0),
        version: 1,
    }
}

async fn added(world: &World, target: &Target) {
    let event = world.event("target.created").with_subject(format!("target:{}", target.name));
    let inserted = world.store.target_insert(target.clone(), event).await.unwrap();
    assert_eq!(inserted, Inserted::Done);
}

/// Leases are shared by all worlds, so each takes one of its own.
async fn lease(world: &World) -> Lease {
    let name = format!("deliver {}", world.realm);
    world.store.lease_take(&name, "me", World::at(0), World::at(600)).await.unwrap().unwrap()
}

async fn listed(world: &World) -> Vec<Delivery> {
    let page = PageRequest::first(100);
    world.store.delivery_list(&world.realm, DeliveryFilter::default(), page).await.unwrap().items
}

async fn routed(world: &World) {
    while world.store.outbox_route(world.now(), 100).await.unwrap() > 0 {}
}

fn key(world: &World, name: &str, object: &str, message: &str) -> DeliveryKey {
    DeliveryKey {
        realm: world.realm.clone(),
        target: TargetName::parse(name).unwrap(),
        object: Object::from_name(object),
        message: message.to_owned(),
    }
}

/// With its settings and its sealed secret; in no other realm.
pub(super) async fn a_target_comes_back_as_it_was_stored(world: World) {
    let first = target(&world, "ldap1", TargetKind::Ldap);
    added(&world, &first).await;
    let event = world.event("target.created");
    let again = world.store.target_insert(first.clone(), event).await.unwrap();
    assert_eq!(again, Inserted::Exists);
    assert_eq!(world.store.target_list(&world.realm).await.unwrap(), std::slice::from_ref(&first));
    let edit = Target { mode: TargetMode::Manual, order: 7, secret: None, ..first.clone() };
    let event = world.event("target.updated");
    let updated = world.store.target_update(edit.clone(), event).await.unwrap();
    let edit = Target { version: 2, ..edit };
    assert_eq!(updated, Updated::Done(edit.clone()));
    let event = world.event("target.updated");
    let stale = world.store.target_update(first.clone(), event.clone()).await.unwrap();
    assert_eq!(stale, Updated::VersionMismatch);
    let found = world.store.target_find(&world.realm, &first.name).await.unwrap();
    assert_eq!(found, Some(edit));
    let gone = world.event("target.deleted");
    assert!(world.store.target_delete(&world.realm, &first.name, gone).await.unwrap());
    assert!(!world.store.target_delete(&world.realm, &first.name, event).await.unwrap());
    assert_eq!(world.store.target_find(&world.realm, &first.name).await.unwrap(), None);
}

/// However often a person changes, one delivery brings the directory up to date.
pub(super) async fn what_happens_to_a_person_is_one_delivery(world: World) {
    world.user("early").await;
    added(&world, &target(&world, "ldap1", TargetKind::Ldap)).await;
    let alice = world.user("alice").await;
    for _ in 0..2 {
        let mut issue = world.issue_to(&alice);
        issue.event = issue.event.with_subject("user:alice");
        world.store.token_issue(issue).await.unwrap();
    }
    routed(&world).await;
    let found = listed(&world).await;
    let objects: Vec<_> = found.iter().map(|one| one.key.object.name()).collect();
    assert_eq!(objects, ["everyone", "user:alice"]);
    assert_eq!((found[1].state, found[1].attempts), (DeliveryState::Waiting, 0));
    assert!(world.store.delivery_is_due(world.now()).await.unwrap());
    assert_eq!(found[1].wanted, 2);
}

/// An attempt that was overtaken by a change leaves the delivery due.
pub(super) async fn an_attempt_settles_only_what_it_knew_of(world: World) {
    let lease = lease(&world).await;
    let first = target(&world, "ldap1", TargetKind::Ldap);
    added(&world, &first).await;
    routed(&world).await;
    let mark = Mark { key: key(&world, "ldap1", "user:alice", ""), held: false };
    world.store.delivery_want(vec![mark.clone()], World::at(1)).await.unwrap();
    let claim = async |at| {
        let claimed = world.store.delivery_claim(&lease, &world.realm, &first.name, at, 10);
        let claimed = claimed.await.unwrap();
        claimed.into_iter().find(|one| one.key == mark.key).unwrap()
    };
    let claimed = claim(World::at(2)).await;
    assert_eq!((claimed.wanted, claimed.unanswered), (1, 1));
    world.store.delivery_want(vec![mark.clone()], World::at(3)).await.unwrap();
    let done = Settlement::Done { place: Some("uid=alice".into()), again_at: None };
    let settle = async |delivery: &Delivery, settlement: &Settlement| {
        let settled = vec![Settled { delivery: delivery.clone(), settlement: settlement.clone() }];
        world.store.delivery_settle(&lease, settled, Vec::new(), World::at(4)).await.unwrap()
    };
    assert!(settle(&claimed, &done).await);
    let claimed = claim(World::at(5)).await;
    assert_eq!((claimed.wanted, claimed.state), (2, DeliveryState::Waiting));
    assert_eq!(claimed.place.as_deref(), Some("uid=alice"));
    let retry = Settlement::Retry { at: World::at(6), error: "no answer".into(), unanswered: true };
    assert!(settle(&claimed, &retry).await);
    let claimed = claim(World::at(6)).await;
    assert_eq!((claimed.state, claimed.attempts), (DeliveryState::Retrying, 1));
    assert_eq!(claimed.unanswered, 2);
    assert!(settle(&claimed, &done).await);
    let found = listed(&world).await;
    let alice = found.iter().find(|one| one.key == mark.key).unwrap();
    assert_eq!((alice.state, alice.attempts, alice.unanswered), (DeliveryState::Done, 0, 0));
    assert_eq!((alice.due_at, alice.done_at), (None, Some(World::at(4))));
    let lost = Lease { fence: lease.fence - 1, ..lease.clone() };
    let settled = vec![Settled { delivery: alice.clone(), settlement: Settlement::Forget }];
    let noted = world.store.delivery_settle(&lost, settled, Vec::new(), World::at(9)).await;
    assert!(!noted.unwrap());
    let none = world.store.delivery_claim(&lost, &world.realm, &first.name, World::at(9), 10);
    assert_eq!(none.await.unwrap(), []);
}

/// A person's password goes before its successor; another's does not wait for it.
pub(super) async fn messages_about_one_object_keep_their_order(world: World) {
    let lease = lease(&world).await;
    // Of its own making it is told nothing, whoever turns the note into deliveries.
    let mut hook = target(&world, "hook", TargetKind::Webhook);
    hook.config.events = vec!["token.revoked".into()];
    added(&world, &hook).await;
    let mark = |object: &str, message: &str| Mark {
        key: key(&world, "hook", object, message),
        held: false,
    };
    let marks = vec![mark("user:a", "1"), mark("user:a", "2"), mark("user:b", "3")];
    world.store.delivery_want(marks, World::at(1)).await.unwrap();
    let claim = async |at| {
        let claimed = world.store.delivery_claim(&lease, &world.realm, &hook.name, at, 10);
        claimed.await.unwrap()
    };
    let messages =
        |found: &[Delivery]| found.iter().map(|one| one.key.message.clone()).collect::<Vec<_>>();
    let first = claim(World::at(2)).await;
    assert_eq!(messages(&first), ["1", "3"]);
    let settled = first
        .into_iter()
        .map(|delivery| Settled { delivery, settlement: Settlement::Forget })
        .collect();
    assert!(world.store.delivery_settle(&lease, settled, Vec::new(), World::at(2)).await.unwrap());
    let second = claim(World::at(3)).await;
    assert_eq!(messages(&second), ["2"]);
    let backlog = world.store.delivery_backlog().await.unwrap();
    let here: Vec<_> = backlog.iter().filter(|one| one.realm == world.realm).collect();
    assert_eq!((here.len(), here[0].count, here[0].oldest), (1, 1, World::at(1)));
}

/// Whoever was about to want one, and whatever was claimed before it went.
pub(super) async fn nothing_is_on_its_way_to_a_target_that_is_gone(world: World) {
    let lease = lease(&world).await;
    let first = target(&world, "ldap1", TargetKind::Ldap);
    added(&world, &first).await;
    routed(&world).await;
    let claimed = world.store.delivery_claim(&lease, &world.realm, &first.name, world.now(), 10);
    let delivery = claimed.await.unwrap().remove(0);
    assert_eq!(delivery.key.object, Object::Everyone);
    let gone = world.event("target.deleted");
    assert!(world.store.target_delete(&world.realm, &first.name, gone).await.unwrap());
    let mark = Mark { key: key(&world, "ldap1", "user:alice", ""), held: false };
    let settlement = Settlement::Progress { from: "alice".into(), marks: vec![mark.clone()] };
    let settled = vec![Settled { delivery, settlement }];
    world.store.delivery_settle(&lease, settled, Vec::new(), World::at(4)).await.unwrap();
    world.store.delivery_want(vec![mark], World::at(5)).await.unwrap();
    assert_eq!(listed(&world).await, []);
}

/// Where somebody could be told of it: 30, 14, 7 and 1 days before, and at the end, each once.
pub(super) async fn the_end_of_a_persons_token_is_told_of_at_each_threshold(world: World) {
    const DAY: i64 = 86_400;
    let alice = world.user("alice").await;
    let ending = |days: i64| {
        let mut issue = world.issue_to(&alice);
        issue.token.validity = Validity::new(World::at(0), Some(World::at(days * DAY))).unwrap();
        issue
    };
    let early = world.issued(ending(90)).await;
    added(&world, &target(&world, "mail", TargetKind::Mail)).await;
    let late = world.issued(ending(90)).await;
    // Whose end was asked for like that.
    world.issued(ending(1)).await;
    let moved = world.issued(ending(30)).await;
    let update = TokenUpdate {
        token: Token {
            validity: Validity::new(World::at(0), Some(World::at(300 * DAY))).unwrap(),
            ..moved.clone()
        },
        limits: Vec::new(),
        data: None,
        as_used: None,
        event: world.event("token.updated"),
    };
    world.store.token_update(update).await.unwrap();
    let mut told = Vec::new();
    for day in 0..100 {
        let cause = Event { realm: world.realm.clone(), ..world.event("token.idle-ended") };
        for _ in 0..2 {
            world.store.enrolment_due(World::at(day * DAY), 100, cause.clone()).await.unwrap();
        }
        let fresh = endings(&world).await.split_off(told.len());
        told.extend(fresh.into_iter().map(|(token, left)| (day, token, left)));
    }
    for token in [early, late] {
        let of_token = told.iter().filter(|(_, told, _)| *told == token.id);
        let days: Vec<(i64, i64)> = of_token.map(|(day, _, left)| (*day, *left)).collect();
        assert_eq!(days, [(60, 30), (76, 14), (83, 7), (89, 1), (90, 0)]);
    }
    assert_eq!(told.len(), 10);
}

/// What was told of ends, in order: of which token, and how many days before.
async fn endings(world: &World) -> Vec<(TokenId, i64)> {
    let page = PageRequest::first(100);
    let events = world.store.event_list(&world.realm, EventFilter::default(), page).await.unwrap();
    let mut told = Vec::new();
    for event in events.items.iter().rev() {
        let Some(left) = event.detail.as_ref().and_then(|detail| detail["days"].as_i64()) else {
            continue;
        };
        let kind = if left == 0 { "token.ended" } else { "token.ends-soon" };
        assert_eq!((&*event.kind, event.subject.as_deref()), (kind, Some("user:alice")));
        assert_eq!(event.service.as_deref(), Some("counterfoil"));
        told.push((event.token.unwrap(), left));
    }
    told
}

/// More than one step goes through, and only those of the realm that can be told now.
pub(super) async fn a_realm_that_gets_a_target_is_told_of_all_its_tokens(world: World) {
    const DAY: i64 = 86_400;
    let alice = world.user("alice").await;
    let mut ids = Vec::new();
    for _ in 0..600 {
        let mut issue = world.issue_to(&alice);
        issue.token.validity = Validity::new(World::at(0), Some(World::at(90 * DAY))).unwrap();
        ids.push(world.issued(issue).await.id);
    }
    added(&world, &target(&world, "mail", TargetKind::Mail)).await;
    let cause = Event { realm: world.realm.clone(), ..world.event("token.idle-ended") };
    let mut at = 0;
    for day in [1, 60] {
        // A batch each time, of everything that others left to fall due before.
        while world
            .store
            .enrolment_due(World::at(day * DAY + at), 100, cause.clone())
            .await
            .unwrap()
            > 0
        {
            at += 1;
        }
    }
    assert_eq!(world.count_events("token.ends-soon").await, ids.len());
}

/// With the token that they are derived of, and no longer than it.
pub(super) async fn directory_hashes_come_with_their_token(world: World) {
    let alice = world.user("alice").await;
    let mut issue = world.issue_to(&alice);
    issue.token.kind = counterfoil_authority::kind::Kind::ServiceToken;
    let hash = DirectoryHash { scheme: "SSHA".into(), sealed: vec![7; 40] };
    issue.secret.directory = vec![hash.clone()];
    let issued = world.store.token_issue(issue.clone()).await.unwrap();
    assert!(matches!(issued, Issued::Done { .. }));
    let of = async || {
        world.store.directory_tokens(&world.realm, &alice.username, World::at(5)).await.unwrap()
    };
    let found = of().await;
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].id, found[0].usable), (issue.token.id, true));
    assert_eq!(found[0].secrets[0].hashes, [hash]);
    let record = world.store.token_record(issue.token.id).await.unwrap().unwrap();
    assert_eq!(record.secrets[0].directory, []);
    let act = counterfoil_authority::store::TokenAct::Revoke { by: "user:x".into(), reason: None };
    let change = counterfoil_authority::store::TokenChange {
        realm: world.realm.clone(),
        id: issue.token.id,
        act,
        expected_version: None,
        at: world.now(),
        event: world.event("token.revoked"),
    };
    world.store.token_change(change).await.unwrap();
    assert_eq!(of().await, []);
}

//! Promises about who is told what changed, and when.

use std::sync::Arc;

use counterfoil_authority::custom::ForeignId;
use counterfoil_authority::kind::Kind;
use counterfoil_authority::service::Realm;
use counterfoil_authority::store::{Change, ChangeListener, ForeignChanged, LogPlace, TokenAct};
use counterfoil_authority::subject::{Client, GrantSubject, User};
use counterfoil_authority::token::Token;
use parking_lot::Mutex;

use super::World;
use super::world::revocation;

#[derive(Default)]
struct Heard(Mutex<Vec<Change>>);

impl ChangeListener for Heard {
    fn changed(&self, changes: &[Change]) {
        self.0.lock().extend_from_slice(changes);
    }
}

/// What the log says since `place`, and nothing behind that.
pub(super) async fn since(world: &World, place: &LogPlace) -> Vec<Change> {
    let read = world.store.changes_since(place, 1_000).await.unwrap();
    assert!(!read.more);
    let behind = world.store.changes_since(&read.place, 1_000).await.unwrap();
    assert_eq!((behind.changes, behind.more), (Vec::new(), false));
    read.changes
}

/// For every kind of change, in the order of the acts; and the log says the same.
pub(super) async fn listeners_know_before_the_caller_does(world: World) {
    let heard = Arc::new(Heard::default());
    world.store.listen(Arc::clone(&heard) as _);
    let start = world.store.changes_end().await.unwrap();
    let mut expected: Vec<Change> = Vec::new();
    let mut told = |changes: Vec<Change>| {
        expected.extend(changes);
        assert_eq!(*heard.0.lock(), expected);
    };
    let realm = || world.realm.clone();

    let alice = world.user("alice").await;
    let user = Change::User(realm(), alice.username.clone());
    told(vec![user.clone()]);
    let devs = world.group("devs", &[&alice]).await;
    told(vec![user.clone()]);
    let git = world.service("git").await;
    told(vec![Change::Service(realm(), git.label.clone())]);
    let (gate, key) = world.client("gate").await;
    told(vec![Change::Client(realm(), gate.name.clone())]);
    world.grant(GrantSubject::Group(devs.clone())).await;
    told(vec![user.clone()]);
    world.grant(GrantSubject::Client(gate.name.clone())).await;
    told(vec![Change::Client(realm(), gate.name.clone())]);

    let token = world.token_of(&alice).await;
    let of_token = || vec![Change::Token(token.id)];
    world.store.token_change(world.switch(token.id, TokenAct::Lock)).await.unwrap();
    told(of_token());
    world.store.token_rotate(world.rotate(&token)).await.unwrap();
    told(of_token());
    let edited = Token { version: 3, ..token.clone() };
    world.store.token_update(world.update(edited)).await.unwrap();
    told(of_token());

    let realm_record = Realm { enabled: false, ..world.realm_record() };
    world.store.realm_update(realm_record, world.event("realm.updated")).await.unwrap();
    told(vec![Change::Realm(realm())]);
    world.store.service_update(git.clone(), world.event("service.updated")).await.unwrap();
    told(vec![Change::Service(realm(), git.label.clone())]);
    let edited = Client { enabled: false, ..gate.clone() };
    world.store.client_update(edited, world.event("client.updated")).await.unwrap();
    told(vec![Change::Client(realm(), gate.name.clone())]);
    let edited = User { display_name: None, ..alice.clone() };
    world.store.user_update(edited, world.event("user.updated")).await.unwrap();
    told(vec![user.clone()]);

    world.store.group_delete(&world.realm, &devs, world.event("group.deleted")).await.unwrap();
    told(vec![user.clone()]);
    let event = world.event("service.deleted");
    world.store.service_delete(&world.realm, &git.label, event).await.unwrap();
    told(vec![Change::Service(realm(), git.label)]);
    let event = world.event("client.deleted");
    let deleted = world.store.client_delete(&world.realm, &gate.name, World::at(1), event);
    deleted.await.unwrap();
    told(vec![Change::Token(key.id), Change::Client(realm(), gate.name)]);
    let foreign = ForeignId::parse("7").unwrap().token_id(&world.realm, "acme");
    let (realm_of, removed, event) = (realm(), false, world.event("token.disabled"));
    let changed = ForeignChanged { realm: realm_of, token: foreign, removed, event };
    world.store.foreign_changed(changed).await.unwrap();
    told(vec![Change::Token(foreign)]);
    let event = world.event("user.deleted");
    let deleted = world.store.user_delete(&world.realm, &alice.username, World::at(1), event);
    deleted.await.unwrap();
    told(vec![Change::Token(token.id), user]);
    assert_eq!(since(&world, &start).await, expected);
}

/// A revocation names everything that fell with the token.
pub(super) async fn the_log_tells_what_changed_in_order(world: World) {
    let alice = world.user("alice").await;
    let token = world.token_of(&alice).await;
    let mut issue = world.issue_to(&alice);
    issue.token.kind = Kind::DerivedToken;
    issue.token.parent = Some(token.id);
    let derived = world.issued(issue).await;
    let position = world.store.changes_end().await.unwrap();
    world.revoke(token.id).await;
    world.user("bob").await;
    let mut changes = since(&world, &position).await;
    let last = changes.pop();
    assert!(matches!(last, Some(Change::User(_, name)) if name.as_str() == "bob"));
    assert_eq!(changes.len(), 2);
    for id in [token.id, derived.id] {
        assert!(changes.contains(&Change::Token(id)), "{id}");
    }
}

/// However small, and none twice.
pub(super) async fn the_log_is_read_in_pieces(world: World) {
    let start = world.store.changes_end().await.unwrap();
    for name in ["a", "b", "c", "d", "e"] {
        world.user(name).await;
    }
    let whole = since(&world, &start).await;
    let mut pieces = Vec::new();
    let mut place = start;
    loop {
        let piece = world.store.changes_since(&place, 2).await.unwrap();
        assert!(piece.changes.len() <= 2);
        place = piece.place;
        pieces.extend(piece.changes);
        if !piece.more {
            break;
        }
    }
    assert_eq!((pieces.len(), pieces), (5, whole));
}

/// Nothing is cached about a token that did not exist; counting and usage are not cached.
pub(super) async fn issuing_is_no_change(world: World) {
    let alice = world.user("alice").await;
    let position = world.store.changes_end().await.unwrap();
    let token = world.token_of(&alice).await;
    world.store.token_consume(token.id, World::at(1), None).await.unwrap();
    world.store.event_append(vec![world.event("api.refused")]).await.unwrap();
    world.store.ping().await.unwrap();
    assert_eq!(since(&world, &position).await, []);
}

/// Refusals and repetitions are not told.
pub(super) async fn what_changes_nothing_is_no_change(world: World) {
    let alice = world.user("alice").await;
    let group = world.group("devs", &[&alice]).await;
    let token = world.token_of(&alice).await;
    world.revoke(token.id).await;
    let position = world.store.changes_end().await.unwrap();
    world.set_member(&group, &alice.username, true).await;
    world.store.token_change(world.switch(token.id, TokenAct::Disable)).await.unwrap();
    world.store.token_change(world.switch(token.id, revocation())).await.unwrap();
    world.store.token_rotate(world.rotate(&token)).await.unwrap();
    let stale = User { version: 9, ..alice.clone() };
    world.store.user_update(stale, world.event("user.updated")).await.unwrap();
    world.store.user_insert(alice, world.event("user.created")).await.unwrap();
    assert_eq!(since(&world, &position).await, []);
}

/// After a purge of the log, the rest begins with "everything".
pub(super) async fn whoever_was_away_too_long_forgets_everything(world: World) {
    // So late that whatever other worlds left behind goes now, and writes its own log.
    while world.store.purge(World::at(400 * 86_400), None).await.unwrap().rows > 0 {}
    world.user("alice").await;
    let position = world.store.changes_end().await.unwrap();
    world.user("bob").await;
    world.user("carol").await;
    while world.store.purge(World::at(402 * 86_400), None).await.unwrap().rows > 0 {}
    let log = since(&world, &position).await;
    assert_eq!(log[0], Change::Everything);
    assert_eq!(log.len(), 2);
    assert!(matches!(&log[1], Change::User(_, name) if name.as_str() == "carol"));
    // What was read before the purge goes on; nothing is told twice.
    let end = world.store.changes_end().await.unwrap();
    assert_eq!(since(&world, &end).await, []);
    world.user("dave").await;
    let log = since(&world, &end).await;
    assert!(matches!(&log[..], [Change::User(_, name)] if name.as_str() == "dave"));
}

/// A place of another version of the program, or of another store, is no place.
pub(super) async fn whoever_comes_from_elsewhere_forgets_everything(world: World) {
    let elsewhere = LogPlace("elsewhere".into());
    assert_eq!(since(&world, &elsewhere).await, [Change::Everything]);
}

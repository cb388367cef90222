//! Promises about people for whom somebody else vouches.

use counterfoil_authority::console::{ConsoleSession, SignInMethod};
use counterfoil_authority::names::{ServiceLabel, Username};
use counterfoil_authority::secret_hash::{Mac256, SecretHash};
use counterfoil_authority::single_sign_on::{Identity, SignInFlow};
use counterfoil_authority::store::{PersonVouched, SessionAdd, SessionAdded, VouchedOutcome};
use counterfoil_authority::subject::{Grant, GrantSubject, Role, User};

use super::World;
use super::world::race;

const ISSUER: &str = "https://sso.example/";

fn identity(world: &World, subject: &str, username: &Username) -> Identity {
    Identity {
        realm: world.realm.clone(),
        issuer: ISSUER.to_owned(),
        subject: subject.to_owned(),
        username: username.clone(),
        linked_at: World::at(1),
        used_at: World::at(1),
    }
}

fn said(world: &World, subject: &str, username: &Username) -> PersonVouched {
    PersonVouched {
        identity: identity(world, subject, username),
        event: world.event("identity.linked"),
        new: None,
        gains: Vec::new(),
        loses: Vec::new(),
    }
}

async fn tell(world: &World, vouched: PersonVouched) -> VouchedOutcome {
    world.store.person_vouched(vouched).await.unwrap()
}

async fn known(world: &World, subject: &str) -> Option<Identity> {
    world.store.identity_find(&world.realm, ISSUER, subject).await.unwrap()
}

/// However many ask, one gets it, and nobody after its end.
pub(super) async fn what_was_begun_is_handed_out_once(world: World) {
    let flow = |seconds| SignInFlow {
        id: world.token_id(),
        realm: world.realm.clone(),
        sealed: vec![0, 255, 7],
        expires_at: World::at(seconds),
    };
    let (begun, late) = (flow(600), flow(5));
    for one in [&begun, &late] {
        world.store.flow_add(one.clone()).await.unwrap();
    }
    assert_eq!(world.store.flow_take(late.id, World::at(5)).await.unwrap(), None);
    let taken = race(40, |_| {
        let (store, id) = (world.store.clone(), begun.id);
        async move { store.flow_take(id, World::at(599)).await.unwrap() }
    })
    .await;
    let got: Vec<&SignInFlow> = taken.iter().flatten().collect();
    assert_eq!(got, [&begun]);
}

/// Whoever begins anew has given up what they had begun.
pub(super) async fn a_second_way_takes_the_place_of_the_first(world: World) {
    let id = world.token_id();
    let flow = |sealed: u8, seconds| SignInFlow {
        id,
        realm: world.realm.clone(),
        sealed: vec![sealed; 9],
        expires_at: World::at(seconds),
    };
    for one in [flow(1, 600), flow(2, 5), flow(3, 700)] {
        world.store.flow_add(one).await.unwrap();
    }
    assert_eq!(world.store.flow_take(id, World::at(6)).await.unwrap(), Some(flow(3, 700)));
    assert_eq!(world.store.flow_take(id, World::at(6)).await.unwrap(), None);
}

/// With one event, and no other name afterwards.
pub(super) async fn who_is_known_elsewhere_is_one_person_here(world: World) {
    let (alice, bob) = (world.user("alice").await, world.user("bob").await);
    assert_eq!(known(&world, "1").await, None);
    assert_eq!(tell(&world, said(&world, "1", &alice.username)).await, VouchedOutcome::Done);
    assert_eq!(known(&world, "1").await, Some(identity(&world, "1", &alice.username)));
    let mut later = said(&world, "1", &alice.username);
    (later.identity.linked_at, later.identity.used_at) = (World::at(9), World::at(9));
    assert_eq!(tell(&world, later).await, VouchedOutcome::Done);
    let found = known(&world, "1").await.unwrap();
    assert_eq!((found.linked_at, found.used_at), (World::at(1), World::at(9)));
    assert_eq!(world.count_events("identity.linked").await, 1);
    // Neither is one subject two people, nor one person two subjects of an issuer.
    assert_eq!(tell(&world, said(&world, "1", &bob.username)).await, VouchedOutcome::Taken);
    assert_eq!(tell(&world, said(&world, "2", &alice.username)).await, VouchedOutcome::Taken);
    assert_eq!(known(&world, "2").await, None);
    let mut elsewhere = said(&world, "2", &alice.username);
    "proxy".clone_into(&mut elsewhere.identity.issuer);
    assert_eq!(tell(&world, elsewhere).await, VouchedOutcome::Done);
    let nobody = Username::parse("nobody").unwrap();
    assert_eq!(tell(&world, said(&world, "3", &nobody)).await, VouchedOutcome::Gone);
}

/// Nothing of what was said stands then.
pub(super) async fn a_name_that_is_taken_is_nobody_elses(world: World) {
    let alice = world.user("alice").await;
    let newcomer = |name: &str, subject: &str| {
        let user = world.user_named(name);
        PersonVouched {
            gains: vec![granted(&world, &user.username, "g-1")],
            new: Some((user.clone(), world.event("user.created"))),
            ..said(&world, subject, &user.username)
        }
    };
    assert_eq!(tell(&world, newcomer("alice", "1")).await, VouchedOutcome::Taken);
    assert_eq!(tell(&world, newcomer("carol", "2")).await, VouchedOutcome::Done);
    // Carol is known there already, so nobody becomes Dave by her word.
    assert_eq!(tell(&world, newcomer("dave", "2")).await, VouchedOutcome::Taken);
    let dave = Username::parse("dave").unwrap();
    assert_eq!(world.store.user_find(&world.realm, &dave).await.unwrap(), None);
    let grants = world.store.grants_of_user(&world.realm, &alice.username).await.unwrap();
    assert_eq!(grants, []);
    assert_eq!(world.count_events("grant.created").await, 1);
}

fn granted(
    world: &World,
    username: &Username,
    id: &str,
) -> (Grant, counterfoil_authority::event::Event) {
    let grant = world.grant_of(GrantSubject::User(username.clone()));
    let grant = Grant { id: id.to_owned(), role: Role::Auditor, ..grant };
    (grant, world.event("grant.created"))
}

/// A role that is there stays, one whose service is gone is passed over.
pub(super) async fn roles_come_and_go_with_what_is_said(world: World) {
    let alice = world.user("alice").await;
    let by_hand = world.grant(GrantSubject::User(alice.username.clone())).await;
    let (mut lost, event) = granted(&world, &alice.username, "g-2");
    lost.service = ServiceLabel::parse("none").ok();
    let first = PersonVouched {
        gains: vec![granted(&world, &alice.username, "g-1"), (lost, event)],
        ..said(&world, "1", &alice.username)
    };
    let had = async || {
        let grants = world.store.grants_of_user(&world.realm, &alice.username).await.unwrap();
        let mut ids: Vec<String> = grants.into_iter().map(|grant| grant.id).collect();
        ids.sort();
        ids
    };
    let mut both = vec![by_hand.id.clone(), "g-1".to_owned()];
    both.sort();
    for _ in 0..2 {
        assert_eq!(tell(&world, first.clone()).await, VouchedOutcome::Done);
        assert_eq!(had().await, both);
    }
    let next = PersonVouched {
        loses: vec![
            ("g-1".to_owned(), world.event("grant.deleted")),
            ("none".to_owned(), world.event("grant.deleted")),
        ],
        ..said(&world, "1", &alice.username)
    };
    assert_eq!(tell(&world, next).await, VouchedOutcome::Done);
    assert_eq!(had().await, [by_hand.id]);
    assert_eq!(world.count_events("grant.deleted").await, 1);
}

/// The others find them known already.
pub(super) async fn of_forty_first_sign_ins_one_makes_the_person(world: World) {
    let outcomes = race(40, |_| {
        let user = world.user_named("erin");
        let vouched = PersonVouched {
            new: Some((user.clone(), world.event("user.created"))),
            gains: vec![granted(&world, &user.username, "g-1")],
            ..said(&world, "1", &user.username)
        };
        let store = world.store.clone();
        async move { store.person_vouched(vouched).await.unwrap() }
    })
    .await;
    let done = outcomes.iter().filter(|outcome| **outcome == VouchedOutcome::Done).count();
    assert_eq!(done, 1);
    for kind in ["user.created", "identity.linked", "grant.created"] {
        assert_eq!(world.count_events(kind).await, 1, "{kind}");
    }
}

fn session(world: &World, user: &User) -> SessionAdd {
    let session = ConsoleSession {
        id: world.token_id(),
        realm: world.realm.clone(),
        username: user.username.clone(),
        hash: SecretHash::Keyed { pepper: 1, mac: Mac256::from_bytes([3; 32]) },
        created_at: World::at(0),
        used_at: World::at(1),
        expires_at: World::at(1_000),
        source: None,
        agent: None,
        method: SignInMethod::Proxy,
        proved_at: World::at(0),
    };
    let event = world.event("session.opened");
    SessionAdd {
        session,
        account_version: None,
        rehash: None,
        passkey: None,
        replaces: None,
        event,
    }
}

/// And remembers when they last proved who they are.
pub(super) async fn a_session_without_a_password_needs_the_person(world: World) {
    let alice = world.user("alice").await;
    let add = session(&world, &alice);
    let id = add.session.id;
    assert_eq!(world.store.session_add(add.clone()).await.unwrap(), SessionAdded::Done);
    assert_eq!(world.store.session_find(id).await.unwrap(), Some(add.session));
    let event = world.event("session.proved");
    let said = world.store.session_proved(id, World::at(7), None, event).await.unwrap();
    assert_eq!(said, SessionAdded::Done);
    let found = world.store.session_find(id).await.unwrap().unwrap();
    assert_eq!(found.proved_at, World::at(7));
    let (none, event) = (world.token_id(), world.event("session.proved"));
    let said = world.store.session_proved(none, World::at(7), None, event).await.unwrap();
    assert_eq!(said, SessionAdded::Gone);
    assert_eq!(world.count_events("session.proved").await, 1);
    let nobody = world.user_named("nobody");
    let said = world.store.session_add(session(&world, &nobody)).await.unwrap();
    assert_eq!(said, SessionAdded::Gone);
}

/// So a later namesake is not them.
pub(super) async fn who_is_removed_is_known_elsewhere_no_more(world: World) {
    let alice = world.user("alice").await;
    tell(&world, said(&world, "1", &alice.username)).await;
    let event = world.event("user.deleted");
    let removed = world.store.user_delete(&alice.realm, &alice.username, World::at(9), event);
    assert!(removed.await.unwrap());
    assert_eq!(known(&world, "1").await, None);
}

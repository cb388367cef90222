//! Promises about grants.

use counterfoil_authority::names::{ClientName, GroupName, ServiceLabel, Username};
use counterfoil_authority::store::{Inserted, PageRequest};
use counterfoil_authority::subject::{Grant, GrantSubject, Limits, Role, User, UserStatus};

use super::World;

/// Found with every field.
pub(super) async fn a_grant_comes_back_as_it_was_stored(world: World) {
    let alice = world.user("alice").await;
    let service = world.service("git").await;
    let grant = Grant {
        role: Role::ServiceManager,
        unit: Some(world.unit("research").await),
        service: Some(service.label),
        limits: Limits {
            units: Some(vec!["a".into()]),
            count_max: Some(50),
            lifetime_seconds_max: Some(7 * 86_400),
        },
        ..world.grant_of(GrantSubject::User(alice.username))
    };
    let insert = || world.store.grant_insert(grant.clone(), world.event("grant.created"));
    assert_eq!(insert().await.unwrap(), Inserted::Done);
    assert_eq!(insert().await.unwrap(), Inserted::Exists);
    let found = world.store.grant_find(&world.realm, &grant.id).await.unwrap();
    assert_eq!(found, Some(grant));
    assert_eq!(world.store.grant_find(&world.realm, "none").await.unwrap(), None);
}

/// Subject, unit and service must exist.
pub(super) async fn a_grant_must_name_what_exists(world: World) {
    let alice = world.user("alice").await;
    let good = world.grant_of(GrantSubject::User(alice.username));
    let with = |subject| Grant { subject, ..good.clone() };
    let bad = [
        (with(GrantSubject::User(Username::parse("none").unwrap())), "user"),
        (with(GrantSubject::Client(ClientName::parse("none").unwrap())), "client"),
        (with(GrantSubject::Group(GroupName::parse("none").unwrap())), "group"),
        (Grant { unit: Some("none".into()), ..good.clone() }, "unit"),
        (Grant { service: ServiceLabel::parse("none").ok(), ..good.clone() }, "service"),
    ];
    for (grant, what) in bad {
        let event = world.event("grant.created");
        let inserted = world.store.grant_insert(grant, event).await.unwrap();
        assert_eq!(inserted, Inserted::Missing(what));
    }
    assert_eq!(world.count_events("grant.created").await, 0);
}

/// And none of anybody else's.
pub(super) async fn a_person_has_grants_by_name_and_through_groups(world: World) {
    let alice = world.user("alice").await;
    let bob = world.user("bob").await;
    let devs = world.group("devs", &[&alice, &bob]).await;
    let ops = world.group("ops", &[&bob]).await;
    let named = world.grant(GrantSubject::User(alice.username.clone())).await;
    let through = world.grant(GrantSubject::Group(devs.clone())).await;
    world.grant(GrantSubject::Group(ops)).await;
    world.grant(GrantSubject::User(bob.username)).await;
    // A client may bear a person's name.
    world.client("alice").await;
    world.grant(GrantSubject::Client(ClientName::parse("alice").unwrap())).await;
    let of_alice = || world.store.grants_of_user(&world.realm, &alice.username);
    assert_eq!(of_alice().await.unwrap(), [named.clone(), through]);
    world.set_member(&devs, &alice.username, false).await;
    assert_eq!(of_alice().await.unwrap(), [named]);
}

/// Active ones, by name and through groups, each once; of a unit only where nobody manages it.
pub(super) async fn a_service_is_looked_after_by_its_managers_or_else_by_its_unit(world: World) {
    let [alice, bob, carol, dora] = ["alice", "bob", "carol", "dora"].map(|name| world.user(name));
    let (alice, bob, carol, dora) = (alice.await, bob.await, carol.await, dora.await);
    let research = world.unit("research").await;
    let mut service = world.service("git").await;
    service.unit = Some(research.clone());
    let event = world.event("service.updated");
    world.store.service_update(service.clone(), event).await.unwrap();
    let staff = world.group("staff", &[&alice, &bob, &carol]).await;
    let give = async |subject: GrantSubject, role: Role| {
        let (unit, of) = match role {
            Role::UnitAdmin => (Some(research.clone()), None),
            _ => (None, Some(service.label.clone())),
        };
        let grant = Grant { role, unit, service: of, ..world.grant_of(subject) };
        world.store.grant_insert(grant, world.event("grant.created")).await.unwrap();
    };
    let keepers = async |limit| {
        let found = world.store.service_keepers(&world.realm, &service.label, limit).await;
        found.unwrap().iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    give(GrantSubject::User(bob.username.clone()), Role::Verifier).await;
    assert_eq!(keepers(10).await, [""; 0]);
    give(GrantSubject::User(dora.username.clone()), Role::UnitAdmin).await;
    assert_eq!(keepers(10).await, ["dora"]);
    give(GrantSubject::User(bob.username.clone()), Role::ServiceManager).await;
    assert_eq!(keepers(10).await, ["bob"]);
    give(GrantSubject::Group(staff), Role::ServiceManager).await;
    assert_eq!(keepers(10).await, ["alice", "bob", "carol"]);
    assert_eq!(keepers(2).await, ["alice", "bob"]);
    let left = User { status: UserStatus::Expired, groups: Vec::new(), ..alice };
    world.store.user_update(left, world.event("user.updated")).await.unwrap();
    assert_eq!(keepers(10).await, ["bob", "carol"]);
    let other = world.service("mail").await;
    let found = world.store.service_keepers(&world.realm, &other.label, 10).await.unwrap();
    assert_eq!(found, []);
}

/// By its name alone.
pub(super) async fn a_client_has_its_own_grants(world: World) {
    let (gate, _) = world.client("gate").await;
    let (door, _) = world.client("door").await;
    let grant = world.grant(GrantSubject::Client(gate.name.clone())).await;
    let of = |name| world.store.grants_of_client(&world.realm, name);
    assert_eq!(of(&gate.name).await.unwrap(), [grant]);
    assert_eq!(of(&door.name).await.unwrap(), []);
}

/// Each once, in order; a grant that is removed is gone.
pub(super) async fn grants_are_listed_by_id_in_pages_and_removed(world: World) {
    let alice = world.user("alice").await;
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.push(world.grant(GrantSubject::User(alice.username.clone())).await.id);
    }
    let mut seen = Vec::new();
    let mut page = PageRequest::first(2);
    loop {
        let some = world.store.grant_list(&world.realm, page.clone()).await.unwrap();
        seen.extend(some.items.into_iter().map(|grant| grant.id));
        page.after = some.next;
        if page.after.is_none() {
            break;
        }
    }
    assert_eq!(seen, ids);
    let delete = || {
        let event = world.event("grant.deleted");
        world.store.grant_delete(&world.realm, &ids[2], event)
    };
    assert!(delete().await.unwrap());
    assert!(!delete().await.unwrap());
    let left = world.store.grants_of_user(&world.realm, &alice.username).await.unwrap();
    assert_eq!(left.len(), 4);
}

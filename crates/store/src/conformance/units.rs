//! Promises about units.

use counterfoil_authority::service::Service;
use counterfoil_authority::store::{Inserted, PageRequest, Updated};
use counterfoil_authority::subject::{Client, GrantSubject, Unit, User};

use super::World;

/// Found, and listed by name in pages.
pub(super) async fn a_unit_comes_back_as_it_was_stored(world: World) {
    let top = world.unit("top").await;
    let unit = Unit {
        external_id: Some("ext".into()),
        identifier: None,
        ..world.unit_named("below", Some(&top))
    };
    let inserted = world.store.unit_insert(unit.clone(), world.event("unit.created")).await;
    assert_eq!(inserted.unwrap(), Inserted::Done);
    assert_eq!(world.store.unit_find(&world.realm, &unit.id).await.unwrap(), Some(unit.clone()));
    assert_eq!(world.store.unit_find(&world.realm, "none").await.unwrap(), None);
    let first = world.store.unit_list(&world.realm, PageRequest::first(1)).await.unwrap();
    assert_eq!(first.items, [unit]);
    let rest = PageRequest { limit: 1, after: first.next };
    let rest = world.store.unit_list(&world.realm, rest).await.unwrap();
    assert_eq!((rest.items[0].id.as_str(), rest.next), (top.as_str(), None));
}

/// Neither a taken name nor a taken id; and the unit above must exist.
pub(super) async fn a_unit_name_is_given_once(world: World) {
    world.unit("top").await;
    let insert = |unit: Unit| world.store.unit_insert(unit, world.event("unit.created"));
    let namesake = Unit { id: "other".into(), ..world.unit_named("top", None) };
    assert_eq!(insert(namesake).await.unwrap(), Inserted::Exists);
    let same_id = Unit { name: "other".into(), ..world.unit_named("top", None) };
    assert_eq!(insert(same_id).await.unwrap(), Inserted::Exists);
    let orphan = world.unit_named("orphan", Some("none"));
    assert_eq!(insert(orphan).await.unwrap(), Inserted::Missing("parent"));
    let mut lost = world.unit_named("lost", None);
    lost.realm = counterfoil_authority::names::RealmName::parse("nowhere").unwrap();
    assert_eq!(insert(lost).await.unwrap(), Inserted::Missing("realm"));
    assert_eq!(world.count_events("unit.created").await, 1);
}

/// The right version replaces and is raised; a name that another unit has is not free.
pub(super) async fn a_unit_is_replaced_on_condition_of_its_version(world: World) {
    let update = |unit: Unit| world.store.unit_update(unit, world.event("unit.updated"));
    world.unit("top").await;
    world.unit("other").await;
    let edited = Unit {
        name: "renamed".into(),
        identifier: None,
        updated_at: World::at(3),
        ..world.unit_named("top", None)
    };
    let expected = Unit { version: 2, ..edited.clone() };
    assert_eq!(update(edited.clone()).await.unwrap(), Updated::Done(expected.clone()));
    assert_eq!(update(edited.clone()).await.unwrap(), Updated::VersionMismatch);
    let found = world.store.unit_find(&world.realm, &edited.id).await.unwrap();
    assert_eq!(found, Some(expected.clone()));
    let taken = Unit { name: "other".into(), ..expected };
    assert_eq!(update(taken).await.unwrap(), Updated::Exists);
    let unknown = Unit { id: "none".into(), ..edited };
    assert_eq!(update(unknown).await.unwrap(), Updated::NotFound);
}

/// Not directly, and not by a detour.
pub(super) async fn a_unit_never_lies_below_itself(world: World) {
    let top = world.unit("top").await;
    let middle = world.unit_named("middle", Some(&top));
    let low = world.unit_named("low", Some(&middle.id));
    for unit in [&middle, &low] {
        let event = world.event("unit.created");
        world.store.unit_insert(unit.clone(), event).await.unwrap();
    }
    for parent in [&top, &middle.id, &low.id, &"none".to_owned()] {
        let moved = world.unit_named("top", Some(parent));
        let updated = world.store.unit_update(moved, world.event("unit.updated")).await.unwrap();
        assert_eq!(updated, Updated::Missing("parent"), "{parent}");
    }
    let moved = Unit { parent: Some(top), ..low };
    let updated = world.store.unit_update(moved, world.event("unit.updated")).await.unwrap();
    assert!(matches!(updated, Updated::Done(_)));
}

/// People, services, clients, tokens, grants, other units: each alone keeps it.
pub(super) async fn a_unit_to_which_something_belongs_stays(world: World) {
    let mut units = Vec::new();
    for name in ["person", "service", "client", "token", "grant", "unit", "empty"] {
        units.push(world.unit(name).await);
    }
    let unit = |place: usize| Some(units[place].clone());
    let store = &world.store;
    let alice = User { unit: unit(0), ..world.user_named("alice") };
    store.user_insert(alice.clone(), world.event("user.created")).await.unwrap();
    let service = Service { unit: unit(1), ..world.service_named("git") };
    store.service_insert(service, world.event("service.created")).await.unwrap();
    let client = Client { unit: unit(2), ..world.client_named("gate") };
    let new = world.new_client(client);
    store.client_insert(new, world.event("client.created")).await.unwrap();
    let mut issue = world.issue_to(&alice);
    issue.token.unit = unit(3);
    world.issued(issue).await;
    let mut grant = world.grant_of(GrantSubject::User(alice.username.clone()));
    grant.unit = unit(4);
    store.grant_insert(grant, world.event("grant.created")).await.unwrap();
    let below = world.unit_named("below", Some(&units[5]));
    store.unit_insert(below, world.event("unit.created")).await.unwrap();

    let delete = |id| store.unit_delete(&world.realm, id, world.event("unit.deleted"));
    for used in &units[..6] {
        assert_eq!(delete(used).await.unwrap(), Inserted::Exists, "{used}");
    }
    assert_eq!(delete(&units[6]).await.unwrap(), Inserted::Done);
    assert_eq!(delete(&units[6]).await.unwrap(), Inserted::Missing("unit"));
}

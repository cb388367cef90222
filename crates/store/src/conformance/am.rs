//! Promises about the documents of the AM door: what they say comes back, and none names what is
//! not there.

use std::collections::BTreeMap;

use counterfoil_authority::am::{
    AmDocument, AmKind, AmObject, Policy, PolicySet, ResourceType, Subject, builtin,
};
use counterfoil_authority::store::{AmChange, AmChanged, AmDeleted, Change, Inserted, Updated};

use super::World;
use super::changes::since;
use super::world::race;

fn object(world: &World, name: &str, document: AmDocument) -> AmObject {
    AmObject {
        realm: world.realm.clone(),
        name: name.to_owned(),
        document,
        created_at: World::at(1),
        created_by: "client:admin".into(),
        updated_at: World::at(1),
        updated_by: "client:admin".into(),
        version: 1,
    }
}

fn sort(world: &World, id: &str, name: &str) -> AmObject {
    let document = ResourceType {
        name: name.into(),
        description: Some("ein Typ \u{e9}".into()),
        patterns: vec!["pat://*:*".into()],
        actions: BTreeMap::from([("access".into(), true)]),
    };
    object(world, id, AmDocument::ResourceType(document))
}

fn set(world: &World, name: &str, id: &str) -> AmObject {
    let document = PolicySet {
        display_name: Some("A set".into()),
        description: None,
        resource_type_uuids: vec![id.into()],
        service: Some("git".into()),
    };
    object(world, name, AmDocument::PolicySet(document))
}

fn policy(world: &World, name: &str, set: &str, id: &str) -> AmObject {
    let document = Policy {
        active: true,
        description: None,
        application_name: set.into(),
        resource_type_uuid: id.into(),
        resources: vec!["pat://alice:*".into()],
        action_values: BTreeMap::from([("access".into(), true)]),
        subject: Subject::AuthenticatedUsers {},
        condition: None,
        resource_attributes: Vec::new(),
    };
    object(world, name, AmDocument::Policy(document))
}

async fn add(world: &World, object: AmObject) -> Inserted {
    world.store.am_insert(object, world.event("am.created")).await.unwrap()
}

async fn remove(world: &World, kind: AmKind, name: &str) -> AmDeleted {
    remove_version(world, kind, name, None).await
}

async fn remove_version(
    world: &World,
    kind: AmKind,
    name: &str,
    version: Option<i64>,
) -> AmDeleted {
    let event = world.event("am.deleted");
    world.store.am_delete(&world.realm, kind, name, version, event).await.unwrap()
}

/// With every field, of its own realm only, and every node hears of it.
pub(super) async fn a_document_comes_back_as_it_was_stored(world: World) {
    let start = world.store.changes_end().await.unwrap();
    let all = [
        policy(&world, "a policy", "a set", "t1"),
        set(&world, "a set", "t1"),
        sort(&world, "t1", "T 1"),
    ];
    for object in all.iter().rev() {
        assert_eq!(add(&world, object.clone()).await, Inserted::Done);
        let found = world.store.am_find(&world.realm, object.kind(), &object.name).await.unwrap();
        assert_eq!(found.as_ref(), Some(object));
    }
    assert_eq!(world.store.am_list(&world.realm).await.unwrap(), all);
    let realm = Change::Realm(world.realm.clone());
    assert_eq!(since(&world, &start).await, [realm.clone(), realm.clone(), realm]);
    let elsewhere = counterfoil_authority::names::RealmName::parse("elsewhere").unwrap();
    assert_eq!(world.store.am_list(&elsewhere).await.unwrap(), []);
    let found = world.store.am_find(&elsewhere, AmKind::Policy, "a policy").await.unwrap();
    assert_eq!(found, None);
    let foreign = AmObject { realm: elsewhere, ..sort(&world, "t1", "T 1") };
    assert_eq!(add(&world, foreign).await, Inserted::Missing("realm"));
}

/// What is built in is there without being stored.
pub(super) async fn a_document_must_name_what_exists(world: World) {
    let missing = add(&world, set(&world, "s", "none")).await;
    assert_eq!(missing, Inserted::Missing("resource type"));
    let missing = add(&world, policy(&world, "p", "none", builtin::PAT_TYPE)).await;
    assert_eq!(missing, Inserted::Missing("policy set"));
    assert_eq!(add(&world, set(&world, "s", builtin::PAT_TYPE)).await, Inserted::Done);
    assert_eq!(add(&world, policy(&world, "p", "s", builtin::PAT_TYPE)).await, Inserted::Done);
    let moved = policy(&world, "p", "none", builtin::PAT_TYPE);
    let updated = world.store.am_update(moved, world.event("am.updated")).await.unwrap();
    assert_eq!(updated, Updated::Missing("policy set"));
}

/// Keys within their kind, names among resource types.
pub(super) async fn a_document_has_its_name_for_itself(world: World) {
    assert_eq!(add(&world, sort(&world, "t1", "one")).await, Inserted::Done);
    assert_eq!(add(&world, sort(&world, "t1", "other")).await, Inserted::Exists);
    assert_eq!(add(&world, sort(&world, "t2", "one")).await, Inserted::Exists);
    assert_eq!(add(&world, sort(&world, "t2", "two")).await, Inserted::Done);
    let renamed = sort(&world, "t2", "one");
    let updated = world.store.am_update(renamed, world.event("am.updated")).await.unwrap();
    assert_eq!(updated, Updated::Exists);
}

/// Of forty edits of one version one wins.
pub(super) async fn a_document_is_replaced_on_condition_of_its_version(world: World) {
    let first = sort(&world, "t1", "one");
    assert_eq!(add(&world, first.clone()).await, Inserted::Done);
    let outcomes = race(40, |number| {
        let (world, mut edit) = (world.clone(), sort(&world, "t1", &format!("name {number}")));
        edit.updated_at = World::at(9);
        edit.updated_by = "user:alice".into();
        async move { world.store.am_update(edit, world.event("am.updated")).await.unwrap() }
    })
    .await;
    let mut done = outcomes.into_iter().filter_map(|updated| match updated {
        Updated::Done(object) => Some(object),
        _ => None,
    });
    let (won, more) = (done.next().unwrap(), done.next());
    assert_eq!(more, None);
    assert_eq!((won.version, won.created_at, won.updated_at), (2, World::at(1), World::at(9)));
    let found = world.store.am_find(&world.realm, AmKind::ResourceType, "t1").await.unwrap();
    assert_eq!(found, Some(won));
    let none = sort(&world, "t9", "nine");
    let updated = world.store.am_update(none, world.event("am.updated")).await.unwrap();
    assert_eq!(updated, Updated::NotFound);
    // And it is removed on the same condition.
    let remove = async |name, version| {
        remove_version(&world, AmKind::ResourceType, name, Some(version)).await
    };
    assert_eq!(remove("t1", 1).await, AmDeleted::VersionMismatch);
    assert_eq!(remove("t9", 1).await, AmDeleted::NotFound);
    assert_eq!(remove("t1", 2).await, AmDeleted::Done);
}

/// Whoever removes and whoever names it at the same time agree on who was first.
pub(super) async fn a_document_that_others_name_stays(world: World) {
    for object in
        [sort(&world, "t1", "one"), set(&world, "s", "t1"), policy(&world, "p", "s", "t1")]
    {
        assert_eq!(add(&world, object).await, Inserted::Done);
    }
    assert_eq!(remove(&world, AmKind::ResourceType, "t1").await, AmDeleted::InUse(2));
    assert_eq!(remove(&world, AmKind::PolicySet, "s").await, AmDeleted::InUse(1));
    assert_eq!(remove(&world, AmKind::Policy, "p").await, AmDeleted::Done);
    assert_eq!(remove(&world, AmKind::Policy, "p").await, AmDeleted::NotFound);
    let outcomes = race(40, |number| {
        let world = world.clone();
        async move {
            if number == 20 {
                remove(&world, AmKind::PolicySet, "s").await == AmDeleted::Done
            } else {
                let one = policy(&world, &format!("p{number}"), "s", "t1");
                add(&world, one).await == Inserted::Done
            }
        }
    })
    .await;
    let set = world.store.am_find(&world.realm, AmKind::PolicySet, "s").await.unwrap();
    let left = world.store.am_list(&world.realm).await.unwrap();
    let policies = left.iter().filter(|object| object.kind() == AmKind::Policy).count();
    assert_eq!(set.is_none(), policies == 0, "{outcomes:?}");
}

async fn change(world: &World, changes: Vec<AmChange>) -> AmChanged {
    world.store.am_change(&world.realm, changes).await.unwrap()
}

fn gone(world: &World, name: &str) -> AmChange {
    AmChange::Delete(AmKind::Policy, name.into(), world.event("am.deleted"))
}

fn added(world: &World, object: AmObject) -> AmChange {
    AmChange::Insert(object, world.event("am.created"))
}

/// In their order, so that a name is free again for what comes behind it; and nothing is left of
/// those before one that cannot be made, neither rows nor events nor a change that others hear of.
pub(super) async fn documents_change_together_or_not_at_all(world: World) {
    for object in [
        sort(&world, "t1", "one"),
        set(&world, "s", "t1"),
        set(&world, "r", "t1"),
        policy(&world, "p", "s", "t1"),
    ] {
        assert_eq!(add(&world, object).await, Inserted::Done);
    }
    let moved = policy(&world, "p", "r", "t1");
    let both = vec![gone(&world, "p"), added(&world, moved.clone())];
    assert_eq!(change(&world, both).await, AmChanged::Done);
    let found = |name| world.store.am_find(&world.realm, AmKind::Policy, name);
    assert_eq!(found("p").await.unwrap(), Some(moved.clone()));

    let start = world.store.changes_end().await.unwrap();
    let created = world.count_events("am.created").await;
    let q = || added(&world, policy(&world, "q", "s", "t1"));
    let of_nothing = added(&world, policy(&world, "x", "none", "t1"));
    let taken = added(&world, moved.clone());
    for (last, said) in [
        (of_nothing, AmChanged::NotInserted(Inserted::Missing("policy set"))),
        (taken, AmChanged::NotInserted(Inserted::Exists)),
        (gone(&world, "none"), AmChanged::NotDeleted(AmDeleted::NotFound)),
    ] {
        assert_eq!(change(&world, vec![q(), last]).await, said);
        assert_eq!(found("q").await.unwrap(), None);
    }
    assert_eq!(world.count_events("am.created").await, created);
    assert_eq!(since(&world, &start).await, []);
    assert_eq!(change(&world, Vec::new()).await, AmChanged::Done);
}

/// The others find it gone.
pub(super) async fn of_forty_who_move_a_document_one_does(world: World) {
    for object in
        [sort(&world, "t1", "one"), set(&world, "s", "t1"), policy(&world, "p", "s", "t1")]
    {
        assert_eq!(add(&world, object).await, Inserted::Done);
    }
    let said = race(40, |number| {
        let world = world.clone();
        async move {
            let there = policy(&world, &format!("p{number}"), "s", "t1");
            change(&world, vec![gone(&world, "p"), added(&world, there)]).await
        }
    })
    .await;
    assert_eq!(said.iter().filter(|said| **said == AmChanged::Done).count(), 1);
    let late = AmChanged::NotDeleted(AmDeleted::NotFound);
    assert_eq!(said.iter().filter(|said| **said == late).count(), 39);
    let left = world.store.am_list(&world.realm).await.unwrap();
    assert_eq!(left.iter().filter(|object| object.kind() == AmKind::Policy).count(), 1);
}

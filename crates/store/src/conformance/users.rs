//! Promises about people.

use counterfoil_authority::lock::Locks;
use counterfoil_authority::names::{RealmName, Username};
use counterfoil_authority::store::{Inserted, PageRequest, Updated, UserFilter, UserRemoval};
use counterfoil_authority::subject::{GrantSubject, OwnerFacts, User, UserStatus};
use serde_json::json;

use super::World;
use super::world::race;

/// Found and listed with every field; the groups that the caller sent mean nothing.
pub(super) async fn a_person_comes_back_as_they_were_stored(world: World) {
    let unit = world.unit("research").await;
    let user = User {
        display_name: Some("Ålice \"A\" O'Hara".into()),
        emails: vec!["a@example".into(), "b@example".into()],
        attributes: [("uid".to_owned(), json!(7)), ("tags".to_owned(), json!(["x"]))].into(),
        status: UserStatus::Suspended,
        unit: Some(unit),
        locks: Locks::from_words("* git wiki").unwrap(),
        ..world.user_named("älice")
    };
    let sent = User { groups: vec![world.group_named("admins").name], ..user.clone() };
    let inserted = world.store.user_insert(sent, world.event("user.created")).await.unwrap();
    assert_eq!(inserted, Inserted::Done);
    let found = world.store.user_find(&world.realm, &user.username).await.unwrap();
    assert_eq!(found.as_ref(), Some(&user));
    let page = PageRequest::first(5);
    let listed = world.store.user_list(&world.realm, UserFilter::default(), page).await.unwrap();
    assert_eq!((listed.items, listed.next), (vec![user], None));
}

/// The second is refused and changes and records nothing.
pub(super) async fn a_user_name_is_given_once(world: World) {
    let alice = world.user("alice").await;
    let other = User { display_name: Some("another".into()), ..alice.clone() };
    let inserted = world.store.user_insert(other, world.event("user.created")).await.unwrap();
    assert_eq!(inserted, Inserted::Exists);
    let found = world.store.user_find(&world.realm, &alice.username).await.unwrap();
    assert_eq!(found, Some(alice));
    assert_eq!(world.count_events("user.created").await, 1);
}

/// Realm and unit must exist.
pub(super) async fn a_person_must_name_what_exists(world: World) {
    let alice = world.user_named("alice");
    let nowhere = RealmName::parse("nowhere").unwrap();
    let bad = [
        (User { unit: Some("none".into()), ..alice.clone() }, "unit"),
        (User { realm: nowhere, ..alice.clone() }, "realm"),
    ];
    for (user, what) in bad {
        let inserted = world.store.user_insert(user, world.event("user.created")).await.unwrap();
        assert_eq!(inserted, Inserted::Missing(what));
    }
    assert_eq!(world.store.user_find(&world.realm, &alice.username).await.unwrap(), None);
}

/// The right version replaces and is raised; any other leaves the person as they are.
pub(super) async fn a_person_is_replaced_on_condition_of_their_version(world: World) {
    let update = |user: User| world.store.user_update(user, world.event("user.updated"));
    let alice = world.user("alice").await;
    let group = world.group("devs", &[&alice]).await;
    let edited = User {
        status: UserStatus::Expired,
        emails: vec!["new@example".into()],
        locks: Locks::from_words("git").unwrap(),
        updated_at: World::at(9),
        ..alice
    };
    let expected = User { version: 2, groups: vec![group], ..edited.clone() };
    assert_eq!(update(edited.clone()).await.unwrap(), Updated::Done(expected.clone()));
    assert_eq!(update(edited.clone()).await.unwrap(), Updated::VersionMismatch);
    let lost = User { version: 2, unit: Some("none".into()), ..edited.clone() };
    assert_eq!(update(lost).await.unwrap(), Updated::Missing("unit"));
    let found = world.store.user_find(&world.realm, &edited.username).await.unwrap();
    assert_eq!(found, Some(expected));
    let unknown = User { username: Username::parse("bob").unwrap(), ..edited };
    assert_eq!(update(unknown).await.unwrap(), Updated::NotFound);
    assert_eq!(world.count_events("user.updated").await, 1);
}

async fn names(world: &World, filter: UserFilter) -> Vec<String> {
    let page = PageRequest::first(100);
    let listed = world.store.user_list(&world.realm, filter, page).await.unwrap();
    listed.items.iter().map(|user| user.username.to_string()).collect()
}

/// Status, group, unit and prefix, alone and together; `%` and `_` are letters like any other.
pub(super) async fn people_are_filtered_by_what_is_asked(world: World) {
    let unit = world.unit("research").await;
    for (name, status, unit) in [
        ("anna", UserStatus::Active, None),
        ("bob", UserStatus::Suspended, Some(unit.clone())),
        ("bo_b", UserStatus::Active, Some(unit.clone())),
        ("bö", UserStatus::Active, None),
    ] {
        let user = User { status, unit, ..world.user_named(name) };
        world.store.user_insert(user, world.event("user.created")).await.unwrap();
    }
    let anna = world.user_named("anna");
    let group = world.group("devs", &[&anna, &world.user_named("bob")]).await;
    let none = UserFilter::default;
    assert_eq!(names(&world, none()).await, ["anna", "bo_b", "bob", "bö"]);
    let suspended = UserFilter { status: Some(UserStatus::Suspended), ..none() };
    assert_eq!(names(&world, suspended.clone()).await, ["bob"]);
    let in_group = UserFilter { group: Some(group.clone()), ..none() };
    assert_eq!(names(&world, in_group).await, ["anna", "bob"]);
    let both = UserFilter { group: Some(group), ..suspended };
    assert_eq!(names(&world, both).await, ["bob"]);
    let in_unit = UserFilter { unit: Some(unit), ..none() };
    assert_eq!(names(&world, in_unit).await, ["bo_b", "bob"]);
    for (prefix, found) in [("b", 3), ("bo_", 1), ("b%", 0), ("bö", 1), ("c", 0)] {
        let filter = UserFilter { prefix: Some(prefix.into()), ..none() };
        assert_eq!(names(&world, filter).await.len(), found, "{prefix}");
    }
}

/// Who was there from the beginning appears once, whoever comes or goes meanwhile.
pub(super) async fn pages_of_people_are_stable_while_others_arrive(world: World) {
    for name in ["b", "d", "f", "h", "j"] {
        world.user(name).await;
    }
    let mut seen = Vec::new();
    let mut page = PageRequest::first(2);
    for arriving in ["a", "c", "i", "z"] {
        let filter = UserFilter::default();
        let some = world.store.user_list(&world.realm, filter, page.clone()).await.unwrap();
        seen.extend(some.items.iter().map(|user| user.username.to_string()));
        page.after = some.next;
        if page.after.is_none() {
            break;
        }
        world.user(arriving).await;
    }
    assert!(seen.is_sorted(), "{seen:?}");
    for name in ["b", "d", "f", "h", "j"] {
        assert_eq!(seen.iter().filter(|seen| *seen == name).count(), 1, "{name} {seen:?}");
    }
}

/// The others are told that the name is taken.
pub(super) async fn of_forty_namesakes_one_arrives(world: World) {
    let said = race(40, |_| {
        let world = world.clone();
        async move {
            let (user, event) = (world.user_named("alice"), world.event("user.created"));
            world.store.user_insert(user, event).await.unwrap()
        }
    })
    .await;
    assert_eq!(said.iter().filter(|said| **said == Inserted::Done).count(), 1);
    assert_eq!(said.iter().filter(|said| **said == Inserted::Exists).count(), 39);
    assert_eq!(world.count_events("user.created").await, 1);
}

/// The others are told that somebody was faster.
pub(super) async fn of_forty_edits_of_one_version_one_wins(world: World) {
    let alice = world.user("alice").await;
    let said = race(40, |number| {
        let (world, alice) = (world.clone(), alice.clone());
        async move {
            let user = User { display_name: Some(number.to_string()), ..alice };
            world.store.user_update(user, world.event("user.updated")).await.unwrap()
        }
    })
    .await;
    let won: Vec<_> = said.iter().filter(|said| matches!(said, Updated::Done(_))).collect();
    assert_eq!(won.len(), 1);
    let found = world.store.user_find(&world.realm, &alice.username).await.unwrap().unwrap();
    assert_eq!(won, [&Updated::Done(found)]);
}

/// Tokens, memberships and grants: a later namesake has none of them.
pub(super) async fn removing_a_person_ends_what_was_theirs(world: World) {
    let alice = world.user("alice").await;
    let bob = world.user("bob").await;
    let group = world.group("devs", &[&alice, &bob]).await;
    world.grant(GrantSubject::User(alice.username.clone())).await;
    let token = world.token_of(&alice).await;
    let others = world.token_of(&bob).await;
    let delete = || {
        let event = world.event("user.deleted");
        world.store.user_delete(&world.realm, &alice.username, World::at(5), event)
    };
    assert!(delete().await.unwrap());
    assert!(!delete().await.unwrap());
    let record = world.store.token_record(token.id).await.unwrap().unwrap();
    assert_eq!((record.revoked, record.owner_facts), (true, OwnerFacts::Gone));

    world.user("alice").await;
    let revocation = world.token(token.id).await.revocation.unwrap();
    assert_eq!((revocation.at, revocation.by.as_str()), (World::at(5), "user:root"));
    assert_eq!(revocation.reason.as_deref(), Some("owner deleted"));
    assert_eq!(world.token(others.id).await.revocation, None);
    let grants = world.store.grants_of_user(&world.realm, &alice.username).await.unwrap();
    assert_eq!(grants, []);
    let found = world.store.user_find(&world.realm, &alice.username).await.unwrap().unwrap();
    assert_eq!(found.groups, []);
    let page = PageRequest::first(9);
    let members = world.store.group_members(&world.realm, &group, page).await.unwrap();
    assert_eq!(members.items, [bob.username]);
    assert_eq!(world.count_events("user.deleted").await, 1);
    assert_eq!(world.count_events("token.revoked").await, 1);
}

/// For a change as for a removal, although both records have the same version.
pub(super) async fn a_later_namesake_is_somebody_else(world: World) {
    let alice = world.user("alice").await;
    let event = world.event("user.deleted");
    let gone = world.store.user_delete(&world.realm, &alice.username, World::at(5), event).await;
    assert!(gone.unwrap());
    let later = User { created_at: World::at(6), updated_at: World::at(6), ..alice.clone() };
    world.store.user_insert(later.clone(), world.event("user.created")).await.unwrap();
    let stale = User { display_name: Some("another".into()), ..alice.clone() };
    let said = world.store.user_update(stale, world.event("user.updated")).await.unwrap();
    assert_eq!(said, Updated::NotFound);
    let remove = async |created_at, version| {
        let removal = UserRemoval {
            realm: world.realm.clone(),
            username: alice.username.clone(),
            created_at,
            version,
            at: World::at(7),
            event: world.event("user.deleted"),
        };
        world.store.user_remove(removal).await.unwrap()
    };
    assert_eq!(remove(Some(alice.created_at), None).await, Updated::NotFound);
    assert_eq!(remove(Some(alice.created_at), Some(1)).await, Updated::NotFound);
    assert_eq!(remove(Some(later.created_at), Some(2)).await, Updated::VersionMismatch);
    assert_eq!(remove(None, Some(2)).await, Updated::VersionMismatch);
    let found = world.store.user_find(&world.realm, &alice.username).await.unwrap();
    assert_eq!(found.as_ref(), Some(&later));
    assert_eq!(world.count_events("user.deleted").await, 1);
    assert_eq!(world.count_events("user.updated").await, 0);
    assert_eq!(remove(Some(later.created_at), Some(1)).await, Updated::Done(()));
    assert_eq!(remove(None, None).await, Updated::NotFound);
    assert_eq!(world.store.user_find(&world.realm, &alice.username).await.unwrap(), None);
}

/// A foreign name answers exactly as one that nobody has.
pub(super) async fn a_person_of_another_realm_is_unknown(world: World) {
    let alice = world.user("alice").await;
    let main = RealmName::parse("main").unwrap();
    assert_eq!(world.store.user_find(&main, &alice.username).await.unwrap(), None);
    let event = world.event("user.deleted");
    let at = World::at(1);
    assert!(!world.store.user_delete(&main, &alice.username, at, event).await.unwrap());
    assert!(world.store.user_find(&world.realm, &alice.username).await.unwrap().is_some());
}

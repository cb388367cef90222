//! Promises about groups and memberships.

use counterfoil_authority::names::{GroupName, Username};
use counterfoil_authority::store::{Inserted, MemberChange, PageRequest};
use counterfoil_authority::subject::{GrantSubject, Group, OwnerFacts};

use super::World;

/// The number is kept by the store, whatever the caller sends.
pub(super) async fn a_group_comes_back_with_the_number_of_its_members(world: World) {
    let alice = world.user("alice").await;
    let group = Group { members: 99, ..world.group_named("r & d") };
    world.store.group_insert(group.clone(), world.event("group.created")).await.unwrap();
    let found = || world.store.group_find(&world.realm, &group.name);
    assert_eq!(found().await.unwrap(), Some(Group { members: 0, ..group.clone() }));
    world.set_member(&group.name, &alice.username, true).await;
    let now = found().await.unwrap().unwrap().updated_at;
    let expected = Group { members: 1, version: 2, updated_at: now, ..group.clone() };
    assert_eq!(found().await.unwrap(), Some(expected.clone()));
    world.group("a", &[]).await;
    let first = world.store.group_list(&world.realm, PageRequest::first(1)).await.unwrap();
    assert_eq!((first.items[0].name.as_str(), first.items.len()), ("a", 1));
    let rest = PageRequest { limit: 1, after: first.next };
    let rest = world.store.group_list(&world.realm, rest).await.unwrap();
    assert_eq!((rest.items, rest.next), (vec![expected], None));
}

/// The second is refused and leaves the members of the first where they are.
pub(super) async fn a_group_name_is_given_once(world: World) {
    let alice = world.user("alice").await;
    let name = world.group("devs", &[&alice]).await;
    let again = world.group_named("devs");
    let inserted = world.store.group_insert(again, world.event("group.created")).await.unwrap();
    assert_eq!(inserted, Inserted::Exists);
    let found = world.store.group_find(&world.realm, &name).await.unwrap().unwrap();
    assert_eq!(found.members, 1);
    let mut lost = world.group_named("x");
    lost.realm = counterfoil_authority::names::RealmName::parse("nowhere").unwrap();
    let inserted = world.store.group_insert(lost, world.event("group.created")).await.unwrap();
    assert_eq!(inserted, Inserted::Missing("realm"));
}

/// And one that is not open is to nobody's own doing.
pub(super) async fn an_open_group_is_joined_and_left_and_has_no_roles(world: World) {
    let alice = world.user("alice").await;
    let closed = world.group("closed", &[]).await;
    let open = Group { open: true, ..world.group_named("open") };
    world.store.group_insert(open.clone(), world.event("group.created")).await.unwrap();
    let found = world.store.group_find(&world.realm, &open.name).await.unwrap().unwrap();
    assert!(found.open);
    let join = async |group: &GroupName, user: &Username, member| {
        let event = world.event("group.member-added");
        world.store.group_join(&world.realm, group, user, member, event).await.unwrap()
    };
    assert_eq!(join(&closed, &alice.username, true).await, MemberChange::NoGroup);
    assert_eq!(join(&open.name, &alice.username, true).await, MemberChange::Done);
    assert_eq!(join(&open.name, &alice.username, true).await, MemberChange::Unchanged);
    let nobody = Username::parse("nobody").unwrap();
    assert_eq!(join(&open.name, &nobody, true).await, MemberChange::NoUser);
    let found = world.store.user_find(&world.realm, &alice.username).await.unwrap().unwrap();
    assert_eq!(found.groups, std::slice::from_ref(&open.name));
    assert_eq!(join(&open.name, &alice.username, false).await, MemberChange::Done);
    // Who is put into a closed one stays there.
    world.set_member(&closed, &alice.username, true).await;
    assert_eq!(join(&closed, &alice.username, false).await, MemberChange::NoGroup);
    let grant = world.grant_of(GrantSubject::Group(open.name));
    let given = world.store.grant_insert(grant, world.event("grant.created")).await.unwrap();
    assert_eq!(given, Inserted::Missing("group"));
}

/// Idempotent, both ways, and told apart from what does not exist.
pub(super) async fn memberships_are_set_and_taken(world: World) {
    let alice = world.user("alice").await;
    let devs = world.group("devs", &[]).await;
    let set = |member| world.set_member(&devs, &alice.username, member);
    assert_eq!(set(false).await, MemberChange::Unchanged);
    assert_eq!(set(true).await, MemberChange::Done);
    assert_eq!(set(true).await, MemberChange::Unchanged);
    let zoo = world.group("zoo", &[&alice]).await;
    let art = world.group("art", &[&alice]).await;
    let found = world.store.user_find(&world.realm, &alice.username).await.unwrap().unwrap();
    assert_eq!(found.groups, [art.clone(), devs.clone(), zoo.clone()]);
    assert_eq!(found.version, alice.version, "a membership is no edit of the record");
    assert_eq!(set(false).await, MemberChange::Done);
    let found = world.store.user_find(&world.realm, &alice.username).await.unwrap().unwrap();
    assert_eq!(found.groups, [art, zoo]);
    let (nobody, none) = (Username::parse("nobody").unwrap(), GroupName::parse("none").unwrap());
    assert_eq!(world.set_member(&devs, &nobody, true).await, MemberChange::NoUser);
    assert_eq!(world.set_member(&none, &alice.username, true).await, MemberChange::NoGroup);
    assert_eq!(world.count_events("group.member-added").await, 4);
}

/// Each once, in order.
pub(super) async fn members_are_listed_by_name_in_pages(world: World) {
    let mut users = Vec::new();
    for name in ["c", "a", "e", "b", "d"] {
        users.push(world.user(name).await);
    }
    let devs = world.group("devs", &users.iter().collect::<Vec<_>>()).await;
    world.group("others", &[&users[0]]).await;
    let mut names = Vec::new();
    let mut page = PageRequest::first(2);
    loop {
        let some = world.store.group_members(&world.realm, &devs, page.clone()).await.unwrap();
        names.extend(some.items.into_iter().map(|name| name.to_string()));
        page.after = some.next;
        if page.after.is_none() {
            break;
        }
    }
    assert_eq!(names, ["a", "b", "c", "d", "e"]);
}

/// Verify sees a membership with the first record read after it.
pub(super) async fn a_record_follows_the_memberships_of_its_owner(world: World) {
    let alice = world.user("alice").await;
    let token = world.token_of(&alice).await;
    let groups = || async {
        match world.store.token_record(token.id).await.unwrap().unwrap().owner_facts {
            OwnerFacts::User(facts) => facts.groups,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(groups().await, []);
    let devs = world.group("devs", &[&alice]).await;
    assert_eq!(groups().await, std::slice::from_ref(&devs));
    world.set_member(&devs, &alice.username, false).await;
    assert_eq!(groups().await, []);
}

/// Nobody is a member of, or has a right through, a group that is gone or a namesake of it.
pub(super) async fn removing_a_group_ends_its_memberships_and_grants(world: World) {
    let alice = world.user("alice").await;
    let devs = world.group("devs", &[&alice]).await;
    world.grant(GrantSubject::Group(devs.clone())).await;
    let delete = || {
        let event = world.event("group.deleted");
        world.store.group_delete(&world.realm, &devs, event)
    };
    assert!(delete().await.unwrap());
    assert!(!delete().await.unwrap());
    assert_eq!(world.store.group_find(&world.realm, &devs).await.unwrap(), None);
    world.group("devs", &[]).await;
    let found = world.store.user_find(&world.realm, &alice.username).await.unwrap().unwrap();
    assert_eq!(found.groups, []);
    world.set_member(&devs, &alice.username, true).await;
    let grants = world.store.grants_of_user(&world.realm, &alice.username).await.unwrap();
    assert_eq!(grants, []);
    assert_eq!(world.count_events("group.deleted").await, 1);
}

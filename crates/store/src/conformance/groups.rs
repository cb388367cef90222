//! Promises about groups and memberships.

use counterfoil_authority::names::{GroupName, Username};
use counterfoil_authority::store::{
    Entrant, GroupBasis, GroupChange, GroupChanged, GroupRemoval, Inserted, MemberChange,
    PageRequest, Updated, UserFilter,
};
use counterfoil_authority::subject::{GrantSubject, Group, OwnerFacts, Provisioned, User};

use super::World;
use super::world::race;

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

/// Who enters with their event.
fn entrant(world: &World, user: &User) -> Entrant {
    let event = world.event("group.member-added");
    Entrant { username: user.username.clone(), created_at: user.created_at, event }
}

/// A change of a group without anybody.
fn change_of(world: &World, group: &Group, basis: GroupBasis) -> GroupChange {
    let event = world.event("group.updated");
    GroupChange { group: group.clone(), basis, entering: Vec::new(), leaving: Vec::new(), event }
}

/// And what a provider said of it comes back.
pub(super) async fn a_group_and_everybody_in_it_change_as_one(world: World) {
    let (alice, bob) = (world.user("alice").await, world.user("bob").await);
    let attributes = [("displayName".to_owned(), "R & D".into())].into();
    let provisioned = Provisioned { external_id: Some("g1".into()), attributes };
    let group = Group { provisioned, ..world.group_named("r & d") };
    let mut change = change_of(&world, &group, GroupBasis::New);
    change.entering = vec![entrant(&world, &alice), entrant(&world, &bob)];
    let made = world.store.group_change(change.clone()).await.unwrap();
    let wanted = Group { members: 2, ..group.clone() };
    assert_eq!(made, GroupChanged::Done(wanted.clone()));
    let found = world.store.group_find(&world.realm, &group.name).await.unwrap();
    assert_eq!(found, Some(wanted));
    assert_eq!(world.store.group_change(change).await.unwrap(), GroupChanged::Exists);

    // One leaves; who is in it already is not told of again, nor who is not.
    let mut change = change_of(&world, &group, GroupBasis::Any);
    change.group.provisioned = Provisioned::default();
    change.entering = vec![entrant(&world, &bob)];
    let gone = Username::parse("nobody").unwrap();
    let left = || world.event("group.member-removed");
    change.leaving = vec![(alice.username.clone(), left()), (gone, left())];
    let GroupChanged::Done(changed) = world.store.group_change(change).await.unwrap() else {
        panic!("it was not changed");
    };
    assert_eq!((changed.members, changed.version), (1, 2));
    assert_eq!(changed.provisioned, group.provisioned, "only people enter and leave");
    assert_eq!(world.count_events("group.member-added").await, 2);
    assert_eq!(world.count_events("group.member-removed").await, 1);
    let found = world.store.user_find(&world.realm, &alice.username).await.unwrap().unwrap();
    assert_eq!(found.groups, []);
    let found = world.store.user_find(&world.realm, &bob.username).await.unwrap().unwrap();
    assert_eq!(found.groups, std::slice::from_ref(&group.name));

    let none = Group { realm: world.realm.clone(), ..world.group_named("none") };
    let change = change_of(&world, &none, GroupBasis::Any);
    assert_eq!(world.store.group_change(change).await.unwrap(), GroupChanged::NotFound);
}

/// Neither the record nor anybody, if one of them is not there or is a later namesake.
pub(super) async fn a_change_of_a_group_is_all_or_nothing(world: World) {
    let alice = world.user("alice").await;
    let name = world.group("devs", &[]).await;
    let before = world.store.group_find(&world.realm, &name).await.unwrap().unwrap();
    let earlier = User { created_at: World::at(7), ..alice.clone() };
    let nobody = world.user_named("nobody");
    for missing in [earlier, nobody] {
        for basis in [GroupBasis::Any, GroupBasis::Version(before.version)] {
            let mut change = change_of(&world, &before, basis);
            change.group.description = Some("other".into());
            change.entering = vec![entrant(&world, &alice), entrant(&world, &missing)];
            let refused = world.store.group_change(change).await.unwrap();
            assert_eq!(refused, GroupChanged::NoUser(missing.username.clone()));
        }
        let mut change = change_of(&world, &world.group_named("new"), GroupBasis::New);
        change.entering = vec![entrant(&world, &missing)];
        let refused = world.store.group_change(change).await.unwrap();
        assert_eq!(refused, GroupChanged::NoUser(missing.username.clone()));
    }
    let found = world.store.group_find(&world.realm, &name).await.unwrap();
    assert_eq!(found, Some(before));
    let new = world.group_named("new").name;
    assert_eq!(world.store.group_find(&world.realm, &new).await.unwrap(), None);
    let found = world.store.user_find(&world.realm, &alice.username).await.unwrap().unwrap();
    assert_eq!(found.groups, []);
    assert_eq!(world.count_events("group.updated").await, 0);
}

/// And each entry and leaving that is meant for any version is done, once.
pub(super) async fn of_forty_changes_of_one_version_of_a_group_one_wins(world: World) {
    let name = world.group("devs", &[]).await;
    let mut users = Vec::new();
    for number in 0..40 {
        users.push(world.user(&format!("u{number:02}")).await);
    }
    let before = world.store.group_find(&world.realm, &name).await.unwrap().unwrap();
    let rush = async |basis| {
        race(40, |number| {
            let (world, before, user) = (world.clone(), before.clone(), users[number].clone());
            async move {
                let mut change = change_of(&world, &before, basis);
                change.entering = vec![entrant(&world, &user)];
                world.store.group_change(change).await.unwrap()
            }
        })
        .await
    };
    let outcomes = rush(GroupBasis::Version(before.version)).await;
    let won = outcomes.iter().filter(|one| matches!(one, GroupChanged::Done(_))).count();
    let lost = outcomes.iter().filter(|one| **one == GroupChanged::VersionMismatch).count();
    assert_eq!((won, lost), (1, 39));
    let outcomes = rush(GroupBasis::Any).await;
    assert!(outcomes.iter().all(|one| matches!(one, GroupChanged::Done(_))));
    let found = world.store.group_find(&world.realm, &name).await.unwrap().unwrap();
    assert_eq!((found.members, found.version), (40, before.version + 41));
    assert_eq!(world.count_events("group.member-added").await, 40);
}

/// A provider finds people by what it calls them, and a group changes when one of its people goes.
pub(super) async fn what_a_provider_said_is_found_and_goes_with_the_person(world: World) {
    let provisioned = Provisioned { external_id: Some("x1".into()), ..Provisioned::default() };
    for name in ["alice", "bob"] {
        let user = User { provisioned: provisioned.clone(), ..world.user_named(name) };
        world.store.user_insert(user, world.event("user.created")).await.unwrap();
    }
    let alice = world.store.user_find(&world.realm, &world.user_named("alice").username).await;
    let alice = alice.unwrap().unwrap();
    assert_eq!(alice.provisioned, provisioned);
    let devs = world.group("devs", &[&alice]).await;
    let found = async |group: Option<&GroupName>, id: &str| {
        let filter = UserFilter {
            group: group.cloned(),
            external_id: Some(id.into()),
            ..UserFilter::default()
        };
        let page = world.store.user_list(&world.realm, filter, PageRequest::first(9)).await;
        let users = page.unwrap().items.into_iter();
        users.map(|user| user.username.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(found(None, "x1").await, ["alice", "bob"]);
    assert_eq!(found(None, "X1").await, [""; 0]);
    assert_eq!(found(Some(&devs), "x1").await, ["alice"]);
    let said = [("title".to_owned(), "Dr".into())].into();
    let other = Provisioned { external_id: Some("x2".into()), attributes: said };
    let edited = User { provisioned: other.clone(), ..alice.clone() };
    world.store.user_update(edited, world.event("user.updated")).await.unwrap();
    assert_eq!(found(None, "x2").await, ["alice"]);
    let again = world.store.user_find(&world.realm, &alice.username).await.unwrap().unwrap();
    assert_eq!(again.provisioned, other);
    let version =
        async || world.store.group_find(&world.realm, &devs).await.unwrap().unwrap().version;
    let before = version().await;
    let event = world.event("user.deleted");
    world.store.user_delete(&world.realm, &alice.username, World::at(9), event).await.unwrap();
    assert_eq!(version().await, before + 1);
    assert_eq!(found(None, "x2").await, [""; 0]);
}

/// For a change as for a removal, although both records have the same version.
pub(super) async fn a_later_namesake_of_a_group_is_another_one(world: World) {
    let former = world.group_named("devs");
    world.store.group_insert(former.clone(), world.event("group.created")).await.unwrap();
    let event = world.event("group.deleted");
    assert!(world.store.group_delete(&world.realm, &former.name, event).await.unwrap());
    let later = Group { created_at: World::at(6), updated_at: World::at(6), ..former.clone() };
    world.store.group_insert(later.clone(), world.event("group.created")).await.unwrap();
    let alice = world.user("alice").await;
    for basis in [GroupBasis::Any, GroupBasis::Version(1)] {
        let mut change = change_of(&world, &former, basis);
        change.entering = vec![entrant(&world, &alice)];
        assert_eq!(world.store.group_change(change).await.unwrap(), GroupChanged::NotFound);
    }
    let remove = async |created_at, version| {
        let (realm, name) = (world.realm.clone(), former.name.clone());
        let event = world.event("group.deleted");
        let removal = GroupRemoval { realm, name, created_at, version, event };
        world.store.group_remove(removal).await.unwrap()
    };
    assert_eq!(remove(Some(former.created_at), None).await, Updated::NotFound);
    assert_eq!(remove(Some(former.created_at), Some(1)).await, Updated::NotFound);
    assert_eq!(remove(Some(later.created_at), Some(2)).await, Updated::VersionMismatch);
    let found = world.store.group_find(&world.realm, &later.name).await.unwrap();
    assert_eq!(found.as_ref(), Some(&later));
    assert_eq!(world.count_events("group.deleted").await, 1);
    assert_eq!(world.count_events("group.updated").await, 0);
    assert_eq!(remove(Some(later.created_at), Some(1)).await, Updated::Done(()));
    assert_eq!(remove(None, None).await, Updated::NotFound);
}

//! Promises about the report on an old system.

use counterfoil_authority::names::{RealmName, ServiceLabel, ShadowName, Username};
use counterfoil_authority::secret::TokenId;
use counterfoil_authority::shadow::Differs;
use counterfoil_authority::store::{
    Change, EventFilter, PageRequest, SHADOW_KEPT_DAYS, SHADOW_KEPT_MAX, ShadowDifference,
    ShadowFilter,
};
use counterfoil_authority::verdict::Reason;

use super::World;
use super::changes::since;
use super::world::race;

fn old() -> ShadowName {
    ShadowName::parse("old").unwrap()
}

/// Later than any purge of these promises, in seconds.
const LATER: i64 = 1_000 * 86_400;

fn met(realm: &RealmName, number: u32, at: i64) -> ShadowDifference {
    let at = World::at(LATER + at);
    ShadowDifference {
        id: format!("{number:024x}"),
        realm: realm.clone(),
        shadow: old(),
        service: ServiceLabel::parse("mail").ok(),
        differs: Differs::OnlyThere,
        token: None,
        username: Username::parse("alice").ok(),
        reason: Some(Reason::Unknown),
        count: 1,
        first_at: at,
        last_at: at,
    }
}

async fn listed(world: &World, filter: ShadowFilter) -> Vec<ShadowDifference> {
    let page = world.store.shadow_list(&world.realm, filter, PageRequest::first(1000)).await;
    page.unwrap().items
}

/// Whatever the order in which nodes tell of it.
pub(super) async fn a_difference_is_one_row_that_adds_up(world: World) {
    let realm = &world.realm;
    let one = met(realm, 1, 50);
    world.store.shadow_note(vec![one.clone()]).await.unwrap();
    let earlier = ShadowDifference { reason: Some(Reason::Expired), count: 2, ..met(realm, 2, 40) };
    world.store.shadow_note(vec![earlier]).await.unwrap();
    let later = ShadowDifference { reason: Some(Reason::Revoked), ..met(realm, 3, 60) };
    world.store.shadow_note(vec![later]).await.unwrap();
    let all = ShadowDifference {
        reason: Some(Reason::Revoked),
        count: 4,
        first_at: World::at(LATER + 40),
        last_at: World::at(LATER + 60),
        ..one
    };
    assert_eq!(listed(&world, ShadowFilter::default()).await, [all]);
}

/// Also where nothing is known of token and person.
pub(super) async fn what_is_not_the_same_is_another_row(world: World) {
    let realm = &world.realm;
    let token = TokenId::parse("0123456789AB");
    let all = vec![
        met(realm, 1, 50),
        ShadowDifference { service: None, ..met(realm, 2, 50) },
        ShadowDifference { username: None, ..met(realm, 3, 50) },
        ShadowDifference { username: None, token, ..met(realm, 4, 50) },
        ShadowDifference { differs: Differs::OnlyHere, reason: None, ..met(realm, 5, 50) },
        ShadowDifference { shadow: ShadowName::parse("older").unwrap(), ..met(realm, 6, 50) },
    ];
    world.store.shadow_note(all.clone()).await.unwrap();
    assert_eq!(listed(&world, ShadowFilter::default()).await, all);
    world.store.shadow_note(all.clone()).await.unwrap();
    let twice = listed(&world, ShadowFilter::default()).await;
    assert_eq!(twice.iter().map(|one| one.count).collect::<Vec<_>>(), [2; 6]);
    let first = |differs, shadow| ShadowFilter { differs, shadow };
    let ids = async |filter| {
        let found = listed(&world, filter).await;
        found.iter().map(|one| one.id.trim_start_matches('0').to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(ids(first(Some(Differs::OnlyHere), None)).await, ["5"]);
    assert_eq!(ids(first(Some(Differs::OnlyThere), Some(old()))).await, ["1", "2", "3", "4"]);
    let older = ShadowName::parse("older").ok();
    assert_eq!(ids(first(None, older)).await, ["6"]);
    let page = PageRequest::first(4);
    let page = world.store.shadow_list(realm, ShadowFilter::default(), page).await.unwrap();
    assert_eq!(page.items.len(), 4);
    let rest = PageRequest { limit: 4, after: page.next };
    let rest = world.store.shadow_list(realm, ShadowFilter::default(), rest).await.unwrap();
    assert_eq!((rest.items.len(), rest.next), (2, None));
}

pub(super) async fn what_forty_nodes_met_at_once_adds_up(world: World) {
    race(40, |n| {
        let (store, realm) = (world.store.clone(), world.realm.clone());
        let number = u32::try_from(n).unwrap();
        async move { store.shadow_note(vec![met(&realm, number, 50)]).await.unwrap() }
    })
    .await;
    let found = listed(&world, ShadowFilter::default()).await;
    assert_eq!(found.iter().map(|one| one.count).collect::<Vec<_>>(), [40]);
}

pub(super) async fn a_report_is_cleared_with_its_event_and_of_its_realm_alone(world: World) {
    let realm = &world.realm;
    let older =
        ShadowDifference { shadow: ShadowName::parse("older").unwrap(), ..met(realm, 2, 50) };
    world.store.shadow_note(vec![met(realm, 1, 50), older]).await.unwrap();
    let start = world.store.changes_end().await.unwrap();
    let elsewhere = RealmName::parse("elsewhere-entirely").unwrap();
    let mut told = Vec::new();
    for (of, shadow, expected) in
        [(&elsewhere, None, 0), (realm, Some(old()), 1), (realm, None, 1), (realm, None, 0)]
    {
        let event = world.event("shadow.cleared");
        let gone = world.store.shadow_clear(of, shadow.clone(), event).await.unwrap();
        assert_eq!(gone, expected, "{of} {shadow:?}");
        if shadow.is_some() {
            let left = listed(&world, ShadowFilter::default()).await;
            assert_eq!(left.iter().map(|one| one.shadow.as_str()).collect::<Vec<_>>(), ["older"]);
        }
        // Also where there was nothing: what each node has counted begins anew.
        told.push(Change::Shadow(of.clone(), shadow));
    }
    assert_eq!(since(&world, &start).await, told);
    let kind = Some("shadow.cleared".to_owned());
    let filter = EventFilter { kind, ..EventFilter::default() };
    let events = world.store.event_list(realm, filter, PageRequest::first(9)).await.unwrap();
    assert_eq!(events.items.len(), 4);
}

/// More than anybody reads is not kept, and what is met again and again is.
pub(super) async fn of_too_many_differences_the_latest_are_kept(world: World) {
    let realm = &world.realm;
    let over = 5;
    let named = |number: u32| ShadowDifference {
        username: Username::parse(&format!("user-{number}")).ok(),
        ..met(realm, number, i64::from(number))
    };
    let all: Vec<_> = (0..SHADOW_KEPT_MAX).map(named).collect();
    for some in all.chunks(1000) {
        world.store.shadow_note(some.to_vec()).await.unwrap();
    }
    let again = ShadowDifference { last_at: World::at(LATER + 90_000), ..named(0) };
    let mut some: Vec<_> = (SHADOW_KEPT_MAX..SHADOW_KEPT_MAX + over).map(named).collect();
    some.push(again);
    world.store.shadow_note(some).await.unwrap();
    let first = listed(&world, ShadowFilter::default()).await;
    let ids: Vec<_> = first.iter().take(2).map(|one| one.id.clone()).collect();
    assert_eq!(ids, [named(0).id, named(over + 1).id]);
}

pub(super) async fn differences_are_forgotten_after_their_time(world: World) {
    let realm = &world.realm;
    let end = -SHADOW_KEPT_DAYS * 86_400 - LATER;
    let over = ShadowDifference { username: None, ..met(realm, 1, end - 1) };
    let last = met(realm, 2, end);
    world.store.shadow_note(vec![over, last.clone()]).await.unwrap();
    while world.store.purge(World::at(0), None).await.unwrap().rows > 0 {}
    assert_eq!(listed(&world, ShadowFilter::default()).await, [last]);
}

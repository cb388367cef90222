//! Promises about what is counted of tokens that somebody else keeps.

use counterfoil_authority::custom::ForeignId;
use counterfoil_authority::names::RealmName;
use counterfoil_authority::store::{
    EventFilter, ForeignChanged, ForeignKey, ForeignUsage, ForeignUseDelta, PageRequest,
};

use super::World;
use super::world::race;

fn key(world: &World, id: &str) -> ForeignKey {
    let id = ForeignId::parse(id).unwrap();
    ForeignKey::new(&world.realm, "acme", &id, Some("alice"))
}

fn used(key: &ForeignKey, from: i64, to: i64, ip: &str) -> ForeignUseDelta {
    ForeignUseDelta {
        key: key.clone(),
        accepted: 2,
        denied: 1,
        first_at: Some(World::at(from)),
        last_at: Some(World::at(to)),
        last_ip: Some(ip.parse().unwrap()),
    }
}

async fn known(world: &World, key: &ForeignKey) -> Option<ForeignUsage> {
    world.store.foreign_use_find(&world.realm, vec![key.token]).await.unwrap().pop()
}

/// Whatever the order in which nodes tell of them.
pub(super) async fn uses_of_a_foreign_token_add_up_and_never_run_backwards(world: World) {
    let (one, other) = (key(&world, "1"), key(&world, "zwei \u{e9}"));
    assert_eq!(known(&world, &one).await, None);
    let late = vec![used(&one, 50, 60, "192.0.2.2"), used(&other, 5, 5, "192.0.2.1")];
    world.store.foreign_use_add(late).await.unwrap();
    world.store.foreign_use_add(vec![used(&one, 10, 20, "192.0.2.1")]).await.unwrap();
    let refused = ForeignUseDelta {
        accepted: 0,
        denied: 3,
        first_at: None,
        last_at: None,
        last_ip: None,
        ..used(&one, 0, 0, "192.0.2.1")
    };
    world.store.foreign_use_add(vec![refused]).await.unwrap();
    let expected = ForeignUsage {
        key: one.clone(),
        first_at: Some(World::at(10)),
        last_at: Some(World::at(60)),
        last_ip: Some("192.0.2.2".parse().unwrap()),
        total: 4,
        denied_total: 5,
        used: 0,
    };
    assert_eq!(known(&world, &one).await, Some(expected));
    let both = world.store.foreign_use_find(&world.realm, vec![other.token, one.token]).await;
    let ids: Vec<String> = both.unwrap().iter().map(|one| one.key.id.to_string()).collect();
    assert_eq!(ids, ["zwei \u{e9}", "1"]);
    let elsewhere = RealmName::parse("elsewhere").unwrap();
    let foreign = world.store.foreign_use_find(&elsewhere, vec![one.token]).await.unwrap();
    assert_eq!(foreign, []);
}

/// The limit is told with each use, because it is the repository's.
pub(super) async fn of_forty_uses_of_a_foreign_token_as_many_are_counted_as_allowed(world: World) {
    let key = key(&world, "limited");
    let done = race(40, |_| {
        let (world, key) = (world.clone(), key.clone());
        async move {
            world.store.foreign_use_consume(key, 7, World::at(9), None).await.unwrap().is_some()
        }
    })
    .await;
    assert_eq!(done.into_iter().filter(|done| *done).count(), 7);
    let usage = known(&world, &key).await.unwrap();
    assert_eq!((usage.used, usage.total), (7, 7));
    let more = world.store.foreign_use_consume(key.clone(), 8, World::at(5), None).await.unwrap();
    assert_eq!(more, Some(8));
    // A clock that stands back takes nothing back.
    assert_eq!(known(&world, &key).await.unwrap().last_at, Some(World::at(9)));
    let none = world.store.foreign_use_consume(key, 0, World::at(9), None).await.unwrap();
    assert_eq!(none, None);
}

/// What was bookkept before does not count against a limit.
pub(super) async fn a_foreign_token_that_was_removed_is_forgotten(world: World) {
    let key = key(&world, "gone");
    world.store.foreign_use_add(vec![used(&key, 1, 2, "192.0.2.1")]).await.unwrap();
    let counted = world.store.foreign_use_consume(key.clone(), 1, World::at(3), None).await;
    assert_eq!(counted.unwrap(), Some(1));
    let change = |realm: &RealmName, removed| {
        let event = world.event("token.deleted").with_token(key.token);
        ForeignChanged { realm: realm.clone(), token: key.token, removed, event }
    };
    let elsewhere = RealmName::parse("elsewhere").unwrap();
    for (realm, removed) in [(&elsewhere, true), (&world.realm, false)] {
        world.store.foreign_changed(change(realm, removed)).await.unwrap();
        assert!(known(&world, &key).await.is_some());
    }
    world.store.foreign_changed(change(&world.realm, true)).await.unwrap();
    assert_eq!(known(&world, &key).await, None);
    let filter = EventFilter { token: Some(key.token), ..EventFilter::default() };
    let page = PageRequest { limit: 10, after: None };
    let told = world.store.event_list(&world.realm, filter, page).await.unwrap();
    assert_eq!(told.items.len(), 3);
}

//! Promises about who does the background work.

use counterfoil_authority::store::Lease;

use super::World;
use super::world::race;

/// Leases belong to the installation, so each promise names its own.
fn named(world: &World, what: &str) -> String {
    format!("{}.{what}", world.realm)
}

async fn take(world: &World, name: &str, holder: &str, now: i64, until: i64) -> Option<Lease> {
    world.store.lease_take(name, holder, World::at(now), World::at(until)).await.unwrap()
}

/// Whoever has it may prolong it; everybody else waits for its end, or until it is given back.
pub(super) async fn a_lease_is_held_by_one_at_a_time(world: World) {
    let name = named(&world, "one");
    let first = take(&world, &name, "a", 0, 10).await.unwrap();
    assert_eq!((first.name.as_str(), first.holder.as_str()), (name.as_str(), "a"));
    assert_eq!(take(&world, &name, "b", 5, 15).await, None);
    assert_eq!(take(&world, &name, "a", 5, 20).await.unwrap(), first);
    assert_eq!(take(&world, &name, "b", 19, 29).await, None);
    let second = take(&world, &name, "b", 20, 30).await.unwrap();
    assert!(second.fence > first.fence);
    // Too late: it is not the former holder's any more.
    world.store.lease_end(&first, World::at(21)).await.unwrap();
    assert_eq!(take(&world, &name, "a", 22, 32).await, None);
    world.store.lease_end(&second, World::at(23)).await.unwrap();
    let third = take(&world, &name, "a", 23, 33).await.unwrap();
    assert!(third.fence > second.fence);
    // A holder that slept through the end begins anew.
    let fourth = take(&world, &name, "a", 50, 60).await.unwrap();
    assert!(fourth.fence > third.fence);
}

/// However many ask at the same moment.
pub(super) async fn of_forty_that_ask_for_a_lease_one_has_it(world: World) {
    let name = named(&world, "forty");
    let taken = race(40, |node| {
        let (world, name) = (world.clone(), name.clone());
        async move { take(&world, &name, &format!("node-{node}"), 0, 10).await }
    })
    .await;
    assert_eq!(taken.into_iter().flatten().count(), 1);
}

/// A node that was overtaken removes nothing.
pub(super) async fn work_under_a_lease_that_was_lost_is_not_done(world: World) {
    let name = named(&world, "purge");
    let alice = world.user("alice").await;
    let mut issue = world.issue_to(&alice);
    issue.idempotency = Some(World::idempotency("a-lease", "key", 1));
    world.issued(issue).await;
    let late = World::at(7_200);
    while world.store.purge(World::at(3_599), None).await.unwrap().rows > 0 {}
    let lost = take(&world, &name, "a", 0, 10).await.unwrap();
    let held = take(&world, &name, "b", 10, 20).await.unwrap();
    assert_eq!(world.store.purge(late, Some(&lost)).await.unwrap().rows, 0);
    assert!(world.store.purge(late, Some(&held)).await.unwrap().rows > 0);
}

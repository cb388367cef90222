//! Promises about the networks that tokens were used from.

use counterfoil_authority::secret::TokenId;
use counterfoil_authority::store::{NETWORKS_KEPT_DAYS, NETWORKS_KEPT_MAX, Sighting};
use ipnet::IpNet;

use super::World;
use super::world::race;

const FIRST: &str = "token.new-network";
const MANY: &str = "token.many-networks";
const DAY: i64 = 86_400;

fn network(number: u8) -> IpNet {
    format!("10.0.{number}.0/24").parse().unwrap()
}

fn sighting(world: &World, token: TokenId, number: u8, at: i64) -> Sighting {
    Sighting {
        token,
        network: network(number),
        at: World::at(at),
        first: Some(world.event(FIRST).with_token(token)),
        many: Some((3, world.event(MANY).with_token(token))),
    }
}

async fn noted(world: &World, token: TokenId, number: u8, at: i64) -> Vec<String> {
    let told = world.store.networks_note(vec![sighting(world, token, number, at)]).await.unwrap();
    told.iter().map(|event| event.kind.to_string()).collect()
}

/// The very first one is none, and so is one that is known.
pub(super) async fn a_new_network_is_told_of_once(world: World) {
    let alice = world.user("alice").await;
    let token = world.token_of(&alice).await.id;
    assert_eq!(noted(&world, token, 1, 10).await, [""; 0]);
    assert_eq!(noted(&world, token, 1, 20).await, [""; 0]);
    assert_eq!(noted(&world, token, 2, 30).await, [FIRST]);
    for (number, at) in [(2, 40), (1, 50), (2, 45)] {
        assert_eq!(noted(&world, token, number, at).await, [""; 0]);
    }
    // A token of its own knows nothing of it.
    let other = world.token_of(&alice).await.id;
    assert_eq!(noted(&world, other, 2, 60).await, [""; 0]);
    let unwatched = Sighting { first: None, many: None, ..sighting(&world, token, 9, 70) };
    assert_eq!(world.store.networks_note(vec![unwatched]).await.unwrap(), []);
    let found = world.store.networks_of(token).await.unwrap();
    let at = World::at;
    let expected =
        [(network(9), at(70), at(70)), (network(1), at(10), at(50)), (network(2), at(30), at(45))];
    assert_eq!(found, expected);
    assert_eq!(world.count_events(FIRST).await, 1);
    assert_eq!(
        world.store.networks_note(vec![sighting(&world, world.token_id(), 1, 1)]).await.unwrap(),
        []
    );
}

/// Within a day, and again only a day later.
pub(super) async fn too_many_networks_are_told_of_once_a_day(world: World) {
    let alice = world.user("alice").await;
    let token = world.token_of(&alice).await.id;
    let many = async |number, at| noted(&world, token, number, at).await.contains(&MANY.to_owned());
    for number in 1..=3 {
        assert!(!many(number, i64::from(number)).await);
    }
    // The fourth comes when the first is a day old.
    assert!(!many(4, DAY + 1).await);
    assert!(many(5, DAY + 1).await);
    for (number, at) in [(6, DAY + 2), (7, 2 * DAY), (8, 2 * DAY)] {
        assert!(!many(number, at).await, "{number}");
    }
    assert!(many(9, 2 * DAY + 1).await);
    let page = counterfoil_authority::store::PageRequest::first(10);
    let filter = counterfoil_authority::store::EventFilter {
        kind: Some(MANY.into()),
        ..counterfoil_authority::store::EventFilter::default()
    };
    let told = world.store.event_list(&world.realm, filter, page).await.unwrap().items;
    assert_eq!(told.len(), 2);
    let expected = serde_json::json!({ "networks": 4, "max": 3, "network": "10.0.5.0/24" });
    assert_eq!(told[1].detail, Some(expected));
}

/// Whoever sees them.
pub(super) async fn of_forty_networks_at_once_all_are_new_but_the_first_and_one_is_too_many(
    world: World,
) {
    let alice = world.user("alice").await;
    let token = world.token_of(&alice).await.id;
    race(40, |number| {
        let (store, number) = (world.store.clone(), u8::try_from(number).unwrap());
        let sighting = sighting(&world, token, number, 10);
        async move { store.networks_note(vec![sighting]).await.unwrap() }
    })
    .await;
    assert_eq!(world.count_events(FIRST).await, 39);
    assert_eq!(world.count_events(MANY).await, 1);
}

/// By number and by age.
pub(super) async fn networks_of_a_token_are_bounded_and_forgotten_after_their_time(world: World) {
    let alice = world.user("alice").await;
    let token = world.token_of(&alice).await.id;
    // Before the first instant of any other promise: a purge is everybody's.
    let begin = -NETWORKS_KEPT_DAYS * DAY - i64::from(NETWORKS_KEPT_MAX);
    for number in 0..=NETWORKS_KEPT_MAX {
        let number = u8::try_from(number).unwrap();
        noted(&world, token, number, begin + i64::from(number)).await;
    }
    let found = world.store.networks_of(token).await.unwrap();
    assert_eq!(found.len(), NETWORKS_KEPT_MAX as usize);
    assert!(!found.iter().any(|(kept, ..)| *kept == network(0)));
    while world.store.purge(World::at(0), None).await.unwrap().rows > 0 {}
    let left = world.store.networks_of(token).await.unwrap();
    let last = World::at(-NETWORKS_KEPT_DAYS * DAY);
    assert_eq!(left, [(network(64), last, last)]);
}

//! Promises about the days on which tokens were used.

use counterfoil_authority::clock::Timestamp;
use counterfoil_authority::secret::TokenId;
use counterfoil_authority::store::{USE_DAYS_KEPT, UseDay, day_of};
use counterfoil_authority::verdict::Door;

use super::World;

/// Later than any purge of these promises.
const LATER: i64 = 1_000;

fn used(token: TokenId, day: i64, door: Door, uses: u64, last: u8) -> UseDay {
    let day = day_of(World::at(0)) + day;
    let last_at = Timestamp::from_seconds(day * 86_400 + i64::from(last));
    UseDay { token, day, door, uses, last_at, last_ip: Some([10, 0, 0, last].into()) }
}

/// Whatever the order in which nodes tell of them.
pub(super) async fn uses_of_a_day_add_up_and_their_last_never_runs_backwards(world: World) {
    let alice = world.user("alice").await;
    let (token, other) = (world.token_of(&alice).await.id, world.token_of(&alice).await.id);
    let day = day_of(World::at(0)) + LATER;
    let used = |token, day, door, uses, last| used(token, LATER + day, door, uses, last);
    let add = async |days| world.store.use_days_add(days).await.unwrap();
    add(vec![used(token, 7, Door::Ldap, 2, 9), used(other, 7, Door::Ldap, 1, 1)]).await;
    add(vec![used(token, 7, Door::Ldap, 3, 4), used(token, 7, Door::Api, 1, 5)]).await;
    add(vec![used(token, 6, Door::Ldap, 8, 2)]).await;
    let found = world.store.use_days_find(vec![token], 0).await.unwrap();
    let (api, ldap) = (used(token, 7, Door::Api, 1, 5), used(token, 7, Door::Ldap, 5, 9));
    assert_eq!(found, [used(token, 6, Door::Ldap, 8, 2), api.clone(), ldap.clone()]);
    assert_eq!(world.store.use_days_find(vec![token], day + 7).await.unwrap(), [api, ldap]);
    assert_eq!(world.store.use_days_find(vec![token], day + 8).await.unwrap(), []);
    let foreign = world.store.use_days_find(vec![other], 0).await.unwrap();
    assert_eq!(foreign, [used(other, 7, Door::Ldap, 1, 1)]);
    let both = world.store.use_days_find(vec![other, token], day + 7).await.unwrap();
    let of: Vec<TokenId> = both.iter().map(|one| one.token).collect();
    assert_eq!(of, [other, token, token]);
}

/// Where people came from is kept no longer than it is shown.
pub(super) async fn days_of_use_are_forgotten_after_their_time(world: World) {
    let alice = world.user("alice").await;
    let token = world.token_of(&alice).await.id;
    let (over, last) = (-USE_DAYS_KEPT - 1, -USE_DAYS_KEPT);
    let days = vec![used(token, over, Door::Api, 1, 1), used(token, last, Door::Api, 1, 1)];
    world.store.use_days_add(days).await.unwrap();
    while world.store.purge(World::at(0), None).await.unwrap().rows > 0 {}
    let left = world.store.use_days_find(vec![token], 0).await.unwrap();
    assert_eq!(left, [used(token, last, Door::Api, 1, 1)]);
}

//! Promises about limits that are counted and usage that is bookkept.

use std::net::IpAddr;

use counterfoil_authority::kind::Kind;
use counterfoil_authority::secret::TokenId;
use counterfoil_authority::secret_hash::SecretHash;
use counterfoil_authority::store::{Change, Consumed, Rehash, TokenAct, TokenRotate, UsageDelta};
use counterfoil_authority::token::{State, Token, Usage};
use counterfoil_authority::validity::Validity;

use super::World;
use super::changes::since;
use super::world::{race, revocation};

fn ip(last: u8) -> IpAddr {
    IpAddr::from([10, 0, 0, last])
}

fn delta(token: TokenId, accepted: u64, first: i64, last: i64) -> UsageDelta {
    UsageDelta {
        token,
        accepted,
        denied: 0,
        first_at: Some(World::at(first)),
        last_at: Some(World::at(last)),
        last_ip: Some(ip(u8::try_from(last).unwrap())),
        is_listed: false,
    }
}

async fn limited(world: &World, max: u64) -> Token {
    let alice = world.user("alice").await;
    let mut issue = world.issue_to(&alice);
    issue.token.max_usages = Some(max);
    world.issued(issue).await
}

/// The latest of them counts, and a use that comes late takes nothing back.
pub(super) async fn a_token_was_of_use_when_it_was_issued_used_or_given_a_secret(world: World) {
    let alice = world.user("alice").await;
    let token = world.token_of(&alice).await;
    let last = async || world.store.token_last_active(token.id).await.unwrap();
    assert_eq!(last().await, Some(world.token(token.id).await.last_active()));
    let issued = last().await.unwrap();
    let from_issue = |seconds| issued.plus_seconds(seconds);
    for (at, expected) in [(50, 50), (20, 50), (60, 60)] {
        let at = Some(from_issue(at));
        let used = UsageDelta { first_at: at, last_at: at, ..delta(token.id, 1, 1, 1) };
        world.store.usage_flush(vec![used], Vec::new(), Vec::new()).await.unwrap();
        assert_eq!(last().await, Some(from_issue(expected)));
    }
    let mut secret = world.secret();
    secret.facts.created_at = from_issue(70);
    let rotate = TokenRotate {
        realm: world.realm.clone(),
        id: token.id,
        secret,
        previous_until: from_issue(80),
        expected_version: None,
        at: from_issue(70),
        idempotency: None,
        only_replay: false,
        event: world.event("token.rotated"),
    };
    world.store.token_rotate(rotate).await.unwrap();
    assert_eq!(last().await, Some(from_issue(70)));
    assert_eq!(world.token(token.id).await.last_active(), from_issue(70));
    let unknown = TokenId::parse("000000000000").unwrap();
    assert_eq!(world.store.token_last_active(unknown).await.unwrap(), None);
}

/// Five of two hundred that come at once.
pub(super) async fn exactly_as_many_uses_are_counted_as_allowed(world: World) {
    let token = limited(&world, 5).await;
    let said = race(200, |_| {
        let store = world.store.clone();
        async move { store.token_consume(token.id, World::at(1), None).await.unwrap() }
    })
    .await;
    let mut counted = Vec::new();
    for said in &said {
        match said {
            Consumed::Done { used } => counted.push(*used),
            Consumed::Refused(state) => assert_eq!(*state, State::Exhausted),
        }
    }
    counted.sort_unstable();
    assert_eq!(counted, [1, 2, 3, 4, 5]);
    let after = world.token(token.id).await;
    assert_eq!((after.used, after.usage.total, after.version), (5, 5, token.version));
    assert_eq!(after.state(World::at(1)), State::Exhausted);
}

/// Each state refuses by its name; what the rules say of a state, the store says too.
pub(super) async fn a_use_is_counted_only_of_an_active_token(world: World) {
    let alice = world.user("alice").await;
    let window = Validity::new(World::at(10), Some(World::at(20))).unwrap();
    let mut registration = world.issue_to(&alice);
    registration.token.kind = Kind::RegistrationToken;
    registration.token.sentinel.count = Some(3);
    registration.token.sentinel.reserved = 3;
    registration.token.sentinel.returned = 1;
    let registration = world.issued(registration).await;
    let consume = |id, at| world.store.token_consume(id, World::at(at), None);
    assert_eq!(consume(registration.id, 1).await.unwrap(), Consumed::Done { used: 1 });
    let refused = Consumed::Refused(State::Exhausted);
    assert_eq!(consume(registration.id, 1).await.unwrap(), refused);

    let mut issue = world.issue_to(&alice);
    issue.token.max_usages = Some(1);
    issue.token.validity = window;
    issue.token.pending = true;
    let pending = world.issued(issue).await;
    let refused = Consumed::Refused(State::Pending);
    assert_eq!(consume(pending.id, 15).await.unwrap(), refused);

    let mut issue = world.issue_to(&alice);
    issue.token.max_usages = Some(1);
    issue.token.validity = window;
    let token = world.issued(issue).await;
    for (at, state) in [(9, State::NotYetValid), (20, State::Expired)] {
        assert_eq!(consume(token.id, at).await.unwrap(), Consumed::Refused(state));
    }
    for (act, state) in [
        (TokenAct::Disable, Some(State::Disabled)),
        (TokenAct::Lock, Some(State::Locked)),
        (TokenAct::Enable, Some(State::Locked)),
        (TokenAct::Unlock, None),
        (revocation(), Some(State::Revoked)),
    ] {
        world.store.token_change(world.switch(token.id, act)).await.unwrap();
        let said = consume(token.id, 15).await.unwrap();
        assert_eq!(said, state.map_or(Consumed::Done { used: 1 }, Consumed::Refused));
    }
    let unknown = TokenId::parse("000000000000").unwrap();
    assert_eq!(consume(unknown, 1).await.unwrap(), Consumed::Refused(State::Revoked));
}

/// It has no limit that could be reached.
pub(super) async fn an_unlimited_token_is_counted_too(world: World) {
    let alice = world.user("alice").await;
    let token = world.token_of(&alice).await;
    for used in 1..=3 {
        let said = world.store.token_consume(token.id, World::at(1), None).await.unwrap();
        assert_eq!(said, Consumed::Done { used });
    }
}

/// In the same transaction, with instant and address; a refused one not at all.
pub(super) async fn a_counted_use_is_bookkept_once(world: World) {
    let token = limited(&world, 2).await;
    for (at, used) in [(5, Some(1)), (3, Some(2)), (9, None)] {
        let address = Some(ip(u8::try_from(at).unwrap()));
        let said = world.store.token_consume(token.id, World::at(at), address).await.unwrap();
        let expected = match used {
            Some(used) => Consumed::Done { used },
            None => Consumed::Refused(State::Exhausted),
        };
        assert_eq!(said, expected);
    }
    let expected = Usage {
        first_at: Some(World::at(3)),
        last_at: Some(World::at(5)),
        last_ip: Some(ip(5)),
        total: 2,
        denied_total: 0,
    };
    assert_eq!(world.token(token.id).await.usage, expected);
}

/// Whatever the order in which flushes arrive.
pub(super) async fn bookkeeping_adds_up_and_never_runs_backwards(world: World) {
    let alice = world.user("alice").await;
    let token = world.token_of(&alice).await;
    let other = world.token_of(&alice).await;
    let flush = |deltas| world.store.usage_flush(deltas, Vec::new(), Vec::new());
    flush(vec![delta(token.id, 3, 10, 20), delta(other.id, 1, 1, 1)]).await.unwrap();
    flush(vec![delta(token.id, 2, 5, 15)]).await.unwrap();
    let expected = Usage {
        first_at: Some(World::at(5)),
        last_at: Some(World::at(20)),
        last_ip: Some(ip(20)),
        total: 5,
        denied_total: 0,
    };
    assert_eq!(world.token(token.id).await.usage, expected);
    flush(vec![UsageDelta { last_ip: None, ..delta(token.id, 1, 30, 30) }]).await.unwrap();
    let expected = Usage { last_at: Some(World::at(30)), last_ip: None, total: 6, ..expected };
    assert_eq!(world.token(token.id).await.usage, expected);
    assert_eq!(world.token(other.id).await.usage.total, 1);
    assert_eq!(world.token(token.id).await.version, token.version);
    flush(Vec::new()).await.unwrap();
}

/// Neither the first nor the last.
pub(super) async fn a_refusal_alone_is_no_use(world: World) {
    let alice = world.user("alice").await;
    let token = world.token_of(&alice).await;
    let denied = UsageDelta {
        accepted: 0,
        denied: 4,
        first_at: None,
        last_at: None,
        last_ip: None,
        ..delta(token.id, 0, 0, 0)
    };
    let flush = |delta| world.store.usage_flush(vec![delta], Vec::new(), Vec::new());
    flush(denied.clone()).await.unwrap();
    let expected = Usage { denied_total: 4, ..Usage::default() };
    assert_eq!(world.token(token.id).await.usage, expected);
    flush(delta(token.id, 1, 7, 8)).await.unwrap();
    flush(denied).await.unwrap();
    let expected = Usage {
        first_at: Some(World::at(7)),
        last_at: Some(World::at(8)),
        last_ip: Some(ip(8)),
        total: 1,
        denied_total: 8,
    };
    assert_eq!(world.token(token.id).await.usage, expected);
}

/// Flushed from forty places at once.
pub(super) async fn forty_flushes_lose_nothing(world: World) {
    let alice = world.user("alice").await;
    let token = world.token_of(&alice).await;
    race(40, |_| {
        let store = world.store.clone();
        let deltas = vec![delta(token.id, 25, 1, 2)];
        async move { store.usage_flush(deltas, Vec::new(), Vec::new()).await.unwrap() }
    })
    .await;
    assert_eq!(world.token(token.id).await.usage.total, 1_000);
}

/// Mixed with usage that came in small portions, before and after.
pub(super) async fn usage_that_comes_in_masses_is_all_there_once_settled(world: World) {
    const STRANGERS: usize = 3_000;
    let alice = world.user("alice").await;
    let tokens = [world.token_of(&alice).await, world.token_of(&alice).await];
    let flush = |deltas| world.store.usage_flush(deltas, Vec::new(), Vec::new());
    // Ids of tokens that are gone by now do no harm.
    let masses = |first: i64, last: i64| {
        let ids = (0..STRANGERS).map(|n| TokenId::parse(&format!("{n:04}gone{n:04}")).unwrap());
        let strangers = ids.map(|id| delta(id, 1, first, last));
        tokens.iter().map(|token| delta(token.id, 2, first, last)).chain(strangers).collect()
    };
    flush(masses(20, 30)).await.unwrap();
    flush(vec![delta(tokens[0].id, 1, 40, 50)]).await.unwrap();
    race(4, |_| {
        let (store, deltas) = (world.store.clone(), masses(10, 35));
        async move { store.usage_flush(deltas, Vec::new(), Vec::new()).await.unwrap() }
    })
    .await;
    race(3, |_| {
        let store = world.store.clone();
        async move { while store.usage_settle().await.unwrap() {} }
    })
    .await;
    let expected = Usage {
        first_at: Some(World::at(10)),
        last_at: Some(World::at(35)),
        last_ip: Some(ip(35)),
        total: 10,
        denied_total: 0,
    };
    assert_eq!(world.token(tokens[1].id).await.usage, expected);
    let last = Some(World::at(50));
    let expected = Usage { last_at: last, last_ip: Some(ip(50)), total: 11, ..expected };
    assert_eq!(world.token(tokens[0].id).await.usage, expected);
    assert!(!world.store.usage_settle().await.unwrap());
}

/// A secret that was rotated away or rehashed in between keeps the hash it has.
pub(super) async fn a_rehash_replaces_the_same_secret_only(world: World) {
    let alice = world.user("alice").await;
    let issue = world.issue_to(&alice);
    let old = issue.secret.hash.clone();
    let token = world.issued(issue).await;
    let keyed = |pepper| SecretHash::Keyed { pepper, mac: world.mac() };
    let hashes = || async {
        let record = world.store.token_record(token.id).await.unwrap().unwrap();
        record.secrets.into_iter().map(|secret| secret.hash).collect::<Vec<_>>()
    };
    let (second, third) = (keyed(2), keyed(2));
    let rehash = |old: &SecretHash, new: &SecretHash| {
        let rehash = Rehash { token: token.id, old: old.clone(), new: new.clone() };
        world.store.usage_flush(Vec::new(), vec![rehash], Vec::new())
    };
    let place = world.store.changes_end().await.unwrap();
    rehash(&old, &second).await.unwrap();
    assert_eq!(hashes().await, std::slice::from_ref(&second));
    assert_eq!(since(&world, &place).await, [Change::Token(token.id)]);
    rehash(&old, &third).await.unwrap();
    assert_eq!(hashes().await, [second]);
    assert_eq!(since(&world, &place).await, [Change::Token(token.id)]);
}

/// With the usage, or without any.
pub(super) async fn a_flush_stores_its_events(world: World) {
    let event = world.event("verify.refused").refused();
    world.store.usage_flush(Vec::new(), Vec::new(), vec![event.clone()]).await.unwrap();
    assert!(world.events().await.contains(&event));
}

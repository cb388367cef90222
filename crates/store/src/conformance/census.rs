//! Promises about counts that are taken a part at a time.

use std::collections::BTreeMap;

use counterfoil_authority::kind::Kind;
use counterfoil_authority::secret::TokenId;
use counterfoil_authority::store::{
    CensusCount, CensusPart, RefusalTally, Scarce, TokenAct, TokenChange, UsageDelta,
};
use counterfoil_authority::subject::{Owner, User};
use counterfoil_authority::token::State;
use counterfoil_authority::validity::Validity;

use super::World;
use super::enrolment::{draw, drawn, registration};

/// The whole count, gathered in parts of `limit` tokens.
async fn counted(world: &World, limit: u32) -> CensusCount {
    let mut whole = CensusCount::default();
    let mut part = CensusPart {
        realm: world.realm.clone(),
        after: String::new(),
        limit,
        now: World::at(15),
        soon: World::at(100),
        unused_since: World::at(10),
    };
    loop {
        let found = world.store.census_tokens(part.clone()).await.unwrap();
        assert!(found.tallies.iter().map(|tally| tally.count).sum::<u64>() <= u64::from(limit));
        whole.tallies.extend(found.tallies);
        whole.scarce.extend(found.scarce);
        match found.next {
            Some(next) => part.after = next,
            None => return whole,
        }
    }
}

/// Tokens by kind, state, unit and unit of the owner.
type Groups = BTreeMap<(Kind, &'static str, Option<String>, Option<String>), u64>;

fn groups(whole: &CensusCount) -> Groups {
    let mut groups = Groups::new();
    for tally in &whole.tallies {
        let facts = (tally.kind, tally.state.name(), tally.unit.clone(), tally.owner_unit.clone());
        *groups.entry(facts).or_default() += tally.count;
    }
    groups
}

async fn switched(world: &World, id: TokenId, act: TokenAct) {
    let event = world.event("token.changed").with_token(id);
    let (realm, at) = (world.realm.clone(), World::at(12));
    let change = TokenChange { realm, id, act, expected_version: None, at, event };
    world.store.token_change(change).await.unwrap();
}

/// However small the parts are; and none of another realm.
pub(super) async fn every_token_is_counted_once_by_what_it_is(world: World) {
    assert_eq!(counted(&world, 5).await, CensusCount::default());
    let lab = world.unit("lab").await;
    let mut bob = world.user_named("bob");
    bob.unit = Some(lab.clone());
    let event = world.event("user.created");
    world.store.user_insert(bob.clone(), event).await.unwrap();
    let alice = world.user("alice").await;
    let of = |user: &User| Owner::User(user.username.clone());
    let (mut locked, mut plain) = (Vec::new(), Vec::new());
    for owner in [&alice, &bob] {
        for _ in 0..3 {
            plain.push(world.token_of(owner).await.id);
        }
        locked.push(world.token_of(owner).await.id);
    }
    for id in &locked {
        switched(&world, *id, TokenAct::Lock).await;
    }
    switched(&world, plain[0], TokenAct::Disable).await;
    let mut in_unit = world.issue_for(of(&bob), &["counterfoil"]);
    in_unit.token.unit = Some(lab.clone());
    in_unit.token.kind = Kind::RegistrationToken;
    in_unit.token.sentinel.count = Some(3);
    world.issued(in_unit).await;
    let (client, _) = world.client("job").await;
    world.issued(world.issue_for(Owner::Client(client.name), &["counterfoil"])).await;
    let pat = |state: State, unit: Option<&String>| {
        (Kind::PersonalAccessToken, state.name(), None, unit.cloned())
    };
    for limit in [1, 2, 7, 100] {
        let mut found = groups(&counted(&world, limit).await);
        found.retain(|(kind, ..), _| *kind != Kind::ClientKey);
        let expected = Groups::from([
            (pat(State::Active, None), 3),
            (pat(State::Disabled, None), 1),
            (pat(State::Locked, None), 1),
            (pat(State::Active, Some(&lab)), 3),
            (pat(State::Locked, Some(&lab)), 1),
            ((Kind::RegistrationToken, State::Active.name(), Some(lab.clone()), None), 1),
        ]);
        assert_eq!(found, expected, "{limit}");
    }
}

/// What is switched off neither ends nor rests; what was used lately does not rest.
pub(super) async fn what_ends_soon_or_rests_is_counted_while_it_is_active(world: World) {
    let alice = world.user("alice").await;
    let sums = async || {
        let whole = counted(&world, 3).await;
        let of = |pick: fn(&counterfoil_authority::store::Tally) -> u64| -> u64 {
            whole.tallies.iter().map(pick).sum()
        };
        (of(|tally| tally.count), of(|tally| tally.ending), of(|tally| tally.unused))
    };
    let mut ids = Vec::new();
    for end in [Some(99), Some(100), None, Some(50)] {
        let mut issue = world.issue_to(&alice);
        issue.token.validity = Validity::new(World::at(0), end.map(World::at)).unwrap();
        ids.push(world.issued(issue).await.id);
    }
    assert_eq!(sums().await, (4, 2, 4));
    let used = |token, at| UsageDelta {
        token,
        accepted: 1,
        denied: 0,
        first_at: Some(World::at(at)),
        last_at: Some(World::at(at)),
        last_ip: None,
        is_listed: false,
    };
    let deltas = vec![used(ids[0], 9), used(ids[1], 10)];
    world.store.usage_flush(deltas, Vec::new(), Vec::new()).await.unwrap();
    assert_eq!(sums().await, (4, 2, 3));
    switched(&world, ids[3], TokenAct::Disable).await;
    assert_eq!(sums().await, (4, 1, 2));
}

/// And is none any more once it is revoked.
pub(super) async fn a_registration_token_is_scarce_when_four_fifths_are_drawn(world: World) {
    let from = registration(&world, Some(5)).await;
    for number in 0..3 {
        drawn(&world, draw(&world, &from, number)).await;
    }
    assert_eq!(counted(&world, 2).await.scarce, []);
    drawn(&world, draw(&world, &from, 3)).await;
    let (id, name, unit) = (from.id, from.name.clone(), from.unit.clone());
    let expected = Scarce { id, name, unit, taken: 4, most: 5 };
    assert_eq!(counted(&world, 2).await.scarce, [expected]);
    let (by, reason) = ("user:root".to_owned(), None);
    switched(&world, from.id, TokenAct::Revoke { by, reason }).await;
    assert_eq!(counted(&world, 2).await.scarce, []);
}

/// An event stands for as many as it says; what was no refusal is looked at and not counted.
pub(super) async fn refusals_are_counted_by_hour_and_reason(world: World) {
    let refused = |reason: &str, times: u64| {
        let mut event = world.event("verify.refused").refused().with_reason(reason);
        event.count = times;
        event
    };
    let events = vec![
        refused("expired", 1),
        world.event("token.used"),
        refused("revoked", 1),
        refused("expired", 7),
        world.event("verify.refused").refused(),
    ];
    world.store.event_append(events).await.unwrap();
    for limit in [1, 2, 100] {
        let mut found: BTreeMap<(String, Option<String>, i64), u64> = BTreeMap::new();
        let mut after = String::new();
        loop {
            let part = world.store.census_refusals(&world.realm, after, limit).await.unwrap();
            for RefusalTally { kind, reason, hour, count } in part.0 {
                *found.entry((kind, reason, hour)).or_default() += count;
            }
            match part.1 {
                Some(next) => after = next,
                None => break,
            }
        }
        let hour = World::at(0).micros() / 3_600_000_000;
        let of =
            |reason: Option<&str>| ("verify.refused".to_owned(), reason.map(str::to_owned), hour);
        let expected =
            BTreeMap::from([(of(Some("expired")), 8), (of(Some("revoked")), 1), (of(None), 1)]);
        assert_eq!(found, expected, "{limit}");
    }
}

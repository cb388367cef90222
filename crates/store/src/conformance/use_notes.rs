//! Promises about what tokens were used for.

use counterfoil_authority::clock::Timestamp;
use counterfoil_authority::kind::Kind;
use counterfoil_authority::scope::Scope;
use counterfoil_authority::secret::TokenId;
use counterfoil_authority::store::{
    AsUsed, Aspect, KnownUse, SCOPES_KEPT_MAX, TokenUpdate, TokenUpdated, USE_NOTES_KEPT_DAYS,
    UseNote, day_of,
};
use counterfoil_authority::token::Token;
use counterfoil_authority::verdict::Door;

use super::World;
use super::world::race;

/// Later than any purge of these promises.
const LATER: i64 = 2_000;

fn today() -> i64 {
    day_of(World::at(0)) + LATER
}

fn note(token: TokenId, ago: i64, door: Door, asked: &[&str]) -> UseNote {
    let asked: Vec<Scope> = asked.iter().map(|scope| Scope::parse(scope).unwrap()).collect();
    let unasked = asked.is_empty();
    UseNote { token, day: today() - ago, door, asked, unasked, address: None }
}

async fn add(world: &World, notes: Vec<UseNote>) {
    world.store.use_notes_add(notes).await.unwrap();
}

async fn find(world: &World, token: TokenId, ago: i64) -> Vec<KnownUse> {
    world.store.use_notes_find(vec![token], today() - ago).await.unwrap().rows
}

/// Aspect, name and age of all that is known of a token.
async fn known(world: &World, token: TokenId) -> Vec<String> {
    let rows = find(world, token, LATER).await;
    rows.iter()
        .map(|row| format!("{} {} {}", row.aspect.name(), row.what, today() - row.day))
        .collect()
}

async fn derived_from(world: &World, parent: &Token) -> Token {
    let alice = world.user_named("alice");
    let mut issue = world.issue_to(&alice);
    issue.token.kind = Kind::DerivedToken;
    issue.token.parent = Some(parent.id);
    world.issued(issue).await
}

/// Whatever the order in which nodes tell of them.
pub(super) async fn a_use_is_known_by_what_it_was_for_and_by_its_latest_day(world: World) {
    let alice = world.user("alice").await;
    let (token, other) = (world.token_of(&alice).await.id, world.token_of(&alice).await.id);
    add(&world, vec![note(token, 5, Door::Ldap, &[]), note(other, 5, Door::Api, &["x"])]).await;
    add(&world, vec![note(token, 9, Door::Ldap, &[]), note(token, 9, Door::Api, &["b", "a"])])
        .await;
    add(&world, vec![note(token, 7, Door::Api, &["b"])]).await;
    let expected = ["door api 7", "door ldap 5", "scope a 9", "scope b 7", "unasked ldap 5"];
    assert_eq!(known(&world, token).await, expected);
    assert_eq!(known(&world, other).await, ["door api 5", "scope x 5"]);
    // From a day on, of several in the order asked for.
    let both = world.store.use_notes_find(vec![other, token], today() - 5).await.unwrap().rows;
    let both: Vec<_> = both.iter().map(|row| (row.token, row.aspect, &*row.what)).collect();
    assert_eq!(
        both,
        [
            (other, Aspect::Door, "api"),
            (other, Aspect::Scope, "x"),
            (token, Aspect::Door, "ldap"),
            (token, Aspect::Unasked, "ldap"),
        ]
    );
    // What is not there needs no bookkeeping.
    let gone = world.token_id();
    add(&world, vec![note(gone, 5, Door::Api, &["x"])]).await;
    assert_eq!(known(&world, gone).await, [""; 0]);
}

/// And of the networks of each of them.
pub(super) async fn a_use_counts_for_all_that_its_token_was_derived_from(world: World) {
    let alice = world.user("alice").await;
    let bound = async |networks: &[&str]| {
        let mut issue = world.issue_to(&alice);
        issue.token.networks = networks.iter().map(|network| network.parse().unwrap()).collect();
        world.issued(issue).await
    };
    let top = bound(&["10.0.0.0/8", "192.0.2.0/24"]).await;
    let aside = bound(&["10.0.0.0/8"]).await;
    let middle = derived_from(&world, &top).await;
    let lowest = derived_from(&world, &middle).await;
    let address = Some("10.1.2.3".parse().unwrap());
    let from = UseNote { address, ..note(lowest.id, 3, Door::Api, &["read"]) };
    add(&world, vec![from]).await;
    assert_eq!(known(&world, lowest.id).await, ["door api 3", "scope read 3"]);
    assert_eq!(known(&world, middle.id).await, ["door api 3", "scope read 3"]);
    let expected = ["door api 3", "scope read 3", "network 10.0.0.0/8 3"];
    assert_eq!(known(&world, top.id).await, expected);
    assert_eq!(known(&world, aside.id).await, [""; 0]);
}

pub(super) async fn of_too_many_scopes_only_that_is_known(world: World) {
    let alice = world.user("alice").await;
    let token = world.token_of(&alice).await.id;
    let names: Vec<String> = (0..SCOPES_KEPT_MAX + 3).map(|one| format!("s{one}:read")).collect();
    let (first, rest) = names.split_at(40);
    for part in [first, rest] {
        let words: Vec<&str> = part.iter().map(String::as_str).collect();
        add(&world, vec![note(token, 3, Door::Api, &words)]).await;
    }
    let rows = find(&world, token, 10).await;
    let scopes = rows.iter().filter(|row| row.aspect == Aspect::Scope).count() as u64;
    assert_eq!(scopes, SCOPES_KEPT_MAX);
    assert_eq!(rows.iter().filter(|row| row.aspect == Aspect::ManyScopes).count(), 1);
    // One that is kept already is none too many.
    let marked = rows.iter().find(|row| row.aspect == Aspect::ManyScopes).unwrap().day;
    add(&world, vec![note(token, 1, Door::Api, &["s0:read"])]).await;
    let rows = find(&world, token, 10).await;
    let still = rows.iter().find(|row| row.aspect == Aspect::ManyScopes).unwrap().day;
    assert_eq!(still, marked);
    add(&world, vec![note(token, 1, Door::Api, &["one-more"])]).await;
    let rows = find(&world, token, 1).await;
    assert!(rows.iter().any(|row| row.aspect == Aspect::ManyScopes), "{rows:?}");
}

pub(super) async fn what_a_token_was_used_for_is_forgotten_after_its_time(world: World) {
    let alice = world.user("alice").await;
    let token = world.token_of(&alice).await.id;
    let on = |day: i64| UseNote { day, ..note(token, 0, Door::Api, &[]) };
    let over = day_of(World::at(0)) - USE_NOTES_KEPT_DAYS - 1;
    add(&world, vec![UseNote { door: Door::Ldap, ..on(over) }, on(over + 1)]).await;
    while world.store.purge(World::at(0), None).await.unwrap().rows > 0 {}
    let left = find(&world, token, 2 * LATER).await;
    let left: Vec<_> = left.iter().map(|row| (row.aspect, &*row.what)).collect();
    assert_eq!(left, [(Aspect::Door, "api"), (Aspect::Unasked, "api")]);
}

/// And what it takes away needs no word.
pub(super) async fn what_an_edit_gives_is_known_by_its_day(world: World) {
    let alice = world.user("alice").await;
    let mut issue = world.issue_to(&alice);
    issue.token.scopes = vec![Scope::parse("a").unwrap(), Scope::parse("b").unwrap()];
    issue.token.doors = Some(vec![Door::Api, Door::Ldap]);
    issue.token.networks = vec!["10.0.0.0/8".parse().unwrap()];
    let token = world.issued(issue).await;
    let narrower = Token {
        scopes: vec![Scope::parse("a").unwrap()],
        doors: Some(vec![Door::Api]),
        ..token.clone()
    };
    let updated = world.store.token_update(world.update(narrower)).await.unwrap();
    let TokenUpdated::Done(narrower) = updated else { panic!("{updated:?}") };
    assert_eq!(known(&world, token.id).await, [""; 0]);
    let wider = Token {
        scopes: token.scopes.clone(),
        doors: token.doors.clone(),
        networks: vec!["10.0.0.0/8".parse().unwrap(), "192.0.2.0/24".parse().unwrap()],
        ..narrower
    };
    let stale = Token { version: 99, ..wider.clone() };
    let refused = world.store.token_update(world.update(stale)).await.unwrap();
    assert_eq!(refused, TokenUpdated::VersionMismatch);
    assert_eq!(known(&world, token.id).await, [""; 0]);
    world.store.token_update(world.update(wider)).await.unwrap();
    let expected = ["given-scope b", "given-network 192.0.2.0/24", "given-door ldap"];
    let expected = expected.map(|row| format!("{row} {LATER}"));
    assert_eq!(known(&world, token.id).await, expected);
}

async fn shrink(world: &World, token: &Token, judged: &[KnownUse]) -> TokenUpdated {
    let known = judged.iter().map(|row| (row.aspect, row.what.clone())).collect();
    let as_used = Some(AsUsed { from: today() - 90, known });
    let narrower = Token { scopes: Vec::new(), ..token.clone() };
    world.store.token_update(TokenUpdate { as_used, ..world.update(narrower) }).await.unwrap()
}

/// The same use once more is no other use.
pub(super) async fn an_edit_that_a_use_came_before_is_refused(world: World) {
    let alice = world.user("alice").await;
    let mut issue = world.issue_to(&alice);
    issue.token.scopes = vec![Scope::parse("read").unwrap()];
    let token = world.issued(issue).await;
    // Long ago, so it is nothing that is judged.
    add(&world, vec![note(token.id, 91, Door::Ldap, &[])]).await;
    add(&world, vec![note(token.id, 3, Door::Api, &["x"])]).await;
    let judged = find(&world, token.id, 90).await;
    assert_eq!(judged.len(), 2);
    add(&world, vec![note(token.id, 2, Door::Api, &["read"])]).await;
    let before = world.token(token.id).await;
    let events = world.count_events("token.updated").await;
    assert_eq!(shrink(&world, &token, &judged).await, TokenUpdated::UsedSince);
    assert_eq!(world.token(token.id).await, before);
    assert_eq!(world.count_events("token.updated").await, events);
    let judged = find(&world, token.id, 90).await;
    add(&world, vec![note(token.id, 1, Door::Api, &["read"])]).await;
    let updated = shrink(&world, &token, &judged).await;
    assert!(
        matches!(&updated, TokenUpdated::Done(token) if token.scopes.is_empty()),
        "{updated:?}"
    );
}

/// What forty edits at once came to, one of which was judged by other uses than the rest: which of
/// them won, and how many were refused for the version and for a use.
async fn edits(
    world: &World,
    token: &Token,
    [one, rest]: [&Vec<KnownUse>; 2],
) -> (Vec<usize>, usize, usize) {
    let (shared, edited) = (world.clone(), token.clone());
    let (one, rest) = (one.clone(), rest.clone());
    let said = race(40, move |number| {
        let (world, token) = (shared.clone(), edited.clone());
        let judged = if number == 20 { one.clone() } else { rest.clone() };
        async move { shrink(&world, &token, &judged).await }
    })
    .await;
    let winners = said.iter().enumerate().filter(|(_, said)| matches!(said, TokenUpdated::Done(_)));
    let winners = winners.map(|(number, _)| number).collect();
    let late = said.iter().filter(|said| **said == TokenUpdated::VersionMismatch).count();
    let stale = said.iter().filter(|said| **said == TokenUpdated::UsedSince).count();
    (winners, late, stale)
}

/// And never one that was judged before a use that is stored by now.
pub(super) async fn of_forty_edits_judged_by_one_use_one_wins(world: World) {
    let alice = world.user("alice").await;
    let token = world.token_of(&alice).await;
    add(&world, vec![note(token.id, 3, Door::Api, &["x"])]).await;
    let before = find(&world, token.id, 90).await;
    add(&world, vec![note(token.id, 2, Door::Ldap, &[])]).await;
    let after = find(&world, token.id, 90).await;
    assert_eq!((before.len(), after.len()), (2, 4));
    assert_eq!(edits(&world, &token, [&before, &before]).await, (Vec::new(), 0, 40));
    let (winners, late, stale) = edits(&world, &token, [&after, &before]).await;
    assert_eq!((winners, late + stale), (vec![20], 39));
    let token = world.token(token.id).await;
    let (winners, late, stale) = edits(&world, &token, [&after, &after]).await;
    assert_eq!((winners.len(), late, stale), (1, 39, 0));
}

/// One for the whole store, so that this is the only promise about it.
pub(super) async fn the_watch_begins_once_and_only_moves_on(world: World) {
    let since = async |seconds: i64, anew: bool| {
        world.store.use_notes_since(World::at(seconds), anew).await.unwrap()
    };
    let found = async || world.store.use_notes_find(Vec::new(), 0).await.unwrap().since;
    assert_eq!(found().await, None::<Timestamp>);
    assert_eq!(since(50, false).await, World::at(50));
    assert_eq!(since(90, false).await, World::at(50));
    assert_eq!(since(10, false).await, World::at(50));
    assert_eq!(since(70, true).await, World::at(70));
    assert_eq!(since(60, true).await, World::at(70));
    assert_eq!(found().await, Some(World::at(70)));
}

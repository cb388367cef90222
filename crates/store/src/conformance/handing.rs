//! Promises about tokens that get another owner.

use counterfoil_authority::policy::AtLimit;
use counterfoil_authority::store::{HandOver, HandedOver, PageRequest, TokenFilter, TokenIssue};
use counterfoil_authority::subject::{Owner, OwnerFacts, User};
use counterfoil_authority::token::Token;

use super::World;
use super::world::{limit, race};

/// A token as it is to be handed over to somebody.
fn to(world: &World, token: &Token, user: &User) -> HandOver {
    let token = Token { owner: Owner::User(user.username.clone()), ..token.clone() };
    let events = [world.event("token.handed-over"), world.event("token.handed-over")];
    HandOver { token, limits: Vec::new(), events }
}

async fn held_by(world: &World, user: &User) -> usize {
    let owner = Some(Owner::User(user.username.clone()));
    let filter = TokenFilter { owner, ..TokenFilter::default() };
    let page = PageRequest::first(10);
    world.store.token_list(&world.realm, filter, world.now(), page).await.unwrap().items.len()
}

/// With its secret, its id and everything else; the next record says whose it is.
pub(super) async fn a_token_gets_another_owner_and_nothing_else(world: World) {
    let (alice, bob) = (world.user("alice").await, world.user("bob").await);
    let token = world.token(world.token_of(&alice).await.id).await;
    let before = world.store.token_record(token.id).await.unwrap().unwrap();
    let HandedOver::Done(handed) =
        world.store.token_hand_over(to(&world, &token, &bob)).await.unwrap()
    else {
        panic!("it was not handed over");
    };
    let expected = Token {
        owner: Owner::User(bob.username.clone()),
        version: token.version + 1,
        changed_at: handed.changed_at,
        ..token.clone()
    };
    assert_eq!(handed, expected);
    assert_eq!(world.token(token.id).await, expected);
    let after = world.store.token_record(token.id).await.unwrap().unwrap();
    assert_eq!(after.secrets, before.secrets, "the secret is the same");
    let OwnerFacts::User(facts) = after.owner_facts else { panic!("{:?}", after.owner_facts) };
    assert_eq!(facts.username, bob.username);
    assert_eq!((held_by(&world, &alice).await, held_by(&world, &bob).await), (0, 1));
    assert_eq!(world.count_events("token.handed-over").await, 2);
    // Who had it leaves; it stays.
    let event = world.event("user.deleted");
    world.store.user_delete(&world.realm, &alice.username, world.now(), event).await.unwrap();
    assert_eq!(world.token(token.id).await.revocation, None);
}

/// Each for its own reason, and nothing is changed.
pub(super) async fn what_cannot_be_handed_over_stays_where_it_is(world: World) {
    let (alice, bob) = (world.user("alice").await, world.user("bob").await);
    let token = world.token_of(&alice).await;
    let hand = |change| async { world.store.token_hand_over(change).await.unwrap() };
    let nobody = world.user_named("nobody");
    assert_eq!(hand(to(&world, &token, &nobody)).await, HandedOver::OwnerGone);
    let stale = Token { version: token.version + 7, ..token.clone() };
    assert_eq!(hand(to(&world, &stale, &bob)).await, HandedOver::VersionMismatch);
    let unknown = Token { id: world.token_id(), ..token.clone() };
    assert_eq!(hand(to(&world, &unknown, &bob)).await, HandedOver::NotFound);
    let secret = world.slow_secret();
    let short = world.issued(TokenIssue { secret, ..world.issue_to(&alice) }).await;
    assert_eq!(hand(to(&world, &short, &bob)).await, HandedOver::Bound);
    world.token_of(&bob).await;
    let limits = vec![limit(1, AtLimit::ReplaceOldest)];
    let full = HandOver { limits, ..to(&world, &token, &bob) };
    assert_eq!(hand(full).await, HandedOver::AtLimit(1));
    assert_eq!(world.token(token.id).await, token);
    assert_eq!(world.count_events("token.handed-over").await, 0);
}

/// However many are handed over at once.
pub(super) async fn of_forty_handed_to_one_as_many_arrive_as_may(world: World) {
    let (alice, bob) = (world.user("alice").await, world.user("bob").await);
    let mut tokens = Vec::new();
    for _ in 0..40 {
        tokens.push(world.token_of(&alice).await);
    }
    let outcomes = race(40, |number| {
        let (world, token, bob) = (world.clone(), tokens[number].clone(), bob.clone());
        async move {
            let limits = vec![limit(3, AtLimit::Refuse)];
            let change = HandOver { limits, ..to(&world, &token, &bob) };
            world.store.token_hand_over(change).await.unwrap()
        }
    })
    .await;
    let done = outcomes.iter().filter(|one| matches!(one, HandedOver::Done(_))).count();
    let full = outcomes.iter().filter(|one| **one == HandedOver::AtLimit(3)).count();
    assert_eq!((done, full), (3, 37));
    assert_eq!(held_by(&world, &bob).await, 3);
}

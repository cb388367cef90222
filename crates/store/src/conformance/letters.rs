//! Promises about activation letters.

use counterfoil_authority::kind::Kind;
use counterfoil_authority::names::RepositoryName;
use counterfoil_authority::repository::{Membership, Place};
use counterfoil_authority::secret_hash::{Mac256, SecretHash};
use counterfoil_authority::store::{
    Assign, Letter, LetterFilter, LetterOrdered, LetterPrint, LetterRedeem, LetterState,
    PageRequest,
};
use counterfoil_authority::subject::{Owner, User};
use counterfoil_authority::token::Token;

use super::World;
use super::world::race;

fn name() -> RepositoryName {
    RepositoryName::parse("cards").unwrap()
}

/// A token of a person that waits for its letter.
async fn waiting(world: &World, user: &User) -> Token {
    let mut issue = world.issue_for(Owner::User(user.username.clone()), &["counterfoil"]);
    issue.token.kind = Kind::Generic;
    issue.token.pending = true;
    issue.token.activated_at = None;
    issue.token.repository = Some(Membership { name: name(), place: Place::Held });
    world.issued(issue).await
}

fn letter(world: &World, token: &Token) -> Letter {
    Letter {
        id: world.id(),
        realm: world.realm.clone(),
        repository: name(),
        token: token.id,
        owner: token.owner.user().unwrap().clone(),
        state: LetterState::Ordered,
        ordered_at: World::at(10),
        ordered_by: "user:root".to_owned(),
        expires_at: World::at(1_000),
        printed_at: None,
        printed_by: None,
        ended_at: None,
        hash: None,
    }
}

async fn ordered(world: &World, letter: &Letter) -> LetterOrdered {
    world.store.letter_order(letter.clone(), world.event("letter.ordered")).await.unwrap()
}

fn printing(world: &World, letter: &Letter, mac: Mac256) -> LetterPrint {
    LetterPrint {
        realm: world.realm.clone(),
        id: letter.id.clone(),
        hash: SecretHash::Keyed { pepper: 1, mac },
        at: World::at(20),
        by: "user:root".to_owned(),
        event: world.event("letter.printed"),
    }
}

fn redeeming(world: &World, letter: &Letter, at: i64) -> LetterRedeem {
    LetterRedeem {
        realm: world.realm.clone(),
        id: letter.id.clone(),
        token: letter.token,
        at: World::at(at),
        event: world.event("letter.redeemed"),
    }
}

async fn printed(world: &World, user: &User) -> Letter {
    let letter = letter(world, &waiting(world, user).await);
    assert_eq!(ordered(world, &letter).await, LetterOrdered::Done);
    let print = printing(world, &letter, world.mac());
    world.store.letter_print(print).await.unwrap().unwrap()
}

/// With one open letter for each token, and none for what does not wait.
pub(super) async fn a_letter_is_ordered_for_a_token_that_waits(world: World) {
    let alice = world.user("alice").await;
    let token = waiting(&world, &alice).await;
    let first = letter(&world, &token);
    assert_eq!(ordered(&world, &first).await, LetterOrdered::Done);
    assert_eq!(ordered(&world, &letter(&world, &token)).await, LetterOrdered::Already);
    let found = world.store.letter_find(&world.realm, &first.id).await.unwrap();
    assert_eq!(found.as_ref(), Some(&first));
    let other = counterfoil_authority::names::RealmName::parse("elsewhere").unwrap();
    assert_eq!(world.store.letter_find(&other, &first.id).await.unwrap(), None);

    let mut foreign = letter(&world, &waiting(&world, &alice).await);
    foreign.owner = world.user("bob").await.username;
    assert_eq!(ordered(&world, &foreign).await, LetterOrdered::NotPending);
    let active = world.token_of(&alice).await;
    assert_eq!(ordered(&world, &letter(&world, &active)).await, LetterOrdered::NotPending);

    // One whose time is over stands in nobody's way.
    let mut late = letter(&world, &token);
    late.ordered_at = World::at(1_000);
    late.expires_at = World::at(2_000);
    assert_eq!(ordered(&world, &late).await, LetterOrdered::Done);
    let lapsed = world.store.letter_find(&world.realm, &first.id).await.unwrap().unwrap();
    assert_eq!(lapsed.state, LetterState::Cancelled);
    assert_eq!(world.count_events("letter.ordered").await, 2);
}

/// By person, state and repository, in the order of the orders, in pages.
pub(super) async fn letters_are_listed_as_they_were_ordered(world: World) {
    let (alice, bob) = (world.user("alice").await, world.user("bob").await);
    let first = printed(&world, &alice).await;
    let second = letter(&world, &waiting(&world, &bob).await);
    ordered(&world, &second).await;
    let third = letter(&world, &waiting(&world, &alice).await);
    ordered(&world, &third).await;
    let list = async |filter: LetterFilter, page: PageRequest| {
        let page = world.store.letter_list(&world.realm, filter, page).await.unwrap();
        let ids: Vec<String> = page.items.into_iter().map(|letter| letter.id).collect();
        (ids, page.next)
    };
    let all = LetterFilter::default;
    let (ids, next) = list(all(), PageRequest::first(2)).await;
    assert_eq!(ids, [first.id.clone(), second.id.clone()]);
    let (ids, end) = list(all(), PageRequest { limit: 2, after: next }).await;
    assert_eq!((ids, end), (vec![third.id.clone()], None));
    let of_alice = LetterFilter { owner: Some(alice.username.clone()), ..all() };
    let (ids, _) = list(of_alice.clone(), PageRequest::first(9)).await;
    assert_eq!(ids, [first.id.clone(), third.id.clone()]);
    let state = Some(LetterState::Ordered);
    let (ids, _) = list(LetterFilter { state, ..of_alice }, PageRequest::first(9)).await;
    assert_eq!(ids, std::slice::from_ref(&third.id));
    let (ids, _) = list(LetterFilter { state, ..all() }, PageRequest::first(9)).await;
    assert_eq!(ids, [second.id, third.id]);
    let repository = Some(RepositoryName::parse("others").unwrap());
    let (ids, _) = list(LetterFilter { repository, ..all() }, PageRequest::first(9)).await;
    assert!(ids.is_empty());
}

/// However many print it.
pub(super) async fn of_forty_who_print_a_letter_one_gets_its_secret(world: World) {
    let alice = world.user("alice").await;
    let letter = letter(&world, &waiting(&world, &alice).await);
    ordered(&world, &letter).await;
    let prints: Vec<LetterPrint> =
        (0..40).map(|_| printing(&world, &letter, world.mac())).collect();
    let answers = race(40, |n| {
        let (store, print) = (world.store.clone(), prints[n].clone());
        async move { store.letter_print(print).await.unwrap() }
    })
    .await;
    let got: Vec<Letter> = answers.into_iter().flatten().collect();
    let [one] = got.as_slice() else { panic!("{} printed it", got.len()) };
    let Some(SecretHash::Keyed { mac, .. }) = one.hash.clone() else { panic!("no hash") };
    let found = world.store.letter_by_hash(mac).await.unwrap();
    assert_eq!(found.as_ref(), Some(one));
    assert_eq!(one.state, LetterState::Printed);
    assert_eq!(world.store.letter_by_hash(world.mac()).await.unwrap(), None);
    assert_eq!(world.count_events("letter.printed").await, 1);
    let uses = world.store.key_use().await.unwrap();
    assert!(uses.iter().any(|used| used.id == 1 && used.rows >= 1), "{uses:?}");
}

/// However many redeem it, and its token is active from then on.
pub(super) async fn of_forty_who_redeem_a_letter_one_activates_its_token(world: World) {
    let alice = world.user("alice").await;
    let letter = printed(&world, &alice).await;
    let redeem = redeeming(&world, &letter, 30);
    let answers = race(40, |n| {
        let (store, mut redeem) = (world.store.clone(), redeem.clone());
        redeem.event.id = format!("{}-{n}", redeem.event.id);
        async move { store.letter_redeem(redeem).await.unwrap() }
    })
    .await;
    let tokens: Vec<Token> = answers.into_iter().flatten().collect();
    let [token] = tokens.as_slice() else { panic!("{} redeemed it", tokens.len()) };
    assert_eq!((token.pending, token.activated_at), (false, Some(World::at(30))));
    assert_eq!(world.count_events("letter.redeemed").await, 1);
    assert!(!world.store.token_record(token.id).await.unwrap().unwrap().pending);
}

/// Not before it is printed, not after its end, not for a token that went elsewhere.
pub(super) async fn a_letter_that_is_not_good_activates_nothing(world: World) {
    let alice = world.user("alice").await;
    let redeem = async |letter: &Letter, at: i64| {
        world.store.letter_redeem(redeeming(&world, letter, at)).await.unwrap()
    };
    let early = letter(&world, &waiting(&world, &alice).await);
    ordered(&world, &early).await;
    assert_eq!(redeem(&early, 30).await, None);
    let late = printed(&world, &alice).await;
    assert_eq!(redeem(&late, 1_000).await, None);
    let cancelled = printed(&world, &alice).await;
    let event = world.event("letter.cancelled");
    let said =
        world.store.letter_cancel(&world.realm, &cancelled.id, World::at(25), event).await.unwrap();
    assert_eq!(said.unwrap().state, LetterState::Cancelled);
    assert_eq!(redeem(&cancelled, 30).await, None);
    let again = world.event("letter.cancelled");
    let said =
        world.store.letter_cancel(&world.realm, &cancelled.id, World::at(26), again).await.unwrap();
    assert_eq!(said, None);
    let revoked = printed(&world, &alice).await;
    world.revoke(revoked.token).await;
    assert_eq!(redeem(&revoked, 30).await, None);

    let moved = printed(&world, &alice).await;
    let assign = Assign {
        realm: world.realm.clone(),
        id: moved.token,
        to: None,
        keeper: Owner::User(alice.username.clone()),
        limits: Vec::new(),
        pending: true,
        expected_version: None,
        at: World::at(28),
        event: world.event("token.unassigned"),
    };
    world.store.listing_assign(assign).await.unwrap();
    let found = world.store.letter_find(&world.realm, &moved.id).await.unwrap().unwrap();
    assert_eq!(found.state, LetterState::Cancelled);
    assert_eq!(redeem(&moved, 30).await, None);
    assert_eq!(world.count_events("letter.redeemed").await, 0);
}

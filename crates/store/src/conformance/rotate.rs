//! Promises about rotation.

use counterfoil_authority::secret::TokenId;
use counterfoil_authority::secret_hash::SecretHash;
use counterfoil_authority::store::{Rotated, TokenAct, TokenRotate};
use counterfoil_authority::token::{SECRETS_PER_TOKEN_MAX, Slot, State, Token};
use counterfoil_authority::validity::Validity;

use super::World;
use super::world::race;

async fn rotated(world: &World, rotate: TokenRotate) -> Token {
    match world.store.token_rotate(rotate).await.unwrap() {
        Rotated::Done(token) => token,
        other => panic!("{other:?}"),
    }
}

fn slots(token: &Token) -> Vec<Slot> {
    token.secrets.iter().map(|facts| facts.slot).collect()
}

/// Until the instant that was asked for; nothing else of the token changes.
pub(super) async fn a_rotation_makes_the_former_secret_previous(world: World) {
    let alice = world.user("alice").await;
    let token = world.token_of(&alice).await;
    let mut rotate = world.rotate(&token);
    // Whatever slot the caller names, the new one is the current one.
    rotate.secret.facts.slot = Slot::Previous;
    let after = rotated(&world, rotate.clone()).await;
    assert_eq!(slots(&after), [Slot::Current, Slot::Previous]);
    assert_eq!(after.secrets[0].created_at, rotate.secret.facts.created_at);
    assert_eq!(after.secrets[0].expires_at, None);
    assert_eq!(after.secrets[1].expires_at, Some(rotate.previous_until));
    assert_eq!(after.version, token.version + 1);
    assert_eq!(after.changed_at, Some(rotate.at));
    let rest = Token {
        secrets: token.secrets.clone(),
        version: token.version,
        changed_at: None,
        ..after.clone()
    };
    assert_eq!(rest, token);
    assert_eq!(world.token(token.id).await, after);
    assert_eq!(world.count_events("token.rotated").await, 1);
}

/// Neither the second former one by another rotation, nor one with an end of its own.
pub(super) async fn a_former_secret_never_lives_longer_than_it_would_have(world: World) {
    let alice = world.user("alice").await;
    let mut issue = world.issue_to(&alice);
    issue.secret.facts.expires_at = Some(World::at(5));
    let token = world.issued(issue).await;
    let after = rotated(&world, world.rotate(&token)).await;
    assert_eq!(after.secrets[1].expires_at, Some(World::at(5)));
    let mut rotate = world.rotate(&token);
    rotate.previous_until = World::at(50);
    let after = rotated(&world, rotate).await;
    assert_eq!(slots(&after), [Slot::Current, Slot::Previous, Slot::Previous]);
    let ends: Vec<_> = after.secrets.iter().map(|facts| facts.expires_at).collect();
    assert_eq!(ends, [None, Some(World::at(50)), Some(World::at(5))]);
}

/// Revoked and expired; a token that is merely switched off may be rotated.
pub(super) async fn a_token_that_ended_gets_no_new_secret(world: World) {
    let alice = world.user("alice").await;
    let revoked = world.token_of(&alice).await;
    world.revoke(revoked.id).await;
    let mut issue = world.issue_to(&alice);
    issue.token.validity = Validity::new(World::at(-9), Some(World::at(1))).unwrap();
    let ended = world.issued(issue).await;
    let mut rotate = world.rotate(&ended);
    rotate.at = World::at(1);
    let said = world.store.token_rotate(rotate).await.unwrap();
    assert_eq!(said, Rotated::Ended(State::Expired));
    let said = world.store.token_rotate(world.rotate(&revoked)).await.unwrap();
    assert_eq!(said, Rotated::Ended(State::Revoked));
    assert_eq!(world.token(ended.id).await, ended);
    let off = world.token_of(&alice).await;
    world.store.token_change(world.switch(off.id, TokenAct::Disable)).await.unwrap();
    rotated(&world, world.rotate(&off)).await;
    let mut unknown = world.rotate(&off);
    unknown.id = TokenId::parse("000000000000").unwrap();
    assert_eq!(world.store.token_rotate(unknown).await.unwrap(), Rotated::NotFound);
    let mut foreign = world.rotate(&off);
    foreign.realm = counterfoil_authority::names::RealmName::parse("main").unwrap();
    assert_eq!(world.store.token_rotate(foreign).await.unwrap(), Rotated::NotFound);
}

/// And changes nothing when it is another one.
pub(super) async fn a_rotation_needs_the_version_it_names(world: World) {
    let alice = world.user("alice").await;
    let token = world.token_of(&alice).await;
    let at_version =
        |version| TokenRotate { expected_version: Some(version), ..world.rotate(&token) };
    let said = world.store.token_rotate(at_version(2)).await.unwrap();
    assert_eq!(said, Rotated::VersionMismatch);
    assert_eq!(world.token(token.id).await, token);
    rotated(&world, at_version(1)).await;
    rotated(&world, at_version(2)).await;
}

/// 39 are told that somebody was faster.
pub(super) async fn of_forty_conditional_rotations_one_wins(world: World) {
    let alice = world.user("alice").await;
    let token = world.token_of(&alice).await;
    let said = race(40, |_| {
        let rotate = TokenRotate { expected_version: Some(1), ..world.rotate(&token) };
        let store = world.store.clone();
        async move { store.token_rotate(rotate).await.unwrap() }
    })
    .await;
    assert_eq!(said.iter().filter(|said| matches!(said, Rotated::Done(_))).count(), 1);
    assert_eq!(said.iter().filter(|said| **said == Rotated::VersionMismatch).count(), 39);
    assert_eq!(world.token(token.id).await.secrets.len(), 2);
}

/// The last one stands as the current one.
pub(super) async fn all_of_forty_rotations_count_for_the_overlap(world: World) {
    let alice = world.user("alice").await;
    let token = world.token_of(&alice).await;
    race(40, |_| {
        let (world, token) = (world.clone(), token.clone());
        async move { rotated(&world, world.rotate(&token)).await }
    })
    .await;
    let after = world.token(token.id).await;
    assert_eq!((after.version, after.secrets.len()), (41, 41));
    let current = after.secrets.iter().filter(|facts| facts.slot == Slot::Current).count();
    assert_eq!((current, after.secrets[0].slot), (1, Slot::Current));
}

/// One new secret, and forty times the same bytes.
pub(super) async fn of_forty_equal_rotations_one_takes_effect(world: World) {
    let alice = world.user("alice").await;
    let token = world.token_of(&alice).await;
    let said = race(40, |_| {
        let asked = Some(World::idempotency("a-rotation", "key", 1));
        let rotate = TokenRotate { idempotency: asked, ..world.rotate(&token) };
        let store = world.store.clone();
        async move { store.token_rotate(rotate).await.unwrap() }
    })
    .await;
    let replayed = Rotated::Replayed(format!("answer for {}", token.id).into_bytes());
    assert_eq!(said.iter().filter(|said| **said == replayed).count(), 39);
    assert_eq!(world.token(token.id).await.secrets.len(), 2);
    assert_eq!(world.count_events("token.rotated").await, 1);
}

/// Whoever may not rotate any more gets the answer that is kept for them, and nothing else.
pub(super) async fn a_rotation_that_is_only_asked_for_again_makes_nothing(world: World) {
    let alice = world.user("alice").await;
    let token = world.token_of(&alice).await;
    let asked = |fingerprint: u8, only_replay: bool| TokenRotate {
        idempotency: Some(World::idempotency("again", "key", fingerprint)),
        only_replay,
        ..world.rotate(&token)
    };
    let said = async |rotate| world.store.token_rotate(rotate).await.unwrap();
    assert_eq!(said(asked(1, true)).await, Rotated::NotAnswered);
    let without_key = TokenRotate { only_replay: true, ..world.rotate(&token) };
    assert_eq!(said(without_key.clone()).await, Rotated::NotAnswered);
    assert_eq!(world.token(token.id).await, token);
    assert!(matches!(said(asked(1, false)).await, Rotated::Done(_)));
    let replayed = Rotated::Replayed(format!("answer for {}", token.id).into_bytes());
    assert_eq!(said(asked(1, true)).await, replayed);
    assert_eq!(said(asked(2, true)).await, Rotated::KeyReused);
    assert_eq!(said(without_key).await, Rotated::NotAnswered);
    assert_eq!(world.token(token.id).await.secrets.len(), 2);
}

/// The oldest former ones go; the next one is no former one and stays.
pub(super) async fn a_token_never_keeps_more_secrets_than_allowed(world: World) {
    let alice = world.user("alice").await;
    let mut issue = world.issue_to(&alice);
    issue.secret.facts.slot = Slot::Next;
    let token = world.issued(issue).await;
    let mut newest = Vec::new();
    for _ in 0..SECRETS_PER_TOKEN_MAX + 3 {
        let rotate = world.rotate(&token);
        newest.insert(0, rotate.secret.facts.created_at);
        rotated(&world, rotate).await;
    }
    let after = world.token(token.id).await;
    assert_eq!(after.secrets.len(), SECRETS_PER_TOKEN_MAX);
    assert_eq!(slots(&after)[..3], [Slot::Current, Slot::Next, Slot::Previous]);
    let mut kept: Vec<_> = after.secrets.iter().map(|facts| facts.created_at).collect();
    kept.remove(1);
    assert_eq!(kept, newest[..SECRETS_PER_TOKEN_MAX - 1]);
}

/// Nothing of such a rotation happens.
pub(super) async fn a_taken_hash_leaves_the_former_secret_current(world: World) {
    let alice = world.user("alice").await;
    let mut issue = world.issue_to(&alice);
    issue.secret.found_by_hash = true;
    let hash: SecretHash = issue.secret.hash.clone();
    world.issued(issue).await;
    let token = world.token_of(&alice).await;
    let mut rotate = world.rotate(&token);
    rotate.secret.found_by_hash = true;
    rotate.secret.hash = hash;
    assert_eq!(world.store.token_rotate(rotate).await.unwrap(), Rotated::Collision);
    assert_eq!(world.token(token.id).await, token);
    assert_eq!(world.count_events("token.rotated").await, 0);
}

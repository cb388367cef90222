//! Promises about families of refresh secrets.

use std::collections::BTreeSet;

use counterfoil_authority::enrolment::{Confirmation, REFRESH_RETRIES_MAX};
use counterfoil_authority::scope::Scope;
use counterfoil_authority::store::{Refresh, Refreshed, TokenAct};
use counterfoil_authority::subject::{User, UserStatus};
use counterfoil_authority::token::{Slot, State, StoredSecret, Token};

use super::World;
use super::enrolment::{draw, drawn, registration};
use super::world::race;

/// An auth token and its secret.
async fn family(world: &World) -> (Token, StoredSecret) {
    let from = registration(world, None).await;
    let enrol = draw(world, &from, 1);
    let secret = enrol.secret.clone();
    (drawn(world, enrol).await.0, secret)
}

/// A refresh with a secret, at an instant.
fn exchange(world: &World, token: &Token, presented: &StoredSecret, at: i64) -> Refresh {
    let secret = world.secret();
    Refresh {
        realm: world.realm.clone(),
        id: token.id,
        presented: vec![presented.hash.clone()],
        made_here: false,
        confirmation: Some(Confirmation::Jkt("thumb".into())),
        scopes: None,
        no_service: false,
        sealed: secret.id.clone().into_bytes(),
        secret,
        grace_seconds: 30,
        at: World::at(at),
        event: world.event("token.refresh-reused").with_token(token.id).refused(),
    }
}

async fn said(world: &World, refresh: Refresh) -> Refreshed {
    world.store.refresh(refresh).await.unwrap()
}

async fn rotated(world: &World, refresh: Refresh) -> Token {
    match said(world, refresh).await {
        Refreshed::Rotated(token) => *token,
        other => panic!("{other:?}"),
    }
}

/// And the token is not edited by it.
pub(super) async fn a_refresh_makes_the_successor_current(world: World) {
    let (token, first) = family(&world).await;
    let refresh = exchange(&world, &token, &first, 10);
    let second = refresh.secret.clone();
    let after = rotated(&world, refresh).await;
    assert_eq!(world.token(token.id).await, after);
    assert_eq!(after.version, token.version);
    let slots: Vec<Slot> = after.secrets.iter().map(|facts| facts.slot).collect();
    assert_eq!(slots, [Slot::Current, Slot::Previous]);
    assert_eq!(after.secrets[1].expires_at, Some(World::at(40)));
    let device = after.device.unwrap();
    assert_eq!(device.refreshed_at, Some(World::at(10)));
    assert_eq!(device.idle_ends_at, Some(World::at(70)));
    rotated(&world, exchange(&world, &token, &second, 69)).await;
}

/// Inside the grace; at its end the family has ended, and a sibling has not.
pub(super) async fn a_retry_gets_the_same_successor_and_a_reuse_ends_the_family(world: World) {
    let (token, first) = family(&world).await;
    let from = world.token(token.sentinel.registration_token.unwrap()).await;
    let sibling = draw(&world, &from, 2);
    let kept = sibling.secret.clone();
    let (sibling, _) = drawn(&world, sibling).await;
    let refresh = exchange(&world, &token, &first, 10);
    let successor = refresh.sealed.clone();
    rotated(&world, refresh).await;
    for at in [10, 39] {
        match said(&world, exchange(&world, &token, &first, at)).await {
            Refreshed::Again { sealed, .. } => assert_eq!(sealed, successor),
            other => panic!("{other:?}"),
        }
    }
    let reused = said(&world, exchange(&world, &token, &first, 40)).await;
    assert_eq!(reused, Refreshed::Reused);
    assert_eq!(world.count_events("token.refresh-reused").await, 1);
    let ended = world.token(token.id).await.revocation.unwrap();
    assert_eq!(ended.reason.as_deref(), Some("refresh reused"));
    let again = said(&world, exchange(&world, &token, &first, 41)).await;
    let reason = Some("refresh reused".to_owned());
    assert_eq!(again, Refreshed::Refused { state: State::Revoked, reason });
    rotated(&world, exchange(&world, &sibling, &kept, 41)).await;
}

/// One is the first, the others get what it got.
pub(super) async fn of_forty_equal_refreshes_one_makes_the_successor(world: World) {
    let (token, first) = family(&world).await;
    let heard = race(40, |_| {
        let (world, token, first) = (world.clone(), token.clone(), first.clone());
        async move {
            let refresh = exchange(&world, &token, &first, 10);
            let own = refresh.sealed.clone();
            match world.store.refresh(refresh).await.unwrap() {
                Refreshed::Rotated(_) => own,
                Refreshed::Again { sealed, .. } => sealed,
                other => panic!("{other:?}"),
            }
        }
    })
    .await;
    assert_eq!(heard.into_iter().collect::<BTreeSet<_>>().len(), 1);
    let after = world.token(token.id).await;
    assert_eq!((after.secrets.len(), after.revocation), (2, None));
}

/// And harm nothing.
pub(super) async fn retries_beyond_their_limit_are_refused(world: World) {
    let (token, first) = family(&world).await;
    rotated(&world, exchange(&world, &token, &first, 10)).await;
    for _ in 0..REFRESH_RETRIES_MAX {
        let heard = said(&world, exchange(&world, &token, &first, 11)).await;
        assert!(matches!(heard, Refreshed::Again { .. }), "{heard:?}");
    }
    let heard = said(&world, exchange(&world, &token, &first, 11)).await;
    assert_eq!(heard, Refreshed::TooOften);
    assert_eq!(world.token(token.id).await.revocation, None);
}

/// Not even a reuse with another key ends anything.
pub(super) async fn a_refresh_needs_the_key_that_is_pinned(world: World) {
    let (token, first) = family(&world).await;
    for confirmation in [None, Some(Confirmation::Jkt("other".into()))] {
        let refresh = Refresh { confirmation, ..exchange(&world, &token, &first, 10) };
        assert_eq!(said(&world, refresh).await, Refreshed::WrongKey);
    }
    rotated(&world, exchange(&world, &token, &first, 10)).await;
}

/// No secret of it, switched off, idle too long, or whose owner is not active.
pub(super) async fn what_is_not_active_is_not_refreshed(world: World) {
    let (token, first) = family(&world).await;
    let unknown = said(&world, exchange(&world, &token, &world.secret(), 10)).await;
    assert_eq!(unknown, Refreshed::Unknown);
    world.store.token_change(world.switch(token.id, TokenAct::Disable)).await.unwrap();
    let off = said(&world, exchange(&world, &token, &first, 10)).await;
    assert_eq!(off, Refreshed::Refused { state: State::Disabled, reason: None });
    world.store.token_change(world.switch(token.id, TokenAct::Enable)).await.unwrap();
    let alice = world.user_named("alice");
    let suspended = User { status: UserStatus::Suspended, ..alice };
    world.store.user_update(suspended.clone(), world.event("user.updated")).await.unwrap();
    let refused = said(&world, exchange(&world, &token, &first, 10)).await;
    assert_eq!(refused, Refreshed::OwnerInactive);
    let back = User { status: UserStatus::Active, version: 2, ..suspended };
    world.store.user_update(back, world.event("user.updated")).await.unwrap();
    let idle = said(&world, exchange(&world, &token, &first, 60)).await;
    assert_eq!(idle, Refreshed::Idle);
    assert_eq!(world.token(token.id).await.revocation.unwrap().reason.as_deref(), Some("idle"));
    assert_eq!(world.count_events("token.idle-ended").await, 1);
}

/// Who asks for too much, or finds no service that takes tokens, keeps the secret they have.
pub(super) async fn a_refresh_that_leads_to_nothing_rotates_nothing(world: World) {
    let (token, first) = family(&world).await;
    let wide = Some(vec![Scope::parse("never:given").unwrap()]);
    let refresh = Refresh { scopes: wide, ..exchange(&world, &token, &first, 10) };
    assert_eq!(said(&world, refresh).await, Refreshed::Scope);
    let refresh = Refresh { no_service: true, ..exchange(&world, &token, &first, 10) };
    assert_eq!(said(&world, refresh).await, Refreshed::NoService);
    assert_eq!(world.token(token.id).await.secrets.len(), 1);
    let own = Some(token.scopes.clone());
    rotated(&world, Refresh { scopes: own, ..exchange(&world, &token, &first, 40) }).await;
}

/// By its mark; a string without one ends nothing, and neither does one beside the wrong key.
pub(super) async fn a_secret_whose_hash_is_gone_ends_the_family_if_it_was_made_here(world: World) {
    let (token, first) = family(&world).await;
    rotated(&world, exchange(&world, &token, &first, 10)).await;
    let gone = world.secret();
    let guess = || exchange(&world, &token, &gone, 20);
    assert_eq!(said(&world, guess()).await, Refreshed::Unknown);
    let other = Some(Confirmation::Jkt("other".into()));
    let keyless = Refresh { made_here: true, confirmation: other, ..guess() };
    assert_eq!(said(&world, keyless).await, Refreshed::WrongKey);
    assert_eq!(world.token(token.id).await.revocation, None);
    let made_here = Refresh { made_here: true, ..guess() };
    assert_eq!(said(&world, made_here.clone()).await, Refreshed::Reused);
    let ended = world.token(token.id).await.revocation.unwrap();
    assert_eq!(ended.reason.as_deref(), Some("refresh reused"));
    assert_eq!(world.count_events("token.refresh-reused").await, 1);
    let reason = Some("refresh reused".to_owned());
    let later = Refresh { at: World::at(21), ..made_here };
    assert_eq!(said(&world, later).await, Refreshed::Refused { state: State::Revoked, reason });
}

/// And nothing else of its device; the former description is gone.
pub(super) async fn an_edit_replaces_what_a_client_says_of_itself(world: World) {
    let (token, _) = family(&world).await;
    let mut described = world.token(token.id).await;
    let device = described.device.as_mut().unwrap();
    device.client = Some(r#"{"client_name":"till"}"#.to_owned());
    let facts = device.facts.clone();
    device.facts.hostname = Some("elsewhere".to_owned());
    world.store.token_update(world.update(described)).await.unwrap();
    let after = world.token(token.id).await;
    let device = after.device.clone().unwrap();
    assert_eq!(device.client.as_deref(), Some(r#"{"client_name":"till"}"#));
    assert_eq!(device.facts, facts);
    let mut plain = after;
    plain.device.as_mut().unwrap().client = None;
    world.store.token_update(world.update(plain)).await.unwrap();
    assert_eq!(world.token(token.id).await.device.unwrap().client, None);
}

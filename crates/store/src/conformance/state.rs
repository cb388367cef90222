//! Promises about switching a token's state.

use counterfoil_authority::kind::Kind;
use counterfoil_authority::names::RealmName;
use counterfoil_authority::secret::TokenId;
use counterfoil_authority::store::{TokenAct, TokenChange, Updated};
use counterfoil_authority::token::Token;

use super::World;
use super::world::{race, revocation};

async fn switch(world: &World, id: TokenId, act: TokenAct) -> Token {
    match world.store.token_change(world.switch(id, act)).await.unwrap() {
        Updated::Done(token) => token,
        other => panic!("{other:?}"),
    }
}

/// What is so already changes and records nothing.
pub(super) async fn switches_are_idempotent(world: World) {
    let alice = world.user("alice").await;
    let token = world.token_of(&alice).await;
    let mut version = token.version;
    for (act, enabled, locked, changes) in [
        (TokenAct::Enable, true, false, false),
        (TokenAct::Unlock, true, false, false),
        (TokenAct::Disable, false, false, true),
        (TokenAct::Disable, false, false, false),
        (TokenAct::Lock, false, true, true),
        (TokenAct::Lock, false, true, false),
        (TokenAct::Enable, true, true, true),
        (TokenAct::Unlock, true, false, true),
    ] {
        let before = world.count_events("token.disabled").await;
        let after = switch(&world, token.id, act.clone()).await;
        version += i64::from(changes);
        assert_eq!(after.changed_at.is_some(), version > token.version);
        assert_eq!((after.enabled, after.locked, after.version), (enabled, locked, version));
        assert_eq!(world.token(token.id).await, after);
        let events = world.count_events("token.disabled").await;
        assert_eq!(events, before + usize::from(changes), "{act:?}");
    }
}

/// Even where the switch would change nothing.
pub(super) async fn a_switch_needs_the_version_it_names(world: World) {
    let alice = world.user("alice").await;
    let token = world.token_of(&alice).await;
    let at_version = |act, version| TokenChange {
        expected_version: Some(version),
        ..world.switch(token.id, act)
    };
    for act in [TokenAct::Disable, TokenAct::Enable, revocation()] {
        let said = world.store.token_change(at_version(act, 2)).await.unwrap();
        assert_eq!(said, Updated::VersionMismatch);
    }
    assert_eq!(world.token(token.id).await, token);
    let said = world.store.token_change(at_version(TokenAct::Disable, 1)).await.unwrap();
    assert!(matches!(said, Updated::Done(_)));
}

/// Nothing brings a revoked token back, and the first revocation stands.
pub(super) async fn revocation_is_final(world: World) {
    let alice = world.user("alice").await;
    let token = world.token_of(&alice).await;
    let change = world.switch(token.id, revocation());
    let at = change.at;
    let said = world.store.token_change(change).await.unwrap();
    let Updated::Done(revoked) = said else { panic!("{said:?}") };
    let sentence = revoked.revocation.clone().unwrap();
    assert_eq!((sentence.at, sentence.by.as_str()), (at, "user:root"));
    assert_eq!(sentence.reason.as_deref(), Some("leaked"));
    assert_eq!(revoked.version, token.version + 1);
    let again = TokenAct::Revoke { by: "user:other".into(), reason: None };
    for act in [TokenAct::Enable, TokenAct::Disable, TokenAct::Lock, TokenAct::Unlock, again] {
        assert_eq!(switch(&world, token.id, act).await, revoked);
    }
    assert_eq!(world.count_events("token.disabled").await, 1);
}

/// Derived tokens to any depth; an auth token lives on.
pub(super) async fn revocation_reaches_what_was_derived_and_nothing_else(world: World) {
    let alice = world.user("alice").await;
    let parent = world.token_of(&alice).await;
    let child = |kind, of: &Token| {
        let mut issue = world.issue_to(&alice);
        issue.token.kind = kind;
        issue.token.parent = Some(of.id);
        issue
    };
    let derived = world.issued(child(Kind::DerivedToken, &parent)).await;
    let deeper = world.issued(child(Kind::DerivedToken, &derived)).await;
    let drawn = world.issued(child(Kind::AuthToken, &parent)).await;
    let unrelated = world.issued(child(Kind::DerivedToken, &drawn)).await;
    let early = world.issued(child(Kind::DerivedToken, &parent)).await;
    let early = world.revoke(early.id).await;
    let record = |id| world.store.token_record(id);
    assert!(!record(derived.id).await.unwrap().unwrap().parent_revoked);

    world.revoke(parent.id).await;
    for id in [derived.id, deeper.id] {
        let token = world.token(id).await;
        let reason = token.revocation.unwrap().reason;
        assert_eq!((reason.as_deref(), token.version), (Some("parent revoked"), 2));
        assert!(record(id).await.unwrap().unwrap().parent_revoked);
    }
    assert_eq!(world.token(drawn.id).await, drawn);
    assert!(record(drawn.id).await.unwrap().unwrap().parent_revoked);
    assert_eq!(world.token(unrelated.id).await, unrelated);
    assert_eq!(world.token(early.id).await, early, "the first revocation stands");
    assert_eq!(world.count_events("token.revoked").await, 2);
}

/// Nor is one of another realm.
pub(super) async fn a_switch_of_an_unknown_token_is_not_found(world: World) {
    let alice = world.user("alice").await;
    let token = world.token_of(&alice).await;
    let unknown = world.switch(TokenId::parse("000000000000").unwrap(), TokenAct::Disable);
    assert_eq!(world.store.token_change(unknown).await.unwrap(), Updated::NotFound);
    let mut foreign = world.switch(token.id, revocation());
    foreign.realm = RealmName::parse("main").unwrap();
    assert_eq!(world.store.token_change(foreign).await.unwrap(), Updated::NotFound);
    assert_eq!(world.token(token.id).await, token);
}

/// All are told that it is revoked, by the same one.
pub(super) async fn of_forty_revocations_one_is_recorded(world: World) {
    let alice = world.user("alice").await;
    let token = world.token_of(&alice).await;
    let said = race(40, |number| {
        let world = world.clone();
        async move {
            let act = TokenAct::Revoke { by: format!("user:{number}"), reason: None };
            switch(&world, token.id, act).await.revocation.unwrap()
        }
    })
    .await;
    assert!(said.iter().all(|sentence| *sentence == said[0]));
    assert_eq!(world.count_events("token.disabled").await, 1);
}

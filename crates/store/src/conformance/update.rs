//! Promises about editing tokens.

use counterfoil_authority::kind::Kind;
use counterfoil_authority::names::ServiceLabel;
use counterfoil_authority::policy::AtLimit;
use counterfoil_authority::scope::Scope;
use counterfoil_authority::secret::TokenId;
use counterfoil_authority::service::Services;
use counterfoil_authority::store::{
    ActiveLimit, PageRequest, TokenFilter, TokenUpdate, TokenUpdated,
};
use counterfoil_authority::token::Token;
use counterfoil_authority::validity::Validity;
use counterfoil_authority::verdict::Door;

use super::World;
use super::issue::whole_issue;
use super::world::{limit_of, race};

async fn update(world: &World, token: Token) -> TokenUpdated {
    world.store.token_update(world.update(token)).await.unwrap()
}

async fn listed(world: &World, filter: TokenFilter) -> Vec<TokenId> {
    let page = PageRequest::first(10);
    let list = world.store.token_list(&world.realm, filter, World::at(0), page).await.unwrap();
    list.items.iter().map(|token| token.id).collect()
}

/// And is found by what it is now, no longer by what it was.
pub(super) async fn what_may_be_edited_is_edited(world: World) {
    let token = world.issued(whole_issue(&world).await).await;
    let chat = world.service("chat").await;
    let mut edited = Token {
        name: None,
        description: Some("new".into()),
        services: Services::Named(vec![chat.label.clone()]),
        scopes: vec![Scope::parse("x").unwrap()],
        permissions: None,
        networks: Vec::new(),
        doors: Some(vec![Door::Ldap]),
        validity: Validity::new(token.validity.not_before(), None).unwrap(),
        labels: [("team".to_owned(), "red".to_owned())].into(),
        unit: Some(world.unit("sales").await),
        ..token.clone()
    };
    edited.airlock.serial = Some("SN-2".into());
    edited.sentinel.identifier = None;
    let asked = world.update(edited.clone());
    let expected = Token { version: 4, changed_at: Some(asked.event.at), ..edited };
    let updated = world.store.token_update(asked).await.unwrap();
    assert_eq!(updated, TokenUpdated::Done(expected.clone()));
    assert_eq!(world.token(token.id).await, expected);
    let by_service = |label: &str| TokenFilter {
        service: ServiceLabel::parse(label).ok(),
        ..TokenFilter::default()
    };
    let by_label = |value: &str| TokenFilter {
        labels: vec![("team".into(), value.into())],
        ..TokenFilter::default()
    };
    for (filter, found) in [
        (by_service("chat"), true),
        (by_service("git"), false),
        (by_label("red"), true),
        (by_label("blue"), false),
    ] {
        assert_eq!(!listed(&world, filter.clone()).await.is_empty(), found, "{filter:?}");
    }
    assert_eq!(world.count_events("token.updated").await, 1);
}

/// Whatever the caller sends for it.
pub(super) async fn what_may_not_be_edited_stays(world: World) {
    let token = world.issued(whole_issue(&world).await).await;
    let bob = world.user("bob").await;
    let mut edited = Token {
        kind: Kind::Generic,
        owner: counterfoil_authority::subject::Owner::User(bob.username),
        enabled: true,
        locked: false,
        pending: false,
        created_at: World::at(77),
        created_by: "user:mallory".into(),
        activated_at: None,
        used: 0,
        parent: None,
        device: None,
        secrets: Vec::new(),
        ..token.clone()
    };
    edited.usage.total = 0;
    edited.sentinel.reserved = 0;
    edited.sentinel.returned = 40;
    let asked = world.update(edited);
    let expected = Token { version: 4, changed_at: Some(asked.event.at), ..token.clone() };
    let updated = world.store.token_update(asked).await.unwrap();
    assert_eq!(updated, TokenUpdated::Done(expected.clone()));
    assert_eq!(world.token(token.id).await, expected);
}

/// Wrong version, unknown token, foreign realm, missing unit and service change nothing.
pub(super) async fn an_edit_needs_the_version_and_what_it_names(world: World) {
    let alice = world.user("alice").await;
    let token = world.token_of(&alice).await;
    let named = |name: &str| Token { name: Some(name.into()), ..token.clone() };
    let stale = Token { version: 0, ..named("a") };
    assert_eq!(update(&world, stale).await, TokenUpdated::VersionMismatch);
    let foreign = Token {
        realm: counterfoil_authority::names::RealmName::parse("main").unwrap(),
        ..named("b")
    };
    assert_eq!(update(&world, foreign).await, TokenUpdated::NotFound);
    let unknown = Token { id: TokenId::parse("000000000000").unwrap(), ..named("c") };
    assert_eq!(update(&world, unknown).await, TokenUpdated::NotFound);
    let lost = Token { unit: Some("none".into()), ..named("d") };
    assert_eq!(update(&world, lost).await, TokenUpdated::UnitGone);
    let none = ServiceLabel::parse("none").unwrap();
    let lost = Token { services: Services::Named(vec![none.clone()]), ..named("e") };
    assert_eq!(update(&world, lost).await, TokenUpdated::ServiceGone(none));
    assert_eq!(world.token(token.id).await, token);
    assert_eq!(world.count_events("token.updated").await, 0);
}

/// The others are told that somebody was faster.
pub(super) async fn of_forty_edits_of_a_token_one_wins(world: World) {
    let alice = world.user("alice").await;
    let token = world.token_of(&alice).await;
    let said = race(40, |number| {
        let world = world.clone();
        let token = Token { name: Some(number.to_string()), ..token.clone() };
        async move { update(&world, token).await }
    })
    .await;
    assert_eq!(said.iter().filter(|said| matches!(said, TokenUpdated::Done(_))).count(), 1);
    assert_eq!(said.iter().filter(|said| **said == TokenUpdated::VersionMismatch).count(), 39);
    assert_eq!(world.count_events("token.updated").await, 1);
}

async fn update_within(world: &World, token: Token, limits: &[ActiveLimit]) -> TokenUpdated {
    let update = TokenUpdate { limits: limits.to_vec(), ..world.update(token) };
    world.store.token_update(update).await.unwrap()
}

fn moved(token: &Token, services: &[&str]) -> Token {
    let labels = services.iter().map(|label| ServiceLabel::parse(label).unwrap()).collect();
    Token { services: Services::Named(labels), ..token.clone() }
}

#[track_caller]
fn done(updated: TokenUpdated) -> Token {
    match updated {
        TokenUpdated::Done(token) => token,
        other => panic!("{other:?}"),
    }
}

/// Another service or a later end can make a token count that did not; nothing else is counted,
/// and nobody is replaced.
pub(super) async fn an_edit_takes_a_place_only_where_it_had_none(world: World) {
    let alice = world.user("alice").await;
    world.service("git").await;
    let one = [limit_of("git", 1, AtLimit::ReplaceOldest)];
    let (first, second) = (world.token_of(&alice).await, world.token_of(&alice).await);
    let none = [limit_of("git", 0, AtLimit::ReplaceOldest)];
    let refused = update_within(&world, moved(&first, &["git"]), &none).await;
    assert_eq!(refused, TokenUpdated::AtLimit(0));
    let first = done(update_within(&world, moved(&first, &["git"]), &one).await);
    let refused = update_within(&world, moved(&second, &["counterfoil", "git"]), &one).await;
    assert_eq!(refused, TokenUpdated::AtLimit(1));
    assert_eq!(world.token(second.id).await, second);
    assert_eq!(world.token(first.id).await.revocation, None);

    // What has its place keeps it, even beyond a limit that was lowered since.
    let renamed = Token { name: Some("new".into()), ..first };
    let first = done(update_within(&world, renamed, &none).await);
    // Expired it has none, and asks for one again when its end is moved.
    let past = Validity::new(World::at(-9), Some(World::at(0))).unwrap();
    let expired =
        done(update_within(&world, Token { validity: past, ..first.clone() }, &one).await);
    let second = done(update_within(&world, moved(&second, &["git"]), &one).await);
    let back = Token { validity: first.validity, ..expired.clone() };
    let refused = update_within(&world, back.clone(), &one).await;
    assert_eq!(refused, TokenUpdated::AtLimit(1));
    world.revoke(second.id).await;
    done(update_within(&world, back, &one).await);
}

/// Exactly so many, whoever is first.
pub(super) async fn of_forty_moves_as_many_succeed_as_there_is_room(world: World) {
    let alice = world.user("alice").await;
    world.service("git").await;
    let mut tokens = Vec::new();
    for _ in 0..40 {
        tokens.push(world.token_of(&alice).await);
    }
    let said = race(40, |number| {
        let (world, token) = (world.clone(), moved(&tokens[number], &["git"]));
        async move { update_within(&world, token, &[limit_of("git", 7, AtLimit::Refuse)]).await }
    })
    .await;
    assert_eq!(said.iter().filter(|said| matches!(said, TokenUpdated::Done(_))).count(), 7);
    assert_eq!(said.iter().filter(|said| **said == TokenUpdated::AtLimit(7)).count(), 33);
    let git = TokenFilter { service: ServiceLabel::parse("git").ok(), ..TokenFilter::default() };
    assert_eq!(listed(&world, git).await.len(), 7);
    assert_eq!(world.count_events("token.updated").await, 7);
}

//! Issuing: policy, limits, and that nobody gives more than they have.

use counterfoil_authority::authority::Expiry;
use counterfoil_authority::kind::Kind;
use counterfoil_authority::policy::{AtLimit, TokenPolicy};
use counterfoil_authority::refusal::Refusal;
use counterfoil_authority::scope::Scope;
use counterfoil_authority::token::State;

use crate::world::{World, reason, wish};

const PAT: Kind = Kind::PersonalAccessToken;

#[tokio::test]
async fn a_service_token_is_grouped_and_found_without_a_user_name() {
    let world = World::new().await;
    let (_, secret) = world.issue(wish(Kind::ServiceToken, "alice", &["mail"])).await;
    assert_eq!((secret.len(), secret.matches('-').count()), (29, 5));
    assert_eq!(reason(&world.verify(&secret, None, "mail").await), None);
    let typed = secret.replace('-', "").to_uppercase();
    assert_eq!(reason(&world.verify(&typed, Some("alice"), "mail").await), None);
}

#[tokio::test]
async fn policy_decides_about_the_end() {
    let world = World::new().await;
    let policy = TokenPolicy {
        max_lifetime_seconds: Some(10 * 86_400),
        must_expire: Some(true),
        ..TokenPolicy::default()
    };
    world.add_service("vpn", policy).await;
    let (token, _) = world.issue(wish(PAT, "alice", &["vpn"])).await;
    let end = token.validity.expires_at().unwrap();
    assert_eq!(end, world.authority.now().plus_seconds(10 * 86_400));
    let mut never = wish(PAT, "alice", &["vpn"]);
    never.expires = Expiry::Never;
    assert!(matches!(world.refusal(&world.admin, never).await, Refusal::Policy(_)));
    let mut long = wish(PAT, "alice", &["vpn"]);
    long.expires = Expiry::After(11 * 86_400);
    assert!(matches!(world.refusal(&world.admin, long).await, Refusal::Policy(_)));
    let mut past = wish(PAT, "alice", &["git"]);
    past.expires = Expiry::At(world.authority.now());
    assert!(matches!(world.refusal(&world.admin, past).await, Refusal::Invalid { .. }));
}

#[tokio::test]
async fn a_person_issues_for_themselves_within_their_tokens_scopes_and_life() {
    let world = World::new().await;
    let alice = world.person("alice", &["tokens:write"]).await;
    let issued = world.authority.issue(&alice, &world.realm, wish(PAT, "alice", &["git"]), None);
    let (token, _) = crate::world::fresh(issued.await.unwrap());
    assert!(token.validity.expires_at() <= alice.token_expires_at);
    let for_bob = world.refusal(&alice, wish(PAT, "bob", &["git"])).await;
    assert!(matches!(for_bob, Refusal::BeyondGrant(_)), "{for_bob:?}");
    let mut more = wish(PAT, "alice", &["counterfoil"]);
    more.scopes = vec![Scope::parse("audit:read").unwrap()];
    assert!(matches!(world.refusal(&alice, more).await, Refusal::BeyondGrant(_)));
    let mut longer = wish(PAT, "alice", &["git"]);
    longer.expires = Expiry::Never;
    assert!(matches!(world.refusal(&alice, longer).await, Refusal::Invalid { .. }));
}

#[tokio::test]
async fn a_token_without_the_scope_issues_nothing() {
    let world = World::new().await;
    let alice = world.person("alice", &["tokens:read"]).await;
    let refusal = world.refusal(&alice, wish(PAT, "alice", &["git"])).await;
    assert!(matches!(refusal, Refusal::Forbidden(_)));
}

#[tokio::test]
async fn at_the_limit_a_service_refuses_or_replaces() {
    let world = World::new().await;
    let one = |at_limit| TokenPolicy {
        max_active_per_user: Some(1),
        at_limit: Some(at_limit),
        ..TokenPolicy::default()
    };
    world.add_service("strict", one(AtLimit::Refuse)).await;
    world.issue(wish(Kind::ServiceToken, "alice", &["strict"])).await;
    let second = world.refusal(&world.admin, wish(Kind::ServiceToken, "alice", &["strict"])).await;
    assert!(matches!(second, Refusal::AtLimit(1)));
    world.issue(wish(Kind::ServiceToken, "bob", &["strict"])).await;
    world.add_service("easy", one(AtLimit::ReplaceOldest)).await;
    let (first, _) = world.issue(wish(Kind::ServiceToken, "alice", &["easy"])).await;
    let (second, _) = world.issue(wish(Kind::ServiceToken, "alice", &["easy"])).await;
    let now = world.authority.now();
    assert_eq!(world.stored(&first).await.state(now), State::Revoked);
    assert_eq!(world.stored(&second).await.state(now), State::Active);
}

#[tokio::test]
async fn a_suspended_persons_tokens_come_back_with_them_but_a_deleted_ones_never() {
    let world = World::new().await;
    let (token, secret) = world.issue(wish(PAT, "bob", &["git"])).await;
    let bob = counterfoil_authority::names::Username::parse("bob").unwrap();
    let origin =
        counterfoil_authority::event::Origin::system(counterfoil_authority::verdict::Door::Cli);
    let now = world.authority.now();
    let event = world.authority.event("user.deleted", &world.realm, &origin, now).unwrap();
    assert!(world.store.user_delete(&world.realm, &bob, now, event).await.unwrap());
    world.add_user("bob").await;
    assert!(reason(&world.verify(&secret, None, "git").await).is_some());
    assert!(world.stored(&token).await.revocation.is_some());
}

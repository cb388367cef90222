//! Secrets that people chose: Argon2id, user and service named, at most three.

use counterfoil_authority::authority::Act;
use counterfoil_authority::kind::Kind;
use counterfoil_authority::policy::{SecretSource, SelfSelect, TokenPolicy};
use counterfoil_authority::refusal::Refusal;
use counterfoil_authority::secret::ClearSecret;
use counterfoil_authority::verdict::Reason;

use crate::world::{World, reason, wish};

async fn world_with_choice() -> World {
    let world = World::new().await;
    let policy = TokenPolicy {
        source: Some(SecretSource::SelfSelect),
        self_select: Some(SelfSelect { min: 8, max: 64 }),
        ..TokenPolicy::default()
    };
    world.add_service("hpc", policy).await;
    world
}

fn chosen(secret: &str) -> counterfoil_authority::authority::IssueRequest {
    let mut wanted = wish(Kind::ServiceToken, "alice", &["hpc"]);
    wanted.secret = Some(ClearSecret::new(secret.to_owned()));
    wanted
}

#[tokio::test]
async fn a_chosen_secret_verifies_for_its_person_and_service_only() {
    let world = world_with_choice().await;
    let (token, secret) = world.issue(chosen("correct horse battery")).await;
    for _ in 0..2 {
        assert_eq!(reason(&world.verify(&secret, Some("alice"), "hpc").await), None);
    }
    let unknown = Some(Reason::Unknown);
    assert_eq!(reason(&world.verify(&secret, None, "hpc").await), unknown);
    assert_eq!(reason(&world.verify(&secret, Some("bob"), "hpc").await), unknown);
    assert_eq!(reason(&world.verify(&secret, Some("alice"), "git").await), unknown);
    assert_eq!(reason(&world.verify("wrong horse", Some("alice"), "hpc").await), unknown);
    let act = Act::Revoke { reason: None };
    world.authority.change(&world.admin, &world.realm, token.id, act, None).await.unwrap();
    assert!(reason(&world.verify(&secret, Some("alice"), "hpc").await).is_some());
}

#[tokio::test]
async fn three_chosen_secrets_are_the_most() {
    let world = world_with_choice().await;
    for number in 0..3 {
        let (_, secret) = world.issue(chosen(&format!("my secret number {number}"))).await;
        assert_eq!(reason(&world.verify(&secret, Some("alice"), "hpc").await), None);
    }
    let fourth = world.refusal(&world.admin, chosen("one too many of them")).await;
    assert!(matches!(fourth, Refusal::AtLimit(3)));
}

#[tokio::test]
async fn a_chosen_secret_must_not_look_like_ours_nor_be_too_simple() {
    let world = world_with_choice().await;
    let (_, ours) = world.issue(wish(Kind::PersonalAccessToken, "alice", &["git"])).await;
    for bad in [ours.as_str(), "short", "aaaaaaaaaaaaaaaaaaaa"] {
        let refusal = world.refusal(&world.admin, chosen(bad)).await;
        assert!(matches!(refusal, Refusal::Invalid { .. }), "{bad}: {refusal:?}");
    }
    let mut elsewhere = wish(Kind::ServiceToken, "alice", &["mail"]);
    elsewhere.secret = Some(ClearSecret::new("correct horse battery".into()));
    assert!(matches!(world.refusal(&world.admin, elsewhere).await, Refusal::Policy(_)));
}

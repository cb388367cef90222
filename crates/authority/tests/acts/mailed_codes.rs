//! Codes by mail: who is sent one, of which of their tokens, and when there is none to be had.

use counterfoil_authority::authority::{Act, Challenge, Challenged, IssueRequest, OtpDraft};
use counterfoil_authority::authority::{Selected, TargetDraft, VerifyRequest};
use counterfoil_authority::event::Origin;
use counterfoil_authority::kind::Kind;
use counterfoil_authority::names::TargetName;
use counterfoil_authority::otp::Method;
use counterfoil_authority::provision::{TargetConfig, TargetKind, TargetMode};
use counterfoil_authority::subject::UserStatus;
use counterfoil_authority::token::Token;
use counterfoil_authority::verdict::Door;

use crate::world::{World, wish};

/// The world with somebody who writes letters.
async fn with_mail() -> World {
    let world = World::new().await;
    let draft = TargetDraft {
        name: TargetName::parse("letters").unwrap(),
        kind: TargetKind::Mail,
        mode: TargetMode::Automatic,
        order: None,
        config: TargetConfig::default(),
        secret: None,
    };
    world.authority.create_target(&world.admin, &world.realm, draft).await.unwrap();
    world
}

fn by_mail(doors: Option<Vec<Door>>) -> IssueRequest {
    let mut wanted = wish(Kind::Generic, "alice", &["git"]);
    wanted.otp = Some(OtpDraft::of(Method::Email));
    wanted.doors = doors;
    wanted
}

async fn challenged(world: &World) -> Challenged {
    let origin = Origin::system(Door::Validate);
    world.authority.otp_challenge(&world.realm, "alice", &origin).await.unwrap()
}

/// The token that a code is sent for.
async fn sent_for(world: &World) -> Option<Token> {
    world.clock.advance_seconds(60);
    match challenged(world).await {
        Challenged::Sent(Challenge { token, .. }) => {
            Some(world.store.token_find(&world.realm, token).await.unwrap().unwrap())
        }
        Challenged::None => None,
        other => panic!("{other:?}"),
    }
}

async fn act(world: &World, token: &Token, act: Act) {
    world.authority.change(&world.admin, &world.realm, token.id, act, None).await.unwrap();
}

#[tokio::test]
async fn a_code_is_sent_for_the_newest_token_that_is_good_for_something() {
    let world = with_mail().await;
    assert!(sent_for(&world).await.is_none());
    let (first, _) = world.issue(by_mail(None)).await;
    world.clock.advance_seconds(1);
    let (second, _) = world.issue(by_mail(None)).await;
    world.clock.advance_seconds(1);
    let (elsewhere, _) = world.issue(by_mail(Some(vec![Door::Ldap]))).await;
    let sent = sent_for(&world).await.unwrap();
    assert_eq!(sent.id, second.id, "{} is for another door", elsewhere.id);
    act(&world, &second, Act::Disable).await;
    assert_eq!(sent_for(&world).await.unwrap().id, first.id);
    // Nobody who is let in nowhere is written to.
    world.set_status("alice", UserStatus::Suspended).await;
    assert!(sent_for(&world).await.is_none());
    world.set_status("alice", UserStatus::Active).await;
    assert_eq!(sent_for(&world).await.unwrap().id, first.id);
    act(&world, &first, Act::Disable).await;
    assert!(sent_for(&world).await.is_none());
}

#[tokio::test]
async fn who_asks_again_at_once_is_told_of_the_code_that_is_on_its_way() {
    let world = with_mail().await;
    let (token, _) = world.issue(by_mail(None)).await;
    let send = async || {
        let (admin, realm) = (&world.admin, &world.realm);
        world.authority.otp_send(admin, realm, token.id).await.unwrap()
    };
    let Challenged::Sent(first) = send().await else { panic!() };
    assert_eq!(send().await, Challenged::TooSoon(first.clone()));
    assert_eq!(challenged(&world).await, Challenged::TooSoon(first.clone()));
    // Five wrong ones end it, and the next one is not sent before its time.
    let origin = Origin::system(Door::Validate);
    for _ in 0..5 {
        let request = VerifyRequest {
            username: Some("alice"),
            ..VerifyRequest::of_holder(
                &world.realm,
                "00000000",
                counterfoil_authority::authority::Binding::Unbound,
                &origin,
            )
        };
        let meant = Selected::Challenge(&first.id);
        world.authority.verify_selected(request, meant).await.unwrap();
    }
    world.clock.advance_seconds(10);
    assert_eq!(send().await, Challenged::Wait { seconds: 20 });
    assert_eq!(challenged(&world).await, Challenged::Wait { seconds: 20 });
    world.clock.advance_seconds(20);
    assert!(matches!(send().await, Challenged::Sent(_)));
}

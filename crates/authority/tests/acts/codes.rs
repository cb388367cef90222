//! Codes that are good once, by a clock that stands still: windows, drift, and how long one waits.

use counterfoil_authority::authority::{IssueRequest, OtpDraft};
use counterfoil_authority::caller::Caller;
use counterfoil_authority::kind::Kind;
use counterfoil_authority::otp::{Method, Shape, SharedSeed, oath};
use counterfoil_authority::refusal::Refusal;
use counterfoil_authority::token::Token;
use counterfoil_authority::verdict::{Door, Reason};

use crate::world::{World, reason, wish};

fn seed() -> SharedSeed {
    SharedSeed::new(b"12345678901234567890".to_vec()).unwrap()
}

fn enrolment(method: Method) -> IssueRequest {
    let mut wanted = wish(Kind::Generic, "alice", &["git"]);
    let counts = matches!(method, Method::Totp | Method::Hotp);
    wanted.otp = Some(OtpDraft { seed: counts.then(seed), ..OtpDraft::of(method) });
    wanted
}

/// The code of a step, counted from the present one.
fn at_step(world: &World, offset: i64) -> String {
    let now = oath::step_of(Shape::default(), world.authority.now());
    oath::code(&seed(), Shape::default(), now + offset)
}

async fn said(world: &World, code: &str) -> Option<Reason> {
    reason(&world.verify(code, Some("alice"), "git").await)
}

async fn drift(world: &World, caller: &Caller, token: &Token) -> i64 {
    world.authority.otp(caller, &world.realm, token.id).await.unwrap().drift
}

#[tokio::test]
async fn f2_a_step_beside_the_present_one_is_good_once_and_one_further_never() {
    let world = World::new().await;
    let (token, shown) = world.issue(enrolment(Method::Totp)).await;
    assert!(shown.starts_with("otpauth://totp/main:alice?secret="));
    assert_eq!(token.doors, Some(vec![Door::Api, Door::Validate]));
    for far in [-2, 2] {
        assert_eq!(said(&world, &at_step(&world, far)).await, Some(Reason::Unknown));
    }
    assert_eq!(said(&world, &at_step(&world, 0)).await, None);
    assert_eq!(said(&world, &at_step(&world, 0)).await, Some(Reason::Exhausted));
    // Never backwards: what was passed over is used up too.
    assert_eq!(said(&world, &at_step(&world, -1)).await, Some(Reason::Exhausted));
    assert_eq!(said(&world, &at_step(&world, 1)).await, None);
    // For another person or service it is no code at all.
    world.clock.advance_seconds(90);
    let code = at_step(&world, 0);
    assert_eq!(reason(&world.verify(&code, Some("bob"), "git").await), Some(Reason::Unknown));
    assert_eq!(reason(&world.verify(&code, None, "git").await), Some(Reason::Unknown));
    let elsewhere = world.verify(&code, Some("alice"), "mail").await;
    assert_eq!(reason(&elsewhere), Some(Reason::WrongService));
    assert_eq!(said(&world, &code).await, None, "a refusal uses nothing up");
}

#[tokio::test]
async fn a_clock_that_goes_wrong_slowly_is_followed() {
    let world = World::new().await;
    let (token, _) = world.issue(enrolment(Method::Totp)).await;
    for ahead in 1..=10 {
        world.clock.advance_seconds(86_400);
        assert_eq!(said(&world, &at_step(&world, ahead)).await, None, "{ahead}");
        assert_eq!(drift(&world, &world.admin, &token).await, ahead);
    }
    // Five minutes are enough; an hour needs two codes that follow each other.
    world.clock.advance_seconds(86_400);
    assert_eq!(said(&world, &at_step(&world, 12)).await, Some(Reason::Unknown));
    let codes = [at_step(&world, 100), at_step(&world, 101)]
        .map(counterfoil_authority::secret::ClearSecret::new);
    let pair = [&codes[0], &codes[1]];
    let resync = world.authority.otp_resync(&world.admin, &world.realm, token.id, pair).await;
    assert_eq!(resync.unwrap().drift, 101);
    assert_eq!(said(&world, &at_step(&world, 102)).await, None);
}

#[tokio::test]
async fn wrong_codes_make_the_next_ones_wait_a_minute_at_most() {
    let world = World::new().await;
    world.issue(enrolment(Method::Totp)).await;
    for _ in 0..10 {
        assert_eq!(said(&world, "000000").await, Some(Reason::Unknown));
    }
    // Ten are forgiven; after the next one even the right one waits, a second.
    assert_eq!(said(&world, "000000").await, Some(Reason::Unknown));
    assert_eq!(said(&world, &at_step(&world, 0)).await, Some(Reason::RateLimited));
    world.clock.advance_seconds(1);
    for _ in 0..200 {
        said(&world, "000000").await;
        world.clock.advance_seconds(1);
    }
    // However many there were: a minute after the last one that was looked at.
    world.clock.advance_seconds(60);
    assert_eq!(said(&world, &at_step(&world, 0)).await, None);
}

#[tokio::test]
async fn who_enrols_for_somebody_else_does_not_see_their_seed() {
    let world = World::new().await;
    let alice = world.person("alice", &["tokens:write", "tokens:read"]).await;
    let own = IssueRequest {
        otp: Some(OtpDraft::of(Method::Totp)),
        ..wish(Kind::Generic, "alice", &["git"])
    };
    let said = world.authority.issue(&alice, &world.realm, own.clone(), None).await;
    assert!(said.is_ok(), "{said:?}");
    let mut for_bob = own;
    for_bob.user = Some(counterfoil_authority::names::Username::parse("bob").unwrap());
    let refusal = world.refusal(&alice, for_bob).await;
    assert!(matches!(refusal, Refusal::BeyondGrant(_)), "{refusal}");
}

#[tokio::test]
async fn what_makes_no_sense_is_not_enrolled() {
    let world = World::new().await;
    let wrong = [
        OtpDraft { codes: Some(51), ..OtpDraft::of(Method::Backup) },
        OtpDraft { codes: Some(3), ..OtpDraft::of(Method::Totp) },
        OtpDraft { seed: Some(seed()), ..OtpDraft::of(Method::Email) },
        OtpDraft { counter: 5, ..OtpDraft::of(Method::Totp) },
        OtpDraft::of(Method::Yubikey),
        OtpDraft { confirm: true, ..OtpDraft::of(Method::Backup) },
        OtpDraft { shape: Shape { digits: 5, ..Shape::default() }, ..OtpDraft::of(Method::Totp) },
        OtpDraft {
            shape: Shape { step_seconds: 5, ..Shape::default() },
            ..OtpDraft::of(Method::Totp)
        },
    ];
    for draft in wrong {
        let mut wanted = wish(Kind::Generic, "alice", &["git"]);
        let shown = format!("{draft:?}");
        wanted.otp = Some(draft);
        let refusal = world.refusal(&world.admin, wanted).await;
        assert!(matches!(refusal, Refusal::Invalid { .. }), "{shown}: {refusal}");
    }
    let mut wanted = enrolment(Method::Totp);
    wanted.kind = Kind::PersonalAccessToken;
    assert!(matches!(world.refusal(&world.admin, wanted).await, Refusal::Invalid { .. }));
}

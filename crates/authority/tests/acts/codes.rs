//! Codes that are good once, by a clock that stands still: windows, drift, and how long one waits.

use counterfoil_authority::authority::{Binding, IssueRequest, OtpDraft, Selected, VerifyRequest};
use counterfoil_authority::caller::Caller;
use counterfoil_authority::event::Origin;
use counterfoil_authority::kind::Kind;
use counterfoil_authority::names::Username;
use counterfoil_authority::otp::{Method, Shape, SharedSeed, oath};
use counterfoil_authority::policy::{SecretSource, SelfSelect, TokenPolicy};
use counterfoil_authority::refusal::Refusal;
use counterfoil_authority::secret::ClearSecret;
use counterfoil_authority::service::Services;
use counterfoil_authority::subject::Role;
use counterfoil_authority::token::Token;
use counterfoil_authority::verdict::{Door, Reason};

use crate::world::{World, label, reason, wish};

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
    let codes = [at_step(&world, 100), at_step(&world, 101)].map(ClearSecret::new);
    let pair = [&codes[0], &codes[1]];
    let resync = world.authority.otp_resync(&world.admin, &world.realm, token.id, pair).await;
    assert_eq!(resync.unwrap().drift, 101);
    assert_eq!(said(&world, &at_step(&world, 102)).await, None);
    // However far it was when it was brought back, it goes on from there.
    for _ in 0..3 {
        world.clock.advance_seconds(60);
        assert_eq!(said(&world, &at_step(&world, 101)).await, None);
    }
    assert_eq!(drift(&world, &world.admin, &token).await, 101);
    // And comes nearer again, but runs away no further.
    world.clock.advance_seconds(60);
    assert_eq!(said(&world, &at_step(&world, 100)).await, None);
    assert_eq!(drift(&world, &world.admin, &token).await, 100);
    world.clock.advance_seconds(60);
    assert_eq!(said(&world, &at_step(&world, 101)).await, None);
    assert_eq!(drift(&world, &world.admin, &token).await, 100);
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
    for_bob.user = Some(Username::parse("bob").unwrap());
    let refusal = world.refusal(&alice, for_bob.clone()).await;
    assert!(matches!(refusal, Refusal::BeyondGrant(_)), "{refusal}");
    // Who may enrol for others enrols what shows nothing, and no more.
    world.grant("alice", Role::RealmAdmin).await;
    let alice = world.person("alice", &["tokens:write", "tokens:read"]).await;
    for shows in [Method::Totp, Method::Hotp, Method::Backup] {
        for_bob.otp = Some(OtpDraft::of(shows));
        let refusal = world.refusal(&alice, for_bob.clone()).await;
        assert!(matches!(refusal, Refusal::Policy(_)), "{refusal}");
    }
    for_bob.otp = Some(OtpDraft::of(Method::Email));
    let said = world.authority.issue(&alice, &world.realm, for_bob, None).await;
    assert!(said.is_ok(), "{said:?}");
}

/// A world with a service that takes chosen secrets of eight characters, and one of alice's.
async fn with_chosen(secret: &str) -> (World, Token) {
    let world = World::new().await;
    let policy = TokenPolicy {
        source: Some(SecretSource::SelfSelect),
        self_select: Some(SelfSelect { min: 8, max: 64 }),
        ..TokenPolicy::default()
    };
    world.add_service("hpc", policy).await;
    let mut wanted = wish(Kind::ServiceToken, "alice", &["hpc"]);
    wanted.secret = Some(ClearSecret::new(secret.to_owned()));
    let (token, _) = world.issue(wanted).await;
    (world, token)
}

#[tokio::test]
async fn a_chosen_secret_with_the_form_of_a_code_is_no_wrong_code() {
    const CHOSEN: &str = "gasthaus2025";
    let (world, _) = with_chosen(CHOSEN).await;
    let mut enrolled = enrolment(Method::Totp);
    enrolled.services = Some(Services::All);
    world.issue(enrolled).await;
    let at_hpc = async |secret: &str| reason(&world.verify(secret, Some("alice"), "hpc").await);
    for _ in 0..30 {
        assert_eq!(at_hpc(CHOSEN).await, None);
    }
    // None of them made a code wait.
    assert_eq!(said(&world, &at_step(&world, 0)).await, None);
    // And while codes wait because somebody guesses, the chosen secret does not.
    for _ in 0..12 {
        assert_eq!(at_hpc("gasthaus2024").await, Some(Reason::Unknown));
        world.clock.advance_seconds(30);
    }
    for _ in 0..12 {
        at_hpc("gasthaus2024").await;
    }
    assert_eq!(said(&world, &at_step(&world, 0)).await, Some(Reason::RateLimited));
    assert_eq!(at_hpc("gasthaus2024").await, Some(Reason::RateLimited));
    assert_eq!(at_hpc(CHOSEN).await, None);
    // The wait ends when it would have ended without that.
    world.clock.advance_seconds(60);
    assert_eq!(at_hpc(CHOSEN).await, None);
    assert_eq!(said(&world, &at_step(&world, 0)).await, None);
}

#[tokio::test]
async fn a_chosen_secret_of_one_token_is_meant_by_its_serial() {
    const CHOSEN: &str = "gasthaus2025";
    let (world, chosen) = with_chosen(CHOSEN).await;
    world.issue(enrolment(Method::Totp)).await;
    let origin = Origin::system(Door::Validate);
    let hpc = label("hpc");
    let binding = Binding::Service(&hpc);
    let request = VerifyRequest {
        username: Some("alice"),
        ..VerifyRequest::of_holder(&world.realm, CHOSEN, binding, &origin)
    };
    let meant = Selected::Serial(chosen.id.as_str());
    for _ in 0..30 {
        let verdict = world.authority.verify_selected(request, meant).await.unwrap();
        assert_eq!(reason(&verdict), None);
    }
}

#[tokio::test]
async fn what_makes_no_sense_is_not_enrolled() {
    let world = World::new().await;
    let wrong = [
        OtpDraft { codes: Some(51), ..OtpDraft::of(Method::Backup) },
        OtpDraft { codes: Some(3), ..OtpDraft::of(Method::Totp) },
        OtpDraft { seed: Some(seed()), ..OtpDraft::of(Method::Email) },
        OtpDraft { counter: 5, ..OtpDraft::of(Method::Totp) },
        // No authenticator counts so far, and the places behind it have to be numbers still.
        OtpDraft { counter: 1 << 53, ..OtpDraft::of(Method::Hotp) },
        OtpDraft { counter: i64::MAX.unsigned_abs(), ..OtpDraft::of(Method::Hotp) },
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

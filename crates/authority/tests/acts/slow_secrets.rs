//! Secrets that people chose: Argon2id, user and service named, at most three.

use std::time::Duration;

use counterfoil_authority::authority::{Act, Answered, Binding, Settings, Verdict, VerifyRequest};
use counterfoil_authority::event::Origin;
use counterfoil_authority::kind::Kind;
use counterfoil_authority::policy::{SecretForm, SecretSource, SelfSelect, TokenPolicy};
use counterfoil_authority::refusal::Refusal;
use counterfoil_authority::secret::ClearSecret;
use counterfoil_authority::secret_hash::SlowCost;
use counterfoil_authority::verdict::{Door, Reason};

use crate::world::{World, label, reason, wish};

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
async fn a_secret_is_good_whatever_the_cost_was_that_it_was_hashed_at() {
    let mut world = world_with_choice().await;
    let (_, first) = world.issue(chosen("correct horse battery")).await;
    let mut secrets = vec![first];
    for memory_kib in [128, 256] {
        let slow_cost = SlowCost { memory_kib, passes: 1, lanes: 1 };
        world = world.restarted(Settings { slow_cost, ..Settings::default() }).await;
        let (_, next) = world.issue(chosen(&format!("one at {memory_kib} KiB"))).await;
        secrets.push(next);
        for secret in &secrets {
            assert_eq!(reason(&world.verify(secret, Some("alice"), "hpc").await), None);
        }
        let wrong = world.verify("wrong horse", Some("alice"), "hpc").await;
        assert_eq!(reason(&wrong), Some(Reason::Unknown));
    }
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

/// A guess at alice's secret for `hpc`, from an address, by whom.
async fn guess<'a>(
    world: &'a World,
    presented: &'a str,
    user: &'a str,
    source: &str,
    origin: &'a Origin,
) -> Result<Verdict, Refusal> {
    let request = VerifyRequest {
        realm: &world.realm,
        presented,
        username: Some(user),
        binding: Binding::Service(&label("hpc")),
        scopes: &[],
        resource: None,
        action: None,
        client_ip: Some(source.parse().unwrap()),
        consume: true,
        throttled: true,
        origin,
    };
    world.authority.verify(request).await
}

/// Wrong guesses that are answered, until the throttle knows the guesser.
async fn suspected(world: &World, origin: &Origin) {
    for _ in 0..20 {
        // Between two guesses it forgets nothing that matters.
        world.clock.advance_seconds(1);
        let said = guess(world, "wrong horse", "alice", "192.0.2.1", origin).await.unwrap();
        if reason(&said) == Some(Reason::RateLimited) {
            return;
        }
        assert_eq!(reason(&said), Some(Reason::Unknown));
    }
}

#[tokio::test]
async fn a_guesser_waits_before_anything_is_computed() {
    let world = world_with_choice().await;
    let (_, secret) = world.issue(chosen("correct horse battery")).await;
    let anonymous = Origin::system(Door::ForwardAuth);
    for _ in 0..12 {
        let said = guess(&world, "wrong horse", "alice", "192.0.2.1", &anonymous).await.unwrap();
        assert_eq!(reason(&said), Some(Reason::Unknown));
    }
    let waiting = guess(&world, "wrong horse", "alice", "192.0.2.1", &anonymous);
    let mut waiting = std::pin::pin!(waiting);
    assert!(tokio::time::timeout(Duration::ZERO, waiting.as_mut()).await.is_err());
    assert_eq!(world.authority.figures().slow_waiting, 0, "it waits outside of the queue");
    // A second guess at the same person has to wait for the first one; nobody else has to.
    let second = guess(&world, &secret, "alice", "192.0.2.1", &anonymous).await;
    assert!(matches!(second, Err(Refusal::Overloaded)), "{second:?}");
    let other = guess(&world, "wrong horse", "bob", "192.0.2.1", &anonymous).await.unwrap();
    assert_eq!(reason(&other), Some(Reason::Unknown));
    let elsewhere = guess(&world, &secret, "alice", "192.0.2.9", &anonymous).await.unwrap();
    assert_eq!(reason(&elsewhere), None);
    // A secret that verified is remembered, and is good wherever the guesser sits.
    let remembered = guess(&world, &secret, "alice", "192.0.2.1", &anonymous).await.unwrap();
    assert_eq!(reason(&remembered), None);
}

#[tokio::test]
async fn an_asker_that_speaks_for_a_guesser_is_told_at_once() {
    let world = world_with_choice().await;
    let (_, secret) = world.issue(chosen("correct horse battery")).await;
    let gate = world.admin.origin.clone();
    suspected(&world, &gate).await;
    for (presented, user, source, expected) in [
        (secret.as_str(), "alice", "192.0.2.1", Some(Reason::RateLimited)),
        ("wrong horse", "bob", "192.0.2.1", Some(Reason::Unknown)),
        (&secret, "alice", "192.0.2.9", None),
    ] {
        let said = guess(&world, presented, user, source, &gate).await.unwrap();
        assert_eq!(reason(&said), expected, "{user} from {source}");
    }
    world.clock.advance_seconds(6);
    let said = guess(&world, &secret, "alice", "192.0.2.1", &gate).await.unwrap();
    assert_eq!(reason(&said), None, "the delay is over");
}

#[tokio::test]
async fn a_secret_revoked_while_it_was_compared_is_refused() {
    let world = world_with_choice().await;
    let (token, secret) = world.issue(chosen("correct horse battery")).await;
    let anonymous = Origin::system(Door::ForwardAuth);
    for _ in 0..12 {
        guess(&world, "wrong horse", "alice", "192.0.2.1", &anonymous).await.unwrap();
    }
    let verifying = guess(&world, &secret, "alice", "192.0.2.1", &anonymous);
    let mut verifying = std::pin::pin!(verifying);
    let on_its_way = tokio::time::timeout(Duration::ZERO, verifying.as_mut()).await;
    assert!(on_its_way.is_err(), "it waits, having read the token");
    let act = Act::Revoke { reason: None };
    world.authority.change(&world.admin, &world.realm, token.id, act, None).await.unwrap();
    assert_eq!(reason(&verifying.await.unwrap()), Some(Reason::Revoked));
}

/// A service whose tokens have one of COmanage's forms.
async fn world_with_form(form: SecretForm, length: Option<u32>) -> World {
    let world = World::new().await;
    let policy = TokenPolicy { form: Some(form), length, ..TokenPolicy::default() };
    world.add_service("hpc", policy).await;
    world
}

/// Whether a text is `count` characters of an alphabet, in groups of four where there are any.
fn is_of(text: &str, count: usize, alphabet: &str) -> bool {
    let plain: String = text.split('-').collect();
    let groups: Vec<&str> = text.split('-').collect();
    let whole = groups.iter().rev().skip(1).all(|group| group.len() == 4);
    plain.len() == count && whole && plain.chars().all(|c| alphabet.contains(c))
}

const ALPHANUMERIC: &str = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const AG: &str = "abcdefghijkmnopqrstuvwxyz0123456789";

#[tokio::test]
async fn a1_each_short_form_is_exactly_what_comanage_calls_it() {
    for (form, length, count, alphabet) in [
        (SecretForm::Plain15, None, 15, ALPHANUMERIC),
        (SecretForm::Plain08, None, 8, ALPHANUMERIC),
        (SecretForm::Ag, None, 16, AG),
        (SecretForm::Ag, Some(8), 8, AG),
        (SecretForm::Ag, Some(21), 21, AG),
        (SecretForm::Ag, Some(22), 22, AG),
        (SecretForm::Ag, Some(24), 24, AG),
        (SecretForm::Ag, Some(64), 64, AG),
    ] {
        let world = world_with_form(form, length).await;
        let (token, first) = world.issue(wish(Kind::ServiceToken, "alice", &["hpc"])).await;
        assert!(is_of(&first, count, alphabet), "{form:?} {length:?}: {first}");
        let rotate =
            world.authority.rotate(&world.admin, &world.realm, token.id, Some(60), None, None);
        let Answered::Fresh { secret, .. } = rotate.await.unwrap() else { panic!("replayed") };
        let second = secret.reveal().to_owned();
        assert!(is_of(&second, count, alphabet) && second != first, "{form:?}: {second}");
        for secret in [&first, &second] {
            let right = world.verify(secret, Some("alice"), "hpc").await;
            assert_eq!(reason(&right), None, "{form:?} {length:?}");
            for (user, service) in [("bob", "hpc"), ("alice", "git")] {
                let wrong = world.verify(secret, Some(user), service).await;
                assert!(reason(&wrong).is_some(), "{form:?} {length:?}: {user} {service}");
            }
        }
    }
}

/// 22 characters of COmanage's alphabet have 112 bits: nobody has to be named with them.
#[tokio::test]
async fn a_long_form_needs_no_name_and_a_short_one_does() {
    for (length, named) in [(21, false), (22, true), (24, true), (64, true)] {
        let world = world_with_form(SecretForm::Ag, Some(length)).await;
        let service = label("hpc");
        let hpc = Binding::Service(&service);
        for _ in 0..4 {
            // Four are allowed where each attempt costs next to nothing.
            let wanted = wish(Kind::ServiceToken, "alice", &["hpc"]);
            let issued = world.authority.issue(&world.admin, &world.realm, wanted, None).await;
            let Ok(Answered::Fresh { secret, .. }) = issued else {
                assert!(!named, "{length}: {issued:?}");
                continue;
            };
            let said = world.ask(secret.reveal(), None, hpc, &[]).await;
            assert_eq!(reason(&said).is_none(), named, "{length}: {said:?}");
        }
    }
}

#[tokio::test]
async fn four_tokens_of_a_short_form_are_one_too_many() {
    let world = world_with_form(SecretForm::Plain15, None).await;
    for _ in 0..3 {
        world.issue(wish(Kind::ServiceToken, "alice", &["hpc"])).await;
    }
    let wanted = wish(Kind::ServiceToken, "alice", &["hpc"]);
    let fourth = world.refusal(&world.admin, wanted).await;
    assert!(matches!(fourth, Refusal::AtLimit(3)), "{fourth:?}");
}

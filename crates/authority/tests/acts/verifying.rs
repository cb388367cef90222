//! Verify: who is let in, who is not, and what each refusal is called.

use counterfoil_authority::authority::{Act, Binding, Expiry, Verdict, VerifyRequest};
use counterfoil_authority::event::Origin;
use counterfoil_authority::kind::Kind;
use counterfoil_authority::policy::TokenPolicy;
use counterfoil_authority::scope::Scope;
use counterfoil_authority::subject::UserStatus;
use counterfoil_authority::verdict::{Door, Reason};

use crate::world::{World, label, reason, wish};

const PAT: Kind = Kind::PersonalAccessToken;

#[tokio::test]
async fn a_good_token_is_active_with_its_facts() {
    let world = World::new().await;
    let (token, secret) = world.issue(wish(PAT, "alice", &["git"])).await;
    for _ in 0..2 {
        let Verdict::Active(active) = world.verify(&secret, Some("Alice"), "git").await else {
            panic!("refused");
        };
        assert_eq!((active.token(), active.username()), (token.id, Some("alice")));
        assert_eq!(
            (active.service(&Binding::Service(&label("git"))), active.kind()),
            (Some("git"), PAT)
        );
        assert_eq!(active.expires_at(), token.validity.expires_at());
    }
    world.authority.flush_usage().await.unwrap();
    let usage = world.stored(&token).await.usage;
    assert_eq!((usage.total, usage.first_at), (2, Some(world.authority.now())));
}

#[tokio::test]
async fn each_refusal_has_its_reason() {
    let world = World::new().await;
    let (token, secret) = world.issue(wish(PAT, "alice", &["git"])).await;
    let why = async |user, service| reason(&world.verify(&secret, user, service).await);
    assert_eq!(why(Some("bob"), "git").await, Some(Reason::WrongUser));
    assert_eq!(why(None, "mail").await, Some(Reason::WrongService));
    assert_eq!(why(None, "nowhere").await, Some(Reason::WrongService));
    let other = world.issue(wish(PAT, "bob", &["git"])).await.1;
    let mixed = format!("{}{}", &secret[..18], &other[18..]);
    assert_eq!(reason(&world.verify(&mixed, None, "git").await), Some(Reason::Unknown));
    world.set_status("alice", UserStatus::Suspended).await;
    assert_eq!(why(None, "git").await, Some(Reason::OwnerInactive));
    world.set_status("alice", UserStatus::Active).await;
    assert_eq!(why(None, "git").await, None);
    let change = async |act| {
        world.authority.change(&world.admin, &world.realm, token.id, act, None).await.unwrap();
    };
    change(Act::Disable).await;
    assert_eq!(why(None, "git").await, Some(Reason::Disabled));
    change(Act::Lock).await;
    assert_eq!(why(None, "git").await, Some(Reason::Locked));
    change(Act::Unlock).await;
    change(Act::Enable).await;
    assert_eq!(why(None, "git").await, None);
    world.clock.advance_seconds(90 * 86_400);
    assert_eq!(why(None, "git").await, Some(Reason::Expired));
    change(Act::Revoke { reason: None }).await;
    assert_eq!(why(None, "git").await, Some(Reason::Revoked));
}

#[tokio::test]
async fn a_token_lives_to_the_last_second_that_its_issue_named_and_one_without_an_end_for_years() {
    let world = World::new().await;
    let (token, secret) = world.issue(wish(PAT, "alice", &["git"])).await;
    let mut endless = wish(PAT, "alice", &["git"]);
    endless.expires = Expiry::Never;
    let (lasting, kept) = world.issue(endless).await;
    assert_eq!(lasting.validity.expires_at(), None);
    let end = token.validity.expires_at().unwrap();
    let left = end.seconds() - world.authority.now().seconds();
    world.clock.advance_seconds(left - 1);
    assert_eq!(reason(&world.verify(&secret, None, "git").await), None);
    world.clock.advance_seconds(1);
    assert_eq!(reason(&world.verify(&secret, None, "git").await), Some(Reason::Expired));
    world.clock.advance_seconds(10 * 366 * 86_400);
    while world.authority.purge().await.unwrap() {}
    assert_eq!(reason(&world.verify(&kept, None, "git").await), None);
    assert_eq!(reason(&world.verify(&secret, None, "git").await), Some(Reason::Expired));
}

#[tokio::test]
async fn a_revoked_token_is_refused_by_the_very_next_verify() {
    let world = World::new().await;
    for _ in 0..20 {
        let (token, secret) = world.issue(wish(PAT, "alice", &["git"])).await;
        assert_eq!(reason(&world.verify(&secret, None, "git").await), None);
        let act = Act::Revoke { reason: Some("lost".into()) };
        world.authority.change(&world.admin, &world.realm, token.id, act, None).await.unwrap();
        assert_eq!(reason(&world.verify(&secret, None, "git").await), Some(Reason::Revoked));
    }
}

#[tokio::test]
async fn scopes_are_all_required_and_lacking_one_is_its_own_refusal() {
    let world = World::new().await;
    let read = Scope::parse("read").unwrap();
    let write = Scope::parse("write").unwrap();
    let mut wanted = wish(PAT, "alice", &["git"]);
    wanted.scopes = vec![read.clone()];
    let (_, secret) = world.issue(wanted).await;
    let git = label("git");
    let git = Binding::Service(&git);
    assert_eq!(reason(&world.ask(&secret, None, git, std::slice::from_ref(&read)).await), None);
    let both = [read, write];
    let verdict = world.ask(&secret, None, git, &both).await;
    assert_eq!(reason(&verdict), Some(Reason::InsufficientScope));
}

#[tokio::test]
async fn a_door_that_the_token_is_not_for_is_closed() {
    let world = World::new().await;
    let mut wanted = wish(PAT, "alice", &["git"]);
    wanted.doors = Some(vec![Door::Ldap]);
    let (_, secret) = world.issue(wanted).await;
    assert_eq!(reason(&world.verify(&secret, None, "git").await), Some(Reason::WrongDoor));
}

#[tokio::test]
async fn an_unknown_client_address_is_inside_no_network() {
    let world = World::new().await;
    let mut wanted = wish(PAT, "alice", &["git"]);
    wanted.networks = vec!["10.0.0.0/8".parse().unwrap()];
    let (_, secret) = world.issue(wanted).await;
    assert_eq!(reason(&world.verify(&secret, None, "git").await), Some(Reason::NetworkDenied));
}

#[tokio::test]
async fn a_limit_lowered_later_blocks_at_use_and_revokes_nothing() {
    let world = World::new().await;
    world.add_service("vpn", TokenPolicy::default()).await;
    let (token, secret) = world.issue(wish(PAT, "alice", &["vpn"])).await;
    assert_eq!(reason(&world.verify(&secret, None, "vpn").await), None);
    let service = world.store.service_find(&world.realm, &label("vpn")).await.unwrap().unwrap();
    let mut tighter = service.clone();
    tighter.token_policy.max_lifetime_seconds = Some(86_400);
    let origin = counterfoil_authority::event::Origin::system(Door::Cli);
    let now = world.authority.now();
    let event = world.authority.event("service.updated", &world.realm, &origin, now).unwrap();
    world.store.service_update(tighter, event).await.unwrap();
    assert_eq!(reason(&world.verify(&secret, None, "vpn").await), Some(Reason::PolicyBlocked));
    assert_eq!(world.stored(&token).await.revocation, None);
}

#[tokio::test]
async fn limited_uses_are_exact_under_a_race_and_looking_costs_none() {
    let world = std::sync::Arc::new(World::new().await);
    let mut wanted = wish(PAT, "alice", &["git"]);
    wanted.max_usages = Some(5);
    let (token, secret) = world.issue(wanted).await;
    let tasks: Vec<_> = (0..200)
        .map(|_| {
            let (world, secret) = (std::sync::Arc::clone(&world), secret.clone());
            tokio::spawn(async move { reason(&world.verify(&secret, None, "git").await) })
        })
        .collect();
    let mut accepted = 0;
    for task in tasks {
        match task.await.unwrap() {
            None => accepted += 1,
            Some(why) => assert_eq!(why, Reason::Exhausted),
        }
    }
    assert_eq!(accepted, 5);
    world.authority.flush_usage().await.unwrap();
    let stored = world.stored(&token).await;
    assert_eq!((stored.used, stored.usage.total, stored.usage.denied_total), (5, 5, 195));
}

#[tokio::test]
async fn a_token_for_everything_is_not_for_the_api() {
    let world = World::new().await;
    let mut wanted = wish(PAT, "alice", &["git"]);
    wanted.services = Some(counterfoil_authority::service::Services::All);
    let (_, secret) = world.issue(wanted).await;
    assert_eq!(reason(&world.verify(&secret, None, "mail").await), None);
    let api = world.verify(&secret, None, "counterfoil").await;
    assert_eq!(reason(&api), Some(Reason::WrongService));
}

#[tokio::test]
async fn a_token_that_verified_under_a_retired_pepper_is_rehashed_with_the_next_flush() {
    use counterfoil_authority::keys::{Key, KeyPurpose, KeyRing};
    let world = World::new().await;
    let (token, secret) = world.issue(wish(PAT, "alice", &["git"])).await;
    let old = world.authority.keys();
    let mut peppers = old.keys(KeyPurpose::Pepper).to_vec();
    peppers.push(Key::generate(2, world.authority.entropy()).unwrap());
    let seals = old.keys(KeyPurpose::Seal).to_vec();
    world.authority.set_keys(KeyRing::new(peppers.clone(), seals.clone()).unwrap());
    assert_eq!(reason(&world.verify(&secret, None, "git").await), None);
    world.authority.flush_usage().await.unwrap();
    let record = world.store.token_record(token.id).await.unwrap().unwrap();
    assert_eq!(record.secrets.first().unwrap().hash.pepper(), 2);
    peppers.remove(0);
    world.authority.set_keys(KeyRing::new(peppers, seals).unwrap());
    assert_eq!(reason(&world.verify(&secret, None, "git").await), None);
}

#[tokio::test]
async fn a_token_under_a_pepper_that_this_node_lacks_is_not_refused_but_cannot_be_judged() {
    use counterfoil_authority::authority::NotReady;
    use counterfoil_authority::keys::{Key, KeyPurpose, KeyRing};
    use counterfoil_authority::refusal::Refusal;
    let world = World::new().await;
    let poor = world.authority.keys();
    let rich = {
        let mut peppers = poor.keys(KeyPurpose::Pepper).to_vec();
        peppers.push(Key::generate(2, world.authority.entropy()).unwrap());
        KeyRing::new(peppers, poor.keys(KeyPurpose::Seal).to_vec()).unwrap()
    };
    let (_, before) = world.issue(wish(PAT, "alice", &["git"])).await;
    world.authority.set_keys(rich.clone());
    let (_, after) = world.issue(wish(PAT, "alice", &["git"])).await;
    // Now as a node to which the new file was not copied.
    let unheld = vec![(KeyPurpose::Pepper, 2)];
    world.authority.set_keys(KeyRing::clone(&poor).with_lacking(unheld));
    assert_eq!(reason(&world.verify(&before, None, "git").await), None);
    let origin = Origin::system(Door::Api);
    let git = label("git");
    let request = VerifyRequest {
        realm: &world.realm,
        presented: &after,
        username: None,
        binding: Binding::Service(&git),
        scopes: &[],
        resource: None,
        action: None,
        client_ip: None,
        consume: true,
        throttled: true,
        origin: &origin,
    };
    for _ in 0..2 {
        let answer = world.authority.verify(request).await;
        assert!(matches!(answer, Err(Refusal::Unavailable(_))), "neither good nor bad");
    }
    // The installation knows only the keys that it was made with, so the ring decides here.
    world.authority.set_keys(rich);
    assert_eq!(reason(&world.verify(&after, None, "git").await), None);
    let other = Key::generate(9, world.authority.entropy()).unwrap();
    let seals = poor.keys(KeyPurpose::Seal).to_vec();
    world.authority.set_keys(KeyRing::new(vec![other], seals).unwrap());
    match world.authority.readiness().await {
        Err(NotReady::Keys(lost)) => assert!(lost.contains("pepper-1.key"), "{lost}"),
        ready => panic!("{ready:?}"),
    }
}

#[tokio::test]
async fn a_mistyped_service_is_named_in_the_event_and_a_pasted_secret_is_not() {
    use counterfoil_authority::store::{EventFilter, PageRequest};
    let world = World::new().await;
    let (_, secret) = world.issue(wish(PAT, "alice", &["git"])).await;
    assert_eq!(reason(&world.verify(&secret, None, "git").await), None);
    for asked in ["gti", "abcd-efgh-jkmn-pqrs-tvwx-yz01"] {
        let said = reason(&world.verify(&secret, None, asked).await);
        assert_eq!(said, Some(Reason::WrongService), "{asked}");
    }
    world.authority.flush_usage().await.unwrap();
    let filter = EventFilter { kind: Some("verify.refused".into()), ..EventFilter::default() };
    let events = world.store.event_list(&world.realm, filter, PageRequest::first(10)).await;
    let told: Vec<_> = events.unwrap().items.into_iter().map(|event| event.detail).collect();
    assert!(told.contains(&Some(serde_json::json!({ "no_such_service": "gti" }))), "{told:?}");
    assert!(!format!("{told:?}").contains("abcd-efgh"), "{told:?}");
}

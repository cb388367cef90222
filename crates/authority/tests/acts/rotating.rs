//! Rotation: overlap, conditions, replays, and the alarm of a retired secret.

use std::sync::Arc;

use counterfoil_authority::authority::{Answered, Replay};
use counterfoil_authority::kind::Kind;
use counterfoil_authority::refusal::Refusal;
use counterfoil_authority::store::{EventFilter, PageRequest};
use counterfoil_authority::verdict::Reason;

use crate::world::{World, fresh, reason, wish};

const PAT: Kind = Kind::PersonalAccessToken;

fn replay(key: &str) -> Replay {
    Replay {
        key: key.into(),
        fingerprint: [1; 32],
        render: Arc::new(|token, secret| format!("{} {}", token.id, secret.reveal()).into_bytes()),
    }
}

#[tokio::test]
async fn both_secrets_work_inside_the_overlap_and_only_the_new_one_after() {
    let world = World::new().await;
    let (token, old) = world.issue(wish(PAT, "alice", &["git"])).await;
    let rotated =
        world.authority.rotate(&world.admin, &world.realm, token.id, Some(60), None, None);
    let (after, new) = fresh(rotated.await.unwrap());
    assert_eq!(after.validity, token.validity);
    for secret in [&old, &new] {
        assert_eq!(reason(&world.verify(secret, None, "git").await), None);
    }
    world.clock.advance_seconds(60);
    assert_eq!(reason(&world.verify(&new, None, "git").await), None);
    assert_eq!(reason(&world.verify(&old, None, "git").await), Some(Reason::Expired));
    world.authority.flush_usage().await.unwrap();
    let filter =
        EventFilter { kind: Some("token.retired-secret-used".into()), ..EventFilter::default() };
    let events =
        world.store.event_list(&world.realm, filter, PageRequest::first(10)).await.unwrap();
    assert_eq!(events.items.len(), 1);
}

#[tokio::test]
async fn with_if_match_one_of_forty_wins() {
    let world = Arc::new(World::new().await);
    let (token, _) = world.issue(wish(PAT, "alice", &["git"])).await;
    let tasks: Vec<_> = (0..40)
        .map(|_| {
            let world = Arc::clone(&world);
            let version = Some(token.version);
            tokio::spawn(async move {
                let act = world.authority.rotate(
                    &world.admin,
                    &world.realm,
                    token.id,
                    None,
                    version,
                    None,
                );
                act.await
            })
        })
        .collect();
    let mut done = 0;
    for task in tasks {
        match task.await.unwrap() {
            Ok(_) => done += 1,
            Err(refusal) => assert!(matches!(refusal, Refusal::VersionMismatch), "{refusal:?}"),
        }
    }
    assert_eq!(done, 1);
}

#[tokio::test]
async fn without_a_condition_all_forty_work_for_the_overlap() {
    let world = Arc::new(World::new().await);
    let (token, _) = world.issue(wish(PAT, "alice", &["git"])).await;
    let mut secrets = Vec::new();
    for _ in 0..40 {
        let act = world.authority.rotate(&world.admin, &world.realm, token.id, None, None, None);
        secrets.push(fresh(act.await.unwrap()).1);
    }
    for secret in &secrets {
        assert_eq!(reason(&world.verify(secret, None, "git").await), None);
    }
    world.clock.advance_seconds(86_400);
    let (last, earlier) = secrets.split_last().unwrap();
    assert_eq!(reason(&world.verify(last, None, "git").await), None);
    for secret in earlier {
        assert_eq!(reason(&world.verify(secret, None, "git").await), Some(Reason::Expired));
    }
}

#[tokio::test]
async fn one_idempotency_key_means_one_new_secret_and_the_same_answer() {
    let world = World::new().await;
    let (token, _) = world.issue(wish(PAT, "alice", &["git"])).await;
    let rotate = async |key: &str| {
        let key = Some(replay(key));
        world.authority.rotate(&world.admin, &world.realm, token.id, None, None, key).await
    };
    let (_, secret) = fresh(rotate("k1").await.unwrap());
    let expected = format!("{} {secret}", token.id).into_bytes();
    for _ in 0..3 {
        match rotate("k1").await.unwrap() {
            Answered::Replayed(answer) => assert_eq!(answer, expected),
            Answered::Fresh { .. } => panic!("rotated again"),
        }
    }
    assert_eq!(world.stored(&token).await.version, token.version + 1);
    let other = Replay { fingerprint: [2; 32], ..replay("k1") };
    let refused =
        world.authority.rotate(&world.admin, &world.realm, token.id, None, None, Some(other)).await;
    assert!(matches!(refused, Err(Refusal::KeyReused)));
}

#[tokio::test]
async fn holders_rotate_personal_access_tokens_but_not_service_tokens() {
    let world = World::new().await;
    let (_, pat) = world.issue(wish(PAT, "alice", &["git"])).await;
    let holder = world.authority.authenticate(&pat, crate::world::context()).await.unwrap();
    assert!(world.authority.self_rotate(&holder, None, None, None).await.is_ok());
    let (_, password) = world.issue(wish(Kind::ServiceToken, "alice", &["mail"])).await;
    let holder = world.authority.authenticate(&password, crate::world::context()).await.unwrap();
    let refused = world.authority.self_rotate(&holder, None, None, None).await;
    assert!(matches!(refused, Err(Refusal::Policy(_))));
    assert!(world.authority.self_revoke(&holder).await.is_ok());
    assert!(reason(&world.verify(&password, None, "mail").await).is_some());
}

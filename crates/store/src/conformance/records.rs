//! Promises about the one read that verify makes.

use counterfoil_authority::lock::Locks;
use counterfoil_authority::names::{ServiceLabel, Username};
use counterfoil_authority::secret::TokenId;
use counterfoil_authority::secret_hash::SecretHash;
use counterfoil_authority::store::{Record, Updated};
use counterfoil_authority::subject::{Client, Owner, OwnerFacts, User, UserFacts, UserStatus};
use counterfoil_authority::token::Slot;

use super::World;
use super::issue::whole_issue;

/// Every fact of the token, and every secret with its hash, current first.
pub(super) async fn a_record_tells_what_verify_needs(world: World) {
    let mut issue = whole_issue(&world).await;
    issue.token.validity =
        counterfoil_authority::validity::Validity::new(World::at(0), Some(World::at(90))).unwrap();
    let (secret, sent) = (issue.secret.clone(), issue.token.clone());
    let token = world.issued(issue).await;
    let found = world.store.token_record(token.id).await.unwrap().unwrap();
    let expected = Record {
        id: sent.id,
        realm: sent.realm,
        kind: sent.kind,
        owner: sent.owner,
        owner_facts: found.owner_facts.clone(),
        services: sent.services,
        scopes: sent.scopes,
        permissions: sent.permissions,
        networks: sent.networks,
        doors: sent.doors,
        enabled: sent.enabled,
        locked: sent.locked,
        pending: sent.pending,
        revoked: false,
        validity: sent.validity,
        created_at: sent.created_at,
        max_usages: sent.max_usages,
        parent: sent.parent,
        repository: sent.repository,
        // There is no such token, so nothing vouches for this one.
        parent_revoked: true,
        secrets: vec![secret.clone()],
    };
    assert_eq!(found, expected);
    let mut rotate = world.rotate(&token);
    rotate.secret = world.slow_secret();
    let new = rotate.secret.clone();
    world.store.token_rotate(rotate).await.unwrap();
    let found = world.store.token_record(token.id).await.unwrap().unwrap();
    assert_eq!(found.secrets.len(), 2);
    assert_eq!(found.secrets[0], new);
    assert_eq!(found.secrets[1].facts.slot, Slot::Previous);
    assert_eq!(found.secrets[1].hash, secret.hash);
    world.revoke(token.id).await;
    assert!(world.store.token_record(token.id).await.unwrap().unwrap().revoked);
}

/// As they stand now, not as they stood at issue.
pub(super) async fn a_record_tells_how_its_owner_stands(world: World) {
    let user = User {
        display_name: Some("Alice".into()),
        emails: vec!["first@example".into(), "second@example".into()],
        unit: Some(world.unit("research").await),
        ..world.user_named("alice")
    };
    world.store.user_insert(user.clone(), world.event("user.created")).await.unwrap();
    let token = world.token_of(&user).await;
    let facts = || async { world.store.token_record(token.id).await.unwrap().unwrap().owner_facts };
    let expected = UserFacts {
        username: user.username.clone(),
        display_name: user.display_name.clone(),
        email: Some("first@example".into()),
        status: UserStatus::Active,
        unit: user.unit.clone(),
        groups: Vec::new(),
        locks: Locks::default(),
    };
    assert_eq!(facts().await, OwnerFacts::User(expected.clone()));
    let locks = Locks::from_words("* git").unwrap();
    let status = UserStatus::Suspended;
    let edited = User { status, locks: locks.clone(), emails: Vec::new(), ..user };
    world.store.user_update(edited, world.event("user.updated")).await.unwrap();
    let expected = UserFacts { status, locks, email: None, ..expected };
    assert_eq!(facts().await, OwnerFacts::User(expected));
}

/// With its whole record, as it stands now.
pub(super) async fn a_record_tells_of_a_client(world: World) {
    let (client, key) = world.client("gate").await;
    let edited = Client { enabled: false, ..client };
    let event = world.event("client.updated");
    let updated = world.store.client_update(edited, event).await.unwrap();
    let Updated::Done(client) = updated else { panic!("{updated:?}") };
    let record = world.store.token_record(key.id).await.unwrap().unwrap();
    assert_eq!(record.owner, Owner::Client(client.name.clone()));
    assert_eq!(record.owner_facts, OwnerFacts::Client(client.into()));
}

/// And the record is the same as by its id.
pub(super) async fn a_token_is_found_by_its_hash_only_where_it_is_said_so(world: World) {
    let alice = world.user("alice").await;
    let mut issue = world.issue_to(&alice);
    issue.secret.found_by_hash = true;
    let SecretHash::Keyed { mac, .. } = issue.secret.hash else { panic!("a keyed hash") };
    let token = world.issued(issue).await;
    let other = world.issue_to(&alice);
    let SecretHash::Keyed { mac: hidden, .. } = other.secret.hash else { panic!("keyed") };
    world.issued(other).await;
    let by_id = world.store.token_record(token.id).await.unwrap();
    assert!(by_id.is_some());
    assert_eq!(world.store.token_record_by_hash(mac).await.unwrap(), by_id);
    assert_eq!(world.store.token_record_by_hash(hidden).await.unwrap(), None);
    assert_eq!(world.store.token_record_by_hash(world.mac()).await.unwrap(), None);
    // A former secret is still found: its use is answered, or raises an alarm.
    world.store.token_rotate(world.rotate(&token)).await.unwrap();
    let record = world.store.token_record_by_hash(mac).await.unwrap().unwrap();
    assert_eq!((record.id, record.secrets.len()), (token.id, 2));
}

/// Not those of others, not keyed ones, not revoked ones.
pub(super) async fn slow_records_are_those_of_the_person_and_the_service(world: World) {
    let (alice, bob) = (world.user("alice").await, world.user("bob").await);
    let git = world.service("git").await;
    let slow = |user: &User, service: &str| {
        let owner = Owner::User(user.username.clone());
        let mut issue = world.issue_for(owner, &[service]);
        issue.secret = world.slow_secret();
        issue
    };
    let mut wanted = Vec::new();
    for _ in 0..2 {
        wanted.push(world.issued(slow(&alice, "git")).await.id);
    }
    world.issued(slow(&alice, "counterfoil")).await;
    world.issued(slow(&bob, "git")).await;
    world.issued(world.issue_for(Owner::User(alice.username.clone()), &["git"])).await;
    let revoked = world.issued(slow(&alice, "git")).await;
    world.revoke(revoked.id).await;
    let records = world.store.token_records_slow(&world.realm, &alice.username, &git.label);
    let records = records.await.unwrap();
    assert!(records.iter().all(|record| record.secrets.len() == 1));
    let mut ids: Vec<TokenId> = records.iter().map(|record| record.id).collect();
    ids.sort();
    wanted.sort();
    assert_eq!(ids, wanted);
}

/// Which is an answer, not an error.
pub(super) async fn an_unknown_token_has_no_record(world: World) {
    let unknown = TokenId::parse("999999999999").unwrap();
    assert_eq!(world.store.token_record(unknown).await.unwrap(), None);
    let nobody = Username::parse("nobody").unwrap();
    let label = ServiceLabel::parse("counterfoil").unwrap();
    let slow = world.store.token_records_slow(&world.realm, &nobody, &label).await.unwrap();
    assert_eq!(slow, []);
}

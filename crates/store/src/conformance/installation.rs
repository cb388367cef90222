//! Promises about the installation, its keys and the purge.

use std::sync::Arc;

use counterfoil_authority::keys::KeyPurpose;
use counterfoil_authority::names::RealmName;
use counterfoil_authority::store::{
    Initialised, Installation, Issued, KeyRecord, KeyUse, NewInstallation, PageRequest, Store,
};
use counterfoil_authority::subject::Owner;
use counterfoil_authority::token::{RETIRED_SECRET_RETENTION_SECONDS, Slot};

use super::World;
use super::changes::since;
use super::world::race;

fn new_installation(world: &World) -> NewInstallation {
    NewInstallation {
        installation: Installation { id: "cf-1".into(), created_at: World::at(0) },
        keys: vec![key(KeyPurpose::Seal, 1, "s1"), key(KeyPurpose::Pepper, 1, "p1")],
        realm: world.realm_record(),
        service: world.service_named("counterfoil"),
        admin: world.new_client(world.client_named("admin")),
        event: world.event("installation.initialised"),
    }
}

fn key(purpose: KeyPurpose, id: u32, fingerprint: &str) -> KeyRecord {
    KeyRecord { purpose, id, fingerprint: fingerprint.into(), created_at: World::at(0) }
}

/// A store is empty, then it is initialised once, with everything that belongs to it.
pub(super) async fn of_forty_initialisations_one_wins(store: &Arc<dyn Store>) {
    assert_eq!(store.installation().await.unwrap(), None);
    let start = store.changes_end().await.unwrap();
    assert_eq!(store.changes_since(&start, 10).await.unwrap().changes, []);
    assert!(store.realm_list(PageRequest::first(1)).await.unwrap().items.is_empty());

    let world = World::within(store, RealmName::parse("main").unwrap(), 0);
    let said = race(40, |_| {
        let world = world.clone();
        async move { world.store.initialise(new_installation(&world)).await.unwrap() }
    })
    .await;
    assert_eq!(said.iter().filter(|said| **said == Initialised::Done).count(), 1);

    assert_eq!(store.installation().await.unwrap().unwrap().id, "cf-1");
    assert_eq!(store.key_list().await.unwrap().len(), 2);
    assert!(store.realm_find(&world.realm).await.unwrap().is_some());
    let admin = world.client_named("admin");
    assert_eq!(store.client_find(&world.realm, &admin.name).await.unwrap(), Some(admin));
    let builtin = world.service_named("counterfoil");
    assert!(store.service_find(&world.realm, &builtin.label).await.unwrap().is_some());
    for kind in ["installation.initialised", "client.created", "token.issued"] {
        assert_eq!(world.count_events(kind).await, 1, "{kind}");
    }
}

/// A ping succeeds.
pub(super) async fn a_store_that_answers_a_ping_can_be_written_to(world: World) {
    world.store.ping().await.unwrap();
    world.store.ping().await.unwrap();
}

/// A second initialisation is told so and leaves everything as it was.
pub(super) async fn initialising_again_changes_nothing(world: World) {
    let before = world.store.installation().await.unwrap();
    let place = world.store.changes_end().await.unwrap();
    let mut new = new_installation(&world);
    new.installation.id = "cf-2".into();
    assert_eq!(world.store.initialise(new).await.unwrap(), Initialised::Already);
    assert_eq!(world.store.installation().await.unwrap(), before);
    assert_eq!(since(&world, &place).await, []);
}

/// Peppers before seals, each by number; adding one again records nothing.
pub(super) async fn keys_are_listed_by_purpose_and_number(world: World) {
    for (id, kept) in [(3, 1), (2, 2), (3, 2)] {
        let added = key(KeyPurpose::Pepper, id, &format!("p{id}"));
        world.store.key_add(added, world.event("key.added")).await.unwrap();
        assert_eq!(world.count_events("key.added").await, kept);
    }
    let keys = world.store.key_list().await.unwrap();
    let names: Vec<_> = keys.iter().map(|key| (key.purpose, key.id)).collect();
    let (pepper, seal) = (KeyPurpose::Pepper, KeyPurpose::Seal);
    assert_eq!(names, [(pepper, 1), (pepper, 2), (pepper, 3), (seal, 1)]);
    assert_eq!(keys[2].fingerprint, "p3");
}

/// Another key under a number that is taken is not stored, and that is no success.
pub(super) async fn a_number_belongs_to_one_key(world: World) {
    let other = key(KeyPurpose::Pepper, 1, "another");
    assert!(world.store.key_add(other, world.event("key.added")).await.is_err());
    assert_eq!(world.store.key_list().await.unwrap()[0].fingerprint, "p1");
    assert_eq!(world.count_events("key.added").await, 0);
}

/// Revoked tokens need no pepper any more.
pub(super) async fn key_use_counts_secrets_of_tokens_that_are_not_revoked(world: World) {
    let rows = || async {
        let uses: Vec<KeyUse> = world.store.key_use().await.unwrap();
        let pepper = uses.iter().find(|u| (u.purpose, u.id) == (KeyPurpose::Pepper, 1)).unwrap();
        assert!(uses.iter().any(|used| used.purpose == KeyPurpose::Seal));
        pepper.rows
    };
    let before = rows().await;
    let user = world.user("alice").await;
    let token = world.token_of(&user).await;
    world.token_of(&user).await;
    assert_eq!(rows().await, before + 2);
    world.revoke(token.id).await;
    assert_eq!(rows().await, before + 1);
}

/// A key whose answer was purged may be used for something else.
pub(super) async fn a_purge_forgets_answers_whose_time_is_over(world: World) {
    let user = world.user("alice").await;
    let mut issue = world.issue_to(&user);
    issue.idempotency = Some(World::idempotency("a-purge", "key", 1));
    world.issued(issue.clone()).await;
    while world.store.purge(World::at(3_599), None).await.unwrap().rows > 0 {}
    let again = world.store.token_issue(issue.clone()).await.unwrap();
    assert!(matches!(again, Issued::Replayed(_)));
    let mut removed = 0;
    loop {
        let rows = world.store.purge(World::at(3_600), None).await.unwrap().rows;
        removed += rows;
        if rows == 0 {
            break;
        }
    }
    assert!(removed >= 1, "{removed}");
    assert_eq!(world.store.token_issue(issue).await.unwrap(), Issued::Collision);
}

/// Former secrets go after their retention; the current one stays, however old.
pub(super) async fn a_purge_forgets_secrets_that_were_retired_long_ago(world: World) {
    let alice = world.user("alice").await;
    let owner = Owner::User(alice.username.clone());
    let token = world.issued(world.issue_for(owner, &["counterfoil"])).await;
    let rotate = world.rotate(&token);
    let retired = rotate.previous_until;
    world.store.token_rotate(rotate).await.unwrap();
    let slots = || async {
        let facts = world.token(token.id).await.secrets;
        facts.iter().map(|facts| facts.slot).collect::<Vec<_>>()
    };
    let end = retired.plus_seconds(RETIRED_SECRET_RETENTION_SECONDS);
    while world.store.purge(end.plus_seconds(-1), None).await.unwrap().rows > 0 {}
    assert_eq!(slots().await, [Slot::Current, Slot::Previous]);
    while world.store.purge(end, None).await.unwrap().rows > 0 {}
    assert_eq!(slots().await, [Slot::Current]);
}

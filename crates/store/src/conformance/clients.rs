//! Promises about clients.

use counterfoil_authority::access::{AccessFormat, AccessSettings};
use counterfoil_authority::names::ClientName;
use counterfoil_authority::scope::{ApiScope, ApiScopes};
use counterfoil_authority::store::{ClientCreated, NewClient, PageRequest, Updated};
use counterfoil_authority::subject::{Client, GrantSubject, Limits, OwnerFacts, Role};

use super::World;
use super::world::race;

async fn whole_client(world: &World) -> Client {
    let service = world.service("git").await;
    Client {
        description: Some("the proxy".into()),
        roles: vec![Role::Verifier, Role::UnitAdmin],
        scopes: Some(ApiScopes::of(&[ApiScope::Verify, ApiScope::TokensRead])),
        services: Some(vec![service.label]),
        unit: Some(world.unit("research").await),
        limits: Limits { count_max: Some(3), ..Limits::default() },
        access: AccessSettings {
            access_token_format: Some(AccessFormat::Opaque),
            ..AccessSettings::default()
        },
        enabled: false,
        ..world.client_named("gate")
    }
}

async fn insert(world: &World, new: NewClient) -> ClientCreated {
    world.store.client_insert(new, world.event("client.created")).await.unwrap()
}

/// Both or neither; found with every field.
pub(super) async fn a_client_arrives_with_its_key(world: World) {
    let client = whole_client(&world).await;
    let new = world.new_client(client.clone());
    let ClientCreated::Done(token) = insert(&world, new.clone()).await else { panic!("refused") };
    assert_eq!((token.id, token.secrets.len()), (new.key.token.id, 1));
    let found = world.store.client_find(&world.realm, &client.name).await.unwrap();
    assert_eq!(found.as_ref(), Some(&client));
    let record = world.store.token_record(token.id).await.unwrap().unwrap();
    assert_eq!(record.owner_facts, OwnerFacts::Client(client.into()));
    assert_eq!(world.count_events("client.created").await, 1);
    assert_eq!(world.count_events("token.issued").await, 1);
}

/// The second is refused and gets no key either.
pub(super) async fn a_client_name_is_given_once(world: World) {
    let (client, _) = world.client("gate").await;
    let new = world.new_client(Client { enabled: false, ..client.clone() });
    assert_eq!(insert(&world, new.clone()).await, ClientCreated::Exists);
    assert_eq!(world.store.token_record(new.key.token.id).await.unwrap(), None);
    let found = world.store.client_find(&world.realm, &client.name).await.unwrap();
    assert_eq!(found, Some(client));
}

/// Realm, unit and services must exist, when it is added and when it is replaced.
pub(super) async fn a_client_must_name_what_exists(world: World) {
    let (gate, _) = world.client("gate").await;
    let none = counterfoil_authority::names::ServiceLabel::parse("none").unwrap();
    for (change, what) in [
        (Client { unit: Some("none".into()), ..gate.clone() }, "unit"),
        (Client { services: Some(vec![none]), ..gate.clone() }, "service"),
    ] {
        let new = world.new_client(Client { name: client_name("other"), ..change.clone() });
        assert_eq!(insert(&world, new).await, ClientCreated::Missing(what));
        let event = world.event("client.updated");
        let updated = world.store.client_update(change, event).await.unwrap();
        assert_eq!(updated, Updated::Missing(what));
    }
    let nowhere = counterfoil_authority::names::RealmName::parse("nowhere").unwrap();
    let new = world.new_client(Client { realm: nowhere, ..gate });
    assert_eq!(insert(&world, new).await, ClientCreated::Missing("realm"));
}

fn client_name(name: &str) -> ClientName {
    ClientName::parse(name).unwrap()
}

/// A key whose id is taken takes its client along.
pub(super) async fn a_client_whose_key_cannot_be_stored_does_not_arrive(world: World) {
    let (_, taken) = world.client("gate").await;
    let mut new = world.new_client(world.client_named("door"));
    new.key.token.id = taken.id;
    let event = world.event("client.created");
    assert!(world.store.client_insert(new, event).await.is_err());
    let door = client_name("door");
    assert_eq!(world.store.client_find(&world.realm, &door).await.unwrap(), None);
    assert_eq!(world.count_events("client.created").await, 1);
}

/// Forty times at once, too: one client, one key, one answer.
pub(super) async fn a_repeated_request_for_a_client_is_answered_as_before(world: World) {
    let said = race(40, |_| {
        let world = world.clone();
        async move {
            let mut new = world.new_client(world.client_named("gate"));
            new.key.idempotency = Some(World::idempotency("a-client", "key", 1));
            insert(&world, new).await
        }
    })
    .await;
    let done = said.iter().filter_map(|said| match said {
        ClientCreated::Done(token) => Some(format!("answer for {}", token.id).into_bytes()),
        _ => None,
    });
    let done: Vec<_> = done.collect();
    assert_eq!(done.len(), 1);
    let replayed = ClientCreated::Replayed(done[0].clone());
    assert_eq!(said.iter().filter(|said| **said == replayed).count(), 39);
    let mut other = world.new_client(world.client_named("door"));
    other.key.idempotency = Some(World::idempotency("a-client", "key", 2));
    assert_eq!(insert(&world, other).await, ClientCreated::KeyReused);
}

/// The right version replaces and is raised; any other leaves the client as it is.
pub(super) async fn a_client_is_replaced_on_condition_of_its_version(world: World) {
    let update = |client: Client| world.store.client_update(client, world.event("client.updated"));
    let (gate, _) = world.client("gate").await;
    let edited = Client { name: gate.name.clone(), ..whole_client(&world).await };
    let expected = Client { version: 2, ..edited.clone() };
    assert_eq!(update(edited.clone()).await.unwrap(), Updated::Done(expected.clone()));
    assert_eq!(update(edited.clone()).await.unwrap(), Updated::VersionMismatch);
    let found = world.store.client_find(&world.realm, &gate.name).await.unwrap();
    assert_eq!(found, Some(expected));
    let unknown = Client { name: client_name("none"), ..edited };
    assert_eq!(update(unknown).await.unwrap(), Updated::NotFound);
    assert_eq!(world.count_events("client.updated").await, 1);
}

/// Each once, in order.
pub(super) async fn clients_are_listed_by_name_in_pages(world: World) {
    for name in ["c", "a", "e", "b", "d"] {
        world.client(name).await;
    }
    let mut names = Vec::new();
    let mut page = PageRequest::first(2);
    loop {
        let some = world.store.client_list(&world.realm, page.clone()).await.unwrap();
        names.extend(some.items.into_iter().map(|client| client.name.to_string()));
        page.after = some.next;
        if page.after.is_none() {
            break;
        }
    }
    assert_eq!(names, ["a", "b", "c", "d", "e"]);
}

/// A later namesake has neither.
pub(super) async fn removing_a_client_ends_its_keys_and_grants(world: World) {
    let (gate, key) = world.client("gate").await;
    world.grant(GrantSubject::Client(gate.name.clone())).await;
    let delete = || {
        let event = world.event("client.deleted");
        world.store.client_delete(&world.realm, &gate.name, World::at(4), event)
    };
    assert!(delete().await.unwrap());
    assert!(!delete().await.unwrap());
    let record = world.store.token_record(key.id).await.unwrap().unwrap();
    assert_eq!((record.revoked, record.owner_facts), (true, OwnerFacts::Gone));
    let reason = world.token(key.id).await.revocation.unwrap().reason;
    assert_eq!(reason.as_deref(), Some("owner deleted"));
    world.client("gate").await;
    let grants = world.store.grants_of_client(&world.realm, &gate.name).await.unwrap();
    assert_eq!(grants, []);
    assert!(world.token(key.id).await.revocation.is_some());
}

//! Promises about realms and services.

use counterfoil_authority::names::{GroupName, RealmName, ServiceLabel};
use counterfoil_authority::policy::{SecretForm, TokenPolicy};
use counterfoil_authority::service::{
    ForwardAuth, ForwardAuthRule, Origin, Realm, Service, ServiceStatus, Visibility,
};
use counterfoil_authority::store::{Inserted, PageRequest, ServiceDeleted, Updated};
use counterfoil_authority::subject::{GrantSubject, Owner};

use super::World;

/// Found and listed with every field.
pub(super) async fn a_realm_comes_back_as_it_was_stored(world: World) {
    let found = world.store.realm_find(&world.realm).await.unwrap();
    assert_eq!(found, Some(world.realm_record()));
    let mut names = Vec::new();
    let mut page = PageRequest::first(2);
    loop {
        let some = world.store.realm_list(page.clone()).await.unwrap();
        names.extend(some.items.iter().map(|realm| realm.name.clone()));
        page.after = some.next;
        if page.after.is_none() {
            break;
        }
    }
    assert!(names.contains(&world.realm) && names.is_sorted(), "{names:?}");
    let unknown = RealmName::parse("nowhere").unwrap();
    assert_eq!(world.store.realm_find(&unknown).await.unwrap(), None);
}

/// The right version replaces and is raised; any other leaves the realm as it is.
pub(super) async fn a_realm_is_replaced_on_condition_of_its_version(world: World) {
    let update = |realm: Realm| world.store.realm_update(realm, world.event("realm.updated"));
    let edited = Realm { enabled: false, zone: "UTC".into(), ..world.realm_record() };
    let expected = Realm { version: 2, ..edited.clone() };
    assert_eq!(update(edited.clone()).await.unwrap(), Updated::Done(expected.clone()));
    assert_eq!(update(edited.clone()).await.unwrap(), Updated::VersionMismatch);
    assert_eq!(world.store.realm_find(&world.realm).await.unwrap(), Some(expected));
    let unknown = Realm { name: RealmName::parse("nowhere").unwrap(), ..edited };
    assert_eq!(update(unknown).await.unwrap(), Updated::NotFound);
    assert_eq!(world.count_events("realm.updated").await, 1);
}

/// The second realm of a name is refused.
pub(super) async fn a_realm_name_is_given_once(world: World) {
    let other = Realm { zone: "UTC".into(), ..world.realm_record() };
    let builtin = world.service_named("counterfoil");
    let event = world.event("realm.created");
    let inserted = world.store.realm_insert(other, builtin, event).await.unwrap();
    assert_eq!(inserted, Inserted::Exists);
    let found = world.store.realm_find(&world.realm).await.unwrap();
    assert_eq!(found, Some(world.realm_record()));
}

async fn whole_service(world: &World) -> Service {
    let group = world.group("devs", &[]).await;
    let unit = world.unit("research").await;
    Service {
        description: Some("a \"forge\"".into()),
        url: Some("https://git.example".into()),
        contact: Some("ops@example".into()),
        logo_url: Some("https://git.example/logo".into()),
        visibility: Visibility::Group,
        group: Some(group),
        entitlement_uri: Some("urn:x:git".into()),
        status: ServiceStatus::Suspended,
        unit: Some(unit),
        token_policy: TokenPolicy {
            form: Some(SecretForm::Prefixed),
            networks: Some(vec!["10.0.0.0/8".parse().unwrap()]),
            ..TokenPolicy::default()
        },
        forward_auth: ForwardAuth {
            required_scopes: vec!["read".into()],
            origin: Origin::XOriginal,
            rules: vec![ForwardAuthRule {
                methods: vec!["POST".into()],
                path: "/x*".into(),
                scopes: vec!["write".into()],
            }],
        },
        locked: true,
        ..world.service_named("git")
    }
}

/// Found and listed with every field.
pub(super) async fn a_service_comes_back_as_it_was_stored(world: World) {
    let service = whole_service(&world).await;
    let event = world.event("service.created");
    let inserted = world.store.service_insert(service.clone(), event.clone()).await.unwrap();
    assert_eq!(inserted, Inserted::Done);
    let again = world.store.service_insert(service.clone(), event).await.unwrap();
    assert_eq!(again, Inserted::Exists);
    let found = world.store.service_find(&world.realm, &service.label).await.unwrap();
    assert_eq!(found.as_ref(), Some(&service));
    let listed = world.store.service_list(&world.realm, PageRequest::first(9)).await.unwrap();
    assert!(listed.items.contains(&service));
    assert_eq!(world.count_events("service.created").await, 1);
}

/// Realm, group and unit must exist, when it is added and when it is replaced.
pub(super) async fn a_service_must_name_what_exists(world: World) {
    let group = Some(GroupName::parse("nobody").unwrap());
    let unit = Some("no-unit".to_owned());
    let git = world.service_named("git");
    let bad = [
        (Service { group: group.clone(), ..git.clone() }, "group"),
        (Service { unit: unit.clone(), ..git.clone() }, "unit"),
        (Service { realm: RealmName::parse("nowhere").unwrap(), ..git.clone() }, "realm"),
    ];
    for (service, what) in bad {
        let event = world.event("service.created");
        let inserted = world.store.service_insert(service, event).await.unwrap();
        assert_eq!(inserted, Inserted::Missing(what));
    }
    let git = world.service("git").await;
    for (service, what) in
        [(Service { group, ..git.clone() }, "group"), (Service { unit, ..git }, "unit")]
    {
        let event = world.event("service.updated");
        let updated = world.store.service_update(service, event).await.unwrap();
        assert_eq!(updated, Updated::Missing(what));
    }
}

/// The right version replaces and is raised; any other leaves the service as it is.
pub(super) async fn a_service_is_replaced_on_condition_of_its_version(world: World) {
    let update =
        |service: Service| world.store.service_update(service, world.event("service.updated"));
    let git = world.service("git").await;
    let edited =
        Service { name: "Git".into(), status: ServiceStatus::Suspended, locked: true, ..git };
    let expected = Service { version: 2, ..edited.clone() };
    assert_eq!(update(edited.clone()).await.unwrap(), Updated::Done(expected.clone()));
    assert_eq!(update(edited.clone()).await.unwrap(), Updated::VersionMismatch);
    let found = world.store.service_find(&world.realm, &edited.label).await.unwrap();
    assert_eq!(found, Some(expected));
    let unknown = Service { label: ServiceLabel::parse("svn").unwrap(), ..edited };
    assert_eq!(update(unknown).await.unwrap(), Updated::NotFound);
}

/// Each once, in order, and none of another realm.
pub(super) async fn services_are_listed_by_label_in_pages(world: World) {
    for label in ["wiki", "git", "mail", "chat"] {
        world.service(label).await;
    }
    let mut labels = Vec::new();
    let mut page = PageRequest::first(2);
    loop {
        let some = world.store.service_list(&world.realm, page.clone()).await.unwrap();
        assert!(some.items.len() <= 2);
        labels.extend(some.items.into_iter().map(|service| service.label.to_string()));
        page.after = some.next;
        if page.after.is_none() {
            break;
        }
    }
    assert_eq!(labels, ["chat", "counterfoil", "git", "mail", "wiki"]);
}

/// The number of tokens in the way is told; revoked ones are not in the way.
pub(super) async fn a_service_with_live_tokens_stays(world: World) {
    let git = world.service("git").await;
    let alice = world.user("alice").await;
    let owner = Owner::User(alice.username);
    let token = world.issued(world.issue_for(owner, &["git", "counterfoil"])).await;
    let delete = || {
        let event = world.event("service.deleted");
        world.store.service_delete(&world.realm, &git.label, event)
    };
    assert_eq!(delete().await.unwrap(), ServiceDeleted::InUse(1));
    assert!(world.store.service_find(&world.realm, &git.label).await.unwrap().is_some());
    world.revoke(token.id).await;
    assert_eq!(delete().await.unwrap(), ServiceDeleted::Done);
    assert_eq!(delete().await.unwrap(), ServiceDeleted::NotFound);
    assert_eq!(world.store.service_find(&world.realm, &git.label).await.unwrap(), None);
    assert_eq!(world.count_events("service.deleted").await, 1);
}

/// Neither the grants on it nor the clients that named it.
pub(super) async fn a_later_namesake_of_a_service_inherits_nothing(world: World) {
    let git = world.service("git").await;
    let wiki = world.service("wiki").await;
    let alice = world.user("alice").await;
    let mut grant = world.grant_of(GrantSubject::User(alice.username.clone()));
    grant.service = Some(git.label.clone());
    let event = world.event("grant.created");
    world.store.grant_insert(grant, event).await.unwrap();
    for (name, services) in [
        ("both", vec![git.label.clone(), wiki.label.clone()]),
        ("one", vec![git.label.clone()]),
        ("other", vec![wiki.label.clone()]),
    ] {
        let client = counterfoil_authority::subject::Client {
            services: Some(services),
            ..world.client_named(name)
        };
        let new = world.new_client(client);
        world.store.client_insert(new, world.event("client.created")).await.unwrap();
    }
    let event = world.event("service.deleted");
    let deleted = world.store.service_delete(&world.realm, &git.label, event).await.unwrap();
    assert_eq!(deleted, ServiceDeleted::Done);
    world.service("git").await;
    let grants = world.store.grants_of_user(&world.realm, &alice.username).await.unwrap();
    assert_eq!(grants, []);
    for (name, left, version) in
        [("both", vec![wiki.label.clone()], 2), ("one", vec![], 2), ("other", vec![wiki.label], 1)]
    {
        let name = world.client_named(name).name;
        let client = world.store.client_find(&world.realm, &name).await.unwrap().unwrap();
        assert_eq!((client.services, client.version), (Some(left), version), "{name}");
    }
}

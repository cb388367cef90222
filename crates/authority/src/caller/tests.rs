//! Reach: what each role may touch, and what it may not.

use super::*;
use crate::names::{ClientName, Username};

fn realm(name: &str) -> RealmName {
    RealmName::parse(name).unwrap()
}

fn client(roles: Vec<Role>) -> Client {
    Client {
        realm: realm("main"),
        name: ClientName::parse("gate").unwrap(),
        description: None,
        roles,
        scopes: None,
        services: Some(vec![ServiceLabel::parse("git").unwrap()]),
        unit: Some("u1".into()),
        limits: Limits::default(),
        access: crate::access::AccessSettings::default(),
        enabled: true,
        created_at: Timestamp::EPOCH,
        updated_at: Timestamp::EPOCH,
        version: 1,
    }
}

fn caller(subject: Owner, powers: Powers, token_scopes: Option<ApiScopes>) -> Caller {
    Caller {
        standing: Arc::new(Standing {
            realm: realm("main"),
            subject,
            unit: None,
            groups: Vec::new(),
            powers,
            actor: "client:gate".into(),
        }),
        token: TokenId::parse("0123456789AB").unwrap(),
        token_expires_at: None,
        former_secret: false,
        for_api: true,
        token_scopes,
        replay_key: ReplayKey::of(""),
        exercised: None,
        origin: Origin::system(Door::Api),
    }
}

fn client_caller(client: &Client) -> Caller {
    caller(Owner::Client(client.name.clone()), Powers::of_client(client, &[]), None)
}

#[test]
fn a_foreign_realm_answers_as_an_unknown_one() {
    let admin = client_caller(&client(vec![Role::RealmAdmin]));
    let there = admin.reach(&realm("other"), ApiScope::TokensRead);
    assert!(matches!(there, Err(Refusal::NotFound(Thing::Realm))));
    assert!(admin.reach(&realm("main"), ApiScope::TokensRead).unwrap().whole);
    let operator = client_caller(&client(vec![Role::Operator]));
    assert!(operator.reach(&realm("other"), ApiScope::TokensRead).unwrap().whole);
}

#[test]
fn a_verifier_reaches_its_services_only() {
    let gate = client_caller(&client(vec![Role::Verifier]));
    let reach = gate.reach(&realm("main"), ApiScope::Verify).unwrap();
    assert!(!reach.whole);
    assert_eq!(reach.services, [ServiceLabel::parse("git").unwrap()]);
    let tokens = gate.reach(&realm("main"), ApiScope::TokensRead);
    assert!(matches!(tokens, Err(Refusal::Forbidden(ApiScope::TokensRead))));
}

#[test]
fn a_unit_admin_reaches_the_unit_only() {
    let admin = client_caller(&client(vec![Role::UnitAdmin]));
    let reach = admin.reach(&realm("main"), ApiScope::UsersWrite).unwrap();
    let alice = Owner::User(Username::parse("alice").unwrap());
    assert!(reach.covers_user(&alice, Some(&"u1".to_owned())));
    assert!(!reach.covers_user(&alice, Some(&"u2".to_owned())));
    assert!(!reach.covers_user(&alice, None));
}

#[test]
fn a_persons_token_reaches_what_is_theirs_within_its_scopes() {
    let alice = Owner::User(Username::parse("alice").unwrap());
    let scopes = ApiScopes::of(&[ApiScope::TokensRead]);
    let person = caller(alice.clone(), Powers::default(), Some(scopes));
    assert_eq!(person.reach(&realm("main"), ApiScope::TokensRead).unwrap().own, Some(alice));
    let write = person.reach(&realm("main"), ApiScope::TokensWrite);
    assert!(matches!(write, Err(Refusal::Forbidden(ApiScope::TokensWrite))));
    let audit = person.reach(&realm("main"), ApiScope::AuditRead);
    assert!(matches!(audit, Err(Refusal::Forbidden(ApiScope::AuditRead))));
}

#[test]
fn a_clients_scope_list_cuts_its_roles_down() {
    let mut narrow = client(vec![Role::RealmAdmin]);
    narrow.scopes = Some(ApiScopes::of(&[ApiScope::TokensRead]));
    let caller = client_caller(&narrow);
    assert!(caller.reach(&realm("main"), ApiScope::TokensRead).is_ok());
    assert!(caller.reach(&realm("main"), ApiScope::TokensWrite).is_err());
    assert_eq!(caller.scopes_in(&realm("main")), ApiScopes::of(&[ApiScope::TokensRead]));
}

#[test]
fn a_token_that_is_not_for_the_api_reaches_nothing() {
    let mut admin = client_caller(&client(vec![Role::Operator]));
    admin.for_api = false;
    assert!(admin.reach(&realm("main"), ApiScope::TokensRead).is_err());
    assert_eq!(admin.scopes_in(&realm("main")), ApiScopes::NONE);
}

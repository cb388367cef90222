//! Nobody gives, takes over or removes more than they have. Each test is a way that once led up.

use counterfoil_authority::authority::{Act, TokenEdit};
use counterfoil_authority::caller::Caller;
use counterfoil_authority::clock::Timestamp;
use counterfoil_authority::event::Origin;
use counterfoil_authority::kind::Kind;
use counterfoil_authority::names::{ClientName, Username};
use counterfoil_authority::policy::TokenPolicy;
use counterfoil_authority::refusal::Refusal;
use counterfoil_authority::scope::{ApiScope, ApiScopes, Scope};
use counterfoil_authority::secret::ClearSecret;
use counterfoil_authority::service::Services;
use counterfoil_authority::store::{ClientCreated, NewClient};
use counterfoil_authority::subject::{Client, Grant, GrantSubject, Limits, Role, Unit};
use counterfoil_authority::verdict::{Door, Reason};

use crate::world::{World, context, fresh, label, reason, wish};

const PAT: Kind = Kind::PersonalAccessToken;

impl World {
    pub(crate) async fn client(
        &self,
        name: &str,
        roles: Vec<Role>,
        change: impl FnOnce(&mut Client),
    ) -> Caller {
        let name = ClientName::parse(name).unwrap();
        let now = self.authority.now();
        let origin = Origin::system(Door::Cli);
        let key = self.authority.new_client_key(&self.realm, &name, &origin, now, None);
        let (key, secret) = key.unwrap();
        let mut client = Client {
            realm: self.realm.clone(),
            name,
            description: None,
            roles,
            scopes: None,
            services: None,
            unit: None,
            limits: Limits::default(),
            access: counterfoil_authority::access::AccessSettings::default(),
            enabled: true,
            created_at: now,
            updated_at: now,
            version: 1,
        };
        change(&mut client);
        let event = self.authority.event("client.created", &self.realm, &origin, now).unwrap();
        let created = self.store.client_insert(NewClient { client, key }, event).await.unwrap();
        assert!(matches!(created, ClientCreated::Done(_)), "{created:?}");
        self.authority.authenticate(secret.reveal(), context()).await.unwrap()
    }

    pub(crate) async fn unit(&self, id: &str) {
        let now = self.authority.now();
        let unit = Unit {
            realm: self.realm.clone(),
            id: id.into(),
            name: id.into(),
            identifier: None,
            external_id: None,
            parent: None,
            created_at: now,
            updated_at: now,
            version: 1,
        };
        let origin = Origin::system(Door::Cli);
        let event = self.authority.event("unit.created", &self.realm, &origin, now).unwrap();
        self.store.unit_insert(unit, event).await.unwrap();
    }

    pub(crate) async fn grant(&self, user: &str, role: Role) {
        let now = self.authority.now();
        let grant = Grant {
            realm: self.realm.clone(),
            id: format!("grant-{user}-{}", role.name()),
            subject: GrantSubject::User(Username::parse(user).unwrap()),
            role,
            unit: None,
            service: None,
            limits: Limits::default(),
            created_at: now,
            created_by: "system".into(),
        };
        let origin = Origin::system(Door::Cli);
        let event = self.authority.event("grant.created", &self.realm, &origin, now).unwrap();
        self.store.grant_insert(grant, event).await.unwrap();
    }
}

fn api_token(user: &str, scopes: &[&str]) -> counterfoil_authority::authority::IssueRequest {
    let mut wanted = wish(PAT, user, &["counterfoil"]);
    wanted.scopes = scopes.iter().map(|scope| Scope::parse(scope).unwrap()).collect();
    wanted
}

fn refused(refusal: &Refusal) -> bool {
    matches!(refusal, Refusal::BeyondGrant(_) | Refusal::NotFound(_) | Refusal::Forbidden(_))
}

#[tokio::test]
async fn a_unit_administrator_issues_for_the_people_of_the_unit_only() {
    let world = World::new().await;
    world.grant("alice", Role::RealmAdmin).await;
    world.unit("u1").await;
    let admin = world.client("ua", vec![Role::UnitAdmin], |c| c.unit = Some("u1".into())).await;
    for mut wanted in [api_token("alice", &["tokens:write"]), wish(PAT, "bob", &["git"])] {
        wanted.unit = Some("u1".into());
        let refusal = world.refusal(&admin, wanted).await;
        assert!(refused(&refusal), "{refusal:?}");
    }
}

#[tokio::test]
async fn who_administers_one_service_moves_no_token_to_another() {
    let world = World::new().await;
    let git = Some(vec![label("git")]);
    let manager = world.client("sm", vec![Role::ServiceManager], |c| c.services = git).await;
    let issued = world.authority.issue(&manager, &world.realm, wish(PAT, "alice", &["git"]), None);
    let (token, _) = fresh(issued.await.unwrap());
    for services in [
        Services::Named(vec![label("counterfoil")]),
        Services::Named(vec![label("mail")]),
        Services::All,
    ] {
        let edit = TokenEdit { services: Some(services), ..TokenEdit::default() };
        let act = world.authority.edit_token(&manager, &world.realm, token.id, edit, None);
        let refusal = act.await.unwrap_err();
        assert!(refused(&refusal), "{refusal:?}");
    }
}

#[tokio::test]
async fn a_realm_administrator_neither_issues_for_nor_rotates_an_operators_token() {
    let world = World::new().await;
    world.grant("alice", Role::Operator).await;
    let admin = world.client("ra", vec![Role::RealmAdmin], |_| ()).await;
    let refusal = world.refusal(&admin, api_token("alice", &["policies:write"])).await;
    assert!(refused(&refusal), "{refusal:?}");
    let (token, _) = world.issue(api_token("alice", &["policies:write"])).await;
    let rotated = world.authority.rotate(&admin, &world.realm, token.id, None, None, None).await;
    assert!(refused(&rotated.unwrap_err()));
    let harmless = world.authority.issue(&admin, &world.realm, wish(PAT, "alice", &["git"]), None);
    assert!(harmless.await.is_ok());
}

#[tokio::test]
async fn a_client_with_few_scopes_takes_over_no_stronger_clients_key() {
    let world = World::new().await;
    let strong = world.client("ra", vec![Role::RealmAdmin], |_| ()).await;
    let scopes = ApiScopes::of(&[ApiScope::TokensWrite, ApiScope::ClientsWrite]);
    let weak = world.client("raw", vec![Role::RealmAdmin], |c| c.scopes = Some(scopes)).await;
    let act = world.authority.rotate(&weak, &world.realm, strong.token, None, None, None);
    assert!(refused(&act.await.unwrap_err()));
}

#[tokio::test]
async fn a_narrow_token_takes_over_no_broad_one_of_the_same_person_but_may_end_it() {
    let world = World::new().await;
    let (broad, _) = world.issue(api_token("alice", &["tokens:write", "users:read"])).await;
    let narrow = world.person("alice", &["tokens:write"]).await;
    let act = world.authority.rotate(&narrow, &world.realm, broad.id, None, None, None);
    assert!(refused(&act.await.unwrap_err()));
    let act = Act::Revoke { reason: None };
    assert!(world.authority.change(&narrow, &world.realm, broad.id, act, None).await.is_ok());
}

#[tokio::test]
async fn a_registration_token_speaks_for_nobody_and_opens_no_door() {
    let world = World::new().await;
    let refusal =
        world.refusal(&world.admin, wish(Kind::RegistrationToken, "alice", &["git"])).await;
    assert!(matches!(refusal, Refusal::Invalid { .. }), "{refusal:?}");
    let mut wanted = wish(Kind::RegistrationToken, "alice", &["git"]);
    wanted.user = None;
    let (_, secret) = world.issue(wanted).await;
    assert_eq!(reason(&world.verify(&secret, None, "git").await), Some(Reason::WrongDoor));
    assert!(world.authority.authenticate(&secret, context()).await.is_err());
}

#[tokio::test]
async fn owners_narrow_what_an_administrator_issued_and_never_widen_it() {
    let world = World::new().await;
    let mut wanted = wish(PAT, "alice", &["git"]);
    wanted.max_usages = Some(1);
    wanted.networks = vec!["10.0.0.0/8".parse().unwrap()];
    let (token, _) = world.issue(wanted).await;
    let alice = world.person("alice", &["tokens:write"]).await;
    let edit = async |edit: TokenEdit| {
        world.authority.edit_token(&alice, &world.realm, token.id, edit, None).await
    };
    for wider in [
        TokenEdit { max_usages: Some(None), ..TokenEdit::default() },
        TokenEdit { networks: Some(Vec::new()), ..TokenEdit::default() },
        TokenEdit { scopes: Some(vec![Scope::parse("admin").unwrap()]), ..TokenEdit::default() },
    ] {
        assert!(refused(&edit(wider).await.unwrap_err()));
    }
    let narrower = TokenEdit {
        name: Some(Some("old laptop".into())),
        networks: Some(vec!["10.1.0.0/16".parse().unwrap()]),
        ..TokenEdit::default()
    };
    assert!(edit(narrower).await.is_ok());
    let disable = world.authority.change(&world.admin, &world.realm, token.id, Act::Disable, None);
    disable.await.unwrap();
    let enable = world.authority.change(&alice, &world.realm, token.id, Act::Enable, None).await;
    assert!(refused(&enable.unwrap_err()));
}

#[tokio::test]
async fn a_grants_limits_hold_for_edits_too() {
    let world = World::new().await;
    let limits = Limits { lifetime_seconds_max: Some(60), ..Limits::default() };
    let admin = world.client("lim", vec![Role::RealmAdmin], |c| c.limits = limits).await;
    let issued = world.authority.issue(&admin, &world.realm, wish(PAT, "alice", &["git"]), None);
    let (token, _) = fresh(issued.await.unwrap());
    let expires = Some(counterfoil_authority::authority::Expiry::Never);
    let edit = TokenEdit { expires, ..TokenEdit::default() };
    let act = world.authority.edit_token(&admin, &world.realm, token.id, edit, None);
    assert!(refused(&act.await.unwrap_err()));
}

#[tokio::test]
async fn a_token_for_everything_is_not_good_where_a_service_chooses_its_issuers() {
    let world = World::new().await;
    let policy =
        TokenPolicy { issue_by: Some(vec!["administrators".into()]), ..TokenPolicy::default() };
    world.add_service("vault", policy).await;
    let mut wanted = wish(PAT, "alice", &["git"]);
    wanted.services = Some(Services::All);
    let (_, secret) = world.issue(wanted).await;
    assert_eq!(reason(&world.verify(&secret, None, "mail").await), None);
    assert_eq!(reason(&world.verify(&secret, None, "vault").await), Some(Reason::PolicyBlocked));
}

#[tokio::test]
async fn a_retired_secret_does_not_end_the_token_and_a_former_one_does_not_rotate_it() {
    let world = World::new().await;
    let (token, old) = world.issue(wish(PAT, "alice", &["git"])).await;
    let rotate = |overlap| {
        world.authority.rotate(&world.admin, &world.realm, token.id, Some(overlap), None, None)
    };
    let (_, newer) = fresh(rotate(60).await.unwrap());
    let former = world.authority.authenticate(&old, context()).await.unwrap();
    assert!(refused(&world.authority.self_rotate(&former, None, None, None).await.unwrap_err()));
    world.clock.advance_seconds(60);
    let retired = [ClearSecret::new(old)];
    world.authority.revoke_by_possession(&retired, context()).await.unwrap();
    assert_eq!(reason(&world.verify(&newer, None, "git").await), None);
    let current = [ClearSecret::new(newer.clone())];
    world.authority.revoke_by_possession(&current, context()).await.unwrap();
    assert_eq!(reason(&world.verify(&newer, None, "git").await), Some(Reason::Revoked));
}

#[tokio::test]
async fn a_locked_token_gets_no_new_secret() {
    let world = World::new().await;
    let (token, _) = world.issue(wish(PAT, "alice", &["git"])).await;
    world.authority.change(&world.admin, &world.realm, token.id, Act::Lock, None).await.unwrap();
    let rotated = world.authority.rotate(&world.admin, &world.realm, token.id, None, None, None);
    assert!(matches!(rotated.await, Err(Refusal::Ended(_))));
}

#[tokio::test]
async fn the_policy_of_the_api_holds_at_the_api() {
    let world = World::new().await;
    let (_, secret) = world.issue(api_token("alice", &["tokens:read"])).await;
    assert!(world.authority.authenticate(&secret, context()).await.is_ok());
    let api = label("counterfoil");
    let mut service = world.store.service_find(&world.realm, &api).await.unwrap().unwrap();
    service.token_policy.networks = Some(vec!["10.9.9.0/24".parse().unwrap()]);
    let origin = Origin::system(Door::Cli);
    let at: Timestamp = world.authority.now();
    let event = world.authority.event("service.updated", &world.realm, &origin, at).unwrap();
    world.store.service_update(service, event).await.unwrap();
    assert!(world.authority.authenticate(&secret, context()).await.is_err());
}

#[tokio::test]
async fn no_text_holds_a_token() {
    let world = World::new().await;
    let (token, secret) = world.issue(wish(PAT, "alice", &["git"])).await;
    let mut named = wish(PAT, "alice", &["git"]);
    named.name = Some(format!("was {secret}"));
    assert!(matches!(world.refusal(&world.admin, named).await, Refusal::Invalid { .. }));
    let act = Act::Revoke { reason: Some(format!("leaked: {secret}.")) };
    let revoked = world.authority.change(&world.admin, &world.realm, token.id, act, None).await;
    assert!(matches!(revoked, Err(Refusal::Invalid { .. })));
}

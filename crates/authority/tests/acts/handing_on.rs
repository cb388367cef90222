//! What is drawn, exchanged or downscoped does no more than what it came from.

use counterfoil_authority::access::MintedAccess;
use counterfoil_authority::authority::{
    AccessRefusal, Binding, EnrolAnswered, EnrolRefusal, ExchangeRequest, IssueRequest,
    RefreshRefusal, RefreshRequest, TokenEdit, Verdict, VerifyRequest,
};
use counterfoil_authority::caller::Caller;
use counterfoil_authority::enrolment::{Confirmation, Constraint};
use counterfoil_authority::event::Origin;
use counterfoil_authority::kind::Kind;
use counterfoil_authority::refusal::Refusal;
use counterfoil_authority::scope::Scope;
use counterfoil_authority::service::{Service, ServiceStatus, Services};
use counterfoil_authority::subject::{Client, Limits, Role};

use counterfoil_authority::verdict::{Door, Reason};

use crate::enrolling::Devices;
use crate::world::{World, context, fresh, label, reason, wish};

fn scopes(names: &[&str]) -> Vec<Scope> {
    names.iter().map(|name| Scope::parse(name).unwrap()).collect()
}

fn registration(services: &[&str], names: &[&str]) -> IssueRequest {
    let mut request = wish(Kind::RegistrationToken, "alice", services);
    request.user = None;
    request.scopes = scopes(names);
    request
}

impl World {
    /// Changes a service as its administrator would.
    pub(crate) async fn change_service(&self, name: &str, change: impl FnOnce(&mut Service)) {
        let service = self.store.service_find(&self.realm, &label(name)).await.unwrap();
        let mut service = service.unwrap();
        change(&mut service);
        let (origin, now) = (Origin::system(Door::Cli), self.authority.now());
        let event = self.authority.event("service.updated", &self.realm, &origin, now).unwrap();
        self.store.service_update(service, event).await.unwrap();
    }

    /// What a token is exchanged for, with all its scopes.
    async fn exchanged(
        &self,
        secret: &str,
        audience: &[&str],
    ) -> Result<MintedAccess, AccessRefusal> {
        let audience = audience.iter().map(|service| label(service)).collect();
        let request = ExchangeRequest { audience, ..ExchangeRequest::default() };
        self.authority.exchange_token(&self.realm, secret, request, context()).await
    }

    /// The secret of a token with permissions, whose access tokens are opaque.
    async fn with_permissions(&self, user: &str, services: &[&str]) -> String {
        let mut wanted = wish(Kind::PersonalAccessToken, user, services);
        wanted.permissions = Some(serde_json::json!({ "*": ["*"] }));
        self.issue(wanted).await.1
    }

    async fn may(&self, secret: &str, resource: &str, action: &str) -> Option<Reason> {
        let (origin, git) = (Origin::system(Door::Api), label("git"));
        let request = VerifyRequest {
            realm: &self.realm,
            presented: secret,
            username: None,
            binding: Binding::Service(&git),
            scopes: &[],
            resource: Some(resource),
            action: Some(action),
            client_ip: None,
            consume: false,
            throttled: true,
            origin: &origin,
        };
        reason(&self.authority.verify(request).await.unwrap())
    }

    /// The caller that a client becomes with an access token of fewer scopes.
    async fn downscoped(&self, client: &Caller, names: &[&str]) -> Caller {
        let request = ExchangeRequest { scopes: Some(scopes(names)), ..ExchangeRequest::default() };
        let minted: MintedAccess = self.authority.client_token(client, request).await.unwrap();
        self.authority.authenticate(minted.secret.reveal(), context()).await.unwrap()
    }
}

#[tokio::test]
async fn a_downscoped_client_hands_on_only_the_scopes_that_it_carries() {
    let world = World::new().await;
    let full = world.client("ra", vec![Role::RealmAdmin], |_| ()).await;
    let narrow = world.downscoped(&full, &["registration-tokens:write"]).await;
    let wide = registration(&["counterfoil"], &["tokens:write", "users:write"]);
    let refusal = world.refusal(&narrow, wide.clone()).await;
    assert!(matches!(refusal, Refusal::BeyondGrant(_)), "{refusal:?}");
    // By an edit neither, of one that carries little.
    let own = registration(&["counterfoil"], &["registration-tokens:write"]);
    let issued = world.authority.issue(&narrow, &world.realm, own, None).await.unwrap();
    let (token, _) = fresh(issued);
    let edit = || TokenEdit { scopes: Some(scopes(&["tokens:write"])), ..TokenEdit::default() };
    let edited = world.authority.edit_token(&narrow, &world.realm, token.id, edit(), None).await;
    assert!(matches!(edited, Err(Refusal::BeyondGrant(_))), "{edited:?}");
    world.authority.edit_token(&full, &world.realm, token.id, edit(), None).await.unwrap();
    world.authority.issue(&full, &world.realm, wide, None).await.unwrap();
}

#[tokio::test]
async fn a_downscoped_client_takes_over_neither_its_own_key_nor_what_carries_more() {
    let world = World::new().await;
    let full = world.client("ra", vec![Role::RealmAdmin], |_| ()).await;
    let narrow = world.downscoped(&full, &["tokens:write", "registration-tokens:write"]).await;
    let wide = registration(&["counterfoil"], &["users:write"]);
    let issued = world.authority.issue(&full, &world.realm, wide, None).await.unwrap();
    let (token, _) = fresh(issued);
    for id in [full.token, token.id] {
        let act = world.authority.rotate(&narrow, &world.realm, id, None, None, None).await;
        assert!(matches!(act, Err(Refusal::BeyondGrant(_))), "{act:?}");
    }
    world.authority.rotate(&full, &world.realm, full.token, None, None, None).await.unwrap();
}

#[tokio::test]
async fn permissions_hold_for_access_tokens_which_are_opaque_then() {
    let world = World::new().await;
    let mut wanted = wish(Kind::PersonalAccessToken, "alice", &["git"]);
    wanted.permissions = Some(serde_json::json!({ "repo/a": ["read"] }));
    let (_, secret) = world.issue(wanted).await;
    let minted = world.exchanged(&secret, &[]).await.unwrap();
    let access = minted.secret.reveal();
    assert!(minted.record.is_some(), "a JWT would not show the permissions");
    for presented in [&secret[..], access] {
        assert_eq!(world.may(presented, "repo/a", "read").await, None);
        let said = world.may(presented, "repo/b", "write").await;
        assert_eq!(said, Some(Reason::PermissionDenied));
    }
    // Without permissions the form is as ever.
    let (_, plain) = world.issue(wish(Kind::PersonalAccessToken, "alice", &["git"])).await;
    assert!(world.exchanged(&plain, &[]).await.unwrap().record.is_none());
}

#[tokio::test]
async fn the_policy_of_a_service_holds_for_devices_that_a_client_enrolled() {
    let devices = Devices::new().await;
    let (_, secret) = devices.0.issue(registration(&["git"], &[])).await;
    let (_, refresh) = devices.draw(&secret, "one").await;
    let grant = devices.refresh_with(&refresh, None).await.unwrap().grant;
    let world = &devices.0;
    let access = world.authority.grant_access(&grant, world.authority.now()).await.unwrap();
    let access = access.secret.reveal();
    assert_eq!(reason(&world.verify(access, None, "git").await), None);
    world.change_service("git", |git| git.token_policy.enabled = Some(false)).await;
    let said = reason(&world.verify(access, None, "git").await);
    assert_eq!(said, Some(Reason::PolicyBlocked));
}

#[tokio::test]
async fn a_verifier_of_two_services_is_told_of_the_one_that_is_active() {
    let world = World::new().await;
    let (_, secret) = world.issue(wish(Kind::PersonalAccessToken, "alice", &["git", "mail"])).await;
    let both = [label("git"), label("mail")];
    world.change_service("git", |git| git.status = ServiceStatus::Suspended).await;
    let verdict = world.ask(&secret, None, Binding::AnyOf(&both), &[]).await;
    let Verdict::Active(active) = verdict else { panic!("{verdict:?}") };
    assert_eq!(active.service(&Binding::AnyOf(&both)), Some("mail"));
    world.change_service("mail", |mail| mail.status = ServiceStatus::Suspended).await;
    let verdict = world.ask(&secret, None, Binding::AnyOf(&both), &[]).await;
    assert_eq!(reason(&verdict), Some(Reason::ServiceInactive));
}

#[tokio::test]
async fn an_exchange_names_no_service_that_would_refuse_the_token() {
    let world = World::new().await;
    let (_, secret) = world.issue(wish(Kind::PersonalAccessToken, "alice", &["git", "mail"])).await;
    let opaque = world.with_permissions("alice", &["git", "mail"]).await;
    let audience = |minted: MintedAccess| minted.record.unwrap().facts.audience;
    for name in ["git", "mail"] {
        world.change_service(name, |service| service.status = ServiceStatus::Suspended).await;
    }
    for asked in [&[][..], &["git", "mail"], &["git", "git"]] {
        let said = world.exchanged(&secret, asked).await;
        assert!(matches!(said, Err(AccessRefusal::Target)), "{said:?}");
    }
    world.change_service("mail", |mail| mail.status = ServiceStatus::Active).await;
    let minted = world.exchanged(&opaque, &[]).await.unwrap();
    assert_eq!(audience(minted), ["mail"]);
    // The policy is asked as well as the status.
    let elsewhere = vec!["10.9.9.0/24".parse().unwrap()];
    world.change_service("mail", |mail| mail.token_policy.networks = Some(elsewhere)).await;
    let said = world.exchanged(&secret, &[]).await;
    assert!(matches!(said, Err(AccessRefusal::Target)), "{said:?}");
}

#[tokio::test]
async fn a_device_gets_nothing_for_services_that_are_suspended_and_keeps_its_secret() {
    let devices = Devices::new().await;
    let world = &devices.0;
    let (token, secret) = world.issue(registration(&["git", "mail"], &[])).await;
    let (_, first) = devices.draw(&secret, "one").await;
    world.change_service("git", |git| git.status = ServiceStatus::Suspended).await;
    let refreshed = devices.refresh_with(&first, None).await.unwrap();
    assert_eq!(refreshed.grant.services, Services::Named(vec![label("mail")]));
    world.change_service("mail", |mail| mail.status = ServiceStatus::Suspended).await;
    let second = refreshed.secret.reveal();
    let said = devices.refresh(second).await.unwrap_err();
    assert!(matches!(said, RefreshRefusal::NoService), "{said:?}");
    let now = world.authority.now();
    assert!(world.authority.device_token(&refreshed.grant, None, now).await.is_err());
    let said = devices.draw_with(&secret, "two", None, None).await.unwrap_err();
    assert!(matches!(said, EnrolRefusal::NoService), "{said:?}");
    assert_eq!(devices.shown(token.id).await.used, 1);
    world.change_service("mail", |mail| mail.status = ServiceStatus::Active).await;
    devices.advance(31);
    devices.refresh(second).await.unwrap();
}

#[tokio::test]
async fn a_refresh_with_too_wide_a_scope_changes_nothing() {
    let devices = Devices::new().await;
    let world = &devices.0;
    let (_, secret) = world.issue(registration(&["git"], &["read", "write"])).await;
    let (_, first) = devices.draw(&secret, "one").await;
    let refresh = async |scopes: Option<Vec<Scope>>| {
        let (realm, presented) = (&world.realm, &first[..]);
        let (confirmation, context) = (None, context());
        let request = RefreshRequest { realm, presented, confirmation, scopes, context };
        world.authority.refresh(request).await
    };
    let said = refresh(Some(scopes(&["read", "admin"]))).await.unwrap_err();
    assert!(matches!(said, RefreshRefusal::Scope), "{said:?}");
    devices.advance(31);
    let refreshed = refresh(Some(scopes(&["read"]))).await.unwrap();
    assert_eq!(refreshed.grant.scopes, scopes(&["read"]));
    assert!(!refreshed.again);
    assert_eq!(refreshed.token.scopes, scopes(&["read", "write"]));
}

#[tokio::test]
async fn a_stamp_hands_on_no_longer_life_than_the_givers_grant() {
    let world = World::new().await;
    let limits = Limits { lifetime_seconds_max: Some(3_600), ..Limits::default() };
    let admin = world.client("lim", vec![Role::RealmAdmin], |c| c.limits = limits).await;
    let stamped = |stamp: Option<&str>| {
        let mut request = registration(&["git"], &[]);
        request.sentinel.stamp = stamp.map(str::to_owned);
        request
    };
    for stamp in [r#"{"lifetime_seconds":3601}"#, r#"{"lifetime_seconds":null}"#] {
        let refusal = world.refusal(&admin, stamped(Some(stamp))).await;
        assert!(matches!(refusal, Refusal::BeyondGrant(_)), "{refusal:?}");
    }
    let issued = world.authority.issue(&admin, &world.realm, stamped(None), None).await.unwrap();
    let (token, _) = fresh(issued);
    let stamp: serde_json::Value = serde_json::from_str(&token.sentinel.stamp.unwrap()).unwrap();
    assert_eq!(stamp["lifetime_seconds"], 3_600);
    let stamp = Some(Some(r#"{"lifetime_seconds":null}"#.to_owned()));
    let edit = TokenEdit { stamp, ..TokenEdit::default() };
    let edited = world.authority.edit_token(&admin, &world.realm, token.id, edit, None).await;
    assert!(matches!(edited, Err(Refusal::BeyondGrant(_))), "{edited:?}");
}

#[tokio::test]
async fn a_token_is_moved_to_no_unit_beyond_the_givers_grant() {
    let world = World::new().await;
    world.unit("u1").await;
    world.unit("u2").await;
    let limits = Limits { units: Some(vec!["u1".into()]), ..Limits::default() };
    let limited = world.client("lim", vec![Role::RealmAdmin], |c| c.limits = limits).await;
    let of_unit = |c: &mut Client| c.unit = Some("u1".into());
    let unit_admin = world.client("ua", vec![Role::UnitAdmin], of_unit).await;
    for caller in [limited, unit_admin] {
        let mut request = registration(&["git"], &[]);
        request.unit = Some("u1".into());
        let issued = world.authority.issue(&caller, &world.realm, request, None).await.unwrap();
        let (token, _) = fresh(issued);
        for unit in [Some("u2".to_owned()), None] {
            let edit = TokenEdit { unit: Some(unit), ..TokenEdit::default() };
            let edited = world.authority.edit_token(&caller, &world.realm, token.id, edit, None);
            assert!(edited.await.is_err());
        }
        let edit = TokenEdit { name: Some(Some("moved".into())), ..TokenEdit::default() };
        world.authority.edit_token(&caller, &world.realm, token.id, edit, None).await.unwrap();
    }
}

#[tokio::test]
async fn an_existing_device_is_handed_out_again_to_its_key_only() {
    let devices = Devices::new().await;
    let mut request = registration(&["git"], &[]);
    let rule = r#"{"on_duplicate_device":"return_existing"}"#;
    request.sentinel.constraints = Some(rule.into());
    let (_, secret) = devices.0.issue(request).await;
    let (named, first) = devices.draw(&secret, "one").await;
    let said = devices.draw_with(&secret, "one", None, None).await.unwrap_err();
    let duplicate = EnrolRefusal::Constraint(Constraint::DuplicateDevice);
    assert_eq!(said.to_string(), duplicate.to_string());
    devices.refresh(&first).await.unwrap();
    assert_eq!(devices.shown(named.id).await.revocation, None);
    let key = Some(Confirmation::Jkt("thumbprint".into()));
    let draw = async || match devices.draw_with(&secret, "two", key.clone(), None).await.unwrap() {
        EnrolAnswered::Fresh { token, secret, .. } => (token.id, secret.reveal().to_owned()),
        other @ EnrolAnswered::Replayed { .. } => panic!("{other:?}"),
    };
    let (bound, former) = draw().await;
    let (again, current) = draw().await;
    assert_eq!(bound, again);
    // The former secret is good for nothing, and no theft.
    let said = devices.refresh_with(&former, key.clone()).await.unwrap_err();
    assert!(matches!(said, RefreshRefusal::Denied), "{said:?}");
    devices.refresh_with(&current, key.clone()).await.unwrap();
}

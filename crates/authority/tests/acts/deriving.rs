//! What is made of a token may do what all that it came from may do now, and says no more of itself.

use std::collections::BTreeMap;

use counterfoil_authority::authority::{
    AccessRefusal, Active, AmLogin, AmUse, AuthRefusal, Binding, DeriveRequest, ExchangeRequest,
    Expiry, LockAct, TokenEdit, Verdict,
};
use counterfoil_authority::caller::{Caller, RequestContext};
use counterfoil_authority::kind::Kind;
use counterfoil_authority::names::Username;
use counterfoil_authority::policy::TokenPolicy;
use counterfoil_authority::refusal::Refusal;
use counterfoil_authority::scope::{ApiScope, ApiScopes, Scope};
use counterfoil_authority::service::Services;
use counterfoil_authority::subject::Role;
use counterfoil_authority::token::Token;
use counterfoil_authority::verdict::{Door, Reason};

use crate::world::{World, context, fresh, label, reason, wish};

const PAT: Kind = Kind::PersonalAccessToken;

/// Everything that a token of alice for the API has before it loses some.
const API: [&str; 4] = ["users:read", "users:write", "tokens:read", "tokens:write"];

fn scopes(names: &[&str]) -> Vec<Scope> {
    names.iter().map(|name| Scope::parse(name).unwrap()).collect()
}

fn named(services: &[&str]) -> Services {
    Services::Named(services.iter().map(|text| label(text)).collect())
}

/// As the parent has it.
fn same() -> DeriveRequest {
    DeriveRequest {
        name: None,
        description: None,
        services: None,
        scopes: None,
        permissions: None,
        expires: Expiry::Default,
        max_usages: None,
        networks: None,
        doors: None,
        labels: BTreeMap::new(),
    }
}

fn only(names: &[&str]) -> TokenEdit {
    TokenEdit { scopes: Some(scopes(names)), ..TokenEdit::default() }
}

fn names(of: &[Scope]) -> Vec<&str> {
    of.iter().map(Scope::as_str).collect()
}

impl World {
    async fn pat(&self, services: &[&str], has: &[&str]) -> (Token, String) {
        let mut wish = wish(PAT, "alice", services);
        wish.scopes = scopes(has);
        self.issue(wish).await
    }

    async fn caller(&self, secret: &str) -> Caller {
        self.authority.authenticate(secret, context()).await.unwrap()
    }

    async fn try_derive(
        &self,
        secret: &str,
        request: DeriveRequest,
    ) -> Result<(Token, String), Refusal> {
        let caller = self.caller(secret).await;
        self.authority.self_derive(&caller, request, None).await.map(fresh)
    }

    async fn derive(&self, secret: &str) -> (Token, String) {
        self.try_derive(secret, same()).await.unwrap()
    }

    async fn narrow(&self, token: &Token, edit: TokenEdit) {
        self.try_edit(token, edit).await.unwrap();
    }

    async fn try_edit(&self, token: &Token, edit: TokenEdit) -> Result<Token, Refusal> {
        self.authority.edit_token(&self.admin, &self.realm, token.id, edit, None).await
    }

    async fn active(&self, secret: &str, service: &str) -> Active {
        match self.verify(secret, None, service).await {
            Verdict::Active(active) => active,
            Verdict::Inactive { reason, .. } => panic!("{reason}"),
        }
    }

    async fn exchange(
        &self,
        secret: &str,
        audience: &[&str],
        asked: Option<&[&str]>,
    ) -> Result<(String, String), AccessRefusal> {
        let request = ExchangeRequest {
            scopes: asked.map(scopes),
            audience: audience.iter().map(|text| label(text)).collect(),
            ..ExchangeRequest::default()
        };
        let context = RequestContext { door: Door::Oauth, ..context() };
        let minted = self.authority.exchange_token(&self.realm, secret, request, context).await?;
        Ok((minted.secret.reveal().to_owned(), minted.scope))
    }

    /// Asks `orders` whether a token may do something there.
    async fn asks(&self, secret: &str, scope: &str) -> Option<Reason> {
        let orders = label("git");
        reason(&self.ask(secret, None, Binding::Service(&orders), &scopes(&[scope])).await)
    }

    async fn log_in(&self, password: &str) -> String {
        let login = AmLogin {
            realm: &self.realm,
            username: "alice",
            password,
            lifetime_seconds: 3_600,
            keeps_session: true,
        };
        let session = self.authority.am_login(login, at_am()).await.unwrap();
        session.secret.unwrap().reveal().to_owned()
    }
}

fn at_am() -> RequestContext {
    RequestContext { door: Door::Am, ..context() }
}

#[tokio::test]
async fn what_a_parent_loses_in_the_api_its_descendants_lose_at_the_same_moment() {
    let world = World::new().await;
    world.grant("alice", Role::RealmAdmin).await;
    let (parent, secret) = world.pat(&["counterfoil"], &API).await;
    let (_, child) = world.derive(&secret).await;
    let (_, grandchild) = world.derive(&child).await;
    world.narrow(&parent, only(&["tokens:write"])).await;
    for derived in [&child, &grandchild] {
        let caller = world.caller(derived).await;
        let left = ApiScopes::of(&[ApiScope::TokensWrite]);
        assert_eq!(caller.token_scopes, Some(left), "{:?}", caller.token_scopes);
        assert!(caller.reach(&world.realm, ApiScope::UsersRead).is_err());
        // What is lost is handed on to nobody, neither by deriving nor by issuing.
        let wider = DeriveRequest { scopes: Some(scopes(&["users:read"])), ..same() };
        let refused = world.authority.self_derive(&caller, wider, None).await.unwrap_err();
        assert!(matches!(refused, Refusal::Invalid { .. }), "{refused:?}");
        let mut wish = wish(PAT, "alice", &["counterfoil"]);
        wish.scopes = scopes(&["users:read"]);
        let refused = world.refusal(&caller, wish).await;
        assert!(matches!(refused, Refusal::BeyondGrant(_)), "{refused:?}");
    }
    let (made, _) = world.derive(&child).await;
    assert_eq!(names(&made.scopes), ["tokens:write"]);
    // The parent gets it back, and its family with it.
    world.narrow(&parent, only(&["tokens:write", "users:read"])).await;
    assert!(world.caller(&child).await.token_allows(ApiScope::UsersRead));
}

#[tokio::test]
async fn nothing_is_derived_while_the_person_or_the_service_is_locked() {
    let world = World::new().await;
    let (_, secret) = world.pat(&["git"], &[]).await;
    let lock = |on| LockAct { on, reason: None };
    let World { authority, admin, realm, .. } = &world;
    for at_service in [true, false] {
        let set = async |on| {
            if at_service {
                let git = label("git");
                authority.lock_service(admin, realm, &git, &lock(on)).await.map(drop)
            } else {
                let alice = Username::parse("alice").unwrap();
                authority.lock_user(admin, realm, &alice, None, &lock(on)).await.map(drop)
            }
        };
        // Who was let in just before.
        let caller = world.caller(&secret).await;
        set(true).await.unwrap();
        let refused = authority.self_derive(&caller, same(), None).await.unwrap_err();
        assert!(matches!(refused, Refusal::NotOpen(_)), "{refused:?}");
        set(false).await.unwrap();
        world.derive(&secret).await;
    }
}

#[tokio::test]
async fn an_exchange_hands_on_no_scope_that_an_ancestor_has_lost() {
    let world = World::new().await;
    let (parent, secret) = world.pat(&["git"], &["orders:read", "orders:admin"]).await;
    let (_, child) = world.derive(&secret).await;
    world.narrow(&parent, only(&["orders:read"])).await;
    for audience in [&["git"][..], &[]] {
        let refused = world.exchange(&child, audience, Some(&["orders:admin"])).await.unwrap_err();
        assert!(matches!(refused, AccessRefusal::Scope), "{refused:?}");
        assert_eq!(world.exchange(&child, audience, None).await.unwrap().1, "orders:read");
    }
}

#[tokio::test]
async fn an_access_token_does_what_all_that_it_came_from_may_do_now() {
    let world = World::new().await;
    let (parent, secret) = world.pat(&["git", "mail"], &["orders:read", "orders:admin"]).await;
    let (_, child) = world.derive(&secret).await;
    let of_parent = world.exchange(&secret, &["git"], None).await.unwrap().0;
    let of_child = world.exchange(&child, &["git"], None).await.unwrap().0;
    for access in [&of_parent, &of_child] {
        assert_eq!(world.asks(access, "orders:admin").await, None);
    }
    world.narrow(&parent, only(&["orders:read"])).await;
    for access in [&of_parent, &of_child] {
        assert_eq!(world.asks(access, "orders:admin").await, Some(Reason::InsufficientScope));
        assert_eq!(world.asks(access, "orders:read").await, None);
        assert_eq!(names(world.active(access, "git").await.scopes()), ["orders:read"]);
    }
    let permissions = Some(Some(serde_json::json!({ "repo/*": ["read"] })));
    world.narrow(&parent, TokenEdit { permissions, ..TokenEdit::default() }).await;
    for access in [&of_parent, &of_child] {
        let active = world.active(access, "git").await;
        assert_eq!(active.permissions(), Some(r#"{"repo/*":["read"]}"#));
    }
    let networks = Some(vec!["192.0.2.0/24".parse().unwrap()]);
    world.narrow(&parent, TokenEdit { networks, ..TokenEdit::default() }).await;
    for access in [&of_parent, &of_child] {
        assert_eq!(world.asks(access, "orders:read").await, Some(Reason::NetworkDenied));
    }
    world.narrow(&parent, TokenEdit { networks: Some(Vec::new()), ..TokenEdit::default() }).await;
    world
        .narrow(&parent, TokenEdit { services: Some(named(&["mail"])), ..TokenEdit::default() })
        .await;
    for access in [&of_parent, &of_child] {
        assert_eq!(world.asks(access, "orders:read").await, Some(Reason::WrongService));
    }
}

#[tokio::test]
async fn a_door_reports_of_a_derived_token_what_its_ancestors_have_left_it() {
    let world = World::new().await;
    let mut wish = wish(PAT, "alice", &["git", "mail"]);
    wish.scopes = scopes(&["repo/*:read", "push"]);
    wish.permissions = Some(serde_json::json!({ "repo/*": ["read", "write"] }));
    let (parent, secret) = world.issue(wish).await;
    let (_, child) = world.derive(&secret).await;
    let (_, grandchild) = world.derive(&child).await;
    let end = world.authority.now().plus_seconds(100);
    let edit = TokenEdit {
        permissions: Some(Some(serde_json::json!({ "repo/web": ["*"] }))),
        services: Some(named(&["git"])),
        expires: Some(Expiry::At(end)),
        ..only(&["repo/web:*"])
    };
    world.narrow(&parent, edit).await;
    for derived in [&child, &grandchild] {
        let active = world.active(derived, "git").await;
        assert_eq!(names(active.scopes()), ["repo/web:read"]);
        assert_eq!(active.permissions(), Some(r#"{"repo/web":["read","write"]}"#));
        assert_eq!(active.services(), &named(&["git"]));
        assert_eq!(active.expires_at(), Some(end));
        let caller = world.caller(derived).await;
        assert_eq!(caller.token_expires_at, Some(end));
        let shown = world.authority.self_token(&caller).await.unwrap();
        assert_eq!(names(&shown.scopes), ["repo/web:read"]);
        assert_eq!(shown.permissions.as_deref(), active.permissions());
        assert_eq!(&shown.services, active.services());
        assert_eq!(shown.validity.expires_at(), Some(end));
    }
}

#[tokio::test]
async fn an_edit_makes_no_derived_token_wider_than_what_it_came_from() {
    let world = World::new().await;
    let (parent, secret) = world.pat(&["git"], &["read", "write"]).await;
    let request = DeriveRequest { scopes: Some(scopes(&["read"])), ..same() };
    let (child, child_secret) = world.try_derive(&secret, request).await.unwrap();
    let (grandchild, _) = world.derive(&child_secret).await;
    world.narrow(&child, only(&["read", "write"])).await;
    world.narrow(&parent, only(&["read"])).await;
    for (derived, edit) in [
        (&child, only(&["read", "admin"])),
        (&grandchild, only(&["read", "write"])),
        (&child, TokenEdit { services: Some(named(&["git", "mail"])), ..TokenEdit::default() }),
        (&child, TokenEdit { expires: Some(Expiry::Never), ..TokenEdit::default() }),
    ] {
        let refused = world.try_edit(derived, edit).await.unwrap_err();
        assert!(matches!(refused, Refusal::Invalid { .. }), "{refused:?}");
    }
    // What an edit does not speak of stays as it is, however much of it counts.
    let edit = TokenEdit { name: Some(Some("nightly".into())), ..TokenEdit::default() };
    assert_eq!(names(&world.try_edit(&child, edit).await.unwrap().scopes), ["read", "write"]);
}

#[tokio::test]
async fn a_session_keeps_no_scope_that_its_token_has_lost() {
    let world = World::new().await;
    let (parent, secret) = world.pat(&["counterfoil"], &API).await;
    let session = world.log_in(&secret).await;
    let using = AmUse { idle_seconds: 1_800, extends: true, exactly: false };
    let held = world.authority.am_caller(&session, using, at_am()).await.unwrap();
    assert!(held.caller.token_allows(ApiScope::UsersWrite));
    let end = world.authority.now().plus_seconds(60);
    let edit = TokenEdit { expires: Some(Expiry::At(end)), ..only(&["tokens:read"]) };
    world.narrow(&parent, edit).await;
    let held = world.authority.am_caller(&session, using, at_am()).await.unwrap();
    assert_eq!(held.to, end);
    assert_eq!(held.caller.token_scopes, Some(ApiScopes::of(&[ApiScope::TokensRead])));
    world
        .narrow(&parent, TokenEdit { doors: Some(Some(vec![Door::Api])), ..TokenEdit::default() })
        .await;
    let said = world.authority.am_caller(&session, using, at_am()).await.unwrap_err();
    assert!(matches!(said, AuthRefusal::Denied { .. }), "{said:?}");
}

#[tokio::test]
async fn a_token_for_everything_derives_none_for_a_service_that_does_not_let_holders_derive() {
    let world = World::new().await;
    let policy = TokenPolicy { self_derive: Some(false), ..TokenPolicy::default() };
    world.add_service("closed", policy).await;
    let mut everything = wish(PAT, "alice", &[]);
    everything.services = Some(Services::All);
    let (_, secret) = world.issue(everything).await;
    let for_services = |services| DeriveRequest { services: Some(services), ..same() };
    for services in [named(&["closed"]), named(&["git", "closed"])] {
        let refused = world.try_derive(&secret, for_services(services)).await.unwrap_err();
        assert!(matches!(refused, Refusal::Policy(_)), "{refused:?}");
    }
    world.try_derive(&secret, for_services(named(&["git"]))).await.unwrap();
    // One that is for everything again is good for all services but that one.
    let (_, everywhere) = world.try_derive(&secret, same()).await.unwrap();
    assert_eq!(reason(&world.verify(&everywhere, None, "git").await), None);
    let said = reason(&world.verify(&everywhere, None, "closed").await);
    assert_eq!(said, Some(Reason::PolicyBlocked));
    assert_eq!(reason(&world.verify(&secret, None, "closed").await), None);
}

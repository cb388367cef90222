//! Reach: what an edit, a link, a lock, a preview or a token for everything leads to is what its
//! caller could have had in the straight way. Each test is a way that once led around.

use counterfoil_authority::authority::{
    Act, Delivery, GroupEdit, LockAct, PolicyEdit, ServiceEdit, TokenEdit, UserEdit,
};
use counterfoil_authority::caller::Caller;
use counterfoil_authority::event::Origin;
use counterfoil_authority::kind::Kind;
use counterfoil_authority::names::{GroupName, Username};
use counterfoil_authority::policy::TokenPolicy;
use counterfoil_authority::refusal::Refusal;
use counterfoil_authority::scope::Scope;
use counterfoil_authority::secret::ClearSecret;
use counterfoil_authority::service::{Service, ServiceStatus, Services, Visibility};
use counterfoil_authority::store::{EventFilter, PageRequest, TokenFilter};
use counterfoil_authority::subject::{Group, Owner, Role, User, UserStatus};
use counterfoil_authority::token::Token;
use counterfoil_authority::verdict::{Door, Reason};

use crate::world::{World, context, fresh, label, reason, wish};

const PAT: Kind = Kind::PersonalAccessToken;

fn name(text: &str) -> Username {
    Username::parse(text).unwrap()
}

fn to(services: &[&str]) -> TokenEdit {
    let labels = services.iter().map(|text| label(text)).collect();
    TokenEdit { services: Some(Services::Named(labels)), ..TokenEdit::default() }
}

impl World {
    async fn service_that(&self, label: &str, change: impl FnOnce(&mut Service)) {
        self.add_service(label, TokenPolicy::default()).await;
        self.change_service(label, change).await;
    }

    async fn edit_by(
        &self,
        caller: &Caller,
        token: &Token,
        edit: TokenEdit,
    ) -> Result<Token, Refusal> {
        self.authority.edit_token(caller, &self.realm, token.id, edit, None).await
    }

    async fn moved_into_unit(&self, user: &str, unit: &str) {
        let found = self.store.user_find(&self.realm, &name(user)).await.unwrap().unwrap();
        let origin = Origin::system(Door::Cli);
        let event =
            self.authority.event("user.updated", &self.realm, &origin, self.authority.now());
        let moved = User { unit: Some(unit.into()), ..found };
        self.store.user_update(moved, event.unwrap()).await.unwrap();
    }

    async fn group(&self, group: &str) {
        let at = self.authority.now();
        let name = GroupName::parse(group).unwrap();
        let group = Group {
            realm: self.realm.clone(),
            name,
            description: None,
            members: 0,
            open: false,
            provisioned: counterfoil_authority::subject::Provisioned::default(),
            created_at: at,
            updated_at: at,
            version: 1,
        };
        let event =
            self.authority.event("group.created", &self.realm, &Origin::system(Door::Cli), at);
        self.store.group_insert(group, event.unwrap()).await.unwrap();
    }

    async fn in_charge_of(&self, client: &str, service: &str) -> Caller {
        let services = Some(vec![label(service)]);
        self.client(client, vec![Role::ServiceManager], |c| c.services = services).await
    }
}

/// Services that alice could not have a token for, and whether they exist for her.
async fn closed_services(world: &World) -> Vec<(&'static str, bool)> {
    world.unit("u2").await;
    let group = GroupName::parse("staff").unwrap();
    world.group("staff").await;
    let staff = Some(group);
    world.service_that("hidden", |s| s.visibility = Visibility::Administrators).await;
    world.service_that("theirs", |s| s.unit = Some("u2".into())).await;
    let closed = staff.clone();
    world.service_that("members", |s| (s.visibility, s.group) = (Visibility::Group, closed)).await;
    world.service_that("open", |s| s.group = staff).await;
    world.service_that("resting", |s| s.status = ServiceStatus::Suspended).await;
    world.service_that("off", |s| s.token_policy.enabled = Some(false)).await;
    let mut hidden_and_resting = vec![("hidden", false), ("theirs", false), ("members", false)];
    world
        .service_that("gone", |s| {
            (s.visibility, s.status) = (Visibility::Administrators, ServiceStatus::Suspended);
        })
        .await;
    hidden_and_resting.extend([("gone", false), ("open", true), ("resting", true), ("off", true)]);
    hidden_and_resting
}

#[tokio::test]
async fn an_edit_leads_to_no_service_that_issuing_would_not_lead_to() {
    let world = World::new().await;
    let alice = world.person("alice", &["tokens:write"]).await;
    let own = async |wanted| {
        fresh(world.authority.issue(&alice, &world.realm, wanted, None).await.unwrap()).0
    };
    let pat = own(wish(PAT, "alice", &["git"])).await;
    let service_token = own(wish(Kind::ServiceToken, "alice", &["git"])).await;
    let mut everything = wish(PAT, "alice", &[]);
    everything.services = Some(Services::All);
    let everything = own(everything).await;
    for (service, exists) in closed_services(&world).await {
        let issued = world.refusal(&alice, wish(PAT, "alice", &[service])).await;
        for token in [&pat, &service_token, &everything] {
            let said = world.edit_by(&alice, token, to(&[service])).await.unwrap_err();
            assert_eq!(said.to_string(), issued.to_string(), "{service} {:?}", token.kind);
            let is_unknown = said.to_string() == format!("services: there is no service {service}");
            assert_ne!(is_unknown, exists, "{service}: {said}");
        }
        // What stands beside it tells nothing either.
        let both = world.edit_by(&alice, &pat, to(&[service, "unknown"])).await.unwrap_err();
        let which = if exists { "unknown" } else { service };
        assert_eq!(both.to_string(), format!("services: there is no service {which}"));
        let both = world.refusal(&alice, wish(PAT, "alice", &[service, "unknown"])).await;
        assert_eq!(both.to_string(), format!("services: there is no service {which}"));
    }
    // Administrators lead others where they could issue for them.
    world.edit_by(&world.admin, &pat, to(&["hidden"])).await.unwrap();
    let closed = world.edit_by(&world.admin, &pat, to(&["members"])).await.unwrap_err();
    assert!(matches!(closed, Refusal::NotOpen(_)), "{closed:?}");
}

#[tokio::test]
async fn what_was_approved_is_widened_by_who_could_have_approved_it() {
    let world = World::new().await;
    let approving = TokenPolicy { approval: Some(true), ..TokenPolicy::default() };
    world.add_service("vault", approving).await;
    let alice = world.person("alice", &["tokens:write"]).await;
    let manager = world.in_charge_of("sm", "vault").await;
    let mut wanted = wish(PAT, "alice", &["vault"]);
    wanted.networks = vec!["10.0.0.0/8".parse().unwrap()];
    wanted.permissions = Some(serde_json::json!({ "a": ["read"] }));
    let issued = world.authority.issue(&alice, &world.realm, wanted, None).await.unwrap();
    let (token, _) = fresh(issued);
    let wider = || {
        [
            TokenEdit { scopes: Some(vec![Scope::parse("admin").unwrap()]), ..Default::default() },
            TokenEdit { networks: Some(Vec::new()), ..Default::default() },
            TokenEdit { permissions: Some(None), ..Default::default() },
            to(&["vault", "git"]),
        ]
    };
    for approved in [false, true] {
        if approved {
            world.authority.approve(&manager, &world.realm, token.id).await.unwrap();
        }
        for edit in wider() {
            let said = world.edit_by(&alice, &token, edit).await.unwrap_err();
            let told = matches!(&said, Refusal::Policy(why) if why.contains("issue one for it"));
            assert!(told, "{said:?}");
        }
    }
    let narrower = TokenEdit {
        name: Some(Some("laptop".into())),
        networks: Some(vec!["10.1.0.0/16".parse().unwrap()]),
        ..TokenEdit::default()
    };
    world.edit_by(&alice, &token, narrower).await.unwrap();
    for edit in wider().into_iter().take(3) {
        world.edit_by(&manager, &token, edit).await.unwrap();
    }
}

#[tokio::test]
async fn letters_and_names_of_those_above_are_not_for_those_below() {
    let world = World::new().await;
    world.unit("u1").await;
    world.grant("alice", Role::RealmAdmin).await;
    for user in ["alice", "bob"] {
        world.moved_into_unit(user, "u1").await;
    }
    let admin = world.client("ua", vec![Role::UnitAdmin], |c| c.unit = Some("u1".into())).await;
    let edits = || {
        let attributes = [("mail".to_owned(), serde_json::json!("evil@example.org"))];
        [
            UserEdit { emails: Some(vec!["evil@example.org".into()]), ..UserEdit::default() },
            UserEdit { display_name: Some(Some("Bob".into())), ..UserEdit::default() },
            UserEdit { attributes: Some(attributes.into()), ..UserEdit::default() },
        ]
    };
    for edit in edits() {
        let above = name("alice");
        let said = world.authority.edit_user(&admin, &world.realm, &above, edit.clone(), None);
        let said = said.await.unwrap_err();
        assert!(matches!(said, Refusal::BeyondGrant(_)), "{said:?}");
        let below = name("bob");
        world.authority.edit_user(&admin, &world.realm, &below, edit, None).await.unwrap();
    }
    // What changes nothing touches nobody.
    let nothing = UserEdit { emails: Some(Vec::new()), ..UserEdit::default() };
    let above = name("alice");
    world.authority.edit_user(&admin, &world.realm, &above, nothing, None).await.unwrap();
}

#[tokio::test]
async fn what_is_meant_for_somebody_of_former_days_does_nothing_to_a_namesake() {
    let world = World::new().await;
    let (admin, realm, alice) = (&world.admin, &world.realm, name("alice"));
    let user = world.authority.user(admin, realm, &alice).await.unwrap();
    let former = Some(user.created_at.plus_seconds(-1));
    let not_there = |said: Refusal| assert!(matches!(said, Refusal::NotFound(_)), "{said:?}");
    let edit = |created_at| UserEdit {
        status: Some(UserStatus::Suspended),
        created_at,
        ..UserEdit::default()
    };
    let version = Some(user.version);
    let said = world.authority.edit_user(admin, realm, &alice, edit(former), version).await;
    not_there(said.unwrap_err());
    let said = world.authority.delete_user(admin, realm, &alice, former, version).await;
    not_there(said.unwrap_err());
    assert_eq!(world.authority.user(admin, realm, &alice).await.unwrap(), user);
    let now = Some(user.created_at);
    world.authority.edit_user(admin, realm, &alice, edit(now), version).await.unwrap();
    let said = world.authority.delete_user(admin, realm, &alice, now, version).await;
    assert!(matches!(said, Err(Refusal::VersionMismatch)), "{said:?}");
    world.authority.delete_user(admin, realm, &alice, now, None).await.unwrap();

    world.group("staff").await;
    let staff = GroupName::parse("staff").unwrap();
    let group = world.authority.group(admin, realm, &staff).await.unwrap();
    let former = Some(group.created_at.plus_seconds(-1));
    let said = world.authority.delete_group(admin, realm, &staff, former, None).await;
    not_there(said.unwrap_err());
    let mut edit = GroupEdit { created_at: former, ..GroupEdit::default() };
    edit.provisioned = Some(group.provisioned.clone());
    let said = world.authority.edit_group(admin, realm, &staff, &edit, None).await;
    not_there(said.unwrap_err());
    let now = Some(group.created_at);
    world.authority.delete_group(admin, realm, &staff, now, Some(group.version)).await.unwrap();
}

#[tokio::test]
async fn neither_a_link_nor_a_rotation_gives_a_secret_to_what_is_locked() {
    let world = World::new().await;
    let mut wanted = wish(Kind::ServiceToken, "alice", &["git"]);
    wanted.delivery = Delivery::Link;
    let (token, link) = world.issue(wanted).await;
    let (other, _) = world.issue(wish(Kind::ServiceToken, "alice", &["git"])).await;
    let refused = async |what: &str| {
        let presented = ClearSecret::new(link.clone());
        let said = world.authority.open_link(&presented, context()).await.unwrap_err();
        assert!(matches!(said, Refusal::Ended(_) | Refusal::NotOpen(_)), "{what}: {said:?}");
        let said = world.authority.rotate(&world.admin, &world.realm, other.id, None, None, None);
        let said = said.await.unwrap_err();
        assert!(matches!(said, Refusal::Ended(_) | Refusal::NotOpen(_)), "{what}: {said:?}");
    };
    let change = async |act: Act| {
        for id in [token.id, other.id] {
            world
                .authority
                .change(&world.admin, &world.realm, id, act.clone(), None)
                .await
                .unwrap();
        }
    };
    change(Act::Lock).await;
    refused("the token").await;
    change(Act::Unlock).await;
    let alice = name("alice");
    for service in [None, Some(label("git"))] {
        for on in [true, false] {
            let act = LockAct { on, reason: None };
            let (admin, realm) = (&world.admin, &world.realm);
            world.authority.lock_user(admin, realm, &alice, service.as_ref(), &act).await.unwrap();
            if on {
                refused("the person").await;
            }
        }
    }
    world.set_status("alice", UserStatus::Suspended).await;
    refused("a suspended person").await;
    world.set_status("alice", UserStatus::Active).await;
    world.change_service("git", |git| git.locked = true).await;
    refused("the service").await;
    world.change_service("git", |git| git.locked = false).await;
    world.change_service("git", |git| git.status = ServiceStatus::Suspended).await;
    refused("a suspended service").await;
    world.change_service("git", |git| git.status = ServiceStatus::Active).await;

    world.authority.flush_usage().await.unwrap();
    let filter = EventFilter { kind: Some("link.refused".into()), ..EventFilter::default() };
    let page = PageRequest::first(100);
    let told = world.store.event_list(&world.realm, filter, page).await.unwrap();
    assert_eq!(told.items.len(), 6);
    // None of that used it up.
    let opened = world.authority.open_link(&ClearSecret::new(link.clone()), context()).await;
    let (_, secret) = fresh(opened.unwrap());
    assert_eq!(reason(&world.verify(&secret, Some("alice"), "git").await), None);
}

#[tokio::test]
async fn who_looks_after_a_service_locks_nobody_above_them_there() {
    let world = World::new().await;
    world.grant("alice", Role::RealmAdmin).await;
    let manager = world.in_charge_of("sm", "git").await;
    let act = LockAct { on: true, reason: None };
    let (git, realm) = (label("git"), &world.realm);
    let lock = async |who: &str| {
        world.authority.lock_user(&manager, realm, &name(who), Some(&git), &act).await
    };
    let said = lock("alice").await.unwrap_err();
    assert!(matches!(said, Refusal::BeyondGrant(_)), "{said:?}");
    let told = lock("bob").await.unwrap();
    assert!(told.locks.services.contains(&git) && told.emails.is_empty(), "{told:?}");
    // Who cannot use the service is as unknown as who is not there.
    world.group("staff").await;
    world.change_service("git", |git| git.group = GroupName::parse("staff").ok()).await;
    world.add_user("carol").await;
    for who in ["carol", "nobody"] {
        let said = lock(who).await.unwrap_err();
        assert!(matches!(said, Refusal::NotFound(_)), "{who}: {said:?}");
    }
    let undo = LockAct { on: false, reason: None };
    world.authority.lock_user(&manager, realm, &name("bob"), Some(&git), &undo).await.unwrap();
    let said = lock("bob").await.unwrap_err();
    assert!(matches!(said, Refusal::NotFound(_)), "{said:?}");
}

#[tokio::test]
async fn nobody_locks_or_unlocks_themselves() {
    let world = World::new().await;
    world.grant("alice", Role::RealmAdmin).await;
    let alice = world.person("alice", &["tokens:write"]).await;
    for (on, service) in [(true, None), (false, None), (false, Some(label("git")))] {
        let act = LockAct { on, reason: None };
        let (name, realm) = (name("alice"), &world.realm);
        let said = world.authority.lock_user(&alice, realm, &name, service.as_ref(), &act).await;
        assert!(matches!(said, Err(Refusal::BeyondGrant(_))), "{said:?}");
    }
}

#[tokio::test]
async fn a_dry_run_counts_what_it_does_not_show() {
    let world = World::new().await;
    let manager = world.in_charge_of("sm", "git").await;
    let (theirs, _) = world.issue(wish(PAT, "alice", &["git"])).await;
    world.issue(wish(PAT, "alice", &["git", "mail"])).await;
    let mut everything = wish(PAT, "bob", &[]);
    everything.services = Some(Services::All);
    world.issue(everything).await;
    let off = serde_json::json!({ "enabled": false });
    let edit = || ServiceEdit {
        token_policy: off.as_object().cloned().map(PolicyEdit::Merge),
        ..Default::default()
    };
    let (realm, git) = (&world.realm, label("git"));
    for (caller, seen, hidden) in [(&manager, 1, 2), (&world.admin, 3, 0)] {
        let page = PageRequest::first(50);
        let hit = world.authority.preview_service(caller, realm, &git, edit(), page).await.unwrap();
        assert_eq!((hit.page.items.len(), hit.hidden), (seen, hidden));
        assert!(hit.page.items.iter().any(|blocked| blocked.token.id == theirs.id));
    }
    // The same of a page of its own settings.
    let policy = TokenPolicy { enabled: Some(false), ..TokenPolicy::default() };
    let page = PageRequest::first(50);
    let tried = world.authority.preview_token_settings(&manager, realm, &git, policy, page).await;
    assert_eq!(tried.unwrap().hidden, 2);
    let stored = world.store.service_find(realm, &git).await.unwrap().unwrap();
    assert_eq!(stored.token_policy, TokenPolicy::default());
}

#[tokio::test]
async fn a_preview_says_what_the_act_would_do() {
    let world = World::new().await;
    world.unit("u1").await;
    world.moved_into_unit("alice", "u1").await;
    world.grant("alice", Role::RealmAdmin).await;
    let admin = world.client("ua", vec![Role::UnitAdmin], |c| c.unit = Some("u1".into())).await;
    let mut above = wish(PAT, "alice", &["counterfoil"]);
    above.scopes = vec![Scope::parse("users:write").unwrap()];
    world.issue(above).await;
    world.issue(wish(PAT, "alice", &["git"])).await;
    let filter = TokenFilter { owner: Some(Owner::User(name("alice"))), ..Default::default() };
    let mut said = Vec::new();
    for dry_run in [true, false] {
        let many =
            world.authority.change_many(&admin, &world.realm, filter.clone(), Act::Lock, dry_run);
        let many = many.await.unwrap();
        said.push((many.tokens.iter().map(|token| token.id).collect::<Vec<_>>(), many.refused));
    }
    assert_eq!(said[0], said[1]);
    assert_eq!((said[0].0.len(), said[0].1), (1, 1));
}

#[tokio::test]
async fn a_token_for_everything_is_good_for_what_its_owner_could_have_one_for() {
    let world = World::new().await;
    let mut wanted = wish(PAT, "alice", &[]);
    wanted.services = Some(Services::All);
    let (_, secret) = world.issue(wanted).await;
    let (_, named) = {
        world.service_that("hidden", |s| s.visibility = Visibility::Administrators).await;
        world.issue(wish(PAT, "alice", &["hidden"])).await
    };
    world.unit("u2").await;
    world.service_that("theirs", |s| s.unit = Some("u2".into())).await;
    world.service_that("public", |s| s.visibility = Visibility::Public).await;
    for service in ["hidden", "theirs"] {
        let said = reason(&world.verify(&secret, None, service).await);
        assert_eq!(said, Some(Reason::WrongService), "{service}");
    }
    for service in ["git", "public"] {
        assert_eq!(reason(&world.verify(&secret, None, service).await), None, "{service}");
    }
    // Who was given one by name keeps it.
    assert_eq!(reason(&world.verify(&named, None, "hidden").await), None);
    world.moved_into_unit("alice", "u2").await;
    assert_eq!(reason(&world.verify(&secret, None, "theirs").await), None);
}

#[tokio::test]
async fn a_service_shows_secrets_to_issuers_only_where_its_realm_does() {
    let world = World::new().await;
    let showing = serde_json::json!({ "show_to_issuer": true });
    let edit = || ServiceEdit {
        token_policy: showing.as_object().cloned().map(PolicyEdit::Merge),
        ..Default::default()
    };
    let (admin, realm, git) = (&world.admin, &world.realm, label("git"));
    let said = world.authority.edit_service(admin, realm, &git, edit(), None).await.unwrap_err();
    assert!(matches!(said, Refusal::Invalid { .. }), "{said:?}");
    // One that says so from before the realm was narrowed shows nothing either.
    world.change_service("git", |git| git.token_policy.show_to_issuer = Some(true)).await;
    world.grant("bob", Role::RealmAdmin).await;
    let bob = world.person("bob", &["tokens:write"]).await;
    let wanted = wish(Kind::ServiceToken, "alice", &["git"]);
    let issued = world.authority.issue(&bob, &world.realm, wanted, None).await.unwrap();
    assert!(world.authority.is_link(&ClearSecret::new(fresh(issued).1)));
}

//! Editing: what an edit takes up at the services it leads to.

use counterfoil_authority::authority::{Expiry, ServiceEdit, TokenEdit};
use counterfoil_authority::event::Origin;
use counterfoil_authority::kind::Kind;
use counterfoil_authority::policy::{AtLimit, SecretSource, SelfSelect, TokenPolicy};
use counterfoil_authority::refusal::Refusal;
use counterfoil_authority::secret::ClearSecret;
use counterfoil_authority::service::Services;
use counterfoil_authority::token::Token;
use counterfoil_authority::verdict::{Door, Reason};

use crate::world::{World, fresh, label, reason, wish};

const PAT: Kind = Kind::PersonalAccessToken;

fn to(services: &[&str]) -> TokenEdit {
    let labels = services.iter().map(|text| label(text)).collect();
    TokenEdit { services: Some(Services::Named(labels)), ..TokenEdit::default() }
}

impl World {
    async fn edit(&self, token: &Token, edit: TokenEdit) -> Result<Token, Refusal> {
        self.authority.edit_token(&self.admin, &self.realm, token.id, edit, None).await
    }

    async fn limited(&self, service: &str, max: u32, at_limit: AtLimit) {
        let policy = TokenPolicy {
            max_active_per_user: Some(max),
            at_limit: Some(at_limit),
            ..TokenPolicy::default()
        };
        self.add_service(service, policy).await;
    }
}

#[tokio::test]
async fn a_token_moves_to_a_limited_service_while_there_is_room_and_replaces_nobody() {
    let world = World::new().await;
    for (service, at_limit) in [("strict", AtLimit::Refuse), ("easy", AtLimit::ReplaceOldest)] {
        world.limited(service, 2, at_limit).await;
        let (held, _) = world.issue(wish(PAT, "alice", &[service])).await;
        let (first, _) = world.issue(wish(PAT, "alice", &["git"])).await;
        let (second, _) = world.issue(wish(PAT, "alice", &["git"])).await;
        let (of_bob, _) = world.issue(wish(PAT, "bob", &["git"])).await;
        world.edit(&first, to(&["git", service])).await.unwrap();
        let refused = world.edit(&second, to(&[service])).await.unwrap_err();
        assert!(matches!(refused, Refusal::AtLimit(2)), "{service}: {refused:?}");
        assert_eq!(world.stored(&held).await.revocation, None);
        world.edit(&of_bob, to(&[service])).await.unwrap();
        // What is there already may be edited, also when it becomes good for more.
        world.edit(&held, to(&[service, "git"])).await.unwrap();
    }
}

#[tokio::test]
async fn an_expired_token_does_not_come_back_beyond_the_limit() {
    let world = World::new().await;
    world.limited("strict", 1, AtLimit::Refuse).await;
    let (first, _) = world.issue(wish(PAT, "alice", &["strict"])).await;
    let ends = |expiry| TokenEdit { expires: Some(expiry), ..TokenEdit::default() };
    world.edit(&first, ends(Expiry::After(1))).await.unwrap();
    world.clock.advance_seconds(2);
    world.issue(wish(PAT, "alice", &["strict"])).await;
    let refused = world.edit(&first, ends(Expiry::After(3600))).await.unwrap_err();
    assert!(matches!(refused, Refusal::AtLimit(1)), "{refused:?}");
}

#[tokio::test]
async fn an_edit_is_no_way_round_an_approval_nor_to_another_service_for_a_chosen_secret() {
    let world = World::new().await;
    let approving = TokenPolicy { approval: Some(true), ..TokenPolicy::default() };
    world.add_service("vault", approving).await;
    let (token, _) = world.issue(wish(PAT, "alice", &["git"])).await;
    let refused = world.edit(&token, to(&["vault"])).await.unwrap_err();
    assert!(matches!(&refused, Refusal::Policy(why) if why.contains("vault")), "{refused:?}");

    let choosing = TokenPolicy {
        source: Some(SecretSource::SelfSelect),
        self_select: Some(SelfSelect { min: 8, max: 64 }),
        ..TokenPolicy::default()
    };
    world.add_service("hpc", choosing).await;
    let mut chosen = wish(Kind::ServiceToken, "alice", &["hpc"]);
    chosen.secret = Some(ClearSecret::new("correct horse battery".into()));
    let (token, _) = world.issue(chosen).await;
    let refused = world.edit(&token, to(&["mail"])).await.unwrap_err();
    assert!(matches!(refused, Refusal::Policy(_)), "{refused:?}");
}

#[tokio::test]
async fn a_limit_counts_the_tokens_of_its_own_service_only() {
    let world = World::new().await;
    world.limited("strict", 1, AtLimit::Refuse).await;
    world.issue(wish(PAT, "alice", &["git"])).await;
    world.issue(wish(PAT, "alice", &["git", "strict"])).await;
    let refused = world.refusal(&world.admin, wish(PAT, "alice", &["strict", "git"])).await;
    assert!(matches!(refused, Refusal::AtLimit(1)));
}

#[tokio::test]
async fn naming_services_instead_of_all_is_no_way_round_their_policies() {
    let world = World::new().await;
    let approving = TokenPolicy { approval: Some(true), ..TokenPolicy::default() };
    world.add_service("vault", approving).await;
    let by_administrators =
        TokenPolicy { issue_by: Some(vec!["administrators".into()]), ..TokenPolicy::default() };
    world.add_service("root", by_administrators).await;
    world.limited("strict", 1, AtLimit::Refuse).await;
    let alice = world.person("alice", &["tokens:write"]).await;
    let all = || {
        let mut all = wish(PAT, "alice", &[]);
        all.services = Some(Services::All);
        all
    };
    let issued = world.authority.issue(&alice, &world.realm, all(), None).await.unwrap();
    let (own, secret) = fresh(issued);
    for service in ["vault", "root"] {
        let edited = world.authority.edit_token(&alice, &world.realm, own.id, to(&[service]), None);
        let refused = edited.await.unwrap_err();
        let expected = matches!(refused, Refusal::Policy(_) | Refusal::BeyondGrant(_));
        assert!(expected, "{service}: {refused:?}");
        let verdict = world.verify(&secret, None, service).await;
        assert_eq!(reason(&verdict), Some(Reason::PolicyBlocked));
    }
    let (given, _) = world.issue(all()).await;
    let narrowed = |id, services: &'static [&str]| {
        world.authority.edit_token(&alice, &world.realm, id, to(services), None)
    };
    narrowed(own.id, &["strict", "git"]).await.unwrap();
    let refused = narrowed(given.id, &["strict"]).await.unwrap_err();
    assert!(matches!(refused, Refusal::AtLimit(1)), "{refused:?}");
    // What an administrator issued for everything may be narrowed by its owner.
    narrowed(given.id, &["git"]).await.unwrap();
}

#[tokio::test]
async fn a_token_that_stood_in_a_text_before_keeps_nobody_from_changing_another() {
    let world = World::new().await;
    let (_, secret) = world.issue(wish(PAT, "alice", &["git"])).await;
    let found = world.store.service_find(&world.realm, &label("git")).await.unwrap();
    let mut before = found.unwrap();
    before.description = Some(secret);
    let origin = Origin::system(Door::Cli);
    let now = world.authority.now();
    let event = world.authority.event("service.updated", &world.realm, &origin, now).unwrap();
    world.store.service_update(before, event).await.unwrap();
    let edit = ServiceEdit { name: Some("Git".into()), ..ServiceEdit::default() };
    let git = label("git");
    let named = world.authority.edit_service(&world.admin, &world.realm, &git, edit, None).await;
    assert!(named.unwrap().description.is_some());
    let edit = ServiceEdit { description: Some(None), ..ServiceEdit::default() };
    let mended = world.authority.edit_service(&world.admin, &world.realm, &git, edit, None).await;
    assert_eq!(mended.unwrap().description, None);
}

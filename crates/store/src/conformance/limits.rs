//! Promises about limits on tokens that are active at the same time.

use counterfoil_authority::kind::Kind;
use counterfoil_authority::policy::AtLimit;
use counterfoil_authority::secret::TokenId;
use counterfoil_authority::service::Services;
use counterfoil_authority::store::{
    ActiveLimit, Counted, Issued, PageRequest, TokenFilter, TokenIssue,
};
use counterfoil_authority::subject::{Owner, User};
use counterfoil_authority::token::{State, Token};
use counterfoil_authority::validity::Validity;

use super::World;
use super::world::{limit, limit_of, race};

fn for_services(world: &World, user: &User, services: &[&str]) -> TokenIssue {
    world.issue_for(Owner::User(user.username.clone()), services)
}

async fn is_refused(world: &World, issue: TokenIssue, limit: ActiveLimit) -> bool {
    let max = limit.max;
    let issue = TokenIssue { limits: vec![limit], ..issue };
    match world.store.token_issue(issue).await.unwrap() {
        Issued::AtLimit(told) => {
            assert_eq!(told, max);
            true
        }
        Issued::Done { token, .. } => {
            world.revoke(token.id).await;
            false
        }
        other => panic!("{other:?}"),
    }
}

/// At the limit, not one before it; and one of several limits is enough.
pub(super) async fn a_limit_refuses_one_more(world: World) {
    let alice = world.user("alice").await;
    let at_most = |max| limit(max, AtLimit::Refuse);
    assert!(is_refused(&world, world.issue_to(&alice), at_most(0)).await);
    for _ in 0..2 {
        assert!(!is_refused(&world, world.issue_to(&alice), at_most(3)).await);
        world.token_of(&alice).await;
    }
    assert!(is_refused(&world, world.issue_to(&alice), at_most(2)).await);
    let mut both = world.issue_to(&alice);
    both.limits = vec![limit(9, AtLimit::Refuse), limit(1, AtLimit::Refuse)];
    let id = both.token.id;
    assert_eq!(world.store.token_issue(both).await.unwrap(), Issued::AtLimit(1));
    assert_eq!(world.store.token_record(id).await.unwrap(), None);
}

/// Another owner, kind or service does not count, nor does what was revoked or has ended.
pub(super) async fn only_live_tokens_of_the_same_sort_count(world: World) {
    let (alice, bob) = (world.user("alice").await, world.user("bob").await);
    world.service("git").await;
    world.service("wiki").await;
    let git = || for_services(&world, &alice, &["git"]);
    world.issued(for_services(&world, &bob, &["git"])).await;
    world.issued(for_services(&world, &alice, &["wiki"])).await;
    let mut other_kind = git();
    other_kind.token.kind = Kind::ServiceToken;
    world.issued(other_kind).await;
    let revoked = world.issued(git()).await;
    world.revoke(revoked.id).await;
    let mut ended = git();
    let began = World::at(-9);
    ended.token.validity = Validity::new(began, Some(World::at(0))).unwrap();
    world.issued(ended).await;
    let at_most = |max| limit_of("git", max, AtLimit::Refuse);
    assert!(!is_refused(&world, git(), at_most(1)).await);

    let mut switched_off = git();
    switched_off.token.enabled = false;
    world.issued(switched_off).await;
    assert!(is_refused(&world, git(), at_most(1)).await, "whoever is switched off may come back");
    // A token for several services counts at each of them, and at each only its own kin.
    let both = || for_services(&world, &alice, &["git", "wiki"]);
    assert!(is_refused(&world, both(), at_most(1)).await);
    assert!(!is_refused(&world, both(), at_most(2)).await);
    world.issued(both()).await;
    for service in ["git", "wiki"] {
        let two = limit_of(service, 2, AtLimit::Refuse);
        assert!(is_refused(&world, git(), two).await, "{service}");
    }
    let all = || {
        let mut all = git();
        all.token.services = Services::All;
        all
    };
    let of_all = ActiveLimit { of: Counted::EveryService, ..at_most(1) };
    assert!(!is_refused(&world, all(), of_all.clone()).await);
    world.issued(all()).await;
    assert!(is_refused(&world, all(), of_all).await);
}

/// A keyed secret is no burden to it, and not burdened by it.
pub(super) async fn a_limit_on_slow_hashes_counts_only_those(world: World) {
    let alice = world.user("alice").await;
    let slow_only = ActiveLimit { slow_only: true, ..limit(1, AtLimit::Refuse) };
    let keyed = || TokenIssue { limits: vec![slow_only.clone()], ..world.issue_to(&alice) };
    let slow = || TokenIssue { secret: world.slow_secret(), ..keyed() };
    world.issued(keyed()).await;
    world.issued(keyed()).await;
    world.issued(slow()).await;
    assert_eq!(world.store.token_issue(slow()).await.unwrap(), Issued::AtLimit(1));
    world.issued(keyed()).await;
}

async fn active(world: &World) -> Vec<Token> {
    let filter = TokenFilter { state: Some(State::Active), ..TokenFilter::default() };
    let page = PageRequest::first(1_000);
    world.store.token_list(&world.realm, filter, World::at(9), page).await.unwrap().items
}

/// With reason, event, and everything derived from it.
pub(super) async fn the_oldest_gives_way_where_policy_says_so(world: World) {
    let alice = world.user("alice").await;
    let mut held = Vec::new();
    for _ in 0..3 {
        held.push(world.token_of(&alice).await.id);
    }
    let mut derived = world.issue_to(&alice);
    derived.token.kind = Kind::DerivedToken;
    derived.token.parent = Some(held[0]);
    let derived = world.issued(derived).await.id;
    let mut issue = world.issue_to(&alice);
    issue.limits = vec![limit(2, AtLimit::ReplaceOldest)];
    let at = issue.token.created_at;
    let said = world.store.token_issue(issue).await.unwrap();
    let Issued::Done { token, replaced } = said else { panic!("{said:?}") };
    assert_eq!(replaced, held[..2]);
    for id in [held[0], held[1], derived] {
        let revocation = world.token(id).await.revocation.unwrap();
        assert_eq!((revocation.at, revocation.by.as_str()), (at, "user:root"), "{id}");
    }
    let reason = world.token(held[0]).await.revocation.unwrap().reason;
    assert_eq!(reason.as_deref(), Some("replaced"));
    let left: Vec<TokenId> = active(&world).await.iter().map(|token| token.id).collect();
    assert_eq!(left, [token.id, held[2]]);
    let events = world.events().await;
    let about = |kind: &str| -> Vec<TokenId> {
        let told = events.iter().filter(|event| event.kind == kind);
        let mut about: Vec<_> = told.map(|event| event.token.unwrap()).collect();
        about.sort();
        about
    };
    let mut gone = replaced;
    gone.sort();
    assert_eq!(about("token.replaced"), gone);
    assert_eq!(about("token.revoked"), [derived]);
    let mut none = world.issue_to(&alice);
    none.limits = vec![limit(0, AtLimit::ReplaceOldest)];
    assert_eq!(world.store.token_issue(none).await.unwrap(), Issued::AtLimit(0));
}

async fn hundred_issues(world: &World, max: u32, at_limit: AtLimit) -> Vec<Issued> {
    let alice = world.user("alice").await;
    race(100, |_| {
        let (world, alice) = (world.clone(), alice.clone());
        async move {
            let mut issue = world.issue_to(&alice);
            issue.limits = vec![limit(max, at_limit)];
            world.store.token_issue(issue).await.unwrap()
        }
    })
    .await
}

/// COmanage's way: all succeed, one remains.
pub(super) async fn of_a_hundred_issues_one_stays_active(world: World) {
    let said = hundred_issues(&world, 1, AtLimit::ReplaceOldest).await;
    assert!(said.iter().all(|said| matches!(said, Issued::Done { .. })));
    assert_eq!(active(&world).await.len(), 1);
    assert_eq!(world.count_events("token.replaced").await, 99);
}

/// The others are told the limit.
pub(super) async fn of_a_hundred_issues_as_many_succeed_as_are_allowed(world: World) {
    let said = hundred_issues(&world, 7, AtLimit::Refuse).await;
    assert_eq!(said.iter().filter(|said| matches!(said, Issued::Done { .. })).count(), 7);
    assert_eq!(said.iter().filter(|said| **said == Issued::AtLimit(7)).count(), 93);
    assert_eq!(active(&world).await.len(), 7);
}

fn of_realm(max: u32) -> ActiveLimit {
    ActiveLimit { of: Counted::Realm, ..limit(max, AtLimit::Refuse) }
}

/// Whatever they are for; of another kind or owner, revoked or ended, none counts.
pub(super) async fn a_limit_of_the_realm_counts_over_all_services(world: World) {
    let (alice, bob) = (world.user("alice").await, world.user("bob").await);
    for service in ["git", "wiki"] {
        world.service(service).await;
    }
    world.issued(for_services(&world, &bob, &["git"])).await;
    let mut other_kind = for_services(&world, &alice, &["git"]);
    other_kind.token.kind = Kind::ServiceToken;
    world.issued(other_kind).await;
    let revoked = world.issued(for_services(&world, &alice, &["git"])).await;
    world.revoke(revoked.id).await;
    world.issued(for_services(&world, &alice, &["git"])).await;
    let wiki = || for_services(&world, &alice, &["wiki"]);
    assert!(is_refused(&world, wiki(), of_realm(1)).await);
    assert!(!is_refused(&world, wiki(), of_realm(2)).await);
    world.issued(wiki()).await;
    let mut all = wiki();
    all.token.services = Services::All;
    assert!(is_refused(&world, all.clone(), of_realm(2)).await);
    assert!(!is_refused(&world, all, of_realm(3)).await);
}

/// What a service replaces makes room, and a token of another service never gives way.
pub(super) async fn a_limit_of_the_realm_replaces_nothing(world: World) {
    let alice = world.user("alice").await;
    for service in ["git", "wiki"] {
        world.service(service).await;
    }
    let git = world.issued(for_services(&world, &alice, &["git"])).await;
    let wiki = world.issued(for_services(&world, &alice, &["wiki"])).await;
    let mut issue = for_services(&world, &alice, &["git"]);
    issue.limits = vec![of_realm(2), limit_of("git", 1, AtLimit::ReplaceOldest)];
    let said = world.store.token_issue(issue).await.unwrap();
    let Issued::Done { replaced, .. } = said else { panic!("{said:?}") };
    assert_eq!(replaced, [git.id]);
    let mut issue = for_services(&world, &alice, &["git"]);
    issue.limits = vec![ActiveLimit { at_limit: AtLimit::ReplaceOldest, ..of_realm(0) }];
    assert_eq!(world.store.token_issue(issue).await.unwrap(), Issued::AtLimit(0));
    assert_eq!(world.token(wiki.id).await.revocation, None);
}

/// Fifty at the same moment, each for another service.
pub(super) async fn of_fifty_issues_as_many_succeed_as_the_realm_allows(world: World) {
    let alice = world.user("alice").await;
    for number in 0..5 {
        world.service(&format!("service{number}")).await;
    }
    let said = race(50, |number| {
        let (world, alice) = (world.clone(), alice.clone());
        async move {
            let mut issue = for_services(&world, &alice, &[&format!("service{}", number % 5)]);
            issue.limits = vec![of_realm(9)];
            world.store.token_issue(issue).await.unwrap()
        }
    })
    .await;
    assert_eq!(said.iter().filter(|said| matches!(said, Issued::Done { .. })).count(), 9);
    assert_eq!(said.iter().filter(|said| **said == Issued::AtLimit(9)).count(), 41);
    assert_eq!(active(&world).await.len(), 9);
}

//! One-time links: who gets one, and what opening it does.

use counterfoil_authority::authority::Delivery;
use counterfoil_authority::kind::Kind;
use counterfoil_authority::policy::TokenPolicy;
use counterfoil_authority::refusal::{Refusal, Thing};
use counterfoil_authority::secret::ClearSecret;
use counterfoil_authority::service::Realm;
use counterfoil_authority::store::{EventFilter, LinkEnd, PageRequest};

use crate::world::{World, context, fresh, reason, wish};

async fn opened(world: &World, link: &str) -> Result<String, Refusal> {
    let link = ClearSecret::new(link.to_owned());
    world.authority.open_link(&link, context()).await.map(|answered| fresh(answered).1)
}

/// What the events say of openings, newest first.
async fn told(world: &World) -> Vec<String> {
    world.authority.flush_usage().await.unwrap();
    let page = PageRequest::first(100);
    let events = world.store.event_list(&world.realm, EventFilter::default(), page).await.unwrap();
    let kinds = events.items.into_iter().map(|event| event.kind.into_owned());
    kinds.filter(|kind| kind.starts_with("link.")).collect()
}

fn by_link(user: &str, service: &str) -> counterfoil_authority::authority::IssueRequest {
    let mut wish = wish(Kind::ServiceToken, user, &[service]);
    wish.delivery = Delivery::Link;
    wish
}

#[tokio::test]
async fn a_link_makes_the_secret_when_it_is_opened_and_never_again() {
    let world = World::new().await;
    let (token, link) = world.issue(by_link("alice", "git")).await;
    assert!(link.starts_with("cflb_"), "{link}");
    assert_eq!(world.stored(&token).await.secrets, []);
    let secret = opened(&world, &link).await.unwrap();
    assert!(reason(&world.verify(&secret, Some("alice"), "git").await).is_none());
    world.clock.advance_seconds(1);
    let again = opened(&world, &link).await.unwrap_err();
    assert!(matches!(again, Refusal::LinkEnded(LinkEnd::Opened)), "{again:?}");
    assert_eq!(told(&world).await, ["link.reopened", "link.opened"]);
}

#[tokio::test]
async fn a_link_opens_nothing_but_itself() {
    let world = World::new().await;
    let (_, link) = world.issue(by_link("alice", "git")).await;
    assert!(world.authority.authenticate(&link, context()).await.is_err());
    assert!(reason(&world.verify(&link, None, "git").await).is_some());
    let presented = [ClearSecret::new(link.clone())];
    world.authority.revoke_by_possession(&presented, context()).await.unwrap();
    opened(&world, &link).await.unwrap();
}

#[tokio::test]
async fn what_never_was_a_link_is_unknown_and_what_ended_is_told_to_its_holder() {
    let world = World::new().await;
    let (token, link) = world.issue(by_link("alice", "git")).await;
    let mut wrong = link.clone();
    let last = if wrong.pop() == Some('a') { 'b' } else { 'a' };
    wrong.push(last);
    let (_, secret) = world.issue(wish(Kind::ServiceToken, "alice", &["git"])).await;
    for text in [wrong.as_str(), secret.as_str(), "", "cflb_x"] {
        let said = opened(&world, text).await.unwrap_err();
        assert!(matches!(said, Refusal::NotFound(Thing::Link)), "{said:?}");
    }
    world.clock.advance_seconds(86_400);
    let late = opened(&world, &link).await.unwrap_err();
    assert!(matches!(late, Refusal::LinkEnded(LinkEnd::Expired)), "{late:?}");
    assert_eq!(world.stored(&token).await.secrets, []);
    assert_eq!(told(&world).await, ["link.refused"]);
}

#[tokio::test]
async fn a_person_who_issues_for_somebody_else_gets_a_link_unless_policy_shows_the_secret() {
    let world = World::new().await;
    world.add_user("carol").await;
    world.grant("carol", counterfoil_authority::subject::Role::RealmAdmin).await;
    let carol = world.person("carol", &["tokens:write"]).await;
    let issue = |wish| world.authority.issue(&carol, &world.realm, wish, None);
    let theirs = || wish(Kind::ServiceToken, "alice", &["git"]);
    let (_, secret) = fresh(issue(theirs()).await.unwrap());
    assert!(secret.starts_with("cflb_"));
    let mut shown = theirs();
    shown.delivery = Delivery::Response;
    let said = issue(shown.clone()).await.unwrap_err();
    assert!(matches!(said, Refusal::Policy(_)), "{said:?}");
    let (_, own) = fresh(issue(wish(Kind::ServiceToken, "carol", &["git"])).await.unwrap());
    assert!(!own.starts_with("cflb_"));

    let open = TokenPolicy { show_to_issuer: Some(true), ..TokenPolicy::default() };
    let main = world.store.realm_find(&world.realm).await.unwrap().unwrap();
    let event =
        world.authority.event("realm.updated", &world.realm, &carol.origin, main.created_at);
    let main = Realm { token_policy: open, ..main };
    world.store.realm_update(main, event.unwrap()).await.unwrap();
    let closed = TokenPolicy { show_to_issuer: Some(false), ..TokenPolicy::default() };
    world.change_service("git", |git| git.token_policy = closed).await;
    let (_, secret) = fresh(issue(theirs()).await.unwrap());
    assert!(secret.starts_with("cflb_"), "a service may show less than its realm");
    world.add_service("wiki", TokenPolicy::default()).await;
    let mut wiki = wish(Kind::ServiceToken, "alice", &["wiki"]);
    let (_, secret) = fresh(issue(wiki.clone()).await.unwrap());
    assert!(!secret.starts_with("cflb_"));
    wiki.delivery = Delivery::Response;
    issue(wiki).await.unwrap();
}

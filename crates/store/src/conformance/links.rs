//! Promises about one-time links.

use counterfoil_authority::secret::TokenId;
use counterfoil_authority::secret_hash::SecretHash;
use counterfoil_authority::store::{
    Issued, LINK_RETENTION_SECONDS, Link, LinkEnd, LinkIssue, LinkOpen, LinkOpened,
};
use counterfoil_authority::subject::User;
use counterfoil_authority::token::Slot;
use counterfoil_authority::validity::Validity;

use super::World;
use super::world::{limit, race};

/// A token for a person, to be delivered by a link that lives an hour.
fn by_link(world: &World, user: &User) -> LinkIssue {
    let issue = world.issue_to(user);
    let id = world.issue_to(user).token.id;
    let link = Link {
        id,
        realm: world.realm.clone(),
        token: issue.token.id,
        created_at: issue.token.created_at,
        expires_at: World::at(3_600),
        hash: SecretHash::Keyed { pepper: 1, mac: world.mac() },
        opened_at: None,
        sealed: Some(vec![1, 2, 3]),
    };
    LinkIssue {
        token: issue.token,
        link,
        limits: Vec::new(),
        idempotency: None,
        event: issue.event,
    }
}

fn opening(world: &World, link: &Link) -> LinkOpen {
    LinkOpen {
        id: link.id,
        token: link.token,
        realm: world.realm.clone(),
        secret: world.secret(),
        at: world.now(),
        event: world.event("link.opened").with_token(link.token),
    }
}

async fn issued(world: &World, issue: &LinkIssue) {
    let said = world.store.link_issue(issue.clone()).await.unwrap();
    assert_eq!(said, Issued::Done { token: issue.token.clone(), replaced: Vec::new() });
}

/// No secret of it is stored anywhere, and so none verifies.
pub(super) async fn a_token_waits_for_its_link_without_a_secret(world: World) {
    let alice = world.user("alice").await;
    let issue = by_link(&world, &alice);
    issued(&world, &issue).await;
    let token = world.token(issue.token.id).await;
    assert_eq!((token.secrets.len(), token.version), (0, 1));
    let record = world.store.token_record(token.id).await.unwrap().unwrap();
    assert_eq!(record.secrets, []);
    assert_eq!(world.store.link_find(issue.link.id).await.unwrap(), Some(issue.link.clone()));
    // The link itself is no token.
    assert_eq!(world.store.token_record(issue.link.id).await.unwrap(), None);
    let unknown = TokenId::parse("000000000000").unwrap();
    assert_eq!(world.store.link_find(unknown).await.unwrap(), None);
    assert_eq!(world.count_events("token.issued").await, 1);
}

/// It is the current one, the log of changes names the token, and the link is in no letter any more.
pub(super) async fn an_opening_gives_the_token_its_secret(world: World) {
    let alice = world.user("alice").await;
    let issue = by_link(&world, &alice);
    issued(&world, &issue).await;
    let open = opening(&world, &issue.link);
    let said = world.store.link_open(open.clone()).await.unwrap();
    let LinkOpened::Done(token) = said else { panic!("{said:?}") };
    assert_eq!((token.version, token.secrets.len()), (2, 1));
    assert_eq!(token.secrets[0].slot, Slot::Current);
    assert_eq!(world.token(token.id).await, token);
    let record = world.store.token_record(token.id).await.unwrap().unwrap();
    assert_eq!(record.secrets, [open.secret]);
    let link = world.store.link_find(issue.link.id).await.unwrap().unwrap();
    assert_eq!((link.opened_at, link.sealed), (Some(open.at), None));
    assert_eq!(world.count_events("link.opened").await, 1);
}

/// The second and every later one.
pub(super) async fn of_sixty_four_openings_one_wins(world: World) {
    let alice = world.user("alice").await;
    let issue = by_link(&world, &alice);
    issued(&world, &issue).await;
    let said = race(64, |_| {
        let (store, open) = (world.store.clone(), opening(&world, &issue.link));
        async move { store.link_open(open).await.unwrap() }
    })
    .await;
    let done = said.iter().filter(|said| matches!(said, LinkOpened::Done(_))).count();
    let late = said.iter().filter(|s| **s == LinkOpened::Refused(LinkEnd::Opened)).count();
    assert_eq!((done, late), (1, 63));
    assert_eq!(world.token(issue.token.id).await.secrets.len(), 1);
    assert_eq!(world.count_events("link.opened").await, 1);
}

/// At its end, when the token was revoked or expired, and when the token was rotated before.
pub(super) async fn a_link_that_has_ended_does_not_open(world: World) {
    let alice = world.user("alice").await;
    let late = by_link(&world, &alice);
    issued(&world, &late).await;
    let open = LinkOpen { at: World::at(3_600), ..opening(&world, &late.link) };
    let said = world.store.link_open(open).await.unwrap();
    assert_eq!(said, LinkOpened::Refused(LinkEnd::Expired));

    let revoked = by_link(&world, &alice);
    issued(&world, &revoked).await;
    world.revoke(revoked.token.id).await;
    let mut expired = by_link(&world, &alice);
    expired.token.validity = Validity::new(World::at(-9), Some(World::at(1))).unwrap();
    issued(&world, &expired).await;
    let rotated = by_link(&world, &alice);
    issued(&world, &rotated).await;
    world.store.token_rotate(world.rotate(&rotated.token)).await.unwrap();
    for (issue, at) in [(&revoked, 1), (&expired, 1), (&rotated, 1)] {
        let open = LinkOpen { at: World::at(at), ..opening(&world, &issue.link) };
        let said = world.store.link_open(open).await.unwrap();
        assert_eq!(said, LinkOpened::Refused(LinkEnd::TokenEnded));
    }
    assert_eq!(world.token(rotated.token.id).await.secrets.len(), 1);
    assert_eq!(world.token(revoked.token.id).await.secrets.len(), 0);
    assert_eq!(world.count_events("link.opened").await, 0);
}

/// A taken id, of the token or of the link, leaves neither.
pub(super) async fn a_link_whose_id_is_taken_is_refused_without_a_trace(world: World) {
    let alice = world.user("alice").await;
    let first = by_link(&world, &alice);
    issued(&world, &first).await;
    let mut second = by_link(&world, &alice);
    second.link.id = first.link.id;
    assert_eq!(world.store.link_issue(second.clone()).await.unwrap(), Issued::Collision);
    let found = world.store.token_find(&world.realm, second.token.id).await.unwrap();
    assert_eq!(found, None);
    assert_eq!(world.store.link_find(first.link.id).await.unwrap(), Some(first.link.clone()));
    let mut third = by_link(&world, &alice);
    third.token.id = first.token.id;
    assert_eq!(world.store.link_issue(third.clone()).await.unwrap(), Issued::Collision);
    assert_eq!(world.store.link_find(third.link.id).await.unwrap(), None);
}

/// Answers are kept, owners looked for, and limits counted.
pub(super) async fn an_issue_by_link_obeys_what_every_issue_obeys(world: World) {
    let alice = world.user("alice").await;
    let mut issue = by_link(&world, &alice);
    issue.idempotency = Some(World::idempotency("by-link", "key", 1));
    issued(&world, &issue).await;
    let kept = format!("answer for {}", issue.token.id).into_bytes();
    let mut again = by_link(&world, &alice);
    again.idempotency = Some(World::idempotency("by-link", "key", 1));
    let said = world.store.link_issue(again.clone()).await.unwrap();
    assert_eq!(said, Issued::Replayed(kept));
    again.idempotency = Some(World::idempotency("by-link", "key", 2));
    assert_eq!(world.store.link_issue(again).await.unwrap(), Issued::KeyReused);
    let mut limited = by_link(&world, &alice);
    limited.limits = vec![limit(1, counterfoil_authority::policy::AtLimit::Refuse)];
    assert_eq!(world.store.link_issue(limited).await.unwrap(), Issued::AtLimit(1));
    let nobody = by_link(&world, &world.user_named("nobody"));
    assert_eq!(world.store.link_issue(nobody).await.unwrap(), Issued::OwnerGone);
}

/// So that a second opening is recognised for a season, and not for ever.
pub(super) async fn a_purge_forgets_links_that_ended_long_ago(world: World) {
    let alice = world.user("alice").await;
    let mut issue = by_link(&world, &alice);
    // Before anything else in the store, so that the purge of this promise reaches only it.
    issue.link.expires_at = World::at(-90_000_000);
    issued(&world, &issue).await;
    let end = issue.link.expires_at.plus_seconds(LINK_RETENTION_SECONDS);
    world.store.purge(end.plus_seconds(-1), None).await.unwrap();
    assert!(world.store.link_find(issue.link.id).await.unwrap().is_some());
    world.store.purge(end, None).await.unwrap();
    assert_eq!(world.store.link_find(issue.link.id).await.unwrap(), None);
}

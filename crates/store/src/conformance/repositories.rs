//! Promises about tokens of repositories.

use std::sync::Arc;

use counterfoil_authority::clock::Timestamp;
use counterfoil_authority::kind::Kind;
use counterfoil_authority::names::RepositoryName;
use counterfoil_authority::policy::AtLimit;
use counterfoil_authority::repository::{Membership, Place, RepositoryLimit};
use counterfoil_authority::secret::TokenId;
use counterfoil_authority::store::{
    ActiveLimit, Assign, Counted, Issued, ListedBy, Listing, ListingFilter, ListingRemove,
    ListingRequest, Moved, Promote, Span, TokenIssue, TokenUpdated, UsageDelta,
};
use counterfoil_authority::subject::{Owner, User};
use counterfoil_authority::token::Token;
use counterfoil_authority::validity::Validity;

use super::World;
use super::world::race;

fn name() -> RepositoryName {
    RepositoryName::parse("keys").unwrap()
}

/// A token in a place of the repository.
fn placed(world: &World, user: &User, place: Place) -> TokenIssue {
    let mut issue = world.issue_for(Owner::User(user.username.clone()), &["counterfoil"]);
    issue.token.kind = Kind::Generic;
    issue.token.repository = Some(Membership { name: name(), place });
    issue
}

async fn held(world: &World, user: &User) -> Token {
    world.issued(placed(world, user, Place::Held)).await
}

fn request(world: &World) -> ListingRequest {
    ListingRequest {
        realm: world.realm.clone(),
        repository: name(),
        filter: ListingFilter::default(),
        by: ListedBy::Age,
        descending: false,
        limit: 10,
        after: None,
        now: World::at(50),
    }
}

async fn listed(world: &World, request: ListingRequest) -> Vec<TokenId> {
    let (found, _) = world.store.listing_page(request).await.unwrap();
    found.iter().map(|listing| listing.token.id).collect()
}

async fn found(world: &World, id: TokenId) -> Option<Listing> {
    world.store.listing_find(&world.realm, id).await.unwrap()
}

/// With what is kept beside it, and in no other realm.
pub(super) async fn a_token_of_a_repository_is_found_in_it(world: World) {
    let alice = world.user("alice").await;
    let mut issue = placed(&world, &alice, Place::Held);
    issue.data = Some(vec![1, 2, 3]);
    let token = world.issued(issue).await;
    let listing = found(&world, token.id).await.unwrap();
    assert_eq!((&listing.token, listing.sealed.as_deref()), (&token, Some(&[1, 2, 3][..])));
    assert_eq!((listing.held_since, listing.total), (Some(token.created_at), 0));
    let other = counterfoil_authority::names::RealmName::parse("elsewhere").unwrap();
    assert_eq!(world.store.listing_find(&other, token.id).await.unwrap(), None);
    let plain = world.token_of(&alice).await;
    assert_eq!(found(&world, plain.id).await, None);
    let mut update = world.update(token.clone());
    update.data = Some(vec![4]);
    update.token.airlock.serial = Some("S".into());
    world.store.token_update(update).await.unwrap();
    let listing = found(&world, token.id).await.unwrap();
    assert_eq!(listing.sealed, Some(vec![4]));
    let by_serial = ListingFilter { serial: Some("S".into()), ..ListingFilter::default() };
    let request = ListingRequest { filter: by_serial, ..request(&world) };
    assert_eq!(listed(&world, request).await, [token.id]);
}

/// Among tokens that are in the repository; a plain token has no such rival.
pub(super) async fn a_serial_belongs_to_one_token_of_a_repository(world: World) {
    let alice = world.user("alice").await;
    let numbered = || {
        let mut issue = placed(&world, &alice, Place::Held);
        issue.token.airlock.serial = Some("A-17".into());
        issue
    };
    let first = world.issued(numbered()).await;
    assert_eq!(world.store.token_issue(numbered()).await.unwrap(), Issued::SerialTaken);
    let second = held(&world, &alice).await;
    let mut update = world.update(second);
    update.token.airlock.serial = Some("A-17".into());
    assert_eq!(world.store.token_update(update).await.unwrap(), TokenUpdated::SerialTaken);
    let remove = removal(&world, first.id, false);
    assert!(matches!(world.store.listing_remove(remove).await.unwrap(), Moved::Done(_)));
    world.issued(numbered()).await;
}

/// However many issue at the same time; revoked ones leave room, disabled ones do not.
pub(super) async fn a_repository_holds_no_more_of_a_person_than_allowed(world: World) {
    let alice = world.user("alice").await;
    let limit = ActiveLimit {
        of: Counted::Repository(RepositoryLimit { name: name(), count_expired: false }),
        max: 1,
        at_limit: AtLimit::Refuse,
        slow_only: false,
    };
    let store = Arc::clone(&world.store);
    let issue =
        || TokenIssue { limits: vec![limit.clone()], ..placed(&world, &alice, Place::Held) };
    let issues: Vec<TokenIssue> = (0..50).map(|_| issue()).collect();
    let told = race(50, |number| {
        let (store, issue) = (Arc::clone(&store), issues[number].clone());
        async move { store.token_issue(issue).await.unwrap() }
    })
    .await;
    let done: Vec<&Issued> =
        told.iter().filter(|said| matches!(said, Issued::Done { .. })).collect();
    assert_eq!(done.len(), 1, "{told:?}");
    let [Issued::Done { token, .. }] = done.as_slice() else { panic!("{done:?}") };
    world.revoke(token.id).await;
    world.issued(issue()).await;
}

fn removal(world: &World, id: TokenId, promote: bool) -> ListingRemove {
    ListingRemove {
        realm: world.realm.clone(),
        id,
        expected_version: None,
        promote,
        at: World::at(60),
        event: world.event("token.deleted").with_token(id),
    }
}

fn promotion(world: &World, user: &User, next: Option<TokenId>, retire_at: Timestamp) -> Promote {
    Promote {
        realm: world.realm.clone(),
        repository: name(),
        owner: user.username.clone(),
        next,
        retire_at,
        at: World::at(60),
        event: world.event("token.promoted"),
    }
}

/// One of many who ask; the former one ends, or counts on for its grace.
pub(super) async fn a_next_credential_is_promoted_once(world: World) {
    let alice = world.user("alice").await;
    let current = world.issued(placed(&world, &alice, Place::Current)).await;
    let next = world.issued(placed(&world, &alice, Place::Next)).await;
    let twin = world.store.token_issue(placed(&world, &alice, Place::Next)).await.unwrap();
    assert_eq!(twin, Issued::PlaceTaken);
    let other = promotion(&world, &alice, Some(current.id), World::at(60));
    assert_eq!(world.store.credential_promote(other).await.unwrap(), None);
    let store = Arc::clone(&world.store);
    let asks: Vec<Promote> =
        (0..40).map(|_| promotion(&world, &alice, Some(next.id), World::at(60))).collect();
    let told = race(40, |number| {
        let (store, ask) = (Arc::clone(&store), asks[number].clone());
        async move { store.credential_promote(ask).await.unwrap() }
    })
    .await;
    let done: Vec<Listing> = told.into_iter().flatten().collect();
    assert_eq!(done.len(), 1);
    let place = done[0].token.repository.as_ref().map(|member| member.place);
    assert_eq!((done[0].token.id, place), (next.id, Some(Place::Current)));
    assert_eq!(found(&world, current.id).await, None);
    let record = world.store.token_record(current.id).await.unwrap().unwrap();
    assert!(record.revoked);
    let third = world.issued(placed(&world, &alice, Place::Next)).await;
    let graced = promotion(&world, &alice, None, World::at(90));
    world.store.credential_promote(graced).await.unwrap().unwrap();
    let record = world.store.token_record(next.id).await.unwrap().unwrap();
    assert_eq!((record.revoked, record.validity.expires_at()), (false, Some(World::at(90))));
    assert_eq!(found(&world, third.id).await.unwrap().token.id, third.id);
}

/// And then the next one takes the place, where it is to.
pub(super) async fn a_token_leaves_its_repository_for_good(world: World) {
    let alice = world.user("alice").await;
    let current = world.issued(placed(&world, &alice, Place::Current)).await;
    let next = world.issued(placed(&world, &alice, Place::Next)).await;
    let stale = ListingRemove { expected_version: Some(9), ..removal(&world, current.id, true) };
    assert_eq!(world.store.listing_remove(stale).await.unwrap(), Moved::VersionMismatch);
    let removed = world.store.listing_remove(removal(&world, current.id, true)).await.unwrap();
    assert!(matches!(removed, Moved::Done(listing) if listing.token.id == current.id));
    let again = world.store.listing_remove(removal(&world, current.id, true)).await.unwrap();
    assert_eq!(again, Moved::NotFound);
    let left = found(&world, next.id).await.unwrap().token.repository.unwrap();
    assert_eq!(left.place, Place::Current);
    let tomb = world.store.token_find(&world.realm, current.id).await.unwrap().unwrap();
    assert!(tomb.revocation.is_some());
    assert_eq!(world.count_events("token.promoted").await, 1);
}

fn handing(world: &World, id: TokenId, to: Option<&User>) -> Assign {
    Assign {
        realm: world.realm.clone(),
        id,
        to: to.map(|user| user.username.clone()),
        keeper: Owner::User(counterfoil_authority::names::Username::parse("keeper").unwrap()),
        limits: Vec::new(),
        pending: to.is_none(),
        expected_version: None,
        at: World::at(60),
        event: world.event("token.assigned").with_token(id),
    }
}

/// And what it did for one person is not another's.
pub(super) async fn a_token_of_the_stock_changes_hands(world: World) {
    let keeper = world.user("keeper").await;
    let (alice, bob) = (world.user("alice").await, world.user("bob").await);
    let mut issue = placed(&world, &keeper, Place::Stock);
    issue.token.pending = true;
    issue.token.activated_at = None;
    let token = world.issued(issue).await;
    let assign =
        async |to| world.store.listing_assign(handing(&world, token.id, to)).await.unwrap();
    assert_eq!(assign(None).await, Moved::Unassigned);
    let Moved::Done(given) = assign(Some(&alice)).await else { panic!("not given") };
    assert_eq!(given.token.owner, Owner::User(alice.username.clone()));
    assert_eq!((given.token.pending, given.held_since), (false, Some(World::at(60))));
    assert_eq!(given.token.activated_at, Some(World::at(60)));
    assert_eq!(assign(Some(&bob)).await, Moved::Assigned);
    let used = UsageDelta {
        token: token.id,
        accepted: 3,
        denied: 0,
        first_at: Some(World::at(70)),
        last_at: Some(World::at(80)),
        last_ip: None,
        is_listed: true,
    };
    world.store.usage_flush(vec![used], Vec::new(), Vec::new()).await.unwrap();
    let listing = found(&world, token.id).await.unwrap();
    assert_eq!((listing.total, listing.last_at), (3, Some(World::at(80))));
    assert_eq!(listing.first_at, Some(World::at(70)));
    let Moved::Done(back) = assign(None).await else { panic!("not taken back") };
    assert_eq!((back.held_since, back.total, back.last_at), (None, 0, None));
    assert!(back.token.pending);
    let later = Assign { at: World::at(90), ..handing(&world, token.id, Some(&bob)) };
    let Moved::Done(given) = world.store.listing_assign(later).await.unwrap() else {
        panic!("not given again")
    };
    assert_eq!((given.total, given.first_at, given.token.usage.total), (0, None, 3));
    let nobody = world.user_named("nobody");
    assert_eq!(assign(Some(&nobody)).await, Moved::OwnerGone);
}

/// By age, use, number of uses and end, up and down, page by page.
pub(super) async fn a_repository_is_listed_in_the_order_asked_for(world: World) {
    let alice = world.user("alice").await;
    let mut tokens = Vec::new();
    for (uses, last, end) in [(2, 30, Some(500)), (9, 10, None), (0, 0, Some(400)), (5, 20, None)] {
        let mut issue = placed(&world, &alice, Place::Held);
        issue.token.validity = Validity::new(World::at(0), end.map(World::at)).unwrap();
        issue.token.airlock.generic_data.insert(3, format!("colour {}", uses % 2));
        let token = world.issued(issue).await;
        if uses > 0 {
            let used = UsageDelta {
                token: token.id,
                accepted: uses,
                denied: 0,
                first_at: Some(World::at(last)),
                last_at: Some(World::at(last)),
                last_ip: None,
                is_listed: true,
            };
            world.store.usage_flush(vec![used], Vec::new(), Vec::new()).await.unwrap();
        }
        tokens.push(token.id);
    }
    let [a, b, c, d] = tokens.as_slice() else { panic!("four tokens") };
    for (by, order) in [
        (ListedBy::Age, [a, b, c, d]),
        (ListedBy::LastUse, [c, b, d, a]),
        (ListedBy::Total, [c, a, d, b]),
        (ListedBy::End, [b, d, c, a]),
    ] {
        for descending in [false, true] {
            let mut wanted = order.map(|id| *id).to_vec();
            if descending {
                wanted.reverse();
            }
            let mut seen = Vec::new();
            let mut ask = ListingRequest { by, descending, limit: 3, ..request(&world) };
            loop {
                let (page, next) = world.store.listing_page(ask.clone()).await.unwrap();
                seen.extend(page.iter().map(|listing| listing.token.id));
                ask.after = next;
                if ask.after.is_none() {
                    break;
                }
            }
            assert_eq!(seen, wanted, "{by:?} {descending}");
        }
    }
    let filtered = async |filter| {
        listed(&world, ListingRequest { filter, by: ListedBy::Total, ..request(&world) }).await
    };
    let plain = ListingFilter::default();
    let used = Span { from: World::at(15).micros(), to: World::at(25).micros() };
    assert_eq!(filtered(ListingFilter { last_use: used, ..plain.clone() }).await, [*d]);
    let often = Span { from: 3, ..Span::default() };
    assert_eq!(filtered(ListingFilter { total: often, ..plain.clone() }).await, [*d, *b]);
    let element = Some((3, "colour 0".to_owned()));
    assert_eq!(filtered(ListingFilter { element, ..plain.clone() }).await, [*c, *a]);
    let owner = Some(world.user_named("nobody").username);
    assert_eq!(filtered(ListingFilter { owner, ..plain.clone() }).await, []);
    let enabled = Some(false);
    assert_eq!(filtered(ListingFilter { enabled, ..plain }).await, []);
}

/// Those that wait for their date, once it has come.
pub(super) async fn a_next_credential_is_due_from_its_date(world: World) {
    let alice = world.user("alice").await;
    let mut issue = placed(&world, &alice, Place::Next);
    issue.token.validity = Validity::new(World::at(100), None).unwrap();
    let next = world.issued(issue).await;
    let due_of = async |at, user: &User, next: &Token| {
        let due = world.store.credentials_due(&name(), World::at(at), 1000).await.unwrap();
        due.iter().any(|due| *due == (world.realm.clone(), user.username.clone(), next.id))
    };
    let due = async |at| due_of(at, &alice, &next).await;
    assert_eq!((due(99).await, due(100).await), (false, true));
    world.revoke(next.id).await;
    assert!(!due(100).await);
    // What would not work takes nobody's place, however long ago it was to begin.
    for name in ["pending", "locked", "disabled", "expired"] {
        let user = world.user(name).await;
        let mut issue = placed(&world, &user, Place::Next);
        let token = &mut issue.token;
        match name {
            "pending" => token.pending = true,
            "locked" => token.locked = true,
            "disabled" => token.enabled = false,
            _ => token.validity = Validity::new(World::at(1), Some(World::at(50))).unwrap(),
        }
        let token = world.issued(issue).await;
        assert!(!due_of(100, &user, &token).await, "{name}");
    }
}

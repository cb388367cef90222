//! Promises about lists of tokens.

use counterfoil_authority::kind::Kind;
use counterfoil_authority::names::{RealmName, ServiceLabel};
use counterfoil_authority::secret::TokenId;
use counterfoil_authority::service::Services;
use counterfoil_authority::store::{LookedAfter, PageRequest, TokenFilter, TokenIssue, UsageDelta};
use counterfoil_authority::subject::{Owner, User};
use counterfoil_authority::token::{STATES, State};
use counterfoil_authority::validity::Validity;

use super::World;

async fn page(
    world: &World,
    filter: &TokenFilter,
    page: PageRequest,
) -> (Vec<TokenId>, Option<String>) {
    let list = world.store.token_list(&world.realm, filter.clone(), World::at(15), page);
    let list = list.await.unwrap();
    (list.items.iter().map(|token| token.id).collect(), list.next)
}

/// Everything that matches, gathered in pages of `limit`.
async fn all(world: &World, filter: TokenFilter, limit: u32) -> Vec<TokenId> {
    let mut found = Vec::new();
    let mut request = PageRequest::first(limit);
    loop {
        let (ids, next) = page(world, &filter, request.clone()).await;
        assert!(ids.len() <= limit as usize);
        found.extend(ids);
        request.after = next;
        if request.after.is_none() {
            return found;
        }
    }
}

fn none() -> TokenFilter {
    TokenFilter::default()
}

fn label(text: &str) -> ServiceLabel {
    ServiceLabel::parse(text).unwrap()
}

async fn issued(world: &World, issue: TokenIssue) -> TokenId {
    world.issued(issue).await.id
}

/// Each once, and none of another realm; tokens of the same instant too.
pub(super) async fn tokens_are_listed_newest_first_in_pages(world: World) {
    let alice = world.user("alice").await;
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.insert(0, world.token_of(&alice).await.id);
    }
    assert_eq!(all(&world, none(), 2).await, ids);
    assert_eq!(all(&world, none(), 5).await, ids);
    let (_, next) = page(&world, &none(), PageRequest::first(5)).await;
    assert_eq!(next, None, "a full last page is the last");
    let mut twins = Vec::new();
    for _ in 0..4 {
        let mut issue = world.issue_to(&alice);
        issue.token.created_at = World::at(9);
        twins.push(issued(&world, issue).await);
    }
    twins.sort();
    twins.reverse();
    assert_eq!(all(&world, none(), 3).await, [twins, ids].concat());
    let main = RealmName::parse("main").unwrap();
    let others = world.store.token_list(&main, none(), World::at(0), PageRequest::first(99));
    assert!(others.await.unwrap().items.iter().all(|token| token.realm == main));
}

/// Who was there from the beginning appears once, whoever comes meanwhile.
pub(super) async fn pages_of_tokens_are_stable_while_others_arrive(world: World) {
    let alice = world.user("alice").await;
    let mut ids = Vec::new();
    for _ in 0..6 {
        ids.insert(0, world.token_of(&alice).await.id);
    }
    let mut seen = Vec::new();
    let mut request = PageRequest::first(2);
    loop {
        let (some, next) = page(&world, &none(), request.clone()).await;
        seen.extend(some);
        world.token_of(&alice).await;
        world.revoke(seen[0]).await;
        request.after = next;
        if request.after.is_none() {
            break;
        }
    }
    assert_eq!(seen, ids);
}

/// Alone and together; a person and a client of the same name are two owners.
pub(super) async fn tokens_are_filtered_by_owner_service_kind_and_name(world: World) {
    let (alice, bob) = (world.user("alice").await, world.user("bob").await);
    world.service("git").await;
    let owner = |user: &User| Owner::User(user.username.clone());
    let (client, key) = world.client("alice").await;
    let of_bob = issued(&world, world.issue_for(owner(&bob), &["git"])).await;
    let named = issued(&world, {
        let mut issue = world.issue_for(owner(&alice), &["git", "counterfoil"]);
        issue.token.name = Some("laptop".into());
        issue.token.kind = Kind::ServiceToken;
        issue
    })
    .await;
    let plain = issued(&world, world.issue_to(&alice)).await;
    let every = issued(&world, {
        let mut issue = world.issue_to(&bob);
        issue.token.services = Services::All;
        issue
    })
    .await;

    let of = |owner| TokenFilter { owner: Some(owner), ..none() };
    assert_eq!(all(&world, of(owner(&alice)), 9).await, [plain, named]);
    assert_eq!(all(&world, of(Owner::Client(client.name)), 9).await, [key.id]);
    let service = |text| TokenFilter { service: Some(label(text)), ..none() };
    assert_eq!(all(&world, service("git"), 1).await, [named, of_bob]);
    assert_eq!(all(&world, service("counterfoil"), 9).await, [plain, named, key.id]);
    let both = TokenFilter { owner: Some(owner(&alice)), ..service("git") };
    assert_eq!(all(&world, both, 9).await, [named]);
    let kind = TokenFilter { kind: Some(Kind::ServiceToken), ..none() };
    assert_eq!(all(&world, kind, 9).await, [named]);
    let name = |text: &str| TokenFilter { name: Some(text.into()), ..none() };
    assert_eq!(all(&world, name("laptop"), 9).await, [named]);
    assert_eq!(all(&world, name("lap"), 9).await, []);
    assert_eq!(all(&world, of(owner(&bob)), 9).await, [every, of_bob]);
}

/// Each token is in exactly the state that the rules derive for it.
pub(super) async fn tokens_are_filtered_by_state(world: World) {
    let alice = world.user("alice").await;
    let window = Validity::new(World::at(10), Some(World::at(20))).unwrap();
    // All combinations of what a state is derived from.
    for bits in 0_u8..64 {
        let is = |bit: u8| bits & (1 << bit) != 0;
        let mut issue = world.issue_to(&alice);
        issue.token.locked = is(0);
        issue.token.enabled = !is(1);
        issue.token.pending = is(2);
        issue.token.max_usages = is(3).then_some(4);
        issue.token.used = 4;
        issue.token.validity = match (is(4), is(5)) {
            (true, false) => Validity::new(World::at(16), None).unwrap(),
            (false, true) => Validity::new(World::at(0), Some(World::at(15))).unwrap(),
            (_, _) => window,
        };
        let token = world.issued(issue).await;
        if bits % 16 == 5 {
            world.revoke(token.id).await;
        }
    }
    let listed =
        world.store.token_list(&world.realm, none(), World::at(15), PageRequest::first(99));
    let tokens = listed.await.unwrap().items;
    let mut total = 0;
    for state in STATES {
        let derived = tokens.iter().filter(|token| token.state(World::at(15)) == state);
        let expected: Vec<TokenId> = derived.map(|token| token.id).collect();
        assert!(!expected.is_empty(), "{state:?}");
        total += expected.len();
        let filter = TokenFilter { state: Some(state), ..none() };
        assert_eq!(all(&world, filter, 3).await, expected, "{state:?}");
    }
    assert_eq!((total, tokens.len()), (64, 64));
    assert!(tokens.iter().any(|token| token.state(World::at(15)) == State::Active));
}

/// All labels that are asked for, and the value as well as the name.
pub(super) async fn tokens_are_filtered_by_labels_and_unit(world: World) {
    let alice = world.user("alice").await;
    let unit = world.unit("research").await;
    let labelled = |labels: &[(&str, &str)]| {
        let mut issue = world.issue_to(&alice);
        let pairs = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        issue.token.labels = pairs.collect();
        issue
    };
    let blue = issued(&world, labelled(&[("team", "blue")])).await;
    let both = issued(&world, labelled(&[("team", "blue"), ("env", "prod")])).await;
    let red = issued(&world, labelled(&[("team", "red"), ("env", "prod")])).await;
    let mut with_unit = labelled(&[]);
    with_unit.token.unit = Some(unit.clone());
    let with_unit = issued(&world, with_unit).await;
    let by = |labels: &[(&str, &str)]| {
        let pairs = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        TokenFilter { labels: pairs.collect(), ..none() }
    };
    assert_eq!(all(&world, by(&[("team", "blue")]), 1).await, [both, blue]);
    assert_eq!(all(&world, by(&[("team", "blue"), ("env", "prod")]), 1).await, [both]);
    assert_eq!(all(&world, by(&[("env", "prod"), ("team", "red")]), 1).await, [red]);
    assert_eq!(all(&world, by(&[("team", "BLUE")]), 9).await, []);
    let in_unit = TokenFilter { unit: Some(unit), ..none() };
    assert_eq!(all(&world, in_unit, 9).await, [with_unit]);
}

/// Those put into the unit, its people's wherever they were put, and one's own; a registration
/// token is the unit's that it was put into, and nobody else's.
pub(super) async fn tokens_are_listed_for_who_looks_after_a_unit(world: World) {
    let (research, other) = (world.unit("research").await, world.unit("other").await);
    let alice = world.user("alice").await;
    let bob = world.user("bob").await;
    let carol = world.user("carol").await;
    let moved = User { unit: Some(research.clone()), ..alice.clone() };
    world.store.user_update(moved, world.event("user.updated")).await.unwrap();
    let of = |owner: &User, unit: Option<&String>, kind: Kind| {
        let mut issue = world.issue_to(owner);
        issue.token.unit = unit.cloned();
        issue.token.kind = kind;
        issue
    };
    let pat = Kind::PersonalAccessToken;
    let without = issued(&world, of(&alice, None, pat)).await;
    let elsewhere = issued(&world, of(&alice, Some(&other), pat)).await;
    let both = issued(&world, of(&alice, Some(&research), pat)).await;
    let put_there = issued(&world, of(&bob, Some(&research), pat)).await;
    issued(&world, of(&bob, None, pat)).await;
    issued(&world, of(&alice, Some(&other), Kind::RegistrationToken)).await;
    let fleet = issued(&world, of(&alice, Some(&research), Kind::RegistrationToken)).await;
    let own = issued(&world, of(&carol, None, pat)).await;
    let by = |own: Option<&User>| {
        let own = own.map(|user| Owner::User(user.username.clone()));
        let looked_after = LookedAfter { unit: research.clone(), own };
        TokenFilter { looked_after: Some(looked_after), ..none() }
    };
    let unit = [fleet, put_there, both, elsewhere, without];
    for limit in [1, 9] {
        assert_eq!(all(&world, by(None), limit).await, unit);
        assert_eq!(all(&world, by(Some(&alice)), limit).await.len(), 6);
        let mut with_own = vec![own];
        with_own.extend(unit);
        assert_eq!(all(&world, by(Some(&carol)), limit).await, with_own);
    }
    let owner = Some(Owner::User(alice.username.clone()));
    let of_alice = TokenFilter { owner, kind: Some(pat), ..by(None) };
    assert_eq!(all(&world, of_alice, 2).await, [both, elsewhere, without]);
}

/// What never ends does not end before; what was never used is unused.
pub(super) async fn tokens_are_filtered_by_end_and_use(world: World) {
    let alice = world.user("alice").await;
    let ending = |end: Option<i64>| {
        let mut issue = world.issue_to(&alice);
        issue.token.validity = Validity::new(World::at(0), end.map(World::at)).unwrap();
        issue
    };
    let soon = issued(&world, ending(Some(20))).await;
    let late = issued(&world, ending(Some(30))).await;
    let never = issued(&world, ending(None)).await;
    let before = |at| TokenFilter { expires_before: Some(World::at(at)), ..none() };
    assert_eq!(all(&world, before(20), 9).await, []);
    assert_eq!(all(&world, before(21), 9).await, [soon]);
    assert_eq!(all(&world, before(99), 9).await, [late, soon]);
    let used = |token, at| UsageDelta {
        token,
        accepted: 1,
        denied: 0,
        first_at: Some(World::at(at)),
        last_at: Some(World::at(at)),
        last_ip: None,
        is_listed: false,
    };
    let usage = vec![used(soon, 5), used(late, 10)];
    world.store.usage_flush(usage, Vec::new(), Vec::new()).await.unwrap();
    let since = |at| TokenFilter { unused_since: Some(World::at(at)), ..none() };
    assert_eq!(all(&world, since(5), 9).await, [never]);
    assert_eq!(all(&world, since(6), 9).await, [never, soon]);
    assert_eq!(all(&world, since(11), 9).await, [never, late, soon]);
}

/// A token that names one more, or all, is none of theirs.
pub(super) async fn tokens_are_filtered_by_the_services_one_may_see(world: World) {
    let alice = world.user("alice").await;
    world.service("git").await;
    world.service("wiki").await;
    let of = |services: &[&str]| world.issue_for(Owner::User(alice.username.clone()), services);
    let git = issued(&world, of(&["git"])).await;
    let both = issued(&world, of(&["git", "wiki"])).await;
    issued(&world, of(&["git", "counterfoil"])).await;
    let mut every = of(&[]);
    every.token.services = Services::All;
    issued(&world, every).await;
    // Nor one that names none, as a registration token may.
    let mut nothing = of(&[]);
    nothing.token.kind = Kind::RegistrationToken;
    issued(&world, nothing).await;
    let only = |labels: &[&str]| TokenFilter {
        only_services: Some(labels.iter().map(|text| label(text)).collect()),
        ..none()
    };
    assert_eq!(all(&world, only(&["git"]), 1).await, [git]);
    assert_eq!(all(&world, only(&["wiki", "git"]), 1).await, [both, git]);
    assert_eq!(all(&world, only(&[]), 1).await, []);
}

/// Not those that name every service there is.
pub(super) async fn tokens_for_every_service_are_found_by_themselves(world: World) {
    let alice = world.user("alice").await;
    world.service("git").await;
    let named = world.issue_for(Owner::User(alice.username.clone()), &["git"]);
    issued(&world, named.clone()).await;
    let mut every = world.issue_to(&alice);
    every.token.services = Services::All;
    let every = issued(&world, every).await;
    let filter = TokenFilter { for_everything: true, ..none() };
    assert_eq!(all(&world, filter.clone(), 1).await, [every]);
    let owner = Some(Owner::User(alice.username.clone()));
    assert_eq!(all(&world, TokenFilter { owner, ..filter }, 9).await, [every]);
}

/// Whatever somebody sends as a cursor is an answer, never an error.
pub(super) async fn any_text_is_a_place_in_a_list(world: World) {
    let alice = world.user("alice").await;
    let token = world.token_of(&alice).await;
    for (after, found) in [("~", 1), ("zzz", 1), ("%", 0), ("", 0), ("é\u{0}\"'--", 1)] {
        let request = PageRequest { limit: 5, after: Some(after.into()) };
        let (ids, next) = page(&world, &none(), request).await;
        assert_eq!((ids.len(), next), (found, None), "{after:?}");
        assert!(ids.iter().all(|id| *id == token.id));
    }
}

/// A page may be empty while there is more; whoever follows it finds everything.
pub(super) async fn a_short_look_ends_and_goes_on(world: World) {
    let alice = world.user("alice").await;
    let mut named = Vec::new();
    for number in 0..11 {
        let mut issue = world.issue_to(&alice);
        issue.token.name = (number % 5 == 0).then(|| "rare".to_owned());
        let id = issued(&world, issue).await;
        if number % 5 == 0 {
            named.insert(0, id);
        }
    }
    for most in [1, 3, 50] {
        let look_at_most = Some(most);
        let filter = TokenFilter { name: Some("rare".into()), look_at_most, ..none() };
        assert_eq!(all(&world, filter, 2).await, named, "{most}");
        let filter = TokenFilter { look_at_most, ..none() };
        assert_eq!(all(&world, filter, 4).await.len(), 11, "{most}");
    }
    let registrations = TokenFilter { kind: Some(Kind::RegistrationToken), ..none() };
    assert_eq!(all(&world, registrations, 4).await, []);
}

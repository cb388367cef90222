//! The fill rule under forced schedules, and eviction within the budget.

use super::*;
use crate::kind::Kind;
use crate::names::Username;
use crate::policy::TokenPolicy;
use crate::service::{ForwardAuth, ServiceStatus, Services, Visibility};
use crate::subject::{UserFacts, UserStatus};
use crate::validity::Validity;

/// Nobody follows a log here, so any time will do.
const NOW: Timestamp = Timestamp::EPOCH;

fn realm() -> RealmName {
    RealmName::parse("main").unwrap()
}

fn alice() -> Username {
    Username::parse("alice").unwrap()
}

fn id(number: u32) -> TokenId {
    TokenId::parse(&format!("{number:012}")).unwrap()
}

fn record(number: u32, status: UserStatus) -> Record {
    Record {
        id: id(number),
        realm: realm(),
        kind: Kind::PersonalAccessToken,
        owner: Owner::User(alice()),
        owner_facts: OwnerFacts::User(UserFacts {
            username: alice(),
            display_name: None,
            email: None,
            status,
            unit: None,
            groups: Vec::new(),
            locks: crate::lock::Locks::default(),
        }),
        services: Services::All,
        scopes: Vec::new(),
        permissions: None,
        networks: Vec::new(),
        doors: None,
        enabled: true,
        locked: false,
        pending: false,
        revoked: false,
        validity: Validity::new(Timestamp::EPOCH, None).unwrap(),
        created_at: Timestamp::EPOCH,
        max_usages: None,
        parent: None,
        parent_revoked: false,
        repository: None,
        secrets: Vec::new(),
    }
}

fn holds(cache: &Cache, number: u32) -> bool {
    cache.with_token(NOW, id(number), |_| ()).is_some()
}

#[test]
fn a_row_read_before_an_invalidation_is_not_put_back_after_it() {
    let cache = Cache::new(1 << 20);
    let tag = cache.position(NOW);
    let read_before = record(1, UserStatus::Active);
    cache.changed(&[Change::Token(id(1))]);
    cache.fill(read_before, tag);
    assert!(!holds(&cache, 1));
    assert_eq!(cache.stats().dropped_fills, 1);
    cache.fill(record(1, UserStatus::Active), cache.position(NOW));
    assert!(holds(&cache, 1));
}

#[test]
fn a_service_is_not_kept_under_the_policy_of_a_realm_that_changed() {
    let cache = Cache::new(1 << 20);
    let former = Realm {
        name: realm(),
        display_name: None,
        enabled: true,
        zone: "UTC".into(),
        token_policy: TokenPolicy::default(),
        created_at: Timestamp::EPOCH,
        updated_at: Timestamp::EPOCH,
        version: 1,
    };
    let git = Service {
        realm: realm(),
        label: ServiceLabel::parse("git").unwrap(),
        name: "Git".into(),
        description: None,
        url: None,
        contact: None,
        logo_url: None,
        visibility: Visibility::Public,
        group: None,
        entitlement_uri: None,
        status: ServiceStatus::Active,
        locked: false,
        unit: None,
        token_policy: TokenPolicy::default(),
        forward_auth: ForwardAuth::default(),
        created_at: Timestamp::EPOCH,
        updated_at: Timestamp::EPOCH,
        version: 1,
    };
    let at_hand = cache.fill_realm(former.clone(), Vec::new(), cache.position(NOW));
    cache.changed(&[Change::Realm(realm())]);
    // The tag is past the change, the realm is from before it.
    cache.fill_service(git.clone(), &at_hand, cache.position(NOW));
    assert!(cache.service(NOW, &realm(), "git").is_none());
    let latter = cache.fill_realm(Realm { version: 2, ..former }, Vec::new(), cache.position(NOW));
    cache.fill_service(git.clone(), &at_hand, cache.position(NOW));
    assert!(cache.service(NOW, &realm(), "git").is_none());
    cache.fill_service(git, &latter, cache.position(NOW));
    assert!(cache.service(NOW, &realm(), "git").is_some());
}

#[test]
fn a_change_of_something_else_drops_nothing() {
    let cache = Cache::new(1 << 20);
    let tag = cache.position(NOW);
    cache.changed(&[Change::Token(id(2)), Change::User(realm(), Username::parse("bob").unwrap())]);
    cache.fill(record(1, UserStatus::Active), tag);
    assert!(holds(&cache, 1));
}

#[test]
fn a_suspended_owner_takes_every_cached_token_along() {
    let cache = Cache::new(1 << 20);
    for number in 0..100 {
        cache.fill(record(number, UserStatus::Active), cache.position(NOW));
    }
    cache.changed(&[Change::User(realm(), alice())]);
    assert!((0..100).all(|number| !holds(&cache, number)));
}

#[test]
fn an_owner_read_before_their_suspension_is_not_shared_after_it() {
    let cache = Cache::new(1 << 20);
    let tag = cache.position(NOW);
    let read_before = record(1, UserStatus::Active);
    cache.changed(&[Change::User(realm(), alice())]);
    cache.fill(read_before, tag);
    cache.fill(record(2, UserStatus::Suspended), cache.position(NOW));
    assert!(!holds(&cache, 1));
    let suspended = cache.with_token(NOW, id(2), |entry| entry.owner.facts.clone()).unwrap();
    assert!(matches!(suspended, OwnerFacts::User(user) if user.status == UserStatus::Suspended));
}

#[test]
fn a_fill_older_than_the_remembered_changes_is_dropped() {
    let cache = Cache::new(1 << 20);
    let tag = cache.position(NOW);
    for number in 10..5000 {
        cache.changed(&[Change::Token(id(number))]);
    }
    cache.fill(record(1, UserStatus::Active), tag);
    assert!(!holds(&cache, 1));
}

/// Fills and invalidations race on threads; whoever wins, no entry that was read before the
/// last invalidation survives it.
#[test]
fn races_of_fill_and_invalidation_never_leave_the_old_row() {
    for round in 0..200 {
        let cache = Cache::new(1 << 20);
        let truth = Mutex::new(UserStatus::Active);
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    let tag = cache.position(NOW);
                    let status = *truth.lock();
                    if round % 2 == 0 {
                        std::thread::yield_now();
                    }
                    cache.fill(record(1, status), tag);
                });
            }
            scope.spawn(|| {
                *truth.lock() = UserStatus::Suspended;
                cache.changed(&[Change::User(realm(), alice()), Change::Token(id(1))]);
            });
        });
        let seen = cache.with_token(NOW, id(1), |entry| entry.owner.facts.clone());
        let suspended =
            |facts| matches!(facts, OwnerFacts::User(user) if user.status == UserStatus::Suspended);
        assert!(seen.is_none_or(suspended), "round {round}");
    }
}

#[test]
fn the_budget_bounds_the_tokens_held_and_the_asked_for_ones_stay() {
    let cache = Cache::new(TOKEN_COST_BYTES * 640);
    for number in 0..5 {
        cache.fill(record(number, UserStatus::Active), cache.position(NOW));
    }
    for number in 5..5000 {
        cache.fill(record(number, UserStatus::Active), cache.position(NOW));
        for asked in 0..5 {
            cache.with_token(NOW, id(asked), |_| ());
        }
    }
    let stats = cache.stats();
    assert!(stats.tokens <= stats.capacity, "{stats:?}");
    assert!((0..5).all(|number| holds(&cache, number)));
}

#[test]
fn everything_means_everything() {
    let cache = Cache::new(1 << 20);
    cache.fill(record(1, UserStatus::Active), cache.position(NOW));
    cache.changed(&[Change::Everything]);
    assert!(!holds(&cache, 1));
    assert_eq!(cache.stats().tokens, 0);
}

/// An allocator's next size after 128 bytes is 160: a field more would cost a fifth of the cache.
#[test]
fn an_entry_and_its_counts_fit_128_bytes() {
    assert!(size_of::<Entry>() + 2 * size_of::<usize>() <= 128);
}

/// A row that was read without trust is of use once; and so is its owner's standing.
#[test]
fn what_is_read_while_the_cache_is_not_trusted_is_not_kept() {
    let at = Timestamp::from_seconds;
    let cache = Cache::new(1 << 20);
    cache.follow();
    cache.fill(record(1, UserStatus::Active), cache.position(at(10)));
    cache.confirm(at(10));
    assert!(cache.with_token(at(10), id(1), |_| ()).is_none(), "read before the log was seen");
    let kept = cache.fill(record(1, UserStatus::Active), cache.position(at(10)));
    assert!(cache.with_token(at(10), id(1), |_| ()).is_some());

    assert!(cache.with_token(at(11), id(1), |_| ()).is_none(), "a second without news");
    assert!(cache.token(at(11), id(1)).is_none());
    let passing = cache.fill(record(1, UserStatus::Active), cache.position(at(11)));
    assert!(!Arc::ptr_eq(&kept.owner, &passing.owner), "a standing of a second ago");
    cache.confirm(at(11));
    let seen = cache.token(at(11), id(1)).unwrap();
    assert!(Arc::ptr_eq(&seen, &kept), "what was known is good again");
    assert_eq!(cache.stats().dropped_fills, 0);
}

#[test]
fn what_is_new_outlives_what_nobody_asked_for_again() {
    let cache = Cache::new(1 << 20);
    let room = u32::try_from(cache.stats().capacity).unwrap();
    for number in 0..room * 2 {
        cache.fill(record(number, UserStatus::Active), cache.position(NOW));
    }
    let kept = |numbers: std::ops::Range<u32>| numbers.filter(|n| holds(&cache, *n)).count();
    let (old, new) = (kept(0..room), kept(room..room * 2));
    assert!(new > old * 3, "{old} old ones and {new} new ones are kept");
}

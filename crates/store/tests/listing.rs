//! A million tokens of a repository: the first page of a list by last use comes within 50 ms.
#![expect(clippy::unwrap_used, reason = "what a test sets up is there or the test ends")]

use std::sync::Arc;
use std::time::Duration;

use counterfoil_authority::clock::Timestamp;
use counterfoil_authority::kind::Kind;
use counterfoil_authority::names::RepositoryName;
use counterfoil_authority::repository::{Membership, Place};
use counterfoil_authority::store::{
    ListedBy, ListingFilter, ListingRequest, RepositoryStore as _, Span, Store, TokenIssue,
    UsageDelta,
};
use counterfoil_store::conformance::World;
use counterfoil_store::{DatabaseUrl, OpenOptions, open};

/// Tokens in the repository.
const TOKENS: usize = 1_000_000;
/// Tokens stored in one transaction.
const BATCH: usize = 5_000;
/// The bar of the acceptance check P3.
const PAGE_MAX: Duration = Duration::from_millis(50);

/// An instant of its own for each, in seconds since the epoch.
fn at(number: usize) -> Timestamp {
    Timestamp::from_seconds(i64::try_from(number).unwrap() + 1)
}

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "the measurement is of the real time")]
#[ignore = "long: stores a million tokens and measures, alone and in the release profile"]
async fn p3_a_million_tokens_are_listed_by_last_use_within_fifty_milliseconds() {
    let dir = tempfile::tempdir().unwrap();
    let url = DatabaseUrl::sqlite(&dir.path().join("store.db"));
    let store = open(&url, OpenOptions::default()).await.unwrap();
    let shared: Arc<dyn Store> = Arc::clone(&store) as _;
    let world = World::new(&shared, 1).await;
    let alice = world.user("alice").await;
    let name = RepositoryName::parse("keys").unwrap();
    for batch in 0..TOKENS / BATCH {
        let issues: Vec<TokenIssue> = (0..BATCH)
            .map(|_| {
                let mut issue = world.issue_to(&alice);
                issue.token.kind = Kind::Generic;
                issue.token.repository =
                    Some(Membership { name: name.clone(), place: Place::Held });
                issue
            })
            .collect();
        let used = issues.iter().enumerate().map(|(number, issue)| UsageDelta {
            token: issue.token.id,
            accepted: 1,
            denied: 0,
            first_at: Some(at(number + batch)),
            last_at: Some(at(number + batch)),
            last_ip: None,
            is_listed: true,
        });
        let used: Vec<UsageDelta> = used.collect();
        store.token_seed(issues).await.unwrap();
        shared.usage_flush(used, Vec::new(), Vec::new()).await.unwrap();
    }
    while shared.usage_settle().await.unwrap() {}
    for descending in [false, true] {
        let last_use = Span { from: 1, to: 4_000 * 1_000_000 };
        let request = ListingRequest {
            realm: world.realm.clone(),
            repository: name.clone(),
            filter: ListingFilter { last_use, ..ListingFilter::default() },
            by: ListedBy::LastUse,
            descending,
            limit: 50,
            after: None,
            now: at(0),
        };
        let watch = std::time::Instant::now();
        let (page, next) = store.listing_page(request).await.unwrap();
        let took = watch.elapsed();
        println!("{} tokens of {TOKENS} in {took:?}", page.len());
        assert!(page.len() == 50 && next.is_some() && took < PAGE_MAX, "{took:?}");
    }
    store.close().await;
}

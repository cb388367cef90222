//! Promises about access tokens: what is kept of them, and that each proof counts once.

use counterfoil_authority::access::{AccessFacts, AccessRecord, Confirmation};
use counterfoil_authority::secret::TokenId;
use counterfoil_authority::secret_hash::{Mac256, SecretHash};
use counterfoil_authority::store::{
    AccessRevoke, Change, EventFilter, PageRequest, TokenAct, TokenLeak,
};
use counterfoil_authority::testing::SeededEntropy;
use sha2::{Digest as _, Sha256};

use super::World;
use super::changes::since;
use super::world::race;

/// Ids and digests belong to the installation, so each promise draws from its own name.
fn bytes(world: &World, what: &str) -> [u8; 32] {
    Sha256::digest(format!("{}.{what}", world.realm)).into()
}

fn id(world: &World, what: &str) -> TokenId {
    let (head, _) = bytes(world, what).split_first_chunk().map(|(h, t)| (*h, t.len())).unwrap();
    TokenId::generate(&SeededEntropy::new(u64::from_le_bytes(head))).unwrap()
}

fn record(world: &World, what: &str, ends: i64) -> AccessRecord {
    let facts = AccessFacts {
        parent: id(world, "parent"),
        subject: "alice".into(),
        client_id: "robot".into(),
        scope: "repo:read".into(),
        audience: vec!["git".into()],
        confirmation: Confirmation::of_key("a thumbprint"),
        door: None,
        issued_at: World::at(0),
        expires_at: World::at(ends),
    };
    let hash = SecretHash::Keyed { pepper: 1, mac: Mac256::from_bytes(bytes(world, what)) };
    AccessRecord { realm: world.realm.clone(), id: id(world, what), hash, facts }
}

fn revoke(world: &World, what: &str, ends: i64) -> AccessRevoke {
    AccessRevoke {
        realm: world.realm.clone(),
        id: id(world, what),
        expires_at: World::at(ends),
        at: World::at(1),
        event: world.event("access-token.revoked"),
    }
}

/// Found with every field until it is purged, which it is when it has ended and not before.
pub(super) async fn an_access_token_comes_back_until_it_has_ended(world: World) {
    let kept = record(&world, "kept", 300);
    world.store.access_add(kept.clone()).await.unwrap();
    assert!(world.store.access_add(kept.clone()).await.is_err(), "the id is taken");
    assert_eq!(world.store.access_find(kept.id).await.unwrap(), Some(kept.clone()));
    assert_eq!(world.store.access_find(id(&world, "none")).await.unwrap(), None);
    while world.store.purge(World::at(299), None).await.unwrap().rows > 0 {}
    assert_eq!(world.store.access_find(kept.id).await.unwrap(), Some(kept.clone()));
    while world.store.purge(World::at(300), None).await.unwrap().rows > 0 {}
    assert_eq!(world.store.access_find(kept.id).await.unwrap(), None);
}

/// Told in any order, by any number of nodes at the same time; of a token that there is not,
/// nothing is kept.
pub(super) async fn the_latest_use_of_an_access_token_is_known(world: World) {
    let kept = record(&world, "kept", 300);
    world.store.access_add(kept.clone()).await.unwrap();
    let other = record(&world, "other", 300);
    world.store.access_add(other.clone()).await.unwrap();
    let none = id(&world, "none");
    assert_eq!(world.store.access_last_used(kept.id).await.unwrap(), None);
    race(40, |nth| {
        let world = world.clone();
        async move {
            let at = World::at(i64::try_from(nth).unwrap() % 40);
            let used = vec![(kept.id, at), (none, at)];
            world.store.access_used(used).await.unwrap();
        }
    })
    .await;
    let known = |id| world.store.access_last_used(id);
    assert_eq!(known(kept.id).await.unwrap(), Some(World::at(39)));
    world.store.access_used(vec![(kept.id, World::at(7))]).await.unwrap();
    world.store.access_used(Vec::new()).await.unwrap();
    assert_eq!(known(kept.id).await.unwrap(), Some(World::at(39)));
    assert_eq!(known(other.id).await.unwrap(), None);
    assert_eq!(known(none).await.unwrap(), None);
    while world.store.purge(World::at(300), None).await.unwrap().rows > 0 {}
    assert_eq!(known(kept.id).await.unwrap(), None);
}

/// Of either form: a JWT that was never stored is revoked too, once, and every node hears of it.
pub(super) async fn an_access_token_is_revoked_once(world: World) {
    let start = world.store.changes_end().await.unwrap();
    let outcomes = race(40, |_| {
        let world = world.clone();
        async move { world.store.access_revoke(revoke(&world, "jwt", 300)).await.unwrap() }
    })
    .await;
    assert_eq!(outcomes.into_iter().filter(|first| *first).count(), 1);
    assert_eq!(since(&world, &start).await, [Change::Token(id(&world, "jwt"))]);
    assert!(world.store.access_revoked(id(&world, "jwt")).await.unwrap());
    assert!(!world.store.access_revoked(id(&world, "other")).await.unwrap());
}

/// The feed names what could still be believed in, of this realm.
pub(super) async fn the_feed_names_what_has_not_ended(world: World) {
    for (what, ends) in [("first", 100), ("second", 200)] {
        world.store.access_revoke(revoke(&world, what, ends)).await.unwrap();
    }
    let feed = |now: i64, limit| {
        let (store, realm) = (&world.store, &world.realm);
        async move {
            let read = store.access_revocations(realm, World::at(now), World::at(0), limit).await;
            read.unwrap().access_tokens.into_iter().map(|line| line.id).collect::<Vec<_>>()
        }
    };
    assert_eq!(feed(0, 10).await, [id(&world, "second"), id(&world, "first")]);
    assert_eq!(feed(0, 1).await, [id(&world, "second")]);
    assert_eq!(feed(100, 10).await, [id(&world, "second")]);
    let alice = world.user("alice").await;
    let token = world.issued(world.issue_to(&alice)).await;
    world.revoke(token.id).await;
    let all = world.store.access_revocations(&world.realm, World::at(0), World::at(-10), 10);
    let parents = all.await.unwrap().parents;
    assert_eq!(parents.iter().map(|line| line.id).collect::<Vec<_>>(), [token.id]);
}

/// However many send the same proof at the same moment; and its digest may come again when the
/// proof itself is too old to be accepted.
pub(super) async fn a_proof_is_used_once(world: World) {
    let once = bytes(&world, "proof");
    let used = race(40, |_| {
        let world = world.clone();
        async move { world.store.proof_use(once, World::at(60), World::at(0)).await.unwrap() }
    })
    .await;
    assert_eq!(used.into_iter().filter(|fresh| *fresh).count(), 1);
    assert!(!world.store.proof_use(once, World::at(90), World::at(59)).await.unwrap());
    assert!(world.store.proof_use(once, World::at(120), World::at(60)).await.unwrap());
    let other = bytes(&world, "another proof");
    assert!(world.store.proof_use(other, World::at(60), World::at(0)).await.unwrap());
}

/// However many send the same report at the same moment, one of them switches the token and is
/// told; after that the token is let alone, until the report is not known any more.
pub(super) async fn a_report_of_a_leak_is_taken_once_and_whole(world: World) {
    let alice = world.user("alice").await;
    let token = world.issued(world.issue_to(&alice)).await;
    let leak = |known_until: i64, at: i64| TokenLeak {
        once: bytes(&world, "leak"),
        known_until: World::at(known_until),
        change: Some(world.switch(token.id, TokenAct::Lock)),
        event: world.event("token.leaked"),
        at: World::at(at),
    };
    let told = async |kind: &str| {
        let filter = EventFilter { kind: Some(kind.into()), ..EventFilter::default() };
        let page = PageRequest::first(100);
        world.store.event_list(&world.realm, filter, page).await.unwrap().items.len()
    };
    let locked = async || {
        let found = world.store.token_find(&world.realm, token.id).await.unwrap();
        found.unwrap().locked
    };
    let switched = world.switch(token.id, TokenAct::Lock).event.kind;
    let firsts = race(40, |_| {
        let (store, leak) = (std::sync::Arc::clone(&world.store), leak(60, 0));
        async move { store.token_leaked(leak).await.unwrap() }
    })
    .await;
    assert_eq!(firsts.into_iter().filter(|first| *first).count(), 1);
    assert!(locked().await);
    assert_eq!((told("token.leaked").await, told(&switched).await), (1, 1));
    world.store.token_change(world.switch(token.id, TokenAct::Unlock)).await.unwrap();
    assert!(!world.store.token_leaked(leak(90, 59)).await.unwrap());
    assert!(!locked().await);
    assert!(world.store.token_leaked(leak(120, 60)).await.unwrap());
    assert!(locked().await);
    // Of a token that has ended it is told all the same.
    world.revoke(token.id).await;
    let other = TokenLeak { once: bytes(&world, "another leak"), ..leak(60, 0) };
    assert!(world.store.token_leaked(other).await.unwrap());
    assert_eq!(told("token.leaked").await, 3);
}

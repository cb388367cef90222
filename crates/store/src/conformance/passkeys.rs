//! Promises about passkeys.

use counterfoil_authority::console::{Account, ConsoleSession, SignInLink, SignInMethod};
use counterfoil_authority::names::{RealmName, Username};
use counterfoil_authority::passkey::{PASSKEYS_PER_PERSON_MAX, Passkey, PasskeyUse};
use counterfoil_authority::secret::TokenId;
use counterfoil_authority::secret_hash::{Mac256, SecretHash, SlowCost};
use counterfoil_authority::store::{
    PasskeyAdd, PasskeyAdded, PasskeysRemove, SessionAdd, SessionAdded, SignInLinkUse,
    SignInLinkUsed,
};
use counterfoil_authority::subject::User;

use super::World;
use super::world::race;

fn keyed(byte: u8) -> SecretHash {
    SecretHash::Keyed { pepper: 1, mac: Mac256::from_bytes([byte; 32]) }
}

fn slow(byte: u8) -> SecretHash {
    let cost = SlowCost { memory_kib: 64, passes: 1, lanes: 1 };
    SecretHash::Slow { pepper: 1, digest: Mac256::from_bytes([byte; 32]), cost, recipe: None }
}

fn passkey(world: &World, user: &User, credential_id: &str) -> Passkey {
    Passkey {
        id: world.token_id(),
        realm: user.realm.clone(),
        username: user.username.clone(),
        credential_id: format!("{}-{credential_id}", world.realm),
        handle: "67e55044-10b1-426f-9247-bb680e5fe0c8".into(),
        name: "Br\u{e4}nds\u{f8}".into(),
        credential: vec![0, 255, 7],
        counter: 0,
        created_at: World::at(1),
        used_at: None,
    }
}

fn adding(world: &World, passkey: &Passkey) -> PasskeyAdd {
    let event = world.event("passkey.added");
    PasskeyAdd { passkey: passkey.clone(), first_under: None, event }
}

async fn added(world: &World, user: &User, credential_id: &str) -> Passkey {
    let one = passkey(world, user, credential_id);
    let said = world.store.passkey_add(adding(world, &one)).await.unwrap();
    assert_eq!(said, PasskeyAdded::Done);
    one
}

async fn list(world: &World, user: &User) -> Vec<Passkey> {
    world.store.passkey_list(&user.realm, &user.username).await.unwrap()
}

fn used(passkey: &Passkey, counter: u32, seconds: i64) -> PasskeyUse {
    PasskeyUse {
        id: passkey.id,
        counter,
        credential: counter.to_be_bytes().to_vec(),
        at: World::at(seconds),
    }
}

fn session(world: &World, user: &User, passkey: Option<PasskeyUse>) -> SessionAdd {
    let session = ConsoleSession {
        id: world.token_id(),
        realm: user.realm.clone(),
        username: user.username.clone(),
        hash: keyed(3),
        created_at: World::at(0),
        used_at: World::at(1),
        expires_at: World::at(1_000),
        source: None,
        agent: None,
        method: SignInMethod::Passkey,
        proved_at: World::at(0),
    };
    let event = world.event("session.opened");
    SessionAdd { session, account_version: None, rehash: None, passkey, replaces: None, event }
}

async fn sign_in(world: &World, user: &User, passkey: PasskeyUse) -> SessionAdded {
    world.store.session_add(session(world, user, Some(passkey))).await.unwrap()
}

/// A password, by a link as everybody gets one.
async fn with_password(world: &World, user: &User) -> Account {
    let link = SignInLink {
        id: world.token_id(),
        realm: user.realm.clone(),
        username: Some(user.username.clone()),
        created_at: World::at(0),
        created_by: "user:root".into(),
        expires_at: World::at(60),
        hash: keyed(9),
        used_at: None,
    };
    let event = world.event("sign-in-link.created");
    world.store.sign_in_link_add(link.clone(), event).await.unwrap();
    let account = Account {
        realm: user.realm.clone(),
        username: user.username.clone(),
        password: slow(1),
        changed_at: World::at(1),
        version: 1,
        passkey_required: false,
    };
    let (at, event) = (World::at(5), world.event("sign-in-link.used"));
    let using = SignInLinkUse { id: link.id, account, first: None, at, event };
    match world.store.sign_in_link_use(using).await.unwrap() {
        SignInLinkUsed::Done(account) => account,
        SignInLinkUsed::Refused(end) => panic!("{end:?}"),
    }
}

async fn account(world: &World, user: &User) -> Account {
    world.store.account_find(&user.realm, &user.username).await.unwrap().unwrap()
}

async fn require(world: &World, user: &User, on: bool) -> bool {
    let event = world.event("passkey.required");
    world.store.passkey_require(&user.realm, &user.username, on, event).await.unwrap()
}

async fn remove(world: &World, user: &User, which: PasskeysRemove, keeps: Option<TokenId>) -> u64 {
    let event = world.event("passkey.removed");
    world.store.passkeys_remove(&user.realm, &user.username, which, keeps, event).await.unwrap()
}

/// And is one of its realm and nobody else's.
pub(super) async fn a_passkey_comes_back_as_it_was_added(world: World) {
    let (alice, bob) = (world.user("alice").await, world.user("bob").await);
    let one = added(&world, &alice, "one").await;
    let mut two = passkey(&world, &alice, "two");
    (two.created_at, two.used_at, two.counter) = (World::at(2), Some(World::at(3)), u32::MAX);
    let said = world.store.passkey_add(adding(&world, &two)).await.unwrap();
    assert_eq!(said, PasskeyAdded::Done);
    assert_eq!(list(&world, &alice).await, [one.clone(), two.clone()]);
    assert_eq!(list(&world, &bob).await, []);
    let find =
        async |realm: &RealmName, id: &str| world.store.passkey_find(realm, id).await.unwrap();
    assert_eq!(find(&world.realm, &two.credential_id).await, Some(two.clone()));
    assert_eq!(find(&world.realm, "none").await, None);
    let elsewhere = RealmName::parse("elsewhere").unwrap();
    assert_eq!(find(&elsewhere, &two.credential_id).await, None);
    // What a device calls so is one passkey, whosever it is.
    let mut same = passkey(&world, &bob, "one");
    same.id = world.token_id();
    let said = world.store.passkey_add(adding(&world, &same)).await.unwrap();
    assert_eq!(said, PasskeyAdded::Known);
    let mut nobody = passkey(&world, &bob, "three");
    nobody.username = Username::parse("nobody").unwrap();
    let said = world.store.passkey_add(adding(&world, &nobody)).await.unwrap();
    assert_eq!(said, PasskeyAdded::Gone);
    assert_eq!(world.count_events("passkey.added").await, 2);
}

/// By whoever's it is alone.
pub(super) async fn a_passkey_gets_another_name(world: World) {
    let (alice, bob) = (world.user("alice").await, world.user("bob").await);
    let one = added(&world, &alice, "one").await;
    let rename = async |user: &User, name: &str| {
        let (realm, username) = (&user.realm, &user.username);
        let event = world.event("passkey.renamed");
        world.store.passkey_rename(realm, username, one.id, name, event).await.unwrap()
    };
    assert!(rename(&alice, "blue").await);
    assert!(!rename(&bob, "mine").await);
    assert_eq!(list(&world, &alice).await, [Passkey { name: "blue".into(), ..one.clone() }]);
    assert_eq!(world.count_events("passkey.renamed").await, 1);
}

pub(super) async fn of_forty_passkeys_at_once_as_many_are_added_as_anybody_may_have(world: World) {
    let alice = world.user("alice").await;
    let said = race(40, |number| {
        let one = passkey(&world, &alice, &number.to_string());
        let (store, add) = (world.store.clone(), adding(&world, &one));
        async move { store.passkey_add(add).await.unwrap() }
    })
    .await;
    let done = said.iter().filter(|said| **said == PasskeyAdded::Done).count();
    let refused = said.iter().filter(|said| **said == PasskeyAdded::TooMany).count();
    assert_eq!((done, refused), (PASSKEYS_PER_PERSON_MAX, 40 - PASSKEYS_PER_PERSON_MAX));
    assert_eq!(list(&world, &alice).await.len(), PASSKEYS_PER_PERSON_MAX);
}

/// And under the password that was right.
pub(super) async fn a_first_passkey_is_the_first(world: World) {
    let alice = world.user("alice").await;
    let under = async |credential_id: &str, version: i64| {
        let one = passkey(&world, &alice, credential_id);
        let add = PasskeyAdd { first_under: Some(version), ..adding(&world, &one) };
        world.store.passkey_add(add).await.unwrap()
    };
    assert_eq!(under("one", 1).await, PasskeyAdded::Gone);
    with_password(&world, &alice).await;
    assert_eq!(under("one", 2).await, PasskeyAdded::Gone);
    assert_eq!(under("one", 1).await, PasskeyAdded::Done);
    assert_eq!(under("two", 1).await, PasskeyAdded::TooMany);
    assert_eq!(list(&world, &alice).await.len(), 1);
}

/// Nothing is stored otherwise; and devices that do not count are believed.
pub(super) async fn a_session_begins_by_a_passkey_whose_count_goes_on(world: World) {
    let (alice, bob) = (world.user("alice").await, world.user("bob").await);
    let (one, two) = (added(&world, &alice, "one").await, added(&world, &alice, "two").await);
    for _ in 0..2 {
        assert_eq!(sign_in(&world, &alice, used(&one, 0, 4)).await, SessionAdded::Done);
    }
    assert_eq!(sign_in(&world, &alice, used(&one, 7, 5)).await, SessionAdded::Done);
    for counter in [7, 6, 0] {
        let said = sign_in(&world, &alice, used(&one, counter, 6)).await;
        assert_eq!(said, SessionAdded::Counted, "{counter}");
    }
    let expected = Passkey {
        counter: 7,
        credential: 7_u32.to_be_bytes().to_vec(),
        used_at: Some(World::at(5)),
        ..one.clone()
    };
    for (passkey, expected) in [(&one, expected), (&two, two.clone())] {
        let found = world.store.passkey_find(&alice.realm, &passkey.credential_id).await.unwrap();
        assert_eq!(found, Some(expected));
    }
    assert_eq!(sign_in(&world, &bob, used(&one, 9, 7)).await, SessionAdded::Gone);
    let none = PasskeyUse { id: world.token_id(), ..used(&one, 9, 7) };
    assert_eq!(sign_in(&world, &alice, none).await, SessionAdded::Gone);
    assert_eq!(world.count_events("session.opened").await, 3);
    let sessions = world.store.session_list(&alice.realm, &alice.username, World::at(9)).await;
    assert_eq!(sessions.unwrap().len(), 3);
}

/// However many bring the same answer, to however many nodes.
pub(super) async fn of_forty_uses_with_one_count_one_is_taken(world: World) {
    let alice = world.user("alice").await;
    let one = added(&world, &alice, "one").await;
    let said = race(40, |_| {
        let add = session(&world, &alice, Some(used(&one, 5, 5)));
        let store = world.store.clone();
        async move { store.session_add(add).await.unwrap() }
    })
    .await;
    assert_eq!(said.iter().filter(|said| **said == SessionAdded::Done).count(), 1);
    assert_eq!(said.iter().filter(|said| **said == SessionAdded::Counted).count(), 39);
}

/// Of the person whose session it is.
pub(super) async fn a_passkey_proves_anew_who_somebody_is(world: World) {
    let (alice, bob) = (world.user("alice").await, world.user("bob").await);
    let (one, other) = (added(&world, &alice, "one").await, added(&world, &bob, "two").await);
    let add = session(&world, &alice, None);
    let id = add.session.id;
    assert_eq!(world.store.session_add(add).await.unwrap(), SessionAdded::Done);
    let prove = async |id: TokenId, passkey: PasskeyUse| {
        let event = world.event("session.proved");
        world.store.session_proved(id, World::at(8), Some(passkey), event).await.unwrap()
    };
    assert_eq!(prove(id, used(&other, 1, 8)).await, SessionAdded::Gone);
    assert_eq!(prove(world.token_id(), used(&one, 1, 8)).await, SessionAdded::Gone);
    assert_eq!(prove(id, used(&one, 1, 8)).await, SessionAdded::Done);
    assert_eq!(prove(id, used(&one, 1, 9)).await, SessionAdded::Counted);
    let found = world.store.session_find(id).await.unwrap().unwrap();
    assert_eq!(found.proved_at, World::at(8));
    let kept = list(&world, &alice).await;
    assert_eq!((kept[0].counter, kept[0].used_at), (1, Some(World::at(8))));
    assert_eq!(list(&world, &bob).await, [other]);
    assert_eq!(world.count_events("session.proved").await, 1);
}

/// Sessions of before end, but for the one that removes it.
pub(super) async fn a_passkey_that_was_removed_is_good_for_nothing(world: World) {
    let (alice, bob) = (world.user("alice").await, world.user("bob").await);
    let (one, two) = (added(&world, &alice, "one").await, added(&world, &alice, "two").await);
    added(&world, &bob, "three").await;
    let own = session(&world, &alice, Some(used(&one, 1, 4)));
    assert_eq!(world.store.session_add(own.clone()).await.unwrap(), SessionAdded::Done);
    assert_eq!(sign_in(&world, &alice, used(&two, 1, 4)).await, SessionAdded::Done);
    let sessions = async || {
        let found = world.store.session_list(&alice.realm, &alice.username, World::at(9)).await;
        found.unwrap().into_iter().map(|session| session.id).collect::<Vec<_>>()
    };
    assert_eq!(remove(&world, &bob, PasskeysRemove::One(one.id), None).await, 0);
    assert_eq!(sessions().await.len(), 2);
    let keeps = Some(own.session.id);
    assert_eq!(remove(&world, &alice, PasskeysRemove::One(two.id), keeps).await, 1);
    assert_eq!(sessions().await, [own.session.id]);
    assert_eq!(sign_in(&world, &alice, used(&two, 2, 5)).await, SessionAdded::Gone);
    assert_eq!(remove(&world, &alice, PasskeysRemove::All, None).await, 1);
    assert_eq!((list(&world, &alice).await, sessions().await), (vec![], vec![]));
    assert_eq!(list(&world, &bob).await.len(), 1);
    assert_eq!(remove(&world, &alice, PasskeysRemove::All, None).await, 0);
    assert_eq!(world.count_events("passkey.removed").await, 2);
}

/// Whoever signs in while it changes finds another version.
pub(super) async fn a_passkey_is_asked_for_while_there_is_one(world: World) {
    let alice = world.user("alice").await;
    assert!(!require(&world, &alice, false).await, "nobody without a password is asked");
    let first = with_password(&world, &alice).await;
    assert!(!require(&world, &alice, true).await, "there is none to ask for");
    let one = added(&world, &alice, "one").await;
    assert!(require(&world, &alice, true).await);
    let asked = account(&world, &alice).await;
    assert_eq!(asked, Account { version: 2, passkey_required: true, ..first.clone() });
    let late = SessionAdd { account_version: Some(1), ..session(&world, &alice, None) };
    assert_eq!(world.store.session_add(late).await.unwrap(), SessionAdded::Gone);
    // A hash of before that version is none of it.
    for (version, kept) in [(1, slow(1)), (2, slow(8))] {
        let (realm, username) = (&alice.realm, &alice.username);
        world.store.account_rehash(realm, username, version, slow(8)).await.unwrap();
        assert_eq!(account(&world, &alice).await.password, kept);
    }
    // Another password changes nothing about it.
    let anew = with_password(&world, &alice).await;
    assert_eq!((anew.version, anew.passkey_required), (3, true));
    assert_eq!(remove(&world, &alice, PasskeysRemove::One(one.id), None).await, 1);
    let free = account(&world, &alice).await;
    assert_eq!((free.version, free.passkey_required), (4, false));
    assert_eq!(world.count_events("passkey.required").await, 1);
}

pub(super) async fn who_is_removed_leaves_no_passkey(world: World) {
    let alice = world.user("alice").await;
    let one = added(&world, &alice, "one").await;
    let event = world.event("user.deleted");
    let removed = world.store.user_delete(&alice.realm, &alice.username, World::at(9), event);
    assert!(removed.await.unwrap());
    assert_eq!(world.store.passkey_find(&alice.realm, &one.credential_id).await.unwrap(), None);
    let again = world.user("alice").await;
    assert_eq!(list(&world, &again).await, []);
    assert_eq!(sign_in(&world, &again, used(&one, 1, 4)).await, SessionAdded::Gone);
}

//! Promises about who signs in at the console.

use counterfoil_authority::console::{
    Account, ConsoleSession, SESSIONS_PER_PERSON_MAX, SIGN_IN_LINK_RETENTION_SECONDS, SignInLink,
    SignInLinkEnd, SignInMethod,
};
use counterfoil_authority::names::Username;
use counterfoil_authority::secret::TokenId;
use counterfoil_authority::secret_hash::{Mac256, SecretHash, SlowCost};
use counterfoil_authority::store::{
    FirstAdministrator, PasswordChange, SessionAdd, SessionAdded, SessionsEnd, SignInLinkAdded,
    SignInLinkUse, SignInLinkUsed, Updated,
};
use counterfoil_authority::subject::{GrantSubject, User, UserStatus};

use super::World;
use super::world::race;

fn keyed(byte: u8) -> SecretHash {
    SecretHash::Keyed { pepper: 1, mac: Mac256::from_bytes([byte; 32]) }
}

fn slow(byte: u8) -> SecretHash {
    let cost = SlowCost { memory_kib: 64, passes: 1, lanes: 1 };
    SecretHash::Slow { pepper: 1, digest: Mac256::from_bytes([byte; 32]), cost, recipe: None }
}

fn account(user: &User, byte: u8) -> Account {
    Account {
        realm: user.realm.clone(),
        username: user.username.clone(),
        password: slow(byte),
        changed_at: World::at(1),
        version: 1,
        passkey_required: false,
    }
}

fn link(world: &World, username: Option<&Username>) -> SignInLink {
    SignInLink {
        id: world.token_id(),
        realm: world.realm.clone(),
        username: username.cloned(),
        created_at: World::at(0),
        created_by: "user:root".into(),
        expires_at: World::at(60),
        hash: keyed(9),
        used_at: None,
    }
}

fn using(world: &World, link: &SignInLink, account: Account) -> SignInLinkUse {
    let (at, event) = (World::at(5), world.event("sign-in-link.used"));
    SignInLinkUse { id: link.id, account, first: None, at, event }
}

/// A person with a password, by a link as everybody gets one.
async fn with_password(world: &World, name: &str) -> (User, Account) {
    let user = world.user(name).await;
    let link = link(world, Some(&user.username));
    let event = world.event("sign-in-link.created");
    let added = world.store.sign_in_link_add(link.clone(), event).await.unwrap();
    assert_eq!(added, SignInLinkAdded::Done);
    let said = world.store.sign_in_link_use(using(world, &link, account(&user, 1))).await.unwrap();
    assert_eq!(said, SignInLinkUsed::Done(account(&user, 1)));
    (user.clone(), account(&user, 1))
}

fn session(world: &World, user: &User, seconds: i64) -> ConsoleSession {
    ConsoleSession {
        id: world.token_id(),
        realm: world.realm.clone(),
        username: user.username.clone(),
        hash: keyed(7),
        created_at: World::at(0),
        used_at: World::at(seconds),
        expires_at: World::at(1_000),
        source: Some("2001:db8::1".parse().unwrap()),
        agent: Some("Br\u{f6}wser/1".into()),
        method: SignInMethod::Provider,
        proved_at: World::at(-5),
    }
}

fn adding(world: &World, session: &ConsoleSession) -> SessionAdd {
    SessionAdd {
        session: session.clone(),
        account_version: Some(1),
        rehash: None,
        passkey: None,
        replaces: None,
        event: world.event("session.opened"),
    }
}

async fn begun(world: &World, user: &User, seconds: i64) -> ConsoleSession {
    let session = session(world, user, seconds);
    let said = world.store.session_add(adding(world, &session)).await.unwrap();
    assert_eq!(said, SessionAdded::Done);
    session
}

async fn listed(world: &World, user: &User) -> Vec<TokenId> {
    let found = world.store.session_list(&user.realm, &user.username, World::at(10)).await;
    found.unwrap().iter().map(|session| session.id).collect()
}

/// With one event for each step, and nothing for who is unknown.
pub(super) async fn a_link_gives_a_person_a_password_once(world: World) {
    let (user, account) = with_password(&world, "alice").await;
    let found = world.store.account_find(&user.realm, &user.username).await.unwrap();
    assert_eq!(found, Some(account.clone()));
    assert!(world.store.account_any(&world.realm).await.unwrap());
    let later = link(&world, Some(&user.username));
    let unused = SignInLink { id: world.token_id(), ..later.clone() };
    for link in [&unused, &later] {
        let event = world.event("sign-in-link.created");
        world.store.sign_in_link_add(link.clone(), event).await.unwrap();
    }
    // The later one took the place of the one before.
    assert_eq!(world.store.sign_in_link_find(unused.id).await.unwrap(), None);
    assert_eq!(world.store.sign_in_link_find(later.id).await.unwrap(), Some(later.clone()));
    let session = begun(&world, &user, 1).await;
    let changed = Account { password: slow(2), ..account };
    let outcomes = race(40, |_| {
        let (store, using) = (world.store.clone(), using(&world, &later, changed.clone()));
        async move { store.sign_in_link_use(using).await.unwrap() }
    })
    .await;
    let done = SignInLinkUsed::Done(Account { version: 2, ..changed });
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == done).count(), 1);
    let late = SignInLinkUsed::Refused(SignInLinkEnd::Used);
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == late).count(), 39);
    // Whoever was signed in by the former password is not any more.
    assert_eq!(world.store.session_find(session.id).await.unwrap(), None);
    assert_eq!(world.count_events("sign-in-link.used").await, 2);
}

/// By its time, because nobody has the name, or because it never was.
pub(super) async fn a_link_that_has_ended_gives_no_password(world: World) {
    let user = world.user("alice").await;
    let nobody = Username::parse("nobody").unwrap();
    let event = world.event("sign-in-link.created");
    let refused = world.store.sign_in_link_add(link(&world, Some(&nobody)), event).await.unwrap();
    assert_eq!(refused, SignInLinkAdded::Refused);
    let link = link(&world, Some(&user.username));
    let event = world.event("sign-in-link.created");
    world.store.sign_in_link_add(link.clone(), event).await.unwrap();
    let late = SignInLinkUse { at: World::at(60), ..using(&world, &link, account(&user, 1)) };
    let said = world.store.sign_in_link_use(late).await.unwrap();
    assert_eq!(said, SignInLinkUsed::Refused(SignInLinkEnd::Expired));
    let unknown = SignInLinkUse { id: world.token_id(), ..using(&world, &link, account(&user, 1)) };
    let said = world.store.sign_in_link_use(unknown).await.unwrap();
    assert_eq!(said, SignInLinkUsed::Refused(SignInLinkEnd::Superseded));
    assert!(!world.store.account_any(&world.realm).await.unwrap());
    // A purge leaves it as long as somebody may ask about it.
    let end = World::at(60 + SIGN_IN_LINK_RETENTION_SECONDS);
    world.store.purge(end.plus_seconds(-1), None).await.unwrap();
    assert!(world.store.sign_in_link_find(link.id).await.unwrap().is_some());
    world.store.purge(end, None).await.unwrap();
    assert_eq!(world.store.sign_in_link_find(link.id).await.unwrap(), None);
}

/// However many links there are, and whoever uses them at the same time.
pub(super) async fn of_forty_first_administrators_one_is_the_first(world: World) {
    let links: Vec<SignInLink> = (0..40).map(|_| link(&world, None)).collect();
    let first = links[39].clone();
    for link in links {
        let event = world.event("sign-in-link.created");
        let added = world.store.sign_in_link_add(link, event).await.unwrap();
        assert_eq!(added, SignInLinkAdded::Done);
    }
    let used = race(40, |number| {
        let user = world.user_named(&format!("admin-{number}"));
        let first_administrator = FirstAdministrator {
            grant: world.grant_of(GrantSubject::User(user.username.clone())),
            grant_event: world.event("grant.created"),
            user_event: world.event("user.created"),
            user: user.clone(),
        };
        let using = SignInLinkUse {
            first: Some(first_administrator),
            ..using(&world, &first, account(&user, 1))
        };
        let store = world.store.clone();
        async move { (user, store.sign_in_link_use(using).await.unwrap()) }
    })
    .await;
    let done: Vec<&User> = used
        .iter()
        .filter(|(_, used)| matches!(used, SignInLinkUsed::Done(_)))
        .map(|(user, _)| user)
        .collect();
    assert_eq!(done.len(), 1);
    let grants = world.store.grants_of_user(&world.realm, &done[0].username).await.unwrap();
    assert_eq!(grants.len(), 1);
    assert_eq!(world.count_events("user.created").await, 1);
    // From now on there is none to be.
    let event = world.event("sign-in-link.created");
    let added = world.store.sign_in_link_add(link(&world, None), event).await.unwrap();
    assert_eq!(added, SignInLinkAdded::Refused);
}

/// And its use is noted, which never runs backwards.
pub(super) async fn a_session_comes_back_as_it_began(world: World) {
    let (user, _) = with_password(&world, "alice").await;
    let session = begun(&world, &user, 3).await;
    assert_eq!(world.store.session_find(session.id).await.unwrap(), Some(session.clone()));
    world.store.session_used(session.id, World::at(2), None).await.unwrap();
    assert_eq!(world.store.session_find(session.id).await.unwrap(), Some(session.clone()));
    world.store.session_used(session.id, World::at(9), None).await.unwrap();
    let found = world.store.session_find(session.id).await.unwrap().unwrap();
    assert_eq!((found.used_at, found.source), (World::at(9), None));
    let newer = begun(&world, &user, 20).await;
    assert_eq!(listed(&world, &user).await, [newer.id, session.id]);
    assert_eq!(world.count_events("session.opened").await, 2);
    world.store.purge(session.expires_at, None).await.unwrap();
    assert_eq!(world.store.session_find(session.id).await.unwrap(), None);
}

/// Only under the password that was compared, and in place of the browser's former one.
pub(super) async fn a_session_begins_under_the_present_password(world: World) {
    let (user, account) = with_password(&world, "alice").await;
    let (former, other) = (begun(&world, &user, 1).await, begun(&world, &user, 2).await);
    let next = session(&world, &user, 3);
    let add =
        SessionAdd { replaces: Some(former.id), rehash: Some(slow(5)), ..adding(&world, &next) };
    assert_eq!(world.store.session_add(add).await.unwrap(), SessionAdded::Done);
    assert_eq!(listed(&world, &user).await, [next.id, other.id]);
    let found = world.store.account_find(&user.realm, &user.username).await.unwrap().unwrap();
    assert_eq!((found.password, found.version), (slow(5), 1));
    let change = PasswordChange {
        account: Account { password: slow(6), ..account },
        keeps: Some(next.id),
        event: world.event("account.password-changed"),
    };
    assert!(world.store.password_change(change.clone()).await.unwrap());
    assert_eq!(listed(&world, &user).await, [next.id]);
    // Its version is another one now, for a change as for a session.
    assert!(!world.store.password_change(change).await.unwrap());
    let late = adding(&world, &session(&world, &user, 4));
    assert_eq!(world.store.session_add(late).await.unwrap(), SessionAdded::Gone);
    assert_eq!(listed(&world, &user).await, [next.id]);
    assert_eq!(world.count_events("account.password-changed").await, 1);
}

/// One, or all of them; those of others stay.
pub(super) async fn sessions_of_a_person_are_ended_by_them_alone(world: World) {
    let ((alice, _), (bob, _)) =
        (with_password(&world, "alice").await, with_password(&world, "bob").await);
    let (one, _, his) = (
        begun(&world, &alice, 1).await,
        begun(&world, &alice, 2).await,
        begun(&world, &bob, 1).await,
    );
    let end = async |user: &User, which| {
        let event = world.event("session.ended");
        world.store.sessions_end(&user.realm, &user.username, which, event).await.unwrap()
    };
    assert_eq!(end(&alice, SessionsEnd::One(his.id)).await, 0);
    assert_eq!(end(&alice, SessionsEnd::One(one.id)).await, 1);
    assert_eq!(end(&alice, SessionsEnd::One(one.id)).await, 0);
    assert_eq!(end(&alice, SessionsEnd::All).await, 1);
    assert_eq!(listed(&world, &bob).await, [his.id]);
    assert_eq!(world.count_events("session.ended").await, 2);
    for used in 0..40 {
        begun(&world, &alice, used).await;
    }
    assert_eq!(listed(&world, &alice).await.len(), SESSIONS_PER_PERSON_MAX);
}

/// And what began meanwhile, by who was faster, does not live again when they are back.
pub(super) async fn who_does_not_count_is_signed_out_with_that(world: World) {
    let ((alice, _), (bob, _)) =
        (with_password(&world, "alice").await, with_password(&world, "bob").await);
    let (hers, his) = (begun(&world, &alice, 1).await, begun(&world, &bob, 1).await);
    let set = async |status| {
        let found = world.store.user_find(&alice.realm, &alice.username).await.unwrap().unwrap();
        let user = User { status, ..found };
        let said = world.store.user_update(user, world.event("user.updated")).await.unwrap();
        assert!(matches!(said, Updated::Done(_)), "{said:?}");
    };
    set(UserStatus::Active).await;
    assert_eq!(listed(&world, &alice).await, [hers.id]);
    set(UserStatus::Suspended).await;
    assert!(listed(&world, &alice).await.is_empty());
    begun(&world, &alice, 2).await;
    set(UserStatus::Active).await;
    assert!(listed(&world, &alice).await.is_empty());
    begun(&world, &alice, 3).await;
    set(UserStatus::Expired).await;
    assert!(listed(&world, &alice).await.is_empty());
    assert_eq!(listed(&world, &bob).await, [his.id]);
}

/// A later namesake neither signs in with the password nor goes on with a session.
pub(super) async fn removing_a_person_ends_what_they_signed_in_with(world: World) {
    let (user, _) = with_password(&world, "alice").await;
    let session = begun(&world, &user, 1).await;
    let link = link(&world, Some(&user.username));
    let event = world.event("sign-in-link.created");
    world.store.sign_in_link_add(link.clone(), event).await.unwrap();
    let event = world.event("user.deleted");
    let removed = world.store.user_delete(&user.realm, &user.username, World::at(9), event).await;
    assert!(removed.unwrap());
    assert_eq!(world.store.account_find(&user.realm, &user.username).await.unwrap(), None);
    assert_eq!(world.store.session_find(session.id).await.unwrap(), None);
    assert_eq!(world.store.sign_in_link_find(link.id).await.unwrap(), None);
    let said = world.store.session_add(adding(&world, &session)).await.unwrap();
    assert_eq!(said, SessionAdded::Gone);
}

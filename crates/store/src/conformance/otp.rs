//! Promises about authentication tokens.

use counterfoil_authority::kind::Kind;
use counterfoil_authority::otp::codes::EMAIL_ATTEMPTS_MAX;
use counterfoil_authority::otp::{Algorithm, Method, Shape};
use counterfoil_authority::repository::Place;
use counterfoil_authority::secret::TokenId;
use counterfoil_authority::store::{
    CODE_RETENTION_SECONDS, Issued, NOTHING_ACCEPTED, Otp, OtpAccept, OtpAccepted, OtpCode,
    OtpCodes, OtpImported, OtpIssue, OtpProof, OtpReplaced, OtpUse, SealedAt, TokenAct,
};
use counterfoil_authority::subject::User;
use counterfoil_authority::token::State;

use super::World;
use super::world::{limit, race};

/// An authentication token for a person.
pub(super) fn enrolment(world: &World, user: &User, method: Method) -> OtpIssue {
    let issue = world.issue_to(user);
    let mut token = issue.token;
    token.kind = Kind::Generic;
    let otp = Otp {
        token: token.id,
        method,
        shape: Shape { algorithm: Algorithm::Sha256, digits: 8, step_seconds: 60 },
        seed: method.has_seed().then(|| vec![0, 0, 0, 1, 9, 9]),
        seal: method.has_seed().then_some(1),
        public_id: (method == Method::Yubikey).then(|| "cccccccccccb".to_owned()),
        accepted: NOTHING_ACCEPTED,
        drift: 0,
        confirmed: true,
        codes_at: None,
        codes: Vec::new(),
    };
    OtpIssue { token, otp, limits: Vec::new(), data: None, idempotency: None, event: issue.event }
}

async fn enrolled(world: &World, issue: &OtpIssue) {
    let said = world.store.otp_issue(issue.clone()).await.unwrap();
    assert_eq!(said, Issued::Done { token: issue.token.clone(), replaced: Vec::new() });
}

fn code(world: &World, ends_at: Option<i64>) -> OtpCode {
    OtpCode {
        id: world.id(),
        pepper: 1,
        mac: world.mac(),
        expires_at: ends_at.map(World::at),
        attempts: 0,
        sealed: ends_at.map(|_| vec![7]),
    }
}

fn accept(token: TokenId, proof: OtpProof, counted: bool) -> OtpAccept {
    let purpose = OtpUse::Verify { counted };
    OtpAccept { token, proof, purpose, at: World::at(60), ip: None, event: None }
}

const fn place(at: i64) -> OtpProof {
    OtpProof::Place { at, drift: 0 }
}

async fn said(world: &World, accept: OtpAccept) -> OtpAccepted {
    world.store.otp_accept(accept).await.unwrap()
}

/// Without a secret, with its seed and its codes, and among those of its owner.
pub(super) async fn an_authentication_token_comes_back_as_it_was_enrolled(world: World) {
    let alice = world.user("alice").await;
    let first = enrolment(&world, &alice, Method::Yubikey);
    let mut second = enrolment(&world, &alice, Method::Backup);
    second.otp.codes = vec![code(&world, None), code(&world, None)];
    for issue in [&first, &second] {
        enrolled(&world, issue).await;
        let found = world.store.otp_find(&world.realm, issue.token.id).await.unwrap();
        assert_eq!(found.as_ref(), Some(&issue.otp));
        assert_eq!(world.token(issue.token.id).await.secrets, []);
    }
    let of =
        async |user: &User| world.store.otp_of_person(&world.realm, &user.username).await.unwrap();
    assert_eq!(of(&alice).await, [second.otp.clone(), first.otp]);
    assert_eq!(of(&world.user("bob").await).await, []);
    let plain = world.token_of(&alice).await;
    assert_eq!(world.store.otp_find(&world.realm, plain.id).await.unwrap(), None);
    let other = counterfoil_authority::names::RealmName::parse("elsewhere").unwrap();
    assert_eq!(world.store.otp_find(&other, second.token.id).await.unwrap(), None);
    world.revoke(first.token.id).await;
    assert_eq!(of(&alice).await, [second.otp]);
}

/// Owners are looked for, limits counted, ids drawn once.
pub(super) async fn an_enrolment_obeys_what_every_issue_obeys(world: World) {
    let alice = world.user("alice").await;
    let mut issue = enrolment(&world, &alice, Method::Totp);
    issue.idempotency = Some(World::idempotency("otp", "key", 1));
    enrolled(&world, &issue).await;
    let kept = format!("answer for {}", issue.token.id).into_bytes();
    let mut again = enrolment(&world, &alice, Method::Totp);
    again.idempotency = Some(World::idempotency("otp", "key", 1));
    assert_eq!(world.store.otp_issue(again).await.unwrap(), Issued::Replayed(kept));
    let mut taken = enrolment(&world, &alice, Method::Totp);
    taken.token.id = issue.token.id;
    taken.otp.token = issue.token.id;
    assert_eq!(world.store.otp_issue(taken).await.unwrap(), Issued::Collision);
    let mut limited = enrolment(&world, &alice, Method::Totp);
    limited.limits = vec![limit(1, counterfoil_authority::policy::AtLimit::Refuse)];
    assert_eq!(world.store.otp_issue(limited).await.unwrap(), Issued::AtLimit(1));
    let nobody = enrolment(&world, &world.user_named("nobody"), Method::Totp);
    assert_eq!(world.store.otp_issue(nobody).await.unwrap(), Issued::OwnerGone);
}

/// All or nothing: one that is in the way takes the others back, and is named.
pub(super) async fn a_batch_of_authentication_tokens_is_stored_whole_or_not_at_all(world: World) {
    let alice = world.user("alice").await;
    let first = enrolment(&world, &alice, Method::Totp);
    enrolled(&world, &first).await;
    let batch: Vec<_> = (0..3).map(|_| enrolment(&world, &alice, Method::Hotp)).collect();
    let mut late = batch.clone();
    late.push(first);
    let said = world.store.otp_import(late).await.unwrap();
    assert_eq!(said, OtpImported::Refused { index: 3, why: Issued::Collision });
    let held =
        async || world.store.otp_of_person(&world.realm, &alice.username).await.unwrap().len();
    assert_eq!((held().await, world.count_events("token.issued").await), (1, 1));
    assert_eq!(world.store.otp_import(batch.clone()).await.unwrap(), OtpImported::Done);
    assert_eq!((held().await, world.count_events("token.issued").await), (4, 4));
    for issue in &batch {
        let found = world.store.otp_find(&world.realm, issue.token.id).await.unwrap();
        assert_eq!(found.as_ref(), Some(&issue.otp));
    }
}

/// What a person keeps in stock is nobody's, theirs neither.
pub(super) async fn what_waits_in_stock_is_none_of_its_keepers_codes(world: World) {
    let alice = world.user("alice").await;
    let mut issue = enrolment(&world, &alice, Method::Totp);
    issue.token.pending = true;
    let name = counterfoil_authority::names::RepositoryName::parse("stock").unwrap();
    issue.token.repository =
        Some(counterfoil_authority::repository::Membership { name, place: Place::Stock });
    assert_eq!(world.store.otp_import(vec![issue]).await.unwrap(), OtpImported::Done);
    assert_eq!(world.store.otp_of_person(&world.realm, &alice.username).await.unwrap(), []);
}

/// However many present the code of one place; and never again that one or one before it.
pub(super) async fn of_sixty_four_presenters_of_one_place_one_is_accepted(world: World) {
    let alice = world.user("alice").await;
    let issue = enrolment(&world, &alice, Method::Hotp);
    enrolled(&world, &issue).await;
    let id = issue.token.id;
    let answers = race(64, |_| {
        let store = world.store.clone();
        async move { store.otp_accept(accept(id, place(5), false)).await.unwrap() }
    })
    .await;
    let done = answers.iter().filter(|said| **said == OtpAccepted::Done { used: 0 }).count();
    let spent = answers.iter().filter(|said| **said == OtpAccepted::Spent).count();
    assert_eq!((done, spent), (1, 63));
    assert_eq!(said(&world, accept(id, place(4), false)).await, OtpAccepted::Spent);
    let later = OtpProof::Place { at: 6, drift: -2 };
    assert_eq!(said(&world, accept(id, later, false)).await, OtpAccepted::Done { used: 0 });
    let found = world.store.otp_find(&world.realm, id).await.unwrap().unwrap();
    assert_eq!((found.accepted, found.drift), (6, -2));
}

/// The others stay; its clear text goes with it.
pub(super) async fn of_sixty_four_presenters_of_one_backup_code_one_is_accepted(world: World) {
    let alice = world.user("alice").await;
    let mut issue = enrolment(&world, &alice, Method::Backup);
    issue.otp.codes = vec![code(&world, None), code(&world, None)];
    enrolled(&world, &issue).await;
    let (id, name) = (issue.token.id, issue.otp.codes[0].id.clone());
    let answers = race(64, |_| {
        let (store, proof) = (world.store.clone(), OtpProof::Code(name.clone()));
        async move { store.otp_accept(accept(id, proof, false)).await.unwrap() }
    })
    .await;
    let done = answers.iter().filter(|said| **said == OtpAccepted::Done { used: 0 }).count();
    assert_eq!(done, 1);
    let found = world.store.otp_find(&world.realm, id).await.unwrap().unwrap();
    assert_eq!(found.codes, issue.otp.codes[1..]);
    let unknown = OtpProof::Code("none".to_owned());
    assert_eq!(said(&world, accept(id, unknown, false)).await, OtpAccepted::Spent);
}

/// Only of a token that is active, and a refused code leaves everything as it was.
pub(super) async fn a_code_is_accepted_of_an_active_token_only(world: World) {
    let alice = world.user("alice").await;
    let issue = enrolment(&world, &alice, Method::Totp);
    enrolled(&world, &issue).await;
    let id = issue.token.id;
    let switch = async |act| world.store.token_change(world.switch(id, act)).await.unwrap();
    switch(TokenAct::Disable).await;
    let refused = |state| OtpAccepted::Refused(state);
    assert_eq!(said(&world, accept(id, place(1), false)).await, refused(State::Disabled));
    assert_eq!(said(&world, accept(id, place(1), true)).await, refused(State::Disabled));
    switch(TokenAct::Enable).await;
    assert_eq!(said(&world, accept(id, place(1), true)).await, OtpAccepted::Done { used: 1 });
    world.revoke(id).await;
    assert_eq!(said(&world, accept(id, place(2), false)).await, refused(State::Revoked));
    let adjust = OtpAccept { purpose: OtpUse::Adjust, ..accept(id, place(2), false) };
    assert_eq!(said(&world, adjust).await, refused(State::Revoked));
    let found = world.store.otp_find(&world.realm, id).await.unwrap().unwrap();
    assert_eq!(found.accepted, 1);
}

/// A use that is refused is not counted, and the last one that is allowed is accepted.
pub(super) async fn a_code_counts_as_many_uses_as_are_allowed(world: World) {
    let alice = world.user("alice").await;
    let mut issue = enrolment(&world, &alice, Method::Hotp);
    issue.token.max_usages = Some(2);
    enrolled(&world, &issue).await;
    let id = issue.token.id;
    assert_eq!(said(&world, accept(id, place(1), true)).await, OtpAccepted::Done { used: 1 });
    assert_eq!(said(&world, accept(id, place(1), true)).await, OtpAccepted::Spent);
    assert_eq!(world.token(id).await.used, 1);
    assert_eq!(said(&world, accept(id, place(2), true)).await, OtpAccepted::Done { used: 2 });
    let ended = OtpAccepted::Refused(State::Exhausted);
    assert_eq!(said(&world, accept(id, place(3), true)).await, ended);
    let token = world.token(id).await;
    assert_eq!((token.used, token.usage.total), (2, 2));
}

/// By the code that confirms it, which is recorded once.
pub(super) async fn a_token_is_good_for_nothing_before_it_is_confirmed(world: World) {
    let alice = world.user("alice").await;
    let mut issue = enrolment(&world, &alice, Method::Totp);
    issue.otp.confirmed = false;
    enrolled(&world, &issue).await;
    let id = issue.token.id;
    assert_eq!(said(&world, accept(id, place(1), false)).await, OtpAccepted::Spent);
    let event = || world.event("authenticator.confirmed").with_token(id);
    let confirm = |at| OtpAccept {
        purpose: OtpUse::Adjust,
        event: Some(event()),
        ..accept(id, place(at), false)
    };
    assert_eq!(said(&world, confirm(1)).await, OtpAccepted::Done { used: 0 });
    assert_eq!(said(&world, confirm(1)).await, OtpAccepted::Spent);
    assert_eq!(world.count_events("authenticator.confirmed").await, 1);
    assert_eq!(said(&world, accept(id, place(2), false)).await, OtpAccepted::Done { used: 0 });
}

/// Of those that come at the same time one is; the earlier codes are gone.
pub(super) async fn codes_are_replaced_as_a_whole_and_not_too_often(world: World) {
    let alice = world.user("alice").await;
    let issue = enrolment(&world, &alice, Method::Email);
    enrolled(&world, &issue).await;
    let id = issue.token.id;
    let codes = |at: i64| OtpCodes {
        realm: world.realm.clone(),
        token: id,
        codes: vec![code(&world, Some(at + 600))],
        unless_since: Some(World::at(at - 30)),
        at: World::at(at),
        event: world.event("code.sent").with_token(id),
    };
    let answers = race(40, |_| {
        let (store, codes) = (world.store.clone(), codes(100));
        async move { store.otp_replace_codes(codes).await.unwrap() }
    })
    .await;
    let done = answers.iter().filter(|said| **said == OtpReplaced::Done).count();
    let soon = answers.iter().filter(|said| **said == OtpReplaced::TooSoon).count();
    assert_eq!((done, soon), (1, 39));
    let replace = async |codes| world.store.otp_replace_codes(codes).await.unwrap();
    assert_eq!(replace(codes(129)).await, OtpReplaced::TooSoon);
    let later = codes(130);
    assert_eq!(replace(later.clone()).await, OtpReplaced::Done);
    let found = world.store.otp_find(&world.realm, id).await.unwrap().unwrap();
    assert_eq!((&found.codes, found.codes_at), (&later.codes, Some(World::at(130))));
    assert_eq!(world.count_events("code.sent").await, 2);
    let proof = || OtpProof::Code(later.codes[0].id.clone());
    let late = OtpAccept { at: World::at(730), ..accept(id, proof(), false) };
    assert_eq!(said(&world, late).await, OtpAccepted::Spent);
    world.revoke(id).await;
    assert_eq!(replace(codes(900)).await, OtpReplaced::NotFound);
    let plain = world.token_of(&alice).await;
    let none = OtpCodes { token: plain.id, ..codes(900) };
    assert_eq!(replace(none).await, OtpReplaced::NotFound);
}

/// A code that was sent ends after so many wrong ones; codes on a sheet do not.
pub(super) async fn wrong_codes_end_the_one_that_was_sent(world: World) {
    let alice = world.user("alice").await;
    let mut sent = enrolment(&world, &alice, Method::Email);
    sent.otp.codes = vec![code(&world, Some(600))];
    let mut sheet = enrolment(&world, &alice, Method::Backup);
    sheet.otp.codes = vec![code(&world, None)];
    for (issue, ends) in [(&sent, true), (&sheet, false)] {
        enrolled(&world, issue).await;
        for _ in 0..EMAIL_ATTEMPTS_MAX {
            world.store.otp_missed(issue.token.id).await.unwrap();
        }
        let proof = OtpProof::Code(issue.otp.codes[0].id.clone());
        let done = said(&world, accept(issue.token.id, proof, false)).await;
        assert_eq!(done == OtpAccepted::Spent, ends, "{done:?}");
    }
}

/// Those under older keys are found; a seed that was replaced meanwhile is not overwritten.
pub(super) async fn seeds_are_sealed_anew_one_by_one(world: World) {
    let alice = world.user("alice").await;
    let issue = enrolment(&world, &alice, Method::Totp);
    enrolled(&world, &issue).await;
    let id = issue.token.id;
    let old = issue.otp.seed.clone().unwrap();
    let of_this = async |seal| {
        let found = world.store.otp_sealed_before(seal, None, 1_000).await.unwrap();
        found.into_iter().find(|otp| otp.token == id)
    };
    assert_eq!(of_this(1).await, None);
    assert_eq!(of_this(2).await, Some(issue.otp.clone()));
    // In an order, so that one that cannot be opened is gone past.
    let other = enrolment(&world, &alice, Method::Totp);
    enrolled(&world, &other).await;
    let mut last = None;
    let mut walked = Vec::new();
    loop {
        let page = world.store.otp_sealed_before(2, last, 1).await.unwrap();
        let Some(otp) = page.first() else { break };
        assert_eq!(page.len(), 1);
        let at = SealedAt { seal: otp.seal.unwrap(), token: otp.token };
        assert!(last.is_none_or(|before| before < at));
        walked.push(otp.token);
        last = Some(at);
    }
    assert!(walked.contains(&id) && walked.contains(&other.token.id));
    let reseal = async |old: &[u8], new: &[u8]| {
        world.store.otp_reseal(id, old.to_vec(), new.to_vec(), 2).await.unwrap()
    };
    assert!(!reseal(b"another", b"new").await);
    assert!(reseal(&old, b"new").await);
    assert!(!reseal(&old, b"newer").await);
    assert_eq!(of_this(2).await, None);
    let found = world.store.otp_find(&world.realm, id).await.unwrap().unwrap();
    assert_eq!((found.seed.as_deref(), found.seal), (Some(b"new".as_slice()), Some(2)));
}

/// One that was sent and has ended keeps no pepper in use for ever; codes on a sheet stay.
pub(super) async fn a_purge_forgets_codes_that_ended_long_ago(world: World) {
    // Before anything else in the store, so that the purge of this promise reaches only it.
    const ENDS_AT: i64 = -100_000_000;
    const PEPPER: u32 = 77;
    let alice = world.user("alice").await;
    let mut sent = enrolment(&world, &alice, Method::Email);
    sent.otp.codes = vec![OtpCode { pepper: PEPPER, ..code(&world, Some(ENDS_AT)) }];
    let mut sheet = enrolment(&world, &alice, Method::Backup);
    sheet.otp.codes = vec![code(&world, None)];
    enrolled(&world, &sent).await;
    enrolled(&world, &sheet).await;
    let kept = async |issue: &OtpIssue| {
        let found = world.store.otp_find(&world.realm, issue.token.id).await.unwrap();
        found.unwrap().codes
    };
    let in_use = async || {
        let uses = world.store.key_use().await.unwrap();
        uses.iter().any(|used| used.id == PEPPER && used.rows > 0)
    };
    let end = World::at(ENDS_AT + CODE_RETENTION_SECONDS);
    world.store.purge(end.plus_seconds(-1), None).await.unwrap();
    assert_eq!(kept(&sent).await, sent.otp.codes);
    assert!(in_use().await);
    world.store.purge(end, None).await.unwrap();
    assert_eq!(kept(&sent).await, []);
    assert!(!in_use().await);
    assert_eq!(kept(&sheet).await, sheet.otp.codes);
}

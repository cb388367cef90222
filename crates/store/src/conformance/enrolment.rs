//! Promises about drawing from registration tokens, and about what waits, ends and is told.
//!
//! Length: one promise after the other, each short, about one set of rows.

use std::collections::BTreeSet;
use std::sync::Arc;

use counterfoil_authority::access::AccessFormat;
use counterfoil_authority::enrolment::{
    Confirmation, Constraint, Counts, Device, DeviceFacts, ISSUE_APPROVAL_SECONDS, Mode,
    OnDuplicate,
};
use counterfoil_authority::kind::Kind;
use counterfoil_authority::secret::TokenId;
use counterfoil_authority::store::{
    BlastRadius, CountReturn, Draw, DrawRules, Enrol, EnrolReplay, Enrolled, PageRequest, Returned,
    TokenAct, TokenFilter, TokenUpdated,
};
use counterfoil_authority::token::{State, Token, Told};
use counterfoil_authority::validity::Validity;

use super::World;
use super::world::{race, revocation};

/// A registration token with a count.
pub(super) async fn registration(world: &World, count: Option<u64>) -> Token {
    let alice = world.user("alice").await;
    let mut issue = world.issue_to(&alice);
    issue.token.kind = Kind::RegistrationToken;
    issue.token.sentinel.count = count;
    issue.token.validity = Validity::new(World::at(-9), Some(World::at(9_000))).unwrap();
    world.issued(issue).await
}

/// A device, told apart from others by its number.
pub(super) fn device(number: usize) -> Device {
    Device {
        facts: DeviceFacts {
            subject: format!("device-{number}"),
            hostname: Some(format!("ws-{number}")),
            system_user: Some("svc".into()),
            mac_address: Some("00:11:22:33:44:55".into()),
            identifier: Some(format!("id-{number}")),
            ref_id_1: Some("one".into()),
            ref_id_2: Some("two".into()),
        },
        source: "192.0.2.7".parse().ok(),
        confirmation: Some(Confirmation::Jkt("thumb".into())),
        key: format!("key-{number}"),
        access: AccessFormat::Opaque,
        client: Some("{}".into()),
        ephemeral: true,
        idle_seconds: Some(60),
        idle_ends_at: Some(World::at(60)),
        refreshed_at: None,
        user_code: None,
        request_ends_at: None,
    }
}

/// A draw by a device, now.
pub(super) fn draw(world: &World, from: &Token, number: usize) -> Enrol {
    let issue = world.issue_for(from.owner.clone(), &["counterfoil"]);
    let mut child = issue.token;
    child.kind = Kind::AuthToken;
    let device = device(number);
    child.sentinel.identifier.clone_from(&device.facts.identifier);
    child.sentinel.ref_id_1.clone_from(&device.facts.ref_id_1);
    child.sentinel.ref_id_2.clone_from(&device.facts.ref_id_2);
    child.sentinel.registration_token = Some(from.id);
    child.device = Some(Box::new(device));
    Enrol {
        registration: from.id,
        version: from.version,
        child,
        secret: issue.secret,
        draw: Draw::Count,
        rules: DrawRules::default(),
        replay: None,
        event: world.event("token.enrolled").with_token(from.id),
    }
}

/// A draw that waits for approval until an instant.
fn request(world: &World, from: &Token, number: usize, until: i64) -> Enrol {
    let mut enrol = Enrol { draw: Draw::Reserve, ..draw(world, from, number) };
    if let Some(device) = &mut enrol.child.device {
        device.user_code = Some(format!("CODE-{number}"));
        device.request_ends_at = Some(World::at(until));
    }
    enrol
}

/// What a draw that succeeds gives.
pub(super) async fn drawn(world: &World, enrol: Enrol) -> (Token, Counts) {
    match world.store.enrol(enrol).await.unwrap() {
        Enrolled::Done { token, counts, .. } => (*token, counts),
        other => panic!("{other:?}"),
    }
}

async fn refused(world: &World, enrol: Enrol) -> Enrolled {
    world.store.enrol(enrol).await.unwrap()
}

async fn counts(world: &World, token: &Token) -> (u64, u64) {
    let token = world.token(token.id).await;
    (token.used, token.sentinel.reserved)
}

/// With everything that is known of its device; and the count stands at one.
pub(super) async fn an_auth_token_comes_back_as_it_was_drawn(world: World) {
    let from = registration(&world, Some(5)).await;
    let enrol = draw(&world, &from, 1);
    let (token, after) = drawn(&world, enrol.clone()).await;
    let expected = Token {
        activated_at: Some(enrol.child.created_at),
        secrets: vec![enrol.secret.facts.clone()],
        ..enrol.child
    };
    assert_eq!(token, expected);
    assert_eq!(world.token(token.id).await, expected);
    assert_eq!(after, Counts { limit: Some(5), used: 1, ..Counts::default() });
    assert_eq!(world.count_events("token.enrolled").await, 1);
    // A draw is no edit.
    assert_eq!(world.token(from.id).await.version, from.version);
}

/// Whoever comes too late is told so, and nothing is left of them.
pub(super) async fn of_forty_draws_as_many_succeed_as_are_counted(world: World) {
    for count in [1_u64, 7, 40] {
        let from = registration_again(&world, Some(count)).await;
        let said = race(40, |number| {
            let (world, from) = (world.clone(), from.clone());
            async move { world.store.enrol(draw(&world, &from, number)).await.unwrap() }
        })
        .await;
        let done = said.iter().filter(|said| matches!(said, Enrolled::Done { .. })).count();
        let late = said.iter().filter(|said| **said == Enrolled::Refused(State::Exhausted)).count();
        assert_eq!((done as u64, late as u64), (count, 40 - count));
        assert_eq!(counts(&world, &from).await, (count, 0));
        let filter = TokenFilter { registration: Some(from.id), ..TokenFilter::default() };
        let page = PageRequest::first(1_000);
        let listed = world.store.token_list(&world.realm, filter, World::at(1), page).await;
        assert_eq!(listed.unwrap().items.len() as u64, count);
    }
}

/// A further registration token of the same person.
async fn registration_again(world: &World, count: Option<u64>) -> Token {
    let name = counterfoil_authority::names::Username::parse("alice").unwrap();
    if world.store.user_find(&world.realm, &name).await.unwrap().is_none() {
        return registration(world, count).await;
    }
    let owner = counterfoil_authority::subject::Owner::User(name);
    let mut issue = world.issue_for(owner, &["counterfoil"]);
    issue.token.kind = Kind::RegistrationToken;
    issue.token.sentinel.count = count;
    world.issued(issue).await
}

/// By whatever it is not: switched off, not begun, ended, revoked, unknown, or no such thing.
pub(super) async fn nothing_is_drawn_from_what_is_not_active(world: World) {
    let from = registration(&world, None).await;
    let mut late = draw(&world, &from, 1);
    late.child.created_at = World::at(9_000);
    assert_eq!(refused(&world, late).await, Enrolled::Refused(State::Expired));
    let mut early = draw(&world, &from, 1);
    early.child.created_at = World::at(-10);
    assert_eq!(refused(&world, early).await, Enrolled::Refused(State::NotYetValid));
    let other = world.token_of(&world.user("bob").await).await;
    let said = refused(&world, draw(&world, &other, 1)).await;
    assert_eq!(said, Enrolled::Refused(State::Revoked));
    world.store.token_change(world.switch(from.id, TokenAct::Disable)).await.unwrap();
    let from = world.token(from.id).await;
    let said = refused(&world, draw(&world, &from, 1)).await;
    assert_eq!(said, Enrolled::Refused(State::Disabled));
    let from = world.revoke(from.id).await;
    let said = refused(&world, draw(&world, &from, 1)).await;
    assert_eq!(said, Enrolled::Refused(State::Revoked));
    assert_eq!(counts(&world, &from).await, (0, 0));
}

/// What was edited since is judged again.
pub(super) async fn a_draw_counts_for_the_version_it_was_judged_by(world: World) {
    let from = registration(&world, Some(5)).await;
    let edited = Token { name: Some("fleet".into()), ..from.clone() };
    world.store.token_update(world.update(edited)).await.unwrap();
    assert_eq!(refused(&world, draw(&world, &from, 1)).await, Enrolled::Changed);
    let from = world.token(from.id).await;
    drawn(&world, draw(&world, &from, 1)).await;
}

fn replay(request: u8) -> EnrolReplay {
    EnrolReplay {
        key: "key".into(),
        fingerprint: [request; 32],
        expires_at: World::at(3_600),
        answer: Arc::new(|token, counts| format!("{} {}", token.id, counts.used).into_bytes()),
    }
}

/// Whichever of them was first; and the key is taken for any other request, until its end.
pub(super) async fn of_forty_equal_draws_one_is_counted(world: World) {
    let from = registration(&world, Some(5)).await;
    let said = race(40, |_| {
        let (world, from) = (world.clone(), from.clone());
        async move {
            let enrol = Enrol { replay: Some(replay(1)), ..draw(&world, &from, 1) };
            world.store.enrol(enrol).await.unwrap()
        }
    })
    .await;
    let answers: BTreeSet<Vec<u8>> = said
        .iter()
        .map(|said| match said {
            Enrolled::Done { token, counts, .. } => (replay(1).answer)(token, *counts),
            Enrolled::Replayed(answer) => answer.clone(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!((answers.len(), counts(&world, &from).await), (1, (1, 0)));
    let other = Enrol { replay: Some(replay(2)), ..draw(&world, &from, 2) };
    assert_eq!(refused(&world, other).await, Enrolled::KeyReused);
    let mut later = Enrol { replay: Some(replay(2)), ..draw(&world, &from, 3) };
    later.child.created_at = World::at(3_600);
    drawn(&world, later).await;
    assert_eq!(counts(&world, &from).await, (2, 0));
}

/// Most, all, and the first who came too late: once each, until there is something left again.
pub(super) async fn each_threshold_is_told_of_once(world: World) {
    let from = registration(&world, Some(5)).await;
    race(20, |number| {
        let (world, from) = (world.clone(), from.clone());
        async move { world.store.enrol(draw(&world, &from, number)).await.unwrap() }
    })
    .await;
    let told = ["token.count-nearly-used", "token.count-used-up", "token.count-exceeded"];
    for kind in told {
        assert_eq!(world.count_events(kind).await, 1, "{kind}");
    }
    let full = world.token(from.id).await;
    assert_eq!(full.sentinel.told, Told(7));
    let mut more = full.clone();
    more.sentinel.count = Some(6);
    world.store.token_update(world.update(more)).await.unwrap();
    let from = world.token(from.id).await;
    assert_eq!(from.sentinel.told, Told(Told::NEARLY));
    drawn(&world, draw(&world, &from, 30)).await;
    assert_eq!(world.count_events("token.count-nearly-used").await, 1);
    assert_eq!(world.count_events("token.count-used-up").await, 2);
}

/// Whether draws race with it or not.
pub(super) async fn a_count_is_never_less_than_what_is_taken(world: World) {
    let from = registration(&world, Some(10)).await;
    for number in 0..3 {
        drawn(&world, draw(&world, &from, number)).await;
    }
    drawn(&world, request(&world, &from, 3, 60)).await;
    let lowered = |count| {
        let mut token = from.clone();
        token.sentinel.count = count;
        world.store.token_update(world.update(token))
    };
    assert_eq!(lowered(Some(3)).await.unwrap(), TokenUpdated::CountTaken(4));
    assert_eq!(world.token(from.id).await.version, from.version);
    let TokenUpdated::Done(token) = lowered(Some(4)).await.unwrap() else { panic!("refused") };
    assert_eq!((token.remaining(), token.used), (Some(0), 3));
}

/// Reserved, counted when somebody approves, and free again when somebody does not.
pub(super) async fn a_request_holds_a_draw_until_it_is_decided(world: World) {
    let from = registration(&world, Some(3)).await;
    let mut waiting = Vec::new();
    for number in 0..3 {
        let (token, after) = drawn(&world, request(&world, &from, number, 60)).await;
        assert!(token.pending && token.activated_at.is_none());
        assert_eq!(after.reserved, number as u64 + 1);
        waiting.push(token);
    }
    let said = refused(&world, draw(&world, &from, 9)).await;
    assert_eq!(said, Enrolled::Refused(State::Exhausted));
    let found = world.store.enrolment_waiting(&world.realm, "CODE-1").await.unwrap();
    assert_eq!(found.as_ref(), Some(&waiting[1]));
    let approve = |id| world.store.token_change(world.switch(id, TokenAct::Approve));
    approve(waiting[0].id).await.unwrap();
    approve(waiting[0].id).await.unwrap();
    assert_eq!(counts(&world, &from).await, (1, 2));
    let approved = world.token(waiting[0].id).await;
    assert!(!approved.pending && approved.activated_at.is_some());
    assert_eq!(approved.device.unwrap().request_ends_at, None);
    world.store.token_change(world.switch(waiting[1].id, revocation())).await.unwrap();
    assert_eq!(counts(&world, &from).await, (1, 1));
    assert_eq!(world.store.enrolment_waiting(&world.realm, "CODE-1").await.unwrap(), None);
    // Too late: it ends instead, and its draw is free.
    let mut late = world.switch(waiting[2].id, TokenAct::Approve);
    late.at = World::at(60);
    world.store.token_change(late).await.unwrap();
    assert_eq!(counts(&world, &from).await, (1, 0));
    assert!(world.token(waiting[2].id).await.revocation.is_some());
}

/// Both would be one too many.
pub(super) async fn of_forty_decisions_about_a_request_one_counts(world: World) {
    let from = registration(&world, Some(3)).await;
    let (waiting, _) = drawn(&world, request(&world, &from, 1, 60)).await;
    race(40, |number| {
        let (world, id) = (world.clone(), waiting.id);
        async move {
            let act = if number % 2 == 0 { TokenAct::Approve } else { revocation() };
            world.store.token_change(world.switch(id, act)).await.unwrap()
        }
    })
    .await;
    let (used, reserved) = counts(&world, &from).await;
    assert!(used <= 1 && reserved == 0, "{used} used, {reserved} reserved");
}

/// By whoever needs the draw, or by the step that looks for them.
pub(super) async fn a_request_that_nobody_decides_is_let_go(world: World) {
    let from = registration(&world, Some(2)).await;
    for number in 0..2 {
        drawn(&world, request(&world, &from, number, 30)).await;
    }
    let mut enrol = draw(&world, &from, 5);
    enrol.child.created_at = World::at(29);
    assert_eq!(refused(&world, enrol.clone()).await, Enrolled::Refused(State::Exhausted));
    enrol.child.created_at = World::at(30);
    drawn(&world, enrol).await;
    assert_eq!(counts(&world, &from).await, (1, 0));
    assert_eq!(world.count_events("token.request-timed-out").await, 2);
    let (waiting, _) = drawn(&world, request(&world, &from, 7, 40)).await;
    due(&world, 39).await;
    assert_eq!(counts(&world, &from).await, (1, 1));
    due(&world, 40).await;
    assert_eq!(counts(&world, &from).await, (1, 0));
    let ended = world.token(waiting.id).await.revocation.unwrap();
    assert_eq!((ended.by.as_str(), ended.reason.as_deref()), ("system", Some("timed out")));
}

/// Ten days after its issue; one that was approved, or ended before, is left alone.
pub(super) async fn a_token_whose_issue_nobody_approves_ends(world: World) {
    let alice = world.user("alice").await;
    let mut tokens = Vec::new();
    for _ in 0..3 {
        let mut issue = world.issue_to(&alice);
        issue.token.pending = true;
        issue.token.created_at = World::at(0);
        tokens.push(world.issued(issue).await.id);
    }
    let [waits, approved, denied] = tokens[..] else { panic!("three") };
    world.store.token_change(world.switch(approved, TokenAct::Approve)).await.unwrap();
    world.revoke(denied).await;
    due(&world, ISSUE_APPROVAL_SECONDS - 1).await;
    assert_eq!(world.token(waits).await.revocation, None);
    for at in 0..9 {
        // A batch each time, of everything that others left to fall due before.
        due(&world, ISSUE_APPROVAL_SECONDS + at).await;
    }
    let ended = world.token(waits).await.revocation.unwrap();
    assert_eq!((ended.by.as_str(), ended.reason.as_deref()), ("system", Some("timed out")));
    let approved = world.token(approved).await;
    assert!(approved.revocation.is_none() && !approved.pending);
    let denied = world.token(denied).await.revocation.unwrap();
    assert_ne!(denied.reason.as_deref(), Some("timed out"));
    assert_eq!(world.count_events("token.request-timed-out").await, 1);
}

/// Whoever takes it is no exception.
pub(super) async fn a_draw_that_is_freed_is_judged_by_the_rules_too(world: World) {
    let from = registration(&world, Some(1)).await;
    drawn(&world, request(&world, &from, 0, 30)).await;
    let rules = DrawRules { per_hour: Some((1, Mode::Strict)), ..DrawRules::default() };
    let mut enrol = Enrol { rules, ..draw(&world, &from, 5) };
    enrol.child.created_at = World::at(30);
    let said = refused(&world, enrol).await;
    assert_eq!(said, Enrolled::Broken(Constraint::PerHour));
    assert_eq!(counts(&world, &from).await.0, 0);
}

async fn due(world: &World, at: i64) {
    let cause = world.event("token.idle-ended");
    world.store.enrolment_due(World::at(at), 100, cause).await.unwrap();
}

/// At once below it, and one after the other even among many at once.
pub(super) async fn the_first_draws_are_counted_and_the_others_wait(world: World) {
    let from = registration(&world, Some(40)).await;
    race(30, |number| {
        let (world, from) = (world.clone(), from.clone());
        async move {
            let draw = Draw::CountBelow(7);
            let enrol = Enrol { draw, ..request(&world, &from, number, 60) };
            world.store.enrol(enrol).await.unwrap()
        }
    })
    .await;
    assert_eq!(counts(&world, &from).await, (7, 23));
}

/// In an hour, and per device; a warning lets pass and is told of.
pub(super) async fn rules_about_other_draws_hold_in_the_same_transaction(world: World) {
    let from = registration(&world, None).await;
    let hourly = DrawRules { per_hour: Some((3, Mode::Strict)), ..DrawRules::default() };
    let said = race(40, |number| {
        let (world, from) = (world.clone(), from.clone());
        async move {
            let enrol = Enrol { rules: hourly, ..draw(&world, &from, number) };
            world.store.enrol(enrol).await.unwrap()
        }
    })
    .await;
    let broken = Enrolled::Broken(Constraint::PerHour);
    assert_eq!(said.iter().filter(|said| **said == broken).count(), 37);
    let single = DrawRules { per_device: Some((1, Mode::Strict)), ..DrawRules::default() };
    let said = race(40, |number| {
        let (world, from) = (world.clone(), from.clone());
        async move {
            let enrol = Enrol { rules: single, ..draw(&world, &from, 100 + number % 4) };
            world.store.enrol(enrol).await.unwrap()
        }
    })
    .await;
    let broken = Enrolled::Broken(Constraint::PerDevice);
    assert_eq!(said.iter().filter(|said| **said == broken).count(), 36);
    let warned = DrawRules { per_device: Some((1, Mode::Warn)), ..DrawRules::default() };
    drawn(&world, Enrol { rules: warned, ..draw(&world, &from, 100) }).await;
    assert_eq!(world.count_events("enrol.constraint-warned").await, 1);
    assert_eq!(counts(&world, &from).await, (8, 0));
}

/// Refused, replaced, or pointed to what it has.
pub(super) async fn a_device_that_draws_again_is_treated_as_the_rule_says(world: World) {
    let from = registration(&world, None).await;
    let with = |on_duplicate, number| Enrol {
        rules: DrawRules { on_duplicate, ..DrawRules::default() },
        ..draw(&world, &from, number)
    };
    let (first, _) = drawn(&world, with(OnDuplicate::Reject, 1)).await;
    let said = refused(&world, with(OnDuplicate::Reject, 1)).await;
    assert_eq!(said, Enrolled::Broken(Constraint::DuplicateDevice));
    let said = refused(&world, with(OnDuplicate::ReturnExisting, 1)).await;
    assert_eq!(said, Enrolled::Held(first.id));
    assert_eq!(counts(&world, &from).await, (1, 0));
    let said = refused(&world, with(OnDuplicate::Replace, 1)).await;
    assert!(matches!(said, Enrolled::Done { replaced: Some(id), .. } if id == first.id));
    assert!(world.token(first.id).await.revocation.is_some());
    let found =
        world.store.enrolled_device(&world.realm, from.id, "key-1", World::at(1)).await.unwrap();
    assert!(found.is_some_and(|token| token.id != first.id));
    let none = world.store.enrolled_device(&world.realm, from.id, "key-2", World::at(1)).await;
    assert_eq!(none.unwrap(), None);
}

/// Never more than was drawn; and what is left again is told of again.
pub(super) async fn draws_are_given_back_in_a_column_of_their_own(world: World) {
    let from = registration(&world, Some(2)).await;
    for number in 0..2 {
        drawn(&world, draw(&world, &from, number)).await;
    }
    let back = |id, draws| CountReturn {
        realm: world.realm.clone(),
        id,
        draws,
        event: world.event("token.count-returned").with_token(from.id),
    };
    let said = world.store.count_return(back(from.id, 3)).await.unwrap();
    assert_eq!(said, Returned::TooMany(2));
    let Returned::Done(after) = world.store.count_return(back(from.id, 1)).await.unwrap() else {
        panic!("refused")
    };
    assert_eq!((after.used, after.sentinel.returned, after.remaining()), (2, 1, Some(1)));
    assert_eq!(after.sentinel.told, Told(0));
    drawn(&world, draw(&world, &after, 7)).await;
    assert_eq!(world.count_events("token.count-used-up").await, 2);
    let unknown = TokenId::parse("000000000000").unwrap();
    assert_eq!(world.store.count_return(back(unknown, 1)).await.unwrap(), Returned::NotFound);
}

/// Unless they are to end as well; and what hangs on a token is counted.
pub(super) async fn what_was_drawn_outlives_its_registration_token(world: World) {
    let from = registration(&world, Some(9)).await;
    for number in 0..3 {
        drawn(&world, draw(&world, &from, number)).await;
    }
    let (waiting, _) = drawn(&world, request(&world, &from, 3, 60)).await;
    let reach = world.store.blast_radius(from.id, World::at(1)).await.unwrap();
    let expected =
        BlastRadius { auth_tokens: 4, active: 3, active_last_day: 3, waiting: 1, derived: 0 };
    assert_eq!(reach, expected);
    world.revoke(from.id).await;
    assert_eq!(world.store.blast_radius(from.id, World::at(1)).await.unwrap(), expected);
    let by = "user:root".to_owned();
    let act = TokenAct::RevokeWithChildren { by, reason: Some("leaked".into()) };
    world.store.token_change(world.switch(from.id, act)).await.unwrap();
    let reach = world.store.blast_radius(from.id, World::at(1)).await.unwrap();
    assert_eq!(reach, BlastRadius { auth_tokens: 4, ..BlastRadius::default() });
    assert_eq!(world.token(waiting.id).await.revocation.unwrap().by, "user:root");
    assert_eq!(counts(&world, &from).await, (3, 0));
}

/// What was not refreshed in time, and once for each registration token that ends soon.
pub(super) async fn what_falls_due_is_done_once(world: World) {
    let from = registration(&world, None).await;
    let (idle, _) = drawn(&world, draw(&world, &from, 1)).await;
    due(&world, 59).await;
    assert_eq!(world.token(idle.id).await.revocation, None);
    due(&world, 60).await;
    due(&world, 61).await;
    let ended = world.token(idle.id).await.revocation.unwrap();
    assert_eq!((ended.by.as_str(), ended.reason.as_deref()), ("system", Some("idle")));
    assert_eq!(world.count_events("token.idle-ended").await, 1);
    // It ends within 72 hours from the beginning, so that is told of at the first look.
    assert_eq!(world.count_events("token.ends-soon").await, 1);
}

/// By each of its facts, and by its registration token.
pub(super) async fn auth_tokens_are_found_by_their_devices(world: World) {
    let from = registration(&world, None).await;
    let mut issue = world.issue_for(from.owner.clone(), &["counterfoil"]);
    issue.token.kind = Kind::RegistrationToken;
    issue.token.sentinel.identifier = Some("office".into());
    issue.token.sentinel.ref_id_2 = Some("two".into());
    let office = world.issued(issue).await;
    for number in 0..3 {
        drawn(&world, draw(&world, &from, number)).await;
    }
    drawn(&world, draw(&world, &office, 1)).await;
    let some = |text: &str| Some(text.to_owned());
    let all = TokenFilter::default;
    let auth = || TokenFilter { kind: Some(Kind::AuthToken), ..all() };
    let registrations = || TokenFilter { kind: Some(Kind::RegistrationToken), ..all() };
    for (filter, found) in [
        (TokenFilter { registration: Some(from.id), ..all() }, 3),
        (TokenFilter { hostname: some("ws-1"), ..all() }, 2),
        (TokenFilter { subject: some("device-1"), registration: Some(from.id), ..all() }, 1),
        (TokenFilter { system_user: some("svc"), ..all() }, 4),
        (TokenFilter { mac_address: some("00:00:00:00:00:00"), ..all() }, 0),
        (TokenFilter { identifier: some("id-2"), ..auth() }, 1),
        (TokenFilter { ref_id_1: some("one"), ..auth() }, 4),
        (TokenFilter { identifier: some("office"), ..registrations() }, 1),
        (TokenFilter { ref_id_2: some("two"), ..registrations() }, 1),
        (TokenFilter { ref_id_2: some("two"), ..all() }, 5),
    ] {
        let page = PageRequest::first(100);
        let listed = world.store.token_list(&world.realm, filter.clone(), World::at(1), page).await;
        assert_eq!(listed.unwrap().items.len(), found, "{filter:?}");
    }
}

//! The report on an old system: who may read it, its pages, and a store that is down meanwhile.

use std::sync::Arc;

use async_trait::async_trait;
use counterfoil_authority::authority::{Binding, Verdict, VerifyRequest};
use counterfoil_authority::caller::RequestContext;
use counterfoil_authority::event::Origin;
use counterfoil_authority::names::{RealmName, ShadowName};
use counterfoil_authority::shadow::{
    Compared, OldSystem, Ours, Question, Said, Shadow, ShadowSettings,
};
use counterfoil_authority::store::Store;
use counterfoil_authority::verdict::{Door, Reason};
use counterfoil_server::http::HttpSettings;
use counterfoil_store::{FailingStore, MemoryStore};
use serde_json::{Value, json};
use tokio::sync::mpsc::Receiver;

use crate::world::{R, World};

/// An old system that says the same of everything.
struct Always(Said);

#[async_trait]
impl OldSystem for Always {
    async fn ask(&self, _: &Question) -> Said {
        self.0.clone()
    }
}

/// Listens to the main realm of a world, and to every question of a person.
fn listen(world: &World) -> (Arc<Shadow>, Receiver<Question>) {
    listen_with(world, |settings| (settings.by_name, settings.attests_name) = (true, true))
}

/// The same with settings of one's own.
fn listen_with(
    world: &World,
    set: impl FnOnce(&mut ShadowSettings),
) -> (Arc<Shadow>, Receiver<Question>) {
    let name = ShadowName::parse("old").unwrap();
    let mut settings = ShadowSettings::new(name, RealmName::parse("main").unwrap());
    set(&mut settings);
    let (shadow, questions) = Shadow::new(settings);
    world.authority.set_shadows(vec![Arc::clone(&shadow)]);
    (shadow, questions)
}

impl World {
    /// Presents something as somebody, and lets the old system say something of it.
    async fn differing(
        &self,
        (shadow, questions): &mut (Arc<Shadow>, Receiver<Question>),
        user: &str,
        said: Said,
    ) -> Compared {
        let question = json!({ "token": "what they have there", "username": user });
        let answer = self.post(&format!("{R}/verify"), question).await.expect(200);
        assert_eq!(answer["active"], false);
        let question = questions.try_recv().unwrap();
        self.authority.ask_shadow(shadow, &Always(said), question).await
    }
}

fn users(page: &Value) -> Vec<&str> {
    page["items"].as_array().unwrap().iter().map(|one| one["user"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_report_comes_in_pages_and_by_class_and_is_begun_anew() {
    let world = World::new().await;
    let mut old = listen(&world);
    for name in ["ann", "ben", "cleo"] {
        let compared = world.differing(&mut old, name, Said::Good(None)).await;
        assert_eq!(compared, Compared::OnlyThere);
        world.authority.flush_usage().await.unwrap();
        world.clock.advance_seconds(1);
    }
    assert_eq!(world.differing(&mut old, "dan", Said::Bad).await, Compared::AgreeBad);
    assert_eq!(world.differing(&mut old, "eve", Said::Nothing).await, Compared::NoAnswer);
    world.authority.flush_usage().await.unwrap();
    let page = world.get(&format!("{R}/shadow?limit=2")).await.expect(200);
    assert_eq!(users(&page), ["ann", "ben"]);
    let cursor = page["next_cursor"].as_str().unwrap();
    let rest = world.get(&format!("{R}/shadow?limit=2&cursor={cursor}")).await.expect(200);
    assert_eq!((users(&rest), &rest["next_cursor"]), (vec!["cleo"], &Value::Null));
    let first = &page["items"][0];
    let (id, at) = (&first["id"], "2026-11-21T12:00:00Z");
    assert_eq!(
        *first,
        json!({ "id": id, "shadow": "old", "class": "only_there", "service": null,
            "token": null, "user": "ann", "reason": "unknown", "count": 1, "first_at": at,
            "last_at": at })
    );
    for (query, found) in [("class=only_there", 3), ("class=only_here", 0), ("shadow=older", 0)] {
        let page = world.get(&format!("{R}/shadow?{query}")).await.expect(200);
        assert_eq!(page["items"].as_array().unwrap().len(), found, "{query}");
    }
    for wrong in ["class=agree_good", "shadow=Old!", "limit=0", "cursor=x", "colour=red"] {
        world.get(&format!("{R}/shadow?{wrong}")).await.problem(422);
    }
    world.delete(&format!("{R}/shadow?shadow=older")).await.expect(204);
    assert_eq!(users(&world.get(&format!("{R}/shadow")).await.expect(200)).len(), 3);
    world.delete(&format!("{R}/shadow?shadow=old")).await.expect(204);
    world.delete(&format!("{R}/shadow")).await.expect(204);
    let page = world.get(&format!("{R}/shadow")).await.expect(200);
    assert_eq!((&page["items"], &page["next_cursor"]), (&json!([]), &Value::Null));
    let events = world.get(&format!("{R}/events?kind=shadow.cleared")).await.expect(200);
    let events = events["items"].as_array().unwrap();
    // Also where nothing was kept: what was counted begins anew.
    assert_eq!(events.len(), 3);
    let details: Vec<Value> = events.iter().map(|event| event["detail"].clone()).collect();
    for named in [json!({ "shadow": "older" }), json!({ "shadow": "old" }), Value::Null] {
        assert!(details.contains(&named), "{details:?}");
    }
    world.get("/api/v1/realms/none/shadow").await.refused(404, "not-found");
}

/// It names people and tokens of a whole realm.
#[tokio::test]
async fn a_report_is_for_administrators_of_the_realm() {
    let world = World::new().await;
    for role in ["auditor", "verifier"] {
        let body = json!({ "name": role, "roles": [role] });
        let made = world.post(&format!("{R}/clients"), body).await.expect(201);
        let key = made["secret"].as_str().unwrap();
        for method in ["GET", "DELETE"] {
            let answer = world.call(key, method, &format!("{R}/shadow"), Value::Null).await;
            answer.refused(403, "insufficient-scope");
        }
    }
    let body = json!({ "name": "admin-of-main", "roles": ["realm-admin"] });
    let made = world.post(&format!("{R}/clients"), body).await.expect(201);
    let key = made["secret"].as_str().unwrap();
    world.call(key, "GET", &format!("{R}/shadow"), Value::Null).await.expect(200);
}

/// What speaks HTTP may take the token for the name, or any name beside one.
#[tokio::test]
async fn a_name_that_is_nobodys_is_kept_where_a_directory_vouches_for_it() {
    for attests_name in [false, true] {
        let world = World::new().await;
        let mut old = listen_with(&world, |settings| {
            (settings.by_name, settings.attests_name) = (true, attests_name);
        });
        let typed = "ghp0123456789abcdef";
        assert_eq!(world.differing(&mut old, typed, Said::Good(None)).await, Compared::OnlyThere);
        world.authority.flush_usage().await.unwrap();
        let page = world.get(&format!("{R}/shadow")).await.expect(200);
        let kept = if attests_name { json!(typed) } else { Value::Null };
        assert_eq!(page["items"][0]["user"], kept);
    }
}

#[tokio::test]
async fn differences_wait_for_a_store_that_is_down_and_none_is_lost() {
    let store = Arc::new(FailingStore::new(Arc::new(MemoryStore::new())));
    let world = World::over(Arc::clone(&store) as Arc<dyn Store>, HttpSettings::default()).await;
    let mut old = listen(&world);
    world.differing(&mut old, "ann", Said::Good(None)).await;
    store.fail_from(1);
    assert!(world.authority.flush_usage().await.is_err());
    store.heal();
    world.clock.advance_seconds(901);
    world.differing(&mut old, "ann", Said::Good(None)).await;
    for call in 1.. {
        store.fail_nth(call);
        let flushed = world.authority.flush_usage().await;
        let calls = store.calls().len();
        store.heal();
        if calls < call {
            flushed.unwrap();
            break;
        }
    }
    let page = world.get(&format!("{R}/shadow")).await.expect(200);
    assert_eq!(users(&page), ["ann"]);
    assert_eq!((&page["items"][0]["count"], world.authority.shadow_lost()), (&json!(2), 0));
}

/// What waited for so long is about another instant than our answer.
#[tokio::test]
async fn what_waited_too_long_is_not_asked() {
    let world = World::new().await;
    let (shadow, mut questions) = listen(&world);
    let question = json!({ "token": "what they have there", "username": "ann" });
    world.post(&format!("{R}/verify"), question).await.expect(200);
    let question = questions.try_recv().unwrap();
    world.clock.advance_seconds(11);
    let compared = world.authority.ask_shadow(&shadow, &Always(Said::Good(None)), question).await;
    assert_eq!(compared, Compared::NotAsked);
    assert_eq!(shadow.count(Compared::NotAsked), 1);
}

/// Who fails often is held back here, and guesses nowhere through us.
#[tokio::test]
async fn what_our_limits_hold_back_is_not_asked_about() {
    let world = World::throttling().await;
    let (shadow, mut questions) = listen(&world);
    let mut asked = 0;
    for n in 0..110 {
        let question = json!({ "token": "a guess", "username": format!("name-{n}"),
            "client_ip": "192.0.2.7" });
        world.post(&format!("{R}/verify"), question).await.expect(200);
        asked += usize::from(questions.try_recv().is_ok());
    }
    let held = usize::try_from(shadow.count(Compared::NotAsked)).unwrap();
    assert_eq!(asked + held, 110);
    // Sixty are free to each source; the bound on all refused ones is not reached.
    assert!((50..=62).contains(&asked), "{asked} guesses of one source were passed on");
}

/// The form in which a token for a service is usually issued says nothing of where it is from, and
/// a JWT with an id of our form is ours, of whatever realm.
#[tokio::test]
async fn what_was_issued_here_is_not_asked_about_in_whatever_form() {
    let world = World::new().await;
    world.user("alice").await;
    world.service("mail").await;
    let (shadow, mut questions) = listen(&world);
    let body = json!({ "kind": "service_token", "user": "alice", "service": "mail" });
    let issued = world.post(&format!("{R}/tokens"), body).await.expect(201);
    let grouped = issued["secret"].as_str().unwrap();
    let verify = |token: String, user: &'static str| {
        let question = json!({ "token": token, "username": user });
        let world = &world;
        async move { world.post(&format!("{R}/verify"), question).await.expect(200) }
    };
    assert_eq!(verify(grouped.to_owned(), "alice").await["active"], true);
    assert_eq!(verify(grouped.to_owned(), "bob").await["active"], false);
    let jwt = |claims: &str| format!("eyJhbGciOiJFZERTQSJ9.{claims}.c2ln");
    // {"jti":"0123456789AB"} has an id of our form.
    let ours = jwt("eyJqdGkiOiIwMTIzNDU2Nzg5QUIifQ");
    assert_eq!(verify(ours, "carol").await["active"], false);
    assert!(questions.try_recv().is_err());
    assert_eq!(shadow.count(Compared::NotAsked), 0);
    // {"sub":"dave of another issuer"} has none.
    let theirs = jwt("eyJzdWIiOiJkYXZlIG9mIGFub3RoZXIgaXNzdWVyIn0");
    assert_eq!(verify(theirs, "dave").await["active"], false);
    // The same form, and nobody's here.
    assert_eq!(verify("abcd-efgh-jkmn-pqrs-tuvw-xyz2".to_owned(), "eve").await["active"], false);
    for name in ["dave", "eve"] {
        let asked = questions.try_recv().unwrap();
        assert_eq!(asked.username.unwrap().as_str(), name);
    }
}

/// Whether it is good is compared, not what it may do.
#[tokio::test]
async fn what_only_lacks_a_scope_is_good_in_the_comparison() {
    let world = World::new().await;
    let alice = world.with_alice().await;
    let (shadow, mut questions) = listen_with(&world, |settings| settings.own_tokens = true);
    let question = json!({ "token": alice.secret, "scopes": ["x"] });
    let answer = world.post(&format!("{R}/verify"), question).await.expect(200);
    assert_eq!(answer["active"], false);
    let question = questions.try_recv().unwrap();
    assert!(matches!(question.ours, Ours::Good { .. }), "{:?}", question.ours);
    let compared = world.authority.ask_shadow(&shadow, &Always(Said::Good(None)), question).await;
    assert_eq!(compared, Compared::AgreeGood);
    let page = world.get(&format!("{R}/shadow")).await.expect(200);
    assert_eq!(
        page["compared"],
        json!([{ "shadow": "old", "agree": 1, "differ": 0, "no_answer": 0, "not_asked": 0,
            "since": "2026-11-21T12:00:00Z" }])
    );
    let other = world.get(&format!("{R}/shadow?shadow=older")).await.expect(200);
    assert_eq!(other["compared"], json!([]));
}

/// Many may wait for the answer to the first: its no ends that.
#[tokio::test]
async fn what_waits_behind_the_first_no_is_not_asked() {
    let world = World::new().await;
    let alice = world.with_alice().await;
    let (shadow, mut questions) = listen_with(&world, |settings| settings.own_tokens = true);
    let mut next = async || {
        let question = json!({ "token": alice.secret });
        world.post(&format!("{R}/verify"), question).await.expect(200);
        questions.try_recv().unwrap()
    };
    let first = next().await;
    let said = world.authority.ask_shadow(&shadow, &Always(Said::Good(None)), first).await;
    assert_eq!(said, Compared::AgreeGood);
    let waiting = [next().await, next().await, next().await];
    let mut came = Vec::new();
    for question in waiting {
        came.push(world.authority.ask_shadow(&shadow, &Always(Said::Bad), question).await);
    }
    assert_eq!(came, [Compared::OnlyHere, Compared::NotAsked, Compared::NotAsked]);
}

/// Whoever goes on because nothing differs must not go on because of what was compared before.
#[tokio::test]
async fn what_was_compared_before_the_report_was_begun_anew_is_no_part_of_it() {
    let world = World::new().await;
    let mut old = listen(&world);
    let compared = async || {
        let page = world.get(&format!("{R}/shadow")).await.expect(200);
        let one = &page["compared"][0];
        let figure = |name: &str| one[name].as_u64().unwrap();
        (figure("agree"), figure("differ"), one["since"].as_str().unwrap().to_owned())
    };
    world.differing(&mut old, "ann", Said::Bad).await;
    world.differing(&mut old, "ben", Said::Good(None)).await;
    assert_eq!(compared().await, (1, 1, "2026-11-21T12:00:00Z".to_owned()));
    world.clock.advance_seconds(60);
    // Of another one, or of another realm.
    world.delete(&format!("{R}/shadow?shadow=older")).await.expect(204);
    assert_eq!(compared().await.0, 1);
    world.delete(&format!("{R}/shadow")).await.expect(204);
    let anew = "2026-11-21T12:01:00Z".to_owned();
    assert_eq!(compared().await, (0, 0, anew.clone()));
    // Who was wrong before is asked about again, and not left alone for a quarter of an hour.
    assert_eq!(world.differing(&mut old, "ann", Said::Bad).await, Compared::AgreeBad);
    assert_eq!(compared().await, (1, 0, anew));
    assert_eq!(old.0.count(Compared::AgreeBad), 2, "the metric goes on");
}

/// What was met and is not stored yet is forgotten as well.
#[tokio::test]
async fn what_waits_to_be_stored_is_forgotten_with_the_rest() {
    let world = World::new().await;
    let mut old = listen(&world);
    world.differing(&mut old, "ann", Said::Good(None)).await;
    world.delete(&format!("{R}/shadow")).await.expect(204);
    world.authority.flush_usage().await.unwrap();
    let page = world.get(&format!("{R}/shadow")).await.expect(200);
    assert_eq!(page["items"], json!([]));
}

fn through(door: Door) -> Origin {
    Origin::anonymous(RequestContext { door, source: None, request_id: None })
}

/// Asking would spend the code over there.
#[tokio::test]
async fn a_pin_with_a_code_behind_it_is_not_asked_about() {
    let world = World::new().await;
    let (_shadow, mut questions) = listen(&world);
    let realm = RealmName::parse("main").unwrap();
    for (name, door, presented, is_asked) in [
        ("ann", Door::Validate, "pin123456", false),
        ("ben", Door::Validate, "987612345678", false),
        ("cleo", Door::Validate, "pin12345", true),
        ("dan", Door::Ldap, "pin123456", false),
        ("eve", Door::Ldap, "123456", false),
        ("fay", Door::ForwardAuth, "1234dteffujehknhfjbrjnlnldnhcujvddbikngjrtgh", false),
        ("gus", Door::ForwardAuth, "99hn-dp4m-j6yy", false),
        ("hal", Door::ForwardAuth, "what they have there", true),
    ] {
        let origin = through(door);
        let request = VerifyRequest {
            username: Some(name),
            ..VerifyRequest::of_holder(&realm, presented, Binding::Unbound, &origin)
        };
        let verdict = Verdict::Inactive { reason: Reason::Unknown, token: None };
        world.authority.heard(&request, &verdict);
        assert_eq!(questions.try_recv().is_ok(), is_asked, "{name}");
    }
}

/// What the presenter heard is compared, where the door refuses a token that is good.
#[tokio::test]
async fn what_a_door_refuses_is_told_as_refused() {
    let world = World::new().await;
    let alice = world.with_alice().await;
    let realm = RealmName::parse("main").unwrap();
    let name = ShadowName::parse("old").unwrap();
    let mut settings = ShadowSettings::new(name, realm.clone());
    settings.own_tokens = true;
    let (shadow, mut questions) = Shadow::new(settings);
    world.authority.set_shadows(vec![shadow]);
    let origin = through(Door::Ldap);
    let request = VerifyRequest::of_holder(&realm, &alice.secret, Binding::Unbound, &origin);
    let verdict = world.authority.verify(request).await.unwrap();
    let Verdict::Active(active) = verdict else { panic!("{verdict:?}") };
    world.authority.heard_refused(&request, &active, Reason::WrongUser);
    let question = questions.try_recv().unwrap();
    assert_eq!(question.ours, Ours::Bad { reason: Reason::WrongUser, token: Some(active.token()) });
    assert!(questions.try_recv().is_err());
}

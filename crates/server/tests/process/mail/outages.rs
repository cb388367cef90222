//! Mail servers that are away, busy, strict or false: nobody waits for them, and no letter is lost.

use std::time::Duration;

use counterfoil_server::clock::Stopwatch;
use serde_json::json;

use super::{Place, Sink, subjects};
use crate::harness::{PATIENCE, await_true};

/// Issuing takes no longer than this, whatever the mail server does.
const AT_ONCE: Duration = Duration::from_secs(2);

#[test]
fn a_mail_server_that_is_away_delays_nobody_and_gets_each_letter_once() {
    let mut place = Place::with(Sink::down(), &json!({}));
    let watch = Stopwatch::start();
    let token = place.issue("plee");
    place.act(&token, "revoke", &json!({}));
    assert!(watch.elapsed() < AT_ONCE, "{:?}", watch.elapsed());
    await_true("three attempts have failed", PATIENCE, || {
        place.deliveries("retrying").iter().any(|one| one["attempts"].as_u64() >= Some(3))
    });
    place.sink.start();
    place.settled();
    let expected = ["The Wiki: a token was issued", "The Wiki: a token was revoked"];
    assert_eq!(subjects(&place.sink.taken()), expected);
}

#[test]
fn a_letter_that_was_not_sent_before_a_kill_is_sent_once_after_it() {
    let mut place = Place::with(Sink::down(), &json!({}));
    let settings = place.sink.settings();
    place.issue("plee");
    place.world.server.kill9();
    place.sink.start();
    place.world.serve_again(&settings);
    place.settled();
    assert_eq!(subjects(&place.sink.taken()), ["The Wiki: a token was issued"]);
}

#[test]
fn what_a_mail_server_puts_off_is_tried_again_and_what_it_refuses_is_dead_at_once() {
    let place = Place::new();
    place.sink.mood("451");
    place.issue("plee");
    await_true("it was tried three times", PATIENCE, || place.sink.tried() >= 3);
    place.sink.mood("");
    place.sink.await_taken(1);
    for (mood, said) in [("550", "nobody of that name"), ("554", "not this text")] {
        place.sink.mood(mood);
        let before = place.deliveries("dead").len();
        let tried = place.sink.tried();
        place.issue("plee");
        await_true("it is dead", PATIENCE, || place.deliveries("dead").len() > before);
        assert_eq!(place.sink.tried(), tried + 1);
        let dead = place.deliveries("dead");
        assert!(dead.iter().any(|one| one.to_string().contains(said)), "{dead:?}");
    }
    place.sink.mood("");
    let events = place.admin().get("/events?kind=delivery.dead").expect(200);
    assert_eq!(events["items"].as_array().unwrap().len(), 2);
    // What is dead keeps nobody waiting.
    place.issue("plee");
    place.sink.await_taken(2);
}

#[test]
fn a_letter_whose_answer_was_lost_comes_again_as_the_same_letter() {
    let place = Place::new();
    place.sink.mood("lost");
    place.issue("plee");
    let mails = place.sink.await_taken(2);
    assert_eq!(mails[0].header("Message-ID"), mails[1].header("Message-ID"));
    assert_eq!(mails[0].raw, mails[1].raw);
}

#[test]
fn a_mail_server_with_another_certificate_gets_nothing() {
    let sink = Sink::careful();
    // Trusts nobody that the server of this test could have been signed by.
    let settings = sink.settings();
    let lines: Vec<&str> = settings.lines().filter(|line| !line.starts_with("ca = ")).collect();
    let settings = lines.join("\n");
    let mut place = Place::with(sink, &json!({ "mode": "manual" }));
    place.world.server.stop();
    place.world.serve_again(&settings);
    place.admin().patch("/targets/mail", &json!({ "mode": "automatic" })).expect(200);
    place.issue("plee");
    await_true("it was tried", PATIENCE, || {
        place.deliveries("retrying").iter().any(|one| one.to_string().contains("certificate"))
    });
    assert_eq!(place.sink.taken(), []);
    let found = place.admin().post("/targets/mail/test", &json!({})).expect(200);
    assert_eq!(found["usable"], false, "{found}");
}

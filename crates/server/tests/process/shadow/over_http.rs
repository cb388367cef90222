//! A second installation with token introspection, and an API of a site.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::peers::OldApi;
use super::{difference, shadowed};
use crate::harness::{PATIENCE, await_true, files_below};
use crate::wire::Request;
use crate::world::{Issued, World, authz, mistyped, pat, service, user, verifier};

/// A day: nothing is asked twice in a test that may be wrong.
const ONCE: &str = "wrong_every = \"86400s\"";

fn mail(settings: &str) -> World {
    let world = World::new(settings);
    service(&world.admin, "mail", &json!({}));
    world
}

fn asks(old: &OldApi, more: &str) -> String {
    let address = old.address;
    shadowed(&format!("kind = \"http\"\nurl = \"http://{address}/whoami\"\n{more}"))
}

/// The old one is an installation of ours with a prefix of its own.
#[test]
fn an_old_authorisation_server_is_asked_by_introspection() {
    let old = World::new("abuse.throttle = false\n[tokens]\nprefix = \"old\"");
    let asker = verifier(&old.admin, "counterfoil", &["git"]);
    let (alices, wrong) = (old.pat(), "oldp_0123456789AB_nobody-has-this-one");
    assert!(alices.secret.starts_with("oldp_"), "{}", &alices.secret[..5]);
    let settings = |secret: &str| {
        let url = format!(
            "http://{}/realms/main/protocol/openid-connect/token/introspect",
            old.server.address
        );
        shadowed(&format!(
            "kind = \"introspection\"\nurl = \"{url}\"\nclient_id = \"counterfoil\"\n\
             secret = \"{secret}\""
        ))
    };
    let mut world = mail(&settings(&asker.key));
    // It says whose it is, so the name is known although none was presented.
    assert!(!world.is_good(None, "mail", &alices.secret));
    assert!(!world.is_good(None, "mail", wrong));
    world.await_compared(&[("agree_bad", 1), ("only_there", 1)]);
    let row = difference("only_there", None, Some("alice"), Some("unknown"));
    assert_eq!(world.report(1), [row]);
    // Credentials that it does not take are no answer, and no no.
    world.server.stop();
    world.serve_again(&settings("nothing"));
    assert!(!world.is_good(None, "mail", &alices.secret));
    world.await_compared(&[("no_answer", 1)]);
}

#[test]
fn guesses_here_lock_nobody_out_there() {
    let old = OldApi::start();
    let world = mail(&asks(&old, &format!("present = \"basic\"\nown_tokens = true\n{ONCE}")));
    user(&world.admin, "bob");
    for n in 0..100 {
        assert!(!world.is_good(Some("alice"), "mail", &format!("guess number {n}")));
    }
    world.await_compared(&[("agree_bad", 1), ("not_asked", 99)]);
    // A token that we alone know is a wrong password over there, each time it comes by.
    let bob = world.service_token("bob", "mail");
    for _ in 0..50 {
        assert!(world.is_good(Some("bob"), "mail", &bob.secret));
    }
    world.await_compared(&[("agree_bad", 1), ("not_asked", 148), ("only_here", 1)]);
    assert_eq!(old.asked().len(), 2);
    // And many names are no way round it.
    for n in 0..300 {
        assert!(!world.is_good(Some(&format!("stranger-{n}")), "mail", "a guess"));
    }
    // Of 120 that are refused one was alice's.
    world.await_compared(&[("agree_bad", 120), ("not_asked", 329), ("only_here", 1)]);
}

#[test]
fn what_the_old_system_calls_good_is_asked_about_each_time() {
    let old = OldApi::start();
    let world =
        mail(&asks(&old, &format!("present = \"basic\"\n{ONCE}\nown_tokens = true\nshare = 2")));
    let alice = world.service_token("alice", "mail");
    old.add("alice", &alice.secret);
    assert!(world.is_good(Some("alice"), "mail", &alice.secret));
    world.await_compared(&[("agree_good", 1)]);
    // One in two, from the first on.
    for _ in 0..20 {
        assert!(world.is_good(Some("alice"), "mail", &alice.secret));
    }
    world.await_compared(&[("agree_good", 11)]);
}

#[test]
fn our_own_tokens_and_codes_are_asked_about_only_where_that_is_wanted() {
    let old = OldApi::start();
    let world = mail(&asks(&old, ONCE));
    let own = pat(&world.admin, &json!({ "services": ["mail"] }));
    assert!(world.is_good(None, "mail", &own.secret));
    assert!(!world.is_good(None, "mail", &mistyped(&own.secret)));
    // The form in which a token for a service is usually issued says nothing of where it is from.
    let grouped = world.service_token("alice", "mail");
    assert!(world.is_good(Some("alice"), "mail", &grouped.secret));
    user(&world.admin, "bob");
    let elsewhere = world.service_token("bob", "git");
    assert!(!world.is_good(Some("bob"), "mail", &elsewhere.secret));
    world.admin.post(&grouped.path("/revoke"), &json!({})).expect(200);
    assert!(!world.is_good(Some("alice"), "mail", &grouped.secret));
    assert!(!world.is_good(Some("alice"), "mail", "123456"));
    // A service that is none may be anything that somebody put into a path.
    world.admin.raw(&authz("pasted-by-somebody", "alice", "a secret of theirs"));
    // What comes later and is asked about shows that those before it were not.
    assert!(!world.is_good(None, "mail", "somebody's token"));
    world.await_compared(&[("agree_bad", 1)]);
    assert_eq!(old.asked(), ["Bearer somebody's token"]);

    let old = OldApi::start();
    let world = mail(&asks(&old, &format!("{ONCE}\nown_tokens = true")));
    let own = pat(&world.admin, &json!({ "services": ["mail"] }));
    old.add_token(&own.secret);
    assert!(world.is_good(None, "mail", &own.secret));
    world.await_compared(&[("agree_good", 1)]);
}

/// A chosen secret, or a short one, has no form that says where it is from.
#[test]
fn nobody_is_told_secrets_without_a_form_and_codes_of_ours() {
    let old = OldApi::start();
    let world = World::new(&asks(&old, &format!("{ONCE}\npresent = \"basic\"")));
    for (user_name, policy) in [
        ("ann", json!({ "form": "plain15" })),
        ("ben", json!({ "form": "plain08" })),
        ("cleo", json!({ "source": "self_select" })),
    ] {
        let label = format!("mail-{user_name}");
        service(&world.admin, &label, &json!({ "token_policy": policy }));
        user(&world.admin, user_name);
        let mut body = json!({ "kind": "service_token", "user": user_name, "name": "t",
            "service": label, "delivery": "response" });
        if policy["source"] == "self_select" {
            body["secret"] = "a long secret that they chose".into();
        }
        let token = Issued::of(&world.admin.post("/tokens", &body).expect(201));
        let chosen = body["secret"].as_str().unwrap_or(&token.secret);
        assert!(world.is_good(Some(user_name), &label, chosen), "{label}");
        world.admin.post(&token.path("/revoke"), &json!({})).expect(200);
        assert!(!world.is_good(Some(user_name), &label, chosen), "{label}");
    }
    service(&world.admin, "mail", &json!({}));
    let otp = "dteffujehknhfjbrjnlnldnhcujvddbikngjrtgh";
    for code in ["99hn-dp4m-j6yy", "pin123456", otp, &*format!("1234{otp}")] {
        assert!(!world.is_good(Some("alice"), "mail", code), "{code}");
    }
    assert!(!world.is_good(Some("alice"), "mail", "somebody's token"));
    await_true("it is asked about what comes later", PATIENCE, || !old.asked().is_empty());
    let said = format!("Basic {}", STANDARD.encode("alice:somebody's token"));
    assert_eq!(old.asked(), [said]);
}

#[test]
fn what_is_no_clear_answer_is_none() {
    for status in [302, 400, 429, 500, 503] {
        let old = OldApi::start();
        let world = mail(&asks(&old, ONCE));
        old.answer_all(status);
        assert!(!world.is_good(None, "mail", "somebody's token"));
        world.await_compared(&[("no_answer", 1)]);
        // Whoever follows a redirection hands the token to somebody who was not named.
        assert_eq!(old.asked().len(), 1, "{status}");
    }
}

#[test]
fn a_name_is_reported_only_of_who_is_a_person() {
    let old = OldApi::start();
    let world = mail(&asks(&old, ONCE));
    // In the wrong field, as people type.
    let (typed, token) = ("hunter2-hunter2-hunter2", "the token of somebody");
    for (user, token) in [(typed, token), ("alice", "the token of alice")] {
        old.add_token(token);
        assert!(!world.is_good(Some(user), "mail", token));
    }
    world.await_compared(&[("only_there", 2)]);
    let rows = [
        difference("only_there", None, Some("alice"), Some("unknown")),
        difference("only_there", None, None, Some("unknown")),
    ];
    let mut rows = rows.to_vec();
    rows.sort_by_key(serde_json::Value::to_string);
    assert_eq!(world.report(2), rows);
}

#[test]
fn the_doctor_says_what_to_correct() {
    let old = OldApi::start();
    let world = World::new(&asks(&old, ""));
    let said = || {
        let config = world.site.path("counterfoil.toml");
        let doctor = world.run(&["doctor", "--config", config.to_str().unwrap()]);
        String::from_utf8(doctor.stdout).unwrap()
    };
    let none = "old listens to the service mail of main, and there is none";
    let found = said();
    assert!(found.contains("old answers"), "{found}");
    assert!(found.contains(none) && found.contains("correct `services`"), "{found}");
    service(&world.admin, "mail", &json!({}));
    // It says yes to everybody, so that it runs is not what is wrong.
    old.answer_all(200);
    let found = said();
    assert!(!found.contains(none), "{found}");
    assert!(found.contains("it says yes to everybody"), "{found}");
    assert!(found.contains("correct `url`") && !found.contains("see that it runs"), "{found}");
    old.answer_all(500);
    let found = said();
    assert!(found.contains("see that it runs") && !found.contains("correct `url`"), "{found}");
}

/// Whatever the log is told to say.
#[test]
fn what_was_presented_is_nowhere_afterwards() {
    let old = OldApi::start();
    let more = format!("{ONCE}\nown_tokens = true");
    let settings = asks(&old, &more).replacen("abuse.", "log.level = \"trace\"\nabuse.", 1);
    let mut world = mail(&settings);
    let mut presented = Vec::new();
    for n in 0..20 {
        let body = json!({ "kind": "service_token", "user": "alice", "name": format!("t-{n}"),
            "service": "mail" });
        let token = Issued::of(&world.admin.post("/tokens", &body).expect(201));
        let theirs = format!("theirs-{n}-{}", world.pat().secret);
        for secret in [&token.secret, &theirs] {
            if n % 2 == 0 {
                old.add_token(secret);
            }
            world.is_good(None, "mail", secret);
            // As a name and as a service, too.
            let _ = world.is_good(Some(&secret.to_lowercase()), "mail", secret);
            world.admin.raw(&authz(secret, secret, secret));
        }
        presented.extend([token.secret, theirs]);
    }
    // A token of ours that only the old one lets in, and one that neither does.
    await_true("the old system was told", PATIENCE, || old.asked().len() >= 20);
    let report = world.admin.get("/shadow?limit=1000").expect(200).to_string();
    let scrape = world.admin.send(Request::new("GET", "/metrics")).text();
    let printed = world.shadow(&["report"]);
    world.server.stop();
    let log = world.server.log();
    for secret in &presented {
        let tail = &secret[secret.len() - 14..];
        for form in [tail.to_owned(), tail.to_lowercase(), tail.replace('-', "")] {
            for (place, text) in [("report", &report), ("metrics", &scrape), ("log", &log)] {
                assert!(!text.contains(&form), "{place} holds {secret}");
            }
            for output in [&printed.stdout, &printed.stderr] {
                assert!(!String::from_utf8_lossy(output).contains(&form), "{secret}");
            }
            for (path, bytes) in files_below(&world.site.data()) {
                let found = bytes.windows(form.len()).any(|window| window == form.as_bytes());
                assert!(!found, "{} holds {secret}", path.display());
            }
        }
    }
}

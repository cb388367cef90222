//! A real slapd as the old system, asked by binds.

use std::fmt::Write as _;

use ldap3_proto::LdapResultCode;
use serde_json::Value;

use super::{difference, shadowed};
use crate::harness::{PATIENCE, await_true};
use crate::ldap::person;
use crate::slapd::{PEOPLE, Setup, Slapd, person as entry};
use crate::world::{Issued, World, service, user};

const CHOSEN: &str = "correct horse battery";

fn settings(slapd: &Slapd, more: &str) -> String {
    let url = slapd.url();
    shadowed(&format!(
        "kind = \"ldap\"\nurl = \"{url}\"\nbind_dn = \"uid={{user}},{PEOPLE}\"\n{more}"
    ))
}

/// A directory with people, without passwords.
fn directory(people: &[&str]) -> Slapd {
    let slapd = Slapd::new(&Setup::default());
    let mut ldif = String::new();
    for uid in people {
        write!(ldif, "{}", entry(uid)).unwrap();
    }
    slapd.add(&ldif);
    slapd
}

fn set_password(slapd: &Slapd, uid: &str, password: &str) {
    slapd.modify(&format!(
        "dn: uid={uid},{PEOPLE}\nchangetype: modify\nreplace: userPassword\n\
         userPassword: {password}\n"
    ));
    let dn = format!("uid={uid},{PEOPLE}");
    assert!(slapd.binds(&dn, password));
}

fn populated(settings: &str, make: fn(&str) -> World) -> World {
    let world = make(settings);
    service(&world.admin, "mail", &serde_json::json!({}));
    for name in ["bob", "carol", "dave"] {
        user(&world.admin, name);
    }
    world
}

/// The report as the command prints it, and its exit status.
fn reported(world: &World, more: &[&str]) -> (Option<i32>, Value) {
    let mut arguments = vec!["report", "--json"];
    arguments.extend_from_slice(more);
    let output = world.shadow(&arguments);
    (output.status.code(), serde_json::from_slice(&output.stdout).unwrap_or(Value::Null))
}

/// With a report that has differences, of which Alice's token is none.
fn it_is_begun_anew(world: &World, slapd: &mut Slapd, alice: &Issued) {
    assert!(world.shadow(&["clear", "--shadow", "other"]).status.success());
    assert_eq!(reported(world, &[]).0, Some(1));
    assert!(world.shadow(&["clear"]).status.success());
    // No difference, and nothing that was compared: that is no sign to go on.
    let (code, none) = reported(world, &[]);
    assert_eq!((code, none["items"].as_array().unwrap().len()), (Some(3), 0));
    assert!(world.is_good(Some("alice"), "mail", &alice.secret));
    world.await_compared(&[("agree_good", 1)]);
    let (code, none) = reported(world, &[]);
    assert_eq!((code, none["items"].as_array().unwrap().len()), (Some(0), 0));
    let compared = &none["compared"][0];
    assert_eq!((compared["agree"].as_u64(), compared["differ"].as_u64()), (Some(1), Some(0)));
    let kinds = world.admin.get("/events?kind=shadow.cleared").expect(200);
    assert_eq!(kinds["items"].as_array().unwrap().len(), 2);
    // Begun anew, what was compared before counts no more, and an old system that is away
    // compares nothing.
    assert!(world.shadow(&["clear"]).status.success());
    assert_eq!(reported(world, &[]).0, Some(3));
    slapd.stop();
    assert!(world.is_good(Some("alice"), "mail", &alice.secret));
    world.await_compared(&[("agree_good", 1), ("no_answer", 1)]);
    assert_eq!(reported(world, &[]).0, Some(3));
    let none = world.shadow(&["report", "--shadow", "nosuch"]);
    let told = String::from_utf8(none.stderr).unwrap();
    assert_eq!(none.status.code(), Some(1), "{told}");
    assert!(told.contains("there is no old system nosuch: asked are old"), "{told}");
    assert!(none.stdout.is_empty() && !told.contains("no differences"), "{told}");
}

#[test]
fn an_old_directory_and_we_agree_and_differ_in_every_way_on_each_store() {
    for make in [World::new, World::on_postgres] {
        let mut slapd = directory(&["alice", "bob", "carol", "dave"]);
        let settings = settings(&slapd, "wrong_every = \"1s\"\nown_tokens = true");
        let mut world = populated(&settings, make);
        let [alice, bob, dave] =
            ["alice", "bob", "dave"].map(|name| world.service_token(name, "mail"));
        set_password(&slapd, "alice", &alice.secret);
        set_password(&slapd, "bob", "what bob has over there");
        set_password(&slapd, "carol", CHOSEN);
        set_password(&slapd, "dave", &dave.secret);
        // Nobody listens to another service.
        assert!(!world.is_good(Some("alice"), "git", &alice.secret));
        assert_eq!(world.compared().len(), 0);
        // Good here and there, at the door of the directory too.
        let bound = world.ldap().bind(&person("alice", "mail"), &alice.secret);
        assert_eq!(bound, LdapResultCode::Success);
        world.await_compared(&[("agree_good", 1)]);
        // Here alone: the old one has another password.
        assert!(world.is_good(Some("bob"), "mail", &bob.secret));
        world.await_compared(&[("agree_good", 1), ("only_here", 1)]);
        // There alone: never taken over, and ended here.
        assert!(!world.is_good(Some("carol"), "mail", CHOSEN));
        world.admin.post(&dave.path("/revoke"), &serde_json::json!({})).expect(200);
        assert!(!world.is_good(Some("dave"), "mail", &dave.secret));
        world.await_compared(&[("agree_good", 1), ("only_here", 1), ("only_there", 2)]);
        // Neither here nor there. A wrong one is asked about as soon as alice rests no more.
        assert!(!world.is_good(Some("alice"), "mail", "wrong horse battery"));
        let agreed = [("agree_bad", 1), ("agree_good", 1), ("only_here", 1), ("only_there", 2)];
        world.await_compared(&agreed);
        // Without a name there is nothing to bind as.
        assert!(!world.is_good(None, "mail", "anybody's horse battery"));
        let mut all = agreed.to_vec();
        all.push(("not_asked", 1));
        world.await_compared(&all);
        // Away: our answer is the same.
        slapd.stop();
        assert!(world.is_good(Some("alice"), "mail", &alice.secret));
        all.push(("no_answer", 1));
        world.await_compared(&all);
        slapd.start(&Setup::default());

        let rows = [
            difference("only_here", Some(&bob.id), Some("bob"), None),
            difference("only_there", Some(&dave.id), Some("dave"), Some("revoked")),
            difference("only_there", None, Some("carol"), Some("unknown")),
        ];
        let mut rows = rows.to_vec();
        rows.sort_by_key(Value::to_string);
        assert_eq!(world.report(3), rows);
        world.server.stop();
        let log = world.server.log();
        assert!(log.contains("the old system gives no answer"), "{log}");
        world.serve_again(&settings);
        assert_eq!(world.report(3), rows, "it is the same after a restart");

        let (code, there) = reported(&world, &["--class", "only_there"]);
        assert_eq!((code, there["items"].as_array().unwrap().len()), (Some(1), 2));
        let shown = world.shadow(&["report"]);
        let text = String::from_utf8(shown.stdout).unwrap();
        assert!(text.lines().nth(1).unwrap().trim().starts_with("only_there"), "{text}");
        let told = String::from_utf8(shown.stderr).unwrap();
        assert!(told.contains("2 only there, 1 only here"), "{told}");
        it_is_begun_anew(&world, &mut slapd, &alice);
    }
}

/// It is halted, so whoever waited for it would wait for ever: the limit of time is a minute.
#[test]
fn our_answers_do_not_wait_for_an_old_system_that_hangs() {
    let slapd = directory(&["alice"]);
    let more = "timeout = \"60s\"\nin_flight_max = 2\nown_tokens = true";
    let world = populated(&settings(&slapd, more), World::new);
    let tokens =
        ["alice", "bob", "carol", "dave"].map(|name| (name, world.service_token(name, "mail")));
    slapd.halt();
    for (name, token) in &tokens {
        assert!(world.is_good(Some(name), "mail", &token.secret));
    }
    // Two are on their way and two wait; another one of the same people has to wait for its turn.
    for (name, token) in &tokens {
        assert!(world.is_good(Some(name), "mail", &token.secret));
    }
    world.await_compared(&[("not_asked", 4)]);
    slapd.go_on();
    await_true("all that were asked are answered", PATIENCE, || {
        world.compared().values().sum::<u64>() == 8
    });
}

/// The directory takes a password only inside TLS, and shows a certificate of another authority
/// than the system's.
#[test]
fn an_old_directory_is_asked_inside_tls() {
    let setup = Setup { tls: true, ..Setup::default() };
    let slapd = Slapd::new(&setup);
    slapd.add(&entry("alice"));
    let ca = concat!(env!("CARGO_MANIFEST_DIR"), "/src/tls/cert.pem");
    let url = slapd.url().replace("127.0.0.1", "localhost");
    let more = format!("start_tls = true\nca_file = \"{ca}\"\nown_tokens = true");
    let settings = settings(&slapd, &more).replace(&slapd.url(), &url);
    let world = populated(&settings, World::new);
    let token = world.service_token("alice", "mail");
    set_password(&slapd, "alice", &token.secret);
    assert!(world.is_good(Some("alice"), "mail", &token.secret));
    world.await_compared(&[("agree_good", 1)]);
    world.admin.get("/shadow").expect(200);
    let doctor =
        world.run(&["doctor", "--config", world.site.path("counterfoil.toml").to_str().unwrap()]);
    let said = String::from_utf8(doctor.stdout).unwrap();
    assert!(said.contains("old answers"), "{said}");
}

//! Targets: what a test of one finds, drift, order, and the webhook.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;

use serde_json::{Value, json};

use super::{Place, await_values, deliveries, target};
use crate::harness::{PATIENCE, await_true};
use crate::slapd::{PEOPLE, Setup, Slapd};
use crate::world::{UNTHROTTLED, World};

fn finding<'a>(found: &'a Value, check: &str) -> Vec<&'a Value> {
    let findings = found["findings"].as_array().unwrap();
    findings.iter().filter(|finding| finding["check"] == check).collect()
}

#[test]
fn a10_drift_is_reported_repaired_and_then_gone() {
    for place in Place::on_each_store(&Setup::default()) {
        place.slapd.person("plee");
        place.slapd.person("stranger");
        place.add_target(&target(&place.slapd, &json!({})));
        place.issue("plee", "wiki");
        let value = await_values(&place.slapd, "plee", "wiki", 1);
        place.settled();
        assert_eq!(place.differences("ldap1", false), [] as [Value; 0]);
        let by_hand = |uid: &str, line: &str| {
            let dn = format!("uid={uid},{PEOPLE}");
            place.slapd.modify(&format!("dn: {dn}\nchangetype: modify\n{line}\n"));
        };
        by_hand("plee", "delete: voPersonApplicationPassword;app-wiki");
        by_hand(
            "stranger",
            "add: objectClass\nobjectClass: voPerson\n-\nadd: voPersonApplicationPassword;app-wiki\n\
             voPersonApplicationPassword;app-wiki: {SSHA}left-behind",
        );
        let found = place.differences("ldap1", false);
        assert_eq!(found.len(), 2, "{found:?}");
        assert_eq!(found[0]["object"], "user:plee");
        assert_eq!(found[0]["changes"], json!(["replace voPersonApplicationPassword;app-wiki"]));
        assert_eq!(place.slapd.values("plee", "wiki"), Vec::<String>::new());
        assert_eq!(place.differences("ldap1", true).len(), 2);
        place.settled();
        assert_eq!(place.slapd.values("plee", "wiki"), value);
        assert_eq!(place.slapd.values("stranger", "wiki"), Vec::<String>::new());
        assert_eq!(place.differences("ldap1", true), [] as [Value; 0]);
        // The command says the same, by its status too.
        let reconcile = |more: &[&str]| {
            let mut command = place.world.site.binary();
            command.args(["reconcile", "ldap1", "--json"]).args(more);
            command.env("COUNTERFOIL_URL", format!("http://{}", place.world.server.address));
            command.env("COUNTERFOIL_TOKEN", &place.admin().key);
            let output = command.output().unwrap();
            let said = serde_json::from_slice::<Value>(&output.stdout).unwrap();
            (output.status.code(), said["differences"].as_array().unwrap().len())
        };
        assert_eq!(reconcile(&[]), (Some(0), 0));
        by_hand("plee", "delete: voPersonApplicationPassword;app-wiki");
        assert_eq!(reconcile(&[]), (Some(1), 1));
        assert_eq!(reconcile(&["--repair"]), (Some(0), 1));
        assert_eq!(place.slapd.values("plee", "wiki"), value);
        assert_eq!(reconcile(&[]), (Some(0), 0));
    }
}

#[test]
fn a11_a_test_names_what_is_missing_and_the_lines_that_add_it() {
    for place in Place::on_each_store(&Setup { options: false, ..Setup::default() }) {
        place.slapd.person("plee");
        let draft = target(&place.slapd, &json!({}));
        let found = place.admin().post("/targets/test", &draft).expect(200);
        assert_eq!(found["usable"], false);
        let options = finding(&found, "attributeoptions");
        assert!(options[0]["detail"].as_str().unwrap().contains("result 17"), "{found}");
        assert_eq!(
            options[0]["remedy"],
            "attributeoptions lang- app- role- scope- type- time- prior internal preferred"
        );
        // Nothing was stored.
        place.admin().get("/targets/ldap1").expect(404);
        let bare = Slapd::new(&Setup { vo_person: false, ..Setup::default() });
        place.add_target(&target(&bare, &json!({ "mode": "disabled" })));
        let found = place.admin().post("/targets/ldap1/test", &json!({})).expect(200);
        let schema = finding(&found, "schema");
        assert_eq!(
            schema[0]["detail"],
            "attribute voPersonApplicationPassword (1.3.6.1.4.1.25178.4.1.13) not found"
        );
    }
}

#[test]
fn a11_a_test_names_bad_rules_of_access_and_wrong_passwords() {
    let open = Setup { access: "access to * by * read".into(), ..Setup::default() };
    for place in Place::on_each_store(&open) {
        place.slapd.person("plee");
        place.add_target(&target(&place.slapd, &json!({ "services": ["wiki"] })));
        place.issue("plee", "wiki");
        await_values(&place.slapd, "plee", "wiki", 1);
        let found = place.admin().post("/targets/ldap1/test", &json!({})).expect(200);
        let acl = finding(&found, "acl");
        let open = acl.iter().find(|finding| finding["severity"] == "failure").unwrap();
        let remedy = open["remedy"].as_str().unwrap();
        assert!(remedy.contains("voPersonApplicationPassword;app-wiki"), "{remedy}");
        let wrong = target(&place.slapd, &json!({ "name": "wrong", "bind_password": "guess" }));
        let found = place.admin().post("/targets/test", &wrong).expect(200);
        assert_eq!(finding(&found, "bind")[0]["severity"], "failure");
        let nowhere = target(&place.slapd, &json!({ "url": "ldap://127.0.0.1:1" }));
        let found = place.admin().post("/targets/test", &nowhere).expect(200);
        assert_eq!(finding(&found, "connection")[0]["severity"], "failure");
    }
}

#[test]
fn a13_a_test_says_which_schemes_a_directory_cannot_check() {
    for place in Place::on_each_store(&Setup { modules: false, ..Setup::default() }) {
        let more = json!({ "attribute": "userPassword", "services": ["wiki"],
            "schemes": ["SSHA", "CRYPT-SHA512", "SSHA512", "ARGON2", "PBKDF2-SHA512"] });
        let found = place.admin().post("/targets/test", &target(&place.slapd, &more)).expect(200);
        let schemes = finding(&found, "schemes");
        let how: Vec<&str> =
            schemes.iter().map(|finding| finding["severity"].as_str().unwrap()).collect();
        assert_eq!(how, ["fine", "fine", "failure", "failure", "failure"], "{found}");
        assert_eq!(schemes[3]["remedy"], "moduleload argon2");
    }
}

#[test]
fn a21_targets_have_their_order_and_their_modes() {
    for place in Place::on_each_store(&Setup::default()) {
        place.slapd.person("plee");
        for (name, order, mode) in [
            ("third", 3, "automatic"),
            ("first", 1, "automatic"),
            ("second", 2, "automatic"),
            ("by-hand", 4, "manual"),
            ("off", 5, "disabled"),
        ] {
            let more = json!({ "name": name, "order": order, "mode": mode });
            place.add_target(&target(&place.slapd, &more));
        }
        place.issue("plee", "wiki");
        place.settled();
        let done_at = |target: &str| {
            let done = deliveries(place.admin(), "done");
            let found =
                done.iter().find(|one| one["target"] == target && one["object"] == "user:plee");
            found.unwrap()["done_at"].as_str().unwrap().to_owned()
        };
        place.patch_user("plee", &json!({ "display_name": "Pat L." }));
        place.settled();
        let order = ["first", "second", "third"].map(done_at);
        assert!(order.is_sorted(), "{order:?}");
        place.patch_user("plee", &json!({ "status": "suspended" }));
        place.settled();
        let mut order = ["first", "second", "third"].map(done_at);
        order.reverse();
        assert!(order.is_sorted(), "{order:?}");
        let held = deliveries(place.admin(), "held");
        assert!(held.iter().all(|one| one["target"] == "by-hand") && !held.is_empty(), "{held:?}");
        place.admin().post("/targets/off/reconcile", &json!({})).expect(422);
    }
}

#[test]
fn a_target_that_was_for_every_service_takes_away_what_it_wrote_for_the_others() {
    for place in Place::on_each_store(&Setup::default()) {
        place.slapd.person("plee");
        place.add_target(&target(&place.slapd, &json!({})));
        for label in ["wiki", "imap"] {
            place.issue("plee", label);
            await_values(&place.slapd, "plee", label, 1);
        }
        let edit = json!({ "services": ["wiki"] });
        let edited = place.admin().patch("/targets/ldap1", &edit).expect(200);
        let former = edited["former_services"].as_array().unwrap();
        assert!(former.contains(&json!("imap")) && !former.contains(&json!("wiki")), "{edited}");
        await_values(&place.slapd, "plee", "imap", 0);
        assert_eq!(place.slapd.values("plee", "wiki").len(), 1);
    }
}

#[test]
fn a_target_moves_to_another_place_only_with_its_secret() {
    let place = Place::on_each_store(&Setup::default()).next().unwrap();
    place.add_target(&target(&place.slapd, &json!({})));
    let elsewhere = json!({ "url": "ldap://127.0.0.1:9" });
    let refused = place.admin().patch("/targets/ldap1", &elsewhere).expect(422);
    assert!(refused.to_string().contains("give the secret of the target again"), "{refused}");
    let known = json!({ "url": "ldap://127.0.0.1:9", "bind_password": "given again" });
    place.admin().patch("/targets/ldap1", &known).expect(200);
}

#[test]
fn whoever_is_removed_while_the_directory_is_away_leaves_nothing_there() {
    for mut place in Place::on_each_store(&Setup::default()) {
        // It stood there before anything was brought there, so nobody here remembers a place.
        place.slapd.add(&format!(
            "dn: uid=plee,{PEOPLE}\nobjectClass: inetOrgPerson\nobjectClass: voPerson\nuid: plee\n\
             cn: plee\nsn: plee\nvoPersonApplicationPassword;app-wiki: {{SSHA}}left-behind\n"
        ));
        place.slapd.stop();
        place.add_target(&target(&place.slapd, &json!({})));
        await_true("the delivery is there", PATIENCE, || {
            let open = deliveries(place.admin(), "retrying");
            let waiting = deliveries(place.admin(), "waiting");
            open.iter().chain(&waiting).any(|one| one["object"] == "user:plee")
        });
        place.admin().delete("/users/plee").expect(204);
        place.slapd.start(&Setup::default());
        place.settled();
        assert_eq!(place.slapd.values("plee", "wiki"), Vec::<String>::new());
        let remembered = deliveries(place.admin(), "done");
        assert!(!remembered.iter().any(|one| one["object"] == "user:plee"), "{remembered:?}");
    }
}

#[test]
fn a_bind_password_is_never_shown_and_unknown_fields_are_refused() {
    for place in Place::on_each_store(&Setup::default()) {
        let made = place.admin().post("/targets", &target(&place.slapd, &json!({}))).expect(201);
        assert_eq!(made["secret_present"], true);
        for path in ["/targets", "/targets/ldap1"] {
            let shown = place.admin().get(path).expect(200).to_string();
            assert!(!shown.contains(crate::slapd::PASSWORD), "{shown}");
        }
        let odd = target(&place.slapd, &json!({ "name": "odd", "colour": "red" }));
        place.admin().post("/targets", &odd).expect(422);
        place.admin().patch("/targets/ldap1", &json!({ "services": ["wiki"] })).expect(200);
        let edit =
            place.admin().patch("/targets/ldap1", &json!({ "services": ["imap"] })).expect(200);
        assert_eq!(edit["former_services"], json!(["git", "wiki"]));
    }
}

#[test]
fn a_directory_is_spoken_to_in_tls_that_is_checked_or_not_at_all() {
    let place = Place::at(World::new(UNTHROTTLED), &Setup { tls: true, ..Setup::default() });
    place.slapd.person("plee");
    let tls = |file: &str| format!("{}/src/tls/{file}", env!("CARGO_MANIFEST_DIR"));
    let usable = |more: Value| {
        let found = place.admin().post("/targets/test", &target(&place.slapd, &more)).expect(200);
        found["usable"].as_bool().unwrap()
    };
    // The directory wants encryption, and we want to know whose.
    assert!(!usable(json!({})));
    assert!(!usable(json!({ "start_tls": true })));
    assert!(!usable(json!({ "start_tls": true, "ca_file": tls("other.pem") })));
    let own = json!({ "start_tls": true, "ca_file": tls("cert.pem") });
    assert!(usable(own.clone()));
    place.add_target(&target(&place.slapd, &own));
    place.issue("plee", "wiki");
    await_values(&place.slapd, "plee", "wiki", 1);
}

/// Takes one request and answers it, and returns head and body.
fn receive(listener: &TcpListener, status: &str) -> (String, String) {
    let (mut stream, _) = listener.accept().unwrap();
    let mut text = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let count = stream.read(&mut buffer).unwrap();
        text.extend_from_slice(&buffer[..count]);
        let all = String::from_utf8_lossy(&text).into_owned();
        let Some((head, body)) = all.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>())
        });
        if body.len() >= length.unwrap().unwrap() {
            write!(stream, "HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
                .unwrap();
            return (head.to_lowercase(), body.to_owned());
        }
    }
}

#[test]
fn a_webhook_is_told_in_order_signed_and_again_until_it_takes_it() {
    for place in Place::on_each_store(&Setup::default()) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        place.add_target(&json!({ "name": "hook", "kind": "webhook", "url": url,
            "signing_key": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "events": ["token.issued", "token.revoked"] }));
        let token = place.issue("plee", "wiki");
        let (first, _) = receive(&listener, "503 Busy");
        place.act(&token, "revoke");
        let (again, body) = receive(&listener, "204 No Content");
        let id = |head: &str| {
            head.lines().find(|line| line.starts_with("webhook-id")).unwrap().to_owned()
        };
        assert_eq!(id(&first), id(&again), "the same message comes again");
        assert!(again.contains("webhook-signature: v1,"), "{again}");
        assert!(!body.contains(&token.secret));
        let told: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(
            (&told["type"], &told["data"]["subject"]),
            (&json!("token.issued"), &json!("user:plee"))
        );
        let (_, body) = receive(&listener, "200 OK");
        let told: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(told["type"], "token.revoked");
        await_true("nothing is left", PATIENCE, || {
            ["waiting", "retrying"].iter().all(|state| deliveries(place.admin(), state).is_empty())
        });
    }
}

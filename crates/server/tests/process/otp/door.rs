//! What the door accepts and refuses, and to whom it says so.

use serde_json::{Value, json};

use super::{K20, accepts, ask, base32, enrol, enrol_with, hotp, id_of, question, said, worlds};
use crate::harness::{PATIENCE, await_true};
use crate::wire::{Answer, Request};
use crate::world::{UNTHROTTLED, World, client};

#[test]
fn f1_codes_of_the_standards_are_accepted_at_the_door() {
    for world in worlds() {
        enrol(&world.admin, &json!({ "method": "hotp", "seed": base32(K20) }));
        // RFC 4226 appendix D.
        let codes = [
            "755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583",
            "399871", "520489",
        ];
        for code in codes {
            assert!(accepts(&world.verifier, code), "{code}");
        }
        // The pair of Yubico's documentation: as good at the API, and once in all.
        let device = json!({ "method": "yubikey", "aes_key": "ecde18dbe76fbd0c33330f1c354871db",
            "private_id": "8792ebfe26cc", "public_id": "dteffuje" });
        enrol(&world.admin, &device);
        let otp = "dteffujehknhfjbrjnlnldnhcujvddbikngjrtgh";
        let body = json!({ "token": otp, "username": "alice" });
        let verdict = world.verifier.post("/verify", &body).expect(200);
        assert_eq!((&verdict["active"], &verdict["kind"]), (&json!(true), &json!("generic")));
        assert!(!accepts(&world.verifier, otp));
    }
}

#[test]
fn f2_what_is_no_code_of_now_is_refused_and_uses_nothing_up() {
    for world in worlds() {
        let verifier = &world.verifier;
        let id = id_of(&enrol(&world.admin, &json!({ "method": "hotp", "seed": base32(K20) })));
        // One behind the look-ahead, too short, too long, other digits, other letters.
        for wrong in [&hotp(K20, 10), "75522", "7552240", "７５５２２４", "75522a", ""] {
            assert!(!accepts(verifier, wrong), "{wrong}");
        }
        assert!(accepts(verifier, &hotp(K20, 3)));
        for used in 0..=3 {
            assert!(!accepts(verifier, &hotp(K20, used)), "counter {used} is past");
        }
        // Lost far away, it comes back by two codes that follow each other.
        let lost = [hotp(K20, 500), hotp(K20, 501)];
        assert!(!accepts(verifier, &lost[0]));
        let resync = |first: &str, second: &str| {
            let body = json!({ "first": first, "second": second });
            world.admin.post(&format!("/tokens/{id}/otp/resync"), &body).status
        };
        assert_eq!(resync(&lost[1], &lost[0]), 422);
        assert_eq!(resync(&lost[0], &lost[1]), 200);
        assert!(!accepts(verifier, &lost[1]));
        assert!(accepts(verifier, &hotp(K20, 502)));

        // What the door decided is counted as its own.
        let metrics = Request::new("GET", "/metrics").bearer(&world.admin.key);
        let metrics = world.admin.raw(&metrics);
        let counted = "counterfoil_verify_total{door=\"validate\",outcome=\"active\"} 2";
        assert!(metrics.text().contains(counted), "{}", metrics.text());

        // A seed of less than 128 bits is none.
        let short = json!({ "kind": "generic", "user": "alice",
            "otp": { "method": "totp", "seed": base32(&K20[..15]) } });
        let refused = world.admin.post("/tokens", &short).expect(422);
        assert_eq!(refused["field"], "otp.seed");
        // And such a token never gets a secret of another kind.
        world.admin.post(&format!("/tokens/{id}/rotate"), &json!({})).expect(422);
        world.admin.post(&format!("/tokens/{id}/revoke"), &json!({})).expect(200);
        assert!(!accepts(verifier, &hotp(K20, 503)));
    }
}

#[test]
fn backup_codes_are_good_once_each_and_a_new_sheet_ends_the_old_one() {
    for world in worlds() {
        let enrolled = enrol(&world.admin, &json!({ "method": "backup", "codes": 3 }));
        let codes: Vec<String> = serde_json::from_value(enrolled["codes"].clone()).unwrap();
        assert_eq!(codes.len(), 3);
        assert!(accepts(&world.verifier, &codes[0].to_uppercase().replace('-', " ")));
        assert!(!accepts(&world.verifier, &codes[0]));
        let path = format!("/tokens/{}/otp", id_of(&enrolled));
        assert_eq!(world.admin.get(&path).expect(200)["codes_remaining"], 2);
        let renewed = world.admin.post(&format!("{path}/codes"), &json!({})).expect(200);
        assert_eq!(renewed["codes"].as_array().unwrap().len(), 10);
        assert!(!accepts(&world.verifier, &codes[1]));
        assert!(accepts(&world.verifier, renewed["codes"][9].as_str().unwrap()));
    }
}

#[test]
fn application_passwords_are_good_for_their_service_and_count() {
    for world in worlds() {
        let body = json!({ "kind": "service_token", "user": "alice", "service": "git",
            "max_usages": 2 });
        let issued = crate::world::Issued::of(&world.admin.post("/tokens", &body).expect(201));
        let with = |more: &[(&str, &str)]| {
            let mut form = vec![("user", "alice"), ("pass", issued.secret.as_str())];
            form.extend_from_slice(more);
            ask(&world.verifier, &form)
        };
        assert_eq!(with(&[("service_id", "mail")]).status, 403, "not this verifier's");
        assert!(!said(&with(&[("realm", "elsewhere")]).expect(200)));
        assert!(!said(&with(&[("serial", "000000000000")]).expect(200)));
        let first = with(&[("service_id", "GIT"), ("realm", "main")]).expect(200);
        assert!(said(&first));
        assert_eq!(first["detail"]["serial"], json!(issued.id));
        assert_eq!(first["detail"]["type"], "applspec");
        assert!(said(&with(&[("serial", &issued.id)]).expect(200)));
        assert!(!said(&with(&[]).expect(200)), "two uses are all");
        assert_eq!(world.usage_total(&issued), 2);
        // In JSON, as some clients send it.
        let pat = world.pat();
        let json = json!({ "user": "alice", "pass": pat.secret });
        let request = Request::new("POST", "/validate/check").json(&json);
        assert!(said(&world.verifier.send(request).expect(200)));
    }
}

#[test]
fn e1_a_thousand_guesses_of_strangers_keep_nobody_out() {
    for world in World::on_each_store("") {
        enrol(&world.admin, &json!({ "method": "hotp", "seed": base32(K20) }));
        let from = |client: &str, code: &str| {
            let form = [("user", "alice"), ("pass", code), ("client", client)];
            said(&ask(&world.verifier, &form).expect(200))
        };
        assert!(from("192.0.2.7", &hotp(K20, 0)), "the owner was let in from there once");
        for guess in 0..1_000_u32 {
            let stranger = format!("198.51.100.{}", guess % 200);
            assert!(!from(&stranger, &format!("{:06}", 900_000 + guess)));
        }
        // A stranger has to wait with the right code too; the owner has not.
        assert!(!from("203.0.113.1", &hotp(K20, 1)));
        assert!(from("192.0.2.7", &hotp(K20, 1)));
    }
}

/// An answer without its time.
fn timeless(answer: &Answer) -> (u16, Vec<(String, String)>, Value) {
    let mut body = answer.json();
    body["time"] = json!(0);
    (answer.status, answer.lasting().headers, body)
}

#[test]
fn e2_every_refusal_is_the_same() {
    for world in worlds() {
        let admin = &world.admin;
        let used = id_of(&enrol(admin, &json!({ "method": "hotp", "seed": base32(K20) })));
        assert!(accepts(&world.verifier, &hotp(K20, 0)));
        let mut refusals = vec![
            ask(&world.verifier, &[("user", "alice"), ("pass", "123456")]),
            ask(&world.verifier, &[("user", "nobody"), ("pass", "123456")]),
            ask(&world.verifier, &[("user", "alice"), ("pass", &hotp(K20, 0))]),
            ask(&world.verifier, &[("user", "alice"), ("pass", "")]),
            ask(&world.verifier, &[("user", "alice"), ("pass", "cflp_no_token")]),
            ask(&world.verifier, &[("user", "nobody"), ("pass", &world.pat().secret)]),
        ];
        admin.post(&format!("/tokens/{used}/disable"), &json!({})).expect(200);
        let right = hotp(K20, 1);
        refusals.push(ask(&world.verifier, &[("user", "alice"), ("pass", &right)]));
        admin.post(&format!("/tokens/{used}/enable"), &json!({})).expect(200);
        let ended = crate::world::pat(admin, &json!({ "lifetime_seconds": 1 }));
        await_true("a token ends", PATIENCE, || {
            admin.get(&ended.path("")).expect(200)["state"] == "expired"
        });
        refusals.push(ask(&world.verifier, &[("user", "alice"), ("pass", &ended.secret)]));
        let first = timeless(&refusals[0]);
        assert_eq!(
            (first.0, &first.2["detail"]),
            (200, &json!({ "message": "wrong credentials" }))
        );
        for (number, refusal) in refusals.iter().enumerate() {
            assert_eq!(timeless(refusal), first, "refusal {number}");
        }
    }
}

#[test]
fn e3_nobody_asks_without_a_key_unless_a_network_is_said_to_be_a_client() {
    let mapped = format!(
        "{UNTHROTTLED}\nserver.trusted_proxies = [\"127.0.0.1\"]\n\
         validate.clients = {{ \"10.0.0.5/32\" = \"radius1\", \"10.0.0.0/8\" = \"nobody-yet\" }}"
    );
    for world in World::on_each_store(&mapped) {
        // Whatever else its key would let it do.
        let body = json!({ "name": "radius1", "roles": ["verifier", "realm-admin"],
            "services": ["git"] });
        client(&world.admin, &body);
        let pat = world.pat();
        let form = [("user", "alice"), ("pass", pat.secret.as_str())];
        let ask_as = |request: Request| world.admin.raw(&request);
        let refused = ask_as(question(&form));
        let error = &refused.expect(401)["result"];
        assert_eq!((&error["status"], &error["error"]["code"]), (&json!(false), &json!(4033)));
        assert!(refused.header("www-authenticate").starts_with("Basic"));
        assert_eq!(ask_as(question(&form).bearer("cflk_wrong")).status, 401);
        assert_eq!(ask_as(question(&form).header("Authorization", &*pat.secret)).status, 403);
        let get = question(&form).method("GET");
        assert_eq!(ask_as(get).status, 405, "no password in a log of requests");

        // The proxy says who asks; the narrowest network that holds the address counts.
        let from = |ip: &str| question(&form).header("X-Forwarded-For", ip);
        assert!(!said_or_refused(&ask_as(from("10.0.0.6"))));
        assert!(!said_or_refused(&ask_as(from("192.0.2.1"))));
        assert!(said(&ask_as(from("10.0.0.5")).expect(200)));
        let users = Request::new("GET", "/api/v1/realms/main/users");
        assert_eq!(ask_as(users.header("X-Forwarded-For", "10.0.0.5")).status, 401);
        // A key that is there is judged by itself.
        assert_eq!(ask_as(from("10.0.0.5").bearer("cflk_wrong")).status, 401);
    }
}

fn said_or_refused(answer: &Answer) -> bool {
    answer.status == 200 && said(&answer.json())
}

#[test]
fn e4_a_wrong_code_for_one_token_changes_nothing_of_another() {
    for world in worlds() {
        let admin = &world.admin;
        let one = id_of(&enrol(admin, &json!({ "method": "hotp", "seed": base32(K20) })));
        let more = json!({ "serial": "A-17" });
        let other = enrol_with(admin, &json!({ "method": "totp" }), &more);
        let app = world.pat();
        let state = || {
            [&one, &id_of(&other), &app.id].map(|id| {
                // The last one is no such token, and the answer has a number of its own.
                let otp = admin.get(&format!("/tokens/{id}/otp")).json()["drift"].clone();
                let token = admin.get(&format!("/tokens/{id}")).expect(200);
                (otp, token["denied_total"].clone(), token["version"].clone())
            })
        };
        let before = state();
        for _ in 0..5 {
            for serial in [Some(one.as_str()), Some("A-17"), None] {
                let mut form = vec![("user", "alice"), ("pass", "000000")];
                form.extend(serial.map(|serial| ("serial", serial)));
                assert!(!said(&ask(&world.verifier, &form).expect(200)));
            }
        }
        assert_eq!(state(), before);
        // The serial chooses among the tokens; a right code for the other one is wrong.
        let code = hotp(K20, 0);
        let with = |serial: &str| {
            let form = [("user", "alice"), ("pass", code.as_str()), ("serial", serial)];
            said(&ask(&world.verifier, &form).expect(200))
        };
        assert!(!with("A-17"));
        assert!(with(&one));
    }
}

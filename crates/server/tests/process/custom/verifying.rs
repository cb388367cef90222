//! Tokens of the reference adapter and of a directory at our doors, and what crosses the wire.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use crate::harness::{PATIENCE, Site, await_true};
use crate::slapd::{ADMIN, PASSWORD, PEOPLE, Setup, Slapd};
use crate::world::{UNTHROTTLED, World, active, mistyped, service, user, verifier, verify};

use super::peers::{Adapter, Tap, section};

/// A token of ForgeRock AM as its seed has them.
pub(super) const PAT: &str = "0f83ee64ef9d15a68e5c7a910395ea1611e2fa138b1b9dd7e090941dfed773b2";

#[test]
fn g3_the_wire_to_an_adapter_carries_no_secret() {
    let site = Site::new();
    let adapter = Adapter::start(&site);
    let tap = Tap::to(adapter.address);
    let secret = adapter.add("alice");
    for world in
        World::on_each_store(&format!("{UNTHROTTLED}\n{}", section(&site, tap.address, "")))
    {
        let answer = world.verify(&secret);
        assert_eq!((&answer["active"], &answer["username"]), (&json!(true), &json!("alice")));
        let wrong = mistyped(&secret);
        assert_eq!(world.verify(&wrong)["active"], json!(false));
        let seen = String::from_utf8_lossy(&tap.seen()).into_owned();
        assert!(seen.contains(&secret[..13]), "the public part is what is asked for: {seen}");
        for part in [&secret[13..], &secret[20..40], &wrong[wrong.len() - 20..]] {
            assert!(!seen.contains(part), "{seen}");
        }
    }
}

#[test]
fn a_token_of_an_adapter_is_judged_like_one_of_ours() {
    for make in [World::new, World::on_postgres] {
        let site = Site::new();
        let adapter = Adapter::start(&site);
        let more = "services = [\"git\"]\ncache_seconds = 0";
        let world = make(&format!("{UNTHROTTLED}\n{}", section(&site, adapter.address, more)));
        let secret = adapter.add("alice");
        assert!(active(&verify(&world.verifier, &secret)));
        // Not of the person that it was presented with, not for another service, of nobody known.
        let code = |body| world.verifier.post("/verify", &body).expect(200)["code"].clone();
        assert_eq!(code(json!({"token": secret, "username": "bob"})), json!("wrong_user"));
        service(&world.admin, "mail", &json!({}));
        let mail = verifier(&world.admin, "mail-verifier", &["mail"]);
        assert_eq!(verify(&mail, &secret).expect(200)["active"], json!(false));
        let stranger = adapter.add("nobody");
        assert_eq!(code(json!({"token": stranger})), json!("owner_inactive"));
        world.admin.patch("/users/alice", &json!({"status": "suspended"})).expect(200);
        assert_eq!(code(json!({"token": secret})), json!("owner_inactive"));
        world.admin.patch("/users/alice", &json!({"status": "active"})).expect(200);
        adapter.sql("update token set enabled = 0");
        assert_eq!(code(json!({"token": secret})), json!("disabled"));
        // It opens nothing at the API, and nobody can make another token of it.
        let api = world.admin.with_key(&secret);
        assert_eq!(api.get("/users").status, 401);
    }
}

#[test]
fn a_limit_that_an_adapter_tells_of_is_counted_here_exactly() {
    let site = Site::new();
    let adapter = Adapter::start(&site);
    let secret = adapter.add("alice");
    adapter.sql("update token set attributes = '{\"maxUsages\": 5}'");
    let settings = format!("{UNTHROTTLED}\n{}", section(&site, adapter.address, ""));
    for world in World::on_each_store(&settings) {
        let racing: Vec<_> = (0..40)
            .map(|_| {
                let (verifier, secret) = (world.verifier.clone(), secret.clone());
                std::thread::spawn(move || active(&verify(&verifier, &secret)))
            })
            .collect();
        let accepted: Vec<bool> = racing.into_iter().map(|one| one.join().unwrap()).collect();
        assert_eq!(accepted.into_iter().filter(|yes| *yes).count(), 5);
    }
}

#[test]
fn a_service_token_of_ours_is_found_before_a_repository_of_its_service_is_asked() {
    let slapd = Slapd::new(&Setup::default());
    slapd.person("alice");
    slapd.modify(&format!(
        "dn: uid=alice,{PEOPLE}\nchangetype: modify\nadd: objectClass\nobjectClass: voPerson\n-\n\
         add: voPersonApplicationPassword;app-git\n\
         voPersonApplicationPassword;app-git: {{SSHA}}aTAOJG0ivhFFnnRoGfnx+9B/u1ExYTJi\n"
    ));
    let site = Site::new();
    let secret = site.path("bind.secret");
    std::fs::write(&secret, PASSWORD).unwrap();
    let world = World::new(&format!(
        "{UNTHROTTLED}\n[repository.directory]\nkind = \"custom\"\ndriver = \"ldap\"\n\
         url = \"{}\"\nservices = [\"git\"]\nbind_dn = \"{ADMIN}\"\nsecret = \"file:{}\"\n\
         base_dn = \"{PEOPLE}\"\ncache_seconds = 0\n",
        slapd.url(),
        secret.display()
    ));
    let ask = |token: &str| {
        let body = json!({"token": token, "username": "alice"});
        world.verifier.post("/verify", &body)
    };
    assert!(active(&ask("k7mq-2x9d-hw4t-p8zc")));
    assert_eq!(ask("k7mq-2x9d-hw4t-p8zd").expect(200)["active"], json!(false));
    let own = json!({"kind": "service_token", "user": "alice", "service": "git", "name": "phone"});
    let issued = world.admin.post("/tokens", &own).expect(201);
    let own = issued["secret"].as_str().unwrap();
    slapd.halt();
    assert!(active(&ask(own)));
    assert_eq!(ask("k7mq-2x9d-hw4t-p8zc").status, 503);
    slapd.go_on();
    await_true("the directory is asked again", PATIENCE, || active(&ask("k7mq-2x9d-hw4t-p8zc")));
}

#[test]
fn personal_access_tokens_are_read_from_a_profile_attribute_in_three_spellings() {
    let slapd = Slapd::new(&Setup::default());
    let site = Site::new();
    let secret = site.path("bind.secret");
    std::fs::write(&secret, PASSWORD).unwrap();
    for (name, value) in [
        ("one", format!("{PAT}:{{\"profile\": [\"mail\"]}}")),
        ("two", format!("{PAT}:{{\u{201c}profile\u{201d}: [\u{201c}mail\u{201d}]}}")),
        ("three", format!("{{\"{PAT}\": {{\"profile\": [\"mail\"]}}}}")),
    ] {
        slapd.person(name);
        let encoded = STANDARD.encode(value);
        slapd.modify(&format!(
            "dn: uid={name},{PEOPLE}\nchangetype: modify\nadd: description\n\
             description:: {encoded}\n-\nadd: description\ndescription: an alias\n"
        ));
    }
    let world = World::new(&format!(
        "{UNTHROTTLED}\n[repository.am]\nkind = \"custom\"\ndriver = \"ldap\"\nform = \"pat\"\n\
         url = \"{}\"\nservices = [\"git\"]\nbind_dn = \"{ADMIN}\"\nsecret = \"file:{}\"\n\
         base_dn = \"{PEOPLE}\"\nattribute = \"description\"\n\
         token_kind = \"personal_access_token\"\n",
        slapd.url(),
        secret.display()
    ));
    for name in ["one", "two", "three"] {
        user(&world.admin, name);
        let body = json!({"token": PAT, "username": name});
        let answer = world.verifier.post("/verify", &body).expect(200);
        assert_eq!(answer["active"], json!(true), "{name}: {answer}");
        assert_eq!(answer["permissions"], json!({"profile": ["mail"]}), "{name}");
    }
    let other = json!({"token": PAT, "username": "alice"});
    assert_eq!(world.verifier.post("/verify", &other).expect(200)["active"], json!(false));
}

//! What stands in a directory after what happened here.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::{Place, await_values, entries, issue, target};
use crate::comanage::person;
use crate::harness::{PATIENCE, await_true};
use crate::slapd::{PEOPLE, Setup};
use crate::wire::{Request, below_main};
use crate::world::{Issued, service, verifier, verify};

#[test]
fn a3_a_whole_entry_reads_as_comanage_would_have_written_it() {
    for place in Place::on_each_store(&Setup::default()) {
        place.admin().delete("/users/alice").expect(204);
        let (wiki, imap) = (place.issue("plee", "wiki"), place.issue("plee", "imap"));
        // Derived when they were issued: whoever comes later lacks them.
        place.add_target(&entries(&place.slapd, &json!({})));
        place.settled();
        assert_eq!(place.slapd.values("plee", "wiki"), Vec::<String>::new());
        let lacking = place.admin().post("/targets/people/reconcile", &json!({})).expect(200);
        assert_eq!(lacking["lacking"].as_array().unwrap().len(), 2, "{lacking}");
        for former in [&wiki, &imap] {
            place.act(former, "revoke");
        }
        let (wiki, imap) = (place.issue("plee", "wiki"), place.issue("plee", "imap"));
        place.settled();
        // Its salts are its own; everything else is said by the reference.
        let salted = |label: &str, token: &Issued| {
            let value = place.slapd.values("plee", label).pop().unwrap();
            let bytes = STANDARD.decode(value.strip_prefix("{SSHA}").unwrap()).unwrap();
            let salt = &bytes[20..];
            assert_eq!(salt.len(), 16);
            let clear = [token.secret.as_bytes(), salt].concat();
            let digest =
                aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY, &clear);
            let whole = STANDARD.encode([digest.as_ref(), salt].concat());
            format!("voPersonApplicationPassword;app-{label}: {{SSHA}}{whole}")
        };
        let mut expected = vec![
            format!("dn: voPersonID=V097531,{PEOPLE}"),
            "objectClass: person".to_owned(),
            "objectClass: organizationalPerson".to_owned(),
            "objectClass: inetOrgPerson".to_owned(),
            "objectClass: voPerson".to_owned(),
            "cn: Pat Lee".to_owned(),
            "givenName: Pat".to_owned(),
            "sn: Lee".to_owned(),
            "uid: plee".to_owned(),
            "voPersonID: V097531".to_owned(),
            "voPersonStatus: Active".to_owned(),
            "voPersonApplicationUID;app-wiki: plee".to_owned(),
            "voPersonApplicationUID;app-imap: plee".to_owned(),
            salted("wiki", &wiki),
            salted("imap", &imap),
        ];
        expected.sort();
        let mut lines = place.slapd.ldif("(voPersonID=V097531)");
        lines.sort();
        assert_eq!(lines, expected);
        for (label, token, other) in [("wiki", &wiki, &imap), ("imap", &imap, &wiki)] {
            let value = place.slapd.values("plee", label).pop().unwrap();
            assert!(place.slapd.accepts(&value, &token.secret));
            assert!(!place.slapd.accepts(&value, &other.secret));
        }
        assert_eq!(place.differences("people", false), [] as [serde_json::Value; 0]);
    }
}

#[test]
fn a4_a13_every_scheme_binds_and_no_hash_does() {
    for place in Place::on_each_store(&Setup::default()) {
        place.slapd.person("plee");
        let schemes = [
            "SSHA",
            "SSHA512",
            "CRYPT-SHA512",
            "CRYPT-BCRYPT",
            "ARGON2",
            "PBKDF2-SHA256",
            "PBKDF2-SHA512",
        ];
        place.add_target(&target(&place.slapd, &json!({ "schemes": schemes })));
        let token = place.issue("plee", "wiki");
        let values = await_values(&place.slapd, "plee", "wiki", schemes.len());
        for value in &values {
            assert!(value.starts_with('{'), "{value}");
            assert!(place.slapd.accepts(value, &token.secret), "{value}");
            assert!(!place.slapd.accepts(value, "another"), "{value}");
        }
    }
}

#[test]
fn a5_a_replaced_token_leaves_one_other_value_and_the_other_service_alone() {
    for place in Place::on_each_store(&Setup::default()) {
        place.slapd.person("plee");
        place.add_target(&target(&place.slapd, &json!({})));
        let (wiki, _) = (place.issue("plee", "wiki"), place.issue("plee", "imap"));
        let before = await_values(&place.slapd, "plee", "wiki", 1);
        let other = await_values(&place.slapd, "plee", "imap", 1);
        let rotated = place.admin().post(&wiki.path("/rotate"), &json!({ "overlap_seconds": 0 }));
        let rotated = Issued::of(&rotated.expect(200));
        let verifier = verifier(place.admin(), "v", &["wiki"]);
        assert_eq!(verify(&verifier, &wiki.secret).expect(200)["active"], false);
        await_true("the value is another one", PATIENCE, || {
            let now = place.slapd.values("plee", "wiki");
            now.len() == 1 && now != before
        });
        let after = place.slapd.values("plee", "wiki");
        assert!(place.slapd.accepts(&after[0], &rotated.secret));
        assert!(!place.slapd.accepts(&after[0], &wiki.secret));
        assert_eq!(place.slapd.values("plee", "imap"), other);
    }
}

#[test]
fn a6_a_token_that_its_owner_revoked_has_no_value_and_the_other_service_keeps_its_own() {
    for place in Place::on_each_store(&Setup::default()) {
        place.slapd.person("plee");
        place.add_target(&target(&place.slapd, &json!({})));
        let (_, imap) = (place.issue("plee", "wiki"), place.issue("plee", "imap"));
        await_values(&place.slapd, "plee", "wiki", 1);
        await_values(&place.slapd, "plee", "imap", 1);
        let own = person(&place.world, "plee", &["tokens:read", "tokens:write"]);
        let path = imap.path("/revoke");
        for reason in ["lost", "again"] {
            let shown = own.post(&path, &json!({ "reason": reason })).expect(200);
            assert_eq!(shown["revoked_reason"], "lost");
        }
        let events = place.admin().get(&imap.path("/events")).expect(200);
        let events = events["items"].as_array().unwrap();
        let revoked: Vec<_> = events.iter().filter(|e| e["kind"] == "token.revoked").collect();
        assert_eq!(revoked.len(), 1, "{events:?}");
        let said = (&revoked[0]["actor"], &revoked[0]["reason"]);
        assert_eq!(said, (&json!("user:plee"), &json!("lost")));
        await_values(&place.slapd, "plee", "imap", 0);
        let holding = place.slapd.search("(voPersonApplicationPassword;app-imap=*)");
        assert!(holding.is_empty(), "{holding:?}");
        assert_eq!(place.slapd.values("plee", "wiki").len(), 1);
        // What somebody else keeps in the entry is as it was.
        assert_eq!(place.slapd.entry("plee")["mail"], ["plee@myvo.org"]);
    }
}

#[test]
fn a7_a_lock_takes_the_value_away_and_an_unlock_brings_the_same_one_back() {
    for place in Place::on_each_store(&Setup::default()) {
        for person in ["plee", "alice"] {
            place.slapd.person(person);
        }
        place.add_target(&target(&place.slapd, &json!({})));
        let token = place.issue("plee", "wiki");
        place.issue("alice", "wiki");
        let before = await_values(&place.slapd, "plee", "wiki", 1);
        await_values(&place.slapd, "alice", "wiki", 1);
        place.act(&token, "lock");
        await_values(&place.slapd, "plee", "wiki", 0);
        place.act(&token, "unlock");
        assert_eq!(await_values(&place.slapd, "plee", "wiki", 1), before);
        for (path, body) in [
            ("/users/plee", json!({})),
            ("/users/plee", json!({ "service": "wiki" })),
            ("/services/wiki", json!({})),
        ] {
            place.admin().post(&format!("{path}/lock"), &body).expect(200);
            await_values(&place.slapd, "plee", "wiki", 0);
            let others = usize::from(!path.starts_with("/services"));
            await_values(&place.slapd, "alice", "wiki", others);
            // Issued under the lock, and so not there before its end.
            let later = place.issue("plee", "wiki");
            place.settled();
            assert_eq!(place.slapd.values("plee", "wiki"), Vec::<String>::new());
            place.admin().post(&format!("{path}/unlock"), &body).expect(200);
            await_values(&place.slapd, "plee", "wiki", 2);
            place.act(&later, "revoke");
            assert_eq!(await_values(&place.slapd, "plee", "wiki", 1), before);
        }
        await_values(&place.slapd, "alice", "wiki", 1);
        place.admin().patch("/services/wiki", &json!({ "status": "suspended" })).expect(200);
        for person in ["plee", "alice"] {
            await_values(&place.slapd, person, "wiki", 0);
        }
        place.admin().patch("/services/wiki", &json!({ "status": "active" })).expect(200);
        for person in ["plee", "alice"] {
            await_values(&place.slapd, person, "wiki", 1);
        }
    }
}

#[test]
fn a8_a_suspended_person_has_no_values_and_a_deleted_one_no_entry() {
    for place in Place::on_each_store(&Setup::default()) {
        place.admin().post("/groups", &json!({ "name": "hpc-users" })).expect(201);
        let path = below_main("/groups/hpc-users/members/plee");
        place.admin().send(Request::new("PUT", path)).expect(204);
        service(place.admin(), "hpc", &json!({ "group": "hpc-users" }));
        place.add_target(&entries(&place.slapd, &json!({})));
        for label in ["wiki", "hpc"] {
            place.issue("plee", label);
            await_values(&place.slapd, "plee", label, 1);
        }
        place.patch_user("plee", &json!({ "status": "suspended" }));
        for label in ["wiki", "hpc"] {
            await_values(&place.slapd, "plee", label, 0);
        }
        assert_eq!(place.slapd.entry("plee")["vopersonstatus"], ["Suspended"]);
        let back = || {
            place.patch_user("plee", &json!({ "status": "active" }));
            for label in ["wiki", "hpc"] {
                await_values(&place.slapd, "plee", label, 1);
            }
        };
        back();
        place.patch_user("plee", &json!({ "status": "expired" }));
        for label in ["wiki", "hpc"] {
            await_values(&place.slapd, "plee", label, 0);
        }
        back();
        place.admin().delete("/groups/hpc-users/members/plee").expect(204);
        await_values(&place.slapd, "plee", "hpc", 0);
        assert_eq!(place.slapd.values("plee", "wiki").len(), 1);
        place.admin().delete("/users/plee");
        await_true("the entry is gone", PATIENCE, || place.slapd.search("(uid=plee)").is_empty());
    }
}

#[test]
fn a12_a_password_for_one_service_binds_until_it_is_revoked() {
    for place in Place::on_each_store(&Setup::default()) {
        place.slapd.person("plee");
        let more = json!({ "attribute": "userPassword", "services": ["imap"] });
        place.add_target(&target(&place.slapd, &more));
        let two =
            json!({ "name": "two", "attribute": "userPassword", "services": ["imap", "wiki"] });
        place.admin().post("/targets", &target(&place.slapd, &two)).expect(422);
        let dn = format!("uid=plee,{PEOPLE}");
        place.issue("plee", "wiki");
        let imap = place.issue("plee", "imap");
        await_true("the token binds", PATIENCE, || place.slapd.binds(&dn, &imap.secret));
        assert_eq!(place.slapd.entry("plee")["userpassword"].len(), 1);
        assert_eq!(place.slapd.bound(&dn, &imap.secret), Some(0));
        place.act(&imap, "revoke");
        await_true("it binds no longer", PATIENCE, || !place.slapd.binds(&dn, &imap.secret));
        assert_eq!(place.slapd.bound(&dn, &imap.secret), Some(49));
        assert!(!place.slapd.entry("plee").contains_key("userpassword"));
    }
}

#[test]
fn a14_a_service_reads_its_own_label_and_nobody_else_anything() {
    let access = "access to attrs=\"voPersonApplicationPassword;app-imap\"\n  \
                  by dn.exact=\"uid=imapsvc,ou=People,dc=myvo,dc=org\" read\n  by * none\n\
                  access to attrs=voPersonApplicationPassword\n  by * none\n\
                  access to attrs=userPassword\n  by * auth\naccess to *\n  by * read";
    for place in Place::on_each_store(&Setup { access: access.to_owned(), ..Setup::default() }) {
        place.slapd.person("plee");
        for label in ["imap", "wiki"] {
            place.slapd.add(&format!(
                "dn: uid={label}svc,{PEOPLE}\nobjectClass: inetOrgPerson\nuid: {label}svc\n\
                 cn: {label}svc\nsn: x\nuserPassword: reads-{label}\n"
            ));
        }
        place.add_target(&target(&place.slapd, &json!({})));
        for label in ["wiki", "imap"] {
            place.issue("plee", label);
            await_values(&place.slapd, "plee", label, 1);
        }
        let held = |who| {
            let found = place.slapd.search_as(who, "(uid=plee)", &["voPersonApplicationPassword"]);
            let names = found.into_iter().flat_map(std::collections::BTreeMap::into_keys);
            names.filter(|name| name != "dn").collect::<Vec<_>>()
        };
        let service = format!("uid=imapsvc,{PEOPLE}");
        let own = held(Some((&service, "reads-imap")));
        assert_eq!(own, ["vopersonapplicationpassword;app-imap"]);
        // Nobody else sees any of it: neither who says nothing, nor another service, nor she.
        place.slapd.modify(&format!(
            "dn: uid=plee,{PEOPLE}\nchangetype: modify\nadd: userPassword\nuserPassword: of-plee\n"
        ));
        let plee = format!("uid=plee,{PEOPLE}");
        let wiki = format!("uid=wikisvc,{PEOPLE}");
        for who in [None, Some((plee.as_str(), "of-plee")), Some((wiki.as_str(), "reads-wiki"))] {
            let seen = place.slapd.search_as(who, "(uid=plee)", &[]);
            assert_eq!(seen.len(), 1, "{who:?} sees the entry");
            assert_eq!(held(who), Vec::<String>::new());
        }
    }
}

#[test]
fn a22_a_value_stands_under_its_own_label_only() {
    for place in Place::on_each_store(&Setup::default()) {
        place.slapd.person("plee");
        place.add_target(&target(&place.slapd, &json!({ "services": ["wiki"] })));
        let (wiki, imap) = (place.issue("plee", "wiki"), place.issue("plee", "imap"));
        let values = await_values(&place.slapd, "plee", "wiki", 1);
        place.settled();
        assert_eq!(place.slapd.values("plee", "imap"), Vec::<String>::new());
        assert!(place.slapd.accepts(&values[0], &wiki.secret));
        let verifier = verifier(place.admin(), "v", &["imap"]);
        assert_eq!(verify(&verifier, &wiki.secret).expect(200)["active"], false);
        assert_eq!(verify(&verifier, &imap.secret).expect(200)["active"], true);
    }
}

#[test]
fn what_is_derived_for_a_directory_and_its_password_are_sealed_at_rest() {
    for mut place in Place::on_each_store(&Setup::default()) {
        place.slapd.person("plee");
        place.add_target(&target(&place.slapd, &json!({ "schemes": ["SSHA", "ARGON2"] })));
        let token = place.issue("plee", "wiki");
        let mut needles = await_values(&place.slapd, "plee", "wiki", 2);
        needles.extend([token.secret, crate::slapd::PASSWORD.to_owned()]);
        place.world.server.stop();
        for (path, bytes) in place.world.site.files() {
            for needle in &needles {
                let found = bytes.windows(needle.len()).any(|window| window == needle.as_bytes());
                assert!(!found, "{} holds {needle}", path.display());
            }
        }
    }
}

#[test]
fn an_expired_token_leaves_the_directory_without_anybody_asking() {
    for place in Place::on_each_store(&Setup::default()) {
        place.slapd.person("plee");
        place.add_target(&target(&place.slapd, &json!({})));
        let body = json!({ "kind": "service_token", "user": "plee", "service": "wiki",
            "lifetime_seconds": 3 });
        Issued::of(&place.admin().post("/tokens", &body).expect(201));
        await_values(&place.slapd, "plee", "wiki", 1);
        await_values(&place.slapd, "plee", "wiki", 0);
    }
}

#[test]
fn an_entry_is_renamed_when_its_name_changes_and_records_stand_on_a_profile() {
    for place in Place::on_each_store(&Setup::default()) {
        place.add_target(&entries(&place.slapd, &json!({})));
        issue(place.admin(), "plee", "wiki");
        let values = await_values(&place.slapd, "plee", "wiki", 1);
        let attributes = json!({ "voPersonID": "V000002", "givenName": "Pat", "sn": "Lee" });
        place.patch_user("plee", &json!({ "attributes": attributes }));
        await_true("the entry is renamed", PATIENCE, || {
            place.slapd.search("(voPersonID=V000002)").len() == 1
        });
        assert_eq!(place.slapd.search("(uid=plee)").len(), 1);
        assert_eq!(place.slapd.values("plee", "wiki"), values);
        let more = json!({ "name": "profile", "kind": "profile_attribute", "attribute": "description",
            "order": 9 });
        place.add_target(&target(&place.slapd, &more));
        let body = json!({ "kind": "personal_access_token", "user": "plee", "services": ["wiki"],
            "name": "laptop" });
        let pat = Issued::of(&place.admin().post("/tokens", &body).expect(201));
        let record = || {
            let text = place.slapd.entry("plee").remove("description")?.pop()?;
            serde_json::from_str::<serde_json::Value>(&text).ok()
        };
        await_true("the record is there", PATIENCE, || record().is_some());
        let record = record().unwrap();
        assert_eq!((&record["id"], &record["name"]), (&json!(pat.id), &json!("laptop")));
        assert!(place.slapd.accepts(record["hash"].as_str().unwrap(), &pat.secret));
        place.act(&pat, "revoke");
        await_true("the record is gone", PATIENCE, || {
            !place.slapd.entry("plee").contains_key("description")
        });
    }
}

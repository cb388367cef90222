//! What stands in a directory after what happened here.

use serde_json::json;

use super::{Place, await_values, entries, issue, target};
use crate::harness::{PATIENCE, await_true};
use crate::slapd::{PEOPLE, Setup};
use crate::wire::{Request, below_main};
use crate::world::{Issued, service, verifier, verify};

#[test]
fn a3_a_whole_entry_reads_as_comanage_would_have_written_it() {
    let place = Place::new();
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
    let entry = place.slapd.entry("plee");
    let mut lines: Vec<String> = entry
        .iter()
        .filter(|(name, _)| !name.starts_with("vopersonapplicationpassword"))
        .flat_map(|(name, values)| values.iter().map(move |value| format!("{name}: {value}")))
        .collect();
    lines.sort();
    assert_eq!(
        lines,
        [
            "cn: Pat Lee".to_owned(),
            format!("dn: voPersonID=V097531,{PEOPLE}"),
            "givenname: Pat".to_owned(),
            "objectclass: inetOrgPerson".to_owned(),
            "objectclass: organizationalPerson".to_owned(),
            "objectclass: person".to_owned(),
            "objectclass: voPerson".to_owned(),
            "sn: Lee".to_owned(),
            "uid: plee".to_owned(),
            "vopersonapplicationuid;app-imap: plee".to_owned(),
            "vopersonapplicationuid;app-wiki: plee".to_owned(),
            "vopersonid: V097531".to_owned(),
            "vopersonstatus: Active".to_owned(),
        ]
    );
    for (label, token, other) in [("wiki", &wiki, &imap), ("imap", &imap, &wiki)] {
        let values = place.slapd.values("plee", label);
        assert_eq!(values.len(), 1);
        // 16 bytes of salt behind 20 of digest: 48 characters of base64 and the scheme.
        assert!(values[0].starts_with("{SSHA}") && values[0].len() == 54, "{values:?}");
        assert!(place.slapd.accepts(&values[0], &token.secret));
        assert!(!place.slapd.accepts(&values[0], &other.secret));
    }
    assert_eq!(place.differences("people", false), [] as [serde_json::Value; 0]);
}

#[test]
fn a4_a13_every_scheme_binds_and_no_hash_does() {
    let place = Place::new();
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

#[test]
fn a5_a_replaced_token_leaves_one_other_value_and_the_other_service_alone() {
    let place = Place::new();
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

#[test]
fn a6_a_revoked_token_has_no_value_and_the_other_service_keeps_its_own() {
    let place = Place::new();
    place.slapd.person("plee");
    place.add_target(&target(&place.slapd, &json!({})));
    let (_, imap) = (place.issue("plee", "wiki"), place.issue("plee", "imap"));
    await_values(&place.slapd, "plee", "wiki", 1);
    await_values(&place.slapd, "plee", "imap", 1);
    place.act(&imap, "revoke");
    place.act(&imap, "revoke");
    await_values(&place.slapd, "plee", "imap", 0);
    let holding = place.slapd.search("(voPersonApplicationPassword;app-imap=*)");
    assert!(holding.is_empty(), "{holding:?}");
    assert_eq!(place.slapd.values("plee", "wiki").len(), 1);
    // What somebody else keeps in the entry is as it was.
    assert_eq!(place.slapd.entry("plee")["mail"], ["plee@myvo.org"]);
}

#[test]
fn a7_a_lock_takes_the_value_away_and_an_unlock_brings_the_same_one_back() {
    let place = Place::new();
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

#[test]
fn a8_a_suspended_person_has_no_values_and_a_deleted_one_no_entry() {
    let place = Place::new();
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
    place.patch_user("plee", &json!({ "status": "active" }));
    for label in ["wiki", "hpc"] {
        await_values(&place.slapd, "plee", label, 1);
    }
    place.admin().delete("/groups/hpc-users/members/plee").expect(204);
    await_values(&place.slapd, "plee", "hpc", 0);
    assert_eq!(place.slapd.values("plee", "wiki").len(), 1);
    place.admin().delete("/users/plee");
    await_true("the entry is gone", PATIENCE, || place.slapd.search("(uid=plee)").is_empty());
}

#[test]
fn a12_a_password_for_one_service_binds_until_it_is_revoked() {
    let place = Place::new();
    place.slapd.person("plee");
    let more = json!({ "attribute": "userPassword", "services": ["imap"] });
    place.add_target(&target(&place.slapd, &more));
    let two = json!({ "name": "two", "attribute": "userPassword", "services": ["imap", "wiki"] });
    place.admin().post("/targets", &target(&place.slapd, &two)).expect(422);
    let dn = format!("uid=plee,{PEOPLE}");
    place.issue("plee", "wiki");
    let imap = place.issue("plee", "imap");
    await_true("the token binds", PATIENCE, || place.slapd.binds(&dn, &imap.secret));
    assert_eq!(place.slapd.entry("plee")["userpassword"].len(), 1);
    place.act(&imap, "revoke");
    await_true("it binds no longer", PATIENCE, || !place.slapd.binds(&dn, &imap.secret));
    assert!(!place.slapd.entry("plee").contains_key("userpassword"));
}

#[test]
fn a14_a_service_reads_its_own_label_and_nobody_else_anything() {
    let access = "access to attrs=\"voPersonApplicationPassword;app-imap\"\n  \
                  by dn.exact=\"uid=imapsvc,ou=People,dc=myvo,dc=org\" read\n  by * none\n\
                  access to attrs=voPersonApplicationPassword\n  by * none\n\
                  access to attrs=userPassword\n  by * auth\naccess to *\n  by * read";
    let place = Place::with(&Setup { access: access.to_owned(), ..Setup::default() });
    place.slapd.person("plee");
    place.slapd.add(&format!(
        "dn: uid=imapsvc,{PEOPLE}\nobjectClass: inetOrgPerson\nuid: imapsvc\ncn: imapsvc\n\
         sn: x\nuserPassword: reads-imap\n"
    ));
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
    assert_eq!(held(None), Vec::<String>::new());
}

#[test]
fn a22_a_value_stands_under_its_own_label_only() {
    let place = Place::new();
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

#[test]
fn what_is_derived_for_a_directory_and_its_password_are_sealed_at_rest() {
    let mut place = Place::new();
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

#[test]
fn an_expired_token_leaves_the_directory_without_anybody_asking() {
    let place = Place::new();
    place.slapd.person("plee");
    place.add_target(&target(&place.slapd, &json!({})));
    let body = json!({ "kind": "service_token", "user": "plee", "service": "wiki",
        "lifetime_seconds": 3 });
    Issued::of(&place.admin().post("/tokens", &body).expect(201));
    await_values(&place.slapd, "plee", "wiki", 1);
    await_values(&place.slapd, "plee", "wiki", 0);
}

#[test]
fn an_entry_is_renamed_when_its_name_changes_and_records_stand_on_a_profile() {
    let place = Place::new();
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

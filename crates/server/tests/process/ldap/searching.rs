//! What is seen: a person's own entry, and for a service's client the people and groups of it.

use ldap3_proto::control::LdapControl;
use ldap3_proto::proto::{LdapCompareRequest, LdapFilter, LdapOp, LdapResultCode, LdapSearchScope};
use serde_json::json;

use super::client::{Client, Found, request};
use super::{BASE, person};
use crate::wire::Request;
use crate::world::{UNTHROTTLED, World, service, user};

/// alice and bob are staff, carol is nobody; `mail` is for staff, `git` for everybody.
fn populated() -> World {
    let world = World::new(UNTHROTTLED);
    let admin = &world.admin;
    let facts = json!({ "display_name": "Alice Liddell",
        "emails": ["alice@example.org", "a.liddell@example.org"] });
    admin.patch("/users/alice", &facts).expect(200);
    for name in ["bob", "carol", "dave"] {
        user(admin, name);
    }
    for group in ["staff", "admins", "empty"] {
        admin.post("/groups", &json!({ "name": group, "description": "some" })).expect(201);
    }
    for (group, member) in
        [("staff", "alice"), ("staff", "bob"), ("admins", "alice"), ("admins", "carol")]
    {
        let path = crate::wire::below_main(&format!("/groups/{group}/members/{member}"));
        let put = Request::new("PUT", path).bearer(&admin.key);
        assert_eq!(admin.raw(&put).status, 204);
    }
    admin.patch("/users/dave", &json!({ "status": "suspended" })).expect(200);
    service(admin, "mail", &json!({ "group": "staff" }));
    world
}

#[track_caller]
fn bound(world: &World, name: &str, password: &str) -> Client {
    let mut ldap = world.ldap();
    assert_eq!(ldap.bind(name, password), LdapResultCode::Success);
    ldap
}

/// An entry as text, one attribute a line.
fn shown(found: &Found) -> String {
    let mut lines = Vec::new();
    for entry in &found.entries {
        lines.push(format!("dn: {}", entry.dn));
        for attribute in &entry.attributes {
            for value in &attribute.vals {
                lines.push(format!("{}: {}", attribute.atype, String::from_utf8_lossy(value)));
            }
        }
    }
    lines.join("\n")
}

#[test]
fn a_person_sees_their_own_entry_and_nothing_else() {
    let world = populated();
    let token = world.pat();
    let mut ldap = bound(&world, &person("alice", "git"), &token.secret);
    for base in [BASE, "", &person("alice", "git"), &format!("ou=services,{BASE}")] {
        let found = ldap.search(base, "(objectClass=*)", &[]);
        assert_eq!(found.names(), [person("alice", "git")], "{base}");
    }
    insta::assert_snapshot!(shown(&ldap.search(BASE, "(uid=alice)", &["*", "+"])), @"
    dn: uid=alice,ou=git,ou=services,dc=counterfoil,dc=local
    objectClass: top
    objectClass: person
    objectClass: organizationalPerson
    objectClass: inetOrgPerson
    entryDN: uid=alice,ou=git,ou=services,dc=counterfoil,dc=local
    uid: alice
    cn: Alice Liddell
    sn: Liddell
    displayName: Alice Liddell
    mail: alice@example.org
    mail: a.liddell@example.org
    memberOf: cn=admins,ou=groups,ou=git,ou=services,dc=counterfoil,dc=local
    memberOf: cn=staff,ou=groups,ou=git,ou=services,dc=counterfoil,dc=local
    ");
    assert_eq!(ldap.search(BASE, "(uid=bob)", &[]).names(), [""; 0]);
    let other = ldap.search(&person("bob", "git"), "(objectClass=*)", &[]);
    assert_eq!((other.code, other.entries.len()), (LdapResultCode::NoSuchObject, 0));
    // Not any more once the token has ended.
    world.admin.post(&token.path("/revoke"), &json!({})).expect(200);
    let after = ldap.search(BASE, "(uid=alice)", &[]);
    assert_eq!((after.code, after.entries.len()), (LdapResultCode::InsufficentAccessRights, 0));
}

#[test]
fn a_client_sees_the_people_and_groups_of_its_services() {
    let world = populated();
    let (name, key) = world.ldap_client("mail-server", &["mail"]);
    let mut ldap = bound(&world, &name, &key);
    let people = ldap.search(BASE, "(objectClass=inetOrgPerson)", &["1.1"]);
    assert_eq!(people.names(), [person("alice", "mail"), person("bob", "mail")]);
    let groups = ldap.search(BASE, "(objectClass=groupOfNames)", &["cn", "member"]);
    insta::assert_snapshot!(shown(&groups), @"
    dn: cn=admins,ou=groups,ou=mail,ou=services,dc=counterfoil,dc=local
    cn: admins
    member: uid=alice,ou=mail,ou=services,dc=counterfoil,dc=local
    dn: cn=staff,ou=groups,ou=mail,ou=services,dc=counterfoil,dc=local
    cn: staff
    member: uid=alice,ou=mail,ou=services,dc=counterfoil,dc=local
    member: uid=bob,ou=mail,ou=services,dc=counterfoil,dc=local
    ");
    let mut of_bob = request(BASE, LdapSearchScope::Subtree, "(cn=*)", &["cn"]);
    of_bob.filter = LdapFilter::Equality("member".to_owned(), person("bob", "mail"));
    let found = ldap.ask(of_bob, Vec::new());
    assert_eq!(found.names(), [format!("cn=staff,ou=groups,ou=mail,ou=services,{BASE}")]);
    // Looked up by address, as mail servers do; carol may not use the service, dave nothing.
    let by_mail = ldap.search(BASE, "(|(uid=ALICE@example.org)(mail=ALICE@example.org))", &["uid"]);
    assert_eq!(by_mail.names(), [person("alice", "mail")]);
    for nobody in ["(uid=carol)", "(uid=dave)", "(userPassword=*)", "(nonsense=*)"] {
        assert_eq!(ldap.search(BASE, nobody, &[]).names(), [""; 0], "{nobody}");
    }
    // Another service's people are not there.
    let foreign = format!("ou=git,ou=services,{BASE}");
    assert_eq!(ldap.search(&foreign, "(objectClass=*)", &[]).code, LdapResultCode::NoSuchObject);
    // Without a group, everybody who counts may use a service.
    let (name, key) = world.ldap_client("git-server", &["git"]);
    let mut git = bound(&world, &name, &key);
    let people = git.search(BASE, "(uid=*)", &["1.1"]);
    assert_eq!(people.names(), ["alice", "bob", "carol"].map(|name| person(name, "git")));
    // A client that verifies nothing sees itself.
    let auditor = json!({ "name": "auditor", "roles": ["auditor"] });
    let key = crate::world::client(&world.admin, &auditor).key;
    let own = format!("cn=auditor,ou=clients,{BASE}");
    let mut auditor = bound(&world, &own, &key);
    assert_eq!(auditor.search(BASE, "(cn=*)", &[]).names(), [own.as_str()]);
    // And a client that was switched off sees nothing.
    world.admin.patch("/clients/git-server", &json!({ "enabled": false })).expect(200);
    let after = git.search(BASE, "(uid=*)", &[]);
    assert_eq!(after.code, LdapResultCode::InsufficentAccessRights);
}

#[test]
fn scopes_limits_and_comparisons_are_as_the_standard_says() {
    let world = populated();
    let (name, key) = world.ldap_client("mail-server", &["mail"]);
    let mut ldap = bound(&world, &name, &key);
    let service = format!("ou=mail,ou=services,{BASE}");
    let mut count = |base: &str, scope, filter: &str| {
        ldap.ask(request(base, scope, filter, &["1.1"]), Vec::new()).entries.len()
    };
    assert_eq!(count(&service, LdapSearchScope::Base, "(objectClass=*)"), 1);
    // alice, bob, and the place of the groups.
    assert_eq!(count(&service, LdapSearchScope::OneLevel, "(objectClass=*)"), 3);
    assert_eq!(count(&service, LdapSearchScope::Subtree, "(objectClass=*)"), 6);
    assert_eq!(count(&service, LdapSearchScope::Children, "(objectClass=*)"), 5);
    assert_eq!(count(&person("bob", "mail"), LdapSearchScope::Base, "(uid=bob)"), 1);
    assert_eq!(count(&person("bob", "mail"), LdapSearchScope::Base, "(uid=alice)"), 0);
    let mut few = request(BASE, LdapSearchScope::Subtree, "(uid=*)", &["uid"]);
    few.sizelimit = 1;
    let found = ldap.ask(few.clone(), Vec::new());
    assert_eq!((found.entries.len(), found.code), (1, LdapResultCode::SizeLimitExceeded));
    few.sizelimit = 2;
    assert_eq!(ldap.ask(few, Vec::new()).code, LdapResultCode::Success);
    let mut types = request(BASE, LdapSearchScope::Subtree, "(uid=bob)", &["uid"]);
    types.typesonly = true;
    let found = ldap.ask(types, Vec::new());
    assert!(found.entries[0].attributes[0].vals.is_empty());

    for (name, attribute, value, code) in [
        ("alice", "mail", "ALICE@example.org", LdapResultCode::CompareTrue),
        ("alice", "uid", "bob", LdapResultCode::CompareFalse),
        ("alice", "userPassword", "x", LdapResultCode::NoSuchAttribute),
        ("carol", "uid", "carol", LdapResultCode::NoSuchObject),
    ] {
        let asked = LdapCompareRequest {
            dn: person(name, "mail"),
            atype: attribute.to_owned(),
            val: value.as_bytes().to_vec(),
        };
        ldap.send(LdapOp::CompareRequest(asked), Vec::new());
        let LdapOp::CompareResult(result) = ldap.receive().unwrap().op else { panic!("no result") };
        assert_eq!(result.code, code, "{name} {attribute}");
    }
}

#[test]
fn pages_follow_each_other_without_gap_or_repetition() {
    let world = populated();
    for number in 0..25 {
        user(&world.admin, &format!("user-{number:02}"));
    }
    let (name, key) = world.ldap_client("git-server", &["git", "mail"]);
    let mut ldap = bound(&world, &name, &key);
    let all = ldap.search(BASE, "(objectClass=*)", &["1.1"]);
    assert_eq!(all.code, LdapResultCode::Success);
    // Seven places and the client itself, the people of both services, and their groups.
    assert_eq!(all.entries.len(), 7 + 28 + 2 + 2 + 2);
    for size in [1, 4, 7, 100] {
        let (mut names, mut cookie, mut pages) = (Vec::new(), Vec::new(), 0);
        loop {
            let control = LdapControl::SimplePagedResults { size, cookie };
            let asked = request(BASE, LdapSearchScope::Subtree, "(objectClass=*)", &["1.1"]);
            let found = ldap.ask(asked, vec![control]);
            assert_eq!(found.code, LdapResultCode::Success);
            names.extend(found.entries.iter().map(|entry| entry.dn.clone()));
            pages += 1;
            let [LdapControl::SimplePagedResults { cookie: next, .. }] = &found.controls[..] else {
                panic!("no control in the answer");
            };
            cookie = next.clone();
            if cookie.is_empty() {
                break;
            }
        }
        assert_eq!(names, all.names(), "{size}");
        assert!(pages <= names.len().div_ceil(usize::try_from(size).unwrap()) + 1);
    }
    let forged = LdapControl::SimplePagedResults { size: 5, cookie: b"made up".to_vec() };
    let asked = request(BASE, LdapSearchScope::Subtree, "(objectClass=*)", &["1.1"]);
    assert_eq!(ldap.ask(asked, vec![forged]).code, LdapResultCode::UnwillingToPerform);
}

#[test]
fn nobody_reads_the_root_dse_and_nothing_else() {
    let world = populated();
    let mut ldap = world.ldap();
    let root =
        |attributes: &[&str]| request("", LdapSearchScope::Base, "(objectClass=*)", attributes);
    let found = ldap.ask(root(&["+"]), Vec::new());
    insta::assert_snapshot!(shown(&found), @r"
    dn: 
    namingContexts: dc=counterfoil,dc=local
    supportedLDAPVersion: 3
    supportedExtension: 1.3.6.1.4.1.4203.1.11.3
    supportedControl: 1.2.840.113556.1.4.319
    supportedFeatures: 1.3.6.1.4.1.4203.1.5.1
    supportedFeatures: 1.3.6.1.4.1.4203.1.5.3
    vendorName: Counterfoil
    ");
    assert_eq!(shown(&ldap.ask(root(&[]), Vec::new())), "dn: \nobjectClass: top");
    for base in [BASE, "", &person("alice", "git")] {
        let found = ldap.search(base, "(objectClass=*)", &[]);
        assert_eq!((found.code, found.entries.len()), (LdapResultCode::InsufficentAccessRights, 0));
    }
    assert_eq!(ldap.extended("1.3.6.1.4.1.1466.20037").0, LdapResultCode::ProtocolError);
}

#[test]
fn a_critical_control_that_is_not_known_is_refused_and_another_is_not() {
    let world = populated();
    let token = world.pat();
    let mut ldap = bound(&world, &person("alice", "git"), &token.secret);
    let control = |criticality| {
        vec![LdapControl::Unknown { oid: "1.2.3.4".to_owned(), criticality, value: None }]
    };
    let asked = || request(BASE, LdapSearchScope::Subtree, "(uid=*)", &[]);
    assert_eq!(ldap.ask(asked(), control(false)).code, LdapResultCode::Success);
    let refused = ldap.ask(asked(), control(true));
    assert_eq!(refused.code, LdapResultCode::UnavailableCriticalExtension);
    let managed = LdapControl::ManageDsaIT { criticality: true };
    let refused = ldap.ask(asked(), vec![managed]);
    assert_eq!(refused.code, LdapResultCode::UnavailableCriticalExtension);
}

//! Who is bound, and who is not: the same answer to everything that is not good.

use ldap3_proto::proto::{LdapBindCred, LdapOp, LdapResultCode, SaslCredentials};
use serde_json::json;

use super::{BASE, person, service_token};
use crate::harness::{PATIENCE, await_true};
use crate::world::{UNTHROTTLED, World, pat, service, user};

#[test]
fn a_person_binds_with_a_token_for_the_service_and_is_told_who_they_are() {
    let world = World::new(UNTHROTTLED);
    let token = world.pat();
    let mut ldap = world.ldap();
    assert_eq!(ldap.who_am_i().0, LdapResultCode::InsufficentAccessRights);
    for name in [
        person("alice", "git"),
        format!("UID=Alice, OU=Git, OU=services, {BASE}"),
        person("\\61lice", "git"),
    ] {
        assert_eq!(ldap.bind(&name, &token.secret), LdapResultCode::Success, "{name}");
        let (code, who) = ldap.who_am_i();
        assert_eq!(
            (code, who),
            (LdapResultCode::Success, Some(format!("dn:{}", person("alice", "git"))))
        );
    }
    await_true("each bind is a use", PATIENCE, || world.usage_total(&token) == 3);
    // A failed bind leaves nobody bound.
    assert_eq!(ldap.bind(&person("alice", "git"), "wrong"), LdapResultCode::InvalidCredentials);
    assert_eq!(ldap.who_am_i().0, LdapResultCode::InsufficentAccessRights);
    // Typed forms are good without their dashes and in capitals.
    service(&world.admin, "mail", &json!({}));
    let typed = world.service_token("alice", "mail");
    for spelling in [typed.secret.clone(), typed.secret.replace('-', "").to_uppercase()] {
        assert_eq!(ldap.bind(&person("alice", "mail"), &spelling), LdapResultCode::Success);
    }
}

#[test]
fn check_27_a_token_binds_an_empty_password_never_does_and_another_persons_token_is_49() {
    for world in World::on_each_store(UNTHROTTLED) {
        user(&world.admin, "bob");
        let token = world.pat();
        let mut ldap = world.ldap();
        let alice = person("alice", "git");
        assert_eq!(ldap.bind(&alice, &token.secret), LdapResultCode::Success);
        // An unauthenticated bind (RFC 4513 section 5.1.2) must not look like one that succeeded.
        assert_ne!(ldap.bind(&alice, ""), LdapResultCode::Success);
        assert_eq!(ldap.who_am_i().0, LdapResultCode::InsufficentAccessRights);
        for (name, password) in [(person("bob", "git"), &*token.secret), (alice.clone(), "wrong")] {
            assert_eq!(ldap.bind(&name, password), LdapResultCode::InvalidCredentials);
        }
        world.admin.post(&token.path("/revoke"), &json!({})).expect(200);
        assert_eq!(ldap.bind(&alice, &token.secret), LdapResultCode::InvalidCredentials);
    }
}

#[test]
fn everything_that_is_not_good_is_answered_with_the_same_bytes() {
    let world = World::new(UNTHROTTLED);
    user(&world.admin, "bob");
    service(&world.admin, "wiki", &json!({}));
    let good = world.pat();
    let revoked = world.pat();
    world.admin.post(&revoked.path("/revoke"), &json!({})).expect(200);
    let disabled = world.pat();
    world.admin.post(&disabled.path("/disable"), &json!({})).expect(200);
    let short = pat(&world.admin, &json!({ "lifetime_seconds": 1 }));
    await_true("the token expires", PATIENCE, || {
        world.admin.get(&short.path("")).expect(200)["state"] == "expired"
    });
    let http_only = pat(&world.admin, &json!({ "doors": ["api", "forward-auth"] }));
    let elsewhere = pat(&world.admin, &json!({ "networks": ["192.0.2.0/24"] }));
    let (client, key) = world.ldap_client("gate", &["git"]);
    let (other, other_key) = world.ldap_client("other", &["git"]);
    let alice = person("alice", "git");
    let mut ldap = world.ldap();
    assert_eq!(ldap.bind(&alice, &good.secret), LdapResultCode::Success);
    assert_eq!(ldap.bind(&client, &key), LdapResultCode::Success);
    for (why, name, password) in [
        ("nonsense", &*alice, "nonsense"),
        ("a wrong letter", &*alice, &*good.secret.replacen('_', "x", 1)),
        ("somebody else's", &*person("bob", "git"), &*good.secret),
        ("nobody's", &*person("carol", "git"), &*good.secret),
        ("another service", &*person("alice", "wiki"), &*good.secret),
        ("no service", &*person("alice", "none"), &*good.secret),
        ("revoked", &*alice, &*revoked.secret),
        ("disabled", &*alice, &*disabled.secret),
        ("expired", &*alice, &*short.secret),
        ("not for this door", &*alice, &*http_only.secret),
        ("not from here", &*alice, &*elsewhere.secret),
        ("a client's key", &*alice, &*key),
        ("a token as a key", &*client, &*good.secret),
        ("another client's key", &*client, &*other_key),
        ("a key without a name", "", &*key),
        ("a name of nothing", BASE, &*good.secret),
        ("a name elsewhere", "uid=alice,dc=example,dc=org", &*good.secret),
        ("too long", &*alice, &*"x".repeat(5000)),
        ("the administrator's name", &*other, &*world.admin.key),
    ] {
        let result = ldap.bind_with(3, name, LdapBindCred::Simple(password.to_owned()));
        assert_eq!(result.code, LdapResultCode::InvalidCredentials, "{why}");
        assert_eq!((&*result.message, &*result.matcheddn), ("", ""), "{why}");
    }
    world.admin.patch("/users/alice", &json!({ "status": "suspended" })).expect(200);
    assert_eq!(ldap.bind(&alice, &good.secret), LdapResultCode::InvalidCredentials);
    assert_eq!(world.usage_total(&http_only), 0);
    // The reasons are in the events, which name the door.
    for reason in ["unknown", "wrong_user", "wrong_service", "wrong_door", "revoked", "expired"] {
        await_true(reason, PATIENCE, || {
            let events = world.admin.get("/events?limit=1000").expect(200);
            events["items"].as_array().unwrap().iter().any(|event| {
                event["kind"] == "verify.refused"
                    && event["door"] == "ldap"
                    && event["reason"] == reason
            })
        });
    }
    let metrics =
        world.admin.raw(&crate::wire::Request::new("GET", "/metrics").bearer(&world.admin.key));
    for line in [
        "counterfoil_ldap_operations_total{operation=\"bind\",result=\"invalidCredentials\"}",
        "counterfoil_ldap_operations_total{operation=\"bind\",result=\"success\"}",
        "counterfoil_verify_total{door=\"ldap\",outcome=\"wrong_service\"} 2",
        "counterfoil_ldap_connections 1",
    ] {
        assert!(metrics.text().contains(line), "{line}: {}", metrics.text());
    }
}

#[test]
fn binds_without_a_password_or_by_other_means_never_succeed() {
    let world = World::new(UNTHROTTLED);
    let token = world.pat();
    let alice = person("alice", "git");
    let mut ldap = world.ldap();
    let simple = |password: &str| LdapBindCred::Simple(password.to_owned());
    for (version, name, cred, code) in [
        (3, "", simple(""), LdapResultCode::InappropriateAuthentication),
        (3, &*alice, simple(""), LdapResultCode::UnwillingToPerform),
        (2, &*alice, simple(&token.secret), LdapResultCode::ProtocolError),
        (3, "alice", simple(&token.secret), LdapResultCode::InvalidDNSyntax),
    ] {
        assert_eq!(ldap.bind_with(version, name, cred).code, code, "{version} {name}");
        assert_eq!(ldap.who_am_i().0, LdapResultCode::InsufficentAccessRights);
    }
    for mechanism in ["PLAIN", "EXTERNAL", "ANONYMOUS"] {
        let credentials = format!("\0alice\0{}", token.secret).into_bytes();
        let sasl = SaslCredentials { mechanism: mechanism.to_owned(), credentials };
        let result = ldap.bind_with(3, &alice, LdapBindCred::SASL(sasl));
        assert_eq!(result.code, LdapResultCode::AuthMethodNotSupported, "{mechanism}");
    }
    assert_eq!(world.usage_total(&token), 0);
}

#[test]
fn a_template_names_people_as_a_site_does() {
    let template = "ldap.bind_templates = [\"spn={user},app={service},dc=example,dc=org\"]";
    let world = World::new(&format!("{UNTHROTTLED}\n{template}"));
    let token = world.pat();
    let mut ldap = world.ldap();
    let name = "spn=alice,app=git,dc=example,dc=org";
    assert_eq!(ldap.bind(name, &token.secret), LdapResultCode::Success);
    assert_eq!(ldap.who_am_i().1.as_deref(), Some(&*format!("dn:{name}")));
    let found = ldap.search(name, "(objectClass=*)", &["uid"]);
    assert_eq!(found.names(), [name]);
    let wrong = "spn=alice,app=wiki,dc=example,dc=org";
    assert_eq!(ldap.bind(wrong, &token.secret), LdapResultCode::InvalidCredentials);
    assert_eq!(ldap.bind(&person("alice", "git"), &token.secret), LdapResultCode::Success);
}

#[test]
fn a_limited_token_binds_as_often_as_it_may() {
    let world = World::new(UNTHROTTLED);
    let token = service_token(&world, "alice", "git", &json!({ "max_usages": 2 }));
    let mut ldap = world.ldap();
    let codes: Vec<i64> =
        (0..4).map(|_| ldap.bind(&person("alice", "git"), &token.secret) as i64).collect();
    assert_eq!(codes, [0, 0, 49, 49]);
}

#[test]
fn nothing_can_be_written() {
    use ldap3_proto::proto::{LdapAddRequest, LdapModifyDNRequest, LdapModifyRequest};
    let world = World::new(UNTHROTTLED);
    let (client, key) = world.ldap_client("gate", &["git"]);
    let mut ldap = world.ldap();
    assert_eq!(ldap.bind(&client, &key), LdapResultCode::Success);
    let dn = person("alice", "git");
    let writes = [
        LdapOp::ModifyRequest(LdapModifyRequest { dn: dn.clone(), changes: Vec::new() }),
        LdapOp::AddRequest(LdapAddRequest { dn: dn.clone(), attributes: Vec::new() }),
        LdapOp::DelRequest(dn.clone()),
        LdapOp::ModifyDNRequest(LdapModifyDNRequest {
            dn,
            newrdn: "uid=eve".to_owned(),
            deleteoldrdn: true,
            new_superior: None,
        }),
    ];
    for write in writes {
        ldap.send(write, Vec::new());
        let result = match ldap.receive().unwrap().op {
            LdapOp::ModifyResponse(result)
            | LdapOp::AddResponse(result)
            | LdapOp::DelResponse(result)
            | LdapOp::ModifyDNResponse(result) => result,
            other => panic!("no answer to a write: {other:?}"),
        };
        assert_eq!(result.code, LdapResultCode::UnwillingToPerform);
    }
    // Changing a password is an extended operation (RFC 3062), and not known.
    assert_eq!(ldap.extended("1.3.6.1.4.1.4203.1.11.1").0, LdapResultCode::ProtocolError);
}

#[test]
fn a_server_that_stops_says_so_to_its_connections() {
    let mut world = World::new(UNTHROTTLED);
    let token = world.pat();
    let mut ldap = world.ldap();
    assert_eq!(ldap.bind(&person("alice", "git"), &token.secret), LdapResultCode::Success);
    assert!(world.server.stop().success());
    // RFC 4511 section 4.4.1: the number 0, and why.
    let notice = ldap.receive().expect("a notice");
    let LdapOp::ExtendedResponse(said) = notice.op else { panic!("no notice: {notice:?}") };
    assert_eq!((notice.msgid, said.res.code), (0, LdapResultCode::Unavailable));
    assert!(ldap.receive().is_none());
}

//! Filters, paths and operations by themselves, as the standards and the providers write them.

use serde_json::{Map, Value, json};

use super::fault::Fault;
use super::matching::{self, Pin};
use super::project::Shown;
use super::schema::{ENTERPRISE, GROUPS, USERS};
use super::{patch, path, tag_of, values, version_of};

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(object) => object,
        other => panic!("{other}"),
    }
}

fn alice() -> Map<String, Value> {
    object(json!({
        "userName": "Alice", "active": true, "externalId": "Ext-7", "title": "Dr",
        "name": { "familyName": "O'Hara" },
        "emails": [
            { "value": "alice@example.com", "type": "work", "primary": true },
            { "value": "a@home.example", "type": "home" },
        ],
        "meta": { "lastModified": "2026-11-21T12:00:00Z" },
        ENTERPRISE: { "department": "Tea" },
    }))
}

fn finds(filter: &str) -> bool {
    matching::matches(&USERS, &path::filter(filter).unwrap(), &alice())
}

/// RFC 7644 section 3.4.2.2.
#[test]
fn a_filter_finds_what_it_says() {
    for yes in [
        "userName eq \"alice\"",
        "USERNAME Eq \"ALICE\"",
        "name.familyName co \"o'h\"",
        "userName sw \"al\" and userName ew \"ce\"",
        "urn:ietf:params:scim:schemas:core:2.0:User:userName sw \"A\"",
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department eq \"tea\"",
        "title pr",
        "emails pr",
        "nickName ne \"Al\"",
        "not (nickName pr)",
        "nickName eq null",
        "meta.lastModified gt \"2026-11-21T11:59:59.5Z\"",
        "meta.lastModified le \"2026-11-21T13:00:00+01:00\"",
        "active eq true",
        "active eq \"True\"",
        "active ne false",
        "emails co \"example.com\"",
        "emails.type eq \"home\"",
        "emails[type eq \"work\" and value co \"@example.com\"]",
        "emails[not (type eq \"work\")]",
        "emails[primary eq true]",
        "title eq \"x\" or (userName eq \"alice\" and (active eq true))",
        "title eq \"Dr\" and userName eq \"x\" or active eq true",
    ] {
        assert!(finds(yes), "{yes}");
    }
    for no in [
        "userName eq \"bob\"",
        // Case counts in what the provider calls somebody.
        "externalId eq \"ext-7\"",
        "nickName pr",
        "nickName eq \"Al\"",
        "unheardOf eq \"x\"",
        "unheardOf pr",
        "emails[type eq \"home\" and primary eq true]",
        "emails[unheardOf pr]",
        "emails ne \"a@home.example\"",
        "active gt true",
        "userName eq 7",
        "meta.lastModified lt \"2026-11-21T12:00:00Z\"",
        "title eq \"Dr\" and (userName eq \"x\" or active eq false)",
    ] {
        assert!(!finds(no), "{no}");
    }
}

#[test]
fn what_is_no_filter_is_said_to_be_none() {
    let deep = format!("{}title pr{}", "not (".repeat(100), ")".repeat(100));
    let long = format!("title eq \"{}\"", "x".repeat(9000));
    let wide = vec!["a pr"; 2000].join(" or ");
    for bad in [
        "userName",
        "userName eq",
        "eq \"x\"",
        "userName is \"x\"",
        "(userName pr",
        "userName pr)",
        "userName eq \"x",
        "userName eq x",
        "emails[type eq \"work\"",
        "a pr and",
        "",
        "\0",
        "not userName pr",
        "emails[emails[type pr]]",
        &deep,
        &long,
        &wide,
    ] {
        let fault = path::filter(bad).unwrap_err();
        assert_eq!((fault.status.as_u16(), fault.sort), (400, Some("invalidFilter")), "{bad}");
    }
}

#[test]
fn who_is_named_is_not_searched_for() {
    let pin = |resources, text: &str| matching::pin(resources, &path::filter(text).unwrap());
    let user = |text| pin(&USERS, text);
    assert_eq!(user("userName eq \"a\""), Some(Pin::Name("a".into())));
    assert_eq!(user("active eq true and externalId eq \"a\""), Some(Pin::ExternalId("a".into())));
    assert_eq!(user("userName eq \"a\" or title pr"), None);
    assert_eq!(user("not (userName eq \"a\")"), None);
    assert_eq!(user("userName ne \"a\""), None);
    assert_eq!(user("displayName eq \"a\""), None, "people may share what they are called");
    let group = |text| pin(&GROUPS, text);
    assert_eq!(group("displayName eq \"a\""), Some(Pin::Name("a".into())));
    assert_eq!(group("members eq \"7\" and id eq \"8\""), Some(Pin::Id("8".into())));
    assert_eq!(group("members[value eq \"7\"]"), Some(Pin::Link("7".into())));
}

/// Applies the operations to somebody.
fn patched(operations: &Value) -> Result<Map<String, Value>, Fault> {
    let mut resource = alice();
    let body = object(json!({ "Operations": operations }));
    for step in patch::steps(&USERS, &body)? {
        patch::apply(&mut resource, &step)?;
    }
    Ok(resource)
}

#[track_caller]
fn changes(operation: &Value, path: &str, wanted: &Value) {
    let resource = Value::Object(patched(&json!([operation])).unwrap());
    assert_eq!(resource.pointer(path).unwrap_or(&Value::Null), wanted, "{operation}");
}

#[test]
fn operations_do_what_the_standard_says() {
    changes(&json!({ "op": "add", "path": "nickName", "value": "Al" }), "/nickName", &json!("Al"));
    changes(
        &json!({ "op": "replace", "path": "title", "value": "Prof" }),
        "/title",
        &json!("Prof"),
    );
    changes(&json!({ "op": "remove", "path": "title" }), "/title", &Value::Null);
    let named = json!({ "op": "replace", "value": { "name": { "givenName": "Al" } } });
    changes(&named, "/name", &json!({ "familyName": "O'Hara", "givenName": "Al" }));
    changes(&json!({ "op": "remove", "path": "name.familyName" }), "/name", &Value::Null);
    let home = json!({ "value": "a@home.example", "type": "home" });
    changes(
        &json!({ "op": "remove", "path": "emails[type eq \"work\"]" }),
        "/emails",
        &json!([home]),
    );
    changes(&json!({ "op": "remove", "path": "emails" }), "/emails", &Value::Null);
    let more = json!([{ "value": "b@example.com", "primary": true }]);
    let added = json!({ "op": "add", "path": "emails", "value": more });
    changes(&added, "/emails/2", &more[0]);
    changes(&added, "/emails/0/primary", &json!(false));
    // The same again is no second one.
    let again = json!({ "op": "add", "path": "emails", "value": [home] });
    changes(&again, "/emails/2", &Value::Null);
    changes(&json!({ "op": "replace", "path": "emails", "value": more }), "/emails", &more);
    let path = "emails[type eq \"home\"].primary";
    changes(
        &json!({ "op": "replace", "path": path, "value": true }),
        "/emails/0/primary",
        &json!(false),
    );
    let path = format!("{ENTERPRISE}:department");
    let pointer = format!("/{}/department", ENTERPRISE.replace('~', "~0"));
    changes(&json!({ "op": "replace", "path": path, "value": "Hats" }), &pointer, &json!("Hats"));
    changes(
        &json!({ "op": "remove", "path": ENTERPRISE }),
        &format!("/{ENTERPRISE}"),
        &Value::Null,
    );
}

#[test]
fn operations_are_read_as_entra_and_okta_write_them() {
    let entra = json!({ "op": "Replace", "path": "active", "value": "False" });
    changes(&entra, "/active", &json!(false));
    let whole = json!({ "op": "Replace", "value": { "active": "False", "name.givenName": "Al" } });
    changes(&whole, "/active", &json!(false));
    changes(&whole, "/name/givenName", &json!("Al"));
    let path = "emails[type eq \"other\"].value";
    let added = json!({ "op": "Add", "path": path, "value": "o@example.com" });
    changes(&added, "/emails/2", &json!({ "type": "other", "value": "o@example.com" }));
    let manager = json!({ "op": "Add", "path": format!("{ENTERPRISE}:manager"), "value": "boss" });
    changes(&manager, &format!("/{ENTERPRISE}/manager"), &json!({ "value": "boss" }));
    let keyed = json!({ "op": "add", "value": { format!("{ENTERPRISE}:costCenter"): "7" } });
    changes(&keyed, &format!("/{ENTERPRISE}/costCenter"), &json!("7"));
    let beside =
        json!({ "op": "Remove", "path": "emails", "value": [{ "value": "a@home.example" }] });
    changes(&beside, "/emails/1", &Value::Null);
    // Okta repeats the id, and what nobody keeps does no harm.
    let okta = json!({ "op": "replace", "value": { "id": "7", "active": false, "x509": "y" } });
    changes(&okta, "/active", &json!(false));
    changes(
        &json!({ "OP": "REPLACE", "Path": "ACTIVE", "Value": false }),
        "/active",
        &json!(false),
    );
}

#[test]
fn operations_that_cannot_be_done_say_why() {
    let bad = [
        (json!({ "op": "move", "path": "title", "value": "x" }), "invalidSyntax"),
        (json!({ "op": "remove" }), "noTarget"),
        (
            json!({ "op": "replace", "path": "emails[type eq \"x\"].value", "value": "y" }),
            "noTarget",
        ),
        (json!({ "op": "replace", "path": "emails[", "value": "y" }), "invalidPath"),
        (json!({ "op": "replace", "path": "title[a eq \"b\"]", "value": "y" }), "invalidPath"),
        (json!({ "op": "replace", "path": "id", "value": "y" }), "mutability"),
        (json!({ "op": "add", "path": "groups", "value": [{ "value": "y" }] }), "mutability"),
        (json!({ "op": "replace", "path": "active", "value": "perhaps" }), "invalidValue"),
        (json!({ "op": "replace", "path": "title", "value": 7 }), "invalidValue"),
        (json!({ "op": "replace", "path": "title", "value": "a\u{0}b" }), "invalidValue"),
        (json!({ "op": "add", "value": "x" }), "invalidValue"),
        (json!({ "op": "add", "path": "title" }), "invalidValue"),
    ];
    for (operation, sort) in bad {
        let fault = patched(&json!([operation])).unwrap_err();
        assert_eq!((fault.status.as_u16(), fault.sort), (400, Some(sort)), "{operation}");
    }
    for body in [json!({}), json!({ "Operations": [] }), json!({ "Operations": [7] })] {
        assert_eq!(patch::steps(&USERS, &object(body)).unwrap_err().sort, Some("invalidSyntax"));
    }
}

/// A change is work whether it has an operation of its own, is one name among many in another one,
/// or leads nowhere.
#[test]
fn a_request_holds_so_many_changes_however_they_are_put() {
    let names = |count: usize| {
        let said = (0..count).map(|number| (format!("x{number}"), json!("y")));
        json!([{ "op": "add", "value": said.collect::<Map<String, Value>>() }])
    };
    let operations = |count: usize| {
        Value::from(vec![json!({ "op": "replace", "path": "displayName", "value": "y" }); count])
    };
    let nothing = |count: usize| Value::from(vec![json!({ "op": "add", "value": {} }); count]);
    let department = format!("{ENTERPRISE}:department");
    let mixed = |count: usize| {
        let half = vec![json!({ "op": "add", "value": { &department: "y" } }); count / 2];
        let other = vec![json!({ "op": "add", "path": "x", "value": "y" }); count - count / 2];
        Value::from([half, other].concat())
    };
    for (resources, most) in [(&USERS, 1_000), (&GROUPS, 10_000)] {
        let read = |operations: Value| {
            patch::steps(resources, &object(json!({ "Operations": operations })))
        };
        for fits in [names(most), operations(most), nothing(most), mixed(most)] {
            assert!(read(fits).is_ok(), "{}", resources.name);
        }
        for over in [names(most + 1), operations(most + 1), nothing(most + 1), mixed(most + 1)] {
            assert_eq!(read(over).unwrap_err().sort, Some("tooMany"), "{}", resources.name);
        }
    }
}

/// An attribute does not grow from one operation to the next beyond what one could say of it.
#[test]
fn values_are_counted_after_each_operation() {
    let ninety = |from: usize| {
        let each = (from..from + 90).map(|number| json!({ "value": format!("{number}@b") }));
        json!({ "op": "add", "path": "emails", "value": each.collect::<Vec<Value>>() })
    };
    assert!(patched(&json!([ninety(0), ninety(0)])).is_ok(), "the same again is none more");
    let fault = patched(&json!([ninety(0), ninety(90)])).unwrap_err();
    assert_eq!(fault.sort, Some("invalidValue"));
    let less = json!({ "op": "remove", "path": "emails" });
    assert!(patched(&json!([ninety(0), less, ninety(90)])).is_ok());
}

#[test]
fn bodies_are_read_by_the_table() {
    let said = object(json!({
        "SCHEMAS": [], "username": "a", "Active": "true", "password": "secret", "id": "7",
        "emails": { "value": "a@b", "password": "secret" }, "groups": [{ "value": "7" }],
        "name": {}, "nickName": null,
        ENTERPRISE.to_uppercase(): { "Department": "Tea" },
    }));
    let read = values::resource(&USERS, &said).unwrap();
    let wanted = object(json!({
        "userName": "a", "active": true, "emails": [{ "value": "a@b" }],
        ENTERPRISE: { "department": "Tea" },
    }));
    assert_eq!(read, wanted);
    let long = json!({ "title": "x".repeat(1025) });
    assert_eq!(values::resource(&USERS, &object(long)).unwrap_err().sort, Some("invalidValue"));
    let many = json!({ "emails": vec![json!({ "value": "a@b" }); 101] });
    assert_eq!(values::resource(&USERS, &object(many)).unwrap_err().sort, Some("invalidValue"));
}

#[test]
fn only_what_is_asked_for_is_shown() {
    let mut whole = alice();
    whole.insert("id".into(), "7".into());
    let only = |names: &[&str]| {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        Value::Object(Shown::read(names, Vec::new()).unwrap().cut(&USERS, whole.clone()))
    };
    assert_eq!(only(&["title"]), json!({ "id": "7", "title": "Dr" }));
    let emails = json!({ "id": "7", "emails": [
        { "value": "alice@example.com" }, { "value": "a@home.example" }
    ] });
    assert_eq!(only(&["EMAILS.value"]), emails);
    assert_eq!(only(&["emails", "emails.value"])["emails"], whole["emails"]);
    let path = format!("{ENTERPRISE}:department");
    assert_eq!(
        only(&[&path, "nothing"]),
        json!({ "id": "7", ENTERPRISE: { "department": "Tea" } })
    );
    let names = ["id", "emails.type", "name", ENTERPRISE, "meta"].map(str::to_owned);
    let rest = Shown::read(Vec::new(), names.into()).unwrap().cut(&USERS, whole.clone());
    assert_eq!(
        rest.keys().collect::<Vec<_>>(),
        ["active", "emails", "externalId", "id", "title", "userName"]
    );
    assert_eq!(rest["emails"][1], json!({ "value": "a@home.example" }));
    assert!(Shown::read(vec!["a".into()], vec!["b".into()]).is_err());
}

#[test]
fn a_version_is_read_as_it_is_written_and_strong() {
    assert_eq!(version_of(&tag_of(7)), Some(7));
    assert_eq!(version_of("\"7\""), Some(7));
    for bad in ["7", "W/7", "w/\"7\"", "\"07\"", "\"+7\"", "\"\"", "*", ""] {
        assert_eq!(version_of(bad), None, "{bad}");
    }
}

//! What is read of a record and what is refused.

use super::*;
use serde_json::json;

#[test]
fn a_record_is_read_by_the_names_of_the_protocol_and_of_a_database() {
    let protocol = json!({"id": "7", "user": "alice", "hash": "sha256:00", "enabled": true,
        "validTo": "2027-01-01T00:00:00Z", "maxUsages": 3, "services": ["wiki"],
        "scopes": ["read"], "networks": ["10.0.0.0/8"]});
    let row = json!({"id": 7, "user": "alice", "hash": "sha256:00", "enabled": 1,
        "valid_to": 1_798_761_600, "max_usages": 3, "services": "wiki", "scopes": "read",
        "networks": "10.0.0.0/8", "validfrom": null});
    for value in [protocol, row] {
        let record = VerifyRecord::read(&value).unwrap();
        assert_eq!((record.id.as_str(), record.user.as_deref()), ("7", Some("alice")));
        assert_eq!(record.valid_to, Some(Timestamp::from_seconds(1_798_761_600)));
        assert_eq!(record.max_usages, Some(3));
        assert_eq!(record.services.unwrap().labels(), ["wiki"]);
        assert!(record.enabled && !record.revoked && record.valid_from.is_none());
        assert_eq!((record.scopes.len(), record.networks.len()), (1, 1));
    }
}

#[test]
fn a_field_that_makes_no_sense_makes_the_record_no_answer() {
    for (field, value) in [
        ("id", json!("")),
        ("id", json!("a\u{0}b")),
        ("user", json!(7)),
        ("enabled", json!("yes")),
        ("validTo", json!("2027-01-01")),
        ("validTo", json!("2027-01-01 00:00:00")),
        ("maxUsages", json!(-1)),
        ("services", json!(["no label"])),
        ("networks", json!(["10.0.0.0/99"])),
        ("permissions", json!({"a": "read"})),
    ] {
        let mut record = json!({"id": "7", "user": "alice"});
        record[field] = value.clone();
        let bad = VerifyRecord::read(&record).map(drop).unwrap_err();
        assert_eq!(bad.0, field, "{value}");
    }
    assert!(VerifyRecord::read(&json!([])).is_err());
}

#[test]
fn a_token_shows_its_attributes_and_never_its_hash() {
    let row = json!({"id": "7", "user": "alice", "hash": "sha256:00", "serial_id": "A-17",
        "generic_data_element3": "phone", "password": "hunter2", "version": 4, "max_usages": 5});
    let token = ForeignToken::read(&row).unwrap();
    let names: Vec<&str> = token.attributes.keys().map(String::as_str).collect();
    assert_eq!(names, ["genericDataElement3", "maxUsages", "serialId"]);
    assert_eq!(token.attributes["maxUsages"], json!(5), "who writes it back lifts no limit");
    assert_eq!(token.version.as_deref(), Some("4"));
}

#[test]
fn a_descriptor_of_another_version_is_none() {
    let of = |protocol: &str| {
        Descriptor::read(&json!({"protocol": protocol, "capabilities": ["LOOKUP"]}))
    };
    assert!(of(PROTOCOL).unwrap().capabilities.contains(Capability::Lookup));
    assert_eq!(of("counterfoil-repo/2"), Err(BadRecord("protocol")));
}

#[test]
fn the_id_here_is_made_from_the_place_and_the_name_there() {
    let (main, other) = (RealmName::parse("main").unwrap(), RealmName::parse("other").unwrap());
    let id = ForeignId::parse("7").unwrap();
    assert_eq!(id.token_id(&main, "a"), id.token_id(&main, "a"));
    assert_ne!(id.token_id(&main, "a"), id.token_id(&main, "b"));
    assert_ne!(id.token_id(&main, "a"), id.token_id(&other, "a"));
}

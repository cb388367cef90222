//! A real export, and tokens that have no counterpart here.

use counterfoil_authority::authority::{Incoming, IncomingToken};
use serde_json::json;

use super::*;

const EXPORT: &str = include_str!("../../../tests/fixtures/privacyidea/tokens.pi");
const KEY: &str = include_str!("../../../tests/fixtures/privacyidea/key");

fn options() -> Options {
    Options {
        system: "privacyidea",
        realm: "main".into(),
        zone: "UTC".into(),
        service: Some(ServiceLabel::parse("vpn").unwrap()),
        owner: None,
        existing_people: false,
        plain: false,
    }
}

const READING: Reading<'_> =
    Reading { key: None, password: None, owners: None, from_realm: None, drop_pins: false };

fn tokens(read: &Read) -> Vec<&IncomingToken> {
    read.items
        .iter()
        .filter_map(|item| match &item.incoming {
            Incoming::Token(token) => Some(token),
            _ => None,
        })
        .collect()
}

#[test]
fn a_real_export_is_opened_and_every_token_is_taken_or_told() {
    let reading = Reading { key: Some(KEY), ..READING };
    let read = map(EXPORT, "tokens.pi", reading, &options()).unwrap();
    let taken: Vec<(&str, &str, &str)> = tokens(&read)
        .iter()
        .map(|token| (&*token.row, token.user.as_str(), token.service.as_str()))
        .collect();
    assert_eq!(
        taken,
        [
            ("privacyidea OATH0001", "ann", "vpn"),
            ("privacyidea TOTP0001", "bob", "vpn"),
            ("privacyidea PW0001", "bob", "vpn"),
            ("privacyidea ASPW0001", "ann", "imap"),
            ("privacyidea REG0001", "ann", "vpn"),
        ]
    );
    let why: Vec<&str> = read.skipped.iter().map(|note| &*note.why).collect();
    assert_eq!(
        why,
        [
            "PISP0001: nothing here is like a token of the type spass",
            "OATH0002: belongs to nobody; hardware in stock is taken over with `counterfoil \
             token import`",
        ]
    );
    let [hotp, totp, pw, _, registration] = tokens(&read)[..] else { panic!() };
    let IncomingSecret::Codes(draft) = &hotp.secret else { panic!() };
    assert_eq!((draft.counter, draft.shape.digits), (5, 6));
    assert_eq!(draft.seed.as_ref().unwrap().bytes(), b"12345678901234567890");
    assert_eq!(hotp.facts.name.as_deref(), Some("Ann's key fob"));
    let IncomingSecret::Codes(draft) = &totp.secret else { panic!() };
    let shape = Shape { algorithm: Algorithm::Sha256, digits: 8, step_seconds: 60 };
    assert_eq!((draft.counter, draft.shape), (0, shape));
    assert_eq!(totp.facts.expires_at.unwrap().to_string(), "2030-01-31T11:00:00Z");
    assert!(pw.facts.disabled && pw.facts.max_usages.is_none());
    assert_eq!(registration.facts.max_usages, Some(1));
    assert_eq!(hotp.facts.labels["privacyidea-realm"], "r1");
}

#[test]
fn another_key_or_a_changed_file_opens_nothing() {
    let mut changed = EXPORT.to_owned();
    changed.replace_range(200..201, if &EXPORT[200..201] == "A" { "B" } else { "A" });
    let other = data_encoding::BASE64URL.encode(&[7; 32]);
    for (text, key) in [(EXPORT, &*other), (EXPORT, "short"), (&changed, KEY), ("", KEY)] {
        let reading = Reading { key: Some(key), ..READING };
        assert!(map(text, "tokens.pi", reading, &options()).is_err());
    }
    let closed = map(EXPORT, "tokens.pi", READING, &options()).unwrap_err();
    assert!(closed.contains("--key-file"), "{closed}");
}

#[test]
fn what_has_no_counterpart_is_told_or_refused() {
    let one = json!({ "serial": "T1", "type": "pw", "otpkey": "a fixed password",
        "user": { "login": "ann", "realm": "r1" }, "active": true });
    let with = |field: &str, value: Value| {
        let mut token = one.clone();
        token[field] = value;
        json!([token]).to_string()
    };
    for (field, value, why) in [
        ("revoked", json!(true), "T1: was revoked"),
        ("rollout_state", json!("clientwait"), "T1: was never enrolled to its end"),
        ("_hashed_pin", json!("$argon2id$x"), "T1: asks for a PIN in front"),
        ("type", json!("push"), "T1: nothing here is like a token of the type push"),
        ("otpkey", json!(""), "T1: has no password"),
        ("user", json!(null), "T1: belongs to nobody"),
        ("type", json!("hotp"), "T1: its seed is not in hexadecimal"),
        ("info_list", json!({ "validity_period_end": "soon" }), "T1: validity_period_end: is no"),
        ("serial", json!(null), ": has no serial"),
    ] {
        let read = map(&with(field, value), "t.json", READING, &options()).unwrap();
        assert!(read.skipped[0].why.starts_with(why), "{:?}", read.skipped);
        assert!(!read.skipped[0].why.contains("fixed"), "{:?}", read.skipped);
    }
    let reading = Reading { drop_pins: true, ..READING };
    let pins = with("_hashed_pin", json!("$argon2id$x"));
    let read = map(&pins, "t.json", reading, &options()).unwrap();
    assert_eq!(read.remarks[0].why, "T1: is good without its PIN from now on");
    let limited = json!({ "count_auth_success_max": "5", "count_auth_success": "3" });
    let read = map(&with("info_list", limited), "t.json", READING, &options()).unwrap();
    assert_eq!(tokens(&read)[0].facts.max_usages, Some(2));
    let mut other = one.clone();
    other["user"]["realm"] = "r2".into();
    other["serial"] = "T2".into();
    let both = json!([one, other]).to_string();
    let refused = map(&both, "t.json", READING, &options()).unwrap_err();
    assert!(refused.contains("(r1, r2); say --from-realm"), "{refused}");
    let reading = Reading { from_realm: Some("r2"), ..READING };
    let read = map(&both, "t.json", reading, &options()).unwrap();
    assert_eq!((tokens(&read).len(), &*tokens(&read)[0].row), (1, "privacyidea T2"));
}

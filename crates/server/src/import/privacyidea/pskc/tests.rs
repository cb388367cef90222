//! A real export, and containers of others.

use counterfoil_authority::authority::{Incoming, IncomingToken};
use counterfoil_authority::names::{ServiceLabel, Username};
use counterfoil_authority::otp::{Algorithm, Shape};

use super::super::{Owners, map, owners};
use super::*;
use crate::seeds::{FIGURE_7_PASSWORD, figure_7};

const EXPORT: &str = include_str!("../../../../tests/fixtures/privacyidea/tokens.pskc");
const KEY: &str = include_str!("../../../../tests/fixtures/privacyidea/pskc-key");
const OWNERS: &str = include_str!("../../../../tests/fixtures/privacyidea/owners.json");
const JSON: &str = include_str!("../../../../tests/fixtures/privacyidea/tokens.pi");
const JSON_KEY: &str = include_str!("../../../../tests/fixtures/privacyidea/key");
/// The seed of every token, `12345678901234567890`, in base64.
const SEED: &str = "MTIzNDU2Nzg5MDEyMzQ1Njc4OTA=";

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

fn reading<'a>(owners: &'a Owners, key: Option<&'a str>) -> Reading<'a> {
    Reading { key, password: None, owners: Some(owners), from_realm: None, drop_pins: true }
}

fn tokens(read: &Read) -> Vec<&IncomingToken> {
    let each = read.items.iter().filter_map(|item| match &item.incoming {
        Incoming::Token(token) => Some(token),
        _ => None,
    });
    each.collect()
}

fn whys(read: &Read) -> Vec<&str> {
    read.skipped.iter().map(|note| &*note.why).collect()
}

#[test]
fn a_real_export_is_opened_and_its_tokens_are_those_of_the_other_format() {
    let (owners, nobody) = (owners(OWNERS, "owners.json").unwrap(), Owners::new());
    let read = map(EXPORT, "t.pskc", reading(&owners, Some(KEY)), &options()).unwrap();
    let stock = "OATH0002: belongs to nobody; hardware in stock is taken over with \
        `counterfoil token import`";
    assert_eq!(whys(&read), [stock]);
    let mut taken = tokens(&read);
    taken.sort_by_key(|token| token.row.clone());
    let [hotp, password, totp] = taken[..] else { panic!("{taken:?}") };
    let IncomingSecret::Codes(draft) = &hotp.secret else { panic!() };
    assert_eq!((draft.counter, draft.shape), (5, Shape::default()));
    assert_eq!(draft.seed.as_ref().unwrap().bytes(), b"12345678901234567890");
    assert_eq!((hotp.user.as_str(), hotp.facts.name.as_deref()), ("ann", Some("Ann's key fob")));
    let IncomingSecret::Codes(draft) = &totp.secret else { panic!() };
    let shape = Shape { algorithm: Algorithm::Sha256, digits: 8, step_seconds: 60 };
    assert_eq!((draft.counter, draft.shape), (0, shape));
    let IncomingSecret::Clear(clear) = &password.secret else { panic!() };
    assert_eq!((clear.reveal(), password.user.as_str()), ("a fixed password", "bob"));
    // Whichever is taken over first, the other changes nothing.
    let json = map(JSON, "t.pi", reading(&nobody, Some(JSON_KEY)), &options()).unwrap();
    for token in taken {
        let same = tokens(&json).into_iter().find(|other| other.id == token.id).unwrap();
        assert_eq!((&same.row, &same.user), (&token.row, &token.user));
    }
    let remarks: Vec<&str> = read.remarks.iter().map(|note| &*note.why).collect();
    assert!(remarks[0].starts_with("a PSKC file does not say which tokens were revoked"));
    assert_eq!(remarks.iter().filter(|why| why.ends_with("without a PIN from now on")).count(), 3);
}

#[test]
fn what_does_not_open_or_choose_anything_is_refused_as_a_whole() {
    let owners = Owners::new();
    let good = reading(&owners, Some(KEY));
    let other = "00".repeat(16);
    for (reading, why) in [
        (reading(&owners, None), "is encrypted under a key; give it"),
        (reading(&owners, Some(JSON_KEY)), "is not in hexadecimal digits"),
        (reading(&owners, Some(&other)), "does not open: the key is wrong"),
        (Reading { from_realm: Some("r1"), ..good }, "--from-realm chooses nothing"),
        (Reading { key: None, password: Some("x"), ..good }, "is encrypted under a key; give it"),
    ] {
        let said = map(EXPORT, "t.pskc", reading, &options()).unwrap_err();
        assert!(said.starts_with("t.pskc: ") && said.contains(why), "{said}");
    }
    let password = Reading { key: None, password: Some("x"), ..good };
    let said = map(JSON, "t.pi", password, &options()).unwrap_err();
    assert!(said.contains("no PSKC file"), "{said}");
    let changed = EXPORT.replacen("<valuemac>", "<valuemac>AAAA", 1);
    let read = map(&changed, "t.pskc", good, &options()).unwrap();
    assert!(whys(&read).iter().any(|why| why.contains("a MAC does not come out")), "{read:?}");
    let empty = "<KeyContainer Version=\"1.0\" xmlns=\"urn:ietf:params:xml:ns:keyprov:pskc\"/>";
    assert!(map(empty, "t.pskc", reading(&owners, None), &options()).is_err());
}

fn container(algorithm: &str, between: &str, more: &str) -> String {
    format!(
        "<?xml version=\"1.0\"?>\n<KeyContainer Version=\"1.0\" \
         xmlns=\"urn:ietf:params:xml:ns:keyprov:pskc\">\n<KeyPackage><DeviceInfo>\
         <Manufacturer>From the shop</Manufacturer><SerialNo>S1</SerialNo></DeviceInfo>\
         <Key Id=\"S1\" Algorithm=\"urn:ietf:params:xml:ns:keyprov:pskc:{algorithm}\">{between}\
         <Data><Secret><PlainValue>{SEED}</PlainValue></Secret>{more}</Data></Key></KeyPackage>\n\
         </KeyContainer>"
    )
}

#[test]
fn a_container_in_clear_may_say_whose_a_token_is_and_a_password_may_close_one() {
    let nobody = Owners::new();
    let between = "<FriendlyName>My fob</FriendlyName><UserId>UID=kim,DC=example</UserId>";
    let drift = "<TimeInterval><PlainValue>30</PlainValue></TimeInterval>\
        <TimeDrift><PlainValue>-12.5</PlainValue></TimeDrift>";
    let text = container("totp", between, drift);
    let read = map(&text, "t.xml", reading(&nobody, None), &options()).unwrap();
    let token = tokens(&read)[0];
    assert_eq!((token.user.as_str(), token.facts.name.as_deref()), ("kim", Some("My fob")));
    assert_eq!(token.facts.labels["privacyidea-serial"], "S1");
    assert!(read.remarks.iter().any(|note| note.why.starts_with("S1: how far its clock is off")));
    // Who is named there comes before those that the command names.
    let table: Owners = [("S1".to_owned(), Username::parse("lee").unwrap())].into();
    let named = Options { owner: Username::parse("max").ok(), ..options() };
    for (text, owners, options, whose) in [
        (&text, &table, &named, "kim"),
        (&container("hotp", "", ""), &table, &named, "lee"),
        (&container("hotp", "", ""), &nobody, &named, "max"),
    ] {
        let read = map(text, "t.xml", reading(owners, None), options).unwrap();
        assert_eq!(tokens(&read)[0].user.as_str(), whose);
    }
    let closed = Reading { password: Some(FIGURE_7_PASSWORD), ..reading(&nobody, None) };
    let read = map(&figure_7(), "t.xml", closed, &named).unwrap();
    let IncomingSecret::Codes(codes) = &tokens(&read)[0].secret else { panic!() };
    assert_eq!(codes.seed.as_ref().unwrap().bytes(), b"12345678901234567890");
}

#[test]
fn a_token_that_cannot_be_taken_over_is_told_with_its_place() {
    let nobody = Owners::new();
    let owned = Options { owner: Username::parse("max").ok(), ..options() };
    let digits = "<AlgorithmParameters><ResponseFormat Length=\"12\" Encoding=\"DECIMAL\"/>\
        </AlgorithmParameters>";
    let pins = Reading { drop_pins: false, ..reading(&nobody, None) };
    for (text, reading, options, why) in [
        (container("hotp", "", ""), pins, &owned, "S1: may ask for a PIN in front"),
        (container("hotp", "", ""), reading(&nobody, None), &options(), "S1: belongs to nobody"),
        (container("ocra", "", ""), reading(&nobody, None), &owned, "the algorithm `urn:"),
        (container("hotp", digits, ""), reading(&nobody, None), &owned, "S1: a code has 6 to 8"),
        (
            container("hotp", "<UserId>OU=x</UserId>", ""),
            reading(&nobody, None),
            &owned,
            "UserId: names a person neither",
        ),
    ] {
        let read = map(&text, "t.xml", reading, options).unwrap();
        assert!(tokens(&read).is_empty() && whys(&read)[0].starts_with(why), "{:?}", whys(&read));
        assert_eq!(read.skipped[0].place.to_string(), "t.xml:3");
    }
}

#[test]
fn a_table_of_owners_names_one_for_each_serial() {
    let read = owners("\u{feff}user,Serial,type\nAnn, A1 ,hotp\n,A2,hotp\n", "o.csv").unwrap();
    assert_eq!(read, [("A1".to_owned(), Username::parse("ann").unwrap())].into());
    let json = "{\"serial\":\"A1\",\"user\":{\"username\":\"Ann\"}}\n\n{\"serial\":\"A2\"}\n";
    assert_eq!(owners(json, "o.json").unwrap(), read);
    let said = owners(&format!("{json}{json}"), "o.csv").unwrap_err();
    assert_eq!(said, "o.csv:4: another line names this serial");
    for (text, why) in [
        ("{\n", "o.csv:1: is no JSON object"),
        ("{\"user\":{\"username\":\"ann\"}}", "o.csv:1: has no serial"),
        ("", "o.csv:1: has no columns serial and user"),
        ("serial,owner\na,b\n", "o.csv:1: has no columns serial and user"),
        ("serial,user\nA1,ann\nA1,bob\n", "o.csv:3: another line names this serial"),
        ("serial,user\nA1,a:b\n", "o.csv:2: a user name is"),
        ("serial,user\n,ann\n", "o.csv:2: has no serial"),
        ("serial,user\nA1\n", "o.csv:2: is no line of a table"),
    ] {
        let said = owners(text, "o.csv").unwrap_err();
        assert!(said.starts_with(why), "{said}");
    }
}

//! Tables as people write them, and what is wrong with some of them.

use counterfoil_authority::authority::{Incoming, IncomingToken};
use counterfoil_authority::names::ServiceLabel;
use proptest::prelude::*;

use super::*;

fn options() -> Options {
    Options {
        system: "csv",
        realm: "main".into(),
        zone: "Europe/Berlin".into(),
        service: Some(ServiceLabel::parse("wiki").unwrap()),
        owner: None,
        existing_people: false,
        plain: false,
    }
}

fn read(text: &str) -> Read {
    map(text, "tokens.csv", &options()).unwrap()
}

fn tokens(read: &Read) -> Vec<&IncomingToken> {
    read.items
        .iter()
        .filter_map(|item| match &item.incoming {
            Incoming::Token(token) => Some(token),
            _ => None,
        })
        .collect()
}

/// What is wrong with the only line of a table.
fn why(heading: &str, line: &str) -> String {
    let read = read(&format!("{heading}\n{line}\n"));
    assert!(read.items.is_empty());
    let note = &read.skipped[0];
    format!("{}: {}", note.place, note.why)
}

const FULL: &str = "user;service;id;name;hash;format;expires_at;not_before;scopes;networks;labels;\
    max_usages;enabled;locked;display_name;email;permissions;description";

#[test]
fn both_spellings_of_a_table_say_the_same() {
    let line = "ann;git;t1;laptop;{SSHA}MRZj4E2XluEnvWNvuH7vHQoMzCidslfS;ssha;2030-01-31;\
        2029-01-01T00:00:00Z;read write;10.0.0.0/8 2001:db8::/32;team=a;5;no;yes;Ann A;\
        ann@example.org;\"{\"\"repo\"\": [\"\"read\"\"]}\";Her laptop";
    let csv = read(&format!("{FULL}\n{line}\n"));
    let json = read(
        "{\"user\":\"ann\",\"service\":\"git\",\"id\":\"t1\",\"name\":\"laptop\",\
         \"hash\":\"MRZj4E2XluEnvWNvuH7vHQoMzCidslfS\",\"format\":\"ssha\",\
         \"expires_at\":\"2030-01-31\",\"not_before\":\"2029-01-01T00:00:00Z\",\
         \"scopes\":[\"read\",\"write\"],\"networks\":[\"10.0.0.0/8\",\"2001:db8::/32\"],\
         \"labels\":{\"team\":\"a\"},\"max_usages\":5,\"enabled\":false,\"locked\":true,\
         \"display_name\":\"Ann A\",\"email\":\"ann@example.org\",\
         \"permissions\":{\"repo\":[\"read\"]},\"description\":\"Her laptop\"}\n",
    );
    assert!(
        csv.skipped.is_empty() && json.skipped.is_empty(),
        "{:?} {:?}",
        csv.skipped,
        json.skipped
    );
    let ([one], [other]) = (&tokens(&csv)[..], &tokens(&json)[..]) else { panic!() };
    assert_eq!((one.id, &one.facts, one.locked), (other.id, &other.facts, true));
    // The whole of the day, in the zone of the realm.
    assert_eq!(one.facts.expires_at.unwrap().to_string(), "2030-01-31T23:00:00Z");
    assert!(one.facts.disabled && one.facts.scopes.len() == 2 && one.facts.networks.len() == 2);
    let people: Vec<_> = csv
        .items
        .iter()
        .filter_map(|item| match &item.incoming {
            Incoming::User(user) => Some((user.display_name.clone(), user.emails.clone())),
            _ => None,
        })
        .collect();
    assert_eq!(people, [(Some("Ann A".into()), vec!["ann@example.org".into()])]);
}

#[test]
fn what_is_wrong_is_told_with_line_and_column_and_never_with_the_secret() {
    for (heading, line, said) in [
        ("user,hash", ",{SSHA}hunter2", "2: column user: is missing"),
        ("user,hash", "a b\u{0007},x", "2: column user: "),
        ("user,hash", "ann,hunter2", "2: column hash: is no hash of a known sort"),
        ("user,hash", "ann,3WlGM5JKvfVak", "2: column hash: is a hash of the first crypt"),
        ("user,secret", "ann,", "2: column hash: is missing, and so is secret"),
        ("user,secret,format", "ann,hunter2,key", "2: column secret: a key has at least 20"),
        ("user,secret,format", "ann,hunter2,ssha", "2: column format: a secret in clear is"),
        ("user,secret,hash", "ann,hunter2,x", "2: column hash: stands beside a secret"),
        ("user,hash,format", "ann,hunter2,sha256", "2: column hash: is no SHA-256"),
        (
            "user,hash,format",
            "ann,{SSHA}MRZj4E2XluEnvWNvuH7vHQoMzCidslfS,bcrypt",
            "2: column format: the hash is of the sort ssha",
        ),
        ("user,secret,expires_at", "ann,hunter2,2030-01-31T00:00:00", "2: column expires_at: "),
        ("user,secret,networks", "ann,hunter2,10.0.0.0/99", "2: column networks: "),
        ("user,secret,max_usages", "ann,hunter2,-1", "2: column max_usages: "),
        ("user,secret,enabled", "ann,hunter2,perhaps", "2: column enabled: "),
        ("user,secret,labels", "ann,hunter2,team", "2: column labels: a label is written"),
        ("user,secret,permissions", "ann,hunter2,[]", "2: column permissions: "),
        ("user,secret,email", "ann,hunter2,nowhere", "2: column email: "),
        ("user,secret", "ann,hunter2,more", "2: has 3 fields, and the heading 2"),
    ] {
        let said_here = why(heading, line);
        assert!(said_here.starts_with(&format!("tokens.csv:{said}")), "{said_here}");
        assert!(!said_here.contains("hunter2"), "{said_here}");
    }
    for (text, said) in [
        ("user,hsah\n", "tokens.csv:1: column 2: there is no column hsah; did you mean hash?"),
        ("user,user\n", "tokens.csv:1: column 2: user stands there twice"),
        ("user,Scope\n", "tokens.csv:1: column 2: there is no column scope; did you mean scopes?"),
        ("", "tokens.csv:1: has no heading, a line with the names of columns"),
        ("\n\n", "tokens.csv:1: has no heading, a line with the names of columns"),
    ] {
        assert_eq!(map(text, "tokens.csv", &options()).unwrap_err(), said);
    }
    let read = read("{\"user\": \"ann\", \"secret\": 5}\n{\n{\"usr\": \"x\"}\n");
    let whys: Vec<&str> = read.skipped.iter().map(|note| &*note.why).collect();
    assert_eq!(
        whys,
        [
            "column secret: is no text",
            "is no JSON object",
            "one of its names: there is no column usr; did you mean user?"
        ]
    );
}

#[test]
fn a_first_line_that_is_no_heading_is_not_repeated() {
    let held = "hunter2-X7";
    let none = "the first line names no known column; is the heading missing?";
    for (text, said) in [
        ("ann,hunter2-X7\nbob,hunter3\n", none),
        ("hunter2-X7\n", none),
        ("ann:hunter2-X7\n", none),
        ("[{\"user\": \"ann\", \"secret\": \"hunter2-X7\"}]\n", none),
        // Somebody is called like a column, or wrote a value where a name belongs.
        ("user,hunter2-X7\n", "column 2: there is no such column"),
        ("secret,hunter2-X7,hash\n", "column 2: there is no such column"),
    ] {
        let refused = map(text, "tokens.csv", &options()).unwrap_err();
        assert_eq!(refused, format!("tokens.csv:1: {said}"));
        assert!(!refused.to_lowercase().contains(&held.to_lowercase()), "{refused}");
    }
    let read = read("{\"user\": \"ann\", \"hunter2-X7\": \"x\"}\n");
    assert_eq!(&*read.skipped[0].why, "one of its names: there is no such column");
}

#[test]
fn two_lines_of_one_name_are_one_token_and_two_names_are_two() {
    let text = "user,name,secret\nann,laptop,a1b2c3d4\nann,laptop,e5f6a7b8\nann,phone,c9d0e1f2\n";
    let read = read(text);
    assert_eq!((tokens(&read).len(), read.skipped.len()), (2, 1));
    assert_eq!(read.skipped[0].place.line, 3);
}

proptest! {
    #[test]
    fn nothing_that_stands_in_a_file_stops_the_reader(text in ".{0,400}") {
        let _ = map(&text, "tokens.csv", &options());
        let _ = map(&format!("{{{text}"), "tokens.csv", &options());
        let _ = map(&format!("user,hash\n{text}"), "tokens.csv", &options());
    }
}

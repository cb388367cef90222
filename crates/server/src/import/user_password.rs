//! Passwords of a directory, as `userPassword` holds them: several of a person, each with the
//! name of its scheme in front (RFC 2307, and what slapd's modules add).

use std::collections::HashMap;

use counterfoil_authority::authority::IncomingFacts;
use counterfoil_authority::names::Username;

use super::comanage::Read;
use super::forgerock::person;
use super::htpasswd::secret;
use super::ldif::Entry;
use super::lines::{Line, Options, Sheet};

/// Reads the entries; those without the attribute say nothing.
pub(crate) fn map(
    entries: &[Entry],
    (user_attribute, attribute): (&str, &str),
    options: &Options,
) -> Read {
    let mut sheet = Sheet::new(options);
    let mut known: HashMap<Username, String> = HashMap::new();
    for (number, entry) in (1_i64..).zip(entries) {
        let mut values: Vec<&str> = entry.values(attribute).collect();
        let place = &entry.place;
        if entry.is_unreadable(attribute) {
            sheet.refuse(place, number, format!("a value of {attribute} is no text"));
        }
        if values.is_empty() {
            continue;
        }
        let Some(name) = entry.first(user_attribute) else {
            sheet.refuse(place, number, format!("has no {user_attribute}"));
            continue;
        };
        let user = match Username::parse(name) {
            Ok(user) => user,
            Err(bad) => {
                sheet.refuse(place, number, format!("{user_attribute}: {bad}"));
                continue;
            }
        };
        // Two spellings of one name: whose passwords the second ones are, nobody can say.
        if let Some(first) = known.insert(user.clone(), place.to_string()) {
            sheet.refuse(place, number, format!("is the same user name as that of {first}"));
            continue;
        }
        // A directory gives its values in any order; the ids must be the same in every run.
        values.sort_unstable();
        for (nth, value) in (1..).zip(values) {
            let line = secret(value, value, options.plain).and_then(|secret| {
                Ok(Line {
                    place: place.clone(),
                    number,
                    person: person(entry, &user),
                    service: options.service.clone().ok_or("no service is named")?,
                    secret,
                    identity: format!("{user}/{nth}"),
                    locked: false,
                    facts: IncomingFacts::default(),
                })
            });
            sheet.settle(place, number, line);
        }
    }
    sheet.finish()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use counterfoil_authority::names::ServiceLabel;
    use zeroize::Zeroizing;

    use super::super::rows::Place;
    use super::*;

    fn entry(line: usize, name: &str, values: &[&str]) -> Entry {
        let mut entry = Entry::new(Place { file: Arc::from("people.ldif"), line });
        entry.push("uid", Zeroizing::new(name.to_owned()));
        for value in values {
            entry.push("userPassword", Zeroizing::new((*value).to_owned()));
        }
        entry
    }

    #[test]
    fn each_value_is_a_token_whatever_their_order_and_what_is_none_is_told() {
        let options = Options {
            system: "ldap",
            realm: "main".into(),
            zone: "UTC".into(),
            service: Some(ServiceLabel::parse("imap").unwrap()),
            owner: None,
            existing_people: false,
            plain: false,
        };
        let salted = "{SSHA}MRZj4E2XluEnvWNvuH7vHQoMzCidslfS";
        let bare = "{SHA}mN7MYuzjmaIu0w1JDvMzvn/ec4U=";
        let read = |values: [&str; 2]| {
            let people = [
                entry(3, "ann", &values),
                entry(9, "bob", &["{SASL}bob@EXAMPLE.ORG", "{CRYPT}3WlGM5JKvfVak"]),
                entry(15, "cid", &[]),
                entry(20, "ANN", &[salted]),
            ];
            map(&people, ("uid", "userpassword"), &options)
        };
        let (one, other) = (read([salted, bare]), read([bare, salted]));
        let ids = |read: &Read| -> Vec<String> {
            let tokens = read.items.iter().filter(|item| item.table == "tokens");
            tokens.map(|item| item.what.clone()).collect()
        };
        assert_eq!(ids(&one).len(), 2);
        assert_eq!(ids(&one), ids(&other));
        let why: Vec<&str> = one.skipped.iter().map(|note| &*note.why).collect();
        assert!(why[0].contains("no hash of a known sort") || why[0].contains("DES"), "{why:?}");
        assert_eq!((why.len(), one.rows["tokens"]), (3, 5));
    }
}

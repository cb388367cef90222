//! Personal access tokens on the profiles of a ForgeRock AM directory: one value of a
//! multi-valued attribute each, in clear, with its permissions.
//!
//! Three spellings are read: the token, a colon and a JSON object; the same with typographic
//! quotes, as it comes out of a word processor; and one JSON object from tokens to permissions.

mod predictable;

use std::collections::HashMap;

use counterfoil_authority::authority::{
    ClearPat, Incoming, IncomingFacts, IncomingPat, IncomingSecret, IncomingToken, ServiceDraft,
    UserDraft,
};
use counterfoil_authority::names::{ServiceLabel, Username};
use counterfoil_authority::permission;
use counterfoil_authority::secret::{ClearSecret, HEX_TOKEN_LEN};
use counterfoil_authority::subject::UserStatus;
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::comanage::{Item, Note, Read};
use super::ldif::Entry;
use super::token_id;

/// Rows of the report.
const SERVICES: &str = "services";
const PEOPLE: &str = "people";
const TOKENS: &str = "tokens";

/// How the entries are read.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    /// The realm, for the ids of tokens.
    pub(crate) realm: String,
    /// The service that the tokens become good for.
    pub(crate) service: ServiceLabel,
    /// The attribute that holds the tokens, in lower case.
    pub(crate) attribute: String,
    /// The attribute that becomes the user name, in lower case.
    pub(crate) user_attribute: String,
}

/// Maps the entries.
pub(crate) fn map(entries: &[Entry], options: &Options) -> Read {
    let mut read = Read::default();
    read.rows.insert(PEOPLE, entries.len());
    let place = entries.first().map(|entry| entry.place.clone());
    let Some(place) = place else { return read };
    let what = options.service.to_string();
    let incoming = Incoming::Service(service(&options.service));
    read.items.push(Item { table: SERVICES, id: 0, place, what, incoming });
    let mut tokens = 0;
    let mut known: HashMap<Username, &Entry> = HashMap::new();
    for (number, entry) in (1_i64..).zip(entries) {
        let note = |table, why: String| Note { table, id: number, place: entry.place.clone(), why };
        let Some(name) = entry.first(&options.user_attribute) else {
            read.skipped.push(note(PEOPLE, format!("has no {}", options.user_attribute)));
            continue;
        };
        let username = match Username::parse(name) {
            Ok(username) => username,
            Err(bad) => {
                read.skipped.push(note(PEOPLE, format!("{name}: {bad}")));
                continue;
            }
        };
        // Two spellings of one name: whose tokens the second ones are, nobody can say.
        if let Some(first) = known.insert(username.clone(), entry) {
            let why = format!("{name}: is the same user name as that of {}", first.place);
            read.skipped.push(note(PEOPLE, why));
            for _ in entry.values(&options.attribute) {
                tokens += 1;
                let why = format!("belongs to another entry of the user name {username}");
                read.skipped.push(note(TOKENS, why));
            }
            continue;
        }
        let (place, what) = (entry.place.clone(), username.to_string());
        let incoming = Incoming::User(person(entry, &username));
        read.items.push(Item { table: PEOPLE, id: number, place, what, incoming });
        if entry.is_unreadable(&options.attribute) {
            read.skipped.push(note(TOKENS, "a value is no text".into()));
        }
        tokens += of_person(entry, number, &username, options, &mut read);
    }
    read.rows.insert(TOKENS, tokens);
    read
}

/// The tokens of one person. How many values there were.
fn of_person(
    entry: &Entry,
    number: i64,
    username: &Username,
    options: &Options,
    read: &mut Read,
) -> usize {
    let mut values = 0;
    let mut found: Vec<Pat> = Vec::new();
    for value in entry.values(&options.attribute) {
        values += 1;
        match parsed(value) {
            Ok(pats) => found.extend(pats),
            // What stands there may be a secret all the same: the value is not shown.
            Err(why) => read.skipped.push(Note {
                table: TOKENS,
                id: number,
                place: entry.place.clone(),
                why: format!("a value of {username} {why}"),
            }),
        }
    }
    // A directory gives its values in any order; the ids must be the same in every run.
    found.sort_by(|a, b| (&a.text, &*a.token).cmp(&(&b.text, &*b.token)));
    let mut seen: HashMap<String, usize> = HashMap::new();
    for pat in found {
        let nth = seen.entry(pat.text.clone()).or_default();
        *nth += 1;
        let nth = nth.to_string();
        let named = [&*options.realm, username.as_str(), &*pat.text, &nth];
        let Some(id) = token_id(b"counterfoil import forgerock 1", &named) else { continue };
        let ClearPat { secret, brought } = pat.into_clear();
        let weak = brought.weak;
        if weak {
            let why = format!(
                "{username}: the token {id} can be computed from its permissions; \
                               it works, and its owner reads that it has to be rotated"
            );
            let place = entry.place.clone();
            read.remarks.push(Note { table: TOKENS, id: number, place, why });
        }
        let token = IncomingToken {
            id,
            user: username.clone(),
            service: options.service.clone(),
            secret: IncomingSecret::Clear(secret),
            drawn: !weak,
            locked: false,
            row: format!("forgerock {username}"),
            pat: Some(brought),
            facts: IncomingFacts::default(),
        };
        let (place, what) = (entry.place.clone(), format!("{username}, token {id}"));
        let incoming = Incoming::Token(token);
        read.items.push(Item { table: TOKENS, id: number, place, what, incoming });
    }
    values
}

/// The tokens of one value, ready to be taken over; why not, if it holds none.
pub(crate) fn clear_pats(value: &str) -> Result<Vec<ClearPat>, &'static str> {
    let pats = parsed(value)?;
    Ok(pats.into_iter().map(Pat::into_clear).collect())
}

/// A token of a value.
struct Pat {
    token: Zeroizing<String>,
    permissions: Value,
    /// The permissions as they stood there.
    raw: String,
    /// The same in one form.
    text: String,
}

impl Pat {
    /// Whether it can be computed from its permissions.
    fn is_weak(&self) -> bool {
        predictable::is_derived(&self.token, &self.raw, &self.permissions)
    }

    fn into_clear(self) -> ClearPat {
        let weak = self.is_weak();
        let secret = ClearSecret::new((*self.token).clone());
        ClearPat { secret, brought: IncomingPat { permissions: self.permissions, weak } }
    }
}

/// The tokens of one value with their permissions, for who reads them where they stand.
pub(crate) fn pats_of(value: &str) -> Option<Vec<(Zeroizing<String>, Value)>> {
    let pats = parsed(value).ok()?;
    Some(pats.into_iter().map(|pat| (pat.token, pat.permissions)).collect())
}

/// The tokens of one value, in any of its spellings.
fn parsed(value: &str) -> Result<Vec<Pat>, &'static str> {
    let value = value.trim();
    if let Some((token, raw)) = value.split_once(':')
        && is_token(token.trim())
    {
        return Ok(vec![pat(token.trim(), raw)?]);
    }
    if !value.starts_with('{') {
        return Err("is no token with permissions");
    }
    let object: Map<String, Value> =
        serde_json::from_str(&straight(value)).map_err(|_| "is no JSON object")?;
    if object.is_empty() || !object.keys().all(|key| is_token(key)) {
        return Err("is a JSON object whose keys are no tokens");
    }
    object.iter().map(|(token, permissions)| pat(token, &permissions.to_string())).collect()
}

fn pat(token: &str, raw: &str) -> Result<Pat, &'static str> {
    let permissions: Value =
        serde_json::from_str(&straight(raw)).map_err(|_| "has permissions that are no JSON")?;
    let text = permission::check(&permissions).map_err(
        |_| "has permissions that are no object of resources with lists of actions, or too many",
    )?;
    let token = Zeroizing::new(token.to_owned());
    Ok(Pat { token, permissions, raw: raw.trim().to_owned(), text })
}

fn is_token(text: &str) -> bool {
    text.len() == HEX_TOKEN_LEN && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// With the quotes that JSON knows.
fn straight(text: &str) -> String {
    text.replace(['\u{201c}', '\u{201d}'], "\"")
}

pub(super) fn person(entry: &Entry, username: &Username) -> UserDraft {
    let inactive =
        entry.first("inetuserstatus").is_some_and(|status| !status.eq_ignore_ascii_case("active"));
    UserDraft {
        display_name: entry.first("displayname").or(entry.first("cn")).map(str::to_owned),
        emails: entry.values("mail").take(10).map(str::to_owned).collect(),
        status: if inactive { UserStatus::Suspended } else { UserStatus::Active },
        ..UserDraft::new(username.clone())
    }
}

fn service(label: &ServiceLabel) -> ServiceDraft {
    ServiceDraft {
        description: Some("Personal access tokens of ForgeRock AM".to_owned()),
        ..ServiceDraft::new(label.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::super::rows::Place;
    use super::*;

    const A: &str = "0f83ee64ef9d15a68e5c7a910395ea1611e2fa138b1b9dd7e090941dfed773b2";

    fn said(value: &str) -> Vec<(String, String)> {
        let pats = parsed(value).unwrap();
        pats.into_iter().map(|pat| ((*pat.token).clone(), pat.text)).collect()
    }

    #[test]
    fn all_three_spellings_are_read() {
        let expected = vec![(A.to_owned(), r#"{"profile":["givenName","mail"]}"#.to_owned())];
        for value in [
            format!("{A}:{{\"profile\" : [ \"givenName\", \"mail\"]}}"),
            format!("{A}:{{“profile” : [ “givenName”, “mail” ] }}"),
            format!("{{\"{A}\": {{\"profile\": [\"givenName\", \"mail\"] }} }}"),
            format!("{{“{A}”: {{“profile”: [“givenName”, “mail”] }} }}"),
        ] {
            assert_eq!(said(&value), expected, "{value}");
        }
        let several = format!("{A}:{{\"a\":[],\"b\":[\"read\"]}}");
        assert_eq!(said(&several)[0].1, r#"{"a":[],"b":["read"]}"#);
    }

    #[test]
    fn a_second_entry_of_a_name_is_left_out_with_its_tokens() {
        let entry = |line, name: &str, token: &str| {
            let mut entry = Entry::new(Place { file: "export.ldif".into(), line });
            entry.push("uid", Zeroizing::new(name.to_owned()));
            entry.push("pats", Zeroizing::new(format!("{token}:{{\"a\":[\"read\"]}}")));
            entry
        };
        let entries = [entry(1, "alice", A), entry(9, "ALICE", &A.replace('0', "1"))];
        let options = Options {
            realm: "main".into(),
            service: ServiceLabel::parse("pats").unwrap(),
            attribute: "pats".into(),
            user_attribute: "uid".into(),
        };
        let read = map(&entries, &options);
        let tokens = read.items.iter().filter(|item| item.table == TOKENS).count();
        assert_eq!((tokens, read.rows[TOKENS]), (1, 2));
        let left_out: Vec<_> = read.skipped.iter().map(|note| (note.table, note.id)).collect();
        assert_eq!(left_out, [(PEOPLE, 2), (TOKENS, 2)]);
    }

    #[test]
    fn what_is_no_token_is_told_without_showing_it() {
        for value in [
            "alias",
            "",
            "{}",
            "{\"x\":{}}",
            &format!("{A}:nonsense"),
            &format!("{A}:[]"),
            &format!("{}:{{}}", A.to_uppercase()),
            &format!("{A}:{{\"a\":\"read\"}}"),
        ] {
            let why = parsed(value).err().unwrap();
            assert!(!why.contains(A), "{why}");
        }
    }
}

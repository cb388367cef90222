//! Filters, paths and whole requests as nobody means them: the corpus in `fuzz/corpus/scim` on every
//! run, and its mutations for as long as `cargo xtask fuzz` says.

use std::time::Duration;

use serde_json::{Map, Value};

use super::schema::{GROUPS, Resources, USERS};
use super::{matching, patch, path, project, values};
use crate::mutations::{Changes, Dice, PATIENCE, SEED, asked_time, corpus, decided, for_a_while};

/// Bytes of an input at most.
const INPUT_BYTES_MAX: usize = 16 * 1024;

/// A person with something of everything.
fn person() -> Map<String, Value> {
    let said = serde_json::json!({
        "userName": "alice", "externalId": "7", "active": true, "title": "Dr",
        "name": { "givenName": "Alice", "familyName": "Liddell" },
        "emails": [
            { "value": "alice@example.org", "type": "work", "primary": true },
            { "value": "a@home.example", "type": "home" },
        ],
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": {
            "department": "Tea", "manager": { "value": "8" },
        },
    });
    values::resource(&USERS, said.as_object().unwrap()).unwrap()
}

/// What is decided about any bytes: as a filter, as a path, as a list of attributes, and as the body
/// of a PATCH and of a PUT. It must neither panic nor take long, and what it makes of a resource must
/// be one.
fn decide(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let resource = person();
    for resources in [&USERS, &GROUPS] {
        if let Ok(filter) = path::filter(&text) {
            let _ = matching::pin(resources, &filter);
            let _ = matching::matches(resources, &filter, &resource);
            // What was read once is read again when it is written down.
            let again = path::filter(&filter.to_string());
            assert!(again.is_ok() || filter.to_string().len() > text.len(), "{filter}");
        }
        let _ = path::place(resources, &text);
        let names = text.split(',').map(str::to_owned).collect();
        if let Ok(shown) = project::Shown::read(names, Vec::new()) {
            let _ = shown.cut(resources, resource.clone());
        }
        if let Ok(Value::Object(body)) = serde_json::from_slice(input) {
            change(resources, &body, resource.clone());
        }
    }
}

fn change(resources: &'static Resources, body: &Map<String, Value>, held: Map<String, Value>) {
    if let Ok(read) = values::resource(resources, body) {
        assert_eq!(values::resource(resources, &read).as_ref(), Ok(&read), "read twice");
    }
    let Ok(steps) = patch::steps(resources, body) else { return };
    let mut resource = held;
    for step in &steps {
        let before = resource.clone();
        if patch::apply(&mut before.clone(), step).is_ok() {
            patch::apply(&mut resource, step).unwrap();
        }
    }
    for value in resource.values().filter_map(Value::as_array) {
        let primary = value.iter().filter(|one| values::is_primary(one)).count();
        assert!(primary <= 1, "{value:?}");
        assert!(!value.is_empty());
    }
}

#[test]
fn the_corpus_is_decided_about() {
    let corpus = corpus("scim");
    assert!(corpus.len() >= 30, "only {} inputs", corpus.len());
    for input in corpus {
        decided(&input, PATIENCE, decide);
    }
}

/// Texts that mean something in a filter, in a path and in a request.
const TELLING: [&str; 34] = [
    " eq ",
    " ne ",
    " co ",
    " sw ",
    " ew ",
    " gt ",
    " le ",
    " pr",
    " and ",
    " or ",
    "not (",
    "(",
    ")",
    "[",
    "]",
    ".",
    "\"",
    "\\",
    "\\u0000",
    "true",
    "null",
    "userName",
    "emails",
    "members",
    "value",
    "$ref",
    ":",
    "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User",
    "primary",
    "{",
    "}",
    "Operations",
    "\u{202e}",
    "-1e999",
];

fn run(time: Duration) -> u64 {
    let changes = Changes { telling: &TELLING, bytes_max: INPUT_BYTES_MAX };
    let (corpus, mut dice) = (corpus("scim"), Dice(SEED));
    for_a_while(time, || changes.mutated(&mut dice, &corpus), decide)
}

#[test]
fn mutations_of_requests_are_decided_about() {
    assert!(run(Duration::from_secs(2)) > 100);
}

#[test]
#[ignore = "long: mutates requests for COUNTERFOIL_FUZZ_SECONDS, 600 unless set"]
fn mutations_of_requests_are_decided_about_for_a_long_time() {
    let inputs = run(asked_time());
    println!("{inputs} inputs");
}

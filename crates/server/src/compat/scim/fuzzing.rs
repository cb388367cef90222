//! Filters, paths and whole requests as nobody means them: the corpus in `fuzz/corpus/scim` on every
//! run, and its mutations for as long as `cargo xtask fuzz` says.

use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::{Map, Value};

use super::schema::{GROUPS, Resources, USERS};
use super::{matching, patch, path, project, values};
use crate::clock::Stopwatch;

const CORPUS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/corpus/scim");

/// How long a single input may take: it is decided without the store, so it is work on a few KiB.
const PATIENCE: Duration = Duration::from_millis(500);
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

fn corpus() -> Vec<Vec<u8>> {
    let mut paths: Vec<_> =
        fs::read_dir(Path::new(CORPUS)).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

#[test]
fn the_corpus_is_decided_about() {
    let corpus = corpus();
    assert!(corpus.len() >= 30, "only {} inputs", corpus.len());
    for input in corpus {
        decide(&input);
    }
}

/// A generator that needs no seed from outside: the same run finds the same.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 16).unwrap_or(0) % end.max(1)
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

/// Changes an input in a few places.
fn mutated(dice: &mut Dice, corpus: &[Vec<u8>]) -> Vec<u8> {
    let mut input = corpus[dice.below(corpus.len())].clone();
    for _ in 0..=dice.below(6) {
        let at = dice.below(input.len() + 1);
        match dice.below(6) {
            0 if at < input.len() => input[at] ^= 1 << dice.below(8),
            1 if at < input.len() => drop(input.remove(at)),
            2 => input.truncate(at),
            3 => {
                let other = &corpus[dice.below(corpus.len())];
                let from = dice.below(other.len());
                let to = from + dice.below(other.len() - from + 1);
                input.splice(at..at, other[from..to].iter().copied());
            }
            4 => {
                let end = at + dice.below(input.len() - at + 1);
                let piece = input[at..end].to_vec();
                input.splice(at..at, piece.repeat(1 + dice.below(40)));
            }
            _ => {
                let telling = TELLING[dice.below(TELLING.len())];
                input.splice(at..at, telling.bytes());
            }
        }
        input.truncate(INPUT_BYTES_MAX);
    }
    input
}

/// Mutates for some time; shows the input of a panic, which belongs into the corpus then.
fn run(patience: Duration) -> u64 {
    let corpus = corpus();
    let mut dice = Dice(0x2545_f491_4f6c_dd1d);
    let (whole, mut inputs) = (Stopwatch::start(), 0);
    while whole.elapsed() < patience {
        let input = mutated(&mut dice, &corpus);
        let one = Stopwatch::start();
        let decided = std::panic::catch_unwind(|| decide(&input));
        let shown = String::from_utf8_lossy(&input);
        assert!(decided.is_ok(), "a panic over {shown}");
        assert!(one.elapsed() < PATIENCE, "{:?} over {shown}", one.elapsed());
        inputs += 1;
    }
    inputs
}

#[test]
fn mutations_of_requests_are_decided_about() {
    assert!(run(Duration::from_secs(2)) > 100);
}

#[test]
#[ignore = "long: mutates requests for COUNTERFOIL_FUZZ_SECONDS, 600 unless set"]
fn mutations_of_requests_are_decided_about_for_a_long_time() {
    let asked = std::env::var("COUNTERFOIL_FUZZ_SECONDS").ok().and_then(|text| text.parse().ok());
    let inputs = run(Duration::from_secs(asked.unwrap_or(600)));
    println!("{inputs} inputs");
}

//! The checks of the reference on COmanage Registry, by their numbers, against the real server on
//! both stores. Those that need a directory are in `provisioning`.

mod door;
mod issuing;
pub(crate) mod matrix;
mod moving;
mod portal;

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use data_encoding::HEXLOWER;
use serde_json::{Value, json};

use crate::harness::files_below;
use crate::wire::{Answer, Api};
use crate::world::{Issued, World, merged};

/// What a person needs to look after their own tokens.
const OWN: [&str; 2] = ["tokens:read", "tokens:write"];

/// Somebody as their own API token lets them act.
pub(crate) fn person(world: &World, name: &str, scopes: &[&str]) -> Api {
    let body = json!({ "kind": "personal_access_token", "user": name, "name": "own",
        "services": ["counterfoil"], "scopes": scopes });
    let issued = Issued::of(&world.admin.post("/tokens", &body).expect(201));
    world.admin.with_key(&issued.secret)
}

/// Asks for a token of a person for a service.
fn ask_token(caller: &Api, user: &str, service: &str) -> Answer {
    let body = json!({ "kind": "service_token", "user": user, "service": service });
    caller.post("/tokens", &body)
}

/// Whether a secret of a person is good for a service.
fn is_good(world: &World, (user, service, secret): (&str, &str, &str)) -> bool {
    let question = json!({ "token": secret, "username": user, "service": service });
    world.admin.post("/verify", &question).expect(200)["active"] == true
}

/// Sets a service's policy, field by field.
fn set_policy(world: &World, service: &str, policy: &Value) {
    let path = format!("/services/{service}");
    world.admin.patch(&path, &json!({ "token_policy": policy })).expect(200);
}

/// A policy under which a person has one token, and a new one takes the place of the old one.
fn single(more: &Value) -> Value {
    merged(json!({ "max_active_per_user": 1, "at_limit": "replace_oldest" }), more)
}

/// How many bytes of a text decide whether it is looked at closely.
const START: usize = 8;

/// Texts that must not be anywhere, by their first bytes.
struct Needles {
    /// By the first two bytes, so that hardly any place needs a second look.
    begins: Vec<bool>,
    by_start: HashMap<[u8; START], Vec<(Vec<u8>, String)>>,
}

impl Needles {
    fn of<'a>(secrets: impl IntoIterator<Item = &'a str>) -> Self {
        let mut needles = Self { begins: vec![false; 1 << 16], by_start: HashMap::new() };
        for secret in secrets {
            for text in spellings(secret) {
                let start = *text.first_chunk::<START>().unwrap();
                needles.begins[usize::from(start[0]) << 8 | usize::from(start[1])] = true;
                needles.by_start.entry(start).or_default().push((text, secret.to_owned()));
            }
        }
        needles
    }

    fn find(&self, bytes: &[u8]) -> Option<&str> {
        bytes.windows(START).enumerate().find_map(|(at, window)| {
            if !self.begins[usize::from(window[0]) << 8 | usize::from(window[1])] {
                return None;
            }
            let window: &[u8; START] = window.try_into().unwrap();
            let like = self.by_start.get(window)?;
            let found = like.iter().find(|(text, _)| bytes[at..].starts_with(text))?;
            Some(found.1.as_str())
        })
    }

    #[track_caller]
    fn absent(&self, place: &str, bytes: &[u8]) {
        if let Some(secret) = self.find(bytes) {
            panic!("{place} holds {secret}");
        }
    }
}

/// A secret in the forms in which it could be written down: with and without its dashes as it is,
/// in hexadecimal, and in base64 at each of the three places at which it can begin there.
fn spellings(secret: &str) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for text in [secret.to_owned(), secret.replace('-', "")] {
        let bytes = text.as_bytes();
        let hex = HEXLOWER.encode(bytes);
        all.extend([bytes.to_vec(), hex.to_uppercase().into_bytes(), hex.into_bytes()]);
        for start in 0..3 {
            let rest = &bytes[start..];
            let encoded = STANDARD.encode(&rest[..rest.len() / 3 * 3]);
            all.push(encoded.replace('+', "-").replace('/', "_").into_bytes());
            all.push(encoded.into_bytes());
        }
    }
    all
}

/// Ends the server and the database, and looks for secrets in every file of them: database,
/// write-ahead log, logs. `known` is something that must be found, so that the right files were
/// read.
#[track_caller]
fn nothing_in_files(world: &mut World, needles: &Needles, known: &str) {
    assert!(world.server.stop().success());
    let mut files = world.site.files();
    if let Some(cluster) = &world.cluster {
        cluster.end("fast");
        files.extend(files_below(cluster.directory()));
    }
    let is_known = |bytes: &[u8]| bytes.windows(known.len()).any(|w| w == known.as_bytes());
    assert!(files.iter().any(|(_, bytes)| is_known(bytes)), "{known} is in no file");
    for (path, bytes) in &files {
        needles.absent(&path.display().to_string(), bytes);
    }
}

/// A file of `tests/comanage`.
fn dump(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/comanage").join(name)
}

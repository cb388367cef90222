//! Secrets of another system: they stand in its dump, and nowhere of ours after the import.

use std::fmt::Write as _;
use std::fs;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::Needles;
use crate::oauth::basic;
use crate::wire::Request;
use crate::world::World;

/// People in the dump, each with a token of the old plugin and a password.
const PEOPLE: u8 = 24;
/// A salt and a digest, as bcrypt writes them.
const BCRYPT: &str = "$2y$10$Kq3vXo9TzLr5WmYb1Hc7OuhBWLgujBobhJ4Dtyb/nj6sgaM/v5j9e";

/// The token of somebody, as the plugin made them.
fn token(number: u8) -> String {
    format!("Vb3kT9xQ{number:04}Zp7")
}

/// What stands in `cm_passwords` for somebody: clear, salted SHA-1, and bcrypt in turn.
fn password(number: u8) -> (&'static str, String) {
    match number % 3 {
        0 => ("NO", format!("wq7m-2x9d-{number:04}-p8zc")),
        1 => {
            let bytes: Vec<u8> = (0..24)
                .map(|place: u8| number.wrapping_mul(89).wrapping_add(place.wrapping_mul(37)))
                .collect();
            ("SH", STANDARD.encode(bytes))
        }
        _ => ("CR", BCRYPT.replace("hBWL", &format!("h{number:03}"))),
    }
}

fn dump() -> String {
    let mut dump = "INSERT INTO cm_co_services (id, co_id, name, short_label, authenticator_id, \
                    visibility, status) VALUES (1, 2, 'Old wiki', 'oldwiki', NULL, 'CP', 'A'), \
                    (2, 2, 'Old mail', 'oldmail', 3, 'CP', 'A');\n"
        .to_owned();
    for number in 0..PEOPLE {
        let (kind, secret) = password(number);
        let token = token(number);
        write!(
            dump,
            "INSERT INTO cm_co_people (id, co_id, status) VALUES ({number}00, 2, 'A');\n\
             INSERT INTO cm_identifiers (id, identifier, type, co_person_id) \
             VALUES ({number}, 'mover{number}', 'uid', {number}00);\n\
             INSERT INTO cm_co_service_tokens (id, co_service_id, co_person_id, token) \
             VALUES ({number}, 1, {number}00, '{token}');\n\
             INSERT INTO cm_passwords (id, password_authenticator_id, co_person_id, \
             password_type, password) VALUES ({number}, 3, {number}00, '{kind}', '{secret}');\n"
        )
        .unwrap();
    }
    dump
}

/// What a table says of somebody: a password in clear, a key in clear, and the digest of a key.
fn of_table(number: u8) -> [(&'static str, &'static str, String); 3] {
    let digest: Vec<u8> = (0..32)
        .map(|place: u8| number.wrapping_mul(53).wrapping_add(place.wrapping_mul(29)))
        .collect();
    [
        ("secret", "plain", format!("hz4v-{number:04}-kq8w-m3td")),
        ("secret", "key", format!("prod_{number:04}Xw7LpQ2vNbT9sKdRf3Yc")),
        ("hash", "sha256", data_encoding::HEXLOWER.encode(&digest)),
    ]
}

/// Imports a table of tokens, and remembers what stands in it.
fn take_table_over(world: &World, needles: &mut Needles) {
    let elsewhere = tempfile::tempdir().unwrap();
    let path = elsewhere.path().join("tokens.jsonl");
    let mut table = String::new();
    for number in 0..PEOPLE {
        for (column, format, secret) in of_table(number) {
            let service = if format == "plain" { "tablewiki" } else { "tableapi" };
            let user = format!("mover{number}");
            let line = json!({ "user": user, "service": service, "name": format, column: secret,
                "format": format });
            writeln!(table, "{line}").unwrap();
            needles.add(&secret);
        }
    }
    let import = |text: &str| {
        fs::write(&path, text).unwrap();
        world.run(&["import", "csv", path.to_str().unwrap(), "--json"])
    };
    let (broken, done) = (import(&table[..table.len() - 20]), import(&table));
    assert_eq!(broken.status.code(), Some(1));
    for output in [&broken, &done] {
        needles.absent("what the import of a table prints", &output.stdout);
        needles.absent("what the import of a table says", &output.stderr);
    }
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let report: Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!(report["tables"]["tokens"]["new"], u64::from(PEOPLE) * 3, "{report:#}");
    let [(_, _, plain), (_, _, key), _] = of_table(3);
    for (token, service) in [(plain, "tablewiki"), (key, "tableapi")] {
        let question = json!({ "token": token, "username": "mover3", "service": service });
        assert_eq!(world.admin.post("/verify", &question).expect(200)["active"], true);
    }
}

/// Imports tokens and passwords beside the running server, and remembers them.
pub(super) fn take_over(world: &World, needles: &mut Needles) {
    let elsewhere = tempfile::tempdir().unwrap();
    let path = elsewhere.path().join("registry.sql");
    let import = |text: &str| {
        fs::write(&path, text).unwrap();
        world.run(&["import", "comanage", path.to_str().unwrap(), "--json"])
    };
    let whole = dump();
    // One that ends inside a secret says where, and nothing of it.
    let cut = &whole[..whole.rfind("wq7m").unwrap() + 10];
    let (broken, done) = (import(cut), import(&whole));
    for number in 0..PEOPLE {
        needles.add(&token(number));
        let (kind, secret) = password(number);
        needles.add(if kind == "CR" { &secret[29..] } else { &secret });
    }
    assert_eq!(broken.status.code(), Some(1));
    for output in [&broken, &done] {
        needles.absent("what an import prints", &output.stdout);
        needles.absent("what an import says", &output.stderr);
    }
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let report: Value = serde_json::from_slice(&done.stdout).unwrap();
    let new = |table: &str| report["tables"][table]["new"].as_u64().unwrap();
    assert_eq!((new("cm_co_service_tokens"), new("cm_passwords")), (24, 24), "{report:#}");
    let question = json!({ "token": token(3), "username": "mover3", "service": "oldwiki" });
    assert_eq!(world.admin.post("/verify", &question).expect(200)["active"], true);
    take_table_over(world, needles);
}

/// Presents a secret at the door of COmanage's clients, in every part of a request.
pub(super) fn present_at_registry(world: &World, secret: &str) {
    let list = "/registry/co_services.json?coid=2";
    let asks = [
        (list.to_owned(), basic("git-verifier", secret)),
        (list.to_owned(), basic(secret, &world.verifier.key)),
        (list.to_owned(), format!("Bearer {secret}")),
        (format!("/registry/co_people.json?coid={secret}"), basic("admin", &world.admin.key)),
        (
            format!("/registry/co_people.json?coid=2&search.identifier={secret}"),
            basic("admin", &world.admin.key),
        ),
        (format!("/registry/identifiers/{secret}.json"), basic("admin", &world.admin.key)),
        (format!("/registry/{secret}"), basic("admin", &world.admin.key)),
    ];
    for (path, credential) in asks {
        world.admin.raw(&Request::new("GET", path).header("Authorization", credential));
    }
}

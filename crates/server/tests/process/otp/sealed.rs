//! Seeds are sealed to their tokens, and move to a new key while codes are verified.

use serde_json::{Value, json};

use super::{K20, accepts, base32, enrol, hotp, id_of, worlds};
use crate::harness::{PATIENCE, await_true};
use crate::world::{UNTHROTTLED, World};

#[test]
fn d3_a_seed_that_was_moved_to_another_token_opens_for_nobody() {
    let mut world = World::new(UNTHROTTLED);
    let other_seed = b"another seed of 160b";
    let one = id_of(&enrol(&world.admin, &json!({ "method": "hotp", "seed": base32(K20) })));
    let other = json!({ "method": "hotp", "seed": base32(other_seed) });
    let other = id_of(&enrol(&world.admin, &other));
    assert!(world.server.stop().success());
    let exchange = |place: &crate::harness::Site| {
        let raw = rusqlite::Connection::open(place.data().join("counterfoil.db")).unwrap();
        let read = |id: &str| -> Vec<u8> {
            let sql = "select seed from otp where token = ?1";
            raw.query_row(sql, [id], |row| row.get(0)).unwrap()
        };
        let (first, second) = (read(&one), read(&other));
        for (id, seed) in [(&one, second), (&other, first)] {
            let sql = "update otp set seed = ?2 where token = ?1";
            assert_eq!(raw.execute(sql, rusqlite::params![id, seed]).unwrap(), 1);
        }
    };
    exchange(&world.site);
    world.serve_again(UNTHROTTLED);
    assert!(!accepts(&world.verifier, &hotp(K20, 0)));
    assert!(!accepts(&world.verifier, &hotp(other_seed, 0)));
    assert!(world.server.log().contains("was altered"));
    assert!(world.server.stop().success());
    exchange(&world.site);
    world.serve_again(UNTHROTTLED);
    assert!(accepts(&world.verifier, &hotp(K20, 0)));
    assert!(accepts(&world.verifier, &hotp(other_seed, 0)));
}

/// Rows that each sealing key still holds, by its number.
fn rows(world: &World) -> Vec<(u64, u64)> {
    let output = world.run(&["keys", "list", "--json"]);
    let said: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    let keys = said.get("items").or_else(|| said.get("keys")).unwrap_or(&said);
    let seals = keys.as_array().unwrap().iter().filter(|key| key["purpose"] == "seal");
    seals.map(|key| (key["id"].as_u64().unwrap(), key["rows"].as_u64().unwrap())).collect()
}

#[test]
fn d4_seeds_are_sealed_under_a_new_key_while_codes_are_verified() {
    for world in worlds() {
        for number in 0..20_u8 {
            let seed = [number; 20];
            enrol(&world.admin, &json!({ "method": "hotp", "seed": base32(&seed) }));
        }
        enrol(&world.admin, &json!({ "method": "hotp", "seed": base32(K20) }));
        assert_eq!(rows(&world), [(1, 21)]);
        let output = world.run(&["keys", "rotate", "seal"]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let mut counter = 0;
        await_true("every seed is under the new key", PATIENCE, || {
            assert!(accepts(&world.verifier, &hotp(K20, counter)), "{counter}");
            counter += 1;
            rows(&world) == [(1, 0), (2, 21)]
        });
        assert!(accepts(&world.verifier, &hotp(K20, counter)));
        assert!(accepts(&world.verifier, &hotp(&[7; 20], 0)));
    }
}

//! The key directory: without the right one nothing is served, and its keys change unnoticed.

use std::fs;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use serde_json::Value;

use crate::harness::{PATIENCE, Site, await_true};
use crate::world::{Issued, UNTHROTTLED, World, active, verify};

/// Starts a server that must refuse, and returns what it says.
#[track_caller]
fn refusal(site: &Site) -> String {
    let mut server = site.spawn("");
    let status = server.until_ended();
    assert_eq!(status.code(), Some(1), "{}", server.log());
    assert!(!fs::read_to_string(&server.stdout).unwrap().contains("http://"));
    server.log()
}

#[test]
fn a_server_without_the_keys_of_its_database_refuses_to_start_and_names_them() {
    let mut world = World::new("");
    let token = world.pat();
    assert!(world.server.stop().success());
    let site = &world.site;
    let keys = site.data().join("keys");
    let elsewhere = site.path("keys-elsewhere");

    fs::rename(&keys, &elsewhere).unwrap();
    let missing = refusal(site);
    assert!(missing.contains("pepper") && missing.contains("keys"), "{missing}");

    fs::create_dir(&keys).unwrap();
    let empty = refusal(site);
    assert!(empty.contains("pepper"), "{empty}");

    let other = Site::new();
    assert!(other.serve("").stop().success());
    fs::remove_dir(&keys).unwrap();
    fs::rename(other.data().join("keys"), &keys).unwrap();
    let foreign = refusal(site);
    assert!(foreign.contains("belongs to another installation"), "{foreign}");
    assert!(foreign.contains("-1.key has the fingerprint"), "{foreign}");

    // One missing key is as bad as all of them.
    fs::remove_dir_all(&keys).unwrap();
    copy(&elsewhere, &keys);
    let one = fs::read_dir(&keys).unwrap().map(|entry| entry.unwrap().path());
    let one = one.filter(|path| path.to_string_lossy().contains("seal")).max().unwrap();
    fs::remove_file(&one).unwrap();
    let name = one.file_stem().unwrap().to_string_lossy().into_owned();
    let said = refusal(site);
    assert!(said.contains(&name) || said.contains("seal"), "{said} names {name}");

    // Nothing was harmed by the attempts.
    fs::remove_dir_all(&keys).unwrap();
    fs::rename(&elsewhere, &keys).unwrap();
    world.serve_again("");
    assert_eq!(world.verify(&token.secret)["active"], true);
}

fn copy(from: &std::path::Path, to: &std::path::Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

/// What `keys list` says of the peppers: state and rows by number.
fn peppers(site: &Site) -> Vec<(u64, String, u64)> {
    let output = site.run(&["keys", "list", "--json"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let listed: Value = serde_json::from_slice(&output.stdout).unwrap();
    let items = listed["items"].as_array().unwrap().iter();
    let peppers = items.filter(|item| item["purpose"] == "pepper");
    peppers
        .map(|item| {
            let state = item["state"].as_str().unwrap().to_owned();
            (item["id"].as_u64().unwrap(), state, item["rows"].as_u64().unwrap_or(0))
        })
        .collect()
}

#[test]
fn a_pepper_rotates_under_load_and_no_good_token_is_refused() {
    const THREADS: usize = 8;
    const TOKENS: usize = 40;
    let mut world = World::new(UNTHROTTLED);
    let mut tokens: Vec<Issued> = (0..TOKENS).map(|_| world.pat()).collect();
    let (stop, uses) = (AtomicBool::new(false), AtomicU64::new(0));
    let more = std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (verifier, tokens, stop, uses) = (world.verifier.clone(), &tokens, &stop, &uses);
            scope.spawn(move || {
                for token in tokens.iter().cycle().skip(thread * TOKENS / THREADS) {
                    if stop.load(Ordering::Acquire) {
                        return;
                    }
                    let answer = verify(&verifier, &token.secret);
                    assert!(active(&answer), "{} is good: {}", token.id, answer.text());
                    uses.fetch_add(1, Ordering::AcqRel);
                }
            });
        }
        // Told to stop even when what follows fails, or the threads would never end.
        let outcome =
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| rotate_twice(&world, &uses)));
        stop.store(true, Ordering::Release);
        outcome.unwrap()
    });
    tokens.extend(more);
    await_true("what is used moves to the new key", PATIENCE, || {
        for token in &tokens {
            assert_eq!(world.verify(&token.secret)["active"], true);
        }
        world.admin.get("/tokens").expect(200);
        let peppers = peppers(&world.site);
        let old: u64 = peppers.iter().filter(|(_, state, _)| state == "retired").map(|p| p.2).sum();
        old == 0 && peppers.iter().any(|(_, state, rows)| state == "current" && *rows > 0)
    });
    assert_eq!(peppers(&world.site).len(), 3);
    // What was issued under each key is good, by a server that starts with all of them.
    assert!(world.server.stop().success());
    world.serve_again(UNTHROTTLED);
    for token in &tokens {
        assert_eq!(world.verify(&token.secret)["active"], true);
    }
}

/// Rotates the pepper twice. Returns tokens that were issued meanwhile.
fn rotate_twice(world: &World, uses: &AtomicU64) -> Vec<Issued> {
    let mut issued = Vec::new();
    for number in [2, 3] {
        let output = world.site.run(&["keys", "rotate", "pepper", "--json"]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let current = peppers(&world.site).into_iter().find(|(_, state, _)| state == "current");
        assert_eq!(current.unwrap().0, number);
        // The server takes it up by itself; new secrets are then hashed under it.
        await_true("new secrets use the new key", PATIENCE, || {
            issued.push(world.pat());
            let log = world.server.log();
            log.matches("the key ring has changed").count() + 1 >= number.try_into().unwrap()
        });
        let seen = uses.load(Ordering::Acquire);
        await_true("verifications go on", PATIENCE, || uses.load(Ordering::Acquire) > seen + 100);
    }
    issued
}

#[test]
fn a_first_start_that_fails_makes_no_installation_and_loses_no_key() {
    let site = Site::new();
    for broken in [
        "[server.tls]\ncert = \"none.pem\"\nkey = \"none.key\"",
        // An address that is not of this machine (RFC 5737).
        "metrics.listen = \"192.0.2.1:9\"",
    ] {
        let mut server = site.spawn(broken);
        assert!(!server.until_ended().success(), "{}", server.log());
        assert!(!site.data().join("counterfoil.db").exists(), "{}", server.log());
    }
    let server = site.serve("");
    assert_eq!(
        site.admin(&server).get("/tokens").expect(200)["items"].as_array().map(Vec::len),
        Some(1)
    );
}

//! `R/audit`: checkpoints, keys, proofs and entries, on every store.

use std::sync::Arc;

use counterfoil_authority::audit::note::{Checkpoint, VerifierKey};
use counterfoil_authority::audit::tree::{Hash, leaf_hash, proves_consistency, proves_inclusion};
use counterfoil_authority::audit::verify::Verifier;
use counterfoil_authority::authority::Settings;
use counterfoil_server::http::HttpSettings;
use counterfoil_store::MemoryStore;
use data_encoding::BASE64;
use serde_json::{Value, json};

use crate::world::{Engine, R, World};

fn hash(text: &Value) -> Hash {
    BASE64.decode(text.as_str().unwrap().as_bytes()).unwrap().try_into().unwrap()
}

fn hashes(list: &Value) -> Vec<Hash> {
    list.as_array().unwrap().iter().map(hash).collect()
}

async fn seal(world: &World) {
    while world.authority.seal_events().await.unwrap() {}
}

async fn checkpoint(world: &World) -> (Checkpoint, Vec<VerifierKey>) {
    let keys = world.get(&format!("{R}/audit/keys")).await;
    assert_eq!((keys.status, keys.header("content-type")), (200, "text/plain; charset=utf-8"));
    let keys: Vec<_> = keys.text.lines().map(|line| VerifierKey::parse(line).unwrap()).collect();
    let note = world.get(&format!("{R}/audit/checkpoint")).await;
    assert_eq!((note.status, note.header("content-type")), (200, "text/plain; charset=utf-8"));
    (Checkpoint::open(&note.text, &keys).unwrap(), keys)
}

#[tokio::test]
async fn a_log_proves_every_event_and_that_it_only_grew() {
    for engine in Engine::ALL {
        let world = World::on(engine).await;
        world.get(&format!("{R}/audit/checkpoint")).await.refused(404, "not-found");
        world.with_alice().await;
        seal(&world).await;
        let (first, _) = checkpoint(&world).await;
        for number in 0..20 {
            let group = json!({ "name": format!("g{number}") });
            world.post(&format!("{R}/groups"), group).await.expect(201);
        }
        let events = world.get(&format!("{R}/events?limit=1000")).await.expect(200);
        // Of one instant, so that any of them may be the first.
        let is_of_group = |event: &&Value| event["kind"] == "group.created";
        let newest = events["items"].as_array().unwrap().iter().find(is_of_group).unwrap();
        let newest = newest["id"].as_str().unwrap().to_owned();
        let inclusion = |id: &str| format!("{R}/audit/proofs/inclusion?event={id}");
        let waits = world.get(&inclusion(&newest)).await.expect(200);
        assert_eq!((&waits["state"], &waits["place"]), (&json!("waiting"), &json!(null)));
        seal(&world).await;
        let (second, keys) = checkpoint(&world).await;
        assert_eq!(second.size, first.size + 20);
        for event in events["items"].as_array().unwrap() {
            let found = world.get(&inclusion(event["id"].as_str().unwrap())).await.expect(200);
            assert_eq!((&found["state"], &found["size"]), (&json!("sealed"), &json!(second.size)));
            let text = found["entry"].as_str().unwrap();
            assert_eq!(serde_json::from_str::<Value>(text).unwrap()["id"], event["id"]);
            let leaf = leaf_hash(text.as_bytes());
            assert_eq!(leaf, hash(&found["leaf"]));
            let (place, path) = (found["place"].as_u64().unwrap(), hashes(&found["proof"]));
            assert!(proves_inclusion(&leaf, place, second.size, &path, &second.root));
        }
        let path = format!("{R}/audit/proofs/consistency?from={}", first.size);
        let proof = world.get(&path).await.expect(200);
        assert_eq!((&proof["from"], &proof["to"]), (&json!(first.size), &json!(second.size)));
        let proof = hashes(&proof["proof"]);
        let (from, to) = ((first.size, &first.root), (second.size, &second.root));
        assert!(proves_consistency(from, to, &proof));
        // In pages, with the tree before each of them.
        for from in [0, 3, second.size - 1, second.size] {
            let path = format!("{R}/audit/entries?from={from}&limit=1000");
            let page = world.get(&path).await.expect(200);
            let entries = page["entries"].as_array().unwrap();
            assert_eq!(
                (page["first"].as_u64(), entries.len() as u64),
                (Some(from), second.size - from)
            );
            let head = json!({ "counterfoil_audit_export": 1, "first": from,
                "origin": second.origin, "prefix": page["prefix"], "size": second.size });
            let note = world.get(&format!("{R}/audit/checkpoint")).await.text;
            let mut verifier = Verifier::new(keys.clone(), vec![]);
            verifier.line(format!("{head}\n").as_bytes()).unwrap();
            for entry in entries {
                verifier.line(format!("{}\n", entry.as_str().unwrap()).as_bytes()).unwrap();
            }
            verifier.line(format!("{}\n", json!({ "checkpoint": note })).as_bytes()).unwrap();
            assert_eq!(verifier.finish().unwrap().checkpoint, second);
        }
    }
}

#[tokio::test]
async fn what_the_log_does_not_have_is_refused() {
    let world = World::new().await;
    let alice = world.with_alice().await;
    seal(&world).await;
    let (log, _) = checkpoint(&world).await;
    let size = log.size;
    let get = async |path: &str| world.get(&format!("{R}/audit/{path}")).await;
    get("proofs/inclusion?event=0000").await.refused(404, "not-found");
    let events = world.get(&format!("{R}/events")).await.expect(200);
    let newest = events["items"][0]["id"].as_str().unwrap();
    for wrong in [0, 1, size + 1] {
        let path = format!("proofs/inclusion?event={newest}&size={wrong}");
        assert_eq!(get(&path).await.refused(422, "invalid")["field"], "size");
    }
    for (path, field) in [
        (format!("proofs/consistency?from=1&to={}", size + 1), "to"),
        (format!("proofs/consistency?from={}", size + 1), "from"),
        ("proofs/consistency?from=3&to=2".to_owned(), "from"),
        ("proofs/consistency?from=-1".to_owned(), "from"),
        (format!("entries?from={}", size + 1), "from"),
        ("entries?limit=1001".to_owned(), "limit"),
    ] {
        assert_eq!(get(&path).await.refused(422, "invalid")["field"], field, "{path}");
    }
    for path in
        ["checkpoint", "keys", "entries", "proofs/inclusion?event=x", "proofs/consistency?from=0"]
    {
        let path = format!("{R}/audit/{path}");
        world.call(&alice.gate, "GET", &path, json!(null)).await.refused(403, "insufficient-scope");
    }
}

/// Their hashes stay, and the rest is proved as before.
#[tokio::test]
async fn events_past_their_retention_leave_their_hashes() {
    let month = |rules: &mut Settings| rules.event_retention_days = Some(30);
    let store = Arc::new(MemoryStore::new());
    let world = World::ruled(store, month, HttpSettings::default()).await;
    world.with_alice().await;
    let before = world.get(&format!("{R}/events?limit=1000")).await.expect(200);
    seal(&world).await;
    let forget = async || {
        world.authority.purge().await.unwrap();
        while world.authority.forget_events().await.unwrap() {}
    };
    forget().await;
    let same = world.get(&format!("{R}/events?limit=1000")).await.expect(200);
    assert_eq!(same["items"], before["items"]);
    world.clock.advance_seconds(31 * 86_400);
    forget().await;
    seal(&world).await;
    let left = world.get(&format!("{R}/events?limit=1000")).await.expect(200);
    let kinds: Vec<&str> =
        left["items"].as_array().unwrap().iter().map(|one| one["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["events.removed"]);
    assert_eq!(left["items"][0]["count"], before["items"].as_array().unwrap().len());
    let id = before["items"][0]["id"].as_str().unwrap();
    let found = world.get(&format!("{R}/audit/proofs/inclusion?event={id}")).await.expect(200);
    assert_eq!((&found["state"], &found["entry"]), (&json!("sealed"), &json!(null)));
    let (log, _) = checkpoint(&world).await;
    let leaf = hash(&found["leaf"]);
    let place = found["place"].as_u64().unwrap();
    assert!(proves_inclusion(&leaf, place, log.size, &hashes(&found["proof"]), &log.root));
    let page = world.get(&format!("{R}/audit/entries?limit=1")).await.expect(200);
    assert!(page["entries"][0].as_str().unwrap().ends_with("\"removed\":true}"), "{page}");
}

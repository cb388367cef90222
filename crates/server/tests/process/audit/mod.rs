//! The audit log as an auditor meets it: kills, several nodes, a database that was tampered with,
//! and verifiers that nobody here wrote.

mod replay;
mod sumdb;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use counterfoil_authority::audit::note::{Checkpoint, VerifierKey};
use counterfoil_authority::audit::tree::{Hash, proves_consistency};
use counterfoil_server::clock::Stopwatch;
use serde_json::{Value, json};

use crate::harness::{PATIENCE, Site, await_some, await_true};
use crate::nodes::Nodes;
use crate::wire::{Api, Request, below_main};
use crate::world::{UNTHROTTLED, World, pat_body};

/// Kills of a server that seals.
const KILLS: usize = 4;
/// How often each of several nodes issues a few tokens, at most.
const STORM_MAX: u32 = 1000;

/// In this time the worker looks at what waits more than once.
const ROUNDS: Duration = Duration::from_secs(3);

/// The latest checkpoint as it is served.
fn note(api: &Api) -> String {
    let answer = api.get("/audit/checkpoint");
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.text()
}

fn keys(api: &Api) -> Vec<VerifierKey> {
    let text = api.get("/audit/keys").text();
    let keys: Vec<VerifierKey> =
        text.lines().map(|line| VerifierKey::parse(line).unwrap()).collect();
    assert!(!keys.is_empty(), "{text}");
    keys
}

fn open(api: &Api) -> Checkpoint {
    Checkpoint::open(&note(api), &keys(api)).unwrap()
}

/// Waits until everything that happened before is in the log.
fn sealed(api: &Api) -> Checkpoint {
    let newest = api.get("/events?limit=1").expect(200)["items"][0]["id"].clone();
    let path = format!("/audit/proofs/inclusion?event={}", newest.as_str().unwrap());
    await_true("the newest event is sealed", PATIENCE, || {
        api.get(&path).expect(200)["state"] == "sealed"
    });
    open(api)
}

fn hashes(proof: &Value) -> Vec<Hash> {
    let hash = |text: &Value| {
        let bytes = data_encoding::BASE64.decode(text.as_str().unwrap().as_bytes()).unwrap();
        bytes.try_into().unwrap()
    };
    proof.as_array().unwrap().iter().map(hash).collect()
}

/// Whether the log at `later` begins with `earlier`, by the server's proof.
fn continues(api: &Api, earlier: &Checkpoint, later: &Checkpoint) {
    let path = format!("/audit/proofs/consistency?from={}&to={}", earlier.size, later.size);
    let proof = hashes(&api.get(&path).expect(200)["proof"]);
    let (from, to) = ((earlier.size, &earlier.root), (later.size, &later.root));
    assert!(proves_consistency(from, to, &proof), "{earlier:?} {later:?}");
}

/// A command of the auditor's, with their key.
fn audit(site: &Site, api: &Api, arguments: &[&str]) -> Output {
    let mut command = site.binary();
    command.env("COUNTERFOIL_TOKEN", &api.key).arg("audit").args(arguments);
    if arguments[0] != "verify" {
        command.arg("--url").arg(format!("http://{}", api.address));
    }
    command.output().unwrap()
}

fn export(site: &Site, api: &Api, name: &str, from: u64) -> PathBuf {
    let path = site.path(name);
    let (file, from) = (path.to_str().unwrap(), from.to_string());
    let ran = audit(site, api, &["export", "--output", file, "--from", &from]);
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    path
}

fn verify(
    site: &Site,
    api: &Api,
    key: &str,
    files: &[&Path],
    since: &[&Path],
) -> Result<String, String> {
    let mut arguments = vec!["verify", "--key", key];
    arguments.extend(since.iter().flat_map(|path| ["--since", path.to_str().unwrap()]));
    arguments.extend(files.iter().map(|path| path.to_str().unwrap()));
    let ran = audit(site, api, &arguments);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    match ran.status.code() {
        Some(0) => Ok(text(&ran.stdout)),
        Some(1) => Err(text(&ran.stderr)),
        _ => panic!("{ran:?}"),
    }
}

fn issue(api: &Api, count: usize) {
    for _ in 0..count {
        api.post("/tokens", &pat_body(&json!({}))).expect(201);
    }
}

/// Takes the log away in two pieces, and checks them without a server.
#[test]
fn an_export_is_verified_with_nothing_but_the_public_key() {
    for mut world in World::on_each_store(UNTHROTTLED) {
        issue(&world.admin, 30);
        let first = sealed(&world.admin);
        let key = keys(&world.admin)[0].to_string();
        let one = export(&world.site, &world.admin, "one.audit", 0);
        let witnessed = world.site.path("kept.checkpoint");
        fs::write(&witnessed, note(&world.admin)).unwrap();
        issue(&world.admin, 300);
        let second = sealed(&world.admin);
        let two = export(&world.site, &world.admin, "two.audit", first.size);
        let whole = export(&world.site, &world.admin, "whole.audit", 0);
        continues(&world.admin, &first, &second);
        // Offline.
        world.server.stop();
        let (site, admin) = (&world.site, &world.admin);
        for files in [vec![&*one, &*two], vec![&*whole]] {
            let told = verify(site, admin, &key, &files, &[&witnessed]).unwrap();
            assert!(told.contains("are complete and unaltered"), "{told}");
        }
        // What was kept may also be an export, or the end of one.
        for since in [&one, &whole] {
            verify(site, admin, &key, &[&whole], &[since]).unwrap();
        }
        let end = site.path("end");
        let last = fs::read_to_string(&one).unwrap().lines().last().unwrap().to_owned();
        fs::write(&end, last + "\n").unwrap();
        verify(site, admin, &key, &[&whole], &[&end]).unwrap();
        let (two, one_file) = (two.to_str().unwrap(), one.to_str().unwrap());
        let wrong = audit(site, admin, &["verify", "--key", &key, two, one_file]);
        let told = String::from_utf8_lossy(&wrong.stderr).into_owned();
        assert_eq!(wrong.status.code(), Some(2), "{told}");
        assert!(told.contains("the files are not in their order"), "{told}");
        let gone = audit(site, admin, &["verify", "--key", &key, "gone.audit"]);
        assert_eq!(gone.status.code(), Some(2), "{gone:?}");
        // What is wrong, and where.
        let text = fs::read_to_string(&whole).unwrap();
        let changed = site.path("changed.audit");
        let lines: Vec<&str> = text.lines().collect();
        let forged = text.replacen(lines[20], &lines[20].replace("alice", "mallo"), 1);
        fs::write(&changed, forged).unwrap();
        let told = verify(site, admin, &key, &[&changed], &[]).unwrap_err();
        assert!(told.contains("line 21: entry 19 was altered after it was sealed"), "{told}");
        let told = verify(site, admin, &key, &[&one], &[]).unwrap();
        assert!(told.contains("complete"), "{told}");
        let kept = site.path("later.checkpoint");
        let last: Value = serde_json::from_str(lines[lines.len() - 1]).unwrap();
        fs::write(&kept, last["checkpoint"].as_str().unwrap()).unwrap();
        let told = verify(site, admin, &key, &[&one], &[&kept]).unwrap_err();
        assert!(told.contains("it was truncated"), "{told}");
    }
}

/// A hash alone proves that something was there, and not who took it away.
#[test]
fn events_that_were_taken_out_of_an_export_are_missed() {
    let mut world = World::new(UNTHROTTLED);
    issue(&world.admin, 10);
    sealed(&world.admin);
    let key = keys(&world.admin)[0].to_string();
    let file = export(&world.site, &world.admin, "whole.audit", 0);
    world.server.stop();
    let text = fs::read_to_string(&file).unwrap();
    let emptied = |line: &str| {
        let is_entry = line.starts_with("{\"event\":");
        (if is_entry { replay::without_its_event(line) } else { line.to_owned() }) + "\n"
    };
    let changed = world.site.path("changed.audit");
    for all in [false, true] {
        let line = |(number, line): (usize, &str)| {
            if all || number == 4 { emptied(line) } else { format!("{line}\n") }
        };
        fs::write(&changed, text.lines().enumerate().map(line).collect::<String>()).unwrap();
        let told = verify(&world.site, &world.admin, &key, &[&changed], &[]).unwrap_err();
        assert!(told.contains("is not proved") && !told.contains("complete"), "{told}");
        let name = changed.to_str().unwrap();
        let ran =
            audit(&world.site, &world.admin, &["verify", "--allow-removed", "--key", &key, name]);
        let told = String::from_utf8_lossy(&ran.stdout).into_owned();
        assert!(ran.status.success(), "{ran:?}");
        assert!(told.contains("missing") && !told.contains("complete"), "{told}");
    }
}

/// Whoever has the database and no key puts former rows back, and gets no second signature for a
/// place that has one.
#[test]
fn a_log_that_was_put_back_under_a_server_gets_no_signature() {
    let world = World::new(UNTHROTTLED);
    issue(&world.admin, 3);
    sealed(&world.admin);
    let raw = rusqlite::Connection::open(world.site.data().join("counterfoil.db")).unwrap();
    raw.busy_timeout(PATIENCE).unwrap();
    raw.execute_batch(
        "create table kept_log as select * from audit_log;
         create table kept_tile as select * from audit_tile;",
    )
    .unwrap();
    issue(&world.admin, 3);
    let before = sealed(&world.admin);
    raw.execute_batch(
        "begin immediate;
         delete from audit_log; insert into audit_log select * from kept_log;
         delete from audit_tile; insert into audit_tile select * from kept_tile;
         update audit_log set witnessed = 0;
         commit;",
    )
    .unwrap();
    issue(&world.admin, 3);
    await_true("it says so", PATIENCE, || {
        let log = world.server.log();
        log.contains("the audit log of main is damaged") && log.contains("it was cut off")
    });
    assert!(open(&world.admin).size < before.size);
    // Other realms go on.
    world.admin.post("/api/v1/realms", &json!({ "name": "labs" })).expect(201);
    let group = json!({ "name": "readers" });
    world.admin.post("/api/v1/realms/labs/groups", &group).expect(201);
    await_true("labs has its log", PATIENCE, || {
        world.admin.get("/api/v1/realms/labs/audit/checkpoint").status == 200
    });
    // And it does not begin anew where there is none.
    raw.execute_batch("delete from audit_log; delete from audit_tile; delete from audit_node;")
        .unwrap();
    issue(&world.admin, 1);
    let watch = Stopwatch::start();
    while watch.elapsed() < ROUNDS {
        assert_eq!(world.admin.get("/audit/checkpoint").status, 404);
    }
}

/// Whoever changes the database past the server is found by `doctor`, and gets no signature.
#[test]
fn a_database_that_was_tampered_with_is_found() {
    let mut world = World::new(UNTHROTTLED);
    issue(&world.admin, 20);
    sealed(&world.admin);
    world.server.stop();
    let database = world.site.data().join("counterfoil.db");
    let sound = fs::read(&database).unwrap();
    let doctor = |world: &World| {
        let ran = world.run(&["doctor", "--deep", "--json"]);
        let findings: Value = serde_json::from_slice(&ran.stdout).unwrap();
        let findings = findings["findings"].as_array().unwrap().clone();
        let log: Vec<Value> =
            findings.into_iter().filter(|one| one["check"] == "audit log").collect();
        log[0].clone()
    };
    assert_eq!(doctor(&world)["status"], "ok");
    let tampered = [
        (
            "update event set actor = 'user:mallory' where id = (select max(id) from event)",
            "was altered",
        ),
        ("delete from event where id = (select min(id) from event)", "is missing"),
        ("update audit_tile set hashes = zeroblob(length(hashes))", "was altered"),
        ("delete from audit_tile", "are missing"),
        ("update audit_log set size = size - 1, roots = zeroblob(0)", "damaged"),
        ("update audit_log set size = size - 1", "does not fit its checkpoint"),
        ("update audit_log set witnessed = 1000000", "the witness is said to have 1000000"),
        ("delete from audit_log", "the head of its log is gone"),
        (
            "delete from audit_log; delete from audit_tile; delete from audit_node",
            "its log is gone",
        ),
        (
            "create temporary table put as select * from event order by id limit 1 offset 3;
             update put set id = substr(id, 1, 20) || '0000';
             insert into event select * from put",
            "is in no log, and waits for none",
        ),
        ("update audit_log set note = replace(note, '\n', ' ')", "no signed checkpoint"),
    ];
    for (statement, told) in tampered {
        fs::write(&database, &sound).unwrap();
        let raw = rusqlite::Connection::open(&database).unwrap();
        raw.execute_batch(statement).unwrap();
        raw.close().unwrap();
        let finding = doctor(&world);
        assert_eq!(finding["status"], "fail", "{statement}: {finding}");
        assert!(finding["found"].as_str().unwrap().contains(told), "{statement}: {finding}");
    }
}

/// What was served before a kill is what the log goes on from.
#[test]
fn a_server_that_is_killed_while_it_seals_goes_on_from_every_checkpoint_it_served() {
    for mut world in World::on_each_store(UNTHROTTLED) {
        let mut served: BTreeMap<u64, Checkpoint> = BTreeMap::new();
        for kill in 0..KILLS {
            let before = sealed(&world.admin).size;
            let admin = world.admin.clone();
            std::thread::scope(|scope| {
                let storm = scope.spawn(move || {
                    let body = pat_body(&json!({}));
                    let issue = || Request::new("POST", below_main("/tokens")).json(&body);
                    while admin.try_send(issue()).is_ok() {}
                });
                let looker = world.admin.clone();
                let enough = before + 40 + 60 * kill as u64;
                await_some("the log grows", PATIENCE, || {
                    let checkpoint = open(&looker);
                    served.insert(checkpoint.size, checkpoint.clone());
                    (checkpoint.size > enough).then_some(())
                });
                world.server.kill9();
                storm.join().unwrap();
            });
            world.serve_again(UNTHROTTLED);
            let now = sealed(&world.admin);
            for earlier in served.values() {
                continues(&world.admin, earlier, &now);
            }
        }
        assert!(served.len() > KILLS, "{}", served.len());
        let key = keys(&world.admin)[0].to_string();
        let file = export(&world.site, &world.admin, "all.audit", 0);
        verify(&world.site, &world.admin, &key, &[&file], &[]).unwrap();
        // Each event once.
        let events: Vec<Value> = fs::read_to_string(&file)
            .unwrap()
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).unwrap().get("event").cloned())
            .collect();
        let ids: std::collections::BTreeSet<&str> =
            events.iter().map(|event| event["id"].as_str().unwrap()).collect();
        assert_eq!(ids.len(), events.len());
    }
}

/// Three nodes on one database, all of which would seal: every checkpoint that any of them served
/// is a beginning of the next one.
#[test]
fn several_nodes_never_fork_a_log() {
    let nodes = Nodes::new();
    let mut served: BTreeMap<u64, Checkpoint> = BTreeMap::new();
    sealed(&nodes.nodes[0].admin);
    let enough = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for node in &nodes.nodes {
            let (admin, enough) = (node.admin.clone(), &enough);
            // An end of its own, so that a test that fails does not wait for it for ever.
            scope.spawn(move || {
                (0..STORM_MAX).take_while(|_| !enough.load(Relaxed)).for_each(|_| issue(&admin, 5));
            });
        }
        let lookers: Vec<Api> = nodes.nodes.iter().map(|node| node.admin.clone()).collect();
        await_some("the log grows", PATIENCE, || {
            for looker in &lookers {
                let now = open(looker);
                let known = served.entry(now.size).or_insert_with(|| now.clone());
                assert_eq!(known.root, now.root, "two logs of {}", now.size);
            }
            (served.len() >= 4).then_some(())
        });
        enough.store(true, Relaxed);
    });
    let admin = &nodes.nodes[0].admin;
    let last = sealed(admin);
    for earlier in served.values() {
        continues(admin, earlier, &last);
    }
}

/// A witness gets every later checkpoint, also after it was away; a directory keeps the latest.
#[test]
fn a_witness_gets_checkpoints_and_is_tried_again() {
    let site = Site::new();
    let dir = site.path("witness");
    let settings = format!(
        "{UNTHROTTLED}\naudit.witness_dir = \"{}\"\naudit.witness_interval_seconds = 1",
        dir.display()
    );
    let world = World::at(site, &settings);
    issue(&world.admin, 3);
    sealed(&world.admin);
    await_true("the failure is told", PATIENCE, || {
        world.server.log().contains("the witness did not take the checkpoint of main")
    });
    fs::create_dir(&dir).unwrap();
    let kept = dir.join("main.checkpoint");
    let keys = keys(&world.admin);
    let now = sealed(&world.admin);
    await_true("the witness has it", PATIENCE, || {
        let note = fs::read_to_string(&kept).unwrap_or_default();
        Checkpoint::open(&note, &keys).is_ok_and(|checkpoint| checkpoint.size >= now.size)
    });
}

/// Under the new key from the next event on; what was signed before stays good.
#[test]
fn a_rotated_key_signs_later_checkpoints_and_the_former_one_still_verifies() {
    let world = World::new(UNTHROTTLED);
    sealed(&world.admin);
    let before = note(&world.admin);
    let former = keys(&world.admin);
    let ran = world.run(&["keys", "rotate", "checkpoint"]);
    assert!(ran.status.success(), "{ran:?}");
    await_true("the key is taken up", PATIENCE, || keys(&world.admin).len() == 2);
    issue(&world.admin, 1);
    sealed(&world.admin);
    let all = keys(&world.admin);
    assert_eq!(all[1..], former);
    assert!(Checkpoint::open(&note(&world.admin), &all[..1]).is_ok());
    assert!(Checkpoint::open(&note(&world.admin), &former).is_err());
    assert!(Checkpoint::open(&before, &all).is_ok());
}

//! Our checkpoints and proofs under Go's `sumdb/note` and `sumdb/tlog`, as Debian packages them.

use std::fs;
use std::io::Write as _;
use std::process::{Command, Stdio};

use data_encoding::BASE64;
use serde_json::Value;

use super::{issue, keys, note, sealed};
use crate::harness::Site;
use crate::wire::Api;
use crate::world::{UNTHROTTLED, World};

const PROGRAM: &str = include_str!("main.go");

/// Builds the program against what the system has, without any network.
fn built(site: &Site) -> std::path::PathBuf {
    let source = site.path("sumdb");
    fs::create_dir(&source).unwrap();
    fs::write(source.join("main.go"), PROGRAM).unwrap();
    let program = site.path("sumdb-verify");
    let ran = Command::new("go")
        .current_dir(&source)
        .env("GOPATH", "/usr/share/gocode")
        .env("GO111MODULE", "off")
        .env("GOFLAGS", "")
        .env("GOPROXY", "off")
        .env("GOCACHE", site.path("go-cache"))
        .args(["build", "-o"])
        .arg(&program)
        .arg("main.go")
        .output()
        .unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    program
}

fn asked(program: &std::path::Path, lines: &[String]) -> (bool, String) {
    let mut child =
        Command::new(program).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    // It may have ended at a line before.
    let _ = child.stdin.take().unwrap().write_all((lines.join("\n") + "\n").as_bytes());
    let ran = child.wait_with_output().unwrap();
    (ran.status.success(), String::from_utf8_lossy(&ran.stdout).trim().to_owned())
}

fn joined(proof: &Value) -> String {
    let hashes: Vec<&str> =
        proof.as_array().unwrap().iter().map(|hash| hash.as_str().unwrap()).collect();
    hashes.join(",")
}

fn inclusion(api: &Api, event: &Value) -> String {
    let id = event["id"].as_str().unwrap();
    let found = api.get(&format!("/audit/proofs/inclusion?event={id}")).expect(200);
    let text = BASE64.encode(found["entry"].as_str().unwrap().as_bytes());
    format!("inclusion {} {text} {}", found["place"], joined(&found["proof"]))
}

#[test]
fn go_accepts_checkpoints_and_proofs_and_refuses_wrong_ones() {
    let world = World::new(UNTHROTTLED);
    let program = built(&world.site);
    let mut lines: Vec<String> =
        keys(&world.admin).iter().map(|key| format!("key {key}")).collect();
    let mut checks = 0;
    let mut last: Option<u64> = None;
    // Up to more than one row of the store.
    for more in [1, 2, 60, 250] {
        issue(&world.admin, more);
        let now = sealed(&world.admin);
        lines.push(format!("checkpoint {}", BASE64.encode(note(&world.admin).as_bytes())));
        checks += 1;
        if let Some(earlier) = last {
            let path = format!("/audit/proofs/consistency?from={earlier}&to={}", now.size);
            let proof = &world.admin.get(&path).expect(200)["proof"];
            lines.push(format!("consistency {}", joined(proof)));
            checks += 1;
        }
        last = Some(now.size);
        let events = world.admin.get("/events?limit=1000").expect(200);
        let events = events["items"].as_array().unwrap().clone();
        for event in events.iter().step_by(17).chain(events.last()) {
            lines.push(inclusion(&world.admin, event));
            checks += 1;
        }
    }
    assert_eq!(asked(&program, &lines), (true, format!("ok {checks}")));
    // The same program refuses what is wrong, so that its yes means something.
    for (word, with) in [("checkpoint ", "A"), ("inclusion ", "A"), ("consistency ", "A")] {
        let place = lines.iter().rposition(|line| line.starts_with(word)).unwrap();
        let mut wrong = lines.clone();
        let end = wrong[place].len() - 20;
        let other = if wrong[place].as_bytes()[end] == b'A' { "B" } else { with };
        wrong[place].replace_range(end..=end, other);
        let (good, told) = asked(&program, &wrong);
        assert!(!good && told.starts_with(&format!("line {}:", place + 1)), "{told}");
    }
}

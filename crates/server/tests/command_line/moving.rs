//! An installation moves from one database file to another: what is printed, and what is refused.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use crate::world::{Server, World};

const FROM: &str = "sqlite:data/counterfoil.db";
const TO: &str = "sqlite:moved/counterfoil.db";

/// The table names, counts and checksums of a copy that is complete.
fn tables(printed: &str) -> Vec<Vec<&str>> {
    let cells = |line: &'_ str| line.split_whitespace().count() == 3;
    printed
        .lines()
        .filter(|line| cells(line))
        .map(|line| line.split_whitespace().collect())
        .collect()
}

#[test]
fn a_copy_says_what_it_has_done_and_serves_the_same_secrets() {
    let world = World::new();
    let key = world.initialised();
    let ran = world.run(&["store", "copy", FROM, TO]);
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    assert!(ran.stdout.contains("TABLE"), "{}", ran.stdout);
    let listed = tables(&ran.stdout);
    let token = listed.iter().find(|cells| cells[0] == "token").unwrap();
    assert_eq!((token[1], token[2].len()), ("1", 64));
    assert!(ran.stdout.contains("rows, the same on both sides"), "{}", ran.stdout);
    // Without a terminal a line tells of each table, in both phases.
    assert!(ran.stderr.contains("copying token: "), "{}", ran.stderr);
    assert!(ran.stderr.contains("comparing token: "), "{}", ran.stderr);

    let back = world.run(&["store", "copy", TO, "sqlite:back.db", "--json"]);
    assert_eq!(back.status, 0, "{}", back.stderr);
    let said: serde_json::Value = serde_json::from_str(&back.stdout).unwrap();
    for (cells, table) in listed.iter().skip(1).zip(said["tables"].as_array().unwrap()) {
        assert_eq!(table["table"], cells[0]);
        assert_eq!(
            (table["rows"].to_string(), &table["sha256"]),
            (cells[1].into(), &cells[2].into())
        );
    }

    let (server, printed) = Server::start(&world, &["--database", "sqlite:back.db"]);
    assert!(!printed.contains("new installation"), "{printed}");
    let api = printed.lines().find_map(|line| line.strip_prefix("  API")).unwrap();
    let url = api.trim().strip_suffix("/api/v1").unwrap();
    let caller = [("COUNTERFOIL_URL", url), ("COUNTERFOIL_TOKEN", &key)];
    let listed = world.run_with(&["client", "list"], "", &caller);
    assert_eq!(listed.status, 0, "{}", listed.stderr);
    assert_eq!(server.terminate(), 0);
}

#[test]
fn no_copy_is_made_of_what_is_served_or_over_what_is_there() {
    let world = World::new();
    world.initialised();
    let (server, _) = Server::start(&world, &[]);
    let refused = world.run(&["store", "copy", FROM, TO]);
    assert_eq!(refused.status, 1, "{}", refused.stderr);
    assert!(refused.stderr.contains("another counterfoil is running"), "{}", refused.stderr);
    assert_eq!(server.terminate(), 0);

    assert_eq!(world.run(&["store", "copy", FROM, TO]).status, 0);
    let again = world.run(&["store", "copy", FROM, TO, "--json"]);
    assert_eq!(again.status, 1);
    assert!(again.stderr.contains("the target is not empty"), "{}", again.stderr);
    let missing = world.run(&["store", "copy", "sqlite:nowhere/x.db", "sqlite:y.db"]);
    assert_eq!(missing.status, 3, "{}", missing.stderr);
    assert!(missing.stderr.contains("the source: "), "{}", missing.stderr);
    assert!(!world.path("nowhere").exists() && !world.path("y.db").exists());
}

#[test]
fn no_password_of_a_database_is_repeated() {
    let world = World::new();
    for url in ["postgre://me:hunter2@db/cf", "postgres://me:hunter2@127.0.0.1:1/cf"] {
        for (from, to) in [(url, TO), (FROM, url)] {
            world.run(&["init", "--data", "data"]);
            let ran = world.run(&["store", "copy", from, to]);
            assert!([2, 3].contains(&ran.status), "{} {}", ran.status, ran.stderr);
            assert!(!(ran.stdout + &ran.stderr).contains("hunter2"));
        }
    }
    // From standard input, where nobody else sees it.
    let ran = world.run_with_input(&["store", "copy", FROM, "-"], "postgre://me:hunter2@db/cf\n");
    assert_eq!((ran.status, ran.stderr.contains("TO: a database is written")), (2, true));
    assert!(!ran.stderr.contains("hunter2"), "{}", ran.stderr);
    let both = format!("{FROM}\n{TO}\n");
    let ran = world.run_with_input(&["store", "copy", "-", "-"], &both);
    assert_eq!(ran.status, 0, "{}", ran.stderr);
}

/// Killed as soon as it says that a table is done, at another one each time.
#[test]
fn a_copy_that_is_killed_is_not_served_and_goes_on() {
    let world = World::new();
    world.initialised();
    for table in ["copying installation", "copying realm", "copying event", "comparing token"] {
        let mut command = world.command(&["store", "copy", FROM, TO]);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let reached = lines.map(Result::unwrap).any(|line| line.starts_with(table));
        // It may be done by now; what is left then is tested all the same.
        let _ = child.kill();
        let killed = !child.wait().unwrap().success();
        assert!(reached, "{table}");
        if killed {
            let served = world.run(&["doctor", "--data", "data", "--database", TO]);
            assert_eq!(served.status, 1, "{}", served.stdout);
            assert!(served.stdout.contains("unfinished copy"), "{}", served.stdout);
            let served = world.run(&["serve", "--data", "data", "--database", TO]);
            assert_eq!(served.status, 1);
            assert!(served.stderr.contains("unfinished copy"), "{}", served.stderr);
        }
    }
    let ran = world.run(&["store", "copy", FROM, TO]);
    let done = ran.status == 0 || ran.stderr.contains("the target is not empty");
    assert!(done, "{}", ran.stderr);
    assert_eq!(world.run(&["doctor", "--data", "data", "--database", TO]).status, 0);
}

#[test]
fn a_database_that_was_moved_away_from_is_refused_until_it_is_copied_back() {
    let world = World::new();
    world.initialised();
    let ran = world.run(&["store", "copy", FROM, TO]);
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    for command in [
        &["serve"][..],
        &["admin", "recover"],
        &["keys", "list"],
        &["keys", "rotate", "pepper"],
        &["doctor"],
        &["migrate"],
        &["backup", "saved.cfb", "--passphrase-file", "-"],
    ] {
        let refused =
            world.run_with_input(&[command, &["--data", "data"]].concat(), "long enough it is\n");
        let said = refused.stdout + &refused.stderr;
        assert_eq!(refused.status, 1, "{command:?}: {said}");
        assert!(said.contains("was moved to sqlite:moved/counterfoil.db on 20"), "{said}");
        assert!(said.contains("--database"), "{said}");
    }
    assert_eq!(world.run(&["doctor", "--data", "data", "--database", TO]).status, 0);
    // Put away it is not replaced by an empty one either.
    std::fs::rename(world.path("data/counterfoil.db"), world.path("old.db")).unwrap();
    let refused = world.run(&["serve", "--data", "data"]);
    assert!(refused.stderr.contains("was moved to"), "{}", refused.stderr);
    assert!(!world.path("data/counterfoil.db").exists());

    let ran = world.run(&["store", "copy", TO, FROM]);
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    assert_eq!(world.run(&["doctor", "--data", "data"]).status, 0);
    assert_eq!(world.run(&["doctor", "--data", "data", "--database", TO]).status, 1);
}

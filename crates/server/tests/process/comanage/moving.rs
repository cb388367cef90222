//! Moving over from COmanage Registry (A18): after the import the old tokens verify, wrong ones do
//! not, and none of them lies in the database.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use ldap3_proto::proto::LdapResultCode;
use serde_json::{Value, json};

use super::{Needles, dump, is_good, nothing_in_files};
use crate::harness::{PATIENCE, Site, await_true};
use crate::ldap;
use crate::world::{UNTHROTTLED, World, authz, service, user};

/// Who has what, by the row it came from: a token of the old plugin (15 and 8 characters), a
/// password kept as salted SHA-1, as bcrypt and in clear, which two services share.
const GOOD: [(&str, &str, &str); 7] = [
    ("plee", "wiki", "Vb3kT9xQm2LrZ7p"),
    ("mkim", "wiki", "q7Rt2LmX"),
    ("plee", "imap", "t5mw-8kcr-2hxa-vz4n"),
    ("plee", "hpc", "t5mw-8kcr-2hxa-vz4n"),
    ("mkim", "imap", "g7pd-3nqy-w9eb-5kvs"),
    ("rkhan", "imap", "d8sk-4vyp-q3mh-7wte"),
    ("PLEE", "imap", "t5mw-8kcr-2hxa-vz4n"),
];

/// A wrong secret, an older row, of somebody else, for another service, of one who is not in the
/// group, who is locked, who is suspended, one from a manual, and hashes as they lay there.
const BAD: [(&str, &str, &str); 11] = [
    ("plee", "wiki", "Vb3kT9xQm2LrZ7q"),
    ("plee", "wiki", "Zk4mW8vBn3TsY6d"),
    ("mkim", "wiki", "Vb3kT9xQm2LrZ7p"),
    ("plee", "wiki", "t5mw-8kcr-2hxa-vz4n"),
    ("mkim", "hpc", "g7pd-3nqy-w9eb-5kvs"),
    ("tvo", "imap", "h2fx-6rtb-m8ka-c4ze"),
    ("jdoe", "imap", "n3ya-9wkd-r6cp-x2ms"),
    ("jdoe", "wiki", "rasmuslerdorf"),
    ("plee", "imap", "t5mw8kcr2hxavz4n"),
    ("mkim", "imap", "$2y$10$Lr5WmYb1Hc7Kq3vXo9TzOe"),
    ("nobody", "imap", "t5mw-8kcr-2hxa-vz4n"),
];

fn import(site: &Site, paths: &[PathBuf], more: &[&str]) -> Value {
    let paths: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
    let mut arguments = vec!["import", "comanage", "--json"];
    arguments.extend(more);
    arguments.extend(paths.iter().map(String::as_str));
    let output = site.run(&arguments);
    let fault = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{fault}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn total(report: &Value, what: &str) -> u64 {
    report["tables"].as_object().unwrap().values().map(|count| count[what].as_u64().unwrap()).sum()
}

/// At the API, at forward-auth, and as the password of a bind.
fn decides_as_comanage_did(world: &World) {
    let mut door = world.ldap();
    let asks = GOOD.map(|one| (one, true)).into_iter().chain(BAD.map(|one| (one, false)));
    for (one @ (user, service, secret), good) in asks {
        assert_eq!(is_good(world, one), good, "{one:?}");
        let status = world.admin.raw(&authz(&format!("{service}/x"), user, secret)).status;
        assert_eq!(status, if good { 200 } else { 401 }, "{one:?} at forward-auth");
        let code = door.bind(&ldap::person(user, service), secret);
        assert_eq!(code == LdapResultCode::Success, good, "{one:?} binds: {code:?}");
    }
}

/// The clear secrets of the dumps, and the ends of the hashes that were taken over.
fn secrets() -> Needles {
    let dumped = std::fs::read_to_string(dump("postgresql.sql")).unwrap();
    let hashes = dumped.split(['\t', '\n']).filter(|field| {
        let is_bcrypt = field.starts_with("$2y$");
        // Twenty bytes of SHA-1 and four of salt.
        is_bcrypt || (field.len() == 32 && field.contains(char::is_uppercase))
    });
    let ends: Vec<&str> = hashes.map(|hash| &hash[hash.len() - 24..]).collect();
    assert!(ends.len() >= 5, "the dump has other hashes than this test knows");
    let clear = GOOD.iter().chain(&BAD[..8]).map(|(_, _, secret)| *secret);
    Needles::of(clear.chain(ends))
}

/// Imports a dump twice, after a try, into an installation whose server does not run.
fn imports_once(site: &Site, name: &str) {
    let paths = [dump(name)];
    let tried = import(site, &paths, &["--dry-run"]);
    assert_eq!(tried["dry_run"], true);
    let done = import(site, &paths, &[]);
    assert_eq!(tried["tables"], done["tables"], "{name}: the dry run said something else");
    assert_eq!(tried["left_out"], done["left_out"]);
    assert_eq!(done["tables"]["cm_co_services"]["new"], 4, "{done:#}");
    assert_eq!(done["tables"]["cm_co_service_tokens"]["new"], 2, "{done:#}");
    assert_eq!(done["tables"]["cm_passwords"]["new"], 10, "{done:#}");
    assert_eq!(done["tables"]["cm_cous"]["new"], 2, "{done:#}");
    assert_eq!(done["tables"]["cm_co_groups"]["new"], 2, "{done:#}");
    assert_eq!(done["tables"]["cm_co_group_members"]["new"], 2, "{done:#}");
    let again = import(site, &paths, &[]);
    assert_eq!(total(&again, "new"), 0, "{again:#}");
    assert_eq!(total(&again, "kept"), total(&done, "new"));
}

#[test]
fn a18_tokens_of_a_dump_keep_verifying_and_lie_nowhere_in_clear() {
    let settings = format!("{UNTHROTTLED}\nlog.level = \"trace\"");
    for name in ["mysql.sql", "postgresql.sql"] {
        for mut world in World::on_each_store(&settings) {
            assert!(world.server.stop().success());
            imports_once(&world.site, name);
            world.serve_again(&settings);
            decides_as_comanage_did(&world);
            nothing_in_files(&mut world, &secrets(), "imaps://imap.myvo.org/");
        }
    }
}

#[test]
fn what_is_left_out_is_told_with_its_line_and_without_its_secret() {
    let site = Site::new();
    assert!(site.serve("").stop().success());
    let report = import(&site, &[dump("postgresql.sql")], &["--dry-run"]);
    let left_out: Vec<String> = report["left_out"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| format!("{} {}", row["table"].as_str().unwrap(), row["id"]))
        .collect();
    for wanted in [
        "cm_co_people 61",
        "cm_co_people 63",
        "cm_co_people 66",
        "cm_co_service_tokens 3",
        "cm_co_service_tokens 4",
        "cm_co_service_tokens 5",
        "cm_passwords 27",
        "cm_co_group_members 2",
    ] {
        assert!(left_out.contains(&wanted.to_owned()), "{wanted}: {report:#}");
    }
    assert_eq!(left_out.len(), 8, "{left_out:?}");
    let text = report.to_string();
    for (_, _, secret) in GOOD.iter().chain(&BAD[..8]) {
        assert!(!text.contains(secret), "the report holds {secret}");
    }
    let line = report["left_out"][0]["place"].as_str().unwrap();
    assert!(line.contains("postgresql.sql:"), "{line}");
}

#[test]
fn people_come_with_their_units_and_their_groups() {
    for world in World::on_each_store(UNTHROTTLED) {
        let report = import(&world.site, &[dump("mysql.sql")], &[]);
        let units = world.admin.get("/units").expect(200);
        let unit = |name: &str| {
            let found = units["items"].as_array().unwrap().iter().find(|unit| unit["name"] == name);
            found.unwrap().clone()
        };
        let (physics, optics) = (unit("Physics"), unit("Optics"));
        assert_eq!(units["items"].as_array().unwrap().len(), 2, "a former row is none");
        assert_eq!(optics["parent"], physics["id"]);
        let get = |path: &str| world.admin.get(path).expect(200);
        assert_eq!(get("/users/plee")["unit"], physics["id"]);
        assert_eq!(get("/users/mkim")["unit"], physics["id"], "one of two");
        assert_eq!(get("/users/rkhan")["unit"], Value::Null, "the role has expired");
        assert_eq!(get("/services/attic")["unit"], optics["id"]);
        assert_eq!(get("/users/plee")["groups"], json!(["hpc users", "writers"]));
        let told =
            report["remarks"].as_array().unwrap().iter().any(|remark| {
                remark["id"] == 59 && remark["why"].as_str().unwrap().contains("2 COUs")
            });
        assert!(told, "{report:#}");
    }
}

/// Every block of commands of the guide, in its order.
fn commands_of_the_guide() -> String {
    let guide = include_str!("../../../../../docs/guide/move-from-comanage.md");
    let blocks = guide.split("\n```sh\n").skip(1).filter_map(|rest| rest.split("\n```").next());
    blocks.collect::<Vec<_>>().join("\n")
}

#[test]
fn the_commands_of_the_guide_move_an_installation() {
    let world = World::new(UNTHROTTLED);
    // The database of a Registry: a program that prints the dump, if it is asked for every table.
    let programs = world.site.path("programs");
    fs::create_dir(&programs).unwrap();
    let dumped = dump("mysql.sql").canonicalize().unwrap();
    let script = format!("#!/bin/sh\n[ $# -eq 16 ] && cat {}\n", dumped.display());
    let mysqldump = programs.join("mysqldump");
    fs::write(&mysqldump, script).unwrap();
    fs::set_permissions(&mysqldump, fs::Permissions::from_mode(0o755)).unwrap();
    let binary = Path::new(env!("CARGO_BIN_EXE_counterfoil")).parent().unwrap();
    let search = std::env::var("PATH").unwrap();
    let output = Command::new("sh")
        .args(["-e", "-c", &commands_of_the_guide()])
        .current_dir(world.site.path(""))
        .env_clear()
        .env("PATH", format!("{}:{}:{search}", programs.display(), binary.display()))
        .env("COUNTERFOIL_DATA__DIR", world.site.data())
        .env("COUNTERFOIL_URL", format!("http://{}", world.server.address))
        .env("COUNTERFOIL_TOKEN", &world.admin.key)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        printed.contains("WOULD BE NEW") && printed.contains("this was a dry run"),
        "{printed}"
    );
    assert!(!world.site.path("registry.sql").exists());
    // The last command takes the imported hashes of one service away.
    for one in GOOD {
        assert_eq!(is_good(&world, one), one.1 != "imap", "{one:?}");
    }
}

#[test]
fn an_import_that_makes_no_sense_is_refused_before_anything_changes() {
    let world = World::new(UNTHROTTLED);
    let written = |name: &str, text: &str| {
        fs::write(world.site.path(name), text).unwrap();
        world.site.path(name).display().to_string()
    };
    let whole = dump("mysql.sql").display().to_string();
    let two = written("two.sql", "INSERT INTO cm_co_people (id, co_id) VALUES (1, 2), (2, 3);\n");
    let none = written("none.sql", "SELECT 1;\n");
    let other = written("cm_others.csv", "id\n1\n");
    let before = world.admin.get("/events?limit=1000").expect(200);
    for (arguments, code, why) in [
        (&[&*two][..], 1, "name one with --co"),
        (&[&*two, "--co", "4"], 1, "there is nothing of CO 4"),
        (&[&*none], 1, "neither services nor people"),
        (&[&*other], 1, "named after none of the tables"),
        (&["no-such.sql"], 1, "no-such.sql"),
        (&[&*whole, "--realm", "nowhere"], 1, "there is no such realm"),
        (&[&*whole, "--realm", "No Realm"], 2, "No Realm"),
        (&[], 2, "PATH"),
    ] {
        let mut all = vec!["import", "comanage"];
        all.extend(arguments);
        let output = world.site.run(&all);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
        assert!(said.contains(why), "{arguments:?}: {said}");
    }
    assert_eq!(world.admin.get("/events?limit=1000").expect(200), before);
}

#[test]
fn a_file_that_breaks_off_is_refused_with_its_line_and_nothing_is_taken_over() {
    let world = World::new(UNTHROTTLED);
    let whole = fs::read_to_string(dump("postgresql.sql")).unwrap();
    let path = world.site.path("broken.sql");
    let people = |world: &World| {
        world.admin.get("/users?limit=1000").expect(200)["items"].as_array().unwrap().len()
    };
    let before = people(&world);
    let (head, _) = whole.split_once("Min-jun").unwrap();
    let row = "7\t2\t\\N";
    let short = whole.replacen(row, "7", 1);
    assert_ne!(short, whole, "the dump has no such row");
    for text in [head, short.as_str()] {
        fs::write(&path, text).unwrap();
        let output = world.site.run(&["import", "comanage", path.to_str().unwrap()]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{said}");
        let line = said.split_once("broken.sql:").and_then(|(_, rest)| rest.split(':').next());
        assert!(line.is_some_and(|line| line.parse::<usize>().is_ok()), "{said}");
        assert!(said.contains("does not end") || said.contains("number of values"), "{said}");
        assert_eq!(people(&world), before);
    }
}

#[test]
fn nobody_is_written_to_because_they_were_moved() {
    let mail = "[mail]\nhost = \"127.0.0.1\"\nport = 1\ntls = \"none\"\nfrom = \"a@myvo.org\"";
    let world = World::new(&format!("{UNTHROTTLED}\n{mail}"));
    // It holds every letter back until somebody lets it go.
    let letters = json!({ "name": "letters", "kind": "mail", "mode": "manual" });
    world.admin.post("/targets", &letters).expect(201);
    let done = import(&world.site, &[dump("mysql.sql")], &[]);
    assert!(done["tables"]["cm_passwords"]["new"].as_u64() > Some(0));
    world.pat();
    let held = || {
        let page = world.admin.get("/deliveries?target=letters&limit=1000").expect(200);
        page["items"].as_array().unwrap().clone()
    };
    // Behind all the others in the outbox, so none of theirs is still on its way.
    await_true("the letter about a new token waits", PATIENCE, || !held().is_empty());
    let about: Vec<Value> = held().iter().map(|letter| letter["object"].clone()).collect();
    assert_eq!(about, ["user:alice"]);
}

#[test]
fn csv_files_are_read_too_and_a_running_server_takes_up_what_was_imported() {
    for world in World::on_each_store(UNTHROTTLED) {
        let names = ["cm_co_services", "cm_co_service_tokens", "cm_co_people", "cm_identifiers"];
        let paths = names.map(|name| dump(&format!("csv/{name}.csv")));
        let done = import(&world.site, &paths, &[]);
        assert_eq!(done["tables"]["cm_co_service_tokens"]["new"], 2, "{done:#}");
        // The group of one and the COU of another are not among the files, and without them more
        // people could use them than before.
        assert_eq!(done["tables"]["cm_co_services"]["left_out"], 2, "{done:#}");
        assert!(is_good(&world, GOOD[0]));
        assert!(!is_good(&world, BAD[0]));
    }
}

#[test]
fn a_token_that_was_issued_here_is_not_replaced_by_one_from_elsewhere() {
    let world = World::new(UNTHROTTLED);
    let policy = json!({ "token_policy": { "form": "plain15" } });
    service(&world.admin, "wiki", &policy);
    user(&world.admin, "plee");
    let token = world.service_token("plee", "wiki");
    let done = import(&world.site, &[dump("mysql.sql")], &[]);
    assert_eq!(done["tables"]["cm_co_service_tokens"]["new"], 1, "{done:#}");
    assert!(is_good(&world, ("plee", "wiki", &token.secret)));
    assert!(!is_good(&world, GOOD[0]));
    assert!(is_good(&world, GOOD[1]));
}

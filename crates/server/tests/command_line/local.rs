//! Commands on a data directory, and the server itself.

use crate::world::{Ran, Server, World, mode};

#[test]
fn init_prints_the_key_alone_and_refuses_a_second_time() {
    let world = World::new();
    let first = world.run(&["init", "--data", "data", "--admin", "root"]);
    assert_eq!(first.status, 0, "{}", first.stderr);
    assert!(first.stdout.starts_with("cflk_") && first.stdout.trim().len() == 56);
    assert_eq!(first.stdout.lines().count(), 1);
    assert!(!world.path("data/admin-key").exists());
    assert_eq!(mode(&world.path("data")), 0o700);

    let second = world.run(&["init", "--data", "data"]);
    assert_eq!((second.status, second.stdout.as_str()), (1, ""));
    assert!(second.stderr.contains("is initialised already"), "{}", second.stderr);
}

#[test]
fn serve_initialises_an_empty_directory_and_says_what_there_is() {
    let world = World::new();
    let (server, printed) = Server::start(&world, &[]);
    assert!(printed.contains("LDAP          ldap://127.0.0.1:"), "{printed}");
    assert!(printed.contains("(dc=counterfoil,dc=local)"), "{printed}");
    let key = world.path("data/admin-key");
    assert!(std::fs::read_to_string(&key).unwrap().starts_with("cflk_"));
    assert_eq!(mode(&key), 0o600);
    assert!(!printed.contains("cflk_"), "off a terminal the key is not printed");

    let other = world.run(&[
        "serve",
        "--data",
        "data",
        "--listen",
        "127.0.0.1:0",
        "--ldap-listen",
        "127.0.0.1:0",
    ]);
    assert_eq!(other.status, 1);
    assert!(other.stderr.contains("another counterfoil is running"), "{}", other.stderr);
    assert_eq!(server.terminate(), 0);

    let (server, printed) = Server::start(&world, &[]);
    assert!(!printed.contains("new installation"), "{printed}");
    assert_eq!(server.terminate(), 0);
}

#[test]
fn nothing_is_initialised_among_the_files_of_others() {
    let world = World::new();
    std::fs::create_dir(world.path("home")).unwrap();
    std::fs::write(world.path("home/letter.txt"), "dear").unwrap();
    for command in ["serve", "init"] {
        let ran = world.run(&[command, "--data", "home"]);
        assert_eq!(ran.status, 1);
        assert!(ran.stderr.contains("other files (letter.txt)"), "{}", ran.stderr);
    }
    assert_eq!(std::fs::read_dir(world.path("home")).unwrap().count(), 1);

    world.initialised();
    std::fs::write(world.path("data/letter.txt"), "dear").unwrap();
    let (server, _) = Server::start(&world, &[]);
    assert_eq!(server.terminate(), 0);
}

#[test]
fn a_closed_terminal_stops_the_server_in_order() {
    let world = World::new();
    let (server, _) = Server::start(&world, &[]);
    assert_eq!(server.signal("-HUP"), 0);
}

#[test]
fn a_token_on_the_command_line_is_not_repeated() {
    let world = World::new();
    let key = world.initialised();
    for arguments in [&["token", "verify", &key][..], &["token", "show", &key], &["tokn", &key]] {
        let ran = world.run(arguments);
        assert_eq!(ran.status, 2);
        assert!(ran.stderr.contains("use `-` or a file"), "{}", ran.stderr);
        assert!(!ran.stderr.contains(&key[20..]), "{}", ran.stderr);
    }
}

#[test]
fn a_missing_installation_or_passphrase_is_told_with_what_to_give() {
    let world = World::new();
    let missing = world.run(&["keys", "list", "--data", "nowhere"]);
    assert!(missing.stderr.contains("give --data"), "{}", missing.stderr);
    let absent = world.run(&["restore", "absent.cfl", "--data", "new"]);
    assert!(absent.stderr.contains("absent.cfl: No such file"), "{}", absent.stderr);
    world.initialised();
    let silent = world.run(&["backup", "b.cfl", "--data", "data"]);
    assert_eq!(silent.status, 2);
    assert!(silent.stderr.contains("--passphrase-file"), "{}", silent.stderr);
    std::fs::write(world.path("b.cfl"), "").unwrap();
    let taken = world.run(&["backup", "b.cfl", "--data", "data"]);
    assert_eq!(taken.stderr, "counterfoil: b.cfl exists and is not overwritten\n");
}

#[test]
fn programs_are_told_failures_in_json() {
    let world = World::new();
    for arguments in [
        &["check", "hunter2", "--json"][..],
        &["user", "list", "--json"],
        &["keys", "list", "--data", "nowhere", "--json"],
        &["no-such-command", "--json"],
    ] {
        let ran = world.run(arguments);
        let said: serde_json::Value = serde_json::from_str(&ran.stderr).unwrap();
        assert!(said["detail"].is_string(), "{arguments:?}: {said}");
    }
}

#[test]
fn a_server_without_its_keys_refuses_to_start_and_names_them() {
    let world = World::new();
    world.initialised();
    let serve = || {
        world.run(&[
            "serve",
            "--data",
            "data",
            "--listen",
            "127.0.0.1:0",
            "--ldap-listen",
            "127.0.0.1:0",
        ])
    };
    std::fs::rename(world.path("data/keys"), world.path("keys")).unwrap();
    let missing = serve();
    assert_eq!((missing.status, missing.stdout.as_str()), (1, ""));
    assert!(missing.stderr.contains("does not exist"), "{}", missing.stderr);
    assert!(missing.stderr.contains("pepper-1.key (fingerprint "), "{}", missing.stderr);

    std::fs::create_dir(world.path("data/keys")).unwrap();
    assert!(serve().stderr.contains("is empty"));

    std::fs::remove_dir(world.path("data/keys")).unwrap();
    let stranger = world.run(&["init", "--data", "other"]);
    assert_eq!(stranger.status, 0);
    std::fs::rename(world.path("other/keys"), world.path("data/keys")).unwrap();
    let foreign = serve();
    assert_eq!(foreign.status, 1);
    assert!(foreign.stderr.contains("belongs to another installation"), "{}", foreign.stderr);
}

#[test]
fn exit_statuses_tell_refused_from_wrong_and_unavailable() {
    let world = World::new();
    assert_eq!(world.run(&["check", "hunter2"]).status, 1);
    assert_eq!(world.run(&["keys", "list", "--data", "nowhere"]).status, 3);
    assert_eq!(world.run(&["admin", "recover", "--data", "nowhere"]).status, 1);
    assert_eq!(world.run(&["no-such-command"]).status, 2);
    let without_key = world.run(&["user", "list"]);
    assert_eq!(without_key.status, 2);
    assert!(without_key.stderr.contains("COUNTERFOIL_TOKEN"), "{}", without_key.stderr);
    let mut unreachable = world.command(&["user", "list", "--url", "http://127.0.0.1:1"]);
    let unreachable: Ran = unreachable.env("COUNTERFOIL_TOKEN", "x").output().unwrap().into();
    assert_eq!(unreachable.status, 3, "{}", unreachable.stderr);
}

#[test]
fn a_wrong_configuration_is_named_line_by_line() {
    let world = World::new();
    std::fs::write(world.path("counterfoil.toml"), "[server]\nlisten = 1\nlisten_on = 2\n")
        .unwrap();
    let ran = world.run(&["serve"]);
    assert_eq!(ran.status, 2);
    assert!(ran.stderr.contains("counterfoil.toml:2: `server.listen` must"), "{}", ran.stderr);
    assert!(ran.stderr.contains("counterfoil.toml:3: unknown key"), "{}", ran.stderr);
    let doctor = world.run(&["doctor", "--config", "counterfoil.toml", "--json"]);
    assert_eq!(doctor.status, 1);
    assert!(doctor.stdout.contains("counterfoil.toml:3"), "{}", doctor.stdout);
    assert_eq!(world.run(&["serve", "--config", "missing.toml"]).status, 2);
}

#[test]
fn check_reads_an_argument_or_standard_input() {
    let world = World::new();
    let key = world.initialised();
    let ran = world.run(&["check", &key]);
    assert_eq!(ran.status, 0);
    assert!(ran.stdout.starts_with("a client_key with the id "), "{}", ran.stdout);
    assert_eq!(world.run_with_input(&["check", "-", "--json"], &format!("{key}\n")).status, 0);
    let mistyped = key.replace("cflk_", "cflp_");
    assert_eq!(world.run(&["check", &mistyped]).status, 1);
}

#[test]
fn a_lost_administrator_gets_back_in_also_while_the_server_runs() {
    let world = World::new();
    world.initialised();
    let first = world.run(&["admin", "recover", "--data", "data"]);
    assert_eq!(first.status, 0, "{}", first.stderr);
    assert!(first.stdout.starts_with("cflk_") && first.stdout.lines().count() == 1);
    let (_server, _) = Server::start(&world, &[]);
    let second = world.run(&["admin", "recover", "--data", "data", "--json"]);
    assert_eq!(second.status, 0, "{}", second.stderr);
    assert!(second.stdout.contains("admin-recovered-2"), "{}", second.stdout);
    let taken = world.run(&["admin", "recover", "--data", "data", "--name", "admin"]);
    assert_eq!(taken.status, 1);
}

#[test]
fn keys_rotate_and_travel_under_a_passphrase() {
    let world = World::new();
    world.initialised();
    let rotated = world.run(&["keys", "rotate", "pepper", "--data", "data"]);
    assert_eq!(rotated.status, 0, "{}", rotated.stderr);
    let listed = world.run(&["keys", "list", "--data", "data", "--json"]);
    assert!(listed.stdout.contains(r#""state": "retired""#), "{}", listed.stdout);
    // The administrator's key is the one row, and it stays under the former pepper.
    assert!(listed.stdout.contains(r#""rows": 1"#), "{}", listed.stdout);
    assert!(world.run(&["keys", "list", "--data", "data"]).stdout.contains("ROWS"));

    let export = ["keys", "export", "keys.cfl", "--data", "data", "--passphrase-file", "-"];
    let short = world.run_with_input(&export, "short\n");
    assert_eq!((short.status, world.path("keys.cfl").exists()), (2, false));
    assert_eq!(world.run_with_input(&export, "correct horse battery\n").status, 0);
    assert_eq!(mode(&world.path("keys.cfl")), 0o600);
    assert_eq!(world.run_with_input(&export, "correct horse battery\n").status, 1);

    std::fs::remove_dir_all(world.path("data/keys")).unwrap();
    let import = ["keys", "import", "keys.cfl", "--data", "data", "--passphrase-file", "-"];
    assert_eq!(world.run_with_input(&import, "wrong horse battery\n").status, 1);
    let imported = world.run_with_input(&import, "correct horse battery\n");
    assert_eq!(imported.status, 0, "{}", imported.stderr);
    let names = "imported pepper-1, pepper-2, seal-1, sign-eddsa-1, sign-es256-1, checkpoint-1";
    assert_eq!(imported.stdout.trim(), names);
    assert_eq!(world.run(&["admin", "recover", "--data", "data"]).status, 0);
}

#[test]
fn a_backup_is_taken_from_a_running_server_and_restored_elsewhere() {
    let world = World::new();
    let key = world.initialised();
    let (_server, _) = Server::start(&world, &[]);
    let backup = ["backup", "b.cfl", "--data", "data", "--passphrase-file", "-"];
    let taken = world.run_with_input(&backup, "correct horse battery\n");
    assert_eq!(taken.status, 0, "{}", taken.stderr);
    assert_eq!(world.run_with_input(&backup, "correct horse battery\n").status, 1);
    let sealed = std::fs::read(world.path("b.cfl")).unwrap();
    assert!(!sealed.windows(key.len()).any(|window| window == key.as_bytes()));

    let restore = ["restore", "b.cfl", "--data", "new", "--passphrase-file", "-", "--json"];
    assert_eq!(world.run_with_input(&restore, "wrong horse battery\n").status, 1);
    let restored = world.run_with_input(&restore, "correct horse battery\n");
    assert_eq!(restored.status, 0, "{}", restored.stderr);
    assert_eq!(world.run_with_input(&restore, "correct horse battery\n").status, 1);
    assert_eq!(world.run(&["doctor", "--data", "new"]).status, 0);
}

#[test]
fn migrate_says_which_version_it_found_and_leaves_a_running_server_alone() {
    let world = World::new();
    let nowhere = world.run(&["migrate", "--data", "nowhere"]);
    assert_eq!((nowhere.status, world.path("nowhere").exists()), (1, false));
    world.initialised();
    let ran = world.run(&["migrate", "--data", "data", "--json"]);
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    let said: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert!(said["from"].as_u64() >= Some(1) && said["from"] == said["to"], "{said}");
    let again = world.run(&["migrate", "--data", "data"]).stdout;
    assert_eq!(again.trim(), format!("the schema has version {} already", said["to"]));

    let (_server, _) = Server::start(&world, &[]);
    let busy = world.run(&["migrate", "--data", "data"]);
    assert_eq!(busy.status, 1);
    assert!(busy.stderr.contains("another counterfoil is running"), "{}", busy.stderr);
}

#[test]
fn who_only_looks_makes_no_schema() {
    let world = World::new();
    world.initialised();
    std::fs::remove_file(world.path("data/counterfoil.db")).unwrap();
    std::fs::write(world.path("data/counterfoil.db"), "").unwrap();
    let backup = ["backup", "b.cfl", "--passphrase-file", "-", "--data", "data"];
    for arguments in [
        &["keys", "list", "--data", "data"][..],
        &["keys", "rotate", "pepper", "--data", "data"],
        &["admin", "recover", "--data", "data"],
        &["migrate", "--data", "data"],
        &backup,
    ] {
        let ran = world.run_with_input(arguments, "correct horse battery\n");
        assert_eq!(ran.status, 1, "{arguments:?}: {}", ran.stderr);
        assert!(ran.stderr.contains("holds no installation"), "{arguments:?}: {}", ran.stderr);
    }
    assert!(!world.path("b.cfl").exists());
    let doctor = world.run(&["doctor", "--data", "data"]);
    assert_eq!(doctor.status, 1);
    assert!(doctor.stdout.contains("holds no installation"), "{}", doctor.stdout);
}

#[test]
fn the_doctor_fails_where_something_is_missing() {
    let world = World::new();
    world.initialised();
    let well = world.run(&["doctor", "--data", "data", "--deep"]);
    assert_eq!(well.status, 0, "{}{}", well.stdout, well.stderr);
    std::fs::remove_file(world.path("data/keys/seal-1.key")).unwrap();
    let ill = world.run(&["doctor", "--data", "data"]);
    assert_eq!(ill.status, 1);
    assert!(ill.stdout.contains("lacks seal-1.key"), "{}", ill.stdout);
}

#[test]
fn the_program_describes_itself() {
    let world = World::new();
    for arguments in [
        &["completions", "bash"][..],
        &["man"],
        &["config", "default"],
        &["config", "schema"],
        &["openapi"],
        &["--help"],
    ] {
        let ran = world.run(arguments);
        assert_eq!(ran.status, 0, "{arguments:?}: {}", ran.stderr);
        assert!(!ran.stdout.is_empty(), "{arguments:?}");
    }
    let written = world.run(&["man", "--dir", "."]);
    assert_eq!(written.status, 0, "{}", written.stderr);
    assert!(world.path("counterfoil-serve.1").exists());
    let made = world.run(&["man", "--dir", "pages/man1"]);
    assert_eq!(made.status, 0, "{}", made.stderr);
    assert!(world.path("pages/man1/counterfoil-serve.1").exists());
}

//! The way from nothing to a served installation, and what the command line says with its exit
//! status.

use std::fs;
use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::process::{Output, Stdio};

use serde_json::Value;

use crate::harness::{PATIENCE, Site, await_true, printed_link};
use crate::wire::{Api, Request};
use crate::world::{World, active, verify};

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The exit status of a command; its output is in the message.
#[track_caller]
fn exits(output: &Output, code: i32) {
    let said = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{said:?}");
}

/// A command against a server, as the administrator.
fn remote(site: &Site, address: SocketAddr, arguments: &[&str]) -> Output {
    site.binary()
        .args(arguments)
        .env("COUNTERFOIL_URL", format!("http://{address}"))
        .env("COUNTERFOIL_TOKEN", site.admin_key())
        .output()
        .unwrap()
}

#[test]
fn an_empty_directory_is_served_and_its_key_is_in_a_private_file() {
    let site = Site::new();
    let mut server = site.serve("");
    let path = site.data().join("admin-key");
    let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
    let key = site.admin_key();
    assert!(key.starts_with("cflk_") && key.len() == 56);
    for file in fs::read_dir(site.data().join("keys")).unwrap() {
        let path = file.unwrap().path();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o077, 0, "{path:?}");
    }
    let banner = fs::read_to_string(&server.stdout).unwrap();
    for promised in ["API", "LDAP", "console", "admin-key", &server.address.to_string()] {
        assert!(banner.contains(promised), "{promised} is not in {banner}");
    }
    assert!(!banner.contains(&key) && !server.log().contains(&key));
    let link = printed_link(&server);
    assert!(link.contains("/setup#cflb_"), "{link}");
    let mode = fs::metadata(site.data().join("setup-link")).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
    let realms = site.admin(&server).get("/api/v1/realms").expect(200);
    assert_eq!(realms["items"][0]["name"], "main");

    let mut second = site.spawn("");
    assert_eq!(second.until_ended().code(), Some(1));
    assert!(second.log().contains("another counterfoil is running"), "{}", second.log());
    exits(&site.run(&["init"]), 1);

    // The file is looked at again by every start, not only by the first.
    assert!(server.stop().success());
    let again = site.serve("");
    assert_eq!(site.admin_key(), key);
    await_true("the log nags until the file is gone", PATIENCE, || {
        again.log().contains("admin-key")
    });
}

#[test]
fn init_prints_the_key_and_nothing_else_and_writes_it_nowhere() {
    let site = Site::new();
    let output = site.run(&["init", "--admin", "root-of-all"]);
    exits(&output, 0);
    let printed = text(&output.stdout);
    let key = printed.trim_end_matches('\n');
    assert!(key.starts_with("cflk_") && key.len() == 56 && printed.lines().count() == 1);
    for (path, bytes) in site.files() {
        let found = bytes.windows(32).any(|window| window == &key.as_bytes()[18..50]);
        assert!(!found, "{} holds the key", path.display());
    }
    exits(&site.run(&["init"]), 1);
    let server = site.serve("");
    assert!(!site.data().join("admin-key").exists());
    let admin = Api::new(server.address, key);
    admin.get("/clients/root-of-all").expect(200);
}

#[test]
fn the_exit_status_tells_done_refused_wrong_and_unavailable_apart() {
    let site = Site::new();
    let mut server = site.serve("");
    let address = server.address;
    let run = |arguments: &[&str]| remote(&site, address, arguments);
    exits(&run(&["user", "create", "alice"]), 0);
    exits(&run(&["service", "create", "git", "--name", "Git"]), 0);
    let issued =
        run(&["token", "issue", "--user", "alice", "--name", "x", "--service", "git", "--json"]);
    exits(&issued, 0);
    let issued: Value = serde_json::from_slice(&issued.stdout).unwrap();
    let (id, secret) =
        (issued["token"]["id"].as_str().unwrap(), issued["secret"].as_str().unwrap());
    assert_eq!(issued["token"]["state"], "active");
    exits(&run(&["token", "show", id, "--json"]), 0);
    exits(&run(&["token", "show", "000000000000"]), 1);
    exits(&run(&["user", "create", "alice"]), 1);
    exits(&run(&["token", "shwo", id]), 2);
    exits(&run(&["token", "issue", "--lifetime-of-a-fly"]), 2);
    exits(&site.binary().arg("serve").arg("--listen").arg("nowhere").output().unwrap(), 2);
    exits(&site.binary().args(["token", "list"]).output().unwrap(), 2);
    exits(&site.binary().args(["check", secret]).output().unwrap(), 0);
    exits(&site.binary().args(["check", &secret.replace('_', "-")]).output().unwrap(), 1);
    exits(&site.binary().arg("--help").output().unwrap(), 0);

    // A secret comes from standard input, never from the command line.
    let verified = |presented: &str| {
        let mut child = site
            .binary()
            .args(["token", "verify", "-", "--service", "git"])
            .env("COUNTERFOIL_URL", format!("http://{address}"))
            .env("COUNTERFOIL_TOKEN", site.admin_key())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(presented.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    };
    exits(&verified(secret), 0);
    exits(&run(&["token", "revoke", id]), 0);
    exits(&verified(secret), 1);
    assert!(server.stop().success());
    exits(&run(&["token", "list"]), 3);
}

#[test]
fn a_restored_backup_verifies_the_same_tokens() {
    let world = World::new("");
    let (kept, revoked) = (world.pat(), world.pat());
    world.admin.post(&revoked.path("/revoke"), &serde_json::json!({})).expect(200);
    let site = &world.site;
    let passphrase = site.path("passphrase");
    fs::write(&passphrase, "correct horse battery staple\n").unwrap();
    let backup = site.path("backup");
    let arguments = |command: &str| {
        let [file, phrase] = [&backup, &passphrase].map(|path| path.to_str().unwrap().to_owned());
        vec![command.to_owned(), file, "--passphrase-file".to_owned(), phrase]
    };
    let run = |site: &Site, command: &str| {
        let arguments = arguments(command);
        site.run(&arguments.iter().map(String::as_str).collect::<Vec<_>>())
    };
    exits(&run(site, "backup"), 0);
    // An existing file and a used directory are never overwritten.
    let bytes = fs::read(&backup).unwrap();
    exits(&run(site, "backup"), 1);
    exits(&run(site, "restore"), 1);
    assert_eq!(fs::read(&backup).unwrap(), bytes);

    let late = world.pat();
    let other = Site::new();
    exits(&run(&other, "restore"), 0);
    let server = other.serve("");
    assert!(!other.data().join("admin-key").exists(), "a restored installation has its keys");
    let verifier = Api::new(server.address, &world.verifier.key);
    assert!(active(&verify(&verifier, &kept.secret)));
    assert_eq!(verify(&verifier, &revoked.secret).expect(200)["code"], "revoked");
    assert_eq!(verify(&verifier, &late.secret).expect(200)["code"], "unknown");

    let wrong = Site::new();
    fs::write(&passphrase, "an altogether different one\n").unwrap();
    exits(&run(&wrong, "restore"), 1);
    assert!(!wrong.data().join("counterfoil.db").exists());
}

#[test]
fn what_is_asked_when_the_server_is_told_to_stop_is_still_answered() {
    let mut world = World::new("");
    let token = world.pat();
    let mut idle = crate::wire::Connection::open(world.server.address).unwrap();
    let live = Request::new("GET", "/healthz/live").bytes(world.server.address);
    assert_eq!(idle.exchange(&live).unwrap().status, 200);
    assert_eq!(world.verify(&token.secret)["active"], true);
    world.server.terminate();
    let status = world.server.until_ended();
    assert!(status.success(), "{status}");
    assert!(idle.exchange(&live).is_err(), "an idle connection does not hold the server up");
    assert!(world.server.log().contains("stopped"));
}

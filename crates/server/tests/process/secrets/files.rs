//! Whoever has the database, the configuration and the key files: with everything that is shipped
//! they get no secret of a bearer out of them (D1 of the reference on Airlock).

use std::collections::BTreeSet;
use std::fs;
use std::process::Output;

use serde_json::Value;

use super::{Needles, listings};
use crate::comanage::matrix::filled;
use crate::harness::Site;
use crate::nodes::share_keys;
use crate::wire::{Api, Request};
use crate::world::World;

/// Commands that read the installation itself.
const LOCAL: [&[&str]; 6] = [
    &["migrate"],
    &["doctor", "--deep", "--json"],
    &["keys", "list", "--json"],
    &["keys", "export", "exported.cfk", "--passphrase-file", "passphrase"],
    &["backup", "backup.cfb", "--passphrase-file", "passphrase"],
    &["admin", "recover"],
];
/// Commands that ask a server and are about the whole realm.
const REMOTE: [&[&str]; 16] = [
    &["audit", "export"],
    &["token", "list", "--limit", "1000"],
    &["events", "--limit", "1000"],
    &["user", "list", "--limit", "1000"],
    &["group", "list"],
    &["unit", "list"],
    &["service", "list"],
    &["client", "list", "--limit", "1000"],
    &["grant", "list"],
    &["realm", "list"],
    &["target", "list"],
    &["repository", "list"],
    &["letter", "list"],
    &["job", "list"],
    &["shadow", "report"],
    &["policy", "test", "--help"],
];
/// Commands that show one token.
const OF_A_TOKEN: [&[&str]; 4] =
    [&["token", "show"], &["token", "events"], &["token", "children"], &["token", "otp", "show"]];
/// Commands that are run elsewhere in this file, or that read nothing of an installation.
const NOT_LISTED: [&str; 17] = [
    // It says how a server is, and nothing of what it holds.
    "health",
    // A server on the files: everything that it answers is read below.
    "serve",
    // A copy of the database, and a backup that is opened again.
    "store",
    "restore",
    // They make something new, or take something in.
    "init",
    "demo",
    "enrol",
    "import",
    "reconcile",
    // They look at what is given to them, or print the same everywhere.
    "check",
    "scan",
    "repo-check",
    "config",
    "completions",
    "man",
    "help",
    // Asked for each token.
    "token",
];

/// Tokens whose every page is read.
const TOKENS: usize = 150;
/// And those for which commands are run.
const SHOWN: usize = 3;

/// What a command printed, held against the secrets.
fn printed(output: &Output, what: &[&str], needles: &Needles) -> String {
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let fault = String::from_utf8_lossy(&output.stderr);
    needles.absent(&what.join(" "), &output.stdout);
    needles.absent(&what.join(" "), &output.stderr);
    assert!(output.status.code().is_some(), "{what:?}: {fault}");
    said
}

/// Every command of the program is in one of the lists above.
fn every_command_is_tried(site: &Site) {
    let help = site.binary().arg("--help").output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let (_, commands) = help.split_once("Commands:\n").unwrap();
    let (commands, _) = commands.split_once("\n\n").unwrap();
    let names = commands.lines().filter_map(|line| {
        let rest = line.strip_prefix("  ")?;
        rest.split(' ').next().filter(|name| !name.is_empty())
    });
    let known: BTreeSet<&str> =
        LOCAL.iter().chain(&REMOTE).map(|words| words[0]).chain(NOT_LISTED).collect();
    let unknown: Vec<&str> = names.filter(|name| !known.contains(name)).collect();
    assert!(unknown.is_empty(), "commands that this test does not know: {unknown:?}");
}

/// Every list, every page of many tokens, and every other route that can be read.
fn read_everything(admin: &Api, needles: &Needles) -> Vec<String> {
    let mut ids = Vec::new();
    for (place, body) in listings(admin) {
        needles.absent(&format!("{place} of the copy"), &body);
        let page: Value = serde_json::from_slice(&body).unwrap_or_default();
        let items = page["items"].as_array().into_iter().flatten();
        if place == "tokens" {
            ids.extend(items.filter_map(|token| token["id"].as_str().map(str::to_owned)));
        }
    }
    let document = admin.raw(&Request::new("GET", "/openapi.json")).expect(200);
    let mut answered = 0;
    let step = ids.len().div_ceil(TOKENS).max(1);
    for (path, operations) in document["paths"].as_object().unwrap() {
        if !operations["get"].is_object() {
            continue;
        }
        let of_tokens = path.contains("/tokens/{");
        let tokens = if of_tokens { ids.iter().step_by(step).collect() } else { vec![&ids[0]] };
        for id in tokens {
            let things = [
                ("tokens", id.clone()),
                ("users", "alice".into()),
                ("services", "git".into()),
                ("clients", "client-0".into()),
                ("generic", "pin".into()),
            ];
            let answer = admin.send(Request::new("GET", filled(path, &things)));
            needles.absent(path, &answer.body);
            answered += usize::from(answer.status == 200);
        }
    }
    assert!(answered > TOKENS, "only {answered} pages were answered");
    for path in [
        "/auth-admin/rest/tokens?filter[type]=pin",
        "/auth-admin/rest/users/alice/tokens/generic/pin",
        "/json/users/alice",
    ] {
        needles.absent(path, &admin.send(Request::new("GET", path)).body);
    }
    ids
}

/// Reads everything that is kept of an installation whose server has ended.
pub(super) fn lead_to_nothing(world: &World, settings: &str, needles: &Needles) {
    let site = Site::new();
    every_command_is_tried(&site);
    share_keys(&world.site, &site);
    fs::write(site.path("passphrase"), "a passphrase of some length\n").unwrap();
    // The database, moved to where the keys are now.
    let lies = format!("sqlite:{}", world.site.data().join("counterfoil.db").display());
    let from = world.database().unwrap_or(lies);
    let copy = format!("sqlite:{}", site.data().join("counterfoil.db").display());
    let copied = site.run(&["store", "copy", &from, &copy]);
    let said = printed(&copied, &["store copy"], needles);
    assert!(copied.status.success(), "{said}{}", String::from_utf8_lossy(&copied.stderr));

    let mut key = String::new();
    for command in LOCAL {
        let output = site.run(command);
        let said = printed(&output, command, needles);
        assert!(output.status.success(), "{command:?}: {said}");
        if let Some(found) = said.split_whitespace().find(|word| word.starts_with("cflk_")) {
            found.clone_into(&mut key);
        }
    }
    let server = site.serve(settings);
    let admin = Api::new(server.address, &key);
    let ids = read_everything(&admin, needles);
    let ask = |words: &[&str], more: &[&str]| {
        let mut command = site.binary();
        command.args(words).args(more).arg("--json");
        command.env("COUNTERFOIL_URL", format!("http://{}", server.address));
        printed(&command.env("COUNTERFOIL_TOKEN", &key).output().unwrap(), words, needles);
    };
    for words in REMOTE {
        ask(words, &[]);
    }
    for id in ids.iter().take(SHOWN) {
        for words in OF_A_TOKEN {
            ask(words, &[id]);
        }
    }
    // And what the commands have written.
    for (path, bytes) in site.files() {
        if path.file_name().is_some_and(|name| name != "admin-key") {
            needles.absent(&path.display().to_string(), &bytes);
        }
    }
    // A backup that is opened again is the same files.
    let elsewhere = Site::new();
    let backup = site.path("backup.cfb").display().to_string();
    let passphrase = site.path("passphrase").display().to_string();
    let restored = elsewhere.run(&["restore", &backup, "--passphrase-file", &passphrase]);
    printed(&restored, &["restore"], needles);
    assert!(restored.status.success(), "{}", String::from_utf8_lossy(&restored.stderr));
    for (path, bytes) in elsewhere.files() {
        needles.absent(&path.display().to_string(), &bytes);
    }
}

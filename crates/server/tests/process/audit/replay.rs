//! A restore of an older backup, and the log of what came after it: nothing that was revoked,
//! locked or rotated since is good again, and where there is no log, it is said.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::{Value, json};

use super::{export, keys, note, sealed};
use crate::harness::Site;
use crate::nodes::share_keys;
use crate::wire::{Api, Request};
use crate::world::{
    Issued, UNTHROTTLED, World, active, authz, client, pat, service, user, verifier, verify,
};

/// What there is when the backup is made, and what becomes of it afterwards.
struct Before {
    kept: Issued,
    revoked: Issued,
    locked: Issued,
    unlocked: Issued,
    disabled: Issued,
    rotated: Issued,
    bobs: Issued,
    carols: Issued,
    at_wiki: Issued,
    wiki: Api,
    gone: Api,
    link: String,
}

fn before(world: &World) -> Before {
    let admin = &world.admin;
    for name in ["bob", "carol", "dave"] {
        user(admin, name);
    }
    service(admin, "wiki", &json!({}));
    let link = admin
        .post(
            "/tokens",
            &json!({ "kind": "personal_access_token", "user": "dave", "name": "by-link",
                "services": ["git"], "delivery": "link" }),
        )
        .expect(201);
    Before {
        kept: world.pat(),
        revoked: world.pat(),
        locked: world.pat(),
        unlocked: world.pat(),
        disabled: world.pat(),
        rotated: world.pat(),
        bobs: pat(admin, &json!({ "user": "bob" })),
        carols: pat(admin, &json!({ "user": "carol" })),
        at_wiki: pat(admin, &json!({ "services": ["wiki"] })),
        wiki: verifier(admin, "wiki-verifier", &["wiki"]),
        gone: client(admin, &json!({ "name": "gone", "roles": ["verifier"], "services": ["git"] })),
        link: link["secret"].as_str().or(link["link"].as_str()).unwrap().to_owned(),
    }
}

/// Takes power away, and gives one token issued since as the last thing.
fn after(world: &World, before: &Before) -> Issued {
    let admin = &world.admin;
    let act = |token: &Issued, act: &str, body: &Value| {
        admin.post(&token.path(act), body).expect(200);
    };
    act(&before.revoked, "/revoke", &json!({ "reason": "stolen laptop" }));
    act(&before.locked, "/lock", &json!({}));
    act(&before.unlocked, "/lock", &json!({}));
    act(&before.unlocked, "/unlock", &json!({}));
    act(&before.disabled, "/disable", &json!({}));
    act(&before.rotated, "/rotate", &json!({ "overlap_seconds": 0 }));
    admin.patch("/users/bob", &json!({ "status": "suspended" })).expect(200);
    admin.delete("/users/carol");
    admin.post("/services/wiki/lock", &json!({ "reason": "moving" })).expect(200);
    admin.delete("/clients/gone");
    let opened = admin
        .raw(&Request::new("POST", "/api/v1/links/open").json(&json!({ "link": before.link })));
    assert_eq!(opened.status, 200, "{}", opened.text());
    let late = world.pat();
    admin.post(&late.path("/revoke"), &json!({})).expect(200);
    late
}

/// Who is let in, at verify and at forward-auth.
fn lets_in(api: &Api, token: &Issued, name: &str) -> bool {
    let verified = active(&verify(api, &token.secret));
    let forwarded = api.raw(&authz("git", name, &token.secret)).status == 200;
    assert_eq!(verified, forwarded, "{name}: the doors differ");
    verified
}

/// Everything that ended is refused, and the rest is as good as it was.
fn assert_ended(address: std::net::SocketAddr, world: &World, before: &Before, late: &Issued) {
    let git = Api::new(address, &world.verifier.key);
    assert!(lets_in(&git, &before.kept, "alice"));
    assert!(lets_in(&git, &before.unlocked, "alice"), "it was unlocked again");
    for token in [&before.revoked, &before.locked, &before.disabled, &before.rotated, late] {
        assert!(!lets_in(&git, token, "alice"), "{}", token.id);
    }
    assert!(!lets_in(&git, &before.bobs, "bob"));
    assert!(!lets_in(&git, &before.carols, "carol"));
    let wiki = Api::new(address, &before.wiki.key);
    assert!(!active(&verify(&wiki, &before.at_wiki.secret)));
    let gone = Api::new(address, &before.gone.key);
    assert_eq!(verify(&gone, &before.kept.secret).status, 401);
    let link = Request::new("POST", "/api/v1/links/open").json(&json!({ "link": before.link }));
    assert_ne!(git.raw(&link).status, 200, "the link was opened before");
    let admin = Api::new(address, &world.admin.key);
    let record = admin.get(&before.revoked.path("")).expect(200);
    assert_eq!(record["revoked_reason"], "stolen laptop", "{record}");
    assert_eq!(record["revoked_by"], "client:admin", "{record}");
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// `backup` or `restore` of the file `backup` under a passphrase that lies beside it.
fn with_backup(world: &World, at: &Site, command: &str, more: &[&str]) -> Output {
    let (file, phrase) = (world.site.path("backup"), world.site.path("passphrase"));
    fs::write(&phrase, "correct horse battery staple\n").unwrap();
    let mut arguments = vec![command, file.to_str().unwrap()];
    arguments.extend(["--passphrase-file", phrase.to_str().unwrap()]);
    arguments.extend(more);
    at.run(&arguments)
}

fn replay(at: &Site, more: &[&str]) -> Output {
    at.run(&[&["audit", "replay"], more].concat())
}

/// What a replay in JSON says it did: the results of all acts.
fn results(output: &Output) -> Vec<String> {
    assert!(output.status.success(), "{}", text(&output.stderr));
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    let deeds = told["realms"][0]["deeds"].as_array().unwrap().clone();
    deeds.iter().map(|deed| deed["result"].as_str().unwrap().to_owned()).collect()
}

fn doctor(at: &Site) -> String {
    text(&at.run(&["doctor"]).stdout)
}

/// How often the log says that a restore was settled.
fn settlements(at: &Site, world: &World) -> usize {
    let server = at.serve(UNTHROTTLED);
    let admin = Api::new(server.address, &world.admin.key);
    let told = admin.get("/events?kind=store.replayed").expect(200);
    told["items"].as_array().unwrap().len()
}

fn refused(output: &Output, why: &str) {
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains(why), "{said}");
}

#[test]
fn a_restore_with_the_log_at_hand_resurrects_nothing() {
    let mut world = World::new(UNTHROTTLED);
    let before = before(&world);
    sealed(&world.admin);
    assert!(with_backup(&world, &world.site, "backup", &[]).status.success());
    let late = after(&world, &before);
    sealed(&world.admin);
    let log = export(&world.site, &world.admin, "lost.audit", 0);
    world.server.stop();

    let other = Site::new();
    let restored = with_backup(&world, &other, "restore", &["--audit", log.to_str().unwrap()]);
    let said = text(&restored.stdout);
    assert!(restored.status.success(), "{}", text(&restored.stderr));
    let revoked = format!("revoke {} (", before.revoked.id);
    for line in [&*revoked, "lock-service wiki (", "remove-person user:carol (", "): done"] {
        assert!(said.contains(line), "{line}: {said}");
    }
    let unknown = format!("revoke {} (", late.id);
    let line = said.lines().find(|line| line.contains(&unknown)).unwrap();
    assert!(line.ends_with("it came after the backup"), "{line}");
    assert!(!doctor(&other).contains("is good again"));

    let server = other.serve(UNTHROTTLED);
    assert_ended(server.address, &world, &before, &late);
    assert!(!server.log().contains("audit replay"), "{}", server.log());
    // It is told in the log, which goes on from the backup.
    let admin = Api::new(server.address, &world.admin.key);
    let told = admin.get("/events?kind=store.replayed").expect(200);
    assert_eq!(told["items"].as_array().unwrap().len(), 1);
    sealed(&admin);
    drop(server);

    // Whoever is let in again after that stays in: the same log is not played twice.
    let log = log.to_str().unwrap();
    assert_eq!(results(&replay(&other, &[log, "--json"])), [""; 0]);
    let again = replay(&other, &[log]);
    let said = text(&again.stdout) + &text(&again.stderr);
    assert!(again.status.success(), "{said}");
    assert!(said.contains("main: this log was done again on "), "{said}");
    assert!(!said.contains("lacks the entries") && !said.contains("of its own"), "{said}");
    // And nothing is good again that somebody would have to know of.
    refused(&replay(&other, &["--acknowledge"]), "no restore waits for this");
    assert_eq!(settlements(&other, &world), 1, "nothing was changed, and nothing is noted");

    // A backup that has all of this is not told by that log what came after it.
    let (file, phrase) = (other.path("later"), world.site.path("passphrase"));
    let later = [file.to_str().unwrap(), "--passphrase-file", phrase.to_str().unwrap()];
    let third = Site::new();
    assert!(other.run(&[&["backup"], &later[..]].concat()).status.success());
    assert!(third.run(&[&["restore"], &later[..]].concat()).status.success());
    refused(&replay(&third, &[log]), "was done again before the backup was made");
    assert!(doctor(&third).contains("is good again in main"), "{}", doctor(&third));
}

#[test]
fn a_restore_without_the_log_says_what_it_does_not_know() {
    let mut world = World::new(UNTHROTTLED);
    let token = world.pat();
    assert!(with_backup(&world, &world.site, "backup", &[]).status.success());
    world.admin.post(&token.path("/revoke"), &json!({})).expect(200);
    let listed = world.admin.get("/events?limit=1000").expect(200);
    let list = world.site.path("events.json");
    fs::write(&list, listed.to_string()).unwrap();
    world.server.stop();
    refused(&replay(&world.site, &["--acknowledge"]), "no restore waits for this");
    assert_eq!(settlements(&world.site, &world), 0);

    let other = Site::new();
    let restored = with_backup(&world, &other, "restore", &[]);
    assert!(restored.status.success());
    let said = text(&restored.stderr);
    assert!(said.contains("is good again") && said.contains("audit replay"), "{said}");
    assert!(doctor(&other).contains("is good again in main"), "{}", doctor(&other));
    let mut server = other.serve(UNTHROTTLED);
    assert!(server.log().contains("is good again in main"), "{}", server.log());
    let git = Api::new(server.address, &world.verifier.key);
    assert!(lets_in(&git, &token, "alice"), "nobody can know");
    server.stop();

    // A list that nothing proves is taken as one.
    let list = list.to_str().unwrap();
    refused(&replay(&other, &[list]), "line 1: this is no export of an audit log; a list");
    refused(&replay(&other, &[list]), "replay --unproved");
    let rehearsed = replay(&other, &[list, "--unproved", "--dry-run", "--json"]);
    assert_eq!(results(&rehearsed), ["done"]);
    assert!(doctor(&other).contains("is good again"), "a rehearsal changes nothing");
    assert_eq!(results(&replay(&other, &[list, "--unproved", "--json"])), ["done"]);
    let again = replay(&other, &[list, "--unproved", "--json"]);
    assert_eq!(results(&again), ["already"]);
    assert!(!doctor(&other).contains("is good again"));
    assert_eq!(settlements(&other, &world), 1, "the second run found everything done");
    let server = other.serve(UNTHROTTLED);
    assert!(!lets_in(&Api::new(server.address, &world.verifier.key), &token, "alice"));

    // Or somebody knows that there is none.
    let third = Site::new();
    assert!(with_backup(&world, &third, "restore", &[]).status.success());
    let known = replay(&third, &["--acknowledge"]);
    let said = text(&known.stderr);
    assert!(known.status.success() && said.contains("is good again in main"), "{said}");
    assert!(!doctor(&third).contains("is good again"));
    refused(&replay(&third, &["--acknowledge"]), "no restore waits for this");
    assert_eq!(settlements(&third, &world), 1, "once is enough");
}

/// Lines of an export with one of them changed, taken away, or with its end cut off.
/// A line of an export as it stands where retention removed the event.
pub(super) fn without_its_event(line: &str) -> String {
    let rest = line.strip_prefix("{\"event\":").unwrap();
    let (_, end) = rest.rsplit_once(",\"hash\":\"").unwrap();
    format!("{{\"hash\":\"{},\"removed\":true}}", end.strip_suffix('}').unwrap())
}

fn spoiled(site: &Site, log: &Path, change: impl FnOnce(&mut Vec<String>)) -> PathBuf {
    let mut lines: Vec<String> =
        fs::read_to_string(log).unwrap().lines().map(|line| format!("{line}\n")).collect();
    change(&mut lines);
    let path = site.path("spoiled.audit");
    fs::write(&path, lines.concat()).unwrap();
    path
}

#[test]
fn an_export_that_does_not_prove_itself_changes_nothing() {
    let mut world = World::new(UNTHROTTLED);
    let token = world.pat();
    let early = sealed(&world.admin);
    let old = export(&world.site, &world.admin, "old.audit", 0);
    world.pat();
    let at_backup = sealed(&world.admin);
    assert!(with_backup(&world, &world.site, "backup", &[]).status.success());
    world.pat();
    let between = sealed(&world.admin);
    world.admin.post(&token.path("/revoke"), &json!({})).expect(200);
    sealed(&world.admin);
    let log = export(&world.site, &world.admin, "lost.audit", early.size);
    let tail = export(&world.site, &world.admin, "tail.audit", between.size);
    let kept = world.site.path("main.checkpoint");
    fs::write(&kept, note(&world.admin)).unwrap();
    let key = keys(&world.admin)[0].to_string();
    world.server.stop();
    let site = &world.site;
    let other = Site::new();
    let restored = with_backup(&world, &other, "restore", &[]);
    assert!(restored.status.success());
    let try_with =
        |path: &Path, more: &[&str]| replay(&other, &[&[path.to_str().unwrap()], more].concat());

    let altered = spoiled(site, &log, |lines| {
        let line = lines.iter_mut().find(|line| line.contains("token.revoked")).unwrap();
        *line = line.replace("token.revoked", "token.updated");
    });
    refused(&try_with(&altered, &[]), "was altered after it was sealed");
    let shorter = spoiled(site, &log, |lines| {
        let at = lines.iter().position(|line| line.contains("token.revoked")).unwrap();
        lines.remove(at);
    });
    let missing = try_with(&shorter, &[]);
    let said = text(&missing.stderr);
    let precise = said.contains("stands where entry") || said.contains("and should be");
    assert!(missing.status.code() == Some(1) && precise, "{said}");
    // An entry without its event still fits the tree: somebody else must say that it was removed.
    let emptied = spoiled(site, &log, |lines| {
        let line = lines.iter_mut().find(|line| line.contains("token.revoked")).unwrap();
        *line = without_its_event(line.trim_end()) + "\n";
    });
    refused(&try_with(&emptied, &[]), "is not proved");
    let cut = spoiled(site, &log, |lines| drop(lines.pop()));
    refused(&try_with(&cut, &[]), "it was cut off");
    // Whole, and too old or too late.
    refused(&try_with(&old, &[]), "is older than the backup");
    let from = format!("begins with entry {}", between.size);
    refused(&try_with(&tail, &[]), &from);
    refused(&try_with(&old, &["--since", kept.to_str().unwrap()]), "it was truncated");
    // Of somebody else, who signs as well.
    let stranger = World::new(UNTHROTTLED);
    sealed(&stranger.admin);
    let foreign = export(&stranger.site, &stranger.admin, "foreign.audit", 0);
    refused(&try_with(&foreign, &[]), "which is no log of");

    let mut server = other.serve(UNTHROTTLED);
    let git = Api::new(server.address, &world.verifier.key);
    assert!(lets_in(&git, &token, "alice"), "nothing was done");
    assert!(server.log().contains("is good again"));
    // The server went on by itself: its log and the lost one part at the backup.
    let admin = Api::new(server.address, &world.admin.key);
    let own = pat(&admin, &json!({}));
    sealed(&admin);
    server.stop();
    let whole = try_with(&log, &["--key", &key, "--since", kept.to_str().unwrap()]);
    assert!(whole.status.success(), "{}", text(&whole.stderr));
    let said = text(&whole.stdout);
    let parted = format!("lacks the entries from {} to", at_backup.size);
    assert!(said.contains(&parted), "{said}");
    assert!(text(&whole.stderr).contains("of its own stand there"), "{}", text(&whole.stderr));
    let server = other.serve(UNTHROTTLED);
    let git = Api::new(server.address, &world.verifier.key);
    assert!(!lets_in(&git, &token, "alice"));
    assert!(lets_in(&git, &own, "alice"));
}

/// A copy of the database is what a backup of PostgreSQL is.
#[test]
fn a_log_is_played_again_on_a_copy_of_a_postgresql_database() {
    let mut world = World::on_postgres(UNTHROTTLED);
    let before = before(&world);
    sealed(&world.admin);
    world.server.stop();
    let cluster = world.cluster.as_ref().unwrap();
    cluster.copy_database("cf", "copy");
    let copy = format!("postgres://cf@{}/copy", cluster.host());
    world.serve_again(UNTHROTTLED);
    let late = after(&world, &before);
    sealed(&world.admin);
    let log = export(&world.site, &world.admin, "lost.audit", 0);
    world.server.stop();

    let other = Site::new();
    fs::create_dir(other.data()).unwrap();
    share_keys(&world.site, &other);
    let again = |more: &[&str]| {
        let given = ["audit", "replay", log.to_str().unwrap(), "--database", &copy];
        other.run(&[&given, more].concat())
    };
    let rehearsed = results(&again(&["--dry-run", "--json"]));
    let done = results(&again(&["--json"]));
    assert_eq!(rehearsed, done);
    assert!(done.contains(&"done".to_owned()) && done.contains(&"unknown".to_owned()));
    assert_eq!(results(&again(&["--json"])), [""; 0]);
    let server = other.serve(&format!("data.database = \"{copy}\"\n{UNTHROTTLED}"));
    assert_ended(server.address, &world, &before, &late);
}

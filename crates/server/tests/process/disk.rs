//! A database whose disk is full, or gone: "not now" for a while, never "no".
//!
//! The tests mount file systems of their own, which takes root, and are part of the long run.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use serde_json::{Value, json};

use crate::harness::{PATIENCE, Site, await_true};
use crate::refusals::guarded;
use crate::wire::{Answer, Api, Request, below_main};
use crate::world::{Issued, UNTHROTTLED, World, active, authz, pat, pat_body, verifier, verify};

/// Room for a fresh installation and a few hundred tokens; the test fills the rest.
const DISK: &str = "size=32m,mode=0700";
/// How much is written at once to fill a disk; then the same, page by page.
const FILLERS: [usize; 2] = [1024 * 1024, 4096];
/// Threads that go on working while the disk fails and comes back.
const CLIENTS: usize = 6;
/// Answers of one sort to wait for before the next thing happens.
const ANSWERS: usize = 60;
/// Accepted verifications while the store is away.
const WARM: usize = 25;

/// What the sample request of a known caller asks is answered without the store: figures, keys and
/// repositories of the process, a text that is no token, and bodies that lack something.
const NEED_NO_STORE: [&str; 14] = [
    "GET /metrics",
    "POST /api/v1/realms/{realm}/verify",
    "POST /api/v1/realms/{realm}/verify/batch",
    "POST /api/v1/realms/{realm}/tokens",
    "POST /api/v1/realms/{realm}/tokens/_bulk",
    "POST /api/v1/realms/{realm}/tokens/bulk",
    "POST /api/v1/realms/{realm}/tokens/import",
    "POST /api/v1/realms/{realm}/activation-letters",
    "POST /api/v1/realms/{realm}/targets",
    "POST /api/v1/realms/{realm}/targets/test",
    "POST /realms/{realm}/protocol/openid-connect/token/introspect",
    "GET /api/v1/realms/{realm}/audit/keys",
    "GET /api/v1/realms/{realm}/repositories",
    "GET /api/v1/realms/{realm}/repositories/{name}",
];

/// Opened by registration access tokens alone: any other one is refused for its form.
const OF_ONE_CLIENT: &str = "/clients-registrations/openid-connect/{client_id}";

/// A world whose data directory is a file system of its own, reached through a second mount, so
/// that it can be taken away and brought back as it was.
struct OnDisk {
    // First, so that it is unmounted before the directory goes.
    disk: Disk,
    world: World,
}

struct Disk {
    itself: PathBuf,
    data: PathBuf,
}

impl OnDisk {
    fn new() -> Self {
        let site = Site::new();
        let disk = Disk { itself: site.path("disk"), data: site.data() };
        fs::create_dir(&disk.itself).unwrap();
        fs::create_dir(&disk.data).unwrap();
        mount(&["-t", "tmpfs", "-o", DISK, "tmpfs"], &disk.itself);
        disk.comes_back();
        Self { disk, world: World::at(site, UNTHROTTLED) }
    }
}

impl Disk {
    /// Writes until nothing more fits.
    fn fill(&self) {
        let mut file = File::create(self.filler()).unwrap();
        for size in FILLERS {
            let block = vec![0; size];
            let end = loop {
                if let Err(error) = file.write_all(&block) {
                    break error;
                }
            };
            assert_eq!(end.kind(), ErrorKind::StorageFull, "{end}");
        }
    }

    /// From now on nobody who opens a file here may write to it. Who has one open goes on: the
    /// system grants it no other way while files are open.
    fn may_only_be_read(&self) {
        self.vanishes();
        self.comes_back();
        mount(&["-o", "remount,ro,bind"], &self.data);
    }

    /// As it was before.
    fn may_be_written(&self) {
        self.vanishes();
        self.comes_back();
    }

    /// Gives the room back.
    fn clear(&self) {
        fs::remove_file(self.filler()).unwrap();
    }

    fn filler(&self) -> PathBuf {
        self.itself.join("filler")
    }

    /// Takes the file system away from under the server, which still has files of it open.
    fn vanishes(&self) {
        unmount(&self.data);
        assert_eq!(fs::read_dir(&self.data).unwrap().count(), 0, "something lies below it");
    }

    /// Mounts it again where it was; nothing may have been made there in the meantime.
    fn comes_back(&self) {
        let meanwhile: Vec<_> = fs::read_dir(&self.data).unwrap().collect();
        assert!(meanwhile.is_empty(), "made below the mount: {meanwhile:?}");
        mount(&["--bind", self.itself.to_str().unwrap()], &self.data);
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Either may not be mounted at this moment.
        for path in [&self.data, &self.itself] {
            let _ = Command::new("umount").arg("-l").arg(path).output();
        }
    }
}

#[track_caller]
fn mount(arguments: &[&str], to: &Path) {
    let output = Command::new("mount").args(arguments).arg(to).output().unwrap();
    assert!(output.status.success(), "mount: {}", String::from_utf8_lossy(&output.stderr));
}

/// Lazily: who has files open there keeps them, as with a device that was pulled out.
#[track_caller]
fn unmount(path: &Path) {
    let output = Command::new("umount").arg("-l").arg(path).output().unwrap();
    assert!(output.status.success(), "umount: {}", String::from_utf8_lossy(&output.stderr));
}

/// Everything that an administrator can see change: tokens, people, services, clients.
fn seen(admin: &Api) -> Vec<Value> {
    ["/tokens?limit=1000", "/users", "/services", "/clients", "/groups", "/grants"]
        .into_iter()
        .map(|path| admin.get(path).expect(200))
        .collect()
}

/// One act of every sort, each of which would be done if the store could write.
fn acts(token: &Issued) -> Vec<(String, Request)> {
    let post = |path: &str, body: Value| Request::new("POST", below_main(path)).json(&body);
    let patch = |path: &str, body: Value| Request::new("PATCH", below_main(path)).json(&body);
    let mut acts = vec![
        post("/api/v1/realms", json!({ "name": "labs" })),
        post("/users", json!({ "username": "bob" })),
        patch("/users/alice", json!({ "display_name": "Alice" })),
        Request::new("DELETE", below_main("/users/alice")),
        post("/groups", json!({ "name": "staff" })),
        post("/units", json!({ "name": "unit" })),
        post("/grants", json!({ "subject": { "user": "alice" }, "role": "auditor" })),
        post("/services", json!({ "label": "wiki", "name": "wiki" })),
        patch("/services/git", json!({ "name": "Git" })),
        post("/clients", json!({ "name": "robot", "roles": [] })),
        patch("/clients/git-verifier", json!({ "enabled": false })),
        Request::new("DELETE", below_main("/clients/git-verifier")),
        post("/tokens", pat_body(&json!({}))),
        patch(&token.path(""), json!({ "name": "phone" })),
    ];
    for act in ["rotate", "disable", "lock", "revoke"] {
        acts.push(post(&token.path(&format!("/{act}")), json!({})));
    }
    let found = json!({ "credentials": [token.secret] });
    acts.push(post("/api/v1/credentials/revoke", found));
    acts.into_iter().map(|act| (format!("{act:?}"), act)).collect()
}

#[track_caller]
fn unavailable(what: &str, answer: &Answer) {
    assert_eq!(answer.status, 503, "{what}: {}", answer.text());
    if answer.header("content-type").contains("problem") {
        assert_eq!(answer.header("retry-after"), "1", "{what}");
    }
}

/// Verifications by who is known and of what is known: true while the store takes no writes.
fn stays_good(world: &World, token: &Issued) {
    for _ in 0..WARM {
        assert!(active(&verify(&world.verifier, &token.secret)));
    }
    assert_eq!(world.admin.raw(&authz("git", "alice", &token.secret)).status, 200);
}

/// Works again by itself, and what was accepted meanwhile was counted.
fn works_again(world: &World, token: &Issued, uses: u64) {
    let ready = Request::new("GET", "/healthz/ready");
    await_true("it is ready again", PATIENCE, || world.admin.raw(&ready).status == 200);
    let fresh = world.pat();
    assert!(active(&verify(&world.verifier, &fresh.secret)));
    await_true("the usage is stored", PATIENCE, || world.usage_total(token) == uses);
    world.admin.post(&fresh.path("/revoke"), &json!({})).expect(200);
    assert_eq!(world.verify(&fresh.secret)["code"], "revoked");
    let doctor = world.site.run(&["doctor", "--deep", "--json"]);
    let found = String::from_utf8_lossy(&doctor.stdout).into_owned();
    assert!(doctor.status.success(), "{found}");
}

#[test]
#[ignore = "long: mounts a file system, which takes root"]
fn on_a_full_disk_every_act_answers_503_until_there_is_room_again() {
    let on = OnDisk::new();
    let (disk, world) = (&on.disk, &on.world);
    let token = world.pat();
    let limited = pat(&world.admin, &json!({ "max_usages": 5 }));
    stays_good(world, &token);
    assert!(active(&verify(&world.verifier, &limited.secret)));
    let cold = verifier(&world.admin, "cold-verifier", &["git"]);
    await_true("the usage is stored", PATIENCE, || {
        world.usage_total(&token) == 1 + WARM as u64 && world.usage_total(&limited) == 1
    });
    let before = seen(&world.admin);

    disk.fill();
    unavailable("ready", &world.admin.raw(&Request::new("GET", "/healthz/ready")));
    for (what, act) in acts(&token) {
        unavailable(&what, &world.admin.send(act));
    }
    // Its use cannot be counted, so it is neither accepted nor refused.
    unavailable("a limited token", &verify(&world.verifier, &limited.secret));
    stays_good(world, &token);
    // Looks need no room, nor does a caller whom nobody has asked about before.
    assert!(active(&verify(&cold, &token.secret)));
    let during = seen(&world.admin);
    for answer in &during {
        assert!(answer["items"].is_array(), "{answer}");
    }

    disk.clear();
    await_true("it is ready again", PATIENCE, || {
        world.admin.raw(&Request::new("GET", "/healthz/ready")).status == 200
    });
    // The one look of the cold caller and both warm rounds.
    let uses = 2 * (1 + WARM as u64) + 1;
    await_true("the usage is stored", PATIENCE, || world.usage_total(&token) == uses);
    assert_eq!(without_usage(seen(&world.admin)), without_usage(before), "half done");
    works_again(world, &token, uses);
    assert!(active(&verify(&world.verifier, &limited.secret)));
    await_true("both uses are counted", PATIENCE, || world.usage_total(&limited) == 2);
}

/// Looks without what verifying changes.
fn without_usage(mut looks: Vec<Value>) -> Vec<Value> {
    for item in looks.iter_mut().flat_map(|look| look["items"].as_array_mut().unwrap()) {
        if let Some(object) = item.as_object_mut() {
            object.retain(|name, _| !name.contains("used") && !name.contains("usage"));
        }
    }
    looks
}

#[test]
#[ignore = "long: mounts a file system, which takes root"]
fn without_its_disk_every_route_answers_503_until_it_is_back() {
    let on = OnDisk::new();
    let (disk, world) = (&on.disk, &on.world);
    let token = world.pat();
    let unasked = world.pat();
    let cold = verifier(&world.admin, "cold-verifier", &["git"]);
    stays_good(world, &token);
    let before = seen(&world.admin);
    let guarded = guarded(world);

    disk.vanishes();
    unavailable("ready", &world.admin.raw(&Request::new("GET", "/healthz/ready")));
    assert_eq!(world.admin.raw(&Request::new("GET", "/healthz/live")).status, 200);
    let strangers = [cold.key.as_str(), &unasked.secret, &foreign_key()];
    let mut faults = Vec::new();
    for operation in &guarded {
        let name = operation.name();
        if name.ends_with(OF_ONE_CLIENT) {
            continue;
        }
        let known = [world.admin.key.as_str()].into_iter();
        let known = known.filter(|_| !NEED_NO_STORE.contains(&name.as_str()));
        for key in known.chain(strangers) {
            let answer = world.admin.raw(&operation.request("main").bearer(key));
            if answer.status != 503 {
                faults.push(format!("{name} by {}: {}", &key[..6], answer.text()));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    for (what, act) in acts(&token) {
        unavailable(&what, &world.admin.send(act));
    }
    unavailable("a cold token", &verify(&world.verifier, &unasked.secret));
    let batch = json!({ "requests": [{ "token": unasked.secret }] });
    unavailable("a batch with a cold token", &world.verifier.post("/verify/batch", &batch));
    unavailable("forward-auth", &world.admin.raw(&authz("git", "alice", &unasked.secret)));
    let mut uses = 1 + WARM as u64;
    await_true("nothing that is remembered is trusted any more", PATIENCE, || {
        let answer = verify(&world.verifier, &token.secret);
        if active(&answer) {
            uses += 1;
            return false;
        }
        unavailable("a token that was remembered", &answer);
        true
    });
    unavailable("forward-auth", &world.admin.raw(&authz("git", "alice", &token.secret)));

    disk.comes_back();
    await_true("it is ready again", PATIENCE, || {
        world.admin.raw(&Request::new("GET", "/healthz/ready")).status == 200
    });
    await_true("the usage is stored", PATIENCE, || world.usage_total(&token) == uses);
    assert_eq!(without_usage(seen(&world.admin)), without_usage(before), "half done");
    assert!(active(&verify(&cold, &unasked.secret)));
    works_again(world, &token, uses);
}

/// A key of another installation: only the store can tell that it is none of ours.
fn foreign_key() -> String {
    World::new(UNTHROTTLED).verifier.key
}

/// What the clients of a storm were told.
#[derive(Default)]
struct Told {
    done: AtomicUsize,
    unavailable: AtomicUsize,
    end: AtomicBool,
}

/// Issues and revokes by turns; returns what was issued and stands, and what was revoked.
fn storm(admin: &Api, told: &Told) -> (Vec<Issued>, Vec<Issued>) {
    let (mut issued, mut revoked) = (Vec::new(), Vec::new());
    while !told.end.load(Ordering::Acquire) {
        let answer = admin.post("/tokens", &pat_body(&json!({})));
        if answer.status == 503 {
            told.unavailable.fetch_add(1, Ordering::AcqRel);
            continue;
        }
        issued.push(Issued::of(&answer.expect(201)));
        told.done.fetch_add(1, Ordering::AcqRel);
        if issued.len() % 3 == 0 {
            let token = &issued[issued.len() - 1];
            let answer = admin.post(&token.path("/revoke"), &json!({}));
            if answer.status == 503 {
                told.unavailable.fetch_add(1, Ordering::AcqRel);
                continue;
            }
            answer.expect(200);
            revoked.extend(issued.pop());
        }
    }
    (issued, revoked)
}

/// Fails and heals the disk while everybody works, and compares the store with what was answered.
fn storm_over(world: &World, fail: impl Fn(), heal: impl Fn()) {
    let told = Told::default();
    let (done, unavailable) = (&told.done, &told.unavailable);
    let more = |counter: &AtomicUsize, what: &str| {
        let enough = counter.load(Ordering::Acquire) + ANSWERS;
        await_true(what, PATIENCE, || counter.load(Ordering::Acquire) >= enough);
    };
    let outcome = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|_| (world.admin.clone(), &told))
            .map(|(admin, told)| scope.spawn(move || storm(&admin, told)))
            .collect();
        // Told to end even when what follows fails, or the threads would never do so.
        let played = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            for _ in 0..3 {
                more(done, "tokens are issued");
                fail();
                more(unavailable, "the store is unavailable");
                heal();
            }
            more(done, "tokens are issued again");
        }));
        told.end.store(true, Ordering::Release);
        let answered: Vec<_> = clients.into_iter().map(|client| client.join().unwrap()).collect();
        played.unwrap();
        answered
    });
    let (issued, revoked): (Vec<_>, Vec<_>) = outcome.into_iter().unzip();
    let (issued, revoked) = (issued.concat(), revoked.concat());
    for token in &issued {
        assert!(active(&verify(&world.verifier, &token.secret)), "{} was issued", token.id);
    }
    for token in &revoked {
        assert_eq!(world.verify(&token.secret)["code"], "revoked", "{} was revoked", token.id);
    }
    // A refused issue left nothing behind.
    let stored = stored_pats(&world.admin);
    assert_eq!(stored, issued.len() + revoked.len(), "answered, and stored");
}

/// How many tokens alice has, whatever their state.
fn stored_pats(admin: &Api) -> usize {
    let (mut count, mut cursor) = (0, String::new());
    loop {
        let kind = "kind=personal_access_token";
        let page = admin.get(&format!("/tokens?limit=1000&{kind}{cursor}")).expect(200);
        count += page["items"].as_array().unwrap().len();
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return count,
        }
    }
}

#[test]
#[ignore = "long: mounts a file system, which takes root"]
fn a_disk_that_fills_up_in_a_storm_leaves_nothing_half_done() {
    let on = OnDisk::new();
    storm_over(&on.world, || on.disk.fill(), || on.disk.clear());
}

#[test]
#[ignore = "long: mounts a file system, which takes root"]
fn a_disk_that_vanishes_in_a_storm_leaves_nothing_half_done() {
    let on = OnDisk::new();
    storm_over(&on.world, || on.disk.vanishes(), || on.disk.comes_back());
}

/// A file that is open for writing stays so when its mount becomes read-only: what the server has
/// open goes on, and what it opens anew fails. Either is right; half of it would not be.
#[test]
#[ignore = "long: mounts a file system, which takes root"]
fn on_a_disk_that_may_only_be_read_nothing_is_half_done_and_a_restart_says_so() {
    let mut on = OnDisk::new();
    let token = on.world.pat();
    stays_good(&on.world, &token);
    on.disk.may_only_be_read();
    let mut told = Vec::new();
    for _ in 0..ANSWERS {
        let answer = on.world.admin.post("/tokens", &pat_body(&json!({})));
        match answer.status {
            503 => unavailable("an issue", &answer),
            _ => told.push(Issued::of(&answer.expect(201))),
        }
    }
    stays_good(&on.world, &token);
    on.world.server.kill9();
    // What cannot be written cannot be served from: it says so and ends.
    let mut refused = on.world.site.spawn(UNTHROTTLED);
    let ended = refused.until_ended();
    assert!(matches!(ended.code(), Some(1..=3)), "{ended}: {}", refused.log());
    on.disk.may_be_written();
    on.world.serve_again(UNTHROTTLED);
    for one in told.iter().chain([&token]) {
        assert!(active(&verify(&on.world.verifier, &one.secret)), "{} was issued", one.id);
    }
    assert_eq!(stored_pats(&on.world.admin), told.len() + 1, "answered, and stored");
}

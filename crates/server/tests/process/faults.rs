//! What goes wrong on machines that run for years: clocks that jump, disks that fail or may not be
//! written to, clients that only hold on.
//!
//! `cargo xtask drill` runs these too, and says how long each took.

use std::fs;
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use counterfoil_server::clock::Stopwatch;
use serde_json::json;

use crate::harness::{PATIENCE, Site, await_true};
use crate::wire::{Api, Connection, Request};
use crate::world::{Issued, UNTHROTTLED, World, active, pat, pat_body, verify};

/// Clients that open a connection and say nothing.
const IDLE: usize = 10_000;
/// What one of them may cost, in KiB.
const IDLE_KIB_EACH: u64 = 16;
/// How long a verification may take meanwhile, in this build and on a busy machine.
const PROMPT: Duration = Duration::from_millis(500);

fn ready(admin: &Api) -> bool {
    admin.try_raw(&Request::new("GET", "/healthz/ready")).is_ok_and(|answer| answer.status == 200)
}

/// A world whose server reads the time from a file, by libfaketime.
fn with_clock(site: Site) -> World {
    let clock = site.path("clock");
    jump(&clock, "-2h");
    let library = fs::read_dir("/usr/lib")
        .unwrap()
        .filter_map(Result::ok)
        .map(|entry| entry.path().join("faketime/libfaketimeMT.so.1"))
        .find(|path| path.exists())
        .expect("libfaketime is installed");
    let mut server = site.spawn_as(UNTHROTTLED, |mut command, _| {
        command.env("LD_PRELOAD", &library).env("FAKETIME_TIMESTAMP_FILE", &clock);
        // Read at every look; waits and measurements go on as they are.
        command.env("FAKETIME_NO_CACHE", "1").env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        command.env("DONT_FAKE_MONOTONIC", "1");
        command
    });
    server.until_ready();
    World::around(site, server)
}

/// Sets how far the server's clock is off.
fn jump(clock: &Path, by: &str) {
    let next = clock.with_extension("next");
    fs::write(&next, format!("{by}\n")).unwrap();
    fs::rename(next, clock).unwrap();
}

#[test]
fn a_clock_that_jumps_ten_minutes_or_to_1970_and_back_loses_no_token_and_revives_none() {
    // Everybody has had their keys for two hours.
    let world = with_clock(Site::new());
    let clock = world.site.path("clock");
    let (good, revoked) = (world.pat(), world.pat());
    world.admin.post(&revoked.path("/revoke"), &json!({})).expect(200);
    let limited = pat(&world.admin, &json!({ "max_usages": 3 }));
    let code = |token: &Issued| world.verify(&token.secret)["code"].clone();
    let is_good = |token: &Issued| active(&verify(&world.verifier, &token.secret));
    jump(&clock, "+0");
    await_true("it is ready", PATIENCE, || ready(&world.admin));
    let short = pat(&world.admin, &json!({ "lifetime_seconds": 300 }));
    assert!(is_good(&good) && is_good(&limited) && is_good(&short));

    // Ahead: what has ended by then has ended, and nothing else.
    jump(&clock, "+10m");
    assert_eq!(code(&short), "expired");
    assert_eq!(code(&revoked), "revoked");
    assert!(is_good(&good));
    let ahead = world.pat();
    assert!(is_good(&ahead));
    // Back: what was made in the future has not begun, and nothing else.
    jump(&clock, "-10m");
    assert_eq!(code(&ahead), "not_yet_valid");
    assert_eq!(code(&revoked), "revoked");
    assert!(is_good(&good));
    let behind = world.pat();
    assert!(is_good(&behind));

    // A machine whose battery was empty: every key and every token is of the future. Nobody gets in
    // whose token was revoked, and nothing that is written down says that one has ended.
    jump(&clock, "@1970-01-02 00:00:00");
    for token in [&good, &revoked, &limited] {
        let answer = verify(&world.verifier, &token.secret);
        assert!(!active(&answer), "{}", answer.text());
        assert!([401, 503, 200].contains(&answer.status), "{}", answer.text());
    }

    jump(&clock, "+0");
    await_true("it is ready with the right time", PATIENCE, || ready(&world.admin));
    await_true("the good token is good again", PATIENCE, || is_good(&good));
    assert_eq!(code(&revoked), "revoked");
    assert!(is_good(&behind) && is_good(&short));
    // Three uses are three, whatever the clock said between them.
    assert!(is_good(&limited) && is_good(&limited));
    assert_eq!(code(&limited), "exhausted");
    jump(&clock, "+11m");
    assert!(is_good(&ahead));
}

/// strace, which lets the system calls of a process fail for as long as it is attached.
struct Injected(Child);

impl Injected {
    /// Makes the calls of the world's server go as `how` says (strace(1), "Tampering").
    fn into(world: &World, calls: &str, how: &str) -> Self {
        let log = world.site.path("strace.log");
        let id = world.server.id().to_string();
        let child = Command::new("strace")
            .args(["-f", "-q", "-o", log.to_str().unwrap(), "-p", &id])
            .args(["-e", &format!("trace={calls}")])
            .args(["-e", &format!("inject={calls}:{how}")])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(world.site.path("strace.err")).unwrap())
            .spawn()
            .expect("strace is installed");
        let mut injected = Self(child);
        await_true("strace is attached", PATIENCE, || {
            let told = fs::read_to_string(world.site.path("strace.err")).unwrap_or_default();
            let gone = injected.0.try_wait().unwrap();
            assert!(gone.is_none(), "strace ended: {told}");
            let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap();
            !status.contains("TracerPid:\t0\n")
        });
        injected
    }

    /// Lets go of the process, which runs on.
    fn end(mut self) {
        let id = self.0.id().to_string();
        assert!(Command::new("kill").args(["-s", "INT", &id]).status().unwrap().success());
        self.0.wait().unwrap();
    }
}

#[test]
fn a_disk_that_does_not_confirm_what_was_written_is_never_told_as_done() {
    let mut world = World::new(UNTHROTTLED);
    let token = world.pat();
    assert!(active(&verify(&world.verifier, &token.secret)));
    let injected = Injected::into(&world, "fsync,fdatasync", "error=EIO");
    let mut unavailable = 0;
    let mut issued = Vec::new();
    for _ in 0..40 {
        let answer = world.admin.post("/tokens", &pat_body(&json!({})));
        match answer.status {
            503 => unavailable += 1,
            _ => issued.push(Issued::of(&answer.expect(201))),
        }
    }
    assert!(unavailable > 0, "nothing failed");
    assert_eq!(issued.len(), 0, "told as done, and the disk had not confirmed it");
    // Who is known needs no disk.
    assert!(active(&verify(&world.verifier, &token.secret)));
    injected.end();
    await_true("the store takes writes again", PATIENCE, || ready(&world.admin));
    let after = world.pat();
    world.server.kill9();
    world.serve_again(UNTHROTTLED);
    for one in [&token, &after] {
        assert!(active(&verify(&world.verifier, &one.secret)));
    }
    let all = world.admin.get("/tokens?limit=1000&kind=personal_access_token").expect(200);
    assert_eq!(all["items"].as_array().unwrap().len(), 2, "a refused issue left something behind");
    let doctor = world.run(&["doctor", "--deep", "--json"]);
    assert!(doctor.status.success(), "{}", String::from_utf8_lossy(&doctor.stdout));
}

#[test]
fn a_disk_that_is_slow_delays_writes_and_nobody_who_is_known() {
    let world = World::new(UNTHROTTLED);
    let token = world.pat();
    assert!(active(&verify(&world.verifier, &token.secret)));
    // Whoever writes waits a second for each confirmation.
    let injected = Injected::into(&world, "fsync,fdatasync", "delay_enter=1000000");
    let admin = world.admin.clone();
    let writing = std::thread::spawn(move || {
        let watch = Stopwatch::start();
        (admin.post("/tokens", &pat_body(&json!({}))), watch.elapsed())
    });
    for _ in 0..50 {
        let watch = Stopwatch::start();
        assert!(active(&verify(&world.verifier, &token.secret)));
        assert!(watch.elapsed() < PROMPT, "{:?}", watch.elapsed());
    }
    let (answer, took) = writing.join().unwrap();
    injected.end();
    assert!(answer.status == 201 || answer.status == 503, "{}", answer.text());
    assert!(took >= Duration::from_millis(900), "{took:?}: nothing was slow");
}

fn resident_kib(world: &World) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", world.server.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[test]
fn ten_thousand_connections_that_say_nothing_cost_little_and_delay_nobody() {
    let world = World::new(&format!(
        "{UNTHROTTLED}\n[server]\nconnections_max = 12000\nconnections_per_source_max = 12000\n\
         header_timeout_seconds = 300"
    ));
    let token = world.pat();
    assert!(active(&verify(&world.verifier, &token.secret)));
    let before = resident_kib(&world);
    let mut idle: Vec<TcpStream> = Vec::with_capacity(IDLE);
    for _ in 0..IDLE {
        idle.push(TcpStream::connect(world.server.address).unwrap());
    }
    for _ in 0..100 {
        let watch = Stopwatch::start();
        assert!(active(&verify(&world.verifier, &token.secret)));
        assert!(watch.elapsed() < PROMPT, "{:?}", watch.elapsed());
    }
    // A further one is let in too.
    let mut last = Connection::open(world.server.address).unwrap();
    let live = Request::new("GET", "/healthz/live").bytes(world.server.address);
    assert_eq!(last.exchange(&live).unwrap().status, 200);
    let each = resident_kib(&world).saturating_sub(before) / IDLE as u64;
    assert!(each <= IDLE_KIB_EACH, "{each} KiB for each");
}

#[test]
fn on_a_machine_without_certificate_authorities_the_server_serves_and_the_command_asks() {
    let site = Site::new();
    let none = [("SSL_CERT_FILE", "/nowhere/ca.pem"), ("SSL_CERT_DIR", "/nowhere")];
    let settings = "[telemetry]\notlp_endpoint = \"http://127.0.0.1:9\"";
    let mut server = site.spawn_as(settings, |mut command, _| {
        command.envs(none);
        command
    });
    server.until_ready();
    let url = format!("http://{}", server.address);
    let asked = site.binary().envs(none).args(["health", "--ready", "--url", &url]).output();
    let asked = asked.unwrap();
    assert!(asked.status.success(), "{}", String::from_utf8_lossy(&asked.stderr));
    assert!(server.stop().success());
    let gone = site.binary().envs(none).args(["health", "--url", &url]).output().unwrap();
    let said = String::from_utf8_lossy(&gone.stderr);
    assert_eq!(gone.status.code(), Some(3), "{said}");
    assert!(
        said.contains(&format!("{url} cannot be reached: ")) && said.contains("refused"),
        "{said}"
    );
    let odd =
        site.binary().envs(none).args(["health", "--url", "127.0.0.1:8780"]).output().unwrap();
    let said = String::from_utf8_lossy(&odd.stderr);
    assert!(odd.status.code() == Some(2) && said.contains("write http://"), "{said}");
}

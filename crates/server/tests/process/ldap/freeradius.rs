//! `docs/guide/freeradius.md`, word for word but for the places of this machine: PAP with a
//! service token is accepted, everything else is not.

use std::fs;
use std::io::Write as _;
use std::net::{Ipv4Addr, UdpSocket};
use std::path::PathBuf;
use std::process::Stdio;

use serde_json::json;

use super::peers::{Guide, Peer, are_installed, command, put, said};
use crate::harness::{PATIENCE, await_true};
use crate::world::{UNTHROTTLED, World, service, user};

const GUIDE: Guide = Guide(include_str!("../../../../../docs/guide/freeradius.md"));

/// Between FreeRADIUS and the device that asks it.
const SHARED: &str = "testing123";

/// A FreeRADIUS for one test.
struct Radius {
    port: u16,
    home: PathBuf,
    _peer: Peer,
}

impl Radius {
    /// Starts it with one module and one site of the guide.
    fn start(world: &World, module: &str, site: &str) -> Self {
        let home = world.site.path("radius");
        fs::create_dir_all(&home).unwrap();
        let port = free_port();
        let shown = home.display();
        fs::write(home.join("module"), module).unwrap();
        fs::write(home.join("site"), site).unwrap();
        let whole = format!(
            "name = radius\nraddbdir = {shown}\nlibdir = /usr/lib/freeradius\n\
             logdir = {shown}\nrun_dir = {shown}\ndb_dir = {shown}\n\
             log {{\n  destination = stdout\n  auth = yes\n}}\n\
             security {{\n  allow_core_dumps = no\n}}\n\
             thread pool {{\n  start_servers = 1\n  max_servers = 4\n\
             \x20 min_spare_servers = 1\n  max_spare_servers = 3\n}}\n\
             client device {{\n  ipaddr = 127.0.0.1\n  secret = {SHARED}\n}}\n\
             modules {{\n  $INCLUDE {shown}/module\n}}\n\
             server default {{\n  listen {{\n    type = auth\n    ipaddr = 127.0.0.1\n\
             \x20   port = {port}\n  }}\n  $INCLUDE {shown}/site\n}}\n"
        );
        fs::write(home.join("radius.conf"), whole).unwrap();
        let log = fs::File::create(home.join("log")).unwrap();
        let mut program = command("freeradius");
        program.args(["-f", "-l", "stdout", "-n", "radius", "-D", "/usr/share/freeradius", "-d"]);
        program.arg(&home).stdout(log.try_clone().unwrap()).stderr(log);
        let mut peer = Peer(program.spawn().unwrap());
        await_true("FreeRADIUS is ready", PATIENCE, || {
            let log = fs::read_to_string(home.join("log")).unwrap();
            assert!(peer.0.try_wait().unwrap().is_none(), "FreeRADIUS ended at once: {log}");
            log.contains("Ready to process requests")
        });
        Self { port, home, _peer: peer }
    }

    fn log(&self) -> String {
        fs::read_to_string(self.home.join("log")).unwrap()
    }

    /// What FreeRADIUS says to a name and a password: accepted or not.
    fn accepts(&self, name: &str, password: &str) -> bool {
        let mut radclient = command("radclient");
        radclient.args([
            "-t",
            "10",
            "-r",
            "1",
            &format!("127.0.0.1:{}", self.port),
            "auth",
            SHARED,
        ]);
        radclient.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = radclient.spawn().unwrap();
        let asked = format!("User-Name = \"{name}\", User-Password = \"{password}\"\n");
        child.stdin.take().unwrap().write_all(asked.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        let said = said(&output);
        let accepted = said.contains("Received Access-Accept");
        assert!(accepted || said.contains("Received Access-Reject"), "{said}{}", self.log());
        accepted
    }

    fn accepts_the_right_token_only(&self, world: &World, token: &str) {
        assert!(self.accepts("alice", token), "{}", self.log());
        service(&world.admin, "wiki", &json!({}));
        let foreign = world.service_token("alice", "wiki");
        let revoked = world.service_token("alice", "wifi");
        world.admin.post(&revoked.path("/revoke"), &json!({})).expect(200);
        for (why, name, password) in [
            ("another service's token", "alice", &*foreign.secret),
            ("a revoked token", "alice", &*revoked.secret),
            ("nonsense", "alice", "nonsense"),
            ("somebody else's name", "bob", token),
            ("nobody's name", "carol", token),
            ("a name that is a filter", "*", token),
        ] {
            assert!(!self.accepts(name, password), "{why}: {}", self.log());
        }
        assert!(self.accepts("alice", token), "{}", self.log());
    }
}

fn free_port() -> u16 {
    UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

fn world() -> World {
    let world = World::new(UNTHROTTLED);
    user(&world.admin, "bob");
    world
}

#[test]
fn freeradius_accepts_pap_with_a_token_by_an_ldap_bind() {
    if !are_installed(&["freeradius", "radclient", "/usr/lib/freeradius/rlm_ldap.so"]) {
        return;
    }
    let world = world();
    let (token, key) = GUIDE.run_commands(&world);
    let module = GUIDE.file("/etc/freeradius/3.0/mods-enabled/ldap");
    let module = put(&module, "127.0.0.1:3890", &world.server.ldap().to_string());
    let module = put(&module, "cflk_...", &key);
    let site = GUIDE.file("/etc/freeradius/3.0/sites-enabled/counterfoil-ldap");
    Radius::start(&world, &module, &site).accepts_the_right_token_only(&world, &token);
}

#[test]
fn freeradius_accepts_pap_with_a_token_by_a_request_over_http() {
    if !are_installed(&["freeradius", "radclient", "/usr/lib/freeradius/rlm_rest.so"]) {
        return;
    }
    let world = world();
    let (token, _) = GUIDE.run_commands(&world);
    let module = GUIDE.file("/etc/freeradius/3.0/mods-enabled/rest");
    let module = put(&module, "127.0.0.1:8780", &world.server.address.to_string());
    let site = GUIDE.file("/etc/freeradius/3.0/sites-enabled/counterfoil-rest");
    Radius::start(&world, &module, &site).accepts_the_right_token_only(&world, &token);
}

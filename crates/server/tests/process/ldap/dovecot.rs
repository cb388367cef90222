//! `docs/guide/dovecot.md`, word for word but for the places of this machine: people read their
//! mail over IMAP with a service token.

use std::fs;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Stdio;

use serde_json::json;

use super::peers::{Guide, Peer, are_installed, command, put, said};
use crate::harness::{PATIENCE, await_true};
use crate::world::{UNTHROTTLED, World, service};

const GUIDE: Guide = Guide(include_str!("../../../../../docs/guide/dovecot.md"));

/// curl's status when a login is refused.
const LOGIN_DENIED: i32 = 67;

/// A Dovecot for one test.
struct Dovecot {
    port: u16,
    home: PathBuf,
    _peer: Peer,
}

impl Dovecot {
    /// Starts it with what the guide says about authentication.
    fn start(world: &World, auth: &str) -> Self {
        let home = world.site.path("dovecot");
        let mail = home.join("mail");
        fs::create_dir_all(&mail).unwrap();
        // Mail is delivered as somebody else than root.
        let open = |path: &std::path::Path, mode| {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        };
        open(world.site.path("dovecot").parent().unwrap(), 0o755);
        open(&mail, 0o777);
        let port = free_port();
        let shown = home.display();
        let whole = format!(
            "base_dir = {shown}/run\nstate_dir = {shown}/state\nlog_path = {shown}/log\n\
             auth_verbose = yes\nauth_failure_delay = 0\nlisten = 127.0.0.1\nprotocols = imap\nssl = no\n\
             disable_plaintext_auth = no\nmail_location = maildir:~/Maildir\n\
             first_valid_uid = 1\nservice imap-login {{\n  chroot =\n\
             \x20 inet_listener imap {{\n    port = {port}\n  }}\n\
             \x20 inet_listener imaps {{\n    port = 0\n  }}\n}}\n\
             service stats {{\n  chroot =\n}}\nservice anvil {{\n  chroot =\n\
             \x20 unix_listener anvil-auth-penalty {{\n    mode = 0\n  }}\n}}\n{auth}"
        );
        fs::write(home.join("dovecot.conf"), whole).unwrap();
        let mut program = command("dovecot");
        program.arg("-F").arg("-c").arg(home.join("dovecot.conf"));
        program.stdout(Stdio::null()).stderr(fs::File::create(home.join("stderr")).unwrap());
        let mut peer = Peer(program.spawn().unwrap());
        let started = Self { port, home, _peer: Peer(command("true").spawn().unwrap()) };
        await_true("Dovecot listens", PATIENCE, || {
            let ended = peer.0.try_wait().unwrap();
            assert!(ended.is_none(), "Dovecot ended at once: {}", started.log());
            TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
        });
        Self { _peer: peer, ..started }
    }

    fn log(&self) -> String {
        let read = |name| fs::read_to_string(self.home.join(name)).unwrap_or_default();
        format!("{}{}", read("stderr"), read("log"))
    }

    /// Logs in and lists the mailboxes; curl's status.
    fn login(&self, user: &str, password: &str) -> i32 {
        let config = self.home.join("curl");
        fs::write(&config, format!("user = \"{user}:{password}\"\n")).unwrap();
        let mut curl = command("curl");
        curl.args(["--silent", "--show-error", "--max-time", "30", "--config"]).arg(&config);
        let output = curl.arg(format!("imap://127.0.0.1:{}/", self.port)).output().unwrap();
        let listed = String::from_utf8_lossy(&output.stdout).contains("INBOX");
        let status = output.status.code().unwrap();
        assert!(status != 0 || listed, "{}", said(&output));
        status
    }

    /// A token of alice for the service opens her mailbox; nothing else does.
    fn is_opened_by_the_right_token_only(&self, world: &World, token: &str) {
        let (status, log) = (self.login("alice", token), self.log());
        assert_eq!(status, 0, "{log}");
        service(&world.admin, "wiki", &json!({}));
        let foreign = world.service_token("alice", "wiki");
        let revoked = world.service_token("alice", "mail");
        world.admin.post(&revoked.path("/revoke"), &json!({})).expect(200);
        for (why, user, password) in [
            ("another service's token", "alice", &*foreign.secret),
            ("a revoked token", "alice", &*revoked.secret),
            ("nonsense", "alice", "nonsense"),
            ("somebody else's name", "bob", token),
            ("nobody's name", "carol", token),
            ("a name that is a filter", "*", token),
        ] {
            assert_eq!(self.login(user, password), LOGIN_DENIED, "{why}: {}", self.log());
        }
        assert_eq!(self.login("alice", token), 0, "{}", self.log());
        assert!(!self.log().contains(token));
    }
}

fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

fn world() -> World {
    let world = World::new(UNTHROTTLED);
    crate::world::user(&world.admin, "bob");
    world
}

#[test]
fn dovecot_logs_in_over_imap_by_an_ldap_bind() {
    if !are_installed(&["dovecot", "curl", "/usr/lib/dovecot/modules/auth/libauthdb_ldap.so"]) {
        return;
    }
    let world = world();
    let (token, key) = GUIDE.run_commands(&world);
    let conf = GUIDE.file("/etc/dovecot/dovecot-ldap.conf.ext");
    let conf = put(&conf, "127.0.0.1:3890", &world.server.ldap().to_string());
    let conf = put(&conf, "cflk_...", &key);
    let place = world.site.path("dovecot-ldap.conf.ext");
    fs::write(&place, conf).unwrap();
    let auth = GUIDE.file("/etc/dovecot/conf.d/auth-counterfoil-ldap.conf.ext");
    let auth = put(&auth, "/etc/dovecot/dovecot-ldap.conf.ext", place.to_str().unwrap());
    let mail = world.site.path("dovecot/mail").display().to_string();
    let auth = put(&auth, "uid=vmail gid=vmail", "uid=nobody gid=nogroup");
    let dovecot = Dovecot::start(&world, &put(&auth, "/var/vmail", &mail));
    dovecot.is_opened_by_the_right_token_only(&world, &token);
}

#[test]
fn dovecot_logs_in_over_imap_by_a_script_that_asks_over_http() {
    if !are_installed(&["dovecot", "curl", "/usr/lib/dovecot/modules/auth/libauthdb_lua.so"]) {
        return;
    }
    let mut world = world();
    let (token, _) = GUIDE.run_commands(&world);
    let script = GUIDE.file("/etc/dovecot/counterfoil.lua");
    let script = put(&script, "127.0.0.1:8780", &world.server.address.to_string());
    let script =
        put(&script, "uid = \"vmail\", gid = \"vmail\"", "uid = \"nobody\", gid = \"nogroup\"");
    let mail = world.site.path("dovecot/mail").display().to_string();
    let place = world.site.path("counterfoil.lua");
    fs::write(&place, put(&script, "/var/vmail", &mail)).unwrap();
    let auth = GUIDE.file("/etc/dovecot/conf.d/auth-counterfoil-lua.conf.ext");
    let auth = put(&auth, "/etc/dovecot/counterfoil.lua", place.to_str().unwrap());
    let dovecot = Dovecot::start(&world, &auth);
    dovecot.is_opened_by_the_right_token_only(&world, &token);
    // A server that does not answer is no wrong password.
    world.server.kill9();
    dovecot.login("alice", &token);
    assert!(dovecot.log().contains("Counterfoil does not answer"), "{}", dovecot.log());
}

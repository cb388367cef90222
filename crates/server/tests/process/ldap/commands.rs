//! OpenLDAP's own commands and python-ldap, in clear, after `StartTLS`, and inside TLS.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use serde_json::json;

use super::peers::{are_installed, command, said};
use super::{BASE, person};
use crate::world::{UNTHROTTLED, World, user};

/// Made for these tests, of an authority that was thrown away: OpenLDAP's commands trust no
/// certificate that vouches for itself.
const TLS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/process/ldap/tls");

fn with_tls(more: &str) -> World {
    let files = format!("cert = \"{TLS}/cert.pem\", key = \"{TLS}/key.pem\"");
    let ldap = format!("[ldap]\ntls_listen = \"127.0.0.1:0\"\ntls = {{ {files} }}");
    World::new(&format!("{UNTHROTTLED}\n{ldap}\n{more}"))
}

/// Runs one of the commands with a secret in a file; its exit status and what it said.
fn run(world: &World, name: &str, arguments: &[&str], secret: &str) -> (i32, String) {
    let file = world.site.path("secret");
    fs::write(&file, secret).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let mut command = command(name);
    command.env("LDAPTLS_CACERT", format!("{TLS}/ca.pem")).arg("-x").arg("-y");
    let output = command.arg(&file).args(arguments).output().unwrap();
    (output.status.code().unwrap(), said(&output))
}

#[test]
fn ldapwhoami_binds_in_clear_after_start_tls_and_inside_tls() {
    if !are_installed(&["ldapwhoami"]) {
        return;
    }
    let world = with_tls("");
    let token = world.pat();
    let name = person("alice", "git");
    let clear = format!("ldap://{}", world.server.ldap());
    let inside = format!("ldaps://{}", world.server.printed("ldaps://"));
    for arguments in [&["-H", &*clear][..], &["-ZZ", "-H", &*clear], &["-H", &*inside]] {
        let all = [arguments, &["-D", &*name]].concat();
        let (status, said) = run(&world, "ldapwhoami", &all, &token.secret);
        assert_eq!((status, said.trim()), (0, &*format!("dn:{name}")), "{arguments:?}");
        let (status, said) = run(&world, "ldapwhoami", &all, "wrong");
        assert_eq!(status, 49, "{said}");
    }
}

#[test]
fn ldapsearch_finds_people_and_pages_through_them() {
    if !are_installed(&["ldapsearch"]) {
        return;
    }
    let world = with_tls("");
    for number in 0..12 {
        user(&world.admin, &format!("user-{number:02}"));
    }
    world.admin.patch("/users/alice", &json!({ "display_name": "Alice (1) *" })).expect(200);
    let (name, key) = world.ldap_client("gate", &["git"]);
    let clear = format!("ldap://{}", world.server.ldap());
    let search = |more: &[&str]| {
        let head = ["-LLL", "-o", "ldif-wrap=no", "-H", &*clear, "-b", BASE, "-D", &*name];
        run(&world, "ldapsearch", &[&head[..], more].concat(), &key)
    };
    let (status, found) = search(&["(cn=alice \\281\\29 \\2a)", "uid", "cn"]);
    let expected = format!("dn: {}\nuid: alice\ncn: Alice (1) *\n\n", person("alice", "git"));
    assert_eq!((status, &*found), (0, &*expected));
    let (status, found) = search(&["-E", "!pr=5/noprompt", "(uid=*)", "1.1"]);
    assert_eq!((status, found.matches("dn: uid=").count()), (0, 13), "{found}");
    let (status, found) = search(&["-z", "3", "(uid=*)", "1.1"]);
    assert_eq!((status, found.matches("dn: uid=").count()), (4, 3), "{found}");
    let (status, said) = search(&["-E", "!sync=ro", "(uid=*)"]);
    assert_eq!(status, 12, "{said}");
    // The root DSE, and the refusal of an anonymous bind.
    let mut anonymous = command("ldapsearch");
    anonymous.args(["-x", "-LLL", "-H", &clear, "-s", "base", "-b", ""]);
    let output = anonymous.output().unwrap();
    assert_eq!(output.status.code(), Some(48), "{}", self::said(&output));
}

#[test]
fn python_ldap_looks_a_person_up_and_binds_as_them() {
    if !are_installed(&["/usr/lib/python3/dist-packages/ldap/__init__.py"]) {
        return;
    }
    let world = with_tls("");
    world.admin.patch("/users/alice", &json!({ "emails": ["alice@example.org"] })).expect(200);
    let token = world.pat();
    let (name, key) = world.ldap_client("gate", &["git"]);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/process/ldap/client.py");
    // Debian's own, because that is whose package it is.
    let mut python = Command::new("/usr/bin/python3");
    python.env_clear().arg(script).arg(format!("ldap://{}", world.server.ldap()));
    python.args([&*format!("{TLS}/ca.pem"), &name, &key, "alice@example.org", &token.secret]);
    let output = python.output().unwrap();
    let said = said(&output);
    assert!(output.status.success() && said.ends_with("done\n"), "{said}");
}

#[test]
fn credentials_in_clear_text_are_for_this_machine_only() {
    // Another address of this machine is another machine to the server.
    let Some(outside) = outside() else {
        println!("left out: this machine has no address but its own");
        return;
    };
    if !are_installed(&["ldapwhoami"]) {
        return;
    }
    for (allowed, status) in [("false", 13), ("true", 0)] {
        let world = with_tls(&format!("allow_plaintext = {allowed}\nlisten = \"0.0.0.0:0\""));
        let token = world.pat();
        let url = format!("ldap://{outside}:{}", world.server.ldap().port());
        let name = person("alice", "git");
        let (ended, said) = run(&world, "ldapwhoami", &["-H", &url, "-D", &name], &token.secret);
        assert_eq!(ended, status, "{said}");
        if status != 0 {
            assert_eq!(world.usage_total(&token), 0);
        }
    }
}

/// An address of this machine that is not its loopback.
fn outside() -> Option<std::net::IpAddr> {
    let socket = std::net::UdpSocket::bind("0.0.0.0:0").ok()?;
    // Nothing is sent: the system only chooses a way.
    socket.connect("192.0.2.1:9").ok()?;
    let address = socket.local_addr().ok()?.ip();
    (!address.is_loopback() && !address.is_unspecified()).then_some(address)
}

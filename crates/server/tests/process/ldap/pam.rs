//! `docs/guide/pam.md`, word for word but for the places of this machine: `pam_ldap` and `nslcd`
//! let people in with a service token.
//!
//! nslcd and PAM read fixed places below `/etc`; the test lays its files over them where only its
//! own programs see that, which needs the right to mount.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};

use serde_json::json;

use super::peers::{Guide, are_installed, command, put, said};
use crate::world::{UNTHROTTLED, World, service, user};

const GUIDE: Guide = Guide(include_str!("../../../../../docs/guide/pam.md"));

/// The library of `pam_ldap` on Debian, by machine.
const PAM_LDAP: [&str; 2] =
    ["/lib/x86_64-linux-gnu/security/pam_ldap.so", "/lib/aarch64-linux-gnu/security/pam_ldap.so"];

/// Lays the files over the system's, starts nslcd, and asks for everybody on standard input.
const SCRIPT: &str = r#"set -eu
home=$1
mount --bind "$home/nslcd.conf" /etc/nslcd.conf
mkdir -p /run/nslcd
mount --bind "$home/run" /run/nslcd
mount --bind "$home/pam.d" /etc/pam.d
nslcd -n >"$home/nslcd.log" 2>&1 &
nslcd=$!
trap 'kill $nslcd 2>/dev/null' EXIT
tries=0
until test -S /run/nslcd/socket; do
    tries=$((tries + 1))
    test "$tries" -lt 300
    sleep 0.1
done
while IFS=' ' read -r name password; do
    if printf '%s\n' "$password" | pamtester counterfoil-login "$name" authenticate acct_mgmt >"$home/said" 2>&1
    then echo "in $name"
    else echo "out $name: $(tail -n 1 "$home/said")"
    fi
done
"#;

fn may_mount() -> bool {
    let unshared = Command::new("unshare").args(["--mount", "true"]).output();
    unshared.is_ok_and(|output| output.status.success())
}

#[test]
fn pamtester_lets_people_in_with_a_token_for_the_service_only() {
    let here = PAM_LDAP.into_iter().find(|path| fs::metadata(path).is_ok());
    if !are_installed(&["nslcd", "pamtester", "unshare", here.unwrap_or(PAM_LDAP[0])]) {
        return;
    }
    if !may_mount() {
        println!("left out: this takes the right to mount (root)");
        return;
    }
    let world = World::new(UNTHROTTLED);
    user(&world.admin, "bob");
    service(&world.admin, "wiki", &json!({}));
    let (token, key) = GUIDE.run_commands(&world);
    let conf = put(&GUIDE.file("/etc/nslcd.conf"), "cflk_...", &key);
    let conf = put(&conf, "127.0.0.1:3890", &world.server.ldap().to_string());
    let home = world.site.path("pam");
    for directory in ["run", "pam.d"] {
        fs::create_dir_all(home.join(directory)).unwrap();
    }
    fs::write(home.join("nslcd.conf"), conf).unwrap();
    // It holds a key, and nslcd insists.
    let private = fs::Permissions::from_mode(0o600);
    fs::set_permissions(home.join("nslcd.conf"), private).unwrap();
    let open = fs::Permissions::from_mode(0o777);
    fs::set_permissions(home.join("run"), open).unwrap();
    for path in [world.site.path("."), home.clone()] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let stack = GUIDE.file("/etc/pam.d/counterfoil-login");
    fs::write(home.join("pam.d/counterfoil-login"), stack).unwrap();

    let foreign = world.service_token("alice", "wiki");
    let mut shell = command("unshare");
    shell.args(["--mount", "--propagation", "private", "sh", "-c", SCRIPT, "sh"]).arg(&home);
    shell.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = shell.spawn().unwrap();
    let asked = [
        ("alice", &*token),
        ("alice", &*foreign.secret),
        ("alice", "nonsense"),
        ("bob", &*token),
        ("alice", &*token),
    ];
    let mut input = child.stdin.take().unwrap();
    for (name, secret) in asked {
        writeln!(input, "{name} {secret}").unwrap();
    }
    drop(input);
    let output = child.wait_with_output().unwrap();
    let log = fs::read_to_string(home.join("nslcd.log")).unwrap_or_default();
    let said = said(&output);
    let verdicts: Vec<&str> = said.lines().filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(verdicts, ["in", "out", "out", "out", "in"], "{said}{log}");
}

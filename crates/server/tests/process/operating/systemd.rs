//! systemd's side of `Type=notify`, of reloads and of socket activation, played by the test.

use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::harness::{PATIENCE, Server, Site, await_true};
use crate::ldap::BASE;
use crate::wire::{Api, Connection, Request};

/// What systemd would set for a watchdog of 400 ms.
const WATCHDOG_MICROS: &str = "400000";

/// The same command, started by a shell that knows the process's number before it is one.
fn by_shell(command: &Command, before: &str) -> Command {
    let mut shell = Command::new("sh");
    shell.env_clear().args(["-c", &format!("{before}; exec \"$@\""), "sh"]);
    shell.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        shell.envs(value.map(|value| (name, value)));
    }
    if let Some(dir) = command.get_current_dir() {
        shell.current_dir(dir);
    }
    shell
}

/// The next thing that the server says.
#[track_caller]
fn heard(socket: &UnixDatagram) -> String {
    let mut bytes = [0; 1024];
    let length = socket.recv(&mut bytes).expect("the server says something in time");
    String::from_utf8_lossy(&bytes[..length]).into_owned()
}

/// The next thing but for signs of life.
#[track_caller]
fn heard_but_alive(socket: &UnixDatagram) -> String {
    loop {
        let said = heard(socket);
        if !said.contains("WATCHDOG=1") {
            return said;
        }
    }
}

fn managed(site: &Site, settings: &str) -> (UnixDatagram, Server) {
    let path = site.path("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let server = site.spawn_as(settings, |command, stdout| {
        let mut shell = by_shell(&command, "export WATCHDOG_PID=$$");
        shell.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", WATCHDOG_MICROS);
        shell.stdin(Stdio::null()).stdout(std::fs::File::create(stdout).unwrap());
        shell
    });
    (socket, server)
}

#[test]
fn systemd_is_told_of_every_turn_that_the_server_takes() {
    let site = Site::new();
    for name in ["cert.pem", "key.pem"] {
        let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/tls").join(name);
        std::fs::copy(own, site.path(name)).unwrap();
    }
    let path = |name| site.path(name).display().to_string();
    let settings = format!(
        "[ldap.tls]\ncert = \"{}\"\nkey = \"{}\"\n[log]\nformat = \"json\"",
        path("cert.pem"),
        path("key.pem")
    );
    let (socket, mut server) = managed(&site, &settings);
    let ready = heard_but_alive(&socket);
    assert!(ready.contains("READY=1\n"), "{ready}");
    // It is true when it is said.
    server.until_ready();
    for _ in 0..3 {
        assert_eq!(heard(&socket), "WATCHDOG=1\n");
    }

    server.signal("HUP");
    assert!(heard_but_alive(&socket).contains("RELOADING=1\n"));
    assert!(heard_but_alive(&socket).contains("READY=1\n"));
    assert!(server.log().contains("the TLS certificate was read again"));

    // One that cannot be used is said, and changes nothing.
    std::fs::write(site.path("cert.pem"), "nothing").unwrap();
    server.signal("HUP");
    assert!(heard_but_alive(&socket).contains("RELOADING=1\n"));
    assert!(heard_but_alive(&socket).contains("READY=1\n"));
    assert!(server.log().contains("the former one stays"));
    let nobody = Api::new(server.address, "");
    assert_eq!(nobody.raw(&Request::new("GET", "/healthz/ready")).status, 200);

    server.terminate();
    assert!(heard_but_alive(&socket).contains("STOPPING=1\n"));
    assert!(server.until_ended().success());
}

#[test]
fn without_systemd_a_closed_terminal_ends_the_server() {
    let site = Site::new();
    let mut server = site.serve("");
    server.signal("HUP");
    assert!(server.until_ended().success());
}

/// Two sockets as numbers 3 and 4, under these names.
fn handed(command: &Command, stdout: &Path, sockets: [TcpListener; 2], names: &str) -> Command {
    let before = format!(
        "exec 3<&0 4>&1 0</dev/null 1>'{}'; \
         export LISTEN_PID=$$ LISTEN_FDS=2 LISTEN_FDNAMES={names}",
        stdout.display()
    );
    let mut shell = by_shell(command, &before);
    let [first, second] = sockets.map(|socket| Stdio::from(OwnedFd::from(socket)));
    shell.stdin(first).stdout(second);
    shell
}

#[test]
fn sockets_that_systemd_has_opened_are_served_on_from_their_first_connection() {
    let site = Site::new();
    let sockets = ["127.0.0.1:0"; 2].map(|any| TcpListener::bind(any).unwrap());
    let addresses = [&sockets[0], &sockets[1]].map(|socket| socket.local_addr().unwrap());
    // Somebody is there before the server.
    let mut early = Connection::open(addresses[0]).unwrap();
    let mut server =
        site.spawn_as("", |command, stdout| handed(&command, stdout, sockets, "http:ldap"));
    server.until_ready();
    assert_eq!([server.address, server.ldap()], addresses);
    let live = Request::new("GET", "/healthz/live").bytes(addresses[0]);
    assert_eq!(early.exchange(&live).unwrap().status, 200);
    let printed = std::fs::read_to_string(&server.stdout).unwrap();
    assert!(printed.contains(BASE), "{printed}");
    assert!(server.stop().success());
    // The server has let go of them, and so has the test.
    await_true("nobody listens any more", PATIENCE, || TcpStream::connect(addresses[0]).is_err());
}

#[test]
fn a_socket_that_nothing_is_served_on_is_an_error_and_not_a_silence() {
    for (names, settings, why) in [
        ("http:smtp", "", "a socket called `smtp`"),
        ("http:metrics", "", "nothing is served on the socket `metrics`"),
        ("http:ldap", "[doors]\nldap = false", "nothing is served on the socket `ldap`"),
        ("http:http", "", "nothing is served on the socket `http`"),
    ] {
        let site = Site::new();
        let sockets = ["127.0.0.1:0"; 2].map(|any| TcpListener::bind(any).unwrap());
        let mut server =
            site.spawn_as(settings, |command, stdout| handed(&command, stdout, sockets, names));
        assert_eq!(server.until_ended().code(), Some(2), "{names}");
        assert!(server.log().contains(why), "{names}: {}", server.log());
    }
}

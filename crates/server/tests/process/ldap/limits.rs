//! Who sends nonsense, too much, or nothing at all bothers nobody else.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use ldap3_proto::proto::{LdapFilter, LdapOp, LdapResultCode, LdapSearchScope};

use super::client::{Client, request};
use super::{BASE, person};
use crate::harness::{PATIENCE, await_true};
use crate::world::{UNTHROTTLED, World};

/// Connections that do nothing.
const IDLE: usize = 1000;
/// KiB that each of them may cost, its socket not counted.
const IDLE_KIB_EACH: u64 = 24;

/// Resident memory of the server in KiB.
fn resident_kib(world: &World) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", world.server.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// Everything that the server still says on a connection.
fn rest(mut stream: TcpStream) -> Vec<u8> {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut said = Vec::new();
    // A reset is an end too: the server did not read everything.
    let _ = stream.read_to_end(&mut said);
    said
}

#[test]
fn malformed_messages_end_their_connection_with_a_notice_and_no_other() {
    let world = World::new(UNTHROTTLED);
    let token = world.pat();
    let mut good = world.ldap();
    assert_eq!(good.bind(&person("alice", "git"), &token.secret), LdapResultCode::Success);
    let nested: Vec<u8> = (0..60_u8).rev().flat_map(|inner| [0x30, inner * 2]).collect();
    let cases: [(&str, Vec<u8>); 9] = [
        ("another protocol", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec()),
        ("a length without end", vec![0x30, 0x80, 2, 1, 1, 0, 0]),
        ("4 GiB", vec![0x30, 0x84, 0xff, 0xff, 0xff, 0xff, 2, 1, 1]),
        ("1 MiB", vec![0x30, 0x83, 0x10, 0, 0, 2, 1, 1]),
        ("an empty message", vec![0x30, 0]),
        ("a number alone", vec![0x30, 3, 2, 1, 1]),
        ("an unknown operation", vec![0x30, 5, 2, 1, 1, 0x7e, 0]),
        ("deep nesting", nested),
        ("the number 0", vec![0x30, 5, 2, 1, 0, 0x42, 0]),
    ];
    for (why, bytes) in cases {
        let mut stream = TcpStream::connect(world.server.ldap()).unwrap();
        stream.write_all(&bytes).unwrap();
        let said = rest(stream);
        let notice = b"1.3.6.1.4.1.1466.20036";
        let unbind = why == "the number 0";
        let has_notice = said.windows(notice.len()).any(|window| window == notice);
        assert!(has_notice, "{why}: {said:?} {unbind}");
        assert_eq!(good.who_am_i().0, LdapResultCode::Success, "{why}");
    }
}

#[test]
fn filters_that_are_deep_or_wide_are_refused() {
    let world = World::new(UNTHROTTLED);
    let token = world.pat();
    let mut ldap = world.ldap();
    assert_eq!(ldap.bind(&person("alice", "git"), &token.secret), LdapResultCode::Success);
    let mut asked = request(BASE, LdapSearchScope::Subtree, "(uid=alice)", &[]);
    let one = LdapFilter::Present("uid".to_owned());
    asked.filter = LdapFilter::Or(vec![one.clone(); 200]);
    assert_eq!(ldap.ask(asked.clone(), Vec::new()).code, LdapResultCode::UnwillingToPerform);
    let nested =
        |levels| (0..levels).fold(one.clone(), |inner, _| LdapFilter::Not(Box::new(inner)));
    asked.filter = nested(16);
    assert_eq!(ldap.ask(asked.clone(), Vec::new()).code, LdapResultCode::UnwillingToPerform);
    asked.filter = nested(10);
    assert_eq!(ldap.ask(asked.clone(), Vec::new()).code, LdapResultCode::Success);
    // Too deep to be parsed at all.
    asked.filter = nested(200);
    ldap.send(LdapOp::SearchRequest(asked), Vec::new());
    assert_eq!(ldap.receive().unwrap().msgid, 0);
    assert!(ldap.receive().is_none());
}

#[test]
fn a_thousand_idle_and_slow_connections_leave_others_alone() {
    let settings = format!("{UNTHROTTLED}\nldap.connections_per_source_max = 1200");
    let world = World::new(&settings);
    let token = world.pat();
    let name = person("alice", "git");
    let mut first = world.ldap();
    assert_eq!(first.bind(&name, &token.secret), LdapResultCode::Success);
    let before = resident_kib(&world);
    // Half of them say nothing, half begin a message and never end it.
    let mut idle: Vec<TcpStream> = Vec::with_capacity(IDLE);
    for number in 0..IDLE {
        let mut stream = TcpStream::connect(world.server.ldap()).unwrap();
        if number % 2 == 0 {
            stream.write_all(&[0x30, 0x82, 0x20, 0, 2]).unwrap();
        }
        idle.push(stream);
    }
    let mut last = world.ldap();
    for _ in 0..100 {
        assert_eq!(last.bind(&name, &token.secret), LdapResultCode::Success);
        assert_eq!(first.who_am_i().0, LdapResultCode::Success);
    }
    let each = (resident_kib(&world) - before) / IDLE as u64;
    assert!(each <= IDLE_KIB_EACH, "{each} KiB for each idle connection");
    // Who does not go on is closed, without having been asked anything.
    let slow = idle.swap_remove(0);
    assert_eq!(rest(slow), b"");
}

#[test]
fn a_source_gets_its_share_of_connections_and_others_theirs() {
    let world = World::new("ldap.connections_per_source_max = 3");
    let mut held: Vec<Client> = (0..3).map(|_| world.ldap()).collect();
    for client in &mut held {
        assert_eq!(client.who_am_i().0, LdapResultCode::InsufficentAccessRights);
    }
    let refused = TcpStream::connect(world.server.ldap()).unwrap();
    assert_eq!(rest(refused), b"");
    drop(held.pop());
    await_true("a place is free again", PATIENCE, || {
        let mut stream = TcpStream::connect(world.server.ldap()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        stream.write_all(&[0x30, 5, 2, 1, 1, 0x42, 0]).unwrap();
        // An unbind is answered with the end of the connection; a refused one is reset.
        matches!(stream.read(&mut [0; 8]), Ok(0))
    });
}

#[test]
fn a_connection_that_is_idle_too_long_is_closed() {
    let world = World::new("ldap.idle_seconds = 1");
    let token = world.pat();
    let mut ldap = world.ldap();
    assert_eq!(ldap.bind(&person("alice", "git"), &token.secret), LdapResultCode::Success);
    assert!(ldap.receive().is_none());
    let nobody = TcpStream::connect(world.server.ldap()).unwrap();
    assert_eq!(rest(nobody), b"");
}

#[test]
fn a_door_that_is_off_does_not_listen() {
    let world = World::new("doors.ldap = false");
    let printed = std::fs::read_to_string(&world.server.stdout).unwrap();
    assert!(printed.contains("LDAP          switched off"), "{printed}");
}

#[test]
fn who_fails_often_waits_and_a_right_token_never_does() {
    let world = World::new("");
    let token = world.pat();
    let name = person("alice", "git");
    let mut ldap = world.ldap();
    let timed = |ldap: &mut Client, password: &str, code| {
        let watch = counterfoil_server::clock::Stopwatch::start();
        assert_eq!(ldap.bind(&name, password), code);
        watch.elapsed()
    };
    let denied = LdapResultCode::InvalidCredentials;
    let mut slowest = Duration::ZERO;
    for _ in 0..24 {
        slowest = slowest.max(timed(&mut ldap, "wrong", denied.clone()));
        if slowest > Duration::from_millis(200) {
            break;
        }
    }
    assert!(slowest > Duration::from_millis(200), "{slowest:?}");
    let good = timed(&mut ldap, &token.secret, LdapResultCode::Success);
    assert!(good < Duration::from_millis(200), "{good:?}");
}

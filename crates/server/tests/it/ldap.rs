//! A store that is down is never a denial at the LDAP door, whichever of its calls fails.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use counterfoil_authority::names::RealmName;
use counterfoil_authority::store::Store;
use counterfoil_server::http::HttpSettings;
use counterfoil_server::ldap::{Dn, Lanes, LdapDoor, LdapSettings, Limits, Shared, Start, Tree};
use counterfoil_store::{FailingStore, MemoryStore};
use ldap3_proto::LdapCodec;
use ldap3_proto::parse_ldap_filter_str;
use ldap3_proto::proto::{
    LdapBindCred, LdapBindRequest, LdapDerefAliases, LdapMsg, LdapOp, LdapResultCode,
    LdapSearchRequest, LdapSearchScope,
};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_util::codec::{Decoder as _, Encoder as _};

use crate::world::World;

/// Calls of the store in one operation at most; more would be a loop.
const CALLS_MAX: usize = 24;
const BASE: &str = "dc=counterfoil,dc=local";

/// The LDAP door of a world, for as long as the sender lives.
async fn door(world: &World) -> (SocketAddr, watch::Sender<bool>) {
    let (stop, stopped) = watch::channel(false);
    let limits =
        Limits { connections_max: 16, connections_per_source_max: 16, trusted: Vec::new() };
    let listen = (Ipv4Addr::LOCALHOST, 0).into();
    let door = LdapDoor::bind(listen, Start::Clear, limits).await.unwrap();
    let address = door.address().unwrap();
    let settings = LdapSettings {
        realm: RealmName::parse("main").unwrap(),
        tree: Tree::new(Dn::parse(BASE).unwrap(), Vec::new()),
        allow_plaintext: false,
        idle: Duration::from_secs(30),
    };
    let shared = Arc::new(Shared::new(world.state.clone(), settings, None));
    let lanes = Arc::new(Lanes::start().unwrap());
    tokio::spawn(door.serve(lanes, shared, stopped, Duration::ZERO));
    (address, stop)
}

/// Sends a request and reads up to its result.
async fn result(stream: &mut TcpStream, msgid: i32, op: LdapOp) -> LdapResultCode {
    let mut bytes = BytesMut::new();
    LdapCodec::default().encode(LdapMsg::new(msgid, op), &mut bytes).unwrap();
    stream.write_all(&bytes).await.unwrap();
    let mut input = BytesMut::new();
    loop {
        while let Some(message) = LdapCodec::default().decode(&mut input).unwrap() {
            match message.op {
                LdapOp::BindResponse(response) => return response.res.code,
                LdapOp::SearchResultDone(result) => return result.code,
                _ => {}
            }
        }
        assert!(stream.read_buf(&mut input).await.unwrap() > 0, "closed");
    }
}

fn bind(dn: &str, password: &str) -> LdapOp {
    let cred = LdapBindCred::Simple(password.to_owned());
    LdapOp::BindRequest(LdapBindRequest { version: 3, dn: dn.to_owned(), cred })
}

fn search(filter: &str) -> LdapOp {
    LdapOp::SearchRequest(LdapSearchRequest {
        base: BASE.to_owned(),
        scope: LdapSearchScope::Subtree,
        aliases: LdapDerefAliases::Never,
        sizelimit: 0,
        timelimit: 0,
        typesonly: false,
        filter: parse_ldap_filter_str(filter).unwrap(),
        attrs: Vec::new(),
    })
}

/// Fails each store call of an operation in turn, on a server that remembers nothing, until none
/// is left to fail. `before` runs while the store is sound.
async fn drill(
    world: &World,
    store: &FailingStore,
    before: Option<LdapOp>,
    asked: LdapOp,
    wanted: LdapResultCode,
) {
    for call in 1..=CALLS_MAX {
        let cold = world.restarted().await;
        let (address, _stop) = door(&cold).await;
        let mut stream = TcpStream::connect(address).await.unwrap();
        if let Some(before) = before.clone() {
            assert_eq!(result(&mut stream, 1, before).await, LdapResultCode::Success);
        }
        store.fail_nth(call);
        let code = result(&mut stream, 2, asked.clone()).await;
        let calls = store.calls();
        store.heal();
        if calls.len() < call {
            assert_eq!(code, wanted);
            assert!(call > 1, "nothing was asked of the store");
            return;
        }
        assert_eq!(code, LdapResultCode::Unavailable, "{calls:?}");
    }
    panic!("more than {CALLS_MAX} calls");
}

#[tokio::test]
async fn binds_and_searches_are_unavailable_while_any_read_fails() {
    let store = Arc::new(FailingStore::new(Arc::new(MemoryStore::new())));
    let world = World::over(Arc::clone(&store) as Arc<dyn Store>, HttpSettings::default()).await;
    world.user("alice").await;
    world.user("bob").await;
    world.service("git").await;
    let (_, pat) = world.pat("alice", json!({ "services": ["git"] })).await;
    let (_, limited) = world.pat("alice", json!({ "services": ["git"], "max_usages": 1000 })).await;
    let key = world.verifier("gate", "git").await;
    let alice = format!("uid=alice,ou=git,ou=services,{BASE}");
    let bob = format!("uid=bob,ou=git,ou=services,{BASE}");
    let gate = format!("cn=gate,ou=clients,{BASE}");
    let good = LdapResultCode::Success;
    let bad = LdapResultCode::InvalidCredentials;
    drill(&world, &store, None, bind(&alice, &pat), good.clone()).await;
    drill(&world, &store, None, bind(&alice, &limited), good.clone()).await;
    drill(&world, &store, None, bind(&gate, &key), good.clone()).await;
    drill(&world, &store, None, bind(&bob, &pat), bad.clone()).await;
    drill(&world, &store, None, bind(&gate, &pat), bad).await;
    let own = bind(&alice, &pat);
    drill(&world, &store, Some(own), search("(uid=alice)"), good.clone()).await;
    for filter in ["(uid=alice)", "(objectClass=*)", "(objectClass=groupOfNames)"] {
        drill(&world, &store, Some(bind(&gate, &key)), search(filter), good.clone()).await;
    }
}

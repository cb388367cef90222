//! The LDAP door: services that can only bind to a directory verify tokens here.
//!
//! A bind is `Authority::verify` in another spelling. A search shows a person their own entry,
//! and a verifier's key the people and groups of its services, so that programs which look a
//! person up before they bind as them work unchanged. Nothing can be written (RFC 4511).

mod answer;
mod bind;
mod dn;
mod entry;
mod filter;
#[cfg(test)]
mod fuzzing;
mod lanes;
mod limits;
mod listener;
mod root;
mod search;
mod session;
mod tree;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use counterfoil_authority::names::RealmName;
use tokio::sync::Semaphore;

pub use dn::{BadDn, Dn, Part};
pub use lanes::Lanes;
pub use listener::{LdapDoor, Limits, Start};
pub use tree::Tree;

use crate::http::AppState;
use crate::tls::Certificates;

/// What every connection of the door shares.
pub struct Shared {
    /// Decides and counts, together with the other doors.
    pub state: AppState,
    /// The realm that is served.
    pub realm: RealmName,
    /// Where everything is.
    pub tree: Tree,
    /// For `StartTLS` and LDAPS.
    pub certificates: Option<Arc<Certificates>>,
    /// Whether credentials are taken in clear text from other machines.
    pub allow_plaintext: bool,
    /// How long a bound connection may stay idle.
    pub idle: Duration,
    binds: Semaphore,
    searches: Semaphore,
}

/// What an operator may set about the door.
#[derive(Debug, Clone)]
pub struct LdapSettings {
    /// The realm that is served.
    pub realm: RealmName,
    /// The tree.
    pub tree: Tree,
    /// Whether credentials are taken in clear text from other machines.
    pub allow_plaintext: bool,
    /// How long a bound connection may stay idle.
    pub idle: Duration,
}

impl Shared {
    /// The door of `state`.
    pub fn new(
        state: AppState,
        settings: LdapSettings,
        certificates: Option<Arc<Certificates>>,
    ) -> Self {
        let LdapSettings { realm, tree, allow_plaintext, idle } = settings;
        Self {
            state,
            realm,
            tree,
            certificates,
            allow_plaintext,
            idle,
            binds: Semaphore::new(limits::BINDS_AT_ONCE_MAX),
            searches: Semaphore::new(limits::SEARCHES_AT_ONCE_MAX),
        }
    }
}

/// What the fuzzer calls with any bytes: a connection's input as far as it is decided without the
/// store. It must neither panic nor take long.
#[cfg(test)]
fn fuzz(input: &[u8]) {
    use ldap3_proto::proto::LdapOp;

    let mut buffer = bytes::BytesMut::from(input);
    while let Ok(Some(length)) = wire::length(&buffer, limits::MESSAGE_BYTES_MAX) {
        if length > buffer.len() {
            return;
        }
        assert!(buffer.get(..length).is_some_and(wire::reads_as_the_library), "two readings");
        let Ok(message) = wire::take(&mut buffer, length) else { return };
        match message.parsed.op {
            LdapOp::BindRequest(request) => drop(Dn::parse(&request.dn)),
            LdapOp::SearchRequest(request) if filter::is_bounded(&request.filter) => {
                let base = Dn::parse(&request.base).unwrap_or_default();
                let entry = entry::Entry::new(base, &entry::PERSON)
                    .with("uid", ["alice".to_owned()])
                    .with("cn", ["Alice Liddell".to_owned()]);
                let selection = entry::Selection::of(&request.attrs, request.typesonly);
                let _pins = filter::Pins::of(&request.filter);
                if filter::matches(&request.filter, &entry) != Some(false) {
                    let found = LdapOp::SearchResultEntry(selection.cut(entry));
                    let found = ldap3_proto::proto::LdapMsg::new(message.parsed.msgid, found);
                    wire::put(found, &mut bytes::BytesMut::new());
                }
            }
            _ => {}
        }
    }
}

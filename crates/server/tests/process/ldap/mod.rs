//! The LDAP door: what binds and what does not, what is seen, and the programs of sites.

mod binding;
mod client;
mod commands;
mod dovecot;
mod freeradius;
mod limits;
mod pam;
mod peers;
mod searching;

use std::net::SocketAddr;

use serde_json::json;

use crate::harness::Server;
use crate::world::{Issued, World, merged};
use client::Client;

/// The tree's name, unless configured otherwise.
pub(crate) const BASE: &str = "dc=counterfoil,dc=local";

impl Server {
    /// Where it says that it serves LDAP.
    pub(crate) fn ldap(&self) -> SocketAddr {
        self.printed("ldap://")
    }

    /// The address behind a scheme in the banner.
    pub(crate) fn printed(&self, scheme: &str) -> SocketAddr {
        let printed = std::fs::read_to_string(&self.stdout).unwrap();
        let (_, rest) = printed.split_once(scheme).expect("no such listener was printed");
        rest.split([' ', ',', '\n']).next().unwrap().parse().unwrap()
    }
}

impl World {
    /// A new connection to the LDAP door.
    pub(crate) fn ldap(&self) -> Client {
        Client::open(self.server.ldap()).unwrap()
    }

    /// The key of a client that verifies for services, and the name it binds with.
    pub(crate) fn ldap_client(&self, name: &str, services: &[&str]) -> (String, String) {
        let key = crate::world::verifier(&self.admin, name, services).key;
        (format!("cn={name},ou=clients,{BASE}"), key)
    }

    /// Issues a token of a person for a service, as people type it.
    #[track_caller]
    pub(crate) fn service_token(&self, user: &str, service: &str) -> Issued {
        service_token(self, user, service, &json!({}))
    }
}

#[track_caller]
fn service_token(world: &World, user: &str, service: &str, more: &serde_json::Value) -> Issued {
    let body = json!({ "kind": "service_token", "user": user, "name": "phone",
        "service": service });
    Issued::of(&world.admin.post("/tokens", &merged(body, more)).expect(201))
}

/// The name of a person at a service.
pub(crate) fn person(user: &str, service: &str) -> String {
    format!("uid={user},ou={service},ou=services,{BASE}")
}

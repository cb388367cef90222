//! The doors as clients meet them: the real router on a real socket, one file per route.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a fixture that cannot be made fails the test that asked for it"
)]

mod airlock;
#[path = "../../../store/tests/postgres/cluster.rs"]
#[expect(dead_code, reason = "the tests of the store also make standbys and stop servers")]
mod cluster;
mod comanage;
mod expiry;
mod http;
mod ldap;
mod pats;
mod scim;
mod sentinel;
mod world;

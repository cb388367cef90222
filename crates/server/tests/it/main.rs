//! The doors as clients meet them: the real router on a real socket, one file per route.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a fixture that cannot be made fails the test that asked for it"
)]

mod http;
mod ldap;
mod sentinel;
mod world;

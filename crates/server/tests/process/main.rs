//! The real binary as a process: promises that hold only if everything fits together.
//!
//! Each test starts its own server on a temporary directory and a free port and
//! speaks to it over sockets, as the programs of a site would.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the harness is test code too: what cannot go on fails the test"
)]

mod harness;
mod wire;
mod world;

mod alone;
mod bad_input;
mod counting;
mod crash;
mod disk;
mod fixtures;
mod forward_auth;
mod keys;
mod nginx;
mod refusals;
mod revocation;
mod rotation;
mod secrets;
mod two_commands;

//! The real binary as a process: promises that hold only if everything fits together.
//!
//! Each test starts its own server on a temporary directory and a free port and
//! speaks to it over sockets, as the programs of a site would.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "the harness is test code too: what cannot go on fails the test"
)]

#[path = "../../../store/tests/postgres/cluster.rs"]
#[expect(dead_code, reason = "the tests of the store also make standbys and stop servers")]
mod cluster;
mod harness;
mod slapd;
mod wire;
mod world;

mod alone;
mod audit;
mod bad_input;
mod comanage;
mod console_browser;
mod console_browser_admin;
mod console_browser_provider;
mod console_browser_roles;
mod counting;
mod crash;
mod custom;
mod demo;
mod disk;
mod enrolment;
mod faults;
mod fixtures;
mod forgerock;
mod forgerock_import;
mod forward_auth;
mod front_doors;
mod jobs;
mod keys;
mod ldap;
mod mail;
mod moving_in;
mod nginx;
mod nodes;
mod oauth;
mod openid_provider;
mod operating;
mod otp;
mod provisioning;
mod refusals;
mod revocation;
mod rotation;
mod scim;
mod secrets;
mod sentinel;
mod shadow;
mod signing_in;
mod two_commands;

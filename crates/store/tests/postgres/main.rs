//! The store on a PostgreSQL of its own: promises, schema, change log, and what happens when the
//! database goes away.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what a test sets up is there or the test ends"
)]

mod change_log;
#[expect(dead_code, reason = "the tests of the server make their databases differently")]
mod cluster;
mod copy;
mod failover;
#[path = "../installation/mod.rs"]
mod installation;
mod nodes;
mod outages;
mod past_the_store;
mod plans;
mod promises;
mod proxy;
mod repeated;
mod schema;
mod tls;
mod together;

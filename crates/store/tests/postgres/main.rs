//! The store on a PostgreSQL of its own: promises, schema, change log, and what happens when the
//! database goes away.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what a test sets up is there or the test ends"
)]

mod change_log;
mod cluster;
mod copy;
mod failover;
#[path = "../installation/mod.rs"]
mod installation;
mod nodes;
mod outages;
mod plans;
mod promises;
mod proxy;
mod schema;

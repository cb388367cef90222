//! The facts: one SQL text, its engines, and the suite that proves them.
//!
//! [`open`] gives a [`SqlStore`], which keeps every promise of
//! [`counterfoil_authority::store`]. [`MemoryStore`] keeps the same ones
//! without a disk, [`FailingStore`] breaks them on purpose, and
//! [`conformance`] tells whether a store keeps them.

mod access;
mod am;
mod audit;
mod census;
mod changes;
mod clients;
mod codec;
pub mod conformance;
mod console;
pub mod copy;
mod engine;
mod events;
mod failing;
mod foreign_use;
mod idempotency;
mod import;
mod installation;
mod jobs;
mod leases;
mod letters;
mod links;
mod memory;
mod migrate;
mod named;
mod networks;
mod otp;
mod people;
mod provisioning;
mod services;
mod shadow;
mod sql_store;
mod statements;
mod tokens;
mod url;
mod use_days;
mod use_notes;

pub use engine::Figures;
pub use engine::postgres::BadAddress;
pub use failing::FailingStore;
pub use memory::MemoryStore;
pub use migrate::{Older, OpenError};
pub use named::{BadStatement, NamedStatements};
pub use sql_store::{BackupProgress, OpenOptions, SqlStore, open};
pub use url::{BadDatabaseUrl, DatabaseUrl};

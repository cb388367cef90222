//! The proof that a realm's events are all there and as they were: one append-only Merkle tree
//! for each realm, signed heads of it, and exports that can be checked without this server.
//!
//! [`tree`] is the tree (RFC 6962 section 2), [`note`] the signed heads (C2SP `signed-note` and
//! `tlog-checkpoint`), [`leaf`] what of an event is hashed, [`export`] the file, [`verify`] what
//! reads it, [`check`] what looks at the log in the store, [`replay`] what of it a restored backup
//! has to be told.

pub mod check;
pub mod export;
pub mod leaf;
pub mod note;
pub mod replay;
pub mod tree;
pub mod verify;

use async_trait::async_trait;

use crate::names::RealmName;

/// Somebody else who keeps checkpoints, so that a log that was rewritten is found out.
#[async_trait]
pub trait Witness: Send + Sync {
    /// Hands over the checkpoint of a realm as the signed note that it is. `Ok` means that it is
    /// kept there.
    ///
    /// # Errors
    ///
    /// Why it is not, in words for the log.
    async fn tell(&self, realm: &RealmName, size: u64, note: &str) -> Result<(), String>;
}

//! Provisioning: targets and who may set them up, what a person's tokens come to at one, and the
//! worker that brings it there.

mod concerned;
mod derive;
mod letters;
mod reconcile;
mod state;
mod targets;
mod worker;

pub use reconcile::{Difference, Reconciled};
pub use targets::{TargetDraft, TargetEdit};
pub(super) use worker::Delivering;

pub(crate) use derive::needs_of;
pub use derive::{HashNeed, Needs};

use crate::secret::TokenId;

/// What a directory hash is sealed to: the row it stands in.
fn hash_row(token: TokenId, secret: &str, scheme: &str) -> String {
    format!("directory hash {token} {secret} {scheme}")
}

//! Authentication tokens: enrolling them, and what their owners and administrators do with them.
//!
//! An authentication token is a token like any other, with an owner, services, a life and a state.
//! What it has in place of a secret is a seed or a set of codes, and it proves itself by codes
//! that are good once. [`super::verify`] recognises them.

mod enrol;
mod import;
mod keep;
mod send;

pub(in crate::authority) use self::enrol::CODE_DOORS;
pub use self::enrol::OtpDraft;
pub use self::import::{IMPORT_ROWS_MAX, OtpFate, OtpIncoming, OtpRow, OtpTaken, OtpTaking};
pub use self::send::{Challenge, Challenged};
pub use super::verify::Selected;

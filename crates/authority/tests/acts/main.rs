//! The acts of the authority against a store in memory, with a frozen clock and seeded randomness.

#![expect(clippy::unwrap_used, reason = "a test says what it expects")]
#![expect(clippy::panic, reason = "a test says what it expects")]

mod bringing;
mod codes;
mod deriving;
mod editing;
mod elsewhere;
mod enrolling;
mod following;
mod handing_on;
mod importing;
mod issuing;
mod links;
mod listing;
mod mailed_codes;
mod possessing;
mod rank;
mod reaching;
mod rotating;
mod sessions;
mod slow_secrets;
mod states;
mod upgrading;
mod verifying;
mod world;

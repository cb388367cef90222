//! The Sentinel EMS door, by the numbers of its acceptance checks, under a frozen clock and on
//! each store.

mod auth_tokens;
mod lives;
mod registration_tokens;
mod world;

//! The Airlock IAM door, by the letters of its acceptance checks, under a frozen clock and on each
//! store.

mod credentials;
mod elsewhere;
pub(crate) mod fake;
mod lives;
mod model;
mod refusals;
mod store_down;
mod world;

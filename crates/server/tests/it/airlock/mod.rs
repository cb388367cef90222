//! The Airlock IAM door, by the letters of its acceptance checks, under a frozen clock and on each
//! store.

mod credentials;
mod lives;
mod model;
mod store_down;
mod world;

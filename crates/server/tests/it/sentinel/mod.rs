//! The Sentinel EMS door, by the numbers of its acceptance checks (A1 to A9).

mod auth_tokens;
mod registration_tokens;
mod world;

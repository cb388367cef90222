//! Doors that speak as other products do, each in a file of its own, over the same authority.

pub mod airlock;
pub mod comanage;
pub mod forgerock;
pub mod sentinel;

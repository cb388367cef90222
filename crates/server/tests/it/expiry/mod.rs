//! Expiry as a workflow: who hears of an end, when, and how often. On each store.

mod notices;
mod sunset;
mod world;

//! Expiry as a workflow: who hears of an end, when, and how often. On each store.

mod alarms;
mod brownouts;
mod calendar;
mod notices;
mod sunset;
mod world;

//! The console, as a browser without script meets it.

mod admin;
mod admin_acts;
mod attacks;
mod browser;
mod journeys;
mod store_down;

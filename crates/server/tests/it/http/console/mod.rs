//! The console, as a browser without script meets it.

mod attacks;
mod browser;
mod journeys;
mod people;
mod store_down;

//! The console, as a browser without script meets it.

mod admin;
mod admin_acts;
mod attacks;
mod authenticator;
mod browser;
mod journeys;
mod passkeys;
mod people;
mod provider;
mod single_sign_on;
mod step_up;
mod store_down;

//! The doors of Counterfoil: HTTP, the command line, and everything a process needs around them.
//!
//! A door reads the request, asks the authority, writes the answer; it decides nothing.

pub mod app;
pub mod background;
pub mod backup;
pub mod cli;
pub mod clock;
pub mod compat;
pub mod config;
pub mod custom;
pub mod demo;
pub mod doctor;
pub mod http;
mod import;
pub mod installation;
pub mod keydir;
pub mod ldap;
pub mod leaks;
pub mod listener;
#[cfg(test)]
mod mutations;
mod outbound;
pub mod private_file;
pub mod provision;
pub mod restored;
pub mod scan;
pub mod sealed_file;
pub mod seeds;
pub mod shadow;
pub mod sign_on;
pub mod systemd;
pub mod telemetry;
pub mod tls;
pub mod traces;
pub mod witness;

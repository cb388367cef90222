//! The native API, forward-auth, and what surrounds them.

mod am_down;
mod am_sessions;
mod authz;
mod bulk;
mod clients;
mod document;
mod events;
mod grants;
mod groups;
mod import;
mod links;
mod locks;
mod oauth_down;
mod operation;
mod parameters;
mod portal;
mod possession;
mod realms;
mod requests;
mod services;
mod store_down;
mod tokens;
mod units;
mod units_admin;
mod users;
mod verify;

//! The rules of Counterfoil: what a token is, who may do what with it, and when it counts.
//!
//! In reading order: a [`token::Token`] is the record of one long-lived
//! credential; its clear text is a [`secret::ClearSecret`], which only the
//! request that issues or presents it ever holds; [`secret_hash`] is the one
//! bridge to what is stored. A [`caller::Caller`] is somebody authenticated,
//! with a reach. [`authority::Authority`] does everything, one file per act,
//! and remembers nothing that is not in its [`store::Store`], but for a
//! [`cache`] and a second of bookkeeping.
//!
//! This crate speaks no SQL, no HTTP and no LDAP, and has no ambient clock or
//! randomness: it cannot, because it depends on nothing that could.

mod abuse;
pub mod access;
pub mod am;
pub mod audit;
pub mod authority;
pub mod brownout;
pub mod cache;
pub mod caller;
pub mod clock;
pub mod console;
pub mod custom;
mod diary;
pub mod enrolment;
pub mod event;
pub mod fit;
pub mod foreign;
pub mod keys;
pub mod kind;
pub mod lock;
pub mod names;
pub mod notice;
pub mod otp;
pub mod passkey;
pub mod permission;
pub mod policy;
pub mod provision;
pub mod refusal;
pub mod repository;
pub mod scope;
pub mod secret;
pub mod secret_hash;
pub mod service;
pub mod shadow;
mod sightings;
pub mod single_sign_on;
mod slow;
pub mod store;
pub mod subject;
pub mod testing;
pub mod text;
pub mod token;
mod usage;
mod use_notes;
pub mod validity;
pub mod verdict;

//! The program as a shell sees it: what it prints where, and its exit status.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

mod enrolling;
mod local;
mod minting;
mod moving;
mod remote;
mod scanning;
mod world;

//! Repositories that somebody else keeps: the real adapter, tables and directories, and adapters
//! that misbehave.

mod checking;
mod guide;
mod managing;
mod misbehaving;
pub(crate) mod peers;
mod verifying;

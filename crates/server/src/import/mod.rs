//! Reading what other systems leave behind, so that their people keep the secrets they have.

pub(crate) mod comanage;
pub(crate) mod dump;
pub(crate) mod rows;

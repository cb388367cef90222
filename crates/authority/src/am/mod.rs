//! Decisions as ForgeRock AM makes them: resources that match patterns, policies with subjects and
//! conditions, and the one thing that AM left to a script, whether a personal access token is
//! good.
//!
//! Everything in here is pure; [`crate::authority::Authority`] reads what it needs and asks.

pub mod builtin;
pub mod compiled;
pub mod condition;
pub mod decision;
pub mod document;
pub mod identity;
pub mod resource;
pub mod time;

pub use compiled::{Compiled, CompiledSet};
pub use decision::{Decision, Explanation, Question, Step};
pub use document::{
    AmDocument, AmKind, AmObject, AttributeKind, BadDocument, OBJECTS_PER_REALM_MAX, Policy,
    PolicySet, ResourceType, ResponseAttribute,
};
pub use identity::{Asker, Person, Subject};

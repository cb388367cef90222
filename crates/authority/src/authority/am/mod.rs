//! The AM door's acts: who may ask, what is decided, and the documents that decide it.

mod decide;
mod documents;
mod explain;
mod session;

pub use decide::{AmAnswer, AmFault, AmQuestion};
pub use explain::{AmExplained, AmTest, AmTestToken};
pub use session::{AmLogin, AmSession};

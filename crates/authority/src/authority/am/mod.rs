//! The AM door's acts: who may ask, what is decided, and the documents that decide it.

mod copying;
mod decide;
mod directory;
mod documents;
mod explain;
mod idle;
mod session;

pub use copying::AmCopy;
pub use decide::{AmAnswer, AmFault, AmPresented, AmQuestion};
pub use directory::AmDirectory;
pub use explain::{AmExplained, AmTest, AmTestToken};
pub(super) use idle::SessionUses;
pub use session::{AmHeld, AmLogin, AmSession, AmUse};

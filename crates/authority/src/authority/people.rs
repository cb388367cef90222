//! People and what groups them: groups, units, and the grants that give them roles.

mod grants;
mod groups;
mod units;
mod users;

pub use grants::GrantDraft;
pub use groups::GroupDraft;
pub use units::{UnitDraft, UnitEdit};
pub use users::{UserDraft, UserEdit};

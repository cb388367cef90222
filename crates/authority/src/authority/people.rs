//! People and what groups them: groups, units, and the grants that give them roles.

mod grants;
mod groups;
mod membership;
mod units;
mod users;

pub use grants::GrantDraft;
pub use groups::GroupDraft;
pub use membership::{GroupEdit, MEMBERS_NAMED_MAX, MembersEdit, Membership};
pub use units::{UnitDraft, UnitEdit};
pub use users::{UserDraft, UserEdit};

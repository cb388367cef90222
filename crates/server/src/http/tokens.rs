//! `R/tokens`: issuing, looking, editing, and what happens to a token afterwards.

mod edit;
mod fields;
mod issue;
mod lifecycle;
mod look;
mod shape;

pub use edit::{TokenPatch, token_edit};
pub use issue::{TokenCreate, TokenHanded, TokenIssued, TokenLinked, token_issue};
pub use lifecycle::{
    RevokePreview, RotateRequest, token_disable, token_enable, token_lock, token_revoke,
    token_rotate, token_unlock,
};
pub(super) use lifecycle::{answer, replay};
pub use look::{TokenQuery, UsageBody, token_list, token_show, token_usage};
pub use shape::{SecretBody, TokenBody};

// The derive of handlers puts hidden items beside each of them; the route table names both.
pub use edit::__path_token_edit;
pub use issue::__path_token_issue;
pub use lifecycle::{
    __path_token_disable, __path_token_enable, __path_token_lock, __path_token_revoke,
    __path_token_rotate, __path_token_unlock,
};
pub use look::{__path_token_list, __path_token_show, __path_token_usage};

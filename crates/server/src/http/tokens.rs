//! `R/tokens`: issuing, looking, editing, and what happens to a token afterwards.

mod bulk;
mod edit;
mod family;
mod fields;
mod fit;
mod import;
mod issue;
mod lifecycle;
mod look;
mod otp;
mod shape;

pub use bulk::{BulkAct, BulkBody, BulkRequest, token_bulk};
pub use edit::{TokenPatch, token_edit};
pub use family::{
    BlastRadiusBody, ChildrenQuery, ReturnCount, token_approve, token_blast_radius, token_children,
    token_deny, token_return_count,
};
pub(super) use fields::{ServiceChoices, check_count, chosen};
pub use fit::{
    FitBody, FitPart, FitQuery, FitRequest, FitSort, FitsQuery, FittingBody, WideGrant, fit_list,
    token_fit, token_shrink,
};
pub use import::{ImportBody, ImportLine, ImportRequest, token_import};
pub(super) use issue::expiry;
pub use issue::{TokenCreate, TokenHanded, TokenIssued, TokenLinked, token_issue};
pub use lifecycle::{
    RevokePreview, RotateRequest, token_disable, token_enable, token_lock, token_revoke,
    token_rotate, token_unlock,
};
pub(super) use lifecycle::{answer, replay};
pub use look::{TokenQuery, UsageBody, token_list, token_show, token_usage};
pub use otp::{
    OtpBody, OtpConfirm, OtpRenew, OtpResync, OtpSend, OtpSent, OtpSheet, OtpWish, TokenEnrolled,
    token_otp, token_otp_codes, token_otp_confirm, token_otp_resync, token_otp_send,
};
pub use shape::{DeviceBody, SecretBody, TokenBody};

// The derive of handlers puts hidden items beside each of them; the route table names both.
pub use bulk::__path_token_bulk;
pub use edit::__path_token_edit;
pub use family::{
    __path_token_approve, __path_token_blast_radius, __path_token_children, __path_token_deny,
    __path_token_return_count,
};
pub use fit::{__path_fit_list, __path_token_fit, __path_token_shrink};
pub use import::__path_token_import;
pub use issue::__path_token_issue;
pub use lifecycle::{
    __path_token_disable, __path_token_enable, __path_token_lock, __path_token_revoke,
    __path_token_rotate, __path_token_unlock,
};
pub use look::{__path_token_list, __path_token_show, __path_token_usage};
pub use otp::{
    __path_token_otp, __path_token_otp_codes, __path_token_otp_confirm, __path_token_otp_resync,
    __path_token_otp_send,
};

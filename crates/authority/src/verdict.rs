//! What verify says: active with its facts, or inactive with a reason for those who may know it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The protocol through which a credential is presented; a token may be limited to some.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Door {
    /// The native API: verify, and the token's own use of the API.
    Api,
    /// Forward-auth for reverse proxies.
    ForwardAuth,
    /// LDAP bind.
    Ldap,
    /// OAuth 2.0 introspection and token exchange.
    Oauth,
    /// The ForgeRock AM decision API.
    Am,
    /// The Sentinel EMS surface.
    Sentinel,
    /// The Airlock IAM surface.
    Airlock,
    /// privacyIDEA's validate.
    Validate,
    /// The browser console.
    Console,
    /// The command line on the machine that holds the key directory.
    Cli,
}

/// Every door.
pub const DOORS: [Door; 10] = [
    Door::Api,
    Door::ForwardAuth,
    Door::Ldap,
    Door::Oauth,
    Door::Am,
    Door::Sentinel,
    Door::Airlock,
    Door::Validate,
    Door::Console,
    Door::Cli,
];

impl Door {
    /// The name on the wire and in the store.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::ForwardAuth => "forward-auth",
            Self::Ldap => "ldap",
            Self::Oauth => "oauth",
            Self::Am => "am",
            Self::Sentinel => "sentinel",
            Self::Airlock => "airlock",
            Self::Validate => "validate",
            Self::Console => "console",
            Self::Cli => "cli",
        }
    }

    /// The door of a name.
    pub fn from_name(name: &str) -> Option<Self> {
        DOORS.into_iter().find(|door| door.name() == name)
    }
}

/// Why a presented credential is not good here and now.
///
/// For the audit, the owner and authorised verifiers; the presenter never learns it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// No such token, or not its secret.
    Unknown,
    /// A right secret, presented under another person's name.
    WrongUser,
    /// Not issued for this service.
    WrongService,
    /// Not issued for this protocol.
    WrongDoor,
    /// Revoked for good.
    Revoked,
    /// Its parent was revoked or deleted.
    ParentRevoked,
    /// `expires_at` has passed.
    Expired,
    /// `not_before` has not come.
    NotYetValid,
    /// Waits for activation or approval.
    Pending,
    /// Switched off, may be switched on.
    Disabled,
    /// Locked by an administrator.
    Locked,
    /// All uses are taken.
    Exhausted,
    /// The owner is suspended, expired or gone.
    OwnerInactive,
    /// The service is not active.
    ServiceInactive,
    /// The realm is not active.
    RealmInactive,
    /// The service's group does not hold the owner.
    NotInGroup,
    /// Active, but lacks a required scope.
    InsufficientScope,
    /// Active, but lacks permission for the resource or action.
    PermissionDenied,
    /// The client's address is outside the allowed networks.
    NetworkDenied,
    /// Breaks a policy that was tightened after issue.
    PolicyBlocked,
    /// Inside an announced brown-out.
    BrownOut,
    /// Too many attempts.
    RateLimited,
}

/// Every reason, for documentation and metrics.
pub const REASONS: [Reason; 22] = [
    Reason::Unknown,
    Reason::WrongUser,
    Reason::WrongService,
    Reason::WrongDoor,
    Reason::Revoked,
    Reason::ParentRevoked,
    Reason::Expired,
    Reason::NotYetValid,
    Reason::Pending,
    Reason::Disabled,
    Reason::Locked,
    Reason::Exhausted,
    Reason::OwnerInactive,
    Reason::ServiceInactive,
    Reason::RealmInactive,
    Reason::NotInGroup,
    Reason::InsufficientScope,
    Reason::PermissionDenied,
    Reason::NetworkDenied,
    Reason::PolicyBlocked,
    Reason::BrownOut,
    Reason::RateLimited,
];

impl Reason {
    /// The machine code, fixed by the contract.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::WrongUser => "wrong_user",
            Self::WrongService => "wrong_service",
            Self::WrongDoor => "wrong_door",
            Self::Revoked => "revoked",
            Self::ParentRevoked => "parent_revoked",
            Self::Expired => "expired",
            Self::NotYetValid => "not_yet_valid",
            Self::Pending => "pending",
            Self::Disabled => "disabled",
            Self::Locked => "locked",
            Self::Exhausted => "exhausted",
            Self::OwnerInactive => "owner_inactive",
            Self::ServiceInactive => "service_inactive",
            Self::RealmInactive => "realm_inactive",
            Self::NotInGroup => "not_in_group",
            Self::InsufficientScope => "insufficient_scope",
            Self::PermissionDenied => "permission_denied",
            Self::NetworkDenied => "network_denied",
            Self::PolicyBlocked => "policy_blocked",
            Self::BrownOut => "brown_out",
            Self::RateLimited => "rate_limited",
        }
    }

    /// Whether the token itself is active and only lacks scope or permission: the one refusal
    /// that forward-auth answers with 403 instead of 401 (RFC 6750 section 3.1).
    pub const fn is_only_insufficient(self) -> bool {
        matches!(self, Self::InsufficientScope | Self::PermissionDenied)
    }

    /// Whether this refusal is a failed attempt at guessing, for the limits on abuse.
    ///
    /// A right secret on a token that has ended is not.
    pub const fn is_failed_attempt(self) -> bool {
        matches!(self, Self::Unknown | Self::WrongUser)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

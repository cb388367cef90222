//! What a registration token hands on, on which conditions, and what is known of who drew from it.
//!
//! An auth token is a grant: one device or instance, drawn from a registration token by one
//! counted draw, living on by itself afterwards.

mod constraints;
mod device;
mod glob;
mod stamp;

pub use constraints::{CONSTRAINTS, Constraint, Constraints, Mode, OnDuplicate, Rule};
pub use device::{Confirmation, Device, DeviceFacts, device_key};
pub use glob::matches_glob;
pub use stamp::Stamp;

use crate::access::AccessFormat;
use crate::clock::Timestamp;
use crate::names::RealmName;
use crate::scope::Scope;
use crate::secret::TokenId;
use crate::service::Services;
use crate::subject::Owner;
use crate::token::Token;

/// How long a rotated refresh secret still leads to its successor (reference rule S14).
pub const REFRESH_GRACE_SECONDS: i64 = 30;
/// Refresh secrets whose hashes are kept of a family: the current one and the latest former ones,
/// for retries within the grace. Older ones are known by their mark (decision 0019), and every
/// exchange reads what is kept.
pub const REFRESH_SECRETS_MAX: usize = 8;
/// Retries inside the grace that are answered; further ones are refused, and harm nothing.
pub const REFRESH_RETRIES_MAX: u64 = 100;
/// How long a token that somebody issued waits for approval: over a week's leave.
pub const ISSUE_APPROVAL_SECONDS: i64 = 10 * 86_400;
/// How long a request waits for approval: long enough for an office day.
pub const APPROVAL_SECONDS: i64 = 24 * 3_600;
/// Seconds between two polls of a device that waits (RFC 8628 section 3.5).
pub const POLL_SECONDS: i64 = 5;
/// How long before its end a registration token is told of (reference rule S18).
pub const NOTICE_SECONDS: i64 = 72 * 3_600;
/// The largest count that is told of in per cent before it is used up.
pub const NOTICE_PER_CENT: u64 = 80;

/// How drawing is approved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Approval {
    /// At once.
    #[default]
    Automatic,
    /// Each draw waits for an administrator.
    Required,
    /// So many at once, the others wait.
    After(u64),
}

impl Approval {
    /// The approval of a word: `automatic`, `required`, or `after-N`.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "automatic" => Some(Self::Automatic),
            "required" => Some(Self::Required),
            other => {
                let number = other.strip_prefix("after-")?;
                let digits = number.bytes().all(|b| b.is_ascii_digit());
                number.parse().ok().filter(|_| digits).map(Self::After)
            }
        }
    }

    /// What a registration token says; what it cannot mean is the cautious reading.
    pub fn of(token: &Token) -> Self {
        token
            .sentinel
            .approval
            .as_deref()
            .map_or(Self::Automatic, |text| Self::parse(text).unwrap_or(Self::Required))
    }
}

/// Draws of a registration token, as they stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Draws allowed in all; `None`: unlimited.
    pub limit: Option<u64>,
    /// Draws taken.
    pub used: u64,
    /// Draws held for requests that wait.
    pub reserved: u64,
    /// Draws given back.
    pub returned: u64,
}

impl Counts {
    /// The counts of a registration token.
    pub const fn of(token: &Token) -> Self {
        Self {
            limit: token.sentinel.count,
            used: token.used,
            reserved: token.sentinel.reserved,
            returned: token.sentinel.returned,
        }
    }

    /// Draws that are taken or held, without those given back.
    pub const fn taken(self) -> u64 {
        (self.used + self.reserved).saturating_sub(self.returned)
    }

    /// Draws left; `None`: unlimited.
    pub fn remaining(self) -> Option<u64> {
        self.limit.map(|limit| limit.saturating_sub(self.taken()))
    }

    /// Whether at least [`NOTICE_PER_CENT`] of the count are taken.
    pub fn nearly_used_up(self) -> bool {
        // In 128 bits, because a count may be as large as JSON can say.
        self.limit.is_some_and(|limit| {
            u128::from(self.taken()) * 100 >= u128::from(limit) * u128::from(NOTICE_PER_CENT)
        })
    }
}

/// An auth token as its access tokens need it.
#[derive(Debug, Clone, PartialEq)]
pub struct Grant {
    /// The auth token: the parent of every access token.
    pub auth_token: TokenId,
    /// The registration token that it was drawn from.
    pub registration: Option<TokenId>,
    /// The tenant.
    pub realm: RealmName,
    /// Whose tokens these are in law: who issued the registration token.
    pub owner: Owner,
    /// Who or what it speaks for, in its own words: `sub`.
    pub subject: String,
    /// What it may ask for: `scope`.
    pub scopes: Vec<Scope>,
    /// What it is good for: `aud`.
    pub services: Services,
    /// The key that every use must prove: `cnf`.
    pub confirmation: Option<Confirmation>,
    /// Whether it has permissions: its access tokens are opaque then, whatever is stamped.
    pub has_permissions: bool,
    /// The form of its access tokens.
    pub access: AccessFormat,
    /// When it ends for good; an access token ends no later.
    pub expires_at: Option<Timestamp>,
    /// When it ends unless it is refreshed.
    pub idle_ends_at: Option<Timestamp>,
    /// The unit it belongs to.
    pub unit: Option<String>,
    /// What a door keeps with it, as JSON text: RFC 7591 metadata, say.
    pub client: Option<String>,
}

/// How a client says that it authenticates with a certificate of its own making (RFC 8705
/// section 2.2).
pub const SELF_SIGNED_TLS: &str = "self_signed_tls_client_auth";

/// The end of a refresh secret that was replaced without having been exchanged: its holder did
/// nothing wrong, and to present it is no reuse.
pub fn replaced() -> Timestamp {
    Timestamp::from_micros(0)
}

impl Grant {
    /// How it registered to authenticate (RFC 7591 section 2); `None` of a device that did not
    /// register as a client.
    fn method(&self) -> Option<String> {
        let told: serde_json::Value = serde_json::from_str(self.client.as_deref()?).ok()?;
        let named = told.get("token_endpoint_auth_method").and_then(serde_json::Value::as_str);
        Some(named.unwrap_or("client_secret_basic").to_owned())
    }

    /// Whether it is a client that registered to authenticate with something of its own: a device
    /// that only enrolled is a public client, and so is one that says so.
    pub fn is_confidential(&self) -> bool {
        self.method().is_some_and(|method| method != "none")
    }

    /// Whether the certificate that it enrolled with is its credential (RFC 8705 section 2.2).
    pub fn authenticates_by_certificate(&self) -> bool {
        self.method().is_some_and(|method| method == SELF_SIGNED_TLS)
    }

    /// The grant that an auth token is; `None` of any other token.
    pub fn of(token: &Token) -> Option<Self> {
        let device = token.device.as_deref()?;
        Some(Self {
            auth_token: token.id,
            registration: token.sentinel.registration_token,
            realm: token.realm.clone(),
            owner: token.owner.clone(),
            subject: device.facts.subject.clone(),
            scopes: token.scopes.clone(),
            services: token.services.clone(),
            confirmation: device.confirmation.clone(),
            has_permissions: token.permissions.is_some(),
            access: device.access,
            expires_at: token.validity.expires_at(),
            idle_ends_at: device.idle_ends_at,
            unit: token.unit.clone(),
            client: device.client.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_approval_is_one_of_three_words() {
        assert_eq!(Approval::parse("automatic"), Some(Approval::Automatic));
        assert_eq!(Approval::parse("required"), Some(Approval::Required));
        assert_eq!(Approval::parse("after-10"), Some(Approval::After(10)));
        for text in ["", "after-", "after-+1", "after-x", "none"] {
            assert_eq!(Approval::parse(text), None, "{text}");
        }
    }

    #[test]
    fn four_of_five_are_eighty_per_cent() {
        let of = |used, limit| Counts { limit: Some(limit), used, ..Counts::default() };
        assert!(!of(3, 5).nearly_used_up());
        assert!(of(4, 5).nearly_used_up());
        assert!(!of(0, 1).nearly_used_up());
        assert!(!Counts { used: 9, ..Counts::default() }.nearly_used_up());
        let given_back = Counts { returned: 1, ..of(4, 5) };
        assert_eq!((given_back.taken(), given_back.remaining()), (3, Some(2)));
    }
}

//! Who drew: the facts that a device or instance tells of itself, and the key it has proved.

use std::fmt::Write as _;
use std::net::IpAddr;

use sha2::{Digest, Sha256};

use crate::access::{self, AccessFormat};
use crate::clock::Timestamp;

/// What a device tells of itself. Claims, not proofs: they find it again, they open nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DeviceFacts {
    /// Who or what the auth token speaks for.
    pub subject: String,
    /// Its full name in the network.
    pub hostname: Option<String>,
    /// The account that the program runs as.
    pub system_user: Option<String>,
    /// Its hardware address.
    pub mac_address: Option<String>,
    /// Its identifier on the wire.
    pub identifier: Option<String>,
    /// First reference id.
    pub ref_id_1: Option<String>,
    /// Second reference id.
    pub ref_id_2: Option<String>,
}

/// The key that was proved when the auth token was drawn, and must be proved at every use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Confirmation {
    /// The thumbprint of a `DPoP` key (RFC 9449 section 6.1).
    Jkt(String),
    /// The thumbprint of a client certificate (RFC 8705 section 3.1).
    X5tS256(String),
}

impl Confirmation {
    /// The one of several proved keys that is pinned: that of a proof, which is about this very
    /// request, before that of the connection.
    pub fn of(proved: &access::Confirmation) -> Option<Self> {
        let jkt = proved.jkt.clone().map(Self::Jkt);
        jkt.or_else(|| proved.x5t_s256.clone().map(Self::X5tS256))
    }

    /// As access tokens name it.
    pub fn of_access(&self) -> access::Confirmation {
        match self.clone() {
            Self::Jkt(key) => access::Confirmation::of_key(key),
            Self::X5tS256(certificate) => {
                access::Confirmation { jkt: None, x5t_s256: Some(certificate) }
            }
        }
    }

    /// As the store keeps it.
    pub fn stored(&self) -> String {
        match self {
            Self::Jkt(thumbprint) => format!("jkt:{thumbprint}"),
            Self::X5tS256(thumbprint) => format!("x5t#S256:{thumbprint}"),
        }
    }

    /// What the store has kept.
    pub fn from_stored(text: &str) -> Option<Self> {
        match text.split_once(':')? {
            ("jkt", thumbprint) => Some(Self::Jkt(thumbprint.to_owned())),
            ("x5t#S256", thumbprint) => Some(Self::X5tS256(thumbprint.to_owned())),
            _ => None,
        }
    }

    /// The thumbprint alone.
    pub fn thumbprint(&self) -> &str {
        match self {
            Self::Jkt(thumbprint) | Self::X5tS256(thumbprint) => thumbprint,
        }
    }
}

/// What is known of who drew an auth token, and how it stands as a grant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// What it told of itself.
    pub facts: DeviceFacts,
    /// The address it came from.
    pub source: Option<IpAddr>,
    /// The key it has proved.
    pub confirmation: Option<Confirmation>,
    /// By what it is recognised when it draws again: see [`device_key`].
    pub key: String,
    /// The form of its access tokens.
    pub access: AccessFormat,
    /// What a door keeps with it, as JSON text.
    pub client: Option<String>,
    /// Whether it is to vanish when it has been idle.
    pub ephemeral: bool,
    /// How long it may go without a refresh.
    pub idle_seconds: Option<i64>,
    /// When that is over, unless it is refreshed.
    pub idle_ends_at: Option<Timestamp>,
    /// When it was last refreshed.
    pub refreshed_at: Option<Timestamp>,
    /// The request that waits for approval, or waited.
    pub user_code: Option<String>,
    /// Until when the request waits; `None`: it is decided.
    pub request_ends_at: Option<Timestamp>,
}

/// By what a device is recognised: the key it has proved, or else everything it tells of itself.
///
/// A digest, so that it is of one length and no list can show it by mistake.
pub fn device_key(facts: &DeviceFacts, confirmation: Option<&Confirmation>) -> String {
    let mut digest = Sha256::new();
    let mut part = |text: &str| {
        digest.update((text.len() as u64).to_le_bytes());
        digest.update(text.as_bytes());
    };
    if let Some(confirmation) = confirmation {
        part(&confirmation.stored());
    } else {
        let named = [&facts.system_user, &facts.hostname, &facts.mac_address, &facts.identifier];
        part("");
        for fact in named {
            part(&fact.as_deref().unwrap_or_default().to_ascii_lowercase());
        }
        // A device that names nothing but its subject is told apart by that.
        if named.iter().all(|fact| fact.is_none()) {
            part(&facts.subject.to_ascii_lowercase());
        }
    }
    digest.finalize().iter().take(16).fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_recognised_by_its_key_or_else_by_its_names() {
        let facts = |host: &str| DeviceFacts {
            subject: "a".into(),
            hostname: Some(host.into()),
            ..DeviceFacts::default()
        };
        let key = Confirmation::Jkt("k".into());
        assert_eq!(device_key(&facts("WS-1"), None), device_key(&facts("ws-1"), None));
        assert_ne!(device_key(&facts("ws-1"), None), device_key(&facts("ws-2"), None));
        assert_eq!(device_key(&facts("x"), Some(&key)), device_key(&facts("y"), Some(&key)));
        let nameless =
            |subject: &str| DeviceFacts { subject: subject.into(), ..Default::default() };
        assert_ne!(device_key(&nameless("a"), None), device_key(&nameless("b"), None));
    }

    #[test]
    fn a_confirmation_comes_back_as_it_was_stored() {
        for confirmation in [Confirmation::Jkt("a:b".into()), Confirmation::X5tS256("c".into())] {
            let stored = confirmation.stored();
            assert_eq!(Confirmation::from_stored(&stored), Some(confirmation));
        }
        assert_eq!(Confirmation::from_stored("rsa:x"), None);
    }
}

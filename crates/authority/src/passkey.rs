//! Passkeys: by which people prove who they are with a device instead of, or beside, a password
//! (W3C Web Authentication).
//!
//! What is kept of one is public: a key that only verifies, and how often it was used as far as the
//! device says. So nothing here is a secret, and nothing of it lets anybody in.

use crate::clock::Timestamp;
use crate::names::{RealmName, Username};
use crate::secret::TokenId;

/// Passkeys of one person at most: every device somebody has, and one in the drawer. A device is
/// told of each when another is added, so the page stays small.
pub const PASSKEYS_PER_PERSON_MAX: usize = 16;
/// How long a device may take to answer a challenge, in seconds. Finding a security key in a bag
/// takes minutes; a challenge that is left open is of use to nobody.
pub const PASSKEY_CHALLENGE_SECONDS: i64 = 300;
/// How lately somebody has to have proved who they are who adds or removes a passkey, in seconds,
/// also where nobody is asked again for anything else: whoever adds one is in for good.
pub const PASSKEY_PROOF_SECONDS: i64 = 300;
/// Characters of the name that somebody gives a passkey.
pub const PASSKEY_NAME_CHARS_MAX: usize = 64;
/// Bytes of the id that a device gives a passkey (Web Authentication section 4, credential ID).
pub const CREDENTIAL_ID_BYTES_MAX: usize = 1023;

/// A passkey as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passkey {
    /// Its public name here.
    pub id: TokenId,
    /// The tenant.
    pub realm: RealmName,
    /// Whose it is.
    pub username: Username,
    /// How the device calls it, in base64url without padding.
    pub credential_id: String,
    /// How the device calls the person: drawn at random, so it tells nothing, and the same for all
    /// passkeys of one.
    pub handle: String,
    /// How the person calls it.
    pub name: String,
    /// The public key and what the device said of itself, in the form of the library that verifies
    /// it.
    pub credential: Vec<u8>,
    /// How often it was used, as the device says; 0 of those that do not count, and before the
    /// first use.
    pub counter: u32,
    /// When it was added.
    pub created_at: Timestamp,
    /// When it was last used.
    pub used_at: Option<Timestamp>,
}

/// What somebody's device answered, after it was verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PasskeyUse {
    /// The passkey.
    pub id: TokenId,
    /// How often it was used, as the device says now.
    pub counter: u32,
    /// What is to be kept of it from now on.
    pub credential: Vec<u8>,
    /// When.
    pub at: Timestamp,
}

/// A passkey that somebody's device has just made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPasskey {
    /// How the device calls it, in base64url without padding.
    pub credential_id: String,
    /// How the device calls the person.
    pub handle: String,
    /// How the person calls it.
    pub name: String,
    /// What is to be kept of it.
    pub credential: Vec<u8>,
}

/// Why a passkey is not added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PasskeyFault {
    /// The person has [`PASSKEYS_PER_PERSON_MAX`].
    #[error("a person has at most {PASSKEYS_PER_PERSON_MAX} passkeys")]
    TooMany,
    /// Somebody of the realm has this very one.
    #[error("this passkey is known already")]
    Known,
    /// The name is empty, too long, or more than one line.
    #[error("the name of a passkey is one line of {PASSKEY_NAME_CHARS_MAX} characters at most")]
    BadName,
    /// What the device answered does not fit what it was asked.
    #[error("the answer of the device is not good")]
    BadAnswer,
    /// There is none to ask for.
    #[error("there is no passkey to ask for")]
    None,
}

/// Whether a count that a device tells can follow the one that is known: devices that count never
/// tell one twice, and those that do not tell 0 for ever (Web Authentication section 6.1.1).
pub const fn counts_on(known: u32, told: u32) -> bool {
    told > known || (known == 0 && told == 0)
}

/// The name of a passkey as it is kept.
///
/// # Errors
///
/// [`PasskeyFault::BadName`].
pub fn passkey_name(typed: &str) -> Result<String, PasskeyFault> {
    let name = typed.trim();
    let fits = !name.is_empty()
        && name.chars().count() <= PASSKEY_NAME_CHARS_MAX
        && !name.chars().any(char::is_control);
    if fits { Ok(name.to_owned()) } else { Err(PasskeyFault::BadName) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_goes_on_or_is_never_told() {
        for (known, told) in [(0, 0), (0, 1), (1, 2), (7, u32::MAX)] {
            assert!(counts_on(known, told), "{known} {told}");
        }
        for (known, told) in [(1, 0), (1, 1), (2, 1), (u32::MAX, u32::MAX), (u32::MAX, 0)] {
            assert!(!counts_on(known, told), "{known} {told}");
        }
    }

    #[test]
    fn a_name_is_one_line() {
        assert_eq!(passkey_name(" the phone "), Ok("the phone".to_owned()));
        assert_eq!(passkey_name(&"\u{e4}".repeat(64)), Ok("\u{e4}".repeat(64)));
        for bad in ["", " \t", "a\nb", &"x".repeat(65)] {
            assert_eq!(passkey_name(bad), Err(PasskeyFault::BadName), "{bad:?}");
        }
    }
}

//! People who sign in at the console: their accounts, their sessions, and the links by which a
//! person gets a password.
//!
//! An account is a password and nothing else: who somebody is and what they may do stands in their
//! person's record and its grants, as for every other door.

use std::fmt;
use std::net::IpAddr;

use unicode_normalization::UnicodeNormalization as _;
use zeroize::Zeroizing;

use crate::clock::{Entropy, NoEntropy, Timestamp};
use crate::names::{RealmName, Username};
use crate::secret::{ClearSecret, TokenId, generate_plain};
use crate::secret_hash::SecretHash;

/// Fewest characters of a password. It is the only factor, so length has to carry it (NIST SP
/// 800-63B section 3.1.1.2 asks for fifteen there, and for eight beside another factor); twelve
/// with a throttle and a list of what everybody tries lies between the two.
pub const PASSWORD_CHARS_MIN: usize = 12;
/// Most bytes of a password: more than any pass phrase, and nobody makes the server hash a book.
pub const PASSWORD_BYTES_MAX: usize = 1024;
/// How long the link for the first administrator can be used, in seconds.
pub const FIRST_LINK_SECONDS: i64 = 3_600;
/// Sessions of one person at the same time; the one that rested longest gives way.
pub const SESSIONS_PER_PERSON_MAX: usize = 32;
/// How often the use of one session is noted, in seconds.
pub const SESSION_USE_NOTED_SECONDS: i64 = 60;
/// How long a link is remembered after its end, so that a later use of it is told apart.
pub const SIGN_IN_LINK_RETENTION_SECONDS: i64 = 30 * 86_400;
/// Characters of the secret part of a session: 190 bits.
const SESSION_SECRET_LEN: usize = 32;
/// Bytes of what a browser says of itself that are kept.
const AGENT_BYTES_MAX: usize = 256;

/// What everybody tries first, of those that are long enough. Compared in small letters.
const COMMON: [&str; 24] = [
    "123456789012",
    "1234567890123",
    "12345678901234",
    "123456789012345",
    "1234567890123456",
    "abcdefghijkl",
    "administrator",
    "administrator1",
    "changeme1234",
    "changemechangeme",
    "counterfoil1",
    "iloveyou1234",
    "letmeinletmein",
    "password1234",
    "password12345",
    "password123456",
    "passwordpassword",
    "qwerty123456",
    "qwertyuiop12",
    "qwertyuiop123",
    "qwertyuiopasdf",
    "qwertzuiop123",
    "welcome12345",
    "1q2w3e4r5t6y",
];

/// How long sessions last, and how long what somebody proved counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsoleSettings {
    /// Seconds after which a session ends, whatever happens in it.
    pub session_seconds: i64,
    /// Seconds after which a session ends that nobody uses.
    pub idle_seconds: i64,
    /// Seconds after which somebody has to prove anew who they are before they make or end
    /// something; 0: never.
    pub step_up_seconds: i64,
    /// Realms whose people need a passkey beside their password.
    pub passkey_realms: Vec<RealmName>,
}

impl Default for ConsoleSettings {
    /// A working day, and an hour of rest in it.
    fn default() -> Self {
        Self {
            session_seconds: 12 * 3_600,
            idle_seconds: 3_600,
            step_up_seconds: 0,
            passkey_realms: Vec::new(),
        }
    }
}

/// By what somebody signed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignInMethod {
    /// A password that is kept here.
    Password,
    /// An OpenID provider says who they are.
    Provider,
    /// The reverse proxy in front says who they are, with each request.
    Proxy,
    /// A passkey, and nothing else.
    Passkey,
    /// A password, and then a passkey.
    PasswordAndPasskey,
}

impl SignInMethod {
    /// The name in the store and in events.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::Provider => "oidc",
            Self::Proxy => "proxy",
            Self::Passkey => "passkey",
            Self::PasswordAndPasskey => "password+passkey",
        }
    }

    /// The method of a name.
    pub fn from_name(name: &str) -> Option<Self> {
        let all =
            [Self::Password, Self::Provider, Self::Proxy, Self::Passkey, Self::PasswordAndPasskey];
        all.into_iter().find(|own| own.name() == name)
    }
}

/// The password of a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// The tenant.
    pub realm: RealmName,
    /// Whose it is.
    pub username: Username,
    /// Argon2id, always.
    pub password: SecretHash,
    /// When the password was chosen.
    pub changed_at: Timestamp,
    /// Rises by one with each password, and with each change of what is asked beside it.
    pub version: i64,
    /// Whether the person wants to be asked for a passkey after the password.
    pub passkey_required: bool,
}

/// One browser that somebody is signed in with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsoleSession {
    /// Its public name.
    pub id: TokenId,
    /// The tenant.
    pub realm: RealmName,
    /// Whose it is.
    pub username: Username,
    /// Of what the browser holds, always a keyed one.
    pub hash: SecretHash,
    /// When they signed in.
    pub created_at: Timestamp,
    /// When it was last used, to the minute.
    pub used_at: Timestamp,
    /// When it ends, whatever happens in it.
    pub expires_at: Timestamp,
    /// Where it was last used from.
    pub source: Option<IpAddr>,
    /// What the browser said of itself.
    pub agent: Option<String>,
    /// By what they signed in.
    pub method: SignInMethod,
    /// When they last proved who they are; the epoch if nobody can say.
    pub proved_at: Timestamp,
}

/// A link by which a person chooses a password, once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignInLink {
    /// Its public name, the id in its string.
    pub id: TokenId,
    /// The tenant.
    pub realm: RealmName,
    /// Whose password it sets; `None`: whoever uses it becomes the first administrator.
    pub username: Option<Username>,
    /// When it was made.
    pub created_at: Timestamp,
    /// Who made it, as an actor name.
    pub created_by: String,
    /// Until when it can be used, exclusive.
    pub expires_at: Timestamp,
    /// Its hash, always a keyed one.
    pub hash: SecretHash,
    /// When it was used.
    pub used_at: Option<Timestamp>,
}

/// Why a sign-in link is of no use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignInLinkEnd {
    /// It was used before.
    Used,
    /// Its time is over.
    Expired,
    /// The person is gone, or there is a first administrator already.
    Superseded,
}

impl SignInLinkEnd {
    /// The reason code in events.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Used => "used",
            Self::Expired => "expired",
            Self::Superseded => "superseded",
        }
    }
}

/// A password as somebody typed it, in the one form in which it is hashed.
#[derive(Clone)]
pub struct Password(Zeroizing<String>);

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(..)")
    }
}

/// Why a password is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PasswordFault {
    /// It has too few characters.
    #[error("a password has at least {PASSWORD_CHARS_MIN} characters")]
    TooShort,
    /// It has too many bytes.
    #[error("a password has at most {PASSWORD_BYTES_MAX} bytes")]
    TooLong,
    /// It is what everybody tries, or one thing over and over.
    #[error("this password is one of those that are tried first")]
    Common,
    /// It has the person's name in it.
    #[error("a password must not hold the user name")]
    HoldsName,
}

impl Password {
    /// A typed password. The same characters typed on another keyboard are the same password
    /// (NIST SP 800-63B section 3.1.1.2: normalise before hashing). `None` beyond
    /// [`PASSWORD_BYTES_MAX`].
    pub fn typed(text: &str) -> Option<Self> {
        (text.len() <= PASSWORD_BYTES_MAX).then(|| Self(Zeroizing::new(text.nfc().collect())))
    }

    /// A password that somebody chooses.
    pub fn chosen(text: &str, username: &Username) -> Result<Self, PasswordFault> {
        let password = Self::typed(text).ok_or(PasswordFault::TooLong)?;
        let lower = Zeroizing::new(password.0.to_lowercase());
        if password.0.chars().count() < PASSWORD_CHARS_MIN {
            return Err(PasswordFault::TooShort);
        }
        let mut different: Vec<char> = lower.chars().collect();
        different.sort_unstable();
        different.dedup();
        if different.len() < 5 || COMMON.contains(&lower.as_str()) {
            return Err(PasswordFault::Common);
        }
        let name = username.as_str();
        // A name of one or two letters is in every other word.
        if name.chars().count() >= 3 && lower.contains(&name.to_lowercase()) {
            return Err(PasswordFault::HoldsName);
        }
        Ok(password)
    }

    /// The normal form, for the hash.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

/// What a browser holds: `ID.SECRET`. It is no token, so no other door takes it for one.
pub(crate) fn generate_session(
    id: TokenId,
    entropy: &dyn Entropy,
) -> Result<ClearSecret, NoEntropy> {
    let secret = generate_plain(SESSION_SECRET_LEN, entropy)?;
    Ok(ClearSecret::new(format!("{id}.{}", secret.reveal())))
}

/// The id in what a browser presents; `None` if it has another form.
pub(crate) fn session_id(presented: &str) -> Option<TokenId> {
    let (id, secret) = presented.split_once('.')?;
    let shaped = secret.len() == SESSION_SECRET_LEN
        && secret.bytes().all(|byte| byte.is_ascii_alphanumeric());
    TokenId::parse(id).filter(|_| shaped)
}

/// What a browser says of itself, as it is kept: one line, not too long.
pub(crate) fn agent_line(agent: &str) -> Option<String> {
    let line: String = agent.chars().filter(|c| !c.is_control()).collect();
    let end = (0..=line.len().min(AGENT_BYTES_MAX)).rev().find(|&end| line.is_char_boundary(end));
    let line = line.get(..end.unwrap_or(0)).unwrap_or_default().trim().to_owned();
    (!line.is_empty()).then_some(line)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::SeededEntropy;

    fn alice() -> Username {
        Username::parse("alice").unwrap()
    }

    #[test]
    fn a_password_is_long_uncommon_and_not_the_name() {
        let chosen = |text: &str| Password::chosen(text, &alice()).map(|_| ());
        assert_eq!(chosen("correct horse"), Ok(()));
        assert_eq!(chosen("elevenchars"), Err(PasswordFault::TooShort));
        assert_eq!(chosen("aaaaaaaaaaaaaaaa"), Err(PasswordFault::Common));
        assert_eq!(chosen("PassWord1234"), Err(PasswordFault::Common));
        assert_eq!(chosen("i am Alice, really"), Err(PasswordFault::HoldsName));
        assert_eq!(chosen(&"xy1 z".repeat(300)), Err(PasswordFault::TooLong));
        // Characters count, not bytes.
        assert_eq!(chosen("\u{e4}\u{f6}\u{fc}\u{df}1234567"), Err(PasswordFault::TooShort));
    }

    #[test]
    fn two_spellings_of_one_character_are_one_password() {
        let composed = Password::typed("p\u{e4}sswort-lang").unwrap();
        let decomposed = Password::typed("pa\u{308}sswort-lang").unwrap();
        assert_eq!(composed.reveal(), decomposed.reveal());
        assert_eq!(format!("{composed:?}"), "Password(..)");
    }

    #[test]
    fn a_session_is_known_by_its_form() {
        let entropy = SeededEntropy::new(3);
        let id = TokenId::generate(&entropy).unwrap();
        let clear = generate_session(id, &entropy).unwrap();
        assert_eq!(session_id(clear.reveal()), Some(id));
        for other in ["", ".", "cflk_x", "000000000000.short", "00000000000!.x"] {
            assert_eq!(session_id(other), None, "{other}");
        }
    }

    #[test]
    fn what_a_browser_says_is_one_line() {
        assert_eq!(agent_line("Mozilla/5.0\r\n (X11)").as_deref(), Some("Mozilla/5.0 (X11)"));
        assert_eq!(agent_line(" \n "), None);
        assert_eq!(agent_line(&"\u{e4}".repeat(400)).map(|line| line.len()), Some(256));
    }
}

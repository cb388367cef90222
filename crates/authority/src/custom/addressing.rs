//! How a presented secret leads to tokens of a repository, without the secret leaving this place.

use crate::custom::proof::sha256_hex;

/// Which part of what was presented the repository is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Addressing {
    /// The name of the person it was presented with: the repository tells all of theirs.
    User,
    /// The first so many characters of the secret, which are its public part.
    Prefix(usize),
    /// SHA-256 of the whole secret. Only for secrets that nobody can guess, so only together
    /// with a prefix that tells them from passwords.
    Sha256,
}

/// Shortest public part: with fewer characters a look-up would tell about many tokens.
pub const SELECTOR_LENGTH_MIN: usize = 4;
/// Characters that must stay secret behind the public part: 20 of 62 are 119 bits.
pub const SECRET_LENGTH_MIN: usize = 20;

/// What a repository is asked for. Never a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selector {
    /// Tokens of this person, good for this service if one is named.
    User {
        /// The person.
        user: String,
        /// The service.
        service: Option<String>,
    },
    /// Tokens with this public part.
    Prefix(String),
    /// Tokens whose secret has this SHA-256, in small hexadecimal digits.
    Sha256(String),
}

impl Selector {
    /// The name of its sort on the wire.
    pub const fn by(&self) -> &'static str {
        match self {
            Self::User { .. } => "user",
            Self::Prefix(_) => "selector",
            Self::Sha256(_) => "sha256",
        }
    }
}

impl Addressing {
    /// What to ask for. `None` if nothing can be asked for: no person was named, or too little
    /// stands behind the public part to be a secret.
    pub fn selector(
        self,
        presented: &str,
        user: Option<&str>,
        service: Option<&str>,
    ) -> Option<Selector> {
        match self {
            Self::User => {
                Some(Selector::User { user: user?.to_owned(), service: service.map(str::to_owned) })
            }
            Self::Prefix(length) => {
                let (public, secret) = presented.split_at_checked(length)?;
                (secret.len() >= SECRET_LENGTH_MIN).then(|| Selector::Prefix(public.to_owned()))
            }
            Self::Sha256 => (presented.len() >= SECRET_LENGTH_MIN)
                .then(|| Selector::Sha256(sha256_hex(presented))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "acme_ab12cd34_0123456789abcdefghij";

    #[test]
    fn only_the_public_part_is_asked_for() {
        let by = Addressing::Prefix(14).selector(SECRET, None, None);
        assert_eq!(by, Some(Selector::Prefix("acme_ab12cd34_".to_owned())));
        // What is too short to hold a secret is no token, and could be all public part.
        assert_eq!(Addressing::Prefix(14).selector("acme_ab12cd34_short", None, None), None);
        assert_eq!(Addressing::Prefix(15).selector(SECRET, None, None), None);
        assert_eq!(Addressing::Sha256.selector("short", None, None), None);
    }

    #[test]
    fn by_person_nothing_of_the_secret_is_asked_for() {
        assert_eq!(Addressing::User.selector(SECRET, None, Some("wiki")), None);
        let by = Addressing::User.selector(SECRET, Some("alice"), Some("wiki"));
        let user = Selector::User { user: "alice".to_owned(), service: Some("wiki".to_owned()) };
        assert_eq!(by, Some(user));
    }
}

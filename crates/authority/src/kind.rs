//! What kinds of token there are, and what makes them differ.

/// The kind of a token. Adding one makes the compiler list every place to think about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// A person's token for scripts and programs, with scopes.
    PersonalAccessToken,
    /// An application password: one person, one service.
    ServiceToken,
    /// Redeemed for auth tokens, a counted number of times.
    RegistrationToken,
    /// A device's or instance's grant, drawn from a registration token.
    AuthToken,
    /// Made from another token by narrowing it; dies with its parent.
    DerivedToken,
    /// A verifier's or machine's own credential.
    ClientKey,
    /// A token of a repository, with free data.
    Generic,
    /// A one-time delivery or set-up link.
    Link,
    /// A short-lived token made from another one, which it dies with (RFC 6749 section 1.4).
    AccessToken,
    /// Made to be stolen: good nowhere, and whoever presents it raises an alarm. Its string has
    /// the letter of the kind that it looks like.
    Decoy,
}

/// Every kind, in the order of the documentation.
pub const KINDS: [Kind; 10] = [
    Kind::PersonalAccessToken,
    Kind::ServiceToken,
    Kind::RegistrationToken,
    Kind::AuthToken,
    Kind::DerivedToken,
    Kind::ClientKey,
    Kind::Generic,
    Kind::Link,
    Kind::AccessToken,
    Kind::Decoy,
];

impl Kind {
    /// The letter in the token string (`f`: an auth token's secret is its refresh token).
    pub const fn letter(self) -> char {
        match self {
            Self::PersonalAccessToken => 'p',
            Self::ServiceToken => 's',
            Self::RegistrationToken => 'r',
            Self::AuthToken => 'f',
            Self::DerivedToken => 'x',
            Self::ClientKey => 'k',
            Self::Generic => 'g',
            Self::Link => 'b',
            Self::AccessToken => 'a',
            Self::Decoy => 'd',
        }
    }

    /// Whether token strings have this kind's letter. A decoy's never do: it would be known by
    /// that.
    pub const fn is_written(self) -> bool {
        !matches!(self, Self::Decoy)
    }

    /// The kind of a letter in a token string.
    pub fn from_letter(letter: char) -> Option<Self> {
        KINDS.into_iter().find(|kind| kind.is_written() && kind.letter() == letter)
    }

    /// The name on the wire and in the store.
    pub const fn name(self) -> &'static str {
        match self {
            Self::PersonalAccessToken => "personal_access_token",
            Self::ServiceToken => "service_token",
            Self::RegistrationToken => "registration_token",
            Self::AuthToken => "auth_token",
            Self::DerivedToken => "derived_token",
            Self::ClientKey => "client_key",
            Self::Generic => "generic",
            Self::Link => "link",
            Self::AccessToken => "access_token",
            Self::Decoy => "decoy",
        }
    }

    /// The kind of a name.
    pub fn from_name(name: &str) -> Option<Self> {
        KINDS.into_iter().find(|kind| kind.name() == name)
    }

    /// Whether the holder may look at and revoke the token through `/self`.
    ///
    /// A registration token is shared by many; one holder must not end it for all.
    pub const fn may_use_self(self) -> bool {
        !matches!(self, Self::RegistrationToken | Self::Link | Self::Decoy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_letters_are_unique_and_read_back() {
        for kind in KINDS {
            assert_eq!(Kind::from_name(kind.name()), Some(kind));
            let read = Some(kind).filter(|kind| kind.is_written());
            assert_eq!(Kind::from_letter(kind.letter()), read);
        }
    }
}

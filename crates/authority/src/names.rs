//! Names that people and programs use: one parsing constructor and one canonical form each.
//!
//! Canonicalisation happens once, at the edge; behind it names compare by
//! bytes. Folding case or space a second time somewhere else is how privileges
//! leak (reference advisories: policy names folded to `root`).

use std::fmt;
use std::sync::Arc;

use unicode_normalization::UnicodeNormalization;

use crate::text::{is_hidden, is_selector};

/// A text that is not a name of the wanted sort.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadName(&'static str);

/// Declares a name type over shared text with one `parse`.
macro_rules! name {
    ($(#[$meta:meta])* $name:ident, $parse:expr) => {
        $(#[$meta])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Recognises the text and brings it to its canonical form.
            pub fn parse(text: &str) -> Result<Self, BadName> {
                let parse: fn(&str) -> Result<String, BadName> = $parse;
                parse(text).map(|canonical| Self(canonical.into()))
            }

            /// The canonical text.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// The canonical text, shared.
            pub fn shared(&self) -> Arc<str> {
                Arc::clone(&self.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }
    };
}

name!(
    /// A realm's name, `[a-z0-9][a-z0-9-]{0,62}`: it stands in URLs and issuers.
    RealmName,
    |text| slug(text, 63, false, "a realm name is 1 to 63 of a-z, 0-9 and -, starting with a letter or digit")
);
name!(
    /// A service's short label, `[a-z0-9][a-z0-9._-]{0,62}`: it stands in URLs, DNs and attribute options.
    ServiceLabel,
    |text| slug(text, 63, true, "a service label is 1 to 63 of a-z, 0-9, '.', '_' and '-', starting with a letter or digit")
);
name!(
    /// A client's name, `[a-z0-9][a-z0-9._-]{0,62}`; a user name in Basic authentication, so no colon.
    ClientName,
    |text| slug(text, 63, true, "a client name is 1 to 63 of a-z, 0-9, '.', '_' and '-', starting with a letter or digit")
);
name!(
    /// The name of a target of provisioning, `[a-z0-9][a-z0-9._-]{0,62}`.
    TargetName,
    |text| slug(text, 63, true, "a target name is 1 to 63 of a-z, 0-9, '.', '_' and '-', starting with a letter or digit")
);
name!(
    /// A person's user name: NFKC and lower case, 1 to 128 characters, no colon, slash or control.
    ///
    /// The colon ends the user name in Basic authentication (RFC 7617 section 2).
    Username,
    |text| canonical_name(text, 128, "a user name is 1 to 128 characters without spaces at the ends, ':', '/', '\\', control or invisible characters")
);
name!(
    /// A group's name: NFKC and lower case, 1 to 128 characters, no comma (header lists), slash or control.
    GroupName,
    |text| canonical_name(text, 128, "a group name is 1 to 128 characters without spaces at the ends, ':', ',', '/', '\\', control or invisible characters")
);
name!(
    /// A repository's name, `[A-Za-z0-9_]{1,22}`: a segment of URLs and the type of its tokens at
    /// the Airlock door, which bounds it (reference Airlock IAM, Generic Token Controller).
    RepositoryName,
    |text| {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
        let shaped = (1..=22).contains(&text.len()) && text.bytes().all(allowed);
        let why = "a repository name is 1 to 22 letters, digits and '_'";
        if shaped { Ok(text.to_owned()) } else { Err(BadName(why)) }
    }
);
name!(
    /// The name of an old system that is asked beside us, `[a-z0-9_]{1,22}`: it stands in the
    /// configuration, in environment variables too, and in metrics.
    ShadowName,
    |text| {
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
        let shaped = (1..=22).contains(&text.len()) && text.bytes().all(allowed);
        let why = "the name of a shadow is 1 to 22 of a-z, 0-9 and '_'";
        if shaped { Ok(text.to_owned()) } else { Err(BadName(why)) }
    }
);

/// The label of the built-in service that is the API itself.
pub const COUNTERFOIL: &str = "counterfoil";
/// The realm that exists in every installation.
pub const MAIN_REALM: &str = "main";

fn slug(text: &str, longest: usize, dots: bool, why: &'static str) -> Result<String, BadName> {
    let allowed = |b: u8| {
        b.is_ascii_lowercase()
            || b.is_ascii_digit()
            || b == b'-'
            || (dots && (b == b'.' || b == b'_'))
    };
    let first = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let shaped = (1..=longest).contains(&text.len())
        && text.bytes().all(allowed)
        && text.as_bytes().first().copied().is_some_and(first)
        && !text.contains("..");
    if shaped { Ok(text.to_owned()) } else { Err(BadName(why)) }
}

/// The one form in which names of people and groups are compared: NFKC and lower case.
pub(crate) fn folded(text: &str) -> String {
    // ASCII is normal already, and every name is read back from the store on each miss.
    if text.is_ascii() {
        text.to_ascii_lowercase()
    } else {
        // Lower-casing can denormalise and normalising can raise case, hence the second pass.
        text.nfkc().collect::<String>().to_lowercase().nfkc().collect()
    }
}

fn canonical_name(text: &str, longest: usize, why: &'static str) -> Result<String, BadName> {
    // Bounded before normalising: one code point can expand to eighteen.
    if text.len() > longest * 4 {
        return Err(BadName(why));
    }
    let folded = folded(text);
    let forbidden = |c: char| {
        c.is_control() || is_hidden(c) || is_selector(c) || matches!(c, ':' | '/' | '\\' | ',')
    };
    let shaped = !folded.is_empty()
        && folded.chars().count() <= longest
        && folded.trim() == folded
        && !folded.chars().any(forbidden)
        && folded != "."
        && folded != "..";
    if shaped { Ok(folded) } else { Err(BadName(why)) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn user_names_have_one_form() {
        assert_eq!(Username::parse("Alice").unwrap(), Username::parse("alice").unwrap());
        assert_eq!(Username::parse("Ａlice").unwrap().as_str(), "alice");
        for bad in [
            "",
            " alice",
            "a:b",
            "a/b",
            "a\u{0}b",
            "..",
            "a\nb",
            "ali\u{200b}ce",
            "\u{202e}nimda",
            "alice\u{fe0f}",
        ] {
            assert!(Username::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn labels_are_plain() {
        assert!(ServiceLabel::parse("git.internal").is_ok());
        for bad in ["", "Git", "-git", "a b", "a..b", "a/b", "*"] {
            assert!(ServiceLabel::parse(bad).is_err(), "{bad:?}");
        }
    }

    proptest! {
        /// Parsing a canonical name changes nothing.
        #[test]
        fn canonicalisation_is_idempotent(text in "\\PC{1,40}") {
            if let Ok(name) = Username::parse(&text) {
                prop_assert_eq!(Username::parse(name.as_str()).unwrap(), name);
            }
        }
    }
}

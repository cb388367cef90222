//! Tokens that somebody pasted where a name belongs.

use super::{CRC_LEN, ID_LEN, Prefix, SECRET_LEN};
use crate::kind::Kind;

/// Whether a name holds what becomes of one of our token strings when it is made a name: lower
/// case, which no checksum survives. Such a name gives away all of a secret but its capitals, and
/// those can be tried.
pub fn holds_folded_token(name: &str, prefixes: &[Prefix]) -> bool {
    let words = name.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    words.into_iter().any(|word| {
        prefixes.iter().any(|prefix| {
            // Everywhere: a prefix may begin within itself.
            let rests = (0..word.len()).filter_map(|start| word.as_bytes().get(start..));
            rests
                .filter_map(|rest| rest.strip_prefix(prefix.as_str().as_bytes()))
                .any(begins_as_token)
        })
    })
}

/// Whether what follows a prefix has the form of a token: its letter, its id, its secret and its
/// checksum, whatever is behind them.
fn begins_as_token(rest: &[u8]) -> bool {
    let alphanumeric = |bytes: &[u8]| bytes.iter().all(u8::is_ascii_alphanumeric);
    let read = || {
        let (&letter, rest) = rest.split_first()?;
        let (id, rest) = rest.strip_prefix(b"_")?.split_at_checked(ID_LEN)?;
        let secret = rest.strip_prefix(b"_")?.get(..SECRET_LEN + CRC_LEN)?;
        Kind::from_letter(char::from(letter))?;
        Some(alphanumeric(id) && alphanumeric(secret))
    };
    read().unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::folded;
    use crate::secret::{TokenId, generate_prefixed};
    use crate::testing::SeededEntropy;

    #[test]
    fn a_token_is_known_in_a_name_though_names_are_in_lower_case() {
        let folds = |name: &str| holds_folded_token(&folded(name), &[Prefix::default()]);
        for kind in [Kind::PersonalAccessToken, Kind::ClientKey, Kind::RegistrationToken] {
            let entropy = SeededEntropy::new(3);
            let id = TokenId::generate(&entropy).unwrap();
            let text = generate_prefixed(&Prefix::default(), kind, id, &entropy).unwrap();
            let text = text.reveal();
            assert!(folds(text), "{text}");
            assert!(folds(&format!("a.cfl{text}@example.org")) && folds(&text.to_uppercase()));
            assert!(!folds(&text[..text.len() - 1]) && !folds(&text.replacen('_', "-", 1)));
            assert!(!folds(&text[1..]));
        }
        let twice = Prefix::parse("aba").unwrap();
        let entropy = SeededEntropy::new(4);
        let id = TokenId::generate(&entropy).unwrap();
        let text = generate_prefixed(&twice, Kind::PersonalAccessToken, id, &entropy).unwrap();
        let name = folded(&format!("ab{}", text.reveal()));
        assert!(name.starts_with("ababap_") && holds_folded_token(&name, &[twice]), "{name}");
        for name in ["", "cfl", "cflp_", "cflp_alice", "alice@example.org", "\u{fb01}cflp_\u{e9}"] {
            assert!(!folds(name), "{name}");
        }
    }
}

//! Finding our own token strings in anything: files, histories, messages.
//!
//! Invariant: whatever is found has the form of one of ours with a right checksum, so that of 2^32
//! strings which only look like one a single one is taken for it. Forms without a checksum are
//! never looked for: they would be found in everything.

use memchr::memmem;

use super::{CRC_LEN, ID_LEN, Prefix, SECRET_LEN, Shape, TokenId, prefixed_shape};
use crate::kind::Kind;

/// Characters behind the prefix: letter, underscore, id, underscore, secret, checksum.
const REST_LEN: usize = 2 + ID_LEN + 1 + SECRET_LEN + CRC_LEN;
/// Characters of the longest token string, with a prefix of eight. Who looks through something in
/// pieces lets them overlap by one less than this.
pub const TOKEN_LEN_MAX: usize = 8 + REST_LEN;

/// Finds token strings of an installation.
#[derive(Debug, Clone)]
pub struct TokenFinder {
    heads: Vec<(Prefix, memmem::Finder<'static>)>,
}

/// A token string that was found. Says where, not what it is: the secret stays in the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FoundToken {
    /// Its first byte.
    pub start: usize,
    /// The byte behind its last one.
    pub end: usize,
    /// Its kind, by its letter.
    pub kind: Kind,
    /// Its public id.
    pub id: TokenId,
}

impl TokenFinder {
    /// A finder for these prefixes.
    pub fn new(prefixes: &[Prefix]) -> Self {
        let head = |prefix: &Prefix| {
            (prefix.clone(), memmem::Finder::new(prefix.as_str().as_bytes()).into_owned())
        };
        Self { heads: prefixes.iter().map(head).collect() }
    }

    /// The token strings of a text, each once, by where they begin. What stands before or behind
    /// one does not matter: in source code that is often the letter of an escape.
    pub fn find(&self, text: &[u8]) -> Vec<FoundToken> {
        let mut found = Vec::new();
        for (prefix, head) in &self.heads {
            let mut from = 0;
            while let Some(place) = text.get(from..).and_then(|rest| head.find(rest)) {
                let start = from + place;
                let token = token_at(text, start, prefix);
                from = token.map_or(start + 1, |token| token.end);
                found.extend(token);
            }
        }
        found.sort_unstable_by_key(|token| token.start);
        found
    }

    /// The text with the secret part of each token string in it taken out, for whoever has to say
    /// where something was found.
    pub fn redacted(&self, text: &str) -> String {
        let mut shown = String::with_capacity(text.len());
        let mut from = 0;
        for token in self.find(text.as_bytes()) {
            // A token string is ASCII, so its ends are borders of characters.
            shown.push_str(text.get(from..token.start).unwrap_or_default());
            shown.push_str(token.id.as_str());
            shown.push_str("(secret)");
            from = token.end;
        }
        shown.push_str(text.get(from..).unwrap_or_default());
        shown
    }
}

fn token_at(text: &[u8], start: usize, prefix: &Prefix) -> Option<FoundToken> {
    let end = start + prefix.as_str().len() + REST_LEN;
    let candidate = std::str::from_utf8(text.get(start..end)?).ok()?;
    match prefixed_shape(candidate, prefix) {
        Some(Shape::Prefixed { kind, id }) => Some(FoundToken { start, end, kind, id }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::secret::{generate_prefixed, holds_token};
    use crate::testing::SeededEntropy;

    fn prefixes() -> Vec<Prefix> {
        ["cfl", "xcfl", "ab", "aab"].map(|text| Prefix::parse(text).unwrap()).into()
    }

    fn token(prefix: &Prefix, seed: u64) -> (String, TokenId) {
        let entropy = SeededEntropy::new(seed);
        let id = TokenId::generate(&entropy).unwrap();
        let secret = generate_prefixed(prefix, Kind::PersonalAccessToken, id, &entropy).unwrap();
        (secret.reveal().to_owned(), id)
    }

    #[test]
    fn a_token_is_found_whatever_stands_around_it_and_whatever_its_prefix_begins_with() {
        let finder = TokenFinder::new(&prefixes());
        for (seed, prefix) in (1..).zip(&prefixes()) {
            let (text, id) = token(prefix, seed);
            assert!(text.len() <= TOKEN_LEN_MAX);
            for (before, behind) in [("", ""), ("\\n", "\\n"), ("aaa", "0"), ("\u{fc}", "\u{fc}")] {
                let found = finder.find(format!("{before}{text}{behind}").as_bytes());
                let ids: Vec<TokenId> = found.iter().map(|token| token.id).collect();
                assert_eq!(ids, [id], "{prefix:?} between {before:?} and {behind:?}");
                assert_eq!(
                    (found[0].start, found[0].end),
                    (before.len(), before.len() + text.len())
                );
            }
        }
    }

    #[test]
    fn tokens_in_a_row_are_found_each_once_and_in_their_order() {
        let finder = TokenFinder::new(&prefixes());
        let many: Vec<_> = (1..20).map(|seed| token(&prefixes()[seed % 4], seed as u64)).collect();
        let text: String = many.iter().map(|(text, _)| text.as_str()).collect();
        let found: Vec<TokenId> = finder.find(text.as_bytes()).iter().map(|t| t.id).collect();
        let made: Vec<TokenId> = many.iter().map(|(_, id)| *id).collect();
        assert_eq!(found, made);
    }

    #[test]
    fn one_wrong_character_makes_it_no_token() {
        let finder = TokenFinder::new(&[Prefix::default()]);
        let (text, _) = token(&Prefix::default(), 3);
        for at in 0..text.len() {
            let mut wrong = text.clone().into_bytes();
            wrong[at] = if wrong[at] == b'a' { b'b' } else { b'a' };
            assert_eq!(finder.find(&wrong), [], "at {at}");
        }
        assert_eq!(finder.find(&text.as_bytes()[..text.len() - 1]), []);
    }

    #[test]
    fn a_redacted_text_says_which_token_and_not_how_it_is_written() {
        let finder = TokenFinder::new(&prefixes());
        let (text, id) = token(&Prefix::default(), 5);
        let shown = finder.redacted(&format!("b\u{e4}ckup/{text}.txt"));
        assert_eq!(shown, format!("b\u{e4}ckup/{id}(secret).txt"));
        assert!(!holds_token(&shown, &prefixes()));
    }

    proptest! {
        #[test]
        fn what_is_found_is_what_a_look_at_every_place_finds(
            seeds in prop::collection::vec((1_u64..50, "[a-c_xfl\u{e9}]{0,12}"), 0..6),
        ) {
            let prefixes = prefixes();
            let finder = TokenFinder::new(&prefixes);
            let text: String = seeds.iter().flat_map(|(seed, noise)| {
                let prefix = &prefixes[usize::try_from(*seed).unwrap() % 4];
                [noise.clone(), token(prefix, *seed).0]
            }).collect();
            let bytes = text.as_bytes();
            let slow: Vec<usize> = (0..bytes.len())
                .filter(|&at| prefixes.iter().any(|prefix| token_at(bytes, at, prefix).is_some()))
                .collect();
            let quick: Vec<usize> = finder.find(bytes).iter().map(|token| token.start).collect();
            prop_assert_eq!(quick, slow);
        }
    }
}

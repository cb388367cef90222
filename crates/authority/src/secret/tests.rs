//! The vectors of the token string, and what any one-character change does to it.

use std::collections::HashSet;

use super::*;
use crate::testing::SeededEntropy;

const VECTORS: [(&str, Kind); 4] = [
    ("cflp_0123456789AB_abcdefghijklmnopqrstuvwxyz0123450devdl", Kind::PersonalAccessToken),
    ("cflr_ZZZZZZZZZZZZ_zQWBuTSOoRi4A9spHcVY5ncnsDkxkJ7Q0xOBJQ", Kind::RegistrationToken),
    ("cfls_aB3dE6gH9jK2_M4nP7qR0sT3uV6wX9yZ2aB5cD8eF1gH410WTix", Kind::ServiceToken),
    ("cflp_000000000000_8WqY5uO1O8PMdmXPc9kg5mzhXEmzCVUO00sLyG", Kind::PersonalAccessToken),
];

fn prefixes() -> Vec<Prefix> {
    vec![Prefix::default()]
}

#[test]
fn check_13_the_published_vectors_are_recognised() {
    for (text, kind) in VECTORS {
        let id = TokenId::parse(&text[5..17]).unwrap();
        assert_eq!(shape_of(text, &prefixes()), Shape::Prefixed { kind, id }, "{text}");
    }
}

#[test]
fn check_13_every_one_character_change_fails_before_any_look_up() {
    for (text, _) in VECTORS {
        for position in 0..text.len() {
            for other in "0aZ_-~ ".chars() {
                let mut changed: Vec<char> = text.chars().collect();
                if changed[position] == other {
                    continue;
                }
                changed[position] = other;
                let changed: String = changed.into_iter().collect();
                let shape = shape_of(&changed, &prefixes());
                assert_eq!(shape, Shape::BadChecksum, "{changed}");
            }
        }
    }
}

#[test]
fn check_13_a_million_generated_strings_never_repeat_and_always_check() {
    let entropy = SeededEntropy::new(7);
    let prefix = Prefix::default();
    let mut seen = HashSet::with_capacity(1_000_000);
    for _ in 0..1_000_000 {
        let id = TokenId::generate(&entropy).unwrap();
        let text = generate_prefixed(&prefix, Kind::ServiceToken, id, &entropy).unwrap();
        assert_eq!(text.reveal().len(), 56);
        let expected = Shape::Prefixed { kind: Kind::ServiceToken, id };
        assert_eq!(shape_of(text.reveal(), &prefixes()), expected);
        assert!(seen.insert(crc_free(text.reveal())), "repeated");
    }
}

/// The hashes that were published beside the vectors.
#[test]
fn check_13_the_published_vectors_have_the_published_hashes() {
    use sha2::{Digest as _, Sha256};
    for ((text, _), hash) in VECTORS.into_iter().zip([
        "74b8f02dc03b9ef317c002c47b6b9e73c6b8597c214bbf79eb4fccadac7a2909",
        "b3f9701833009753ed8e975966d80c8bdea0581eef2926f7e7e5caab9194b3cd",
        "f70ae08d4f37656140cdf7ef3e73c092a1834adb5d925671285cf0d72729a8c8",
    ]) {
        assert_eq!(data_encoding::HEXLOWER.encode(&Sha256::digest(text)), hash, "{text}");
    }
}

/// Chi-square over 62 characters: with 61 degrees of freedom, above 110 one draw in ten thousand.
#[test]
fn check_13_every_character_of_the_alphabet_is_as_likely_as_any_other() {
    let entropy = SeededEntropy::new(11);
    let prefix = Prefix::default();
    let mut counts = [0_u32; 128];
    for _ in 0..20_000 {
        let id = TokenId::generate(&entropy).unwrap();
        let text = generate_prefixed(&prefix, Kind::PersonalAccessToken, id, &entropy).unwrap();
        for &byte in text.reveal().as_bytes()[5..17].iter().chain(&text.reveal().as_bytes()[18..50])
        {
            counts[usize::from(byte)] += 1;
        }
    }
    let seen: Vec<u32> = counts.into_iter().filter(|count| *count > 0).collect();
    assert_eq!(seen.len(), 62);
    let expected = f64::from(seen.iter().sum::<u32>()) / 62.0;
    let distance = |count: &u32| (f64::from(*count) - expected).powi(2) / expected;
    let chi_square: f64 = seen.iter().map(distance).sum();
    assert!((20.0..110.0).contains(&chi_square), "{chi_square}");
}

/// A compact stand-in for the string, so that a million of them fit in memory.
fn crc_free(text: &str) -> [u8; 16] {
    let mut kept = [0; 16];
    kept.copy_from_slice(&text.as_bytes()[18..34]);
    kept
}

#[test]
fn grouped_secrets_are_read_whatever_their_case_and_dashes() {
    let text = generate_grouped(&SeededEntropy::new(1)).unwrap();
    assert_eq!(text.reveal().len(), 29);
    let shape = shape_of(text.reveal(), &prefixes());
    assert!(matches!(shape, Shape::Grouped(_)));
    let typed = text.reveal().replace('-', "").to_uppercase();
    assert_eq!(shape_of(&typed, &prefixes()), shape);
}

#[test]
fn sixty_four_small_hexadecimal_digits_are_found_by_their_hash_and_no_other_spelling_is() {
    let text = "0123456789abcdef".repeat(4);
    assert_eq!(shape_of(&text, &prefixes()), Shape::Grouped(text.clone().into()));
    for other in
        [text.to_uppercase(), text[1..].to_owned(), format!("{text}0"), text.replace('f', "g")]
    {
        assert_eq!(shape_of(&other, &prefixes()), Shape::Other, "{other}");
    }
}

#[test]
fn impossible_strings_are_refused_by_their_shape() {
    assert_eq!(shape_of("", &prefixes()), Shape::Impossible);
    assert_eq!(shape_of("a\0b", &prefixes()), Shape::Impossible);
    assert_eq!(shape_of(&"a".repeat(513), &prefixes()), Shape::Impossible);
    assert_eq!(shape_of("hunter2", &prefixes()), Shape::Other);
}

#[test]
fn retired_prefixes_stay_accepted_and_foreign_ones_do_not() {
    let acme = Prefix::parse("acme").unwrap();
    let entropy = SeededEntropy::new(2);
    let id = TokenId::generate(&entropy).unwrap();
    let text = generate_prefixed(&acme, Kind::ClientKey, id, &entropy).unwrap();
    let both = [Prefix::default(), acme];
    assert_eq!(shape_of(text.reveal(), &both), Shape::Prefixed { kind: Kind::ClientKey, id });
    assert_eq!(shape_of(text.reveal(), &prefixes()), Shape::Other);
    assert_eq!(Prefix::parse("9ab"), Err(BadPrefix));
    assert_eq!(Prefix::parse("waytoolong"), Err(BadPrefix));
}

#[test]
fn debug_shows_nothing_of_a_secret() {
    let text = generate_grouped(&SeededEntropy::new(3)).unwrap();
    let shown = format!("{text:?}");
    assert_eq!(shown, "ClearSecret(..)");
}

/// What may stand in a generated secret: it survives URLs, shells and configuration files as it is.
fn is_plain_text(secret: &str) -> bool {
    let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-');
    !secret.is_empty() && secret.bytes().all(fits)
}

proptest::proptest! {
    /// D5 of the reference on Airlock, for all kinds and all forms.
    #[test]
    fn d5_generated_secrets_are_letters_digits_underscores_and_dashes(
        seed in 0_u64..u64::MAX,
        length in 8_usize..=64,
    ) {
        let entropy = SeededEntropy::new(seed);
        let id = TokenId::generate(&entropy).unwrap();
        let prefix = Prefix::default();
        let pepper = crate::keys::Pepper::generate(1, &entropy).unwrap();
        let mut secrets = vec![
            generate_grouped(&entropy).unwrap(),
            generate_plain(15, &entropy).unwrap(),
            generate_plain(8, &entropy).unwrap(),
            generate_ag(length, &entropy).unwrap(),
            mark::generate(&pepper, &prefix, id, &entropy).unwrap(),
        ];
        for kind in crate::kind::KINDS {
            secrets.push(generate_prefixed(&prefix, kind, id, &entropy).unwrap());
        }
        for secret in &secrets {
            proptest::prop_assert!(is_plain_text(secret.reveal()), "{}", secret.reveal());
        }
        // Codes are no tokens, and are read aloud.
        let codes = [
            generate_user_code(&entropy).unwrap(),
            crate::otp::codes::generate(&entropy).unwrap().to_string(),
            crate::otp::codes::generate_digits(&entropy).unwrap().to_string(),
        ];
        for code in codes {
            proptest::prop_assert!(is_plain_text(&code), "{code}");
        }
    }
}

//! Codes that are kept as hashes: backup codes on a sheet, and codes that are sent by mail.

use zeroize::Zeroizing;

use crate::clock::{Entropy, NoEntropy};
use crate::keys::Pepper;
use crate::secret::TokenId;
use crate::secret_hash::{Mac256, hmac256};

/// Letters and digits without look-alikes, in small letters.
const ALPHABET: &[u8; 32] = b"abcdefghjkmnpqrstuvwxyz023456789";
/// Characters of a backup code: 60 bits, which no throttled presenter guesses; that nobody who has
/// the database alone can is the pepper's doing.
const CODE_CHARS: usize = 12;
/// Characters between two dashes.
const GROUP: usize = 4;
/// Backup codes on a sheet, unless another number is asked for.
pub const CODES_DEFAULT: u32 = 10;
/// Backup codes on a sheet at most.
pub const CODES_MAX: u32 = 50;
/// Digits of a code that is sent by mail.
pub const EMAIL_DIGITS: u32 = 8;
/// How long a code that was sent can be used, in seconds.
pub const EMAIL_LIFETIME_SECONDS: i64 = 600;
/// A token is sent no further code within so long, in seconds: nobody's mailbox is flooded.
pub const EMAIL_INTERVAL_SECONDS: i64 = 30;
/// Wrong codes for one that was sent, after which it is good no more and another must be sent.
pub const EMAIL_ATTEMPTS_MAX: u32 = 5;

/// A fresh backup code as it is shown: `k3f9-w2xa-p7mc`.
pub fn generate(entropy: &dyn Entropy) -> Result<Zeroizing<String>, NoEntropy> {
    let mut random = Zeroizing::new([0_u8; CODE_CHARS]);
    entropy.fill(random.as_mut_slice())?;
    let mut code = Zeroizing::new(String::with_capacity(CODE_CHARS + 2));
    for (index, byte) in random.iter().enumerate() {
        if index > 0 && index % GROUP == 0 {
            code.push('-');
        }
        // 32 letters divide 256: every letter is as likely as any other.
        let letter = ALPHABET.get(usize::from(byte & 31)).copied().unwrap_or(b'a');
        code.push(char::from(letter));
    }
    Ok(code)
}

/// A fresh code of digits, for mail.
pub fn generate_digits(entropy: &dyn Entropy) -> Result<Zeroizing<String>, NoEntropy> {
    let bound = 10_u32.pow(EMAIL_DIGITS);
    let digits = EMAIL_DIGITS as usize;
    // The largest multiple of the bound that 32 bits hold: above it some codes would be likelier.
    let fair = u32::MAX - u32::MAX % bound;
    loop {
        let mut random = Zeroizing::new([0_u8; 4]);
        entropy.fill(random.as_mut_slice())?;
        let number = u32::from_be_bytes(*random);
        if number < fair {
            return Ok(Zeroizing::new(format!("{:0digits$}", number % bound)));
        }
    }
}

/// A backup code as it is hashed; `None` if the text is none. Case, dashes and spaces are how
/// people copy it.
pub fn normal(presented: &str) -> Option<Zeroizing<String>> {
    if presented.len() > 2 * CODE_CHARS {
        return None;
    }
    let bare = presented.chars().filter(|c| !matches!(c, '-' | ' '));
    let normal: Zeroizing<String> = Zeroizing::new(bare.map(|c| c.to_ascii_lowercase()).collect());
    let letters = normal.bytes().all(|b| ALPHABET.contains(&b));
    (letters && normal.len() == CODE_CHARS).then_some(normal)
}

/// Whether a text is a backup code as sheets show it, with its dashes. Without them many a secret
/// of others has the form of one.
pub fn is_as_shown(presented: &str) -> bool {
    let mut parts = presented.split('-');
    normal(presented).is_some()
        && parts.clone().count() == CODE_CHARS / GROUP
        && parts.all(|part| part.len() == GROUP)
}

/// What is kept of a code: it is bound to its token, so that one hash fits nowhere else.
pub fn hash(pepper: &Pepper, token: TokenId, normal: &str) -> Mac256 {
    let parts = [token.as_bytes().as_slice(), normal.as_bytes()];
    hmac256(pepper.bytes(), b"counterfoil code 1", &parts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::SeededEntropy;

    #[test]
    fn a_backup_code_is_read_however_it_was_copied() {
        let entropy = SeededEntropy::new(1);
        let code = generate(&entropy).unwrap();
        assert_eq!(code.len(), 14);
        let plain = code.replace('-', "");
        let spellings = [code.to_uppercase(), plain.clone(), code.replace('-', " ")];
        for spelling in spellings {
            assert_eq!(normal(&spelling).unwrap().as_str(), plain);
        }
        assert!(normal(&plain[1..]).is_none());
        assert!(normal(&format!("{plain}a")).is_none());
        assert!(normal(&plain.replace(&plain[..1], "l")).is_none());
        assert_ne!(*generate(&entropy).unwrap(), *code);
    }

    #[test]
    fn a_code_for_mail_has_eight_digits() {
        let entropy = SeededEntropy::new(2);
        for _ in 0..100 {
            let code = generate_digits(&entropy).unwrap();
            assert!(code.len() == 8 && code.bytes().all(|b| b.is_ascii_digit()));
        }
    }

    #[test]
    fn a_hash_is_of_one_token_and_one_pepper() {
        let token = TokenId::parse("000000000000").unwrap();
        let other = TokenId::parse("000000000001").unwrap();
        let (one, two) = (Pepper::new(1, [1; 32]), Pepper::new(2, [2; 32]));
        assert_eq!(hash(&one, token, "abc"), hash(&one, token, "abc"));
        assert_ne!(hash(&one, token, "abc"), hash(&one, other, "abc"));
        assert_ne!(hash(&one, token, "abc"), hash(&two, token, "abc"));
    }
}

//! Reading what other systems leave behind, so that their people keep the secrets they have.

pub(crate) mod comanage;
pub(crate) mod directory;
pub(crate) mod dump;
pub(crate) mod forgerock;
pub(crate) mod htpasswd;
pub(crate) mod ldif;
pub(crate) mod lines;
pub(crate) mod privacyidea;
pub(crate) mod rows;
pub(crate) mod table;
pub(crate) mod unkey;
pub(crate) mod user_password;

#[cfg(test)]
mod fuzzing;

use counterfoil_authority::secret::TokenId;
use sha2::{Digest as _, Sha256};

/// The same id in every run, made of what names a token in the other system. Nothing of its secret
/// may be in it: ids are public.
fn token_id(system: &[u8], named: &[&str]) -> Option<TokenId> {
    const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut hash = Sha256::new();
    hash.update(system);
    for part in named {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part.as_bytes());
    }
    let bytes: [u8; 32] = hash.finalize().into();
    let digit = |byte: &u8| char::from(DIGITS[usize::from(*byte) % DIGITS.len()]);
    let text: String = bytes.iter().take(12).map(digit).collect();
    TokenId::parse(&text)
}

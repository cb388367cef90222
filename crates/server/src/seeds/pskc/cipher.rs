//! What protects the values of a key container: AES in CBC mode with a MAC over the cipher text,
//! under a pre-shared key or one that a password leads to (RFC 6030 section 6).

use std::num::NonZeroU32;

use aws_lc_rs::cipher::{
    AES_128, AES_256, AES_CBC_IV_LEN, Algorithm, DecryptingKey, DecryptionContext, UnboundCipherKey,
};
use aws_lc_rs::iv::FixedLength;
use aws_lc_rs::{hmac, pbkdf2};
use data_encoding::{BASE64, HEXLOWER};
use zeroize::Zeroizing;

use super::super::xml::Element;
use super::super::{BadFile, Opening};

/// Rounds of PBKDF2 at most: a second or two of one processor. Files have 1000 to 600 000.
const ROUNDS_MAX: u32 = 2_000_000;
/// Bytes of a salt at most.
const SALT_BYTES_MAX: usize = 256;

/// What opens the values of a file.
pub(super) struct Keys {
    /// The key of the values.
    key: Zeroizing<Vec<u8>>,
    /// How their MAC is computed, and with which key.
    mac: Option<(hmac::Algorithm, Zeroizing<Vec<u8>>)>,
}

impl Keys {
    /// The keys of a container; `None` if nothing in it is encrypted.
    pub(super) fn of(root: &Element, opening: Option<&Opening>) -> Result<Option<Self>, BadFile> {
        let Some(described) = root.child("EncryptionKey") else { return Ok(None) };
        let bad = |why: &str| BadFile::new(described.line, why);
        let key = match (described.child("DerivedKey"), opening) {
            (Some(derived), Some(Opening::Password(password))) => {
                derive(derived, password.reveal())?
            }
            (Some(_), _) => return Err(bad("the file is encrypted under a password; give it")),
            (None, Some(Opening::Key(key))) => {
                let lower = Zeroizing::new(key.reveal().trim().to_ascii_lowercase());
                let read = HEXLOWER.decode(lower.as_bytes()).ok().map(Zeroizing::new);
                read.ok_or_else(|| bad("the key is not in hexadecimal digits"))?
            }
            (None, _) if described.child("X509Data").is_some() => {
                return Err(bad("keys for a certificate are not taken; ask for a password"));
            }
            (None, _) => return Err(bad("the file is encrypted under a key; give it")),
        };
        if !matches!(key.len(), 16 | 32) {
            return Err(bad("the key has neither 128 nor 256 bits"));
        }
        let mut keys = Self { key, mac: None };
        if let Some(method) = root.child("MACMethod") {
            keys.mac = Some(keys.mac_of(method)?);
        }
        Ok(Some(keys))
    }

    fn mac_of(&self, method: &Element) -> Result<(hmac::Algorithm, Zeroizing<Vec<u8>>), BadFile> {
        let bad = |why: String| BadFile::new(method.line, why);
        let algorithm = match method.attribute("Algorithm").unwrap_or_default() {
            "http://www.w3.org/2000/09/xmldsig#hmac-sha1" => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
            "http://www.w3.org/2001/04/xmldsig-more#hmac-sha256" => hmac::HMAC_SHA256,
            "http://www.w3.org/2001/04/xmldsig-more#hmac-sha512" => hmac::HMAC_SHA512,
            other => return Err(bad(format!("the MAC algorithm `{}` is not known", short(other)))),
        };
        let key = match method.child("MACKey") {
            // RFC 6030 section 6.1.1: without a key of its own, the one of the values.
            None => self.key.clone(),
            Some(sealed) => self.decrypted(sealed).map_err(bad)?,
        };
        Ok((algorithm, key))
    }

    /// The clear text of an `EncryptedValue`, whose MAC is looked at before anything else.
    pub(super) fn opened(
        &self,
        value: &Element,
        mac: Option<&str>,
    ) -> Result<Zeroizing<Vec<u8>>, String> {
        let Some((algorithm, key)) = &self.mac else {
            return Err("a value is encrypted without a MAC, so that nobody could tell a \
                        wrong key from a right one"
                .to_owned());
        };
        let mac = mac.ok_or("a value is encrypted and has no ValueMAC")?;
        let mac = base64(mac).ok_or("a ValueMAC is not Base64")?;
        let cipher = cipher_value(value)?;
        hmac::verify(&hmac::Key::new(*algorithm, key), &cipher, &mac)
            .map_err(|_| "a MAC does not come out: the key is wrong, or the file was changed")?;
        self.decrypted(value)
    }

    fn decrypted(&self, value: &Element) -> Result<Zeroizing<Vec<u8>>, String> {
        let algorithm = algorithm_of(value, self.key.len())?;
        let cipher = cipher_value(value)?;
        let (iv, blocks) = cipher
            .split_first_chunk::<{ AES_CBC_IV_LEN }>()
            .filter(|(_, blocks)| !blocks.is_empty() && blocks.len() % AES_CBC_IV_LEN == 0)
            .ok_or("a value is cut off")?;
        let wrong = "a value does not open: the key is wrong";
        let key = UnboundCipherKey::new(algorithm, &self.key).map_err(|_| wrong)?;
        let key = DecryptingKey::cbc(key).map_err(|_| wrong)?;
        let mut clear = Zeroizing::new(blocks.to_vec());
        let context = DecryptionContext::Iv128(FixedLength::from(iv));
        key.decrypt(&mut clear, context).map_err(|_| wrong)?;
        // The last byte alone says how many are padding (XML Encryption section 5.2).
        let padding = clear.last().map_or(0, |last| usize::from(*last));
        let length = clear.len().checked_sub(padding);
        let length = length.filter(|_| (1..=AES_CBC_IV_LEN).contains(&padding)).ok_or(wrong)?;
        clear.truncate(length);
        Ok(clear)
    }
}

fn algorithm_of(value: &Element, key_bytes: usize) -> Result<&'static Algorithm, String> {
    let named = value.child("EncryptionMethod").and_then(|method| method.attribute("Algorithm"));
    match (named.unwrap_or_default(), key_bytes) {
        ("http://www.w3.org/2001/04/xmlenc#aes128-cbc", 16) => Ok(&AES_128),
        ("http://www.w3.org/2001/04/xmlenc#aes256-cbc", 32) => Ok(&AES_256),
        (
            "http://www.w3.org/2001/04/xmlenc#aes128-cbc"
            | "http://www.w3.org/2001/04/xmlenc#aes256-cbc",
            _,
        ) => Err("the key is of another length than the values want".to_owned()),
        (other, _) => Err(format!("the cipher `{}` is not known", short(other))),
    }
}

fn cipher_value(value: &Element) -> Result<Vec<u8>, String> {
    let text = value.at(&["CipherData", "CipherValue"]).map(Element::text);
    base64(text.unwrap_or_default()).ok_or_else(|| "a cipher text is not Base64".to_owned())
}

/// Base64 that may be broken over lines.
pub(super) fn base64(text: &str) -> Option<Vec<u8>> {
    let bare = Zeroizing::new(text.split_ascii_whitespace().collect::<String>());
    BASE64.decode(bare.as_bytes()).ok()
}

/// The key of a password (RFC 6030 section 6.2).
fn derive(derived: &Element, password: &str) -> Result<Zeroizing<Vec<u8>>, BadFile> {
    let bad = |why: &str| BadFile::new(derived.line, why);
    let method = derived.child("KeyDerivationMethod");
    let method = method.ok_or_else(|| bad("nothing says how the key is derived"))?;
    let named = method.attribute("Algorithm").unwrap_or_default();
    if !named.ends_with("#pbkdf2") {
        let why = format!("the key derivation `{}` is not known", short(named));
        return Err(BadFile::new(method.line, why));
    }
    let given = method.child("PBKDF2-params");
    let given = given.ok_or_else(|| bad("PBKDF2 has no parameters"))?;
    let salt = given.at(&["Salt", "Specified"]).and_then(|salt| base64(salt.text()));
    let salt = salt.filter(|salt| !salt.is_empty() && salt.len() <= SALT_BYTES_MAX);
    let salt = salt.ok_or_else(|| bad("PBKDF2 has no salt that can be used"))?;
    let number = |name| given.text_of(name).and_then(|text| text.parse::<u32>().ok());
    let rounds = number("IterationCount").filter(|rounds| *rounds <= ROUNDS_MAX);
    let rounds = rounds
        .and_then(NonZeroU32::new)
        .ok_or_else(|| bad("PBKDF2 has between 1 and 2000000 rounds"))?;
    let length = number("KeyLength").unwrap_or(16);
    let length = usize::try_from(length).ok().filter(|length| matches!(length, 16 | 32));
    let length = length.ok_or_else(|| bad("the derived key has neither 16 nor 32 bytes"))?;
    let prf = given.child("PRF").and_then(|prf| prf.attribute("Algorithm")).unwrap_or_default();
    let algorithm = match prf.rsplit('#').next().unwrap_or_default() {
        "" | "hmac-sha1" | "HMAC-SHA1" => pbkdf2::PBKDF2_HMAC_SHA1,
        "hmac-sha256" => pbkdf2::PBKDF2_HMAC_SHA256,
        "hmac-sha512" => pbkdf2::PBKDF2_HMAC_SHA512,
        _ => return Err(bad("the function inside of PBKDF2 is not known")),
    };
    let mut key = Zeroizing::new(vec![0; length]);
    pbkdf2::derive(algorithm, rounds, &salt, password.as_bytes(), &mut key);
    Ok(key)
}

/// What a file calls something that is not known here: it may be anything.
pub(super) fn short(name: &str) -> String {
    let safe = |c: &char| c.is_ascii_graphic();
    name.chars().filter(safe).take(80).collect()
}

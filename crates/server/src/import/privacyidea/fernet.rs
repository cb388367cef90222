//! Fernet, in which privacyIDEA encrypts an export: AES-128 in CBC mode, and HMAC-SHA-256 over all
//! of it, under the two halves of one key.

use aws_lc_rs::cipher::{
    AES_128, AES_CBC_IV_LEN, DecryptionContext, PaddedBlockDecryptingKey, UnboundCipherKey,
};
use aws_lc_rs::hmac;
use aws_lc_rs::iv::FixedLength;
use data_encoding::{BASE64URL, BASE64URL_NOPAD};
use zeroize::Zeroizing;

/// The only version there is.
const VERSION: u8 = 0x80;
/// Version and time in front of the initialisation vector.
const HEAD_LEN: usize = 9;
/// Bytes of the code at the end.
const MAC_LEN: usize = 32;

/// What stands in a text that was encrypted under this key.
///
/// # Errors
///
/// When it is no such text, or of another key.
pub(super) fn open(text: &str, key: &str) -> Result<Zeroizing<String>, &'static str> {
    let bad_key = "the key is none of 32 bytes in base64";
    let key = decoded(key).filter(|key| key.len() == 32).ok_or(bad_key)?;
    let (signing, sealing) = key.split_at(16);
    let bad_text = "is no export in privacyIDEA's own format";
    let sealed = decoded(text).ok_or(bad_text)?;
    let signed = sealed.len().checked_sub(MAC_LEN).ok_or(bad_text)?;
    let (signed, mac) = sealed.split_at(signed);
    if signed.first() != Some(&VERSION) {
        return Err(bad_text);
    }
    let wrong = "does not open: the key is another one, or the file was changed";
    let signing = hmac::Key::new(hmac::HMAC_SHA256, signing);
    hmac::verify(&signing, signed, mac).map_err(|_| wrong)?;
    let (iv, blocks) = signed
        .get(HEAD_LEN..)
        .and_then(|rest| rest.split_first_chunk::<{ AES_CBC_IV_LEN }>())
        .ok_or(bad_text)?;
    let key = UnboundCipherKey::new(&AES_128, sealing).map_err(|_| wrong)?;
    let key = PaddedBlockDecryptingKey::cbc_pkcs7(key).map_err(|_| wrong)?;
    let mut blocks = Zeroizing::new(blocks.to_vec());
    let context = DecryptionContext::Iv128(FixedLength::from(iv));
    let clear = key.decrypt(&mut blocks, context).map_err(|_| wrong)?;
    let clear = std::str::from_utf8(clear).map_err(|_| bad_text)?;
    Ok(Zeroizing::new(clear.to_owned()))
}

fn decoded(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let text = text.trim().as_bytes();
    let read = BASE64URL.decode(text).or_else(|_| BASE64URL_NOPAD.decode(text));
    read.ok().map(Zeroizing::new)
}

//! Keys in transit: an export under a passphrase, for another node or a safe.

use std::io::{self, Read, Write};

use counterfoil_authority::clock::Entropy;
use counterfoil_authority::secret::ClearSecret;
use zeroize::Zeroizing;

use super::{KEYS_MAX, KeyFile};
use crate::sealed_file::{Content, SealedReader, SealedWriter};

/// Bytes of the clear list at most.
const LIST_BYTES_MAX: u64 = 4096 * KEYS_MAX as u64;

/// Writes `keys` to `out` under `passphrase`.
///
/// # Errors
///
/// When nothing can be written.
pub fn export<W: Write>(
    out: W,
    keys: &[KeyFile],
    passphrase: &ClearSecret,
    entropy: &dyn Entropy,
) -> io::Result<W> {
    let mut sealed = SealedWriter::create(out, Content::Keys, passphrase, entropy)?;
    for key in keys {
        sealed.write_all(key.text().as_bytes())?;
    }
    sealed.finish()
}

/// Reads what [`export`] wrote.
///
/// # Errors
///
/// When it is no export, the passphrase is wrong, or it was altered.
pub fn import(input: impl Read, passphrase: &ClearSecret) -> io::Result<Vec<KeyFile>> {
    let mut text = Zeroizing::new(String::new());
    let sealed = SealedReader::open(input, Content::Keys, passphrase)?;
    sealed.take(LIST_BYTES_MAX).read_to_string(&mut text)?;
    KeyFile::parse_list(&text)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "the export holds no key list"))
}

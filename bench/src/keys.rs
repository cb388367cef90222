//! The first keys of a data directory, as the server keeps them: one file per
//! key with two lines, a name and 64 hexadecimal digits.

use std::path::Path;

use anyhow::{Context, Result};
use counterfoil_authority::keys::Key;
use data_encoding::HEXLOWER;

/// What secrets are hashed under.
///
/// # Errors
///
/// Fails when the file is not there or not a key.
pub fn pepper(data: &Path) -> Result<Key> {
    first(data, "pepper")
}

/// What values are sealed under.
///
/// # Errors
///
/// Fails when the file is not there or not a key.
pub fn seal(data: &Path) -> Result<Key> {
    first(data, "seal")
}

fn first(data: &Path, purpose: &str) -> Result<Key> {
    let path = data.join("keys").join(format!("{purpose}-1.key"));
    let text = std::fs::read_to_string(&path)
        .with_context(|| format!("cannot read {}", path.display()))?;
    let hex = text.lines().nth(1).context("a key file has two lines")?;
    let bytes = HEXLOWER.decode(hex.trim().as_bytes())?;
    let bytes: [u8; 32] = bytes.try_into().ok().context("a key has 32 bytes")?;
    Ok(Key::new(1, bytes))
}

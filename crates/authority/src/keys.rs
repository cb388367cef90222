//! The key ring: peppers, sealing keys and signing keys, current and retired.
//!
//! The keys live outside the database, so that a stolen database alone
//! verifies and opens nothing. The store keeps a fingerprint of each, so that a
//! server with the wrong directory finds out before it refuses anybody.

use std::fmt;
use std::sync::Arc;

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use sha2::{Digest as _, Sha256};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::access::signing::SigningKeys;
use crate::clock::{Entropy, NoEntropy};
use crate::secret_hash::{HmacSha256, hmac256, keyed};
use crate::store::Unavailable;

/// A key's number within its purpose. The highest one is current.
pub type KeyId = u32;

/// What a key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyPurpose {
    /// Keys the hashes of secrets.
    Pepper,
    /// Seals what must be readable again.
    Seal,
    /// Signs access tokens with Ed25519.
    SignEdDsa,
    /// Signs access tokens with ECDSA on P-256.
    SignEs256,
    /// Signs access tokens with RSA. There is none until an operator makes one.
    SignRs256,
    /// Signs checkpoints of audit logs with Ed25519.
    Checkpoint,
}

/// Every purpose.
pub const KEY_PURPOSES: [KeyPurpose; 6] = [
    KeyPurpose::Pepper,
    KeyPurpose::Seal,
    KeyPurpose::SignEdDsa,
    KeyPurpose::SignEs256,
    KeyPurpose::SignRs256,
    KeyPurpose::Checkpoint,
];

impl KeyPurpose {
    /// The name in file names and in the store.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pepper => "pepper",
            Self::Seal => "seal",
            Self::SignEdDsa => "sign-eddsa",
            Self::SignEs256 => "sign-es256",
            Self::SignRs256 => "sign-rs256",
            Self::Checkpoint => "checkpoint",
        }
    }

    /// Whether every installation has such a key from its first start on. Most verifiers never
    /// need RSA, and making such a key takes longer than all the rest of the start.
    pub const fn is_made_at_once(self) -> bool {
        !matches!(self, Self::SignRs256)
    }

    /// The purpose of a name.
    pub fn from_name(name: &str) -> Option<Self> {
        KEY_PURPOSES.into_iter().find(|purpose| purpose.name() == name)
    }
}

impl fmt::Display for KeyPurpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// 256 bits of key material, or a private key of RSA. Wiped when dropped; shows nothing of
/// itself.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Key {
    #[zeroize(skip)]
    id: KeyId,
    bytes: [u8; 32],
    /// PKCS #8, for a key that does not fit; `bytes` is its digest then.
    long: Option<Vec<u8>>,
    /// HMAC with the key already in it, which wipes itself: half of what a code of a short text
    /// costs is taking up the key.
    #[zeroize(skip)]
    keyed: HmacSha256,
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        (self.id, self.bytes, &self.long) == (other.id, other.bytes, &other.long)
    }
}

impl Eq for Key {}

/// A key that peppers hashes.
pub type Pepper = Key;

impl Key {
    /// A key with a number.
    pub fn new(id: KeyId, bytes: [u8; 32]) -> Self {
        Self { id, bytes, long: None, keyed: keyed(&bytes) }
    }

    /// A key that does not fit into 256 bits: RSA in PKCS #8.
    pub fn of_document(id: KeyId, document: Vec<u8>) -> Self {
        let digest: [u8; 32] = Sha256::digest(&document).into();
        Self { id, bytes: digest, long: Some(document), keyed: keyed(&digest) }
    }

    /// A fresh random key.
    pub fn generate(id: KeyId, entropy: &dyn Entropy) -> Result<Self, NoEntropy> {
        let mut bytes = Zeroizing::new([0; 32]);
        entropy.fill(bytes.as_mut())?;
        Ok(Self::new(id, *bytes))
    }

    /// Its number.
    pub const fn id(&self) -> KeyId {
        self.id
    }

    /// The material, for hashing; the digest of it, if it is longer.
    pub const fn bytes(&self) -> &[u8; 32] {
        &self.bytes
    }

    /// The whole material, for the key file.
    pub fn material(&self) -> &[u8] {
        self.long.as_deref().unwrap_or(&self.bytes)
    }

    /// HMAC-SHA-256 that waits for its message.
    pub(crate) fn keyed(&self) -> HmacSha256 {
        self.keyed.clone()
    }

    /// A text by which the key is recognised and from which it cannot be found.
    pub fn fingerprint(&self, purpose: KeyPurpose) -> String {
        let parts = [purpose.name().as_bytes()];
        let mac = hmac256(&self.bytes, b"counterfoil key fingerprint 1", &parts);
        data_encoding::HEXLOWER.encode(&mac.as_bytes()[..16])
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({}, ..)", self.id)
    }
}

/// All keys of an installation. Swapped as a whole when one is added.
///
/// Invariant: each purpose has at least one key, in ascending order of number.
#[derive(Debug, Clone)]
pub struct KeyRing {
    peppers: Arc<[Key]>,
    seals: Arc<[Key]>,
    signing: Arc<SigningKeys>,
    checkpoints: Arc<[Key]>,
    /// The pepper for new secrets, if that is not the newest one.
    current: Option<KeyId>,
    /// Keys that the store knows and this node does not have.
    lacking: Arc<[(KeyPurpose, KeyId)]>,
}

/// A key that the installation has and this node does not: it cannot tell right from wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this node lacks the key {purpose}-{id} of the installation")]
pub struct KeyNotHere {
    /// What it is for.
    pub purpose: KeyPurpose,
    /// Its number.
    pub id: KeyId,
}

impl From<KeyNotHere> for Unavailable {
    fn from(error: KeyNotHere) -> Self {
        Self::new(error)
    }
}

/// A key ring without a key for some purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("there is no {0} key")]
pub struct NoKey(pub KeyPurpose);

/// A sealed value cannot be opened: the key is missing or the value was altered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the sealed value cannot be opened with the keys at hand")]
pub struct Unsealable;

impl KeyRing {
    /// A ring of these keys, in any order.
    pub fn new(mut peppers: Vec<Key>, mut seals: Vec<Key>) -> Result<Self, NoKey> {
        for (keys, purpose) in [(&mut peppers, KeyPurpose::Pepper), (&mut seals, KeyPurpose::Seal)]
        {
            if keys.is_empty() {
                return Err(NoKey(purpose));
            }
            keys.sort_by_key(Key::id);
        }
        let signing = Arc::default();
        let (peppers, seals, lacking) = (peppers.into(), seals.into(), [].into());
        Ok(Self { peppers, seals, signing, checkpoints: [].into(), current: None, lacking })
    }

    /// The same ring with this pepper for new secrets: a newer one only verifies as yet.
    #[must_use]
    pub fn with_current_pepper(self, id: KeyId) -> Self {
        Self { current: Some(id), ..self }
    }

    /// The same ring, with the keys that the store knows and this node lacks.
    #[must_use]
    pub fn with_lacking(self, lacking: Vec<(KeyPurpose, KeyId)>) -> Self {
        Self { lacking: lacking.into(), ..self }
    }

    /// The keys that the store knows and this node lacks, as far as it has heard.
    pub fn lacking(&self) -> &[(KeyPurpose, KeyId)] {
        &self.lacking
    }

    /// Whether the ring holds this key.
    pub fn holds(&self, purpose: KeyPurpose, id: KeyId) -> bool {
        self.keys(purpose).iter().any(|key| key.id == id)
    }

    /// Refuses to judge what is hashed under a pepper that is not here.
    ///
    /// # Errors
    ///
    /// [`KeyNotHere`] with the first such pepper.
    pub fn require_peppers(&self, ids: impl IntoIterator<Item = KeyId>) -> Result<(), KeyNotHere> {
        let lost = ids.into_iter().find(|&id| self.pepper_by_id(id).is_none());
        lost.map_or(Ok(()), |id| Err(KeyNotHere { purpose: KeyPurpose::Pepper, id }))
    }

    /// Refuses to say that something is unknown which a key could prove that is not here.
    ///
    /// # Errors
    ///
    /// [`KeyNotHere`] with the first key of such a purpose that this node lacks.
    pub fn require_all(&self, of: impl Fn(KeyPurpose) -> bool) -> Result<(), KeyNotHere> {
        let lost = self.lacking.iter().find(|(purpose, _)| of(*purpose));
        lost.map_or(Ok(()), |&(purpose, id)| Err(KeyNotHere { purpose, id }))
    }

    /// The same ring with these keys to sign with.
    #[must_use]
    pub fn with_signing(self, signing: SigningKeys) -> Self {
        Self { signing: Arc::new(signing), ..self }
    }

    /// The same ring with these keys for checkpoints, in any order.
    #[must_use]
    pub fn with_checkpoints(self, mut keys: Vec<Key>) -> Self {
        keys.sort_by_key(Key::id);
        Self { checkpoints: keys.into(), ..self }
    }

    /// The key that signs checkpoints now; `None` in a ring without one.
    pub fn checkpoint(&self) -> Option<&Key> {
        self.checkpoints.last()
    }

    /// A fresh ring with one key per purpose.
    pub fn generate(entropy: &dyn Entropy) -> Result<Self, NoEntropy> {
        let pepper = Key::generate(1, entropy)?;
        let seal = Key::generate(1, entropy)?;
        let signing = SigningKeys::generate(entropy)?.into();
        // From what was drawn: a further draw would give every seed of the tests another meaning.
        let checkpoints = [Key::new(1, Sha256::digest(seal.bytes()).into())].into();
        let (peppers, seals, lacking) = ([pepper].into(), [seal].into(), [].into());
        Ok(Self { peppers, seals, signing, checkpoints, current: None, lacking })
    }

    /// The keys of a purpose, oldest first.
    pub fn keys(&self, purpose: KeyPurpose) -> &[Key] {
        match purpose {
            KeyPurpose::Pepper => &self.peppers,
            KeyPurpose::Seal => &self.seals,
            KeyPurpose::Checkpoint => &self.checkpoints,
            KeyPurpose::SignEdDsa | KeyPurpose::SignEs256 | KeyPurpose::SignRs256 => {
                self.signing.keys(purpose)
            }
        }
    }

    /// The keys that sign access tokens.
    pub fn signing(&self) -> &SigningKeys {
        &self.signing
    }

    /// The pepper for new secrets.
    pub fn pepper(&self) -> &Pepper {
        let chosen = self.current.and_then(|id| self.pepper_by_id(id));
        chosen.unwrap_or_else(|| newest(&self.peppers))
    }

    /// The pepper with this number, current or retired.
    pub fn pepper_by_id(&self, id: KeyId) -> Option<&Pepper> {
        self.peppers.iter().find(|key| key.id == id)
    }

    /// Every pepper, the newest one first.
    pub fn peppers(&self) -> impl Iterator<Item = &Pepper> {
        self.peppers.iter().rev()
    }

    /// The number of the key that [`KeyRing::seal`] seals under.
    pub fn newest_seal(&self) -> KeyId {
        newest(&self.seals).id
    }

    /// Seals `clear` to `row`, which must be named again to open it.
    pub fn seal(
        &self,
        row: &str,
        clear: &[u8],
        entropy: &dyn Entropy,
    ) -> Result<Vec<u8>, NoEntropy> {
        let key = newest(&self.seals);
        let mut sealed = key.id.to_be_bytes().to_vec();
        sealed.extend(seal_under(&key.bytes, row, clear, entropy)?);
        Ok(sealed)
    }

    /// Opens what [`KeyRing::seal`] made for `row`.
    pub fn open(&self, row: &str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, Unsealable> {
        let (id, rest) = sealed.split_first_chunk::<4>().ok_or(Unsealable)?;
        let id = KeyId::from_be_bytes(*id);
        let key = self.seals.iter().find(|key| key.id == id).ok_or(Unsealable)?;
        open_under(&key.bytes, row, rest)
    }
}

#[expect(clippy::expect_used, reason = "the ring's invariant: no purpose is without a key")]
fn newest(keys: &[Key]) -> &Key {
    keys.last().expect("a key ring holds a key for each purpose")
}

/// XChaCha20-Poly1305 with a random nonce in front and `row` as associated data.
pub(crate) fn seal_under(
    key: &[u8; 32],
    row: &str,
    clear: &[u8],
    entropy: &dyn Entropy,
) -> Result<Vec<u8>, NoEntropy> {
    let mut nonce = [0; 24];
    entropy.fill(&mut nonce)?;
    let payload = Payload { msg: clear, aad: row.as_bytes() };
    let cipher = XChaCha20Poly1305::new(key.into());
    let text = cipher.encrypt(&XNonce::from(nonce), payload).map_err(|_| NoEntropy)?;
    Ok([nonce.as_slice(), &text].concat())
}

/// Opens what [`seal_under`] made.
pub(crate) fn open_under(
    key: &[u8; 32],
    row: &str,
    sealed: &[u8],
) -> Result<Zeroizing<Vec<u8>>, Unsealable> {
    let (nonce, text) = sealed.split_first_chunk::<24>().ok_or(Unsealable)?;
    let payload = Payload { msg: text, aad: row.as_bytes() };
    let cipher = XChaCha20Poly1305::new(key.into());
    cipher.decrypt(&XNonce::from(*nonce), payload).map(Zeroizing::new).map_err(|_| Unsealable)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::SeededEntropy;

    #[test]
    fn a_sealed_value_opens_for_its_row_only() {
        let entropy = SeededEntropy::new(1);
        let ring = KeyRing::generate(&entropy).unwrap();
        let sealed = ring.seal("row-1", b"clear", &entropy).unwrap();
        assert_eq!(ring.open("row-1", &sealed).unwrap().as_slice(), b"clear");
        assert_eq!(ring.open("row-2", &sealed), Err(Unsealable));
        let mut altered = sealed.clone();
        *altered.last_mut().unwrap() ^= 1;
        assert_eq!(ring.open("row-1", &altered), Err(Unsealable));
        assert!(ring.open("row-1", &sealed[..3]).is_err());
    }

    #[test]
    fn the_highest_number_is_current_and_the_others_still_open() {
        let entropy = SeededEntropy::new(2);
        let old = KeyRing::generate(&entropy).unwrap();
        let sealed = old.seal("row", b"clear", &entropy).unwrap();
        let mut seals = old.keys(KeyPurpose::Seal).to_vec();
        seals.push(Key::generate(2, &entropy).unwrap());
        let ring = KeyRing::new(old.keys(KeyPurpose::Pepper).to_vec(), seals).unwrap();
        assert_eq!(ring.open("row", &sealed).unwrap().as_slice(), b"clear");
        assert_ne!(ring.seal("row", b"clear", &entropy).unwrap()[..4], sealed[..4]);
    }

    #[test]
    fn a_fingerprint_names_key_and_purpose() {
        let key = Key::new(1, [9; 32]);
        assert_ne!(key.fingerprint(KeyPurpose::Pepper), key.fingerprint(KeyPurpose::Seal));
        assert_eq!(format!("{key:?}"), "Key(1, ..)");
    }
}

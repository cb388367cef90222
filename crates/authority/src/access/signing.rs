//! The keys that sign access tokens, and which of them count at an instant.
//!
//! A rotation overlaps: the new key is published at once and signs a moment later, when every
//! node has it; the former one verifies until the overlap is over, so that no token that was
//! good becomes bad because a key changed.

use std::fmt;

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair};
use jsonwebtoken::jwk::{Jwk, PublicKeyUse, ThumbprintHash};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey};

use super::SigningAlg;
use crate::clock::{Entropy, NoEntropy, Timestamp};
use crate::keys::{Key, KeyId, KeyPurpose};

/// How long a new key is published before it signs, in seconds: every node of an installation
/// looks into its key directory once a second.
pub const ACTIVATION_SECONDS: i64 = 5;

/// A key file holds no private key of its purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{purpose}-{id} is no private key of its kind")]
pub struct BadSigningKey {
    /// What it should be for.
    pub purpose: KeyPurpose,
    /// Its number.
    pub id: KeyId,
}

/// One key pair.
pub struct Signer {
    key: Key,
    alg: SigningAlg,
    added_at: Timestamp,
    encoding: EncodingKey,
    decoding: DecodingKey,
    public: Jwk,
    kid: String,
}

impl Signer {
    /// The key pair of a key file that the store knows since `added_at`.
    ///
    /// # Errors
    ///
    /// When the material is none for this purpose.
    pub fn new(purpose: KeyPurpose, key: Key, added_at: Timestamp) -> Result<Self, BadSigningKey> {
        let bad = BadSigningKey { purpose, id: key.id() };
        let alg = SigningAlg::of_purpose(purpose).ok_or(bad)?;
        let encoding = encoding_key(alg, &key).ok_or(bad)?;
        let mut public = Jwk::from_encoding_key(&encoding, alg.algorithm()).map_err(|_| bad)?;
        let kid = public.thumbprint(ThumbprintHash::SHA256).map_err(|_| bad)?;
        public.common.key_id = Some(kid.clone());
        public.common.public_key_use = Some(PublicKeyUse::Signature);
        let decoding = DecodingKey::from_jwk(&public).map_err(|_| bad)?;
        Ok(Self { key, alg, added_at, encoding, decoding, public, kid })
    }

    /// What it signs with.
    pub const fn alg(&self) -> SigningAlg {
        self.alg
    }

    /// Its name in the header of what it signed: the thumbprint (RFC 7638).
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The public half (RFC 7517).
    pub const fn public(&self) -> &Jwk {
        &self.public
    }

    pub(super) const fn encoding(&self) -> &EncodingKey {
        &self.encoding
    }

    pub(super) const fn decoding(&self) -> &DecodingKey {
        &self.decoding
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signer({} {}, ..)", self.alg.name(), self.kid)
    }
}

/// The private key in the form that the library takes.
fn encoding_key(alg: SigningAlg, key: &Key) -> Option<EncodingKey> {
    match alg {
        SigningAlg::EdDsa => {
            let pair = Ed25519KeyPair::from_seed_unchecked(key.bytes()).ok()?;
            Some(EncodingKey::from_ed_der(pair.to_pkcs8v1().ok()?.as_ref()))
        }
        SigningAlg::Es256 => {
            let curve = &ECDSA_P256_SHA256_FIXED_SIGNING;
            let pair = EcdsaKeyPair::from_private_key_der(curve, &ec_private_key(key.bytes()));
            Some(EncodingKey::from_ec_der(pair.ok()?.to_pkcs8v1().ok()?.as_ref()))
        }
        SigningAlg::Rs256 => {
            RsaKeyPair::from_pkcs8(key.material()).ok()?;
            Some(EncodingKey::from_rsa_der(key.material()))
        }
    }
}

/// A private number as `ECPrivateKey` (RFC 5915 section 3) on P-256, without the public key,
/// which follows from it.
fn ec_private_key(number: &[u8; 32]) -> zeroize::Zeroizing<Vec<u8>> {
    const HEAD: [u8; 7] = [0x30, 0x31, 0x02, 0x01, 0x01, 0x04, 0x20];
    const P256: [u8; 12] = [0xa0, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
    zeroize::Zeroizing::new([HEAD.as_slice(), number, &P256].concat())
}

/// A fresh private key of RSA, 2048 bits, in PKCS #8. Its randomness is the library's own:
/// primes cannot be drawn from outside. `None` if the library fails.
pub fn generate_rsa() -> Option<Vec<u8>> {
    let pair = RsaKeyPair::generate(KeySize::Rsa2048).ok()?;
    let document: Pkcs8V1Der<'_> = pair.as_der().ok()?;
    Some(document.as_ref().to_vec())
}

/// Every signing key of an installation.
#[derive(Debug, Default)]
pub struct SigningKeys {
    /// In ascending order of number within each algorithm.
    signers: Vec<Signer>,
    keys: Vec<(KeyPurpose, Vec<Key>)>,
}

impl SigningKeys {
    /// The keys, in any order.
    pub fn new(mut signers: Vec<Signer>) -> Self {
        signers.sort_by_key(|signer| (signer.alg, signer.key.id()));
        let of = |alg: SigningAlg| {
            let own = signers.iter().filter(|signer| signer.alg == alg);
            (alg.purpose(), own.map(|signer| signer.key.clone()).collect())
        };
        let keys = super::SIGNING_ALGS.into_iter().map(of).collect();
        Self { signers, keys }
    }

    /// Fresh keys of the algorithms that every installation has.
    pub fn generate(entropy: &dyn Entropy) -> Result<Self, NoEntropy> {
        let mut signers = Vec::new();
        for purpose in [KeyPurpose::SignEdDsa, KeyPurpose::SignEs256] {
            let key = Key::generate(1, entropy)?;
            // A number outside the group of P-256 is as likely as a guessed key.
            signers.push(Signer::new(purpose, key, Timestamp::EPOCH).map_err(|_| NoEntropy)?);
        }
        Ok(Self::new(signers))
    }

    /// The keys of a purpose, oldest first.
    pub fn keys(&self, purpose: KeyPurpose) -> &[Key] {
        let own = self.keys.iter().find(|(known, _)| *known == purpose);
        own.map_or(&[], |(_, keys)| keys)
    }

    /// The key that signs at `now`; `None` if the installation has none of this algorithm.
    pub(crate) fn current(&self, alg: SigningAlg, now: Timestamp) -> Option<&Signer> {
        let own = || self.signers.iter().filter(move |signer| signer.alg == alg);
        let active = |signer: &&Signer| signer.added_at.plus_seconds(ACTIVATION_SECONDS) <= now;
        own().filter(active).next_back().or_else(|| own().next())
    }

    /// The keys whose signatures count at `now`: a former one until `overlap_seconds` after its
    /// successor began to sign.
    pub fn counting(&self, now: Timestamp, overlap_seconds: i64) -> impl Iterator<Item = &Signer> {
        let over = move |next: &&Signer| {
            next.added_at.plus_seconds(ACTIVATION_SECONDS + overlap_seconds) <= now
        };
        self.signers.iter().enumerate().filter_map(move |(index, signer)| {
            let next = self.signers.get(index + 1).filter(|next| next.alg == signer.alg);
            (!next.as_ref().is_some_and(over)).then_some(signer)
        })
    }

    /// Algorithms that can sign.
    pub fn algs(&self) -> impl Iterator<Item = SigningAlg> {
        super::SIGNING_ALGS
            .into_iter()
            .filter(|alg| self.signers.iter().any(|signer| signer.alg == *alg))
    }
}

impl SigningAlg {
    pub(super) const fn algorithm(self) -> Algorithm {
        match self {
            Self::EdDsa => Algorithm::EdDSA,
            Self::Es256 => Algorithm::ES256,
            Self::Rs256 => Algorithm::RS256,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::SeededEntropy;

    fn signer(purpose: KeyPurpose, id: KeyId, added_at: i64) -> Signer {
        let key = Key::generate(id, &SeededEntropy::new(u64::from(id))).unwrap();
        Signer::new(purpose, key, Timestamp::from_seconds(added_at)).unwrap()
    }

    #[test]
    fn a_new_key_is_published_before_it_signs_and_the_former_one_counts_for_the_overlap() {
        let of = |id, at| signer(KeyPurpose::SignEdDsa, id, at);
        let keys = SigningKeys::new(vec![of(2, 1000), of(1, 0)]);
        let signs =
            |at| keys.current(SigningAlg::EdDsa, Timestamp::from_seconds(at)).unwrap().key.id();
        assert_eq!([signs(999), signs(1004), signs(1005)], [1, 1, 2]);
        let counting = |at| -> Vec<KeyId> {
            keys.counting(Timestamp::from_seconds(at), 300).map(|s| s.key.id()).collect()
        };
        assert_eq!(
            [counting(1000), counting(1304), counting(1305)],
            [vec![1, 2], vec![1, 2], vec![2]]
        );
        assert!(keys.current(SigningAlg::Rs256, Timestamp::EPOCH).is_none());
    }

    #[test]
    fn a_thumbprint_is_that_of_rfc_8037() {
        // RFC 8037 appendix A.1 and A.3.
        let seed = data_encoding::BASE64URL_NOPAD
            .decode(b"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A")
            .unwrap();
        let key = Key::new(1, seed.try_into().unwrap());
        let signer = Signer::new(KeyPurpose::SignEdDsa, key, Timestamp::EPOCH).unwrap();
        assert_eq!(signer.kid(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    }

    #[test]
    fn a_key_of_another_kind_is_refused() {
        let short = Key::new(3, [7; 32]);
        let bad = Signer::new(KeyPurpose::SignRs256, short.clone(), Timestamp::EPOCH).unwrap_err();
        assert_eq!(bad.to_string(), "sign-rs256-3 is no private key of its kind");
        assert!(Signer::new(KeyPurpose::Pepper, short, Timestamp::EPOCH).is_err());
        let zero = Key::new(1, [0; 32]);
        assert!(Signer::new(KeyPurpose::SignEs256, zero, Timestamp::EPOCH).is_err());
    }

    #[test]
    fn a_key_of_rsa_is_made_and_read() {
        let key = Key::of_document(1, generate_rsa().unwrap());
        let signer = Signer::new(KeyPurpose::SignRs256, key, Timestamp::EPOCH).unwrap();
        assert_eq!(signer.alg(), SigningAlg::Rs256);
        assert_eq!(format!("{signer:?}").find("PRIVATE"), None);
    }
}

//! Signed heads of a log: checkpoints in the form of C2SP's `signed-note` and `tlog-checkpoint`.
//!
//! ```text
//! counterfoil.<installation>/<realm>
//! 1234
//! <root, base64>
//!
//! — counterfoil.<installation>/<realm> <key id and signature, base64>
//! ```

use std::fmt;

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use data_encoding::BASE64;
use sha2::{Digest as _, Sha256};

use super::tree::Hash;
use crate::keys::Key;
use crate::names::RealmName;

/// The byte that says Ed25519 (C2SP `signed-note`).
const ALG_ED25519: u8 = 0x01;
/// What begins the line of a signature: an em dash and a space.
const SIGNED_BY: &str = "\u{2014} ";
/// Bytes of a note at most: ours have some 300, and witnesses add a line each.
const NOTE_BYTES_MAX: usize = 64 * 1024;
/// Lines of signatures at most.
const SIGNATURES_MAX: usize = 64;

/// What a log and its key are called: no two logs of the world have the same name.
pub fn origin(installation: &str, realm: &RealmName) -> String {
    format!("counterfoil.{installation}/{}", realm.as_str())
}

/// The state of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// The log's name.
    pub origin: String,
    /// How many events are in it.
    pub size: u64,
    /// The root of its tree.
    pub root: Hash,
}

impl Checkpoint {
    /// The text that is signed, with its last line end.
    fn body(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, BASE64.encode(&self.root))
    }

    /// Reads what [`Checkpoint::body`] wrote, and nothing that means the same.
    fn parse(body: &str) -> Option<Self> {
        let mut lines = body.lines();
        let origin = lines.next()?.to_owned();
        let size = lines.next()?.parse().ok()?;
        let root = BASE64.decode(lines.next()?.as_bytes()).ok()?.try_into().ok()?;
        let read = Self { origin, size, root };
        (is_name(&read.origin) && read.body() == body).then_some(read)
    }

    /// The signed note of it.
    pub fn signed(&self, key: &SigningKey) -> String {
        let body = self.body();
        let public = VerifierKey { name: self.origin.clone(), public: key.public };
        let signature = key.pair.sign(body.as_bytes());
        let line = [public.id().as_slice(), signature.as_ref()].concat();
        format!("{body}\n{SIGNED_BY}{} {}\n", self.origin, BASE64.encode(&line))
    }

    /// Opens a signed note: at least one of `keys` must have signed it, and none of them wrongly.
    /// Lines of others are not looked at.
    ///
    /// # Errors
    ///
    /// [`NoteFault`].
    pub fn open(note: &str, keys: &[VerifierKey]) -> Result<Self, NoteFault> {
        if note.len() > NOTE_BYTES_MAX {
            return Err(NoteFault::Malformed);
        }
        let (body, signatures) = note.rsplit_once("\n\n").ok_or(NoteFault::Malformed)?;
        let body = format!("{body}\n");
        let checkpoint = Self::parse(&body).ok_or(NoteFault::Malformed)?;
        let signatures = signatures.strip_suffix('\n').ok_or(NoteFault::Malformed)?;
        let mut signed = false;
        for line in signatures.split('\n').take(SIGNATURES_MAX) {
            let (name, bytes) = signature_of(line).ok_or(NoteFault::Malformed)?;
            let (id, signature) = bytes.split_first_chunk::<4>().ok_or(NoteFault::Malformed)?;
            let of_line = |key: &&VerifierKey| key.name == name && key.id() == *id;
            let Some(key) = keys.iter().find(of_line) else { continue };
            let public = UnparsedPublicKey::new(&ED25519, key.public);
            if public.verify(body.as_bytes(), signature).is_err() {
                return Err(NoteFault::BadSignature);
            }
            signed |= key.name == checkpoint.origin;
        }
        if signed { Ok(checkpoint) } else { Err(NoteFault::UnknownKey) }
    }
}

fn signature_of(line: &str) -> Option<(&str, Vec<u8>)> {
    let (name, encoded) = line.strip_prefix(SIGNED_BY)?.split_once(' ')?;
    Some((name, BASE64.decode(encoded.as_bytes()).ok()?))
}

/// Names of keys have neither white space nor `+`, nor anything that a terminal would obey.
pub(super) fn is_name(text: &str) -> bool {
    !text.is_empty() && !text.contains(|c: char| c.is_whitespace() || c.is_control() || c == '+')
}

/// The ids of the keys that a note says it is signed by, as [`VerifierKey`] writes them; nothing
/// of it is verified.
pub(super) fn signers_of(note: &str) -> Vec<String> {
    let signatures = note.rsplit_once("\n\n").map_or("", |(_, signatures)| signatures);
    let id = |line: &str| {
        let (_, bytes) = signature_of(line)?;
        Some(data_encoding::HEXLOWER.encode(bytes.first_chunk::<4>()?))
    };
    signatures.lines().take(SIGNATURES_MAX).filter_map(id).collect()
}

/// Why a note is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoteFault {
    /// It is none, or no checkpoint.
    #[error("is no signed checkpoint")]
    Malformed,
    /// Nobody signed it whose key was given.
    #[error("is not signed by a given key")]
    UnknownKey,
    /// The signature of a given key does not fit.
    #[error("has a wrong signature")]
    BadSignature,
}

/// A key that signs checkpoints, ready for use.
pub struct SigningKey {
    pair: Ed25519KeyPair,
    public: [u8; 32],
}

impl SigningKey {
    /// The key of a key file; `None` if the library does not take it, which does not occur.
    pub fn new(key: &Key) -> Option<Self> {
        let pair = Ed25519KeyPair::from_seed_unchecked(key.bytes()).ok()?;
        let public = pair.public_key().as_ref().try_into().ok()?;
        Some(Self { pair, public })
    }

    /// By what its signatures under this log are checked.
    pub fn verifier(&self, origin: &str) -> VerifierKey {
        VerifierKey { name: origin.to_owned(), public: self.public }
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(..)")
    }
}

/// The public half: `name+id+base64` (C2SP `signed-note`).
///
/// Invariant: the name has neither white space nor `+`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifierKey {
    name: String,
    public: [u8; 32],
}

impl VerifierKey {
    /// Reads a key; `None` if it is none, or its id is that of another one.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(3, '+');
        let (name, id, encoded) = (parts.next()?, parts.next()?, parts.next()?);
        let bytes = BASE64.decode(encoded.as_bytes()).ok()?;
        let (&alg, public) = bytes.split_first()?;
        let read = Self { name: name.to_owned(), public: public.try_into().ok()? };
        (alg == ALG_ED25519
            && is_name(name)
            && read.to_string() == format!("{name}+{id}+{encoded}"))
        .then_some(read)
    }

    /// Whose key it is.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The first four bytes of SHA-256 over name, line end, algorithm and key.
    fn id(&self) -> [u8; 4] {
        let hash = Sha256::new()
            .chain_update(&self.name)
            .chain_update([b'\n', ALG_ED25519])
            .chain_update(self.public)
            .finalize();
        let mut id = [0; 4];
        id.copy_from_slice(&hash[..4]);
        id
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = data_encoding::HEXLOWER.encode(&self.id());
        let key = BASE64.encode(&[[ALG_ED25519].as_slice(), &self.public].concat());
        write!(f, "{}+{id}+{key}", self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signed() -> (String, VerifierKey) {
        let key = SigningKey::new(&Key::new(1, [7; 32])).unwrap();
        let checkpoint = Checkpoint { origin: "log/main".into(), size: 12, root: [3; 32] };
        (checkpoint.signed(&key), key.verifier("log/main"))
    }

    /// The key and the note of the documentation of Go's `sumdb/note`.
    #[test]
    fn a_key_of_another_program_is_read_as_it_is_written() {
        let text = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
        assert_eq!(VerifierKey::parse(text).unwrap().to_string(), text);
        for wrong in [
            "PeterNeumann+c74f20a4+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
            "PeterNeumann+C74F20A3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
            "Peter Neumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
            "PeterNeumann+c74f20a3",
            "",
        ] {
            assert_eq!(VerifierKey::parse(wrong), None, "{wrong}");
        }
        let body = "If you think cryptography is the answer to your problem,\n\
                    then you don't know what your problem is.\n";
        let signature = "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngo\
                         tpRZb6KE6RyyBwJnAM=";
        let bytes = BASE64.decode(signature.as_bytes()).unwrap();
        let key = VerifierKey::parse(text).unwrap();
        assert_eq!(bytes[..4], key.id());
        UnparsedPublicKey::new(&ED25519, key.public).verify(body.as_bytes(), &bytes[4..]).unwrap();
    }

    #[test]
    fn a_checkpoint_opens_under_its_key_and_no_other() {
        let (note, key) = signed();
        let opened = Checkpoint::open(&note, std::slice::from_ref(&key)).unwrap();
        assert_eq!((opened.size, opened.root), (12, [3; 32]));
        assert_eq!(Checkpoint::open(&note, &[]), Err(NoteFault::UnknownKey));
        let other = SigningKey::new(&Key::new(2, [8; 32])).unwrap().verifier("log/main");
        assert_eq!(
            Checkpoint::open(&note, std::slice::from_ref(&other)),
            Err(NoteFault::UnknownKey)
        );
        assert!(Checkpoint::open(&note, &[other, key.clone()]).is_ok());
        let with_witness = format!("{note}\u{2014} witness AAAAAAAA\n");
        assert!(Checkpoint::open(&with_witness, std::slice::from_ref(&key)).is_ok());
    }

    /// Every byte of a note is either signed or part of the signature.
    #[test]
    fn no_byte_of_a_note_can_be_changed() {
        let (note, key) = signed();
        for place in 0..note.len() {
            for bit in 0..8 {
                let mut bytes = note.clone().into_bytes();
                bytes[place] ^= 1 << bit;
                let Ok(text) = String::from_utf8(bytes) else { continue };
                assert!(Checkpoint::open(&text, std::slice::from_ref(&key)).is_err(), "{text}");
            }
        }
        for end in 0..note.len() {
            if note.is_char_boundary(end) {
                assert!(Checkpoint::open(&note[..end], std::slice::from_ref(&key)).is_err());
            }
        }
    }
}

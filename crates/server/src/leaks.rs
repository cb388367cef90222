//! Who may report leaked tokens: GitHub, by the keys that it publishes.
//!
//! GitHub's secret scanning tells the makers of tokens what it finds in public repositories
//! (<https://docs.github.com/en/code-security/secret-scanning/secret-scanning-partner-program>).
//! Each message is signed; the keys are asked for when they are needed and not before, so that a
//! server starts while GitHub is away.

use std::path::PathBuf;
use std::time::Duration;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use counterfoil_authority::clock::Timestamp;
use reqwest::Client;
use rustls_pki_types::SubjectPublicKeyInfoDer;
use rustls_pki_types::pem::PemObject as _;
use serde::Deserialize;
use tokio::sync::Mutex;

/// How long keys are believed in without asking again, in seconds: a key that was taken back must
/// not count for long.
const KEYS_SECONDS: i64 = 86_400;
/// How often keys are asked for at most, in seconds: who sends made-up key ids makes nobody ask
/// for each.
const KEYS_AGAIN_SECONDS: i64 = 60;
/// How long one request for keys may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// The largest answer; GitHub has a handful of keys.
const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// Keys that are kept at most.
const KEYS_MAX: usize = 64;
/// Characters of a key's id at most; GitHub's have 64.
const KEY_ID_LEN_MAX: usize = 128;
/// Characters of a signature at most: two numbers of 32 bytes in DER and base64 have 96.
const SIGNATURE_LEN_MAX: usize = 128;
/// What a P-256 key in a `SubjectPublicKeyInfo` begins with (RFC 5480 section 2); the point
/// follows, uncompressed.
const P256_HEAD: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

/// What an operator set about GitHub.
#[derive(Debug, Clone)]
pub struct GithubSettings {
    /// Where its keys are asked for.
    pub keys_url: String,
    /// A file with them; nobody is asked then.
    pub keys_file: Option<PathBuf>,
}

/// Why a message does not count. In events only: whoever sent it learns nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotSigned {
    /// Key id or signature are missing, or are none.
    Missing,
    /// Nobody knows the key.
    UnknownKey,
    /// The signature is not over this body, or not by this key.
    BadSignature,
}

impl NotSigned {
    /// The reason code in events.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Missing => "unsigned",
            Self::UnknownKey => "unknown_key",
            Self::BadSignature => "bad_signature",
        }
    }
}

#[derive(Deserialize)]
struct Published {
    public_keys: Vec<PublishedKey>,
}

#[derive(Deserialize)]
struct PublishedKey {
    key_identifier: String,
    key: String,
}

/// A key: its id, and the point on the curve.
type Key = (String, Vec<u8>);

#[derive(Default)]
struct Known {
    keys: Vec<Key>,
    learned_at: Option<Timestamp>,
    asked_at: Option<Timestamp>,
}

impl Known {
    fn key(&self, id: &str) -> Option<Vec<u8>> {
        self.keys.iter().find(|(own, _)| own == id).map(|(_, point)| point.clone())
    }

    /// Whether nobody asked a moment ago; then somebody does now.
    fn may_ask(&mut self, now: Timestamp) -> bool {
        let may = !is_within(self.asked_at, KEYS_AGAIN_SECONDS, now);
        if may {
            self.asked_at = Some(now);
        }
        may
    }

    fn learned(&mut self, keys: Vec<Key>, now: Timestamp) {
        (self.keys, self.learned_at) = (keys, Some(now));
    }
}

/// Whether so many seconds have not passed since.
fn is_within(since: Option<Timestamp>, seconds: i64, now: Timestamp) -> bool {
    since.is_some_and(|since| now < since.plus_seconds(seconds))
}

/// GitHub's keys.
pub struct GithubKeys {
    settings: GithubSettings,
    client: Client,
    known: parking_lot::Mutex<Known>,
    /// Held by whoever asks. Only those wait for it who cannot do without the answer.
    asking: Mutex<()>,
}

impl GithubKeys {
    /// Keys that are asked for later.
    pub fn new(settings: GithubSettings) -> Self {
        // A redirection would let somebody else say which keys count.
        let client = Client::builder().redirect(reqwest::redirect::Policy::none());
        let client = client.timeout(PATIENCE).user_agent("counterfoil");
        let client = client.build().unwrap_or_default();
        Self { settings, client, known: parking_lot::Mutex::default(), asking: Mutex::default() }
    }

    /// Whether GitHub has signed a body.
    ///
    /// # Errors
    ///
    /// Why it has not, as far as can be told.
    pub async fn verify(
        &self,
        body: &[u8],
        (key_id, signature): (Option<&str>, Option<&str>),
        now: Timestamp,
    ) -> Result<(), NotSigned> {
        let (Some(key_id), Some(signature)) = (key_id, signature) else {
            return Err(NotSigned::Missing);
        };
        if key_id.len() > KEY_ID_LEN_MAX || signature.len() > SIGNATURE_LEN_MAX {
            return Err(NotSigned::Missing);
        }
        let signature = STANDARD.decode(signature).map_err(|_| NotSigned::Missing)?;
        let point = self.key(key_id, now).await.ok_or(NotSigned::UnknownKey)?;
        let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, point);
        key.verify(body, &signature).map_err(|_| NotSigned::BadSignature)
    }

    /// A key, asked for if need be and if nobody did a moment ago. While they cannot be asked for,
    /// those that are known still count: who sends made-up key ids holds up nobody else.
    async fn key(&self, id: &str, now: Timestamp) -> Option<Vec<u8>> {
        let (found, is_fresh) = {
            let known = self.known.lock();
            (known.key(id), is_within(known.learned_at, KEYS_SECONDS, now))
        };
        if found.is_some() && is_fresh {
            return found;
        }
        let turn = if found.is_some() {
            let Ok(turn) = self.asking.try_lock() else { return found };
            turn
        } else {
            self.asking.lock().await
        };
        if self.known.lock().may_ask(now) {
            match self.ask().await {
                Ok(keys) => self.known.lock().learned(keys, now),
                Err(why) => tracing::warn!(why, "the keys of GitHub could not be read"),
            }
        }
        drop(turn);
        self.known.lock().key(id)
    }

    async fn ask(&self) -> Result<Vec<Key>, &'static str> {
        if let Some(path) = &self.settings.keys_file {
            let text = std::fs::read(path).map_err(|_| "the file cannot be read")?;
            return keys_of(&text);
        }
        let request = self.client.get(&self.settings.keys_url);
        let mut answer = request.send().await.map_err(|_| "nobody answers")?;
        if !answer.status().is_success() {
            return Err("the answer is no success");
        }
        let mut body = Vec::new();
        while let Some(part) = answer.chunk().await.map_err(|_| "the answer breaks off")? {
            if body.len() + part.len() > ANSWER_BYTES_MAX {
                return Err("the answer is too long");
            }
            body.extend_from_slice(&part);
        }
        keys_of(&body)
    }
}

/// The keys of what GitHub publishes. What is no P-256 key is passed over.
fn keys_of(text: &[u8]) -> Result<Vec<Key>, &'static str> {
    let published: Published =
        serde_json::from_slice(text).map_err(|_| "the answer is no list of keys")?;
    let keys: Vec<Key> = published
        .public_keys
        .into_iter()
        .filter_map(|key| Some((key.key_identifier, point_of(&key.key)?)))
        .take(KEYS_MAX)
        .collect();
    if keys.is_empty() { Err("the answer has no P-256 key") } else { Ok(keys) }
}

fn point_of(pem: &str) -> Option<Vec<u8>> {
    let der = SubjectPublicKeyInfoDer::from_pem_slice(pem.as_bytes()).ok()?;
    let point = der.strip_prefix(&P256_HEAD)?;
    (point.len() == 65).then(|| point.to_vec())
}

#[cfg(test)]
mod tests;

//! Texts that must not be anywhere, in every form in which they could be written down.

use std::collections::{BTreeSet, HashMap};

/// Bytes of a secret that are looked for: enough that chance does not find them.
const NEEDLE_LEN: usize = 14;

/// Beginnings of the secret parts of everything that was issued.
pub(super) struct Needles {
    /// Whether something that is known begins with these three bytes, so that hardly any place
    /// needs a second look.
    begins: Vec<bool>,
    known: HashMap<[u8; NEEDLE_LEN], String>,
    /// Whole secrets.
    pub(super) secrets: BTreeSet<String>,
}

impl Default for Needles {
    fn default() -> Self {
        Self { begins: vec![false; 1 << 24], known: HashMap::new(), secrets: BTreeSet::new() }
    }
}

/// The place of a beginning.
fn place(bytes: &[u8; NEEDLE_LEN]) -> usize {
    let [a, b, c, ..] = *bytes;
    usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c)
}

impl Needles {
    /// Remembers how something begins; what is shorter is not looked for.
    fn begin(&mut self, form: &[u8], of: &str) {
        if let Some(start) = form.first_chunk::<NEEDLE_LEN>() {
            self.begins[place(start)] = true;
            self.known.insert(*start, of.to_owned());
        }
    }

    /// Remembers a secret.
    pub(super) fn add(&mut self, secret: &str) {
        self.secrets.insert(secret.to_owned());
        let tail = match secret.split('_').collect::<Vec<_>>()[..] {
            [_, _, tail] => tail.to_owned(),
            _ => secret.to_owned(),
        };
        let bare: String = tail.chars().filter(|&c| c != '-').collect();
        assert!(bare.len() >= NEEDLE_LEN, "{secret} is too short to be looked for");
        for form in [tail.clone(), bare.clone(), bare.to_uppercase(), tail.to_uppercase()] {
            self.begin(form.as_bytes(), secret);
        }
    }

    /// Remembers a seed, as it is written and as it is in memory, or a code.
    pub(super) fn add_seed_or_code(&mut self, text: &str) {
        let bytes = data_encoding::BASE32_NOPAD.decode(text.as_bytes()).unwrap_or_default();
        let hex = data_encoding::HEXLOWER.encode(&bytes).into_bytes();
        for form in [text.as_bytes().to_vec(), text.to_lowercase().into_bytes(), bytes, hex] {
            self.begin(&form, text);
        }
    }

    /// Remembers an access token: of a JWT its signature, without which it is nothing.
    pub(super) fn add_access(&mut self, token: &str) {
        let Some((_, signature)) = token.rsplit_once('.') else { return self.add(token) };
        self.begin(signature.as_bytes(), signature);
    }

    /// Where in `bytes` a secret stands, with which one it is.
    pub(super) fn find(&self, bytes: &[u8]) -> Option<(usize, &str)> {
        bytes.windows(NEEDLE_LEN).enumerate().find_map(|(at, window)| {
            let window: &[u8; NEEDLE_LEN] = window.try_into().ok()?;
            if !self.begins[place(window)] {
                return None;
            }
            self.known.get(window).map(|secret| (at, secret.as_str()))
        })
    }

    #[track_caller]
    pub(super) fn absent(&self, place: &str, bytes: &[u8]) {
        if let Some((at, secret)) = self.find(bytes) {
            let around = &bytes[at.saturating_sub(120)..(at + 20).min(bytes.len())];
            let around = String::from_utf8_lossy(around).into_owned();
            panic!("{place} holds {secret} at {at}: {around:?}");
        }
    }
}

#[test]
fn the_search_would_find_a_secret() {
    let mut needles = Needles::default();
    let grouped = "abcd-efgh-jkmn-pqrs-tvwx-yz01";
    let prefixed = "cflp_0123456789AB_abcdefghijklmnopqrstuvwxyz0123450devdl";
    needles.add(grouped);
    needles.add(prefixed);
    for text in [grouped, "xxABCDEFGHJKMNPQRSTVWXYZ01", "abcdefghjkmnpqrs", prefixed] {
        assert!(needles.find(text.as_bytes()).is_some(), "{text}");
    }
    assert!(needles.find(b"cflp_0123456789AB_").is_none());
}

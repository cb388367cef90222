//! A device with passkeys, as far as a server can see it: what W3C Web Authentication says that it
//! answers, and whatever else it may try.

use std::sync::atomic::{AtomicU8, Ordering};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use data_encoding::BASE64URL_NOPAD;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::browser::Page;

/// Where the server is in these tests, as browsers say it.
pub(super) const ORIGIN: &str = "http://localhost:8780";

/// Of the byte of flags (section 6.1): the person is present, and verified; a passkey follows.
const PRESENT: u8 = 0x01;
const VERIFIED: u8 = 0x04;
const FOLLOWS: u8 = 0x40;

/// Each device gives its passkey an id of its own.
static NEXT: AtomicU8 = AtomicU8::new(1);

/// A device with one passkey, and the browser that talks to it.
pub(super) struct Authenticator {
    key: EcdsaKeyPair,
    id: Vec<u8>,
    /// How it calls the person, once it was told.
    pub(super) handle: Option<String>,
    /// How often it was used; it does not count while this is `None`.
    pub(super) count: Option<u32>,
    /// Where the browser says that it is.
    pub(super) origin: String,
    /// For whom the device thinks that it answers.
    pub(super) rp_id: String,
    /// Whether it verifies the person.
    pub(super) verifies: bool,
}

impl Authenticator {
    pub(super) fn new() -> Self {
        Self {
            key: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap(),
            id: vec![NEXT.fetch_add(1, Ordering::Relaxed); 32],
            handle: None,
            count: Some(0),
            origin: ORIGIN.to_owned(),
            rp_id: "localhost".to_owned(),
            verifies: true,
        }
    }

    /// The same device, as somebody copied it.
    pub(super) fn count_again_from(&mut self, count: u32) {
        self.count = Some(count);
    }

    fn counted(&mut self) -> u32 {
        self.count = self.count.map(|count| count + 1);
        self.count.unwrap_or(0)
    }

    fn authenticator_data(&mut self, flags: u8) -> Vec<u8> {
        let verified = if self.verifies { VERIFIED } else { 0 };
        let mut data = Sha256::digest(&self.rp_id).to_vec();
        data.push(flags | PRESENT | verified);
        data.extend(self.counted().to_be_bytes());
        data
    }

    fn client_data(&self, act: &str, question: &Value) -> Vec<u8> {
        let told = json!({
            "type": format!("webauthn.{act}"), "challenge": question["challenge"],
            "origin": self.origin, "crossOrigin": false,
        });
        told.to_string().into_bytes()
    }

    /// Makes the passkey, and says so.
    pub(super) fn makes(&mut self, question: &Value) -> String {
        self.handle = question["user"]["id"].as_str().map(str::to_owned);
        let mut data = self.authenticator_data(FOLLOWS);
        data.extend([0; 16]);
        data.extend(u16::try_from(self.id.len()).unwrap().to_be_bytes());
        data.extend(&self.id);
        data.extend(self.cose_key());
        // {"fmt": "none", "attStmt": {}, "authData": data} (RFC 8949).
        let mut object = b"\xa3\x63fmt\x64none\x67attStmt\xa0\x68authData\x59".to_vec();
        object.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
        object.extend(data);
        let id = BASE64URL_NOPAD.encode(&self.id);
        let response = json!({
            "attestationObject": BASE64URL_NOPAD.encode(&object),
            "clientDataJSON": BASE64URL_NOPAD.encode(&self.client_data("create", question)),
        });
        json!({ "id": id, "rawId": id, "type": "public-key", "response": response,
            "extensions": {} })
        .to_string()
    }

    /// An EC2 key for ES256 (RFC 9053 sections 2.1 and 7.1.1).
    fn cose_key(&self) -> Vec<u8> {
        let point = self.key.public_key().as_ref();
        let (x, y) = point[1..].split_at(32);
        let mut key = vec![0xa5, 0x01, 0x02, 0x03, 0x26, 0x20, 0x01, 0x21, 0x58, 0x20];
        key.extend(x);
        key.extend([0x22, 0x58, 0x20]);
        key.extend(y);
        key
    }

    /// Uses the passkey.
    pub(super) fn answers(&mut self, question: &Value) -> String {
        let data = self.authenticator_data(0);
        let client = self.client_data("get", question);
        let signed = [&data[..], &Sha256::digest(&client)[..]].concat();
        let signature = self.key.sign(&SystemRandom::new(), &signed).unwrap();
        let id = BASE64URL_NOPAD.encode(&self.id);
        let response = json!({
            "authenticatorData": BASE64URL_NOPAD.encode(&data),
            "clientDataJSON": BASE64URL_NOPAD.encode(&client),
            "signature": BASE64URL_NOPAD.encode(signature.as_ref()),
            "userHandle": self.handle,
        });
        json!({ "id": id, "rawId": id, "type": "public-key", "response": response,
            "extensions": {} })
        .to_string()
    }
}

/// The question that a page asks.
#[track_caller]
pub(super) fn question_of(page: &Page) -> Value {
    let rest = page.text.split("data-question=\"").nth(1);
    let rest = rest.unwrap_or_else(|| panic!("no question in {}", page.text));
    let text = rest.split('"').next().unwrap().replace("&#34;", "\"");
    serde_json::from_str(&text).unwrap()
}

//! The ceremonies of W3C Web Authentication: what a device is asked, and whether its answer is
//! good.
//!
//! There is one way to ask: for a passkey that the device finds by itself, with the person verified
//! by it (a finger, a face, a PIN). So a question holds nothing about anybody, and is the same for
//! whoever asks for one.

use std::time::Duration;

use counterfoil_authority::authority::PasskeyProved;
use counterfoil_authority::passkey::{
    CREDENTIAL_ID_BYTES_MAX, NewPasskey, PASSKEY_CHALLENGE_SECONDS, Passkey,
};
use data_encoding::BASE64URL_NOPAD;
use serde::{Deserialize, Serialize};
use webauthn_rs::prelude::{
    CredentialID, DiscoverableAuthentication, Passkey as Credential, PasskeyRegistration,
    PublicKeyCredential, RegisterPublicKeyCredential, Url, Uuid, WebauthnError,
};
use webauthn_rs::{Webauthn, WebauthnBuilder};
use webauthn_rs_proto::ResidentKeyRequirement;

/// How devices call us.
const RP_NAME: &str = "Counterfoil";

/// Why there are no passkeys at an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoPasskeys {
    /// It names an IP address: passkeys belong to a host name.
    #[error("passkeys belong to a host name, and this is an address")]
    NoHostName,
    /// It is plain HTTP to another machine: browsers offer passkeys over TLS only, and at
    /// `localhost`.
    #[error("browsers offer passkeys over https only, and at localhost")]
    PlainHttp,
    /// It is no address of a server at all.
    #[error("it is no address of a server")]
    BadUrl,
}

/// Why an answer is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unproved {
    /// It does not fit the question, the key, or this server.
    Invalid,
    /// All is right but the count, which the device had told before.
    Counted,
}

/// Who adds a passkey, as their device shows it.
#[derive(Debug, Clone, Copy)]
pub struct Person<'a> {
    /// Their user name.
    pub username: &'a str,
    /// How the device calls them.
    pub handle: &'a str,
}

/// A question that is open: to use a passkey.
#[derive(Clone, Serialize, Deserialize)]
pub struct Asked(DiscoverableAuthentication);

/// A question that is open: to make one.
#[derive(Clone, Serialize, Deserialize)]
pub struct Offered {
    state: PasskeyRegistration,
    handle: String,
}

/// What a device answered, before anything of it is known to be true.
pub struct Answer {
    told: PublicKeyCredential,
    /// How the device calls the passkey, in base64url without padding.
    pub credential_id: String,
    handle: String,
}

/// Us, as devices know us: by the host name that people see.
pub struct RelyingParty(Webauthn);

impl RelyingParty {
    /// The one of the server at `url`.
    ///
    /// # Errors
    ///
    /// Says why browsers would offer no passkeys there.
    pub fn at(url: &str) -> Result<Self, NoPasskeys> {
        let url = Url::parse(url).map_err(|_| NoPasskeys::BadUrl)?;
        let Some(host) = url.domain() else { return Err(NoPasskeys::NoHostName) };
        let local = host == "localhost" || host.ends_with(".localhost");
        match url.scheme() {
            "https" => {}
            "http" if local => {}
            _ => return Err(NoPasskeys::PlainHttp),
        }
        let seconds = u64::try_from(PASSKEY_CHALLENGE_SECONDS).unwrap_or_default();
        let built = WebauthnBuilder::new(host, &url).and_then(|builder| {
            builder.rp_name(RP_NAME).timeout(Duration::from_secs(seconds)).build()
        });
        built.map(Self).map_err(|_| NoPasskeys::BadUrl)
    }

    /// Asks to make a passkey, which must be none of `known`. What comes first is for the browser.
    pub fn offer(&self, person: Person<'_>, known: &[Passkey]) -> Option<(String, Offered)> {
        let id = Uuid::parse_str(person.handle).ok()?;
        let decoded = |one: &Passkey| BASE64URL_NOPAD.decode(one.credential_id.as_bytes()).ok();
        let known: Vec<CredentialID> = known.iter().filter_map(decoded).collect();
        let name = person.username;
        let started = self.0.start_passkey_registration(id, name, name, Some(known));
        let (mut question, state) = started.map_err(|error| log("offer", &error)).ok()?;
        // Without a name somebody signs in by what the device finds by itself.
        let selection = question.public_key.authenticator_selection.get_or_insert_default();
        selection.resident_key = Some(ResidentKeyRequirement::Required);
        selection.require_resident_key = true;
        let shown = serde_json::to_string(&question.public_key).ok()?;
        Some((shown, Offered { state, handle: person.handle.to_owned() }))
    }

    /// The passkey that a device has made; `None` if its answer is not good.
    pub fn made(&self, offered: &Offered, answer: &str, name: &str) -> Option<NewPasskey> {
        let answer: RegisterPublicKeyCredential = serde_json::from_str(answer).ok()?;
        let made = self.0.finish_passkey_registration(&answer, &offered.state);
        let made = made.map_err(|error| log("made", &error)).ok()?;
        let id: &[u8] = made.cred_id().as_ref();
        (id.len() <= CREDENTIAL_ID_BYTES_MAX).then_some(())?;
        Some(NewPasskey {
            credential_id: BASE64URL_NOPAD.encode(id),
            handle: offered.handle.clone(),
            name: name.to_owned(),
            credential: serde_json::to_vec(&made).ok()?,
        })
    }

    /// Asks to use one, whosever it is. What comes first is for the browser.
    pub fn ask(&self) -> Option<(String, Asked)> {
        let started = self.0.start_discoverable_authentication();
        let (question, state) = started.map_err(|error| log("ask", &error)).ok()?;
        Some((serde_json::to_string(&question.public_key).ok()?, Asked(state)))
    }

    /// Reads which passkey an answer claims to be of.
    pub fn read(&self, answer: &str) -> Option<Answer> {
        let answer: PublicKeyCredential = serde_json::from_str(answer).ok()?;
        let (handle, id) = self.0.identify_discoverable_authentication(&answer).ok()?;
        (id.len() <= CREDENTIAL_ID_BYTES_MAX).then_some(())?;
        let (credential_id, handle) = (BASE64URL_NOPAD.encode(id), handle.to_string());
        Some(Answer { told: answer, credential_id, handle })
    }

    /// Holds an answer against the question and the passkey: the challenge, this server, that the
    /// person was verified, the signature, and the count (Web Authentication section 7.2).
    ///
    /// # Errors
    ///
    /// Says whether it is the count that is not right.
    pub fn prove(
        &self,
        asked: Asked,
        answer: &Answer,
        passkey: Passkey,
    ) -> Result<PasskeyProved, Unproved> {
        if answer.handle != passkey.handle || answer.credential_id != passkey.credential_id {
            return Err(Unproved::Invalid);
        }
        let kept = serde_json::from_slice::<Credential>(&passkey.credential);
        let mut kept = kept.map_err(|_| Unproved::Invalid)?;
        let result = self.0.finish_discoverable_authentication_v2(&answer.told, asked.0, &kept);
        let result = result.map_err(|error| {
            log("prove", &error);
            match error {
                WebauthnError::CredentialPossibleCompromise => Unproved::Counted,
                _ => Unproved::Invalid,
            }
        })?;
        if !result.user_verified() {
            return Err(Unproved::Invalid);
        }
        kept.update_credential(&result);
        let credential = serde_json::to_vec(&kept).map_err(|_| Unproved::Invalid)?;
        Ok(PasskeyProved { passkey, counter: result.counter(), credential })
    }
}

/// The form in which devices know somebody of these bytes, which are drawn at random.
pub fn known_as(random: [u8; 16]) -> String {
    Uuid::from_bytes(random).to_string()
}

/// What the library says of an answer is for who runs the server; it holds no secret.
fn log(what: &'static str, error: &WebauthnError) {
    tracing::debug!(what, %error, "an answer of a passkey was not taken");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passkeys_belong_to_a_host_name_and_a_safe_connection() {
        for good in [
            "https://tokens.example.org",
            "https://tokens.example.org:8443",
            "http://localhost:8780",
            "http://cf.localhost:8780",
            "https://localhost",
        ] {
            assert!(RelyingParty::at(good).is_ok(), "{good}");
        }
        for (bad, why) in [
            ("http://127.0.0.1:8780", NoPasskeys::NoHostName),
            ("https://192.0.2.1", NoPasskeys::NoHostName),
            ("https://[2001:db8::1]:8780", NoPasskeys::NoHostName),
            ("http://tokens.example.org", NoPasskeys::PlainHttp),
            ("http://localhost.example.org", NoPasskeys::PlainHttp),
            ("tokens.example.org", NoPasskeys::BadUrl),
        ] {
            assert_eq!(RelyingParty::at(bad).err(), Some(why), "{bad}");
        }
    }

    /// A question tells nothing of anybody: two of them differ in their challenge alone.
    #[test]
    fn every_question_has_one_shape_and_a_challenge_of_its_own() {
        let party = RelyingParty::at("https://tokens.example.org").unwrap();
        let ask = || {
            let (question, _) = party.ask().unwrap();
            let mut question: serde_json::Value = serde_json::from_str(&question).unwrap();
            let challenge = question["challenge"].take();
            (question, challenge.as_str().unwrap().to_owned())
        };
        let ((one, first), (other, second)) = (ask(), ask());
        assert_eq!(one, other);
        assert_ne!(first, second);
        assert!(first.len() >= 22, "{first}");
        assert_eq!(one["userVerification"], "required");
        assert_eq!(one["rpId"], "tokens.example.org");
        assert_eq!(one["allowCredentials"], serde_json::json!([]));
    }

    #[test]
    fn a_passkey_is_made_for_the_device_to_find_by_itself() {
        let party = RelyingParty::at("https://tokens.example.org").unwrap();
        let handle = "67e55044-10b1-426f-9247-bb680e5fe0c8";
        let person = Person { username: "alice", handle };
        let (question, _) = party.offer(person, &[]).unwrap();
        let question: serde_json::Value = serde_json::from_str(&question).unwrap();
        let selection = &question["authenticatorSelection"];
        assert_eq!(selection["residentKey"], "required");
        assert_eq!(selection["requireResidentKey"], true);
        assert_eq!(selection["userVerification"], "required");
        assert_eq!(question["user"]["name"], "alice");
        assert_eq!(question["attestation"], "none");
    }

    /// Answers come from the browser of anybody.
    #[test]
    fn mutations_of_answers_prove_nobody() {
        let party = RelyingParty::at("https://tokens.example.org").unwrap();
        let handle = "67e55044-10b1-426f-9247-bb680e5fe0c8";
        let (_, offered) = party.offer(Person { username: "alice", handle }, &[]).unwrap();
        let texts = [
            r#"{"id":"AAAA","rawId":"AAAA","type":"public-key","response":{"clientDataJSON":"eyJ0eXBlIjoid2ViYXV0aG4uZ2V0IiwiY2hhbGxlbmdlIjoiYSIsIm9yaWdpbiI6Imh0dHBzOi8vdG9rZW5zLmV4YW1wbGUub3JnIn0","authenticatorData":"SZYN5YgOjGh0NBcPZHZgW4_krrmihjLHmVzzuoMdl2MFAAAAAQ","signature":"MEUCIQ","userHandle":"Z-VQRBCxQm-SR7toDl_gyA"},"extensions":{}}"#,
            r#"{"id":"AAAA","rawId":"AAAA","type":"public-key","response":{"attestationObject":"o2NmbXRkbm9uZWdhdHRTdG10oGhhdXRoRGF0YVik","clientDataJSON":"eyJ0eXBlIjoid2ViYXV0aG4uY3JlYXRlIn0","transports":["internal"]},"extensions":{}}"#,
        ];
        let mut dice = crate::mutations::Dice(5);
        let mut claimed = 0;
        for round in 0..20_000 {
            let bytes = crate::mutations::mutated(&mut dice, texts[round % texts.len()]);
            let text = String::from_utf8_lossy(&bytes);
            claimed += u32::from(party.read(&text).is_some());
            assert!(party.made(&offered, &text, "key").is_none(), "{text}");
        }
        // Some are answers, if not good ones.
        assert!(claimed > 100, "{claimed}");
    }
}

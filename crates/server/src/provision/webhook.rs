//! Webhooks: events told by HTTP, signed as Standard Webhooks says.
//!
//! <https://www.standardwebhooks.com>: `webhook-signature` is `v1,` and the base64 of
//! HMAC-SHA-256 over id, time and body, so that the receiver knows who speaks and when.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use counterfoil_authority::clock::{Clock, Timestamp};
use counterfoil_authority::event::Event;
use counterfoil_authority::provision::{Arrived, Failed, Fault, Finding, Severity, Target};
use hmac::{Hmac, KeyInit, Mac};
use reqwest::StatusCode;
use serde_json::json;
use sha2::Sha256;

use crate::outbound;

/// How long a receiver is given, unless its target says otherwise.
const TIMEOUT_MS: u32 = 10_000;
/// What is said of a target where nothing can be sent.
const NO_CLIENT: &str = "this system makes no HTTP client";
/// How a key is written that is no plain text.
const KEY_PREFIX: &str = "whsec_";

/// Tells programs of events.
pub(super) struct WebhookCourier {
    /// `None` where the system makes no client.
    client: Option<reqwest::Client>,
    clock: Arc<dyn Clock>,
}

impl WebhookCourier {
    /// A courier that tells the time by this clock.
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        // A redirection would take the body to somebody who was not named.
        let make = || reqwest::Client::builder().redirect(reqwest::redirect::Policy::none());
        Self { client: outbound::client(make).ok(), clock }
    }

    /// Tells of an event. The id lets the receiver drop a repetition.
    pub(super) async fn tell(
        &self,
        target: &Target,
        secret: Option<&str>,
        event: &Event,
    ) -> Result<Arrived, Failed> {
        let body = body_of(event).to_string();
        let seconds = self.clock.now().micros().div_euclid(1_000_000);
        let timeout = target.config.timeout_ms.unwrap_or(TIMEOUT_MS);
        let client = self.client.as_ref().ok_or_else(|| Failed::new(Fault::Away, NO_CLIENT))?;
        let mut request = client
            .post(&target.config.url)
            .timeout(Duration::from_millis(u64::from(timeout)))
            .header("content-type", "application/json")
            .header("webhook-id", &event.id)
            .header("webhook-timestamp", seconds);
        if let Some(secret) = secret {
            let signature = signature(secret, &event.id, seconds, &body);
            request = request.header("webhook-signature", signature);
        }
        let answer = request.body(body).send().await.map_err(|error| failed(&error))?;
        match answer.status() {
            status if status.is_success() => Ok(Arrived { place: None, changed: true }),
            status if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => {
                Err(Failed::new(Fault::Busy, format!("the receiver answered {status}")))
            }
            status => Err(Failed::new(Fault::Refused, format!("the receiver answered {status}"))),
        }
    }

    /// Whether the receiver can be reached and a signature can be made.
    pub(super) async fn test(&self, target: &Target, secret: Option<&str>) -> Vec<Finding> {
        let signed = Finding {
            check: "signature",
            severity: if secret.is_some() { Severity::Fine } else { Severity::Warning },
            what: match secret {
                Some(_) => "messages are signed".to_owned(),
                None => "messages are not signed: anybody could send them".to_owned(),
            },
            remedy: secret.is_none().then(|| "set signing_key".to_owned()),
        };
        let reached = match self.reach(target).await {
            Ok(()) => Finding {
                check: "connection",
                severity: Severity::Fine,
                what: "the receiver answers".to_owned(),
                remedy: None,
            },
            Err(failure) => Finding {
                check: "connection",
                severity: Severity::Failure,
                what: failure.what,
                remedy: None,
            },
        };
        vec![reached, signed]
    }

    /// Whether the receiver answers at all, whatever it answers.
    async fn reach(&self, target: &Target) -> Result<(), Failed> {
        let client = self.client.as_ref().ok_or_else(|| Failed::new(Fault::Away, NO_CLIENT))?;
        let timeout = target.config.timeout_ms.unwrap_or(TIMEOUT_MS);
        let request = client.head(&target.config.url);
        let request = request.timeout(Duration::from_millis(u64::from(timeout)));
        request.send().await.map(drop).map_err(|error| failed(&error))
    }
}

fn failed(error: &reqwest::Error) -> Failed {
    if error.is_timeout() && !error.is_connect() {
        return Failed::new(Fault::Unanswered, "the receiver did not answer in time");
    }
    Failed::new(Fault::Away, "the receiver cannot be reached")
}

fn signature(secret: &str, id: &str, seconds: i64, body: &str) -> String {
    let key = match secret.strip_prefix(KEY_PREFIX) {
        Some(encoded) => STANDARD.decode(encoded).unwrap_or_else(|_| secret.as_bytes().to_vec()),
        None => secret.as_bytes().to_vec(),
    };
    // HMAC takes keys of every length.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&key) else { return String::new() };
    mac.update(format!("{id}.{seconds}.{body}").as_bytes());
    format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
}

/// The envelope of Standard Webhooks: type, time, and the event as the API tells it.
fn body_of(event: &Event) -> serde_json::Value {
    json!({
        "type": event.kind,
        "timestamp": time(event.at),
        "data": {
            "id": event.id,
            "realm": event.realm.as_str(),
            "actor": &*event.origin.actor,
            "token": event.token.as_ref().map(ToString::to_string),
            "subject": event.subject,
            "service": event.service,
            "reason": event.reason,
            "detail": event.detail,
        }
    })
}

fn time(at: Timestamp) -> String {
    crate::http::wire::time(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the specification's own libraries.
    #[test]
    fn a_signature_is_the_one_that_other_libraries_make() {
        let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        let body = r#"{"test": 2432232314}"#;
        let made = signature(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, body);
        assert_eq!(made, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }
}

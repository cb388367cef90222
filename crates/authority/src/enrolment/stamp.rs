//! The stamp: what every auth token receives that is drawn from one registration token.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::access::AccessFormat;
use crate::policy::LIFETIME_SECONDS_MAX;

/// How long an ephemeral auth token may be idle unless its stamp says otherwise: an hour.
const EPHEMERAL_IDLE_SECONDS: i64 = 3_600;
/// Idle lifetimes are at least this long, so that a client can refresh in time at all.
const IDLE_SECONDS_MIN: i64 = 10;

/// What every child receives beside the registration token's own services and scopes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Stamp {
    /// Labels of every child; those it asks for itself come on top.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// How long an auth token lives, counted from its draw; `None`: for ever.
    pub lifetime_seconds: Option<i64>,
    /// How long it may go without a refresh; `None`: as long as it lives.
    pub idle_seconds: Option<i64>,
    /// Whether it vanishes when it has been idle.
    pub ephemeral: bool,
    /// The form of its access tokens.
    pub access_token: AccessFormat,
}

impl Stamp {
    /// Reads a stamp from JSON text and completes it.
    ///
    /// # Errors
    ///
    /// A field name and what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, (&'static str, String)> {
        let mut stamp: Self =
            serde_json::from_str(text).map_err(|error| ("stamp", plain(&error)))?;
        for (field, seconds, least) in [
            ("stamp.lifetime_seconds", stamp.lifetime_seconds, 1),
            ("stamp.idle_seconds", stamp.idle_seconds, IDLE_SECONDS_MIN),
        ] {
            if seconds.is_some_and(|s| !(least..=LIFETIME_SECONDS_MAX).contains(&s)) {
                return Err((field, format!("must be from {least} seconds to 100 years")));
            }
        }
        if stamp.ephemeral && stamp.idle_seconds.is_none() {
            stamp.idle_seconds = Some(EPHEMERAL_IDLE_SECONDS);
        }
        Ok(stamp)
    }

    /// The stamp of a registration token; of one that holds none that can be read, the plain one.
    pub fn of(text: Option<&str>) -> Self {
        text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
    }

    /// As the store keeps it.
    pub fn stored(&self) -> String {
        // Numbers and strings cannot fail to be written.
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// What a reader of JSON says, without the place: the text it read is nowhere to be seen.
pub(super) fn plain(error: &serde_json::Error) -> String {
    let said = error.to_string();
    said.split(" at line ").next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_is_read_strictly_and_kept_whole() {
        let stamp = Stamp::parse(r#"{"labels":{"site":"berlin"},"lifetime_seconds":60}"#).unwrap();
        assert_eq!(Stamp::of(Some(&stamp.stored())), stamp);
        assert_eq!(stamp.access_token, AccessFormat::Jwt);
        assert!(Stamp::parse(r#"{"colour":"red"}"#).is_err());
        assert_eq!(Stamp::parse(r#"{"idle_seconds":1}"#).unwrap_err().0, "stamp.idle_seconds");
        let short = Stamp::parse(r#"{"ephemeral":true}"#).unwrap();
        assert_eq!(short.idle_seconds, Some(3_600));
    }
}

//! `[audit]`: sealing, retention of events, and the witness of checkpoints.

use std::net::IpAddr;
use std::path::PathBuf;

use serde::Deserialize;

use super::keys::{Key, Sort};
use super::url;

/// Every key of the section.
pub const AUDIT_KEYS: &[Key] = &[
    Key::new(
        "audit.seal",
        Sort::Flag,
        "true",
        "Whether this server puts events into the audit logs. Of several nodes one at a time does; \
         where none may, events wait.",
    ),
    Key::new(
        "audit.retention_days",
        Sort::Count { min: 0, max: 36_500 },
        "0",
        "How many days events are kept; their hashes stay in the audit log. 0 keeps them for good.",
    ),
    Key::optional(
        "audit.witness_url",
        Sort::Url,
        "\"https://witness.example.org/counterfoil\"",
        "Where new checkpoints are sent by POST, each as the signed note that it is. HTTPS, or a \
         program on this machine.",
    ),
    Key::optional(
        "audit.witness_dir",
        Sort::Path,
        "\"/mnt/elsewhere/checkpoints\"",
        "A directory, best on another machine, in which the latest checkpoint of each realm is \
         kept as REALM.checkpoint. One that is there is never replaced by an older one.",
    ),
    Key::new(
        "audit.witness_interval_seconds",
        Sort::Count { min: 1, max: 86_400 },
        "60",
        "How often the witness gets a checkpoint of a realm at most. What fails is tried again \
         every five seconds.",
    ),
];

/// The audit logs.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Audit {
    /// Whether events are sealed here.
    pub seal: bool,
    /// Days that events are kept; 0: for good.
    pub retention_days: u32,
    /// Where checkpoints are sent.
    #[serde(default, deserialize_with = "url")]
    pub witness_url: Option<String>,
    /// Where checkpoints are written to.
    #[serde(default)]
    pub witness_dir: Option<PathBuf>,
    /// How often, in seconds.
    pub witness_interval_seconds: i64,
}

impl Audit {
    /// Days that events are kept; `None`: for good.
    pub const fn retention(&self) -> Option<u32> {
        if self.retention_days == 0 { None } else { Some(self.retention_days) }
    }

    /// What is wrong between keys that are each right.
    pub(super) fn contradictions(&self) -> Vec<String> {
        let Some(url) = &self.witness_url else { return Vec::new() };
        if !crosses_in_clear(url) {
            return Vec::new();
        }
        vec!["`audit.witness_url` needs https:// unless the witness runs on this machine".into()]
    }
}

/// Whether what is sent to a URL or read from it could be read or changed on its way: it is no
/// https:// and leaves this machine.
pub(super) fn crosses_in_clear(url: &str) -> bool {
    let parsed = reqwest::Url::parse(url).ok();
    let host = parsed.as_ref().and_then(|url| url.host_str()).unwrap_or_default();
    let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
    let local = host == "localhost" || address.is_ok_and(|address| address.is_loopback());
    let is_https = parsed.as_ref().is_some_and(|url| url.scheme() == "https");
    !is_https && !local
}

//! The custom repositories of an installation, and which of them a presented secret may concern.
//!
//! The rule (docs/decisions/0028): a secret is looked up elsewhere only where the configuration
//! says that it can be found there, by how it begins or by the service that the verifier speaks
//! for. So a wrong guess does not fan out to foreign systems, and a repository that hangs is in
//! nobody's way but its own tokens'.

use std::sync::Arc;
use std::time::Duration;

use super::addressing::SELECTOR_LENGTH_MIN;
use super::{Addressing, Guarded, ProofKey};
use crate::authority::{Binding, VerifyRequest};
use crate::kind::Kind;
use crate::names::{COUNTERFOIL, RealmName};
use crate::secret::{PRESENTED_LEN_MAX, Prefix};
use crate::service::Services;

/// How long a repository has for an answer, unless configured otherwise.
pub const TIMEOUT_MS: u64 = 800;
/// Calls to one repository at the same time, unless configured otherwise.
pub const IN_FLIGHT_MAX: usize = 64;
/// How long a yes is remembered, unless configured otherwise; what the far side revokes ends here
/// so much later.
pub const CACHE_SECONDS: u32 = 5;
/// The longest that a yes may be remembered.
pub const CACHE_SECONDS_MAX: u32 = 60;
/// Characters of a prefix that tells a repository's tokens from everything else.
const PREFIX_LENGTH: std::ops::RangeInclusive<usize> = 3..=32;

/// Where a secret is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VerifyMode {
    /// Here, with a hash that the repository tells. No secret leaves.
    Local,
    /// There. The repository is sent the secret in clear.
    Delegated,
}

/// Who keeps usage and limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UsageKept {
    /// We do, in a table of our own.
    Here,
    /// The repository counts limited tokens, and is told of all uses; ours are kept as well.
    There,
}

/// How a repository is used.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Its name, the type id of its tokens.
    pub name: Arc<str>,
    /// The realm that it belongs to.
    pub realm: RealmName,
    /// The services that it may speak for.
    pub services: Services,
    /// How its tokens begin, if they do so in a way of their own.
    pub prefix: Option<String>,
    /// What it is asked by.
    pub addressing: Addressing,
    /// As what its tokens count.
    pub token_kind: Kind,
    /// Where secrets are compared.
    pub verify: VerifyMode,
    /// Who keeps usage.
    pub usage: UsageKept,
    /// How long an answer may take.
    pub timeout: Duration,
    /// Calls at the same time.
    pub in_flight_max: usize,
    /// How long a yes is remembered, in seconds; 0: not at all.
    pub cache_seconds: u32,
    /// The key of `hmac-sha256` hashes.
    pub hash_key: Option<ProofKey>,
    /// Whether a token that is created from here gets a secret, which is shown once and whose hash
    /// the repository is told.
    pub generates: bool,
}

impl Settings {
    /// The defaults for a repository of this name that speaks for these services.
    pub fn new(name: &str, realm: RealmName, services: Services) -> Self {
        Self {
            name: name.into(),
            realm,
            services,
            prefix: None,
            addressing: Addressing::User,
            token_kind: Kind::ServiceToken,
            verify: VerifyMode::Local,
            usage: UsageKept::Here,
            timeout: Duration::from_millis(TIMEOUT_MS),
            in_flight_max: IN_FLIGHT_MAX,
            cache_seconds: CACHE_SECONDS,
            hash_key: None,
            generates: true,
        }
    }

    /// What is wrong with them, for whoever wrote the configuration.
    pub fn faults(&self, own: &[Prefix]) -> Vec<String> {
        let mut faults = Vec::new();
        let mut fault = |what: &str| faults.push(what.to_owned());
        match &self.prefix {
            Some(prefix) => {
                let shaped = PREFIX_LENGTH.contains(&prefix.len())
                    && prefix.bytes().all(|b| b.is_ascii_graphic());
                if !shaped {
                    fault("prefix has 3 to 32 visible ASCII characters");
                }
                if own.iter().any(|own| prefix.starts_with(own.as_str())) {
                    fault("prefix begins like the tokens of this installation");
                }
            }
            None if self.services == Services::All => {
                fault(
                    "services = [\"*\"] needs a prefix, or every wrong secret would be asked for there",
                );
            }
            None if self.addressing != Addressing::User => {
                fault("selector_length and selector = \"sha256\" need a prefix");
            }
            None => {}
        }
        if let Addressing::Prefix(length) = self.addressing {
            let least = self.prefix.as_ref().map_or(0, String::len) + SELECTOR_LENGTH_MIN;
            if !(least..PRESENTED_LEN_MAX).contains(&length) {
                fault("selector_length counts the prefix and at least four characters behind it");
            }
        }
        match &self.services {
            Services::Named(labels) if labels.iter().any(|l| l.as_str() == COUNTERFOIL) => {
                fault("no token of a custom repository opens the service counterfoil");
            }
            _ => {}
        }
        if self.cache_seconds > CACHE_SECONDS_MAX {
            fault("cache_seconds is at most 60");
        }
        faults
    }

    /// Whether it may speak for what a verifier asks about. Where no service is asked about, only
    /// a prefix leads to it.
    fn may_concern(&self, binding: Binding<'_>) -> bool {
        match binding {
            Binding::Service(label) => self.services.includes(label.as_str()),
            Binding::AnyOf(labels) => labels.iter().any(|l| self.services.includes(l.as_str())),
            Binding::Unbound => self.prefix.is_some(),
        }
    }
}

/// Every custom repository.
#[derive(Default)]
pub struct Elsewhere(Vec<Arc<Guarded>>);

impl Elsewhere {
    /// These.
    pub fn new(all: Vec<Arc<Guarded>>) -> Self {
        Self(all)
    }

    /// All of them.
    pub fn all(&self) -> &[Arc<Guarded>] {
        &self.0
    }

    /// One by its name.
    pub fn find(&self, realm: &RealmName, name: &str) -> Option<&Arc<Guarded>> {
        self.0.iter().find(|one| {
            let settings = one.settings();
            settings.realm == *realm && &*settings.name == name
        })
    }

    /// The repository whose prefix the secret has: the one with the longest such prefix, and
    /// whatever else it could be, it is nothing but a token of that one.
    fn by_prefix(&self, request: &VerifyRequest<'_>) -> Option<&Arc<Guarded>> {
        let matching = self.0.iter().filter(|one| one.settings().realm == *request.realm);
        let length = |one: &Arc<Guarded>| {
            let prefix = one.settings().prefix.as_deref()?;
            request.presented.starts_with(prefix).then_some(prefix.len())
        };
        matching.filter(|one| length(one).is_some()).max_by_key(|one| length(one))
    }

    /// The repositories that a secret is to be looked up in, once it is known to be none of ours.
    pub(crate) fn concerned(&self, request: &VerifyRequest<'_>) -> Vec<Arc<Guarded>> {
        let api =
            matches!(request.binding, Binding::Service(label) if label.as_str() == COUNTERFOIL);
        if self.0.is_empty() || api {
            return Vec::new();
        }
        if let Some(one) = self.by_prefix(request) {
            let concerned = one.settings().may_concern(request.binding);
            return concerned.then(|| Arc::clone(one)).into_iter().collect();
        }
        let by_service = self.0.iter().filter(|one| {
            let settings = one.settings();
            settings.realm == *request.realm
                && settings.prefix.is_none()
                && settings.may_concern(request.binding)
        });
        by_service.map(Arc::clone).collect()
    }
}

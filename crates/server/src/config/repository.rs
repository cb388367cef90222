//! From a repository's section of the configuration to what the rules know of it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use counterfoil_authority::names::{RepositoryName, ServiceLabel};
use counterfoil_authority::repository::custom::{Comparison, Driver};
use counterfoil_authority::repository::{
    Attribute, CredentialRules, CustomRules, DEFAULT_TOKENS_PER_USER, Mapped, Mapping, Promotion,
    Repositories, Repository, RepositoryKind, TokenRules, ValueType,
};
use counterfoil_authority::secret::ClearSecret;
use serde::Deserialize;

use super::value::milliseconds;

/// How long a custom repository may take, unless configured otherwise.
const DEFAULT_TIMEOUT_MS: u64 = 800;

/// A repository as the file has it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RepositorySection {
    /// What it holds.
    pub kind: Option<String>,
    /// Services that its tokens are good for.
    pub services: Vec<String>,
    /// Tokens of one person at most.
    pub max_tokens_per_user: Option<u32>,
    /// Whether expired tokens count.
    pub count_expired: Option<bool>,
    /// Whether a token without data gets a secret.
    pub generate_secret: Option<bool>,
    /// Whether tokens of people wait for their activation letter.
    pub activation_letter: Option<bool>,
    /// Whether there is a next credential.
    pub support_next: Option<bool>,
    /// Whether the next one takes the place of a deleted one.
    pub use_next_as_current_on_deletion: Option<bool>,
    /// When the next one becomes the current one.
    pub promote_next_on: Option<Vec<String>>,
    /// How long a retired one still counts.
    pub retire_grace: Option<String>,
    /// The realm that a custom one belongs to.
    pub realm: Option<String>,
    /// By what a custom one is reached.
    pub driver: Option<String>,
    /// Where a custom one is.
    pub url: Option<String>,
    /// How long a custom one may take.
    pub timeout: Option<String>,
    /// Who compares a secret of a custom one.
    pub verify: Option<String>,
    /// How tokens of a custom one begin.
    pub prefix: Option<String>,
    /// What a custom one is asked by.
    pub selector: Option<String>,
    /// Characters of the public part.
    pub selector_length: Option<usize>,
    /// As what its tokens count.
    pub token_kind: Option<String>,
    /// Who counts uses of a custom one.
    pub usage: Option<String>,
    /// Calls to a custom one at the same time.
    pub in_flight_max: Option<usize>,
    /// How long a custom one's yes is remembered, in seconds.
    pub cache_seconds: Option<u32>,
    /// What a custom one is shown.
    #[serde(deserialize_with = "super::secret")]
    pub secret: Option<ClearSecret>,
    /// What the secret is to an HTTP repository.
    pub auth: Option<String>,
    /// The key of keyed hashes.
    #[serde(deserialize_with = "super::secret")]
    pub hash_key: Option<ClearSecret>,
    /// Certificates to trust.
    pub ca_file: Option<PathBuf>,
    /// Certificate and key of this server.
    pub client_identity: Option<PathBuf>,
    /// As whom to bind.
    pub bind_dn: Option<String>,
    /// Below which people are found.
    pub base_dn: Option<String>,
    /// How a person is found.
    pub filter: Option<String>,
    /// The attribute that holds the tokens.
    pub attribute: Option<String>,
    /// What a value is.
    pub form: Option<String>,
    /// Whether the connection becomes TLS.
    pub start_tls: Option<bool>,
    /// Statements by name.
    pub statements: BTreeMap<String, String>,
    /// Which attributes are shown.
    pub attributes: BTreeMap<String, AttributeSection>,
}

/// An attribute as the file has it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AttributeSection {
    /// Its name on the wire.
    pub name: Option<String>,
    /// What it holds.
    pub r#type: Option<String>,
    /// Characters at most.
    pub max_len: Option<u32>,
    /// Whether lists are filtered and sorted by it.
    pub filterable: bool,
    /// Whether it is never shown.
    pub write_only: bool,
    /// Whether a token cannot be without it.
    pub required: bool,
    /// How far ahead a date may lie.
    pub max_ahead: Option<String>,
}

impl RepositorySection {
    /// What it says to the rules, or everything that is wrong with it.
    fn repository(&self, name: &str) -> Result<Repository, Vec<String>> {
        let at = format!("repository.{name}");
        let mut faults = self.foreign_keys(&at);
        let kind = self.rules(&at).map_err(|fault| faults.push(fault));
        let attributes = self.mapping(&at).map_err(|fault| faults.push(fault));
        let labels = self.services.iter().map(|text| ServiceLabel::parse(text));
        let services = labels.collect::<Result<Vec<_>, _>>();
        let services = services.map_err(|bad| faults.push(format!("`{at}.services`: {bad}")));
        let parsed = RepositoryName::parse(name).map_err(|bad| faults.push(format!("{at}: {bad}")));
        match (parsed, kind, services, attributes) {
            (Ok(name), Ok(kind), Ok(services), Ok(attributes)) if faults.is_empty() => {
                Ok(Repository { name, kind, services, attributes })
            }
            _ => Err(faults),
        }
    }

    fn rules(&self, at: &str) -> Result<RepositoryKind, String> {
        let seconds = |text: &Option<String>| {
            let ms = text.as_deref().and_then(milliseconds).unwrap_or(0);
            i64::try_from(ms / 1_000).unwrap_or(i64::MAX)
        };
        match self.kind.as_deref() {
            Some("token") => Ok(RepositoryKind::Token(TokenRules {
                max_tokens_per_user: self.max_tokens_per_user.unwrap_or(DEFAULT_TOKENS_PER_USER),
                count_expired: self.count_expired.unwrap_or(false),
                generate_secret: self.generate_secret.unwrap_or(true),
                activation_letter: self.activation_letter.unwrap_or(false),
            })),
            Some("credential") => {
                let words = self.promote_next_on.iter().flatten();
                let on: Vec<Promotion> = words.filter_map(|w| Promotion::from_name(w)).collect();
                if on.contains(&Promotion::Manual) && on.len() > 1 {
                    return Err(format!("`{at}.promote_next_on`: `manual` stands alone"));
                }
                let support_next = self.support_next.unwrap_or(false);
                if !on.is_empty() && !support_next {
                    return Err(format!("`{at}.promote_next_on` needs `support_next = true`"));
                }
                let by_hand = on.contains(&Promotion::Manual);
                Ok(RepositoryKind::Credential(CredentialRules {
                    support_next,
                    use_next_as_current_on_deletion: self
                        .use_next_as_current_on_deletion
                        .unwrap_or(!by_hand),
                    promote_next_on: on,
                    retire_grace_seconds: seconds(&self.retire_grace),
                    generate_secret: self.generate_secret.unwrap_or(true),
                }))
            }
            Some("custom") => self.custom(at).map(RepositoryKind::Custom),
            _ => Err(format!("`{at}.kind` is missing: token, credential or custom")),
        }
    }

    fn custom(&self, at: &str) -> Result<CustomRules, String> {
        let driver = self.driver.as_deref().and_then(Driver::from_name);
        let timeout = self.timeout.as_deref().and_then(milliseconds);
        let delegated = self.verify.as_deref() == Some("delegated");
        Ok(CustomRules {
            driver: driver.ok_or_else(|| format!("`{at}` needs `driver`"))?,
            url: self.url.clone().ok_or_else(|| format!("`{at}` needs `url`"))?,
            timeout_ms: timeout.unwrap_or(DEFAULT_TIMEOUT_MS),
            comparison: if delegated { Comparison::Delegated } else { Comparison::Local },
        })
    }

    /// Keys that another kind of repository has.
    fn foreign_keys(&self, at: &str) -> Vec<String> {
        let of_tokens = [
            ("max_tokens_per_user", self.max_tokens_per_user.is_some()),
            ("count_expired", self.count_expired.is_some()),
            ("activation_letter", self.activation_letter.is_some()),
        ];
        let of_credentials = [
            ("support_next", self.support_next.is_some()),
            ("use_next_as_current_on_deletion", self.use_next_as_current_on_deletion.is_some()),
            ("promote_next_on", self.promote_next_on.is_some()),
            ("retire_grace", self.retire_grace.is_some()),
        ];
        let of_custom = [
            ("realm", self.realm.is_some()),
            ("driver", self.driver.is_some()),
            ("url", self.url.is_some()),
            ("timeout", self.timeout.is_some()),
            ("verify", self.verify.is_some()),
            ("prefix", self.prefix.is_some()),
            ("selector", self.selector.is_some()),
            ("selector_length", self.selector_length.is_some()),
            ("token_kind", self.token_kind.is_some()),
            ("usage", self.usage.is_some()),
            ("in_flight_max", self.in_flight_max.is_some()),
            ("cache_seconds", self.cache_seconds.is_some()),
            ("secret", self.secret.is_some()),
            ("auth", self.auth.is_some()),
            ("hash_key", self.hash_key.is_some()),
            ("ca_file", self.ca_file.is_some()),
            ("client_identity", self.client_identity.is_some()),
            ("bind_dn", self.bind_dn.is_some()),
            ("base_dn", self.base_dn.is_some()),
            ("filter", self.filter.is_some()),
            ("attribute", self.attribute.is_some()),
            ("form", self.form.is_some()),
            ("start_tls", self.start_tls.is_some()),
            ("statements", !self.statements.is_empty()),
        ];
        let own = self.kind.as_deref();
        let mut faults = Vec::new();
        let groups: [(&str, &[(&str, bool)]); 3] =
            [("token", &of_tokens), ("credential", &of_credentials), ("custom", &of_custom)];
        for (kind, keys) in groups {
            for (key, _) in keys.iter().filter(|(_, set)| *set && own != Some(kind)) {
                faults.push(format!("`{at}.{key}` is for repositories of the kind {kind}"));
            }
        }
        faults
    }

    fn mapping(&self, at: &str) -> Result<Mapping, String> {
        let is_custom = self.kind.as_deref() == Some("custom");
        let mut all = Vec::with_capacity(self.attributes.len());
        for (name, section) in &self.attributes {
            let here = format!("{at}.attributes.{name}");
            let attribute = Attribute::from_name(name);
            let attribute = attribute.ok_or_else(|| format!("`{here}`: there is no such one"))?;
            let ours = [Attribute::Data, Attribute::Encoding, Attribute::DeliveryDate];
            if is_custom && ours.contains(&attribute) {
                return Err(format!("`{here}`: the protocol has no such attribute"));
            }
            all.push(section.mapped(&here, attribute)?);
        }
        Mapping::new(all).map_err(|fault| format!("`{at}.attributes`: {fault}"))
    }
}

impl AttributeSection {
    fn mapped(&self, at: &str, attribute: Attribute) -> Result<Mapped, String> {
        let plain = Mapped::plain(attribute);
        let named = self.r#type.as_deref().and_then(ValueType::from_name);
        let value_type = named.unwrap_or(plain.value_type);
        let is_element = matches!(attribute, Attribute::Element(_));
        if value_type != plain.value_type && !is_element {
            return Err(format!("`{at}.type`: only a generic data element has a type of its own"));
        }
        if self.write_only && attribute != Attribute::Data {
            return Err(format!("`{at}.write_only`: only data is ever secret"));
        }
        if self.required && attribute.is_read_only() {
            return Err(format!("`{at}.required`: nobody writes it"));
        }
        if self.max_ahead.is_some() && value_type != ValueType::Instant {
            return Err(format!("`{at}.max_ahead` is for dates"));
        }
        if self.filterable && matches!(attribute, Attribute::Data | Attribute::Encoding) {
            return Err(format!("`{at}.filterable`: data is not searched"));
        }
        let name = self.name.clone().unwrap_or_else(|| attribute.name());
        let plain_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        if !(1..=64).contains(&name.len()) || !name.chars().all(plain_name) {
            return Err(format!("`{at}.name`: 1 to 64 letters, digits, '_' and '-'"));
        }
        let ahead = self.max_ahead.as_deref().and_then(milliseconds);
        Ok(Mapped {
            name,
            value_type,
            max_len: self.max_len.unwrap_or(plain.max_len),
            filterable: self.filterable,
            write_only: self.write_only,
            required: self.required,
            max_ahead_seconds: ahead.map(|ms| i64::try_from(ms / 1_000).unwrap_or(i64::MAX)),
            ..plain
        })
    }
}

/// Everything that is wrong with the sections.
pub(super) fn contradictions(sections: &BTreeMap<String, RepositorySection>) -> Vec<String> {
    let wrong = sections.iter().filter_map(|(name, section)| section.repository(name).err());
    wrong.flatten().collect()
}

/// The repositories that the sections describe.
pub fn repositories(sections: &BTreeMap<String, RepositorySection>) -> Repositories {
    Repositories::new(sections.iter().filter_map(|(name, section)| section.repository(name).ok()))
}

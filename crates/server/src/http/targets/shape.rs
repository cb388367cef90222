//! Targets and deliveries as the wire has them.

use std::collections::BTreeMap;

use counterfoil_authority::authority::{Reconciled, TargetDraft, TargetEdit};
use counterfoil_authority::names::TargetName;
use counterfoil_authority::provision::{
    Delivery, Finding, Severity, Target, TargetConfig, TargetKind, TargetMode,
};
use counterfoil_authority::secret::ClearSecret;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};

use crate::http::policy::fitting;
use crate::http::problem::Problem;
use crate::http::query::{PageLimit, wrap_cursor};
use crate::http::wire::{
    Change, DeliveryStateWord, LineWord, Parsed, SchemeWords, SecretWord, ServiceList,
    TargetKindWord, TargetModeWord, TargetWord, time,
};

/// A target to set up, or what to change of one; `null` clears.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "says which fields there are; they are taken from the object itself")]
pub struct TargetSettings {
    /// Its name, unique in the realm; only when it is set up.
    name: Option<TargetWord>,
    /// What it is; only when it is set up.
    kind: Option<TargetKindWord>,
    /// When it is brought up to date; `automatic` unless given.
    mode: Option<TargetModeWord>,
    /// Its place among the targets: lower ones first, and last where something is taken away.
    order: Option<i64>,
    /// The password of `bind_dn`. Never shown.
    bind_password: Option<SecretWord>,
    /// The key that signs a webhook's messages. Never shown.
    signing_key: Option<SecretWord>,
    /// `ldap://` or `ldaps://`; of a webhook `https://`.
    #[schema(max_length = 2048)]
    url: Option<String>,
    /// Whether `ldap://` becomes TLS first; unless given, wherever it leaves this machine.
    start_tls: Option<bool>,
    /// A file with the certificates to trust instead of the system's.
    ca_file: Option<LineWord>,
    /// As whom to bind.
    bind_dn: Option<LineWord>,
    /// Where people are found.
    base_dn: Option<LineWord>,
    /// How a person is found; `(uid={username})` unless given.
    person_filter: Option<LineWord>,
    /// `voPersonApplicationPassword` or `userPassword`; a profile attribute's name.
    attribute: Option<LineWord>,
    /// Schemes of the hashes.
    schemes: Option<SchemeWords>,
    /// The services it is for; all of the realm unless given.
    services: Option<ServiceList>,
    /// Services it was for: kept by the server.
    #[schema(read_only)]
    former_services: Option<ServiceList>,
    /// An entry's distinguished name, a template.
    dn: Option<LineWord>,
    /// An entry's object classes.
    object_classes: Option<Vec<String>>,
    /// An entry's attributes as templates: a text or a list of texts each.
    #[schema(value_type = Option<Object>)]
    attributes: Option<BTreeMap<String, counterfoil_authority::provision::Texts>>,
    /// `entry` or `attributes`.
    #[schema(value_type = Option<String>)]
    on_delete: Option<counterfoil_authority::provision::OnDelete>,
    /// Kinds of events that a webhook or a person is told of; all that record a change, and of a
    /// person's those of their tokens' life, unless given.
    events: Option<Vec<String>>,
    /// The realm's own words for letters: `event`, `service?`, `language?`, `subject`, `text`,
    /// `html?`.
    #[schema(value_type = Option<Vec<Object>>)]
    templates: Option<Vec<counterfoil_authority::provision::letter::LetterTemplate>>,
    /// Failed attempts after which a delivery is dead; 20 unless given.
    attempts_max: Option<u32>,
    /// Milliseconds within which the target has to answer; 10000 unless given.
    timeout_ms: Option<u32>,
}

/// An object that holds fields of [`TargetSettings`] and no others.
#[derive(Debug)]
pub struct TargetObject(Map<String, Value>);

impl<'de> Deserialize<'de> for TargetObject {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let object = fitting::<TargetSettings, D>(deserializer)?;
        if object.contains_key("former_services") {
            return Err(D::Error::custom("former_services is kept by the server"));
        }
        Ok(Self(object))
    }
}

impl TargetObject {
    fn take(&mut self, field: &str) -> Option<Value> {
        self.0.remove(field)
    }

    fn take_text(&mut self, field: &str) -> Option<String> {
        self.take(field).and_then(|value| value.as_str().map(ToOwned::to_owned))
    }

    /// The secret, `Some(None)` where it is cleared.
    fn take_secret(&mut self) -> Change<ClearSecret> {
        let given = [self.take("bind_password"), self.take("signing_key")];
        let secret = given.into_iter().flatten().next()?;
        Some(secret.as_str().map(|text| ClearSecret::new(text.to_owned())))
    }

    /// A target to set up.
    pub(super) fn draft(mut self) -> Result<TargetDraft, Problem> {
        self.0.retain(|_, value| !value.is_null());
        let name = self.take_text("name").ok_or_else(|| Problem::invalid("name", "is missing"))?;
        let kind = self.take_text("kind").and_then(|name| TargetKind::from_name(&name));
        let mode = self.take_text("mode").and_then(|name| TargetMode::from_name(&name));
        let draft = TargetDraft {
            name: TargetName::parse(&name)
                .map_err(|bad| Problem::invalid("name", bad.to_string()))?,
            kind: kind.ok_or_else(|| Problem::invalid("kind", "is missing"))?,
            mode: mode.unwrap_or(TargetMode::Automatic),
            order: self.take("order").and_then(|value| value.as_i64()),
            secret: self.take_secret().flatten(),
            config: TargetConfig::default(),
        };
        let config = serde_json::from_value(Value::Object(self.0));
        let config = config.map_err(|bad| Problem::invalid("body", bad.to_string()))?;
        Ok(TargetDraft { config, ..draft })
    }

    /// What to change of one.
    pub(super) fn edit(mut self) -> Result<TargetEdit, Problem> {
        for fixed in ["name", "kind"] {
            if self.0.contains_key(fixed) {
                return Err(Problem::invalid(fixed, "stays as it is"));
            }
        }
        Ok(TargetEdit {
            mode: self.take_text("mode").and_then(|name| TargetMode::from_name(&name)),
            order: self.take("order").and_then(|value| value.as_i64()),
            secret: self.take_secret(),
            config: self.0,
        })
    }
}

/// A target.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Target)]
pub struct TargetBody {
    /// Its name, unique in the realm.
    name: String,
    /// `ldap`, `entry`, `profile_attribute`, `webhook` or `mail`.
    kind: &'static str,
    /// When it is brought up to date.
    mode: &'static str,
    /// Its place among the targets.
    order: i64,
    /// Whether it has a password or a key.
    secret_present: bool,
    /// Its settings, as they were given.
    #[serde(flatten)]
    #[schema(value_type = Object)]
    settings: Map<String, Value>,
    /// When it was set up.
    created_at: String,
    /// When it last changed.
    updated_at: String,
}

impl From<Target> for TargetBody {
    fn from(target: Target) -> Self {
        let settings = match serde_json::to_value(&target.config) {
            Ok(Value::Object(settings)) => settings,
            _ => Map::new(),
        };
        Self {
            name: target.name.to_string(),
            kind: target.kind.name(),
            mode: target.mode.name(),
            order: target.order,
            secret_present: target.secret.is_some(),
            settings,
            created_at: time(target.created_at),
            updated_at: time(target.updated_at),
        }
    }
}

/// One thing that a test of a target found.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TargetFinding)]
pub struct FindingBody {
    /// What was looked at.
    check: &'static str,
    /// `fine`, `warning` or `failure`.
    severity: &'static str,
    /// What was found.
    detail: String,
    /// What to do about it, as lines for the target's configuration.
    remedy: Option<String>,
}

impl From<Finding> for FindingBody {
    fn from(finding: Finding) -> Self {
        Self {
            check: finding.check,
            severity: finding.severity.name(),
            detail: finding.what,
            remedy: finding.remedy,
        }
    }
}

/// What a test of a target found.
#[derive(Debug, Serialize, ToSchema)]
pub struct TargetTested {
    /// Whether it can be used as it is set up.
    usable: bool,
    /// What was found.
    findings: Vec<FindingBody>,
}

impl From<Vec<Finding>> for TargetTested {
    fn from(findings: Vec<Finding>) -> Self {
        let usable = findings.iter().all(|finding| finding.severity != Severity::Failure);
        Self { usable, findings: findings.into_iter().map(FindingBody::from).collect() }
    }
}

/// A part of a reconciliation to ask for.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ReconcileRequest {
    /// Whether what differs is brought there.
    pub(super) repair: bool,
    /// People looked at by this part, 1 to 1000; 50 unless given.
    #[schema(minimum = 1, maximum = 1000)]
    pub(super) limit: Option<u32>,
    /// `next_cursor` of the part before.
    pub(super) cursor: Option<String>,
}

/// Somebody for whom a target is not as it should be.
#[derive(Debug, Serialize, ToSchema)]
pub struct DifferenceBody {
    /// Who, as `user:alice`.
    object: String,
    /// Where they stand there.
    place: Option<String>,
    /// What would have to be changed.
    changes: Vec<String>,
}

/// A token that lacks a hash of a scheme.
#[derive(Debug, Serialize, ToSchema)]
pub struct LackingBody {
    /// The token.
    token: String,
    /// The scheme.
    scheme: &'static str,
}

/// A part of a reconciliation.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Reconciliation)]
pub struct ReconciledBody {
    /// People looked at.
    checked: u64,
    /// Where the target differs.
    differences: Vec<DifferenceBody>,
    /// Tokens that must be issued anew, because a scheme was added after they were.
    lacking: Vec<LackingBody>,
    /// Differences that are being repaired.
    repairing: u64,
    /// Where the next part begins; `null` when all were looked at.
    next_cursor: Option<String>,
}

impl From<Reconciled> for ReconciledBody {
    fn from(part: Reconciled) -> Self {
        let differences = part.differences.into_iter().map(|one| DifferenceBody {
            object: one.object,
            place: one.place,
            changes: one.changes,
        });
        let lacking = part.lacking.into_iter();
        Self {
            checked: part.checked,
            differences: differences.collect(),
            lacking: lacking.map(|(token, scheme)| LackingBody { token, scheme }).collect(),
            repairing: part.repairing,
            next_cursor: part.next.as_deref().map(wrap_cursor),
        }
    }
}

/// One object's way to one target.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Delivery)]
pub struct DeliveryBody {
    /// The target.
    target: String,
    /// What is brought there, `user:alice`.
    object: String,
    /// The event that is told of, for a target that is told of events.
    event: Option<String>,
    /// `waiting`, `retrying`, `done`, `dead` or `held`.
    state: &'static str,
    /// Attempts that failed.
    attempts: u32,
    /// When it is tried next, or looked at again.
    next_at: Option<String>,
    /// Since when it is wanted.
    since: String,
    /// What the target said the last time.
    error: Option<String>,
    /// Where the object stands there.
    place: Option<String>,
    /// When the target was last found as it should be.
    done_at: Option<String>,
}

impl From<Delivery> for DeliveryBody {
    fn from(delivery: Delivery) -> Self {
        let message = delivery.key.message;
        Self {
            target: delivery.key.target.to_string(),
            object: delivery.key.object.name(),
            event: (!message.is_empty()).then_some(message),
            state: delivery.state.name(),
            attempts: delivery.attempts,
            next_at: delivery.due_at.map(time),
            since: time(delivery.since),
            error: delivery.error,
            place: delivery.place,
            done_at: delivery.done_at.map(time),
        }
    }
}

/// Which deliveries.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct DeliveryQuery {
    /// Records on the page, 1 to 1000; 50 unless given.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1000)]
    pub(super) limit: Option<Parsed<PageLimit>>,
    /// `next_cursor` of the page before.
    pub(super) cursor: Option<String>,
    /// To this target.
    #[param(value_type = Option<String>)]
    pub(super) target: Option<TargetWord>,
    /// In this state.
    #[param(value_type = Option<String>)]
    pub(super) state: Option<DeliveryStateWord>,
}

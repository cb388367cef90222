//! The contract's `Token`: every field always there, `null` when there is nothing to say.

use std::collections::BTreeMap;

use counterfoil_authority::brownout::Window;
use counterfoil_authority::clock::Timestamp;
use counterfoil_authority::enrolment::Device;
use counterfoil_authority::kind::Kind;
use counterfoil_authority::names::ServiceLabel;
use counterfoil_authority::otp::Method;
use counterfoil_authority::scope::Scope;
use counterfoil_authority::service::Services;
use counterfoil_authority::token::{SecretFacts, Token};
use counterfoil_authority::verdict::Door;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::http::verify::BrownOutBody;
use crate::http::wire::time;

/// A token. Never holds a secret.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Token)]
pub struct TokenBody {
    /// Public name, 12 letters and digits; it also stands in the token string.
    id: String,
    /// What sort of token it is.
    kind: &'static str,
    /// What its owner calls it.
    name: Option<String>,
    /// What it is for.
    description: Option<String>,
    /// The person it belongs to.
    user: Option<String>,
    /// The client it belongs to.
    client: Option<String>,
    /// The one service of a service token.
    service: Option<String>,
    /// What it is good for; `*` is every service but `counterfoil`.
    services: Vec<String>,
    /// What it may ask for there.
    scopes: Vec<String>,
    /// Resource patterns with their actions.
    #[schema(value_type = Option<Object>)]
    permissions: Option<Value>,
    /// Networks it may be used from; empty: any.
    networks: Vec<String>,
    /// Doors it may be presented at; `null`: any.
    doors: Option<Vec<&'static str>>,
    /// `active`, or the first reason why not.
    state: &'static str,
    /// Switched on.
    enabled: bool,
    /// Locked by an administrator.
    locked: bool,
    /// Serial id.
    serial: Option<String>,
    /// Tracking id.
    tracking_id: Option<String>,
    /// Whether token data is stored.
    data_present: bool,
    /// How the data is to be read.
    data_encoding: Option<String>,
    /// Free elements `1` to `12`.
    generic_data: BTreeMap<u8, String>,
    /// When it was delivered.
    delivery_date: Option<String>,
    /// Free text for filters.
    labels: BTreeMap<String, String>,
    /// The first instant that counts.
    not_before: String,
    /// The first instant that no longer counts; `null`: never.
    expires_at: Option<String>,
    /// The time in which it is refused before its end, or the next one, where a policy has such
    /// times. Said of a single token only; absent: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    brown_out: Option<BrownOutBody>,
    /// When it was issued.
    created_at: String,
    /// Who issued it.
    created_by: String,
    /// When it was activated.
    activated_at: Option<String>,
    /// First accepted use.
    first_used_at: Option<String>,
    /// Latest accepted use.
    last_used_at: Option<String>,
    /// The client's address then.
    last_used_ip: Option<String>,
    /// Accepted uses.
    usage_total: u64,
    /// Refusals of the right secret.
    denied_total: u64,
    /// Uses allowed in all; `null`: unlimited.
    max_usages: Option<u64>,
    /// Auth tokens that may be drawn; `null`: unlimited.
    count: Option<u64>,
    /// Counted uses or draws.
    used: u64,
    /// Draws held for requests that wait for approval.
    reserved: u64,
    /// Draws given back.
    returned: u64,
    /// Uses or draws left; `null`: unlimited.
    remaining: Option<u64>,
    /// The identifier on the wire.
    identifier: Option<String>,
    /// First reference id.
    ref_id_1: Option<String>,
    /// Second reference id.
    ref_id_2: Option<String>,
    /// The repository that it is in.
    repository: Option<String>,
    /// How an authentication token proves itself: `totp`, `hotp`, `backup`, `yubikey`, `email`.
    otp_method: Option<&'static str>,
    /// The unit it belongs to.
    unit: Option<String>,
    /// Conditions on who may draw.
    #[schema(value_type = Option<Object>)]
    constraints: Option<Value>,
    /// How drawing is approved; `null`: at once.
    approval: Option<String>,
    /// What every drawn token receives beside the services and scopes.
    #[schema(value_type = Option<Object>)]
    stamp: Option<Value>,
    /// Who drew an auth token, and how it stands as a grant.
    device: Option<DeviceBody>,
    /// The token it was derived from.
    parent: Option<String>,
    /// The registration token it was drawn from.
    registration_token: Option<String>,
    /// When it was revoked.
    revoked_at: Option<String>,
    /// By whom.
    revoked_by: Option<String>,
    /// Why.
    revoked_reason: Option<String>,
    /// What may be known of its secrets.
    secrets: Vec<SecretBody>,
}

/// Who drew an auth token, in its own words, and how it stands as a grant.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Device)]
pub struct DeviceBody {
    /// Who or what it speaks for.
    subject: String,
    /// Its full name in the network.
    hostname: Option<String>,
    /// The account that the program runs as.
    system_user: Option<String>,
    /// Its hardware address.
    mac_address: Option<String>,
    /// The address that it came from.
    source: Option<String>,
    /// The key that it must prove at every use.
    key_thumbprint: Option<String>,
    /// The form of its access tokens.
    access_token: &'static str,
    /// Whether it vanishes when it has been idle.
    ephemeral: bool,
    /// Seconds that it may go without a refresh; `null`: as long as it lives.
    idle_seconds: Option<i64>,
    /// When it ends unless it is refreshed.
    idle_ends_at: Option<String>,
    /// When it was last refreshed.
    refreshed_at: Option<String>,
    /// The code under which it waited for approval, or waits.
    user_code: Option<String>,
    /// Until when it waits for approval; `null`: that is decided.
    request_ends_at: Option<String>,
}

impl From<&Device> for DeviceBody {
    fn from(device: &Device) -> Self {
        let facts = device.facts.clone();
        Self {
            subject: facts.subject,
            hostname: facts.hostname,
            system_user: facts.system_user,
            mac_address: facts.mac_address,
            source: device.source.map(|source| source.to_string()),
            key_thumbprint: device.confirmation.as_ref().map(|key| key.thumbprint().to_owned()),
            access_token: device.access.name(),
            ephemeral: device.ephemeral,
            idle_seconds: device.idle_seconds,
            idle_ends_at: device.idle_ends_at.map(time),
            refreshed_at: device.refreshed_at.map(time),
            user_code: device.user_code.clone(),
            request_ends_at: device.request_ends_at.map(time),
        }
    }
}

/// What may be known of a secret.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SecretFacts)]
pub struct SecretBody {
    /// `current`, `next` or `previous`.
    slot: &'static str,
    /// When it was made.
    created_at: String,
    /// From when on it counts, beside the token's own validity.
    not_before: Option<String>,
    /// Until when it counts, beside the token's own validity.
    expires_at: Option<String>,
}

impl From<&SecretFacts> for SecretBody {
    fn from(facts: &SecretFacts) -> Self {
        Self {
            slot: facts.slot.name(),
            created_at: time(facts.created_at),
            not_before: facts.not_before.map(time),
            expires_at: facts.expires_at.map(time),
        }
    }
}

/// Stored JSON text as JSON; text that is none would be a defect of the store and shows nothing.
fn stored_json(text: Option<&String>) -> Option<Value> {
    text.and_then(|text| serde_json::from_str(text).ok())
}

impl TokenBody {
    /// A token as it stands at `now`.
    pub fn of(token: &Token, now: Timestamp) -> Self {
        let only = match (&token.services, token.kind) {
            (Services::Named(labels), Kind::ServiceToken) => labels.first(),
            _ => None,
        };
        let (airlock, sentinel, usage) = (&token.airlock, &token.sentinel, &token.usage);
        let revocation = token.revocation.as_ref();
        let person = token.owner.user().is_some();
        let owner = || Some(token.owner.name().to_owned());
        Self {
            id: token.id.to_string(),
            kind: token.kind.name(),
            name: token.name.clone(),
            description: token.description.clone(),
            user: person.then(owner).flatten(),
            client: (!person).then(owner).flatten(),
            service: only.map(ServiceLabel::to_string),
            services: token.service_labels().into_iter().map(str::to_owned).collect(),
            scopes: token.scopes.iter().map(Scope::to_string).collect(),
            permissions: stored_json(token.permissions.as_ref()),
            networks: token.networks.iter().map(ToString::to_string).collect(),
            doors: token.doors.as_ref().map(|doors| doors.iter().map(|d| Door::name(*d)).collect()),
            state: token.state(now).name(),
            enabled: token.enabled,
            locked: token.locked,
            serial: airlock.serial.clone(),
            tracking_id: airlock.tracking_id.clone(),
            data_present: airlock.data_present,
            data_encoding: airlock.data_encoding.clone(),
            generic_data: airlock.generic_data.clone(),
            delivery_date: airlock.delivery_date.map(time),
            labels: token.labels.clone(),
            not_before: time(token.validity.not_before()),
            expires_at: token.validity.expires_at().map(time),
            brown_out: None,
            created_at: time(token.created_at),
            created_by: token.created_by.clone(),
            activated_at: token.activated_at.map(time),
            first_used_at: usage.first_at.map(time),
            last_used_at: usage.last_at.map(time),
            last_used_ip: usage.last_ip.map(|address| address.to_string()),
            usage_total: usage.total,
            denied_total: usage.denied_total,
            max_usages: token.max_usages,
            count: sentinel.count,
            used: token.used,
            reserved: sentinel.reserved,
            returned: sentinel.returned,
            remaining: token.remaining(),
            identifier: sentinel.identifier.clone(),
            ref_id_1: sentinel.ref_id_1.clone(),
            ref_id_2: sentinel.ref_id_2.clone(),
            repository: token.repository.as_ref().map(|member| member.name.to_string()),
            otp_method: token.otp.map(Method::name),
            unit: token.unit.clone(),
            constraints: stored_json(sentinel.constraints.as_ref()),
            approval: sentinel.approval.clone(),
            stamp: stored_json(sentinel.stamp.as_ref()),
            device: token.device.as_deref().map(DeviceBody::from),
            parent: token.parent.map(|id| id.to_string()),
            registration_token: sentinel.registration_token.map(|id| id.to_string()),
            revoked_at: revocation.map(|revocation| time(revocation.at)),
            revoked_by: revocation.map(|revocation| revocation.by.clone()),
            revoked_reason: revocation.and_then(|revocation| revocation.reason.clone()),
            secrets: token.secrets.iter().map(SecretBody::from).collect(),
        }
    }

    /// The same with its next short refusal.
    #[must_use]
    pub(super) fn with_brown_out(mut self, next: Option<Window>) -> Self {
        self.brown_out = next.map(BrownOutBody::from);
        self
    }
}

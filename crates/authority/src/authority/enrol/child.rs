//! The auth token that a draw is to become.

use std::collections::BTreeMap;

use super::{Attempt, Authority, EnrolRefusal};
use crate::authority::issue::Drafted as Secret;
use crate::clock::Timestamp;
use crate::enrolment::{APPROVAL_SECONDS, Approval, Device, Stamp, device_key};
use crate::kind::Kind;
use crate::refusal::Refusal;
use crate::scope::Scope;
use crate::secret::{TokenId, generate_user_code};
use crate::token::{AirlockAttributes, SentinelAttributes, Token, Usage};
use crate::validity::Validity;

/// An auth token and its first secret, drawn afresh.
pub(super) struct Drafted {
    pub(super) child: Token,
    pub(super) secret: Secret,
}

impl Authority {
    /// The auth token as its registration token stamps it.
    pub(super) fn draft_child(&self, attempt: &Attempt<'_>) -> Result<Drafted, EnrolRefusal> {
        let Attempt { request, now, registration, .. } = attempt;
        let stamp = Stamp::of(registration.sentinel.stamp.as_deref());
        let id = TokenId::generate(self.entropy()).map_err(Refusal::from)?;
        let secret = self.refresh_secret(id, *now)?;
        let ends = stamp.lifetime_seconds.map(|seconds| now.plus_seconds(seconds));
        let validity = Validity::new(*now, ends);
        let mut labels = request.labels.clone();
        labels.extend(stamp.labels.clone());
        let facts = request.facts.clone();
        let child = Token {
            id,
            realm: registration.realm.clone(),
            kind: Kind::AuthToken,
            name: registration.name.clone(),
            description: None,
            owner: registration.owner.clone(),
            services: registration.services.clone(),
            scopes: scopes_of(attempt)?,
            permissions: registration.permissions.clone(),
            networks: Vec::new(),
            doors: None,
            enabled: true,
            locked: false,
            pending: false,
            validity: validity.map_err(|e| Refusal::invalid("stamp.lifetime_seconds", e))?,
            revocation: None,
            created_at: *now,
            created_by: format!("registration-token:{}", registration.id),
            activated_at: Some(*now),
            usage: Usage::default(),
            max_usages: None,
            used: 0,
            labels: BTreeMap::from_iter(labels),
            airlock: AirlockAttributes::default(),
            sentinel: SentinelAttributes {
                identifier: facts.identifier.clone(),
                ref_id_1: facts.ref_id_1.clone(),
                ref_id_2: facts.ref_id_2.clone(),
                registration_token: Some(registration.id),
                ..SentinelAttributes::default()
            },
            unit: registration.unit.clone(),
            parent: None,
            changed_at: None,
            repository: None,
            otp: None,
            device: Some(Box::new(self.device_of(attempt, &stamp)?)),
            version: 1,
            secrets: Vec::new(),
        };
        Ok(Drafted { child, secret })
    }

    fn device_of(&self, attempt: &Attempt<'_>, stamp: &Stamp) -> Result<Device, EnrolRefusal> {
        let Attempt { request, now, registration, .. } = attempt;
        let waits = Approval::of(registration) != Approval::Automatic;
        let code = waits.then(|| generate_user_code(self.entropy())).transpose();
        Ok(Device {
            key: device_key(&request.facts, request.confirmation.as_ref()),
            facts: request.facts.clone(),
            source: request.context.source,
            confirmation: request.confirmation.clone(),
            access: stamp.access_token,
            client: request.client.clone(),
            ephemeral: stamp.ephemeral,
            idle_seconds: stamp.idle_seconds,
            idle_ends_at: stamp.idle_seconds.map(|idle| now.plus_seconds(idle)),
            refreshed_at: None,
            user_code: code.map_err(Refusal::from)?,
            request_ends_at: waits.then(|| now.plus_seconds(APPROVAL_SECONDS)),
        })
    }

    /// A refresh secret of an auth token.
    pub(in crate::authority) fn refresh_secret(
        &self,
        id: TokenId,
        now: Timestamp,
    ) -> Result<Secret, Refusal> {
        self.generated(Kind::AuthToken, id, now)
    }
}

/// What is handed on, or the part of it that was asked for.
fn scopes_of(attempt: &Attempt<'_>) -> Result<Vec<Scope>, EnrolRefusal> {
    let handed_on = &attempt.registration.scopes;
    let Some(wanted) = &attempt.request.scopes else { return Ok(handed_on.clone()) };
    match wanted.iter().find(|scope| !handed_on.contains(scope)) {
        Some(scope) => Err(EnrolRefusal::Scope(scope.clone())),
        None => Ok(wanted.clone()),
    }
}

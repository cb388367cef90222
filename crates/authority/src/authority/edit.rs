//! Editing a token: anybody who reaches it may narrow it; widening is held to what issuing is.
//!
//! Length: what an edit may do is one decision, and half of it elsewhere would be a way round.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::issue::{
    Asking, check_issuer, check_offer, limits_of, no_such_service, payload_row, unit_within,
};
use super::realms::missing;
use super::registration::{
    checked_approval, checked_constraints, checked_stamp, count_within, unit_given, widens,
};
use super::{Authority, Expiry};
use crate::cache::ServiceCell;
use crate::caller::{Caller, Reach};
use crate::clock::Timestamp;
use crate::kind::Kind;
use crate::names::{COUNTERFOIL, RealmName, ServiceLabel};
use crate::policy::EffectivePolicy;
use crate::refusal::{Refusal, Thing};
use crate::scope::{ApiScope, ApiScopes, Scope, any_covers};
use crate::secret::{ClearSecret, TokenId};
use crate::secret_hash::SecretHash;
use crate::service::Services;
use crate::store::{ActiveLimit, TokenUpdate, TokenUpdated};
use crate::token::{StoredSecret, Token};
use crate::validity::Validity;
use crate::verdict::Door;

/// Attempts at an unconditional edit that races with others.
const EDIT_ATTEMPTS: usize = 8;

/// What to change of a token. `None` leaves a field as it is; an inner `None` clears it.
#[derive(Debug, Clone, Default)]
pub struct TokenEdit {
    /// What to call it.
    pub name: Option<Option<String>>,
    /// What it is for.
    pub description: Option<Option<String>>,
    /// Free text for filters.
    pub labels: Option<BTreeMap<String, String>>,
    /// When it ends.
    pub expires: Option<Expiry>,
    /// What it is good for.
    pub services: Option<Services>,
    /// What it may ask for there.
    pub scopes: Option<Vec<Scope>>,
    /// Finer permissions.
    pub permissions: Option<Option<serde_json::Value>>,
    /// Networks it may be used from.
    pub networks: Option<Vec<ipnet::IpNet>>,
    /// Doors it may be presented at.
    pub doors: Option<Option<Vec<Door>>>,
    /// The unit it belongs to.
    pub unit: Option<Option<String>>,
    /// Serial id.
    pub serial: Option<Option<String>>,
    /// Tracking id.
    pub tracking_id: Option<Option<String>>,
    /// Free elements 1 to 12.
    pub generic_data: Option<BTreeMap<u8, String>>,
    /// Sentinel's identifier.
    pub identifier: Option<Option<String>>,
    /// First reference id.
    pub ref_id_1: Option<Option<String>>,
    /// Second reference id.
    pub ref_id_2: Option<Option<String>>,
    /// Uses allowed in all.
    pub max_usages: Option<Option<u64>>,
    /// Auth tokens that may be drawn; never fewer than are taken.
    pub count: Option<Option<u64>>,
    /// Conditions on who may draw, as JSON text.
    pub constraints: Option<Option<String>>,
    /// What every child receives, as JSON text.
    pub stamp: Option<Option<String>>,
    /// How drawing is approved.
    pub approval: Option<Option<String>>,
    /// When it begins.
    pub not_before: Option<Timestamp>,
    /// When it was delivered.
    pub delivery_date: Option<Option<Timestamp>>,
    /// How the payload of a repository's token is to be read.
    pub data_encoding: Option<Option<String>>,
    /// The payload of a repository's token that is shown again.
    pub data: Option<ClearSecret>,
}

impl Authority {
    /// Edits a token. Without `if_match` the edit is repeated on whatever stands there.
    pub async fn edit_token(
        &self,
        caller: &Caller,
        realm: &RealmName,
        id: TokenId,
        edit: TokenEdit,
        if_match: Option<i64>,
    ) -> Result<Token, Refusal> {
        for _ in 0..EDIT_ATTEMPTS {
            let update = self.planned_edit(caller, realm, id, &edit, if_match).await?;
            match settled(self.store.token_update(update).await?) {
                Err(Refusal::VersionMismatch) if if_match.is_none() => {}
                said => return said,
            }
        }
        Err(Refusal::VersionMismatch)
    }

    /// What is to be stored when a token is edited as it stands now.
    pub(super) async fn planned_edit(
        &self,
        caller: &Caller,
        realm: &RealmName,
        id: TokenId,
        edit: &TokenEdit,
        if_match: Option<i64>,
    ) -> Result<TokenUpdate, Refusal> {
        let (reach, _) = Self::reach_to_write(caller, realm)?;
        let now = self.now();
        let token = self.reachable(caller, realm, id).await?;
        if if_match.is_some_and(|version| version != token.version) {
            return Err(Refusal::VersionMismatch);
        }
        if token.revocation.is_some() {
            return Err(Refusal::Ended(crate::token::State::Revoked));
        }
        let mut after = self.edited(&token, edit, now)?;
        self.require_within_parent(&token, &after).await?;
        self.edit_registration(&mut after, edit, &reach).await?;
        if let Some(Some(unit)) = &edit.unit {
            self.check_unit(realm, Some(unit)).await?;
            unit_within(&reach, caller, Some(unit))?;
        }
        if after.unit != token.unit && !unit_given(&reach, &token, after.unit.as_ref()) {
            return Err(Refusal::BeyondGrant("the unit lies beyond the caller's grant"));
        }
        self.check_added(caller, &reach, &token, &after).await?;
        let narrower = if narrows(&token, &after) {
            self.limits_of_narrower(&token, &after).await?
        } else {
            None
        };
        let limits = match narrower {
            Some(limits) => limits,
            None => self.check_widening(caller, &reach, &token, &after, now).await?,
        };
        let mut limits = limits;
        limits.extend(self.limit_in_repository(&after));
        let event = self
            .event("token.updated", realm, &caller.origin, now)?
            .with_token(id)
            .with_subject(token.owner.actor());
        let data = self.payload_of(&after, edit)?;
        Ok(TokenUpdate { token: after, limits, data, as_used: None, event })
    }

    /// The payload that takes the place of the one before, sealed.
    fn payload_of(&self, token: &Token, edit: &TokenEdit) -> Result<Option<Vec<u8>>, Refusal> {
        let Some(clear) = &edit.data else { return Ok(None) };
        if token.repository.is_none() {
            return Err(Refusal::invalid("data", "belongs to tokens of repositories"));
        }
        let row = payload_row(token);
        Ok(Some(self.keys().seal(&row, clear.reveal().as_bytes(), self.entropy())?))
    }

    /// The token as it would stand after the edit.
    fn edited(&self, token: &Token, edit: &TokenEdit, now: Timestamp) -> Result<Token, Refusal> {
        let mut after = token.clone();
        if let Some(services) = &edit.services {
            after.services = services.clone();
        }
        let one_service = matches!(&after.services, Services::Named(labels) if labels.len() == 1);
        if token.kind == Kind::ServiceToken && !one_service {
            return Err(Refusal::invalid("services", "a service token names exactly one service"));
        }
        if let Some(scopes) = &edit.scopes {
            after.scopes.clone_from(scopes);
        }
        if let Some(doors) = &edit.doors {
            after.doors.clone_from(doors);
        }
        if let Some(networks) = &edit.networks {
            after.networks.clone_from(networks);
        }
        if let Some(permissions) = &edit.permissions {
            let checked = permissions.as_ref().map(crate::permission::check).transpose();
            after.permissions = checked.map_err(|e| Refusal::invalid("permissions", e))?;
        }
        if let Some(max) = edit.max_usages {
            if max == Some(0) {
                let why = "must be at least 1; null is unlimited";
                return Err(Refusal::invalid("max_usages", why));
            }
            after.max_usages = max;
        }
        let ends = match edit.expires {
            None | Some(Expiry::Default) => token.validity.expires_at(),
            Some(Expiry::Never | Expiry::Open) => None,
            Some(Expiry::At(end)) => Some(end),
            Some(Expiry::After(seconds)) => Some(now.plus_seconds(seconds)),
        };
        let begins = edit.not_before.unwrap_or_else(|| token.validity.not_before());
        let validity = Validity::new(begins, ends);
        after.validity = validity.map_err(|e| Refusal::invalid("expires_at", e))?;
        apply_texts(&mut after, edit);
        self.refuse_pasted_tokens(&after)?;
        Ok(after)
    }

    /// What an edit says of a registration token alone.
    async fn edit_registration(
        &self,
        after: &mut Token,
        edit: &TokenEdit,
        reach: &Reach,
    ) -> Result<(), Refusal> {
        let TokenEdit { count, constraints, stamp, approval, .. } = edit;
        for (field, given) in [
            ("count", count.is_some()),
            ("constraints", constraints.is_some()),
            ("stamp", stamp.is_some()),
            ("approval", approval.is_some()),
        ] {
            if given && after.kind != Kind::RegistrationToken {
                return Err(Refusal::invalid(field, "belongs to registration tokens"));
            }
        }
        if let Some(count) = *count {
            if count == Some(0) {
                return Err(Refusal::invalid("count", "must be at least 1; null is unlimited"));
            }
            after.sentinel.count = count;
        }
        if let Some(constraints) = constraints {
            after.sentinel.constraints = checked_constraints(constraints.clone())?;
        }
        if let Some(approval) = approval {
            after.sentinel.approval = checked_approval(approval.clone())?;
        }
        if let Some(stamp) = stamp {
            let cells = self.cells_of(after).await?;
            let realm = self.realm_facts(&after.realm).await?;
            let mut policies: Vec<&EffectivePolicy> =
                cells.iter().map(|cell| &cell.policy).collect();
            if policies.is_empty() {
                policies.push(&realm.policy);
            }
            after.sentinel.stamp = Some(checked_stamp(stamp.as_deref(), &policies, &reach.limits)?);
        }
        Ok(())
    }

    /// The limits that a token keeps that can do nothing new: none, unless it names services
    /// instead of all, and so begins to count at each. `None` where one of these never agreed to
    /// tokens for everything: to be good there is new.
    async fn limits_of_narrower(
        &self,
        before: &Token,
        after: &Token,
    ) -> Result<Option<Vec<ActiveLimit>>, Refusal> {
        if before.services != Services::All || after.services == Services::All {
            return Ok(Some(Vec::new()));
        }
        let cells = self.cells_of(after).await?;
        let agrees =
            |policy: &EffectivePolicy| policy.enabled && policy.agrees_to_everything(&after.scopes);
        if !cells.iter().all(|cell| agrees(&cell.policy)) {
            return Ok(None);
        }
        let realm = self.realm_facts(&after.realm).await?;
        Ok(Some(limits_of(after.kind, &cells, &realm.policy, false)))
    }

    /// A wider token must be one that the caller could have issued. Says which limits it has to
    /// keep: whether there is room, only the store can tell.
    async fn check_widening(
        &self,
        caller: &Caller,
        reach: &Reach,
        before: &Token,
        after: &Token,
        now: Timestamp,
    ) -> Result<Vec<ActiveLimit>, Refusal> {
        let own = caller.is(&after.owner, &after.realm);
        let owner_unit = self.unit_of_owner(&after.realm, &after.owner).await?;
        let by_unit = owner_unit.is_some_and(|unit| reach.units.contains(&unit));
        let registers = matches!(after.kind, Kind::RegistrationToken | Kind::AuthToken)
            && before.unit.as_ref().is_some_and(|unit| reach.units.contains(unit));
        let administrates =
            reach.whole || by_unit || registers || reach.covers_services(&after.services);
        let issued = own && *before.created_by == *caller.origin.actor;
        if !administrates && !issued {
            let why = "what somebody else issued may only be narrowed";
            return Err(Refusal::BeyondGrant(why));
        }
        let counted = after.kind == Kind::RegistrationToken;
        if counted && !count_within(&reach.limits, after.sentinel.count) {
            return Err(Refusal::BeyondGrant("this exceeds the limits of the caller's grant"));
        }
        self.require_api_rank(caller, after).await?;
        let cells = self.cells_of(after).await?;
        let realm = self.realm_facts(&after.realm).await?;
        let mut policies: Vec<&EffectivePolicy> = cells.iter().map(|cell| &cell.policy).collect();
        if policies.is_empty() {
            policies.push(&realm.policy);
        }
        check_issuer(&policies, caller, own)?;
        check_offer(&policies, &after.scopes, after.doors.as_ref())?;
        self.check_new_services(&cells, before).await?;
        self.check_approval(caller, before, &cells, &realm.policy).await?;
        check_end(caller, reach, &policies, before, after, now)?;
        Ok(limits_of(after.kind, &cells, &realm.policy, false))
    }

    /// The services that an edit names anew are ones that the token could be issued for.
    async fn check_added(
        &self,
        caller: &Caller,
        reach: &Reach,
        before: &Token,
        after: &Token,
    ) -> Result<(), Refusal> {
        let Services::Named(labels) = &after.services else { return Ok(()) };
        let known: &[ServiceLabel] = match &before.services {
            Services::Named(labels) => labels,
            Services::All => &[],
        };
        let own = caller.is(&after.owner, &after.realm);
        let asking = Asking { caller, reach, owner: &after.owner, kind: after.kind, own };
        let added: Vec<&ServiceLabel> = labels.iter().filter(|l| !known.contains(l)).collect();
        let cells = self.cells_known_to(&after.realm, &added, &asking, "services").await?;
        self.check_open(&after.realm, &asking, &cells).await
    }

    /// A service that approves tokens does so when one is issued, and a chosen secret is hashed
    /// for the service it was chosen for: an edit is no way in for either.
    async fn check_new_services(
        &self,
        cells: &[Arc<ServiceCell>],
        before: &Token,
    ) -> Result<(), Refusal> {
        let is_new = |cell: &&Arc<ServiceCell>| {
            let was_named = |labels: &Vec<ServiceLabel>| labels.contains(&cell.service.label);
            !matches!(&before.services, Services::Named(labels) if was_named(labels))
        };
        let Some(first) = cells.iter().find(is_new) else { return Ok(()) };
        if let Some(cell) = cells.iter().filter(is_new).find(|cell| cell.policy.approval) {
            let label = &cell.service.label;
            let why = format!("{label} approves its tokens: issue one for it instead");
            return Err(Refusal::Policy(why));
        }
        let record = self.store.token_record(before.id).await?;
        let chosen = |secret: &StoredSecret| matches!(secret.hash, SecretHash::Slow { .. });
        if record.is_some_and(|record| record.secrets.iter().any(chosen)) {
            let label = &first.service.label;
            let why = format!("its secret was chosen for another service than {label}");
            return Err(Refusal::Policy(why));
        }
        Ok(())
    }

    /// What was approved, or waits for it, is widened by nobody who could not approve it: what
    /// they looked at was the narrower one.
    async fn check_approval(
        &self,
        caller: &Caller,
        before: &Token,
        cells: &[Arc<ServiceCell>],
        realm: &EffectivePolicy,
    ) -> Result<(), Refusal> {
        let approving = cells.iter().find(|cell| cell.policy.approval);
        let who = match approving {
            Some(cell) => cell.service.label.as_str(),
            None if cells.is_empty() && realm.approval => "the realm",
            None => return Ok(()),
        };
        if self.decides_about(caller, &before.realm, before).await? {
            return Ok(());
        }
        let why = format!("{who} approves its tokens: issue one for it instead");
        Err(Refusal::Policy(why))
    }

    /// The services that a token names, with their policies; none for a token for all.
    pub(super) async fn cells_of(&self, token: &Token) -> Result<Vec<Arc<ServiceCell>>, Refusal> {
        self.cells_named(&token.realm, &token.services).await
    }

    /// The same of services by themselves.
    pub(super) async fn cells_named(
        &self,
        realm: &RealmName,
        services: &Services,
    ) -> Result<Vec<Arc<ServiceCell>>, Refusal> {
        let Services::Named(labels) = services else {
            return Ok(Vec::new());
        };
        let mut cells = Vec::with_capacity(labels.len());
        for label in labels {
            let cell = self.service_facts(realm, label).await?;
            cells.push(cell.ok_or_else(|| no_such_service("services", label))?);
        }
        Ok(cells)
    }
}

/// What came of an edit, in the words of a refusal.
pub(super) fn settled(said: TokenUpdated) -> Result<Token, Refusal> {
    Err(match said {
        TokenUpdated::Done(token) => return Ok(token),
        // To who was shown what it was used for, another use is another version of that.
        TokenUpdated::VersionMismatch | TokenUpdated::UsedSince => Refusal::VersionMismatch,
        TokenUpdated::NotFound => Refusal::NotFound(Thing::Token),
        TokenUpdated::UnitGone => missing("unit"),
        TokenUpdated::ServiceGone(label) => no_such_service("services", &label),
        TokenUpdated::SerialTaken => Refusal::SerialTaken,
        TokenUpdated::AtLimit(max) => Refusal::AtLimit(max),
        TokenUpdated::CountTaken(draws) => {
            let why = format!("must be at least {draws}: so many are taken");
            Refusal::invalid("count", why)
        }
    })
}

/// Whether `after` can do nothing that `before` could not.
fn narrows(before: &Token, after: &Token) -> bool {
    let services = match (&before.services, &after.services) {
        (Services::All, Services::All) => true,
        (before, Services::Named(labels)) => labels.iter().all(|l| before.includes(l.as_str())),
        (Services::Named(_), Services::All) => false,
    };
    let exact = before.services.includes(COUNTERFOIL) || after.services.includes(COUNTERFOIL);
    let both = [before, after];
    let only_api = both.iter().all(|token| token.service_labels() == [COUNTERFOIL]);
    let implied = |scope: &Scope| {
        let had = ApiScopes::from_names(before.scopes.iter().map(Scope::as_str));
        ApiScope::from_name(scope.as_str()).is_some_and(|scope| had.contains(scope))
    };
    // In the API writing implies reading; for any other service these are words.
    let kept =
        |scope: &Scope| any_covers(&before.scopes, scope, exact) || (only_api && implied(scope));
    let scopes = after.scopes.iter().all(kept);
    let (old, new) = (before.permissions.as_deref(), after.permissions.as_deref());
    let permissions = crate::permission::is_within(new, old);
    let inside = |network: &ipnet::IpNet| before.networks.iter().any(|n| n.contains(network));
    let networks = before.networks.is_empty()
        || (!after.networks.is_empty() && after.networks.iter().all(inside));
    let doors = before.doors.as_ref().is_none_or(|known| {
        after.doors.as_ref().is_some_and(|doors| doors.iter().all(|door| known.contains(door)))
    });
    let usages = before.max_usages.is_none_or(|max| after.max_usages.is_some_and(|n| n <= max));
    let ends = before
        .validity
        .expires_at()
        .is_none_or(|end| after.validity.expires_at().is_some_and(|other| other <= end));
    // An earlier beginning lets it do what it could not.
    let begins = before.validity.not_before() <= after.validity.not_before();
    let registration = !widens(before, after) && begins;
    services && scopes && permissions && networks && doors && usages && ends && registration
}

/// A later end obeys policy, the caller's grant, and the life of the presented token.
fn check_end(
    caller: &Caller,
    reach: &Reach,
    policies: &[&EffectivePolicy],
    before: &Token,
    after: &Token,
    now: Timestamp,
) -> Result<(), Refusal> {
    let ends = after.validity.expires_at();
    if ends == before.validity.expires_at() && before.services == after.services {
        return Ok(());
    }
    let issuer_end = caller.token_expires_at.filter(|_| caller.subject.user().is_some());
    if issuer_end.is_some_and(|issuer| ends.is_none_or(|end| issuer < end)) {
        return Err(Refusal::invalid("expires_at", "lies beyond the end of the presented token"));
    }
    let granted = |limits: &crate::subject::Limits| {
        limits
            .lifetime_seconds_max
            .is_none_or(|max| ends.is_some_and(|end| end <= now.plus_seconds(max)))
    };
    if !reach.limits.is_empty() && !reach.limits.iter().any(granted) {
        return Err(Refusal::BeyondGrant("the lifetime exceeds the caller's grant"));
    }
    let created = after.created_at.micros();
    let allowed =
        |policy: &&EffectivePolicy| policy.allows_lifetime(created, ends.map(Timestamp::micros));
    if policies.iter().all(allowed) {
        Ok(())
    } else {
        Err(Refusal::Policy("the end lies beyond the longest lifetime, counted from issue".into()))
    }
}

fn apply_texts(token: &mut Token, edit: &TokenEdit) {
    let texts = [
        (&mut token.name, &edit.name),
        (&mut token.description, &edit.description),
        (&mut token.unit, &edit.unit),
        (&mut token.airlock.serial, &edit.serial),
        (&mut token.airlock.tracking_id, &edit.tracking_id),
        (&mut token.sentinel.identifier, &edit.identifier),
        (&mut token.sentinel.ref_id_1, &edit.ref_id_1),
        (&mut token.sentinel.ref_id_2, &edit.ref_id_2),
    ];
    for (field, wanted) in texts {
        if let Some(wanted) = wanted {
            field.clone_from(wanted);
        }
    }
    if let Some(delivered) = edit.delivery_date {
        token.airlock.delivery_date = delivered;
    }
    if let Some(encoding) = &edit.data_encoding {
        token.airlock.data_encoding.clone_from(encoding);
    }
    if let Some(data) = &edit.data {
        token.airlock.data_present = !data.reveal().is_empty();
    }
    if let Some(labels) = &edit.labels {
        token.labels.clone_from(labels);
    }
    if let Some(data) = &edit.generic_data {
        token.airlock.generic_data.clone_from(data);
    }
}

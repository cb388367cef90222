//! What administrators do with registration tokens and what was drawn from them.

use std::sync::Arc;

use super::lifecycle::Act;
use super::tokens::is_enrolment;
use super::{Authority, IssueRequest};
use crate::cache::ServiceCell;
use crate::caller::{Caller, Reach};
use crate::enrolment::{Approval, Constraints, Stamp};
use crate::event::Origin;
use crate::kind::Kind;
use crate::names::{RealmName, ServiceLabel};
use crate::policy::{DEFAULT_LIFETIME_SECONDS, EffectivePolicy};
use crate::provision::{Target, TargetKind};
use crate::refusal::{Refusal, Thing};
use crate::scope::Scope;
use crate::secret::{TokenId, user_code_of};
use crate::service::Services;
use crate::store::{
    BlastRadius, CountReturn, Page, PageRequest, Returned, TokenAct, TokenChange, TokenFilter,
    Unavailable, UseDay,
};
use crate::subject::Limits;
use crate::token::{State, Token};
use crate::verdict::Door;

/// What breaks when a token ends.
#[derive(Debug)]
pub struct Breakage {
    /// The token.
    pub token: Token,
    /// What hangs on it.
    pub reach: BlastRadius,
    /// When it was used, and through which doors.
    pub days: Vec<UseDay>,
    /// Targets at which a hash of it stands, by their names.
    pub directories: Vec<String>,
}

/// What falls due is done in batches of so many of each sort.
const DUE_PER_STEP: u32 = 500;

impl Authority {
    /// Auth tokens drawn from a registration token, or tokens derived from any other one, newest
    /// first, within the caller's reach.
    pub async fn children(
        &self,
        caller: &Caller,
        realm: &RealmName,
        id: TokenId,
        page: PageRequest,
    ) -> Result<Page<Token>, Refusal> {
        let token = self.token(caller, realm, id).await?;
        let filter = if token.kind == Kind::RegistrationToken {
            TokenFilter { registration: Some(id), ..TokenFilter::default() }
        } else {
            TokenFilter {
                kind: Some(Kind::DerivedToken),
                owner: Some(token.owner),
                parent: Some(id),
                ..TokenFilter::default()
            }
        };
        Ok(self.store.token_list(realm, filter, self.now(), page).await?)
    }

    /// What hangs on a token within the caller's reach.
    pub async fn blast_radius(
        &self,
        caller: &Caller,
        realm: &RealmName,
        id: TokenId,
    ) -> Result<BlastRadius, Refusal> {
        let token = self.token(caller, realm, id).await?;
        Ok(self.store.blast_radius(token.id, self.now()).await?)
    }

    /// The same with what is known of the token's use: what breaks when it ends, and for whom.
    pub async fn breakage(
        &self,
        caller: &Caller,
        realm: &RealmName,
        id: TokenId,
    ) -> Result<Breakage, Refusal> {
        let token = self.token(caller, realm, id).await?;
        let reach = self.store.blast_radius(token.id, self.now()).await?;
        let days = self.token_days(caller, realm, id).await?;
        let labels = token.service_labels();
        let targets = self.store.target_list(realm).await?;
        let holds = |target: &Target| match (target.kind, token.kind) {
            (TargetKind::ProfileAttribute, Kind::PersonalAccessToken) => true,
            (TargetKind::Ldap | TargetKind::Entry, Kind::ServiceToken) => {
                labels.iter().any(|label| target.config.is_for(label))
            }
            _ => false,
        };
        let directories = targets.iter().filter(|target| holds(target));
        let directories = directories.map(|target| target.name.to_string()).collect();
        Ok(Breakage { token, reach, days, directories })
    }

    /// Gives draws back: what was taken stays counted, what may be taken grows.
    pub async fn return_count(
        &self,
        caller: &Caller,
        realm: &RealmName,
        id: TokenId,
        draws: u64,
    ) -> Result<Token, Refusal> {
        let token = self.reachable(caller, realm, id).await?;
        if token.kind != Kind::RegistrationToken {
            return Err(Refusal::NotFound(Thing::Token));
        }
        if token.revocation.is_some() {
            return Err(Refusal::Ended(State::Revoked));
        }
        if draws == 0 {
            return Err(Refusal::invalid("n", "must be at least 1"));
        }
        let now = self.now();
        let event = self.event("token.count-returned", realm, &caller.origin, now)?;
        let event = event
            .with_token(id)
            .with_subject(token.owner.actor())
            .with_detail(serde_json::json!({ "n": draws }));
        let back = CountReturn { realm: realm.clone(), id, draws, event };
        match self.store.count_return(back).await? {
            Returned::Done(token) => Ok(*token),
            Returned::NotFound => Err(Refusal::NotFound(Thing::Token)),
            Returned::TooMany(most) => {
                Err(Refusal::invalid("n", format!("at most {most} can be given back")))
            }
        }
    }

    /// Makes active what waits for approval; idempotent.
    pub async fn approve(
        &self,
        caller: &Caller,
        realm: &RealmName,
        id: TokenId,
    ) -> Result<Token, Refusal> {
        let token = match self.decidable(caller, realm, id).await? {
            Some(token) => token,
            None => self.reachable(caller, realm, id).await?,
        };
        self.require_administration(caller, realm, &token).await?;
        if token.revocation.is_some() {
            return Err(Refusal::Ended(State::Revoked));
        }
        if !token.pending {
            return Ok(token);
        }
        let now = self.now();
        let event = self.event("token.approved", realm, &caller.origin, now)?;
        let event = about(event, &token);
        let act = TokenAct::Approve;
        let change =
            TokenChange { realm: realm.clone(), id, act, expected_version: None, at: now, event };
        let said = self.store.token_change(change).await?;
        let token = Refusal::unless_updated(said, Thing::Token)?;
        match token.revocation {
            // Its time was over before anybody approved.
            Some(_) => Err(Refusal::Ended(State::Revoked)),
            None => Ok(token),
        }
    }

    /// Ends what waits for approval, and gives its draw back; idempotent.
    pub async fn deny(
        &self,
        caller: &Caller,
        realm: &RealmName,
        id: TokenId,
    ) -> Result<Token, Refusal> {
        let token = match self.decidable(caller, realm, id).await? {
            Some(token) => token,
            None => self.endable(caller, realm, id).await?,
        };
        self.require_administration(caller, realm, &token).await?;
        if token.revocation.is_some() {
            return Ok(token);
        }
        if !token.pending {
            return Err(Refusal::invalid("id", "does not wait for approval"));
        }
        let now = self.now();
        let event = self.event("token.denied", realm, &caller.origin, now)?;
        let event = about(event, &token);
        let by = caller.origin.actor.to_string();
        let act = TokenAct::Revoke { by, reason: Some("denied".to_owned()) };
        let change = TokenChange {
            realm: realm.clone(),
            id,
            act,
            // Not the one that somebody approves at this moment.
            expected_version: Some(token.version),
            at: now,
            event,
        };
        Refusal::unless_updated(self.store.token_change(change).await?, Thing::Token)
    }

    /// The auth token that waits under a user code, within the caller's reach.
    pub async fn waiting(
        &self,
        caller: &Caller,
        realm: &RealmName,
        user_code: &str,
    ) -> Result<Token, Refusal> {
        let code = user_code_of(user_code).ok_or(Refusal::NotFound(Thing::Token))?;
        let found = self.store.enrolment_waiting(realm, &code).await?;
        let found = found.ok_or(Refusal::NotFound(Thing::Token))?;
        self.token(caller, realm, found.id).await
    }

    /// Ends a registration token together with everything that was drawn from it.
    pub async fn revoke_with_children(
        &self,
        caller: &Caller,
        realm: &RealmName,
        id: TokenId,
        reason: Option<String>,
        if_match: Option<i64>,
    ) -> Result<Token, Refusal> {
        self.change(caller, realm, id, Act::RevokeWithChildren { reason }, if_match).await
    }

    /// A token that waits and that the caller decides about, though it may also be for services
    /// that are not theirs.
    async fn decidable(
        &self,
        caller: &Caller,
        realm: &RealmName,
        id: TokenId,
    ) -> Result<Option<Token>, Refusal> {
        let (reach, only_registration) = Self::reach_to_write(caller, realm)?;
        let found = self.store.token_find(realm, id).await?;
        let Some(token) = found.filter(|token| token.pending && !only_registration) else {
            return Ok(None);
        };
        let theirs = !is_enrolment(&token) && self.decides(&reach, &token).await?;
        Ok(theirs.then_some(token))
    }

    /// Whether every service that asks to approve a token is within reach (decision 0029).
    async fn decides(&self, reach: &Reach, token: &Token) -> Result<bool, Refusal> {
        let Services::Named(labels) = &token.services else { return Ok(reach.whole) };
        let mut cells = Vec::new();
        for label in labels {
            cells.extend(self.service_facts(&token.realm, label).await?);
        }
        // Where none asks any more, all of them are asked.
        if cells.iter().any(|cell| cell.policy.approval) {
            cells.retain(|cell| cell.policy.approval);
        }
        let within = |cell: &Arc<ServiceCell>| {
            reach.covers_service(&cell.service.label, cell.service.unit.as_ref())
        };
        Ok(reach.whole || (!cells.is_empty() && cells.iter().all(within)))
    }

    /// Deciding about others is for those who administrate them, not for who asked: about what is
    /// drawn, who administrates the unit or the services; about what is issued, the services.
    async fn require_administration(
        &self,
        caller: &Caller,
        realm: &RealmName,
        token: &Token,
    ) -> Result<(), Refusal> {
        if self.decides_about(caller, realm, token).await? {
            Ok(())
        } else {
            Err(Refusal::BeyondGrant("only an administrator approves or denies"))
        }
    }

    /// Whether the caller is one of those who approve or deny a token.
    pub(super) async fn decides_about(
        &self,
        caller: &Caller,
        realm: &RealmName,
        token: &Token,
    ) -> Result<bool, Refusal> {
        let (reach, _) = Self::reach_to_write(caller, realm)?;
        if is_enrolment(token) {
            let owner_unit = self.unit_of_owner(realm, &token.owner).await?;
            let units = [owner_unit.as_ref(), token.unit.as_ref()];
            return Ok(reach.whole
                || units.into_iter().flatten().any(|unit| reach.units.contains(unit))
                || reach.covers_services(&token.services));
        }
        self.decides(&reach, token).await
    }

    /// Does one batch of what has fallen due: requests that nobody decided, auth tokens that were
    /// idle too long, ends to tell of. True if there may be more.
    pub async fn enrolment_due(&self) -> Result<bool, Unavailable> {
        let now = self.now();
        let origin = Origin::system(Door::Cli);
        // The realm is that of each token; this one only fills the place.
        let Ok(realm) = RealmName::parse(crate::names::MAIN_REALM) else { return Ok(false) };
        let cause = self.event("token.idle-ended", &realm, &origin, now);
        let cause = cause.map_err(Unavailable::new)?;
        Ok(self.store.enrolment_due(now, DUE_PER_STEP, cause).await? >= u64::from(DUE_PER_STEP))
    }
}

fn about(event: crate::event::Event, token: &Token) -> crate::event::Event {
    let subject = token.device.as_ref().map(|device| device.facts.subject.clone());
    let event = event.with_token(token.id);
    let event = event.with_subject(subject.unwrap_or_else(|| token.owner.actor()));
    match token.sentinel.registration_token {
        Some(id) => event.with_detail(serde_json::json!({ "registration_token": id.as_str() })),
        None => event,
    }
}

/// What a request for a registration token comes to: its conditions and its stamp in the words of
/// the store. Services and scopes that the stamp names are the token's own: what it hands on.
pub(super) fn completed(mut request: IssueRequest) -> Result<IssueRequest, Refusal> {
    let sentinel = &mut request.sentinel;
    if request.kind != Kind::RegistrationToken {
        for (field, given) in [
            ("constraints", sentinel.constraints.is_some()),
            ("approval", sentinel.approval.is_some()),
            ("stamp", sentinel.stamp.is_some()),
            ("count", sentinel.count.is_some()),
        ] {
            if given {
                return Err(Refusal::invalid(field, "belongs to registration tokens"));
            }
        }
        return Ok(request);
    }
    sentinel.approval = checked_approval(sentinel.approval.take())?;
    sentinel.constraints = checked_constraints(sentinel.constraints.take())?;
    if let Some(text) = sentinel.stamp.take() {
        let stamp: serde_json::Value =
            serde_json::from_str(&text).map_err(|_| Refusal::invalid("stamp", "is no JSON"))?;
        let serde_json::Value::Object(mut stamp) = stamp else {
            return Err(Refusal::invalid("stamp", "must be an object"));
        };
        if let Some(services) = stamp.remove("services") {
            if request.services.is_some() {
                return Err(Refusal::invalid("stamp.services", "give it or services, not both"));
            }
            request.services = Some(Services::Named(named(&services)?));
        }
        if let Some(scopes) = stamp.remove("scopes") {
            if !request.scopes.is_empty() {
                return Err(Refusal::invalid("stamp.scopes", "give it or scopes, not both"));
            }
            request.scopes = scopes_of(&scopes)?;
        }
        request.sentinel.stamp = Some(serde_json::Value::Object(stamp).to_string());
    }
    Ok(request)
}

/// An approval in a known word; absent where nothing has to be approved.
pub(super) fn checked_approval(approval: Option<String>) -> Result<Option<String>, Refusal> {
    let Some(text) = approval else { return Ok(None) };
    match Approval::parse(&text) {
        Some(Approval::Automatic) => Ok(None),
        Some(_) => Ok(Some(text)),
        None => Err(Refusal::invalid("approval", "expected automatic, required or after-N")),
    }
}

/// Conditions in the words of the store.
pub(super) fn checked_constraints(text: Option<String>) -> Result<Option<String>, Refusal> {
    let Some(text) = text else { return Ok(None) };
    let read = Constraints::parse(&text).map_err(|(field, why)| Refusal::invalid(field, why))?;
    Ok((read != Constraints::default()).then(|| read.stored()))
}

/// A stamp in the words of the store, with a life for what is drawn: as asked, or by default;
/// within policy.
pub(super) fn checked_stamp(
    text: Option<&str>,
    policies: &[&EffectivePolicy],
    limits: &[Limits],
) -> Result<String, Refusal> {
    let text = text.unwrap_or("{}");
    let given: serde_json::Value = serde_json::from_str(text).unwrap_or_default();
    let mut stamp = Stamp::parse(text).map_err(|(field, why)| Refusal::invalid(field, why))?;
    let longest = policies.iter().filter_map(|policy| policy.max_lifetime_seconds).min();
    let granted = lifetime_granted(limits);
    let must_end = longest.is_some() || policies.iter().any(|policy| policy.must_expire);
    if given.get("lifetime_seconds").is_none() {
        let stated = policies.iter().filter_map(|policy| policy.default_lifetime_seconds).min();
        let wanted = stated.unwrap_or(DEFAULT_LIFETIME_SECONDS);
        let bounds = [longest, granted].into_iter().flatten();
        stamp.lifetime_seconds = Some(bounds.fold(wanted, i64::min));
    }
    match (stamp.lifetime_seconds, longest) {
        (None, _) if must_end => {
            Err(Refusal::Policy("what is drawn must end (must_expire)".into()))
        }
        (Some(seconds), Some(longest)) if seconds > longest => {
            Err(Refusal::Policy(format!("the longest lifetime is {longest} seconds")))
        }
        _ => match (stamp.lifetime_seconds, granted) {
            // Who may hand out a week hands out no device for a year.
            (wanted, Some(most)) if wanted.is_none_or(|seconds| seconds > most) => {
                Err(Refusal::BeyondGrant("what is drawn would outlive the caller's grant"))
            }
            _ => Ok(stamp.stored()),
        },
    }
}

fn named(value: &serde_json::Value) -> Result<Vec<ServiceLabel>, Refusal> {
    let bad = || Refusal::invalid("stamp.services", "must be a list of labels of services");
    let labels = value.as_array().ok_or_else(bad)?;
    let label =
        |value: &serde_json::Value| value.as_str().and_then(|t| ServiceLabel::parse(t).ok());
    labels.iter().map(|value| label(value).ok_or_else(bad)).collect()
}

fn scopes_of(value: &serde_json::Value) -> Result<Vec<Scope>, Refusal> {
    let bad = || Refusal::invalid("stamp.scopes", "must be a list of scopes");
    let scopes = value.as_array().ok_or_else(bad)?;
    let scope = |value: &serde_json::Value| value.as_str().and_then(|t| Scope::parse(t).ok());
    scopes.iter().map(|value| scope(value).ok_or_else(bad)).collect()
}

/// Whether an edit of a registration token widens what it hands on or to whom.
pub(super) fn widens(before: &Token, after: &Token) -> bool {
    if before.kind != Kind::RegistrationToken {
        return false;
    }
    let (old, new) = (&before.sentinel, &after.sentinel);
    let more = match (old.count, new.count) {
        (Some(old), Some(new)) => new > old,
        (Some(_), None) => true,
        (None, _) => false,
    };
    more || old.constraints != new.constraints
        || old.stamp != new.stamp
        || old.approval != new.approval
}

/// The longest lifetime that grants allow: the most generous one counts, and one without bound is
/// the most generous.
pub(super) fn lifetime_granted(limits: &[Limits]) -> Option<i64> {
    let granted = limits.iter().map(|limits| limits.lifetime_seconds_max);
    granted.reduce(|a, b| a.zip(b).map(|(a, b)| a.max(b))).flatten()
}

/// Whether a token may be moved to a unit: one that the caller's grants reach. Who administrates
/// a token by its unit moves it to no other one, and out of none.
pub(super) fn unit_given(reach: &Reach, token: &Token, unit: Option<&String>) -> bool {
    let within = |limits: &Limits| {
        let units = limits.units.as_ref();
        units.is_none_or(|units| unit.is_some_and(|unit| units.contains(unit)))
    };
    let known = reach.limits.is_empty() || reach.limits.iter().any(within);
    let by_unit = token.unit.as_ref().is_some_and(|unit| reach.units.contains(unit));
    known && (reach.whole || !by_unit || unit.is_some_and(|unit| reach.units.contains(unit)))
}

/// Whether a count lies within what the caller may hand out.
pub(super) fn count_within(limits: &[Limits], count: Option<u64>) -> bool {
    limits.is_empty()
        || limits.iter().any(|limits| {
            limits.count_max.is_none_or(|max| count.is_some_and(|count| count <= max))
        })
}

//! Reconciling: whether a target is as the store says, person by person.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::state::Seen;
use crate::authority::Authority;
use crate::caller::Caller;
use crate::names::{RealmName, TargetName};
use crate::provision::{
    Courier, DeliveryKey, DeliveryState, Failed, Finding, Freight, Mark, Object, Severity, Target,
    TargetMode,
};
use crate::refusal::Refusal;
use crate::scope::ApiScope;
use crate::secret::ClearSecret;
use crate::store::{DeliveryFilter, PageRequest, UserFilter};

/// People whose tokens a test of a target looks at: it is answered while somebody waits.
const PEOPLE_PER_TEST: u32 = 100;
/// Deliveries of one state that are tried again with one request at most.
const RETRIED_AT_ONCE: u32 = 500;
/// Where the pages of people end and strays are looked for.
const STRAYS: &str = "\u{1f}strays";

/// Somebody for whom a target is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Who.
    pub object: String,
    /// Where they stand there.
    pub place: Option<String>,
    /// What would have to be changed, without any value.
    pub changes: Vec<String>,
}

/// A part of a reconciliation.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reconciled {
    /// People looked at.
    pub checked: u64,
    /// Where the target differs.
    pub differences: Vec<Difference>,
    /// Tokens that lack a scheme that the target asks for: they have to be issued anew.
    pub lacking: Vec<(String, &'static str)>,
    /// Differences that were handed to the worker.
    pub repairing: u64,
    /// Where the next part begins.
    pub next: Option<String>,
}

impl Authority {
    /// Holds a page of people against a target and, if asked to, wants what differs brought there.
    ///
    /// # Errors
    ///
    /// [`Refusal::Policy`] for a target that is disabled or takes messages, and for whatever the
    /// target itself said.
    pub async fn reconcile(
        &self,
        caller: &Caller,
        courier: &Arc<dyn Courier>,
        realm: &RealmName,
        name: &TargetName,
        repair: bool,
        page: PageRequest,
    ) -> Result<Reconciled, Refusal> {
        let target = self.target(caller, realm, name).await?;
        caller.require_whole(realm, ApiScope::TargetsWrite)?;
        if target.mode == TargetMode::Disabled {
            return Err(Refusal::Policy("the target is disabled".into()));
        }
        if target.kind.takes_messages() {
            return Err(Refusal::Policy("the target is told of events and holds no state".into()));
        }
        let mut part = Reconciled::default();
        if page.after.as_deref() == Some(STRAYS) {
            self.strays(courier, &target, repair, &mut part).await?;
        } else {
            self.people(courier, &target, page, &mut part).await?;
            if repair {
                let objects: Vec<Object> =
                    part.differences.iter().map(|one| Object::from_name(&one.object)).collect();
                part.repairing = self.want(&target, objects).await?;
            }
        }
        if repair && !part.differences.is_empty() {
            let detail = serde_json::json!({ "differences": part.differences.len() });
            let event = self
                .event("target.reconciled", realm, &caller.origin, self.now())?
                .with_subject(format!("target:{name}"))
                .with_detail(detail);
            self.store.event_append(vec![event]).await?;
        }
        Ok(part)
    }

    /// Has what failed on its way to a target tried again now, messages too, and says how much
    /// that is, at most a thousand at once.
    ///
    /// # Errors
    ///
    /// [`Refusal::Forbidden`], an unknown target, and a store that is down.
    pub async fn retry_deliveries(
        &self,
        caller: &Caller,
        realm: &RealmName,
        name: &TargetName,
    ) -> Result<u64, Refusal> {
        let target = self.target(caller, realm, name).await?;
        let mut marks = Vec::new();
        for state in [DeliveryState::Dead, DeliveryState::Retrying] {
            let filter = DeliveryFilter { target: Some(target.name.clone()), state: Some(state) };
            let page = PageRequest::first(RETRIED_AT_ONCE);
            let failed = self.store.delivery_list(realm, filter, page).await?;
            marks.extend(failed.items.into_iter().map(|one| Mark { key: one.key, held: false }));
        }
        if marks.is_empty() {
            return Ok(0);
        }
        let (count, now) = (marks.len() as u64, self.now());
        self.store.delivery_want(marks, now).await?;
        let event = self
            .event("target.reconciled", realm, &caller.origin, now)?
            .with_subject(format!("target:{name}"))
            .with_detail(serde_json::json!({ "retried": count }));
        self.store.event_append(vec![event]).await?;
        Ok(count)
    }

    /// Looks whether a target can be used as it is set up, and says what to do where it cannot.
    pub async fn test_target(
        &self,
        caller: &Caller,
        courier: &Arc<dyn Courier>,
        target: &Target,
    ) -> Result<Vec<Finding>, Refusal> {
        caller.require_whole(&target.realm, ApiScope::TargetsWrite)?;
        let secret = self.target_secret(target)?;
        let mut found = courier.test(target, secret.as_ref().map(ClearSecret::reveal)).await;
        if !target.kind.takes_messages() {
            found.push(self.hashes_there(target).await?);
        }
        Ok(found)
    }

    /// Whether the tokens that are there have hashes for the target: those that were issued or
    /// taken over before somebody asked for its schemes have none, and nobody can make them.
    async fn hashes_there(&self, target: &Target) -> Result<Finding, Refusal> {
        let seen = tokio::sync::Mutex::new(Seen::new());
        let page = PageRequest::first(PEOPLE_PER_TEST);
        let people = self.store.user_list(&target.realm, UserFilter::default(), page).await?;
        let mut lacking = BTreeSet::new();
        for user in &people.items {
            let name = user.username.as_str();
            let state = self.person_state(target, name, self.now(), &seen).await?;
            lacking.extend(state.lacking.into_iter().map(|(token, _)| token.to_string()));
        }
        let among = match people.next {
            Some(_) => format!(" of the first {PEOPLE_PER_TEST} people"),
            None => String::new(),
        };
        let (severity, what, remedy) = match lacking.len() {
            0 => (Severity::Fine, format!("every token{among} has what is written there"), None),
            count => {
                let remedy = "have them issued anew; reconcile names them".to_owned();
                let what = format!("{count} tokens{among} lack a hash in one of the schemes");
                (Severity::Warning, what, Some(remedy))
            }
        };
        Ok(Finding { check: "hashes", severity, what, remedy })
    }

    async fn people(
        &self,
        courier: &Arc<dyn Courier>,
        target: &Target,
        page: PageRequest,
        part: &mut Reconciled,
    ) -> Result<(), Refusal> {
        let people = self.store.user_list(&target.realm, UserFilter::default(), page).await?;
        let secret = self.target_secret(target)?;
        let secret = secret.as_ref().map(ClearSecret::reveal);
        let seen = tokio::sync::Mutex::new(Seen::new());
        for user in &people.items {
            let name = user.username.as_str();
            let state = self.person_state(target, name, self.now(), &seen).await?;
            part.checked += 1;
            let object = Object::User(name.to_owned()).name();
            let lacking = state.lacking.iter().map(|(token, scheme)| (token.to_string(), *scheme));
            part.lacking.extend(lacking);
            let freight = Freight::Person(Box::new(state));
            let looked =
                courier.look(target, secret, &freight).await.map_err(|failed| said(&failed))?;
            if !looked.changes.is_empty() {
                let (place, changes) = (looked.place, looked.changes);
                part.differences.push(Difference { object, place, changes });
            }
        }
        part.next = Some(people.next.unwrap_or_else(|| STRAYS.to_owned()));
        Ok(())
    }

    async fn strays(
        &self,
        courier: &Arc<dyn Courier>,
        target: &Target,
        repair: bool,
        part: &mut Reconciled,
    ) -> Result<(), Refusal> {
        let secret = self.target_secret(target)?;
        let secret = secret.as_ref().map(ClearSecret::reveal);
        for stray in courier.holders(target, secret).await.map_err(|failed| said(&failed))? {
            let name = stray.username.as_deref().map(crate::names::Username::parse);
            if let Some(Ok(name)) = &name
                && self.store.user_find(&target.realm, name).await?.is_some()
            {
                continue;
            }
            if repair {
                courier
                    .clear(target, secret, &stray.place)
                    .await
                    .map_err(|failed| said(&failed))?;
                part.repairing += 1;
                if let Some(Ok(name)) = &name {
                    // Whoever has come meanwhile may have been brought there in between.
                    self.want(target, [Object::User(name.to_string())]).await?;
                }
            }
            part.differences.push(Difference {
                object: stray
                    .username
                    .map_or_else(|| "unknown".to_owned(), |n| format!("user:{n}")),
                place: Some(stray.place),
                changes: vec!["values of nobody we know".to_owned()],
            });
        }
        Ok(())
    }

    async fn want(
        &self,
        target: &Target,
        objects: impl IntoIterator<Item = Object>,
    ) -> Result<u64, Refusal> {
        let mark = |object| Mark {
            key: DeliveryKey {
                realm: target.realm.clone(),
                target: target.name.clone(),
                object,
                message: String::new(),
            },
            held: false,
        };
        let marks: Vec<Mark> = objects.into_iter().map(mark).collect();
        let count = marks.len() as u64;
        self.store.delivery_want(marks, self.now()).await?;
        Ok(count)
    }
}

/// What the target said is for administrators: it is their system.
fn said(failed: &Failed) -> Refusal {
    Refusal::Policy(format!("the target: {failed}"))
}

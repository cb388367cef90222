//! A decision: the policies of a set about one resource and, where the resource is a personal
//! access token, whether that token is good.
//!
//! Invariant: nothing is allowed on `pat://` but by a token that verify calls good for its owner,
//! whatever the policies say; and every other answer is the same, so that nobody learns why not.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use serde_json::Value;

use super::super::{Active, Authority, Binding, Verdict, VerifyRequest};
use super::directory::AmDirectory;
use crate::am::condition::Circumstances;
use crate::am::resource::{BadResource, PresentedPat, Requested, is_pat, presented_pat};
use crate::am::{
    Asker, Compiled, CompiledSet, Decision, Explanation, Person, Question, Step, builtin,
};
use crate::caller::Caller;
use crate::clock::Timestamp;
use crate::kind::Kind;
use crate::names::{GroupName, RealmName, ServiceLabel, Username};
use crate::refusal::Refusal;
use crate::scope::{ApiScope, Scope};
use crate::subject::OwnerFacts;
use crate::verdict::{Door, Reason};

/// What a token may do there, as one text; the name is the seed's.
const ASSIGNED_PERMISSIONS: &str = "Assigned Permissions";
/// Kinds that are presented as a personal access token.
pub(super) const PRESENTABLE: [Kind; 3] =
    [Kind::PersonalAccessToken, Kind::ServiceToken, Kind::DerivedToken];

/// What is asked.
#[derive(Debug, Clone, Copy)]
pub struct AmQuestion<'a> {
    /// The tenant.
    pub realm: &'a RealmName,
    /// Who asks.
    pub caller: &'a Caller,
    /// The policy set.
    pub set: &'a CompiledSet,
    /// The resource as it was sent.
    pub resource: &'a str,
    /// On whose behalf.
    pub asker: &'a Asker,
    /// The end client's address, as far as who asks knows it.
    pub address: Option<IpAddr>,
    /// The end client's host name.
    pub dns_name: Option<&'a str>,
    /// The zone of conditions about time that name none.
    pub zone: &'a str,
    /// Scopes of the request, for resources that present no token.
    pub scopes: &'a [&'a str],
    /// Who asks the realm's directory, where a policy wants that.
    pub directory: AmDirectory<'a>,
}

impl<'a> AmQuestion<'a> {
    /// The person on whose behalf is asked, if they have proved to be that person.
    pub(super) fn person(&self) -> Option<&'a str> {
        let asker = self.asker;
        asker.uid.as_deref().filter(|_| asker.is_authenticated && !asker.is_client)
    }
}

/// What came of the token that a resource presents, for whoever counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AmPresented {
    /// The resource presents none.
    #[default]
    Nothing,
    /// It is good, and a policy lets it in.
    Active,
    /// It is not, or none does.
    Inactive(Reason),
}

/// What is answered.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AmAnswer {
    /// What is allowed, and what is not; actions that nobody spoke of are missing.
    pub actions: BTreeMap<String, bool>,
    /// What is told beside.
    pub attributes: BTreeMap<String, BTreeSet<String>>,
    /// Until when it holds; `None`: for ever.
    pub until: Option<Timestamp>,
    /// The token. Never told to who asks.
    pub presented: AmPresented,
}

impl AmAnswer {
    /// What every bad token gets.
    fn refused(reason: Reason) -> Self {
        Self { presented: AmPresented::Inactive(reason), ..Self::default() }
    }
}

/// Why there is no answer.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AmFault {
    /// What is asked about is no resource.
    #[error(transparent)]
    Resource(#[from] BadResource),
    /// Everything else.
    #[error(transparent)]
    Other(#[from] Refusal),
}

impl Authority {
    /// The documents of a realm, built-in ones included, ready for decisions.
    ///
    /// # Errors
    ///
    /// [`Refusal::NotFound`] without such a realm.
    pub async fn am_documents(&self, realm: &RealmName) -> Result<Arc<Compiled>, Refusal> {
        let cell = self.realm_facts(realm).await?;
        if let Some(compiled) = cell.am.get() {
            return Ok(Arc::clone(compiled));
        }
        let stored = self.store.am_list(realm).await?;
        let built_in = builtin::all(realm, cell.realm.created_at);
        let compiled = Arc::new(Compiled::of(&cell.realm.zone, built_in.into_iter().chain(stored)));
        // A change forgets the cell before it is answered: what was read before it goes with it.
        Ok(Arc::clone(cell.am.get_or_init(|| compiled)))
    }

    /// Whether the caller may ask for decisions in a realm: AM's `EntitlementRestAccess`, or
    /// `PolicyAdmin`, which includes it.
    ///
    /// # Errors
    ///
    /// [`Refusal::Forbidden`], or [`Refusal::NotFound`] for a realm that is not theirs.
    pub fn am_may_evaluate(&self, caller: &Caller, realm: &RealmName) -> Result<(), Refusal> {
        match caller.reach(realm, ApiScope::Verify) {
            Err(Refusal::Forbidden(scope)) => caller
                .require_whole(realm, ApiScope::PoliciesWrite)
                .map_err(|_| Refusal::Forbidden(scope)),
            said => said.map(|_| ()),
        }
    }

    /// Decides.
    ///
    /// # Errors
    ///
    /// [`AmFault`]; never because a token is not good.
    pub async fn am_decide(&self, question: &AmQuestion<'_>) -> Result<AmAnswer, AmFault> {
        if is_pat(question.resource) {
            let Some(pat) = presented_pat(question.resource) else {
                return Ok(AmAnswer::refused(Reason::Unknown));
            };
            return self.decide_about(question, &pat).await;
        }
        let requested = Requested::read(question.resource)?;
        let said =
            self.directory_says(question, question.set, &requested, question.person()).await?;
        let around = circumstances(question, self.now());
        let around = Circumstances { filters: &said, ..around };
        let asked = Question { requested: &requested, circumstances: around };
        let mut decision = question.set.decide(&asked, &mut Explanation::silent());
        let uid = question.asker.uid.as_deref();
        let told = self.am_attributes(question.realm, uid, None, &mut decision);
        let attributes = Box::pin(told).await?;
        let Decision { actions, until, .. } = decision;
        Ok(AmAnswer { actions, attributes, until, presented: AmPresented::Nothing })
    }

    async fn decide_about(
        &self,
        question: &AmQuestion<'_>,
        pat: &PresentedPat<'_>,
    ) -> Result<AmAnswer, AmFault> {
        let Ok(requested) = Requested::read(question.resource) else {
            return Ok(AmAnswer::refused(Reason::Unknown));
        };
        let several = self.am_services(question)?;
        let request = VerifyRequest {
            realm: question.realm,
            presented: pat.secret,
            username: Some(&pat.username),
            binding: binding_of(question, several.as_deref()),
            scopes: &[],
            resource: None,
            action: None,
            client_ip: question.address,
            consume: false,
            throttled: question.address.is_some(),
            origin: &question.caller.origin,
        };
        let verdict = self.verify(request).await?;
        let active = match &verdict {
            Verdict::Active(active) if PRESENTABLE.contains(&active.kind()) => active,
            Verdict::Active(active) => {
                self.heard_refused(&request, active, Reason::Unknown);
                return Ok(AmAnswer::refused(Reason::Unknown));
            }
            Verdict::Inactive { reason, .. } => {
                self.heard(&request, &verdict);
                return Ok(AmAnswer::refused(*reason));
            }
        };
        let mut silent = Explanation::silent();
        let now = self.now();
        let mut decision = self.decide_with(question, &requested, active, now, &mut silent).await?;
        if !decision.allows_anything() {
            self.heard_refused(&request, active, Reason::PermissionDenied);
            self.refused_by_set(question, active)?;
            return Ok(AmAnswer::refused(Reason::PermissionDenied));
        }
        if active.remaining().is_some() {
            // The store alone says whether a use is left.
            let use_up = VerifyRequest { consume: true, ..request };
            let used = Box::pin(self.verify(use_up)).await?;
            self.heard(&request, &used);
            if let Verdict::Inactive { reason, .. } = used {
                return Ok(AmAnswer::refused(reason));
            }
        } else {
            self.heard(&request, &verdict);
            self.ledger.accepted(active.root(), now, question.address, Door::Am);
        }
        let owner = active.username();
        let told = self.am_attributes(question.realm, owner, Some(active), &mut decision);
        let mut attributes = told.await?;
        let permissions = active.permissions().unwrap_or("{}").to_owned();
        attributes.entry(ASSIGNED_PERMISSIONS.to_owned()).or_default().insert(permissions);
        let Decision { actions, until, .. } = decision;
        Ok(AmAnswer { actions, attributes, until, presented: AmPresented::Active })
    }

    /// What the policies say of a token that is good.
    pub(super) async fn decide_with(
        &self,
        question: &AmQuestion<'_>,
        requested: &Requested,
        active: &Active,
        now: Timestamp,
        explanation: &mut Explanation,
    ) -> Result<Decision, Refusal> {
        let scopes: Vec<&str> = active.scopes().iter().map(Scope::as_str).collect();
        let person = active.username().map(|username| Person { username, groups: active.groups() });
        let said =
            self.directory_says(question, question.set, requested, active.username()).await?;
        let around = Circumstances {
            scopes: &scopes,
            person,
            filters: &said,
            ..circumstances(question, now)
        };
        let asked = Question { requested, circumstances: around };
        let mut decision = question.set.decide(&asked, explanation);
        decision.end_by(active.expires_at());
        Ok(decision)
    }

    /// The services that a token presented to this caller must be good for; `None`: not checked.
    pub(super) fn am_services<'a>(
        &self,
        question: &AmQuestion<'a>,
    ) -> Result<Option<Cow<'a, [ServiceLabel]>>, Refusal> {
        let AmQuestion { caller, realm, set, .. } = question;
        match &set.service {
            Some(label) => {
                self.binding(caller, realm, Some(label))?;
                Ok(Some(Cow::Borrowed(std::slice::from_ref(label))))
            }
            None => self.verifiable(caller, realm),
        }
    }

    /// The right secret, but no policy lets it in: its owner should know.
    fn refused_by_set(&self, question: &AmQuestion<'_>, active: &Active) -> Result<(), Refusal> {
        self.ledger.denied(active.root());
        let event =
            self.event("verify.refused", question.realm, &question.caller.origin, self.now())?;
        let event = event.with_token(active.root()).with_reason("permission_denied");
        self.record_refusal(event.refused());
        Ok(())
    }

    /// The attributes of a decision, taken out of it. What is remembered of a person needs no
    /// store; their free attributes are read.
    async fn am_attributes(
        &self,
        realm: &RealmName,
        uid: Option<&str>,
        active: Option<&Active>,
        decision: &mut Decision,
    ) -> Result<BTreeMap<String, BTreeSet<String>>, Refusal> {
        let mut attributes = std::mem::take(&mut decision.attributes);
        if decision.user_attributes.is_empty() {
            attributes.retain(|_, values| !values.is_empty());
            return Ok(attributes);
        }
        let Some(username) = uid.and_then(|uid| Username::parse(uid).ok()) else {
            return Ok(attributes);
        };
        let mut others = Vec::new();
        for name in &decision.user_attributes {
            let values = attributes.entry(name.clone()).or_default();
            match active.and_then(|active| remembered(active, name)) {
                Some(known) => values.extend(known),
                None => others.push(name),
            }
        }
        if !others.is_empty()
            && let Some(user) = self.store.user_find(realm, &username).await?
        {
            for name in others {
                let values = match name.as_str() {
                    "uid" | "username" => vec![user.username.to_string()],
                    "cn" | "displayName" => user.display_name.clone().into_iter().collect(),
                    "mail" => user.emails.clone(),
                    "memberOf" | "isMemberOf" => user.groups.iter().map(group_text).collect(),
                    free => user.attributes.get(free).map(texts).unwrap_or_default(),
                };
                attributes.entry(name.clone()).or_default().extend(values);
            }
        }
        attributes.retain(|_, values| !values.is_empty());
        Ok(attributes)
    }
}

fn group_text(group: &GroupName) -> String {
    group.as_str().to_owned()
}

/// What the cache knows of the owner of a token; `None` if it has to be read.
fn remembered(active: &Active, name: &str) -> Option<Vec<String>> {
    let OwnerFacts::User(user) = &active.owner().facts else { return None };
    match name {
        "uid" | "username" => Some(vec![user.username.to_string()]),
        "cn" | "displayName" => Some(user.display_name.iter().cloned().collect()),
        "memberOf" | "isMemberOf" => Some(user.groups.iter().map(group_text).collect()),
        // Of the addresses only the first is remembered.
        _ => None,
    }
}

/// An attribute as texts.
fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::Array(values) => values.iter().flat_map(texts).collect(),
        Value::String(text) => vec![text.clone()],
        Value::Null => Vec::new(),
        other => vec![other.to_string()],
    }
}

/// The binding of a token that is presented to the asker of a question.
pub(super) fn binding_of<'a>(
    question: &AmQuestion<'a>,
    several: Option<&'a [ServiceLabel]>,
) -> Binding<'a> {
    match (&question.set.service, several) {
        (Some(label), _) => Binding::Service(label),
        (None, None) => Binding::Unbound,
        (None, Some([one])) => Binding::Service(one),
        (None, Some(several)) => Binding::AnyOf(several),
    }
}

/// What a question says of its circumstances.
pub(super) fn circumstances<'a>(question: &AmQuestion<'a>, now: Timestamp) -> Circumstances<'a> {
    Circumstances {
        now,
        zone: question.zone,
        address: question.address,
        dns_name: question.dns_name,
        scopes: question.scopes,
        asker: question.asker,
        person: None,
        filters: &[],
    }
}

/// A step that is not about a policy.
pub(super) fn step(what: &'static str, holds: bool, why: impl Into<String>) -> Step {
    Step { what, name: None, holds, why: why.into() }
}

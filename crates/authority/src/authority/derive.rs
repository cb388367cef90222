//! Deriving: the holder of a token makes a narrower one of it, by possession alone.
//!
//! The narrower one is asked for within what there is: services, scopes, permissions, networks,
//! doors and life. What its parent loses later it loses, too; `verify/lineage.rs` sees to that.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::issue::{
    Drafted, Lifetime, check_offer, limits_of, no_such_service, replayed, validity_of,
};
use super::verify::DERIVED_DEPTH_MAX;
use super::{Answered, Authority, Expiry, Replay};
use crate::cache::ServiceCell;
use crate::caller::{Caller, Reach};
use crate::clock::Timestamp;
use crate::kind::Kind;
use crate::names::COUNTERFOIL;
use crate::policy::{AtLimit, EffectivePolicy};
use crate::refusal::{Refusal, Thing};
use crate::scope::{Scope, any_covers};
use crate::secret::TokenId;
use crate::service::Services;
use crate::store::{ActiveLimit, Issued, TokenIssue};
use crate::token::{AirlockAttributes, SentinelAttributes, Token, Usage};
use crate::verdict::Door;

/// Draws of a new id before giving up; a collision of 71 random bits is a broken generator.
const ID_ATTEMPTS: usize = 3;
/// Derived tokens that one owner may have active for one service, where its policy names no
/// number: a script that derives in a loop must not fill the store.
const DERIVED_PER_SERVICE_MAX: u32 = 1_000;

/// A narrower token that the holder of one asks for. `None` and `Default`: as the parent has it.
#[derive(Debug, Clone)]
pub struct DeriveRequest {
    /// What to call it.
    pub name: Option<String>,
    /// What it is for.
    pub description: Option<String>,
    /// What it is to be good for.
    pub services: Option<Services>,
    /// What it may ask for there.
    pub scopes: Option<Vec<Scope>>,
    /// Finer permissions.
    pub permissions: Option<serde_json::Value>,
    /// When it ends.
    pub expires: Expiry,
    /// Uses allowed in all.
    pub max_usages: Option<u64>,
    /// Networks it may be used from.
    pub networks: Option<Vec<ipnet::IpNet>>,
    /// Doors it may be presented at.
    pub doors: Option<Vec<Door>>,
    /// Free text for filters.
    pub labels: BTreeMap<String, String>,
}

impl Authority {
    /// Derives a narrower token from the presented one, where its services' policies let holders
    /// do that: by default for personal access tokens and what was derived from them.
    pub async fn self_derive(
        &self,
        caller: &Caller,
        request: DeriveRequest,
        replay: Option<Replay>,
    ) -> Result<Answered, Refusal> {
        let parent = self.self_token(caller).await?;
        if caller.former_secret {
            return Err(Refusal::BeyondGrant("a former secret derives no token"));
        }
        let root = self.root_of(&parent).await?;
        let by_default = root == Kind::PersonalAccessToken;
        let allowed = self.holder_may(&parent, by_default, |policy| policy.self_derive).await?;
        if !allowed || !matches!(root, Kind::PersonalAccessToken | Kind::ServiceToken) {
            return Err(Refusal::Policy("the service's policy does not let holders derive".into()));
        }
        let now = self.now();
        let child = self.narrowed(caller, &parent, request, now).await?;
        let cells = self.cells_of(&child).await?;
        let realm = self.realm_facts(&child.realm).await?;
        let mut policies: Vec<&EffectivePolicy> = cells.iter().map(|cell| &cell.policy).collect();
        if policies.is_empty() {
            policies.push(&realm.policy);
        }
        if policies.iter().any(|policy| !policy.enabled) {
            return Err(Refusal::Policy("tokens are switched off for this service".into()));
        }
        check_offer(&policies, &child.scopes, child.doors.as_ref())?;
        self.require_api_rank(caller, &child).await?;
        self.refuse_pasted_tokens(&child)?;
        let limits = limits_of_derived(&cells, &realm.policy);
        self.store_derived(caller, child, limits, replay.as_ref(), now).await
    }

    async fn store_derived(
        &self,
        caller: &Caller,
        child: Token,
        limits: Vec<ActiveLimit>,
        replay: Option<&Replay>,
        now: Timestamp,
    ) -> Result<Answered, Refusal> {
        for _ in 0..ID_ATTEMPTS {
            let id = TokenId::generate(self.entropy())?;
            let token = Token { id, ..child.clone() };
            let Drafted(clear, secret) = self.generated(Kind::DerivedToken, id, now)?;
            let detail = serde_json::json!({ "parent": caller.token.as_str() });
            let event = self
                .event("token.derived", &token.realm, &caller.origin, now)?
                .with_token(id)
                .with_subject(token.owner.actor())
                .with_service(token.service_labels().join(" "))
                .with_detail(detail);
            let idempotency = replay.map(|replay| {
                self.idempotency(&caller.replay_key, caller.token, replay, &clear, now)
            });
            let limits = limits.clone();
            let issue = TokenIssue { token, secret, limits, data: None, idempotency, event };
            match self.store.token_issue(issue).await? {
                Issued::Done { token, .. } => return Ok(Answered::Fresh { token, secret: clear }),
                Issued::Replayed(sealed) => return replayed(caller, &sealed),
                Issued::KeyReused => return Err(Refusal::KeyReused),
                Issued::AtLimit(max) => return Err(Refusal::AtLimit(max)),
                Issued::OwnerGone => return Err(Refusal::NotFound(Thing::User)),
                // A derived token is in no repository.
                Issued::SerialTaken | Issued::PlaceTaken | Issued::Collision => {}
                Issued::ServiceGone(label) => return Err(no_such_service("services", &label)),
            }
        }
        Err(Refusal::NoEntropy(crate::clock::NoEntropy))
    }

    /// What kind the token is that everything began with. Refuses when there were too many
    /// derivations already.
    async fn root_of(&self, token: &Token) -> Result<Kind, Refusal> {
        let (mut kind, mut parent) = (token.kind, token.parent);
        let mut depth = 0;
        while kind == Kind::DerivedToken {
            depth += 1;
            if depth >= DERIVED_DEPTH_MAX {
                let why = format!("tokens are derived at most {DERIVED_DEPTH_MAX} times in a row");
                return Err(Refusal::Policy(why));
            }
            let id = parent.ok_or(Refusal::NotFound(Thing::Token))?;
            let above = self.store.token_find(&token.realm, id).await?;
            let above = above.ok_or(Refusal::NotFound(Thing::Token))?;
            (kind, parent) = (above.kind, above.parent);
        }
        Ok(kind)
    }

    /// The token that is asked for, once everything about it lies within its parent. Its id is
    /// still to be drawn.
    async fn narrowed(
        &self,
        caller: &Caller,
        parent: &Token,
        request: DeriveRequest,
        now: Timestamp,
    ) -> Result<Token, Refusal> {
        if parent.max_usages.is_some() {
            return Err(Refusal::Policy("a token with counted uses hands none of them on".into()));
        }
        if request.max_usages == Some(0) {
            return Err(Refusal::invalid("max_usages", "must be at least 1; null is unlimited"));
        }
        let services = request.services.unwrap_or_else(|| parent.services.clone());
        check_services(&parent.services, &services)?;
        let scopes = request.scopes.unwrap_or_else(|| parent.scopes.clone());
        check_scopes(parent, &scopes)?;
        let permissions = match &request.permissions {
            Some(asked) => {
                let text = crate::permission::check(asked);
                Some(text.map_err(|e| Refusal::invalid("permissions", e))?)
            }
            None => parent.permissions.clone(),
        };
        if !crate::permission::is_within(permissions.as_deref(), parent.permissions.as_deref()) {
            return Err(beyond("permissions"));
        }
        let networks = networks_within(&parent.networks, request.networks)?;
        let doors = doors_within(parent.doors.as_ref(), request.doors)?;
        let cells = self.cells_named(&parent.realm, &services).await?;
        let realm = self.realm_facts(&parent.realm).await?;
        let mut policies: Vec<&EffectivePolicy> = cells.iter().map(|cell| &cell.policy).collect();
        if policies.is_empty() {
            policies.push(&realm.policy);
        }
        let wanted =
            Lifetime { kind: Kind::DerivedToken, expires: request.expires, not_before: None };
        let validity = validity_of(&policies, caller, &Reach::default(), wanted, now)?;
        Ok(Token {
            id: parent.id,
            realm: parent.realm.clone(),
            kind: Kind::DerivedToken,
            name: request.name,
            description: request.description,
            owner: parent.owner.clone(),
            services,
            scopes,
            permissions,
            networks,
            doors,
            enabled: true,
            locked: false,
            pending: false,
            validity,
            revocation: None,
            created_at: now,
            created_by: caller.origin.actor.to_string(),
            activated_at: Some(now),
            usage: Usage::default(),
            max_usages: request.max_usages,
            used: 0,
            labels: request.labels,
            airlock: AirlockAttributes::default(),
            sentinel: SentinelAttributes::default(),
            unit: parent.unit.clone(),
            parent: Some(parent.id),
            changed_at: None,
            repository: None,
            device: None,
            version: 1,
            secrets: Vec::new(),
        })
    }
}

/// The refusal for a wish that the parent does not fulfil.
fn beyond(field: &'static str) -> Refusal {
    Refusal::invalid(field, "goes beyond the presented token")
}

fn check_services(parent: &Services, wanted: &Services) -> Result<(), Refusal> {
    let within = match (parent, wanted) {
        (Services::All, Services::All) => true,
        (Services::Named(_), Services::All) => false,
        (parent, Services::Named(labels)) => {
            !labels.is_empty() && labels.iter().all(|label| parent.includes(label.as_str()))
        }
    };
    if within { Ok(()) } else { Err(beyond("services")) }
}

fn check_scopes(parent: &Token, wanted: &[Scope]) -> Result<(), Refusal> {
    let exact = parent.services.includes(COUNTERFOIL);
    let within = wanted.iter().all(|scope| any_covers(&parent.scopes, scope, exact));
    if within { Ok(()) } else { Err(beyond("scopes")) }
}

fn networks_within(
    parent: &[ipnet::IpNet],
    wanted: Option<Vec<ipnet::IpNet>>,
) -> Result<Vec<ipnet::IpNet>, Refusal> {
    let Some(wanted) = wanted.filter(|wanted| !wanted.is_empty()) else {
        return Ok(parent.to_vec());
    };
    let inside = |network: &ipnet::IpNet| parent.iter().any(|wide| wide.contains(network));
    if parent.is_empty() || wanted.iter().all(inside) {
        Ok(wanted)
    } else {
        Err(beyond("networks"))
    }
}

fn doors_within(
    parent: Option<&Vec<Door>>,
    wanted: Option<Vec<Door>>,
) -> Result<Option<Vec<Door>>, Refusal> {
    match (parent, wanted) {
        (parent, None) => Ok(parent.cloned()),
        (Some(open), Some(doors)) if doors.iter().any(|door| !open.contains(door)) => {
            Err(beyond("doors"))
        }
        (_, doors) => Ok(doors),
    }
}

/// What each service says about how many there may be, and a bound where it says nothing.
fn limits_of_derived(cells: &[Arc<ServiceCell>], realm: &EffectivePolicy) -> Vec<ActiveLimit> {
    let mut limits = limits_of(cells, realm, false);
    let named: Vec<_> = limits.iter().map(|limit| limit.service.clone()).collect();
    let all = cells.iter().map(|cell| Some(cell.service.label.clone()));
    let everything = cells.is_empty().then_some(None);
    for service in all.chain(everything).filter(|service| !named.contains(service)) {
        let (max, at_limit) = (DERIVED_PER_SERVICE_MAX, AtLimit::Refuse);
        limits.push(ActiveLimit { service, max, at_limit, slow_only: false, repository: None });
    }
    limits
}

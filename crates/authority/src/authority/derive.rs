//! Deriving: the holder of a token makes a narrower one of it, by possession alone.
//!
//! The narrower one is asked for within what there is: services, scopes, permissions, networks,
//! doors and life. What its parent loses later it loses, too; `verify/lineage.rs` sees to that.

use std::collections::BTreeMap;
use std::sync::Arc;

use ipnet::IpNet;

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
use crate::store::{ActiveLimit, Counted, Issued, TokenIssue};
use crate::token::Token;
use crate::validity::Validity;
use crate::verdict::Door;

/// Draws of a new id before giving up; a collision of 71 random bits is a broken generator.
const ID_ATTEMPTS: usize = 3;
/// Derived tokens that one owner may have active for one service, where its policy names no
/// number: a script that derives in a loop must not fill the store.
const DERIVED_PER_SERVICE_MAX: u32 = 1_000;

/// Why a holder derives nothing.
const NO_DERIVING: &str = "the service's policy does not let holders derive";

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
    pub networks: Option<Vec<IpNet>>,
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
        // What was derived would be there when the lock is gone, whatever became of the parent's
        // secret meanwhile.
        self.refuse_secret_if_held(&parent).await?;
        let root = self.root_of(&parent).await?;
        let by_default = root == Kind::PersonalAccessToken;
        let allowed = self.holder_may(&parent, by_default, |policy| policy.self_derive).await?;
        if !allowed || !matches!(root, Kind::PersonalAccessToken | Kind::ServiceToken) {
            return Err(Refusal::Policy(NO_DERIVING.into()));
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
        // The services of a token for everything were not asked yet.
        if policies.iter().any(|policy| policy.self_derive == Some(false)) {
            return Err(Refusal::Policy(NO_DERIVING.into()));
        }
        self.refuse_pasted_tokens(&child)?;
        check_offer(&policies, &child.scopes, child.doors.as_ref())?;
        self.require_api_rank(caller, &child).await?;
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

    /// A token as its ancestors leave it: what they have lost since, it has no more.
    pub(super) async fn as_left(&self, token: Token) -> Result<Token, Refusal> {
        let mut left = token;
        let mut parent = left.parent.filter(|_| left.kind == Kind::DerivedToken);
        for _ in 0..DERIVED_DEPTH_MAX {
            let Some(id) = parent else { break };
            let Some(above) = self.store.token_find(&left.realm, id).await? else { break };
            narrow(&mut left, &above);
            parent = above.parent.filter(|_| above.kind == Kind::DerivedToken);
        }
        Ok(left)
    }

    /// Refuses an edit that gives a derived token what it could not have been derived with now.
    /// What the edit leaves as it is stays, however much of it counts.
    pub(super) async fn require_within_parent(
        &self,
        before: &Token,
        after: &Token,
    ) -> Result<(), Refusal> {
        let Some(id) = before.parent.filter(|_| before.kind == Kind::DerivedToken) else {
            return Ok(());
        };
        let found = self.store.token_find(&before.realm, id).await?;
        let parent = self.as_left(found.ok_or(Refusal::NotFound(Thing::Token))?).await?;
        let said = |field| Refusal::invalid(field, "goes beyond the token it was derived from");
        if after.services != before.services {
            check_services(&parent.services, &after.services).map_err(|_| said("services"))?;
        }
        if after.scopes != before.scopes {
            check_scopes(&parent, &after.scopes).map_err(|_| said("scopes"))?;
        }
        let (kept, bound) = (after.permissions.as_deref(), parent.permissions.as_deref());
        if after.permissions != before.permissions && !crate::permission::is_within(kept, bound) {
            return Err(said("permissions"));
        }
        let open = after.networks.is_empty() && !parent.networks.is_empty();
        let networks = Some(after.networks.clone());
        if after.networks != before.networks
            && (open || networks_within(&parent.networks, networks).is_err())
        {
            return Err(said("networks"));
        }
        let open = after.doors.is_none() && parent.doors.is_some();
        if after.doors != before.doors
            && (open || doors_within(parent.doors.as_ref(), after.doors.clone()).is_err())
        {
            return Err(said("doors"));
        }
        let end = after.validity.expires_at();
        let late = |bound| end.is_none_or(|end| bound < end);
        if end != before.validity.expires_at() && parent.validity.expires_at().is_some_and(late) {
            return Err(said("expires_at"));
        }
        Ok(())
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
        let created = (now, caller.origin.actor.to_string());
        let (what, owner) = ((parent.id, Kind::DerivedToken), parent.owner.clone());
        Ok(Token {
            name: request.name,
            description: request.description,
            scopes,
            permissions,
            networks,
            doors,
            max_usages: request.max_usages,
            labels: request.labels,
            unit: parent.unit.clone(),
            parent: Some(parent.id),
            ..Token::new(what, parent.realm.clone(), owner, services, validity, created)
        })
    }
}

/// Takes from a token what the one above it has not.
fn narrow(token: &mut Token, above: &Token) {
    let exact = [&token.services, &above.services].iter().any(|all| all.includes(COUNTERFOIL));
    if let Some(left) = crate::scope::narrowed(&token.scopes, &above.scopes, exact) {
        token.scopes = left;
    }
    if let Some(left) = token.services.narrowed(&above.services) {
        token.services = left;
    }
    let bound = above.permissions.as_deref();
    if let Some(left) = crate::permission::narrowed(token.permissions.as_deref(), bound) {
        token.permissions = Some(left);
    }
    token.networks = networks_in_both(&token.networks, &above.networks);
    if let Some(open) = &above.doors {
        let doors = token.doors.get_or_insert_with(|| open.clone());
        doors.retain(|door| open.contains(door));
    }
    let (own, bound) = (token.validity.expires_at(), above.validity.expires_at());
    let end = own.into_iter().chain(bound).min();
    // One that ended before the token began is judged at use.
    if let Ok(validity) = Validity::new(token.validity.not_before(), end) {
        token.validity = validity;
    }
}

/// The networks inside both lists. An empty list is no bound; where both bound and have none in
/// common, the token is good nowhere, and its own list stays.
fn networks_in_both(own: &[IpNet], above: &[IpNet]) -> Vec<IpNet> {
    match (own, above) {
        ([], other) | (other, []) => return other.to_vec(),
        _ => {}
    }
    let mut both: Vec<IpNet> = Vec::new();
    for one in own {
        if above.iter().any(|wide| wide.contains(one)) {
            both.push(*one);
        } else {
            both.extend(above.iter().filter(|narrow| one.contains(*narrow)));
        }
    }
    if both.is_empty() { own.to_vec() } else { both }
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

fn networks_within(parent: &[IpNet], wanted: Option<Vec<IpNet>>) -> Result<Vec<IpNet>, Refusal> {
    let Some(wanted) = wanted.filter(|wanted| !wanted.is_empty()) else {
        return Ok(parent.to_vec());
    };
    let inside = |network: &IpNet| parent.iter().any(|wide| wide.contains(network));
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
    let mut limits = limits_of(Kind::DerivedToken, cells, realm, false);
    let named: Vec<_> = limits.iter().map(|limit| limit.of.clone()).collect();
    let all = cells.iter().map(|cell| Counted::Service(cell.service.label.clone()));
    let everything = cells.is_empty().then_some(Counted::EveryService);
    for of in all.chain(everything).filter(|of| !named.contains(of)) {
        let (max, at_limit) = (DERIVED_PER_SERVICE_MAX, AtLimit::Refuse);
        limits.push(ActiveLimit { of, max, at_limit, slow_only: false });
    }
    limits
}

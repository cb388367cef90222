//! Which tokens a policy refuses at use: as it stands, and as somebody is about to change it.
//!
//! Lowering a limit blocks at use and revokes nothing, so somebody has to be able to see whom it
//! hits. The judgement is the one of verify, [`EffectivePolicy::blocks`], on the same facts.

use std::collections::HashMap;

use super::Authority;
use crate::caller::Caller;
use crate::clock::Timestamp;
use crate::kind::Kind;
use crate::names::{RealmName, ServiceLabel};
use crate::policy::{Blocked, EffectivePolicy, TokenPolicy};
use crate::refusal::{Refusal, Thing};
use crate::scope::ApiScope;
use crate::service::{Realm, Service, Services};
use crate::store::{Page, PageRequest, TokenFilter};
use crate::subject::Owner;
use crate::token::{State, Token};

/// Tokens read at once.
const READ_AT_ONCE: u32 = 500;
/// Such reads for one page at most; it may then hold fewer hits than asked for although there
/// are more.
const READS_MAX: usize = 64;
/// Begins a place among the tokens for every service, which are looked at last.
const EVERYTHING: &str = "*";

/// A token that a policy refuses.
#[derive(Debug, Clone, PartialEq)]
pub struct BlockedToken {
    /// The token.
    pub token: Token,
    /// The service that refuses it; `None`: the realm does, for every service.
    pub service: Option<ServiceLabel>,
    /// Why.
    pub reason: Blocked,
    /// Whether it is refused there already, before the change.
    pub already: bool,
}

/// What a change would hit.
#[derive(Debug, Clone, PartialEq)]
pub struct Hits {
    /// The tokens within the caller's reach.
    pub page: Page<BlockedToken>,
    /// Refusals of others that were met on the way to this page: their number, and no more.
    pub hidden: u64,
}

/// A change that somebody is about to make.
#[derive(Debug, Clone)]
pub(super) enum Planned {
    /// None: the report of what is.
    Nothing,
    /// A service as it would stand.
    Service(Box<Service>),
    /// A realm as it would stand.
    Realm(Box<Realm>),
}

/// The policies of a realm's services, before and after a change.
struct Policies<'a> {
    realm: Realm,
    planned: &'a Planned,
    known: HashMap<ServiceLabel, Option<(EffectivePolicy, EffectivePolicy)>>,
}

impl Authority {
    /// The tokens within the caller's reach that the policies refuse as they stand, newest
    /// first: for one service, or for all.
    pub async fn blocked_tokens(
        &self,
        caller: &Caller,
        realm: &RealmName,
        service: Option<ServiceLabel>,
        page: PageRequest,
    ) -> Result<Page<BlockedToken>, Refusal> {
        let reach = caller.reach(realm, ApiScope::TokensRead)?;
        self.realm_facts(realm).await?;
        let covers_all =
            reach.whole || service.as_ref().is_some_and(|l| reach.services.contains(l));
        let others = !reach.units.is_empty() || !reach.services.is_empty();
        let owner = reach.own.clone().filter(|_| !covers_all && !others);
        let visible = |token: &Token| covers_all || reach.covers_token(token);
        let planned = Planned::Nothing;
        let found = self.refused_by_policy(realm, service, owner, &planned, &visible, page).await?;
        Ok(found.page)
    }

    /// The same under a change, for who may make it. They see the tokens that they could look at
    /// anyway; the others are counted, so that nobody takes what they see for all of it.
    pub(super) async fn hit_by(
        &self,
        caller: &Caller,
        realm: &RealmName,
        planned: Planned,
        page: PageRequest,
    ) -> Result<Hits, Refusal> {
        let service = match &planned {
            Planned::Service(service) => Some(service.label.clone()),
            Planned::Nothing | Planned::Realm(_) => None,
        };
        let reach = caller.reach(realm, ApiScope::TokensRead).unwrap_or_default();
        let visible = |token: &Token| reach.covers_token(token);
        self.refused_by_policy(realm, service, None, &planned, &visible, page).await
    }

    async fn refused_by_policy(
        &self,
        name: &RealmName,
        service: Option<ServiceLabel>,
        owner: Option<Owner>,
        planned: &Planned,
        visible: &(dyn Fn(&Token) -> bool + Sync),
        page: PageRequest,
    ) -> Result<Hits, Refusal> {
        let now = self.now();
        let realm = self.store.realm_find(name).await?.ok_or(Refusal::NotFound(Thing::Realm))?;
        let mut policies = Policies { realm, planned, known: HashMap::new() };
        let (mut hits, mut reads, mut hidden) = (Vec::new(), 0, 0_u64);
        // Of one service: first those that name it, then those that name all.
        let mut place = page.after.clone();
        let limit = page.limit as usize;
        loop {
            let everything = place.as_deref().and_then(|at| at.strip_prefix(EVERYTHING));
            let after = match (everything, &place) {
                (Some(rest), _) => Some(rest.to_owned()).filter(|rest| !rest.is_empty()),
                (None, place) => place.clone(),
            };
            let filter = TokenFilter {
                owner: owner.clone(),
                service: service.clone().filter(|_| everything.is_none()),
                for_everything: everything.is_some(),
                ..TokenFilter::default()
            };
            let prefix = if everything.is_some() { EVERYTHING } else { "" };
            let ask = PageRequest { limit: READ_AT_ONCE.min(page.limit), after };
            let read = self.store.token_list(name, filter, now, ask).await?;
            reads += 1;
            for token in read.items {
                let (known, seen) = (hits.len(), visible(&token));
                self.judge_under(&mut policies, service.as_ref(), token, now, &mut hits).await?;
                if !seen {
                    let more = hits.drain(known..).count();
                    hidden += u64::try_from(more).unwrap_or(u64::MAX);
                }
            }
            place = match read.next {
                Some(next) => Some(format!("{prefix}{next}")),
                None if service.is_some() && prefix.is_empty() => Some(EVERYTHING.to_owned()),
                None => None,
            };
            if place.is_none() || hits.len() >= limit || reads >= READS_MAX {
                return Ok(Hits { page: Page { items: hits, next: place }, hidden });
            }
        }
    }

    /// Adds what refuses a token: the service that is asked about, or each that it names.
    async fn judge_under(
        &self,
        policies: &mut Policies<'_>,
        service: Option<&ServiceLabel>,
        token: Token,
        now: Timestamp,
        hits: &mut Vec<BlockedToken>,
    ) -> Result<(), Refusal> {
        let ended = matches!(token.state(now), State::Revoked | State::Expired);
        if ended || !is_judged(token.kind) {
            return Ok(());
        }
        let labels: Vec<Option<ServiceLabel>> = match (service, &token.services) {
            (Some(label), _) => vec![Some(label.clone())],
            (None, Services::All) => vec![None],
            (None, Services::Named(labels)) => labels.iter().cloned().map(Some).collect(),
        };
        for label in labels {
            let Some((before, after)) = self.policies_of(policies, label.as_ref()).await? else {
                continue;
            };
            if let Some(reason) = refused(&after, &token, now) {
                let already = refused(&before, &token, now).is_some();
                let token = token.clone();
                hits.push(BlockedToken { token, service: label, reason, already });
            }
        }
        Ok(())
    }

    /// What holds for a service, or for the realm alone, before the change and after it.
    async fn policies_of(
        &self,
        policies: &mut Policies<'_>,
        label: Option<&ServiceLabel>,
    ) -> Result<Option<(EffectivePolicy, EffectivePolicy)>, Refusal> {
        let old_realm = &policies.realm.token_policy;
        let new_realm = match policies.planned {
            Planned::Realm(realm) => &realm.token_policy,
            Planned::Nothing | Planned::Service(_) => old_realm,
        };
        let Some(label) = label else {
            let none = TokenPolicy::default();
            return Ok(Some((none.effective(old_realm), none.effective(new_realm))));
        };
        if let Some(known) = policies.known.get(label) {
            return Ok(known.clone());
        }
        let found = self.store.service_find(&policies.realm.name, label).await?;
        let both = found.map(|service| {
            let old = &service.token_policy;
            let new = match policies.planned {
                Planned::Service(planned) if planned.label == *label => &planned.token_policy,
                _ => old,
            };
            (old.effective(old_realm), new.effective(new_realm))
        });
        policies.known.insert(label.clone(), both.clone());
        Ok(both)
    }
}

/// Kinds that a policy about tokens speaks of at use.
const fn is_judged(kind: Kind) -> bool {
    !matches!(kind, Kind::ClientKey | Kind::RegistrationToken | Kind::Link | Kind::AccessToken)
}

/// Why a policy refuses a token at use.
fn refused(policy: &EffectivePolicy, token: &Token, now: Timestamp) -> Option<Blocked> {
    let expires = token.validity.expires_at().map(Timestamp::micros);
    let for_everything = token.services == Services::All;
    let blocked = policy.blocks(token.created_at.micros(), expires, for_everything, &token.scopes);
    let no_door = || {
        let (Some(open), Some(doors)) = (&policy.doors, &token.doors) else { return false };
        !doors.iter().any(|door| open.contains(door))
    };
    let idle = || {
        policy.idle_expiry_seconds.is_some_and(|window| {
            token.kind != Kind::AuthToken && token.last_active() <= now.plus_seconds(-window)
        })
    };
    blocked
        .or_else(|| no_door().then_some(Blocked::Door))
        .or_else(|| idle().then_some(Blocked::Idle))
}

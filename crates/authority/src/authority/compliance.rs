//! Which tokens a policy refuses at use: as it stands, and as somebody is about to change it.
//!
//! Lowering a limit blocks at use and revokes nothing, so somebody has to be able to see whom it
//! hits. The judgement is the one of verify, [`EffectivePolicy::blocks`], on the same facts.

use std::collections::HashMap;

use super::Authority;
use super::tokens::looked_after;
use crate::caller::{Caller, Reach};
use crate::clock::Timestamp;
use crate::kind::Kind;
use crate::names::{RealmName, ServiceLabel};
use crate::policy::{Blocked, EffectivePolicy, TokenPolicy};
use crate::refusal::{Refusal, Thing};
use crate::scope::ApiScope;
use crate::service::{Realm, Service, Services};
use crate::store::{Page, PageRequest, TokenFilter};
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
    /// All services, once a token for everything was met.
    all: Option<Vec<ServiceLabel>>,
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
        let reach = Some(&reach).filter(|_| !covers_all);
        let planned = Planned::Nothing;
        Ok(self.counted_by_policy(realm, service, reach, None, &planned, page).await?.page)
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
        let all = reach.whole;
        let shown = Some(&reach).filter(|_| !all);
        self.counted_by_policy(realm, service, None, shown, &planned, page).await
    }

    /// What policies refuse of the tokens within reach; without one, of all. Of these, whatever
    /// lies beyond `shown` is only counted.
    async fn counted_by_policy(
        &self,
        name: &RealmName,
        service: Option<ServiceLabel>,
        reach: Option<&Reach>,
        shown: Option<&Reach>,
        planned: &Planned,
        page: PageRequest,
    ) -> Result<Hits, Refusal> {
        let now = self.now();
        let realm = self.store.realm_find(name).await?.ok_or(Refusal::NotFound(Thing::Realm))?;
        let mut policies = Policies { realm, planned, known: HashMap::new(), all: None };
        let within = reach.map(within).unwrap_or_default();
        let all_within = reach.is_none() || within.looked_after.is_some();
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
                service: service.clone().filter(|_| everything.is_none()),
                for_everything: everything.is_some(),
                ..within.clone()
            };
            let prefix = if everything.is_some() { EVERYTHING } else { "" };
            let ask = PageRequest { limit: READ_AT_ONCE.min(page.limit), after };
            let read = self.store.token_list(name, filter, now, ask).await?;
            reads += 1;
            for token in read.items {
                if let Some(reach) = reach.filter(|_| !all_within)
                    && !self.reaches(reach, name, &token).await?
                {
                    continue;
                }
                let seen = match shown {
                    Some(shown) => self.reaches(shown, name, &token).await?,
                    None => true,
                };
                let known = hits.len();
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
            (None, Services::All) => {
                let all = self.all_labels(policies).await?;
                std::iter::once(None).chain(all.into_iter().map(Some)).collect()
            }
            (None, Services::Named(labels)) => labels.iter().cloned().map(Some).collect(),
        };
        for label in labels {
            let everywhere = label.is_none();
            let Some((before, after)) = self.policies_of(policies, label.as_ref()).await? else {
                continue;
            };
            if let Some(reason) = refused(&after, &token, now) {
                let already = refused(&before, &token, now).is_some();
                let token = token.clone();
                hits.push(BlockedToken { token, service: label, reason, already });
                // What the realm refuses is refused at every service, and said once.
                if everywhere {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Every service that a token for everything could be good for.
    async fn all_labels(&self, policies: &mut Policies<'_>) -> Result<Vec<ServiceLabel>, Refusal> {
        if let Some(all) = &policies.all {
            return Ok(all.clone());
        }
        let (mut all, mut page) = (Vec::new(), PageRequest::first(READ_AT_ONCE));
        loop {
            let read = self.store.service_list(&policies.realm.name, page.clone()).await?;
            all.extend(read.items.into_iter().map(|service| service.label));
            page.after = read.next;
            if page.after.is_none() {
                break;
            }
        }
        all.retain(|label| Services::All.includes(label.as_str()));
        policies.all = Some(all.clone());
        Ok(all)
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

/// What of a reach the store can tell: who looks after one unit, or after nothing but their own.
fn within(reach: &Reach) -> TokenFilter {
    let looked_after = looked_after(reach);
    let alone = reach.units.is_empty() && reach.services.is_empty();
    let owner = reach.own.clone().filter(|_| alone);
    TokenFilter { owner, looked_after, ..TokenFilter::default() }
}

/// Kinds that a policy about tokens speaks of at use.
const fn is_judged(kind: Kind) -> bool {
    !matches!(
        kind,
        Kind::ClientKey | Kind::RegistrationToken | Kind::Link | Kind::AccessToken | Kind::Decoy
    )
}

/// Why a policy refuses a token at use.
fn refused(policy: &EffectivePolicy, token: &Token, now: Timestamp) -> Option<Blocked> {
    let expires = token.validity.expires_at().map(Timestamp::micros);
    let for_everything = token.services == Services::All;
    let blocked = policy.blocks(token.created_at.micros(), expires, for_everything, &token.scopes);
    let derived = for_everything && token.kind == Kind::DerivedToken;
    let not_derived = || derived && !policy.takes_derived_for_everything();
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
        .or_else(|| not_derived().then_some(Blocked::Everything))
        .or_else(|| no_door().then_some(Blocked::Door))
        .or_else(|| idle().then_some(Blocked::Idle))
}

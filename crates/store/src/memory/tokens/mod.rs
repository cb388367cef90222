//! Tokens, in memory.

mod acts;
mod enrolment;
mod families;
mod records;
mod repository;

use std::collections::BTreeSet;
use std::net::IpAddr;

use async_trait::async_trait;
use counterfoil_authority::clock::Timestamp;
use counterfoil_authority::event::Event;
use counterfoil_authority::kind::Kind;
use counterfoil_authority::names::{RealmName, ServiceLabel, Username};
use counterfoil_authority::policy::AtLimit;
use counterfoil_authority::secret::TokenId;
use counterfoil_authority::secret_hash::{Mac256, SecretHash};
use counterfoil_authority::service::Services;
use counterfoil_authority::store::{
    ActiveLimit, Consumed, Counted, HandOver, HandedOver, Idempotency, Issued, LookedAfter, Page,
    PageRequest, Record, Rehash, Rotated, TokenChange, TokenFilter, TokenIssue, TokenLeak,
    TokenRotate, TokenStore, TokenUpdate, TokenUpdated, Unavailable, Updated, UsageDelta,
};
use counterfoil_authority::subject::{Owner, User};
use counterfoil_authority::token::{StoredSecret, Token};

use super::{Earlier, Held, MemoryStore, State, page_down};
use crate::codec;
use crate::tokens::{in_repository, matches_device};

pub(super) use enrolment::Families;
pub(super) use repository::Listed;

impl Held {
    /// The token as the contract shows it, with what may be known of its secrets.
    pub(super) fn shown(&self) -> Token {
        let mut facts: Vec<_> = self.secrets.iter().map(|secret| secret.facts.clone()).collect();
        facts.sort_by_key(|facts| (facts.slot, std::cmp::Reverse(facts.created_at)));
        Token { secrets: facts, ..self.token.clone() }
    }

    fn has_slow_secret(&self) -> bool {
        self.secrets.iter().any(|secret| matches!(secret.hash, SecretHash::Slow { .. }))
    }
}

impl State {
    /// Whether the id, the row or the hash of a secret is taken.
    pub(super) fn secret_is_taken(&self, secret: &StoredSecret) -> bool {
        let bytes = codec::hash_bytes(&secret.hash);
        let same = |other: &StoredSecret| {
            other.found_by_hash && secret.found_by_hash && codec::hash_bytes(&other.hash) == bytes
        };
        self.tokens.values().flat_map(|held| &held.secrets).any(same)
    }

    pub(super) fn owner_exists(&self, token: &Token) -> bool {
        match &token.owner {
            Owner::User(name) => self.users.contains_key(&(token.realm.clone(), name.clone())),
            Owner::Client(name) => self.clients.contains_key(&(token.realm.clone(), name.clone())),
        }
    }

    fn issue(&mut self, issue: &TokenIssue) -> Issued {
        match self.earlier(issue.idempotency.as_ref(), issue.token.created_at) {
            Earlier::Answered(answer) => Issued::Replayed(answer),
            Earlier::Other => Issued::KeyReused,
            Earlier::None => self.admit(issue),
        }
    }

    /// Issues a token whose request is known to be new.
    pub(super) fn admit(&mut self, issue: &TokenIssue) -> Issued {
        let TokenIssue { token, secret, limits, data, idempotency, event } = issue;
        let issued = self.arrive(token, Some(secret), limits, idempotency.as_ref(), event);
        if let (Issued::Done { .. }, Some(sealed)) = (&issued, data) {
            self.data.insert(token.id, sealed.clone());
        }
        issued
    }

    /// Stores a new token with its secret, if it has one yet.
    pub(super) fn arrive(
        &mut self,
        token: &Token,
        secret: Option<&StoredSecret>,
        limits: &[ActiveLimit],
        idempotency: Option<&Idempotency>,
        event: &Event,
    ) -> Issued {
        let slow = secret.is_some_and(|secret| matches!(secret.hash, SecretHash::Slow { .. }));
        if !self.owner_exists(token) {
            return Issued::OwnerGone;
        }
        if let Some(label) = self.service_gone(token) {
            return Issued::ServiceGone(label);
        }
        let mut victims = BTreeSet::new();
        let mut limits: Vec<&ActiveLimit> = limits.iter().collect();
        limits.sort_by_key(|limit| limit.of == Counted::Realm);
        for limit in limits {
            if limit.slow_only && !slow {
                continue;
            }
            let mut held = self.held(token, limit, token.created_at);
            if limit.of == Counted::Realm {
                held.retain(|one| !victims.contains(one));
            }
            let excess = (held.len() + 1).saturating_sub(limit.max as usize);
            if excess > 0 && (limit.at_limit == AtLimit::Refuse || excess > held.len()) {
                return Issued::AtLimit(limit.max);
            }
            victims.extend(held.into_iter().take(excess));
        }
        let known = secret.is_some_and(|secret| self.secret_is_taken(secret));
        if known || self.tokens.contains_key(&token.id) {
            return Issued::Collision;
        }
        if let Some(taken) = self.enter_repository(token) {
            return taken;
        }
        let held = Held {
            token: Token { revocation: None, secrets: Vec::new(), ..token.clone() },
            secrets: secret.cloned().into_iter().collect(),
        };
        let shown = held.shown();
        self.tokens.insert(token.id, held);
        self.tell_end(&shown, token.created_at);
        let replaced: Vec<TokenId> = victims.into_iter().map(|(_, id)| id).collect();
        self.replace(&replaced, token.created_at, event);
        self.keep(idempotency, &shown);
        self.record(event);
        Issued::Done { token: shown, replaced }
    }

    /// The first of a token's services that does not exist.
    fn service_gone(&self, token: &Token) -> Option<ServiceLabel> {
        let Services::Named(labels) = &token.services else { return None };
        labels.iter().find(|label| !self.has_service(&token.realm, label)).cloned()
    }

    /// Which tokens of this one's owner and kind count towards a limit at `now`, oldest first.
    pub(super) fn held(
        &self,
        new: &Token,
        limit: &ActiveLimit,
        now: Timestamp,
    ) -> BTreeSet<(String, TokenId)> {
        let named = |token: &Token| match &limit.of {
            Counted::Service(label) => token.service_labels().contains(&label.as_str()),
            Counted::EveryService => token.service_labels().contains(&"*"),
            Counted::Realm | Counted::Repository(_) => true,
        };
        if let Counted::Repository(of) = &limit.of {
            return self.held_in_repository(new, of, now);
        }
        let counts = |held: &&Held| {
            let token = &held.token;
            let ended = token.validity.expires_at().is_some_and(|end| end <= now);
            token.realm == new.realm
                && token.owner == new.owner
                && token.kind == new.kind
                && token.revocation.is_none()
                && !ended
                && named(token)
                && (!limit.slow_only || held.has_slow_secret())
        };
        let held = self.tokens.values().filter(counts);
        held.map(|held| (place(&held.token), held.token.id)).collect()
    }
}

impl State {
    /// Whether who administers a unit looks after a token.
    fn looks_after(&self, token: &Token, by: &LookedAfter) -> bool {
        let drawn = matches!(token.kind, Kind::RegistrationToken | Kind::AuthToken);
        let of_unit = |user: &User| user.unit.as_ref() == Some(&by.unit);
        let owner = token.owner.user().filter(|_| !drawn);
        token.unit.as_ref() == Some(&by.unit)
            || by.own.as_ref() == Some(&token.owner)
            || owner
                .and_then(|name| self.users.get(&(token.realm.clone(), name.clone())))
                .is_some_and(of_unit)
    }
}

/// Where a token stands in a list.
fn place(token: &Token) -> String {
    codec::sort_key(token.created_at, token.id)
}

fn matches(token: &Token, filter: &TokenFilter, now: Timestamp) -> bool {
    let within = |labels: &Vec<ServiceLabel>| match &token.services {
        Services::All => false,
        Services::Named(named) => {
            !named.is_empty() && named.iter().all(|label| labels.contains(label))
        }
    };
    let named = token.service_labels();
    let validity = token.validity;
    let ends_before = |limit: Timestamp| validity.expires_at().is_some_and(|end| end < limit);
    filter.owner.as_ref().is_none_or(|owner| token.owner == *owner)
        && filter.service.as_ref().is_none_or(|label| named.contains(&label.as_str()))
        && (!filter.for_everything || token.services == Services::All)
        && filter.kind.is_none_or(|kind| token.kind == kind)
        && filter.state.is_none_or(|state| token.state(now) == state)
        && filter.name.as_ref().is_none_or(|name| token.name.as_ref() == Some(name))
        && filter.labels.iter().all(|(name, value)| token.labels.get(name) == Some(value))
        && filter.unit.as_ref().is_none_or(|unit| token.unit.as_ref() == Some(unit))
        && filter.expires_before.is_none_or(ends_before)
        && filter.unused_since.is_none_or(|since| token.usage.last_at.is_none_or(|at| at < since))
        && filter.only_services.as_ref().is_none_or(within)
        && filter.parent.is_none_or(|parent| token.parent == Some(parent))
        && in_repository(token, filter)
        && matches_device(token, filter)
}

#[async_trait]
impl TokenStore for MemoryStore {
    async fn token_issue(&self, issue: TokenIssue) -> Result<Issued, Unavailable> {
        Ok(self.write(|state| state.issue(&issue)))
    }

    async fn token_find(
        &self,
        realm: &RealmName,
        id: TokenId,
    ) -> Result<Option<Token>, Unavailable> {
        Ok(self.read(|state| {
            let held = state.tokens.get(&id).filter(|held| held.token.realm == *realm);
            held.map(Held::shown)
        }))
    }

    async fn token_list(
        &self,
        realm: &RealmName,
        filter: TokenFilter,
        now: Timestamp,
        page: PageRequest,
    ) -> Result<Page<Token>, Unavailable> {
        Ok(self.read(|state| {
            let matching = state.tokens.values().filter(|held| {
                held.token.realm == *realm
                    && matches(&held.token, &filter, now)
                    && filter
                        .looked_after
                        .as_ref()
                        .is_none_or(|by| state.looks_after(&held.token, by))
            });
            page_down(matching.map(Held::shown).collect(), &page, place)
        }))
    }

    async fn token_hand_over(&self, hand_over: HandOver) -> Result<HandedOver, Unavailable> {
        Ok(self.write(|state| state.hand_over(&hand_over)))
    }

    async fn token_update(&self, update: TokenUpdate) -> Result<TokenUpdated, Unavailable> {
        Ok(self.write(|state| state.update(&update)))
    }

    async fn token_rotate(&self, rotate: TokenRotate) -> Result<Rotated, Unavailable> {
        Ok(self.write(|state| state.rotate(&rotate)))
    }

    async fn token_change(&self, change: TokenChange) -> Result<Updated<Token>, Unavailable> {
        Ok(self.write(|state| state.change(&change)))
    }

    async fn token_leaked(&self, leak: TokenLeak) -> Result<bool, Unavailable> {
        Ok(self.write(|state| {
            let is_new = state.use_proof(leak.once, leak.known_until, leak.at);
            if is_new {
                if let Some(change) = &leak.change {
                    state.change(change);
                }
                state.record(&leak.event);
            }
            is_new
        }))
    }

    async fn token_record(&self, id: TokenId) -> Result<Option<Record>, Unavailable> {
        Ok(self.read(|state| state.tokens.get(&id).map(|held| state.record_of(held))))
    }

    async fn token_record_by_hash(&self, mac: Mac256) -> Result<Option<Record>, Unavailable> {
        Ok(self.read(|state| {
            let is = |secret: &StoredSecret| {
                secret.found_by_hash && codec::hash_bytes(&secret.hash) == mac.as_bytes()
            };
            let found = state.tokens.values().find(|held| held.secrets.iter().any(is));
            found.map(|held| state.record_of(held))
        }))
    }

    async fn token_records_slow(
        &self,
        realm: &RealmName,
        user: &Username,
        service: &ServiceLabel,
    ) -> Result<Vec<Record>, Unavailable> {
        Ok(self.read(|state| {
            let owner = Owner::User(user.clone());
            let mut found: Vec<&Held> = state.tokens.values().collect();
            found.retain(|held| {
                let token = &held.token;
                token.realm == *realm
                    && token.owner == owner
                    && token.revocation.is_none()
                    && token.service_labels().contains(&service.as_str())
                    && held.has_slow_secret()
            });
            found.sort_by_key(|held| std::cmp::Reverse(place(&held.token)));
            found.into_iter().map(|held| state.record_of(held)).collect()
        }))
    }

    async fn token_last_active(&self, id: TokenId) -> Result<Option<Timestamp>, Unavailable> {
        Ok(self.read(|state| state.tokens.get(&id).map(|held| held.shown().last_active())))
    }

    async fn token_consume(
        &self,
        id: TokenId,
        now: Timestamp,
        ip: Option<IpAddr>,
    ) -> Result<Consumed, Unavailable> {
        Ok(self.write(|state| state.consume(id, now, ip)))
    }

    async fn usage_flush(
        &self,
        usage: Vec<UsageDelta>,
        rehashed: Vec<Rehash>,
        events: Vec<Event>,
    ) -> Result<(), Unavailable> {
        self.write(|state| {
            for delta in &usage {
                state.count(delta);
            }
            for rehash in &rehashed {
                state.rehash(rehash);
            }
            for event in &events {
                state.record(event);
            }
        });
        Ok(())
    }

    async fn usage_settle(&self) -> Result<bool, Unavailable> {
        // Every flush is added at once.
        Ok(false)
    }
}

//! Changing tokens, in memory.

use std::net::IpAddr;

use counterfoil_authority::clock::Timestamp;
use counterfoil_authority::enrolment::{Counts, Device};
use counterfoil_authority::event::Event;
use counterfoil_authority::kind::Kind;
use counterfoil_authority::names::RealmName;
use counterfoil_authority::secret::TokenId;
use counterfoil_authority::store::{
    ActiveLimit, Change, Consumed, HandOver, HandedOver, Rehash, Rotated, TokenAct, TokenChange,
    TokenRotate, TokenUpdate, TokenUpdated, Updated, UsageDelta,
};
use counterfoil_authority::subject::Owner;
use counterfoil_authority::token::{
    Revocation, SECRETS_PER_TOKEN_MAX, SentinelAttributes, Slot, State as TokenState, StoredSecret,
    Token,
};

use super::super::{Earlier, Held, State};
use crate::events;
use crate::tokens::{still_told, takes_place};

/// A device as it was, with what the other one says of itself.
fn described(old: Option<Box<Device>>, new: Option<Box<Device>>) -> Option<Box<Device>> {
    let client = new.and_then(|new| new.client);
    old.map(|old| Box::new(Device { client, ..*old }))
}

/// A token with what an edit may set of another.
fn edited(old: Token, new: Token) -> Token {
    Token {
        name: new.name,
        description: new.description,
        services: new.services,
        scopes: new.scopes,
        permissions: new.permissions,
        networks: new.networks,
        doors: new.doors,
        validity: new.validity,
        max_usages: new.max_usages,
        labels: new.labels,
        airlock: new.airlock,
        unit: new.unit,
        device: described(old.device.clone(), new.device),
        version: old.version + 1,
        ..old
    }
}

impl State {
    fn of_realm(&mut self, realm: &RealmName, id: TokenId) -> Option<&mut Held> {
        self.tokens.get_mut(&id).filter(|held| held.token.realm == *realm)
    }

    /// What stands in the way of an edit: another token's serial, or a limit.
    fn refusal_of(&self, update: &TokenUpdate, old: &Token) -> Option<TokenUpdated> {
        let TokenUpdate { token, limits, event, .. } = update;
        if self.serial_is_taken(old, token) {
            return Some(TokenUpdated::SerialTaken);
        }
        let mut limits = limits.iter().filter(|limit| takes_place(limit, old, token, event.at));
        let full = limits.find(|limit| self.held(old, limit, event.at).len() >= limit.max as usize);
        full.map(|limit| TokenUpdated::AtLimit(limit.max))
    }

    pub(super) fn hand_over(&mut self, hand_over: &HandOver) -> HandedOver {
        let HandOver { token, limits, events } = hand_over;
        let at = events[0].at;
        if !self.owner_exists(token) {
            return HandedOver::OwnerGone;
        }
        let Some(held) = self.of_realm(&token.realm, token.id) else {
            return HandedOver::NotFound;
        };
        if held.token.version != token.version {
            return HandedOver::VersionMismatch;
        }
        if held.has_slow_secret() {
            return HandedOver::Bound;
        }
        let found = &held.token;
        let lives =
            found.revocation.is_none() && found.validity.expires_at().is_none_or(|end| at < end);
        let full = |limit: &&ActiveLimit| self.held(token, limit, at).len() >= limit.max as usize;
        if let Some(limit) = limits.iter().filter(|_| lives).find(full) {
            return HandedOver::AtLimit(limit.max);
        }
        let Some(held) = self.of_realm(&token.realm, token.id) else {
            return HandedOver::NotFound;
        };
        held.token.owner = token.owner.clone();
        held.token.version += 1;
        held.token.changed_at = Some(at);
        let handed = held.shown();
        for event in events {
            self.record(event);
        }
        self.changed(Change::Token(token.id), at);
        HandedOver::Done(handed)
    }

    pub(in super::super) fn update(&mut self, update: &TokenUpdate) -> TokenUpdated {
        let TokenUpdate { token, data, event, .. } = update;
        let Some(held) = self.of_realm(&token.realm, token.id) else {
            return TokenUpdated::NotFound;
        };
        let old = held.token.clone();
        if old.version != token.version {
            return TokenUpdated::VersionMismatch;
        }
        if update.as_used.as_ref().is_some_and(|judged| !self.uses.are(token.id, judged)) {
            return TokenUpdated::UsedSince;
        }
        if !self.has_unit(&token.realm, token.unit.as_ref()) {
            return TokenUpdated::UnitGone;
        }
        if let Some(label) = self.service_gone(token) {
            return TokenUpdated::ServiceGone(label);
        }
        let counted = Token {
            used: old.used,
            sentinel: SentinelAttributes {
                reserved: old.sentinel.reserved,
                returned: old.sentinel.returned,
                told: old.sentinel.told,
                ..token.sentinel.clone()
            },
            ..token.clone()
        };
        if let Some(refused) = self.refusal_of(update, &old) {
            return refused;
        }
        let taken = Counts::of(&counted).taken();
        let counts = old.kind == Kind::RegistrationToken;
        if counts && counted.sentinel.count.is_some_and(|count| count < taken) {
            return TokenUpdated::CountTaken(taken);
        }
        let told = still_told(&counted);
        self.uses.give(&old, token, event.at);
        let Some(held) = self.of_realm(&token.realm, token.id) else {
            return TokenUpdated::NotFound;
        };
        let (reserved, returned) = (old.sentinel.reserved, old.sentinel.returned);
        let ends = old.validity.expires_at();
        let new = token.clone();
        let sentinel = SentinelAttributes { reserved, returned, told, ..new.sentinel.clone() };
        held.token = Token { sentinel, changed_at: Some(event.at), ..edited(old, new) };
        let updated = held.shown();
        if let Some(sealed) = data {
            self.data.insert(token.id, sealed.clone());
        }
        if ends != updated.validity.expires_at() {
            self.families.forget_end(updated.id);
            self.tell_end(&updated, event.at);
        }
        self.record(event);
        self.changed(Change::Token(token.id), event.at);
        TokenUpdated::Done(updated)
    }

    pub(super) fn rotate(&mut self, rotate: &TokenRotate) -> Rotated {
        match self.earlier(rotate.idempotency.as_ref(), rotate.at) {
            Earlier::Answered(answer) => return Rotated::Replayed(answer),
            Earlier::Other => return Rotated::KeyReused,
            Earlier::None if rotate.only_replay => return Rotated::NotAnswered,
            Earlier::None => {}
        }
        let taken = self.secret_is_taken(&rotate.secret);
        let Some(held) = self.of_realm(&rotate.realm, rotate.id) else { return Rotated::NotFound };
        if rotate.expected_version.is_some_and(|expected| expected != held.token.version) {
            return Rotated::VersionMismatch;
        }
        if held.token.revocation.is_some() {
            return Rotated::Ended(TokenState::Revoked);
        }
        if held.token.validity.expires_at().is_some_and(|end| end <= rotate.at) {
            return Rotated::Ended(TokenState::Expired);
        }
        if taken || held.secrets.iter().any(|secret| secret.id == rotate.secret.id) {
            return Rotated::Collision;
        }
        for former in held.secrets.iter_mut().filter(|s| s.facts.slot == Slot::Current) {
            former.facts.slot = Slot::Previous;
            let own = former.facts.expires_at.unwrap_or(rotate.previous_until);
            former.facts.expires_at = Some(own.min(rotate.previous_until));
        }
        let mut secret = rotate.secret.clone();
        secret.facts.slot = Slot::Current;
        held.secrets.push(secret);
        held.secrets.sort_by_key(|s| {
            (s.facts.slot == Slot::Previous, std::cmp::Reverse((s.facts.created_at, s.id.clone())))
        });
        held.secrets.truncate(SECRETS_PER_TOKEN_MAX);
        held.token.changed_at = Some(rotate.at);
        held.token.version += 1;
        let rotated = held.shown();
        self.keep(rotate.idempotency.as_ref(), &rotated);
        self.record(&rotate.event);
        self.changed(Change::Token(rotate.id), rotate.event.at);
        Rotated::Done(rotated)
    }

    pub(in super::super) fn change(&mut self, change: &TokenChange) -> Updated<Token> {
        let Some(held) = self.of_realm(&change.realm, change.id) else { return Updated::NotFound };
        let token = &mut held.token;
        if change.expected_version.is_some_and(|expected| expected != token.version) {
            return Updated::VersionMismatch;
        }
        let cascades = matches!(change.act, TokenAct::RevokeWithChildren { .. });
        let was_revoked = token.revocation.is_some();
        let unchanged = !cascades
            && (was_revoked
                || match change.act {
                    TokenAct::Enable => token.enabled,
                    TokenAct::Disable => !token.enabled,
                    TokenAct::Lock => token.locked,
                    TokenAct::Unlock => !token.locked,
                    TokenAct::Revoke { .. } | TokenAct::RevokeWithChildren { .. } => false,
                    TokenAct::Approve => !token.pending,
                });
        if unchanged {
            return Updated::Done(held.shown());
        }
        match &change.act {
            TokenAct::Enable | TokenAct::Disable => token.enabled = !token.enabled,
            TokenAct::Lock | TokenAct::Unlock => token.locked = !token.locked,
            TokenAct::Revoke { by, reason } | TokenAct::RevokeWithChildren { by, reason } => {
                let sentence = Revocation { at: change.at, by: by.clone(), reason: reason.clone() };
                self.release(change.id);
                if !was_revoked {
                    self.end(&[change.id], &sentence);
                }
                self.end_derived(&[change.id], &sentence, &change.event);
                if cascades {
                    self.end_drawn(change.id, &sentence, &change.event);
                }
            }
            TokenAct::Approve => {
                if !self.approve(change.id, change.at, &change.event) {
                    let ended = self.tokens.get(&change.id).map(Held::shown);
                    return ended.map_or(Updated::NotFound, Updated::Done);
                }
            }
        }
        let ends = matches!(
            change.act,
            TokenAct::Revoke { .. } | TokenAct::RevokeWithChildren { .. } | TokenAct::Approve
        );
        if !ends && let Some(held) = self.tokens.get_mut(&change.id) {
            held.token.changed_at = Some(change.at);
            held.token.version += 1;
        }
        self.record(&change.event);
        self.changed(Change::Token(change.id), change.event.at);
        let changed = self.tokens.get(&change.id).map(Held::shown);
        changed.map_or(Updated::NotFound, Updated::Done)
    }

    /// Ends tokens in favour of a new one.
    pub(super) fn replace(&mut self, ids: &[TokenId], at: Timestamp, event: &Event) {
        let by = event.origin.actor.clone();
        let sentence = Revocation { at, by: by.to_string(), reason: Some("replaced".into()) };
        self.end(ids, &sentence);
        self.tell(ids, "token.replaced", "replaced", event);
        self.end_derived(ids, &sentence, event);
    }

    /// Ends every token of an owner who is removed.
    pub(in super::super) fn revoke_all_of(
        &mut self,
        realm: &RealmName,
        owner: &Owner,
        at: Timestamp,
        event: &Event,
    ) {
        let theirs = self.tokens.values().filter(|held| {
            let token = &held.token;
            token.realm == *realm && token.owner == *owner && token.revocation.is_none()
        });
        let ids: Vec<TokenId> = theirs.map(|held| held.token.id).collect();
        let by = event.origin.actor.clone();
        let sentence = Revocation { at, by: by.to_string(), reason: Some("owner deleted".into()) };
        self.end(&ids, &sentence);
        self.tell(&ids, "token.revoked", "owner deleted", event);
        self.end_derived(&ids, &sentence, event);
    }

    pub(super) fn end(&mut self, ids: &[TokenId], sentence: &Revocation) {
        for id in ids {
            if let Some(held) = self.tokens.get_mut(id) {
                held.token.revocation = Some(sentence.clone());
                held.token.version += 1;
            }
        }
    }

    pub(super) fn end_derived(
        &mut self,
        parents: &[TokenId],
        sentence: &Revocation,
        event: &Event,
    ) {
        let reason = Some("parent revoked".to_owned());
        let sentence = Revocation { reason, ..sentence.clone() };
        let mut parents = parents.to_vec();
        while !parents.is_empty() {
            let derived = self.tokens.values().filter(|held| {
                let token = &held.token;
                token.kind == Kind::DerivedToken
                    && token.revocation.is_none()
                    && token.parent.is_some_and(|parent| parents.contains(&parent))
            });
            let ids: Vec<TokenId> = derived.map(|held| held.token.id).collect();
            self.end(&ids, &sentence);
            self.tell(&ids, "token.revoked", "parent revoked", event);
            parents = ids;
        }
    }

    pub(super) fn tell(
        &mut self,
        ids: &[TokenId],
        kind: &'static str,
        reason: &str,
        cause: &Event,
    ) {
        for id in ids {
            self.record(&events::consequence(cause, kind, *id, reason));
            self.changed(Change::Token(*id), cause.at);
        }
    }

    pub(in super::super) fn consume(
        &mut self,
        id: TokenId,
        now: Timestamp,
        ip: Option<IpAddr>,
    ) -> Consumed {
        let Some(held) = self.tokens.get_mut(&id) else {
            return Consumed::Refused(TokenState::Revoked);
        };
        match held.token.state(now) {
            TokenState::Active => {}
            state => return Consumed::Refused(state),
        }
        held.token.used += 1;
        let used = held.token.used;
        self.count(&UsageDelta {
            token: id,
            accepted: 1,
            denied: 0,
            first_at: Some(now),
            last_at: Some(now),
            last_ip: ip,
            is_listed: true,
        });
        Consumed::Done { used }
    }

    pub(super) fn count(&mut self, delta: &UsageDelta) {
        let Some(held) = self.tokens.get_mut(&delta.token) else { return };
        let usage = &mut held.token.usage;
        usage.first_at = [usage.first_at, delta.first_at].into_iter().flatten().min();
        if delta.last_at > usage.last_at {
            usage.last_at = delta.last_at;
            usage.last_ip = delta.last_ip;
        }
        usage.total += delta.accepted;
        usage.denied_total += delta.denied;
    }

    pub(super) fn rehash(&mut self, rehash: &Rehash) {
        let Some(held) = self.tokens.get_mut(&rehash.token) else { return };
        let is_old = |secret: &&mut StoredSecret| secret.hash == rehash.old;
        if let Some(secret) = held.secrets.iter_mut().find(is_old) {
            secret.hash = rehash.new.clone();
            let at = held.token.usage.last_at.unwrap_or_default();
            self.changed(Change::Token(rehash.token), at);
        }
    }
}

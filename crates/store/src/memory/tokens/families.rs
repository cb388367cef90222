//! Families of refresh secrets, in memory.

use counterfoil_authority::clock::Timestamp;
use counterfoil_authority::enrolment::{
    POLL_SECONDS, REFRESH_RETRIES_MAX, REFRESH_SECRETS_MAX, replaced,
};
use counterfoil_authority::store::{Change, Refresh, Refreshed};
use counterfoil_authority::subject::{Owner, UserStatus};
use counterfoil_authority::token::{Revocation, Slot, State as TokenState, StoredSecret, Token};

use super::super::State;
use crate::codec;

/// What a refresh secret was exchanged for.
#[derive(Clone)]
pub(super) struct Successor {
    sealed: Vec<u8>,
    retries: u64,
    pub(super) expires_at: Timestamp,
}

impl State {
    pub(super) fn refresh(&mut self, refresh: &Refresh) -> Refreshed {
        let Some((token, secret)) = self.presented(refresh) else { return Refreshed::Unknown };
        let Some(device) = token.device.clone() else { return Refreshed::Unknown };
        if device.confirmation.is_some() && device.confirmation != refresh.confirmation {
            return Refreshed::WrongKey;
        }
        let state = token.state(refresh.at);
        if state == TokenState::Pending
            && device.request_ends_at.is_some_and(|end| end <= refresh.at)
        {
            self.time_out(token.id, &refresh.event);
            let reason = Some("timed out".to_owned());
            return Refreshed::Refused { state: TokenState::Revoked, reason };
        }
        match state {
            TokenState::Active => {}
            TokenState::Pending => return self.poll(refresh),
            state => {
                let reason = token.revocation.and_then(|revocation| revocation.reason);
                return Refreshed::Refused { state, reason };
            }
        }
        if !self.owner_is_active(&token) {
            return Refreshed::OwnerInactive;
        }
        if device.idle_ends_at.is_some_and(|end| end <= refresh.at) {
            self.end_by_itself(token.id, "token.idle-ended", "idle", &refresh.event);
            return Refreshed::Idle;
        }
        let ends = secret.as_ref().map(|secret| secret.facts.expires_at);
        if ends == Some(Some(replaced())) {
            return Refreshed::Unknown;
        }
        let over = ends.is_none_or(|end| end.is_some_and(|end| end <= refresh.at));
        if !over && let Some(fault) = refresh.fault(&token) {
            return fault;
        }
        match secret.filter(|_| !over).map(|secret| (secret.facts.slot, secret.id)) {
            Some((Slot::Current, secret)) => self.exchange(refresh, &secret),
            Some((Slot::Previous, secret)) => self.again(&token, &secret, refresh.at),
            _ => {
                let reason = Some("refresh reused".to_owned());
                let sentence = Revocation { at: refresh.at, by: "system".into(), reason };
                self.end(&[token.id], &sentence);
                self.end_derived(&[token.id], &sentence, &refresh.event);
                self.record(&refresh.event);
                self.changed(Change::Token(token.id), refresh.at);
                Refreshed::Reused
            }
        }
    }

    /// The family and the secret; `None` instead of that if its hash is long gone.
    fn presented(&self, refresh: &Refresh) -> Option<(Token, Option<StoredSecret>)> {
        let held = self.tokens.get(&refresh.id).filter(|held| held.token.realm == refresh.realm)?;
        let same = |bytes: &[u8; 32]| {
            refresh.presented.iter().any(|hash| codec::hash_bytes(hash) == bytes)
        };
        let found = held.secrets.iter().find(|secret| same(codec::hash_bytes(&secret.hash)));
        let known = found.is_some() || (refresh.made_here && !held.token.pending);
        known.then(|| (held.shown(), found.cloned()))
    }

    fn owner_is_active(&self, token: &Token) -> bool {
        match &token.owner {
            Owner::User(name) => {
                let user = self.users.get(&(token.realm.clone(), name.clone()));
                user.is_some_and(|user| user.status == UserStatus::Active)
            }
            Owner::Client(name) => {
                let client = self.clients.get(&(token.realm.clone(), name.clone()));
                client.is_some_and(|client| client.enabled)
            }
        }
    }

    fn poll(&mut self, refresh: &Refresh) -> Refreshed {
        let known = self.families.polls.get(&refresh.id).copied();
        let interval = known.map_or(POLL_SECONDS, |(interval, _)| interval);
        let too_soon = known.is_some_and(|(_, last)| refresh.at < last.plus_seconds(interval));
        let interval_seconds = if too_soon { interval + POLL_SECONDS } else { interval };
        self.families.polls.insert(refresh.id, (interval_seconds, refresh.at));
        Refreshed::Waiting { too_soon, interval_seconds }
    }

    fn exchange(&mut self, refresh: &Refresh, presented: &str) -> Refreshed {
        let until = refresh.at.plus_seconds(refresh.grace_seconds);
        let Some(held) = self.tokens.get_mut(&refresh.id) else { return Refreshed::Unknown };
        if held.secrets.iter().any(|secret| secret.id == refresh.secret.id) {
            return Refreshed::Collision;
        }
        for former in held.secrets.iter_mut().filter(|s| s.facts.slot == Slot::Current) {
            former.facts.slot = Slot::Previous;
            let own = former.facts.expires_at.unwrap_or(until);
            former.facts.expires_at = Some(own.min(until));
        }
        let mut secret = refresh.secret.clone();
        secret.facts.slot = Slot::Current;
        held.secrets.push(secret);
        held.secrets.sort_by_key(|s| {
            (s.facts.slot == Slot::Previous, std::cmp::Reverse((s.facts.created_at, s.id.clone())))
        });
        held.secrets.truncate(REFRESH_SECRETS_MAX);
        if let Some(device) = &mut held.token.device {
            device.refreshed_at = Some(refresh.at);
            device.idle_ends_at = device.idle_seconds.map(|idle| refresh.at.plus_seconds(idle));
        }
        let shown = held.shown();
        let successor = Successor { sealed: refresh.sealed.clone(), retries: 0, expires_at: until };
        self.families
            .successors
            .retain(|(id, _), kept| *id != refresh.id || kept.expires_at > refresh.at);
        self.families.successors.insert((refresh.id, presented.to_owned()), successor);
        self.changed(Change::Token(refresh.id), refresh.at);
        Refreshed::Rotated(Box::new(shown))
    }

    fn again(&mut self, token: &Token, presented: &str, at: Timestamp) -> Refreshed {
        let kept = self.families.successors.get_mut(&(token.id, presented.to_owned()));
        match kept.filter(|kept| kept.expires_at > at && kept.retries < REFRESH_RETRIES_MAX) {
            None => Refreshed::TooOften,
            Some(kept) => {
                kept.retries += 1;
                Refreshed::Again { token: Box::new(token.clone()), sealed: kept.sealed.clone() }
            }
        }
    }
}

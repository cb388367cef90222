//! Tokens of repositories, in memory.

use std::collections::BTreeSet;

use async_trait::async_trait;
use counterfoil_authority::clock::Timestamp;
use counterfoil_authority::event::Event;
use counterfoil_authority::names::{RealmName, RepositoryName, Username};
use counterfoil_authority::repository::{Membership, Place, RepositoryLimit};
use counterfoil_authority::secret::TokenId;
use counterfoil_authority::store::{
    Assign, Change, Issued, ListedBy, Listing, ListingRemove, ListingRequest, Moved, Promote,
    RepositoryStore, Unavailable,
};
use counterfoil_authority::subject::Owner;
use counterfoil_authority::token::{Revocation, State as TokenState, Token};
use counterfoil_authority::validity::Validity;

use super::super::{MemoryStore, State};
use super::place;
use crate::events;
use crate::tokens::{matches_listing, start_of_listing};

/// That a token is in its repository, and since when its owner has it.
#[derive(Debug, Clone)]
pub(in super::super) struct Listed {
    /// Since when its owner has it.
    held_since: Option<Timestamp>,
    /// Its uses before that.
    base_total: u64,
}

impl State {
    /// The other tokens that are in the repository of this one.
    fn others_in_repository(&self, token: &Token) -> Vec<&Token> {
        let name = |of: &Token| of.repository.as_ref().map(|member| member.name.clone());
        let listed = self.listed.keys().filter_map(|id| self.tokens.get(id));
        let others = listed.map(|held| &held.token).filter(|other| {
            other.id != token.id && other.realm == token.realm && name(other) == name(token)
        });
        others.collect()
    }

    /// Whether another token of the repository has its serial.
    pub(super) fn serial_is_taken(&self, before: &Token, after: &Token) -> bool {
        let serial = after.airlock.serial.as_ref();
        let same = |other: &&Token| other.airlock.serial.as_ref() == serial;
        serial.is_some()
            && self.listed.contains_key(&after.id)
            && self.others_in_repository(before).iter().any(same)
    }

    /// Gives a new token its place, if it is in a repository; or says what is taken.
    pub(super) fn enter_repository(&mut self, token: &Token) -> Option<Issued> {
        let membership = token.repository.as_ref()?;
        let is_credential = matches!(membership.place, Place::Current | Place::Next);
        let same_place = |other: &&&Token| {
            let theirs = other.repository.as_ref().map(|membership| membership.place);
            is_credential && other.owner == token.owner && theirs == Some(membership.place)
        };
        let others = self.others_in_repository(token);
        // A credential that has ended leaves its place to the next one.
        let ended = others.iter().filter(same_place).find(|other| other.revocation.is_some());
        let ended = ended.map(|other| other.id);
        let rest: Vec<_> = others.iter().filter(|other| Some(other.id) != ended).collect();
        let serial = token.airlock.serial.as_ref();
        let same_serial =
            |other: &&&&Token| serial.is_some() && other.airlock.serial.as_ref() == serial;
        if rest.iter().any(|other| same_serial(&other)) {
            return Some(Issued::SerialTaken);
        }
        if rest.iter().any(same_place) {
            return Some(Issued::PlaceTaken);
        }
        if let Some(id) = ended {
            self.listed.remove(&id);
        }
        let held_since = (membership.place != Place::Stock).then_some(token.created_at);
        self.listed.insert(token.id, Listed { held_since, base_total: 0 });
        None
    }

    /// Which tokens of this one's owner count towards a limit of the repository, oldest first.
    pub(super) fn held_in_repository(
        &self,
        new: &Token,
        of: &RepositoryLimit,
        now: Timestamp,
    ) -> BTreeSet<(String, TokenId)> {
        let counts = |token: &&Token| {
            let ended = token.validity.expires_at().is_some_and(|end| end <= now);
            let membership = token.repository.as_ref();
            let here = membership.is_some_and(|m| m.name == of.name && m.place != Place::Stock);
            here && token.realm == new.realm
                && token.owner == new.owner
                && token.revocation.is_none()
                && (of.count_expired || !ended)
        };
        let listed = self.listed.keys().filter_map(|id| self.tokens.get(id));
        let held = listed.map(|held| &held.token).filter(counts);
        held.map(|token| (place(token), token.id)).collect()
    }
}

/// What a place in a list is ordered by, as the column of a store would have it.
fn key_of(listing: &Listing, by: ListedBy) -> i64 {
    match by {
        ListedBy::Age => 0,
        ListedBy::LastUse => listing.last_at.map_or(0, Timestamp::micros),
        ListedBy::Total => i64::try_from(listing.total).unwrap_or(i64::MAX),
        ListedBy::End => listing.token.validity.expires_at().map_or(0, Timestamp::micros),
    }
}

fn is_listed(listing: &Listing, request: &ListingRequest) -> bool {
    let (token, filter) = (&listing.token, &request.filter);
    let of_owner =
        |name: &Username| listing.held_since.is_some() && token.owner == Owner::User(name.clone());
    let in_place = |place| token.repository.as_ref().map(|member| member.place) == Some(place);
    token.realm == request.realm
        && token.repository.as_ref().is_some_and(|member| member.name == request.repository)
        && filter.owner.as_ref().is_none_or(of_owner)
        && filter.place.is_none_or(in_place)
        && filter.last_use.contains(key_of(listing, ListedBy::LastUse))
        && filter.total.contains(key_of(listing, ListedBy::Total))
        && filter.ends.contains(key_of(listing, ListedBy::End))
        && filter.begins.contains(token.validity.not_before().micros())
        && filter.issued.contains(token.created_at.micros())
        && filter.enabled.is_none_or(|enabled| token.enabled == enabled)
        && filter.state.is_none_or(|state| token.state(request.now) == state)
        && matches_listing(token, filter)
}

impl State {
    fn listing(&self, realm: &RealmName, id: TokenId) -> Option<Listing> {
        let listed = self.listed.get(&id)?;
        let token = self.tokens.get(&id).filter(|held| held.token.realm == *realm)?.shown();
        // Nobody uses what nobody has.
        let counts = |at: &Timestamp| listed.held_since.is_some_and(|since| since <= *at);
        let last_at = token.usage.last_at.filter(counts);
        let first_at = token.usage.first_at.filter(counts).or(last_at);
        Some(Listing {
            held_since: listed.held_since,
            first_at,
            last_at,
            total: token.usage.total.saturating_sub(listed.base_total),
            sealed: self.data.get(&id).cloned(),
            token,
        })
    }

    fn leave(&mut self, id: TokenId) {
        self.listed.remove(&id);
        self.data.remove(&id);
    }

    fn in_place(
        &self,
        realm: &RealmName,
        repository: &RepositoryName,
        owner: &Username,
        place: Place,
    ) -> Option<TokenId> {
        let member = Membership { name: repository.clone(), place };
        let found = self.listed.keys().filter_map(|id| self.tokens.get(id)).find(|held| {
            let token = &held.token;
            token.realm == *realm
                && token.owner == Owner::User(owner.clone())
                && token.repository.as_ref() == Some(&member)
        });
        found.map(|held| held.token.id)
    }

    fn end_one(&mut self, id: TokenId, at: Timestamp, reason: &str, event: &Event) {
        let by = event.origin.actor.to_string();
        let sentence = Revocation { at, by, reason: Some(reason.to_owned()) };
        self.end(&[id], &sentence);
        self.end_derived(&[id], &sentence, event);
    }

    fn mark_current(&mut self, id: TokenId, event: &Event) {
        if let Some(held) = self.tokens.get_mut(&id) {
            if let Some(member) = &mut held.token.repository {
                member.place = Place::Current;
            }
            held.token.version += 1;
        }
        self.record(event);
        self.changed(Change::Token(id), event.at);
    }

    pub(in super::super) fn remove_listing(&mut self, remove: &ListingRemove) -> Moved {
        let Some(found) = self.listing(&remove.realm, remove.id) else { return Moved::NotFound };
        let token = &found.token;
        if remove.expected_version.is_some_and(|expected| expected != token.version) {
            return Moved::VersionMismatch;
        }
        self.leave(token.id);
        self.let_letter_go(token.id, remove.at);
        if token.revocation.is_none() {
            self.end_one(token.id, remove.at, "deleted from its repository", &remove.event);
        }
        self.record(&remove.event);
        self.changed(Change::Token(token.id), remove.at);
        if let (true, Some(member), Owner::User(owner)) =
            (remove.promote, &token.repository, &token.owner)
            && member.place == Place::Current
            && let Some(next) = self.in_place(&remove.realm, &member.name, owner, Place::Next)
        {
            let reason = "current one deleted";
            let told = events::consequence(&remove.event, "token.promoted", next, reason);
            self.mark_current(next, &told);
        }
        Moved::Done(found)
    }

    fn promote(&mut self, promote: &Promote) -> Option<Listing> {
        let Promote { realm, repository, owner, next, retire_at, at, event } = promote;
        let id = self.in_place(realm, repository, owner, Place::Next)?;
        if next.is_some_and(|next| next != id) {
            return None;
        }
        if let Some(former) = self.in_place(realm, repository, owner, Place::Current) {
            self.leave(former);
            let told = events::consequence(event, "token.superseded", former, "next one promoted");
            if !self.retire(former, *at, *retire_at) {
                self.end_one(former, *at, "superseded", &told);
            }
            self.record(&told);
            self.changed(Change::Token(former), *at);
        }
        self.mark_current(id, event);
        self.listing(realm, id)
    }

    /// Lets a token count until an instant, if it would and that lies ahead.
    fn retire(&mut self, id: TokenId, now: Timestamp, until: Timestamp) -> bool {
        let Some(held) = self.tokens.get_mut(&id) else { return false };
        if until <= now || held.token.revocation.is_some() {
            return held.token.revocation.is_some();
        }
        let end = held.token.validity.expires_at().map_or(until, |end| end.min(until));
        let Ok(validity) = Validity::new(held.token.validity.not_before(), Some(end)) else {
            return false;
        };
        held.token.validity = validity;
        held.token.version += 1;
        true
    }

    pub(in super::super) fn assign(&mut self, assign: &Assign) -> Moved {
        let Assign { realm, id, to, keeper, limits, pending, expected_version, at, event } = assign;
        if let Some(user) = to
            && !self.users.contains_key(&(realm.clone(), user.clone()))
        {
            return Moved::OwnerGone;
        }
        let Some(found) = self.listing(realm, *id) else { return Moved::NotFound };
        if expected_version.is_some_and(|expected| expected != found.token.version) {
            return Moved::VersionMismatch;
        }
        if found.token.revocation.is_some() {
            return Moved::Ended;
        }
        match (to, found.held_since) {
            (Some(_), Some(_)) => return Moved::Assigned,
            (None, None) => return Moved::Unassigned,
            _ => {}
        }
        let owner = to.clone().map_or_else(|| keeper.clone(), Owner::User);
        let counted = Token { owner: owner.clone(), ..found.token.clone() };
        for limit in limits {
            if self.held(&counted, limit, *at).len() >= limit.max as usize {
                return Moved::AtLimit(limit.max);
            }
        }
        let Some(held) = self.tokens.get_mut(id) else { return Moved::NotFound };
        held.token.owner = owner;
        held.token.pending = *pending;
        if !pending {
            held.token.activated_at = held.token.activated_at.or(Some(*at));
        }
        held.token.changed_at = Some(*at);
        held.token.version += 1;
        if let Some(member) = &mut held.token.repository {
            member.place = if to.is_some() { Place::Held } else { Place::Stock };
        }
        let base_total = held.token.usage.total;
        self.listed.insert(*id, Listed { held_since: to.as_ref().map(|_| *at), base_total });
        self.let_letter_go(*id, *at);
        self.record(event);
        self.changed(Change::Token(*id), *at);
        self.listing(realm, *id).map_or(Moved::NotFound, Moved::Done)
    }
}

#[async_trait]
impl RepositoryStore for MemoryStore {
    async fn listing_find(
        &self,
        realm: &RealmName,
        id: TokenId,
    ) -> Result<Option<Listing>, Unavailable> {
        Ok(self.read(|state| state.listing(realm, id)))
    }

    async fn listing_page(
        &self,
        request: ListingRequest,
    ) -> Result<(Vec<Listing>, Option<String>), Unavailable> {
        Ok(self.read(|state| {
            let all = state.listed.keys().filter_map(|id| state.listing(&request.realm, *id));
            let at = |listing: &Listing| (key_of(listing, request.by), place(&listing.token));
            let mut found: Vec<Listing> =
                all.filter(|listing| is_listed(listing, &request)).collect();
            found.sort_by_key(at);
            let start = match (start_of_listing(&request), request.by) {
                ((_, behind), ListedBy::Age) => (0, behind),
                (start, _) => start,
            };
            if request.descending {
                found.reverse();
                found.retain(|listing| at(listing) < start);
            } else {
                found.retain(|listing| at(listing) > start);
            }
            let more = found.len() > request.limit as usize;
            found.truncate(request.limit as usize);
            let next = found.last().filter(|_| more).map(|last| {
                let (key, place) = at(last);
                format!("{key}:{place}")
            });
            (found, next)
        }))
    }

    async fn listing_remove(&self, remove: ListingRemove) -> Result<Moved, Unavailable> {
        Ok(self.write(|state| state.remove_listing(&remove)))
    }

    async fn credential_promote(&self, promote: Promote) -> Result<Option<Listing>, Unavailable> {
        Ok(self.write(|state| state.promote(&promote)))
    }

    async fn listing_assign(&self, assign: Assign) -> Result<Moved, Unavailable> {
        Ok(self.write(|state| state.assign(&assign)))
    }

    async fn credentials_due(
        &self,
        repository: &RepositoryName,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<(RealmName, Username, TokenId)>, Unavailable> {
        Ok(self.read(|state| {
            let due = state.listed.keys().filter_map(|id| {
                let token = &state.tokens.get(id)?.token;
                let member = token.repository.as_ref()?;
                let is_due = member.name == *repository
                    && member.place == Place::Next
                    && token.state(now) == TokenState::Active;
                let owner = token.owner.user().filter(|_| is_due)?;
                Some((token.realm.clone(), owner.clone(), *id))
            });
            due.take(limit as usize).collect()
        }))
    }
}

//! Activation letters, in memory.

use async_trait::async_trait;
use counterfoil_authority::clock::Timestamp;
use counterfoil_authority::event::Event;
use counterfoil_authority::names::RealmName;
use counterfoil_authority::repository::Place;
use counterfoil_authority::secret::TokenId;
use counterfoil_authority::secret_hash::{Mac256, SecretHash};
use counterfoil_authority::store::{
    Change, Letter, LetterFilter, LetterOrdered, LetterPrint, LetterRedeem, LetterState,
    LetterStore, Page, PageRequest, Unavailable,
};
use counterfoil_authority::token::Token;

use super::{MemoryStore, State, page_up};
use crate::letters::waits_for;

impl State {
    fn order_letter(&mut self, letter: &Letter, event: &Event) -> LetterOrdered {
        let token = self.tokens.get(&letter.token).map(|held| &held.token);
        let waits =
            token.is_some_and(|token| token.realm == letter.realm && waits_for(token, letter));
        if !waits {
            return LetterOrdered::NotPending;
        }
        for other in self.letters.values_mut() {
            let lapsed = other.expires_at <= letter.ordered_at;
            if other.token == letter.token && other.state.is_open() && lapsed {
                (other.state, other.ended_at) = (LetterState::Cancelled, Some(other.expires_at));
            }
        }
        let mut others = self.letters.values();
        if others.any(|other| other.token == letter.token && other.state.is_open()) {
            return LetterOrdered::Already;
        }
        self.letters.insert(letter.id.clone(), letter.clone());
        self.record(event);
        LetterOrdered::Done
    }

    fn letter(&mut self, realm: &RealmName, id: &str) -> Option<&mut Letter> {
        self.letters.get_mut(id).filter(|letter| letter.realm == *realm)
    }

    fn print_letter(&mut self, print: &LetterPrint) -> Option<Letter> {
        let LetterPrint { realm, id, hash, at, by, event } = print;
        let letter = self.letter(realm, id)?;
        if letter.state != LetterState::Ordered || letter.expires_at <= *at {
            return None;
        }
        letter.state = LetterState::Printed;
        (letter.printed_at, letter.printed_by) = (Some(*at), Some(by.clone()));
        letter.hash = Some(hash.clone());
        let printed = letter.clone();
        self.record(event);
        Some(printed)
    }

    fn redeem_letter(&mut self, redeem: &LetterRedeem) -> Option<Token> {
        let LetterRedeem { id, token, at, event, .. } = redeem;
        let letter = self.letters.get_mut(id)?;
        let held = self.tokens.get_mut(token)?;
        let place = held.token.repository.as_ref().map(|at| at.place);
        let ended = held.token.validity.expires_at().is_some_and(|end| end <= *at);
        let waits = held.token.pending
            && held.token.revocation.is_none()
            && !ended
            && place == Some(Place::Held)
            && held.token.owner.user() == Some(&letter.owner);
        let right = letter.token == *token
            && letter.state == LetterState::Printed
            && letter.expires_at > *at;
        if !(waits && right) {
            return None;
        }
        (letter.state, letter.ended_at) = (LetterState::Redeemed, Some(*at));
        held.token.pending = false;
        held.token.activated_at = held.token.activated_at.or(Some(*at));
        held.token.changed_at = Some(*at);
        held.token.version += 1;
        let shown = held.shown();
        self.record(event);
        self.changed(Change::Token(*token), *at);
        Some(shown)
    }

    /// Cancels letters whose time was over long ago.
    pub(super) fn lapse_letters(&mut self, before: Timestamp) -> usize {
        let mut lapsed = 0;
        for letter in self.letters.values_mut() {
            if letter.state.is_open() && letter.expires_at <= before {
                (letter.state, letter.ended_at) = (LetterState::Cancelled, Some(letter.expires_at));
                letter.hash = None;
                lapsed += 1;
            }
        }
        lapsed
    }

    /// Cancels the open letter of a token that changes hands or ends.
    pub(super) fn let_letter_go(&mut self, token: TokenId, at: Timestamp) {
        for letter in self.letters.values_mut() {
            if letter.token == token && letter.state.is_open() {
                (letter.state, letter.ended_at) = (LetterState::Cancelled, Some(at));
            }
        }
    }
}

#[async_trait]
impl LetterStore for MemoryStore {
    async fn letter_order(
        &self,
        letter: Letter,
        event: Event,
    ) -> Result<LetterOrdered, Unavailable> {
        Ok(self.write(|state| state.order_letter(&letter, &event)))
    }

    async fn letter_find(
        &self,
        realm: &RealmName,
        id: &str,
    ) -> Result<Option<Letter>, Unavailable> {
        Ok(self
            .read(|state| state.letters.get(id).filter(|letter| letter.realm == *realm).cloned()))
    }

    async fn letter_by_hash(&self, mac: Mac256) -> Result<Option<Letter>, Unavailable> {
        let has = |letter: &&Letter| match &letter.hash {
            Some(SecretHash::Keyed { mac: own, .. }) => *own == mac,
            _ => false,
        };
        Ok(self.read(|state| state.letters.values().find(has).cloned()))
    }

    async fn letter_list(
        &self,
        realm: &RealmName,
        filter: LetterFilter,
        page: PageRequest,
    ) -> Result<Page<Letter>, Unavailable> {
        let LetterFilter { owner, state: wanted, repository } = filter;
        Ok(self.read(|state| {
            let found = state.letters.values().filter(|letter| {
                letter.realm == *realm
                    && owner.as_ref().is_none_or(|owner| letter.owner == *owner)
                    && wanted.is_none_or(|wanted| letter.state == wanted)
                    && repository.as_ref().is_none_or(|name| letter.repository == *name)
            });
            page_up(found, &page, |letter| letter.id.clone())
        }))
    }

    async fn letter_print(&self, print: LetterPrint) -> Result<Option<Letter>, Unavailable> {
        Ok(self.write(|state| state.print_letter(&print)))
    }

    async fn letter_cancel(
        &self,
        realm: &RealmName,
        id: &str,
        at: Timestamp,
        event: Event,
    ) -> Result<Option<Letter>, Unavailable> {
        Ok(self.write(|state| {
            let letter = state.letter(realm, id).filter(|letter| letter.state.is_open())?;
            (letter.state, letter.ended_at) = (LetterState::Cancelled, Some(at));
            let cancelled = letter.clone();
            state.record(&event);
            Some(cancelled)
        }))
    }

    async fn letter_redeem(&self, redeem: LetterRedeem) -> Result<Option<Token>, Unavailable> {
        Ok(self.write(|state| state.redeem_letter(&redeem)))
    }
}

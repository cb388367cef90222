//! Tokens of repositories, in memory.

use std::collections::BTreeSet;

use counterfoil_authority::clock::Timestamp;
use counterfoil_authority::repository::{Place, RepositoryLimit};
use counterfoil_authority::secret::TokenId;
use counterfoil_authority::store::Issued;
use counterfoil_authority::token::Token;

use super::super::State;
use super::place;

/// That a token is in its repository, and since when its owner has it.
#[derive(Debug, Clone)]
pub(in super::super) struct Listed {
    /// Since when its owner has it.
    pub(in super::super) held_since: Option<Timestamp>,
    /// Its uses before that.
    pub(in super::super) base_total: u64,
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

    /// Gives a new token its place, if it is in a repository.
    pub(super) fn enter_repository(&mut self, token: &Token) -> Result<(), Issued> {
        let Some(membership) = &token.repository else { return Ok(()) };
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
            return Err(Issued::SerialTaken);
        }
        if rest.iter().any(|other| same_place(other)) {
            return Err(Issued::PlaceTaken);
        }
        if let Some(id) = ended {
            self.listed.remove(&id);
        }
        let held_since = (membership.place != Place::Stock).then_some(token.created_at);
        self.listed.insert(token.id, Listed { held_since, base_total: 0 });
        Ok(())
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

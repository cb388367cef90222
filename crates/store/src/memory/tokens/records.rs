//! What verify needs to know of a token, in memory.

use counterfoil_authority::secret::TokenId;
use counterfoil_authority::store::Record;
use counterfoil_authority::subject::{Owner, OwnerFacts, UserFacts};
use counterfoil_authority::token::Token;

use super::super::{Held, State};

impl State {
    /// The record of a token that is there.
    pub(super) fn record_of(&self, held: &Held) -> Record {
        let token = &held.token;
        let mut secrets = held.secrets.clone();
        // What was derived for directories is not read with the secret.
        for secret in &mut secrets {
            secret.directory.clear();
        }
        secrets.sort_by_key(|s| (s.facts.slot, std::cmp::Reverse(s.facts.created_at)));
        Record {
            id: token.id,
            realm: token.realm.clone(),
            kind: token.kind,
            owner: token.owner.clone(),
            owner_facts: self.owner_facts(token),
            services: token.services.clone(),
            scopes: token.scopes.clone(),
            permissions: token.permissions.clone(),
            networks: token.networks.clone(),
            doors: token.doors.clone(),
            enabled: token.enabled,
            locked: token.locked,
            pending: token.pending,
            revoked: token.revocation.is_some(),
            validity: token.validity,
            created_at: token.created_at,
            max_usages: token.max_usages,
            repository: token.repository.clone(),
            parent: token.parent,
            parent_revoked: token.parent.is_some_and(|parent| self.is_revoked_or_gone(parent)),
            secrets,
        }
    }

    fn is_revoked_or_gone(&self, id: TokenId) -> bool {
        self.tokens.get(&id).is_none_or(|held| held.token.revocation.is_some())
    }

    fn owner_facts(&self, token: &Token) -> OwnerFacts {
        match &token.owner {
            Owner::Client(name) => {
                let client = self.clients.get(&(token.realm.clone(), name.clone()));
                client.map_or(OwnerFacts::Gone, |found| OwnerFacts::Client(found.clone().into()))
            }
            Owner::User(name) => match self.user_facts(&token.realm, name) {
                None => OwnerFacts::Gone,
                Some(user) => OwnerFacts::User(UserFacts {
                    username: user.username,
                    display_name: user.display_name,
                    email: user.emails.into_iter().next(),
                    status: user.status,
                    unit: user.unit,
                    groups: user.groups,
                    locks: user.locks,
                }),
            },
        }
    }
}

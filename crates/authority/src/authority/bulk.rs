//! Acts on many tokens at once: all of a person, of a service, of a person for a service.

use super::{Act, Authority};
use crate::caller::Caller;
use crate::kind::Kind;
use crate::names::RealmName;
use crate::refusal::Refusal;
use crate::scope::ApiScope;
use crate::store::{PageRequest, TokenFilter};
use crate::token::Token;

/// Tokens that one call changes at most, so that it ends before its caller gives up.
pub const BULK_MAX: usize = 1000;
/// Tokens that are read at a time.
const PAGE: u32 = 1000;

/// What an act on many tokens came to.
#[derive(Debug, Clone, Default)]
pub struct Bulk {
    /// The tokens that were changed, as they are now; of a dry run, those that would be.
    pub tokens: Vec<Token>,
    /// Tokens that the caller may not change in this way, and the key of a client that asks: left as
    /// they are, and not shown.
    pub refused: u64,
    /// Whether there are more: the same call again goes on with them.
    pub more: bool,
}

impl Authority {
    /// Does to every token of a filter what the act changes something about, the newest first
    /// and at most [`BULK_MAX`] of them.
    ///
    /// Each is a change of its own, with its own event. What was done before a failure stays
    /// done, and a repetition of the call leaves it alone. A token that comes after the call
    /// began is not part of it.
    ///
    /// # Errors
    ///
    /// [`Refusal::Invalid`] if the filter names no owner, service, unit, label or registration
    /// token: everything of a realm is never meant. The refusals of a list; of a single token
    /// only those that say nothing about the token itself, such as [`Refusal::Unavailable`].
    pub async fn change_many(
        &self,
        caller: &Caller,
        realm: &RealmName,
        filter: TokenFilter,
        act: Act,
        dry_run: bool,
    ) -> Result<Bulk, Refusal> {
        // Who may not do it at all learns nothing about what the request lacks.
        caller.reach(realm, ApiScope::TokensRead)?;
        Self::reach_to_write(caller, realm)?;
        if !names_something(&filter) {
            return Err(Refusal::invalid(
                "user",
                "name whose tokens: a user, a client, a service, a unit or a label",
            ));
        }
        let mut bulk = Bulk::default();
        let mut page = PageRequest::first(PAGE);
        loop {
            let listed = self.tokens(caller, realm, filter.clone(), page).await?;
            for token in listed.items.into_iter().filter(|token| changes(&act, token)) {
                if bulk.tokens.len() == BULK_MAX {
                    bulk.more = true;
                    return Ok(bulk);
                }
                // People who end all that they have mean this one, too. A machine that ends the key
                // that it asks with is locked out half-way through.
                if token.id == caller.token && token.kind == Kind::ClientKey {
                    bulk.refused += 1;
                    continue;
                }
                let done = if dry_run {
                    self.changeable(caller, realm, token.id, &act).await
                } else {
                    self.change(caller, realm, token.id, act.clone(), None).await
                };
                match done {
                    Ok(changed) => bulk.tokens.push(changed),
                    // Somebody else was faster.
                    Err(Refusal::Ended(_)) => {}
                    Err(Refusal::BeyondGrant(_) | Refusal::NotFound(_) | Refusal::Forbidden(_)) => {
                        bulk.refused += 1;
                    }
                    Err(refusal) => return Err(refusal),
                }
            }
            let Some(next) = listed.next else { return Ok(bulk) };
            page = PageRequest { limit: PAGE, after: Some(next) };
        }
    }
}

pub(super) fn names_something(filter: &TokenFilter) -> bool {
    filter.owner.is_some()
        || filter.service.is_some()
        || filter.unit.is_some()
        || filter.registration.is_some()
        || !filter.labels.is_empty()
}

/// Whether the act is news to the token.
pub(super) fn changes(act: &Act, token: &Token) -> bool {
    if token.revocation.is_some() {
        return false;
    }
    match act {
        Act::Enable => !token.enabled,
        Act::Disable => token.enabled,
        Act::Lock => !token.locked,
        Act::Unlock => token.locked,
        Act::Revoke { .. } | Act::RevokeWithChildren { .. } => true,
    }
}

//! A derived token is good only where everything that it came from would be good as well.
//!
//! What happens to an ancestor is no change of its descendants: each use asks the ancestors,
//! which are in memory as a rule. So a parent that is locked, expired or narrowed takes its
//! descendants with it at once, and gives them back when it is unlocked.

use super::judge::judge;
use super::{Active, Authority, Surroundings};
use crate::cache::Entry;
use crate::clock::Timestamp;
use crate::kind::Kind;
use crate::refusal::Refusal;
use crate::secret::TokenId;
use crate::verdict::Reason;

/// Derivations in a row at most: beyond it nobody can say any more what a token may do.
pub(in crate::authority) const DERIVED_DEPTH_MAX: usize = 3;

/// What is seen of an ancestor: why it refuses, and what it was derived from itself.
type Seen = (Option<Reason>, Option<TokenId>);

impl Authority {
    /// Why an ancestor of a derived token does not allow what is asked; `None` for any other
    /// token, and where all of them do.
    pub(super) async fn ancestors_refuse(
        &self,
        around: &Surroundings<'_>,
        active: &Active,
    ) -> Result<Option<Reason>, Refusal> {
        if active.kind() != Kind::DerivedToken {
            return Ok(None);
        }
        if active.entry.parent().is_none() {
            return Ok(Some(Reason::ParentRevoked));
        }
        let look = |entry: &Entry| (judge(entry, around).err(), entry.parent());
        self.walk_up(active.entry.parent(), around.now, &look).await
    }

    /// Why a token from which an access token was made is no longer good, by what it came from.
    pub(super) async fn ancestors_ended(
        &self,
        parent: Option<TokenId>,
        now: Timestamp,
    ) -> Result<Option<Reason>, Refusal> {
        if parent.is_none() {
            return Ok(None);
        }
        let look = |entry: &Entry| {
            let gone = entry.rest.as_ref().is_some_and(|rest| rest.parent_revoked);
            let ended = entry.state_facts().state(now).refusal();
            (ended.or(gone.then_some(Reason::ParentRevoked)), entry.parent())
        };
        self.walk_up(parent, now, &look).await
    }

    async fn walk_up(
        &self,
        mut parent: Option<TokenId>,
        now: Timestamp,
        look: &(dyn Fn(&Entry) -> Seen + Sync),
    ) -> Result<Option<Reason>, Refusal> {
        for _ in 0..DERIVED_DEPTH_MAX {
            let Some(id) = parent else { break };
            let known = self.cache.with_token(now, id, |entry| look(entry));
            let (refused, above) = match known {
                Some(seen) => seen,
                None => match self.entry(id).await? {
                    Some(entry) => look(&entry),
                    None => return Ok(Some(Reason::ParentRevoked)),
                },
            };
            match refused {
                Some(Reason::Revoked) => return Ok(Some(Reason::ParentRevoked)),
                Some(reason) => return Ok(Some(reason)),
                None => parent = above,
            }
        }
        // A chain that does not end is none of ours.
        Ok(parent.map(|_| Reason::ParentRevoked))
    }
}

//! A derived token is good only where everything that it came from would be good as well, and for
//! no more than that; and so is an access token.
//!
//! What happens to an ancestor is no change of its descendants: each use asks the ancestors,
//! which are in memory as a rule. So a parent that is locked, expired or narrowed takes its
//! descendants with it at once, and gives them back when it is unlocked.

use std::sync::Arc;

use super::answer::{Found, Narrowed, sooner};
use super::judge::{judge, judge_origin};
use super::{Active, Authority, Binding, Surroundings, VerifyRequest};
use crate::cache::Entry;
use crate::clock::Timestamp;
use crate::kind::Kind;
use crate::names::COUNTERFOIL;
use crate::refusal::Refusal;
use crate::scope;
use crate::secret::TokenId;
use crate::verdict::Reason;

/// Derivations in a row at most: beyond it nobody can say any more what a token may do.
pub(in crate::authority) const DERIVED_DEPTH_MAX: usize = 3;

/// What its ancestors leave to a token.
#[derive(Debug, Default)]
pub(super) struct Left {
    /// When the first of them ends.
    end: Option<Timestamp>,
    /// What it may do, if that is less than it says itself.
    narrowed: Option<Box<Narrowed>>,
    /// The one of several services that all of them are good for.
    found: Option<Found>,
    /// Whether one of them is bound to networks.
    bound: bool,
}

/// What is seen of one ancestor.
struct Seen {
    end: Option<Timestamp>,
    narrowed: Option<Box<Narrowed>>,
    above: Option<TokenId>,
    bound: bool,
}

impl Active {
    /// The same token with no more than its ancestors leave to it.
    pub(super) fn under(self, left: Left) -> Self {
        let Left { end, narrowed, found, bound } = left;
        let found = found.unwrap_or(self.found);
        Self { issues_until: end, narrowed, found, bound_above: bound, ..self }
    }
}

impl Authority {
    /// What its ancestors leave to a derived or an access token, or why one of them does not
    /// allow what is asked. `None` for any other token: nothing stands above it.
    pub(super) async fn left_by_ancestors(
        &self,
        around: &Surroundings<'_>,
        active: &Active,
    ) -> Result<Result<Option<Left>, Reason>, Refusal> {
        let parent = match parent_of(active) {
            Ok(Some(parent)) => parent,
            Ok(None) => return Ok(Ok(None)),
            Err(reason) => return Ok(Err(reason)),
        };
        let left = if has_to_choose(around, active) {
            self.left_among(around, &active.entry, parent).await?
        } else {
            self.walk_up(around, &active.entry, parent).await?
        };
        Ok(left.map(Some))
    }

    /// The same from memory; `None` if that does not hold all of it.
    pub(super) fn left_at_hand(
        &self,
        around: &Surroundings<'_>,
        active: &Active,
    ) -> Option<Result<Option<Left>, Reason>> {
        let parent = match parent_of(active) {
            Ok(Some(parent)) => parent,
            Ok(None) => return Some(Ok(None)),
            Err(reason) => return Some(Err(reason)),
        };
        if has_to_choose(around, active) {
            return None;
        }
        let left = self.walk_up_with(around, &active.entry, parent, &[]).ok()?;
        Some(left.map(Some))
    }

    /// Of several services the first one that the token and all its ancestors are good for: a
    /// token for one and a parent for another are together good for none.
    async fn left_among(
        &self,
        around: &Surroundings<'_>,
        entry: &Arc<Entry>,
        parent: TokenId,
    ) -> Result<Result<Left, Reason>, Refusal> {
        let mut first = None;
        for cell in around.services {
            let binding = Binding::Service(&cell.service.label);
            let alone = Surroundings {
                request: VerifyRequest { binding, ..around.request },
                services: std::slice::from_ref(cell),
                ..*around
            };
            let said = match judge(entry, &alone) {
                Ok(_) => self.walk_up(&alone, entry, parent).await?,
                Err(reason) => Err(reason),
            };
            match said {
                Ok(left) => {
                    return Ok(Ok(Left { found: Some(Found::Among(Arc::clone(cell))), ..left }));
                }
                // That it is not for a service says less than why one of its own refuses it.
                Err(Reason::WrongService) => {}
                Err(reason) => first = first.or(Some(reason)),
            }
        }
        Ok(Err(first.unwrap_or(Reason::WrongService)))
    }

    /// Walks up, and reads what is not in memory.
    async fn walk_up(
        &self,
        around: &Surroundings<'_>,
        own: &Arc<Entry>,
        parent: TokenId,
    ) -> Result<Result<Left, Reason>, Refusal> {
        let mut read = Vec::new();
        loop {
            match self.walk_up_with(around, own, parent, &read) {
                Ok(left) => return Ok(left),
                Err(missing) => match self.entry(missing).await? {
                    Some(above) => read.push(above),
                    None => return Ok(Err(Reason::ParentRevoked)),
                },
            }
        }
    }

    /// Walks up through memory and what was read beside it; an error is the first ancestor that
    /// is in neither.
    fn walk_up_with(
        &self,
        around: &Surroundings<'_>,
        own: &Arc<Entry>,
        parent: TokenId,
        read: &[Arc<Entry>],
    ) -> Result<Result<Left, Reason>, TokenId> {
        // What an access token issues ends with its parent and not with itself.
        let own_end = own.validity.expires_at().filter(|_| own.kind == Kind::DerivedToken);
        let mut left = Left { end: own_end, ..Left::default() };
        let mut next = Some(parent);
        // An access token stands one below what was derived last.
        for _ in 0..=DERIVED_DEPTH_MAX {
            let Some(id) = next else { return Ok(Ok(left)) };
            let look = |above: &Arc<Entry>| seen(own, left.narrowed.as_deref(), above, around);
            // What was read for this question is later than what is remembered.
            let said = match read.iter().find(|above| above.id == id) {
                Some(above) => look(above),
                None => self.cache.peek(around.now, id, look).ok_or(id)?,
            };
            match said {
                Ok(Seen { end, narrowed, above, bound }) => {
                    left.bound |= bound;
                    left.end = sooner(left.end, end);
                    left.narrowed = narrowed.or(left.narrowed);
                    next = above;
                }
                Err(Reason::Revoked) => return Ok(Err(Reason::ParentRevoked)),
                Err(reason) => return Ok(Err(reason)),
            }
        }
        // A chain that does not end is none of ours.
        Ok(if next.is_none() { Ok(left) } else { Err(Reason::ParentRevoked) })
    }
}

/// What a token was derived or made from: `None` where nothing stands above its kind.
fn parent_of(active: &Active) -> Result<Option<TokenId>, Reason> {
    let parent = match active.kind() {
        Kind::DerivedToken => active.entry.parent(),
        Kind::AccessToken => active.access().map(|access| access.parent),
        _ => return Ok(None),
    };
    parent.map(Some).ok_or(Reason::ParentRevoked)
}

/// Whether one of several services is to be found that the ancestors are good for, too. One of
/// one needs no choosing.
fn has_to_choose(around: &Surroundings<'_>, active: &Active) -> bool {
    matches!(active.found, Found::Among(_)) && around.services.len() > 1
}

/// Judges an ancestor with the question that was asked, and compares what it has with what the
/// token has.
fn seen(
    own: &Entry,
    narrowed: Option<&Narrowed>,
    above: &Entry,
    around: &Surroundings<'_>,
) -> Result<Seen, Reason> {
    if own.kind == Kind::DerivedToken {
        judge(above, around)?;
    } else {
        judge_origin(above, around)?;
    }
    let end = above.validity.expires_at();
    let bound = !above.profile.networks.is_empty();
    Ok(Seen { end, narrowed: left_under(own, narrowed, above), above: above.parent(), bound })
}

/// What is left to a token under one more ancestor; `None`: as much as before.
fn left_under(own: &Entry, before: Option<&Narrowed>, above: &Entry) -> Option<Box<Narrowed>> {
    // What a key may do stands in its client's roles, which are asked with each use.
    if above.is_of_key() || (before.is_none() && Arc::ptr_eq(&own.profile, &above.profile)) {
        return None;
    }
    let (profile, bound) = (&own.profile, &above.profile);
    let (services, scopes, permissions) = match before {
        Some(left) => (&left.services, &left.scopes, &left.permissions),
        None => (&profile.services, &profile.scopes, &profile.permissions),
    };
    let exact = profile.services.includes(COUNTERFOIL) || bound.services.includes(COUNTERFOIL);
    let fewer_services = services.narrowed(&bound.services);
    let fewer_scopes = scope::narrowed(scopes, &bound.scopes, exact);
    let permissions = permissions.as_deref();
    let narrower = crate::permission::narrowed(permissions, bound.permissions.as_deref());
    if fewer_services.is_none() && fewer_scopes.is_none() && narrower.is_none() {
        return None;
    }
    Some(Box::new(Narrowed {
        services: fewer_services.unwrap_or_else(|| services.clone()),
        scopes: fewer_scopes.unwrap_or_else(|| scopes.clone()),
        permissions: narrower.or_else(|| permissions.map(ToOwned::to_owned)),
    }))
}

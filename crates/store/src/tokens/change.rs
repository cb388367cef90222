//! Switching a token's state.

use counterfoil_authority::store::{Change, TokenAct, TokenChange, TokenLeak, Updated};
use counterfoil_authority::token::Token;

use super::revoke::{self, Sentence};
use super::{enrolment, rows};
use crate::engine::{Failure, Transaction, values};
use crate::{access, events};

const SWITCH: &str = "
update token
set    enabled = $3, locked = $4, changed_at = $5, version = version + 1
where  id = $1
and    version = $2";

/// Every statement of this file.
pub(super) const STATEMENTS: &[&str] = &[SWITCH];

/// Switches state, unless it is so already.
pub(crate) async fn change(
    tx: &mut Transaction<'_>,
    change: &TokenChange,
) -> Result<Updated<Token>, Failure> {
    let Some(token) = rows::find_to_change(tx, &change.realm, change.id).await? else {
        return Ok(Updated::NotFound);
    };
    if change.expected_version.is_some_and(|expected| expected != token.version) {
        return Ok(Updated::VersionMismatch);
    }
    if !changes_anything(&token, &change.act) {
        return Ok(Updated::Done(token));
    }
    let (enabled, locked) = match &change.act {
        TokenAct::Enable => (true, token.locked),
        TokenAct::Disable => (false, token.locked),
        TokenAct::Lock => (token.enabled, true),
        TokenAct::Unlock => (token.enabled, false),
        TokenAct::Revoke { by, reason } | TokenAct::RevokeWithChildren { by, reason } => {
            let sentence = Sentence { at: change.at, by, reason: reason.as_deref() };
            enrolment::due::release(tx, token.id).await?;
            revoke::revoke(tx, token.id, &sentence, &change.event).await?;
            if matches!(change.act, TokenAct::RevokeWithChildren { .. }) {
                revoke::revoke_drawn(tx, token.id, &sentence, &change.event).await?;
            }
            events::append(tx, &change.event).await?;
            return reread(tx, change).await;
        }
        TokenAct::Approve => {
            if enrolment::decide::approve(tx, &token, change).await? {
                events::append(tx, &change.event).await?;
                tx.changed(Change::Token(token.id), change.event.at).await?;
            }
            return reread(tx, change).await;
        }
    };
    let values = values![&token.id, token.version, enabled, locked, change.at];
    if tx.execute(SWITCH, &values).await? == 0 {
        return Err(Failure::interleaved());
    }
    events::append(tx, &change.event).await?;
    tx.changed(Change::Token(token.id), change.event.at).await?;
    reread(tx, change).await
}

/// Takes a report of a leak, unless it was taken before. Whoever sends it at the same instant
/// waits for the row of the proof, and finds it.
pub(crate) async fn leaked(tx: &mut Transaction<'_>, leak: &TokenLeak) -> Result<bool, Failure> {
    if !access::use_proof(tx, &leak.once, leak.known_until, leak.at).await? {
        return Ok(false);
    }
    if let Some(wanted) = &leak.change {
        change(tx, wanted).await?;
    }
    events::append(tx, &leak.event).await?;
    Ok(true)
}

/// `revoked` is final: whatever else is asked of such a token changes nothing.
const fn changes_anything(token: &Token, act: &TokenAct) -> bool {
    // A registration token that has ended may still end what was drawn from it.
    matches!(act, TokenAct::RevokeWithChildren { .. })
        || token.revocation.is_none()
            && match act {
                TokenAct::Enable => !token.enabled,
                TokenAct::Disable => token.enabled,
                TokenAct::Lock => !token.locked,
                TokenAct::Unlock => token.locked,
                TokenAct::Revoke { .. } | TokenAct::RevokeWithChildren { .. } => true,
                TokenAct::Approve => token.pending,
            }
}

async fn reread(tx: &mut Transaction<'_>, change: &TokenChange) -> Result<Updated<Token>, Failure> {
    match rows::find(tx, &change.realm, change.id).await? {
        Some(token) => Ok(Updated::Done(token)),
        None => Err(Failure::interleaved()),
    }
}

//! Rotation: a new secret, and an end for the former one.

use counterfoil_authority::store::{Change, Rotated, TokenRotate};
use counterfoil_authority::token::{
    SECRETS_PER_TOKEN_MAX, SecretFacts, Slot, State, StoredSecret, Token,
};

use super::{rows, secrets};
use crate::engine::{Failure, Transaction, values};
use crate::events;
use crate::idempotency::{self, Earlier};
use crate::provisioning;

const RAISE_VERSION: &str = "
update token
set    changed_at = $3, version = version + 1
where  id = $1
and    version = $2";

/// Every statement of this file.
pub(super) const STATEMENTS: &[&str] = &[RAISE_VERSION];

/// Makes a new secret current, or answers as before.
pub(super) async fn rotate(
    tx: &mut Transaction<'_>,
    rotate: &TokenRotate,
) -> Result<Rotated, Failure> {
    // First, so that the same request twice waits for its own answer.
    let found = rows::find_to_change(tx, &rotate.realm, rotate.id).await?;
    match idempotency::earlier(tx, rotate.idempotency.as_ref(), rotate.at).await? {
        Earlier::Answered(answer) => return Ok(Rotated::Replayed(answer)),
        Earlier::Other => return Ok(Rotated::KeyReused),
        Earlier::None if rotate.only_replay => return Ok(Rotated::NotAnswered),
        Earlier::None => {}
    }
    let Some(token) = found else { return Ok(Rotated::NotFound) };
    if rotate.expected_version.is_some_and(|expected| expected != token.version) {
        return Ok(Rotated::VersionMismatch);
    }
    let state = ended(&token, rotate);
    if let Some(state) = state {
        return Ok(Rotated::Ended(state));
    }
    if tx.execute(RAISE_VERSION, &values![&token.id, token.version, rotate.at]).await? == 0 {
        return Err(Failure::interleaved());
    }
    secrets::retire_current(tx, token.id, rotate.previous_until).await?;
    let secret = StoredSecret {
        facts: SecretFacts { slot: Slot::Current, ..rotate.secret.facts.clone() },
        ..rotate.secret.clone()
    };
    if secrets::insert(tx, token.id, &secret).await? == 0 {
        tx.undo();
        return Ok(Rotated::Collision);
    }
    secrets::drop_oldest(tx, token.id, SECRETS_PER_TOKEN_MAX).await?;
    provisioning::tidy_hashes(tx, token.id).await?;
    let Some(rotated) = rows::find(tx, &rotate.realm, rotate.id).await? else {
        return Err(Failure::interleaved());
    };
    idempotency::keep(tx, rotate.idempotency.as_ref(), &rotated, rotate.at).await?;
    events::append(tx, &rotate.event).await?;
    tx.changed(Change::Token(token.id), rotate.event.at).await?;
    Ok(Rotated::Done(rotated))
}

/// The state of a token that gets no new secret any more.
fn ended(token: &Token, rotate: &TokenRotate) -> Option<State> {
    let over = token.validity.expires_at().is_some_and(|end| end <= rotate.at);
    match (token.revocation.is_some(), over) {
        (true, _) => Some(State::Revoked),
        // Also of a disabled one: switching it on again would not bring it back.
        (false, true) => Some(State::Expired),
        (false, false) => None,
    }
}

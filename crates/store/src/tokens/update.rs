//! Editing a token.

use counterfoil_authority::clock::Timestamp;
use counterfoil_authority::enrolment::Counts;
use counterfoil_authority::store::{ActiveLimit, Change, Counted, TokenUpdate, TokenUpdated};
use counterfoil_authority::token::{SentinelAttributes, Token};

use super::enrolment::decide::still_told;
use super::{enrolment, issue, repository, rows};
use crate::engine::{Failure, Transaction, values};
use crate::{codec, events, people, use_notes};

const UPDATE: &str = "
update token
set    name = $3, description = $4, services = $5, scopes = $6, permissions = $7,
       networks = $8, doors = $9, not_before = $10, expires_at = $11, max_usages = $12,
       labels = $13, airlock = $14, sentinel = $15, draw_limit = $16, unit = $17,
       told = $18, changed_at = $19, version = version + 1
where  id = $1
and    version = $2
and    (kind <> 'registration_token' or cast($16 as {int}) is null
       or $16 >= used + reserved - returned)";

/// What a client that registered says of itself stands beside its token.
const DESCRIBE: &str = "
update auth_token
set    client = $2
where  token = $1";

/// Every statement of this file.
pub(super) const STATEMENTS: &[&str] = &[UPDATE, DESCRIBE];

/// Replaces what may be edited.
pub(crate) async fn update(
    tx: &mut Transaction<'_>,
    TokenUpdate { token, limits, data, as_used, event }: &TokenUpdate,
) -> Result<TokenUpdated, Failure> {
    if !limits.is_empty() {
        // Before the token, as issuing does: what is counted below must still be so at the end.
        issue::turn_at_owner(tx, token).await?;
    }
    let Some(found) = rows::find_to_change(tx, &token.realm, token.id).await? else {
        return Ok(TokenUpdated::NotFound);
    };
    if found.version != token.version {
        return Ok(TokenUpdated::VersionMismatch);
    }
    if let Some(judged) = as_used
        && !use_notes::is_as_used(tx, token.id, judged).await?
    {
        return Ok(TokenUpdated::UsedSince);
    }
    if !people::unit_if_any(tx, &token.realm, token.unit.as_ref()).await? {
        return Ok(TokenUpdated::UnitGone);
    }
    if let Some(label) = issue::service_gone(tx, token).await? {
        return Ok(TokenUpdated::ServiceGone(label));
    }
    for limit in limits.iter().filter(|limit| takes_place(limit, &found, token, event.at)) {
        // Those that count already; this one is not among them and needs a place too.
        if issue::held(tx, &found, limit, event.at).await?.len() >= limit.max as usize {
            return Ok(TokenUpdated::AtLimit(limit.max));
        }
    }
    let counted = Token {
        used: found.used,
        sentinel: SentinelAttributes {
            reserved: found.sentinel.reserved,
            returned: found.sentinel.returned,
            told: found.sentinel.told,
            ..token.sentinel.clone()
        },
        ..token.clone()
    };
    if tx.execute(UPDATE, &edited(&counted, event.at)).await? == 0 {
        // The version was right, so it is the count that the statement refused.
        return Ok(TokenUpdated::CountTaken(Counts::of(&counted).taken()));
    }
    if repository::edit(tx, &found, token).await?.is_err() {
        tx.undo();
        return Ok(TokenUpdated::SerialTaken);
    }
    if let Some(sealed) = data {
        repository::keep_data(tx, token.id, sealed).await?;
    }
    if found.validity.expires_at() != token.validity.expires_at() {
        enrolment::forget_end(tx, &found).await?;
        enrolment::tell_end(tx, &Token { kind: found.kind, ..token.clone() }, event.at).await?;
    }
    let client = |token: &Token| token.device.as_ref().and_then(|device| device.client.clone());
    if client(&found) != client(token) {
        tx.push(DESCRIBE, &values![&token.id, client(token)]).await?;
    }
    use_notes::give(tx, &found, token, event.at).await?;
    rows::drop_services_and_labels(tx, &found).await?;
    // With the instant of issue that the side tables know, whatever the caller sent.
    let stored = Token { created_at: found.created_at, ..token.clone() };
    rows::add_services_and_labels(tx, &stored).await?;
    events::append(tx, event).await?;
    tx.changed(Change::Token(token.id), event.at).await?;
    match rows::find(tx, &token.realm, token.id).await? {
        Some(token) => Ok(TokenUpdated::Done(token)),
        None => Err(Failure::interleaved()),
    }
}

fn edited(token: &Token, at: Timestamp) -> [crate::engine::Value<'_>; 19] {
    values![
        &token.id,
        token.version,
        token.name.as_ref(),
        token.description.as_ref(),
        rows::services_text(token),
        codec::words(&token.scopes),
        token.permissions.as_ref(),
        codec::unless_empty(codec::words(&token.networks)),
        token.doors.as_deref().map(codec::door_words),
        token.validity.not_before(),
        token.validity.expires_at(),
        token.max_usages,
        rows::labels_json(token),
        codec::airlock_json(&token.airlock),
        codec::sentinel_json(&token.sentinel),
        token.sentinel.count,
        token.unit.as_ref(),
        still_told(token).0,
        at
    ]
}

/// Whether a token counts towards a limit after an edit and did not before.
pub(crate) fn takes_place(
    limit: &ActiveLimit,
    before: &Token,
    after: &Token,
    now: Timestamp,
) -> bool {
    let counts = |token: &Token| {
        let live = token.validity.expires_at().is_none_or(|end| now < end);
        match &limit.of {
            Counted::Service(label) => live && token.service_labels().contains(&label.as_str()),
            Counted::EveryService => live && token.service_labels().contains(&"*"),
            Counted::Realm => live,
            Counted::Repository(of) => live || of.count_expired,
        }
    };
    before.revocation.is_none() && counts(after) && !counts(before)
}

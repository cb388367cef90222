//! Editing a token.

use counterfoil_authority::event::Event;
use counterfoil_authority::service::Services;
use counterfoil_authority::store::{Change, Updated};
use counterfoil_authority::token::Token;

use super::rows;
use crate::engine::{Failure, Transaction, values};
use crate::{codec, events, people};

const UPDATE: &str = "
update token
set    name = $3, description = $4, services = $5, scopes = $6, permissions = $7,
       networks = $8, doors = $9, not_before = $10, expires_at = $11, max_usages = $12,
       labels = $13, airlock = $14, sentinel = $15, draw_limit = $16, unit = $17,
       version = version + 1
where  id = $1
and    version = $2";

/// Every statement of this file.
pub(super) const STATEMENTS: &[&str] = &[UPDATE];

/// Replaces what may be edited.
pub(super) async fn update(
    tx: &mut Transaction<'_>,
    token: &Token,
    event: &Event,
) -> Result<Updated<Token>, Failure> {
    let Some(found) = rows::find_to_change(tx, &token.realm, token.id).await? else {
        return Ok(Updated::NotFound);
    };
    if found.version != token.version {
        return Ok(Updated::VersionMismatch);
    }
    if let Some(missing) = missing(tx, token).await? {
        return Ok(Updated::Missing(missing));
    }
    if tx.execute(UPDATE, &edited(token)).await? == 0 {
        return Err(Failure::interleaved());
    }
    rows::drop_services_and_labels(tx, &found).await?;
    // With the instant of issue that the side tables know, whatever the caller sent.
    let stored = Token { created_at: found.created_at, ..token.clone() };
    rows::add_services_and_labels(tx, &stored).await?;
    events::append(tx, event).await?;
    tx.changed(Change::Token(token.id), event.at).await?;
    match rows::find(tx, &token.realm, token.id).await? {
        Some(token) => Ok(Updated::Done(token)),
        None => Err(Failure::interleaved()),
    }
}

fn edited(token: &Token) -> [crate::engine::Value<'_>; 17] {
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
        token.unit.as_ref()
    ]
}

async fn missing(tx: &mut Transaction<'_>, token: &Token) -> Result<Option<&'static str>, Failure> {
    if !people::unit_if_any(tx, &token.realm, token.unit.as_ref()).await? {
        return Ok(Some("unit"));
    }
    if let Services::Named(labels) = &token.services {
        for label in labels {
            if !people::service_exists(tx, &token.realm, label).await? {
                return Ok(Some("service"));
            }
        }
    }
    Ok(None)
}

//! The row of an auth token beside its row as a token.

use counterfoil_authority::access::AccessFormat;
use counterfoil_authority::enrolment::{Confirmation, Device, DeviceFacts};
use counterfoil_authority::secret::TokenId;
use counterfoil_authority::token::Token;

use crate::codec;
use crate::engine::{Asked, Inconsistent, Row, values};

/// The columns that [`device_of`] reads, of `a`; all null of a token that is no auth token.
macro_rules! device_columns {
    () => {
        "
       a.subject, a.hostname, a.system_user, a.mac_address, a.source, a.confirmation,
       a.device_key, a.access_format, a.client, a.ephemeral, a.idle_seconds, a.idle_ends_at,
       a.refreshed_at, a.user_code, a.request_ends_at, a.identifier, a.ref_id_1, a.ref_id_2"
    };
}
pub(in crate::tokens) use device_columns;

/// What the program polls by before anybody was told to go slower.
const INSERT: &str = "
insert into auth_token (
    token, realm, sort_key, registration, device_key, subject, hostname, system_user,
    mac_address, identifier, ref_id_1, ref_id_2, source, confirmation, access_format, client,
    ephemeral, idle_seconds, idle_ends_at, refreshed_at, user_code, request_ends_at
)
values (
    $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20,
    $21, $22
)
on conflict do nothing";

/// Every statement of this file.
pub(super) const STATEMENTS: &[&str] = &[INSERT];

/// Stores the row; touches none if the id or the user code is taken.
pub(super) fn ask_insert<'a>(
    token: &'a Token,
    device: &'a Device,
    registration: &'a TokenId,
) -> Asked<'a> {
    let facts = &device.facts;
    let values = values![
        &token.id,
        &token.realm,
        codec::sort_key(token.created_at, token.id),
        registration,
        &device.key,
        &facts.subject,
        facts.hostname.as_ref(),
        facts.system_user.as_ref(),
        facts.mac_address.as_ref(),
        facts.identifier.as_ref(),
        facts.ref_id_1.as_ref(),
        facts.ref_id_2.as_ref(),
        device.source,
        device.confirmation.as_ref().map(Confirmation::stored),
        device.access.name(),
        device.client.as_ref(),
        device.ephemeral,
        device.idle_seconds,
        device.idle_ends_at,
        device.refreshed_at,
        device.user_code.as_ref(),
        device.request_ends_at
    ];
    Asked::new(INSERT, values)
}

/// The device of a row whose next columns are [`device_columns`].
pub(in crate::tokens) fn device_of(row: &mut Row) -> Result<Option<Box<Device>>, Inconsistent> {
    let Some(subject) = row.text_or_null("subject")? else {
        row.skip(17);
        return Ok(None);
    };
    let hostname = row.text_or_null("hostname")?;
    let system_user = row.text_or_null("system_user")?;
    let mac_address = row.text_or_null("mac_address")?;
    let source = row.parsed_or_null("source", |text| text.parse().ok())?;
    let confirmation = row.parsed_or_null("confirmation", Confirmation::from_stored)?;
    let key = row.text("device_key")?;
    let access = row.parsed("access_format", AccessFormat::from_name)?;
    let client = row.text_or_null("client")?;
    let ephemeral = row.flag("ephemeral")?;
    let idle_seconds = row.int_or_null("idle_seconds")?;
    let idle_ends_at = row.time_or_null("idle_ends_at")?;
    let refreshed_at = row.time_or_null("refreshed_at")?;
    let user_code = row.text_or_null("user_code")?;
    let request_ends_at = row.time_or_null("request_ends_at")?;
    let identifier = row.text_or_null("identifier")?;
    let ref_id_1 = row.text_or_null("ref_id_1")?;
    let ref_id_2 = row.text_or_null("ref_id_2")?;
    let facts =
        DeviceFacts { subject, hostname, system_user, mac_address, identifier, ref_id_1, ref_id_2 };
    Ok(Some(Box::new(Device {
        facts,
        source,
        confirmation,
        key,
        access,
        client,
        ephemeral,
        idle_seconds,
        idle_ends_at,
        refreshed_at,
        user_code,
        request_ends_at,
    })))
}

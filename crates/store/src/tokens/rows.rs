//! The rows of a token: the token itself, its usage, and one row for each of its secrets.

use counterfoil_authority::kind::Kind;
use counterfoil_authority::names::RealmName;
use counterfoil_authority::otp::Method;
use counterfoil_authority::secret::TokenId;
use counterfoil_authority::token::{
    Revocation, SecretFacts, Slot, StoredSecret, Token, Told, Usage,
};
use counterfoil_authority::validity::Validity;

use super::enrolment::device::{device_columns, device_of};
use crate::codec;
use crate::engine::{Asked, Failure, Inconsistent, Row, Transaction, Value, values};

/// The columns that [`token_of`] reads first, of `t` and `u`; those of `a` follow.
macro_rules! token_columns {
    () => {
        "
       t.id, t.realm, t.kind, t.name, t.description, t.owner_kind, t.owner, t.services,
       t.scopes, t.permissions, t.networks, t.doors, t.enabled, t.locked, t.pending,
       t.not_before, t.expires_at, t.revoked_at, t.revoked_by, t.revoked_reason,
       t.created_at, t.created_by, t.activated_at, t.max_usages, t.used, t.labels,
       t.airlock, t.sentinel, t.draw_limit, t.reserved, t.returned, t.unit, t.parent,
       t.version, u.first_at, u.last_at, u.last_ip, coalesce(u.total, 0),
       coalesce(u.denied, 0), coalesce(t.told, 0), t.changed_at, t.repository, t.place,
       (select o.method from otp o where o.token = t.id)"
    };
}
pub(super) use token_columns;

/// The columns that [`facts_of`] reads, of `s`; all null when a token has no secret.
macro_rules! facts_columns {
    () => {
        "s.id, s.slot, s.created_at, s.not_before, s.expires_at"
    };
}
pub(super) use facts_columns;

const FIND: &str = concat!(
    "
select ",
    token_columns!(),
    ",",
    device_columns!(),
    ",
       ",
    facts_columns!(),
    "
from   token t
left   join token_usage u on u.token = t.id
left   join auth_token a on a.token = t.id
left   join token_secret s on s.token = t.id
where  t.id = $1
and    t.realm = $2"
);

const INSERT: &str = "
insert into token (
    id, realm, sort_key, kind, name, description, owner_kind, owner, services, scopes,
    permissions, networks, doors, enabled, locked, pending, not_before, expires_at,
    created_at, created_by, activated_at, max_usages, used, labels, airlock, sentinel,
    draw_limit, reserved, returned, unit, parent, version, repository, place
)
values (
    $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20,
    $21, $22, $23, $24, $25, $26, $27, $28, $29, $30, $31, $32, $33, $34
)
on conflict do nothing";

const ADD_SERVICE: &str = "
insert into token_service (realm, service, sort_key)
values ($1, $2, $3)
on conflict do nothing";

const ADD_LABEL: &str = "
insert into token_label (realm, name, value, sort_key)
values ($1, $2, $3, $4)
on conflict do nothing";

const DROP_SERVICE: &str = "
delete from token_service
where  realm = $1
and    service = $2
and    sort_key = $3";

const DROP_LABEL: &str = "
delete from token_label
where  realm = $1
and    name = $2
and    value = $3
and    sort_key = $4";

/// Those who change the same token take turns.
const TURN: &str = "
select 1
from   token
where  id = $1
and    realm = $2
{for_change}";

/// Every statement of this file.
pub(super) const STATEMENTS: &[&str] =
    &[FIND, TURN, INSERT, ADD_SERVICE, ADD_LABEL, DROP_SERVICE, DROP_LABEL];

/// Finds a token of a realm.
pub(super) async fn find(
    tx: &mut Transaction<'_>,
    realm: &RealmName,
    id: TokenId,
) -> Result<Option<Token>, Failure> {
    let rows = tx.query(FIND, &values![&id, realm]).await?;
    Ok(tokens_of(rows)?.pop())
}

/// Finds a token that is about to be changed, once it is this one's turn to change it.
pub(crate) async fn find_to_change(
    tx: &mut Transaction<'_>,
    realm: &RealmName,
    id: TokenId,
) -> Result<Option<Token>, Failure> {
    tx.lock(TURN, &values![&id, realm]).await?;
    find(tx, realm, id).await
}

/// Stores the row of a new token; touches none if the id is taken.
pub(super) fn ask_insert(token: &Token) -> Asked<'_> {
    let Token { owner, validity, sentinel, .. } = token;
    let values = values![
        &token.id,
        &token.realm,
        codec::sort_key(token.created_at, token.id),
        token.kind.name(),
        token.name.as_ref(),
        token.description.as_ref(),
        codec::owner_kind(owner),
        owner.name(),
        services_text(token),
        codec::words(&token.scopes),
        token.permissions.as_ref(),
        codec::unless_empty(codec::words(&token.networks)),
        token.doors.as_deref().map(codec::door_words),
        token.enabled,
        token.locked,
        token.pending,
        validity.not_before(),
        validity.expires_at(),
        token.created_at,
        &token.created_by,
        token.activated_at,
        token.max_usages,
        token.used,
        labels_json(token),
        codec::airlock_json(&token.airlock),
        codec::sentinel_json(sentinel),
        sentinel.count,
        sentinel.reserved,
        sentinel.returned,
        token.unit.as_ref(),
        token.parent.as_ref(),
        token.version,
        token.repository.as_ref().map(|membership| membership.name.as_str()),
        token.repository.as_ref().map(|membership| membership.place.name())
    ];
    Asked::new(INSERT, values)
}

/// Notes in the side tables which services and labels a token has.
pub(super) async fn add_services_and_labels(
    tx: &mut Transaction<'_>,
    token: &Token,
) -> Result<(), Failure> {
    let key = codec::sort_key(token.created_at, token.id);
    for label in token.service_labels() {
        tx.push(ADD_SERVICE, &values![&token.realm, label, &key]).await?;
    }
    for (name, value) in &token.labels {
        tx.push(ADD_LABEL, &values![&token.realm, name, value, &key]).await?;
    }
    for (name, value) in references(token) {
        tx.push(ADD_LABEL, &values![&token.realm, name, value, &key]).await?;
    }
    Ok(())
}

/// Takes a token's services and labels out of the side tables.
pub(super) async fn drop_services_and_labels(
    tx: &mut Transaction<'_>,
    token: &Token,
) -> Result<(), Failure> {
    let key = codec::sort_key(token.created_at, token.id);
    for label in token.service_labels() {
        tx.push(DROP_SERVICE, &values![&token.realm, label, &key]).await?;
    }
    for (name, value) in &token.labels {
        tx.push(DROP_LABEL, &values![&token.realm, name, value, &key]).await?;
    }
    for (name, value) in references(token) {
        tx.push(DROP_LABEL, &values![&token.realm, name, value, &key]).await?;
    }
    Ok(())
}

/// In the index of labels, the names of what a registration token is found by. No label can have
/// such a name, because labels hold no control characters.
pub(super) const IDENTIFIER: &str = "\u{1}identifier";
/// The same, of the first reference id.
pub(super) const REF_ID_1: &str = "\u{1}ref_id_1";
/// The same, of the second reference id.
pub(super) const REF_ID_2: &str = "\u{1}ref_id_2";

/// What a registration token is found by; an auth token has columns for it.
fn references(token: &Token) -> impl Iterator<Item = (&'static str, &String)> {
    let sentinel = &token.sentinel;
    let named = [
        (IDENTIFIER, &sentinel.identifier),
        (REF_ID_1, &sentinel.ref_id_1),
        (REF_ID_2, &sentinel.ref_id_2),
    ];
    let counts = token.kind == Kind::RegistrationToken;
    named
        .into_iter()
        .filter_map(move |(name, value)| Some((name, value.as_ref().filter(|_| counts)?)))
}

/// The column `services`.
pub(super) fn services_text(token: &Token) -> String {
    codec::words(token.service_labels())
}

/// The column `labels`.
pub(super) fn labels_json(token: &Token) -> Option<String> {
    (!token.labels.is_empty()).then(|| codec::json(&token.labels))
}

/// The tokens in rows of which each holds a token and one of its secrets.
pub(super) fn tokens_of(rows: Vec<Row>) -> Result<Vec<Token>, Inconsistent> {
    let tokens = tokens_behind(rows, |_| Ok(()))?;
    Ok(tokens.into_iter().map(|((), token)| token).collect())
}

/// The same where something else of the token stands in front of it.
pub(super) fn tokens_behind<T>(
    rows: Vec<Row>,
    read: impl Fn(&mut Row) -> Result<T, Inconsistent>,
) -> Result<Vec<(T, Token)>, Inconsistent> {
    let mut tokens: Vec<(T, Token)> = Vec::new();
    for mut row in rows {
        let front = read(&mut row)?;
        let token = token_of(&mut row)?;
        let facts = facts_of(&mut row)?;
        match tokens.last_mut() {
            Some((_, last)) if last.id == token.id => last.secrets.extend(facts),
            _ => {
                let secrets = facts.into_iter().collect();
                tokens.push((front, Token { secrets, ..token }));
            }
        }
    }
    for (_, token) in &mut tokens {
        order(&mut token.secrets);
    }
    Ok(tokens)
}

/// Current first, then next, then former ones, newest first.
pub(super) fn order(secrets: &mut [SecretFacts]) {
    secrets.sort_by_key(|facts| (facts.slot, std::cmp::Reverse(facts.created_at)));
}

/// One secret of a row that ends with [`facts_columns`].
fn facts_of(row: &mut Row) -> Result<Option<SecretFacts>, Inconsistent> {
    if row.text_or_null("secret")?.is_none() {
        return Ok(None);
    }
    facts(row).map(Some)
}

/// The facts of a secret behind its id.
pub(super) fn facts(row: &mut Row) -> Result<SecretFacts, Inconsistent> {
    Ok(SecretFacts {
        slot: row.parsed("slot", Slot::from_name)?,
        created_at: row.time("created_at")?,
        not_before: row.time_or_null("not_before")?,
        expires_at: row.time_or_null("expires_at")?,
    })
}

/// Binds a secret, in the order of the columns of `token_secret`.
pub(super) fn secret_row<'a>(token: &'a TokenId, secret: &'a StoredSecret) -> [Value<'a>; 10] {
    values![
        token,
        &secret.id,
        secret.facts.slot.name(),
        secret.facts.created_at,
        secret.facts.not_before,
        secret.facts.expires_at,
        secret.hash.pepper(),
        codec::hash_bytes(&secret.hash),
        codec::cost(&secret.hash),
        secret.found_by_hash
    ]
}

/// `not_before` and `expires_at`, two columns.
pub(super) fn validity(row: &mut Row) -> Result<Validity, Inconsistent> {
    let not_before = row.time("not_before")?;
    let expires_at = row.time_or_null("expires_at")?;
    Validity::new(not_before, expires_at).map_err(|_| Inconsistent { column: "expires_at" })
}

fn revocation(row: &mut Row) -> Result<Option<Revocation>, Inconsistent> {
    let at = row.time_or_null("revoked_at")?;
    let by = row.text_or_null("revoked_by")?;
    let reason = row.text_or_null("revoked_reason")?;
    match (at, by) {
        (Some(at), Some(by)) => Ok(Some(Revocation { at, by, reason })),
        (None, _) => Ok(None),
        (Some(_), None) => Err(Inconsistent { column: "revoked_by" }),
    }
}

fn token_of(row: &mut Row) -> Result<Token, Inconsistent> {
    let mut token = plain_token_of(row)?;
    token.sentinel.told = Told(row.small("told")?);
    token.changed_at = row.time_or_null("changed_at")?;
    token.repository = codec::membership(row)?;
    token.otp = row.parsed_or_null("method", Method::from_name)?;
    token.device = device_of(row)?;
    Ok(token)
}

fn plain_token_of(row: &mut Row) -> Result<Token, Inconsistent> {
    Ok(Token {
        id: row.token("id")?,
        realm: codec::realm(row, "realm")?,
        kind: row.parsed("kind", Kind::from_name)?,
        name: row.text_or_null("name")?,
        description: row.text_or_null("description")?,
        owner: codec::owner(row)?,
        services: codec::services(row)?,
        scopes: codec::scopes(row)?,
        permissions: row.text_or_null("permissions")?,
        networks: codec::networks(row)?,
        doors: codec::doors(row)?,
        enabled: row.flag("enabled")?,
        locked: row.flag("locked")?,
        pending: row.flag("pending")?,
        validity: validity(row)?,
        revocation: revocation(row)?,
        created_at: row.time("created_at")?,
        created_by: row.text("created_by")?,
        activated_at: row.time_or_null("activated_at")?,
        max_usages: row.count_or_null("max_usages")?,
        used: row.count("used")?,
        labels: row.json_or_null("labels")?.unwrap_or_default(),
        airlock: codec::airlock(row)?,
        sentinel: codec::sentinel(row)?,
        unit: row.text_or_null("unit")?,
        parent: row.token_or_null("parent")?,
        version: row.int("version")?,
        usage: Usage {
            first_at: row.time_or_null("first_at")?,
            last_at: row.time_or_null("last_at")?,
            last_ip: row.parsed_or_null("last_ip", |text| text.parse().ok())?,
            total: row.count("total")?,
            denied_total: row.count("denied")?,
        },
        device: None,
        changed_at: None,
        repository: None,
        otp: None,
        secrets: Vec::new(),
    })
}

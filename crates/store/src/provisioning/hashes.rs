//! What was derived of secrets for directories: stored with them, and read by person.

use counterfoil_authority::clock::Timestamp;
use counterfoil_authority::kind::Kind;
use counterfoil_authority::names::{RealmName, Username};
use counterfoil_authority::secret::TokenId;
use counterfoil_authority::store::{DirectoryHash, DirectorySecret, DirectoryToken};
use counterfoil_authority::token::{Slot, StoredSecret};
use counterfoil_authority::validity::Validity;

use crate::codec;
use crate::engine::{Failure, Inconsistent, Row, Transaction, values};

const INSERT: &str = "
insert into directory_hash (token, secret, scheme, sealed)
values ($1, $2, $3, $4)
on conflict do nothing";

const FORGET: &str = "
delete from directory_hash
where  token = $1";

/// Those of secrets that are kept no longer.
const TIDY: &str = "
delete from directory_hash
where  token = $1
and    secret not in (select id from token_secret where token = $1)";

const OF_USER: &str = "
select t.id, t.kind, t.name, t.services, t.enabled, t.locked, t.pending, t.networks, t.max_usages,
       t.doors, t.not_before, t.expires_at, t.created_at,
       s.id, s.slot, s.not_before, s.expires_at, h.scheme, h.sealed
from   token t
join   token_secret s on s.token = t.id
left   join directory_hash h on h.token = s.token and h.secret = s.id
where  t.realm = $1
and    t.owner_kind = 'u'
and    t.owner = $2
and    t.revoked_at is null
and    t.kind in ('service_token', 'personal_access_token')
and    (t.expires_at is null or t.expires_at > $3)
order  by t.sort_key";

/// Every statement of this file.
pub(super) const STATEMENTS: &[&str] = &[INSERT, FORGET, TIDY, OF_USER];

/// Stores what was derived of a secret.
pub(crate) async fn insert(
    tx: &mut Transaction<'_>,
    token: TokenId,
    secret: &StoredSecret,
) -> Result<(), Failure> {
    for hash in &secret.directory {
        tx.push(INSERT, &values![&token, &secret.id, &hash.scheme, hash.sealed.as_slice()]).await?;
    }
    Ok(())
}

/// Removes what was derived of a token's secrets: it will never be wanted again.
pub(crate) async fn forget(tx: &mut Transaction<'_>, token: TokenId) -> Result<(), Failure> {
    tx.push(FORGET, &values![&token]).await
}

/// Removes what was derived of secrets that are gone.
pub(crate) async fn tidy(tx: &mut Transaction<'_>, token: TokenId) -> Result<(), Failure> {
    tx.push(TIDY, &values![&token]).await
}

/// A person's tokens as directories need them.
pub(super) async fn of_user(
    tx: &mut Transaction<'_>,
    realm: &RealmName,
    user: &Username,
    now: Timestamp,
) -> Result<Vec<DirectoryToken>, Failure> {
    let mut found: Vec<DirectoryToken> = Vec::new();
    for mut row in tx.query(OF_USER, &values![realm, user, now]).await? {
        let token = token_of(&mut row)?;
        let secret = DirectorySecret {
            id: row.text("secret")?,
            slot: row.parsed("slot", Slot::from_name)?,
            not_before: row.time_or_null("not_before")?,
            expires_at: row.time_or_null("expires_at")?,
            hashes: Vec::new(),
        };
        let scheme = row.text_or_null("scheme")?;
        let sealed = row.bytes_or_null("sealed")?;
        // The joins keep the rows of a token together, and those of a secret.
        if found.last().is_none_or(|last| last.id != token.id) {
            found.push(token);
        }
        let Some(last) = found.last_mut() else { continue };
        let place = last.secrets.iter().position(|known| known.id == secret.id);
        let place = place.unwrap_or_else(|| {
            last.secrets.push(secret);
            last.secrets.len() - 1
        });
        if let Some((scheme, sealed)) = scheme.zip(sealed) {
            last.secrets[place].hashes.push(DirectoryHash { scheme, sealed });
        }
    }
    for token in &mut found {
        token.secrets.sort_by(|a, b| a.id.cmp(&b.id));
        for secret in &mut token.secrets {
            secret.hashes.sort_by(|a, b| a.scheme.cmp(&b.scheme));
        }
    }
    Ok(found)
}

fn token_of(row: &mut Row) -> Result<DirectoryToken, Inconsistent> {
    let id = row.token("id")?;
    let kind = row.parsed("kind", Kind::from_name)?;
    let name = row.text_or_null("name")?;
    let services = codec::services(row)?;
    let enabled = row.flag("enabled")?;
    let locked = row.flag("locked")?;
    let pending = row.flag("pending")?;
    let networks = codec::networks(row)?;
    let counted = row.int_or_null("max_usages")?.is_some();
    let doors = codec::doors(row)?;
    let not_before = row.time("not_before")?;
    let expires_at = row.time_or_null("expires_at")?;
    let validity =
        Validity::new(not_before, expires_at).map_err(|_| Inconsistent { column: "expires_at" })?;
    Ok(DirectoryToken {
        id,
        kind,
        name,
        services,
        usable: enabled && !locked && !pending,
        bound_to_networks: !networks.is_empty(),
        counted,
        doors,
        validity,
        created_at: row.time("created_at")?,
        secrets: Vec::new(),
    })
}

//! Who somebody is that is known elsewhere, and what follows from what is said of them there.

use counterfoil_authority::names::{RealmName, Username};
use counterfoil_authority::single_sign_on::Identity;
use counterfoil_authority::store::{Inserted, PersonVouched, VouchedOutcome};

use crate::engine::{Failure, Inconsistent, Row, Transaction, values};
use crate::{codec, events, people};

/// One subject is one person, and one person is one subject of an issuer: each has its index.
const INSERT: &str = "
insert into external_identity (realm, issuer, subject, username, linked_at, used_at)
values ($1, $2, $3, $4, $5, $6)
on conflict do nothing";

const USED: &str = "
update external_identity
set    used_at = $5
where  realm = $1
and    issuer = $2
and    subject = $3
and    username = $4";

const FIND: &str = "
select realm, issuer, subject, username, linked_at, used_at
from   external_identity
where  realm = $1
and    issuer = $2
and    subject = $3";

const DELETE_OF_PERSON: &str = "
delete from external_identity
where  realm = $1
and    username = $2";

/// Every statement of this file.
pub(super) const STATEMENTS: &[&str] = &[INSERT, USED, FIND, DELETE_OF_PERSON];

pub(super) async fn find(
    tx: &mut Transaction<'_>,
    realm: &RealmName,
    issuer: &str,
    subject: &str,
) -> Result<Option<Identity>, Failure> {
    let row = tx.row(FIND, &values![realm, issuer, subject]).await?;
    Ok(row.map(identity_of).transpose()?)
}

pub(super) async fn vouched(
    tx: &mut Transaction<'_>,
    vouched: &PersonVouched,
) -> Result<VouchedOutcome, Failure> {
    let PersonVouched { identity, event, new, gains, loses } = vouched;
    let (realm, username) = (&identity.realm, &identity.username);
    if let Some((user, event)) = new {
        match people::user_insert(tx, user, event).await? {
            Inserted::Done => {}
            Inserted::Exists => return Ok(VouchedOutcome::Taken),
            Inserted::Missing(_) => return Ok(VouchedOutcome::Gone),
        }
    } else {
        people::turn_at_user(tx, realm, username).await?;
        if !people::user_exists(tx, realm, username).await? {
            return Ok(VouchedOutcome::Gone);
        }
    }
    if link(tx, identity).await? {
        events::append(tx, event).await?;
    } else if !used(tx, identity).await? {
        tx.undo();
        return Ok(VouchedOutcome::Taken);
    }
    for (id, event) in loses {
        people::grant_delete(tx, realm, id, event).await?;
    }
    for (grant, event) in gains {
        people::grant_insert(tx, grant, event).await?;
    }
    Ok(VouchedOutcome::Done)
}

/// Whether this was not known, and is now.
async fn link(tx: &mut Transaction<'_>, identity: &Identity) -> Result<bool, Failure> {
    let values = values![
        &identity.realm,
        identity.issuer.as_str(),
        identity.subject.as_str(),
        &identity.username,
        identity.linked_at,
        identity.used_at
    ];
    Ok(tx.execute(INSERT, &values).await? > 0)
}

/// Whether just this was known.
async fn used(tx: &mut Transaction<'_>, identity: &Identity) -> Result<bool, Failure> {
    let values = values![
        &identity.realm,
        identity.issuer.as_str(),
        identity.subject.as_str(),
        &identity.username,
        identity.used_at
    ];
    Ok(tx.execute(USED, &values).await? > 0)
}

pub(super) async fn delete_of(
    tx: &mut Transaction<'_>,
    realm: &RealmName,
    username: &Username,
) -> Result<(), Failure> {
    tx.push(DELETE_OF_PERSON, &values![realm, username]).await
}

fn identity_of(mut row: Row) -> Result<Identity, Inconsistent> {
    Ok(Identity {
        realm: codec::realm(&mut row, "realm")?,
        issuer: row.text("issuer")?,
        subject: row.text("subject")?,
        username: row.parsed("username", |text| Username::parse(text).ok())?,
        linked_at: row.time("linked_at")?,
        used_at: row.time("used_at")?,
    })
}

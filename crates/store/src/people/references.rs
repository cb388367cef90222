//! Whether what a record names exists, asked inside the record's own transaction.
//!
//! What is found stays until the transaction ends: whoever would remove it waits,
//! and then finds the record that names it.

use counterfoil_authority::names::{ClientName, GroupName, RealmName, ServiceLabel, Username};

use counterfoil_authority::subject::Owner;

use crate::engine::{Asked, Failure, Transaction, values};

const REALM: &str = "select 1 from realm where name = $1 {for_keeping}";
const UNIT: &str = "select 1 from unit where realm = $1 and id = $2 {for_keeping}";
const USER: &str = "
select 1
from   person
where  realm = $1
and    username = $2
{for_keeping}";
const GROUP: &str = "select 1 from grp where realm = $1 and name = $2 {for_keeping}";
const GROUP_BEING: &str = "
select 1
from   grp
where  realm = $1
and    name = $2
and    open = $3
{for_keeping}";
const CLIENT: &str = "select 1 from client where realm = $1 and name = $2 {for_keeping}";
const SERVICE: &str = "
select 1
from   service
where  realm = $1
and    label = $2
{for_keeping}";

/// Others who decide on what belongs to the same person or client wait their turn.
const TURN_AT_USER: &str = "
select 1
from   person
where  realm = $1
and    username = $2
{for_change}";
const TURN_AT_CLIENT: &str = "
select 1
from   client
where  realm = $1
and    name = $2
{for_change}";

/// Every statement of this file.
pub(super) const STATEMENTS: &[&str] =
    &[REALM, UNIT, USER, GROUP, GROUP_BEING, CLIENT, SERVICE, TURN_AT_USER, TURN_AT_CLIENT];

/// Asks whether there is the owner of a token.
pub(crate) fn ask_owner<'a>(realm: &'a RealmName, owner: &'a Owner) -> Asked<'a> {
    match owner {
        Owner::User(name) => Asked::new(USER, values![realm, name]),
        Owner::Client(name) => Asked::new(CLIENT, values![realm, name]),
    }
}

/// Asks whether there is such a service.
pub(crate) fn ask_service<'a>(realm: &'a RealmName, label: &'a ServiceLabel) -> Asked<'a> {
    Asked::new(SERVICE, values![realm, label])
}

/// Takes the turn at a person: their memberships, and how many tokens they have.
pub(crate) async fn turn_at_user(
    tx: &mut Transaction<'_>,
    realm: &RealmName,
    name: &Username,
) -> Result<(), Failure> {
    tx.lock(TURN_AT_USER, &values![realm, name]).await
}

/// Takes the turn at a client: how many keys it has.
pub(crate) async fn turn_at_client(
    tx: &mut Transaction<'_>,
    realm: &RealmName,
    name: &ClientName,
) -> Result<(), Failure> {
    tx.lock(TURN_AT_CLIENT, &values![realm, name]).await
}

/// Whether there is such a realm.
pub(crate) async fn realm_exists(
    tx: &mut Transaction<'_>,
    realm: &RealmName,
) -> Result<bool, Failure> {
    tx.exists(REALM, &values![realm]).await
}

/// Whether there is such a unit.
pub(crate) async fn unit_exists(
    tx: &mut Transaction<'_>,
    realm: &RealmName,
    id: &str,
) -> Result<bool, Failure> {
    tx.exists(UNIT, &values![realm, id]).await
}

/// Whether a record's unit, if it names one, exists.
pub(crate) async fn unit_if_any(
    tx: &mut Transaction<'_>,
    realm: &RealmName,
    unit: Option<&String>,
) -> Result<bool, Failure> {
    match unit {
        Some(id) => unit_exists(tx, realm, id).await,
        None => Ok(true),
    }
}

/// Whether there is such a person.
pub(crate) async fn user_exists(
    tx: &mut Transaction<'_>,
    realm: &RealmName,
    name: &Username,
) -> Result<bool, Failure> {
    tx.exists(USER, &values![realm, name]).await
}

/// Whether there is such a group.
pub(crate) async fn group_exists(
    tx: &mut Transaction<'_>,
    realm: &RealmName,
    name: &GroupName,
) -> Result<bool, Failure> {
    tx.exists(GROUP, &values![realm, name]).await
}

/// Whether there is such a group, and it is open or not as said.
pub(crate) async fn group_is(
    tx: &mut Transaction<'_>,
    realm: &RealmName,
    name: &GroupName,
    open: bool,
) -> Result<bool, Failure> {
    tx.exists(GROUP_BEING, &values![realm, name, open]).await
}

/// Whether there is such a client.
pub(crate) async fn client_exists(
    tx: &mut Transaction<'_>,
    realm: &RealmName,
    name: &ClientName,
) -> Result<bool, Failure> {
    tx.exists(CLIENT, &values![realm, name]).await
}

/// Whether there is such a service.
pub(crate) async fn service_exists(
    tx: &mut Transaction<'_>,
    realm: &RealmName,
    label: &ServiceLabel,
) -> Result<bool, Failure> {
    tx.exists(SERVICE, &values![realm, label]).await
}

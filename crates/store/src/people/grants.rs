//! Grants: who has which role, and how far it reaches.

use counterfoil_authority::event::Event;
use counterfoil_authority::names::{ClientName, GroupName, RealmName, ServiceLabel, Username};
use counterfoil_authority::store::{Change, Inserted, Page, PageRequest};
use counterfoil_authority::subject::{Grant, GrantSubject, Role};

use super::{
    client_exists, group_is, groups, page, realm_exists, service_exists, unit_if_any, user_exists,
};
use crate::engine::{Failure, Inconsistent, Row, Transaction, values};
use crate::{codec, events};

const INSERT: &str = "
insert into role_grant (
    realm, id, subject_kind, subject, role, unit, service, limits, created_at, created_by
)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
on conflict do nothing";

macro_rules! columns {
    () => {
        "
select realm, id, subject_kind, subject, role, unit, service, limits, created_at, created_by
from   role_grant
where  realm = $1
"
    };
}

const FIND: &str = concat!(columns!(), "and id = $2");
const LIST: &str = concat!(columns!(), "and id > $2 order by id limit $3");
const OF_CLIENT: &str = concat!(columns!(), "and subject_kind = 'c' and subject = $2 order by id");
const OF_USER: &str = concat!(
    columns!(),
    "
and    (
    (subject_kind = 'u' and subject = $2)
    or (subject_kind = 'g' and subject in (
        select grp
        from   group_member
        where  realm = $1 and username = $2
    ))
)
order  by id"
);

/// The people who have a role, by name or through a group.
macro_rules! holders {
    ($which:literal) => {
        concat!(
            "
select p.username
from   person p
where  p.realm = $1
and    p.status = 'active'
and    p.username in (
    select g.subject
    from   role_grant g
    where  g.realm = $1
    and    g.subject_kind = 'u'
    and    ",
            $which,
            "
    union
    select m.username
    from   role_grant g
    join   group_member m on m.realm = g.realm and m.grp = g.subject
    where  g.realm = $1
    and    g.subject_kind = 'g'
    and    ",
            $which,
            "
)
order  by p.username
limit  $3"
        )
    };
}

const MANAGERS: &str = holders!("g.role = 'service-manager' and g.service = $2");

const ADMINISTRATORS: &str = holders!(
    "g.role = 'unit-admin' and g.unit = (
        select s.unit
        from   service s
        where  s.realm = $1
        and    s.label = $2
    )"
);

const DELETE: &str = "
delete from role_grant
where  realm = $1
and    id = $2";

const DELETE_OF_SUBJECT: &str = "
delete from role_grant
where  realm = $1
and    subject_kind = $2
and    subject = $3";

const DELETE_OF_SERVICE: &str = "
delete from role_grant
where  realm = $1
and    service = $2
returning realm, id, subject_kind, subject, role, unit, service, limits, created_at, created_by";

/// Every statement of this file.
pub(super) const STATEMENTS: &[&str] = &[
    INSERT,
    FIND,
    LIST,
    OF_CLIENT,
    OF_USER,
    MANAGERS,
    ADMINISTRATORS,
    DELETE,
    DELETE_OF_SUBJECT,
    DELETE_OF_SERVICE,
];

/// Who looks after a service.
pub(super) async fn keepers(
    tx: &mut Transaction<'_>,
    realm: &RealmName,
    service: &ServiceLabel,
    limit: u32,
) -> Result<Vec<Username>, Failure> {
    for statement in [MANAGERS, ADMINISTRATORS] {
        let rows = tx.query(statement, &values![realm, service, limit]).await?;
        if !rows.is_empty() {
            let name = |mut row: Row| row.parsed("username", |text| Username::parse(text).ok());
            return Ok(rows.into_iter().map(name).collect::<Result<_, _>>()?);
        }
    }
    Ok(Vec::new())
}

/// Adds a grant.
pub(crate) async fn insert(
    tx: &mut Transaction<'_>,
    grant: &Grant,
    event: &Event,
) -> Result<Inserted, Failure> {
    if let Some(missing) = missing(tx, grant).await? {
        return Ok(Inserted::Missing(missing));
    }
    let (kind, subject) = subject_columns(&grant.subject);
    let values = values![
        &grant.realm,
        &grant.id,
        kind,
        subject,
        grant.role.name(),
        grant.unit.as_ref(),
        grant.service.as_ref(),
        codec::json(&grant.limits),
        grant.created_at,
        &grant.created_by
    ];
    if tx.execute(INSERT, &values).await? == 0 {
        return Ok(Inserted::Exists);
    }
    events::append(tx, event).await?;
    changed_for_subject(tx, grant, event).await?;
    Ok(Inserted::Done)
}

/// Finds a grant.
pub(super) async fn find(
    tx: &mut Transaction<'_>,
    realm: &RealmName,
    id: &str,
) -> Result<Option<Grant>, Failure> {
    let row = tx.row(FIND, &values![realm, id]).await?;
    Ok(row.map(grant_of).transpose()?)
}

/// Lists grants by id.
pub(super) async fn list(
    tx: &mut Transaction<'_>,
    realm: &RealmName,
    request: &PageRequest,
) -> Result<Page<Grant>, Failure> {
    let values = values![realm, page::start(request), page::rows_to_ask(request)];
    let rows = tx.query(LIST, &values).await?;
    page::of(rows, request, grant_of, |grant| grant.id.clone())
}

/// Removes a grant.
pub(crate) async fn delete(
    tx: &mut Transaction<'_>,
    realm: &RealmName,
    id: &str,
    event: &Event,
) -> Result<bool, Failure> {
    let Some(grant) = find(tx, realm, id).await? else { return Ok(false) };
    if tx.execute(DELETE, &values![realm, id]).await? == 0 {
        return Err(Failure::interleaved());
    }
    events::append(tx, event).await?;
    changed_for_subject(tx, &grant, event).await?;
    Ok(true)
}

/// The grants that a person has, by name or through a group.
pub(super) async fn of_user(
    tx: &mut Transaction<'_>,
    realm: &RealmName,
    name: &Username,
) -> Result<Vec<Grant>, Failure> {
    all(tx.query(OF_USER, &values![realm, name]).await?)
}

/// The grants that a client has.
pub(super) async fn of_client(
    tx: &mut Transaction<'_>,
    realm: &RealmName,
    name: &ClientName,
) -> Result<Vec<Grant>, Failure> {
    all(tx.query(OF_CLIENT, &values![realm, name]).await?)
}

/// Removes what a subject had, so that a later namesake has none of it.
pub(crate) async fn delete_all_of(
    tx: &mut Transaction<'_>,
    realm: &RealmName,
    subject_kind: &str,
    subject: &str,
) -> Result<(), Failure> {
    tx.push(DELETE_OF_SUBJECT, &values![realm, subject_kind, subject]).await
}

/// Removes what was granted on a service, so that a later namesake has no such grant.
pub(crate) async fn delete_all_of_service(
    tx: &mut Transaction<'_>,
    realm: &RealmName,
    label: &ServiceLabel,
    event: &Event,
) -> Result<(), Failure> {
    for grant in all(tx.query(DELETE_OF_SERVICE, &values![realm, label]).await?)? {
        changed_for_subject(tx, &grant, event).await?;
    }
    Ok(())
}

/// The first thing that a grant names and that does not exist.
async fn missing(tx: &mut Transaction<'_>, grant: &Grant) -> Result<Option<&'static str>, Failure> {
    let realm = &grant.realm;
    if !realm_exists(tx, realm).await? {
        return Ok(Some("realm"));
    }
    let (exists, what) = match &grant.subject {
        GrantSubject::User(name) => (user_exists(tx, realm, name).await?, "user"),
        GrantSubject::Client(name) => (client_exists(tx, realm, name).await?, "client"),
        // Whoever joins an open group must not get roles by it.
        GrantSubject::Group(name) => (group_is(tx, realm, name, false).await?, "group"),
    };
    if !exists {
        return Ok(Some(what));
    }
    if !unit_if_any(tx, realm, grant.unit.as_ref()).await? {
        return Ok(Some("unit"));
    }
    match &grant.service {
        Some(label) if !service_exists(tx, realm, label).await? => Ok(Some("service")),
        _ => Ok(None),
    }
}

async fn changed_for_subject(
    tx: &mut Transaction<'_>,
    grant: &Grant,
    event: &Event,
) -> Result<(), Failure> {
    let realm = &grant.realm;
    let changes = match &grant.subject {
        GrantSubject::User(name) => vec![Change::User(realm.clone(), name.clone())],
        GrantSubject::Client(name) => vec![Change::Client(realm.clone(), name.clone())],
        GrantSubject::Group(name) => {
            let members = groups::every_member(tx, realm, name).await?;
            members.into_iter().map(|member| Change::User(realm.clone(), member)).collect()
        }
    };
    tx.all_changed(changes, event.at).await
}

fn subject_columns(subject: &GrantSubject) -> (&'static str, &str) {
    match subject {
        GrantSubject::User(name) => ("u", name.as_str()),
        GrantSubject::Client(name) => ("c", name.as_str()),
        GrantSubject::Group(name) => ("g", name.as_str()),
    }
}

fn all(rows: Vec<Row>) -> Result<Vec<Grant>, Failure> {
    let grants: Result<Vec<_>, _> = rows.into_iter().map(grant_of).collect();
    Ok(grants?)
}

fn grant_of(mut row: Row) -> Result<Grant, Inconsistent> {
    let realm = codec::realm(&mut row, "realm")?;
    let id = row.text("id")?;
    let kind = row.text("subject_kind")?;
    let subject = row.parsed("subject", |name| match kind.as_str() {
        "u" => Username::parse(name).ok().map(GrantSubject::User),
        "c" => ClientName::parse(name).ok().map(GrantSubject::Client),
        "g" => GroupName::parse(name).ok().map(GrantSubject::Group),
        _ => None,
    })?;
    Ok(Grant {
        realm,
        id,
        subject,
        role: row.parsed("role", Role::from_name)?,
        unit: row.text_or_null("unit")?,
        service: row.parsed_or_null("service", codec::label)?,
        limits: row.json("limits")?,
        created_at: row.time("created_at")?,
        created_by: row.text("created_by")?,
    })
}

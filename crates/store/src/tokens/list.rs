//! Lists of tokens, newest first.

use counterfoil_authority::clock::Timestamp;
use counterfoil_authority::kind::Kind;
use counterfoil_authority::names::{RealmName, ServiceLabel};
use counterfoil_authority::service::Services;
use counterfoil_authority::store::{LookedAfter, Page, PageRequest, TokenFilter};
use counterfoil_authority::subject::Owner;
use counterfoil_authority::token::{State, Token};

use super::enrolment::device::device_columns;
use super::rows::{self, facts_columns, token_columns};
use super::usage::state;
use crate::codec;
use crate::engine::{Failure, Transaction, Value, values};
use crate::people::page;

/// Rows looked at for one page at most. A page may then hold fewer records than asked for
/// although there are more; its `next` goes on where the look ended.
const ROWS_PER_PAGE_MAX: u32 = 20_000;

/// Conditions that are in no index, and the secrets of what remains. `$2` is now.
///
/// The order is that of the table the list begins with, which spares a sort.
macro_rules! list {
    ($from:literal, $condition:literal, $order:literal) => {
        concat!(
            "
select ",
            token_columns!(),
            ",",
            device_columns!(),
            ",
       ",
            facts_columns!(),
            "
from   (
    select t.*
    ",
            $from,
            "
    where  t.realm = $1
    and    t.sort_key < $3
    and    (t.kind = $5 or $5 is null)
    and    (t.name = $6 or $6 is null)
    and    (t.unit = $7 or $7 is null)
    and    (t.expires_at < $8 or $8 is null)
    and    (cast($9 as {int}) is null or not exists (
        select 1 from token_usage w where w.token = t.id and w.last_at >= $9
    ))
    and    (",
            state!(),
            " = $10 or $10 is null)
    ",
            $condition,
            "
    order  by ",
            $order,
            " desc
    limit  $4
) t
left   join token_usage u on u.token = t.id
left   join auth_token a on a.token = t.id
left   join token_secret s on s.token = t.id
order  by t.sort_key desc"
        )
    };
}

const OF_REALM: &str = list!("from token t", "", "t.sort_key");
/// An index of this condition knows them, few as they are among many others.
const OF_REGISTRATIONS: &str =
    list!("from token t", "and t.kind || '' = 'registration_token'", "t.sort_key");
/// Down to a certain place.
const OF_REALM_DOWN_TO: &str = list!("from token t", "and t.sort_key >= $11", "t.sort_key");
/// The last of so many tokens.
const FLOOR: &str = "
select t.sort_key
from   token t
where  t.realm = $1
and    t.sort_key < $2
order  by t.sort_key desc
limit  1
offset $3";
const OF_OWNER: &str =
    list!("from token t", "and t.owner_kind = $11 and t.owner = $12", "t.sort_key");
/// `cross join`: begin with the service's own rows, not with every token of the realm.
const OF_SERVICE: &str = list!(
    "from token_service n cross join token t",
    "and n.realm = $1 and n.service = $11 and n.sort_key < $3 and t.sort_key = n.sort_key",
    "n.sort_key"
);
const OF_LABEL: &str = list!(
    "from token_label n cross join token t",
    "and n.realm = $1 and n.name = $11 and n.value = $12 and n.sort_key < $3
    and t.sort_key = n.sort_key",
    "n.sort_key"
);
const OF_REPOSITORY: &str = list!(
    "from repository_token n cross join token t",
    "and n.realm = $1 and n.repository = $11 and n.sort_key < $3 and t.id = n.token",
    "n.sort_key"
);
const OF_UNIT: &str = list!("from token t", "and t.unit = $11", "t.sort_key");

/// The unit's tokens, its people's, and somebody's own; an index leads to each,
/// so that nobody reads the realm to find a few.
const OF_LOOKED_AFTER: &str = list!(
    "from (
        select i.sort_key from token i where i.realm = $1 and i.unit = $11 and i.sort_key < $3
        union
        select o.sort_key
        from   person p
        cross  join token o
        where  p.realm = $1
        and    p.unit = $11
        and    o.realm = $1
        and    o.owner_kind = 'u'
        and    o.owner = p.username
        and    o.sort_key < $3
        and    o.kind not in ('registration_token', 'auth_token')
        union
        select w.sort_key
        from   token w
        where  w.realm = $1
        and    w.owner_kind = $12
        and    w.owner = $13
        and    w.sort_key < $3
    ) n cross join token t",
    "and t.sort_key = n.sort_key",
    "n.sort_key"
);

const OF_REGISTRATION: &str = list!(
    "from auth_token d cross join token t",
    "and d.registration = $11 and d.sort_key < $3 and t.id = d.token",
    "d.sort_key"
);
/// Reads the narrow rows of all auth tokens, not the wide ones of all tokens.
const OF_DEVICE: &str = list!(
    "from auth_token d cross join token t",
    "and d.realm = $1 and d.sort_key < $3 and t.id = d.token
    and (d.subject = $11 or $11 is null)
    and (d.hostname = $12 or $12 is null)
    and (d.system_user = $13 or $13 is null)
    and (d.mac_address = $14 or $14 is null)
    and (d.identifier = $15 or $15 is null)
    and (d.ref_id_1 = $16 or $16 is null)
    and (d.ref_id_2 = $17 or $17 is null)",
    "d.sort_key"
);

/// Every statement of this file.
pub(super) const STATEMENTS: &[&str] = &[
    OF_REALM,
    OF_REGISTRATIONS,
    OF_REALM_DOWN_TO,
    FLOOR,
    OF_OWNER,
    OF_SERVICE,
    OF_LABEL,
    OF_REPOSITORY,
    OF_UNIT,
    OF_LOOKED_AFTER,
    OF_REGISTRATION,
    OF_DEVICE,
];

/// Lists tokens of a realm.
pub(super) async fn list(
    tx: &mut Transaction<'_>,
    realm: &RealmName,
    filter: &TokenFilter,
    now: Timestamp,
    request: &PageRequest,
) -> Result<Page<Token>, Failure> {
    let wanted = page::rows_to_ask(request) as usize;
    let mut after = page::top(request).to_owned();
    let floor = floor(tx, realm, filter, &after).await?;
    let mut found = Vec::new();
    let mut looked_at = 0;
    loop {
        let ask = page::rows_to_ask(request);
        let tokens = some(tx, realm, filter, now, (&after, floor.as_deref()), ask).await?;
        let read = u32::try_from(tokens.len()).unwrap_or(u32::MAX);
        looked_at += read;
        if let Some(last) = tokens.last() {
            after = place(last);
        }
        found.extend(tokens.into_iter().filter(|token| matches(token, filter)));
        if floor.is_some() && read < ask && found.len() < wanted {
            return Ok(Page { items: found, next: floor });
        }
        if read < ask || found.len() >= wanted {
            return Ok(page::cut(found, request, place));
        }
        if looked_at >= ROWS_PER_PAGE_MAX {
            return Ok(Page { items: found, next: Some(after) });
        }
    }
}

/// Where a look ends that is to be short, if there is anything behind.
async fn floor(
    tx: &mut Transaction<'_>,
    realm: &RealmName,
    filter: &TokenFilter,
    after: &str,
) -> Result<Option<String>, Failure> {
    let Some(most) = filter.look_at_most.filter(|_| is_of_realm(filter)) else { return Ok(None) };
    let last = tx.row(FLOOR, &values![realm, after, most]).await?;
    Ok(last.map(|mut row| row.text("sort_key")).transpose()?)
}

/// Whether nothing leads to fewer tokens than all of the realm.
fn is_of_realm(filter: &TokenFilter) -> bool {
    filter.looked_after.is_none()
        && filter.registration.is_none()
        && !of_devices(filter)
        && of_registrations(filter).is_none()
        && filter.owner.is_none()
        && filter.repository.is_none()
        && filter.labels.is_empty()
        && filter.service.is_none()
        && !filter.for_everything
        && filter.unit.is_none()
        && filter.kind != Some(Kind::RegistrationToken)
}

/// The next tokens as far as SQL can tell which ones, between two places.
async fn some(
    tx: &mut Transaction<'_>,
    realm: &RealmName,
    filter: &TokenFilter,
    now: Timestamp,
    (after, floor): (&str, Option<&str>),
    limit: u32,
) -> Result<Vec<Token>, Failure> {
    let mut values: Vec<Value<'_>> = values![
        realm,
        now,
        after,
        limit,
        filter.kind.map(Kind::name),
        filter.name.as_ref(),
        filter.unit.as_ref(),
        filter.expires_before,
        filter.unused_since,
        filter.state.map(State::name)
    ]
    .into();
    // The one that leaves the fewest rows goes to an index; `matches` looks at the others.
    let statement = if let Some(LookedAfter { unit, own }) = &filter.looked_after {
        values.extend(values![
            unit,
            own.as_ref().map(codec::owner_kind),
            own.as_ref().map(Owner::name)
        ]);
        OF_LOOKED_AFTER
    } else if let Some(registration) = &filter.registration {
        values.extend(values![registration]);
        OF_REGISTRATION
    } else if of_devices(filter) {
        values.extend(values![
            filter.subject.as_ref(),
            filter.hostname.as_ref(),
            filter.system_user.as_ref(),
            filter.mac_address.as_ref(),
            filter.identifier.as_ref(),
            filter.ref_id_1.as_ref(),
            filter.ref_id_2.as_ref()
        ]);
        OF_DEVICE
    } else if let Some((name, value)) = of_registrations(filter) {
        values.extend(values![name, value]);
        OF_LABEL
    } else if let Some(owner) = &filter.owner {
        values.extend(values![codec::owner_kind(owner), owner.name()]);
        OF_OWNER
    } else if let Some(repository) = &filter.repository {
        values.extend(values![repository.as_str()]);
        OF_REPOSITORY
    } else if let Some((name, value)) = filter.labels.first() {
        values.extend(values![name, value]);
        OF_LABEL
    } else if let Some(service) = &filter.service {
        values.extend(values![service]);
        OF_SERVICE
    } else if filter.for_everything {
        values.extend(values!["*"]);
        OF_SERVICE
    } else if let Some(unit) = &filter.unit {
        values.extend(values![unit]);
        OF_UNIT
    } else if filter.kind == Some(Kind::RegistrationToken) {
        OF_REGISTRATIONS
    } else if let Some(floor) = floor {
        values.extend(values![floor]);
        OF_REALM_DOWN_TO
    } else {
        OF_REALM
    };
    Ok(rows::tokens_of(tx.query(statement, &values).await?)?)
}

/// Whether only auth tokens can match.
fn of_devices(filter: &TokenFilter) -> bool {
    let facts = [&filter.subject, &filter.hostname, &filter.system_user, &filter.mac_address];
    let references = [&filter.identifier, &filter.ref_id_1, &filter.ref_id_2];
    let of_kind = filter.kind == Some(Kind::AuthToken);
    facts.into_iter().any(Option::is_some)
        || (of_kind && references.into_iter().any(Option::is_some))
}

/// What registration tokens are found by, if it is they who are looked for.
fn of_registrations(filter: &TokenFilter) -> Option<(&'static str, &String)> {
    let references = [
        (rows::IDENTIFIER, &filter.identifier),
        (rows::REF_ID_1, &filter.ref_id_1),
        (rows::REF_ID_2, &filter.ref_id_2),
    ];
    let named = references.into_iter().find_map(|(name, value)| Some((name, value.as_ref()?)));
    named.filter(|_| filter.kind == Some(Kind::RegistrationToken))
}

/// What no single index of ours can tell.
fn matches(token: &Token, filter: &TokenFilter) -> bool {
    let of_service = |label: &ServiceLabel| token.service_labels().contains(&label.as_str());
    let within = |allowed: &[ServiceLabel]| match &token.services {
        Services::All => false,
        Services::Named(labels) => {
            !labels.is_empty() && labels.iter().all(|label| allowed.contains(label))
        }
    };
    filter.service.as_ref().is_none_or(of_service)
        && (!filter.for_everything || token.services == Services::All)
        && filter.labels.iter().all(|(name, value)| token.labels.get(name) == Some(value))
        && filter.only_services.as_deref().is_none_or(within)
        && filter.owner.as_ref().is_none_or(|owner| token.owner == *owner)
        && filter.parent.is_none_or(|parent| token.parent == Some(parent))
        && in_repository(token, filter)
        && matches_device(token, filter)
}

/// Whether a token is in the repository that is asked for.
pub(crate) fn in_repository(token: &Token, filter: &TokenFilter) -> bool {
    let name = token.repository.as_ref().map(|member| &member.name);
    filter.repository.as_ref().is_none_or(|wanted| name == Some(wanted))
}

/// Whether a token is, or was drawn by, what is asked for.
pub(crate) fn matches_device(token: &Token, filter: &TokenFilter) -> bool {
    let sentinel = &token.sentinel;
    let facts = token.device.as_ref().map(|device| &device.facts);
    let is = |wanted: &Option<String>, fact: Option<&String>| {
        wanted.as_ref().is_none_or(|wanted| fact == Some(wanted))
    };
    filter.registration.is_none_or(|id| sentinel.registration_token == Some(id))
        && is(&filter.identifier, sentinel.identifier.as_ref())
        && is(&filter.ref_id_1, sentinel.ref_id_1.as_ref())
        && is(&filter.ref_id_2, sentinel.ref_id_2.as_ref())
        && is(&filter.subject, facts.map(|facts| &facts.subject))
        && is(&filter.hostname, facts.and_then(|facts| facts.hostname.as_ref()))
        && is(&filter.system_user, facts.and_then(|facts| facts.system_user.as_ref()))
        && is(&filter.mac_address, facts.and_then(|facts| facts.mac_address.as_ref()))
}

fn place(token: &Token) -> String {
    codec::sort_key(token.created_at, token.id)
}

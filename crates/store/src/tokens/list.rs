//! Lists of tokens, newest first.

use counterfoil_authority::clock::Timestamp;
use counterfoil_authority::kind::Kind;
use counterfoil_authority::names::{RealmName, ServiceLabel};
use counterfoil_authority::service::Services;
use counterfoil_authority::store::{Page, PageRequest, TokenFilter};
use counterfoil_authority::token::{State, Token};

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
left   join token_secret s on s.token = t.id
order  by t.sort_key desc"
        )
    };
}

const OF_REALM: &str = list!("from token t", "", "t.sort_key");
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
const OF_UNIT: &str = list!("from token t", "and t.unit = $11", "t.sort_key");

/// Every statement of this file.
pub(super) const STATEMENTS: &[&str] = &[OF_REALM, OF_OWNER, OF_SERVICE, OF_LABEL, OF_UNIT];

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
    let mut found = Vec::new();
    let mut looked_at = 0;
    loop {
        let ask = page::rows_to_ask(request);
        let tokens = some(tx, realm, filter, now, &after, ask).await?;
        let read = u32::try_from(tokens.len()).unwrap_or(u32::MAX);
        looked_at += read;
        if let Some(last) = tokens.last() {
            after = place(last);
        }
        found.extend(tokens.into_iter().filter(|token| matches(token, filter)));
        if read < ask || found.len() >= wanted {
            return Ok(page::cut(found, request, place));
        }
        if looked_at >= ROWS_PER_PAGE_MAX {
            return Ok(Page { items: found, next: Some(after) });
        }
    }
}

/// The next tokens as far as SQL can tell which ones.
async fn some(
    tx: &mut Transaction<'_>,
    realm: &RealmName,
    filter: &TokenFilter,
    now: Timestamp,
    after: &str,
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
    let statement = if let Some(owner) = &filter.owner {
        values.extend(values![codec::owner_kind(owner), owner.name()]);
        OF_OWNER
    } else if let Some((name, value)) = filter.labels.first() {
        values.extend(values![name, value]);
        OF_LABEL
    } else if let Some(service) = &filter.service {
        values.extend(values![service]);
        OF_SERVICE
    } else if let Some(unit) = &filter.unit {
        values.extend(values![unit]);
        OF_UNIT
    } else {
        OF_REALM
    };
    Ok(rows::tokens_of(tx.query(statement, &values).await?)?)
}

/// What no single index of ours can tell.
fn matches(token: &Token, filter: &TokenFilter) -> bool {
    let of_service = |label: &ServiceLabel| token.service_labels().contains(&label.as_str());
    let within = |allowed: &[ServiceLabel]| match &token.services {
        Services::All => false,
        Services::Named(labels) => labels.iter().all(|label| allowed.contains(label)),
    };
    filter.service.as_ref().is_none_or(of_service)
        && filter.labels.iter().all(|(name, value)| token.labels.get(name) == Some(value))
        && filter.only_services.as_deref().is_none_or(within)
}

fn place(token: &Token) -> String {
    codec::sort_key(token.created_at, token.id)
}

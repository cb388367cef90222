//! Lists of a repository's tokens: a page of places from an index, then the tokens in them.

use counterfoil_authority::clock::Timestamp;
use counterfoil_authority::names::RealmName;
use counterfoil_authority::repository::Place;
use counterfoil_authority::secret::TokenId;
use counterfoil_authority::store::{ListedBy, Listing, ListingFilter, ListingRequest};
use counterfoil_authority::token::{State, Token};

use super::rows;
use super::usage::state;
use crate::engine::{Failure, Row, Transaction, Value, values};

/// What of a place the token's record does not say.
macro_rules! columns {
    () => {
        "r.token, r.sort_key, r.last_at, r.total, r.ends_at, r.first_at, r.held_since, d.sealed"
    };
}

/// A page in an order, behind a place. Conditions that no index tells are asked of each row only if
/// there are any.
macro_rules! page {
    ($behind:literal, $order:literal, $narrow:literal) => {
        concat!(
            "
select ",
            columns!(),
            "
from   repository_token r
left   join token_data d on d.token = r.token
where  r.realm = $1
and    r.repository = $3
and    ",
            $behind,
            "
and    r.last_at between $6 and $7
and    r.total between $8 and $9
and    r.ends_at between $10 and $11
and    (r.place = $12 or $12 is null)
and    (r.tracking = $13 or $13 is null)
and    ($14 = 0 or exists (
    select 1
    from   token t
    where  t.id = r.token
    and    t.not_before between $15 and $16
    and    t.created_at between $17 and $18
    and    (t.enabled = $19 or $19 is null)
    and    (",
            state!(),
            " = $20 or $20 is null)
))
",
            $narrow,
            "
order  by ",
            $order,
            "
limit  $21"
        )
    };
}

/// The same up and down, by age, last use, number of uses and end.
macro_rules! pages {
    ($narrow:literal) => {
        [
            [
                page!("r.sort_key > $5 and cast($4 as {int}) is not null", "r.sort_key", $narrow),
                page!(
                    "r.sort_key < $5 and cast($4 as {int}) is not null",
                    "r.sort_key desc",
                    $narrow
                ),
            ],
            [
                page!("(r.last_at, r.sort_key) > ($4, $5)", "r.last_at, r.sort_key", $narrow),
                page!(
                    "(r.last_at, r.sort_key) < ($4, $5)",
                    "r.last_at desc, r.sort_key desc",
                    $narrow
                ),
            ],
            [
                page!("(r.total, r.sort_key) > ($4, $5)", "r.total, r.sort_key", $narrow),
                page!("(r.total, r.sort_key) < ($4, $5)", "r.total desc, r.sort_key desc", $narrow),
            ],
            [
                page!("(r.ends_at, r.sort_key) > ($4, $5)", "r.ends_at, r.sort_key", $narrow),
                page!(
                    "(r.ends_at, r.sort_key) < ($4, $5)",
                    "r.ends_at desc, r.sort_key desc",
                    $narrow
                ),
            ],
        ]
    };
}

const OF_ALL: [[&str; 2]; 4] = pages!("");
const OF_OWNER: [[&str; 2]; 4] = pages!("and r.owner = $22");
const OF_SERIAL: [[&str; 2]; 4] = pages!("and r.serial = $22");
const OF_ELEMENT: [[&str; 2]; 4] = pages!(
    "and r.sort_key in (
    select v.sort_key
    from   repository_value v
    where  v.realm = $1 and v.repository = $3 and v.element = $22 and v.value = $23
)"
);

const ONE: &str = concat!(
    "
select ",
    columns!(),
    "
from   repository_token r
left   join token_data d on d.token = r.token
where  r.token = $1
and    r.realm = $2"
);

/// Every statement of this file.
pub(super) fn statements() -> Vec<&'static str> {
    let pages = [OF_ALL, OF_OWNER, OF_SERIAL, OF_ELEMENT];
    let mut all: Vec<&'static str> = pages.concat().concat();
    all.push(ONE);
    all
}

/// A place as it stands in its table.
struct Placed {
    id: TokenId,
    sort_key: String,
    ends_at: i64,
    last_at: i64,
    total: i64,
    first_at: Option<Timestamp>,
    held_since: Option<Timestamp>,
    sealed: Option<Vec<u8>>,
}

impl Placed {
    fn of(row: &mut Row) -> Result<Self, Failure> {
        Ok(Self {
            id: row.token("token")?,
            sort_key: row.text("sort_key")?,
            last_at: row.int("last_at")?,
            total: row.int("total")?,
            ends_at: row.int("ends_at")?,
            first_at: row.time_or_null("first_at")?,
            held_since: row.time_or_null("held_since")?,
            sealed: row.bytes_or_null("sealed")?,
        })
    }

    /// Where a list in this order goes on behind it.
    fn next(&self, by: ListedBy) -> String {
        let key = match by {
            ListedBy::Age => 0,
            ListedBy::LastUse => self.last_at,
            ListedBy::Total => self.total,
            ListedBy::End => self.ends_at,
        };
        format!("{key}:{}", self.sort_key)
    }

    fn listing(self, token: Token) -> Listing {
        Listing {
            token,
            held_since: self.held_since,
            first_at: self.first_at,
            last_at: (self.last_at != 0).then(|| Timestamp::from_micros(self.last_at)),
            total: u64::try_from(self.total).unwrap_or_default(),
            sealed: self.sealed,
        }
    }
}

/// Finds a token that is in a repository.
pub(super) async fn find(
    tx: &mut Transaction<'_>,
    realm: &RealmName,
    id: TokenId,
) -> Result<Option<Listing>, Failure> {
    let Some(mut row) = tx.row(ONE, &values![&id, realm]).await? else { return Ok(None) };
    let placed = Placed::of(&mut row)?;
    Ok(rows::find(tx, realm, id).await?.map(|token| placed.listing(token)))
}

/// Lists a repository's tokens.
pub(super) async fn page(
    tx: &mut Transaction<'_>,
    request: &ListingRequest,
) -> Result<(Vec<Listing>, Option<String>), Failure> {
    let filter = &request.filter;
    let (key, behind) = start(request);
    let asks_tokens = asks_tokens(filter);
    // One more tells whether there is a next page.
    let limit = request.limit + 1;
    let mut values: Vec<Value<'_>> = values![
        &request.realm,
        request.now,
        request.repository.as_str(),
        key,
        behind,
        filter.last_use.from,
        filter.last_use.to,
        filter.total.from,
        filter.total.to,
        filter.ends.from,
        filter.ends.to,
        filter.place.map(Place::name),
        filter.tracking.as_ref(),
        asks_tokens,
        filter.begins.from,
        filter.begins.to,
        filter.issued.from,
        filter.issued.to,
        filter.enabled,
        filter.state.map(State::name),
        limit
    ]
    .into();
    let statements = if let Some(owner) = &filter.owner {
        values.extend(values![owner.as_str()]);
        &OF_OWNER
    } else if let Some(serial) = &filter.serial {
        values.extend(values![serial]);
        &OF_SERIAL
    } else if let Some((element, value)) = &filter.element {
        values.extend(values![i64::from(*element), value]);
        &OF_ELEMENT
    } else {
        &OF_ALL
    };
    let [up, down] = statements_of(statements, request.by);
    let mut rows = tx.query(if request.descending { down } else { up }, &values).await?;
    let more = rows.len() > request.limit as usize;
    rows.truncate(request.limit as usize);
    let mut listed = Vec::with_capacity(rows.len());
    let mut next = None;
    for mut row in rows {
        let placed = Placed::of(&mut row)?;
        next = Some(placed.next(request.by));
        if let Some(token) = rows::find(tx, &request.realm, placed.id).await? {
            listed.push(placed.listing(token));
        }
    }
    listed.retain(|listing| matches(&listing.token, filter));
    Ok((listed, next.filter(|_| more)))
}

const fn statements_of(
    statements: &'static [[&'static str; 2]; 4],
    by: ListedBy,
) -> [&'static str; 2] {
    let [age, last_use, total, end] = *statements;
    match by {
        ListedBy::Age => age,
        ListedBy::LastUse => last_use,
        ListedBy::Total => total,
        ListedBy::End => end,
    }
}

/// Where a page begins; a place that makes no sense is the beginning.
pub(crate) fn start(request: &ListingRequest) -> (i64, String) {
    let after = request.after.as_deref().and_then(|after| after.split_once(':'));
    let known = after.and_then(|(key, behind)| Some((key.parse().ok()?, behind.to_owned())));
    known.unwrap_or_else(|| {
        if request.descending {
            // Behind every key: they are hexadecimal digits and an id.
            (i64::MAX, "~".to_owned())
        } else {
            (i64::MIN, String::new())
        }
    })
}

/// Whether a condition is one that only the token's own row can tell.
fn asks_tokens(filter: &ListingFilter) -> bool {
    let whole = counterfoil_authority::store::Span::default();
    filter.enabled.is_some()
        || filter.state.is_some()
        || filter.begins != whole
        || filter.issued != whole
}

/// What the chosen index does not tell, of the few that it finds.
pub(crate) fn matches(token: &Token, filter: &ListingFilter) -> bool {
    let element =
        |(element, value): &(u8, String)| token.airlock.generic_data.get(element) == Some(value);
    let serial = |serial: &String| token.airlock.serial.as_ref() == Some(serial);
    let tracking = |id: &String| token.airlock.tracking_id.as_ref() == Some(id);
    filter.serial.as_ref().is_none_or(serial)
        && filter.tracking.as_ref().is_none_or(tracking)
        && filter.element.as_ref().is_none_or(element)
}

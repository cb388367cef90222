//! Lists of a repository's tokens: a page of places from an index, then the tokens in them.
//!
//! A page is read along the index of its order, row after row, until enough of them fit the filter.
//! Where a filter leaves only few rows that would read all of them, so those few are read by the
//! filter's own index and sorted. The engines are not asked which way is better: a plus sign in
//! front of a column hides it from them.

use counterfoil_authority::clock::Timestamp;
use counterfoil_authority::names::RealmName;
use counterfoil_authority::repository::Place;
use counterfoil_authority::secret::TokenId;
use counterfoil_authority::store::{ListedBy, Listing, ListingFilter, ListingRequest, Span};
use counterfoil_authority::token::{State, Token};

use super::enrolment::device::device_columns;
use super::rows::{self, facts_columns, token_columns};
use super::usage::state;
use crate::engine::{Failure, Inconsistent, Row, Transaction, Value, values};

/// Rows that are few enough to be read and sorted. If more fit a filter than this, walking along
/// another order meets a page of them, in a million that have no pattern, about as soon.
macro_rules! few {
    () => {
        "7000"
    };
}

/// The same as a number.
const FEW_MAX: i64 = 7_000;

/// What of a place the token's record does not say.
macro_rules! columns {
    () => {
        "r.token, r.sort_key, r.last_at, r.total, r.ends_at, r.first_at, r.held_since, d.sealed"
    };
}

/// A page in an order, behind a place. Conditions that no index tells are asked of each row only if
/// there are any. Of last use, number of uses and end the engine may use the index where there is no
/// plus sign.
macro_rules! page {
    (
        $from:expr, $behind:literal, $order:literal,
        $last_use:literal, $total:literal, $end:literal, $narrow:literal
    ) => {
        concat!(
            "
select ",
            columns!(),
            ",",
            token_columns!(),
            ",",
            device_columns!(),
            ",
       ",
            facts_columns!(),
            "
from   (
    select r.*
    from   ",
            $from,
            " r
    where  r.realm = $1
    and    r.repository = $3
    and    ",
            $behind,
            "
    and    ",
            $last_use,
            "r.last_at between $6 and $7
    and    ",
            $total,
            "r.total between $8 and $9
    and    ",
            $end,
            "r.ends_at between $10 and $11
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
    limit  $21
) r
join   token t on t.id = r.token
left   join token_data d on d.token = r.token
left   join token_usage u on u.token = t.id
left   join auth_token a on a.token = t.id
left   join token_secret s on s.token = t.id
order  by ",
            $order
        )
    };
}

/// The same up and down, by age, last use, number of uses and end.
macro_rules! pages {
    ($from:expr, $narrow:literal) => {
        [
            [
                page!(
                    $from,
                    "r.sort_key > $5 and cast($4 as {int}) is not null",
                    "r.sort_key",
                    "+",
                    "+",
                    "+",
                    $narrow
                ),
                page!(
                    $from,
                    "r.sort_key < $5 and cast($4 as {int}) is not null",
                    "r.sort_key desc",
                    "+",
                    "+",
                    "+",
                    $narrow
                ),
            ],
            [
                page!(
                    $from,
                    "(r.last_at, r.sort_key) > ($4, $5)",
                    "r.last_at, r.sort_key",
                    "",
                    "+",
                    "+",
                    $narrow
                ),
                page!(
                    $from,
                    "(r.last_at, r.sort_key) < ($4, $5)",
                    "r.last_at desc, r.sort_key desc",
                    "",
                    "+",
                    "+",
                    $narrow
                ),
            ],
            [
                page!(
                    $from,
                    "(r.total, r.sort_key) > ($4, $5)",
                    "r.total, r.sort_key",
                    "+",
                    "",
                    "+",
                    $narrow
                ),
                page!(
                    $from,
                    "(r.total, r.sort_key) < ($4, $5)",
                    "r.total desc, r.sort_key desc",
                    "+",
                    "",
                    "+",
                    $narrow
                ),
            ],
            [
                page!(
                    $from,
                    "(r.ends_at, r.sort_key) > ($4, $5)",
                    "r.ends_at, r.sort_key",
                    "+",
                    "+",
                    "",
                    $narrow
                ),
                page!(
                    $from,
                    "(r.ends_at, r.sort_key) < ($4, $5)",
                    "r.ends_at desc, r.sort_key desc",
                    "+",
                    "+",
                    "",
                    $narrow
                ),
            ],
        ]
    };
}

/// The few rows that a filter on one column leaves.
macro_rules! few_of {
    ($within:literal, $order:literal) => {
        concat!(
            "(
        select q.*
        from   repository_token q
        where  q.realm = $1 and q.repository = $3 and ",
            $within,
            "
        order  by ",
            $order,
            "
        limit  ",
            few!(),
            "
    )"
        )
    };
}

type Pages = [[&'static str; 2]; 4];

const OF_ALL: Pages = pages!("repository_token", "");
const OF_OWNER: Pages = pages!("repository_token", "and r.owner = $22");
const OF_SERIAL: Pages = pages!("repository_token", "and r.serial = $22");
const OF_ELEMENT: Pages = pages!(
    "repository_token",
    "and r.sort_key in (
        select v.sort_key
        from   repository_value v
        where  v.realm = $1 and v.repository = $3 and v.element = $22 and v.value = $23
    )"
);
const OF_FEW_BY_LAST_USE: Pages = pages!(few_of!("q.last_at between $6 and $7", "q.last_at"), "");
const OF_FEW_BY_TOTAL: Pages = pages!(few_of!("q.total between $8 and $9", "q.total"), "");
const OF_FEW_BY_END: Pages = pages!(few_of!("q.ends_at between $10 and $11", "q.ends_at"), "");

/// How many rows a filter on one column leaves, at most one more than few.
macro_rules! count {
    ($column:literal) => {
        concat!(
            "
select count(*)
from   (
    select 1
    from   repository_token q
    where  q.realm = $1
    and    q.repository = $2
    and    ",
            $column,
            " between $3 and $4
    order  by ",
            $column,
            "
    limit  ",
            few!(),
            " + 1
) c"
        )
    };
}

/// The three of them, with the pages that begin there.
const FEW: [(ListedBy, &str, &Pages); 3] = [
    (ListedBy::LastUse, count!("q.last_at"), &OF_FEW_BY_LAST_USE),
    (ListedBy::End, count!("q.ends_at"), &OF_FEW_BY_END),
    (ListedBy::Total, count!("q.total"), &OF_FEW_BY_TOTAL),
];

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
    for (_, count, few) in FEW {
        all.push(count);
        all.extend(few.concat());
    }
    all.push(ONE);
    all
}

/// A place as it stands in its table.
struct Placed {
    sort_key: String,
    ends_at: i64,
    last_at: i64,
    total: i64,
    first_at: Option<Timestamp>,
    held_since: Option<Timestamp>,
    sealed: Option<Vec<u8>>,
}

impl Placed {
    fn of(row: &mut Row) -> Result<Self, Inconsistent> {
        row.token("token")?;
        Ok(Self {
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
        few(tx, request).await?.unwrap_or(&OF_ALL)
    };
    let [up, down] = statements_of(statements, request.by);
    let rows = tx.query(if request.descending { down } else { up }, &values).await?;
    let mut found = rows::tokens_behind(rows, Placed::of)?;
    let more = found.len() > request.limit as usize;
    found.truncate(request.limit as usize);
    let next = found.last().filter(|_| more).map(|(placed, _)| placed.next(request.by));
    found.retain(|(_, token)| matches(token, filter));
    Ok((found.into_iter().map(|(placed, token)| placed.listing(token)).collect(), next))
}

/// The pages that begin with what a filter leaves, if that is little and the order is another one.
async fn few(
    tx: &mut Transaction<'_>,
    request: &ListingRequest,
) -> Result<Option<&'static Pages>, Failure> {
    for (by, count, pages) in FEW {
        let span = span_of(&request.filter, by);
        if by == request.by || span == Span::default() {
            continue;
        }
        let repository = request.repository.as_str();
        let values = values![&request.realm, repository, span.from, span.to];
        let counted = tx.row(count, &values).await?;
        let counted = counted.map(|mut row| row.int("count")).transpose()?;
        if counted.is_some_and(|rows| rows <= FEW_MAX) {
            return Ok(Some(pages));
        }
    }
    Ok(None)
}

/// What a filter allows of the column of an order.
fn span_of(filter: &ListingFilter, by: ListedBy) -> Span {
    match by {
        ListedBy::Age => Span::default(),
        ListedBy::LastUse => filter.last_use,
        ListedBy::Total => filter.total,
        ListedBy::End => filter.ends,
    }
}

const fn statements_of(statements: &'static Pages, by: ListedBy) -> [&'static str; 2] {
    let [age, last_use, total, end] = *statements;
    match by {
        ListedBy::Age => age,
        ListedBy::LastUse => last_use,
        ListedBy::Total => total,
        ListedBy::End => end,
    }
}

/// Where a page begins; a place that makes no sense is the beginning, which is where the filter
/// begins: an engine looks for the place and not for what is allowed.
pub(crate) fn start(request: &ListingRequest) -> (i64, String) {
    let after = request.after.as_deref().and_then(|after| after.split_once(':'));
    let known = after.and_then(|(key, behind)| Some((key.parse().ok()?, behind.to_owned())));
    known.unwrap_or_else(|| {
        let span = span_of(&request.filter, request.by);
        if request.descending {
            // Behind every key: they are hexadecimal digits and an id.
            (span.to, "~".to_owned())
        } else {
            (span.from, String::new())
        }
    })
}

/// Whether a condition is one that only the token's own row can tell.
fn asks_tokens(filter: &ListingFilter) -> bool {
    let whole = Span::default();
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

//! Pages of lists: where they begin, and whether there is another.

use counterfoil_authority::store::{Page, PageRequest};

use crate::engine::{Failure, Inconsistent, Row};

/// Sorts behind every id and sort key: where a list that runs downwards begins.
const TOP: &str = "~";

/// One row more than asked for, which tells whether there is another page.
pub(crate) const fn rows_to_ask(request: &PageRequest) -> u32 {
    request.limit.saturating_add(1)
}

/// Where a list that runs upwards begins.
pub(crate) fn start(request: &PageRequest) -> &str {
    after(request).unwrap_or("")
}

/// Where a list that runs downwards begins.
pub(crate) fn top(request: &PageRequest) -> &str {
    after(request).unwrap_or(TOP)
}

/// The place that was asked for. No key holds U+0000, and not every engine takes it as text.
fn after(request: &PageRequest) -> Option<&str> {
    request.after.as_deref().map(|place| place.split('\0').next().unwrap_or(place))
}

/// The page in `rows`, of which [`rows_to_ask`] were asked for.
///
/// The place where the next page begins is simply the sort key of the last
/// record: records that come or go in between move nobody else.
pub(crate) fn of<T>(
    rows: Vec<Row>,
    request: &PageRequest,
    decode: impl Fn(Row) -> Result<T, Inconsistent>,
    key: impl Fn(&T) -> String,
) -> Result<Page<T>, Failure> {
    let items: Result<Vec<T>, _> = rows.into_iter().map(decode).collect();
    Ok(cut(items?, request, key))
}

/// The page of `items`, which may hold more than asked for.
pub(crate) fn cut<T>(
    mut items: Vec<T>,
    request: &PageRequest,
    key: impl Fn(&T) -> String,
) -> Page<T> {
    let limit = request.limit as usize;
    let more = items.len() > limit;
    items.truncate(limit);
    let next = if more { items.last().map(key) } else { None };
    Page { items, next }
}

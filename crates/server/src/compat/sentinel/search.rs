//! Lists of the Sentinel door: everything that matches, sorted by any field, cut into pages.

use std::cmp::Ordering;

use counterfoil_authority::caller::Caller;
use counterfoil_authority::store::{PageRequest, TokenFilter};
use counterfoil_authority::token::Token;

use super::Asked;
use super::fault::Fault;
use super::wire::Node;

/// Tokens that one search sorts at most; more would hold up others.
const MATCHES_MAX: usize = 10_000;
/// Tokens that are read at once.
const PAGE: u32 = 1_000;
/// Objects on a page unless `pageSize` says otherwise.
const PAGE_SIZE_DEFAULT: usize = 50;
/// Objects on a page at most.
const PAGE_SIZE_MAX: usize = 1_000;

/// All tokens that match and are not deleted, newest first.
pub(super) async fn matching(
    asked: &Asked,
    caller: &Caller,
    filter: TokenFilter,
) -> Result<Vec<Token>, Fault> {
    let mut found = Vec::new();
    let mut page = PageRequest::first(PAGE);
    loop {
        let authority = &asked.state.authority;
        let read = authority.tokens(caller, &asked.realm, filter.clone(), page).await?;
        found.extend(read.items.into_iter().filter(|token| token.revocation.is_none()));
        if found.len() > MATCHES_MAX {
            return Err(Fault::invalid(format!(
                "more than {MATCHES_MAX} match; narrow the search"
            )));
        }
        let Some(next) = read.next else { return Ok(found) };
        page = PageRequest { limit: PAGE, after: Some(next) };
    }
}

fn number(asked: &Asked, name: &str, default: usize) -> Result<usize, Fault> {
    match asked.query.get(name).map(String::as_str) {
        None | Some("") => Ok(default),
        Some(text) => text.parse().map_err(|_| Fault::field(name, "is no number")),
    }
}

fn compared(a: &Node, b: &Node, field: &str) -> Ordering {
    let value = |node: &Node| match node {
        Node::Object(fields) => {
            fields.iter().find(|(name, _)| *name == field).map(|(_, node)| node.clone())
        }
        _ => None,
    };
    match (value(a), value(b)) {
        (Some(Node::Number(a)), Some(Node::Number(b))) => a.cmp(&b),
        (Some(Node::Text(a)), Some(Node::Text(b))) => a.cmp(&b),
        (Some(Node::Flag(a)), Some(Node::Flag(b))) => a.cmp(&b),
        _ => Ordering::Equal,
    }
}

/// The page that was asked for, in the list envelope; `count` is how many there are in all.
pub(super) fn page(asked: &Asked, item: &'static str, mut all: Vec<Node>) -> Result<Node, Fault> {
    for (parameter, reverse) in [("sortByAsc", false), ("sortByDesc", true)] {
        if let Some(field) = asked.query.get(parameter).filter(|field| !field.is_empty()) {
            all.sort_by(|a, b| {
                let order = compared(a, b, field);
                if reverse { order.reverse() } else { order }
            });
        }
    }
    let start = number(asked, "pageStartIndex", 0)?;
    let size = number(asked, "pageSize", PAGE_SIZE_DEFAULT)?.clamp(1, PAGE_SIZE_MAX);
    let count = all.len() as u64;
    let items: Vec<Node> = all.into_iter().skip(start).take(size).collect();
    Ok(Node::Object(vec![
        ("count", count.into()),
        ("pageStartIndex", (start as u64).into()),
        ("pageSize", (size as u64).into()),
        (item, Node::List(items)),
    ]))
}

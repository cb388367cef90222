//! Filters, order and pages of a list, in the query as JSON:API spells them.

use counterfoil_authority::clock::{DayEdge, Timestamp};
use counterfoil_authority::names::{RealmName, Username};
use counterfoil_authority::repository::{Attribute, Mapped, Repository, ValueType};
use counterfoil_authority::store::{ListedBy, ListingFilter, ListingRequest, Span};
use counterfoil_authority::token::State;

use super::fault::Fault;
use crate::http::query::{page as page_of, wrap_cursor};

/// Tokens on a page unless the query says otherwise, and at most.
const PAGE: u32 = 50;

/// A comparison, `filter[name][lt]=value`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Compared {
    Eq,
    Lt,
    Le,
    Gt,
    Ge,
    Between,
}

impl Compared {
    fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "eq" => Self::Eq,
            "lt" => Self::Lt,
            "le" => Self::Le,
            "gt" => Self::Gt,
            "ge" => Self::Ge,
            "between" => Self::Between,
            _ => return None,
        })
    }

    /// The instant that is compared with: of a whole day its last one, where what is sought lies up
    /// to it or behind it, and its first one otherwise.
    fn instant(self, text: &str, zone: &str) -> Option<i64> {
        let first = Timestamp::parse(text, zone, DayEdge::Start).ok()?.micros();
        let behind = Timestamp::parse(text, zone, DayEdge::End).ok()?.micros();
        let is_day = first != behind;
        let up_to = matches!(self, Self::Le | Self::Gt);
        Some(if is_day && up_to { behind - 1 } else { first })
    }

    /// The numbers that it lets pass. Ends of a span are half-open, as everywhere here.
    fn span(self, numbers: &[i64]) -> Option<Span> {
        let whole = Span::default();
        Some(match (self, numbers) {
            (Self::Eq, [one]) => Span { from: *one, to: *one },
            (Self::Lt, [one]) => Span { to: one.checked_sub(1)?, ..whole },
            (Self::Le, [one]) => Span { to: *one, ..whole },
            (Self::Gt, [one]) => Span { from: one.checked_add(1)?, ..whole },
            (Self::Ge, [one]) => Span { from: *one, ..whole },
            (Self::Between, [from, to]) => Span { from: *from, to: to.checked_sub(1)? },
            _ => return None,
        })
    }
}

/// What a list is asked for.
pub(super) fn read(
    repository: &Repository,
    realm: &RealmName,
    user: Option<Username>,
    query: &[(String, String)],
    zone: &str,
) -> Result<ListingRequest, Fault> {
    let filter = ListingFilter { owner: user, ..ListingFilter::default() };
    let mut request = ListingRequest {
        realm: realm.clone(),
        repository: repository.name.clone(),
        filter,
        by: ListedBy::Age,
        descending: false,
        limit: PAGE,
        after: None,
        now: Timestamp::default(),
    };
    let mut cursor = None;
    for (name, value) in query {
        match name.as_str() {
            "sort" => order(repository, value, &mut request)?,
            "page[size]" => {
                let size = value.parse().ok().filter(|size| (1..=1000).contains(size));
                request.limit =
                    size.ok_or_else(|| Fault::malformed("page[size] is a number from 1 to 1000"))?;
            }
            "page[after]" => cursor = Some(value.clone()),
            name => {
                let parts = name.strip_prefix("filter[").and_then(|rest| rest.strip_suffix(']'));
                let parts = parts.ok_or_else(|| Fault::malformed("an unknown parameter"))?;
                let (name, compared) = parts.split_once("][").unwrap_or((parts, "eq"));
                let compared = Compared::from_name(compared)
                    .ok_or_else(|| Fault::filter("eq, lt, le, gt, ge and between are known"))?;
                narrow(repository, name, compared, value, zone, &mut request.filter)?;
            }
        }
    }
    request.after = page_of(None, cursor)?.after;
    Ok(request)
}

/// Where the next page begins, as the client is told.
pub(super) fn cursor(place: &str) -> String {
    wrap_cursor(place)
}

fn order(repository: &Repository, text: &str, request: &mut ListingRequest) -> Result<(), Fault> {
    // An id is the last resort of every order here.
    let first = text.split(',').next().unwrap_or_default();
    let (name, descending) = first.strip_prefix('-').map_or((first, false), |name| (name, true));
    request.descending = descending;
    request.by = if name == "id" {
        ListedBy::Age
    } else {
        match mapped(repository, name)?.attribute {
            Attribute::LatestUsageDate => ListedBy::LastUse,
            Attribute::TotalUsages => ListedBy::Total,
            Attribute::ValidTo => ListedBy::End,
            Attribute::GenerationDate => ListedBy::Age,
            _ => return Err(Fault::filter("no list is sorted by this attribute")),
        }
    };
    Ok(())
}

/// The attribute of a name, if lists may be filtered by it.
fn mapped<'a>(repository: &'a Repository, name: &str) -> Result<&'a Mapped, Fault> {
    let mapped = repository.attributes.by_name(name).filter(|mapped| mapped.filterable);
    mapped.ok_or_else(|| Fault::filter("this attribute is not filterable"))
}

fn narrow(
    repository: &Repository,
    name: &str,
    compared: Compared,
    value: &str,
    zone: &str,
    filter: &mut ListingFilter,
) -> Result<(), Fault> {
    if name == "state" {
        let state =
            State::from_name(value).ok_or_else(|| Fault::filter("there is no such state"))?;
        filter.state = Some(state);
        return Ok(());
    }
    let mapped = mapped(repository, name)?;
    let exactly = || match compared {
        Compared::Eq => Ok(value.to_owned()),
        _ => Err(Fault::filter("this attribute is compared by eq alone")),
    };
    let span = || spanned(mapped, compared, value, zone);
    match mapped.attribute {
        Attribute::Serial => filter.serial = Some(exactly()?),
        Attribute::TrackingId => filter.tracking = Some(exactly()?),
        Attribute::Enabled => {
            let flag = exactly()?.parse().map_err(|_| Fault::filter("true or false"))?;
            filter.enabled = Some(flag);
        }
        Attribute::Element(number) => filter.element = Some((number, exactly()?)),
        // Never used is no date before any other.
        Attribute::LatestUsageDate => filter.last_use = filter.last_use.and(dated(span()?)),
        Attribute::ValidTo => filter.ends = filter.ends.and(dated(span()?)),
        Attribute::TotalUsages => filter.total = filter.total.and(span()?),
        Attribute::ValidFrom => filter.begins = filter.begins.and(span()?),
        Attribute::GenerationDate => filter.issued = filter.issued.and(span()?),
        Attribute::ActivationDate
        | Attribute::FirstUsageDate
        | Attribute::Data
        | Attribute::Encoding
        | Attribute::DeliveryDate
        | Attribute::MaxUsages => {
            return Err(Fault::filter("no list is filtered by this attribute"));
        }
    }
    Ok(())
}

/// Without those that have no date at all.
const fn dated(span: Span) -> Span {
    if span.from < 1 { Span { from: 1, ..span } } else { span }
}

fn spanned(mapped: &Mapped, compared: Compared, value: &str, zone: &str) -> Result<Span, Fault> {
    let wrong = || Fault::filter("the value is none of this attribute");
    let mut numbers = Vec::new();
    for part in value.split(',') {
        numbers.push(match mapped.value_type {
            ValueType::Count => part.parse().map_err(|_| wrong())?,
            _ => compared.instant(part, zone).ok_or_else(wrong)?,
        });
    }
    compared.span(&numbers).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_that_a_list_goes_up_to_is_whole() {
        const DAY: i64 = 86_400_000_000;
        let instant = |compared: Compared, text| compared.instant(text, "UTC").unwrap();
        let day = instant(Compared::Eq, "2026-01-31");
        for compared in [Compared::Lt, Compared::Ge, Compared::Between] {
            assert_eq!(instant(compared, "2026-01-31"), day);
        }
        for compared in [Compared::Le, Compared::Gt] {
            assert_eq!(instant(compared, "2026-01-31"), day + DAY - 1);
            assert_eq!(instant(compared, "2026-01-31T00:00:00Z"), day, "an instant is one");
        }
        assert_eq!(Compared::Le.instant("yesterday", "UTC"), None);
    }
}

//! Whether a resource is what a filter asks for (RFC 7644 section 3.4.2.2).

use std::cmp::Ordering;

use scim_v2::filter::{AttrExp, AttrPath, CompValue, CompareOp, Filter, ValFilter};
use serde_json::{Map, Value};

use super::path::{self, Spot};
use super::schema::{Attribute, Resources, Sort};

/// Whether `resource` matches.
pub(super) fn matches(
    resources: &'static Resources,
    filter: &Filter,
    resource: &Map<String, Value>,
) -> bool {
    match filter {
        Filter::Attr(expression) => holds(resources, expression, resource),
        Filter::ValuePath(value) => {
            let Some(spot) = path::spot(resources, &value.attr) else { return false };
            values(spot, resource)
                .iter()
                .any(|one| matches_value(spot.attribute, &value.filter, one))
        }
        Filter::Not(inner) => !matches(resources, inner, resource),
        Filter::And(all) => all.iter().all(|one| matches(resources, one, resource)),
        Filter::Or(any) => any.iter().any(|one| matches(resources, one, resource)),
    }
}

/// Whether one value of an attribute matches.
pub(super) fn matches_value(
    attribute: &'static Attribute,
    filter: &ValFilter,
    value: &Value,
) -> bool {
    match filter {
        ValFilter::Attr(expression) => {
            let (path, asked) = parts_of(expression);
            let Some(part) = attribute.part(&path.name).filter(|_| path.sub_attr.is_none()) else {
                return absent(asked);
            };
            let found = value.get(part.name).filter(|found| !found.is_null());
            judged(part, found.into_iter(), asked)
        }
        ValFilter::Not(inner) => !matches_value(attribute, inner, value),
        ValFilter::And(all) => all.iter().all(|one| matches_value(attribute, one, value)),
        ValFilter::Or(any) => any.iter().any(|one| matches_value(attribute, one, value)),
    }
}

/// What a resource has to be, for it to be found without looking at all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Pin {
    /// It has this name.
    Name(String),
    /// The provider calls it so.
    ExternalId(String),
    /// The server calls it so.
    Id(String),
    /// This is among its members, or it is among the members of this.
    Link(String),
}

/// The best pin of a filter: what must hold of whatever matches it.
pub(super) fn pin(resources: &'static Resources, filter: &Filter) -> Option<Pin> {
    match filter {
        Filter::Attr(AttrExp::Comparison(path, CompareOp::Eq, CompValue::Str(text))) => {
            let spot = path::spot(resources, path)?;
            let part = spot.part.map(|part| part.name);
            if spot.extension.is_some() {
                return None;
            }
            let text = text.clone();
            match (spot.attribute.name, part) {
                ("id", None) => Some(Pin::Id(text)),
                ("externalId", None) => Some(Pin::ExternalId(text)),
                ("userName", None) => Some(Pin::Name(text)),
                ("displayName", None) if spot.attribute.required => Some(Pin::Name(text)),
                ("members" | "groups", None | Some("value")) => Some(Pin::Link(text)),
                _ => None,
            }
        }
        Filter::ValuePath(value) => {
            let spot = path::spot(resources, &value.attr)?;
            let linked = matches!(spot.attribute.name, "members" | "groups");
            linked
                .then(|| ids(&value.filter))
                .flatten()
                .and_then(|ids| <[String; 1]>::try_from(ids).ok())
                .map(|[id]| Pin::Link(id))
        }
        Filter::And(all) => {
            let pins: Vec<Pin> = all.iter().filter_map(|one| pin(resources, one)).collect();
            // Many may have a member; one has a name.
            let is_link = |pin: &Pin| matches!(pin, Pin::Link(_));
            let better = pins.iter().find(|pin| !is_link(pin)).cloned();
            better.or_else(|| pins.into_iter().next())
        }
        Filter::Attr(_) | Filter::Not(_) | Filter::Or(..) => None,
    }
}

/// The ids that a filter of values names, if it does nothing else: `value eq "a" or value eq "b"`.
pub(super) fn ids(filter: &ValFilter) -> Option<Vec<String>> {
    match filter {
        ValFilter::Attr(AttrExp::Comparison(path, CompareOp::Eq, CompValue::Str(id)))
            if path.name.eq_ignore_ascii_case("value") && path.sub_attr.is_none() =>
        {
            Some(vec![id.clone()])
        }
        ValFilter::Or(any) => {
            let each: Option<Vec<Vec<String>>> = any.iter().map(ids).collect();
            Some(each?.concat())
        }
        _ => None,
    }
}

/// Whether a filter asks about an attribute of this name.
pub(super) fn asks(filter: &Filter, name: &str) -> bool {
    let is = |path: &AttrPath| path.name.eq_ignore_ascii_case(name);
    match filter {
        Filter::Attr(expression) => is(parts_of(expression).0),
        Filter::ValuePath(value) => is(&value.attr),
        Filter::Not(inner) => asks(inner, name),
        Filter::And(each) | Filter::Or(each) => each.iter().any(|one| asks(one, name)),
    }
}

/// What is asked of an attribute; `None`: that it is there.
type AskedOf<'a> = Option<(&'a CompareOp, &'a CompValue)>;

fn parts_of(expression: &AttrExp) -> (&AttrPath, AskedOf<'_>) {
    match expression {
        AttrExp::Present(path) => (path, None),
        AttrExp::Comparison(path, operator, value) => (path, Some((operator, value))),
    }
}

fn holds(resources: &'static Resources, expression: &AttrExp, of: &Map<String, Value>) -> bool {
    let (path, asked) = parts_of(expression);
    let Some(spot) = path::spot(resources, path) else { return absent(asked) };
    let values = values(spot, of);
    // `emails co "x"` is about the addresses (RFC 7644 section 3.4.2.2).
    let part = spot.part.or_else(|| spot.attribute.part("value"));
    match part {
        Some(part) if asked.is_some() || spot.part.is_some() => {
            let parts = values.iter().filter_map(|value| value.get(part.name));
            judged(part, parts.filter(|value| !value.is_null()), asked)
        }
        _ => judged(spot.attribute, values.into_iter(), asked),
    }
}

/// The values of an attribute, one by one.
fn values(spot: Spot, of: &Map<String, Value>) -> Vec<&Value> {
    let held = match spot.extension {
        Some(schema) => of.get(schema.id).and_then(|inner| inner.get(spot.attribute.name)),
        None => of.get(spot.attribute.name),
    };
    match held {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(many)) => many.iter().collect(),
        Some(one) => vec![one],
    }
}

/// Of what is not there: it is unlike everything, and like nothing.
fn absent(asked: AskedOf<'_>) -> bool {
    match asked {
        Some((CompareOp::Eq, value)) => matches!(value, CompValue::Null),
        Some((CompareOp::Ne, value)) => !matches!(value, CompValue::Null),
        Some(_) | None => false,
    }
}

fn judged<'a>(
    attribute: &Attribute,
    mut values: impl Iterator<Item = &'a Value>,
    asked: AskedOf<'_>,
) -> bool {
    match asked {
        None | Some((CompareOp::Ne, CompValue::Null)) => values.any(is_something),
        Some((CompareOp::Eq, CompValue::Null)) => !values.any(is_something),
        // Not one of them is: the opposite of `eq`.
        Some((CompareOp::Ne, wanted)) => {
            !values.any(|value| compared(attribute, value, &CompareOp::Eq, wanted))
        }
        Some((operator, wanted)) => {
            values.any(|value| compared(attribute, value, operator, wanted))
        }
    }
}

/// Present means: not empty (RFC 7644 table 3).
fn is_something(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(many) => !many.is_empty(),
        Value::Object(parts) => !parts.is_empty(),
        Value::Bool(_) | Value::Number(_) => true,
    }
}

fn compared(
    attribute: &Attribute,
    value: &Value,
    operator: &CompareOp,
    wanted: &CompValue,
) -> bool {
    match (value, wanted) {
        (Value::Bool(is), CompValue::True) => *is && matches!(operator, CompareOp::Eq),
        (Value::Bool(is), CompValue::False) => !*is && matches!(operator, CompareOp::Eq),
        // As Entra writes it.
        (Value::Bool(is), CompValue::Str(text)) => {
            matches!(operator, CompareOp::Eq) && text.eq_ignore_ascii_case(&is.to_string())
        }
        (Value::String(is), CompValue::Str(wanted)) => {
            compared_text(attribute, is, operator, wanted)
        }
        _ => false,
    }
}

fn compared_text(attribute: &Attribute, is: &str, operator: &CompareOp, wanted: &str) -> bool {
    let instant = |text: &str| text.parse::<jiff::Timestamp>().ok();
    let ordering = if let (Sort::Time, Some(is), Some(wanted)) =
        (attribute.sort, instant(is), instant(wanted))
    {
        is.cmp(&wanted)
    } else if attribute.exact {
        return by_operator(operator, is, wanted, is.cmp(wanted));
    } else {
        let (is, wanted) = (is.to_lowercase(), wanted.to_lowercase());
        return by_operator(operator, &is, &wanted, is.cmp(&wanted));
    };
    by_operator(operator, is, wanted, ordering)
}

fn by_operator(operator: &CompareOp, is: &str, wanted: &str, ordering: Ordering) -> bool {
    match operator {
        CompareOp::Eq => ordering.is_eq(),
        CompareOp::Ne => ordering.is_ne(),
        CompareOp::Co => is.contains(wanted),
        CompareOp::Sw => is.starts_with(wanted),
        CompareOp::Ew => is.ends_with(wanted),
        CompareOp::Gt => ordering.is_gt(),
        CompareOp::Ge => ordering.is_ge(),
        CompareOp::Lt => ordering.is_lt(),
        CompareOp::Le => ordering.is_le(),
    }
}

//! The fields of a token policy in a form, and what a change of it would refuse: for services and
//! realms alike.

use counterfoil_authority::authority::{BlockedToken, Hits};
use counterfoil_authority::policy::TokenPolicy;
use counterfoil_authority::refusal::Refusal;
use counterfoil_authority::store::PageRequest;
use serde_json::{Map, Value};

use super::lists::{owner_of, page_of};
use super::parts::{Cell, Field, Form, Part, Table};
use super::warnings;
use crate::http::console::page::Frame;
use crate::http::console::posted::Fields;
use crate::http::console::visit::Person;

const DAY: i64 = 86_400;
const HOUR: i64 = 3_600;
/// Tokens that a preview names.
pub(super) const HITS: u32 = 50;

/// Fields that hold a span of time.
const SPANS: [&str; 4] = [
    "max_lifetime_seconds",
    "default_lifetime_seconds",
    "idle_expiry_seconds",
    "rotation_overlap_seconds",
];
/// Fields that say yes, no, or nothing.
const SWITCHES: [&str; 5] = ["enabled", "must_expire", "approval", "self_rotate", "self_derive"];
/// Fields that hold words.
const LISTS: [&str; 2] = ["scopes", "issue_by"];

/// A span as it is typed: `90d`, `12h`, or seconds.
fn span_text(seconds: i64) -> String {
    match seconds {
        0 => "0".to_owned(),
        _ if seconds % DAY == 0 => format!("{}d", seconds / DAY),
        _ if seconds % HOUR == 0 => format!("{}h", seconds / HOUR),
        _ => seconds.to_string(),
    }
}

fn span_of(text: &str) -> Option<i64> {
    let (number, unit) = match text.trim() {
        text if text.ends_with('d') => (text.trim_end_matches('d'), DAY),
        text if text.ends_with('h') => (text.trim_end_matches('h'), HOUR),
        text => (text, 1),
    };
    number.trim().parse::<i64>().ok()?.checked_mul(unit).filter(|seconds| *seconds >= 0)
}

/// A policy as JSON, absent fields left out.
fn stated(policy: &TokenPolicy) -> Map<String, Value> {
    match serde_json::to_value(policy) {
        Ok(Value::Object(fields)) => fields,
        _ => Map::new(),
    }
}

fn words(frame: &Frame, name: &str) -> String {
    frame.say(&format!("policy-{}", name.replace('_', "-")))
}

/// Adds the fields of a policy to a form.
pub(super) fn fields(frame: &Frame, policy: &TokenPolicy, mut form: Form) -> Form {
    let known = stated(policy);
    let text = |name: &str| known.get(name).and_then(Value::as_i64);
    for name in SPANS {
        let value = text(name).map(span_text).unwrap_or_default();
        form = form.with(Field::text(name, words(frame, name), &value));
    }
    let most = text("max_active_per_user").map(|n| n.to_string()).unwrap_or_default();
    form =
        form.with(Field::number("max_active_per_user", words(frame, "max_active_per_user"), most));
    let at_limit = known.get("at_limit").and_then(Value::as_str).unwrap_or_default();
    let choices = ["", "refuse", "replace_oldest"].map(|value| {
        let words = if value.is_empty() {
            frame.say("policy-inherit")
        } else {
            frame.say(&format!("policy-at-limit-{}", value.replace('_', "-")))
        };
        (value.to_owned(), words, value == at_limit)
    });
    form = form.with(Field::choice("at_limit", words(frame, "at_limit"), choices.into()));
    for name in SWITCHES {
        let now = known.get(name).and_then(Value::as_bool);
        let choices = vec![
            (String::new(), frame.say("policy-inherit"), now.is_none()),
            ("yes".to_owned(), frame.say("policy-yes"), now == Some(true)),
            ("no".to_owned(), frame.say("policy-no"), now == Some(false)),
        ];
        form = form.with(Field::choice(name, words(frame, name), choices));
    }
    for name in LISTS {
        let list = known.get(name).and_then(Value::as_array);
        let list = list.map(|all| all.iter().filter_map(Value::as_str).collect::<Vec<_>>());
        let value = list.map(|all| all.join(" ")).unwrap_or_default();
        form = form.with(Field::text(name, words(frame, name), &value));
    }
    warnings::fields(frame, policy, form)
}

/// The same fields, hidden, as they were sent, and the version beside them: so that what is saved
/// is what was looked at.
pub(super) fn carried(fields: &Fields, mut form: Form) -> Form {
    let version = fields.version().map(|number| number.to_string()).unwrap_or_default();
    form = form.with(Field::hidden("version", version));
    let names = SPANS.into_iter().chain(SWITCHES).chain(LISTS);
    for name in names.chain(["max_active_per_user", "at_limit"]) {
        form = form.with(Field::hidden(name, fields.get(name)));
    }
    warnings::carried(fields, form)
}

/// What to change of a policy: what is left empty is inherited again; fields that are in no form
/// stay.
pub(super) fn patch(fields: &Fields) -> Result<Map<String, Value>, Refusal> {
    let mut patch = Map::new();
    for name in SPANS {
        let value = match fields.text(name) {
            None => Value::Null,
            Some(text) => {
                let span = span_of(&text);
                let span =
                    span.ok_or_else(|| Refusal::invalid(name, "is written 90d, 12h or 3600"));
                Value::from(span?)
            }
        };
        patch.insert(name.to_owned(), value);
    }
    let most = match fields.text("max_active_per_user") {
        None => Value::Null,
        Some(text) => {
            let most: Result<u32, _> = text.parse();
            Value::from(most.map_err(|_| Refusal::invalid("max_active_per_user", "is a number"))?)
        }
    };
    patch.insert("max_active_per_user".to_owned(), most);
    patch.insert("at_limit".to_owned(), fields.text("at_limit").map_or(Value::Null, Value::from));
    for name in SWITCHES {
        patch.insert(name.to_owned(), switch(fields, name)?.map_or(Value::Null, Value::Bool));
    }
    for name in LISTS {
        let value = fields.text(name).map_or(Value::Null, |text| {
            Value::from(text.split_ascii_whitespace().map(Value::from).collect::<Vec<_>>())
        });
        patch.insert(name.to_owned(), value);
    }
    warnings::patch(fields, &mut patch)?;
    Ok(patch)
}

/// Yes, no, or nothing. Anything else is a mistake: it would pass for nothing, and the preview
/// would carry it along.
pub(super) fn switch(fields: &Fields, name: &'static str) -> Result<Option<bool>, Refusal> {
    match fields.get(name) {
        "" => Ok(None),
        "yes" => Ok(Some(true)),
        "no" => Ok(Some(false)),
        _ => Err(Refusal::invalid(name, "is yes, no or nothing")),
    }
}

/// How many tokens a preview looks for.
pub(super) const fn first_hits() -> PageRequest {
    PageRequest::first(HITS)
}

/// What a change would refuse at use.
pub(super) fn hits(person: &Person, frame: &Frame, hits: &Hits) -> Vec<Part> {
    let language = person.visit.language;
    let fresh = hits.page.items.iter().filter(|hit| !hit.already).count();
    let number = i64::try_from(fresh).unwrap_or(i64::MAX);
    let more = hits.page.next.is_some();
    let mut said = language.count("policy-blocked", number);
    if more {
        said = format!("{said} {}", frame.say("policy-blocked-more"));
    }
    let mut parts = vec![if number == 0 && !more { Part::Good(said) } else { Part::Alert(said) }];
    if hits.hidden > 0 {
        parts.push(Part::Text(frame.about("policy-hidden", hits.hidden)));
    }
    parts.push(Part::Table(table(frame, &hits.page.items)));
    parts
}

/// Tokens that a policy refuses.
pub(super) fn table(frame: &Frame, blocked: &[BlockedToken]) -> Table {
    let heads = vec![
        frame.say("field-name"),
        frame.say("token-owner"),
        frame.say("policy-why"),
        frame.say("policy-since"),
    ];
    let mut table =
        Table::new(frame.say("policy-blocked-title"), heads, frame.say("policy-blocked-none"));
    table.rows.extend(blocked.iter().map(|hit| {
        let name = hit.token.name.clone().unwrap_or_else(|| hit.token.id.to_string());
        let since =
            if hit.already { frame.say("policy-already") } else { frame.say("policy-then") };
        vec![
            Cell::link(name, page_of(&hit.token)),
            owner_of(&hit.token),
            Cell::text(frame.say(&format!("blocked-{}", hit.reason.name().replace('_', "-")))),
            Cell::text(since),
        ]
    }));
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_switch_says_yes_no_or_nothing() {
        let read = |form: &str| patch(&Fields::read(form.as_bytes()));
        for (said, wanted) in [("", Value::Null), ("yes", true.into()), ("no", false.into())] {
            let patched = read(&format!("must_expire={said}")).unwrap();
            assert_eq!(patched["must_expire"], wanted, "{said}");
        }
        for name in SWITCHES {
            let refusal = read(&format!("{name}=perhaps")).unwrap_err();
            let is_of = matches!(&refusal, Refusal::Invalid { field, .. } if *field == name);
            assert!(is_of, "{name}: {refusal:?}");
        }
    }

    #[test]
    fn a_span_is_read_as_it_is_written() {
        for seconds in [0, 1, 3_600, 86_400, 7_776_000, 90_061] {
            assert_eq!(span_of(&span_text(seconds)), Some(seconds));
        }
        assert_eq!((span_of("2 d"), span_of(" 12h ")), (Some(172_800), Some(43_200)));
        for bad in ["", "d", "x", "-1", "1w", "99999999999999999d"] {
            assert_eq!(span_of(bad), None, "{bad}");
        }
    }
}

//! Lists of the AM door: `_queryFilter`, sorting, paging, and the envelope around them.

use std::cmp::Ordering;

use serde_json::{Value, json};

use super::fault::Fault;
use super::path::Query;

/// Characters of a filter at most.
const FILTER_LEN_MAX: usize = 4096;
/// Parentheses and negations inside each other at most.
const DEPTH_MAX: usize = 32;

/// A filter over the fields of an object.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Filter {
    Always(bool),
    Not(Box<Filter>),
    All(Vec<Filter>),
    Any(Vec<Filter>),
    Compare { field: String, by: Comparison, value: Value },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    Contains,
    StartsWith,
    Present,
    Less,
    AtMost,
    Greater,
    AtLeast,
}

impl Comparison {
    fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "eq" => Self::Equal,
            "co" => Self::Contains,
            "sw" => Self::StartsWith,
            "pr" => Self::Present,
            "lt" => Self::Less,
            "le" => Self::AtMost,
            "gt" => Self::Greater,
            "ge" => Self::AtLeast,
            _ => return None,
        })
    }
}

struct Reader<'a>(&'a str);

impl Reader<'_> {
    fn skip(&mut self) {
        self.0 = self.0.trim_start();
    }

    fn take(&mut self, mark: &str) -> bool {
        self.skip();
        match self.0.strip_prefix(mark) {
            Some(rest) => {
                self.0 = rest;
                true
            }
            None => false,
        }
    }

    /// A word that ends where another begins.
    fn take_word(&mut self, word: &str) -> bool {
        self.skip();
        // Some clients shout `AND` and `OR`.
        let shouted = || self.0.strip_prefix(word.to_uppercase().as_str());
        let rest = self.0.strip_prefix(word).or_else(shouted);
        match rest.filter(|rest| !rest.starts_with(|c: char| c.is_alphanumeric())) {
            Some(rest) => {
                self.0 = rest;
                true
            }
            None => false,
        }
    }

    fn any(&mut self, depth: usize) -> Option<Filter> {
        let mut all = vec![self.all(depth)?];
        while self.take_word("or") {
            all.push(self.all(depth)?);
        }
        Some(if all.len() == 1 { all.remove(0) } else { Filter::Any(all) })
    }

    fn all(&mut self, depth: usize) -> Option<Filter> {
        let mut all = vec![self.one(depth)?];
        while self.take_word("and") {
            all.push(self.one(depth)?);
        }
        Some(if all.len() == 1 { all.remove(0) } else { Filter::All(all) })
    }

    fn one(&mut self, depth: usize) -> Option<Filter> {
        if depth > DEPTH_MAX {
            return None;
        }
        if self.take("!") {
            return Some(Filter::Not(Box::new(self.one(depth + 1)?)));
        }
        if self.take("(") {
            let inner = self.any(depth + 1)?;
            return self.take(")").then_some(inner);
        }
        if self.take_word("true") {
            return Some(Filter::Always(true));
        }
        if self.take_word("false") {
            return Some(Filter::Always(false));
        }
        let field = self.bare()?.trim_start_matches('/').to_owned();
        let by = Comparison::parse(&self.bare()?)?;
        let value = if by == Comparison::Present { Value::Null } else { self.value()? };
        Some(Filter::Compare { field, by, value })
    }

    fn bare(&mut self) -> Option<String> {
        self.skip();
        let ends = |c: char| c.is_whitespace() || matches!(c, '(' | ')' | '"' | '\'');
        let end = self.0.find(ends).unwrap_or(self.0.len());
        let (word, rest) = self.0.split_at(end);
        self.0 = rest;
        (!word.is_empty()).then(|| word.to_owned())
    }

    fn value(&mut self) -> Option<Value> {
        self.skip();
        if let Some(quote) = self.0.chars().next().filter(|c| matches!(c, '"' | '\'')) {
            return self.quoted(quote).map(Value::String);
        }
        let word = self.bare()?;
        Some(serde_json::from_str(&word).unwrap_or(Value::String(word)))
    }

    fn quoted(&mut self, quote: char) -> Option<String> {
        let mut text = String::new();
        let mut chars = self.0.char_indices().skip(1);
        while let Some((place, c)) = chars.next() {
            match c {
                '\\' => text.push(chars.next()?.1),
                c if c == quote => {
                    self.0 = self.0.get(place + 1..)?;
                    return Some(text);
                }
                c => text.push(c),
            }
        }
        None
    }
}

impl Filter {
    /// Reads a filter.
    pub(super) fn parse(text: &str) -> Result<Self, Fault> {
        let bad = || Fault::invalid("The value for parameter '_queryFilter' could not be parsed");
        if text.len() > FILTER_LEN_MAX {
            return Err(bad());
        }
        let mut reader = Reader(text);
        let filter = reader.any(0).ok_or_else(bad)?;
        reader.skip();
        if reader.0.is_empty() { Ok(filter) } else { Err(bad()) }
    }

    /// Whether an object passes.
    pub(super) fn takes(&self, object: &Value) -> bool {
        match self {
            Self::Always(answer) => *answer,
            Self::Not(other) => !other.takes(object),
            Self::All(all) => all.iter().all(|one| one.takes(object)),
            Self::Any(all) => all.iter().any(|one| one.takes(object)),
            Self::Compare { field, by, value } => {
                let found = object.pointer(&format!("/{field}"));
                let found = found.filter(|found| !found.is_null());
                match (by, found) {
                    (_, None) => false,
                    (Comparison::Present, Some(_)) => true,
                    (by, Some(Value::Array(all))) => all.iter().any(|one| holds(one, *by, value)),
                    (by, Some(one)) => holds(one, *by, value),
                }
            }
        }
    }

    /// What a filter that is just `field eq "x"` asks for.
    pub(super) fn equal_to(&self) -> Option<(&str, &str)> {
        match self {
            Self::Compare { field, by: Comparison::Equal, value } => {
                Some((field.as_str(), value.as_str()?))
            }
            _ => None,
        }
    }
}

/// AM compares some texts by patterns, of which its clients use one: everything but this name.
fn excluded(value: &Value) -> Option<&str> {
    value.as_str()?.strip_prefix("^(?!")?.strip_suffix("$).*")
}

fn holds(found: &Value, by: Comparison, value: &Value) -> bool {
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let order = match (found.as_f64(), value.as_f64()) {
        (Some(found), Some(value)) => found.partial_cmp(&value),
        _ => Some(text(found).cmp(&text(value))),
    };
    if let (Comparison::Equal, Some(excluded)) = (by, excluded(value)) {
        return text(found) != excluded;
    }
    match by {
        Comparison::Present => true,
        Comparison::Equal => order == Some(Ordering::Equal),
        Comparison::Contains => text(found).to_lowercase().contains(&text(value).to_lowercase()),
        Comparison::StartsWith => {
            text(found).to_lowercase().starts_with(&text(value).to_lowercase())
        }
        Comparison::Less => order == Some(Ordering::Less),
        Comparison::AtMost => matches!(order, Some(Ordering::Less | Ordering::Equal)),
        Comparison::Greater => order == Some(Ordering::Greater),
        Comparison::AtLeast => matches!(order, Some(Ordering::Greater | Ordering::Equal)),
    }
}

/// Leaves of an object, or of each in a list's envelope, only these fields.
pub(super) fn keep_fields(value: &mut Value, fields: &str) {
    let wanted: Vec<&str> = fields
        .split(',')
        .filter_map(|field| field.trim().trim_start_matches('/').split('/').next())
        .collect();
    if wanted.contains(&"*") {
        return;
    }
    let keep = |object: &mut Value| {
        if let Value::Object(fields) = object {
            fields.retain(|name, _| wanted.contains(&name.as_str()) || name.starts_with('_'));
        }
    };
    match value.get_mut("result").and_then(Value::as_array_mut) {
        Some(all) => all.iter_mut().for_each(keep),
        None => keep(value),
    }
}

fn number(query: &Query<'_>, name: &str) -> Result<usize, Fault> {
    match query.get(name).map(AsRef::as_ref) {
        None | Some("") => Ok(0),
        Some(text) => {
            let why = || Fault::invalid(format!("The value for parameter '{name}' is no number"));
            text.parse().map_err(|_| why())
        }
    }
}

/// The page that was asked for, of all that pass the filter, in its envelope.
pub(super) fn page(query: &Query<'_>, all: Vec<Value>) -> Result<Value, Fault> {
    let filter = match query.get("_queryFilter").map(AsRef::as_ref) {
        None | Some("") => Filter::Always(true),
        Some(text) => Filter::parse(text)?,
    };
    let mut found: Vec<Value> = all.into_iter().filter(|one| filter.takes(one)).collect();
    let keys = query.get("_sortKeys").map(AsRef::as_ref).unwrap_or_default();
    for key in keys.split(',').rev().map(str::trim).filter(|key| !key.is_empty()) {
        let (descends, name) = match key.strip_prefix('-') {
            Some(name) => (true, name),
            None => (false, key.strip_prefix('+').unwrap_or(key)),
        };
        let pointer = format!("/{}", name.trim_start_matches('/'));
        found.sort_by(|a, b| {
            let order = compared(a.pointer(&pointer), b.pointer(&pointer));
            if descends { order.reverse() } else { order }
        });
    }
    let total = found.len();
    let size = number(query, "_pageSize")?;
    let offset = match number(query, "_pagedResultsOffset")? {
        0 => number(query, "_pagedResultsCookie")?,
        offset => offset,
    };
    let taken = if size == 0 { usize::MAX } else { size };
    let result: Vec<Value> = found.into_iter().skip(offset).take(taken).collect();
    let behind = offset.saturating_add(result.len());
    let more = size > 0 && behind < total;
    let counts = query.get("_totalPagedResultsPolicy").is_some_and(|text| text == "EXACT");
    Ok(json!({
        "resultCount": result.len(),
        "result": result,
        "pagedResultsCookie": more.then(|| behind.to_string()),
        "totalPagedResultsPolicy": if counts { "EXACT" } else { "NONE" },
        "totalPagedResults": if counts { json!(total) } else { json!(-1) },
        "remainingPagedResults": if size > 0 { total.saturating_sub(behind) } else { 0 },
    }))
}

fn compared(a: Option<&Value>, b: Option<&Value>) -> Ordering {
    match (a, b) {
        (Some(Value::Number(a)), Some(Value::Number(b))) => {
            a.as_f64().partial_cmp(&b.as_f64()).unwrap_or(Ordering::Equal)
        }
        (Some(Value::String(a)), Some(Value::String(b))) => a.cmp(b),
        (Some(Value::Bool(a)), Some(Value::Bool(b))) => a.cmp(b),
        (a, b) => a.is_some().cmp(&b.is_some()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_follows_the_grammar_of_crest() {
        let object = json!({ "name": "All PATs", "n": 3, "tags": ["a", "b"], "o": { "p": "q" } });
        for (text, takes) in [
            ("true", true),
            ("false", false),
            ("!false", true),
            (r#"name eq "All PATs""#, true),
            ("name eq 'All PATs'", true),
            (r#"/name sw "all""#, true),
            (r#"name co "pat""#, true),
            (r#"tags eq "b""#, true),
            (r#"o/p eq "q""#, true),
            ("n gt 2 and n lt 4", true),
            ("n ge 3 and n le 3", true),
            ("name pr", true),
            ("missing pr", false),
            (r#"missing eq "x" or n eq 3"#, true),
            ("!(n eq 3 or name pr)", false),
            ("(n eq 3) and (name pr)", true),
            (r#"name eq "a\"b""#, false),
            (r#"name eq "^(?!All PATs$).*""#, false),
            (r#"name eq "All PATs" AND name eq "^(?!Delegation Service$).*""#, true),
        ] {
            assert_eq!(Filter::parse(text).unwrap().takes(&object), takes, "{text}");
        }
        for odd in ["", "name", "name eq", "name zz 1", "(true", "true)", "true true", "!"] {
            assert!(Filter::parse(odd).is_err(), "{odd}");
        }
        assert!(Filter::parse(&"(".repeat(1_000)).is_err());
        assert!(Filter::parse(&"!".repeat(1_000)).is_err());
    }

    #[test]
    fn a_page_is_cut_from_what_passes_in_order() {
        let all = || (0..5).map(|n| json!({ "n": n })).collect::<Vec<_>>();
        let query = |pairs: &[(&'static str, &'static str)]| -> Query<'static> {
            pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()
        };
        let whole = page(&query(&[]), all()).unwrap();
        assert_eq!(whole["resultCount"], 5);
        assert_eq!(whole["pagedResultsCookie"], Value::Null);
        assert_eq!(whole["totalPagedResults"], -1);
        let cut = query(&[
            ("_queryFilter", "n ge 1"),
            ("_pageSize", "2"),
            ("_sortKeys", "-n"),
            ("_totalPagedResultsPolicy", "EXACT"),
        ]);
        let first = page(&cut, all()).unwrap();
        assert_eq!(first["result"], json!([{ "n": 4 }, { "n": 3 }]));
        assert_eq!(
            (&first["pagedResultsCookie"], &first["remainingPagedResults"]),
            (&json!("2"), &json!(2))
        );
        let mut next = cut;
        next.insert("_pagedResultsCookie".into(), "2".into());
        assert_eq!(page(&next, all()).unwrap()["result"], json!([{ "n": 2 }, { "n": 1 }]));
        assert!(page(&query(&[("_pageSize", "x")]), all()).is_err());
    }
}

//! What goes over the wire at the Sentinel door: one tree, written as JSON or as XML, and a reader
//! that takes what real clients send: no Content-Type, empty strings, numbers as text.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use quick_xml::Reader;
use quick_xml::escape::{escape, resolve_predefined_entity};
use quick_xml::events::Event;
use serde::ser::{Serialize, SerializeMap as _, Serializer};
use serde_json::Value;

/// Levels of elements or objects at most: the deepest shape has three.
const DEPTH_MAX: usize = 8;

/// A part of an answer. Its keys keep their order: clients take the first match of a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Node {
    /// A text.
    Text(String),
    /// A number.
    Number(i64),
    /// Yes or no.
    Flag(bool),
    /// Fields, in order.
    Object(Vec<(&'static str, Node)>),
    /// Several of one sort.
    List(Vec<Node>),
}

impl From<&str> for Node {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<Option<&String>> for Node {
    /// What is absent is an empty text here.
    fn from(text: Option<&String>) -> Self {
        Self::Text(text.cloned().unwrap_or_default())
    }
}

impl From<u64> for Node {
    fn from(number: u64) -> Self {
        Self::Number(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

impl Serialize for Node {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) => serializer.serialize_str(text),
            Self::Number(number) => serializer.serialize_i64(*number),
            Self::Flag(flag) => serializer.serialize_bool(*flag),
            Self::List(items) => items.serialize(serializer),
            Self::Object(fields) => {
                let mut map = serializer.serialize_map(Some(fields.len()))?;
                for (name, node) in fields {
                    map.serialize_entry(name, node)?;
                }
                map.end()
            }
        }
    }
}

/// How a body is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// Unless something else is asked for.
    Json,
    /// Where `Accept` names it.
    Xml,
}

impl Format {
    /// What `Accept` asks for; without it, and for `*/*`, JSON.
    pub(super) fn of_accept(accept: Option<&str>) -> Self {
        let accept = accept.unwrap_or_default().to_ascii_lowercase();
        let place = |name: &str| accept.find(name).unwrap_or(usize::MAX);
        let xml = place("application/xml").min(place("text/xml"));
        if xml < place("application/json") { Self::Xml } else { Self::Json }
    }

    /// The content type.
    pub(super) const fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Xml => "application/xml;charset=utf-8",
        }
    }

    /// Writes `node` under the name of its root.
    pub(super) fn write(self, root: &'static str, node: &Node) -> Vec<u8> {
        match self {
            // Strings, numbers and flags cannot fail to be written.
            Self::Json => serde_json::to_vec(&Rooted(root, node)).unwrap_or_default(),
            Self::Xml => {
                let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>");
                element(&mut text, root, node);
                text.into_bytes()
            }
        }
    }
}

struct Rooted<'a>(&'static str, &'a Node);

impl Serialize for Rooted<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_entry(self.0, self.1)?;
        map.end()
    }
}

fn element(out: &mut String, name: &str, node: &Node) {
    if let Node::List(items) = node {
        for item in items {
            element(out, name, item);
        }
        return;
    }
    // Writing to a string cannot fail.
    let _ = write!(out, "<{name}>");
    let _ = match node {
        Node::Text(text) => write!(out, "{}", escape(text.as_str())),
        Node::Number(number) => write!(out, "{number}"),
        Node::Flag(flag) => write!(out, "{flag}"),
        Node::Object(fields) => {
            for (name, node) in fields {
                element(out, name, node);
            }
            Ok(())
        }
        Node::List(_) => Ok(()),
    };
    let _ = write!(out, "</{name}>");
}

/// The fields of a request, by their names, those of inner objects as `customer.name`. What was
/// empty is absent.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Fields(BTreeMap<String, String>);

impl Fields {
    /// Reads a body of either format, with or without the root `name` around it.
    pub(super) fn read(name: &str, body: &[u8]) -> Result<Self, String> {
        let text = std::str::from_utf8(body).map_err(|_| "the body is not UTF-8".to_owned())?;
        let text = text.trim_start_matches('\u{feff}').trim();
        match text.chars().next() {
            None => Ok(Self::default()),
            Some('<') => of_xml(name, text),
            Some('{') => of_json(name, text),
            Some(_) => Err("the body is neither JSON nor XML".to_owned()),
        }
    }

    /// A field's text.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// The first of several names of a field.
    pub(super) fn first(&self, names: &[&str]) -> Option<&str> {
        names.iter().find_map(|name| self.text(name))
    }

    fn put(&mut self, name: String, text: &str) {
        let text = text.trim();
        if !text.is_empty() {
            self.0.insert(name, text.to_owned());
        }
    }
}

fn of_json(name: &str, text: &str) -> Result<Fields, String> {
    let value: Value = serde_json::from_str(text)
        .map_err(|error| format!("no JSON, line {} column {}", error.line(), error.column()))?;
    let inner = value.get(name).unwrap_or(&value);
    let mut fields = Fields::default();
    gather(&mut fields, "", inner, 0)?;
    Ok(fields)
}

fn gather(fields: &mut Fields, path: &str, value: &Value, depth: usize) -> Result<(), String> {
    match value {
        Value::Null => {}
        Value::String(text) => fields.put(path.to_owned(), text),
        Value::Bool(flag) => fields.put(path.to_owned(), &flag.to_string()),
        Value::Number(number) => fields.put(path.to_owned(), &number.to_string()),
        Value::Object(inner) if depth < DEPTH_MAX => {
            for (name, value) in inner {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                gather(fields, &path, value, depth + 1)?;
            }
        }
        Value::Object(_) => return Err("the body is nested too deeply".to_owned()),
        Value::Array(_) => return Err(format!("{path} is a list, and must not be")),
    }
    Ok(())
}

/// Elements become fields; attributes and namespaces say nothing. A document type is refused, so
/// that no entity is ever resolved but the five of XML itself.
fn of_xml(name: &str, text: &str) -> Result<Fields, String> {
    let mut reader = Reader::from_str(text);
    let mut fields = Fields::default();
    let mut open: Vec<String> = Vec::new();
    let mut content = String::new();
    let bad = |place: u64| format!("no XML, at byte {place}");
    loop {
        let place = reader.buffer_position();
        match reader.read_event().map_err(|_| bad(place))? {
            Event::Start(start) => {
                if open.len() == DEPTH_MAX {
                    return Err("the body is nested too deeply".to_owned());
                }
                open.push(start.local_name().into_inner().to_owned());
                content.clear();
            }
            Event::End(_) => {
                let rest = open.iter().skip(usize::from(open.first().is_some_and(|n| n == name)));
                let path = rest.map(String::as_str).collect::<Vec<_>>().join(".");
                if !path.is_empty() {
                    fields.put(path, &content);
                }
                open.pop();
                content.clear();
            }
            Event::Text(part) => content.push_str(&part.xml10_content()),
            Event::CData(part) => content.push_str(&part.xml10_content()),
            Event::GeneralRef(entity) => match entity.resolve_char_ref() {
                Ok(Some(character)) => content.push(character),
                _ => match resolve_predefined_entity(&entity.xml10_content()) {
                    Some(text) => content.push_str(text),
                    None => return Err("the body names an unknown entity".to_owned()),
                },
            },
            Event::DocType(_) => return Err("a document type is not taken".to_owned()),
            Event::Empty(_) | Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
            Event::Eof if open.is_empty() => return Ok(fields),
            Event::Eof => return Err(bad(place)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> Result<Fields, String> {
        Fields::read("registrationToken", body.as_bytes())
    }

    #[test]
    fn both_formats_are_read_wrapped_or_not() {
        let bodies = [
            r#"{"registrationToken":{"customer":{"id":"","name":"A&B"},"count":4,"id":"","isEnabled":true}}"#,
            r#"{"customer":{"name":" A&B "},"count":"4","isEnabled":"true","usedCount":null}"#,
            "<registrationToken><customer><name>A&amp;B</name><id/></customer><count> 4 </count>\
             <isEnabled>true</isEnabled><id></id></registrationToken>",
            "<?xml version=\"1.0\"?>\n<n:registrationToken xmlns:n=\"u\"><customer><name>A&#38;B\
             </name></customer><count>4</count><isEnabled><![CDATA[true]]></isEnabled>\
             </n:registrationToken>",
        ];
        let first = read(bodies[0]).unwrap();
        assert_eq!(first.text("customer.name"), Some("A&B"));
        assert_eq!(first.first(&["id", "count"]), Some("4"));
        assert_eq!(first.text("id"), None);
        for body in bodies {
            assert_eq!(read(body).unwrap(), first, "{body}");
        }
        assert_eq!(read("").unwrap(), Fields::default());
    }

    #[test]
    fn what_is_neither_is_refused() {
        let deep = "<a>".repeat(9);
        for (body, why) in [
            ("x", "neither"),
            ("{", "no JSON"),
            ("<a>", "no XML"),
            ("<a></b>", "no XML"),
            (deep.as_str(), "nested"),
            (r#"{"count":[1]}"#, "list"),
            ("<!DOCTYPE a [<!ENTITY x \"y\">]><a>&x;</a>", "document type"),
            ("<a>&x;</a>", "unknown entity"),
        ] {
            assert!(read(body).unwrap_err().contains(why), "{body}: {:?}", read(body));
        }
    }

    #[test]
    fn answers_keep_their_order_in_both_formats() {
        let inner = Node::Object(vec![("id", "2".into()), ("name", "A&B".into())]);
        let node = Node::Object(vec![
            ("id", "1".into()),
            ("count", Node::Number(4)),
            ("isEnabled", Node::Flag(true)),
            ("customer", inner.clone()),
            ("item", Node::List(vec![inner.clone(), inner])),
        ]);
        let json = String::from_utf8(Format::Json.write("registrationToken", &node)).unwrap();
        assert_eq!(
            json,
            r#"{"registrationToken":{"id":"1","count":4,"isEnabled":true,"customer":{"id":"2","name":"A&B"},"item":[{"id":"2","name":"A&B"},{"id":"2","name":"A&B"}]}}"#
        );
        let xml = String::from_utf8(Format::Xml.write("registrationToken", &node)).unwrap();
        let item = "<item><id>2</id><name>A&amp;B</name></item>";
        assert!(xml.ends_with(&format!("</customer>{item}{item}</registrationToken>")), "{xml}");
    }

    #[test]
    fn xml_is_written_where_it_is_asked_for() {
        for (accept, format) in [
            (None, Format::Json),
            (Some("*/*"), Format::Json),
            (Some("application/json, application/xml"), Format::Json),
            (Some("application/xml"), Format::Xml),
            (Some("text/xml; q=1, */*"), Format::Xml),
        ] {
            assert_eq!(Format::of_accept(accept), format, "{accept:?}");
        }
    }
}

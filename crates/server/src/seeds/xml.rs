//! XML as a tree of elements: no document type, no entity but the five that XML itself has, and
//! limits on depth and number, so that no file can ask for more memory than it has bytes.

use quick_xml::Reader;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesStart, Event};
use quick_xml::{XmlVersion, name::QName};
use zeroize::Zeroizing;

use super::BadFile;

/// Levels of elements at most: an encrypted key of RFC 6030 has nine.
const DEPTH_MAX: usize = 24;
/// Elements at most.
const ELEMENTS_MAX: usize = 200_000;
/// Attributes of one element at most.
const ATTRIBUTES_MAX: usize = 32;

/// An element. Names are without their prefix: RFC 6030 knows no two elements that differ in
/// nothing but their namespace. Nor does it know two that differ in nothing but capitals, and
/// privacyIDEA writes all names without any, so these are not looked at.
pub(super) struct Element {
    pub(super) name: String,
    pub(super) line: usize,
    attributes: Vec<(String, String)>,
    text: Zeroizing<String>,
    pub(super) children: Vec<Element>,
}

impl Element {
    /// Whether it has this name.
    pub(super) fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }

    /// The first child of a name.
    pub(super) fn child(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.is(name))
    }

    /// The element at the end of a path of names.
    pub(super) fn at(&self, path: &[&str]) -> Option<&Self> {
        path.iter().try_fold(self, |element, name| element.child(name))
    }

    /// The text of the element itself, without the spaces around it.
    pub(super) fn text(&self) -> &str {
        self.text.trim()
    }

    /// The text of a child.
    pub(super) fn text_of(&self, name: &str) -> Option<&str> {
        self.child(name).map(Self::text)
    }

    /// An attribute.
    pub(super) fn attribute(&self, name: &str) -> Option<&str> {
        let mut attributes = self.attributes.iter();
        attributes.find(|(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// Whether an attribute declares this namespace.
    pub(super) fn declares(&self, namespace: &str) -> bool {
        self.attributes.iter().any(|(name, value)| name.starts_with("xmlns") && value == namespace)
    }
}

/// Counts lines as the reader goes on.
struct Lines<'a> {
    text: &'a str,
    seen: usize,
    line: usize,
}

impl Lines<'_> {
    fn at(&mut self, position: u64) -> usize {
        let to = usize::try_from(position).unwrap_or(usize::MAX).min(self.text.len());
        if let Some(passed) = self.text.as_bytes().get(self.seen..to) {
            self.line += passed.split(|byte| *byte == b'\n').count() - 1;
            self.seen = to;
        }
        self.line
    }
}

/// Reads a document.
///
/// # Errors
///
/// Where it is no XML, or more than is read here.
pub(super) fn parse(text: &str) -> Result<Element, BadFile> {
    let mut reader = Reader::from_str(text);
    let mut lines = Lines { text, seen: 0, line: 1 };
    let (mut open, mut root, mut elements) = (Vec::<Element>::new(), None, 0_usize);
    loop {
        let line = lines.at(reader.buffer_position());
        let event = reader.read_event().map_err(|error| {
            let line = lines.at(reader.error_position());
            BadFile::new(line, broken(&error))
        })?;
        match event {
            Event::Start(tag) | Event::Empty(tag) if root.is_some() && open.is_empty() => {
                let name = local(tag.name());
                return Err(BadFile::new(line, format!("{name} stands behind the end")));
            }
            Event::Start(tag) => {
                elements += 1;
                if open.len() == DEPTH_MAX || elements > ELEMENTS_MAX {
                    return Err(BadFile::new(line, "more elements than any key container has"));
                }
                open.push(element(&tag, line)?);
            }
            Event::Empty(tag) => {
                elements += 1;
                if elements > ELEMENTS_MAX {
                    return Err(BadFile::new(line, "more elements than any key container has"));
                }
                close(&mut open, &mut root, element(&tag, line)?);
            }
            Event::End(_) => {
                if let Some(done) = open.pop() {
                    close(&mut open, &mut root, done);
                }
            }
            Event::Text(part) => write(&mut open, &part.xml10_content(), line)?,
            Event::CData(part) => write(&mut open, &part, line)?,
            Event::GeneralRef(reference) => {
                let name: &str = &reference;
                let read = reference.resolve_char_ref().ok().flatten().map(String::from);
                let read = read.or_else(|| resolve_predefined_entity(name).map(str::to_owned));
                let why = "an entity that XML does not have itself";
                write(&mut open, &read.ok_or_else(|| BadFile::new(line, why))?, line)?;
            }
            Event::DocType(_) => {
                return Err(BadFile::new(line, "a document type is not taken, nor its entities"));
            }
            Event::Decl(_) | Event::PI(_) | Event::Comment(_) => {}
            Event::Eof => break,
        }
    }
    if let Some(unclosed) = open.last() {
        let why = format!("{} is not closed: the file is cut off", unclosed.name);
        return Err(BadFile::new(unclosed.line, why));
    }
    root.ok_or_else(|| BadFile::new(1, "is no XML"))
}

/// In words that repeat nothing of the file but names of elements.
fn broken(error: &quick_xml::Error) -> String {
    match error {
        quick_xml::Error::IllFormed(bad) => format!("is no XML: {bad}"),
        quick_xml::Error::Syntax(bad) => format!("is no XML: {bad}"),
        _ => "is no XML".to_owned(),
    }
}

fn local(name: QName<'_>) -> String {
    name.local_name().as_ref().to_owned()
}

fn element(tag: &BytesStart<'_>, line: usize) -> Result<Element, BadFile> {
    let mut attributes = Vec::new();
    for attribute in tag.attributes() {
        let attribute = attribute.map_err(|_| BadFile::new(line, "an attribute is no XML"))?;
        let value = attribute.normalized_value(XmlVersion::Implicit1_0);
        let value = value.map_err(|_| BadFile::new(line, "an attribute is no XML"))?.into_owned();
        let name: &str = attribute.key.as_ref();
        // Declarations of namespaces keep their prefix, which tells them from attributes.
        let is_declaration = name == "xmlns" || name.starts_with("xmlns:");
        let name = if is_declaration { name.to_owned() } else { local(attribute.key) };
        attributes.push((name, value));
        if attributes.len() > ATTRIBUTES_MAX {
            return Err(BadFile::new(line, "more attributes than any element has"));
        }
    }
    let (name, text) = (local(tag.name()), Zeroizing::new(String::new()));
    Ok(Element { name, line, attributes, text, children: Vec::new() })
}

fn close(open: &mut [Element], root: &mut Option<Element>, done: Element) {
    match open.last_mut() {
        Some(parent) => parent.children.push(done),
        None => *root = Some(done),
    }
}

fn write(open: &mut [Element], part: &str, line: usize) -> Result<(), BadFile> {
    match open.last_mut() {
        Some(element) => element.text.push_str(part),
        None if part.trim().is_empty() => {}
        None => return Err(BadFile::new(line, "is no XML: a text outside of every element")),
    }
    Ok(())
}

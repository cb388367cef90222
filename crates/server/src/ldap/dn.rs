//! Distinguished names: read as RFC 4514 writes them, compared without case, written back safely.

use std::borrow::Cow;
use std::fmt::{self, Write as _};

use super::limits::{DN_BYTES_MAX, DN_PARTS_MAX};

/// Parts of the names that people bind with.
const DN_PARTS_USUAL: usize = 6;

/// A text that is no DN.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a distinguished name")]
pub struct BadDn;

/// One `type=value`. The type is a short name in lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Its type, in lower case and without an OID where the OID is known here.
    pub kind: Cow<'static, str>,
    /// Its value as it was written, without escapes.
    pub value: String,
}

/// A distinguished name, most specific part first.
///
/// Parts of several types (`a=1+b=2`) name nothing here and are refused.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Dn(Vec<Part>);

/// Short names, OIDs and long names of the types that occur here (RFC 4519).
const KINDS: [(&str, &str); 15] = [
    ("uid", "uid"),
    ("ou", "ou"),
    ("dc", "dc"),
    ("cn", "cn"),
    ("o", "o"),
    ("0.9.2342.19200300.100.1.1", "uid"),
    ("userid", "uid"),
    ("0.9.2342.19200300.100.1.25", "dc"),
    ("domaincomponent", "dc"),
    ("2.5.4.3", "cn"),
    ("commonname", "cn"),
    ("2.5.4.11", "ou"),
    ("organizationalunitname", "ou"),
    ("2.5.4.10", "o"),
    ("organizationname", "o"),
];

impl Dn {
    /// Reads a DN.
    ///
    /// # Errors
    ///
    /// When it is none, or larger than any that could name something.
    pub fn parse(text: &str) -> Result<Self, BadDn> {
        if text.len() > DN_BYTES_MAX {
            return Err(BadDn);
        }
        if let Some(parts) = plain(text) { Ok(Self(parts)) } else { thorough(text).map(Self) }
    }

    /// Whether it is the root of everything, which has no name.
    pub const fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// Its parts, most specific first.
    pub fn parts(&self) -> &[Part] {
        &self.0
    }

    /// The parts in front of `base`, if it ends with that.
    pub fn below(&self, base: &Self) -> Option<&[Part]> {
        let own = self.0.len().checked_sub(base.0.len())?;
        let (front, end) = self.0.split_at_checked(own)?;
        end.iter().zip(&base.0).all(|(a, b)| a.is(b)).then_some(front)
    }

    /// The same without its first part.
    #[cfg(test)]
    fn parent(&self) -> Self {
        Self(self.0.iter().skip(1).cloned().collect())
    }

    /// The DN of something below it.
    #[must_use]
    pub fn child(&self, kind: &str, value: &str) -> Self {
        let first = Part { kind: Cow::Owned(kind.to_owned()), value: value.to_owned() };
        Self(std::iter::once(first).chain(self.0.iter().cloned()).collect())
    }

    /// The same with other values.
    #[must_use]
    pub fn map(&self, value: impl Fn(&str) -> String) -> Self {
        let part = |part: &Part| Part { kind: part.kind.clone(), value: value(&part.value) };
        Self(self.0.iter().map(part).collect())
    }

    /// Whether both name the same: types and values without case, spaces run together.
    pub fn is(&self, other: &Self) -> bool {
        self.0.len() == other.0.len() && self.0.iter().zip(&other.0).all(|(a, b)| a.is(b))
    }
}

impl Part {
    /// Whether both say the same.
    pub fn is(&self, other: &Self) -> bool {
        self.kind == other.kind && same(&self.value, &other.value)
    }

    /// Whether it is of this type.
    pub fn is_a(&self, kind: &str) -> bool {
        self.kind == kind
    }
}

/// Whether two values are equal under `caseIgnoreMatch` (RFC 4517 section 4.2.11).
pub(crate) fn same(a: &str, b: &str) -> bool {
    a == b || prepared(a) == prepared(b)
}

/// A value as `caseIgnoreMatch` compares it: no outer spaces, inner ones single, no case.
pub(crate) fn prepared(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    for word in value.split_whitespace() {
        if !text.is_empty() {
            text.push(' ');
        }
        text.extend(word.chars().flat_map(char::to_lowercase));
    }
    text
}

/// What a byte is in a name that needs no second look.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Plain {
    Letter,
    Equals,
    Comma,
    Other,
}

const PLAIN: [Plain; 256] = {
    let mut table = [Plain::Other; 256];
    let mut byte = 0_u8;
    while byte < 128 {
        table[byte as usize] = match byte {
            b'=' => Plain::Equals,
            b',' => Plain::Comma,
            b'-' | b'_' | b'.' => Plain::Letter,
            _ if byte.is_ascii_alphanumeric() => Plain::Letter,
            _ => Plain::Other,
        };
        byte += 1;
    }
    table
};

/// The parts of a name of types that are known, all of letters, digits and a few marks that mean
/// nothing here: as nearly everybody binds. `None` if there is more to it.
fn plain(text: &str) -> Option<Vec<Part>> {
    let mut parts = Vec::with_capacity(DN_PARTS_USUAL);
    let (mut start, mut equals) = (0, None);
    let mut part = |start: usize, equals: Option<usize>, end: usize| {
        let equals: usize = equals?;
        let (kind, value) = (text.get(start..equals)?, text.get(equals + 1..end)?);
        if value.is_empty() || parts.len() == DN_PARTS_MAX {
            return None;
        }
        parts.push(Part { kind: Cow::Borrowed(known(kind)?), value: value.to_owned() });
        Some(())
    };
    for (at, byte) in text.bytes().enumerate() {
        match PLAIN[usize::from(byte)] {
            Plain::Letter => {}
            Plain::Equals if equals.is_none() => equals = Some(at),
            Plain::Comma => {
                part(start, equals.take(), at)?;
                start = at + 1;
            }
            Plain::Equals | Plain::Other => return None,
        }
    }
    part(start, equals, text.len())?;
    Some(parts)
}

/// The short name of a type that is known.
fn known(name: &str) -> Option<&'static str> {
    KINDS.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, short)| *short)
}

/// The parts of any name.
fn thorough(text: &str) -> Result<Vec<Part>, BadDn> {
    if text.trim().is_empty() {
        return Ok(Vec::new());
    }
    let mut parts = Vec::with_capacity(DN_PARTS_USUAL);
    for written in split(text)? {
        if parts.len() == DN_PARTS_MAX {
            return Err(BadDn);
        }
        parts.push(part(written)?);
    }
    Ok(parts)
}

/// Splits at separators that are neither escaped nor quoted. All of them are ASCII, so every piece
/// is text again.
fn split(text: &str) -> Result<Vec<&str>, BadDn> {
    let mut pieces = Vec::with_capacity(DN_PARTS_USUAL);
    let (mut escaped, mut quoted, mut start) = (false, false, 0);
    for (at, byte) in text.bytes().enumerate() {
        if !escaped && !quoted && matches!(byte, b',' | b';') {
            pieces.push(text.get(start..at).ok_or(BadDn)?);
            start = at + 1;
            continue;
        }
        if byte == b'"' && !escaped {
            quoted = !quoted;
        }
        escaped = byte == b'\\' && !escaped;
    }
    pieces.push(text.get(start..).ok_or(BadDn)?);
    if escaped || quoted { Err(BadDn) } else { Ok(pieces) }
}

fn part(written: &str) -> Result<Part, BadDn> {
    let (kind, value) = written.split_once('=').ok_or(BadDn)?;
    Ok(Part { kind: kind_of(kind.trim())?, value: value_of(value)? })
}

fn kind_of(written: &str) -> Result<Cow<'static, str>, BadDn> {
    if let Some(short) = known(written) {
        return Ok(Cow::Borrowed(short));
    }
    let kind = written.to_ascii_lowercase();
    let kind = kind.strip_prefix("oid.").unwrap_or(&kind);
    let shaped = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'.';
    if kind.is_empty() || !kind.bytes().all(shaped) {
        return Err(BadDn);
    }
    Ok(match known(kind) {
        Some(short) => Cow::Borrowed(short),
        None => Cow::Owned(kind.to_owned()),
    })
}

/// A value without its escapes (RFC 4514 section 3), or without the quotes of RFC 2253.
fn value_of(written: &str) -> Result<String, BadDn> {
    let trimmed = written.trim_start_matches(' ');
    if trimmed.starts_with('#') {
        // A value as BER. Nothing here has a name that could not be written as text.
        return Err(BadDn);
    }
    let quoted =
        trimmed.trim_end_matches(' ').strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    let mut bytes = Vec::with_capacity(trimmed.len());
    // Up to where trailing spaces belong to the value because they were escaped.
    let mut kept = 0;
    let mut rest = quoted.unwrap_or(trimmed).bytes().peekable();
    while let Some(byte) = rest.next() {
        match byte {
            b'\\' => {
                let first = rest.next().ok_or(BadDn)?;
                let second = rest.peek().copied().and_then(digit);
                match (digit(first), second) {
                    (Some(high), Some(low)) => {
                        rest.next();
                        bytes.push(high << 4 | low);
                    }
                    _ if b" \"#+,;<=>\\".contains(&first) => bytes.push(first),
                    _ => return Err(BadDn),
                }
                kept = bytes.len();
            }
            // Several types in one part.
            b'+' | b'"' if quoted.is_none() => return Err(BadDn),
            other => bytes.push(other),
        }
    }
    if quoted.is_none() {
        while bytes.len() > kept && bytes.last() == Some(&b' ') {
            bytes.pop();
        }
    }
    let value = String::from_utf8(bytes).map_err(|_| BadDn)?;
    if value.is_empty() || value.contains('\0') { Err(BadDn) } else { Ok(value) }
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

/// As RFC 4514 section 2.4 writes it.
impl fmt::Display for Dn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, part) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_char(',')?;
            }
            write!(f, "{}=", part.kind)?;
            let last = part.value.chars().count().saturating_sub(1);
            for (at, c) in part.value.chars().enumerate() {
                let special = matches!(c, '"' | '+' | ',' | ';' | '<' | '>' | '\\' | '=');
                let edge = (c == ' ' && (at == 0 || at == last)) || (c == '#' && at == 0);
                if special || edge {
                    f.write_char('\\')?;
                }
                f.write_char(c)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn dn(text: &str) -> Dn {
        Dn::parse(text).unwrap()
    }

    #[test]
    fn spellings_of_one_name_are_the_same() {
        let name = dn("uid=alice,ou=git,ou=services,dc=counterfoil,dc=local");
        for other in [
            "UID=Alice, OU=git , ou=services;dc=counterfoil,dc=local",
            "0.9.2342.19200300.100.1.1=alice,ou=git,ou=services,dc=counterfoil,dc=local",
            "userid=\"alice\",ou=git,ou=services,DC=Counterfoil,dc=local",
            "uid=\\61lice,ou=git,ou=services,dc=counterfoil,dc=local",
        ] {
            assert!(name.is(&dn(other)), "{other}");
        }
        let base = dn("dc=counterfoil,dc=local");
        let front: Vec<&str> =
            name.below(&base).unwrap().iter().map(|part| part.value.as_str()).collect();
        assert_eq!(front, ["alice", "git", "services"]);
        assert!(base.below(&name).is_none() && dn("dc=other,dc=local").below(&base).is_none());
        assert!(name.is(&name.parent().child("uid", "ALICE")));
        assert!(dn(" ").is_root());
    }

    #[test]
    fn what_is_no_name_is_refused() {
        for bad in [
            "alice",
            "uid=",
            "=alice",
            "uid=alice,",
            "uid=a+cn=b",
            "uid=\"alice",
            "uid=alice\\",
            "uid=a\\zz",
            "uid=#04016",
            "u d=alice",
            "uid=a\\00",
            "uid=\\ff",
        ] {
            assert_eq!(Dn::parse(bad), Err(BadDn), "{bad}");
        }
        assert!(Dn::parse(&"a".repeat(DN_BYTES_MAX + 1)).is_err());
        assert!(Dn::parse(&["a=b"; DN_PARTS_MAX + 1].join(",")).is_err());
    }

    #[test]
    fn special_characters_are_escaped_and_read_back() {
        let name = Dn::default().child("cn", " a+b,c=\"d\" ");
        assert_eq!(name.to_string(), "cn=\\ a\\+b\\,c\\=\\\"d\\\"\\ ");
        assert_eq!(dn(&name.to_string()), name);
    }

    proptest! {
        /// What is written can be read again and names the same.
        #[test]
        fn writing_and_reading_are_inverse(value in "[^\\x00]{1,40}") {
            let name = Dn::default().child("ou", "x").child("cn", &value);
            let read = Dn::parse(&name.to_string());
            prop_assert_eq!(read, Ok(name));
        }

        /// The short way says what the long one would.
        #[test]
        fn plain_names_are_read_as_thoroughly(
            text in "((uid|OU|dc|2\\.5\\.4\\.3|x)=[a-zA-Z0-9._ -]{0,3}[,;=]?){0,4}",
        ) {
            if let Some(parts) = plain(&text) {
                prop_assert_eq!(Ok(parts), thorough(&text));
            }
        }

        /// No text makes it fail in another way than by refusing.
        #[test]
        fn any_text_is_decided_about(text in "\\PC{0,60}") {
            drop(Dn::parse(&text));
        }
    }
}

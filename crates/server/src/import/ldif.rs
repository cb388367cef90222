//! LDIF (RFC 2849): entries of an exported directory, each with the line it begins at.

use std::path::Path;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::rows::Place;

/// Bytes of a file at most: a directory of some hundred thousand people.
const LDIF_BYTES_MAX: u64 = 1 << 30;

/// An entry. Its values may be secrets, so it shows none of them.
pub(crate) struct Entry {
    /// Where it was read.
    pub(crate) place: Place,
    attributes: Vec<(String, Zeroizing<String>)>,
    /// Values that are no UTF-8, by the name of their attribute.
    unreadable: Vec<String>,
}

impl Entry {
    /// An entry of a directory that is asked.
    pub(crate) fn new(place: Place) -> Self {
        Self { place, attributes: Vec::new(), unreadable: Vec::new() }
    }

    /// Adds a value.
    pub(crate) fn push(&mut self, name: &str, value: Zeroizing<String>) {
        // Options such as `;lang-de` say nothing about what it is.
        let name = name.split(';').next().unwrap_or_default().to_ascii_lowercase();
        self.attributes.push((name, value));
    }

    /// The values of an attribute, whose name is in lower case.
    pub(crate) fn values(&self, name: &str) -> impl Iterator<Item = &str> {
        let named = self.attributes.iter().filter(move |(known, _)| known == name);
        named.map(|(_, value)| value.as_str())
    }

    /// The first value of an attribute.
    pub(crate) fn first(&self, name: &str) -> Option<&str> {
        self.values(name).next()
    }

    /// Whether a value of an attribute is no text.
    pub(crate) fn is_unreadable(&self, name: &str) -> bool {
        self.unreadable.iter().any(|known| known == name)
    }
}

/// Reads the entries of a file; the error says where it is none.
pub(crate) fn read(path: &Path) -> Result<Vec<Entry>, String> {
    let file = path.display().to_string();
    let failed = |error: std::io::Error| format!("{file}: {error}");
    if std::fs::metadata(path).map_err(failed)?.len() > LDIF_BYTES_MAX {
        return Err(format!("{file}: is longer than a gibibyte"));
    }
    let text = std::fs::read_to_string(path).map(Zeroizing::new).map_err(failed)?;
    entries(&text, &file.as_str().into())
}

pub(super) fn entries(text: &str, file: &Arc<str>) -> Result<Vec<Entry>, String> {
    let mut found: Vec<Entry> = Vec::new();
    let mut open = false;
    for (line, logical) in logical_lines(text) {
        let place = || Place { file: Arc::clone(file), line };
        if logical.is_empty() {
            open = false;
            continue;
        }
        if logical.starts_with('#')
            || (!open && logical.to_ascii_lowercase().starts_with("version:"))
        {
            continue;
        }
        let Some((name, rest)) = logical.split_once(':') else {
            return Err(format!("{}: is no line of LDIF (RFC 2849)", place()));
        };
        if !open {
            if !name.eq_ignore_ascii_case("dn") {
                return Err(format!("{}: an entry begins with its dn", place()));
            }
            found.push(Entry::new(place()));
            open = true;
        }
        let Some(entry) = found.last_mut() else { continue };
        if name.eq_ignore_ascii_case("changetype") && rest.trim() != "add" {
            return Err(format!("{}: is a change; export entries instead", place()));
        }
        match value_of(rest).map_err(|why| format!("{}: {why}", place()))? {
            Some(value) => entry.push(name, value),
            None => entry.unreadable.push(name.to_ascii_lowercase()),
        }
    }
    Ok(found)
}

/// What stands behind the first colon; `None`: it is no text.
fn value_of(rest: &str) -> Result<Option<Zeroizing<String>>, &'static str> {
    if let Some(encoded) = rest.strip_prefix(':') {
        let bytes = STANDARD.decode(encoded.trim()).map_err(|_| "its base64 cannot be read")?;
        return Ok(String::from_utf8(bytes).ok().map(Zeroizing::new));
    }
    if rest.starts_with('<') {
        return Err("names a file (`:<`); export the value itself");
    }
    Ok(Some(Zeroizing::new(rest.strip_prefix(' ').unwrap_or(rest).to_owned())))
}

/// Lines with their continuations (a blank at the beginning), and the number of each.
fn logical_lines(text: &str) -> Vec<(usize, Zeroizing<String>)> {
    let mut lines: Vec<(usize, Zeroizing<String>)> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        match (line.strip_prefix(' '), lines.last_mut()) {
            (Some(more), Some((_, last))) => last.push_str(more),
            _ => lines.push((index + 1, Zeroizing::new(line.to_owned()))),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folded_encoded_and_commented_lines_are_read() {
        let text = "version: 1\n# a comment\ndn: uid=a,dc=x\nuid: a\ncn:: w5xiZXI=\nmail: a@ex\n \
                    ample.org\nmail;lang-de: b@example.org\njpegphoto:: /9j/\n\ndn: uid=b,dc=x\n\
                    uid:b\n";
        let found = entries(text, &"x.ldif".into()).unwrap();
        assert_eq!(found.len(), 2);
        assert_eq!((found[0].place.line, found[1].place.line), (3, 11));
        assert_eq!(found[0].first("cn"), Some("Über"));
        let mails: Vec<&str> = found[0].values("mail").collect();
        assert_eq!(mails, ["a@example.org", "b@example.org"]);
        assert!(found[0].is_unreadable("jpegphoto") && !found[0].is_unreadable("cn"));
        assert_eq!(found[1].first("uid"), Some("b"));
    }

    #[test]
    fn what_is_no_export_is_refused_with_its_line() {
        for (text, said) in [
            ("uid: a\n", "x.ldif:1: an entry begins with its dn"),
            ("dn: a\nnonsense\n", "x.ldif:2: is no line of LDIF (RFC 2849)"),
            ("dn: a\ncn:: !\n", "x.ldif:2: its base64 cannot be read"),
            ("dn: a\nchangetype: modify\n", "x.ldif:2: is a change; export entries instead"),
        ] {
            assert_eq!(entries(text, &"x.ldif".into()).err().as_deref(), Some(said));
        }
    }
}

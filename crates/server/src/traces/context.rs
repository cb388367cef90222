//! The trace that a request belongs to (W3C Trace Context).

use std::fmt;

/// Digits of the header of version 00, which every later one begins with.
const HEADER_LEN: usize = 55;

/// Names a trace. Invariant: not all zeros.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TraceId([u8; 16]);

/// Names a span. Invariant: not all zeros.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SpanId([u8; 8]);

impl TraceId {
    /// The id of these 16 bytes; `None` for zeros and for any other number of bytes.
    pub fn of(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().filter(|bytes| *bytes != [0; 16]).map(Self)
    }

    /// The part of it that is random, by Level 2 of the standard.
    pub fn random(self) -> u64 {
        let [_, _, _, _, _, _, _, _, _, rest @ ..] = self.0;
        rest.iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
    }
}

impl SpanId {
    /// The id of these 8 bytes; `None` for zeros and for any other number of bytes.
    pub fn of(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().filter(|bytes| *bytes != [0; 8]).map(Self)
    }
}

fn hex(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        hex(&self.0, f)
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        hex(&self.0, f)
    }
}

impl fmt::Debug for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TraceId({self})")
    }
}

impl fmt::Debug for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SpanId({self})")
    }
}

/// The span that a request was sent from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parent {
    /// The trace.
    pub trace: TraceId,
    /// The span.
    pub span: SpanId,
    /// Whether whoever sent it traces it.
    pub sampled: bool,
}

impl Parent {
    /// Reads `traceparent` (sections 3.2.2 and 3.2.3): `version-trace-parent-flags` in small
    /// hexadecimal digits. A version that is not known may have more behind a further `-`.
    pub fn of_header(line: &str) -> Option<Self> {
        let known = line.get(..HEADER_LEN)?;
        let rest = line.get(HEADER_LEN..)?;
        let mut parts = known.split('-');
        let (version, trace, span, flags) =
            (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let shape = [version.len(), trace.len(), span.len(), flags.len()] == [2, 32, 16, 2];
        let more = match version {
            "ff" => return None,
            "00" => rest.is_empty(),
            _ => rest.is_empty() || rest.starts_with('-'),
        };
        if !shape || !more || parts.next().is_some() {
            return None;
        }
        bytes_of(version)?;
        let flags = *bytes_of(flags)?.first()?;
        Some(Self {
            trace: TraceId::of(&bytes_of(trace)?)?,
            span: SpanId::of(&bytes_of(span)?)?,
            sampled: flags & 1 == 1,
        })
    }
}

fn bytes_of(digits: &str) -> Option<Vec<u8>> {
    data_encoding::HEXLOWER.decode(digits.as_bytes()).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const USUAL: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn a_header_of_the_standard_is_read() {
        let parent = Parent::of_header(USUAL).unwrap();
        assert_eq!(parent.trace.to_string(), "0af7651916cd43dd8448eb211c80319c");
        assert_eq!(parent.span.to_string(), "b7ad6b7169203331");
        assert!(parent.sampled);
        assert!(!Parent::of_header(&USUAL.replace("-01", "-00")).unwrap().sampled);
        // A later version, with more behind.
        let later = USUAL.replacen("00-", "cc-", 1);
        assert_eq!(Parent::of_header(&later), Some(parent));
        assert_eq!(Parent::of_header(&format!("{later}-what-comes")), Some(parent));
    }

    #[test]
    fn anything_else_is_no_header() {
        for other in [
            String::new(),
            USUAL[..54].to_owned(),
            format!("{USUAL}-more"),
            format!("{USUAL} "),
            USUAL.replacen("00-", "ff-", 1),
            USUAL.replacen("00-", "0x-", 1),
            USUAL.replace("0af7", "0AF7"),
            USUAL.replace("0af7651916cd43dd8448eb211c80319c", &"0".repeat(32)),
            USUAL.replace("b7ad6b7169203331", &"0".repeat(16)),
            USUAL.replacen("00-", "cc-", 1) + "x",
            USUAL.replacen("-b7", "b7-", 1),
            "\u{e4}".repeat(28),
        ] {
            assert_eq!(Parent::of_header(&other), None, "{other}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_fail(line in "\\PC{0,80}") {
            Parent::of_header(&line);
        }
    }
}

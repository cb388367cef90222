//! One text with wildcards against one without.

use super::ONE_LEVEL;

/// A text with wildcards of one sort, or with none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Glob {
    /// No wildcard.
    Literal(String),
    /// What stands between the `*`: the first piece begins the text, the last one ends it.
    AnyLevel(Vec<String>),
    /// Segments, each with what stands between its `-*-`.
    OneLevel { is_rooted: bool, segments: Vec<Vec<String>> },
}

impl Glob {
    pub(super) fn of(text: &str) -> Self {
        let pieces = |text: &str, wildcard: &str| -> Vec<String> {
            text.split(wildcard).map(ToOwned::to_owned).collect()
        };
        if text.contains(ONE_LEVEL) {
            let segments = segments(text).map(|segment| pieces(segment, ONE_LEVEL)).collect();
            Self::OneLevel { is_rooted: text.starts_with('/'), segments }
        } else if text.contains('*') {
            Self::AnyLevel(pieces(text, "*"))
        } else {
            Self::Literal(text.to_owned())
        }
    }

    pub(super) fn takes(&self, text: &str) -> bool {
        match self {
            Self::Literal(literal) => literal == text,
            Self::AnyLevel(pieces) => takes(pieces, text),
            Self::OneLevel { is_rooted, segments } => {
                *is_rooted == text.starts_with('/') && takes_segments(segments, text)
            }
        }
    }

    /// The text, if there is no wildcard in it.
    pub(super) fn literal(&self) -> Option<&str> {
        match self {
            Self::Literal(text) => Some(text),
            Self::AnyLevel(_) | Self::OneLevel { .. } => None,
        }
    }

    /// What every text that it takes begins with.
    pub(super) fn head(&self) -> &str {
        match self {
            Self::Literal(text) => text,
            Self::AnyLevel(pieces) => pieces.first().map_or("", String::as_str),
            Self::OneLevel { is_rooted: true, .. } => "/",
            // Slashes count for nothing, so only the first segment is certain.
            Self::OneLevel { is_rooted: false, segments } => {
                segments.first().and_then(|pieces| pieces.first()).map_or("", String::as_str)
            }
        }
    }
}

fn segments(text: &str) -> impl Iterator<Item = &str> {
    text.split('/').filter(|segment| !segment.is_empty())
}

/// Pieces from left to right, each as early as it can be: what is left is the longest.
fn takes(pieces: &[String], text: &str) -> bool {
    let [first, middle @ .., last] = pieces else {
        return pieces.first().is_some_and(|only| only == text);
    };
    let Some(mut rest) = text.strip_prefix(first.as_str()) else { return false };
    for piece in middle {
        let Some(place) = rest.find(piece.as_str()) else { return false };
        rest = rest.get(place + piece.len()..).unwrap_or_default();
    }
    rest.ends_with(last.as_str())
}

fn takes_segments(pattern: &[Vec<String>], text: &str) -> bool {
    let mut wanted = pattern.iter();
    for segment in segments(text) {
        if !wanted.next().is_some_and(|pieces| takes(pieces, segment)) {
            return false;
        }
    }
    match (wanted.next(), wanted.next()) {
        (None, _) => true,
        // Nothing is a segment too, where a wildcard is all that is left.
        (Some(left), None) => left.len() == 2 && left.iter().all(String::is_empty),
        (Some(_), Some(_)) => false,
    }
}

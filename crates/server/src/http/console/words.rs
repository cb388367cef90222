//! What pages say, in the language of who reads: Fluent files, one per language, in the program.

use std::fmt::Display;
use std::sync::LazyLock;

use axum::http::{HeaderMap, header};
use fluent_bundle::concurrent::FluentBundle;
use fluent_bundle::{FluentArgs, FluentResource};
use unic_langid::LanguageIdentifier;

/// A language that the console speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Language {
    English,
    German,
}

const ENGLISH: &str = include_str!("../../../locales/en.ftl");
const GERMAN: &str = include_str!("../../../locales/de.ftl");

type Bundle = FluentBundle<FluentResource>;

static BUNDLES: LazyLock<[Bundle; 2]> =
    LazyLock::new(|| [bundle(Language::English, ENGLISH), bundle(Language::German, GERMAN)]);

/// What does not parse is left out; a test holds the files to having nothing of the sort.
fn bundle(language: Language, text: &str) -> Bundle {
    let resource = match FluentResource::try_new(text.to_owned()) {
        Ok(resource) => resource,
        Err((partial, _)) => partial,
    };
    let tag: LanguageIdentifier = language.tag().parse().unwrap_or_default();
    let mut bundle = Bundle::new_concurrent(vec![tag]);
    // Templates escape what they are given; marks of direction around names would be copied with
    // them.
    bundle.set_use_isolating(false);
    bundle.add_resource_overriding(resource);
    bundle
}

impl Language {
    /// The language tag, for the `lang` of a page.
    pub(super) const fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::German => "de",
        }
    }

    /// The language that a browser likes best of those there are (RFC 9110 section 12.5.4).
    pub(super) fn preferred(headers: &HeaderMap) -> Self {
        let line = headers.get(header::ACCEPT_LANGUAGE).and_then(|line| line.to_str().ok());
        let mut best = (0.0, Self::English);
        for choice in line.unwrap_or_default().split(',') {
            let (range, weight) = choice.split_once(';').unwrap_or((choice, "q=1"));
            let weight = weight.trim().strip_prefix("q=").unwrap_or("0");
            let weight: f32 = weight.trim().parse().unwrap_or(0.0);
            let primary = range.trim().split('-').next().unwrap_or_default();
            let language = match primary.to_ascii_lowercase().as_str() {
                "en" => Self::English,
                "de" => Self::German,
                _ => continue,
            };
            if weight > best.0 {
                best = (weight, language);
            }
        }
        best.1
    }

    /// A text.
    pub(super) fn say(self, id: &str) -> String {
        self.spoken(id, None)
    }

    /// A text about something.
    pub(super) fn about(self, id: &str, what: impl Display) -> String {
        let mut arguments = FluentArgs::new();
        arguments.set("what", what.to_string());
        self.spoken(id, Some(&arguments))
    }

    /// A text with a number.
    pub(super) fn count(self, id: &str, count: i64) -> String {
        let mut arguments = FluentArgs::new();
        arguments.set("count", count);
        self.spoken(id, Some(&arguments))
    }

    /// What is not said in a language is said in English, and what is said in none is its name.
    fn spoken(self, id: &str, arguments: Option<&FluentArgs<'_>>) -> String {
        let [english, german] = &*BUNDLES;
        let own = if self == Self::German { german } else { english };
        for bundle in [own, english] {
            let Some(pattern) = bundle.get_message(id).and_then(|message| message.value()) else {
                continue;
            };
            // What cannot be filled in stands in the text by its name; a test looks for that.
            let mut faults = Vec::new();
            return bundle.format_pattern(pattern, arguments, &mut faults).into_owned();
        }
        id.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn ids(text: &str) -> BTreeSet<String> {
        let is_id = |line: &&str| line.starts_with(|c: char| c.is_ascii_lowercase());
        let lines = text.lines().filter(is_id);
        lines.filter_map(|line| Some(line.split_once(" =")?.0.to_owned())).collect()
    }

    /// Every id that a template or a handler says.
    fn said() -> BTreeSet<String> {
        let here = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut said = BTreeSet::new();
        let mut places = vec![here.join("templates/console"), here.join("src/http/console")];
        while let Some(place) = places.pop() {
            for entry in std::fs::read_dir(place).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    places.push(path);
                    continue;
                }
                if path.ends_with("words.rs") {
                    continue;
                }
                let text = std::fs::read_to_string(path).unwrap();
                for way in [".say(\"", ".about(\"", ".count(\"", "say: \""] {
                    for (start, _) in text.match_indices(way) {
                        let rest = &text[start + way.len()..];
                        said.insert(rest.split('"').next().unwrap().to_owned());
                    }
                }
            }
        }
        said
    }

    #[test]
    fn both_languages_parse_and_say_the_same_things() {
        for text in [ENGLISH, GERMAN] {
            assert!(FluentResource::try_new(text.to_owned()).is_ok());
        }
        assert_eq!(ids(ENGLISH), ids(GERMAN));
    }

    #[test]
    fn whatever_a_page_says_has_words() {
        let known = ids(ENGLISH);
        let missing: Vec<String> = said().difference(&known).cloned().collect();
        assert!(missing.is_empty(), "{missing:?}");
    }

    #[test]
    fn the_language_is_the_one_that_the_browser_likes_best() {
        let preferred = |line: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_LANGUAGE, line.parse().unwrap());
            Language::preferred(&headers)
        };
        assert_eq!(preferred("de-AT,en;q=0.5"), Language::German);
        assert_eq!(preferred("fr, en-GB;q=0.9, de;q=0.8"), Language::English);
        assert_eq!(preferred("en;q=0.1, DE ; q=0.2"), Language::German);
        assert_eq!(preferred("fr"), Language::English);
        assert_eq!(Language::preferred(&HeaderMap::new()), Language::English);
    }

    #[test]
    fn numbers_are_said_in_the_language() {
        assert_eq!(Language::English.count("time-in-days", 1), "in 1 day");
        assert_eq!(Language::English.count("time-in-days", 2), "in 2 days");
        assert_eq!(Language::German.count("time-in-days", 2), "in 2 Tagen");
        assert_eq!(Language::German.say("no-such-text"), "no-such-text");
    }
}

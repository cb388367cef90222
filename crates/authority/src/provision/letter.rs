//! Letters: what a person is told by mail of something that happened to a token of theirs, or to
//! all of them at once.
//!
//! A [`Letter`] is a template with the values that its substitutions stand for, in the notation
//! that COmanage's message templates have: `(@CO_PERSON)`. Invariant: no value of a letter is a
//! secret of a token. What in it opens anything does so once and not for long: a link, which the
//! courier puts in, because only it knows under which address people reach the server, and a code.

mod texts;

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::brownout::{Brownout, Window};
use crate::clock::Timestamp;
use crate::event::Event;
use crate::names::ServiceLabel;
use crate::secret::ClearSecret;

/// Events that a person is told of unless a target says otherwise.
pub const LETTER_EVENTS: [&str; 21] = [
    "token.issued",
    "token.replaced",
    "token.rotated",
    "token.revoked",
    "token.locked",
    "token.unlocked",
    "token.ends-soon",
    "token.ended",
    "token.new-network",
    "token.many-networks",
    "token.retired-secret-used",
    "token.refresh-reused",
    "token.count-exceeded",
    "link.reopened",
    "link.opened",
    "user.locked",
    "user.unlocked",
    "service.locked",
    "service.unlocked",
    "token.leaked",
    "token.decoy-used",
];

/// Events that a person can be told of besides.
pub const LETTER_EVENTS_MORE: [&str; 3] = ["token.enabled", "token.disabled", "token.updated"];

/// The event of a code that is sent, whatever else a target tells of.
pub const CODE_SENT: &str = "code.sent";

/// What a template is for where a token was issued and its secret waits behind a link.
pub const LINK_ISSUED: &str = "issued-by-link";

/// What a template is for that goes to those who look after the service, by the event.
pub const KEEPERS_LETTERS: [(&str, &str); 2] =
    [("token.ends-soon", "keepers-ends-soon"), ("token.ended", "keepers-ended")];

/// What those who look after a service are written about an event, if they are.
pub fn keepers_letter(event: &str) -> Option<&'static str> {
    let of = |(known, letter): &(&str, &'static str)| (*known == event).then_some(*letter);
    KEEPERS_LETTERS.iter().find_map(of)
}

/// Substitutions that a template may hold, without those of identifiers.
pub const SUBSTITUTIONS: [&str; 21] = [
    "AUTHENTICATOR",
    "CO_PERSON",
    "CO_NAME",
    "SERVICE",
    "SERVICE_URL",
    "TOKEN_ID",
    "OWNER",
    "SOURCE",
    "ACTOR",
    "REASON",
    "TIME",
    "EXPIRES",
    "BROWNOUT",
    "LINK",
    "LINK_EXPIRY",
    "CODE",
    "CODE_EXPIRY",
    "SCOPES",
    "USES",
    "DOOR",
    "PLACE",
];

/// `(@IDENTIFIER:name)` is the person's attribute of that name.
const IDENTIFIER: &str = "IDENTIFIER:";

/// Characters of a subject at most: it stands on one line of somebody's list.
const SUBJECT_CHARS_MAX: usize = 200;
/// Bytes of a text at most, so that a realm's templates stay a small part of its target.
const TEXT_BYTES_MAX: usize = 16 << 10;
/// Templates of a target at most: each letter looks through all of them.
pub const TEMPLATES_MAX: usize = 100;
/// Characters of one value at most: names are free text, and a letter is no place for books.
const VALUE_CHARS_MAX: usize = 500;

/// A realm's own words for an event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LetterTemplate {
    /// The event, or `issued-by-link`.
    pub event: String,
    /// The service it is for; absent: every one that has none of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// The language it is in, `de`; absent: everybody's who has none of their own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// One line.
    pub subject: String,
    /// The letter as plain text.
    pub text: String,
    /// The same as HTML, for those who show that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub html: Option<String>,
}

impl LetterTemplate {
    /// Whether it can be used.
    ///
    /// # Errors
    ///
    /// The field, and what is wrong with it.
    pub fn check(&self) -> Result<(), (&'static str, String)> {
        let known = LETTER_EVENTS.iter().chain(&LETTER_EVENTS_MORE);
        let known = known.chain([&LINK_ISSUED, &CODE_SENT]);
        let known = known.chain(KEEPERS_LETTERS.iter().map(|(_, letter)| letter));
        if !known.clone().any(|event| *event == self.event) {
            let names: Vec<&str> = known.copied().collect();
            return Err(("event", format!("is one of {}", names.join(", "))));
        }
        if let Some(bad) = self.service.as_deref().and_then(|l| ServiceLabel::parse(l).err()) {
            return Err(("service", bad.to_string()));
        }
        if self.language.as_deref().is_some_and(|language| !is_language(language)) {
            return Err((
                "language",
                "is a language of RFC 5646 without region, such as de".into(),
            ));
        }
        if self.subject.trim().is_empty() || self.subject.chars().any(char::is_control) {
            return Err(("subject", "is one line that is not empty".into()));
        }
        if self.subject.chars().count() > SUBJECT_CHARS_MAX {
            return Err(("subject", format!("has at most {SUBJECT_CHARS_MAX} characters")));
        }
        if self.text.trim().is_empty() {
            return Err(("text", "must not be empty".into()));
        }
        let fields = [("subject", Some(&self.subject)), ("text", Some(&self.text))];
        for (field, text) in fields.into_iter().chain([("html", self.html.as_ref())]) {
            let Some(text) = text else { continue };
            if text.len() > TEXT_BYTES_MAX {
                return Err((field, format!("has at most {TEXT_BYTES_MAX} bytes")));
            }
            check_substitutions(text).map_err(|what| (field, what))?;
        }
        Ok(())
    }
}

fn is_language(text: &str) -> bool {
    (2..=3).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_lowercase())
}

/// Whether every substitution of a template is known: what is not would be sent to everybody as it
/// stands there.
fn check_substitutions(text: &str) -> Result<(), String> {
    for part in parts(text) {
        match part {
            Part::Text(_) => {}
            Part::Open => return Err("holds `(@` without `)` behind it".to_owned()),
            Part::Name(name) if is_known(name) => {}
            Part::Name(name) => {
                let known: Vec<String> =
                    SUBSTITUTIONS.iter().map(|name| format!("(@{name})")).collect();
                return Err(format!(
                    "knows no (@{name}); it knows {} and (@{IDENTIFIER}name)",
                    known.join(", ")
                ));
            }
        }
    }
    Ok(())
}

fn is_known(name: &str) -> bool {
    let attribute = |rest: &str| !rest.is_empty() && !rest.contains('(');
    SUBSTITUTIONS.contains(&name) || name.strip_prefix(IDENTIFIER).is_some_and(attribute)
}

/// A piece of a template.
enum Part<'a> {
    Text(&'a str),
    Name(&'a str),
    /// `(@` that nothing closes.
    Open,
}

fn parts(mut text: &str) -> Vec<Part<'_>> {
    let mut found = Vec::new();
    while let Some((before, rest)) = text.split_once("(@") {
        found.push(Part::Text(before));
        let Some((name, behind)) = rest.split_once(')') else {
            found.push(Part::Open);
            return found;
        };
        found.push(Part::Name(name));
        text = behind;
    }
    found.push(Part::Text(text));
    found
}

/// A letter to a person, not yet written.
#[derive(Clone, PartialEq, Eq)]
pub struct Letter {
    /// The event it tells of: each one makes one letter, however often it is sent.
    pub event: String,
    /// When that happened.
    pub at: Timestamp,
    /// The address it goes to.
    pub address: String,
    /// What to call the person.
    pub name: String,
    /// The language it is in.
    pub language: String,
    /// The one-time link that it delivers.
    pub link: Option<ClearSecret>,
    template: LetterTemplate,
    values: BTreeMap<String, String>,
}

impl fmt::Debug for Letter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Letter").field("event", &self.event).finish_non_exhaustive()
    }
}

/// A letter with everything in its place.
#[derive(Clone, PartialEq, Eq)]
pub struct Written {
    /// One line.
    pub subject: String,
    /// Plain text.
    pub text: String,
    /// HTML.
    pub html: Option<String>,
}

/// What a letter needs to know beside its event and its person.
pub(crate) struct Facts<'a> {
    /// What the person calls the token, if they call it anything.
    pub(crate) token_name: Option<&'a str>,
    /// The token's kind; `None` where it is about all of a person's tokens.
    pub(crate) kind: Option<crate::kind::Kind>,
    /// What to call the realm.
    pub(crate) realm: &'a str,
    /// What to call the services.
    pub(crate) services: Vec<String>,
    /// Labels of the services, to choose a template by.
    pub(crate) labels: Vec<String>,
    /// Whose token it is; empty where it is about all of a person's tokens.
    pub(crate) owner: String,
    /// Whether the letter goes to somebody who looks after the service.
    pub(crate) keeps: bool,
    /// Where the service is.
    pub(crate) service_url: Option<&'a str>,
    /// When the token ends.
    pub(crate) expires_at: Option<Timestamp>,
    /// The rule of its brown-outs, and the next one.
    pub(crate) brown_out: Option<(Brownout, Window)>,
    /// The link behind which its secret waits, and its end.
    pub(crate) link: Option<(ClearSecret, Timestamp)>,
    /// The code that is sent, and its end.
    pub(crate) code: Option<(ClearSecret, Timestamp)>,
    /// What the token may do.
    pub(crate) scopes: String,
    /// Where it was used lately; empty where nothing is known.
    pub(crate) uses: String,
}

/// What an event says by itself; a dash stands for what it does not say.
fn values_of(event: &Event) -> [(&'static str, String); 7] {
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    let (_, actor) = event.origin.actor.split_once(':').unwrap_or(("", &event.origin.actor));
    let place = event.detail.as_ref().and_then(|detail| detail.get("url")?.as_str());
    [
        ("TOKEN_ID", event.token.as_ref().map(ToString::to_string).unwrap_or_default()),
        ("SOURCE", or_dash(event.origin.source.map(|ip| ip.to_string()))),
        ("ACTOR", actor.to_owned()),
        ("REASON", or_dash(event.reason.as_deref().map(ToOwned::to_owned))),
        ("TIME", time(event.at)),
        ("DOOR", event.origin.door.name().to_owned()),
        ("PLACE", or_dash(place.map(ToOwned::to_owned))),
    ]
}

impl Letter {
    /// The letter that tells somebody of an event; `None` if they have no address.
    pub(crate) fn of(
        event: &Event,
        user: &crate::subject::User,
        templates: &[LetterTemplate],
        facts: Facts<'_>,
    ) -> Option<Self> {
        let address = user.emails.iter().find(|address| !address.trim().is_empty())?;
        let language = language_of(user);
        let kind = match keepers_letter(&event.kind).filter(|_| facts.keeps) {
            Some(letter) => letter,
            None if facts.link.is_some() => LINK_ISSUED,
            None => &*event.kind,
        };
        let mut template = chosen(templates, kind, &facts.labels, &language)
            .or_else(|| texts::of(kind, &language))?;
        if facts.brown_out.is_none() {
            // Nor is there the space before what there is none of.
            template.text = template.text.replace(" (@BROWNOUT)", "");
        }
        let language = template.language.clone().unwrap_or(language);
        let name = user.display_name.clone().unwrap_or_else(|| user.username.to_string());
        let authenticator = match (facts.token_name, facts.kind) {
            (Some(name), _) => name,
            (None, Some(kind)) => texts::kind(kind, &language),
            (None, None) => texts::every_token(&language),
        };
        let code = facts.code.as_ref().map(|(code, _)| code.reveal().to_owned());
        let code_ends = facts.code.as_ref().map(|(_, end)| time(*end)).unwrap_or_default();
        let link_ends = facts.link.as_ref().map(|(_, end)| time(*end)).unwrap_or_default();
        let services = if facts.services.is_empty() {
            facts.realm.to_owned()
        } else {
            facts.services.join(", ")
        };
        let never = || texts::never(&language).to_owned();
        let brown_out = facts.brown_out.map(|(rule, next)| {
            texts::brown_out(&language, &time(next.from), rule.every_hours, rule.seconds)
        });
        let mut values: BTreeMap<String, String> = [
            ("AUTHENTICATOR", authenticator.to_owned()),
            ("CO_PERSON", name.clone()),
            ("CO_NAME", facts.realm.to_owned()),
            ("SERVICE", services),
            ("SERVICE_URL", facts.service_url.unwrap_or_default().to_owned()),
            ("OWNER", facts.owner),
            ("EXPIRES", facts.expires_at.map_or_else(never, time)),
            ("BROWNOUT", brown_out.unwrap_or_default()),
            ("LINK_EXPIRY", link_ends),
            ("CODE", code.unwrap_or_default()),
            ("CODE_EXPIRY", code_ends),
            ("SCOPES", if facts.scopes.is_empty() { "-".to_owned() } else { facts.scopes }),
            ("USES", if facts.uses.is_empty() { "-".to_owned() } else { facts.uses }),
        ]
        .into_iter()
        .chain(values_of(event))
        .map(|(name, value)| (name.to_owned(), line(&value)))
        .collect();
        for (attribute, value) in &user.attributes {
            let value = match value {
                serde_json::Value::String(text) => line(text),
                other => line(&other.to_string()),
            };
            values.insert(format!("{IDENTIFIER}{attribute}"), value);
        }
        Some(Self {
            event: event.id.clone(),
            at: event.at,
            address: address.trim().to_owned(),
            name: line(&name),
            language,
            link: facts.link.map(|(secret, _)| secret),
            template,
            values,
        })
    }

    /// Writes it; `link` is the address of its one-time link.
    pub fn written(&self, link: Option<&str>) -> Written {
        let plain = |template: &str| self.filled(template, link, str::to_owned);
        Written {
            subject: line(&plain(&self.template.subject)),
            text: plain(&self.template.text),
            html: self.template.html.as_deref().map(|html| self.filled(html, link, escaped)),
        }
    }

    fn filled(&self, template: &str, link: Option<&str>, write: fn(&str) -> String) -> String {
        let mut text = String::new();
        for part in parts(template) {
            match part {
                Part::Text(piece) => text.push_str(piece),
                Part::Name("LINK") => text.push_str(&write(link.unwrap_or_default())),
                Part::Name(name) => {
                    text.push_str(&write(self.values.get(name).map_or("", String::as_str)));
                }
                Part::Open => {}
            }
        }
        text
    }
}

/// The realm's own template for this event: of the service before that of all, in the person's
/// language before that without one.
fn chosen(
    templates: &[LetterTemplate],
    event: &str,
    labels: &[String],
    language: &str,
) -> Option<LetterTemplate> {
    let fits = |template: &&LetterTemplate| {
        template.event == event
            && template.service.as_ref().is_none_or(|label| labels.contains(label))
            && template.language.as_deref().is_none_or(|own| own == language)
    };
    let closeness =
        |template: &&LetterTemplate| (template.service.is_some(), template.language.is_some());
    templates.iter().filter(fits).max_by_key(closeness).cloned()
}

/// The language of a person: `preferredLanguage` (RFC 2798 section 2.7) or `locale` (OpenID Connect
/// Core section 5.1) among their attributes.
fn language_of(user: &crate::subject::User) -> String {
    let named = ["preferredLanguage", "preferred_language", "locale"];
    let found = named.iter().find_map(|name| user.attributes.get(*name)?.as_str());
    let first = found.unwrap_or("en").split(['-', '_', ',', ';', ' ']).next().unwrap_or("en");
    let language = first.to_ascii_lowercase();
    if is_language(&language) { language } else { "en".to_owned() }
}

/// A value is one line, so that no name can begin a header or a sentence of its own.
fn line(text: &str) -> String {
    let spaced = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    spaced.filter(|c| !is_invisible(*c)).take(VALUE_CHARS_MAX).collect::<String>().trim().to_owned()
}

/// Characters that turn a line around or hide: Unicode's bidirectional controls and line ends.
const fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// An instant to the minute, as people read it.
fn time(at: Timestamp) -> String {
    let full = at.to_string();
    match (full.get(..10), full.get(11..16)) {
        (Some(date), Some(minute)) => format!("{date} {minute} UTC"),
        _ => full,
    }
}

#[cfg(test)]
mod tests;

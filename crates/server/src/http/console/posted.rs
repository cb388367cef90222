//! Forms that came from a page of ours. There is no other way to a handler that acts.

use axum::extract::{FromRequest, FromRequestParts as _, Request};
use axum::http::{HeaderMap, header};
use axum::response::Response;
use counterfoil_authority::refusal::Refusal;
use counterfoil_authority::secret::ClearSecret;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::visit::{Person, Visit, is_form_of};
use super::{page, step_up, try_again};
use crate::http::body::AnyBytes;
use crate::http::state::AppState;
use crate::http::wire::{Line, Title, Word};

/// The field that holds the mark of a session's forms.
const MARK: &str = "mark";

/// How the names of fields begin that belong to the page which asks again who somebody is.
pub(super) const PROOF: &str = "proof_";

/// The fields of a form. Passwords are among them, so they are wiped.
pub(super) struct Fields {
    asked: Vec<(String, Zeroizing<String>)>,
    /// What somebody was asked for in between: none of what they had asked for.
    proof: Vec<(String, Zeroizing<String>)>,
    digest: [u8; 32],
}

impl Fields {
    pub(super) fn read(body: &[u8]) -> Self {
        let pairs = form_urlencoded::parse(body);
        let pairs = pairs.map(|(name, value)| (name.into_owned(), value.into_owned().into()));
        let (proof, asked): (Vec<_>, Vec<(String, Zeroizing<String>)>) =
            pairs.partition(|(name, _)| name.starts_with(PROOF));
        let mut digest = Sha256::new();
        for (name, value) in &asked {
            for text in [name, value.as_str()] {
                digest.update(u64::try_from(text.len()).unwrap_or(u64::MAX).to_be_bytes());
                digest.update(text);
            }
        }
        Self { asked, proof, digest: digest.finalize().into() }
    }

    /// Every field, but for those of the proof.
    pub(super) fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.asked.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// A field of the proof by its whole name, empty if there is none.
    pub(super) fn proof(&self, name: &str) -> &str {
        self.proof.iter().find(|(own, _)| own == name).map_or("", |(_, value)| value.as_str())
    }

    /// A field, empty if there is none.
    pub(super) fn get(&self, name: &str) -> &str {
        self.asked.iter().find(|(own, _)| own == name).map_or("", |(_, value)| value.as_str())
    }

    /// The version that the form was made of; `None` unless it is a number.
    pub(super) fn version(&self) -> Option<i64> {
        self.get("version").parse().ok()
    }

    /// A field without the blanks around it; `None` if nothing is left.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        let text = self.get(name).trim();
        (!text.is_empty()).then(|| text.to_owned())
    }

    /// A field as the API takes it; `None` if nothing is left.
    pub(super) fn word<T: Word>(&self, name: &'static str) -> Result<Option<T>, Refusal> {
        word(name, self.get(name))
    }

    /// One line, as the API takes it.
    pub(super) fn line(&self, name: &'static str) -> Result<Option<String>, Refusal> {
        Ok(self.word::<Line>(name)?.map(|line| line.0))
    }

    /// One line that has to be there.
    pub(super) fn title(&self, name: &'static str) -> Result<String, Refusal> {
        title(name, self.get(name))
    }

    /// Every value of a field that may be there more than once.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let named = self.asked.iter().filter(move |(own, _)| own == name);
        named.map(|(_, value)| value.as_str())
    }

    /// SHA-256 of the form: a repetition of it is the same one.
    pub(super) const fn digest(&self) -> [u8; 32] {
        self.digest
    }
}

/// A word as the API takes it, less the blanks around it and the line ends that browsers send;
/// `None` if nothing is left.
pub(super) fn word<T: Word>(field: &'static str, text: &str) -> Result<Option<T>, Refusal> {
    let text = text.trim().replace("\r\n", "\n");
    let read = || T::read(&text).map_err(|why| Refusal::invalid(field, why));
    (!text.is_empty()).then(read).transpose()
}

/// One line that has to be there.
pub(super) fn title(field: &'static str, text: &str) -> Result<String, Refusal> {
    let title = word::<Title>(field, text)?;
    title.map(|title| title.0).ok_or_else(|| Refusal::invalid(field, "must not be empty"))
}

/// A form that somebody sent who is signed in: from a page of ours, of this very session.
pub(super) struct Posted {
    pub(super) person: Person,
    pub(super) fields: Fields,
}

impl FromRequest<AppState> for Posted {
    type Rejection = Response;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, Response> {
        let (mut parts, body) = request.into_parts();
        let mut person = match Person::from_request_parts(&mut parts, state).await {
            Ok(person) => person,
            Err(answer) => return Err(try_again::unread(parts, body, state, answer).await),
        };
        let frame = person.frame();
        let foreign = || page::foreign_form(&frame);
        if !person.visit.is_from_us(&parts.headers, false) || !is_form(&parts.headers) {
            return Err(foreign());
        }
        let request = Request::from_parts(parts, body);
        let fields = read(request, state).await.ok_or_else(foreign)?;
        let session = person.visit.cookie.as_ref().map_or("", ClearSecret::reveal);
        if !is_form_of(session, fields.get(MARK)) {
            return Err(foreign());
        }
        person.sent = try_again::Sent::of(&fields);
        Ok(Self { person, fields })
    }
}

/// The same for what makes, replaces or ends something, or changes a policy: by somebody who has
/// proved lately who they are. Others are asked first, and go on with what they had asked for.
pub(super) struct PostedLately {
    pub(super) person: Person,
    pub(super) fields: Fields,
}

impl FromRequest<AppState> for PostedLately {
    type Rejection = Response;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, Response> {
        let Posted { person, fields } = Posted::from_request(request, state).await?;
        match step_up::require(&person, &fields).await {
            Ok(()) => Ok(Self { person, fields }),
            Err(answer) => Err(try_again::instead(&person, answer)),
        }
    }
}

/// The same for what changes the passkeys of who sent it.
pub(super) struct PostedForPasskeys {
    pub(super) person: Person,
    pub(super) fields: Fields,
}

impl FromRequest<AppState> for PostedForPasskeys {
    type Rejection = Response;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, Response> {
        let Posted { person, fields } = Posted::from_request(request, state).await?;
        step_up::require_for_passkeys(&person, &fields).await?;
        Ok(Self { person, fields })
    }
}

/// A form that anybody may send, from a page of ours: there is no session yet to bind it to, so
/// the browser has to say where it comes from.
pub(super) struct PostedByAnybody {
    pub(super) visit: Visit,
    pub(super) fields: Fields,
}

impl FromRequest<AppState> for PostedByAnybody {
    type Rejection = Response;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, Response> {
        let (mut parts, body) = request.into_parts();
        let visit = Visit::from_request_parts(&mut parts, state).await?;
        let frame = visit.frame();
        if !visit.is_from_us(&parts.headers, true) || !is_form(&parts.headers) {
            return Err(page::foreign_form(&frame));
        }
        let request = Request::from_parts(parts, body);
        let fields = read(request, state).await.ok_or_else(|| page::foreign_form(&frame))?;
        Ok(Self { visit, fields })
    }
}

fn is_form(headers: &HeaderMap) -> bool {
    let mut lines = headers.get_all(header::CONTENT_TYPE).iter();
    let (line, more) = (lines.next().and_then(|kind| kind.to_str().ok()), lines.next());
    let kind = line.and_then(|kind| kind.split(';').next()).unwrap_or_default().trim();
    more.is_none() && kind.eq_ignore_ascii_case("application/x-www-form-urlencoded")
}

/// The fields of a request that is a form, wherever it comes from.
pub(super) async fn read(request: Request, state: &AppState) -> Option<Fields> {
    if !is_form(request.headers()) {
        return None;
    }
    let AnyBytes(body) = AnyBytes::from_request(request, state).await.ok()?;
    Some(Fields::read(&body))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::wire::{Paragraphs, SHORT_CHARS_MAX, WebAddress};

    #[test]
    fn fields_are_read_as_a_browser_sends_them() {
        let fields = Fields::read(b"name=+a%26b+&scope=x&scope=y&empty=");
        assert_eq!(fields.get("name"), " a&b ");
        assert_eq!(fields.text("name").as_deref(), Some("a&b"));
        assert_eq!(fields.all("scope").collect::<Vec<_>>(), ["x", "y"]);
        assert_eq!((fields.text("empty"), fields.get("none")), (None, ""));
    }

    #[test]
    fn words_of_forms_are_those_of_the_api() {
        let long = format!("line={}", "x".repeat(SHORT_CHARS_MAX + 1));
        for refused in ["line=a%00b", "line=a%0D%0Ab", "line=a%E2%80%AEb", &long] {
            let fields = Fields::read(refused.as_bytes());
            assert!(matches!(fields.line("line"), Err(Refusal::Invalid { .. })), "{refused}");
            assert!(matches!(fields.title("line"), Err(Refusal::Invalid { .. })), "{refused}");
        }
        let fields = Fields::read(b"line=+a+b+&blank=++&lines=a%0D%0Ab");
        assert_eq!(fields.line("line").unwrap().as_deref(), Some("a b"));
        assert_eq!(fields.line("blank").unwrap(), None);
        assert!(matches!(fields.title("blank"), Err(Refusal::Invalid { .. })));
        let paragraphs = fields.word::<Paragraphs>("lines").unwrap();
        assert_eq!(paragraphs.unwrap().0, "a\nb");
        let script = Fields::read(b"url=javascript:alert(1)");
        assert!(matches!(script.word::<WebAddress>("url"), Err(Refusal::Invalid { .. })));
    }

    /// A form that was interrupted to ask who somebody is is the same form afterwards.
    #[test]
    fn a_proof_is_none_of_what_was_asked_for() {
        let (plain, asked) = (Fields::read(b"a=1&b=2"), Fields::read(b"a=1&proof_password=x&b=2"));
        assert_eq!(asked.digest(), plain.digest());
        assert_eq!(asked.pairs().collect::<Vec<_>>(), [("a", "1"), ("b", "2")]);
        assert_eq!((asked.proof("proof_password"), asked.get("proof_password")), ("x", ""));
        for other in ["a=1&b=3", "b=2&a=1", "a=1b&=2", "a=1"] {
            assert_ne!(Fields::read(other.as_bytes()).digest(), plain.digest(), "{other}");
        }
    }
}

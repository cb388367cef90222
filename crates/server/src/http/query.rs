//! Path and query: ids that have no shape do not exist, parameters that nobody knows are refused.

use std::convert::Infallible;

use axum::extract::{FromRequestParts, Path, Query};
use axum::http::request::Parts;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use counterfoil_authority::clock::{DayEdge, Timestamp};
use counterfoil_authority::names::{
    ClientName, GroupName, RealmName, RepositoryName, ServiceLabel, TargetName, Username,
};
use counterfoil_authority::refusal::{Refusal, Thing};
use counterfoil_authority::secret::TokenId;
use counterfoil_authority::store::PageRequest;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::body::describe;
use super::problem::{Problem, Sort};
use super::state::AppState;
use super::wire::{When, Word};
use utoipa::openapi::schema::ObjectBuilder;

/// Records on a page unless `limit` says otherwise.
pub const PAGE_LIMIT_DEFAULT: u32 = 50;
/// Records on a page at most: what fits into one answer without holding up others.
pub const PAGE_LIMIT_MAX: u32 = 1000;
/// Bytes of a cursor's checksum.
const CURSOR_CHECK_LEN: usize = 4;
/// Characters of a parameter at most.
const PARAMETER_CHARS_MAX: usize = 1024;

/// What a path names, in the order of its segments.
pub struct At<T>(pub T);

/// One variable segment of a path.
pub trait Segment: Sized {
    /// Recognises it; a text of the wrong shape names something that does not exist.
    fn read(text: &str) -> Result<Self, Problem>;
}

/// The one variable segment of a path, as text. One that is not UTF-8 reads as U+FFFD, which
/// nothing is called: whoever looks it up says in its own words that it does not exist.
pub struct Named(pub String);

impl FromRequestParts<AppState> for Named {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Infallible> {
        let path = Path::<String>::from_request_parts(parts, state).await;
        Ok(path.map_or_else(|_| Self(char::REPLACEMENT_CHARACTER.into()), |Path(text)| Self(text)))
    }
}

/// Declares segments: type, how it is recognised, what it names.
macro_rules! segments {
    ($($type:ty, $parse:expr, $thing:expr;)*) => {$(
        impl Segment for $type {
            fn read(text: &str) -> Result<Self, Problem> {
                let parse: fn(&str) -> Option<Self> = $parse;
                parse(text).ok_or_else(|| Refusal::NotFound($thing).into())
            }
        }
    )*};
}

segments! {
    RealmName, |text| Self::parse(text).ok(), Thing::Realm;
    Username, |text| Self::parse(text).ok(), Thing::User;
    GroupName, |text| Self::parse(text).ok(), Thing::Group;
    ServiceLabel, |text| Self::parse(text).ok(), Thing::Service;
    ClientName, |text| Self::parse(text).ok(), Thing::Client;
    TargetName, |text| Self::parse(text).ok(), Thing::Target;
    RepositoryName, |text| Self::parse(text).ok(), Thing::Repository;
    TokenId, |text| Self::parse(text), Thing::Token;
    UnitId, |text| opaque(text).map(Self), Thing::Unit;
    GrantId, |text| opaque(text).map(Self), Thing::Grant;
    LetterId, |text| opaque(text).map(Self), Thing::Letter;
    JobId, |text| opaque(text).map(Self), Thing::Job;
}

/// The id of a unit.
pub struct UnitId(pub String);

/// The id of a grant.
pub struct GrantId(pub String);

/// The id of an activation letter.
pub struct LetterId(pub String);

/// The id of a job.
pub struct JobId(pub String);

/// An id of ours: nothing else is worth a look-up.
fn opaque(text: &str) -> Option<String> {
    let shaped = text.len() <= 64 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    shaped.then(|| text.to_owned())
}

/// Says that a path names nothing, because it is not UTF-8.
pub(super) fn no_such_path() -> Problem {
    Problem::new(Sort::NotFound, "there is nothing at this path")
}

impl<A: Segment> FromRequestParts<AppState> for At<A> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Problem> {
        let path = Path::<String>::from_request_parts(parts, state).await;
        let Path(a) = path.map_err(|_| no_such_path())?;
        A::read(&a).map(Self)
    }
}

impl<A: Segment, B: Segment> FromRequestParts<AppState> for At<(A, B)> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Problem> {
        let path = Path::<(String, String)>::from_request_parts(parts, state).await;
        let Path((a, b)) = path.map_err(|_| no_such_path())?;
        Ok(Self((A::read(&a)?, B::read(&b)?)))
    }
}

impl<A: Segment, B: Segment, C: Segment> FromRequestParts<AppState> for At<(A, B, C)> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Problem> {
        let path = Path::<(String, String, String)>::from_request_parts(parts, state).await;
        let Path((a, b, c)) = path.map_err(|_| no_such_path())?;
        Ok(Self((A::read(&a)?, B::read(&b)?, C::read(&c)?)))
    }
}

/// The query, read like a body: every parameter known, none twice, none with control characters.
///
/// Parameters `label.NAME` are gathered into one field `label`.
pub struct StrictQuery<T>(pub T);

impl<T: DeserializeOwned> FromRequestParts<AppState> for StrictQuery<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &AppState) -> Result<Self, Problem> {
        let pairs = Query::<Vec<(String, String)>>::try_from_uri(&parts.uri);
        let Query(pairs) = pairs.map_err(|_| Problem::invalid("", "the query cannot be read"))?;
        read_pairs(pairs).map(Self)
    }
}

fn read_pairs<T: DeserializeOwned>(pairs: Vec<(String, String)>) -> Result<T, Problem> {
    let mut fields = Map::new();
    let mut labels = Map::new();
    for (name, value) in pairs {
        let shown: String = name.chars().filter(|c| !c.is_control()).take(64).collect();
        if value.chars().any(char::is_control) || name.chars().any(char::is_control) {
            return Err(Problem::invalid(shown, "must not hold control characters"));
        }
        if value.len() > PARAMETER_CHARS_MAX {
            return Err(Problem::invalid(shown, "is too long"));
        }
        let earlier = match name.strip_prefix("label.") {
            Some(label) => labels.insert(label.to_owned(), Value::String(value)),
            None => fields.insert(name, Value::String(value)),
        };
        if earlier.is_some() {
            return Err(Problem::invalid(shown, "is given twice"));
        }
    }
    if fields.contains_key("label") {
        return Err(Problem::invalid("label", "write label.NAME=VALUE"));
    }
    if !labels.is_empty() {
        fields.insert("label".to_owned(), Value::Object(labels));
    }
    serde_path_to_error::deserialize(Value::Object(fields))
        .map_err(|error| describe(&error.path().to_string(), error.inner()))
}

/// The `limit` of a page.
#[derive(Debug, Clone, Copy)]
pub struct PageLimit(u32);

impl Word for PageLimit {
    const NAME: &'static str = "PageLimit";

    fn read(text: &str) -> Result<Self, String> {
        let limit = text.parse().ok().filter(|limit| (1..=PAGE_LIMIT_MAX).contains(limit));
        limit.map(Self).ok_or_else(|| format!("expected a number from 1 to {PAGE_LIMIT_MAX}"))
    }

    fn narrow(object: ObjectBuilder) -> ObjectBuilder {
        object
    }
}

impl PageLimit {
    /// How many.
    pub const fn count(self) -> u32 {
        self.0
    }
}

/// A place or a size of a log.
impl Word for u64 {
    const NAME: &'static str = "Place";

    fn read(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| "expected a number from 0".to_owned())
    }

    fn narrow(object: ObjectBuilder) -> ObjectBuilder {
        object
    }
}

/// Which page to read.
pub fn page(
    limit: Option<&super::wire::Parsed<PageLimit>>,
    cursor: Option<String>,
) -> Result<PageRequest, Problem> {
    let limit = limit.map_or(PAGE_LIMIT_DEFAULT, |limit| limit.0.0);
    let not_ours = || Problem::invalid("cursor", "is no next_cursor of ours");
    let after = cursor.map(|cursor| open_cursor(&cursor).ok_or_else(not_ours)).transpose()?;
    Ok(PageRequest { limit, after })
}

/// Wraps the store's place in a list, so that nobody takes it for an id and a mistyped one is
/// refused instead of beginning somewhere else.
pub fn wrap_cursor(place: &str) -> String {
    let mut bytes = place.as_bytes().to_vec();
    bytes.extend_from_slice(&cursor_check(place));
    URL_SAFE_NO_PAD.encode(bytes)
}

fn open_cursor(cursor: &str) -> Option<String> {
    let bytes = URL_SAFE_NO_PAD.decode(cursor).ok()?;
    let (place, check) = bytes.split_last_chunk::<CURSOR_CHECK_LEN>()?;
    let place = std::str::from_utf8(place).ok()?;
    (cursor_check(place) == *check).then(|| place.to_owned())
}

/// Tells typing errors, not attackers: a cursor opens nothing.
fn cursor_check(place: &str) -> [u8; CURSOR_CHECK_LEN] {
    let digest = Sha256::digest(place);
    digest.first_chunk().copied().unwrap_or_default()
}

/// The query of a list without filters.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Paging {
    /// Records on the page, 1 to 1000; 50 unless given.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1000)]
    pub limit: Option<super::wire::Parsed<PageLimit>>,
    /// `next_cursor` of the page before.
    pub cursor: Option<String>,
}

impl Paging {
    /// The page it asks for.
    pub fn page(self) -> Result<PageRequest, Problem> {
        page(self.limit.as_ref(), self.cursor)
    }
}

/// The query of an edit that can be tried first.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Trying {
    /// `true`: changes nothing, and answers with a page of the tokens that would be refused.
    #[param(value_type = Option<bool>)]
    dry_run: Option<super::wire::Parsed<Flag>>,
    /// Tokens on the page of a dry run, 1 to 1000; 50 unless given.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1000)]
    limit: Option<super::wire::Parsed<PageLimit>>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

impl Trying {
    /// The page of a dry run; `None`: the edit is meant.
    pub fn page(self) -> Result<Option<PageRequest>, Problem> {
        if self.dry_run.is_some_and(|flag| flag.0.0) {
            return page(self.limit.as_ref(), self.cursor).map(Some);
        }
        match (self.limit, self.cursor) {
            (None, None) => Ok(None),
            _ => Err(Problem::invalid("limit", "belongs to a dry run")),
        }
    }
}

/// `true` or `false`.
#[derive(Debug, Clone, Copy)]
pub struct Flag(bool);

impl Word for Flag {
    const NAME: &'static str = "Flag";

    fn read(text: &str) -> Result<Self, String> {
        text.parse().map(Self).map_err(|_| "expected true or false".to_owned())
    }

    fn narrow(object: ObjectBuilder) -> ObjectBuilder {
        object
    }
}

/// Reads a time; a date is a day in the zone of `realm`.
pub async fn instant(
    state: &AppState,
    realm: &RealmName,
    field: &str,
    when: &When,
    edge: DayEdge,
) -> Result<Timestamp, Problem> {
    // Only a date needs the zone, and a date has ten characters.
    let zone = if when.0.len() > 10 {
        "UTC".to_owned()
    } else {
        match state.authority.realm_facts(realm).await {
            Ok(cell) => cell.realm.zone.clone(),
            // Whether the realm exists is answered by the act, after its look at the caller.
            Err(Refusal::NotFound(_)) => "UTC".to_owned(),
            Err(refusal) => return Err(refusal.into()),
        }
    };
    Timestamp::parse(&when.0, &zone, edge).map_err(|why| Problem::invalid(field, why))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(pairs: &[(&str, &str)]) -> String {
        let owned = pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        read_pairs::<Paging>(owned).unwrap_err().detail().to_owned()
    }

    #[test]
    fn a_cursor_is_ours_or_none() {
        let cursor = wrap_cursor("2026 a/b");
        assert_eq!(page(None, Some(cursor.clone())).unwrap().after.as_deref(), Some("2026 a/b"));
        assert_eq!(page(None, None).unwrap().after, None);
        for foreign in ["", "nonsense", "2026 a/b", &cursor[1..]] {
            assert!(page(None, Some(foreign.to_owned())).is_err(), "{foreign}");
        }
    }

    #[test]
    fn parameters_are_read_strictly() {
        assert_eq!(said(&[("limit", "0")]), "limit: expected a number from 1 to 1000");
        assert_eq!(said(&[("colour", "red")]), "colour: is not known here");
        assert_eq!(said(&[("limit", "5"), ("limit", "6")]), "limit: is given twice");
        assert_eq!(said(&[("cursor", "a\u{0}")]), "cursor: must not hold control characters");
    }
}

//! Resource names: how they are brought to one form, and which patterns they match.
//!
//! The rules are those of AM's URL comparator as it was executed for reference/forgerock.md
//! section 3: case does not count, `*` takes any characters, `-*-` none beyond a slash, and of
//! names with a port the host, the port, the path and the query are compared one by one, so that
//! a wildcard in the host cannot swallow a path.

mod glob;

use std::borrow::Cow;

use self::glob::Glob;
use crate::names;

/// Bytes of a resource at most: no URL that a program sends is longer.
pub const RESOURCE_BYTES_MAX: usize = 4096;

/// Takes any characters.
const WILDCARD: char = '*';
/// Takes any characters but the slash.
const ONE_LEVEL: &str = "-*-";
/// What a trailing wildcard for path and query is written as.
const ANY_QUERY: &str = "*?*";
/// In a policy's resource: the subject's own name.
const SELF: &str = "$SELF";

/// Why a text is no resource, in AM's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadResource {
    /// `*` and `-*-` in one name.
    #[error("Same rule cannot have both types of wildcards.")]
    MixedWildcards,
    /// The port of an http or https URL is no number.
    #[error("Invalid port {0}")]
    Port(String),
}

/// How a request matches a pattern. Whatever lies above or below it does not match at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Match {
    /// The same text.
    Exact,
    /// By its wildcards.
    Wildcard,
}

/// Brings a resource or pattern to the form in which it is compared and stored.
///
/// # Errors
///
/// [`BadResource`]. Case is kept: only comparing folds it.
pub fn canonicalise(text: &str) -> Result<String, BadResource> {
    // The wildcard of one level holds the other one's character, and nearly no request has it.
    let has_wildcard = text.contains(WILDCARD);
    if has_wildcard && text.contains(ONE_LEVEL) && text.replace(ONE_LEVEL, "").contains(WILDCARD) {
        return Err(BadResource::MixedWildcards);
    }
    let Some((scheme, rest)) = at_scheme(text) else {
        let (path, query) = without_query(text);
        return Ok(normal_path(path) + query);
    };
    if let Some(default_port) = port_of_scheme(scheme) {
        return web(scheme, default_port, rest.trim_start_matches('/'));
    }
    let (authority, below) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    if below.is_empty() {
        return Ok(text.to_owned());
    }
    let (path, query) = without_query(below);
    Ok([scheme, "://", authority, &normal_path(path), query].concat())
}

/// The port that `http`, `https`, or either with wildcards behind it, stands for.
fn port_of_scheme(scheme: &str) -> Option<&'static str> {
    let plain = scheme.trim_end_matches(WILDCARD);
    let has_wildcard = plain.len() < scheme.len();
    let is = |name: &str| plain.eq_ignore_ascii_case(name);
    match (is("http"), is("https")) {
        (false, false) => None,
        _ if has_wildcard => Some("*"),
        (true, _) => Some("80"),
        (_, true) => Some("443"),
    }
}

/// What stands before the first `://`, and what behind it.
fn at_scheme(text: &str) -> Option<(&str, &str)> {
    text.match_indices(':').find_map(|(colon, _)| {
        let (scheme, rest) = text.split_at(colon);
        rest.strip_prefix("://").map(|rest| (scheme, rest))
    })
}

/// A URL of http or https: with its port, its path resolved and its query in order.
fn web(scheme: &str, default_port: &str, rest: &str) -> Result<String, BadResource> {
    let (authority, below) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let (host, port) = host_and_port(authority);
    let port = port.filter(|port| !port.is_empty()).unwrap_or(default_port);
    if !port.bytes().all(|byte| byte.is_ascii_digit() || byte == b'*') && port != ONE_LEVEL {
        // What stands there may be a password; only what may be a mistyped number is repeated.
        let short = port.len() <= 8 && port.bytes().all(|byte| byte.is_ascii_alphanumeric());
        return Err(BadResource::Port(if short { port.to_owned() } else { String::new() }));
    }
    let (path, query) = without_query(below);
    let path = normal_path(path);
    Ok(format!("{scheme}://{host}:{port}{path}{}", sorted_query(query)))
}

/// Host and port; an IPv6 address in brackets has colons of its own.
fn host_and_port(authority: &str) -> (&str, Option<&str>) {
    let from = if authority.starts_with('[') { authority.find(']').unwrap_or(0) } else { 0 };
    match authority.get(from..).and_then(|tail| tail.find(':')) {
        Some(colon) => {
            let (host, port) = authority.split_at(from + colon);
            (host, port.strip_prefix(':'))
        }
        None => (authority, None),
    }
}

/// The text before the first question mark, and the rest with it.
fn without_query(text: &str) -> (&str, &str) {
    text.split_at(text.find('?').unwrap_or(text.len()))
}

/// Without empty segments, `.` and `..`; a slash at the end stays.
fn normal_path(path: &str) -> String {
    let mut segments: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                segments.pop();
            }
            other => segments.push(other),
        }
    }
    let is_rooted = path.starts_with('/');
    let ends_open = path.ends_with('/') || path.ends_with("/.") || path.ends_with("/..");
    let mut normal = String::with_capacity(path.len());
    if is_rooted {
        normal.push('/');
    }
    normal.push_str(&segments.join("/"));
    if ends_open && !segments.is_empty() {
        normal.push('/');
    }
    normal
}

/// A query with its parts by name, then value; a part that is a wildcard comes last.
fn sorted_query(query: &str) -> String {
    let Some(parts) = query.strip_prefix('?') else { return query.to_owned() };
    let mut parts: Vec<&str> = parts.split('&').collect();
    parts.sort_by_key(|part| {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        (*part == "*", name, value)
    });
    format!("?{}", parts.join("&"))
}

/// The form in which names are compared: without case, and of a personal access token with the one
/// form of its user's name.
fn folded(canonical: String) -> String {
    let mut canonical = with_one_user_name(canonical);
    let mut folded = if canonical.is_ascii() {
        canonical.make_ascii_lowercase();
        canonical
    } else {
        canonical.to_lowercase()
    };
    if folded.ends_with(ANY_QUERY) {
        folded.truncate(folded.len() - ANY_QUERY.len() + 1);
    }
    folded
}

/// The same resource with the user name of `pat://user:token` as the token is compared with it:
/// decoded, in the canonical form of user names. What a wildcard leaves of a name is brought to
/// it piece by piece.
///
/// Every spelling that the token check takes for a name is one here, so no policy about that name
/// is passed by writing it differently.
fn with_one_user_name(resource: String) -> String {
    let Some(rest) = resource.get(PAT_SCHEME.len()..).filter(|_| is_pat(&resource)) else {
        return resource;
    };
    let (user, below) = rest.split_at(rest.find([':', '/']).unwrap_or(rest.len()));
    // ASCII without an escape has no other spelling but that of its case, which is folded anyway.
    if user.is_ascii() && !user.contains('%') {
        return resource;
    }
    let wildcard = if user.contains(ONE_LEVEL) { ONE_LEVEL } else { "*" };
    let pieces: Vec<String> = user.split(wildcard).map(name_folded).collect();
    let scheme = resource.get(..PAT_SCHEME.len()).unwrap_or_default();
    [scheme, &pieces.join(wildcard), below].concat()
}

/// A piece of a user name, decoded and folded. One that no user's name has stays as it is, so that
/// it means nothing more than it did.
fn name_folded(piece: &str) -> String {
    let name = percent_decoded(piece).map(|name| names::folded(&name));
    let is_plain = |name: &String| !name.contains([WILDCARD, ':', '/']);
    name.filter(is_plain).unwrap_or_else(|| piece.to_owned())
}

/// The pieces of a name that has a scheme.
struct Pieces<'a> {
    scheme: &'a str,
    /// Without the port.
    host: &'a str,
    port: Option<&'a str>,
    /// At least the root.
    path: &'a str,
    query: Option<&'a str>,
}

impl<'a> Pieces<'a> {
    fn of(text: &'a str) -> Option<Self> {
        let (scheme, rest) = at_scheme(text)?;
        // Only a URL of http has a query without a path; elsewhere a question mark before the
        // first slash belongs to whatever stands there.
        let is_web = port_of_scheme(scheme).is_some();
        let end = rest.bytes().position(|byte| byte == b'/' || (is_web && byte == b'?'));
        let (authority, below) = rest.split_at(end.unwrap_or(rest.len()));
        let (host, port) = host_and_port(authority);
        let (path, query) = without_query(below);
        let path = if path.is_empty() { "/" } else { path };
        Some(Self { scheme, host, port, path, query: query.strip_prefix('?') })
    }
}

/// A requested resource, ready to be compared.
#[derive(Debug, Clone)]
pub struct Requested {
    folded: String,
}

impl Requested {
    /// Reads a requested resource.
    ///
    /// # Errors
    ///
    /// [`BadResource`].
    pub fn read(text: &str) -> Result<Self, BadResource> {
        Ok(Self { folded: folded(canonicalise(text)?) })
    }

    /// What it is compared by; every pattern that matches it begins with one of its beginnings.
    pub fn folded(&self) -> &str {
        &self.folded
    }

    /// Whether the characters before `://` are those.
    pub fn has_scheme(&self, scheme: &str) -> bool {
        self.folded.strip_prefix(scheme).is_some_and(|rest| rest.starts_with("://"))
    }
}

/// How a pattern is compared.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Matcher {
    /// As one text.
    Whole(Glob),
    /// Piece by piece, because it names a port.
    Pieces { scheme: Glob, host: Glob, port: Glob, path: Glob, query: Query },
    /// Only once it is known who `$SELF` is.
    OfSelf,
}

/// What a pattern says of the query.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Query {
    /// There is none.
    Absent,
    /// Whatever it is, and whether or not there is one.
    Any,
    /// There is one, and it matches.
    Of(Glob),
}

/// A policy's resource, ready to be compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    canonical: String,
    folded: String,
    matcher: Matcher,
    key: String,
}

impl Pattern {
    /// Reads a pattern.
    ///
    /// # Errors
    ///
    /// [`BadResource`].
    pub fn parse(text: &str) -> Result<Self, BadResource> {
        let canonical = canonicalise(text)?;
        let folded = folded(canonical.clone());
        let matcher = if canonical.contains(SELF) {
            Matcher::OfSelf
        } else {
            Matcher::of(&folded, canonical.ends_with(ANY_QUERY))
        };
        let key = matcher.key(&folded);
        Ok(Self { canonical, folded, matcher, key })
    }

    /// The form in which it is stored and shown.
    pub fn canonical(&self) -> &str {
        &self.canonical
    }

    /// Every request that matches begins with this, without case. May be empty.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Whether the scheme is this one by its letters, and not by a wildcard.
    pub fn names_scheme(&self, scheme: &str) -> bool {
        self.folded.strip_prefix(scheme).is_some_and(|rest| rest.starts_with("://"))
    }

    /// Whether it speaks of the subject.
    pub fn is_of_self(&self) -> bool {
        self.matcher == Matcher::OfSelf
    }

    /// The pattern for one subject. What is no name gives a pattern that nothing matches.
    pub fn for_subject(&self, uid: &str) -> Option<Self> {
        let plain = !uid.is_empty() && !uid.contains([WILDCARD, '/', ':', '?']);
        // The name is no escape of another one.
        let uid = if is_pat(&self.canonical) { uid.replace('%', "%25") } else { uid.to_owned() };
        plain.then(|| Self::parse(&self.canonical.replace(SELF, &uid)).ok()).flatten()
    }

    /// Whether a request is covered, and how.
    pub fn matches(&self, request: &Requested) -> Option<Match> {
        if self.is_of_self() {
            return None;
        }
        if self.folded == request.folded {
            return Some(Match::Exact);
        }
        self.matcher.takes(request.folded()).then_some(Match::Wildcard)
    }

    /// Whether every name that `narrower` could match looks like one that this matches: a
    /// policy's resource must fit a pattern of its resource type.
    pub fn covers(&self, narrower: &Self) -> bool {
        self.folded == narrower.folded || self.matcher.takes(&narrower.folded)
    }
}

impl Matcher {
    fn of(folded: &str, any_query: bool) -> Self {
        let schemeless = at_scheme(folded).map(|(_, rest)| rest);
        let names_port = schemeless.is_some_and(|rest| {
            let authority = rest.split('/').next().unwrap_or_default();
            authority.contains(':')
        });
        let Some(pieces) = Pieces::of(folded).filter(|_| names_port) else {
            return Self::Whole(Glob::of(folded));
        };
        Self::Pieces {
            scheme: Glob::of(pieces.scheme),
            host: Glob::of(pieces.host),
            port: Glob::of(pieces.port.unwrap_or_default()),
            path: Glob::of(pieces.path),
            query: match pieces.query {
                _ if any_query => Query::Any,
                Some(query) => Query::Of(Glob::of(query)),
                None => Query::Absent,
            },
        }
    }

    fn takes(&self, folded: &str) -> bool {
        match self {
            Self::Whole(glob) => glob.takes(folded),
            Self::OfSelf => false,
            Self::Pieces { scheme, host, port, path, query } => {
                let Some(pieces) = Pieces::of(folded) else { return false };
                let Some(named_port) = pieces.port else { return false };
                let query = match (query, pieces.query) {
                    (Query::Any, _) | (Query::Absent, None) => true,
                    (Query::Of(glob), Some(query)) => glob.takes(query),
                    (Query::Absent, Some(_)) | (Query::Of(_), None) => false,
                };
                query
                    && scheme.takes(pieces.scheme)
                    && host.takes(pieces.host)
                    && port.takes(named_port)
                    && path.takes(pieces.path)
            }
        }
    }

    /// The longest beginning that is certain; see [`Pattern::key`].
    fn key(&self, folded: &str) -> String {
        match self {
            Self::Whole(glob) => glob.head().to_owned(),
            Self::OfSelf => {
                let own = SELF.to_lowercase();
                let end =
                    folded.find(&*own).unwrap_or(0).min(folded.find('*').unwrap_or(usize::MAX));
                let sure = folded.get(..end).unwrap_or_default();
                // A wildcard of one level begins a character earlier, and slashes may be missing.
                let sure = if folded.contains(ONE_LEVEL) { "" } else { sure };
                sure.trim_end_matches('/').to_owned()
            }
            Self::Pieces { scheme, host, port, path, .. } => {
                let mut key = String::new();
                let Some(scheme) = scheme.literal() else { return key };
                key.push_str(scheme);
                key.push_str("://");
                key.push_str(host.head());
                if host.literal().is_some() {
                    key.push(':');
                    key.push_str(port.head());
                    if port.literal().is_some() && path.head() != "/" {
                        key.push_str(path.head());
                    }
                }
                key
            }
        }
    }
}

/// A resource of the scheme `pat`: whose token is presented, and the token.
#[derive(Clone, PartialEq, Eq)]
pub struct PresentedPat<'a> {
    /// The user name, decoded.
    pub username: Cow<'a, str>,
    /// The secret.
    pub secret: &'a str,
}

/// The secret is nobody's business.
impl std::fmt::Debug for PresentedPat<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PresentedPat({:?}, ..)", self.username)
    }
}

/// The scheme of personal access tokens.
pub const PAT: &str = "pat";
const PAT_SCHEME: &[u8] = b"pat://";

/// Whether a requested resource presents a token, or tries to.
pub fn is_pat(resource: &str) -> bool {
    let head = resource.as_bytes().get(..PAT_SCHEME.len());
    head.is_some_and(|head| head.eq_ignore_ascii_case(PAT_SCHEME))
}

/// Reads `pat://user:token` as it was sent: the token begins behind the first colon.
///
/// `None` for what can be no token: an empty half, a wildcard, or a character that no token has.
/// The user may be percent-encoded, because AM has no other way to write a colon or a slash.
pub fn presented_pat(resource: &str) -> Option<PresentedPat<'_>> {
    let rest = resource.get(PAT_SCHEME.len()..).filter(|_| is_pat(resource))?;
    let (user, secret) = rest.split_once(':')?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    // Without a way out in between, the characters are looked at many at a time.
    let is_plain = secret.bytes().fold(true, |all, byte| all & plain(byte));
    if user.is_empty() || secret.is_empty() || !is_plain {
        return None;
    }
    let username =
        if user.contains('%') { Cow::Owned(percent_decoded(user)?) } else { Cow::Borrowed(user) };
    // Also one that becomes a wildcard in the form in which names are compared; ASCII does not.
    let is_wild = username.contains(WILDCARD)
        || (!username.is_ascii() && names::folded(&username).contains(WILDCARD));
    (!is_wild).then_some(PresentedPat { username, secret })
}

/// `None` for half an escape, or bytes that are no text.
fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
        let (high, low) = (digit(rest.next())?, digit(rest.next())?);
        bytes.push(u8::try_from(high * 16 + low).ok()?);
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests;

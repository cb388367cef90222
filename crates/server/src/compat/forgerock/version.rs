//! `Accept-API-Version`: which version of an endpoint a client asks for, and which it gets.

use axum::http::{HeaderMap, HeaderName, HeaderValue};

use super::fault::Fault;
use super::path::Endpoint;

const ACCEPT: HeaderName = HeaderName::from_static("accept-api-version");
pub(super) const CONTENT: HeaderName = HeaderName::from_static("content-api-version");
/// The protocol that is spoken unless another is asked for.
const PROTOCOL: Version = Version(1, 0);
/// The last protocol of each generation.
const PROTOCOLS: [Version; 2] = [Version(1, 0), Version(2, 2)];

/// Major and minor number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Version(pub(super) u16, pub(super) u16);

impl Version {
    fn parse(text: &str) -> Option<Self> {
        let (major, minor) = text.trim().trim_matches('"').split_once('.')?;
        Some(Self(major.parse().ok()?, minor.parse().ok()?))
    }
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}

/// The versions of an endpoint, in order. The first version of policies knew no resource types;
/// only its `evaluate` was the same.
const fn versions(endpoint: Endpoint, is_evaluate: bool) -> &'static [Version] {
    match endpoint {
        Endpoint::Authenticate => &[Version(1, 1), Version(2, 0), Version(2, 1)],
        Endpoint::Policies if is_evaluate => &[Version(1, 0), Version(2, 0), Version(2, 1)],
        Endpoint::Policies | Endpoint::Applications => &[Version(2, 0), Version(2, 1)],
        Endpoint::Users => &[
            Version(1, 1),
            Version(1, 2),
            Version(2, 0),
            Version(2, 1),
            Version(3, 0),
            Version(4, 0),
        ],
        Endpoint::Sessions => &[
            Version(1, 1),
            Version(1, 2),
            Version(2, 0),
            Version(2, 1),
            Version(3, 1),
            Version(4, 0),
        ],
        Endpoint::ServerInfo => &[Version(1, 0), Version(1, 1), Version(2, 0)],
        Endpoint::ResourceTypes
        | Endpoint::ConditionTypes
        | Endpoint::SubjectTypes
        | Endpoint::ApplicationTypes
        | Endpoint::DecisionCombiners
        | Endpoint::SubjectAttributes => &[Version(1, 0)],
    }
}

/// What nearly all who ask for decisions get; its text is not made anew for each of them.
const LATEST_EVALUATE: Chosen = Chosen { protocol: PROTOCOL, resource: Version(2, 1) };

/// What a client gets: protocol and resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Chosen {
    protocol: Version,
    resource: Version,
}

impl Chosen {
    /// The header that says so.
    pub(super) fn header(self) -> Option<HeaderValue> {
        if self == LATEST_EVALUATE {
            return Some(HeaderValue::from_static("protocol=1.0,resource=2.1"));
        }
        let text = format!("protocol={},resource={}", self.protocol, self.resource);
        HeaderValue::try_from(text).ok()
    }
}

/// The version of an endpoint that a request gets: the latest unless it asks for one, and of the
/// same major number none older than what it asks for.
pub(super) fn choose(
    headers: &HeaderMap,
    endpoint: Endpoint,
    is_evaluate: bool,
) -> Result<Chosen, Fault> {
    let known = versions(endpoint, is_evaluate);
    let latest = known.last().copied().unwrap_or(Version(1, 0));
    let Some(line) = headers.get(ACCEPT) else {
        return Ok(Chosen { protocol: PROTOCOL, resource: latest });
    };
    let text = line.to_str().map_err(|_| Fault::bad_version())?;
    let (mut protocol, mut resource) = (None, None);
    for part in text.split([',', ';']).map(str::trim).filter(|part| !part.is_empty()) {
        let (name, value) = part.split_once('=').ok_or_else(Fault::bad_version)?;
        let version = Version::parse(value).ok_or_else(Fault::bad_version)?;
        let place = match name.trim().to_ascii_lowercase().as_str() {
            "protocol" => &mut protocol,
            "resource" => &mut resource,
            _ => return Err(Fault::bad_version()),
        };
        if place.replace(version).is_some() {
            return Err(Fault::bad_version());
        }
    }
    let fits = |asked: Version, known: &[Version]| {
        let exact = known.iter().find(|version| **version == asked);
        let later = known.iter().filter(|version| version.0 == asked.0 && **version >= asked);
        exact.or(later.max()).copied()
    };
    let not_here = |asked: Version| Fault::no_version(endpoint, &asked.to_string());
    let protocol = match protocol {
        Some(asked) => fits(asked, &PROTOCOLS).map(|_| asked).ok_or_else(|| not_here(asked))?,
        None => PROTOCOL,
    };
    let resource = match resource {
        Some(asked) => fits(asked, known).ok_or_else(|| not_here(asked))?,
        None => latest,
    };
    Ok(Chosen { protocol, resource })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(endpoint: Endpoint, is_evaluate: bool, line: Option<&str>) -> Result<String, u16> {
        let mut headers = HeaderMap::new();
        if let Some(line) = line {
            headers.insert(ACCEPT, HeaderValue::from_str(line).unwrap());
        }
        let chosen = choose(&headers, endpoint, is_evaluate);
        chosen
            .map(|chosen| chosen.header().unwrap().to_str().unwrap().to_owned())
            .map_err(|fault| fault.status.as_u16())
    }

    #[test]
    fn check_06_a_client_gets_the_version_it_asks_for_or_a_later_one() {
        let policies = |line| said(Endpoint::Policies, true, line);
        let is = |text: &str| Ok(text.to_owned());
        assert_eq!(policies(None), is("protocol=1.0,resource=2.1"));
        assert_eq!(policies(Some("resource=2.0, protocol=1.0")), is("protocol=1.0,resource=2.0"));
        assert_eq!(policies(Some("protocol=1.0,resource=2.1")), is("protocol=1.0,resource=2.1"));
        assert_eq!(policies(Some("resource=1.0")), is("protocol=1.0,resource=1.0"));
        assert_eq!(policies(Some("protocol=2.1")), is("protocol=2.1,resource=2.1"));
        assert_eq!(policies(Some("resource=999.0")), Err(404));
        assert_eq!(policies(Some("protocol=3.0")), Err(404));
        assert_eq!(said(Endpoint::Policies, false, Some("resource=1.0")), Err(404));
        assert_eq!(said(Endpoint::Authenticate, false, Some("resource=999.0")), Err(406));
        for odd in ["2.0", "resource", "resource=x", "other=1.0", "resource=2.0,resource=2.1"] {
            assert_eq!(policies(Some(odd)), Err(400), "{odd}");
        }
    }
}

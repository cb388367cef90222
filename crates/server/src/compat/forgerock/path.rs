//! Where a request goes: deployment prefix, realm in one of three spellings, endpoint, id.

use std::borrow::Cow;
use std::collections::BTreeMap;

use axum::http::Uri;
use counterfoil_authority::names::RealmName;
use percent_encoding::percent_decode_str;

use super::fault::Fault;

/// Under which prefixes the door answers; clients know AM by one of them.
pub(super) const PREFIXES: [&str; 3] = ["/openam", "/am", ""];
/// Segments of a path at most.
const SEGMENTS_MAX: usize = 24;
/// Parameters of a query at most.
const PARAMETERS_MAX: usize = 64;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Endpoint {
    Authenticate,
    Sessions,
    Users,
    Policies,
    Applications,
    ResourceTypes,
    ConditionTypes,
    SubjectTypes,
    ApplicationTypes,
    DecisionCombiners,
    SubjectAttributes,
    ServerInfo,
}

/// The endpoints by name. No realm can be reached by one of these names in the legacy spelling.
const ENDPOINTS: [(&str, Endpoint); 12] = [
    ("authenticate", Endpoint::Authenticate),
    ("sessions", Endpoint::Sessions),
    ("users", Endpoint::Users),
    ("policies", Endpoint::Policies),
    ("applications", Endpoint::Applications),
    ("resourcetypes", Endpoint::ResourceTypes),
    ("conditiontypes", Endpoint::ConditionTypes),
    ("subjecttypes", Endpoint::SubjectTypes),
    ("applicationtypes", Endpoint::ApplicationTypes),
    ("decisioncombiners", Endpoint::DecisionCombiners),
    ("subjectattributes", Endpoint::SubjectAttributes),
    ("serverinfo", Endpoint::ServerInfo),
];

/// A place in the door.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// What stands before `/json`.
    pub(super) prefix: &'static str,
    /// The names below the root realm.
    pub(super) realms: Vec<String>,
    pub(super) endpoint: Endpoint,
    /// What stands behind the endpoint, decoded; empty if nothing does.
    pub(super) id: String,
}

fn decoded(segment: &str) -> Option<String> {
    percent_decode_str(segment).decode_utf8().ok().map(Cow::into_owned)
}

fn endpoint(name: &str) -> Option<Endpoint> {
    ENDPOINTS.iter().find(|(known, _)| *known == name).map(|(_, endpoint)| *endpoint)
}

/// The path behind `/json/`, and the prefix before it.
pub(super) fn below(path: &str) -> Option<(&'static str, &str)> {
    PREFIXES.iter().find_map(|prefix| {
        let rest = path.strip_prefix(prefix)?.strip_prefix("/json/")?;
        Some((*prefix, rest))
    })
}

impl Place {
    /// `None` if there is nothing there.
    pub(super) fn of(path: &str) -> Option<Self> {
        let (prefix, rest) = below(path)?;
        let mut segments = rest.split('/').filter(|segment| !segment.is_empty()).peekable();
        if rest.matches('/').count() > SEGMENTS_MAX {
            return None;
        }
        let mut realms = Vec::new();
        if segments.peek() == Some(&"realms") {
            // The whole chain is named, and begins at the root.
            while segments.next_if_eq(&"realms").is_some() {
                realms.push(decoded(segments.next()?)?);
            }
            if realms.remove(0) != "root" {
                return None;
            }
        } else {
            while segments.peek().is_some_and(|segment| endpoint(segment).is_none()) {
                realms.push(decoded(segments.next()?)?);
            }
        }
        let endpoint = endpoint(segments.next()?)?;
        let id: Vec<&str> = segments.collect();
        let id = decoded(&id.join("/"))?;
        Some(Self { prefix, realms, endpoint, id })
    }

    /// The realm: of the path or of the query, and the root realm where neither names one.
    /// `None` if no realm can have the name.
    pub(super) fn realm<'a>(
        &self,
        query: &Query<'_>,
        root: &'a RealmName,
    ) -> Result<Option<Cow<'a, RealmName>>, Fault> {
        let named: Option<Vec<String>> = query.get("realm").map(|text| {
            text.split('/').filter(|name| !name.is_empty()).map(str::to_owned).collect()
        });
        let chain = match (self.realms.is_empty(), named) {
            (true, Some(named)) => named,
            (false, Some(named)) if named != self.realms => {
                return Err(Fault::invalid("Path and query name different realms."));
            }
            _ => self.realms.clone(),
        };
        Ok(match chain.as_slice() {
            [] => Some(Cow::Borrowed(root)),
            [one] => RealmName::parse(one).ok().map(Cow::Owned),
            // Realms lie side by side here.
            _ => None,
        })
    }
}

/// The parameters of a query by name, borrowed where they stand there literally.
pub(super) type Query<'a> = BTreeMap<Cow<'a, str>, Cow<'a, str>>;

/// The parameters of a query, of which none may come twice.
pub(super) fn query_of(uri: &Uri) -> Result<Query<'_>, Fault> {
    let mut query = Query::new();
    for (name, value) in form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()) {
        if query.len() == PARAMETERS_MAX {
            return Err(Fault::invalid("Too many parameters."));
        }
        if query.insert(name, value).is_some() {
            return Err(Fault::invalid("A parameter is given twice."));
        }
    }
    Ok(query)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(path: &str) -> Option<(Vec<String>, Endpoint, String)> {
        Place::of(path).map(|place| (place.realms, place.endpoint, place.id))
    }

    #[test]
    fn a_realm_is_named_in_three_spellings() {
        let policies = |realms: &[&str], id: &str| {
            let realms = realms.iter().map(|name| (*name).to_owned()).collect();
            Some((realms, Endpoint::Policies, id.to_owned()))
        };
        for prefix in ["", "/am", "/openam"] {
            for (path, expected) in [
                ("/json/policies", policies(&[], "")),
                ("/json/policies/", policies(&[], "")),
                ("/json/policies/All%20PATs", policies(&[], "All PATs")),
                ("/json/x/policies", policies(&["x"], "")),
                ("/json/x/y/policies/p", policies(&["x", "y"], "p")),
                ("/json/realms/root/policies", policies(&[], "")),
                ("/json/realms/root/realms/x/policies/p", policies(&["x"], "p")),
                ("/json/realms/x/policies", None),
                ("/json/realms/root", None),
                ("/json/unknown", None),
                ("/json/", None),
            ] {
                assert_eq!(read(&format!("{prefix}{path}")), expected, "{prefix}{path}");
            }
        }
        assert_eq!(read("/other/json/policies"), None);
        let uri: Uri = "/json/policies?realm=/x&a=b".parse().unwrap();
        let query = query_of(&uri).unwrap();
        let root = RealmName::parse("main").unwrap();
        let place = Place::of("/json/policies").unwrap();
        let x = RealmName::parse("x").ok().map(Cow::Owned);
        assert_eq!(place.realm(&query, &root).unwrap(), x);
        let place = Place::of("/json/y/policies").unwrap();
        assert!(place.realm(&query, &root).is_err());
        let place = Place::of("/json/x/policies").unwrap();
        assert_eq!(place.realm(&query, &root).unwrap(), x);
    }
}

//! Services that tokens are good for, and realms that hold everything.

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::names::{GroupName, RealmName, ServiceLabel};
use crate::policy::TokenPolicy;
use crate::scope::Scope;

/// A tenant: users, services, tokens, clients and policies belong to exactly one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Realm {
    /// Its name, unique in the installation.
    pub name: RealmName,
    /// What to call it.
    pub display_name: Option<String>,
    /// Whether anything in it counts.
    pub enabled: bool,
    /// The IANA time zone in which dates without time are read.
    pub zone: String,
    /// Limits for all its services.
    pub token_policy: TokenPolicy,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// Rises by one with each change; the `ETag`.
    pub version: i64,
}

/// Whether a service takes part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServiceStatus {
    /// Its tokens count.
    Active,
    /// Its tokens do not count until it is active again.
    Suspended,
}

impl ServiceStatus {
    /// The name on the wire and in the store.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Suspended => "suspended",
        }
    }

    /// The status of a name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Active, Self::Suspended].into_iter().find(|s| s.name() == name)
    }
}

/// Who sees a service in the portal (COmanage's CA, CG, CP, P).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Visibility {
    /// Administrators.
    Administrators,
    /// Members of its group.
    Group,
    /// Every person of the realm.
    Realm,
    /// Everybody.
    Public,
}

impl Visibility {
    /// The name on the wire and in the store.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Administrators => "administrators",
            Self::Group => "group",
            Self::Realm => "realm",
            Self::Public => "public",
        }
    }

    /// The visibility of a name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Administrators, Self::Group, Self::Realm, Self::Public]
            .into_iter()
            .find(|v| v.name() == name)
    }
}

/// Where forward-auth reads the original method and path from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// The request itself: its method, and the path below `/authz/{service}`.
    #[default]
    Subpath,
    /// `X-Original-Method` and `X-Original-URI`, as nginx is told to set them.
    XOriginal,
    /// `X-Forwarded-Method` and `X-Forwarded-Uri`, as Traefik and Caddy set them.
    XForwarded,
}

/// A rule that adds scopes for some methods and paths; it can never take any away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ForwardAuthRule {
    /// HTTP methods it speaks of, upper case; `GET` includes `HEAD`; empty: all.
    #[serde(default)]
    pub methods: Vec<String>,
    /// The path it speaks of, decoded: exact, or a prefix when it ends with `*`. A slash at the
    /// end makes no difference, so `/a/*` speaks of `/a` too.
    pub path: String,
    /// The scopes it adds.
    pub scopes: Vec<String>,
}

/// What a forward-auth request for a service needs.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ForwardAuth {
    /// Scopes that every request needs.
    pub required_scopes: Vec<String>,
    /// Where method and path come from.
    pub origin: Origin,
    /// Scopes that some requests need besides.
    pub rules: Vec<ForwardAuthRule>,
}

/// Something that people and programs sign in to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// The realm it belongs to.
    pub realm: RealmName,
    /// Its label, unique in the realm.
    pub label: ServiceLabel,
    /// What to call it.
    pub name: String,
    /// What it is.
    pub description: Option<String>,
    /// Where it is.
    pub url: Option<String>,
    /// Whom to ask.
    pub contact: Option<String>,
    /// Its picture.
    pub logo_url: Option<String>,
    /// Who sees it.
    pub visibility: Visibility,
    /// If set, only members of this group may use it.
    pub group: Option<GroupName>,
    /// The entitlement that its users receive.
    pub entitlement_uri: Option<String>,
    /// Whether its tokens count.
    pub status: ServiceStatus,
    /// Whether its tokens are locked, whenever they were issued.
    pub locked: bool,
    /// The unit it belongs to.
    pub unit: Option<String>,
    /// Its own limits.
    pub token_policy: TokenPolicy,
    /// What forward-auth requires.
    pub forward_auth: ForwardAuth,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// Rises by one with each change; the `ETag`.
    pub version: i64,
}

/// Somebody who looks at services.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Viewer<'a> {
    /// Whoever has not said who they are.
    Anybody,
    /// A person of the realm.
    Person {
        /// The groups they are in.
        groups: &'a [GroupName],
        /// The unit they belong to.
        unit: Option<&'a str>,
    },
}

impl Service {
    /// Whether somebody who does not administer the service sees it (COmanage's portal).
    ///
    /// A service that is not active is not there; any other is for whom it exists.
    pub fn is_seen_by(&self, viewer: Viewer<'_>) -> bool {
        self.status == ServiceStatus::Active && self.would_be_seen_by(viewer)
    }

    /// Whether they see it while it is active: to somebody else it never exists.
    pub fn would_be_seen_by(&self, viewer: Viewer<'_>) -> bool {
        let Viewer::Person { groups, unit } = viewer else {
            return self.visibility == Visibility::Public && self.unit.is_none();
        };
        if self.unit.is_some() && self.unit.as_deref() != unit {
            return false;
        }
        match self.visibility {
            Visibility::Administrators => false,
            Visibility::Group => self.group.as_ref().is_none_or(|group| groups.contains(group)),
            Visibility::Realm | Visibility::Public => true,
        }
    }
}

/// The services that a token is good for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Services {
    /// `["*"]`: every service of the realm but `counterfoil`.
    All,
    /// These.
    Named(Vec<ServiceLabel>),
}

impl Services {
    /// Whether a token with these services is good for `label`.
    pub fn includes(&self, label: &str) -> bool {
        match self {
            Self::All => label != crate::names::COUNTERFOIL,
            Self::Named(labels) => labels.iter().any(|named| named.as_str() == label),
        }
    }

    /// What of these is left where no more is allowed than `above`; `None`: all of it.
    #[must_use]
    pub fn narrowed(&self, above: &Self) -> Option<Self> {
        let named = match (self, above) {
            (Self::All, Self::All) => return None,
            (Self::All, Self::Named(labels)) | (Self::Named(labels), _) => labels,
        };
        let in_both =
            |label: &&ServiceLabel| self.includes(label.as_str()) && above.includes(label.as_str());
        // The common case, which copies nothing.
        if matches!(self, Self::Named(own) if own.iter().all(|label| in_both(&label))) {
            return None;
        }
        Some(Self::Named(named.iter().filter(in_both).cloned().collect()))
    }

    /// The labels as they stand on the wire; `*` for all.
    pub fn labels(&self) -> Vec<&str> {
        match self {
            Self::All => vec!["*"],
            Self::Named(labels) => labels.iter().map(ServiceLabel::as_str).collect(),
        }
    }
}

/// Scopes that a forward-auth request needs: the base, and those of every rule that speaks of it.
pub fn required_scopes(config: &ForwardAuth, method: &str, path: &str) -> Vec<Scope> {
    let by_rule = config.rules.iter().filter(|rule| rule_speaks_of(rule, method, path));
    let names = config.required_scopes.iter().chain(by_rule.flat_map(|rule| &rule.scopes));
    let mut scopes: Vec<Scope> = names.filter_map(|name| Scope::parse(name).ok()).collect();
    scopes.sort();
    scopes.dedup();
    scopes
}

fn rule_speaks_of(rule: &ForwardAuthRule, method: &str, path: &str) -> bool {
    // A backend answers HEAD from what it does for GET (RFC 9110 section 9.3.2).
    let same_method = |named: &String| named == method || (named == "GET" && method == "HEAD");
    let by_method = rule.methods.is_empty() || rule.methods.iter().any(same_method);
    let by_path = match rule.path.strip_suffix('*') {
        Some(prefix) => {
            let directory = prefix.ends_with('/') && trimmed(path) == trimmed(prefix);
            path.starts_with(prefix) || directory
        }
        None => trimmed(path) == trimmed(&rule.path),
    };
    by_method && by_path
}

/// Whether a path holds a percent sign with two hexadecimal digits behind it: decoded once more
/// it would be another path.
pub fn holds_escape(path: &str) -> bool {
    path.as_bytes().windows(3).any(|three| {
        matches!(three, [b'%', high, low] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit())
    })
}

/// A path without the slashes and single dots at its end: to most backends the same resource.
fn trimmed(mut path: &str) -> &str {
    while let Some(shorter) = path.strip_suffix('/').or_else(|| path.strip_suffix("/.")) {
        path = shorter;
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_never_includes_the_api_itself() {
        assert!(Services::All.includes("git"));
        assert!(!Services::All.includes("counterfoil"));
    }

    #[test]
    fn a_rule_only_adds() {
        let config = ForwardAuth {
            required_scopes: vec!["read".into()],
            origin: Origin::Subpath,
            rules: vec![ForwardAuthRule {
                methods: vec!["POST".into()],
                path: "/push/*".into(),
                scopes: vec!["write".into()],
            }],
        };
        let names = |method, path| -> Vec<String> {
            required_scopes(&config, method, path).iter().map(ToString::to_string).collect()
        };
        assert_eq!(names("GET", "/push/x"), ["read"]);
        assert_eq!(names("POST", "/push/x"), ["read", "write"]);
        assert_eq!(names("POST", "/pull"), ["read"]);
    }

    fn rule(methods: &[&str], path: &str, scope: &str) -> ForwardAuthRule {
        ForwardAuthRule {
            methods: methods.iter().map(|method| (*method).to_owned()).collect(),
            path: path.to_owned(),
            scopes: vec![scope.to_owned()],
        }
    }

    fn speaks_of(rule: ForwardAuthRule, method: &str, path: &str) -> bool {
        let config = ForwardAuth { rules: vec![rule], ..ForwardAuth::default() };
        !required_scopes(&config, method, path).is_empty()
    }

    #[test]
    fn a_rule_speaks_of_a_path_whether_or_not_it_ends_in_a_slash() {
        for path in ["/admin", "/admin/", "/admin/.", "/admin//", "/admin/./"] {
            assert!(speaks_of(rule(&[], "/admin", "s"), "GET", path), "{path}");
            assert!(speaks_of(rule(&[], "/admin/", "s"), "GET", path), "{path}");
            assert!(speaks_of(rule(&[], "/admin/*", "s"), "GET", path), "{path}");
        }
        for path in ["/", "/admin/x", "/admins", "/admin.", "/x/admin"] {
            assert!(!speaks_of(rule(&[], "/admin", "s"), "GET", path), "{path}");
        }
        assert!(!speaks_of(rule(&[], "/admin/*", "s"), "GET", "/admins"));
        assert!(speaks_of(rule(&[], "/", "s"), "GET", "/"));
        assert!(!speaks_of(rule(&[], "/", "s"), "GET", "/admin"));
        assert!(speaks_of(rule(&[], "/*", "s"), "GET", "/"));
        assert!(speaks_of(rule(&[], "*", "s"), "GET", "/admin"));
    }

    #[test]
    fn a_rule_for_get_speaks_of_head_but_not_the_other_way_round() {
        assert!(speaks_of(rule(&["GET"], "/admin", "s"), "HEAD", "/admin"));
        assert!(speaks_of(rule(&["HEAD"], "/admin", "s"), "HEAD", "/admin"));
        assert!(!speaks_of(rule(&["HEAD"], "/admin", "s"), "GET", "/admin"));
        assert!(!speaks_of(rule(&["POST"], "/admin", "s"), "HEAD", "/admin"));
    }
}

//! Scopes: what a credential may ask for (RFC 6749 section 3.3), and which scope covers which.
//!
//! A scope is a word, or `resource:action` with the last colon between the two. A held
//! `resource:*` covers every action on that resource, and a held resource that ends with `*`
//! covers every resource that begins with what stands before it. Everything else covers only
//! itself. docs/reference/scopes.md says the same to people.

use std::fmt;

/// Characters in a scope at most; a limit on everything that is stored per token.
pub const SCOPE_LEN_MAX: usize = 128;

/// One scope token: `1*( %x21 / %x23-5B / %x5D-7E )`, RFC 6749 section 3.3.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scope(Box<str>);

/// A text that is no scope token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a scope is 1 to 128 printable ASCII characters without space, quote or backslash")]
pub struct BadScope;

impl Scope {
    /// Recognises a scope token.
    pub fn parse(text: &str) -> Result<Self, BadScope> {
        let shaped = (1..=SCOPE_LEN_MAX).contains(&text.len())
            && text.bytes().all(|b| matches!(b, 0x21 | 0x23..=0x5b | 0x5d..=0x7e));
        if shaped { Ok(Self(text.into())) } else { Err(BadScope) }
    }

    /// The scope as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether who holds this scope may do what `wanted` stands for.
    pub fn covers(&self, wanted: &Self) -> bool {
        covers(&self.0, &wanted.0)
    }
}

/// Whether the scope `held` covers the scope `wanted`: the one place that knows the rule.
///
/// A pattern is covered by a pattern that is at least as wide, so that this also says what may
/// be handed on.
pub fn covers(held: &str, wanted: &str) -> bool {
    if held == wanted {
        return true;
    }
    let (Some((held_on, held_act)), Some((on, act))) =
        (held.rsplit_once(':'), wanted.rsplit_once(':'))
    else {
        return false;
    };
    let resource = match (held_on.strip_suffix('*'), on.strip_suffix('*')) {
        (Some(held), Some(on)) => on.starts_with(held),
        (Some(held), None) => on.starts_with(held),
        (None, _) => held_on == on,
    };
    resource && (held_act == "*" || held_act == act)
}

/// Whether one of the scopes `held` covers `wanted`. Of a token for the API (`exact`) each scope
/// is a word: `tokens:*` is none of the API's, and must not become one by being narrowed.
pub fn any_covers(held: &[Scope], wanted: &Scope, exact: bool) -> bool {
    held.contains(wanted) || (!exact && held.iter().any(|scope| scope.covers(wanted)))
}

/// What of the scopes `own` is left where no more is allowed than `above`; `None`: all of it. The
/// two together are good for exactly what each of them covers, and patterns overlap: of
/// `repo/*:read` and `repo/web:*` that is `repo/web:read`.
pub fn narrowed(own: &[Scope], above: &[Scope], exact: bool) -> Option<Vec<Scope>> {
    if own == above || own.iter().all(|scope| any_covers(above, scope, exact)) {
        return None;
    }
    let mut left: Vec<Scope> = Vec::new();
    for scope in own {
        if any_covers(above, scope, exact) {
            left.push(scope.clone());
        } else if !exact {
            left.extend(above.iter().filter_map(|wider| meet(scope, wider)));
        }
    }
    let mut seen = std::collections::BTreeSet::new();
    left.retain(|scope| seen.insert(scope.clone()));
    Some(left)
}

/// The widest scope that both cover. One that would be too long for a scope is none.
fn meet(a: &Scope, b: &Scope) -> Option<Scope> {
    if a == b {
        return Some(a.clone());
    }
    let ((a_on, a_act), (b_on, b_act)) = (a.0.rsplit_once(':')?, b.0.rsplit_once(':')?);
    let resource = meet_of_patterns(a_on, b_on)?;
    let action = match (a_act, b_act) {
        ("*", other) | (other, "*") => other,
        (one, other) => (one == other).then_some(one)?,
    };
    Scope::parse(&format!("{resource}:{action}")).ok()
}

/// The pattern of what two patterns both match: a `*` at the end stands for all that follows.
pub(crate) fn meet_of_patterns<'a>(a: &'a str, b: &'a str) -> Option<&'a str> {
    let within = |wide: &str, narrow: &str| {
        wide.strip_suffix('*').map_or(wide == narrow, |begins| {
            narrow.strip_suffix('*').unwrap_or(narrow).starts_with(begins)
        })
    };
    if within(a, b) { Some(b) } else { within(b, a).then_some(a) }
}

/// What two lists of offered scopes both allow: of each list what the other one covers.
pub fn in_both(a: &[String], b: &[String]) -> Vec<String> {
    let within = |scope: &&String, other: &[String]| other.iter().any(|o| covers(o, scope));
    let mut both: Vec<String> = a.iter().filter(|scope| within(scope, b)).cloned().collect();
    both.extend(b.iter().filter(|scope| within(scope, a) && !a.contains(scope)).cloned());
    both
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a credential may do in the API of Counterfoil itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ApiScope {
    /// See tokens.
    TokensRead,
    /// Issue, change and revoke tokens.
    TokensWrite,
    /// Issue and change registration tokens.
    RegistrationTokensWrite,
    /// See people, groups and units.
    UsersRead,
    /// Change people, groups and units.
    UsersWrite,
    /// See services.
    ServicesRead,
    /// Change services and their policies.
    ServicesWrite,
    /// See and change clients and grants.
    ClientsWrite,
    /// See and change provisioning targets.
    TargetsWrite,
    /// See and change policies and realms.
    PoliciesWrite,
    /// Read events and the audit log.
    AuditRead,
    /// Ask whether a token is good.
    Verify,
}

/// Every scope of the API, in the order of the documentation.
pub const API_SCOPES: [ApiScope; 12] = [
    ApiScope::TokensRead,
    ApiScope::TokensWrite,
    ApiScope::RegistrationTokensWrite,
    ApiScope::UsersRead,
    ApiScope::UsersWrite,
    ApiScope::ServicesRead,
    ApiScope::ServicesWrite,
    ApiScope::ClientsWrite,
    ApiScope::TargetsWrite,
    ApiScope::PoliciesWrite,
    ApiScope::AuditRead,
    ApiScope::Verify,
];

impl ApiScope {
    /// The scope's name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::TokensRead => "tokens:read",
            Self::TokensWrite => "tokens:write",
            Self::RegistrationTokensWrite => "registration-tokens:write",
            Self::UsersRead => "users:read",
            Self::UsersWrite => "users:write",
            Self::ServicesRead => "services:read",
            Self::ServicesWrite => "services:write",
            Self::ClientsWrite => "clients:write",
            Self::TargetsWrite => "targets:write",
            Self::PoliciesWrite => "policies:write",
            Self::AuditRead => "audit:read",
            Self::Verify => "verify",
        }
    }

    /// The scope of a name.
    pub fn from_name(name: &str) -> Option<Self> {
        API_SCOPES.into_iter().find(|scope| scope.name() == name)
    }

    /// This scope's place in an [`ApiScopes`] set.
    const fn bit(self) -> u16 {
        1 << self as u16
    }
}

/// A set of API scopes.
#[derive(Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct ApiScopes(u16);

impl ApiScopes {
    /// No scope.
    pub const NONE: Self = Self(0);
    /// Every scope.
    pub const ALL: Self = Self((1 << API_SCOPES.len()) - 1);

    /// The set of `scopes`.
    pub fn of(scopes: &[ApiScope]) -> Self {
        Self(scopes.iter().fold(0, |bits, scope| bits | scope.bit()))
    }

    /// The API scopes among arbitrary scope names; others mean nothing to the API.
    pub fn from_names<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        Self(names.into_iter().filter_map(ApiScope::from_name).fold(0, |bits, s| bits | s.bit()))
    }

    /// Whether `scope` is in the set. Writing implies reading the same thing.
    pub const fn contains(self, scope: ApiScope) -> bool {
        let implied = match scope {
            ApiScope::TokensRead => ApiScope::TokensWrite.bit(),
            ApiScope::UsersRead => ApiScope::UsersWrite.bit(),
            ApiScope::ServicesRead => ApiScope::ServicesWrite.bit(),
            _ => 0,
        };
        self.0 & (scope.bit() | implied) != 0
    }

    /// The scopes in both sets.
    #[must_use]
    pub const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// The scopes in either set.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// With every reading scope that a writing one implies, so that intersections keep it.
    #[must_use]
    pub fn expanded(self) -> Self {
        Self::of(&API_SCOPES.into_iter().filter(|&scope| self.contains(scope)).collect::<Vec<_>>())
    }

    /// Whether every scope here is also covered by `other`.
    pub fn is_subset_of(self, other: Self) -> bool {
        self.iter().all(|scope| other.contains(scope))
    }

    /// The scopes, in the order of the documentation.
    pub fn iter(self) -> impl Iterator<Item = ApiScope> {
        API_SCOPES.into_iter().filter(move |scope| self.0 & scope.bit() != 0)
    }
}

impl fmt::Debug for ApiScopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter().map(ApiScope::name)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writing_implies_reading_the_same_thing_and_nothing_else() {
        let set = ApiScopes::of(&[ApiScope::TokensWrite]);
        assert!(set.contains(ApiScope::TokensRead));
        assert!(!set.contains(ApiScope::UsersRead));
        assert!(!ApiScopes::of(&[ApiScope::TokensRead]).contains(ApiScope::TokensWrite));
    }

    #[test]
    fn a_scope_covers_itself_all_actions_of_its_resource_or_all_resources_of_its_prefix() {
        for (held, wanted) in [
            ("push", "push"),
            ("repo/web:read", "repo/web:read"),
            ("repo/web:*", "repo/web:read"),
            ("repo/web:*", "repo/web:*"),
            ("repo/*:read", "repo/web:read"),
            ("repo/*:read", "repo/:read"),
            ("repo/*:*", "repo/web/docs:write"),
            ("repo/*:read", "repo/web/*:read"),
            ("*:read", "repo/web:read"),
            ("*:*", "a:b:c"),
            ("a:b:*", "a:b:c"),
        ] {
            assert!(covers(held, wanted), "{held} {wanted}");
        }
        for (held, wanted) in [
            ("push", "pull"),
            ("*", "push"),
            ("*:*", "push"),
            ("repo", "repo:read"),
            ("repo/web:read", "repo/web:write"),
            ("repo/web:read", "repo/web:*"),
            ("repo/web:read", "repo/*:read"),
            ("repo/web:*", "repo/website:read"),
            ("repo/web*:read", "repo/*:read"),
            ("repo/*:read", "repo/web:write"),
            ("repo/*:read", "repos/web:read"),
            ("repo/*/x:read", "repo/web/x:read"),
            ("Repo/web:read", "repo/web:read"),
            ("a:*", "a:b:c"),
        ] {
            assert!(!covers(held, wanted), "{held} {wanted}");
        }
    }

    #[test]
    fn of_a_token_for_the_api_a_pattern_is_only_itself() {
        let scope = |text| Scope::parse(text).unwrap();
        let held = [scope("tokens:*")];
        assert!(any_covers(&held, &scope("tokens:read"), false));
        assert!(!any_covers(&held, &scope("tokens:read"), true));
        assert!(any_covers(&held, &scope("tokens:*"), true));
    }

    #[test]
    fn what_two_lists_offer_is_the_narrower_of_each_pair() {
        let list = |words: &[&str]| words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>();
        let both = in_both(&list(&["repo/*:read", "push"]), &list(&["repo/web:read", "x"]));
        assert_eq!(both, ["repo/web:read"]);
        assert_eq!(in_both(&list(&["a", "b"]), &list(&["b", "c"])), ["b"]);
    }

    proptest::proptest! {
        /// What is handed on can never reach what its giver could not.
        #[test]
        fn covering_hands_on(a in "[ab/*]{0,4}:[ab*]", b in "[ab/*]{0,4}:[ab*]", c in "[ab/*]{0,4}:[ab*]") {
            proptest::prop_assert!(!(covers(&a, &b) && covers(&b, &c)) || covers(&a, &c));
        }
    }

    #[test]
    fn what_is_left_of_scopes_is_what_both_cover() {
        let list = |words: &[&str]| -> Vec<Scope> {
            words.iter().map(|word| Scope::parse(word).unwrap()).collect()
        };
        let left = |own: &[&str], above: &[&str]| narrowed(&list(own), &list(above), false);
        assert_eq!(left(&["a", "b"], &["b", "a", "c"]), None);
        assert_eq!(left(&["a", "b"], &["b"]), Some(list(&["b"])));
        assert_eq!(left(&["repo/*:read"], &["repo/web:*"]), Some(list(&["repo/web:read"])));
        let several = left(&["repo/*:*", "x"], &["repo/a:read", "repo/b*:push", "repo/a:read"]);
        assert_eq!(several, Some(list(&["repo/a:read", "repo/b*:push"])));
        let exact = narrowed(&list(&["tokens:*"]), &list(&["tokens:read"]), true);
        assert_eq!(exact, Some(Vec::new()));
    }

    proptest::proptest! {
        /// Two lists together are good for what each of them is good for, and for nothing else.
        #[test]
        fn what_is_left_covers_what_both_cover(
            own in proptest::collection::vec("[ab/*]{0,3}:[ab*]", 0..4),
            above in proptest::collection::vec("[ab/*]{0,3}:[ab*]", 0..4),
            wanted in "[ab/*]{0,4}:[ab*]",
        ) {
            let list = |words: &[String]| -> Vec<Scope> {
                words.iter().map(|word| Scope::parse(word).unwrap()).collect()
            };
            let (own, above, wanted) = (list(&own), list(&above), Scope::parse(&wanted).unwrap());
            let left = narrowed(&own, &above, false).unwrap_or_else(|| own.clone());
            let both = any_covers(&own, &wanted, false) && any_covers(&above, &wanted, false);
            proptest::prop_assert_eq!(any_covers(&left, &wanted, false), both);
        }
    }

    #[test]
    fn scopes_follow_the_grammar_of_rfc_6749() {
        assert!(Scope::parse("repo:push").is_ok());
        for bad in ["", "a b", "a\"b", "a\\b", "ä"] {
            assert_eq!(Scope::parse(bad), Err(BadScope), "{bad}");
        }
    }
}

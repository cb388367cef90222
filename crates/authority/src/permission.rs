//! Permissions: resource pattern to actions, finer than scopes.
//!
//! A token's `permissions` is a JSON object. Each key is a resource, matched
//! exactly or, when it ends with `*`, as a prefix; each value is a list of
//! actions, `"*"` standing for all. A token without permissions is not
//! restricted by them; a request without resource asks nothing of them.

use std::collections::{BTreeMap, BTreeSet};

use crate::scope::meet_of_patterns;

/// Why a value is no permissions object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("permissions is an object of resource patterns, each with a list of actions")]
pub struct BadPermissions;

/// Bytes of a permissions object at most: it is kept in memory with the token.
pub const PERMISSIONS_BYTES_MAX: usize = 8192;

/// Checks a permissions object and gives its stored text.
pub fn check(value: &serde_json::Value) -> Result<String, BadPermissions> {
    let object = value.as_object().ok_or(BadPermissions)?;
    let actions = |value: &serde_json::Value| {
        value.as_array().is_some_and(|actions| actions.iter().all(serde_json::Value::is_string))
    };
    let text = value.to_string();
    let fits = text.len() <= PERMISSIONS_BYTES_MAX;
    if fits && object.values().all(actions) { Ok(text) } else { Err(BadPermissions) }
}

/// Whether permissions in their stored text allow `action` on `resource`.
///
/// An action without a resource is refused: nobody can say what it was about.
pub fn allows(permissions: Option<&str>, resource: Option<&str>, action: Option<&str>) -> bool {
    let Some(resource) = resource else {
        return action.is_none();
    };
    let Some(text) = permissions else { return true };
    let Ok(serde_json::Value::Object(rules)) = serde_json::from_str(text) else {
        return false;
    };
    rules.iter().filter(|(pattern, _)| matches(pattern, resource)).any(|(_, actions)| {
        let listed = actions.as_array().into_iter().flatten().filter_map(|name| name.as_str());
        let mut listed = listed.peekable();
        match action {
            None => listed.peek().is_some(),
            Some(action) => listed.any(|name| name == action || name == "*"),
        }
    })
}

/// Whether `narrow` allows nothing that `wide` does not: what a derived token may carry.
pub fn is_within(narrow: Option<&str>, wide: Option<&str>) -> bool {
    let Some(wide) = wide else { return true };
    let Some(narrow) = narrow else { return false };
    if narrow == wide {
        return true;
    }
    let read = |text| serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(text);
    let (Ok(narrow), Ok(wide)) = (read(narrow), read(wide)) else { return false };
    narrow.iter().all(|(pattern, actions)| {
        let actions = actions.as_array().into_iter().flatten().filter_map(|name| name.as_str());
        let above = || wide.iter().filter(|(wider, _)| covers(wider, pattern));
        let lists = |listed: &serde_json::Value, action: &str| {
            let mut names = listed.as_array().into_iter().flatten().filter_map(|n| n.as_str());
            names.any(|name| name == action || name == "*")
        };
        actions.into_iter().all(|action| above().any(|(_, listed)| lists(listed, action)))
    })
}

/// What of the permissions `own` is left where no more is allowed than `above`; `None`: all of
/// it. What cannot be read, and what would be too large, is left as an object that allows nothing.
pub fn narrowed(own: Option<&str>, above: Option<&str>) -> Option<String> {
    if is_within(own, above) {
        return None;
    }
    // Nothing at all is no bound: then it is `above` as it stands.
    let (Some(own), Some(above)) = (own, above) else { return above.map(ToOwned::to_owned) };
    let left = meet(own, above).map(|left| serde_json::json!(left).to_string());
    Some(left.filter(|text| text.len() <= PERMISSIONS_BYTES_MAX).unwrap_or_else(|| "{}".to_owned()))
}

/// The actions that two objects both allow, by the patterns that both cover.
fn meet(own: &str, above: &str) -> Option<BTreeMap<String, BTreeSet<String>>> {
    type Rules = BTreeMap<String, BTreeSet<String>>;
    let own: Rules = serde_json::from_str(own).ok()?;
    let above: Rules = serde_json::from_str(above).ok()?;
    let mut left = Rules::new();
    for (pattern, actions) in &own {
        for (wider, allowed) in &above {
            let Some(both) = meet_of_patterns(pattern, wider) else { continue };
            let kept: BTreeSet<String> = match (actions.contains("*"), allowed.contains("*")) {
                (true, _) => allowed.clone(),
                (false, true) => actions.clone(),
                (false, false) => actions & allowed,
            };
            if !kept.is_empty() {
                left.entry(both.to_owned()).or_default().extend(kept);
            }
        }
    }
    Some(left)
}

/// Whether every resource that `pattern` matches is matched by `wider`.
fn covers(wider: &str, pattern: &str) -> bool {
    match (wider.strip_suffix('*'), pattern.strip_suffix('*')) {
        (Some(wider), Some(pattern)) => pattern.starts_with(wider),
        (Some(wider), None) => pattern.starts_with(wider),
        (None, _) => wider == pattern,
    }
}

fn matches(pattern: &str, resource: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(prefix) => resource.starts_with(prefix),
        None => pattern == resource,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_exact_or_prefixes() {
        let rules = r#"{"repo:web":["pull"],"repo:docs/*":["*"]}"#;
        let allowed = |resource, action| allows(Some(rules), Some(resource), Some(action));
        assert!(allowed("repo:web", "pull"));
        assert!(!allowed("repo:web", "push"));
        assert!(!allowed("repo:web2", "pull"));
        assert!(allowed("repo:docs/a", "push"));
        assert!(!allowed("repo:doc", "push"));
    }

    #[test]
    fn what_is_handed_on_lies_within_what_there_is() {
        let wide = Some(r#"{"repo:docs/*":["*"],"repo:web":["pull","push"]}"#);
        for narrow in
            ["{}", r#"{"repo:web":["pull"]}"#, r#"{"repo:docs/a":["push"],"repo:docs/b*":["*"]}"#]
        {
            assert!(is_within(Some(narrow), wide), "{narrow}");
            assert!(is_within(Some(narrow), None), "{narrow}");
        }
        for narrow in
            [r#"{"repo:web":["*"]}"#, r#"{"repo:*":["pull"]}"#, r#"{"x":["pull"]}"#, "nonsense"]
        {
            assert!(!is_within(Some(narrow), wide), "{narrow}");
        }
        assert!(!is_within(None, wide));
    }

    #[test]
    fn what_is_left_of_permissions_is_what_both_allow() {
        let own = Some(r#"{"repo/*":["read","write"],"x":["*"]}"#);
        assert_eq!(narrowed(own, None), None);
        assert_eq!(narrowed(own, own), None);
        assert_eq!(narrowed(None, own).as_deref(), own);
        let left = |above| narrowed(own, Some(above)).unwrap();
        assert_eq!(left(r#"{"repo/web":["*"]}"#), r#"{"repo/web":["read","write"]}"#);
        assert_eq!(left(r#"{"*":["read"]}"#), r#"{"repo/*":["read"],"x":["read"]}"#);
        assert_eq!(left("{}"), "{}");
        assert_eq!(left("nonsense"), "{}");
    }

    proptest::proptest! {
        /// Two objects together allow what each of them allows, and nothing else.
        #[test]
        fn what_is_left_allows_what_both_allow(
            own in rules(),
            above in rules(),
            resource in "[ab/]{0,3}",
            action in "[rw*]",
        ) {
            let left = narrowed(Some(&own), Some(&above)).unwrap_or_else(|| own.clone());
            let says = |text: &str| allows(Some(text), Some(&resource), Some(&action));
            proptest::prop_assert_eq!(says(&left), says(&own) && says(&above));
            let seen = |text: &str| allows(Some(text), Some(&resource), None);
            proptest::prop_assert!(!seen(&left) || (seen(&own) && seen(&above)));
        }
    }

    fn rules() -> impl proptest::strategy::Strategy<Value = String> {
        use proptest::collection::{btree_map, vec};
        use proptest::strategy::Strategy as _;
        let rules = btree_map("[ab/]{0,3}[*]?", vec("[rw*]", 0..3), 0..4);
        rules.prop_map(|rules| serde_json::json!(rules).to_string())
    }

    #[test]
    fn without_permissions_nothing_is_restricted_and_without_resource_nothing_is_asked() {
        assert!(allows(None, Some("x"), Some("y")));
        assert!(allows(Some("{}"), None, None));
        assert!(!allows(None, None, Some("y")));
        assert!(!allows(Some("{}"), Some("x"), None));
    }
}

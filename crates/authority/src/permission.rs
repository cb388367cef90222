//! Permissions: resource pattern to actions, finer than scopes.
//!
//! A token's `permissions` is a JSON object. Each key is a resource, matched
//! exactly or, when it ends with `*`, as a prefix; each value is a list of
//! actions, `"*"` standing for all. A token without permissions is not
//! restricted by them; a request without resource asks nothing of them.

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
    fn without_permissions_nothing_is_restricted_and_without_resource_nothing_is_asked() {
        assert!(allows(None, Some("x"), Some("y")));
        assert!(allows(Some("{}"), None, None));
        assert!(!allows(None, None, Some("y")));
        assert!(!allows(Some("{}"), Some("x"), None));
    }
}

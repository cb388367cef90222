//! Which method and path a forwarded request had, told safely or not at all.
//!
//! A path is held against the rules in every reading that a backend might give it: decoded, with
//! dot segments and doubled slashes taken out, and without path parameters. The scopes of all
//! readings add up, so that spelling a path differently can never lower what it needs. What has
//! no safe reading (encoded slashes, encoded dots, escapes of escapes, and blanks, `?`, `#` or
//! control characters, at which a backend may cut the path off) is refused.

use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName};
use counterfoil_authority::scope::Scope;
use counterfoil_authority::service::{ForwardAuth, Origin, required_scopes};

use super::Need;

const X_ORIGINAL_METHOD: HeaderName = HeaderName::from_static("x-original-method");
const X_ORIGINAL_URI: HeaderName = HeaderName::from_static("x-original-uri");
const X_FORWARDED_METHOD: HeaderName = HeaderName::from_static("x-forwarded-method");
const X_FORWARDED_URI: HeaderName = HeaderName::from_static("x-forwarded-uri");

/// What a request needs. `below` is the raw path below the service.
pub(super) fn need(
    config: &ForwardAuth,
    request: &Parts,
    below: &str,
    peer_is_trusted: bool,
) -> Need {
    let headers = &request.headers;
    let told = match config.origin {
        Origin::Subpath => Some((request.method.as_str(), below)),
        _ if !peer_is_trusted => None,
        Origin::XOriginal => pair(headers, &X_ORIGINAL_METHOD, &X_ORIGINAL_URI),
        Origin::XForwarded => pair(headers, &X_FORWARDED_METHOD, &X_FORWARDED_URI),
    };
    let Some((method, uri)) = told else { return Need::Unreadable };
    if config.rules.is_empty() {
        return Need::Scopes(required_scopes(config, method, "/"));
    }
    let path = uri.split(['?', '#']).next().unwrap_or_default();
    let Some(readings) = readings(path) else { return Need::Unreadable };
    let method = method.to_ascii_uppercase();
    let mut scopes: Vec<Scope> =
        readings.iter().flat_map(|path| required_scopes(config, &method, path)).collect();
    scopes.sort();
    scopes.dedup();
    Need::Scopes(scopes)
}

/// Both headers, each exactly once: a second one is the client's, added to the proxy's.
fn pair<'a>(
    headers: &'a HeaderMap,
    method: &HeaderName,
    uri: &HeaderName,
) -> Option<(&'a str, &'a str)> {
    let one = |name: &HeaderName| {
        let mut lines = headers.get_all(name).iter();
        let line = lines.next()?.to_str().ok()?;
        lines.next().is_none().then_some(line)
    };
    Some((one(method)?, one(uri)?))
}

/// Every reading of a raw path, or `None` if it has no safe one.
fn readings(raw: &str) -> Option<Vec<String>> {
    let raw = if raw.is_empty() { "/" } else { raw };
    if !raw.starts_with('/') {
        return None;
    }
    let decoded = decoded(raw)?;
    let collapsed = collapsed(&decoded)?;
    let bare: Vec<&str> =
        collapsed.split('/').map(|segment| segment.split(';').next().unwrap_or_default()).collect();
    let mut readings = vec![self::collapsed(&bare.join("/"))?, collapsed, decoded];
    readings.sort();
    readings.dedup();
    Some(readings)
}

/// Percent-decodes, and refuses what another reader could decode differently.
fn decoded(raw: &str) -> Option<String> {
    let lower = raw.to_ascii_lowercase();
    // An encoded separator or dot: one backend takes it for a path, the next one for a name.
    if ["%2f", "%5c", "%2e", "%25", "%00"].iter().any(|escape| lower.contains(escape)) {
        return None;
    }
    let mut bytes = Vec::with_capacity(raw.len());
    let mut rest = raw.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        if first != b'%' {
            bytes.push(first);
            rest = tail;
            continue;
        }
        let (digits, tail) = tail.split_at_checked(2)?;
        let digits = std::str::from_utf8(digits).ok()?;
        if !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        rest = tail;
    }
    let text = String::from_utf8(bytes).ok()?;
    (!text.chars().any(may_cut)).then_some(text)
}

/// Whether a backend may end the path at this character, or take it for a separator. The query
/// is gone already: a `?` or `#` that is here was encoded.
fn may_cut(c: char) -> bool {
    c.is_control() || c.is_whitespace() || matches!(c, '\\' | '?' | '#')
}

/// Takes dot segments and doubled slashes out (RFC 3986 section 5.2.4). `None` when the path
/// climbs above its root.
fn collapsed(path: &str) -> Option<String> {
    let mut kept: Vec<&str> = Vec::new();
    let mut ends_in_slash = true;
    for segment in path.split('/').skip(1) {
        ends_in_slash = matches!(segment, "" | "." | "..");
        match segment {
            "" | "." => {}
            ".." => {
                kept.pop()?;
            }
            name => kept.push(name),
        }
    }
    let mut text = String::with_capacity(path.len());
    for segment in &kept {
        text.push('/');
        text.push_str(segment);
    }
    if ends_in_slash {
        text.push('/');
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use axum::http::Request;
    use counterfoil_authority::service::ForwardAuthRule;

    use super::*;

    fn config(origin: Origin) -> ForwardAuth {
        let rule = |methods: &[&str], path: &str, scope: &str| ForwardAuthRule {
            methods: methods.iter().map(|m| (*m).to_owned()).collect(),
            path: path.to_owned(),
            scopes: vec![scope.to_owned()],
        };
        ForwardAuth {
            required_scopes: vec!["use".into()],
            origin,
            rules: vec![
                rule(&["POST"], "/push/*", "push"),
                rule(&[], "/admin*", "admin"),
                rule(&["GET"], "/exact", "exact"),
                rule(&[], "/below/*", "below"),
            ],
        }
    }

    fn said(origin: Origin, headers: &[(&str, &str)], below: &str, trusted: bool) -> String {
        let mut request = Request::builder().method("GET").uri("/authz/git");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (request, ()) = request.body(()).unwrap().into_parts();
        match need(&config(origin), &request, below, trusted) {
            Need::Unreadable => "unreadable".to_owned(),
            Need::Scopes(scopes) => scopes.iter().map(Scope::as_str).collect::<Vec<_>>().join(" "),
        }
    }

    #[test]
    fn spelling_a_path_differently_never_lowers_what_it_needs() {
        let below = |path| said(Origin::Subpath, &[], path, false);
        assert_eq!(below(""), "use");
        assert_eq!(below("/pull"), "use");
        for path in [
            "/admin",
            "/admin/x",
            "//admin",
            "/./admin",
            "/pull/../admin",
            "/%61dmin",
            "/;a/admin",
            "/pull/..;/admin",
            "/admin;x=1",
            "/admin/../pull",
        ] {
            assert_eq!(below(path), "admin use", "{path}");
        }
        for path in [
            "/%2e%2e/admin",
            "/pull%2f..%2fadmin",
            "/pull/%2E%2E/admin",
            "/%252e/admin",
            "/a\\b",
            "/../admin",
            "/%zz",
            "/%",
            "/%ff",
            "/a%00",
            "/admin%3fx",
            "/admin%3F",
            "/admin%23x",
            "/admin%20",
            "/exact ",
            "/exact%09",
            "/exact%0d%0a",
            "/exact%7f",
            "/exact%c2%85",
            "/exact%c2%a0",
            "/exact%e2%80%a8",
            "/exact%5cx",
            "pull",
        ] {
            assert_eq!(below(path), "unreadable", "{path}");
        }
    }

    #[test]
    fn a_slash_or_dot_at_the_end_is_the_same_path_and_head_is_the_same_as_get() {
        let below = |path| said(Origin::Subpath, &[], path, false);
        for path in
            ["/exact", "/exact/", "/exact/.", "/exact//", "/exact;x", "/exact/;x", "/exact%3bx"]
        {
            assert_eq!(below(path), "exact use", "{path}");
        }
        for path in ["/below", "/below/", "/below/.", "/below;x", "/below/x", "/x/../below"] {
            assert_eq!(below(path), "below use", "{path}");
        }
        let head = [("x-original-method", "HEAD"), ("x-original-uri", "/exact/?x")];
        assert_eq!(said(Origin::XOriginal, &head, "", true), "exact use");
    }

    #[test]
    fn header_forms_count_from_trusted_proxies_only_and_only_once() {
        let original = [("x-original-method", "POST"), ("x-original-uri", "/push/x?scope=none")];
        assert_eq!(said(Origin::XOriginal, &original, "", true), "push use");
        assert_eq!(said(Origin::XOriginal, &original, "", false), "unreadable");
        assert_eq!(said(Origin::XForwarded, &original, "", true), "unreadable");
        assert_eq!(said(Origin::Subpath, &original, "/pull", true), "use");
        assert_eq!(said(Origin::XOriginal, &original[..1], "", true), "unreadable");
        let twice = [original[0], original[1], ("x-original-uri", "/pull")];
        assert_eq!(said(Origin::XOriginal, &twice, "", true), "unreadable");
    }
}

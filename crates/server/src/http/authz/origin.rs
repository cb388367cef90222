//! Which method and path a forwarded request had, told safely or not at all.
//!
//! A path is decoded once and held against the rules in every reading that a backend might give
//! it: with dot segments and doubled slashes taken out, without path parameters and without the
//! blanks around a name, and cut off where a careless reader ends a path (at a blank, or at a `?`
//! or `#` that was encoded). The scopes of all readings add up, so that spelling a path
//! differently can never lower what it needs. What has no safe reading is refused: an encoded
//! separator or dot segment, an escape that is still there after decoding, control characters,
//! and bytes that are no UTF-8.

use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName};
use counterfoil_authority::scope::Scope;
use counterfoil_authority::service::{ForwardAuth, Origin, holds_escape, required_scopes};

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

/// Both headers, each exactly once and with something in it: a second one is the client's, added
/// to the proxy's, and an empty one says no more than a missing one.
fn pair<'a>(
    headers: &'a HeaderMap,
    method: &HeaderName,
    uri: &HeaderName,
) -> Option<(&'a str, &'a str)> {
    let one = |name: &HeaderName| {
        let mut lines = headers.get_all(name).iter();
        let line = lines.next()?.to_str().ok()?;
        (lines.next().is_none() && !line.trim().is_empty()).then_some(line)
    };
    Some((one(method)?, one(uri)?))
}

/// Every reading of a raw path, or `None` if it has no safe one.
fn readings(raw: &str) -> Option<Vec<String>> {
    let raw = if raw.is_empty() { "/" } else { raw };
    // A blank that is not encoded is no part of a path: who sends one wants two readings.
    if !raw.starts_with('/') || raw.contains(char::is_whitespace) {
        return None;
    }
    let decoded = decoded(raw)?;
    let collapsed = collapsed(&decoded)?;
    let bare = self::collapsed(&bare(&decoded))?;
    let cut = decoded.split(may_cut).next().unwrap_or_default();
    let mut readings = vec![self::collapsed(&self::bare(cut))?, bare, collapsed, decoded];
    readings.sort();
    readings.dedup();
    Some(readings)
}

/// Percent-decodes once, and refuses what another reader could decode differently.
fn decoded(raw: &str) -> Option<String> {
    let segments: Option<Vec<String>> = raw.split('/').map(decoded_segment).collect();
    Some(segments?.join("/"))
}

fn decoded_segment(raw: &str) -> Option<String> {
    let text: String = percent_encoding::percent_decode_str(raw).decode_utf8().ok()?.into_owned();
    // An encoded separator or dot segment: one backend takes it for a path, the next one for a
    // name. An escape that is still there would be another path to a backend that decodes twice.
    let refused = |c: char| c.is_control() || matches!(c, '/' | '\\' | '\u{2028}' | '\u{2029}');
    let is_dots = |name: &str| !name.is_empty() && name.bytes().all(|b| b == b'.');
    let encoded_dots = text != raw && is_dots(name_of(&text)) && !is_dots(name_of(raw));
    let unsafe_text = text.contains(refused) || holds_escape(&text) || encoded_dots;
    (!unsafe_text && escapes_are_whole(raw)).then_some(text)
}

/// Whether two hexadecimal digits follow each percent sign (RFC 3986 section 2.1).
fn escapes_are_whole(raw: &str) -> bool {
    raw.split('%')
        .skip(1)
        .all(|rest| rest.bytes().take(2).filter(u8::is_ascii_hexdigit).count() == 2)
}

/// The part of a segment that stays when its parameters and the blanks around it are dropped.
fn name_of(segment: &str) -> &str {
    segment.split(';').next().unwrap_or_default().trim()
}

/// Whether a backend may end the path at this character. The query is gone already: a `?` or
/// `#` that is here was encoded.
fn may_cut(c: char) -> bool {
    c.is_whitespace() || matches!(c, '?' | '#')
}

fn bare(path: &str) -> String {
    path.split('/').map(name_of).collect::<Vec<_>>().join("/")
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
                rule(&["MOVE"], "/my admin/*", "spaced"),
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
            "/pull/.%2e/admin",
            "/pull/..%20/admin",
            "/pull/%2e%2e;x/admin",
            "/pull/..%3b/admin",
            "/pull/x%2Fadmin",
            "/%2561dmin",
            "/%c0%afadmin",
            "/%e0%80%afadmin",
            "/%ed%a0%80",
            "/100%",
            "/100%2",
            "/pull%2f..%2fadmin",
            "/pull/%2E%2E/admin",
            "/%252e/admin",
            "/a\\b",
            "/../admin",
            "/%zz",
            "/%",
            "/%ff",
            "/a%00",
            "/exact ",
            "/my documents",
            "/exact%09",
            "/exact%0d%0a",
            "/exact%7f",
            "/exact%c2%85",
            "/exact%e2%80%a8",
            "/exact%5cx",
            "pull",
        ] {
            assert_eq!(below(path), "unreadable", "{path}");
        }
    }

    #[test]
    fn an_escape_is_decoded_once_and_the_path_is_held_against_the_rules_as_it_reads_then() {
        let below = |path| said(Origin::Subpath, &[], path, false);
        for path in [
            "/pull/My%20Documents/100%25%20sure.txt",
            "/pull/%C3%BCber.txt",
            "/pull/a%2Bb%40c%7Ed",
            "/pull/a%2eb",
            "/pull/what%3F",
            "/pull/%23one",
            "/pull/%5Bdraft%5D%E3%80%80x",
        ] {
            assert_eq!(below(path), "use", "{path}");
        }
        // In whatever way a backend reads it: cut off, or with the blanks dropped.
        for path in [
            "/exact%20",
            "/exact%20x",
            "/exact%3fx",
            "/exact%23x",
            "/exact%c2%a0",
            "/%20exact",
            "/exact%20/",
            "/ex%61ct",
            "/x/..;y/exact%3f/z",
        ] {
            assert_eq!(below(path), "exact use", "{path}");
        }
        for path in ["/admin%3fx", "/admin%3F", "/admin%23x", "/admin%20", "/%20admin/x"] {
            assert_eq!(below(path), "admin use", "{path}");
        }
        for path in ["/below%20/x", "/x%3b/../below%20;y", "/below%3fx/y"] {
            assert_eq!(below(path), "below use", "{path}");
        }
        let moved = [("x-original-method", "MOVE"), ("x-original-uri", "/my%20admin/a%20b")];
        assert_eq!(said(Origin::XOriginal, &moved, "", true), "spaced use");
    }

    /// Paths that need `admin`, with one character more, or one that is spelled as an escape.
    #[test]
    fn no_character_more_and_no_escape_takes_a_need_away() {
        let needs_admin = |path: &str| {
            let said = said(Origin::Subpath, &[], path, false);
            assert!(["admin use", "unreadable"].contains(&said.as_str()), "{path}: {said}");
        };
        let path = "/admin/x";
        for (place, c) in path.char_indices() {
            let (before, after) = (&path[..place], &path[place + 1..]);
            let code = u32::from(c);
            needs_admin(&format!("{before}%{code:02x}{after}"));
            needs_admin(&format!("{before}%{code:02X}{after}"));
            needs_admin(&format!("{before}%25{code:02X}{after}"));
        }
        // Behind the name and before it: what a reader may stop at or drop.
        for more in ["/", "/.", "%20", "%09", "%00", "%3f", "%23", ";", "%3b", "?", "#", "%c2%a0"] {
            needs_admin(&format!("/admin{more}"));
            needs_admin(&format!("/admin{more}/x"));
        }
        for more in ["/", "/.", "%20", "%09", "%00", ";", "%3b", "%c2%a0"] {
            needs_admin(&format!("/{more}/admin"));
            needs_admin(&format!("/pull/..{more}/admin"));
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
        for empty in ["", " "] {
            for (origin, kind) in
                [(Origin::XOriginal, "original"), (Origin::XForwarded, "forwarded")]
            {
                let (method, uri) = (format!("x-{kind}-method"), format!("x-{kind}-uri"));
                let no_uri = [(&*method, "POST"), (&*uri, empty)];
                let no_method = [(&*method, empty), (&*uri, "/push/a")];
                for headers in [no_uri, no_method] {
                    assert_eq!(said(origin, &headers, "", true), "unreadable", "{headers:?}");
                }
            }
        }
        let twice = [original[0], original[1], ("x-original-uri", "/pull")];
        assert_eq!(said(Origin::XOriginal, &twice, "", true), "unreadable");
    }
}

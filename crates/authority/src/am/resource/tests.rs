//! Every vector that was executed, and what holds for any text.

use proptest::prelude::*;

use super::*;

/// Pattern, requests, and what comes of them.
const VECTORS: &[(&str, &[&str], Option<Match>)] = &[
    ("pat://*:*", &["pat://smoff:f83ee64ef9d15a68"], Some(Match::Wildcard)),
    ("pat://*:*", &["PAT://Smoff:ABC"], Some(Match::Wildcard)),
    ("pat://*:*", &["pat://smoff"], None),
    ("pat://*:*", &["pat://smoff:", "pat://:tok", "pat://:"], Some(Match::Wildcard)),
    ("pat://*:*", &["pat://", "patx://smoff:tok", "xpat://smoff:tok"], None),
    ("pat://*:*", &["pat://smoff:tok/extra"], None),
    ("pat://*:*", &["pat://smoff:tok/"], Some(Match::Wildcard)),
    ("pat://*:*", &["pat://smoff:tok?x=1", "pat://smoff:tok?"], Some(Match::Wildcard)),
    ("pat://*:*", &["pat://smoff@example.com:tok"], Some(Match::Wildcard)),
    ("pat://*.*", &["pat://smoff:tok"], None),
    ("pat://*.*", &["pat://smoff.x:tok"], Some(Match::Wildcard)),
    ("pat://smoff:*", &["pat://smoff:tok", "pat://SMOFF:tok"], Some(Match::Wildcard)),
    ("pat://smoff:*", &["pat://smoffx:tok", "pat://jane:tok"], None),
    ("pat://*:abc", &["pat://smoff:abc"], Some(Match::Wildcard)),
    ("pat://*:cf_*", &["pat://smoff:cf_123"], Some(Match::Wildcard)),
    ("pat://*:cf_*", &["pat://smoff:ghp_123"], None),
    ("pat://*", &["pat://smoff:tok/extra", "pat://smoff:tok?x=1"], Some(Match::Wildcard)),
    ("pat://-*-:-*-", &["pat://smoff:tok"], Some(Match::Wildcard)),
    ("pat://-*-:-*-", &["pat://smoff"], None),
    ("pat://smoff:abc", &["pat://smoff:abc"], Some(Match::Exact)),
    ("pat://smoff:abc", &["pat://smoff:abcd"], None),
    ("*://*:*", &["pat://smoff:tok"], Some(Match::Wildcard)),
    ("*://*:*/*", &["pat://smoff:tok"], Some(Match::Wildcard)),
    ("*", &["pat://smoff:tok", "http://h/x?y", "/a/b", "x"], Some(Match::Wildcard)),
    (
        "http://www.example.com/*",
        &[
            "http://www.example.com",
            "http://www.example.com/",
            "http://www.example.com/index.html",
            "http://www.example.com/a/b.png",
            "http://www.example.com:80/x",
        ],
        Some(Match::Wildcard),
    ),
    (
        "http://www.example.com/*",
        &["http://www.example.com:8080/x", "https://www.example.com/x"],
        None,
    ),
    ("http://www.example.com/*", &["http://www.example.com/index.html?a=b"], None),
    (
        "http://www.example.com/*?*",
        &[
            "http://www.example.com/users?_action=create",
            "http://www.example.com/users?",
            "http://www.example.com/users",
        ],
        Some(Match::Wildcard),
    ),
    (
        "http://www.example.com/-*-",
        &[
            "http://www.example.com/index.html",
            "http://www.example.com/",
            "http://www.example.com/company/",
        ],
        Some(Match::Wildcard),
    ),
    ("http://www.example.com/-*-", &["http://www.example.com/company/resource.html"], None),
    ("http://www.example.com/path", &["http://www.example.com/path/"], None),
    ("http://www.example.com/PATH", &["http://www.example.com/path"], Some(Match::Exact)),
    ("http*://*.example.com:*/*", &["https://app.example.com/x"], Some(Match::Wildcard)),
    ("http*://*.example.com:*/*", &["https://example.com/x"], None),
    ("http://www.example.com/a/../b", &["http://www.example.com/b"], Some(Match::Exact)),
    ("/abc/-*-", &["/abc/def", "/abc/"], Some(Match::Wildcard)),
    ("/abc/-*-", &["/abc/def/hij"], None),
    ("/a*c", &["/ab/dc"], Some(Match::Wildcard)),
    ("/abc/*", &["/abc"], None),
    // Not among the executed ones: what follows from the rules.
    ("http://www.example.com/*", &["http://www.example.com?a=b"], None),
    (
        "pat://alice:*",
        &["pat://al%69ce:t", "pat://%61lice:t", "pat://%EF%BD%81lice:t", "pat://ａLICE:t"],
        Some(Match::Wildcard),
    ),
    ("pat://alice:t", &["pat://ＡL%69CE:t"], Some(Match::Exact)),
    ("pat://ａl%69ce:*", &["pat://alice:t", "PAT://Alic%65:t"], Some(Match::Wildcard)),
    ("pat://*.ａd%4D:*", &["pat://root.adm:t", "pat://root.%61dm:t"], Some(Match::Wildcard)),
    ("pat://alice:*", &["pat://al%ice:t", "pat://al%2569ce:t", "pat://alice%3A:t"], None),
    ("pat://a%2A:*", &["pat://alice:t"], None),
    ("pat://50%25:*", &["pat://50%25:t", "pat://%350%25:t"], Some(Match::Wildcard)),
    ("http://h/p?b=2&a=1", &["http://h:80/p?a=1&b=2"], Some(Match::Exact)),
    ("http://[2001:db8::1]/*", &["http://[2001:db8::1]:80/x"], Some(Match::Wildcard)),
];

#[test]
fn check_08_every_vector_of_the_matcher_comes_out_as_it_was_executed() {
    let mut looked_at = 0;
    for (pattern, requests, expected) in VECTORS {
        let compiled = Pattern::parse(pattern).unwrap();
        for request in *requests {
            let requested = Requested::read(request).unwrap();
            assert_eq!(compiled.matches(&requested), *expected, "{pattern} {request}");
            looked_at += 1;
        }
    }
    assert!(looked_at > 60, "{looked_at}");
}

#[test]
fn check_08_what_is_no_resource_is_refused_in_the_words_of_am() {
    for mixed in ["pat://*:-*-", "http://www.example.com/*/-*-", "-*-*-", "pat://u:*-*-"] {
        assert_eq!(canonicalise(mixed), Err(BadResource::MixedWildcards), "{mixed}");
    }
    let text = |text| Pattern::parse(text).unwrap_err().to_string();
    assert_eq!(text("http://www.example.com:8x/"), "Invalid port 8x");
    assert_eq!(text("http://alice:hunter2!@www.example.com/"), "Invalid port ");
    assert_eq!(text("a/*/-*-"), "Same rule cannot have both types of wildcards.");
}

#[test]
fn a_resource_is_brought_to_one_form() {
    for (text, canonical) in [
        ("http://h", "http://h:80"),
        ("HTTPS://h/", "HTTPS://h:443/"),
        ("http*://h/x", "http*://h:*/x"),
        ("http:////h//a/./b/../c/", "http://h:80/a/c/"),
        ("http://h:8*/x", "http://h:8*/x"),
        ("http://h/p?b=2&a=1&*&a=0", "http://h:80/p?a=0&a=1&b=2&*"),
        ("http://h/%2e%2e/x", "http://h:80/%2e%2e/x"),
        ("pat://U:t//a/../b?y&x", "pat://U:t/b?y&x"),
        ("/a//b/./../c", "/a/c"),
        ("../x", "x"),
    ] {
        assert_eq!(canonicalise(text).unwrap(), canonical, "{text}");
    }
}

#[test]
fn the_token_of_a_resource_is_what_stands_behind_the_first_colon() {
    let read = |text| presented_pat(text).map(|pat| (pat.username, pat.secret));
    assert_eq!(read("pat://smoff:cflp_abc"), Some(("smoff".into(), "cflp_abc")));
    assert_eq!(read("PAT://Smoff:ABC"), Some(("Smoff".into(), "ABC")));
    assert_eq!(read("pat://a%3Ab%2Fc%40d:t"), Some(("a:b/c@d".into(), "t")));
    for none in [
        "pat://*:x",
        "pat://u:*",
        "pat://u:a/../b",
        "pat://u:",
        "pat://:t",
        "pat://u",
        "pat://u:t\u{0}",
        "pat://u:t\u{2028}",
        "pat://u:t?x",
        "pat://u:a:b",
        "pat://u%2a:t",
        "pat://u＊:t",
        "pat://u%2:t",
        "pat://%ff:t",
        "http://u:t",
        "pat:/u:t",
        "",
    ] {
        assert_eq!(read(none), None, "{none}");
    }
    assert!(!format!("{:?}", presented_pat("pat://u:secret")).contains("secret"));
}

#[test]
fn a_pattern_of_self_is_one_of_the_subject() {
    let own = Pattern::parse("pat://$SELF:*").unwrap();
    let request = Requested::read("pat://alice:tok").unwrap();
    assert_eq!(own.matches(&request), None);
    assert_eq!(own.for_subject("Alice").unwrap().matches(&request), Some(Match::Wildcard));
    assert_eq!(own.for_subject("bob").unwrap().matches(&request), None);
    for nobody in ["", "*", "a:b", "a/b"] {
        assert_eq!(own.for_subject(nobody), None);
    }
}

#[test]
fn a_resource_type_covers_what_looks_like_its_own() {
    let covers = |wide: &str, narrow: &str| {
        Pattern::parse(wide).unwrap().covers(&Pattern::parse(narrow).unwrap())
    };
    assert!(covers("pat://*:*", "pat://alice:*"));
    assert!(covers("pat://*:*", "pat://*:*"));
    assert!(covers("*://*:*/*", "http://h/x"));
    assert!(covers("*://*:*/*?*", "http://h/x?*"));
    assert!(!covers("pat://*:*", "http://h/x"));
    assert!(!covers("pat://*.*", "pat://*:*"));
}

/// Texts in which everything that means something comes up often.
fn names() -> impl Strategy<Value = String> {
    let words = prop::sample::select(vec!["pat", "http", "https", "h", "A", "b", "80", "x"]);
    let marks = prop::sample::select(vec![
        "://", "/", "//", ".", "..", ":", "?", "&", "=", "*", "-*-", "-", "", "é", "$SELF",
    ]);
    let piece = prop_oneof![words, marks];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn check_08_canonicalising_twice_changes_nothing(text in names()) {
        if let Ok(once) = canonicalise(&text) {
            prop_assert_eq!(canonicalise(&once), Ok(once.clone()));
        }
    }

    #[test]
    fn check_08_a_pattern_without_wildcards_matches_its_equals(a in names(), b in names()) {
        let wild = |text: &str| text.contains('*') || text.contains("$SELF");
        let both = (Pattern::parse(&a), Requested::read(&b));
        if let ((Ok(pattern), Ok(request)), false) = (both, wild(&a)) {
            let same = folded(canonicalise(&a).unwrap()) == request.folded();
            // A name without a path is its root, where pieces are compared one by one.
            let rooted = |text: &str| text.strip_suffix('/').unwrap_or(text).to_owned();
            let alike = rooted(&pattern.folded) == rooted(request.folded());
            prop_assert_eq!(pattern.matches(&request) == Some(Match::Exact), same);
            prop_assert!(pattern.matches(&request).is_none() || alike);
        }
    }

    #[test]
    fn check_08_what_matches_begins_with_the_key(a in names(), b in names()) {
        if let (Ok(pattern), Ok(request)) = (Pattern::parse(&a), Requested::read(&b))
            && pattern.matches(&request).is_some()
        {
            prop_assert!(request.folded().starts_with(pattern.key()), "{pattern:?} {request:?}");
        }
    }

    #[test]
    fn check_08_no_request_with_a_wildcard_presents_a_token(user in names(), token in names()) {
        let request = format!("pat://{user}:{token}");
        if request.contains('*') {
            prop_assert_eq!(presented_pat(&request), None);
        }
    }

    #[test]
    fn every_spelling_of_a_user_name_meets_the_same_policies(
        user in "[aAbé.@%+\u{ff41}\u{212b}ſ]{1,6}",
        escaped in proptest::collection::vec(any::<bool>(), 40),
        pattern in "[aAb.*%]{0,4}",
    ) {
        // As the token check takes it: whoever passes there by one spelling passes by the other.
        let Ok(name) = names::Username::parse(&user) else { return Ok(()) };
        let escaped = escaped.into_iter().chain(std::iter::repeat(true));
        let spell = |(byte, escape): (u8, bool)| match byte {
            b'%' | 0x80.. => format!("%{byte:02x}"),
            _ if escape => format!("%{byte:02X}"),
            _ => char::from(byte).to_string(),
        };
        let spelt: String = user.bytes().zip(escaped).map(spell).collect();
        let spelt = format!("pat://{spelt}:token");
        let plain = format!("pat://{}:token", name.as_str().replace('%', "%25"));
        let presented = presented_pat(&spelt).unwrap();
        prop_assert_eq!(names::Username::parse(&presented.username), Ok(name.clone()));
        let (spelt, plain) = (Requested::read(&spelt).unwrap(), Requested::read(&plain).unwrap());
        prop_assert_eq!(spelt.folded(), plain.folded());
        let own = Pattern::parse("pat://$SELF:*").unwrap().for_subject(name.as_str()).unwrap();
        prop_assert_eq!(own.matches(&spelt), Some(Match::Wildcard));
        if let Ok(pattern) = Pattern::parse(&format!("pat://{pattern}:*")) {
            prop_assert_eq!(pattern.matches(&spelt), pattern.matches(&plain));
        }
    }

    #[test]
    fn no_text_is_too_odd(text in any::<String>()) {
        let _ = Pattern::parse(&text).map(|p| Requested::read(&text).map(|r| p.matches(&r)));
        let _ = presented_pat(&text);
    }
}

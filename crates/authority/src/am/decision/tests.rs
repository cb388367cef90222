//! Decisions, without a store and with a clock that stands where the test wants it.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;
use crate::am::compiled::Compiled;
use crate::am::condition::Condition;
use crate::am::identity::{Asker, Person};
use crate::am::resource::Pattern;
use crate::am::{AmDocument, AmObject, Policy, builtin};
use crate::names::{GroupName, RealmName};

fn realm() -> RealmName {
    RealmName::parse("main").unwrap()
}

fn at(text: &str) -> Timestamp {
    text.parse::<jiff::Timestamp>().map(|at| Timestamp::from_micros(at.as_microsecond())).unwrap()
}

fn object(name: &str, policy: &Value) -> AmObject {
    let policy: Policy = serde_json::from_value(policy.clone()).unwrap();
    AmObject {
        realm: realm(),
        name: name.to_owned(),
        document: AmDocument::Policy(policy),
        created_at: Timestamp::EPOCH,
        created_by: "client:admin".to_owned(),
        updated_at: Timestamp::EPOCH,
        updated_by: "client:admin".to_owned(),
        version: 1,
    }
}

/// A policy of the default set about URLs, with some fields of its own.
fn url_policy(name: &str, fields: &Value) -> AmObject {
    let mut policy = json!({
        "active": true,
        "applicationName": builtin::DEFAULT_SET,
        "resourceTypeUuid": builtin::URL_TYPE,
        "resources": ["http://h:80/*"],
        "actionValues": { "GET": true },
        "subject": { "type": "AuthenticatedUsers" },
    });
    let own = fields.as_object().cloned().unwrap_or_default();
    policy.as_object_mut().unwrap().extend(own);
    object(name, &policy)
}

fn compiled(policies: Vec<AmObject>) -> Compiled {
    Compiled::of("UTC", builtin::all(&realm(), Timestamp::EPOCH).into_iter().chain(policies))
}

fn alice() -> Asker {
    Asker {
        uid: Some("alice".to_owned()),
        groups: vec!["staff".to_owned()],
        is_authenticated: true,
        is_client: false,
        claims: Map::new(),
    }
}

fn around(asker: &Asker) -> Circumstances<'_> {
    Circumstances {
        now: at("2026-11-22T12:00:30Z"),
        zone: "UTC",
        address: None,
        dns_name: None,
        scopes: &[],
        asker,
        person: None,
        filters: &[],
    }
}

fn decided(policies: Vec<AmObject>, resource: &str, circumstances: Circumstances<'_>) -> Decision {
    let compiled = compiled(policies);
    let requested = Requested::read(resource).unwrap();
    let question = Question { requested: &requested, circumstances };
    compiled.set(builtin::DEFAULT_SET).unwrap().decide(&question, &mut Explanation::silent())
}

fn actions(decision: &Decision) -> Value {
    json!(decision.actions)
}

#[test]
fn any_false_wins_and_what_is_told_adds_up() {
    let told = |value: &str| {
        json!([
            { "type": "Static", "propertyName": "a", "propertyValues": [value] },
            { "type": "User", "propertyName": "mail" },
        ])
    };
    let policies = vec![
        url_policy(
            "one",
            &json!({
                "actionValues": { "GET": true, "POST": true }, "resourceAttributes": told("1"),
            }),
        ),
        url_policy(
            "two",
            &json!({
                "actionValues": { "POST": false }, "resourceAttributes": told("2"),
            }),
        ),
        url_policy("off", &json!({ "active": false, "actionValues": { "GET": false } })),
        url_policy(
            "not mine",
            &json!({
                "subject": { "type": "NONE" }, "actionValues": { "GET": false },
                "resourceAttributes": told("3"),
            }),
        ),
    ];
    let asker = alice();
    let decision = decided(policies, "http://h/x", around(&asker));
    assert_eq!(actions(&decision), json!({ "GET": true, "POST": false }));
    assert_eq!(json!(decision.attributes), json!({ "a": ["1", "2"] }));
    assert_eq!(json!(decision.user_attributes), json!(["mail"]));
    assert_eq!(decision.until, None);
}

#[test]
fn a_subject_speaks_of_whom_it_names() {
    let mut asker = alice();
    asker.claims.insert("role".to_owned(), json!(["admin", "dev"]));
    for (subject, speaks) in [
        (json!({ "type": "AuthenticatedUsers" }), true),
        (json!({ "type": "NONE" }), false),
        (json!({ "type": "NOT", "subject": { "type": "NONE" } }), true),
        (json!({ "type": "Identity", "subjectValues": ["Alice"] }), true),
        (json!({ "type": "Identity", "subjectValues": ["id=alice,ou=user,dc=x"] }), true),
        (json!({ "type": "Identity", "subjectValues": ["id=staff,ou=group,dc=x"] }), true),
        (json!({ "type": "Identity", "subjectValues": ["id=staff,ou=user,dc=x"] }), false),
        (json!({ "type": "Identity", "subjectValues": ["bob"] }), false),
        (json!({ "type": "JwtClaim", "claimName": "role", "claimValue": "dev" }), true),
        (json!({ "type": "JwtClaim", "claimName": "role", "claimValue": "ops" }), false),
        (
            json!({ "type": "AND", "subjects": [
            { "type": "AuthenticatedUsers" }, { "type": "NONE" }] }),
            false,
        ),
        (
            json!({ "type": "OR", "subjects": [
            { "type": "AuthenticatedUsers" }, { "type": "NONE" }] }),
            true,
        ),
    ] {
        let policy = url_policy("one", &json!({ "subject": subject }));
        let decision = decided(vec![policy], "http://h/x", around(&asker));
        assert_eq!(decision.allows_anything(), speaks, "{subject}");
    }
    let nobody = Asker::default();
    let policy = url_policy("one", &json!({}));
    assert!(!decided(vec![policy], "http://h/x", around(&nobody)).allows_anything());
}

/// Sunday, 12:00:30 in UTC.
#[test]
fn a_condition_holds_when_it_says() {
    let asker = alice();
    let staff = [GroupName::parse("ops").unwrap()];
    let base = Circumstances {
        address: Some("192.0.2.7".parse().unwrap()),
        dns_name: Some("Host.Example.com"),
        scopes: &["repo:read", "mail"],
        person: Some(Person { username: "bob", groups: &staff }),
        filters: &[("(a=b)".to_owned(), true), ("(c=d)".to_owned(), false)],
        ..around(&asker)
    };
    for (condition, holds) in [
        (json!({ "type": "LDAPFilter", "ldapFilter": "(a=b)" }), true),
        (json!({ "type": "LDAPFilter", "ldapFilter": "(c=d)" }), false),
        (json!({ "type": "SimpleTime", "startTime": "12:00", "endTime": "12:00" }), true),
        (json!({ "type": "SimpleTime", "startTime": "12:01", "endTime": "11:59" }), false),
        (json!({ "type": "SimpleTime", "startTime": "22:00", "endTime": "13:00" }), true),
        (json!({ "type": "SimpleTime", "startDay": "sat", "endDay": "mon" }), true),
        (json!({ "type": "SimpleTime", "startDay": "mon", "endDay": "fri" }), false),
        (json!({ "type": "SimpleTime", "startDate": "2026:11:22", "endDate": "2026:11:22" }), true),
        (
            json!({ "type": "SimpleTime", "startDate": "2026:11:23", "endDate": "2026:12:01" }),
            false,
        ),
        (
            json!({ "type": "SimpleTime", "startTime": "13:00", "endTime": "13:30",
                "enforcementTimeZone": "Europe/Berlin" }),
            true,
        ),
        (json!({ "type": "IPv4", "startIp": "192.0.2.0", "endIp": "192.0.2.255" }), true),
        (json!({ "type": "IPv4", "startIp": "198.51.100.0", "endIp": "198.51.100.9" }), false),
        (json!({ "type": "IPv4", "dnsName": ["*.example.com"] }), true),
        (json!({ "type": "IPv6", "startIp": "2001:db8::", "endIp": "2001:db8::ff" }), false),
        (json!({ "type": "OAuth2Scope", "requiredScopes": ["mail"] }), true),
        (json!({ "type": "OAuth2Scope", "requiredScopes": ["mail", "repo:write"] }), false),
        (json!({ "type": "AMIdentityMembership", "amIdentityName": ["bob"] }), true),
        (json!({ "type": "AMIdentityMembership", "amIdentityName": ["id=ops,ou=group"] }), true),
        // The owner of the token counts, not who asks.
        (json!({ "type": "AMIdentityMembership", "amIdentityName": ["alice"] }), false),
        (
            json!({ "type": "NOT", "condition": {
            "type": "OAuth2Scope", "requiredScopes": ["x"] } }),
            true,
        ),
        (
            json!({ "type": "AND", "conditions": [
            { "type": "IPv4", "dnsName": ["host.example.com"] },
            { "type": "OAuth2Scope", "requiredScopes": ["x"] }] }),
            false,
        ),
    ] {
        let parsed: Condition = serde_json::from_value(condition.clone()).unwrap();
        parsed.check(0).unwrap();
        assert_eq!(parsed.holds(&base), holds, "{condition}");
        assert_eq!(serde_json::from_value::<Condition>(json!(parsed)).unwrap(), parsed);
    }
    for odd in [
        json!({ "type": "SimpleTime", "startTime": "12:00" }),
        json!({ "type": "SimpleTime", "startTime": "25:00", "endTime": "26:00" }),
        json!({ "type": "SimpleTime", "enforcementTimeZone": "Mars/Olympus" }),
        json!({ "type": "IPv4" }),
        json!({ "type": "IPv4", "startIp": "2001:db8::", "endIp": "2001:db8::1" }),
        json!({ "type": "IPv4", "startIp": "192.0.2.9", "endIp": "192.0.2.1" }),
        json!({ "type": "OAuth2Scope", "requiredScopes": [] }),
        json!({ "type": "AND", "conditions": [] }),
    ] {
        let parsed: Condition = serde_json::from_value(odd.clone()).unwrap();
        assert!(parsed.check(0).is_err(), "{odd}");
    }
}

#[test]
fn a_decision_about_hours_holds_until_the_next_of_them() {
    let asker = alice();
    let hours = |from: &str, to: &str| {
        let condition = json!({ "type": "SimpleTime", "startTime": from, "endTime": to });
        let policy = url_policy("hours", &json!({ "condition": condition }));
        decided(vec![policy], "http://h/x", around(&asker)).until
    };
    assert_eq!(hours("09:00", "17:00"), Some(at("2026-11-22T17:01:00Z")));
    assert_eq!(hours("13:00", "17:00"), Some(at("2026-11-22T13:00:00Z")));
    assert_eq!(hours("01:00", "02:00"), Some(at("2026-11-23T00:00:00Z")));
}

#[test]
fn a_catch_all_policy_says_nothing_of_tokens() {
    let asker = alice();
    let wide = |name: &str, resource: &str| url_policy(name, &json!({ "resources": [resource] }));
    let policies = vec![wide("a", "*"), wide("b", "*://*:*"), wide("c", "*://*:*/*")];
    assert!(!decided(policies, "pat://alice:tok", around(&asker)).allows_anything());
    let wide = || vec![wide("a", "*")];
    assert!(decided(wide(), "http://x/y?z", around(&asker)).allows_anything());
}

#[test]
fn an_explanation_names_every_policy_of_the_set() {
    let asker = alice();
    let policies = vec![
        url_policy("matches", &json!({})),
        url_policy("other", &json!({ "resources": ["http://other:80/*"] })),
        url_policy("off", &json!({ "active": false })),
    ];
    let compiled = compiled(policies);
    let requested = Requested::read("http://h/x").unwrap();
    let question = Question { requested: &requested, circumstances: around(&asker) };
    let mut explanation = Explanation::spoken();
    compiled.set(builtin::DEFAULT_SET).unwrap().decide(&question, &mut explanation);
    let steps = explanation.into_steps();
    let told: Vec<_> = steps
        .iter()
        .map(|step| (step.what, step.name.as_deref().unwrap_or(""), step.holds))
        .collect();
    assert_eq!(
        told,
        [
            ("policy", "off", false),
            ("policy", "other", false),
            ("policy", "matches", true),
            ("subject", "matches", true),
        ]
    );
}

#[test]
fn a_tree_leaves_out_what_lies_elsewhere() {
    let below = |root: &str| -> Vec<String> {
        let policies = vec![
            url_policy("a", &json!({ "resources": ["http://h:80/a/*", "http://h:80/b"] })),
            url_policy("b", &json!({ "resources": ["http://other:80/*"] })),
            url_policy("c", &json!({ "resources": ["pat://alice:*"] })),
        ];
        let compiled = compiled(policies);
        let root = Requested::read(root).unwrap();
        let set = compiled.set(builtin::DEFAULT_SET).unwrap();
        set.below(&root).map(|pattern| pattern.canonical().to_owned()).collect()
    };
    assert_eq!(below("http://h/"), ["http://h:80/a/*", "http://h:80/b"]);
    assert_eq!(below("pat://alice:"), [""; 0]);
}

fn patterns() -> impl Strategy<Value = String> {
    let words =
        prop::sample::select(vec!["pat://", "http://", "h", "a", "/", ":", "*", "-*-", "?x"]);
    prop::collection::vec(words, 1..7).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// The index leaves out nothing that a walk through all policies would find.
    #[test]
    fn the_index_finds_what_a_walk_finds(
        wanted in prop::collection::vec(patterns(), 1..8),
        asked in patterns(),
    ) {
        let usable = wanted.iter().filter_map(|text| Pattern::parse(text).ok());
        let usable: Vec<Pattern> = usable.collect();
        let Ok(requested) = Requested::read(&asked) else { return Ok(()) };
        let policies = usable.iter().enumerate().map(|(number, pattern)| {
            url_policy(&format!("{number}"), &json!({
                "resources": [pattern.canonical()],
                "applicationName": builtin::PAT_SET,
                "resourceTypeUuid": builtin::PAT_TYPE,
            }))
        });
        let compiled = compiled(policies.collect());
        let set = compiled.set(builtin::PAT_SET).unwrap();
        let found: Vec<&str> = set.matching(&requested, None).into_iter()
            .map(|matched| matched.policy.object.name.as_str())
            .filter(|name| *name != builtin::PAT_POLICY)
            .collect();
        let walked: Vec<String> = usable.iter().enumerate()
            .filter(|(_, pattern)| pattern.matches(&requested).is_some())
            .map(|(number, _)| number.to_string())
            .collect();
        prop_assert_eq!(found, walked);
    }

    /// A deny is not lost beside an allow, whatever stands before and behind it, and no policy
    /// that does not speak of the request takes it away.
    #[test]
    fn a_false_wins_wherever_it_stands_among_its_policies(
        allowing in 0_usize..6,
        silent in 0_usize..6,
        order in any::<prop::sample::Index>(),
        resource in prop::sample::select(vec!["http://h:80/*", "http://h:80/x", "http://*:80/x"]),
    ) {
        let mut policies: Vec<AmObject> = (0..allowing)
            .map(|number| url_policy(&format!("allows {number}"), &json!({})))
            .collect();
        policies.extend((0..silent).map(|number| {
            let fields = json!({ "active": number % 2 == 0, "resources": ["http://other:80/*"] });
            url_policy(&format!("silent {number}"), &fields)
        }));
        let denying = json!({ "resources": [resource], "actionValues": { "GET": false } });
        policies.insert(order.index(policies.len() + 1), url_policy("denies", &denying));
        let asker = alice();
        let decision = decided(policies, "http://h/x", around(&asker));
        prop_assert_eq!(actions(&decision), json!({ "GET": false }));
    }
}

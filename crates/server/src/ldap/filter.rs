//! Filters: which entries somebody asks for (RFC 4511 section 4.5.1.7), in three-valued logic.
//!
//! An assertion about an attribute that no entry here has, or by a rule that is not known, is
//! undefined; `(!(x=1))` is then undefined too, and no entry is shown for it.

use ldap3_proto::proto::{LdapFilter, LdapSubstringFilter};

use super::dn::{Dn, prepared};
use super::entry::{Entry, attribute_name, is_name};
use super::limits::{FILTER_DEPTH_MAX, FILTER_PARTS_MAX};

/// Every attribute that an entry can have.
const KNOWN: [&str; 14] = [
    "objectclass",
    "uid",
    "cn",
    "sn",
    "displayname",
    "mail",
    "memberof",
    "member",
    "description",
    "ou",
    "dc",
    "o",
    "entrydn",
    "namingcontexts",
];

/// Whether a filter is small enough to be held against many entries.
pub(crate) fn is_bounded(filter: &LdapFilter) -> bool {
    let mut parts = 0;
    let mut open = vec![(filter, 1)];
    while let Some((filter, depth)) = open.pop() {
        parts += 1;
        if depth > FILTER_DEPTH_MAX || parts > FILTER_PARTS_MAX {
            return false;
        }
        match filter {
            LdapFilter::And(all) | LdapFilter::Or(all) => {
                open.extend(all.iter().map(|inner| (inner, depth + 1)));
            }
            LdapFilter::Not(inner) => open.push((inner, depth + 1)),
            _ => {}
        }
    }
    true
}

/// Whether an entry is asked for; `None`: the filter says nothing about it.
pub(crate) fn matches(filter: &LdapFilter, entry: &Entry) -> Option<bool> {
    match filter {
        // RFC 4526: `(&)` is true and `(|)` is false.
        LdapFilter::And(all) => fold(all.iter().map(|inner| matches(inner, entry)), false),
        LdapFilter::Or(any) => fold(any.iter().map(|inner| matches(inner, entry)), true),
        LdapFilter::Not(inner) => matches(inner, entry).map(|is| !is),
        LdapFilter::Present(name) => {
            let name = attribute_name(name);
            Some(entry.values(&name).is_some())
        }
        LdapFilter::Equality(name, value) | LdapFilter::Approx(name, value) => {
            let name = attribute_name(name);
            let asserted = Asserted::of(&name, value)?;
            any_value(entry, &name, |held| asserted.is(held))
        }
        LdapFilter::Substring(name, pieces) => {
            let name = attribute_name(name);
            // A name has no substrings (RFC 4517: distinguishedNameMatch has no such rule).
            (!is_name(&name)).then_some(())?;
            any_value(entry, &name, |held| has_pieces(&prepared(held), pieces))
        }
        LdapFilter::GreaterOrEqual(name, value) => ordered(entry, name, value, true),
        LdapFilter::LessOrEqual(name, value) => ordered(entry, name, value, false),
        LdapFilter::Extensible(asked) => {
            let by_case = asked.matching_rule.as_deref().is_none_or(|rule| {
                rule.eq_ignore_ascii_case("caseIgnoreMatch") || rule == "2.5.13.2"
            });
            let name = asked.type_.as_deref().map(attribute_name)?;
            let plain = by_case && !asked.dn_attributes && !is_name(&name);
            plain.then_some(())?;
            let asserted = prepared(&asked.match_value);
            any_value(entry, &name, |held| prepared(held) == asserted)
        }
    }
}

/// And (`decisive` false) or or (`decisive` true) over three values.
fn fold(values: impl Iterator<Item = Option<bool>>, decisive: bool) -> Option<bool> {
    let mut undefined = false;
    for value in values {
        match value {
            Some(is) if is == decisive => return Some(decisive),
            Some(_) => {}
            None => undefined = true,
        }
    }
    (!undefined).then_some(!decisive)
}

/// An asserted value, ready to be held against many.
enum Asserted {
    Text(String),
    Name(Dn),
}

impl Asserted {
    /// `None` if it cannot be a value of the attribute.
    fn of(name: &str, value: &str) -> Option<Self> {
        if is_name(name) {
            return Dn::parse(value).ok().map(Self::Name);
        }
        Some(Self::Text(prepared(value)))
    }

    fn is(&self, held: &str) -> bool {
        match self {
            Self::Text(text) => prepared(held) == *text,
            Self::Name(name) => Dn::parse(held).is_ok_and(|held| held.is(name)),
        }
    }
}

fn any_value(entry: &Entry, name: &str, is: impl Fn(&str) -> bool) -> Option<bool> {
    match entry.values(name) {
        Some(values) => Some(values.iter().any(|value| is(value))),
        None if KNOWN.contains(&name) => Some(false),
        None => None,
    }
}

fn ordered(entry: &Entry, name: &str, value: &str, upwards: bool) -> Option<bool> {
    let name = attribute_name(name);
    (!is_name(&name)).then_some(())?;
    let asserted = prepared(value);
    any_value(entry, &name, |held| {
        let held = prepared(held);
        if upwards { held >= asserted } else { held <= asserted }
    })
}

/// Whether a prepared value begins, goes on and ends as asserted (RFC 4517 section 4.2.13).
fn has_pieces(held: &str, pieces: &LdapSubstringFilter) -> bool {
    let mut rest = held;
    if let Some(initial) = &pieces.initial {
        let Some(behind) = rest.strip_prefix(folded(initial).as_str()) else { return false };
        rest = behind;
    }
    for any in &pieces.any {
        let any = folded(any);
        let Some((_, behind)) = rest.split_once(any.as_str()) else { return false };
        rest = behind;
    }
    pieces.final_.as_ref().is_none_or(|last| rest.ends_with(folded(last).as_str()))
}

/// A piece of a value: without case, but with its spaces.
fn folded(piece: &str) -> String {
    piece.chars().flat_map(char::to_lowercase).collect()
}

/// What every entry that matches must have, as far as the filter's top says so. It saves looking
/// at thousands of entries for one that is named.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Pins {
    /// Its object classes.
    pub(crate) classes: Vec<String>,
    /// Its user name.
    pub(crate) uid: Option<String>,
    /// Its common name.
    pub(crate) cn: Option<String>,
    /// One of its members.
    pub(crate) member: Option<Dn>,
}

impl Pins {
    /// Reads what stands at the top of a filter, or in an `&` there.
    pub(crate) fn of(filter: &LdapFilter) -> Self {
        let mut pins = Self::default();
        match filter {
            LdapFilter::And(all) => all.iter().for_each(|inner| pins.note(inner)),
            single => pins.note(single),
        }
        pins
    }

    fn note(&mut self, filter: &LdapFilter) {
        match filter {
            LdapFilter::And(all) => all.iter().for_each(|inner| self.note(inner)),
            LdapFilter::Equality(name, value) => match attribute_name(name).as_str() {
                "objectclass" => self.classes.push(prepared(value)),
                "uid" => self.uid = Some(value.clone()),
                "cn" => self.cn = Some(value.clone()),
                "member" => self.member = Dn::parse(value).ok(),
                _ => {}
            },
            _ => {}
        }
    }

    /// Whether entries of these classes can match at all.
    pub(crate) fn allow(&self, classes: &[&str]) -> bool {
        let has = |wanted: &String| classes.iter().any(|class| class.eq_ignore_ascii_case(wanted));
        self.classes.iter().all(has)
    }
}

#[cfg(test)]
mod tests {
    use ldap3_proto::parse_ldap_filter_str;

    use super::*;
    use crate::ldap::entry::PERSON;

    fn alice() -> Entry {
        Entry::new(Dn::parse("uid=alice,dc=x").unwrap(), &PERSON)
            .with("uid", ["alice".to_owned()])
            .with("cn", ["Alice  (the first) *".to_owned()])
            .with("mail", ["Alice@Example.org".to_owned()])
            .with("memberOf", ["cn=staff,ou=groups,dc=x".to_owned()])
    }

    fn says(filter: &str) -> Option<bool> {
        let filter = parse_ldap_filter_str(filter).unwrap();
        assert!(is_bounded(&filter));
        matches(&filter, &alice())
    }

    #[test]
    fn filters_say_yes() {
        for filter in [
            "(uid=ALICE)",
            "(userid=alice)",
            "(objectClass=inetorgperson)",
            "(objectClass=*)",
            "(&(uid=alice)(mail=alice@example.ORG))",
            "(|(uid=bob)(uid=alice))",
            "(!(uid=bob))",
            "(cn=al*first*)",
            "(cn=*THE*)",
            "(mail=*@example.org)",
            "(uid>=a)",
            "(uid<=b)",
            "(uid~=Alice)",
            "(|(nonsense=1)(uid=alice))",
        ] {
            assert_eq!(says(filter), Some(true), "{filter}");
        }
        for (name, value) in
            [("cn", " alice (THE first)  *"), ("memberOf", "CN=Staff, OU=groups,dc=x")]
        {
            let filter = LdapFilter::Equality(name.to_owned(), value.to_owned());
            assert_eq!(matches(&filter, &alice()), Some(true), "{value}");
        }
    }

    #[test]
    fn filters_say_no_or_nothing() {
        for (filter, answer) in [
            ("(uid=bob)", Some(false)),
            ("(uid=*bob*)", Some(false)),
            ("(cn=al*first*alice)", Some(false)),
            ("(description=*)", Some(false)),
            ("(description=x)", Some(false)),
            ("(!(description=x))", Some(true)),
            ("(userPassword=*)", Some(false)),
            ("(userPassword=x)", None),
            ("(!(userPassword=x))", None),
            ("(&(uid=alice)(nonsense=1))", None),
            ("(&(uid=bob)(nonsense=1))", Some(false)),
            ("(memberOf=staff)", None),
            ("(memberOf=*staff*)", None),
        ] {
            assert_eq!(says(filter), answer, "{filter}");
        }
    }

    #[test]
    fn what_a_filter_must_have_is_seen_at_its_top_only() {
        let pins = |filter: &str| Pins::of(&parse_ldap_filter_str(filter).unwrap());
        let named = pins("(&(objectClass=inetOrgPerson)(&(uid=Alice))(|(cn=x)(cn=y)))");
        assert_eq!((named.uid.as_deref(), named.cn), (Some("Alice"), None));
        assert!(named.classes == ["inetorgperson"] && pins("(!(uid=a))") == Pins::default());
    }

    #[test]
    fn deep_and_wide_filters_are_out_of_bounds() {
        let deep = (0..FILTER_DEPTH_MAX)
            .fold(LdapFilter::Present("uid".into()), |inner, _| LdapFilter::Not(Box::new(inner)));
        assert!(!is_bounded(&deep));
        let wide = LdapFilter::Or(vec![LdapFilter::Present("uid".into()); FILTER_PARTS_MAX]);
        assert!(!is_bounded(&wide));
    }
}

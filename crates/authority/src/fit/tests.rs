//! Every case of right-sizing, each as little as it takes.

use proptest::prelude::*;

use super::*;
use crate::names::{RealmName, Username};
use crate::secret::TokenId;
use crate::service::Services;
use crate::subject::Owner;
use crate::validity::Validity;

const DAY: i64 = 86_400;
/// The day on which these are judged.
const TODAY: i64 = 20_000;

fn at(day: i64) -> Timestamp {
    Timestamp::from_seconds(day * DAY + 3_600)
}

fn id() -> TokenId {
    TokenId::parse("0123456789AB").unwrap()
}

fn scopes(words: &[&str]) -> Vec<Scope> {
    words.iter().map(|word| Scope::parse(word).unwrap()).collect()
}

/// A token of a year ago.
fn token(words: &[&str]) -> Token {
    let created = at(TODAY - 365);
    let services = Services::Named(vec!["git".parse_label()]);
    let owner = Owner::User(Username::parse("alice").unwrap());
    let realm = RealmName::parse("main").unwrap();
    let validity = Validity::new(created, None).unwrap();
    let what = (id(), Kind::PersonalAccessToken);
    let made = (created, "user:alice".to_owned());
    Token {
        scopes: scopes(words),
        activated_at: Some(created),
        ..Token::new(what, realm, owner, services, validity, made)
    }
}

trait Label {
    fn parse_label(&self) -> crate::names::ServiceLabel;
}

impl Label for str {
    fn parse_label(&self) -> crate::names::ServiceLabel {
        crate::names::ServiceLabel::parse(self).unwrap()
    }
}

fn row(aspect: Aspect, what: &str, days_ago: i64) -> KnownUse {
    KnownUse { token: id(), aspect, what: what.to_owned(), day: TODAY - days_ago }
}

/// Uses through the API ten days ago that named these scopes, each by itself.
fn asked(words: &[&str]) -> Vec<KnownUse> {
    let mut known = vec![row(Aspect::Door, "api", 10)];
    known.extend(words.iter().map(|word| row(Aspect::Scope, word, 10)));
    known
}

fn judged(token: &Token, known: &[KnownUse]) -> Fit {
    fit(token, known, Some(at(TODAY - 200)), 90, at(TODAY))
}

fn proposed(token: &Token, known: &[KnownUse]) -> Result<Vec<String>, Kept> {
    let said = judged(token, known).scopes.proposed;
    said.map(|list| list.iter().map(ToString::to_string).collect())
}

fn networks(words: &[&str]) -> Vec<IpNet> {
    words.iter().map(|word| word.parse().unwrap()).collect()
}

#[test]
fn what_was_asked_for_stays_and_the_rest_is_unused() {
    let token = token(&["read", "push", "admin"]);
    let said = judged(&token, &asked(&["read"])).scopes;
    assert_eq!((said.used, said.unused), (scopes(&["read"]), scopes(&["push", "admin"])));
    assert_eq!(said.proposed, Ok(scopes(&["read"])));
    assert_eq!(proposed(&token, &asked(&["admin", "push", "read"])), Err(Kept::Fits));
}

#[test]
fn a_use_before_the_days_that_are_looked_at_is_none() {
    let token = token(&["read", "push"]);
    let mut known = asked(&["read"]);
    known.push(row(Aspect::Scope, "push", 91));
    assert_eq!(proposed(&token, &known), Ok(vec!["read".to_owned()]));
    known.push(row(Aspect::Scope, "push", 90));
    assert_eq!(proposed(&token, &known), Err(Kept::Fits));
    // Of another token nothing follows.
    let other = TokenId::parse("BA9876543210").unwrap();
    let mut known = asked(&["read"]);
    known.push(KnownUse { token: other, ..row(Aspect::Scope, "push", 1) });
    assert_eq!(proposed(&token, &known), Ok(vec!["read".to_owned()]));
}

#[test]
fn a_pattern_gives_way_to_what_was_asked_for() {
    let said = |granted: &[&str], words: &[&str]| {
        proposed(&token(granted), &asked(words)).map(|list| list.join(" "))
    };
    assert_eq!(said(&["repo:*"], &["repo:read"]).unwrap(), "repo:read");
    assert_eq!(
        said(&["repo/*:read"], &["repo/b:read", "repo/a:read"]).unwrap(),
        "repo/b:read repo/a:read"
    );
    // What another one covers needs no second one.
    assert_eq!(said(&["repo:*", "repo:read"], &["repo:read"]).unwrap(), "repo:read");
    assert_eq!(said(&["repo:read", "*:*"], &["repo:read", "x:y"]).unwrap(), "repo:read x:y");
    // Of two that cover the same, one stays.
    assert_eq!(said(&["a/*:r", "a/b*:r"], &["a/b:r"]).unwrap(), "a/b:r");
    // Whoever asks for the pattern itself needs all of it.
    assert_eq!(said(&["repo:*"], &["repo:*", "repo:read"]), Err(Kept::Fits));
    // A word without a pattern covers itself alone: nobody can say what it implies.
    assert_eq!(said(&["write"], &["write"]), Err(Kept::Fits));
    let many: Vec<String> = (0..=INSTEAD_MAX).map(|one| format!("repo/{one}:read")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert_eq!(said(&["repo/*:read"], &many), Err(Kept::Fits));
    let wide = judged(&token(&["repo:*", "x"]), &asked(&["repo:read"])).scopes;
    assert_eq!(wide.wide, [(scopes(&["repo:*"]).remove(0), scopes(&["repo:read"]))]);
    assert_eq!((wide.used, wide.unused), (scopes(&["repo:*"]), scopes(&["x"])));
}

/// Of the API, where writing implies reading: of a token for nothing else the narrower one is
/// proposed.
#[test]
fn who_only_reads_by_the_api_need_not_write() {
    let mut token = token(&["tokens:write", "users:read"]);
    token.services = Services::Named(vec![COUNTERFOIL.parse_label()]);
    assert_eq!(proposed(&token, &asked(&["tokens:read"])), Ok(vec!["tokens:read".to_owned()]));
    let both = Ok(vec!["tokens:write".to_owned()]);
    assert_eq!(proposed(&token, &asked(&["tokens:read", "tokens:write"])), both);
    token.services = Services::Named(vec![COUNTERFOIL.parse_label(), "git".parse_label()]);
    assert_eq!(proposed(&token, &asked(&["tokens:read"])), both);
}

/// Of the API a pattern is only a word.
#[test]
fn scopes_of_the_api_are_words() {
    let mut token = token(&["tokens:*", "tokens:read"]);
    token.services = Services::Named(vec![COUNTERFOIL.parse_label()]);
    assert_eq!(proposed(&token, &asked(&["tokens:read"])), Ok(vec!["tokens:read".to_owned()]));
    assert_eq!(proposed(&token, &asked(&["tokens:*"])), Ok(vec!["tokens:*".to_owned()]));
}

#[test]
fn nothing_is_said_about_scopes_where_somebody_named_none() {
    let token = token(&["read", "push"]);
    let mut known = asked(&["read"]);
    known.push(row(Aspect::Unasked, "ldap", 91));
    assert_eq!(proposed(&token, &known), Ok(vec!["read".to_owned()]));
    known.push(row(Aspect::Unasked, "ldap", 3));
    let said = judged(&token, &known).scopes;
    assert_eq!(said.proposed, Err(Kept::Unasked));
    assert_eq!((said.used, said.unused), (scopes(&["read"]), Vec::new()));
    // Nor where nobody could name any: a token is not left without all of them.
    assert_eq!(proposed(&token, &[row(Aspect::Door, "ldap", 3)]), Err(Kept::Unasked));
}

#[test]
fn nothing_is_said_about_scopes_where_more_were_asked_for_than_are_kept() {
    let mut known = asked(&["read"]);
    known.push(row(Aspect::ManyScopes, "", 3));
    assert_eq!(proposed(&token(&["read", "push"]), &known), Err(Kept::TooMany));
}

#[test]
fn what_is_young_is_left_alone() {
    let known = asked(&["read"]);
    let with = |change: fn(&mut Token)| {
        let mut token = token(&["read", "push"]);
        change(&mut token);
        proposed(&token, &known)
    };
    let unchanged = Ok(vec!["read".to_owned()]);
    assert_eq!(with(|token| token.created_at = at(TODAY - 89)), Err(Kept::Young));
    assert_eq!(with(|token| token.created_at = at(TODAY - 90)), unchanged);
    assert_eq!(with(|token| token.activated_at = Some(at(TODAY - 89))), Err(Kept::Young));
    let later = |token: &mut Token| token.validity = Validity::new(at(TODAY - 89), None).unwrap();
    assert_eq!(with(later), Err(Kept::Young));
    let young = judged(&Token { created_at: at(TODAY - 89), ..token(&["read", "push"]) }, &known);
    assert_eq!((young.scopes.unused.len(), young.is_idle), (0, false));
    assert_eq!(young.watched_since, Some(at(TODAY - 89)));
}

#[test]
fn what_an_edit_gave_lately_is_left_alone_and_nothing_else() {
    let token = token(&["read", "push", "admin"]);
    let mut known = asked(&["read"]);
    known.push(row(Aspect::GivenScope, "push", 89));
    known.push(row(Aspect::GivenScope, "admin", 90));
    let said = judged(&token, &known).scopes;
    assert_eq!((said.young, said.unused), (scopes(&["push"]), scopes(&["admin"])));
    assert_eq!(said.proposed, Ok(scopes(&["read", "push"])));
    // A pattern that was given lately is no reason to take it apart.
    let token = self::token(&["repo:*"]);
    let mut known = asked(&["repo:read"]);
    known.push(row(Aspect::GivenScope, "repo:*", 5));
    assert_eq!(proposed(&token, &known), Err(Kept::Fits));
}

#[test]
fn what_was_not_watched_is_not_called_unused() {
    let token = token(&["read", "push"]);
    let said = |watched: Option<Timestamp>| {
        fit(&token, &asked(&["read"]), watched, 90, at(TODAY)).scopes.proposed
    };
    assert_eq!(said(None), Err(Kept::NotWatched));
    // The day of the beginning was seen in part.
    assert_eq!(said(Some(at(TODAY - 90))), Err(Kept::NotWatched));
    assert_eq!(said(Some(at(TODAY - 91))), Ok(scopes(&["read"])));
    // Seven days need no more than seven.
    let week = fit(&token, &asked(&["read"]), Some(at(TODAY - 11)), 10, at(TODAY));
    assert_eq!(week.scopes.proposed, Ok(scopes(&["read"])));
}

#[test]
fn an_idle_token_is_not_emptied() {
    let mut token = token(&["read", "push"]);
    token.networks = networks(&["10.0.0.0/8"]);
    token.doors = Some(vec![Door::Api]);
    let said = judged(&token, &[row(Aspect::Door, "api", 91)]);
    assert!(said.is_idle && !said.has_proposal(), "{said:?}");
    assert_eq!(said.scopes.proposed, Err(Kept::Idle));
    assert_eq!(said.networks.proposed, Err(Kept::Idle));
    assert_eq!(said.doors.proposed, Err(Kept::Idle));
    // It was counted, so it was used for something that nobody noted.
    token.usage.last_at = Some(at(TODAY - 3));
    let said = judged(&token, &[]);
    assert!(!said.is_idle, "{said:?}");
    assert_eq!(said.scopes.proposed, Err(Kept::NotWatched));
}

#[test]
fn a_network_with_use_inside_stays_as_it_is() {
    let mut token = token(&[]);
    token.networks = networks(&["10.0.0.0/8", "192.0.2.0/24", "2001:db8::/32"]);
    let mut known = asked(&[]);
    known.push(row(Aspect::Network, "10.0.0.0/8", 2));
    let said = judged(&token, &known).networks;
    assert_eq!(said.proposed, Ok(networks(&["10.0.0.0/8"])));
    assert_eq!(said.unused, networks(&["192.0.2.0/24", "2001:db8::/32"]));
    known.push(row(Aspect::GivenNetwork, "2001:db8::/32", 2));
    let said = judged(&token, &known).networks;
    assert_eq!(said.proposed, Ok(networks(&["10.0.0.0/8", "2001:db8::/32"])));
    // An empty list is every network there is.
    let said = judged(&token, &asked(&[])).networks;
    assert_eq!(said.proposed, Err(Kept::NotWatched));
    token.networks.clear();
    let said = judged(&token, &known).networks;
    assert_eq!((said.proposed, said.beyond), (Err(Kept::Unlimited), Vec::new()));
}

#[test]
fn a_door_that_nobody_came_through_goes() {
    let mut token = token(&[]);
    token.doors = Some(vec![Door::Api, Door::Ldap, Door::Oauth]);
    let said = judged(&token, &asked(&[])).doors;
    assert_eq!((said.used, said.unused), (vec![Door::Api], vec![Door::Ldap, Door::Oauth]));
    assert_eq!(said.proposed, Ok(vec![Door::Api]));
    let mut known = asked(&[]);
    known.push(row(Aspect::GivenDoor, "ldap", 1));
    assert_eq!(judged(&token, &known).doors.proposed, Ok(vec![Door::Api, Door::Ldap]));
    token.doors = Some(vec![Door::Ldap]);
    assert_eq!(judged(&token, &known).doors.proposed, Err(Kept::Young));
    token.doors = None;
    assert_eq!(judged(&token, &known).doors.proposed, Err(Kept::Unlimited));
}

/// What was answered to while it was taken away is seen afterwards.
#[test]
fn what_was_used_and_is_granted_no_more_is_told_of() {
    let mut token = token(&["repo:read"]);
    token.networks = networks(&["10.0.0.0/8"]);
    token.doors = Some(vec![Door::Api]);
    let mut known = asked(&["repo:read", "push"]);
    known.push(row(Aspect::Door, "ldap", 1));
    known.push(row(Aspect::Network, "10.0.0.0/8", 1));
    known.push(row(Aspect::Network, "192.0.2.0/24", 1));
    let said = judged(&token, &known);
    assert_eq!(said.scopes.beyond, ["push"]);
    assert_eq!(said.networks.beyond, ["192.0.2.0/24"]);
    assert_eq!(said.doors.beyond, ["ldap"]);
}

#[test]
fn what_is_handed_on_is_not_judged_by_who_hands_it_on() {
    let mut token = token(&["read", "push"]);
    token.networks = networks(&["10.0.0.0/8", "192.0.2.0/24"]);
    token.kind = Kind::RegistrationToken;
    let mut known = asked(&["read"]);
    known.push(row(Aspect::Network, "10.0.0.0/8", 1));
    let said = judged(&token, &known);
    assert_eq!(said.scopes.proposed, Err(Kept::NotItsOwn));
    assert_eq!(said.networks.proposed, Err(Kept::NotItsOwn));
    // A client's key has its scopes by role, and its networks by itself.
    token.kind = Kind::ClientKey;
    let said = judged(&token, &known);
    assert_eq!(said.scopes.proposed, Err(Kept::NotItsOwn));
    assert_eq!(said.networks.proposed, Ok(networks(&["10.0.0.0/8"])));
}

#[test]
fn a_token_without_scopes_has_none_to_lose() {
    assert_eq!(proposed(&token(&[]), &asked(&[])), Err(Kept::Unlimited));
}

#[test]
fn the_days_that_are_looked_at_have_bounds() {
    let days = |days| fit(&token(&[]), &[], None, days, at(TODAY)).days;
    assert_eq!([days(0), days(7), days(90), days(1_000)], [7, 7, 90, 90]);
    assert_eq!(i64::from(FIT_DAYS_MAX), crate::store::USE_NOTES_KEPT_DAYS);
}

proptest! {
    /// What is proposed is good for everything that was asked for, for nothing that was not
    /// granted, and is never nothing.
    #[test]
    fn a_proposal_covers_what_was_asked_for_and_grants_nothing_new(
        granted in proptest::collection::vec("[ab/*]{0,3}:[ab*]|[ab]", 1..6),
        words in proptest::collection::vec("[ab/*]{0,4}:[ab*]|[ab]", 1..6),
        wanted in "[ab/*]{0,4}:[ab*]|[ab]",
    ) {
        let list = |words: &[String]| -> Vec<Scope> {
            words.iter().map(|word| Scope::parse(word).unwrap()).collect()
        };
        let granted = list(&granted);
        let asked: Vec<Scope> =
            list(&words).into_iter().filter(|one| any_covers(&granted, one, false)).collect();
        prop_assume!(!asked.is_empty());
        let mut known = vec![row(Aspect::Door, "api", 10)];
        known.extend(asked.iter().map(|one| row(Aspect::Scope, one.as_str(), 10)));
        let token = Token { scopes: granted.clone(), ..token(&[]) };
        let left = match judged(&token, &known).scopes.proposed {
            Ok(left) => left,
            Err(kept) => { prop_assert_eq!(kept, Kept::Fits); granted.clone() }
        };
        prop_assert!(!left.is_empty());
        for one in &asked {
            prop_assert!(any_covers(&left, one, false), "{} {:?}", one, left);
        }
        let wanted = Scope::parse(&wanted).unwrap();
        prop_assert!(!any_covers(&left, &wanted, false) || any_covers(&granted, &wanted, false));
    }
}

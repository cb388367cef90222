//! Letters as people get them: chosen, filled, and never able to say more than their template.

use std::sync::Arc;

use super::*;
use crate::event::{Origin, Outcome};
use crate::kind::Kind;
use crate::names::{RealmName, Username};
use crate::subject::{User, UserStatus};
use crate::verdict::Door;

fn person(display_name: &str, language: Option<&str>) -> User {
    let attributes = language.map(|tag| ("preferredLanguage".to_owned(), tag.into()));
    User {
        realm: RealmName::parse("main").unwrap(),
        username: Username::parse("plee").unwrap(),
        display_name: Some(display_name.to_owned()),
        emails: vec!["plee@example.org".to_owned()],
        attributes: attributes.into_iter().collect(),
        status: UserStatus::Active,
        unit: None,
        groups: Vec::new(),
        locks: crate::lock::Locks::default(),
        provisioned: crate::subject::Provisioned::default(),
        created_at: Timestamp::EPOCH,
        updated_at: Timestamp::EPOCH,
        version: 1,
    }
}

fn event(kind: &'static str) -> Event {
    let origin = Origin { actor: Arc::from("client:admin"), ..Origin::system(Door::Api) };
    Event {
        id: "e1".into(),
        at: Timestamp::EPOCH,
        realm: RealmName::parse("main").unwrap(),
        kind: kind.into(),
        outcome: Outcome::Done,
        origin,
        token: None,
        subject: None,
        service: None,
        reason: None,
        count: 1,
        detail: None,
    }
}

fn facts(link: Option<(ClearSecret, Timestamp)>) -> Facts<'static> {
    Facts {
        token_name: None,
        kind: Some(Kind::ServiceToken),
        realm: "Example",
        services: vec!["Wiki".into()],
        labels: vec!["wiki".into()],
        owner: "plee".into(),
        keeps: false,
        service_url: None,
        expires_at: None,
        brown_out: None,
        link,
        code: None,
        scopes: String::new(),
        uses: String::new(),
    }
}

fn template(event: &str, subject: &str) -> LetterTemplate {
    LetterTemplate {
        event: event.into(),
        service: None,
        language: None,
        subject: subject.into(),
        text: "(@CO_PERSON) (@SERVICE) (@AUTHENTICATOR)".into(),
        html: Some("<b>(@CO_PERSON)</b>".into()),
    }
}

#[test]
fn every_built_in_letter_is_one_that_a_realm_could_have_written() {
    let all = LETTER_EVENTS.iter().chain(&LETTER_EVENTS_MORE).chain([&LINK_ISSUED]);
    let all = all.chain(KEEPERS_LETTERS.iter().map(|(_, letter)| letter));
    for kind in all {
        for language in ["en", "de", "fr"] {
            let built_in = texts::of(kind, language).unwrap();
            assert_eq!(built_in.check(), Ok(()), "{kind} {language}");
        }
    }
    assert_eq!(texts::of("user.created", "en"), None);
}

#[test]
fn an_unknown_substitution_is_named_and_so_are_the_known_ones() {
    let (field, what) = template("token.issued", "(@TOKEN) for (@SERVICE)").check().unwrap_err();
    assert_eq!(field, "subject");
    assert!(what.starts_with("knows no (@TOKEN); it knows (@AUTHENTICATOR), (@CO_PERSON)"));
    let refused = |change: fn(&mut LetterTemplate)| {
        let mut bad = template("token.issued", "x");
        change(&mut bad);
        bad.check().unwrap_err().0
    };
    assert_eq!(refused(|t| t.event = "token.stolen".into()), "event");
    assert_eq!(refused(|t| t.subject = "two\nlines".into()), "subject");
    assert_eq!(refused(|t| t.subject = " ".into()), "subject");
    assert_eq!(refused(|t| t.subject = "x".repeat(201)), "subject");
    assert_eq!(refused(|t| t.text = "(@CO_PERSON".into()), "text");
    assert_eq!(refused(|t| t.text = "(@IDENTIFIER:)".into()), "text");
    assert_eq!(refused(|t| t.text = "x".repeat((16 << 10) + 1)), "text");
    assert_eq!(refused(|t| t.html = Some("(@co_person)".into())), "html");
    assert_eq!(refused(|t| t.language = Some("de-AT".into())), "language");
    assert_eq!(refused(|t| t.service = Some("no label".into())), "service");
    assert_eq!(template("issued-by-link", "(@IDENTIFIER:voPersonID)").check(), Ok(()));
}

#[test]
fn the_closest_template_wins_and_the_built_in_one_is_the_last_resort() {
    let own = |service: Option<&str>, language: Option<&str>, subject: &str| LetterTemplate {
        service: service.map(Into::into),
        language: language.map(Into::into),
        ..template("token.issued", subject)
    };
    let mut templates = vec![
        own(None, None, "all"),
        own(None, Some("de"), "german"),
        own(Some("wiki"), None, "wiki"),
        own(Some("wiki"), Some("de"), "wiki, german"),
        own(Some("imap"), Some("de"), "imap"),
    ];
    let subject = |templates: &[LetterTemplate], language| {
        let user = person("Pat Lee", language);
        let letter = Letter::of(&event("token.issued"), &user, templates, facts(None));
        letter.unwrap().written(None).subject
    };
    for expected in ["wiki, german", "wiki", "german", "all"] {
        assert_eq!(subject(&templates, Some("de-AT")), expected);
        templates.retain(|template| template.subject != expected);
    }
    assert_eq!(subject(&templates, Some("de-AT")), "Wiki: Token ausgestellt");
    assert_eq!(subject(&templates, Some("fr")), "Wiki: a token was issued");
    assert_eq!(subject(&templates, None), "Wiki: a token was issued");
}

#[test]
fn a_name_can_neither_begin_a_header_nor_close_a_tag() {
    let user = person("Pat\r\nBcc: all@example.org <b>\u{202e}\u{2028}", None);
    let templates = [template("token.issued", "for (@CO_PERSON)")];
    let letter = Letter::of(&event("token.issued"), &user, &templates, facts(None)).unwrap();
    let written = letter.written(None);
    assert_eq!(written.subject, "for Pat  Bcc: all@example.org <b>");
    assert_eq!(letter.name, "Pat  Bcc: all@example.org <b>");
    assert_eq!(written.html.unwrap(), "<b>Pat  Bcc: all@example.org &lt;b&gt;</b>");
    assert_eq!(written.text, "Pat  Bcc: all@example.org <b> Wiki service token");
}

#[test]
fn a_letter_about_all_tokens_names_none() {
    let told = Facts { kind: None, ..facts(None) };
    let letter = Letter::of(&event("service.locked"), &person("Pat Lee", None), &[], told).unwrap();
    let written = letter.written(None);
    assert_eq!(written.subject, "Wiki: the service was locked");
    assert_eq!(
        written.text,
        "Hello Pat Lee,\n\nNo token for Wiki works until this lock is taken away, neither yours nor \
         anybody else's.\n\nService: Wiki\nWhen:    1970-01-01 00:00 UTC, by admin\n\n\
         If you did not expect this, ask whoever looks after Example.\n"
    );
    let templates = [template("user.locked", "(@AUTHENTICATOR)")];
    let told = Facts { kind: None, ..facts(None) };
    let letter = Letter::of(&event("user.locked"), &person("Pat Lee", None), &templates, told);
    assert_eq!(letter.unwrap().written(None).subject, "all tokens");
}

#[test]
fn a_value_is_not_looked_through_for_substitutions() {
    let user = person("(@LINK)", None);
    let templates = [template("token.issued", "(@CO_PERSON)")];
    let letter = Letter::of(&event("token.issued"), &user, &templates, facts(None)).unwrap();
    assert_eq!(letter.written(Some("https://x/#s")).subject, "(@LINK)");
}

#[test]
fn a_link_has_a_letter_of_its_own_and_is_not_shown_by_debug() {
    let link = ClearSecret::new("cflb_link".to_owned());
    let ends = Timestamp::from_seconds(3_600);
    let user = person("Pat Lee", None);
    let told = facts(Some((link, ends)));
    let letter = Letter::of(&event("token.issued"), &user, &[], told).unwrap();
    assert!(!format!("{letter:?}").contains("cflb"));
    let written = letter.written(Some("https://x/open#cflb_link"));
    assert_eq!(written.subject, "Wiki: your new token is waiting");
    assert!(written.text.contains("\nhttps://x/open#cflb_link\n"));
    assert!(written.text.contains("until 1970-01-01 01:00 UTC"));
}

#[test]
fn somebody_without_an_address_gets_no_letter() {
    let user = User { emails: vec![" ".into()], ..person("Pat Lee", None) };
    assert_eq!(Letter::of(&event("token.issued"), &user, &[], facts(None)), None);
}

#[test]
fn a_letter_about_an_alarm_says_what_the_token_may_do_and_where_it_was_used_and_found() {
    let mut leaked = event("token.leaked");
    leaked.reason = Some("revoke".to_owned());
    leaked.detail = Some(serde_json::json!({ "url": "https://example.org/x" }));
    leaked.origin.source = Some([192, 0, 2, 7].into());
    let lately = "2026-11-20 ldap 3x 192.0.2.4".to_owned();
    for (language, words) in [
        ("en", ["What was done: revoke", "May do:    read", "Found at:  https://example.org/x"]),
        ("de", ["Maßnahme: revoke", "Darf:       read", "Fundstelle: https://example.org/x"]),
    ] {
        let facts = Facts { scopes: "read".to_owned(), uses: lately.clone(), ..facts(None) };
        let user = person("Pat Lee", Some(language));
        let written = Letter::of(&leaked, &user, &[], facts).unwrap().written(None);
        for expected in words.into_iter().chain([lately.as_str(), "192.0.2.7"]) {
            assert!(written.text.contains(expected), "{expected} in {}", written.text);
        }
    }
}

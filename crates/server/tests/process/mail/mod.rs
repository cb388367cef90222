//! Letters to people, through a real mail server: what they say, and that none is lost or a lie.

mod codes;
mod endings;
mod outages;
mod sink;

use std::time::Duration;

use serde_json::{Value, json};

use self::sink::{Mail, PASSWORD, Sink};
use crate::harness::await_true;
use crate::wire::{Api, Request};
use crate::world::{Issued, World, merged, service};

/// How long a worker that died is waited for, and then some.
const TAKEOVER: Duration = Duration::from_mins(1);

/// An installation with Pat Lee, the service Wiki, and a mail server.
struct Place {
    world: World,
    sink: Sink,
}

impl Place {
    fn new() -> Self {
        Self::with(Sink::new(), &json!({}))
    }

    /// A place whose facts are in the embedded store, then one with a PostgreSQL of its own.
    fn on_each_store(target: &Value) -> impl Iterator<Item = Self> + use<> {
        let target = target.clone();
        [World::new, World::on_postgres].into_iter().map(move |make: fn(&str) -> World| {
            let sink = Sink::new();
            let world = make(&sink.settings());
            Self::at(world, sink, &target)
        })
    }

    fn with(sink: Sink, target: &Value) -> Self {
        let world = World::new(&sink.settings());
        Self::at(world, sink, target)
    }

    fn at(world: World, sink: Sink, target: &Value) -> Self {
        let admin = &world.admin;
        let pat = json!({ "username": "plee", "display_name": "Pat Lee",
            "emails": ["plee@example.org", "second@example.org"],
            "attributes": { "voPersonID": "V097531" } });
        admin.post("/users", &pat).expect(201);
        service(admin, "wiki", &json!({ "name": "The Wiki", "url": "https://wiki.example.org" }));
        let body = merged(json!({ "name": "mail", "kind": "mail" }), target);
        admin.post("/targets", &body).expect(201);
        Self { world, sink }
    }

    fn admin(&self) -> &Api {
        &self.world.admin
    }

    fn issue(&self, user: &str) -> Issued {
        let body = json!({ "kind": "service_token", "user": user, "service": "wiki" });
        Issued::of(&self.admin().post("/tokens", &body).expect(201))
    }

    fn act(&self, token: &Issued, act: &str, body: &Value) {
        self.admin().post(&token.path(&format!("/{act}")), body).expect(200);
    }

    fn deliveries(&self, state: &str) -> Vec<Value> {
        let page = self.admin().get(&format!("/deliveries?target=mail&state={state}")).expect(200);
        page["items"].as_array().unwrap().clone()
    }

    #[track_caller]
    fn settled(&self) {
        let mut looks = 0;
        await_true("everything is delivered", TAKEOVER, || {
            std::thread::park_timeout(Duration::from_millis(150));
            let open = ["waiting", "retrying"].iter().any(|s| !self.deliveries(s).is_empty());
            looks = if open { 0 } else { looks + 1 };
            looks >= 3
        });
    }
}

fn subjects(mails: &[Mail]) -> Vec<String> {
    mails.iter().map(|mail| mail.header("Subject")).collect()
}

#[test]
fn a19_what_happens_to_a_token_is_told_to_its_person_without_the_token() {
    let template = |event: &str| {
        json!({ "event": event, "subject": "(@AUTHENTICATOR) of (@CO_PERSON) for (@SERVICE)",
            "text": "(@CO_PERSON)|(@SERVICE)|(@AUTHENTICATOR)|(@REASON)|(@ACTOR)|(@CO_NAME)|\
                     (@SERVICE_URL)|(@IDENTIFIER:voPersonID)" })
    };
    let templates = json!([template("token.issued"), template("token.revoked")]);
    for place in Place::on_each_store(&json!({ "templates": templates })) {
        let token = place.issue("plee");
        place.act(&token, "revoke", &json!({ "reason": "lost" }));
        let mails = place.sink.await_taken(2);
        let subject = "service token of Pat Lee for The Wiki";
        assert_eq!(subjects(&mails), [subject, subject]);
        let ends = "|main|https://wiki.example.org|V097531";
        for (mail, reason) in mails.iter().zip(["-", "lost"]) {
            let expected = format!("Pat Lee|The Wiki|service token|{reason}|admin{ends}");
            assert_eq!(mail.text.trim_end(), expected);
            assert_eq!(mail.header("To"), "\"Pat Lee\" <plee@example.org>");
            assert_eq!(mail.header("X-To"), "plee@example.org");
            assert_eq!(mail.header("From"), "Tokens <tokens@example.org>");
            assert_eq!(mail.header("Reply-To"), "help@example.org");
            assert_eq!(mail.header("Auto-Submitted"), "auto-generated");
            assert!(mail.header("Message-ID").ends_with("@example.org>"));
        }
        assert_ne!(mails[0].header("Message-ID"), mails[1].header("Message-ID"));
        no_secret_in(&place, &[token]);
    }
}

#[track_caller]
fn no_secret_in(place: &Place, tokens: &[Issued]) {
    place.settled();
    for mail in place.sink.taken() {
        for token in tokens {
            let bare = token.secret.replace('-', "");
            for text in [&mail.raw, &mail.text, &mail.header("Subject")] {
                assert!(!text.contains(&token.secret) && !text.contains(&bare), "{}", mail.raw);
            }
        }
    }
}

#[test]
fn a19_every_event_of_a_token_has_a_letter_in_the_language_of_its_person() {
    for place in Place::on_each_store(&json!({})) {
        let token = place.issue("plee");
        place.act(&token, "lock", &json!({}));
        place.act(&token, "unlock", &json!({}));
        place.sink.await_taken(3);
        let german = json!({ "attributes": { "preferredLanguage": "de-DE" } });
        place.admin().patch("/users/plee", &german).expect(200);
        let rotated = place.admin().post(&token.path("/rotate"), &json!({})).expect(200);
        place.act(&token, "revoke", &json!({}));
        let mails = place.sink.await_taken(5);
        let expected = [
            "The Wiki: a token was issued",
            "The Wiki: a token was locked",
            "The Wiki: a token was unlocked",
            "The Wiki: Token erneuert",
            "The Wiki: Token widerrufen",
        ];
        assert_eq!(subjects(&mails), expected);
        assert!(mails[0].text.contains("Hello Pat Lee,"), "{}", mails[0].text);
        assert!(mails[0].text.contains(&format!("service token, id {}", token.id)));
        assert!(mails[4].text.contains("Guten Tag Pat Lee,"), "{}", mails[4].text);
        assert!(mails[4].text.contains("endgültig widerrufen"), "{}", mails[4].text);
        assert_eq!(mails[4].header("Content-Language"), "de");
        no_secret_in(&place, &[token, Issued::of(&rotated)]);
    }
}

#[test]
fn a_lock_of_a_person_or_a_service_is_told_once_to_each_whom_it_hits_and_so_is_its_end() {
    for place in Place::on_each_store(&json!({})) {
        service(place.admin(), "imap", &json!({ "name": "Mail" }));
        // Two who have a token for the service, one of them for every service; one who has one for
        // another; one who has one no more; and one without an address.
        for name in ["star", "other", "former", "mute"] {
            let emails = if name == "mute" { json!([]) } else { json!([format!("{name}@x.org")]) };
            let body = json!({ "username": name, "emails": emails });
            place.admin().post("/users", &body).expect(201);
        }
        let everything = json!({ "kind": "personal_access_token", "user": "star",
            "services": ["*"], "delivery": "response" });
        place.admin().post("/tokens", &everything).expect(201);
        for name in ["plee", "mute", "former"] {
            let token = place.issue(name);
            if name == "former" {
                place.act(&token, "revoke", &json!({}));
            }
        }
        let imap = json!({ "kind": "service_token", "user": "other", "service": "imap" });
        place.admin().post("/tokens", &imap).expect(201);
        place.settled();
        let before = place.sink.taken().len();
        let told = || {
            place.settled();
            let mails = place.sink.taken();
            let one = |mail: &Mail| format!("{} {}", mail.header("X-To"), mail.header("Subject"));
            let mut lines: Vec<String> = mails[before..].iter().map(one).collect();
            lines.sort();
            lines
        };
        let set = |path: &str, body: Value| place.admin().post(path, &body).expect(200);
        // Nobody but administrators knows of it, and a token for everything tells nobody.
        service(place.admin(), "vault", &json!({ "visibility": "administrators" }));
        set("/services/vault/lock", json!({}));
        for act in ["lock", "lock", "unlock", "unlock"] {
            set(&format!("/services/wiki/{act}"), json!({ "reason": "a breach" }));
        }
        let (plee, star) = ("plee@example.org", "star@x.org");
        let mut expected = Vec::new();
        for who in [plee, star] {
            for act in ["locked", "unlocked"] {
                expected.push(format!("{who} The Wiki: the service was {act}"));
            }
        }
        assert_eq!(told(), expected);
        set("/users/plee/lock", json!({}));
        set("/users/other/lock", json!({ "service": "wiki" }));
        expected.push(format!("{plee} main: your tokens were locked"));
        expected.push("other@x.org The Wiki: your tokens were locked".to_owned());
        expected.sort();
        assert_eq!(told(), expected);
    }
}

#[test]
fn a_token_for_somebody_else_comes_as_a_link_that_works_once() {
    let place = Place::new();
    let body = json!({ "kind": "service_token", "user": "plee", "service": "wiki",
        "delivery": "link" });
    let answer = place.admin().post("/tokens", &body).expect(201);
    let mails = place.sink.await_taken(1);
    assert_eq!(subjects(&mails), ["The Wiki: your new token is waiting"]);
    let link = answer["link"].as_str().unwrap();
    assert!(link.starts_with("https://tokens.example.org/open#cflb_"), "{link}");
    assert!(mails[0].text.lines().any(|line| line == link), "{}", mails[0].text);
    // The letter is the one place where it stands in clear text.
    let secret = link.rsplit('_').next().unwrap();
    for (path, bytes) in place.world.site.files() {
        let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
        assert!(!found, "{} holds the link", path.display());
    }
    let opened = place
        .admin()
        .raw(&Request::new("POST", "/api/v1/links/open").json(&json!({ "link": link })));
    let token = Issued::of(&opened.expect(200));
    let mails = place.sink.await_taken(2);
    assert_eq!(mails[1].header("Subject"), "The Wiki: your link was opened");
    no_secret_in(&place, &[token]);
}

#[test]
fn a_name_with_line_breaks_begins_no_header() {
    let place = Place::new();
    let name = "Pat\r\nBcc: everybody@example.org\r\n\r\nHello";
    let named = place.admin().patch("/users/plee", &json!({ "display_name": name }));
    let name =
        if named.status == 200 { "Pat  Bcc: everybody@example.org    Hello" } else { "Pat Lee" };
    let bad = json!({ "label": "odd", "name": "Odd\r\nBcc: all@example.org" });
    let odd = place.admin().post("/services", &bad).status == 201;
    let body = json!({ "kind": "service_token", "user": "plee",
        "service": if odd { "odd" } else { "wiki" }, "name": "(@SERVICE) <b>" });
    place.admin().post("/tokens", &body).expect(201);
    let mail = place.sink.await_taken(1).remove(0);
    assert_eq!(mail.all("Bcc"), Vec::<String>::new());
    assert_eq!(mail.header("X-To"), "plee@example.org");
    assert!(mail.text.contains(&format!("Hello {name},")), "{}", mail.text);
    assert!(mail.text.contains("(@SERVICE) <b>, id"), "{}", mail.text);
}

#[test]
fn a_template_is_looked_at_when_it_is_saved() {
    let place = Place::new();
    let change = |template: Value| {
        let body = json!({ "templates": [template] });
        place.admin().patch("/targets/mail", &body).expect(422)
    };
    let problem = change(json!({ "event": "token.issued", "subject": "Hello",
        "text": "Your token is (@TOKEN)" }));
    let said = problem.to_string();
    assert!(said.contains("templates[0].text"), "{said}");
    assert!(said.contains("knows no (@TOKEN); it knows (@AUTHENTICATOR), (@CO_PERSON)"), "{said}");
    let said = change(json!({ "event": "user.created", "subject": "x", "text": "x" })).to_string();
    assert!(said.contains("templates[0].event"), "{said}");
    let url = json!({ "name": "two", "kind": "mail", "url": "ldap://127.0.0.1" });
    let said = place.admin().post("/targets", &url).expect(422).to_string();
    assert!(said.contains("[mail]"), "{said}");
}

#[test]
fn a_target_is_told_of_the_services_and_events_that_it_names() {
    let target = json!({ "services": ["wiki"], "events": ["token.revoked"] });
    let place = Place::with(Sink::new(), &target);
    service(place.admin(), "imap", &json!({}));
    let wiki = place.issue("plee");
    let body = json!({ "kind": "service_token", "user": "plee", "service": "imap" });
    let imap = Issued::of(&place.admin().post("/tokens", &body).expect(201));
    // Nobody can be written to who has no address.
    place.admin().post("/users", &json!({ "username": "mute" })).expect(201);
    let mute = place.issue("mute");
    for token in [&imap, &mute, &wiki] {
        place.act(token, "revoke", &json!({}));
    }
    place.settled();
    let mails = place.sink.taken();
    assert_eq!(subjects(&mails), ["The Wiki: a token was revoked"]);
}

#[test]
fn a_test_says_whether_the_mail_server_lets_us_in_and_shows_no_password() {
    let mut place = Place::with(Sink::careful(), &json!({}));
    let tested = |place: &Place| place.admin().post("/targets/mail/test", &json!({})).expect(200);
    let found = tested(&place);
    assert_eq!(found["usable"], true, "{found}");
    let said = found.to_string();
    assert!(
        said.contains("answers inside TLS") && said.contains("counterfoil is let in"),
        "{said}"
    );
    place.issue("plee");
    assert_eq!(place.sink.await_taken(1)[0].header("X-Tls"), "True");
    place.sink.stop();
    let found = tested(&place);
    assert_eq!(found["usable"], false, "{found}");
    place.world.server.stop();
    for (path, bytes) in place.world.site.files() {
        let own = path.file_name().is_some_and(|name| name == "counterfoil.toml");
        let found = bytes.windows(PASSWORD.len()).any(|window| window == PASSWORD.as_bytes());
        assert!(own || !found, "{} holds the password", path.display());
    }
}

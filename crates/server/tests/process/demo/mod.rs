//! `counterfoil demo`: what it fills an installation with, and what it refuses.

mod crawl;
mod tables;

use std::process::Output;

use serde_json::Value;

use crate::cluster::Cluster;
use crate::harness::{Server, Site};
use crate::wire::{Answer, Api, Request};

/// The database of a demo that has one in PostgreSQL.
const DATABASE: &str = "cf";
/// A repository, so that the demo has tokens for it.
const SETTINGS: &str = "[repository.badge]\nkind = \"token\"\n\n\
                        [repository.badge.attributes]\nserialId = {}\n";

/// An installation that the demo has filled, and what it said.
pub(crate) struct Stage {
    pub(crate) said: Value,
    pub(crate) site: Site,
    pub(crate) cluster: Option<Cluster>,
}

/// Signs in through the form, and returns the cookie.
pub(crate) fn sign_in(api: &Api, username: &str, password: &str) -> String {
    let mut form = form_urlencoded::Serializer::new(String::new());
    let fields = [("username", username), ("password", password)];
    let request = Request::new("POST", "/sign-in")
        .header("Content-Type", "application/x-www-form-urlencoded")
        .header("Sec-Fetch-Site", "same-origin")
        .body(form.extend_pairs(fields).finish());
    let answer = api.raw(&request);
    assert_eq!(answer.status, 303, "{}", answer.text());
    answer.header("set-cookie").split(';').next().unwrap().to_owned()
}

/// A page as whoever holds the cookie sees it.
pub(crate) fn look(api: &Api, cookie: &str, path: &str) -> Answer {
    api.raw(&Request::new("GET", path).header("Cookie", cookie))
}

impl Stage {
    /// On the embedded store.
    pub(crate) fn new(seed: u64) -> Self {
        Self::in_place(Site::new(), None, seed)
    }

    /// On a PostgreSQL of its own.
    pub(crate) fn on_postgres(seed: u64) -> Self {
        let cluster = Cluster::start();
        cluster.make_database(DATABASE);
        println!("on PostgreSQL:");
        Self::in_place(Site::new(), Some(cluster), seed)
    }

    fn in_place(site: Site, cluster: Option<Cluster>, seed: u64) -> Self {
        let stage = Self { said: Value::Null, site, cluster };
        std::fs::write(stage.site.path("counterfoil.toml"), stage.settings()).unwrap();
        let played = stage.demo(&["--seed", &seed.to_string()]);
        let error = String::from_utf8_lossy(&played.stderr);
        assert!(played.status.success(), "{error}");
        let said = serde_json::from_slice(&played.stdout).unwrap();
        Self { said, ..stage }
    }

    fn demo(&self, more: &[&str]) -> Output {
        let mut arguments = vec!["demo", "--json"];
        arguments.extend(more);
        self.site.run(&arguments)
    }

    fn settings(&self) -> String {
        let database = self.cluster.iter().map(|cluster| {
            format!("data.database = \"postgres://cf@{}/{DATABASE}\"\n", cluster.host())
        });
        database.chain(["abuse.throttle = false\n".to_owned(), SETTINGS.to_owned()]).collect()
    }

    /// Serves what there is.
    pub(crate) fn serve(&self) -> Server {
        self.site.serve(&self.settings())
    }

    /// Somebody whom the demo named, by their place in its list.
    pub(crate) fn person(&self, place: usize) -> (&str, &str) {
        let one = &self.said["people"][place];
        (one["username"].as_str().unwrap(), one["password"].as_str().unwrap())
    }

    /// The database file of the embedded store.
    pub(crate) fn database(&self) -> std::path::PathBuf {
        self.site.data().join("counterfoil.db")
    }

    fn count(&self, group: &str, name: &str) -> u64 {
        self.said["counts"][group][name].as_u64().unwrap_or_default()
    }
}

/// Every state and every kind that the console has a picture for.
fn there_is_some_of_everything(stage: &Stage) {
    assert_eq!(stage.said["surprises"], serde_json::json!([]));
    for state in [
        "active",
        "revoked",
        "locked",
        "disabled",
        "pending",
        "not_yet_valid",
        "expired",
        "exhausted",
    ] {
        assert!(stage.count("tokens", state) > 0, "no token is {state}: {}", stage.said);
    }
    for kind in [
        "personal_access_token",
        "service_token",
        "registration_token",
        "auth_token",
        "derived_token",
        "client_key",
        "generic",
    ] {
        assert!(stage.count("kinds", kind) > 0, "no token is a {kind}: {}", stage.said);
    }
    let counts = &stage.said["counts"];
    assert!(counts["ending_soon"].as_u64().unwrap() >= 4, "{counts}");
    assert!(counts["uses"].as_u64().unwrap() > 5_000, "{counts}");
    assert!(counts["refusals"].as_u64().unwrap() > 100, "{counts}");
}

/// What the pages and the API show is what the demo said.
fn it_is_served(stage: &Stage) {
    let mut server = stage.serve();
    let api = Api::new(server.address, stage.said["secret"].as_str().unwrap());
    for (state, wanted) in stage.said["counts"]["tokens"].as_object().unwrap() {
        let page = api.get(&format!("/tokens?limit=1000&state={state}")).expect(200);
        let found = page["items"].as_array().unwrap().len() as u64;
        // Since then a token may have come to its end, and the target is another event.
        assert!(found.abs_diff(wanted.as_u64().unwrap()) <= 1, "{state}: {found} of {wanted}");
    }
    let exhausted = api.get("/tokens?kind=registration_token&state=exhausted").expect(200);
    let name = &exhausted["items"][0]["name"];
    assert_eq!(name, "Gateways, pilot", "{exhausted}");
    for place in 0..stage.said["people"].as_array().unwrap().len() {
        let (username, password) = stage.person(place);
        let cookie = sign_in(&api, username, password);
        let page = look(&api, &cookie, "/");
        assert_eq!(page.status, 200, "{username}: {}", page.text());
    }
    let (username, password) = stage.person(0);
    let cookie = sign_in(&api, username, password);
    for look_at in stage.said["looks"].as_array().unwrap() {
        let path = look_at["path"].as_str().unwrap();
        assert_eq!(look(&api, &cookie, path).status, 200, "{look_at}");
    }
    assert!(server.stop().success());
}

/// There is a group that people join and leave by themselves, from the card of its service.
fn a_club_can_be_joined(stage: &Stage) {
    let server = stage.serve();
    let api = Api::new(server.address, stage.said["secret"].as_str().unwrap());
    let (username, password) = stage.person(4);
    let cookie = sign_in(&api, username, password);
    let form = "/services/boats/membership";
    for (act, can) in [("join", true), ("leave", false)] {
        let home = look(&api, &cookie, "/").text();
        let card = home.split("id=\"service-boats\"").nth(1).unwrap();
        let card = card.split("</section>").next().unwrap();
        assert!(card.contains(&format!("value=\"{act}\"")), "{card}");
        let mark = card.split("name=\"mark\" value=\"").nth(1).unwrap();
        let mark = mark.split('"').next().unwrap();
        let request = Request::new("POST", form)
            .header("Content-Type", "application/x-www-form-urlencoded")
            .header("Sec-Fetch-Site", "same-origin")
            .header("Cookie", cookie.clone())
            .body(format!("mark={mark}&act={act}"));
        let answer = api.raw(&request);
        assert_eq!(answer.status, 303, "{}", answer.text());
        let home = look(&api, &cookie, "/").text();
        assert_eq!(home.contains("href=\"/services/boats/new\""), can, "{act}");
    }
}

/// Nothing that opens anything lies in the data, neither what was printed nor what was not.
fn nothing_is_in_clear(stage: &Stage) {
    let mut needles: Vec<String> = vec![stage.said["secret"].as_str().unwrap().to_owned()];
    for place in 0..stage.said["people"].as_array().unwrap().len() {
        needles.push(stage.person(place).1.to_owned());
    }
    for (path, bytes) in stage.site.files() {
        for needle in &needles {
            let found = bytes.windows(needle.len()).any(|window| window == needle.as_bytes());
            assert!(!found, "a secret is in {}", path.display());
        }
        assert_eq!(clear_token(&bytes), None, "{}", path.display());
    }
}

/// A whole token in the prefixed form, wherever it stands.
fn clear_token(bytes: &[u8]) -> Option<String> {
    let text = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    (0..bytes.len().saturating_sub(4))
        .filter(|&at| bytes[at..].starts_with(b"cfl") && bytes[at + 4] == b'_')
        .map(|at| bytes[at..].iter().copied().take_while(text).collect::<Vec<u8>>())
        .find(|word| word.len() > 40)
        .map(|word| String::from_utf8_lossy(&word).into_owned())
}

fn refused(stage: &Stage) {
    let before = stage.site.files().len();
    let again = stage.demo(&[]);
    let said = String::from_utf8_lossy(&again.stderr);
    assert_eq!(again.status.code(), Some(1), "{said}");
    assert!(said.contains("holds an installation already"), "{said}");
    assert!(again.stdout.is_empty(), "{}", String::from_utf8_lossy(&again.stdout));
    assert_eq!(stage.site.files().len(), before);
}

#[test]
fn the_demo_fills_an_empty_place_with_some_of_everything_and_is_played_once() {
    let stage = Stage::new(1);
    there_is_some_of_everything(&stage);
    refused(&stage);
    it_is_served(&stage);
    a_club_can_be_joined(&stage);
    nothing_is_in_clear(&stage);
}

#[test]
fn the_demo_fills_postgresql_too() {
    let stage = Stage::on_postgres(7);
    there_is_some_of_everything(&stage);
    refused(&stage);
    it_is_served(&stage);
}

#[test]
fn the_demo_is_not_played_into_an_installation_that_is_used() {
    let site = Site::new();
    let made = site.run(&["init", "--json"]);
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let refused = site.run(&["demo"]);
    assert_eq!(refused.status.code(), Some(1));
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(said.contains("only in an empty place"), "{said}");
    // And none of its people is there.
    let server = site.serve("");
    let key: Value = serde_json::from_slice(&made.stdout).unwrap();
    let api = Api::new(server.address, key["secret"].as_str().unwrap());
    assert_eq!(api.get("/users").expect(200)["items"], serde_json::json!([]));
}

#[test]
fn what_is_printed_for_people_says_where_to_go() {
    let site = Site::new();
    let data = site.path("elsewhere");
    let mut command = site.binary();
    let played = command.args(["demo", "--data"]).arg(&data).output().unwrap();
    assert!(played.status.success(), "{}", String::from_utf8_lossy(&played.stderr));
    let said = String::from_utf8_lossy(&played.stdout);
    let serve = format!("counterfoil serve --data {}", data.display());
    for wanted in [&*serve, "dana.kowalski", "COUNTERFOIL_TOKEN", "/admin"] {
        assert!(said.contains(wanted), "no {wanted} in {said}");
    }
}

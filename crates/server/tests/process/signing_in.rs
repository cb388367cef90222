//! What a person types or holds at the console is kept nowhere in clear.

use std::fs;

use crate::harness::{PATIENCE, Server, Site, await_true, printed_link};
use crate::wire::{Answer, Api, Request};

const PASSWORD: &str = "seven-Quiet-Walruses-92";
const NEXT: &str = "eleven-Loud-Pelicans-37";

/// The secret of the link that `serve` prints while nobody can sign in.
fn printed_secret(server: &Server) -> String {
    printed_link(server).rsplit_once('#').unwrap().1.to_owned()
}

fn post(api: &Api, path: &str, cookie: &str, fields: &[(&str, &str)]) -> Answer {
    let mut form = form_urlencoded::Serializer::new(String::new());
    let body = form.extend_pairs(fields).finish();
    let request = Request::new("POST", path)
        .header("Content-Type", "application/x-www-form-urlencoded")
        .header("Sec-Fetch-Site", "same-origin")
        .header("Cookie", cookie)
        .body(body);
    api.raw(&request)
}

fn cookie_of(answer: &Answer) -> String {
    assert_eq!(answer.status, 303, "{}", answer.text());
    answer.header("set-cookie").split(';').next().unwrap().to_owned()
}

fn field(page: &Answer, marker: &str) -> String {
    assert_eq!(page.status, 200, "{}", page.text());
    let text = page.text();
    let rest = text.split(marker).nth(1).unwrap();
    rest.split("value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned()
}

#[test]
fn what_a_person_types_or_holds_at_the_console_is_nowhere_in_clear() {
    let site = Site::new();
    let settings = "log.level = \"trace\"\nabuse.throttle = false";
    let mut server = site.serve(settings);
    let (link, api) = (printed_secret(&server), site.admin(&server));
    let service = serde_json::json!({ "label": "git" });
    api.post("/services", &service).expect(201);
    let chosen =
        [("link", &*link), ("username", "root"), ("password", PASSWORD), ("again", PASSWORD)];
    let first = cookie_of(&post(&api, "/setup/finish", "", &chosen));
    let look =
        |cookie: &str, path: &str| api.raw(&Request::new("GET", path).header("Cookie", cookie));
    let sign_in = [("username", "root"), ("password", PASSWORD)];
    let second = cookie_of(&post(&api, "/sign-in", &first, &sign_in));
    let form = look(&second, "/services/git/new");
    let (mark, once) = (field(&form, "name=\"mark\""), field(&form, "name=\"once\""));
    let wish =
        [("mark", &*mark), ("once", &*once), ("name", "x"), ("kind", "personal_access_token")];
    let shown = post(&api, "/services/git/new", &second, &wish);
    let secret = field(&shown, "id=\"secret\"");
    let devices = look(&second, "/devices");
    let once = field(&devices, "name=\"once\"");
    let device = [("mark", &*mark), ("once", &*once), ("name", "phone"), ("method", "totp")];
    let seed = field(&post(&api, "/devices", &second, &device), "id=\"seed\"");
    let change = [("mark", &*mark), ("former", PASSWORD), ("password", NEXT), ("again", NEXT)];
    assert_eq!(post(&api, "/account/password", &second, &change).status, 200);
    // And each where it does not belong.
    for text in [PASSWORD, NEXT, &link, &first, &second, &secret, &seed] {
        post(&api, "/sign-in", text, &[("username", text), ("password", text), ("next", text)]);
        post(&api, "/setup", text, &[("link", text)]);
        let pairs = [("mark", text), ("former", text), ("act", text), ("once", text)];
        for path in [
            "/account/password",
            "/tokens/000000000000/switch",
            "/services/git/new",
            "/devices",
            "/devices/000000000000/confirm",
        ] {
            post(&api, path, &second, &pairs);
        }
        let cookie = format!("counterfoil={text}");
        for path in ["/", "/account", "/tokens/none", "/admin"] {
            look(&cookie, path);
        }
    }
    let events = api.get("/events?limit=1000").text();
    assert!(server.stop().success());
    let tail = |text: &str| text.rsplit(['.', '_']).next().unwrap()[..14].to_owned();
    let needles = [
        PASSWORD.to_owned(),
        NEXT.to_owned(),
        tail(&first),
        tail(&second),
        tail(&secret),
        mark,
        seed,
    ];
    for needle in needles.iter().chain([&tail(&link)]) {
        assert!(!events.contains(needle.as_str()), "{needle} in {events}");
        for (path, bytes) in site.files() {
            let told =
                path.to_string_lossy().ends_with("setup-link") && link.contains(needle.as_str());
            let found = bytes.windows(needle.len()).any(|window| window == needle.as_bytes());
            assert!(told || !found, "{needle} in {}", path.display());
        }
    }
    // Somebody can sign in now, so the next start makes no link, and takes away the former one.
    let again = site.serve(settings);
    await_true("the link is taken away", PATIENCE, || !site.data().join("setup-link").exists());
    assert!(!fs::read_to_string(&again.stdout).unwrap().contains("Nobody can sign in"));
}

//! Pages in an installation with many tokens and many people: how long a person waits for one.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};

use super::CONNECTIONS;
use crate::bench::load::{self, Pressure, Requests, alternate};
use crate::bench::record::{Bar, Record};
use crate::bench::world::{REALM, World, serve, user_name};
use crate::http::{self, Api};
use crate::server::{Server, pause};

/// People of the installation; the promise is about a hundred thousand.
const PEOPLE: u64 = 100_000;
/// The longest that a page may take, microseconds.
const PAGE_US_MAX: f64 = 50_000.0;
const CACHE_BYTES: u64 = 64 << 20;

/// Whom the case signs in as. The store holds nothing but what was made for the case.
const ADMINISTRATOR: &str = "bench-root";
const PASSWORD: &str = "walnut-harbour-seven-lamps";

/// Pages of the console, as its administrator sees them.
const PAGES: [&str; 14] = [
    "/",
    "/account",
    "/admin",
    "/admin/tokens",
    "/admin/tokens?state=active",
    "/admin/tokens?state=revoked",
    "/admin/people",
    "/admin/people/u50000",
    "/admin/search?q=u50000",
    "/admin/services",
    "/admin/clients",
    "/admin/registration-tokens",
    "/admin/audit",
    "/admin/audit?kind=realm.updated",
];
/// What the overview says until everything was counted once, which is done beside requests.
const COUNTING: &str = "being counted";
/// Seconds until then at most.
const COUNTING_SECONDS_MAX: u32 = 300;
/// Lists of the API that pages and programs read.
const LISTS: [&str; 7] = [
    "/tokens?limit=100",
    "/tokens?limit=100&state=active",
    "/tokens?limit=100&state=revoked",
    "/tokens?limit=100&kind=service_token",
    "/users?limit=100",
    "/events?limit=100",
    "/events?limit=100&kind=realm.updated",
];

/// Median and 99th percentile of each page, for one person alone and beside others.
pub(crate) fn console(world: &World, into: &mut Record) -> Result<()> {
    let tokens = world.options.tokens;
    let store = world.crowd(tokens, PEOPLE)?;
    let (server, api) = serve(world, &store.directory, CACHE_BYTES, &[])?;
    let cookie = session(&server, &store.directory.path.join("server.log"))?;
    let hello = world.hello()?;
    let scratch = world.scratch("console")?;
    let case = Case { world, server: &server, hello: &hello, scratch: &scratch };
    into.note(&format!("an installation with {tokens} tokens and {PEOPLE} people:"));
    for path in PAGES {
        case.page(path, &format!("Cookie: {cookie}"), into)?;
    }
    for path in LISTS {
        case.page(&format!("{REALM}{path}"), &bearer(&api), into)?;
    }
    let of_one = format!("{REALM}/tokens?limit=100&user={}", user_name(PEOPLE / 2));
    case.page(&of_one, &bearer(&api), into)?;
    case.page(&far_page(&api)?, &bearer(&api), into)
}

fn bearer(api: &Api) -> String {
    format!("Authorization: Bearer {}", api.key)
}

/// The tenth page of all tokens: a place is found by its key, however far down it is.
fn far_page(api: &Api) -> Result<String> {
    let mut path = format!("{REALM}/tokens?limit=1000");
    for _ in 1..10 {
        let page = api.json("GET", &path, &serde_json::Value::Null)?;
        let Some(next) = page["next_cursor"].as_str() else { break };
        path = format!("{REALM}/tokens?limit=1000&cursor={next}");
    }
    Ok(path.replace("limit=1000", "limit=100"))
}

/// What every page is measured with.
struct Case<'a> {
    world: &'a World,
    server: &'a Server,
    hello: &'a Server,
    scratch: &'a Path,
}

impl Case<'_> {
    fn page(&self, path: &str, credential: &str, into: &mut Record) -> Result<()> {
        let Some(()) = self.counted(path, credential)? else {
            into.note(&format!("there is no page {path}"));
            return Ok(());
        };
        let requests = self.requests(path, credential)?;
        let options = &self.world.options;
        let ours = (self.server.address, self.server.id());
        let bare = (self.hello.address, self.hello.id());
        let of = |connections| {
            let pressure = Pressure { connections, seconds: options.seconds, offset: 0 };
            alternate(bare, ours, &requests, options.rounds, pressure)
        };
        // What counts is how long somebody waits who is alone; beside it what a page costs.
        let alone = of(1)?;
        let shown = path.strip_prefix(REALM).unwrap_or(path);
        let shown = match shown.split_once("&cursor=") {
            Some((list, _)) => format!("{list}, ten thousand down"),
            None => shown.to_owned(),
        };
        let met = alone.ours.p99_us <= PAGE_US_MAX;
        into.compare(&format!("page {shown}, one after the other"), &alone, "", true);
        let bar = Some(Bar::AtMost(PAGE_US_MAX / 1000.0));
        into.figure(&format!("page {shown}: median"), alone.ours.p50_us / 1000.0, "ms", bar);
        let p99 = format!("page {shown}: 99th percentile");
        into.figure(&p99, alone.ours.p99_us / 1000.0, "ms", bar);
        if met {
            into.compare(
                &format!("page {shown}, {CONNECTIONS} at once"),
                &of(CONNECTIONS)?,
                "",
                true,
            );
        }
        load::settle();
        Ok(())
    }

    /// Waits until a page says all that it has to say; `None` if there is no such page.
    fn counted(&self, path: &str, credential: &str) -> Result<Option<()>> {
        let line = format!("GET {path}");
        for _ in 0..COUNTING_SECONDS_MAX {
            let answer = http::request_under(self.server.address, &line, credential, "")?;
            if matches!(answer.status, 404 | 405) {
                return Ok(None);
            }
            ensure!(answer.status == 200, "{path}: {} {}", answer.status, answer.body);
            if !answer.body.contains(COUNTING) {
                return Ok(Some(()));
            }
            pause(Duration::from_secs(1));
        }
        bail!("{path} is still counting")
    }

    fn requests(&self, path: &str, credential: &str) -> Result<Requests> {
        let lines = self.scratch.join("lines.txt");
        // The generator wants lines; a page is the same each time.
        std::fs::write(&lines, "1\n")?;
        let head = format!("GET {path} HTTP/1.1\r\n{credential}\r\nX-Line: @LINE@");
        let template = load::template(&self.scratch.join("page.http"), &head, "", 0)?;
        Ok(Requests { template, lines })
    }
}

/// Signs in; at first by the link that the server keeps where it says.
fn session(server: &Server, log: &Path) -> Result<String> {
    let sign_in = format!("username={ADMINISTRATOR}&password={PASSWORD}");
    if let Some(cookie) = cookie_after(server.address, "/sign-in", &sign_in)? {
        return Ok(cookie);
    }
    let printed = std::fs::read_to_string(log)?;
    let place = printed.lines().find_map(|line| line.strip_prefix("it is in ")?.split_once(','));
    let (file, _) = place.context("the server keeps no link for the first administrator")?;
    let link = std::fs::read_to_string(file)?;
    let (_, link) = link.trim().split_once("/setup#").context("no link of the console")?;
    let chosen = format!("link={link}&{sign_in}&again={PASSWORD}");
    let cookie = cookie_after(server.address, "/setup/finish", &chosen)?;
    cookie.context("the first administrator could not be made")
}

/// The cookie that a form is answered with, if it is one of a session.
fn cookie_after(address: SocketAddr, path: &str, form: &str) -> Result<Option<String>> {
    let (status, head) = http::posted_form(address, path, form)?;
    let cookie = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        let value = value.trim().split(';').next()?;
        let is_session = name.eq_ignore_ascii_case("set-cookie") && value.contains('.');
        is_session.then(|| value.to_owned())
    });
    Ok(cookie.filter(|_| status == 303))
}

//! Single sign-on against `oidc-provider`, which nobody here wrote.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use serde_json::json;

use crate::harness::{PATIENCE, Server, Site, await_true};
use crate::wire::{Answer, Api, Request};

/// The secret that the script of the provider knows.
pub(crate) const SECRET: &str = "a secret of the client, 32 bytes and more";
/// More steps on the way there and back than there are.
const STEPS_MAX: usize = 20;

/// Where the packages are that the provider is made of.
pub(crate) fn packages() -> Option<PathBuf> {
    let home = std::env::var_os("COUNTERFOIL_OIDC_NODE").map(PathBuf::from);
    let found = home.filter(|path| path.is_dir());
    assert!(found.is_some() || std::env::var_os("CI").is_none(), "no provider for this test");
    if found.is_none() {
        println!("left out: COUNTERFOIL_OIDC_NODE names no directory with oidc-provider");
    }
    found
}

/// The provider as a process; it ends with this value.
pub(crate) struct Provider {
    child: Child,
    said: BufReader<ChildStdout>,
    pub(crate) address: SocketAddr,
}

impl Provider {
    /// One that answers nothing yet.
    pub(crate) fn start(packages: &Path) -> Self {
        let mut child = Command::new("node")
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/process/openid_provider.cjs"))
            .arg(packages)
            .env("NODE_ENV", "production")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let said = BufReader::new(child.stdout.take().unwrap());
        let mut provider = Self { child, said, address: ([127, 0, 0, 1], 0).into() };
        let port = provider.line().parse().unwrap();
        provider.address.set_port(port);
        provider
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        assert!(self.said.read_line(&mut line).unwrap() > 0, "the provider ended");
        line.trim().to_owned()
    }

    /// Begins anew, with a key of this kind and a clock that is off by so much.
    pub(crate) fn become_new(&mut self, server: &Server, key: &str, shift_seconds: i64) {
        let redirect_uri = format!("http://{}/sign-in/oidc/callback", server.address);
        let told = json!({
            "redirect_uri": redirect_uri, "key": key, "shift_seconds": shift_seconds,
        });
        writeln!(self.child.stdin.as_mut().unwrap(), "{told}").unwrap();
        // It has notices of its own to print.
        while self.line() != "ready" {}
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A browser at both of them.
struct Browser {
    ours: Api,
    theirs: Api,
    our_jar: BTreeMap<String, String>,
    their_jar: BTreeMap<String, String>,
    /// What nobody else may ever read: what it held on the way, and the codes it brought back.
    secrets: Vec<String>,
}

fn kept(jar: &mut BTreeMap<String, String>, answer: &Answer) {
    for set in answer.headers("set-cookie") {
        let (name, value) = set.split(';').next().unwrap().split_once('=').unwrap();
        if value.is_empty() || set.contains("Max-Age=0") || set.contains("expires=Thu, 01 Jan 1970")
        {
            jar.remove(name);
        } else {
            jar.insert(name.to_owned(), value.to_owned());
        }
    }
}

fn sent(jar: &BTreeMap<String, String>) -> String {
    let pairs: Vec<String> = jar.iter().map(|(name, value)| format!("{name}={value}")).collect();
    pairs.join("; ")
}

fn form(fields: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}

/// What stands between two texts of a page.
#[track_caller]
fn between(page: &str, before: &str, after: &str) -> String {
    let rest = page.split(before).nth(1).unwrap_or_else(|| panic!("no {before} in {page}"));
    rest.split(after).next().unwrap().replace("&#38;", "&")
}

impl Browser {
    fn new(server: &Server, provider: &Provider) -> Self {
        let (ours, theirs) = (Api::new(server.address, ""), Api::new(provider.address, ""));
        let (our_jar, their_jar) = (BTreeMap::new(), BTreeMap::new());
        Self { ours, theirs, our_jar, their_jar, secrets: Vec::new() }
    }

    fn get(&mut self, path: &str) -> Answer {
        let request = Request::new("GET", path).header("Cookie", sent(&self.our_jar));
        let answer = self.ours.raw(&request);
        kept(&mut self.our_jar, &answer);
        answer
    }

    fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let request = Request::new("POST", path)
            .header("Content-Type", "application/x-www-form-urlencoded")
            .header("Sec-Fetch-Site", "same-origin")
            .header("Cookie", sent(&self.our_jar))
            .body(form(fields));
        let answer = self.ours.raw(&request);
        kept(&mut self.our_jar, &answer);
        answer
    }

    /// Asks the provider, as somebody would who types a name and any password.
    fn there(&mut self, address: &str, fields: Option<&[(&str, &str)]>) -> Answer {
        let base = format!("http://{}", self.theirs.address);
        let path = address.strip_prefix(&base).unwrap_or(address);
        let request = match fields {
            None => Request::new("GET", path),
            Some(fields) => Request::new("POST", path)
                .header("Content-Type", "application/x-www-form-urlencoded")
                .body(form(fields)),
        };
        let answer = self.theirs.raw(&request.header("Cookie", sent(&self.their_jar)));
        kept(&mut self.their_jar, &answer);
        answer
    }

    /// Where the provider sends back to, after all that it asks of `name`.
    fn way_back(&mut self, leaving: &Answer, name: &str) -> String {
        assert_eq!(leaving.status, 200, "{}", leaving.text());
        let mut place = between(&leaving.text(), "id=\"provider\" href=\"", "\"");
        let held = self.our_jar["counterfoil-flow"].split_once('.').unwrap().1.to_owned();
        self.secrets.push(held);
        for _ in 0..STEPS_MAX {
            let mut answer = self.there(&place, None);
            if answer.status == 200 {
                let page = answer.text();
                let prompt = between(&page, "name=\"prompt\" value=\"", "\"");
                let fields = [("prompt", prompt.as_str()), ("login", name), ("password", "any")];
                answer = self.there(&place, Some(&fields));
            }
            assert!([302, 303].contains(&answer.status), "{} {}", answer.status, answer.text());
            answer.header("location").clone_into(&mut place);
            if let Some((_, query)) = place.split_once("/sign-in/oidc/callback") {
                self.secrets.push(between(query, "code=", "&"));
                return format!("/sign-in/oidc/callback{query}");
            }
        }
        panic!("no way back from {place}");
    }

    fn leave(&mut self) -> Answer {
        self.post("/sign-in/oidc", &[("next", "/account")])
    }

    fn sign_in(&mut self, name: &str) -> Answer {
        let leaving = self.leave();
        let back = self.way_back(&leaving, name);
        self.get(&back)
    }
}

fn settings(issuer: &str, more: &str) -> String {
    format!(
        "log.level = \"trace\"\n[console]\nstep_up_seconds = 600\n[console.oidc]\n\
         issuer = \"{issuer}\"\nclient_id = \"console\"\nclient_secret = \"{SECRET}\"\n\
         {more}\n[console.oidc.roles]\nstaff = \"realm-admin\"\n"
    )
}

/// Waits until a refused sign-in is recorded, whose latest reason is this one.
fn refused_because(api: &Api, reason: &str) {
    await_true(&format!("a sign-in is refused because of {reason}"), PATIENCE, || {
        let told = api.get("/events?kind=session.refused&limit=1").expect(200);
        told["items"][0]["reason"] == reason
    });
}

#[test]
fn somebody_signs_in_with_a_real_provider() {
    let Some(packages) = packages() else { return };
    let site = Site::new();
    let mut provider = Provider::start(&packages);
    // Nobody answers there yet, and the server starts all the same.
    let mut server = site.serve(&settings(&format!("http://{}", provider.address), ""));
    let api = site.admin(&server);
    api.post("/services", &json!({ "label": "git" })).expect(201);
    let mut alice = Browser::new(&server, &provider);
    let away = alice.leave();
    assert_eq!(away.status, 503, "{}", away.text());
    provider.become_new(&server, "es", 0);
    // It is not asked again at once.
    await_true("that it is there now is noticed", PATIENCE, || alice.leave().status == 200);
    let back = alice.sign_in("alice");
    assert_eq!((back.status, back.header("location")), (303, "/account"), "{}", back.text());
    // Groups and name came from its userinfo endpoint: its ID tokens say no more than they must.
    let user = api.get("/users/alice").expect(200);
    assert_eq!(user["display_name"], "Alice Liddell");
    assert_eq!(user["emails"], json!(["alice@example.org"]));
    assert_eq!(alice.get("/admin").status, 200);
    let mut bob = Browser::new(&server, &provider);
    assert_eq!(bob.sign_in("bob").status, 303);
    assert_eq!(bob.get("/admin").status, 403);
    // Other keys of another kind.
    provider.become_new(&server, "rsa", 0);
    assert_eq!(bob.sign_in("bob").status, 303);
    let token = nothing_is_lost_while_somebody_proves_who_they_are(&mut alice, &api);
    what_is_not_right_signs_nobody_in(&provider, &server, &api);
    assert!(server.stop().success());
    let session = alice.our_jar["counterfoil"].split_once('.').unwrap().1.to_owned();
    for secret in alice.secrets.iter().chain([&SECRET.to_owned(), &token, &session]) {
        for (path, bytes) in site.files() {
            let told = path.ends_with("counterfoil.toml");
            let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(told || !found, "{secret} in {}", path.display());
        }
    }
}

/// The answer to the form that asked for a token, after a way to the provider and back.
fn nothing_is_lost_while_somebody_proves_who_they_are(alice: &mut Browser, api: &Api) -> String {
    let page = alice.get("/services/git/new").text();
    let mark = between(&page, "name=\"mark\" value=\"", "\"");
    let once = between(&page, "name=\"once\" value=\"", "\"");
    let fields = [
        ("mark", mark.as_str()),
        ("once", once.as_str()),
        ("name", "laptop & phone"),
        ("kind", "service_token"),
        ("proof_place", "/services/git/new"),
    ];
    let leaving = alice.post("/step-up/oidc", &fields);
    let back = alice.way_back(&leaving, "alice");
    let going_on = alice.get(&back);
    assert_eq!(going_on.status, 200, "{}", going_on.text());
    assert!(going_on.text().contains("action=\"/services/git/new\" data-go-on"));
    let shown = alice.post("/services/git/new", &fields);
    assert_eq!(shown.status, 200, "{}", shown.text());
    let tokens = api.get("/tokens?user=alice").expect(200);
    assert_eq!(tokens["items"][0]["name"], "laptop & phone", "{tokens}");
    let proved = api.get("/events?kind=session.proved").expect(200);
    assert_eq!(proved["items"].as_array().unwrap().len(), 1, "{proved}");
    between(&between(&shown.text(), "id=\"secret\"", ">"), "value=\"", "\"")
}

fn what_is_not_right_signs_nobody_in(provider: &Provider, server: &Server, api: &Api) {
    let mut browser = Browser::new(server, provider);
    // A code again, with all that is ours as it should be.
    let leaving = browser.leave();
    let first = browser.way_back(&leaving, "alice");
    assert_eq!(browser.get(&first).status, 303);
    assert_eq!(browser.get(&first).status, 403, "the same answer again");
    refused_because(api, "state");
    let leaving = browser.leave();
    let next = browser.way_back(&leaving, "alice");
    let code = |back: &str| between(back, "code=", "&");
    let replayed = next.replace(&code(&next), &code(&first));
    assert_eq!(browser.get(&replayed).status, 403, "the same code again");
    refused_because(api, "code");
}

#[test]
fn a_token_that_is_over_signs_nobody_in() {
    let Some(packages) = packages() else { return };
    let site = Site::new();
    let mut provider = Provider::start(&packages);
    let server = site.serve(&settings(&format!("http://{}", provider.address), ""));
    // By its own clock it is in time.
    provider.become_new(&server, "es", -3_600);
    let mut late = Browser::new(&server, &provider);
    assert_eq!(late.sign_in("alice").status, 403);
    refused_because(&site.admin(&server), "id_token_expired");
}

#[test]
fn a_provider_that_calls_itself_otherwise_is_not_believed() {
    let Some(packages) = packages() else { return };
    let site = Site::new();
    let mut provider = Provider::start(&packages);
    let issuer = format!("http://localhost:{}", provider.address.port());
    let server = site.serve(&settings(&issuer, "label = \"the other one\""));
    provider.become_new(&server, "es", 0);
    let mut browser = Browser::new(&server, &provider);
    let page = browser.get("/sign-in");
    assert!(page.text().contains("Sign in with the other one"), "{}", page.text());
    let away = browser.leave();
    assert_eq!(away.status, 503, "{}", away.text());
    assert!(server.log().contains("it calls itself otherwise"), "{}", server.log());
}

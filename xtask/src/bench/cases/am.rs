//! The AM door: one decision about one personal access token, with few policies in its set and with
//! many, beside a bare server.

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use super::{pressure, record};
use crate::bench::load::{self, Requests, alternate};
use crate::bench::record::Record;
use crate::bench::world::{REALM, SERVICE, World, furnish, issue, serve, text_at, user_name};
use crate::http::{Api, request_under};
use crate::server::DataDir;

const CACHE_BYTES: u64 = 64 << 20;
/// People with a token each, who are asked about in turn.
const PEOPLE: u64 = 500;
/// Policies of the larger set.
const POLICIES: u64 = 1_000;
/// The set that every realm has.
const SET: &str = "PATValidator";

/// Whoever asks under a session.
struct Evaluator<'a> {
    api: &'a Api,
    session: String,
}

impl Evaluator<'_> {
    fn header(&self) -> String {
        format!("iPlanetDirectoryPro: {}", self.session)
    }

    fn ask(&self, line: &str, body: &Value) -> Result<Value> {
        request_under(self.api.address, line, &self.header(), &body.to_string())?.json()
    }
}

/// Evaluate with the one policy that there is, then with a thousand more.
pub(crate) fn am(world: &World, into: &mut Record) -> Result<()> {
    let directory = DataDir::create(&world.binary, world.scratch("am")?.join("store"))?;
    let (server, api) = serve(world, &directory, CACHE_BYTES, &[])?;
    furnish(&api, PEOPLE)?;
    let mut lines = String::new();
    for number in 0..PEOPLE {
        let user = user_name(number);
        let (_, secret) = issue(&api, &user, "bench")?;
        lines.extend([user.as_str(), ":", secret.as_str(), "\n"]);
    }
    let evaluator = Evaluator { api: &api, session: login(&api)? };
    let requests = evaluations(&directory, &evaluator, &lines)?;
    let hello = world.hello()?;
    for (more, bar) in [(0, 0.55), (POLICIES, 0.45)] {
        if more > 0 {
            add_policies(&api, more)?;
        }
        prove(&evaluator, &lines)?;
        let (rival, ours) = ((hello.address, hello.id()), (server.address, server.id()));
        let figures = alternate(rival, ours, &requests, world.options.rounds, pressure(world))?;
        let case = format!("AM evaluate of one pat:// resource, {} policies", more + 1);
        record(into, &case, &figures, bar, None);
    }
    Ok(())
}

/// The session of a verifier.
fn login(api: &Api) -> Result<String> {
    let client = json!({ "name": "am-evaluator", "roles": ["verifier"], "services": [SERVICE] });
    let made = api.json("POST", &format!("{REALM}/clients"), &client)?;
    opened(api, "am-evaluator", &text_at(&made, "/secret")?)
}

/// A session of a client, by the exchange of two callbacks.
fn opened(api: &Api, name: &str, key: &str) -> Result<String> {
    let body = json!({
        "authId": "counterfoil-1.",
        "callbacks": [
            { "type": "NameCallback", "input": [{ "name": "IDToken1", "value": name }] },
            { "type": "PasswordCallback", "input": [{ "name": "IDToken2", "value": key }] },
        ],
    });
    let line = "POST /openam/json/authenticate";
    let made = request_under(api.address, line, "Accept: application/json", &body.to_string())?;
    text_at(&made.json()?, "/tokenId")
}

/// Makes the files of the generator.
fn evaluations(directory: &DataDir, evaluator: &Evaluator<'_>, lines: &str) -> Result<Requests> {
    let path = directory.path.join("evaluate.txt");
    std::fs::write(&path, lines)?;
    let length = lines.lines().next().unwrap_or_default().len();
    let head =
        format!("POST /openam/json/policies?_action=evaluate HTTP/1.1\r\n{}", evaluator.header());
    let body = format!(r#"{{"resources":["pat://@LINE@"],"application":"{SET}"}}"#);
    let template = load::template(&directory.path.join("evaluate.http"), &head, &body, length)?;
    Ok(Requests { template, lines: path })
}

/// One policy for each of so many people, most of whom are never asked about.
fn add_policies(api: &Api, count: u64) -> Result<()> {
    let administrator = Evaluator { api, session: opened(api, "admin", &api.key)? };
    let sorts =
        administrator.ask("GET /openam/json/resourcetypes?_queryFilter=true", &Value::Null)?;
    let all = sorts["result"].as_array().into_iter().flatten();
    let pat = all.into_iter().find(|one| one["name"] == "PAT").cloned().unwrap_or_default();
    for number in 0..count {
        let policy = json!({
            "name": format!("bench {number}"), "active": true, "applicationName": SET,
            "resourceTypeUuid": pat["uuid"],
            "resources": [format!("pat://{}:*", user_name(number))],
            "actionValues": { "access": true },
            "subject": { "type": "AuthenticatedUsers" },
        });
        administrator.ask("POST /openam/json/policies?_action=create", &policy)?;
    }
    Ok(())
}

/// What is loaded must be good: refusals are cheap.
fn prove(evaluator: &Evaluator<'_>, lines: &str) -> Result<()> {
    let line = lines.lines().next().unwrap_or_default();
    let body = json!({ "resources": [format!("pat://{line}")], "application": SET });
    let decided = evaluator.ask("POST /openam/json/policies?_action=evaluate", &body)?;
    ensure!(decided[0]["actions"]["access"] == true, "a token is refused: {decided}");
    Ok(())
}

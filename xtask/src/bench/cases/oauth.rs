//! OAuth: introspection beside a bare server and beside oidc-provider, and what is durable of it
//! beside durable issue.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::issue::{USERS, issue_requests};
use super::{CONNECTIONS, pressure, record};
use crate::bench::load::{self, Measured, Requests, alternate};
use crate::bench::record::{Bar, Record};
use crate::bench::world::{REALM, SERVICE, World, furnish, serve, text_at};
use crate::clock::Deadline;
use crate::command::{self, Show};
use crate::http::{Api, form};
use crate::server::{DataDir, Server, free_address};
use crate::workspace::root;

const CACHE_BYTES: u64 = 64 << 20;

/// Access tokens that are asked about in turn, of ours and of the rival's.
const ACCESS_TOKENS: usize = 500;

/// Devices that refresh: more than there are connections.
const DEVICES: usize = 256;

/// The rival's client, as its script has it.
const RIVAL_CLIENT: &str = "client_id=bench&client_secret=bench-secret-of-no-value-0123456789";

/// What a server is asked for by form: where, as whom, and about which tokens.
struct Introspection {
    path: &'static str,
    /// The value of `Authorization`.
    authorization: String,
    /// What the form begins with, for a client that authenticates there.
    form: String,
    tokens: Vec<String>,
}

impl Introspection {
    /// An administrator asks our server.
    fn ours(api: &Api, tokens: Vec<String>) -> Self {
        let authorization = format!("Bearer {}", api.key);
        Self { path: "/oauth2/introspect", authorization, form: String::new(), tokens }
    }
}

/// Introspection, refresh and enrolment.
pub(crate) fn oauth(world: &World, into: &mut Record) -> Result<()> {
    let directory = DataDir::create(&world.binary, world.scratch("oauth")?.join("store"))?;
    let (server, api) = serve(world, &directory, CACHE_BYTES, &[])?;
    furnish(&api, USERS)?;
    let hello = world.hello()?;
    for (format, bar) in [("opaque", 0.65), ("jwt", 0.60)] {
        let requests = our_introspection(&directory, &api, format, format)?;
        let (rival, ours) = ((hello.address, hello.id()), (server.address, server.id()));
        let figures = alternate(rival, ours, &requests, world.options.rounds, pressure(world))?;
        let case = format!("introspection of {ACCESS_TOKENS} access tokens, {format}");
        record(into, &case, &figures, bar, None);
    }
    beside_oidc_provider(world, &directory, &server, &api, into)?;
    durable(world, &directory, &server, &api, into)
}

/// The requests of a client that asks about access tokens of one format.
fn our_introspection(directory: &DataDir, api: &Api, name: &str, format: &str) -> Result<Requests> {
    let client = json!({ "name": name, "roles": ["verifier"], "services": [SERVICE],
                         "oauth": { "access_token_format": format } });
    let made = api.json("POST", &format!("{REALM}/clients"), &client)?;
    let client = format!("client_id={name}&client_secret={}", text_at(&made, "/secret")?);
    let tokens = access_tokens(api, "/oauth2/token", &client)?;
    let asked = Introspection::ours(api, tokens);
    prove(api, &asked)?;
    introspection(&directory.path, name, &asked)
}

/// Lets a client have access tokens by its own credentials.
fn access_tokens(api: &Api, path: &str, client: &str) -> Result<Vec<String>> {
    let body = format!("grant_type=client_credentials&{client}");
    let token = |_| text_at(&form(api.address, path, "", &body)?.json()?, "/access_token");
    (0..ACCESS_TOKENS).map(token).collect()
}

/// Makes the files of the generator.
fn introspection(directory: &Path, name: &str, asked: &Introspection) -> Result<Requests> {
    let length = asked.tokens.first().context("no access token")?.len();
    let lines = directory.join(format!("{name}.txt"));
    std::fs::write(&lines, asked.tokens.join("\n") + "\n")?;
    let mut head = format!("POST {} HTTP/1.1", asked.path);
    if !asked.authorization.is_empty() {
        head = format!("{head}\r\nAuthorization: {}", asked.authorization);
    }
    let path = directory.join(format!("{name}.http"));
    let template =
        load::form_template(&path, &head, &format!("{}token=@LINE@", asked.form), length)?;
    Ok(Requests { template, lines })
}

/// Opaque tokens on both sides, each server with tokens of its own.
fn beside_oidc_provider(
    world: &World,
    directory: &DataDir,
    server: &Server,
    api: &Api,
    into: &mut Record,
) -> Result<()> {
    let rival = oidc_provider(world)?;
    let there = Api { address: rival.address, key: String::new() };
    let tokens = access_tokens(&there, "/token", RIVAL_CLIENT)?;
    let asked = Introspection {
        path: "/token/introspection",
        authorization: String::new(),
        form: format!("{RIVAL_CLIENT}&"),
        tokens,
    };
    let theirs = introspection(&directory.path, "oidc-provider", &asked)?;
    prove(&there, &asked)?;
    // Fresh ones: access tokens live for five minutes.
    let ours = our_introspection(directory, api, "beside", "opaque")?;

    let mut of_rival = Vec::new();
    let mut of_ours = Vec::new();
    for _ in 0..world.options.rounds {
        of_rival.push(load::load(rival.address, rival.id(), &theirs, pressure(world))?);
        of_ours.push(good(load::load(server.address, server.id(), &ours, pressure(world))?)?);
    }
    let (of_rival, of_ours) = (load::medians(&of_rival), load::medians(&of_ours));
    into.figure(
        "introspection of opaque tokens, of oidc-provider with its adapter in memory",
        of_ours.rate / of_rival.rate,
        "times its rate",
        Some(Bar::AtLeast(7.0)),
    );
    into.note(&format!(
        "introspection: ours {:.0}/s, {:.0} us of CPU; oidc-provider {:.0}/s, {:.0} us, one process",
        of_ours.rate, of_ours.cpu_us, of_rival.rate, of_rival.cpu_us
    ));
    Ok(())
}

/// What is loaded must be good: refusals are cheap.
fn prove(api: &Api, asked: &Introspection) -> Result<()> {
    let token = asked.tokens.first().context("no access token")?;
    let body = format!("{}token={token}", asked.form);
    let answer = form(api.address, asked.path, &asked.authorization, &body)?.json()?;
    ensure!(answer["active"] == true, "an access token is refused: {answer}");
    Ok(())
}

fn good(measured: Measured) -> Result<Measured> {
    ensure!(measured.refused == 0.0, "{} requests were refused", measured.refused);
    Ok(measured)
}

/// Installs the rival as its lock file says, and starts it.
fn oidc_provider(world: &World) -> Result<Server> {
    let home = world.scratch("oidc-provider")?;
    for file in ["package.json", "package-lock.json", "server.mjs"] {
        std::fs::copy(root().join("bench/rivals/oidc-provider").join(file), home.join(file))?;
    }
    let mut install = Command::new("npm");
    install.args(["ci", "--no-audit", "--no-fund", "--ignore-scripts"]).current_dir(&home);
    let ran = command::run(&mut install, Deadline::NEVER, Show::OnFailure)?;
    ensure!(ran.ok(), "npm ci failed: {}", ran.fault());
    let address = free_address()?;
    let mut node = Command::new("node");
    node.arg("server.mjs").arg(address.port().to_string()).current_dir(&home);
    node.env("NODE_ENV", "production");
    Server::start(node, address, "/.well-known/openid-configuration", &home.join("log"))
}

/// Refresh with rotation, and draws of one registration token, beside durable issue.
fn durable(
    world: &World,
    directory: &DataDir,
    server: &Server,
    api: &Api,
    into: &mut Record,
) -> Result<()> {
    let registration = json!({ "kind": "registration_token", "name": "bench",
                               "services": [SERVICE], "count": 100_000_000 });
    let made = api.json("POST", &format!("{REALM}/tokens"), &registration)?;
    let registration = text_at(&made, "/secret")?;
    let of_issue = issue_requests(directory, api, USERS)?;
    let of_draws = draws(directory, &registration)?;
    let (mut issued, mut drawn, mut refreshed) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..world.options.rounds {
        issued.push(good(load::load(server.address, server.id(), &of_issue, pressure(world))?)?);
        drawn.push(good(load::load(server.address, server.id(), &of_draws, pressure(world))?)?);
        let devices = devices(api, &registration)?;
        refreshed.push(refresh(world, directory, server, &devices)?);
    }
    let issued = load::medians(&issued);
    for (what, measured) in [
        ("refresh with rotation", load::medians(&refreshed)),
        ("enrolment on one registration token", load::medians(&drawn)),
    ] {
        into.figure(
            &format!("{what}, {CONNECTIONS} clients, of durable issue"),
            measured.rate / issued.rate,
            "of its rate",
            Some(Bar::AtLeast(0.4)),
        );
        into.note(&format!(
            "{what}: {:.0}/s, p50 {:.0} us, p99 {:.0} us, CPU {:.0} us; durable issue {:.0}/s",
            measured.rate, measured.p50_us, measured.p99_us, measured.cpu_us, issued.rate
        ));
    }
    Ok(())
}

fn draws(directory: &DataDir, registration: &str) -> Result<Requests> {
    let lines = directory.path.join("users.txt");
    let head = format!("POST {REALM}/enrol HTTP/1.1\r\nAuthorization: Bearer {registration}");
    let path = directory.path.join("enrol.http");
    let template = load::template(&path, &head, "{\"subject\":\"@LINE@\"}", "u00000".len())?;
    Ok(Requests { template, lines })
}

/// Enrols devices and returns their first refresh tokens.
fn devices(api: &Api, registration: &str) -> Result<Vec<String>> {
    let drawer = Api { address: api.address, key: registration.to_owned() };
    let device = |number| {
        let subject = json!({ "subject": format!("device-{number}") });
        let drawn: Value = drawer.json("POST", &format!("{REALM}/enrol"), &subject)?;
        text_at(&drawn, "/refresh_token")
    };
    (0..DEVICES).map(device).collect()
}

/// A round of refreshes; each has devices of its own, because nobody keeps the last successors.
fn refresh(
    world: &World,
    directory: &DataDir,
    server: &Server,
    devices: &[String],
) -> Result<Measured> {
    let file: PathBuf = directory.path.join("refresh.txt");
    std::fs::write(&file, devices.join("\n") + "\n")?;
    let mut wrk = Command::new("wrk");
    wrk.args(["-t1", "--latency", "--timeout", "30s"])
        .arg(format!("-c{CONNECTIONS}"))
        .arg(format!("-d{}s", world.options.seconds))
        .arg("-s")
        .arg(root().join("bench/wrk/refresh.lua"))
        .arg(format!("http://{}", server.address))
        .args(["--", "/oauth2/token"])
        .arg(&file);
    good(load::run(server.id(), &mut wrk)?)
}

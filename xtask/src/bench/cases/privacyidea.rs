//! Application passwords at `/validate/check`: privacyIDEA under gunicorn, and us, each with two
//! processors and the same PostgreSQL server, under the same requests in alternation.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::json;

use super::PRIVACYIDEA;
use crate::bench::load::{self, Measured, Pressure, Requests, medians};
use crate::bench::record::{Bar, Record};
use crate::bench::world::{REALM, SERVICE, World, furnish, serve, text_at, user_name};
use crate::clock::Deadline;
use crate::cluster::nodes::DATABASE;
use crate::cluster::place::Place;
use crate::cluster::single::Single;
use crate::cluster::sql;
use crate::http::{Answer, Api, form};
use crate::python;
use crate::server::{DataDir, Server, free_address};
use crate::workspace::stdout_of;

/// Connections: as many as keep two processes busy, so that nothing waits in a queue.
const CONNECTIONS: u32 = 4;
/// The workers that its documentation advises for two processors.
const WORKERS: &str = "2";
/// What they must be apart by.
const TIMES: f64 = 100.0;
const CACHE_BYTES: u64 = 64 << 20;
/// The database of privacyIDEA.
const ITS_DATABASE: &str = "privacyidea";
/// Its administrator's password, for the minutes that it runs on loopback.
const ADMIN: &str = "bench-administrator";

/// The rates of both, and whether every use of ours was counted.
pub(crate) fn privacyidea(world: &World, into: &mut Record) -> Result<()> {
    let programs = python::environment(PRIVACYIDEA, Deadline::NEVER)?;
    let mut place = Place::make()?;
    let single = Single::start(&mut place)?;
    let rival = Rival::start(&place, &single, &programs)?;
    let ours = Ours::start(world, &place, &single)?;
    ensure!(rival.accepts()? && ours.accepts()?, "an application password is refused");
    let before = ours.used()?;
    let pressure = Pressure { connections: CONNECTIONS, seconds: world.options.seconds, offset: 0 };
    let (mut of_rival, mut of_ours) = (Vec::new(), Vec::new());
    for round in 0..world.options.rounds {
        let theirs =
            load::load(rival.server.address, rival.server.id(), &rival.requests, pressure)?;
        let own = load::load(ours.server.address, ours.server.id(), &ours.requests, pressure)?;
        println!("  round {round}: rival {:.1}/s, ours {:.0}/s", theirs.rate, own.rate);
        for measured in [&theirs, &own] {
            ensure!(measured.refused == 0.0, "{} requests were refused", measured.refused);
        }
        of_rival.push(theirs);
        of_ours.push(own);
    }
    let (theirs, own) = (medians(&of_rival), medians(&of_ours));
    into.figure("privacyIDEA, application passwords at /validate/check", theirs.rate, "/s", None);
    into.figure("ours, the same requests", own.rate, "/s", None);
    let times = own.rate / theirs.rate;
    into.figure("ours over privacyIDEA's", times, "times", Some(Bar::AtLeast(TIMES)));
    let miscounted = ours.miscounted(before, &of_ours)?;
    let what = "uses of ours that are counted too little or too often under that load";
    into.figure(what, miscounted, "uses", Some(Bar::AtMost(0.0)));
    drop(rival);
    single.stop(&place)
}

/// A form, as both take it.
fn requests(directory: &Path, authorization: &str, user: &str, secret: &str) -> Result<Requests> {
    let escaped: String = form_urlencoded::byte_serialize(secret.as_bytes()).collect();
    let lines = directory.join("password.txt");
    std::fs::write(&lines, format!("{escaped}\n"))?;
    let head = format!("POST /validate/check HTTP/1.1{authorization}");
    let body = format!("user={user}&service_id={SERVICE}&pass=@LINE@");
    let path = directory.join("check.http");
    let template = load::form_template(&path, &head, &body, escaped.len())?;
    Ok(Requests { template, lines })
}

/// Whether a password is accepted: refusals are cheap.
fn accepted(answer: &Answer) -> Result<bool> {
    Ok(answer.json()?.pointer("/result/value") == Some(&json!(true)))
}

fn question(user: &str, secret: &str) -> String {
    let mut body = form_urlencoded::Serializer::new(String::new());
    body.append_pair("user", user).append_pair("service_id", SERVICE).append_pair("pass", secret);
    body.finish()
}

/// privacyIDEA with one person and one application password.
struct Rival {
    server: Server,
    requests: Requests,
    secret: String,
}

impl Rival {
    fn start(place: &Place, single: &Single, programs: &Path) -> Result<Self> {
        let home = place.directory_of("privacyidea", false)?;
        let make = format!("create database {ITS_DATABASE} owner {}", sql::NODES);
        sql::run(place, single.address, sql::SUPERUSER, &make)?;
        let config = configured(place, single.address, &home)?;
        let manage = |arguments: &[&str]| -> Result<String> {
            let mut command = Command::new(programs.join("pi-manage"));
            command.args(arguments).current_dir(&home).env("PRIVACYIDEA_CONFIGFILE", &config);
            stdout_of(&mut command)
        };
        for step in ["create_enckey", "create_audit_keys", "create_tables"] {
            manage(&["setup", step])?;
        }
        manage(&["admin", "add", "-p", ADMIN, "admin"])?;
        std::fs::write(
            home.join("served.py"),
            format!(
                "from privacyidea.app import create_app\n\
                 application = create_app(\n    config_name=\"production\", \
                 config_file=\"{}\", silent=True\n)\n",
                config.display()
            ),
        )?;
        let address = free_address()?;
        let mut gunicorn = Command::new(programs.join("gunicorn"));
        gunicorn
            .args(["-w", WORKERS, "-b", &address.to_string(), "served:application"])
            .current_dir(&home)
            .env("PRIVACYIDEA_CONFIGFILE", &config);
        let server = Server::start(gunicorn, address, "/healthz/", &home.join("gunicorn.log"))?;
        let secret = furnished(address, &home)?;
        let requests = requests(&home, "", &user_name(0), &secret)?;
        Ok(Self { server, requests, secret })
    }

    fn accepts(&self) -> Result<bool> {
        let body = question(&user_name(0), &self.secret);
        accepted(&form(self.server.address, "/validate/check", "", &body)?)
    }
}

/// Its configuration: everything as its documentation has it, and nothing switched off.
fn configured(place: &Place, database: SocketAddr, home: &Path) -> Result<PathBuf> {
    let path = home.join("pi.cfg");
    let inside = |name: &str| home.join(name).display().to_string();
    let secret = &place.password;
    let url = format!("postgresql+psycopg2://{}:{secret}@{database}/{ITS_DATABASE}", sql::NODES);
    let settings = [
        ("SQLALCHEMY_DATABASE_URI", url),
        ("SECRET_KEY", format!("{secret}{secret}-of-a-benchmark-alone")),
        ("PI_PEPPER", format!("{secret}-pepper")),
        ("PI_ENCFILE", inside("enckey")),
        ("PI_AUDIT_KEY_PRIVATE", inside("private.pem")),
        ("PI_AUDIT_KEY_PUBLIC", inside("public.pem")),
        ("PI_LOGFILE", inside("privacyidea.log")),
        ("PI_UUID_FILE", inside("uuid")),
        ("PI_NODE", "bench".to_owned()),
    ];
    let mut text = "SUPERUSER_REALM = [\"super\"]\n".to_owned();
    for (name, value) in settings {
        text.extend([name, " = ", &format!("{value:?}"), "\n"]);
    }
    place.write(&path, &text)?;
    Ok(path)
}

/// A person, a service and an application password, by its own API.
fn furnished(address: SocketAddr, home: &Path) -> Result<String> {
    let person = user_name(0);
    let people = home.join("people");
    std::fs::write(&people, format!("{person}:x:1000:1000:A person,,,:/:/bin/false\n"))?;
    let credentials = format!("username=admin&password={ADMIN}");
    let entered = form(address, "/auth", "", &credentials)?.json()?;
    let key = text_at(&entered, "/result/value/token")?;
    let file: String =
        form_urlencoded::byte_serialize(people.display().to_string().as_bytes()).collect();
    for (path, body) in [
        ("/resolver/people".to_owned(), format!("type=passwdresolver&fileName={file}")),
        ("/realm/bench".to_owned(), "resolvers=people".to_owned()),
        ("/defaultrealm/bench".to_owned(), String::new()),
        (format!("/serviceid/{SERVICE}"), "description=bench".to_owned()),
    ] {
        form(address, &path, &key, &body)?.json().with_context(|| path.clone())?;
    }
    let wanted = format!("type=applspec&user={person}&realm=bench&service_id={SERVICE}&genkey=1");
    let made = form(address, "/token/init", &key, &wanted)?.json()?;
    text_at(&made, "/detail/password")
}

/// Our server over the same PostgreSQL, with one person and one application password.
struct Ours {
    server: Server,
    api: Api,
    requests: Requests,
    authorization: String,
    token: String,
    secret: String,
}

impl Ours {
    fn start(world: &World, place: &Place, single: &Single) -> Result<Self> {
        let directory =
            DataDir { path: place.directory_of("ours", false)?, operator_key: String::new() };
        let mut init = Command::new(&world.binary);
        init.arg("init").arg("--data").arg(directory.data()).args(["--database", &single.url]);
        let operator_key = stdout_of(&mut init)?.trim().to_owned();
        let directory = DataDir { operator_key, ..directory };
        let (server, api) = serve(world, &directory, CACHE_BYTES, &[(DATABASE, &single.url)])?;
        furnish(&api, 1)?;
        let client = json!({ "name": "pam", "roles": ["verifier"], "services": [SERVICE] });
        let made = api.json("POST", &format!("{REALM}/clients"), &client)?;
        let key = text_at(&made, "/secret")?;
        let pair = data_encoding::BASE64.encode(format!("pam:{key}").as_bytes());
        let authorization = format!("Basic {pair}");
        let wanted = json!({ "kind": "service_token", "user": user_name(0), "service": SERVICE });
        let issued = api.json("POST", &format!("{REALM}/tokens"), &wanted)?;
        let (token, secret) = (text_at(&issued, "/token/id")?, text_at(&issued, "/secret")?);
        let header = format!("\r\nAuthorization: {authorization}");
        let requests = requests(&directory.path, &header, &user_name(0), &secret)?;
        Ok(Self { server, api, requests, authorization, token, secret })
    }

    fn accepts(&self) -> Result<bool> {
        let body = question(&user_name(0), &self.secret);
        let at = self.server.address;
        accepted(&form(at, "/validate/check", &self.authorization, &body)?)
    }

    /// Uses that are counted so far, all of which are stored: the next look is the same.
    fn used(&self) -> Result<u64> {
        let path = format!("{REALM}/tokens/{}", self.token);
        let mut seen = None;
        loop {
            load::settle();
            let total = self.api.json("GET", &path, &json!(null))?["usage_total"].as_u64();
            if total.is_some() && total == seen {
                return total.context("no usage_total");
            }
            seen = total;
        }
    }

    /// How far the count is from the answers. The generator hangs up at the end of each run with
    /// one request under way on each connection, which was answered to nobody.
    fn miscounted(&self, before: u64, runs: &[Measured]) -> Result<f64> {
        #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
        let counted = (self.used()? - before) as f64;
        let answered: f64 = runs.iter().map(|run| run.requests).sum();
        #[expect(clippy::cast_precision_loss, reason = "a handful")]
        let under_way = f64::from(CONNECTIONS) * runs.len() as f64;
        println!("  {answered} answers, {counted} uses counted");
        Ok((answered - counted).max(counted - answered - under_way).max(0.0))
    }
}

//! Simple binds at the LDAP door beside OpenLDAP's slapd: the same client, the same machine, in
//! alternation.
//!
//! slapd has 10,000 people with {SSHA} passwords in its own database, which is as many as our
//! store has people; our store has a million tokens. Both answer in clear text on loopback.
//! As many different names bind at ours as at slapd in one row, and the whole million in another:
//! each use of a token is written down for its owner, and a million owners cost more of that.
//! Eight characters are too few to be looked up by their hash: such a bind costs an Argon2id the
//! first time and is remembered then, and what is measured is the time after that.

use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use data_encoding::BASE64;
use serde_json::json;

use super::slapd::Slapd;
use super::{CONNECTIONS, pressure, roomy};
use crate::bench::load::{self, Alternation, Measured, Pressure, medians, offset_of};
use crate::bench::record::Record;
use crate::bench::world::{REALM, SERVICE, World, serve, text_at, user_name};
use crate::http::Api;
use crate::server::free_address;

/// Entries of the rival.
const ENTRIES: u64 = 10_000;
/// The rival's tree.
const RIVALS: &str = "uid=USER,ou=people,dc=bench";
/// People who bind with eight characters.
const SHORT_FORMS: u64 = 64;

/// One server and what to send it.
struct Side {
    address: SocketAddr,
    id: u32,
    dn: String,
    lines: PathBuf,
}

/// Binds with tokens beside binds with passwords.
pub(crate) fn ldap(world: &World, into: &mut Record) -> Result<()> {
    ensure!(SERVICE == "bench", "the DN names the service");
    let tokens = world.options.tokens;
    let store = world.store(tokens)?;
    let listen = free_address()?;
    let place = listen.to_string();
    let more = [("COUNTERFOIL_LDAP__LISTEN", place.as_str())];
    let (server, api) = serve(world, &store.directory, roomy(tokens), &more)?;
    let home = world.scratch("slapd")?;
    let (address, lines) = (free_address()?, home.join("passwords.txt"));
    let slapd = slapd(world, &home, address, &lines)?;
    let rival = Side { address, id: slapd.id(), dn: RIVALS.to_owned(), lines };
    let ours = Side {
        address: listen,
        id: server.id(),
        dn: our_people_of(SERVICE),
        lines: store.basic.clone(),
    };
    // Everything that is asked about later has been asked about before, on both sides.
    let mut asked = 0.0;
    while asked < to_warm(tokens) {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
        let offset = asked as u64 / u64::from(CONNECTIONS);
        asked += bind(world, &ours, Pressure { offset, ..pressure(world) })?.requests;
    }
    bind(world, &rival, pressure(world))?;
    load::settled(ours.id)?;
    let as_many =
        Side { lines: as_many_as_the_rival(&ours.lines, &home)?, dn: ours.dn.clone(), ..ours };
    bind(world, &as_many, pressure(world))?;
    load::settled(as_many.id)?;
    for (side, whose) in [(&as_many, "10,000 of them"), (&ours, "all of them")] {
        let figures = alternate(world, &rival, side)?;
        let by_rate = figures.ours.rate >= 1.5 * figures.rival.rate;
        let by_cpu = figures.ours.cpu_us <= 0.5 * figures.rival.cpu_us;
        let case = format!("LDAP simple bind with a token, {whose}, beside slapd with {{SSHA}}");
        into.compare(&case, &figures, "ratio >= 1.50 and CPU ratio <= 0.5", by_rate && by_cpu);
    }
    into.note(&format!(
        "LDAP: {tokens} tokens beside {ENTRIES} entries, {CONNECTIONS} connections, one bind at \
         a time on each, plain TCP"
    ));
    let short = short_forms(world, &api, Side { lines: home.join("short.txt"), ..ours })?;
    // Few at a time: one source may wait for a few Argon2ids at once and no more.
    bind(world, &short, Pressure { connections: 4, ..pressure(world) })?;
    load::settled(short.id)?;
    let figures = alternate(world, &rival, &short)?;
    let by_rate = figures.ours.rate >= figures.rival.rate;
    let case = "LDAP simple bind with plain08, remembered, beside slapd with {SSHA}";
    into.compare(case, &figures, "ratio >= 1", by_rate);
    Ok(())
}

/// Of all lines as many as the rival has entries, from the whole of the file: a token of each
/// person.
fn as_many_as_the_rival(lines: &Path, home: &Path) -> Result<PathBuf> {
    let all = fs::read_to_string(lines)?;
    let entries = usize::try_from(ENTRIES)?;
    let every = (all.lines().count() / entries).max(1);
    let some: String =
        all.lines().step_by(every).take(entries).flat_map(|line| [line, "\n"]).collect();
    let path = home.join("tokens.txt");
    fs::write(&path, some)?;
    Ok(path)
}

/// The names of people as a service binds them, as our tree is unless configured otherwise.
fn our_people_of(service: &str) -> String {
    format!("uid=USER,ou={service},ou=services,dc=counterfoil,dc=local")
}

/// Issues tokens of eight characters for a service of this run: three of them are the most that
/// somebody may have, and an earlier run used the same store.
fn short_forms(world: &World, api: &Api, side: Side) -> Result<Side> {
    let label = format!("short{}", std::process::id());
    let service = json!({ "label": label, "name": "Eight characters",
        "token_policy": { "form": "plain08" } });
    api.json("POST", &format!("{REALM}/services"), &service)?;
    let mut lines = String::new();
    for number in 0..SHORT_FORMS.min(world.options.tokens / 100) {
        let user = user_name(number);
        let token = json!({ "kind": "service_token", "user": user, "name": "short",
            "service": label });
        let issued = api.json("POST", &format!("{REALM}/tokens"), &token)?;
        let secret = text_at(&issued, "/secret")?;
        writeln!(lines, "{}", BASE64.encode(format!("{user}:{secret}").as_bytes()))?;
    }
    fs::write(&side.lines, lines)?;
    Ok(Side { dn: our_people_of(&label), ..side })
}

/// Binds until what is measured is the steady state; never more than a million.
fn to_warm(tokens: u64) -> f64 {
    // Counts far below 2^52 are exact in a float.
    #[expect(clippy::cast_precision_loss, reason = "a count of tokens")]
    let tokens = tokens.min(1_000_000) as f64;
    tokens
}

fn alternate(world: &World, rival: &Side, ours: &Side) -> Result<Alternation> {
    let (mut of_rival, mut of_ours) = (Vec::new(), Vec::new());
    for round in 0..world.options.rounds {
        let pressure = Pressure { offset: offset_of(round), ..pressure(world) };
        let theirs = bind(world, rival, pressure)?;
        let own = bind(world, ours, pressure)?;
        println!(
            "  round {round}: slapd {:.0}/s {:.1} us, ours {:.0}/s {:.1} us",
            theirs.rate, theirs.cpu_us, own.rate, own.cpu_us
        );
        of_rival.push(theirs);
        of_ours.push(own);
    }
    Ok(Alternation { rival: medians(&of_rival), ours: medians(&of_ours) })
}

/// One run of the client.
fn bind(world: &World, side: &Side, pressure: Pressure) -> Result<Measured> {
    let mut client = world.tool("ldapbind");
    client
        .args(["--address", &side.address.to_string(), "--dn", &side.dn, "--lines"])
        .arg(&side.lines)
        .args(["--connections", &pressure.connections.to_string()])
        .args(["--seconds", &pressure.seconds.to_string()])
        .args(["--offset", &pressure.offset.to_string()]);
    let measured = load::run(side.id, &mut client)?;
    ensure!(measured.refused == 0.0, "{} binds were refused", measured.refused);
    Ok(measured)
}

/// A directory with people and passwords.
fn slapd(world: &World, home: &Path, address: SocketAddr, lines: &Path) -> Result<Slapd> {
    let slapd = Slapd::set_up(world, home, address, ENTRIES, lines)?;
    ensure!(user_name(0).len() == "u00000".len(), "people have the same names on both sides");
    slapd.started()
}

//! Simple binds at the LDAP door beside OpenLDAP's slapd: the same client, the same machine, in
//! alternation.
//!
//! slapd has 10,000 people with {SSHA} passwords in its own database, which is as many as our
//! store has people; our store has a million tokens. Both answer in clear text on loopback.

use std::fmt::Write as _;
use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::{CONNECTIONS, pressure, roomy};
use crate::bench::load::{self, Alternation, Measured, Pressure, medians, offset_of};
use crate::bench::record::Record;
use crate::bench::world::{SERVICE, World, result_of, serve, user_name};
use crate::clock::Deadline;
use crate::command::{self, Show};
use crate::server::{free_address, pause};

/// Entries of the rival.
const ENTRIES: u64 = 10_000;
/// How long slapd may take until it answers.
const READY_WITHIN: Duration = Duration::from_secs(30);
/// Our tree, as it is unless configured otherwise.
const OURS: &str = "uid=USER,ou=bench,ou=services,dc=counterfoil,dc=local";
/// The rival's tree.
const RIVALS: &str = "uid=USER,ou=people,dc=bench";

/// One server and what to send it.
struct Side {
    address: SocketAddr,
    id: u32,
    dn: &'static str,
    lines: PathBuf,
}

/// slapd, ended with this value.
struct Slapd(Child);

impl Drop for Slapd {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// Binds with tokens beside binds with passwords.
pub(crate) fn ldap(world: &World, into: &mut Record) -> Result<()> {
    ensure!(SERVICE == "bench", "the DN names the service");
    let tokens = world.options.tokens;
    let store = world.store(tokens)?;
    let listen = free_address()?;
    let place = listen.to_string();
    let more = [("COUNTERFOIL_LDAP__LISTEN", place.as_str())];
    let (server, _api) = serve(world, &store.directory, roomy(tokens), &more)?;
    let home = world.scratch("slapd")?;
    let (address, lines) = (free_address()?, home.join("passwords.txt"));
    let slapd = slapd(world, &home, address, &lines)?;
    let rival = Side { address, id: slapd.0.id(), dn: RIVALS, lines };
    let ours = Side { address: listen, id: server.id(), dn: OURS, lines: store.basic.clone() };
    // Everything that is asked about later has been asked about before, on both sides.
    let mut asked = 0.0;
    while asked < to_warm(tokens) {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
        let offset = asked as u64 / u64::from(CONNECTIONS);
        asked += bind(world, &ours, Pressure { offset, ..pressure(world) })?.requests;
    }
    bind(world, &rival, pressure(world))?;
    load::settle();
    let figures = alternate(world, &rival, &ours)?;
    let by_rate = figures.ours.rate >= 1.5 * figures.rival.rate;
    let by_cpu = figures.ours.cpu_us <= 0.5 * figures.rival.cpu_us;
    let case = "LDAP simple bind with a token, beside slapd with {SSHA}";
    into.compare(case, &figures, "ratio >= 1.50 and CPU ratio <= 0.5", by_rate && by_cpu);
    into.note(&format!(
        "LDAP: {tokens} tokens beside {ENTRIES} entries, {CONNECTIONS} connections, one bind at \
         a time on each, plain TCP; a bind with a short form is not measured yet"
    ));
    Ok(())
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
        .args(["--address", &side.address.to_string(), "--dn", side.dn, "--lines"])
        .arg(&side.lines)
        .args(["--connections", &pressure.connections.to_string()])
        .args(["--seconds", &pressure.seconds.to_string()])
        .args(["--offset", &pressure.offset.to_string()]);
    let measured = load::run(side.id, &mut client)?;
    ensure!(measured.refused == 0.0, "{} binds were refused", measured.refused);
    Ok(measured)
}

/// A directory with people and passwords, and the server on it.
fn slapd(world: &World, home: &Path, address: SocketAddr, lines: &Path) -> Result<Slapd> {
    let (database, conf) = (home.join("database"), home.join("slapd.conf"));
    let people = home.join("people.ldif");
    fs::remove_dir_all(&database).ok();
    fs::create_dir_all(&database)?;
    result_of(
        world
            .tool("people")
            .args(["--entries", &ENTRIES.to_string()])
            .arg("--ldif")
            .arg(&people)
            .arg("--lines")
            .arg(lines),
    )?;
    let mut text = String::from(
        "include /etc/ldap/schema/core.schema\ninclude /etc/ldap/schema/cosine.schema\n\
         include /etc/ldap/schema/inetorgperson.schema\n\
         modulepath /usr/lib/ldap\nmoduleload back_mdb\nloglevel 0\nthreads 4\n\
         database mdb\nsuffix \"dc=bench\"\nrootdn \"cn=admin,dc=bench\"\nmaxsize 1073741824\n\
         index objectClass eq\nindex uid eq\n",
    );
    writeln!(text, "directory {}", database.display())?;
    writeln!(text, "pidfile {}", home.join("slapd.pid").display())?;
    fs::write(&conf, text)?;
    let mut add = Command::new("/usr/sbin/slapadd");
    add.arg("-q").arg("-f").arg(&conf).arg("-l").arg(&people);
    let ran = command::run(&mut add, Deadline::NEVER, Show::OnFailure)?;
    ensure!(ran.ok(), "slapadd failed: {}", ran.fault());
    let child = Command::new("/usr/sbin/slapd")
        .args(["-d", "0", "-h", &format!("ldap://{address}"), "-f"])
        .arg(&conf)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(fs::File::create(home.join("slapd.log"))?)
        .spawn()
        .context("slapd cannot be started")?;
    let mut slapd = Slapd(child);
    let deadline = Deadline::after(READY_WITHIN);
    while TcpStream::connect(address).is_err() {
        let ended = slapd.0.try_wait()?;
        ensure!(ended.is_none() && !deadline.passed(), "slapd does not answer: {ended:?}");
        pause(Duration::from_millis(20));
    }
    ensure!(user_name(0).len() == "u00000".len(), "people have the same names on both sides");
    Ok(slapd)
}

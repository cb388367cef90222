//! The same promises over PostgreSQL: what the second engine costs, on the same machine.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::issue::{USERS, issue_requests};
use super::{CONNECTIONS, pressure, record, roomy, verify_requests, warm};
use crate::bench::load::{self, Alternation, alternate, median};
use crate::bench::record::{Bar, Record};
use crate::bench::world::{Store, World, prove, serve};
use crate::clock;
use crate::cluster::nodes::{DATABASE, copy_keys};
use crate::cluster::place::Place;
use crate::cluster::single::Single;
use crate::cluster::sql;
use crate::http::Api;
use crate::server::{DataDir, Server};
use crate::workspace::stdout_of;

/// A cache in which next to nothing has room: the smallest that the configuration takes.
const TINY: u64 = 1 << 20;

/// The cache while tokens are issued, which no issue asks.
const CACHE_BYTES: u64 = 64 << 20;

/// Two processors: the generator gets one thread for each.
const PGBENCH_THREADS: &str = "2";

/// The values of a row like that of any token, with an id of its own: what one insert writes.
const ROW: &str = "\
select string_agg(
         case key
           when 'id' then 'substr(md5(cast(random() as text)), 1, 12)'
           when 'sort_key' then 'md5(cast(random() as text))'
           else quote_nullable(value)
         end, ', ' order by place)
from   (select row_to_json(t) as row from token t where owner_kind = 'u' limit 1) found,
       json_each_text(row) with ordinality as columns (key, value, place)";

/// A database server with a copy of a store, and what a node over it needs.
struct Copied {
    single: Single,
    node: DataDir,
    /// Its directory goes with it, and what still runs in there ends.
    place: Place,
}

/// Warm verify beside SQLite, verify without a cache, and durable issue beside `pgbench`.
pub(crate) fn postgres(world: &World, into: &mut Record) -> Result<()> {
    let tokens = world.options.tokens;
    let store = world.store(tokens)?;
    // Made before the copy, so that both databases know it.
    let (server, api) = serve(world, &store.directory, CACHE_BYTES, &[])?;
    let verifier = world.verifier(&api)?;
    server.stop()?;
    let copied = copy(world, &store, tokens, into)?;
    beside_sqlite(world, &store, &copied, &verifier, into)?;
    every_look_up_a_miss(world, &store, &copied, &verifier, into)?;
    durable_issue(world, &copied, into)?;
    copied.single.stop(&copied.place)
}

/// Starts PostgreSQL and moves the store there.
fn copy(world: &World, store: &Store, tokens: u64, into: &mut Record) -> Result<Copied> {
    let mut place = Place::make()?;
    let single = Single::start(&mut place)?;
    let start = clock::now();
    let from = format!("sqlite:{}", store.directory.data().join("counterfoil.db").display());
    let mut copying = Command::new(&world.binary);
    copying.args(["store", "copy", &from, &single.url]);
    stdout_of(&mut copying)?;
    let seconds = start.elapsed().as_secs_f64();
    // The benchmark serves both, which nobody else should.
    std::fs::remove_file(store.directory.data().join("counterfoil.db.moved"))?;
    let million = 1e6 / count(tokens) * seconds;
    into.figure("a million tokens copied from SQLite to PostgreSQL, checked", million, "s", None);
    sql::run(&place, single.address, sql::NODES, "vacuum analyze")?;

    let path = place.directory_of("node", false)?;
    let node = DataDir { path, operator_key: store.directory.operator_key.clone() };
    std::fs::create_dir(node.data())?;
    copy_keys(&store.directory.data(), &node.data())?;
    Ok(Copied { single, node, place })
}

fn node(world: &World, copied: &Copied, cache_bytes: u64) -> Result<(Server, Api)> {
    serve(world, &copied.node, cache_bytes, &[(DATABASE, &copied.single.url)])
}

/// Both engines under the same requests, every token in the cache.
fn beside_sqlite(
    world: &World,
    store: &Store,
    copied: &Copied,
    verifier: &str,
    into: &mut Record,
) -> Result<()> {
    let tokens = world.options.tokens;
    let requests = verify_requests(verifier, store)?;
    let (sqlite, api) = serve(world, &store.directory, roomy(tokens), &[])?;
    prove(&api, verifier, store)?;
    let (ours, api) = node(world, copied, roomy(tokens))?;
    prove(&api, verifier, store)?;
    for server in [&sqlite, &ours] {
        warm(server, &requests, tokens.min(1_000_000))?;
    }
    let (rival, ours) = ((sqlite.address, sqlite.id()), (ours.address, ours.id()));
    let figures = alternate(rival, ours, &requests, world.options.rounds, pressure(world))?;
    record(into, "warm verify on PostgreSQL; rival: ours on SQLite", &figures, 0.85, None);
    Ok(())
}

fn every_look_up_a_miss(
    world: &World,
    store: &Store,
    copied: &Copied,
    verifier: &str,
    into: &mut Record,
) -> Result<()> {
    let (server, api) = node(world, copied, TINY)?;
    prove(&api, verifier, store)?;
    let requests = verify_requests(verifier, store)?;
    let hello = world.hello()?;
    let rival = (hello.address, hello.id());
    let ours = (server.address, server.id());
    let figures: Alternation =
        alternate(rival, ours, &requests, world.options.rounds, pressure(world))?;
    record(into, "verify on PostgreSQL, every look-up a miss", &figures, 0.25, None);
    Ok(())
}

/// Issues at 64 clients, and in alternation `pgbench` with one insert of a token's row.
fn durable_issue(world: &World, copied: &Copied, into: &mut Record) -> Result<()> {
    let at = copied.single.address;
    let row = sql::run(&copied.place, at, sql::NODES, ROW)?;
    let table = "create table bench_token (like token including all);
                 alter table bench_token owner to counterfoil";
    sql::run(&copied.place, at, sql::NODES, table)?;
    // What follows a colon would be one of its variables; colons stand in quoted values only.
    let row = row.replace(':', "' || chr(58) || '");
    let script = copied.place.directory.join("insert.sql");
    copied.place.write(&script, &format!("insert into bench_token values ({row});\n"))?;

    let (server, api) = node(world, copied, CACHE_BYTES)?;
    let requests = issue_requests(&copied.node, &api, USERS)?;
    let (mut bare, mut ours) = (Vec::new(), Vec::new());
    for round in 0..world.options.rounds {
        bare.push(pgbench(&copied.place, at, &script, world.options.seconds)?);
        let pressure = load::Pressure { offset: u64::from(round) * 77, ..pressure(world) };
        let measured = load::load(server.address, server.id(), &requests, pressure)?;
        ensure!(measured.refused == 0.0, "{} issues were refused", measured.refused);
        ours.push(measured);
    }
    let (bare, ours) = (median(bare), load::medians(&ours));
    into.figure(
        &format!("durable issue on PostgreSQL, {CONNECTIONS} clients, of pgbench's single insert"),
        ours.rate / bare,
        "of its rate",
        Some(Bar::AtLeast(0.4)),
    );
    into.note(&format!(
        "durable issue on PostgreSQL: ours {:.0}/s, p50 {:.0} us, p99 {:.0} us, CPU {:.0} us of \
         the node; pgbench {bare:.0}/s with one row each, ours four",
        ours.rate, ours.p50_us, ours.p99_us, ours.cpu_us
    ));
    Ok(())
}

/// Transactions a second of `pgbench` with as many clients as we have connections.
fn pgbench(place: &Place, at: SocketAddr, script: &Path, seconds: u64) -> Result<f64> {
    let mut pgbench = place.command(place.programs.join("pgbench"), &place.directory);
    pgbench
        .args(["-n", "-M", "prepared", "-j", PGBENCH_THREADS, "-U", sql::NODES])
        .args(["-c", &CONNECTIONS.to_string(), "-T", &seconds.to_string()])
        .args(["-h", &at.ip().to_string(), "-p", &at.port().to_string()])
        .arg("-f")
        .arg(script)
        .arg(sql::NODES)
        .env("PGPASSWORD", &place.password);
    let printed = stdout_of(&mut pgbench)?;
    let rate = printed.lines().find_map(|line| line.strip_prefix("tps = ")?.split(' ').next());
    let rate = rate.with_context(|| format!("pgbench printed no rate: {printed}"))?;
    Ok(rate.parse()?)
}

/// Counts far below 2^52 are exact in a float.
#[expect(clippy::cast_precision_loss, reason = "a count of tokens")]
const fn count(tokens: u64) -> f64 {
    tokens as f64
}

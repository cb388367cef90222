//! The rival of durable issuing: the rows of an issue, written by a bare
//! group-commit loop over SQLite, without a server and without a rule.
//!
//! `rawcommit --before A.db --after B.db --token-id ID --work DIR --clients N
//! --seconds S`: between the files A and B the product issued the token ID.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, channel, sync_channel};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use counterfoil_bench::template::{self, Copy, Original, Template};
use counterfoil_bench::{Numbers, Options, now};
use rusqlite::Connection;

/// Requests that one transaction takes at most.
const BATCH_MAX: usize = 1024;

/// How often the log is written back, away from the writer.
const CHECKPOINT_EVERY: Duration = Duration::from_millis(500);

fn main() -> Result<()> {
    let options = Options::from_arguments();
    let work = options.path("work")?.join("rawcommit.db");
    let before: String = options.required("before")?;
    let token_id: String = options.required("token-id")?;
    let clients: usize = options.required("clients")?;
    let time = Duration::from_secs(options.required("seconds")?);

    for leftover in ["", "-wal", "-shm"] {
        std::fs::remove_file(format!("{}{leftover}", work.display())).ok();
    }
    let origin = Connection::open(options.path("after")?)?;
    origin.execute("vacuum into ?1", [work.to_str().context("not a UTF-8 path")?])?;
    let connection = open(&work)?;
    let original = Original { token_id, ..Original::default() };
    let template = Template::between(&connection, &before, &original)?;
    let rows = template.rows();

    let mut latencies = run(&work, connection, template, clients, time)?;
    latencies.sort_unstable();
    let at = |share: usize| latencies.get(latencies.len() * share / 100).copied().unwrap_or(0);
    let rate = u64::try_from(latencies.len())? * 1000 / u64::try_from(time.as_millis())?;
    let result = serde_json::json!({
        "operations": latencies.len(), "per_second": rate, "rows": rows,
        "p50_us": at(50), "p99_us": at(99),
    });
    println!("{result}");
    Ok(())
}

/// The settings of the product's engine.
fn open(path: &Path) -> Result<Connection> {
    let connection = Connection::open(path)?;
    connection.execute_batch(
        "pragma journal_mode = wal; pragma synchronous = full; pragma foreign_keys = on;
         pragma wal_autocheckpoint = 0;",
    )?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

/// Lets `clients` issue in a closed loop and returns the latencies in
/// microseconds.
fn run(
    path: &Path,
    connection: Connection,
    template: Template,
    clients: usize,
    time: Duration,
) -> Result<Vec<u64>> {
    let stop = AtomicBool::new(false);
    let (requests, inbox) = channel::<SyncSender<()>>();
    let (stop_checkpoints, stopped) = channel::<()>();
    let checkpoints = Connection::open(path)?;
    thread::scope(|scope| {
        let writer = scope.spawn(move || write(&connection, template, &inbox));
        scope.spawn(move || checkpoint(&checkpoints, &stopped));
        let loops: Vec<_> = (0..clients)
            .map(|_| {
                let requests = requests.clone();
                let stop = &stop;
                scope.spawn(move || {
                    let (answer, answered) = sync_channel(1);
                    let mut latencies = Vec::new();
                    while !stop.load(Ordering::Relaxed) {
                        let start = now();
                        // The writer ends early only when a write failed, which it reports.
                        if requests.send(answer.clone()).is_err() || answered.recv().is_err() {
                            break;
                        }
                        latencies.push(u64::try_from(start.elapsed().as_micros()).unwrap_or(0));
                    }
                    latencies
                })
            })
            .collect();
        drop(requests);
        stopped_after(time);
        stop.store(true, Ordering::Relaxed);
        let mut latencies = Vec::new();
        for client in loops {
            latencies.extend(client.join().map_err(|_| anyhow!("a client panicked"))?);
        }
        drop(stop_checkpoints);
        writer.join().map_err(|_| anyhow!("the writer panicked"))??;
        Ok(latencies)
    })
}

/// Waits for the end of the run.
fn stopped_after(time: Duration) {
    let (_nobody_sends, receiver) = channel::<()>();
    receiver.recv_timeout(time).ok();
}

/// Group commit: whatever waits goes into one transaction; answers follow it.
fn write(
    connection: &Connection,
    mut template: Template,
    inbox: &Receiver<SyncSender<()>>,
) -> Result<()> {
    let mut numbers = Numbers::seeded(42);
    let mut batch = Vec::with_capacity(BATCH_MAX);
    while let Ok(first) = inbox.recv() {
        batch.push(first);
        batch.extend(inbox.try_iter().take(BATCH_MAX - 1));
        connection.execute_batch("begin immediate")?;
        for _ in &batch {
            let token_id = template::letters(12, &mut numbers);
            let copy = Copy { token_id, ..Copy::default() };
            template::insert_copy(connection, &mut template, &copy, &mut numbers)?;
        }
        connection.execute_batch("commit")?;
        for answer in batch.drain(..) {
            // A client that is gone no longer waits.
            answer.send(()).ok();
        }
    }
    Ok(())
}

fn checkpoint(connection: &Connection, stopped: &Receiver<()>) {
    while stopped.recv_timeout(CHECKPOINT_EVERY) == Err(RecvTimeoutError::Timeout) {
        // Busy is an answer too: the next one will do it.
        connection.query_row("pragma wal_checkpoint(passive)", [], |_| Ok(())).ok();
    }
}

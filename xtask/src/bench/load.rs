//! One load on one server, and what it cost: rate, latency, CPU time, memory.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::clock::Deadline;
use crate::command::{self, Show};
use crate::workspace::{root, stdout_of};

/// Clock ticks a second in `/proc/PID/stat`; the same on every Linux.
const TICKS: f64 = 100.0;
/// Ticks in a second up to which a server is at rest: it looks for changes and counts time.
const RESTS_TICKS: f64 = 4.0;
/// The longest that what is left over from a load takes.
const RESTS_WITHIN: Duration = Duration::from_mins(5);

/// Requests to send: one per line of a file, in a frame.
#[derive(Debug, Clone)]
pub(super) struct Requests {
    /// A whole request with `@LINE@` where the line goes.
    pub(super) template: PathBuf,
    pub(super) lines: PathBuf,
}

/// How hard and how long.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pressure {
    pub(super) connections: u32,
    pub(super) seconds: u64,
    /// How many lines to skip, so that runs do not repeat each other.
    pub(super) offset: u64,
}

/// What one run showed.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Measured {
    pub(super) requests: f64,
    /// Requests a second.
    pub(super) rate: f64,
    pub(super) p50_us: f64,
    pub(super) p99_us: f64,
    /// User and system time of the server, microseconds per request.
    pub(super) cpu_us: f64,
    /// Answers that were neither 2xx nor 3xx.
    pub(super) refused: f64,
}

/// Loads the server at `address`, whose process is `id`.
///
/// # Errors
///
/// Fails when the generator fails or a connection breaks: a rate with broken
/// connections in it is no figure.
pub(super) fn load(
    address: SocketAddr,
    id: u32,
    requests: &Requests,
    pressure: Pressure,
) -> Result<Measured> {
    run(id, &mut generator(address, requests, pressure))
}

/// Runs a generator whose last line is the result against the process `id`.
///
/// # Errors
///
/// As [`load`].
pub(super) fn run(id: u32, wrk: &mut Command) -> Result<Measured> {
    let before = cpu_ticks(id)?;
    let ran = command::run(wrk, Deadline::NEVER, Show::OnFailure)?;
    let ticks = cpu_ticks(id)? - before;
    ensure!(ran.ok(), "wrk failed: {}", ran.fault());
    let mut measured = parse(&ran.output)?;
    measured.cpu_us = ticks / TICKS * 1e6 / measured.requests.max(1.0);
    Ok(measured)
}

/// The load generator's call; its last line of output is the result.
pub(super) fn generator(address: SocketAddr, requests: &Requests, pressure: Pressure) -> Command {
    let mut wrk = Command::new("wrk");
    wrk.args(["-t1", "--latency", "--timeout", "30s"])
        .arg(format!("-c{}", pressure.connections))
        .arg(format!("-d{}s", pressure.seconds))
        .arg("-s")
        .arg(root().join("bench/wrk/lines.lua"))
        .arg(format!("http://{address}"))
        .arg("--")
        .arg(&requests.template)
        .arg(&requests.lines)
        .arg(pressure.offset.to_string());
    wrk
}

/// Reads the line that `bench/wrk/lines.lua` prints at the end.
pub(super) fn parse(output: &str) -> Result<Measured> {
    let line = output
        .lines()
        .find_map(|line| line.strip_prefix("RESULT "))
        .with_context(|| format!("wrk printed no result: {output}"))?;
    let figures: Vec<f64> = line.split(' ').filter_map(|figure| figure.parse().ok()).collect();
    let [requests, seconds, p50_us, p99_us, refused, broken] = figures[..] else {
        anyhow::bail!("not a result: {line}");
    };
    ensure!(requests > 0.0, "no request was answered");
    ensure!(broken == 0.0, "{broken} connections broke or timed out");
    let rate = requests / seconds;
    Ok(Measured { requests, rate, p50_us, p99_us, refused, cpu_us: 0.0 })
}

/// Two servers under the same requests in alternation.
#[derive(Debug, Default)]
pub(super) struct Alternation {
    pub(super) rival: Measured,
    pub(super) ours: Measured,
}

/// Loads `rival` and `ours` in turn and keeps the median of each figure.
///
/// Alternation, because the machine's speed drifts by more than the
/// differences looked for.
///
/// # Errors
///
/// Fails when a run fails or our server refuses a request.
pub(super) fn alternate(
    rival: (SocketAddr, u32),
    ours: (SocketAddr, u32),
    requests: &Requests,
    rounds: u32,
    pressure: Pressure,
) -> Result<Alternation> {
    let mut of_rival = Vec::new();
    let mut of_ours = Vec::new();
    for round in 0..rounds {
        let pressure = Pressure { offset: pressure.offset + offset_of(round), ..pressure };
        of_rival.push(load(rival.0, rival.1, requests, pressure)?);
        let measured = load(ours.0, ours.1, requests, pressure)?;
        ensure!(measured.refused == 0.0, "{} requests were refused", measured.refused);
        println!(
            "  round {round}: rival {:.0}/s {:.1} us, ours {:.0}/s {:.1} us",
            of_rival.last().map_or(0.0, |m| m.rate),
            of_rival.last().map_or(0.0, |m| m.cpu_us),
            measured.rate,
            measured.cpu_us
        );
        of_ours.push(measured);
    }
    Ok(Alternation { rival: medians(&of_rival), ours: medians(&of_ours) })
}

/// Where round `round` begins in the lines: far from the others.
pub(super) fn offset_of(round: u32) -> u64 {
    /// A prime near a fifth of a million lines.
    const STRIDE: u64 = 212_369;
    u64::from(round) * STRIDE
}

/// The median of every figure by itself.
pub(super) fn medians(runs: &[Measured]) -> Measured {
    let of = |figure: fn(&Measured) -> f64| median(runs.iter().map(figure).collect());
    Measured {
        requests: of(|run| run.requests),
        rate: of(|run| run.rate),
        p50_us: of(|run| run.p50_us),
        p99_us: of(|run| run.p99_us),
        cpu_us: of(|run| run.cpu_us),
        refused: of(|run| run.refused),
    }
}

/// The middle value; the mean of the two middle ones of an even number.
pub(super) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match (values.get(middle), values.len() % 2) {
        (None, _) => f64::NAN,
        (Some(value), 1) => *value,
        (Some(value), _) => {
            f64::midpoint(*value, values.get(middle - 1).copied().unwrap_or(*value))
        }
    }
}

/// User and system time of a process so far, in ticks (proc(5), fields 14, 15).
fn cpu_ticks(id: u32) -> Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat"))?;
    // The second field is the program's name and may contain anything.
    let (_, rest) = stat.rsplit_once(')').context("not a stat line")?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let ticks = |index: usize| fields.get(index).and_then(|field| field.parse::<f64>().ok());
    ticks(11).zip(ticks(12)).map(|(user, system)| user + system).context("not a stat line")
}

/// Memory of a process at one moment, in bytes (proc(5), `status`).
#[derive(Debug, Clone, Copy)]
pub(super) struct Memory {
    /// `VmRSS`: all of it, with the parts of mapped files that are in memory.
    pub(super) resident: f64,
    /// `RssAnon`: its own, without mapped files, which the system can drop.
    pub(super) own: f64,
    /// `VmHWM`: the most that was ever resident.
    pub(super) highest: f64,
}

impl Memory {
    /// Of the process `id`.
    ///
    /// # Errors
    ///
    /// Fails when the process is gone.
    pub(super) fn of(id: u32) -> Result<Self> {
        let status = std::fs::read_to_string(format!("/proc/{id}/status"))?;
        let bytes = |name: &str| {
            let rest = status.lines().find_map(|line| line.strip_prefix(name))?;
            let kib: f64 = rest.trim().trim_end_matches("kB").trim().parse().ok()?;
            Some(kib * 1024.0)
        };
        let both = bytes("VmRSS:").zip(bytes("RssAnon:"));
        let (resident, own) = both.context("no VmRSS and RssAnon")?;
        let highest = bytes("VmHWM:").context("no VmHWM")?;
        Ok(Self { resident, own, highest })
    }
}

/// For people.
impl std::fmt::Display for Memory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        const MIB: f64 = 1_048_576.0;
        let (resident, own) = (self.resident / MIB, self.own / MIB);
        write!(f, "{resident:.0} MiB of RSS, {own:.0} MiB of it not mapped from a file")
    }
}

/// What kind of machine the figures come from, one fact a line.
pub(super) fn machine_facts() -> Vec<String> {
    let shell = |line: &str| stdout_of(Command::new("sh").args(["-c", line])).unwrap_or_default();
    vec![
        format!(
            "{} cores, {}, {} MiB of memory, Linux {}",
            shell("nproc"),
            shell("sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1"),
            shell("awk '/MemTotal/ {print int($2/1024)}' /proc/meminfo"),
            shell("uname -r"),
        ),
        format!("load average before the run {}", shell("cut -d' ' -f1-3 /proc/loadavg")),
        format!(
            "{}, {}",
            shell("rustc --version"),
            shell("wrk --version 2>&1 | head -n 1 | cut -d' ' -f1,2")
        ),
    ]
}

/// Makes a file that the generator reads: a request with a JSON body, or with none.
///
/// # Errors
///
/// Fails when it cannot be written.
pub(super) fn template(path: &Path, head: &str, body: &str, line_length: usize) -> Result<PathBuf> {
    write_template(path, head, "application/json", body, line_length)
}

/// The same with a form as the body.
///
/// # Errors
///
/// Fails when it cannot be written.
pub(super) fn form_template(
    path: &Path,
    head: &str,
    body: &str,
    line_length: usize,
) -> Result<PathBuf> {
    write_template(path, head, "application/x-www-form-urlencoded", body, line_length)
}

fn write_template(
    path: &Path,
    head: &str,
    kind: &str,
    body: &str,
    line_length: usize,
) -> Result<PathBuf> {
    // Every request names the same host: its value changes nothing for either
    // server, and both get the same bytes.
    let length = body.replace("@LINE@", &"x".repeat(line_length)).len();
    let text = if body.is_empty() {
        format!("{head}\r\nHost: localhost\r\n\r\n")
    } else {
        format!(
            "{head}\r\nHost: localhost\r\nContent-Type: {kind}\r\n\
             Content-Length: {length}\r\n\r\n{body}"
        )
    };
    std::fs::write(path, text)?;
    Ok(path.to_owned())
}

/// Waits a moment for what is nearly done in the background.
pub(super) fn settle() {
    crate::server::pause(Duration::from_millis(500));
}

/// Waits until the process `id` rests: what masses of first uses leave to be stored takes a minute
/// and longer, and is no part of what a use costs later on.
///
/// # Errors
///
/// Fails when the process is gone, and when it does not rest at last.
pub(super) fn settled(id: u32) -> Result<()> {
    let deadline = Deadline::after(RESTS_WITHIN);
    let mut quiet = 0;
    while quiet < 3 {
        ensure!(!deadline.passed(), "the server does not rest after the load");
        let before = cpu_ticks(id)?;
        crate::server::pause(Duration::from_secs(1));
        quiet = if cpu_ticks(id)? - before <= RESTS_TICKS { quiet + 1 } else { 0 };
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generators_result_is_read() {
        let measured = parse("noise\nRESULT 3000 1.5 400 900 2 0\n").unwrap();
        assert_eq!((measured.rate, measured.p50_us, measured.refused), (2000.0, 400.0, 2.0));
        assert!(parse("RESULT 3000 1.5 400 900 0 1\n").is_err());
        assert!(parse("no result").is_err());
    }

    #[test]
    fn the_median_is_the_middle() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]).to_string(), "2");
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]).to_string(), "2.5");
        assert!(median(Vec::new()).is_nan());
    }

    #[test]
    fn this_process_uses_time_and_memory() {
        let id = std::process::id();
        assert!(cpu_ticks(id).unwrap() >= 0.0);
        let memory = Memory::of(id).unwrap();
        assert!(memory.own > 0.0 && memory.resident >= memory.own);
    }

    #[test]
    fn the_length_in_a_template_is_that_of_the_filled_body() {
        let path =
            std::env::temp_dir().join(format!("counterfoil-template-{}", std::process::id()));
        template(&path, "POST / HTTP/1.1", "{\"token\":\"@LINE@\"}", 10).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert!(text.contains("Content-Length: 22\r\n"), "{text}");
    }
}

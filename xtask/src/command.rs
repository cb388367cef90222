//! Runs a program, shows what it prints, keeps it, and ends it when time is up.

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::clock::Deadline;

/// How long to read on after the program has ended.
///
/// A child it left behind may hold the pipe open for ever; two seconds are
/// enough for what the program itself has printed.
const DRAIN: Duration = Duration::from_secs(2);

/// Whether the program's lines are shown as they come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Show {
    Live,
    OnFailure,
}

/// What became of a program.
#[derive(Debug)]
pub(crate) struct Ran {
    /// Its end; `None` when it was ended because time was up.
    status: Option<ExitStatus>,
    /// Everything it printed, without terminal colours.
    pub(crate) output: String,
}

impl Ran {
    /// Whether it ended by itself with exit code 0.
    pub(crate) fn ok(&self) -> bool {
        self.status.is_some_and(|status| status.success())
    }

    /// Why it did not succeed.
    pub(crate) fn fault(&self) -> String {
        match self.status {
            None => "ended: out of time".to_owned(),
            Some(status) => status.to_string(),
        }
    }
}

enum Message {
    Line(String),
    Ended(std::io::Result<ExitStatus>),
}

/// Runs `command` until it ends or `deadline` passes.
///
/// # Errors
///
/// Fails when the program cannot be started; a program that fails is an `Ok`.
pub(crate) fn run(command: &mut Command, deadline: Deadline, show: Show) -> Result<Ran> {
    let name = command.get_program().to_string_lossy().into_owned();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start `{name}`"))?;
    let id = child.id();
    let (sender, receiver) = mpsc::channel();
    if let Some(stdout) = child.stdout.take() {
        forward(stdout, sender.clone());
    }
    if let Some(stderr) = child.stderr.take() {
        forward(stderr, sender.clone());
    }
    // The loop below ends only with the program or the deadline, so a receiver
    // that is gone means that nobody wants the answer.
    thread::spawn(move || sender.send(Message::Ended(child.wait())).ok());

    let mut output = String::new();
    let mut status = None;
    let mut out_of_time = false;
    loop {
        let patience = if status.is_some() || out_of_time { DRAIN } else { deadline.left() };
        match receiver.recv_timeout(patience) {
            Ok(Message::Line(line)) => {
                if show == Show::Live {
                    println!("{line}");
                }
                output.push_str(&without_colour(&line));
                output.push('\n');
            }
            Ok(Message::Ended(ended)) => status = Some(ended.context("cannot wait for it")?),
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) if status.is_some() || out_of_time => break,
            Err(RecvTimeoutError::Timeout) => {
                out_of_time = true;
                // The program's own children end with it: test runners and
                // servers pass the signal on.
                Command::new("kill").arg(id.to_string()).status().ok();
            }
        }
    }
    let ran = Ran { status: status.filter(|_| !out_of_time), output };
    if show == Show::OnFailure && !ran.ok() {
        print!("{}", ran.output);
    }
    Ok(ran)
}

/// Sends every line of `stream` until it closes.
fn forward(stream: impl Read + Send + 'static, to: Sender<Message>) {
    thread::spawn(move || {
        let mut reader = BufReader::new(stream);
        let mut line = Vec::new();
        // Test output need not be UTF-8: a failing test may print what it was sent.
        while reader.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
            let text = String::from_utf8_lossy(&line).trim_end_matches(['\n', '\r']).to_owned();
            line.clear();
            if to.send(Message::Line(text)).is_err() {
                return;
            }
        }
    });
}

/// `line` without the escape sequences that colour a terminal.
fn without_colour(line: &str) -> String {
    let mut plain = String::with_capacity(line.len());
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        if character == '\u{1b}' {
            // Until the letter that ends the sequence.
            characters.by_ref().find(char::is_ascii_alphabetic);
        } else {
            plain.push(character);
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_shown_and_its_failure_kept() {
        let ran = run(
            Command::new("sh").args(["-c", "echo out; echo err >&2; exit 3"]),
            Deadline::NEVER,
            Show::Live,
        )
        .unwrap();
        assert!(!ran.ok());
        assert!(ran.fault().contains('3'), "{}", ran.fault());
        let mut lines: Vec<&str> = ran.output.lines().collect();
        lines.sort_unstable();
        assert_eq!(lines, ["err", "out"]);
    }

    #[test]
    fn a_program_that_outlives_its_deadline_is_ended() {
        let deadline = Deadline::after(Duration::from_millis(50));
        let ran = run(Command::new("sleep").arg("600"), deadline, Show::Live).unwrap();
        assert_eq!((ran.ok(), ran.fault().as_str()), (false, "ended: out of time"));
    }

    #[test]
    fn colours_are_removed_from_what_is_kept() {
        assert_eq!(without_colour("\u{1b}[32;1mok\u{1b}[0m done"), "ok done");
    }
}

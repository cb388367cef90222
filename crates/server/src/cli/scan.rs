//! `counterfoil scan`: this installation's token strings in files, histories and pipes.

mod asking;
mod report;

use std::io;
use std::path::{Path, PathBuf};

use counterfoil_authority::kind::Kind;
use counterfoil_authority::secret::{ClearSecret, Prefix, TokenFinder, TokenId};
use indicatif::{ProgressBar, ProgressStyle};

use self::asking::Answer;
use super::failure::Failure;
use super::print;
use super::remote::RemoteArgs;
use crate::clock::Stopwatch;
use crate::config::{ConfigError, Sources, load};
use crate::scan::rules::{RulesFor, rules};
use crate::scan::{Hit, Place, Scanner, Sink, shown};

/// What the help says of exit statuses, which are those of other scanners here.
const STATUS: &str = "Exit status: 0 nothing was found, 1 something was found, 2 something could \
                      not be read or wrong usage, 3 server unavailable.\nThe checksum of every \
                      string is verified, so what is listed has been made by an installation with \
                      this prefix. No secret is ever printed. Forms without a checksum (grouped, \
                      plain15, plain08 and chosen secrets) cannot be found.";

/// What is said after `--revoke`, which cannot know more.
const REVOKED: &str = "The server was told to revoke what was found; it does not say what was good. \
                       Registration tokens and decoys stay, and whoever runs the realm revokes \
                       them by their ids. If one of them is a decoy, its alarm \
                       (token.decoy-used) comes from this scan.";

/// Find token strings of this installation in files, directories, git histories or standard input
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true, after_help = STATUS)]
pub(crate) struct ScanArgs {
    #[command(subcommand)]
    command: Option<ScanCommand>,
    /// Files and directories, or `-` for standard input; links below them are not followed
    #[arg(value_name = "PATH", required = true)]
    paths: Vec<PathBuf>,
    /// Each PATH is a git repository: look through all blobs, names and messages of all its references instead of its files
    #[arg(long)]
    git: bool,
    #[command(flatten)]
    form: FormArgs,
    /// Ask the server whether each is alive, and whose it is; a decoy raises no alarm by that
    #[arg(long)]
    ask: bool,
    /// Revoke whatever was found, by possession; no key is needed. Decoys and registration tokens stay, and a decoy raises its alarm unless `--ask` has told it apart
    #[arg(long)]
    revoke: bool,
    /// How to print what was found; `--json` is short for `--format json`
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
    #[command(flatten)]
    remote: RemoteArgs,
}

#[derive(Debug, clap::Subcommand)]
enum ScanCommand {
    /// Print rules by which another scanner finds this installation's token strings
    Rules(RulesArgs),
}

/// Whose rules, and for which prefixes.
#[derive(Debug, clap::Args)]
struct RulesArgs {
    /// The other scanner
    #[arg(long = "for", value_enum, value_name = "SCANNER")]
    target: RulesFor,
    #[command(flatten)]
    form: FormArgs,
}

/// How token strings of the installation look.
#[derive(Debug, Clone, clap::Args)]
struct FormArgs {
    /// A prefix of token strings, as often as there are some [default: those of the configuration, `cfl` without one]
    #[arg(long = "prefix", value_name = "PREFIX")]
    prefixes: Vec<String>,
    /// The configuration file [default: ./counterfoil.toml if it exists]
    #[arg(long, value_name = "FILE", env = "COUNTERFOIL_CONFIG", hide_env_values = true)]
    config: Option<PathBuf>,
}

impl FormArgs {
    fn accepted(&self) -> Result<Vec<Prefix>, Failure> {
        if !self.prefixes.is_empty() {
            let parsed = self.prefixes.iter().map(|text| Prefix::parse(text));
            let parsed: Result<Vec<Prefix>, _> = parsed.collect();
            return parsed.map_err(|bad| Failure::Usage(format!("--prefix: {bad}")));
        }
        self.configured().map_err(|error| {
            // What is wrong with a file is told with its path, and that may hold a token string.
            let (finder, text) = (TokenFinder::new(&[Prefix::default()]), error.to_string());
            let lines: Vec<String> = text.lines().map(|line| shown(&finder, line)).collect();
            Failure::Usage(lines.join("\n"))
        })
    }

    fn configured(&self) -> Result<Vec<Prefix>, ConfigError> {
        // What the shell says of the server that is asked is no configuration of a server.
        let mut sources = Sources::read(self.config.as_deref())?;
        sources.environment.retain(|(name, _)| name.starts_with("COUNTERFOIL_TOKENS__"));
        Ok(load(&sources)?.tokens.accepted())
    }
}

/// How findings are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// A line for each, for people and editors: path, line, column, kind, id.
    Text,
    /// One document.
    Json,
}

/// A token string in a place.
struct Finding {
    place: Place,
    line: u64,
    column: u64,
    kind: Kind,
    id: TokenId,
    /// Which of the strings that were found it is.
    string: usize,
}

/// What was found: places, and beside them each string once.
struct Findings {
    all: Vec<Finding>,
    strings: Vec<(TokenId, ClearSecret)>,
    answers: Vec<Option<Answer>>,
    bar: ProgressBar,
}

impl Findings {
    fn string(&mut self, id: TokenId, secret: ClearSecret) -> usize {
        let known = self.strings.iter().position(|(own, clear)| *own == id && *clear == secret);
        known.unwrap_or_else(|| {
            self.strings.push((id, secret));
            self.strings.len() - 1
        })
    }
}

impl Sink for Findings {
    fn found(&mut self, place: &Place, hit: Hit<'_>) {
        let string = self.string(hit.id, hit.secret());
        let Hit { line, column, kind, id, .. } = hit;
        self.all.push(Finding { place: place.clone(), line, column, kind, id, string });
    }

    fn progressed(&mut self, bytes: u64) {
        self.bar.inc(bytes);
    }
}

/// Runs the command.
pub(crate) async fn run(args: &ScanArgs) -> Result<(), Failure> {
    if let Some(ScanCommand::Rules(args)) = &args.command {
        print::raw(&rules(args.target, &args.form.accepted()?));
        return Ok(());
    }
    let json = args.remote.json || args.format == Format::Json;
    let mut scanner = Scanner::new(&args.form.accepted()?);
    let bar = bar(json);
    let (all, strings) = (Vec::new(), Vec::new());
    let mut findings = Findings { all, strings, answers: Vec::new(), bar };
    let watch = Stopwatch::start();
    for path in &args.paths {
        if args.git {
            scanner.history(path, &mut findings);
        } else if path.as_path() == Path::new("-") {
            scanner.reader("-", &mut io::stdin().lock(), &mut findings);
        } else {
            scanner.path(path, &mut findings);
        }
    }
    let took = watch.elapsed();
    findings.bar.finish_and_clear();
    let asked = asking::ask(args, &mut findings).await;
    let revoked = match &asked {
        Ok(()) if args.revoke => asking::revoke(args, &findings).await,
        _ => Ok(0),
    };
    let tally = scanner.tally();
    if json {
        let sent = revoked.as_ref().ok().copied().filter(|_| args.revoke);
        report::for_programs(&findings, tally, took, sent);
    } else {
        report::for_people(&findings, tally, took);
    }
    asked?;
    if revoked? > 0 && !json {
        print::note(REVOKED);
    }
    match ended(&findings, tally.unread) {
        // The document says how many; a second one beside it would only be in the way.
        Err(failure) if json => {
            let status = if matches!(failure, Failure::Refused(_)) { 1 } else { 2 };
            Err(Failure::Told { status })
        }
        ended => ended,
    }
}

/// So many of something, in words.
fn count(number: u64, one: &str) -> String {
    if number == 1 { format!("1 {one}") } else { format!("{number} {one}s") }
}

/// How the command ends: what was found counts for more than what could not be read.
fn ended(findings: &Findings, unread: u64) -> Result<(), Failure> {
    let number = |length: usize| u64::try_from(length).unwrap_or(u64::MAX);
    let (strings, places) = (number(findings.strings.len()), number(findings.all.len()));
    if places > 0 {
        let (strings, places) = (count(strings, "token string"), count(places, "place"));
        return Err(Failure::Refused(format!("{strings} in {places}")));
    }
    if unread > 0 {
        let things = if unread == 1 { "one thing" } else { "some things" };
        return Err(Failure::Usage(format!("nothing was found, but {things} could not be read")));
    }
    Ok(())
}

fn bar(hidden: bool) -> ProgressBar {
    if hidden {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::no_length();
    if let Ok(style) = ProgressStyle::with_template("{bytes} {binary_bytes_per_sec}") {
        bar.set_style(style);
    }
    bar
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::Part;

    fn findings(places: usize) -> Findings {
        let bar = ProgressBar::hidden();
        let mut findings =
            Findings { all: Vec::new(), strings: Vec::new(), answers: Vec::new(), bar };
        let id = TokenId::parse("0123456789AB").unwrap();
        for line in (1..).take(places) {
            let string = findings.string(id, ClearSecret::new("the same".to_owned()));
            let (path, part) = ("a".to_owned(), Part::Content);
            let place = Place { path, part, object: None, commit: None };
            let kind = Kind::ServiceToken;
            findings.all.push(Finding { place, line, column: 1, kind, id, string });
        }
        findings
    }

    #[test]
    fn what_was_found_counts_for_more_than_what_could_not_be_read() {
        assert_eq!(ended(&findings(0), 0), Ok(()));
        assert!(matches!(ended(&findings(0), 1), Err(Failure::Usage(_))));
        let said = |places| ended(&findings(places), 1);
        assert_eq!(said(1), Err(Failure::Refused("1 token string in 1 place".to_owned())));
        assert_eq!(said(2), Err(Failure::Refused("1 token string in 2 places".to_owned())));
    }

    #[test]
    fn a_string_in_two_places_is_one_string() {
        let found = findings(2);
        assert_eq!((found.all.len(), found.strings.len()), (2, 1));
        let other = ClearSecret::new("another".to_owned());
        assert_eq!({ found }.string(TokenId::parse("0123456789AB").unwrap(), other), 1);
    }
}

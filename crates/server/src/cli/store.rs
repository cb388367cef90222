//! `counterfoil store copy`: an installation moves from one database to another.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use counterfoil_store::copy::{
    self, Copied, CopyError, CopyOptions, CopyPhase, CopyProgress, Side,
};
use counterfoil_store::{DatabaseUrl, OpenError};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use super::failure::Failure;
use super::local::{LocalArgs, with_causes};
use super::print;
use crate::clock::OsClock;
use crate::installation::{self, Lock, moved};

/// What the help says beyond the arguments.
const MORE: &str = "No server may run on either database. An interrupted copy goes on where it \
                    ended when it is run again, and until it is complete nothing serves the \
                    target. The keys stay where they are: serve the new database with the same \
                    data directory.";

/// The database as such
#[derive(Debug, clap::Subcommand)]
pub(crate) enum StoreCommand {
    Copy(CopyArgs),
}

/// Copy an installation to an empty database, from SQLite to PostgreSQL or back
#[derive(Debug, clap::Args)]
#[command(after_help = MORE)]
pub(crate) struct CopyArgs {
    /// The database with the installation, `sqlite:PATH` or `postgres://...`; `-` reads the URL
    /// from standard input
    // Texts, because the parser of the command line repeats what it does not understand, and a
    // password may stand in it.
    #[arg(value_name = "FROM", allow_hyphen_values = true)]
    from: String,
    /// The database to fill: empty, or with an unfinished copy; `-` reads the URL from standard
    /// input, behind that of FROM
    #[arg(value_name = "TO", allow_hyphen_values = true)]
    to: String,
    /// The configuration file [default: ./counterfoil.toml if it exists]
    #[arg(long, value_name = "FILE", env = "COUNTERFOIL_CONFIG", hide_env_values = true)]
    config: Option<PathBuf>,
    /// The data directory whose server must not run [default: ./counterfoil-data, and wherever a
    /// SQLite database lies]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl From<CopyError> for Failure {
    fn from(error: CopyError) -> Self {
        let text = with_causes(&error);
        match error {
            CopyError::Unavailable { .. } => Self::Unavailable(text),
            CopyError::Open { side, source } => Self::from(source).on(side),
            _ => Self::Refused(text),
        }
    }
}

impl Failure {
    /// The same with the database that it is about.
    fn on(self, side: Side) -> Self {
        let about = |text| format!("{side}: {text}");
        match self {
            Self::Refused(text) => Self::Refused(about(text)),
            Self::Unavailable(text) => Self::Unavailable(about(text)),
            other => other,
        }
    }
}

/// Runs a command of the store.
pub(crate) async fn run(command: &StoreCommand) -> Result<(), Failure> {
    match command {
        StoreCommand::Copy(args) => copy(args).await,
    }
}

async fn copy(args: &CopyArgs) -> Result<(), Failure> {
    let (from, to) = (database("FROM", &args.from)?, database("TO", &args.to)?);
    let local = LocalArgs { config: args.config.clone(), data: args.data.clone(), database: None };
    let config = local.load()?;
    if let DatabaseUrl::Sqlite(path) = &from {
        // Before a lock is left behind where nothing is.
        path.metadata().map_err(|source| CopyError::Open {
            side: Side::Source,
            source: OpenError::File { path: path.clone(), source },
        })?;
    }
    let _locks = lock_out_servers(&config.data.dir, &[&from, &to])?;
    let options = CopyOptions {
        now: counterfoil_authority::clock::Clock::now(&OsClock),
        source_is_locked: matches!(from, DatabaseUrl::Sqlite(_)),
        batch_rows: CopyOptions::BATCH_ROWS,
        jitter: installation::jitter(),
    };
    let shown = Shown::new();
    let copied = copy::copy(&from, &to, options, |progress| shown.advance(progress)).await;
    shown.bar.finish_and_clear();
    let copied = copied?;
    let marked = moved::mark(&from, &to, options.now);
    marked.map_err(|(path, error)| Failure::about(path.display(), error))?;
    said(args.json, &copied);
    Ok(())
}

/// Reads a URL, and never repeats it.
fn database(name: &str, given: &str) -> Result<DatabaseUrl, Failure> {
    let mut line = String::new();
    let text = match given {
        "-" => {
            std::io::stdin().read_line(&mut line).map_err(|error| Failure::about(name, error))?;
            line.trim()
        }
        given => given,
    };
    DatabaseUrl::parse(text).map_err(|bad| Failure::Usage(format!("{name}: {bad}")))
}

/// Locks every data directory that a server of these databases would lock.
fn lock_out_servers(data: &Path, databases: &[&DatabaseUrl]) -> Result<Vec<Lock>, Failure> {
    let mut directories = BTreeSet::new();
    if let Ok(data) = data.canonicalize() {
        directories.insert(data);
    }
    for database in databases {
        let DatabaseUrl::Sqlite(path) = database else { continue };
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let parent = parent.unwrap_or(Path::new("."));
        crate::private_file::create_directory(parent)
            .map_err(|error| Failure::about(parent.display(), error))?;
        let parent = parent.canonicalize();
        directories.insert(parent.map_err(|error| Failure::about(path.display(), error))?);
    }
    let locks = directories.iter().map(|directory| Lock::take(directory));
    Ok(locks.collect::<Result<_, _>>()?)
}

/// What is seen of a copy on standard error: a bar, or without a terminal a line for each table.
struct Shown {
    bar: ProgressBar,
}

impl Shown {
    fn new() -> Self {
        let bar = ProgressBar::no_length();
        let style = "{prefix} {msg} {wide_bar} {human_pos}/{human_len} rows, {eta} left";
        if let Ok(style) = ProgressStyle::with_template(style) {
            bar.set_style(style);
        }
        Self { bar }
    }

    fn advance(&self, progress: CopyProgress) {
        let CopyProgress { phase, table, rows_done, rows_total, is_last_of_table } = progress;
        let doing = match phase {
            CopyPhase::Copying => "copying",
            CopyPhase::Comparing => "comparing",
        };
        if self.bar.is_hidden() {
            if is_last_of_table {
                print::note(&format!("{doing} {table}: {rows_done} of {rows_total} rows"));
            }
            return;
        }
        self.bar.set_prefix(doing);
        self.bar.set_message(table);
        self.bar.set_length(rows_total);
        self.bar.set_position(rows_done);
    }
}

fn said(json: bool, copied: &Copied) {
    let Copied { installation, rows_resumed, tables } = copied;
    let rows: u64 = tables.iter().map(|table| table.rows).sum();
    if json {
        let tables: Vec<Value> = tables
            .iter()
            .map(|table| {
                json!({ "table": table.table, "rows": table.rows, "sha256": table.checksum })
            })
            .collect();
        return print::json(&json!({ "installation": installation, "rows": rows,
            "rows_resumed": rows_resumed, "tables": tables }));
    }
    let cells = |table: &copy::CopiedRows| {
        vec![table.table.to_owned(), table.rows.to_string(), table.checksum.clone()]
    };
    print::rows(&["TABLE", "ROWS", "SHA-256"], tables.iter().map(cells));
    print::line(&format!(
        "copied the installation {installation}: {rows} rows, the same on both sides"
    ));
    print::note(
        "From now on only the new database may be served: name it in the configuration \
         (data.database). A SQLite source is marked as moved, and refused.",
    );
}

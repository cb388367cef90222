//! `counterfoil import`: people, services and secrets of another system, on the machine itself.
//!
//! Not through the API: the secrets would travel, and a server would be asked for as many slow
//! hashes as there are people.

mod directory;
mod files;

use std::collections::BTreeMap;
use std::path::PathBuf;

use counterfoil_authority::authority::{Authority, Fate};
use counterfoil_authority::names::{MAIN_REALM, RealmName, ServiceLabel};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use self::directory::DirectoryArgs;
use super::failure::Failure;
use super::local::{HERE, LocalArgs};
use super::print;
use crate::config::Config;
use crate::import::comanage::{self, Item, Note, Options};
use crate::import::rows::{Place, Tables};
use crate::import::{dump, forgerock};
use crate::installation::{self, IfEmpty};

/// What stands in a report for a name or a reason with one of our tokens in it.
const NOT_SHOWN: &str = "not shown, since it holds a token";
/// Rows that a report for people lists of each sort; `--json` lists all.
const LISTED_MAX: usize = 100;

/// Take people, services and secrets over from another system
#[derive(Debug, clap::Subcommand)]
pub(crate) enum ImportCommand {
    Comanage(ComanageArgs),
    Forgerock(ForgerockArgs),
    Htpasswd(files::HtpasswdArgs),
    Csv(files::CsvArgs),
    Unkey(files::UnkeyArgs),
    Ldap(Box<files::LdapArgs>),
    Privacyidea(Box<files::PrivacyideaArgs>),
}

/// Take the personal access tokens over that stand on profiles of a ForgeRock AM directory; they keep working
#[derive(Debug, clap::Args)]
#[command(after_help = HERE)]
#[command(mut_arg("bind_dn", |arg| arg.default_value("cn=Directory Manager")))]
pub(crate) struct ForgerockArgs {
    #[command(flatten)]
    local: LocalArgs,
    /// The service that the tokens are good for; made if it is not there
    #[arg(long, value_name = "LABEL")]
    service: String,
    /// The attribute that holds them
    #[arg(long, value_name = "NAME", default_value = "iplanet-am-user-alias-list")]
    attribute: String,
    #[command(flatten)]
    directory: DirectoryArgs,
    /// The realm that takes them
    #[arg(long, default_value = MAIN_REALM)]
    realm: String,
    /// Say what would become of each token, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl ForgerockArgs {
    async fn read(&self) -> Result<comanage::Read, Failure> {
        let service = ServiceLabel::parse(&self.service)
            .map_err(|bad| Failure::Usage(format!("`{}`: {bad}", self.service)))?;
        let entries = self.directory.entries(&self.attribute).await?;
        let options = forgerock::Options {
            realm: self.realm.clone(),
            service,
            attribute: self.attribute.to_ascii_lowercase(),
            user_attribute: self.directory.user_attribute(),
        };
        Ok(forgerock::map(&entries, &options))
    }
}

/// Take COmanage Registry's services, people and service tokens over; the tokens keep working
#[derive(Debug, clap::Args)]
#[command(after_help = HERE)]
pub(crate) struct ComanageArgs {
    #[command(flatten)]
    local: LocalArgs,
    /// A dump of MySQL, MariaDB or PostgreSQL, or CSV files named after the tables
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// The realm that takes them
    #[arg(long, default_value = MAIN_REALM)]
    realm: String,
    /// The number of the CO, where there are several
    #[arg(long, value_name = "ID")]
    co: Option<i64>,
    /// The type of the identifier that becomes the user name
    #[arg(long, value_name = "TYPE", default_value = "uid")]
    identifier_type: String,
    /// Say what would become of each row, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(crate) async fn run(command: &ImportCommand) -> Result<(), Failure> {
    match command {
        ImportCommand::Comanage(args) => {
            let (realm, config) = (realm_of(&args.realm)?, args.local.load()?);
            take_over(&realm, read_comanage(args)?, &config, (args.dry_run, args.json)).await
        }
        ImportCommand::Forgerock(args) => {
            let (realm, config) = (realm_of(&args.realm)?, args.local.load()?);
            take_over(&realm, args.read().await?, &config, (args.dry_run, args.json)).await
        }
        ImportCommand::Htpasswd(args) => files::htpasswd(args).await,
        ImportCommand::Csv(args) => files::csv(args).await,
        ImportCommand::Unkey(args) => files::unkey(args).await,
        ImportCommand::Ldap(args) => files::ldap(args).await,
        ImportCommand::Privacyidea(args) => files::privacyidea(args).await,
    }
}

fn realm_of(name: &str) -> Result<RealmName, Failure> {
    RealmName::parse(name).map_err(|bad| Failure::Usage(format!("`{name}`: {bad}")))
}

fn read_comanage(args: &ComanageArgs) -> Result<comanage::Read, Failure> {
    let mut tables = Tables::default();
    for path in &args.paths {
        dump::read(path, &comanage::TABLES, &mut tables)
            .map_err(|error| Failure::Refused(error.to_string()))?;
    }
    let options = Options {
        realm: args.realm.clone(),
        co: args.co,
        identifier_type: args.identifier_type.clone(),
    };
    comanage::map(&tables, &options).map_err(Failure::Refused)
}

async fn take_over(
    realm: &RealmName,
    mut read: comanage::Read,
    config: &Config,
    (dry_run, json): (bool, bool),
) -> Result<(), Failure> {
    let opened = installation::open(config, IfEmpty::Refuse).await?;
    let incoming: Vec<_> = read.items.iter().map(|item| item.incoming.clone()).collect();
    let bar = bar(incoming.len(), dry_run);
    let done = |records: usize| bar.inc(records as u64);
    let imported = opened.authority.import(realm, &incoming, dry_run, &done).await;
    bar.finish_and_clear();
    mask(&mut read, &opened.authority);
    opened.close().await?;
    let report = Report { fates: imported?, read: &read, dry_run, stopped: false };
    if json {
        print::json(&report.json());
    } else {
        report.print();
    }
    Ok(())
}

/// Takes our tokens out of what a report says: terminals and logs keep what they are shown.
fn mask(read: &mut comanage::Read, authority: &Authority) {
    let names = read.items.iter_mut().map(|item| &mut item.what);
    let notes = read.skipped.iter_mut().chain(&mut read.remarks).map(|note| &mut note.why);
    for text in names.chain(notes) {
        if authority.is_token_in_name(&text.to_lowercase()) {
            NOT_SHOWN.clone_into(text);
        }
    }
}

fn bar(total: usize, dry_run: bool) -> ProgressBar {
    let bar = ProgressBar::new(total as u64);
    let word = if dry_run { "looking" } else { "importing" };
    let shape = format!("{word} {{wide_bar}} {{pos}}/{{len}} {{eta}}");
    if let Ok(style) = ProgressStyle::with_template(&shape) {
        bar.set_style(style);
    }
    bar
}

/// What became of every row.
struct Report<'a> {
    fates: Vec<Fate>,
    read: &'a comanage::Read,
    dry_run: bool,
    /// Whether the rows that are left out keep the others from being taken over.
    stopped: bool,
}

/// A row that is left out.
struct LeftOut<'a> {
    table: &'static str,
    id: i64,
    place: &'a Place,
    /// What it is called here, if it came so far.
    what: Option<&'a str>,
    why: &'a str,
}

impl LeftOut<'_> {
    fn json(&self) -> Value {
        let Self { table, id, place, what, why } = self;
        let mut said = json!({ "table": table, "id": id, "place": place.to_string(), "why": why });
        if let Some(what) = what {
            said["what"] = (*what).into();
        }
        said
    }

    fn line(&self) -> String {
        let Self { table, id, place, what, why } = self;
        let what = what.map(|what| format!(" ({what})")).unwrap_or_default();
        format!("{place} {table} {id}{what}: {why}")
    }
}

/// Rows of a table by what became of them.
#[derive(Default)]
struct Count {
    rows: usize,
    new: usize,
    kept: usize,
    left_out: usize,
}

impl Report<'_> {
    fn refused(&self) -> Vec<(&Item, &str)> {
        let pairs = self.read.items.iter().zip(&self.fates);
        pairs
            .filter_map(|(item, fate)| match fate {
                Fate::Refused(why) => Some((item, why.as_str())),
                _ => None,
            })
            .collect()
    }

    /// Whatever kept them out, in the order of their lines.
    fn left_out(&self) -> Vec<LeftOut<'_>> {
        let refused = self.refused().into_iter().map(|(item, why)| LeftOut {
            table: item.table,
            id: item.id,
            place: &item.place,
            what: Some(item.what.as_str()),
            why,
        });
        let skipped = self.read.skipped.iter().map(|note| LeftOut {
            table: note.table,
            id: note.id,
            place: &note.place,
            what: None,
            why: note.why.as_str(),
        });
        let mut all: Vec<LeftOut<'_>> = refused.chain(skipped).collect();
        all.sort_by(|one, other| {
            let [one, other] = [one, other].map(|row| (&row.place.file, row.place.line, row.id));
            one.cmp(&other)
        });
        all
    }

    fn counts(&self) -> BTreeMap<&'static str, Count> {
        let mut counts: BTreeMap<&'static str, Count> = BTreeMap::new();
        for (table, rows) in &self.read.rows {
            counts.entry(table).or_default().rows = *rows;
        }
        for (item, fate) in self.read.items.iter().zip(&self.fates) {
            let count = counts.entry(item.table).or_default();
            match fate {
                Fate::New => count.new += 1,
                Fate::Kept => count.kept += 1,
                Fate::Refused(_) => count.left_out += 1,
            }
        }
        for note in &self.read.skipped {
            counts.entry(note.table).or_default().left_out += 1;
        }
        counts
    }

    fn json(&self) -> Value {
        let note = |note: &Note| {
            json!({ "table": note.table, "id": note.id, "place": note.place.to_string(),
                "why": note.why })
        };
        let left_out: Vec<Value> = self.left_out().iter().map(LeftOut::json).collect();
        let counts: BTreeMap<_, _> = self
            .counts()
            .into_iter()
            .map(|(table, count)| {
                let Count { rows, new, kept, left_out } = count;
                let counted =
                    json!({ "rows": rows, "new": new, "kept": kept, "left_out": left_out });
                (table, counted)
            })
            .collect();
        json!({
            "dry_run": self.dry_run,
            "stopped": self.stopped,
            "tables": counts,
            "left_out": left_out,
            "remarks": self.read.remarks.iter().map(note).collect::<Vec<_>>(),
        })
    }

    fn print(&self) {
        let word = match (self.stopped, self.dry_run) {
            (true, _) => "NEW WITH --partial",
            (false, true) => "WOULD BE NEW",
            (false, false) => "NEW",
        };
        let counts = self.counts();
        let rows = counts.iter().map(|(table, count)| {
            let numbers = [count.rows, count.new, count.kept, count.left_out];
            let mut cells = vec![(*table).to_owned()];
            cells.extend(numbers.map(|number| number.to_string()));
            cells
        });
        print::rows(&["TABLE", "ROWS", word, "HERE ALREADY", "LEFT OUT"], rows);
        let shown =
            |note: &Note| format!("{} {} {}: {}", note.place, note.table, note.id, note.why);
        section("Left out", self.left_out().iter().map(LeftOut::line).collect());
        section("Remarks", self.read.remarks.iter().map(shown).collect());
        if self.stopped {
            print::line(
                "\nNothing is taken over: lines are left out. Mend them, or leave them out by \
                 --partial.",
            );
        } else if counts.values().all(|count| count.new == 0) {
            print::line("\nNothing changed: there is nothing new.");
        } else if self.dry_run {
            print::line("\nNothing changed: this was a dry run.");
        }
    }
}

fn section(title: &str, lines: Vec<String>) {
    if lines.is_empty() {
        return;
    }
    print::line(&format!("\n{title}:"));
    let more = lines.len().saturating_sub(LISTED_MAX);
    for line in lines.into_iter().take(LISTED_MAX) {
        print::line(&format!("  {}", print::clean(&line)));
    }
    if more > 0 {
        print::line(&format!("  and {more} more; --json lists all"));
    }
}

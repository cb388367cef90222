//! `counterfoil demo`: an installation with people, tokens and forty days of history, to try out.

use std::sync::Arc;

use counterfoil_authority::clock::Clock;
use counterfoil_authority::names::ClientName;
use counterfoil_authority::store::InstallationStore;
use counterfoil_store::OpenError;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use super::failure::Failure;
use super::local::{HERE, LocalArgs, with_causes};
use super::print;
use super::serve::FIRST_ADMIN;
use crate::clock::OsClock;
use crate::config::Config;
use crate::demo::{self, DAYS, DemoClock, DemoError, Report};
use crate::installation::{self, IfEmpty, Lock};

/// Make a new installation with a believable organisation in it, to try out and to look at
#[derive(Debug, clap::Args)]
#[command(after_help = HERE)]
pub(crate) struct DemoArgs {
    #[command(flatten)]
    local: LocalArgs,
    /// Which organisation: the same number, the same people and the same history
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    seed: u64,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl From<DemoError> for Failure {
    fn from(error: DemoError) -> Self {
        match error {
            DemoError::Refused(refusal) => refusal.into(),
            DemoError::Unavailable(error) => error.into(),
            other => Self::Refused(with_causes(&other)),
        }
    }
}

/// Runs the command.
pub(crate) async fn run(args: &DemoArgs) -> Result<(), Failure> {
    let config = args.local.load()?;
    let admin = ClientName::parse(FIRST_ADMIN).map_err(|bad| Failure::Usage(bad.to_string()))?;
    installation::refuse_foreign(&config)?;
    let _lock = Lock::take(&config.data.dir)?;
    if is_taken(&config).await? {
        return Err(taken(&config));
    }
    let end = OsClock.now();
    let clock = Arc::new(DemoClock::before(end));
    let shared: Arc<dyn Clock> = Arc::clone(&clock) as _;
    let mut opened = installation::open_at(&config, IfEmpty::Initialise(admin), shared).await?;
    let Some(first) = opened.first_key.take() else {
        // Somebody was faster.
        opened.close().await?;
        return Err(taken(&config));
    };
    let bar = bar(args.json);
    let told = |done: usize, all: usize| {
        bar.set_length(all as u64);
        bar.set_position(done as u64);
    };
    let authority = Arc::clone(&opened.authority);
    let filled = demo::fill(authority, clock, first, (args.seed, end), &told).await;
    bar.finish_and_clear();
    let closed = opened.close().await;
    let report = filled?;
    closed?;
    if args.json {
        print::json(&for_programs(&report));
    } else {
        show(&report, &args.local);
    }
    Ok(())
}

/// Whether there is an installation already. One of another version is none the less one, and
/// stays as it is.
async fn is_taken(config: &Config) -> Result<bool, Failure> {
    match installation::open_store(config, false).await {
        Ok(store) => {
            let known = store.installation().await;
            store.close().await;
            Ok(known?.is_some())
        }
        Err(OpenError::Older { .. } | OpenError::Newer { .. }) => Ok(true),
        // Nothing there yet; whatever else is wrong is found again when one is made.
        Err(_) => Ok(false),
    }
}

fn taken(config: &Config) -> Failure {
    Failure::Refused(format!(
        "{} holds an installation already; the demo is played only in an empty place, so that \
         nothing real is mixed with it: give --data, and --database where it is elsewhere",
        config.data.dir.display()
    ))
}

fn bar(hidden: bool) -> ProgressBar {
    if hidden {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(0);
    if let Ok(style) = ProgressStyle::with_template("playing {wide_bar} {percent}%") {
        bar.set_style(style);
    }
    bar
}

fn for_programs(report: &Report) -> Value {
    let counts = &report.counts;
    let people = report.people.iter().map(|one| {
        json!({ "username": one.username, "password": one.password.reveal(), "title": one.title })
    });
    let looks = report.looks.iter().map(|look| json!({ "path": look.path, "what": look.what }));
    json!({
        "people": people.collect::<Vec<_>>(),
        "client": report.key.client.as_str(),
        "secret": report.key.secret.reveal(),
        "counts": {
            "people": counts.people,
            "services": counts.services,
            "tokens": counts.tokens,
            "kinds": counts.kinds,
            "ending_soon": counts.ending_soon,
            "uses": counts.uses,
            "refusals": counts.refusals,
        },
        "looks": looks.collect::<Vec<_>>(),
        "surprises": report.surprises,
    })
}

fn show(report: &Report, local: &LocalArgs) {
    let counts = &report.counts;
    let all: u64 = counts.tokens.values().sum();
    print::line(&format!(
        "An institute with {} people and {} services has worked here for {DAYS} days:\n\
         {all} tokens, {} uses, {} refusals. {} tokens end within a week.",
        counts.people, counts.services, counts.uses, counts.refusals, counts.ending_soon,
    ));
    print::line("\nStart it, and sign in at the address of the console that it prints:\n");
    print::line(&format!("    counterfoil serve{}\n", flags(local)));
    let rows = report
        .people
        .iter()
        .map(|one| vec![one.username.clone(), one.password.reveal().to_owned(), one.title.clone()]);
    print::rows(&["NAME", "PASSWORD, SHOWN THIS ONCE", "WHO IT IS"], rows);
    print::line(&format!(
        "\nFor the command line, {} of the client `{}`:\n\n    {}",
        super::remote::TOKEN_VARIABLE,
        report.key.client,
        report.key.secret.reveal()
    ));
    print::line("\nWorth a look:\n");
    let rows = report.looks.iter().map(|look| vec![look.path.clone(), look.what.to_owned()]);
    print::rows(&["PAGE", "WHAT IS TO BE SEEN THERE"], rows);
    for surprise in &report.surprises {
        print::note(&format!("otherwise than planned: {surprise}"));
    }
}

/// The flags that lead to the same installation.
fn flags(local: &LocalArgs) -> String {
    let paths = [("--config", &local.config), ("--data", &local.data)];
    let paths = paths
        .into_iter()
        .filter_map(|(flag, path)| path.as_ref().map(|path| format!(" {flag} {}", path.display())));
    let database = local.database.iter().map(|url| format!(" --database {url}"));
    paths.chain(database).collect()
}

//! `counterfoil shadow`: where an old system answers otherwise than we do.

use clap::Subcommand;
use serde_json::Value;

use super::failure::Failure;
use super::print::{self, Column};
use super::remote::{Api, Ask, PageArgs, RemoteArgs};

const COLUMNS: &[Column] = &[
    Column::new("CLASS", "class"),
    Column::new("SHADOW", "shadow"),
    Column::new("SERVICE", "service"),
    Column::new("USER", "user"),
    Column::new("TOKEN", "token"),
    Column::new("REASON", "reason"),
    Column::new("COUNT", "count"),
    Column::new("FIRST", "first_at"),
    Column::new("LAST", "last_at"),
];

/// What an old system says of the same presentations, while an organisation moves in
#[derive(Debug, Subcommand)]
pub(crate) enum ShadowCommand {
    /// Show where the answers differ; exit status 1 if they do
    Report(ReportArgs),
    /// Forget the differences, so that the report begins anew
    Clear(ClearArgs),
}

/// Which differences
#[derive(Debug, clap::Args)]
pub(crate) struct ReportArgs {
    /// Only `only_there`, good at the old system alone, or only `only_here`
    #[arg(long, value_parser = ["only_there", "only_here"])]
    class: Option<String>,
    /// Only with this old system
    #[arg(long, value_name = "NAME")]
    shadow: Option<String>,
    #[command(flatten)]
    remote: RemoteArgs,
}

/// Which differences
#[derive(Debug, clap::Args)]
pub(crate) struct ClearArgs {
    /// Only with this old system
    #[arg(long, value_name = "NAME")]
    shadow: Option<String>,
    #[command(flatten)]
    remote: RemoteArgs,
}

/// Runs the command.
pub(super) async fn run(command: &ShadowCommand) -> Result<(), Failure> {
    match command {
        ShadowCommand::Report(args) => report(args).await,
        ShadowCommand::Clear(args) => {
            let api = Api::new(&args.remote)?;
            let query = given([("shadow", args.shadow.clone())]);
            let path = api.in_realm("shadow");
            api.send(Ask::delete(path).with_query(query)).await?;
            print::note("forgotten; what is met from now on is in the next report");
            Ok(())
        }
    }
}

fn given<const N: usize>(
    filters: [(&'static str, Option<String>); N],
) -> Vec<(&'static str, String)> {
    filters.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

/// Differences are a failure: whoever switches the old system off by a script must not go on.
async fn report(args: &ReportArgs) -> Result<(), Failure> {
    let api = Api::new(&args.remote)?;
    let query = given([("class", args.class.clone()), ("shadow", args.shadow.clone())]);
    let all = api.list(&api.in_realm("shadow"), &query, &PageArgs::ALL).await?;
    let items = all["items"].as_array().map_or(&[][..], Vec::as_slice);
    let of = |class: &str| items.iter().filter(|one| one["class"] == class).count();
    if api.json {
        print::json(&all);
    } else if items.is_empty() {
        print::note("no differences; that an old system was asked at all says the metric shadow");
    } else {
        let mut sorted: Vec<Value> = items.to_vec();
        // Who would be locked out comes first, and then what happens most often.
        sorted.sort_by_key(|one| {
            (one["class"] == "only_here", std::cmp::Reverse(one["count"].as_u64()))
        });
        print::table(COLUMNS, &sorted);
    }
    match (of("only_there"), of("only_here")) {
        (0, 0) => Ok(()),
        (there, here) => Err(Failure::Refused(format!("{there} only there, {here} only here"))),
    }
}

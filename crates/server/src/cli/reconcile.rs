//! `counterfoil reconcile`: whether a directory is as the database says, and making it so.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use super::failure::Failure;
use super::print::{self, Column};
use super::remote::{Api, Ask, RemoteArgs, segment};
use crate::clock::Stopwatch;

/// People that are looked at with one request.
const PEOPLE_PER_REQUEST: u32 = 200;
/// How long a repair is waited for; it goes on when nobody waits any more.
const REPAIR_WITHIN: Duration = Duration::from_mins(2);
/// How often is asked whether it is done.
const LOOK_EVERY: Duration = Duration::from_millis(200);

const COLUMNS: &[Column] = &[
    Column::new("WHO", "object"),
    Column::new("WHERE", "place"),
    Column::new("CHANGES", "changes"),
];

/// Prove that a directory is as the database says, or make it so
#[derive(Debug, clap::Args)]
pub(crate) struct ReconcileArgs {
    /// The target
    target: String,
    /// Bring what differs there
    #[arg(long)]
    repair: bool,
    #[command(flatten)]
    remote: RemoteArgs,
}

fn bar() -> ProgressBar {
    let bar = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {pos} people looked at {msg}") {
        bar.set_style(style);
    }
    bar
}

/// Runs the command. Differences that are left are a failure: exit status 1.
pub(crate) async fn run(args: &ReconcileArgs) -> Result<(), Failure> {
    let api = Api::new(&args.remote)?;
    let path = api.in_realm(&format!("targets/{}/reconcile", segment(&args.target)));
    let bar = bar();
    let (mut checked, mut repairing) = (0, 0);
    let (mut differences, mut lacking) = (Vec::new(), Vec::new());
    let mut cursor = Value::Null;
    loop {
        let body = json!({ "repair": args.repair, "limit": PEOPLE_PER_REQUEST, "cursor": cursor });
        let mut part = api.send(Ask::post(path.as_str(), body)).await?;
        checked += part["checked"].as_u64().unwrap_or(0);
        repairing += part["repairing"].as_u64().unwrap_or(0);
        for (field, all) in [("differences", &mut differences), ("lacking", &mut lacking)] {
            if let Value::Array(more) = part[field].take() {
                all.extend(more);
            }
        }
        bar.set_position(checked);
        bar.set_message(format!("{} differ", differences.len()));
        cursor = part["next_cursor"].take();
        if cursor.is_null() {
            break;
        }
    }
    bar.finish_and_clear();
    let open = if repairing > 0 { settled(&api, &args.target).await? } else { 0 };
    said(&api, args, checked, &differences, &lacking, open)
}

/// Waits until the target's deliveries have come to an end, and says how many did not arrive.
async fn settled(api: &Api, target: &str) -> Result<usize, Failure> {
    let watch = Stopwatch::start();
    loop {
        let under_way =
            in_state(api, target, "waiting").await? + in_state(api, target, "retrying").await?;
        // What is dead is not tried again however long somebody waits.
        if under_way == 0 || watch.elapsed() > REPAIR_WITHIN {
            return Ok(under_way + in_state(api, target, "dead").await?);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// How many deliveries of a target are in a state; of very many as many as one page holds.
async fn in_state(api: &Api, target: &str, state: &str) -> Result<usize, Failure> {
    let query = vec![
        ("target", target.to_owned()),
        ("state", state.to_owned()),
        ("limit", "1000".to_owned()),
    ];
    let page = api.send(Ask::get(api.in_realm("deliveries")).with_query(query)).await?;
    Ok(page["items"].as_array().map_or(0, Vec::len))
}

fn said(
    api: &Api,
    args: &ReconcileArgs,
    checked: u64,
    differences: &[Value],
    lacking: &[Value],
    open: usize,
) -> Result<(), Failure> {
    if api.json {
        print::json(&json!({
            "target": args.target, "checked": checked, "differences": differences,
            "lacking": lacking, "open": open,
        }));
    } else {
        print::table(COLUMNS, differences);
        let count = differences.len();
        print::note(&format!("{checked} people looked at, {count} differ"));
        if !lacking.is_empty() {
            let count = lacking.len();
            print::note(&format!("{count} tokens lack a scheme: they have to be issued anew"));
        }
    }
    match (args.repair, differences.len(), open) {
        (_, 0, 0) => Ok(()),
        (true, _, 0) => {
            print::note("repaired");
            Ok(())
        }
        (true, _, open) => Err(Failure::Refused(format!("{open} deliveries are still open"))),
        (false, count, _) => {
            Err(Failure::Refused(format!("{count} differ; --repair brings them there")))
        }
    }
}

//! `counterfoil job`: acts on many tokens, and how far they are.

use std::time::Duration;

use clap::Subcommand;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;

use super::failure::Failure;
use super::print::{self, Column};
use super::remote::{Api, Ask, PageArgs, RemoteArgs, segment};

/// How often a job is asked how far it is.
const ASKED_EVERY: Duration = Duration::from_millis(200);

const COLUMNS: &[Column] = &[
    Column::new("ID", "id"),
    Column::new("STATE", "state"),
    Column::new("ACT", "act"),
    Column::new("BY", "actor"),
    Column::new("TOTAL", "total"),
    Column::new("DONE", "done"),
    Column::new("FAILED", "failed"),
    Column::new("CREATED", "created_at"),
];

/// Acts on many tokens, started by `token bulk`
#[derive(Debug, Subcommand)]
pub(crate) enum JobCommand {
    /// List jobs, newest first
    List(JobListArgs),
    /// Show how far a job is, and what it did not change
    Show(JobOneArgs),
    /// Wait for a job, with its progress
    Wait(JobOneArgs),
    /// Stop a job; what it has done stays done
    Cancel(JobOneArgs),
}

/// Which jobs
#[derive(Debug, clap::Args)]
pub(crate) struct JobListArgs {
    #[command(flatten)]
    page: PageArgs,
    #[command(flatten)]
    remote: RemoteArgs,
}

/// One job
#[derive(Debug, clap::Args)]
pub(crate) struct JobOneArgs {
    /// Its id
    id: String,
    #[command(flatten)]
    remote: RemoteArgs,
}

/// Runs the command.
pub(super) async fn run(command: &JobCommand) -> Result<(), Failure> {
    match command {
        JobCommand::List(args) => {
            let api = Api::new(&args.remote)?;
            let listed = api.list(&api.in_realm("jobs"), &[], &args.page).await?;
            if api.json {
                print::json(&listed);
            } else {
                print::table(COLUMNS, listed["items"].as_array().map_or(&[], Vec::as_slice));
            }
            Ok(())
        }
        JobCommand::Show(args) => {
            let api = Api::new(&args.remote)?;
            shown(&api, &api.send(Ask::get(path(&api, &args.id))).await?);
            Ok(())
        }
        JobCommand::Wait(args) => {
            let api = Api::new(&args.remote)?;
            shown(&api, &watched(&api, &args.id).await?);
            Ok(())
        }
        JobCommand::Cancel(args) => {
            let api = Api::new(&args.remote)?;
            let cancel = format!("{}/cancel", path(&api, &args.id));
            shown(&api, &api.send(Ask::post(cancel, serde_json::json!({}))).await?);
            Ok(())
        }
    }
}

fn path(api: &Api, id: &str) -> String {
    api.in_realm(&format!("jobs/{}", segment(id)))
}

fn shown(api: &Api, job: &Value) {
    if api.json { print::json(job) } else { print::record(job) }
}

/// Waits until a job has ended, and shows how far it is.
///
/// # Errors
///
/// When the server cannot be asked; the job goes on without anybody who watches.
pub(super) async fn watched(api: &Api, id: &str) -> Result<Value, Failure> {
    let bar = ProgressBar::no_length();
    if let Ok(style) = ProgressStyle::with_template("{wide_bar} {pos}/{len} {eta}") {
        bar.set_style(style);
    }
    loop {
        let job = api.send(Ask::get(path(api, id))).await?;
        let count = |name: &str| job[name].as_u64().unwrap_or(0);
        bar.set_length(count("total"));
        bar.set_position(count("total") - count("waiting").min(count("total")));
        if job["state"] != "running" {
            bar.finish_and_clear();
            return Ok(job);
        }
        tokio::time::sleep(ASKED_EVERY).await;
    }
}

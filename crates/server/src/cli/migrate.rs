//! `counterfoil migrate`: the schema of a stopped installation, brought up to this version.
//!
//! `serve` does the same by itself. This command is for who wants to see it done, and on which
//! version the database was, before anything is served.

use serde_json::json;

use super::failure::Failure;
use super::local::{HERE, LocalArgs};
use super::print;
use crate::installation::{InstallationError, Lock, Migrated, migrate_store};

/// Bring the schema of the database up to this version, while no server runs
#[derive(Debug, clap::Args)]
#[command(after_help = HERE)]
pub(crate) struct MigrateArgs {
    #[command(flatten)]
    local: LocalArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(crate) async fn run(args: &MigrateArgs) -> Result<(), Failure> {
    let config = args.local.load()?;
    if !config.data.dir.exists() {
        return Err(InstallationError::Uninitialised(config.data.dir).into());
    }
    // A server that runs has statements prepared for the schema as it was.
    let _lock = Lock::take(&config.data.dir)?;
    let Migrated { from, to } = migrate_store(&config).await?;
    if args.json {
        print::json(&json!({ "from": from, "to": to }));
    } else if from == to {
        print::line(&format!("the schema has version {to} already"));
    } else {
        print::line(&format!("the schema went from version {from} to {to}"));
    }
    Ok(())
}

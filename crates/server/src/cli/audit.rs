//! `counterfoil audit`: takes the log of a realm away, and checks it without any server.

mod export;
#[cfg(test)]
mod fuzzing;
mod lost;
pub(crate) mod replay;
mod verify;

use std::fmt::Display;
use std::path::{Path, PathBuf};

use clap::Subcommand;

use super::failure::Failure;
use super::print;
use super::remote::{Api, Ask, RemoteArgs};

/// The audit log of a realm, and its proof
#[derive(Debug, Subcommand)]
pub(crate) enum AuditCommand {
    /// Write the log to a file, with the checkpoint that proves it
    Export(ExportArgs),
    /// Check an export, offline, with nothing but the public key of the log
    #[command(
        after_help = "Exit status: 0 if the export is complete and unaltered, 1 if not, 2 if \
                            there is nothing to check."
    )]
    Verify(VerifyArgs),
    /// After a restore: do again what was revoked, locked or rotated after the backup
    Replay(Box<replay::ReplayArgs>),
    /// Print the latest checkpoint
    Checkpoint(LookArgs),
    /// Print the public keys of the log, the present one first
    Keys(LookArgs),
}

/// What is looked at
#[derive(Debug, clap::Args)]
pub(crate) struct LookArgs {
    #[command(flatten)]
    remote: RemoteArgs,
}

/// What is exported
#[derive(Debug, clap::Args)]
pub(crate) struct ExportArgs {
    /// Where to; a file that is there is not touched [default: standard output]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Begin with this entry, counted from 0: the size of the former export, to go on behind it
    #[arg(long, value_name = "N", default_value = "0")]
    from: u64,
    #[command(flatten)]
    remote: RemoteArgs,
}

/// What is checked, and against what
#[derive(Debug, clap::Args)]
pub(crate) struct VerifyArgs {
    /// The exports, each going on where the one before it ends
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The public key, `NAME+ID+KEY`, or a file with one a line; again for further ones
    #[arg(long, value_name = "KEY", required = true)]
    key: Vec<String>,
    /// A checkpoint that was kept elsewhere, or an export: the log must go on from it; again for
    /// further ones
    #[arg(long, value_name = "FILE")]
    since: Vec<PathBuf>,
    /// Take it that events were removed of which the log does not say so
    #[arg(long)]
    allow_removed: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(super) async fn run(command: &AuditCommand) -> Result<(), Failure> {
    match command {
        AuditCommand::Export(args) => export::run(args).await,
        AuditCommand::Verify(args) => verify::run(args),
        AuditCommand::Replay(args) => replay::run(args).await,
        AuditCommand::Checkpoint(args) => look(args, "audit/checkpoint").await,
        AuditCommand::Keys(args) => look(args, "audit/keys").await,
    }
}

/// A refusal that names a file: its name may come from others, and says nothing to the terminal.
fn about(path: &Path, why: impl Display) -> Failure {
    Failure::about(shown(path), why)
}

/// The name of a file as a terminal may see it.
fn shown(path: &Path) -> String {
    print::clean(&path.display().to_string())
}

async fn look(args: &LookArgs, path: &str) -> Result<(), Failure> {
    let api = Api::new(&args.remote)?;
    let text = api.text(Ask::get(api.in_realm(path))).await?;
    if api.json {
        print::json(&serde_json::json!({ "text": text }));
    } else {
        // A server that is not the right one has no say about the terminal.
        for line in text.lines() {
            print::line(&print::clean(line));
        }
    }
    Ok(())
}

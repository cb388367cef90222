//! `counterfoil backup` and `counterfoil restore`.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use super::audit::replay::{self, ProofArgs};
use super::failure::Failure;
use super::local::{HERE, SealedFileArgs, with_causes};
use super::print;
use super::secret_input::{self, Wanted};
use crate::backup::{self, BackupError, Manifest, Progress};
use crate::installation::{self, IfEmpty, InstallationError};

/// What is restored, and what of the time after it
#[derive(Debug, clap::Args)]
#[command(after_help = HERE)]
pub(crate) struct RestoreArgs {
    #[command(flatten)]
    sealed: SealedFileArgs,
    /// An export of the lost audit log of a realm: what was revoked, locked or rotated after the
    /// backup is done again; again for further ones
    #[arg(long, value_name = "FILE")]
    audit: Vec<PathBuf>,
    #[command(flatten)]
    proof: ProofArgs,
}

impl From<BackupError> for Failure {
    fn from(error: BackupError) -> Self {
        match error {
            BackupError::Installation(error) => InstallationError::into(error),
            other => Self::Refused(with_causes(&other)),
        }
    }
}

/// A bar on standard error; nothing where that is no terminal.
fn bar() -> ProgressBar {
    let bar = ProgressBar::no_length();
    if let Ok(style) = ProgressStyle::with_template("{msg} {wide_bar} {percent}%") {
        bar.set_style(style);
    }
    bar
}

fn advance(bar: &ProgressBar, progress: Progress) {
    let (message, done, total) = match progress {
        Progress::Copying(done, total) => ("copying", done, total),
        Progress::Sealing(done, total) => ("sealing", done, total),
    };
    bar.set_message(message);
    bar.set_length(total);
    bar.set_position(done);
}

/// Runs `backup`.
pub(crate) async fn write(args: &SealedFileArgs) -> Result<(), Failure> {
    let config = args.local.load()?;
    refuse_existing(&args.file)?;
    let passphrase = secret_input::new_passphrase(args.passphrase_file.as_deref())?;
    let bar = bar();
    let shown = bar.clone();
    let report = Arc::new(move |progress| advance(&shown, progress));
    let written = backup::write(&config, &args.file, &passphrase, report).await;
    bar.finish_and_clear();
    said(args, "backed up", &written?);
    Ok(())
}

/// Runs `restore`.
pub(crate) async fn restore(asked: &RestoreArgs) -> Result<(), Failure> {
    let args = &asked.sealed;
    let config = args.local.load()?;
    // Before anybody types a passphrase for a file that is not there.
    for path in asked.audit.iter().chain([&args.file]) {
        if let Err(error) = File::open(path) {
            return Err(Failure::about(path.display(), error));
        }
    }
    let from = args.passphrase_file.as_deref();
    let passphrase = secret_input::secret(from, Wanted::Passphrase)?;
    let bar = bar();
    let shown = bar.clone();
    let report = move |progress| advance(&shown, progress);
    let restored = backup::restore(&config, &args.file, &passphrase, &report).await;
    bar.finish_and_clear();
    let manifest = restored?;
    said(args, "restored", &manifest);
    if asked.audit.is_empty() {
        if args.json {
            return Ok(());
        }
        print::note(&format!(
            "Nothing is known of what came after {}: what was revoked, locked or rotated since is \
             good again. Before you serve this, run `counterfoil audit replay` with exports of the \
             lost audit logs, or with --acknowledge where there are none.",
            manifest.created_at
        ));
        return Ok(());
    }
    let opened = installation::open(&config, IfEmpty::Refuse).await?;
    let told = replay::replay(&config, &opened, &asked.audit, &asked.proof, false).await;
    let closed = opened.close().await;
    let told = told.map_err(|failure| not_replayed(&failure))?;
    closed?;
    replay::report(&told, false, args.json)
}

/// The restore itself is done then, and is not to be served as it is.
fn not_replayed(failure: &Failure) -> Failure {
    Failure::Refused(format!(
        "the backup is restored, but nothing that came after it was done again: {failure}; run \
         `counterfoil audit replay` before you serve it"
    ))
}

/// Refuses to write over anything, before a passphrase is asked for.
pub(crate) fn refuse_existing(file: &Path) -> Result<(), Failure> {
    if file.symlink_metadata().is_ok() {
        return Err(Failure::Refused(format!("{} exists and is not overwritten", file.display())));
    }
    Ok(())
}

fn said(args: &SealedFileArgs, what: &str, manifest: &Manifest) {
    let file = args.file.display().to_string();
    if args.json {
        print::json(&json!({ "file": file, "installation": manifest.installation,
            "created_at": manifest.created_at, "version": manifest.version,
            "database_bytes": manifest.database_bytes }));
    } else {
        print::line(&format!(
            "{what} the installation {} as of {}: {file}",
            manifest.installation, manifest.created_at
        ));
    }
}

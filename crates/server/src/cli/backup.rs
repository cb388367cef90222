//! `counterfoil backup` and `counterfoil restore`.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use super::failure::Failure;
use super::local::{SealedFileArgs, with_causes};
use super::print;
use super::secret_input::{self, Wanted};
use crate::backup::{self, BackupError, Manifest, Progress};
use crate::installation::InstallationError;

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
pub(crate) async fn restore(args: &SealedFileArgs) -> Result<(), Failure> {
    let config = args.local.load()?;
    // Before anybody types a passphrase for a file that is not there.
    if let Err(error) = File::open(&args.file) {
        return Err(Failure::about(args.file.display(), error));
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
    if !args.json {
        print::note(&format!(
            "What was revoked, counted or changed after {} is undone: revoke again what must stay \
             revoked before you serve this.",
            manifest.created_at
        ));
    }
    Ok(())
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

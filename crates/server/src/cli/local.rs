//! Commands on the machine of the data directory: where it is, and how failures read.

use std::io::ErrorKind;
use std::path::PathBuf;

use counterfoil_authority::refusal::Refusal;
use counterfoil_store::OpenError;

use super::failure::Failure;
use crate::config::{Config, Sources, load};
use crate::installation::InstallationError;

/// What the help of a command says that works on the data itself.
pub(crate) const HERE: &str = "It runs on the machine that holds the data: give --data where that \
                               is not ./counterfoil-data. No server is asked.";

/// Where the installation is
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct LocalArgs {
    /// The configuration file [default: ./counterfoil.toml if it exists]
    #[arg(long, value_name = "FILE", env = "COUNTERFOIL_CONFIG", hide_env_values = true)]
    pub(crate) config: Option<PathBuf>,
    /// The data directory [default: ./counterfoil-data]
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// The database, `sqlite:PATH` or `postgres://USER@HOST/NAME` [default: counterfoil.db in the data directory]
    #[arg(long, value_name = "URL")]
    pub(crate) database: Option<String>,
}

/// The help of the file of a command that writes one.
pub(crate) const NEW_FILE: &str = "The encrypted file to write: one that exists is not overwritten";

/// Where the installation is, and the encrypted file of it
#[derive(Debug, clap::Args)]
#[command(after_help = HERE)]
pub(crate) struct SealedFileArgs {
    #[command(flatten)]
    pub(crate) local: LocalArgs,
    /// The encrypted file to read; it stays as it is
    pub(crate) file: PathBuf,
    /// File with the passphrase, or `-` for standard input [default: a prompt]
    #[arg(long, value_name = "FILE")]
    pub(crate) passphrase_file: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

impl LocalArgs {
    /// What the configuration is made from.
    ///
    /// # Errors
    ///
    /// When the file cannot be read.
    pub(crate) fn sources(&self) -> Result<Sources, Failure> {
        let data = self.data.as_ref().map(|path| path.to_string_lossy().into_owned());
        Ok(Sources::read(self.config.as_deref())?.with("--data", "data.dir", data).with(
            "--database",
            "data.database",
            self.database.clone(),
        ))
    }

    /// The configuration.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with it.
    pub(crate) fn load(&self) -> Result<Config, Failure> {
        Ok(load(&self.sources()?)?)
    }
}

impl From<InstallationError> for Failure {
    fn from(error: InstallationError) -> Self {
        match error {
            InstallationError::Unavailable(error) => error.into(),
            InstallationError::Key(error) => error.into(),
            InstallationError::Open(error) => error.into(),
            InstallationError::Refused(error) => error.into(),
            InstallationError::Io { .. } | InstallationError::Start(_) => {
                Self::Unavailable(error.to_string())
            }
            InstallationError::Locked(_)
            | InstallationError::Repository(_)
            | InstallationError::WritableByOthers(_)
            | InstallationError::Uninitialised(_)
            | InstallationError::Foreign { .. } => Self::Refused(error.to_string()),
        }
    }
}

impl From<OpenError> for Failure {
    fn from(error: OpenError) -> Self {
        let mut text = with_causes(&error);
        if let OpenError::File { source, .. } = &error
            && source.kind() == ErrorKind::NotFound
        {
            text.push_str("; give --data, the data directory of the installation, or --database where it is elsewhere");
        }
        match error {
            OpenError::Newer { .. }
            | OpenError::Older { .. }
            | OpenError::UnfinishedCopy
            | OpenError::Moved { .. }
            | OpenError::Empty => Self::Refused(text),
            _ => Self::Unavailable(text),
        }
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        let text = with_causes(&refusal);
        match refusal {
            Refusal::Unavailable(_) | Refusal::Overloaded => Self::Unavailable(text),
            _ => Self::Refused(text),
        }
    }
}

/// An error with what caused it, since the outermost text alone rarely says what to do.
pub(crate) fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        if !text.ends_with(&inner_text) {
            text = format!("{text}: {inner_text}");
        }
        cause = inner.source();
    }
    text
}

//! How a command ends when it does not succeed, and with which exit status.

use std::process::ExitCode;

use counterfoil_authority::clock::NoEntropy;
use counterfoil_authority::store::Unavailable;
use serde_json::json;

use crate::config::ConfigError;
use crate::keydir::KeyError;

/// Why a command did not succeed. The text is for people and names no secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Failure {
    /// Refused, or not found.
    #[error("{0}")]
    Refused(String),
    /// The command was given wrongly.
    #[error("{0}")]
    Usage(String),
    /// The server or store cannot answer now.
    #[error("{0}")]
    Unavailable(String),
    /// What was printed says it all: nothing is added to it.
    #[error("")]
    Told {
        /// The exit status.
        status: u8,
    },
    /// What the API answered, for a program: a problem document (RFC 9457).
    #[error("{document}")]
    Problem {
        /// The document as JSON text.
        document: String,
        /// Whether the server could not answer, rather than would not.
        unavailable: bool,
    },
}

impl Failure {
    /// 1 refused or not found, 2 wrong usage, 3 unavailable; or what has been decided.
    pub(crate) fn code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Refused(_) | Self::Problem { unavailable: false, .. } => 1,
            Self::Usage(_) => 2,
            Self::Told { status } => *status,
            Self::Unavailable(_) | Self::Problem { unavailable: true, .. } => 3,
        })
    }

    /// The failure as a JSON object: the API's problem document, or the same in small.
    pub(crate) fn for_programs(&self) -> String {
        let title = match self {
            Self::Problem { document, .. } => return document.clone(),
            Self::Told { .. } => return String::new(),
            Self::Refused(_) => "Refused",
            Self::Usage(_) => "Wrong usage",
            Self::Unavailable(_) => "Unavailable",
        };
        format!("{:#}", json!({ "title": title, "detail": self.to_string() }))
    }

    /// A refusal that names the file or thing it is about.
    pub(crate) fn about(what: impl std::fmt::Display, why: impl std::fmt::Display) -> Self {
        Self::Refused(format!("{what}: {why}"))
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::Usage(error.to_string())
    }
}

impl From<Unavailable> for Failure {
    fn from(error: Unavailable) -> Self {
        Self::Unavailable(format!("{error}: {}", error.0))
    }
}

impl From<NoEntropy> for Failure {
    fn from(error: NoEntropy) -> Self {
        Self::Unavailable(error.to_string())
    }
}

impl From<KeyError> for Failure {
    fn from(error: KeyError) -> Self {
        match error {
            KeyError::Unavailable(error) => error.into(),
            KeyError::NoEntropy(error) => error.into(),
            other => Self::Refused(other.to_string()),
        }
    }
}

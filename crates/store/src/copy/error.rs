//! Why a copy did not come to its end, in words that say what to do.

use std::fmt;

use counterfoil_authority::store::Unavailable;

use crate::OpenError;

/// One of the two databases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Where the rows come from.
    Source,
    /// Where they go.
    Target,
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Source => "the source",
            Self::Target => "the target",
        })
    }
}

/// Why a copy did not come to its end. The target stays unfinished if it was begun.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// A database cannot be opened.
    #[error("{side} cannot be opened")]
    Open {
        /// Which.
        side: Side,
        /// Why.
        #[source]
        source: OpenError,
    },
    /// A database did not answer, or refused a statement.
    #[error("{side} could not be {doing}")]
    Unavailable {
        /// Which.
        side: Side,
        /// What was asked of it.
        doing: &'static str,
        /// Why.
        #[source]
        source: Unavailable,
    },
    /// A server works on the source.
    #[error(
        "the source has a live lease of a node for {seconds} more seconds: stop every server \
         that serves it; if none runs, wait until the lease has ended"
    )]
    SourceServed {
        /// How long it lives.
        seconds: i64,
    },
    /// The source is not what it was when the copy was begun.
    #[error(
        "the source has changed since the copy was begun, so the target is of no use: stop every \
         server that serves the source, empty the target, and copy again"
    )]
    SourceChanged,
    /// There is something in the target that no copy has put there.
    #[error("the target is not empty: its table {table} has rows")]
    NotEmpty {
        /// A table with rows.
        table: &'static str,
    },
    /// The target holds the beginning of another copy.
    #[error(
        "the target holds an unfinished copy of another installation ({installation}): empty it, \
         or choose another"
    )]
    OtherInstallation {
        /// Whose copy it is.
        installation: String,
    },
    /// A table is not the same on both sides.
    #[error(
        "the table {table} differs: {source_rows} rows with the checksum {source_checksum} in the \
         source, {target_rows} with {target_checksum} in the target; empty the target and copy \
         again"
    )]
    Differs {
        /// The table.
        table: &'static str,
        /// Rows in the source.
        source_rows: u64,
        /// Their checksum.
        source_checksum: String,
        /// Rows in the target.
        target_rows: u64,
        /// Their checksum.
        target_checksum: String,
    },
}

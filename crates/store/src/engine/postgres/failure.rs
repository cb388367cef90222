//! What an error of the driver means for the transaction and the connection.

use std::error::Error as StdError;
use std::num::TryFromIntError;
use std::str::Utf8Error;

use tokio_postgres::Error;
use tokio_postgres::error::SqlState;

use super::value::WrongType;
use crate::engine::Failure;

/// Whether the server has said that it takes no writes: it was demoted, or is a standby.
pub(super) fn is_demoted(failure: &Failure) -> bool {
    match failure {
        Failure::Broken(source) => source.downcast_ref().is_some_and(is_read_only),
        _ => false,
    }
}

fn is_read_only(error: &Error) -> bool {
    error.code() == Some(&SqlState::READ_ONLY_SQL_TRANSACTION)
}

/// Whether the server may have done what was asked although no answer came.
pub(super) fn is_lost_connection(error: &Error) -> bool {
    match error.as_db_error() {
        Some(said) => is_end_of_session(said.code()),
        None => true,
    }
}

/// What an error means.
pub(super) fn failure(error: Error) -> Failure {
    let Some(code) = error.code() else {
        // A value that cannot be sent leaves the connection as it was; whatever
        // else the driver reports by itself is the end of it.
        let is_of_a_value = !error.is_closed() && is_conversion(&error);
        return if is_of_a_value {
            Failure::Statement(error.into())
        } else {
            Failure::Broken(error.into())
        };
    };
    if is_end_of_session(code) || is_read_only(&error) || is_stale_plan(code) {
        Failure::Broken(error.into())
    } else if is_to_be_repeated(code) {
        Failure::Again(error.into())
    } else {
        Failure::Statement(error.into())
    }
}

/// The operation met another one. A broken key counts too: every operation looks before it
/// writes, so the row that is in the way, or missing, came or went in between.
fn is_to_be_repeated(code: &SqlState) -> bool {
    [
        SqlState::T_R_SERIALIZATION_FAILURE,
        SqlState::T_R_DEADLOCK_DETECTED,
        SqlState::UNIQUE_VIOLATION,
        SqlState::FOREIGN_KEY_VIOLATION,
    ]
    .contains(code)
}

/// The server has ended the session, or refuses to begin one.
fn is_end_of_session(code: &SqlState) -> bool {
    let class = &code.code()[..2];
    class == "08"
        || [
            SqlState::ADMIN_SHUTDOWN,
            SqlState::CRASH_SHUTDOWN,
            SqlState::CANNOT_CONNECT_NOW,
            SqlState::DATABASE_DROPPED,
            SqlState::TOO_MANY_CONNECTIONS,
            SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT,
        ]
        .contains(code)
}

/// A statement was prepared on another schema, or by somebody else on a shared connection.
fn is_stale_plan(code: &SqlState) -> bool {
    [SqlState::INVALID_SQL_STATEMENT_NAME, SqlState::FEATURE_NOT_SUPPORTED].contains(code)
}

/// Whether the error is about one value that was sent or read.
fn is_conversion(error: &Error) -> bool {
    let of_a_value = |source: &(dyn StdError + 'static)| {
        source.is::<WrongType>() || source.is::<TryFromIntError>() || source.is::<Utf8Error>()
    };
    StdError::source(error).is_some_and(of_a_value)
}

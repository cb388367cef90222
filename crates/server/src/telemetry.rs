//! The log: JSON for machines, text for people, on standard error.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::time::FormatTime;
use tracing_subscriber::util::SubscriberInitExt;

use counterfoil_authority::clock::Clock;

use crate::clock::OsClock;
use crate::config::{Log, LogFormat};

/// Writes the time as the rest of the server reads it.
struct Rfc3339;

impl FormatTime for Rfc3339 {
    fn format_time(&self, w: &mut tracing_subscriber::fmt::format::Writer<'_>) -> std::fmt::Result {
        write!(w, "{}", OsClock.now())
    }
}

/// Starts the log of this process. Later calls change nothing.
pub fn start(log: &Log) {
    // What libraries say at a finer level is about sockets and frames, which nobody asked for, and
    // one of a database prints what a statement is given. Those of LDAP may print messages
    // whatever the level is, and a bind holds a token.
    let libraries = if log.level == "error" { "error" } else { "warn" };
    let directives =
        format!("{libraries},counterfoil={},ldap3_proto=off,ldap3_lber=off", log.level);
    let filter = EnvFilter::new(directives);
    let text = match log.format {
        LogFormat::Text => true,
        LogFormat::Json => false,
        LogFormat::Auto => std::io::stderr().is_terminal(),
    };
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_timer(Rfc3339)
        .with_target(false)
        // Standard error may be a terminal that was closed: to complain there would end the server.
        .log_internal_errors(false)
        .with_writer(std::io::stderr);
    // A second subscriber is refused: that happens in tests only.
    let _ = if text {
        builder.with_ansi(std::io::stderr().is_terminal()).finish().try_init()
    } else {
        builder
            .json()
            .flatten_event(true)
            .with_current_span(true)
            .with_span_list(false)
            .finish()
            .try_init()
    };
}

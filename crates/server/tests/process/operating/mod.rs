//! What operators run around the server: a service manager, Prometheus, a log, a collector of
//! traces.

mod logs;
mod prometheus;
mod systemd;
mod traces;
mod unit;

use std::path::PathBuf;

/// A file of the repository.
fn repository(path: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).join(path)
}

/// Its text.
fn text_of(path: &str) -> String {
    std::fs::read_to_string(repository(path)).unwrap()
}

//! Brings checkpoints to whoever keeps them elsewhere: a program by HTTP, or a directory.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{fs, io};

use async_trait::async_trait;
use counterfoil_authority::audit::Witness;
use counterfoil_authority::names::RealmName;

use crate::config::Audit;

/// How long a witness may take to answer.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of a kept checkpoint that are read at most.
const NOTE_BYTES_MAX: u64 = 64 * 1024;

/// The witnesses of the configuration.
pub struct Witnesses {
    client: reqwest::Client,
    url: Option<String>,
    dir: Option<PathBuf>,
    /// How often a realm's checkpoint is handed over at most, in seconds.
    pub every_seconds: i64,
}

impl Witnesses {
    /// Those that `config` names; `None` if it names none.
    pub fn of(config: &Audit) -> Option<Self> {
        let (url, dir) = (config.witness_url.clone(), config.witness_dir.clone());
        (url.is_some() || dir.is_some()).then_some(())?;
        // A redirection would lead to somebody who was not named.
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(TIMEOUT)
            .user_agent(concat!("counterfoil/", env!("CARGO_PKG_VERSION")));
        let client = client.build().unwrap_or_default();
        Some(Self { client, url, dir, every_seconds: config.witness_interval_seconds })
    }

    async fn post(&self, url: &str, realm: &RealmName, note: &str) -> Result<(), String> {
        let request = self
            .client
            .post(url)
            .header("content-type", "text/plain; charset=utf-8")
            .header("counterfoil-realm", realm.as_str())
            .body(note.to_owned());
        // What was sent where stands in the configuration; the error would repeat it.
        let answer = request.send().await.map_err(|error| {
            let why = if error.is_timeout() { "does not answer in time" } else { "is not reached" };
            format!("it {why}")
        })?;
        let status = answer.status();
        if status.is_success() { Ok(()) } else { Err(format!("it answered {status}")) }
    }
}

#[async_trait]
impl Witness for Witnesses {
    async fn tell(&self, realm: &RealmName, size: u64, note: &str) -> Result<(), String> {
        if let Some(dir) = self.dir.clone() {
            let (realm, note) = (realm.clone(), note.to_owned());
            let kept = tokio::task::spawn_blocking(move || keep(&dir, &realm, size, &note));
            kept.await.map_err(|error| error.to_string())??;
        }
        match &self.url {
            Some(url) => self.post(url, realm, note).await,
            None => Ok(()),
        }
    }
}

/// The size that a kept checkpoint tells; it is compared, not believed.
fn size_of(note: &str) -> Option<u64> {
    note.lines().nth(1)?.parse().ok()
}

/// Puts a checkpoint into its file, all of it or nothing.
fn keep(dir: &Path, realm: &RealmName, size: u64, note: &str) -> Result<(), String> {
    let path = dir.join(format!("{}.checkpoint", realm.as_str()));
    let told = |error: io::Error| format!("{}: {error}", path.display());
    match fs::metadata(&path) {
        Ok(found) if found.len() > NOTE_BYTES_MAX => {
            return Err(format!("{} is no checkpoint", path.display()));
        }
        Ok(_) => {
            let known = fs::read_to_string(&path).map_err(told)?;
            let Some(earlier) = size_of(&known) else {
                return Err(format!("{} is no checkpoint", path.display()));
            };
            if earlier > size || (earlier == size && !known.starts_with(body_of(note))) {
                return Err(format!(
                    "{} has a checkpoint of {earlier} entries, which the log of {size} does not \
                     continue: it was truncated or forked, or a backup was restored",
                    path.display()
                ));
            }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(told(error)),
    }
    let new = dir.join(format!(".{}.checkpoint.new", realm.as_str()));
    let write = || {
        let mut file = fs::File::create(&new)?;
        file.write_all(note.as_bytes())?;
        file.sync_all()?;
        fs::rename(&new, &path)?;
        fs::File::open(dir)?.sync_all()
    };
    write().map_err(told)
}

/// What is signed: after a rotation the same log has another signature.
fn body_of(note: &str) -> &str {
    note.split_once("\n\n").map_or(note, |(body, _)| body)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(size: u64, root: &str) -> String {
        format!("log/main\n{size}\n{root}\n\n\u{2014} log/main AAAA\n")
    }

    #[test]
    fn a_kept_checkpoint_is_replaced_by_later_ones_only() {
        let dir = tempfile::tempdir().unwrap();
        let realm = RealmName::parse("main").unwrap();
        let path = dir.path().join("main.checkpoint");
        for (size, root) in [(3, "a"), (3, "a"), (7, "b")] {
            keep(dir.path(), &realm, size, &note(size, root)).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), note(size, root));
        }
        let shorter = keep(dir.path(), &realm, 6, &note(6, "c")).unwrap_err();
        assert!(shorter.contains("of 7 entries"), "{shorter}");
        let forked = keep(dir.path(), &realm, 7, &note(7, "c")).unwrap_err();
        assert!(forked.contains("forked"), "{forked}");
        assert_eq!(fs::read_to_string(&path).unwrap(), note(7, "b"));
        fs::write(&path, "something else").unwrap();
        assert!(keep(dir.path(), &realm, 8, &note(8, "d")).is_err());
        let gone = dir.path().join("gone");
        assert!(keep(&gone, &realm, 8, &note(8, "d")).is_err());
    }
}

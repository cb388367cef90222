//! `counterfoil repo-check`: tries a repository against the protocol, and says what it gets wrong.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use counterfoil_authority::clock::{Clock, Entropy};
use counterfoil_authority::custom::TokenRepository;
use data_encoding::HEXLOWER;
use serde_json::json;
use zeroize::Zeroizing;

use super::failure::Failure;
use super::local::LocalArgs;
use super::print;
use super::secret_input::{Wanted, secret};
use crate::clock::{OsClock, OsEntropy};
use crate::config::{kept_elsewhere, load};
use crate::custom::{Check, HttpRepository, HttpSettings, Proves, check, driver};

/// How long one answer may take here: a tool waits longer than a login does.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Try a custom repository: everything that the protocol asks for, with a token made and removed
#[derive(Debug, clap::Args)]
pub(crate) struct RepoCheckArgs {
    /// Where the repository is, `http://127.0.0.1:9400`
    #[arg(value_name = "URL")]
    url: Option<String>,
    /// Instead, the repository of this name in the configuration (`--config`), whatever its driver
    #[arg(long, value_name = "NAME", conflicts_with = "url")]
    repository: Option<String>,
    /// File of the key that signs requests, `-` for standard input
    #[arg(long, value_name = "FILE")]
    key_file: Option<String>,
    /// The key is a bearer token and signs nothing
    #[arg(long, requires = "key_file")]
    bearer: bool,
    /// PEM file with certificates to trust instead of the system's
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// PEM file with certificate and key to be known by
    #[arg(long, value_name = "FILE")]
    identity: Option<PathBuf>,
    /// Whose token is made; where none can be made, who has one
    #[arg(long, value_name = "NAME", default_value = "repo-check")]
    user: String,
    #[command(flatten)]
    local: LocalArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl RepoCheckArgs {
    fn repository(&self) -> Result<Arc<dyn TokenRepository>, Failure> {
        let clock: Arc<dyn Clock> = Arc::new(OsClock);
        let usage = |why: String| Failure::Usage(why);
        if let Some(name) = &self.repository {
            let config = load(&self.local.sources()?).map_err(|error| usage(error.to_string()))?;
            let all = kept_elsewhere(&config);
            let kept = all.iter().find(|kept| &*kept.settings.name == name.as_str());
            let none = || {
                let where_to_look = "--config names the file that it stands in";
                usage(format!("no custom repository is called {name}; {where_to_look}"))
            };
            return driver(kept.ok_or_else(none)?, &clock).map_err(usage);
        }
        let Some(url) = self.url.clone() else {
            let either = "give the URL of a repository, or the name of one of the configuration: \
                          --repository NAME --config FILE";
            return Err(usage(either.to_owned()));
        };
        let proves = match (&self.key_file, self.bearer) {
            (None, _) => Proves::Nothing,
            (from, true) => Proves::Bearer(secret(from.as_deref(), Wanted::TargetSecret)?),
            (from, false) => Proves::Signature(secret(from.as_deref(), Wanted::TargetSecret)?),
        };
        let settings = HttpSettings {
            url,
            proves,
            identity: self.identity.as_deref().map(read).transpose()?.map(Zeroizing::new),
            ca: self.ca.as_deref().map(read).transpose()?,
            timeout: TIMEOUT,
        };
        Ok(Arc::new(HttpRepository::new(settings, clock).map_err(usage)?))
    }
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(path).map_err(|error| Failure::about(path.display(), error))
}

/// Runs the command.
pub(crate) async fn run(args: &RepoCheckArgs) -> Result<(), Failure> {
    let repository = args.repository()?;
    let mut nonce = [0; 16];
    OsEntropy.fill(&mut nonce).map_err(|error| Failure::Unavailable(error.to_string()))?;
    let nonce = HEXLOWER.encode(&nonce);
    let checks = check(repository, &args.user, &nonce, OsClock.now()).await;
    if args.json {
        print::json(&json!({ "checks": checks }));
    } else {
        let row = |check: &Check| {
            vec![check.status.to_owned(), check.name.to_owned(), print::clean(&check.found)]
        };
        print::rows(&["STATUS", "CHECK", "FOUND"], checks.iter().map(row));
    }
    match checks.iter().filter(|check| check.status == "fail").count() {
        0 => Ok(()),
        1 => Err(Failure::Refused("1 check failed".into())),
        more => Err(Failure::Refused(format!("{more} checks failed"))),
    }
}

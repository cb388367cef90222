//! `counterfoil health`: whether a server lives, for whoever restarts it and has no other program.

use std::path::PathBuf;
use std::time::Duration;

use super::failure::Failure;
use super::print;
use super::remote::{URL_DEFAULT, base, client, unreachable};

/// A server that takes longer to say that it lives is as good as dead to who asks.
const TIMEOUT: Duration = Duration::from_secs(4);

/// Ask a server whether it lives; needs no key
#[derive(Debug, clap::Args)]
pub(crate) struct HealthArgs {
    /// The server
    #[arg(long, env = "COUNTERFOIL_URL", hide_env_values = true, default_value = URL_DEFAULT)]
    url: String,
    /// Ask whether it can do its work too: not while its database is away
    #[arg(long)]
    ready: bool,
    /// PEM file with a further certificate authority to trust
    #[arg(long, value_name = "FILE", env = "COUNTERFOIL_CA_FILE", hide_env_values = true)]
    ca_file: Option<PathBuf>,
}

/// Runs the command.
pub(crate) async fn run(args: &HealthArgs) -> Result<(), Failure> {
    let client = client(args.ca_file.as_deref())?;
    let question = if args.ready { "ready" } else { "live" };
    let server = base(&args.url)?;
    let asked = client.get(format!("{server}/healthz/{question}")).timeout(TIMEOUT).send().await;
    let answer = asked.map_err(|error| unreachable(&server, &error))?;
    let status = answer.status();
    if !status.is_success() {
        let body: serde_json::Value = answer.json().await.unwrap_or_default();
        let why = body["reason"].as_str().map(print::clean);
        let why = why.unwrap_or_else(|| format!("it answers {status}"));
        return Err(Failure::Unavailable(format!("not {question}: {why}")));
    }
    print::line("ok");
    Ok(())
}

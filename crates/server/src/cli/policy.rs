//! `counterfoil policy`: why a decision is what it is.

use counterfoil_authority::secret::ClearSecret;
use serde_json::json;

use super::failure::Failure;
use super::print::{self, Column};
use super::remote::{Api, Ask, RemoteArgs};
use super::secret_input::{self, Wanted};

const COLUMNS: &[Column] = &[
    Column::new("STEP", "what"),
    Column::new("NAME", "name"),
    Column::new("HOLDS", "holds"),
    Column::new("WHY", "why"),
];

/// Policies that decide for clients of ForgeRock AM
#[derive(Debug, clap::Subcommand)]
pub(crate) enum PolicyCommand {
    Test(TestArgs),
}

/// Explain, step by step, whether somebody may do something. Exit status 1: they may not
#[derive(Debug, clap::Args)]
pub(crate) struct TestArgs {
    /// On whose behalf
    user: String,
    /// The resource; for a personal access token `pat://USER`, without the token
    resource: String,
    /// The action
    action: String,
    /// The policy set
    #[arg(long, value_name = "NAME", default_value = "PATValidator")]
    policy_set: String,
    /// The id of the token that is supposed to be presented
    #[arg(long, value_name = "ID", conflicts_with = "secret_file")]
    token_id: Option<String>,
    /// A file with the token that is presented, or `-` for standard input
    #[arg(long, value_name = "FILE")]
    secret_file: Option<String>,
    /// The address of the client that presents it
    #[arg(long, value_name = "ADDRESS")]
    client_ip: Option<String>,
    #[command(flatten)]
    remote: RemoteArgs,
}

/// Runs the command.
pub(crate) async fn run(command: &PolicyCommand) -> Result<(), Failure> {
    let PolicyCommand::Test(args) = command;
    let api = Api::new(&args.remote)?;
    let secret = match &args.secret_file {
        Some(from) => Some(secret_input::secret(Some(from), Wanted::Token)?),
        None => None,
    };
    let body = json!({
        "user": args.user,
        "resource": args.resource,
        "action": args.action,
        "policy_set": args.policy_set,
        "token": args.token_id,
        "secret": secret.as_ref().map(ClearSecret::reveal),
        "client_ip": args.client_ip,
    });
    let tested = api.send(Ask::post(api.in_realm("policies/test"), body)).await?;
    if api.json {
        print::json(&tested);
    } else {
        let steps = tested["steps"].as_array().cloned().unwrap_or_default();
        print::table(COLUMNS, &steps);
    }
    if tested["allowed"] == true {
        Ok(())
    } else {
        Err(Failure::Refused(format!("{} is not allowed", args.action)))
    }
}

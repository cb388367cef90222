//! `counterfoil letter`: activation letters, ordered, printed and redeemed.

use clap::Subcommand;
use serde_json::{Value, json};

use super::failure::Failure;
use super::print::{self, Column};
use super::remote::{Api, Ask, PageArgs, RemoteArgs, segment};
use super::secret_input::{self, Wanted};

const COLUMNS: &[Column] = &[
    Column::new("ID", "id"),
    Column::new("STATE", "state"),
    Column::new("USER", "user"),
    Column::new("TOKEN", "token"),
    Column::new("REPOSITORY", "repository"),
    Column::new("ORDERED", "ordered_at"),
    Column::new("EXPIRES", "expires_at"),
];

/// Activation letters: what makes the token of a person good, on paper
#[derive(Debug, Subcommand)]
pub(crate) enum LetterCommand {
    /// Order a letter for a token that waits to be activated
    Order(LetterOrderArgs),
    /// List letters in the order of their orders
    List(LetterListArgs),
    /// Show a letter
    Show(LetterOneArgs),
    /// Print letters: draw their secrets and show them, this once
    Print(LetterPrintArgs),
    /// Take a letter back
    Cancel(LetterOneArgs),
    /// Redeem a letter: its token is active from now on
    Redeem(LetterRedeemArgs),
}

/// A letter to order
#[derive(Debug, clap::Args)]
pub(crate) struct LetterOrderArgs {
    /// The token's id
    id: String,
    /// For how long it can be redeemed, in seconds [default: 30 days]
    #[arg(long, value_name = "SECONDS")]
    lifetime: Option<u32>,
    #[command(flatten)]
    remote: RemoteArgs,
}

/// Which letters
#[derive(Debug, clap::Args)]
pub(crate) struct LetterListArgs {
    /// To this person
    #[arg(long)]
    user: Option<String>,
    /// In this state
    #[arg(long, value_parser = ["ordered", "printed", "redeemed", "cancelled"])]
    state: Option<String>,
    /// For tokens of this repository
    #[arg(long, value_name = "NAME")]
    repository: Option<String>,
    #[command(flatten)]
    page: PageArgs,
    #[command(flatten)]
    remote: RemoteArgs,
}

/// One letter
#[derive(Debug, clap::Args)]
pub(crate) struct LetterOneArgs {
    /// Its id
    id: String,
    #[command(flatten)]
    remote: RemoteArgs,
}

/// Letters to print
#[derive(Debug, clap::Args)]
pub(crate) struct LetterPrintArgs {
    /// The ids of letters
    #[arg(required_unless_present = "all")]
    ids: Vec<String>,
    /// Every letter that is ordered
    #[arg(long, conflicts_with = "ids")]
    all: bool,
    /// As lines of a table: id, user, token, code
    #[arg(long)]
    csv: bool,
    #[command(flatten)]
    remote: RemoteArgs,
}

/// A letter to redeem
#[derive(Debug, clap::Args)]
pub(crate) struct LetterRedeemArgs {
    /// File with the code of the letter, or `-` for standard input [default: a prompt]
    #[arg(long, value_name = "FILE")]
    code_file: Option<String>,
    #[command(flatten)]
    remote: RemoteArgs,
}

fn shown(api: &Api, answer: &Value) {
    if api.json { print::json(answer) } else { print::record(answer) }
}

fn path(api: &Api, id: &str) -> String {
    api.in_realm(&format!("activation-letters/{}", segment(id)))
}

/// Runs the command.
pub(super) async fn run(command: &LetterCommand) -> Result<(), Failure> {
    match command {
        LetterCommand::Order(args) => {
            let api = Api::new(&args.remote)?;
            let mut body = json!({ "token": args.id });
            if let Some(seconds) = args.lifetime {
                body["lifetime_seconds"] = seconds.into();
            }
            shown(&api, &api.send(Ask::post(api.in_realm("activation-letters"), body)).await?);
        }
        LetterCommand::List(args) => list(args).await?,
        LetterCommand::Show(args) => {
            let api = Api::new(&args.remote)?;
            shown(&api, &api.send(Ask::get(path(&api, &args.id))).await?);
        }
        LetterCommand::Print(args) => print_out(args).await?,
        LetterCommand::Cancel(args) => {
            let api = Api::new(&args.remote)?;
            api.send(Ask::new(reqwest::Method::DELETE, path(&api, &args.id))).await?;
        }
        LetterCommand::Redeem(args) => {
            let code = secret_input::secret(args.code_file.as_deref(), Wanted::Letter)?;
            let api = Api::new(&args.remote)?;
            let ask = Ask::post(
                api.in_realm("activation-letters/redeem"),
                json!({ "secret": code.reveal() }),
            );
            shown(&api, &api.send(ask).await?);
        }
    }
    Ok(())
}

async fn list(args: &LetterListArgs) -> Result<(), Failure> {
    let api = Api::new(&args.remote)?;
    let mut query = Vec::new();
    let texts = [("user", &args.user), ("state", &args.state), ("repository", &args.repository)];
    for (name, text) in texts {
        query.extend(text.clone().map(|text| (name, text)));
    }
    let listed = api.list(&api.in_realm("activation-letters"), &query, &args.page).await?;
    if api.json {
        print::json(&listed);
    } else {
        print::table(COLUMNS, listed["items"].as_array().map_or(&[], Vec::as_slice));
    }
    Ok(())
}

/// Prints one letter after the other, so that what was shown before a failure was shown.
async fn print_out(args: &LetterPrintArgs) -> Result<(), Failure> {
    let api = Api::new(&args.remote)?;
    let ids = if args.all {
        let query = [("state", "ordered".to_owned())];
        let all = api.list(&api.in_realm("activation-letters"), &query, &PageArgs::ALL).await?;
        let items = all["items"].as_array().cloned().unwrap_or_default();
        items.iter().filter_map(|one| one["id"].as_str().map(str::to_owned)).collect()
    } else {
        args.ids.clone()
    };
    for id in &ids {
        let printed = format!("{}/print", path(&api, id));
        let answer = api.send(Ask::new(reqwest::Method::POST, printed)).await?;
        let text = |pointer| answer.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let (user, token) = (text("/letter/user"), text("/letter/token"));
        let code = text("/secret");
        if api.json {
            print::json(&answer);
        } else if args.csv {
            print::line(&format!("{id},{user},{token},{code}"));
        } else {
            let end = text("/letter/expires_at");
            print::line(&format!(
                "To {user}: your code is\n\n    {code}\n\nRedeem it before {end}.\n"
            ));
        }
    }
    Ok(())
}

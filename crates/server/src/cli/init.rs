//! `counterfoil init` and `counterfoil admin recover`: a first key, and a key after the last one
//! was lost. Both need the data directory, not a running server.

use counterfoil_authority::authority::{Authority, FirstKey};
use counterfoil_authority::names::ClientName;
use counterfoil_authority::refusal::Refusal;
use serde_json::json;

use super::failure::Failure;
use super::local::{HERE, LocalArgs};
use super::print;
use super::serve::FIRST_ADMIN;
use crate::installation::{self, IfEmpty, Lock};

/// Names tried for a recovered administrator before giving up.
const RECOVERED_MAX: u32 = 1000;

/// Make a new installation without serving it; prints the administrator's key and nothing else
#[derive(Debug, clap::Args)]
#[command(after_help = HERE)]
pub(crate) struct InitArgs {
    #[command(flatten)]
    local: LocalArgs,
    /// The administrator's name
    #[arg(long, value_name = "NAME", default_value = FIRST_ADMIN)]
    admin: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// A new administrator key, for whoever holds the key directory
#[derive(Debug, clap::Args)]
#[command(after_help = HERE)]
pub(crate) struct RecoverArgs {
    #[command(flatten)]
    local: LocalArgs,
    /// The name of the new administrator [default: the first free of admin-recovered, admin-recovered-2, ...]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

fn client_name(text: &str) -> Result<ClientName, Failure> {
    ClientName::parse(text).map_err(|bad| Failure::Usage(format!("`{text}`: {bad}")))
}

/// Runs `init`.
pub(crate) async fn init(args: &InitArgs) -> Result<(), Failure> {
    let config = args.local.load()?;
    let admin = client_name(&args.admin)?;
    installation::refuse_foreign(&config)?;
    let _lock = Lock::take(&config.data.dir)?;
    let opened = installation::open(&config, IfEmpty::Initialise(admin)).await?;
    let closed = opened.close().await;
    match &opened.first_key {
        Some(key) => {
            // First of all: this is the only time that the key can be read.
            show(key, args.json);
            Ok(closed?)
        }
        None => Err(Failure::Refused(format!(
            "{} is initialised already; `counterfoil admin recover` makes a new administrator key",
            config.data.dir.display()
        ))),
    }
}

/// Runs `admin recover`. A running server takes the new key at once.
pub(crate) async fn recover(args: &RecoverArgs) -> Result<(), Failure> {
    let config = args.local.load()?;
    let opened = installation::open(&config, IfEmpty::Refuse).await?;
    let authority = &opened.authority;
    let recovered = match &args.name {
        Some(name) => authority.recover_admin(&client_name(name)?).await,
        None => recover_under_free_name(authority).await?,
    };
    opened.close().await?;
    show(&recovered?, args.json);
    Ok(())
}

/// Tries the usual name, then numbered ones.
async fn recover_under_free_name(
    authority: &Authority,
) -> Result<Result<FirstKey, Refusal>, Failure> {
    let mut number = 1;
    loop {
        let name = match number {
            1 => "admin-recovered".to_owned(),
            _ => format!("admin-recovered-{number}"),
        };
        match authority.recover_admin(&client_name(&name)?).await {
            Err(Refusal::Exists(_)) if number < RECOVERED_MAX => number += 1,
            other => return Ok(other),
        }
    }
}

/// The key alone on standard output, so that it can be piped; who it is for beside it.
fn show(key: &FirstKey, json: bool) {
    if json {
        return print::json(
            &json!({ "client": key.client.as_str(), "secret": key.secret.reveal() }),
        );
    }
    print::note(&format!("The key of the administrator `{}`, shown this once:", key.client));
    print::line(key.secret.reveal());
}

//! `counterfoil token bulk`: an act on many tokens, call after call until it is done.

use clap::ValueEnum;
use counterfoil_authority::clock::Clock as _;
use counterfoil_authority::kind::Kind;
use serde_json::{Map, Value, json};

use super::TOKEN_COLUMNS;
use super::args::{kind, pair};
use crate::cli::failure::Failure;
use crate::cli::print;
use crate::cli::remote::{Api, Ask, RemoteArgs};
use crate::cli::when::{self, When};
use crate::clock::OsClock;

/// What is done to each token
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Act {
    /// Switch on
    Enable,
    /// Switch off
    Disable,
    /// Lock
    Lock,
    /// Unlock
    Unlock,
    /// Revoke for good
    Revoke,
}

impl Act {
    const fn name(self) -> &'static str {
        match self {
            Self::Enable => "enable",
            Self::Disable => "disable",
            Self::Lock => "lock",
            Self::Unlock => "unlock",
            Self::Revoke => "revoke",
        }
    }

    const fn done(self) -> &'static str {
        match self {
            Self::Enable => "enabled",
            Self::Disable => "disabled",
            Self::Lock => "locked",
            Self::Unlock => "unlocked",
            Self::Revoke => "revoked",
        }
    }
}

/// Which tokens; a person, client, service, unit or label must be named
#[derive(Debug, clap::Args)]
pub(crate) struct BulkArgs {
    /// What is done to each token
    #[arg(value_enum)]
    act: Act,
    /// Tokens of this person
    #[arg(long, value_name = "USERNAME", conflicts_with = "client")]
    user: Option<String>,
    /// Tokens of this client
    #[arg(long, value_name = "NAME")]
    client: Option<String>,
    /// Tokens that name this service
    #[arg(long, value_name = "LABEL")]
    service: Option<String>,
    /// Tokens in this unit
    #[arg(long, value_name = "ID")]
    unit: Option<String>,
    /// Tokens of this kind
    #[arg(long, value_name = "KIND", value_parser = kind)]
    kind: Option<Kind>,
    /// Tokens with exactly this name
    #[arg(long)]
    name: Option<String>,
    /// Tokens with this label; repeat for more
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = pair)]
    labels: Vec<(String, String)>,
    /// Tokens not used for so long, or since then: 90d, 2026-01-31
    #[arg(long, value_name = "WHEN", value_parser = when::end)]
    unused_since: Option<When>,
    /// Why they are revoked; their owners see it
    #[arg(long)]
    reason: Option<String>,
    /// Only show which tokens would be changed, at most 1000 of them
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    remote: RemoteArgs,
}

impl BulkArgs {
    fn body(&self) -> Map<String, Value> {
        let mut body = Map::new();
        body.insert("act".into(), self.act.name().into());
        let since = self.unused_since.as_ref().and_then(|when| when.back(OsClock.now()));
        let kind = self.kind.map(|kind| kind.name().to_owned());
        let texts = [
            ("user", &self.user),
            ("client", &self.client),
            ("service", &self.service),
            ("unit", &self.unit),
            ("kind", &kind),
            ("name", &self.name),
            ("unused_since", &since),
            ("reason", &self.reason),
        ];
        for (name, text) in texts {
            if let Some(text) = text {
                body.insert(name.into(), text.as_str().into());
            }
        }
        if !self.labels.is_empty() {
            body.insert("labels".into(), self.labels.iter().cloned().collect());
        }
        body
    }
}

/// Runs the command.
pub(super) async fn run(args: &BulkArgs) -> Result<(), Failure> {
    let api = Api::new(&args.remote)?;
    let path = api.in_realm("tokens/bulk");
    let mut body = args.body();
    if args.dry_run {
        body.insert("dry_run".into(), true.into());
        let answer = api.send(Ask::post(path, Value::Object(body))).await?;
        if api.json {
            print::json(&answer);
            return Ok(());
        }
        print::table(TOKEN_COLUMNS, items(&answer));
        let more = if answer["more"] == true { " and more" } else { "" };
        print::note(&format!("{}{more} would be {}.", answer["changed"], args.act.done()));
        return Ok(());
    }
    let (mut changed, mut refused) = (0, 0);
    loop {
        let answer = api.send(Ask::post(path.clone(), Value::Object(body.clone()))).await?;
        changed += answer["changed"].as_u64().unwrap_or(0);
        // The ones that are refused are met again by every call.
        refused = answer["refused"].as_u64().unwrap_or(0).max(refused);
        if answer["more"] != true {
            break;
        }
        if !api.json {
            print::note(&format!("{changed} {} so far ...", args.act.done()));
        }
    }
    if api.json {
        print::json(&json!({ "changed": changed, "refused": refused }));
    } else {
        print::line(&format!("{changed} {}", args.act.done()));
    }
    if refused > 0 {
        let why = format!("{refused} were left as they are: they are not yours to change so");
        return Err(Failure::Refused(why));
    }
    Ok(())
}

fn items(answer: &Value) -> &[Value] {
    answer["tokens"].as_array().map_or(&[], Vec::as_slice)
}

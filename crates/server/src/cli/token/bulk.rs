//! `counterfoil token bulk`: an act on many tokens, as a job that is watched until it is done.

use clap::ValueEnum;
use counterfoil_authority::clock::Clock as _;
use counterfoil_authority::kind::Kind;
use serde_json::{Map, Value, json};

use super::TOKEN_COLUMNS;
use super::args::{kind, pair};
use crate::cli::failure::Failure;
use crate::cli::job;
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
    /// Revoke, and take out of its repository
    Delete,
    /// Give to a person, from the stock of a repository
    Assign,
    /// Write attributes
    Set,
}

impl Act {
    const fn name(self) -> &'static str {
        match self {
            Self::Enable => "enable",
            Self::Disable => "disable",
            Self::Lock => "lock",
            Self::Unlock => "unlock",
            Self::Revoke => "revoke",
            Self::Delete => "delete",
            Self::Assign => "assign",
            Self::Set => "set",
        }
    }

    const fn done(self) -> &'static str {
        match self {
            Self::Enable => "enabled",
            Self::Disable => "disabled",
            Self::Lock => "locked",
            Self::Unlock => "unlocked",
            Self::Revoke => "revoked",
            Self::Delete => "deleted",
            Self::Assign => "assigned",
            Self::Set => "written",
        }
    }
}

/// Which tokens; ids, a repository, a person, client, service, unit or label must be named
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
    /// This token; repeat for more
    #[arg(long = "id", value_name = "ID")]
    ids: Vec<String>,
    /// Tokens of this repository
    #[arg(long, value_name = "NAME")]
    repository: Option<String>,
    /// Tokens that stand there so
    #[arg(long, value_parser = ["stock", "held"], requires = "repository")]
    place: Option<String>,
    /// A person to assign a token of the stock to; repeat for more
    #[arg(long = "to", value_name = "USERNAME")]
    users: Vec<String>,
    /// What `set` writes: the description
    #[arg(long, value_name = "TEXT")]
    set_description: Option<String>,
    /// What `set` writes: the tracking id
    #[arg(long, value_name = "TEXT")]
    set_tracking_id: Option<String>,
    /// What `set` writes: when they end, 2026-12-31 or an RFC 3339 time
    #[arg(long, value_name = "WHEN")]
    set_expires: Option<String>,
    /// What `set` writes: a label, beside those that are there; repeat for more
    #[arg(long = "set-label", value_name = "KEY=VALUE", value_parser = pair)]
    set_labels: Vec<(String, String)>,
    /// Why they are revoked; their owners see it
    #[arg(long)]
    reason: Option<String>,
    /// Only show which tokens would be changed, the first 1000 of them
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
            ("repository", &self.repository),
            ("place", &self.place),
        ];
        for (name, text) in texts {
            if let Some(text) = text {
                body.insert(name.into(), text.as_str().into());
            }
        }
        if !self.labels.is_empty() {
            body.insert("labels".into(), self.labels.iter().cloned().collect());
        }
        for (name, list) in [("ids", &self.ids), ("users", &self.users)] {
            if !list.is_empty() {
                body.insert(name.into(), list.as_slice().into());
            }
        }
        let set = self.set();
        if !set.is_empty() {
            body.insert("set".into(), Value::Object(set));
        }
        body
    }

    /// What is written.
    fn set(&self) -> Map<String, Value> {
        let mut set = Map::new();
        let texts = [
            ("description", &self.set_description),
            ("tracking_id", &self.set_tracking_id),
            ("expires_at", &self.set_expires),
        ];
        for (name, text) in texts {
            if let Some(text) = text {
                set.insert(name.into(), text.as_str().into());
            }
        }
        if !self.set_labels.is_empty() {
            set.insert("labels".into(), self.set_labels.iter().cloned().collect());
        }
        set
    }
}

/// Runs the command.
pub(super) async fn run(args: &BulkArgs) -> Result<(), Failure> {
    let api = Api::new(&args.remote)?;
    let path = api.in_realm("tokens/_bulk");
    let mut body = args.body();
    if args.dry_run {
        body.insert("dry_run".into(), true.into());
        let answer = api.send(Ask::post(path, Value::Object(body))).await?;
        if api.json {
            print::json(&answer);
            return Ok(());
        }
        let tokens: Vec<Value> =
            items(&answer, "tokens").iter().map(|one| one["token"].clone()).collect();
        print::table(TOKEN_COLUMNS, &tokens);
        let more = if answer["more"] == true { " and more" } else { "" };
        print::note(&format!("{}{more} would be {}.", answer["total"], args.act.done()));
        return Ok(());
    }
    let (mut changed, mut refused, mut failed) = (0, 0, 0);
    loop {
        let started = api.send(Ask::post(path.clone(), Value::Object(body.clone()))).await?;
        // The ones that are refused are met again by every job.
        refused = started["refused"].as_u64().unwrap_or(0).max(refused);
        let id = started["job"]["id"].as_str().unwrap_or_default().to_owned();
        let job = job::watched(&api, &id).await?;
        changed += job["done"].as_u64().unwrap_or(0);
        failed += job["failed"].as_u64().unwrap_or(0);
        for failure in items(&job, "failures").iter().filter(|_| !api.json) {
            let text = |name: &str| failure[name].as_str().unwrap_or_default().to_owned();
            print::note(&format!("{} {}: {}", text("token"), text("state"), text("reason")));
        }
        if job["state"] != "done" {
            let why = format!("the job {id} was {}", job["state"].as_str().unwrap_or_default());
            return Err(Failure::Refused(why));
        }
        // What was written once would be written again.
        if started["more"] != true || matches!(args.act, Act::Set) {
            break;
        }
    }
    if api.json {
        print::json(&json!({ "changed": changed, "refused": refused, "failed": failed }));
    } else {
        print::line(&format!("{changed} {}", args.act.done()));
    }
    if refused + failed > 0 {
        let all = refused + failed;
        let why = format!("{all} were left as they are: they are not yours to change so");
        return Err(Failure::Refused(why));
    }
    Ok(())
}

fn items<'a>(answer: &'a Value, name: &str) -> &'a [Value] {
    answer[name].as_array().map_or(&[], Vec::as_slice)
}

//! `counterfoil events`: what happened in a realm, through the API.

use counterfoil_authority::clock::Clock as _;
use serde_json::Value;

use super::failure::Failure;
use super::print::Column;
use super::remote::{Api, PageArgs, RemoteArgs};
use super::resource::page_out;
use super::when::{self, When};
use crate::clock::OsClock;

/// The columns of a list of events of one token.
pub(crate) const COLUMNS: &[Column] = &[
    Column::new("AT", "at"),
    Column::new("EVENT", "kind"),
    Column::new("OUTCOME", "outcome"),
    Column::new("ACTOR", "actor"),
    Column::new("DOOR", "door"),
    Column::new("SOURCE", "source"),
    Column::new("REASON", "reason"),
    Column::new("COUNT", "count"),
];

/// The same with what each is about.
const WITH_OBJECTS: &[Column] = &[
    Column::new("AT", "at"),
    Column::new("EVENT", "kind"),
    Column::new("OUTCOME", "outcome"),
    Column::new("ACTOR", "actor"),
    Column::new("TOKEN", "token"),
    Column::new("SUBJECT", "subject"),
    Column::new("SERVICE", "service"),
    Column::new("DOOR", "door"),
    Column::new("SOURCE", "source"),
    Column::new("REASON", "reason"),
    Column::new("COUNT", "count"),
];

/// Show what happened in a realm, newest first
#[derive(Debug, clap::Args)]
pub(crate) struct EventsArgs {
    /// Only about this token
    #[arg(long, value_name = "ID")]
    token_id: Option<String>,
    /// Only of this kind, `token.issued`
    #[arg(long, value_name = "EVENT")]
    kind: Option<String>,
    /// Only `done` or only `refused`
    #[arg(long, value_parser = ["done", "refused"])]
    outcome: Option<String>,
    /// Only by this one, `user:alice` or `client:gate`
    #[arg(long, value_name = "WHO")]
    actor: Option<String>,
    /// Only about this one, `user:alice`
    #[arg(long, value_name = "WHOM")]
    subject: Option<String>,
    /// Only about this service
    #[arg(long, value_name = "LABEL")]
    service: Option<String>,
    /// Only since then: 12h or 7d ago, a date, or an RFC 3339 time
    #[arg(long, value_name = "WHEN", value_parser = when::moment)]
    from: Option<When>,
    /// Only until then: 12h or 7d ago, a date, or an RFC 3339 time
    #[arg(long, value_name = "WHEN", value_parser = when::moment)]
    to: Option<When>,
    #[command(flatten)]
    page: PageArgs,
    #[command(flatten)]
    remote: RemoteArgs,
}

/// Runs the command.
pub(crate) async fn run(args: &EventsArgs) -> Result<(), Failure> {
    let api = Api::new(&args.remote)?;
    let now = OsClock.now();
    let ago = |when: &Option<When>| when.as_ref().and_then(|when| when.back(now));
    let filters = [
        ("token", args.token_id.clone()),
        ("kind", args.kind.clone()),
        ("outcome", args.outcome.clone()),
        ("actor", args.actor.clone()),
        ("subject", args.subject.clone()),
        ("service", args.service.clone()),
        ("from", ago(&args.from)),
        ("to", ago(&args.to)),
    ];
    let given = filters.into_iter().filter_map(|(name, value)| Some((name, value?)));
    let query: Vec<(&str, String)> = given.collect();
    let mut page = api.list(&api.in_realm("events"), &query, &args.page).await?;
    if !api.json {
        page.get_mut("items").and_then(Value::as_array_mut).into_iter().flatten().for_each(named);
    }
    page_out(&api, WITH_OBJECTS, &page);
    Ok(())
}

/// Has a table name the service that was asked for and is none: a slip in a proxy's configuration.
fn named(event: &mut Value) {
    if let Some(label) = event["detail"]["no_such_service"].as_str() {
        event["service"] = format!("{label} (no such service)").into();
    }
}

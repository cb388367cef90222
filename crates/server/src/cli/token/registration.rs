//! `counterfoil token`: what only registration tokens have, and what hangs on them.

use serde_json::{Map, Value, json};

use super::path;
use crate::cli::failure::Failure;
use crate::cli::print::{self, Column};
use crate::cli::remote::{Api, Ask, PageArgs, RemoteArgs};
use crate::cli::resource::page_out;
use crate::cli::when;

/// Of a registration token: how much may be drawn, by whom, and what is drawn
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "Registration tokens")]
pub(crate) struct RegistrationArgs {
    /// Auth tokens that may be drawn [default: any number]
    #[arg(long, value_name = "N")]
    count: Option<u64>,
    /// An identifier to find it by
    #[arg(long, value_name = "TEXT")]
    identifier: Option<String>,
    /// A reference id to find it by
    #[arg(long, value_name = "TEXT")]
    ref_id_1: Option<String>,
    /// A second one
    #[arg(long, value_name = "TEXT")]
    ref_id_2: Option<String>,
    /// How drawing is approved: `automatic`, `required`, or `after-N`: the first N at once
    #[arg(long, value_name = "HOW")]
    approval: Option<String>,
    /// How long an auth token lives, 90d say, or `never` [default: the policy's]
    #[arg(long, value_name = "TIME")]
    child_lifetime: Option<String>,
    /// How long an auth token may go without a refresh, 30d say
    #[arg(long, value_name = "TIME")]
    child_idle: Option<String>,
    /// A label of every auth token; repeat for more
    #[arg(long = "child-label", value_name = "KEY=VALUE", value_parser = super::args::pair)]
    child_labels: Vec<(String, String)>,
    /// Auth tokens vanish when they have been idle
    #[arg(long)]
    ephemeral: bool,
    /// The form of access tokens
    #[arg(long, value_name = "FORM", value_parser = ["jwt", "opaque"])]
    access_token: Option<String>,
    /// A network that draws may come from; repeat for more
    #[arg(long = "from-network", value_name = "CIDR")]
    from_networks: Vec<String>,
    /// A pattern of host names that may draw, `*.acme.example`; repeat for more
    #[arg(long = "allow-host", value_name = "PATTERN")]
    hosts: Vec<String>,
    /// A pattern of system users that may draw; repeat for more
    #[arg(long = "allow-user", value_name = "PATTERN")]
    users: Vec<String>,
    /// A device that may draw, by any of its names; repeat for more
    #[arg(long = "allow-device", value_name = "NAME")]
    devices: Vec<String>,
    /// Draws in any hour at most
    #[arg(long, value_name = "N")]
    per_hour: Option<u64>,
    /// Living auth tokens of one device at most
    #[arg(long, value_name = "N")]
    per_device: Option<u64>,
    /// What happens when a device draws again
    #[arg(long, value_name = "WHAT", value_parser = ["allow", "return_existing", "replace", "reject"])]
    on_duplicate_device: Option<String>,
    /// How seriously these conditions are taken
    #[arg(long, value_name = "MODE", value_parser = ["off", "warn", "strict"], default_value = "strict")]
    enforcement: String,
}

impl RegistrationArgs {
    /// Adds the fields of a request.
    pub(super) fn put(&self, body: &mut Map<String, Value>) -> Result<(), Failure> {
        let texts = [
            ("identifier", &self.identifier),
            ("ref_id_1", &self.ref_id_1),
            ("ref_id_2", &self.ref_id_2),
            ("approval", &self.approval),
        ];
        for (name, text) in texts {
            if let Some(text) = text {
                body.insert(name.to_owned(), text.as_str().into());
            }
        }
        if let Some(count) = self.count {
            body.insert("count".to_owned(), count.into());
        }
        for (name, fields) in [("stamp", self.stamp()?), ("constraints", self.constraints())] {
            if !fields.is_empty() {
                body.insert(name.to_owned(), Value::Object(fields));
            }
        }
        Ok(())
    }

    fn stamp(&self) -> Result<Map<String, Value>, Failure> {
        let mut stamp = Map::new();
        let times =
            [("lifetime_seconds", &self.child_lifetime), ("idle_seconds", &self.child_idle)];
        for (name, text) in times {
            match text.as_deref() {
                None => {}
                Some("never") => drop(stamp.insert(name.to_owned(), Value::Null)),
                Some(text) => drop(stamp.insert(name.to_owned(), seconds(text)?.into())),
            }
        }
        if !self.child_labels.is_empty() {
            stamp.insert("labels".to_owned(), self.child_labels.iter().cloned().collect());
        }
        if self.ephemeral {
            stamp.insert("ephemeral".to_owned(), true.into());
        }
        if let Some(form) = &self.access_token {
            stamp.insert("access_token".to_owned(), form.as_str().into());
        }
        Ok(stamp)
    }

    fn constraints(&self) -> Map<String, Value> {
        let mut constraints = Map::new();
        let mut put = |name: &str, value: Value| {
            let rule = json!({ "mode": self.enforcement, "value": value });
            constraints.insert(name.to_owned(), rule);
        };
        let lists = [
            ("networks", &self.from_networks),
            ("hosts", &self.hosts),
            ("users", &self.users),
            ("devices", &self.devices),
        ];
        for (name, list) in lists {
            if !list.is_empty() {
                put(name, list.as_slice().into());
            }
        }
        for (name, number) in [("per_hour", self.per_hour), ("per_device", self.per_device)] {
            if let Some(number) = number {
                put(name, number.into());
            }
        }
        if let Some(what) = &self.on_duplicate_device {
            constraints.insert("on_duplicate_device".to_owned(), what.as_str().into());
        }
        constraints
    }
}

fn seconds(text: &str) -> Result<u64, Failure> {
    let seconds = when::seconds(text).or_else(|| text.parse().ok());
    seconds.ok_or_else(|| Failure::Usage(format!("write 90s, 15m, 12h or 2d, not `{text}`")))
}

/// Whose children
#[derive(Debug, clap::Args)]
pub(crate) struct ChildrenArgs {
    /// The id of the registration token
    id: String,
    /// Leave out who was refused
    #[arg(long)]
    only_drawn: bool,
    #[command(flatten)]
    page: PageArgs,
    #[command(flatten)]
    remote: RemoteArgs,
}

/// What waits
#[derive(Debug, clap::Args)]
pub(crate) struct WaitingArgs {
    /// The id of the token, or the code that the device shows, WDJB-MJHT say
    id: String,
    #[command(flatten)]
    remote: RemoteArgs,
}

/// How much is given back
#[derive(Debug, clap::Args)]
pub(crate) struct ReturnCountArgs {
    /// The id of the registration token
    id: String,
    /// Draws to give back
    #[arg(value_name = "N")]
    draws: u64,
    #[command(flatten)]
    remote: RemoteArgs,
}

const CHILD_COLUMNS: &[Column] = &[
    Column::new("WHEN", "at"),
    Column::new("SUBJECT", "subject"),
    Column::new("HOST", "hostname"),
    Column::new("USER", "system_user"),
    Column::new("MAC", "mac_address"),
    Column::new("FROM", "source"),
    Column::new("KEY", "key_thumbprint"),
    Column::new("AUTH TOKEN", "auth_token").or("-"),
    Column::new("STATE", "state"),
    Column::new("TIMES", "times"),
];

/// One line of a draw.
fn drawn(child: &Value) -> Value {
    let device = &child["device"];
    json!({
        "at": child["created_at"], "subject": device["subject"], "hostname": device["hostname"],
        "system_user": device["system_user"], "mac_address": device["mac_address"],
        "source": device["source"], "key_thumbprint": device["key_thumbprint"],
        "auth_token": child["id"], "state": child["state"], "times": 1,
    })
}

/// One line of an attempt that was refused.
fn refused(event: &Value) -> Value {
    let detail = &event["detail"];
    let reason = event["reason"].as_str().unwrap_or("unknown");
    json!({
        "at": event["at"], "subject": event["subject"], "hostname": detail["hostname"],
        "system_user": detail["system_user"], "mac_address": detail["mac_address"],
        "source": event["source"], "key_thumbprint": detail["key_thumbprint"],
        "auth_token": null, "state": format!("refused: {reason}"), "times": event["count"],
    })
}

/// Shows who drew what, and who was refused, in one list.
pub(super) async fn children(args: &ChildrenArgs) -> Result<(), Failure> {
    let api = Api::new(&args.remote)?;
    let page = api.list(&path(&api, &args.id, "/children"), &[], &args.page).await?;
    let items = |page: &Value| page["items"].as_array().cloned().unwrap_or_default();
    let mut lines: Vec<Value> = items(&page).iter().map(drawn).collect();
    if !args.only_drawn {
        let query = [("outcome", "refused".to_owned())];
        let events = api.list(&path(&api, &args.id, "/events"), &query, &args.page).await?;
        let late = items(&events);
        let late = late.iter().filter(|event| event["kind"] == "enrol.refused");
        lines.extend(late.map(refused));
    }
    lines.sort_by(|a, b| b["at"].as_str().cmp(&a["at"].as_str()));
    if lines.is_empty() && !api.json {
        print::note("nobody has drawn from it yet, and nobody was refused");
        return Ok(());
    }
    let all = json!({ "items": lines, "next_cursor": page["next_cursor"] });
    page_out(&api, CHILD_COLUMNS, &all);
    Ok(())
}

/// Approves or denies what waits.
pub(super) async fn decide(args: &WaitingArgs, act: &str) -> Result<(), Failure> {
    let api = Api::new(&args.remote)?;
    let id = if args.id.contains('-') {
        let query = vec![("user_code", args.id.clone())];
        let page = api.send(Ask::get(api.in_realm("tokens")).with_query(query)).await?;
        let id = page["items"][0]["id"].as_str().map(str::to_owned);
        id.ok_or_else(|| Failure::Refused("nothing waits under this code".to_owned()))?
    } else {
        args.id.clone()
    };
    let token = api.send(Ask::post(path(&api, &id, &format!("/{act}")), json!({}))).await?;
    super::show_token(&api, &token);
    Ok(())
}

/// Gives draws back.
pub(super) async fn return_count(args: &ReturnCountArgs) -> Result<(), Failure> {
    let api = Api::new(&args.remote)?;
    let body = json!({ "n": args.draws });
    let token = api.send(Ask::post(path(&api, &args.id, "/return-count"), body)).await?;
    super::show_token(&api, &token);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_carry_their_mode_and_a_stamp_what_every_child_gets() {
        let args = RegistrationArgs {
            count: Some(100),
            child_lifetime: Some("90d".into()),
            child_idle: Some("never".into()),
            ephemeral: true,
            per_hour: Some(10),
            enforcement: "warn".into(),
            ..RegistrationArgs::default()
        };
        let mut body = Map::new();
        args.put(&mut body).unwrap();
        assert_eq!(
            Value::Object(body),
            json!({ "count": 100,
                "stamp": { "lifetime_seconds": 7_776_000, "idle_seconds": null, "ephemeral": true },
                "constraints": { "per_hour": { "mode": "warn", "value": 10 } } })
        );
        let mut nothing = Map::new();
        RegistrationArgs::default().put(&mut nothing).unwrap();
        assert!(nothing.is_empty());
    }
}

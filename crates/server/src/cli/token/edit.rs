//! `counterfoil token update`: what can be changed of a token that exists.

use counterfoil_authority::clock::Clock as _;
use serde_json::{Map, Value};

use super::args::UpdateArgs;
use super::{path, show_token};
use crate::cli::failure::Failure;
use crate::cli::remote::{Api, Ask};
use crate::clock::OsClock;

/// The fields of the request, those of `--body` below.
fn body(args: &UpdateArgs) -> Result<Map<String, Value>, Failure> {
    let mut body = match &args.body {
        Some(from) => crate::cli::resource::object_from(from)?,
        None => Map::new(),
    };
    let mut put = |name: &str, value: Value| drop(body.insert(name.to_owned(), value));
    for (name, text) in [("name", &args.name), ("description", &args.description)] {
        match text.as_deref() {
            None => {}
            Some("") => put(name, Value::Null),
            Some(text) => put(name, text.into()),
        }
    }
    let lists = [
        ("services", &args.services),
        ("scopes", &args.scopes),
        ("networks", &args.networks),
        ("doors", &args.doors),
    ];
    for (name, list) in lists {
        if !list.is_empty() {
            put(name, list.iter().filter(|text| !text.is_empty()).cloned().collect());
        }
    }
    if !args.labels.is_empty() {
        put("labels", args.labels.iter().cloned().collect());
    }
    if let Some(expires) = &args.expires {
        put("expires_at", expires.ahead(OsClock.now()).into());
    }
    Ok(body)
}

/// Runs the command.
pub(super) async fn update(args: &UpdateArgs) -> Result<(), Failure> {
    let body = body(args)?;
    if body.is_empty() {
        return Err(Failure::Usage("nothing to change: give at least one field".into()));
    }
    let api = Api::new(&args.remote)?;
    let ask = Ask::patch(path(&api, &args.id, ""), Value::Object(body));
    let token = api.send(ask.if_match(args.if_match.as_deref())).await?;
    show_token(&api, &token);
    Ok(())
}

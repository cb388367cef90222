//! `counterfoil token update`: what can be changed of a token that exists.

use counterfoil_authority::clock::Clock as _;
use serde_json::{Map, Value};

use super::args::{UpdateArgs, without_empty};
use super::{path, show_token};
use crate::cli::failure::Failure;
use crate::cli::remote::{Api, Ask};
use crate::clock::OsClock;

/// The fields of the request.
fn body(args: &UpdateArgs) -> Result<Map<String, Value>, Failure> {
    let details = &args.details;
    let mut body = details.fields()?;
    if !details.services.is_empty() {
        body.insert("services".into(), without_empty(&details.services));
    }
    args.registration.put(&mut body)?;
    if let Some(expires) = &details.expires {
        body.insert("expires_at".into(), expires.ahead(OsClock.now()).into());
    }
    Ok(body)
}

/// Runs the command.
pub(super) async fn update(args: &UpdateArgs) -> Result<(), Failure> {
    let body = body(args)?;
    if body.is_empty() {
        return Err(Failure::Usage("nothing to change: give at least one field".into()));
    }
    let api = Api::new(&args.one.remote)?;
    let ask = Ask::patch(path(&api, &args.one.id, ""), Value::Object(body));
    let token = api.send(ask.if_match(args.one.if_match.as_deref())).await?;
    show_token(&api, &token);
    Ok(())
}

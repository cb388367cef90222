//! `counterfoil token`: issue, look at, rotate, switch and verify tokens through the API.

mod args;
mod bulk;
mod edit;
mod fit;
mod import;
mod mint;
mod otp;
mod registration;

use counterfoil_authority::clock::Clock as _;
use counterfoil_authority::kind::Kind;
use serde_json::{Map, Value, json};

pub(crate) use self::args::TokenCommand;
use self::args::{
    DeriveArgs, EventsArgs, HandOverArgs, IssueArgs, ListArgs, OneArgs, RevokeArgs, RotateArgs,
    ShowArgs, VerifyArgs,
};
use super::events;
use super::failure::Failure;
use super::print::{self, Column};
use super::remote::{Api, Ask, segment};
use super::resource::page_out;
use super::secret_input::{self, Wanted};
use super::when::{self, When};
use crate::clock::OsClock;

/// What `--expires` says, as fields of the request.
fn put_expiry(body: &mut Map<String, Value>, expires: &When) {
    match expires {
        When::Never => drop(body.insert("expires_at".into(), Value::Null)),
        When::Away(seconds) => drop(body.insert("lifetime_seconds".into(), (*seconds).into())),
        When::At(when) => drop(body.insert("expires_at".into(), when.as_str().into())),
    }
}

/// Runs a command on tokens.
pub(crate) async fn run(command: &TokenCommand) -> Result<(), Failure> {
    match command {
        TokenCommand::Issue(args) => issue(args).await,
        TokenCommand::Children(args) => registration::children(args).await,
        TokenCommand::Approve(args) => registration::decide(args, "approve").await,
        TokenCommand::Deny(args) => registration::decide(args, "deny").await,
        TokenCommand::ReturnCount(args) => registration::return_count(args).await,
        TokenCommand::Mint(args) => mint::run(args).await,
        TokenCommand::Sheet(args) => mint::sheet(args).await,
        TokenCommand::Derive(args) => derive(args).await,
        TokenCommand::List(args) if args.blocked => blocked(args).await,
        TokenCommand::List(args) => list(args).await,
        TokenCommand::Show(args) => show(args).await,
        TokenCommand::Update(args) => edit::update(args).await,
        TokenCommand::Fit(args) => fit::run(args).await,
        TokenCommand::Events(args) => token_events(args).await,
        TokenCommand::Rotate(args) => rotate(args).await,
        TokenCommand::Enable(args) => switch(args, "enable").await,
        TokenCommand::Disable(args) => switch(args, "disable").await,
        TokenCommand::Lock(args) => switch(args, "lock").await,
        TokenCommand::Unlock(args) => switch(args, "unlock").await,
        TokenCommand::HandOver(args) => hand_over(args).await,
        TokenCommand::Revoke(args) => revoke(args).await,
        TokenCommand::Bulk(args) => bulk::run(args).await,
        TokenCommand::Import(args) => import::run(args).await,
        TokenCommand::Otp(command) => otp::run(command).await,
        TokenCommand::Verify(args) => verify(args).await,
    }
}

/// The fields of an issue request.
fn issue_body(args: &IssueArgs) -> Result<Map<String, Value>, Failure> {
    let details = &args.details;
    let mut body = details.fields()?;
    let mut put = |name: &str, value: Value| drop(body.insert(name.to_owned(), value));
    put("kind", args.kind.name().into());
    let texts = [
        ("user", &args.user),
        ("not_before", &args.not_before),
        ("unit", &args.unit),
        ("repository", &args.repository),
        ("delivery", &args.delivery),
    ];
    for (name, text) in texts {
        if let Some(text) = text {
            put(name, text.as_str().into());
        }
    }
    match (args.kind, details.services.as_slice()) {
        (_, []) => {}
        (Kind::ServiceToken, [service]) => put("service", service.as_str().into()),
        (_, services) => put("services", services.into()),
    }
    if let Some(kind) = args.disguise {
        put("disguise", kind.name().into());
    }
    args.registration.put(&mut body)?;
    let mut put = |name: &str, value: Value| drop(body.insert(name.to_owned(), value));
    if let Some(uses) = args.max_usages {
        put("max_usages", uses.into());
    }
    if let Some(from) = &args.secret_file {
        let secret = secret_input::secret(Some(from), Wanted::Secret)?;
        put("secret", secret.reveal().into());
    }
    if let Some(expires) = &details.expires {
        put_expiry(&mut body, expires);
    }
    Ok(body)
}

async fn issue(args: &IssueArgs) -> Result<(), Failure> {
    let body = issue_body(args)?;
    let api = Api::new(&args.remote)?;
    let ask = Ask::post(api.in_realm("tokens"), Value::Object(body));
    let answer = api.send(ask.once(args.secret.idempotency_key.as_deref())).await?;
    show_secret(&api, &answer, args.secret.quiet);
    Ok(())
}

async fn derive(args: &DeriveArgs) -> Result<(), Failure> {
    let mut body = args.details.fields()?;
    if !args.details.services.is_empty() {
        body.insert("services".into(), args.details.services.as_slice().into());
    }
    if let Some(uses) = args.max_usages {
        body.insert("max_usages".into(), uses.into());
    }
    if let Some(expires) = &args.details.expires {
        put_expiry(&mut body, expires);
    }
    let api = Api::new(&args.remote)?;
    let ask = Ask::post("/api/v1/self/derive", Value::Object(body));
    let answer = api.send(ask.once(args.secret.idempotency_key.as_deref())).await?;
    show_secret(&api, &answer, args.secret.quiet);
    Ok(())
}

/// Shows a token with its new secret: the secret last, alone on standard output.
fn show_secret(api: &Api, answer: &Value, quiet: bool) {
    if api.json {
        return print::json(answer);
    }
    let secret = answer.get("secret").or_else(|| answer.get("link"));
    let secret = secret.and_then(Value::as_str).unwrap_or_default();
    if !quiet {
        let field = |name| answer.pointer(name).and_then(Value::as_str).unwrap_or_default();
        let ends = answer.pointer("/token/expires_at").and_then(Value::as_str);
        let link = answer.pointer("/link_expires_at").and_then(Value::as_str);
        let shown = match link {
            Some(end) => format!("This link makes its secret once, until {}", print::time(end)),
            None => "Its secret is shown once and cannot be read again".to_owned(),
        };
        print::note(&format!(
            "{} {} ends {}. {shown}:",
            field("/token/kind"),
            field("/token/id"),
            ends.map_or_else(|| "never".to_owned(), print::time),
        ));
    }
    print::line(secret);
}

const TOKEN_COLUMNS: &[Column] = &[
    Column::new("ID", "id"),
    Column::new("KIND", "kind"),
    Column::new("USER", "user"),
    Column::new("NAME", "name"),
    Column::new("SERVICES", "services"),
    Column::new("STATE", "state"),
    Column::new("EXPIRES", "expires_at").or("never"),
    Column::new("LAST USED", "last_used_at").or("never"),
];

const BLOCKED_COLUMNS: &[Column] = &[
    Column::new("ID", "id"),
    Column::new("KIND", "kind"),
    Column::new("USER", "user"),
    Column::new("NAME", "name"),
    Column::new("REFUSED BY", "refused_by").or("the realm"),
    Column::new("REASON", "reason"),
    Column::new("EXPIRES", "expires_at").or("never"),
];

/// Tokens that a policy refuses, each with what refuses it.
async fn blocked(args: &ListArgs) -> Result<(), Failure> {
    let api = Api::new(&args.remote)?;
    let query: Vec<(&str, String)> =
        args.service.iter().map(|service| ("service", service.clone())).collect();
    let mut page = api.list(&api.in_realm("blocked-tokens"), &query, &args.page).await?;
    if !api.json {
        for item in page.get_mut("items").and_then(Value::as_array_mut).into_iter().flatten() {
            let mut token = item["token"].take();
            token["refused_by"] = item["service"].take();
            token["reason"] = item["reason"].take();
            *item = token;
        }
    }
    page_out(&api, BLOCKED_COLUMNS, &page);
    Ok(())
}

async fn list(args: &ListArgs) -> Result<(), Failure> {
    let api = Api::new(&args.remote)?;
    let labels: Vec<(String, String)> =
        args.labels.iter().map(|(key, value)| (format!("label.{key}"), value.clone())).collect();
    let kind = args.kind.map(|kind| kind.name().to_owned());
    let now = OsClock.now();
    let expires_before = args.expires_before.as_ref().and_then(|when| when.ahead(now));
    let unused_since = args.unused_since.as_ref().and_then(|when| when.back(now));
    let filters = [
        ("user", &args.user),
        ("service", &args.service),
        ("repository", &args.repository),
        ("kind", &kind),
        ("state", &args.state),
        ("name", &args.name),
        ("expires_before", &expires_before),
        ("unused_since", &unused_since),
    ];
    let mut query: Vec<(&str, String)> =
        filters.iter().filter_map(|(name, value)| Some((*name, (*value).clone()?))).collect();
    query.extend(labels.iter().map(|(key, value)| (key.as_str(), value.clone())));
    let mut page = api.list(&api.in_realm("tokens"), &query, &args.page).await?;
    if !api.json {
        let items = page.get_mut("items").and_then(Value::as_array_mut);
        items.into_iter().flatten().for_each(name_method);
    }
    let none = page.get("items").and_then(Value::as_array).is_some_and(Vec::is_empty);
    if let (true, Some(user)) = (none, &args.user) {
        // Nobody of that name has no tokens either; who may not look at people is told no more.
        let path = api.in_realm(&format!("users/{}", segment(user)));
        if api.is_missing(&path).await? {
            return Err(Failure::Refused(format!("there is no user {}", print::clean(user))));
        }
    }
    page_out(&api, TOKEN_COLUMNS, &page);
    Ok(())
}

/// Says with the kind of an authentication token how it proves itself.
fn name_method(token: &mut Value) {
    let named = |name: &str| token.get(name).and_then(Value::as_str);
    if let (Some(kind), Some(method)) = (named("kind"), named("otp_method")) {
        let both = format!("{kind} ({method})");
        token["kind"] = both.into();
    }
}

fn path(api: &Api, id: &str, act: &str) -> String {
    api.in_realm(&format!("tokens/{}{act}", segment(id)))
}

fn show_one(api: &Api, token: &Value) {
    if api.json { print::json(token) } else { print::record(token) }
}

/// Prints a token without the fields that say nothing.
fn show_token(api: &Api, token: &Value) {
    if api.json { print::json(token) } else { print::record(&telling(token)) }
}

/// The fields of a token that tell somebody something: no empty lists, noes and zeroes, but
/// always when it ends, whether it is switched on, and how much is left of it. So with each of
/// its secrets.
fn telling(token: &Value) -> Value {
    let tells = |name: &str, value: &Value| match value {
        _ if matches!(name, "enabled" | "remaining") => true,
        Value::Null | Value::Bool(false) => false,
        Value::Array(items) => !items.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
        Value::Number(number) => number.as_u64() != Some(0),
        Value::Bool(true) | Value::String(_) => true,
    };
    let fields = token.as_object().into_iter().flatten().filter_map(|(name, value)| {
        let value = match (name.as_str(), value) {
            ("expires_at", Value::Null) => "never".into(),
            ("secrets", Value::Array(secrets)) => secrets.iter().map(telling).collect(),
            _ => value.clone(),
        };
        tells(name, &value).then(|| (name.clone(), value))
    });
    Value::Object(fields.collect())
}

async fn show(args: &ShowArgs) -> Result<(), Failure> {
    let api = Api::new(&args.remote)?;
    let token = api.send(Ask::get(path(&api, &args.id, ""))).await?;
    show_token(&api, &token);
    Ok(())
}

async fn token_events(args: &EventsArgs) -> Result<(), Failure> {
    let api = Api::new(&args.remote)?;
    let query: Vec<(&str, String)> =
        args.outcome.iter().map(|outcome| ("outcome", outcome.clone())).collect();
    let page = api.list(&path(&api, &args.id, "/events"), &query, &args.page).await?;
    page_out(&api, events::COLUMNS, &page);
    Ok(())
}

/// What breaks when a token ends or gets another secret.
async fn preview(api: &Api, id: &str) -> Result<(), Failure> {
    let radius = api.send(Ask::get(path(api, id, "/blast-radius"))).await?;
    show_token(api, &radius);
    Ok(())
}

async fn rotate(args: &RotateArgs) -> Result<(), Failure> {
    if args.preview {
        return preview(&Api::new(&args.one.remote)?, &args.one.id).await;
    }
    let mut body = Map::new();
    if let Some(text) = &args.overlap {
        let overlap = when::seconds(text).or_else(|| text.parse().ok());
        let overlap = overlap.ok_or_else(|| {
            Failure::Usage(format!("--overlap: write 90s, 15m, 12h or 2d, not `{text}`"))
        })?;
        body.insert("overlap_seconds".into(), overlap.into());
    }
    let RotateArgs { secret, one, .. } = args;
    let ends_now = body.get("overlap_seconds").and_then(Value::as_u64) == Some(0);
    let api = Api::new(&one.remote)?;
    let ask = Ask::post(path(&api, &one.id, "/rotate"), Value::Object(body))
        .if_match(one.if_match.as_deref())
        .once(secret.idempotency_key.as_deref());
    let answer = api.send(ask).await?;
    if !api.json && !secret.quiet {
        print::note(&former_secret(&answer, ends_now));
    }
    show_secret(&api, &answer, secret.quiet);
    Ok(())
}

/// What becomes of the secret that was replaced.
fn former_secret(answer: &Value, ends_now: bool) -> String {
    let secrets = answer.pointer("/token/secrets").and_then(Value::as_array);
    let former = secrets.into_iter().flatten().find(|secret| secret["slot"] == "previous");
    let end = former.and_then(|secret| secret.get("expires_at")?.as_str());
    match end.filter(|_| !ends_now) {
        Some(end) => {
            format!("The former secret works until {end}; with --overlap 0s it ends at once.")
        }
        None => "The former secret works no more.".to_owned(),
    }
}

async fn switch(args: &OneArgs, act: &str) -> Result<(), Failure> {
    let api = Api::new(&args.remote)?;
    let ask = Ask::post(path(&api, &args.id, &format!("/{act}")), json!({}));
    let token = api.send(ask.if_match(args.if_match.as_deref())).await?;
    show_token(&api, &token);
    Ok(())
}

async fn hand_over(args: &HandOverArgs) -> Result<(), Failure> {
    let api = Api::new(&args.remote)?;
    let token = api.send(Ask::get(path(&api, &args.id, ""))).await?;
    let user = token.get("user").and_then(Value::as_str).unwrap_or_default();
    let place = api.in_realm(&format!("users/{}/hand-over", segment(user)));
    let body = json!({ "token": args.id, "to": args.to });
    let token = api.send(Ask::post(place, body)).await?;
    show_token(&api, &token);
    Ok(())
}

async fn revoke(args: &RevokeArgs) -> Result<(), Failure> {
    if args.preview {
        return preview(&Api::new(&args.remote)?, &args.id).await;
    }
    let mut body = Map::new();
    if let Some(reason) = &args.reason {
        body.insert("reason".into(), reason.as_str().into());
    }
    if args.cascade {
        body.insert("cascade".into(), true.into());
    }
    if args.dry_run {
        body.insert("dry_run".into(), true.into());
    }
    let api = Api::new(&args.remote)?;
    let ask = Ask::post(path(&api, &args.id, "/revoke"), Value::Object(body));
    let answer = api.send(ask).await?;
    match answer.get("revoked").and_then(Value::as_array) {
        Some(items) if !api.json => print::table(TOKEN_COLUMNS, items),
        _ => show_token(&api, &answer),
    }
    Ok(())
}

async fn verify(args: &VerifyArgs) -> Result<(), Failure> {
    let presented = secret_input::secret(args.file.as_deref(), Wanted::Token)?;
    let mut body = Map::new();
    body.insert("token".into(), presented.reveal().into());
    let texts = [
        ("username", &args.user),
        ("service", &args.service),
        ("resource", &args.resource),
        ("action", &args.action),
        ("client_ip", &args.client_ip),
    ];
    for (name, text) in texts {
        if let Some(text) = text {
            body.insert(name.to_owned(), text.as_str().into());
        }
    }
    if !args.scopes.is_empty() {
        body.insert("scopes".into(), args.scopes.as_slice().into());
    }
    if args.no_consume {
        body.insert("consume".into(), false.into());
    }
    let api = Api::new(&args.remote)?;
    let verdict = api.send(Ask::post(api.in_realm("verify"), Value::Object(body))).await?;
    show_one(&api, &verdict);
    if verdict.get("active").and_then(Value::as_bool) == Some(true) {
        return Ok(());
    }
    let code = verdict.get("code").and_then(Value::as_str).unwrap_or("unknown");
    Err(Failure::Refused(format!("the token is not good: {code}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_a_lifetime_a_time_or_never() {
        let body = |expires| {
            let mut body = Map::new();
            put_expiry(&mut body, &expires);
            Value::Object(body)
        };
        assert_eq!(body(When::Away(60)), json!({ "lifetime_seconds": 60 }));
        assert_eq!(body(When::At("2026-12-31".into())), json!({ "expires_at": "2026-12-31" }));
        assert_eq!(body(When::Never), json!({ "expires_at": null }));
    }

    #[test]
    fn a_rotation_says_how_long_the_former_secret_works() {
        let end = "2026-12-31T00:00:00Z";
        let kept = json!({ "token": { "secrets": [
            { "slot": "current", "expires_at": null }, { "slot": "previous", "expires_at": end },
        ] } });
        let said = former_secret(&kept, false);
        assert!(said.contains(end) && said.contains("--overlap 0s"), "{said}");
        assert_eq!(former_secret(&kept, true), "The former secret works no more.");
        let ended = json!({ "token": { "secrets": [{ "slot": "current" }] } });
        assert_eq!(former_secret(&ended, false), "The former secret works no more.");
    }

    #[test]
    fn a_shown_token_leaves_out_what_says_nothing() {
        let token = json!({ "id": "a", "expires_at": null, "enabled": false, "locked": false,
            "scopes": [], "labels": {}, "usage_total": 0, "remaining": 0, "name": "laptop",
            "secrets": [{ "slot": "current", "not_before": null, "expires_at": null }] });
        let said = json!({ "id": "a", "expires_at": "never", "enabled": false, "remaining": 0,
            "name": "laptop", "secrets": [{ "slot": "current", "expires_at": "never" }] });
        assert_eq!(telling(&token), said);
    }
}

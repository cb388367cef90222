//! `/serverinfo` as far as clients need it, and the words that policies may use.

use axum::http::{Method, StatusCode};
use axum::response::Response;
use serde_json::{Value, json};

use super::fault::Fault;
use super::path::Endpoint;
use super::wire::{APPLICATION_TYPE, CONDITION_TYPES, SUBJECT_TYPES};
use super::{Asked, filter};

/// The version of AM whose door this is: clients choose their ways by it.
const AM_VERSION: &str = "7.2.0";

/// What a client has to know before it can do anything. Open to everybody, as with AM.
pub(super) fn answer(asked: &Asked<'_>) -> Result<Response, Fault> {
    if *asked.method() != Method::GET {
        return Err(Fault::method());
    }
    match asked.place.id.as_str() {
        "*" => {
            let settings = &asked.state.settings;
            let realm = asked.shown_realm(asked.realm);
            let value = json!({
                "_id": "*",
                "_rev": "0",
                "domains": [],
                "protectedUserAttributes": [],
                "cookieName": settings.am_cookie_name,
                "secureCookie": settings.public_url.starts_with("https:"),
                "forgotPassword": "false",
                "forgotUsername": "false",
                "kbaEnabled": "false",
                "selfRegistration": "false",
                "lang": "en",
                "successfulUserRegistrationDestination": "default",
                "socialImplementations": [],
                "referralsEnabled": "false",
                "zeroPageLogin": {
                    "enabled": false, "refererWhitelist": [], "allowedWithoutReferer": true
                },
                "realm": realm,
                "xuiUserSessionValidationEnabled": false,
                "fileBasedConfiguration": false,
                "userIdAttributes": [],
            });
            Ok(asked.json(StatusCode::OK, value))
        }
        "version" => {
            let value = json!({
                "_id": "version",
                "_rev": "0",
                "version": AM_VERSION,
                "fullVersion": format!(
                    "Counterfoil {} (as ForgeRock Access Management {AM_VERSION})",
                    env!("CARGO_PKG_VERSION")
                ),
                "revision": "",
                "date": "",
            });
            Ok(asked.json(StatusCode::OK, value))
        }
        "cookieDomains" => Ok(asked.json(StatusCode::OK, json!({ "domains": [] }))),
        _ => Err(Fault::not_found()),
    }
}

/// Lists of what policies may be made of, for whoever may evaluate.
pub(super) async fn vocabulary(asked: &Asked<'_>) -> Result<Response, Fault> {
    if *asked.method() != Method::GET {
        return Err(Fault::method());
    }
    let session = asked.session().await?;
    asked.state.authority.am_may_evaluate(&session.caller, asked.realm)?;
    let logical = |name: &str| ["AND", "OR", "NOT"].contains(&name);
    let typed = |names: &[&str]| -> Vec<Value> {
        let config = json!({ "type": "object", "properties": {} });
        let one =
            |name: &&str| json!({ "title": name, "logical": logical(name), "config": config });
        names.iter().map(one).collect()
    };
    let all = match asked.place.endpoint {
        Endpoint::ConditionTypes => typed(&CONDITION_TYPES),
        Endpoint::SubjectTypes => typed(&SUBJECT_TYPES),
        Endpoint::DecisionCombiners => vec![json!({ "title": "DenyOverride" })],
        Endpoint::ApplicationTypes => vec![json!({ "name": APPLICATION_TYPE, "actions": {} })],
        _ => ["uid", "cn", "mail", "memberOf"].map(|name| json!(name)).to_vec(),
    };
    if asked.place.id.is_empty() {
        return Ok(asked.json(StatusCode::OK, filter::page(asked.query, all)?));
    }
    let name = asked.place.id.as_str();
    let named = |one: &Value| one["title"] == name || one["name"] == name;
    let found = all.into_iter().find(named).ok_or_else(Fault::not_found)?;
    Ok(asked.json(StatusCode::OK, found))
}

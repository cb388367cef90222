//! `/sessions`: whether one is good, how long it lasts, and its end. By possession of the session,
//! as with AM: whoever asks about one presents it.

use axum::http::{Method, StatusCode};
use axum::response::Response;
use counterfoil_authority::authority::{AmUse, AuthRefusal};
use counterfoil_authority::verdict::Door;
use serde::Deserialize;
use serde_json::{Value, json};

use super::fault::Fault;
use super::{Asked, Session};
use crate::http::body::parse;

/// What AM says of times of a session that there is not.
const NO_TIME: i64 = -1;

#[derive(Deserialize, Default)]
struct Named {
    #[serde(rename = "tokenId", default)]
    token_id: Option<String>,
}

/// The session that a request is about: in its path, query or body, or its own.
fn about(asked: &Asked<'_>, body: &[u8]) -> Result<Option<String>, Fault> {
    if !asked.place.id.is_empty() {
        return Ok(Some(asked.place.id.clone()));
    }
    if let Some(id) = asked.query.get("tokenId") {
        return Ok(Some(id.clone().into_owned()));
    }
    if !body.iter().all(u8::is_ascii_whitespace) {
        let named: Named = parse(body)?;
        if named.token_id.is_some() {
            return Ok(named.token_id);
        }
    }
    Ok(asked.presented()?.map(ToOwned::to_owned))
}

/// Answers one request.
pub(super) async fn answer(asked: &Asked<'_>, body: &[u8]) -> Result<Response, Fault> {
    if *asked.method() != Method::POST {
        return Err(Fault::method());
    }
    let Some(presented) = about(asked, body)? else {
        return Err(Fault::new(StatusCode::UNAUTHORIZED, "Access denied"));
    };
    let action = asked.action().unwrap_or_default();
    if action == "logout" {
        let context = asked.arrival.context(Door::Am);
        let using = asked.using(true);
        let gone = asked.state.authority.am_logout(&presented, using, context).await?;
        let result = if gone { "Token has expired" } else { "Successfully logged out" };
        return Ok(asked.whole(StatusCode::OK, &json!({ "result": result })));
    }
    let exactly = matches!(action, "getIdle" | "getSessionInfo");
    let using = AmUse { exactly, ..asked.using(extends(asked, action)) };
    let session = match asked.session_of(&presented, using).await {
        Ok(session) => Some(session),
        Err(AuthRefusal::Denied { guessed }) => {
            if guessed {
                asked.hold_back(None).await;
            }
            None
        }
        Err(AuthRefusal::Unavailable(refusal)) => return Err(refusal.into()),
    };
    let said = told(asked, action, session.as_ref())?;
    Ok(asked.whole(StatusCode::OK, &said))
}

/// Whether an action counts as a use of the session, so that its idle time begins anew.
fn extends(asked: &Asked<'_>, action: &str) -> bool {
    match action {
        "validate" | "refresh" | "getSessionInfoAndResetIdleTime" => true,
        "isActive" => asked.query.get("refresh").is_some_and(|text| text == "true"),
        _ => false,
    }
}

fn told(asked: &Asked<'_>, action: &str, session: Option<&Session>) -> Result<Value, Fault> {
    let now = asked.state.authority.now();
    let idle_seconds = asked.state.settings.am_idle_seconds;
    let life = |session: &Session| session.to.seconds() - session.from.seconds();
    let left = |session: &Session| session.to.seconds() - now.seconds();
    let minutes = |session: &Session| life(session) / 60;
    let max_idle = |session: &Session| life(session).min(idle_seconds) / 60;
    // What has just been used is not idle.
    let used_at = |session: &Session| if extends(asked, action) { now } else { session.used_at };
    let idle = |session: &Session| now.seconds() - used_at(session).seconds();
    let number = |name: &str, value: &dyn Fn(&Session) -> i64| {
        let value = session.map_or(NO_TIME, value);
        json!({ name: value })
    };
    let must = || session.ok_or_else(Fault::no_session);
    Ok(match action {
        "validate" => match session {
            Some(session) => json!({
                "valid": true,
                "uid": session.caller.subject.name(),
                "realm": asked.shown_realm(&session.caller.realm),
            }),
            None => json!({ "valid": false }),
        },
        "isActive" => json!({ "active": session.is_some() }),
        "getTimeLeft" => number("maxtime", &left),
        "getMaxSessionTime" => number("maxsessiontime", &minutes),
        "getMaxIdle" => number("maxidletime", &max_idle),
        "getIdle" => number("idletime", &idle),
        "refresh" => {
            let session = must()?;
            json!({
                "uid": session.caller.subject.name(),
                "realm": asked.shown_realm(&session.caller.realm),
                "idletime": idle(session),
                "maxidletime": max_idle(session),
                "maxsessiontime": minutes(session),
                "maxtime": left(session),
            })
        }
        "getSessionInfo" | "getSessionInfoAndResetIdleTime" => {
            let session = must()?;
            let name = session.caller.subject.name();
            let used_at = used_at(session);
            let idle_end = used_at.plus_seconds(idle_seconds).min(session.to);
            json!({
                "username": name,
                "universalId": universal_id(asked, session),
                "realm": asked.shown_realm(&session.caller.realm),
                "latestAccessTime": used_at.to_string(),
                "maxIdleExpirationTime": idle_end.to_string(),
                "maxSessionExpirationTime": session.to.to_string(),
                "properties": {},
            })
        }
        other => return Err(Fault::no_action(asked.place.endpoint, other)),
    })
}

/// The name by which policies of AM know a person.
pub(super) fn universal_id(asked: &Asked<'_>, session: &Session) -> String {
    let caller = &session.caller;
    let base = if caller.realm == *asked.root {
        String::new()
    } else {
        format!("o={},ou=services,", caller.realm)
    };
    format!("id={},ou=user,{base}ou=am-config", caller.subject.name())
}

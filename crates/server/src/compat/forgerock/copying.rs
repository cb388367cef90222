//! `/policies?_action=copy` and `move`: policies under another name, or in another policy set.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use axum::response::Response;
use counterfoil_authority::am::{AmKind, AmObject};
use counterfoil_authority::authority::AmCopy;
use counterfoil_authority::caller::Caller;
use counterfoil_authority::names::RealmName;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Asked;
use super::fault::Fault;
use super::wire::shown;
use crate::http::body::parse;

/// What is asked for: of one policy where the path names it, else of all in a policy set.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct Sent {
    from: Option<From>,
    to: To,
    /// From the ids of resource types to those that take their place.
    resource_type_mapping: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct From {
    application: String,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct To {
    name: Option<String>,
    name_postfix: Option<String>,
    application: Option<String>,
    resource_type: Option<String>,
    realm: Option<String>,
}

/// Answers one request.
pub(super) async fn answer(
    asked: &Asked<'_>,
    caller: &Caller,
    moves: bool,
    body: &[u8],
) -> Result<Response, Fault> {
    let sent: Sent = parse(body)?;
    if sent.to.realm.as_deref().is_some_and(|named| !is_this(asked, named)) {
        return Err(Fault::invalid("Policies are not copied or moved to another realm."));
    }
    let name = asked.place.id.as_str();
    let copies = if name.is_empty() {
        of_set(asked, caller, &sent, moves).await?
    } else {
        vec![of_one(name, sent, moves)?]
    };
    let authority = &asked.state.authority;
    let made = authority.am_copy(caller, asked.realm, &copies, moves).await?;
    let realm = asked.shown_realm(asked.realm);
    let mut all: Vec<Value> = made.iter().map(|object| shown(object, &realm)).collect();
    let answer = if name.is_empty() { json!(all) } else { all.pop().unwrap_or_default() };
    Ok(asked.json(StatusCode::OK, answer))
}

/// Whether a realm in AM's spelling is that of the request.
fn is_this(asked: &Asked<'_>, named: &str) -> bool {
    match named.trim_matches('/') {
        "" => asked.realm == asked.root,
        name => RealmName::parse(name).is_ok_and(|name| name == *asked.realm),
    }
}

fn of_one(name: &str, sent: Sent, moves: bool) -> Result<AmCopy, Fault> {
    if sent.from.is_some() || sent.to.name_postfix.is_some() {
        return Err(Fault::invalid("from and namePostfix are for all policies of a policy set."));
    }
    let To { name: there, application, resource_type, .. } = sent.to;
    let there = match there {
        Some(there) => there,
        // It may keep its name where the one there was before is gone.
        None if moves => name.to_owned(),
        None => return Err(Fault::invalid("to.name is missing")),
    };
    Ok(AmCopy { from: name.to_owned(), name: there, policy_set: application, resource_type })
}

async fn of_set(
    asked: &Asked<'_>,
    caller: &Caller,
    sent: &Sent,
    moves: bool,
) -> Result<Vec<AmCopy>, Fault> {
    let from = sent.from.as_ref().ok_or_else(|| Fault::invalid("from.application is missing"))?;
    if sent.to.name.is_some() || sent.to.resource_type.is_some() {
        return Err(Fault::invalid("to.name and to.resourceType are for one policy."));
    }
    let postfix = sent.to.name_postfix.as_deref().unwrap_or_default();
    if postfix.is_empty() && !moves {
        return Err(Fault::invalid("to.namePostfix is missing"));
    }
    let authority = &asked.state.authority;
    // That there is such a policy set is asked first, so that a wrong name is told.
    authority.am_object(caller, asked.realm, AmKind::PolicySet, &from.application).await?;
    let policies = authority.am_objects(caller, asked.realm, AmKind::Policy).await?;
    let of_it =
        |object: &&AmObject| object.document.policy_set() == Some(from.application.as_str());
    let copy = |object: &AmObject| {
        let of_type = object.policy().map(|policy| policy.resource_type_uuid.as_str());
        AmCopy {
            from: object.name.clone(),
            name: format!("{}{postfix}", object.name),
            policy_set: sent.to.application.clone(),
            resource_type: of_type.and_then(|id| sent.resource_type_mapping.get(id)).cloned(),
        }
    };
    Ok(policies.iter().filter(of_it).map(copy).collect())
}

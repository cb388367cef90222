//! `/users`: people as clients of AM look them up. Read only but for new tokens, and never a
//! usable one: the attribute in which the seed keeps them shows which there are and what they may
//! do.

use axum::http::{Method, StatusCode};
use axum::response::Response;
use counterfoil_authority::caller::Caller;
use counterfoil_authority::kind::Kind;
use counterfoil_authority::names::Username;
use counterfoil_authority::refusal::{Refusal, Thing};
use counterfoil_authority::store::{PageRequest, TokenFilter, UserFilter};
use counterfoil_authority::subject::{Owner, User, UserStatus};
use serde_json::{Map, Value, json};
use std::borrow::Cow;

use super::fault::Fault;
use super::{Asked, filter, profile, sessions};

/// People of one list at most; a filter of AM cannot go on from a place.
const PEOPLE_MAX: usize = 10_000;
/// People and tokens that are read at once.
const PAGE: u32 = 1_000;

/// Answers one request.
pub(super) async fn answer(asked: &Asked<'_>, body: &[u8]) -> Result<Response, Fault> {
    let session = asked.session().await?;
    let caller = &session.caller;
    let name = asked.place.id.as_str();
    match (asked.method(), name.is_empty(), asked.action()) {
        (&Method::POST, true, Some("idFromSession")) => {
            let value = json!({
                "id": caller.subject.name(),
                "realm": asked.shown_realm(&caller.realm),
                "dn": sessions::universal_id(asked, &session),
                "successURL": format!("{}/console", asked.place.prefix),
                "fullLoginURL": format!("{}/UI/Login", asked.place.prefix),
            });
            Ok(asked.whole(StatusCode::OK, &value))
        }
        (&Method::GET, false, None) => {
            if let Owner::Client(own) = &caller.subject
                && own.as_str() == name
                && caller.realm == *asked.realm
            {
                return Ok(asked.json(StatusCode::OK, client(asked, name)));
            }
            let user = found(asked, caller, name).await?;
            Ok(asked.json(StatusCode::OK, shown(asked, caller, &user).await?))
        }
        (&Method::PUT, false, None) => profile::put(asked, caller, name, body).await,
        (&Method::GET, true, None) => listed(asked, caller).await,
        (&Method::POST, _, Some(action)) => Err(Fault::no_action(asked.place.endpoint, action)),
        _ => Err(Fault::method()),
    }
}

/// A person, if the caller may look at them.
pub(super) async fn found(asked: &Asked<'_>, caller: &Caller, name: &str) -> Result<User, Fault> {
    let username = Username::parse(name).map_err(|_| Fault::not_found())?;
    let found = asked.state.authority.user(caller, asked.realm, &username).await;
    found.map_err(|refusal| match refusal {
        Refusal::Forbidden(_) => {
            Fault::new(StatusCode::FORBIDDEN, "Permission to perform the read operation denied")
        }
        other => other.into(),
    })
}

/// A machine has no profile; what clients look for in one is this.
fn client(asked: &Asked<'_>, name: &str) -> Value {
    json!({
        "username": name,
        "realm": asked.shown_realm(asked.realm),
        "uid": [name],
        "cn": [name],
        "inetUserStatus": ["Active"],
        "universalid": [format!("id={name},ou=user,ou=am-config")],
    })
}

async fn shown(asked: &Asked<'_>, caller: &Caller, user: &User) -> Result<Value, Fault> {
    let attribute = &asked.state.settings.am_pat_attribute;
    let wanted = asked.query.get("_fields").is_none_or(|text| {
        text.split(',').any(|field| field.trim() == attribute || field.trim() == "*")
    });
    let mut fields = described(asked, user);
    if wanted && let Some(tokens) = tokens(asked, caller, user).await? {
        fields.insert(attribute.clone(), json!(tokens));
    }
    Ok(Value::Object(fields))
}

/// A person without their tokens.
pub(super) fn described(asked: &Asked<'_>, user: &User) -> Map<String, Value> {
    let mut fields = Map::new();
    for (name, value) in &user.attributes {
        let values = match value {
            Value::Array(values) => values.iter().map(text).collect(),
            other => vec![text(other)],
        };
        fields.insert(name.clone(), json!(values));
    }
    let name = user.username.as_str();
    let cn = user.display_name.as_deref().unwrap_or(name);
    let status = if user.status == UserStatus::Active { "Active" } else { "Inactive" };
    fields.insert("username".to_owned(), json!(name));
    fields.insert("realm".to_owned(), json!(asked.shown_realm(asked.realm)));
    fields.insert("uid".to_owned(), json!([name]));
    fields.insert("cn".to_owned(), json!([cn]));
    fields.insert("mail".to_owned(), json!(user.emails));
    fields.insert("inetUserStatus".to_owned(), json!([status]));
    // Whatever somebody has put there may be a token.
    fields.remove(&asked.state.settings.am_pat_attribute);
    fields
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// The tokens of a person by their ids, in the spelling of the seed's script; `None` for whoever
/// may not see them, or if there are none.
pub(super) async fn tokens(
    asked: &Asked<'_>,
    caller: &Caller,
    user: &User,
) -> Result<Option<Vec<String>>, Fault> {
    let filter = TokenFilter {
        kind: Some(Kind::PersonalAccessToken),
        owner: Some(Owner::User(user.username.clone())),
        ..TokenFilter::default()
    };
    let authority = &asked.state.authority;
    let page = PageRequest::first(PAGE);
    let read = match authority.tokens(caller, asked.realm, filter, page).await {
        Ok(read) => read,
        Err(Refusal::Forbidden(_) | Refusal::NotFound(Thing::Realm)) => return Ok(None),
        Err(refusal) => return Err(refusal.into()),
    };
    let live = read.items.iter().filter(|token| token.revocation.is_none());
    let described = live.map(|token| {
        let stored = token.permissions.as_deref().and_then(|text| serde_json::from_str(text).ok());
        let permissions: Value = stored.unwrap_or_else(|| json!({}));
        json!({ token.id.as_str(): permissions }).to_string()
    });
    let described: Vec<String> = described.collect();
    Ok((!described.is_empty()).then_some(described))
}

/// Everybody that the filter takes, without their tokens.
async fn listed(asked: &Asked<'_>, caller: &Caller) -> Result<Response, Fault> {
    let mut query = asked.query.clone();
    if let Some(wanted) = query.remove("_queryId")
        && wanted != "*"
        && !wanted.is_empty()
    {
        let start = wanted.trim_end_matches('*').replace(['\\', '"'], "");
        let by = if wanted.ends_with('*') { "sw" } else { "eq" };
        let filter = format!("username {by} \"{start}\"");
        query.insert(Cow::Borrowed("_queryFilter"), Cow::Owned(filter));
    }
    // Most ask for one person by name.
    let parsed = query.get("_queryFilter").filter(|text| !text.is_empty());
    let parsed = parsed.map(|text| filter::Filter::parse(text)).transpose()?;
    let exact = parsed.as_ref().and_then(filter::Filter::equal_to);
    let exact = exact.filter(|(field, _)| ["uid", "username"].contains(field));
    let mut people = Vec::new();
    if let Some((_, name)) = exact {
        let username = Username::parse(name).ok();
        if let Some(username) = username {
            match asked.state.authority.user(caller, asked.realm, &username).await {
                Ok(user) => people.push(user),
                Err(Refusal::NotFound(Thing::User)) => {}
                Err(refusal) => return Err(refusal.into()),
            }
        }
    } else {
        people = everybody(asked, caller).await?;
    }
    let mut all = Vec::with_capacity(people.len());
    for user in &people {
        let named = json!({
            "username": user.username.as_str(),
            "realm": asked.shown_realm(asked.realm),
            "uid": [user.username.as_str()],
            "cn": [user.display_name.as_deref().unwrap_or(user.username.as_str())],
            "mail": user.emails,
        });
        all.push(named);
    }
    Ok(asked.json(StatusCode::OK, filter::page(&query, all)?))
}

async fn everybody(asked: &Asked<'_>, caller: &Caller) -> Result<Vec<User>, Fault> {
    let mut people = Vec::new();
    let mut page = PageRequest::first(PAGE);
    loop {
        let authority = &asked.state.authority;
        let read = authority.users(caller, asked.realm, UserFilter::default(), page).await?;
        people.extend(read.items);
        if people.len() > PEOPLE_MAX {
            return Err(Fault::invalid("Too many people; ask for one by name."));
        }
        let Some(next) = read.next else { return Ok(people) };
        page = PageRequest { limit: PAGE, after: Some(next) };
    }
}

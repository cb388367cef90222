//! How the rules' types stand in columns, where that is not obvious.

use std::collections::BTreeMap;
use std::fmt::{Display, Write};

use counterfoil_authority::clock::Timestamp;
use counterfoil_authority::foreign::Recipe;
use counterfoil_authority::lock::Locks;
use counterfoil_authority::names::{GroupName, RealmName, RepositoryName, ServiceLabel, Username};
use counterfoil_authority::repository::{Membership, Place};
use counterfoil_authority::scope::{ApiScopes, Scope};
use counterfoil_authority::secret::TokenId;
use counterfoil_authority::secret_hash::{Mac256, SecretHash, SlowCost};
use counterfoil_authority::service::Services;
use counterfoil_authority::subject::{Owner, Provisioned, Role};
use counterfoil_authority::token::{AirlockAttributes, SentinelAttributes};
use counterfoil_authority::verdict::Door;
use ipnet::IpNet;
use serde::Serialize;
use serde_json::{Map, Value as Json};

use crate::engine::{Inconsistent, Row};

/// Words joined by spaces. Labels, scopes, networks and door names hold none.
pub(crate) fn words<T: Display>(items: impl IntoIterator<Item = T>) -> String {
    joined(items, " ")
}

/// Items joined by a separator.
pub(crate) fn joined<T: Display>(items: impl IntoIterator<Item = T>, separator: &str) -> String {
    let mut joined = String::new();
    for item in items {
        if !joined.is_empty() {
            joined.push_str(separator);
        }
        // Writing to a string cannot fail.
        let _ = write!(joined, "{item}");
    }
    joined
}

/// The words of a text, all of which `parse` must understand.
pub(crate) fn unwords<T>(text: &str, parse: impl Fn(&str) -> Option<T>) -> Option<Vec<T>> {
    text.split_ascii_whitespace().map(parse).collect()
}

/// JSON text. The types that come here cannot fail to serialise.
pub(crate) fn json<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// Absent if there is nothing in it.
pub(crate) fn unless_empty(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

/// The place of a token in every list: by instant of issue, then by id.
pub(crate) fn sort_key(created_at: Timestamp, id: TokenId) -> String {
    // Flipping the sign bit makes the order of the digits the order of the instants.
    let ordered = created_at.micros().cast_unsigned() ^ (1 << 63);
    format!("{ordered:016x}{id}")
}

/// A realm's name.
pub(crate) fn realm(row: &mut Row, column: &'static str) -> Result<RealmName, Inconsistent> {
    row.parsed(column, |text| RealmName::parse(text).ok())
}

/// What a provider said of a record beside its name for it; absent if there is nothing.
pub(crate) fn further(provisioned: &Provisioned) -> Option<String> {
    (!provisioned.attributes.is_empty()).then(|| json(&provisioned.attributes))
}

/// What a provider said of a record, two columns.
pub(crate) fn provisioned(row: &mut Row) -> Result<Provisioned, Inconsistent> {
    Ok(Provisioned {
        external_id: row.text_or_null("external_id")?,
        attributes: row.json_or_null("provisioned")?.unwrap_or_default(),
    })
}

/// A service's label.
pub(crate) fn label(text: &str) -> Option<ServiceLabel> {
    ServiceLabel::parse(text).ok()
}

/// Owner kind and owner, two columns.
pub(crate) fn owner(row: &mut Row) -> Result<Owner, Inconsistent> {
    let kind = row.text("owner_kind")?;
    row.parsed("owner", |name| match kind.as_str() {
        "u" => Username::parse(name).ok().map(Owner::User),
        "c" => counterfoil_authority::names::ClientName::parse(name).ok().map(Owner::Client),
        _ => None,
    })
}

/// The column `locks`.
pub(crate) fn locks(row: &mut Row) -> Result<Locks, Inconsistent> {
    Ok(row.parsed_or_null("locks", Locks::from_words)?.unwrap_or_default())
}

/// The column `owner_kind`.
pub(crate) const fn owner_kind(owner: &Owner) -> &'static str {
    match owner {
        Owner::User(_) => "u",
        Owner::Client(_) => "c",
    }
}

/// The columns `repository` and `place`.
pub(crate) fn membership(row: &mut Row) -> Result<Option<Membership>, Inconsistent> {
    let name = row.parsed_or_null("repository", |text| RepositoryName::parse(text).ok())?;
    let place = row.parsed_or_null("place", Place::from_name)?;
    Ok(name.zip(place).map(|(name, place)| Membership { name, place }))
}

/// The column `services`.
pub(crate) fn services(row: &mut Row) -> Result<Services, Inconsistent> {
    row.parsed("services", |text| match text {
        "*" => Some(Services::All),
        text => unwords(text, label).map(Services::Named),
    })
}

/// The column `scopes` of a token.
pub(crate) fn scopes(row: &mut Row) -> Result<Vec<Scope>, Inconsistent> {
    row.parsed("scopes", |text| unwords(text, |word| Scope::parse(word).ok()))
}

/// The column `networks`.
pub(crate) fn networks(row: &mut Row) -> Result<Vec<IpNet>, Inconsistent> {
    let networks = row.parsed_or_null("networks", |text| unwords(text, |net| net.parse().ok()))?;
    Ok(networks.unwrap_or_default())
}

/// The column `doors`.
pub(crate) fn doors(row: &mut Row) -> Result<Option<Vec<Door>>, Inconsistent> {
    row.parsed_or_null("doors", |text| unwords(text, Door::from_name))
}

/// The names of doors.
pub(crate) fn door_words(doors: &[Door]) -> String {
    words(doors.iter().map(|door| door.name()))
}

/// The column `roles`.
pub(crate) fn roles(row: &mut Row) -> Result<Vec<Role>, Inconsistent> {
    row.parsed("roles", |text| unwords(text, Role::from_name))
}

/// The column `scopes` of a client.
pub(crate) fn api_scopes(row: &mut Row) -> Result<Option<ApiScopes>, Inconsistent> {
    row.parsed_or_null("scopes", |text| Some(ApiScopes::from_names(text.split(' '))))
}

/// The column `group_names`.
pub(crate) fn groups(row: &mut Row) -> Result<Vec<GroupName>, Inconsistent> {
    row.parsed("group_names", |text| {
        // Most people are in no group; their records need no JSON parser.
        if text == "[]" {
            return Some(Vec::new());
        }
        let names: Vec<String> = serde_json::from_str(text).ok()?;
        names.iter().map(|name| GroupName::parse(name).ok()).collect()
    })
}

/// The columns `pepper`, `hash` and `cost`.
pub(crate) fn hash(row: &mut Row) -> Result<SecretHash, Inconsistent> {
    let pepper = row.small("pepper")?;
    let mac = Mac256::from_bytes(row.bytes32("hash")?);
    let cost = row.parsed_or_null("cost", slow_cost)?;
    Ok(match cost {
        None => SecretHash::Keyed { pepper, mac },
        Some((cost, recipe)) => SecretHash::Slow { pepper, digest: mac, cost, recipe },
    })
}

/// Memory, passes and lanes, and the recipe of a hash that was taken over.
fn slow_cost(text: &str) -> Option<(SlowCost, Option<Recipe>)> {
    let mut words = text.splitn(4, ' ');
    let mut number = || words.next()?.parse().ok();
    let cost = SlowCost { memory_kib: number()?, passes: number()?, lanes: number()? };
    let recipe = words.next().map(|text| Recipe::from_text(text).ok_or(()));
    Some((cost, recipe.transpose().ok()?))
}

/// The bytes of a hash, for the column `hash`.
pub(crate) const fn hash_bytes(hash: &SecretHash) -> &[u8; 32] {
    match hash {
        SecretHash::Keyed { mac, .. } | SecretHash::Slow { digest: mac, .. } => mac.as_bytes(),
    }
}

/// The column `cost`.
pub(crate) fn cost(hash: &SecretHash) -> Option<String> {
    match hash {
        SecretHash::Keyed { .. } => None,
        SecretHash::Slow { cost, recipe, .. } => {
            let mut text = words([cost.memory_kib, cost.passes, cost.lanes]);
            if let Some(recipe) = recipe {
                text.push(' ');
                text.push_str(&recipe.text());
            }
            Some(text)
        }
    }
}

/// The column `airlock`: absent when there is nothing to say.
pub(crate) fn airlock_json(airlock: &AirlockAttributes) -> Option<String> {
    if *airlock == AirlockAttributes::default() {
        return None;
    }
    let mut fields = Map::new();
    put(&mut fields, "serial", airlock.serial.as_deref());
    put(&mut fields, "tracking_id", airlock.tracking_id.as_deref());
    put(&mut fields, "data_encoding", airlock.data_encoding.as_deref());
    fields.insert("data_present".into(), airlock.data_present.into());
    fields.insert("delivery_date".into(), airlock.delivery_date.map(Timestamp::micros).into());
    fields.insert("generic_data".into(), serde_json::json!(airlock.generic_data));
    Some(Json::Object(fields).to_string())
}

/// The column `airlock`.
pub(crate) fn airlock(row: &mut Row) -> Result<AirlockAttributes, Inconsistent> {
    let Some(json): Option<Json> = row.json_or_null("airlock")? else {
        return Ok(AirlockAttributes::default());
    };
    let generic: BTreeMap<u8, String> = serde_json::from_value(json["generic_data"].clone())
        .map_err(|_| Inconsistent { column: "airlock" })?;
    Ok(AirlockAttributes {
        serial: text(&json, "serial"),
        tracking_id: text(&json, "tracking_id"),
        data_present: json["data_present"].as_bool().unwrap_or(false),
        data_encoding: text(&json, "data_encoding"),
        generic_data: generic,
        delivery_date: json["delivery_date"].as_i64().map(Timestamp::from_micros),
    })
}

/// The column `sentinel`: what has no column of its own, absent when there is nothing to say.
pub(crate) fn sentinel_json(sentinel: &SentinelAttributes) -> Option<String> {
    let mut fields = Map::new();
    put(&mut fields, "identifier", sentinel.identifier.as_deref());
    put(&mut fields, "ref_id_1", sentinel.ref_id_1.as_deref());
    put(&mut fields, "ref_id_2", sentinel.ref_id_2.as_deref());
    put(&mut fields, "constraints", sentinel.constraints.as_deref());
    put(&mut fields, "stamp", sentinel.stamp.as_deref());
    put(&mut fields, "approval", sentinel.approval.as_deref());
    let drawn_from = sentinel.registration_token.as_ref().map(TokenId::as_str);
    put(&mut fields, "registration_token", drawn_from);
    (!fields.is_empty()).then(|| Json::Object(fields).to_string())
}

/// The columns `sentinel`, `draw_limit`, `reserved` and `returned`.
pub(crate) fn sentinel(row: &mut Row) -> Result<SentinelAttributes, Inconsistent> {
    let json: Json = row.json_or_null("sentinel")?.unwrap_or(Json::Null);
    Ok(SentinelAttributes {
        count: row.count_or_null("draw_limit")?,
        reserved: row.count("reserved")?,
        returned: row.count("returned")?,
        identifier: text(&json, "identifier"),
        ref_id_1: text(&json, "ref_id_1"),
        ref_id_2: text(&json, "ref_id_2"),
        constraints: text(&json, "constraints"),
        stamp: text(&json, "stamp"),
        approval: text(&json, "approval"),
        told: counterfoil_authority::token::Told::default(),
        registration_token: json["registration_token"].as_str().and_then(TokenId::parse),
    })
}

fn put(fields: &mut Map<String, Json>, name: &str, value: Option<&str>) {
    if let Some(value) = value {
        fields.insert(name.to_owned(), value.into());
    }
}

fn text(json: &Json, name: &str) -> Option<String> {
    json[name].as_str().map(ToOwned::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sort_key_orders_by_instant_and_then_by_id() {
        let id = |text| TokenId::parse(text).unwrap();
        let key = |micros, name| sort_key(Timestamp::from_micros(micros), id(name));
        let keys = [
            key(-5, "zzzzzzzzzzzz"),
            key(0, "aaaaaaaaaaaa"),
            key(0, "bbbbbbbbbbbb"),
            key(1_700_000_000_000_000, "AAAAAAAAAAAA"),
        ];
        assert!(keys.is_sorted(), "{keys:?}");
    }
}

//! The columns of a line, each read as the API reads the field of that name.

use std::collections::BTreeMap;

use counterfoil_authority::clock::{DayEdge, Timestamp};
use counterfoil_authority::names::{ServiceLabel, Username};
use counterfoil_authority::scope::Scope;
use counterfoil_authority::text;
use ipnet::IpNet;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use crate::http::wire::{Labels, NetworkList, ScopeList};

/// What stands in a line, by column. A column that is empty in CSV is not there.
pub(super) struct Columns(pub(super) Map<String, Value>);

impl Columns {
    fn take(&mut self, column: &str) -> Option<Value> {
        self.0.remove(column).filter(|value| !value.is_null())
    }

    fn text(&mut self, column: &str) -> Result<Option<String>, String> {
        match self.take(column) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text).filter(|text| !text.is_empty())),
            Some(_) => Err(format!("column {column}: is no text")),
        }
    }

    /// What is shown of a token: one line.
    pub(super) fn line(&mut self, column: &str) -> Result<Option<String>, String> {
        let found = self.text(column)?;
        let about = |why: String| format!("column {column}: {why}");
        found.as_deref().map(text::check_line).transpose().map_err(about)?;
        Ok(found)
    }

    /// What nobody is shown.
    pub(super) fn secret(&mut self, column: &str) -> Result<Option<Zeroizing<String>>, String> {
        Ok(self.text(column)?.map(Zeroizing::new))
    }

    /// Whose it is.
    pub(super) fn user(&mut self) -> Result<Option<Username>, String> {
        let parse =
            |name: String| Username::parse(&name).map_err(|bad| format!("column user: {bad}"));
        self.text("user")?.map(parse).transpose()
    }

    /// What it is for.
    pub(super) fn service(&mut self) -> Result<Option<ServiceLabel>, String> {
        let parse = |name: String| {
            ServiceLabel::parse(&name).map_err(|bad| format!("column service: {bad}"))
        };
        self.text("service")?.map(parse).transpose()
    }

    /// Where its owner is written to.
    pub(super) fn email(&mut self) -> Result<Option<String>, String> {
        let found = self.text("email")?;
        let about = |why: String| format!("column email: {why}");
        found.as_deref().map(text::check_email).transpose().map_err(about)?;
        Ok(found)
    }

    /// An instant with its offset, or a day in the realm's zone.
    pub(super) fn time(
        &mut self,
        column: &str,
        zone: &str,
        edge: DayEdge,
    ) -> Result<Option<Timestamp>, String> {
        let Some(text) = self.text(column)? else { return Ok(None) };
        let read = Timestamp::parse(&text, zone, edge);
        read.map(Some).map_err(|bad| format!("column {column}: {bad}"))
    }

    /// A number of uses.
    pub(super) fn count(&mut self, column: &str) -> Result<Option<u64>, String> {
        let bad = || format!("column {column}: is no number of uses");
        match self.take(column) {
            None => Ok(None),
            Some(Value::Number(number)) => number.as_u64().map(Some).ok_or_else(bad),
            Some(Value::String(text)) => text.trim().parse().map(Some).map_err(|_| bad()),
            Some(_) => Err(bad()),
        }
    }

    /// Yes or no.
    pub(super) fn truth(&mut self, column: &str) -> Result<Option<bool>, String> {
        let bad = || format!("column {column}: is neither true nor false");
        match self.take(column) {
            None => Ok(None),
            Some(Value::Bool(truth)) => Ok(Some(truth)),
            Some(Value::String(text)) => match text.trim().to_ascii_lowercase().as_str() {
                "true" | "yes" | "1" => Ok(Some(true)),
                "false" | "no" | "0" => Ok(Some(false)),
                _ => Err(bad()),
            },
            Some(_) => Err(bad()),
        }
    }

    /// Scopes, parted by blanks or as a list.
    pub(super) fn scopes(&mut self) -> Result<Vec<Scope>, String> {
        let listed = self.listed("scopes");
        Ok(as_api::<ScopeList>("scopes", listed)?.0)
    }

    /// Networks, parted by blanks or as a list.
    pub(super) fn networks(&mut self) -> Result<Vec<IpNet>, String> {
        let listed = self.listed("networks");
        Ok(as_api::<NetworkList>("networks", listed)?.0)
    }

    fn listed(&mut self, column: &str) -> Value {
        match self.take(column) {
            None => json!([]),
            Some(Value::String(text)) => {
                let parts = text.split([' ', ',', ';']).filter(|part| !part.is_empty());
                parts.collect()
            }
            Some(other) => other,
        }
    }

    /// Labels: `name=value` parted by semicolons, or an object.
    pub(super) fn labels(&mut self) -> Result<BTreeMap<String, String>, String> {
        let found = match self.take("labels") {
            None => return Ok(BTreeMap::new()),
            Some(Value::String(text)) if !text.trim_start().starts_with('{') => {
                let parts = text.split(';').map(str::trim).filter(|part| !part.is_empty());
                let mut object = Map::new();
                for part in parts {
                    let (name, value) = part
                        .split_once('=')
                        .ok_or("column labels: a label is written name=value")?;
                    object.insert(name.trim().to_owned(), value.trim().into());
                }
                Value::Object(object)
            }
            Some(Value::String(text)) => {
                serde_json::from_str(&text).map_err(|_| "column labels: is no JSON object")?
            }
            Some(other) => other,
        };
        Ok(as_api::<Labels>("labels", found)?.0)
    }

    /// Resources with actions, as JSON.
    pub(super) fn permissions(&mut self) -> Result<Option<Value>, String> {
        let found = match self.take("permissions") {
            Some(Value::String(text)) => {
                Some(serde_json::from_str(&text).map_err(|_| "column permissions: is no JSON")?)
            }
            other => other,
        };
        let checked = found.as_ref().map(counterfoil_authority::permission::check);
        checked.transpose().map_err(|bad| format!("column permissions: {bad}"))?;
        Ok(found)
    }
}

/// A value as the API reads it.
fn as_api<T: DeserializeOwned>(column: &str, value: Value) -> Result<T, String> {
    serde_json::from_value(value).map_err(|bad| format!("column {column}: {bad}"))
}

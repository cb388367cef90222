//! What is missing between an entry and how a person is to stand: pure, and the same for bringing
//! and for looking.

use std::collections::BTreeSet;

use counterfoil_authority::provision::{
    Failed, Fault, OnDelete, PersonState, Target, TargetKind, TokenRecord,
};
use serde_json::{Value, json};

use super::entry::{Entry, with_label};
use super::{Attributes, VO_PERSON, attribute, is_labelled, template};

/// How an attribute of the map ends that stands for each service.
const PER_SERVICE: &str = ";app-{service}";
/// How a record of ours says so.
const ISSUER: &str = "counterfoil";

/// A change of one attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Modification {
    /// These values and no others; without any the attribute goes.
    Replace(String, Vec<String>),
    /// These too.
    Add(String, Vec<String>),
    /// These no longer.
    Delete(String, Vec<String>),
}

/// What is to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Plan {
    /// Nothing: all is as it should be, at this place if anywhere.
    Nothing(Option<String>),
    /// A new entry.
    Add {
        /// Where.
        dn: String,
        /// With what.
        attributes: Attributes,
    },
    /// Changes of an entry.
    Modify {
        /// Where it is.
        dn: String,
        /// What is changed.
        mods: Vec<Modification>,
        /// Where it is to be.
        rename: Option<String>,
    },
    /// The entry goes.
    Delete {
        /// Where it is.
        dn: String,
    },
}

impl Plan {
    /// Where the person stands afterwards.
    pub(super) fn place(&self) -> Option<String> {
        match self {
            Self::Nothing(place) => place.clone(),
            Self::Add { dn, .. } => Some(dn.clone()),
            Self::Modify { dn, rename, .. } => Some(rename.clone().unwrap_or_else(|| dn.clone())),
            Self::Delete { .. } => None,
        }
    }

    /// Whether there is nothing to send.
    pub(super) const fn is_empty(&self) -> bool {
        matches!(self, Self::Nothing(_))
    }

    /// What is to be sent, without a value.
    pub(super) fn in_words(&self) -> Vec<String> {
        match self {
            Self::Nothing(_) => Vec::new(),
            Self::Add { dn, .. } => vec![format!("add {dn}")],
            Self::Delete { dn } => vec![format!("delete {dn}")],
            Self::Modify { mods, rename, .. } => {
                let renamed = rename.iter().map(|dn| format!("rename to {dn}"));
                let changed = mods.iter().map(|change| match change {
                    Modification::Replace(name, values) if values.is_empty() => {
                        format!("remove {name}")
                    }
                    Modification::Replace(name, _) => format!("replace {name}"),
                    Modification::Add(name, values) => format!("add {} to {name}", values.len()),
                    Modification::Delete(name, values) => {
                        format!("delete {} from {name}", values.len())
                    }
                });
                renamed.chain(changed).collect()
            }
        }
    }
}

/// What is missing.
pub(super) fn plan(
    target: &Target,
    state: &PersonState,
    found: Option<&Entry>,
) -> Result<Plan, Failed> {
    match target.kind {
        TargetKind::Entry => whole(target, state, found),
        TargetKind::ProfileAttribute => {
            on_existing(state, found, |entry| records(attribute(target), &state.records, entry))
        }
        TargetKind::Ldap | TargetKind::Webhook | TargetKind::Mail => {
            on_existing(state, found, |entry| passwords(target, state, entry))
        }
    }
}

/// Changes of an entry that somebody else keeps.
fn on_existing(
    state: &PersonState,
    found: Option<&Entry>,
    mods: impl Fn(&Entry) -> Vec<Modification>,
) -> Result<Plan, Failed> {
    let Some(entry) = found else {
        if state.values.is_empty() && state.records.is_empty() {
            return Ok(Plan::Nothing(None));
        }
        let what = format!("there is no entry of {}", state.username);
        return Err(Failed::new(Fault::Refused, what));
    };
    let mods = mods(entry);
    if mods.is_empty() {
        return Ok(Plan::Nothing(Some(entry.dn.clone())));
    }
    Ok(Plan::Modify { dn: entry.dn.clone(), mods, rename: None })
}

/// Application passwords, or the password, of an entry that is there.
fn passwords(target: &Target, state: &PersonState, entry: &Entry) -> Vec<Modification> {
    let name = attribute(target);
    if !is_labelled(target) {
        let mut wanted: Vec<String> = state.values.values().flatten().cloned().collect();
        wanted.sort();
        // It may be that we write what we are not let read: then it is written again.
        return if entry.texts(name) == wanted {
            Vec::new()
        } else {
            vec![Modification::Replace(name.to_owned(), wanted)]
        };
    }
    let mut mods = Vec::new();
    if !state.values.is_empty() && !entry.has("objectClass", VO_PERSON) {
        mods.push(Modification::Add("objectClass".to_owned(), vec![VO_PERSON.to_owned()]));
    }
    let there = entry.labels(name);
    for label in there.keys().filter(|label| state.owned.includes(label)) {
        if !state.values.contains_key(label) {
            mods.push(Modification::Replace(with_label(name, label), Vec::new()));
        }
    }
    for (label, values) in &state.values {
        if there.get(label) != Some(values) {
            mods.push(Modification::Replace(with_label(name, label), values.clone()));
        }
    }
    mods
}

/// What takes our values from an entry.
pub(super) fn cleared(target: &Target, entry: &Entry) -> Vec<Modification> {
    let (name, owned) = (attribute(target), target.config.owned());
    let there = entry.labels(name);
    let ours = there.keys().filter(|label| owned.includes(label));
    ours.map(|label| Modification::Replace(with_label(name, label), Vec::new())).collect()
}

/// Records of personal access tokens: one value of JSON each.
fn records(name: &str, records: &[TokenRecord], entry: &Entry) -> Vec<Modification> {
    let wanted: BTreeSet<String> = records.iter().map(record).collect();
    let is_ours = |text: &String| {
        serde_json::from_str::<Value>(text)
            .is_ok_and(|value| value.get("issuer").and_then(Value::as_str) == Some(ISSUER))
    };
    let there: BTreeSet<String> = entry.texts(name).into_iter().filter(is_ours).collect();
    let mut mods = Vec::new();
    let gone: Vec<String> = there.difference(&wanted).cloned().collect();
    if !gone.is_empty() {
        mods.push(Modification::Delete(name.to_owned(), gone));
    }
    let fresh: Vec<String> = wanted.difference(&there).cloned().collect();
    if !fresh.is_empty() {
        mods.push(Modification::Add(name.to_owned(), fresh));
    }
    mods
}

fn record(token: &TokenRecord) -> String {
    let time = crate::http::wire::time;
    json!({
        "issuer": ISSUER,
        "id": token.id.as_str(),
        "name": token.name,
        "services": token.services,
        "created_at": time(token.created_at),
        "expires_at": token.expires_at.map(time),
        "hash": token.hash,
    })
    .to_string()
}

/// A whole entry of ours.
fn whole(target: &Target, state: &PersonState, found: Option<&Entry>) -> Result<Plan, Failed> {
    if state.user.is_none() {
        let Some(entry) = found else { return Ok(Plan::Nothing(None)) };
        if target.config.on_delete.unwrap_or_default() == OnDelete::Entry {
            return Ok(Plan::Delete { dn: entry.dn.clone() });
        }
        let mods = cleared(target, entry);
        return Ok(if mods.is_empty() {
            Plan::Nothing(None)
        } else {
            Plan::Modify { dn: entry.dn.clone(), mods, rename: None }
        });
    }
    let Some(dn) = template::dn(target, state) else {
        let what = format!("{} lacks something that the distinguished name needs", state.username);
        return Err(Failed::new(Fault::Refused, what));
    };
    let mut attributes = template::attributes(target, state);
    let Some(entry) = found else {
        let classes = ("objectClass".to_owned(), target.config.object_classes.clone());
        attributes.insert(0, classes);
        attributes.extend(hashes(target, state));
        attributes.retain(|(_, values)| !values.is_empty());
        return Ok(Plan::Add { dn, attributes });
    };
    let mut mods = Vec::new();
    let lacking: Vec<String> = target
        .config
        .object_classes
        .iter()
        .filter(|class| !entry.has("objectClass", class))
        .cloned()
        .collect();
    if !lacking.is_empty() {
        mods.push(Modification::Add("objectClass".to_owned(), lacking));
    }
    for (name, values) in attributes {
        let mut sorted = values.clone();
        sorted.sort();
        if entry.texts(&name) != sorted {
            mods.push(Modification::Replace(name, values));
        }
    }
    mods.extend(stale_labels(target, state, entry));
    mods.extend(passwords(target, state, entry));
    mods.dedup();
    let rename = (!entry.dn.eq_ignore_ascii_case(&dn)).then_some(dn);
    if mods.is_empty() && rename.is_none() {
        return Ok(Plan::Nothing(Some(entry.dn.clone())));
    }
    Ok(Plan::Modify { dn: entry.dn.clone(), mods, rename })
}

/// Attributes of the map that stand for a service of which the person has no token any more.
fn stale_labels(target: &Target, state: &PersonState, entry: &Entry) -> Vec<Modification> {
    let names = target.config.attributes.keys().filter_map(|name| name.strip_suffix(PER_SERVICE));
    let of = |name: &str| {
        let there = entry.labels(name).into_keys();
        let left = there.filter(|label| !state.values.contains_key(label));
        let ours = left.filter(|label| state.owned.includes(label));
        ours.map(|label| Modification::Replace(with_label(name, &label), Vec::new()))
            .collect::<Vec<_>>()
    };
    names.flat_map(of).collect()
}

/// The attributes that hold hashes, of a new entry.
fn hashes(target: &Target, state: &PersonState) -> Attributes {
    let name = attribute(target);
    if !is_labelled(target) {
        let values = state.values.values().flatten().cloned().collect();
        return vec![(name.to_owned(), values)];
    }
    let of = |(label, values): (&String, &Vec<String>)| (with_label(name, label), values.clone());
    state.values.iter().map(of).collect()
}

//! What exists in every realm without being stored: the documents of the seed's administrator,
//! and those that AM itself brings along.

use std::collections::BTreeMap;

use super::document::{AmDocument, AmKind, AmObject, Policy, PolicySet, ResourceType};
use super::identity::Subject;
use crate::clock::Timestamp;
use crate::names::RealmName;

/// AM's own id of the resource type of URLs; tools know it.
pub const URL_TYPE: &str = "76656a38-5f8e-401b-83aa-4ccb74ce88d2";
/// The id of the resource type of personal access tokens.
pub const PAT_TYPE: &str = "c0f4e5d2-6b1a-4c38-9a57-2f6e8d3b7a10";
/// The policy set of personal access tokens.
pub const PAT_SET: &str = "PATValidator";
/// Its policy.
pub const PAT_POLICY: &str = "AllPATs";
/// The policy set that a request means that names none.
pub const DEFAULT_SET: &str = "iPlanetAMWebAgentService";
/// The action on a personal access token.
pub const ACCESS: &str = "access";

/// The actions of HTTP, as AM lists them.
const METHODS: [&str; 7] = ["DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"];

/// The documents that every realm has.
pub fn all(realm: &RealmName, since: Timestamp) -> Vec<AmObject> {
    let actions = |names: &[&str]| -> BTreeMap<String, bool> {
        names.iter().map(|name| ((*name).to_owned(), true)).collect()
    };
    let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    let url = ResourceType {
        name: "URL".to_owned(),
        description: Some("The built-in URL Resource Type available to Policies.".to_owned()),
        patterns: texts(&["*://*:*/*", "*://*:*/*?*"]),
        actions: actions(&METHODS),
    };
    let pat = ResourceType {
        name: "PAT".to_owned(),
        description: Some("Personal access tokens, presented as pat://user:token.".to_owned()),
        patterns: texts(&["pat://*:*"]),
        actions: actions(&[ACCESS]),
    };
    let set = |name: &str, description: &str, sort: &str| PolicySet {
        display_name: Some(name.to_owned()),
        description: Some(description.to_owned()),
        resource_type_uuids: vec![sort.to_owned()],
        service: None,
    };
    let all_pats = Policy {
        active: true,
        description: Some("Whoever presents a personal access token that is good.".to_owned()),
        application_name: PAT_SET.to_owned(),
        resource_type_uuid: PAT_TYPE.to_owned(),
        resources: texts(&["pat://*:*"]),
        action_values: actions(&[ACCESS]),
        subject: Subject::Not { subject: Box::new(Subject::Nobody) },
        condition: None,
        resource_attributes: Vec::new(),
    };
    let web = set(DEFAULT_SET, "The built-in Application used by OpenAM Policy Agents.", URL_TYPE);
    let pats = set(PAT_SET, "Personal access tokens.", PAT_TYPE);
    let object = |name: &str, document| AmObject {
        realm: realm.clone(),
        name: name.to_owned(),
        document,
        created_at: since,
        created_by: "system".to_owned(),
        updated_at: since,
        updated_by: "system".to_owned(),
        version: 0,
    };
    vec![
        object(URL_TYPE, AmDocument::ResourceType(url)),
        object(PAT_TYPE, AmDocument::ResourceType(pat)),
        object(DEFAULT_SET, AmDocument::PolicySet(web)),
        object(PAT_SET, AmDocument::PolicySet(pats)),
        object(PAT_POLICY, AmDocument::Policy(all_pats)),
    ]
}

/// Whether every realm has this document. Policies and policy sets of these may be changed, none
/// may be removed.
pub fn is_built_in(kind: AmKind, name: &str) -> bool {
    match kind {
        AmKind::ResourceType => [URL_TYPE, PAT_TYPE].contains(&name),
        AmKind::PolicySet => [DEFAULT_SET, PAT_SET].contains(&name),
        AmKind::Policy => name == PAT_POLICY,
    }
}

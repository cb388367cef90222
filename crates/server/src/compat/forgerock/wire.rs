//! Documents as AM shows and takes them.

use std::collections::BTreeMap;

use counterfoil_authority::am::condition::Condition;
use counterfoil_authority::am::{
    AmDocument, AmKind, AmObject, Policy, PolicySet, ResourceType, ResponseAttribute, Subject,
};
use counterfoil_authority::clock::Timestamp;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::fault::Fault;
use crate::provision::is_filter;

/// The one type of application that there is.
pub(super) const APPLICATION_TYPE: &str = "iPlanetAMWebAgentService";
const COMPARATOR: &str = "com.sun.identity.entitlement.URLResourceName";
/// Types of subjects and conditions that policies may use.
pub(super) const SUBJECT_TYPES: [&str; 7] =
    ["AND", "AuthenticatedUsers", "Identity", "JwtClaim", "NONE", "NOT", "OR"];
pub(super) const CONDITION_TYPES: [&str; 9] = [
    "AMIdentityMembership",
    "AND",
    "IPv4",
    "IPv6",
    "LDAPFilter",
    "NOT",
    "OAuth2Scope",
    "OR",
    "SimpleTime",
];
/// Fields that a client may send back as it has read them, and that say nothing.
const READ_ONLY: [&str; 20] = [
    "_id",
    "_rev",
    "createdBy",
    "creationDate",
    "lastModifiedBy",
    "lastModifiedDate",
    "realm",
    "editable",
    "applicationType",
    "entitlementCombiner",
    "resourceComparator",
    "conditions",
    "subjects",
    "attributeNames",
    "searchIndex",
    "saveIndex",
    "resources",
    "actions",
    "uuid",
    "name",
];

fn millis(at: Timestamp) -> i64 {
    at.micros().div_euclid(1_000)
}

/// With milliseconds and `Z`, as AM writes dates of policies.
fn iso(at: Timestamp) -> String {
    let millis = millis(at);
    let whole = Timestamp::from_seconds(at.seconds()).to_string();
    let bare = whole.strip_suffix('Z').unwrap_or(&whole).to_owned();
    format!("{bare}.{:03}Z", millis.rem_euclid(1_000))
}

/// A document as it is shown.
pub(super) fn shown(object: &AmObject, realm: &str) -> Value {
    match &object.document {
        AmDocument::ResourceType(sort) => json!({
            "uuid": object.name,
            "name": sort.name,
            "description": sort.description,
            "patterns": sort.patterns,
            "actions": sort.actions,
            "createdBy": object.created_by,
            "creationDate": millis(object.created_at),
            "lastModifiedBy": object.updated_by,
            "lastModifiedDate": millis(object.updated_at),
        }),
        AmDocument::PolicySet(set) => {
            let mut shown = json!({
                "name": object.name,
                "displayName": set.display_name,
                "description": set.description,
                "applicationType": APPLICATION_TYPE,
                "resourceTypeUuids": set.resource_type_uuids,
                "conditions": CONDITION_TYPES,
                "subjects": SUBJECT_TYPES,
                "entitlementCombiner": "DenyOverride",
                "resourceComparator": COMPARATOR,
                "searchIndex": null,
                "saveIndex": null,
                "attributeNames": [],
                "realm": realm,
                "editable": true,
                "createdBy": object.created_by,
                "creationDate": millis(object.created_at),
                "lastModifiedBy": object.updated_by,
                "lastModifiedDate": millis(object.updated_at),
            });
            if let (Some(fields), Some(service)) = (shown.as_object_mut(), &set.service) {
                fields.insert("service".to_owned(), json!(service));
            }
            shown
        }
        AmDocument::Policy(policy) => {
            let mut shown = json!({
                "name": object.name,
                "active": policy.active,
                "description": policy.description.as_deref().unwrap_or_default(),
                "applicationName": policy.application_name,
                "resourceTypeUuid": policy.resource_type_uuid,
                "resources": policy.resources,
                "actionValues": policy.action_values,
                "subject": policy.subject,
                "resourceAttributes": policy.resource_attributes,
                "createdBy": object.created_by,
                "creationDate": iso(object.created_at),
                "lastModifiedBy": object.updated_by,
                "lastModifiedDate": iso(object.updated_at),
            });
            if let (Some(fields), Some(condition)) = (shown.as_object_mut(), &policy.condition) {
                fields.insert("condition".to_owned(), json!(condition));
            }
            shown
        }
    }
}

/// A document as it was sent.
pub(super) struct Sent(Map<String, Value>);

impl Sent {
    /// Reads an object.
    pub(super) fn read(body: &[u8]) -> Result<Self, Fault> {
        Ok(Self(crate::http::body::parse(body)?))
    }

    fn take<T: DeserializeOwned>(&mut self, name: &str) -> Result<Option<T>, Fault> {
        match self.0.remove(name) {
            None | Some(Value::Null) => Ok(None),
            // What serde says would repeat the value.
            Some(value) => serde_json::from_value(value).map(Some).map_err(|_| Fault::value(name)),
        }
    }

    fn must<T: DeserializeOwned>(&mut self, name: &str) -> Result<T, Fault> {
        self.take(name)?.ok_or_else(|| Fault::invalid(format!("{name} is missing")))
    }

    /// A text; an empty one is none.
    fn text(&mut self, name: &str) -> Result<Option<String>, Fault> {
        Ok(self.take::<String>(name)?.filter(|text| !text.is_empty()))
    }

    /// The key that the document gives itself.
    pub(super) fn key(&mut self, kind: AmKind) -> Result<Option<String>, Fault> {
        self.text(match kind {
            AmKind::ResourceType => "uuid",
            AmKind::PolicySet | AmKind::Policy => "name",
        })
    }

    /// The document. Fields that AM does not have are refused, so that nobody believes in them.
    pub(super) fn document(mut self, kind: AmKind) -> Result<AmDocument, Fault> {
        let document = match kind {
            AmKind::ResourceType => AmDocument::ResourceType(ResourceType {
                name: self.must("name")?,
                description: self.text("description")?,
                patterns: self.must("patterns")?,
                actions: self.actions("actions")?,
            }),
            AmKind::PolicySet => AmDocument::PolicySet(PolicySet {
                display_name: self.text("displayName")?,
                description: self.text("description")?,
                resource_type_uuids: self.must("resourceTypeUuids")?,
                service: self.text("service")?,
            }),
            AmKind::Policy => AmDocument::Policy(Policy {
                active: self.take("active")?.unwrap_or(false),
                description: self.text("description")?,
                application_name: self.must("applicationName")?,
                resource_type_uuid: self.must("resourceTypeUuid")?,
                resources: self.must("resources")?,
                action_values: self.actions("actionValues")?,
                subject: self.subject()?,
                condition: self.condition()?,
                resource_attributes: self.attributes()?,
            }),
        };
        let odd = self.0.keys().find(|name| !READ_ONLY.contains(&name.as_str()));
        match odd {
            Some(name) => {
                let name: String = name.chars().filter(|c| !c.is_control()).take(64).collect();
                Err(Fault::invalid(format!("Unrecognized field \"{name}\"")))
            }
            None => Ok(document),
        }
    }

    /// Names with flags; a number is one too, zero being false.
    fn actions(&mut self, name: &str) -> Result<BTreeMap<String, bool>, Fault> {
        let sent: BTreeMap<String, Value> = self.take(name)?.unwrap_or_default();
        let flag = |value: &Value| match value {
            Value::Bool(flag) => Some(*flag),
            Value::Number(number) => number.as_f64().map(|number| number != 0.0),
            _ => None,
        };
        sent.into_iter()
            .map(|(action, value)| Some((action, flag(&value)?)))
            .collect::<Option<_>>()
            .ok_or_else(|| Fault::value(name))
    }

    fn subject(&mut self) -> Result<Subject, Fault> {
        let Some(mut sent) = self.0.remove("subject").filter(|sent| !sent.is_null()) else {
            return Ok(Subject::default());
        };
        drop_empty(&mut sent);
        let known = |kind: &str| {
            if SUBJECT_TYPES.contains(&kind) {
                return Ok(());
            }
            Err(Fault::invalid(format!("Subject type {} is not available", plain(kind))))
        };
        each_type(&sent, &known)?;
        serde_json::from_value(sent).map_err(|_| Fault::value("subject"))
    }

    fn condition(&mut self) -> Result<Option<Condition>, Fault> {
        let Some(mut sent) = self.0.remove("condition").filter(|sent| !sent.is_null()) else {
            return Ok(None);
        };
        drop_empty(&mut sent);
        if sent.as_object().is_some_and(Map::is_empty) {
            return Ok(None);
        }
        let known = |kind: &str| match (CONDITION_TYPES.contains(&kind), Condition::absent(kind)) {
            (true, _) => Ok(()),
            (false, Some(why)) => {
                Err(Fault::invalid(format!("Condition type {kind} is not available: {why}")))
            }
            (false, None) => {
                Err(Fault::invalid(format!("Condition type {} is not available", plain(kind))))
            }
        };
        each_type(&sent, &known)?;
        let condition: Condition =
            serde_json::from_value(sent).map_err(|_| Fault::value("condition"))?;
        let mut filters = Vec::new();
        condition.add_filters(&mut filters);
        if filters.into_iter().all(is_filter) {
            Ok(Some(condition))
        } else {
            Err(Fault::invalid("Invalid value condition: ldapFilter is no LDAP filter"))
        }
    }

    fn attributes(&mut self) -> Result<Vec<ResponseAttribute>, Fault> {
        let Some(mut sent) = self.0.remove("resourceAttributes") else { return Ok(Vec::new()) };
        if sent.is_null() {
            return Ok(Vec::new());
        }
        for attribute in sent.as_array_mut().into_iter().flatten() {
            // What a user has is not the policy's to say; tools send a null there.
            let values = attribute.get("propertyValues").is_some_and(Value::is_null);
            if let Some(fields) = attribute.as_object_mut().filter(|_| values) {
                fields.remove("propertyValues");
            }
        }
        serde_json::from_value(sent).map_err(|_| Fault::value("resourceAttributes"))
    }
}

/// A name that may stand in an answer.
fn plain(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).take(64).collect()
}

/// The type of a subject or condition, and of those inside it. As deep as the body is, which has
/// a limit.
fn each_type(sent: &Value, known: &dyn Fn(&str) -> Result<(), Fault>) -> Result<(), Fault> {
    let kind = sent.get("type").and_then(Value::as_str).unwrap_or_default();
    known(kind)?;
    let inner = ["subject", "condition"].into_iter().filter_map(|name| sent.get(name));
    let several = ["subjects", "conditions"].into_iter().filter_map(|name| sent.get(name));
    let several = several.filter_map(Value::as_array).flatten();
    inner.chain(several).try_for_each(|one| each_type(one, known))
}

/// Forms send what was not filled in as empty texts.
fn drop_empty(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, value| !value.is_null() && value.as_str() != Some(""));
            fields.values_mut().for_each(drop_empty);
        }
        Value::Array(values) => values.iter_mut().for_each(drop_empty),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(fields: &Value) -> Result<AmDocument, String> {
        let mut sent = json!({
            "name": "p",
            "applicationName": "PATValidator",
            "resourceTypeUuid": "t",
            "resources": ["pat://*:*"],
            "actionValues": { "access": 1, "no": 0 },
        });
        sent.as_object_mut().unwrap().extend(fields.as_object().cloned().unwrap());
        let read = Sent::read(sent.to_string().as_bytes());
        read.and_then(|sent| sent.document(AmKind::Policy)).map_err(|fault| fault.message)
    }

    #[test]
    fn a_policy_is_read_as_tools_send_it() {
        let AmDocument::Policy(read) = policy(&json!({
            "subject": { "type": "NOT", "subject": { "type": "NONE" } },
            "condition": { "type": "SimpleTime", "startTime": "09:00", "endTime": "17:00",
                "startDay": "", "endDay": "", "enforcementTimeZone": null },
            "resourceAttributes": [
                { "type": "User", "propertyName": "mail", "propertyValues": null },
                { "type": "Static", "propertyName": "a", "propertyValues": ["1"] },
            ],
            "createdBy": "id=amadmin", "lastModifiedDate": "x", "_id": "p",
        }))
        .unwrap() else {
            panic!("another kind")
        };
        assert!(!read.active);
        assert_eq!(json!(read.action_values), json!({ "access": true, "no": false }));
        assert_eq!(
            json!(read.condition),
            json!({ "type": "SimpleTime", "startTime": "09:00", "endTime": "17:00" })
        );
        assert_eq!(read.resource_attributes.len(), 2);
    }

    #[test]
    fn what_is_not_here_is_refused_by_name_and_never_by_value() {
        let said = |fields: Value| policy(&fields).unwrap_err();
        assert!(
            said(json!({ "condition": { "type": "Script", "scriptId": "x" } }))
                .contains("no script engine")
        );
        for odd in ["a=b", "(a=b)(c=d)", "(a=b))(|(c=d)", "(&(a=b)", "", "(a=*"] {
            let filter = json!({ "type": "LDAPFilter", "ldapFilter": odd });
            let inside = said(json!({ "condition": { "type": "NOT", "condition": filter } }));
            assert!(inside.starts_with("Invalid value condition"), "{odd}: {inside}");
        }
        assert_eq!(
            said(json!({ "subject": { "type": "Magic" } })),
            "Subject type Magic is not available"
        );
        assert_eq!(said(json!({ "resources": "cflp_secret" })), "Invalid value resources");
        assert_eq!(said(json!({ "colour": 1 })), "Unrecognized field \"colour\"");
        assert_eq!(
            said(json!({ "condition": { "type": "IPv4", "secret": "x" } })),
            "Invalid value condition"
        );
    }

    #[test]
    fn dates_of_policies_have_milliseconds() {
        assert_eq!(iso(Timestamp::from_micros(1_500_000)), "1970-01-01T00:00:01.500Z");
        assert_eq!(iso(Timestamp::from_micros(-1)), "1969-12-31T23:59:59.999Z");
    }
}

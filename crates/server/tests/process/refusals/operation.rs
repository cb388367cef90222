//! An operation of the OpenAPI document, and a request for it that only its caller makes wrong.

use serde_json::{Map, Value, json};

use crate::wire::Request;

/// How deep schemas are followed; the API's are much flatter.
const DEPTH_MAX: usize = 12;

/// One method of one path.
#[derive(Debug, Clone)]
pub(crate) struct Operation {
    method: String,
    /// With its parameters in braces.
    pub(crate) path: String,
    /// What must stand in the query.
    query: String,
    body: Option<Value>,
    statuses: Vec<String>,
    /// Whether it answers as another product does.
    pub(crate) is_foreign: bool,
}

/// All operations of a document.
pub(crate) fn operations(document: &Value) -> Vec<Operation> {
    let methods = ["get", "post", "put", "patch", "delete"];
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in methods.into_iter().filter(|method| item[*method].is_object()) {
            let operation = &item[method];
            let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
            let body = schema.is_object().then(|| sample(document, schema, "", 0));
            let statuses = operation["responses"].as_object().unwrap().keys().cloned().collect();
            let asked = operation["parameters"].as_array().into_iter().flatten();
            let needed = asked.filter(|one| one["in"] == "query" && one["required"] == true);
            let needed: Vec<String> =
                needed.map(|one| format!("{}=1", one["name"].as_str().unwrap())).collect();
            let query =
                if needed.is_empty() { String::new() } else { format!("?{}", needed.join("&")) };
            let method = method.to_uppercase();
            let is_foreign = operation["externalDocs"].is_object();
            found.push(Operation { method, path: path.clone(), query, body, statuses, is_foreign });
        }
    }
    found
}

impl Operation {
    /// `GET /path/{id}`.
    pub(crate) fn name(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    /// Whether the document promises this status.
    pub(crate) fn documents(&self, status: u16) -> bool {
        self.statuses.contains(&status.to_string())
    }

    /// A request in a realm, for things that do not exist there.
    pub(crate) fn request(&self, realm: &str) -> Request {
        self.request_for(realm, "000000000000")
    }

    /// A request in a realm, for the thing of an id.
    pub(crate) fn request_for(&self, realm: &str, id: &str) -> Request {
        let segments = self.path.split('/').map(|segment| match segment {
            "{realm}" => realm,
            parameter if parameter.starts_with('{') => id,
            fixed => fixed,
        });
        let target = segments.collect::<Vec<_>>().join("/") + &self.query;
        let request = Request::new(&self.method, target);
        match &self.body {
            Some(body) => request.json(body),
            None => request,
        }
    }
}

/// A value that a schema allows, as small as it can be.
fn sample(document: &Value, schema: &Value, name: &str, depth: usize) -> Value {
    assert!(depth < DEPTH_MAX, "schemas refer to each other without end");
    let is_text = schema["$ref"].as_str().is_some_and(|to| to.ends_with("/Line"))
        || schema["type"] == "string";
    if name == "subject" && !is_text {
        return json!({ "user": "sample" });
    }
    if let Some(reference) = schema["$ref"].as_str() {
        let pointer = reference.trim_start_matches('#');
        let target =
            document.pointer(pointer).unwrap_or_else(|| panic!("{reference} leads nowhere"));
        return sample(document, target, name, depth + 1);
    }
    for choice in ["oneOf", "anyOf", "allOf"] {
        let options = schema[choice].as_array().into_iter().flatten();
        if let Some(option) = options.clone().find(|option| option["type"] != "null") {
            return sample(document, option, name, depth + 1);
        }
    }
    if let Some(first) = schema["enum"].as_array().and_then(|all| all.first()) {
        return first.clone();
    }
    let kind = match &schema["type"] {
        Value::Array(kinds) => kinds.iter().find(|kind| **kind != "null").cloned(),
        kind => Some(kind.clone()),
    };
    match kind.as_ref().and_then(Value::as_str) {
        Some("array") => json!([sample(document, &schema["items"], name, depth + 1)]),
        Some("boolean") => json!(true),
        Some("integer" | "number") => json!(schema["minimum"].as_i64().unwrap_or(1).max(1)),
        Some("string") => json!(text(name)),
        _ => {
            let mut object = Map::new();
            for required in schema["required"].as_array().into_iter().flatten() {
                let name = required.as_str().unwrap();
                let value = sample(document, &schema["properties"][name], name, depth + 1);
                object.insert(name.to_owned(), value);
            }
            Value::Object(object)
        }
    }
}

/// A text that a field of this name takes.
fn text(name: &str) -> &'static str {
    match name {
        "kind" => "personal_access_token",
        "role" | "roles" => "auditor",
        "scopes" => "read",
        _ => "sample",
    }
}

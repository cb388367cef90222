//! The API's own description: `/openapi.json`, a reference page without script, and `/problems`.
//!
//! The page is written by the server from the same document, so that it works offline and under
//! a policy that allows no script at all.

use std::fmt::Write as _;
use std::sync::OnceLock;

use askama::Template;
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{Html, IntoResponse as _, Response};
use bytes::Bytes;
use serde_json::Value;

use super::problem::{PROBLEMS, Problem, Sort};
use super::query::Named;
use super::state::AppState;

/// Nothing is loaded but the one stylesheet, and nobody may frame the page.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; style-src 'self'; base-uri 'none'; \
     form-action 'none'; frame-ancestors 'none'";
const STYLE: &str = include_str!("../../templates/api-docs.css");

/// The document and its page, each written once: they do not change while the doors are served.
#[derive(Debug, Default)]
pub struct Documents {
    document: OnceLock<Bytes>,
    page: OnceLock<String>,
}

/// A door that is off is not listed.
fn document(state: &AppState) -> &Bytes {
    let write = || super::served(&state.settings).to_json().unwrap_or_default().into();
    state.documents.document.get_or_init(write)
}

/// The OpenAPI document.
pub(super) async fn openapi_json(State(state): State<AppState>) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], document(&state).clone()).into_response()
}

/// The stylesheet of the reference page.
pub(super) async fn style() -> Response {
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], STYLE).into_response()
}

/// The reference page.
pub(super) async fn page(State(state): State<AppState>) -> Response {
    let page = state.documents.page.get_or_init(|| {
        let document: Value = serde_json::from_slice(document(&state)).unwrap_or_default();
        Reference::of(&document).render().unwrap_or_default()
    });
    let mut response = Html(page.clone()).into_response();
    let policy = HeaderValue::from_static(CONTENT_SECURITY_POLICY);
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    response
}

/// What a problem's `type` leads to.
pub(super) async fn problem_page(Named(slug): Named) -> Result<Response, Problem> {
    let known = PROBLEMS.iter().find(|entry| entry.slug == slug);
    let entry = known.ok_or_else(|| Problem::new(Sort::NotFound, "there is no such problem"))?;
    let status = entry.status.as_u16();
    let text = format!("{}\nHTTP status {status}\n\n{}\n", entry.title, entry.meaning);
    Ok(([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], text).into_response())
}

#[derive(Template)]
#[template(path = "api-docs.html")]
struct Reference {
    title: String,
    version: String,
    description: String,
    sections: Vec<Section>,
    schemas: Vec<SchemaRow>,
}

struct Section {
    tag: String,
    operations: Vec<Operation>,
}

struct Operation {
    id: String,
    method: String,
    path: String,
    summary: String,
    description: String,
    parameters: Vec<Row>,
    body: Option<String>,
    answers: Vec<Row>,
}

struct SchemaRow {
    name: String,
    description: String,
    fields: Vec<Row>,
}

struct Row {
    name: String,
    kind: String,
    description: String,
}

fn text(value: &Value, pointer: &str) -> String {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn objects<'a>(value: &'a Value, pointer: &str) -> impl Iterator<Item = (&'a String, &'a Value)> {
    value.pointer(pointer).and_then(Value::as_object).into_iter().flatten()
}

impl Reference {
    fn of(document: &Value) -> Self {
        let mut sections: Vec<Section> = Vec::new();
        for (path, item) in objects(document, "/paths") {
            for (method, operation) in objects(item, "") {
                let Some(tag) = operation.pointer("/tags/0").and_then(Value::as_str) else {
                    continue;
                };
                let row = Operation::of(path, method, operation);
                match sections.iter_mut().find(|section| section.tag == tag) {
                    Some(section) => section.operations.push(row),
                    None => {
                        sections.push(Section { tag: tag.to_owned(), operations: vec![row] });
                    }
                }
            }
        }
        sections.sort_by(|a, b| a.tag.cmp(&b.tag));
        let schemas = objects(document, "/components/schemas");
        Self {
            title: text(document, "/info/title"),
            version: text(document, "/info/version"),
            description: text(document, "/info/description"),
            sections,
            schemas: schemas.map(|(name, schema)| SchemaRow::of(name, schema)).collect(),
        }
    }
}

impl Operation {
    fn of(path: &str, method: &str, operation: &Value) -> Self {
        let parameters = operation.pointer("/parameters").and_then(Value::as_array);
        let parameters = parameters.into_iter().flatten().map(|parameter| Row {
            name: text(parameter, "/name"),
            kind: text(parameter, "/in"),
            description: text(parameter, "/description"),
        });
        let answers = objects(operation, "/responses").map(|(status, response)| {
            let schema = objects(response, "/content").next();
            let kind = schema.map(|(_, content)| kind_of(&content["schema"])).unwrap_or_default();
            let referred = text(response, "/$ref");
            let description = match referred.rsplit_once('/') {
                Some((_, name)) => name.to_owned(),
                None => text(response, "/description"),
            };
            Row { name: status.clone(), kind, description }
        });
        let body = operation.pointer("/requestBody/content/application~1json/schema");
        Self {
            id: text(operation, "/operationId"),
            method: method.to_ascii_uppercase(),
            path: path.to_owned(),
            summary: text(operation, "/summary"),
            description: text(operation, "/description"),
            parameters: parameters.collect(),
            body: body.map(kind_of),
            answers: answers.collect(),
        }
    }
}

impl SchemaRow {
    fn of(name: &str, schema: &Value) -> Self {
        let fields = objects(schema, "/properties").map(|(name, field)| Row {
            name: name.clone(),
            kind: kind_of(field),
            description: text(field, "/description"),
        });
        let mut description = text(schema, "/description");
        if let Some(values) = schema.pointer("/enum").and_then(Value::as_array) {
            let names: Vec<&str> = values.iter().filter_map(Value::as_str).collect();
            // Writing to a string cannot fail.
            let _ = write!(description, " One of: {}.", names.join(", "));
        }
        Self { name: name.to_owned(), description, fields: fields.collect() }
    }
}

/// A schema in a word or two: `string`, `Token`, `list of Token`, `string or null`.
fn kind_of(schema: &Value) -> String {
    if let Some((_, name)) = schema["$ref"].as_str().and_then(|path| path.rsplit_once('/')) {
        return name.to_owned();
    }
    let several = ["oneOf", "anyOf", "allOf"].iter().find_map(|key| schema[*key].as_array());
    if let Some(several) = several {
        return several.iter().map(kind_of).collect::<Vec<_>>().join(" or ");
    }
    let names: Vec<&str> = match &schema["type"] {
        Value::String(name) => vec![name],
        Value::Array(names) => names.iter().filter_map(Value::as_str).collect(),
        _ => vec!["any"],
    };
    let worded = |name: &&str| match *name {
        "array" => format!("list of {}", kind_of(&schema["items"])),
        other => other.to_owned(),
    };
    names.iter().map(worded).collect::<Vec<_>>().join(" or ")
}

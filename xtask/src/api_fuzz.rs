//! Generated requests against every operation of the OpenAPI document.
//!
//! Schemathesis makes them, from the document the server itself serves: no
//! answer may be a 5xx, and none may have a status the document does not name.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::clock::Deadline;
use crate::command::{self, Show};
use crate::http::Api;
use crate::report::{Outcome, Tally};
use crate::server::DataDir;
use crate::workspace::target_dir;
use crate::{python, suite};

/// Cases of an ordinary run and of a long one.
const CASES: u64 = 2_000;
const CASES_LONG: u64 = 20_000;

/// Fewer per operation would not reach past the first validation error.
const CASES_PER_OPERATION_MIN: u64 = 20;

/// Operations that would take away the key the run itself uses.
const NOT_WITH_OUR_KEY: [&str; 2] = ["/api/v1/self", "/api/v1/self/rotate"];

/// How many of each thing there are at the start; generated requests delete
/// some of them.
const OF_EACH: u32 = 12;

/// Starts the server on an empty directory and drives its API.
///
/// # Errors
///
/// Fails when the server or schemathesis cannot be started.
pub(crate) fn run(long: bool, deadline: Deadline) -> Result<Outcome> {
    let schemathesis = python::environment("api-fuzz", deadline)?.join("st");
    let binary = suite::debug_binary(deadline)?;
    let directory = DataDir::create(&binary, target_dir().join("xtask-api-fuzz"))?;
    let (_server, api) = directory.serve(&binary, &[])?;

    let config = directory.path.join("schemathesis.toml");
    std::fs::write(&config, dictionaries(&furnish(&api)?))?;
    let wanted = if long { CASES_LONG } else { CASES };
    let per_operation = wanted.div_ceil(operations(&api)?).max(CASES_PER_OPERATION_MIN);

    let report = directory.path.join("report.json");
    let mut drive = Command::new(schemathesis);
    drive
        .current_dir(&directory.path)
        .arg("--config-file")
        .arg(&config)
        .args(["run", &format!("http://{}/openapi.json", api.address)])
        .args(["--checks", "not_a_server_error,status_code_conformance"])
        .args(["--phases", "examples,coverage,fuzzing"])
        .args(["--max-examples", &per_operation.to_string()])
        .args(["--generation-deterministic", "--no-color", "--continue-on-failure"])
        .args(["--header", &format!("Authorization: Bearer {}", api.key)])
        .args(["--report", "json", "--report-json-path"])
        .arg(&report);
    let foreign = foreign_paths(&api)?;
    for path in NOT_WITH_OUR_KEY.into_iter().chain(foreign.iter().map(String::as_str)) {
        drive.args(["--exclude-path", path]);
    }
    let ran = command::run(&mut drive, deadline, Show::Live)?;
    let outcome = judge(&report, wanted, ran.ok(), &ran.fault())?;
    let still = api.send("GET", "/api/v1/realms/main", "")?;
    if still.status != 200 {
        let fault = format!("the run lost its own key or realm: status {}", still.status);
        return Ok(Outcome::Failed(Tally::FAILED, fault));
    }
    Ok(outcome)
}

/// Reads schemathesis' own report.
fn judge(report: &Path, wanted: u64, ok: bool, fault: &str) -> Result<Outcome> {
    let text = std::fs::read_to_string(report)
        .with_context(|| format!("schemathesis wrote no report ({fault})"))?;
    let report: Value = serde_json::from_str(&text)?;
    let count = |pointer: &str| report.pointer(pointer).and_then(Value::as_u64).unwrap_or(0);
    let generated = count("/test_cases/generated");
    let failed = count("/test_cases/unique_failures") + count("/test_cases/errored");
    println!("{generated} cases, {failed} distinct failures");
    if !ok || failed > 0 {
        return Ok(Outcome::Failed(Tally::FAILED, format!("{failed} distinct failures, {fault}")));
    }
    Ok(Outcome::of(generated >= wanted, format!("only {generated} of {wanted} cases were made")))
}

/// The paths that the document describes, with their operations.
fn paths(api: &Api) -> Result<serde_json::Map<String, Value>> {
    let document = api.json("GET", "/openapi.json", &Value::Null)?;
    document.get("paths").and_then(Value::as_object).cloned().context("no paths")
}

/// Whether the operations of a path answer as another product does: the document says nothing of
/// their bodies and statuses, so there is nothing to generate and nothing to compare with.
fn is_foreign(item: &Value) -> bool {
    let mut operations = item.as_object().into_iter().flat_map(serde_json::Map::values);
    operations.any(|operation| operation.get("externalDocs").is_some())
}

fn foreign_paths(api: &Api) -> Result<Vec<String>> {
    let foreign = paths(api)?.into_iter().filter(|(_, item)| is_foreign(item));
    Ok(foreign.map(|(path, _)| path).collect())
}

/// How many operations are driven.
fn operations(api: &Api) -> Result<u64> {
    let methods = ["get", "put", "post", "delete", "patch"];
    let count = paths(api)?
        .values()
        .filter(|item| !is_foreign(item))
        .filter_map(Value::as_object)
        .flat_map(serde_json::Map::keys)
        .filter(|method| methods.contains(&method.as_str()))
        .count();
    ensure!(count > 0, "the OpenAPI document describes no operation");
    Ok(u64::try_from(count)?)
}

/// Fills the fresh installation with a little of everything, so that generated
/// requests reach past "not found", and returns the ids that it got.
fn furnish(api: &Api) -> Result<Vec<String>> {
    let realm = "/api/v1/realms/main";
    let mut ids = Vec::new();
    for number in 1..=OF_EACH {
        let (user, service) = (format!("user{number}"), format!("service{number}"));
        let make = |what: &str, body: Value| api.json("POST", &format!("{realm}/{what}"), &body);
        make("users", json!({ "username": user, "display_name": "A person" }))?;
        make("services", json!({ "label": service, "name": "A service" }))?;
        make("groups", json!({ "name": format!("group{number}") }))?;
        let client = format!("client{number}");
        make("clients", json!({ "name": client, "roles": ["verifier"], "services": [service] }))?;
        let unit = json!({ "name": format!("unit{number}"), "identifier": format!("u{number}") });
        ids.extend(text(&make("units", unit)?, "/id"));
        let grant = json!({ "subject": { "user": user }, "role": "verifier", "service": service });
        ids.extend(text(&make("grants", grant)?, "/id"));
        for name in ["one", "two", "three", "four"] {
            let token = json!({ "kind": "personal_access_token", "user": user, "name": name,
                                "services": [service] });
            ids.extend(text(&make("tokens", token)?, "/token/id"));
        }
    }
    Ok(ids)
}

fn text(value: &Value, pointer: &str) -> Option<String> {
    value.pointer(pointer).and_then(Value::as_str).map(str::to_owned)
}

/// Schemathesis' configuration: which parameter draws from which names, and
/// how often. The rest of the time it invents one.
fn dictionaries(ids: &[String]) -> String {
    let numbered = |name: &str| (1..=OF_EACH).map(|n| format!("{name}{n}")).collect::<Vec<_>>();
    let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
    let bindings = [
        ("path.realm", words(&["main"]), 0.95),
        ("path.username", numbered("user"), 0.7),
        ("query.user", numbered("user"), 0.7),
        ("path.label", numbered("service"), 0.7),
        ("path.service", numbered("service"), 0.7),
        ("query.service", numbered("service"), 0.7),
        ("path.name", [numbered("group"), numbered("client")].concat(), 0.7),
        ("path.id", ids.to_vec(), 0.7),
        ("path.slug", words(&["not-found", "invalid", "policy"]), 0.7),
    ];
    let mut values = vec!["[dictionaries]".to_owned()];
    let mut parameters = vec!["[parameters]".to_owned()];
    for (parameter, choices, probability) in &bindings {
        let name = parameter.replace('.', "-");
        // Debug of a list of plain names is also a TOML array.
        values.push(format!("{name} = {{ values = {choices:?} }}"));
        parameters.push(format!(
            "\"{parameter}\" = {{ dictionary = \"{name}\", probability = {probability} }}"
        ));
    }
    [values, parameters].concat().join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_parameter_has_its_dictionary() {
        let config = dictionaries(&["A1".to_owned()]);
        assert!(config.contains("path-id = { values = [\"A1\"] }\n"), "{config}");
        let binding = "\"path.realm\" = { dictionary = \"path-realm\", probability = 0.95 }\n";
        assert!(config.contains(binding), "{config}");
    }
}

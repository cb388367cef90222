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
const NOT_WITH_OUR_KEY: [&str; 3] = ["/api/v1/self", "/api/v1/self/rotate", "/api/v1/self/derive"];

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
    for path in NOT_WITH_OUR_KEY {
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

/// How many operations the document describes.
fn operations(api: &Api) -> Result<u64> {
    let document = api.json("GET", "/openapi.json", &Value::Null)?;
    let paths = document.get("paths").and_then(Value::as_object).context("no paths")?;
    let methods = ["get", "put", "post", "delete", "patch"];
    let count = paths
        .values()
        .filter_map(Value::as_object)
        .flat_map(serde_json::Map::keys)
        .filter(|method| methods.contains(&method.as_str()))
        .count();
    ensure!(count > 0, "the OpenAPI document describes no operation");
    Ok(u64::try_from(count)?)
}

/// Names that exist, so that generated requests reach past "not found".
struct Furniture {
    tokens: Vec<String>,
    ids: Vec<String>,
}

/// Fills the fresh installation with a little of everything.
fn furnish(api: &Api) -> Result<Furniture> {
    let realm = "/api/v1/realms/main";
    let mut furniture = Furniture { tokens: Vec::new(), ids: Vec::new() };
    for number in 1..=3 {
        let user = json!({ "username": format!("user{number}"), "display_name": "A person" });
        api.json("POST", &format!("{realm}/users"), &user)?;
        let service = json!({ "label": format!("service{number}"), "name": "A service" });
        api.json("POST", &format!("{realm}/services"), &service)?;
        let group = json!({ "name": format!("group{number}") });
        api.json("POST", &format!("{realm}/groups"), &group)?;
        let client = json!({ "name": format!("client{number}"), "roles": ["verifier"],
                             "services": [format!("service{number}")] });
        api.json("POST", &format!("{realm}/clients"), &client)?;
        let unit = json!({ "name": format!("unit{number}"), "identifier": format!("u{number}") });
        let unit = api.json("POST", &format!("{realm}/units"), &unit)?;
        furniture.ids.extend(text(&unit, "/id"));
        for name in ["one", "two", "three", "four"] {
            let token = json!({ "kind": "personal_access_token", "user": format!("user{number}"),
                                "name": name, "services": [format!("service{number}")] });
            let issued = api.json("POST", &format!("{realm}/tokens"), &token)?;
            furniture.ids.extend(text(&issued, "/token/id"));
            furniture.tokens.extend(text(&issued, "/secret"));
        }
    }
    Ok(furniture)
}

fn text(value: &Value, pointer: &str) -> Option<String> {
    value.pointer(pointer).and_then(Value::as_str).map(str::to_owned)
}

/// Schemathesis' configuration: which parameter draws from which names, and
/// how often. The rest of the time it invents one.
fn dictionaries(furniture: &Furniture) -> String {
    let numbered = |name: &str| (1..=3).map(|n| format!("{name}{n}")).collect::<Vec<_>>();
    let names = [numbered("group"), numbered("client")].concat();
    let bindings = [
        ("realm", vec!["main".to_owned()], 0.95),
        ("username", numbered("user"), 0.7),
        ("user", numbered("user"), 0.7),
        ("label", numbered("service"), 0.7),
        ("service", numbered("service"), 0.7),
        ("name", names, 0.7),
        ("id", furniture.ids.clone(), 0.7),
        ("token", furniture.tokens.clone(), 0.7),
    ];
    let mut lines = vec!["[dictionaries]".to_owned()];
    for (name, choices, _) in &bindings {
        // Debug of a list of plain names is also a TOML array.
        lines.push(format!("{name} = {{ values = {choices:?} }}"));
    }
    lines.push("[parameters]".to_owned());
    for (name, _, probability) in &bindings {
        lines.push(format!("{name} = {{ dictionary = \"{name}\", probability = {probability} }}"));
    }
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_parameter_has_its_dictionary() {
        let furniture = Furniture { tokens: vec!["cflp_x".to_owned()], ids: vec!["A1".to_owned()] };
        let config = dictionaries(&furniture);
        assert!(config.contains("id = { values = [\"A1\"] }\n"));
        assert!(config.contains("realm = { dictionary = \"realm\", probability = 0.95 }\n"));
    }
}

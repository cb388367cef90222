//! The alert rules and the metrics, judged by Prometheus' own `promtool`.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use serde_json::json;

use super::{repository, text_of};
use crate::world::{UNTHROTTLED, World};

const RULES: &str = "packaging/prometheus/counterfoil.rules.yml";
const TESTS: &str = "packaging/prometheus/tests";

fn promtool(arguments: &[&str]) -> Command {
    let mut promtool = Command::new("promtool");
    promtool.args(arguments).current_dir(repository("packaging/prometheus"));
    promtool
}

#[track_caller]
fn accepts(output: &Output) {
    let told = [output.stdout.as_slice(), &output.stderr].concat();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&told));
}

/// The names of the alerts.
fn alerts() -> BTreeSet<String> {
    let rules = text_of(RULES);
    let names = rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: "));
    names.map(str::to_owned).collect()
}

#[test]
fn prometheus_takes_the_rules() {
    accepts(&promtool(&["check", "rules", "counterfoil.rules.yml"]).output().unwrap());
}

#[test]
fn every_alert_fires_when_it_should_and_does_not_when_it_should_not() {
    let mut tested = BTreeSet::new();
    for entry in std::fs::read_dir(repository(TESTS)).unwrap() {
        let path = entry.unwrap().path();
        let file = path.file_name().unwrap().to_str().unwrap().to_owned();
        let alert = file.strip_suffix(".test.yml").unwrap_or_else(|| panic!("{file}")).to_owned();
        let text = std::fs::read_to_string(&path).unwrap();
        let count = |line: &str| text.lines().filter(|own| own.trim() == line).count();
        let (fires, quiet) = (count("- exp_labels:"), count("exp_alerts: []"));
        assert_eq!(count(&format!("alertname: {alert}")), fires + quiet, "{file}");
        assert!(fires >= 1, "{file} has no case in which it fires");
        assert!(quiet >= 1, "{file} has no case in which it does not");
        accepts(&promtool(&["test", "rules"]).arg(&path).output().unwrap());
        tested.insert(alert);
    }
    assert_eq!(tested, alerts());
}

#[test]
fn every_alert_has_its_passage_in_the_guide() {
    let (rules, page) = (text_of(RULES), text_of("docs/operate/monitoring.md"));
    for alert in alerts() {
        assert!(page.lines().any(|line| line == format!("### {alert}")), "{alert}");
        let anchor = format!("runbook: docs/operate/monitoring.md#{}", alert.to_lowercase());
        assert!(rules.contains(&anchor), "{anchor}");
    }
    let headings = page.lines().filter_map(|line| line.strip_prefix("### Counterfoil"));
    assert_eq!(headings.count(), alerts().len());
}

#[test]
fn promtool_has_nothing_to_say_about_what_a_server_exposes() {
    let world = World::new(UNTHROTTLED);
    let token = world.pat();
    world.verify(&token.secret);
    world.verify("cfl_nothing");
    world.admin.get("/users/nobody");
    let auditor = json!({ "name": "prometheus", "roles": ["auditor"] });
    let auditor = crate::world::client(&world.admin, &auditor);
    let scrape = auditor.get("/api/../metrics");
    assert_ne!(scrape.status, 200, "a path is what it is");
    let scrape = auditor.send(crate::wire::Request::new("GET", "/metrics"));
    assert_eq!(scrape.status, 200, "{}", scrape.text());
    let mut check = promtool(&["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    check.stdin.take().unwrap().write_all(&classic(&scrape.text())).unwrap();
    let output = check.wait_with_output().unwrap();
    accepts(&output);
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

/// The same in the older text form, which is all that `promtool check metrics` reads: there the
/// type stands at the name of a counter's sample.
fn classic(scrape: &str) -> Vec<u8> {
    let mut lines = Vec::new();
    let counters: BTreeSet<&str> = scrape
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.strip_suffix(" counter"))
        .collect();
    for line in scrape.lines().filter(|line| *line != "# EOF") {
        let mut words = line.splitn(4, ' ');
        let named = match (words.next(), words.next(), words.next()) {
            (Some("#"), Some("TYPE" | "HELP"), Some(name)) => Some(name),
            _ => None,
        };
        match named.filter(|name| counters.contains(name)) {
            Some(name) => {
                let total = format!("{name}_total");
                lines.push(line.replacen(name, &total, 1));
            }
            None => lines.push(line.to_owned()),
        }
    }
    (lines.join("\n") + "\n").into_bytes()
}

//! Health and metrics.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use counterfoil_authority::custom::{
    Descriptor, Elsewhere, Guarded, RepositoryError, Settings, TokenRepository,
};
use counterfoil_authority::names::{RealmName, ShadowName};
use counterfoil_authority::service::Services;
use counterfoil_authority::shadow::{Shadow, ShadowSettings};
use counterfoil_authority::store::Store;
use counterfoil_server::http::HttpSettings;
use counterfoil_store::MemoryStore;
use serde_json::json;

use crate::world::{R, World};

#[tokio::test]
async fn a_server_lives_and_is_ready() {
    let world = World::new().await;
    for path in ["/healthz/live", "/healthz/ready"] {
        let answer = world.send("GET", path, &[], None).await.expect(200);
        assert_eq!(answer, json!({ "status": "ok" }));
    }
}

#[tokio::test]
async fn a_node_whose_clock_is_off_is_not_ready_and_says_so() {
    let store = Arc::new(MemoryStore::new());
    let world = World::over(Arc::clone(&store) as Arc<dyn Store>, HttpSettings::default()).await;
    let ready = async || world.send("GET", "/healthz/ready", &[], None).await;
    store.set_clock(world.authority.now().plus_seconds(2));
    ready().await.expect(200);
    store.set_clock(world.authority.now().plus_seconds(5));
    let reason = "the clock of this node is 5.0 s behind the database's";
    let answer = ready().await.expect(503);
    assert_eq!(answer, json!({ "status": "unavailable", "reason": reason }));
}

#[tokio::test]
async fn metrics_are_for_those_who_may_read_the_audit() {
    let world = World::new().await;
    let alice = world.with_alice().await;
    let body = json!({ "token": alice.secret });
    world.call(&alice.gate, "POST", &format!("{R}/verify"), body).await.expect(200);
    world.send("GET", "/metrics", &[], None).await.refused(401, "unauthenticated");
    let gate = world.call(&alice.gate, "GET", "/metrics", json!(null)).await;
    gate.refused(403, "insufficient-scope");
    let auditor = world.client("prometheus", json!({ "roles": ["auditor"] })).await;
    let text = world.call(&auditor, "GET", "/metrics", json!(null)).await.text;
    for line in [
        "counterfoil_verify_total{door=\"api\",outcome=\"active\"} 1",
        "counterfoil_http_requests_total{route=\"/api/v1/realms/{realm}/verify\",status=\"2xx\"} 1",
        "counterfoil_usage_pending_tokens",
        "counterfoil_cache_hits_total",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
    assert!(!text.contains(&alice.secret));
}

#[tokio::test]
async fn the_names_of_metrics_are_a_contract() {
    let world = World::new().await;
    world.get("/healthz/live").await.expect(200);
    let text = world.get("/metrics").await.text;
    let names: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")).collect();
    insta::assert_snapshot!(names.join("\n"), @r"
    counterfoil_http_request_duration_seconds histogram
    counterfoil_http_requests counter
    counterfoil_verify counter
    counterfoil_change_lag_seconds histogram
    counterfoil_ldap_operations counter
    counterfoil_ldap_connections gauge
    counterfoil_deliveries gauge
    counterfoil_delivery_oldest_age_seconds gauge
    counterfoil_audit_sealed_events gauge
    counterfoil_audit_lag_seconds gauge
    counterfoil_audit_unwitnessed_events gauge
    counterfoil_audit_witness_success_timestamp_seconds gauge
    counterfoil_audit_witness_configured gauge
    counterfoil_cache_tokens gauge
    counterfoil_cache_capacity_tokens gauge
    counterfoil_usage_pending_tokens gauge
    counterfoil_slow_hashes_waiting gauge
    counterfoil_cache_hits counter
    counterfoil_cache_misses counter
    counterfoil_cache_fills_dropped counter
    counterfoil_stale_verifies counter
    counterfoil_usage_lost counter
    counterfoil_diary_lost counter
    counterfoil_spans counter
    ");
}

/// The cells of a table's row.
fn cells(row: &str) -> Vec<&str> {
    row.trim_matches('|').split(" |").map(str::trim).collect()
}

/// What stands in backquotes.
fn quoted(text: &str) -> BTreeSet<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

/// Names and values of a label in a scrape; the bounds of a histogram are no label of ours.
fn labels(sample: &str) -> impl Iterator<Item = (&str, &str)> {
    let inside = sample.split_once('{').and_then(|(_, rest)| rest.rsplit_once('}'));
    let pairs = inside.map_or("", |(inside, _)| inside).split("\",");
    let pairs = pairs.filter_map(|pair| pair.split_once("=\""));
    pairs.map(|(name, value)| (name, value.trim_end_matches('"'))).filter(|(name, _)| *name != "le")
}

/// A repository of somebody else that is never asked.
struct Quiet;

#[async_trait::async_trait]
impl TokenRepository for Quiet {
    fn driver(&self) -> &'static str {
        "quiet"
    }

    async fn describe(&self) -> Result<Descriptor, RepositoryError> {
        Err(RepositoryError::unavailable("it is quiet"))
    }
}

#[tokio::test]
async fn the_page_about_metrics_is_what_a_scrape_shows() {
    let world = World::new().await;
    let realm = RealmName::parse("main").unwrap();
    let listened = realm.clone();
    let settings = Settings::new("acme", realm, Services::All);
    let acme = Guarded::new(settings, Arc::new(Quiet));
    world.authority.set_elsewhere(Elsewhere::new(vec![Arc::new(acme)]));
    let old = ShadowSettings::new(ShadowName::parse("old").unwrap(), listened);
    world.authority.set_shadows(vec![Shadow::new(old).0]);
    world.get("/healthz/live").await.expect(200);
    let scrape = world.get("/metrics").await.text;
    let page = include_str!("../../../../../docs/reference/metrics.md");
    let rows = page.lines().filter(|line| line.starts_with("| `counterfoil_")).map(cells);
    let rows: BTreeMap<&str, Vec<&str>> =
        rows.map(|cells| (cells[0].trim_matches('`'), cells)).collect();
    let mut scraped = BTreeSet::new();
    for line in scrape.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
        let (family, kind) = line.split_once(' ').unwrap();
        let total = if kind == "counter" { "_total" } else { "" };
        let name = format!("{family}{total}");
        let row = rows.get(name.as_str()).unwrap_or_else(|| panic!("{name} is not on the page"));
        assert_eq!(row[1], kind, "{name}");
        assert!(row.len() == 6 && !row[2].is_empty() && !row[4].is_empty(), "{name}: {row:?}");
        let samples = scrape.lines().filter(|line| line.starts_with(family));
        let found: BTreeSet<&str> = samples.flat_map(labels).map(|(label, _)| label).collect();
        assert_eq!(quoted(row[3]), found, "{name}");
        scraped.insert(name);
    }
    let explained: BTreeSet<String> = rows.keys().map(|name| (*name).to_owned()).collect();
    assert_eq!(explained, scraped);
    let words = quoted(page);
    for (label, value) in scrape.lines().flat_map(labels).filter(|(label, _)| *label != "route") {
        let told = words.contains(value) || label == "status";
        assert!(told, "{label}=\"{value}\" is not on the page");
    }
}

/// Names of metrics in a text, without what a histogram appends to them.
fn named(text: &str) -> BTreeSet<String> {
    let after = text.split("counterfoil_").skip(1);
    let is_name = |c: char| c.is_ascii_lowercase() || c == '_';
    let names = after.map(|rest| rest.split(|c| !is_name(c)).next().unwrap_or_default());
    let whole = names.filter(|name| !name.is_empty() && !name.ends_with('_')).map(|name| {
        let name = ["_bucket", "_sum", "_count"]
            .iter()
            .find_map(|end| name.strip_suffix(end))
            .unwrap_or(name);
        format!("counterfoil_{name}")
    });
    whole.collect()
}

#[tokio::test]
async fn every_metric_that_rules_dashboard_or_documents_name_is_on_the_page_and_shown() {
    let page = include_str!("../../../../../docs/reference/metrics.md");
    let rows = page.lines().filter(|line| line.starts_with("| `counterfoil_")).map(cells);
    let known: BTreeSet<String> = rows.map(|cells| cells[0].trim_matches('`').to_owned()).collect();
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut shown = BTreeSet::new();
    for file in ["packaging/prometheus/counterfoil.rules.yml", "packaging/grafana/counterfoil.json"]
    {
        let text = std::fs::read_to_string(root.join(file)).unwrap();
        let names = named(&text);
        assert!(names.is_subset(&known), "{file}: {:?}", names.difference(&known));
        shown.extend(names);
    }
    // Whatever is worth measuring is worth a line somewhere.
    assert_eq!(shown, known);
    for dir in ["docs/operate", "docs/guide", "docs/reference"] {
        for entry in std::fs::read_dir(root.join(dir)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_none_or(|extension| extension != "md") {
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            // Of names in backquotes only, and not of whole files that are shown: a database or a
            // format may be called so too.
            let text: String = text.split("```").step_by(2).collect();
            let quoted: String = quoted(&text).into_iter().collect::<Vec<_>>().join(" ");
            let names = named(&quoted);
            assert!(names.is_subset(&known), "{}: {:?}", path.display(), names.difference(&known));
        }
    }
}

#[tokio::test]
async fn a_configured_bearer_opens_the_metrics() {
    let settings = counterfoil_server::http::HttpSettings {
        metrics_bearer: Some(counterfoil_authority::secret::ClearSecret::new("scrape".into())),
        ..Default::default()
    };
    let world = World::with(settings).await;
    assert_eq!(world.call("scrape", "GET", "/metrics", json!(null)).await.status, 200);
    assert_eq!(world.call("scrapes", "GET", "/metrics", json!(null)).await.status, 401);
}

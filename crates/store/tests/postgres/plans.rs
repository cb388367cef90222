//! How the server ran the statements: a list that reads everything to show one page works in
//! every test and in no installation.

use std::collections::BTreeSet;

use serde_json::Value as Json;

/// Statements that read all of something, and why that is bearable.
const BORNE: [(&str, &str); 16] = [
    ("from   usage_journal\norder  by seq\nlimit  1", "the first row by its key"),
    ("from   key_record", "a handful of rows"),
    ("from   outbox\nlimit  1", "the first row by its key"),
    ("from   outbox o\norder  by o.seq\nlimit", "the first rows by their key"),
    ("from   target\norder by realm, name", "a handful of rows"),
    ("where  state <> 'done'\ngroup  by realm, target, state", "an index of what is not done"),
    ("group  by s.pepper", "asked for by a person, and said to take long"),
    ("group  by seal", "asked for by a person, and said to take long"),
    ("where state = 'running'\norder  by id", "the first row of an index of what runs"),
    ("from   audit_unsealed w", "the first rows by their key, and one event each"),
    ("from audit_unsealed where realm", "what waits for a second"),
    ("from   audit_log\norder  by realm", "one row for each realm"),
    ("insert into audit_unsealed (realm, event)\nselect", "once, when the schema is made"),
    ("from   pg_index", "the catalogue"),
    ("schema_version", "a handful of rows"),
    ("'heard ' || realm", "a handful of rows, when the schema is made"),
];

/// Looks at every plan in a log of `auto_explain`.
pub(crate) fn assert_that_every_table_is_read_by_an_index(log: &str) {
    let mut looked_at = 0;
    let mut found = BTreeSet::new();
    for entry in log.split("  plan:\n").skip(1) {
        // Lines of an entry that go on are indented.
        let text: String =
            entry.lines().take_while(|line| line.starts_with(['\t', '{', '}'])).collect();
        let plan: Json = serde_json::from_str(&text).unwrap();
        let sql = plan["Query Text"].as_str().unwrap();
        if BORNE.iter().any(|(part, _)| sql.contains(part)) {
            continue;
        }
        looked_at += 1;
        if let Some(node) = unindexed(&plan["Plan"]) {
            found.insert(format!("{node} in {sql}"));
        }
    }
    assert!(looked_at > 1_000, "only {looked_at} plans were found");
    assert!(found.is_empty(), "{found:#?}");
}

/// The first step that reads a table, or an index, from end to end.
fn unindexed(plan: &Json) -> Option<String> {
    let kind = plan["Node Type"].as_str().unwrap_or_default();
    let whole_index = kind.starts_with("Index") && plan["Index Cond"].is_null();
    if kind == "Seq Scan" || kind.starts_with("Bitmap") || whole_index {
        return Some(format!("{kind} on {} by {}", plan["Relation Name"], plan["Index Name"]));
    }
    plan["Plans"].as_array()?.iter().find_map(unindexed)
}

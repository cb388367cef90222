//! Every SQL text of the program, so that a test can prepare each on each engine.

use crate::{
    access, am, audit, census, changes, clients, console, events, foreign_use, idempotency,
    installation, jobs, leases, letters, links, networks, otp, people, provisioning, services,
    shadow, tokens, use_days, use_notes,
};

/// All of them.
pub(crate) fn all() -> Vec<&'static str> {
    let mut all = [
        access::STATEMENTS,
        am::STATEMENTS,
        audit::STATEMENTS,
        census::STATEMENTS,
        changes::STATEMENTS,
        clients::STATEMENTS,
        events::STATEMENTS,
        foreign_use::STATEMENTS,
        idempotency::STATEMENTS,
        installation::STATEMENTS,
        jobs::STATEMENTS,
        leases::STATEMENTS,
        letters::STATEMENTS,
        links::STATEMENTS,
        networks::STATEMENTS,
        otp::STATEMENTS,
        shadow::STATEMENTS,
        use_days::STATEMENTS,
        use_notes::STATEMENTS,
    ]
    .concat();
    all.extend(console::statements());
    all.extend(people::statements());
    all.extend(provisioning::statements());
    all.extend(services::statements());
    all.extend(tokens::statements());
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::sqlite::in_own_words;
    use crate::{DatabaseUrl, OpenOptions, open};

    /// Statements that scan or sort, and why that is bearable.
    const BORNE: [(&str, &str); 23] = [
        ("delete from token_network\nwhere  token = $1", "64 networks of one token"),
        ("from   token_network\nwhere  token = $1\nand    network <> ''\norder", "the same"),
        ("where  at >= $1", "stops at the first row that stays"),
        ("min(seq)", "an end of the index"),
        ("max(seq)", "an end of the index"),
        ("from   key_record", "a handful of rows"),
        ("from   usage_journal\norder  by seq\nlimit  1", "the first row by its key"),
        ("group  by s.pepper", "asked for by a person, and said to take long"),
        ("group  by seal", "asked for by a person, and said to take long"),
        ("select 1 from service where realm", "before a unit is removed"),
        ("and    service = $2\nreturning", "when a service is removed"),
        ("order  by case when slot", "the secrets of one token"),
        ("from   target\norder by realm, name", "a few per realm at most"),
        ("from   outbox\nlimit  1", "the first row by its key"),
        ("from   outbox o\norder  by o.seq", "the first rows by their key"),
        ("where  state <> 'done'\ngroup", "what is not done: nothing, most of the time"),
        ("where state = 'running'\norder  by id", "the first row of an index of what runs"),
        ("join   above a", "the units above one unit"),
        ("from   person p\n        cross  join token o", "the places of one unit's tokens"),
        ("from   audit_unsealed w", "the first rows by their key, and one event each"),
        ("from audit_unsealed where realm", "what waits for a second"),
        ("from   audit_log\norder  by realm", "one row for each realm"),
        ("limit  7000\n", "a few thousand places that a filter leaves"),
    ];

    /// An embedded store without anything in it, and the directory it is in.
    async fn empty() -> (tempfile::TempDir, rusqlite::Connection) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("store.db");
        let store = open(&DatabaseUrl::sqlite(&path), OpenOptions::default()).await.unwrap();
        store.close().await;
        (dir, rusqlite::Connection::open(&path).unwrap())
    }

    fn plan(raw: &rusqlite::Connection, sql: &str) -> Vec<String> {
        let plan = format!("explain query plan {}", in_own_words(sql));
        let mut statement = raw.prepare(&plan).unwrap();
        let nulls = vec![rusqlite::types::Null; statement.parameter_count()];
        let nulls = rusqlite::params_from_iter(nulls);
        let steps = statement.query_map(nulls, |row| row.get::<_, String>(3)).unwrap();
        steps.map(Result::unwrap).collect()
    }

    /// An end that the key does not know is none: all that lies behind is read.
    #[tokio::test]
    async fn a_page_of_events_begins_and_ends_by_its_key() {
        let (_dir, raw) = empty().await;
        let lists = events::STATEMENTS.iter().filter(|sql| sql.contains("limit $3"));
        let plans: Vec<String> = lists.map(|sql| plan(&raw, sql).join("; ")).collect();
        assert_eq!(plans.len(), 2, "{plans:#?}");
        assert!(plans[0].contains("PRIMARY KEY (realm=? AND id>? AND id<?)"), "{plans:#?}");
        assert!(
            plans[1].contains("event_by_token (realm=? AND token=? AND id>? AND id<?)"),
            "{plans:#?}"
        );
    }

    /// A list that reads everything to show one page works in every test and in no installation.
    #[tokio::test]
    async fn no_statement_scans_or_sorts_a_table_that_grows() {
        let (_dir, raw) = empty().await;
        let mut found = Vec::new();
        for sql in all().into_iter().filter(|sql| !BORNE.iter().any(|(part, _)| sql.contains(part)))
        {
            let steps = plan(&raw, sql);
            // A co-routine is read once, as it is made; a recursion reads what it found; and a list
            // that was handed in is no table.
            let made = |step: &str| {
                let name = step.trim_start_matches("SCAN ");
                name == "f"
                    || name == "family"
                    || name.starts_with("json_each ")
                    || steps.contains(&format!("CO-ROUTINE {name}"))
            };
            let is_page = |step: &str| step == "SCAN t" || step == "SCAN r";
            let page = steps.iter().position(|step| is_page(step) && made(step));
            for (place, step) in steps.iter().enumerate() {
                let scans = step.starts_with("SCAN ") && !made(step);
                // Sorting one page, once it has been found, costs nothing.
                let sorts = step.contains("TEMP B-TREE") && page.is_none_or(|page| place < page);
                if scans || sorts {
                    found.push(format!("{step} in {steps:#?} of {sql}"));
                }
            }
        }
        assert!(found.is_empty(), "{}", found.join("\n"));
    }
}

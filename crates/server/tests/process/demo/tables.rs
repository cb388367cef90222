//! Every row of every table of an installation, as text, to be compared with itself later.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use rusqlite::types::Value;
use rusqlite::{Connection, OpenFlags};

use super::{DATABASE, Stage};

/// When and from where a session was last used: its own bookkeeping, as usage is of tokens.
const OF_USE: [&str; 2] = ["used_at", "source"];
/// The table whose rows have these.
const SESSIONS: &str = "console_session";
/// Tables that are not compared. Usage, which the promise excepts, and what the server's own steps
/// write whether anybody asks for anything or not: the audit log holds what happened before.
const NOT_COMPARED: [&str; 11] = [
    "token_usage",
    "usage_journal",
    "use_day",
    "token_use",
    "token_use_since",
    "lease",
    "heartbeat",
    "audit_unsealed",
    "audit_log",
    "audit_tile",
    "audit_node",
];
/// Rows that only go away, a day old: it is compared that none was added.
const GROWS_BY_CHANGES: &str = "change_log";

/// Rows by table.
pub(super) type Tables = BTreeMap<String, BTreeSet<String>>;

/// Asserts that nothing was written between two looks.
#[track_caller]
pub(super) fn assert_unchanged(before: &Tables, after: &Tables) {
    assert_eq!(before.keys().collect::<Vec<_>>(), after.keys().collect::<Vec<_>>());
    for (table, rows) in after {
        let added: Vec<&String> = rows.difference(&before[table]).collect();
        assert!(added.is_empty(), "{table} has new or changed rows: {added:?}");
        let gone: Vec<&String> = before[table].difference(rows).collect();
        assert!(table == GROWS_BY_CHANGES || gone.is_empty(), "{table} lost rows: {gone:?}");
    }
}

impl Stage {
    /// What stands in the database now.
    pub(super) fn tables(&self) -> Tables {
        let mut tables = self.names();
        tables.retain(|table| !NOT_COMPARED.contains(&table.as_str()));
        tables.into_iter().map(|table| (table.clone(), self.rows(&table))).collect()
    }

    /// A number that a statement finds.
    pub(super) fn number(&self, statement: &str) -> i64 {
        match &self.cluster {
            None => self.connection().query_row(statement, [], |row| row.get(0)).unwrap(),
            Some(_) => self.psql(statement).trim().parse().unwrap(),
        }
    }

    fn names(&self) -> BTreeSet<String> {
        if self.cluster.is_some() {
            let all = self.psql("select tablename from pg_tables where schemaname = 'public'");
            return all.lines().map(str::to_owned).collect();
        }
        let connection = self.connection();
        let text = "select name from sqlite_master where type = 'table'";
        let mut statement = connection.prepare(text).unwrap();
        let names = statement.query_map([], |row| row.get::<_, String>(0)).unwrap();
        names.map(Result::unwrap).filter(|name| !name.starts_with("sqlite_")).collect()
    }

    fn rows(&self, table: &str) -> BTreeSet<String> {
        let left_out: &[&str] = if table == SESSIONS { &OF_USE } else { &[] };
        if self.cluster.is_some() {
            let less: String = left_out.iter().flat_map(|name| [" - '", *name, "'"]).collect();
            let text = format!("select (to_jsonb(t){less})::text from {table} t");
            return self.psql(&text).lines().map(str::to_owned).collect();
        }
        let connection = self.connection();
        let mut statement = connection.prepare(&format!("select * from {table}")).unwrap();
        let names: Vec<String> = statement.column_names().map(str::to_owned).collect();
        let mut rows = statement.query([]).unwrap();
        let mut all = BTreeSet::new();
        while let Some(row) = rows.next().unwrap() {
            let cells = names.iter().enumerate().filter(|(_, name)| !left_out.contains(&&***name));
            let cells = cells
                .map(|(place, name)| format!("{name}={:?}", row.get::<_, Value>(place).unwrap()));
            all.insert(cells.collect::<Vec<_>>().join(" "));
        }
        all
    }

    /// To the file that a server is writing to; only read.
    fn connection(&self) -> Connection {
        Connection::open_with_flags(self.database(), OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap()
    }

    fn psql(&self, statement: &str) -> String {
        let directory = self.cluster.as_ref().unwrap().directory();
        let output = Command::new("psql")
            .args(["-qAt", "-U", "cf", "-d", DATABASE, "-c", statement, "-h"])
            .arg(directory)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }
}

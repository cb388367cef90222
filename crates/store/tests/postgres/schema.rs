//! Both engines have the same schema: tables, columns, what may be absent, and what is unique.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use counterfoil_authority::clock::Timestamp;
use counterfoil_authority::names::RealmName;
use counterfoil_authority::store::{PageRequest, TokenFilter, TokenStore};
use counterfoil_store::{DatabaseUrl, OpenError, OpenOptions, SqlStore, conformance, open};

use super::cluster::Cluster;

/// What every engine has to agree on.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Table {
    /// The type, and whether it may be absent.
    pub(crate) columns: BTreeMap<String, (String, bool)>,
    /// The columns of each key, and whether it counts only for some rows.
    pub(crate) unique: BTreeSet<(Vec<String>, bool)>,
}

pub(crate) type Schema = BTreeMap<String, Table>;

pub(crate) fn of_sqlite(path: &Path) -> Schema {
    let raw = rusqlite::Connection::open(path).unwrap();
    let list = |sql: &str, name: &str| -> Vec<(String, String, i64, i64)> {
        let mut statement = raw.prepare(sql).unwrap();
        let row =
            |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?));
        statement.query_map([name], row).unwrap().map(Result::unwrap).collect()
    };
    let tables = "select name, '', 0, 0 from sqlite_master
        where type = 'table' and name not like 'sqlite_%' and ?1 = ''";
    let mut schema = Schema::new();
    for (name, ..) in list(tables, "") {
        let mut table = Table::default();
        let columns = "select name, type, \"notnull\", pk from pragma_table_xinfo(?1)";
        let mut key = BTreeMap::new();
        for (column, kind, required, place) in list(columns, &name) {
            let optional = required == 0 && place == 0;
            table.columns.insert(column.clone(), (kind.to_lowercase(), optional));
            if place > 0 {
                key.insert(place, column);
            }
        }
        table.unique.insert((key.into_values().collect(), false));
        let indices = "select name, '', partial, 0 from pragma_index_list(?1) where \"unique\" = 1";
        for (index, _, partial, _) in list(indices, &name) {
            let of_index = "select name, '', 0, 0 from pragma_index_info(?1) order by seqno";
            let columns = list(of_index, &index).into_iter().map(|(column, ..)| column).collect();
            table.unique.insert((columns, partial == 1));
        }
        schema.insert(name, table);
    }
    schema
}

pub(crate) async fn of_postgres(cluster: &Cluster, database: &str) -> Schema {
    let client = cluster.client(database).await;
    let mut schema = Schema::new();
    let columns = "
select c.relname::text, a.attname::text, format_type(a.atttypid, null), not a.attnotnull
from   pg_class c
join   pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
where  c.relkind = 'r' and c.relnamespace = 'public'::regnamespace";
    for row in client.query(columns, &[]).await.unwrap() {
        let kind: String = row.get(2);
        let kind = match kind.as_str() {
            "bigint" => "integer",
            "bytea" => "blob",
            other => other,
        };
        let table: &mut Table = schema.entry(row.get(0)).or_default();
        table.columns.insert(row.get(1), (kind.to_owned(), row.get(3)));
    }
    let keys = "
select c.relname::text,
       array_to_string(array(
           select a.attname
           from   unnest(i.indkey) with ordinality k (number, place)
           join   pg_attribute a on a.attrelid = c.oid and a.attnum = k.number
           order  by k.place
       ), ','),
       i.indpred is not null
from   pg_index i
join   pg_class c on c.oid = i.indrelid
where  i.indisunique and c.relnamespace = 'public'::regnamespace";
    for row in client.query(keys, &[]).await.unwrap() {
        let columns: String = row.get(1);
        let columns = columns.split(',').map(Into::into).collect();
        schema.entry(row.get(0)).or_default().unique.insert((columns, row.get(2)));
    }
    schema
}

#[tokio::test(flavor = "multi_thread")]
async fn both_engines_have_the_same_schema() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.db");
    open(&DatabaseUrl::sqlite(&path), OpenOptions::default()).await.unwrap().close().await;
    let cluster = Cluster::start();
    let url = cluster.database("schema").await;
    open(&url, OpenOptions::default()).await.unwrap().close().await;
    let (one, other) = (of_sqlite(&path), of_postgres(&cluster, "schema").await);
    assert!(one.len() > 15, "{one:#?}");
    assert_eq!(one.keys().collect::<Vec<_>>(), other.keys().collect::<Vec<_>>());
    for (name, table) in &one {
        assert_eq!(Some(table), other.get(name), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_nodes_that_begin_together_one_migrates() {
    let cluster = Cluster::start();
    let url = cluster.database("begin").await;
    let wary = OpenOptions { create: false, ..OpenOptions::default() };
    let refused = open(&url, wary.clone()).await.err().unwrap();
    assert!(matches!(refused, OpenError::Empty), "{refused}");
    let nodes: Vec<_> = (0..8)
        .map(|_| {
            let url = url.clone();
            tokio::spawn(async move { open(&url, OpenOptions::default()).await.unwrap() })
        })
        .collect();
    for node in nodes {
        node.await.unwrap().close().await;
    }
    let client = cluster.client("begin").await;
    client.batch_execute("update schema_version set version = 99 where version = 1").await.unwrap();
    let newer = open(&url, wary).await.err().unwrap();
    assert!(matches!(newer, OpenError::Newer { found: 99, .. }), "{newer}");
}

/// The expand step of a migration that does not exist: it adds, and takes nothing away.
const EXPAND: &str = "
alter table token add column colour text;
create table colour (name text not null primary key);
create index token_by_colour on token (realm, colour) where colour is not null;
create index event_by_actor on event (realm, actor, id);";

/// Prepares and runs what a node of the version before has at hand.
async fn work(store: &SqlStore) {
    store.prepare_every_statement().await.unwrap();
    let realm = RealmName::parse("main").unwrap();
    let now = Timestamp::from_seconds(0);
    store.token_list(&realm, TokenFilter::default(), now, PageRequest::first(9)).await.unwrap();
}

/// A node of the version before goes on while others have a newer schema already.
#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_only_adds_disturbs_no_node_that_runs() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.db");
    let store = open(&DatabaseUrl::sqlite(&path), OpenOptions::default()).await.unwrap();
    work(&store).await;
    rusqlite::Connection::open(&path).unwrap().execute_batch(EXPAND).unwrap();
    work(&store).await;
    conformance::all(store).await;

    let cluster = Cluster::start();
    let store = open(&cluster.database("expand").await, OpenOptions::default()).await.unwrap();
    work(&store).await;
    let client = cluster.client("expand").await;
    client.batch_execute(EXPAND).await.unwrap();
    let next = store.schema_version() + 1;
    let note = format!("insert into schema_version (version) values ({next})");
    client.batch_execute(&note).await.unwrap();
    work(&store).await;
    conformance::all(store).await;
}

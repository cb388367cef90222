//! A token table that somebody else keeps, through statements that the operator has named.
//!
//! Which columns mean what is said in the statements, by what they call them: the names are those
//! of the protocol, so `valid_until as valid_to` is the whole mapping. What a statement is not
//! there for, the repository does not do.

mod placeholders;
mod postgres;
mod sqlite;

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use counterfoil_authority::clock::Timestamp;
use counterfoil_authority::custom::{
    BadRecord, Capabilities, Capability, Descriptor, ForeignChange, ForeignConsumed, ForeignDraft,
    ForeignId, ForeignPage, ForeignToken, ForeignUse, ListQuery, RepositoryError, Selector,
    TokenRepository, VerifyRecord,
};
use counterfoil_authority::names::Username;
use serde_json::Value as Json;

use self::placeholders::Statement;
use self::postgres::Postgres;
use self::sqlite::Sqlite;
use crate::DatabaseUrl;

/// Rows of one answer that are read at most, whatever a statement finds: one more than a page has.
const ROWS_MAX: usize = 1001;

/// The attributes that statements may write, by the names that stand in them.
const ATTRIBUTES: [(&str, &str); 17] = [
    ("serial_id", "serialId"),
    ("valid_from", "validFrom"),
    ("valid_to", "validTo"),
    ("tracking_id", "trackingId"),
    ("max_usages", "maxUsages"),
    ("generic_data_element1", "genericDataElement1"),
    ("generic_data_element2", "genericDataElement2"),
    ("generic_data_element3", "genericDataElement3"),
    ("generic_data_element4", "genericDataElement4"),
    ("generic_data_element5", "genericDataElement5"),
    ("generic_data_element6", "genericDataElement6"),
    ("generic_data_element7", "genericDataElement7"),
    ("generic_data_element8", "genericDataElement8"),
    ("generic_data_element9", "genericDataElement9"),
    ("generic_data_element10", "genericDataElement10"),
    ("generic_data_element11", "genericDataElement11"),
    ("generic_data_element12", "genericDataElement12"),
];

/// The statements that there can be, and what may be bound to each besides attributes.
const NAMES: [(&str, &[&str], bool); 10] = [
    ("lookup", &["selector", "user", "service", "sha256"], false),
    ("list", &["user", "limit", "cursor"], false),
    ("get", &["id"], false),
    ("insert", &["user", "selector", "hash", "idempotency_key"], true),
    ("update", &["id", "version"], true),
    ("enable", &["id", "enabled"], false),
    ("assign", &["id", "user"], false),
    ("delete", &["id", "version"], false),
    ("consume", &["id", "limit", "at"], false),
    ("usage", &["id", "accepted", "first_at", "last_at"], false),
];

/// A statement that cannot be used, for whoever wrote the configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the statement {name} {why}")]
pub struct BadStatement {
    /// The statement.
    pub name: String,
    /// What is wrong with it.
    pub why: String,
}

/// A value to bind.
#[derive(Debug, Clone, PartialEq)]
enum Bound {
    Null,
    Int(i64),
    Flag(bool),
    Text(String),
}

impl Bound {
    fn text(text: Option<&str>) -> Self {
        text.map_or(Self::Null, |text| Self::Text(text.to_owned()))
    }

    fn of_json(value: &Json) -> Self {
        match value {
            Json::Null => Self::Null,
            Json::Bool(flag) => Self::Flag(*flag),
            Json::Number(number) => {
                number.as_i64().map_or_else(|| Self::Text(number.to_string()), Self::Int)
            }
            Json::String(text) => Self::Text(text.clone()),
            other => Self::Text(other.to_string()),
        }
    }
}

/// What a statement came to.
struct Done {
    /// Rows that it returned, as objects.
    rows: Vec<Json>,
    /// Rows that it touched.
    touched: u64,
}

/// A database that runs named statements.
#[async_trait]
trait Runs: Send + Sync {
    async fn run(&self, statement: &Statement, values: &[Bound]) -> Result<Done, RepositoryError>;
}

/// A repository in a database of somebody else.
pub struct NamedStatements {
    statements: BTreeMap<&'static str, Statement>,
    database: Box<dyn Runs>,
    atomic: bool,
}

impl NamedStatements {
    /// A repository. Nothing is connected yet; what is wrong with the texts is said at once.
    ///
    /// # Errors
    ///
    /// The first statement that cannot be used.
    pub fn new(
        url: &DatabaseUrl,
        password: Option<&str>,
        statements: &BTreeMap<String, String>,
        timeout: Duration,
    ) -> Result<Self, BadStatement> {
        let mut known = BTreeMap::new();
        for (name, text) in statements {
            let bad = |why: String| BadStatement { name: name.clone(), why };
            let named = NAMES.iter().find(|(own, ..)| own == name);
            let Some((own, binds, attributes)) = named else {
                return Err(bad("is none of those that there are".to_owned()));
            };
            let statement = Statement::parse(text).map_err(bad)?;
            for bound in statement.names() {
                let attribute = ATTRIBUTES.iter().any(|(column, _)| column == bound);
                let given = binds.contains(&bound.as_str()) || (*attributes && attribute);
                if !given {
                    return Err(bad(format!("binds :{bound}, which it is not given")));
                }
            }
            known.insert(*own, statement);
        }
        if !known.contains_key("lookup") {
            let why = "is missing: nothing could be verified".to_owned();
            return Err(BadStatement { name: "lookup".to_owned(), why });
        }
        let atomic = known.get("consume").is_some_and(Statement::is_conditional_update);
        let database: Box<dyn Runs> = match url {
            DatabaseUrl::Sqlite(path) => Box::new(Sqlite::new(path.clone(), timeout)),
            DatabaseUrl::Postgres(url) => {
                Box::new(Postgres::new(url.text(), password.map(str::to_owned), timeout))
            }
        };
        Ok(Self { statements: known, database, atomic })
    }

    /// Whether a statement has a place for this value.
    pub fn binds(statement: &str, name: &str) -> bool {
        Statement::parse(statement).is_ok_and(|one| one.names().iter().any(|bound| bound == name))
    }

    /// Whether its statement `consume` is one conditional update.
    pub const fn counts_atomically(&self) -> bool {
        self.atomic
    }

    fn capabilities(&self) -> Capabilities {
        let of = [
            ("lookup", Capability::Lookup),
            ("get", Capability::List),
            ("insert", Capability::Create),
            ("update", Capability::Update),
            ("enable", Capability::Enable),
            ("assign", Capability::Assign),
            ("delete", Capability::Delete),
            ("usage", Capability::UsageWrite),
        ];
        let known = of.into_iter().filter(|(name, _)| self.statements.contains_key(name));
        let all = known.fold(Capabilities::NONE, |set, (_, capability)| set.with(capability));
        if self.atomic { all.with(Capability::AtomicConsume) } else { all }
    }

    async fn run(
        &self,
        name: &'static str,
        capability: Capability,
        value: impl Fn(&str) -> Bound + Send + Sync,
    ) -> Result<Done, RepositoryError> {
        let Some(statement) = self.statements.get(name) else {
            return Err(RepositoryError::Unsupported(capability));
        };
        let values: Vec<Bound> = statement.names().iter().map(|name| value(name)).collect();
        self.database.run(statement, &values).await
    }

    /// The token that a statement returned; read again where it returned none but touched one.
    async fn changed(&self, id: &ForeignId, done: Done) -> Result<ForeignToken, RepositoryError> {
        if let Some(row) = done.rows.first() {
            return ForeignToken::read(row).map_err(unreadable);
        }
        if done.touched == 0 {
            return Err(RepositoryError::NotFound);
        }
        self.find(id).await?.ok_or(RepositoryError::NotFound)
    }
}

fn unreadable(bad: BadRecord) -> RepositoryError {
    RepositoryError::unavailable(format!("a row makes no sense: {bad}"))
}

fn attribute(attributes: &BTreeMap<String, Json>, column: &str) -> Bound {
    let name = ATTRIBUTES.iter().find(|(known, _)| *known == column).map(|(_, name)| *name);
    name.and_then(|name| attributes.get(name)).map_or(Bound::Null, Bound::of_json)
}

#[async_trait]
impl TokenRepository for NamedStatements {
    fn driver(&self) -> &'static str {
        "sql"
    }

    async fn describe(&self) -> Result<Descriptor, RepositoryError> {
        // A look-up that finds nothing shows that the table is there.
        let none = |name: &str| match name {
            "user" | "selector" | "sha256" => Bound::Text(String::new()),
            _ => Bound::Null,
        };
        self.run("lookup", Capability::Lookup, none).await?;
        Ok(Descriptor { software: "named statements".into(), capabilities: self.capabilities() })
    }

    async fn lookup(&self, selector: &Selector) -> Result<Vec<VerifyRecord>, RepositoryError> {
        let value = |name: &str| match (name, selector) {
            ("user", Selector::User { user, .. }) => Bound::text(Some(user)),
            ("service", Selector::User { service, .. }) => Bound::text(service.as_deref()),
            ("selector", Selector::Prefix(text)) | ("sha256", Selector::Sha256(text)) => {
                Bound::text(Some(text))
            }
            _ => Bound::Null,
        };
        let done = self.run("lookup", Capability::Lookup, value).await?;
        done.rows.iter().map(|row| VerifyRecord::read(row).map_err(unreadable)).collect()
    }

    async fn list(&self, query: &ListQuery) -> Result<ForeignPage, RepositoryError> {
        if !query.filter.is_empty() {
            return Err(RepositoryError::Unsupported(Capability::Filter));
        }
        if !query.sort.is_empty() {
            return Err(RepositoryError::Unsupported(Capability::Sort));
        }
        let value = |name: &str| match name {
            "user" => Bound::text(query.user.as_deref()),
            "limit" => Bound::Int(i64::from(query.limit)),
            "cursor" => Bound::text(query.cursor.as_deref()),
            _ => Bound::Null,
        };
        let done = self.run("list", Capability::List, value).await?;
        let limit = usize::try_from(query.limit).unwrap_or(usize::MAX);
        let full = done.rows.len() >= limit;
        let rows = done.rows.iter().take(limit);
        let tokens = rows.map(ForeignToken::read).collect::<Result<Vec<_>, _>>();
        let tokens = tokens.map_err(unreadable)?;
        let next = tokens.last().filter(|_| full).map(|token| token.id.to_string());
        Ok(ForeignPage { tokens, next })
    }

    async fn find(&self, id: &ForeignId) -> Result<Option<ForeignToken>, RepositoryError> {
        let value = |_: &str| Bound::text(Some(id.as_str()));
        let done = self.run("get", Capability::List, value).await?;
        done.rows.first().map(|row| ForeignToken::read(row).map_err(unreadable)).transpose()
    }

    async fn create(&self, draft: &ForeignDraft) -> Result<ForeignToken, RepositoryError> {
        let value = |name: &str| match name {
            "user" => Bound::text(draft.user.as_deref()),
            "selector" => Bound::text(draft.selector.as_deref()),
            "hash" => Bound::text(draft.hash.as_ref().map(|hash| hash.as_str())),
            "idempotency_key" => Bound::text(Some(&draft.idempotency_key)),
            name => attribute(&draft.attributes, name),
        };
        let done = self.run("insert", Capability::Create, value).await?;
        let Some(row) = done.rows.first() else { return Err(RepositoryError::Conflict) };
        ForeignToken::read(row).map_err(unreadable)
    }

    async fn update(
        &self,
        id: &ForeignId,
        change: &ForeignChange,
        if_version: Option<&str>,
    ) -> Result<ForeignToken, RepositoryError> {
        let Some(before) = self.find(id).await? else { return Err(RepositoryError::NotFound) };
        if if_version.is_some() && before.version.as_deref() != if_version {
            return Err(RepositoryError::VersionMismatch);
        }
        // What is not changed is written as it was read, on condition that it still is.
        let mut attributes = before.attributes;
        attributes.extend(change.attributes.clone());
        let value = |name: &str| match name {
            "id" => Bound::text(Some(id.as_str())),
            "version" => Bound::text(before.version.as_deref()),
            name => attribute(&attributes, name),
        };
        let done = self.run("update", Capability::Update, value).await?;
        match self.changed(id, done).await {
            Err(RepositoryError::NotFound) => Err(RepositoryError::VersionMismatch),
            changed => changed,
        }
    }

    async fn set_enabled(
        &self,
        id: &ForeignId,
        enabled: bool,
    ) -> Result<ForeignToken, RepositoryError> {
        let value = |name: &str| match name {
            "enabled" => Bound::Flag(enabled),
            _ => Bound::text(Some(id.as_str())),
        };
        let done = self.run("enable", Capability::Enable, value).await?;
        self.changed(id, done).await
    }

    async fn assign(
        &self,
        id: &ForeignId,
        to: Option<&Username>,
    ) -> Result<ForeignToken, RepositoryError> {
        let value = |name: &str| match name {
            "user" => Bound::text(to.map(Username::as_str)),
            _ => Bound::text(Some(id.as_str())),
        };
        let done = self.run("assign", Capability::Assign, value).await?;
        self.changed(id, done).await
    }

    async fn delete(
        &self,
        id: &ForeignId,
        if_version: Option<&str>,
    ) -> Result<(), RepositoryError> {
        let value = |name: &str| match name {
            "version" => Bound::text(if_version),
            _ => Bound::text(Some(id.as_str())),
        };
        let done = self.run("delete", Capability::Delete, value).await?;
        if done.touched == 0 { Err(RepositoryError::NotFound) } else { Ok(()) }
    }

    async fn consume(
        &self,
        id: &ForeignId,
        limit: u64,
        at: Timestamp,
    ) -> Result<ForeignConsumed, RepositoryError> {
        if !self.atomic {
            return Err(RepositoryError::Unsupported(Capability::AtomicConsume));
        }
        let value = |name: &str| match name {
            "limit" => Bound::Int(i64::try_from(limit).unwrap_or(i64::MAX)),
            "at" => Bound::Text(at.to_string()),
            _ => Bound::text(Some(id.as_str())),
        };
        let done = self.run("consume", Capability::AtomicConsume, value).await?;
        if done.touched == 0 {
            return Ok(ForeignConsumed::Exhausted);
        }
        let used = done.rows.first().and_then(|row| row["used"].as_u64());
        Ok(ForeignConsumed::Done(used.unwrap_or(limit)))
    }

    async fn record_usage(&self, uses: &[ForeignUse]) -> Result<(), RepositoryError> {
        for one in uses {
            let value = |name: &str| match name {
                "accepted" => Bound::Int(i64::try_from(one.accepted).unwrap_or(i64::MAX)),
                "first_at" => Bound::Text(one.first_at.to_string()),
                "last_at" => Bound::Text(one.last_at.to_string()),
                _ => Bound::text(Some(one.id.as_str())),
            };
            self.run("usage", Capability::UsageWrite, value).await?;
        }
        Ok(())
    }
}

//! A repository that somebody else keeps, in memory: it does everything that can be asked of one,
//! or says no in any of the ways that there are.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use counterfoil_authority::custom::{
    Addressing, CAPABILITIES, Capabilities, Capability, Descriptor, Elsewhere, ForeignChange,
    ForeignDraft, ForeignId, ForeignPage, ForeignToken, Guarded, ListQuery, RepositoryError,
    Selector, Settings, TokenRepository, VerifyRecord,
};
use counterfoil_authority::names::{RealmName, ServiceLabel, Username};
use counterfoil_authority::service::Services;
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::world::World;

/// What an operator writes for it.
pub(crate) const SECTION: &str = r#"
[repository.acme]
kind = "custom"
driver = "http"
url = "http://127.0.0.1:1"
prefix = "acme_"
selector = "prefix"
selector_length = 13
services = ["git"]
[repository.acme.attributes]
serialId = { filterable = true }
enabled = {}
validTo = { name = "expires" }
trackingId = { name = "order", filterable = true }
totalUsages = {}
maxUsages = {}
genericDataElement1 = { name = "device", required = true }
"#;

/// A token there.
#[derive(Debug, Clone, Default)]
pub(crate) struct Row {
    pub(crate) user: Option<String>,
    pub(crate) selector: String,
    pub(crate) hash: String,
    pub(crate) enabled: bool,
    pub(crate) version: u64,
    pub(crate) once: String,
    pub(crate) attributes: BTreeMap<String, Value>,
}

/// The repository.
pub(crate) struct Fake {
    pub(crate) rows: Mutex<BTreeMap<String, Row>>,
    /// What it says to everything but a description, if it says no.
    pub(crate) says: Mutex<Option<RepositoryError>>,
    lacks: Vec<Capability>,
    /// Ids of new tokens begin so.
    pub(crate) ids: Mutex<String>,
}

impl Fake {
    /// One that does everything but this.
    pub(crate) fn without(lacks: &[Capability]) -> Arc<Self> {
        Arc::new(Self {
            rows: Mutex::default(),
            says: Mutex::default(),
            lacks: lacks.to_vec(),
            ids: Mutex::new(String::new()),
        })
    }

    /// Puts it behind the guard of a server.
    pub(crate) fn behind(self: &Arc<Self>, world: &World) {
        let realm = RealmName::parse("main").unwrap();
        let services = Services::Named(vec![ServiceLabel::parse("git").unwrap()]);
        let settings = Settings {
            prefix: Some("acme_".into()),
            addressing: Addressing::Prefix(13),
            cache_seconds: 60,
            timeout: Duration::from_secs(30),
            ..Settings::new("acme", realm, services)
        };
        let guarded = Guarded::new(settings, Arc::clone(self) as Arc<dyn TokenRepository>);
        world.authority.set_elsewhere(Elsewhere::new(vec![Arc::new(guarded)]));
    }

    fn asked(&self) -> Result<(), RepositoryError> {
        self.says.lock().clone().map_or(Ok(()), Err)
    }

    fn shown(id: &str, row: &Row) -> ForeignToken {
        ForeignToken::read(&json!({
            "id": id, "user": row.user, "enabled": row.enabled, "hash": row.hash,
            "version": format!("v{}", row.version), "attributes": row.attributes,
        }))
        .unwrap()
    }

    fn change(
        &self,
        id: &ForeignId,
        change: impl FnOnce(&mut Row),
    ) -> Result<ForeignToken, RepositoryError> {
        self.asked()?;
        let mut rows = self.rows.lock();
        let row = rows.get_mut(id.as_str()).ok_or(RepositoryError::NotFound)?;
        change(row);
        row.version += 1;
        Ok(Self::shown(id.as_str(), row))
    }
}

#[async_trait]
impl TokenRepository for Fake {
    fn driver(&self) -> &'static str {
        "fake"
    }

    async fn describe(&self) -> Result<Descriptor, RepositoryError> {
        let all = CAPABILITIES.into_iter().filter(|one| !self.lacks.contains(one));
        let capabilities = Capabilities::of(&all.collect::<Vec<_>>());
        Ok(Descriptor { software: "fake".into(), capabilities })
    }

    async fn lookup(&self, selector: &Selector) -> Result<Vec<VerifyRecord>, RepositoryError> {
        self.asked()?;
        let Selector::Prefix(text) = selector else { return Ok(Vec::new()) };
        let rows = self.rows.lock();
        let found = rows.iter().filter(|(_, row)| row.selector == *text);
        let record = |(id, row): (&String, &Row)| {
            let told = json!({"id": id, "user": row.user, "hash": row.hash,
                "enabled": row.enabled, "validTo": row.attributes.get("validTo"),
                "maxUsages": row.attributes.get("maxUsages")});
            VerifyRecord::read(&told).unwrap()
        };
        Ok(found.map(record).collect())
    }

    async fn list(&self, query: &ListQuery) -> Result<ForeignPage, RepositoryError> {
        self.asked()?;
        // A careless one: it does not look at whose tokens it was asked for.
        let rows = self.rows.lock();
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let fits = |row: &Row| {
            query.filter.iter().all(|(name, wanted)| {
                row.attributes.get(name).and_then(text).as_ref() == Some(wanted)
            })
        };
        let after = |id: &&String| query.cursor.as_ref().is_none_or(|cursor| cursor < *id);
        let all = rows.iter().filter(|(id, row)| after(id) && fits(row));
        let mut tokens: Vec<_> = all.map(|(id, row)| Self::shown(id, row)).collect();
        let limit = usize::try_from(query.limit).unwrap();
        let more = tokens.len() > limit;
        tokens.truncate(limit);
        let next = tokens.last().filter(|_| more).map(|token| token.id.to_string());
        Ok(ForeignPage { tokens, next })
    }

    async fn find(&self, id: &ForeignId) -> Result<Option<ForeignToken>, RepositoryError> {
        self.asked()?;
        Ok(self.rows.lock().get(id.as_str()).map(|row| Self::shown(id.as_str(), row)))
    }

    async fn create(&self, draft: &ForeignDraft) -> Result<ForeignToken, RepositoryError> {
        self.asked()?;
        let mut rows = self.rows.lock();
        if let Some((id, row)) = rows.iter().find(|(_, row)| row.once == draft.idempotency_key) {
            return Ok(Self::shown(id, row));
        }
        let row = Row {
            user: draft.user.clone(),
            selector: draft.selector.clone().unwrap_or_default(),
            hash: draft.hash.as_ref().map(|hash| hash.to_string()).unwrap_or_default(),
            enabled: true,
            version: 1,
            once: draft.idempotency_key.clone(),
            attributes: draft.attributes.clone(),
        };
        let id = format!("{}{:04}", self.ids.lock(), rows.len() + 1);
        rows.insert(id.clone(), row.clone());
        Ok(Self::shown(&id, &row))
    }

    async fn update(
        &self,
        id: &ForeignId,
        change: &ForeignChange,
        if_version: Option<&str>,
    ) -> Result<ForeignToken, RepositoryError> {
        let known = self.rows.lock().get(id.as_str()).map(|row| format!("v{}", row.version));
        if if_version.is_some() && known.as_deref() != if_version {
            return Err(RepositoryError::VersionMismatch);
        }
        self.change(id, |row| row.attributes.extend(change.attributes.clone()))
    }

    async fn set_enabled(
        &self,
        id: &ForeignId,
        enabled: bool,
    ) -> Result<ForeignToken, RepositoryError> {
        self.change(id, |row| row.enabled = enabled)
    }

    async fn assign(
        &self,
        id: &ForeignId,
        to: Option<&Username>,
    ) -> Result<ForeignToken, RepositoryError> {
        self.change(id, |row| row.user = to.map(|user| user.as_str().to_owned()))
    }

    async fn delete(&self, id: &ForeignId, _: Option<&str>) -> Result<(), RepositoryError> {
        self.asked()?;
        let gone = self.rows.lock().remove(id.as_str());
        gone.map(drop).ok_or(RepositoryError::NotFound)
    }
}

//! Lists: what is asked for, page by page (RFC 7644 sections 3.4.2 and 3.4.3).

use std::collections::{BTreeMap, HashMap};

use axum::http::StatusCode;
use axum::response::Response;
use counterfoil_authority::names::{GroupName, Username};
use counterfoil_authority::store::{PageRequest, UserFilter};
use counterfoil_authority::subject::{Group, User};
use scim_v2::filter::Filter;
use serde_json::{Map, Value, json};

use super::fault::Fault;
use super::matching::{self, Pin, asks};
use super::project::Shown;
use super::schema::{GROUPS, Resources, USERS};
use super::{LIST, Session, id, path, scim_json};

/// Resources of an answer, unless another number is asked for.
const COUNT_DEFAULT: usize = 100;
/// Resources of an answer at most.
pub(super) const COUNT_MAX: usize = 1000;
/// Records looked through for one answer at most: beyond, a filter has to name what it wants.
const LOOKED_THROUGH_MAX: usize = 200_000;
/// Records read at a time.
const PAGE: u32 = 1000;

/// What is asked for.
#[derive(Debug, Default)]
pub(super) struct Query {
    filter: Option<Filter>,
    /// Which resource is the first, counted from 1.
    start: usize,
    /// How many there are to be at most.
    count: usize,
    shown: Shown,
}

impl Query {
    /// Reads the parameters of an address. Those that order a list are ignored, as
    /// `ServiceProviderConfig` says.
    pub(super) fn of_parameters(parameters: &BTreeMap<String, String>) -> Result<Self, Fault> {
        let text = |name: &str| {
            let found = parameters.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
            found.map(|(_, value)| value.as_str())
        };
        let number = |name: &str| match text(name) {
            None => Ok(None),
            Some(text) => match text.trim().parse::<i64>() {
                Ok(number) => Ok(Some(number)),
                Err(_) => Err(Fault::value(name, "is a number")),
            },
        };
        let names = |name: &str| {
            let listed = text(name).unwrap_or_default().split(',').map(str::trim);
            listed.filter(|name| !name.is_empty()).map(str::to_owned).collect::<Vec<_>>()
        };
        let shown = Shown::read(names("attributes"), names("excludedAttributes"))?;
        Self::of(text("filter"), number("startIndex")?, number("count")?, shown)
    }

    /// Reads the body of a search.
    pub(super) fn of_body(body: &Map<String, Value>) -> Result<Self, Fault> {
        let given = |name: &str| super::patch::field(body, name).filter(|value| !value.is_null());
        let number = |name: &str| match given(name) {
            None => Ok(None),
            Some(value) => match value.as_i64() {
                Some(number) => Ok(Some(number)),
                None => Err(Fault::value(name, "is a number")),
            },
        };
        let names = |name: &str| -> Result<Vec<String>, Fault> {
            let Some(value) = given(name) else { return Ok(Vec::new()) };
            let list = value.as_array().ok_or_else(|| Fault::value(name, "is a list"))?;
            let texts = list.iter().map(|one| one.as_str().map(str::to_owned));
            texts.collect::<Option<_>>().ok_or_else(|| Fault::value(name, "is a list of names"))
        };
        let filter = match given("filter") {
            None => None,
            Some(Value::String(text)) => Some(text.as_str()),
            Some(_) => return Err(Fault::filter("filter is a string")),
        };
        let shown = Shown::read(names("attributes")?, names("excludedAttributes")?)?;
        Self::of(filter, number("startIndex")?, number("count")?, shown)
    }

    fn of(
        filter: Option<&str>,
        start: Option<i64>,
        count: Option<i64>,
        shown: Shown,
    ) -> Result<Self, Fault> {
        let filter = filter.filter(|text| !text.trim().is_empty());
        // Less than one is one, and less than nothing is nothing (RFC 7644 section 3.4.2.4).
        let start = usize::try_from(start.unwrap_or(1).max(1)).unwrap_or(usize::MAX);
        let count = match count {
            None => COUNT_DEFAULT,
            Some(count) => usize::try_from(count.max(0)).unwrap_or(COUNT_MAX).min(COUNT_MAX),
        };
        Ok(Self { filter: filter.map(path::filter).transpose()?, start, count, shown })
    }

    /// What to show of a single resource.
    pub(super) fn shown_of(parameters: &BTreeMap<String, String>) -> Result<Shown, Fault> {
        Ok(Self::of_parameters(parameters)?.shown)
    }
}

/// What was found so far, of which a part is shown.
struct Found {
    query: Query,
    total: usize,
    looked_at: usize,
    resources: Vec<Value>,
}

impl Found {
    /// Counts one more record that was looked at.
    fn look(&mut self) -> Result<(), Fault> {
        self.looked_at += 1;
        if self.looked_at > LOOKED_THROUGH_MAX {
            let why = "too many to look through; name one by userName, externalId or id";
            return Err(Fault::too_many(why));
        }
        Ok(())
    }

    /// Counts one more that matches; whether it is on the page.
    fn is_on_page(&mut self) -> bool {
        self.total += 1;
        self.total >= self.query.start && self.resources.len() < self.query.count
    }

    fn wants(&self, resources: &'static Resources, name: &str) -> bool {
        self.query.filter.as_ref().is_some_and(|filter| asks(filter, name))
            || self.query.shown.has(resources, name)
    }

    fn pin(&self, resources: &'static Resources) -> Option<Pin> {
        self.query.filter.as_ref().and_then(|filter| matching::pin(resources, filter))
    }
}

/// The ids of the groups that people of one answer are in: each is looked up once.
#[derive(Default)]
pub(super) struct GroupIds(HashMap<GroupName, Option<String>>);

impl GroupIds {
    /// The id of a group; `None` if it is gone, or not the caller's to know of.
    pub(super) async fn of(
        &mut self,
        session: &Session,
        name: &GroupName,
    ) -> Result<Option<String>, Fault> {
        if let Some(known) = self.0.get(name) {
            return Ok(known.clone());
        }
        let found = session.group_named(name).await?;
        let found = found.map(|group| id::id_of(group.name.as_str(), group.created_at));
        self.0.insert(name.clone(), found.clone());
        Ok(found)
    }
}

impl Session {
    /// A list of one sort of resources, or of both.
    pub(super) async fn list(
        &self,
        resources: Option<&'static Resources>,
        query: Query,
    ) -> Result<Response, Fault> {
        let mut found = Found { query, total: 0, looked_at: 0, resources: Vec::new() };
        let is = |one: &Resources| resources.is_none_or(|only| only.name == one.name);
        if is(&USERS) {
            self.list_users(&mut found).await?;
        }
        if is(&GROUPS) {
            self.list_groups(&mut found).await?;
        }
        let body = json!({
            "schemas": [LIST],
            "totalResults": found.total,
            "startIndex": found.query.start,
            "itemsPerPage": found.resources.len(),
            "Resources": found.resources,
        });
        Ok(scim_json(StatusCode::OK, &body))
    }

    async fn list_users(&self, found: &mut Found) -> Result<(), Fault> {
        let mut ids = GroupIds::default();
        let mut filter = UserFilter::default();
        match found.pin(&USERS) {
            Some(Pin::Name(name)) => {
                let Ok(name) = Username::parse(&name) else { return Ok(()) };
                let user = self.user_named(&name).await?;
                return self.add_users(found, &mut ids, user.into_iter().collect()).await;
            }
            Some(Pin::Id(id)) => {
                let user = self.user_of(&id).await?;
                return self.add_users(found, &mut ids, user.into_iter().collect()).await;
            }
            Some(Pin::ExternalId(id)) => filter.external_id = Some(id),
            Some(Pin::Link(id)) => match self.group_of(&id).await? {
                Some(group) => filter.group = Some(group.name),
                None => return Ok(()),
            },
            None => {}
        }
        let mut request = PageRequest::first(PAGE);
        loop {
            let authority = &self.asked.state.authority;
            let realm = &self.asked.realm;
            let page = authority.users(&self.caller, realm, filter.clone(), request).await?;
            self.add_users(found, &mut ids, page.items).await?;
            let Some(after) = page.next else { return Ok(()) };
            request = PageRequest { limit: PAGE, after: Some(after) };
        }
    }

    async fn add_users(
        &self,
        found: &mut Found,
        ids: &mut GroupIds,
        users: Vec<User>,
    ) -> Result<(), Fault> {
        let asks_groups = found.query.filter.as_ref().is_some_and(|one| asks(one, "groups"));
        let shows_groups = found.wants(&USERS, "groups");
        for user in users {
            found.look()?;
            if let Some(filter) = &found.query.filter {
                let resource = self.user_resource(&user, asks_groups.then_some(&mut *ids)).await?;
                if !matching::matches(&USERS, filter, &resource) {
                    continue;
                }
            }
            if found.is_on_page() {
                let resource = self.user_resource(&user, shows_groups.then_some(&mut *ids)).await?;
                found.resources.push(found.query.shown.cut(&USERS, resource).into());
            }
        }
        Ok(())
    }

    async fn list_groups(&self, found: &mut Found) -> Result<(), Fault> {
        match found.pin(&GROUPS) {
            Some(Pin::Name(name)) => {
                let Ok(name) = GroupName::parse(&name) else { return Ok(()) };
                let group = self.group_named(&name).await?;
                return self.add_groups(found, group.into_iter().collect()).await;
            }
            Some(Pin::Id(id)) => {
                let group = self.group_of(&id).await?;
                return self.add_groups(found, group.into_iter().collect()).await;
            }
            Some(Pin::Link(id)) => {
                let Some(user) = self.user_of(&id).await? else { return Ok(()) };
                for name in &user.groups {
                    let group = self.group_named(name).await?;
                    self.add_groups(found, group.into_iter().collect()).await?;
                }
                return Ok(());
            }
            Some(Pin::ExternalId(_)) | None => {}
        }
        let mut request = PageRequest::first(PAGE);
        loop {
            let authority = &self.asked.state.authority;
            let page = authority.groups(&self.caller, &self.asked.realm, request).await?;
            self.add_groups(found, page.items).await?;
            let Some(after) = page.next else { return Ok(()) };
            request = PageRequest { limit: PAGE, after: Some(after) };
        }
    }

    async fn add_groups(&self, found: &mut Found, groups: Vec<Group>) -> Result<(), Fault> {
        let asks_members = found.query.filter.as_ref().is_some_and(|one| asks(one, "members"));
        let shows_members = found.query.shown.has(&GROUPS, "members");
        for group in groups {
            found.look()?;
            if let Some(filter) = &found.query.filter {
                if asks_members {
                    found.looked_at += usize::try_from(group.members).unwrap_or(usize::MAX);
                }
                let resource = self.group_resource(&group, asks_members).await?;
                if !matching::matches(&GROUPS, filter, &resource) {
                    continue;
                }
            }
            if found.is_on_page() {
                let resource = self.group_resource(&group, shows_members).await?;
                found.resources.push(found.query.shown.cut(&GROUPS, resource).into());
            }
        }
        Ok(())
    }
}

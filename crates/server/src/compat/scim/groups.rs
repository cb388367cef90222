//! `/Groups`: groups of people, and who enters and leaves them.

use axum::http::StatusCode;
use axum::response::Response;
use counterfoil_authority::authority::{GroupEdit, MembersEdit};
use counterfoil_authority::clock::Timestamp;
use counterfoil_authority::names::{GroupName, Username};
use counterfoil_authority::refusal::Refusal;
use counterfoil_authority::store::{PageRequest, UserFilter};
use counterfoil_authority::subject::{Group, Provisioned};
use serde_json::{Map, Value, json};

use super::fault::Fault;
use super::list::Query;
use super::patch::{Op, Step};
use super::schema::{GROUP, GROUPS, USERS, named};
use super::{ATTEMPTS_MAX, Session, empty_answer, id, matching, patch, resource_answer, values};

/// Members read at a time.
const PAGE: u32 = 1000;
/// How often the members are looked through for one request at most. Whoever names people names
/// them by their ids, of which there may be any number.
const SOUGHT_MAX: usize = 10;
/// Where the members are.
const MEMBERS: &str = "members";

impl Session {
    /// A group by its name, if the caller sees groups.
    pub(super) async fn group_named(&self, name: &GroupName) -> Result<Option<Group>, Fault> {
        match self.asked.state.authority.group(&self.caller, &self.asked.realm, name).await {
            Ok(group) => Ok(Some(group)),
            // Whoever sees only themselves does not see the groups of others.
            Err(Refusal::NotFound(_) | Refusal::Forbidden(_)) => Ok(None),
            Err(refusal) => Err(refusal.into()),
        }
    }

    /// The group of an id.
    pub(super) async fn group_of(&self, id: &str) -> Result<Option<Group>, Fault> {
        let Some((name, created_at)) = id::parse(id) else { return Ok(None) };
        let Ok(name) = GroupName::parse(&name) else { return Ok(None) };
        let found = self.group_named(&name).await?;
        Ok(found.filter(|group| group.created_at == created_at))
    }

    async fn group_there(&self, id: &str) -> Result<Group, Fault> {
        self.group_of(id).await?.ok_or_else(Fault::not_found)
    }

    /// A group as a resource, with its members if they are wanted.
    pub(super) async fn group_resource(
        &self,
        group: &Group,
        with_members: bool,
    ) -> Result<Map<String, Value>, Fault> {
        let mut resource = resource_of(group);
        let id = id::id_of(group.name.as_str(), group.created_at);
        let times = (group.created_at, group.updated_at);
        resource.insert("meta".to_owned(), self.meta(&GROUPS, &id, times, group.version));
        resource.insert("schemas".to_owned(), json!([GROUP]));
        resource.insert("id".to_owned(), id.into());
        if with_members && group.members > 0 {
            let members = self.members(group).await?;
            if !members.is_empty() {
                resource.insert(MEMBERS.to_owned(), members.into());
            }
        }
        Ok(resource)
    }

    async fn members(&self, group: &Group) -> Result<Vec<Value>, Fault> {
        let authority = &self.asked.state.authority;
        let filter = UserFilter { group: Some(group.name.clone()), ..UserFilter::default() };
        let mut request = PageRequest::first(PAGE);
        let mut members = Vec::new();
        loop {
            let realm = &self.asked.realm;
            let page = authority.users(&self.caller, realm, filter.clone(), request).await?;
            let each = page.items.iter();
            members.extend(each.map(|user| self.member(user.username.as_str(), user.created_at)));
            let Some(after) = page.next else { return Ok(members) };
            request = PageRequest { limit: PAGE, after: Some(after) };
        }
    }

    async fn group_answer(&self, group: &Group) -> Result<Response, Fault> {
        let shown = Query::shown_of(&self.asked.query)?;
        let resource = self.group_resource(group, shown.has(&GROUPS, MEMBERS)).await?;
        let resource = shown.cut(&GROUPS, resource);
        Ok(resource_answer(StatusCode::OK, resource, group.version, None))
    }

    pub(super) async fn group_show(&self, id: &str) -> Result<Response, Fault> {
        let group = self.group_there(id).await?;
        if self.has_version(group.version) {
            return Ok(empty_answer(StatusCode::NOT_MODIFIED, Some(group.version)));
        }
        self.group_answer(&group).await
    }

    pub(super) async fn group_create(&self, body: &Map<String, Value>) -> Result<Response, Fault> {
        let mut said = values::resource(&GROUPS, body)?;
        let mut members = MembersEdit::default();
        if let Some(Value::Array(listed)) = said.remove(MEMBERS) {
            set_members(&mut members, &listed, true)?;
        }
        let (name, provisioned) = record_of(said)?;
        let named = members.named.iter();
        let listed: Vec<Value> =
            named.map(|(name, to)| self.member(name.as_str(), to.created_at)).collect();
        let edit = GroupEdit { provisioned: Some(provisioned), members, created_at: None };
        let authority = &self.asked.state.authority;
        let realm = &self.asked.realm;
        let shown = Query::shown_of(&self.asked.query)?;
        let group = authority.create_group_with(&self.caller, realm, name, edit).await?;
        // Nothing is read for the answer: the group is made, and a store that is down from here on
        // must not let it look as if it were not.
        let mut resource = self.group_resource(&group, false).await?;
        if !listed.is_empty() {
            resource.insert(MEMBERS.to_owned(), listed.into());
        }
        let id = id::id_of(group.name.as_str(), group.created_at);
        let place = self.location(&GROUPS, &id);
        let resource = shown.cut(&GROUPS, resource);
        Ok(resource_answer(StatusCode::CREATED, resource, group.version, Some(&place)))
    }

    /// A member as groups list them.
    fn member(&self, name: &str, created_at: Timestamp) -> Value {
        let id = id::id_of(name, created_at);
        json!({ "value": id, "$ref": self.location(&USERS, &id), "type": "User" })
    }

    pub(super) async fn group_replace(
        &self,
        id: &str,
        body: &Map<String, Value>,
    ) -> Result<Response, Fault> {
        let group = self.group_there(id).await?;
        let mut said = values::resource(&GROUPS, body)?;
        let mut members = MembersEdit::default();
        members.clear();
        if let Some(Value::Array(listed)) = said.remove(MEMBERS) {
            set_members(&mut members, &listed, true)?;
        }
        let (name, provisioned) = record_of(said)?;
        keeps_name(&group, &name)?;
        let created_at = Some(group.created_at);
        let edit = GroupEdit { provisioned: Some(provisioned), members, created_at };
        let authority = &self.asked.state.authority;
        let (caller, realm) = (&self.caller, &self.asked.realm);
        let changed = authority.edit_group(caller, realm, &name, &edit, self.if_match()).await?;
        self.group_answer(&changed).await
    }

    pub(super) async fn group_edit(
        &self,
        id: &str,
        body: &Map<String, Value>,
    ) -> Result<Response, Fault> {
        let steps = patch::steps(&GROUPS, body)?;
        let (moving, telling): (Vec<Step>, Vec<Step>) =
            steps.into_iter().partition(|step| step.spot.attribute.name == MEMBERS);
        let authority = &self.asked.state.authority;
        let (caller, realm) = (&self.caller, &self.asked.realm);
        for _ in 0..ATTEMPTS_MAX {
            let group = self.group_there(id).await?;
            self.expect(group.version)?;
            let members = self.moves(&group, &moving).await?;
            let provisioned = told(&group, &telling)?;
            // What depends on what was read counts only for that.
            let read = self.if_match().or_else(|| provisioned.as_ref().map(|_| group.version));
            let edit = GroupEdit { provisioned, members, created_at: Some(group.created_at) };
            match authority.edit_group(caller, realm, &group.name, &edit, read).await {
                Err(Refusal::VersionMismatch) if self.if_match().is_none() => {}
                settled => return self.edit_answer(&settled?).await,
            }
        }
        Err(Fault::version())
    }

    /// A large group is not sent back for every member that enters, unless somebody asks
    /// (RFC 7644 section 3.5.2).
    async fn edit_answer(&self, group: &Group) -> Result<Response, Fault> {
        let is_list = |name: &String| {
            let lists = ["attributes", "excludedAttributes"];
            lists.iter().any(|list| name.eq_ignore_ascii_case(list))
        };
        if self.asked.query.keys().any(is_list) {
            return self.group_answer(group).await;
        }
        Ok(empty_answer(StatusCode::NO_CONTENT, Some(group.version)))
    }

    /// Who is to be in a group, by the steps that are about its members.
    async fn moves(&self, group: &Group, steps: &[Step]) -> Result<MembersEdit, Fault> {
        let mut edit = MembersEdit::default();
        let mut members: Option<Vec<Value>> = None;
        let mut sought: usize = 0;
        for step in steps {
            let part = step.spot.part.map(|part| part.name);
            match (&step.filter, part) {
                (None, None | Some("value")) => move_listed(&mut edit, step)?,
                (Some(filter), None) if step.op == Op::Remove => {
                    if let Some(ids) = matching::ids(filter) {
                        leave(&mut edit, ids.iter().map(String::as_str));
                    } else {
                        sought += 1;
                        if sought > SOUGHT_MAX {
                            let why = "too many removals by a filter; name who leaves by value";
                            return Err(Fault::too_many(why));
                        }
                        if members.is_none() {
                            members = Some(self.members(group).await?);
                        }
                        let matching = members.iter().flatten().filter(|member| {
                            matching::matches_value(step.spot.attribute, filter, member)
                        });
                        let ids = matching.filter_map(|member| member.get("value"));
                        leave(&mut edit, ids.filter_map(Value::as_str));
                    }
                }
                _ => {
                    let why = "somebody is in the group or is not; there is nothing to change";
                    return Err(Fault::mutability(MEMBERS, why));
                }
            }
        }
        Ok(edit)
    }

    pub(super) async fn group_remove(&self, id: &str) -> Result<Response, Fault> {
        let group = self.group_there(id).await?;
        self.expect(group.version)?;
        let authority = &self.asked.state.authority;
        let (caller, realm) = (&self.caller, &self.asked.realm);
        let (made, version) = (Some(group.created_at), self.if_match());
        authority.delete_group(caller, realm, &group.name, made, version).await?;
        Ok(empty_answer(StatusCode::NO_CONTENT, None))
    }
}

/// A group as a provider may write it, without its members.
fn resource_of(group: &Group) -> Map<String, Value> {
    let kept = &group.provisioned.attributes;
    let mut resource: Map<String, Value> =
        kept.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
    let said = kept.get("displayName").and_then(Value::as_str);
    let same = said.is_some_and(|said| GroupName::parse(said).as_ref() == Ok(&group.name));
    if !same {
        resource.insert("displayName".to_owned(), group.name.as_str().into());
    }
    if let Some(id) = &group.provisioned.external_id {
        resource.insert("externalId".to_owned(), id.as_str().into());
    }
    resource
}

/// What is kept of a group, and its name.
fn record_of(mut said: Map<String, Value>) -> Result<(GroupName, Provisioned), Fault> {
    let name = said.get("displayName").and_then(Value::as_str);
    let name = name.ok_or_else(|| Fault::value("displayName", "is missing"))?;
    let name = GroupName::parse(name).map_err(|why| Fault::value("displayName", why))?;
    let external_id = match said.remove("externalId") {
        Some(Value::String(id)) if !id.is_empty() => Some(id),
        _ => None,
    };
    Ok((name, Provisioned { external_id, attributes: said.into_iter().collect() }))
}

fn keeps_name(group: &Group, name: &GroupName) -> Result<(), Fault> {
    if *name == group.name {
        return Ok(());
    }
    let why = "a group keeps the name that it was made with, by which services know it";
    Err(Fault::mutability("displayName", why))
}

/// What is kept of a group after steps that are not about its members; `None` if it is the same.
fn told(group: &Group, steps: &[Step]) -> Result<Option<Provisioned>, Fault> {
    if steps.is_empty() {
        return Ok(None);
    }
    let mut resource = resource_of(group);
    for step in steps {
        patch::apply(&mut resource, step)?;
    }
    if !resource.contains_key("displayName") {
        return Err(Fault::mutability("displayName", "every group has one"));
    }
    let (name, provisioned) = record_of(resource)?;
    keeps_name(group, &name)?;
    let is_same = resource_of(&Group { provisioned: provisioned.clone(), ..group.clone() })
        == resource_of(group);
    Ok((!is_same).then_some(provisioned))
}

/// Those who stand in a step enter, leave, or are all that there shall be.
fn move_listed(edit: &mut MembersEdit, step: &Step) -> Result<(), Fault> {
    let listed = named(GROUPS.core.attributes, MEMBERS)
        .map(|members| values::whole(members, &step.value))
        .transpose()?
        .flatten();
    let listed = match listed {
        Some(Value::Array(listed)) => listed,
        _ => Vec::new(),
    };
    match step.op {
        Op::Add => set_members(edit, &listed, true),
        Op::Replace => {
            edit.clear();
            set_members(edit, &listed, true)
        }
        Op::Remove if listed.is_empty() => {
            edit.clear();
            Ok(())
        }
        Op::Remove => {
            let ids = listed.iter().filter_map(|member| member.get("value"));
            leave(edit, ids.filter_map(Value::as_str));
            Ok(())
        }
    }
}

fn set_members(edit: &mut MembersEdit, listed: &[Value], member: bool) -> Result<(), Fault> {
    for one in listed {
        let text = |name: &str| one.get(name).and_then(Value::as_str);
        let is_group = text("type").is_some_and(|sort| sort.eq_ignore_ascii_case("group"))
            || text("$ref").is_some_and(|place| place.contains("/Groups/"));
        if is_group {
            return Err(Fault::value(MEMBERS, "are people; groups within groups are not kept"));
        }
        let known = text("value").and_then(person_of);
        let (name, at) = known.ok_or_else(|| Fault::value(MEMBERS, "there is no such person"))?;
        edit.set(name, at, member);
    }
    Ok(())
}

/// Who is not known is not in the group.
fn leave<'a>(edit: &mut MembersEdit, ids: impl Iterator<Item = &'a str>) {
    for (name, at) in ids.filter_map(person_of) {
        edit.set(name, at, false);
    }
}

fn person_of(id: &str) -> Option<(Username, Timestamp)> {
    let (name, created_at) = id::parse(id)?;
    Some((Username::parse(&name).ok()?, created_at))
}

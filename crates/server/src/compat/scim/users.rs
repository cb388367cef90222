//! `/Users`: people come, change and go.

use axum::http::StatusCode;
use axum::response::Response;
use counterfoil_authority::names::Username;
use counterfoil_authority::refusal::Refusal;
use counterfoil_authority::subject::User;
use serde_json::{Map, Value, json};

use super::fault::Fault;
use super::list::{GroupIds, Query};
use super::schema::{ENTERPRISE, GROUPS, USER, USERS};
use super::user::{Wanted, fits_meanwhile, resource_of};
use super::{ATTEMPTS_MAX, Session, empty_answer, id, patch, resource_answer, values};

impl Session {
    /// A person by their name, if the caller sees them.
    pub(super) async fn user_named(&self, name: &Username) -> Result<Option<User>, Fault> {
        match self.asked.state.authority.user(&self.caller, &self.asked.realm, name).await {
            Ok(user) => Ok(Some(user)),
            Err(Refusal::NotFound(_)) => Ok(None),
            Err(refusal) => Err(refusal.into()),
        }
    }

    /// The person of an id.
    pub(super) async fn user_of(&self, id: &str) -> Result<Option<User>, Fault> {
        let Some((name, created_at)) = id::parse(id) else { return Ok(None) };
        let Ok(name) = Username::parse(&name) else { return Ok(None) };
        let found = self.user_named(&name).await?;
        Ok(found.filter(|user| user.created_at == created_at))
    }

    async fn user_there(&self, id: &str) -> Result<User, Fault> {
        self.user_of(id).await?.ok_or_else(Fault::not_found)
    }

    /// A person as a resource; with their groups, if somebody can tell their ids.
    pub(super) async fn user_resource(
        &self,
        user: &User,
        groups: Option<&mut GroupIds>,
    ) -> Result<Map<String, Value>, Fault> {
        let mut resource = resource_of(user);
        let id = id::id_of(user.username.as_str(), user.created_at);
        let extended = resource.contains_key(ENTERPRISE);
        let schemas = if extended { json!([USER, ENTERPRISE]) } else { json!([USER]) };
        let times = (user.created_at, user.updated_at);
        resource.insert("meta".to_owned(), self.meta(&USERS, &id, times, user.version));
        resource.insert("schemas".to_owned(), schemas);
        resource.insert("id".to_owned(), id.into());
        if let Some(ids) = groups
            && !user.groups.is_empty()
        {
            let mut listed = Vec::with_capacity(user.groups.len());
            for name in &user.groups {
                let Some(id) = ids.of(self, name).await? else { continue };
                let place = self.location(&GROUPS, &id);
                listed.push(json!({
                    "value": id, "$ref": place, "display": name.as_str(), "type": "direct"
                }));
            }
            resource.insert("groups".to_owned(), listed.into());
        }
        Ok(resource)
    }

    async fn user_answer(&self, status: StatusCode, user: &User) -> Result<Response, Fault> {
        let shown = Query::shown_of(&self.asked.query)?;
        let mut ids = GroupIds::default();
        let wanted = shown.has(&USERS, "groups").then_some(&mut ids);
        let resource = self.user_resource(user, wanted).await?;
        let id = id::id_of(user.username.as_str(), user.created_at);
        let place = self.location(&USERS, &id);
        let place = (status == StatusCode::CREATED).then_some(&*place);
        Ok(resource_answer(status, shown.cut(&USERS, resource), user.version, place))
    }

    pub(super) async fn user_show(&self, id: &str) -> Result<Response, Fault> {
        let user = self.user_there(id).await?;
        if self.has_version(user.version) {
            return Ok(empty_answer(StatusCode::NOT_MODIFIED, Some(user.version)));
        }
        self.user_answer(StatusCode::OK, &user).await
    }

    pub(super) async fn user_create(&self, body: &Map<String, Value>) -> Result<Response, Fault> {
        let draft = Wanted::of(values::resource(&USERS, body)?)?.draft();
        // Before anybody is made whose answer could not be written.
        drop(Query::shown_of(&self.asked.query)?);
        let authority = &self.asked.state.authority;
        let user = authority.create_user(&self.caller, &self.asked.realm, draft).await?;
        self.user_answer(StatusCode::CREATED, &user).await
    }

    /// Makes a person what `wanted` says of how they are, however often others change them
    /// meanwhile.
    async fn user_change(
        &self,
        id: &str,
        wanted: impl Fn(&User) -> Result<Wanted, Fault>,
    ) -> Result<User, Fault> {
        let authority = &self.asked.state.authority;
        for _ in 0..ATTEMPTS_MAX {
            let user = self.user_there(id).await?;
            self.expect(user.version)?;
            let wanted = wanted(&user)?;
            let is_to_rest = wanted.is_to_rest();
            let Some(edit) = wanted.edit(&user)? else {
                if is_to_rest {
                    let (caller, realm) = (&self.caller, &self.asked.realm);
                    authority.sign_out_inactive(caller, realm, &user.username).await?;
                }
                return Ok(user);
            };
            let (realm, read) = (&self.asked.realm, Some(user.version));
            match authority.edit_user(&self.caller, realm, &user.username, edit, read).await {
                Err(Refusal::VersionMismatch) if self.if_match().is_none() => {}
                settled => return Ok(settled?),
            }
        }
        Err(Fault::version())
    }

    pub(super) async fn user_replace(
        &self,
        id: &str,
        body: &Map<String, Value>,
    ) -> Result<Response, Fault> {
        let said = values::resource(&USERS, body)?;
        let user = self.user_change(id, |_| Wanted::of(said.clone())).await?;
        self.user_answer(StatusCode::OK, &user).await
    }

    pub(super) async fn user_edit(
        &self,
        id: &str,
        body: &Map<String, Value>,
    ) -> Result<Response, Fault> {
        let steps = patch::steps(&USERS, body)?;
        let edited = |user: &User| {
            let mut resource = resource_of(user);
            for step in &steps {
                patch::apply(&mut resource, step)?;
                fits_meanwhile(&resource)?;
            }
            if !resource.contains_key("userName") {
                return Err(Fault::mutability("userName", "everybody has one"));
            }
            Wanted::of(resource)
        };
        let user = self.user_change(id, edited).await?;
        self.user_answer(StatusCode::OK, &user).await
    }

    pub(super) async fn user_remove(&self, id: &str) -> Result<Response, Fault> {
        let user = self.user_there(id).await?;
        self.expect(user.version)?;
        let authority = &self.asked.state.authority;
        let (caller, realm) = (&self.caller, &self.asked.realm);
        let (made, version) = (Some(user.created_at), self.if_match());
        authority.delete_user(caller, realm, &user.username, made, version).await?;
        Ok(empty_answer(StatusCode::NO_CONTENT, None))
    }
}

//! Secrets that somebody pasted where a name or an address belongs: what is said of people,
//! groups, services and all else that is administered stands in lists, in directories and in
//! events, and is kept as clear text. What is refused is what somebody says now: a text that stood
//! there before keeps nobody from changing another one, unless a form says all of them again.

use serde::Serialize;
use serde_json::Value;

use super::import::{Incoming, IncomingToken};
use super::{
    Authority, ClientDraft, ClientEdit, GrantDraft, GroupEdit, PolicyEdit, RealmDraft, RealmEdit,
    ServiceDraft, ServiceEdit, TargetDraft, TargetEdit, UnitDraft, UnitEdit, UserDraft, UserEdit,
};
use crate::am::AmDocument;
use crate::names::GroupName;
use crate::refusal::Refusal;
use crate::scope::Scope;
use crate::subject::Provisioned;
use crate::token::Token;

impl Authority {
    pub(super) fn refuse_tokens_in_draft(&self, draft: &UserDraft) -> Result<(), Refusal> {
        self.refuse_token_in_name("username", draft.username.as_str())?;
        if let Some(name) = &draft.display_name {
            self.refuse_token("display_name", name)?;
        }
        for email in &draft.emails {
            self.refuse_token("emails", email)?;
        }
        self.refuse_tokens_among("attributes", &draft.attributes)?;
        self.refuse_tokens_provisioned(&draft.provisioned)
    }

    pub(super) fn refuse_tokens_in_edit(&self, edit: &UserEdit) -> Result<(), Refusal> {
        if let Some(Some(name)) = &edit.display_name {
            self.refuse_token("display_name", name)?;
        }
        for email in edit.emails.iter().flatten() {
            self.refuse_token("emails", email)?;
        }
        if let Some(attributes) = &edit.attributes {
            self.refuse_tokens_among("attributes", attributes)?;
        }
        edit.provisioned.as_ref().map_or(Ok(()), |said| self.refuse_tokens_provisioned(said))
    }

    /// The same of a group that is to be made.
    pub(super) fn refuse_tokens_in_group(
        &self,
        name: &GroupName,
        description: Option<&str>,
    ) -> Result<(), Refusal> {
        self.refuse_token_in_name("name", name.as_str())?;
        description.map_or(Ok(()), |text| self.refuse_token("description", text))
    }

    pub(super) fn refuse_tokens_in_group_edit(&self, edit: &GroupEdit) -> Result<(), Refusal> {
        edit.provisioned.as_ref().map_or(Ok(()), |said| self.refuse_tokens_provisioned(said))
    }

    /// The same of a record of another system. Whom or what it only refers to has a record of its
    /// own, or is here.
    pub(super) fn refuse_tokens_in_incoming(&self, incoming: &Incoming) -> Result<(), Refusal> {
        match incoming {
            Incoming::Group(name, description) => {
                self.refuse_tokens_in_group(name, description.as_deref())
            }
            Incoming::Unit(unit) => {
                self.refuse_token("name", &unit.name)?;
                self.refuse_token("external_id", &unit.key)
            }
            Incoming::Service(draft) => self.refuse_tokens_in_service(draft),
            Incoming::User(draft) => self.refuse_tokens_in_draft(draft),
            Incoming::Member(..) => Ok(()),
            Incoming::Token(token) => self.refuse_tokens_in_token(token),
        }
    }

    fn refuse_tokens_in_token(&self, token: &IncomingToken) -> Result<(), Refusal> {
        let facts = &token.facts;
        self.refuse_token_among([
            ("name", facts.name.as_deref()),
            ("description", facts.description.as_deref()),
        ])?;
        // It is a label as well.
        self.refuse_token("labels", &token.row)?;
        for (name, text) in &facts.labels {
            self.refuse_token("labels", name)?;
            self.refuse_token("labels", text)?;
        }
        Ok(())
    }

    /// A realm's own name has no room for the mark of a token.
    pub(super) fn refuse_tokens_in_realm(&self, draft: &RealmDraft) -> Result<(), Refusal> {
        self.refuse_token_among([("display_name", draft.display_name.as_deref())])?;
        self.refuse_tokens_in_settings("token_policy", &draft.token_policy)
    }

    pub(super) fn refuse_tokens_in_realm_edit(&self, edit: &RealmEdit) -> Result<(), Refusal> {
        self.refuse_token_among([(
            "display_name",
            edit.display_name.as_ref().and_then(Option::as_deref),
        )])?;
        self.refuse_tokens_among("token_policy", edit.token_policy.iter().flatten())
    }

    pub(super) fn refuse_tokens_in_service(&self, draft: &ServiceDraft) -> Result<(), Refusal> {
        self.refuse_token_in_name("label", draft.label.as_str())?;
        self.refuse_token_among([
            ("name", Some(draft.name.as_str())),
            ("description", draft.description.as_deref()),
            ("url", draft.url.as_deref()),
            ("contact", draft.contact.as_deref()),
            ("logo_url", draft.logo_url.as_deref()),
            ("entitlement_uri", draft.entitlement_uri.as_deref()),
        ])?;
        self.refuse_tokens_in_settings("token_policy", &draft.token_policy)?;
        self.refuse_tokens_in_settings("forward_auth", &draft.forward_auth)
    }

    pub(super) fn refuse_tokens_in_service_edit(&self, edit: &ServiceEdit) -> Result<(), Refusal> {
        self.refuse_token_among([
            ("name", edit.name.as_deref()),
            ("description", edit.description.as_ref().and_then(Option::as_deref)),
            ("url", edit.url.as_ref().and_then(Option::as_deref)),
            ("contact", edit.contact.as_ref().and_then(Option::as_deref)),
            ("logo_url", edit.logo_url.as_ref().and_then(Option::as_deref)),
            ("entitlement_uri", edit.entitlement_uri.as_ref().and_then(Option::as_deref)),
        ])?;
        match &edit.token_policy {
            Some(PolicyEdit::Merge(patch)) => self.refuse_tokens_among("token_policy", patch)?,
            Some(PolicyEdit::Replace(all)) => {
                self.refuse_tokens_in_settings("token_policy", all)?;
            }
            None => {}
        }
        self.refuse_tokens_among("forward_auth", edit.forward_auth.iter().flatten())
    }

    pub(super) fn refuse_tokens_in_unit(&self, draft: &UnitDraft) -> Result<(), Refusal> {
        self.refuse_token_among([
            ("name", Some(draft.name.as_str())),
            ("identifier", draft.identifier.as_deref()),
            ("external_id", draft.external_id.as_deref()),
        ])
    }

    pub(super) fn refuse_tokens_in_unit_edit(&self, edit: &UnitEdit) -> Result<(), Refusal> {
        self.refuse_token_among([
            ("name", edit.name.as_deref()),
            ("identifier", edit.identifier.as_ref().and_then(Option::as_deref)),
            ("external_id", edit.external_id.as_ref().and_then(Option::as_deref)),
        ])
    }

    pub(super) fn refuse_tokens_in_client(&self, draft: &ClientDraft) -> Result<(), Refusal> {
        self.refuse_token_in_name("name", draft.name.as_str())?;
        self.refuse_token_among([("description", draft.description.as_deref())])?;
        self.refuse_tokens_in_settings("limits", &draft.limits)
    }

    pub(super) fn refuse_tokens_in_client_edit(&self, edit: &ClientEdit) -> Result<(), Refusal> {
        self.refuse_token_among([(
            "description",
            edit.description.as_ref().and_then(Option::as_deref),
        )])?;
        edit.limits.as_ref().map_or(Ok(()), |all| self.refuse_tokens_in_settings("limits", all))
    }

    pub(super) fn refuse_tokens_in_grant(&self, draft: &GrantDraft) -> Result<(), Refusal> {
        self.refuse_tokens_in_settings("limits", &draft.limits)
    }

    /// A document of the AM door, whose names stand in events too.
    pub(super) fn refuse_tokens_in_document(
        &self,
        name: &str,
        document: &AmDocument,
    ) -> Result<(), Refusal> {
        self.refuse_token("name", name)?;
        let said = document.to_json().map_err(|e| Refusal::invalid("document", e))?;
        self.refuse_token("document", &said)
    }

    /// What is said of a token. Names and reasons stand in lists, logs and events.
    pub(super) fn refuse_pasted_tokens(&self, token: &Token) -> Result<(), Refusal> {
        self.refuse_token_among([
            ("name", token.name.as_deref()),
            ("description", token.description.as_deref()),
            ("serial", token.airlock.serial.as_deref()),
            ("tracking_id", token.airlock.tracking_id.as_deref()),
            ("identifier", token.sentinel.identifier.as_deref()),
            ("ref_id_1", token.sentinel.ref_id_1.as_deref()),
            ("ref_id_2", token.sentinel.ref_id_2.as_deref()),
            ("permissions", token.permissions.as_deref()),
        ])?;
        self.refuse_tokens_in_scopes(&token.scopes)?;
        let mut labels = token.labels.iter().flat_map(|(name, text)| [name, text]);
        labels.try_for_each(|text| self.refuse_token("labels", text))?;
        let mut data = token.airlock.generic_data.values();
        data.try_for_each(|text| self.refuse_token("generic_data", text))
    }

    /// Before any of them is said not to be on offer, by its name.
    pub(super) fn refuse_tokens_in_scopes(&self, scopes: &[Scope]) -> Result<(), Refusal> {
        scopes.iter().try_for_each(|scope| self.refuse_token("scopes", scope.as_str()))
    }

    /// A target's own secret is none of these texts: it is sealed.
    pub(super) fn refuse_tokens_in_target(&self, draft: &TargetDraft) -> Result<(), Refusal> {
        self.refuse_token_in_name("name", draft.name.as_str())?;
        self.refuse_tokens_in_settings("config", &draft.config)
    }

    pub(super) fn refuse_tokens_in_target_edit(&self, edit: &TargetEdit) -> Result<(), Refusal> {
        self.refuse_tokens_among("config", &edit.config)
    }

    fn refuse_token_among<const N: usize>(
        &self,
        texts: [(&str, Option<&str>); N],
    ) -> Result<(), Refusal> {
        let mut said = texts.into_iter().filter_map(|(field, text)| Some((field, text?)));
        said.try_for_each(|(field, text)| self.refuse_token(field, text))
    }

    fn refuse_tokens_in_settings(
        &self,
        field: &str,
        settings: &impl Serialize,
    ) -> Result<(), Refusal> {
        let said = serde_json::to_value(settings).map_err(|e| Refusal::invalid(field, e))?;
        if self.is_token_within(&said) { Err(held(field)) } else { Ok(()) }
    }

    fn refuse_tokens_provisioned(&self, said: &Provisioned) -> Result<(), Refusal> {
        if let Some(id) = &said.external_id {
            self.refuse_token("externalId", id)?;
        }
        for (name, value) in &said.attributes {
            self.refuse_token("attributes", name)?;
            if self.is_token_within(value) {
                // By the name that the provider knows it by.
                return Err(held(name));
            }
        }
        Ok(())
    }

    fn refuse_tokens_among<'a>(
        &self,
        field: &str,
        values: impl IntoIterator<Item = (&'a String, &'a Value)>,
    ) -> Result<(), Refusal> {
        for (name, value) in values {
            if self.holds_token(name) || self.is_token_within(value) {
                return Err(held(field));
            }
        }
        Ok(())
    }

    pub(super) fn refuse_token(&self, field: &str, text: &str) -> Result<(), Refusal> {
        if self.holds_token(text) { Err(held(field)) } else { Ok(()) }
    }

    /// A name is in lower case by now.
    fn refuse_token_in_name(&self, field: &str, name: &str) -> Result<(), Refusal> {
        if self.is_token_in_name(name) { Err(held(field)) } else { Ok(()) }
    }

    /// In any text of a value, however deep, or in any name.
    fn is_token_within(&self, value: &Value) -> bool {
        match value {
            Value::String(text) => self.holds_token(text),
            Value::Array(each) => each.iter().any(|one| self.is_token_within(one)),
            Value::Object(parts) => {
                parts.iter().any(|(name, one)| self.holds_token(name) || self.is_token_within(one))
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => false,
        }
    }
}

fn held(field: &str) -> Refusal {
    Refusal::invalid(field, "holds a token; a secret is never part of a text")
}

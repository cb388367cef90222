//! Secrets that somebody pasted where a name or an address belongs: what is said of people and
//! groups stands in lists, in directories and in events, and is kept as clear text.

use serde_json::Value;

use super::membership::GroupEdit;
use super::users::{UserDraft, UserEdit};
use crate::authority::Authority;
use crate::authority::import::{Incoming, IncomingToken};
use crate::names::GroupName;
use crate::refusal::Refusal;
use crate::subject::Provisioned;

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
    pub(in crate::authority) fn refuse_tokens_in_incoming(
        &self,
        incoming: &Incoming,
    ) -> Result<(), Refusal> {
        match incoming {
            Incoming::Group(name, description) => {
                self.refuse_tokens_in_group(name, description.as_deref())
            }
            Incoming::Unit(unit) => {
                self.refuse_token("name", &unit.name)?;
                self.refuse_token("external_id", &unit.key)
            }
            Incoming::Service(draft) => {
                self.refuse_token_in_name("label", draft.label.as_str())?;
                self.refuse_token("name", &draft.name)?;
                let texts = [
                    ("description", &draft.description),
                    ("url", &draft.url),
                    ("contact", &draft.contact),
                    ("logo_url", &draft.logo_url),
                    ("entitlement_uri", &draft.entitlement_uri),
                ];
                self.refuse_token_among(texts)
            }
            Incoming::User(draft) => self.refuse_tokens_in_draft(draft),
            Incoming::Member(..) => Ok(()),
            Incoming::Token(token) => self.refuse_tokens_in_token(token),
        }
    }

    fn refuse_tokens_in_token(&self, token: &IncomingToken) -> Result<(), Refusal> {
        let facts = &token.facts;
        self.refuse_token_among([("name", &facts.name), ("description", &facts.description)])?;
        // It is a label as well.
        self.refuse_token("labels", &token.row)?;
        for (name, text) in &facts.labels {
            self.refuse_token("labels", name)?;
            self.refuse_token("labels", text)?;
        }
        Ok(())
    }

    fn refuse_token_among<const N: usize>(
        &self,
        texts: [(&str, &Option<String>); N],
    ) -> Result<(), Refusal> {
        let mut said = texts.into_iter().filter_map(|(field, text)| Some((field, text.as_ref()?)));
        said.try_for_each(|(field, text)| self.refuse_token(field, text))
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

    fn refuse_token(&self, field: &str, text: &str) -> Result<(), Refusal> {
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

//! Secrets that somebody pasted where a name or an address belongs: what is said of people and
//! groups stands in lists, in directories and in events, and is kept as clear text.

use serde_json::Value;

use super::membership::GroupEdit;
use super::users::{UserDraft, UserEdit};
use crate::authority::Authority;
use crate::names::GroupName;
use crate::refusal::Refusal;
use crate::subject::Provisioned;

impl Authority {
    pub(super) fn refuse_tokens_in_draft(&self, draft: &UserDraft) -> Result<(), Refusal> {
        self.refuse_token("username", draft.username.as_str())?;
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
        self.refuse_token("name", name.as_str())?;
        description.map_or(Ok(()), |text| self.refuse_token("description", text))
    }

    pub(super) fn refuse_tokens_in_group_edit(&self, edit: &GroupEdit) -> Result<(), Refusal> {
        edit.provisioned.as_ref().map_or(Ok(()), |said| self.refuse_tokens_provisioned(said))
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

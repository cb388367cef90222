//! Letters: what an event comes to for the person whose token it is about.
//!
//! Read when the letter is sent, so that an address which was corrected meanwhile is the one that
//! is written to.

use crate::authority::Authority;
use crate::event::Event;
use crate::kind::Kind;
use crate::names::{RealmName, Username};
use crate::provision::letter::{CODE_SENT, Facts, Letter};
use crate::provision::{Object, Target};
use crate::secret::{ClearSecret, TokenId};
use crate::service::Services;
use crate::store::{Link, Unavailable};
use crate::token::Token;

/// What a link that waits for its letter is sealed to.
fn link_row(link: TokenId) -> String {
    format!("link {link}")
}

impl Authority {
    /// The link's clear text, sealed, where a letter will have to hold it.
    pub(in crate::authority) async fn sealed_link(
        &self,
        realm: &RealmName,
        link: TokenId,
        clear: &ClearSecret,
    ) -> Result<Option<Vec<u8>>, crate::refusal::Refusal> {
        let cell = self.realm_facts(realm).await?;
        if !cell.needs.iter().any(super::HashNeed::is_of_letters) {
            return Ok(None);
        }
        let sealed = self.keys().seal(&link_row(link), clear.reveal().as_bytes(), self.entropy());
        Ok(Some(sealed?))
    }

    /// The letter that tells of an event; `None` where there is nobody to write to any more, or
    /// nothing that concerns a person.
    pub(super) async fn letter(
        &self,
        target: &Target,
        event: &Event,
    ) -> Result<Option<Letter>, Unavailable> {
        let Some(Object::User(name)) = event.subject.as_deref().map(Object::from_name) else {
            return Ok(None);
        };
        let (Ok(username), Some(id)) = (Username::parse(&name), event.token) else {
            return Ok(None);
        };
        let realm = &event.realm;
        let Some(user) = self.store.user_find(realm, &username).await? else { return Ok(None) };
        let Some(token) = self.store.token_find(realm, id).await? else { return Ok(None) };
        let told =
            [Kind::PersonalAccessToken, Kind::ServiceToken, Kind::RegistrationToken, Kind::Generic];
        if !told.contains(&token.kind) {
            return Ok(None);
        }
        let labels: Vec<String> =
            token.service_labels().into_iter().map(ToOwned::to_owned).collect();
        let named = target.config.services.as_ref();
        if !named.is_none_or(|named| named.iter().any(|one| token.services.includes(one))) {
            return Ok(None);
        }
        let Some(found) = self.store.realm_find(realm).await? else { return Ok(None) };
        let named = found.display_name.unwrap_or_else(|| found.name.to_string());
        let (services, service_url) = self.named_services(&token).await?;
        let facts = Facts {
            token_name: token.name.as_deref(),
            kind: token.kind,
            realm: &named,
            services,
            labels,
            service_url: service_url.as_deref(),
            expires_at: token.validity.expires_at(),
            link: self.link_of(event, &token).await?,
            code: self.code_of(event, &token).await?,
        };
        // What was to be told is no longer so: the code was used, replaced, or has ended.
        if event.kind == CODE_SENT && facts.code.is_none() {
            return Ok(None);
        }
        Ok(Letter::of(event, &user, &target.config.templates, facts))
    }

    /// What the services of a token are called, and where the one of several is.
    async fn named_services(
        &self,
        token: &Token,
    ) -> Result<(Vec<String>, Option<String>), Unavailable> {
        let Services::Named(labels) = &token.services else { return Ok((Vec::new(), None)) };
        let mut names = Vec::new();
        let mut url = None;
        for label in labels {
            let found = self.store.service_find(&token.realm, label).await?;
            url = found.as_ref().and_then(|service| service.url.clone()).or(url);
            names.push(found.map_or_else(|| label.to_string(), |service| service.name));
        }
        Ok((names, url))
    }

    /// The link that an event tells of, while it can be opened.
    async fn link_of(
        &self,
        event: &Event,
        token: &Token,
    ) -> Result<Option<(ClearSecret, crate::clock::Timestamp)>, Unavailable> {
        let named = event.detail.as_ref().and_then(|detail| detail.get("link")?.as_str());
        let id = named.filter(|_| event.kind == "token.issued");
        let Some(id) = id.and_then(TokenId::parse) else {
            return Ok(None);
        };
        let Some(link) = self.store.link_find(id).await? else { return Ok(None) };
        let waits = link.token == token.id && link.opened_at.is_none();
        let Link { expires_at, sealed: Some(sealed), .. } = link else { return Ok(None) };
        if !waits || expires_at <= self.now() {
            return Ok(None);
        }
        let opened = self.keys().open(&link_row(id), &sealed).map_err(Unavailable::new)?;
        let clear = String::from_utf8_lossy(&opened).into_owned();
        Ok(Some((ClearSecret::new(clear), expires_at)))
    }
}

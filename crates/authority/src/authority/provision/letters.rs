//! Letters: what an event comes to for a person whose token, or tokens, it is about.
//!
//! Read when the letter is sent, so that an address which was corrected meanwhile is the one that
//! is written to.

use crate::authority::Authority;
use crate::brownout::{Brownout, Window};
use crate::event::{ALARMS, Event};
use crate::kind::Kind;
use crate::names::{RealmName, ServiceLabel, Username};
use crate::notice::is_persons;
use crate::provision::Target;
use crate::provision::letter::{CODE_SENT, Facts, Letter};
use crate::refusal::Refusal;
use crate::scope::Scope;
use crate::secret::{ClearSecret, TokenId};
use crate::service::{Services, Viewer};
use crate::store::{Link, PageRequest, TokenFilter, Unavailable, day_of};
use crate::subject::{Owner, User};
use crate::token::{State, Token};

/// Kinds of tokens that people are told of.
const TOLD: [Kind; 4] =
    [Kind::PersonalAccessToken, Kind::ServiceToken, Kind::RegistrationToken, Kind::Generic];
/// Days of use that a letter about an alarm looks back on.
const DAYS_TOLD: i64 = 30;
/// Lines of use that it tells, the latest.
const USES_TOLD: usize = 10;
/// Tokens of a person that are read at once, to find one that a lock of its service hits.
const TOKENS_PER_LOOK: u32 = 100;

/// Tokens that count as far as they can tell themselves.
fn any() -> TokenFilter {
    TokenFilter { state: Some(State::Active), ..TokenFilter::default() }
}

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

    /// The letter that tells somebody of an event; `None` where there is nobody to write to any
    /// more, or nothing that concerns them.
    pub(super) async fn letter(
        &self,
        target: &Target,
        event: &Event,
        name: &str,
    ) -> Result<Option<Letter>, Unavailable> {
        let Ok(username) = Username::parse(name) else { return Ok(None) };
        let realm = &event.realm;
        let Some(user) = self.store.user_find(realm, &username).await? else { return Ok(None) };
        let Some(found) = self.store.realm_find(realm).await? else { return Ok(None) };
        let named = found.display_name.unwrap_or_else(|| found.name.to_string());
        let templates = &target.config.templates;
        let Some(id) = event.token else {
            let Some(services) = self.locked_for(event, &user).await? else { return Ok(None) };
            let (services, service_url) = self.named_services(realm, &services).await?;
            let facts = Facts {
                token_name: None,
                kind: None,
                realm: &named,
                services,
                labels: event.service.clone().into_iter().collect(),
                owner: String::new(),
                keeps: false,
                service_url: service_url.as_deref(),
                expires_at: None,
                brown_out: None,
                link: None,
                code: None,
                scopes: String::new(),
                uses: String::new(),
            };
            return Ok(Letter::of(event, &user, templates, facts));
        };
        let Some(token) = self.store.token_find(realm, id).await? else { return Ok(None) };
        let among = target.config.services.as_ref();
        let concerned = |label: &String| token.services.includes(label);
        let is_alarm = ALARMS.contains(&&*event.kind);
        // Of alarms everybody hears whose token it is; a decoy has nothing else to tell.
        if !(TOLD.contains(&token.kind) || is_alarm)
            || !among.is_none_or(|among| among.iter().any(concerned))
        {
            return Ok(None);
        }
        let labels = token.service_labels().into_iter().map(ToOwned::to_owned).collect();
        let (services, service_url) = self.named_services(realm, &token.services).await?;
        let facts = Facts {
            token_name: token.name.as_deref(),
            kind: Some(token.kind),
            realm: &named,
            services,
            labels,
            owner: token.owner.name().to_owned(),
            keeps: event.subject.as_deref() != Some(&Owner::User(username).actor()),
            service_url: service_url.as_deref(),
            expires_at: token.validity.expires_at(),
            brown_out: self.brown_out_of(&token).await?,
            link: self.link_of(event, &token).await?,
            code: self.code_of(event, &token).await?,
            scopes: token.scopes.iter().map(Scope::as_str).collect::<Vec<_>>().join(" "),
            uses: if is_alarm { self.uses_told(token.id).await? } else { String::new() },
        };
        // What was to be told is no longer so: the code was used, replaced, or has ended.
        if event.kind == CODE_SENT && facts.code.is_none() {
            return Ok(None);
        }
        Ok(Letter::of(event, &user, templates, facts))
    }

    /// Where a token was used lately, in one line.
    async fn uses_told(&self, token: TokenId) -> Result<String, Unavailable> {
        let from = day_of(self.now()) - DAYS_TOLD;
        let mut days = self.store.use_days_find(vec![token], from).await?;
        days.sort_by_key(|day| std::cmp::Reverse(day.last_at));
        let told = days.iter().take(USES_TOLD).map(|day| {
            let from = day.last_ip.map_or_else(|| "-".to_owned(), |ip| ip.to_string());
            let at = day.last_at.to_string();
            format!("{} {} {}x {from}", at.get(..10).unwrap_or(&at), day.door.name(), day.uses)
        });
        Ok(told.collect::<Vec<_>>().join("; "))
    }

    /// What a wide lock, or its end, is about for somebody: a lock of theirs concerns them in any
    /// case, that of a service only if they have a token that could be good for it.
    async fn locked_for(
        &self,
        event: &Event,
        user: &User,
    ) -> Result<Option<Services>, Unavailable> {
        let label = event.service.as_deref().map(ServiceLabel::parse).transpose();
        let Ok(label) = label else { return Ok(None) };
        let Some(label) = label else { return Ok(Some(Services::All)) };
        let services = Services::Named(vec![label.clone()]);
        if event.subject.is_some() {
            return Ok(Some(services));
        }
        let holds = self.holds_token_for(user, &label).await?;
        Ok(holds.then_some(services))
    }

    /// Whether somebody has a token that would be good for a service if nothing else were wrong.
    async fn holds_token_for(
        &self,
        user: &User,
        label: &ServiceLabel,
    ) -> Result<bool, Unavailable> {
        let found = self.store.service_find(&user.realm, label).await?;
        let Some(service) = found else { return Ok(false) };
        let viewer = Viewer::Person { groups: &user.groups, unit: user.unit.as_deref() };
        let is_member = service.group.as_ref().is_none_or(|group| user.groups.contains(group));
        // Of what they may not see nobody hears by a token for everything.
        let knows = is_member && service.would_be_seen_by(viewer);
        let now = self.now();
        let owner = Some(Owner::User(user.username.clone()));
        let named = |kind| TokenFilter { service: Some(label.clone()), kind: Some(kind), ..any() };
        let every =
            TokenFilter { for_everything: true, kind: Some(Kind::PersonalAccessToken), ..any() };
        let named = [named(Kind::ServiceToken), named(Kind::PersonalAccessToken)];
        for filter in named.into_iter().chain(knows.then_some(every)) {
            let filter = TokenFilter { owner: owner.clone(), ..filter };
            let mut page = PageRequest::first(TOKENS_PER_LOOK);
            loop {
                let held = self.store.token_list(&user.realm, filter.clone(), now, page).await?;
                if !held.items.is_empty() {
                    return Ok(true);
                }
                let Some(after) = held.next else { break };
                page = PageRequest { limit: TOKENS_PER_LOOK, after: Some(after) };
            }
        }
        Ok(false)
    }

    /// What services are called, and where the one of several is.
    async fn named_services(
        &self,
        realm: &RealmName,
        services: &Services,
    ) -> Result<(Vec<String>, Option<String>), Unavailable> {
        let Services::Named(labels) = services else { return Ok((Vec::new(), None)) };
        let mut names = Vec::new();
        let mut url = None;
        for label in labels {
            let found = self.store.service_find(realm, label).await?;
            url = found.as_ref().and_then(|service| service.url.clone()).or(url);
            names.push(found.map_or_else(|| label.to_string(), |service| service.name));
        }
        Ok((names, url))
    }

    /// The short refusal that a token is in, or the next one before its end, where its services or
    /// its realm ask for any.
    ///
    /// # Errors
    ///
    /// Only when the store is away.
    pub async fn next_brown_out(&self, token: &Token) -> Result<Option<Window>, Refusal> {
        Ok(self.brown_out_of(token).await?.map(|(_, window)| window))
    }

    /// What its services, or its realm, say of short refusals before its end: the next one of all.
    async fn brown_out_of(&self, token: &Token) -> Result<Option<(Brownout, Window)>, Unavailable> {
        let Some(ends) = token.validity.expires_at().filter(|_| is_persons(token.kind)) else {
            return Ok(None);
        };
        let began = token.created_at.max(token.validity.not_before());
        let mut rules = Vec::new();
        match &token.services {
            Services::All => {
                let realm = self.realm_facts(&token.realm).await.map_err(unavailable)?;
                rules.extend(realm.policy.brownout);
            }
            Services::Named(labels) => {
                for label in labels {
                    let found = self.service_facts(&token.realm, label).await;
                    rules.extend(found.map_err(unavailable)?.and_then(|cell| cell.policy.brownout));
                }
            }
        }
        let now = self.now();
        let next = |rule: Brownout| Some((rule, rule.window(token.kind, began, ends, now)?));
        let next = rules.into_iter().filter_map(next);
        Ok(next.min_by_key(|(_, window)| window.from))
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

/// What is not there any more says nothing of a token, and only a store that is down is a failure;
/// both are tried again.
fn unavailable(refusal: crate::refusal::Refusal) -> Unavailable {
    match refusal {
        crate::refusal::Refusal::Unavailable(unavailable) => unavailable,
        other => Unavailable::new(other),
    }
}

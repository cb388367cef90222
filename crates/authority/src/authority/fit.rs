//! Right-sizing: what a token could do without, and the one call that takes it away.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::atomic::Ordering;

use ipnet::IpNet;
use tracing::warn;

use super::edit::settled;
use super::{Active, Authority, Binding, TokenEdit, VerifyRequest};
use crate::caller::{Caller, RequestContext};
use crate::clock::Timestamp;
use crate::fit::{FIT_DAYS_MAX, FIT_DAYS_MIN, Fit, fit};
use crate::names::{COUNTERFOIL, RealmName};
use crate::refusal::Refusal;
use crate::scope::Scope;
use crate::secret::TokenId;
use crate::secret_hash::hmac256;
use crate::sightings::network_of;
use crate::store::{AsUsed, KnownUse, Page, PageRequest, TokenFilter, Unavailable, day_of};
use crate::token::{State, Token};
use crate::use_notes::Use;
use crate::verdict::Door;

/// Notes that one flush stores; the others wait for the next one.
const NOTES_PER_FLUSH: usize = 4_000;
/// Notes that are stored in one transaction, so that it never holds the writer long.
const NOTES_PER_TRANSACTION: usize = 250;
/// Flushes that carry all that can wait.
const FLUSHES_MAX: usize = 40;
/// What the digest of a proposal is made under: it is no secret, only a name.
const DIGEST_KEY: &[u8; 32] = b"counterfoil digest of a proposal";

/// Bytes of such a digest: it tells versions apart, and keeps no secret.
const DIGEST_LEN: usize = 16;

/// A token with what it could do without.
#[derive(Debug)]
pub struct Fitting {
    /// The token.
    pub token: Token,
    /// What it could do without.
    pub fit: Fit,
    /// Networks that it was used from, as far as they were noted: to be read, not to be acted on.
    pub seen_networks: Vec<IpNet>,
    /// Names this proposal for this version of the token. What is taken away is what was shown.
    pub digest: String,
    /// What was known of its use.
    known: Vec<KnownUse>,
}

/// What of a proposal to do.
#[derive(Debug, Clone)]
pub struct FitWish {
    /// The days that were looked at.
    pub days: u32,
    /// The proposal, by its digest.
    pub digest: String,
    /// `If-Match`: refuse unless the token has this version. The digest says it already.
    pub if_match: Option<i64>,
    /// Whether unused scopes go.
    pub scopes: bool,
    /// Whether unused networks go.
    pub networks: bool,
    /// Whether unused doors go.
    pub doors: bool,
}

impl Authority {
    /// What a token within the caller's reach could do without, by its use within so many days.
    pub async fn fit(
        &self,
        caller: &Caller,
        realm: &RealmName,
        id: TokenId,
        days: u32,
    ) -> Result<Fitting, Refusal> {
        check_days(days)?;
        let token = self.token(caller, realm, id).await?;
        self.flush_use_notes(false).await?;
        self.fit_of(token, days).await
    }

    /// The same for a page on which this is not what matters: `None` while notes of uses cannot be
    /// stored, so that nothing can be said.
    pub async fn fit_beside(
        &self,
        caller: &Caller,
        realm: &RealmName,
        id: TokenId,
        days: u32,
    ) -> Result<Option<Fitting>, Refusal> {
        check_days(days)?;
        let token = self.token(caller, realm, id).await?;
        match self.flush_use_notes(false).await {
            Ok(()) => self.fit_of(token, days).await.map(Some),
            Err(_) => Ok(None),
        }
    }

    /// Whether the caller may take something away from a token; whether a rule about the token
    /// itself is in the way shows when they do.
    pub async fn may_shrink(
        &self,
        caller: &Caller,
        realm: &RealmName,
        id: TokenId,
    ) -> Result<bool, Refusal> {
        match self.reachable(caller, realm, id).await {
            Ok(_) => Ok(true),
            Err(unavailable @ Refusal::Unavailable(_)) => Err(unavailable),
            Err(_) => Ok(false),
        }
    }

    async fn fit_of(&self, token: Token, days: u32) -> Result<Fitting, Refusal> {
        let id = token.id;
        let fitting = self.fitted(vec![token], days).await?.pop();
        let mut fitting = fitting.ok_or(Refusal::NotFound(crate::refusal::Thing::Token))?;
        fitting.seen_networks = self.networks_seen(id, fitting.fit.from).await?;
        Ok(fitting)
    }

    /// Of one page of the active tokens within the caller's reach, those that could do without
    /// something.
    pub async fn fits(
        &self,
        caller: &Caller,
        realm: &RealmName,
        filter: TokenFilter,
        days: u32,
        page: PageRequest,
    ) -> Result<Page<Fitting>, Refusal> {
        check_days(days)?;
        let filter = TokenFilter { state: Some(State::Active), ..filter };
        let page = self.tokens(caller, realm, filter, page).await?;
        let mut items = self.fitted(page.items, days).await?;
        items.retain(|fitting| fitting.fit.has_proposal());
        Ok(Page { items, next: page.next })
    }

    /// Takes away what was shown to be unused, and nothing else.
    ///
    /// # Errors
    ///
    /// [`Refusal::VersionMismatch`] if the token or its use is no longer what was shown; all that
    /// an edit is refused for.
    pub async fn shrink(
        &self,
        caller: &Caller,
        realm: &RealmName,
        id: TokenId,
        wish: &FitWish,
    ) -> Result<Token, Refusal> {
        check_days(wish.days)?;
        let token = self.token(caller, realm, id).await?;
        // What this node answered to and has not stored yet.
        self.flush_use_notes(true).await?;
        let fitting = self.fitted(vec![token], wish.days).await?.pop();
        let Some(Fitting { token, fit, digest, known, .. }) = fitting else {
            return Err(Refusal::NotFound(crate::refusal::Thing::Token));
        };
        let is_meant = wish.if_match.is_none_or(|version| version == token.version);
        if digest != wish.digest || !is_meant {
            return Err(Refusal::VersionMismatch);
        }
        let edit = TokenEdit {
            scopes: fit.scopes.proposed.clone().ok().filter(|_| wish.scopes),
            networks: fit.networks.proposed.clone().ok().filter(|_| wish.networks),
            doors: fit.doors.proposed.clone().ok().filter(|_| wish.doors).map(Some),
            ..TokenEdit::default()
        };
        if edit.scopes.is_none() && edit.networks.is_none() && edit.doors.is_none() {
            return Err(Refusal::invalid("only", "nothing of this is proposed"));
        }
        let mut update = self.planned_edit(caller, realm, id, &edit, Some(token.version)).await?;
        let known = known.into_iter().map(|row| (row.aspect, row.what)).collect();
        update.as_used = Some(AsUsed { from: fit.from, known });
        let detail = detail_of(&token, &update.token, fit.days);
        update.event = update.event.with_detail(detail);
        settled(self.store.token_update(update).await?)
    }

    /// Tokens with what is known of their use, in the same order.
    async fn fitted(&self, tokens: Vec<Token>, days: u32) -> Result<Vec<Fitting>, Refusal> {
        let now = self.now();
        let ids: Vec<TokenId> = tokens.iter().map(|token| token.id).collect();
        let from = day_of(now) - i64::from(days);
        let uses = self.store.use_notes_find(ids, from).await?;
        let mut rows = uses.rows.into_iter().peekable();
        let judged = tokens.into_iter().map(|token| {
            let mut known = Vec::new();
            while let Some(row) = rows.next_if(|row| row.token == token.id) {
                known.push(row);
            }
            let fit = fit(&token, &known, uses.since, days, now);
            let digest = digest_of(&token, &fit);
            Fitting { token, fit, seen_networks: Vec::new(), digest, known }
        });
        Ok(judged.collect())
    }

    /// The networks that a token was used from, as far as they are known.
    async fn networks_seen(&self, id: TokenId, from: i64) -> Result<Vec<IpNet>, Refusal> {
        let days = self.store.use_days_find(vec![id], from).await?;
        let mut seen: BTreeSet<IpNet> =
            days.iter().filter_map(|day| day.last_ip).map(network_of).collect();
        let watched = self.store.networks_of(id).await?;
        let lately = watched.into_iter().filter(|(_, _, last)| day_of(*last) >= from);
        seen.extend(lately.map(|(network, ..)| network));
        Ok(seen.into_iter().collect())
    }

    /// Notes what a token that was accepted was used for.
    pub(super) fn note_what_for(
        &self,
        request: &VerifyRequest<'_>,
        active: &Active,
        at: Timestamp,
    ) {
        let one = Use {
            token: active.root(),
            at,
            door: request.origin.door,
            asked: request.scopes,
            unasked: request.scopes.is_empty() && tells_scopes(request),
            address: request.client_ip.filter(|_| active.is_bound()),
        };
        self.use_notes.used_again(&one, active.last_note());
    }

    /// The same of a token whose secret was exchanged.
    pub(super) fn note_use_of(
        &self,
        token: &Token,
        at: Timestamp,
        context: &RequestContext,
        asked: &[Scope],
    ) {
        let (door, unasked) = (context.door, asked.is_empty());
        // What it was drawn from hands its networks on, and nothing is called unused there.
        let address = context.source.filter(|_| !token.networks.is_empty());
        self.use_notes.used(&Use { token: token.id, at, door, asked, unasked, address });
    }

    /// Stores what tokens were used for: a part of it, or all of it. Waits for a flush that runs,
    /// so that what that one has taken out is stored as well afterwards.
    ///
    /// What is not stored waits again, whatever ends this: a request may go before its answer.
    pub(super) async fn flush_use_notes(&self, all: bool) -> Result<(), Unavailable> {
        let _one_at_a_time = self.use_notes.flushing.lock().await;
        if !self.notes_uses.load(Ordering::Acquire) {
            self.store.use_notes_since(self.now(), false).await?;
            self.notes_uses.store(true, Ordering::Release);
        }
        // What arrives meanwhile is the next flush's.
        for _ in 0..if all { FLUSHES_MAX } else { 1 } {
            let mut carried = self.use_notes.carry(NOTES_PER_FLUSH);
            let begins = self.use_notes.begins_to_lose(carried.has_lost());
            if begins {
                warn!(
                    "what tokens were used for found no room and was lost; \
                     it is watched anew from here on, and nothing is called unused meanwhile"
                );
            }
            if carried.has_lost() {
                self.store.use_notes_since(self.now(), true).await?;
                carried.told_of_loss();
            }
            let mut part = carried.part(NOTES_PER_TRANSACTION);
            if part.is_empty() {
                return Ok(());
            }
            while !part.is_empty() {
                let number = part.len();
                self.store.use_notes_add(part).await?;
                carried.stored(number);
                part = carried.part(NOTES_PER_TRANSACTION);
            }
        }
        Ok(())
    }
}

/// Whether an accepted answer tells anybody the token's scopes. A bind and a one-time password
/// say yes and no more; and what the holder of a token needs in our own API is noted where it is
/// needed.
fn tells_scopes(request: &VerifyRequest<'_>) -> bool {
    let is_ours = match request.binding {
        Binding::Unbound => true,
        Binding::Service(label) => label.as_str() == COUNTERFOIL,
        Binding::AnyOf(_) => false,
    };
    let is_verified = request.origin.actor_token.is_some();
    match request.origin.door {
        Door::Ldap | Door::Validate => false,
        Door::Api | Door::Sentinel | Door::Airlock | Door::Console | Door::Cli => {
            is_verified || !is_ours
        }
        Door::ForwardAuth | Door::Oauth | Door::Am => true,
    }
}

fn check_days(days: u32) -> Result<(), Refusal> {
    if (FIT_DAYS_MIN..=FIT_DAYS_MAX).contains(&days) {
        Ok(())
    } else {
        let why = format!("must be {FIT_DAYS_MIN} to {FIT_DAYS_MAX}");
        Err(Refusal::invalid("days", why))
    }
}

fn texts<T: ToString>(list: &[T]) -> Vec<String> {
    list.iter().map(ToString::to_string).collect()
}

fn door_names(doors: &[Door]) -> Vec<String> {
    doors.iter().map(|door| door.name().to_owned()).collect()
}

/// The name of a proposal: of another version of the token, or with another list, it is another.
/// It begins with the days that were looked at.
fn digest_of(token: &Token, fit: &Fit) -> String {
    let lists = [
        fit.scopes.proposed.as_ref().ok().map(|list| texts(list)),
        fit.networks.proposed.as_ref().ok().map(|list| texts(list)),
        fit.doors.proposed.as_ref().ok().map(|list| door_names(list)),
    ];
    let lists = lists.map(|list| list.map_or_else(|| "-".to_owned(), |list| list.join(" ")));
    let (version, days) = (token.version.to_le_bytes(), fit.days.to_le_bytes());
    let mut parts: Vec<&[u8]> = vec![token.id.as_bytes(), &version, &days];
    parts.extend(lists.iter().map(String::as_bytes));
    let mac = hmac256(DIGEST_KEY, b"fit 1", &parts);
    let begin = format!("{}-", fit.days);
    mac.as_bytes().iter().take(DIGEST_LEN).fold(begin, |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// What was taken away, for the event; a list that stayed is left out.
fn detail_of(before: &Token, after: &Token, days: u32) -> serde_json::Value {
    let gone = |before: Vec<String>, after: Vec<String>| {
        before.into_iter().filter(|one| !after.contains(one)).collect::<Vec<_>>()
    };
    let doors = |token: &Token| door_names(token.doors.as_deref().unwrap_or_default());
    let removed = [
        ("scopes", gone(texts(&before.scopes), texts(&after.scopes))),
        ("networks", gone(texts(&before.networks), texts(&after.networks))),
        ("doors", gone(doors(before), doors(after))),
    ];
    let removed = removed.into_iter().filter(|(_, list)| !list.is_empty());
    let removed: serde_json::Map<String, serde_json::Value> =
        removed.map(|(name, list)| (name.to_owned(), list.into())).collect();
    serde_json::json!({ "unused_days": days, "removed": removed })
}

//! Leaks: a token string that somebody has found in public, and what becomes of the token.
//!
//! The report needs no right beyond the string itself, as revocation by possession: what it can do
//! is end or lock the token that it names, tell whose it is, and no more.

use super::Authority;
use super::lifecycle::Act;
use crate::caller::RequestContext;
use crate::event::{Event, Origin};
use crate::kind::Kind;
use crate::names::RealmName;
use crate::policy::OnLeak;
use crate::refusal::Refusal;
use crate::secret::{ClearSecret, Shape, mark};
use crate::secret_hash::keyed_hash;
use crate::service::Services;
use crate::store::{Record, TokenChange, TokenLeak, Unavailable};
use crate::token::Slot;

/// How long it is known that a string was reported from a place, so that the same report does and
/// says nothing twice: as long as a former secret is.
const REMEMBERED_SECONDS: i64 = 90 * 86_400;
/// Characters of a place that are kept: an address of a line in a repository is shorter.
const URL_CHARS_MAX: usize = 1000;

/// A string that was found.
#[derive(Debug)]
pub struct LeakReport {
    /// What it is, as it was found.
    pub credential: ClearSecret,
    /// Where.
    pub url: Option<String>,
    /// In what sort of thing: `content`, `commit`, `pull_request_description` and so on.
    pub source: Option<String>,
}

impl Authority {
    /// Acts on strings that were found in public, as the policies of their services say. Says of
    /// each, in their order, whether it is one of ours or was. `by` names who found them, in
    /// events. A repetition changes nothing and tells nobody again.
    ///
    /// # Errors
    ///
    /// When the store cannot answer: some may have been acted on, and the report is to be sent
    /// again. Each of them is acted on and told of at once, or not at all.
    pub async fn leaks_reported(
        &self,
        by: &str,
        reports: &[LeakReport],
        context: RequestContext,
    ) -> Result<Vec<bool>, Refusal> {
        let origin = Origin { actor: by.into(), ..Origin::anonymous(context) };
        let mut ours = Vec::with_capacity(reports.len());
        for report in reports {
            ours.push(self.leak_reported(report, &origin).await?);
        }
        Ok(ours)
    }

    /// Records a report that nobody has signed who may, as a failed attempt of its source.
    pub fn leak_report_refused(
        &self,
        realm: &RealmName,
        reason: &'static str,
        context: RequestContext,
    ) -> Result<(), Refusal> {
        let origin = Origin::anonymous(context);
        self.reject(origin.source);
        let event = self.event("leak.refused", realm, &origin, self.now())?;
        self.record_refusal(event.with_reason(reason).refused());
        Ok(())
    }

    async fn leak_reported(&self, report: &LeakReport, origin: &Origin) -> Result<bool, Refusal> {
        let presented = report.credential.reveal();
        let Shape::Prefixed { kind, id } = self.shape(presented) else { return Ok(false) };
        if kind == Kind::AccessToken {
            // It lives for minutes, and no policy keeps it longer.
            return Ok(!self.end_access(None, presented, origin).await?);
        }
        let Some(record) = self.store.token_record(id).await? else { return Ok(false) };
        if record.kind != kind && record.kind != Kind::Decoy {
            return Ok(false);
        }
        let keys = self.keys();
        let Some(secret) = self.matching_secret(&record, presented) else {
            let peppers = record.secrets.iter().map(|secret| secret.hash.pepper());
            keys.require_peppers(peppers).map_err(Unavailable::from)?;
            // A refresh secret of long ago proves itself; its family ends when it is used.
            return Ok(kind == Kind::AuthToken && mark::is_ours(keys.peppers(), presented));
        };
        let now = self.now();
        let is_retired = crate::cache::matched(secret, now) == crate::cache::Matched::Retired;
        let is_over = record.revoked || is_retired || record.kind == Kind::Decoy;
        let act = if is_over { None } else { Some(self.on_leak(&record).await?) };
        let slot = if is_retired { Slot::Previous } else { secret.facts.slot };
        let change = match act {
            Some(act) => self.change_by_leak(&record, act, report, origin).await?,
            None => None,
        };
        let leak = TokenLeak {
            once: self.once_of(report, origin),
            known_until: now.plus_seconds(REMEMBERED_SECONDS),
            change,
            event: self.event_of_leak(&record, (slot, act), report, origin)?,
            at: now,
        };
        // Where it was taken before, the token is let alone, whatever somebody has decided about
        // it since.
        self.store.token_leaked(leak).await?;
        Ok(true)
    }

    /// What the strictest of the policies says that hold for a token.
    async fn on_leak(&self, record: &Record) -> Result<OnLeak, Refusal> {
        let realm = self.realm_facts(&record.realm).await?;
        let mut act = realm.policy.on_leak;
        if let Services::Named(labels) = &record.services {
            for (number, label) in labels.iter().enumerate() {
                let Some(cell) = self.service_facts(&record.realm, label).await? else { continue };
                let stated = cell.policy.on_leak;
                act = if number == 0 { stated } else { act.max(stated) };
            }
        }
        Ok(act)
    }

    /// What a leak changes of its token; nothing, if it has ended meanwhile.
    async fn change_by_leak(
        &self,
        record: &Record,
        act: OnLeak,
        report: &LeakReport,
        origin: &Origin,
    ) -> Result<Option<TokenChange>, Refusal> {
        let act = match act {
            OnLeak::Notify => return Ok(None),
            OnLeak::Lock => Act::Lock,
            OnLeak::Revoke => {
                let place = self.place_of(report);
                let reason =
                    place.map_or_else(|| "leaked".to_owned(), |url| format!("leaked: {url}"));
                Act::Revoke { reason: Some(reason) }
            }
        };
        let Some(token) = self.store.token_find(&record.realm, record.id).await? else {
            return Ok(None);
        };
        match self.token_change_of(origin, &token, act, None) {
            Ok(change) => Ok(Some(change)),
            Err(Refusal::Ended(_)) => Ok(None),
            Err(refusal) => Err(refusal),
        }
    }

    /// Where it was found, as far as that can be repeated.
    fn place_of<'a>(&self, report: &'a LeakReport) -> Option<&'a str> {
        let url = report.url.as_deref().map(str::trim)?;
        let fits = !url.is_empty() && url.chars().count() <= URL_CHARS_MAX;
        let is_harmless = !url.chars().any(char::is_control) && !self.holds_token(url);
        (fits && is_harmless).then_some(url)
    }

    /// What stands for a report among those that were taken: who found which string where. Under
    /// the oldest pepper, which every node has and no rotation replaces.
    fn once_of(&self, report: &LeakReport, origin: &Origin) -> [u8; 32] {
        let told = format!(
            "leak {} {} {}",
            origin.actor,
            report.credential.reveal(),
            report.url.as_deref().unwrap_or_default()
        );
        let told = zeroize::Zeroizing::new(told);
        let keys = self.keys();
        let oldest = keys.peppers().last().unwrap_or_else(|| keys.pepper());
        *keyed_hash(oldest, &told).as_bytes()
    }

    /// What is recorded of a leak.
    fn event_of_leak(
        &self,
        record: &Record,
        (slot, act): (Slot, Option<OnLeak>),
        report: &LeakReport,
        origin: &Origin,
    ) -> Result<Event, Refusal> {
        let url = self.place_of(report);
        let is_harmless = |text: &&str| {
            text.len() <= 64 && !text.chars().any(char::is_control) && !self.holds_token(text)
        };
        let source = report.source.as_deref().filter(is_harmless);
        let event = self.event("token.leaked", &record.realm, origin, self.now())?;
        Ok(event
            .with_token(record.id)
            .with_subject(record.owner.actor())
            .with_service(record.services.labels().join(" "))
            .with_reason(act.map_or("none", OnLeak::name))
            .with_detail(serde_json::json!({ "url": url, "source": source, "slot": slot.name() })))
    }
}

//! Secrets that are none of ours, looked up in the repositories that they may concern.
//!
//! What a repository says joins the ordinary verdict: its token is made into a record as the
//! store has them, and judged like one. What it cannot say makes no verdict at all.

use std::sync::Arc;

use zeroize::Zeroizing;

use super::judge::decide_matched;
use super::{Active, Binding, Decision, Surroundings, Verdict, VerifyRequest, absent};
use crate::authority::Authority;
use crate::cache::{Entry, Matched};
use crate::clock::Timestamp;
use crate::custom::{
    DelegatedQuestion, ForeignConsumed, ForeignId, Guarded, Proof, RepositoryError, UsageKept,
    VerifyMode, VerifyRecord,
};
use crate::names::Username;
use crate::refusal::Refusal;
use crate::secret::Shape;
use crate::secret_hash::Mac256;
use crate::service::Services;
use crate::store::{ForeignKey, Record, Unavailable};
use crate::subject::{Owner, OwnerFacts, UserFacts};
use crate::validity::Validity;
use crate::verdict::Reason;

/// Tokens that one look-up may tell of: a person with more of them in one place has a script.
const RECORDS_MAX: usize = 64;
/// Slow hashes that one attempt is compared with: more would be a lever for anybody.
const SLOW_MAX: usize = 16;

/// What a repository says to a secret.
enum Told {
    /// It is this token's, judged.
    Verdict(Verdict),
    /// It is none of its tokens'.
    Nothing,
}

/// A repository did not answer; the operator reads which one, the presenter does not.
#[derive(Debug, thiserror::Error)]
#[error("the repository {name} is unavailable: {why}")]
struct RepositoryAway {
    name: Arc<str>,
    why: RepositoryError,
}

fn away(repository: &Guarded, why: RepositoryError) -> Refusal {
    let name = Arc::clone(&repository.settings().name);
    Unavailable::new(RepositoryAway { name, why }).into()
}

impl Authority {
    /// The verdict about a secret that a repository said yes to a few seconds ago.
    pub(super) async fn verify_remembered_elsewhere(
        &self,
        request: &VerifyRequest<'_>,
    ) -> Result<Option<Verdict>, Refusal> {
        let repositories = self.custom.load();
        if repositories.all().is_empty() {
            return Ok(None);
        }
        let now = self.now();
        if !self.cache.is_trusted(now) {
            return Ok(None);
        }
        for repository in repositories.concerned(request) {
            let code = self.code_elsewhere(&repository, request);
            if let Some(known) = repository.remembered.find(&code, now) {
                return self
                    .conclude_elsewhere(request, &repository, &known.id, &known.entry)
                    .await
                    .map(Some);
            }
        }
        Ok(None)
    }

    /// Asks the repositories that the secret may concern. The first that knows it decides; one
    /// that cannot answer makes a no impossible.
    pub(super) async fn verify_elsewhere(
        &self,
        request: &VerifyRequest<'_>,
        now: Timestamp,
    ) -> Result<Verdict, Refusal> {
        let concerned = self.custom.load().concerned(request);
        let takes_part = matches!(self.shape(request.presented), Shape::Grouped(_) | Shape::Other);
        let mut lost = None;
        for repository in concerned.into_iter().filter(|_| takes_part) {
            match self.ask_elsewhere(request, &repository).await {
                Ok(Told::Verdict(verdict)) => return Ok(verdict),
                Ok(Told::Nothing) => {}
                Err(Refusal::Unavailable(why)) => lost = Some(why),
                Err(other) => return Err(other),
            }
        }
        match lost {
            Some(why) => Err(why.into()),
            None => self.refused(request, Reason::Unknown, None, now),
        }
    }

    async fn ask_elsewhere(
        &self,
        request: &VerifyRequest<'_>,
        repository: &Arc<Guarded>,
    ) -> Result<Told, Refusal> {
        let service = match request.binding {
            Binding::Service(label) => Some(label.as_str()),
            _ => None,
        };
        let settings = repository.settings();
        let tag = self.cache.position(self.now());
        let found = match settings.verify {
            VerifyMode::Delegated => {
                let question = DelegatedQuestion {
                    username: request.username.map(str::to_owned),
                    service: service.map(str::to_owned),
                    secret: Zeroizing::new(request.presented.to_owned()),
                };
                let asked = repository.driver().verify_delegated(&question);
                let told = repository.ask(self.clock.as_ref(), asked).await;
                told.map_err(|why| away(repository, why))?
            }
            VerifyMode::Local => {
                let by = settings.addressing;
                let Some(selector) = by.selector(request.presented, request.username, service)
                else {
                    return Ok(Told::Nothing);
                };
                let asked = repository.driver().lookup(&selector);
                let told = repository.ask(self.clock.as_ref(), asked).await;
                let records = told.map_err(|why| away(repository, why))?;
                self.compare_elsewhere(request, repository, records).await?
            }
        };
        let Some(record) = found else { return Ok(Told::Nothing) };
        let id = record.id.clone();
        let key = ForeignKey::new(request.realm, &settings.name, &id, record.user.as_deref());
        let Some(record) = self.record_elsewhere(request, repository, record).await? else {
            repository.uses.denied(key.clone());
            let reason = Reason::OwnerInactive;
            let verdict = self.refused(request, reason, Some(key.token), self.now())?;
            return Ok(Told::Verdict(verdict));
        };
        let (entry, keeps) = self.cache.of_elsewhere(record, tag);
        let verdict = self.conclude_elsewhere(request, repository, &id, &entry).await?;
        if keeps && settings.cache_seconds > 0 && matches!(verdict, Verdict::Active(_)) {
            let until = self.now().plus_seconds(settings.cache_seconds.into());
            let code = self.code_elsewhere(repository, request);
            repository.remembered.keep(code, id, entry, until);
        }
        Ok(Told::Verdict(verdict))
    }

    /// The token whose hash is that of the secret.
    async fn compare_elsewhere(
        &self,
        request: &VerifyRequest<'_>,
        repository: &Arc<Guarded>,
        records: Vec<VerifyRecord>,
    ) -> Result<Option<VerifyRecord>, Refusal> {
        if records.len() > RECORDS_MAX {
            let why = RepositoryError::unavailable("it tells of more tokens than are compared");
            return Err(away(repository, why));
        }
        let (mut slow, mut unreadable) = (Vec::new(), None);
        for record in records {
            let key = repository.settings().hash_key.as_ref();
            let text = record.hash.clone().unwrap_or_default();
            match Proof::parse(&text, key) {
                Ok(proof) if proof.is_slow() => {
                    *repository.stand_in.lock() = Some(Arc::new(text));
                    slow.push((record, proof));
                }
                Ok(proof) if proof.is_of(request.presented) => return Ok(Some(record)),
                Ok(_) => {}
                Err(why) => unreadable = Some(why),
            }
        }
        if slow.len() > SLOW_MAX {
            let why =
                RepositoryError::unavailable("it tells of more slow hashes than are compared");
            return Err(away(repository, why));
        }
        if let Some(record) = self.compare_slowly(request, repository, slow).await? {
            return Ok(Some(record));
        }
        // It may have been this one's secret.
        match unreadable {
            Some(why) => {
                let why = RepositoryError::unavailable(format!("a hash {why}"));
                Err(away(repository, why))
            }
            None => Ok(None),
        }
    }

    /// The same among slow hashes, in the queue that all slow hashes wait in.
    async fn compare_slowly(
        &self,
        request: &VerifyRequest<'_>,
        repository: &Guarded,
        mut slow: Vec<(VerifyRecord, Proof)>,
    ) -> Result<Option<VerifyRecord>, Refusal> {
        let mut proofs: Vec<Option<VerifyRecord>> = Vec::new();
        let mut computed = Vec::new();
        if slow.is_empty() {
            let stand_in = repository.stand_in.lock().clone();
            let Some(text) = stand_in else { return Ok(None) };
            computed.extend(Proof::parse(&text, None).ok());
        }
        for (record, proof) in slow.drain(..) {
            proofs.push(Some(record));
            computed.push(proof);
        }
        let name = request.username.unwrap_or_default();
        let Some(place) = self.slow_place(request, name, self.now()).await? else {
            // Told at once that it is too many; not an answer about the secret.
            return Err(Refusal::Overloaded);
        };
        let clear = Zeroizing::new(request.presented.to_owned());
        let right = move || computed.iter().position(|proof| proof.is_of(&clear));
        let right = self.slow.compute(&place, right).await?;
        Ok(right.and_then(|place| proofs.get_mut(place).and_then(Option::take)))
    }

    /// The token as the store would tell of it; `None` if it is nobody's who is known here.
    async fn record_elsewhere(
        &self,
        request: &VerifyRequest<'_>,
        repository: &Guarded,
        told: VerifyRecord,
    ) -> Result<Option<Record>, Refusal> {
        let now = self.now();
        let settings = repository.settings();
        let Some(username) = told.user.as_deref().and_then(|name| Username::parse(name).ok())
        else {
            return Ok(None);
        };
        let Some(user) = self.store.user_find(request.realm, &username).await? else {
            return Ok(None);
        };
        let not_before = told.valid_from.unwrap_or_else(|| Timestamp::from_micros(0));
        let Ok(validity) = Validity::new(not_before, told.valid_to) else {
            let why = RepositoryError::unavailable("a token ends before it begins");
            return Err(away(repository, why));
        };
        let services = within(&settings.services, told.services);
        Ok(Some(Record {
            id: told.id.token_id(request.realm, &settings.name),
            realm: request.realm.clone(),
            kind: settings.token_kind,
            owner: Owner::User(username),
            owner_facts: OwnerFacts::User(UserFacts::of(user)),
            services,
            scopes: told.scopes,
            permissions: told.permissions,
            networks: told.networks,
            doors: None,
            enabled: told.enabled,
            locked: told.locked,
            pending: false,
            revoked: told.revoked,
            validity,
            created_at: told.created_at.or(told.valid_from).unwrap_or(now),
            max_usages: told.max_usages,
            parent: None,
            parent_revoked: false,
            secrets: Vec::new(),
            repository: None,
        }))
    }

    /// Judges the token by what stands now: it may have taken its repository a while to answer.
    async fn conclude_elsewhere(
        &self,
        request: &VerifyRequest<'_>,
        repository: &Arc<Guarded>,
        id: &ForeignId,
        entry: &Arc<Entry>,
    ) -> Result<Verdict, Refusal> {
        let now = self.now();
        let Some(realm) = self.realm_facts(request.realm).await.map(Some).or_else(absent)? else {
            return self.refused(request, Reason::Unknown, None, now);
        };
        let services = match self.bound_services(request).await? {
            Ok(services) => services,
            Err(reason) => return self.refused(request, reason, None, now),
        };
        let keys = self.keys();
        let (request, services, realm) = (*request, &*services, &*realm);
        let around = Surroundings { request, services, realm, keys: &keys, now };
        let settings = repository.settings();
        let owner = match &entry.owner.facts {
            OwnerFacts::User(user) => Some(user.username.as_str()),
            _ => None,
        };
        let key = ForeignKey::new(request.realm, &settings.name, id, owner);
        let (active, limit) = match decide_matched(entry, Matched::Good, None, &around) {
            Decision::Good { active, limit, .. } => (active, limit),
            Decision::Keyless(lost) => return Err(Unavailable::from(lost).into()),
            Decision::Bad { reason, .. } => {
                repository.uses.denied(key.clone());
                return self.refused(&request, reason, Some(key.token), now);
            }
        };
        let active = Active { kept_by: Some(Arc::clone(&settings.name)), ..active };
        let Some(limit) = limit else {
            if request.consume {
                let told = settings.usage == UsageKept::There;
                repository.uses.accepted(key, now, request.client_ip, told);
            }
            return Ok(Verdict::Active(active));
        };
        let consumed = self.consume_elsewhere(&around, repository, &key, limit).await?;
        let Some(used) = consumed else {
            repository.uses.denied(key.clone());
            return self.refused(&request, Reason::Exhausted, Some(key.token), now);
        };
        let remaining = Some(limit.saturating_sub(used));
        Ok(Verdict::Active(Active { remaining, ..active }))
    }

    /// Counts a use of a limited token, or only looks. How many are used; `None`: all.
    async fn consume_elsewhere(
        &self,
        around: &Surroundings<'_>,
        repository: &Guarded,
        key: &ForeignKey,
        limit: u64,
    ) -> Result<Option<u64>, Refusal> {
        let (request, now) = (&around.request, around.now);
        if limit == 0 {
            return Ok(None);
        }
        if !request.consume {
            let known = self.store.foreign_use_find(request.realm, vec![key.token]).await?;
            let used = known.first().map_or(0, |usage| usage.used);
            return Ok((used < limit).then_some(used));
        }
        if repository.settings().usage == UsageKept::Here {
            let ip = request.client_ip;
            return Ok(self.store.foreign_use_consume(key.clone(), limit, now, ip).await?);
        }
        let asked = repository.driver().consume(&key.id, limit, now);
        let told = repository.ask(self.clock.as_ref(), asked).await;
        match told.map_err(|why| away(repository, why))? {
            ForeignConsumed::Done(used) => {
                // Counted there; here it is bookkeeping.
                repository.uses.accepted(key.clone(), now, request.client_ip, false);
                Ok(Some(used))
            }
            ForeignConsumed::Exhausted | ForeignConsumed::NotActive => {
                repository.remembered.forget();
                Ok(None)
            }
        }
    }

    /// What a presented secret is remembered by: it, who presented it, and for what.
    fn code_elsewhere(&self, repository: &Guarded, request: &VerifyRequest<'_>) -> Mac256 {
        let parts = [
            &*repository.settings().name,
            request.realm.as_str(),
            request.username.unwrap_or_default(),
            request.presented,
        ]
        .map(str::as_bytes);
        crate::secret_hash::hmac256(&self.process_key, b"counterfoil elsewhere 1", &parts)
    }

    /// Stores what was used elsewhere since the last time.
    pub(in crate::authority) async fn flush_elsewhere(&self) -> Result<(), Unavailable> {
        for repository in self.custom.load_full().all() {
            let uses = repository.uses.take();
            if !uses.is_empty()
                && let Err(unavailable) = self.store.foreign_use_add(uses.clone()).await
            {
                repository.uses.restore(uses);
                return Err(unavailable);
            }
        }
        Ok(())
    }

    /// Tells the repositories that want to know which of their tokens were used. What cannot be
    /// told now is told with the next time.
    pub async fn tell_uses_elsewhere(&self) {
        for repository in self.custom.load_full().all() {
            let theirs = repository.uses.take_theirs();
            if theirs.is_empty() {
                continue;
            }
            let told = repository.driver().record_usage(&theirs);
            if repository.ask(self.clock.as_ref(), told).await.is_err() {
                repository.uses.restore_theirs(theirs);
            }
        }
    }
}

/// What a token is good for: of what it says, no more than its repository may speak for.
fn within(repository: &Services, told: Option<Services>) -> Services {
    match (repository, told) {
        (all, None | Some(Services::All)) => all.clone(),
        (Services::All, Some(named)) => named,
        (Services::Named(ours), Some(Services::Named(theirs))) => {
            Services::Named(theirs.into_iter().filter(|label| ours.contains(label)).collect())
        }
    }
}

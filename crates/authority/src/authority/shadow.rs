//! Old systems that are asked beside us: what they hear of, what comes of it, and the report.

use std::sync::Arc;

use super::verify::{Active, Binding, Verdict, VerifyRequest};
use super::{Authority, IMPORTED_FROM};
use crate::cache::Entry;
use crate::caller::Caller;
use crate::event::time_ordered_id;
use crate::foreign::ForeignKey;
use crate::names::{RealmName, ServiceLabel, ShadowName, Username};
use crate::otp::{self, Method};
use crate::refusal::Refusal;
use crate::scope::ApiScope;
use crate::secret::{ClearSecret, Shape, TokenId};
use crate::secret_hash::{SecretHash, keyed_hash};
use crate::service::Services;
use crate::shadow::{
    Aim, Compared, Gathered, Key, Met, Named, OldSystem, Ours, Question, Said, Shadow,
    ShadowSettings, Shadows,
};
use crate::store::{
    Change, ChangesRead, Page, PageRequest, ShadowDifference, ShadowFilter, Unavailable,
};
use crate::subject::OwnerFacts;
use crate::token::StoredSecret;
use crate::verdict::Reason;

/// What is longer is not asked about: JWTs of others are, and a queue of them must fit into memory.
const PRESENTED_BYTES_MAX: usize = 8 * 1024;

/// What of a presentation a shadow listens to.
struct Heard {
    /// The service that it was for, if one was named.
    service: Option<ServiceLabel>,
}

impl Authority {
    /// Lets these shadows hear what is presented from now on. They stay the same while the
    /// process runs: only the first call counts.
    pub fn set_shadows(&self, all: Vec<Arc<Shadow>>) {
        if !all.is_empty() {
            let now = self.now();
            for shadow in &all {
                shadow.listens(now);
            }
            let _ = self.shadows.set(Shadows { all, gathered: Gathered::default() });
        }
    }

    /// The shadows.
    pub fn shadows(&self) -> &[Arc<Shadow>] {
        self.shadows.get().map_or(&[], |shadows| &shadows.all)
    }

    /// Differences that could not be kept.
    pub fn shadow_lost(&self) -> u64 {
        self.shadows.get().map_or(0, |shadows| shadows.gathered.lost())
    }

    /// Tells the shadows of a presentation and of what we say to it. To be called by the door,
    /// once for a presentation, when the verdict stands. Never waits and never fails; without a
    /// shadow it is one look at nothing.
    pub fn heard(&self, request: &VerifyRequest<'_>, verdict: &Verdict) {
        if let Some(shadows) = self.shadows.get() {
            self.tell_shadows(shadows, request, verdict);
        }
    }

    /// The same of a token that is good, and that the door refuses all the same: the presenter
    /// heard a no. Instead of [`Self::heard`], not beside it.
    pub fn heard_refused(&self, request: &VerifyRequest<'_>, active: &Active, reason: Reason) {
        if !is_bound(active) {
            self.heard(request, &Verdict::Inactive { reason, token: Some(active.token()) });
        }
    }

    #[inline(never)]
    fn tell_shadows(&self, shadows: &Shadows, request: &VerifyRequest<'_>, verdict: &Verdict) {
        let mut form = None;
        for shadow in &shadows.all {
            let settings = shadow.settings();
            let Some(Heard { service }) = self.heard_by(settings, request) else { continue };
            let form = *form.get_or_insert_with(|| self.form_of(request, verdict));
            let asks = match form {
                Form::Ours => settings.own_tokens,
                Form::Other => true,
                Form::Never => false,
            };
            if asks && shadow.takes_turn() {
                if self.is_held_back(request, verdict) {
                    shadow.counted(Compared::NotAsked, self.now());
                } else {
                    shadow.offer(self.question(request, service, verdict));
                }
            }
        }
    }

    /// What of a presentation a shadow listens to; `None` if it does not.
    fn heard_by(&self, settings: &ShadowSettings, request: &VerifyRequest<'_>) -> Option<Heard> {
        let door = request.origin.door;
        if settings.realm != *request.realm
            || !(settings.doors.is_empty() || settings.doors.contains(&door))
        {
            return None;
        }
        // A service that is none may be anything that somebody put into a path, a secret too.
        let is_one = |label: &&ServiceLabel| {
            settings.services.includes(label.as_str())
                && self.cache.knows_service(request.realm, label.as_str())
        };
        let labels = match &request.binding {
            Binding::Unbound => &[],
            Binding::Service(label) => std::slice::from_ref(*label),
            Binding::AnyOf(labels) => *labels,
        };
        match (labels.iter().find(is_one), &settings.services) {
            (Some(label), _) => Some(Heard { service: Some(label.clone()) }),
            (None, Services::All) if labels.is_empty() => Some(Heard { service: None }),
            (None, _) => None,
        }
    }

    /// Whether what was presented can be known to anybody else.
    fn form_of(&self, request: &VerifyRequest<'_>, verdict: &Verdict) -> Form {
        // A code is spent by asking, and a PIN may come before it at every door that passes on
        // what a person types; and what needs a proof of possession is good for nobody who is only
        // told the token.
        let is_code = otp::may_end_in_code(request.presented);
        let is_long = request.presented.len() > PRESENTED_BYTES_MAX;
        if is_code || is_long || matches!(verdict, Verdict::Active(active) if is_bound(active)) {
            return Form::Never;
        }
        match self.shape(request.presented) {
            Shape::Impossible => Form::Never,
            // A JWT with an id of our form is one of ours, if perhaps of another realm.
            Shape::Prefixed { .. } | Shape::Jwt(Some(_)) => Form::Ours,
            // What has the length of one of ours and another beginning may well be theirs.
            Shape::BadChecksum => {
                let mut prefixes = self.prefixes.iter();
                let is_ours = prefixes.any(|own| request.presented.starts_with(own.as_str()));
                if is_ours { Form::Ours } else { Form::Other }
            }
            Shape::Grouped(normal) if self.was_issued_here(request, &normal, verdict) => Form::Ours,
            Shape::Jwt(None) | Shape::Grouped(_) | Shape::Other => Form::Other,
        }
    }

    /// Whether a secret without our prefix is of a token that was issued here, and not taken over
    /// from elsewhere. From memory alone: what was taken over as a hash is kept otherwise than
    /// what we issue. What was taken over in clear text looks like ours, and counts as such.
    fn was_issued_here(
        &self,
        request: &VerifyRequest<'_>,
        normal: &str,
        verdict: &Verdict,
    ) -> bool {
        let keys = self.keys.load();
        let found = |canonical: &str| {
            keys.peppers().find_map(|pepper| self.cache.id_by_hash(&keyed_hash(pepper, canonical)))
        };
        // Of another realm too, of which the verdict says nothing.
        if found(normal).is_some() {
            return true;
        }
        let token = match verdict {
            Verdict::Active(active) if active.kept_by().is_some() => None,
            Verdict::Active(active) => Some(active.token()),
            Verdict::Inactive { token, .. } => *token,
        };
        let Some(token) = token else { return false };
        let taken_over = ForeignKey::of(request.presented)
            .is_some_and(|key| found(&key.canonical()) == Some(token));
        // A hash of few bits is of a chosen secret, or of what another system chose.
        let slow = |secret: &StoredSecret| matches!(secret.hash, SecretHash::Slow { .. });
        let is_slow = |entry: &Arc<Entry>| {
            entry.rest.as_ref().is_some_and(|rest| rest.secrets.iter().any(slow))
        };
        !taken_over && self.cache.peek(self.now(), token, is_slow) != Some(true)
    }

    /// Whether our own limits hold a refusal back: who guesses here guesses nowhere through us.
    fn is_held_back(&self, request: &VerifyRequest<'_>, verdict: &Verdict) -> bool {
        let Verdict::Inactive { reason, .. } = verdict else { return false };
        if reason.is_only_insufficient() {
            return false;
        }
        if *reason == Reason::RateLimited {
            return true;
        }
        let service = match request.binding {
            Binding::Service(label) => Some(label.as_str()),
            _ => None,
        };
        let source = request.client_ip.filter(|_| request.throttled);
        !self.refusal_delay(source, request.username, service).is_zero()
    }

    fn question(
        &self,
        request: &VerifyRequest<'_>,
        service: Option<ServiceLabel>,
        verdict: &Verdict,
    ) -> Question {
        let (ours, owner) = match verdict {
            Verdict::Active(active) => {
                let owner = active.user().cloned();
                (Ours::Good { token: active.token(), owner: owner.clone() }, owner)
            }
            // What it lacks is a permission: it is good, which is what is compared.
            Verdict::Inactive { reason, token: Some(token) } if reason.is_only_insufficient() => {
                let owner = self.person_at_hand(*token);
                (Ours::Good { token: *token, owner: owner.clone() }, owner)
            }
            Verdict::Inactive { reason, token } => {
                (Ours::Bad { reason: *reason, token: *token }, None)
            }
        };
        let named = request.username.and_then(|name| Username::parse(name).ok());
        // A name that holds what was presented is none: it would be stored.
        let named = named.filter(|name| !name.as_str().contains(&*folded(request.presented)));
        let username = named.or(owner);
        let aim = match (&username, &ours) {
            (Some(name), _) => Aim::Person(name.clone()),
            (None, Ours::Good { token, .. } | Ours::Bad { token: Some(token), .. }) => {
                Aim::Token(*token)
            }
            (None, Ours::Bad { token: None, .. }) => {
                let parts = [request.realm.as_str().as_bytes(), request.presented.as_bytes()];
                let domain = b"counterfoil shadow 1";
                let mac = crate::secret_hash::hmac256(&self.process_key, domain, &parts);
                Aim::Presented(*mac.as_bytes())
            }
        };
        Question {
            realm: request.realm.clone(),
            service,
            presented: ClearSecret::new(request.presented.to_owned()),
            username,
            ours,
            at: self.now(),
            aim,
        }
    }

    /// The person whose token this is, as far as memory tells.
    fn person_at_hand(&self, token: TokenId) -> Option<Username> {
        let person = |entry: &Arc<Entry>| match &entry.owner.facts {
            OwnerFacts::User(user) => Some(user.username.clone()),
            OwnerFacts::Client(_) | OwnerFacts::Gone => None,
        };
        self.cache.peek(self.now(), token, person).flatten()
    }

    /// Asks an old system one question of its shadow's queue, and takes note of the answer. What
    /// waited too long is not asked, nor what might be wrong there and was not when it was queued.
    pub async fn ask_shadow(
        &self,
        shadow: &Shadow,
        old: &dyn OldSystem,
        question: Question,
    ) -> Compared {
        let wants_own = shadow.settings().own_tokens;
        if !wants_own && self.is_of_here(&question).await {
            return Compared::NotAsked;
        }
        let Some(leave) = shadow.leaves(&question, self.now()) else { return Compared::NotAsked };
        let said = old.ask(&question).await;
        let compared = shadow.answered(&question, leave, &said, self.now());
        if let (Some(differs), Some(shadows)) = (compared.differs(), self.shadows.get()) {
            let (key, met) = difference(shadow.settings(), question, said, differs);
            shadows.gathered.note(key, met);
        }
        compared
    }

    /// Whether a secret is of a token that was issued here and not taken over, whatever form it
    /// has: a chosen one has none. While that cannot be told, it counts as one.
    async fn is_of_here(&self, question: &Question) -> bool {
        let (Ours::Good { token, .. } | Ours::Bad { token: Some(token), .. }) = &question.ours
        else {
            return self.may_be_of_a_sheet(question).await;
        };
        match self.store.token_find(&question.realm, *token).await {
            Ok(Some(token)) => !token.labels.contains_key(IMPORTED_FROM),
            // A custom repository keeps it.
            Ok(None) => false,
            Err(_) => true,
        }
    }

    /// Whether a secret may be a backup code that somebody copied without its dashes.
    async fn may_be_of_a_sheet(&self, question: &Question) -> bool {
        let Some(user) = &question.username else { return false };
        if otp::codes::normal(question.presented.reveal()).is_none() {
            return false;
        }
        let found = self.store.otp_of_person(&question.realm, user).await;
        found.map_or(true, |all| all.iter().any(|one| one.method == Method::Backup))
    }

    /// Stores the differences that were met. What cannot be stored is kept for the next time.
    pub(super) async fn flush_shadows(&self, closing: bool) -> Result<(), Unavailable> {
        let Some(shadows) = self.shadows.get() else { return Ok(()) };
        loop {
            let taken = shadows.gathered.take();
            if taken.is_empty() {
                return Ok(());
            }
            if let Err(unavailable) = self.store_differences(&taken).await {
                shadows.gathered.restore(taken);
                return Err(unavailable);
            }
            if !closing {
                return Ok(());
            }
        }
    }

    async fn store_differences(&self, taken: &[(Key, Met)]) -> Result<(), Unavailable> {
        let mut differences = Vec::with_capacity(taken.len());
        for (key, met) in taken {
            let username = match &key.named {
                Named::Nobody => None,
                Named::Known(name) => Some(name.clone()),
                Named::Claimed(name) => {
                    let found = self.store.user_find(&key.realm, name).await?;
                    found.map(|user| user.username)
                }
            };
            let id = time_ordered_id(met.first_at, self.entropy()).map_err(Unavailable::new)?;
            differences.push(ShadowDifference {
                id,
                realm: key.realm.clone(),
                shadow: key.shadow.clone(),
                service: key.service.clone(),
                differs: key.differs,
                token: key.token,
                username,
                reason: met.reason,
                count: met.count,
                first_at: met.first_at,
                last_at: met.last_at,
            });
        }
        self.store.shadow_note(differences).await
    }

    /// The differences of a realm, in the order in which they were first met. For administrators
    /// of the realm: it names people and tokens of whom an old system says something else.
    ///
    /// # Errors
    ///
    /// [`Refusal::Forbidden`] for everybody else.
    pub async fn shadow_report(
        &self,
        caller: &Caller,
        realm: &RealmName,
        filter: ShadowFilter,
        page: PageRequest,
    ) -> Result<Page<ShadowDifference>, Refusal> {
        caller.require_whole(realm, ApiScope::PoliciesWrite)?;
        self.realm_facts(realm).await?;
        let found = self.store.shadow_list(realm, filter, page).await?;
        // Behind the list: figures must not be older than a list that is empty because another
        // node was told to begin anew.
        self.learn_of_shadows().await?;
        Ok(found)
    }

    /// Forgets the differences of a realm, with one old system or with all, so that the report
    /// begins anew; says how many there were. Figures and hold-backs begin anew too: here at once,
    /// on other nodes within a second, and there too before they answer with a report.
    ///
    /// # Errors
    ///
    /// As [`Self::shadow_report`].
    pub async fn clear_shadow(
        &self,
        caller: &Caller,
        realm: &RealmName,
        shadow: Option<ShadowName>,
    ) -> Result<u64, Refusal> {
        caller.require_whole(realm, ApiScope::PoliciesWrite)?;
        self.realm_facts(realm).await?;
        let at = self.now();
        let mut event = self.event("shadow.cleared", realm, &caller.origin, at)?;
        if let Some(name) = &shadow {
            event = event.with_detail(serde_json::json!({ "shadow": name.as_str() }));
        }
        let cleared = self.store.shadow_clear(realm, shadow.clone(), event).await?;
        // What was met before this call is not to be stored after it.
        if let Some(shadows) = self.shadows.get() {
            shadows.gathered.forget(realm, shadow.as_ref());
            shadows.begin_anew(realm, shadow.as_ref(), at, self.now());
        }
        Ok(cleared)
    }

    /// Begins the figures anew of which another node was told to.
    pub(super) fn begin_shadows_anew(&self, read: &ChangesRead) {
        let Some(shadows) = self.shadows.get() else { return };
        let now = self.now();
        // Led by changes that nobody can name any more, and that may have been such ones.
        if read.changes.len() > read.made.len() {
            for shadow in &shadows.all {
                shadow.begin_anew(now, now);
            }
            return;
        }
        for (change, made) in read.changes.iter().zip(&read.made) {
            if let Change::Shadow(realm, named) = change {
                shadows.begin_anew(realm, named.as_ref(), *made, now);
            }
        }
    }
}

/// Whether a token is good for nobody who is only told it.
fn is_bound(active: &Active) -> bool {
    active.method().is_some() || !active.is_bearer()
}

/// To whom else what was presented can be known.
#[derive(Clone, Copy)]
enum Form {
    /// One of our own: nobody else, unless we provision them.
    Ours,
    /// Perhaps to the old system.
    Other,
    /// It is not asked about.
    Never,
}

fn folded(text: &str) -> zeroize::Zeroizing<String> {
    zeroize::Zeroizing::new(crate::names::folded(text))
}

/// What is noted of a difference. The name that was presented is believed where the old system
/// was asked by it and said yes, or calls the person the same.
fn difference(
    settings: &ShadowSettings,
    question: Question,
    said: Said,
    differs: crate::shadow::Differs,
) -> (Key, Met) {
    let told = match said {
        Said::Good(told) => told,
        Said::Bad | Said::Nothing => None,
    };
    let (named, reason) = match (&question.ours, told) {
        (Ours::Good { owner, .. }, _) => (owner.clone().map_or(Named::Nobody, Named::Known), None),
        (Ours::Bad { reason, .. }, Some(told)) => (Named::Known(told), Some(*reason)),
        (Ours::Bad { reason, .. }, None) => {
            let named = match question.username.clone() {
                None => Named::Nobody,
                Some(name) if settings.attests_name => Named::Known(name),
                Some(name) => Named::Claimed(name),
            };
            (named, Some(*reason))
        }
    };
    let key = Key {
        realm: question.realm,
        shadow: settings.name.clone(),
        service: question.service,
        differs,
        token: match question.ours {
            Ours::Good { token, .. } => Some(token),
            Ours::Bad { token, .. } => token,
        },
        named,
    };
    (key, Met { reason, count: 1, first_at: question.at, last_at: question.at })
}

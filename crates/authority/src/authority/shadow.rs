//! Old systems that are asked beside us: what they hear of, what comes of it, and the report.

use std::sync::Arc;

use super::Authority;
use super::verify::{Active, Binding, Verdict, VerifyRequest};
use crate::caller::Caller;
use crate::event::time_ordered_id;
use crate::names::{RealmName, ServiceLabel, ShadowName, Username};
use crate::otp;
use crate::refusal::Refusal;
use crate::scope::ApiScope;
use crate::secret::{ClearSecret, Shape};
use crate::service::Services;
use crate::shadow::{
    Aim, Compared, Gathered, Key, Met, Named, OldSystem, Ours, Question, Said, Shadow,
    ShadowSettings, Shadows,
};
use crate::store::{Page, PageRequest, ShadowDifference, ShadowFilter, Unavailable};
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
                    shadow.counted(Compared::NotAsked);
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
        // A code is spent by asking; and what needs a proof of possession is good for nobody who
        // is only told the token.
        let is_code = otp::looks_spent_by_asking(request.presented);
        let bound = |active: &Active| active.method().is_some() || !active.is_bearer();
        let is_long = request.presented.len() > PRESENTED_BYTES_MAX;
        if is_code || is_long || matches!(verdict, Verdict::Active(active) if bound(active)) {
            return Form::Never;
        }
        let known = !matches!(verdict, Verdict::Inactive { token: None, .. });
        match self.shape(request.presented) {
            Shape::Impossible => Form::Never,
            Shape::Prefixed { .. } => Form::Ours,
            // What has the length of one of ours and another beginning may well be theirs.
            Shape::BadChecksum => {
                let mut prefixes = self.prefixes.iter();
                let is_ours = prefixes.any(|own| request.presented.starts_with(own.as_str()));
                if is_ours { Form::Ours } else { Form::Other }
            }
            Shape::Jwt(Some(_)) if known => Form::Ours,
            Shape::Jwt(_) | Shape::Grouped(_) | Shape::Other => Form::Other,
        }
    }

    /// Whether our own limits hold a refusal back: who guesses here guesses nowhere through us.
    fn is_held_back(&self, request: &VerifyRequest<'_>, verdict: &Verdict) -> bool {
        let Verdict::Inactive { reason, .. } = verdict else { return false };
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

    /// Asks an old system one question of its shadow's queue, and takes note of the answer. What
    /// waited too long is not asked.
    pub async fn ask_shadow(
        &self,
        shadow: &Shadow,
        old: &dyn OldSystem,
        question: Question,
    ) -> Compared {
        if question.is_late(self.now()) {
            shadow.counted(Compared::NotAsked);
            return Compared::NotAsked;
        }
        let said = old.ask(&question).await;
        let compared = shadow.answered(&question, &said, self.now());
        if let (Some(differs), Some(shadows)) = (compared.differs(), self.shadows.get()) {
            let (key, met) = difference(shadow.settings(), question, said, differs);
            shadows.gathered.note(key, met);
        }
        compared
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
        Ok(self.store.shadow_list(realm, filter, page).await?)
    }

    /// Forgets the differences of a realm, with one old system or with all, so that the report
    /// begins anew; says how many there were.
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
        let mut event = self.event("shadow.cleared", realm, &caller.origin, self.now())?;
        if let Some(name) = &shadow {
            event = event.with_detail(serde_json::json!({ "shadow": name.as_str() }));
        }
        Ok(self.store.shadow_clear(realm, shadow, event).await?)
    }
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
                Some(name) if settings.by_name => Named::Known(name),
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

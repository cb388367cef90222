//! Enrolment: the one way to draw on a registration token, whatever the door.
//!
//! Prove the secret, judge the conditions, draft the auth token, have the door write its answer,
//! then count and store everything in one transaction.

mod access;
mod answer;
mod child;

use std::collections::BTreeMap;
use std::sync::Arc;

use self::child::Drafted;
pub use answer::{Drawn, EnrolAnswer, EnrolAnswered, EnrolRefusal, RenderEnrolment};

use super::Authority;
use super::audience::Holder;
use crate::cache::{Entry, Matched};
use crate::caller::{ReplayKey, RequestContext};
use crate::clock::Timestamp;
use crate::enrolment::{
    Approval, Confirmation, Constraint, Constraints, DeviceFacts, Mode, replaced,
};
use crate::event::{Event, Origin};
use crate::keys::KeyId;
use crate::kind::Kind;
use crate::names::RealmName;
use crate::refusal::Refusal;
use crate::scope::Scope;
use crate::secret::{Shape, TokenId};
use crate::secret_hash::{SecretHash, keyed_hash};
use crate::service::Services;
use crate::store::{
    Draw, DrawRules, Enrol, EnrolReplay, Enrolled, Idempotency, Rehash, Rotated, TokenRotate,
    Unavailable,
};
use crate::subject::OwnerFacts;
use crate::token::{State, Token, Told};

/// How long the answer to an enrolment is kept for its repetition (reference rule S5).
const REPLAY_SECONDS: i64 = 86_400;
/// Attempts at a draw that meets edits of its registration token.
const DRAW_ATTEMPTS: usize = 8;
/// Characters of a device's fact at most: the longest user or host name that Cloud LM takes.
const FACT_CHARS_MAX: usize = 320;
/// Characters of an idempotency key at most (reference rule S5).
const KEY_CHARS_MAX: usize = 128;

/// A draw that somebody asks for.
#[derive(Debug, Clone)]
pub struct EnrolRequest<'a> {
    /// The tenant.
    pub realm: &'a RealmName,
    /// The presented registration token.
    pub presented: &'a str,
    /// What the device tells of itself.
    pub facts: DeviceFacts,
    /// Labels it asks for; those that are stamped stand.
    pub labels: BTreeMap<String, String>,
    /// The key it has proved; pinned from now on.
    pub confirmation: Option<Confirmation>,
    /// Fewer scopes than are handed on; `None`: all of them.
    pub scopes: Option<Vec<Scope>>,
    /// What the door keeps with the auth token, as JSON text.
    pub client: Option<String>,
    /// The `Idempotency-Key` and SHA-256 over route and body.
    pub replay: Option<(String, [u8; 32])>,
    /// Where the request came from.
    pub context: RequestContext,
}

/// A draw whose secret is proved, on its way to the store.
struct Attempt<'a> {
    request: &'a EnrolRequest<'a>,
    origin: Origin,
    now: Timestamp,
    registration: Token,
    /// Those of its services that take tokens now.
    services: Services,
}

impl Authority {
    /// Draws an auth token from a registration token, or lets the request wait for approval.
    ///
    /// `answer` is what the door writes; it is called before anything is counted, because the
    /// answer that is kept for a repetition commits with the draw.
    ///
    /// # Errors
    ///
    /// [`EnrolRefusal`]; nothing was counted then. Every refusal is recorded.
    pub async fn enrol(
        &self,
        request: EnrolRequest<'_>,
        answer: &dyn EnrolAnswer,
    ) -> Result<EnrolAnswered, EnrolRefusal> {
        let now = self.now();
        let origin = origin_of(&request);
        self.check_facts(&request)?;
        let entry = self.prove_registration(request.realm, request.presented, &origin, now).await?;
        for _ in 0..DRAW_ATTEMPTS {
            let found = self.store.token_find(request.realm, entry.id).await;
            let found = found.map_err(Refusal::from)?;
            let Some(registration) = found else { return Err(EnrolRefusal::Denied) };
            let services = registration.services.clone();
            let origin = origin.clone();
            let mut attempt = Attempt { request: &request, origin, now, registration, services };
            let said = match self.admit(&mut attempt, &entry).await {
                Ok(()) => self.draw(&attempt, answer).await,
                Err(refusal) => Err(refusal),
            };
            match said {
                Ok(Some(answered)) => return Ok(answered),
                // Somebody edited it in between, or the generator repeated itself.
                Ok(None) => {}
                Err(refusal) => return Err(self.refuse(&attempt, refusal)?),
            }
        }
        Err(EnrolRefusal::Other(Refusal::VersionMismatch))
    }

    /// What a device tells of itself is shown in lists and logs.
    fn check_facts(&self, request: &EnrolRequest<'_>) -> Result<(), Refusal> {
        let facts = &request.facts;
        let named = [
            ("subject", Some(&facts.subject)),
            ("hostname", facts.hostname.as_ref()),
            ("system_user", facts.system_user.as_ref()),
            ("mac_address", facts.mac_address.as_ref()),
            ("identifier", facts.identifier.as_ref()),
            ("ref_id_1", facts.ref_id_1.as_ref()),
            ("ref_id_2", facts.ref_id_2.as_ref()),
        ];
        for (field, fact) in named {
            let Some(fact) = fact else { continue };
            if fact.chars().count() > FACT_CHARS_MAX {
                let why = format!("must have at most {FACT_CHARS_MAX} characters");
                return Err(Refusal::invalid(field, why));
            }
            if fact.is_empty() || fact.chars().any(char::is_control) {
                return Err(Refusal::invalid(field, "must be a line of text"));
            }
            self.refuse_token(field, fact)?;
        }
        let mut labels = request.labels.iter().flat_map(|(name, text)| [name, text]);
        labels.try_for_each(|text| self.refuse_token("labels", text))?;
        let long = |(key, _): &(String, [u8; 32])| key.chars().count() > KEY_CHARS_MAX;
        if request.replay.as_ref().is_some_and(long) {
            let why = format!("must have at most {KEY_CHARS_MAX} characters");
            return Err(Refusal::invalid("Idempotency-Key", why));
        }
        Ok(())
    }

    /// Which registration token this is the right secret of, in whatever state, without a draw.
    /// A wrong one counts as a failed attempt like any other.
    ///
    /// # Errors
    ///
    /// [`EnrolRefusal::Denied`] of a secret that is not good, and as the store fails.
    pub async fn proved_registration(
        &self,
        realm: &RealmName,
        presented: &str,
        context: RequestContext,
    ) -> Result<TokenId, EnrolRefusal> {
        let (origin, now) = (Origin::anonymous(context), self.now());
        Ok(self.prove_registration(realm, presented, &origin, now).await?.id)
    }

    /// The registration token whose right secret was presented. Unknown, mistyped, wrong and
    /// retired look the same.
    async fn prove_registration(
        &self,
        realm: &RealmName,
        presented: &str,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<Arc<Entry>, EnrolRefusal> {
        let keys = self.keys();
        let shape = self.shape(presented);
        let mut found = None;
        if let Shape::Prefixed { kind: Kind::RegistrationToken, id } = shape {
            found = self.entry(id).await?;
            if found.is_none() {
                // The hash is computed all the same, so that time tells nothing.
                std::hint::black_box(keyed_hash(keys.pepper(), presented));
            }
        }
        let mac_under = |id: KeyId| keys.pepper_by_id(id).map(|key| keyed_hash(key, presented));
        let matched = found.as_ref().and_then(|entry| entry.matches(now, &mac_under));
        let ours = |entry: &Arc<Entry>| {
            entry.kind == Kind::RegistrationToken && entry.owner.realm == *realm
        };
        let found = found.filter(ours);
        if let (Some(entry), None) = (&found, &matched) {
            // It may be the right secret, under a key that only other nodes have yet.
            let here = keys.require_peppers(entry.peppers());
            here.map_err(Unavailable::from).map_err(Refusal::from)?;
        }
        if let (Some(entry), Some((matched, pepper, old))) = (found, matched) {
            match matched {
                Matched::Good | Matched::Former => {
                    let current = keys.pepper();
                    if pepper != current.id() {
                        let mac = keyed_hash(current, presented);
                        self.ledger.rehash(Rehash {
                            token: entry.id,
                            old: SecretHash::Keyed { pepper, mac: old },
                            new: SecretHash::Keyed { pepper: current.id(), mac },
                        });
                    }
                    return Ok(entry);
                }
                Matched::Retired => {
                    let alarm = "token.retired-secret-used";
                    let event = self.event(alarm, realm, origin, now);
                    let mut event = event.map_err(Refusal::from)?.with_token(entry.id).refused();
                    event.subject = self.owner_at_hand(entry.id, now);
                    self.ledger.refused(event);
                }
                Matched::Early => {}
            }
        }
        self.notice_decoy(presented, origin).await?;
        if let Some(source) = origin.source {
            self.throttle.failed(source, None, None, now);
        }
        let event = self.event("enrol.refused", realm, origin, now);
        let event = event.map_err(Refusal::from)?.with_reason("unknown").refused();
        self.ledger.refused(event);
        Err(EnrolRefusal::Denied)
    }

    /// Everything that is judged before the store is asked to count. The store judges the state
    /// again; this spares it a storm of those who come too late.
    async fn admit(&self, attempt: &mut Attempt<'_>, entry: &Entry) -> Result<(), EnrolRefusal> {
        let Attempt { request, now, registration, services, .. } = attempt;
        let state = registration.state(*now);
        let sentinel = &registration.sentinel;
        let told = sentinel.told.has(Told::REFUSED) && sentinel.reserved == 0;
        // A repetition is answered as before, whatever has happened since.
        if request.replay.is_none() {
            match state {
                State::Active => {}
                State::Exhausted if !told => {}
                state => return Err(EnrolRefusal::State(state)),
            }
        }
        let owner_is_active = match &entry.owner.facts {
            OwnerFacts::User(user) => user.counts(),
            OwnerFacts::Client(client) => client.enabled,
            OwnerFacts::Gone => false,
        };
        if !owner_is_active || !self.realm_facts(request.realm).await?.realm.enabled {
            return Err(EnrolRefusal::OwnerInactive);
        }
        let door = request.context.door;
        if registration.doors.as_ref().is_some_and(|doors| !doors.contains(&door)) {
            return Err(EnrolRefusal::WrongDoor);
        }
        let holder = Holder::of(entry, Some(&request.context));
        let living = self.living_services(request.realm, services, &holder).await?;
        *services = living.ok_or(EnrolRefusal::NoService)?;
        self.judge_constraints(attempt, state)
    }

    fn judge_constraints(&self, attempt: &Attempt<'_>, state: State) -> Result<(), EnrolRefusal> {
        let Attempt { request, origin, now, registration, .. } = attempt;
        let source = request.context.source;
        let networks = &registration.networks;
        let outside = !networks.is_empty()
            && !source.is_some_and(|address| {
                let address = address.to_canonical();
                networks.iter().any(|network| network.contains(&address))
            });
        let Some(constraints) = Constraints::of(registration.sentinel.constraints.as_deref())
        else {
            return Err(EnrolRefusal::State(State::Disabled));
        };
        let confirmation = request.confirmation.as_ref();
        let mut broken = constraints.broken(&request.facts, confirmation, source, *now);
        if outside {
            broken.insert(0, (Constraint::Networks, Mode::Strict));
        }
        let strict = broken.iter().find(|(_, mode)| *mode == Mode::Strict);
        match strict {
            // Who comes too late is told so, and not what else is wrong.
            Some(_) if state == State::Exhausted => Err(EnrolRefusal::State(state)),
            Some((constraint, _)) => Err(EnrolRefusal::Constraint(*constraint)),
            None => {
                for (constraint, _) in broken {
                    let event = self.event("enrol.constraint-warned", request.realm, origin, *now);
                    let event = event.map_err(Refusal::from)?.with_token(registration.id);
                    let event = with_facts(event, request, None).with_reason(constraint.name());
                    self.ledger.refused(event);
                }
                Ok(())
            }
        }
    }

    /// One attempt at the draw; `None`: look again.
    async fn draw(
        &self,
        attempt: &Attempt<'_>,
        answer: &dyn EnrolAnswer,
    ) -> Result<Option<EnrolAnswered>, EnrolRefusal> {
        let Attempt { request, origin, now, registration, .. } = attempt;
        let Drafted { child, secret } = self.draft_child(attempt)?;
        let mut drawn = Drawn::of(child, registration.clone(), secret.0.clone());
        drawn.grant.services.clone_from(&attempt.services);
        let render = answer.prepare(&drawn).await?;
        let event = self.event("token.enrolled", request.realm, origin, *now);
        let event = event.map_err(Refusal::from)?.with_token(registration.id);
        let event = with_facts(event, request, Some(drawn.token.id));
        let constraints = Constraints::of(registration.sentinel.constraints.as_deref());
        let constraints = constraints.unwrap_or_default();
        let key = ReplayKey::of(request.presented);
        let enrol = Enrol {
            registration: registration.id,
            version: registration.version,
            child: drawn.token.clone(),
            secret: secret.1,
            draw: match Approval::of(registration) {
                Approval::Automatic => Draw::Count,
                Approval::Required => Draw::Reserve,
                Approval::After(most) => Draw::CountBelow(most),
            },
            rules: DrawRules {
                per_hour: constraints.per_hour.map(|rule| (rule.value, rule.mode)),
                per_device: constraints.per_device.map(|rule| (rule.value, rule.mode)),
                on_duplicate: constraints.on_duplicate_device,
            },
            replay: self.replay_of(attempt, &key, &render),
            event,
        };
        let said = self.store.enrol(enrol).await.map_err(Refusal::from)?;
        match said {
            Enrolled::Done { token, counts, .. } => {
                let body = render(&token, counts);
                Ok(Some(EnrolAnswered::Fresh { token, counts, secret: secret.0, body }))
            }
            Enrolled::Replayed(sealed) => opened(&key, registration.id, &sealed).map(Some),
            Enrolled::KeyReused => Err(Refusal::KeyReused.into()),
            Enrolled::Refused(state) => Err(EnrolRefusal::State(state)),
            Enrolled::Broken(constraint) => Err(EnrolRefusal::Constraint(constraint)),
            Enrolled::Held(id) => self.hand_out_again(attempt, id, answer, &key).await,
            Enrolled::Changed | Enrolled::Collision => Ok(None),
        }
    }

    fn replay_of(
        &self,
        attempt: &Attempt<'_>,
        key: &ReplayKey,
        render: &RenderEnrolment,
    ) -> Option<EnrolReplay> {
        let (name, fingerprint) = attempt.request.replay.clone()?;
        let (key, row) = (key.derive(), sealed_row(attempt.registration.id));
        let (render, entropy) = (Arc::clone(render), Arc::clone(&self.entropy));
        Some(EnrolReplay {
            key: name,
            fingerprint,
            expires_at: attempt.now.plus_seconds(REPLAY_SECONDS),
            answer: Arc::new(move |token, counts| {
                let mut clear = zeroize::Zeroizing::new(vec![u8::from(token.pending)]);
                clear.extend(render(token, counts));
                // An answer that cannot be sealed is not kept: the repetition fails, nothing leaks.
                crate::keys::seal_under(&key, &row, &clear, entropy.as_ref()).unwrap_or_default()
            }),
        })
    }

    /// A new secret for the auth token that the device has already: nothing is counted, and the
    /// former secret is good for nothing from now on.
    async fn hand_out_again(
        &self,
        attempt: &Attempt<'_>,
        id: TokenId,
        answer: &dyn EnrolAnswer,
        key: &ReplayKey,
    ) -> Result<Option<EnrolAnswered>, EnrolRefusal> {
        let Attempt { request, origin, now, registration, .. } = attempt;
        let found = self.store.token_find(request.realm, id).await.map_err(Refusal::from)?;
        let Some(token) = found else { return Ok(None) };
        let pinned = token.device.as_ref().and_then(|device| device.confirmation.clone());
        // A name is no proof: what is handed out again goes to the key that it was given to.
        if token.state(*now) != State::Active || pinned.is_none() || pinned != request.confirmation
        {
            return Err(EnrolRefusal::Constraint(Constraint::DuplicateDevice));
        }
        let secret = self.refresh_secret(id, *now)?;
        let drawn = Drawn::of(token, registration.clone(), secret.0.clone());
        let render = answer.prepare(&drawn).await?;
        let counts = crate::enrolment::Counts::of(registration);
        let event = self.event("token.enrolment-returned", request.realm, origin, *now);
        let event = event.map_err(Refusal::from)?.with_token(registration.id);
        let idempotency = self.replay_of(attempt, key, &render).map(|replay| Idempotency {
            caller: registration.id.as_str().to_owned(),
            key: replay.key,
            fingerprint: replay.fingerprint,
            expires_at: replay.expires_at,
            answer: Arc::new(move |token| (replay.answer)(token, counts)),
        });
        let rotate = TokenRotate {
            realm: request.realm.clone(),
            id,
            secret: secret.1,
            previous_until: replaced(),
            expected_version: None,
            at: *now,
            idempotency,
            only_replay: false,
            event: with_facts(event, request, Some(id)),
        };
        match self.store.token_rotate(rotate).await.map_err(Refusal::from)? {
            Rotated::Done(token) => {
                let body = render(&token, counts);
                let token = Box::new(token);
                Ok(Some(EnrolAnswered::Fresh { token, counts, secret: secret.0, body }))
            }
            Rotated::Replayed(sealed) => opened(key, registration.id, &sealed).map(Some),
            Rotated::KeyReused => Err(Refusal::KeyReused.into()),
            _ => Ok(None),
        }
    }

    /// Records a refusal of the right secret.
    fn refuse(
        &self,
        attempt: &Attempt<'_>,
        refusal: EnrolRefusal,
    ) -> Result<EnrolRefusal, Refusal> {
        let Some(reason) = refusal.reason() else { return Ok(refusal) };
        let Attempt { request, origin, now, registration, .. } = attempt;
        self.ledger.denied(registration.id);
        let event = self.event("enrol.refused", request.realm, origin, *now)?;
        let event = event.with_token(registration.id).with_reason(reason);
        self.ledger.refused(with_facts(event, request, None).refused());
        Ok(refusal)
    }
}

/// Nobody is authenticated at this door but the holder of a shared secret.
fn origin_of(request: &EnrolRequest<'_>) -> Origin {
    Origin { actor: "enrolment".into(), ..Origin::anonymous(request.context.clone()) }
}

/// What the device told of itself, for whoever asks later who drew.
fn with_facts(event: Event, request: &EnrolRequest<'_>, auth_token: Option<TokenId>) -> Event {
    let facts = &request.facts;
    let thumbprint = request.confirmation.as_ref().map(Confirmation::thumbprint);
    let named = [
        ("auth_token", auth_token.map(|id| id.to_string())),
        ("hostname", facts.hostname.clone()),
        ("system_user", facts.system_user.clone()),
        ("mac_address", facts.mac_address.clone()),
        ("identifier", facts.identifier.clone()),
        ("ref_id_1", facts.ref_id_1.clone()),
        ("ref_id_2", facts.ref_id_2.clone()),
        ("key_thumbprint", thumbprint.map(str::to_owned)),
    ];
    let told = named.into_iter().filter_map(|(name, fact)| Some((name.to_owned(), fact?.into())));
    let told: serde_json::Map<String, serde_json::Value> = told.collect();
    let event = event.with_subject(facts.subject.clone());
    if told.is_empty() { event } else { event.with_detail(told.into()) }
}

/// What a kept answer is sealed to.
fn sealed_row(registration: TokenId) -> String {
    format!("enrolment {registration}")
}

/// Opens a kept answer: only with the very secret that it was given for.
fn opened(
    key: &ReplayKey,
    registration: TokenId,
    sealed: &[u8],
) -> Result<EnrolAnswered, EnrolRefusal> {
    let clear = crate::keys::open_under(&key.derive(), &sealed_row(registration), sealed);
    let clear = clear.map_err(|_| Refusal::KeyReused)?;
    let (waiting, body) = clear.split_first().ok_or(Refusal::KeyReused)?;
    Ok(EnrolAnswered::Replayed { waiting: *waiting != 0, body: body.to_vec() })
}

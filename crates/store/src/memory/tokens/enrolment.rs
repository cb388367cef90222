//! Enrolment, in memory.
//!
//! Length: drawing, returning and what falls due move the same counts, which only hold together.

use std::collections::{BTreeMap, HashMap};

use async_trait::async_trait;
use counterfoil_authority::clock::Timestamp;
use counterfoil_authority::enrolment::{
    Constraint, Counts, ISSUE_APPROVAL_SECONDS, Mode, OnDuplicate,
};
use counterfoil_authority::event::{Event, Origin, Outcome};
use counterfoil_authority::kind::Kind;
use counterfoil_authority::names::RealmName;
use counterfoil_authority::notice;
use counterfoil_authority::secret::TokenId;
use counterfoil_authority::store::{
    BlastRadius, Change, CountReturn, Draw, Enrol, Enrolled, EnrolmentStore, Refresh, Refreshed,
    Returned, Unavailable,
};
use counterfoil_authority::token::{Revocation, State as TokenState, Token, Told};

use super::super::{Answer, Held, MemoryStore, State};
use super::families::Successor;
use super::place;
use crate::events::{self, Ending};
use crate::tokens::still_told;

/// What is known of families beside their tokens.
#[derive(Clone, Default)]
pub(in super::super) struct Families {
    pub(super) successors: HashMap<(TokenId, String), Successor>,
    /// How often who waits may ask, and when they last did.
    pub(super) polls: HashMap<TokenId, (i64, Timestamp)>,
    /// When the end of a registration token is to be told of.
    ends: BTreeMap<TokenId, (RealmName, Timestamp)>,
}

impl Families {
    pub(super) fn forget_end(&mut self, id: TokenId) {
        self.ends.remove(&id);
    }
}

/// What the rules say of a draw.
enum Judged {
    Good { warnings: Vec<Constraint>, instead_of: Option<TokenId> },
    Bad(Enrolled),
}

fn first_notice(token: &Token, now: Timestamp) -> Option<Timestamp> {
    let ends = token.validity.expires_at()?;
    notice::first(token.kind, token.created_at, ends, now)
}

fn is_living(token: &Token, now: Timestamp) -> bool {
    token.revocation.is_none() && token.validity.expires_at().is_none_or(|end| now < end)
}

impl State {
    fn drawn_from(&self, id: TokenId) -> impl Iterator<Item = &Token> {
        let drawn = self.tokens.values().map(|held| &held.token);
        drawn.filter(move |token| {
            token.device.is_some() && token.sentinel.registration_token == Some(id)
        })
    }

    fn of_device(&self, registration: TokenId, key: &str, now: Timestamp) -> Vec<TokenId> {
        let same = |token: &&Token| {
            token.device.as_ref().is_some_and(|device| device.key == key) && is_living(token, now)
        };
        let mut held: Vec<&Token> = self.drawn_from(registration).filter(same).collect();
        held.sort_by_key(|token| std::cmp::Reverse(place(token)));
        held.into_iter().map(|token| token.id).collect()
    }

    pub(super) fn tell_end(&mut self, token: &Token, now: Timestamp) {
        let told = !notice::needs_listeners(token.kind) || self.has_targets(&token.realm);
        if let Some(due) = first_notice(token, now).filter(|_| told) {
            self.families.ends.insert(token.id, (token.realm.clone(), due));
        }
    }

    /// Notes the ends of a realm's tokens: somebody can be told of them now.
    pub(in super::super) fn newly_heard(&mut self, realm: &RealmName, now: Timestamp) {
        let tokens = self.tokens.values().map(|held| &held.token);
        for token in tokens.filter(|t| t.realm == *realm && notice::needs_listeners(t.kind)) {
            if let Some(due) = first_notice(token, now) {
                self.families.ends.entry(token.id).or_insert_with(|| (realm.clone(), due));
            }
        }
    }

    /// Gives back the draw of a request that ends undecided.
    pub(super) fn release(&mut self, id: TokenId) -> bool {
        let Some(held) = self.tokens.get_mut(&id) else { return false };
        let registration = held.token.sentinel.registration_token;
        let waited =
            held.token.device.as_mut().and_then(|device| device.request_ends_at.take()).is_some();
        if waited && let Some(held) = registration.and_then(|id| self.tokens.get_mut(&id)) {
            let reserved = &mut held.token.sentinel.reserved;
            *reserved = reserved.saturating_sub(1);
        }
        waited
    }

    /// Ends a token by itself, with an event about it.
    pub(super) fn end_by_itself(
        &mut self,
        id: TokenId,
        kind: &'static str,
        reason: &str,
        cause: &Event,
    ) {
        let Some(realm) = self.tokens.get(&id).map(|held| held.token.realm.clone()) else { return };
        let told = events::consequence(cause, kind, id, reason);
        let origin = Origin::system(cause.origin.door);
        let told = Event { realm, origin, outcome: Outcome::Done, ..told };
        self.record(&told);
        let sentence =
            Revocation { at: cause.at, by: "system".into(), reason: Some(reason.to_owned()) };
        self.end(&[id], &sentence);
        self.end_derived(&[id], &sentence, &told);
        self.changed(Change::Token(id), cause.at);
    }

    pub(super) fn time_out(&mut self, id: TokenId, cause: &Event) {
        if self.release(id) {
            self.end_by_itself(id, "token.request-timed-out", "timed out", cause);
        }
    }

    /// Ends every auth token that was drawn from a registration token.
    pub(super) fn end_drawn(&mut self, id: TokenId, sentence: &Revocation, event: &Event) {
        let drawn = self.drawn_from(id).filter(|token| token.revocation.is_none());
        let ids: Vec<TokenId> = drawn.map(|token| token.id).collect();
        for id in &ids {
            self.release(*id);
        }
        self.end(&ids, sentence);
        self.tell(&ids, "token.revoked", "registration token revoked", event);
        self.end_derived(&ids, sentence, event);
    }

    /// Makes active what waits; false if its time was over.
    pub(super) fn approve(&mut self, id: TokenId, at: Timestamp, event: &Event) -> bool {
        let Some(held) = self.tokens.get_mut(&id) else { return false };
        let registration = held.token.sentinel.registration_token;
        if let Some(device) = &mut held.token.device {
            if device.request_ends_at.is_none_or(|end| end <= at) {
                self.time_out(id, event);
                return false;
            }
            device.request_ends_at = None;
            device.idle_ends_at = device.idle_seconds.map(|idle| at.plus_seconds(idle));
        }
        held.token.pending = false;
        held.token.activated_at = Some(at);
        held.token.version += 1;
        let is_drawn = held.token.device.is_some();
        if let Some(held) = registration.filter(|_| is_drawn).and_then(|r| self.tokens.get_mut(&r))
        {
            held.token.used += 1;
            held.token.sentinel.reserved -= 1;
        }
        true
    }

    fn enrol(&mut self, enrol: &Enrol) -> Enrolled {
        let (id, now) = (enrol.registration, enrol.child.created_at);
        if let Some(replay) = &enrol.replay {
            let known = self.answers.get(&(id.to_string(), replay.key.clone()));
            match known.filter(|kept| kept.expires_at > now) {
                Some(kept) if kept.fingerprint == replay.fingerprint => {
                    return Enrolled::Replayed(kept.sealed.clone());
                }
                Some(_) => return Enrolled::KeyReused,
                None => {}
            }
        }
        let late = |token: &&Token| {
            let ends = token.device.as_ref().and_then(|device| device.request_ends_at);
            ends.is_some_and(|end| end <= now)
        };
        if self.state_of(id, now) == TokenState::Exhausted {
            let late: Vec<TokenId> = self.drawn_from(id).filter(late).map(|t| t.id).collect();
            for late in late {
                self.time_out(late, &enrol.event);
            }
        }
        let state = self.state_of(id, now);
        if state != TokenState::Active {
            let told = self.tokens.get(&id).map(|held| held.token.sentinel.told);
            if state == TokenState::Exhausted && told.is_some_and(|told| !told.has(Told::REFUSED)) {
                self.told(enrol, Told::REFUSED, "token.count-exceeded", "refused", None);
            }
            return Enrolled::Refused(state);
        }
        let (warnings, instead_of) = match self.judge(enrol) {
            Judged::Good { warnings, instead_of } => (warnings, instead_of),
            Judged::Bad(enrolled) => return enrolled,
        };
        let Some(held) = self.tokens.get(&id) else {
            return Enrolled::Refused(TokenState::Revoked);
        };
        if held.token.version != enrol.version {
            return Enrolled::Changed;
        }
        if self.tokens.contains_key(&enrol.child.id) || self.code_is_taken(&enrol.child) {
            return Enrolled::Collision;
        }
        self.drawn(enrol, &warnings, instead_of)
    }

    fn state_of(&self, id: TokenId, now: Timestamp) -> TokenState {
        let held = self.tokens.get(&id).map(|held| &held.token);
        let held = held.filter(|token| token.kind == Kind::RegistrationToken);
        held.map_or(TokenState::Revoked, |token| token.state(now))
    }

    fn code_is_taken(&self, child: &Token) -> bool {
        let code = child.device.as_ref().and_then(|device| device.user_code.as_ref());
        let same = |held: &Held| {
            held.token.realm == child.realm
                && held.token.device.as_ref().is_some_and(|device| {
                    device.request_ends_at.is_some() && device.user_code.as_ref() == code
                })
        };
        code.is_some() && self.tokens.values().any(same)
    }

    fn judge(&self, enrol: &Enrol) -> Judged {
        let (id, now) = (enrol.registration, enrol.child.created_at);
        let mut warnings = Vec::new();
        let mut breaks = |constraint, mode| match mode {
            Mode::Strict => true,
            Mode::Warn => {
                warnings.push(constraint);
                false
            }
            Mode::Off => false,
        };
        if let Some((most, mode)) = enrol.rules.per_hour {
            let since = now.plus_seconds(-3_600);
            let recent = self.drawn_from(id).filter(|token| token.created_at >= since).count();
            if recent as u64 >= most && breaks(Constraint::PerHour, mode) {
                return Judged::Bad(Enrolled::Broken(Constraint::PerHour));
            }
        }
        let key = enrol.child.device.as_ref().map(|device| device.key.as_str()).unwrap_or_default();
        let held = self.of_device(id, key, now);
        let newest = held.first().copied();
        let instead_of = match (enrol.rules.on_duplicate, newest) {
            (OnDuplicate::Replace, newest) => newest,
            (OnDuplicate::Reject, Some(_)) => {
                return Judged::Bad(Enrolled::Broken(Constraint::DuplicateDevice));
            }
            (OnDuplicate::ReturnExisting, Some(held)) => return Judged::Bad(Enrolled::Held(held)),
            _ => None,
        };
        if let Some((most, mode)) = enrol.rules.per_device {
            let others = held.len() - usize::from(instead_of.is_some());
            if others as u64 >= most && breaks(Constraint::PerDevice, mode) {
                return Judged::Bad(Enrolled::Broken(Constraint::PerDevice));
            }
        }
        Judged::Good { warnings, instead_of }
    }

    /// Counts the draw and stores what comes of it.
    fn drawn(
        &mut self,
        enrol: &Enrol,
        warnings: &[Constraint],
        replaced: Option<TokenId>,
    ) -> Enrolled {
        let Some(held) = self.tokens.get_mut(&enrol.registration) else {
            return Enrolled::Refused(TokenState::Revoked);
        };
        let reserved = match enrol.draw {
            Draw::Count => false,
            Draw::Reserve => true,
            Draw::CountBelow(most) => Counts::of(&held.token).taken() >= most,
        };
        if reserved {
            held.token.sentinel.reserved += 1;
        } else {
            held.token.used += 1;
        }
        let (counts, told) = (Counts::of(&held.token), held.token.sentinel.told);
        let now = enrol.child.created_at;
        let mut token = Token {
            pending: reserved,
            activated_at: (!reserved).then_some(now),
            revocation: None,
            secrets: Vec::new(),
            ..enrol.child.clone()
        };
        if let Some(device) = token.device.as_mut().filter(|_| !reserved) {
            device.user_code = None;
            device.request_ends_at = None;
        }
        let held = Held { token, secrets: vec![enrol.secret.clone()] };
        let shown = held.shown();
        self.tokens.insert(shown.id, held);
        let kind = if reserved { "token.enrolment-requested" } else { "token.enrolled" };
        let event = Event { kind: kind.into(), ..enrol.event.clone() };
        self.record(&event);
        for constraint in warnings {
            let name = constraint.name();
            self.record(&beside(&event, "enrol.constraint-warned", name));
        }
        if let Some(former) = replaced {
            self.release(former);
            self.replace(&[former], now, &event);
        }
        if counts.nearly_used_up() && !told.has(Told::NEARLY) {
            self.told(enrol, Told::NEARLY, "token.count-nearly-used", "80", Some(counts));
        }
        if counts.remaining() == Some(0) && !told.has(Told::EXHAUSTED) {
            self.told(enrol, Told::EXHAUSTED, "token.count-used-up", "100", Some(counts));
        }
        if let Some(replay) = &enrol.replay {
            let answer = Answer {
                fingerprint: replay.fingerprint,
                sealed: (replay.answer)(&shown, counts),
                expires_at: replay.expires_at,
            };
            self.answers.insert((enrol.registration.to_string(), replay.key.clone()), answer);
        }
        Enrolled::Done { token: Box::new(shown), counts, replaced }
    }

    fn told(
        &mut self,
        enrol: &Enrol,
        bit: u32,
        kind: &'static str,
        reason: &str,
        counts: Option<Counts>,
    ) {
        if let Some(held) = self.tokens.get_mut(&enrol.registration) {
            held.token.sentinel.told.0 |= bit;
        }
        let detail = counts.map(|counts| {
            serde_json::json!({
                "count": counts.limit, "used": counts.used, "reserved": counts.reserved,
                "returned": counts.returned,
            })
        });
        self.record(&Event { detail, ..beside(&enrol.event, kind, reason) });
    }

    fn give_back(&mut self, back: &CountReturn) -> Returned {
        let held = self.tokens.get_mut(&back.id).filter(|held| held.token.realm == back.realm);
        let Some(held) = held.filter(|held| held.token.kind == Kind::RegistrationToken) else {
            return Returned::NotFound;
        };
        let token = &mut held.token;
        let most = token.used.saturating_sub(token.sentinel.returned);
        if token.revocation.is_some() {
            return Returned::TooMany(0);
        }
        if back.draws > most {
            return Returned::TooMany(most);
        }
        token.sentinel.returned += back.draws;
        token.sentinel.told = still_told(token);
        token.version += 1;
        let shown = held.shown();
        self.record(&back.event);
        self.changed(Change::Token(back.id), back.event.at);
        Returned::Done(Box::new(shown))
    }

    fn reach_of(&self, id: TokenId, now: Timestamp) -> BlastRadius {
        let mut reach = BlastRadius::default();
        let day = now.plus_seconds(-86_400);
        for token in self.drawn_from(id) {
            reach.auth_tokens += 1;
            let living = token.revocation.is_none();
            reach.waiting += u64::from(living && token.pending);
            if is_living(token, now) && !token.pending {
                reach.active += 1;
                let refreshed = token.device.as_ref().and_then(|device| device.refreshed_at);
                let recent = token.created_at > day || refreshed.is_some_and(|at| at > day);
                reach.active_last_day += u64::from(recent);
            }
        }
        let mut parents = vec![id];
        while let Some(parent) = parents.pop() {
            let derived = self.tokens.values().map(|held| &held.token).filter(|token| {
                token.kind == Kind::DerivedToken
                    && token.parent == Some(parent)
                    && token.revocation.is_none()
            });
            let ids: Vec<TokenId> = derived.map(|token| token.id).collect();
            reach.derived += ids.len() as u64;
            parents.extend(ids);
        }
        reach
    }

    fn due(&mut self, now: Timestamp, limit: usize, cause: &Event) -> u64 {
        let devices = |state: &Self, due: &dyn Fn(&Token) -> bool| -> Vec<TokenId> {
            let tokens = state.tokens.values().map(|held| &held.token);
            tokens.filter(|token| due(token)).map(|token| token.id).take(limit).collect()
        };
        let reached = |at: Option<Timestamp>| at.is_some_and(|at| at <= now);
        let late = devices(self, &|token| {
            reached(token.device.as_ref().and_then(|device| device.request_ends_at))
        });
        let mut done = late.len();
        for id in late {
            self.time_out(id, cause);
        }
        let idle = devices(self, &|token| {
            reached(token.device.as_ref().and_then(|device| device.idle_ends_at))
                && token.revocation.is_none()
        });
        done += idle.len();
        for id in idle {
            if let Some(device) = self.tokens.get_mut(&id).and_then(|h| h.token.device.as_mut()) {
                device.idle_ends_at = None;
            }
            self.end_by_itself(id, "token.idle-ended", "idle", cause);
        }
        let undecided = devices(self, &|token| {
            token.pending
                && token.device.is_none()
                && token.repository.is_none()
                && token.revocation.is_none()
                && token.created_at.plus_seconds(ISSUE_APPROVAL_SECONDS) <= now
        });
        done += undecided.len();
        for id in undecided {
            self.end_by_itself(id, "token.request-timed-out", "timed out", cause);
        }
        let near = self.families.ends.iter().filter(|(_, (_, due))| *due <= now);
        let near: Vec<TokenId> = near.map(|(id, _)| *id).take(limit).collect();
        for id in near {
            done += 1;
            self.families.ends.remove(&id);
            let Some(token) = self.tokens.get(&id).map(|held| &held.token) else { continue };
            if let (Some(ends), None) = (token.validity.expires_at(), &token.revocation) {
                let ending = Ending {
                    id,
                    realm: token.realm.clone(),
                    kind: token.kind,
                    owner: token.owner.clone(),
                    services: token.services.clone(),
                };
                if let Some(due) = notice::next(token.kind, ends, now) {
                    self.families.ends.insert(id, (ending.realm.clone(), due));
                }
                if let Some(told) = events::ending(cause, &ending, ends, now) {
                    self.record(&told);
                }
            }
        }
        let before = self.families.successors.len();
        self.families.successors.retain(|_, kept| kept.expires_at > now);
        (done + before - self.families.successors.len()) as u64
    }
}

fn beside(event: &Event, kind: &'static str, reason: &str) -> Event {
    Event {
        id: format!("{}.{reason}", event.id),
        kind: kind.into(),
        outcome: Outcome::Done,
        reason: Some(reason.to_owned()),
        ..event.clone()
    }
}

#[async_trait]
impl EnrolmentStore for MemoryStore {
    async fn enrol(&self, enrol: Enrol) -> Result<Enrolled, Unavailable> {
        Ok(self.write(|state| state.enrol(&enrol)))
    }

    async fn enrolled_device(
        &self,
        realm: &RealmName,
        registration: TokenId,
        device_key: &str,
        now: Timestamp,
    ) -> Result<Option<Token>, Unavailable> {
        Ok(self.read(|state| {
            let newest = state.of_device(registration, device_key, now).first().copied()?;
            let held = state.tokens.get(&newest).filter(|held| held.token.realm == *realm);
            held.map(Held::shown)
        }))
    }

    async fn refresh(&self, refresh: Refresh) -> Result<Refreshed, Unavailable> {
        Ok(self.write(|state| state.refresh(&refresh)))
    }

    async fn enrolment_waiting(
        &self,
        realm: &RealmName,
        user_code: &str,
    ) -> Result<Option<Token>, Unavailable> {
        Ok(self.read(|state| {
            let waits = |held: &&Held| {
                held.token.realm == *realm
                    && held.token.device.as_ref().is_some_and(|device| {
                        device.request_ends_at.is_some()
                            && device.user_code.as_deref() == Some(user_code)
                    })
            };
            state.tokens.values().find(waits).map(Held::shown)
        }))
    }

    async fn count_return(&self, back: CountReturn) -> Result<Returned, Unavailable> {
        Ok(self.write(|state| state.give_back(&back)))
    }

    async fn blast_radius(&self, id: TokenId, now: Timestamp) -> Result<BlastRadius, Unavailable> {
        Ok(self.read(|state| state.reach_of(id, now)))
    }

    async fn enrolment_due(
        &self,
        now: Timestamp,
        limit: u32,
        cause: Event,
    ) -> Result<u64, Unavailable> {
        Ok(self.write(|state| state.due(now, limit as usize, &cause)))
    }
}

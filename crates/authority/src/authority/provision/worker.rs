//! The worker: turns notes into deliveries, and deliveries into done ones.
//!
//! One process at a time has the lease on it. What it writes elsewhere cannot be fenced, so it
//! stops long before the lease does, and whatever an attempt may have left behind unanswered is
//! looked at once more a while later.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use super::state::Seen;
use crate::authority::Authority;
use crate::clock::Timestamp;
use crate::event::{Event, Origin};
use crate::names::{RealmName, TargetName};
use crate::provision::{
    Arrived, Courier, Delivery, DeliveryKey, Failed, Fault, Freight, Mark, Object, Target,
    TargetKind, TargetMode,
};
use crate::secret::ClearSecret;
use crate::store::{Lease, PageRequest, Settled, Settlement, Unavailable, UserFilter};
use crate::verdict::Door;

/// The lease under which targets are brought up to date.
const LEASE: &str = "deliver";
/// A worker that died is replaced after so long.
const LEASE_SECONDS: i64 = 20;
/// Within so long after the lease was taken attempts begin.
const BEGIN_WITHIN_MICROS: i64 = 2_000_000;
/// And so long each one has to come to its end: together less than the lease.
const ATTEMPT_MAX: Duration = Duration::from_secs(15);
/// Notes routed in one transaction.
const NOTES_PER_STEP: u32 = 500;
/// Deliveries claimed at once.
const CLAIM_MAX: u32 = 128;
/// Attempts under way at the same time, for each target.
const CONCURRENT: usize = 16;
/// People that one step of "everyone" turns into deliveries.
const PEOPLE_PER_STEP: u32 = 500;
/// An object waits so long for the target whose turn it is.
const TURN_MICROS: i64 = 50_000;
/// When to look again at what an unanswered attempt may have done.
const CONFIRM_SECONDS: i64 = 30;
/// Failed attempts after which a delivery is dead, unless the target says otherwise.
const ATTEMPTS_MAX: u32 = 20;

/// What the worker remembers between two steps.
#[derive(Default)]
pub(in crate::authority) struct Delivering {
    paused: HashMap<(RealmName, TargetName), Pause>,
}

/// A target that cannot be reached.
#[derive(Clone, Copy)]
struct Pause {
    failures: u32,
    until: Timestamp,
}

/// What one step knows.
struct Step {
    courier: Arc<dyn Courier>,
    lease: Lease,
    began: Timestamp,
    /// The targets of each realm that are brought to a state, in their order.
    rivals: HashMap<RealmName, Vec<(i64, TargetName)>>,
}

impl Authority {
    /// Brings targets up to date, as far as one step goes. True if there is more to do at once.
    ///
    /// # Errors
    ///
    /// The store could not answer; the next step goes on.
    pub async fn deliver(
        self: &Arc<Self>,
        courier: &Arc<dyn Courier>,
    ) -> Result<bool, Unavailable> {
        let began = self.now();
        if !self.store.delivery_is_due(began).await? {
            return Ok(false);
        }
        // Before the lease, so that what waits is seen also while another one's has not ended.
        let mut more = self.store.outbox_route(began, NOTES_PER_STEP).await? >= NOTES_PER_STEP;
        let until = began.plus_seconds(LEASE_SECONDS);
        let Some(lease) = self.store.lease_take(LEASE, &self.node, began, until).await? else {
            return Ok(more);
        };
        *self.delivering_lease.lock() = Some(lease.clone());
        let mut targets = self.store.target_all().await?;
        targets.retain(|target| target.mode != TargetMode::Disabled);
        targets.sort_by(|a, b| (a.order, &a.name).cmp(&(b.order, &b.name)));
        let mut rivals: HashMap<RealmName, Vec<(i64, TargetName)>> = HashMap::new();
        for target in targets.iter().filter(|target| !target.kind.takes_messages()) {
            let place = (target.order, target.name.clone());
            rivals.entry(target.realm.clone()).or_default().push(place);
        }
        let courier = Arc::clone(courier);
        let step = Arc::new(Step { courier, lease, began, rivals });
        let mut running = JoinSet::new();
        for target in targets {
            if !self.is_paused(&target, began) {
                let (authority, step) = (Arc::clone(self), Arc::clone(&step));
                running.spawn(async move { authority.deliver_to(&step, Arc::new(target)).await });
            }
        }
        while let Some(ended) = running.join_next().await {
            more |= ended.map_err(Unavailable::new)??;
        }
        Ok(more)
    }

    fn is_paused(&self, target: &Target, now: Timestamp) -> bool {
        let name = (target.realm.clone(), target.name.clone());
        self.delivering.lock().paused.get(&name).is_some_and(|pause| pause.until > now)
    }

    /// Whether deliveries to a target fail because it is away.
    fn failures_of(&self, target: &Target) -> u32 {
        let name = (target.realm.clone(), target.name.clone());
        self.delivering.lock().paused.get(&name).map_or(0, |pause| pause.failures)
    }

    async fn deliver_to(
        self: &Arc<Self>,
        step: &Arc<Step>,
        target: Arc<Target>,
    ) -> Result<bool, Unavailable> {
        // Of a target that was away one attempt tells whether it is back.
        let limit = if self.failures_of(&target) > 0 { 1 } else { CLAIM_MAX };
        let (realm, name) = (&target.realm, &target.name);
        let now = self.now();
        let claimed = self.store.delivery_claim(&step.lease, realm, name, now, limit).await?;
        if claimed.is_empty() {
            return Ok(false);
        }
        let full = claimed.len() >= limit as usize;
        let secret = self.target_secret(&target)?.map(Arc::new);
        let seen = Arc::new(tokio::sync::Mutex::new(Seen::new()));
        let mut waiting: VecDeque<Delivery> = claimed.into();
        let mut running = JoinSet::new();
        let mut settled = Vec::new();
        let mut away = None;
        loop {
            let late = self.now().micros() - step.began.micros() > BEGIN_WITHIN_MICROS;
            while away.is_none() && !late && running.len() < CONCURRENT {
                let Some(delivery) = waiting.pop_front() else { break };
                let (authority, step) = (Arc::clone(self), Arc::clone(step));
                let (target, secret) = (Arc::clone(&target), secret.clone());
                let seen = Arc::clone(&seen);
                running.spawn(async move {
                    let ended = authority.attempt(&step, &target, secret, &delivery, &seen).await;
                    (delivery, ended)
                });
            }
            let Some(ended) = running.join_next().await else { break };
            let (delivery, ended) = ended.map_err(Unavailable::new)?;
            let (settlement, fault) = ended?;
            away = away.or(fault.filter(|fault| *fault == Fault::Away));
            settled.push(Settled { delivery, settlement });
        }
        let moved = settled.iter().any(|one| !matches!(one.settlement, Settlement::Retry { .. }));
        let until = self.note_reach(&target, away.is_some(), moved)?;
        settled.extend(
            waiting
                .into_iter()
                .map(|delivery| Settled { delivery, settlement: Settlement::Wait { until } }),
        );
        let progressed =
            settled.iter().any(|one| matches!(one.settlement, Settlement::Progress { .. }));
        let told = self.told(&settled)?;
        let holds = self.store.delivery_settle(&step.lease, settled, told, self.now()).await?;
        Ok(holds && away.is_none() && (full || progressed))
    }

    /// Remembers whether a target is away, and until when it is left alone.
    fn note_reach(
        &self,
        target: &Target,
        away: bool,
        moved: bool,
    ) -> Result<Timestamp, Unavailable> {
        let now = self.now();
        let name = (target.realm.clone(), target.name.clone());
        let failures = self.failures_of(target);
        let until = self.after(now, failures)?;
        let mut delivering = self.delivering.lock();
        if away {
            delivering.paused.insert(name, Pause { failures: failures + 1, until });
            return Ok(until);
        }
        if moved {
            delivering.paused.remove(&name);
        }
        Ok(now)
    }

    /// Dead deliveries are events: somebody has to look at them.
    fn told(&self, settled: &[Settled]) -> Result<Vec<Event>, Unavailable> {
        let mut told = Vec::new();
        for Settled { delivery, settlement } in settled {
            let Settlement::Dead { error } = settlement else { continue };
            let origin = Origin::system(Door::Api);
            let key = &delivery.key;
            let event = self.event("delivery.dead", &key.realm, &origin, self.now());
            let detail =
                serde_json::json!({ "target": key.target.as_str(), "message": key.message });
            let event = event.map_err(Unavailable::new)?.with_subject(key.object.name());
            told.push(event.with_reason(error.clone()).with_detail(detail));
        }
        Ok(told)
    }

    async fn attempt(
        &self,
        step: &Step,
        target: &Target,
        secret: Option<Arc<ClearSecret>>,
        delivery: &Delivery,
        seen: &tokio::sync::Mutex<Seen>,
    ) -> Result<(Settlement, Option<Fault>), Unavailable> {
        let now = self.now();
        let key = &delivery.key;
        let freight = match &key.object {
            Object::Everyone => return Ok((self.everyone(delivery).await?, None)),
            Object::Concerned => return Ok((self.concerned(target, delivery).await?, None)),
            object if !key.message.is_empty() => match self.told_of(target, key, object).await? {
                Some(freight) => freight,
                None => return Ok((Settlement::Forget, None)),
            },
            Object::User(name) => {
                let state = self.person_state(target, name, now, seen).await?;
                if let Some(until) = self.waits_for_its_turn(step, target, key, &state, now).await?
                {
                    return Ok((Settlement::Wait { until }, None));
                }
                Freight::Person(Box::new(state))
            }
            Object::Other(_) => return Ok((Settlement::Forget, None)),
        };
        let secret = secret.as_ref().map(|secret| secret.reveal());
        let place = delivery.place.as_deref();
        // What was read before may have taken long.
        let Some(left) = left_of_lease(step.began, self.now()) else {
            return Ok((Settlement::Wait { until: self.now() }, None));
        };
        let bringing = step.courier.bring(target, secret, &freight, place);
        let ended = match tokio::time::timeout(left, bringing).await {
            Ok(ended) => ended,
            Err(_) => Err(Failed::new(Fault::Unanswered, "no answer in time")),
        };
        match ended {
            Ok(arrived) => Ok((self.done(delivery, &freight, arrived), None)),
            Err(failed) => {
                let fault = failed.fault;
                Ok((self.failed(target, delivery, failed)?, Some(fault)))
            }
        }
    }

    /// What a message says; `None` if there is nothing to say any more.
    async fn told_of(
        &self,
        target: &Target,
        key: &DeliveryKey,
        object: &Object,
    ) -> Result<Option<Freight>, Unavailable> {
        let Some(event) = self.store.event_find(&key.realm, &key.message).await? else {
            return Ok(None);
        };
        if target.kind != TargetKind::Mail {
            return Ok(Some(Freight::Message(Box::new(event))));
        }
        let Object::User(name) = object else { return Ok(None) };
        let letter = self.letter(target, &event, name).await?;
        Ok(letter.map(|letter| Freight::Letter(Box::new(letter))))
    }

    /// Lower orders first, and last where something is taken away. A target that is away or has
    /// failed with this object keeps nobody waiting.
    async fn waits_for_its_turn(
        &self,
        step: &Step,
        target: &Target,
        key: &DeliveryKey,
        state: &crate::provision::PersonState,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, Unavailable> {
        let Some(places) = step.rivals.get(&key.realm).filter(|places| places.len() > 1) else {
            return Ok(None);
        };
        let due = self.store.delivery_rivals(key, now).await?;
        let own = (target.order, target.name.clone());
        let paused = |name: &TargetName| {
            let delivering = self.delivering.lock();
            let of = delivering.paused.get(&(key.realm.clone(), name.clone()));
            of.is_some_and(|pause| pause.failures > 0)
        };
        let before = |place: &&(i64, TargetName)| {
            if state.is_removal() { **place > own } else { **place < own }
        };
        let waits =
            places.iter().filter(before).any(|(_, name)| due.contains(name) && !paused(name));
        Ok(waits.then(|| Timestamp::from_micros(now.micros() + TURN_MICROS)))
    }

    /// A part of the people of a realm, each as a delivery of their own.
    async fn everyone(&self, delivery: &Delivery) -> Result<Settlement, Unavailable> {
        let page = PageRequest { limit: PEOPLE_PER_STEP, after: delivery.progress.clone() };
        let realm = &delivery.key.realm;
        let people = self.store.user_list(realm, UserFilter::default(), page).await?;
        let mark = |user: &crate::subject::User| Mark {
            key: DeliveryKey {
                object: Object::User(user.username.to_string()),
                ..delivery.key.clone()
            },
            held: false,
        };
        let marks: Vec<Mark> = people.items.iter().map(mark).collect();
        // Somebody may be behind the last page meanwhile; whoever is new has an event of their own.
        match people.next {
            None if marks.is_empty() => Ok(Settlement::Forget),
            None => {
                let last = people.items.last().map(|user| user.username.to_string());
                Ok(Settlement::Progress { from: last.unwrap_or_default(), marks })
            }
            Some(from) => Ok(Settlement::Progress { from, marks }),
        }
    }

    fn done(&self, delivery: &Delivery, freight: &Freight, arrived: Arrived) -> Settlement {
        let Freight::Person(state) = freight else { return Settlement::Forget };
        let unsure = delivery.unanswered > 1;
        // Whoever is gone has no place that would have to be remembered, unless it is looked at
        // once more.
        if state.user.is_none() && !unsure {
            return Settlement::Forget;
        }
        let confirm = unsure.then(|| self.now().plus_seconds(CONFIRM_SECONDS));
        let again_at = state.again_at.into_iter().chain(confirm).min();
        Settlement::Done { place: arrived.place, again_at }
    }

    fn failed(
        &self,
        target: &Target,
        delivery: &Delivery,
        failed: Failed,
    ) -> Result<Settlement, Unavailable> {
        let Failed { fault, what } = failed;
        let most = target.config.attempts_max.unwrap_or(ATTEMPTS_MAX);
        let tried_enough = fault == Fault::Refused && delivery.attempts + 1 >= most;
        if tried_enough || fault == Fault::Final {
            return Ok(Settlement::Dead { error: what });
        }
        let at = self.after(self.now(), delivery.attempts)?;
        Ok(Settlement::Retry { at, error: what, unanswered: fault == Fault::Unanswered })
    }

    /// When the next attempt is, after so many failures: 0.5 s, doubling to 15 s, and a minute only
    /// after some ten minutes; up to a fifth sooner, so that not all of them come at once.
    fn after(&self, now: Timestamp, failures: u32) -> Result<Timestamp, Unavailable> {
        let millis = match failures {
            0..5 => 500_i64 << failures,
            5..40 => 15_000,
            _ => 60_000,
        };
        let mut chance = [0];
        self.entropy().fill(&mut chance).map_err(Unavailable::new)?;
        let sooner = millis * 1_000 / 5 * i64::from(chance[0]) / 256;
        Ok(Timestamp::from_micros(now.micros() + millis * 1_000 - sooner))
    }
}

/// How long an attempt may take that begins now, so that it ends before the lease does; `None` if
/// it is too late for one.
fn left_of_lease(began: Timestamp, now: Timestamp) -> Option<Duration> {
    let late = now.micros() - began.micros() - BEGIN_WITHIN_MICROS;
    let late = Duration::from_micros(late.max(0).unsigned_abs());
    ATTEMPT_MAX.checked_sub(late).filter(|left| !left.is_zero())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attempt_ends_before_the_lease_whenever_it_begins() {
        let began = Timestamp::from_seconds(1_000);
        let after = |seconds: i64| left_of_lease(began, began.plus_seconds(seconds));
        assert_eq!(after(0), Some(ATTEMPT_MAX));
        assert_eq!(after(2), Some(ATTEMPT_MAX));
        assert_eq!(after(7), Some(Duration::from_secs(10)));
        for seconds in 0..LEASE_SECONDS {
            let ends = after(seconds).map(|left| seconds.unsigned_abs() + left.as_secs());
            assert!(ends.is_none_or(|ends| ends < LEASE_SECONDS.unsigned_abs()), "{seconds}");
        }
        assert_eq!(after(17), None);
        assert_eq!(after(60), None);
    }
}

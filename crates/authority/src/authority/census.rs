//! How many tokens there are of which kind and state, what ends, rests or runs out: for whoever
//! administers them.
//!
//! A realm with few tokens is counted while its page is asked for. One with many is counted beside
//! the requests, a part at a time, for as long as somebody looks at it, and the page shows the
//! latest count and when it was taken.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::Authority;
use crate::caller::Caller;
use crate::clock::Timestamp;
use crate::kind::Kind;
use crate::names::RealmName;
use crate::refusal::Refusal;
use crate::scope::ApiScope;
use crate::store::{CensusPart, RefusalTally, SCARCE_PER_PART_MAX, Scarce, Tally, Unavailable};
use crate::token::State;

/// Tokens, and events of a day, up to which a realm is counted while somebody waits: some ten
/// milliseconds.
const AT_ONCE: u32 = 2_000;
/// Tokens or events that one part of a larger count looks at: some fifty milliseconds of a reader.
const PART: u32 = 10_000;
/// How old a count may become while somebody looks at it, in seconds.
const FRESH_SECONDS: i64 = 300;
/// How long after the last look a realm goes on being counted, in seconds.
const WANTED_SECONDS: i64 = 1_800;
/// What ends within so many seconds ends soon: two weeks.
pub const SOON_SECONDS: i64 = 14 * 86_400;
/// What was not used for so many seconds is unused: 90 days.
pub const UNUSED_SECONDS: i64 = 90 * 86_400;
/// The time about which refusals are told, in hours.
pub const REFUSAL_HOURS: i64 = 24;
/// Registration tokens that are nearly used up, of all units together, that a count remembers.
const SCARCE_MAX: usize = 10_000;
const HOUR_MICROS: i64 = 3_600_000_000;

/// A realm, counted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Census {
    tallies: BTreeMap<Facts, Tally>,
    scarce: Vec<Scarce>,
    refusals: Vec<RefusalTally>,
}

/// What tokens of one group have in common: kind, state, unit, and unit of the owner.
type Facts = (Kind, &'static str, Option<String>, Option<String>);

/// A count that is under way.
#[derive(Debug, Clone)]
struct Running {
    began: Timestamp,
    found: Census,
    /// Where the next tokens are; `None`: all are counted.
    tokens: Option<String>,
    /// Where the next events are; `None`: all are counted.
    events: Option<String>,
}

/// What is known of a realm.
#[derive(Debug, Default)]
struct Known {
    latest: Option<(Timestamp, Arc<Census>)>,
    running: Option<Running>,
    wanted: Option<Timestamp>,
}

/// The counts of this process.
#[derive(Debug, Default)]
pub(super) struct Counts(parking_lot::Mutex<HashMap<RealmName, Known>>);

/// What somebody is told of the tokens that they administer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Overview {
    /// When they were counted; `None`: they are being counted for the first time.
    pub counted_at: Option<Timestamp>,
    /// Tokens by kind and state.
    pub tokens: Vec<(Kind, State, u64)>,
    /// Active tokens that end within [`SOON_SECONDS`].
    pub ending: u64,
    /// Active tokens without a use for [`UNUSED_SECONDS`].
    pub unused: u64,
    /// Registration tokens that are nearly used up, the fullest first.
    pub scarce: Vec<Scarce>,
    /// Refusals of the last [`REFUSAL_HOURS`], for who may read the audit.
    pub refusals: Option<Vec<RefusalTally>>,
}

impl Running {
    fn new(now: Timestamp) -> Self {
        // Ids of events begin with the hexadecimal digits of their time.
        let first = now.plus_seconds(-REFUSAL_HOURS * 3_600).micros().max(0);
        Self {
            began: now,
            found: Census::default(),
            tokens: Some(String::new()),
            events: Some(format!("{first:014x}")),
        }
    }

    fn is_over(&self) -> bool {
        self.tokens.is_none() && self.events.is_none()
    }

    fn add(&mut self, tallies: Vec<Tally>, scarce: Vec<Scarce>) {
        for tally in tallies {
            let facts =
                (tally.kind, tally.state.name(), tally.unit.clone(), tally.owner_unit.clone());
            match self.found.tallies.get_mut(&facts) {
                Some(known) => {
                    known.count += tally.count;
                    known.ending += tally.ending;
                    known.unused += tally.unused;
                }
                None => drop(self.found.tallies.insert(facts, tally)),
            }
        }
        self.found.scarce.extend(scarce);
        // Each unit sees its own, so some of each are kept.
        let mut of_unit: BTreeMap<Option<String>, u32> = BTreeMap::new();
        self.found.scarce.sort_by_key(|one| std::cmp::Reverse(share(one)));
        self.found.scarce.retain(|one| {
            let number = of_unit.entry(one.unit.clone()).or_default();
            *number += 1;
            *number <= SCARCE_PER_PART_MAX
        });
        self.found.scarce.truncate(SCARCE_MAX);
    }
}

/// How much of a registration token is used up, in thousandths.
fn share(scarce: &Scarce) -> u64 {
    scarce.taken.saturating_mul(1_000) / scarce.most.max(1)
}

impl Authority {
    /// What a caller may know about the tokens of a realm, or of the units that they administer.
    /// `None` if they administer neither.
    ///
    /// # Errors
    ///
    /// [`Refusal::Forbidden`] to who may see no token, and a store that is down.
    pub async fn overview(
        &self,
        caller: &Caller,
        realm: &RealmName,
    ) -> Result<Option<Overview>, Refusal> {
        let reach = caller.reach(realm, ApiScope::TokensRead)?;
        self.realm_facts(realm).await?;
        if !reach.whole && reach.units.is_empty() {
            return Ok(None);
        }
        let audits = caller.require_whole(realm, ApiScope::AuditRead).is_ok();
        let Some((counted_at, census)) = self.census(realm).await? else {
            return Ok(Some(Overview::default()));
        };
        let within = |unit: &Option<String>| {
            reach.whole || unit.as_ref().is_some_and(|unit| reach.units.contains(unit))
        };
        let mut overview = Overview {
            counted_at: Some(counted_at),
            refusals: audits.then(|| census.refusals.clone()),
            ..Overview::default()
        };
        for tally in census.tallies.values().filter(|t| within(&t.unit) || within(&t.owner_unit)) {
            overview.ending += tally.ending;
            overview.unused += tally.unused;
            let facts = (tally.kind, tally.state);
            let known = overview.tokens.iter_mut().find(|(k, s, _)| (*k, *s) == facts);
            match known {
                Some((.., count)) => *count += tally.count,
                None => overview.tokens.push((tally.kind, tally.state, tally.count)),
            }
        }
        let few = census.scarce.iter().filter(|one| within(&one.unit));
        overview.scarce = few.take(SCARCE_PER_PART_MAX as usize).cloned().collect();
        Ok(Some(overview))
    }

    /// The latest count of a realm, or one that is taken now if that is quick.
    async fn census(
        &self,
        realm: &RealmName,
    ) -> Result<Option<(Timestamp, Arc<Census>)>, Unavailable> {
        let now = self.now();
        // There is one only of realms that were too large to be counted in between.
        let latest = self.counts.0.lock().get(realm).and_then(|known| known.latest.clone());
        if latest.is_none() {
            let mut running = Running::new(now);
            self.count_part(realm, &mut running, AT_ONCE).await?;
            if running.is_over() {
                // Quick to take again: not kept, so that nobody sees an old one.
                return Ok(Some((now, Arc::new(running.found))));
            }
        }
        self.counts.0.lock().entry(realm.clone()).or_default().wanted = Some(now);
        Ok(latest)
    }

    async fn count_part(
        &self,
        realm: &RealmName,
        running: &mut Running,
        limit: u32,
    ) -> Result<(), Unavailable> {
        if let Some(after) = running.tokens.clone() {
            let part = CensusPart {
                realm: realm.clone(),
                after,
                limit,
                now: running.began,
                soon: running.began.plus_seconds(SOON_SECONDS),
                unused_since: running.began.plus_seconds(-UNUSED_SECONDS),
            };
            let found = self.store.census_tokens(part).await?;
            running.add(found.tallies, found.scarce);
            running.tokens = found.next;
        }
        if let Some(after) = running.events.clone() {
            let (found, next) = self.store.census_refusals(realm, after, limit).await?;
            let first = running.began.micros() / HOUR_MICROS - REFUSAL_HOURS + 1;
            running.found.refusals.extend(found.into_iter().filter(|one| one.hour >= first));
            running.events = next;
        }
        Ok(())
    }

    /// Goes on with the counts that somebody waits for, one part each time; false if there is
    /// nothing to do. Called several times a second.
    ///
    /// # Errors
    ///
    /// A store that is down; the next call goes on.
    pub async fn take_census(&self) -> Result<bool, Unavailable> {
        let now = self.now();
        let due = {
            let mut all = self.counts.0.lock();
            let wanted = |known: &Known| {
                known.wanted.is_some_and(|at| at > now.plus_seconds(-WANTED_SECONDS))
            };
            all.retain(|_, known| wanted(known));
            let old = |known: &Known| {
                known.running.is_some()
                    || known
                        .latest
                        .as_ref()
                        .is_none_or(|(at, _)| *at <= now.plus_seconds(-FRESH_SECONDS))
            };
            let due = all.iter_mut().find(|(_, known)| old(known));
            due.map(|(realm, known)| {
                (realm.clone(), known.running.take().unwrap_or_else(|| Running::new(now)))
            })
        };
        let Some((realm, mut running)) = due else { return Ok(false) };
        let counted = self.count_part(&realm, &mut running, PART).await;
        let mut all = self.counts.0.lock();
        let Some(known) = all.get_mut(&realm) else { return Ok(true) };
        // A part that failed is counted anew, and none of those before it.
        if running.is_over() {
            known.latest = Some((running.began, Arc::new(running.found)));
        } else {
            known.running = Some(running);
        }
        counted.map(|()| true)
    }
}

//! Counting tokens and refusals, in memory.

use std::collections::BTreeMap;

use async_trait::async_trait;
use counterfoil_authority::event::Outcome;
use counterfoil_authority::kind::Kind;
use counterfoil_authority::names::RealmName;
use counterfoil_authority::store::{
    CensusCount, CensusPart, CensusStore, RefusalTally, SCARCE_PER_PART_MAX, Scarce, Tally,
    Unavailable,
};
use counterfoil_authority::subject::Owner;
use counterfoil_authority::token::{State as TokenState, Token};

use super::{Held, MemoryStore, State};
use crate::codec::sort_key;

const HOUR_MICROS: i64 = 3_600_000_000;

/// The nth part of a list that is in order, and where the part behind it begins.
fn part<T>(items: Vec<(String, T)>, limit: u32) -> (Vec<T>, Option<String>) {
    let limit = limit as usize;
    let next = (items.len() >= limit).then(|| items.get(limit - 1)).flatten();
    let next = next.map(|(place, _)| place.clone());
    (items.into_iter().take(limit).map(|(_, item)| item).collect(), next)
}

fn scarce(of: &Token, now: counterfoil_authority::clock::Timestamp) -> Option<Scarce> {
    let lives = !matches!(of.state(now), TokenState::Revoked);
    let ends = of.validity.expires_at().is_none_or(|end| end > now);
    let most = of.sentinel.count.filter(|_| of.kind == Kind::RegistrationToken)?;
    let taken = (of.used + of.sentinel.reserved).saturating_sub(of.sentinel.returned);
    let (id, name, unit) = (of.id, of.name.clone(), of.unit.clone());
    (lives && ends && 5 * taken >= 4 * most).then_some(Scarce { id, name, unit, taken, most })
}

impl State {
    fn tally(&self, token: &Token, part: &CensusPart) -> Tally {
        let enrolled = matches!(token.kind, Kind::RegistrationToken | Kind::AuthToken);
        let owner_unit = match &token.owner {
            Owner::User(name) if !enrolled => {
                let person = self.users.get(&(part.realm.clone(), name.clone()));
                person.and_then(|person| person.unit.clone())
            }
            Owner::User(_) | Owner::Client(_) => None,
        };
        let state = token.state(part.now);
        let active = state == TokenState::Active;
        let ending = token.validity.expires_at().is_some_and(|end| end < part.soon);
        let used = token.usage.last_at.is_some_and(|last| last >= part.unused_since);
        Tally {
            kind: token.kind,
            state,
            unit: token.unit.clone(),
            owner_unit,
            count: 1,
            ending: u64::from(active && ending),
            unused: u64::from(active && token.created_at < part.unused_since && !used),
        }
    }

    fn census(&self, asked: &CensusPart) -> CensusCount {
        let place = |token: &Token| sort_key(token.created_at, token.id);
        let here = self.tokens.values().filter(|held| held.token.realm == asked.realm);
        let mut behind: Vec<(String, Token)> =
            here.map(Held::shown).map(|token| (place(&token), token)).collect();
        behind.retain(|(place, _)| *place > asked.after);
        behind.sort_by(|(a, _), (b, _)| a.cmp(b));
        let (tokens, next) = part(behind, asked.limit);
        let mut groups: BTreeMap<_, Tally> = BTreeMap::new();
        for token in &tokens {
            let one = self.tally(token, asked);
            let facts =
                (one.kind.name(), one.state.name(), one.unit.clone(), one.owner_unit.clone());
            match groups.get_mut(&facts) {
                Some(group) => {
                    group.count += 1;
                    group.ending += one.ending;
                    group.unused += one.unused;
                }
                None => drop(groups.insert(facts, one)),
            }
        }
        let few = tokens.iter().rev().filter_map(|token| scarce(token, asked.now));
        let few = few.take(SCARCE_PER_PART_MAX as usize).collect();
        CensusCount { tallies: groups.into_values().collect(), scarce: few, next }
    }
}

#[async_trait]
impl CensusStore for MemoryStore {
    async fn census_tokens(&self, part: CensusPart) -> Result<CensusCount, Unavailable> {
        Ok(self.read(|state| state.census(&part)))
    }

    async fn census_refusals(
        &self,
        realm: &RealmName,
        after: String,
        limit: u32,
    ) -> Result<(Vec<RefusalTally>, Option<String>), Unavailable> {
        Ok(self.read(|state| {
            let behind = state.events.iter().filter(|((of, id), _)| of == realm && *id > after);
            let behind = behind.map(|((_, id), event)| (id.clone(), event)).collect();
            let (events, next) = part(behind, limit);
            let mut groups: BTreeMap<(String, Option<String>, i64), u64> = BTreeMap::new();
            for event in events.into_iter().filter(|event| event.outcome == Outcome::Refused) {
                let hour = event.at.micros() / HOUR_MICROS;
                *groups.entry((event.kind.to_string(), event.reason.clone(), hour)).or_default() +=
                    event.count;
            }
            let tallies = groups.into_iter().map(|((kind, reason, hour), count)| RefusalTally {
                kind,
                reason,
                hour,
                count,
            });
            (tallies.collect(), next)
        }))
    }
}

//! How a token was used, day by day: as a small chart, as its words, and as a table.

use std::collections::BTreeMap;

use counterfoil_authority::clock::Timestamp;
use counterfoil_authority::secret::TokenId;
use counterfoil_authority::store::{UseDay, day_of};
use counterfoil_authority::verdict::Door;

use super::times::Moment;
use super::words::Language;

/// Days in a chart, today being the last one.
pub(super) const CHART_DAYS: i64 = 30;
/// How high the highest bar is.
const HEIGHT: u64 = 20;

/// A day in a chart.
#[derive(Debug)]
pub(super) struct Bar {
    /// How far from the left.
    pub(super) x: i64,
    /// How far from above.
    pub(super) y: u64,
    /// How high.
    pub(super) height: u64,
}

/// Uses of the last days.
#[derive(Debug)]
pub(super) struct Chart {
    pub(super) bars: Vec<Bar>,
    pub(super) width: i64,
    /// The same in words.
    pub(super) words: String,
}

impl Chart {
    /// The chart of one token; `None` if there is nothing to draw.
    pub(super) fn of(language: Language, days: &[UseDay], now: Timestamp) -> Option<Self> {
        let first = day_of(now) - CHART_DAYS + 1;
        let mut by_day: BTreeMap<i64, u64> = BTreeMap::new();
        for one in days.iter().filter(|one| one.day >= first) {
            *by_day.entry(one.day).or_default() += one.uses;
        }
        let most = by_day.values().copied().max().filter(|most| *most > 0)?;
        let total = by_day.values().sum::<u64>();
        let bar = |(day, uses): (&i64, &u64)| {
            // Whatever was used at all is seen.
            let height = (uses * HEIGHT / most).max(2);
            Bar { x: (day - first) * 4, y: HEIGHT - height, height }
        };
        let bars = by_day.iter().map(bar).collect();
        let used_on = language.count("uses-on-days", by_day.len().try_into().unwrap_or(0));
        let words = format!("{}, {used_on}", language.about("uses-of-30-days", total));
        Some(Self { bars, width: CHART_DAYS * 4 - 1, words })
    }
}

/// Whence a token was used through one door.
pub(super) struct Whence {
    /// The door, in words.
    pub(super) door: String,
    pub(super) uses: u64,
    /// When it was last used through it.
    pub(super) last: Moment,
    /// Addresses of the latest use of each day, the latest first.
    pub(super) sources: Vec<String>,
}

/// Addresses that are named for one door.
const SOURCES_MAX: usize = 5;

/// The doors through which a token was used, the latest first.
pub(super) fn whence(language: Language, days: &[UseDay], now: Timestamp) -> Vec<Whence> {
    let mut of_door: BTreeMap<&str, Vec<&UseDay>> = BTreeMap::new();
    for one in days {
        of_door.entry(one.door.name()).or_default().push(one);
    }
    let mut doors: Vec<Vec<&UseDay>> = of_door.into_values().collect();
    for one in &mut doors {
        one.sort_by_key(|day| std::cmp::Reverse(day.last_at));
    }
    doors.sort_by_key(|one| one.first().map(|day| std::cmp::Reverse(day.last_at)));
    let told = doors.into_iter().filter_map(|days| {
        let latest = days.first()?;
        let mut sources: Vec<String> = Vec::new();
        for source in days.iter().filter_map(|day| day.last_ip) {
            let source = source.to_string();
            if sources.len() < SOURCES_MAX && !sources.contains(&source) {
                sources.push(source);
            }
        }
        Some(Whence {
            door: door(language, latest.door),
            uses: days.iter().map(|day| day.uses).sum(),
            last: Moment::of(language, latest.last_at, now),
            sources,
        })
    });
    told.collect()
}

/// A door in words.
pub(super) fn door(language: Language, door: Door) -> String {
    language.say(&format!("door-{}", door.name()))
}

/// The days of one token among those of several.
pub(super) fn of_token(days: &[UseDay], token: TokenId) -> &[UseDay] {
    let from = days.iter().position(|one| one.token == token).unwrap_or(days.len());
    let rest = days.get(from..).unwrap_or_default();
    let count = rest.iter().take_while(|one| one.token == token).count();
    rest.get(..count).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use counterfoil_authority::verdict::DOORS;

    use super::*;

    fn used(day: i64, door: Door, uses: u64, last: u8) -> UseDay {
        UseDay {
            token: TokenId::parse("0123456789AB").unwrap(),
            day,
            door,
            uses,
            last_at: Timestamp::from_seconds(day * 86_400 + i64::from(last)),
            last_ip: Some([10, 0, 0, last].into()),
        }
    }

    #[test]
    fn a_chart_has_a_bar_for_each_day_of_use_and_says_the_same_in_words() {
        let now = Timestamp::from_seconds(100 * 86_400);
        let days = [
            used(60, Door::Api, 500, 1),
            used(71, Door::Api, 1, 1),
            used(100, Door::Api, 30, 1),
            used(100, Door::Ldap, 10, 1),
        ];
        let chart = Chart::of(Language::English, &days, now).unwrap();
        let bars: Vec<_> = chart.bars.iter().map(|bar| (bar.x, bar.y, bar.height)).collect();
        assert_eq!(bars, [(0, 18, 2), (116, 0, 20)]);
        assert_eq!(chart.width, 119);
        assert_eq!(chart.words, "41 uses in 30 days, on 2 days");
        assert!(Chart::of(Language::English, &days[..1], now).is_none());
    }

    #[test]
    fn doors_are_told_with_their_latest_addresses() {
        let now = Timestamp::from_seconds(100 * 86_400);
        let days =
            [used(98, Door::Api, 2, 1), used(99, Door::Ldap, 3, 7), used(100, Door::Ldap, 4, 9)];
        let told = whence(Language::English, &days, now);
        let told: Vec<_> = told.iter().map(|one| (one.uses, one.sources.join(" "))).collect();
        assert_eq!(told, [(7, "10.0.0.9 10.0.0.7".to_owned()), (2, "10.0.0.1".to_owned())]);
    }

    #[test]
    fn every_door_has_a_word() {
        for language in [Language::English, Language::German] {
            for one in DOORS {
                assert_ne!(door(language, one), format!("door-{}", one.name()));
            }
        }
    }

    #[test]
    fn the_days_of_a_token_are_found_among_those_of_others() {
        let other = TokenId::parse("0123456789AC").unwrap();
        let own = used(1, Door::Api, 1, 1);
        let foreign = UseDay { token: other, ..own.clone() };
        let days = [own.clone(), foreign.clone(), UseDay { day: 2, ..foreign.clone() }];
        assert_eq!(of_token(&days, other).len(), 2);
        assert_eq!(of_token(&days, own.token), [own]);
        assert!(of_token(&days, TokenId::parse("0123456789AD").unwrap()).is_empty());
    }
}

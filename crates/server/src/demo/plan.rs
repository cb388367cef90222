//! What is going to happen: who there is, which tokens they get, and what becomes of them, in the
//! order of time. A plan follows from its seed and its end alone, and does nothing.

use counterfoil_authority::clock::Timestamp;
use counterfoil_authority::kind::Kind;
use counterfoil_authority::otp::Method;
use counterfoil_authority::verdict::Door;

use super::dice::Dice;
use super::organisation::Organisation;
use super::{DAY_SECONDS, DAYS, beginning};

mod fates;
mod programs;

/// Somebody who is there from the first day on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Person {
    pub(super) username: String,
    pub(super) display_name: String,
    pub(super) unit: String,
    pub(super) groups: Vec<String>,
}

/// Who issues a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum By {
    /// Who is to have it.
    Owner,
    /// The personnel system, which is shown it and passes it on.
    Onboarding,
    /// An administrator, who sends a link that nobody has opened yet.
    Link,
}

/// When a token ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Life {
    /// As its service says.
    Default,
    /// Then.
    Until(Timestamp),
}

/// A token that somebody is going to have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wish {
    /// Whose, by their place among the people.
    pub(super) owner: usize,
    pub(super) by: By,
    pub(super) kind: Kind,
    pub(super) service: &'static str,
    pub(super) name: &'static str,
    pub(super) scopes: &'static [&'static str],
    pub(super) life: Life,
    pub(super) not_before: Option<Timestamp>,
    pub(super) max_usages: Option<u64>,
    /// The door at which it is used.
    pub(super) door: Door,
    /// Whether a machine uses it, at every hour.
    pub(super) machine: bool,
}

/// How a use goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mistake {
    /// Nothing is wrong with it.
    None,
    /// The last character is another one.
    Mistyped,
    /// It is tried at a service that it is not for.
    OtherService(&'static str),
    /// It is asked for a scope that it lacks.
    OtherScope(&'static str),
}

/// What becomes of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// Its owner revokes it.
    Revoked(&'static str),
    /// Its owner switches it off.
    Disabled,
    /// An administrator locks it.
    Locked,
}

/// What becomes of a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// Suspended.
    Suspended,
    /// Gone.
    Left,
    /// Everything of theirs is locked.
    Locked,
}

/// Something that happens. Tokens, people and registration tokens go by their places.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Deed {
    /// A token is issued.
    Issue(usize),
    /// A token is used.
    Use(usize, Mistake),
    /// A token gets a new secret.
    Rotate(usize),
    /// A token that waits is approved.
    Approve(usize),
    /// Something becomes of a token.
    Change(usize, Fate),
    /// A narrower token is derived from one.
    Derive(usize, &'static str),
    /// Somebody guesses at the mailbox of a person.
    Guess(usize),
    /// A registration token is issued.
    Register(usize),
    /// A device draws from one.
    Draw(usize, usize),
    /// A device is refused there.
    DrawInVain(usize, usize),
    /// A device that has drawn renews itself.
    Refresh(usize, usize),
    /// A registration token is revoked.
    Withdraw(usize),
    /// A person gets codes.
    Enrol(usize, Method),
    /// A person shows a code: a right one, or a wrong one.
    Code(usize, bool),
    /// Something becomes of a person.
    Turn(usize, Turn),
    /// The retired service is suspended.
    Retire,
    /// The repositories of the configuration are filled.
    Stock,
    /// Machine clients begin their day, and what has fallen due is done.
    Morning,
}

/// What is going to happen.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) people: Vec<Person>,
    pub(super) wishes: Vec<Wish>,
    /// In the order of time; of the same instant in the order in which they were planned.
    pub(super) deeds: Vec<(Timestamp, Deed)>,
}

/// A plan in the making.
struct Draft<'a> {
    organisation: &'a Organisation,
    dice: Dice,
    end: Timestamp,
    plan: Plan,
}

impl Plan {
    /// The plan of a seed, of a history that ends at `end`.
    pub(super) fn of(organisation: &Organisation, seed: u64, end: Timestamp) -> Self {
        let plan = Self { people: Vec::new(), wishes: Vec::new(), deeds: Vec::new() };
        let mut draft = Draft { organisation, dice: Dice::of(seed), end, plan };
        draft.people();
        draft.mornings();
        draft.programs();
        draft.codes();
        draft.registrations();
        let mut plan = draft.plan;
        plan.deeds.retain(|(at, _)| *at < end);
        // Stable: what was planned first for an instant happens first.
        plan.deeds.sort_by_key(|(at, _)| *at);
        plan
    }
}

impl Draft<'_> {
    /// So many seconds into a day.
    fn at(&self, day: i64, seconds: i64) -> Timestamp {
        beginning(self.end).plus_seconds(day * DAY_SECONDS + seconds)
    }

    /// Some instant of a day on which somebody works.
    fn working(&mut self, day: i64) -> Timestamp {
        let seconds = self.dice.between(2 * 3_600, 12 * 3_600);
        self.at(day, seconds)
    }

    fn plan(&mut self, at: Timestamp, deed: Deed) {
        self.plan.deeds.push((at, deed));
    }

    /// The place of a person.
    fn person(&self, username: &str) -> usize {
        self.plan.people.iter().position(|one| one.username == username).unwrap_or(0)
    }

    fn people(&mut self) {
        let organisation = self.organisation;
        for one in &organisation.person {
            self.plan.people.push(Person {
                username: one.username.clone(),
                display_name: one.display_name.clone(),
                unit: one.unit.clone(),
                groups: one.groups.clone(),
            });
        }
        let mut first: Vec<&str> = organisation.first_names.iter().map(String::as_str).collect();
        let mut last: Vec<&str> = organisation.last_names.iter().map(String::as_str).collect();
        let units: Vec<&str> = organisation.colleague_units.iter().map(String::as_str).collect();
        for _ in 0..organisation.colleagues {
            let Some((first, last)) = self.dice.take(&mut first).zip(self.dice.take(&mut last))
            else {
                break;
            };
            let mut groups = vec!["staff".to_owned()];
            if self.dice.chance(25) {
                groups.push("cluster-users".to_owned());
            }
            self.plan.people.push(Person {
                username: format!("{first}.{last}").to_lowercase(),
                display_name: format!("{first} {last}"),
                unit: self.dice.pick(&units).to_owned(),
                groups,
            });
        }
    }

    fn mornings(&mut self) {
        for day in 0..=DAYS {
            let at = self.at(day, 3_600);
            self.plan(at, Deed::Morning);
        }
        let at = self.at(5, 9 * 3_600);
        self.plan(at, Deed::Retire);
        let at = self.at(2, 9 * 3_600);
        self.plan(at, Deed::Stock);
    }

    /// Codes for the VPN: people enrol in the first days, and show one every now and then.
    fn codes(&mut self) {
        let many = self.plan.people.len();
        for person in (0..many).step_by(3) {
            let day = self.dice.between(1, 6);
            let at = self.working(day);
            self.plan(at, Deed::Enrol(person, Method::Totp));
            if self.dice.chance(40) {
                self.plan(at.plus_seconds(300), Deed::Enrol(person, Method::Backup));
            }
            for day in 7..=DAYS {
                if self.dice.chance(25) {
                    let at = self.working(day);
                    let right = self.dice.chance(92);
                    self.plan(at, Deed::Code(person, right));
                }
            }
        }
    }

    fn registrations(&mut self) {
        let organisation = self.organisation;
        for (number, one) in organisation.registration.iter().enumerate() {
            let (day, days) = (one.day, one.days);
            let issued = self.at(day, 4 * 3_600);
            self.plan(issued, Deed::Register(number));
            let (draws, last) = (one.draws + one.waiting, (day + days).min(DAYS));
            let revoked = one.revoked.is_some();
            let width = match one.refused {
                _ if revoked => 2,
                // All have drawn before somebody is refused.
                1.. if one.constraints.is_none() => 10,
                _ => (last - day - 2).max(1),
            };
            for device in 0..draws {
                let day = day + 1 + self.dice.between(0, width);
                let mut at = self.working(day);
                if device >= one.draws {
                    // It waits still, so it asked lately.
                    let ago = self.dice.between(2 * 3_600, 8 * 3_600);
                    at = self.end.plus_seconds(-ago);
                }
                self.plan(at, Deed::Draw(number, device));
                self.renewals(number, device, at);
            }
            if revoked {
                let at = self.at(day + 4, 6 * 3_600);
                self.plan(at, Deed::Withdraw(number));
            }
            for device in 0..one.refused {
                let at = self.in_vain(number);
                self.plan(at, Deed::DrawInVain(number, device));
            }
        }
    }

    /// When a device is refused: with the wrong name at any time, else after the end.
    fn in_vain(&mut self, number: usize) -> Timestamp {
        let from = match self.organisation.registration.get(number) {
            Some(one) if one.constraints.is_some() => one.day + 1,
            Some(one) if one.revoked.is_some() => one.day + 6,
            Some(one) if one.days < 30 => one.day + one.days,
            Some(one) => one.day + 12,
            None => 0,
        };
        let day = self.dice.between(from + 1, DAYS.max(from + 2));
        self.working(day)
    }

    fn renewals(&mut self, number: usize, device: usize, drawn: Timestamp) {
        let mut next = drawn;
        while next < self.end {
            let hours = self.dice.between(5 * 24, 9 * 24);
            next = next.plus_seconds(hours * 3_600);
            self.plan(next, Deed::Refresh(number, device));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(seed: u64) -> Plan {
        let organisation = Organisation::read().unwrap();
        Plan::of(&organisation, seed, Timestamp::from_seconds(1_800_000_000))
    }

    #[test]
    fn a_plan_follows_from_its_seed_and_lies_in_the_past() {
        let (one, same, other) = (plan(1), plan(1), plan(2));
        assert_eq!((&one.people, &one.wishes), (&same.people, &same.wishes));
        assert_eq!(one.deeds, same.deeds);
        assert_ne!(one.people, other.people);
        assert!(one.deeds.is_sorted_by_key(|(at, _)| *at));
        assert!(one.deeds.iter().all(|(at, _)| *at < Timestamp::from_seconds(1_800_000_000)));
    }

    #[test]
    fn nothing_is_used_before_it_is_issued() {
        for seed in 0..20 {
            let plan = plan(seed);
            let mut issued = std::collections::HashMap::new();
            for (at, deed) in &plan.deeds {
                match deed {
                    Deed::Issue(token) => {
                        issued.insert(*token, *at);
                    }
                    Deed::Use(token, _)
                    | Deed::Rotate(token)
                    | Deed::Approve(token)
                    | Deed::Derive(token, _)
                    | Deed::Change(token, _) => {
                        assert!(issued.get(token).is_some_and(|issued| issued < at), "{deed:?}");
                    }
                    _ => {}
                }
            }
        }
    }

    #[test]
    fn everything_that_is_worth_a_look_is_planned() {
        for seed in 0..20 {
            let deeds = plan(seed).deeds;
            let some = |wanted: fn(&Deed) -> bool| deeds.iter().any(|(_, deed)| wanted(deed));
            assert!(some(|deed| matches!(deed, Deed::Change(_, Fate::Revoked(_)))), "{seed}");
            assert!(some(|deed| matches!(deed, Deed::Change(_, Fate::Locked))), "{seed}");
            assert!(some(|deed| matches!(deed, Deed::Change(_, Fate::Disabled))), "{seed}");
            assert!(some(|deed| matches!(deed, Deed::Rotate(_))), "{seed}");
            assert!(some(|deed| matches!(deed, Deed::Approve(_))), "{seed}");
            assert!(some(|deed| matches!(deed, Deed::Derive(..))), "{seed}");
            assert!(some(|deed| matches!(deed, Deed::Turn(..))), "{seed}");
            let kinds = [Mistake::Mistyped, Mistake::OtherService("git")];
            for kind in kinds {
                assert!(
                    deeds
                        .iter()
                        .any(|(_, d)| matches!(d, Deed::Use(_, mistake) if *mistake == kind)),
                    "{seed} {kind:?}"
                );
            }
        }
    }
}

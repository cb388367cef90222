//! What becomes of some tokens and some people: the part of a history that is worth a look.

use counterfoil_authority::clock::Timestamp;
use counterfoil_authority::kind::Kind;
use counterfoil_authority::verdict::Door;

use super::super::{DAY_SECONDS, DAYS};
use super::programs::Habit;
use super::{By, Deed, Draft, Fate, Life, Mistake, Turn, Wish};

/// Why people revoke their tokens.
const REASONS: [&str; 5] = [
    "telephone lost on the ferry",
    "was in a public repository",
    "replaced by a new laptop",
    "no longer needed",
    "colleague has left",
];
/// Guesses at one mailbox, within an hour.
const GUESSES: i64 = 45;

impl Draft<'_> {
    /// Decides what becomes of some of these tokens, and of some people.
    pub(super) fn fates(&mut self, habits: &mut [Habit]) {
        // Those of the retired service, of the cluster and of some people have a fate already.
        let turned = self.turned();
        let mut rest: Vec<usize> = (0..habits.len())
            .filter(|&place| {
                let wish = habits.get(place).and_then(|habit| self.plan.wishes.get(habit.token));
                wish.is_some_and(|wish| {
                    !matches!(wish.service, "ftp" | "cluster") && !turned.contains(&wish.owner)
                })
            })
            .collect();
        let early = self.at(4, 0);
        for reason in REASONS {
            self.ends(habits, &mut rest, Fate::Revoked(reason));
        }
        for fate in [Fate::Disabled, Fate::Disabled, Fate::Locked, Fate::Locked] {
            self.ends(habits, &mut rest, fate);
        }
        for number in 0..14 {
            let Some(habit) = self.one_of(habits, &mut rest, early) else { continue };
            self.passes(habit, number);
        }
        for _ in 0..5 {
            let Some(habit) = self.one_of(habits, &mut rest, self.end) else { continue };
            let (token, issued) = (habit.token, habit.issued);
            let day = self.dice.between(28, DAYS);
            let at = self.working(day).max(issued.plus_seconds(60));
            self.plan(at, Deed::Rotate(token));
        }
        for _ in 0..6 {
            // Nobody ever uses these.
            let Some(habit) = self.one_of(habits, &mut rest, self.end) else { continue };
            habit.until = habit.issued;
        }
        self.derived(habits, &rest);
        self.waiting_and_sent();
        self.people_turn(habits);
        self.guesses();
    }

    /// Takes a token that was ready before an instant.
    fn one_of<'a>(
        &mut self,
        habits: &'a mut [Habit],
        rest: &mut Vec<usize>,
        before: Timestamp,
    ) -> Option<&'a mut Habit> {
        let ready = |place: &&usize| habits.get(**place).is_some_and(|one| one.issued < before);
        let able: Vec<usize> = rest.iter().filter(ready).copied().collect();
        let place = able.get(self.dice.below(able.len())).copied()?;
        rest.retain(|other| *other != place);
        habits.get_mut(place)
    }

    /// Ends a token in the last two weeks; its program goes on for a while.
    fn ends(&mut self, habits: &mut [Habit], rest: &mut Vec<usize>, fate: Fate) {
        let Some(habit) = self.one_of(habits, rest, self.end) else { return };
        let (token, issued) = (habit.token, habit.issued);
        let day = self.dice.between(28, DAYS);
        let at = self.working(day).max(issued.plus_seconds(60));
        habit.until = at.plus_seconds(self.dice.between(0, 40 * 3_600));
        self.plan(at, Deed::Change(token, fate));
    }

    /// Tokens of the first days that end by time or by use, or rest.
    fn passes(&mut self, habit: &mut Habit, number: i64) {
        let expired = self.at(18 + number * 3, 7 * 3_600);
        let soon = self.end.plus_seconds(number * DAY_SECONDS - 4 * DAY_SECONDS + 7_200);
        let Some(wish) = self.plan.wishes.get_mut(habit.token) else { return };
        match number {
            0..5 => {
                wish.life = Life::Until(expired);
                habit.until = expired.plus_seconds(30 * 3_600);
            }
            5..9 => wish.life = Life::Until(soon),
            9 | 10 => {
                wish.max_usages = Some(20);
                habit.until = habit.issued.plus_seconds(12 * DAY_SECONDS);
            }
            _ => habit.until = habit.issued.plus_seconds(6 * DAY_SECONDS),
        }
    }

    /// Two narrower tokens of personal ones that are left alone.
    fn derived(&mut self, habits: &[Habit], rest: &[usize]) {
        let personal = |habit: &&Habit| {
            let wish = self.plan.wishes.get(habit.token);
            wish.is_some_and(|wish| wish.kind == Kind::PersonalAccessToken)
        };
        let some: Vec<(usize, Timestamp)> = rest
            .iter()
            .filter_map(|place| habits.get(*place))
            .filter(personal)
            .map(|habit| (habit.token, habit.issued))
            .take(3)
            .collect();
        for ((token, issued), name) in
            some.into_iter().zip(["for one build", "for a colleague's notebook", "for the demo"])
        {
            let at = issued.plus_seconds(3 * 3_600).min(self.end.plus_seconds(-60));
            self.plan(at, Deed::Derive(token, name));
        }
    }

    /// Tokens of the last days: two that wait for approval, two whose links nobody has opened,
    /// one whose time has not come, and somebody at the wrong service.
    fn waiting_and_sent(&mut self) {
        let turned = self.turned();
        let computing: Vec<usize> = (0..self.plan.people.len())
            .filter(|place| !turned.contains(place))
            .filter(|&place| {
                let person = self.plan.people.get(place);
                person.is_some_and(|one| one.groups.iter().any(|name| name == "cluster-users"))
            })
            .collect();
        let plain = Wish {
            owner: 0,
            by: By::Owner,
            kind: Kind::PersonalAccessToken,
            service: "cluster",
            name: "Ensemble run",
            scopes: &[],
            life: Life::Default,
            not_before: None,
            max_usages: None,
            door: Door::Api,
            machine: false,
        };
        for (number, owner) in computing.into_iter().skip(1).take(2).enumerate() {
            let hours = 5 + 9 * i64::try_from(number).unwrap_or(0);
            self.later(Wish { owner, ..plain.clone() }, hours);
        }
        let mail = Wish { kind: Kind::ServiceToken, service: "mail", ..plain };
        for (owner, hours) in [(7, 3), (9, 20)] {
            self.later(Wish { owner, by: By::Link, name: "New telephone", ..mail.clone() }, hours);
        }
        let ida = self.person("ida.sommer");
        let begins = Some(self.end.plus_seconds(3 * DAY_SECONDS));
        self.later(Wish { owner: ida, name: "Sabbatical laptop", not_before: begins, ..mail }, 30);
        let calendar = self.plan.wishes.iter().position(|wish| wish.service == "calendar");
        if let Some(token) = calendar {
            for hours in [2, 3, 26] {
                let at = self.end.plus_seconds(-hours * 3_600);
                self.plan(at, Deed::Use(token, Mistake::OtherService("git")));
                self.plan(at.plus_seconds(40), Deed::Use(token, Mistake::Mistyped));
            }
        }
    }

    /// A token that is issued so many hours before the end.
    fn later(&mut self, wish: Wish, hours: i64) {
        let token = self.plan.wishes.len();
        self.plan.wishes.push(wish);
        let at = self.end.plus_seconds(-hours * 3_600);
        self.plan(at, Deed::Issue(token));
    }

    /// Those of whom something becomes: three, none of those whom somebody signs in as.
    fn turned(&self) -> std::ops::Range<usize> {
        let first = self.organisation.person.len() + 10;
        first..first + 3
    }

    fn people_turn(&mut self, habits: &mut [Habit]) {
        let turns = [(Turn::Suspended, 31), (Turn::Left, 34), (Turn::Locked, 37)];
        for ((turn, day), person) in turns.into_iter().zip(self.turned()) {
            let at = self.working(day);
            self.plan(at, Deed::Turn(person, turn));
            let of_person = |habit: &&mut Habit| {
                self.plan.wishes.get(habit.token).is_some_and(|wish| wish.owner == person)
            };
            // Their programs have not heard of it for a while.
            for habit in habits.iter_mut().filter(of_person) {
                habit.until = habit.until.min(at.plus_seconds(20 * 3_600));
            }
        }
    }

    /// One bad hour, with guesses at one mailbox.
    fn guesses(&mut self) {
        let (person, from) = (self.person("noor.haddad"), self.at(33, 20 * 3_600));
        for number in 0..GUESSES {
            let at = from.plus_seconds(number * 75 + self.dice.between(0, 60));
            self.plan(at, Deed::Guess(person));
        }
    }
}

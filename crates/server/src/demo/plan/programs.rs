//! Which programs people have tokens for, and how often these use them.

use counterfoil_authority::clock::Timestamp;
use counterfoil_authority::kind::Kind;
use counterfoil_authority::verdict::Door;

use super::super::{DAY_SECONDS, DAYS};
use super::{By, Deed, Draft, Life, Mistake, Wish};

/// What a person may have tokens for.
struct Program {
    service: &'static str,
    kind: Kind,
    names: &'static [&'static str],
    /// Of a hundred people so many have one.
    percent: usize,
    /// And so many of it at most.
    most: usize,
    /// Uses on a working day, on average.
    per_day: i64,
    machine: bool,
    door: Door,
    /// The scopes it may have, one of these sets.
    scopes: &'static [&'static [&'static str]],
}

/// For most people the first is all they know of tokens.
const PROGRAMS: [Program; 7] = [
    Program {
        service: "mail",
        kind: Kind::ServiceToken,
        names: &[
            "Thunderbird on the laptop",
            "Mail on the telephone",
            "Outlook at the office",
            "Tablet at home",
            "mutt on the server",
        ],
        percent: 96,
        most: 3,
        per_day: 6,
        machine: false,
        door: Door::Ldap,
        scopes: &[&[]],
    },
    Program {
        service: "calendar",
        kind: Kind::ServiceToken,
        names: &["DAVx5 on the telephone", "Calendar on the laptop"],
        percent: 60,
        most: 1,
        per_day: 4,
        machine: false,
        door: Door::Api,
        scopes: &[&[]],
    },
    Program {
        service: "git",
        kind: Kind::PersonalAccessToken,
        names: &["git on the laptop", "Continuous integration", "Release script"],
        percent: 55,
        most: 2,
        per_day: 4,
        machine: false,
        door: Door::ForwardAuth,
        scopes: &[&["repo:read"], &["repo:read", "repo:write"], &["repo:read", "package:read"]],
    },
    Program {
        service: "buoys",
        kind: Kind::PersonalAccessToken,
        names: &["Notebook", "Nightly model run", "Dashboard in the lobby", "Station map"],
        percent: 50,
        most: 2,
        per_day: 9,
        machine: true,
        door: Door::ForwardAuth,
        scopes: &[&["observations:read"], &["observations:read", "stations:read"]],
    },
    Program {
        service: "vpn",
        kind: Kind::ServiceToken,
        names: &["Travel laptop", "Laptop at home"],
        percent: 35,
        most: 1,
        per_day: 1,
        machine: false,
        door: Door::Api,
        scopes: &[&[]],
    },
    Program {
        service: "cluster",
        kind: Kind::PersonalAccessToken,
        names: &["Job scripts"],
        percent: 100,
        most: 1,
        per_day: 3,
        machine: false,
        door: Door::Api,
        scopes: &[&[]],
    },
    Program {
        service: "ftp",
        kind: Kind::ServiceToken,
        names: &["Uploader on the old workstation"],
        percent: 20,
        most: 1,
        per_day: 2,
        machine: false,
        door: Door::Api,
        scopes: &[&[]],
    },
];

/// Until which day the programs of the retired service go on asking.
const FTP_ENDS: i64 = 9;

/// A token with the habits of the program that has it.
pub(super) struct Habit {
    pub(super) token: usize,
    pub(super) issued: Timestamp,
    per_day: i64,
    /// Until when it is used.
    pub(super) until: Timestamp,
}

impl Draft<'_> {
    /// Plans every token of a program, what becomes of some, and all their uses.
    pub(super) fn programs(&mut self) {
        let mut habits = Vec::new();
        for owner in 0..self.plan.people.len() {
            for program in &PROGRAMS {
                self.tokens_of(owner, program, &mut habits);
            }
        }
        self.fates(&mut habits);
        for habit in &habits {
            self.uses(habit);
        }
    }

    fn tokens_of(&mut self, owner: usize, program: &Program, habits: &mut Vec<Habit>) {
        let Some(person) = self.plan.people.get(owner) else { return };
        let computes = person.groups.iter().any(|group| group == "cluster-users");
        let is_customer = person.groups.is_empty();
        if is_customer || (program.service == "cluster" && !computes) {
            return;
        }
        // Whomever somebody signs in as has something of everything.
        let is_shown = owner < self.organisation.person.len() && program.service != "ftp";
        if !self.dice.chance(program.percent) && !is_shown {
            return;
        }
        let many = 1 + self.dice.below(program.most);
        let mut names = program.names.to_vec();
        for number in 0..many {
            let Some(name) = self.dice.take(&mut names) else { break };
            let onboarded = number == 0 && program.service == "mail";
            let late = !onboarded && program.service != "ftp" && self.dice.chance(30);
            let day = if late { self.dice.between(3, 26) } else { self.dice.between(0, 3) };
            let issued = if onboarded { self.at(0, 3_700) } else { self.working(day) };
            let scopes = self.dice.below(program.scopes.len());
            let token = self.plan.wishes.len();
            self.plan.wishes.push(Wish {
                owner,
                by: if onboarded { By::Onboarding } else { By::Owner },
                kind: program.kind,
                service: program.service,
                name,
                scopes: program.scopes.get(scopes).copied().unwrap_or_default(),
                life: Life::Default,
                not_before: None,
                max_usages: None,
                door: program.door,
                machine: program.machine,
            });
            self.plan(issued, Deed::Issue(token));
            let until = match program.service {
                "ftp" => self.at(FTP_ENDS, 0),
                _ => self.end,
            };
            let issued = self.ready(token, issued);
            habits.push(Habit { token, issued, per_day: program.per_day, until });
        }
    }

    /// When a token counts that was issued then: those of the cluster wait for approval.
    fn ready(&mut self, token: usize, issued: Timestamp) -> Timestamp {
        let waits = self.plan.wishes.get(token).is_some_and(|wish| wish.service == "cluster");
        if !waits {
            return issued.plus_seconds(60);
        }
        let approved = issued.plus_seconds(self.dice.between(1_800, 4 * 3_600));
        self.plan(approved, Deed::Approve(token));
        approved.plus_seconds(60)
    }

    fn uses(&mut self, habit: &Habit) {
        let (machine, service) = match self.plan.wishes.get(habit.token) {
            Some(wish) => (wish.machine, wish.service),
            None => return,
        };
        for day in 0..=DAYS {
            let midnight = self.at(day, 0);
            if midnight.plus_seconds(DAY_SECONDS) <= habit.issued || midnight >= habit.until {
                continue;
            }
            // 1970-01-01 was a Thursday.
            let weekday = (midnight.seconds().div_euclid(DAY_SECONDS) + 4).rem_euclid(7);
            let rests = !machine && matches!(weekday, 0 | 6);
            let many = if rests {
                i64::from(self.dice.chance(20))
            } else {
                self.dice.between(0, 2 * habit.per_day + 1)
            };
            for _ in 0..many {
                let at = if machine {
                    self.dice.instant(midnight, midnight.plus_seconds(DAY_SECONDS))
                } else {
                    self.working(day)
                };
                if at >= habit.issued && at < habit.until {
                    let mistake = self.mistake(service);
                    self.plan(at, Deed::Use(habit.token, mistake));
                }
            }
        }
    }

    /// Most uses are as they should be.
    fn mistake(&mut self, service: &str) -> Mistake {
        match self.dice.below(300) {
            0 => Mistake::Mistyped,
            1 if service == "mail" => Mistake::OtherService("calendar"),
            2 | 3 if service == "buoys" => Mistake::OtherScope("observations:write"),
            4 if service != "git" => Mistake::OtherService("git"),
            _ => Mistake::None,
        }
    }
}

//! Which questions may be wrong at the old system, and how seldom those are asked.
//!
//! Many old systems lock a person out after a few wrong passwords. A guess that we refuse, or a
//! token that only we know, would be such a wrong password each time it is asked about; so for
//! each person there is one question in a minute that may be wrong, however many are presented.
//! What the old system has called good lately is not expected to be wrong, and goes past this.

use std::collections::HashMap;

use super::{Aim, Question, Said};
use crate::clock::Timestamp;
use crate::secret::TokenId;

/// People and presentations that are remembered at most, some 2 MB. While all of them are fresh
/// no further question is asked that may be wrong.
const AIMS_MAX: usize = 20_000;
/// Tokens that the old system called good lately, some 4 MB.
const VOUCHED_MAX: usize = 100_000;
/// How long that counts: what is revoked there costs one wrong question.
const VOUCHED_SECONDS: i64 = 3_600;
/// Presentations that we refuse, of whomever, that are asked about within one such interval: who
/// guesses here through many names makes no storm there.
const REFUSED_MAX: u32 = 120;

/// What is remembered of one old system.
#[derive(Default)]
pub(super) struct Guesses {
    /// Until when nothing that may be wrong is asked.
    resting: HashMap<Aim, Timestamp>,
    /// What was called good, and when.
    vouched: HashMap<TokenId, Timestamp>,
    /// Refused presentations that were asked about since then.
    refused: u32,
    refused_since: Timestamp,
}

impl Guesses {
    /// Whether a question may be asked, which then has taken its turn.
    pub(super) fn admits(&mut self, question: &Question, every_seconds: i64) -> bool {
        let Question { ours, aim, at: now, .. } = question;
        if ours.is_good() && ours.token().is_some_and(|token| self.vouches(token, *now)) {
            return true;
        }
        if self.resting.get(aim).is_some_and(|until| now < until) {
            return false;
        }
        if !ours.is_good() && !self.admits_refused(*now, every_seconds) {
            return false;
        }
        if self.resting.len() >= AIMS_MAX {
            self.resting.retain(|_, until| *now < *until);
            if self.resting.len() >= AIMS_MAX {
                return false;
            }
        }
        self.resting.insert(aim.clone(), now.plus_seconds(every_seconds));
        true
    }

    fn admits_refused(&mut self, now: Timestamp, every_seconds: i64) -> bool {
        if now >= self.refused_since.plus_seconds(every_seconds) {
            (self.refused, self.refused_since) = (0, now);
        }
        self.refused += 1;
        self.refused <= REFUSED_MAX
    }

    fn vouches(&self, token: TokenId, now: Timestamp) -> bool {
        let until = |at: &Timestamp| at.plus_seconds(VOUCHED_SECONDS);
        self.vouched.get(&token).is_some_and(|at| now < until(at))
    }

    /// Takes note of an answer.
    pub(super) fn answered(
        &mut self,
        question: &Question,
        said: &Said,
        every_seconds: i64,
        now: Timestamp,
    ) {
        let token = question.ours.token().filter(|_| question.ours.is_good());
        match said {
            Said::Good(_) => {
                // It was not wrong, so it has cost nobody anything: the next one may be asked. A
                // rest that another question began goes on.
                let own = question.at.plus_seconds(every_seconds);
                if self.resting.get(&question.aim) == Some(&own) {
                    self.resting.remove(&question.aim);
                }
                if let Some(token) = token {
                    if self.vouched.len() >= VOUCHED_MAX {
                        self.vouched.clear();
                    }
                    self.vouched.insert(token, now);
                }
            }
            Said::Bad => {
                if let Some(token) = token {
                    self.vouched.remove(&token);
                }
                self.resting.insert(question.aim.clone(), now.plus_seconds(every_seconds));
            }
            // It may have arrived there, and been wrong.
            Said::Nothing => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Ours;
    use super::*;
    use crate::names::{RealmName, Username};
    use crate::secret::ClearSecret;
    use crate::verdict::Reason;

    const EVERY: i64 = 60;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    fn asked(seconds: i64, who: &str, token: Option<&str>) -> Question {
        let username = Username::parse(who).unwrap();
        let ours = match token.and_then(TokenId::parse) {
            Some(token) => Ours::Good { token, owner: Some(username.clone()) },
            None => Ours::Bad { reason: Reason::Unknown, token: None },
        };
        Question {
            realm: RealmName::parse("main").unwrap(),
            service: None,
            presented: ClearSecret::new("x".to_owned()),
            username: Some(username.clone()),
            ours,
            at: at(seconds),
            aim: Aim::Person(username),
        }
    }

    const MAIL: Option<&str> = Some("000000000001");
    const GIT: Option<&str> = Some("000000000002");

    #[test]
    fn of_wrong_ones_for_a_person_one_is_asked_in_a_minute() {
        let mut guesses = Guesses::default();
        let asked: Vec<i64> = (0..150)
            .filter(|second| guesses.admits(&asked(1_000 + second, "alice", None), EVERY))
            .collect();
        assert_eq!(asked, [0, 60, 120]);
    }

    #[test]
    fn what_the_old_system_calls_good_is_asked_each_time_until_it_says_no() {
        let mut guesses = Guesses::default();
        let first = asked(1_000, "alice", MAIL);
        assert!(guesses.admits(&first, EVERY));
        // Not answered yet: a second one might be wrong as well.
        assert!(!guesses.admits(&asked(1_000, "alice", MAIL), EVERY));
        guesses.answered(&first, &Said::Good(None), EVERY, at(1_001));
        for second in 1_001..1_010 {
            assert!(guesses.admits(&asked(second, "alice", MAIL), EVERY));
        }
        let last = asked(1_010, "alice", MAIL);
        guesses.answered(&last, &Said::Bad, EVERY, at(1_010));
        assert!(!guesses.admits(&asked(1_069, "alice", MAIL), EVERY));
        assert!(guesses.admits(&asked(1_070, "alice", MAIL), EVERY));
    }

    /// A token that we alone know is a wrong password there, each time.
    #[test]
    fn a_token_that_only_we_know_is_asked_about_once_in_a_minute() {
        let mut guesses = Guesses::default();
        let mut wrong = 0;
        for second in 1_000..1_600 {
            let mail = asked(second, "alice", MAIL);
            if guesses.admits(&mail, EVERY) {
                guesses.answered(&mail, &Said::Good(None), EVERY, at(second));
            }
            let git = asked(second, "alice", GIT);
            if guesses.admits(&git, EVERY) {
                guesses.answered(&git, &Said::Bad, EVERY, at(second));
                wrong += 1;
            }
        }
        assert_eq!(wrong, 10);
    }

    #[test]
    fn an_old_system_that_does_not_answer_is_not_asked_about_a_person_again_at_once() {
        let mut guesses = Guesses::default();
        let first = asked(1_000, "alice", None);
        assert!(guesses.admits(&first, EVERY));
        guesses.answered(&first, &Said::Nothing, EVERY, at(1_002));
        assert!(!guesses.admits(&asked(1_003, "alice", None), EVERY));
        assert!(guesses.admits(&asked(1_060, "alice", None), EVERY));
    }

    #[test]
    fn guesses_by_many_names_are_bounded_and_right_ones_are_not() {
        let mut guesses = Guesses::default();
        let asked_about = (0..1_000)
            .filter(|n| guesses.admits(&asked(1_000, &format!("guess-{n}"), None), EVERY))
            .count();
        assert_eq!(asked_about, REFUSED_MAX as usize);
        assert!(guesses.admits(&asked(1_001, "alice", MAIL), EVERY));
        assert!(!guesses.admits(&asked(1_059, "bob", None), EVERY));
        assert!(guesses.admits(&asked(1_060, "bob", None), EVERY));
    }
}

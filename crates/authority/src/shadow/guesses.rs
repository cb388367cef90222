//! Which questions may be wrong at the old system, and how seldom those are asked.
//!
//! Many old systems lock a person out after a few wrong passwords. A guess that we refuse, or a
//! token that only we know, would be such a wrong password each time it is asked about; so for
//! each person there is one question within a while that may be wrong, however many are presented.
//! What the old system has called good lately is not expected to be wrong, and goes past this.
//!
//! That is asked twice: when a question is put into the queue, and again when it leaves it. Much
//! that the old system called good may be queued when it says its first no.

use std::collections::{HashMap, HashSet};

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
const REFUSED_SECONDS: i64 = 60;
/// How often people who may be asked about again are looked for at most, to make room.
const SWEEP_SECONDS: i64 = 1;

/// How a question leaves the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Leave {
    /// The old system called the same token good lately.
    Vouched,
    /// It may be wrong. No other one of the same aim that may be is on its way.
    MayBeWrong,
}

/// That nothing which may be wrong is asked.
#[derive(Debug, Clone, Copy)]
struct Rest {
    until: Timestamp,
    /// Whether the question that may be asked within it has had its answer, or none.
    spent: bool,
}

/// What is remembered of one old system.
#[derive(Default)]
pub(super) struct Guesses {
    /// Who is left alone, and how long.
    resting: HashMap<Aim, Rest>,
    /// Aims of questions on their way that may be wrong.
    asking: HashSet<Aim>,
    /// When those who rest no more were last looked for.
    swept_at: Timestamp,
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
        if self.resting.get(aim).is_some_and(|rest| *now < rest.until) {
            return false;
        }
        if !ours.is_good() && !self.admits_refused(*now) {
            return false;
        }
        if self.resting.len() >= AIMS_MAX && !self.makes_room(*now) {
            return false;
        }
        let until = now.plus_seconds(every_seconds);
        self.resting.insert(aim.clone(), Rest { until, spent: false });
        true
    }

    /// Forgets who rests no more, and says whether that has made room. To look through all of
    /// them for each presentation would cost more than the questions.
    fn makes_room(&mut self, now: Timestamp) -> bool {
        if now < self.swept_at.plus_seconds(SWEEP_SECONDS) {
            return false;
        }
        self.swept_at = now;
        self.resting.retain(|_, rest| now < rest.until);
        self.resting.len() < AIMS_MAX
    }

    /// Whether a question that was admitted may still be asked, and as what. It counts as being on
    /// its way then, until [`Self::arrived`].
    pub(super) fn leaves(
        &mut self,
        question: &Question,
        every_seconds: i64,
        now: Timestamp,
    ) -> Option<Leave> {
        let Question { ours, aim, .. } = question;
        if ours.is_good() && ours.token().is_some_and(|token| self.vouches(token, now)) {
            return Some(Leave::Vouched);
        }
        let until = question.at.plus_seconds(every_seconds);
        // A rest that it began itself is its own turn, as long as nobody has taken that.
        let is_anothers = |rest: &Rest| now < rest.until && (rest.spent || rest.until != until);
        if self.resting.get(aim).is_some_and(is_anothers) || !self.asking.insert(aim.clone()) {
            return None;
        }
        self.resting.insert(aim.clone(), Rest { until, spent: false });
        Some(Leave::MayBeWrong)
    }

    /// Leaves nobody alone any more who was wrong before. What is on its way stays there, and what
    /// is known to be good too.
    pub(super) fn forgive(&mut self) {
        self.resting.clear();
    }

    /// Takes note that a question is not on its way any more.
    pub(super) fn arrived(&mut self, question: &Question, leave: Leave) {
        if leave == Leave::MayBeWrong {
            self.asking.remove(&question.aim);
        }
    }

    fn admits_refused(&mut self, now: Timestamp) -> bool {
        if now >= self.refused_since.plus_seconds(REFUSED_SECONDS) {
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
                let is_own = |rest: &Rest| rest.until == own && !rest.spent;
                if self.resting.get(&question.aim).is_some_and(is_own) {
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
                let until = now.plus_seconds(every_seconds);
                self.resting.insert(question.aim.clone(), Rest { until, spent: true });
            }
            // It may have arrived there, and been wrong.
            Said::Nothing => {
                if let Some(rest) = self.resting.get_mut(&question.aim) {
                    rest.spent = true;
                }
            }
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

    /// Much may be queued that the old system called good: its first no is not repeated for each.
    #[test]
    fn what_is_queued_when_the_first_no_comes_is_not_asked_any_more() {
        let mut guesses = Guesses::default();
        guesses.answered(&asked(1_000, "alice", MAIL), &Said::Good(None), EVERY, at(1_000));
        let queued: Vec<Question> = (0..5).map(|_| asked(1_001, "alice", MAIL)).collect();
        for question in &queued {
            assert!(guesses.admits(question, EVERY));
        }
        assert_eq!(guesses.leaves(&queued[0], EVERY, at(1_001)), Some(Leave::Vouched));
        guesses.answered(&queued[0], &Said::Bad, EVERY, at(1_001));
        guesses.arrived(&queued[0], Leave::Vouched);
        for question in &queued[1..] {
            assert_eq!(guesses.leaves(question, EVERY, at(1_001)), None);
        }
    }

    #[test]
    fn one_question_of_a_person_that_may_be_wrong_is_on_its_way() {
        let mut guesses = Guesses::default();
        // Both were admitted, because the first one's turn was over when the second one came.
        let (first, second) = (asked(1_000, "alice", None), asked(1_001, "alice", None));
        assert!(guesses.admits(&first, 1) && guesses.admits(&second, 1));
        assert_eq!(guesses.leaves(&first, 1, at(1_002)), Some(Leave::MayBeWrong));
        assert_eq!(guesses.leaves(&second, 1, at(1_003)), None);
        let bob = asked(1_001, "bob", None);
        assert!(guesses.admits(&bob, 1));
        assert_eq!(guesses.leaves(&bob, 1, at(1_003)), Some(Leave::MayBeWrong));
        guesses.answered(&first, &Said::Nothing, 1, at(1_004));
        guesses.arrived(&first, Leave::MayBeWrong);
        let third = asked(1_005, "alice", None);
        assert!(guesses.admits(&third, 1));
        assert_eq!(guesses.leaves(&third, 1, at(1_005)), Some(Leave::MayBeWrong));
    }

    #[test]
    fn while_all_places_are_taken_nobody_is_asked_about_and_room_is_made_later() {
        let mut guesses = Guesses::default();
        for n in 0..AIMS_MAX {
            let named = asked(1_000, &format!("user-{n}"), MAIL);
            guesses.answered(&named, &Said::Bad, EVERY, at(1_000));
        }
        assert!(!guesses.admits(&asked(1_001, "alice", GIT), EVERY));
        assert_eq!(guesses.swept_at, at(1_001));
        assert!(!guesses.admits(&asked(1_001, "bob", GIT), EVERY));
        assert!(guesses.admits(&asked(1_060, "alice", GIT), EVERY));
        assert_eq!(guesses.resting.len(), 1);
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

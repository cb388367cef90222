//! An old system that is asked beside us while an organisation moves in: what is asked, how its
//! answer compares with ours, and what is never asked (docs/decisions/0049).
//!
//! Our answer has been decided before anything here is reached, and nothing here can change or
//! delay it. What was presented waits in memory alone, in a bounded queue and for seconds.
//!
//! Length: a shadow, its questions and its figures are one thing, and half of it are its tests.

mod gathered;
mod guesses;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::sync::mpsc;

use crate::clock::Timestamp;
use crate::names::{RealmName, ServiceLabel, ShadowName, Username};
use crate::secret::{ClearSecret, TokenId};
use crate::service::Services;
use crate::verdict::{Door, Reason};

pub(crate) use self::gathered::{Gathered, Key, Met, Named};
use self::guesses::Guesses;
pub(crate) use self::guesses::Leave;

/// A question that waited so long is not asked any more: the answer would be about another
/// instant than ours, and a secret is not kept for nothing.
const WAIT_SECONDS_MAX: i64 = 10;
/// Directories commonly lock after five to ten wrong passwords within half an hour.
const WRONG_EVERY_SECONDS: i64 = 15 * 60;

/// What an old system says of a presentation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// It is good there; whose it is, if it says so.
    Good(Option<Username>),
    /// It is not.
    Bad,
    /// It did not answer, or what it answered means neither.
    Nothing,
}

/// What came of a presentation that a shadow listens to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compared {
    /// Good here and there.
    AgreeGood,
    /// Good neither here nor there.
    AgreeBad,
    /// We say yes, the old system says no.
    OnlyHere,
    /// The old system says yes, we say no: somebody would be locked out.
    OnlyThere,
    /// The old system was asked and said neither.
    NoAnswer,
    /// It was not asked: no room, too many that may be wrong, or nothing to ask with.
    NotAsked,
}

impl Compared {
    /// Every outcome.
    pub const ALL: [Self; 6] = [
        Self::AgreeGood,
        Self::AgreeBad,
        Self::OnlyHere,
        Self::OnlyThere,
        Self::NoAnswer,
        Self::NotAsked,
    ];

    /// The name in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AgreeGood => "agree_good",
            Self::AgreeBad => "agree_bad",
            Self::OnlyHere => Differs::OnlyHere.name(),
            Self::OnlyThere => Differs::OnlyThere.name(),
            Self::NoAnswer => "no_answer",
            Self::NotAsked => "not_asked",
        }
    }

    /// What our answer and that of the old system come to.
    pub const fn of(ours_is_good: bool, said: &Said) -> Self {
        match (ours_is_good, said) {
            (true, Said::Good(_)) => Self::AgreeGood,
            (false, Said::Bad) => Self::AgreeBad,
            (true, Said::Bad) => Self::OnlyHere,
            (false, Said::Good(_)) => Self::OnlyThere,
            (_, Said::Nothing) => Self::NoAnswer,
        }
    }

    /// The same as a difference, if it is one.
    pub const fn differs(self) -> Option<Differs> {
        match self {
            Self::OnlyHere => Some(Differs::OnlyHere),
            Self::OnlyThere => Some(Differs::OnlyThere),
            Self::AgreeGood | Self::AgreeBad | Self::NoAnswer | Self::NotAsked => None,
        }
    }
}

/// How two answers differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Differs {
    /// Good here alone.
    OnlyHere,
    /// Good at the old system alone.
    OnlyThere,
}

impl Differs {
    /// Both ways.
    pub const ALL: [Self; 2] = [Self::OnlyHere, Self::OnlyThere];

    /// The name on the wire and in the store.
    pub const fn name(self) -> &'static str {
        match self {
            Self::OnlyHere => "only_here",
            Self::OnlyThere => "only_there",
        }
    }

    /// The way of a name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.name() == name)
    }
}

/// What we answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ours {
    /// It is good.
    Good {
        /// The token.
        token: TokenId,
        /// The person it belongs to.
        owner: Option<Username>,
    },
    /// It is not.
    Bad {
        /// Why.
        reason: Reason,
        /// The token, if its right secret was presented.
        token: Option<TokenId>,
    },
}

impl Ours {
    const fn token(&self) -> Option<TokenId> {
        match self {
            Self::Good { token, .. } => Some(*token),
            Self::Bad { token, .. } => *token,
        }
    }

    const fn is_good(&self) -> bool {
        matches!(self, Self::Good { .. })
    }
}

/// Whom a question that may be wrong would count against at the old system.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Aim {
    /// A person.
    Person(Username),
    /// A token that we know, of nobody who is named.
    Token(TokenId),
    /// Nobody who is known: the presentation itself, by a hash that no other process can compute.
    Presented([u8; 32]),
}

/// One presentation, on its way to an old system. Never stored, never logged.
#[derive(Debug)]
pub struct Question {
    /// The tenant.
    pub realm: RealmName,
    /// The service that it was presented for, if one was named.
    pub service: Option<ServiceLabel>,
    /// What was presented.
    pub presented: ClearSecret,
    /// Whose it is said to be; the owner's name where none was presented and we know them.
    pub username: Option<Username>,
    /// What we said.
    pub ours: Ours,
    /// When we said it.
    pub at: Timestamp,
    pub(crate) aim: Aim,
}

impl Question {
    /// Whether it has waited too long to be asked.
    pub(crate) fn is_late(&self, now: Timestamp) -> bool {
        now > self.at.plus_seconds(WAIT_SECONDS_MAX)
    }
}

/// An old system. It is asked and never told anything else.
#[async_trait]
pub trait OldSystem: Send + Sync {
    /// What it says of the presentation. Whatever goes wrong is [`Said::Nothing`].
    async fn ask(&self, question: &Question) -> Said;
}

/// What a shadow listens to and how much it may ask.
#[derive(Debug, Clone)]
pub struct ShadowSettings {
    /// Its name.
    pub name: ShadowName,
    /// The realm whose presentations it hears.
    pub realm: RealmName,
    /// The services; all of them include what is asked for no service.
    pub services: Services,
    /// The doors; none named is all of them.
    pub doors: Vec<Door>,
    /// One in so many presentations is asked.
    pub share: u64,
    /// Questions that wait at most.
    pub queue_max: usize,
    /// Questions at the same time.
    pub in_flight_max: usize,
    /// Seconds between two questions about one person that may be wrong.
    pub wrong_every_seconds: i64,
    /// Whether tokens of our own form are asked about, too.
    pub own_tokens: bool,
    /// Whether it is asked by user name and secret, so that nothing can be asked without a name.
    pub by_name: bool,
    /// Whether its yes says that the name is right: a directory binds nobody by another one's. What
    /// speaks HTTP may take any name beside a token, or the token for the name.
    pub attests_name: bool,
}

impl ShadowSettings {
    /// The settings of a shadow that hears everything of a realm.
    pub const fn new(name: ShadowName, realm: RealmName) -> Self {
        Self {
            name,
            realm,
            services: Services::All,
            doors: Vec::new(),
            share: 1,
            queue_max: 1000,
            in_flight_max: 8,
            wrong_every_seconds: WRONG_EVERY_SECONDS,
            own_tokens: false,
            by_name: false,
            attests_name: false,
        }
    }
}

/// What came of the questions that belong to the report as it stands.
#[derive(Debug, Clone, Copy, Default)]
pub struct Figures {
    since: Timestamp,
    /// When the report was begun anew, by the clock of the node that was told to.
    cleared_at: Timestamp,
    counts: [u64; Compared::ALL.len()],
}

impl Figures {
    /// Since when they are counted: the start of the process, or the report was begun anew later.
    pub const fn since(&self) -> Timestamp {
        self.since
    }

    /// How often one outcome was met.
    pub fn count(&self, one: Compared) -> u64 {
        self.counts.get(one as usize).copied().unwrap_or(0)
    }

    /// Counts what became of a presentation. What we answered before belongs to an earlier report.
    fn note(&mut self, one: Compared, presented_at: Timestamp) {
        if presented_at >= self.since
            && let Some(count) = self.counts.get_mut(one as usize)
        {
            *count += 1;
        }
    }
}

/// One old system, as far as the rules know it.
pub struct Shadow {
    settings: ShadowSettings,
    queue: mpsc::Sender<Question>,
    counts: [AtomicU64; Compared::ALL.len()],
    figures: Mutex<Figures>,
    heard: AtomicU64,
    guesses: Mutex<Guesses>,
}

impl fmt::Debug for Shadow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Shadow({})", self.settings.name)
    }
}

impl Shadow {
    /// A shadow, and the questions that whoever asks the old system takes from it.
    pub fn new(settings: ShadowSettings) -> (Arc<Self>, mpsc::Receiver<Question>) {
        let (queue, questions) = mpsc::channel(settings.queue_max.max(1));
        let shadow = Self {
            settings,
            queue,
            counts: std::array::from_fn(|_| AtomicU64::new(0)),
            figures: Mutex::default(),
            heard: AtomicU64::new(0),
            guesses: Mutex::default(),
        };
        (Arc::new(shadow), questions)
    }

    /// What it listens to.
    pub const fn settings(&self) -> &ShadowSettings {
        &self.settings
    }

    /// How often each outcome was met since the start.
    pub fn counts(&self) -> [(Compared, u64); Compared::ALL.len()] {
        Compared::ALL.map(|one| (one, self.count(one)))
    }

    /// How often one of them was.
    pub fn count(&self, one: Compared) -> u64 {
        self.counts.get(one as usize).map_or(0, |count| count.load(Ordering::Relaxed))
    }

    /// What was compared since the report was begun anew, or since the start.
    pub fn figures(&self) -> Figures {
        *self.figures.lock()
    }

    /// Counts what became of something that was presented then.
    pub(crate) fn counted(&self, one: Compared, presented_at: Timestamp) {
        if let Some(count) = self.counts.get(one as usize) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        self.figures.lock().note(one, presented_at);
    }

    /// Listens from now on.
    pub(crate) fn listens(&self, now: Timestamp) {
        self.figures.lock().since = now;
    }

    /// Counts anew for the report, and holds nobody back any more who was wrong before. Whoever
    /// is told of the same clear again does nothing.
    pub(crate) fn begin_anew(&self, cleared_at: Timestamp, now: Timestamp) {
        let mut figures = self.figures.lock();
        if cleared_at <= figures.cleared_at {
            return;
        }
        *figures = Figures { since: now, cleared_at, ..Figures::default() };
        drop(figures);
        self.guesses.lock().forgive();
    }

    /// Whether this presentation is among those of which one in `share` is asked.
    pub(crate) fn takes_turn(&self) -> bool {
        let share = self.settings.share.max(1);
        self.heard.fetch_add(1, Ordering::Relaxed).is_multiple_of(share)
    }

    /// Puts a question into the queue, or counts that it is not asked. Never waits.
    pub(crate) fn offer(&self, question: Question) {
        let askable = !self.settings.by_name || question.username.is_some();
        let wrong_every = self.settings.wrong_every_seconds;
        // The place in the queue first: a question for which there is none takes nobody's turn.
        let Ok(place) = self.queue.try_reserve() else {
            return self.counted(Compared::NotAsked, question.at);
        };
        if askable && self.guesses.lock().admits(&question, wrong_every) {
            place.send(question);
        } else {
            self.counted(Compared::NotAsked, question.at);
        }
    }

    /// Whether a question of the queue may still be asked; counts that it is not asked otherwise.
    pub(crate) fn leaves(&self, question: &Question, now: Timestamp) -> Option<Leave> {
        let wrong_every = self.settings.wrong_every_seconds;
        let late = question.is_late(now);
        let leave =
            if late { None } else { self.guesses.lock().leaves(question, wrong_every, now) };
        if leave.is_none() {
            self.counted(Compared::NotAsked, question.at);
        }
        leave
    }

    /// Takes note of what the old system said, and says what it comes to.
    pub(crate) fn answered(
        &self,
        question: &Question,
        leave: Leave,
        said: &Said,
        now: Timestamp,
    ) -> Compared {
        let compared = Compared::of(question.ours.is_good(), said);
        self.counted(compared, question.at);
        let mut guesses = self.guesses.lock();
        guesses.answered(question, said, self.settings.wrong_every_seconds, now);
        guesses.arrived(question, leave);
        drop(guesses);
        compared
    }
}

/// The shadows of an installation, and the differences that wait to be stored.
#[derive(Debug, Default)]
pub(crate) struct Shadows {
    pub(crate) all: Vec<Arc<Shadow>>,
    pub(crate) gathered: Gathered,
}

impl Shadows {
    /// Begins the figures of a realm anew, of one old system or of all, as told at `cleared_at`.
    pub(crate) fn begin_anew(
        &self,
        realm: &RealmName,
        named: Option<&ShadowName>,
        cleared_at: Timestamp,
        now: Timestamp,
    ) {
        let is_meant = |settings: &ShadowSettings| {
            settings.realm == *realm && named.is_none_or(|name| settings.name == *name)
        };
        for shadow in self.all.iter().filter(|shadow| is_meant(shadow.settings())) {
            shadow.begin_anew(cleared_at, now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shadow(change: impl FnOnce(&mut ShadowSettings)) -> (Arc<Shadow>, mpsc::Receiver<Question>) {
        let name = ShadowName::parse("old").unwrap();
        let mut settings = ShadowSettings::new(name, RealmName::parse("main").unwrap());
        change(&mut settings);
        Shadow::new(settings)
    }

    fn good(token: &str) -> Ours {
        let owner = Username::parse("alice").ok();
        Ours::Good { token: TokenId::parse(token).unwrap(), owner }
    }

    fn question(ours: Ours, username: Option<&str>) -> Question {
        let username = username.and_then(|name| Username::parse(name).ok());
        let aim = match (&username, ours.token()) {
            (Some(name), _) => Aim::Person(name.clone()),
            (None, Some(token)) => Aim::Token(token),
            (None, None) => Aim::Presented([7; 32]),
        };
        Question {
            realm: RealmName::parse("main").unwrap(),
            service: None,
            presented: ClearSecret::new("s3cret-of-alice".to_owned()),
            username,
            ours,
            at: Timestamp::from_seconds(100),
            aim,
        }
    }

    #[test]
    fn two_answers_agree_or_differ_and_no_answer_is_neither() {
        let cases = [
            (true, Said::Good(None), Compared::AgreeGood, None),
            (false, Said::Bad, Compared::AgreeBad, None),
            (true, Said::Bad, Compared::OnlyHere, Some(Differs::OnlyHere)),
            (false, Said::Good(None), Compared::OnlyThere, Some(Differs::OnlyThere)),
            (true, Said::Nothing, Compared::NoAnswer, None),
            (false, Said::Nothing, Compared::NoAnswer, None),
        ];
        for (ours, said, compared, differs) in cases {
            assert_eq!(Compared::of(ours, &said), compared);
            assert_eq!(compared.differs(), differs);
        }
        let names: Vec<_> = Compared::ALL.map(Compared::name).to_vec();
        let all = ["agree_good", "agree_bad", "only_here", "only_there", "no_answer", "not_asked"];
        assert_eq!(names, all);
    }

    #[test]
    fn a_question_that_finds_no_room_is_counted_and_not_waited_for() {
        let (shadow, mut questions) = shadow(|settings| settings.queue_max = 2);
        for token in ["000000000001", "000000000002", "000000000003"] {
            let ours = Ours::Good { token: TokenId::parse(token).unwrap(), owner: None };
            shadow.offer(question(ours, None));
        }
        assert_eq!(shadow.count(Compared::NotAsked), 1);
        assert!(questions.try_recv().is_ok() && questions.try_recv().is_ok());
        assert!(questions.try_recv().is_err());
    }

    #[test]
    fn who_is_asked_by_name_is_not_asked_without_one() {
        let (shadow, mut questions) = shadow(|settings| settings.by_name = true);
        shadow.offer(question(Ours::Bad { reason: Reason::Unknown, token: None }, None));
        assert_eq!(shadow.count(Compared::NotAsked), 1);
        shadow.offer(question(good("000000000001"), Some("alice")));
        assert!(questions.try_recv().is_ok());
    }

    #[test]
    fn one_in_so_many_takes_its_turn() {
        let (shadow, _questions) = shadow(|settings| settings.share = 3);
        let turns: Vec<bool> = (0..7).map(|_| shadow.takes_turn()).collect();
        assert_eq!(turns, [true, false, false, true, false, false, true]);
    }

    #[test]
    fn a_report_that_is_begun_anew_counts_what_was_presented_since() {
        let (shadow, _questions) = shadow(|_| ());
        let at = Timestamp::from_seconds;
        shadow.listens(at(50));
        let figures = || {
            let now = shadow.figures();
            (now.count(Compared::AgreeBad), now.count(Compared::NotAsked), now.since().seconds())
        };
        shadow.counted(Compared::AgreeBad, at(60));
        shadow.counted(Compared::NotAsked, at(60));
        assert_eq!(figures(), (1, 1, 50));
        shadow.begin_anew(at(70), at(71));
        assert_eq!(figures(), (0, 0, 71));
        // It was asked before, and is answered only now.
        shadow.counted(Compared::AgreeBad, at(65));
        assert_eq!(figures(), (0, 0, 71));
        shadow.counted(Compared::AgreeBad, at(71));
        // The same clear, told of again.
        shadow.begin_anew(at(70), at(72));
        assert_eq!(figures(), (1, 0, 71));
        // Counters of the metrics never fall.
        assert_eq!(shadow.count(Compared::AgreeBad), 3);
    }

    #[test]
    fn who_was_wrong_is_asked_about_again_once_the_report_is_begun_anew() {
        let (shadow, mut questions) = shadow(|_| ());
        let wrong = || question(Ours::Bad { reason: Reason::Unknown, token: None }, Some("alice"));
        shadow.offer(wrong());
        let first = questions.try_recv().unwrap();
        let leave = shadow.leaves(&first, first.at).unwrap();
        assert_eq!(shadow.answered(&first, leave, &Said::Bad, first.at), Compared::AgreeBad);
        shadow.offer(wrong());
        assert!(questions.try_recv().is_err());
        shadow.begin_anew(first.at, first.at);
        shadow.offer(wrong());
        let again = questions.try_recv().unwrap();
        assert_eq!(shadow.leaves(&again, again.at), Some(Leave::MayBeWrong));
    }

    #[test]
    fn a_question_is_late_after_ten_seconds() {
        let question = question(good("000000000001"), None);
        assert!(!question.is_late(Timestamp::from_seconds(110)));
        assert!(question.is_late(Timestamp::from_seconds(111)));
    }

    #[test]
    fn a_question_shows_nothing_of_what_was_presented() {
        let shown = format!("{:?}", question(good("000000000001"), Some("alice")));
        assert!(!shown.contains("s3cret"), "{shown}");
        assert!(shown.contains("ClearSecret(..)"), "{shown}");
    }
}

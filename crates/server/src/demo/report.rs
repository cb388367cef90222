//! What the demo says at its end: how to sign in, how much there is, and what is worth a look.

use std::collections::BTreeMap;

use counterfoil_authority::authority::FirstKey;
use counterfoil_authority::clock::Timestamp;
use counterfoil_authority::event::Outcome;
use counterfoil_authority::secret::ClearSecret;
use counterfoil_authority::store::{EventFilter, PageRequest, TokenFilter};
use counterfoil_authority::token::State;

use super::play::Play;
use super::{DAY_SECONDS, DemoError};

/// Records that are read at once.
const PAGE: u32 = 1000;
/// How soon is soon.
const SOON_DAYS: i64 = 7;

/// Somebody to sign in as.
#[derive(Debug)]
pub struct SignInAs {
    /// The name to type.
    pub username: String,
    /// The password, shown this once.
    pub password: ClearSecret,
    /// What they are.
    pub title: String,
}

/// A page that is worth a look.
#[derive(Debug)]
pub struct Look {
    /// Its path.
    pub path: String,
    /// What is to be seen there.
    pub what: &'static str,
}

/// How much there is.
#[derive(Debug, Default)]
pub struct Counts {
    /// People.
    pub people: usize,
    /// Services, without the built-in one.
    pub services: usize,
    /// Tokens by the name of their state.
    pub tokens: BTreeMap<&'static str, u64>,
    /// Tokens by the name of their kind.
    pub kinds: BTreeMap<&'static str, u64>,
    /// Those that are active and end within a week.
    pub ending_soon: u64,
    /// Accepted uses of tokens.
    pub uses: u64,
    /// Refusals that were recorded.
    pub refusals: u64,
}

/// What the demo has made.
#[derive(Debug)]
pub struct Report {
    /// Whom somebody can sign in as; the first one is the administrator.
    pub people: Vec<SignInAs>,
    /// The operator's key for the command line.
    pub key: FirstKey,
    /// How much there is.
    pub counts: Counts,
    /// What is worth a look.
    pub looks: Vec<Look>,
    /// What went otherwise than it was planned; nothing, unless the rules have changed.
    pub surprises: Vec<String>,
}

impl Report {
    pub(super) async fn of(
        mut play: Play<'_>,
        key: FirstKey,
        end: Timestamp,
    ) -> Result<Self, DemoError> {
        let counts = counts(&play, end).await?;
        let looks = looks(&play, end).await?;
        // Last, because every event from now on is one of the outbox, too.
        play.connect().await?;
        let surprises = std::mem::take(&mut play.surprises);
        let cast = &play.stage.organisation.person;
        // Those that have a title come first in both lists.
        let people = cast.iter().zip(std::mem::take(&mut play.company.members));
        let people = people.map(|(told, member)| SignInAs {
            username: member.username.to_string(),
            password: member.password,
            title: told.title.clone(),
        });
        Ok(Self { people: people.collect(), key, counts, looks, surprises })
    }
}

async fn counts(play: &Play<'_>, end: Timestamp) -> Result<Counts, DemoError> {
    let (store, realm) = (play.stage.authority.store(), &play.stage.realm);
    let mut counts = Counts {
        people: play.company.members.len(),
        services: play.stage.organisation.service.len(),
        ..Counts::default()
    };
    let soon = end.plus_seconds(SOON_DAYS * DAY_SECONDS);
    let mut page = PageRequest::first(PAGE);
    loop {
        let read = store.token_list(realm, TokenFilter::default(), end, page).await?;
        for token in &read.items {
            let state = token.state(end);
            *counts.tokens.entry(state.name()).or_default() += 1;
            *counts.kinds.entry(token.kind.name()).or_default() += 1;
            let ends = token.validity.expires_at().is_some_and(|ends| ends < soon);
            counts.ending_soon += u64::from(ends && state == State::Active);
            counts.uses += token.usage.total;
        }
        let Some(next) = read.next else { break };
        page = PageRequest { limit: PAGE, after: Some(next) };
    }
    let mut page = PageRequest::first(PAGE);
    loop {
        let filter = EventFilter { outcome: Some(Outcome::Refused), ..EventFilter::default() };
        let read = store.event_list(realm, filter, page).await?;
        counts.refusals += read.items.iter().map(|event| event.count).sum::<u64>();
        let Some(next) = read.next else { return Ok(counts) };
        page = PageRequest { limit: PAGE, after: Some(next) };
    }
}

/// One token of each state that is worth it, and the pages that every console has.
async fn looks(play: &Play<'_>, end: Timestamp) -> Result<Vec<Look>, DemoError> {
    let (store, realm) = (play.stage.authority.store(), &play.stage.realm);
    let page = |path: &str, what| Look { path: path.to_owned(), what };
    let mut looks = vec![
        page("/", "services and tokens of whoever is signed in"),
        page("/admin", "everybody and everything, as the administrator"),
        page("/api/docs", "the same for programs"),
    ];
    for (state, what) in [
        (State::Exhausted, "a token that is used up"),
        (State::Locked, "a token that an administrator has locked"),
        (State::Pending, "a token that waits for approval"),
        (State::Revoked, "a token that was revoked, and is tried still"),
    ] {
        let filter = TokenFilter { state: Some(state), ..TokenFilter::default() };
        let found = store.token_list(realm, filter, end, PageRequest::first(1)).await?;
        let path = found.items.first().map(|token| format!("/tokens/{}", token.id));
        looks.extend(path.map(|path| Look { path, what }));
    }
    Ok(looks)
}

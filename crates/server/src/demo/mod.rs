//! The organisation that `counterfoil demo` plays, for trying out and for pictures.
//!
//! Nothing is written past the rules: people, services and tokens are made, used, refused and
//! revoked by the acts that every door calls, under a clock that the demo moves through forty
//! days. So every number on a page is one that the rules have counted (decision 0039).

mod codes;
mod devices;
mod dice;
mod organisation;
mod people;
mod plan;
mod play;
mod report;
mod setting;
mod tokens;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use counterfoil_authority::authority::{
    AuthRefusal, Authority, ConsoleRefusal, EnrolRefusal, FirstKey, RefreshRefusal,
};
use counterfoil_authority::caller::{Caller, RequestContext};
use counterfoil_authority::clock::{Clock, NoEntropy, Timestamp};
use counterfoil_authority::names::{BadName, MAIN_REALM, RealmName};
use counterfoil_authority::refusal::Refusal;
use counterfoil_authority::scope::BadScope;
use counterfoil_authority::store::Unavailable;
use counterfoil_authority::verdict::Door;

use self::organisation::Organisation;
use self::plan::Plan;
pub use self::report::{Counts, Look, Report, SignInAs};

/// Days of history, today not counted.
pub const DAYS: i64 = 40;
/// Seconds of a day.
const DAY_SECONDS: i64 = 86_400;

/// A clock that stands where the demo has put it.
#[derive(Debug)]
pub struct DemoClock(AtomicI64);

impl DemoClock {
    /// A clock that stands at the beginning of the history that ends at `end`.
    pub fn before(end: Timestamp) -> Self {
        Self(AtomicI64::new(beginning(end).micros()))
    }

    /// Moves forward to an instant; never back.
    fn reach(&self, at: Timestamp) {
        self.0.fetch_max(at.micros(), Ordering::Relaxed);
    }
}

impl Clock for DemoClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::Relaxed))
    }
}

/// When the organisation begins: early on the first day.
fn beginning(end: Timestamp) -> Timestamp {
    let first = end.seconds().div_euclid(DAY_SECONDS) - DAYS;
    Timestamp::from_seconds(first * DAY_SECONDS + 5 * 3_600)
}

/// Why the demo could not be played to its end.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// An act was refused.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// An act of the console was refused.
    #[error(transparent)]
    Console(#[from] ConsoleRefusal),
    /// A draw was refused that should not be.
    #[error(transparent)]
    Enrol(#[from] EnrolRefusal),
    /// A refresh was refused.
    #[error(transparent)]
    Refresh(#[from] RefreshRefusal),
    /// A key that was just made does not count.
    #[error(transparent)]
    Key(#[from] AuthRefusal),
    /// The store could not answer.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    /// There is no randomness.
    #[error(transparent)]
    NoEntropy(#[from] NoEntropy),
    /// The organisation has a name that is none.
    #[error(transparent)]
    Name(#[from] BadName),
    /// The organisation has a scope that is none.
    #[error(transparent)]
    Scope(#[from] BadScope),
    /// The organisation names something that it does not have.
    #[error("the organisation of the demo has no {0}")]
    Missing(String),
    /// The organisation cannot be read.
    #[error("the organisation of the demo cannot be read: {0}")]
    Unreadable(#[from] toml::de::Error),
}

/// Where everything happens.
struct Stage {
    authority: Arc<Authority>,
    clock: Arc<DemoClock>,
    realm: RealmName,
    organisation: Organisation,
}

impl Stage {
    /// A request through this door, from nowhere in particular.
    const fn context(door: Door) -> RequestContext {
        RequestContext { door, source: None, request_id: None }
    }
}

/// Fills an installation that was initialised just now, and says what is there.
///
/// `seed` decides who there is and what happens; secrets and ids are drawn from the installation's
/// own generator, so nobody who knows the seed knows any of them. `told` is called with each part
/// of a thousand that is done.
///
/// # Errors
///
/// Whatever an act was refused with; what was done until then stays.
pub async fn fill(
    authority: Arc<Authority>,
    clock: Arc<DemoClock>,
    first: FirstKey,
    (seed, end): (u64, Timestamp),
    told: &dyn Fn(usize, usize),
) -> Result<Report, DemoError> {
    let organisation = Organisation::read()?;
    let realm = RealmName::parse(MAIN_REALM)?;
    let stage = Stage { authority, clock, realm, organisation };
    let plan = Plan::of(&stage.organisation, seed, end);
    let operator = operator(&stage.authority, &first).await?;
    let mut company = stage.people(&operator, &plan).await?;
    company.clients = stage.clients(&company).await?;
    stage.documents(&company).await?;
    let mut history = play::Play::of(&stage, &plan, company);
    history.until(end, told).await?;
    history.report(first, end).await
}

async fn operator(authority: &Authority, first: &FirstKey) -> Result<Caller, DemoError> {
    let context = Stage::context(Door::Cli);
    Ok(authority.authenticate(first.secret.reveal(), context).await?)
}

#[cfg(test)]
mod tests;

//! The history itself: deed by deed under the moving clock, each by the act that a door would call.

use std::collections::BTreeMap;

use counterfoil_authority::authority::FirstKey;
use counterfoil_authority::clock::Timestamp;
use counterfoil_authority::otp::SharedSeed;
use counterfoil_authority::secret::{ClearSecret, TokenId};

use super::people::Company;
use super::plan::{Deed, Plan, Wish};
use super::report::Report;
use super::{DemoError, Stage};

/// Seconds of an hour: so often usage is stored, so that what gathers it by time finds its hour.
const HOUR_SECONDS: i64 = 3_600;

/// A token that was issued, and its secret, in memory for as long as the demo plays.
pub(super) struct Held {
    pub(super) id: TokenId,
    pub(super) secret: ClearSecret,
}

/// A history that is being played.
pub(super) struct Play<'a> {
    pub(super) stage: &'a Stage,
    pub(super) plan: &'a Plan,
    pub(super) company: Company,
    /// Tokens by their place in the plan.
    pub(super) tokens: BTreeMap<usize, Held>,
    /// Registration tokens by their place in the organisation.
    pub(super) registrations: BTreeMap<usize, Held>,
    /// What devices present, by registration token and number.
    pub(super) devices: BTreeMap<(usize, usize), ClearSecret>,
    /// Seeds of people's authenticators.
    pub(super) seeds: BTreeMap<usize, SharedSeed>,
    /// What went otherwise than it was planned.
    pub(super) surprises: Vec<String>,
    hour: i64,
}

impl<'a> Play<'a> {
    /// A history that has not begun.
    pub(super) fn of(stage: &'a Stage, plan: &'a Plan, company: Company) -> Self {
        Self {
            stage,
            plan,
            company,
            tokens: BTreeMap::new(),
            registrations: BTreeMap::new(),
            devices: BTreeMap::new(),
            seeds: BTreeMap::new(),
            surprises: Vec::new(),
            hour: 0,
        }
    }

    /// Plays everything, and stores what was gathered.
    pub(super) async fn until(
        &mut self,
        end: Timestamp,
        told: &dyn Fn(usize, usize),
    ) -> Result<(), DemoError> {
        let plan = self.plan;
        let deeds = &plan.deeds;
        for (number, (at, deed)) in deeds.iter().enumerate() {
            let hour = at.seconds().div_euclid(HOUR_SECONDS);
            if hour != self.hour {
                self.stage.authority.flush_usage().await?;
                self.stage.authority.flush_notes().await?;
                self.hour = hour;
                told(number, deeds.len());
            }
            self.stage.clock.reach(*at);
            self.act(*deed).await?;
        }
        self.stage.clock.reach(end);
        while self.stage.authority.enrolment_due().await? {}
        self.stage.authority.flush_usage().await?;
        self.stage.authority.flush_notes().await?;
        while self.stage.authority.settle_usage().await? {}
        Ok(())
    }

    async fn act(&mut self, deed: Deed) -> Result<(), DemoError> {
        match deed {
            Deed::Issue(token) => self.issue(token).await,
            Deed::Use(token, mistake) => self.used(token, mistake).await,
            Deed::Rotate(token) => self.rotate(token).await,
            Deed::Approve(token) => self.approve(token).await,
            Deed::Change(token, fate) => self.change(token, fate).await,
            Deed::Derive(token, name) => self.derive(token, name).await,
            Deed::Guess(person) => self.guess(person).await,
            Deed::Register(number) => self.register(number).await,
            Deed::Draw(number, device) => self.draw(number, device).await,
            Deed::DrawInVain(number, device) => self.draw_in_vain(number, device).await,
            Deed::Refresh(number, device) => self.renew(number, device).await,
            Deed::Withdraw(number) => self.withdraw(number).await,
            Deed::Enrol(person, method) => self.enrol(person, method).await,
            Deed::Code(person, right) => self.code(person, right).await,
            Deed::Turn(person, turn) => self.turn(person, turn).await,
            Deed::Retire => self.retire().await,
            Deed::Stock => self.stock().await,
            Deed::Morning => {
                self.stage.keys_are_used(&self.company.clients).await?;
                while self.stage.authority.enrolment_due().await? {}
                Ok(())
            }
        }
    }

    /// What a token was planned to be.
    pub(super) fn wish(&self, token: usize) -> Result<&'a Wish, DemoError> {
        let missing = || DemoError::Missing(format!("token {token}"));
        self.plan.wishes.get(token).ok_or_else(missing)
    }

    /// A token that was issued.
    pub(super) fn held(&self, token: usize) -> Result<&Held, DemoError> {
        self.tokens.get(&token).ok_or_else(|| DemoError::Missing(format!("token {token}")))
    }

    /// Says what is there now.
    pub(super) async fn report(self, first: FirstKey, end: Timestamp) -> Result<Report, DemoError> {
        Report::of(self, first, end).await
    }
}

//! Taking over authentication tokens that somebody else made: hardware with its seeds, files of
//! other systems.
//!
//! Each goes the way of every issue: policy, limits, sealing, event. All of a file are stored in
//! one transaction, so that a file is taken over or is not; whoever wants what can be had of it
//! says so.

use std::collections::{BTreeMap, BTreeSet};

use super::OtpDraft;
use crate::authority::issue::refusal_of;
use crate::authority::repositories::{lacking, listing_request};
use crate::authority::{Authority, Delivery, Expiry, IssueRequest, RepositoryWish};
use crate::caller::Caller;
use crate::clock::Timestamp;
use crate::event::IMPORTED;
use crate::kind::Kind;
use crate::names::{RealmName, RepositoryName, Username};
use crate::refusal::Refusal;
use crate::repository::{Attribute, Place, Repository, RepositoryKind};
use crate::scope::ApiScope;
use crate::secret::TokenId;
use crate::store::{ListingFilter, Otp, OtpImported, OtpIssue, TokenIssue};
use crate::token::{AirlockAttributes, SentinelAttributes};

/// Tokens of one file at most: so many are stored in one transaction without holding others up
/// for longer than a second.
pub const IMPORT_ROWS_MAX: usize = 2000;

/// A token of a file.
#[derive(Debug, Clone)]
pub struct OtpIncoming {
    /// What is printed on it.
    pub serial: Option<String>,
    /// Whose it is; nobody's: it goes into the stock.
    pub user: Option<Username>,
    /// What to call it.
    pub name: Option<String>,
    /// How it proves itself.
    pub otp: OtpDraft,
    /// What else is known of it.
    pub labels: BTreeMap<String, String>,
    /// When it begins; at once, if absent.
    pub not_before: Option<Timestamp>,
    /// When it ends; never where policy allows it, if absent.
    pub expires_at: Option<Timestamp>,
}

/// A line of a file, counted from 1: its token, or what is wrong with it. Never holds a seed
/// beside the one that is sealed.
#[derive(Debug, Clone)]
pub struct OtpRow {
    /// Where it begins.
    pub line: usize,
    /// What it says.
    pub read: Result<Box<OtpIncoming>, String>,
}

/// How a file is taken over.
#[derive(Debug, Clone, Default)]
pub struct OtpTaking {
    /// The repository that takes the tokens. Without one they are their owners' alone.
    pub repository: Option<RepositoryName>,
    /// Whether it is only said what would become of each.
    pub dry_run: bool,
    /// Whether lines that cannot be taken over are left out; otherwise one of them stops all.
    pub partial: bool,
}

/// What became of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OtpFate {
    /// It is a token now; of a dry run, it would be.
    Taken(TokenId),
    /// It could not be taken over, for this reason.
    Refused(String),
    /// Nothing stood against it but other lines.
    LeftOut,
}

/// What became of a file: the fate of each line, in its order.
#[derive(Debug, Clone, Default)]
pub struct OtpTaken {
    /// Lines, and what became of each.
    pub fates: Vec<(usize, Option<String>, OtpFate)>,
    /// Whether anything was stored.
    pub stored: bool,
}

/// What is known of the file and of the store, as the lines go by.
#[derive(Default)]
struct Seen {
    serials: BTreeSet<String>,
    room: BTreeMap<Username, u32>,
}

/// A line that may be taken over, and where its fate is noted.
struct Ripe {
    place: usize,
    issue: OtpIssue,
}

impl Authority {
    /// Takes authentication tokens over, or says what would become of them.
    ///
    /// # Errors
    ///
    /// Refusals that are not about a line: the caller may not issue at all, there is no such
    /// repository, the store does not answer. Then nothing was stored.
    pub async fn import_otps(
        &self,
        caller: &Caller,
        realm: &RealmName,
        rows: Vec<OtpRow>,
        taking: &OtpTaking,
    ) -> Result<OtpTaken, Refusal> {
        caller.reach(realm, ApiScope::TokensWrite)?;
        if rows.len() > IMPORT_ROWS_MAX {
            let why = format!("has more than {IMPORT_ROWS_MAX} tokens; take it over in parts");
            return Err(Refusal::invalid("text", why));
        }
        let repository = match &taking.repository {
            None => None,
            Some(name) => Some(self.repository(caller, realm, name).await?),
        };
        if let Some(found) = &repository
            && !matches!(found.kind, RepositoryKind::Token(_))
        {
            return Err(Refusal::NotSupported("only a repository of tokens takes these"));
        }
        let (mut taken, mut ripe, mut seen) = (OtpTaken::default(), Vec::new(), Seen::default());
        for row in rows {
            let place = taken.fates.len();
            let serial = row.read.as_ref().ok().and_then(|read| read.serial.clone());
            // It is refused then, and not repeated.
            let serial = serial.filter(|text| !self.holds_token(text));
            let fate = match row.read {
                Err(why) => OtpFate::Refused(why),
                Ok(read) => {
                    let planned =
                        self.planned(caller, realm, repository.as_deref(), *read, &mut seen).await;
                    match about_line(planned)? {
                        Ok(issue) => {
                            let id = issue.token.id;
                            ripe.push(Ripe { place, issue });
                            OtpFate::Taken(id)
                        }
                        Err(refusal) => OtpFate::Refused(refusal.to_string()),
                    }
                }
            };
            taken.fates.push((row.line, serial, fate));
        }
        if !taking.dry_run {
            self.store_ripe(ripe, &mut taken, taking.partial).await?;
        }
        Ok(taken)
    }

    /// Stores what is ripe: all of a file, or what can be had of it.
    async fn store_ripe(
        &self,
        mut ripe: Vec<Ripe>,
        taken: &mut OtpTaken,
        partial: bool,
    ) -> Result<(), Refusal> {
        loop {
            let all = ripe.len() == taken.fates.len();
            if ripe.is_empty() || !(all || partial) {
                taken.leave_out();
                return Ok(());
            }
            let issues = ripe.iter().map(|one| one.issue.clone()).collect();
            let OtpImported::Refused { index, why } = self.store.otp_import(issues).await? else {
                taken.stored = true;
                return Ok(());
            };
            // Somebody was faster than this file.
            let late = ripe.remove(index);
            if let Some((_, _, fate)) = taken.fates.get_mut(late.place) {
                *fate = OtpFate::Refused(refusal_of(why, Kind::Generic).to_string());
            }
        }
    }

    /// What would be stored of a line.
    async fn planned(
        &self,
        caller: &Caller,
        realm: &RealmName,
        repository: Option<&Repository>,
        read: OtpIncoming,
        seen: &mut Seen,
    ) -> Result<OtpIssue, Refusal> {
        if let Some(serial) = &read.serial
            && !seen.serials.insert(serial.clone())
        {
            return Err(Refusal::invalid("serial", "stands in this file twice"));
        }
        match (repository, &read.user) {
            (None, None) => {
                let why = "a token of nobody waits in the stock of a repository; name one";
                return Err(Refusal::invalid("repository", why));
            }
            (None, Some(_)) if read.serial.is_some() => {
                let why = "a serial is unique in its repository; name one";
                return Err(Refusal::invalid("repository", why));
            }
            _ => {}
        }
        if let Some(repository) = repository {
            require_mapped(repository, &read)?;
            self.refuse_taken(realm, repository, &read, seen).await?;
        }
        if let Some(user) = &read.user
            && self.store.user_find(realm, user).await?.is_none()
        {
            return Err(Refusal::invalid("user", "there is no such person"));
        }
        let request = request_of(repository, read);
        let now = self.now();
        let (request, ready) = self.ready(caller, realm, request, now).await?;
        let (issue, otp, _) = self.drawn(caller, realm, (&request, &ready), None, now).await?;
        let Some(otp) = otp else { return Err(Refusal::invalid("otp", "is needed")) };
        Ok(as_import(issue, otp))
    }

    /// What the transaction would find as well, said for each line and by a dry run.
    async fn refuse_taken(
        &self,
        realm: &RealmName,
        repository: &Repository,
        read: &OtpIncoming,
        seen: &mut Seen,
    ) -> Result<(), Refusal> {
        if let Some(serial) = &read.serial {
            let filter = ListingFilter { serial: Some(serial.clone()), ..Default::default() };
            let mut request = listing_request(realm, &repository.name, filter, self.now());
            request.limit = 1;
            if !self.store.listing_page(request).await?.0.is_empty() {
                return Err(Refusal::SerialTaken);
            }
        }
        let Some(user) = &read.user else { return Ok(()) };
        let (held, max) = self.repository_room(realm, repository, user).await?;
        let arriving = seen.room.entry(user.clone()).or_default();
        if held.saturating_add(*arriving) >= max {
            return Err(Refusal::AtLimit(max));
        }
        *arriving += 1;
        Ok(())
    }
}

impl OtpTaken {
    /// How many lines are taken over.
    pub fn taken(&self) -> usize {
        self.fates.iter().filter(|(_, _, fate)| matches!(fate, OtpFate::Taken(_))).count()
    }

    /// Nothing of the file was stored after all.
    fn leave_out(&mut self) {
        for (_, _, fate) in &mut self.fates {
            if matches!(fate, OtpFate::Taken(_)) {
                *fate = OtpFate::LeftOut;
            }
        }
    }
}

/// The refusals of one line; the others are of the whole.
fn about_line<T>(planned: Result<T, Refusal>) -> Result<Result<T, Refusal>, Refusal> {
    match planned {
        Err(
            refusal @ (Refusal::Unavailable(_)
            | Refusal::Overloaded
            | Refusal::NoEntropy(_)
            | Refusal::Forbidden(_)),
        ) => Err(refusal),
        other => Ok(other),
    }
}

/// An attribute that the repository requires must come with the file.
fn require_mapped(repository: &Repository, read: &OtpIncoming) -> Result<(), Refusal> {
    let has = |attribute| match attribute {
        Attribute::Serial => read.serial.is_some(),
        Attribute::ValidFrom => read.not_before.is_some(),
        Attribute::ValidTo => read.expires_at.is_some(),
        _ => false,
    };
    match lacking(repository, has) {
        Some(name) => Err(Refusal::invalid(name, "is required by the repository")),
        None => Ok(()),
    }
}

fn request_of(repository: Option<&Repository>, read: OtpIncoming) -> IssueRequest {
    let place = if read.user.is_some() { Place::Held } else { Place::Stock };
    IssueRequest {
        disguise: None,
        kind: Kind::Generic,
        user: read.user,
        name: read.name,
        description: None,
        services: None,
        scopes: Vec::new(),
        permissions: None,
        expires: read.expires_at.map_or(Expiry::Open, Expiry::At),
        not_before: read.not_before,
        max_usages: None,
        networks: Vec::new(),
        doors: None,
        labels: read.labels,
        airlock: AirlockAttributes { serial: read.serial, ..AirlockAttributes::default() },
        sentinel: SentinelAttributes::default(),
        unit: None,
        secret: None,
        delivery: Delivery::Default,
        otp: Some(read.otp),
        repository: repository.map(|found| RepositoryWish {
            name: found.name.clone(),
            place,
            data: None,
        }),
    }
}

fn as_import(issue: TokenIssue, otp: Otp) -> OtpIssue {
    let TokenIssue { token, limits, data, event, .. } = issue;
    let detail = serde_json::json!({ "method": otp.method.name() });
    let event = event.with_reason(IMPORTED).with_detail(detail);
    OtpIssue { token, otp, limits, data, idempotency: None, event }
}

//! Which tokens a job is about: looked at one by one, as the act itself would.

use super::{JobAct, JobSelection, JobWish};
use crate::authority::bulk::{changes, names_something};
use crate::authority::{Act, Authority};
use crate::caller::Caller;
use crate::names::{RealmName, Username};
use crate::refusal::{Refusal, Thing};
use crate::repository::Place;
use crate::scope::ApiScope;
use crate::secret::TokenId;
use crate::store::{
    JOB_TOKENS_MAX, ListedBy, ListingFilter, ListingRequest, PageRequest, TokenFilter,
};
use crate::token::Token;

/// Tokens that are read at a time.
const PAGE: u32 = 1000;

/// What a job would be about.
#[derive(Debug, Clone, Default)]
pub struct JobPlan {
    /// Its tokens as they are now, with the persons they would go to.
    pub tokens: Vec<(Token, Option<Username>)>,
    /// Tokens that the caller may not change in this way: left as they are, and not shown.
    pub refused: u64,
    /// Whether there are more than one job takes: the same request again goes on with them.
    pub more: bool,
}

impl JobPlan {
    fn is_full(&self) -> bool {
        self.tokens.len() == JOB_TOKENS_MAX
    }
}

impl Authority {
    pub(super) async fn plan_job(
        &self,
        caller: &Caller,
        realm: &RealmName,
        wish: &JobWish,
    ) -> Result<JobPlan, Refusal> {
        Self::may_ask_for_jobs(caller, realm)?;
        self.realm_facts(realm).await?;
        if (wish.act == JobAct::Assign) == wish.users.is_empty() {
            let why = "name the persons that tokens are assigned to, and nobody otherwise";
            return Err(Refusal::invalid("users", why));
        }
        if wish.users.len() > JOB_TOKENS_MAX {
            return Err(Refusal::invalid("users", format!("are more than {JOB_TOKENS_MAX}")));
        }
        if let Some(Act::Revoke { reason: Some(reason) }) = wish.act.switch() {
            self.refuse_token("reason", &reason)?;
        }
        let mut plan = JobPlan::default();
        match &wish.selection {
            JobSelection::Ids(ids) => self.plan_ids(caller, realm, wish, ids, &mut plan).await?,
            JobSelection::Tokens(filter) => {
                self.plan_tokens(caller, realm, wish, filter, &mut plan).await?;
            }
            JobSelection::Repository(name, filter) => {
                let repository = self.repository(caller, realm, name).await?;
                let request = ListingRequest {
                    realm: realm.clone(),
                    repository: repository.name.clone(),
                    filter: ListingFilter::clone(filter),
                    by: ListedBy::Age,
                    descending: false,
                    limit: PAGE,
                    after: None,
                    now: self.now(),
                };
                self.plan_listed(caller, wish, &repository, request, &mut plan).await?;
            }
        }
        if wish.act == JobAct::Assign && plan.tokens.len() < wish.users.len() {
            let why = format!("{} of them are in stock and can be assigned", plan.tokens.len());
            return Err(Refusal::invalid("users", why));
        }
        Ok(plan)
    }

    async fn plan_ids(
        &self,
        caller: &Caller,
        realm: &RealmName,
        wish: &JobWish,
        ids: &[TokenId],
        plan: &mut JobPlan,
    ) -> Result<(), Refusal> {
        if ids.is_empty() || ids.len() > JOB_TOKENS_MAX {
            return Err(Refusal::invalid("ids", format!("are between 1 and {JOB_TOKENS_MAX}")));
        }
        let mut seen = std::collections::BTreeSet::new();
        for id in ids.iter().filter(|id| seen.insert(**id)) {
            match self.token(caller, realm, *id).await {
                Ok(token) => self.plan_one(caller, wish, token, plan).await?,
                Err(Refusal::NotFound(_)) => plan.refused += 1,
                Err(refusal) => return Err(refusal),
            }
        }
        Ok(())
    }

    async fn plan_tokens(
        &self,
        caller: &Caller,
        realm: &RealmName,
        wish: &JobWish,
        filter: &TokenFilter,
        plan: &mut JobPlan,
    ) -> Result<(), Refusal> {
        if !names_something(filter) {
            return Err(Refusal::invalid(
                "user",
                "name whose tokens: a user, a client, a service, a unit, a label, a repository",
            ));
        }
        let mut page = PageRequest::first(PAGE);
        loop {
            let listed = self.tokens(caller, realm, filter.clone(), page).await?;
            for token in listed.items {
                if plan.is_full() {
                    plan.more = true;
                    return Ok(());
                }
                self.plan_one(caller, wish, token, plan).await?;
            }
            let Some(next) = listed.next else { return Ok(()) };
            page = PageRequest { limit: PAGE, after: Some(next) };
        }
    }

    async fn plan_listed(
        &self,
        caller: &Caller,
        wish: &JobWish,
        repository: &crate::repository::Repository,
        mut request: ListingRequest,
        plan: &mut JobPlan,
    ) -> Result<(), Refusal> {
        loop {
            let (listed, next) = self.repository_page(caller, repository, request.clone()).await?;
            for token in listed.into_iter().filter_map(|entry| entry.token) {
                if plan.is_full() {
                    plan.more = true;
                    return Ok(());
                }
                self.plan_one(caller, wish, *token, plan).await?;
            }
            if next.is_none() {
                return Ok(());
            }
            request.after = next;
        }
    }

    /// Takes a token in, if the act would change something about it and the caller may do that.
    async fn plan_one(
        &self,
        caller: &Caller,
        wish: &JobWish,
        token: Token,
        plan: &mut JobPlan,
    ) -> Result<(), Refusal> {
        if token.revocation.is_some() {
            return Ok(());
        }
        // A job that ends what it was asked with would stop half-way, and lock its asker out.
        if token.id == caller.token {
            plan.refused += 1;
            return Ok(());
        }
        let realm = token.realm.clone();
        let place = token.repository.as_ref().map(|member| member.place);
        let mut to = None;
        let may = match (&wish.act, wish.act.switch()) {
            (_, Some(switch)) => {
                if !changes(&switch, &token) {
                    return Ok(());
                }
                self.changeable(caller, &realm, token.id, &switch).await
            }
            (JobAct::Delete, _) => match place {
                Some(_) => self.endable(caller, &realm, token.id).await,
                None => Err(Refusal::NotFound(Thing::Repository)),
            },
            (JobAct::Assign, _) => {
                if place != Some(Place::Stock) {
                    return Ok(());
                }
                // Each goes to one, and those behind the last person stay in stock.
                let Some(next) = wish.users.get(plan.tokens.len()) else { return Ok(()) };
                to = Some(next.clone());
                let whole = caller.require_whole(&realm, ApiScope::TokensWrite);
                whole.map(|()| token.clone())
            }
            _ => self.reachable(caller, &realm, token.id).await,
        };
        match may {
            Ok(_) => plan.tokens.push((token, to)),
            Err(Refusal::BeyondGrant(_) | Refusal::NotFound(_) | Refusal::Forbidden(_)) => {
                plan.refused += 1;
            }
            Err(refusal) => return Err(refusal),
        }
        Ok(())
    }
}

//! Why a decision is what it is, step by step, for administrators.

use std::net::IpAddr;

use super::super::{Active, Authority, Verdict, VerifyRequest};
use super::decide::{AmAnswer, AmFault, AmQuestion, PRESENTABLE, binding_of, circumstances, step};
use super::directory::AmDirectory;
use crate::am::condition::Circumstances;
use crate::am::resource::{PAT, Requested, is_pat, presented_pat};
use crate::am::{Asker, CompiledSet, Explanation, Question, Step};
use crate::caller::Caller;
use crate::names::{RealmName, Username};
use crate::refusal::{Refusal, Thing};
use crate::scope::ApiScope;
use crate::secret::TokenId;
use crate::subject::User;

/// Which token a person is supposed to present.
#[derive(Debug, Clone, Copy)]
pub enum AmTestToken<'a> {
    /// The one of this id, as if its secret had been presented.
    Id(TokenId),
    /// Whatever this is the secret of.
    Secret(&'a str),
}

/// What is to be explained.
#[derive(Debug, Clone, Copy)]
pub struct AmTest<'a> {
    /// On whose behalf.
    pub username: &'a Username,
    /// The resource; for tokens just `pat://user`, without one.
    pub resource: &'a str,
    /// The action.
    pub action: &'a str,
    /// The policy set.
    pub set: &'a str,
    /// The token that is presented, for a resource that is one.
    pub token: Option<AmTestToken<'a>>,
    /// The end client's address.
    pub address: Option<IpAddr>,
    /// Who asks the realm's directory.
    pub directory: AmDirectory<'a>,
}

/// A decision with its reasons.
#[derive(Debug, Clone)]
pub struct AmExplained {
    /// Whether the action is allowed.
    pub allowed: bool,
    /// What AM's evaluate would answer, but for attributes of people.
    pub answer: AmAnswer,
    /// The way to it.
    pub steps: Vec<Step>,
}

impl Authority {
    /// Explains a decision. Counts nothing; a secret that is presented and bad is recorded.
    ///
    /// # Errors
    ///
    /// [`AmFault`].
    pub async fn am_explain(
        &self,
        caller: &Caller,
        realm: &RealmName,
        test: &AmTest<'_>,
    ) -> Result<AmExplained, AmFault> {
        caller.require_whole(realm, ApiScope::PoliciesWrite)?;
        let documents = self.am_documents(realm).await?;
        let set = documents.set(test.set).ok_or(Refusal::NotFound(Thing::PolicySet))?;
        let found = self.store.user_find(realm, test.username).await.map_err(Refusal::from)?;
        let user = found.ok_or(Refusal::NotFound(Thing::User))?;
        let asker = asker_of(&user);
        let mut explanation = Explanation::spoken();
        explanation.note(|| {
            let many = format!("{} with {} policies", test.set, set.policies().len());
            step("policy-set", true, many)
        });
        let question = AmQuestion {
            realm,
            caller,
            set,
            resource: test.resource,
            asker: &asker,
            address: test.address,
            dns_name: None,
            zone: documents.zone(),
            scopes: &[],
            directory: test.directory,
        };
        let answer = if is_pat(test.resource) {
            self.explain_token(&question, test, &mut explanation).await?
        } else {
            self.explain_resource(&question, set, &mut explanation).await?
        };
        let allowed = answer.actions.get(test.action) == Some(&true);
        explanation.note(|| {
            let why = match answer.actions.get(test.action) {
                Some(true) => format!("{} is allowed", test.action),
                Some(false) => format!("a policy denies {}", test.action),
                None => format!("no policy allows {}", test.action),
            };
            step("decision", allowed, why)
        });
        Ok(AmExplained { allowed, answer, steps: explanation.into_steps() })
    }

    async fn explain_resource(
        &self,
        question: &AmQuestion<'_>,
        set: &CompiledSet,
        explanation: &mut Explanation,
    ) -> Result<AmAnswer, AmFault> {
        let requested = Requested::read(question.resource)?;
        explanation.note(|| {
            let why = format!("is compared as {}", requested.folded());
            step("resource", true, why)
        });
        let said = self.directory_says(question, set, &requested, question.person()).await?;
        let around = circumstances(question, self.now());
        let around = Circumstances { filters: &said, ..around };
        let asked = Question { requested: &requested, circumstances: around };
        let decision = set.decide(&asked, explanation);
        Ok(AmAnswer {
            actions: decision.actions,
            attributes: decision.attributes,
            until: decision.until,
            ..AmAnswer::default()
        })
    }

    async fn explain_token(
        &self,
        question: &AmQuestion<'_>,
        test: &AmTest<'_>,
        explanation: &mut Explanation,
    ) -> Result<AmAnswer, AmFault> {
        // The user stands in the resource; a token in it would stand in the command line too.
        let named = question.resource.get(PAT.len() + 3..).unwrap_or_default();
        if named.contains(':') {
            let why = "name the user alone, pat://user, and the token apart from it";
            return Err(Refusal::invalid("resource", why).into());
        }
        // Policies see the form of a token, never which one it is.
        let supposed = format!("pat://{named}:token");
        let (Ok(requested), Some(pat)) = (Requested::read(&supposed), presented_pat(&supposed))
        else {
            explanation.note(|| step("resource", false, "is no resource"));
            return Ok(AmAnswer::default());
        };
        explanation.note(|| step("resource", true, format!("pat://{named}, with a token")));
        let active = self.supposed(question, &pat.username, test.token, explanation).await?;
        let Some(active) = active else { return Ok(AmAnswer::default()) };
        let decision =
            self.decide_with(question, &requested, &active, self.now(), explanation).await?;
        if !decision.allows_anything() {
            return Ok(AmAnswer::default());
        }
        Ok(AmAnswer {
            actions: decision.actions,
            attributes: decision.attributes,
            until: decision.until,
            ..AmAnswer::default()
        })
    }

    /// The token that is supposed to be presented, if it is good.
    async fn supposed(
        &self,
        question: &AmQuestion<'_>,
        username: &str,
        token: Option<AmTestToken<'_>>,
        explanation: &mut Explanation,
    ) -> Result<Option<Active>, AmFault> {
        let several = self.am_services(question)?;
        let secret = match token {
            Some(AmTestToken::Secret(secret)) => secret,
            _ => "",
        };
        let request = VerifyRequest {
            realm: question.realm,
            presented: secret,
            username: Some(username),
            binding: binding_of(question, several.as_deref()),
            scopes: &[],
            resource: None,
            action: None,
            client_ip: question.address,
            consume: false,
            throttled: false,
            origin: &question.caller.origin,
        };
        let verdict = match token {
            None => {
                explanation.note(|| step("token", false, "none is presented"));
                return Ok(None);
            }
            Some(AmTestToken::Secret(_)) => self.verify(request).await?,
            Some(AmTestToken::Id(id)) => {
                let entry = self.entry(id).await?;
                let entry = entry.filter(|entry| entry.owner.realm == *question.realm);
                let entry = entry.ok_or(Refusal::NotFound(Thing::Token))?;
                self.verify_supposed(request, &entry).await?
            }
        };
        Ok(match verdict {
            Verdict::Active(active) if !PRESENTABLE.contains(&active.kind()) => {
                explanation.note(|| {
                    let why = format!("{} is no personal access token", active.token());
                    step("token", false, why)
                });
                None
            }
            Verdict::Active(active) => {
                let id = active.token();
                explanation.note(|| step("token", true, format!("{id} is active")));
                Some(active)
            }
            Verdict::Inactive { reason, token } => {
                explanation.note(|| {
                    let id = token.map_or_else(|| "it".to_owned(), |id| id.to_string());
                    step("token", false, format!("{id} is not good: {reason}"))
                });
                None
            }
        })
    }
}

fn asker_of(user: &User) -> Asker {
    Asker {
        uid: Some(user.username.to_string()),
        groups: user.groups.iter().map(|group| group.as_str().to_owned()).collect(),
        is_authenticated: true,
        is_client: false,
        claims: serde_json::Map::new(),
    }
}

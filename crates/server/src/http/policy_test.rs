//! `R/policies/test`: why a decision of the AM door's policies is what it is, step by step.

use std::net::IpAddr;

use axum::Json;
use axum::extract::State;
use counterfoil_authority::am::builtin::PAT_SET;
use counterfoil_authority::am::resource::RESOURCE_BYTES_MAX;
use counterfoil_authority::authority::{AmDirectory, AmFault, AmTest, AmTestToken};
use counterfoil_authority::names::{RealmName, Username};
use counterfoil_authority::refusal::Refusal;
use counterfoil_authority::scope::ApiScope;
use counterfoil_authority::secret::{ClearSecret, TokenId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::body::Payload;
use super::caller::Authenticated;
use super::problem::Problem;
use super::query::At;
use super::responses::Acts;
use super::state::AppState;

/// What is to be explained.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PolicyTest {
    /// On whose behalf.
    user: String,
    /// The resource; for a personal access token just `pat://user`, without the token.
    #[schema(max_length = 4096)]
    resource: String,
    /// The action.
    action: String,
    /// The policy set; `PATValidator` unless given.
    #[serde(default)]
    policy_set: Option<String>,
    /// The id of the token that is supposed to be presented.
    #[serde(default)]
    token: Option<String>,
    /// Or its secret.
    #[serde(default)]
    secret: Option<String>,
    /// The end client's address.
    #[serde(default)]
    client_ip: Option<String>,
}

/// One step on the way to a decision.
#[derive(Debug, Serialize, ToSchema)]
pub struct PolicyTestStep {
    /// What was looked at: `policy-set`, `resource`, `token`, `policy`, `subject`, `condition` or
    /// `decision`.
    what: &'static str,
    /// Which one.
    name: Option<String>,
    /// Whether it held.
    holds: bool,
    /// In words.
    why: String,
}

/// A decision with its reasons.
#[derive(Debug, Serialize, ToSchema)]
pub struct PolicyTested {
    /// Whether the action is allowed.
    allowed: bool,
    /// What is said of each action.
    #[schema(value_type = Object)]
    actions: std::collections::BTreeMap<String, bool>,
    /// The way there.
    steps: Vec<PolicyTestStep>,
}

/// Explains a decision of the policies, step by step. Counts nothing, and records no refusal of
/// the token that is supposed to be presented by its id.
#[utoipa::path(
    post, path = "/api/v1/realms/{realm}/policies/test", tag = "policies",
    params(("realm" = String, Path, description = "The realm")),
    request_body = PolicyTest,
    responses((status = 200, description = "The decision and the way to it", body = PolicyTested), Acts)
)]
pub async fn policy_test(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    At(realm): At<RealmName>,
    Payload { value, .. }: Payload<PolicyTest>,
) -> Result<Json<PolicyTested>, Problem> {
    caller.require_whole(&realm, ApiScope::PoliciesWrite)?;
    let username = Username::parse(&value.user).map_err(|bad| Problem::invalid("user", bad))?;
    if value.resource.len() > RESOURCE_BYTES_MAX {
        let why = format!("has at most {RESOURCE_BYTES_MAX} bytes");
        return Err(Problem::invalid("resource", why));
    }
    let secret = value.secret.map(ClearSecret::new);
    let token = match (&value.token, &secret) {
        (Some(_), Some(_)) => return Err(Problem::invalid("secret", "give token or secret")),
        (Some(id), None) => {
            let unknown = || Problem::invalid("token", "is no token's id");
            Some(AmTestToken::Id(TokenId::parse(id).ok_or_else(unknown)?))
        }
        (None, Some(secret)) => Some(AmTestToken::Secret(secret.reveal())),
        (None, None) => None,
    };
    let address: Option<IpAddr> = match &value.client_ip {
        Some(text) => {
            let address = text.parse();
            Some(address.map_err(|_| Problem::invalid("client_ip", "expected an IP address"))?)
        }
        None => None,
    };
    let test = AmTest {
        username: &username,
        resource: &value.resource,
        action: &value.action,
        set: value.policy_set.as_deref().unwrap_or(PAT_SET),
        token,
        address,
        directory: AmDirectory(&*state.courier),
    };
    let explained = state.authority.am_explain(&caller, &realm, &test).await;
    let explained = explained.map_err(|fault| match fault {
        AmFault::Resource(bad) => Refusal::invalid("resource", bad),
        AmFault::Other(refusal) => refusal,
    })?;
    let steps = explained.steps.into_iter().map(|step| PolicyTestStep {
        what: step.what,
        name: step.name,
        holds: step.holds,
        why: step.why,
    });
    Ok(Json(PolicyTested {
        allowed: explained.allowed,
        actions: explained.answer.actions,
        steps: steps.collect(),
    }))
}

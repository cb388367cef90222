//! `/tokens/_bulk` and `/jobs/{id}`: acts on many tokens of a repository, as jobs.

use axum::http::StatusCode;
use axum::response::Response;
use counterfoil_authority::authority::{Authority, JobAct, JobSelection, JobSet, JobWish};
use counterfoil_authority::caller::Caller;
use counterfoil_authority::names::{RepositoryName, Username};
use counterfoil_authority::secret::TokenId;
use counterfoil_authority::store::{Job, JobItem};
use serde::Deserialize;
use serde_json::{Map, Value as Json, json};
use std::collections::BTreeMap;

use super::fault::Fault;
use super::{Asked, query};
use crate::http::body::{AnyBytes, parse};
use crate::http::wire::time;

/// Tokens that a preview names at most.
const PREVIEW_MAX: usize = 1000;

/// What is asked for: an act, and the tokens by their ids or by a filter as in the inventory.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Bulk {
    action: String,
    #[serde(default)]
    ids: Vec<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
    #[serde(default)]
    filter: BTreeMap<String, String>,
    #[serde(default)]
    users: Vec<String>,
    tracking_id: Option<String>,
    reason: Option<String>,
    #[serde(default)]
    dry_run: bool,
}

impl Bulk {
    fn act(&self) -> Result<JobAct, Fault> {
        let reason = self.reason.clone();
        if self.tracking_id.is_some() != (self.action == "setAttribute") {
            return Err(Fault::malformed("setAttribute writes trackingId"));
        }
        Ok(match self.action.as_str() {
            "enable" => JobAct::Enable,
            "disable" => JobAct::Disable,
            "revoke" => JobAct::Revoke { reason },
            "delete" => JobAct::Delete,
            "assign" => JobAct::Assign,
            "setAttribute" => {
                let tracking_id = self.tracking_id.clone();
                JobAct::Set(JobSet { tracking_id, ..JobSet::default() })
            }
            _ => {
                let known = "enable, disable, revoke, delete, assign and setAttribute";
                return Err(Fault::not_supported(known));
            }
        })
    }

    async fn selection(&self, asked: &Asked, caller: &Caller) -> Result<JobSelection, Fault> {
        let by_filter = self.kind.is_some();
        if by_filter != self.ids.is_empty() {
            return Err(Fault::malformed("name the tokens by ids, or by type and filter"));
        }
        if !by_filter {
            let ids: Option<Vec<TokenId>> = self.ids.iter().map(|id| TokenId::parse(id)).collect();
            return Ok(JobSelection::Ids(ids.ok_or_else(Fault::no_token)?));
        }
        let kind = self.kind.as_deref().unwrap_or_default();
        let name = RepositoryName::parse(kind).map_err(|_| Fault::no_type())?;
        let repository = asked.repository(caller, kind).await?;
        let authority = &asked.state.authority;
        let zone = authority.realm_facts(&asked.realm).await?.realm.zone.clone();
        let mut rest: Vec<(String, String)> = Vec::new();
        let (mut user, mut place) = (None, None);
        for (field, value) in &self.filter {
            match field.as_str() {
                "user" => user = Some(Username::parse(value).map_err(|_| Fault::no_user())?),
                "assigned" => place = Some(super::inventory::place_of(value == "true")),
                field => rest.push((format!("filter[{field}]"), value.clone())),
            }
        }
        let mut request = query::read(&repository, &asked.realm, user, &rest, &zone)?;
        request.filter.place = place;
        Ok(JobSelection::Repository(name, Box::new(request.filter)))
    }
}

/// Starts an act on many tokens, or says which it would change.
pub(super) async fn start(asked: Asked, AnyBytes(body): AnyBytes) -> Response {
    let started = async {
        let caller = asked.caller().await?;
        Authority::may_ask_for_jobs(&caller, &asked.realm)?;
        let bulk: Bulk = parse(&body)?;
        let users: Result<Vec<Username>, _> =
            bulk.users.iter().map(|name| Username::parse(name)).collect();
        let wish = JobWish {
            act: bulk.act()?,
            selection: bulk.selection(&asked, &caller).await?,
            users: users.map_err(|_| Fault::no_user())?,
        };
        let authority = &asked.state.authority;
        if bulk.dry_run {
            let plan = authority.job_preview(&caller, &asked.realm, &wish).await?;
            let mut meta = Map::new();
            meta.insert("dryRun".into(), true.into());
            meta.insert("total".into(), plan.tokens.len().into());
            meta.insert("refused".into(), plan.refused.into());
            let data = plan.tokens.iter().take(PREVIEW_MAX).map(|(token, to)| {
                json!({
                    "type": "tokens",
                    "id": token.id.as_str(),
                    "meta": { "to": to.as_ref().map(Username::as_str) },
                })
            });
            return Ok(asked.document(StatusCode::OK, data.collect(), meta));
        }
        let (job, plan) = authority.job_start(&caller, &asked.realm, &wish).await?;
        let mut meta = Map::new();
        meta.insert("refused".into(), plan.refused.into());
        meta.insert("more".into(), plan.more.into());
        Ok(asked.document(StatusCode::ACCEPTED, resource(&job, &[]), meta))
    };
    asked.said(started.await)
}

/// Shows how far a job is.
pub(super) async fn show(asked: Asked) -> Response {
    let shown = async {
        let caller = asked.caller().await?;
        let (authority, id) = (&asked.state.authority, asked.segment("id"));
        let job = authority.job(&caller, &asked.realm, id).await?;
        let failures = authority.job_failures(&job).await?;
        Ok(asked.document(StatusCode::OK, resource(&job, &failures), Map::new()))
    };
    asked.said(shown.await)
}

fn resource(job: &Job, failures: &[JobItem]) -> Json {
    let failures: Vec<Json> = failures
        .iter()
        .map(|item| {
            json!({
                "id": item.token.as_str(), "state": item.state.name(), "reason": item.reason,
            })
        })
        .collect();
    let counts = job.counts;
    json!({
        "type": "jobs",
        "id": job.id,
        "attributes": {
            "state": job.state.name(),
            "total": counts.total(),
            "done": counts.done,
            "skipped": counts.skipped,
            "failed": counts.failed,
            "waiting": counts.waiting,
            "createdDate": time(job.created_at),
            "endedDate": job.ended_at.map(time),
            "failures": failures,
        },
    })
}

//! What a repository says about a new token: its services, its number, its payload.

use std::sync::Arc;

use super::secrets::{Drafted, Whose};
use super::{Expiry, IssueRequest, Payload};
use crate::authority::Authority;
use crate::authority::repositories::generates;
use crate::clock::Timestamp;
use crate::kind::Kind;
use crate::policy::AtLimit;
use crate::refusal::{Refusal, Thing};
use crate::repository::{Attribute, Place, Repository, RepositoryKind, RepositoryLimit};
use crate::secret::{ClearSecret, Shape};
use crate::service::Services;
use crate::store::{ActiveLimit, Counted, TokenIssue};
use crate::token::Token;

/// How the row is called that the payload of a token is sealed to.
pub(in crate::authority) fn payload_row(token: &Token) -> String {
    format!("token data {}", token.id)
}

impl Authority {
    /// The repository that a token is to be in; its services become the token's.
    pub(super) fn repository_of(
        &self,
        request: &mut IssueRequest,
    ) -> Result<Option<Arc<Repository>>, Refusal> {
        let Some(wish) = &mut request.repository else { return Ok(None) };
        if request.kind != Kind::Generic {
            return Err(Refusal::invalid("repository", "only a generic token is in a repository"));
        }
        let found = self.repositories().find(&wish.name);
        let repository = found.cloned().ok_or(Refusal::NotFound(Thing::Repository))?;
        if let (RepositoryKind::Credential(_), Place::Held) = (&repository.kind, wish.place) {
            wish.place = Place::Current;
        }
        let fits = match (&repository.kind, wish.place) {
            (RepositoryKind::Token(_), Place::Held | Place::Stock)
            | (RepositoryKind::Credential(_), Place::Current) => true,
            (RepositoryKind::Credential(rules), Place::Next) => rules.support_next,
            _ => false,
        };
        if let RepositoryKind::Custom(_) = &repository.kind {
            return Err(Refusal::NotSupported("tokens of this repository are kept elsewhere"));
        }
        if !fits {
            return Err(Refusal::NotSupported("this repository keeps no such token"));
        }
        if let Some(field) = lacking(&repository, request) {
            return Err(Refusal::invalid(field, "the repository requires it"));
        }
        let comes_with = request.repository.as_ref().is_some_and(|wish| wish.data.is_some());
        if !comes_with && !generates(&repository) && request.otp.is_none() {
            return Err(Refusal::NotSupported("tokens of this repository come with their data"));
        }
        if !repository.services.is_empty() {
            if request.services.is_some() {
                let said = "the repository says what its tokens are good for";
                return Err(Refusal::invalid("services", said));
            }
            request.services = Some(Services::Named(repository.services.clone()));
        }
        Ok(Some(repository))
    }

    /// How many tokens of its repository the owner of a token may hold, if it counts there.
    pub(in crate::authority) fn limit_in_repository(&self, token: &Token) -> Option<ActiveLimit> {
        let name = token.repository.as_ref().map(|member| &member.name)?;
        limit_of(self.repositories().find(name).map(|found| &**found), token)
    }

    /// The secret of a token that came with its own, or with a payload that is none.
    pub(super) async fn payload_secret(
        &self,
        whose: &Whose<'_>,
        payload: &Payload,
        token: crate::secret::TokenId,
        now: Timestamp,
    ) -> Result<Drafted, Refusal> {
        match payload {
            // Nobody is told this one: the payload is no secret, and the token opens nothing
            // before it is rotated.
            Payload::Readable(_) => self.generated(Kind::Generic, token, now),
            Payload::Hashed(clear) => {
                self.check_payload(clear)?;
                let hash = self.slow_hash(whose, clear).await?;
                Ok(Drafted(clear.clone(), self.stored(hash, false, now)?))
            }
        }
    }

    /// A payload that verifies must not be taken for something else when it is presented.
    pub(in crate::authority) fn check_payload(&self, clear: &ClearSecret) -> Result<(), Refusal> {
        if clear.reveal().is_empty() {
            return Err(Refusal::invalid("data", "must not be empty"));
        }
        if self.shape(clear.reveal()) != Shape::Other {
            return Err(Refusal::invalid("data", "must not look like a generated token"));
        }
        Ok(())
    }

    /// The issue with the payload that is shown again, sealed to the token.
    pub(super) fn with_payload(
        &self,
        issue: TokenIssue,
        request: &IssueRequest,
    ) -> Result<TokenIssue, Refusal> {
        let wish = request.repository.as_ref();
        let Some(Payload::Readable(clear)) = wish.and_then(|wish| wish.data.as_ref()) else {
            return Ok(issue);
        };
        let row = payload_row(&issue.token);
        let sealed = self.keys().seal(&row, clear.reveal().as_bytes(), self.entropy())?;
        Ok(TokenIssue { data: Some(sealed), ..issue })
    }
}

/// The field of a request for an attribute that a token of the repository cannot be without, if it
/// is not given.
fn lacking(repository: &Repository, request: &IssueRequest) -> Option<String> {
    let airlock = &request.airlock;
    let wish = request.repository.as_ref();
    let field = |attribute| match attribute {
        Attribute::Serial => airlock.serial.is_none().then(|| "serial".to_owned()),
        Attribute::TrackingId => airlock.tracking_id.is_none().then(|| "tracking_id".to_owned()),
        Attribute::ValidFrom => request.not_before.is_none().then(|| "not_before".to_owned()),
        Attribute::ValidTo => {
            let ends = matches!(request.expires, Expiry::At(_) | Expiry::After(_));
            (!ends).then(|| "expires_at".to_owned())
        }
        Attribute::MaxUsages => request.max_usages.is_none().then(|| "max_usages".to_owned()),
        Attribute::Data => {
            wish.is_some_and(|wish| wish.data.is_none()).then(|| "repository".to_owned())
        }
        Attribute::Element(number) => {
            let given = airlock.generic_data.contains_key(&number);
            (!given).then(|| format!("generic_data.{number}"))
        }
        _ => None,
    };
    let required = repository.attributes.all().iter().filter(|mapped| mapped.required);
    required.map(|mapped| mapped.attribute).find_map(field)
}

/// How many tokens of the repository one person may hold, if this token counts.
pub(in crate::authority) fn limit_of(
    repository: Option<&Repository>,
    token: &Token,
) -> Option<ActiveLimit> {
    let held = token.repository.as_ref().is_some_and(|member| member.place == Place::Held);
    match repository.map(|repository| (&repository.name, &repository.kind)) {
        Some((name, RepositoryKind::Token(rules))) if held => Some(ActiveLimit {
            of: Counted::Repository(RepositoryLimit {
                name: name.clone(),
                count_expired: rules.count_expired,
            }),
            max: rules.max_tokens_per_user,
            at_limit: AtLimit::Refuse,
            slow_only: false,
        }),
        _ => None,
    }
}

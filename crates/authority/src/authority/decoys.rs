//! Decoys: tokens that are made to be stolen, and tell when they were.
//!
//! A decoy is never remembered in memory, so it is looked up in the store each time, as a string is
//! that was never a token; and then the same hash is computed and the same refusal follows. What
//! differs is an event that only who runs the realm sees.

use std::net::IpAddr;

use super::{Authority, IssueRequest};
use crate::event::Origin;
use crate::kind::Kind;
use crate::refusal::Refusal;
use crate::secret::Shape;
use crate::secret_hash::keyed_hash;
use crate::store::Record;

/// Kinds that a decoy can look like: those that lie around in files.
pub(super) const DISGUISES: [Kind; 4] =
    [Kind::PersonalAccessToken, Kind::ServiceToken, Kind::RegistrationToken, Kind::ClientKey];

/// Refuses what makes no sense for a decoy, and a disguise for anything else.
pub(super) fn check(request: &IssueRequest) -> Result<(), Refusal> {
    if request.kind != Kind::Decoy {
        return match request.disguise {
            Some(_) => Err(Refusal::invalid("disguise", "belongs to decoys")),
            None => Ok(()),
        };
    }
    if request.disguise.is_some_and(|kind| !DISGUISES.contains(&kind)) {
        let names: Vec<&str> = DISGUISES.iter().map(|kind| kind.name()).collect();
        return Err(Refusal::invalid("disguise", format!("is one of {}", names.join(", "))));
    }
    let senseless = [
        ("secret", request.secret.is_some()),
        ("otp", request.otp.is_some()),
        ("repository", request.repository.is_some()),
        ("max_usages", request.max_usages.is_some()),
        ("delivery", request.delivery == super::Delivery::Link),
    ];
    match senseless.into_iter().find(|(_, given)| *given) {
        Some((field, _)) => Err(Refusal::invalid(field, "makes no sense for a decoy")),
        None => Ok(()),
    }
}

/// Refuses a further secret to what has none of this sort.
pub(super) fn check_rotates(kind: Kind) -> Result<(), Refusal> {
    let why = match kind {
        Kind::AuthToken => "an auth token rotates through its refresh token",
        Kind::Decoy => "a decoy has one secret; issue another one",
        _ => return Ok(()),
    };
    Err(Refusal::invalid("kind", why))
}

impl Authority {
    /// Whether what was found is a decoy, which nobody who presents it may learn. If they have the
    /// right secret the alarm is raised.
    pub(super) fn is_decoy(
        &self,
        record: &Record,
        presented: &str,
        origin: &Origin,
        source: Option<IpAddr>,
    ) -> Result<bool, Refusal> {
        if record.kind != Kind::Decoy {
            return Ok(false);
        }
        let right = self.matching_secret(record, presented).is_some();
        if right && !record.revoked {
            let origin = Origin { source: source.or(origin.source), ..origin.clone() };
            let event = self.event("token.decoy-used", &record.realm, &origin, self.now())?;
            let event = event.with_token(record.id).with_subject(record.owner.actor());
            self.ledger.refused(event.refused());
        }
        Ok(true)
    }

    /// Looks whether a string that a door has refused by its form is a decoy. Whatever was refused
    /// is looked up, so that time does not tell which one is.
    pub(super) async fn notice_decoy(
        &self,
        presented: &str,
        origin: &Origin,
    ) -> Result<(), Refusal> {
        let Shape::Prefixed { id, .. } = self.shape(presented) else { return Ok(()) };
        let found = self.store.token_record(id).await?;
        let is_decoy = match &found {
            Some(record) => self.is_decoy(record, presented, origin, None)?,
            None => false,
        };
        if !is_decoy {
            std::hint::black_box(keyed_hash(self.keys().pepper(), presented));
        }
        Ok(())
    }
}

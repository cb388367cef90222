//! Taking over a batch of records in one transaction.

use async_trait::async_trait;
use counterfoil_authority::store::{
    Arriving, ImportStore, Imported, Inserted, Issued, MemberChange, Unavailable,
};

use crate::engine::{Failure, Transaction};
use crate::{SqlStore, otp, people, services, tokens};

#[async_trait]
impl ImportStore for SqlStore {
    async fn import(&self, batch: Vec<Arriving>) -> Result<Imported, Unavailable> {
        self.write(batch, |tx, batch| Box::pin(arrive(tx, batch))).await
    }
}

async fn arrive(tx: &mut Transaction<'_>, batch: &[Arriving]) -> Result<Imported, Failure> {
    for (index, one) in batch.iter().enumerate() {
        if let Some(why) = obstacle(tx, one).await? {
            tx.undo();
            return Ok(Imported::Refused { index, why });
        }
    }
    Ok(Imported::Done)
}

/// Stores a record; what stood in its way, if it could not be stored.
async fn obstacle(
    tx: &mut Transaction<'_>,
    one: &Arriving,
) -> Result<Option<&'static str>, Failure> {
    Ok(match one {
        Arriving::Group(group, event) => of_insert(&people::group_insert(tx, group, event).await?),
        Arriving::Unit(unit, event) => of_insert(&people::unit_insert(tx, unit, event).await?),
        Arriving::Service(service, event) => {
            of_insert(&services::service_insert(tx, service, event).await?)
        }
        Arriving::User(user, event) => of_insert(&people::user_insert(tx, user, event).await?),
        Arriving::Member { realm, group, user, event } => {
            let changed = people::set_member(tx, realm, group, user, true, event).await?;
            of_membership(changed)
        }
        Arriving::Token(issue) => of_issue(&tokens::admit(tx, issue).await?),
        Arriving::Codes(issue) => of_issue(&otp::admit(tx, issue).await?),
    })
}

/// What the outcome of an insertion says of a batch.
pub(crate) fn of_insert(inserted: &Inserted) -> Option<&'static str> {
    match inserted {
        Inserted::Done => None,
        Inserted::Exists => Some("the name is taken"),
        Inserted::Missing(what) => Some(what),
    }
}

/// What the outcome of a membership says of a batch.
pub(crate) const fn of_membership(changed: MemberChange) -> Option<&'static str> {
    match changed {
        MemberChange::Done | MemberChange::Unchanged => None,
        MemberChange::NoGroup => Some("group"),
        MemberChange::NoUser => Some("user"),
    }
}

/// What the outcome of an issue says of a batch.
pub(crate) const fn of_issue(issued: &Issued) -> Option<&'static str> {
    match issued {
        Issued::Done { .. } => None,
        Issued::AtLimit(_) => Some("the person holds as many tokens as the policy allows"),
        Issued::OwnerGone => Some("user"),
        Issued::ServiceGone(_) => Some("service"),
        Issued::SerialTaken => Some("the serial is taken"),
        Issued::PlaceTaken => Some("the person has this credential already"),
        Issued::Replayed(_) | Issued::KeyReused | Issued::Collision => Some("the id is taken"),
    }
}

//! Taking over a batch of records, in memory.

use async_trait::async_trait;
use counterfoil_authority::store::{Arriving, ImportStore, Imported, Unavailable};

use super::{MemoryStore, State};
use crate::import::{of_insert, of_issue, of_membership};

impl State {
    fn obstacle(&mut self, one: &Arriving) -> Option<&'static str> {
        match one {
            Arriving::Group(group, event) => of_insert(&self.group_insert(group, event)),
            Arriving::Unit(unit, event) => of_insert(&self.unit_insert(unit, event)),
            Arriving::Service(service, event) => of_insert(&self.service_insert(service, event)),
            Arriving::User(user, event) => of_insert(&self.user_insert(user, event)),
            Arriving::Member { realm, group, user, event } => {
                of_membership(self.member_set(realm, group, user, true, event))
            }
            Arriving::Token(issue) => of_issue(&self.admit(issue)),
            Arriving::Codes(issue) => of_issue(&self.issue_otp(issue)),
        }
    }
}

#[async_trait]
impl ImportStore for MemoryStore {
    async fn import(&self, batch: Vec<Arriving>) -> Result<Imported, Unavailable> {
        Ok(self.write(|state| {
            let before = state.clone();
            for (index, one) in batch.iter().enumerate() {
                if let Some(why) = state.obstacle(one) {
                    *state = before;
                    return Imported::Refused { index, why };
                }
            }
            Imported::Done
        }))
    }
}

//! On which days tokens were used, in memory.

use async_trait::async_trait;
use counterfoil_authority::clock::Timestamp;
use counterfoil_authority::secret::TokenId;
use counterfoil_authority::store::{USE_DAYS_KEPT, Unavailable, UseDay, UseDayStore, day_of};

use super::{MemoryStore, State};

impl State {
    /// Removes days that nobody is shown any more.
    pub(super) fn purge_use_days(&mut self, now: Timestamp) -> usize {
        let before = self.use_days.len();
        self.use_days.retain(|(_, day, _), _| *day >= day_of(now) - USE_DAYS_KEPT);
        before - self.use_days.len()
    }
}

#[async_trait]
impl UseDayStore for MemoryStore {
    async fn use_days_add(&self, days: Vec<UseDay>) -> Result<(), Unavailable> {
        self.write(|state| {
            for one in days {
                let key = (one.token, one.day, one.door.name());
                let Some(known) = state.use_days.get_mut(&key) else {
                    state.use_days.insert(key, one);
                    continue;
                };
                known.uses += one.uses;
                if one.last_at >= known.last_at {
                    (known.last_at, known.last_ip) = (one.last_at, one.last_ip);
                }
            }
        });
        Ok(())
    }

    async fn use_days_find(
        &self,
        tokens: Vec<TokenId>,
        from: i64,
    ) -> Result<Vec<UseDay>, Unavailable> {
        Ok(self.read(|state| {
            let of_token = |token: TokenId| {
                let later = state.use_days.range((token, from, "")..);
                later.take_while(move |((of, _, _), _)| *of == token).map(|(_, one)| one.clone())
            };
            tokens.into_iter().flat_map(of_token).collect()
        }))
    }
}

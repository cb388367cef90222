//! The same for what tokens were used for, and a store that hangs, which these must outlive.

use async_trait::async_trait;
use counterfoil_authority::clock::Timestamp;
use counterfoil_authority::secret::TokenId;
use counterfoil_authority::store::{KnownUses, Unavailable, UseNote, UseNoteStore};

use super::{FailingStore, Fate, Plan, Told};

impl FailingStore {
    /// Never answers the `n`-th call from now on, before anything happens.
    pub fn hang_nth(&self, n: usize) {
        self.arm(Plan::Hangs(n));
    }
}

#[async_trait]
impl UseNoteStore for FailingStore {
    async fn use_notes_add(&self, notes: Vec<UseNote>) -> Result<(), Unavailable> {
        pass!(self.use_notes_add(notes))
    }
    async fn use_notes_find(
        &self,
        tokens: Vec<TokenId>,
        from: i64,
    ) -> Result<KnownUses, Unavailable> {
        pass!(self.use_notes_find(tokens, from))
    }
    async fn use_notes_since(&self, now: Timestamp, anew: bool) -> Result<Timestamp, Unavailable> {
        pass!(self.use_notes_since(now, anew))
    }
}

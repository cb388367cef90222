//! The same for what tokens were used for.

use async_trait::async_trait;
use counterfoil_authority::clock::Timestamp;
use counterfoil_authority::secret::TokenId;
use counterfoil_authority::store::{KnownUses, Unavailable, UseNote, UseNoteStore};

use super::{FailingStore, Fate, Told};

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

//! What tokens were used for, in memory.

use std::collections::BTreeMap;

use async_trait::async_trait;
use counterfoil_authority::clock::Timestamp;
use counterfoil_authority::secret::TokenId;
use counterfoil_authority::store::{
    AsUsed, Aspect, KnownUse, KnownUses, SCOPES_KEPT_MAX, USE_NOTE_ANCESTORS_MAX,
    USE_NOTES_KEPT_DAYS, Unavailable, UseNote, UseNoteStore, day_of, given, rows_of,
};
use counterfoil_authority::token::Token;

use super::{MemoryStore, State};

/// What is known of tokens: by token, aspect and name, the latest day.
#[derive(Clone, Default)]
pub(super) struct Uses {
    rows: BTreeMap<(TokenId, Aspect, String), i64>,
    since: Option<Timestamp>,
}

impl Uses {
    fn put(&mut self, token: TokenId, aspect: Aspect, what: String, day: i64) {
        let known = self.rows.entry((token, aspect, what)).or_insert(day);
        *known = day.max(*known);
    }

    fn put_scope(&mut self, token: TokenId, scope: String, day: i64) {
        let of_token =
            |(of, aspect, _): &&(TokenId, Aspect, String)| *of == token && *aspect == Aspect::Scope;
        let kept = self.rows.keys().filter(of_token).count();
        let is_known = self.rows.contains_key(&(token, Aspect::Scope, scope.clone()));
        if !is_known && kept as u64 >= SCOPES_KEPT_MAX {
            self.put(token, Aspect::ManyScopes, String::new(), day);
        } else {
            self.put(token, Aspect::Scope, scope, day);
        }
    }

    fn find(&self, token: TokenId, from: i64) -> Vec<KnownUse> {
        let own = self.rows.iter().filter(|((of, ..), day)| *of == token && **day >= from);
        own.map(|((token, aspect, what), day)| KnownUse {
            token: *token,
            aspect: *aspect,
            what: what.clone(),
            day: *day,
        })
        .collect()
    }

    /// Whether a token was used for nothing else than an edit was judged by.
    pub(super) fn are(&self, token: TokenId, judged: &AsUsed) -> bool {
        judged.is_met_by(&self.find(token, judged.from))
    }

    /// Notes what an edit gives a token.
    pub(super) fn give(&mut self, before: &Token, after: &Token, at: Timestamp) {
        for (aspect, what) in given(before, after) {
            self.put(before.id, aspect, what, day_of(at));
        }
    }

    /// Removes what was so for the last time long ago.
    pub(super) fn purge(&mut self, now: Timestamp) -> usize {
        let before = self.rows.len();
        self.rows.retain(|_, day| *day >= day_of(now) - USE_NOTES_KEPT_DAYS);
        before - self.rows.len()
    }
}

impl State {
    fn note_use(&mut self, note: &UseNote) {
        let mut next = Some(note.token);
        for _ in 0..=USE_NOTE_ANCESTORS_MAX {
            let Some(token) = next.and_then(|id| self.tokens.get(&id)) else { break };
            let (id, parent) = (token.token.id, token.token.parent);
            for (aspect, what) in rows_of(note, &token.token.networks) {
                self.uses.put(id, aspect, what, note.day);
            }
            for scope in &note.asked {
                self.uses.put_scope(id, scope.to_string(), note.day);
            }
            next = parent;
        }
    }
}

#[async_trait]
impl UseNoteStore for MemoryStore {
    async fn use_notes_add(&self, notes: Vec<UseNote>) -> Result<(), Unavailable> {
        self.write(|state| notes.iter().for_each(|note| state.note_use(note)));
        Ok(())
    }

    async fn use_notes_find(
        &self,
        tokens: Vec<TokenId>,
        from: i64,
    ) -> Result<KnownUses, Unavailable> {
        Ok(self.read(|state| {
            let rows = tokens.into_iter().flat_map(|token| state.uses.find(token, from));
            KnownUses { since: state.uses.since, rows: rows.collect() }
        }))
    }

    async fn use_notes_since(&self, now: Timestamp, anew: bool) -> Result<Timestamp, Unavailable> {
        Ok(self.write(|state| {
            let since = match state.uses.since {
                Some(since) if !anew => since,
                Some(since) => since.max(now),
                None => now,
            };
            state.uses.since = Some(since);
            since
        }))
    }
}

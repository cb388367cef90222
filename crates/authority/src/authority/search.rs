//! Finding a token by a piece of it that somebody pasted.

use super::Authority;
use crate::caller::Caller;
use crate::names::RealmName;
use crate::refusal::Refusal;
use crate::secret::{ID_LEN, TokenId};
use crate::token::Token;

impl Authority {
    /// The token within the caller's reach whose id this is, or whose text begins like this. The
    /// secret in it is not looked at, so that it proves nothing, and is kept nowhere.
    ///
    /// # Errors
    ///
    /// [`Refusal::Forbidden`] to who may see no token, and a store that is down.
    pub async fn token_of_piece(
        &self,
        caller: &Caller,
        realm: &RealmName,
        piece: &str,
    ) -> Result<Option<Token>, Refusal> {
        let Some(id) = self.id_in(piece) else { return Ok(None) };
        match self.token(caller, realm, id).await {
            Ok(token) => Ok(Some(token)),
            Err(Refusal::NotFound(_)) => Ok(None),
            Err(refusal) => Err(refusal),
        }
    }

    /// The id that a text is, or that it holds behind one of our prefixes.
    fn id_in(&self, piece: &str) -> Option<TokenId> {
        let piece = piece.trim();
        TokenId::parse(piece).or_else(|| {
            self.prefixes.iter().find_map(|prefix| {
                let rest = piece.strip_prefix(prefix.as_str())?;
                // One letter says the kind.
                let rest = rest.get(1..)?.strip_prefix('_')?;
                TokenId::parse(rest.get(..ID_LEN)?)
            })
        })
    }
}

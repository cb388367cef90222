//! Keys that another system kept as their SHA-256: found by that, without a name beside them.

use super::{Authority, Surroundings, Verdict};
use crate::foreign::{ForeignKey, ForeignScheme};
use crate::keys::KeyPurpose;
use crate::refusal::Refusal;
use crate::store::Unavailable;

impl Authority {
    /// The answer about a key that was taken over as its hash; `None` if it is none, or if no
    /// service that is asked about took such keys over.
    pub(super) async fn verify_wrapped(
        &self,
        around: &Surroundings<'_>,
    ) -> Result<Option<Verdict>, Refusal> {
        let mut services = around.services.iter();
        // Who asks about no service in particular asks about all of them.
        let takes = around.services.is_empty()
            || services.any(|cell| cell.policy.imported_schemes.contains(&ForeignScheme::Sha256));
        let Some(key) = ForeignKey::of(around.request.presented).filter(|_| takes) else {
            return Ok(None);
        };
        let found = self.by_hash(around, &key.canonical()).await?;
        if found.is_none() {
            // Hashed under a pepper that is not here, it could not be found.
            around.keys.require_all(|of| of == KeyPurpose::Pepper).map_err(Unavailable::from)?;
        }
        Ok(found)
    }
}

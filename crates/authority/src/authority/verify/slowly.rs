//! Self-chosen secrets: found by person and service, compared by Argon2id, remembered briefly.

use super::judge::decide_matched;
use super::{Decision, Surroundings, Verdict};
use crate::authority::Authority;
use crate::cache::Matched;
use crate::names::{RealmName, ServiceLabel, Username};
use crate::policy::SecretSource;
use crate::refusal::Refusal;
use crate::secret_hash::{Mac256, SecretHash};
use crate::verdict::Reason;

impl Authority {
    /// For self-chosen secrets: user and service must be named, and every attempt costs one
    /// Argon2id per pepper, whether the user exists or not.
    pub(super) async fn verify_slowly(
        &self,
        around: &Surroundings<'_>,
    ) -> Result<Verdict, Refusal> {
        let request = &around.request;
        let (Some(username), Some(cell)) = (request.username, around.services.first()) else {
            return self.refused(request, Reason::Unknown, None, around.now);
        };
        // A service that takes no chosen secrets has none to compare with: nobody can make its
        // server spend Argon2 time by guessing. This depends on the service, never on the user.
        if cell.policy.source == SecretSource::Generated {
            return self.refused(request, Reason::Unknown, None, around.now);
        }
        let Ok(user) = Username::parse(username) else {
            return self.refused(request, Reason::Unknown, None, around.now);
        };
        let label = &cell.service.label;
        let tag = self.cache.position();
        let records = self.store.token_records_slow(request.realm, &user, label).await?;
        let remembered_as = self.remembered_mac(request.realm, &user, label, request.presented);
        let mut entries = Vec::with_capacity(records.len());
        for record in records {
            let id = record.id;
            let known = self.cache.with_token(id, |entry| {
                let rest = entry.rest.as_ref()?;
                (*rest.remembered.lock() == Some(remembered_as))
                    .then(|| decide_matched(entry, Matched::Good, None, around))
            });
            if let Some(Some(decision)) = known {
                return self.conclude(around, id, decision).await;
            }
            // One entry per change of the token: filling again would forget what it remembers.
            entries.push((id, record));
        }
        for pepper in around.keys.peppers() {
            let salt = crate::secret_hash::slow_salt(
                pepper,
                request.realm.as_str(),
                user.as_str(),
                label.as_str(),
            );
            let cost = self.settings.slow_cost;
            let digest = self.slow.digest(pepper, salt, request.presented, cost).await?;
            let right = entries.iter().find_map(|(id, record)| {
                let secret = record.secrets.iter().find(|secret| {
                    matches!(&secret.hash, SecretHash::Slow { pepper: p, digest: d, .. }
                        if *p == pepper.id() && *d == digest)
                })?;
                Some((*id, record.clone(), crate::cache::matched(secret, around.now)))
            });
            if let Some((id, record, matched)) = right {
                let entry = self.cache.fill(record, tag);
                let decision = decide_matched(&entry, matched, None, around);
                if let (Decision::Good { .. }, Some(rest)) = (&decision, &entry.rest) {
                    *rest.remembered.lock() = Some(remembered_as);
                }
                return self.conclude(around, id, decision).await;
            }
        }
        self.refused(request, Reason::Unknown, None, around.now)
    }

    fn remembered_mac(
        &self,
        realm: &RealmName,
        user: &Username,
        label: &ServiceLabel,
        presented: &str,
    ) -> Mac256 {
        let parts = [realm.as_str(), user.as_str(), label.as_str(), presented].map(str::as_bytes);
        crate::secret_hash::hmac256(&self.process_key, b"counterfoil remembered 1", &parts)
    }
}

//! Self-chosen secrets: found by person and service, compared by Argon2id, remembered briefly.

use std::sync::Arc;

use super::judge::decide_matched;
use super::{Binding, Decision, Here, Surroundings, Verdict, VerifyRequest, absent};
use crate::abuse::Key;
use crate::authority::Authority;
use crate::cache::Matched;
use crate::clock::Timestamp;
use crate::foreign::{ForeignScheme, Recipe};
use crate::keys::Pepper;
use crate::names::{RealmName, ServiceLabel, Username};
use crate::refusal::Refusal;
use crate::secret::TokenId;
use crate::secret_hash::{Mac256, SecretHash, SlowCost, slow_digest};
use crate::slow::{Holder, Place, Preimage};
use crate::store::{Record, Rehash, Unavailable};
use crate::token::StoredSecret;
use crate::verdict::Reason;
use zeroize::Zeroizing;

/// One way to compare: as it is or by another system's recipe, at one cost.
type Way = (Option<Recipe>, SlowCost);

/// What the presented secret is compared by: as it is, and by every scheme that the service takes
/// of other systems, each at every cost that one of the person's secrets was hashed at. A person
/// without any costs as much as one whose secrets were hashed at the cost of now; somebody who has
/// older ones costs more, until those are replaced.
fn ways(schemes: &[ForeignScheme], records: &[Record], now: SlowCost) -> Vec<Way> {
    let kept: Vec<(&Option<Recipe>, SlowCost)> = records
        .iter()
        .flat_map(|record| &record.secrets)
        .filter_map(|secret| match &secret.hash {
            SecretHash::Slow { recipe, cost, .. } => Some((recipe, *cost)),
            SecretHash::Keyed { .. } => None,
        })
        .collect();
    let mut ways: Vec<Way> = Vec::new();
    let stand_ins = schemes.iter().filter_map(|scheme| scheme.stand_in());
    for stand_in in std::iter::once(None).chain(stand_ins.map(Some)) {
        let scheme = stand_in.as_ref().map(Recipe::scheme);
        let before = ways.len();
        for (recipe, cost) in &kept {
            let way = ((*recipe).clone(), *cost);
            if recipe.as_ref().map(Recipe::scheme) == scheme && !ways.contains(&way) {
                ways.push(way);
            }
        }
        if ways.len() == before {
            ways.push((stand_in, now));
        }
    }
    ways
}

impl Authority {
    /// For self-chosen secrets: user and service must be named, and every attempt costs one
    /// Argon2id per pepper and way, whether the user exists or not.
    pub(super) async fn verify_slowly(&self, around: &Surroundings<'_>) -> Result<Here, Refusal> {
        let request = &around.request;
        let (Some(username), Some(cell)) = (request.username, around.services.first()) else {
            return Ok(Here::NotOurs(around.now));
        };
        // A service whose secrets all have bits enough has none to compare with: nobody can make
        // its server spend Argon2 time by guessing. This depends on the service, never on the
        // user.
        let label = &cell.service.label;
        let takes_data = self.repositories().take_chosen_data(label);
        if !takes_data && !cell.policy.has_secrets_of_few_bits() {
            return Ok(Here::NotOurs(around.now));
        }
        let Ok(user) = Username::parse(username) else {
            return Ok(Here::NotOurs(around.now));
        };
        let remembered_as = self.remembered_mac(request.realm, &user, label, request.presented);
        if let Some(id) = self.cache.id_by_hash(&remembered_as)
            && let Some(decision) = self.remembered(around, id, remembered_as)
        {
            return self.conclude(around, id, decision).await.map(Here::Said);
        }
        let records = self.store.token_records_slow(request.realm, &user, label).await?;
        let Some(place) = self.slow_place(request, username, around.now).await? else {
            let limited = self.refused(request, Reason::RateLimited, None, around.now);
            return limited.map(Here::Said);
        };
        let ways = ways(&cell.policy.imported_schemes, &records, self.settings.slow_cost);
        for pepper in around.keys.peppers() {
            let names = [request.realm.as_str(), user.as_str(), label.as_str()];
            for way in &ways {
                let digest = self.presented_digest(&place, pepper, names, request, way).await?;
                let (way_recipe, way_cost) = way;
                let is_right = |secret: &StoredSecret| match &secret.hash {
                    SecretHash::Slow { pepper: own, digest: kept, recipe, cost } => {
                        let compares = recipe == way_recipe && cost == way_cost;
                        *own == pepper.id() && compares && *kept == digest
                    }
                    SecretHash::Keyed { .. } => false,
                };
                let right = records.iter().find_map(|record| {
                    let secret = record.secrets.iter().find(|secret| is_right(secret))?;
                    Some((record.id, secret.hash.clone()))
                });
                if let Some((id, hash)) = right {
                    let said = self.conclude_slowly(request, id, &is_right, remembered_as).await?;
                    if matches!(said, Verdict::Active(_)) {
                        self.upgrade(request, names, (id, hash));
                    }
                    return Ok(Here::Said(said));
                }
            }
        }
        let all = records.iter().flat_map(|record| &record.secrets);
        let peppers = all.map(|secret| secret.hash.pepper());
        around.keys.require_peppers(peppers).map_err(Unavailable::from)?;
        Ok(Here::NotOurs(around.now))
    }

    /// Hashes a right secret as one of ours would be today, where what is stored of it is the hash
    /// of another system, or was made under a former pepper or at another cost. Beside the answer,
    /// which does not wait for it; the next flush stores it (docs/decisions/0047).
    fn upgrade(
        &self,
        request: &VerifyRequest<'_>,
        [realm, user, label]: [&str; 3],
        (token, old): (TokenId, SecretHash),
    ) {
        let keys = self.keys();
        let (pepper, cost) = (keys.pepper().clone(), self.settings.slow_cost);
        let is_ours = matches!(&old, SecretHash::Slow { pepper: own, cost: had, recipe: None, .. }
            if *own == pepper.id() && *had == cost);
        if is_ours {
            return;
        }
        let salt = crate::secret_hash::slow_salt(&pepper, realm, user, label);
        let clear = Zeroizing::new(request.presented.to_owned());
        let upgraded = Arc::clone(&self.upgraded);
        self.slow.aside(move || {
            let Ok(digest) = slow_digest(&pepper, salt, &clear, cost) else { return };
            let new = SecretHash::Slow { pepper: pepper.id(), digest, cost, recipe: None };
            upgraded.lock().push(Rehash { token, old, new });
        });
    }

    /// The digest of what was presented, hashed by another system's recipe first if there is one.
    async fn presented_digest(
        &self,
        place: &Arc<Place>,
        pepper: &Pepper,
        [realm, user, label]: [&str; 3],
        request: &VerifyRequest<'_>,
        (recipe, cost): &Way,
    ) -> Result<Mac256, Refusal> {
        let salt = crate::secret_hash::slow_salt(pepper, realm, user, label);
        let clear = Zeroizing::new(request.presented.to_owned());
        let preimage = match recipe {
            None => Preimage::Clear(clear),
            Some(recipe) => Preimage::Foreign(clear, recipe.clone()),
        };
        self.slow.digest_of(place, pepper, salt, preimage, *cost).await
    }

    /// A place for one comparison. A presenter who failed often waits before it is computed; an
    /// authenticated asker, who speaks for many, is told at once instead (`None`).
    pub(super) async fn slow_place(
        &self,
        request: &VerifyRequest<'_>,
        username: &str,
        now: Timestamp,
    ) -> Result<Option<Arc<Place>>, Refusal> {
        let Some(source) = request.client_ip.filter(|_| request.throttled) else {
            let caller = Holder::Caller(Arc::clone(&request.origin.actor));
            return self.slow.admit(vec![caller]).map(Some);
        };
        let mut holders = vec![Holder::Source(Key::of_source(source))];
        let service = match request.binding {
            Binding::Service(label) => Some(label.as_str()),
            _ => None,
        };
        let delay = self.refusal_delay(Some(source), Some(username), service);
        if !delay.is_zero() {
            let named = request.origin.actor_token.is_some();
            if named && !self.throttle.rest(source, Some(username), service, now).is_zero() {
                return Ok(None);
            }
            holders.push(Holder::Guesser(Key::of_aim(source, username, service)));
            let place = self.slow.admit(holders)?;
            if !named {
                tokio::time::sleep(delay).await;
            }
            return Ok(Some(place));
        }
        self.slow.admit(holders).map(Some)
    }

    /// Judges the token whose right secret was presented, by what stands after the wait: it may
    /// have been revoked while its secret was compared.
    async fn conclude_slowly(
        &self,
        request: &VerifyRequest<'_>,
        id: TokenId,
        is_right: &(dyn Fn(&StoredSecret) -> bool + Sync),
        remembered_as: Mac256,
    ) -> Result<Verdict, Refusal> {
        let now = self.now();
        let Some(realm) = self.realm_facts(request.realm).await.map(Some).or_else(absent)? else {
            return self.refused(request, Reason::Unknown, None, now);
        };
        let services = match self.bound_services(request).await? {
            Ok(services) => services,
            Err(reason) => return self.refused(request, reason, None, now),
        };
        let keys = self.keys();
        let tag = self.cache.position(now);
        let Some(record) = self.store.token_record(id).await? else {
            return self.refused(request, Reason::Unknown, None, now);
        };
        let Some(secret) = record.secrets.iter().find(|secret| is_right(secret)) else {
            return self.refused(request, Reason::Unknown, None, now);
        };
        let matched = crate::cache::matched(secret, now);
        // One that ends by itself is compared each time: nothing would say when to forget it.
        let is_lasting = secret.facts.expires_at.is_none();
        let around = Surroundings {
            request: *request,
            services: &services,
            realm: &realm,
            keys: &keys,
            now,
        };
        let entry = self.cache.fill(record, tag);
        let decision = decide_matched(&entry, matched, None, &around);
        if is_lasting && let (Decision::Good(_), Some(rest)) = (&decision, &entry.rest) {
            *rest.remembered.lock() = Some(remembered_as);
            self.cache.remember(remembered_as, id);
        }
        self.conclude(&around, id, decision).await
    }

    /// The decision about a token whose secret was compared before and found to be this one. Every
    /// change of the token, its owner or the cache's trust forgets it.
    fn remembered(
        &self,
        around: &Surroundings<'_>,
        id: TokenId,
        remembered_as: Mac256,
    ) -> Option<Decision> {
        let known = self.cache.with_token(around.now, id, |entry| {
            let rest = entry.rest.as_ref()?;
            (*rest.remembered.lock() == Some(remembered_as))
                .then(|| decide_matched(entry, Matched::Good, None, around))
        });
        known.flatten()
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

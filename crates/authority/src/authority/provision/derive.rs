//! Deriving directory hashes when a secret is made: later nobody has its clear text.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::hash_row;
use crate::authority::Authority;
use crate::authority::issue::Drafted;
use crate::cache::RealmCell;
use crate::foreign::ForeignHash;
use crate::kind::Kind;
use crate::names::RealmName;
use crate::provision::scheme::Scheme;
use crate::provision::{Target, TargetConfig, TargetKind};
use crate::refusal::Refusal;
use crate::secret::{Shape, TokenId, entropy_bits_chosen, entropy_bits_drawn};
use crate::service::Services;
use crate::slow::Holder;
use crate::store::DirectoryHash;
use crate::token::StoredSecret;

/// What one target needs of new secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HashNeed {
    kind: TargetKind,
    config: TargetConfig,
}

/// What a realm's targets need of new secrets.
pub type Needs = Vec<HashNeed>;

/// What these targets need of new secrets.
pub(crate) fn needs_of(targets: &[Target]) -> Needs {
    let needing =
        |target: &&Target| !target.config.schemes.is_empty() || target.kind == TargetKind::Mail;
    targets
        .iter()
        .filter(needing)
        .map(|target| HashNeed { kind: target.kind, config: target.config.clone() })
        .collect()
}

impl HashNeed {
    /// Whether it is of a target that writes letters, and so may have to hold a one-time link.
    pub(super) fn is_of_letters(&self) -> bool {
        self.kind == TargetKind::Mail
    }

    fn wants(&self, kind: Kind, services: &Services) -> bool {
        match (self.kind, kind) {
            (TargetKind::ProfileAttribute, Kind::PersonalAccessToken) => true,
            (TargetKind::Ldap | TargetKind::Entry, Kind::ServiceToken) => {
                services.labels().iter().any(|label| self.config.is_for(label))
            }
            _ => false,
        }
    }
}

impl Authority {
    /// Derives a new secret of a token to every scheme that a target or a policy asks for.
    ///
    /// A scheme that is too quick for so short a secret is left out; the token is reported as
    /// lacking it. Of a secret that was `chosen`, only what it shows counts.
    pub(in crate::authority) async fn derive_for_directories(
        &self,
        realm: &RealmName,
        token: TokenId,
        kind: Kind,
        services: &Services,
        chosen: bool,
        mut drafted: Drafted,
    ) -> Result<Drafted, Refusal> {
        if !matches!(kind, Kind::ServiceToken | Kind::PersonalAccessToken) {
            return Ok(drafted);
        }
        let cell = self.realm_facts(realm).await?;
        let schemes = self.schemes_for(&cell, realm, kind, services).await?;
        if schemes.is_empty() || self.is_link(&drafted.0) {
            return Ok(drafted);
        }
        let bits = match self.shape(drafted.0.reveal()) {
            Shape::Prefixed { .. } | Shape::Grouped(_) => 112,
            _ if chosen => entropy_bits_chosen(drafted.0.reveal()),
            _ => entropy_bits_drawn(drafted.0.reveal()),
        };
        let (quick, slow): (Vec<Scheme>, Vec<Scheme>) =
            schemes.into_iter().filter(|scheme| scheme.takes(bits)).partition(|s| !s.is_slow());
        let mut values = Vec::new();
        for scheme in quick {
            values.push((scheme, scheme.derive(drafted.0.reveal(), self.entropy()).ok()));
        }
        if !slow.is_empty() {
            let (clear, entropy) = (drafted.0.clone(), Arc::clone(&self.entropy));
            let place = self.slow.admit(vec![Holder::Caller("directories".into())])?;
            let derive = move || {
                let one = |scheme: Scheme| (scheme, scheme.derive(clear.reveal(), &*entropy).ok());
                slow.into_iter().map(one).collect::<Vec<_>>()
            };
            values.extend(self.slow.compute(&place, derive).await?);
        }
        for (scheme, value) in values {
            let value = value.ok_or(Refusal::NoEntropy(crate::clock::NoEntropy))?;
            self.seal_for_directories(token, &mut drafted.1, scheme, &value)?;
        }
        Ok(drafted)
    }

    /// Keeps a hash that was taken over for the directories that take its scheme, as it is: where
    /// it comes from, it stood in one. Those that want others are told that the token lacks them.
    pub(in crate::authority) async fn keep_for_directories(
        &self,
        realm: &RealmName,
        token: TokenId,
        services: &Services,
        hash: &ForeignHash,
        mut secret: StoredSecret,
    ) -> Result<StoredSecret, Refusal> {
        let cell = self.realm_facts(realm).await?;
        let schemes = self.schemes_for(&cell, realm, Kind::ServiceToken, services).await?;
        if let Some(scheme) = hash.directory_scheme().filter(|scheme| schemes.contains(scheme)) {
            let value = hash.directory_value();
            self.seal_for_directories(token, &mut secret, scheme, &value)?;
        }
        Ok(secret)
    }

    fn seal_for_directories(
        &self,
        token: TokenId,
        secret: &mut StoredSecret,
        scheme: Scheme,
        value: &str,
    ) -> Result<(), Refusal> {
        let row = hash_row(token, &secret.id, scheme.name());
        let sealed = self.keys().seal(&row, value.as_bytes(), self.entropy())?;
        secret.directory.push(DirectoryHash { scheme: scheme.name().to_owned(), sealed });
        Ok(())
    }

    async fn schemes_for(
        &self,
        cell: &RealmCell,
        realm: &RealmName,
        kind: Kind,
        services: &Services,
    ) -> Result<BTreeSet<Scheme>, Refusal> {
        let wanted = cell.needs.iter().filter(|need| need.wants(kind, services));
        let mut schemes: BTreeSet<Scheme> =
            wanted.flat_map(|need| need.config.schemes.iter().copied()).collect();
        if let Services::Named(labels) = services {
            for label in labels {
                let Some(service) = self.service_facts(realm, label).await? else { continue };
                let asked = service.service.token_policy.hash_schemes.iter().flatten();
                schemes.extend(asked.filter_map(|name| Scheme::from_name(name)));
            }
        }
        Ok(schemes)
    }
}

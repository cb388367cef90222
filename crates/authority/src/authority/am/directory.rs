//! What the realm's directory of people says: the only question for which a decision leaves this
//! process. A directory that does not answer decides nothing, neither yes nor no.

use std::fmt;

use super::super::Authority;
use super::decide::AmQuestion;
use crate::am::document::BadDocument;
use crate::am::resource::Requested;
use crate::am::{AmDocument, CompiledSet};
use crate::names::{RealmName, Username};
use crate::provision::{Courier, Target, TargetKind};
use crate::refusal::Refusal;
use crate::secret::ClearSecret;
use crate::store::Unavailable;

/// Filters that one decision may ask about at most.
const FILTERS_MAX: usize = 8;

/// Who asks directories.
#[derive(Clone, Copy)]
pub struct AmDirectory<'a>(pub &'a dyn Courier);

impl fmt::Debug for AmDirectory<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AmDirectory")
    }
}

/// Why a decision cannot ask.
#[derive(Debug, thiserror::Error)]
enum Silent {
    /// There is no directory, or it is not clear which.
    #[error("LDAPFilter needs a directory, and the realm has none, or several")]
    NoDirectory,
    /// Policies want too much.
    #[error("the policies ask a directory about more than {FILTERS_MAX} filters")]
    TooMany,
}

impl Authority {
    /// The one directory of a realm.
    async fn directory_of(&self, realm: &RealmName) -> Result<Option<Target>, Refusal> {
        let is_directory = |target: &Target| {
            matches!(
                target.kind,
                TargetKind::Ldap | TargetKind::Entry | TargetKind::ProfileAttribute
            )
        };
        let mut all = self.store.target_list(realm).await?.into_iter().filter(is_directory);
        let (first, second) = (all.next(), all.next());
        Ok(first.filter(|_| second.is_none()))
    }

    /// Refuses a policy that asks a directory where there is none.
    pub(super) async fn check_directory(
        &self,
        realm: &RealmName,
        document: &AmDocument,
    ) -> Result<(), Refusal> {
        let mut filters = Vec::new();
        if let AmDocument::Policy(policy) = document
            && let Some(condition) = &policy.condition
        {
            condition.add_filters(&mut filters);
        }
        if filters.is_empty() {
            return Ok(());
        }
        if filters.len() > FILTERS_MAX {
            return Err(BadDocument::new("condition", Silent::TooMany).into());
        }
        match self.directory_of(realm).await? {
            Some(_) => Ok(()),
            None => Err(BadDocument::new("condition", Silent::NoDirectory).into()),
        }
    }

    /// What the directory says of the filters that a decision needs.
    ///
    /// # Errors
    ///
    /// [`Refusal::Unavailable`] if it does not say anything: that is no decision.
    pub(super) async fn directory_says(
        &self,
        question: &AmQuestion<'_>,
        set: &CompiledSet,
        requested: &Requested,
        person: Option<&str>,
    ) -> Result<Vec<(String, bool)>, Refusal> {
        let filters = set.filters(requested, question.asker);
        if filters.is_empty() {
            return Ok(Vec::new());
        }
        // Boxed: nearly no decision asks, and each would carry the room for it along.
        Box::pin(self.directory_asked(question, filters, person)).await
    }

    async fn directory_asked(
        &self,
        question: &AmQuestion<'_>,
        filters: Vec<&str>,
        person: Option<&str>,
    ) -> Result<Vec<(String, bool)>, Refusal> {
        if filters.len() > FILTERS_MAX {
            return Err(Unavailable::new(Silent::TooMany).into());
        }
        // Whoever is nobody in particular has no entry.
        let Some(username) = person.and_then(|name| Username::parse(name).ok()) else {
            return Ok(filters.into_iter().map(|filter| (filter.to_owned(), false)).collect());
        };
        let target = self.directory_of(question.realm).await?;
        let target = target.ok_or_else(|| Unavailable::new(Silent::NoDirectory))?;
        let secret = self.target_secret(&target)?;
        let secret = secret.as_ref().map(ClearSecret::reveal);
        let mut said = Vec::with_capacity(filters.len());
        for filter in filters {
            let AmDirectory(courier) = question.directory;
            let matches = courier.matches(&target, secret, &username, filter).await;
            said.push((filter.to_owned(), matches.map_err(Unavailable::new)?));
        }
        Ok(said)
    }
}

//! Provisioning into LDAP directories: application passwords on attribute options, `userPassword`,
//! whole entries, and records on a profile attribute.
//!
//! Every act reads the entry first and sends the one modification that is missing, so that it can
//! be repeated at will; and what is not ours is never touched.

mod connection;
mod entry;
mod examine;
mod plan;
mod template;

use std::collections::BTreeMap;
use std::time::Duration;

use counterfoil_authority::names::Username;
use counterfoil_authority::provision::{
    Arrived, Failed, Fault, Finding, Holding, Looked, PersonState, Target, TargetKind,
};
use ldap3::Scope;

pub(crate) use self::connection::is_loopback;
use self::connection::{Connections, Session};
use self::entry::Entry;
use self::plan::Plan;

/// The attribute of voPerson that holds application passwords.
const VO_PERSON_PASSWORD: &str = "voPersonApplicationPassword";
/// Its object class.
const VO_PERSON: &str = "voPerson";
/// How a person is found, unless the target says otherwise.
const PERSON_FILTER: &str = "(uid={username})";

/// How long a directory is given while somebody waits for a decision: a front door waits no longer
/// than a few seconds itself.
const DECISION_TIMEOUT: Duration = Duration::from_secs(2);

/// Brings people to LDAP directories.
#[derive(Default)]
pub(super) struct LdapCourier {
    connections: Connections,
}

/// The attribute that holds hashes.
fn attribute(target: &Target) -> &str {
    target.config.attribute.as_deref().unwrap_or(VO_PERSON_PASSWORD)
}

/// Whether hashes stand under a label each.
fn is_labelled(target: &Target) -> bool {
    attribute(target).eq_ignore_ascii_case(VO_PERSON_PASSWORD)
}

fn base(target: &Target) -> &str {
    target.config.base_dn.as_deref().unwrap_or("")
}

impl LdapCourier {
    /// Brings a person to the directory.
    pub(super) async fn bring(
        &self,
        target: &Target,
        secret: Option<&str>,
        state: &PersonState,
        place: Option<&str>,
    ) -> Result<Arrived, Failed> {
        let mut session = self.connections.session(target, secret).await?;
        let ended = bring(&mut session, target, state, place).await;
        self.connections.after(target, &session, ended.as_ref().err());
        ended
    }

    /// What bringing them would change.
    pub(super) async fn look(
        &self,
        target: &Target,
        secret: Option<&str>,
        state: &PersonState,
    ) -> Result<Looked, Failed> {
        let mut session = self.connections.session(target, secret).await?;
        let looked = look(&mut session, target, state).await;
        self.connections.after(target, &session, looked.as_ref().err());
        looked
    }

    /// Every entry with values under labels of ours.
    pub(super) async fn holders(
        &self,
        target: &Target,
        secret: Option<&str>,
    ) -> Result<Vec<Holding>, Failed> {
        // Whoever keeps userPassword keeps other people's there, too.
        if target.kind == TargetKind::ProfileAttribute || !is_labelled(target) {
            return Ok(Vec::new());
        }
        let mut session = self.connections.session(target, secret).await?;
        let filter = format!("({}=*)", attribute(target));
        let naming = naming_attribute(target);
        let asked = [attribute(target), naming.as_str()];
        let found = session.search_all(base(target), &filter, &asked).await;
        self.connections.after(target, &session, found.as_ref().err());
        let owned = target.config.owned();
        let ours = |entry: &Entry| {
            entry.labels(attribute(target)).keys().any(|label| owned.includes(label))
        };
        let holding = |entry: Entry| Holding {
            username: entry.texts(&naming).into_iter().next(),
            place: entry.dn,
        };
        Ok(found?.into_iter().filter(ours).map(holding).collect())
    }

    /// Takes the values under our labels from an entry.
    pub(super) async fn clear(
        &self,
        target: &Target,
        secret: Option<&str>,
        place: &str,
    ) -> Result<(), Failed> {
        let mut session = self.connections.session(target, secret).await?;
        let asked = [attribute(target)];
        let found = session.search(place, Scope::Base, "(objectClass=*)", &asked).await?;
        let Some(entry) = found.into_iter().next() else { return Ok(()) };
        let mods = plan::cleared(target, &entry);
        session.apply(&Plan::Modify { dn: entry.dn, mods, rename: None }).await
    }

    /// Whether the entry of a person matches a filter.
    pub(super) async fn matches(
        &self,
        target: &Target,
        secret: Option<&str>,
        username: &Username,
        filter: &str,
    ) -> Result<bool, Failed> {
        let asked = async {
            let first = self.asked(target, secret, username, filter).await;
            match first {
                // The connection may have been closed while nobody used it.
                Err(failed) if matches!(failed.fault, Fault::Away | Fault::Unanswered) => {
                    self.asked(target, secret, username, filter).await
                }
                said => said,
            }
        };
        let late = || Failed::new(Fault::Unanswered, "the directory did not answer in time");
        tokio::time::timeout(DECISION_TIMEOUT, asked).await.unwrap_or_else(|_| Err(late()))
    }

    async fn asked(
        &self,
        target: &Target,
        secret: Option<&str>,
        username: &Username,
        filter: &str,
    ) -> Result<bool, Failed> {
        let mut session = self.connections.session(target, secret).await?;
        let person = person_filter(target, username.as_str());
        let both = format!("(&{person}{filter})");
        // No attribute is wanted (RFC 4511 section 4.5.1.8).
        let found = session.search(base(target), Scope::Subtree, &both, &["1.1"]).await;
        self.connections.after(target, &session, found.as_ref().err());
        Ok(!found?.is_empty())
    }

    /// Looks whether the directory can be used as the target is set up.
    pub(super) async fn test(&self, target: &Target, secret: Option<&str>) -> Vec<Finding> {
        examine::examine(target, secret).await
    }
}

/// The attribute by which a person is found: `uid` of `(uid={username})`.
fn naming_attribute(target: &Target) -> String {
    let filter = target.config.person_filter.as_deref().unwrap_or(PERSON_FILTER);
    let before = filter.split("={username}").next().unwrap_or("uid");
    let name = before.rsplit(['(', '&', '|', '!', '=']).next().unwrap_or("uid");
    if name.is_empty() { "uid".to_owned() } else { name.to_owned() }
}

/// The filter by which a person is found.
fn person_filter(target: &Target, username: &str) -> String {
    let filter = target.config.person_filter.as_deref().unwrap_or(PERSON_FILTER);
    filter.replace("{username}", &ldap3::ldap_escape(username))
}

/// The one entry of a person, if there is any.
async fn find(
    session: &mut Session,
    target: &Target,
    state: &PersonState,
    place: Option<&str>,
) -> Result<Option<Entry>, Failed> {
    if target.kind == TargetKind::Entry {
        let own = template::dn(target, state);
        for dn in place.into_iter().chain(own.as_deref()) {
            let found = session.search(dn, Scope::Base, "(objectClass=*)", &["*"]).await?;
            if let Some(entry) = found.into_iter().next() {
                return Ok(Some(entry));
            }
        }
        return Ok(None);
    }
    let filter = person_filter(target, state.username.as_str());
    let asked = ["objectClass", attribute(target)];
    let mut found = session.search(base(target), Scope::Subtree, &filter, &asked).await?;
    if found.len() > 1 {
        let what = format!("{} entries match {filter}, and it must be one", found.len());
        return Err(Failed::new(Fault::Refused, what));
    }
    Ok(found.pop())
}

async fn bring(
    session: &mut Session,
    target: &Target,
    state: &PersonState,
    place: Option<&str>,
) -> Result<Arrived, Failed> {
    let found = find(session, target, state, place).await?;
    let plan = plan::plan(target, state, found.as_ref())?;
    session.apply(&plan).await?;
    Ok(Arrived { place: plan.place(), changed: !plan.is_empty() })
}

async fn look(
    session: &mut Session,
    target: &Target,
    state: &PersonState,
) -> Result<Looked, Failed> {
    let found = find(session, target, state, None).await?;
    match plan::plan(target, state, found.as_ref()) {
        Ok(plan) => Ok(Looked { place: plan.place(), changes: plan.in_words() }),
        Err(failed) => Ok(Looked { place: None, changes: vec![failed.what] }),
    }
}

/// Values by attribute, in the order in which they are written.
type Attributes = Vec<(String, Vec<String>)>;

/// Values by label.
type Labels = BTreeMap<String, Vec<String>>;

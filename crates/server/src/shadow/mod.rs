//! Old systems that are asked beside us (docs/decisions/0049): how each is reached, and the loop
//! that asks it what its shadow has heard.

mod http;
mod ldap;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use counterfoil_authority::authority::Authority;
use counterfoil_authority::shadow::{OldSystem, Question, Said, Shadow};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tracing::{debug, info, warn};

use self::http::HttpOld;
use self::ldap::LdapOld;
use crate::config::{Config, OldConfig, OldWay, old_systems};
use crate::custom::NotSetUp;
use crate::listener::stopped;

/// Why an old system gave no answer that means anything. In words that hold nothing of what was
/// presented, and nothing that the other side wrote.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub(crate) struct NoAnswer {
    why: String,
    /// Whether it is away for everybody, rather than odd about one question.
    is_away: bool,
    /// Whether something else than a door answers at its URL.
    is_elsewhere: bool,
}

impl NoAnswer {
    /// It answered, and that means neither yes nor no.
    fn because(why: impl Into<String>) -> Self {
        Self { why: why.into(), is_away: false, is_elsewhere: false }
    }

    /// It does not answer, or says itself that it cannot.
    fn away(why: impl Into<String>) -> Self {
        Self { why: why.into(), is_away: true, is_elsewhere: false }
    }

    /// It runs, and what answers at this URL tells nobody from anybody.
    fn elsewhere(why: impl Into<String>) -> Self {
        Self { why: why.into(), is_away: false, is_elsewhere: true }
    }

    /// Whether its URL is to be corrected, rather than that it is to be made to run.
    pub(crate) const fn is_elsewhere(&self) -> bool {
        self.is_elsewhere
    }
}

/// A way to ask.
#[async_trait]
pub(crate) trait Way: Send + Sync {
    /// What it says of a presentation.
    async fn ask(&self, question: &Question) -> Result<Said, NoAnswer>;
    /// Whether it can be reached at all, without telling it anything of anybody.
    async fn reach(&self) -> Result<(), NoAnswer>;
}

/// How an old system is asked as configured.
///
/// # Errors
///
/// When a file that is named cannot be used.
pub(crate) fn way(old: &OldConfig) -> Result<Box<dyn Way>, String> {
    match &old.way {
        OldWay::Ldap { bind_dn, start_tls } => {
            let ca = old.ca.as_deref().map(Path::to_string_lossy);
            Ok(Box::new(LdapOld::new(old, bind_dn, *start_tls, ca.as_deref())?))
        }
        OldWay::Introspection { .. } | OldWay::Http { .. } => Ok(Box::new(HttpOld::new(old)?)),
    }
}

/// An old system with a limit of time, which says once when it stops answering.
struct Limited {
    way: Box<dyn Way>,
    name: String,
    timeout: Duration,
    away: AtomicBool,
}

#[async_trait]
impl OldSystem for Limited {
    async fn ask(&self, question: &Question) -> Said {
        let asked = tokio::time::timeout(self.timeout, self.way.ask(question)).await;
        let answer = asked.unwrap_or_else(|_| Err(NoAnswer::away("it did not answer in time")));
        match answer {
            Ok(said) => {
                if self.away.swap(false, Ordering::Relaxed) {
                    info!(shadow = self.name, "the old system answers again");
                }
                said
            }
            // One question may be answered oddly among many that are not: that would fill the log.
            Err(why) if !why.is_away => {
                debug!(shadow = self.name, %why, "an answer of the old system means nothing");
                Said::Nothing
            }
            Err(why) => {
                if !self.away.swap(true, Ordering::Relaxed) {
                    warn!(shadow = self.name, %why, "the old system gives no answer");
                }
                Said::Nothing
            }
        }
    }
}

/// Asks one old system what its shadow has heard.
pub struct Asker {
    shadow: Arc<Shadow>,
    questions: mpsc::Receiver<Question>,
    old: Arc<Limited>,
}

/// Sets up the shadows of a configuration. No old system is asked for anything: a server starts
/// without them.
///
/// # Errors
///
/// When a file that is named cannot be used.
pub fn askers(config: &Config) -> Result<Vec<Asker>, NotSetUp> {
    let mut all = Vec::new();
    for old in old_systems(config) {
        let name = old.settings.name.to_string();
        let way = way(&old).map_err(|why| NotSetUp::shadow(&name, why))?;
        let (shadow, questions) = Shadow::new(old.settings);
        let away = AtomicBool::new(false);
        let old = Arc::new(Limited { way, name, timeout: old.timeout, away });
        all.push(Asker { shadow, questions, old });
    }
    Ok(all)
}

impl Asker {
    /// What hears the presentations.
    pub fn shadow(&self) -> Arc<Shadow> {
        Arc::clone(&self.shadow)
    }

    /// Asks until `stop` turns true. What is not asked or not answered by then is forgotten.
    pub async fn run(mut self, authority: Arc<Authority>, mut stop: watch::Receiver<bool>) {
        let in_flight_max = self.shadow.settings().in_flight_max;
        let mut asking = JoinSet::new();
        loop {
            tokio::select! {
                () = stopped(&mut stop) => break,
                _ = asking.join_next(), if !asking.is_empty() => {}
                question = self.questions.recv(), if asking.len() < in_flight_max => {
                    let Some(question) = question else { break };
                    let (authority, shadow) = (Arc::clone(&authority), self.shadow());
                    let old = Arc::clone(&self.old);
                    asking.spawn(async move {
                        authority.ask_shadow(&shadow, &*old, question).await;
                    });
                }
            }
        }
        asking.shutdown().await;
    }
}

//! Issues, revokes and verifies through all nodes at the same time, until told to stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use serde_json::{Value, json};

use super::ledger::{Act, End, Ledger, Made, State, fault_of};
use crate::clock::now;
use crate::http::{Answer, Api};
use crate::server::pause;

/// Where everything of the drill is.
pub(crate) const REALM: &str = "/api/v1/realms/main";
/// The service that the tokens are for.
pub(crate) const SERVICE: &str = "drill";
/// Between two requests of a worker: the machine has a database cluster to run as well.
const PACE: Duration = Duration::from_millis(25);
/// One token in so many is revoked.
const REVOKED_ONE_IN: usize = 3;
/// How many times slower than its issues a node's revocations go.
const REVOKED_EVERY: u32 = 3;
/// One verify in so many asks about the token that was issued last, wherever that was.
const NEWEST_ONE_IN: usize = 4;
/// Workers that verify, per node.
const VERIFIERS: usize = 2;

/// A running load.
pub(crate) struct Load {
    pub(crate) ledger: Arc<Ledger>,
    stop: Arc<AtomicBool>,
    workers: Vec<JoinHandle<()>>,
}

/// What each worker has.
#[derive(Clone)]
struct Worker {
    node: usize,
    api: Api,
    ledger: Arc<Ledger>,
    stop: Arc<AtomicBool>,
}

impl Load {
    /// Makes what the tokens are for and starts the workers.
    ///
    /// # Errors
    ///
    /// Fails when the cluster does not work to begin with.
    pub(crate) fn start(nodes: &[Api]) -> Result<Self> {
        let Some(first) = nodes.first() else { bail!("a load needs a node") };
        let service = json!({ "label": SERVICE, "name": "Drill" });
        first.json("POST", &format!("{REALM}/services"), &service)?;
        let ledger = Arc::new(Ledger::default());
        let stop = Arc::new(AtomicBool::new(false));
        let mut workers = Vec::new();
        for (node, api) in nodes.iter().enumerate() {
            let user = json!({ "username": user_of(node), "display_name": "Drill" });
            first.json("POST", &format!("{REALM}/users"), &user)?;
            let (ledger, stop) = (Arc::clone(&ledger), Arc::clone(&stop));
            let worker = Worker { node, api: api.clone(), ledger, stop };
            let (to_revoke, revocable) = mpsc::channel();
            let (issuer, revoker) = (worker.clone(), worker.clone());
            workers.push(thread::spawn(move || issuer.issue(&to_revoke)));
            workers.push(thread::spawn(move || revoker.revoke(&revocable)));
            for number in 0..VERIFIERS {
                let verifier = worker.clone();
                workers.push(thread::spawn(move || verifier.verify(number)));
            }
        }
        Ok(Self { ledger, stop, workers })
    }

    /// Lets every worker end its request.
    pub(crate) fn stop(mut self) -> Arc<Ledger> {
        self.end();
        Arc::clone(&self.ledger)
    }

    fn end(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for worker in self.workers.drain(..) {
            if worker.join().is_err() {
                self.ledger.fault("a worker of the load died".to_owned());
            }
        }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.end();
    }
}

/// Whose tokens a node issues.
pub(crate) fn user_of(node: usize) -> String {
    format!("drill{}", node + 1)
}

impl Worker {
    fn goes_on(&self) -> bool {
        pause(PACE);
        !self.stop.load(Ordering::Relaxed)
    }

    /// Sends a request and notes how it ended; anything but success and 503 is a fault.
    fn ask(&self, act: Act, path: &str, body: &Value) -> Option<(Value, Instant)> {
        let sent = now();
        let answer = self.api.send("POST", path, &body.to_string());
        let end = match &answer {
            Err(_) => End::Silent,
            Ok(Answer { status: 503, .. }) => End::Unavailable,
            Ok(_) => End::Answered,
        };
        self.ledger.made(Made { node: self.node, act, end, sent, done: now() });
        let answer = answer.ok().filter(|answer| answer.status != 503)?;
        match answer.json() {
            Ok(value) => Some((value, sent)),
            Err(error) => {
                let node = self.node + 1;
                self.ledger.fault(format!("{act:?} through node {node}: {error:#}"));
                None
            }
        }
    }

    fn issue(&self, to_revoke: &Sender<usize>) {
        let mut number = 0_usize;
        while self.goes_on() {
            number += 1;
            let wish = json!({ "kind": "personal_access_token", "user": user_of(self.node),
                               "name": format!("token{number}"), "services": [SERVICE] });
            let Some((issued, _)) = self.ask(Act::Issue, &format!("{REALM}/tokens"), &wish) else {
                continue;
            };
            let text = |pointer| issued.pointer(pointer).and_then(Value::as_str);
            let (Some(id), Some(secret)) = (text("/token/id"), text("/secret")) else {
                self.ledger.fault(format!("an issue was answered without a token: {issued}"));
                continue;
            };
            let place = self.ledger.issued(id.to_owned(), secret.to_owned());
            if number.is_multiple_of(REVOKED_ONE_IN) {
                // The one who revokes ends no sooner than the one who issues.
                to_revoke.send(place).ok();
            }
        }
    }

    /// Revokes what it is given; what was not answered is asked again until it is.
    ///
    /// Slower than it is given work, so that some is left while nothing can be issued.
    fn revoke(&self, revocable: &Receiver<usize>) {
        let mut pending = None;
        while self.goes_on() {
            pause(PACE * REVOKED_EVERY);
            let Some(place) = pending.take().or_else(|| revocable.try_recv().ok()) else {
                continue;
            };
            let Some(entry) = self.ledger.entry(place) else { continue };
            self.ledger.set(place, State::Asked);
            let path = format!("{REALM}/tokens/{}/revoke", entry.id);
            if self.ask(Act::Revoke, &path, &json!({ "reason": "drill" })).is_some() {
                self.ledger.set(place, State::Revoked { node: self.node, at: now() });
            } else {
                pending = Some(place);
            }
        }
    }

    /// Verifies now the newest token, now any.
    fn verify(&self, number: usize) {
        let mut any = self.node * VERIFIERS + number;
        while self.goes_on() {
            let count = self.ledger.len();
            if count == 0 {
                continue;
            }
            // Visits all places in an order that looks like none.
            any =
                any.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let newest = (any >> 40).is_multiple_of(NEWEST_ONE_IN);
            let place = if newest { count - 1 } else { (any >> 33) % count };
            let Some(before) = self.ledger.entry(place) else { continue };
            let Some((active, sent)) = self.verify_one(&before.secret) else { continue };
            let after = self.ledger.entry(place).map_or(before.state, |entry| entry.state);
            if let Some(fault) = fault_of(active, self.node, sent, before.state, after) {
                let (node, id) = (self.node + 1, &before.id);
                let since = match before.state {
                    State::Revoked { node, at } => {
                        let late = sent.saturating_duration_since(at).as_secs_f64();
                        format!(", {late:.2} s after node{} had answered", node + 1)
                    }
                    _ => String::new(),
                };
                self.ledger.fault(format!("{fault}: {id} by node{node}{since}"));
            }
        }
    }

    fn verify_one(&self, secret: &str) -> Option<(bool, Instant)> {
        let wish = json!({ "token": secret, "service": SERVICE });
        let (answer, sent) = self.ask(Act::Verify, &format!("{REALM}/verify"), &wish)?;
        Some((answer.get("active").and_then(Value::as_bool)?, sent))
    }
}

/// Whether each token of the books is on each node what the last answer about it said.
///
/// Returns how many good and how many revoked ones there are, and what is wrong.
pub(crate) fn audit(nodes: &[Api], ledger: &Arc<Ledger>) -> (usize, usize, Vec<String>) {
    let entries = Arc::new(ledger.entries());
    let readers: Vec<_> = nodes
        .iter()
        .map(|api| {
            let (api, entries) = (api.clone(), Arc::clone(&entries));
            thread::spawn(move || {
                entries.iter().map(|entry| is_active(&api, &entry.secret)).collect::<Vec<_>>()
            })
        })
        .collect();
    let found: Vec<Vec<Option<bool>>> =
        readers.into_iter().map(|reader| reader.join().unwrap_or_default()).collect();
    let mut faults = Vec::new();
    let (mut good, mut revoked) = (0, 0);
    for (place, entry) in entries.iter().enumerate() {
        let said: Vec<Option<bool>> =
            found.iter().map(|answers| answers.get(place).copied().flatten()).collect();
        let wanted = match entry.state {
            State::Good => Some(true),
            State::Revoked { .. } => Some(false),
            // Done or not, but the same on all of them.
            State::Asked => said.first().copied().flatten(),
        };
        good += usize::from(entry.state == State::Good);
        revoked += usize::from(matches!(entry.state, State::Revoked { .. }));
        if wanted.is_none() || said.iter().any(|said| *said != wanted) {
            faults.push(format!("afterwards {} ({:?}) is {said:?}", entry.id, entry.state));
        }
    }
    (good, revoked, faults)
}

fn is_active(api: &Api, secret: &str) -> Option<bool> {
    let wish = json!({ "token": secret, "service": SERVICE });
    let answer = api.json("POST", &format!("{REALM}/verify"), &wish).ok()?;
    answer.get("active").and_then(Value::as_bool)
}

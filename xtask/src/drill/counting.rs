//! Tokens with a limit, used up through all nodes at the same time, and one without, of which
//! every use is to be found afterwards.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::load::{REALM, SERVICE, user_of};
use crate::clock::now;
use crate::http::Api;
use crate::interrupt::until;
use crate::server::pause;

/// Uses of each limited token: some are used up while a node is cut off.
const LIMIT: usize = 150;
/// Limited tokens: more than are used up while the load runs.
const LIMITED: usize = 40;
/// Between two rounds of a node.
const PACE: Duration = Duration::from_millis(40);
/// When the last uses have to be in the store: they are gathered for a second.
const FLUSHED_WITHIN: Duration = Duration::from_secs(10);

/// What a flush of usage holds at most: a second, and as long as the one before took.
const FLUSH: Duration = Duration::from_secs(2);

/// What a use came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Came {
    Accepted,
    /// Used up.
    Refused,
    /// 503: it may have been counted.
    Unavailable,
    /// No answer: it may have been counted.
    Silent,
}

/// One use.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Use {
    pub(crate) node: usize,
    /// The place of the token; `None`: the one without a limit.
    token: Option<usize>,
    pub(crate) came: Came,
    pub(crate) sent: Instant,
    pub(crate) done: Instant,
}

impl Use {
    /// One of a token without a limit.
    #[cfg(test)]
    pub(crate) fn of(node: usize, came: Came, sent: Instant) -> Self {
        Self { node, token: None, came, sent, done: sent }
    }
}

#[derive(Debug, Clone)]
struct Counted {
    id: String,
    secret: String,
}

#[derive(Debug, Default)]
struct Books {
    uses: Mutex<Vec<Use>>,
    faults: Mutex<Vec<String>>,
}

/// Uses that go on until told to stop.
pub(crate) struct Counting {
    nodes: Vec<Api>,
    limited: Arc<Vec<Counted>>,
    free: Counted,
    books: Arc<Books>,
    stop: Arc<AtomicBool>,
    workers: Vec<JoinHandle<()>>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Counting {
    /// Issues the tokens, to a person of a load that runs, and begins.
    ///
    /// # Errors
    ///
    /// Fails when they cannot be issued.
    pub(crate) fn start(nodes: &[Api]) -> Result<Self> {
        let Some(first) = nodes.first() else { bail!("nobody counts without a node") };
        let mut limited = Vec::new();
        for number in 0..LIMITED {
            limited.push(issue(first, &format!("limited{number}"), Some(LIMIT))?);
        }
        let free = issue(first, "free", None)?;
        let mut counting = Self {
            nodes: nodes.to_vec(),
            limited: Arc::new(limited),
            free,
            books: Arc::default(),
            stop: Arc::default(),
            workers: Vec::new(),
        };
        for (node, api) in nodes.iter().enumerate() {
            let (api, limited) = (api.clone(), Arc::clone(&counting.limited));
            let (books, free) = (Arc::clone(&counting.books), counting.free.clone());
            let stop = Arc::clone(&counting.stop);
            counting.workers.push(thread::spawn(move || {
                let mut place = 0;
                while let Some(token) = limited.get(place) {
                    pause(PACE);
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                    books.used(&api, node, None, &free.secret);
                    let came = books.used(&api, node, Some(place), &token.secret);
                    place += usize::from(came == Came::Refused);
                }
                locked(&books.faults).push("there were too few tokens to use up".to_owned());
            }));
        }
        Ok(counting)
    }

    /// Ends it, uses up what was begun, and compares. Returns all uses, and what is wrong.
    ///
    /// A flush of usage whose commit was under way when the network broke is stored once more
    /// where nobody can say what became of it: figures may show these uses twice, and no limit.
    ///
    /// # Errors
    ///
    /// Fails when a node does not answer any more.
    pub(crate) fn stop(mut self, breaks: &[Instant]) -> Result<(Vec<Use>, Vec<String>)> {
        self.end();
        let uses = locked(&self.books.uses).clone();
        let mut faults = std::mem::take(&mut *locked(&self.books.faults));
        let first = self.nodes.first().context("a node")?;
        let begun = uses.iter().filter_map(|one| one.token).max().map_or(0, |last| last + 1);
        let mut doubtful = 0;
        for (place, token) in self.limited.iter().take(begun).enumerate() {
            let before = shown(first, token, "used")?;
            let after = use_up(&self.nodes, token)?;
            let told = Told::of(&uses, Some(place));
            doubtful += told.doubt;
            let end = shown(first, token, "used")?;
            faults.extend(told.fault(before, after, end).map(|fault| format!("{place}: {fault}")));
        }
        let told = Told::of(&uses, None);
        let free = until("all uses are in the store", FLUSHED_WITHIN, || {
            let shown = shown(first, &self.free, "usage_total")?;
            Ok((shown >= told.accepted).then_some(shown))
        });
        let most = told.accepted + told.silent + in_flushes(&uses, breaks);
        match free {
            Ok(shown) if shown <= most => println!(
                "{shown} uses of a token without a limit are stored, {} were answered",
                told.accepted
            ),
            Ok(shown) => faults.push(format!("{shown} uses are stored of {most}")),
            Err(error) => faults.push(format!("{error:#}: {} of them", told.accepted)),
        }
        println!(
            "{begun} tokens of {LIMIT} uses were used up to the last one, {doubtful} uses of them \
             without a yes or no"
        );
        Ok((uses, faults))
    }

    fn end(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for worker in self.workers.drain(..) {
            if worker.join().is_err() {
                locked(&self.books.faults).push("somebody who counts died".to_owned());
            }
        }
    }
}

impl Drop for Counting {
    fn drop(&mut self) {
        self.end();
    }
}

impl Books {
    fn used(&self, api: &Api, node: usize, token: Option<usize>, secret: &str) -> Came {
        let sent = now();
        let came = match ask(api, secret) {
            Ok(came) => came,
            Err(fault) => {
                locked(&self.faults).push(format!("through node{}: {fault:#}", node + 1));
                Came::Silent
            }
        };
        if token.is_none() && came == Came::Refused {
            locked(&self.faults).push(format!("node{} denied the good token", node + 1));
        }
        locked(&self.uses).push(Use { node, token, came, sent, done: now() });
        came
    }
}

/// What was answered about one token while things broke.
#[derive(Debug, Default, PartialEq, Eq)]
struct Told {
    accepted: usize,
    /// Neither yes nor no: counted or not.
    doubt: usize,
    /// Of these, those without any answer.
    silent: usize,
    refused: bool,
}

impl Told {
    fn of(uses: &[Use], token: Option<usize>) -> Self {
        let mut told = Self::default();
        for one in uses.iter().filter(|one| one.token == token) {
            told.accepted += usize::from(one.came == Came::Accepted);
            told.silent += usize::from(one.came == Came::Silent);
            told.doubt += usize::from(matches!(one.came, Came::Unavailable | Came::Silent));
            told.refused |= one.came == Came::Refused;
        }
        told
    }

    /// What is wrong with a limited token that the store showed as `used`, that was good `after`
    /// times more when everything worked, and of which the store then shows `end`.
    fn fault(&self, used: usize, after: usize, end: usize) -> Option<String> {
        let fits = (self.accepted..=self.accepted + self.doubt).contains(&used)
            && used + after == LIMIT
            && end == LIMIT
            && (!self.refused || used == LIMIT);
        (!fits).then(|| format!("{self:?}, stored {used}, {after} more, then {end} of {LIMIT}"))
    }
}

fn issue(api: &Api, name: &str, limit: Option<usize>) -> Result<Counted> {
    let mut wish = json!({ "kind": "personal_access_token", "user": user_of(0), "name": name,
                           "services": [SERVICE] });
    if let Some(limit) = limit {
        wish["max_usages"] = limit.into();
    }
    let issued = api.json("POST", &format!("{REALM}/tokens"), &wish)?;
    let text = |pointer| issued.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    Ok(Counted { id: text("/token/id").context("id")?, secret: text("/secret").context("secret")? })
}

/// Uses of the token without a limit that a flush may have held when the network broke.
fn in_flushes(uses: &[Use], breaks: &[Instant]) -> usize {
    let held =
        |one: &&Use| breaks.iter().any(|broke| one.done <= *broke && *broke <= one.done + FLUSH);
    let of_free = uses.iter().filter(|one| one.token.is_none() && one.came == Came::Accepted);
    of_free.filter(held).count()
}

/// Uses a token once.
fn ask(api: &Api, secret: &str) -> Result<Came> {
    let wish = json!({ "token": secret, "service": SERVICE }).to_string();
    let Ok(answer) = api.send("POST", &format!("{REALM}/verify"), &wish) else {
        return Ok(Came::Silent);
    };
    if answer.status == 503 {
        return Ok(Came::Unavailable);
    }
    let said = answer.json()?;
    match (said["active"].as_bool(), said["code"].as_str()) {
        (Some(true), _) => Ok(Came::Accepted),
        (Some(false), Some("exhausted")) => Ok(Came::Refused),
        _ => bail!("neither good nor used up: {said}"),
    }
}

fn shown(api: &Api, token: &Counted, field: &str) -> Result<usize> {
    let said = api.json("GET", &format!("{REALM}/tokens/{}", token.id), &Value::Null)?;
    let number = said[field].as_u64().with_context(|| format!("no {field} in {said}"))?;
    Ok(usize::try_from(number)?)
}

/// Uses a token through all nodes at the same time until each of them refuses it. How often it was
/// good.
fn use_up(nodes: &[Api], token: &Counted) -> Result<usize> {
    let users: Vec<_> = nodes
        .iter()
        .map(|api| {
            let (api, secret) = (api.clone(), token.secret.clone());
            thread::spawn(move || -> Result<usize> {
                for good in 0..=LIMIT {
                    match ask(&api, &secret)? {
                        Came::Accepted => {}
                        Came::Refused => return Ok(good),
                        other => bail!("{other:?} while everything works"),
                    }
                }
                bail!("a token of {LIMIT} uses has no end")
            })
        })
        .collect();
    let mut good = 0;
    for user in users {
        match user.join() {
            Ok(each) => good += each?,
            Err(_) => bail!("somebody who uses a token up died"),
        }
    }
    Ok(good)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_use_too_many_or_too_few_is_found() {
        let told = Told { accepted: 100, doubt: 2, silent: 0, refused: false };
        // Whether those in doubt were counted or not.
        for used in 100..=102 {
            assert_eq!(told.fault(used, LIMIT - used, LIMIT), None);
        }
        for (used, after, end) in [
            (99, LIMIT - 99, LIMIT),
            (103, LIMIT - 103, LIMIT),
            (100, LIMIT - 99, LIMIT),
            (100, LIMIT - 101, LIMIT),
            (100, LIMIT - 100, LIMIT + 1),
        ] {
            assert!(told.fault(used, after, end).is_some(), "{used} {after} {end}");
        }
        // Who was told that it is used up was told so rightly.
        let refused = Told { refused: true, ..told };
        assert!(refused.fault(102, LIMIT - 102, LIMIT).is_some());
    }
}

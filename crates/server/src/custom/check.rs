//! `repo-check`: holds a repository to what the protocol says, whatever its driver.
//!
//! What it creates it removes again. Where a repository takes no new tokens, what needs one is
//! left out and said to be; its look-ups are tried with a person whose tokens it holds.

use std::collections::BTreeMap;
use std::sync::Arc;

use counterfoil_authority::clock::Timestamp;
use counterfoil_authority::custom::{
    Capabilities, Capability, ForeignChange, ForeignConsumed, ForeignDraft, ForeignId,
    ForeignToken, ListQuery, Proof, RepositoryError, Selector, TokenRepository, VerifyRecord,
    sha256_text,
};
use counterfoil_authority::names::Username;
use serde::Serialize;
use serde_json::json;
use tokio::task::JoinSet;

/// Uses that race for a limit of [`LIMIT`].
const RACERS: usize = 16;
/// Uses that a limited token has.
const LIMIT: u64 = 3;
/// Characters of the public part of a secret that is made up here.
const SELECTOR_LENGTH: usize = 22;

/// What came of one check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Check {
    /// What was looked at.
    pub(crate) name: &'static str,
    /// `ok`, `fail`, or `skipped`.
    pub(crate) status: &'static str,
    /// What was found.
    pub(crate) found: String,
}

/// A failed check ends what depends on it.
type Outcome = Result<String, String>;

struct Run {
    repository: Arc<dyn TokenRepository>,
    checks: Vec<Check>,
    user: String,
    /// A text that no other run has.
    nonce: String,
    now: Timestamp,
}

/// Tries a repository with tokens of `user`; `nonce` is any text that no other run has.
pub(crate) async fn check(
    repository: Arc<dyn TokenRepository>,
    user: &str,
    nonce: &str,
    now: Timestamp,
) -> Vec<Check> {
    let (user, nonce) = (user.to_owned(), nonce.to_owned());
    let mut run = Run { repository, checks: Vec::new(), user, nonce, now };
    let described = run.repository.describe().await;
    let capabilities = described.as_ref().map_or(Capabilities::NONE, |known| known.capabilities);
    let names: Vec<&str> = capabilities.iter().map(Capability::name).collect();
    run.note(
        "descriptor",
        described
            .map(|known| format!("{}: {}", known.software, names.join(" ")))
            .map_err(|e| e.to_string()),
    );
    if run.failed() {
        return run.checks;
    }
    run.unknown(capabilities).await;
    if capabilities.contains(Capability::Create) {
        run.created(capabilities).await;
    } else {
        run.held(capabilities).await;
    }
    run.unsupported(capabilities).await;
    run.checks
}

impl Run {
    fn note(&mut self, check: &'static str, outcome: Outcome) {
        let (status, found) = match outcome {
            Ok(found) => ("ok", found),
            Err(found) => ("fail", found),
        };
        self.checks.push(Check { name: check, status, found });
    }

    fn skip(&mut self, check: &'static str, why: &str) {
        self.checks.push(Check { name: check, status: "skipped", found: why.to_owned() });
    }

    fn failed(&self) -> bool {
        self.checks.iter().any(|check| check.status == "fail")
    }

    fn secret(&self) -> String {
        // Nobody is ever let in with it: the token goes at the end, and it belongs to nobody real.
        format!("check_{}_{}", &self.nonce[..15.min(self.nonce.len())], self.nonce)
    }

    fn selector(&self) -> String {
        self.secret().chars().take(SELECTOR_LENGTH).collect()
    }

    /// Each way of asking; a repository knows one of them at least.
    async fn records(&self, user: &str) -> Result<Vec<VerifyRecord>, RepositoryError> {
        let sha256 = sha256_text(&self.secret()).trim_start_matches("sha256:").to_owned();
        let selectors = [
            Selector::Prefix(self.selector()),
            Selector::Sha256(sha256),
            Selector::User { user: user.to_owned(), service: None },
        ];
        let mut found: Vec<VerifyRecord> = Vec::new();
        let mut answered = false;
        for selector in selectors {
            match self.repository.lookup(&selector).await {
                Ok(records) => {
                    answered = true;
                    for record in records {
                        if !found.iter().any(|known| known.id == record.id) {
                            found.push(record);
                        }
                    }
                }
                Err(RepositoryError::Unsupported(_)) => {}
                Err(error) => return Err(error),
            }
        }
        if answered { Ok(found) } else { Err(RepositoryError::Unsupported(Capability::Lookup)) }
    }

    /// What does not exist is an empty answer and no error.
    async fn unknown(&mut self, capabilities: Capabilities) {
        let nobody = format!("nobody-{}", self.nonce);
        if capabilities.contains(Capability::Lookup) {
            let outcome = match self.records(&nobody).await {
                Ok(records) if records.is_empty() => Ok("nothing is found for nobody".to_owned()),
                Ok(_) => Err("a look-up of what does not exist finds something".to_owned()),
                Err(error) => Err(error.to_string()),
            };
            self.note("lookup of nothing", outcome);
        } else {
            self.skip("lookup of nothing", "LOOKUP is not offered");
        }
        if capabilities.contains(Capability::List) {
            let outcome = match ForeignId::parse(&nobody) {
                Ok(id) => match self.repository.find(&id).await {
                    Ok(None) => Ok("404".to_owned()),
                    Ok(Some(_)) => Err("a token that does not exist is found".to_owned()),
                    Err(error) => Err(error.to_string()),
                },
                Err(bad) => Err(bad.to_string()),
            };
            self.note("unknown token", outcome);
        }
    }

    /// The life of a token that is made for the purpose.
    async fn created(&mut self, capabilities: Capabilities) {
        // Where attributes are never changed, there may be none.
        let attributes = if capabilities.contains(Capability::Update) {
            BTreeMap::from([("trackingId".to_owned(), json!(self.nonce))])
        } else {
            BTreeMap::new()
        };
        let draft = ForeignDraft {
            user: Some(self.user.clone()),
            attributes,
            selector: Some(self.selector()),
            hash: Some(sha256_text(&self.secret())),
            idempotency_key: self.nonce.clone(),
        };
        let token = match self.repository.create(&draft).await {
            Ok(token) => token,
            Err(error) => return self.note("create", Err(error.to_string())),
        };
        let owned = token.user.as_deref() == Some(&self.user) && token.enabled;
        let outcome = if owned {
            Ok(format!("token {}", token.id))
        } else {
            Err("the new token is not its person's, or is off".to_owned())
        };
        self.note("create", outcome);
        let again = self.repository.create(&draft).await;
        let outcome = match again {
            Ok(again) if again.id == token.id => Ok("the same token".to_owned()),
            Ok(_) => Err("a repeated request made a second token".to_owned()),
            // A table with a unique column says so; that is one token, too.
            Err(RepositoryError::Conflict) => Ok("refused as a conflict".to_owned()),
            Err(error) => Err(error.to_string()),
        };
        self.note("create again", outcome);
        self.found(&token, true, "lookup").await;
        self.shown(&token, capabilities).await;
        self.changed(&token, capabilities).await;
        self.raced(&token, capabilities).await;
        self.removed(&token, capabilities).await;
    }

    /// Whether a look-up tells of the token with a hash of its secret alone.
    async fn found(&mut self, token: &ForeignToken, enabled: bool, check: &'static str) {
        let records = self.records(&self.user).await;
        let outcome = match records {
            Err(error) => Err(error.to_string()),
            Ok(records) => match records.iter().find(|record| record.id == token.id) {
                None => Err("no look-up finds the token".to_owned()),
                Some(record) if record.enabled != enabled => {
                    Err("the look-up tells another state".to_owned())
                }
                Some(record) => self.proves(record),
            },
        };
        self.note(check, outcome);
    }

    fn proves(&self, record: &VerifyRecord) -> Outcome {
        let text = record.hash.clone().unwrap_or_default();
        let proof = Proof::parse(&text, None).map_err(|bad| format!("the hash {bad}"))?;
        let secret = self.secret();
        if !proof.is_of(&secret) {
            return Err("the hash is not that of the secret".to_owned());
        }
        if proof.is_of(&format!("{secret}x")) {
            return Err("the hash is that of another secret, too".to_owned());
        }
        Ok("the hash proves the secret, and nothing else".to_owned())
    }

    async fn shown(&mut self, token: &ForeignToken, capabilities: Capabilities) {
        if !capabilities.contains(Capability::List) {
            return self.skip("list", "LIST is not offered");
        }
        let outcome = match self.repository.find(&token.id).await {
            Ok(Some(found)) if found.id == token.id => Ok("found by its id".to_owned()),
            Ok(_) => Err("not found by its id".to_owned()),
            Err(error) => Err(error.to_string()),
        };
        self.note("get", outcome);
        let (mut cursor, mut pages, mut seen) = (None, 0, false);
        let outcome = loop {
            let query = ListQuery {
                user: Some(self.user.clone()),
                limit: 1,
                cursor: cursor.take(),
                ..ListQuery::default()
            };
            match self.repository.list(&query).await {
                Err(error) => break Err(error.to_string()),
                Ok(page) => {
                    pages += 1;
                    seen |= page.tokens.iter().any(|one| one.id == token.id);
                    cursor = page.next;
                }
            }
            if cursor.is_none() || pages > 1000 {
                let listed = if seen {
                    Ok(format!("{pages} pages of one token"))
                } else {
                    Err("the person's list does not hold it".to_owned())
                };
                break listed;
            }
        };
        self.note("list", outcome);
    }

    async fn changed(&mut self, token: &ForeignToken, capabilities: Capabilities) {
        if capabilities.contains(Capability::Update) {
            let attributes =
                BTreeMap::from([("trackingId".to_owned(), json!(format!("{}-2", self.nonce)))]);
            let change = ForeignChange { attributes };
            let known = self.repository.update(&token.id, &change, token.version.as_deref()).await;
            let outcome = known.map(|_| "changed".to_owned()).map_err(|error| error.to_string());
            self.note("update", outcome);
            if token.version.is_some() {
                let late =
                    self.repository.update(&token.id, &change, token.version.as_deref()).await;
                let outcome = match late {
                    Err(RepositoryError::VersionMismatch) => Ok("409".to_owned()),
                    Err(error) => Err(error.to_string()),
                    Ok(_) => Err("a change of an old version is taken".to_owned()),
                };
                self.note("update of an old version", outcome);
            }
        } else {
            self.skip("update", "UPDATE is not offered");
        }
        if capabilities.contains(Capability::Enable) {
            for (enabled, check) in [(false, "disable"), (false, "disable again"), (true, "enable")]
            {
                let done = self.repository.set_enabled(&token.id, enabled).await;
                let outcome = match done {
                    Ok(now) if now.enabled == enabled => Ok("so it is".to_owned()),
                    Ok(_) => Err("it is not".to_owned()),
                    Err(error) => Err(error.to_string()),
                };
                self.note(check, outcome);
                self.found(token, enabled, "lookup tells the switch").await;
            }
        } else {
            self.skip("enable", "ENABLE is not offered");
        }
        self.assigned(token, capabilities).await;
    }

    async fn assigned(&mut self, token: &ForeignToken, capabilities: Capabilities) {
        if !capabilities.contains(Capability::Assign) {
            return self.skip("assign", "ASSIGN is not offered");
        }
        let outcome = match self.repository.assign(&token.id, None).await {
            Ok(free) if free.user.is_none() => Ok("it is nobody's".to_owned()),
            Ok(_) => Err("it is still somebody's".to_owned()),
            Err(error) => Err(error.to_string()),
        };
        self.note("unassign", outcome);
        let Ok(user) = Username::parse(&self.user) else {
            return self.note("assign", Err("--user is no user name".to_owned()));
        };
        let outcome = match self.repository.assign(&token.id, Some(&user)).await {
            Ok(held) if held.user.as_deref() == Some(user.as_str()) => {
                Ok("it is theirs".to_owned())
            }
            Ok(_) => Err("it is not theirs".to_owned()),
            Err(error) => Err(error.to_string()),
        };
        self.note("assign", outcome);
    }

    /// Many uses at the same time of a token that has few.
    async fn raced(&mut self, token: &ForeignToken, capabilities: Capabilities) {
        if !capabilities.contains(Capability::AtomicConsume) {
            return self.skip("consume", "ATOMIC_CONSUME is not offered");
        }
        let mut racing = JoinSet::new();
        for _ in 0..RACERS {
            let (repository, id, now) = (Arc::clone(&self.repository), token.id.clone(), self.now);
            racing.spawn(async move { repository.consume(&id, LIMIT, now).await });
        }
        let (mut done, mut wrong) = (0, None);
        while let Some(ended) = racing.join_next().await {
            match ended {
                Ok(Ok(ForeignConsumed::Done(_))) => done += 1,
                Ok(Ok(ForeignConsumed::Exhausted)) => {}
                Ok(Ok(ForeignConsumed::NotActive)) => wrong = Some("not active".to_owned()),
                Ok(Err(error)) => wrong = Some(error.to_string()),
                Err(error) => wrong = Some(error.to_string()),
            }
        }
        let outcome = match wrong {
            Some(wrong) => Err(wrong),
            None if done == LIMIT => Ok(format!("{done} of {RACERS} at once, as allowed")),
            None => Err(format!("{done} of {RACERS} at once, and {LIMIT} are allowed")),
        };
        self.note("consume", outcome);
    }

    async fn removed(&mut self, token: &ForeignToken, capabilities: Capabilities) {
        if !capabilities.contains(Capability::Delete) {
            return self.skip("delete", "DELETE is not offered: the token of this check stays");
        }
        let outcome = match self.repository.delete(&token.id, None).await {
            Ok(()) => Ok("gone".to_owned()),
            Err(error) => Err(error.to_string()),
        };
        self.note("delete", outcome);
        let outcome = match self.repository.delete(&token.id, None).await {
            Err(RepositoryError::NotFound) => Ok("404".to_owned()),
            Err(error) => Err(error.to_string()),
            Ok(()) => Err("what is gone is removed again".to_owned()),
        };
        self.note("delete again", outcome);
        let outcome = match self.records(&self.user).await {
            Ok(records) if records.iter().all(|record| record.id != token.id) => {
                Ok("nothing is found".to_owned())
            }
            Ok(_) => Err("a removed token is found".to_owned()),
            Err(error) => Err(error.to_string()),
        };
        self.note("lookup of what is gone", outcome);
    }

    /// Tokens that stand there already.
    async fn held(&mut self, capabilities: Capabilities) {
        self.skip("create", "CREATE is not offered");
        if !capabilities.contains(Capability::Lookup) {
            return self.skip("lookup", "LOOKUP is not offered");
        }
        let outcome = match self.records(&self.user).await {
            Err(error) => Err(error.to_string()),
            Ok(records) if records.is_empty() => {
                Err(format!("{} has no token there; name somebody who has with --user", self.user))
            }
            Ok(records) => {
                let mut readable = records.iter().map(|record| {
                    let text = record.hash.clone().unwrap_or_default();
                    Proof::parse(&text, None)
                        .map_err(|bad| format!("the hash of {} {bad}", record.id))
                });
                match readable.find_map(Result::err) {
                    Some(bad) => Err(bad),
                    None => Ok(format!("{} tokens, whose hashes can be compared", records.len())),
                }
            }
        };
        self.note("lookup", outcome);
        if capabilities.contains(Capability::List) {
            let query =
                ListQuery { user: Some(self.user.clone()), limit: 1, ..ListQuery::default() };
            let outcome = match self.repository.list(&query).await {
                Ok(page) if page.tokens.len() == 1 => Ok("a page of one token".to_owned()),
                Ok(_) => Err("the first page is empty".to_owned()),
                Err(error) => Err(error.to_string()),
            };
            self.note("list", outcome);
        }
    }

    /// What is not offered is refused, and not done silently.
    async fn unsupported(&mut self, capabilities: Capabilities) {
        let Ok(id) = ForeignId::parse(&format!("nobody-{}", self.nonce)) else { return };
        if capabilities.contains(Capability::Update) {
            return;
        }
        let change = ForeignChange::default();
        let outcome = match self.repository.update(&id, &change, None).await {
            Err(RepositoryError::Unsupported(_)) => Ok("405".to_owned()),
            Err(error) => Err(error.to_string()),
            Ok(_) => Err("it is done, although it is not offered".to_owned()),
        };
        self.note("what is not offered", outcome);
    }
}

//! Tokens out of `cm_co_service_tokens` and `cm_passwords`: one of a person for a service.

use std::collections::{BTreeMap, HashMap, HashSet};

use counterfoil_authority::authority::{Incoming, IncomingFacts, IncomingSecret, IncomingToken};
use counterfoil_authority::foreign::ForeignHash;
use counterfoil_authority::names::Username;
use counterfoil_authority::secret::ClearSecret;

use super::super::token_id;
use super::{Item, Options, Read, Row, Tables, Taken, stands};

/// A token with the number of its service.
pub(super) struct Found<'a> {
    /// The service's row.
    pub(super) service: i64,
    /// The token.
    pub(super) item: Item,
    row: &'a Row,
}

/// The tokens of the old plugin.
const TOKENS: &str = "cm_co_service_tokens";
/// The passwords of authenticators.
const PASSWORDS: &str = "cm_passwords";

/// Which form of a password is the one to take. What is in clear is hashed here, and best; bcrypt
/// costs most with each comparison. A token of the old plugin has 0: it is the oldest.
fn rank(kind: &str) -> u8 {
    match kind {
        "NO" => 3,
        "SH" | "EX" => 2,
        _ => 1,
    }
}

/// What is chosen from, by service and person.
#[derive(Default)]
struct Choice<'a> {
    best: BTreeMap<(i64, i64), (u8, String, Found<'a>)>,
}

impl<'a> Choice<'a> {
    fn offer(&mut self, rank: u8, person: i64, found: Found<'a>, read: &mut Read) {
        let key = (found.service, person);
        let when = found.row.owned("modified").unwrap_or_default();
        let is_better = self.best.get(&key).is_none_or(|(other_rank, other_when, other)| {
            (*other_rank, other_when.as_str(), other.row.id())
                < (rank, when.as_str(), found.row.id())
        });
        let loser = if is_better {
            self.best.insert(key, (rank, when, found)).map(|(_, _, found)| found)
        } else {
            Some(found)
        };
        // Another form of the same password is no loss; another secret is.
        if let Some(loser) = loser.filter(|loser| rank == 0 || loser.item.table != PASSWORDS) {
            let why = "another row has the token of this person for this service";
            read.skip(loser.item.table, loser.row, why);
        }
    }
}

/// What all tokens are made from.
struct Source<'a, 'b> {
    tables: &'a Tables,
    services: &'b [Taken<'b>],
    people: &'b HashMap<i64, Username>,
    options: &'b Options,
}

/// The tokens of all services.
pub(super) fn tokens<'a>(
    tables: &'a Tables,
    services: &[Taken<'_>],
    people: &HashMap<i64, Username>,
    options: &Options,
    read: &mut Read,
) -> Vec<Found<'a>> {
    let source = Source { tables, services, people, options };
    let mut choice = Choice::default();
    source.of_plugin(&mut choice, read);
    source.of_passwords(&mut choice, read);
    choice.best.into_values().map(|(_, _, found)| found).collect()
}

impl<'a> Source<'a, '_> {
    fn person(&self, row: &Row) -> Option<(i64, &Username)> {
        let id = row.number("co_person_id")?;
        Some((id, self.people.get(&id)?))
    }

    /// The tokens of the plugin that there was up to Registry 3.2, in clear.
    fn of_plugin(&self, choice: &mut Choice<'a>, read: &mut Read) {
        for row in self.tables.of(TOKENS) {
            let wanted = row.number("co_service_id");
            let service = self.services.iter().find(|taken| wanted == Some(taken.row.id()));
            let (Some(service), Some((id, _))) = (service, self.person(row)) else {
                read.skip(TOKENS, row, "its service or its person is not taken over");
                continue;
            };
            let Some(clear) = row.text("token") else {
                read.skip(TOKENS, row, "has no token");
                continue;
            };
            let secret = IncomingSecret::Clear(ClearSecret::new(clear.to_owned()));
            if let Some(found) = self.found(TOKENS, row, service, secret, false) {
                choice.offer(0, id, found, read);
            }
        }
    }

    /// The passwords of authenticators, for every service that uses one.
    fn of_passwords(&self, choice: &mut Choice<'a>, read: &mut Read) {
        let locked = locked(self.tables);
        let authenticators = authenticators(self.tables);
        let rows = self.tables.of(PASSWORDS).iter();
        for row in rows.filter(|row| stands(row, "password_id")) {
            let authenticator = row.number("password_authenticator_id").and_then(|id| {
                // Where the table that leads from one to the other is not there, they are the same.
                authenticators.as_ref().map_or(Some(id), |map| map.get(&id).copied())
            });
            let (Some(authenticator), Some((id, _))) = (authenticator, self.person(row)) else {
                read.skip(PASSWORDS, row, "its authenticator or its person is not taken over");
                continue;
            };
            let kind = row.text("password_type").unwrap_or_default();
            let secret = match secret_of(kind, row.text("password")) {
                Ok(secret) => secret,
                Err(why) => {
                    read.skip(PASSWORDS, row, why);
                    continue;
                }
            };
            let uses =
                |taken: &&Taken<'_>| taken.row.number("authenticator_id") == Some(authenticator);
            let is_locked = locked.contains(&(authenticator, id));
            let mut services = self.services.iter().filter(uses).peekable();
            if services.peek().is_none() {
                read.skip(PASSWORDS, row, "no service that is taken over uses its authenticator");
            }
            for service in services {
                if let Some(found) = self.found(PASSWORDS, row, service, secret.clone(), is_locked)
                {
                    choice.offer(rank(kind), id, found, read);
                }
            }
        }
    }

    fn found(
        &self,
        table: &'static str,
        row: &'a Row,
        service: &Taken<'_>,
        secret: IncomingSecret,
        locked: bool,
    ) -> Option<Found<'a>> {
        let (person, username) = self.person(row)?;
        let label = &service.label;
        let changed = row.text("modified").unwrap_or_default();
        let id = row.id().to_string();
        let realm = self.options.realm.as_str();
        let token = IncomingToken {
            id: token_id(
                b"counterfoil import comanage 1",
                &[realm, table, &id, username.as_str(), label.as_str(), changed],
            )?,
            user: username.clone(),
            service: label.clone(),
            secret,
            // The plugin always drew its tokens; a password may have been chosen.
            drawn: table == TOKENS,
            locked,
            row: format!("comanage person {person}"),
            pat: None,
            facts: IncomingFacts::default(),
        };
        let what = format!("{username} for {label}");
        let (id, place) = (row.id(), row.place.clone());
        let item = Item { table, id, place, what, incoming: Incoming::Token(token) };
        Some(Found { service: service.row.id(), item, row })
    }
}

fn secret_of(kind: &str, value: Option<&str>) -> Result<IncomingSecret, String> {
    let value = value.ok_or("is empty")?;
    let hash = match kind {
        "NO" => return Ok(IncomingSecret::Clear(ClearSecret::new(value.to_owned()))),
        "CR" => ForeignHash::bcrypt(value),
        "SH" => ForeignHash::ssha(value),
        "EX" => ForeignHash::of_any(value),
        other => return Err(format!("password_type {other:?} is none that is known")),
    };
    hash.map(IncomingSecret::Foreign).map_err(|bad| format!("{kind} {bad}"))
}

/// Authenticators by their password settings; `None` if that table is not there.
fn authenticators(tables: &Tables) -> Option<HashMap<i64, i64>> {
    const TABLE: &str = "cm_password_authenticators";
    let pair = |row: &Row| Some((row.id(), row.number("authenticator_id")?));
    tables.has(TABLE).then(|| tables.of(TABLE).iter().filter_map(pair).collect())
}

/// Authenticator and person of what is locked; all people of one that is suspended.
fn locked(tables: &Tables) -> HashSet<(i64, i64)> {
    let pair = |row: &Row| Some((row.number("authenticator_id")?, row.number("co_person_id")?));
    let statuses = tables.of("cm_authenticator_statuses").iter();
    let own = statuses.filter(|row| row.is_true("locked")).filter_map(pair);
    let mut locked: HashSet<(i64, i64)> = own.collect();
    for row in tables.of("cm_authenticators") {
        if row.text("status") == Some("S") && stands(row, "authenticator_id") {
            let people = tables.of("cm_co_people").iter();
            locked.extend(people.map(|person| (row.id(), person.id())));
        }
    }
    locked
}

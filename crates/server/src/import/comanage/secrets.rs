//! Tokens out of `cm_co_service_tokens` and `cm_passwords`: one of a person for a service.

use std::collections::{BTreeMap, HashMap, HashSet};

use counterfoil_authority::authority::{Incoming, IncomingSecret, IncomingToken};
use counterfoil_authority::foreign::ForeignHash;
use counterfoil_authority::names::Username;
use counterfoil_authority::secret::{ClearSecret, TokenId};
use sha2::{Digest as _, Sha256};

use super::{Item, Options, Read, Row, Tables, Taken, stands};

/// A token with the number of its service.
pub(super) struct Found<'a> {
    /// The service's row.
    pub(super) service: i64,
    /// The token.
    pub(super) item: Item,
    row: &'a Row,
}

/// Which of two rows with a secret of a person is the one to take.
fn rank(table: &str, kind: &str) -> u8 {
    match (table, kind) {
        // What is in clear is hashed here, and best; bcrypt costs most with each comparison.
        ("cm_passwords", "NO") => 3,
        ("cm_passwords", "SH" | "EX") => 2,
        ("cm_passwords", _) => 1,
        _ => 0,
    }
}

/// The tokens of all services.
pub(super) fn tokens<'a>(
    tables: &'a Tables,
    services: &[Taken<'_>],
    people: &HashMap<i64, Username>,
    options: &Options,
    read: &mut Read,
) -> Vec<Found<'a>> {
    let mut best: BTreeMap<(i64, i64), (u8, String, Found<'a>)> = BTreeMap::new();
    let mut offer = |rank: u8, person: i64, found: Found<'a>, read: &mut Read| {
        let key = (found.service, person);
        let when = found.row.owned("modified").unwrap_or_default();
        let better =
            best.get(&key).is_none_or(|(r, w, other)| {
                (*r, w.as_str(), other.row.id()) < (rank, when.as_str(), found.row.id())
            });
        let loser = if better { best.insert(key, (rank, when, found)).map(|b| b.2) } else { Some(found) };
        if let Some(loser) = loser {
            // The other forms of the same password are no loss; another secret is.
            if rank == 0 || loser.item.table != "cm_passwords" {
                read.skip(loser.item.table, loser.row, "another row has a newer token of the same \
                    person for the same service");
            }
        }
    };
    for row in tables.of("cm_co_service_tokens") {
        let service = services.iter().find(|taken| row.number("co_service_id") == Some(taken.row.id()));
        let person = row.number("co_person_id").and_then(|id| Some((id, people.get(&id)?)));
        let (Some(service), Some((id, username))) = (service, person) else {
            read.skip("cm_co_service_tokens", row, "its service or its person is not taken over");
            continue;
        };
        let Some(clear) = row.text("token") else {
            read.skip("cm_co_service_tokens", row, "has no token");
            continue;
        };
        let secret = IncomingSecret::Clear(ClearSecret::new(clear.to_owned()));
        let found =
            found("cm_co_service_tokens", row, service, (id, username), secret, false, options);
        offer(0, id, found, read);
    }
    let locked = locked(tables);
    let authenticators = authenticators(tables);
    for row in tables.of("cm_passwords").iter().filter(|row| stands(row, "password_id")) {
        const TABLE: &str = "cm_passwords";
        let authenticator = row.number("password_authenticator_id").map(|id| {
            // Where the table that leads from one to the other is not there, they are the same.
            authenticators.as_ref().map_or(Some(id), |map| map.get(&id).copied())
        });
        let person = row.number("co_person_id").and_then(|id| Some((id, people.get(&id)?)));
        let (Some(Some(authenticator)), Some((id, username))) = (authenticator, person) else {
            read.skip(TABLE, row, "its authenticator or its person is not taken over");
            continue;
        };
        let kind = row.text("password_type").unwrap_or_default();
        let secret = match secret_of(kind, row.text("password")) {
            Ok(secret) => secret,
            Err(why) => {
                read.skip(TABLE, row, why);
                continue;
            }
        };
        let of_it = services
            .iter()
            .filter(|taken| taken.row.number("authenticator_id") == Some(authenticator));
        let mut has_service = false;
        for service in of_it {
            has_service = true;
            let is_locked = locked.contains(&(authenticator, id));
            let secret = secret.clone();
            let found = found(TABLE, row, service, (id, username), secret, is_locked, options);
            offer(rank(TABLE, kind), id, found, read);
        }
        if !has_service {
            read.skip(TABLE, row, "no service that is taken over uses its authenticator");
        }
    }
    best.into_values().map(|(_, _, found)| found).collect()
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

fn found<'a>(
    table: &'static str,
    row: &'a Row,
    service: &Taken<'_>,
    (person, username): (i64, &Username),
    secret: IncomingSecret,
    locked: bool,
    options: &Options,
) -> Found<'a> {
    let label = &service.label;
    let changed = row.text("modified").unwrap_or_default();
    let id = row.id().to_string();
    let named = [&options.realm, table, &id, username.as_str(), label.as_str(), changed];
    let token = IncomingToken {
        id: token_id(&named),
        user: username.clone(),
        service: label.clone(),
        secret,
        locked,
        row: format!("comanage person {person}"),
    };
    let what = format!("{username} for {label}");
    let (id, place) = (row.id(), row.place.clone());
    let item = Item { table, id, place, what, incoming: Incoming::Token(token) };
    Found { service: service.row.id(), item, row }
}

/// The same id in every run, and another one for another secret in the same row: COmanage notes
/// when it wrote a row. Nothing of the secret is in it.
fn token_id(named: &[&str]) -> TokenId {
    const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut hash = Sha256::new();
    hash.update(b"counterfoil import comanage 1");
    for part in named {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part.as_bytes());
    }
    let bytes: [u8; 32] = hash.finalize().into();
    let digit = |byte: &u8| char::from(DIGITS[usize::from(*byte) % DIGITS.len()]);
    let text: String = bytes.iter().take(12).map(digit).collect();
    // Twelve of these digits are always an id.
    #[expect(clippy::expect_used, reason = "twelve base62 digits are the shape of an id")]
    TokenId::parse(&text).expect("an id")
}

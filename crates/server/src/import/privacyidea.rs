//! privacyIDEA's tokens, as `pi-tokenjanitor find export` writes them: a JSON list, encrypted
//! under a key that the command shows, or a PSKC file.
//!
//! Seeds of HOTP and TOTP become authentication tokens here; fixed passwords, application
//! passwords and registration codes become service tokens. What has no counterpart is told.

mod fernet;
mod pskc;

use std::collections::HashMap;
use std::sync::Arc;

use counterfoil_authority::authority::{IncomingFacts, IncomingSecret, OtpDraft, UserDraft};
use counterfoil_authority::clock::Timestamp;
use counterfoil_authority::names::{ServiceLabel, Username};
use counterfoil_authority::otp::{Algorithm, Method, Shape, SharedSeed};
use counterfoil_authority::secret::ClearSecret;
use counterfoil_authority::text;
use data_encoding::HEXLOWER;
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::comanage::Read;
use super::lines::{Line, Options, Sheet};
use super::rows::Place;

/// Labels of what has no field of its own.
const SERIAL: &str = "privacyidea-serial";
const REALM: &str = "privacyidea-realm";

/// Whose tokens are, by their serials.
pub(crate) type Owners = HashMap<String, Username>;

/// How an export is read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reading<'a> {
    /// The key that it is encrypted under.
    pub(crate) key: Option<&'a str>,
    /// The password that it is encrypted under, if it is a PSKC file.
    pub(crate) password: Option<&'a str>,
    /// Whose tokens are that name nobody.
    pub(crate) owners: Option<&'a Owners>,
    /// The only realm of privacyIDEA whose people are meant.
    pub(crate) from_realm: Option<&'a str>,
    /// Whether tokens that ask for a PIN in front are taken over without it.
    pub(crate) drop_pins: bool,
}

/// Reads the text of a file.
///
/// # Errors
///
/// Where it cannot be opened, is no export, or is of several realms; nothing of it is repeated.
pub(crate) fn map(
    text: &str,
    file: &str,
    reading: Reading<'_>,
    options: &Options,
) -> Result<Read, String> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.trim_start().starts_with('<') {
        return pskc::map(text, file, reading, options);
    }
    if reading.password.is_some() {
        return Err(format!("{file}: is no PSKC file, so no password opens it"));
    }
    let clear = match reading.key {
        Some(key) => fernet::open(text, key).map_err(|why| format!("{file}: {why}"))?,
        None => Zeroizing::new(text.to_owned()),
    };
    let tokens: Vec<Map<String, Value>> = serde_json::from_str(&clear).map_err(|_| {
        let why = "is no list of privacyIDEA's tokens; export them with \
            `pi-tokenjanitor find export --format pi` or `--format pskc`, and give its key with \
            --key-file";
        format!("{file}: {why}")
    })?;
    let mut realms: Vec<&str> = tokens.iter().filter_map(|token| user(token, "realm")).collect();
    realms.sort_unstable();
    realms.dedup();
    if reading.from_realm.is_none() && realms.len() > 1 {
        let realms = realms.join(", ");
        return Err(format!("{file}: has people of several realms ({realms}); say --from-realm"));
    }
    let place = Place { file: Arc::from(file), line: 1 };
    let mut sheet = Sheet::new(options);
    for (number, token) in (1_i64..).zip(&tokens) {
        let elsewhere = reading.from_realm.is_some_and(|realm| user(token, "realm") != Some(realm));
        if elsewhere && user(token, "realm").is_some() {
            continue;
        }
        let mut lost = Vec::new();
        let read = of_token(token, (&place, number), reading, options, &mut lost);
        let serial = serial(token).unwrap_or_default();
        let named = |why: String| format!("{serial}: {why}");
        if read.is_ok() {
            for why in lost {
                sheet.remark(&place, number, named(why));
            }
        }
        sheet.settle(&place, number, read.map_err(named));
    }
    Ok(sheet.finish())
}

fn user<'a>(token: &'a Map<String, Value>, field: &str) -> Option<&'a str> {
    token.get("user")?.get(field)?.as_str()
}

fn text_of<'a>(token: &'a Map<String, Value>, field: &str) -> Option<&'a str> {
    token.get(field)?.as_str().filter(|text| !text.is_empty())
}

fn info<'a>(token: &'a Map<String, Value>, field: &str) -> Option<&'a str> {
    token.get("info_list")?.get(field)?.as_str().filter(|text| !text.is_empty())
}

fn number(token: &Map<String, Value>, field: &str) -> Option<u64> {
    token.get(field)?.as_u64()
}

fn is_set(token: &Map<String, Value>, field: &str) -> bool {
    token.get(field) == Some(&Value::Bool(true))
}

/// Its serial, if it is a line.
fn serial(token: &Map<String, Value>) -> Option<&str> {
    text_of(token, "serial").filter(|serial| text::check_line(serial).is_ok())
}

fn of_token(
    token: &Map<String, Value>,
    (place, nth): (&Place, i64),
    reading: Reading<'_>,
    options: &Options,
    lost: &mut Vec<String>,
) -> Result<Line, String> {
    let serial = serial(token).ok_or("has no serial")?;
    if is_set(token, "revoked") {
        return Err("was revoked".to_owned());
    }
    if !matches!(text_of(token, "rollout_state"), None | Some("enrolled")) {
        return Err("was never enrolled to its end".to_owned());
    }
    let login = user(token, "login").map(Username::parse).transpose();
    let named = login.map_err(|bad| format!("its user: {bad}"))?;
    let name = owner(named, serial, reading, options)?;
    let secret = secret(token)?;
    if text_of(token, "_hashed_pin").is_some() {
        if !reading.drop_pins {
            let why = "asks for a PIN in front, which nothing here does; say --drop-pins to take \
                it over without";
            return Err(why.to_owned());
        }
        lost.push("is good without its PIN from now on".to_owned());
    }
    let mut facts = IncomingFacts {
        name: line_of(token, "description")?.or_else(|| Some(serial.to_owned())),
        not_before: instant(token, "validity_period_start")?,
        expires_at: instant(token, "validity_period_end")?,
        disabled: token.get("active") == Some(&Value::Bool(false)),
        max_usages: uses_left(token, lost)?,
        ..IncomingFacts::default()
    };
    if text_of(token, "type") == Some("registration") {
        facts.max_usages = Some(1);
    }
    facts.labels.insert(SERIAL.to_owned(), serial.to_owned());
    if let Some(realm) = user(token, "realm").filter(|realm| text::check_line(realm).is_ok()) {
        facts.labels.insert(REALM.to_owned(), realm.to_owned());
    }
    if number(token, "failcount") >= number(token, "maxfail").filter(|most| *most > 0)
        && number(token, "maxfail").is_some_and(|most| most > 0)
    {
        lost.push("was out of use after too many failures, and is in use again".to_owned());
    }
    Ok(Line {
        place: place.clone(),
        number: nth,
        person: UserDraft::new(name),
        service: service(token, options)?,
        secret,
        identity: serial.to_owned(),
        locked: is_set(token, "locked"),
        facts,
    })
}

/// Whose a token is: who it names, who stands in the table, or who is named for all others.
fn owner(
    named: Option<Username>,
    serial: &str,
    reading: Reading<'_>,
    options: &Options,
) -> Result<Username, String> {
    let found = named.or_else(|| reading.owners?.get(serial).cloned());
    found.or_else(|| options.owner.clone()).ok_or_else(|| {
        "belongs to nobody; hardware in stock is taken over with `counterfoil token import`"
            .to_owned()
    })
}

/// Reads who owns which token: an object in each line, as `pi-tokenjanitor find list -u username
/// --format json` writes it, or CSV with the columns `serial` and `user`. What else is said there
/// is passed over.
///
/// # Errors
///
/// Where it is neither, names nobody, or names two for one token.
pub(crate) fn owners(text: &str, file: &str) -> Result<Owners, String> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let pairs = if text.trim_start().starts_with('{') {
        pairs_of_json(text, file)?
    } else {
        pairs_of_csv(text, file)?
    };
    let mut owners = Owners::new();
    for (line, serial, user) in pairs {
        let at = |why: &str| format!("{file}:{line}: {why}");
        if serial.is_empty() {
            return Err(at("has no serial"));
        }
        // Without an owner it is in stock.
        if user.is_empty() {
            continue;
        }
        let name = Username::parse(&user).map_err(|bad| at(&bad.to_string()))?;
        if owners.insert(serial, name).is_some() {
            return Err(at("another line names this serial"));
        }
    }
    Ok(owners)
}

fn pairs_of_json(text: &str, file: &str) -> Result<Vec<(u64, String, String)>, String> {
    let mut pairs = Vec::new();
    for (line, number) in text.lines().zip(1_u64..).filter(|(line, _)| !line.trim().is_empty()) {
        let read = serde_json::from_str::<Map<String, Value>>(line);
        let read = read.map_err(|_| format!("{file}:{number}: is no JSON object"))?;
        let text = |found: Option<&str>| found.unwrap_or_default().to_owned();
        pairs.push((number, text(text_of(&read, "serial")), text(user(&read, "username"))));
    }
    Ok(pairs)
}

fn pairs_of_csv(text: &str, file: &str) -> Result<Vec<(u64, String, String)>, String> {
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(text.as_bytes());
    let heading = reader.headers().map_err(|_| format!("{file}:1: has no heading"))?;
    let column = |name: &str| heading.iter().position(|own| own.eq_ignore_ascii_case(name));
    let (Some(serial), Some(user)) = (column("serial"), column("user")) else {
        return Err(format!("{file}:1: has no columns serial and user"));
    };
    let mut pairs = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|error| {
            let line = error.position().map_or(0, csv::Position::line);
            format!("{file}:{line}: is no line of a table")
        })?;
        let cell = |at: usize| record.get(at).unwrap_or_default().to_owned();
        let line = record.position().map_or(0, csv::Position::line);
        pairs.push((line, cell(serial), cell(user)));
    }
    Ok(pairs)
}

/// An application password has a service of its own; the others are for the one that is named.
fn service(token: &Map<String, Value>, options: &Options) -> Result<ServiceLabel, String> {
    let own = info(token, "service_id").filter(|_| text_of(token, "type") == Some("applspec"));
    match own {
        Some(name) => ServiceLabel::parse(&name.to_lowercase())
            .map_err(|bad| format!("its service_id: {bad}")),
        None => options.service.clone().ok_or_else(|| "no service is named".to_owned()),
    }
}

fn line_of(token: &Map<String, Value>, field: &str) -> Result<Option<String>, String> {
    let Some(found) = text_of(token, field) else { return Ok(None) };
    text::check_line(found).map_err(|why| format!("{field}: {why}"))?;
    Ok(Some(found.to_owned()))
}

/// `2030-01-31T12:00+0100`.
fn instant(token: &Map<String, Value>, field: &str) -> Result<Option<Timestamp>, String> {
    let Some(found) = info(token, field) else { return Ok(None) };
    let bad = || format!("{field}: is no time with an offset");
    let (local, offset) = found.split_at_checked(found.len().saturating_sub(5)).ok_or_else(bad)?;
    let (hours, minutes) = offset.split_at_checked(3).ok_or_else(bad)?;
    let seconds = if local.len() == "2030-01-31T12:00".len() { ":00" } else { "" };
    let spelled = if found.ends_with('Z') || offset.contains(':') {
        found.to_owned()
    } else {
        format!("{local}{seconds}{hours}:{minutes}")
    };
    let edge = counterfoil_authority::clock::DayEdge::End;
    Timestamp::parse(&spelled, "UTC", edge).map(Some).map_err(|_| bad())
}

/// What is left of a limit of uses.
fn uses_left(token: &Map<String, Value>, lost: &mut Vec<String>) -> Result<Option<u64>, String> {
    let count = |field: &str| match info(token, field) {
        None => Ok(0),
        Some(text) => text.parse::<u64>().map_err(|_| format!("{field}: is no number")),
    };
    if count("count_auth_max")? > 0 {
        lost.push("has no limit of attempts here".to_owned());
    }
    // None and 0 are no limit there.
    match count("count_auth_success_max")? {
        0 => Ok(None),
        most => Ok(Some(most.saturating_sub(count("count_auth_success")?))),
    }
}

fn secret(token: &Map<String, Value>) -> Result<IncomingSecret, String> {
    let sort = text_of(token, "type").unwrap_or_default().to_ascii_lowercase();
    let key = text_of(token, "otpkey");
    match sort.as_str() {
        "pw" | "applspec" | "registration" => {
            let clear = key.ok_or("has no password")?;
            Ok(IncomingSecret::Clear(ClearSecret::new(clear.to_owned())))
        }
        "hotp" => codes(token, Method::Hotp, key),
        "totp" => codes(token, Method::Totp, key),
        other => {
            let shown: String =
                other.chars().filter(char::is_ascii_alphanumeric).take(20).collect();
            Err(format!("nothing here is like a token of the type {shown}"))
        }
    }
}

fn codes(
    token: &Map<String, Value>,
    method: Method,
    key: Option<&str>,
) -> Result<IncomingSecret, String> {
    let hex = Zeroizing::new(key.ok_or("has no seed")?.to_ascii_lowercase());
    let seed = HEXLOWER.decode(hex.as_bytes()).map_err(|_| "its seed is not in hexadecimal")?;
    let seed = SharedSeed::new(seed).map_err(|bad| bad.to_string())?;
    let algorithm = info(token, "hashlib").unwrap_or("sha1");
    let step = info(token, "timeStep").unwrap_or("30");
    let digits = number(token, "otplen").and_then(|digits| u32::try_from(digits).ok());
    let shape = Shape {
        algorithm: Algorithm::from_name(algorithm).ok_or("its hashlib is not known")?,
        digits: digits.unwrap_or(6),
        step_seconds: step.parse().map_err(|_| "its timeStep is no number")?,
    };
    shape.check().map_err(|(_, why)| why)?;
    // For TOTP it is the step that was accepted last, which is over by now.
    let counter = number(token, "counter").filter(|_| method == Method::Hotp).unwrap_or(0);
    let draft = OtpDraft { shape, seed: Some(seed), counter, ..OtpDraft::of(method) };
    Ok(IncomingSecret::Codes(Box::new(draft)))
}

#[cfg(test)]
mod tests;

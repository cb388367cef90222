//! Tables of tokens that somebody wrote for this: CSV with a heading, or a JSON object in each
//! line. Both have the same columns.

mod columns;

use std::sync::Arc;

use counterfoil_authority::authority::{IncomingFacts, IncomingSecret, UserDraft};
use counterfoil_authority::clock::DayEdge;
use counterfoil_authority::foreign::ForeignScheme;
use counterfoil_authority::foreign::{FOREIGN_KEY_LENGTH_MIN, ForeignHash, ForeignKey};
use counterfoil_authority::secret::ClearSecret;
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use self::columns::Columns;
use super::comanage::Read;
use super::lines::{Line, Options, Sheet};
use super::rows::{Place, ROWS_MAX};

/// The columns that a table may have.
const COLUMNS: [&str; 19] = [
    "user",
    "service",
    "id",
    "name",
    "description",
    "secret",
    "hash",
    "format",
    "expires_at",
    "not_before",
    "scopes",
    "permissions",
    "networks",
    "labels",
    "max_usages",
    "enabled",
    "locked",
    "display_name",
    "email",
];

/// Letters in which a name may differ from that of a column and is still taken for a slip; half of
/// them at most.
const EDITS_MAX: usize = 2;

/// Reads the text of a file: JSON lines if its first one begins with a brace, CSV otherwise.
///
/// # Errors
///
/// Where the file as a whole is no table; nothing of a secret is repeated.
pub(crate) fn map(text: &str, file: &str, options: &Options) -> Result<Read, String> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let file: Arc<str> = file.into();
    let mut sheet = Sheet::new(options);
    if text.trim_start().starts_with('{') {
        of_json(text, &file, &mut sheet);
    } else {
        of_csv(text, &file, &mut sheet)?;
    }
    Ok(sheet.finish())
}

fn of_json(text: &str, file: &Arc<str>, sheet: &mut Sheet<'_>) {
    for (line, index) in text.lines().zip(1_usize..) {
        if line.trim().is_empty() {
            continue;
        }
        let place = Place { file: Arc::clone(file), line: index };
        let number = i64::try_from(index).unwrap_or(i64::MAX);
        let read = match serde_json::from_str::<Map<String, Value>>(line) {
            // What the parser says may repeat what stands there.
            Err(_) => Err("is no JSON object".to_owned()),
            Ok(object) => match object.keys().find(|key| !COLUMNS.contains(&key.as_str())) {
                Some(strange) => Err(format!("one of its names: {}", unknown_column(strange))),
                None => of_row(Columns(object), (&place, number), sheet.options()),
            },
        };
        sheet.settle(&place, number, read);
    }
}

/// What is said of a name that no column has. It may be no name but a value, and a secret at that,
/// where a file has no heading: only what is nearly a known name is repeated.
fn unknown_column(name: &str) -> String {
    let name = name.trim().to_ascii_lowercase();
    let far = |known: &&str| counterfoil_authority::text::distance(&name, known);
    let nearest = COLUMNS.into_iter().min_by_key(far).unwrap_or_default();
    let is_near = far(&nearest) <= EDITS_MAX && far(&nearest) * 2 <= nearest.len();
    if !is_near || name.contains(char::is_control) {
        return "there is no such column".to_owned();
    }
    format!("there is no column {name}; did you mean {nearest}?")
}

fn of_csv(text: &str, file: &Arc<str>, sheet: &mut Sheet<'_>) -> Result<(), String> {
    let heading = text.lines().next().unwrap_or_default();
    let delimiter = if heading.contains(';') && !heading.contains(',') { b';' } else { b',' };
    let mut reader =
        csv::ReaderBuilder::new().delimiter(delimiter).flexible(true).from_reader(text.as_bytes());
    let no_heading = || format!("{file}:1: has no heading, a line with the names of columns");
    let heading: Vec<String> = reader
        .headers()
        .map_err(|_| no_heading())?
        .iter()
        .map(|n| n.trim().to_ascii_lowercase())
        .collect();
    if heading.is_empty() {
        return Err(no_heading());
    }
    // It is no heading then, and what stands there may be anything.
    if !heading.iter().any(|name| COLUMNS.contains(&name.as_str())) {
        let why = "the first line names no known column; is the heading missing?";
        return Err(format!("{file}:1: {why}"));
    }
    for (index, name) in heading.iter().enumerate() {
        let at = format!("{file}:1: column {}", index + 1);
        if !COLUMNS.contains(&name.as_str()) {
            return Err(format!("{at}: {}", unknown_column(name)));
        }
        if heading.iter().take(index).any(|earlier| earlier == name) {
            return Err(format!("{at}: {name} stands there twice"));
        }
    }
    for (record, number) in reader.records().zip(1_i64..) {
        let record = match record {
            Ok(record) => record,
            Err(error) => {
                let line = error.position().map_or(0, csv::Position::line);
                return Err(format!("{file}:{line}: is no line of a table"));
            }
        };
        if usize::try_from(number).is_ok_and(|rows| rows > ROWS_MAX) {
            return Err(format!("{file}: has more than {ROWS_MAX} lines"));
        }
        let line = record.position().map_or(0, csv::Position::line);
        let line = usize::try_from(line).unwrap_or(usize::MAX);
        let place = Place { file: Arc::clone(file), line };
        if record.len() != heading.len() {
            let why = format!("has {} fields, and the heading {}", record.len(), heading.len());
            sheet.refuse(&place, number, why);
            continue;
        }
        let cells = heading.iter().zip(record.iter()).filter(|(_, text)| !text.is_empty());
        let cells = cells.map(|(name, text)| (name.clone(), Value::String(text.to_owned())));
        let read = of_row(Columns(cells.collect()), (&place, number), sheet.options());
        sheet.settle(&place, number, read);
    }
    Ok(())
}

fn of_row(
    mut cells: Columns,
    (place, number): (&Place, i64),
    options: &Options,
) -> Result<Line, String> {
    let user = cells.user()?.or_else(|| options.owner.clone());
    let user = user.ok_or("column user: is missing")?;
    let service = cells.service()?.or_else(|| options.service.clone());
    let service = service.ok_or("column service: is missing, and no --service is named")?;
    let secret = secret(&mut cells)?;
    let facts = IncomingFacts {
        one_of_several: true,
        name: cells.line("name")?,
        description: cells.line("description")?,
        scopes: cells.scopes()?,
        permissions: cells.permissions()?,
        networks: cells.networks()?,
        labels: cells.labels()?,
        not_before: cells.time("not_before", &options.zone, DayEdge::Start)?,
        expires_at: cells.time("expires_at", &options.zone, DayEdge::End)?,
        max_usages: cells.count("max_usages")?,
        disabled: cells.truth("enabled")? == Some(false),
    };
    let mut draft = UserDraft::new(user);
    draft.display_name = cells.line("display_name")?;
    draft.emails = cells.email()?.into_iter().collect();
    let id = cells.line("id")?;
    let identity = match (id, &facts.name) {
        (Some(id), _) => id,
        (None, Some(name)) => format!("{}/{name}", draft.username),
        (None, None) => draft.username.to_string(),
    };
    let locked = cells.truth("locked")? == Some(true);
    let place = place.clone();
    Ok(Line { place, number, person: draft, service, secret, identity, locked, facts })
}

/// What a line says of the secret: in clear, as the hash of a password, or as that of a key.
fn secret(cells: &mut Columns) -> Result<IncomingSecret, String> {
    let format = cells.line("format")?.map(|format| format.to_ascii_lowercase());
    let format = format.as_deref();
    match (cells.secret("secret")?, cells.secret("hash")?) {
        (Some(_), Some(_)) => Err("column hash: stands beside a secret in clear".to_owned()),
        (None, None) => Err("column hash: is missing, and so is secret".to_owned()),
        (Some(clear), None) => match format {
            None | Some("plain") => Ok(IncomingSecret::Clear(ClearSecret::new((*clear).clone()))),
            Some("key") => ForeignKey::of(&clear).map(IncomingSecret::Key).ok_or_else(|| {
                format!("column secret: a key has at least {FOREIGN_KEY_LENGTH_MIN} characters")
            }),
            Some(_) => Err("column format: a secret in clear is `plain` or `key`".to_owned()),
        },
        (None, Some(hash)) => of_hash(&hash, format),
    }
}

fn of_hash(hash: &str, format: Option<&str>) -> Result<IncomingSecret, String> {
    let bad = |bad| format!("column hash: {bad}");
    let says_sha256 = ["sha256:", "{sha256}"]
        .iter()
        .any(|p| hash.get(..p.len()).is_some_and(|head| head.eq_ignore_ascii_case(p)));
    if format == Some("sha256") || (format.is_none() && says_sha256) {
        return ForeignKey::parse(hash).map(IncomingSecret::Key).map_err(bad);
    }
    let named = match format {
        Some(name @ ("sha" | "ssha" | "ssha256" | "ssha512")) if !hash.starts_with('{') => {
            Zeroizing::new(format!("{{{name}}}{hash}"))
        }
        _ => Zeroizing::new(hash.to_owned()),
    };
    let read = ForeignHash::of_any(&named).map_err(bad)?;
    let scheme = read.recipe.scheme();
    let crypts = [
        ForeignScheme::Bcrypt,
        ForeignScheme::Md5Crypt,
        ForeignScheme::Sha256Crypt,
        ForeignScheme::Sha512Crypt,
    ];
    let agrees = match format {
        None => true,
        Some("crypt") => crypts.contains(&scheme),
        Some(name) => name == scheme.name(),
    };
    if !agrees {
        let why = format!("column format: the hash is of the sort {}", scheme.name());
        return Err(why);
    }
    Ok(IncomingSecret::Foreign(read))
}

#[cfg(test)]
mod tests;

//! Tables of seeds: lines that people and tools write, separated by commas or semicolons.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use counterfoil_authority::authority::{OtpDraft, OtpIncoming, OtpRow};
use counterfoil_authority::names::Username;
use counterfoil_authority::otp::yubikey::{self, DeviceSecret};
use counterfoil_authority::otp::{Algorithm, Method, Shape};
use csv::{ReaderBuilder, StringRecord, Trim};
use data_encoding::HEXLOWER;
use zeroize::Zeroizing;

use super::{BadFile, Encoding, seed_of, shown_text};

/// Fields of a line at most.
const FIELDS_MAX: usize = 64;
/// Names of columns that a heading may have.
const COLUMNS: [&str; 10] = [
    "serial",
    "secret",
    "type",
    "digits",
    "period",
    "counter",
    "algorithm",
    "user",
    "issuer",
    "label",
];

/// The columns of the OATH layout, where no heading says others. The fifth is the period of totp
/// and the counter of hotp.
const OATH: [&str; 6] = ["serial", "secret", "type", "digits", "step", "algorithm"];
/// The columns of the plain layout.
const PLAIN: [&str; 4] = ["user", "issuer", "label", "secret"];

/// The lines of a table that say something, with their numbers.
fn records(text: &str) -> Result<Vec<(usize, StringRecord)>, BadFile> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let first = text.lines().find(|line| says_something(line)).unwrap_or_default();
    let delimiter = if first.contains(';') && !first.contains(',') { b';' } else { b',' };
    let mut reader = ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(delimiter)
        .comment(Some(b'#'))
        .trim(Trim::All)
        .from_reader(text.as_bytes());
    let mut found = Vec::new();
    let mut record = StringRecord::new();
    loop {
        let line = usize::try_from(reader.position().line()).unwrap_or(usize::MAX);
        let more = reader.read_record(&mut record);
        // What the reader says of a line may repeat it.
        let more = more.map_err(|_| BadFile::new(line, "is no line of a table"))?;
        if !more {
            return Ok(found);
        }
        let line = record.position().map_or(line, |at| usize::try_from(at.line()).unwrap_or(line));
        if record.len() > FIELDS_MAX {
            return Err(BadFile::new(line, "has more fields than any table of tokens"));
        }
        if record.iter().any(|field| !field.is_empty()) {
            found.push((line, record.clone()));
        }
    }
}

fn says_something(line: &str) -> bool {
    !line.trim().is_empty() && !line.trim_start().starts_with('#')
}

/// The tokens of a table of seeds.
pub(super) fn rows(text: &str, encoding: Option<Encoding>) -> Result<Vec<OtpRow>, BadFile> {
    let records = records(text)?;
    let Some((line, first)) = records.first() else { return Ok(Vec::new()) };
    let heading: Vec<String> = first.iter().map(str::to_ascii_lowercase).collect();
    let is_heading = heading.iter().any(|name| name == "secret");
    let columns: Vec<&str> = if is_heading {
        if let Some(unknown) = heading.iter().find(|name| !COLUMNS.contains(&name.as_str())) {
            // A heading holds no secret, but a file without one may look like it.
            let place = heading.iter().position(|name| name == unknown).unwrap_or(0) + 1;
            let known = COLUMNS.join(", ");
            return Err(BadFile::new(*line, format!("column {place} is none of: {known}")));
        }
        heading.iter().map(String::as_str).collect()
    } else if first.get(2).and_then(method_of).is_some() {
        OATH.to_vec()
    } else if first.len() == PLAIN.len() {
        PLAIN.to_vec()
    } else {
        let why = "is neither `serial,secret,type,digits,period` nor `user,issuer,label,secret`";
        return Err(BadFile::new(*line, why));
    };
    let usual = if columns.contains(&"type") { Encoding::Hex } else { Encoding::Base32 };
    let encoding = encoding.unwrap_or(usual);
    Ok(records
        .iter()
        .skip(usize::from(is_heading))
        .map(|(line, record)| OtpRow {
            line: *line,
            read: Fields { columns: &columns, record }.token(encoding).map(Box::new),
        })
        .collect())
}

fn method_of(text: &str) -> Option<Method> {
    match text.to_ascii_lowercase().as_str() {
        "totp" => Some(Method::Totp),
        "hotp" => Some(Method::Hotp),
        _ => None,
    }
}

/// A line under its columns.
struct Fields<'a> {
    columns: &'a [&'a str],
    record: &'a StringRecord,
}

impl Fields<'_> {
    fn get(&self, name: &str) -> Option<&str> {
        let place = self.columns.iter().position(|column| *column == name)?;
        self.record.get(place).filter(|text| !text.is_empty())
    }

    fn number<T: std::str::FromStr>(&self, name: &str) -> Result<Option<T>, String> {
        let read = self.get(name).map(str::parse);
        read.transpose().map_err(|_| format!("{name} is no number"))
    }

    fn token(&self, encoding: Encoding) -> Result<OtpIncoming, String> {
        if self.record.len() > self.columns.len() {
            return Err("has more fields than columns".to_owned());
        }
        let method = match self.get("type") {
            Some(text) => method_of(text).ok_or("the type is neither totp nor hotp")?,
            None if self.columns.contains(&"type") => return Err("the type is missing".to_owned()),
            None => Method::Totp,
        };
        let seed = seed_of(self.get("secret").ok_or("the secret is missing")?, encoding)?;
        let usual = Shape::default();
        let algorithm = match self.get("algorithm") {
            Some(name) => Algorithm::from_name(name).ok_or("the algorithm is not known")?,
            None => usual.algorithm,
        };
        let (mut period, mut counter) = (self.number("period")?, self.number("counter")?);
        match method {
            Method::Hotp => counter = counter.or(self.number("step")?),
            _ => period = period.or(self.number("step")?),
        }
        let counter = counter.unwrap_or(0);
        if method == Method::Totp && counter != 0 {
            return Err("totp has no counter".to_owned());
        }
        let shape = Shape {
            algorithm,
            digits: self.number("digits")?.unwrap_or(usual.digits),
            step_seconds: period.unwrap_or(usual.step_seconds),
        };
        let user = self.get("user").map(Username::parse).transpose();
        let text = |name| self.get(name).map(|text| shown_text(name, text)).transpose();
        let name = match (text("issuer")?, text("label")?) {
            (Some(issuer), Some(label)) => Some(format!("{issuer}: {label}")),
            (one, other) => one.or(other),
        };
        Ok(OtpIncoming {
            serial: text("serial")?,
            user: user.map_err(|bad| format!("user: {bad}"))?,
            name,
            otp: OtpDraft { shape, seed: Some(seed), counter, ..OtpDraft::of(method) },
            labels: BTreeMap::new(),
            not_before: None,
            expires_at: None,
        })
    }
}

/// The keys of a file that Yubico's tools wrote: the log of the personalisation tool, whose lines
/// begin with what was written, or `serial,public id,private id,AES key` and more.
pub(super) fn yubico_rows(text: &str) -> Result<Vec<OtpRow>, BadFile> {
    Ok(records(text)?
        .iter()
        .filter(|(_, record)| !is_log_heading(record))
        .map(|(line, record)| OtpRow { line: *line, read: yubikey(record).map(Box::new) })
        .collect())
}

fn is_log_heading(record: &StringRecord) -> bool {
    record.get(0).is_some_and(|first| first == "LOGGING START" || first == "Event type")
}

fn yubikey(record: &StringRecord) -> Result<OtpIncoming, String> {
    let field = |place| record.get(place).unwrap_or_default();
    let sort = field(0);
    let (serial, public, private, key) = match sort {
        "Yubico OTP" => (None, field(3), field(4), field(5)),
        "OATH-HOTP" => return hotp(field(3), field(5), field(11)),
        _ if !sort.is_empty() && sort.bytes().all(|byte| byte.is_ascii_digit()) => {
            (Some(sort.to_owned()), field(1), field(2), field(3))
        }
        _ => return Err("is neither of a YubiKey's OTP nor of its OATH-HOTP".to_owned()),
    };
    let public = public.to_ascii_lowercase();
    if public.is_empty() || public.len() > 32 || yubikey::from_modhex(&public).is_none() {
        return Err("the public id is not modhex of at most 32 letters".to_owned());
    }
    let key: [u8; 16] = hex("the AES key", key)?;
    let private: [u8; 6] = hex("the private id", private)?;
    let device = Some((DeviceSecret::new(&key, &private), public.clone()));
    let otp = OtpDraft { device, ..OtpDraft::of(Method::Yubikey) };
    Ok(of_yubico(serial.unwrap_or(public), otp))
}

/// A slot that was written for HOTP; its serial is the OATH token identifier, if it has one.
fn hotp(identifier: &str, key: &str, digits: &str) -> Result<OtpIncoming, String> {
    let seed = seed_of(key, Encoding::Hex)?;
    let digits = match digits {
        "" | "0" => Shape::default().digits,
        text => text.parse().map_err(|_| "the length of a code is no number")?,
    };
    let shape = Shape { digits, ..Shape::default() };
    let otp = OtpDraft { shape, seed: Some(seed), ..OtpDraft::of(Method::Hotp) };
    if identifier.is_empty() {
        return Err("an OATH-HOTP slot without an identifier cannot be told from others".to_owned());
    }
    Ok(of_yubico(shown_text("the identifier", identifier)?, otp))
}

fn of_yubico(serial: String, otp: OtpDraft) -> OtpIncoming {
    OtpIncoming {
        serial: Some(serial),
        user: None,
        name: None,
        otp,
        labels: BTreeMap::from([("manufacturer".to_owned(), "Yubico".to_owned())]),
        not_before: None,
        expires_at: None,
    }
}

fn hex<const N: usize>(what: &str, text: &str) -> Result<[u8; N], String> {
    let lower = Zeroizing::new(text.to_ascii_lowercase());
    let read = HEXLOWER.decode(lower.as_bytes()).ok().map(Zeroizing::new);
    let right = read.and_then(|read| <[u8; N]>::try_from(read.as_slice()).ok());
    right.ok_or_else(|| format!("{what} is not {} hexadecimal digits", 2 * N))
}

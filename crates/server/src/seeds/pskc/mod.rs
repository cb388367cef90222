//! Key containers of RFC 6030 (PSKC): what vendors of hardware tokens deliver.

mod cipher;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use counterfoil_authority::authority::{OtpDraft, OtpIncoming, OtpRow};
use counterfoil_authority::clock::{DayEdge, Timestamp};
use counterfoil_authority::names::Username;
use counterfoil_authority::otp::{Algorithm, Method, Shape, SharedSeed};
use zeroize::Zeroizing;

use self::cipher::{Keys, base64, short};
use super::xml::{Element, parse};
use super::{BadFile, Opening, shown_text};

const NAMESPACE: &str = "urn:ietf:params:xml:ns:keyprov:pskc";

/// The tokens of a container.
pub(super) fn rows(text: &str, opening: Option<&Opening>) -> Result<Vec<OtpRow>, BadFile> {
    let root = parse(text)?;
    if root.name != "KeyContainer" || !root.declares(NAMESPACE) {
        let why = format!("is no KeyContainer of {NAMESPACE}");
        return Err(BadFile::new(root.line, why));
    }
    if root.attribute("Version") != Some("1.0") {
        return Err(BadFile::new(root.line, "the Version of the container is not 1.0"));
    }
    let keys = Keys::of(&root, opening)?;
    if keys.is_none() && opening.is_some() {
        let why = "nothing in the file is encrypted; take it over without a key or password";
        return Err(BadFile::new(root.line, why));
    }
    let packages = root.children.iter().filter(|child| child.name == "KeyPackage");
    Ok(packages
        .map(|package| OtpRow {
            line: package.line,
            read: token(package, keys.as_ref()).map(Box::new),
        })
        .collect())
}

/// The one token of a package.
fn token(package: &Element, keys: Option<&Keys>) -> Result<OtpIncoming, String> {
    let mut found = package.children.iter().filter(|child| child.name == "Key");
    let (Some(key), None) = (found.next(), found.next()) else {
        return Err("a package holds exactly one Key".to_owned());
    };
    let data = key.child("Data").ok_or("the key has no Data")?;
    let method = match key.attribute("Algorithm").unwrap_or_default() {
        "urn:ietf:params:xml:ns:keyprov:pskc:hotp" => Method::Hotp,
        "urn:ietf:params:xml:ns:keyprov:pskc:totp" => Method::Totp,
        other => return Err(format!("the algorithm `{}` is not hotp or totp", short(other))),
    };
    let secret = data.child("Secret").ok_or("the key has no Secret")?;
    let bytes = match (secret.child("PlainValue"), secret.child("EncryptedValue")) {
        (Some(plain), None) => {
            Zeroizing::new(base64(plain.text()).ok_or("the secret is not Base64")?)
        }
        (None, Some(sealed)) => {
            let keys = keys.ok_or("the secret is encrypted, and the file names no key")?;
            keys.opened(sealed, secret.text_of("ValueMAC"))?
        }
        _ => return Err("the secret is either plain or encrypted".to_owned()),
    };
    let seed = SharedSeed::new(bytes.to_vec()).map_err(|bad| bad.to_string())?;
    let number = |name: &str| number(data, name, keys);
    let counter = number("Counter")?.unwrap_or(0);
    if number("TimeDrift")?.is_some_and(|drift| drift != 0) {
        return Err("a TimeDrift is not taken; the owner resynchronises the token".to_owned());
    }
    let mut shape = shape(key)?;
    if let Some(seconds) = number("TimeInterval")? {
        shape.step_seconds = u32::try_from(seconds).unwrap_or(u32::MAX);
    }
    let counter = if method == Method::Hotp { counter } else { 0 };
    let otp = OtpDraft { shape, seed: Some(seed), counter, ..OtpDraft::of(method) };
    let (not_before, expires_at) = life(key)?;
    let (serial, labels) = device(package, key)?;
    let user =
        key.text_of("UserId").or_else(|| package.at(&["DeviceInfo", "UserId"]).map(Element::text));
    let user = user.map(user_of).transpose()?;
    let name = key.text_of("FriendlyName").map(|name| shown_text("FriendlyName", name));
    Ok(OtpIncoming { serial, user, name: name.transpose()?, otp, labels, not_before, expires_at })
}

/// A number of the key's data, plain or encrypted.
fn number(data: &Element, name: &str, keys: Option<&Keys>) -> Result<Option<u64>, String> {
    let Some(value) = data.child(name) else { return Ok(None) };
    let text = match (value.child("PlainValue"), value.child("EncryptedValue"), keys) {
        (Some(plain), None, _) => Zeroizing::new(plain.text().to_owned()),
        (None, Some(sealed), Some(keys)) => {
            // A number is encrypted as the bytes of a 64-bit integer (RFC 6030 section 4.2).
            let clear = keys.opened(sealed, value.text_of("ValueMAC"))?;
            let bytes: Result<[u8; 8], _> = clear.as_slice().try_into();
            let bytes = bytes.map_err(|_| format!("{name} does not have eight bytes"))?;
            return Ok(Some(u64::from_be_bytes(bytes)));
        }
        _ => return Err(format!("{name} has no value that can be read")),
    };
    text.parse().map(Some).map_err(|_| format!("{name} is no number"))
}

/// What the codes of a key look like.
fn shape(key: &Element) -> Result<Shape, String> {
    let mut shape = Shape::default();
    let Some(parameters) = key.child("AlgorithmParameters") else { return Ok(shape) };
    if let Some(suite) = parameters.text_of("Suite") {
        // RFC 6030 names no values; vendors write `HMAC-SHA256` and the like.
        let bare = suite.strip_prefix("HMAC-").unwrap_or(suite);
        shape.algorithm = Algorithm::from_name(bare)
            .ok_or_else(|| format!("the suite `{}` is not known", short(suite)))?;
    }
    if let Some(format) = parameters.child("ResponseFormat") {
        if format.attribute("Encoding") != Some("DECIMAL") {
            return Err("codes are DECIMAL, and nothing else".to_owned());
        }
        if format.attribute("CheckDigits").is_some_and(|check| matches!(check, "true" | "1")) {
            return Err("codes with a check digit are not taken".to_owned());
        }
        let length = format.attribute("Length").and_then(|length| length.parse().ok());
        shape.digits = length.ok_or("the Length of a code is no number")?;
    }
    Ok(shape)
}

/// When a key begins and ends, and whether it may be used here at all.
fn life(key: &Element) -> Result<(Option<Timestamp>, Option<Timestamp>), String> {
    let Some(policy) = key.child("Policy") else { return Ok((None, None)) };
    let time = |name: &str, edge| {
        let text = policy.text_of(name);
        let read = text.map(|text| Timestamp::parse(text, "UTC", edge));
        read.transpose().map_err(|bad| format!("{name}: {bad}"))
    };
    let mut usages = policy.children.iter().filter(|child| child.name == "KeyUsage").peekable();
    if usages.peek().is_some() && !usages.any(|usage| usage.text() == "OTP") {
        return Err("the key is not for one-time passwords (KeyUsage)".to_owned());
    }
    let pin_is_mixed = policy.child("PINPolicy").and_then(|pin| pin.attribute("PINUsageMode"));
    if pin_is_mixed.is_some_and(|mode| mode != "Local") {
        return Err("a PIN that is checked here is not taken (PINUsageMode)".to_owned());
    }
    // RFC 6030 section 5: a policy that is not understood must not be passed over.
    let known = ["StartDate", "ExpiryDate", "PINPolicy", "KeyUsage", "NumberOfTransactions"];
    let unknown = policy.children.iter().find(|child| !known.contains(&child.name.as_str()));
    if let Some(unknown) = unknown {
        return Err(format!("the policy `{}` is not known", short(&unknown.name)));
    }
    if policy.child("NumberOfTransactions").is_some() {
        return Err("NumberOfTransactions is not taken".to_owned());
    }
    Ok((time("StartDate", DayEdge::Start)?, time("ExpiryDate", DayEdge::End)?))
}

/// What is printed on a device, and who made it.
fn device(
    package: &Element,
    key: &Element,
) -> Result<(Option<String>, BTreeMap<String, String>), String> {
    let info = package.child("DeviceInfo");
    let said = |name: &str| info.and_then(|info| info.text_of(name)).filter(|t| !t.is_empty());
    let serial = said("SerialNo").or_else(|| key.attribute("Id").filter(|id| !id.is_empty()));
    let serial = serial.map(|serial| shown_text("SerialNo", serial)).transpose()?;
    let mut labels = BTreeMap::new();
    for (field, label) in [("Manufacturer", "manufacturer"), ("Model", "model")] {
        if let Some(text) = said(field) {
            labels.insert(label.to_owned(), shown_text(field, text)?);
        }
    }
    Ok((serial, labels))
}

/// A person as RFC 6030 names them: plainly, or by a name whose `UID` or `CN` comes first.
fn user_of(text: &str) -> Result<Username, String> {
    let first = text.split(',').next().unwrap_or_default().trim();
    let bare = match first.split_once('=') {
        Some((kind, name)) if kind.eq_ignore_ascii_case("uid") => name,
        Some((kind, name)) if kind.eq_ignore_ascii_case("cn") => name,
        Some(_) => return Err("UserId: names a person neither by UID nor by CN".to_owned()),
        None => first,
    };
    Username::parse(bare.trim()).map_err(|bad| format!("UserId: {bad}"))
}

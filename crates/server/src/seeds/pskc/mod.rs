//! Key containers of RFC 6030 (PSKC): what vendors of hardware tokens deliver.

mod cipher;
#[cfg(test)]
pub(super) mod tests;

use std::collections::BTreeMap;

use counterfoil_authority::authority::{OtpDraft, OtpIncoming, OtpRow};
use counterfoil_authority::clock::{DayEdge, Timestamp};
use counterfoil_authority::names::Username;
use counterfoil_authority::otp::{Algorithm, Method, Shape, SharedSeed};
use counterfoil_authority::secret::ClearSecret;
use zeroize::Zeroizing;

use self::cipher::{Keys, base64, short};
use super::xml::{Element, parse};
use super::{BadFile, Opening, shown_text};

const NAMESPACE: &str = "urn:ietf:params:xml:ns:keyprov:pskc";

/// A package of a container.
pub(crate) struct Package {
    /// Where it begins.
    pub(crate) line: usize,
    /// What it holds, or what is wrong with it.
    pub(crate) read: Result<Packed, String>,
}

/// The one key of a package.
pub(crate) struct Packed {
    /// What is printed on its device, or what the key itself is called.
    pub(crate) serial: Option<String>,
    /// Whose it is.
    pub(crate) user: Option<Username>,
    /// What to call it.
    pub(crate) name: Option<String>,
    /// What else is known of its device.
    pub(crate) labels: BTreeMap<String, String>,
    /// When it begins.
    pub(crate) not_before: Option<Timestamp>,
    /// When it ends.
    pub(crate) expires_at: Option<Timestamp>,
    /// What it proves itself by.
    pub(crate) secret: PackedSecret,
}

/// What a key is for.
pub(crate) enum PackedSecret {
    /// Codes, of a clock or counter that the file may know to have drifted.
    Codes {
        /// How they are computed.
        otp: Box<OtpDraft>,
        /// Whether the clock of the device is ahead or behind.
        drifts: bool,
    },
    /// A fixed password: no algorithm of RFC 6030, but one of privacyIDEA's.
    Password(ClearSecret),
}

/// What privacyIDEA calls a fixed password.
const PASSWORD: &str = "urn:ietf:params:xml:ns:keyprov:pskc:pw";

/// The tokens of a container, as vendors of hardware deliver them.
pub(super) fn rows(text: &str, opening: Option<&Opening>) -> Result<Vec<OtpRow>, BadFile> {
    let row = |Package { line, read }| OtpRow { line, read: read.and_then(hardware).map(Box::new) };
    Ok(packages(text, opening)?.into_iter().map(row).collect())
}

fn hardware(packed: Packed) -> Result<OtpIncoming, String> {
    let Packed { serial, user, name, labels, not_before, expires_at, secret } = packed;
    let otp = match secret {
        PackedSecret::Codes { otp, drifts: false } => *otp,
        PackedSecret::Codes { drifts: true, .. } => {
            let why = "a TimeDrift is not taken; the owner resynchronises the token";
            return Err(why.to_owned());
        }
        PackedSecret::Password(_) => return Err(not_codes(PASSWORD)),
    };
    Ok(OtpIncoming { serial, user, name, otp, labels, not_before, expires_at })
}

fn not_codes(algorithm: &str) -> String {
    format!("the algorithm `{}` is not hotp or totp", short(algorithm))
}

/// What the packages of a container hold.
///
/// # Errors
///
/// [`BadFile`] where the file as a whole cannot be read: it is no container, or what it is
/// encrypted under is missing or wrong.
pub(crate) fn packages(text: &str, opening: Option<&Opening>) -> Result<Vec<Package>, BadFile> {
    let root = parse(text)?;
    if !root.is("KeyContainer") || !root.declares(NAMESPACE) {
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
    let packages = root.children.iter().filter(|child| child.is("KeyPackage"));
    Ok(packages
        .map(|package| Package { line: package.line, read: packed(package, keys.as_ref()) })
        .collect())
}

/// The one key of a package.
fn packed(package: &Element, keys: Option<&Keys>) -> Result<Packed, String> {
    let mut found = package.children.iter().filter(|child| child.is("Key"));
    let (Some(key), None) = (found.next(), found.next()) else {
        return Err("a package holds exactly one Key".to_owned());
    };
    let data = key.child("Data").ok_or("the key has no Data")?;
    let secret = match key.attribute("Algorithm").unwrap_or_default() {
        "urn:ietf:params:xml:ns:keyprov:pskc:hotp" => codes(key, data, Method::Hotp, keys)?,
        "urn:ietf:params:xml:ns:keyprov:pskc:totp" => codes(key, data, Method::Totp, keys)?,
        PASSWORD => {
            let bytes = secret_of(data, keys)?;
            let text = std::str::from_utf8(&bytes).map_err(|_| "the password is no text")?;
            PackedSecret::Password(ClearSecret::new(text.to_owned()))
        }
        other => return Err(not_codes(other)),
    };
    let (not_before, expires_at) = life(key)?;
    let (serial, labels) = device(package, key)?;
    let user =
        key.text_of("UserId").or_else(|| package.at(&["DeviceInfo", "UserId"]).map(Element::text));
    let user = user.map(user_of).transpose()?;
    let name = key.text_of("FriendlyName").map(|name| shown_text("FriendlyName", name));
    let name = name.transpose()?;
    Ok(Packed { serial, user, name, labels, not_before, expires_at, secret })
}

/// The secret of a key, opened if need be.
fn secret_of(data: &Element, keys: Option<&Keys>) -> Result<Zeroizing<Vec<u8>>, String> {
    let secret = data.child("Secret").ok_or("the key has no Secret")?;
    match (secret.child("PlainValue"), secret.child("EncryptedValue")) {
        (Some(plain), None) => {
            Ok(Zeroizing::new(base64(plain.text()).ok_or("the secret is not Base64")?))
        }
        (None, Some(sealed)) => {
            let keys = keys.ok_or("the secret is encrypted, and the file names no key")?;
            keys.opened(sealed, secret.text_of("ValueMAC"))
        }
        _ => Err("the secret is either plain or encrypted".to_owned()),
    }
}

fn codes(
    key: &Element,
    data: &Element,
    method: Method,
    keys: Option<&Keys>,
) -> Result<PackedSecret, String> {
    let bytes = secret_of(data, keys)?;
    let seed = SharedSeed::new(bytes.to_vec()).map_err(|bad| bad.to_string())?;
    let number = |name: &str| number(data, name, keys);
    let counter = number("Counter")?.unwrap_or(0);
    let drifts = drifts(data, keys)?;
    let mut shape = shape(key)?;
    // privacyIDEA gives counters an interval as well, of no seconds.
    if let Some(seconds) = number("TimeInterval")?
        && method == Method::Totp
    {
        shape.step_seconds = u32::try_from(seconds).unwrap_or(u32::MAX);
    }
    let counter = if method == Method::Hotp { counter } else { 0 };
    let otp = Box::new(OtpDraft { shape, seed: Some(seed), counter, ..OtpDraft::of(method) });
    Ok(PackedSecret::Codes { otp, drifts })
}

/// Whether a clock is ahead or behind. privacyIDEA says it in seconds and fractions.
fn drifts(data: &Element, keys: Option<&Keys>) -> Result<bool, String> {
    match data.at(&["TimeDrift", "PlainValue"]).map(|value| value.text().parse::<f64>()) {
        Some(Ok(drift)) => Ok(drift != 0.0),
        _ => Ok(number(data, "TimeDrift", keys)?.is_some_and(|drift| drift != 0)),
    }
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
    let suite = parameters.child("Suite");
    let text = suite.map(Element::text).filter(|text| !text.is_empty());
    // RFC 6030 names no values; vendors write `HMAC-SHA256` and the like, privacyIDEA the name of
    // a hash, and that as an attribute.
    if let Some(suite) = text.or_else(|| suite?.attribute("hashalgo")) {
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
    let mut usages = policy.children.iter().filter(|child| child.is("KeyUsage")).peekable();
    if usages.peek().is_some() && !usages.any(|usage| usage.text() == "OTP") {
        return Err("the key is not for one-time passwords (KeyUsage)".to_owned());
    }
    let pin_is_mixed = policy.child("PINPolicy").and_then(|pin| pin.attribute("PINUsageMode"));
    if pin_is_mixed.is_some_and(|mode| mode != "Local") {
        return Err("a PIN that is checked here is not taken (PINUsageMode)".to_owned());
    }
    // RFC 6030 section 5: a policy that is not understood must not be passed over.
    let known = ["StartDate", "ExpiryDate", "PINPolicy", "KeyUsage", "NumberOfTransactions"];
    let unknown = policy.children.iter().find(|child| !known.iter().any(|name| child.is(name)));
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

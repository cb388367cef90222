//! privacyIDEA's tokens in a PSKC file (RFC 6030): their seeds or passwords, their serials and
//! their descriptions. Whose they are it does not say, nor who types a PIN, nor what was revoked,
//! switched off or limited.

use std::sync::Arc;

use counterfoil_authority::authority::{IncomingFacts, IncomingSecret, UserDraft};
use counterfoil_authority::secret::ClearSecret;

use super::{Reading, SERIAL, owner};
use crate::import::comanage::Read;
use crate::import::lines::{Line, Options, Sheet};
use crate::import::rows::Place;
use crate::seeds::{Opening, Package, Packed, PackedSecret, packages};

/// Reads the text of a file.
///
/// # Errors
///
/// Where it is no container, or cannot be opened; nothing of it is repeated.
pub(super) fn map(
    text: &str,
    file: &str,
    reading: Reading<'_>,
    options: &Options,
) -> Result<Read, String> {
    if reading.from_realm.is_some() {
        return Err(format!("{file}: a PSKC file names no realm, so --from-realm chooses nothing"));
    }
    let clear = |secret: &str| ClearSecret::new(secret.to_owned());
    let opening = match (reading.key, reading.password) {
        (Some(key), _) => Some(Opening::Key(clear(key))),
        (None, password) => password.map(|password| Opening::Password(clear(password))),
    };
    let found = packages(text, opening.as_ref()).map_err(|bad| format!("{file}: {bad}"))?;
    if found.is_empty() {
        return Err(format!("{file}: there is no token in it"));
    }
    let file: Arc<str> = file.into();
    let mut sheet = Sheet::new(options);
    let whole = Place { file: Arc::clone(&file), line: 1 };
    sheet.remark(
        &whole,
        0,
        "a PSKC file does not say which tokens were revoked, locked, switched off or limited: \
         all of them are good from now on",
    );
    for (number, Package { line, read }) in (1_i64..).zip(found) {
        let place = Place { file: Arc::clone(&file), line };
        let serial = read.as_ref().ok().and_then(|packed| packed.serial.clone());
        let named = |why: String| match &serial {
            Some(serial) => format!("{serial}: {why}"),
            None => why,
        };
        let drifts =
            matches!(read, Ok(Packed { secret: PackedSecret::Codes { drifts: true, .. }, .. }));
        let read = read.and_then(|packed| token(packed, (&place, number), reading, options));
        if read.is_ok() {
            sheet.remark(&place, number, named("is good without a PIN from now on".to_owned()));
            if drifts {
                let why = "how far its clock is off does not come along; \
                    `counterfoil token otp resync` finds it out if its codes are refused";
                sheet.remark(&place, number, named(why.to_owned()));
            }
        }
        sheet.settle(&place, number, read.map_err(named));
    }
    Ok(sheet.finish())
}

fn token(
    packed: Packed,
    (place, number): (&Place, i64),
    reading: Reading<'_>,
    options: &Options,
) -> Result<Line, String> {
    let Packed { serial, user, name, mut labels, not_before, expires_at, secret } = packed;
    let serial = serial.ok_or("has no serial")?;
    let user = owner(user, &serial, reading, options)?;
    let service = options.service.clone().ok_or("no service is named")?;
    if !reading.drop_pins {
        let why = "may ask for a PIN in front, which a PSKC file does not say and nothing here \
            does; say --drop-pins to take it over without";
        return Err(why.to_owned());
    }
    let secret = match secret {
        PackedSecret::Codes { otp, .. } => {
            otp.shape.check().map_err(|(_, why)| why)?;
            IncomingSecret::Codes(otp)
        }
        PackedSecret::Password(password) => IncomingSecret::Clear(password),
    };
    // Where others name who made a device, privacyIDEA has what it is described as.
    let described = labels.remove("manufacturer");
    labels.insert(SERIAL.to_owned(), serial.clone());
    let facts = IncomingFacts {
        name: name.or(described).or_else(|| Some(serial.clone())),
        labels,
        not_before,
        expires_at,
        ..IncomingFacts::default()
    };
    Ok(Line {
        place: place.clone(),
        number,
        person: UserDraft::new(user),
        service,
        secret,
        identity: serial,
        locked: false,
        facts,
    })
}

#[cfg(test)]
mod tests;

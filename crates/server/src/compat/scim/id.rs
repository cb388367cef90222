//! What the server calls a person or a group: never given out again, as RFC 7643 section 3.1 wants
//! it, although their names are.
//!
//! It is made of the name and the instant at which the record was made. So there is nothing to be
//! kept, everybody has one who was here before any provider, and a later namesake has another.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use counterfoil_authority::clock::Timestamp;

/// Characters of an id at most: the longest name, and a number.
const CHARS_MAX: usize = 1024;

/// The id of who or what has this name and was made at this instant.
pub(super) fn id_of(name: &str, created_at: Timestamp) -> String {
    format!("{:x}-{}", created_at.micros().cast_unsigned(), URL_SAFE_NO_PAD.encode(name))
}

/// The name and the instant of an id; `None` if nobody can have it.
pub(super) fn parse(id: &str) -> Option<(String, Timestamp)> {
    if id.len() > CHARS_MAX {
        return None;
    }
    let (instant, name) = id.split_once('-')?;
    let micros = u64::from_str_radix(instant, 16).ok()?.cast_signed();
    let name = String::from_utf8(URL_SAFE_NO_PAD.decode(name).ok()?).ok()?;
    let created_at = Timestamp::from_micros(micros);
    // One spelling: what is compared as text elsewhere must be the same.
    (id_of(&name, created_at) == id).then_some((name, created_at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_leads_back_and_has_one_spelling() {
        let at = Timestamp::from_seconds(1_795_262_400);
        let id = id_of("älice@example.org", at);
        assert_eq!(parse(&id), Some(("älice@example.org".to_owned(), at)));
        let upper = id.to_uppercase();
        for bad in ["", "-", "7", "x-YQ", "01-YQ", "+1-YQ", "1-YQ==", "1-Y", "1-_w", &*upper] {
            assert_eq!(parse(bad), None, "{bad}");
        }
        assert_eq!(parse(&"1".repeat(2000)), None);
        assert_ne!(id_of("a", Timestamp::from_seconds(1)), id_of("a", Timestamp::from_seconds(2)));
    }
}

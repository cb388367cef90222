//! `Sunset` (RFC 8594): when what was found good will no longer be, told with the answer.
//!
//! Section 3 leaves it to the sender what the resource is; here it is the token that was asked
//! about. A header for whoever asks, so that a proxy or a client library can warn without knowing
//! anything else of us.

use std::io::Write as _;
use std::time::{Duration, UNIX_EPOCH};

use axum::http::{HeaderName, HeaderValue};
use axum::response::Response;
use counterfoil_authority::clock::Timestamp;
use httpdate::HttpDate;

/// The header's name.
pub(crate) const SUNSET: HeaderName = HeaderName::from_static("sunset");

/// Characters of an HTTP-date (RFC 9110 section 5.6.7), always in its preferred form.
const DATE_LEN: usize = 29;

/// Tells in an answer when the token ends, if it does.
pub(crate) fn tell(response: &mut Response, ends: Option<Timestamp>) {
    if let Some(value) = ends.and_then(date) {
        response.headers_mut().insert(SUNSET, value);
    }
}

/// An instant as an HTTP-date, to the second before it; `None` before 1970.
fn date(at: Timestamp) -> Option<HeaderValue> {
    // Instants end a day before the year 10000, and so do these dates.
    let since = Duration::from_secs(u64::try_from(at.seconds()).ok()?);
    let mut text = [0; DATE_LEN];
    write!(&mut text[..], "{}", HttpDate::from(UNIX_EPOCH + since)).ok()?;
    HeaderValue::from_bytes(&text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_said_as_an_http_date() {
        let said = |seconds| date(Timestamp::from_seconds(seconds));
        // The example of RFC 9110 section 5.6.7.
        assert_eq!(said(784_111_777).unwrap(), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(said(0).unwrap(), "Thu, 01 Jan 1970 00:00:00 GMT");
        assert_eq!(said(-1), None);
        assert_eq!(said(i64::MAX).unwrap(), "Thu, 30 Dec 9999 21:59:59 GMT");
        let almost = Timestamp::from_micros(784_111_777_999_999);
        assert_eq!(date(almost).unwrap(), "Sun, 06 Nov 1994 08:49:37 GMT");
    }
}

//! The root DSE: what this server is and can do (RFC 4512 section 5.1). Everybody may read it.

use super::Shared;
use super::dn::Dn;
use super::entry::Entry;
use super::search::PAGED_RESULTS;

/// `StartTLS` (RFC 4511 section 4.14).
pub(crate) const START_TLS: &str = "1.3.6.1.4.1.1466.20037";
/// Who am I (RFC 4532).
pub(crate) const WHO_AM_I: &str = "1.3.6.1.4.1.4203.1.11.3";
/// All operational attributes by `+` (RFC 3673).
const ALL_OPERATIONAL: &str = "1.3.6.1.4.1.4203.1.5.1";
/// `(&)` and `(|)` (RFC 4526).
const TRUE_AND_FALSE: &str = "1.3.6.1.4.1.4203.1.5.3";

/// The root DSE of a door.
pub(crate) fn dse(shared: &Shared) -> Entry {
    let mut extensions = vec![WHO_AM_I.to_owned()];
    if shared.certificates.is_some() {
        extensions.push(START_TLS.to_owned());
    }
    Entry::new(Dn::default(), &["top"])
        .with_operational("namingContexts", [shared.tree.base().to_string()])
        .with_operational("supportedLDAPVersion", ["3".to_owned()])
        .with_operational("supportedExtension", extensions)
        .with_operational("supportedControl", [PAGED_RESULTS.to_owned()])
        .with_operational(
            "supportedFeatures",
            [ALL_OPERATIONAL.to_owned(), TRUE_AND_FALSE.to_owned()],
        )
        .with_operational("vendorName", ["Counterfoil".to_owned()])
}

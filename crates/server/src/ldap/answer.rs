//! What the door says: result codes (RFC 4511 section 4.1.9), the one place that turns refusals
//! into them, and the messages that carry them.

use counterfoil_authority::refusal::Refusal;
use ldap3_proto::proto::{
    LdapBindResponse, LdapExtendedResponse, LdapMsg, LdapOp, LdapResult, LdapResultCode,
};

/// The name of a notice that the connection ends (RFC 4511 section 4.4.1).
const NOTICE_OF_DISCONNECTION: &str = "1.3.6.1.4.1.1466.20036";

/// How an operation ended, with a text that says nothing about credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct End {
    /// The result code.
    pub(crate) code: LdapResultCode,
    /// The diagnostic message.
    pub(crate) said: &'static str,
}

impl End {
    /// Everything went well.
    pub(crate) const SUCCESS: Self = Self::new(LdapResultCode::Success, "");
    /// The one answer to every credential that is not good: unknown, wrong, revoked and expired
    /// are the same bytes.
    pub(crate) const DENIED: Self = Self::new(LdapResultCode::InvalidCredentials, "");
    /// Nobody is bound, or somebody who may not do this.
    pub(crate) const NOT_ALLOWED: Self = Self::new(
        LdapResultCode::InsufficentAccessRights,
        "bind first, with a credential that may do this",
    );
    /// A critical control that is not known.
    pub(crate) const CRITICAL: Self = Self::new(
        LdapResultCode::UnavailableCriticalExtension,
        "a critical control is not supported here",
    );
    /// Writing is for the API.
    pub(crate) const READ_ONLY: Self =
        Self::new(LdapResultCode::UnwillingToPerform, "this directory is read-only");
    /// Too many at once.
    pub(crate) const BUSY: Self = Self::new(LdapResultCode::Busy, "too many at once, try again");
    /// No such entry, or none that may be seen.
    pub(crate) const NO_SUCH_OBJECT: Self = Self::new(LdapResultCode::NoSuchObject, "");

    /// An end with a text.
    pub(crate) const fn new(code: LdapResultCode, said: &'static str) -> Self {
        Self { code, said }
    }

    /// The name of the code, for metrics.
    pub(crate) const fn name(&self) -> &'static str {
        match self.code {
            LdapResultCode::Success => "success",
            LdapResultCode::CompareTrue => "compareTrue",
            LdapResultCode::CompareFalse => "compareFalse",
            LdapResultCode::ProtocolError => "protocolError",
            LdapResultCode::TimeLimitExceeded => "timeLimitExceeded",
            LdapResultCode::SizeLimitExceeded => "sizeLimitExceeded",
            LdapResultCode::AdminLimitExceeded => "adminLimitExceeded",
            LdapResultCode::AuthMethodNotSupported => "authMethodNotSupported",
            LdapResultCode::UnavailableCriticalExtension => "unavailableCriticalExtension",
            LdapResultCode::ConfidentialityRequired => "confidentialityRequired",
            LdapResultCode::InvalidDNSyntax => "invalidDNSyntax",
            LdapResultCode::NoSuchObject => "noSuchObject",
            LdapResultCode::InappropriateAuthentication => "inappropriateAuthentication",
            LdapResultCode::InvalidCredentials => "invalidCredentials",
            LdapResultCode::InsufficentAccessRights => "insufficientAccessRights",
            LdapResultCode::Busy => "busy",
            LdapResultCode::Unavailable => "unavailable",
            LdapResultCode::UnwillingToPerform => "unwillingToPerform",
            LdapResultCode::OperationsError => "operationsError",
            _ => "other",
        }
    }

    /// Whether the server could not do what it should have.
    pub(crate) const fn is_failure(&self) -> bool {
        matches!(
            self.code,
            LdapResultCode::Busy | LdapResultCode::Unavailable | LdapResultCode::OperationsError
        )
    }

    /// The code of an end without a text, if it is one of those that binds have all the time.
    pub(crate) const fn plain_code(&self) -> Option<u8> {
        match self.code {
            LdapResultCode::Success => Some(0),
            LdapResultCode::InvalidCredentials if self.said.is_empty() => Some(49),
            _ => None,
        }
    }

    /// The result as the protocol writes it.
    pub(crate) fn result(&self) -> LdapResult {
        LdapResult {
            code: self.code.clone(),
            matcheddn: String::new(),
            message: self.said.to_owned(),
            referral: Vec::new(),
        }
    }

    /// The answer to a bind.
    pub(crate) fn of_bind(&self) -> LdapOp {
        LdapOp::BindResponse(LdapBindResponse { res: self.result(), saslcreds: None })
    }

    /// The answer to an extended operation, with what it found.
    pub(crate) fn of_extended(&self, value: Option<String>) -> LdapOp {
        let value = value.map(String::into_bytes);
        LdapOp::ExtendedResponse(LdapExtendedResponse { res: self.result(), name: None, value })
    }

    /// The last words to a client: the connection ends.
    pub(crate) fn of_connection(&self) -> LdapMsg {
        let name = Some(NOTICE_OF_DISCONNECTION.to_owned());
        let notice = LdapExtendedResponse { res: self.result(), name, value: None };
        // A message that answers none has the number 0.
        LdapMsg::new(0, LdapOp::ExtendedResponse(notice))
    }
}

/// The store being down is `unavailable`, never a denial.
impl From<&Refusal> for End {
    fn from(refusal: &Refusal) -> Self {
        match refusal {
            Refusal::Unavailable(_) | Refusal::NoEntropy(_) => {
                Self::new(LdapResultCode::Unavailable, "try again later")
            }
            Refusal::Overloaded => Self::BUSY,
            Refusal::Forbidden(_) | Refusal::BeyondGrant(_) => Self::NOT_ALLOWED,
            Refusal::NotFound(_) => Self::NO_SUCH_OBJECT,
            Refusal::Exists(_)
            | Refusal::VersionMismatch
            | Refusal::Invalid { .. }
            | Refusal::Policy(_)
            | Refusal::NotOpen(_)
            | Refusal::AtLimit(_)
            | Refusal::RepositoryFull
            | Refusal::SerialTaken
            | Refusal::PlaceTaken
            | Refusal::NotSupported(_)
            | Refusal::KeyReused
            | Refusal::Ended(_)
            | Refusal::LinkEnded(_)
            | Refusal::LetterEnded(_)
            | Refusal::InUse(_)
            | Refusal::NotEmpty(_)
            | Refusal::BuiltIn(_) => Self::READ_ONLY,
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;

    use super::*;
    use crate::ldap::wire;

    #[test]
    fn the_answer_to_a_bad_credential_is_one_sequence_of_bytes() {
        let mut bytes = BytesMut::new();
        assert!(wire::put(LdapMsg::new(2, End::DENIED.of_bind()), &mut bytes));
        let expected = [0x30, 12, 2, 1, 2, 0x61, 7, 10, 1, 49, 4, 0, 4, 0];
        assert_eq!(bytes, expected[..]);
    }

    #[test]
    fn the_store_being_down_is_no_denial() {
        assert_eq!(End::from(&Refusal::Overloaded).code, LdapResultCode::Busy);
        let down = counterfoil_authority::store::Unavailable::new(std::io::Error::other("x"));
        assert_eq!(End::from(&Refusal::from(down)).code, LdapResultCode::Unavailable);
    }
}

//! When a new token counts: as asked, or by default; within policy, issuer and grant.

use super::{Expiry, IssueRequest};
use crate::authority::registration::lifetime_granted;
use crate::caller::{Caller, Reach};
use crate::clock::Timestamp;
use crate::kind::Kind;
use crate::policy::{
    DEFAULT_LIFETIME_SECONDS, DEFAULT_REGISTRATION_LIFETIME_SECONDS, EffectivePolicy,
};
use crate::refusal::Refusal;
use crate::validity::Validity;

/// The life that somebody asks for.
#[derive(Debug, Clone, Copy)]
pub(in crate::authority) struct Lifetime {
    /// Of what kind of token.
    pub(in crate::authority) kind: Kind,
    /// When it is to end.
    pub(in crate::authority) expires: Expiry,
    /// When it is to begin; now, if absent.
    pub(in crate::authority) not_before: Option<Timestamp>,
}

impl Lifetime {
    /// What a request asks for.
    pub(in crate::authority) const fn of(request: &IssueRequest) -> Self {
        let (expires, not_before) = (request.expires, request.not_before);
        Self { kind: request.kind, expires, not_before }
    }
}

/// When the token counts: as asked, or by default; within policy, issuer and grant.
pub(in crate::authority) fn validity_of(
    policies: &[&EffectivePolicy],
    caller: &Caller,
    reach: &Reach,
    request: Lifetime,
    now: Timestamp,
) -> Result<Validity, Refusal> {
    let begins = request.not_before.unwrap_or(now);
    let longest = policies.iter().filter_map(|policy| policy.max_lifetime_seconds).min();
    let granted = lifetime_granted(&reach.limits);
    let ends = match request.expires {
        Expiry::Never => {
            if policies.iter().any(|policy| policy.must_expire) {
                return Err(Refusal::Policy("a token must end (must_expire)".into()));
            }
            if longest.is_some() || granted.is_some() {
                return Err(Refusal::Policy(
                    "a token without end exceeds the longest lifetime".into(),
                ));
            }
            None
        }
        Expiry::Open
            if longest.is_none()
                && granted.is_none()
                && !policies.iter().any(|policy| policy.must_expire) =>
        {
            None
        }
        Expiry::At(end) => Some(end),
        Expiry::After(seconds) => Some(begins.plus_seconds(seconds)),
        Expiry::Default | Expiry::Open => {
            Some(default_end(policies, request.kind, begins, now, longest, granted))
        }
    };
    let validity = Validity::new(begins, ends).map_err(|e| Refusal::invalid("expires_at", e))?;
    if ends.is_some_and(|end| end <= now) {
        return Err(Refusal::invalid("expires_at", "lies in the past"));
    }
    let too_long = |max: i64| ends.is_some_and(|end| now.plus_seconds(max) < end);
    if longest.is_some_and(too_long) {
        let longest = in_words(longest.unwrap_or_default());
        return Err(Refusal::Policy(format!("the longest lifetime is {longest}")));
    }
    if granted.is_some_and(too_long) {
        return Err(Refusal::BeyondGrant("the lifetime exceeds the caller's grant"));
    }
    clip_to_issuer(caller, request.expires, validity)
}

/// What a token is issued with that names no end.
fn default_end(
    policies: &[&EffectivePolicy],
    kind: Kind,
    begins: Timestamp,
    now: Timestamp,
    longest: Option<i64>,
    granted: Option<i64>,
) -> Timestamp {
    let of_kind = match kind {
        Kind::RegistrationToken => DEFAULT_REGISTRATION_LIFETIME_SECONDS,
        _ => DEFAULT_LIFETIME_SECONDS,
    };
    let stated = policies.iter().filter_map(|policy| policy.default_lifetime_seconds).min();
    let end = begins.plus_seconds(stated.unwrap_or(of_kind));
    let bounds = [longest, granted].into_iter().flatten().map(|max| now.plus_seconds(max));
    bounds.fold(end, Timestamp::min)
}

/// Where a token is the issuer, what it issues ends no later: clipped when defaulted, refused
/// when asked for. Client keys are bounded by their role instead.
fn clip_to_issuer(caller: &Caller, asked: Expiry, validity: Validity) -> Result<Validity, Refusal> {
    let issuer_is_person = caller.subject.user().is_some();
    let Some(issuer_end) = caller.token_expires_at.filter(|_| issuer_is_person) else {
        return Ok(validity);
    };
    if validity.expires_at().is_some_and(|end| end <= issuer_end) {
        return Ok(validity);
    }
    if matches!(asked, Expiry::Default | Expiry::Open) {
        let clipped = Validity::new(validity.not_before(), Some(issuer_end));
        return clipped.map_err(|e| Refusal::invalid("not_before", e));
    }
    Err(Refusal::invalid(
        "expires_at",
        format!("lies beyond the end of the issuing token, {issuer_end}"),
    ))
}

/// A number of seconds in the largest unit that says it exactly.
fn in_words(seconds: i64) -> String {
    let units = [(86_400, "day"), (3_600, "hour"), (60, "minute")];
    let exact = units.into_iter().find(|(unit, _)| seconds % unit == 0);
    let (unit, name) = exact.unwrap_or((1, "second"));
    let plural = if seconds == unit { "" } else { "s" };
    format!("{} {name}{plural}", seconds / unit)
}

#[cfg(test)]
mod tests {
    use super::in_words;

    #[test]
    fn a_lifetime_is_said_in_its_largest_exact_unit() {
        assert_eq!(in_words(3_600), "1 hour");
        assert_eq!(in_words(10 * 86_400), "10 days");
        assert_eq!(in_words(90), "90 seconds");
    }
}

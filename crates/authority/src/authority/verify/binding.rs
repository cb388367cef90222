//! Which services a verifier speaks for, and so what a token must be good for.

use std::borrow::Cow;

use super::Binding;
use crate::authority::Authority;
use crate::caller::Caller;
use crate::names::{RealmName, ServiceLabel};
use crate::refusal::Refusal;
use crate::scope::ApiScope;

impl Authority {
    /// The binding of a verifier: its one service is implied, one of several must be named.
    pub fn binding<'a>(
        &self,
        caller: &'a Caller,
        realm: &'a RealmName,
        named: Option<&'a ServiceLabel>,
    ) -> Result<Binding<'a>, Refusal> {
        let (mut any, mut whole, mut names_it, mut several) = (false, false, false, false);
        let mut only: Option<&ServiceLabel> = None;
        for power in caller.powers_in(realm, ApiScope::Verify)? {
            any = true;
            match (&power.unit, &power.services) {
                (Some(_), _) => {}
                (None, Some(services)) => {
                    for label in services {
                        names_it |= named == Some(label);
                        several |= only.is_some_and(|other| other != label);
                        only = Some(label);
                    }
                }
                (None, None) => whole = true,
            }
        }
        match (named, only) {
            _ if !any => Err(Refusal::Forbidden(ApiScope::Verify)),
            (Some(label), _) if whole || names_it => Ok(Binding::Service(label)),
            (Some(_), _) => Err(Refusal::Forbidden(ApiScope::Verify)),
            (None, _) if whole => Ok(Binding::Unbound),
            (None, Some(only)) if !several => Ok(Binding::Service(only)),
            (None, _) => {
                Err(Refusal::invalid("service", "this verifier has several services; name one"))
            }
        }
    }

    /// The services of a verifier whose door has no field to name one (introspection): a token
    /// that is good for at least one of them is good. `None`: no service is checked.
    pub fn verifiable<'a>(
        &self,
        caller: &'a Caller,
        realm: &'a RealmName,
    ) -> Result<Option<Cow<'a, [ServiceLabel]>>, Refusal> {
        let (mut any, mut labels) = (false, Cow::Borrowed(&[][..]));
        for power in caller.powers_in(realm, ApiScope::Verify)? {
            any = true;
            match (&power.unit, &power.services) {
                (Some(_), _) => {}
                // Most have one power, whose list is taken as it is.
                (None, Some(services)) if labels.is_empty() => labels = Cow::Borrowed(services),
                (None, Some(services)) => labels.to_mut().extend_from_slice(services),
                (None, None) => return Ok(None),
            }
        }
        if any { Ok(Some(labels)) } else { Err(Refusal::Forbidden(ApiScope::Verify)) }
    }
}

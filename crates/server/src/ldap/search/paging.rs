//! Answers in pages (RFC 2696): the cookie says where the next one begins, and of which search.
//!
//! A cookie is no secret and no right: what may be seen is judged anew on every page. One of
//! another search, or one that somebody made up, is refused.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use ldap3_proto::control::LdapControl;
use ldap3_proto::proto::{LdapResultCode, LdapSearchRequest};

use crate::ldap::answer::End;
use crate::ldap::limits::ENTRIES_MAX;

/// The control's OID.
pub(crate) const PAGED_RESULTS: &str = "1.2.840.113556.1.4.319";

/// A place in a walk: behind which entry of which sort of which service it goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mark {
    /// The service's label; empty for what belongs to none.
    pub(crate) service: String,
    /// The sort of entries, as the walk counts them.
    pub(crate) stage: u8,
    /// The last entry that was looked at; empty: none yet.
    pub(crate) after: String,
}

/// What a search said about pages.
#[derive(Debug)]
pub(crate) struct Paging {
    asked: Option<usize>,
    search: u64,
    mark: Option<Mark>,
}

impl Paging {
    /// Reads the control, if it is there.
    ///
    /// # Errors
    ///
    /// When the cookie is not one of this search.
    pub(crate) fn of(request: &LdapSearchRequest, controls: &[LdapControl]) -> Result<Self, End> {
        let search = fingerprint(request);
        let asked = controls.iter().find_map(|control| match control {
            LdapControl::SimplePagedResults { size, cookie } => Some((*size, cookie)),
            _ => None,
        });
        let Some((size, cookie)) = asked else {
            return Ok(Self { asked: None, search, mark: None });
        };
        let foreign = End::new(LdapResultCode::UnwillingToPerform, "a cookie of another search");
        let mark = match cookie.as_slice() {
            [] => None,
            cookie => Some(read(cookie, search).ok_or(foreign)?),
        };
        let size = usize::try_from(size).unwrap_or(0).min(ENTRIES_MAX);
        Ok(Self { asked: Some(size), search, mark })
    }

    /// Whether the client wants pages.
    pub(crate) const fn is_asked_for(&self) -> bool {
        self.asked.is_some()
    }

    /// Entries of this page.
    pub(crate) fn size(&self) -> usize {
        self.asked.unwrap_or(ENTRIES_MAX)
    }

    /// Where it begins.
    pub(crate) fn mark(&self) -> Option<Mark> {
        self.mark.clone()
    }

    /// The control of the answer: where the next page begins, or that there is none.
    pub(crate) fn answer(&self, next: Option<Mark>) -> Vec<LdapControl> {
        if self.asked.is_none() {
            return Vec::new();
        }
        let written = |mark: Mark| {
            let Mark { service, stage, after } = mark;
            format!("{:016x} {stage} {service} {after}", self.search).into_bytes()
        };
        let cookie = next.map(written).unwrap_or_default();
        // The size of the whole is not known (RFC 2696 section 3 allows 0).
        vec![LdapControl::SimplePagedResults { size: 0, cookie }]
    }
}

/// Tells searches apart; sent with every page, they are the same but for the page (section 3).
fn fingerprint(request: &LdapSearchRequest) -> u64 {
    let mut hasher = DefaultHasher::new();
    request.base.hash(&mut hasher);
    format!("{:?} {:?} {:?}", request.scope, request.filter, request.attrs).hash(&mut hasher);
    hasher.finish()
}

fn read(cookie: &[u8], search: u64) -> Option<Mark> {
    let text = std::str::from_utf8(cookie).ok()?;
    let mut words = text.splitn(4, ' ');
    let of = u64::from_str_radix(words.next()?, 16).ok()?;
    let stage = words.next()?.parse().ok()?;
    let (service, after) = (words.next()?.to_owned(), words.next()?.to_owned());
    (of == search).then_some(Mark { service, stage, after })
}

#[cfg(test)]
mod tests {
    use ldap3_proto::proto::{LdapDerefAliases, LdapFilter, LdapSearchScope};

    use super::*;

    fn request(uid: &str) -> LdapSearchRequest {
        LdapSearchRequest {
            base: "dc=x".into(),
            scope: LdapSearchScope::Subtree,
            aliases: LdapDerefAliases::Never,
            sizelimit: 0,
            timelimit: 0,
            typesonly: false,
            filter: LdapFilter::Equality("uid".into(), uid.into()),
            attrs: Vec::new(),
        }
    }

    #[test]
    fn a_cookie_leads_back_to_its_place_in_its_own_search() {
        let first = |cookie: Vec<u8>| vec![LdapControl::SimplePagedResults { size: 2, cookie }];
        let paging = Paging::of(&request("a"), &first(Vec::new())).unwrap();
        assert_eq!((paging.size(), paging.mark()), (2, None));
        let mark = Mark { service: "git".into(), stage: 1, after: "alice of x".into() };
        let [LdapControl::SimplePagedResults { cookie, .. }] =
            &paging.answer(Some(mark.clone()))[..]
        else {
            panic!("no control");
        };
        let next = Paging::of(&request("a"), &first(cookie.clone())).unwrap();
        assert_eq!(next.mark(), Some(mark));
        assert!(Paging::of(&request("b"), &first(cookie.clone())).is_err());
        assert!(Paging::of(&request("a"), &first(b"made up".to_vec())).is_err());
        assert!(!Paging::of(&request("a"), &[]).unwrap().is_asked_for());
    }
}

//! Search and compare: a person sees their own entry, a client what its services' people are.
//!
//! What is looked at is read from the store in small pages, held against the filter, and sent on;
//! a search never holds more than one page of records.

mod paging;
mod walk;

use counterfoil_authority::refusal::Refusal;
use ldap3_proto::control::LdapControl;
use ldap3_proto::proto::{
    LdapCompareRequest, LdapFilter, LdapOp, LdapResultCode, LdapSearchRequest, LdapSearchScope,
};

pub(crate) use self::paging::PAGED_RESULTS;
use self::paging::{Mark, Paging};
use self::walk::{Area, Walk};
use super::Shared;
use super::answer::End;
use super::bind::Bound;
use super::dn::Dn;
use super::entry::{Entry, Selection, attribute_name};
use super::filter::{Pins, is_bounded, matches};
use super::limits::{ENTRIES_MAX, ENTRIES_SEEN_MAX, SEARCH_PATIENCE};
use super::root;

/// Where found entries go.
pub(crate) trait Sink {
    /// Takes an entry; false if the client is gone.
    fn entry(&mut self, found: LdapOp) -> impl Future<Output = bool> + Send;
}

/// How a search ended: its result and the controls that go with it. `None`: the client is gone.
pub(crate) type Ended = Option<(End, Vec<LdapControl>)>;

/// Answers a search within the time that client and server allow.
pub(crate) async fn search(
    shared: &Shared,
    bound: &Bound,
    request: LdapSearchRequest,
    controls: &[LdapControl],
    sink: &mut (impl Sink + Send),
) -> Ended {
    let Ok(base) = Dn::parse(&request.base) else {
        return Some(plain(LdapResultCode::InvalidDNSyntax, ""));
    };
    if !is_bounded(&request.filter) {
        return Some(plain(LdapResultCode::UnwillingToPerform, "the filter is too large"));
    }
    if base.is_root() && request.scope == LdapSearchScope::Base {
        return root_dse(shared, &request, sink).await;
    }
    let Ok(_place) = shared.searches.try_acquire() else { return Some((End::BUSY, Vec::new())) };
    let asked = u64::try_from(request.timelimit).unwrap_or(0);
    let patience = match asked {
        0 => SEARCH_PATIENCE,
        seconds => SEARCH_PATIENCE.min(std::time::Duration::from_secs(seconds)),
    };
    let paging = match Paging::of(&request, controls) {
        Ok(paging) => paging,
        Err(end) => return Some((end, Vec::new())),
    };
    if paging.is_asked_for() && paging.size() == 0 {
        // The client has seen enough (RFC 2696 section 3).
        return Some((End::SUCCESS, paging.answer(None)));
    }
    let looked = look(shared, bound, base, &request, &paging, sink);
    match tokio::time::timeout(patience, looked).await {
        Ok(Ok(found)) => found,
        Ok(Err(refusal)) => Some((End::from(&refusal), Vec::new())),
        Err(_) => Some(plain(LdapResultCode::TimeLimitExceeded, "")),
    }
}

const fn plain(code: LdapResultCode, said: &'static str) -> (End, Vec<LdapControl>) {
    (End::new(code, said), Vec::new())
}

async fn root_dse(
    shared: &Shared,
    request: &LdapSearchRequest,
    sink: &mut (impl Sink + Send),
) -> Ended {
    let entry = root::dse(shared);
    if matches(&request.filter, &entry) == Some(true) {
        let selection = Selection::of(&request.attrs, request.typesonly);
        if !sink.entry(LdapOp::SearchResultEntry(selection.cut(entry))).await {
            return None;
        }
    }
    Some(plain(LdapResultCode::Success, ""))
}

async fn look(
    shared: &Shared,
    bound: &Bound,
    base: Dn,
    request: &LdapSearchRequest,
    paging: &Paging,
    sink: &mut (impl Sink + Send),
) -> Result<Ended, Refusal> {
    let selection = Selection::of(&request.attrs, request.typesonly);
    let area = Area { base, scope: request.scope.clone(), pins: Pins::of(&request.filter) };
    let members = selection.takes("member", false) || asks_for(&request.filter, "member");
    let Some(mut walk) = Walk::start(shared, bound, area, members, paging.mark()).await? else {
        return Ok(Some((End::NOT_ALLOWED, Vec::new())));
    };
    let most = usize::try_from(request.sizelimit).ok().filter(|&most| most > 0);
    let (mut seen, mut sent) = (0, 0);
    loop {
        let before: Option<Mark> = walk.mark();
        let Some(entry) = walk.next().await? else { break };
        if walk.is_beyond_limits() {
            let said = "a group has too many members to be shown";
            return Ok(Some(plain(LdapResultCode::AdminLimitExceeded, said)));
        }
        seen += 1;
        let is_asked_for = matches(&request.filter, &entry) == Some(true);
        if is_asked_for {
            if most.is_some_and(|most| sent >= most) || sent >= ENTRIES_MAX.min(paging.size()) {
                if most.is_none_or(|most| sent < most) && paging.is_asked_for() {
                    return Ok(Some((End::SUCCESS, paging.answer(before))));
                }
                return Ok(Some(plain(LdapResultCode::SizeLimitExceeded, "")));
            }
            sent += 1;
            if !sink.entry(LdapOp::SearchResultEntry(selection.cut(entry))).await {
                return Ok(None);
            }
        }
        if seen >= ENTRIES_SEEN_MAX {
            let said = "too many entries to look at; name one, or ask in pages";
            if paging.is_asked_for() {
                return Ok(Some((End::SUCCESS, paging.answer(walk.mark()))));
            }
            return Ok(Some(plain(LdapResultCode::AdminLimitExceeded, said)));
        }
    }
    if seen == 0 && !walk.knows_base() {
        return Ok(Some((End::NO_SUCH_OBJECT, Vec::new())));
    }
    Ok(Some((End::SUCCESS, paging.answer(None))))
}

/// Whether a filter says anything about an attribute.
fn asks_for(filter: &LdapFilter, name: &str) -> bool {
    match filter {
        LdapFilter::And(all) | LdapFilter::Or(all) => all.iter().any(|inner| asks_for(inner, name)),
        LdapFilter::Not(inner) => asks_for(inner, name),
        LdapFilter::Equality(asked, _)
        | LdapFilter::Substring(asked, _)
        | LdapFilter::GreaterOrEqual(asked, _)
        | LdapFilter::LessOrEqual(asked, _)
        | LdapFilter::Present(asked)
        | LdapFilter::Approx(asked, _) => attribute_name(asked) == name,
        LdapFilter::Extensible(asked) => {
            asked.type_.as_deref().is_some_and(|asked| attribute_name(asked) == name)
        }
    }
}

/// Answers a compare: an equality about one entry that the asker may see.
pub(crate) async fn compare(shared: &Shared, bound: &Bound, request: LdapCompareRequest) -> End {
    let Ok(base) = Dn::parse(&request.dn) else {
        return End::new(LdapResultCode::InvalidDNSyntax, "");
    };
    let Ok(value) = String::from_utf8(request.val) else {
        return End::new(LdapResultCode::CompareFalse, "");
    };
    let filter = LdapFilter::Equality(request.atype, value);
    let Ok(_place) = shared.searches.try_acquire() else { return End::BUSY };
    let compared = async {
        let area = Area { base, scope: LdapSearchScope::Base, pins: Pins::default() };
        let members = asks_for(&filter, "member");
        let Some(mut walk) = Walk::start(shared, bound, area, members, None).await? else {
            return Ok(End::NOT_ALLOWED);
        };
        let Some(entry) = walk.next().await? else { return Ok(End::NO_SUCH_OBJECT) };
        Ok::<End, Refusal>(said_of(&filter, &entry))
    };
    match tokio::time::timeout(SEARCH_PATIENCE, compared).await {
        Ok(Ok(end)) => end,
        Ok(Err(refusal)) => End::from(&refusal),
        Err(_) => End::new(LdapResultCode::TimeLimitExceeded, ""),
    }
}

fn said_of(filter: &LdapFilter, entry: &Entry) -> End {
    let code = match matches(filter, entry) {
        Some(true) => LdapResultCode::CompareTrue,
        Some(false) => LdapResultCode::CompareFalse,
        None => LdapResultCode::NoSuchAttribute,
    };
    End::new(code, "")
}

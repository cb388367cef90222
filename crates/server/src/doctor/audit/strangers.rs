//! Events that are in no log, though nothing waits to put them there: somebody wrote them past the
//! server, or took the log away.

use std::collections::HashSet;

use counterfoil_authority::audit::tree::{Span, TILE_LEVELS, TILE_WIDTH};
use counterfoil_authority::names::RealmName;
use counterfoil_authority::store::{
    AuditHead, AuditStore, AuditTile, EventFilter, EventStore, PageRequest, ServiceStore,
    Unavailable,
};
use counterfoil_store::SqlStore;

/// Records of one look.
const PAGE: u32 = 1000;
/// Events that may wait; where more do, the lag is what is told.
const WAITING_MAX: u32 = 100_000;
/// Events that are named.
const NAMED_MAX: usize = 10;

/// The events that wait for their log; `None` if there are too many to say.
async fn waiting(store: &SqlStore) -> Result<Option<HashSet<String>>, Unavailable> {
    let waiting = store.audit_unsealed(Vec::new(), WAITING_MAX).await?;
    if waiting.len() == WAITING_MAX as usize {
        return Ok(None);
    }
    Ok(Some(waiting.into_iter().map(|one| one.event).collect()))
}

/// What is wrong with realms that have no log, though they should.
pub(super) async fn without_head(
    store: &SqlStore,
    heads: &[AuditHead],
) -> Result<Vec<(RealmName, String)>, Unavailable> {
    let (mut found, mut request) = (Vec::new(), PageRequest::first(PAGE));
    loop {
        let page = store.realm_list(request).await?;
        for realm in page.items.into_iter().map(|realm| realm.name) {
            if heads.iter().any(|head| head.realm == realm) {
                continue;
            }
            if let Some(what) = headless(store, &realm).await? {
                found.push((realm, what.to_owned()));
            }
        }
        let Some(after) = page.next else { return Ok(found) };
        request = PageRequest { limit: PAGE, after: Some(after) };
    }
}

async fn headless(
    store: &SqlStore,
    realm: &RealmName,
) -> Result<Option<&'static str>, Unavailable> {
    let node = Span { level: TILE_LEVELS, first: 0, count: 1 };
    let nodes = store.audit_hashes(realm, vec![node]).await?;
    let nodes = nodes.iter().any(|found| !found.is_empty());
    let remains = nodes || store.audit_tile(realm, 0).await?.is_some();
    let newest =
        store.event_list(realm, EventFilter::default(), PageRequest::first(1)).await?.items;
    let waits = waiting(store).await?;
    let waits = |id: &String| waits.as_ref().is_none_or(|waits| waits.contains(id));
    let sealed = newest.iter().any(|event| !waits(&event.id));
    // A server that runs may have begun it in between.
    if store.audit_head(realm).await?.is_some() {
        return Ok(None);
    }
    Ok(match (remains, sealed) {
        (true, _) => Some("the head of its log is gone, and entries of it are there"),
        (false, true) => Some("its log is gone: events are there that wait for none"),
        (false, false) => None,
    })
}

/// Events of a realm, the newest `most` or all, that are not in its log and do not wait for it.
pub(super) async fn in_no_log(
    store: &SqlStore,
    realm: &RealmName,
    most: Option<u64>,
) -> Result<Vec<String>, Unavailable> {
    let Some(waits) = waiting(store).await? else { return Ok(Vec::new()) };
    let (mut strange, mut seen) = (Vec::new(), 0_u64);
    let (mut tile, mut request) = (AuditTile::default(), PageRequest::first(PAGE));
    loop {
        let page = store.event_list(realm, EventFilter::default(), request).await?;
        for id in page.items.into_iter().map(|event| event.id) {
            seen += 1;
            // Neighbours are mostly in one tile.
            if waits.contains(&id) || tile.events.contains(&id) {
                continue;
            }
            match store.audit_place(realm, &id).await? {
                Some(place) => {
                    let found = store.audit_tile(realm, place / TILE_WIDTH).await?;
                    tile = found.unwrap_or_default();
                }
                None => strange.push(id),
            }
        }
        let enough = strange.len() >= NAMED_MAX || most.is_some_and(|most| seen >= most);
        match page.next {
            Some(after) if !enough => request = PageRequest { limit: PAGE, after: Some(after) },
            _ => break,
        }
    }
    still_strange(store, realm, strange).await
}

/// Of a server that runs some were written or sealed in between.
async fn still_strange(
    store: &SqlStore,
    realm: &RealmName,
    strange: Vec<String>,
) -> Result<Vec<String>, Unavailable> {
    if strange.is_empty() {
        return Ok(Vec::new());
    }
    let waits = waiting(store).await?.unwrap_or_default();
    let mut told = Vec::new();
    for id in strange {
        if told.len() < NAMED_MAX
            && !waits.contains(&id)
            && store.audit_place(realm, &id).await?.is_none()
        {
            told.push(format!("event {id} is in no log, and waits for none"));
        }
    }
    Ok(told)
}

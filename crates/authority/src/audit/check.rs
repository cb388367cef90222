//! Holds a stored log against its last checkpoint: what was done to the database shows.

use super::leaf;
use super::note::{Checkpoint, VerifierKey};
use super::tree::{Frontier, Hash, Node, Span, TILE_WIDTH};
use crate::clock::Timestamp;
use crate::event::Event;
use crate::store::{AuditHead, AuditStore, AuditTile, Unavailable};

/// Flaws that are told; of a log that was tampered with everywhere the rest says no more.
const FLAWS_MAX: usize = 10;

/// How much is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Depth {
    /// Events from this place on are read and hashed again; of those before, only the hashes.
    pub events_from: u64,
    /// Events that are older may have been removed; `None` if none may.
    pub kept_since: Option<Timestamp>,
}

/// Looks through a log, and says in words what is wrong with it; nothing, if it is sound.
///
/// # Errors
///
/// When the store does not answer, or cannot read what it holds.
pub async fn check(
    store: &(dyn AuditStore + Send + Sync),
    head: &AuditHead,
    keys: &[VerifierKey],
    depth: Depth,
) -> Result<Vec<String>, Unavailable> {
    let mut flaws = Vec::new();
    if let Err(flaw) = fits(head, keys) {
        flaws.push(flaw);
    }
    let mut tree = Frontier::default();
    while tree.size() < head.tree.size() && flaws.len() < FLAWS_MAX {
        let index = tree.size() / TILE_WIDTH;
        let length = (head.tree.size() - tree.size()).min(TILE_WIDTH);
        let tile = store.audit_tile(&head.realm, index).await?.unwrap_or_default();
        if tile.hashes.len() as u64 != length {
            flaws.push(format!("the hashes of the entries from {} are missing", tree.size()));
            return Ok(flaws);
        }
        if tree.size() + length > depth.events_from {
            let ids = tile.events.clone();
            let events = store.audit_events(&head.realm, ids).await?;
            flaws.extend(altered(&tile, &events, depth));
        }
        let mut nodes = Vec::new();
        for hash in tile.hashes {
            tree.push(hash, |node| nodes.push(node));
        }
        flaws.extend(nodes_fit(store, head, &nodes).await?);
    }
    if tree.size() == head.tree.size() && tree != head.tree {
        flaws.push("the hashes of the entries are not those of the checkpoint".to_owned());
    }
    flaws.truncate(FLAWS_MAX);
    Ok(flaws)
}

/// Whether the head of a log is what its checkpoint was made of.
///
/// # Errors
///
/// What is wrong with it.
pub fn fits(head: &AuditHead, keys: &[VerifierKey]) -> Result<(), String> {
    match Checkpoint::open(&head.note, keys) {
        Err(fault) => Err(format!("the checkpoint {fault}")),
        Ok(signed) if (signed.size, signed.root) != (head.tree.size(), head.tree.root()) => {
            Err("the log does not fit its checkpoint".to_owned())
        }
        Ok(signed) if head.witnessed > signed.size => Err(format!(
            "the witness is said to have {} entries, and there are {}",
            head.witnessed, signed.size
        )),
        Ok(_) => Ok(()),
    }
}

fn altered(tile: &AuditTile, events: &[Option<Event>], depth: Depth) -> Vec<String> {
    let first = tile.index * TILE_WIDTH;
    let end = depth.kept_since.map(|at| format!("{:014x}", at.micros().max(0)));
    let rows = (first..).zip(&tile.hashes).zip(&tile.events).zip(events);
    let flaw = |(((place, hash), id), event): (((u64, &Hash), &String), &Option<Event>)| match event
    {
        _ if place < depth.events_from => None,
        Some(event) if leaf::hash_of(event) == *hash => None,
        Some(_) => Some(format!("event {id}, entry {place}, was altered after it was sealed")),
        None if end.as_ref().is_some_and(|end| id < end) => None,
        None => Some(format!("event {id}, entry {place}, is missing")),
    };
    rows.filter_map(flaw).collect()
}

async fn nodes_fit(
    store: &(dyn AuditStore + Send + Sync),
    head: &AuditHead,
    nodes: &[Node],
) -> Result<Option<String>, Unavailable> {
    let span = |node: &Node| Span { level: node.level, first: node.index, count: 1 };
    let stored = store.audit_hashes(&head.realm, nodes.iter().map(span).collect()).await?;
    let differs = nodes.iter().zip(stored).find(|(node, found)| found.as_slice() != [node.hash]);
    let told =
        |node: &Node| format!("node {} of level {} is not its leaves'", node.index, node.level);
    Ok(differs.map(|(node, _)| told(node)))
}

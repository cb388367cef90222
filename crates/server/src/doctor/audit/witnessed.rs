//! What the directory of the witness keeps, held against the logs.

use std::fs;
use std::path::Path;

use counterfoil_authority::audit::note::{Checkpoint, VerifierKey};
use counterfoil_authority::audit::tree::{Plan, proves_consistency};
use counterfoil_authority::store::{AuditHead, AuditStore, Unavailable};
use counterfoil_store::SqlStore;

use super::super::Finding;
use super::CHECK;
use crate::config::Audit;

/// Bytes of a kept checkpoint that are read at most.
const NOTE_BYTES_MAX: u64 = 64 * 1024;

/// Whether the directory is there, if one is configured.
pub(super) fn directory(config: &Audit) -> Option<Finding> {
    let dir = config.witness_dir.as_ref().filter(|dir| !dir.is_dir())?;
    let found = format!("audit.witness_dir {} is no directory", dir.display());
    let advice = "mount or make it: nobody keeps the checkpoints elsewhere now";
    Some(Finding::fail(CHECK, found, advice))
}

/// How a log does not go on from the checkpoint that is kept; `None` if it does, or none is kept.
pub(super) async fn departs(
    config: &Audit,
    store: &SqlStore,
    head: &AuditHead,
    keys: &[VerifierKey],
) -> Result<Option<String>, Unavailable> {
    let Some(dir) = &config.witness_dir else { return Ok(None) };
    let path = dir.join(format!("{}.checkpoint", head.realm.as_str()));
    let Ok(found) = fs::metadata(&path) else { return Ok(None) };
    if found.len() > NOTE_BYTES_MAX {
        return Ok(Some(format!("{} is no checkpoint", path.display())));
    }
    let kept = match read(&path, keys) {
        Ok(kept) => kept,
        Err(why) => return Ok(Some(why)),
    };
    let (size, now, root) = (kept.size, head.tree.size(), head.tree.root());
    if size > now {
        // A server that runs may have sealed and told it since the head was read.
        let later = store.audit_head(&head.realm).await?;
        if later.is_some_and(|later| later.tree.size() >= size) {
            return Ok(None);
        }
        return Ok(Some(format!(
            "{} has {size} entries, and the log has {now}: it was cut off, or a backup was \
             restored",
            path.display()
        )));
    }
    let Some(plan) = Plan::consistency(size, now) else { return Ok(None) };
    let proof = plan.hashes(&store.audit_hashes(&head.realm, plan.spans()).await?);
    let goes_on =
        proof.is_some_and(|proof| proves_consistency((size, &kept.root), (now, &root), &proof));
    let forked = format!(
        "the first {size} entries are not those of {}: the log was rewritten or forked",
        path.display()
    );
    Ok((!goes_on).then_some(forked))
}

fn read(path: &Path, keys: &[VerifierKey]) -> Result<Checkpoint, String> {
    let note = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    Checkpoint::open(&note, keys)
        .map_err(|fault| format!("{}: the checkpoint {fault}", path.display()))
}

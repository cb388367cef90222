//! The audit logs, each held against its last checkpoint.

mod strangers;
mod witnessed;

use counterfoil_authority::audit::check::{Depth, check};
use counterfoil_authority::audit::note::{SigningKey, VerifierKey, origin};
use counterfoil_authority::authority::{Authority, DamagedLog};
use counterfoil_authority::clock::{Clock, MICROS_PER_SECOND};
use counterfoil_authority::keys::KeyPurpose;
use counterfoil_authority::names::RealmName;
use counterfoil_authority::store::{AuditHead, AuditStore, InstallationStore, Unavailable};
use counterfoil_store::SqlStore;

use super::{Finding, unavailable};
use crate::clock::OsClock;
use crate::config::Config;
use crate::keydir::KeyDirectory;

/// Events of each realm, the newest, that are read and hashed again; with `--deep` all are.
const EVENTS_LOOKED_AT: u64 = 10_000;
/// Events wait about a second; longer is worth a look, as nobody may be sealing.
const LAG_SECONDS: i64 = 60;
const CHECK: &str = "audit log";
const TAMPERED: &str = "somebody changed the database past the server: keep a copy of it, compare \
                        exports and checkpoints that were kept elsewhere, and restore a backup";

/// How the logs of all realms are.
pub(super) async fn logs(config: &Config, store: &SqlStore, deep: bool) -> Vec<Finding> {
    match looked_through(config, store, deep).await {
        Ok(findings) => findings,
        Err(error) => match DamagedLog::behind(&error) {
            Some(log) => vec![Finding::fail(CHECK, log.to_string(), TAMPERED)],
            None => vec![unavailable(CHECK, &error)],
        },
    }
}

async fn looked_through(
    config: &Config,
    store: &SqlStore,
    deep: bool,
) -> Result<Vec<Finding>, Unavailable> {
    let Some(installation) = store.installation().await? else { return Ok(Vec::new()) };
    let now = OsClock.now();
    let mut findings = Vec::new();
    if let Some(since) = store.audit_waiting_since().await? {
        let seconds = (now.micros() - since.micros()) / MICROS_PER_SECOND;
        if seconds > LAG_SECONDS {
            let found = format!("an event of {since} is in no audit log yet");
            let advice =
                "a server that runs seals events within seconds; see audit.seal and its log";
            findings.push(Finding::warn(CHECK, found, advice));
        }
    }
    let files = KeyDirectory::at(config.data.keys()).read().unwrap_or_default();
    let signers = files.iter().filter(|file| file.purpose == KeyPurpose::Checkpoint);
    let signers: Vec<SigningKey> = signers.filter_map(|file| SigningKey::new(&file.key)).collect();
    let keys_of = |realm: &RealmName| -> Vec<VerifierKey> {
        let origin = origin(&installation.id, realm);
        signers.iter().map(|key| key.verifier(&origin)).collect()
    };
    findings.extend(witnessed::directory(&config.audit));
    let heads = store.audit_heads().await?;
    for (realm, what) in strangers::without_head(store, &heads).await? {
        findings.push(Finding::fail(CHECK, format!("{}: {what}", realm.as_str()), TAMPERED));
    }
    for head in heads {
        let size = head.tree.size();
        let depth = Depth {
            events_from: if deep { 0 } else { size.saturating_sub(EVENTS_LOOKED_AT) },
            kept_since: Authority::events_kept_since(config.audit.retention(), now),
        };
        let keys = keys_of(&head.realm);
        let mut flaws = check(store, &head, &keys, depth).await?;
        let most = if deep { None } else { Some(EVENTS_LOOKED_AT) };
        flaws.extend(strangers::in_no_log(store, &head.realm, most).await?);
        flaws.extend(witnessed::departs(&config.audit, store, &head, &keys).await?);
        findings.push(found(&head, &flaws));
    }
    Ok(findings)
}

fn found(head: &AuditHead, flaws: &[String]) -> Finding {
    let (realm, size) = (head.realm.as_str(), head.tree.size());
    if !flaws.is_empty() {
        return Finding::fail(CHECK, format!("{realm}: {}", flaws.join("; ")), TAMPERED);
    }
    let witness = match head.witnessed_at {
        Some(at) => format!("the witness has {} of them since {at}", head.witnessed),
        None => "no witness has a checkpoint of it".to_owned(),
    };
    let fit = if size == 1 { "event fits its" } else { "events fit their" };
    Finding::ok(CHECK, format!("{realm}: {size} {fit} checkpoint; {witness}"))
}

//! `audit replay`: does again what was revoked, locked or rotated after a backup that was restored.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use counterfoil_authority::audit::note::{SigningKey, VerifierKey, origin};
use counterfoil_authority::audit::replay::{Lost, Undone};
use counterfoil_authority::authority::Replayed;
use counterfoil_authority::clock::{DayEdge, Timestamp};
use counterfoil_authority::event::Event;
use counterfoil_authority::keys::KeyPurpose;
use counterfoil_authority::names::RealmName;
use counterfoil_authority::store::{EventFilter, EventStore, PageRequest, ServiceStore};
use data_encoding::BASE64;
use serde_json::{Value, json};

use super::super::failure::Failure;
use super::super::local::{HERE, LocalArgs};
use super::super::print;
use super::lost::{self, Against, Done, LostLog};
use super::verify::{kept, keys_of};
use crate::config::Config;
use crate::installation::{self, IfEmpty, Installation};
use crate::restored;

/// Events of an unproved list in one file at most, in bytes.
const LIST_BYTES_MAX: u64 = 1 << 30;
/// Former runs that are looked at, the newest ones.
const RUNS: u32 = 100;
/// Names shown of what has to be done by hand; JSON has all of them.
const SHOWN: usize = 5;

/// What is done again
#[derive(Debug, clap::Args)]
#[command(after_help = HERE)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub(crate) struct ReplayArgs {
    /// Exports of the lost logs, those of a realm each going on where the one before it ends
    #[arg(value_name = "FILE", required_unless_present = "acknowledge")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) proof: ProofArgs,
    /// The files are lists that `counterfoil events --json` printed: nothing proves that they are
    /// whole or true
    #[arg(long)]
    unproved: bool,
    /// The realm of unproved lists
    #[arg(long, value_name = "NAME", default_value = "main", requires = "unproved")]
    realm: String,
    /// Say what would be done, and change nothing
    #[arg(long, short = 'n')]
    dry_run: bool,
    /// There is no log: what was revoked since the backup is good again, and I know it
    #[arg(long, conflicts_with_all = ["files", "unproved", "dry_run"])]
    acknowledge: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    local: LocalArgs,
}

/// What exports are held against
#[derive(Debug, Default, clap::Args)]
pub(crate) struct ProofArgs {
    /// A further public key of the log, `NAME+ID+KEY`, or a file with one a line: of a key that is
    /// newer than the backup
    #[arg(long, value_name = "KEY")]
    key: Vec<String>,
    /// A checkpoint that was kept elsewhere: the export must reach as far; again for further ones
    #[arg(long, value_name = "FILE")]
    since: Vec<PathBuf>,
    /// Also where events are missing that the log does not say were removed: what they tell of is
    /// not done again
    #[arg(long)]
    allow_removed: bool,
}

/// Runs the command.
pub(super) async fn run(args: &ReplayArgs) -> Result<(), Failure> {
    let config = args.local.load()?;
    let opened = installation::open(&config, IfEmpty::Refuse).await?;
    let ran = if args.acknowledge {
        acknowledge(&config, &opened).await
    } else if args.unproved {
        let told = unproved(&config, &opened, args).await;
        told.map(|told| report(&[told], args.dry_run, args.json))
    } else {
        replay(&config, &opened, &args.files, &args.proof, args.dry_run)
            .await
            .map(|told| report(&told, args.dry_run, args.json))
    };
    let closed = opened.close().await;
    ran??;
    Ok(closed?)
}

async fn acknowledge(
    config: &Config,
    opened: &Installation,
) -> Result<Result<(), Failure>, Failure> {
    // Nothing is good again where nothing was restored, or where its log was played since.
    let Some(restored) = restored::left(&config.data.dir) else {
        let dir = config.data.dir.display();
        return Err(Failure::about(dir, "no restore waits for this: nothing is noted"));
    };
    let mut waiting = realms(opened).await?;
    // A note that cannot be read names none of them, and is about all.
    if waiting.iter().any(|realm| restored.names(realm.as_str())) {
        waiting.retain(|realm| restored.names(realm.as_str()));
    }
    for realm in &waiting {
        opened.authority.replayed(realm, json!({ "acknowledged": true })).await?;
    }
    settle(config, None)?;
    let names: Vec<&str> = waiting.iter().map(RealmName::as_str).collect();
    print::note(&format!(
        "noted: what was revoked after the backup is good again in {}",
        names.join(", ")
    ));
    Ok(Ok(()))
}

/// The realms of an installation.
async fn realms(opened: &Installation) -> Result<Vec<RealmName>, Failure> {
    let (mut realms, mut request) = (Vec::new(), PageRequest::first(1000));
    loop {
        let page = opened.store.realm_list(request).await?;
        realms.extend(page.items.into_iter().map(|realm| realm.name));
        let Some(after) = page.next else { return Ok(realms) };
        request = PageRequest { limit: 1000, after: Some(after) };
    }
}

fn settle(config: &Config, realm: Option<&RealmName>) -> Result<(), Failure> {
    let dir = &config.data.dir;
    restored::settle(dir, realm.map(RealmName::as_str))
        .map_err(|error| Failure::about(dir.join(restored::RESTORED_FILE).display(), error))
}

/// What came of one realm.
pub(crate) struct Told {
    realm: RealmName,
    /// The entries that were lost; `None` of an unproved list.
    entries: Option<LostLog>,
    until: Option<String>,
    undone: Undone,
    results: Vec<Replayed>,
}

/// Does again what the exports tell. Everything is read and proved before anything is done.
///
/// # Errors
///
/// When an export does not prove itself or does not fit the log that is here.
pub(crate) async fn replay(
    config: &Config,
    opened: &Installation,
    files: &[PathBuf],
    proof: &ProofArgs,
    rehearsal: bool,
) -> Result<Vec<Told>, Failure> {
    let known = realms(opened).await?;
    let mut of_realms: BTreeMap<RealmName, Vec<&PathBuf>> = BTreeMap::new();
    for path in files {
        let said = lost::header_of(path)?.origin;
        let realm = known.iter().find(|realm| origin(&opened.id, realm) == said);
        let realm = realm.ok_or_else(|| {
            let here = &opened.id;
            Failure::about(path.display(), format!("is of {said}, which is no log of {here}"))
        })?;
        of_realms.entry(realm.clone()).or_default().push(path);
    }
    let mut logs = Vec::new();
    for (realm, files) in of_realms {
        let against = against(opened, realm, proof).await?;
        let log = lost::read(against, &files).await?;
        if log.before.is_some_and(|at| is_of_backup(config, &log.realm, at)) {
            let why = "was done again before the backup was made, and says nothing of what came \
                       after it: give an export that is newer than the backup";
            return Err(Failure::about(format!("the log of {}", log.realm), why));
        }
        logs.push(log);
    }
    let mut told = Vec::new();
    for mut log in logs {
        let (realm, until) = (log.realm.clone(), log.until.clone());
        let undone = std::mem::take(&mut log.undone);
        let results = act(opened, &realm, &undone, rehearsal).await?;
        if !rehearsal && !is_left(&results) {
            if log.before.is_none() {
                let root = BASE64.encode(&log.root);
                let detail = json!({ "from": log.from, "root": root, "size": log.to });
                opened.authority.replayed(&realm, detail).await?;
            }
            settle(config, Some(&realm))?;
        }
        told.push(Told { realm, entries: Some(log), until, undone, results });
    }
    Ok(told)
}

async fn against<'a>(
    opened: &'a Installation,
    realm: RealmName,
    proof: &ProofArgs,
) -> Result<Against<'a>, Failure> {
    let name = origin(&opened.id, &realm);
    let files = opened.keys.read()?;
    let signers = files.iter().filter(|file| file.purpose == KeyPurpose::Checkpoint);
    let signers = signers.filter_map(|file| SigningKey::new(&file.key));
    let mut keys: Vec<VerifierKey> = signers.map(|key| key.verifier(&name)).collect();
    for given in &proof.key {
        keys.extend(keys_of(given)?);
    }
    let mut since = Vec::new();
    for path in &proof.since {
        let one = kept(path, &keys)?;
        if one.origin == name {
            since.push(one);
        }
    }
    let done = done_before(opened, &realm).await?;
    let allow_removed = proof.allow_removed;
    Ok(Against { store: &opened.store, realm, keys, since, done, allow_removed })
}

/// What former runs noted, the newest first.
async fn runs(opened: &Installation, realm: &RealmName) -> Result<Vec<Event>, Failure> {
    let filter = EventFilter { kind: Some("store.replayed".into()), ..EventFilter::default() };
    Ok(opened.store.event_list(realm, filter, PageRequest::first(RUNS)).await?.items)
}

/// Up to where it was done before.
async fn done_before(opened: &Installation, realm: &RealmName) -> Result<Option<Done>, Failure> {
    let done = |event: &Event| {
        let detail = event.detail.as_ref()?;
        let root = BASE64.decode(detail.get("root")?.as_str()?.as_bytes()).ok()?;
        let (size, root) = (detail.get("size")?.as_u64()?, root.try_into().ok()?);
        Some(Done { size, root, at: event.at })
    };
    Ok(runs(opened, realm).await?.iter().find_map(done))
}

/// Whether a restore waits for a log in this realm, and what was noted at `at` came with its
/// backup: then it tells of an earlier restore.
fn is_of_backup(config: &Config, realm: &RealmName, at: Timestamp) -> bool {
    restored::left(&config.data.dir).is_some_and(|restored| {
        let made = Timestamp::parse(&restored.backup_created_at, "UTC", DayEdge::Start);
        restored.names(realm.as_str()) && made.is_ok_and(|made| at <= made)
    })
}

/// Whether a list that nothing proves was done to its end before, since the last restore.
async fn listed_before(
    config: &Config,
    opened: &Installation,
    realm: &RealmName,
    detail: &Value,
) -> Result<bool, Failure> {
    let runs = runs(opened, realm).await?;
    let found = runs.iter().find(|event| event.detail.as_ref() == Some(detail));
    Ok(found.is_some_and(|event| !is_of_backup(config, realm, event.at)))
}

async fn unproved(
    config: &Config,
    opened: &Installation,
    args: &ReplayArgs,
) -> Result<Told, Failure> {
    let realm = RealmName::parse(&args.realm);
    let realm = realm.map_err(|bad| Failure::Usage(format!("--realm {}: {bad}", args.realm)))?;
    let mut events = Vec::new();
    for path in &args.files {
        events.extend(listed(path)?);
    }
    // Ids sort by time, and lists begin with the newest.
    events.sort_by(|one: &Lost, other| one.id.cmp(&other.id));
    events.dedup_by(|one, other| one.id == other.id);
    let until = events.last().map(|event| event.at.clone());
    let mut undone = Undone::default();
    for batch in events.chunks(500) {
        lost::note_unknown(&opened.store, &realm, batch.to_vec(), &mut undone).await?;
    }
    let results = act(opened, &realm, &undone, args.dry_run).await?;
    if !args.dry_run && !is_left(&results) {
        let detail = json!({ "unproved": true, "until": until });
        let changed = results.contains(&Replayed::Done);
        if changed || !listed_before(config, opened, &realm, &detail).await? {
            opened.authority.replayed(&realm, detail).await?;
        }
        settle(config, Some(&realm))?;
    }
    Ok(Told { realm, entries: None, until, undone, results })
}

#[derive(serde::Deserialize)]
struct List {
    items: Vec<Lost>,
}

/// The events of a list.
fn listed(path: &Path) -> Result<Vec<Lost>, Failure> {
    let about = |error: std::io::Error| Failure::about(path.display(), error);
    if std::fs::metadata(path).map_err(about)?.len() > LIST_BYTES_MAX {
        return Err(Failure::about(path.display(), "is too long"));
    }
    let text = std::fs::read(path).map_err(about)?;
    let list: List = serde_json::from_slice(&text).map_err(|error| {
        let why = format!("is no list that `counterfoil events --json` printed: {error}");
        Failure::about(path.display(), why)
    })?;
    Ok(list.items)
}

/// Whether a further run has something to do that this one could not.
fn is_left(results: &[Replayed]) -> bool {
    results.iter().any(|result| matches!(result, Replayed::Refused(_)))
}

async fn act(
    opened: &Installation,
    realm: &RealmName,
    undone: &Undone,
    rehearsal: bool,
) -> Result<Vec<Replayed>, Failure> {
    let mut results = Vec::new();
    for (deed, cause) in undone.deeds() {
        results.push(opened.authority.replay(realm, deed, cause, rehearsal).await?);
    }
    Ok(results)
}

/// Says what was done.
///
/// # Errors
///
/// When something could not be done.
pub(crate) fn report(all: &[Told], rehearsal: bool, as_json: bool) -> Result<(), Failure> {
    if as_json {
        let realms: Vec<Value> = all.iter().map(Told::for_programs).collect();
        print::json(&json!({ "dry_run": rehearsal, "realms": realms }));
    } else {
        for told in all {
            told.say(rehearsal);
        }
    }
    let refused = |told: &Told| {
        told.results.iter().filter(|result| matches!(result, Replayed::Refused(_))).count()
    };
    match all.iter().map(refused).sum::<usize>() {
        0 => Ok(()),
        count => Err(Failure::Refused(format!("{count} acts could not be done again"))),
    }
}

impl Told {
    fn for_programs(&self) -> Value {
        let deeds = self.undone.deeds().zip(&self.results).map(|((deed, cause), result)| {
            let why = if let Replayed::Refused(why) = result { Some(why) } else { None };
            json!({ "act": deed.name(), "about": deed.about(), "at": cause.at, "by": cause.actor,
                "reason": cause.reason, "event": cause.event, "result": result.name(), "why": why })
        });
        let by_hand = self
            .undone
            .by_hand()
            .map(|(it, count)| json!({ "kind": it.kind, "about": it.about, "count": count }));
        let log = self.entries.as_ref();
        json!({
            "realm": self.realm.as_str(),
            "proved": log.is_some(),
            "from": log.map(|log| log.from),
            "to": log.map(|log| log.to),
            "until": self.until,
            "removed": log.map_or(0, |log| log.removed),
            "done_before": log.and_then(|log| log.before).map(|at| at.to_string()),
            "deeds": deeds.collect::<Vec<_>>(),
            "by_hand": by_hand.collect::<Vec<_>>(),
        })
    }

    fn say(&self, rehearsal: bool) {
        let realm = &self.realm;
        let until = self.until.as_deref().unwrap_or("the backup");
        match &self.entries {
            None => print::line(&format!("{realm}: events until {until}, which nothing proves")),
            Some(LostLog { before: Some(at), .. }) => {
                print::line(&format!("{realm}: this log was done again on {at}: nothing is left"));
            }
            Some(log) if log.from == log.to => print::line(&format!("{realm}: nothing was lost")),
            Some(log) => {
                let (from, to) = (log.from, log.to);
                print::line(&format!(
                    "{realm}: the log here lacks the entries from {from} to {to}, until {until}"
                ));
                if log.own > 0 {
                    print::note(&format!(
                        "{realm}: {} entries of its own stand there in their place",
                        log.own
                    ));
                }
                if log.removed > 0 {
                    print::note(&format!(
                        "{realm}: the events of {} entries were removed by retention, and cannot \
                         be done again",
                        log.removed
                    ));
                }
            }
        }
        for ((deed, cause), result) in self.undone.deeds().zip(&self.results) {
            let (act, about, at, by) = (deed.name(), deed.about(), &cause.at, &cause.actor);
            let result = match result {
                Replayed::Done if rehearsal => "would be done".to_owned(),
                Replayed::Done => "done".to_owned(),
                Replayed::Already => "is so already".to_owned(),
                Replayed::Unknown => "is not here: it came after the backup".to_owned(),
                Replayed::Refused(why) => format!("NOT DONE: {why}"),
            };
            print::line(&format!("  {act} {about} ({at}, {by}): {result}"));
        }
        let mut kinds: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (it, _) in self.undone.by_hand() {
            kinds.entry(&it.kind).or_default().push(&it.about);
        }
        for (kind, about) in kinds {
            let shown: Vec<&str> = about.iter().take(SHOWN).copied().collect();
            let more = about.len().saturating_sub(SHOWN);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            print::line(&format!("  look yourself: {kind} {}{more}", shown.join(" ")));
        }
    }
}
